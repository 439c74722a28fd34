/* SPDX-License-Identifier: Apache-2.0
 *
 * A context comes and goes here.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"
#include "box/plan.h"
#include "context/inside.h"

/* ---- making ---- */

static void free_context(struct retort_context *context) {
        rt_runner_close(&context->runner);
        retort_request_free(context->asked);
        free(context->cwd);
        free(context->packages);
        (void)rt_close(context->wake);
        (void)rt_close(context->nudge);
        (void)pthread_mutex_destroy(&context->lock);
        (void)pthread_cond_destroy(&context->quiet);
        free(context);
}

static int new_context(struct retort_engine *engine, const struct retort_context_options *o, struct retort_context **ret,
                       struct retort_error *err) {
        const struct retort_request asked = { .language = o->language, .version = o->version, .env = o->env, .n_env = o->n_env, .limits = o->limits };
        if (!o->language)
                return rt_fail(err, RETORT_E_INPUT, "language: missing");
        if (rt_lang_check_files(o->files, o->n_files, err) < 0)
                return RETORT_E_INPUT;
        const struct rt_runtime *runtime = rt_lang_find(engine->runtimes, o->language, err);
        struct retort_context *context = runtime ? calloc(1, sizeof *context) : NULL;
        if (!context)
                return runtime ? rt_fail_nomem(err) : err->code;
        *context = (struct retort_context){ .engine = engine, .runtime = runtime, .runner = RT_RUNNER_NONE, .start = "cold",
                                            .idle_ms = o->idle_ms, .lifetime_ms = o->lifetime_ms, .opened_ns = rt_now_ns(),
                                            .wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                                            .nudge = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
        (void)pthread_mutex_init(&context->lock, NULL);
        (void)pthread_cond_init(&context->quiet, NULL);
        rt_engine_new_id(context->id);
        int r = context->wake < 0 || context->nudge < 0 ? rt_fail_errno(err, "cannot make an eventfd") : 0;
        if (r == 0)
                r = rt_model_request_copy(&asked, &context->asked, err);
        if (r == 0 && ((o->cwd && !(context->cwd = strdup(o->cwd))) || (o->packages && !(context->packages = strdup(o->packages)))))
                r = rt_fail_nomem(err);
        if (r == 0) {
                rt_toolchain_ask(engine, runtime);
                const char *have = rt_toolchain_version(engine, runtime, o->version);
                if (o->version && !rt_lang_version_fits(have, o->version))
                        r = rt_fail(err, RETORT_E_NO_RUNTIME, "version: %s %s is not installed; this host has %s",
                                    rt_runtime_title(runtime), o->version, have);
        }
        if (r < 0)
                free_context(context);
        else
                *ret = context;
        return r;
}

static int plan_runner(struct retort_context *context, const struct rt_slot_places *p, struct rt_arena *arena, struct rt_lang_step *ret_step,
                       struct retort_error *err) {
        const struct rt_lang_places places = { p->work, p->tmp, p->runtimes };
        int r = rt_lang_runner(context->runtime, context->asked, context->packages, &places, &context->engine->ceilings, arena, ret_step, err);
        if (r == 0 && !context->limits.wall_ms) /* a restart's are the same, and others may look at them */
                context->limits = ret_step->limits;
        return r;
}

static int await_ready(struct retort_context *context, struct retort_error *err) {
        int r = rt_runner_await_ready(&context->runner, context->box, err);
        context->features = r == 0 ? context->runner.features : 0;
        return r;
}

/* An interpreter started in a box that is there, by its supervisor. */
static int spawn_runner(struct retort_context *context, struct retort_error *err) {
        rt_auto_arena struct rt_arena arena = { 0 };
        struct rt_lang_step step;
        struct rt_answer answer;
        char dir[RT_ASK_MAX_PATH];
        int theirs[4];
        int r = plan_runner(context, &context->box->places, &arena, &step, err);
        r = r < 0 ? r : rt_context_box_path(context->box, context->cwd ? context->cwd : context->box->places.work, dir, err);
        if (r == 0 && context->cwd)
                r = rt_context_box_ask(context->box, (struct rt_ask){ .op = RT_ASK_MKDIR }, dir, NULL, NULL, 0, NULL, NULL, err);
        r = r < 0 ? r : rt_runner_open(&context->runner, theirs, err);
        if (r < 0)
                return r;
        context->runner.pid = -1; /* 0 is the box's first */
        rt_auto_close int plan = rt_plan_write(step.argv, step.env, NULL, 0, err);
        rt_auto_close int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        const int fds[] = { plan, null, theirs[0], theirs[1], theirs[3], theirs[2] };
        r = plan < 0 || null < 0 ? rt_fail_errno(err, "cannot start a runner")
                                 : rt_context_box_ask(context->box, (struct rt_ask){ .op = RT_ASK_SPAWN }, dir, NULL, fds, RT_LEN(fds), &answer, NULL, err);
        for (size_t i = 0; i < RT_LEN(theirs); i++)
                (void)rt_close(theirs[i]);
        if (r < 0)
                return r;
        context->runner.pid = answer.pid;
        context->start = "cold";
        return await_ready(context, err);
}

/* The box's first process is a fork with a runner in it already. */
static int await_forked(struct retort_context *context, const int theirs[4], struct retort_error *err) {
        struct rt_ask adopt = { .op = RT_ASK_ADOPT };
        char dir[RT_ASK_MAX_PATH];
        int r = rt_context_box_ask(context->box, adopt, NULL, NULL, &theirs[3], 1, NULL, NULL, err);
        if (r == 0 && context->cwd) {
                r = rt_context_box_path(context->box, context->cwd, dir, err);
                if (r == 0)
                        r = rt_context_box_ask(context->box, (struct rt_ask){ .op = RT_ASK_MKDIR }, dir, NULL, NULL, 0, NULL, NULL, err);
                context->cwd_pending = r == 0;
        }
        return r < 0 ? r : await_ready(context, err);
}

/* A fork has its runner in it, whose pipes theirs are. */
static int start_box(struct retort_context *context, struct rt_context_box *box, const struct rt_lang_step *step,
                     const struct retort_context_options *o, int theirs[4], struct retort_error *err) {
        bool forked = box->kind != RT_KIND_COLD;
        int r = forked ? rt_runner_open(&context->runner, theirs, err) : 0;
        if (r == 0)
                r = rt_context_box_start(box, step, o, forked, theirs, err);
        for (size_t i = 0; i < 3; i++)
                theirs[i] = rt_close(theirs[i]);
        return r;
}

static const char *const *with_supervisor(const char *const *env, const struct rt_slot_places *places, struct rt_arena *arena) {
        size_t n = 0;
        while (env[n])
                n++;
        const char **more = rt_arena_array(arena, n + 2, sizeof *more);
        char *own = rt_arena_printf(arena, "RETORT_SUPERVISOR=%s/lib/supervisor", places->runtimes);
        if (!more || !own)
                return NULL;
        memcpy(more, env, n * sizeof *more);
        more[n] = own;
        return more;
}

/* Who looks meanwhile, with the lock held, sees the one or the other. */
static struct rt_context_box *set_box(struct retort_context *context, struct rt_context_box *box) {
        (void)pthread_mutex_lock(&context->lock);
        struct rt_context_box *before = context->box;
        context->box = box;
        (void)pthread_mutex_unlock(&context->lock);
        return before;
}

/* A box of its own. *forked: may it be a fork? It was. Others see the box once it is started. */
static int open_box(struct retort_context *context, const struct retort_context_options *o, bool *forked, struct retort_error *err) {
        static const struct rt_slot_places guess = { "/work", "/tmp", "/retort" };
        rt_auto_arena struct rt_arena arena = { 0 };
        struct rt_context_box *box = NULL;
        struct rt_lang_step step;
        int theirs[4] = { -1, -1, -1, -1 };
        int r = plan_runner(context, &guess, &arena, &step, err);
        int kind = r == 0 && *forked && step.fork_argv ? rt_engine_warm_kind(context->engine, context->runtime, true) : RT_KIND_COLD;
        *forked = false;
        r = r < 0 ? r : rt_context_box_open(context->engine, kind, &box, &context->start, err);
        if (r < 0)
                return r;
        *forked = box->kind != RT_KIND_COLD;
        r = plan_runner(context, &box->places, &arena, &step, err);
        if (r == 0 && !(step.env = with_supervisor(step.env, &box->places, &arena)))
                r = rt_fail_nomem(err);
        r = r < 0 ? r : start_box(context, box, &step, o, theirs, err);
        if (r < 0) {
                rt_context_box_leave(box);
        } else {
                (void)set_box(context, box);
                r = *forked ? await_forked(context, theirs, err) : spawn_runner(context, err);
        }
        (void)rt_close(theirs[3]);
        return r;
}

static void drop_box(struct retort_context *context) {
        rt_runner_close(&context->runner);
        if (context->box)
                rt_context_box_leave(rt_take(context->box));
}

/* Instead of the box that it has, if any: which it keeps when there is no other to be had. */
static int open_any_box(struct retort_context *context, const struct retort_context_options *o, struct retort_error *err) {
        struct rt_context_box *const old = context->box;
        bool forked = true;
        int r = open_box(context, o, &forked, err);
        if (r < 0 && forked) { /* whatever a fork lacks, a fresh one may have */
                rt_runner_close(&context->runner);
                if (context->box != old)
                        rt_context_box_leave(set_box(context, old));
                forked = false;
                r = open_box(context, o, &forked, err);
        }
        if (r == 0)
                rt_context_box_touch(context->box);
        else
                rt_runner_close(&context->runner);
        if (r < 0 && context->box != old)
                rt_context_box_leave(set_box(context, old));
        else if (r == 0 && old)
                rt_context_box_leave(old);
        return r;
}

int retort_context_open(retort_engine *engine, const struct retort_context_options *options, retort_context **ret_context,
                        struct retort_error *err) {
        struct retort_error local = { 0 };
        struct retort_context *context = NULL;
        err = err ? err : &local;
        int r = new_context(engine, options, &context, err);
        if (r < 0)
                return r;
        r = open_any_box(context, options, err);
        if (r < 0) {
                free_context(context);
                return r == RETORT_E_INPUT || r == RETORT_E_NO_RUNTIME ? r : rt_wrap(err, r, "opening a context");
        }
        *ret_context = context;
        return 0;
}

static int share_box(struct rt_context_box *box, struct retort_error *err) {
        (void)pthread_mutex_lock(&box->lock);
        bool fits = !box->ended && !box->paused;
        box->n_contexts += fits;
        box->n_holders += fits;
        (void)pthread_mutex_unlock(&box->lock);
        return fits ? 0 : rt_fail(err, RETORT_E_CLOSED, "the context's box has ended, or is paused");
}

/* For a restart, which may be one of the box, too. */
static void inherit(struct retort_context *context, const struct retort_context *from) {
        context->asked->limits = from->asked->limits;
        context->idle_ms = from->idle_ms;
        context->lifetime_ms = from->lifetime_ms;
}

static void end_runner(struct retort_context *context) {
        if (!rt_runner_has_ended(&context->runner, 0))
                rt_context_signal(context, SIGKILL, true);
}

/* Of one that never was: what was started for it in another's box must not stay there. */
static void give_up(struct retort_context *context) {
        if (context->box && context->runner.pid > 0)
                end_runner(context);
        drop_box(context);
        free_context(context);
}

int retort_context_open_beside(retort_context *first, const struct retort_context_options *options, retort_context **ret_context,
                               struct retort_error *err) {
        static const struct retort_limits none = { 0 };
        struct retort_error local = { 0 };
        struct retort_context *context = NULL;
        struct rt_context_box *box;
        err = err ? err : &local;
        if (options->n_files || options->idle_ms || options->lifetime_ms || memcmp(&options->limits, &none, sizeof none) != 0)
                return rt_fail(err, RETORT_E_INPUT, "files, limits, idle_ms and lifetime_ms are those of the first context of the box");
        int r = rt_context_use(first, &box, err);
        if (r < 0)
                return r;
        r = new_context(first->engine, options, &context, err);
        if (r == 0) {
                inherit(context, first);
                r = share_box(box, err);
                context->box = r == 0 ? box : NULL;
                r = r < 0 ? r : rt_context_box_starting(box, true, err);
                if (r == 0) {
                        r = spawn_runner(context, err);
                        (void)rt_context_box_starting(box, false, NULL);
                }
                if (r < 0)
                        give_up(context);
        }
        rt_context_unuse(first, box);
        if (r == 0)
                *ret_context = context;
        return r;
}

/* ---- a live copy ---- */

static int ask_for_copy(struct retort_context *from, const int theirs[4], int32_t *ret_pid, struct retort_error *err) {
        uint64_t id = ++from->runner.next_id;
        json_t *answer = NULL;
        if (rt_runner_send(&from->runner, json_pack("{s:s, s:I}", "type", "fork", "id", (json_int_t)id), theirs, 3) < 0)
                return rt_fail(err, RETORT_E_CLOSED, "the runner does not read");
        int r = rt_runner_await(&from->runner, "forked", id, rt_now_ns() + RT_CONTEXT_ANSWER_MS * 1000000ull, &answer, err);
        if (r < 0)
                return r;
        *ret_pid = (int32_t)json_integer_value(json_object_get(answer, "pid"));
        const char *why = json_string_value(json_object_get(answer, "message"));
        if (*ret_pid <= 0)
                r = rt_fail(err, RETORT_E_INPUT, "it cannot be copied: %.300s", why ? why : "the runner does not say why");
        json_decref(answer);
        return r;
}

static int copy_runner(struct retort_context *from, struct retort_context *to, struct retort_error *err) {
        int theirs[4];
        int32_t pid = 0;
        int r = rt_runner_open(&to->runner, theirs, err);
        if (r < 0)
                return r;
        r = ask_for_copy(from, theirs, &pid, err);
        struct rt_ask adopt = { .op = RT_ASK_ADOPT, .pid = pid };
        for (size_t i = 0; i < 3; i++)
                theirs[i] = rt_close(theirs[i]);
        if (r == 0)
                r = rt_context_box_ask(from->box, adopt, NULL, NULL, &theirs[3], 1, NULL, NULL, err);
        (void)rt_close(theirs[3]);
        to->runner.pid = pid;
        to->execution_count = from->execution_count;
        to->start = "fork";
        return r < 0 ? r : await_ready(to, err);
}

int retort_context_fork(retort_context *context, retort_context **ret_context, struct retort_error *err) {
        struct retort_error local = { 0 };
        struct retort_context *copy = NULL;
        err = err ? err : &local;
        if (!(context->features & RT_CAN_FORK))
                return rt_fail(err, RETORT_E_INPUT, "contexts of %s cannot be copied", rt_runtime_name(context->runtime));
        int r = rt_context_enter(context, -1, UINT64_MAX, err);
        if (r < 0)
                return r;
        const struct retort_context_options o = { .language = rt_runtime_name(context->runtime), .cwd = context->cwd, .packages = context->packages,
                                                  .env = context->asked->env, .n_env = context->asked->n_env };
        r = new_context(context->engine, &o, &copy, err);
        if (r == 0) {
                inherit(copy, context);
                copy->limits = context->limits;
                r = share_box(context->box, err);
                copy->box = r == 0 ? context->box : NULL;
                if (r == 0)
                        r = copy_runner(context, copy, err);
                if (r < 0)
                        give_up(copy);
        }
        rt_context_leave(context);
        if (r == 0)
                *ret_context = copy;
        return r;
}

/* ---- the end ---- */

/* With the lock held: waits until nobody is in a call any more. */
static void stop(struct retort_context *context) {
        (void)eventfd_write(context->wake, 1);
        for (struct rt_waiter *waiter = context->first; waiter; waiter = waiter->next)
                (void)eventfd_write(waiter->fd, 1);
        while (context->n_users > 0)
                (void)pthread_cond_wait(&context->quiet, &context->lock);
}

void retort_context_close(retort_context *context) {
        if (!context)
                return;
        (void)pthread_mutex_lock(&context->lock);
        context->closing = true;
        stop(context);
        (void)pthread_mutex_unlock(&context->lock);
        (void)pthread_mutex_lock(&context->box->lock);
        bool others = context->box->n_contexts > 1 && !context->box->ended;
        (void)pthread_mutex_unlock(&context->box->lock);
        if (others)
                end_runner(context);
        drop_box(context);
        free_context(context);
}

int rt_context_respawn(struct retort_context *context, bool *ret_files_kept, struct retort_error *err) {
        bool gone = rt_context_box_gone(context->box, 0);
        const struct retort_context_options o = { .language = context->asked->language, .limits = context->asked->limits,
                                                  .idle_ms = context->idle_ms, .lifetime_ms = context->lifetime_ms };
        int r;
        if (gone) {
                rt_runner_close(&context->runner);
                r = open_any_box(context, &o, err);
        } else {
                end_runner(context);
                rt_runner_close(&context->runner);
                r = spawn_runner(context, err);
        }
        if (ret_files_kept)
                *ret_files_kept = !gone;
        return r;
}
