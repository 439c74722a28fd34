/* SPDX-License-Identifier: Apache-2.0
 *
 * Runtime's models: both generations as views of our outcomes (CONTRACTS B2, B4, B10, D4, D5), and as JSON.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/util.h"
#include "model-samples.h"
#include "model/runtime_api.h"

static void assert_view(const struct retort_outcome *outcome, const char *name, const char *want) {
        rt_auto_free char *text = NULL;
        assert_int_equal(retort_outcome_view(outcome, name, &text, NULL), 0);
        assert_string_equal(text, want);
}

static void a_clean_run(void **state) {
        (void)state;
        struct retort_outcome outcome = sample_ok();
        assert_view(&outcome, "runtime",
                    "{\"success\":true,\"message\":\"Code Executed successfully\","
                    "\"data\":{\"output\":\"hello\\n\",\"exitCode\":0,\"executionTime\":42}}");
        assert_view(&outcome, "runtime-head",
                    "{\"success\":true,\"message\":\"Code executed "
                    "successfully\",\"data\":{\"stdout\":\"hello\\n\","
                    "\"stderr\":\"\",\"errorType\":\"NONE\",\"exitCode\":0,\"executionTime\":42}}");
}

static void a_failed_run(void **state) {
        (void)state;
        struct retort_outcome outcome = sample_nonzero();
        assert_view(&outcome, "runtime", /* stderr only when stdout is empty */
                    "{\"success\":true,\"message\":\"Code Executed successfully\","
                    "\"data\":{\"output\":\"hello\\n\",\"exitCode\":1,\"executionTime\":42}}");
        assert_view(&outcome, "runtime-head", /* "error:" in stderr does not make it a compile error */
                    "{\"success\":true,\"message\":\"Code executed "
                    "successfully\",\"data\":{\"stdout\":\"hello\\n\","
                    "\"stderr\":\"Traceback: error: ZeroDivisionError\\n\",\"errorType\":\"RUNTIME_ERROR\","
                    "\"exitCode\":1,\"executionTime\":42}}");
}

static void a_refused_program(void **state) {
        (void)state;
        struct retort_outcome outcome = sample_compile_error();
        assert_view(&outcome, "runtime",
                    "{\"success\":true,\"message\":\"Code Executed successfully\",\"data\":{\"output\":"
                    "\"main.c:1:1: error: expected ';'\\n\",\"exitCode\":1,\"executionTime\":55}}");
        assert_view(&outcome, "runtime-head",
                    "{\"success\":true,\"message\":\"Code executed successfully\",\"data\":{\"stdout\":\"\","
                    "\"stderr\":\"main.c:1:1: error: expected ';'\\n\",\"errorType\":\"COMPILE_ERROR\","
                    "\"exitCode\":1,\"executionTime\":55}}");
}

static void a_stopped_run_keeps_its_output(void **state) {
        (void)state;
        struct retort_outcome outcome = sample_wall_limit();
        assert_view(&outcome, "runtime",
                    "{\"success\":true,\"message\":\"Execution timed out\","
                    "\"data\":{\"output\":\"before\",\"exitCode\":-1,\"executionTime\":1501}}");
        assert_view(&outcome, "runtime-head",
                    "{\"success\":true,\"message\":\"Execution timed out\",\"data\":{\"stdout\":\"before\","
                    "\"stderr\":\"warned\\nExecution timed out after 1.5 seconds\",\"errorType\":\"TIMEOUT\","
                    "\"exitCode\":-1,\"executionTime\":1501}}");
        outcome.limit.value = 10000; /* as the original said it */
        outcome.stdout_data.size = outcome.stderr_data.size = 0;
        assert_view(&outcome, "runtime-head",
                    "{\"success\":true,\"message\":\"Execution timed out\",\"data\":{\"stdout\":\"\","
                    "\"stderr\":\"Execution timed out after 10 seconds\",\"errorType\":\"TIMEOUT\","
                    "\"exitCode\":-1,\"executionTime\":1501}}");
}

static void our_own_failure_is_not_the_guests(void **state) {
        (void)state;
        struct retort_outcome outcome = { .status = RETORT_INTERNAL,
                                          .exit_code = -1,
                                          .message = "no jailer" };
        assert_view(&outcome, "runtime",
                    "{\"success\":false,\"message\":\"Execution failed: no jailer\",\"data\":null}");
        assert_view(&outcome, "runtime-head",
                    "{\"success\":false,\"message\":\"Execution failed: no jailer\",\"data\":null}");
}

static void signals_are_told_as_a_shell_does(void **state) {
        (void)state;
        struct retort_outcome outcome = { .status = RETORT_SIGNAL, .exit_code = -1, .signal = 11 };
        assert_view(&outcome, "runtime-head",
                    "{\"success\":true,\"message\":\"Code executed successfully\",\"data\":{\"stdout\":\"\","
                    "\"stderr\":\"\",\"errorType\":\"RUNTIME_ERROR\",\"exitCode\":139,\"executionTime\":0}}");
}

static void the_exit_code_can_be_hidden(void **state) {
        (void)state;
        rt_auto_arena struct rt_arena arena = { 0 };
        struct retort_outcome outcome = sample_nonzero();
        struct rt_runtime_docs_response response;
        assert_int_equal(rt_runtime_docs_of(&outcome, RT_RUNTIME_EXIT_ZERO, &arena, &response, NULL), 0);
        assert_int_equal(response.data->exit_code, 0);
        assert_int_equal(rt_runtime_docs_of(&outcome, RT_RUNTIME_EXIT_REAL, &arena, &response, NULL), 0);
        assert_int_equal(response.data->exit_code, 1);
}

static void error_types_go_by_status_and_stage(void **state) {
        (void)state;
        static const struct {
                enum retort_status status;
                const char *error;
                enum rt_runtime_error_type want;
        } rows[] = {
                { RETORT_OK, NULL, RT_RUNTIME_NONE },
                { RETORT_OK, "EOFError", RT_RUNTIME_NONE },
                { RETORT_NONZERO, NULL, RT_RUNTIME_RUNTIME_ERROR }, /* a silent exit(3) asks for no stdin */
                { RETORT_NONZERO, "ValueError", RT_RUNTIME_RUNTIME_ERROR },
                { RETORT_NONZERO, "EOFError", RT_RUNTIME_STDIN_REQUIRED },
                { RETORT_NONZERO, "java.util.NoSuchElementException", RT_RUNTIME_STDIN_REQUIRED },
                { RETORT_NONZERO, "MyEOFError", RT_RUNTIME_RUNTIME_ERROR },
                { RETORT_NONZERO, "SyntaxError", RT_RUNTIME_COMPILE_ERROR },
                { RETORT_SIGNAL, "EOFError", RT_RUNTIME_RUNTIME_ERROR },
                { RETORT_COMPILE_ERROR, NULL, RT_RUNTIME_COMPILE_ERROR },
                { RETORT_WALL_LIMIT, "EOFError", RT_RUNTIME_TIMEOUT },
                { RETORT_CPU_LIMIT, NULL, RT_RUNTIME_TIMEOUT },
                { RETORT_MEMORY_LIMIT, NULL, RT_RUNTIME_RUNTIME_ERROR },
                { RETORT_OUTPUT_LIMIT, NULL, RT_RUNTIME_RUNTIME_ERROR },
                { RETORT_DENIED, NULL, RT_RUNTIME_RUNTIME_ERROR },
                { RETORT_CANCELLED, NULL, RT_RUNTIME_UNKNOWN_ERROR },
                { RETORT_INTERNAL, NULL, RT_RUNTIME_UNKNOWN_ERROR },
                { (enum retort_status)99, NULL, RT_RUNTIME_UNKNOWN_ERROR },
        };
        for (size_t i = 0; i < RT_LEN(rows); i++) {
                struct retort_outcome outcome = { .status = rows[i].status,
                                                  .error = { .name = rows[i].error },
                                                  .stderr_data = BYTES("Traceback error: end of file") };
                if (rt_runtime_error_type_of(&outcome) != rows[i].want)
                        fail_msg("row %zu", i);
        }
}

static void unknown_views_are_listed(void **state) {
        (void)state;
        struct retort_outcome outcome = sample_ok();
        struct retort_error err = { 0 };
        rt_auto_free char *text = NULL;
        assert_int_equal(retort_outcome_view(&outcome, "piston", &text, &err), RETORT_E_INPUT);
        assert_string_equal(err.message,
                            "no such view; there are agentbay, agentbay-rich, runtime, runtime-head");
        assert_null(text);
}

static void models_survive_the_round_trip(void **state) {
        (void)state;
        static const struct {
                const struct rt_shape *shape;
                const char *text;
        } rows[] = {
                { &rt_runtime_docs_result_shape,
                  "{\"output\":\"o\\u0000\",\"exitCode\":-1,\"executionTime\":5}" },
                { &rt_runtime_head_result_shape,
                  "{\"stdout\":\"o\",\"stderr\":\"e\",\"errorType\":\"TIMEOUT\","
                  "\"exitCode\":2,\"executionTime\":5}" },
                { &rt_runtime_docs_response_shape, "{\"success\":true,\"message\":\"m\",\"data\":{\"output\":"
                                                   "\"\",\"exitCode\":0,\"executionTime\":1}}" },
                { &rt_runtime_head_response_shape, "{\"success\":false,\"message\":\"m\",\"data\":null}" },
                { &rt_runtime_text_response_shape,
                  "{\"success\":true,\"message\":\"COMPLETED\",\"data\":\"{\\\"success\\\":true}\"}" },
                { &rt_runtime_text_response_shape,
                  "{\"success\":true,\"message\":\"QUEUED\",\"data\":null}" },
        };
        for (size_t i = 0; i < RT_LEN(rows); i++) {
                rt_auto_arena struct rt_arena arena = { 0 };
                rt_auto_free char *again = NULL;
                char object[128] __attribute__((aligned(16))) = { 0 };
                struct retort_error err = { 0 };
                assert_true(rows[i].shape->size <= sizeof object);
                if (rt_shape_parse(rows[i].shape, "model", rows[i].text, strlen(rows[i].text), RT_LENIENT,
                                   &arena, object, &err) < 0)
                        fail_msg("%s in %s", err.message, rows[i].text);
                assert_int_equal(rt_shape_json(rows[i].shape, object, &again, &err), 0);
                assert_string_equal(again, rows[i].text);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_clean_run),
                cmocka_unit_test(a_failed_run),
                cmocka_unit_test(a_refused_program),
                cmocka_unit_test(a_stopped_run_keeps_its_output),
                cmocka_unit_test(our_own_failure_is_not_the_guests),
                cmocka_unit_test(signals_are_told_as_a_shell_does),
                cmocka_unit_test(the_exit_code_can_be_hidden),
                cmocka_unit_test(error_types_go_by_status_and_stage),
                cmocka_unit_test(unknown_views_are_listed),
                cmocka_unit_test(models_survive_the_round_trip),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
