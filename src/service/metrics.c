/* SPDX-License-Identifier: Apache-2.0 */
#include "service/metrics.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"

/* Runtimes times statuses is far below; more than this would mean that something unbounded became a label. */
enum { MAX_SERIES = 1024, MAX_LANGUAGE = 40 };

static const double bounds[] = { 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60 };

struct histogram {
        uint64_t counts[RT_LEN(bounds) + 1]; /* the last: above all bounds */
        double sum;
};

enum phase { QUEUE, SETUP, RUN, TOTAL, PHASES };
static const char *const phases[PHASES][2] = {
        { "queue_seconds", "Time runs waited for a box." },
        { "setup_seconds", "Time taken to make boxes and files ready." },
        { "run_seconds", "Wall-clock time of the programs." },
        { "total_seconds", "Time from accepting a run to its outcome." },
};

struct rt_metrics_series {
        struct rt_metrics_series *next;
        char language[MAX_LANGUAGE];
        enum retort_status status;
        uint64_t runs;
        struct histogram phases[PHASES];
};

struct rt_metrics_lock {
        pthread_mutex_t mutex;
        size_t n_series;
};

int rt_metrics_init(struct rt_metrics *metrics) {
        *metrics = (struct rt_metrics){ .lock = calloc(1, sizeof *metrics->lock) };
        if (metrics->lock)
                (void)pthread_mutex_init(&metrics->lock->mutex, NULL);
        return metrics->lock ? 0 : RETORT_E_NOMEM;
}

static void free_series(struct rt_metrics_series *series) {
        while (series) {
                struct rt_metrics_series *next = series->next;
                free(series);
                series = next;
        }
}

void rt_metrics_clear(struct rt_metrics *metrics) {
        free_series(rt_take(metrics->series));
        free_series(rt_take(metrics->cells));
        if (metrics->lock)
                (void)pthread_mutex_destroy(&metrics->lock->mutex);
        free(metrics->lock);
        metrics->lock = NULL;
}

/* ---- counting ---- */

static void observe(struct histogram *histogram, uint64_t ns) {
        double seconds = (double)ns / 1e9;
        size_t b = 0;
        while (b < RT_LEN(bounds) && seconds > bounds[b])
                b++;
        histogram->counts[b]++;
        histogram->sum += seconds;
}

static struct rt_metrics_series *series_of(struct rt_metrics *metrics, struct rt_metrics_series **list, const char *language,
                                           enum retort_status status) {
        struct rt_metrics_series *s = *list;
        while (s && (s->status != status || strncmp(s->language, language, MAX_LANGUAGE - 1) != 0))
                s = s->next;
        if (s || metrics->lock->n_series >= MAX_SERIES)
                return s;
        s = calloc(1, sizeof *s);
        if (!s)
                return NULL;
        (void)snprintf(s->language, sizeof s->language, "%s", language);
        for (char *p = s->language; *p; p++) /* it is a runtime's name; a label must be safe whatever it is */
                if (*p < 0x20 || *p == '"' || *p == '\\' || *p == 0x7f)
                        *p = '?';
        s->status = status;
        s->next = *list;
        *list = s;
        metrics->lock->n_series++;
        return s;
}

static void count_start(struct rt_metrics *metrics, const char *start) {
        const struct {
                const char *name;
                atomic_ullong *counter;
        } all[] = { { "cold", &metrics->starts_cold }, { "fork", &metrics->starts_fork }, { "parked", &metrics->starts_parked },
                    { "pool", &metrics->starts_pool } };
        for (size_t i = 0; start && i < RT_LEN(all); i++)
                if (strcmp(all[i].name, start) == 0)
                        atomic_fetch_add(all[i].counter, 1);
}

void rt_metrics_run(struct rt_metrics *metrics, const struct retort_outcome *outcome, uint64_t total_ns) {
        count_start(metrics, outcome->start);
        (void)pthread_mutex_lock(&metrics->lock->mutex);
        struct rt_metrics_series *s = series_of(metrics, &metrics->series, outcome->language ? outcome->language : "", outcome->status);
        if (s) {
                s->runs++;
                observe(&s->phases[QUEUE], outcome->usage.queue_ns);
                observe(&s->phases[SETUP], outcome->usage.setup_ns);
                observe(&s->phases[RUN], outcome->usage.wall_ns);
                observe(&s->phases[TOTAL], total_ns);
        }
        (void)pthread_mutex_unlock(&metrics->lock->mutex);
}

void rt_metrics_cell(struct rt_metrics *metrics, const struct retort_outcome *outcome) {
        (void)pthread_mutex_lock(&metrics->lock->mutex);
        struct rt_metrics_series *s = series_of(metrics, &metrics->cells, outcome->language ? outcome->language : "", outcome->status);
        if (s) {
                s->runs++;
                observe(&s->phases[RUN], outcome->usage.wall_ns);
        }
        (void)pthread_mutex_unlock(&metrics->lock->mutex);
}

/* ---- text ---- */

static void head(struct rt_buf *out, const char *name, const char *type, const char *help) {
        (void)rt_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void gauge(struct rt_buf *out, const char *name, uint64_t value, const char *help) {
        head(out, name, "gauge", help);
        (void)rt_buf_printf(out, "%s %" PRIu64 "\n", name, value);
}

static void add_counters(struct rt_metrics *metrics, struct rt_buf *out) {
#define X(member, name, label, help)                                                                                   \
        if (*(help))                                                                                                   \
                head(out, "retort_" name, "counter", help);                                                            \
        (void)rt_buf_printf(out, "retort_%s%s %llu\n", name, label, atomic_load(&metrics->member));
        RT_COUNTERS(X)
#undef X
}

static void add_histogram(struct rt_buf *out, const char *name, const struct rt_metrics_series *s, enum phase phase) {
        const struct histogram *h = &s->phases[phase];
        char labels[128];
        (void)snprintf(labels, sizeof labels, "language=\"%s\",status=\"%s\"", s->language, retort_status_name(s->status));
        uint64_t sum = 0;
        for (size_t b = 0; b <= RT_LEN(bounds); b++) {
                sum += h->counts[b];
                if (b < RT_LEN(bounds))
                        (void)rt_buf_printf(out, "retort_%s_bucket{%s,le=\"%g\"} %" PRIu64 "\n", name, labels,
                                            bounds[b], sum);
                else
                        (void)rt_buf_printf(out, "retort_%s_bucket{%s,le=\"+Inf\"} %" PRIu64 "\n", name, labels, sum);
        }
        (void)rt_buf_printf(out, "retort_%s_sum{%s} %.9g\nretort_%s_count{%s} %" PRIu64 "\n", name, labels, h->sum, name, labels, sum);
}

static void add_cells(const struct rt_metrics_series *cells, struct rt_buf *out) {
        if (!cells)
                return;
        head(out, "retort_cells_total", "counter", "Finished cells of contexts.");
        for (const struct rt_metrics_series *s = cells; s; s = s->next)
                (void)rt_buf_printf(out, "retort_cells_total{language=\"%s\",status=\"%s\"} %" PRIu64 "\n", s->language,
                                    retort_status_name(s->status), s->runs);
        head(out, "retort_cell_seconds", "histogram", "Wall-clock time of cells.");
        for (const struct rt_metrics_series *s = cells; s; s = s->next)
                add_histogram(out, "cell_seconds", s, RUN);
}

static void add_series(struct rt_metrics *metrics, struct rt_buf *out) {
        (void)pthread_mutex_lock(&metrics->lock->mutex);
        if (metrics->series)
                head(out, "retort_runs_total", "counter", "Finished runs, jobs included.");
        for (const struct rt_metrics_series *s = metrics->series; s; s = s->next)
                (void)rt_buf_printf(out, "retort_runs_total{language=\"%s\",status=\"%s\"} %" PRIu64 "\n", s->language,
                                    retort_status_name(s->status), s->runs);
        for (int phase = 0; phase < PHASES && metrics->series; phase++) {
                char name[40];
                (void)snprintf(name, sizeof name, "retort_%s", phases[phase][0]);
                head(out, name, "histogram", phases[phase][1]);
                for (const struct rt_metrics_series *s = metrics->series; s; s = s->next)
                        add_histogram(out, phases[phase][0], s, (enum phase)phase);
        }
        add_cells(metrics->cells, out);
        (void)pthread_mutex_unlock(&metrics->lock->mutex);
}

static void add_gauges(const struct rt_metrics_now *now, struct rt_buf *out) {
        head(out, "retort_build_info", "gauge", "Which Retort this is.");
        (void)rt_buf_printf(out, "retort_build_info{version=\"%s\"} 1\n", RETORT_VERSION);
        gauge(out, "retort_slots", now->slots, "Boxes at most at once.");
        gauge(out, "retort_slots_busy", now->slots_busy, "Boxes in use.");
        head(out, "retort_queue_length", "gauge", "What waits for a box.");
        (void)rt_buf_printf(out, "retort_queue_length{kind=\"run\"} %" PRIu64 "\nretort_queue_length{kind=\"job\"} %" PRIu64 "\n",
                            now->runs_waiting, now->jobs_waiting);
        gauge(out, "retort_tenants", now->tenants, "Tenants seen lately.");
        gauge(out, "retort_keys", now->keys, "API keys known.");
        gauge(out, "retort_followers", now->followers, "Followers of jobs.");
        gauge(out, "retort_draining", now->draining, "1 while the server stops.");
        head(out, "retort_store_commits_total", "counter", "Transactions of the store.");
        (void)rt_buf_printf(out, "retort_store_commits_total %" PRIu64 "\n", now->store.commits);
        head(out, "retort_store_writes_total", "counter", "Writes of the store.");
        (void)rt_buf_printf(out, "retort_store_writes_total %" PRIu64 "\n", now->store.writes);
        gauge(out, "retort_store_waiting", now->store.waiting, "Writes that wait for their commit.");
        gauge(out, "retort_store_file_bytes", now->store.file_bytes, "Size of the database.");
}

static void add_contexts(const struct rt_metrics_now *now, struct rt_buf *out) {
        head(out, "retort_contexts", "gauge", "Contexts, by how they are.");
        for (size_t i = 0; i < now->n_context_languages; i++)
                for (int state = 0; state <= RETORT_CONTEXT_DEAD; state++)
                        (void)rt_buf_printf(out, "retort_contexts{state=\"%s\",language=\"%s\"} %" PRIu64 "\n",
                                            retort_context_state_name((enum retort_context_state)state), now->contexts[i].language,
                                            now->contexts[i].states[state]);
        gauge(out, "retort_context_calls", now->calls, "Calls on contexts that go on, or wait for their turn.");
        gauge(out, "retort_context_threads", now->crew, "Threads that calls on contexts go on on.");
}

static void add_cache(const struct retort_cache_stats *cache, struct rt_buf *out) {
        head(out, "retort_compile_cache_total", "counter", "Compile steps by what the cache did: passed may not be kept.");
        (void)rt_buf_printf(out, "retort_compile_cache_total{result=\"hit\"} %" PRIu64 "\n"
                            "retort_compile_cache_total{result=\"miss\"} %" PRIu64 "\n"
                            "retort_compile_cache_total{result=\"passed\"} %" PRIu64 "\n", cache->hits, cache->misses, cache->passed);
        head(out, "retort_compile_cache_evicted_total", "counter", "Compiled programs that made room for others.");
        (void)rt_buf_printf(out, "retort_compile_cache_evicted_total %" PRIu64 "\n", cache->evicted);
        head(out, "retort_compile_cache_emptied_total", "counter", "Times that a compiler, header or library changed.");
        (void)rt_buf_printf(out, "retort_compile_cache_emptied_total %" PRIu64 "\n", cache->emptied);
        gauge(out, "retort_compile_cache_programs", cache->programs, "Compiled programs kept.");
        gauge(out, "retort_compile_cache_bytes", cache->bytes, "Memory that they take.");
}

static void add_process(struct rt_buf *out) {
        rt_auto_free char *text = NULL;
        size_t size = 0;
        unsigned long long pages = 0;
        if (rt_read_file_at(AT_FDCWD, "/proc/self/statm", 4096, &text, &size, NULL) == 0)
                (void)sscanf(text, "%*u %llu", &pages);
        gauge(out, "process_resident_memory_bytes", pages * (uint64_t)sysconf(_SC_PAGESIZE), "Memory in use.");
        gauge(out, "process_open_fds", (uint64_t)rt_count_fds(), "Open descriptors.");
        struct timespec cpu = { 0 };
        (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
        head(out, "process_cpu_seconds_total", "counter", "CPU time used.");
        (void)rt_buf_printf(out, "process_cpu_seconds_total %.3f\n", (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9);
}

int rt_metrics_text(struct rt_metrics *metrics, const struct rt_metrics_now *now, struct rt_buf *out) {
        add_gauges(now, out);
        add_contexts(now, out);
        add_counters(metrics, out);
        add_cache(&now->cache, out);
        add_series(metrics, out);
        add_process(out);
        return out->data && out->size < out->cap ? 0 : RETORT_E_NOMEM;
}
