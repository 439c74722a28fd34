/* SPDX-License-Identifier: Apache-2.0
 *
 * The measuring program. A *contender* is one way to run a program; what is timed is the whole of it, from asking
 * until the complete output and the exit status are both known. The contenders of a *group* run the same program, in
 * rounds: each once a round, in an order drawn anew, with a pause in between, so that what one leaves behind for later
 * (recycling, the kernel's own tidying) and what else the machine does falls on nobody in particular.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

#include "box/box.h"
#include "retort.h"

/* ---- samples.c: nanoseconds, and what they say ---- */

struct bench_samples {
        uint64_t *values;
        size_t n;
        size_t room;
};

void bench_add(struct bench_samples *samples, uint64_t value);
/* part is 0 (the smallest) to 1 (the largest); 0 when there are none. Sorts. */
uint64_t bench_at(struct bench_samples *samples, double part);
void bench_forget(struct bench_samples *samples);

/* ---- contenders ---- */

struct bench_contender {
        const char *name;
        bool is_sandbox;
        /* Runs it once. 0, or -1 and *why says what was wrong. *ret_cpu_ns is 0 where one run's CPU time cannot be told. */
        int (*run)(struct bench_contender *c, uint64_t *ret_ns, uint64_t *ret_cpu_ns);
        char why[256]; /* not "": it is skipped, and this is the reason */

        const char *expected; /* what it prints */
        const char *argv[40]; /* started: the program, by its path */
        const char *env[4];
        bool without_cgroup2; /* started in a mount namespace where a hybrid's cgroup2 is not mounted */
        retort_engine *engine; /* library: where, and what */
        const char *language;
        const char *code;
        struct bench_slot *slot; /* box alone */

        struct bench_samples wall;
        struct bench_samples cpu;
};

/* A contender that cannot go on: its reason, as for printf. Always -1. */
int bench_fail(struct bench_contender *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- spawn.c: programs ---- */

int bench_run_program(struct bench_contender *c, uint64_t *ret_ns, uint64_t *ret_cpu_ns);
/* The path of a program; false and "" when it is not installed. */
bool bench_find(const char *name, char ret_path[64]);
/* The first line that a program prints. */
void bench_first_line(const char *program, const char *option, char *ret, size_t size);

/* ---- engine.c and boxed.c: Retort ---- */

int bench_run_library(struct bench_contender *c, uint64_t *ret_ns, uint64_t *ret_cpu_ns);
extern char bench_level[16]; /* the isolation that the library's last outcome told */

struct bench_engine {
        struct bench_samples open;
        struct bench_samples close;
        struct bench_samples warm; /* from opening until the first outcome */
};
/* Opens and closes the engine n times. 0, or -1 with *err. */
int bench_engine_setup(struct bench_engine *e, const struct retort_config *config, unsigned n, struct retort_error *err);

struct bench_flow {
        unsigned threads;
        double runs_per_second;
        double cpu_ms_per_run; /* of every process that takes part */
        unsigned failed;
};
/* As many runs as fast as they go, on that many threads. */
int bench_flow(struct bench_flow *flow, const struct retort_config *config, unsigned runs, struct retort_error *err);

struct bench_memory {
        struct {
                char name[32];
                unsigned processes;
                uint64_t rss_bytes; /* of all of this name together */
                uint64_t pss_bytes;
        } kinds[8];
        unsigned n;
};
/* The processes below this one, by name. False where the kernel does not tell. */
bool bench_memory(struct bench_memory *memory);

/* One slot without engine, runtime and outcome. */
struct bench_slot {
        struct rt_jail *jail;
        struct rt_slot *slot;
        struct bench_samples make;
        struct bench_samples recycle;
};
int bench_slot_open(struct bench_slot *s, const struct rt_jail_config *config, struct retort_error *err);
void bench_slot_close(struct bench_slot *s);
/* Makes n more slots and throws them away. */
int bench_slot_setup(struct bench_slot *s, unsigned n, struct retort_error *err);
int bench_run_slot(struct bench_contender *c, uint64_t *ret_ns, uint64_t *ret_cpu_ns);

/* ---- report.c ---- */

struct bench_group {
        const char *title;
        struct bench_contender contenders[10]; /* the first is the plain one */
        size_t n;
        unsigned rounds;
};

void bench_print_machine(FILE *out);
void bench_print_load(FILE *out, const char *when);
void bench_print_group(FILE *out, struct bench_group *group);
void bench_print_costs(FILE *out, struct bench_engine *engine, struct bench_slot *slot);
void bench_print_flows(FILE *out, const struct bench_flow *flows, size_t n);
void bench_print_memory(FILE *out, const struct bench_memory *memory);
void bench_print_memory_rows(FILE *out, const struct bench_memory *memory); /* without a title */
/* The aims of issue 2 against the group of the static program. */
void bench_print_aims(FILE *out, struct bench_group *group);

extern volatile sig_atomic_t bench_stopped; /* Ctrl-C: tell what there is */
