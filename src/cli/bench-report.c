/* SPDX-License-Identifier: Apache-2.0
 *
 * The result for people and for programs. Both are made of the same rows.
 */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "cli/bench.h"

#define BOLD "\033[1m"
#define DIM "\033[2m"
#define WARN "\033[33m"
#define OFF "\033[0m"

static double ms(uint64_t ns) {
        return (double)ns / 1e6;
}

static double mib(uint64_t bytes, unsigned boxes) {
        return boxes ? (double)bytes / boxes / (1 << 20) : 0;
}

size_t rt_bench_rows(struct rt_bench_language *l, struct rt_bench_row ret[RT_BENCH_ROWS]) {
        static const char *const kinds[RT_BENCH_KINDS][2] = { { "cold", "first run" }, { "warm", "warm" }, { "same", "again" } };
        size_t n = 0;
        if (l->plain.n > 0)
                ret[n++] = (struct rt_bench_row){ "plain", "by hand", "outcome", NULL, &l->plain };
        for (size_t k = 0; k < RT_BENCH_KINDS; k++)
                for (size_t s = 0; s < RT_BENCH_STARTS; s++) {
                        struct rt_bench_times *times = &l->times[k][s];
                        if (times->outcome.n == 0)
                                continue;
                        const struct rt_bench_row row = { kinds[k][0], kinds[k][1], "output", rt_bench_starts[s], &times->output };
                        ret[n] = ret[n + 1] = row;
                        ret[n + 1].until = "outcome";
                        ret[n + 1].samples = &times->outcome;
                        n += 2;
                }
        return n;
}

static const char *level_of(const struct rt_bench *b) {
        const char *level = json_string_value(json_object_get(b->isolation, "level"));
        return level ? level : "unknown";
}

/* ---- for people ---- */

static void print_head(struct rt_bench *b, bool colour, struct rt_buf *out) {
        char cpu[128];
        struct utsname host;
        unsigned cpus = rt_bench_cpus();
        rt_bench_cpu_model(cpu, sizeof cpu);
        (void)uname(&host);
        (void)rt_buf_printf(out, "%sRetort %s%s on %s, %u CPU%s, %s %s\n", colour ? BOLD : "", RETORT_VERSION, colour ? OFF : "", cpu, cpus,
                            cpus == 1 ? "" : "s", host.sysname, host.release);
        (void)rt_buf_printf(out, "isolation %s; load average %.2f before, %.2f after\n", level_of(b), b->load_before[0], b->load_after[0]);
        if (b->load_before[0] > 0.5 * cpus)
                (void)rt_buf_printf(out, "%sthe machine was busy already: on an idle one these times are shorter, those by hand most of all%s\n", colour ? WARN : "",
                                    colour ? OFF : "");
        if (b->open.n > 0)
                (void)rt_buf_printf(out, "an engine that keeps nothing warm opens in %.2f ms (median of %zu)\n", ms(rt_samples_at(&b->open, 0.5)),
                                    b->open.n);
}

static void print_times(const char *what, const char *start, const char *until, struct rt_samples *s, uint64_t plain,
                        struct rt_buf *out) {
        uint64_t median = rt_samples_at(s, 0.5);
        char ratio[24] = "";
        if (plain && median) {
                double r = (double)median / (double)plain;
                (void)snprintf(ratio, sizeof ratio, r < 0.1 ? "1/%.0f" : "%.2f", r < 0.1 ? 1 / r : r);
        }
        (void)rt_buf_printf(out, "  %-10s %-7s %-8s %7zu %10.3f %10.3f %10.3f %9s\n", what, start, until, s->n, ms(median),
                            ms(rt_samples_at(s, 0.99)), ms(rt_samples_at(s, 0)), ratio);
}

static void print_flow(struct rt_bench_flow *f, uint64_t plain, struct rt_buf *out) {
        if (f->runs == 0)
                return;
        print_times("full load", "", "outcome", &f->outcome, plain, out);
        (void)rt_buf_printf(out, "  %.0f runs a second by %u thread%s, %ju failed (", (double)f->runs * 1e9 / (double)f->took_ns, f->threads,
                            f->threads == 1 ? "" : "s", (uintmax_t)f->failed);
        const char *comma = "";
        for (size_t i = 0; i < RT_BENCH_STARTS; i++)
                if (f->by_start[i] > 0) {
                        (void)rt_buf_printf(out, "%s%s %ju", comma, rt_bench_starts[i], (uintmax_t)f->by_start[i]);
                        comma = ", ";
                }
        (void)rt_buf_printf(out, ")\n");
}

static void print_memory(const struct rt_bench_memory *m, struct rt_buf *out) {
        if (m->n == 0)
                (void)rt_buf_printf(out, "  memory: the kernel does not tell this user\n");
        else if (m->boxes == 0)
                (void)rt_buf_printf(out, "  memory: RSS %.2f MiB, PSS %.2f, private %.2f; no box is kept ready\n", mib(m->rss_bytes, 1),
                                    mib(m->pss_bytes, 1), mib(m->private_bytes, 1));
        else
                (void)rt_buf_printf(out, "  memory for each of %u boxes ready: RSS %.2f MiB, PSS %.2f, private %.2f\n", m->boxes,
                                    mib(m->rss_bytes, m->boxes), mib(m->pss_bytes, m->boxes), mib(m->private_bytes, m->boxes));
}

static void print_language(struct rt_bench_language *l, bool colour, struct rt_buf *out) {
        struct rt_bench_row rows[RT_BENCH_ROWS];
        size_t n = rt_bench_rows(l, rows);
        uint64_t plain = rt_samples_at(&l->plain, 0.5);
        (void)rt_buf_printf(out, "\n%s%s %s%s\n", colour ? BOLD : "", l->name, l->version, colour ? OFF : "");
        for (size_t i = 0; i < n; i++)
                print_times(rows[i].label, rows[i].start ? rows[i].start : "", rows[i].until, rows[i].samples, plain, out);
        print_flow(&l->flow, plain, out);
        if (n > 0)
                print_memory(&l->memory, out);
        if (l->no_plain[0])
                (void)rt_buf_printf(out, "  not started by hand: %s\n", l->no_plain);
        if (l->note[0])
                (void)rt_buf_printf(out, "  %s%s%s\n", colour ? WARN : "", l->note, colour ? OFF : "");
        if (l->why[0])
                (void)rt_buf_printf(out, "  %s%s%s\n", colour ? WARN : "", l->why, colour ? OFF : "");
        if (n == 0 && !l->why[0])
                (void)rt_buf_printf(out, "  not measured\n");
}

void rt_bench_table(struct rt_bench *b, bool colour, bool complete, struct rt_buf *out) {
        print_head(b, colour, out);
        (void)rt_buf_printf(out, "\n%s  %-10s %-7s %-8s %7s %10s %10s %10s %9s%s\n", colour ? DIM : "", "ms", "start", "until", "n", "p50",
                            "p99", "min", "/ by hand", colour ? OFF : "");
        for (size_t i = 0; i < b->n; i++)
                print_language(&b->languages[i], colour, out);
        if (!complete)
                (void)rt_buf_printf(out, "\ninterrupted: this is what had been measured\n");
}

/* ---- for programs ---- */

static json_t *json_times(struct rt_samples *s) {
        return json_pack("{s:I, s:f, s:f, s:f, s:f}", "n", (json_int_t)s->n, "p50_ms", ms(rt_samples_at(s, 0.5)), "p99_ms",
                         ms(rt_samples_at(s, 0.99)), "min_ms", ms(rt_samples_at(s, 0)), "max_ms", ms(rt_samples_at(s, 1)));
}

static json_t *json_flow(struct rt_bench_flow *f) {
        json_t *starts = json_object(), *flow = json_times(&f->outcome);
        for (size_t i = 0; i < RT_BENCH_STARTS; i++)
                if (f->by_start[i] > 0)
                        (void)json_object_set_new(starts, rt_bench_starts[i], json_integer((json_int_t)f->by_start[i]));
        (void)json_object_set_new(flow, "threads", json_integer(f->threads));
        (void)json_object_set_new(flow, "runs", json_integer((json_int_t)f->runs));
        (void)json_object_set_new(flow, "failed", json_integer((json_int_t)f->failed));
        (void)json_object_set_new(flow, "runs_per_second", json_real(f->took_ns ? (double)f->runs * 1e9 / (double)f->took_ns : 0));
        (void)json_object_set_new(flow, "starts", starts);
        return flow;
}

static json_t *json_memory(const struct rt_bench_memory *m) {
        json_t *processes = json_array();
        for (unsigned i = 0; i < m->n; i++)
                (void)json_array_append_new(processes, json_pack("{s:s, s:i, s:I, s:I, s:I}", "name", m->kinds[i].name, "n", (int)m->kinds[i].n,
                                                                 "rss_bytes", (json_int_t)m->kinds[i].rss_bytes, "pss_bytes",
                                                                 (json_int_t)m->kinds[i].pss_bytes, "private_bytes",
                                                                 (json_int_t)m->kinds[i].private_bytes));
        return json_pack("{s:i, s:I, s:I, s:I, s:o}", "boxes", (int)m->boxes, "rss_bytes", (json_int_t)m->rss_bytes, "pss_bytes",
                         (json_int_t)m->pss_bytes, "private_bytes", (json_int_t)m->private_bytes, "processes", processes);
}

static json_t *json_language(struct rt_bench_language *l) {
        struct rt_bench_row rows[RT_BENCH_ROWS];
        size_t n = rt_bench_rows(l, rows);
        json_t *times = json_array();
        for (size_t i = 0; i < n; i++) {
                json_t *one = json_times(rows[i].samples);
                (void)json_object_set_new(one, "what", json_string(rows[i].what));
                (void)json_object_set_new(one, "until", json_string(rows[i].until));
                if (rows[i].start)
                        (void)json_object_set_new(one, "start", json_string(rows[i].start));
                (void)json_array_append_new(times, one);
        }
        return json_pack("{s:s, s:s, s:o, s:o, s:o, s:s*, s:s*, s:s*}", "name", l->name, "version", l->version, "times", times, "full_load",
                         l->flow.runs ? json_flow(&l->flow) : json_null(), "memory", l->memory.n ? json_memory(&l->memory) : json_null(),
                         "no_plain", l->no_plain[0] ? l->no_plain : NULL, "note", l->note[0] ? l->note : NULL, "error", l->why[0] ? l->why : NULL);
}

json_t *rt_bench_json(struct rt_bench *b, bool complete) {
        char cpu[128];
        struct utsname host;
        json_t *languages = json_array();
        rt_bench_cpu_model(cpu, sizeof cpu);
        (void)uname(&host);
        for (size_t i = 0; i < b->n; i++)
                (void)json_array_append_new(languages, json_language(&b->languages[i]));
        json_t *machine = json_pack("{s:s, s:i, s:s, s:s, s:[f,f,f], s:[f,f,f]}", "cpu", cpu, "cpus", (int)rt_bench_cpus(), "system",
                                    host.sysname, "release", host.release, "load_before", b->load_before[0], b->load_before[1],
                                    b->load_before[2], "load_after", b->load_after[0], b->load_after[1], b->load_after[2]);
        return json_pack("{s:s, s:b, s:b, s:o, s:s, s:O, s:o, s:o}", "retort", RETORT_VERSION, "complete", complete, "quick", b->quick,
                         "machine", machine, "isolation", level_of(b), "isolation_missing", json_object_get(b->isolation, "missing"),
                         "engine_open", json_times(&b->open), "languages", languages);
}
