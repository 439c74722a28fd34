/* SPDX-License-Identifier: Apache-2.0
 *
 * What was measured, as Markdown whose tables are padded to be read as they are.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>

#include "base/util.h"
#include "bench.h"

enum { AIM_US = 2000 };

static double ms(uint64_t ns) {
        return (double)ns / 1e6;
}

/* ---- the machine ---- */

static void cpu_model(char *ret, size_t size) {
        char line[256];
        FILE *file = fopen("/proc/cpuinfo", "re");
        (void)snprintf(ret, size, "unknown CPU");
        while (file && fgets(line, sizeof line, file))
                if (strncmp(line, "model name", 10) == 0 && strchr(line, ':')) {
                        line[strcspn(line, "\n")] = 0;
                        (void)snprintf(ret, size, "%s", strchr(line, ':') + 2);
                        break;
                }
        if (file)
                (void)fclose(file);
}

void bench_print_load(FILE *out, const char *when) {
        double load[3] = { 0 };
        (void)getloadavg(load, 3);
        fprintf(out, "- load average %s: %.2f %.2f %.2f\n", when, load[0], load[1], load[2]);
}

void bench_print_machine(FILE *out) {
        static const char *const tools[][2] = { { "bwrap", "--version" }, { "crun", "--version" },
                                                { "python3", "--version" }, { "node", "--version" } };
        struct utsname host;
        char text[256], date[32], program[64];
        time_t now = time(NULL);
        struct tm when;
        (void)uname(&host);
        (void)strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", gmtime_r(&now, &when));
        cpu_model(text, sizeof text);
        fprintf(out, "- date: %s\n- machine: %s, %d cores, %s %s\n", date, text, get_nprocs(), host.sysname, host.release);
        fprintf(out, "- retort %s, built as %s\n", RETORT_VERSION, BENCH_BUILD_TYPE);
        for (size_t i = 0; i < RT_LEN(tools); i++) {
                bool found = bench_find(tools[i][0], program);
                if (found)
                        bench_first_line(program, tools[i][1], text, sizeof text);
                fprintf(out, "- %s: %s\n", tools[i][0], found ? text : "not installed");
        }
}

/* ---- tables ---- */

static void print_contender(FILE *out, struct bench_contender *c, uint64_t plain) {
        if (c->wall.n == 0) {
                fprintf(out, "| %-32s | skipped: %s |\n", c->name, c->why[0] ? c->why : "nothing measured");
                return;
        }
        uint64_t median = bench_at(&c->wall, 0.5);
        char cpu[16] = "", more[16] = "", ratio[16] = "";
        if (c->cpu.n > 0)
                (void)snprintf(cpu, sizeof cpu, "%.2f", ms(bench_at(&c->cpu, 0.5)));
        if (plain) {
                (void)snprintf(more, sizeof more, "%+.2f", ms(median) - ms(plain));
                (void)snprintf(ratio, sizeof ratio, "%.2f", (double)median / (double)plain);
        }
        fprintf(out, "| %-32s | %5zu | %8.2f | %8.2f | %8.2f | %8.2f | %8s | %6s | %8s |\n", c->name, c->wall.n, ms(median),
                ms(bench_at(&c->wall, 0.9)), ms(bench_at(&c->wall, 0.99)), ms(bench_at(&c->wall, 0)), more, ratio, cpu);
        if (c->why[0])
                fprintf(out, "| %-32s | stopped early: %s |\n", "", c->why);
}

void bench_print_group(FILE *out, struct bench_group *g) {
        fprintf(out, "\n## %s\n\n", g->title);
        fprintf(out, "| %-32s | %5s | %8s | %8s | %8s | %8s | %8s | %6s | %8s |\n", "ms", "n", "median", "p90", "p99", "min",
                "- plain", "ratio", "CPU");
        fprintf(out, "|:---------------------------------|------:|---------:|---------:|---------:|---------:|---------:|-------:|---------:|\n");
        uint64_t plain = bench_at(&g->contenders[0].wall, 0.5);
        for (size_t i = 0; i < g->n; i++)
                print_contender(out, &g->contenders[i], plain);
}

static void print_cost(FILE *out, const char *name, struct bench_samples *s) {
        fprintf(out, "| %-32s | %5zu | %8.2f | %8.2f | %8.2f | %8.2f |\n", name, s->n, ms(bench_at(s, 0.5)), ms(bench_at(s, 0.9)),
                ms(bench_at(s, 0.99)), ms(bench_at(s, 0)));
}

void bench_print_costs(FILE *out, struct bench_engine *engine, struct bench_slot *slot) {
        fprintf(out, "\n## Beside the runs\n\n| %-32s | %5s | %8s | %8s | %8s | %8s |\n", "ms", "n", "median", "p90", "p99", "min");
        fprintf(out, "|:---------------------------------|------:|---------:|---------:|---------:|---------:|\n");
        print_cost(out, "engine: open", &engine->open);
        print_cost(out, "engine: open, then first outcome", &engine->warm);
        print_cost(out, "engine: close", &engine->close);
        print_cost(out, "slot: make", &slot->make);
        print_cost(out, "slot: recycle", &slot->recycle);
}

void bench_print_flows(FILE *out, const struct bench_flow *flows, size_t n) {
        fprintf(out, "\n## Throughput of the library, the static program\n\n");
        fprintf(out, "| %7s | %8s | %20s | %6s |\n|--------:|---------:|---------------------:|-------:|\n", "threads", "runs/s",
                "CPU ms/run, all of it", "failed");
        for (size_t i = 0; i < n; i++)
                if (flows[i].runs_per_second > 0)
                        fprintf(out, "| %7u | %8.0f | %20.2f | %6u |\n", flows[i].threads, flows[i].runs_per_second,
                                flows[i].cpu_ms_per_run, flows[i].failed);
}

void bench_print_memory(FILE *out, const struct bench_memory *m) {
        fprintf(out, "\n## Memory of an idle engine\n\n");
        if (m->n == 0)
                fprintf(out, "skipped: the kernel does not tell this user\n");
        else
                bench_print_memory_rows(out, m);
}

void bench_print_memory_rows(FILE *out, const struct bench_memory *m) {
        uint64_t rss = 0, pss = 0;
        fprintf(out, "| %-16s | %9s | %8s | %8s |\n|:-----------------|----------:|---------:|---------:|\n", "KiB", "processes",
                "RSS", "PSS");
        for (unsigned i = 0; i < m->n; i++) {
                fprintf(out, "| %-16s | %9u | %8ju | %8ju |\n", m->kinds[i].name, m->kinds[i].processes,
                        (uintmax_t)m->kinds[i].rss_bytes / 1024, (uintmax_t)m->kinds[i].pss_bytes / 1024);
                rss += m->kinds[i].rss_bytes;
                pss += m->kinds[i].pss_bytes;
        }
        fprintf(out, "| %-16s | %9s | %8ju | %8ju |\n", "together", "", (uintmax_t)rss / 1024, (uintmax_t)pss / 1024);
}

/* ---- aims ---- */

static struct bench_contender *find(struct bench_group *g, int (*run)(struct bench_contender *, uint64_t *, uint64_t *)) {
        for (size_t i = 0; i < g->n; i++)
                if (g->contenders[i].run == run && g->contenders[i].wall.n > 0)
                        return &g->contenders[i];
        return NULL;
}

void bench_print_aims(FILE *out, struct bench_group *g) {
        struct bench_contender *library = find(g, bench_run_library);
        fprintf(out, "\n## Aims\n\n");
        if (!library || g->contenders[0].wall.n == 0) {
                fprintf(out, "not measured\n");
                return;
        }
        uint64_t median = bench_at(&library->wall, 0.5);
        double more_us = ((double)median - (double)bench_at(&g->contenders[0].wall, 0.5)) / 1e3;
        bool strong = strcmp(bench_level, "strong") == 0;
        fprintf(out, "- Retort (library, isolation `strong`) adds at most %d us to the plain program's median: %+.0f us, isolation `%s`: %s\n",
                AIM_US, more_us, bench_level, strong && more_us <= AIM_US ? "reached" : "NOT reached");
        const struct bench_contender *best = NULL;
        uint64_t best_ns = UINT64_MAX;
        for (size_t i = 0; i < g->n; i++) {
                struct bench_contender *c = &g->contenders[i];
                if (c->is_sandbox && c->wall.n > 0 && bench_at(&c->wall, 0.5) < best_ns) {
                        best = c;
                        best_ns = bench_at(&c->wall, 0.5);
                }
        }
        if (best)
                fprintf(out, "- Retort is the fastest of the sandboxes: %.2f ms, the best other is %s with %.2f ms: %s\n", ms(median),
                        best->name, ms(best_ns), median < best_ns ? "reached" : "NOT reached");
        else
                fprintf(out, "- Retort is the fastest of the sandboxes: no other could be measured\n");
}
