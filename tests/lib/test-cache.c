/* SPDX-License-Identifier: Apache-2.0
 *
 * The compile cache with real boxes. The compiler is a shell script, so that it can be told what to leave: an honest program,
 * or a trap. Each trap is a request of its own; it must run as it would without a cache, and never be kept.
 */
#include <sys/stat.h>

#include "lib.h"

static retort_engine *engine;
static char dir[] = "/tmp/retort-test-cache-XXXXXX";

static const char yaml[] =
        "name: toy\ntitle: Toy\naliases: []\nextensions: [toy]\n"
        "toolchain:\n  programs: [[sh]]\n  version: {args: [-c, 'echo 1'], pattern: '([0-9]+)'}\n  install: none\n"
        "source: {name: main.toy}\n"
        "compile:\n"
        "  argv: ['{program:sh}', '{file:compile.sh}', '{entry}', '{compile_args}']\n"
        "  cache: {outputs: [program, '*.part'], reads: [], unless: [__TIME__]}\n"
        "run: {argv: [./program, '{args}']}\n"
        "diagnostics:\n  - {pattern: '^main.toy: (.*)$', fields: [message]}\n";

static const char compiler[] =
        "source=$1; how=${2-}; shift\n"
        "make() { { echo '#!/bin/sh'; cat /retort/toy/prelude \"$source\"; } >$1 && chmod 755 $1; }\n"
        "echo 'main.toy: a warning' >&2; echo said\n"
        "case $how in\n"
        "parts) make program; echo one >1.part;;\n"
        "link) echo '#!/bin/sh' >real; ln -s /etc/passwd program;;\n"
        "link-beside) make program; ln -s /etc/passwd x.part;;\n"
        "link-directory) make program; ln -s /etc d;;\n"
        "hard-link) make program; ln program x.part;;\n"
        "fifo) mkfifo program;;\n"
        "fifo-beside) make program; mkfifo x.part;;\n"
        "socket) make program; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"x.part\")';;\n"
        "directory) make program; mkdir x.part; echo 1 >x.part/y;;\n"
        "mode) make program; echo 1 >x.part; chmod 4755 x.part;;\n"
        "closed) make program; echo 1 >x.part; chmod 000 x.part;;\n"
        "more) make program; echo 1 >left-over;;\n"
        "tmp) make program; echo 1 >/tmp/left-over;;\n"
        "shm) make program; echo 1 >/dev/shm/left-over;;\n"
        "source) make program; echo 'echo changed' >\"$source\";;\n"
        "source-gone) make program; rm \"$source\";;\n"
        "source-mode) make program; chmod 755 \"$source\";;\n"
        "large) make program; head -c 40000000 /dev/zero >x.part;;\n"
        "sparse) make program; truncate -s 60M x.part;;\n"
        "many) make program; i=0; while [ $i -lt 600 ]; do : >$i.part; i=$((i + 1)); done;;\n"
        "deep) make program; p=x; while [ ${#p} -lt 120 ]; do p=$p/x; done; mkdir -p $p;;\n"
        "wide) make program; i=0; while [ $i -lt 1100 ]; do mkdir $i; i=$((i + 1)); done;;\n"
        "long) make program; n=$(printf %0130d 0); mkdir $n; : >$n/$n;;\n"
        "daemon) make program; (setsid sh -c 'while :; do ln -sf /etc/passwd y.part; rm y.part; done' &) ;;\n"
        "none) ;;\n"
        "fail) exit 1;;\n"
        "*) make program;;\n"
        "esac\n";

static void write_file(const char *name, const char *text) {
        char path[96];
        (void)snprintf(path, sizeof path, "%s/toy/%s", dir, name);
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        (void)fputs(text, f);
        (void)fclose(f);
}

static struct retort_request toy(const char *code) {
        return (struct retort_request){ .language = "toy", .code = { code, strlen(code) } };
}

static struct retort_outcome *run(const struct retort_request *request) {
        struct retort_error err = { 0 };
        struct retort_outcome *o = NULL;
        ok(retort_run_wait(engine, request, NULL, NULL, &o, &err));
        return o;
}

static struct retort_cache_stats stats(void) {
        struct retort_cache_stats s;
        retort_engine_cache(engine, &s);
        return s;
}

/* Whether the request's program came out of the cache; it must have said this whatever it was. */
static bool cached(const struct retort_request *request, const char *says) {
        struct retort_outcome *o = run(request);
        assert_status(o, RETORT_OK);
        assert_bytes(o->stdout_data, says);
        assert_int_equal(o->n_steps, 2);
        bool was = o->steps[0].cached;
        assert_false(o->steps[1].cached);
        retort_outcome_free(o);
        return was;
}

/* Until what the compiler reads is watched. */
static void warm(void) {
        struct retort_request request = toy("echo warm");
        uint64_t until = now_ms() + 20000;
        while (!cached(&request, "warm\n")) {
                assert_true(now_ms() < until);
                sleep_ms(20);
        }
}

struct heard {
        char types[256];
        size_t n;
};

static void hear(const struct retort_event *event, void *userdata) {
        struct heard *h = userdata;
        assert_true(h->n + 1 < sizeof h->types);
        h->types[h->n++] = (char)('a' + (int)event->type);
}

static void the_same_request_is_not_compiled_twice(void **state) {
        (void)state;
        struct retort_request request = toy("echo hello; exit 3");
        struct retort_error err = { 0 };
        struct retort_outcome *first = NULL, *second = NULL;
        struct heard heard[2] = { 0 };
        ok(retort_run_wait(engine, &request, hear, &heard[0], &first, &err));
        ok(retort_run_wait(engine, &request, hear, &heard[1], &second, &err));
        assert_false(first->steps[0].cached);
        assert_true(second->steps[0].cached);
        const struct retort_outcome *both[] = { first, second };
        for (size_t i = 0; i < 2; i++) {
                const struct retort_outcome *o = both[i];
                assert_int_equal(o->status, RETORT_NONZERO);
                assert_int_equal(o->exit_code, 3);
                assert_bytes(o->stdout_data, "hello\n");
                assert_int_equal(o->n_steps, 2);
                assert_int_equal(o->steps[0].status, RETORT_OK);
                assert_int_equal(o->steps[0].exit_code, 0);
                assert_bytes(o->steps[0].stdout_data, "said\n");
                assert_bytes(o->steps[0].stderr_data, "main.toy: a warning\n");
                assert_int_equal(o->n_diagnostics, 1);
                assert_string_equal(o->diagnostics[0].message, "a warning");
        }
        assert_true(first->steps[0].usage.wall_ns > 0);
        assert_int_equal(second->steps[0].usage.wall_ns, 0);
        assert_int_equal(second->steps[0].usage.cpu_ns, 0);
        for (size_t i = 0; i < 2; i++) /* the two streams of one step may be seen in either order */
                if (strncmp(heard[i].types, "acb", 3) == 0)
                        memcpy(heard[i].types, "abc", 3);
        assert_string_equal(heard[0].types, "abcfabfg");
        assert_string_equal(heard[1].types, heard[0].types);
        retort_outcome_free(first);
        retort_outcome_free(second);
}

static void what_is_different_is_compiled(void **state) {
        (void)state;
        static const char *const flags[] = { "x", NULL };
        static const char *const env[] = { "A=1" };
        static const struct retort_file one[] = { { "main.toy", CODE("echo same") }, { "h", CODE("1") } };
        static const struct retort_file other[] = { { "main.toy", CODE("echo same") }, { "h", CODE("2") } };
        struct retort_request base = toy("echo same");
        assert_false(cached(&base, "same\n"));
        struct retort_request requests[8];
        size_t n = 0;
        requests[n++] = toy("echo same ");
        requests[n] = base, requests[n].compile_args = flags, requests[n++].n_compile_args = 1;
        requests[n] = base, requests[n].env = env, requests[n++].n_env = 1;
        requests[n] = base, requests[n++].compile_limits.memory_bytes = 100 << 20;
        requests[n] = base, requests[n++].cache_scope = 1;
        requests[n] = base, requests[n++].cache_scope = 2;
        requests[n] = (struct retort_request){ .language = "toy", .files = one, .n_files = 2 }, n++;
        requests[n] = (struct retort_request){ .language = "toy", .files = other, .n_files = 2 }, n++;
        assert_int_equal(n, LEN(requests));
        for (size_t i = 0; i < n; i++)
                if (cached(&requests[i], "same\n"))
                        fail_msg("request %zu came out of the cache", i);
        for (size_t i = 0; i < n; i++)
                if (!cached(&requests[i], "same\n"))
                        fail_msg("request %zu did not come out of the cache", i);
}

static void arguments_and_limits_of_the_run_are_not_the_programs(void **state) {
        (void)state;
        static const char *const args[] = { "x" };
        struct retort_request request = toy("echo got $1");
        assert_false(cached(&request, "got\n"));
        request.args = args;
        request.n_args = 1;
        request.limits.wall_ms = 5000;
        assert_true(cached(&request, "got x\n"));
}

/* What the disk may hold is the run's own limit, whatever the compiler was allowed. */
static void the_runs_limits_hold_either_way(void **state) {
        (void)state;
        struct retort_request request = toy("head -c 8000000 /dev/zero >x 2>/dev/null || exit 1; echo much");
        assert_false(cached(&request, "much\n"));
        request.limits.disk_bytes = 1 << 20;
        for (int time = 0; time < 2; time++) {
                request.compile_fresh = time == 0;
                struct retort_outcome *o = run(&request);
                assert_status(o, RETORT_FILE_LIMIT);
                assert_string_equal(o->limit.name, "disk_bytes");
                assert_int_equal(o->limit.value, 1 << 20);
                assert_int_equal(o->steps[0].cached, time == 1);
                retort_outcome_free(o);
        }
}

static void several_outputs_are_all_there_again(void **state) {
        (void)state;
        static const char *const how[] = { "parts" };
        struct retort_request request = toy("ls; cat 1.part; stat -c %a program 1.part main.toy");
        request.compile_args = how;
        request.n_compile_args = 1;
        const char *says = "1.part\nmain.toy\nprogram\none\n755\n644\n644\n";
        assert_false(cached(&request, says));
        assert_true(cached(&request, says));
        assert_true(cached(&request, says));
}

static void who_wants_it_fresh_gets_it_fresh(void **state) {
        (void)state;
        struct retort_request request = toy("echo fresh");
        request.compile_fresh = true;
        assert_false(cached(&request, "fresh\n"));
        assert_false(cached(&request, "fresh\n"));
        request.compile_fresh = false;
        assert_false(cached(&request, "fresh\n")); /* it was not kept either */
        assert_true(cached(&request, "fresh\n"));
        request.compile_fresh = true;
        assert_false(cached(&request, "fresh\n"));
}

static void a_program_that_tells_its_time_is_not_kept(void **state) {
        (void)state;
        struct retort_request request = toy("echo now # __TIME__");
        assert_false(cached(&request, "now\n"));
        assert_false(cached(&request, "now\n"));
}

static void no_trap_is_kept(void **state) {
        (void)state;
        static const char *const traps[] = { "link", "link-beside", "link-directory", "hard-link", "fifo", "fifo-beside", "socket",
                                             "mode", "closed", "more", "tmp", "shm", "source", "source-gone", "source-mode",
                                             "directory", "large", "sparse", "many", "deep", "wide", "long", "none", "fail" };
        for (size_t i = 0; i < LEN(traps); i++) {
                uint64_t before = stats().programs;
                struct retort_request request = toy("echo trapped");
                request.compile_args = &traps[i];
                request.n_compile_args = 1;
                enum retort_status status[2];
                for (size_t time = 0; time < 2; time++) {
                        struct retort_outcome *o = run(&request);
                        status[time] = o->status;
                        if (o->steps[0].cached || o->status == RETORT_INTERNAL)
                                fail_msg("%s: %s, %s", traps[i], retort_status_name(o->status), o->message ? o->message : "cached");
                        if (o->stdout_data.size && memcmp(o->stdout_data.data, "trapped\n", 8) != 0)
                                fail_msg("%s: said something else", traps[i]);
                        retort_outcome_free(o);
                }
                assert_int_equal(status[0], status[1]);
                if (stats().programs != before)
                        fail_msg("%s was kept", traps[i]);
        }
        struct retort_request honest = toy("echo trapped");
        assert_false(cached(&honest, "trapped\n")); /* under nobody else's key either */
}

/* The real compiler lets a request run what it likes beside it. */
static void gcc_is_made_to_lay_traps(void **state) {
        (void)state;
        static const char honest[] = "#include <stdio.h>\nint main(void) { puts(\"honest\"); return 0; }\n";
        static const char *const wrapper[] = { "-wrapper", "/bin/sh,w.sh" };
        static const char *const save[] = { "-save-temps" };
        static const char *const elsewhere[] = { "-o", "/tmp/program" };
        static const char *const more[] = { "-Wl,-Map=map" };
        static const char *const included[] = { "-include", "/proc/self/comm" };
        static const struct {
                const char *const *args;
                size_t n_args;
                const char *script;
        } rows[] = {
                { wrapper, 2, "\"$@\"; [ -e program ] && ln -sf /etc/passwd program; exit 0\n" },
                { wrapper, 2, "\"$@\"; r=$?; [ -e program ] && rm program && mkfifo program; exit $r\n" },
                { wrapper, 2, "\"$@\"; r=$?; echo evil >main.c; exit $r\n" },
                { wrapper, 2, "\"$@\"; r=$?; chmod -f 6755 program; exit $r\n" },
                { wrapper, 2, "\"$@\"; r=$?; : >/tmp/x; exit $r\n" },
                { save, 1, "" },
                { elsewhere, 2, "" },
                { more, 1, "" },
                { included, 2, "" },
        };
        struct retort_error err = { 0 };
        retort_engine *all = engine;
        struct retort_config config = { .slots = 1 };
        struct retort_request plain = { .language = "c", .code = CODE("int main(void) { return 0; }") };
        ok(retort_engine_open(&engine, &config, &err));
        bool have = retort_request_check(engine, &plain, &err) == 0;
        for (bool there = !have; !there; sleep_ms(20)) { /* until what gcc reads is watched */
                struct retort_outcome *o = run(&plain);
                there = o->steps[0].cached;
                retort_outcome_free(o);
        }
        for (size_t i = 0; have && i < LEN(rows); i++) {
                const struct retort_file files[] = { { "main.c", { honest, sizeof honest - 1 } }, { "w.sh", { rows[i].script, strlen(rows[i].script) } } };
                struct retort_request request = { .language = "c", .files = files, .n_files = 2, .compile_args = rows[i].args,
                                                  .n_compile_args = rows[i].n_args };
                uint64_t before = stats().programs;
                for (int time = 0; time < 2; time++) {
                        struct retort_outcome *o = run(&request);
                        if (o->steps[0].cached || o->status == RETORT_INTERNAL)
                                fail_msg("row %zu: %s, %s", i, retort_status_name(o->status), o->message ? o->message : "cached");
                        retort_outcome_free(o);
                }
                assert_int_equal(stats().programs, before);
                request.n_compile_args = 0;
                (void)cached(&request, "honest\n"); /* some rows have the same files */
                assert_true(cached(&request, "honest\n"));
        }
        retort_engine_close(engine);
        engine = all;
        if (!have)
                skip();
}

/* What a compiler leaves running is dead before anything is looked at. */
static void nothing_changes_while_it_is_fetched(void **state) {
        (void)state;
        static const char *const how[] = { "daemon" };
        struct retort_request request = toy("cat y.part 2>/dev/null; echo alone");
        request.compile_args = how;
        request.n_compile_args = 1;
        for (int i = 0; i < 10; i++) {
                struct retort_outcome *o = run(&request);
                assert_status(o, RETORT_OK);
                assert_true(o->stdout_data.size >= 6);
                assert_memory_equal(o->stdout_data.data + o->stdout_data.size - 6, "alone\n", 6);
                if (o->steps[0].cached)
                        assert_bytes(o->stdout_data, "alone\n");
                retort_outcome_free(o);
        }
}

static void a_changed_header_is_heeded_at_once(void **state) {
        (void)state;
        struct retort_request request = toy("echo $X");
        assert_false(cached(&request, "one\n"));
        assert_true(cached(&request, "one\n"));
        uint64_t emptied = stats().emptied;
        write_file("prelude", "X=two\n");
        assert_false(cached(&request, "two\n"));
        assert_int_equal(stats().emptied, emptied + 1);
        assert_int_equal(stats().programs, 0);
        warm();
        assert_false(cached(&request, "two\n"));
        assert_true(cached(&request, "two\n"));
}

/* A program that is changed while it runs changes nothing for the next. */
static void a_guest_cannot_change_what_is_kept(void **state) {
        (void)state;
        struct retort_request request = toy("echo kept; echo 'echo evil' >program; echo 'echo evil' >main.toy");
        assert_false(cached(&request, "kept\n"));
        for (int i = 0; i < 3; i++)
                assert_true(cached(&request, "kept\n"));
}

static void it_is_as_large_as_was_said(void **state) {
        (void)state;
        struct retort_error err = { 0 };
        retort_engine *all = engine;
        struct retort_config config = { .runtimes_dir = dir, .slots = 1, .cache_bytes = 64 << 10 };
        ok(retort_engine_open(&engine, &config, &err));
        warm();
        for (int i = 0; i < 40; i++) {
                char code[64];
                (void)snprintf(code, sizeof code, "echo number # %d", i);
                struct retort_request request = toy(code);
                assert_false(cached(&request, "number\n"));
                assert_in_range(stats().bytes, 1, 64 << 10);
        }
        assert_true(stats().evicted > 0);
        retort_engine_close(engine);
        config.no_cache = true;
        ok(retort_engine_open(&engine, &config, &err));
        struct retort_request request = toy("echo none");
        for (int i = 0; i < 5; i++)
                assert_false(cached(&request, "none\n"));
        assert_int_equal(stats().misses + stats().hits + stats().passed, 0);
        retort_engine_close(engine);
        engine = all;
}

/* The engine of a program that compiles once and ends does not wait until everything is watched. */
static void closing_does_not_wait(void **state) {
        (void)state;
        struct retort_error err = { 0 };
        retort_engine *all = engine;
        struct retort_config config = { .slots = 1 };
        ok(retort_engine_open(&engine, &config, &err));
        struct retort_request request = { .language = "c", .code = CODE("int main(void) { return 0; }") };
        struct retort_outcome *o = NULL;
        int r = retort_run_wait(engine, &request, NULL, NULL, &o, &err);
        uint64_t begun = now_ms();
        retort_engine_close(engine);
        assert_true(now_ms() - begun < 2000 * SLOW);
        engine = all;
        if (r == RETORT_E_NO_RUNTIME)
                skip();
        ok(r);
        assert_status(o, RETORT_OK);
        retort_outcome_free(o);
}

static int set_up(void **state) {
        (void)state;
        char path[96];
        if (!mkdtemp(dir) || chmod(dir, 0755) < 0)
                return -1;
        (void)snprintf(path, sizeof path, "%s/toy", dir);
        if (mkdir(path, 0755) < 0)
                return -1;
        write_file("runtime.yaml", yaml);
        write_file("compile.sh", compiler);
        write_file("prelude", "X=one\n");
        struct retort_config config = { .runtimes_dir = dir, .slots = 2 };
        engine = open_or_skip(&config);
        struct retort_request request = toy("pwd");
        struct retort_outcome *o = run(&request);
        bool own_tree = o->stdout_data.size == 6 && memcmp(o->stdout_data.data, "/work\n", 6) == 0;
        retort_outcome_free(o);
        if (!own_tree) { /* without a mount namespace nothing is kept */
                (void)printf("1..0 # SKIP boxes have no file tree of their own here\n");
                exit(0);
        }
        warm();
        return 0;
}

static int tear_down(void **state) {
        (void)state;
        static const char *const names[] = { "toy/runtime.yaml", "toy/compile.sh", "toy/prelude" };
        char path[96];
        retort_engine_close(engine);
        for (size_t i = 0; i < LEN(names); i++) {
                (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]);
                (void)unlink(path);
        }
        (void)snprintf(path, sizeof path, "%s/toy", dir);
        (void)rmdir(path);
        (void)rmdir(dir);
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_same_request_is_not_compiled_twice),
                cmocka_unit_test(what_is_different_is_compiled),
                cmocka_unit_test(arguments_and_limits_of_the_run_are_not_the_programs),
                cmocka_unit_test(the_runs_limits_hold_either_way),
                cmocka_unit_test(several_outputs_are_all_there_again),
                cmocka_unit_test(who_wants_it_fresh_gets_it_fresh),
                cmocka_unit_test(a_program_that_tells_its_time_is_not_kept),
                cmocka_unit_test(no_trap_is_kept),
                cmocka_unit_test(gcc_is_made_to_lay_traps),
                cmocka_unit_test(nothing_changes_while_it_is_fetched),
                cmocka_unit_test(a_guest_cannot_change_what_is_kept),
                cmocka_unit_test(it_is_as_large_as_was_said),
                cmocka_unit_test(closing_does_not_wait),
                cmocka_unit_test(a_changed_header_is_heeded_at_once),
        };
        return cmocka_run_group_tests(tests, set_up, tear_down);
}
