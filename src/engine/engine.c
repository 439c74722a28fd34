/* SPDX-License-Identifier: Apache-2.0
 *
 * The public engine: opening and closing, and the three ways to run a request.
 */
#include "engine/engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"
#include "engine/cache.h"
#include "engine/paths.h"
#include "engine/pump.h"
#include "model/model.h"

/* ---- opening and closing ---- */

static void set_ceilings(struct retort_limits *ceilings, const struct retort_limits *asked) {
#define X(member, unit, dflt, floor, ceiling, text)                                                                    \
        ceilings->member = asked->member && asked->member < (ceiling) ? asked->member : (ceiling);
        RETORT_LIMITS(X)
#undef X
}

static int check_level(struct retort_engine *engine, enum retort_isolation minimum, struct retort_error *err) {
        const struct rt_box_isolation *isolation = rt_jail_isolation(engine->jail);
        for (int m = 0; m < RT_BOX_MECHANISMS; m++)
                if (isolation->mechanisms[m].state != RT_BOX_ACTIVE)
                        engine->missing[engine->n_missing++] = rt_mechanism_name(m);
        if (isolation->level >= (uint32_t)minimum)
                return 0;
        const char *first = engine->n_missing ? engine->missing[0] : "";
        return rt_fail(err, RETORT_E_ISOLATION, "this host gives isolation `%s`, and `%s` is asked for; missing: %s%s "
                       "(see retort doctor; or ask for less)", rt_isolation_name(isolation->level), rt_isolation_name(minimum), first,
                       engine->n_missing > 1 ? " and more" : "");
}

static int open_jail(struct retort_engine *engine, const struct retort_config *config, struct retort_error *err) {
        struct rt_paths paths;
        struct rt_jail_config jail = { .ceilings = engine->ceilings };
        jail.ceilings.wall_ms = jail.ceilings.cpu_ms = RT_ENGINE_BOX_MS; /* a context lasts longer than any one of its cells may */
        int r = rt_paths_find(&paths, config, err);
        if (r == 0)
                r = rt_mechanism_mask(config->disable, &jail.disable, err);
        if (r == 0)
                r = rt_lang_load(paths.runtimes, &engine->runtimes, err);
        jail.jailer = paths.jailer;
        jail.init = paths.init;
        jail.forkserver = paths.forkserver[0] ? paths.forkserver : NULL;
        jail.runtimes = paths.runtimes;
        jail.scratch = paths.scratch;
        if (r == 0 && !(engine->runtimes_dir = strdup(paths.runtimes)))
                r = rt_fail_nomem(err);
        return r < 0 ? r : rt_jail_open(&engine->jail, &jail, err);
}

static unsigned at_most(unsigned value, unsigned most) {
        return value < most ? value : most;
}

int retort_engine_open(retort_engine **ret_engine, const struct retort_config *config, struct retort_error *err) {
        static const struct retort_config defaults = { 0 };
        struct retort_error local = { 0 };
        if (!err)
                err = &local;
        if (!config)
                config = &defaults;
        struct retort_engine *engine = calloc(1, sizeof *engine);
        if (!engine)
                return rt_fail_nomem(err);
        pthread_condattr_t monotonic;
        (void)pthread_condattr_init(&monotonic);
        (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        (void)pthread_cond_init(&engine->changed, &monotonic);
        (void)pthread_cond_init(&engine->chores, &monotonic);
        (void)pthread_condattr_destroy(&monotonic);
        (void)pthread_mutex_init(&engine->lock, NULL);
        unsigned cpus = (unsigned)get_nprocs();
        engine->max_slots = at_most(config->slots ? config->slots : 2 * cpus, RT_ENGINE_MAX_SLOTS);
        engine->warm_slots = config->no_warm ? 0 : at_most(config->warm_slots ? config->warm_slots : cpus, engine->max_slots);
        engine->freeze = engine->warm_slots > 0;
        engine->cpus = cpus;
        engine->pool_bytes = (uint64_t)get_phys_pages() * (uint64_t)sysconf(_SC_PAGESIZE) / RT_ENGINE_POOL_PART;
        set_ceilings(&engine->ceilings, &config->ceilings);
        int r = open_jail(engine, config, err);
        if (r == 0)
                r = check_level(engine, config->minimum, err);
        if (r == 0 && !config->no_cache &&
            !(engine->cache = rt_cache_new(config->cache_bytes ? config->cache_bytes : RETORT_CACHE_BYTES)))
                r = rt_fail_nomem(err);
        if (r == 0)
                r = rt_engine_slots_open(engine, err);
        if (r == 0)
                r = rt_engine_warm_open(engine, config->warm, err);
        if (r < 0) {
                retort_engine_close(engine);
                return rt_wrap(err, r, "opening the engine");
        }
        *ret_engine = engine;
        return 0;
}

static bool any_goes_on(const struct retort_engine *engine) {
        const struct rt_run *run = engine->runs;
        while (run && run->ended)
                run = run->next;
        return run;
}

void retort_engine_close(retort_engine *engine) {
        if (!engine)
                return;
        (void)pthread_mutex_lock(&engine->lock);
        engine->closing = true;
        for (struct rt_run *run = engine->runs; run; run = run->next)
                (void)eventfd_write(run->cancel_fd, 1);
        rt_cache_stop(engine->cache);
        while (any_goes_on(engine) || engine->n_asking > 0)
                (void)pthread_cond_wait(&engine->changed, &engine->lock);
        for (struct rt_run *run = engine->runs; run; run = run->next) { /* ended, and not freed yet */
                run->held.slot = rt_slot_free(run->held.slot);
                run->engine = NULL;
        }
        (void)pthread_mutex_unlock(&engine->lock);
        rt_engine_slots_close(engine);
        rt_engine_warm_close(engine);
        engine->jail = rt_jail_close(engine->jail);
        engine->runtimes = rt_lang_free(engine->runtimes);
        engine->cache = rt_cache_free(engine->cache);
        free(engine->runtimes_dir);
        (void)pthread_cond_destroy(&engine->changed);
        (void)pthread_cond_destroy(&engine->chores);
        (void)pthread_mutex_destroy(&engine->lock);
        free(engine);
}

void retort_engine_cache(retort_engine *engine, struct retort_cache_stats *ret_stats) {
        *ret_stats = (struct retort_cache_stats){ 0 };
        if (engine->cache)
                rt_cache_stats(engine->cache, ret_stats);
}

/* ---- running ---- */

/* Puts the run, which has a cancel_fd, among those that closing must cancel. */
static int enlist(struct rt_run *run, struct retort_error *err) {
        struct retort_engine *engine = run->engine;
        (void)pthread_mutex_lock(&engine->lock);
        bool closing = engine->closing;
        if (!closing) {
                run->next = engine->runs;
                engine->runs = run;
        }
        (void)pthread_mutex_unlock(&engine->lock);
        return closing ? rt_fail(err, RETORT_E_CLOSED, "the engine is closing") : 0;
}

static int open_cancel(struct rt_run *run, struct retort_error *err) {
        run->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        return run->cancel_fd < 0 ? rt_fail_errno(err, "cannot make an eventfd") : 0;
}

/* The run has nothing of the engine's any more: closing waits for that. */
static void delist(struct rt_run *run) {
        struct retort_engine *engine = run->engine;
        rt_engine_run_end(run);
        (void)pthread_mutex_lock(&engine->lock);
        struct rt_run **at = &engine->runs;
        while (*at && *at != run)
                at = &(*at)->next;
        if (*at)
                *at = run->next;
        if (engine->closing)
                (void)pthread_cond_broadcast(&engine->changed);
        (void)pthread_mutex_unlock(&engine->lock);
}

int retort_run_wait(retort_engine *engine, const struct retort_request *request, retort_event_fn on_event,
                    void *userdata, struct retort_outcome **ret_outcome, struct retort_error *err) {
        struct rt_run run = { .engine = engine, .request = request, .on_event = on_event, .userdata = userdata, .terminal = -1 };
        int r = open_cancel(&run, err);
        if (r == 0)
                r = enlist(&run, err);
        if (r == 0) {
                r = rt_engine_run(&run, ret_outcome, err);
                delist(&run);
        }
        (void)rt_close(run.cancel_fd);
        return r;
}

struct retort_run {
        struct rt_run run;
        struct retort_request *request;
        pthread_t thread; /* of retort_submit */
        bool have_thread;
        bool performed;
        pthread_mutex_t lock;
        pthread_cond_t ended;
        bool done;
        int result;
        struct retort_error err;
        struct retort_outcome *outcome; /* NULL also after it was handed out */
};

static void *run_submitted(void *argument) {
        struct retort_run *run = argument;
        struct retort_outcome *outcome = NULL;
        struct retort_error err = { 0 };
        int r = rt_engine_run(&run->run, &outcome, &err);
        (void)pthread_mutex_lock(&run->lock);
        run->done = true;
        run->result = r;
        run->err = err;
        run->outcome = outcome;
        (void)pthread_cond_broadcast(&run->ended);
        (void)pthread_mutex_unlock(&run->lock);
        delist(&run->run); /* last: closing the engine waits for it */
        return NULL;
}

static void free_run(struct retort_run *run) {
        retort_outcome_free(run->outcome);
        retort_request_free(run->request);
        (void)rt_close(run->run.cancel_fd);
        (void)pthread_cond_destroy(&run->ended);
        (void)pthread_mutex_destroy(&run->lock);
        free(run);
}

int retort_request_check(retort_engine *engine, const struct retort_request *request, struct retort_error *err) {
        struct retort_error local = { 0 };
        return rt_engine_check(engine, request, err ? err : &local);
}

int retort_prepare(retort_engine *engine, const struct retort_request *request, retort_event_fn on_event,
                   void *userdata, retort_run **ret_run, struct retort_error *err) {
        int r = retort_request_check(engine, request, err);
        if (r < 0)
                return r;
        struct retort_run *run = calloc(1, sizeof *run);
        if (!run)
                return rt_fail_nomem(err);
        pthread_condattr_t monotonic;
        (void)pthread_condattr_init(&monotonic);
        (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        (void)pthread_cond_init(&run->ended, &monotonic);
        (void)pthread_condattr_destroy(&monotonic);
        (void)pthread_mutex_init(&run->lock, NULL);
        run->run = (struct rt_run){ .engine = engine, .on_event = on_event, .userdata = userdata, .cancel_fd = -1,
                                    .terminal = -1, .begun_ns = rt_now_ns() };
        r = rt_model_request_copy(request, &run->request, err);
        run->run.request = run->request;
        if (r == 0)
                r = open_cancel(&run->run, err);
        if (r < 0) {
                free_run(run);
                return r;
        }
        *ret_run = run;
        return 0;
}

int retort_perform(retort_run *run, struct retort_outcome **ret_outcome, struct retort_error *err) {
        if (run->have_thread || run->performed)
                return rt_fail(err, RETORT_E_INPUT, "the run was performed before");
        run->performed = true;
        int r = enlist(&run->run, err);
        if (r < 0)
                return r;
        r = rt_engine_run(&run->run, ret_outcome, err);
        (void)pthread_mutex_lock(&run->run.engine->lock);
        run->run.ended = true; /* the box is made as new when the run is freed: the outcome goes first */
        if (run->run.engine->closing)
                (void)pthread_cond_broadcast(&run->run.engine->changed);
        (void)pthread_mutex_unlock(&run->run.engine->lock);
        return r;
}

int retort_submit(retort_engine *engine, const struct retort_request *request, retort_event_fn on_event,
                  void *userdata, retort_run **ret_run, struct retort_error *err) {
        struct retort_run *run = NULL;
        int r = retort_prepare(engine, request, on_event, userdata, &run, err);
        if (r == 0)
                r = enlist(&run->run, err);
        if (r < 0) {
                retort_run_free(run);
                return r;
        }
        run->have_thread = pthread_create(&run->thread, NULL, run_submitted, run) == 0;
        if (!run->have_thread) {
                delist(&run->run);
                retort_run_free(run);
                return rt_fail(err, RETORT_E_SYSTEM, "cannot start a thread");
        }
        *ret_run = run;
        return 0;
}

static bool wait_until_done(struct retort_run *run, int timeout_ms) {
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += timeout_ms / 1000;
        until.tv_nsec += (timeout_ms % 1000) * 1000000l;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        int r = 0;
        while (!run->done && r == 0)
                r = timeout_ms < 0 ? pthread_cond_wait(&run->ended, &run->lock)
                                   : pthread_cond_timedwait(&run->ended, &run->lock, &until);
        return run->done;
}

int retort_wait(retort_run *run, int timeout_ms, struct retort_outcome **ret_outcome, struct retort_error *err) {
        (void)pthread_mutex_lock(&run->lock);
        int r;
        if (!wait_until_done(run, timeout_ms)) {
                r = rt_fail(err, RETORT_E_TIMEOUT, "the run goes on after %d ms", timeout_ms);
        } else if (run->result < 0) {
                r = rt_fail(err, run->result, "%s", run->err.message);
        } else if (!run->outcome) {
                r = rt_fail(err, RETORT_E_INPUT, "the outcome was handed out before");
        } else {
                *ret_outcome = rt_take(run->outcome);
                r = 0;
        }
        (void)pthread_mutex_unlock(&run->lock);
        return r;
}

void retort_cancel(retort_run *run) {
        int kept = errno;
        (void)eventfd_write(run->run.cancel_fd, 1);
        errno = kept;
}

void retort_resize(retort_run *run, unsigned columns, unsigned rows) {
        rt_run_resize(&run->run, columns, rows);
}

void retort_run_free(retort_run *run) {
        if (!run)
                return;
        retort_cancel(run);
        if (run->have_thread)
                (void)pthread_join(run->thread, NULL);
        if (run->run.ended && run->run.engine)
                delist(&run->run);
        free_run(run);
}
