/* SPDX-License-Identifier: Apache-2.0
 *
 * POST /v1/contexts/{id}/cells and /commands: something runs in a context. One answer at the end, or events as they happen. A
 * client that leaves interrupts its cell, or ends its command; the context lives on.
 */
#include <stdlib.h>

#include "api/asking.h"
#include "base/util.h"

/* ---- cells ---- */

struct cell {
        struct rt_asking asking;
        struct rt_call call;
        struct retort_cell cell;
};

static const struct rt_field cell_limits_fields[] = {
        RT_FIELD("wall_ms", struct retort_cell, wall_ms, RT_UINT64, .flags = RT_OPTIONAL, .low = 1, .high = 86400000),
        RT_FIELD("cpu_ms", struct retort_cell, cpu_ms, RT_UINT64, .flags = RT_OPTIONAL, .low = 1, .high = 86400000),
        RT_FIELD("output_bytes", struct retort_cell, output_bytes, RT_UINT64, .flags = RT_OPTIONAL, .low = 1, .high = 1 << 30),
};
static const struct rt_shape cell_limits_shape = RT_SHAPE(struct retort_cell, cell_limits_fields);

static const struct rt_field cell_fields[] = {
        RT_FIELD("code", struct retort_cell, code, RT_TEXT, .flags = RT_REQUIRED),
        RT_FIELD("name", struct retort_cell, name, RT_STRING),
        RT_FIELD("stdin", struct retort_cell, stdin_data, RT_BYTES, .flags = RT_OPTIONAL, .encoding_key = "stdin_encoding"),
        RT_FIELD("env", struct retort_cell, env, RT_ENV, .flags = RT_OPTIONAL, .count_at = offsetof(struct retort_cell, n_env),
                 .high = RETORT_MAX_ARGS),
        RT_FIELD("cwd", struct retort_cell, cwd, RT_STRING),
        RT_FIELD("formats", struct retort_cell, formats, RT_STRINGS, .flags = RT_OPTIONAL,
                 .count_at = offsetof(struct retort_cell, n_formats), .high = 4),
        RT_FIELD("silent", struct retort_cell, silent, RT_BOOL, .flags = RT_OPTIONAL),
        RT_GROUP("limits", &cell_limits_shape, .flags = RT_OPTIONAL),
};
static const struct rt_shape cell_shape = RT_SHAPE(struct retort_cell, cell_fields);

static void perform_cell(struct rt_call *call) {
        struct rt_asking *a = rt_asking_of(call);
        struct cell *c = rt_container_of(call, struct cell, call);
        a->outcome = rt_call_cell(call, &c->cell, a->form ? rt_asking_on_event : NULL, a);
}

void rt_native_context_cell(struct rt_exchange *x) {
        struct cell *c = rt_arena_new(&x->arena, struct cell);
        if (!c) {
                rt_exchange_refuse(x, 500, "internal", "out of memory");
                return;
        }
        if (!rt_asking_read(x, &cell_shape, false, &c->cell))
                return;
        rt_asking_init(&c->asking, x, &c->call, RT_CREW_CELL, perform_cell);
        c->asking.form = rt_stream_form_of(x->http);
        c->call.takes_cpu = true;
        rt_asking_start(&c->asking);
}

/* ---- commands ---- */

struct command {
        struct rt_asking asking;
        struct rt_call call;
        struct retort_command command;
};

static const struct rt_field command_limits_fields[] = {
        RT_FIELD("wall_ms", struct retort_command, wall_ms, RT_UINT64, .flags = RT_OPTIONAL, .low = 1, .high = 86400000),
        RT_FIELD("output_bytes", struct retort_command, output_bytes, RT_UINT64, .flags = RT_OPTIONAL, .low = 1, .high = 1 << 30),
};
static const struct rt_shape command_limits_shape = RT_SHAPE(struct retort_command, command_limits_fields);

static const struct rt_field command_fields[] = {
        RT_FIELD("argv", struct retort_command, argv, RT_STRINGS, .flags = RT_OPTIONAL,
                 .count_at = offsetof(struct retort_command, n_argv), .high = RETORT_MAX_ARGS),
        RT_FIELD("shell", struct retort_command, shell, RT_STRING),
        RT_FIELD("cwd", struct retort_command, cwd, RT_STRING),
        RT_FIELD("env", struct retort_command, env, RT_ENV, .flags = RT_OPTIONAL, .count_at = offsetof(struct retort_command, n_env),
                 .high = RETORT_MAX_ARGS),
        RT_FIELD("stdin", struct retort_command, stdin_data, RT_BYTES, .flags = RT_OPTIONAL, .encoding_key = "stdin_encoding"),
        RT_GROUP("limits", &command_limits_shape, .flags = RT_OPTIONAL),
};
static const struct rt_shape command_shape = RT_SHAPE(struct retort_command, command_fields);

static void perform_command(struct rt_call *call) {
        struct rt_asking *a = rt_asking_of(call);
        struct command *c = rt_container_of(call, struct command, call);
        a->outcome = rt_call_command(call, &c->command, a->form ? rt_asking_on_event : NULL, a);
}

void rt_native_context_command(struct rt_exchange *x) {
        struct command *c = rt_arena_new(&x->arena, struct command);
        if (!c) {
                rt_exchange_refuse(x, 500, "internal", "out of memory");
                return;
        }
        if (!rt_asking_read(x, &command_shape, false, &c->command))
                return;
        rt_asking_init(&c->asking, x, &c->call, RT_CREW_LONG, perform_command);
        c->asking.form = rt_stream_form_of(x->http);
        c->call.takes_cpu = true;
        rt_asking_start(&c->asking);
}
