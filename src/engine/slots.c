/* SPDX-License-Identifier: Apache-2.0
 *
 * Boxes ready before they are asked for, and made as new behind the runs' backs. Every slot is in exactly one place:
 * idle, dirty, or with the thread that uses, makes or recycles it; n_slots counts them all.
 */
#include <errno.h>
#include <string.h>
#include <signal.h>
#include <time.h>

#include "base/err.h"
#include "base/util.h"
#include "engine/engine.h"

enum { LOOK_MS = 20 }; /* how late a cancelled run notices while it waits for a slot */

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
                (void)pthread_cond_broadcast(&engine->changed);
                (void)pthread_mutex_unlock(&engine->lock);
                (void)pthread_join(engine->housekeeper, NULL);
        }
        engine->have_housekeeper = false;
        while (engine->n_idle > 0)
                (void)rt_slot_free(engine->idle[--engine->n_idle]);
        while (engine->n_dirty > 0)
                (void)rt_slot_free(engine->dirty[--engine->n_dirty]);
        engine->n_slots = 0;
}

/* The oldest of those that are being made as new; NULL when it turned out odd. Called and returns with the lock held. */
static struct rt_slot *await_one(struct retort_engine *engine) {
        struct rt_slot *slot = engine->dirty[0];
        engine->n_dirty--;
        memmove(engine->dirty, engine->dirty + 1, engine->n_dirty * sizeof *engine->dirty);
        (void)pthread_mutex_unlock(&engine->lock);
        if (rt_slot_await(slot, NULL) < 0)
                slot = rt_slot_free(slot);
        (void)pthread_mutex_lock(&engine->lock);
        if (!slot)
                engine->n_slots--;
        return slot;
}

static void recycle_one(struct retort_engine *engine) {
        struct rt_slot *slot = await_one(engine);
        if (slot)
                engine->idle[engine->n_idle++] = slot;
        (void)pthread_cond_broadcast(&engine->changed);
}

static bool make_one(struct retort_engine *engine) {
        struct rt_slot *slot = NULL;
        engine->n_slots++;
        (void)pthread_mutex_unlock(&engine->lock);
        int r = rt_slot_make(engine->jail, &slot, NULL);
        (void)pthread_mutex_lock(&engine->lock);
        if (r == 0)
                engine->idle[engine->n_idle++] = slot;
        else
                engine->n_slots--;
        (void)pthread_cond_broadcast(&engine->changed);
        return r == 0;
}

static void *keep_house(void *argument) {
        struct retort_engine *engine = argument;
        bool can_make = true; /* a host that refuses a slot now is not asked again before something changes */
        (void)pthread_mutex_lock(&engine->lock);
        while (!engine->closing) {
                if (engine->n_dirty > 0) {
                        recycle_one(engine);
                } else if (can_make && engine->n_idle < engine->warm_slots && engine->n_slots < engine->max_slots) {
                        can_make = make_one(engine);
                } else {
                        (void)pthread_cond_wait(&engine->changed, &engine->lock);
                        can_make = true;
                }
        }
        (void)pthread_mutex_unlock(&engine->lock);
        return NULL;
}

static void wait_a_little(struct retort_engine *engine) {
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += LOOK_MS * 1000000l;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        (void)pthread_cond_timedwait(&engine->changed, &engine->lock, &until);
}

int rt_engine_slot_take(struct rt_run *run, struct rt_slot **ret_slot, struct retort_error *err) {
        struct retort_engine *engine = run->engine;
        (void)pthread_mutex_lock(&engine->lock);
        while (!engine->closing && !rt_run_cancelled(run) && engine->n_idle + engine->n_dirty == 0 &&
               engine->n_slots >= engine->max_slots)
                wait_a_little(engine);
        int r = 0;
        if (engine->closing || rt_run_cancelled(run))
                r = rt_fail(err, RETORT_E_CLOSED, "cancelled while waiting for a box");
        else if (engine->n_idle > 0)
                *ret_slot = engine->idle[--engine->n_idle];
        else if (engine->n_dirty > 0)
                *ret_slot = await_one(engine); /* nearly ready; a new one would take longer */
        if (r == 0 && !*ret_slot)
                engine->n_slots++;
        bool make = r == 0 && !*ret_slot;
        (void)pthread_mutex_unlock(&engine->lock);
        if (!make)
                return r;
        r = rt_slot_make(engine->jail, ret_slot, err);
        if (r < 0) {
                (void)pthread_mutex_lock(&engine->lock);
                engine->n_slots--;
                (void)pthread_cond_broadcast(&engine->changed);
                (void)pthread_mutex_unlock(&engine->lock);
        }
        return r;
}

void rt_engine_slot_give(struct retort_engine *engine, struct rt_slot *slot, bool odd) {
        /* Without boxes kept ready nobody may ever want this one again. */
        if (odd || engine->warm_slots == 0 || rt_slot_recycle(slot, NULL) < 0)
                slot = rt_slot_free(slot);
        (void)pthread_mutex_lock(&engine->lock);
        if (slot)
                engine->dirty[engine->n_dirty++] = slot;
        else
                engine->n_slots--;
        (void)pthread_cond_broadcast(&engine->changed);
        (void)pthread_mutex_unlock(&engine->lock);
}
