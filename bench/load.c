/* SPDX-License-Identifier: Apache-2.0
 *
 * Many at once: as many as go on so many threads, bursts, and the memory of many boxes.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "bench.h"

enum { THREADS_MAX = 128, SETTLE_MS = 500, STEADY = 5, WARM_PAUSE_MS = 20 };

/* ---- CPU time ---- */

/* Since then; 0 when more was lost than used. */
static uint64_t cpu_since(uint64_t before) {
        uint64_t now = bench_cpu_ns();
        return now > before ? now - before : 0;
}

/* ---- warming up ---- */

bool bench_never_warm(retort_engine *engine, const char *language) {
        rt_auto_free char *json = NULL;
        bool never = false;
        size_t i;
        json_t *one;
        if (retort_engine_languages(engine, &json, NULL) < 0)
                return false;
        json_t *languages = json_loads(json, 0, NULL);
        json_array_foreach(languages, i, one) {
                const char *name = json_string_value(json_object_get(one, "name"));
                if (name && strcmp(name, language) == 0)
                        never = rt_bench_warmth(one) == RT_BENCH_NEVER_WARM;
        }
        json_decref(languages);
        return never;
}

void bench_warm_up(struct bench_contender *c, unsigned at_most_ms) {
        uint64_t deadline = rt_now_ns() + at_most_ms * 1000000ull;
        for (int steady = 0; steady < STEADY && rt_now_ns() < deadline && !c->why[0] && !c->stays_cold && !bench_stopped;) {
                struct bench_took took = { 0 };
                if (c->run(c, &took) < 0)
                        return;
                steady = took.start + 1 < RT_BENCH_STARTS ? steady + 1 : 0;
                (void)usleep(WARM_PAUSE_MS * 1000);
        }
}

/* ---- as many as go ---- */

struct worker {
        const struct bench_contender *c;
        uint64_t deadline_ns;
        pthread_t thread;
        bool started;
        struct bench_flow flow;
};

static void *work(void *argument) {
        struct worker *w = argument;
        while (!bench_stopped && rt_now_ns() < w->deadline_ns) {
                struct retort_error err = { 0 };
                struct bench_took took = { 0 };
                int r = bench_run_once(w->c, &took, &err);
                w->flow.runs++;
                w->flow.by_start[took.start]++;
                if (r < 0 && w->flow.failed++ == 0)
                        (void)snprintf(w->flow.why, sizeof w->flow.why, "%.250s", err.message);
        }
        return NULL;
}

void bench_flow(struct bench_flow *flow, const struct bench_contender *c, unsigned for_ms) {
        struct worker *workers = calloc(flow->threads, sizeof *workers);
        uint64_t cpu = bench_cpu_ns(), begun = rt_now_ns();
        for (unsigned i = 0; workers && i < flow->threads; i++) {
                workers[i].c = c;
                workers[i].deadline_ns = begun + for_ms * 1000000ull;
                workers[i].started = pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0;
        }
        for (unsigned i = 0; workers && i < flow->threads; i++) {
                if (!workers[i].started || pthread_join(workers[i].thread, NULL) != 0)
                        continue;
                flow->runs += workers[i].flow.runs;
                flow->failed += workers[i].flow.failed;
                for (size_t s = 0; s < RT_BENCH_STARTS; s++)
                        flow->by_start[s] += workers[i].flow.by_start[s];
                if (!flow->why[0])
                        (void)snprintf(flow->why, sizeof flow->why, "%s", workers[i].flow.why);
        }
        uint64_t took = rt_now_ns() - begun;
        (void)usleep(SETTLE_MS * 1000); /* what the last ones left to be tidied is theirs */
        if (flow->runs > 0) {
                flow->runs_per_second = (double)flow->runs * 1e9 / (double)took;
                flow->cpu_ms_per_run = (double)cpu_since(cpu) / 1e6 / (double)flow->runs;
        }
        free(workers);
}

/* ---- a burst ---- */

struct shot {
        const struct bench_contender *c;
        retort_run *run;
        _Atomic uint64_t ended_ns;
};

static void on_event(const struct retort_event *event, void *userdata) {
        struct shot *shot = userdata;
        if (event->type == RETORT_EVENT_END)
                atomic_store(&shot->ended_ns, rt_now_ns());
}

static void shot_failed(struct bench_burst *b, const char *why) {
        if (b->failed++ == 0)
                (void)snprintf(b->why, sizeof b->why, "%.250s", why);
}

static void submit(struct bench_burst *b, struct shot *shot) {
        struct retort_error err = { 0 };
        char code[8192];
        (void)snprintf(code, sizeof code, "%s", shot->c->code);
        if (shot->c->renew)
                rt_bench_renew(shot->c->code, code, sizeof code);
        struct retort_request request = { .language = shot->c->language, .code = { code, strlen(code) } };
        if (retort_submit(shot->c->engine, &request, on_event, shot, &shot->run, &err) < 0)
                shot_failed(b, err.message);
}

static void collect(struct bench_burst *b, struct shot *shot, uint64_t begun_ns) {
        struct retort_error err = { 0 };
        struct retort_outcome *o = NULL;
        if (!shot->run)
                return;
        if (retort_wait(shot->run, -1, &o, &err) < 0) {
                shot_failed(b, err.message);
                return;
        }
        b->by_start[rt_bench_start(o->start)]++;
        rt_samples_add(&b->latency, atomic_load(&shot->ended_ns) - begun_ns);
        if (o->status != RETORT_OK || o->stdout_data.size != strlen(shot->c->expected) ||
            memcmp(o->stdout_data.data, shot->c->expected, o->stdout_data.size) != 0)
                shot_failed(b, o->message ? o->message : retort_status_name(o->status));
        else
                b->answered++;
        retort_outcome_free(o);
}

void bench_burst(struct bench_burst *b, const struct bench_contender *const *mix, size_t n_mix) {
        struct shot *shots = calloc(b->asked, sizeof *shots);
        uint64_t cpu = bench_cpu_ns(), begun = rt_now_ns();
        for (unsigned i = 0; shots && i < b->asked; i++) {
                shots[i].c = mix[i % n_mix];
                submit(b, &shots[i]);
        }
        for (unsigned i = 0; shots && i < b->asked; i++) {
                collect(b, &shots[i], begun);
                retort_run_free(shots[i].run);
        }
        (void)usleep(SETTLE_MS * 1000);
        b->cpu_ns = cpu_since(cpu);
        free(shots);
}

/* ---- memory ---- */

static int weigh(struct bench_contender *c, const struct retort_config *config, unsigned warm, unsigned warm_ms, struct rt_bench_memory *ret,
                 size_t *ret_start, struct retort_error *err) {
        struct retort_config more = *config;
        struct bench_took took = { 0 };
        more.slots = more.warm_slots = warm;
        int r = retort_engine_open(&c->engine, &more, err);
        if (r < 0)
                return r;
        c->stays_cold = bench_never_warm(c->engine, c->language);
        bench_warm_up(c, warm_ms);
        if (!c->why[0])
                (void)c->run(c, &took);
        *ret_start = took.start > *ret_start ? took.start : *ret_start;
        for (int i = 0; i < 50 && (!rt_bench_memory(ret) || ret->boxes < warm); i++)
                (void)usleep(100000);
        (void)usleep(2 * SETTLE_MS * 1000); /* parking goes on behind */
        if (!rt_bench_memory(ret) || ret->boxes < 1)
                (void)bench_fail(c, "the kernel does not tell this user, or no box is kept ready");
        retort_engine_close(c->engine);
        return 0;
}

void bench_boxes(struct bench_boxes *b, const struct bench_contender *c, const struct retort_config *config, unsigned warm_ms) {
        struct bench_contender own = { .run = bench_run_library, .language = c->language, .code = c->code, .expected = c->expected };
        struct rt_bench_memory few = { 0 }, many = { 0 };
        struct retort_error err = { 0 };
        int r = weigh(&own, config, 2, warm_ms, &few, &b->start, &err);
        if (r == 0 && !own.why[0])
                r = weigh(&own, config, 10, warm_ms, &many, &b->start, &err);
        if (r < 0 || own.why[0] || many.boxes <= few.boxes) {
                (void)snprintf(b->why, sizeof b->why, "%.250s", r < 0 ? err.message : own.why[0] ? own.why : "more boxes could not be had");
                return;
        }
        b->few = few.boxes;
        b->many = many.boxes;
        double boxes = many.boxes - few.boxes;
        b->private_mib = ((double)many.private_bytes - (double)few.private_bytes) / boxes / (1 << 20);
        b->pss_mib = ((double)many.pss_bytes - (double)few.pss_bytes) / boxes / (1 << 20);
}
