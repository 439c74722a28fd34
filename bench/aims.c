/* SPDX-License-Identifier: Apache-2.0
 *
 * The aims of issues 2 and 4, each against what this very run measured. What could not be measured says so.
 */
#include <stdarg.h>
#include <string.h>

#include "base/util.h"
#include "bench.h"

struct measured {
        bool known;
        double value;
};

static const struct measured unknown = { 0 };

static struct measured known(double value) {
        return (struct measured){ true, value };
}

static struct bench_contender *find(struct bench_group *g, const char *name) {
        for (size_t i = 0; i < g->n; i++)
                if (strcmp(g->contenders[i].name, name) == 0 && g->contenders[i].wall.n > 0)
                        return &g->contenders[i];
        return NULL;
}

static struct measured part_ms(struct bench_group *g, const char *name, double part) {
        struct bench_contender *c = find(g, name);
        return c ? known((double)rt_samples_at(&c->wall, part) / 1e6) : unknown;
}

/* Of all starts together: what a user waits for. */
static struct measured output_ms(struct bench_group *g, const char *name) {
        struct bench_contender *c = find(g, name);
        struct rt_samples all = { 0 };
        for (size_t s = 0; c && s < RT_BENCH_STARTS; s++)
                for (size_t i = 0; i < c->by_start[s].output.n; i++)
                        rt_samples_add(&all, c->by_start[s].output.values[i]);
        struct measured m = all.n ? known((double)rt_samples_at(&all, 0.5) / 1e6) : unknown;
        rt_samples_clear(&all);
        return m;
}

static struct measured of_plain(struct bench_group *g, const char *name) {
        struct bench_contender *c = find(g, name), *plain = &g->contenders[0];
        return c && plain->wall.n ? known((double)rt_samples_at(&c->wall, 0.5) / (double)rt_samples_at(&plain->wall, 0.5)) : unknown;
}

/* The starts there were, most frequent first; "" when it is not told. */
static const char *starts_of(struct bench_group *g, const char *name) {
        struct bench_contender *c = find(g, name);
        size_t best = RT_BENCH_STARTS, n = 0;
        for (size_t s = 0; c && s < RT_BENCH_STARTS; s++)
                if (c->by_start[s].outcome.n > n) {
                        best = s;
                        n = c->by_start[s].outcome.n;
                }
        return best < RT_BENCH_STARTS ? rt_bench_starts[best] : "";
}

static struct measured rate_of(const struct bench_results *r, const char *name) {
        double best = -1;
        for (size_t i = 0; i < r->n_flows; i++)
                if (strcmp(r->flows[i].name, name) == 0 && r->flows[i].runs > 0 && r->flows[i].failed == 0 &&
                    r->flows[i].runs_per_second > best)
                        best = r->flows[i].runs_per_second;
        return best < 0 ? unknown : known(best);
}

/* ---- rows ---- */

static void print_row(FILE *out, const char *work, const char *aim, struct measured m, const char *value, bool reached, const char *start) {
        bool strong = strcmp(bench_level, "strong") == 0;
        fprintf(out, "| %-68s | %-14s | %-16s | %-7s | %-11s |\n", work, aim, m.known ? value : "not measured", m.known ? start : "",
                !m.known ? "" : reached && strong ? "reached" : "NOT reached");
}

static void at_most(FILE *out, const char *work, double most, const char *unit, struct measured m, const char *start) {
        char aim[32], value[48];
        (void)snprintf(aim, sizeof aim, "<= %g %s", most, unit);
        (void)snprintf(value, sizeof value, m.value < 100 ? "%.3g %s" : "%.0f %s", m.value, unit);
        print_row(out, work, aim, m, value, m.value <= most, start);
}

static void at_least(FILE *out, const char *work, double least, const char *unit, struct measured m, const char *start) {
        char aim[32], value[48];
        (void)snprintf(aim, sizeof aim, ">= %g %s", least, unit);
        (void)snprintf(value, sizeof value, "%.0f %s", m.value, unit);
        print_row(out, work, aim, m, value, m.value >= least, start);
}

/* A part of the plain cost: 1/20 where it is that small. */
static void part_of_plain(FILE *out, const char *work, double most, struct measured m, const char *start) {
        char aim[32], value[48];
        (void)snprintf(aim, sizeof aim, most < 0.2 ? "<= 1/%.0f" : "<= %.2f", most < 0.2 ? 1 / most : most);
        bool small = m.known && m.value < 0.2;
        (void)snprintf(value, sizeof value, small ? "1/%.1f" : "%.2f", small ? 1 / m.value : m.value);
        print_row(out, work, aim, m, value, m.value <= most, start);
}

static void print_python(FILE *out, struct bench_results *r) {
        struct bench_group *g = &r->groups[BENCH_PYTHON];
        const char *start = starts_of(g, "retort, library"), *served = starts_of(g, "retort, HTTP");
        at_most(out, "Python print(1), library: first output, median", 0.3, "ms", output_ms(g, "retort, library"), start);
        at_most(out, "Python print(1), library: outcome, median", 0.8, "ms", part_ms(g, "retort, library", 0.5), start);
        part_of_plain(out, "Python print(1), library, to plain python3", 1.0 / 20, of_plain(g, "retort, library"), start);
        at_most(out, "Python print(1) over HTTP, one connection: median", 1.2, "ms", part_ms(g, "retort, HTTP", 0.5), served);
        at_most(out, "Python print(1) over HTTP, one connection: p99", 5, "ms", part_ms(g, "retort, HTTP", 0.99), served);
        at_least(out, "Python at full load, none failed", 1000, "runs/s", rate_of(r, "python, print(1)"), "");
        g = &r->groups[BENCH_PANDAS];
        part_of_plain(out, "Python importing numpy, pandas, matplotlib, to plain", 1.0 / 300, of_plain(g, "retort, library"),
                      starts_of(g, "retort, library"));
}

static void print_others(FILE *out, struct bench_results *r) {
        static const char library[] = "retort, library", same[] = "retort, same source again";
        struct bench_group *g = r->groups;
        part_of_plain(out, "Node hello, to plain node", 1.0 / 8, of_plain(&g[BENCH_NODE], library), starts_of(&g[BENCH_NODE], library));
        at_least(out, "Node at full load, none failed", 150, "runs/s", rate_of(r, "javascript"), "");
        part_of_plain(out, "Java from source, to javac + java", 1.0 / 30, of_plain(&g[BENCH_JAVA], library), starts_of(&g[BENCH_JAVA], library));
        part_of_plain(out, "R hello, to Rscript", 1.0 / 15, of_plain(&g[BENCH_R], library), starts_of(&g[BENCH_R], library));
        part_of_plain(out, "C from source, to gcc + run", 0.6, of_plain(&g[BENCH_C], library), starts_of(&g[BENCH_C], library));
        part_of_plain(out, "C++ with bits/stdc++.h, to g++ + run", 0.35, of_plain(&g[BENCH_CPP], library), starts_of(&g[BENCH_CPP], library));
        at_most(out, "C, the same source again: median", 5, "ms", part_ms(&g[BENCH_C], same, 0.5), starts_of(&g[BENCH_C], same));
        at_most(out, "C++, the same source again: median", 5, "ms", part_ms(&g[BENCH_CPP], same, 0.5), starts_of(&g[BENCH_CPP], same));
        struct measured box = part_ms(&g[BENCH_STATIC], library, 0.5), plain = part_ms(&g[BENCH_STATIC], "plain (posix_spawn)", 0.5);
        at_most(out, "A compiled program over plain fork + exec: medians", 1, "ms",
                box.known && plain.known ? known(box.value - plain.value) : unknown, starts_of(&g[BENCH_STATIC], library));
        bool is_warm = r->boxes.many && r->boxes.start + 1 < RT_BENCH_STARTS; /* a box for a cold start has no Python in it yet */
        at_most(out, "Memory that one more ready Python box owns", 3, "MiB", is_warm ? known(r->boxes.private_mib) : unknown,
                is_warm ? rt_bench_starts[r->boxes.start] : "");
}

static void print_bursts(FILE *out, struct bench_results *r) {
        for (size_t i = 0; i < r->n_bursts; i++) {
                struct bench_burst *b = &r->bursts[i];
                char work[96];
                double needed = (double)b->cpu_ns / rt_bench_cpus();
                (void)snprintf(work, sizeof work, "Burst of %u at once, %.30s: all answered", b->asked, b->name);
                at_least(out, work, b->asked, "", known(b->answered), "");
                (void)snprintf(work, sizeof work, "Burst, %.30s: p99 to the time its CPU time takes", b->name);
                at_most(out, work, 3, "times", needed > 0 && b->latency.n ? known((double)rt_samples_at(&b->latency, 0.99) / needed) : unknown, "");
        }
}

/* Issue 2's. */
static void print_sandboxes(FILE *out, struct bench_group *g) {
        struct bench_contender *library = find(g, "retort, library"), *best = NULL;
        if (!library || g->contenders[0].wall.n == 0) {
                fprintf(out, "\nThe static program was not measured.\n");
                return;
        }
        uint64_t median = rt_samples_at(&library->wall, 0.5), best_ns = UINT64_MAX;
        for (size_t i = 0; i < g->n; i++) {
                struct bench_contender *c = &g->contenders[i];
                if (c->is_sandbox && c->wall.n > 0 && rt_samples_at(&c->wall, 0.5) < best_ns) {
                        best = c;
                        best_ns = rt_samples_at(&c->wall, 0.5);
                }
        }
        if (best)
                fprintf(out, "\nThe fastest of the sandboxes (static program): Retort %.2f ms, the best other is %s with %.2f ms: %s.\n",
                        (double)median / 1e6, best->name, (double)best_ns / 1e6, median < best_ns ? "reached" : "NOT reached");
        else
                fprintf(out, "\nThe fastest of the sandboxes (static program): no other could be measured.\n");
}

void bench_print_aims(FILE *out, struct bench_results *r) {
        fprintf(out, "\n## Aims\n\n");
        if (strcmp(bench_level, "strong") != 0)
                fprintf(out, "The aims are for isolation `strong`; this was `%s`, so none counts as reached.\n\n", bench_level);
        fprintf(out, "| %-68s | %-14s | %-16s | %-7s | %-11s |\n", "work", "aim", "measured", "start", "");
        fprintf(out, "|:---------------------------------------------------------------------|:---------------|:-----------------|:--------|:------------|\n");
        print_python(out, r);
        print_others(out, r);
        print_bursts(out, r);
        fprintf(out, "\nNo error, leak or growth over 100,000 runs: that is `bench/soak`.\n");
        print_sandboxes(out, &r->groups[BENCH_STATIC]);
}
