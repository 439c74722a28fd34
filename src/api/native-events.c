/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /v1/jobs/{id}/events: what happened and what happens, from any sequence number on.
 */
#include <stdlib.h>
#include <string.h>

#include "api/native.h"
#include "base/util.h"

struct following {
        struct rt_exchange *x;
        enum rt_stream_form form;
        struct rt_http_stream *stream;
        atomic_bool gone;
        _Atomic(struct rt_follow *) follow;
};

static bool on_line(const char *json, size_t size, void *userdata) {
        struct following *f = userdata;
        if (!f->stream)
                f->stream = rt_event_stream_open(f->x, f->form);
        return f->stream && !atomic_load(&f->gone) && rt_event_stream_write(f->stream, f->form, json, size, -1) == 0;
}

static void on_end(void *userdata) {
        struct following *f = userdata;
        if (!f->stream)
                f->stream = rt_event_stream_open(f->x, f->form);
        if (f->stream)
                rt_http_stream_close(f->stream);
        rt_exchange_end(f->x);
}

static void on_gone(struct rt_exchange *x) {
        struct following *f = x->data;
        atomic_store(&f->gone, true);
        struct rt_follow *follow = atomic_load(&f->follow);
        if (follow)
                rt_follow_stop(follow);
}

static void free_following(void *pointer) {
        struct following *f = pointer;
        struct rt_follow *follow = atomic_load(&f->follow);
        if (follow)
                rt_follow_free(follow);
        free(f);
}

/* `from` in the query, or what an event source says when it comes back: the last it has seen. */
static bool first_wanted(struct rt_exchange *x, uint64_t *ret_from) {
        const char *from = rt_http_query(x->http, "from");
        const char *last = rt_http_header(x->http, "Last-Event-ID");
        const char *text = from ? from : last;
        char *end = NULL;
        *ret_from = 0;
        if (!text)
                return true;
        *ret_from = strtoull(text, &end, 10) + (from ? 0 : 1);
        return end != text && *end == 0 && *text != '-';
}

void rt_native_job_events(struct rt_exchange *x) {
        struct retort_error err = { 0 };
        uint64_t from;
        if (!first_wanted(x, &from)) {
                rt_exchange_refuse(x, 400, "invalid-request", "from: must be a sequence number");
                return;
        }
        struct following *f = calloc(1, sizeof *f);
        if (!f) {
                rt_exchange_refuse(x, 500, "internal", "out of memory");
                return;
        }
        f->x = x;
        f->form = rt_stream_form_of(x->http) == RT_STREAM_SSE ? RT_STREAM_SSE : RT_STREAM_NDJSON;
        x->data = f;
        x->free_data = free_following;
        x->on_gone = on_gone;
        rt_exchange_keep(x); /* for on_end */
        struct rt_follow *follow = NULL;
        int r = rt_service_job_follow(x->service, &x->caller, x->parameters[0], from, on_line, on_end, f, &follow, &err);
        atomic_store(&f->follow, follow);
        if (r < 0) {
                rt_exchange_refuse(x, r == RETORT_E_INPUT ? 404 : 500, r == RETORT_E_INPUT ? "no-such-job" : "internal", err.message);
                rt_exchange_end(x);
        } else if (atomic_load(&f->gone)) {
                rt_follow_stop(follow);
        }
}
