/* SPDX-License-Identifier: Apache-2.0
 *
 * /v1/contexts: opened, listed, shown, closed; and what is asked of one besides cells, commands and files.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/asking.h"
#include "base/err.h"
#include "base/util.h"
#include "model/shapes.h"

enum { LIST_MAX = 1000, LIST_DEFAULT = 50 };

/* ---- opening ---- */

struct order {
        struct retort_context_options options;
        const char *beside;
};

static const struct rt_field order_fields[] = {
        RT_FIELD("language", struct order, options.language, RT_STRING, .flags = RT_REQUIRED),
        RT_FIELD("version", struct order, options.version, RT_STRING),
        RT_FIELD("cwd", struct order, options.cwd, RT_STRING),
        RT_FIELD("packages", struct order, options.packages, RT_STRING),
        RT_FIELD("env", struct order, options.env, RT_ENV, .flags = RT_OPTIONAL,
                 .count_at = offsetof(struct order, options.n_env), .high = RETORT_MAX_ARGS),
        RT_FIELD("limits", struct order, options.limits, RT_OBJECT, .flags = RT_OPTIONAL, .shape = &rt_shape_limits),
        RT_FIELD("files", struct order, options.files, RT_LIST, .flags = RT_OPTIONAL, .shape = &rt_shape_file,
                 .count_at = offsetof(struct order, options.n_files), .high = RETORT_MAX_FILES),
        RT_FIELD("idle_ms", struct order, options.idle_ms, RT_UINT64, .flags = RT_OPTIONAL, .low = 1, .high = RETORT_CONTEXT_LIFETIME_MS),
        RT_FIELD("lifetime_ms", struct order, options.lifetime_ms, RT_UINT64, .flags = RT_OPTIONAL, .low = 1,
                 .high = RETORT_CONTEXT_LIFETIME_MS),
        RT_FIELD("beside", struct order, beside, RT_STRING),
};
static const struct rt_shape order_shape = RT_SHAPE(struct order, order_fields);

static void answer_new(struct rt_asking *a) {
        struct rt_exchange *x = a->x;
        char *location = rt_arena_printf(&x->arena, "/v1/contexts/%s", a->call->record.id);
        if (location)
                x->more[0] = (struct rt_http_header){ "Location", location };
        a->status = 201;
        rt_asking_answer_record(a);
}

void rt_native_context_open(struct rt_exchange *x) {
        struct {
                struct rt_asking asking;
                struct rt_opening opening;
        } *o = rt_arena_alloc(&x->arena, sizeof *o);
        struct order order = { 0 };
        if (!o) {
                rt_exchange_refuse(x, 500, "internal", "out of memory");
                return;
        }
        if (!rt_asking_read(x, &order_shape, false, &order))
                return;
        o->opening.options = order.options;
        o->opening.beside = order.beside;
        rt_asking_init(&o->asking, x, &o->opening.call, RT_CREW_OPEN, NULL);
        o->opening.call.context_id = NULL;
        o->asking.answer = answer_new;
        rt_context_open_start(x->service, &o->opening);
}

/* ---- listing ---- */

struct list {
        struct rt_asking asking;
        struct rt_listing listing;
};

static void answer_list(struct rt_asking *a) {
        struct list *l = rt_container_of(a, struct list, asking);
        const struct rt_listing *listing = &l->listing;
        json_t *list = json_array();
        for (size_t i = 0; i < listing->n; i++)
                (void)json_array_append_new(list, rt_asking_record(&listing->records[i]));
        const char *next = listing->n == listing->limit ? listing->records[listing->n - 1].id : NULL;
        json_t *answer = json_pack("{s:o, s:s?}", "contexts", list, "next", next);
        rt_exchange_reply_json(a->x, 200, answer ? json_dumps(answer, JSON_COMPACT) : NULL);
        json_decref(answer);
        free(rt_take(l->listing.records));
}

static bool read_state(struct rt_exchange *x, int *ret_state) {
        const char *state = rt_http_query(x->http, "state");
        *ret_state = -1;
        for (int i = 0; state && i <= RETORT_CONTEXT_DEAD; i++)
                if (strcmp(state, retort_context_state_name((enum retort_context_state)i)) == 0)
                        *ret_state = i;
        if (!state || *ret_state >= 0)
                return true;
        rt_exchange_refuse(x, 400, "invalid-request", "state: must be idle, busy, paused or dead");
        return false;
}

void rt_native_context_list(struct rt_exchange *x) {
        struct list *l = rt_arena_new(&x->arena, struct list);
        uint64_t limit = LIST_DEFAULT;
        if (!l) {
                rt_exchange_refuse(x, 500, "internal", "out of memory");
                return;
        }
        if (!read_state(x, &l->listing.state) || !rt_asking_number(x, "limit", 1, LIST_MAX, &limit))
                return;
        l->listing.limit = limit;
        l->listing.language = rt_http_query(x->http, "language");
        l->listing.after = rt_http_query(x->http, "after");
        rt_asking_init(&l->asking, x, &l->listing.call, RT_CREW_SHORT, NULL);
        l->listing.call.context_id = NULL;
        l->asking.answer = answer_list;
        rt_context_list_start(x->service, &l->listing);
}

/* ---- what has no more to it than its path ---- */

struct plain {
        struct rt_asking asking;
        struct rt_call call;
};

static struct plain *new_plain(struct rt_exchange *x, enum rt_crew_kind kind, void (*perform)(struct rt_call *call)) {
        static const struct rt_shape nothing = { .size = 1 };
        char object;
        struct plain *p = rt_arena_new(&x->arena, struct plain);
        if (!p)
                rt_exchange_refuse(x, 500, "internal", "out of memory");
        else if (rt_asking_read(x, &nothing, true, &object)) {
                rt_asking_init(&p->asking, x, &p->call, kind, perform);
                return p;
        }
        return NULL;
}

static void perform_look(struct rt_call *call) {
        rt_call_look(call);
}

void rt_native_context_get(struct rt_exchange *x) {
        struct plain *p = new_plain(x, RT_CREW_SHORT, perform_look);
        if (p) {
                p->asking.answer = rt_asking_answer_record;
                rt_asking_start(&p->asking);
        }
}

void rt_native_context_close(struct rt_exchange *x) {
        struct plain *p = new_plain(x, RT_CREW_SHORT, NULL);
        if (p)
                rt_context_close_start(x->service, &p->call);
}

static void perform_interrupt(struct rt_call *call) {
        retort_context_interrupt(call->context);
}

void rt_native_context_interrupt(struct rt_exchange *x) {
        struct plain *p = new_plain(x, RT_CREW_SHORT, perform_interrupt);
        if (p)
                rt_asking_start(&p->asking);
}

static void perform_restart(struct rt_call *call) {
        struct rt_asking *a = rt_asking_of(call);
        bool kept = false;
        if (!rt_asking_succeeded(a, retort_context_restart(call->context, &kept, &call->err)))
                return;
        rt_call_look(call);
        json_t *record = rt_asking_record(&call->record);
        (void)json_object_set_new(record, "files_kept", json_boolean(kept));
        a->json = json_dumps(record, JSON_COMPACT);
        json_decref(record);
        if (!a->json)
                (void)rt_fail_nomem(&call->err);
}

void rt_native_context_restart(struct rt_exchange *x) {
        struct plain *p = new_plain(x, RT_CREW_OPEN, perform_restart);
        if (p)
                rt_asking_start(&p->asking);
}

static void perform_fork(struct rt_call *call) {
        rt_call_fork(call);
}

void rt_native_context_fork(struct rt_exchange *x) {
        struct plain *p = new_plain(x, RT_CREW_CELL, perform_fork);
        if (p) {
                p->asking.answer = answer_new;
                rt_asking_start(&p->asking);
        }
}

/* Both may be asked for again: what is so already is no trouble. */
static void hold(struct rt_call *call, enum retort_context_state wanted, int (*change)(retort_context *, struct retort_error *)) {
        struct rt_asking *a = rt_asking_of(call);
        rt_call_look(call);
        if (call->record.state == RETORT_CONTEXT_DEAD) {
                call->trouble = RT_TROUBLE_ENDED;
                (void)rt_fail(&call->err, RETORT_E_CLOSED, "the context has ended: %s", call->record.why);
                return;
        }
        if ((call->record.state == RETORT_CONTEXT_PAUSED) == (wanted == RETORT_CONTEXT_PAUSED))
                return;
        if (rt_asking_succeeded(a, change(call->context, &call->err)))
                rt_call_look(call);
        else if (call->err.code == RETORT_E_INPUT)
                call->trouble = RT_TROUBLE_BUSY; /* whatever runs in the box */
}

static void perform_pause(struct rt_call *call) {
        hold(call, RETORT_CONTEXT_PAUSED, retort_context_pause);
}

static void perform_resume(struct rt_call *call) {
        hold(call, RETORT_CONTEXT_IDLE, retort_context_resume);
}

static void start_hold(struct rt_exchange *x, void (*perform)(struct rt_call *call)) {
        struct plain *p = new_plain(x, RT_CREW_SHORT, perform);
        if (p) {
                p->asking.answer = rt_asking_answer_record;
                rt_asking_start(&p->asking);
        }
}

void rt_native_context_pause(struct rt_exchange *x) {
        start_hold(x, perform_pause);
}

void rt_native_context_resume(struct rt_exchange *x) {
        start_hold(x, perform_resume);
}

/* ---- questions ---- */

struct question {
        struct rt_asking asking;
        struct rt_call call;
        struct retort_bytes code;
        uint64_t cursor;
        uint64_t detail;
};

static const struct rt_field question_fields[] = {
        RT_FIELD("code", struct question, code, RT_TEXT, .flags = RT_REQUIRED),
        RT_FIELD("cursor", struct question, cursor, RT_UINT64, .flags = RT_REQUIRED, .high = RETORT_MAX_FILES_BYTES),
        RT_FIELD("detail", struct question, detail, RT_UINT64, .flags = RT_OPTIONAL, .high = 1),
};
static const struct rt_shape inspect_shape = RT_SHAPE(struct question, question_fields);
static const struct rt_shape complete_shape = { .fields = question_fields, .n_fields = 2, .size = sizeof(struct question) };

static void perform_complete(struct rt_call *call) {
        struct rt_asking *a = rt_asking_of(call);
        struct question *q = rt_container_of(call, struct question, call);
        (void)rt_asking_succeeded(a, retort_context_complete(call->context, q->code, q->cursor, &a->json, &call->err));
}

static void perform_inspect(struct rt_call *call) {
        struct rt_asking *a = rt_asking_of(call);
        struct question *q = rt_container_of(call, struct question, call);
        (void)rt_asking_succeeded(a, retort_context_inspect(call->context, q->code, q->cursor, (unsigned)q->detail, &a->json, &call->err));
}

static void ask(struct rt_exchange *x, const struct rt_shape *shape, void (*perform)(struct rt_call *call)) {
        struct question *q = rt_arena_new(&x->arena, struct question);
        if (!q) {
                rt_exchange_refuse(x, 500, "internal", "out of memory");
                return;
        }
        if (!rt_asking_read(x, shape, false, q))
                return;
        rt_asking_init(&q->asking, x, &q->call, RT_CREW_CELL, perform);
        rt_asking_start(&q->asking);
}

void rt_native_context_complete(struct rt_exchange *x) {
        ask(x, &complete_shape, perform_complete);
}

void rt_native_context_inspect(struct rt_exchange *x) {
        ask(x, &inspect_shape, perform_inspect);
}
