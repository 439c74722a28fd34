/* SPDX-License-Identifier: Apache-2.0
 *
 * The measuring program of contexts: what it costs to open one, to run a cell in it, to copy it and to keep it, in every language
 * that has them; through the library, over HTTP, and beside an ipykernel over ZeroMQ, all in one run of this program.
 */
#include <getopt.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../server/server.h"
#include "base/fd.h"
#include "base/util.h"
#include "retort-context.h"

enum { WARM_MS = 120000, HELD = 500, FEW = 4, MANY = 24, HEAP_MB = 200, SETTLE_MS = 1500, MAX_LANGUAGES = 24 };
enum { AIM_FIRST_US = 10000, AIM_CELL_US = 1000, AIM_FORK_US = 20000, AIM_PRIVATE_KIB = 5 * 1024 };

volatile sig_atomic_t bench_stopped;

struct options {
        const char *build, *runtimes, *scratch, *source, *write;
        unsigned rounds, cells;
};

/* A language, and the cell that does nothing to speak of. */
struct language {
        const char *name, *cell, *text;
        bool can_warm;
        struct rt_samples open, first, cell_took;
        char start[16], why[200];
};

struct measured {
        struct options o;
        FILE *out;
        retort_engine *engine;
        struct served server;
        struct bench_jupyter *jupyter;
        struct language languages[MAX_LANGUAGES];
        struct rt_samples http_cell, http_run, kernel_start, kernel_cell, fork_took, beside_large;
        double private_kib, pss_kib, held_s, held_private_kib;
        struct rt_samples held_cell;
        unsigned held;
        uint64_t large_ns;
        bool large_whole;
};

static double ms(uint64_t ns) {
        return (double)ns / 1e6;
}

static void pause_ms(unsigned n) {
        (void)usleep(n * 1000);
}

/* ---- one context ---- */

static bool opened(struct measured *m, const char *language, retort_context **ret, struct rt_samples *took, char why[200]) {
        const struct retort_context_options options = { .language = language };
        struct retort_error err = { 0 };
        uint64_t begun = rt_now_ns();
        int r = retort_context_open(m->engine, &options, ret, &err);
        if (r == 0 && took)
                rt_samples_add(took, rt_now_ns() - begun);
        if (r < 0)
                (void)snprintf(why, 200, "%.199s", err.message);
        return r == 0;
}

static bool cell(retort_context *context, const char *code, struct rt_samples *took, char start[16], char why[200]) {
        const struct retort_cell what = { .code = { code, strlen(code) }, .wall_ms = 60000 };
        struct retort_outcome *o = NULL;
        struct retort_error err = { 0 };
        uint64_t begun = rt_now_ns();
        int r = retort_context_run(context, &what, NULL, NULL, &o, &err);
        uint64_t ns = rt_now_ns() - begun;
        bool good = r == 0 && o->status == RETORT_OK;
        if (good && took)
                rt_samples_add(took, ns);
        if (r == 0 && start)
                (void)snprintf(start, 16, "%.15s", o->start);
        if (!good)
                (void)snprintf(why, 200, "%.150s", r < 0 ? err.message : o->error.value ? o->error.value : retort_status_name(o->status));
        if (r == 0)
                retort_outcome_free(o);
        return good;
}

static void measure_language(struct measured *m, struct language *l) {
        char word[64];
        struct retort_error err = { 0 };
        (void)snprintf(word, sizeof word, "%.40s/context", l->name);
        l->can_warm = retort_engine_warm(m->engine, word, WARM_MS, &err) == 0;
        for (unsigned i = 0; i < m->o.rounds && !bench_stopped && !l->why[0]; i++) {
                retort_context *context = NULL;
                pause_ms(50); /* a box is made ready again */
                if (!opened(m, l->name, &context, &l->open, l->why))
                        break;
                (void)cell(context, l->cell, &l->first, l->start, l->why);
                for (unsigned k = 0; k < m->o.cells / m->o.rounds && !l->why[0]; k++)
                        (void)cell(context, l->cell, &l->cell_took, NULL, l->why);
                retort_context_close(context);
        }
}

/* ---- copies, memory, many ---- */

static void measure_forks(struct measured *m) {
        static const char heap[] = "heap = bytearray(200 << 20)\nfor i in range(0, len(heap), 4096): heap[i] = 1\n";
        char why[200] = "";
        retort_context *context = NULL;
        const struct retort_context_options options = { .language = "python", .limits = { .memory_bytes = 2048ull << 20 } };
        if (retort_context_open(m->engine, &options, &context, NULL) < 0)
                return;
        (void)cell(context, heap, NULL, NULL, why);
        for (unsigned i = 0; i < m->o.rounds && !bench_stopped && !why[0]; i++) {
                retort_context *copy = NULL;
                struct retort_error err = { 0 };
                uint64_t begun = rt_now_ns();
                if (retort_context_fork(context, &copy, &err) < 0) {
                        (void)snprintf(why, sizeof why, "%.199s", err.message);
                        break;
                }
                rt_samples_add(&m->fork_took, rt_now_ns() - begun);
                (void)cell(copy, "len(heap)", NULL, NULL, why);
                retort_context_close(copy);
        }
        retort_context_close(context);
        if (why[0])
                fprintf(stderr, "retort-bench-contexts: copies: %s\n", why);
}

static void memory_now(double *ret_private, double *ret_pss) {
        struct rt_bench_memory memory;
        pause_ms(SETTLE_MS);
        *ret_private = *ret_pss = 0;
        if (rt_bench_memory(&memory)) {
                *ret_private = (double)memory.private_bytes / 1024;
                *ret_pss = (double)memory.pss_bytes / 1024;
        }
}

/* With many and with few, each after a cell: the difference, shared out. */
static void measure_memory(struct measured *m) {
        retort_context *contexts[MANY] = { 0 };
        double private_few = 0, pss_few = 0, private_many = 0, pss_many = 0;
        char why[200] = "";
        for (unsigned i = 0; i < MANY && !bench_stopped && !why[0]; i++) {
                if (i == FEW)
                        memory_now(&private_few, &pss_few);
                if (opened(m, "python", &contexts[i], NULL, why))
                        (void)cell(contexts[i], "1+1", NULL, NULL, why);
        }
        memory_now(&private_many, &pss_many);
        m->private_kib = (private_many - private_few) / (MANY - FEW);
        m->pss_kib = (pss_many - pss_few) / (MANY - FEW);
        for (unsigned i = 0; i < MANY; i++)
                retort_context_close(contexts[i]);
}

static void measure_held(struct measured *m) {
        static retort_context *contexts[HELD];
        double before, after, unused;
        char why[200] = "";
        memory_now(&before, &unused);
        uint64_t begun = rt_now_ns();
        while (m->held < HELD && !bench_stopped && opened(m, "python", &contexts[m->held], NULL, why))
                m->held++;
        m->held_s = (double)(rt_now_ns() - begun) / 1e9;
        for (unsigned i = 0; i < m->held && !bench_stopped && !why[0]; i++)
                (void)cell(contexts[i], "1+1", &m->held_cell, NULL, why);
        memory_now(&after, &unused);
        m->held_private_kib = m->held ? (after - before) / m->held : 0;
        for (unsigned i = 0; i < m->held; i++)
                retort_context_close(contexts[i]);
        if (why[0])
                fprintf(stderr, "retort-bench-contexts: %u held: %s\n", m->held, why);
}

/* ---- over HTTP ---- */

static bool id_of(const char *answer, char ret[64]) {
        const char *at = strstr(answer, "\"id\":\"");
        (void)snprintf(ret, 64, "%.*s", at ? (int)strcspn(at + 6, "\"") : 0, at ? at + 6 : "");
        return at;
}

static void measure_http(struct measured *m) {
        static char answer[65536];
        char id[64], path[128];
        int fd = -1;
        if (served_start(&m->server, m->o.build, m->o.runtimes, m->o.scratch, (const char *const[]){ NULL }) < 0)
                return;
        rt_auto_free char *open = served_request(&m->server, "/v1/contexts", "{\"language\":\"python\"}");
        if (ask_once(m->server.port, open, answer, sizeof answer) && id_of(answer, id)) {
                (void)snprintf(path, sizeof path, "/v1/contexts/%s/cells", id);
                rt_auto_free char *one = served_request(&m->server, path, "{\"code\":\"1+1\"}");
                for (unsigned i = 0; i < m->o.cells && !bench_stopped; i++) {
                        uint64_t begun = rt_now_ns();
                        if (!ask_kept(&fd, m->server.port, one, "\"text\":\"2\"", NULL))
                                break;
                        if (i >= 10)
                                rt_samples_add(&m->http_cell, rt_now_ns() - begun);
                }
        }
        (void)rt_close(fd);
        served_stop(&m->server);
}

/* ---- beside ipykernel ---- */

static void kernel(struct measured *m, const char *word, struct rt_samples *samples) {
        struct bench_contender c = { .name = "ipykernel", .jupyter = m->jupyter, .word = word };
        struct bench_took took = { 0 };
        if (m->jupyter && bench_run_jupyter(&c, &took) == 0)
                rt_samples_add(samples, took.wall_ns);
}

static void measure_kernel(struct measured *m) {
        char script[1024];
        (void)snprintf(script, sizeof script, "%s/jupyter.py", m->o.source);
        m->jupyter = bench_jupyter_open(script);
        for (unsigned i = 0; i < m->o.cells / 2 && !bench_stopped; i++)
                kernel(m, "cell", &m->kernel_cell);
        for (unsigned i = 0; i < m->o.rounds / 2 && !bench_stopped; i++)
                kernel(m, "start", &m->kernel_start);
        bench_jupyter_close(m->jupyter);
}

/* ---- a large result ---- */

struct large {
        retort_context *context;
        struct measured *m;
};

static void *make_large(void *argument) {
        struct large *l = argument;
        static const char code[] = "from IPython.display import publish_display_data\n"
                                   "publish_display_data({'image/png': 'A' * (20 << 20) , 'text/html': 'h' * (5 << 20)})\n";
        const struct retort_cell what = { .code = { code, strlen(code) }, .wall_ms = 60000 };
        struct retort_outcome *o = NULL;
        uint64_t begun = rt_now_ns();
        if (retort_context_run(l->context, &what, NULL, NULL, &o, NULL) == 0) {
                l->m->large_whole = o->n_items == 1 && o->items[0].png && strlen(o->items[0].png) == 20u << 20 && o->items[0].html &&
                                    strlen(o->items[0].html) == 5u << 20;
                retort_outcome_free(o);
        }
        l->m->large_ns = rt_now_ns() - begun;
        return NULL;
}

static void measure_large(struct measured *m) {
        char why[200] = "";
        pthread_t thread;
        struct large l = { .m = m };
        retort_context *other = NULL;
        if (opened(m, "python", &l.context, NULL, why) && opened(m, "python", &other, NULL, why) &&
            cell(l.context, "1", NULL, NULL, why) && cell(other, "1", NULL, NULL, why) && pthread_create(&thread, NULL, make_large, &l) == 0) {
                while (!m->large_ns && !bench_stopped && !why[0])
                        (void)cell(other, "1+1", &m->beside_large, NULL, why);
                (void)pthread_join(thread, NULL);
        }
        retort_context_close(other);
        retort_context_close(l.context);
}

/* ---- the report ---- */

static void row(FILE *out, const char *name, struct rt_samples *s) {
        if (s->n)
                fprintf(out, "| %-44s | %5zu | %8.3f | %8.3f | %8.3f | %8.3f |\n", name, s->n, ms(rt_samples_at(s, 0.5)), ms(rt_samples_at(s, 0.9)),
                        ms(rt_samples_at(s, 0.99)), ms(rt_samples_at(s, 0)));
}

static void aim(FILE *out, const char *what, double measured, double most, const char *unit) {
        fprintf(out, "- %s: at most %g %s: %.3g %s: %s\n", what, most, unit, measured, unit, measured > 0 && measured <= most ? "reached" : "NOT reached");
}

static void print_report(struct measured *m) {
        FILE *out = m->out;
        fprintf(out, "| ms                                           |     n |   median |      p90 |      p99 |      min |\n"
                     "|:---------------------------------------------|------:|---------:|---------:|---------:|---------:|\n");
        for (struct language *l = m->languages; l->name; l++) {
                char name[80];
                (void)snprintf(name, sizeof name, "%s: open (%s)", l->name, l->start);
                row(out, name, &l->open);
                (void)snprintf(name, sizeof name, "%s: first cell", l->name);
                row(out, name, &l->first);
                (void)snprintf(name, sizeof name, "%s: every cell after it", l->name);
                row(out, name, &l->cell_took);
        }
        row(out, "python: every cell, over HTTP", &m->http_cell);
        row(out, "python: a copy of 200 MB of heap", &m->fork_took);
        row(out, "python: a cell, 500 contexts open", &m->held_cell);
        row(out, "python: a cell while another has 25 MB to show", &m->beside_large);
        row(out, "ipykernel: start", &m->kernel_start);
        row(out, "ipykernel: a cell", &m->kernel_cell);
        for (struct language *l = m->languages; l->name; l++)
                if (l->why[0])
                        fprintf(out, "\n%s: %s\n", l->name, l->why);
        fprintf(out, "\nOne more idle Python context after a cell, all its processes: %.0f KiB private, %.0f KiB PSS (%d against %d). "
                     "%u contexts were opened in %.1f s and held, %.0f KiB private each.\n"
                     "A result of 20 MB (png) and 5 MB (html) in one item: %s after %.0f ms.\n",
                m->private_kib, m->pss_kib, MANY, FEW, m->held, m->held_s, m->held_private_kib, m->large_whole ? "whole" : "NOT whole", ms(m->large_ns));
        struct language *python = m->languages;
        while (python->name && strcmp(python->name, "python") != 0)
                python++;
        fprintf(out, "\n### Aims\n\n");
        aim(out, "First cell of a new Python context when warm, from asking for the context",
            ms(rt_samples_at(&python->open, 0.5) + rt_samples_at(&python->first, 0.5)), AIM_FIRST_US / 1000, "ms");
        aim(out, "Every trivial cell after it, over HTTP, median", ms(rt_samples_at(&m->http_cell, 0.5)), AIM_CELL_US / 1000, "ms");
        aim(out, "A copy of a context with 200 MB of heap, median", ms(rt_samples_at(&m->fork_took, 0.5)), AIM_FORK_US / 1000, "ms");
        aim(out, "Private memory of an idle warm Python context", m->private_kib / 1024, AIM_PRIVATE_KIB / 1024, "MiB");
        fprintf(out, "- 500 idle contexts are held: %u: %s\n", m->held, m->held == HELD ? "reached" : "NOT reached");
}

static void measure(struct measured *m) {
        for (struct language *l = m->languages; l->name; l++)
                measure_language(m, l);
        measure_forks(m);
        measure_memory(m);
        measure_large(m);
        measure_held(m);
        retort_engine_close(rt_take(m->engine));
        measure_http(m);
        measure_kernel(m);
}

/* What can be measured here; each with a cell that the language takes no time for. */
static void choose_languages(struct measured *m) {
        static const struct language known[] = {
                { .name = "python", .cell = "1+1" }, { .name = "javascript", .cell = "1+1" }, { .name = "typescript", .cell = "1+1" },
                { .name = "r", .cell = "1+1" }, { .name = "java", .cell = "1+1" }, { .name = "bash", .cell = ":" },
                { .name = "ipykernel", .cell = "1+1" }, { .name = "irkernel", .cell = "1+1" },
        };
        rt_auto_free char *text = NULL;
        size_t n = 0;
        if (retort_engine_languages(m->engine, &text, NULL) < 0)
                return;
        json_t *all = json_loads(text, 0, NULL);
        for (size_t k = 0; k < RT_LEN(known); k++) {
                size_t i;
                json_t *language;
                json_array_foreach(all, i, language)
                        if (strcmp(json_string_value(json_object_get(language, "name")), known[k].name) == 0 &&
                            json_is_true(json_object_get(language, "installed")) && json_is_object(json_object_get(language, "contexts")))
                                m->languages[n++] = known[k];
        }
        json_decref(all);
}

static void on_interrupt(int number) {
        (void)number;
        bench_stopped = 1;
}

static void raise_descriptors(void) {
        struct rlimit limit;
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                (void)setrlimit(RLIMIT_NOFILE, &limit);
        }
}

static void set_option(struct options *o, int option) {
        switch (option) {
        case 'b': o->build = optarg; break;
        case 't': o->runtimes = optarg; break;
        case 'd': o->scratch = optarg; break;
        case 's': o->source = optarg; break;
        case 'w': o->write = optarg; break;
        case 'n': o->rounds = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'c': o->cells = (unsigned)strtoul(optarg, NULL, 10); break;
        default: o->build = NULL; break;
        }
}

static int open_engine(struct measured *m) {
        char libexec[1024];
        struct retort_error err = { 0 };
        (void)snprintf(libexec, sizeof libexec, "%.1000s/src/bin", m->o.build);
        const struct retort_config config = { .runtimes_dir = m->o.runtimes, .libexec_dir = libexec };
        if (retort_engine_open(&m->engine, &config, &err) == 0)
                return 0;
        fprintf(stderr, "retort-bench-contexts: %s\n", err.message);
        return -1;
}

int main(int argc, char **argv) {
        static const struct option names[] = { { "build", 1, NULL, 'b' },   { "runtimes", 1, NULL, 't' }, { "scratch", 1, NULL, 'd' },
                                               { "source", 1, NULL, 's' },  { "write", 1, NULL, 'w' },    { "rounds", 1, NULL, 'n' },
                                               { "cells", 1, NULL, 'c' },   { NULL, 0, NULL, 0 } };
        struct measured m = { .o = { .rounds = 20, .cells = 500 } };
        char *text = NULL;
        size_t size = 0;
        for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;)
                set_option(&m.o, option);
        if (!m.o.build || !m.o.runtimes || !m.o.scratch || !m.o.source || optind != argc || m.o.rounds == 0) {
                fprintf(stderr, "usage: retort-bench-contexts --build DIR --runtimes DIR --scratch DIR --source DIR [--write FILE] [--rounds N] "
                                "[--cells N]      (bench/run-contexts does it)\n");
                return 2;
        }
        (void)signal(SIGINT, on_interrupt);
        (void)signal(SIGPIPE, SIG_IGN);
        raise_descriptors();
        m.out = open_memstream(&text, &size);
        if (!m.out || open_engine(&m) < 0)
                return 1;
        fprintf(m.out, "\n## Contexts\n\n");
        bench_print_machine(m.out);
        bench_print_load(m.out, "before");
        choose_languages(&m);
        fprintf(m.out, "\n");
        measure(&m);
        print_report(&m);
        bench_print_load(m.out, "after");
        (void)fclose(m.out);
        (void)fputs(text, stdout);
        FILE *file = m.o.write && !bench_stopped ? fopen(m.o.write, "ae") : NULL;
        int r = file && (fputs(text, file) < 0 || fclose(file) != 0);
        free(text);
        served_stop(&m.server);
        return r;
}
