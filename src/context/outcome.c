/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/err.h"
#include "context/inside.h"

struct rt_model_outcome *rt_context_outcome(struct retort_context *context, struct retort_error *err) {
        struct rt_model_outcome *made = rt_model_outcome_new();
        if (made && rt_engine_begin_outcome(context->engine, context->runtime, made) == 0 &&
            (made->pub.version = rt_arena_strdup(&made->arena, rt_toolchain_version(context->engine, context->runtime, true)))) {
                made->pub.start = "live";
                return made;
        }
        if (made)
                retort_outcome_free(&made->pub);
        (void)rt_fail_nomem(err);
        return NULL;
}

void rt_context_usage(const struct retort_context *context, const struct rt_span *span, uint64_t wall_ns, uint64_t output_bytes,
                      struct retort_usage *ret_usage) {
        const struct rt_box_isolation *isolation = rt_jail_isolation(context->engine->jail);
        *ret_usage = (struct retort_usage){ .wall_ns = wall_ns, .cpu_ns = span->cpu_ns, .user_ns = span->user_ns, .system_ns = span->system_ns,
                                            .peak_memory_bytes = span->peak_memory_bytes, .processes = span->processes,
                                            .output_bytes = output_bytes, .cpu_how = isolation->cpu_how,
                                            .memory_how = isolation->memory_how, .processes_how = isolation->processes_how };
}

struct retort_bytes rt_context_keep(struct rt_arena *arena, const struct rt_buf *buf, bool *nomem) {
        char *copy = rt_arena_copy(arena, buf->data ? buf->data : "", buf->size);
        *nomem |= !copy;
        return (struct retort_bytes){ copy ? copy : "", copy ? buf->size : 0 };
}
