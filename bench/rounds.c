/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <unistd.h>

#include "base/util.h"
#include "bench.h"

static void keep(struct bench_contender *c, const struct bench_took *took) {
        rt_samples_add(&c->wall, took->wall_ns);
        if (took->cpu_ns)
                rt_samples_add(&c->cpu, took->cpu_ns);
        if (!c->is_retort)
                return;
        rt_samples_add(&c->by_start[took->start].outcome, took->wall_ns);
        if (took->output_ns)
                rt_samples_add(&c->by_start[took->start].output, took->output_ns);
}

static void measure(struct bench_contender *c, const struct bench_options *o, bool counts) {
        struct bench_took took = { 0 };
        if (c->why[0] || bench_stopped)
                return;
        if (c->run(c, &took) < 0) {
                if (bench_stopped)
                        c->why[0] = 0; /* Ctrl-C ends the program too; what was measured before is good */
                return;
        }
        if (counts && !bench_stopped)
                keep(c, &took);
        (void)usleep(o->pause_ms * 1000);
}

void bench_learn_warmth(struct bench_group groups[BENCH_GROUPS], retort_engine *engine) {
        for (size_t i = 0; i < BENCH_GROUPS; i++)
                for (size_t k = 0; k < groups[i].n; k++) {
                        struct bench_contender *c = &groups[i].contenders[k];
                        /* The static program's language is not among the others. */
                        if (c->language && (i == BENCH_STATIC || bench_never_warm(engine, c->language)))
                                c->stays_cold = true;
                }
}

static void shuffle(size_t *order, size_t n, unsigned *seed) {
        for (size_t i = n; i > 1; i--) {
                size_t j = (size_t)rand_r(seed) % i;
                size_t kept = order[i - 1];
                order[i - 1] = order[j];
                order[j] = kept;
        }
}

void bench_measure_group(struct bench_group *g, const struct bench_options *o) {
        size_t order[RT_LEN(g->contenders)];
        unsigned seed = 1;
        bool tell = isatty(2);
        for (size_t i = 0; i < g->n; i++) {
                order[i] = i;
                if (!g->contenders[i].is_retort || g->contenders[i].stays_cold)
                        continue;
                if (tell)
                        fprintf(stderr, "\r\033[K%s: warming up %s", g->title, g->contenders[i].name);
                bench_warm_up(&g->contenders[i], o->warm_ms);
        }
        for (unsigned round = 0; round < o->warmup + g->rounds && !bench_stopped; round++) {
                if (tell)
                        fprintf(stderr, "\r\033[K%s: round %u of %u", g->title, round + 1, o->warmup + g->rounds);
                shuffle(order, g->n, &seed);
                for (size_t i = 0; i < g->n; i++) {
                        struct bench_contender *c = &g->contenders[order[i]];
                        if (c->every == 0 || round % c->every == 0)
                                measure(c, o, round >= o->warmup || c->every > 0);
                }
        }
        if (tell)
                fprintf(stderr, "\r\033[K");
}

void bench_forget_contender(struct bench_contender *c) {
        rt_samples_clear(&c->wall);
        rt_samples_clear(&c->cpu);
        for (size_t i = 0; i < RT_BENCH_STARTS; i++) {
                rt_samples_clear(&c->by_start[i].output);
                rt_samples_clear(&c->by_start[i].outcome);
        }
}
