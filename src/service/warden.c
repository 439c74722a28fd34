/* SPDX-License-Identifier: Apache-2.0
 *
 * Looks after contexts although nobody asks: sees which have ended, forgets those that ended long ago, and ends all of them when
 * the server stops. A thread of its own, because a look may wait for a box whose supervisor does not answer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "service/held.h"

enum { LOOK_MS = 1000, WAIT_MS = 100, GRACE_MS = 1000 };

/* ---- every second ---- */

static void say_ended(struct rt_held *held, const struct rt_context_record *record) {
        struct rt_service *service = held->service;
        char tenant[104];
        (void)pthread_mutex_lock(&service->lock);
        rt_service_tenant_name(service, held->tenant_id, tenant, sizeof tenant);
        (void)pthread_mutex_unlock(&service->lock);
        rt_log(&service->log, RT_LOG_INFO, "context_ended", RT_LOG_TEXT("id", held->id), RT_LOG_TEXT("tenant", tenant),
               RT_LOG_TEXT("language", held->language), RT_LOG_TEXT("why", record->why), RT_LOG_MS("age_ms", record->age_ms * 1000000u));
}

static void look_at(struct rt_held *held, uint64_t keep_ms) {
        struct rt_service *service = held->service;
        struct rt_context_record record;
        rt_held_look(held, &record);
        bool dead = record.state == RETORT_CONTEXT_DEAD;
        if (dead && !held->told) /* nobody else reads or writes it */
                say_ended(held, &record);
        held->told = dead;
        (void)pthread_mutex_lock(&service->lock);
        bool forget = dead && !held->closing && !held->calls && held->dead_ns && rt_now_ns() - held->dead_ns >= keep_ms * 1000000u;
        if (forget)
                rt_held_take_out(held);
        (void)pthread_mutex_unlock(&service->lock);
        if (forget)
                rt_held_end_soon(held);
}

static void look_at_all(struct rt_service *service) {
        uint64_t keep_ms = atomic_load(&service->config)->contexts_keep_dead;
        struct rt_held **all = NULL;
        size_t n = rt_held_snapshot(service, 0, &all);
        for (size_t i = 0; i < n; i++) {
                look_at(all[i], keep_ms);
                rt_held_looked(all[i]);
        }
        free(all);
}

static void end_left(struct rt_service *service) {
        for (;;) {
                (void)pthread_mutex_lock(&service->lock);
                struct rt_held *held = service->held_left;
                if (held)
                        service->held_left = held->next;
                (void)pthread_mutex_unlock(&service->lock);
                if (!held)
                        return;
                rt_held_end(held);
        }
}

static void *watch(void *argument) {
        struct rt_service *service = argument;
        (void)pthread_mutex_lock(&service->lock);
        while (!service->closing) {
                struct timespec until = rt_deadline(LOOK_MS);
                (void)pthread_cond_timedwait(&service->looks, &service->lock, &until);
                (void)pthread_mutex_unlock(&service->lock);
                end_left(service);
                look_at_all(service);
                (void)pthread_mutex_lock(&service->lock);
        }
        (void)pthread_mutex_unlock(&service->lock);
        return NULL;
}

int rt_service_start_warden(struct rt_service *service, struct retort_error *err) {
        service->have_warden = pthread_create(&service->warden, NULL, watch, service) == 0;
        return service->have_warden ? 0 : rt_fail(err, RETORT_E_SYSTEM, "cannot start a thread");
}

/* ---- stopping ---- */

/* Under the lock: for each context. */
static void for_all(struct rt_service *service, void (*what)(struct rt_held *held)) {
        for (size_t b = 0; b < RT_HELD_BUCKETS; b++)
                for (struct rt_held *held = service->held[b]; held; held = held->next)
                        what(held);
}

static void cancel_endless(struct rt_held *held) {
        rt_held_cancel_calls(held, true);
}

static void cancel_all(struct rt_held *held) {
        rt_held_cancel_calls(held, false);
}

static bool wait_until_quiet(struct rt_service *service, uint64_t until_ns) { /* under the lock */
        while (service->n_calls > 0 && rt_now_ns() < until_ns) {
                struct timespec until = rt_deadline(WAIT_MS);
                (void)pthread_cond_timedwait(&service->idle, &service->lock, &until);
        }
        return service->n_calls == 0;
}

/* Those that wait for their turn. */
static void turn_away(struct rt_service *service) {
        for (size_t b = 0; b < RT_HELD_BUCKETS; b++) {
                struct rt_call *waiting = NULL;
                (void)pthread_mutex_lock(&service->lock);
                for (struct rt_held *held = service->held[b]; held && !waiting; held = held->next)
                        waiting = rt_held_take_waiting(held);
                (void)pthread_mutex_unlock(&service->lock);
                rt_calls_refuse(waiting, RETORT_E_CLOSED, RT_TROUBLE_NONE, "the server is stopping");
                b -= waiting != NULL; /* perhaps there are more */
        }
}

void rt_service_end_calls(struct rt_service *service, uint64_t until_ns) {
        (void)pthread_mutex_lock(&service->lock);
        for_all(service, cancel_endless);
        bool quiet = wait_until_quiet(service, until_ns);
        (void)pthread_mutex_unlock(&service->lock);
        if (quiet)
                return;
        turn_away(service);
        (void)pthread_mutex_lock(&service->lock);
        for_all(service, cancel_all);
        quiet = wait_until_quiet(service, rt_now_ns() + GRACE_MS * 1000000ull);
        while (!quiet) { /* bounded: what was told to end does, within the library's deadlines, and waits for no client */
                for_all(service, rt_held_cut_calls);
                quiet = wait_until_quiet(service, rt_now_ns() + GRACE_MS * 1000000ull);
        }
        (void)pthread_mutex_unlock(&service->lock);
}

void rt_service_close_contexts(struct rt_service *service) {
        for (;;) {
                struct rt_held *held = NULL;
                (void)pthread_mutex_lock(&service->lock);
                for (size_t b = 0; b < RT_HELD_BUCKETS && !held; b++)
                        held = service->held[b];
                if (held)
                        rt_held_take_out(held);
                (void)pthread_mutex_unlock(&service->lock);
                if (!held)
                        break;
                rt_held_end_soon(held); /* hundreds of boxes at once are sooner gone than one after the other */
        }
        end_left(service);
}

/* ---- counting ---- */

static enum retort_context_state state_of(const struct rt_held *held) {
        return held->turn && held->turn->started ? RETORT_CONTEXT_BUSY : held->state;
}

void rt_service_count_contexts(struct rt_service *service, struct rt_metrics_now *now) {
        now->n_contexts = service->n_held;
        now->calls = service->n_calls;
        for (size_t b = 0; b < RT_HELD_BUCKETS; b++)
                for (const struct rt_held *held = service->held[b]; held; held = held->next) {
                        size_t i = 0;
                        while (i < now->n_context_languages && strcmp(now->contexts[i].language, held->language) != 0)
                                i++;
                        if (i == RT_LEN(now->contexts))
                                continue;
                        memcpy(now->contexts[i].language, held->language, sizeof now->contexts[i].language);
                        now->contexts[i].states[state_of(held)]++;
                        now->n_context_languages += i == now->n_context_languages;
                }
}
