/* SPDX-License-Identifier: Apache-2.0
 *
 * What the command does without an engine: options, units, suggestions, names in the box, the summary, and the
 * texts made from the tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "cli/bench.h"
#include "cli/completion.h"
#include "cli/man.h"
#include "cli/opts.h"
#include "cli/out.h"
#include "cli/program.h"
#include "base/suggest.h"
#include "cli/summary.h"
#include "cli/text.h"
#include "cli/units.h"

/* What the files under test ask of an engine, in small. */
const char *retort_engine_language_of_file(retort_engine *engine, const char *file_name) {
        (void)engine;
        const char *dot = strrchr(file_name, '.');
        return dot && strcmp(dot, ".py") == 0 ? "python" : NULL;
}

int retort_engine_languages(retort_engine *engine, char **ret_json, struct retort_error *err) {
        (void)engine, (void)err;
        *ret_json = strdup("[{\"name\": \"bash\", \"aliases\": [\"sh\"]},"
                           " {\"name\": \"javascript\", \"aliases\": [\"js\", \"node\"]},"
                           " {\"name\": \"python\", \"aliases\": [\"python3\"]}]");
        return *ret_json ? 0 : RETORT_E_NOMEM;
}

void retort_cancel(retort_run *run) {
        (void)run;
}

struct target {
        bool loud;
        const char *name;
        const char *level;
        struct rt_list list;
};

static const struct rt_opt options[] = {
        { 'x', "loud", NULL, "a flag", RT_OPT_FLAG, offsetof(struct target, loud) },
        { 'n', "name", "NAME", "it's a [text]: with 'all'", RT_OPT_TEXT, offsetof(struct target, name) },
        { 0, "level", "LEVEL", "a choice", RT_OPT_TEXT, offsetof(struct target, level), .choices = "strong|weak" },
        { 'L', "limit", "N=V", "a list", RT_OPT_LIST, offsetof(struct target, list) },
        { 0, "input", "FILE", "a file", RT_OPT_TEXT, offsetof(struct target, name), .is_file = true },
        { 0 },
};

struct parsed {
        struct rt_arena arena;
        struct target target;
        struct rt_words words;
        struct retort_error err;
        int r;
};

static struct parsed *parse(void **state, bool keep_rest, char *const *argv) {
        struct parsed *p = *state;
        rt_arena_clear(&p->arena);
        *p = (struct parsed){ 0 };
        p->r = rt_opts_parse(options, keep_rest, argv, &p->arena, &p->target, &p->words, &p->err);
        return p;
}
#define PARSE(...) parse(state, true, (char *[]){ __VA_ARGS__, NULL })

static int set_up(void **state) {
        *state = calloc(1, sizeof(struct parsed));
        return *state ? 0 : -1;
}

static int tear_down(void **state) {
        struct parsed *p = *state;
        rt_arena_clear(&p->arena);
        free(p);
        return 0;
}

static void options_come_in_every_spelling(void **state) {
        struct parsed *p = PARSE("-x", "-n", "a", "--limit=1", "--limit", "2", "-L3", "-L", "4", "file", "--level=weak");
        assert_int_equal(p->r, 0);
        assert_true(p->target.loud);
        assert_string_equal(p->target.name, "a");
        assert_string_equal(p->target.level, "weak");
        assert_int_equal(p->target.list.n, 4);
        for (size_t i = 0; i < 4; i++)
                assert_int_equal(p->target.list.items[i][0], '1' + (int)i);
        assert_int_equal(p->words.operands.n, 1);
        p = PARSE("-xnb");
        assert_true(p->r == 0 && p->target.loud);
        assert_string_equal(p->target.name, "b");
        p = PARSE("--name=");
        assert_string_equal(p->target.name, "");
        p = PARSE("--name=a=b");
        assert_string_equal(p->target.name, "a=b");
}

static void words_behind_the_dashes_are_kept_apart(void **state) {
        struct parsed *p = PARSE("one", "-", "--", "--loud", "--", "-n");
        assert_int_equal(p->r, 0);
        assert_false(p->target.loud);
        assert_int_equal(p->words.operands.n, 2);
        assert_string_equal(p->words.operands.items[1], "-");
        assert_int_equal(p->words.rest.n, 3);
        assert_string_equal(p->words.rest.items[1], "--");
        p = parse(state, false, (char *[]){ "--", "-x", NULL });
        assert_int_equal(p->words.operands.n, 1);
}

static void many_operands_are_kept_in_order(void **state) {
        char *argv[1001];
        char texts[1000][8];
        for (int i = 0; i < 1000; i++) {
                (void)snprintf(texts[i], sizeof texts[i], "%d", i);
                argv[i] = texts[i];
        }
        argv[1000] = NULL;
        struct parsed *p = parse(state, true, argv);
        assert_int_equal(p->words.operands.n, 1000);
        for (int i = 0; i < 1000; i++)
                assert_ptr_equal(p->words.operands.items[i], texts[i]);
}

static void wrong_options_say_what_is_wrong(void **state) {
        static const struct {
                char *word;
                char *next;
                const char *message;
        } cases[] = {
                { "--lmit", "a=b", "unknown option --lmit; did you mean --limit?" },
                { "--lmit=3", NULL, "unknown option --lmit; did you mean --limit?" },
                { "--hlep", NULL, "unknown option --hlep; did you mean --help?" },
                { "--zzzzzz", NULL, "unknown option --zzzzzz (the program's own arguments come after --)" },
                { "-Z", NULL, "unknown option -Z (the program's own arguments come after --)" },
                { "--name", NULL, "--name needs a value: NAME" },
                { "-n", NULL, "--name needs a value: NAME" },
                { "--loud=1", NULL, "--loud takes no value" },
                { "--level=stong", NULL, "--level: \"stong\" is none of strong|weak; did you mean strong?" },
                { "--level", "xxxxxxxx", "--level: \"xxxxxxxx\" is none of strong|weak" },
        };
        for (size_t i = 0; i < RT_LEN(cases); i++) {
                struct parsed *p = PARSE(cases[i].word, cases[i].next);
                assert_int_equal(p->r, RETORT_E_INPUT);
                assert_string_equal(p->err.message, cases[i].message);
        }
        struct parsed *p = PARSE("--name=1", "-n2");
        assert_string_equal(p->err.message, "--name is given twice");
}

static void help_is_known_everywhere(void **state) {
        assert_true(PARSE("file", "--help")->words.help);
        assert_true(PARSE("-xh")->words.help);
        assert_false(PARSE("--", "--help")->words.help);
        assert_false(PARSE("-n", "--help")->words.help);
}

static void suggestions_are_near_or_none(void **state) {
        (void)state;
        const char *names[] = { "run", "languages", "doctor", "help", "completion" };
        assert_string_equal(rt_suggest("rnu", names, 5), "run");
        assert_string_equal(rt_suggest("Languges", names, 5), "languages");
        assert_string_equal(rt_suggest("docter", names, 5), "doctor");
        assert_null(rt_suggest("zzz", names, 5));
        assert_null(rt_suggest("", names, 5));
        assert_int_equal(rt_distance("abc", "acb"), 1);
        assert_int_equal(rt_distance("", "abc"), 3);
        assert_int_equal(rt_distance("kitten", "sitting"), 3);
        char longer[200];
        memset(longer, 'a', sizeof longer - 1);
        longer[sizeof longer - 1] = 0;
        assert_int_equal(rt_distance(longer, "a"), sizeof longer - 1);
}

static void limits_are_read_with_their_units(void **state) {
        (void)state;
        static const struct {
                const char *spec;
                uint64_t value;
        } cases[] = {
                { "wall=500ms", 500 }, { "wall=2s", 2000 }, { "wall=1.5s", 1500 }, { "wall=2m", 120000 },
                { "wall=1min", 60000 }, { "wall=24h", 86400000 }, { "wall_ms=250", 250 }, { "cpu=0.001s", 1 },
                { "memory=256M", 256ull << 20 }, { "memory=256m", 256ull << 20 }, { "memory=1GiB", 1ull << 30 },
                { "memory=2MB", 2000000 }, { "memory=1.5G", 3ull << 29 }, { "memory_bytes=1048576", 1 << 20 },
                { "memory=1T", 1ull << 40 }, { "output=100", 100 }, { "output=100B", 100 }, { "disk=64K", 65536 },
                { "file=64kB", 64000 }, { "files=64", 64 }, { "open_files=8", 8 }, { "processes=1", 1 },
        };
        for (size_t i = 0; i < RT_LEN(cases); i++) {
                struct retort_limits limits = { 0 };
                struct retort_error err = { 0 };
                uint64_t value;
                if (rt_limit_parse(cases[i].spec, &limits, &err) < 0)
                        fail_msg("%s: %s", cases[i].spec, err.message);
                const struct rt_limit *l = rt_limit_find(cases[i].spec, strcspn(cases[i].spec, "="));
                memcpy(&value, (char *)&limits + l->offset, sizeof value);
                assert_int_equal(value, cases[i].value);
        }
}

static void wrong_limits_say_what_would_be_right(void **state) {
        (void)state;
        static const char *const cases[][2] = {
                { "memory", "NAME=VALUE" },
                { "memry=1M", "did you mean \"memory\"?" },
                { "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq=1", "the limits are wall" },
                { "=1M", "unknown limit" },
                { "memory=", "is no size" },
                { "memory=lots", "is no size" },
                { "memory=256s", "\"s\" is no unit of size" },
                { "wall=2M", "\"M\" is no unit of time" },
                { "wall=2", "has no unit; use 2ms, 2s" },
                { "wall=2.s", "out of range" },
                { "processes=3s", "it is a plain number" },
                { "processes=1.5", "not a whole number" },
                { "wall=0s", "zero is not a limit" },
                { "memory=0", "zero is not a limit" },
                { "wall=-2s", "is negative" },
                { "wall=25h", "it may be 1 ms to 24 h" },
                { "memory=1K", "it may be 1 MiB to 1 TiB" },
                { "memory=99999999999999999999999999G", "out of range" },
                { "memory=18446744073709551G", "out of range" },
                { "processes=1 ", "is no unit of count" },
                { "wall=nan", "is no time" },
        };
        for (size_t i = 0; i < RT_LEN(cases); i++) {
                struct retort_limits limits = { 0 }, none = { 0 };
                struct retort_error err = { 0 };
                assert_int_equal(rt_limit_parse(cases[i][0], &limits, &err), RETORT_E_INPUT);
                if (!strstr(err.message, cases[i][1]))
                        fail_msg("%s: %s", cases[i][0], err.message);
                assert_memory_equal(&limits, &none, sizeof none);
        }
}

static void sizes_and_times_are_printed_for_people(void **state) {
        (void)state;
        static const struct {
                uint64_t bytes;
                enum rt_precision precision;
                const char *text;
        } sizes[] = {
                { 0, RT_TENTHS, "0 B" }, { 1023, RT_TENTHS, "1023 B" }, { 1024, RT_ROUND, "1 KiB" },
                { 256 << 20, RT_ROUND, "256 MiB" }, { 256 << 20, RT_TENTHS, "256.0 MiB" },
                { 1536, RT_ROUND, "1.5 KiB" }, { 1ull << 50, RT_ROUND, "1024 TiB" },
        };
        for (size_t i = 0; i < RT_LEN(sizes); i++) {
                rt_auto_buf struct rt_buf out = RT_BUF(100);
                rt_print_size(&out, sizes[i].bytes, sizes[i].precision);
                assert_string_equal(out.data, sizes[i].text);
        }
        rt_auto_buf struct rt_buf out = RT_BUF(100);
        rt_print_ns(&out, 420000);
        (void)rt_buf_add(&out, ",", 1);
        rt_print_ns(&out, 12340000);
        (void)rt_buf_add(&out, ",", 1);
        rt_print_ns(&out, 2500000000);
        assert_string_equal(out.data, "0.42 ms,12.3 ms,2.50 s");
}

static struct retort_outcome an_outcome(enum retort_status status) {
        return (struct retort_outcome){
                .status = status,
                .exit_code = -1,
                .usage = { .wall_ns = 12300000, .cpu_ns = 10100000, .peak_memory_bytes = 8598323,
                           .cpu_how = "x", .memory_how = "x" },
                .isolation_level = "strong",
        };
}

static void assert_summary(const struct retort_outcome *o, const char *expected) {
        rt_auto_buf struct rt_buf out = RT_BUF(4096);
        rt_summary(o, false, &out);
        assert_string_equal(out.data, expected);
}
#define USED "wall 12.3 ms, cpu 10.1 ms, peak memory 8.2 MiB, isolation "

static void the_summary_is_one_line(void **state) {
        (void)state;
        struct retort_outcome o = an_outcome(RETORT_OK);
        o.exit_code = 0;
        assert_summary(&o, "retort: ok, exit 0, " USED "strong\n");
        o = an_outcome(RETORT_SIGNAL);
        o.signal = 11;
        assert_summary(&o, "retort: signal, signal 11 (SIGSEGV), " USED "strong\n");
        o = an_outcome(RETORT_NONZERO);
        o.exit_code = 1;
        o.error.name = "ValueError";
        o.isolation_level = "reduced";
        o.isolation_missing = (const char *const[]){ "cgroup", "landlock" };
        o.n_isolation_missing = 2;
        assert_summary(&o, "retort: nonzero, exit 1, ValueError, " USED "reduced (missing: cgroup, landlock)\n");
        o = an_outcome(RETORT_OK);
        o.exit_code = 0;
        o.usage.cpu_how = o.usage.memory_how = NULL;
        assert_summary(&o, "retort: ok, exit 0, wall 12.3 ms, cpu not measured, peak memory not measured, "
                           "isolation strong\n");
}

static void the_summary_explains_why(void **state) {
        (void)state;
        struct retort_outcome o = an_outcome(RETORT_MEMORY_LIMIT);
        o.limit = (struct retort_hit){ "memory_bytes", 256 << 20, 256 << 20, "cgroup1 memory.failcnt" };
        assert_summary(&o, "retort: stopped: memory limit 256 MiB reached (measured 256.0 MiB by cgroup1 "
                           "memory.failcnt)\nretort: memory_limit, " USED "strong\n");
        o = an_outcome(RETORT_DENIED);
        o.limit = (struct retort_hit){ "syscall", 0, 101, "ptrace" };
        assert_summary(&o, "retort: stopped: system call ptrace is refused\nretort: denied, " USED "strong\n");
        o = an_outcome(RETORT_INTERNAL);
        o.message = "the disk is full";
        assert_summary(&o, "retort: the disk is full\nretort: internal, " USED "strong\n");
        const struct retort_diagnostic d[] = { { "a.c", 1, 2, "warning", "w" }, { "a.c", 3, 5, "error", "no ;" },
                                               { "a.c", 9, 0, "error", "x" } };
        o = an_outcome(RETORT_COMPILE_ERROR);
        o.diagnostics = d;
        o.n_diagnostics = 3;
        assert_summary(&o, "retort: 2 compile errors, the first at a.c:3:5: no ;\nretort: compile_error, " USED
                           "strong\n");
}

static void colours_surround_the_status_only(void **state) {
        (void)state;
        struct retort_outcome o = an_outcome(RETORT_OK);
        o.exit_code = 0;
        rt_auto_buf struct rt_buf out = RT_BUF(4096);
        rt_summary(&o, true, &out);
        assert_non_null(strstr(out.data, "retort: \033[32mok\033[0m, exit 0, "));
}

static void exit_statuses_are_as_documented(void **state) {
        (void)state;
        static const struct {
                enum retort_status status;
                int code, signal, exit;
        } cases[] = {
                { RETORT_OK, 0, 0, 0 }, { RETORT_NONZERO, 7, 0, 7 }, { RETORT_NONZERO, 255, 0, 255 },
                { RETORT_NONZERO, 125, 0, 1 }, { RETORT_SIGNAL, -1, 9, 137 }, { RETORT_SIGNAL, -1, 11, 139 },
                { RETORT_CPU_LIMIT, -1, 9, 124 }, { RETORT_WALL_LIMIT, -1, 9, 124 },
                { RETORT_MEMORY_LIMIT, -1, 9, 137 }, { RETORT_OUTPUT_LIMIT, -1, 9, 141 },
                { RETORT_PROCESS_LIMIT, 1, 0, 123 }, { RETORT_FILE_LIMIT, -1, 25, 153 },
                { RETORT_DENIED, -1, 31, 159 }, { RETORT_COMPILE_ERROR, 1, 0, 1 },
                { RETORT_CANCELLED, -1, 9, 130 }, { RETORT_INTERNAL, -1, 0, 125 },
        };
        for (size_t i = 0; i < RT_LEN(cases); i++) {
                struct retort_outcome o = { .status = cases[i].status, .exit_code = cases[i].code,
                                            .signal = cases[i].signal };
                assert_int_equal(rt_exit_status(&o), cases[i].exit);
        }
}

static const struct rt_cmd try_cmd = {
        .name = "try", .args = "FILE", .help = "try it", .text = "First.\n\n.Second \\ word.", .opts = options,
        .target_size = sizeof(struct target),
};
static const struct rt_cmd *const cmds[] = { &try_cmd, NULL };

static void the_man_page_is_clean_roff(void **state) {
        (void)state;
        rt_auto_buf struct rt_buf out = RT_BUF(1 << 20);
        rt_man(cmds, &out);
        assert_int_equal(strncmp(out.data, ".TH RETORT 1", 12), 0);
        assert_non_null(strstr(out.data, "\\fB\\-L\\fR, \\fB\\-\\-limit\\fR \\fIN=V\\fR"));
        assert_non_null(strstr(out.data, "\\&.Second \\e word."));
        assert_non_null(strstr(out.data, "\\fBwall_limit\\fR: 124"));
        assert_non_null(strstr(out.data, "\\fBmemory\\fR (memory_bytes)"));
}

static void completions_hold_every_option(void **state) {
        (void)state;
        static const char *const shells[] = { "bash", "zsh", "fish" };
        for (size_t i = 0; i < RT_LEN(shells); i++) {
                rt_auto_buf struct rt_buf out = RT_BUF(1 << 20);
                assert_int_equal(rt_completion(shells[i], cmds, &out), 0);
                for (const struct rt_opt *o = options; o->name; o++)
                        assert_non_null(strstr(out.data, o->name));
                assert_non_null(strstr(out.data, "strong weak"));
                assert_non_null(strstr(out.data, "memory="));
        }
        rt_auto_buf struct rt_buf out = RT_BUF(1 << 20);
        assert_true(rt_completion("tcsh", cmds, &out) < 0);
}

static void help_fits_the_terminal(void **state) {
        (void)state;
        rt_auto_buf struct rt_buf out = RT_BUF(1 << 20);
        rt_help_all(cmds, &out);
        rt_help_command(&try_cmd, &out);
        for (const char *line = out.data; *line; line += strcspn(line, "\n") + 1)
                assert_true(strcspn(line, "\n") <= 84);
        assert_non_null(strstr(out.data, "Usage: retort try [OPTION...] FILE\n"));
        assert_non_null(strstr(out.data, "First.\n\n.Second"));
}

static void tables_are_aligned(void **state) {
        struct parsed *p = *state;
        struct rt_table table = { .columns = 2, .arena = &p->arena };
        rt_table_row(&table, (const char *[]){ "NAME", "X" });
        rt_table_row(&table, (const char *[]){ "c", "y" });
        rt_auto_buf struct rt_buf out = RT_BUF(1000);
        rt_table_print(&table, &out);
        assert_string_equal(out.data, "NAME  X\nc     y\n");
}

static void names_in_the_box_are_relative(void **state) {
        struct parsed *p = *state;
        static const struct {
                const char *paths[3];
                const char *names[3]; /* none: an error */
        } cases[] = {
                { { "/a/b/main.py" }, { "main.py" } },
                { { "main.py" }, { "main.py" } },
                { { "../x/./main.py" }, { "main.py" } },
                { { "src/main.py", "src/lib/util.py" }, { "main.py", "lib/util.py" } },
                { { "src/main.py", "src/../src/b.py" }, { "main.py", "b.py" } },
                { { "src/main.py", "lib/util.py" }, { "src/main.py", "lib/util.py" } },
                { { "main.py", "/home/me/lib/util.py" }, { "main.py", "lib/util.py" } },
                { { "main.py", "/etc/x/util.py" }, { "main.py", "util.py" } },
                { { "/main.py", "/lib/util.py" }, { "main.py", "lib/util.py" } },
                { { "../../../../main.py" }, { "main.py" } },
                { { "main.py", "/etc/main.py" }, { NULL } },
                { { "main.py", "./main.py" }, { NULL } },
        };
        for (size_t i = 0; i < RT_LEN(cases); i++) {
                struct rt_list list = { (const char **)(uintptr_t)cases[i].paths, 1 };
                list.n += cases[i].paths[1] != NULL;
                const char *names[3] = { NULL };
                struct retort_error err = { 0 };
                int r = rt_program_names(&list, "/home/me", &p->arena, names, &err);
                assert_int_equal(r, cases[i].names[0] ? 0 : RETORT_E_INPUT);
                for (size_t k = 0; r == 0 && k < list.n; k++)
                        assert_string_equal(names[k], cases[i].names[k]);
        }
}

static void the_language_is_told_by_name_or_first_line(void **state) {
        struct parsed *p = *state;
        static const struct {
                const char *path;
                const char *code;
                const char *language;
        } cases[] = {
                { "x.py", "#!/bin/sh\n", "python" },
                { "x", "#!/usr/bin/env python3.11\n", "python" },
                { "x", "#!/usr/bin/env -S node --flag\n", "javascript" },
                { "x", "#! /bin/sh -e", "bash" },
                { "x.zig", "#!/usr/bin/zig\n", NULL },
                { "x", "print(1)\n", NULL },
                { "x", "#!", NULL },
                { "x", "#!/\n", NULL },
                { "x", "", NULL },
                { NULL, "#!/bin/bash\n", "bash" },
                { NULL, "echo", NULL },
        };
        for (size_t i = 0; i < RT_LEN(cases); i++) {
                struct retort_bytes code = { cases[i].code, strlen(cases[i].code) };
                struct retort_file file = { cases[i].path, code };
                struct retort_request request = { .code = code };
                struct retort_error err = { 0 };
                if (cases[i].path)
                        request = (struct retort_request){ .files = &file, .n_files = 1 };
                int r = rt_program_language(NULL, &p->arena, &request, &err);
                assert_int_equal(r, cases[i].language ? 0 : RETORT_E_INPUT);
                if (cases[i].language)
                        assert_string_equal(request.language, cases[i].language);
        }
}

static void writing_waits_for_a_slow_reader(void **state) {
        (void)state;
        int fds[2];
        enum { SIZE = 300000 };
        assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0); /* larger than a pipe: EAGAIN is certain */
        pid_t child = fork();
        if (child == 0) {
                char *data = malloc(SIZE);
                if (!data)
                        _exit(2);
                memset(data, 'x', SIZE);
                (void)close(fds[0]);
                _exit(rt_out_write(fds[1], data, SIZE) == 0 ? 0 : 1);
        }
        (void)close(fds[1]);
        (void)usleep(50000);
        size_t got = 0;
        char chunk[5000];
        for (ssize_t n; (n = read(fds[0], chunk, sizeof chunk)) != 0;)
                if (n > 0)
                        got += (size_t)n;
        int status = -1;
        (void)close(fds[0]);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_int_equal(got, SIZE);
}

/* ---- bench ---- */

static void samples_are_told_by_rank(void **state) {
        (void)state;
        struct rt_samples s = { 0 };
        assert_int_equal(rt_samples_at(&s, 0.5), 0);
        for (uint64_t i = 1000; i > 0; i--)
                rt_samples_add(&s, i);
        assert_int_equal(rt_samples_at(&s, 0), 1);
        assert_int_equal(rt_samples_at(&s, 1), 1000);
        assert_in_range(rt_samples_at(&s, 0.5), 500, 501);
        assert_in_range(rt_samples_at(&s, 0.99), 990, 991);
        rt_samples_clear(&s);
        assert_int_equal(s.n, 0);
        assert_int_equal(rt_bench_start("parked"), 0);
        assert_string_equal(rt_bench_starts[rt_bench_start("cold")], "cold");
        assert_string_equal(rt_bench_starts[rt_bench_start("what is this")], "cold");
}

static void bench_shows_what_there_is(void **state) {
        (void)state;
        struct rt_bench_language languages[2] = { { .name = "a<b>&\"c", .version = "1" }, { .name = "none", .version = "2" } };
        struct rt_bench b = { .languages = languages, .n = 2 };
        struct rt_bench_row rows[RT_BENCH_ROWS];
        rt_auto_buf struct rt_buf svg = RT_BUF(1 << 20);
        rt_auto_buf struct rt_buf table = RT_BUF(1 << 20);
        rt_samples_add(&languages[0].plain, 20000000);
        rt_samples_add(&languages[0].times[RT_BENCH_WARM][rt_bench_start("parked")].output, 100000);
        rt_samples_add(&languages[0].times[RT_BENCH_WARM][rt_bench_start("parked")].outcome, 1000000);
        assert_int_equal(rt_bench_rows(&languages[0], rows), 3);
        assert_int_equal(rt_bench_rows(&languages[1], rows), 0);
        rt_bench_svg(&b, &svg);
        assert_non_null(strstr(svg.data, "a&lt;b&gt;&amp;&quot;c 1"));
        assert_null(strstr(svg.data, "a<b>"));
        assert_null(strstr(svg.data, "none 2"));
        assert_null(strstr(svg.data, "nan"));
        rt_bench_table(&b, false, false, &table);
        assert_non_null(strstr(table.data, "1/200")); /* of the output, to 20 ms */
        assert_non_null(strstr(table.data, "1/20\n"));
        assert_non_null(strstr(table.data, "not measured"));
        assert_non_null(strstr(table.data, "interrupted"));
        rt_samples_clear(&languages[0].plain);
        rt_samples_clear(&languages[0].times[RT_BENCH_WARM][0].output);
        rt_samples_clear(&languages[0].times[RT_BENCH_WARM][0].outcome);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(options_come_in_every_spelling),
                cmocka_unit_test(words_behind_the_dashes_are_kept_apart),
                cmocka_unit_test(many_operands_are_kept_in_order),
                cmocka_unit_test(wrong_options_say_what_is_wrong),
                cmocka_unit_test(help_is_known_everywhere),
                cmocka_unit_test(suggestions_are_near_or_none),
                cmocka_unit_test(limits_are_read_with_their_units),
                cmocka_unit_test(wrong_limits_say_what_would_be_right),
                cmocka_unit_test(sizes_and_times_are_printed_for_people),
                cmocka_unit_test(the_summary_is_one_line),
                cmocka_unit_test(the_summary_explains_why),
                cmocka_unit_test(colours_surround_the_status_only),
                cmocka_unit_test(exit_statuses_are_as_documented),
                cmocka_unit_test(the_man_page_is_clean_roff),
                cmocka_unit_test(completions_hold_every_option),
                cmocka_unit_test(help_fits_the_terminal),
                cmocka_unit_test(tables_are_aligned),
                cmocka_unit_test(names_in_the_box_are_relative),
                cmocka_unit_test(the_language_is_told_by_name_or_first_line),
                cmocka_unit_test(writing_waits_for_a_slow_reader),
                cmocka_unit_test(samples_are_told_by_rank),
                cmocka_unit_test(bench_shows_what_there_is),
        };
        return cmocka_run_group_tests(tests, set_up, tear_down);
}
