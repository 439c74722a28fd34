/* SPDX-License-Identifier: Apache-2.0
 *
 * Measuring one language: by hand, cold, warm, with a source that was compiled before, at full load.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"
#include "cli/bench.h"
#include "cli/cancel.h"
#include "cli/cli.h"

enum { STEADY = 5, SETTLE_MS = 300, WARM_PAUSE_MS = 20, PAUSE_MS = 5, A_ROUND = 5, A_ROUND_MS = 150, LEAST_ROUNDS = 3,
       CODE_MAX = 1 << 16, THREADS_MAX = 128 };

void rt_bench_progress(const struct rt_bench *b, const char *format, ...) {
        char text[256];
        va_list list;
        if (b->err < 0)
                return;
        va_start(list, format);
        (void)vsnprintf(text, sizeof text, format, list);
        va_end(list);
        (void)dprintf(b->err, "\r\033[K%s", text);
}

static void pause_ms(unsigned ms) {
        (void)usleep(ms * 1000); /* a signal ends it, which is right */
}

/* ---- one run ---- */

struct probe {
        uint64_t output_ns;
        uint64_t outcome_ns;
        size_t start;
        bool compiled;
};

static void on_event(const struct retort_event *event, void *userdata) {
        struct probe *probe = userdata;
        bool compiling = event->step_name && strcmp(event->step_name, "compile") == 0;
        if (event->type == RETORT_EVENT_STDOUT && !compiling && !probe->output_ns)
                probe->output_ns = event->at_ns;
}

static int judge(const struct retort_outcome *o, struct probe *ret, struct retort_error *err) {
        ret->start = rt_bench_start(o->start);
        ret->compiled = o->n_steps > 1;
        if (o->status != RETORT_OK)
                return rt_fail(err, RETORT_E_BUG, "its hello program ended as %s%s%s", retort_status_name(o->status),
                               o->message ? ": " : "", o->message ? o->message : "");
        return ret->output_ns ? 0 : rt_fail(err, RETORT_E_BUG, "its hello program printed nothing");
}

/* Can be cancelled by the command's signals; RETORT_E_CLOSED then. */
static int run_once(retort_engine *engine, const char *language, const char *code, struct probe *ret, struct retort_error *err) {
        struct retort_request request = { .language = language, .code = { code, strlen(code) } };
        struct retort_outcome *outcome = NULL;
        retort_run *run = NULL;
        *ret = (struct probe){ 0 };
        uint64_t begun = rt_now_ns();
        int r = retort_prepare(engine, &request, on_event, ret, &run, err);
        if (r < 0)
                return r;
        rt_cancel_watch(run);
        r = retort_perform(run, &outcome, err);
        ret->outcome_ns = rt_now_ns() - begun;
        rt_cancel_watch(NULL);
        if (r == 0)
                r = judge(outcome, ret, err);
        retort_outcome_free(outcome);
        retort_run_free(run);
        return rt_cancel_asked() ? RETORT_E_CLOSED : r;
}

/* ---- one language ---- */

struct bench_language {
        struct rt_bench *bench;
        struct rt_bench_language *l;
        struct rt_bench_plain *plain;
        retort_engine *engine;
        bool compiled;
        char same[CODE_MAX]; /* a source that the engine has seen */
};

static int note(struct bench_language *m, int r, const struct retort_error *err) {
        if (r < 0 && !rt_cancel_asked())
                (void)snprintf(m->l->why, sizeof m->l->why, "%.300s", err->message);
        return r;
}

static int keep(struct bench_language *m, enum rt_bench_kind kind, int r, const struct probe *probe, const struct retort_error *err) {
        if (r == 0) {
                struct rt_bench_times *times = &m->l->times[kind][probe->start];
                rt_samples_add(&times->output, probe->output_ns);
                rt_samples_add(&times->outcome, probe->outcome_ns);
        }
        return note(m, r, err);
}

static int measure_plain(struct bench_language *m) {
        uint64_t ns;
        if (!m->plain)
                return 0;
        if (rt_bench_plain_run(m->plain, &ns) == 0 && !rt_cancel_asked()) {
                rt_samples_add(&m->l->plain, ns);
        } else if (!rt_cancel_asked()) {
                (void)snprintf(m->l->no_plain, sizeof m->l->no_plain, "its hello program failed when started by hand");
                rt_bench_plain_close(rt_take(m->plain));
        }
        return 0;
}

static int measure_cold(struct bench_language *m) {
        struct retort_config config = m->bench->config;
        struct retort_error err = { 0 };
        struct probe probe;
        retort_engine *engine = NULL;
        char code[CODE_MAX];
        config.slots = 1;
        config.no_warm = true;
        rt_bench_renew(m->l->code, code, sizeof code);
        uint64_t begun = rt_now_ns();
        int r = retort_engine_open(&engine, &config, &err);
        if (r < 0)
                return note(m, r, &err);
        rt_samples_add(&m->bench->open, rt_now_ns() - begun);
        r = keep(m, RT_BENCH_COLD, run_once(engine, m->l->name, code, &probe, &err), &probe, &err);
        retort_engine_close(engine);
        return r;
}

/* Several times where that is quick: p99 wants many. */
static bool once_more(int done, uint64_t begun_ns) {
        return done == 0 || (done < A_ROUND && rt_now_ns() - begun_ns < A_ROUND_MS * 1000000ull);
}

static int measure_warm(struct bench_language *m) {
        struct retort_error err = { 0 };
        struct probe probe;
        char code[CODE_MAX];
        uint64_t begun = rt_now_ns();
        int r = 0;
        for (int i = 0; r == 0 && once_more(i, begun); i++) {
                rt_bench_renew(m->l->code, code, sizeof code);
                r = keep(m, RT_BENCH_WARM, run_once(m->engine, m->l->name, code, &probe, &err), &probe, &err);
                pause_ms(PAUSE_MS);
        }
        return r;
}

static int measure_same(struct bench_language *m) {
        struct retort_error err = { 0 };
        struct probe probe;
        uint64_t begun = rt_now_ns();
        int r = 0;
        for (int i = 0; r == 0 && m->compiled && once_more(i, begun); i++) {
                r = keep(m, RT_BENCH_SAME, run_once(m->engine, m->l->name, m->same, &probe, &err), &probe, &err);
                pause_ms(PAUSE_MS);
        }
        return r;
}

/* Until outcomes tell a start that is not cold, several times on end, or the time is over: then it is what it is. */
static int warm_up(struct bench_language *m) {
        struct retort_error err = { 0 };
        struct probe probe;
        uint64_t most_ns = m->l->warmth == RT_BENCH_CAN_WARM ? 4 * m->bench->warm_ns : m->bench->warm_ns;
        uint64_t deadline = rt_now_ns() + most_ns;
        int steady = 0, r;
        rt_bench_progress(m->bench, "%s: warming up", m->l->name);
        rt_bench_renew(m->l->code, m->same, sizeof m->same);
        do {
                r = note(m, run_once(m->engine, m->l->name, m->same, &probe, &err), &err);
                steady = probe.start + 1 < RT_BENCH_STARTS ? steady + 1 : 0;
                m->compiled = probe.compiled;
                pause_ms(WARM_PAUSE_MS);
        } while (r == 0 && m->l->warmth != RT_BENCH_NEVER_WARM && steady < STEADY && rt_now_ns() < deadline);
        if (r < 0)
                return r;
        if (m->l->warmth == RT_BENCH_CAN_WARM && steady < STEADY)
                (void)snprintf(m->l->note, sizeof m->l->note, "it can start warm, but did not within %.0f s", (double)most_ns / 1e9);
        pause_ms(SETTLE_MS);
        if (!rt_bench_memory(&m->l->memory))
                m->l->memory.n = 0;
        return 0;
}

static int measure_rounds(struct bench_language *m) {
        int (*const parts[])(struct bench_language *) = { measure_plain, measure_cold, measure_warm, measure_same };
        uint64_t deadline = rt_now_ns() + m->bench->budget_ns;
        int r = 0;
        for (unsigned round = 0; r == 0 && round < m->bench->rounds; round++) {
                if (m->bench->budget_ns && round >= LEAST_ROUNDS && rt_now_ns() > deadline)
                        break;
                rt_bench_progress(m->bench, "%s: round %u of %u", m->l->name, round + 1, m->bench->rounds);
                for (size_t i = 0; r == 0 && i < RT_LEN(parts); i++) {
                        r = rt_cancel_asked() ? RETORT_E_CLOSED : parts[(i + round) % RT_LEN(parts)](m);
                        pause_ms(PAUSE_MS);
                }
        }
        return r;
}

/* ---- full load ---- */

struct worker {
        struct bench_language *m;
        uint64_t deadline_ns;
        pthread_t thread;
        bool started;
        struct rt_bench_flow flow;
        char why[300];
};

static void *work(void *argument) {
        struct worker *w = argument;
        struct bench_language *m = w->m;
        char code[CODE_MAX];
        while (!rt_cancel_asked() && rt_now_ns() < w->deadline_ns) {
                struct retort_error err = { 0 };
                struct retort_outcome *outcome = NULL;
                struct probe probe = { 0 };
                rt_bench_renew(m->l->code, code, sizeof code);
                struct retort_request request = { .language = m->l->name, .code = { code, strlen(code) } };
                uint64_t begun = rt_now_ns();
                int r = retort_run_wait(m->engine, &request, on_event, &probe, &outcome, &err);
                if (r == 0)
                        r = judge(outcome, &probe, &err);
                retort_outcome_free(outcome);
                w->flow.runs++;
                w->flow.by_start[probe.start]++;
                rt_samples_add(&w->flow.outcome, rt_now_ns() - begun);
                if (r < 0 && w->flow.failed++ == 0)
                        (void)snprintf(w->why, sizeof w->why, "%.290s", err.message);
        }
        return NULL;
}

static void gather(struct bench_language *m, struct worker *w) {
        struct rt_bench_flow *flow = &m->l->flow;
        flow->threads++;
        flow->runs += w->flow.runs;
        flow->failed += w->flow.failed;
        for (size_t i = 0; i < RT_BENCH_STARTS; i++)
                flow->by_start[i] += w->flow.by_start[i];
        rt_samples_move(&flow->outcome, &w->flow.outcome);
        if (w->why[0] && !m->l->why[0])
                (void)snprintf(m->l->why, sizeof m->l->why, "at full load: %s", w->why);
}

static void measure_flow(struct bench_language *m) {
        unsigned n = rt_bench_cpus() < THREADS_MAX ? rt_bench_cpus() : THREADS_MAX;
        rt_auto_free struct worker *workers = calloc(n, sizeof *workers);
        uint64_t begun = rt_now_ns();
        rt_bench_progress(m->bench, "%s: at full load, %u threads", m->l->name, n);
        for (unsigned i = 0; workers && i < n; i++) {
                workers[i].m = m;
                workers[i].deadline_ns = begun + m->bench->flow_ns;
                workers[i].started = pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0;
        }
        for (unsigned i = 0; workers && i < n; i++)
                if (workers[i].started && pthread_join(workers[i].thread, NULL) == 0)
                        gather(m, &workers[i]);
        m->l->flow.took_ns = rt_now_ns() - begun;
}

void rt_bench_measure(struct rt_bench *bench, struct rt_bench_language *l) {
        struct retort_error err = { 0 };
        rt_auto_free struct bench_language *m = calloc(1, sizeof *m);
        if (!m)
                return;
        m->bench = bench;
        m->l = l;
        rt_bench_progress(bench, "%s: opening", l->name);
        if (note(m, retort_engine_open(&m->engine, &bench->config, &err), &err) < 0)
                return;
        m->plain = rt_bench_plain_open(l->name, l->code, l->no_plain, sizeof l->no_plain);
        int r = warm_up(m);
        if (r == 0)
                r = measure_rounds(m);
        if (r == 0)
                measure_flow(m);
        rt_bench_plain_close(m->plain);
        retort_engine_close(m->engine);
        rt_bench_progress(bench, "%s", "");
}
