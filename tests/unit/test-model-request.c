/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests: what is read, what is refused and in which words, and that copies stand alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/util.h"
#include "base/text.h"
#include "model/model.h"

static const char full[] =
        "{\"language\":\"c\",\"version\":\"12\",\"code\":\"int main(){}\","
        "\"files\":[{\"path\":\"a.c\",\"content\":\"x\\u0000y\"},"
        "{\"path\":\"b.bin\",\"content\":\"//4=\",\"encoding\":\"base64\"}],"
        "\"entry\":\"a.c\",\"stdin\":\"AP8=\",\"stdin_encoding\":\"base64\",\"args\":[\"-x\",\"\"],"
        "\"env\":{\"A\":\"1\",\"B\":\"x=y\",\"C\":\"\"},\"limits\":{\"wall_ms\":1000,\"cpu_ms\":1,"
        "\"memory_bytes\":1048576,\"processes\":32768,\"output_bytes\":1,\"file_bytes\":4096,"
        "\"open_files\":8,\"disk_bytes\":1099511627776},"
        "\"compile\":{\"args\":[\"-O2\"],\"limits\":{\"wall_ms\":2000},\"fresh\":true}}";

static struct retort_request *parse(const char *json) {
        struct retort_error err = { 0 };
        struct retort_request *request = NULL;
        if (retort_request_parse(json, strlen(json), &request, &err) < 0)
                fail_msg("%s in %s", err.message, json);
        return request;
}

static void assert_json(const struct retort_request *request, const char *want) {
        rt_auto_free char *text = NULL;
        assert_int_equal(retort_request_json(request, &text, NULL), 0);
        assert_string_equal(text, want);
}

static void assert_is_full(const struct retort_request *request) {
        assert_string_equal(request->language, "c");
        assert_string_equal(request->code.data, "int main(){}");
        assert_int_equal(request->n_files, 2);
        assert_int_equal(request->files[0].content.size, 3);
        assert_memory_equal(request->files[0].content.data, "x\0y", 3);
        assert_int_equal(request->files[1].content.size, 2);
        assert_memory_equal(request->files[1].content.data, "\xff\xfe", 2);
        assert_int_equal(request->stdin_data.size, 2);
        assert_memory_equal(request->stdin_data.data, "\0\xff", 2);
        assert_int_equal(request->n_args, 2);
        assert_string_equal(request->args[1], "");
        assert_int_equal(request->n_env, 3);
        assert_string_equal(request->env[1], "B=x=y");
        assert_string_equal(request->env[2], "C=");
        assert_int_equal(request->limits.wall_ms, 1000);
        assert_int_equal(request->limits.disk_bytes, 1ull << 40);
        assert_string_equal(request->compile_args[0], "-O2");
        assert_int_equal(request->compile_limits.wall_ms, 2000);
        assert_int_equal(request->compile_limits.cpu_ms, 0);
        assert_true(request->compile_fresh);
        assert_json(request, full);
}

static void everything_is_read_and_written_back(void **state) {
        (void)state;
        struct retort_request *request = parse(full);
        assert_is_full(request);
        retort_request_free(request);
}

static void little_is_enough(void **state) {
        (void)state;
        struct retort_request *request = parse(" { \"code\" : \"\" , \"language\" : \"python\" } \n");
        assert_non_null(request->code.data); /* given, though empty */
        assert_int_equal(request->code.size, 0);
        assert_null(request->version);
        assert_null(request->stdin_data.data);
        assert_int_equal(request->limits.wall_ms, 0);
        assert_json(request, "{\"language\":\"python\",\"code\":\"\"}");
        retort_request_free(request);
        request = parse(
                "{\"language\":\"c\",\"options\":{},\"compile\":{},\"limits\":{},\"env\":{},\"args\":[],"
                "\"stdin\":\"x\",\"stdin_encoding\":\"utf-8\"}");
        assert_json(request, "{\"language\":\"c\",\"stdin\":\"x\"}");
        retort_request_free(request);
}

static void copies_stand_alone(void **state) {
        (void)state;
        struct retort_request *request = parse(full);
        request->stdin_fd = 7;
        struct retort_request *copy = NULL;
        assert_int_equal(rt_model_request_copy(request, &copy, NULL), 0);
        retort_request_free(request); /* whatever the copy shared would be seen by the sanitizer */
        assert_is_full(copy);
        assert_int_equal(copy->stdin_fd, 7);
        retort_request_free(copy);

        const struct retort_request little = { .language = "c", .code = { "\0x", 2 } };
        assert_int_equal(rt_model_request_copy(&little, &copy, NULL), 0);
        assert_ptr_not_equal(copy->language, little.language);
        assert_int_equal(copy->code.size, 2);
        assert_null(copy->version);
        retort_request_free(copy);
}

static void requests_of_callers_are_written(void **state) {
        (void)state;
        static const char *const env[] = { "A=1", "A=2", "AB=3", "NAKED" };
        const struct retort_request request = {
                .language = "c", .code = { "\xff", 1 }, .env = env, .n_env = 4
        };
        assert_json(&request, "{\"language\":\"c\",\"code\":\"/w==\",\"code_encoding\":\"base64\","
                              "\"env\":{\"A\":\"1\",\"AB\":\"3\",\"NAKED\":\"\"}}");
        const struct retort_request wrong = { .language = "\xff" };
        rt_auto_free char *text = NULL;
        struct retort_error err = { 0 };
        assert_int_equal(retort_request_json(&wrong, &text, &err), RETORT_E_INPUT);
        assert_null(text);
        assert_string_equal(err.message, "request: a text that must be UTF-8 is not");
}

/* ---- what is refused ---------------------------------------------------------------------------- */

struct refusal {
        const char *json;
        const char *words; /* part of the message */
};

static void assert_refused(const char *json, size_t size, const char *words) {
        struct retort_error err = { 0 };
        struct retort_request untouched = { 0 };
        struct retort_request *request = &untouched;
        int r = retort_request_parse(json, size, &request, &err);
        if (r != RETORT_E_INPUT || err.code != r)
                fail_msg("%d \"%s\" for %s", r, err.message, json);
        assert_ptr_equal(request, &untouched);
        if (!strstr(err.message, words))
                fail_msg("\"%s\" does not say \"%s\"", err.message, words);
}

#define WITH(field) "{\"language\":\"c\"," field "}"

static void what_is_not_strict_json_is_refused(void **state) {
        (void)state;
        static const struct refusal rows[] = {
                { "", "line 1, column 0" },
                { "[]", "must be an object" },
                { "\"c\"", "line 1" },
                { "{\"language\":\"c\"} x", "line 1, column 18: end of file expected" },
                { "{\"language\":\"c\",\n \"language\":\"d\"}", "line 2, column 11: duplicate object key" },
                { WITH("\"code\":\"\xff\""), "line 1" },
                { WITH("\"code\":\"\xc0\xaf\""), "line 1" },
                { WITH("\"code\":\"\xed\xa0\x80\""), "line 1" },
                { WITH("\"code\":\"\\ud800\""), "line 1" },
                { WITH("\"a\\u0000b\":1"), "NUL byte in object key" },
                { WITH("\"limits\":{\"wall_ms\":NaN}"), "line 1" },
                { WITH("\"limits\":{\"wall_ms\":01}"), "line 1" },
                { WITH("\"limits\":{\"wall_ms\":1.}"), "line 1" },
                { WITH("\"code\":\"a\nb\""), "line 1" },
                { "{'language':'c'}", "line 1" },
                { WITH("/* comment */ \"code\":\"\""), "line 1" },
                { WITH("\"limits\":{\"wall_ms\":9223372036854775808}"), "too big integer" },
                { WITH("\"limits\":{\"wall_ms\":1e999}"), "real number overflow" },
                { WITH("\"code\":\"x\","), "line 1" },
        };
        for (size_t i = 0; i < RT_LEN(rows); i++)
                assert_refused(rows[i].json, strlen(rows[i].json), rows[i].words);
}

static void deep_nesting_is_refused(void **state) {
        (void)state;
        enum { DEPTH = 300000 };
        rt_auto_free char *json = malloc(DEPTH);
        assert_non_null(json);
        memset(json, '[', DEPTH);
        assert_refused(json, DEPTH, "maximum parsing depth");
}

static void what_is_not_a_request_is_refused(void **state) {
        (void)state;
        static const struct refusal rows[] = {
                { "{}", "language: is required" },
                { "{\"language\":null}", "language: must be a string" },
                { "{\"language\":1}", "language: must be a string" },
                { "{\"language\":\"c\\u0000d\"}", "language: must not contain a NUL" },
                { WITH("\"langauge\":\"c\""),
                  "request: unknown field \"langauge\"; there are language, version" },
                { WITH("\"a\\nb\\u001b\":1"), "unknown field \"a\\nb\\u001b\"" },
                { WITH("\"version\":12"), "version: must be a string" },
                { WITH("\"code\":[]"), "code: must be a string" },
                { WITH("\"code_encoding\":\"base64\""), "code_encoding without code" },
                { WITH("\"code\":\"x\",\"code_encoding\":\"hex\""), "code_encoding: must be \"utf-8\" or" },
                { WITH("\"stdin\":\"A\",\"stdin_encoding\":\"base64\""), "stdin: is not base64" },
                { WITH("\"stdin\":\"A A=\",\"stdin_encoding\":\"base64\""), "stdin: is not base64" },
                { WITH("\"stdin\":\"\",\"stdin_encoding\":1"), "stdin_encoding: must be" },
                { WITH("\"files\":{}"), "files: must be an array" },
                { WITH("\"files\":[1]"), "files[0]: must be an object" },
                { WITH("\"files\":[{\"path\":\"a\",\"content\":\"\"},{\"path\":\"a\"}]"),
                  "files[1].content: is required" },
                { WITH("\"files\":[{\"path\":\"a\\u0000\",\"content\":\"\"}]"),
                  "files[0].path: must not contain" },
                { WITH("\"files\":[{\"path\":\"a\",\"content\":\"*\",\"encoding\":\"base64\"}]"),
                  "files[0].content: is not base64" },
                { WITH("\"files\":[{\"path\":\"a\",\"content\":\"\",\"mode\":1}]"),
                  "files[0]: unknown field \"mode\"; there are path, content" },
                { WITH("\"args\":\"x\""), "args: must be an array of strings" },
                { WITH("\"args\":[\"x\",2]"), "args[1]: must be a string" },
                { WITH("\"args\":[\"\\u0000\"]"), "args[0]: must not contain a NUL" },
                { WITH("\"env\":[\"A=1\"]"), "env: must be an object" },
                { WITH("\"env\":{\"A\":1}"), "env: \"A\" must be a string" },
                { WITH("\"env\":{\"\":\"1\"}"), "env: \"\" is not the name" },
                { WITH("\"env\":{\"A=B\":\"1\"}"), "env: \"A=B\" is not the name" },
                { WITH("\"env\":{\"A\":\"\\u0000\"}"), "env: \"A\" must not contain a NUL" },
                { WITH("\"limits\":[]"), "limits: must be an object" },
                { WITH("\"limits\":{\"wall\":1}"),
                  "limits: unknown field \"wall\"; there are wall_ms, cpu_ms" },
                { WITH("\"limits\":{\"wall_ms\":\"1000\"}"), "limits.wall_ms: must be a whole number" },
                { WITH("\"limits\":{\"wall_ms\":1.0}"), "limits.wall_ms: must be a whole number" },
                { WITH("\"limits\":{\"wall_ms\":true}"), "limits.wall_ms: must be a whole number" },
                { WITH("\"limits\":{\"wall_ms\":null}"), "limits.wall_ms: must be a whole number" },
                { WITH("\"limits\":{\"cpu_ms\":-1}"), "limits.cpu_ms: must be at least 1" },
                { WITH("\"limits\":{\"wall_ms\":0}"), "limits.wall_ms: must be at least 1" },
                { WITH("\"limits\":{\"open_files\":7}"), "limits.open_files: must be at least 8" },
                { WITH("\"limits\":{\"wall_ms\":86400001}"), "limits.wall_ms: must be at most 86400000" },
                { WITH("\"limits\":{\"memory_bytes\":9223372036854775807}"),
                  "limits.memory_bytes: must be at most 1099511627776" },
                { WITH("\"compile\":{\"limits\":{\"cpu_ms\":0}}"),
                  "compile.limits.cpu_ms: must be at least 1" },
                { WITH("\"compile\":{\"arg\":[]}"),
                  "compile: unknown field \"arg\"; there are args, limits, fresh" },
                { WITH("\"compile\":{\"fresh\":1}"), "compile.fresh: must be" },
                { WITH("\"options\":{\"x\":1}"), "options: unknown field \"x\"; there are none" },
                { WITH("\"stdin_fd\":0"), "unknown field \"stdin_fd\"" },
        };
        for (size_t i = 0; i < RT_LEN(rows); i++)
                assert_refused(rows[i].json, strlen(rows[i].json), rows[i].words);
}

static void floors_and_ceilings_are_those_of_the_table(void **state) {
        (void)state;
        static const struct {
                const char *name;
                uint64_t floor, ceiling;
        } limits[] = {
#define X(member, unit, dflt, floor, ceiling, text) { #member, floor, ceiling },
                RETORT_LIMITS(X)
#undef X
        };
        for (size_t i = 0; i < RT_LEN(limits); i++) {
                const uint64_t good[] = { limits[i].floor, limits[i].ceiling };
                const uint64_t bad[] = { limits[i].floor - 1, limits[i].ceiling + 1 };
                for (size_t j = 0; j < 2; j++) {
                        char json[128];
                        (void)snprintf(json, sizeof json, "{\"language\":\"c\",\"limits\":{\"%s\":%llu}}",
                                       limits[i].name, (unsigned long long)good[j]);
                        struct retort_request *request = parse(json);
                        assert_json(request, json);
                        retort_request_free(request);
                        (void)snprintf(json, sizeof json, "{\"language\":\"c\",\"limits\":{\"%s\":%llu}}",
                                       limits[i].name, (unsigned long long)bad[j]);
                        assert_refused(json, strlen(json), limits[i].name);
                }
        }
}

static void too_many_entries_are_refused(void **state) {
        (void)state;
        rt_auto_buf struct rt_buf json = RT_BUF(1 << 20);
        for (size_t n = RETORT_MAX_ARGS; n <= RETORT_MAX_ARGS + 1; n++) {
                rt_buf_clear(&json);
                (void)rt_buf_printf(&json, "{\"language\":\"c\",\"args\":[");
                for (size_t i = 0; i < n; i++)
                        (void)rt_buf_printf(&json, "%s\"\"", i ? "," : "");
                (void)rt_buf_printf(&json, "]}");
                if (n > RETORT_MAX_ARGS)
                        assert_refused(json.data, json.size, "args: must have at most 1024 entries");
                else
                        retort_request_free(parse(json.data));
        }
}

/* A message is a text too: not cut inside a character, however long the name in it. */
static void sentences_stay_text(void **state) {
        (void)state;
        struct retort_error err = { 0 };
        struct retort_request *request = NULL;
        rt_auto_buf struct rt_buf json = RT_BUF(4096);
        (void)rt_buf_printf(&json, "{\"x");
        for (size_t i = 0; i < 500; i++)
                (void)rt_buf_printf(&json, "\xe2\x82\xac");
        (void)rt_buf_printf(&json, "\":1}");
        assert_int_equal(retort_request_parse(json.data, json.size, &request, &err), RETORT_E_INPUT);
        assert_int_equal(rt_text_cut(err.message, strlen(err.message)), strlen(err.message));
        assert_non_null(strstr(err.message, "\xe2\x82\xac\""));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(everything_is_read_and_written_back),
                cmocka_unit_test(little_is_enough),
                cmocka_unit_test(copies_stand_alone),
                cmocka_unit_test(requests_of_callers_are_written),
                cmocka_unit_test(what_is_not_strict_json_is_refused),
                cmocka_unit_test(deep_nesting_is_refused),
                cmocka_unit_test(what_is_not_a_request_is_refused),
                cmocka_unit_test(floors_and_ceilings_are_those_of_the_table),
                cmocka_unit_test(too_many_entries_are_refused),
                cmocka_unit_test(sentences_stay_text),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
