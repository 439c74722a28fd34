/* SPDX-License-Identifier: Apache-2.0
 *
 * What must happen although nobody asks: waiters whose time is over, runs cancelled before they began, keys made or
 * revoked by another process, the last use of keys.
 */
#include "base/err.h"
#include "base/util.h"
#include "service/inside.h"

#define KEYS_EVERY_NS (5 * 1000000000ull)
enum { LOOK_MS = 1000 };

/* ---- waiters ---- */

struct rt_waiter *rt_waiters_take(struct rt_service *service, const struct rt_job *job) {
        struct rt_waiter *taken = NULL;
        for (struct rt_waiter **at = &service->waiters; *at;) {
                struct rt_waiter *w = *at;
                if (w->job != job) {
                        at = &w->next;
                        continue;
                }
                *at = w->next;
                w->next = taken;
                taken = w;
        }
        return taken;
}

static struct rt_waiter *take_late(struct rt_service *service, uint64_t now_ns, uint64_t *ret_next_ns) {
        struct rt_waiter *late = NULL;
        for (struct rt_waiter **at = &service->waiters; *at;) {
                struct rt_waiter *w = *at;
                if (w->deadline_ns > now_ns) {
                        if (w->deadline_ns < *ret_next_ns)
                                *ret_next_ns = w->deadline_ns;
                        at = &w->next;
                        continue;
                }
                *at = w->next;
                w->next = late;
                late = w;
        }
        return late;
}

void rt_waiters_tell(struct rt_waiter *waiters, bool done) {
        while (waiters) {
                struct rt_waiter *next = waiters->next;
                waiters->on_done(done, waiters->userdata);
                free(waiters);
                waiters = next;
        }
}

/* ---- the thread ---- */

static void end_cancelled(struct rt_service *service, struct rt_ticket *ticket) {
        while (ticket) {
                struct rt_ticket *next = ticket->next_ending;
                rt_service_end_run(service, ticket);
                rt_ticket_free(ticket); /* the service's part of it */
                ticket = next;
        }
}

static void look_at_keys(struct rt_service *service) {
        struct retort_error err = { 0 };
        rt_service_note_uses(service);
        if (rt_service_load_keys(service, &err) < 0)
                rt_log(&service->log, RT_LOG_ERROR, "keys_not_read", RT_LOG_TEXT("error", err.message));
}

static void *keep_house(void *argument) {
        struct rt_service *service = argument;
        uint64_t keys_at_ns = rt_now_ns() + KEYS_EVERY_NS;
        (void)pthread_mutex_lock(&service->lock);
        while (!service->closing || service->ending) {
                uint64_t now_ns = rt_now_ns();
                uint64_t next_ns = now_ns + LOOK_MS * 1000000ull;
                struct rt_ticket *ending = rt_take(service->ending);
                struct rt_waiter *late = take_late(service, now_ns, &next_ns);
                bool keys = now_ns >= keys_at_ns;
                if (!ending && !late && !keys) {
                        struct timespec until = { .tv_sec = (time_t)(next_ns / 1000000000u),
                                                  .tv_nsec = (long)(next_ns % 1000000000u) };
                        (void)pthread_cond_timedwait(&service->chores, &service->lock, &until);
                        continue;
                }
                (void)pthread_mutex_unlock(&service->lock);
                end_cancelled(service, ending);
                rt_waiters_tell(late, false);
                if (keys) {
                        look_at_keys(service);
                        keys_at_ns = rt_now_ns() + KEYS_EVERY_NS;
                }
                (void)pthread_mutex_lock(&service->lock);
                (void)pthread_cond_broadcast(&service->idle);
        }
        struct rt_waiter *rest = rt_take(service->waiters);
        (void)pthread_mutex_unlock(&service->lock);
        rt_waiters_tell(rest, false);
        rt_service_note_uses(service);
        return NULL;
}

int rt_service_start_housekeeper(struct rt_service *service, struct retort_error *err) {
        service->have_housekeeper = pthread_create(&service->housekeeper, NULL, keep_house, service) == 0;
        return service->have_housekeeper ? 0 : rt_fail(err, RETORT_E_SYSTEM, "cannot start a thread");
}
