/* SPDX-License-Identifier: Apache-2.0
 *
 * The measuring program. A *contender* is one way to run a program; what is timed is the whole of it, from asking
 * until the complete output and the exit status are both known. The contenders of a *group* run the same program, in
 * rounds: each once a round, in an order drawn anew, with a pause in between, so that what one leaves behind for later
 * (recycling, the kernel's own tidying) and what else the machine does falls on nobody in particular.
 *
 * How Retort started a run is told by its outcome, never assumed: a contender's times are kept apart by it.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

#include "cli/bench.h"
#include "retort.h"

/* ---- contenders ---- */

struct bench_took {
        uint64_t wall_ns;
        uint64_t cpu_ns;    /* 0: one run's cannot be told */
        uint64_t output_ns; /* until the first byte; 0: not told */
        size_t start;       /* Retort's only: index into rt_bench_starts */
};

struct bench_contender {
        const char *name;
        bool is_sandbox;
        bool is_retort;  /* an outcome tells how it was started */
        bool stays_cold; /* its engine keeps nothing warm, or there is nothing to be warmed */
        /* Runs it once. 0, or -1 and *why says what was wrong. */
        int (*run)(struct bench_contender *c, struct bench_took *ret);
        char why[256]; /* not "": it is skipped, and this is the reason */

        const char *expected;    /* what it prints */
        const char *argv[40];    /* started: the program, by its path */
        const char *compile[12]; /* started before it, and timed with it */
        const char *env[4];
        bool without_cgroup2; /* started in a mount namespace where a hybrid's cgroup2 is not mounted */

        retort_engine *engine; /* library: where, and what */
        const char *language;
        const char *code;
        bool renew;              /* a source that was never seen before, each time */
        struct bench_slot *slot; /* box alone */
        struct bench_http *http;
        struct bench_jupyter *jupyter;
        const char *word; /* what jupyter.py is told */
        unsigned every; /* takes part in every so-manieth round only; 0: in each */

        struct rt_samples wall;
        struct rt_samples cpu;
        struct rt_bench_times by_start[RT_BENCH_STARTS];
};

/* A contender that cannot go on: its reason, as for printf. Always -1. */
int bench_fail(struct bench_contender *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void bench_forget_contender(struct bench_contender *c);

struct bench_group {
        const char *title;
        struct bench_contender contenders[12]; /* the first is the plain one */
        size_t n;
        unsigned rounds;
};

/* ---- options ---- */

struct bench_options {
        const char *build;   /* the build directory */
        const char *source;  /* the bench directory of the source tree */
        const char *bundles; /* OCI bundles: static, python; NULL: none could be made */
        const char *state;   /* crun's */
        const char *scratch; /* a folder of our own */
        const char *write;   /* file that gets the report too */
        const char *only;    /* groups whose title has this in it */
        unsigned rounds, slow_rounds, warmup, pause_ms, flow_ms, warm_ms, setups, burst;
};

/* Everything that is made of them. */
struct bench_paths {
        char hello[1024], retort[1024], libexec[1024], jailer[1024], init[1024], languages[1024], own[1024], all[1024], jupyter[1024];
        char env_libexec[1100], env_languages[1100], env_own[1100], env_home[1100], state[1100], static_bundle[1100], python_bundle[1100];
        char bwrap[64], crun[64];
};

/* ---- groups.c, rounds.c ---- */

enum { BENCH_STATIC, BENCH_PYTHON, BENCH_PANDAS, BENCH_NODE, BENCH_R, BENCH_RUBY, BENCH_PHP, BENCH_JAVA, BENCH_C, BENCH_CPP, BENCH_GROUPS };

/* Where Retort's contenders run. */
struct bench_places {
        retort_engine *own;       /* the static program */
        retort_engine *languages;
        retort_engine *cold;      /* languages; keeps nothing warm */
        struct bench_slot *slot;
        struct bench_http *http;
        struct bench_jupyter *jupyter;
};
void bench_set_up_groups(struct bench_group groups[BENCH_GROUPS], const struct bench_paths *p, const struct bench_options *o,
                         const struct bench_places *at);
void bench_measure_group(struct bench_group *group, const struct bench_options *o);
/* Whether the engine tells that runs of this language always start cold. */
bool bench_never_warm(retort_engine *engine, const char *language);
/* Which contenders have nothing to be warmed, as the engine tells of their languages. */
void bench_learn_warmth(struct bench_group groups[BENCH_GROUPS], retort_engine *engine);
/* Runs it until outcomes tell a start that is not cold several times on end, or the time is over. */
void bench_warm_up(struct bench_contender *c, unsigned at_most_ms);

/* ---- spawn.c: programs ---- */

int bench_run_program(struct bench_contender *c, struct bench_took *ret);
/* The path of a program; false and "" when it is not installed. */
bool bench_find(const char *name, char ret_path[64]);
/* The first line that a program prints. */
void bench_first_line(const char *program, const char *option, char *ret, size_t size);

/* ---- jupyter.c: a kernel ---- */

/* NULL: it cannot be started. */
struct bench_jupyter *bench_jupyter_open(const char *script);
void bench_jupyter_close(struct bench_jupyter *j);
int bench_run_jupyter(struct bench_contender *c, struct bench_took *ret);

/* ---- server/http.c: a server of our own ---- */

/* NULL: it did not start. */
struct bench_http *bench_http_open(const struct bench_paths *p, const struct bench_options *o);
void bench_http_close(struct bench_http *http);
int bench_run_http(struct bench_contender *c, struct bench_took *ret);

/* ---- library.c, boxed.c: Retort ---- */

int bench_run_library(struct bench_contender *c, struct bench_took *ret);
/* The same, also where several threads share a contender. */
int bench_run_once(const struct bench_contender *c, struct bench_took *ret, struct retort_error *err);
extern char bench_level[16]; /* the isolation that the library's last outcome told */

struct bench_engine {
        struct rt_samples open;
        struct rt_samples close;
        struct rt_samples warm; /* from opening until the first outcome */
};
/* Opens and closes the engine n times. 0, or -1 with *err. */
int bench_engine_setup(struct bench_engine *e, const struct retort_config *config, unsigned n, struct retort_error *err);

/* One slot without engine, runtime and outcome. */
struct bench_slot;
int bench_slot_open(struct bench_slot **ret, const struct bench_paths *p, struct retort_error *err);
void bench_slot_close(struct bench_slot *s);
/* Makes n more slots and throws them away. */
int bench_slot_setup(struct bench_slot *s, unsigned n, struct retort_error *err);
struct rt_samples *bench_slot_made(struct bench_slot *s);
struct rt_samples *bench_slot_recycled(struct bench_slot *s);
int bench_run_slot(struct bench_contender *c, struct bench_took *ret);

/* ---- load.c: many at once ---- */

struct bench_flow {
        const char *name;
        unsigned threads;
        double runs_per_second;
        double cpu_ms_per_run; /* of every process that takes part; 0: not known */
        uint64_t runs, failed;
        uint64_t by_start[RT_BENCH_STARTS];
        char why[256]; /* of the first failure */
};
/* Runs as fast as they go, on that many threads, for so long. */
void bench_flow(struct bench_flow *flow, const struct bench_contender *c, unsigned for_ms);

struct bench_burst {
        const char *name;
        unsigned asked, answered, failed; /* answered: rightly */
        struct rt_samples latency; /* from the first submission until each outcome */
        uint64_t cpu_ns;           /* of every process that takes part, until all has settled; 0: not known */
        uint64_t by_start[RT_BENCH_STARTS];
        char why[256];
};
/* So many requests at once, contenders in turn, all on one engine. */
void bench_burst(struct bench_burst *burst, const struct bench_contender *const *mix, size_t n_mix);
/* The same contender over HTTP, each on a connection of its own. */
void bench_burst_http(struct bench_burst *burst, struct bench_http *http);
/* cpu.c: of this process, what it has waited for, what lives below it and what ran in boxes. No engine may be closed between two
 * calls that are to be compared. */
uint64_t bench_cpu_ns(void);

/* What boxes that are ready own: the difference between an engine with many and one with few, shared out. */
struct bench_boxes {
        unsigned few, many; /* boxes there were */
        double private_mib, pss_mib;
        size_t start; /* of the last runs, the slower one's: what the boxes were ready for */
        char why[256];
};
void bench_boxes(struct bench_boxes *boxes, const struct bench_contender *c, const struct retort_config *config, unsigned warm_ms);

/* ---- report.c, aims.c ---- */

struct bench_results {
        struct bench_group groups[BENCH_GROUPS];
        struct bench_flow flows[8];
        size_t n_flows;
        struct bench_burst bursts[4];
        size_t n_bursts;
        struct bench_boxes boxes;
        struct bench_engine engine;
        struct rt_bench_memory memory;
};

void bench_print_machine(FILE *out);
void bench_print_load(FILE *out, const char *when);
void bench_print_group(FILE *out, struct bench_group *group);
void bench_print_costs(FILE *out, struct bench_engine *engine, struct bench_slot *slot);
void bench_print_flows(FILE *out, const struct bench_flow *flows, size_t n);
void bench_print_bursts(FILE *out, struct bench_burst *bursts, size_t n);
void bench_print_boxes(FILE *out, const struct bench_boxes *boxes);
void bench_print_memory(FILE *out, const struct rt_bench_memory *memory);
void bench_print_memory_rows(FILE *out, const struct rt_bench_memory *memory); /* without a title */
/* What issues 2 and 4 aim at, against what was measured in this run. */
void bench_print_aims(FILE *out, struct bench_results *results);

extern volatile sig_atomic_t bench_stopped; /* Ctrl-C: tell what there is */
