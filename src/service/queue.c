/* SPDX-License-Identifier: Apache-2.0 */
#include "service/queue.h"

#include "base/util.h"

enum { PRIORITIES = 2 * RT_QUEUE_PRIORITY + 1 };

struct row {
        struct rt_queue_item *first, *last;
};

struct rt_queue_lane {
        struct rt_tenant *tenant;
        struct rt_queue_lane *next;
        size_t lengths[2];
        struct row rows[2][PRIORITIES]; /* highest priority first */
};

void rt_queue_init(struct rt_queue *queue) {
        *queue = (struct rt_queue){ 0 };
        queue->tail = &queue->lanes;
}

static void append_lane(struct rt_queue *queue, struct rt_queue_lane *lane) {
        lane->next = NULL;
        *queue->tail = lane;
        queue->tail = &lane->next;
}

static void unlink_lane(struct rt_queue *queue, struct rt_queue_lane *lane) {
        struct rt_queue_lane **at = &queue->lanes;
        while (*at != lane)
                at = &(*at)->next;
        *at = lane->next;
        if (!lane->next)
                queue->tail = at;
}

static struct row *row_of(struct rt_queue_lane *lane, const struct rt_queue_item *item) {
        int32_t p = item->priority;
        p = p > RT_QUEUE_PRIORITY ? RT_QUEUE_PRIORITY : p < -RT_QUEUE_PRIORITY ? -RT_QUEUE_PRIORITY : p;
        return &lane->rows[item->class][RT_QUEUE_PRIORITY - p];
}

int rt_queue_push(struct rt_queue *queue, struct rt_queue_item *item) {
        struct rt_queue_lane *lane = item->tenant->lanes;
        if (!lane) {
                lane = calloc(1, sizeof *lane);
                if (!lane)
                        return RETORT_E_NOMEM;
                lane->tenant = item->tenant;
                item->tenant->lanes = lane;
                append_lane(queue, lane);
        }
        struct row *row = row_of(lane, item);
        item->next = NULL;
        item->previous = row->last;
        *(row->last ? &row->last->next : &row->first) = item;
        row->last = item;
        item->queued = true;
        lane->lengths[item->class]++;
        queue->lengths[item->class]++;
        return 0;
}

void rt_queue_remove(struct rt_queue *queue, struct rt_queue_item *item) {
        if (!item->queued)
                return;
        struct rt_queue_lane *lane = item->tenant->lanes;
        struct row *row = row_of(lane, item);
        *(item->previous ? &item->previous->next : &row->first) = item->next;
        *(item->next ? &item->next->previous : &row->last) = item->previous;
        item->next = item->previous = NULL;
        item->queued = false;
        lane->lengths[item->class]--;
        queue->lengths[item->class]--;
        if (lane->lengths[RT_QUEUE_RUN] + lane->lengths[RT_QUEUE_JOB] > 0)
                return;
        unlink_lane(queue, lane);
        lane->tenant->lanes = NULL;
        free(lane);
}

static struct rt_queue_item *first_of(const struct rt_queue_lane *lane, enum rt_queue_class class) {
        for (int p = 0; lane->lengths[class] > 0 && p < PRIORITIES; p++)
                if (lane->rows[class][p].first)
                        return lane->rows[class][p].first;
        return NULL;
}

static struct rt_queue_item *choose(struct rt_queue *queue, enum rt_queue_class class, uint64_t now_ns) {
        struct rt_queue_item *best = NULL;
        for (struct rt_queue_lane *lane = queue->lengths[class] ? queue->lanes : NULL; lane; lane = lane->next) {
                struct rt_queue_item *item = first_of(lane, class);
                if (!item || (best && best->tenant->active <= item->tenant->active))
                        continue;
                if (class == RT_QUEUE_RUN || rt_tenant_fits(lane->tenant, item->memory, now_ns, NULL))
                        best = item; /* a run was charged when it was accepted */
        }
        return best;
}

struct rt_queue_item *rt_queue_pick(struct rt_queue *queue, bool with_jobs, uint64_t now_ns) {
        bool job_first = queue->runs_in_a_row >= RT_QUEUE_RUNS_IN_A_ROW;
        struct rt_queue_item *item = NULL;
        for (int i = 0; i < 2 && !item; i++) {
                enum rt_queue_class class = (i == 0) == job_first ? RT_QUEUE_JOB : RT_QUEUE_RUN;
                if (class == RT_QUEUE_RUN || with_jobs)
                        item = choose(queue, class, now_ns);
        }
        if (!item)
                return NULL;
        queue->runs_in_a_row = item->class == RT_QUEUE_RUN ? queue->runs_in_a_row + 1 : 0;
        struct rt_queue_lane *lane = item->tenant->lanes;
        unlink_lane(queue, lane);
        append_lane(queue, lane);
        rt_queue_remove(queue, item);
        return item;
}

struct rt_queue_item *rt_queue_any(struct rt_queue *queue, enum rt_queue_class class) {
        for (struct rt_queue_lane *lane = queue->lanes; lane; lane = lane->next) {
                struct rt_queue_item *item = first_of(lane, class);
                if (item)
                        return item;
        }
        return NULL;
}
