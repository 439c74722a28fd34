/* SPDX-License-Identifier: Apache-2.0
 *
 * One tool's call: the context it needs is opened if it is not there, the call goes on in it, and the answer is told. Also how
 * a session ends. Every step begins where the one before it was done; nothing here waits.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/agentbay.h"
#include "base/err.h"
#include "base/text.h"
#include "base/util.h"

/* ---- answers ---- */

bool rt_ab_op_add(struct rt_ab_op *op, const char *format, ...) {
        va_list args;
        rt_auto_free char *text = NULL;
        va_start(args, format);
        int n = vasprintf(&text, format, args);
        va_end(args);
        if (n >= 0 && rt_buf_add(&op->text, text, (size_t)n) == RT_BUF_OK)
                return true;
        (void)rt_fail(&op->call.err, RETORT_E_INPUT, "the answer is too large");
        return false;
}

bool rt_ab_op_fail(struct rt_ab_op *op, const char *format, ...) {
        va_list args;
        char text[1024];
        va_start(args, format);
        (void)vsnprintf(text, sizeof text, format, args);
        va_end(args);
        const char *clean = rt_text_clean(&op->arena, text, strlen(text));
        op->is_error = true;
        op->text.size = 0;
        (void)rt_buf_add(&op->text, clean ? clean : "", clean ? strlen(clean) : 0);
        return false;
}

bool rt_ab_op_text(struct rt_ab_op *op, const char *name, bool needed, const char **ret_text) {
        json_t *value = json_object_get(op->args, name);
        *ret_text = json_string_value(value);
        if ((*ret_text && strlen(*ret_text) == json_string_length(value)) || (!needed && (!value || json_is_null(value))))
                return true;
        return rt_ab_op_fail(op, "%s: %s", name, !value ? "missing" : *ret_text ? "must not have NUL characters" : "must be a text");
}

/* ---- the end of an op ---- */

static void begin(struct rt_ab_op *op);

/* A language's context that the service has forgotten (its interpreter ended, and nobody came for long): a new one is opened, once. */
static bool begin_again(struct rt_ab_op *op) {
        struct rt_ab_place *place = &op->session->places[op->place];
        if (op->call.trouble != RT_TROUBLE_UNKNOWN || op->place == RT_AB_BASE || op->again)
                return false;
        (void)pthread_mutex_lock(&op->session->table->lock);
        if (place->state == RT_AB_OPEN)
                place->state = RT_AB_CLOSED;
        (void)pthread_mutex_unlock(&op->session->table->lock);
        op->again = true;
        op->call = (struct rt_call){ 0 };
        begin(op);
        return true;
}

static void finish(struct rt_ab_op *op) {
        const struct rt_call *call = &op->call;
        if (begin_again(op))
                return;
        if (call->err.code && !op->is_error)
                (void)rt_ab_op_fail(op, "%s", call->err.message);
        if (call->trouble == RT_TROUBLE_UNKNOWN)
                op->not_found = true;
        if (op->not_found) {
                (void)rt_ab_op_fail(op, "session %s not found: %s", op->session->id, call->err.message);
                rt_ab_session_end(op->session, op->service, NULL, NULL);
        }
        op->done(op);
}

void rt_ab_op_clear(struct rt_ab_op *op) {
        rt_buf_clear(&op->text);
        retort_outcome_free(rt_take(op->outcome));
        json_decref(rt_take(op->args));
        rt_arena_clear(&op->arena);
        rt_ab_session_let_go(rt_take(op->session));
}

void rt_ab_op_cancel(struct rt_ab_op *op) {
        atomic_store(&op->gone, true);
        rt_call_cancel(&op->call);
}

/* ---- the call ---- */

/* A language's interpreter has ended and its box has not: the next program finds a new one. */
static bool revive(struct rt_ab_op *op) {
        struct rt_call *call = &op->call;
        rt_auto_free char *there = NULL;
        if (call->trouble != RT_TROUBLE_ENDED || op->place == RT_AB_BASE)
                return false;
        call->err = (struct retort_error){ 0 };
        call->trouble = RT_TROUBLE_NONE;
        return retort_context_stat(call->context, ".", &there, &call->err) == 0 && retort_context_restart(call->context, NULL, &call->err) == 0;
}

static void perform(struct rt_call *call) {
        struct rt_ab_op *op = rt_container_of(call, struct rt_ab_op, call);
        if (atomic_load(&op->gone)) { /* before the call could be cancelled */
                (void)rt_fail(&call->err, RETORT_E_CLOSED, "cancelled before it began");
                return;
        }
        op->tool->perform(op);
        if (call->err.code && revive(op))
                op->tool->perform(op);
        if (call->err.code == RETORT_E_CLOSED && call->trouble == RT_TROUBLE_NONE)
                rt_call_failed(call);
        op->not_found = call->trouble == RT_TROUBLE_ENDED;
}

static void on_done(struct rt_call *call) {
        finish(rt_container_of(call, struct rt_ab_op, call));
}

static void start_call(struct rt_ab_op *op, const char *context_id) {
        op->call.caller = op->session->caller;
        op->call.context_id = context_id;
        op->call.kind = op->tool->kind;
        op->call.takes_cpu = op->tool->takes_cpu;
        op->call.traceparent = op->traceparent;
        op->call.perform = perform;
        op->call.done = on_done;
        rt_call_start(op->service, &op->call);
}

/* ---- the context ---- */

struct unwanted {
        struct rt_call call;
        char id[27];
};

static void on_unwanted_closed(struct rt_call *call) {
        free(rt_container_of(call, struct unwanted, call));
}

/* The session ended while it was being opened. */
static void close_unwanted(struct rt_service *service, const struct rt_call *opened) {
        struct unwanted *u = calloc(1, sizeof *u);
        if (!u)
                return; /* it ends with its box, or when nobody has called for long enough */
        u->call = (struct rt_call){ .caller = opened->caller, .context_id = u->id, .kind = RT_CREW_SHORT, .done = on_unwanted_closed };
        memcpy(u->id, opened->record.id, sizeof u->id);
        rt_context_close_start(service, &u->call);
}

/* Whoever asked for it first opened it; all that waited go on. */
static void on_opened(struct rt_call *opened) {
        struct rt_ab_op *opener = rt_container_of(rt_container_of(opened, struct rt_opening, call), struct rt_ab_op, opening);
        struct rt_ab_session *s = opener->session;
        struct rt_service *service = opener->service;
        struct rt_ab_place *place = &s->places[opener->place];
        struct retort_error err = opened->err;
        struct rt_refusal refusal = opened->refusal;
        enum rt_trouble trouble = opened->trouble;
        (void)pthread_mutex_lock(&s->table->lock);
        bool unwanted = s->gone && !err.code;
        memcpy(place->id, opened->record.id, sizeof place->id);
        place->state = err.code || unwanted ? RT_AB_CLOSED : RT_AB_OPEN;
        struct rt_ab_op *waiting = rt_take(place->waiting);
        (void)pthread_mutex_unlock(&s->table->lock);
        if (unwanted) {
                close_unwanted(service, opened);
                (void)rt_fail(&err, RETORT_E_CLOSED, "it was ended");
                trouble = RT_TROUBLE_UNKNOWN;
        }
        while (waiting) { /* none of them, nor the session, is touched once it goes on */
                struct rt_ab_op *op = waiting;
                waiting = op->next;
                if (!err.code) {
                        start_call(op, place->id);
                        continue;
                }
                op->call.err = err;
                op->call.refusal = refusal;
                op->call.trouble = trouble == RT_TROUBLE_ENDED ? RT_TROUBLE_UNKNOWN : trouble;
                finish(op);
        }
}

static void begin(struct rt_ab_op *op) {
        struct rt_ab_session *s = op->session;
        struct rt_ab_place *place = &s->places[op->place];
        (void)pthread_mutex_lock(&s->table->lock);
        bool open = place->state == RT_AB_OPEN;
        bool opens = place->state == RT_AB_CLOSED;
        if (opens)
                place->state = RT_AB_OPENING;
        if (!open) {
                struct rt_ab_op **last = &place->waiting;
                while (*last)
                        last = &(*last)->next;
                op->next = NULL;
                *last = op;
        }
        (void)pthread_mutex_unlock(&s->table->lock);
        if (open)
                start_call(op, place->id);
        if (!opens)
                return;
        op->opening = (struct rt_opening){ .call = { .caller = s->caller, .done = on_opened }, .options = { .language = rt_ab_languages[op->place] },
                                           .beside = s->id };
        rt_context_open_start(op->service, &op->opening);
}

void rt_ab_op_start(struct rt_ab_op *op) {
        op->text = RT_BUF(RT_AB_TEXT_MAX);
        op->place = RT_AB_BASE;
        if (op->tool->prepare && !op->tool->prepare(op))
                op->done(op);
        else
                begin(op);
}

/* ---- the end of a session ---- */

struct ending {
        struct rt_ab_session *session;
        struct rt_service *service;
        void (*done)(void *userdata);
        void *userdata;
        struct rt_call call;
        char ids[RT_AB_PLACES][27]; /* the first context's last: its box ends with it */
        size_t at, n;
};

static void end_next(struct ending *e);

static void on_closed(struct rt_call *call) {
        end_next(rt_container_of(call, struct ending, call));
}

static void end_next(struct ending *e) {
        if (e->at < e->n) {
                e->call = (struct rt_call){ .caller = e->session->caller, .context_id = e->ids[e->at++], .kind = RT_CREW_SHORT, .done = on_closed };
                rt_context_close_start(e->service, &e->call);
                return;
        }
        if (e->done)
                e->done(e->userdata);
        rt_ab_session_let_go(e->session);
        free(e);
}

static bool is_listed(const struct ending *e, const char *id) {
        for (size_t i = 0; i < e->n; i++)
                if (strcmp(e->ids[i], id) == 0)
                        return true;
        return false;
}

void rt_ab_session_end(struct rt_ab_session *s, struct rt_service *service, void (*done)(void *userdata), void *userdata) {
        struct ending *e = calloc(1, sizeof *e);
        (void)atomic_fetch_add(&s->references, 1);
        bool mine = rt_ab_session_remove(s);
        if (!mine || !e) { /* without memory its contexts end when nobody has called for long enough */
                free(e);
                if (done)
                        done(userdata);
                rt_ab_session_let_go(s);
                return;
        }
        *e = (struct ending){ .session = s, .service = service, .done = done, .userdata = userdata };
        (void)pthread_mutex_lock(&s->table->lock);
        for (size_t i = 0; i < RT_AB_PLACES; i++) {
                const struct rt_ab_place *place = &s->places[i];
                if (place->state != RT_AB_OPEN || is_listed(e, place->id) || (i != RT_AB_BASE && strcmp(place->id, s->id) == 0))
                        continue;
                memcpy(e->ids[e->n++], place->id, sizeof place->id);
        }
        (void)pthread_mutex_unlock(&s->table->lock);
        end_next(e);
}
