/* SPDX-License-Identifier: Apache-2.0
 *
 * Slots that hold a program that was started ahead: the engine's side, as box/box.h.
 */
#pragma once

#include "box/box.h"

/* One that a slot starts before there is anything for it to run, which loads what it needs and waits. */
struct rt_ahead;

/* argv and env are as for a step; nothing is started yet. */
int rt_ahead_new(const char *const *argv, const char *const *env, struct rt_ahead **ret_ahead, struct retort_error *err);
struct rt_ahead *rt_ahead_free(struct rt_ahead *ahead);

/* What it took to start one: until it waited. */
struct rt_ahead_cost {
        uint64_t cpu_ns;
        uint64_t memory_bytes;
};

/* The first half of making a slot as new (the second is rt_slot_await), whose parked process is to be this program:
 * rt_slot_ahead tells. It is started less urgently than what runs, until rt_slot_hurry. */
int rt_slot_recycle_ahead(struct rt_slot *slot, const struct rt_ahead *ahead, struct retort_error *err);
void rt_slot_hurry(struct rt_slot *slot);
/* Whether a program that was started ahead waits in it, and what that took. */
bool rt_slot_ahead(const struct rt_slot *slot, struct rt_ahead_cost *ret_cost);
/* The end of what the one that was last started ahead has written to its stderr until it waited, on one line. */
void rt_slot_last_words(const struct rt_slot *slot, char ret[256]);
