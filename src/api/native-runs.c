/* SPDX-License-Identifier: Apache-2.0
 *
 * POST /v1/runs: a run that somebody waits for. One answer at the end, or events as they happen. A client that leaves
 * takes its program with it.
 */
#include <stdlib.h>
#include <string.h>

#include "api/native.h"
#include "base/util.h"

struct waiting {
        struct rt_exchange *x;
        _Atomic(struct rt_ticket *) ticket;
        atomic_bool gone;
        enum rt_stream_form form;
        struct rt_http_stream *stream;
};

/* The client may leave before the ticket is known: whoever sees both ends the run. */
static void cancel(struct waiting *w) {
        atomic_store(&w->gone, true);
        struct rt_ticket *ticket = atomic_load(&w->ticket);
        if (ticket)
                rt_ticket_cancel(ticket);
}

static void on_gone(struct rt_exchange *x) {
        cancel(x->data);
}

static void on_event(const struct retort_event *event, void *userdata) {
        struct waiting *w = userdata;
        char *json = NULL;
        if (!w->stream) /* not before: until something has happened a refusal can still be said by status */
                w->stream = rt_event_stream_open(w->x, w->form);
        if (!w->stream)
                cancel(w);
        if (atomic_load(&w->gone))
                return;
        if (retort_event_json(event, &json, NULL) < 0 ||
            rt_event_stream_write(w->stream, w->form, json, strlen(json), -1) < 0)
                cancel(w);
        free(json);
}

static void answer(struct waiting *w, const struct retort_outcome *outcome, const struct retort_error *err) {
        char *json = NULL;
        struct retort_error failed = { 0 };
        if (!outcome)
                rt_exchange_fail(w->x, err);
        else if (retort_outcome_json(outcome, &json, &failed) < 0)
                rt_exchange_fail(w->x, &failed);
        else
                rt_exchange_reply_json(w->x, 200, json);
}

static void on_end(struct retort_outcome *outcome, const struct retort_error *err, void *userdata) {
        struct waiting *w = userdata;
        if (w->stream)
                rt_http_stream_close(w->stream);
        else
                answer(w, outcome, err);
        retort_outcome_free(outcome);
        rt_exchange_end(w->x);
}

static void free_waiting(void *pointer) {
        struct waiting *w = pointer;
        struct rt_ticket *ticket = atomic_load(&w->ticket);
        if (ticket)
                rt_ticket_free(ticket);
        free(w);
}

void rt_native_run(struct rt_exchange *x) {
        struct retort_request *request = NULL;
        struct retort_error err = { 0 };
        struct retort_bytes body = rt_http_body(x->http);
        if (!rt_exchange_has_json(x))
                return;
        if (retort_request_parse(body.data, body.size, &request, &err) < 0) {
                rt_exchange_fail(x, &err);
                return;
        }
        struct waiting *w = calloc(1, sizeof *w);
        if (!w) {
                retort_request_free(request);
                rt_exchange_refuse(x, 500, "internal", "out of memory");
                return;
        }
        w->x = x;
        w->form = rt_stream_form_of(x->http);
        x->data = w;
        x->on_gone = on_gone;
        x->free_data = free_waiting;
        struct rt_run_order order = { .caller = x->caller, .request = request, .on_event = w->form ? on_event : NULL,
                                      .on_end = on_end, .userdata = w,
                                      .traceparent = rt_http_header(x->http, "traceparent") };
        struct rt_refusal refusal = { 0 };
        rt_exchange_keep(x); /* for on_end */
        struct rt_ticket *ticket = NULL;
        int r = rt_service_run(x->service, &order, &ticket, &refusal, &err);
        retort_request_free(request);
        atomic_store(&w->ticket, ticket);
        if (r < 0) {
                rt_exchange_refused(x, &refusal, &err);
                rt_exchange_end(x);
        } else if (atomic_load(&w->gone)) {
                cancel(w);
        }
}
