/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "bench.h"

char bench_level[16] = "unknown";

/* ---- one run ---- */

static int run_once(retort_engine *engine, const struct bench_contender *c, uint64_t *ret_ns, struct retort_error *err) {
        struct retort_request request = { .language = c->language, .code = { c->code, strlen(c->code) } };
        struct retort_outcome *o = NULL;
        uint64_t begun = rt_now_ns();
        int r = retort_run_wait(engine, &request, NULL, NULL, &o, err);
        *ret_ns = rt_now_ns() - begun;
        if (r < 0)
                return r;
        (void)snprintf(bench_level, sizeof bench_level, "%s", o->isolation_level);
        bool good = o->status == RETORT_OK && o->stdout_data.size == strlen(c->expected) &&
                    memcmp(o->stdout_data.data, c->expected, o->stdout_data.size) == 0;
        if (!good)
                (void)snprintf(err->message, sizeof err->message, "status %s: %s", retort_status_name(o->status),
                               o->message ? o->message : "");
        retort_outcome_free(o);
        return good ? 0 : RETORT_E_BUG;
}

int bench_run_library(struct bench_contender *c, uint64_t *ret_ns, uint64_t *ret_cpu_ns) {
        struct retort_error err = { 0 };
        *ret_cpu_ns = 0;
        return run_once(c->engine, c, ret_ns, &err) < 0 ? bench_fail(c, "%s", err.message) : 0;
}

/* ---- opening and closing ---- */

static const struct bench_contender hello = { .language = "exec", .code = "x", .expected = "hello\n" };

int bench_engine_setup(struct bench_engine *e, const struct retort_config *config, unsigned n, struct retort_error *err) {
        for (unsigned i = 0; i < n && !bench_stopped; i++) {
                retort_engine *engine = NULL;
                uint64_t begun = rt_now_ns(), unused;
                int r = retort_engine_open(&engine, config, err);
                if (r < 0)
                        return r;
                bench_add(&e->open, rt_now_ns() - begun);
                r = run_once(engine, &hello, &unused, err);
                bench_add(&e->warm, rt_now_ns() - begun);
                begun = rt_now_ns();
                retort_engine_close(engine);
                bench_add(&e->close, rt_now_ns() - begun);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- as many as go ---- */

struct work {
        retort_engine *engine;
        atomic_int left;
        atomic_uint failed;
};

static void *do_work(void *argument) {
        struct work *w = argument;
        struct retort_error err = { 0 };
        uint64_t unused;
        while (!bench_stopped && atomic_fetch_sub(&w->left, 1) > 0)
                if (run_once(w->engine, &hello, &unused, &err) < 0)
                        atomic_fetch_add(&w->failed, 1);
        return NULL;
}

/* Ours and that of every process we have waited for. */
static double cpu_ms(void) {
        double ms = 0;
        static const int whose[] = { RUSAGE_SELF, RUSAGE_CHILDREN };
        for (size_t i = 0; i < RT_LEN(whose); i++) {
                struct rusage u;
                (void)getrusage(whose[i], &u);
                ms += (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
                      (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
        }
        return ms;
}

static uint64_t work_with(struct work *w, unsigned threads) {
        pthread_t ids[16];
        unsigned n = 0;
        uint64_t begun = rt_now_ns();
        while (n < threads && n < RT_LEN(ids) && pthread_create(&ids[n], NULL, do_work, w) == 0)
                n++;
        for (unsigned i = 0; i < n; i++)
                (void)pthread_join(ids[i], NULL);
        return rt_now_ns() - begun;
}

/* Opens an engine, lets it become warm, does the runs, closes it: only then is all CPU time accounted for. */
static int flow_once(struct bench_flow *flow, const struct retort_config *config, unsigned runs, double *ret_cpu_ms,
                     struct retort_error *err) {
        struct work w = { .left = (int)runs };
        double before = cpu_ms();
        int r = retort_engine_open(&w.engine, config, err);
        if (r < 0)
                return r;
        (void)usleep(100000);
        uint64_t took = work_with(&w, flow->threads);
        retort_engine_close(w.engine);
        *ret_cpu_ms = cpu_ms() - before;
        flow->failed = w.failed;
        flow->runs_per_second = (double)runs * 1e9 / (double)took;
        return 0;
}

int bench_flow(struct bench_flow *flow, const struct retort_config *config, unsigned runs, struct retort_error *err) {
        double idle = 0, busy = 0;
        int r = flow_once(flow, config, 0, &idle, err);
        if (r == 0)
                r = flow_once(flow, config, runs, &busy, err);
        flow->cpu_ms_per_run = runs ? (busy - idle) / runs : 0;
        return r;
}

/* ---- memory ---- */

static pid_t parent_of(pid_t pid, char name[32]) {
        char path[64], text[512];
        (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        rt_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        if (n <= 0)
                return -1;
        text[n] = 0;
        char *from = strchr(text, '('), *to = strrchr(text, ')');
        if (!from || !to)
                return -1;
        (void)snprintf(name, 32, "%.*s", (int)(to - from - 1), from + 1);
        return (pid_t)strtol(to + 4, NULL, 10);
}

static bool is_below(pid_t pid, pid_t top) {
        char name[32];
        for (int depth = 0; depth < 16 && pid > 1; depth++)
                if ((pid = parent_of(pid, name)) == top)
                        return true;
        return false;
}

static uint64_t field(const char *text, const char *name) {
        const char *at = strstr(text, name);
        return at ? strtoull(at + strlen(name), NULL, 10) * 1024 : 0;
}

static bool add_process(struct bench_memory *m, pid_t pid) {
        char name[32], path[64];
        rt_auto_free char *text = NULL;
        unsigned i = 0;
        if (parent_of(pid, name) < 0)
                return true;
        (void)snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
        if (rt_read_file_at(AT_FDCWD, path, 1 << 16, &text, NULL, NULL) < 0)
                return false;
        while (i < m->n && strcmp(m->kinds[i].name, name) != 0)
                i++;
        if (i == RT_LEN(m->kinds))
                return true;
        if (i == m->n)
                (void)snprintf(m->kinds[m->n++].name, sizeof m->kinds[0].name, "%s", name);
        m->kinds[i].processes++;
        m->kinds[i].rss_bytes += field(text, "\nRss:");
        m->kinds[i].pss_bytes += field(text, "\nPss:");
        return true;
}

bool bench_memory(struct bench_memory *m) {
        *m = (struct bench_memory){ 0 };
        DIR *list = opendir("/proc");
        bool told = list != NULL;
        for (struct dirent *e; list && (e = readdir(list));) {
                pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
                if (pid > 0 && is_below(pid, getpid()))
                        told &= add_process(m, pid);
        }
        if (list)
                (void)closedir(list);
        return told && m->n > 0;
}
