/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests, outcomes and events: that nothing is lost on the way to JSON and back, and that what comes out is
 * JSON whatever a guest wrote.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <locale.h>
#include <math.h>
#include <string.h>

#include "base/util.h"
#include "model-samples.h"
#include "model/codec.h"
#include "model/json.h"
#include "model/model.h"
#include "base/text.h"
#include "model/base64.h"

static void is_json(const char *text) {
        json_error_t why;
        json_t *value = json_loads(text, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
        if (!value)
                fail_msg("not JSON: %s: %s", why.text, text);
        json_decref(value);
}

/* ---- text --------------------------------------------------------------------------------------- */

static void utf8_is_strict(void **state) {
        (void)state;
        static const char *const good[] = { "",
                                            "a",
                                            "\x7f",
                                            "\xc2\x80",
                                            "\xdf\xbf",
                                            "\xe0\xa0\x80",
                                            "\xed\x9f\xbf",
                                            "\xee\x80\x80",
                                            "\xef\xbf\xbf",
                                            "\xf0\x90\x80\x80",
                                            "\xf4\x8f\xbf\xbf" };
        static const char *const bad[] = {
                "\x80",         "\xc0\x80",         "\xc1\xbf",         "\xc2",
                "\xc2z",        "\xe0\x9f\xbf",     "\xe2\x82",         "\xed\xa0\x80",
                "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
                "\xff",         "\xf0\x9f\x98"
        };
        for (size_t i = 0; i < RT_LEN(good); i++)
                assert_true(rt_text_is_utf8(good[i], strlen(good[i])));
        for (size_t i = 0; i < RT_LEN(bad); i++)
                assert_false(rt_text_is_utf8(bad[i], strlen(bad[i])));
        assert_true(rt_text_is_utf8("a\0b", 3));
}

/* Every string of two bytes, and of three that begin above ASCII, judged the same by jansson and by us. */
static void utf8_agrees_with_jansson(void **state) {
        (void)state;
        for (unsigned n = 0x8000; n <= 0xffffff; n += n < 0xffff ? 1 : n < 0x800000 ? 0x7f0001 : 0x35) {
                char text[3] = { (char)(n > 0xffff ? n >> 16 : n >> 8), (char)(n > 0xffff ? n >> 8 : n),
                                 (char)n };
                size_t size = n > 0xffff ? 3 : 2;
                json_t *value = json_stringn(text, size);
                if ((value != NULL) != rt_text_is_utf8(text, size))
                        fail_msg("differ on %06x", n);
                json_decref(value);
        }
}

static void chunks_are_cut_between_characters(void **state) {
        (void)state;
        static const struct {
                const char *text;
                size_t cut;
        } rows[] = {
                { "", 0 },
                { "abc", 3 },
                { "ab\xc3", 2 },
                { "ab\xc3\xa9", 4 },
                { "\xe2\x82", 0 },
                { "\xe2", 0 },
                { "\xe2\x82\xac", 3 },
                { "x\xf0\x9f\x98", 1 },
                { "\xf0\x9f", 0 },
                { "\xf0\x9f\x98\x80", 4 },
                { "a\x80", 2 },
                { "a\x80\x80\x80", 4 }, /* will never be a character: go on */
                { "a\xff", 2 },
                { "a\xed\xa0", 3 },
                { "\xe2\x82z", 3 },
                { "\xc0", 1 },
        };
        for (size_t i = 0; i < RT_LEN(rows); i++)
                assert_int_equal(rt_text_cut(rows[i].text, strlen(rows[i].text)), rows[i].cut);
}

static void base64_is_the_standards(void **state) {
        (void)state;
        static const char *const rows[][2] = { { "", "" },
                                               { "f", "Zg==" },
                                               { "fo", "Zm8=" },
                                               { "foo", "Zm9v" },
                                               { "foob", "Zm9vYg==" },
                                               { "fooba", "Zm9vYmE=" },
                                               { "foobar", "Zm9vYmFy" },
                                               { "\xff\xfe\xfd", "//79" } };
        rt_auto_arena struct rt_arena arena = { 0 };
        for (size_t i = 0; i < RT_LEN(rows); i++) {
                char text[16] = { 0 };
                char *data = NULL;
                size_t size = 0;
                rt_base64_encode(rows[i][0], strlen(rows[i][0]), text);
                assert_string_equal(text, rows[i][1]);
                assert_int_equal(rt_base64_decode(&arena, text, strlen(text), &data, &size), RT_BASE64_OK);
                assert_int_equal(size, strlen(rows[i][0]));
                assert_memory_equal(data, rows[i][0], size);
        }
        static const char *const bad[] = { "Z",    "Zg",       "Zg=",  "Zh==", "Zm9=",   "Zm 9",
                                           "=m9v", "Zg==Zg==", "====", "Z===", "Zm9v\n", "Zm9-" };
        for (size_t i = 0; i < RT_LEN(bad); i++) {
                char *data = NULL;
                size_t size = 0;
                assert_int_equal(rt_base64_decode(&arena, bad[i], strlen(bad[i]), &data, &size),
                                 RT_BASE64_BAD);
        }
}

/* ---- the writer --------------------------------------------------------------------------------- */

/* Every byte and every pair of bytes comes back from jansson as it went in, or as U+FFFD. */
static void any_bytes_make_valid_json(void **state) {
        (void)state;
        for (unsigned n = 0; n <= 0xffff; n += n < 0x200 ? 1 : 3) {
                char bytes[2] = { (char)(n >> 8), (char)n };
                rt_auto_json struct rt_json json = RT_JSON();
                rt_json_text(&json, bytes, 2);
                json_t *value =
                        json_loadb(json.buf.data, json.buf.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
                assert_non_null(value);
                if (rt_text_is_utf8(bytes, 2)) {
                        assert_int_equal(json_string_length(value), 2);
                        assert_memory_equal(json_string_value(value), bytes, 2);
                } else {
                        assert_non_null(
                                strstr(json_string_value(value) + (bytes[0] ? 0 : 1), RT_TEXT_REPLACEMENT));
                }
                json_decref(value);
        }
}

static void numbers_are_exact(void **state) {
        (void)state;
        rt_auto_json struct rt_json json = RT_JSON();
        rt_json_open(&json, '[');
        rt_json_decimal(&json, 0, 6);
        rt_json_decimal(&json, 1, 6);
        rt_json_decimal(&json, 12345000, 6);
        rt_json_decimal(&json, 7000000, 6);
        rt_json_double(&json, 0.1);
        rt_json_double(&json, 1.0);
        rt_json_double(&json, 1e300);
        rt_json_double(&json, 2.0 / 3);
        rt_json_double(&json, -0.0 / 1);
        rt_json_double(&json, (double)INFINITY);
        rt_json_int(&json, INT64_MIN);
        rt_json_close(&json, ']');
        assert_string_equal(json.buf.data, "[0,0.000001,12.345,7,0.1,1.0,1e+300,0.6666666666666666,-0.0,0.0,"
                                           "-9223372036854775808]");
        is_json(json.buf.data);
}

/* Where the host has set a locale that writes 0,5. Skipped, in effect, where none is installed. */
static void numbers_do_not_follow_the_locale(void **state) {
        (void)state;
        (void)(setlocale(LC_NUMERIC, "de_DE.UTF-8") || setlocale(LC_NUMERIC, "fr_FR.UTF-8"));
        rt_auto_json struct rt_json json = RT_JSON();
        rt_json_double(&json, 0.5);
        (void)setlocale(LC_NUMERIC, "C");
        assert_string_equal(json.buf.data, "0.5");
}

static void guests_values_are_written_anew(void **state) {
        (void)state;
        char deep[2 * RT_JSON_DEPTH + 8] = { 0 };
        memset(deep, '[', RT_JSON_DEPTH + 1);
        memset(deep + RT_JSON_DEPTH + 1, ']', RT_JSON_DEPTH + 1);
        static const char *const rows[][2] = {
                { " { \"b\" : 1 ,\n \"a\" : [ true , null ] } ", "{\"b\":1,\"a\":[true,null]}" },
                { "1", "1" },
                { "\"\\u0000\"", "\"\\u0000\"" },
                { "{\"a\":1,\"a\":2}", "{\"a\":2}" },
                { "{broken", "\"{broken\"" }, /* not JSON: the string that it is */
                { "NaN", "\"NaN\"" },
                { "\"\\ud800\"", "\"\\\"\\\\ud800\\\"\"" },
                { "\xff", "\"" RT_TEXT_REPLACEMENT "\"" },
                { "", "\"\"" },
        };
        for (size_t i = 0; i < RT_LEN(rows); i++) {
                rt_auto_json struct rt_json json = RT_JSON();
                rt_json_raw(&json, rows[i][0]);
                assert_string_equal(json.buf.data, rows[i][1]);
        }
        rt_auto_json struct rt_json json = RT_JSON();
        rt_json_raw(&json, deep);
        assert_int_equal(json.buf.data[0], '"');
        is_json(json.buf.data);
}

/* ---- outcomes ----------------------------------------------------------------------------------- */

static char *outcome_round_trip(const char *text) {
        struct retort_error err = { 0 };
        struct retort_outcome *outcome = NULL;
        char *again = NULL;
        if (retort_outcome_parse(text, strlen(text), &outcome, &err) < 0)
                fail_msg("%s in %s", err.message, text);
        assert_int_equal(retort_outcome_json(outcome, &again, &err), 0);
        retort_outcome_free(outcome);
        return again;
}

static void outcomes_survive_the_round_trip(void **state) {
        (void)state;
        struct retort_outcome samples[] = { sample_full(),          sample_ok(),         sample_nonzero(),
                                            sample_compile_error(), sample_wall_limit(), { 0 } };
        for (size_t i = 0; i < RT_LEN(samples); i++) {
                rt_auto_free char *text = NULL;
                assert_int_equal(retort_outcome_json(&samples[i], &text, NULL), 0);
                is_json(text);
                rt_auto_free char *again = outcome_round_trip(text);
                assert_string_equal(again, text);
        }
}

static void an_outcome_is_written_in_its_order(void **state) {
        (void)state;
        static const char want[] =
                "{\"id\":\"01ARZ3NDEKTSV4RRFFQ69G5FAV\",\"language\":\"c\",\"version\":\"12.2.0\","
                "\"status\":\"wall_limit\",\"exit_code\":-1,\"signal\":9,"
                "\"limit\":{\"name\":\"wall_ms\",\"value\":500,\"measured\":501,\"how\":\"timer\"},"
                "\"stdout\":\"part\\n\",\"stderr\":\"/wBydWJiaXNo\",\"stderr_encoding\":\"base64\","
                "\"truncated\":{\"stdout\":true,\"stderr\":false},"
                "\"items\":[{\"html\":\"<b>bold</b>\",\"png\":\"iVBORw0K\",\"extra\":{\"application/"
                "geo+json\":"
                "{\"a\":[1,2.5,-3e-07,\"\\u0000\xc3\xa9\"]},\"application/"
                "vnd.vegalite.v5+json\":{\"mark\":\"bar\"}},"
                "\"is_main_result\":false},{\"text\":\"42\",\"markdown\":\"m\",\"jpeg\":\"j\",\"svg\":\"<svg/"
                ">\","
                "\"pdf\":\"p\",\"latex\":\"$x$\",\"json\":{\"k\":null,\"big\":9007199254740993},"
                "\"javascript\":\"f()\",\"chart\":{\"type\":\"line\"},\"data\":[],\"is_main_result\":true}],"
                "\"error\":{\"name\":\"KeyError\",\"value\":\"'a'\",\"traceback\":\"Traceback\\n\"},"
                "\"diagnostics\":[{\"file\":\"main.c\",\"line\":3,\"column\":7,\"severity\":\"warning\","
                "\"message\":\"unused variable \\\"x\\\"\"},{\"line\":0,\"column\":0,"
                "\"message\":\"linker said no\"}],\"execution_count\":7,\"context_state\":\"idle\",\"steps\":[";
        static const char end[] =
                "\"usage\":{\"queue_ms\":0.000001,\"setup_ms\":0.00002,\"wall_ms\":500.123456,\"cpu_ms\":400,"
                "\"user_ms\":300,\"system_ms\":100,\"peak_memory_bytes\":1048576,\"processes\":3,"
                "\"output_bytes\":13,\"measured\":{\"cpu\":\"rusage\",\"memory\":\"cgroup2 memory.peak\","
                "\"processes\":\"cgroup2 pids.peak\"}},\"start\":\"cold\","
                "\"isolation\":{\"level\":\"reduced\",\"missing\":[\"cgroup\",\"landlock\"]},\"message\":"
                "\"m\"}";
        struct retort_outcome outcome = sample_full();
        rt_auto_free char *text = NULL;
        assert_int_equal(retort_outcome_json(&outcome, &text, NULL), 0);
        assert_memory_equal(text, want, strlen(want));
        assert_string_equal(text + strlen(text) - strlen(end), end);
        const char *cached = strstr(text, "{\"name\":\"compile\",\"status\":\"ok\",\"exit_code\":0,\"signal\":0,\"cached\":true,\"stdout\"");
        assert_non_null(cached);
        assert_null(strstr(cached + 60, "\"cached\"")); /* what is false is left out */
}

static void an_outcome_is_read_as_it_was(void **state) {
        (void)state;
        struct retort_outcome before = sample_full();
        rt_auto_free char *text = NULL;
        assert_int_equal(retort_outcome_json(&before, &text, NULL), 0);
        struct retort_outcome *after = NULL;
        assert_int_equal(retort_outcome_parse(text, strlen(text), &after, NULL), 0);
        assert_int_equal(after->status, RETORT_WALL_LIMIT);
        assert_int_equal(after->stderr_data.size, before.stderr_data.size);
        assert_memory_equal(after->stderr_data.data, before.stderr_data.data, before.stderr_data.size);
        assert_true(after->stdout_truncated && !after->stderr_truncated);
        assert_true(after->steps[0].cached && !after->steps[1].cached);
        assert_string_equal(after->items[1].json, before.items[1].json);
        assert_string_equal(after->items[0].extra[0].mime, "application/geo+json");
        assert_null(after->items[0].text);
        assert_int_equal(after->usage.wall_ns, before.usage.wall_ns);
        assert_int_equal(after->steps[0].usage.wall_ns, 120000001);
        assert_string_equal(after->steps[1].limit.how, "timer");
        assert_null(after->steps[0].limit.name);
        assert_string_equal(after->isolation_missing[1], "landlock");
        retort_outcome_free(after);

        assert_int_equal(retort_outcome_parse("{\"status\":\"ok\"}", 15, &after, NULL), 0);
        assert_int_equal(after->exit_code, -1);
        assert_int_equal(after->execution_count, -1);
        assert_null(after->error.name);
        retort_outcome_free(after);
}

/* Texts from guests with any rubbish in them still make an outcome that reads back. */
static void hostile_outcomes_stay_json(void **state) {
        (void)state;
        static const struct retort_extra extra[] = {
                { "a", "1" }, { "a", "2" }, { "\xff", "3" }, { "b", NULL }, { "c", "}" }
        };
        static const struct retort_item items[] = { { .text = "\xed\xa0\x80",
                                                      .json = "{",
                                                      .chart = "nan",
                                                      .extra = extra,
                                                      .n_extra = RT_LEN(extra) } };
        struct retort_outcome outcome = sample_ok();
        outcome.status = RETORT_NONZERO;
        outcome.stdout_data = (struct retort_bytes)BYTES("\0\x01\x1f\"\\/\x7f\xe2\x80\xa8");
        outcome.stderr_data = (struct retort_bytes)BYTES("\xed\xa0\x80");
        outcome.error = (struct retort_guest_error){ "E\xff", NULL, "\xc3" };
        outcome.items = items;
        outcome.n_items = 1;
        outcome.usage.peak_memory_bytes = UINT64_MAX;
        outcome.usage.wall_ns = UINT64_MAX;
        rt_auto_free char *text = NULL;
        assert_int_equal(retort_outcome_json(&outcome, &text, NULL), 0);
        is_json(text);
        assert_non_null(strstr(text, "\"stdout\":\"\\u0000\\u0001\\u001f\\\"\\\\/\x7f\xe2\x80\xa8\""));
        assert_non_null(strstr(text, "\"stderr\":\"7aCA\",\"stderr_encoding\":\"base64\""));
        assert_non_null(strstr(text, "\"extra\":{\"a\":1,\"b\":null,\"c\":\"}\"}"));
        rt_auto_free char *again = outcome_round_trip(text);
        assert_string_equal(again, text);
}

static void statuses_have_names(void **state) {
        (void)state;
        assert_string_equal(retort_status_name(RETORT_OK), "ok");
        assert_string_equal(retort_status_name(RETORT_INTERNAL), "internal");
        assert_null(retort_status_name((enum retort_status)(RETORT_INTERNAL + 1)));
        assert_null(retort_status_name((enum retort_status) - 1));
}

static void new_outcomes_are_empty(void **state) {
        (void)state;
        struct rt_model_outcome *outcome = rt_model_outcome_new();
        assert_non_null(outcome);
        assert_int_equal(outcome->pub.exit_code, -1);
        assert_int_equal(outcome->pub.execution_count, -1);
        outcome->pub.id = rt_arena_strdup(&outcome->arena, "x");
        retort_outcome_free(&outcome->pub);
        retort_outcome_free(NULL);
        retort_request_free(NULL);
        retort_event_free(NULL);
}

/* ---- events ------------------------------------------------------------------------------------- */

static void event_round_trip(const struct retort_event *event, const char *want) {
        rt_auto_free char *text = NULL;
        rt_auto_free char *again = NULL;
        struct retort_error err = { 0 };
        struct retort_event *read = NULL;
        assert_int_equal(retort_event_json(event, &text, &err), 0);
        if (want)
                assert_string_equal(text, want);
        assert_null(strchr(text, '\n'));
        if (retort_event_parse(text, strlen(text), &read, &err) < 0)
                fail_msg("%s in %s", err.message, text);
        assert_int_equal(read->seq, event->seq);
        assert_int_equal(read->at_ns, event->at_ns);
        assert_int_equal(retort_event_json(read, &again, &err), 0);
        assert_string_equal(again, text);
        retort_event_free(read);
}

static void events_survive_the_round_trip(void **state) {
        (void)state;
        struct retort_outcome full = sample_full();
        struct retort_event rows[] = {
                { 0, 1500000, RETORT_EVENT_STARTED, .step_name = "run", .data = BYTES("not its own") },
                { 1, 1500001, RETORT_EVENT_STDOUT, .step_name = "run", .data = BYTES("a\n\"b\xc3\xa9\0") },
                { 2, 2000000, RETORT_EVENT_STDERR, .step_name = "run", .data = BYTES("\xff\xfe") },
                { 3, 0, RETORT_EVENT_STDOUT, .step_name = "run" },
                { 4, 1, RETORT_EVENT_ITEM, .item = &full.items[0] },
                { 5, 1, RETORT_EVENT_ERROR, .error = &full.error },
                { 6, 1, RETORT_EVENT_STEP, .step = &full.steps[1] },
                { 7, 86400000000000, RETORT_EVENT_END, .outcome = &full },
        };
        static const char *const want[] = {
                "{\"seq\":0,\"at_ms\":1.5,\"type\":\"started\",\"step_name\":\"run\"}",
                "{\"seq\":1,\"at_ms\":1.500001,\"type\":\"stdout\",\"step_name\":\"run\","
                "\"text\":\"a\\n\\\"b\xc3\xa9\\u0000\"}",
                "{\"seq\":2,\"at_ms\":2,\"type\":\"stderr\",\"step_name\":\"run\",\"base64\":\"//4=\"}",
                "{\"seq\":3,\"at_ms\":0,\"type\":\"stdout\",\"step_name\":\"run\",\"text\":\"\"}",
                NULL,
                "{\"seq\":5,\"at_ms\":0.000001,\"type\":\"error\",\"error\":{\"name\":\"KeyError\","
                "\"value\":\"'a'\",\"traceback\":\"Traceback\\n\"}}",
        };
        for (size_t i = 0; i < RT_LEN(rows); i++)
                event_round_trip(&rows[i], i < RT_LEN(want) ? want[i] : NULL);
}

static void events_without_their_members_are_refused(void **state) {
        (void)state;
        rt_auto_free char *text = NULL;
        struct retort_error err = { 0 };
        struct retort_event event = { .type = RETORT_EVENT_ITEM };
        assert_int_equal(retort_event_json(&event, &text, &err), RETORT_E_INPUT);
        event.type = (enum retort_event_type)99;
        assert_int_equal(retort_event_json(&event, &text, &err), RETORT_E_INPUT);
        assert_null(text);
}

struct refusal {
        const char *json;
        const char *words; /* part of the message */
};

static void assert_words(int r, const struct retort_error *err, const struct refusal *row) {
        if (r != RETORT_E_INPUT || err->code != r || !strstr(err->message, row->words))
                fail_msg("%d \"%s\" for %s", r, err->message, row->json);
}

#define EVENT(type) "{\"seq\":0,\"at_ms\":0,\"type\":\"" type "\""
static void wrong_events_are_refused(void **state) {
        (void)state;
        static const struct refusal rows[] = {
                { "{}", "seq: is required" },
                { "{\"seq\":-1,\"at_ms\":0,\"type\":\"end\"}", "seq: must be at least 0" },
                { "{\"seq\":0,\"at_ms\":-0.5,\"type\":\"end\"}", "at_ms: must be between 0 and" },
                { "{\"seq\":0,\"at_ms\":1e18,\"type\":\"end\"}", "at_ms: must be between 0 and" },
                { "{\"seq\":0,\"at_ms\":\"0\",\"type\":\"end\"}", "at_ms: must be a number" },
                { EVENT("begin") "}", "type: \"begin\" is none" },
                { EVENT("end") "}", "one of type \"end\" has seq, at_ms, type and outcome" },
                { EVENT("stdout") ",\"step_name\":\"run\"}", "step_name, and text or base64" },
                { EVENT("started") ",\"step_name\":\"run\",\"text\":\"\"}", "and nothing else" },
                { EVENT("stdout") ",\"step_name\":\"run\",\"text\":\"\",\"base64\":\"/w==\"}",
                  "base64: says again" },
                { EVENT("stdout") ",\"step_name\":\"run\",\"base64\":\"?\"}", "base64: is not base64" },
                { EVENT("item") ",\"item\":{\"text\":1}}", "item.text: must be a string" },
                { EVENT("item") ",\"item\":{\"gif\":\"\"}}", "item: unknown field \"gif\"" },
                { EVENT("error") ",\"error\":{\"name\":\"E\"}}", "error.value: is required" },
                { EVENT("end") ",\"outcome\":{\"status\":\"ok\",\"steps\":[{\"name\":\"run\","
                               "\"status\":\"ok\",\"usage\":{\"measured\":{\"cpu\":1}}}]}}",
                  "outcome.steps[0].usage.measured.cpu: must be a string" },
        };
        for (size_t i = 0; i < RT_LEN(rows); i++) {
                struct retort_error err = { 0 };
                struct retort_event *event = NULL;
                assert_words(retort_event_parse(rows[i].json, strlen(rows[i].json), &event, &err), &err,
                             &rows[i]);
                assert_null(event);
        }
}

static void wrong_outcomes_are_refused(void **state) {
        (void)state;
        static const struct refusal rows[] = {
                { "{}", "status: is required" },
                { "{\"status\":0}", "status: must be a string" },
                { "{\"status\":\"fine\"}", "status: \"fine\" is none" },
                { "{\"status\":\"ok\",\"exit_code\":2147483648}", "exit_code: must be at most 2147483647" },
                { "{\"status\":\"ok\",\"stdout\":\"x\",\"stdout_encoding\":\"base64\"}", "stdout: is not" },
                { "{\"status\":\"ok\",\"truncated\":{\"stdout\":1}}", "truncated.stdout: must be true or" },
                { "{\"status\":\"ok\",\"limit\":{\"value\":1}}", "limit.name: is required" },
                { "{\"status\":\"ok\",\"items\":[{},{\"extra\":[]}]}", "items[1].extra: must be an object" },
                { "{\"status\":\"ok\",\"items\":[{\"html\":\"\\u0000\"}]}",
                  "items[0].html: must not contain" },
                { "{\"status\":\"ok\",\"diagnostics\":[{\"message\":\"\",\"line\":-1}]}",
                  "diagnostics[0].line: must be at least 0" },
                { "{\"status\":\"ok\",\"isolation\":{\"missing\":[1]}}", "isolation.missing[0]: must be a" },
        };
        for (size_t i = 0; i < RT_LEN(rows); i++) {
                struct retort_error err = { 0 };
                struct retort_outcome *outcome = NULL;
                assert_words(retort_outcome_parse(rows[i].json, strlen(rows[i].json), &outcome, &err), &err,
                             &rows[i]);
                assert_null(outcome);
        }
}

static void deep_values_are_refused(void **state) {
        (void)state;
        rt_auto_buf struct rt_buf json = RT_BUF(8192);
        (void)rt_buf_printf(&json, "{\"status\":\"ok\",\"items\":[{\"json\":");
        for (size_t i = 0; i <= RT_JSON_DEPTH; i++)
                (void)rt_buf_add(&json, "[", 1);
        for (size_t i = 0; i <= RT_JSON_DEPTH; i++)
                (void)rt_buf_add(&json, "]", 1);
        (void)rt_buf_printf(&json, "}]}");
        struct retort_error err = { 0 };
        struct retort_outcome *outcome = NULL;
        const struct refusal row = { "deep nesting", "items[0].json: is nested more than 512 deep" };
        assert_words(retort_outcome_parse(json.data, json.size, &outcome, &err), &err, &row);
}

/* Durations come back to the nanosecond, up to the longest there is. */
static void durations_are_exact(void **state) {
        (void)state;
        for (uint64_t ns = 1; ns <= RT_DURATION_MAX_NS; ns = ns * 3 + 1) {
                struct retort_event event = { ns, ns, RETORT_EVENT_STARTED, .step_name = "run" };
                event_round_trip(&event, NULL);
        }
        struct retort_event last = { 0, RT_DURATION_MAX_NS, RETORT_EVENT_STARTED, .step_name = "run" };
        event_round_trip(&last, NULL);
        last.at_ns--;
        event_round_trip(&last, NULL);
}

/* ---- ids ---------------------------------------------------------------------------------------- */

static void ids_are_ulids(void **state) {
        (void)state;
        char id[RT_MODEL_ID_SIZE];
        unsigned char random[RT_MODEL_ID_RANDOM] = { 0 };
        rt_model_id(id, 0, random);
        assert_string_equal(id, "00000000000000000000000000");
        memset(random, 0xff, sizeof random);
        rt_model_id(id, (1ull << 48) - 1, random);
        assert_string_equal(id, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
        rt_model_id(id, UINT64_MAX, random); /* a time of more than 48 bits is cut to them */
        assert_string_equal(id, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
        memset(random, 0, sizeof random);
        random[9] = 1;
        rt_model_id(id, 1469918176385, random); /* the time in the ULID specification's example */
        assert_string_equal(id, "01ARYZ6S410000000000000001");
        char later[RT_MODEL_ID_SIZE];
        rt_model_id(later, 1469918176386, random);
        assert_true(strcmp(id, later) < 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(utf8_is_strict),
                cmocka_unit_test(utf8_agrees_with_jansson),
                cmocka_unit_test(chunks_are_cut_between_characters),
                cmocka_unit_test(base64_is_the_standards),
                cmocka_unit_test(any_bytes_make_valid_json),
                cmocka_unit_test(numbers_are_exact),
                cmocka_unit_test(numbers_do_not_follow_the_locale),
                cmocka_unit_test(guests_values_are_written_anew),
                cmocka_unit_test(outcomes_survive_the_round_trip),
                cmocka_unit_test(an_outcome_is_written_in_its_order),
                cmocka_unit_test(an_outcome_is_read_as_it_was),
                cmocka_unit_test(hostile_outcomes_stay_json),
                cmocka_unit_test(statuses_have_names),
                cmocka_unit_test(new_outcomes_are_empty),
                cmocka_unit_test(events_survive_the_round_trip),
                cmocka_unit_test(events_without_their_members_are_refused),
                cmocka_unit_test(wrong_events_are_refused),
                cmocka_unit_test(wrong_outcomes_are_refused),
                cmocka_unit_test(deep_values_are_refused),
                cmocka_unit_test(durations_are_exact),
                cmocka_unit_test(ids_are_ulids),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
