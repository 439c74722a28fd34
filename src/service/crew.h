/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads for work that waits: as many as there is work, within bounds, and gone again when there is none. Each kind of work has
 * bounds of its own, so that one that waits for long (somebody who reads slowly) does not keep another from beginning.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "retort.h"

enum rt_crew_kind { RT_CREW_CELL, RT_CREW_SHORT, RT_CREW_OPEN, RT_CREW_LONG, RT_CREW_KINDS };

/* Part of what is to be done; whoever gives it keeps it until perform has begun. */
struct rt_task {
        enum rt_crew_kind kind;
        int64_t owner; /* one owner's tasks never take the last quarter of a kind's threads */
        void (*perform)(struct rt_task *task); /* on a thread of the crew; may free the task */
        struct rt_task *next;
        struct rt_crew_hand *hand;
};

struct rt_crew;
/* most[kind]: tasks of it at once. */
int rt_crew_new(struct rt_crew **ret_crew, const unsigned most[RT_CREW_KINDS], struct retort_error *err);
/* Waits until all that was given is done. Nothing may be given any more. */
void rt_crew_free(struct rt_crew *crew);
/* false: too many wait, or there is no thread to be had; it will not be performed. */
bool rt_crew_give(struct rt_crew *crew, struct rt_task *task);
/* In perform: from now on it counts as another kind. false: that has no room; it stays what it is. */
bool rt_crew_becomes(struct rt_crew *crew, struct rt_task *task, enum rt_crew_kind kind);
/* Threads there are now. */
size_t rt_crew_size(struct rt_crew *crew);
