/* SPDX-License-Identifier: Apache-2.0
 *
 * Running, waiting, cancelling, closing; many at once; and that nothing is left of any of it.
 */
#include "lib.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

static retort_engine *engine; /* four slots */

/* ---- one run ---- */

static void everything_of_an_ok_run_is_filled(void **state) {
        (void)state;
        struct retort_error err = { 0 };
        struct retort_outcome *o = NULL;
        struct retort_request request = bash("echo out; echo err >&2; cat; echo \"$1 $X\"");
        request.language = " SH ";
        request.stdin_data = (struct retort_bytes)CODE("in\n");
        request.args = (const char *const[]){ "one" };
        request.n_args = 1;
        request.env = (const char *const[]){ "X=two" };
        request.n_env = 1;
        ok(retort_run_wait(engine, &request, NULL, NULL, &o, &err));
        assert_status(o, RETORT_OK);
        assert_int_equal(strlen(o->id), 26);
        assert_string_equal(o->language, "bash");
        assert_true(o->version && o->version[0] >= '0' && o->version[0] <= '9');
        assert_int_equal(o->exit_code, 0);
        assert_int_equal(o->signal, 0);
        assert_null(o->limit.name);
        assert_bytes(o->stdout_data, "out\nin\none two\n");
        assert_bytes(o->stderr_data, "err\n");
        assert_false(o->stdout_truncated || o->stderr_truncated);
        assert_null(o->error.name);
        assert_null(o->message);
        assert_int_equal(o->execution_count, -1);
        assert_int_equal(o->n_items + o->n_diagnostics, 0);
        assert_int_equal(o->n_steps, 1);
        assert_string_equal(o->steps[0].name, "run");
        assert_int_equal(o->steps[0].status, RETORT_OK);
        assert_string_equal(o->start, "cold");
        assert_non_null(o->isolation_level);
        assert_true(o->usage.wall_ns > 0 && o->usage.wall_ns < 60000 * MS);
        assert_int_equal(o->usage.cpu_ns, o->usage.user_ns + o->usage.system_ns);
        assert_true(!o->usage.memory_how || o->usage.peak_memory_bytes > 100000);
        assert_true(!o->usage.processes_how || o->usage.processes >= 1);
        assert_int_equal(o->usage.output_bytes, 19);
        retort_outcome_free(o);
}

static void a_failing_guest_is_an_outcome(void **state) {
        (void)state;
        static const struct {
                const char *code;
                enum retort_status status;
                int exit_code, signal;
        } rows[] = {
                { "exit 7", RETORT_NONZERO, 7, 0 },       { "exit 255", RETORT_NONZERO, 255, 0 },
                { "kill -9 $$", RETORT_SIGNAL, -1, 9 },   { "kill -SEGV $$", RETORT_SIGNAL, -1, 11 },
                { "kill -PIPE $$", RETORT_SIGNAL, -1, 13 }, { "syntax ( error", RETORT_NONZERO, 2, 0 },
        };
        for (size_t i = 0; i < LEN(rows); i++) {
                struct retort_error err = { 0 };
                struct retort_outcome *o = NULL;
                struct retort_request request = bash(rows[i].code);
                ok(retort_run_wait(engine, &request, NULL, NULL, &o, &err));
                assert_status(o, rows[i].status);
                assert_int_equal(o->exit_code, rows[i].exit_code);
                assert_int_equal(o->signal, rows[i].signal);
                retort_outcome_free(o);
        }
}

static void files_are_new_in_every_run(void **state) {
        (void)state;
        for (int i = 0; i < 10; i++) { /* more than there are slots */
                struct retort_error err = { 0 };
                struct retort_outcome *o = NULL;
                struct retort_request request = bash("ls -A /work /tmp /dev/shm; touch /work/w /tmp/t /dev/shm/s");
                ok(retort_run_wait(engine, &request, NULL, NULL, &o, &err));
                assert_status(o, RETORT_OK);
                assert_bytes(o->stdout_data, "/dev/shm:\n\n/tmp:\n\n/work:\nmain.sh\n");
                retort_outcome_free(o);
        }
}

/* ---- waiting ---- */

static void wait_times_out_and_may_be_called_again(void **state) {
        (void)state;
        struct retort_error err = { 0 };
        struct retort_outcome *o = NULL;
        retort_run *run = NULL;
        struct retort_request request = bash("sleep 0.6; echo done");
        ok(retort_submit(engine, &request, NULL, NULL, &run, &err));
        uint64_t begun = now_ms();
        assert_int_equal(retort_wait(run, 0, &o, &err), RETORT_E_TIMEOUT);
        assert_int_equal(retort_wait(run, 100, &o, &err), RETORT_E_TIMEOUT);
        assert_int_equal(err.code, RETORT_E_TIMEOUT);
        assert_in_range(now_ms() - begun, 100, 500);
        assert_null(o);
        ok(retort_wait(run, -1, &o, &err));
        assert_bytes(o->stdout_data, "done\n");
        struct retort_outcome *again = NULL;
        assert_int_equal(retort_wait(run, -1, &again, &err), RETORT_E_INPUT);
        assert_int_equal(retort_wait(run, 0, &again, NULL), RETORT_E_INPUT);
        assert_null(again);
        retort_run_free(run);
        assert_bytes(o->stdout_data, "done\n"); /* the outcome is the caller's */
        retort_outcome_free(o);
}

static void a_submitted_request_is_copied(void **state) {
        (void)state;
        struct retort_error err = { 0 };
        struct retort_outcome *o = NULL;
        retort_run *run = NULL;
        char *code = strdup("sleep 0.1; cat other; echo \"$1\"");
        char *other = strdup("content\n");
        char *arg = strdup("argument");
        struct retort_file files[] = { { "main.sh", { code, strlen(code) } }, { "other", { other, strlen(other) } } };
        const char *args[] = { arg };
        struct retort_request request = { .language = "bash", .files = files, .n_files = 2, .args = args, .n_args = 1 };
        ok(retort_submit(engine, &request, NULL, NULL, &run, &err));
        memset(code, '?', strlen(code));
        memset(other, '?', strlen(other));
        memset(arg, '?', strlen(arg));
        free(code);
        free(other);
        free(arg);
        memset(&request, 0xff, sizeof request);
        memset(files, 0xff, sizeof files);
        ok(retort_wait(run, -1, &o, &err));
        assert_bytes(o->stdout_data, "content\nargument\n");
        retort_outcome_free(o);
        retort_run_free(run);
}

static void free_without_wait_cancels(void **state) {
        (void)state;
        struct retort_error err = { 0 };
        retort_run *run = NULL;
        struct retort_request request = bash("sleep 30");
        uint64_t begun = now_ms();
        ok(retort_submit(engine, &request, NULL, NULL, &run, &err));
        retort_run_free(run);
        ok(retort_submit(engine, &request, NULL, NULL, &run, &err));
        sleep_ms(200);
        retort_run_free(run);
        retort_run_free(NULL);
        retort_outcome_free(NULL);
        retort_engine_close(NULL);
        retort_request_free(NULL);
        assert_true(now_ms() - begun < 3000 * SLOW);
}

/* ---- cancelling ---- */

static void *cancel_soon(void *argument) {
        sleep_ms(300);
        retort_cancel(argument);
        return NULL;
}

static void assert_cancelled_soon(retort_run *run, const char *output) {
        struct retort_error err = { 0 };
        struct retort_outcome *o = NULL;
        uint64_t begun = now_ms();
        ok(retort_wait(run, 20000, &o, &err));
        assert_true(now_ms() - begun < 1300 * SLOW);
        assert_status(o, RETORT_CANCELLED);
        assert_int_equal(o->exit_code, -1);
        assert_bytes(o->stdout_data, output);
        char *json = NULL;
        ok(retort_outcome_json(o, &json, &err));
        assert_non_null(strstr(json, "\"status\":\"cancelled\""));
        free(json);
        retort_outcome_free(o);
        retort_run_free(run);
}

static void cancel_from_another_thread(void **state) {
        (void)state;
        struct retort_error err = { 0 };
        retort_run *run = NULL;
        pthread_t thread;
        struct retort_request request = bash("trap '' INT TERM HUP; echo part; while :; do sleep 30; done");
        ok(retort_submit(engine, &request, NULL, NULL, &run, &err));
        assert_int_equal(pthread_create(&thread, NULL, cancel_soon, run), 0);
        (void)pthread_setname_np(thread, "canceller");
        sleep_ms(1);
        struct retort_outcome *none = NULL;
        assert_int_equal(retort_wait(run, 50, &none, &err), RETORT_E_TIMEOUT);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_cancelled_soon(run, "part\n");
}

static retort_run *volatile run_of_handler;

static void on_alarm(int number) {
        (void)number;
        retort_cancel(run_of_handler);
}

static void cancel_from_a_signal_handler(void **state) {
        (void)state;
        struct retort_error err = { 0 };
        retort_run *run = NULL;
        struct sigaction before, ours = { .sa_handler = on_alarm };
        struct retort_request request = bash("echo part; sleep 30");
        ok(retort_submit(engine, &request, NULL, NULL, &run, &err));
        run_of_handler = run;
        (void)sigaction(SIGALRM, &ours, &before);
        const struct itimerval soon = { .it_value = { .tv_usec = 300000 } };
        (void)setitimer(ITIMER_REAL, &soon, NULL);
        assert_cancelled_soon(run, "part\n");
        (void)sigaction(SIGALRM, &before, NULL);
}

static void cancel_after_the_end_is_harmless(void **state) {
        (void)state;
        struct retort_error err = { 0 };
        struct retort_outcome *o = NULL;
        retort_run *run = NULL;
        struct retort_request request = bash("echo done");
        ok(retort_submit(engine, &request, NULL, NULL, &run, &err));
        ok(retort_wait(run, -1, &o, &err));
        assert_status(o, RETORT_OK);
        for (int i = 0; i < 100; i++)
                retort_cancel(run);
        retort_run_free(run);
        retort_outcome_free(o);
}

static void cancel_while_waiting_for_a_slot(void **state) {
        (void)state;
        struct retort_error err = { 0 };
        struct retort_config config = { .slots = 1 };
        retort_engine *narrow = NULL;
        retort_run *first = NULL, *second = NULL;
        struct retort_request request = bash("echo part; sleep 30");
        ok(retort_engine_open(&narrow, &config, &err));
        ok(retort_submit(narrow, &request, NULL, NULL, &first, &err));
        sleep_ms(300);
        ok(retort_submit(narrow, &request, NULL, NULL, &second, &err));
        sleep_ms(100);
        retort_cancel(second);
        assert_cancelled_soon(second, "");
        retort_cancel(first);
        assert_cancelled_soon(first, "part\n");
        retort_engine_close(narrow);
}

static void cancel_in_the_compile_step(void **state) {
        (void)state;
        struct retort_error err = { 0 };
        struct retort_outcome *o = NULL;
        retort_run *run = NULL;
        /* an include of an endless file: the compiler reads for ever */
        struct retort_request request = { .language = "c", .code = CODE("#include \"/dev/zero\"\nint main(void){return 0;}") };
        int r = retort_submit(engine, &request, NULL, NULL, &run, &err);
        if (r == RETORT_E_NO_RUNTIME)
                skip();
        ok(r);
        sleep_ms(300);
        retort_cancel(run);
        ok(retort_wait(run, 20000, &o, &err));
        assert_true(o->status == RETORT_CANCELLED || o->status == RETORT_COMPILE_ERROR);
        assert_int_equal(o->n_steps, 1);
        assert_string_equal(o->steps[0].name, "compile");
        retort_outcome_free(o);
        retort_run_free(run);
}

/* ---- many ---- */

enum { MANY = 64 };

static void many_at_once_keep_apart(void **state) {
        (void)state;
        struct retort_error err = { 0 };
        retort_run *runs[MANY];
        for (unsigned i = 0; i < MANY; i++) {
                char code[128], arg[16];
                (void)snprintf(arg, sizeof arg, "%u", i);
                (void)snprintf(code, sizeof code, "read -r x; echo \"%u $1 $x\"; echo \"e%u\" >&2; echo mine > f; cat f; exit %u", i, i, i);
                struct retort_request request = bash(code);
                request.args = (const char *const[]){ arg };
                request.n_args = 1;
                request.stdin_data = (struct retort_bytes){ arg, strlen(arg) };
                ok(retort_submit(engine, &request, NULL, NULL, &runs[i], &err));
        }
        for (unsigned i = 0; i < MANY; i++) {
                struct retort_outcome *o = NULL;
                char out[64], error[16];
                (void)snprintf(out, sizeof out, "%u %u %u\nmine\n", i, i, i);
                (void)snprintf(error, sizeof error, "e%u\n", i);
                ok(retort_wait(runs[i], 60000, &o, &err));
                assert_status(o, i ? RETORT_NONZERO : RETORT_OK);
                assert_int_equal(o->exit_code, i);
                assert_bytes(o->stdout_data, out);
                assert_bytes(o->stderr_data, error);
                retort_outcome_free(o);
                retort_run_free(runs[i]);
        }
}

static void *run_some(void *argument) {
        unsigned bad = 0;
        for (int i = 0; i < 8; i++) {
                char code[64], expected[64];
                (void)snprintf(code, sizeof code, "echo %p-%d", argument, i);
                (void)snprintf(expected, sizeof expected, "%p-%d\n", argument, i);
                struct retort_request request = bash(code);
                struct retort_outcome *o = NULL;
                int r = retort_run_wait(engine, &request, NULL, NULL, &o, NULL);
                bad += r < 0 || o->status != RETORT_OK || o->stdout_data.size != strlen(expected) ||
                       memcmp(o->stdout_data.data, expected, strlen(expected)) != 0;
                retort_outcome_free(o);
        }
        *(unsigned *)argument = bad;
        return NULL;
}

static void one_engine_from_many_threads(void **state) {
        (void)state;
        pthread_t threads[8];
        unsigned bad[8];
        for (size_t i = 0; i < LEN(threads); i++)
                assert_int_equal(pthread_create(&threads[i], NULL, run_some, &bad[i]), 0);
        for (size_t i = 0; i < LEN(threads); i++) {
                assert_int_equal(pthread_join(threads[i], NULL), 0);
                assert_int_equal(bad[i], 0);
        }
}

/* ---- closing, and what is left ---- */

static void close_while_runs_go_on(void **state) {
        (void)state;
        struct retort_error err = { 0 };
        struct retort_config config = { .slots = 2 };
        retort_engine *other = NULL;
        retort_run *runs[5];
        struct retort_request request = bash("echo part; sleep 30");
        ok(retort_engine_open(&other, &config, &err));
        for (size_t i = 0; i < LEN(runs); i++)
                ok(retort_submit(other, &request, NULL, NULL, &runs[i], &err));
        sleep_ms(300);
        uint64_t begun = now_ms();
        retort_engine_close(other);
        assert_true(now_ms() - begun < 3000 * SLOW);
        for (size_t i = 0; i < LEN(runs); i++) {
                struct retort_outcome *o = NULL;
                char *json = NULL;
                ok(retort_wait(runs[i], 0, &o, &err));
                assert_status(o, RETORT_CANCELLED);
                retort_run_free(runs[i]);
                ok(retort_outcome_json(o, &json, &err)); /* an outcome outlives its engine */
                assert_non_null(strstr(json, "cancelled"));
                free(json);
                retort_outcome_free(o);
        }
}

static void an_outcome_outlives_its_engine(void **state) {
        (void)state;
        struct retort_error err = { 0 };
        retort_engine *other = NULL;
        struct retort_outcome *o = NULL;
        char *before = NULL, *after = NULL;
        struct retort_request request = bash("while :; do :; done");
        request.limits.cpu_ms = 100;
        ok(retort_engine_open(&other, NULL, &err));
        ok(retort_run_wait(other, &request, NULL, NULL, &o, &err));
        assert_status(o, RETORT_CPU_LIMIT);
        ok(retort_outcome_json(o, &before, &err));
        retort_engine_close(other);
        for (int i = 0; i < 64; i++) { /* whatever was freed is something else now */
                void *other_use = malloc(64u << (i % 10));
                memset(other_use, 'x', 64u << (i % 10));
                free(other_use);
        }
        ok(retort_outcome_json(o, &after, &err));
        assert_string_equal(after, before);
        free(before);
        free(after);
        retort_outcome_free(o);
}

/* malloc counts what it keeps for later as used; what leaks for each engine or run would soon be more than that. The
 * exact answer is valgrind's and the address sanitizer's. */
enum { KEPT_BY_MALLOC = 8192 };

static size_t in_use(void) {
        return mallinfo2().uordblks;
}

static void open_and_close_leave_nothing(void **state) {
        (void)state;
        struct retort_error err = { 0 };
        unsigned fds = 0, threads = 0;
        size_t memory = 0;
        for (int i = 0; i < 20; i++) {
                retort_engine *other = NULL;
                struct retort_config config = { .slots = 3, .no_warm = i % 2 == 0 };
                ok(retort_engine_open(&other, &config, &err));
                if (i % 4 < 3) {
                        struct retort_outcome *o = NULL;
                        struct retort_request request = bash("echo x");
                        ok(retort_run_wait(other, &request, NULL, NULL, &o, &err));
                        assert_status(o, RETORT_OK);
                        retort_outcome_free(o);
                }
                retort_engine_close(other);
                if (i == 3) {
                        fds = count_own("fd");
                        threads = count_own("task");
                        memory = in_use();
                }
        }
        sleep_ms(20); /* a detached thread that has told its last word may still be leaving */
        assert_int_equal(count_own("fd"), fds);
        assert_int_equal(count_own("task"), threads);
        assert_true(SANITIZED || in_use() < memory + 16 * KEPT_BY_MALLOC);
}

static void runs_leave_nothing(void **state) {
        (void)state;
        struct retort_error err = { 0 };
        unsigned fds = 0, threads = 0;
        size_t memory = 0;
        for (int i = 0; i < 60; i++) {
                struct retort_outcome *o = NULL;
                struct retort_request request = bash(i % 3 == 0 ? "sleep 30 & echo x" : i % 3 == 1 ? "kill -9 $$" : "yes");
                request.limits.output_bytes = 10000;
                ok(retort_run_wait(engine, &request, NULL, NULL, &o, &err));
                retort_outcome_free(o);
                if (i == 20) {
                        sleep_ms(200);
                        fds = count_own("fd");
                        threads = count_own("task");
                        memory = in_use();
                }
        }
        sleep_ms(200);
        assert_int_equal(count_own("fd"), fds);
        assert_int_equal(count_own("task"), threads);
        assert_true(SANITIZED || in_use() < memory + 40 * KEPT_BY_MALLOC);
}

/* ---- a host that fails ---- */

static void a_jailer_that_dies_is_ours(void **state) {
        (void)state;
        struct retort_error err = { 0 };
        struct retort_config config = { .slots = 1, .no_warm = true };
        retort_engine *other = NULL;
        struct retort_outcome *o = NULL;
        retort_run *run = NULL;
        struct retort_request request = bash("echo part; sleep 30");
        char before[4096] = "", after[4096] = "";
        FILE *children = fopen("/proc/thread-self/children", "re");
        if (!children)
                skip();
        (void)!fgets(before, sizeof before, children);
        (void)fclose(children);
        ok(retort_engine_open(&other, &config, &err));
        children = fopen("/proc/thread-self/children", "re");
        (void)!fgets(after, sizeof after, children);
        (void)fclose(children);
        assert_true(strlen(after) > strlen(before));
        pid_t jailer = (pid_t)strtol(after + strlen(before), NULL, 10);
        assert_true(jailer > 1);
        ok(retort_submit(other, &request, NULL, NULL, &run, &err));
        sleep_ms(400);
        assert_int_equal(kill(jailer, SIGKILL), 0);
        ok(retort_wait(run, 15000, &o, &err));
        assert_status(o, RETORT_INTERNAL);
        assert_non_null(o->message);
        retort_outcome_free(o);
        retort_run_free(run);
        ok(retort_run_wait(other, &request, NULL, NULL, &o, &err));
        assert_status(o, RETORT_INTERNAL);
        assert_non_null(strstr(o->message, "jailer"));
        retort_outcome_free(o);
        uint64_t begun = now_ms();
        retort_engine_close(other);
        assert_true(now_ms() - begun < 3000);
}

static int close_all(void **state) {
        (void)state;
        retort_engine_close(engine);
        int status;
        pid_t left = waitpid(-1, &status, WNOHANG); /* no child of ours is left, not even a dead one */
        if (left >= 0)
                (void)fprintf(stderr, "# a child is left: %d\n", (int)left);
        return left < 0 ? 0 : -1;
}

int main(void) {
        engine = open_or_skip(&(struct retort_config){ .slots = 4 });
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(everything_of_an_ok_run_is_filled),
                cmocka_unit_test(a_failing_guest_is_an_outcome),
                cmocka_unit_test(files_are_new_in_every_run),
                cmocka_unit_test(wait_times_out_and_may_be_called_again),
                cmocka_unit_test(a_submitted_request_is_copied),
                cmocka_unit_test(free_without_wait_cancels),
                cmocka_unit_test(cancel_from_another_thread),
                cmocka_unit_test(cancel_from_a_signal_handler),
                cmocka_unit_test(cancel_after_the_end_is_harmless),
                cmocka_unit_test(cancel_while_waiting_for_a_slot),
                cmocka_unit_test(cancel_in_the_compile_step),
                cmocka_unit_test(many_at_once_keep_apart),
                cmocka_unit_test(one_engine_from_many_threads),
                cmocka_unit_test(close_while_runs_go_on),
                cmocka_unit_test(an_outcome_outlives_its_engine),
                cmocka_unit_test(open_and_close_leave_nothing),
                cmocka_unit_test(runs_leave_nothing),
                cmocka_unit_test(a_jailer_that_dies_is_ours),
        };
        return cmocka_run_group_tests(tests, NULL, close_all);
}
