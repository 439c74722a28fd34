/* SPDX-License-Identifier: Apache-2.0
 *
 * What compiling costs, side by side in one run: the compiler and then the program, started plainly; Retort, compiling; and
 * Retort again, from its cache. Each once a round, in an order drawn anew. Timed is from asking until the complete output and
 * the exit status are known. CPU is that of all processes; on a busy machine its ratio says more than the wall clock's.
 *
 *   retort-bench-compile BUILD [ROUNDS [SLOW-ROUNDS]]
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "retort.h"

enum { MOST_ROUNDS = 1000, PAUSE_US = 10000 };
enum way { PLAIN, PROGRAM, FRESH, CACHED, WAYS };

static const char *const ways[WAYS] = { "plain: compiler, then program", "plain: the program alone", "retort: compiled",
                                        "retort: again, from the cache" };

struct group {
        const char *title;
        const char *language;
        const char *file;
        const char *code;
        const char *compiler[10]; /* as the runtime's, without what makes it faster */
        const char *program[5];
        bool slow;
        uint64_t wall[WAYS][MOST_ROUNDS];
        uint64_t cpu[WAYS][MOST_ROUNDS];
        unsigned n;
        double aims[WAYS]; /* at most this part of the first; 0: none */
};

static struct group groups[] = {
        { .title = "C, hello", .language = "c", .file = "hello.c",
          .code = "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }\n",
          .compiler = { "/usr/bin/gcc", "-std=gnu17", "-O2", "-Wall", "-o", "program", "hello.c", "-lm" },
          .program = { "./program" }, .aims = { [FRESH] = 0.6 } },
        { .title = "C++, <iostream>", .language = "cpp", .file = "hello.cpp", .slow = true,
          .code = "#include <iostream>\nint main() { std::cout << \"hello\\n\"; }\n",
          .compiler = { "/usr/bin/g++", "-std=gnu++17", "-O2", "-Wall", "-o", "program", "hello.cpp" },
          .program = { "./program" } },
        { .title = "C++, <bits/stdc++.h>", .language = "cpp", .file = "hello.cpp", .slow = true,
          .code = "#include <bits/stdc++.h>\nusing namespace std;\nint main() {\n  vector<int> v{3, 1, 2};\n"
                  "  sort(v.begin(), v.end());\n  map<string, int> m;\n  for (int x : v) m[to_string(x)] = x;\n"
                  "  if (m.size() == 3) cout << \"hello\\n\";\n}\n",
          .compiler = { "/usr/bin/g++", "-std=gnu++17", "-O2", "-Wall", "-o", "program", "hello.cpp" },
          .program = { "./program" }, .aims = { [FRESH] = 0.35 } },
        { .title = "C++, no header of C++", .language = "cpp", .file = "hello.cpp",
          .code = "#include <cstdio>\nint main() { std::puts(\"hello\"); }\n",
          .compiler = { "/usr/bin/g++", "-std=gnu++17", "-O2", "-Wall", "-o", "program", "hello.cpp" },
          .program = { "./program" } },
        { .title = "Java, hello", .language = "java", .file = "Main.java", .slow = true,
          .code = "public class Main { public static void main(String[] a) { System.out.println(\"hello\"); } }\n",
          .compiler = { "/usr/bin/javac", "Main.java" }, .program = { "/usr/bin/java", "-cp", ".", "Main" } },
};

static void die(const char *what, const char *why) {
        fprintf(stderr, "retort-bench-compile: %s: %s\n", what, why);
        exit(1);
}

/* ---- plain ---- */

static uint64_t cpu_of(const struct rusage *u) {
        return (uint64_t)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1000000000u +
               (uint64_t)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) * 1000u;
}

/* Runs it in the current directory; returns its CPU time. */
static uint64_t run_plain(const char *const *argv, const char *expected) {
        char text[64] = "";
        int ends[2], status = 0;
        size_t used = 0;
        struct rusage usage;
        static char *const env[] = { "PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", NULL };
        posix_spawn_file_actions_t actions;
        pid_t pid = -1;
        if (pipe2(ends, O_CLOEXEC) < 0 || posix_spawn_file_actions_init(&actions) != 0)
                die(argv[0], strerror(errno));
        (void)posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
        int failed = posix_spawn(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, env);
        (void)posix_spawn_file_actions_destroy(&actions);
        if (failed)
                die(argv[0], strerror(failed));
        (void)rt_close(ends[1]);
        for (ssize_t n; used < sizeof text - 1 && (n = read(ends[0], text + used, sizeof text - 1 - used)) > 0;)
                used += (size_t)n;
        (void)rt_close(ends[0]);
        if (wait4(pid, &status, 0, &usage) != pid || status != 0 || strcmp(text, expected) != 0)
                die(argv[0], "did not do what it should");
        return cpu_of(&usage);
}

/* ---- Retort ---- */

/* Returns the CPU time; *ret_cached says what became of the compile step. */
static uint64_t run_retort(retort_engine *engine, const struct group *g, bool fresh, bool *ret_cached) {
        const struct retort_file file = { g->file, { g->code, strlen(g->code) } };
        struct retort_request request = { .language = g->language, .files = &file, .n_files = 1, .compile_fresh = fresh };
        struct retort_outcome *o = NULL;
        struct retort_error err = { 0 };
        if (retort_run_wait(engine, &request, NULL, NULL, &o, &err) < 0)
                die(g->title, err.message);
        if (o->status != RETORT_OK || o->stdout_data.size != 6 || memcmp(o->stdout_data.data, "hello\n", 6) != 0)
                die(g->title, retort_status_name(o->status));
        *ret_cached = o->steps[0].cached;
        uint64_t cpu = o->usage.cpu_ns;
        retort_outcome_free(o);
        return cpu;
}

/* Until what the compiler reads is watched, and the program is kept. */
static void warm(retort_engine *engine, const struct group *g) {
        bool cached = false;
        for (int i = 0; i < 20 && !cached; i++) {
                (void)run_retort(engine, g, false, &cached);
                (void)usleep(200000);
        }
        if (!cached)
                die(g->title, "is never cached");
}

/* ---- rounds ---- */

static void measure(retort_engine *engine, struct group *g, enum way way) {
        bool cached = false;
        uint64_t cpu = 0;
        uint64_t begun = rt_now_ns();
        if (way == PLAIN)
                cpu = run_plain(g->compiler, "");
        if (way == PLAIN || way == PROGRAM)
                cpu += run_plain(g->program, "hello\n");
        else
                cpu = run_retort(engine, g, way == FRESH, &cached);
        g->wall[way][g->n] = rt_now_ns() - begun;
        g->cpu[way][g->n] = cpu;
        if (cached != (way == CACHED))
                die(g->title, "the cache did what it should not");
        (void)usleep(PAUSE_US);
}

static void measure_group(retort_engine *engine, struct group *g, unsigned rounds, unsigned *seed) {
        FILE *source = fopen(g->file, "we");
        if (!source || fputs(g->code, source) < 0 || fclose(source) != 0)
                die(g->file, strerror(errno));
        (void)run_plain(g->compiler, "");
        warm(engine, g);
        for (g->n = 0; g->n < rounds; g->n++) {
                enum way order[WAYS] = { PLAIN, PROGRAM, FRESH, CACHED };
                for (unsigned i = WAYS; i > 1; i--) {
                        unsigned j = (unsigned)rand_r(seed) % i;
                        enum way kept = order[i - 1];
                        order[i - 1] = order[j];
                        order[j] = kept;
                }
                for (unsigned i = 0; i < WAYS; i++)
                        measure(engine, g, order[i]);
        }
}

/* ---- the table ---- */

static int compare(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
        return (x > y) - (x < y);
}

static double at(uint64_t *values, unsigned n, double part) {
        qsort(values, n, sizeof *values, compare);
        return (double)values[(size_t)(part * (n - 1) + 0.5)] / 1e6;
}

static void print_group(struct group *g) {
        double plain = 0, plain_cpu = 0;
        printf("\n### %s\n\n| ms                             |   n | median |    p90 |    min | ratio |    CPU | ratio |\n"
               "|:-------------------------------|----:|-------:|-------:|-------:|------:|-------:|------:|\n", g->title);
        for (unsigned way = 0; way < WAYS; way++) {
                double median = at(g->wall[way], g->n, 0.5), cpu = at(g->cpu[way], g->n, 0.5);
                plain = way == PLAIN ? median : plain;
                plain_cpu = way == PLAIN ? cpu : plain_cpu;
                printf("| %-30s | %3u | %6.1f | %6.1f | %6.1f | %5.3f | %6.1f | %5.3f |\n", ways[way], g->n, median,
                       at(g->wall[way], g->n, 0.9), at(g->wall[way], g->n, 0), median / plain, cpu, cpu / plain_cpu);
        }
        double again = at(g->wall[CACHED], g->n, 0.5), alone = at(g->wall[PROGRAM], g->n, 0.5);
        double ratio = at(g->wall[FRESH], g->n, 0.5) / plain;
        printf("\n");
        if (g->aims[FRESH] > 0)
                printf("- compiled: at most %.2f of plain: %.3f: %s\n", g->aims[FRESH], ratio, ratio <= g->aims[FRESH] ? "reached" : "NOT reached");
        if (strcmp(g->language, "java") != 0)
                printf("- again: at most 5 ms: %.2f: %s\n", again, again <= 5 ? "reached" : "NOT reached");
        printf("- a compiled program in a cold box: at most 1 ms more than plain: %+.2f: %s\n", again - alone,
               again - alone <= 1 ? "reached" : "NOT reached");
}

static unsigned number(const char *text) {
        unsigned long value = strtoul(text, NULL, 10);
        return value < 1 ? 1 : value > MOST_ROUNDS ? MOST_ROUNDS : (unsigned)value;
}

int main(int argc, char **argv) {
        char runtimes[1024], libexec[1024], scratch[] = "/tmp/retort-bench-compile-XXXXXX";
        unsigned rounds = argc > 2 ? number(argv[2]) : 40, slow = argc > 3 ? number(argv[3]) : 15, seed = 1;
        struct retort_error err = { 0 };
        retort_engine *engine = NULL;
        if (argc < 2)
                die("usage", "retort-bench-compile BUILD [ROUNDS [SLOW-ROUNDS]]");
        (void)snprintf(runtimes, sizeof runtimes, "%s/runtimes", argv[1]);
        (void)snprintf(libexec, sizeof libexec, "%s/src/bin", argv[1]);
        struct retort_config config = { .runtimes_dir = runtimes, .libexec_dir = libexec };
        if (retort_engine_open(&engine, &config, &err) < 0)
                die("opening the engine", err.message);
        if (!mkdtemp(scratch) || chdir(scratch) < 0)
                die(scratch, strerror(errno));
        for (size_t i = 0; i < RT_LEN(groups); i++) {
                if (access(groups[i].compiler[0], X_OK) == 0) {
                        measure_group(engine, &groups[i], groups[i].slow ? slow : rounds, &seed);
                        print_group(&groups[i]);
                } else {
                        printf("\n### %s: %s is not installed\n", groups[i].title, groups[i].compiler[0]);
                }
                (void)fflush(stdout);
                (void)unlink(groups[i].file);
                (void)unlink("program");
                (void)unlink("Main.class");
        }
        retort_engine_close(engine);
        (void)chdir("/");
        (void)rmdir(scratch);
        return 0;
}
