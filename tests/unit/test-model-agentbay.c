/* SPDX-License-Identifier: Apache-2.0
 *
 * AgentBay's models: the behaviours that its own tests assert (CONTRACTS A9 1 to 8 and 21), `.result` (A2),
 * the forms of raw output and their oddities (A4), and the views of our outcomes (D1, D2).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <string.h>

#include "base/buf.h"
#include "base/util.h"
#include "model-samples.h"
#include "model/agentbay.h"

static struct rt_arena arena;

static int clear_arena(void **state) {
        (void)state;
        rt_arena_clear(&arena);
        return 0;
}

static struct rt_agentbay_result parse_bytes(const char *text, size_t size) {
        struct rt_agentbay_result result;
        assert_int_equal(rt_agentbay_parse(text, size, &arena, &result, NULL), 0);
        assert_string_equal(result.request_id, "");
        return result;
}

static struct rt_agentbay_result parse(const char *text) {
        return parse_bytes(text, strlen(text));
}

static void assert_formats(const struct rt_agentbay_item *item, const char *want) {
        const char *names[RT_AGENTBAY_N_FORMATS];
        rt_auto_buf struct rt_buf got = RT_BUF(200);
        (void)rt_buf_add(&got, "", 0);
        size_t n = rt_agentbay_formats(item, names);
        for (size_t i = 0; i < n; i++)
                (void)rt_buf_printf(&got, "%s%s", i ? " " : "", names[i]);
        assert_string_equal(got.data, want);
}

#define ASSERT_RESULT(result, want) assert_string_equal(rt_agentbay_result_text((result), &arena), want)

static void assert_chunk(struct retort_bytes chunk, const char *want) {
        assert_int_equal(chunk.size, strlen(want));
        assert_memory_equal(chunk.data, want, chunk.size);
}

/* ---- A9 1 to 8, A2 ------------------------------------------------------------------------------ */

static void formats_are_those_present_in_order(void **state) {
        (void)state;
        assert_formats(&(struct rt_agentbay_item){ .text = "x" }, "text");
        assert_formats(
                &(struct rt_agentbay_item){ .png = "p", .text = "x", .html = "h", .is_main_result = true },
                "text html png");
        assert_formats(&(struct rt_agentbay_item){ 0 }, "");
        assert_formats(&(struct rt_agentbay_item){ .is_main_result = true }, "");
        assert_formats(&(struct rt_agentbay_item){ .text = "", .json = "{}" }, "text json");
        assert_formats(&(struct rt_agentbay_item){ "a", "b", "c", "d", "e", "f", "g", "h", "i", true, "x" },
                       "text html markdown png jpeg svg json latex chart");
}

static void the_result_is_the_first_that_says_something(void **state) {
        (void)state;
        static const struct {
                struct rt_agentbay_item items[2];
                size_t n_items;
                const char *want;
        } rows[] = {
                { { { .text = "secondary" }, { .text = "primary", .is_main_result = true } }, 2, "primary" },
                { { { .text = "1", .is_main_result = true }, { .text = "2", .is_main_result = true } },
                  2,
                  "1" },
                { { { .text = "first" }, { .text = "second" } }, 2, "first" },
                { { { .html = "h", .is_main_result = true }, { .text = "b" } }, 2, "L" },
                { { { .text = "" } }, 1, "L" },
                { { { .text = "", .is_main_result = true }, { .text = "b" } }, 2, "L" },
                { { { .html = "h" }, { .text = "b" } }, 2, "L" },
                { { { 0 } }, 0, "L" },
        };
        struct retort_bytes chunk = { "L", 1 };
        for (size_t i = 0; i < RT_LEN(rows); i++) {
                struct rt_agentbay_result result = { .results = rows[i].items,
                                                     .n_results = rows[i].n_items,
                                                     .logs = { .stdout_chunks = &chunk, .n_stdout = 1 } };
                ASSERT_RESULT(&result, rows[i].want);
        }
        struct retort_bytes two[] = { BYTES("output1"), BYTES("output2") };
        struct rt_agentbay_result result = { .logs = { .stdout_chunks = two, .n_stdout = 2 } };
        ASSERT_RESULT(&result, "output1output2");
        ASSERT_RESULT(&(struct rt_agentbay_result){ 0 }, "");
}

static void a_rich_body_is_read_whole(void **state) {
        (void)state;
        struct rt_agentbay_result result =
                parse("{\"logs\":{\"stdout\":[\"hello\\n\",\"more\"],\"stderr\":[\"warn\"]},"
                      "\"results\":[{\"text\":\"42\",\"is_main_result\":true},"
                      "{\"html\":\"<b/>\",\"png\":\"iVBOR\",\"is_main_result\":false}],"
                      "\"execution_count\":5,\"execution_time\":1.5}");
        assert_true(result.success);
        assert_int_equal(result.logs.n_stdout, 2);
        assert_chunk(result.logs.stdout_chunks[0], "hello\n");
        assert_chunk(result.logs.stdout_chunks[1], "more");
        assert_int_equal(result.logs.n_stderr, 1);
        assert_chunk(result.logs.stderr_chunks[0], "warn");
        assert_int_equal(result.n_results, 2);
        assert_string_equal(result.results[0].text, "42");
        assert_true(result.results[0].is_main_result && !result.results[1].is_main_result);
        assert_formats(&result.results[1], "html png");
        assert_int_equal(result.execution_count, 5);
        assert_true(result.execution_time > 1.4999 && result.execution_time < 1.5001);
        assert_null(result.error);
        assert_string_equal(result.error_message, "");
        ASSERT_RESULT(&result, "42");
}

static void charts_tables_and_json_are_kept(void **state) {
        (void)state;
        struct rt_agentbay_result result = parse(
                "{\"results\":["
                "{\"png\":\"p\",\"chart\":{\"type\":\"matplotlib\",\"title\":\"T\"},\"is_main_result\":true},"
                "{\"html\":\"<table></table>\",\"text\":\"   a\\n0  1\",\"isMainResult\":true},"
                "{\"json\":{\"name\":\"x\",\"n\":[1]}},{\"latex\":\"\\\\frac{1}{2}\"}, 5,"
                "{\"text\":\"\",\"json\":{},\"html\":null}]}");
        assert_int_equal(result.n_results, 5); /* objects only */
        assert_string_equal(result.results[0].chart, "{\"type\":\"matplotlib\",\"title\":\"T\"}");
        assert_true(result.results[0].is_main_result);
        assert_string_equal(result.results[1].text, "   a\n0  1");
        assert_true(result.results[1].is_main_result);
        json_t *value = json_loads(result.results[2].json, 0, NULL);
        assert_string_equal(json_string_value(json_object_get(value, "name")), "x");
        json_decref(value);
        assert_string_equal(result.results[3].latex, "\\frac{1}{2}");
        assert_formats(&result.results[4], "text json"); /* empty is present here */
}

static void displays_prints_and_values_keep_apart(void **state) {
        (void)state;
        struct rt_agentbay_result result = parse(
                "{\"logs\":{\"stdout\":[\"printed\\n\"],\"stderr\":[]},\"results\":["
                "{\"html\":\"<h1/>\",\"is_main_result\":false},{\"text\":\"42\",\"is_main_result\":true}]}");
        assert_formats(&result.results[0], "html");
        assert_int_equal(result.logs.n_stdout, 1);
        assert_chunk(result.logs.stdout_chunks[0], "printed\n");
        ASSERT_RESULT(&result, "42");
}

static void rich_errors_are_exact(void **state) {
        (void)state;
        struct rt_agentbay_result result =
                parse("{\"results\":[],\"isError\":true,\"error\":{\"name\":\"NameError\","
                      "\"value\":\"name 'x' is not defined\",\"traceback\":\"Traceback (most\"}}");
        assert_false(result.success);
        assert_string_equal(result.error->name, "NameError");
        assert_string_equal(result.error->value, "name 'x' is not defined");
        assert_non_null(strstr(result.error->traceback, "Traceback"));
        result = parse("{\"logs\":{},\"error\":{\"x\":1}}");
        assert_true(result.success); /* an error object alone does not fail it */
        assert_string_equal(result.error->name, "UnknownError");
        assert_string_equal(result.error->value, "");
        assert_string_equal(result.error->traceback, "");
}

/* ---- A4: the other forms ------------------------------------------------------------------------ */

static void the_current_form(void **state) {
        (void)state;
        struct rt_agentbay_result result = parse(
                "{\"executionError\":\"\",\"result\":["
                "\"{\\\"text/plain\\\":\\\"42\\\",\\\"text\\\":\\\"no\\\",\\\"isMainResult\\\":true}\","
                "\"\\\"{\\\\\\\"html\\\\\\\":\\\\\\\"twice\\\\\\\"}\\\"\","
                "{\"image/svg+xml\":\"\",\"svg\":\"<svg/>\",\"is_main_result\":1,\"application/json\":[0],"
                "\"text/latex\":\"l\",\"image/png\":\"p\",\"image/jpeg\":\"j\",\"text/markdown\":\"m\"},"
                "{\"chart\":{\"c\":1},\"application/vnd.vegalite.v5+json\":{\"v\":5}},"
                "{\"application/vnd.vegalite.v4+json\":{\"v\":4},\"application/"
                "vnd.vegalite.v5+json\":{\"v\":5}},"
                "{\"chart\":{\"c\":1},\"text\":\"\",\"json\":{},\"html\":0},"
                "\"plain words\",7,true,null,[1,2],\"[1]\"],"
                "\"stdout\":[\"a\",\"b\"],\"stderr\":[\"e\"],\"execution_count\":3,\"execution_time\":0.25}");
        assert_true(result.success);
        assert_null(result.error);
        assert_int_equal(result.n_results, 12);
        const struct rt_agentbay_item *items = result.results;
        assert_string_equal(items[0].text, "42");
        assert_true(items[0].is_main_result);
        assert_string_equal(items[1].html, "twice");
        assert_formats(&items[2], "markdown png jpeg svg json latex");
        assert_string_equal(items[2].svg, "<svg/>"); /* a falsy MIME key gives way */
        assert_string_equal(items[2].json, "[0]");
        assert_true(items[2].is_main_result);
        assert_string_equal(items[3].chart, "{\"v\":5}");
        assert_string_equal(items[4].chart, "{\"v\":4}");
        assert_formats(&items[5], "chart"); /* what is falsy is absent */
        assert_string_equal(items[5].chart, "{\"c\":1}");
        assert_string_equal(items[6].text, "plain words");
        assert_string_equal(items[7].text, "7");
        assert_string_equal(items[8].text, "True");
        assert_string_equal(items[9].text, "None");
        assert_string_equal(items[10].text, "[1,2]");
        assert_string_equal(items[11].text, "[1]");
        assert_int_equal(result.logs.n_stdout, 2);
        assert_int_equal(result.logs.n_stderr, 1);
        assert_int_equal(result.execution_count, 3);
}

static void current_errors(void **state) {
        (void)state;
        struct rt_agentbay_result result =
                parse("{\"result\":[],\"executionError\":\"boom\",\"stdout\":[\"x\"]}");
        assert_false(result.success);
        assert_string_equal(result.error->name, "ExecutionError");
        assert_string_equal(result.error->value, "boom");
        assert_string_equal(result.error->traceback, "");
        assert_string_equal(result.error_message, "");
        assert_int_equal(result.logs.n_stdout, 1);
        result = parse("{\"result\":[],\"isError\":true}");
        assert_false(result.success);
        assert_null(result.error);
}

static void both_spellings_of_count_and_time(void **state) {
        (void)state;
        struct rt_agentbay_result result = parse("{\"result\":[],\"executionCount\":4,\"executionTime\":2}");
        assert_int_equal(result.execution_count, 4);
        assert_true(result.execution_time > 1.9 && result.execution_time < 2.1);
        result = parse("{\"result\":[],\"executionCount\":4,\"execution_count\":9}");
        assert_int_equal(result.execution_count, 9);
        result = parse("{\"result\":[],\"execution_count\":\"9\"}");
        assert_int_equal(result.execution_count, -1);
}

static void legacy_forms(void **state) {
        (void)state;
        struct rt_agentbay_result result =
                parse("{\"isError\":true,\"content\":[{\"text\":\"a\"},{\"x\":1},{\"text\":\"b\"}]}");
        assert_false(result.success);
        assert_string_equal(result.error_message, "AgentBay error: Error in response: a; b");
        assert_null(result.error);
        result = parse("{\"content\":[{\"text\":\"hello\"},{\"text\":\"ignored\"}]}");
        assert_true(result.success);
        assert_int_equal(result.logs.n_stdout, 1);
        assert_chunk(result.logs.stdout_chunks[0], "hello");
        assert_int_equal(result.n_results, 1);
        assert_true(result.results[0].is_main_result);
        ASSERT_RESULT(&result, "hello");
}

static void any_text_is_an_answer(void **state) {
        (void)state;
        static const char *const texts[] = {
                "just words\n", "[1,2]", "42", "null", "\"str\"", "{broken", ""
        };
        for (size_t i = 0; i < RT_LEN(texts); i++) {
                struct rt_agentbay_result result = parse(texts[i]);
                assert_true(result.success);
                ASSERT_RESULT(&result, texts[i]);
                assert_chunk(result.logs.stdout_chunks[0], texts[i]);
        }
        struct rt_agentbay_result result = parse_bytes("a\0b\xff", 4);
        assert_string_equal(result.results[0].text, "a\xef\xbf\xbd"
                                                    "b\xef\xbf\xbd");
        assert_int_equal(result.logs.stdout_chunks[0].size, 6); /* a chunk can hold the NUL */
        assert_int_equal(parse_bytes(NULL, 0).success, true);
}

static void wrapped_bodies_are_unwrapped(void **state) {
        (void)state;
        struct rt_agentbay_result result =
                parse(" \n{\"content\":[{\"text\":\"{\\\"result\\\":[\\\"x\\\"],\\\"stdout\\\":[]}\"}]}\v ");
        assert_int_equal(result.n_results, 1);
        assert_string_equal(result.results[0].text, "x");
        result = parse("{\"isError\":true,\"content\":[{\"text\":\"{\\\"result\\\":[]}\"}]}");
        assert_true(result.success); /* the inner body replaces the outer, its isError included */
        result = parse("{\"content\":[{\"text\":\"{\\\"logs\\\":{}}\"}]}");
        ASSERT_RESULT(&result, "{\"logs\":{}}"); /* only result and executionError are unwrapped */
}

static void verified_oddities(void **state) {
        (void)state;
        static const char *const unknown[] = {
                "{\"executionError\":\"boom\",\"stdout\":[\"lost\"]}",
                "{\"a\":1}",
                "{}",
                "{\"result\":\"not a list\"}",
                "{\"content\":[]}",
                "{\"content\":[{\"text\":null}]}",
                "{\"content\":[\"text\"]}",
                "{\"content\":[{\"text\":\"{\\\"executionError\\\":\\\"x\\\"}\"}]}",
        };
        for (size_t i = 0; i < RT_LEN(unknown); i++) {
                struct rt_agentbay_result result = parse(unknown[i]);
                assert_false(result.success);
                assert_string_equal(result.error_message, "AgentBay error: Unknown response format");
                assert_int_equal(result.logs.n_stdout, 0);
        }
        /* a result list wins over everything that the rich form would read */
        struct rt_agentbay_result result =
                parse("{\"result\":[],\"logs\":{\"stdout\":[\"x\"]},\"error\":{\"name\":\"E\"}}");
        assert_true(result.success);
        assert_null(result.error);
        assert_int_equal(result.logs.n_stdout, 0);
        result = parse("{\"result\":[],\"stdout\":\"bare\",\"stderr\":[1,\"two\"]}");
        assert_chunk(result.logs.stdout_chunks[0], "bare");
        assert_chunk(result.logs.stderr_chunks[0], "1");
}

/* ---- models as JSON ----------------------------------------------------------------------------- */

static void model_round_trip(const struct rt_shape *shape, const char *text) {
        char object[256] __attribute__((aligned(16))) = { 0 };
        struct retort_error err = { 0 };
        rt_auto_free char *again = NULL;
        assert_true(shape->size <= sizeof object);
        if (rt_shape_parse(shape, "model", text, strlen(text), RT_LENIENT, &arena, object, &err) < 0)
                fail_msg("%s in %s", err.message, text);
        assert_int_equal(rt_shape_json(shape, object, &again, &err), 0);
        assert_string_equal(again, text);
}

static void models_survive_the_round_trip(void **state) {
        (void)state;
        model_round_trip(
                &rt_agentbay_item_shape,
                "{\"text\":\"t\",\"html\":\"h\",\"markdown\":\"m\",\"png\":\"p\",\"jpeg\":\"j\",\"svg\":"
                "\"s\","
                "\"json\":{\"a\":[1]},\"latex\":\"l\",\"chart\":{\"type\":\"bar\"},\"is_main_result\":true}");
        model_round_trip(&rt_agentbay_logs_shape, "{\"stdout\":[\"a\",\"\\u0000\"],\"stderr\":[]}");
        model_round_trip(&rt_agentbay_error_shape, "{\"name\":\"n\",\"value\":\"v\",\"traceback\":\"t\"}");
        model_round_trip(&rt_agentbay_response_shape, "{\"request_id\":\"r\"}");
        model_round_trip(&rt_agentbay_code_result_shape,
                         "{\"request_id\":\"r\",\"success\":true,\"result\":\"x\",\"error_message\":\"\"}");
        model_round_trip(
                &rt_agentbay_result_shape,
                "{\"request_id\":\"r\",\"success\":false,\"execution_count\":2,\"execution_time\":0.5,"
                "\"logs\":{\"stdout\":[],\"stderr\":[\"e\"]},\"results\":[{\"is_main_result\":false}],"
                "\"error\":{\"name\":\"n\",\"value\":\"v\",\"traceback\":\"t\"},\"error_message\":\"m\"}");
        struct rt_agentbay_result result;
        const char *lenient = "{\"execution_count\":null,\"more\":1,\"error\":null}";
        memset(&result, 0, sizeof result);
        assert_int_equal(rt_shape_parse(&rt_agentbay_result_shape, "result", lenient, strlen(lenient),
                                        RT_LENIENT, &arena, &result, NULL),
                         0);
        assert_int_equal(result.execution_count, -1);
        assert_string_equal(result.request_id, "");
        assert_null(result.error);
}

/* ---- views -------------------------------------------------------------------------------------- */

static const char *view(const struct retort_outcome *outcome, const char *name) {
        rt_auto_free char *text = NULL;
        assert_int_equal(retort_outcome_view(outcome, name, &text, NULL), 0);
        return rt_arena_strdup(&arena, text);
}

static void the_current_view(void **state) {
        (void)state;
        struct retort_outcome outcome = sample_full();
        outcome.n_steps = 0;
        assert_string_equal(
                view(&outcome, "agentbay"),
                "{\"executionError\":\"KeyError: 'a'\",\"result\":["
                "\"{\\\"text/html\\\":\\\"<b>bold</b>\\\",\\\"image/png\\\":\\\"iVBORw0K\\\","
                "\\\"application/"
                "vnd.vegalite.v5+json\\\":{\\\"mark\\\":\\\"bar\\\"},\\\"isMainResult\\\":false}\","
                "\"{\\\"text/plain\\\":\\\"42\\\",\\\"text/markdown\\\":\\\"m\\\",\\\"image/"
                "jpeg\\\":\\\"j\\\","
                "\\\"image/svg+xml\\\":\\\"<svg/>\\\",\\\"application/json\\\":{\\\"k\\\":null,"
                "\\\"big\\\":9007199254740993},\\\"text/latex\\\":\\\"$x$\\\","
                "\\\"chart\\\":{\\\"type\\\":\\\"line\\\"},\\\"isMainResult\\\":true}\"],"
                "\"stdout\":[\"part\\n\"],\"stderr\":[\"\xef\xbf\xbd\\u0000rubbish\"],"
                "\"execution_count\":7,\"execution_time\":0.500123456,"
                "\"executionCount\":7,\"executionTime\":0.500123456}");
        outcome = sample_ok();
        assert_string_equal(view(&outcome, "agentbay"),
                            "{\"executionError\":\"\",\"result\":[],\"stdout\":[\"hello\\n\"],\"stderr\":[],"
                            "\"execution_time\":0.0405,\"executionTime\":0.0405}");
}

static void the_rich_view(void **state) {
        (void)state;
        struct retort_outcome outcome = sample_nonzero();
        assert_string_equal(
                view(&outcome, "agentbay-rich"),
                "{\"logs\":{\"stdout\":[\"hello\\n\"],\"stderr\":[\"Traceback: error: "
                "ZeroDivisionError\\n\"]},\"results\":[],\"error\":{\"name\":\"ZeroDivisionError\","
                "\"value\":\"division by zero\",\"traceback\":\"Traceback\"},\"isError\":true,"
                "\"execution_time\":0.0405}");
}

/* A client that reads either body gets what the view of the outcome says (A9 21). */
static void views_are_what_clients_read(void **state) {
        (void)state;
        struct retort_outcome samples[] = { sample_full(), sample_ok(), sample_nonzero(),
                                            sample_compile_error(), sample_wall_limit() };
        for (size_t i = 0; i < RT_LEN(samples); i++) {
                struct rt_agentbay_result want;
                assert_int_equal(rt_agentbay_result_of(&samples[i], &arena, &want, NULL), 0);
                assert_int_equal(want.success, samples[i].status == RETORT_OK);
                for (int rich = 0; rich < 2; rich++) {
                        struct rt_agentbay_result got =
                                parse(view(&samples[i], rich ? "agentbay-rich" : "agentbay"));
                        assert_int_equal(got.success, want.success);
                        assert_int_equal(got.error != NULL, want.error != NULL);
                        if (rich && want.error)
                                assert_string_equal(got.error->name, want.error->name);
                        assert_int_equal(got.execution_count, want.execution_count);
                        assert_true(got.execution_time >= 0);
                        assert_int_equal(got.n_results, want.n_results);
                        assert_int_equal(got.logs.n_stdout, want.logs.n_stdout);
                        assert_int_equal(got.logs.n_stderr, want.logs.n_stderr);
                        ASSERT_RESULT(&got, rt_agentbay_result_text(&want, &arena));
                }
        }
}

static void failures_without_an_error_say_why(void **state) {
        (void)state;
        struct retort_outcome outcome = sample_wall_limit();
        struct rt_agentbay_result result;
        assert_int_equal(rt_agentbay_result_of(&outcome, &arena, &result, NULL), 0);
        assert_string_equal(result.error->name, "wall_limit");
        assert_string_equal(result.error->value, "ran longer than wall_ms (wall_ms is 1500)");
        assert_chunk(result.logs.stdout_chunks[0], "before"); /* what was written is not lost */
        outcome = sample_compile_error();
        assert_int_equal(rt_agentbay_result_of(&outcome, &arena, &result, NULL), 0);
        assert_chunk(result.logs.stderr_chunks[0], "main.c:1:1: error: expected ';'\n");
        outcome = sample_nonzero();
        outcome.error.name = NULL;
        struct rt_agentbay_code_result legacy;
        assert_int_equal(rt_agentbay_code_result_of(&outcome, &arena, &legacy, NULL), 0);
        assert_false(legacy.success);
        assert_string_equal(legacy.result, "hello\n");
        assert_string_equal(legacy.error_message, "nonzero: ended with exit code 1");
}

#define TEST(name) cmocka_unit_test_teardown(name, clear_arena)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(formats_are_those_present_in_order),
                TEST(the_result_is_the_first_that_says_something),
                TEST(a_rich_body_is_read_whole),
                TEST(charts_tables_and_json_are_kept),
                TEST(displays_prints_and_values_keep_apart),
                TEST(rich_errors_are_exact),
                TEST(the_current_form),
                TEST(current_errors),
                TEST(both_spellings_of_count_and_time),
                TEST(legacy_forms),
                TEST(any_text_is_an_answer),
                TEST(wrapped_bodies_are_unwrapped),
                TEST(verified_oddities),
                TEST(models_survive_the_round_trip),
                TEST(the_current_view),
                TEST(the_rich_view),
                TEST(views_are_what_clients_read),
                TEST(failures_without_an_error_say_why),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
