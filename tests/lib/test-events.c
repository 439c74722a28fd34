/* SPDX-License-Identifier: Apache-2.0
 *
 * Events: what comes, in which order, and that they and the outcome tell one story. JSON of all of it, there and back.
 */
#include "lib.h"

static retort_engine *engine;

enum { MOST = 4096 };

struct heard {
        unsigned n;
        unsigned callback_ms; /* how long the listener takes for each */
        struct one {
                enum retort_event_type type;
                uint64_t seq, at_ns;
                char step[16];
                char text[64]; /* the beginning of what was written */
                size_t size;
        } at[MOST];
        char *out, *err;
        size_t n_out, n_err;
        char outcome_id[32];
        bool round_trip_failed;
};

/* Every event goes to JSON and back to the same JSON. */
static bool goes_there_and_back(const struct retort_event *event) {
        char *json = NULL, *again = NULL;
        struct retort_event *parsed = NULL;
        bool same = retort_event_json(event, &json, NULL) == 0 &&
                    retort_event_parse(json, strlen(json), &parsed, NULL) == 0 &&
                    retort_event_json(parsed, &again, NULL) == 0 && strcmp(json, again) == 0 && !strchr(json, '\n');
        retort_event_free(parsed);
        free(json);
        free(again);
        return same;
}

static void append(char **to, size_t *n, struct retort_bytes data) {
        char *grown = realloc(*to, *n + data.size + 1);
        if (!grown)
                abort();
        memcpy(grown + *n, data.data, data.size);
        *to = grown;
        *n += data.size;
        grown[*n] = 0;
}

static void listen_to(const struct retort_event *event, void *userdata) {
        struct heard *h = userdata;
        if (h->n == MOST)
                abort();
        struct one *one = &h->at[h->n++];
        *one = (struct one){ .type = event->type, .seq = event->seq, .at_ns = event->at_ns, .size = event->data.size };
        if (event->step_name)
                (void)snprintf(one->step, sizeof one->step, "%s", event->step_name);
        if (event->data.size > 0)
                (void)snprintf(one->text, sizeof one->text, "%.*s", (int)event->data.size, event->data.data);
        if (event->type == RETORT_EVENT_STDOUT)
                append(&h->out, &h->n_out, event->data);
        if (event->type == RETORT_EVENT_STDERR)
                append(&h->err, &h->n_err, event->data);
        if (event->type == RETORT_EVENT_END && event->outcome)
                (void)snprintf(h->outcome_id, sizeof h->outcome_id, "%s", event->outcome->id);
        if (event->data.size < 1000)
                h->round_trip_failed |= !goes_there_and_back(event);
        if (h->callback_ms)
                sleep_ms(h->callback_ms);
}

/* What holds of every run's events. */
static void assert_in_order(const struct heard *h, const struct retort_outcome *o) {
        assert_true(h->n > 0);
        assert_false(h->round_trip_failed);
        const char *step = "";
        size_t started = 0, ended = 0;
        for (unsigned i = 0; i < h->n; i++) {
                const struct one *one = &h->at[i];
                assert_int_equal(one->seq, i);
                assert_true(i == 0 || one->at_ns >= h->at[i - 1].at_ns);
                assert_int_equal(one->type == RETORT_EVENT_END, i == h->n - 1);
                if (one->type == RETORT_EVENT_STARTED) {
                        step = one->step;
                        assert_string_equal(step, o->steps[started++].name);
                        assert_int_equal(started, ended + 1);
                } else if (one->type == RETORT_EVENT_STDOUT || one->type == RETORT_EVENT_STDERR) {
                        assert_int_equal(started, ended + 1);
                        assert_string_equal(one->step, step);
                        assert_true(one->size > 0);
                } else if (one->type == RETORT_EVENT_STEP) {
                        ended++;
                }
        }
        assert_int_equal(started, o->n_steps);
        assert_int_equal(ended, o->n_steps);
        assert_string_equal(h->outcome_id, o->id);
}

static struct retort_outcome *hear(struct heard *h, const struct retort_request *request) {
        struct retort_error err = { 0 };
        struct retort_outcome *o = NULL;
        int r = retort_run_wait(engine, request, listen_to, h, &o, &err);
        if (r == RETORT_E_NO_RUNTIME)
                return NULL;
        ok(r);
        assert_in_order(h, o);
        return o;
}

static void forget(struct heard *h, struct retort_outcome *o) {
        free(h->out);
        free(h->err);
        free(h);
        retort_outcome_free(o);
}

static struct heard *listener(void) {
        struct heard *h = calloc(1, sizeof *h);
        assert_non_null(h);
        return h;
}

/* ---- order ---- */

static void events_and_outcome_tell_one_story(void **state) {
        (void)state;
        struct heard *h = listener();
        struct retort_request request = bash("seq 30000; seq 500 >&2; exit 3");
        struct retort_outcome *o = hear(h, &request);
        assert_status(o, RETORT_NONZERO);
        assert_int_equal(h->n_out, o->stdout_data.size);
        assert_memory_equal(h->out, o->stdout_data.data, h->n_out);
        assert_int_equal(h->n_err, o->stderr_data.size);
        assert_memory_equal(h->err, o->stderr_data.data, h->n_err);
        assert_true(strncmp(h->out + h->n_out - 6, "30000\n", 6) == 0);
        forget(h, o);
}

static void both_streams_keep_their_order(void **state) {
        (void)state;
        struct heard *h = listener();
        struct retort_request request =
                bash("for i in 1 2 3 4 5 6 7 8; do echo o$i; sleep 0.05; echo e$i >&2; sleep 0.05; done");
        struct retort_outcome *o = hear(h, &request);
        assert_status(o, RETORT_OK);
        unsigned seen = 0;
        for (unsigned i = 0; i < h->n; i++)
                if (h->at[i].size > 0) {
                        char expected[16];
                        (void)snprintf(expected, sizeof expected, "%c%u\n", seen % 2 ? 'e' : 'o', seen / 2 + 1);
                        assert_string_equal(h->at[i].text, expected);
                        seen++;
                }
        assert_int_equal(seen, 16);
        forget(h, o);
}

static void a_compiled_run_has_two_of_each(void **state) {
        (void)state;
        struct heard *h = listener();
        struct retort_request request = { .language = "c", .code = CODE("#include <stdio.h>\n#warning look\n"
                                                                        "int main(void){puts(\"x\");return 0;}") };
        struct retort_outcome *o = hear(h, &request);
        if (!o)
                return forget(h, o), skip();
        assert_status(o, RETORT_OK);
        assert_int_equal(o->n_steps, 2);
        assert_string_equal(h->at[0].step, "compile");
        assert_int_equal(h->at[1].type, RETORT_EVENT_STDERR);
        assert_string_equal(h->at[1].step, "compile");
        assert_true(o->steps[0].stderr_data.size > 0);
        assert_bytes(o->stdout_data, "x\n");
        assert_int_equal(o->n_diagnostics, 1);
        assert_string_equal(o->diagnostics[0].severity, "warning");
        forget(h, o);
}

static void an_uncaught_error_is_told_before_the_end(void **state) {
        (void)state;
        struct heard *h = listener();
        struct retort_request request = { .language = "python", .code = CODE("print(1)\nraise ValueError('no')") };
        struct retort_outcome *o = hear(h, &request);
        if (!o)
                return forget(h, o), skip();
        assert_status(o, RETORT_NONZERO);
        assert_string_equal(o->error.name, "ValueError");
        assert_true(h->n >= 3 && h->at[h->n - 3].type == RETORT_EVENT_ERROR && h->at[h->n - 2].type == RETORT_EVENT_STEP);
        forget(h, o);
}

static void a_run_cancelled_in_the_queue_has_only_an_end(void **state) {
        (void)state;
        struct retort_error err = { 0 };
        struct retort_config config = { .slots = 1 };
        retort_engine *narrow = NULL;
        retort_run *first = NULL, *second = NULL;
        struct retort_outcome *o = NULL;
        struct heard *h = listener();
        struct retort_request request = bash("sleep 30");
        ok(retort_engine_open(&narrow, &config, &err));
        ok(retort_submit(narrow, &request, NULL, NULL, &first, &err));
        sleep_ms(200);
        ok(retort_submit(narrow, &request, listen_to, h, &second, &err));
        retort_cancel(second);
        ok(retort_wait(second, 10000, &o, &err));
        assert_in_order(h, o);
        assert_int_equal(h->n, 1);
        assert_true(o->usage.queue_ns < 10000 * MS);
        retort_run_free(second);
        retort_run_free(first);
        retort_engine_close(narrow);
        forget(h, o);
}

/* ---- pieces ---- */

static void pieces_end_between_characters(void **state) {
        (void)state;
        struct heard *h = listener();
        struct retort_request request = bash("printf 'a\\xf0\\x9f'; sleep 0.2; printf '\\x98\\x80b'; sleep 0.2; "
                                             "printf '\\xc3'; sleep 0.2; printf '\\xa9'; sleep 0.2; printf '\\xe4\\xb8'");
        struct retort_outcome *o = hear(h, &request);
        assert_status(o, RETORT_OK);
        static const char *const pieces[] = { "a", ("\xf0\x9f\x98\x80" "b"), "\xc3\xa9", "\xe4\xb8" };
        unsigned seen = 0;
        for (unsigned i = 0; i < h->n; i++)
                if (h->at[i].type == RETORT_EVENT_STDOUT) {
                        assert_true(seen < LEN(pieces));
                        assert_string_equal(h->at[i].text, pieces[seen++]);
                }
        assert_int_equal(seen, LEN(pieces));
        assert_bytes(o->stdout_data, "a\xf0\x9f\x98\x80" "b\xc3\xa9\xe4\xb8");
        forget(h, o);
}

static void bytes_that_are_no_text_come_whole(void **state) {
        (void)state;
        struct heard *h = listener();
        struct retort_request request = bash("for i in 1 2 3; do head -c 70000 /dev/urandom | tee -a f; done; cat f >&2");
        struct retort_outcome *o = hear(h, &request);
        assert_status(o, RETORT_OK);
        assert_int_equal(o->stdout_data.size, 210000);
        assert_int_equal(h->n_out, 210000);
        assert_memory_equal(h->out, o->stdout_data.data, 210000);
        assert_int_equal(h->n_err, 210000);
        assert_memory_equal(h->out, h->err, 210000);
        forget(h, o);
}

static void the_output_limit_cuts_and_says_so(void **state) {
        (void)state;
        struct heard *h = listener();
        struct retort_request request = bash("echo error >&2; sleep 0.2; while :; do echo 0123456789; done");
        request.limits.output_bytes = 1000;
        struct retort_outcome *o = hear(h, &request);
        assert_status(o, RETORT_OUTPUT_LIMIT);
        assert_string_equal(o->limit.name, "output_bytes");
        assert_int_equal(o->limit.value, 1000);
        assert_true(o->limit.measured > 1000);
        assert_int_equal(o->stdout_data.size + o->stderr_data.size, 1000);
        assert_true(o->stdout_truncated);
        assert_false(o->stderr_truncated);
        assert_int_equal(h->n_out, o->stdout_data.size);
        assert_memory_equal(h->out, o->stdout_data.data, h->n_out);
        forget(h, o);
}

/* ---- a slow listener ---- */

static void a_slow_listener_slows_the_program(void **state) {
        (void)state;
        struct heard *h = listener();
        h->callback_ms = 20;
        struct retort_request request = bash("head -c 3000000 /dev/zero | tr '\\0' x");
        struct retort_outcome *o = hear(h, &request);
        assert_status(o, RETORT_OK);
        assert_int_equal(h->n_out, 3000000);
        assert_true(o->usage.wall_ns > 300 * MS); /* 46 pieces of at most 64 KiB, of which a pipe holds one */
        for (unsigned i = 0; i < h->n; i++)
                assert_true(h->at[i].size <= 65536 + 4);
        forget(h, o);
}

/* A pipe can be made larger than one read: what is in it when the program ends is not lost on a listener that takes
 * longer than any of our own deadlines. */
static void a_slow_listener_loses_nothing(void **state) {
        (void)state;
        struct heard *h = listener();
        h->callback_ms = 300;
        struct retort_request request = {
                .language = "python",
                .code = CODE("import fcntl, os\n"
                             "fcntl.fcntl(1, 1031, 1 << 20)\n" /* F_SETPIPE_SZ */
                             "os.write(1, b'0123456789abcdef' * 32768)\n"
                             "os.write(2, b'last\\xc3')\n")
        };
        struct retort_outcome *o = hear(h, &request);
        if (!o)
                return forget(h, o), skip();
        assert_status(o, RETORT_OK);
        assert_int_equal(o->stdout_data.size, 16 * 32768);
        assert_int_equal(h->n_out, 16 * 32768);
        assert_int_equal(h->n_err, 5);
        forget(h, o);
}

static void a_slow_listener_does_not_move_the_wall_limit(void **state) {
        (void)state;
        struct heard *h = listener();
        h->callback_ms = 700;
        struct retort_request request = bash("echo first; sleep 0.1; echo second; sleep 30");
        request.limits.wall_ms = 300;
        struct retort_outcome *o = hear(h, &request);
        assert_status(o, RETORT_WALL_LIMIT);
        assert_bytes(o->stdout_data, "first\nsecond\n");
        assert_in_range(o->limit.measured, 300, 300 + 300 * SLOW);
        forget(h, o);
}

/* ---- JSON ---- */

static void outcomes_go_to_json_and_back(void **state) {
        (void)state;
        static const struct retort_request requests[] = {
                { .language = "bash", .code = CODE("echo text; echo error >&2") },
                { .language = "bash", .code = CODE("printf '\\x00\\xff'; exit 9") },
                { .language = "bash", .code = CODE("printf '\"\\\\\\x01\\x7f\\xe2\\x80\\xa8\\n'; kill -9 $$") },
                { .language = "bash", .code = CODE("sleep 9"), .limits = { .wall_ms = 100 } },
                { .language = "bash", .code = CODE("yes"), .limits = { .output_bytes = 100 } },
                { .language = "bash", .code = CODE("head -c 99999 /dev/zero > f"), .limits = { .file_bytes = 4096 } },
                { .language = "python", .code = CODE("raise KeyError('\\u00e9\\U0001f600')") },
                { .language = "c", .code = CODE("int main(void){return x;}") },
                { .language = "c", .code = CODE("int main(void){return 4;}") },
        };
        for (size_t i = 0; i < LEN(requests); i++) {
                struct retort_error err = { 0 };
                struct retort_outcome *o = NULL, *parsed = NULL;
                char *json = NULL, *again = NULL;
                int r = retort_run_wait(engine, &requests[i], NULL, NULL, &o, &err);
                if (r == RETORT_E_NO_RUNTIME)
                        continue;
                ok(r);
                ok(retort_outcome_json(o, &json, &err));
                ok(retort_outcome_parse(json, strlen(json), &parsed, &err));
                ok(retort_outcome_json(parsed, &again, &err));
                assert_string_equal(again, json);
                assert_int_equal(parsed->status, o->status);
                assert_int_equal(parsed->exit_code, o->exit_code);
                assert_int_equal(parsed->stdout_data.size, o->stdout_data.size);
                assert_memory_equal(parsed->stdout_data.data, o->stdout_data.data, o->stdout_data.size);
                assert_int_equal(parsed->n_steps, o->n_steps);
                assert_int_equal(parsed->n_diagnostics, o->n_diagnostics);
                assert_int_equal(parsed->limit.value, o->limit.value);
                static const char *const views[] = { "agentbay", "agentbay-rich", "runtime", "runtime-head" };
                for (size_t v = 0; v < LEN(views); v++) {
                        char *view = NULL;
                        ok(retort_outcome_view(o, views[v], &view, &err));
                        assert_true(view[0] == '{');
                        free(view);
                }
                free(json);
                free(again);
                retort_outcome_free(parsed);
                retort_outcome_free(o);
        }
}

static void a_parsed_request_runs(void **state) {
        (void)state;
        static const char text[] = "{\"language\":\"bash\",\"files\":[{\"path\":\"a/b.sh\",\"content\":\"Y2F0OyBlY2hvICQxICRY\","
                                   "\"encoding\":\"base64\"}],\"stdin\":\"in\\n\",\"args\":[\"one\"],\"env\":{\"X\":\"two\"},"
                                   "\"limits\":{\"wall_ms\":5000}}";
        struct retort_error err = { 0 };
        struct retort_request *request = NULL, *second = NULL;
        struct retort_outcome *o = NULL;
        char *json = NULL, *again = NULL;
        ok(retort_request_parse(text, sizeof text - 1, &request, &err));
        ok(retort_request_json(request, &json, &err));
        ok(retort_request_parse(json, strlen(json), &second, &err));
        ok(retort_request_json(second, &again, &err));
        assert_string_equal(json, again);
        ok(retort_run_wait(engine, second, NULL, NULL, &o, &err));
        assert_bytes(o->stdout_data, "in\none two\n");
        retort_outcome_free(o);
        retort_request_free(request);
        retort_request_free(second);
        free(json);
        free(again);
}

static int close_engine(void **state) {
        (void)state;
        retort_engine_close(engine);
        return 0;
}

int main(void) {
        engine = open_or_skip(NULL);
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(events_and_outcome_tell_one_story),
                cmocka_unit_test(both_streams_keep_their_order),
                cmocka_unit_test(a_compiled_run_has_two_of_each),
                cmocka_unit_test(an_uncaught_error_is_told_before_the_end),
                cmocka_unit_test(a_run_cancelled_in_the_queue_has_only_an_end),
                cmocka_unit_test(pieces_end_between_characters),
                cmocka_unit_test(bytes_that_are_no_text_come_whole),
                cmocka_unit_test(the_output_limit_cuts_and_says_so),
                cmocka_unit_test(a_slow_listener_slows_the_program),
                cmocka_unit_test(a_slow_listener_loses_nothing),
                cmocka_unit_test(a_slow_listener_does_not_move_the_wall_limit),
                cmocka_unit_test(outcomes_go_to_json_and_back),
                cmocka_unit_test(a_parsed_request_runs),
        };
        return cmocka_run_group_tests(tests, NULL, close_engine);
}
