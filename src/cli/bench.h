/* SPDX-License-Identifier: Apache-2.0
 *
 * What "retort bench" measures, and how it is shown. For each language its hello program is timed in several ways, in
 * rounds, so that whatever else the machine does falls on all of them. How a box was started is never assumed: every
 * outcome tells, and times are kept apart by what it told.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "cli/opts.h"
#include "retort.h"

/* ---- bench-samples.c: nanoseconds, and what they say ---- */

struct rt_samples {
        uint64_t *values;
        size_t n;
        size_t room;
};

/* When memory is short the value is left out. */
void rt_samples_add(struct rt_samples *samples, uint64_t value);
/* part is 0 (the smallest) to 1 (the largest); 0 when there are none. Sorts. */
uint64_t rt_samples_at(struct rt_samples *samples, double part);
void rt_samples_move(struct rt_samples *to, struct rt_samples *from); /* adds, and empties from */
void rt_samples_clear(struct rt_samples *samples);

/* Every start mode an outcome can tell, fastest first. */
enum { RT_BENCH_STARTS = 5 };
extern const char *const rt_bench_starts[RT_BENCH_STARTS];
/* Its place in that list; one that is not there counts as the last. */
size_t rt_bench_start(const char *name);

/* The program, with blanks behind it that were never there before: no language minds them, every cache sees them. size is at
 * least 64; what does not fit is cut. */
void rt_bench_renew(const char *code, char *ret, size_t size);

/* Whether a language's runs can start other than cold, as retort_engine_languages tells of it. */
enum rt_bench_warmth { RT_BENCH_NOT_TOLD, RT_BENCH_NEVER_WARM, RT_BENCH_CAN_WARM };
enum rt_bench_warmth rt_bench_warmth(const json_t *language);

/* ---- what is measured ---- */

enum rt_bench_kind {
        RT_BENCH_COLD, /* first run of an engine that keeps nothing warm */
        RT_BENCH_WARM, /* on an engine that has had time to prepare; the source is new each time */
        RT_BENCH_SAME, /* there, with a source that was compiled before; only where there is a compiler */
        RT_BENCH_KINDS
};

struct rt_bench_times {
        struct rt_samples output;  /* from asking until the first byte of the program */
        struct rt_samples outcome; /* until everything is known */
};

/* Processes below this one, by name. */
struct rt_bench_memory {
        struct rt_bench_process {
                char name[32];
                unsigned n;
                uint64_t rss_bytes, pss_bytes, private_bytes; /* of all of this name together */
        } kinds[16];
        unsigned n;
        unsigned boxes; /* one for each keeper */
        uint64_t rss_bytes, pss_bytes, private_bytes;
};

struct rt_bench_flow {
        unsigned threads;
        uint64_t runs, failed, took_ns;
        uint64_t by_start[RT_BENCH_STARTS];
        struct rt_samples outcome;
};

struct rt_bench_language {
        const char *name;
        const char *version;
        const char *code; /* its hello program */
        enum rt_bench_warmth warmth;
        struct rt_samples plain;
        struct rt_bench_times times[RT_BENCH_KINDS][RT_BENCH_STARTS];
        struct rt_bench_flow flow;
        struct rt_bench_memory memory;
        char no_plain[128]; /* not "": why there is no plain start */
        char note[128];     /* not "": what the reader should know */
        char why[320];      /* not "": what went wrong */
};

struct rt_bench {
        struct rt_arena *arena;
        struct retort_config config; /* of the engines that may warm up */
        int err;                     /* progress is told here; -1: nowhere */
        unsigned rounds;
        uint64_t warm_ns, flow_ns;   /* at most so long; four times warm_ns for a language that is said to become warm */
        uint64_t budget_ns;          /* for the rounds of one language; 0: without end */
        bool quick;
        struct rt_bench_language *languages;
        size_t n;
        struct rt_samples open; /* engines that keep nothing warm */
        double load_before[3], load_after[3];
        json_t *isolation; /* as the engine tells it */
};

/* ---- bench-run.c ---- */

/* Measures one language. What went wrong is in its `why`; what was measured before stays. Returns early when the command is cancelled. */
void rt_bench_measure(struct rt_bench *bench, struct rt_bench_language *language);
void rt_bench_progress(const struct rt_bench *bench, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- bench-host.c: this machine without Retort ---- */

struct rt_bench_plain; /* how a language's program is run by hand, in a folder of its own */
/* NULL with a reason: it is not known how, or something of it is not installed. */
struct rt_bench_plain *rt_bench_plain_open(const char *language, const char *code, char *ret_why, size_t size);
/* Starts it (and its compiler, where there is one) and waits for the end. 0, or -1: it failed. */
int rt_bench_plain_run(const struct rt_bench_plain *plain, uint64_t *ret_ns);
void rt_bench_plain_close(struct rt_bench_plain *plain);

unsigned rt_bench_cpus(void); /* that this process may use */
void rt_bench_cpu_model(char *ret, size_t size);
/* False where the kernel does not tell, or there is none. */
bool rt_bench_memory(struct rt_bench_memory *memory);

/* ---- bench-report.c, bench-svg.c ---- */

struct rt_bench_row {
        const char *what;  /* "plain", "cold", "warm", "same": names in JSON */
        const char *label; /* the same for people */
        const char *until; /* "output" or "outcome" */
        const char *start; /* NULL: Retort had no part in it */
        struct rt_samples *samples;
};
enum { RT_BENCH_ROWS = 1 + 2 * RT_BENCH_KINDS * RT_BENCH_STARTS };
/* What there is of a language, in the order it is shown. */
size_t rt_bench_rows(struct rt_bench_language *language, struct rt_bench_row ret[RT_BENCH_ROWS]);

void rt_bench_table(struct rt_bench *bench, bool colour, bool complete, struct rt_buf *out);
json_t *rt_bench_json(struct rt_bench *bench, bool complete);
void rt_bench_svg(struct rt_bench *bench, struct rt_buf *out);
