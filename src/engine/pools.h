/* SPDX-License-Identifier: Apache-2.0
 *
 * Pools of interpreters that were started ahead. Everything is to be called with the engine's lock held but what takes a
 * runtime or a deadline.
 */
#pragma once

#include "box/pooled.h"

struct retort_engine;
struct rt_runtime;

/* What is known of the pool of a runtime whose interpreter is started ahead. */
struct rt_pool {
        struct rt_ahead *ahead; /* what its slots start; NULL: nobody has asked for it */
        double rate;            /* requests a second, lately */
        struct rt_ahead_cost cost; /* of the last that was started */
};

/* Whether slots of this kind hold what was started ahead; a request for one came (RT_KIND_COLD: there is to be none); how many
 * slots are to be ready; how many of them are to go. */
bool rt_engine_is_pool(const struct retort_engine *engine, int kind);
int rt_engine_pool_kind(struct retort_engine *engine, const struct rt_runtime *runtime, int kind);
unsigned rt_engine_pool_target(const struct retort_engine *engine, int kind);
unsigned rt_engine_pool_excess(const struct retort_engine *engine, int kind);
unsigned rt_engine_pool_targets(const struct retort_engine *engine);
/* There is a processor that nobody's program needs. */
bool rt_engine_pool_may_refill(const struct retort_engine *engine);
/* A slot that was to hold one was waited for: it does, or does not. */
void rt_engine_pool_result(struct retort_engine *engine, int kind, struct rt_slot *slot);
/* Waits until one is ready: as retort_engine_warm. */
int rt_engine_pool_await(struct retort_engine *engine, int kind, uint64_t deadline_ns, struct retort_error *err);
