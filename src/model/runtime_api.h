/* SPDX-License-Identifier: Apache-2.0
 *
 * The models of Runtime's HTTP API (CONTRACTS B2, B4, B10, D4, D5), in the generation that its documentation
 * describes and in its last one ("head"): as structs, as JSON both ways, and as views of an outcome.
 */
#pragma once

#include "base/arena.h"
#include "model/codec.h"
#include "retort.h"

/* What head's errorType says. */
#define RT_RUNTIME_ERROR_TYPES(X)                                                                   \
        X(NONE)                                                                                     \
        X(COMPILE_ERROR)                                                                            \
        X(RUNTIME_ERROR)                                                                            \
        X(STDIN_REQUIRED)                                                                           \
        X(TIMEOUT)                                                                                  \
        X(UNKNOWN_ERROR)

#define X(name) RT_RUNTIME_##name,
enum rt_runtime_error_type { RT_RUNTIME_ERROR_TYPES(X) };
#undef X

/* ExecutionResult, documented: output is stdout, or stderr when that is empty. */
struct rt_runtime_docs_result {
        struct retort_bytes output;
        int exit_code;
        int64_t execution_time; /* ms, starting and compiling included */
};

/* ExecutionResult, head */
struct rt_runtime_head_result {
        struct retort_bytes stdout_data;
        struct retort_bytes stderr_data;
        enum rt_runtime_error_type error_type;
        int exit_code;
        int64_t execution_time;
};

/* ApiResponse<T>: for both results, and for texts (a job's id, or a whole answer as a string). */
struct rt_runtime_docs_response {
        bool success;
        const char *message;
        const struct rt_runtime_docs_result *data; /* NULL: null */
};
struct rt_runtime_head_response {
        bool success;
        const char *message;
        const struct rt_runtime_head_result *data;
};
struct rt_runtime_text_response {
        bool success;
        const char *message;
        const char *data;
};

extern const struct rt_shape rt_runtime_docs_result_shape;
extern const struct rt_shape rt_runtime_head_result_shape;
extern const struct rt_shape rt_runtime_docs_response_shape;
extern const struct rt_shape rt_runtime_head_response_shape;
extern const struct rt_shape rt_runtime_text_response_shape;

/* By status, stage and the name of the guest's error; never by searching its output. */
enum rt_runtime_error_type rt_runtime_error_type_of(const struct retort_outcome *outcome);

/* The documented generation always said 0. */
enum rt_runtime_exit { RT_RUNTIME_EXIT_REAL, RT_RUNTIME_EXIT_ZERO };

/* Views. What they point at lives in the outcome and in arena. */
int rt_runtime_docs_of(const struct retort_outcome *outcome, enum rt_runtime_exit dialect, struct rt_arena *arena,
                       struct rt_runtime_docs_response *ret_response, struct retort_error *err);
int rt_runtime_head_of(const struct retort_outcome *outcome, struct rt_arena *arena,
                       struct rt_runtime_head_response *ret_response, struct retort_error *err);
