/* SPDX-License-Identifier: Apache-2.0
 *
 * The keeper's side of programs that are started ahead.
 */
#pragma once

#include "box/keeper.h"

/* Which program is to be started ahead from now on; both descriptors are taken. */
void rt_ahead_take(struct rt_keeper *k, int program, int words);
/* Turns the parked process into it, and waits until it is parked again. */
int rt_ahead_arm(struct rt_keeper *k, struct retort_error *err);
/* It is parked and alive; it has taken what GO gave it. */
bool rt_ahead_waits(const struct rt_keeper *k);
int rt_ahead_await_taken(struct rt_keeper *k, struct retort_error *err);
