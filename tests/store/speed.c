/* SPDX-License-Identifier: Apache-2.0
 *
 * Not a test: how many jobs a second go through a store (added, started, finished, each step waited for), and the
 * longest step. Usage: speed FILE THREADS SECONDS
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "store/store.h"

enum { MOST = 256 };

static struct rt_store *store;
static uint64_t until;
static atomic_uint count;
static atomic_uint_least64_t longest;
static char request[1024], outcome[2048];

static void step(int r, const struct retort_error *err, uint64_t *since) {
        uint64_t now = rt_now_ns(), took = now - *since;
        uint64_t before = atomic_load(&longest);
        while (took > before && !atomic_compare_exchange_weak(&longest, &before, took))
                ;
        *since = now;
        if (r < 0)
                fprintf(stderr, "%s\n", err->message), exit(1);
}

static void *work(void *argument) {
        (void)argument;
        struct retort_error err;
        for (uint64_t now = rt_now_ns(); now < until;) {
                char id[27];
                (void)snprintf(id, sizeof id, "01JSPEED%018u", atomic_fetch_add(&count, 1));
                struct rt_store_job job = { .id = id, .tenant_id = 1, .request_json = request };
                step(rt_store_job_add(store, &job, NULL, NULL, &err), &err, &now);
                step(rt_store_job_start(store, id, 1, NULL, &err), &err, &now);
                step(rt_store_job_finish(store, id, 2, "ok", outcome, NULL, NULL, &err), &err, &now);
        }
        return NULL;
}

int main(int argc, char **argv) {
        if (argc != 4)
                return 2;
        unsigned long threads = strtoul(argv[2], NULL, 10), seconds = strtoul(argv[3], NULL, 10);
        struct retort_error err;
        struct rt_store_config config = { .path = argv[1], .keep_jobs_ms = UINT64_MAX / 2 };
        if (threads > MOST)
                return 2;
        if (rt_store_open(&store, &config, &err) < 0)
                return fprintf(stderr, "%s\n", err.message), 1;
        (void)snprintf(request, sizeof request, "{\"language\":\"c\",\"source\":\"%0*d\"}", (int)sizeof request - 40, 0);
        memset(outcome, 'x', sizeof outcome - 1);
        pthread_t all[MOST];
        uint64_t begun = rt_now_ns();
        until = begun + seconds * 1000000000u;
        for (unsigned long i = 0; i < threads; i++)
                if (pthread_create(&all[i], NULL, work, NULL) != 0)
                        return 1;
        for (unsigned long i = 0; i < threads; i++)
                (void)pthread_join(all[i], NULL);
        double took = (double)(rt_now_ns() - begun) / 1e9;
        struct rt_store_stats stats;
        rt_store_stats(store, &stats);
        printf("%lu threads: %.0f jobs/s, %.0f writes/s, %.1f writes a commit, longest %.1f ms\n", threads,
               atomic_load(&count) / took, (double)stats.writes / took, (double)stats.writes / (double)stats.commits,
               (double)atomic_load(&longest) / 1e6);
        rt_store_close(store);
        return 0;
}
