/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is next. Fair between tenants: of those that may run, the one with the fewest boxes, in turn among equals; inside a
 * tenant by priority, then first come first served. Runs go before jobs, but after RT_QUEUE_RUNS_IN_A_ROW of them a job that
 * waits gets its turn. Nothing here locks.
 */
#pragma once

#include "service/tenants.h"

enum { RT_QUEUE_PRIORITY = 10, RT_QUEUE_RUNS_IN_A_ROW = 4 };
enum rt_queue_class { RT_QUEUE_RUN, RT_QUEUE_JOB };

/* Part of what waits. */
struct rt_queue_item {
        enum rt_queue_class class;
        int32_t priority; /* -10 to 10, higher first */
        uint64_t memory;  /* its memory limit */
        struct rt_tenant *tenant;
        bool queued;
        struct rt_queue_item *next, *previous;
};

struct rt_queue {
        struct rt_queue_lane *lanes; /* tenants with something waiting, longest unserved first */
        struct rt_queue_lane **tail;
        size_t lengths[2];
        unsigned runs_in_a_row;
};

void rt_queue_init(struct rt_queue *queue);
/* Behind all others of its tenant, class and priority. RETORT_E_NOMEM is the only failure. */
int rt_queue_push(struct rt_queue *queue, struct rt_queue_item *item);
/* Takes it out if it is queued. */
void rt_queue_remove(struct rt_queue *queue, struct rt_queue_item *item);
/* Takes the next out; NULL: nothing waits, or what waits is over its tenant's quotas now. */
struct rt_queue_item *rt_queue_pick(struct rt_queue *queue, bool with_jobs, uint64_t now_ns);
/* Any item, for emptying it; NULL: it is empty. */
struct rt_queue_item *rt_queue_any(struct rt_queue *queue, enum rt_queue_class class);
