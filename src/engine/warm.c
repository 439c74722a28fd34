/* SPDX-License-Identifier: Apache-2.0
 *
 * Frozen interpreters: started behind the runs' backs when a language is first asked for (those requests are run by a fresh
 * interpreter), renewed when old or much used, replaced when they die, let go when nobody wants them. A run never waits for one.
 * Those that are started ahead instead are engine/pools.c's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/util.h"
#include "engine/cache.h"
#include "engine/engine.h"

enum {
        START_MS = 120000,   /* how long one may take to import what it is told to */
        LOOK_MS = 100,       /* how late its thread notices that the engine closes */
        RENEW_S = 3600,      /* all forks of one share their memory's layout and hash seed */
        RENEW_FORKS = 50000,
        IDLE_S = 900,        /* unused that long, it goes: it holds about 100 MB */
        RETRY_S = 30,        /* after the first failure; twice as long after each more */
        MAX_FAILURES = 5,
};

struct freezing {
        struct retort_engine *engine;
        int kind;
        uint64_t epoch;
};

static bool is_runners(int kind) {
        return kind >= RT_ENGINE_MAX_RUNTIMES;
}

static const struct rt_runtime *runtime_of(struct retort_engine *engine, int kind) {
        return rt_lang_at(engine->runtimes, (size_t)kind % RT_ENGINE_MAX_RUNTIMES);
}

static int kind_of(struct retort_engine *engine, const struct rt_runtime *runtime, bool runner) {
        return (int)rt_engine_runtime_index(engine, runtime) + (runner ? RT_ENGINE_MAX_RUNTIMES : 0);
}

static uint64_t seconds(uint64_t s) {
        return s * 1000000000u;
}

static bool closing(struct retort_engine *engine) {
        (void)pthread_mutex_lock(&engine->lock);
        bool closing = engine->closing;
        (void)pthread_mutex_unlock(&engine->lock);
        return closing;
}

static int start_one(struct freezing *f, struct rt_frozen **ret_frozen, struct retort_error *err) {
        rt_auto_arena struct rt_arena arena = { 0 };
        const struct rt_lang_places places = { "/work", "/tmp", "/retort" };
        struct rt_frozen *frozen = NULL;
        struct rt_lang_step step;
        int r = rt_lang_warm(runtime_of(f->engine, f->kind), is_runners(f->kind), &places, &f->engine->ceilings, &arena, &step, err);
        if (r == 0)
                r = rt_frozen_start(f->engine->jail, step.argv, step.env, &frozen, err);
        for (unsigned waited = 0; r == 0; waited += LOOK_MS) {
                r = rt_frozen_await(frozen, LOOK_MS, err);
                if (r != RETORT_E_TIMEOUT || waited >= START_MS || closing(f->engine))
                        break;
                r = 0;
        }
        if (r == 0)
                *ret_frozen = frozen;
        else
                (void)rt_frozen_free(frozen);
        return r;
}

static void *freeze(void *argument) {
        struct freezing *f = argument;
        struct retort_engine *engine = f->engine;
        struct retort_error err = { 0 };
        struct rt_frozen *frozen = NULL;
        int r = start_one(f, &frozen, &err);
        (void)pthread_mutex_lock(&engine->lock);
        struct rt_warm *w = &engine->warm[f->kind];
        w->starting = false;
        w->failures = r < 0 ? w->failures + 1 : 0;
        (void)snprintf(w->why, sizeof w->why, "%.255s", r < 0 ? err.message : "");
        if (r == 0) {
                engine->n_frozen += !w->frozen;
                (void)rt_frozen_free(w->frozen);
                w->frozen = frozen;
                w->epoch = f->epoch;
                w->forks = 0;
        }
        engine->n_asking--;
        (void)pthread_cond_signal(&engine->chores);
        (void)pthread_cond_broadcast(&engine->changed);
        (void)pthread_mutex_unlock(&engine->lock);
        free(f);
        return NULL;
}

bool rt_engine_warm_resting(const struct rt_warm *w) {
        return w->failures >= MAX_FAILURES || (w->failures > 0 && rt_now_ns() - w->tried_ns < seconds(RETRY_S << (w->failures - 1)));
}

/* With the lock held. */
static void start(struct retort_engine *engine, int kind) {
        struct rt_warm *w = &engine->warm[kind];
        if (!engine->freeze || w->starting || engine->closing || rt_engine_warm_resting(w))
                return;
        pthread_t thread;
        struct freezing *f = malloc(sizeof *f);
        if (!f)
                return;
        *f = (struct freezing){ engine, kind, w->epoch_now };
        w->starting = true;
        w->tried_ns = rt_now_ns();
        engine->n_asking++;
        if (rt_engine_thread(&thread, freeze, f) == 0) {
                (void)pthread_detach(thread);
                return;
        }
        w->starting = false;
        engine->n_asking--;
        free(f);
}

static void let_go(struct retort_engine *engine, struct rt_warm *w) {
        engine->n_frozen -= w->frozen != NULL;
        w->frozen = rt_frozen_free(w->frozen);
}

int rt_engine_warm_kind(struct retort_engine *engine, const struct rt_runtime *runtime, bool runner) {
        int kind = kind_of(engine, runtime, runner);
        if (!engine->freeze || !engine->may_warm[kind] || !rt_runtime_can_warm(runtime, runner))
                return RT_KIND_COLD;
        if (!runner && rt_runtime_is_pooled(runtime))
                return rt_engine_pool_kind(engine, runtime, kind);
        uint64_t epoch = 0;
        bool steady = runner || !engine->cache || !rt_runtime_cache(runtime) || rt_cache_steady(engine->cache, (size_t)kind, &epoch);
        (void)pthread_mutex_lock(&engine->lock);
        struct rt_warm *w = &engine->warm[kind];
        w->used_ns = rt_now_ns();
        w->epoch_now = epoch;
        if (w->frozen && w->epoch != epoch) { /* a frozen compiler is the one that was installed then */
                w->stale = rt_frozen_serial(w->frozen);
                let_go(engine, w);
        }
        if (!w->frozen && steady)
                start(engine, kind);
        bool have = w->frozen != NULL;
        (void)pthread_mutex_unlock(&engine->lock);
        return have ? kind : RT_KIND_COLD;
}

/* "python": for its programs; "python/context": for its contexts. */
static const struct rt_runtime *find_named(struct retort_engine *engine, const char *name, bool *ret_runner, struct retort_error *err) {
        static const char suffix[] = "/context";
        char language[64];
        size_t size = strlen(name);
        *ret_runner = size > strlen(suffix) && strcmp(name + size - strlen(suffix), suffix) == 0;
        (void)snprintf(language, sizeof language, "%.*s", (int)(*ret_runner ? size - strlen(suffix) : size), name);
        return rt_lang_find(engine->runtimes, language, err);
}

int rt_engine_warm_open(struct retort_engine *engine, const char *languages, struct retort_error *err) {
        rt_auto_free char *copy = strdup(languages ? languages : "");
        char *save = NULL;
        if (!copy)
                return rt_fail_nomem(err);
        for (int kind = 0; kind < RT_ENGINE_KINDS; kind++)
                engine->may_warm[kind] = !languages;
        for (char *name = strtok_r(copy, ", ", &save); name; name = strtok_r(NULL, ", ", &save)) {
                bool runner;
                const struct rt_runtime *runtime = find_named(engine, name, &runner, err);
                if (!runtime)
                        return rt_wrap(err, err->code, "warm");
                if (!rt_runtime_can_warm(runtime, runner))
                        return rt_fail(err, RETORT_E_INPUT, "warm: %s cannot be kept warm", name);
                engine->may_warm[kind_of(engine, runtime, runner)] = true;
                (void)rt_engine_warm_kind(engine, runtime, runner);
        }
        return 0;
}

int retort_engine_warm(retort_engine *engine, const char *language, int timeout_ms, struct retort_error *err) {
        struct retort_error local = { 0 };
        err = err ? err : &local;
        bool runner;
        const struct rt_runtime *runtime = find_named(engine, language, &runner, err);
        if (!runtime)
                return err->code;
        int kind = kind_of(engine, runtime, runner);
        if (!engine->freeze || !engine->may_warm[kind] || !rt_runtime_can_warm(runtime, runner))
                return rt_fail(err, RETORT_E_INPUT, "%s is not to be kept warm here", language);
        uint64_t deadline = rt_now_ns() + (uint64_t)(timeout_ms < 0 || timeout_ms > START_MS ? START_MS : timeout_ms) * 1000000u;
        const struct rt_warm *w = &engine->warm[kind];
        bool have = rt_engine_warm_kind(engine, runtime, runner) == kind;
        if (!runner && rt_runtime_is_pooled(runtime))
                return rt_engine_pool_await(engine, kind, deadline, err);
        (void)pthread_mutex_lock(&engine->lock);
        while (!have && w->starting && rt_now_ns() < deadline && !engine->closing) {
                struct timespec until;
                (void)clock_gettime(CLOCK_MONOTONIC, &until);
                until.tv_sec += 1;
                (void)pthread_cond_timedwait(&engine->changed, &engine->lock, &until);
                have = w->frozen != NULL;
        }
        have = w->frozen != NULL;
        int r = have ? 0
                : w->starting ? rt_fail(err, RETORT_E_TIMEOUT, "%s is not frozen yet", language)
                              : rt_fail(err, RETORT_E_SYSTEM, "%s", w->why[0] ? w->why : "it was given up");
        (void)pthread_mutex_unlock(&engine->lock);
        return r;
}

struct rt_frozen *rt_engine_frozen(struct retort_engine *engine, int kind) {
        if (kind == RT_KIND_COLD)
                return NULL;
        struct rt_warm *w = &engine->warm[kind];
        w->forks += w->frozen != NULL;
        return w->frozen;
}

bool rt_engine_warm_current(struct retort_engine *engine, int kind, const struct rt_slot *slot) {
        if (kind == RT_KIND_COLD)
                return false;
        (void)pthread_mutex_lock(&engine->lock);
        bool current = rt_slot_forked(slot) > engine->warm[kind].stale;
        (void)pthread_mutex_unlock(&engine->lock);
        return current;
}

void rt_engine_warm_missed(struct retort_engine *engine, int kind) {
        struct rt_warm *w = kind == RT_KIND_COLD ? NULL : &engine->warm[kind];
        if (!w || !w->frozen || rt_frozen_alive(w->frozen))
                return;
        let_go(engine, w);
        start(engine, kind);
}

void rt_engine_warm_age(struct retort_engine *engine) {
        uint64_t now = rt_now_ns();
        for (int kind = 0; kind < RT_ENGINE_KINDS && engine->n_frozen > 0; kind++) {
                struct rt_warm *w = &engine->warm[kind];
                if (!w->frozen)
                        continue;
                bool alive = rt_frozen_alive(w->frozen);
                if (!alive || now - w->used_ns > seconds(IDLE_S))
                        let_go(engine, w);
                if (!alive)
                        start(engine, kind);
                else if (w->frozen && (now - w->tried_ns > seconds(RENEW_S) || w->forks > RENEW_FORKS))
                        start(engine, kind);
        }
}

void rt_engine_warm_close(struct retort_engine *engine) {
        for (int kind = 0; kind < RT_ENGINE_KINDS; kind++) {
                let_go(engine, &engine->warm[kind]);
                engine->warm[kind].pool.ahead = rt_ahead_free(engine->warm[kind].pool.ahead);
        }
}
