/* SPDX-License-Identifier: Apache-2.0
 *
 * What is asked of a context besides cells: how it is, to stop, to begin again, to stand still, and what its interpreter knows.
 */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "base/util.h"
#include "context/inside.h"

enum { NS_PER_MS = 1000000, END_MS = 1000 };

const char *retort_context_state_name(enum retort_context_state state) {
        static const char *const names[] = {
#define X(name, wire, text) [RETORT_CONTEXT_##name] = wire,
                RETORT_CONTEXT_STATES(X)
#undef X
        };
        return (unsigned)state < RT_LEN(names) ? names[state] : NULL;
}

/* Nobody runs in it: whether it has ended meanwhile. */
static void look(struct retort_context *context) {
        char why[160];
        bool gone = rt_context_box_gone(context->box, 0);
        if (!gone && !rt_runner_has_ended(&context->runner, 0))
                return;
        if (!gone && !context->runner.have_end) /* else its supervisor would have told */
                gone = rt_context_box_gone(context->box, END_MS);
        if (gone)
                rt_context_box_why(context->box, why, sizeof why);
        rt_context_died(context, gone ? why : "its interpreter ended");
}

void retort_context_info(retort_context *context, struct retort_context_info *ret) {
        uint64_t now = rt_now_ns();
        (void)pthread_mutex_lock(&context->lock);
        bool alone = !context->busy && !context->dead;
        context->busy |= alone;
        context->n_users += alone;
        (void)pthread_mutex_unlock(&context->lock);
        if (alone) {
                look(context);
                rt_context_leave(context);
        }
        (void)pthread_mutex_lock(&context->lock);
        (void)pthread_mutex_lock(&context->box->lock);
        bool paused = context->box->paused;
        uint64_t touched = context->box->spans ? now : context->box->touched_ns;
        (void)pthread_mutex_unlock(&context->box->lock);
        *ret = (struct retort_context_info){
                .state = context->dead ? RETORT_CONTEXT_DEAD : paused ? RETORT_CONTEXT_PAUSED : context->in_cell ? RETORT_CONTEXT_BUSY : RETORT_CONTEXT_IDLE,
                .id = context->id, .language = rt_runtime_name(context->runtime),
                .version = rt_toolchain_version(context->engine, context->runtime, false),
                .execution_count = context->execution_count, .age_ms = (now - context->opened_ns) / NS_PER_MS,
                .idle_ms = now > touched ? (now - touched) / NS_PER_MS : 0, .can_fork = context->features & RT_CAN_FORK,
                .can_complete = context->features & RT_CAN_COMPLETE, .can_inspect = context->features & RT_CAN_INSPECT };
        (void)snprintf(ret->box, sizeof ret->box, "%s", context->box->id);
        (void)snprintf(ret->why, sizeof ret->why, "%s", context->dead ? context->why : "");
        (void)pthread_mutex_unlock(&context->lock);
}

void retort_context_interrupt(retort_context *context) {
        (void)rt_context_nudge(context, RT_NUDGE_INTERRUPT); /* who follows it sends the signal, and need not be waited for */
}

/* ---- restart ---- */

int retort_context_restart(retort_context *context, bool *ret_files_kept, struct retort_error *err) {
        struct retort_error local = { 0 };
        err = err ? err : &local;
        (void)rt_context_nudge(context, RT_NUDGE_END);
        int r = rt_context_enter_dead(context, rt_now_ns() + RT_CONTEXT_START_MS * (uint64_t)NS_PER_MS, err);
        if (r < 0)
                return r;
        struct rt_context_box *box = rt_context_box_hold(context->box);
        bool gone = rt_context_box_gone(box, 0);
        r = gone ? 0 : rt_context_box_starting(box, true, err);
        if (r < 0) {
                rt_context_box_drop(box);
                rt_context_leave(context);
                return r;
        }
        r = rt_context_respawn(context, ret_files_kept, err);
        if (!gone)
                (void)rt_context_box_starting(box, false, NULL);
        rt_context_box_drop(box);
        (void)pthread_mutex_lock(&context->lock);
        context->dead = r < 0;
        if (r < 0)
                (void)snprintf(context->why, sizeof context->why, "%.190s", err->message);
        (void)pthread_mutex_unlock(&context->lock);
        if (r == 0) {
                context->execution_count = 0;
                rt_context_box_touch(context->box);
        }
        rt_context_leave(context);
        return r;
}

/* ---- pause ---- */

static int pause_or_resume(retort_context *context, bool stop, struct retort_error *err) {
        const struct rt_box_isolation *isolation = rt_jail_isolation(context->engine->jail);
        if (isolation->mechanisms[RT_BOX_PID_NS].state != RT_BOX_ACTIVE)
                return rt_fail(err, RETORT_E_ISOLATION, "a context can be paused only where there are process namespaces");
        struct rt_context_box *box;
        int r = rt_context_use(context, &box, err);
        if (r < 0)
                return r;
        r = rt_context_box_pause(box, stop, err);
        if (r == 0)
                rt_context_box_touch(box);
        rt_context_unuse(context, box);
        return r;
}

int retort_context_pause(retort_context *context, struct retort_error *err) {
        return pause_or_resume(context, true, err);
}

int retort_context_resume(retort_context *context, struct retort_error *err) {
        return pause_or_resume(context, false, err);
}

/* ---- questions ---- */

struct question {
        const char *type, *answer;
        struct retort_bytes code;
        uint64_t cursor;
        unsigned detail;
};

/* Only what belongs there, whatever the runner says besides. */
static json_t *only(json_t *answer, const char *const *names) {
        json_t *kept = json_object();
        for (; *names; names++)
                if (json_object_get(answer, *names))
                        (void)json_object_set(kept, *names, json_object_get(answer, *names));
        return kept;
}

static int ask(retort_context *context, const struct question *q, const char *const *names, char **ret_json, struct retort_error *err) {
        uint64_t until = rt_now_ns() + RT_CONTEXT_ANSWER_MS * (uint64_t)NS_PER_MS;
        struct rt_span span = { .wall_until_ns = until + RETORT_GRACE_MS * (uint64_t)NS_PER_MS,
                                .cpu_left_ns = RT_CONTEXT_ANSWER_MS * (uint64_t)NS_PER_MS };
        json_t *answer = NULL;
        if (!rt_text_is_utf8(q->code.data ? q->code.data : "", q->code.size))
                return rt_fail(err, RETORT_E_INPUT, "code: not UTF-8");
        int r = rt_context_enter(context, -1, until, err);
        if (r < 0)
                return r;
        r = rt_context_box_begin(context->box, &span, err);
        if (r == 0) {
                uint64_t id = ++context->runner.next_id;
                json_t *message = json_pack("{s:s, s:I, s:s%, s:I, s:i}", "type", q->type, "id", (json_int_t)id, "code",
                                            q->code.data ? q->code.data : "", q->code.size, "cursor", (json_int_t)q->cursor, "detail",
                                            (int)q->detail);
                r = rt_runner_send(&context->runner, message, NULL, 0) < 0 ? rt_fail(err, RETORT_E_CLOSED, "the runner does not read") : 0;
                r = r < 0 ? r : rt_runner_await(&context->runner, q->answer, id, until, &answer, err);
                rt_context_box_end(context->box, &span);
        }
        if (r == RETORT_E_CLOSED || r == RETORT_E_TIMEOUT) { /* who leaves a question open would answer the next with it */
                rt_context_signal(context, r == RETORT_E_TIMEOUT ? SIGINT : SIGKILL, false);
                look(context);
        }
        rt_context_leave(context);
        json_t *kept = r == 0 ? only(answer, names) : NULL;
        json_decref(answer);
        *ret_json = kept ? json_dumps(kept, JSON_COMPACT) : NULL;
        json_decref(kept);
        return r == 0 && !*ret_json ? rt_fail_nomem(err) : r;
}

int retort_context_complete(retort_context *context, struct retort_bytes code, uint64_t cursor, char **ret_json, struct retort_error *err) {
        static const char *const names[] = { "matches", "start", "end", NULL };
        const struct question q = { "complete", "completions", code, cursor, 0 };
        if (!(context->features & RT_CAN_COMPLETE))
                return rt_fail(err, RETORT_E_INPUT, "contexts of %s do not complete", rt_runtime_name(context->runtime));
        return ask(context, &q, names, ret_json, err);
}

int retort_context_inspect(retort_context *context, struct retort_bytes code, uint64_t cursor, unsigned detail, char **ret_json,
                           struct retort_error *err) {
        static const char *const names[] = { "found", "data", NULL };
        const struct question q = { "inspect", "inspection", code, cursor, detail };
        if (!(context->features & RT_CAN_INSPECT))
                return rt_fail(err, RETORT_E_INPUT, "contexts of %s do not inspect", rt_runtime_name(context->runtime));
        return ask(context, &q, names, ret_json, err);
}
