/* SPDX-License-Identifier: Apache-2.0
 *
 * The events of one job while it is queued or runs: lines of JSON in one bounded buffer that any number of followers
 * read at their own pace. Line k is event k as long as there was room; the last event, `end`, is always there and is kept
 * without its outcome, which stands beside it once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "retort.h"

struct rt_live;
struct rt_live *rt_live_new(size_t cap); /* NULL: no memory */
struct rt_live *rt_live_hold(struct rt_live *live);
void rt_live_let_go(struct rt_live *live); /* takes NULL */

/* Adds an event, never blocks on a reader. Of `end` only its number and time are kept. */
void rt_live_add(struct rt_live *live, const struct retort_event *event);
/* Nothing comes any more. outcome_json (copied) completes the last line; NULL: there is none, the job goes back to the queue. */
void rt_live_end(struct rt_live *live, const char *outcome_json);
/* The lines for the store, to be freed; NULL: no memory. */
char *rt_live_text(struct rt_live *live);

/* Where a reader is. Zeroed, with from set: at the first line it wants. */
struct rt_live_at {
        uint64_t from;
        uint64_t line;
        size_t offset;
        bool ended; /* the last line was read */
};
/* Waits for the next line, at most timeout_ms. 1: *ret_line (to be freed); 0: not yet; -1: nothing comes any more. */
int rt_live_next(struct rt_live *live, struct rt_live_at *at, int timeout_ms, char **ret_line, size_t *ret_size);
/* Wakes all readers, for those that are to look at something else. */
void rt_live_wake(struct rt_live *live);

/* The lines of a finished job, from what the store has. Calls on_line for each from number `from`; false ends it. */
int rt_live_replay(const char *events_ndjson, const char *outcome_json, uint64_t from,
                   bool (*on_line)(const char *json, size_t size, void *userdata), void *userdata, struct retort_error *err);
