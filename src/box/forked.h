/* SPDX-License-Identifier: Apache-2.0
 *
 * The keeper's side of guests that are forks of a frozen interpreter.
 */
#pragma once

#include "box/keeper.h"

/* What a slot must have for it; opens the descriptors of its namespaces. */
void rt_forked_open(struct rt_keeper *k);
/* From now on guests are forks of the interpreter at the other end of link (taken). */
void rt_forked_link(struct rt_keeper *k, int link);
/* Parks a fork in the box there is, or in a new one. */
int rt_forked_arm(struct rt_keeper *k, struct retort_error *err);
/* The guest that ended was alone and left nothing in the box: the next may use it. */
bool rt_forked_box_is_clean(const struct rt_keeper *k);
/* Waits until a guest that is on its way out is gone. */
int rt_forked_await_death(struct rt_keeper *k, struct retort_error *err);
/* Lets the zygote go. */
void rt_forked_end(struct rt_keeper *k);
