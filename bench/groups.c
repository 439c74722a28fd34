/* SPDX-License-Identifier: Apache-2.0
 *
 * Who runs what. In each group the first contender is the plain one: what a person would type, without any sandbox.
 */
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "bench.h"

static const char path_variable[] = "PATH=/usr/local/bin:/usr/bin:/bin";

#define PANDAS "import numpy, pandas, matplotlib.pyplot; print(1)"
#define JAVA "public class Main {\n    public static void main(String[] args) {\n        System.out.println(1);\n    }\n}\n"
#define C "#include <stdio.h>\nint main(void) {\n        puts(\"1\");\n}\n"
#define CPP "#include <bits/stdc++.h>\nusing namespace std;\nint main() {\n        cout << 1 << \"\\n\";\n}\n"

/* ---- making contenders ---- */

static struct bench_contender *add(struct bench_group *g, const char *name, const char *expected) {
        struct bench_contender *c = &g->contenders[g->n++];
        *c = (struct bench_contender){ .name = name, .expected = expected, .run = bench_run_program, .env = { path_variable } };
        return c;
}

static void set_words(const char **to, size_t room, const char *const *words) {
        for (size_t i = 0; words[i] && i < room - 1; i++)
                to[i] = words[i];
}
#define ARGV(c, ...) set_words((c)->argv, RT_LEN((c)->argv), (const char *const[]){ __VA_ARGS__, NULL })
#define COMPILE(c, ...) set_words((c)->compile, RT_LEN((c)->compile), (const char *const[]){ __VA_ARGS__, NULL })

static struct bench_contender *add_library(struct bench_group *g, const char *name, retort_engine *engine, const char *language,
                                           const char *code, const char *expected) {
        struct bench_contender *c = add(g, name, expected);
        c->run = bench_run_library;
        c->is_retort = true;
        c->engine = engine;
        c->language = language;
        c->code = code;
        return c;
}

static void add_command(struct bench_group *g, const struct bench_paths *p, const char *runtimes, const char *language,
                        const char *code, const char *expected) {
        struct bench_contender *command = add(g, "retort, command", expected);
        ARGV(command, p->retort, "run", "-l", language, "-c", code);
        command->env[1] = p->env_libexec;
        command->env[2] = runtimes;
}

static void add_crun(struct bench_group *g, const struct bench_paths *p, const struct bench_options *o, const char *bundle,
                     const char *expected) {
        static const char *const names[] = { "crun", "crun, cgroups off" };
        for (size_t i = 0; i < RT_LEN(names); i++) {
                struct bench_contender *crun = add(g, names[i], expected);
                crun->is_sandbox = crun->without_cgroup2 = true;
                if (i == 0)
                        ARGV(crun, p->crun, p->state, "run", "--bundle", bundle, "retort-bench");
                else
                        ARGV(crun, p->crun, p->state, "--cgroup-manager=disabled", "run", "--bundle", bundle, "retort-bench");
                if (!p->crun[0] || !o->bundles)
                        (void)bench_fail(crun, p->crun[0] ? "no bundle was made" : "crun is not installed (apt install crun)");
        }
}

static struct bench_contender *add_bwrap(struct bench_group *g, const struct bench_paths *p, const char *expected) {
        struct bench_contender *bwrap = add(g, "bubblewrap", expected);
        bwrap->is_sandbox = true;
        if (!p->bwrap[0])
                (void)bench_fail(bwrap, "bwrap is not installed (apt install bubblewrap)");
        return bwrap;
}

/* The first contender's programs are not here: then the others have nothing to be compared with. */
static void check_installed(struct bench_group *g, const char *language) {
        const struct bench_contender *plain = &g->contenders[0];
        if (access(plain->argv[0], X_OK) == 0 || plain->compile[0]) {
                if (!plain->compile[0] || access(plain->compile[0], X_OK) == 0)
                        return;
        }
        for (size_t i = 0; i < g->n; i++)
                (void)bench_fail(&g->contenders[i], "%s is not installed", language);
}

static const char *put(const struct bench_options *o, const char *name, const char *text, char ret[512]) {
        (void)snprintf(ret, 512, "%.400s/%s", o->scratch, name);
        FILE *file = text ? fopen(ret, "we") : NULL;
        if (file) {
                (void)fputs(text, file);
                (void)fclose(file);
        }
        return ret;
}

/* ---- groups ---- */

static void set_up_static(struct bench_group *g, const struct bench_paths *p, const struct bench_options *o,
                          const struct bench_places *at) {
        *g = (struct bench_group){ .title = "A static C program: write(1, \"hello\\n\", 6)", .rounds = o->rounds };
        ARGV(add(g, "plain (posix_spawn)", "hello\n"), p->hello);
        struct bench_contender *box = add(g, "retort, the box alone", "hello\n");
        box->run = bench_run_slot;
        box->slot = at->slot;
        (void)add_library(g, "retort, library", at->own, "exec", "x", "hello\n");
        add_command(g, p, p->env_own, "exec", "x", "hello\n");
        ARGV(add_bwrap(g, p, "hello\n"), p->bwrap, "--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr", "--ro-bind",
             p->hello, "/hello", "--tmpfs", "/tmp", "--proc", "/proc", "--dev", "/dev", "/hello");
        add_crun(g, p, o, p->static_bundle, "hello\n");
}

static void set_up_python(struct bench_group *g, const struct bench_paths *p, const struct bench_options *o,
                          const struct bench_places *at) {
        *g = (struct bench_group){ .title = "python3 -c 'print(1)'", .rounds = o->rounds };
        ARGV(add(g, "plain (posix_spawn)", "1\n"), "/usr/bin/python3", "-c", "print(1)");
        (void)add_library(g, "retort, library", at->languages, "python", "print(1)", "1\n");
        add_library(g, "retort, nothing warm", at->cold, "python", "print(1)", "1\n")->stays_cold = true;
        add_command(g, p, p->env_languages, "python", "print(1)", "1\n");
        struct bench_contender *http = add(g, "retort, HTTP", "1\n");
        http->run = bench_run_http;
        http->is_retort = true;
        http->http = at->http;
        if (!http->http)
                (void)bench_fail(http, "retortd did not start");
        ARGV(add_bwrap(g, p, "1\n"), p->bwrap, "--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin",
             "/bin", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--tmpfs", "/tmp", "--proc", "/proc", "--dev",
             "/dev", "/usr/bin/python3", "-c", "print(1)");
        add_crun(g, p, o, p->python_bundle, "1\n");
        static const char *const words[][2] = { { "cell", "ipykernel, a cell" }, { "start", "ipykernel, start" } };
        for (size_t i = 0; i < RT_LEN(words); i++) {
                struct bench_contender *kernel = add(g, words[i][1], "1\n");
                kernel->run = bench_run_jupyter;
                kernel->jupyter = at->jupyter;
                kernel->word = words[i][0];
                kernel->every = i == 0 ? 0 : 20; /* a second each */
                if (!kernel->jupyter)
                        (void)bench_fail(kernel, "jupyter.py did not start");
        }
        check_installed(g, "python");
}

/* Interpreters: plain, and Retort warm and cold. */
static void set_up_interpreter(struct bench_group *g, const struct bench_paths *p, const struct bench_options *o,
                               const struct bench_places *at, const char *title, const char *program, const char *option,
                               const char *language, const char *code) {
        *g = (struct bench_group){ .title = title, .rounds = o->slow_rounds };
        struct bench_contender *plain = add(g, "plain (posix_spawn)", "1\n");
        ARGV(plain, program, option, code);
        plain->env[1] = p->env_home; /* where matplotlib keeps what it found about fonts */
        (void)add_library(g, "retort, library", at->languages, language, code, "1\n");
        add_library(g, "retort, nothing warm", at->cold, language, code, "1\n")->stays_cold = true;
        check_installed(g, language);
}

/* Compilers: a source that is new each time, and one that was seen before. Plain has no cache, so it does not matter there. */
static struct bench_contender *set_up_compiler(struct bench_group *g, const struct bench_options *o, const struct bench_places *at,
                                               const char *title, const char *language, const char *code) {
        *g = (struct bench_group){ .title = title, .rounds = o->slow_rounds };
        struct bench_contender *plain = add(g, "plain, compile and run", "1\n");
        add_library(g, "retort, library", at->languages, language, code, "1\n")->renew = true;
        (void)add_library(g, "retort, same source again", at->languages, language, code, "1\n");
        struct bench_contender *cold = add_library(g, "retort, nothing warm", at->cold, language, code, "1\n");
        cold->renew = cold->stays_cold = true;
        return plain;
}

static void set_up_compilers(struct bench_group groups[BENCH_GROUPS], const struct bench_options *o, const struct bench_places *at) {
        static char source[3][512], program[3][512];
        struct bench_contender *java = set_up_compiler(&groups[BENCH_JAVA], o, at, "Java from source: javac + java", "java", JAVA);
        COMPILE(java, "/usr/bin/javac", "-d", o->scratch, put(o, "Main.java", JAVA, source[0]));
        ARGV(java, "/usr/bin/java", "-cp", o->scratch, "Main");
        check_installed(&groups[BENCH_JAVA], "java");
        struct bench_contender *c = set_up_compiler(&groups[BENCH_C], o, at, "C from source: gcc + run", "c", C);
        COMPILE(c, "/usr/bin/gcc", "-O2", "-o", put(o, "hello-c", NULL, program[1]), put(o, "hello.c", C, source[1]));
        ARGV(c, program[1]);
        check_installed(&groups[BENCH_C], "c");
        struct bench_contender *cpp = set_up_compiler(&groups[BENCH_CPP], o, at, "C++ from source, bits/stdc++.h: g++ + run", "cpp", CPP);
        COMPILE(cpp, "/usr/bin/g++", "-O2", "-o", put(o, "hello-cpp", NULL, program[2]), put(o, "hello.cpp", CPP, source[2]));
        ARGV(cpp, program[2]);
        check_installed(&groups[BENCH_CPP], "cpp");
}

void bench_set_up_groups(struct bench_group groups[BENCH_GROUPS], const struct bench_paths *p, const struct bench_options *o,
                         const struct bench_places *at) {
        set_up_static(&groups[BENCH_STATIC], p, o, at);
        set_up_python(&groups[BENCH_PYTHON], p, o, at);
        set_up_interpreter(&groups[BENCH_PANDAS], p, o, at, "python3 -c '" PANDAS "'", "/usr/bin/python3", "-c", "python", PANDAS);
        set_up_interpreter(&groups[BENCH_NODE], p, o, at, "node -e 'console.log(1)'", "/usr/bin/node", "-e", "javascript", "console.log(1)");
        set_up_interpreter(&groups[BENCH_R], p, o, at, "Rscript -e 'cat(\"1\\n\")'", "/usr/bin/Rscript", "-e", "r", "cat(\"1\\n\")");
        set_up_interpreter(&groups[BENCH_RUBY], p, o, at, "ruby -e 'puts 1'", "/usr/bin/ruby", "-e", "ruby", "puts 1");
        set_up_interpreter(&groups[BENCH_PHP], p, o, at, "php -r 'echo \"1\\n\";'", "/usr/bin/php", "-r", "php", "<?php echo \"1\\n\";");
        ARGV(&groups[BENCH_PHP].contenders[0], "/usr/bin/php", "-r", "echo \"1\\n\";");
        set_up_compilers(groups, o, at);
}
