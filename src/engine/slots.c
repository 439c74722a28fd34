/* SPDX-License-Identifier: Apache-2.0
 *
 * Boxes ready before they are asked for, and made as new behind the runs' backs. Every slot is in exactly one place:
 * idle, dirty, or with the thread that uses, makes or recycles it; n_slots counts them all. A slot is of a kind: it holds a
 * fork of some frozen interpreter, or (cold) a process that will become any program. It keeps the kind that it was last used as, so that
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

enum { ANY_KIND = -2 };

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
static bool take_kind(struct rt_ready_slot *list, unsigned *n, int kind, struct rt_ready_slot *ret) {
        for (unsigned i = 0; i < *n; i++)
                if (kind == ANY_KIND || list[i].kind == kind) {
                        *ret = take_out(list, n, i);
                        return true;
                }
        return false;
}

static unsigned count_kind(const struct retort_engine *engine, int kind) {
        unsigned n = 0;
        for (unsigned i = 0; i < engine->n_idle; i++)
                n += engine->idle[i].kind == kind;
        for (unsigned i = 0; i < engine->n_dirty; i++)
                n += engine->dirty[i].kind == kind;
        return n;
}

/* Those in use, and beside them as many of each kind as are kept ready. */
static unsigned most_slots(const struct retort_engine *engine) {
        unsigned most = engine->max_slots + engine->warm_slots * engine->n_frozen;
        return (most < RT_ENGINE_MAX_SLOTS ? most : RT_ENGINE_MAX_SLOTS) + engine->n_lent;
}

/* Waits until it is as new; slot NULL: it turned out odd. Lets go of the lock meanwhile. */
static void await_slot(struct retort_engine *engine, struct rt_ready_slot *s) {
        int wanted = s->kind;
        (void)pthread_mutex_unlock(&engine->lock);
        if (rt_slot_await(s->slot, NULL) < 0)
                s->slot = rt_slot_free(s->slot);
        else if (!rt_slot_forked(s->slot))
                s->kind = RT_KIND_COLD;
        (void)pthread_mutex_lock(&engine->lock);
        if (!s->slot)
                engine->n_slots--;
        else if (s->kind != wanted)
                rt_engine_warm_missed(engine, wanted);
}

/* Begins to make a slot hold what this kind holds. */
static void begin_recycle(struct retort_engine *engine, struct rt_ready_slot *s, int kind) {
        struct rt_frozen *frozen = rt_engine_frozen(engine, kind);
        s->kind = frozen ? kind : RT_KIND_COLD;
        if (rt_slot_recycle(s->slot, frozen, NULL) < 0) {
                s->slot = rt_slot_free(s->slot);
                engine->n_slots--;
        }
}

static void recycle_one(struct retort_engine *engine) {
        struct rt_ready_slot s = take_out(engine->dirty, &engine->n_dirty, 0);
        await_slot(engine, &s);
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
        bool made = make_slot(engine, &s, NULL) == 0;
        if (made && kind != RT_KIND_COLD)
                begin_recycle(engine, &s, kind);
        if (made && s.slot && s.kind != RT_KIND_COLD)
                engine->dirty[engine->n_dirty++] = s;
        else if (made && s.slot)
                engine->idle[engine->n_idle++] = s;
        tell_waiting(engine);
        return made;
}

/* A kind of which fewer are ready than should be. */
static bool find_scarce(const struct retort_engine *engine, int *ret_kind) {
        unsigned left = engine->n_frozen + 1;
        for (int kind = RT_KIND_COLD; kind < RT_ENGINE_KINDS && left > 0; kind++) {
                if (kind != RT_KIND_COLD && !engine->warm[kind].frozen)
                        continue;
                left--;
                if (count_kind(engine, kind) < engine->warm_slots) {
                        *ret_kind = kind;
                        return true;
                }
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
                } else {
                        if (engine->n_frozen > 0)
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
                if (take_kind(engine->idle, &engine->n_idle, RT_KIND_COLD, ret) ||
                    take_kind(engine->idle, &engine->n_idle, ANY_KIND, ret))
                        return 0;
                if (take_kind(engine->dirty, &engine->n_dirty, ANY_KIND, ret)) {
                        await_slot(engine, ret);
                        if (ret->slot)
                                return 0;
                } else if (engine->n_slots < most_slots(engine)) {
                        return make_slot(engine, ret, err);
                } else {
                        wait_a_little(engine); /* the last is in the housekeeper's hands */
                }
        }
}

static int take_slot(struct retort_engine *engine, int kind, struct rt_ready_slot *ret, const char **ret_start,
                     struct retort_error *err) {
        *ret_start = kind == RT_KIND_COLD ? "cold" : "parked";
        if (take_kind(engine->idle, &engine->n_idle, kind, ret))
                return 0;
        if (kind != RT_KIND_COLD && take_kind(engine->dirty, &engine->n_dirty, kind, ret)) {
                await_slot(engine, ret);
                if (ret->slot && ret->kind == kind)
                        return 0;
        } else {
                ret->slot = NULL;
        }
        int r = ret->slot ? 0 : take_any(engine, ret, err);
        if (r < 0 || kind == RT_KIND_COLD)
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
        if (r == 0 && (kind == RT_KIND_COLD || !rt_slot_forked(taken.slot)))
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
                begin_recycle(engine, &s, s.kind);
        } else {
                s.slot = rt_slot_free(s.slot);
                engine->n_slots--;
        }
        if (s.slot)
                engine->dirty[engine->n_dirty++] = s; /* whoever wants it waits for it; nobody else needs to know */
        else
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
