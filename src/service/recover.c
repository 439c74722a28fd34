/* SPDX-License-Identifier: Apache-2.0
 *
 * What a server that died left in its store. Jobs that ran are queued again, or reported as `internal`, by configuration and
 * by how often they have been tried; then all queued ones, oldest first, enter the table and the queue.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "service/inside.h"

enum { PAGE = 200 };

static int end_lost(struct rt_service *service, const struct rt_store_job *row, struct retort_error *err) {
        struct retort_request *request = NULL;
        char message[160];
        rt_auto_free char *json = NULL;
        bool first = false;
        if (row->request_json && retort_request_parse(row->request_json, strlen(row->request_json), &request, NULL) < 0)
                request = NULL;
        (void)snprintf(message, sizeof message, "the server died while the job ran (attempt %" PRId32 " of at most %" PRIu64 ")",
                       row->attempts, atomic_load(&service->config)->jobs_max_attempts);
        int r = rt_outcome_of_words(row->id, request ? request->language : "", RETORT_INTERNAL, message, &json, err);
        retort_request_free(request);
        if (r == 0)
                r = rt_store_job_finish(service->store, row->id, rt_unix_ms(), retort_status_name(RETORT_INTERNAL), json, NULL,
                                        &first, err);
        rt_log(&service->log, RT_LOG_WARNING, "job_lost", RT_LOG_TEXT("id", row->id), RT_LOG_NUMBER("attempts", row->attempts));
        return r;
}

/* Each page is made of jobs that are no longer `running` afterwards, so the first page is always the next. */
static int recover_running(struct rt_service *service, struct retort_error *err) {
        const struct rt_config *config = atomic_load(&service->config);
        bool rerun = strcmp(config->jobs_running_at_crash, "rerun") == 0;
        const struct rt_store_job_filter filter = { .state = RT_JOB_RUNNING, .limit = PAGE, .oldest_first = true,
                                                    .with_bodies = true };
        for (size_t n = 1; n > 0;) {
                rt_auto_arena struct rt_arena arena = { 0 };
                struct rt_store_job *rows = NULL;
                int r = rt_store_jobs(service->store, &filter, &arena, &rows, &n, err);
                for (size_t i = 0; r == 0 && i < n; i++) {
                        if (!rerun || (uint64_t)rows[i].attempts >= config->jobs_max_attempts) {
                                r = end_lost(service, &rows[i], err);
                                continue;
                        }
                        r = rt_store_job_requeue(service->store, rows[i].id, err);
                        atomic_fetch_add(&service->metrics.jobs_requeued, 1);
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

static int enter(struct rt_service *service, const struct rt_store_job *row, struct retort_error *err) {
        struct rt_job *job = rt_job_new(service, row->id, row->priority, row->traceparent);
        struct retort_request *request = NULL;
        if (!job)
                return rt_fail_nomem(err);
        if (row->request_json && retort_request_parse(row->request_json, strlen(row->request_json), &request, NULL) == 0) {
                job->work.item.memory = rt_request_memory(request);
                (void)snprintf(job->work.language, sizeof job->work.language, "%s", request->language ? request->language : "");
                retort_request_free(request);
        }
        job->calls_back = row->callback_url != NULL;
        (void)pthread_mutex_lock(&service->lock);
        struct rt_tenant *tenant = rt_service_tenant(service, row->tenant_id);
        int r = tenant ? 0 : RETORT_E_NOMEM;
        if (r == 0) {
                rt_job_enter(service, job, tenant);
                r = rt_queue_push(&service->queue, &job->work.item);
        }
        (void)pthread_mutex_unlock(&service->lock);
        if (!tenant)
                free(job);
        return r < 0 ? rt_fail_nomem(err) : 0;
}

static int recover_queued(struct rt_service *service, struct retort_error *err) {
        char last[RT_ID] = "";
        for (size_t n = PAGE; n == PAGE;) {
                rt_auto_arena struct rt_arena arena = { 0 };
                struct rt_store_job *rows = NULL;
                const struct rt_store_job_filter filter = { .state = RT_JOB_QUEUED, .limit = PAGE, .oldest_first = true,
                                                            .with_bodies = true, .after_id = *last ? last : NULL };
                int r = rt_store_jobs(service->store, &filter, &arena, &rows, &n, err);
                for (size_t i = 0; r == 0 && i < n; i++) {
                        r = enter(service, &rows[i], err);
                        (void)snprintf(last, sizeof last, "%s", rows[i].id);
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

int rt_service_recover(struct rt_service *service, struct retort_error *err) {
        int r = recover_running(service, err);
        if (r == 0)
                r = recover_queued(service, err);
        return r < 0 ? rt_wrap(err, r, "taking up the jobs of the last server") : 0;
}
