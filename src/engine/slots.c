/* SPDX-License-Identifier: Apache-2.0
 *
 * Boxes ready before they are asked for, and made as new behind the runs' backs. Every slot is in exactly one place:
 * idle, dirty, or with the thread that uses, makes or recycles it; n_slots counts them all. A slot is of a kind: it holds a
 * fork of some frozen interpreter, an interpreter that was started ahead (engine/pools.c), or (cold) a process that will become any program. It keeps the kind that it was last used as, so that
 * what is asked for often is there; one of another kind is made over when it is needed.
 */
#include <errno.h>
#include <string.h>
#include <signal.h>
#include <time.h>

#include "base/err.h"
#include "base/util.h"
#include "engine/engine.h"

enum { LOOK_MS = 20, AGE_MS = 5000 }; /* how late a cancelled run notices while it waits for a slot */

static void *keep_house(void *argument);

int rt_engine_thread(pthread_t *ret_thread, void *(*start)(void *), void *argument) {
        sigset_t all, before;
        (void)sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, &before);
        int failed = pthread_create(ret_thread, NULL, start, argument);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
        return failed;
}

int rt_engine_slots_open(struct retort_engine *engine, struct retort_error *err) {
        if (rt_engine_thread(&engine->housekeeper, keep_house, engine) != 0)
                return rt_fail(err, RETORT_E_SYSTEM, "cannot start a thread");
        engine->have_housekeeper = true;
        return 0;
}

void rt_engine_slots_close(struct retort_engine *engine) {
        if (engine->have_housekeeper) {
                (void)pthread_mutex_lock(&engine->lock);
                engine->closing = true;
                (void)pthread_cond_signal(&engine->chores);
                (void)pthread_mutex_unlock(&engine->lock);
                (void)pthread_join(engine->housekeeper, NULL);
        }
        engine->have_housekeeper = false;
        while (engine->n_idle > 0)
                (void)rt_slot_free(engine->idle[--engine->n_idle].slot);
        while (engine->n_dirty > 0)
                (void)rt_slot_free(engine->dirty[--engine->n_dirty].slot);
        engine->n_slots = 0;
}

/* ---- with the lock held ---- */

enum { ANY_KIND = -2, NO_POOL = -3 };

static void tell_waiting(struct retort_engine *engine) {
        if (engine->n_waiting > 0)
                (void)pthread_cond_broadcast(&engine->changed);
}

static struct rt_ready_slot take_out(struct rt_ready_slot *list, unsigned *n, unsigned i) {
        struct rt_ready_slot taken = list[i];
        --*n;
        memmove(list + i, list + i + 1, (*n - i) * sizeof *list);
        return taken;
}

/* The first of this kind. False: none. */
static bool take_kind(const struct retort_engine *engine, struct rt_ready_slot *list, unsigned *n, int kind, struct rt_ready_slot *ret) {
        for (unsigned i = 0; i < *n; i++)
                if (kind == ANY_KIND || (kind == NO_POOL && !rt_engine_is_pool(engine, list[i].kind)) || list[i].kind == kind) {
                        *ret = take_out(list, n, i);
                        return true;
                }
        return false;
}

unsigned rt_engine_count_kind(const struct retort_engine *engine, int kind) {
        unsigned n = 0;
        for (unsigned i = 0; i < engine->n_idle; i++)
                n += engine->idle[i].kind == kind;
        for (unsigned i = 0; i < engine->n_dirty; i++)
                n += engine->dirty[i].kind == kind;
        return n + (engine->awaited.slot && engine->awaited.kind == kind);
}

/* Those in use, and beside them as many of each kind as are kept ready. */
static unsigned most_slots(const struct retort_engine *engine) {
        unsigned most = engine->max_slots + engine->warm_slots * engine->n_frozen + rt_engine_pool_targets(engine);
        return (most < RT_ENGINE_MAX_SLOTS ? most : RT_ENGINE_MAX_SLOTS) + engine->n_lent;
}

/* Waits until it is as new; slot NULL: it turned out odd. Lets go of the lock meanwhile. */
static void await_slot(struct retort_engine *engine, struct rt_ready_slot *s) {
        int wanted = s->kind;
        (void)pthread_mutex_unlock(&engine->lock);
        if (rt_slot_await(s->slot, NULL) < 0)
                s->slot = rt_slot_free(s->slot);
        else if (!rt_slot_forked(s->slot) && !rt_slot_ahead(s->slot, NULL))
                s->kind = RT_KIND_COLD;
        (void)pthread_mutex_lock(&engine->lock);
        if (!s->slot)
                engine->n_slots--;
        if (rt_engine_is_pool(engine, wanted))
                rt_engine_pool_result(engine, wanted, s->slot);
        else if (s->slot && s->kind != wanted)
                rt_engine_warm_missed(engine, wanted);
}

/* Begins to make a slot hold what this kind holds. */
static void begin_recycle(struct retort_engine *engine, struct rt_ready_slot *s, int kind) {
        bool pool = rt_engine_is_pool(engine, kind);
        struct rt_frozen *frozen = pool ? NULL : rt_engine_frozen(engine, kind);
        s->kind = pool || frozen ? kind : RT_KIND_COLD;
        int r = pool ? rt_slot_recycle_ahead(s->slot, engine->warm[kind].pool.ahead, NULL) : rt_slot_recycle(s->slot, frozen, NULL);
        if (r < 0) {
                s->slot = rt_slot_free(s->slot);
                engine->n_slots--;
        }
}

static void recycle_one(struct retort_engine *engine) {
        struct rt_ready_slot s = take_out(engine->dirty, &engine->n_dirty, 0);
        engine->awaited = s;
        await_slot(engine, &s);
        engine->awaited.slot = NULL;
        if (s.slot)
                engine->idle[engine->n_idle++] = s;
        tell_waiting(engine);
}

/* Counts it before it is there. Lets go of the lock meanwhile. */
static int make_slot(struct retort_engine *engine, struct rt_ready_slot *ret, struct retort_error *err) {
        *ret = (struct rt_ready_slot){ NULL, RT_KIND_COLD };
        engine->n_slots++;
        (void)pthread_mutex_unlock(&engine->lock);
        int r = rt_slot_make(engine->jail, &ret->slot, err);
        (void)pthread_mutex_lock(&engine->lock);
        if (r < 0)
                engine->n_slots--;
        return r;
}

static bool make_one(struct retort_engine *engine, int kind) {
        struct rt_ready_slot s;
        bool spare = kind != RT_KIND_COLD && rt_engine_count_kind(engine, RT_KIND_COLD) > engine->warm_slots;
        bool made = (spare && take_kind(engine, engine->idle, &engine->n_idle, RT_KIND_COLD, &s)) || make_slot(engine, &s, NULL) == 0;
        if (made && kind != RT_KIND_COLD)
                begin_recycle(engine, &s, kind);
        if (made && s.slot && s.kind != RT_KIND_COLD)
                engine->dirty[engine->n_dirty++] = s;
        else if (made && s.slot)
                engine->idle[engine->n_idle++] = s;
        tell_waiting(engine);
        return made;
}

/* How many of a kind are to be ready. */
static unsigned target(const struct retort_engine *engine, int kind) {
        if (rt_engine_is_pool(engine, kind))
                return rt_engine_pool_may_refill(engine) ? rt_engine_pool_target(engine, kind) : 0;
        return kind == RT_KIND_COLD || engine->warm[kind].frozen ? engine->warm_slots : 0;
}

/* A kind of which fewer are ready than should be. */
static bool find_scarce(const struct retort_engine *engine, int *ret_kind) {
        unsigned left = engine->n_frozen + engine->n_pools + 1;
        for (int kind = RT_KIND_COLD; kind < RT_ENGINE_KINDS && left > 0; kind++) {
                if (kind != RT_KIND_COLD && !engine->warm[kind].frozen && !rt_engine_is_pool(engine, kind))
                        continue;
                left--;
                if (rt_engine_count_kind(engine, kind) < target(engine, kind)) {
                        *ret_kind = kind;
                        return true;
                }
        }
        return false;
}

/* An interpreter that was started ahead and is not wanted any more goes, and its slot too, if there are enough of the cold. */
static bool trim_one(struct retort_engine *engine) {
        for (int kind = 0; kind < RT_ENGINE_MAX_RUNTIMES && engine->n_pools > 0; kind++) {
                struct rt_ready_slot s;
                if (rt_engine_pool_excess(engine, kind) == 0 || !take_kind(engine, engine->idle, &engine->n_idle, kind, &s))
                        continue;
                if (rt_engine_count_kind(engine, RT_KIND_COLD) < engine->warm_slots) {
                        begin_recycle(engine, &s, RT_KIND_COLD);
                } else {
                        s.slot = rt_slot_free(s.slot);
                        engine->n_slots--;
                }
                if (s.slot)
                        engine->dirty[engine->n_dirty++] = s;
                return true;
        }
        return false;
}

static void wait_for(struct retort_engine *engine, pthread_cond_t *what, long ms) {
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += ms / 1000;
        until.tv_nsec += ms % 1000 * 1000000l;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        (void)pthread_cond_timedwait(what, &engine->lock, &until);
}

/* For a slot. */
static void wait_a_little(struct retort_engine *engine) {
        engine->n_waiting++;
        wait_for(engine, &engine->changed, LOOK_MS);
        engine->n_waiting--;
}

static void *keep_house(void *argument) {
        struct retort_engine *engine = argument;
        bool can_make = true; /* a host that refuses a slot now is not asked again before something changes */
        int kind;
        (void)pthread_mutex_lock(&engine->lock);
        while (!engine->closing) {
                rt_engine_warm_age(engine);
                if (engine->n_dirty > 0) {
                        recycle_one(engine);
                } else if (can_make && engine->n_slots < most_slots(engine) && find_scarce(engine, &kind)) {
                        can_make = make_one(engine, kind);
                } else if (!trim_one(engine)) {
                        if (engine->n_frozen + engine->n_pools > 0)
                                wait_for(engine, &engine->chores, AGE_MS);
                        else
                                (void)pthread_cond_wait(&engine->chores, &engine->lock);
                        can_make = true;
                }
        }
        (void)pthread_mutex_unlock(&engine->lock);
        return NULL;
}

/* ---- for runs ---- */

/* A slot of any kind; a ready one before one that is nearly so, and that before a new one. */
static int take_any(struct retort_engine *engine, struct rt_ready_slot *ret, struct retort_error *err) {
        for (;;) {
                if (take_kind(engine, engine->idle, &engine->n_idle, RT_KIND_COLD, ret) ||
                    take_kind(engine, engine->idle, &engine->n_idle, NO_POOL, ret))
                        return 0;
                if (take_kind(engine, engine->dirty, &engine->n_dirty, NO_POOL, ret)) {
                        await_slot(engine, ret);
                        if (ret->slot)
                                return 0;
                } else if (engine->n_slots < most_slots(engine)) {
                        return make_slot(engine, ret, err);
                } else if (take_kind(engine, engine->idle, &engine->n_idle, ANY_KIND, ret)) {
                        return 0; /* dear, and wasted */
                } else if (take_kind(engine, engine->dirty, &engine->n_dirty, ANY_KIND, ret)) {
                        rt_slot_hurry(ret->slot);
                        await_slot(engine, ret);
                        if (ret->slot)
                                return 0;
                } else {
                        wait_a_little(engine); /* the last is in the housekeeper's hands */
                }
        }
}

/* The housekeeper has the one that will be ready first, and this run is the only one that wants it. */
static bool take_awaited(struct retort_engine *engine, int kind, struct rt_ready_slot *ret) {
        if (!engine->awaited.slot || engine->awaited.kind != kind || engine->awaited_for_run)
                return false;
        struct rt_slot *slot = engine->awaited.slot;
        engine->awaited_for_run = true;
        rt_slot_hurry(slot);
        while (engine->awaited.slot == slot)
                wait_a_little(engine);
        engine->awaited_for_run = false;
        return take_kind(engine, engine->idle, &engine->n_idle, kind, ret);
}

static int take_slot(struct retort_engine *engine, int kind, struct rt_ready_slot *ret, const char **ret_start,
                     struct retort_error *err) {
        bool pool = rt_engine_is_pool(engine, kind);
        *ret_start = kind == RT_KIND_COLD ? "cold" : pool ? "pool" : "parked";
        if (take_kind(engine, engine->idle, &engine->n_idle, kind, ret))
                return 0;
        if (kind != RT_KIND_COLD && take_kind(engine, engine->dirty, &engine->n_dirty, kind, ret)) {
                if (pool) /* it has begun to start: nothing else would be sooner */
                        rt_slot_hurry(ret->slot);
                await_slot(engine, ret);
                if (ret->slot && ret->kind == kind)
                        return 0;
        } else if (pool && take_awaited(engine, kind, ret)) {
                return 0;
        } else {
                ret->slot = NULL;
        }
        int r = ret->slot ? 0 : take_any(engine, ret, err);
        if (r < 0 || kind == RT_KIND_COLD || pool)
                return r;
        *ret_start = "fork";
        if (ret->kind != kind) {
                begin_recycle(engine, ret, kind);
                if (ret->slot) /* also when the interpreter is gone, and it will hold no fork */
                        await_slot(engine, ret);
        }
        if (!ret->slot)
                return make_slot(engine, ret, err);
        return 0;
}

static void call_for_scarce(struct retort_engine *engine) {
        int scarce;
        if (engine->n_slots < most_slots(engine) && find_scarce(engine, &scarce))
                (void)pthread_cond_signal(&engine->chores);
}

int rt_engine_slot_take(struct rt_run *run, int kind, struct rt_slot **ret_slot, const char **ret_start, struct retort_error *err) {
        struct retort_engine *engine = run->engine;
        struct rt_ready_slot taken = { NULL, RT_KIND_COLD };
        (void)pthread_mutex_lock(&engine->lock);
        while (!engine->closing && !rt_run_cancelled(run) && engine->n_used >= engine->max_slots)
                wait_a_little(engine);
        int r = 0;
        if (engine->closing || rt_run_cancelled(run)) {
                r = rt_fail(err, RETORT_E_CLOSED, "cancelled while waiting for a box");
        } else {
                engine->n_used++;
                r = take_slot(engine, kind, &taken, ret_start, err);
                engine->n_used -= r < 0;
                call_for_scarce(engine);
        }
        (void)pthread_mutex_unlock(&engine->lock);
        *ret_slot = taken.slot;
        if (r == 0 && (kind == RT_KIND_COLD || taken.kind != kind || !(rt_slot_forked(taken.slot) || rt_slot_ahead(taken.slot, NULL))))
                *ret_start = "cold";
        return r;
}

int rt_engine_slot_lend(struct retort_engine *engine, int kind, struct rt_slot **ret_slot, const char **ret_start,
                        struct retort_error *err) {
        struct rt_ready_slot taken = { NULL, RT_KIND_COLD };
        int r;
        (void)pthread_mutex_lock(&engine->lock);
        if (engine->closing)
                r = rt_fail(err, RETORT_E_CLOSED, "the engine is closing");
        else if (engine->n_lent >= RT_ENGINE_MAX_CONTEXTS)
                r = rt_fail(err, RETORT_E_SYSTEM, "%d contexts are open, which is the most", RT_ENGINE_MAX_CONTEXTS);
        else {
                engine->n_lent++;
                r = take_slot(engine, kind, &taken, ret_start, err);
                engine->n_lent -= r < 0;
                call_for_scarce(engine);
        }
        (void)pthread_mutex_unlock(&engine->lock);
        *ret_slot = taken.slot;
        if (r == 0 && (kind == RT_KIND_COLD || !rt_slot_forked(taken.slot)))
                *ret_start = "cold";
        return r;
}

/* With the lock held: back to be made as new, or thrown away. */
static void take_back(struct retort_engine *engine, struct rt_ready_slot s, bool keep) {
        if (keep) {
                bool enough = rt_engine_is_pool(engine, s.kind) && rt_engine_count_kind(engine, s.kind) >= target(engine, s.kind);
                begin_recycle(engine, &s, enough ? RT_KIND_COLD : s.kind);
        } else {
                s.slot = rt_slot_free(s.slot);
                engine->n_slots--;
        }
        if (s.slot)
                engine->dirty[engine->n_dirty++] = s; /* whoever wants it waits for it; nobody else needs to know */
        else
                (void)pthread_cond_signal(&engine->chores);
        int scarce;
        if (engine->n_pools > 0 && find_scarce(engine, &scarce)) /* it waited for a processor */
                (void)pthread_cond_signal(&engine->chores);
        tell_waiting(engine);
}

void rt_engine_slot_return(struct retort_engine *engine, struct rt_slot *slot, int kind, bool odd) {
        (void)pthread_mutex_lock(&engine->lock);
        engine->n_lent--;
        bool room = engine->n_slots <= most_slots(engine); /* hundreds may come back at once */
        take_back(engine, (struct rt_ready_slot){ slot, kind }, !odd && room && engine->warm_slots > 0);
        (void)pthread_mutex_unlock(&engine->lock);
}

void rt_engine_slot_give(struct retort_engine *engine, struct rt_slot *slot, int kind, bool odd) {
        (void)pthread_mutex_lock(&engine->lock);
        engine->n_used--;
        /* Without boxes kept ready nobody may ever want this one again. */
        take_back(engine, (struct rt_ready_slot){ slot, kind }, !odd && engine->warm_slots > 0);
        (void)pthread_mutex_unlock(&engine->lock);
}
