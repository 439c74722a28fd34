/* SPDX-License-Identifier: Apache-2.0
 *
 * Pools: slots in which an interpreter was started ahead, loaded what it needs, and waits for the one program that it will run.
 * How many are kept follows from how often one is asked for and what it takes to start one: as many as are asked for while
 * one starts, and one more; none for a language that nobody has asked for lately. All of them together hold a part of the
 * host's memory at most. They are made when a processor has nothing else to do, and with little urgency.
 */
#include <stdio.h>
#include <time.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/util.h"
#include "engine/engine.h"

enum {
        IDLE_S = 300,   /* unused that long, none is kept: each holds some megabytes, and starts in less than a second */
        TRIM_S = 30,    /* more than are needed are kept so long after the last request: to start one anew costs more */
        MEMORY_S = 10,  /* how long a request counts for the rate */
        SPREAD = 2,     /* requests do not come evenly */
};

bool rt_engine_is_pool(const struct retort_engine *engine, int kind) {
        return kind != RT_KIND_COLD && engine->warm[kind].pool.ahead;
}

/* What is left of the rate of then. */
static double decayed(const struct rt_warm *w, uint64_t now) {
        double passed = (double)(now - w->used_ns) / 1e9;
        return w->pool.rate * MEMORY_S / (MEMORY_S + passed);
}

static int prepare(struct retort_engine *engine, const struct rt_runtime *runtime, struct rt_ahead **ret_ahead, struct retort_error *err) {
        rt_auto_arena struct rt_arena arena = { 0 };
        const struct rt_lang_places places = { "/work", "/tmp", "/retort" };
        struct rt_lang_step step;
        int r = rt_lang_warm(runtime, false, &places, &engine->ceilings, &arena, &step, err);
        return r < 0 ? r : rt_ahead_new(step.argv, step.env, ret_ahead, err);
}

int rt_engine_pool_kind(struct retort_engine *engine, const struct rt_runtime *runtime, int kind) {
        struct rt_ahead *ahead = NULL;
        struct retort_error err = { 0 };
        (void)pthread_mutex_lock(&engine->lock);
        struct rt_warm *w = &engine->warm[kind];
        bool wanted = !w->pool.ahead && !rt_engine_warm_resting(w);
        (void)pthread_mutex_unlock(&engine->lock);
        if (wanted)
                (void)prepare(engine, runtime, &ahead, &err);
        (void)pthread_mutex_lock(&engine->lock);
        uint64_t now = rt_now_ns();
        if (ahead && !w->pool.ahead) {
                w->pool.ahead = rt_take(ahead);
                engine->n_pools++;
        } else if (wanted && !ahead && !w->pool.ahead) {
                w->failures++;
                w->tried_ns = now;
                (void)snprintf(w->why, sizeof w->why, "%.255s", err.message);
        }
        w->pool.rate = decayed(w, now) + 1.0 / MEMORY_S;
        w->used_ns = now;
        bool have = w->pool.ahead && !rt_engine_warm_resting(w);
        if (have && rt_engine_count_kind(engine, kind) == 0)
                (void)pthread_cond_signal(&engine->chores);
        (void)pthread_mutex_unlock(&engine->lock);
        (void)rt_ahead_free(ahead);
        return have ? kind : RT_KIND_COLD;
}

/* What the pools of all other kinds hold. */
static uint64_t held_by_others(const struct retort_engine *engine, int but) {
        uint64_t sum = 0;
        for (int kind = 0; kind < RT_ENGINE_MAX_RUNTIMES; kind++)
                if (kind != but && engine->warm[kind].pool.ahead)
                        sum += engine->warm[kind].pool.cost.memory_bytes * rt_engine_count_kind(engine, kind);
        return sum;
}

/* How many there may be, whoever wants them. */
static unsigned most(const struct retort_engine *engine, int kind) {
        const struct rt_warm *w = &engine->warm[kind];
        if (w->pool.cost.memory_bytes == 0)
                return engine->warm_slots; /* none was started yet */
        uint64_t others = held_by_others(engine, kind);
        uint64_t fit = others < engine->pool_bytes ? (engine->pool_bytes - others) / w->pool.cost.memory_bytes : 0;
        return fit < engine->warm_slots ? (unsigned)fit : engine->warm_slots;
}

static bool is_unused_for(const struct rt_warm *w, uint64_t now, uint64_t s) {
        return now - w->used_ns > s * 1000000000u;
}

unsigned rt_engine_pool_target(const struct retort_engine *engine, int kind) {
        const struct rt_warm *w = &engine->warm[kind];
        uint64_t now = rt_now_ns();
        if (!w->pool.ahead || rt_engine_warm_resting(w) || is_unused_for(w, now, IDLE_S))
                return 0;
        double meanwhile = decayed(w, now) * (double)w->pool.cost.cpu_ns / 1e9 * SPREAD;
        unsigned may = most(engine, kind);
        return meanwhile + 1 < may ? (unsigned)meanwhile + 1 : may;
}

unsigned rt_engine_pool_excess(const struct retort_engine *engine, int kind) {
        const struct rt_warm *w = &engine->warm[kind];
        if (!w->pool.ahead)
                return 0;
        bool patient = !is_unused_for(w, rt_now_ns(), TRIM_S);
        unsigned have = rt_engine_count_kind(engine, kind);
        unsigned keep = patient ? most(engine, kind) : rt_engine_pool_target(engine, kind);
        return have > keep ? have - keep : 0;
}

unsigned rt_engine_pool_targets(const struct retort_engine *engine) {
        unsigned sum = 0;
        for (int kind = 0; kind < RT_ENGINE_MAX_RUNTIMES && engine->n_pools > 0; kind++)
                sum += rt_engine_pool_target(engine, kind);
        return sum;
}

bool rt_engine_pool_may_refill(const struct retort_engine *engine) {
        return engine->n_used < engine->cpus;
}

void rt_engine_pool_result(struct retort_engine *engine, int kind, struct rt_slot *slot) {
        struct rt_warm *w = &engine->warm[kind];
        char words[256] = "";
        if (slot && rt_slot_ahead(slot, &w->pool.cost)) {
                w->failures = 0;
                w->why[0] = 0;
                return;
        }
        if (slot)
                rt_slot_last_words(slot, words);
        w->failures++;
        w->tried_ns = rt_now_ns();
        (void)snprintf(w->why, sizeof w->why, "the interpreter could not be started ahead%s%.200s", words[0] ? ": " : "", words);
}

static bool any_ready(const struct retort_engine *engine, int kind) {
        for (unsigned i = 0; i < engine->n_idle; i++)
                if (engine->idle[i].kind == kind)
                        return true;
        return false;
}

int rt_engine_pool_await(struct retort_engine *engine, int kind, uint64_t deadline_ns, struct retort_error *err) {
        const struct rt_warm *w = &engine->warm[kind];
        (void)pthread_mutex_lock(&engine->lock);
        engine->n_waiting++;
        while (!any_ready(engine, kind) && !rt_engine_warm_resting(w) && rt_now_ns() < deadline_ns && !engine->closing) {
                struct timespec until;
                (void)clock_gettime(CLOCK_MONOTONIC, &until);
                until.tv_sec += 1;
                (void)pthread_cond_timedwait(&engine->changed, &engine->lock, &until);
        }
        engine->n_waiting--;
        int r = any_ready(engine, kind)        ? 0
                : !rt_engine_warm_resting(w) ? rt_fail(err, RETORT_E_TIMEOUT, "no interpreter is started ahead yet")
                                             : rt_fail(err, RETORT_E_SYSTEM, "%s", w->why);
        (void)pthread_mutex_unlock(&engine->lock);
        return r;
}
