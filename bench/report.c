/* SPDX-License-Identifier: Apache-2.0
 *
 * What was measured, as Markdown whose tables are padded to be read as they are.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "base/util.h"
#include "bench.h"

static double ms(uint64_t ns) {
        return (double)ns / 1e6;
}

/* ---- the machine ---- */

void bench_print_load(FILE *out, const char *when) {
        double load[3] = { 0 };
        (void)getloadavg(load, 3);
        fprintf(out, "- load average %s: %.2f %.2f %.2f\n", when, load[0], load[1], load[2]);
}

void bench_print_machine(FILE *out) {
        static const char *const tools[][2] = { { "bwrap", "--version" }, { "crun", "--version" },
                                                { "python3", "--version" }, { "node", "--version" }, { "Rscript", "--version" },
                                                { "ruby", "--version" }, { "php", "--version" }, { "javac", "--version" }, { "gcc", "-dumpfullversion" } };
        struct utsname host;
        char text[256], date[32], program[64];
        time_t now = time(NULL);
        struct tm when;
        (void)uname(&host);
        (void)strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", gmtime_r(&now, &when));
        rt_bench_cpu_model(text, sizeof text);
        fprintf(out, "- date: %s\n- machine: %s, %u CPUs, %s %s\n", date, text, rt_bench_cpus(), host.sysname, host.release);
        fprintf(out, "- retort %s, built as %s\n", RETORT_VERSION, BENCH_BUILD_TYPE);
        for (size_t i = 0; i < RT_LEN(tools); i++) {
                bool found = bench_find(tools[i][0], program);
                if (found)
                        bench_first_line(program, tools[i][1], text, sizeof text);
                fprintf(out, "- %s: %s\n", tools[i][0], found ? text : "not installed");
        }
}

/* ---- tables ---- */

static void print_times(FILE *out, const char *name, struct rt_samples *wall, struct rt_samples *cpu_times, uint64_t plain) {
        uint64_t median = rt_samples_at(wall, 0.5);
        char cpu[16] = "", more[16] = "", ratio[16] = "";
        if (cpu_times && cpu_times->n > 0)
                (void)snprintf(cpu, sizeof cpu, "%.2f", ms(rt_samples_at(cpu_times, 0.5)));
        if (plain && median) {
                double r = (double)median / (double)plain;
                (void)snprintf(more, sizeof more, "%+.2f", ms(median) - ms(plain));
                (void)snprintf(ratio, sizeof ratio, r < 0.1 ? "1/%.0f" : "%.2f", r < 0.1 ? 1 / r : r);
        }
        fprintf(out, "| %-44s | %5zu | %8.3f | %8.3f | %8.3f | %8.3f | %8s | %6s | %8s |\n", name, wall->n, ms(median),
                ms(rt_samples_at(wall, 0.9)), ms(rt_samples_at(wall, 0.99)), ms(rt_samples_at(wall, 0)), more, ratio, cpu);
}

/* Retort's, a row for each start there was; and until the first output. */
static void print_starts(FILE *out, struct bench_contender *c, uint64_t plain) {
        for (size_t i = 0; i < RT_BENCH_STARTS; i++) {
                char name[64];
                (void)snprintf(name, sizeof name, "%.28s, %s", c->name, rt_bench_starts[i]);
                if (c->by_start[i].outcome.n > 0)
                        print_times(out, name, &c->by_start[i].outcome, NULL, plain);
                (void)snprintf(name, sizeof name, "%.28s, %s: output", c->name, rt_bench_starts[i]);
                if (c->by_start[i].output.n > 0)
                        print_times(out, name, &c->by_start[i].output, NULL, plain);
        }
}

static void print_contender(FILE *out, struct bench_contender *c, uint64_t plain) {
        if (c->wall.n == 0) {
                fprintf(out, "| %-44s | skipped: %s |\n", c->name, c->why[0] ? c->why : "nothing measured");
                return;
        }
        if (c->is_retort)
                print_starts(out, c, plain);
        else
                print_times(out, c->name, &c->wall, &c->cpu, plain);
        if (c->why[0])
                fprintf(out, "| %-44s | stopped early: %s |\n", "", c->why);
}

void bench_print_group(FILE *out, struct bench_group *g) {
        fprintf(out, "\n## %s\n\n", g->title);
        fprintf(out, "| %-44s | %5s | %8s | %8s | %8s | %8s | %8s | %6s | %8s |\n", "ms", "n", "median", "p90", "p99", "min",
                "- plain", "ratio", "CPU");
        fprintf(out, "|:---------------------------------------------|------:|---------:|---------:|---------:|---------:|---------:|-------:|---------:|\n");
        uint64_t plain = rt_samples_at(&g->contenders[0].wall, 0.5);
        for (size_t i = 0; i < g->n; i++)
                print_contender(out, &g->contenders[i], plain);
}

static void print_cost(FILE *out, const char *name, struct rt_samples *s) {
        fprintf(out, "| %-32s | %5zu | %8.2f | %8.2f | %8.2f | %8.2f |\n", name, s->n, ms(rt_samples_at(s, 0.5)), ms(rt_samples_at(s, 0.9)),
                ms(rt_samples_at(s, 0.99)), ms(rt_samples_at(s, 0)));
}

void bench_print_costs(FILE *out, struct bench_engine *engine, struct bench_slot *slot) {
        fprintf(out, "\n## Beside the runs\n\n| %-32s | %5s | %8s | %8s | %8s | %8s |\n", "ms", "n", "median", "p90", "p99", "min");
        fprintf(out, "|:---------------------------------|------:|---------:|---------:|---------:|---------:|\n");
        print_cost(out, "engine: open", &engine->open);
        print_cost(out, "engine: open, then first outcome", &engine->warm);
        print_cost(out, "engine: close", &engine->close);
        if (slot) {
                print_cost(out, "slot: make", bench_slot_made(slot));
                print_cost(out, "slot: recycle", bench_slot_recycled(slot));
        }
}

static void print_by_start(FILE *out, const uint64_t by_start[RT_BENCH_STARTS], const char *why) {
        const char *comma = " ";
        for (size_t i = 0; i < RT_BENCH_STARTS; i++)
                if (by_start[i] > 0) {
                        fprintf(out, "%s%s %ju", comma, rt_bench_starts[i], (uintmax_t)by_start[i]);
                        comma = ", ";
                }
        fprintf(out, " |%s%s\n", why[0] ? " " : "", why);
}

void bench_print_flows(FILE *out, const struct bench_flow *flows, size_t n) {
        fprintf(out, "\n## Throughput of the library\n\n");
        fprintf(out, "| %-20s | %7s | %8s | %20s | %7s | %6s | starts |\n", "", "threads", "runs/s", "CPU ms/run, all of it", "runs", "failed");
        fprintf(out, "|:---------------------|--------:|---------:|----------------------:|--------:|-------:|:-------|\n");
        for (size_t i = 0; i < n; i++) {
                char cpu[24] = "not known";
                if (flows[i].cpu_ms_per_run > 0)
                        (void)snprintf(cpu, sizeof cpu, "%.2f", flows[i].cpu_ms_per_run);
                fprintf(out, "| %-20s | %7u | %8.0f | %21s | %7ju | %6ju |", flows[i].name, flows[i].threads, flows[i].runs_per_second,
                        cpu, (uintmax_t)flows[i].runs, (uintmax_t)flows[i].failed);
                print_by_start(out, flows[i].by_start, flows[i].why);
        }
}

void bench_print_bursts(FILE *out, struct bench_burst *bursts, size_t n) {
        fprintf(out, "\n## Bursts: everything asked at once\n\n");
        fprintf(out, "| %-34s | %5s | %8s | %6s | %9s | %9s | %9s | %13s | starts |\n", "ms", "asked", "answered", "failed", "median", "p99",
                "last", "CPU time/CPUs");
        fprintf(out, "|:-----------------------------------|------:|---------:|-------:|----------:|----------:|----------:|--------------:|:-------|\n");
        for (size_t i = 0; i < n; i++) {
                struct bench_burst *b = &bursts[i];
                fprintf(out, "| %-34s | %5u | %8u | %6u | %9.1f | %9.1f | %9.1f | %13.1f |", b->name, b->asked, b->answered, b->failed,
                        ms(rt_samples_at(&b->latency, 0.5)), ms(rt_samples_at(&b->latency, 0.99)), ms(rt_samples_at(&b->latency, 1)),
                        (double)b->cpu_ns / rt_bench_cpus() / 1e6);
                print_by_start(out, b->by_start, b->why);
        }
        fprintf(out, "\nCPU time is that of every process that takes part, with the recycling afterwards and, over HTTP, the client's. "
                     "Divided by\nthe CPUs it is the least time in which a burst can be over.\n");
}

void bench_print_boxes(FILE *out, const struct bench_boxes *b) {
        fprintf(out, "\n## Memory of one more ready Python box\n\n");
        if (b->many == 0)
                fprintf(out, "not measured: %s\n", b->why[0] ? b->why : "interrupted");
        else
                fprintf(out, "%.2f MiB private, %.2f MiB PSS: an engine with %u boxes that start as `%s` against one with %u, by its processes.\n",
                        b->private_mib, b->pss_mib, b->many, rt_bench_starts[b->start], b->few);
}

void bench_print_memory(FILE *out, const struct rt_bench_memory *m) {
        fprintf(out, "\n## Memory of an idle engine\n\n");
        if (m->n == 0)
                fprintf(out, "skipped: the kernel does not tell this user\n");
        else
                bench_print_memory_rows(out, m);
}

void bench_print_memory_rows(FILE *out, const struct rt_bench_memory *m) {
        fprintf(out, "| %-16s | %9s | %8s | %8s | %8s |\n|:-----------------|----------:|---------:|---------:|---------:|\n", "KiB",
                "processes", "RSS", "PSS", "private");
        for (unsigned i = 0; i < m->n; i++)
                fprintf(out, "| %-16s | %9u | %8ju | %8ju | %8ju |\n", m->kinds[i].name, m->kinds[i].n, (uintmax_t)m->kinds[i].rss_bytes / 1024,
                        (uintmax_t)m->kinds[i].pss_bytes / 1024, (uintmax_t)m->kinds[i].private_bytes / 1024);
        fprintf(out, "| %-16s | %9s | %8ju | %8ju | %8ju |\n", "together", "", (uintmax_t)m->rss_bytes / 1024, (uintmax_t)m->pss_bytes / 1024,
                (uintmax_t)m->private_bytes / 1024);
}
