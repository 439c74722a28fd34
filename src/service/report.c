/* SPDX-License-Identifier: Apache-2.0
 *
 * What the service says of itself: metrics, readiness, and the live view.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "service/inside.h"

enum { MAX_TEXT = 8 << 20, MAX_TENANTS_SHOWN = 100 };

static void look(struct rt_service *service, struct rt_metrics_now *now) {
        struct rt_store_stats stats = { 0 };
        rt_store_stats(service->store, &stats);
        (void)pthread_mutex_lock(&service->lock);
        *now = (struct rt_metrics_now){
                .slots = service->n_workers, .slots_busy = service->n_active,
                .runs_waiting = service->queue.lengths[RT_QUEUE_RUN], .jobs_waiting = service->n_jobs_queued,
                .tenants = rt_tenants_count(service->tenants), .keys = rt_keyring_size(service->keys),
                .followers = service->n_followers, .draining = service->draining,
                .store = { stats.commits, stats.writes, stats.waiting, stats.file_bytes } };
        rt_service_count_contexts(service, now);
        (void)pthread_mutex_unlock(&service->lock);
        now->crew = rt_crew_size(service->crew);
        retort_engine_cache(service->engine, &now->cache);
}

int rt_service_metrics(struct rt_service *service, const char *extra, char **ret_text, struct retort_error *err) {
        rt_auto_buf struct rt_buf out = RT_BUF(MAX_TEXT);
        struct rt_metrics_now now;
        look(service, &now);
        int r = rt_metrics_text(&service->metrics, &now, &out);
        if (r == 0 && extra && rt_buf_add(&out, extra, strlen(extra)) != RT_BUF_OK)
                r = RETORT_E_NOMEM;
        if (r < 0)
                return rt_fail_nomem(err);
        *ret_text = rt_take(out.data);
        return 0;
}

int rt_service_ready(struct rt_service *service, struct retort_error *err) {
        (void)pthread_mutex_lock(&service->lock);
        bool draining = service->draining;
        bool working = service->n_workers > 0;
        (void)pthread_mutex_unlock(&service->lock);
        if (draining)
                return rt_fail(err, RETORT_E_CLOSED, "the server is stopping");
        if (!working)
                return rt_fail(err, RETORT_E_SYSTEM, "no worker runs");
        rt_auto_free char *isolation = NULL;
        int r = rt_store_check(service->store, err);
        if (r == 0)
                r = retort_engine_isolation(service->engine, &isolation, err);
        return r;
}

static json_t *tenants_json(struct rt_service *service) { /* under the lock */
        json_t *list = json_array();
        size_t n = 0;
        for (struct rt_tenant *t = rt_tenants_next(service->tenants, NULL); t && n < MAX_TENANTS_SHOWN;
             t = rt_tenants_next(service->tenants, t)) {
                char name[104];
                if (t->running + t->queued_jobs + t->contexts == 0)
                        continue;
                (void)json_array_append_new(list, json_pack("{s:I, s:s, s:I, s:I, s:I, s:I, s:I}", "id", (json_int_t)t->id, "name",
                        rt_service_tenant_name(service, t->id, name, sizeof name), "active", (json_int_t)t->active,
                        "waiting_runs", (json_int_t)t->waiting_runs, "queued_jobs", (json_int_t)t->queued_jobs,
                        "contexts", (json_int_t)t->contexts, "memory_bytes", (json_int_t)t->memory));
                n++;
        }
        return list;
}

static json_t *works_json(struct rt_service *service) { /* under the lock */
        json_t *list = json_array();
        for (unsigned i = 0; i < service->n_workers; i++) {
                struct rt_work *work = service->executing[i];
                if (!work)
                        continue;
                bool job = work->item.class == RT_QUEUE_JOB;
                const char *id = job ? rt_container_of(work, struct rt_job, work)->id : NULL;
                (void)json_array_append_new(list, json_pack("{s:s, s:s?, s:I, s:s, s:f}", "kind", job ? "job" : "run", "id", id,
                        "tenant_id", (json_int_t)work->item.tenant->id, "language", work->language, "ms",
                        (double)(rt_now_ns() - work->began_ns) / 1e6));
        }
        return list;
}

int rt_service_status(struct rt_service *service, char **ret_json, struct retort_error *err) {
        struct rt_metrics_now now;
        look(service, &now);
        json_t *root = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "slots", (json_int_t)now.slots, "slots_busy",
                                 (json_int_t)now.slots_busy, "runs_waiting", (json_int_t)now.runs_waiting, "jobs_waiting",
                                 (json_int_t)now.jobs_waiting, "followers", (json_int_t)now.followers, "contexts", (json_int_t)now.n_contexts, "context_calls",
                                 (json_int_t)now.calls, "draining", (int)now.draining);
        (void)pthread_mutex_lock(&service->lock);
        int bad = json_object_set_new(root, "tenants", tenants_json(service)) | json_object_set_new(root, "running", works_json(service));
        (void)pthread_mutex_unlock(&service->lock);
        *ret_json = bad ? NULL : json_dumps(root, JSON_COMPACT);
        json_decref(root);
        return *ret_json ? 0 : rt_fail_nomem(err);
}
