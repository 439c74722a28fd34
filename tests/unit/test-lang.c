/* SPDX-License-Identifier: Apache-2.0
 *
 * The loader's complaints, names, and plans for every runtime of the tree (RETORT_RUNTIMES).
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/util.h"
#include "lang/lang.h"

static struct rt_lang_set *tree;
static char scratch[] = "/tmp/retort-test-lang-XXXXXX";
static const struct rt_lang_places places = { "/work", "/tmp", "/retort" };
static const struct retort_limits no_ceilings;

static int load_tree(void **state) {
        (void)state;
        struct retort_error err = { 0 };
        const char *dir = getenv("RETORT_RUNTIMES");
        if (!dir || !mkdtemp(scratch) || rt_lang_load(dir, &tree, &err) < 0)
                return fprintf(stderr, "# RETORT_RUNTIMES: %s\n", err.message), -1;
        return 0;
}

static int free_tree(void **state) {
        (void)state;
        tree = rt_lang_free(tree);
        return rmdir(scratch);
}

/* ---- the loader -------------------------------------------------------------------------------- */

/* A good file, to which each mistake is one change. Lines are counted from here. */
static const char good[] = "name: toy\n"                                           /* 1 */
                           "title: A toy\n"                                        /* 2 */
                           "aliases: [plaything]\n"                                /* 3 */
                           "extensions: [toy]\n"                                   /* 4 */
                           "toolchain:\n"                                          /* 5 */
                           "  programs: [[sh, dash], [cat]]\n"                     /* 6 */
                           "  version: {args: [--version], pattern: '([0-9]+)'}\n" /* 7 */
                           "  install: apt install toy\n"                          /* 8 */
                           "source:\n"                                             /* 9 */
                           "  name: main.toy\n"                                    /* 10 */
                           "run:\n"                                                /* 11 */
                           "  argv: ['{program:sh}', '{entry}']\n"                 /* 12 */
                           "  env:\n"                                              /* 13 */
                           "    TOY: 'x{{y}}{tmp}'\n"                              /* 14 */
                           "  limits:\n"                                           /* 15 */
                           "    memory_bytes: 64 MiB\n"                            /* 16 */
                           "diagnostics:\n"                                        /* 17 */
                           "  - pattern: '^(.*): (.*)$'\n"                         /* 18 */
                           "    fields: [file, message]\n";                        /* 19 */

static void write_runtime(const char *name, const char *text) {
        char path[256];
        (void)snprintf(path, sizeof path, "%s/%s", scratch, name);
        assert_int_equal(mkdir(path, 0700), 0);
        (void)snprintf(path, sizeof path, "%s/%s/runtime.yaml", scratch, name);
        rt_auto_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        assert_int_equal(rt_write_all(fd, text, strlen(text)), 0);
}

static void remove_runtime(const char *name) {
        char path[256];
        (void)snprintf(path, sizeof path, "%s/%s/runtime.yaml", scratch, name);
        assert_int_equal(unlink(path), 0);
        (void)snprintf(path, sizeof path, "%s/%s", scratch, name);
        assert_int_equal(rmdir(path), 0);
}

/* The good text with the first `from` replaced by `to`. */
static char *changed(const char *from, const char *to) {
        const char *at = strstr(good, from);
        assert_non_null(at);
        char *text = NULL;
        assert_true(asprintf(&text, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from)) >= 0);
        return text;
}

static int load_text(const char *text, struct rt_lang_set **ret_set, struct retort_error *err) {
        write_runtime("toy", text);
        int r = rt_lang_load(scratch, ret_set, err);
        remove_runtime("toy");
        return r;
}

static void a_good_file_loads(void **state) {
        (void)state;
        struct retort_error err = { 0 };
        struct rt_lang_set *set = NULL;
        assert_int_equal(load_text(good, &set, &err), 0);
        const struct rt_runtime *toy = rt_lang_find(set, "Plaything", &err);
        assert_non_null(toy);
        assert_string_equal(rt_runtime_title(toy), "A toy");
        assert_string_equal(rt_runtime_install(toy), "apt install toy");
        rt_auto_arena struct rt_arena arena = { 0 };
        struct rt_lang_plan plan;
        struct retort_request request = { .language = "toy", .code = { "x", 1 } };
        assert_int_equal(rt_lang_plan(toy, &request, &places, &no_ceilings, &arena, &plan, &err), 0);
        assert_string_equal(plan.steps[0].env[5], "TOY=x{y}/tmp");
        assert_int_equal(plan.steps[0].limits.memory_bytes, 64u << 20);
        assert_string_equal(rt_lang_read_version(toy, "toy 17", &arena), "17");
        assert_string_equal(rt_lang_read_version(toy, "toy", &arena), "");
        assert_null(rt_lang_free(set));
}

/* The good text with this before its diagnostics. */
static int load_warm(const char *warm, struct rt_lang_set **ret_set, struct retort_error *err) {
        char to[600];
        (void)snprintf(to, sizeof to, "%sdiagnostics:\n", warm);
        rt_auto_free char *text = changed("diagnostics:\n", to);
        return load_text(text, ret_set, err);
}

static bool can_start_ahead(const struct rt_runtime *toy, struct retort_request request) {
        rt_auto_arena struct rt_arena arena = { 0 };
        struct rt_lang_plan plan;
        request.language = "toy";
        if (!request.n_files && !request.code.size)
                request.code = (struct retort_bytes){ "x", 1 };
        assert_int_equal(rt_lang_plan(toy, &request, &places, &no_ceilings, &arena, &plan, NULL), 0);
        if (plan.steps[0].fork_argv)
                assert_string_equal(plan.steps[0].fork_argv[0], "main.toy");
        return plan.steps[0].fork_argv;
}

static void what_can_be_started_ahead_is_told_apart(void **state) {
        (void)state;
        struct retort_error err = { 0 };
        struct rt_lang_set *set = NULL;
        assert_int_equal(load_warm("warm:\n  start: pool\n  argv: [x]\n  args: ['{entry}']\n  entry: main.toy\n  first: \"\\uFEFF\"\n"
                                   "  cold_code: ['#!']\n  cold_env: ['TOY_*']\n  least: {memory_bytes: 32 MiB}\n", &set, &err), 0);
        const struct rt_runtime *toy = rt_lang_find(set, "toy", &err);
        assert_true(rt_runtime_can_warm(toy, false) && rt_runtime_is_pooled(toy));
        static const char *const args[] = { "a" }, *const env[] = { "TOY_X=1" }, *const other[] = { "TOY=1" };
        static const struct retort_file named[] = { { "main.toy", { "x", 1 } } }, elsewhere[] = { { "a/main.toy", { "x", 1 } } };
        assert_true(can_start_ahead(toy, (struct retort_request){ 0 }));
        assert_true(can_start_ahead(toy, (struct retort_request){ .files = named, .n_files = 1 }));
        assert_true(can_start_ahead(toy, (struct retort_request){ .env = other, .n_env = 1 }));
        assert_true(can_start_ahead(toy, (struct retort_request){ .code = { "#", 1 } }));
        assert_false(can_start_ahead(toy, (struct retort_request){ .code = { "#! sh", 5 } }));
        assert_false(can_start_ahead(toy, (struct retort_request){ .files = elsewhere, .n_files = 1 }));
        assert_false(can_start_ahead(toy, (struct retort_request){ .args = args, .n_args = 1 }));
        assert_false(can_start_ahead(toy, (struct retort_request){ .env = env, .n_env = 1 }));
        assert_false(can_start_ahead(toy, (struct retort_request){ .terminal_columns = 80 }));
        assert_false(can_start_ahead(toy, (struct retort_request){ .limits = { .memory_bytes = 16 << 20 } }));
        rt_auto_arena struct rt_arena arena = { 0 };
        struct rt_lang_step step;
        assert_int_equal(rt_lang_warm(toy, false, &places, &no_ceilings, &arena, &step, &err), 0);
        size_t n = 0;
        while (step.env[n])
                n++;
        assert_string_equal(step.env[n - 2], "RETORT_MAIN=main.toy");
        assert_string_equal(step.env[n - 1], "RETORT_FIRST=\xef\xbb\xbf");
        assert_null(rt_lang_free(set));
        assert_int_equal(load_warm("warm:\n  argv: [x]\n  args: ['{entry}', '{args}']\n", &set, &err), 0);
        toy = rt_lang_find(set, "toy", &err);
        assert_true(rt_runtime_can_warm(toy, false) && !rt_runtime_is_pooled(toy));
        assert_true(can_start_ahead(toy, (struct retort_request){ .args = args, .n_args = 1 }));
        assert_null(rt_lang_free(set));
}

static void mistakes_in_warm_have_their_place(void **state) {
        (void)state;
        static const struct {
                const char *warm, *words;
        } rows[] = {
                { "warm: {start: maybe, argv: [x], args: ['{entry}']}\n", ":17:15: 'start' is fork or pool, not 'maybe'" },
                { "warm: {argv: [x], args: ['{entry}'], entry: main.toy}\n", "'entry' and 'first' are for 'start: pool'" },
                { "warm: {argv: [x], args: ['{entry}'], first: y}\n", "'entry' and 'first' are for 'start: pool'" },
                { "warm: {start: pool, argv: [x], args: ['{entry}'], entry: a/b}\n", "'entry' must be a file name without a folder" },
                { "compile: {argv: [x]}\nwarm: {start: pool, argv: [x], args: ['{entry}']}\n", "'start: pool' is for programs, and for runtimes without 'compile'" },
        };
        for (size_t i = 0; i < RT_LEN(rows); i++) {
                struct retort_error err = { 0 };
                struct rt_lang_set *set = NULL;
                assert_int_equal(load_warm(rows[i].warm, &set, &err), RETORT_E_INPUT);
                if (!strstr(err.message, rows[i].words))
                        fail_msg("%s does not say: %s", err.message, rows[i].words);
        }
}

/* The good file without what belongs to its programs, and with a runner. */
static const char cells_only[] = "name: toy\n"
                                 "title: A toy\n"
                                 "aliases: []\n"
                                 "toolchain:\n"
                                 "  programs: [[sh]]\n"
                                 "  version: {args: [--version], pattern: '([0-9]+)'}\n"
                                 "  install: apt install toy\n"
                                 "runner:\n"
                                 "  argv: ['{program:sh}', runner.sh]\n";

static void a_runtime_may_be_for_contexts_only(void **state) {
        (void)state;
        static const char *const extensions[] = { "", "extensions: [toy]\n" };
        for (size_t i = 0; i < RT_LEN(extensions); i++) {
                rt_auto_free char *text = NULL;
                assert_true(asprintf(&text, "%s%s", cells_only, extensions[i]) > 0);
                struct retort_error err = { 0 };
                struct rt_lang_set *set = NULL;
                assert_int_equal(load_text(text, &set, &err), 0);
                const struct rt_runtime *toy = rt_lang_find(set, "toy", &err);
                assert_true(!rt_runtime_has_programs(toy) && rt_runtime_has_runner(toy));
                assert_null(rt_lang_by_file(set, "a.toy"));
                rt_auto_arena struct rt_arena arena = { 0 };
                struct rt_lang_plan plan;
                struct rt_lang_step step;
                struct retort_request request = { .language = "toy", .code = { "x", 1 } };
                assert_int_equal(rt_lang_plan(toy, &request, &places, &no_ceilings, &arena, &plan, &err), RETORT_E_INPUT);
                assert_string_equal(err.message, "language: toy runs no programs: it keeps state between the cells of a context");
                assert_int_equal(rt_lang_warm(toy, false, &places, &no_ceilings, &arena, &step, &err), RETORT_E_INPUT);
                assert_int_equal(rt_lang_runner(toy, &request, NULL, &places, &no_ceilings, &arena, &step, &err), 0);
                assert_string_equal(step.argv[1], "runner.sh");
                assert_null(rt_lang_free(set));
        }
        static const char *const useless[] = { "source: {name: main.toy}", "compile: {argv: [x]}", "warm: {argv: [x], args: [y]}", "diagnostics: []" };
        for (size_t i = 0; i < RT_LEN(useless); i++) {
                rt_auto_free char *text = NULL;
                assert_true(asprintf(&text, "%s%s\n", cells_only, useless[i]) > 0);
                struct retort_error err = { 0 };
                struct rt_lang_set *set = NULL;
                assert_int_equal(load_text(text, &set, &err), RETORT_E_INPUT);
                assert_non_null(strstr(err.message, "/toy/runtime.yaml:10:1: '"));
                assert_non_null(strstr(err.message, "' is for programs, and there is no 'run'"));
        }
}

static void outputs_are_names_or_names_anywhere(void **state) {
        (void)state;
        static const char *const outputs[] = { "program", "lib*.so", "**/*.class", NULL };
        const struct rt_lang_cache cache = { .outputs = outputs };
        static const char *const yes[] = { "program", "libx.so", "A.class", "p/q/A$1.class" };
        static const char *const no[] = { "p/program", "program2", "p/libx.so", ".class", "p/.class", "A.class/b", "main.c" };
        for (size_t i = 0; i < RT_LEN(yes); i++)
                if (!rt_lang_is_output(&cache, yes[i]))
                        fail_msg("%s is an output", yes[i]);
        for (size_t i = 0; i < RT_LEN(no); i++)
                if (rt_lang_is_output(&cache, no[i]))
                        fail_msg("%s is no output", no[i]);
}

static void the_first_installed_program_speaks(void **state) {
        (void)state;
        static const char *const rows[][2] = { { "{installed:sh=-a|cat=-b}", "-a" },
                                               { "{installed:no-such-program=-a|cat=-b=c}", "-b=c" },
                                               { "{installed:no-such-program=-a}", NULL } };
        for (size_t i = 0; i < RT_LEN(rows); i++) {
                rt_auto_free char *text = changed("{entry}", rows[i][0]);
                rt_auto_arena struct rt_arena arena = { 0 };
                struct retort_error err = { 0 };
                struct rt_lang_set *set = NULL;
                struct rt_lang_plan plan;
                struct retort_request request = { .language = "toy", .code = { "x", 1 } };
                assert_int_equal(load_text(text, &set, &err), 0);
                assert_int_equal(rt_lang_plan(rt_lang_find(set, "toy", &err), &request, &places, &no_ceilings, &arena, &plan, &err), 0);
                if (rows[i][1])
                        assert_string_equal(plan.steps[0].argv[1], rows[i][1]);
                else
                        assert_null(plan.steps[0].argv[1]);
                assert_null(rt_lang_free(set));
        }
}

/* The fastest linker of this host, where the runtime names it. */
static const char *with_linker(const char *compile, struct rt_arena *arena) {
        const char *at = strstr(compile, "LINKER");
        if (!at)
                return compile;
        const char *linker = access("/usr/bin/ld.gold", X_OK) == 0 ? "-fuse-ld=gold -Wl,--no-map-whole-files "
                             : access("/usr/bin/mold", X_OK) == 0  ? "-fuse-ld=mold "
                                                                   : "";
        return rt_arena_printf(arena, "%.*s%s%s", (int)(at - compile), compile, linker, at + strlen("LINKER"));
}

static void the_usual_one_stays_when_the_request_speaks_to_it(void **state) {
        (void)state;
        static const char *const plain[] = { "-Wl,-z,now", "-static-pie", "-fuse-ld=bfd", "-Xlinker" };
        static const char *const other[] = { "-O3", "-static", "-Wlogical-op", "-O0" };
        rt_auto_arena struct rt_arena arena = { 0 };
        struct retort_error err = { 0 };
        const struct rt_runtime *c = rt_lang_find(tree, "c", &err);
        assert_non_null(c);
        for (size_t i = 0; i < 8; i++) {
                struct rt_lang_plan plan;
                const char *const args[] = { i < 4 ? plain[i] : other[i - 4] };
                struct retort_request request = { .code = { "1", 1 }, .compile_args = args, .n_compile_args = 1 };
                int r = rt_lang_plan(c, &request, &places, &no_ceilings, &arena, &plan, &err);
                if (r == RETORT_E_NO_RUNTIME)
                        skip();
                assert_int_equal(r, 0);
                bool chosen = strncmp(plan.steps[0].argv[5], "-fuse-ld=", 9) == 0;
                assert_true(i < 4 ? !chosen : chosen == (*with_linker("LINKER", &arena) != 0));
        }
}

static void every_mistake_has_its_place(void **state) {
        (void)state;
        const struct {
                const char *from, *to, *complaint;
        } rows[] = {
                { "title:", "tilte:", ":2:1: unknown key 'tilte'; known here: name, title, aliases" },
                { "  install: apt install toy\n", "", ":6:3: key 'install' is missing" },
                { "extensions: [toy]\n", "", ":1:1: key 'extensions' is missing, which 'run' needs" },
                { "source:\n  name: main.toy\n", "", ":1:1: key 'source' is missing, which 'run' needs" },
                { strstr(good, "run:\n"), "", ":1:1: a runtime needs 'run', for programs, or 'runner', for contexts, or both" },
                { "title: A toy\n", "title: A toy\ntitle: again\n",
                  ":3:1: key 'title' was given already in line 2" },
                { "title: A toy", "title: [A, toy]", ":2:8: 'title' must be a single value, not a list" },
                { "title: A toy", "title:", ":2:7: 'title' must not be empty" },
                { "[plaything]", "plaything", ":3:10: 'aliases' must be a list, not a single value" },
                { "[plaything]", "[plaything, ]x", ":3:23: " },
                { "name: toy", "name: toi", ":1:7: 'name' must be the folder's, 'toy', not 'toi'" },
                { "[toy]", "[.toy]", ":4:14: an extension is written without its dot" },
                { "[toy]", "&x [toy]", ":4:13: anchors are not taken" },
                { "[toy]", "*x", ":4:13: aliases are not taken" },
                { "[toy]", "!!seq [toy]", ":4:13: tags are not taken" },
                { "[[sh, dash], [cat]]", "[sh]", ":6:14: a list is wanted here, not a single value" },
                { "[[sh, dash], [cat]]", "[]", ":6:13: 'programs' needs at least one" },
                { "'([0-9]+)'", "'([0-9+)'",
                  ":7:41: 'pattern' is not a POSIX extended regular expression: " },
                { "'([0-9]+)'", "'[0-9]+'", ":7:41: 'pattern' needs a group" },
                { "main.toy", "a/main.toy", ":10:9: 'name' must be a file name without a folder" },
                { "main.toy", "main.toy\n  outline: words", ":11:12: 'outline' must be braces" },
                { "'{entry}'", "'{entri}'", ":12:26: unknown placeholder {entri}; known: {program}, {file}" },
                { "'{entry}'", "'{entry'", ":12:26: '{' without '}'" },
                { "'{entry}'", "'entry}'", ":12:26: '}' without '{'" },
                { "'{entry}'", "'{entry:1}'", ":12:26: {entry} takes no value" },
                { "'{entry}'", "'{program}'", ":12:26: {program} needs a value" },
                { "'{entry}'", "'-{args}'", ":12:26: {args} becomes any number of arguments" },
                { "'{entry}'", "'{memory_mib:101}'", ":12:26: '101' must be a percentage from 1 to 100" },
                { "'{entry}'", "'{file:launch}'", ":12:26: the runtime's folder has no file 'launch'" },
                { "{program:sh}", "{program:zsh}", ":12:10: program 'zsh' is not the first name of any" },
                { "'x{{y}}{tmp}'", "'{args}'", ":14:10: {args} becomes any number of arguments" },
                { "    TOY:", "    A=B:", ":14:5: 'A=B' is not a name for an environment variable" },
                { "64 MiB", "64MB", ":16:19: 'memory_bytes' must be a whole number" },
                { "64 MiB", "-1", ":16:19: 'memory_bytes' must be a whole number" },
                { "64 MiB", "99999999999999999999", ":16:19: 'memory_bytes' must be a whole number" },
                { "64 MiB", "12", ":16:19: 'memory_bytes' must be from 1048576 to 1099511627776, not 12" },
                { "memory_bytes", "memory",
                  ":16:5: unknown key 'memory'; known here: wall_ms, cpu_ms, memory_bytes" },
                { "[file, message]", "[message]",
                  ":19:13: 'fields' has 1 names, but the pattern has 2 groups" },
                { "[file, message]", "[file, words]", ":19:20: unknown field 'words'; known: file, line" },
                { "[file, message]", "[file, line]", ":19:13: 'fields' must have 'message'" },
                { "'^(.*): (.*)$'\n", "'^(.*): (.*)$'\n    caret: yes\n",
                  ":19:12: 'caret' must be true or false" },
                { "'{entry}'", "'{installed}'", ":12:26: {installed} needs a value" },
                { "'{entry}'", "'{installed:ld=}'", ":12:26: {installed:ld=} needs programs with what to say for each" },
                { "'{entry}'", "'{installed:ld=-x|}'", ":12:26: {installed:ld=-x|} needs programs" },
                { "'{entry}'", "'{installed:=-x}'", ":12:26: {installed:=-x} needs programs" },
                { "'{entry}'", "'x{installed:ld=-x}'", ":12:26: {installed} becomes any number of arguments" },
                { "  limits:\n", "  cache: {}\n  limits:\n", ":15:3: unknown key 'cache'; known here: argv, env, limits" },
                { "run:\n", "compile:\n  argv: [x]\n  cache: {outputs: [], reads: [], unless: []}\nrun:\n",
                  ":13:20: 'outputs' needs at least one" },
                { "run:\n", "compile:\n  argv: [x]\n  cache: {outputs: [a/b], reads: [], unless: []}\nrun:\n",
                  ":13:21: an output is a file name, maybe with * and ?, or that behind '**/', not 'a/b'" },
                { "run:\n", "compile:\n  argv: [x]\n  cache: {outputs: ['**/'], reads: [], unless: []}\nrun:\n",
                  ":13:21: an output is a file name" },
                { "run:\n", "compile:\n  argv: [x]\n  cache: {outputs: [a], reads: [usr], unless: []}\nrun:\n",
                  ":13:33: 'reads' must be absolute, not 'usr'" },
                { "run:\n", "compile:\n  argv: [x]\n  cache: {outputs: [a]}\nrun:\n", ":13:10: key 'reads' is missing" },
                { "diagnostics:\n", "warm:\n  argv: [x]\ndiagnostics:\n", ":18:9: 'warm' needs 'args', or 'compile_args'" },
                { "diagnostics:\n", "warm:\n  argv: [x]\n  compile_args: [x]\ndiagnostics:\n", ":18:9: 'warm' needs 'args', or 'compile_args'" },
                { good, "", ":1:1: the file is empty" },
                { good, "- a", ":1:1: a mapping is wanted here, not a list" },
                { "diagnostics:", "\tdiagnostics:", ":17:1: " },
                { "    fields: [file, message]\n", "    fields: [file, message]\n---\nname: toy\n",
                  ":20:1: a second document" },
        };
        for (size_t i = 0; i < RT_LEN(rows); i++) {
                rt_auto_free char *text = changed(rows[i].from, rows[i].to);
                struct retort_error err = { 0 };
                struct rt_lang_set *set = NULL;
                assert_int_equal(load_text(text, &set, &err), RETORT_E_INPUT);
                char wanted[512];
                (void)snprintf(wanted, sizeof wanted, "%s/toy/runtime.yaml%s", scratch, rows[i].complaint);
                if (strncmp(err.message, wanted, strlen(wanted)) != 0)
                        fail_msg("row %zu: wanted \"%s...\", got \"%s\"", i, wanted, err.message);
                assert_null(set);
        }
}

/* Both steps, or with no args only the compiler; never the program alone. */
static void forks_do_what_warm_says(void **state) {
        (void)state;
        static const struct {
                const char *warm;
                bool can, compiles, runs;
        } rows[] = {
                { "", false, false, false },
                { "warm:\n  argv: [x]\n  args: [a]\n", true, false, false },
                { "warm:\n  argv: [x]\n  args: [a]\n  compile_args: [b]\n", true, true, true },
                { "warm:\n  argv: [x]\n  compile_args: [b, '{files}']\n", true, true, false },
                { "warm:\n  argv: [x]\n  compile_args: [b]\n  cold_env: ['P*']\n", true, false, false },
                { "warm:\n  argv: [x]\n  compile_args: [b]\n  cold_compile_args: ['-x*']\n", true, false, false },
                { "warm:\n  argv: [x]\n  compile_args: [b]\n  least: {processes: 9}\n", true, false, false },
                { "warm:\n  argv: [x]\n  compile_args: [b]\n  least: {memory_bytes: 500 MiB}\n", true, true, false },
        };
        static const char *const args[] = { "-xy" };
        static const char *const env[] = { "PX=1" };
        const struct retort_request request = { .language = "toy", .code = { "x", 1 }, .compile_args = args, .n_compile_args = 1, .env = env,
                                                .n_env = 1, .compile_limits = { .processes = 8, .memory_bytes = 1 << 30 } };
        for (size_t i = 0; i < RT_LEN(rows); i++) {
                rt_auto_free char *compile = changed("run:\n", "compile:\n  argv: [x]\nrun:\n");
                rt_auto_free char *text = NULL;
                rt_auto_arena struct rt_arena arena = { 0 };
                struct retort_error err = { 0 };
                struct rt_lang_set *set = NULL;
                struct rt_lang_plan plan;
                assert_true(asprintf(&text, "%s%s", compile, rows[i].warm) >= 0);
                assert_int_equal(load_text(text, &set, &err), 0);
                const struct rt_runtime *toy = rt_lang_find(set, "toy", &err);
                assert_int_equal(rt_runtime_can_warm(toy, false), rows[i].can);
                assert_int_equal(rt_lang_plan(toy, &request, &places, &no_ceilings, &arena, &plan, &err), 0);
                if ((plan.steps[0].fork_argv != NULL) != rows[i].compiles || (plan.steps[1].fork_argv != NULL) != rows[i].runs)
                        fail_msg("row %zu", i);
                assert_null(rt_lang_free(set));
        }
}

static void names_are_claimed_once(void **state) {
        (void)state;
        struct retort_error err = { 0 };
        struct rt_lang_set *set = NULL;
        rt_auto_free char *other = changed("name: toy", "name: zoo");
        write_runtime("zoo", other);
        assert_int_equal(load_text(good, &set, &err), RETORT_E_INPUT);
        remove_runtime("zoo");
        assert_non_null(strstr(err.message, "/zoo/runtime.yaml:3:11: 'plaything' names toy already"));
        assert_int_equal(rt_lang_load(scratch, &set, &err), RETORT_E_INPUT);
        assert_non_null(strstr(err.message, "holds no runtime"));
        assert_int_equal(rt_lang_load("/nonexistent", &set, &err), RETORT_E_SYSTEM);
}

static void missing_toolchains_say_how_to_get_them(void **state) {
        (void)state;
        struct retort_error err = { 0 };
        struct rt_lang_set *set = NULL;
        rt_auto_free char *text = changed("[[sh, dash], [cat]]", "[[sh], [no-such-cat, /no/such/cat]]");
        assert_int_equal(load_text(text, &set, &err), 0);
        assert_int_equal(rt_lang_detect(rt_lang_at(set, 0), &err), RETORT_E_NO_RUNTIME);
        assert_string_equal(err.message, "A toy is not installed: no program no-such-cat in " RT_LANG_PATH
                                         "; get it with: apt install toy");
        assert_null(rt_lang_free(set));
}

/* ---- names ------------------------------------------------------------------------------------- */

static void every_runtime_of_the_tree_is_there(void **state) {
        (void)state;
        static const char *const names[] = { "bash", "c", "cpp", "deno", "ipykernel", "irkernel", "java", "javascript", "php", "python", "r", "ruby", "typescript", "xpython" };
        for (size_t i = 0; i < RT_LEN(names); i++)
                assert_string_equal(rt_runtime_name(rt_lang_at(tree, i)), names[i]);
        assert_null(rt_lang_at(tree, RT_LEN(names)));
}

static void aliases_are_found_in_any_case(void **state) {
        (void)state;
        static const struct {
                const char *asked, *name;
        } rows[] = {
                { "python", "python" },
                { "py", "python" },
                { "Python3", "python" },
                { " PYTHON\n", "python" },
                { "js", "javascript" },
                { "node", "javascript" },
                { "NodeJS", "javascript" },
                { "JavaScript", "javascript" },
                { "R", "r" },
                { "Rscript", "r" },
                { "Java", "java" },
                { "c", "c" },
                { "C++", "cpp" },
                { "cc", "cpp" },
                { "cxx", "cpp" },
                { "cplusplus", "cpp" },
                { "sh", "bash" },
                { "Shell", "bash" },
                { "rb", "ruby" },
                { "PHP", "php" },
        };
        for (size_t i = 0; i < RT_LEN(rows); i++) {
                struct retort_error err = { 0 };
                const struct rt_runtime *runtime = rt_lang_find(tree, rows[i].asked, &err);
                assert_non_null(runtime);
                assert_string_equal(rt_runtime_name(runtime), rows[i].name);
        }
}

static void unknown_languages_hear_the_known_ones(void **state) {
        (void)state;
        struct retort_error err = { 0 };
        assert_null(rt_lang_find(tree, "cobol", &err));
        assert_int_equal(err.code, RETORT_E_NO_RUNTIME);
        assert_string_equal(err.message,
                            "unknown language 'cobol'; known: bash, c, cpp, deno, ipykernel, irkernel, java, javascript, php, python, r, ruby, typescript, xpython");
        assert_null(rt_lang_find(tree, NULL, &err));
        assert_string_equal(err.message,
                            "language is missing; known: bash, c, cpp, deno, ipykernel, irkernel, java, javascript, php, python, r, ruby, typescript, xpython");
        assert_null(rt_lang_find(tree, "  ", &err));
        assert_null(rt_lang_find(tree, "pyth", &err));
        assert_null(rt_lang_find(tree, "a\nb\xff", &err));
        assert_non_null(strstr(err.message, "'a?b?'"));
}

static void files_tell_their_language(void **state) {
        (void)state;
        static const struct {
                const char *file, *name;
        } rows[] = { { "a/x.py", "python" }, { "x.mjs", "javascript" }, { "X.java", "java" },
                     { "x.c", "c" },         { "x.tar.cc", "cpp" },     { "x.R", "r" },
                     { "x.r", "r" },         { "x.sh", "bash" },
                     { "x.rb", "ruby" },     { "x.php", "php" } };
        for (size_t i = 0; i < RT_LEN(rows); i++)
                assert_string_equal(rt_runtime_name(rt_lang_by_file(tree, rows[i].file)), rows[i].name);
        assert_null(rt_lang_by_file(tree, "py"));
        assert_null(rt_lang_by_file(tree, "x.py/y"));
        assert_null(rt_lang_by_file(tree, "x.txt"));
}

static void versions_are_read(void **state) {
        (void)state;
        static const struct {
                const char *language, *output, *version, *last;
        } rows[] = {
                { "python", "Python 3.11.2\n", "3.11.2", "--version" },
                { "javascript", "v20.20.2\n", "20.20.2", "--version" },
                { "r", "R version 4.2.2 Patched (2022-11-10 r83330) -- \"Innocent\"\n", "4.2.2",
                  "--version" },
                { "java", "openjdk version \"17.0.15\" 2025-04-15\n", "17.0.15", "-version" },
                { "java", "java version \"1.8.0_402\"\n", "1.8.0_402", "-version" },
                { "c", "12.2.0\n", "12.2.0", "-dumpfullversion" },
                { "cpp", "12.2.0\n", "12.2.0", "-dumpfullversion" },
                { "ruby", "ruby 3.1.2p20 (2022-04-12 revision 4491bb740a) [x86_64-linux-gnu]\n", "3.1.2", "--version" },
                { "php", "PHP 8.2.29 (cli) (built: Jul 18 2026 12:00:00) (NTS)\nCopyright (c) The PHP Group\n", "8.2.29", "-n" },
                { "bash", "GNU bash, version 5.2.15(1)-release\n", "5.2.15", "--version" },
        };
        rt_auto_arena struct rt_arena arena = { 0 };
        for (size_t i = 0; i < RT_LEN(rows); i++) {
                const struct rt_runtime *runtime = rt_lang_find(tree, rows[i].language, NULL);
                assert_string_equal(rt_lang_read_version(runtime, rows[i].output, &arena), rows[i].version);
                const char *const *argv = rt_lang_version_argv(runtime, &arena);
                if (argv)
                        assert_string_equal(argv[1], rows[i].last);
        }
}

static void versions_fit_by_their_parts(void **state) {
        (void)state;
        static const struct {
                const char *wanted;
                bool fits;
        } rows[] = { { NULL, true },   { "", true },       { "*", true },    { "3", true },
                     { "3.11", true }, { "3.11.2", true }, { "3.1", false }, { "3.11.20", false },
                     { "2", false },   { "3.", false } };
        for (size_t i = 0; i < RT_LEN(rows); i++)
                assert_int_equal(rt_lang_version_fits("3.11.2", rows[i].wanted), rows[i].fits);
        assert_false(rt_lang_version_fits("", "3"));
}

/* ---- plans ------------------------------------------------------------------------------------- */

static const char *joined(const char *const *texts, struct rt_arena *arena) {
        const char *all = rt_arena_strdup(arena, "");
        for (; *texts; texts++)
                all = rt_arena_printf(arena, "%s%s%s", all, *all ? " " : "", *texts);
        return all;
}

/* A program's directory may be any of RT_LANG_PATH: left out before comparing. */
static const char *without_dirs(const char *text, struct rt_arena *arena) {
        static const char *const dirs[] = { "/usr/local/bin/", "/usr/bin/", "/bin/" };
        char *copy = rt_arena_strdup(arena, text);
        for (size_t i = 0; i < RT_LEN(dirs); i++)
                for (char *at; (at = strstr(copy, dirs[i]));)
                        memmove(at, at + strlen(dirs[i]), strlen(at + strlen(dirs[i])) + 1);
        return copy;
}

#define JAVA_RUN                                                                                             \
        "java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto -XX:-UsePerfData -XX:MaxRAM=536870912 "  \
        "-XX:MaxRAMPercentage=60 -XX:-PrintWarnings -Djava.system.class.loader=RetortHook -cp "              \
        ".:/retort/java "
#define JAVA_COMPILE                                                                                         \
        "javac -J-XX:+UseSerialGC -J-XX:TieredStopAtLevel=1 -J-Xshare:auto -J-XX:-UsePerfData "              \
        "-J-XX:MaxRAM=1073741824 -J-XX:MaxRAMPercentage=60 -proc:none -encoding UTF-8 -d . "

static void plans_have_exact_arguments(void **state) {
        (void)state;
        static const char *const args[] = { "a b", "" };
        static const char *const flags[] = { "-O0" };
        static const struct {
                const char *language, *code, *file, *compile, *run;
        } rows[] = {
                { "python", "1", "main.py", NULL, "python3 -B main.py a b " },
                { "javascript", "1", "main.js", NULL,
                  "node --max-old-space-size=384 --require /retort/javascript/hook.cjs main.js a b " },
                { "r", "1", "main.R", NULL, "sh /retort/r/start.sh R main.R a b " },
                { "bash", "1", "main.sh", NULL, "bash main.sh a b " },
                { "ruby", "1", "main.rb", NULL, "ruby -r/retort/ruby/hook.rb main.rb a b " },
                { "php", "1", "main.php", NULL,
                  "php -d memory_limit=-1 -d auto_prepend_file=/retort/php/hook.php -f main.php -- a b " },
                { "c", "1", "main.c", "gcc -std=gnu17 -O2 -Wall -pipe LINKER-o program -O0 main.c -lm",
                  "./program a b " },
                { "cpp", "1", "main.cpp",
                  "g++ -std=gnu++17 -O2 -Wall -pipe LINKER-isystem /retort/cpp/pch -o program -O0 main.cpp TERMINATE", "./program a b " },
                { "java", "public class Hello {}", "Hello.java", JAVA_COMPILE "-O0 Hello.java HOOK",
                  JAVA_RUN "Hello a b " },
        };
        rt_auto_arena struct rt_arena arena = { 0 };
        for (size_t i = 0; i < RT_LEN(rows); i++) {
                struct retort_error err = { 0 };
                struct rt_lang_plan plan;
                struct retort_request request = { .code = { rows[i].code, strlen(rows[i].code) },
                                                  .args = args,
                                                  .n_args = 2 };
                if (rows[i].compile) {
                        request.compile_args = flags;
                        request.n_compile_args = 1;
                }
                const struct rt_runtime *runtime = rt_lang_find(tree, rows[i].language, &err);
                int r = rt_lang_plan(runtime, &request, &places, &no_ceilings, &arena, &plan, &err);
                if (r == RETORT_E_NO_RUNTIME) {
                        print_message("# %s\n", err.message);
                        continue;
                }
                assert_int_equal(r, 0);
                assert_int_equal(plan.n_files, 1);
                assert_string_equal(plan.files[0].path, rows[i].file);
                assert_int_equal(plan.n_steps, rows[i].compile ? 2 : 1);
                const struct rt_lang_step *run = &plan.steps[plan.n_steps - 1];
                assert_string_equal(run->name, "run");
                assert_string_equal(without_dirs(joined(run->argv, &arena), &arena), rows[i].run);
                assert_true(run->argv[0][0] == '/' || run->argv[0][0] == '.');
                if (!rows[i].compile)
                        continue;
                /* What the build made ahead of time is used, else its source is compiled along. */
                const char *compile = without_dirs(joined(plan.steps[0].argv, &arena), &arena);
                const char *wanted = with_linker(rows[i].compile, &arena);
                const char *mark = strstr(wanted, "TERMINATE") ?: strstr(wanted, "HOOK");
                size_t same = mark ? (size_t)(mark - wanted) : strlen(wanted);
                if (mark && *mark == 'H')
                        same--;
                assert_int_equal(strncmp(compile, wanted, same), 0);
                const char *rest = compile + same;
                assert_true(mark ? *mark == 'T' ? strncmp(rest, "/retort/cpp/terminate.", 22) == 0
                                                : !*rest || strcmp(rest, " /retort/java/RetortHook.java") == 0
                                 : !*rest);
                assert_int_equal(plan.steps[0].limits.wall_ms, 30000);
        }
}

static void the_environment_is_whole_and_the_requests_wins(void **state) {
        (void)state;
        static const char *const env[] = { "HOME=/elsewhere",      "A=1", "LD_PRELOAD=x.so", "A=2=3",
                                           "PYTHONPATH=/work/lib", "B=" };
        struct retort_request request = { .code = { "1", 1 }, .env = env, .n_env = RT_LEN(env) };
        rt_auto_arena struct rt_arena arena = { 0 };
        struct retort_error err = { 0 };
        struct rt_lang_plan plan;
        const struct rt_runtime *python = rt_lang_find(tree, "python", &err);
        assert_int_equal(rt_lang_plan(python, &request, &places, &no_ceilings, &arena, &plan, &err), 0);
        assert_string_equal(
                joined(plan.steps[0].env, &arena),
                "PATH=" RT_LANG_PATH " HOME=/elsewhere TMPDIR=/tmp LANG=C.UTF-8 USER=guest "
                "PYTHONPATH=/retort/python:/work/lib MPLBACKEND=Agg MPLCONFIGDIR=/tmp/.matplotlib "
                "XDG_CACHE_HOME=/tmp/.cache A=2=3 LD_PRELOAD=x.so B=");
}

static void projects_compile_every_source_file(void **state) {
        (void)state;
        const struct retort_file files[] = {
                { "lib/util.c", { "", 0 } },
                { "lib/util.h", { "", 0 } },
                { "-main.c", { "x", 1 } },
                { "@list.c", { "x", 1 } },
        };
        struct retort_request request = { .files = files, .n_files = RT_LEN(files), .entry = "-main.c" };
        rt_auto_arena struct rt_arena arena = { 0 };
        struct retort_error err = { 0 };
        struct rt_lang_plan plan;
        const struct rt_runtime *c = rt_lang_find(tree, "c", &err);
        assert_int_equal(rt_lang_plan(c, &request, &places, &no_ceilings, &arena, &plan, &err), 0);
        assert_int_equal(plan.n_files, 4);
        assert_non_null(strstr(joined(plan.steps[0].argv, &arena), " lib/util.c ./-main.c ./@list.c -lm"));
        request.files = &files[1];
        request.n_files = 1;
        request.entry = NULL;
        assert_int_equal(rt_lang_plan(c, &request, &places, &no_ceilings, &arena, &plan, &err),
                         RETORT_E_INPUT);
        assert_string_equal(err.message, "files: none ends in .c, so there is nothing to compile");
}

static void limits_come_from_request_runtime_and_ceiling(void **state) {
        (void)state;
        rt_auto_arena struct rt_arena arena = { 0 };
        struct retort_error err = { 0 };
        struct rt_lang_plan plan;
        struct retort_request request = { .code = { "1", 1 }, .limits = { .wall_ms = 77 } };
        struct retort_limits ceilings = { .cpu_ms = 2000,
                                          .memory_bytes = 100u << 20,
                                          .processes = UINT64_MAX };
        const struct rt_runtime *c = rt_lang_find(tree, "c", &err);
        assert_int_equal(rt_lang_plan(c, &request, &places, &ceilings, &arena, &plan, &err), 0);
        assert_int_equal(plan.steps[0].limits.wall_ms, 30000);
        assert_int_equal(plan.steps[0].limits.cpu_ms, 2000);
        assert_int_equal(plan.steps[1].limits.wall_ms, 77);
        assert_int_equal(plan.steps[1].limits.memory_bytes, 100u << 20);
#define X(member, unit, dflt, floor, ceiling, text)                                                          \
        assert_in_range(plan.steps[0].limits.member, floor, ceiling);                                        \
        assert_in_range(plan.steps[1].limits.member, floor, ceiling);
        RETORT_LIMITS(X)
#undef X
        request.limits.cpu_ms = 2001;
        assert_int_equal(rt_lang_plan(c, &request, &places, &ceilings, &arena, &plan, &err), RETORT_E_INPUT);
        assert_string_equal(err.message, "limits.cpu_ms is 2001 ms, above the ceiling of 2000");
        request.limits.cpu_ms = 0;
        request.compile_limits.memory_bytes = 4096;
        assert_int_equal(rt_lang_plan(c, &request, &places, &ceilings, &arena, &plan, &err), RETORT_E_INPUT);
        assert_string_equal(err.message,
                            "compile.limits.memory_bytes is 4096 bytes, below the least of 1048576");
}

static struct retort_request with_path(struct retort_file *file, const char *path) {
        *file = (struct retort_file){ .path = path, .content = { "x", 1 } };
        return (struct retort_request){ .files = file, .n_files = 1 };
}

static void expect_refusal(const char *language, const struct retort_request *request, const char *words) {
        rt_auto_arena struct rt_arena arena = { 0 };
        struct retort_error err = { 0 };
        struct rt_lang_plan plan = { .n_files = 99 };
        const struct rt_runtime *runtime = rt_lang_find(tree, language, &err);
        int r = rt_lang_plan(runtime, request, &places, &no_ceilings, &arena, &plan, &err);
        if (r != RETORT_E_INPUT || !strstr(err.message, words))
                fail_msg("wanted \"%s\", got %d \"%s\"", words, r, err.message);
        assert_int_equal(plan.n_files, 99);
}

static void bad_paths_are_refused(void **state) {
        (void)state;
        char long_path[RETORT_MAX_PATH + 2];
        memset(long_path, 'a', sizeof long_path - 1);
        long_path[sizeof long_path - 1] = 0;
        const struct {
                const char *path, *words;
        } rows[] = {
                { NULL, "files[0].path is missing" },   { "", "files[0].path '' is empty" },
                { "/etc/passwd", "is absolute" },       { "../x.py", "has a part '.' or '..'" },
                { "a/../x.py", "has a part '.' or" },   { "./x.py", "has a part '.' or" },
                { "a/.", "has a part '.' or" },         { "a//b", "has an empty part" },
                { "a/", "has an empty part" },          { "a\nb", "'a?b' has a control character" },
                { "a\x7f", "has a control character" }, { "a\xff", "is not UTF-8" },
                { "\xc0\xaf", "is not UTF-8" },         { long_path, "is longer than 255 bytes" },
        };
        for (size_t i = 0; i < RT_LEN(rows); i++) {
                struct retort_file file;
                struct retort_request request = with_path(&file, rows[i].path);
                expect_refusal("python", &request, rows[i].words);
        }
        struct retort_file file;
        struct retort_request request = with_path(&file, "..a/.b/\xc3\xa9 x.py");
        rt_auto_arena struct rt_arena arena = { 0 };
        struct rt_lang_plan plan;
        assert_int_equal(rt_lang_plan(rt_lang_find(tree, "python", NULL), &request, &places, &no_ceilings,
                                      &arena, &plan, NULL),
                         0);
}

static void bad_sets_of_files_are_refused(void **state) {
        (void)state;
        static struct retort_file many[RETORT_MAX_FILES + 1];
        static char names[RETORT_MAX_FILES + 1][8];
        for (size_t i = 0; i < RT_LEN(many); i++) {
                (void)snprintf(names[i], sizeof names[i], "f%zu", i);
                many[i].path = names[i];
        }
        struct retort_request request = { .files = many, .n_files = RT_LEN(many) };
        expect_refusal("python", &request, "files: 257 given, at most 256");
        request.n_files = 3;
        request.entry = "f7";
        expect_refusal("python", &request, "entry 'f7' is not the path of any of the 3 files");
        request.entry = NULL;
        many[2].path = "f0";
        expect_refusal("python", &request, "files[2].path 'f0' is given twice");
        many[2].path = "f1/x";
        expect_refusal("python", &request, "files[1].path 'f1' is a file, and the folder of another");
        many[1].path = "f2/x";
        many[2].path = "f2";
        expect_refusal("python", &request, "files[2].path 'f2' is a file, and the folder of another");
        many[1].path = "f2-x";
        many[1].content = (struct retort_bytes){ "", RETORT_MAX_FILES_BYTES };
        many[2].content = (struct retort_bytes){ "", 1 };
        expect_refusal("python", &request, "code, files and stdin are together larger than 33554432 bytes");
        many[1].content = (struct retort_bytes){ NULL, 5 };
        expect_refusal("python", &request, "has a size of 5, but no data");
        request = (struct retort_request){ .code = { "x", 1 }, .files = many, .n_files = 1 };
        expect_refusal("python", &request, "code and files were both given");
        request = (struct retort_request){ .code = { "x", 1 }, .entry = "x" };
        expect_refusal("python", &request, "entry goes with files, not with code");
        request = (struct retort_request){ .code = { "", 0 } };
        expect_refusal("python", &request, "code is empty");
        request = (struct retort_request){ 0 };
        expect_refusal("python", &request, "code is missing");
        request = (struct retort_request){ .code = { "x", 1 }, .stdin_data = { "", SIZE_MAX } };
        expect_refusal("python", &request, "together larger");
}

static void bad_arguments_are_refused(void **state) {
        (void)state;
        static const char *many[RETORT_MAX_ARGS + 1];
        rt_auto_free char *huge = malloc(200000);
        assert_non_null(huge);
        memset(huge, 'x', 199999);
        huge[199999] = 0;
        for (size_t i = 0; i < RT_LEN(many); i++)
                many[i] = "A=1";
        struct retort_request request = { .code = { "x", 1 }, .args = many, .n_args = RT_LEN(many) };
        expect_refusal("python", &request, "args: 1025 given, at most 1024");
        request = (struct retort_request){ .code = { "x", 1 }, .env = many, .n_env = RT_LEN(many) };
        expect_refusal("python", &request, "env: 1025 given, at most 1024");
        request = (struct retort_request){ .code = { "x", 1 },
                                           .compile_args = many,
                                           .n_compile_args = RT_LEN(many) };
        expect_refusal("c", &request, "compile.args: 1025 given, at most 1024");
        request.n_compile_args = 1;
        expect_refusal("python", &request, "compile.args were given, but python has no compile step");
        const struct {
                const char *entry, *words;
        } rows[] = { { "=x", "env[0] has no name" },
                     { "", "env[0] '' is not NAME=VALUE" },
                     { "NAME", "env[0] 'NAME' is not NAME=VALUE" },
                     { NULL, "env[0] is missing" },
                     { huge, "env[0] is 199999 bytes long, at most 131071" } };
        for (size_t i = 0; i < RT_LEN(rows); i++) {
                request = (struct retort_request){ .code = { "x", 1 }, .env = &rows[i].entry, .n_env = 1 };
                expect_refusal("python", &request, rows[i].words);
        }
        huge[130000] = 0;
        for (size_t i = 0; i < 10; i++)
                many[i] = huge;
        request = (struct retort_request){ .code = { "x", 1 }, .args = many, .n_args = 10 };
        expect_refusal("python", &request, "args and env are together larger than 1048576 bytes");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_good_file_loads),
                cmocka_unit_test(every_mistake_has_its_place),
                cmocka_unit_test(what_can_be_started_ahead_is_told_apart),
                cmocka_unit_test(mistakes_in_warm_have_their_place),
                cmocka_unit_test(a_runtime_may_be_for_contexts_only),
                cmocka_unit_test(outputs_are_names_or_names_anywhere),
                cmocka_unit_test(the_first_installed_program_speaks),
                cmocka_unit_test(the_usual_one_stays_when_the_request_speaks_to_it),
                cmocka_unit_test(forks_do_what_warm_says),
                cmocka_unit_test(names_are_claimed_once),
                cmocka_unit_test(missing_toolchains_say_how_to_get_them),
                cmocka_unit_test(every_runtime_of_the_tree_is_there),
                cmocka_unit_test(aliases_are_found_in_any_case),
                cmocka_unit_test(unknown_languages_hear_the_known_ones),
                cmocka_unit_test(files_tell_their_language),
                cmocka_unit_test(versions_are_read),
                cmocka_unit_test(versions_fit_by_their_parts),
                cmocka_unit_test(plans_have_exact_arguments),
                cmocka_unit_test(the_environment_is_whole_and_the_requests_wins),
                cmocka_unit_test(projects_compile_every_source_file),
                cmocka_unit_test(limits_come_from_request_runtime_and_ceiling),
                cmocka_unit_test(bad_paths_are_refused),
                cmocka_unit_test(bad_sets_of_files_are_refused),
                cmocka_unit_test(bad_arguments_are_refused),
        };
        return cmocka_run_group_tests(tests, load_tree, free_tree);
}
