/* SPDX-License-Identifier: Apache-2.0
 *
 * The models of the AgentBay SDK's code module (CONTRACTS A1, A2, A4, D1, D2): as structs, as JSON both ways,
 * as views of an outcome, and as what its Python client makes of a tool's text.
 *
 * Texts are what JSON strings can hold: bytes that are not UTF-8 come out as U+FFFD, since the models have no
 * place for an encoding.
 */
#pragma once

#include "base/arena.h"
#include "model/codec.h"
#include "retort.h"

/* Charts have no one MIME type: this stands in where none is known. */
#define RT_AGENTBAY_CHART "chart"

/* ExecutionResult: one rich result. Member, key in the current format, kind, in the order of formats(). */
#define RT_AGENTBAY_FORMATS(X)                                                                      \
        X(text, "text/plain", TEXT)                                                                 \
        X(html, "text/html", TEXT)                                                                  \
        X(markdown, "text/markdown", TEXT)                                                          \
        X(png, "image/png", TEXT)                                                                   \
        X(jpeg, "image/jpeg", TEXT)                                                                 \
        X(svg, "image/svg+xml", TEXT)                                                               \
        X(json, "application/json", JSON)                                                           \
        X(latex, "text/latex", TEXT)                                                                \
        X(chart, RT_AGENTBAY_CHART, JSON)

struct rt_agentbay_item {
#define X(member, mime, kind) const char *member; /* NULL: None */
        RT_AGENTBAY_FORMATS(X)
#undef X
        bool is_main_result;
        const char *chart_mime; /* under which the chart came and goes on the wire; NULL: "chart". Not a field of
                                   the model. */
};

enum { RT_AGENTBAY_N_FORMATS = 9 };
/* Names of the representations present, in order, and how many. */
size_t rt_agentbay_formats(const struct rt_agentbay_item *item, const char *ret_names[RT_AGENTBAY_N_FORMATS]);

/* ExecutionLogs: chunks as they were written. */
struct rt_agentbay_logs {
        const struct retort_bytes *stdout_chunks;
        size_t n_stdout;
        const struct retort_bytes *stderr_chunks;
        size_t n_stderr;
};

/* ExecutionError */
struct rt_agentbay_error {
        const char *name;
        const char *value;
        const char *traceback;
};

/* ApiResponse */
struct rt_agentbay_response {
        const char *request_id;
};

/* EnhancedCodeExecutionResult */
struct rt_agentbay_result {
        const char *request_id;
        bool success;
        int64_t execution_count; /* -1: None */
        double execution_time;   /* seconds */
        struct rt_agentbay_logs logs;
        const struct rt_agentbay_item *results;
        size_t n_results;
        const struct rt_agentbay_error *error; /* NULL: None */
        const char *error_message;
};

/* CodeExecutionResult, the older class of that name */
struct rt_agentbay_code_result {
        const char *request_id;
        bool success;
        const char *result;
        const char *error_message;
};

/* As JSON with the names of the Python classes; what is None is left out. */
extern const struct rt_shape rt_agentbay_item_shape;
extern const struct rt_shape rt_agentbay_logs_shape;
extern const struct rt_shape rt_agentbay_error_shape;
extern const struct rt_shape rt_agentbay_response_shape;
extern const struct rt_shape rt_agentbay_result_shape;
extern const struct rt_shape rt_agentbay_code_result_shape;

/* The property `.result`: the first main text, else the text of the first item, else all of stdout, else "".
 * In arena; NULL: no memory. An empty text is as good as none. */
const char *rt_agentbay_result_text(const struct rt_agentbay_result *result, struct rt_arena *arena);

/* Views of an outcome. What they point at lives in the outcome and in arena. request_id is the outcome's id. */
int rt_agentbay_result_of(const struct retort_outcome *outcome, struct rt_arena *arena,
                          struct rt_agentbay_result *ret_result, struct retort_error *err);
int rt_agentbay_code_result_of(const struct retort_outcome *outcome, struct rt_arena *arena,
                               struct rt_agentbay_code_result *ret_result, struct retort_error *err);
void rt_agentbay_item_of(const struct retort_item *item, struct rt_agentbay_item *ret_item);

/* What run_code's tool answers: the current format (D1) and the rich one (D2). */
int rt_agentbay_wire(const struct rt_agentbay_result *result, char **ret_text, struct retort_error *err);
int rt_agentbay_wire_rich(const struct rt_agentbay_result *result, char **ret_text, struct retort_error *err);

struct rt_json;
/* A result event's payload (A3.4): the MIME keys flat, as most SDKs read them, and under "mime", as Python's does. */
void rt_agentbay_write_event_item(const struct rt_agentbay_item *item, struct rt_json *json);

/* Reads a tool's text as the Python client does (CONTRACTS A4). Whatever the text, the answer is a result: one
 * that cannot be understood is a failed one. Only RETORT_E_NOMEM is an error. All of it lives in arena.
 * Where it differs from Python, on purpose: both spellings of count and time are read; NaN, integers above
 * 2^63 and lone surrogates are not JSON; NUL characters in texts of items become U+FFFD. */
int rt_agentbay_parse(const char *text, size_t size, struct rt_arena *arena,
                      struct rt_agentbay_result *ret_result, struct retort_error *err);
