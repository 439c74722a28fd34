/* SPDX-License-Identifier: Apache-2.0
 *
 * Outcomes, what they are made of, and their JSON.
 */
#include <stdlib.h>

#include "base/err.h"
#include "base/util.h"
#include "model/model.h"
#include "model/shapes.h"

static const char *const status_names[] = {
#define X(name, wire, text) [RETORT_##name] = (wire),
        RETORT_STATUSES(X)
#undef X
};

const char *retort_status_name(enum retort_status status) {
        return (unsigned)status < RT_LEN(status_names) ? status_names[status] : NULL;
}

#define STATUS(type)                                                                                         \
        RT_FIELD("status", type, status, RT_NAME, .flags = RT_REQUIRED, .names = status_names,               \
                 .n_names = RT_LEN(status_names))

/* ---- limits hit, usage, steps ------------------------------------------------------------------- */

static const struct rt_field hit_fields[] = {
        RT_FIELD("name", struct retort_hit, name, RT_STRING, .flags = RT_REQUIRED),
        RT_FIELD("value", struct retort_hit, value, RT_UINT64),
        RT_FIELD("measured", struct retort_hit, measured, RT_UINT64),
        RT_FIELD("how", struct retort_hit, how, RT_STRING),
};
static const struct rt_shape hit_shape = RT_SHAPE(struct retort_hit, hit_fields);

static const struct rt_field measured_fields[] = {
        RT_FIELD("cpu", struct retort_usage, cpu_how, RT_STRING),
        RT_FIELD("memory", struct retort_usage, memory_how, RT_STRING),
        RT_FIELD("processes", struct retort_usage, processes_how, RT_STRING),
};
static const struct rt_shape measured_shape = RT_SHAPE(struct retort_usage, measured_fields);

static const struct rt_field usage_fields[] = {
        RT_FIELD("queue_ms", struct retort_usage, queue_ns, RT_DURATION),
        RT_FIELD("setup_ms", struct retort_usage, setup_ns, RT_DURATION),
        RT_FIELD("wall_ms", struct retort_usage, wall_ns, RT_DURATION),
        RT_FIELD("cpu_ms", struct retort_usage, cpu_ns, RT_DURATION),
        RT_FIELD("user_ms", struct retort_usage, user_ns, RT_DURATION),
        RT_FIELD("system_ms", struct retort_usage, system_ns, RT_DURATION),
        RT_FIELD("peak_memory_bytes", struct retort_usage, peak_memory_bytes, RT_UINT64),
        RT_FIELD("processes", struct retort_usage, processes, RT_UINT64),
        RT_FIELD("output_bytes", struct retort_usage, output_bytes, RT_UINT64),
        RT_GROUP("measured", &measured_shape, .flags = RT_OPTIONAL),
};
static const struct rt_shape usage_shape = RT_SHAPE(struct retort_usage, usage_fields);

static void init_step(void *object) {
        ((struct retort_step *)object)->exit_code = -1;
}

static const struct rt_field step_fields[] = {
        RT_FIELD("name", struct retort_step, name, RT_STRING, .flags = RT_REQUIRED),
        STATUS(struct retort_step),
        RT_FIELD("exit_code", struct retort_step, exit_code, RT_INT),
        RT_FIELD("signal", struct retort_step, signal, RT_INT),
        RT_FIELD("cached", struct retort_step, cached, RT_BOOL, .flags = RT_OPTIONAL),
        RT_FIELD("limit", struct retort_step, limit, RT_OBJECT, .flags = RT_IF_NAMED, .shape = &hit_shape),
        RT_FIELD("stdout", struct retort_step, stdout_data, RT_BYTES, .encoding_key = "stdout_encoding"),
        RT_FIELD("stderr", struct retort_step, stderr_data, RT_BYTES, .encoding_key = "stderr_encoding"),
        RT_FIELD("usage", struct retort_step, usage, RT_OBJECT, .shape = &usage_shape),
};
const struct rt_shape rt_shape_step = RT_SHAPE(struct retort_step, step_fields, .init = init_step);

/* ---- items, errors, diagnostics ----------------------------------------------------------------- */

#define KIND_TEXT RT_STRING
#define KIND_JSON RT_JSON_TEXT
static const struct rt_field item_fields[] = {
#define X(member, mime, kind) RT_FIELD(#member, struct retort_item, member, KIND_##kind),
        RETORT_ITEM_FIELDS(X)
#undef X
                RT_FIELD("extra", struct retort_item, extra, RT_EXTRA, .flags = RT_OPTIONAL,
                         .count_at = offsetof(struct retort_item, n_extra)),
        RT_FIELD("is_main_result", struct retort_item, is_main_result, RT_BOOL),
};
const struct rt_shape rt_shape_item = RT_SHAPE(struct retort_item, item_fields);

static const struct rt_field guest_error_fields[] = {
        RT_FIELD("name", struct retort_guest_error, name, RT_STRING, .flags = RT_REQUIRED),
        RT_FIELD("value", struct retort_guest_error, value, RT_STRING, .flags = RT_REQUIRED),
        RT_FIELD("traceback", struct retort_guest_error, traceback, RT_STRING, .flags = RT_REQUIRED),
};
const struct rt_shape rt_shape_guest_error = RT_SHAPE(struct retort_guest_error, guest_error_fields);

static const struct rt_field diagnostic_fields[] = {
        RT_FIELD("file", struct retort_diagnostic, file, RT_STRING),
        RT_FIELD("line", struct retort_diagnostic, line, RT_UINT32),
        RT_FIELD("column", struct retort_diagnostic, column, RT_UINT32),
        RT_FIELD("severity", struct retort_diagnostic, severity, RT_STRING),
        RT_FIELD("message", struct retort_diagnostic, message, RT_STRING, .flags = RT_REQUIRED),
};
static const struct rt_shape diagnostic_shape = RT_SHAPE(struct retort_diagnostic, diagnostic_fields);

/* ---- the outcome -------------------------------------------------------------------------------- */

static const struct rt_field truncated_fields[] = {
        RT_FIELD("stdout", struct retort_outcome, stdout_truncated, RT_BOOL),
        RT_FIELD("stderr", struct retort_outcome, stderr_truncated, RT_BOOL),
};
static const struct rt_shape truncated_shape = RT_SHAPE(struct retort_outcome, truncated_fields);

static const struct rt_field isolation_fields[] = {
        RT_FIELD("level", struct retort_outcome, isolation_level, RT_STRING),
        RT_FIELD("missing", struct retort_outcome, isolation_missing, RT_STRINGS,
                 .count_at = offsetof(struct retort_outcome, n_isolation_missing)),
};
static const struct rt_shape isolation_shape = RT_SHAPE(struct retort_outcome, isolation_fields);

static void init_outcome(void *object) {
        struct retort_outcome *outcome = object;
        outcome->exit_code = -1;
        outcome->execution_count = -1;
}

static const struct rt_field outcome_fields[] = {
        RT_FIELD("id", struct retort_outcome, id, RT_STRING),
        RT_FIELD("language", struct retort_outcome, language, RT_STRING),
        RT_FIELD("version", struct retort_outcome, version, RT_STRING),
        STATUS(struct retort_outcome),
        RT_FIELD("exit_code", struct retort_outcome, exit_code, RT_INT),
        RT_FIELD("signal", struct retort_outcome, signal, RT_INT),
        RT_FIELD("limit", struct retort_outcome, limit, RT_OBJECT, .flags = RT_IF_NAMED, .shape = &hit_shape),
        RT_FIELD("stdout", struct retort_outcome, stdout_data, RT_BYTES, .encoding_key = "stdout_encoding"),
        RT_FIELD("stderr", struct retort_outcome, stderr_data, RT_BYTES, .encoding_key = "stderr_encoding"),
        RT_GROUP("truncated", &truncated_shape),
        RT_FIELD("items", struct retort_outcome, items, RT_LIST, .shape = &rt_shape_item,
                 .count_at = offsetof(struct retort_outcome, n_items)),
        RT_FIELD("error", struct retort_outcome, error, RT_OBJECT, .flags = RT_IF_NAMED,
                 .shape = &rt_shape_guest_error),
        RT_FIELD("diagnostics", struct retort_outcome, diagnostics, RT_LIST, .shape = &diagnostic_shape,
                 .count_at = offsetof(struct retort_outcome, n_diagnostics)),
        RT_FIELD("execution_count", struct retort_outcome, execution_count, RT_INT64, .flags = RT_OPTIONAL),
        RT_FIELD("context_state", struct retort_outcome, context_state, RT_STRING),
        RT_FIELD("steps", struct retort_outcome, steps, RT_LIST, .shape = &rt_shape_step,
                 .count_at = offsetof(struct retort_outcome, n_steps)),
        RT_FIELD("usage", struct retort_outcome, usage, RT_OBJECT, .shape = &usage_shape),
        RT_FIELD("start", struct retort_outcome, start, RT_STRING),
        RT_GROUP("isolation", &isolation_shape),
        RT_FIELD("message", struct retort_outcome, message, RT_STRING),
};
const struct rt_shape rt_shape_outcome =
        RT_SHAPE(struct retort_outcome, outcome_fields, .init = init_outcome);

struct rt_model_outcome *rt_model_outcome_new(void) {
        struct rt_model_outcome *outcome = calloc(1, sizeof *outcome);
        if (outcome)
                init_outcome(&outcome->pub);
        return outcome;
}

void retort_outcome_free(struct retort_outcome *outcome) {
        if (!outcome)
                return;
        struct rt_model_outcome *owned = rt_container_of(outcome, struct rt_model_outcome, pub);
        rt_arena_clear(&owned->arena);
        free(owned);
}

int retort_outcome_parse(const char *json, size_t size, struct retort_outcome **ret_outcome,
                         struct retort_error *err) {
        struct rt_model_outcome *owned = rt_model_outcome_new();
        if (!owned)
                return rt_fail_nomem(err);
        int r = rt_shape_parse(&rt_shape_outcome, "outcome", json, size, RT_STRICT, &owned->arena,
                               &owned->pub, err);
        if (r < 0) {
                retort_outcome_free(&owned->pub);
                return r;
        }
        *ret_outcome = &owned->pub;
        return 0;
}

int retort_outcome_json(const struct retort_outcome *outcome, char **ret_json, struct retort_error *err) {
        return rt_shape_json(&rt_shape_outcome, outcome, ret_json, err);
}
