/* SPDX-License-Identifier: Apache-2.0
 *
 * AgentBay's models as JSON, as views of an outcome, and as the bodies its clients read.
 */
#include "model/agentbay.h"

#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "model/view.h"

/* ---- the models as JSON ------------------------------------------------------------------------- */

#define KIND_TEXT RT_STRING
#define KIND_JSON RT_JSON_TEXT
static const struct rt_field item_fields[] = {
#define X(member, mime, kind) RT_FIELD(#member, struct rt_agentbay_item, member, KIND_##kind),
        RT_AGENTBAY_FORMATS(X)
#undef X
                RT_FIELD("is_main_result", struct rt_agentbay_item, is_main_result, RT_BOOL),
};
const struct rt_shape rt_agentbay_item_shape = RT_SHAPE(struct rt_agentbay_item, item_fields);

static const struct rt_field logs_fields[] = {
        RT_FIELD("stdout", struct rt_agentbay_logs, stdout_chunks, RT_TEXTS,
                 .count_at = offsetof(struct rt_agentbay_logs, n_stdout)),
        RT_FIELD("stderr", struct rt_agentbay_logs, stderr_chunks, RT_TEXTS,
                 .count_at = offsetof(struct rt_agentbay_logs, n_stderr)),
};
const struct rt_shape rt_agentbay_logs_shape = RT_SHAPE(struct rt_agentbay_logs, logs_fields);

static const struct rt_field error_fields[] = {
        RT_FIELD("name", struct rt_agentbay_error, name, RT_STRING, .flags = RT_REQUIRED),
        RT_FIELD("value", struct rt_agentbay_error, value, RT_STRING, .flags = RT_REQUIRED),
        RT_FIELD("traceback", struct rt_agentbay_error, traceback, RT_STRING, .flags = RT_REQUIRED),
};
const struct rt_shape rt_agentbay_error_shape = RT_SHAPE(struct rt_agentbay_error, error_fields);

static const struct rt_field response_fields[] = {
        RT_FIELD("request_id", struct rt_agentbay_response, request_id, RT_STRING, .flags = RT_REQUIRED),
};
static void init_response(void *object) {
        ((struct rt_agentbay_response *)object)->request_id = "";
}
const struct rt_shape rt_agentbay_response_shape =
        RT_SHAPE(struct rt_agentbay_response, response_fields, .init = init_response);

static const struct rt_field result_fields[] = {
        RT_FIELD("request_id", struct rt_agentbay_result, request_id, RT_STRING, .flags = RT_REQUIRED),
        RT_FIELD("success", struct rt_agentbay_result, success, RT_BOOL, .flags = RT_REQUIRED),
        RT_FIELD("execution_count", struct rt_agentbay_result, execution_count, RT_INT64,
                 .flags = RT_OPTIONAL),
        RT_FIELD("execution_time", struct rt_agentbay_result, execution_time, RT_DOUBLE),
        RT_FIELD("logs", struct rt_agentbay_result, logs, RT_OBJECT, .shape = &rt_agentbay_logs_shape),
        RT_FIELD("results", struct rt_agentbay_result, results, RT_LIST, .shape = &rt_agentbay_item_shape,
                 .count_at = offsetof(struct rt_agentbay_result, n_results)),
        RT_FIELD("error", struct rt_agentbay_result, error, RT_REF, .shape = &rt_agentbay_error_shape),
        RT_FIELD("error_message", struct rt_agentbay_result, error_message, RT_STRING, .flags = RT_REQUIRED),
};
static void init_result(void *object) {
        struct rt_agentbay_result *result = object;
        result->request_id = result->error_message = "";
        result->execution_count = -1;
}
const struct rt_shape rt_agentbay_result_shape =
        RT_SHAPE(struct rt_agentbay_result, result_fields, .init = init_result);

static const struct rt_field code_result_fields[] = {
        RT_FIELD("request_id", struct rt_agentbay_code_result, request_id, RT_STRING, .flags = RT_REQUIRED),
        RT_FIELD("success", struct rt_agentbay_code_result, success, RT_BOOL, .flags = RT_REQUIRED),
        RT_FIELD("result", struct rt_agentbay_code_result, result, RT_STRING, .flags = RT_REQUIRED),
        RT_FIELD("error_message", struct rt_agentbay_code_result, error_message, RT_STRING,
                 .flags = RT_REQUIRED),
};
static void init_code_result(void *object) {
        struct rt_agentbay_code_result *result = object;
        result->request_id = result->result = result->error_message = "";
}
const struct rt_shape rt_agentbay_code_result_shape =
        RT_SHAPE(struct rt_agentbay_code_result, code_result_fields, .init = init_code_result);

/* ---- what the models compute -------------------------------------------------------------------- */

size_t rt_agentbay_formats(const struct rt_agentbay_item *item,
                           const char *ret_names[RT_AGENTBAY_N_FORMATS]) {
        size_t n = 0;
#define X(member, mime, kind)                                                                                \
        if (item->member)                                                                                    \
                ret_names[n++] = #member;
        RT_AGENTBAY_FORMATS(X)
#undef X
        return n;
}

static bool says_something(const char *text) {
        return text && *text;
}

const char *rt_agentbay_result_text(const struct rt_agentbay_result *result, struct rt_arena *arena) {
        for (size_t i = 0; i < result->n_results; i++)
                if (result->results[i].is_main_result && says_something(result->results[i].text))
                        return result->results[i].text;
        if (result->n_results > 0 && says_something(result->results[0].text))
                return result->results[0].text;
        return rt_view_text(result->logs.stdout_chunks, result->logs.n_stdout, arena);
}

/* ---- views of an outcome ------------------------------------------------------------------------ */

void rt_agentbay_item_of(const struct retort_item *item, struct rt_agentbay_item *ret_item) {
        static const char *const chart_mimes[] = {
                /* best first: the first two are what Python knows */
                "application/vnd.vegalite.v4+json",
                "application/vnd.vegalite.v5+json",
                "application/vnd.vega.v5+json",
        };
        *ret_item = (struct rt_agentbay_item){
                .text = item->text,
                .html = item->html,
                .markdown = item->markdown,
                .png = item->png,
                .jpeg = item->jpeg,
                .svg = item->svg,
                .json = item->json,
                .latex = item->latex,
                .chart = item->chart,
                .is_main_result = item->is_main_result,
        };
        for (size_t i = 0; i < RT_LEN(chart_mimes) && !ret_item->chart_mime; i++) {
                for (size_t j = 0; j < item->n_extra; j++) {
                        if (strcmp(item->extra[j].mime, chart_mimes[i]) != 0)
                                continue;
                        ret_item->chart = item->extra[j].json;
                        ret_item->chart_mime = chart_mimes[i];
                        break;
                }
        }
}

/* The guest's own error; or, when the run failed without one, what ended it, under the status' name. */
static int error_of(const struct retort_outcome *outcome, struct rt_arena *arena,
                    const struct rt_agentbay_error **ret_error, struct retort_error *err) {
        if (!outcome->error.name && outcome->status == RETORT_OK)
                return 0;
        struct rt_agentbay_error *error = rt_arena_new(arena, struct rt_agentbay_error);
        if (!error)
                return rt_fail_nomem(err);
        error->name = outcome->error.name;
        error->value = outcome->error.value ? outcome->error.value : "";
        error->traceback = outcome->error.traceback ? outcome->error.traceback : "";
        if (!error->name) {
                error->name = retort_status_name(outcome->status);
                error->value = rt_view_reason(outcome, arena);
        }
        *ret_error = error;
        return error->name && error->value ? 0 : rt_fail_nomem(err);
}

int rt_agentbay_result_of(const struct retort_outcome *outcome, struct rt_arena *arena,
                          struct rt_agentbay_result *ret_result, struct retort_error *err) {
        struct rt_agentbay_result result = {
                .request_id = outcome->id ? outcome->id : "",
                .success = outcome->status == RETORT_OK && !outcome->error.name,
                .execution_count = outcome->execution_count,
                .execution_time = (double)outcome->usage.wall_ns / 1e9,
                .error_message = "",
        };
        struct retort_bytes *chunks = rt_arena_array(arena, 4, sizeof *chunks);
        struct rt_agentbay_item *items = rt_arena_array(arena, outcome->n_items, sizeof *items);
        if (!chunks || !items)
                return rt_fail_nomem(err);
        result.logs.stdout_chunks = chunks;
        result.logs.n_stdout = rt_view_stdout(outcome, chunks);
        result.logs.stderr_chunks = chunks + 2;
        result.logs.n_stderr = rt_view_stderr(outcome, chunks + 2);
        for (size_t i = 0; i < outcome->n_items; i++)
                rt_agentbay_item_of(&outcome->items[i], &items[i]);
        result.results = items;
        result.n_results = outcome->n_items;
        int r = error_of(outcome, arena, &result.error, err);
        if (r == 0)
                *ret_result = result;
        return r;
}

/* "NameError: name 'x' is not defined": the current format has one string for the whole error. */
static const char *one_line(const struct rt_agentbay_error *error, struct rt_arena *arena) {
        if (!error)
                return "";
        return rt_arena_printf(arena, *error->value ? "%s: %s" : "%s%s", error->name, error->value);
}

int rt_agentbay_code_result_of(const struct retort_outcome *outcome, struct rt_arena *arena,
                               struct rt_agentbay_code_result *ret_result, struct retort_error *err) {
        struct rt_agentbay_result rich;
        int r = rt_agentbay_result_of(outcome, arena, &rich, err);
        if (r < 0)
                return r;
        struct rt_agentbay_code_result result = { .request_id = rich.request_id, .success = rich.success };
        result.result = rt_agentbay_result_text(&rich, arena);
        result.error_message = one_line(rich.error, arena);
        if (!result.result || !result.error_message)
                return rt_fail_nomem(err);
        *ret_result = result;
        return 0;
}

/* ---- bodies ------------------------------------------------------------------------------------- */

static void put_string(struct rt_json *json, const char *key, const char *text) {
        rt_json_key(json, key);
        rt_json_text(json, text, strlen(text));
}

static void put_TEXT(struct rt_json *json, const char *key, const char *text) {
        if (text)
                put_string(json, key, text);
}

static void put_JSON(struct rt_json *json, const char *key, const char *value) {
        if (!value)
                return;
        rt_json_key(json, key);
        rt_json_raw(json, value);
}

static void put_chunks(struct rt_json *json, const char *key, const struct retort_bytes *chunks, size_t n) {
        rt_json_key(json, key);
        rt_json_open(json, '[');
        for (size_t i = 0; i < n; i++)
                rt_json_text(json, chunks[i].data, chunks[i].size);
        rt_json_close(json, ']');
}

static const char *wire_key(const struct rt_agentbay_item *item, const char *mime) {
        return item->chart_mime && strcmp(mime, RT_AGENTBAY_CHART) == 0 ? item->chart_mime : mime;
}

static void put_formats(struct rt_json *json, const struct rt_agentbay_item *item) {
#define X(member, mime, kind) put_##kind(json, wire_key(item, mime), item->member);
        RT_AGENTBAY_FORMATS(X)
#undef X
}

/* One item as the string it is on the wire: JSON inside JSON. */
static void put_item(struct rt_json *json, const struct rt_agentbay_item *item) {
        rt_auto_json struct rt_json inner = RT_JSON();
        rt_json_open(&inner, '{');
        put_formats(&inner, item);
        rt_json_key(&inner, "isMainResult");
        rt_json_bool(&inner, item->is_main_result);
        rt_json_close(&inner, '}');
        rt_json_text(json, inner.buf.data, inner.buf.size);
        json->failed = json->failed || inner.failed;
}

void rt_agentbay_write_event_item(const struct rt_agentbay_item *item, struct rt_json *json) {
        rt_json_open(json, '{');
        rt_json_key(json, "isMainResult");
        rt_json_bool(json, item->is_main_result);
        rt_json_key(json, "is_main_result");
        rt_json_bool(json, item->is_main_result);
        put_formats(json, item);
        rt_json_key(json, "mime");
        rt_json_open(json, '{');
        put_formats(json, item);
        rt_json_close(json, '}');
        rt_json_close(json, '}');
}

static void put_count_and_time(struct rt_json *json, const struct rt_agentbay_result *result,
                               const char *count_key, const char *time_key) {
        if (result->execution_count >= 0) {
                rt_json_key(json, count_key);
                rt_json_int(json, result->execution_count);
        }
        rt_json_key(json, time_key);
        rt_json_double(json, result->execution_time);
}

int rt_agentbay_wire(const struct rt_agentbay_result *result, char **ret_text, struct retort_error *err) {
        rt_auto_json struct rt_json json = RT_JSON();
        rt_auto_arena struct rt_arena arena = { 0 };
        const char *error = one_line(result->error, &arena);
        if (!error)
                return rt_fail_nomem(err);
        rt_json_open(&json, '{');
        put_string(&json, "executionError", error);
        rt_json_key(&json, "result");
        rt_json_open(&json, '[');
        for (size_t i = 0; i < result->n_results; i++)
                put_item(&json, &result->results[i]);
        rt_json_close(&json, ']');
        put_chunks(&json, "stdout", result->logs.stdout_chunks, result->logs.n_stdout);
        put_chunks(&json, "stderr", result->logs.stderr_chunks, result->logs.n_stderr);
        put_count_and_time(&json, result, "execution_count", "execution_time");
        put_count_and_time(&json, result, "executionCount", "executionTime"); /* the other SDKs' spelling */
        rt_json_close(&json, '}');
        return rt_json_take(&json, ret_text, err);
}

int rt_agentbay_wire_rich(const struct rt_agentbay_result *result, char **ret_text,
                          struct retort_error *err) {
        rt_auto_json struct rt_json json = RT_JSON();
        rt_json_open(&json, '{');
        rt_json_key(&json, "logs");
        rt_shape_write(&rt_agentbay_logs_shape, &result->logs, &json);
        rt_json_key(&json, "results");
        rt_json_open(&json, '[');
        for (size_t i = 0; i < result->n_results; i++)
                rt_shape_write(&rt_agentbay_item_shape, &result->results[i], &json);
        rt_json_close(&json, ']');
        if (result->error) {
                rt_json_key(&json, "error");
                rt_shape_write(&rt_agentbay_error_shape, result->error, &json);
        }
        rt_json_key(&json, "isError");
        rt_json_bool(&json, !result->success);
        put_count_and_time(&json, result, "execution_count", "execution_time");
        rt_json_close(&json, '}');
        return rt_json_take(&json, ret_text, err);
}
