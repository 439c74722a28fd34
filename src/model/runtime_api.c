/* SPDX-License-Identifier: Apache-2.0 */
#include "model/runtime_api.h"

#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "model/view.h"

/* ---- the models as JSON ------------------------------------------------------------------------- */

static const char *const error_types[] = {
#define X(name) #name,
        RT_RUNTIME_ERROR_TYPES(X)
#undef X
};

static const struct rt_field docs_fields[] = {
        RT_FIELD("output", struct rt_runtime_docs_result, output, RT_TEXT),
        RT_FIELD("exitCode", struct rt_runtime_docs_result, exit_code, RT_INT),
        RT_FIELD("executionTime", struct rt_runtime_docs_result, execution_time, RT_INT64),
};
const struct rt_shape rt_runtime_docs_result_shape = RT_SHAPE(struct rt_runtime_docs_result, docs_fields);

static const struct rt_field head_fields[] = {
        RT_FIELD("stdout", struct rt_runtime_head_result, stdout_data, RT_TEXT),
        RT_FIELD("stderr", struct rt_runtime_head_result, stderr_data, RT_TEXT),
        RT_FIELD("errorType", struct rt_runtime_head_result, error_type, RT_NAME, .names = error_types,
                 .n_names = RT_LEN(error_types)),
        RT_FIELD("exitCode", struct rt_runtime_head_result, exit_code, RT_INT),
        RT_FIELD("executionTime", struct rt_runtime_head_result, execution_time, RT_INT64),
};
const struct rt_shape rt_runtime_head_result_shape = RT_SHAPE(struct rt_runtime_head_result, head_fields);

#define RESPONSE(type, data_kind, ...)                                                                       \
        RT_FIELD("success", type, success, RT_BOOL, .flags = RT_REQUIRED),                                   \
                RT_FIELD("message", type, message, RT_STRING, .flags = RT_REQUIRED),                         \
                RT_FIELD("data", type, data, data_kind, .flags = RT_NULL, ##__VA_ARGS__),

static const struct rt_field docs_response_fields[] = { RESPONSE(struct rt_runtime_docs_response, RT_REF,
                                                                 .shape = &rt_runtime_docs_result_shape) };
const struct rt_shape rt_runtime_docs_response_shape =
        RT_SHAPE(struct rt_runtime_docs_response, docs_response_fields);

static const struct rt_field head_response_fields[] = { RESPONSE(struct rt_runtime_head_response, RT_REF,
                                                                 .shape = &rt_runtime_head_result_shape) };
const struct rt_shape rt_runtime_head_response_shape =
        RT_SHAPE(struct rt_runtime_head_response, head_response_fields);

static const struct rt_field text_response_fields[] = { RESPONSE(struct rt_runtime_text_response,
                                                                 RT_STRING) };
const struct rt_shape rt_runtime_text_response_shape =
        RT_SHAPE(struct rt_runtime_text_response, text_response_fields);

/* ---- views -------------------------------------------------------------------------------------- */

static const enum rt_runtime_error_type types_by_status[] = {
        [RETORT_OK] = RT_RUNTIME_NONE,
        [RETORT_NONZERO] = RT_RUNTIME_RUNTIME_ERROR,
        [RETORT_SIGNAL] = RT_RUNTIME_RUNTIME_ERROR,
        [RETORT_CPU_LIMIT] = RT_RUNTIME_TIMEOUT,
        [RETORT_WALL_LIMIT] = RT_RUNTIME_TIMEOUT,
        [RETORT_MEMORY_LIMIT] = RT_RUNTIME_RUNTIME_ERROR,
        [RETORT_OUTPUT_LIMIT] = RT_RUNTIME_RUNTIME_ERROR,
        [RETORT_PROCESS_LIMIT] = RT_RUNTIME_RUNTIME_ERROR,
        [RETORT_FILE_LIMIT] = RT_RUNTIME_RUNTIME_ERROR,
        [RETORT_DENIED] = RT_RUNTIME_RUNTIME_ERROR,
        [RETORT_COMPILE_ERROR] = RT_RUNTIME_COMPILE_ERROR,
        [RETORT_CANCELLED] = RT_RUNTIME_UNKNOWN_ERROR,
        [RETORT_INTERNAL] = RT_RUNTIME_UNKNOWN_ERROR,
};

/* Names of errors, without their package, that say more than "nonzero" does. */
static const struct {
        const char *name;
        enum rt_runtime_error_type type;
} types_by_error[] = {
        { "EOFError", RT_RUNTIME_STDIN_REQUIRED },
        { "EOFException", RT_RUNTIME_STDIN_REQUIRED },
        { "NoSuchElementException", RT_RUNTIME_STDIN_REQUIRED },
        { "SyntaxError", RT_RUNTIME_COMPILE_ERROR }, /* the compile stage of languages without one */
        { "IndentationError", RT_RUNTIME_COMPILE_ERROR },
        { "TabError", RT_RUNTIME_COMPILE_ERROR },
};

enum rt_runtime_error_type rt_runtime_error_type_of(const struct retort_outcome *outcome) {
        if ((unsigned)outcome->status >= RT_LEN(types_by_status))
                return RT_RUNTIME_UNKNOWN_ERROR;
        if (outcome->status == RETORT_NONZERO && outcome->error.name) {
                const char *dot = strrchr(outcome->error.name, '.');
                const char *name = dot ? dot + 1 : outcome->error.name;
                for (size_t i = 0; i < RT_LEN(types_by_error); i++)
                        if (strcmp(name, types_by_error[i].name) == 0)
                                return types_by_error[i].type;
        }
        return types_by_status[outcome->status];
}

static bool is_timeout(const struct retort_outcome *outcome) {
        return rt_runtime_error_type_of(outcome) == RT_RUNTIME_TIMEOUT;
}

/* As the shell that ran everything there: 128 and the signal, the compiler's code, -1 for what was stopped.
 */
static int exit_code_of(const struct retort_outcome *outcome) {
        const struct retort_step *compile = rt_view_compile_step(outcome);
        if (outcome->status == RETORT_COMPILE_ERROR)
                return compile && compile->exit_code > 0 ? compile->exit_code : 1;
        if (outcome->status == RETORT_SIGNAL && outcome->signal)
                return 128 + outcome->signal;
        return outcome->exit_code;
}

static int64_t time_of(const struct retort_outcome *outcome) {
        return (int64_t)((outcome->usage.setup_ns + outcome->usage.wall_ns) / 1000000);
}

static struct retort_bytes stdout_of(const struct retort_outcome *outcome, struct rt_arena *arena) {
        struct retort_bytes pieces[2];
        return rt_view_join(pieces, rt_view_stdout(outcome, pieces), arena);
}

/* What was written, and for a run that was stopped the words a client looks for, on a line of their own. */
static struct retort_bytes stderr_of(const struct retort_outcome *outcome, struct rt_arena *arena) {
        struct retort_bytes pieces[4];
        size_t n = rt_view_stderr(outcome, pieces);
        if (!is_timeout(outcome))
                return rt_view_join(pieces, n, arena);
        const char *words = "Execution timed out";
        rt_auto_json struct rt_json seconds = RT_JSON();
        rt_json_decimal(&seconds, outcome->limit.value, 3);
        if (outcome->limit.value)
                words = seconds.failed
                                ? NULL
                                : rt_arena_printf(arena, "%s after %s seconds", words, seconds.buf.data);
        if (!words)
                return (struct retort_bytes){ 0 };
        if (n && pieces[n - 1].data[pieces[n - 1].size - 1] != '\n')
                pieces[n++] = (struct retort_bytes){ "\n", 1 };
        pieces[n++] = (struct retort_bytes){ words, strlen(words) };
        return rt_view_join(pieces, n, arena);
}

static const char *failure(const struct retort_outcome *outcome, struct rt_arena *arena) {
        const char *reason = rt_view_reason(outcome, arena);
        return reason ? rt_arena_printf(arena, "Execution failed: %s", reason) : NULL;
}

int rt_runtime_docs_of(const struct retort_outcome *outcome, enum rt_runtime_exit dialect,
                       struct rt_arena *arena, struct rt_runtime_docs_response *ret_response,
                       struct retort_error *err) {
        struct rt_runtime_docs_response response = { .success = outcome->status != RETORT_INTERNAL };
        if (response.success) {
                struct rt_runtime_docs_result *result = rt_arena_new(arena, struct rt_runtime_docs_result);
                if (!result)
                        return rt_fail_nomem(err);
                result->output = stdout_of(outcome, arena);
                if (result->output.data && result->output.size == 0)
                        result->output = stderr_of(outcome, arena);
                result->exit_code = dialect == RT_RUNTIME_EXIT_ZERO ? 0 : exit_code_of(outcome);
                result->execution_time = time_of(outcome);
                if (!result->output.data)
                        return rt_fail_nomem(err);
                response.data = result;
                response.message = is_timeout(outcome) ? "Execution timed out" : "Code Executed successfully";
        } else {
                response.message = failure(outcome, arena);
        }
        if (!response.message)
                return rt_fail_nomem(err);
        *ret_response = response;
        return 0;
}

int rt_runtime_head_of(const struct retort_outcome *outcome, struct rt_arena *arena,
                       struct rt_runtime_head_response *ret_response, struct retort_error *err) {
        struct rt_runtime_head_response response = { .success = outcome->status != RETORT_INTERNAL };
        if (response.success) {
                struct rt_runtime_head_result *result = rt_arena_new(arena, struct rt_runtime_head_result);
                if (!result)
                        return rt_fail_nomem(err);
                result->stdout_data = stdout_of(outcome, arena);
                result->stderr_data = stderr_of(outcome, arena);
                result->error_type = rt_runtime_error_type_of(outcome);
                result->exit_code = exit_code_of(outcome);
                result->execution_time = time_of(outcome);
                if (!result->stdout_data.data || !result->stderr_data.data)
                        return rt_fail_nomem(err);
                response.data = result;
                response.message = is_timeout(outcome) ? "Execution timed out" : "Code executed successfully";
        } else {
                response.message = failure(outcome, arena);
        }
        if (!response.message)
                return rt_fail_nomem(err);
        *ret_response = response;
        return 0;
}
