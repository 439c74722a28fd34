/* SPDX-License-Identifier: Apache-2.0
 *
 * Accepting jobs: checked, room reserved, entered in the table, stored; only then queued and acknowledged.
 */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/err.h"
#include "base/util.h"
#include "model/model.h"
#include "service/inside.h"

enum { MAX_BATCH = 1000, MAX_KEY = 255 };

struct accepting {
        struct rt_service *service;
        const struct rt_job_order *orders;
        size_t n;
        struct rt_job **jobs;       /* those not handed to the queue yet */
        struct rt_store_job *rows;
        struct rt_arena arena;
};

static void new_id(char out[RT_ID]) {
        unsigned char random[RT_MODEL_ID_RANDOM] = { 0 };
        (void)!getrandom(random, sizeof random, 0);
        rt_model_id(out, (uint64_t)rt_unix_ms(), random);
}

static int check_order(struct rt_service *service, const struct rt_job_order *order, struct retort_error *err) {
        if (order->priority < -RT_QUEUE_PRIORITY || order->priority > RT_QUEUE_PRIORITY)
                return rt_fail(err, RETORT_E_INPUT, "priority: -10 to 10");
        if (order->idempotency_key && (!*order->idempotency_key || strlen(order->idempotency_key) > MAX_KEY))
                return rt_fail(err, RETORT_E_INPUT, "idempotency key: 1 to %d bytes", MAX_KEY);
        int r = order->callback_url ? rt_webhook_check_url(order->callback_url, err) : 0;
        return r < 0 ? r : retort_request_check(service->engine, order->request, err);
}

static int fill(struct accepting *a, size_t i, struct retort_error *err) {
        const struct rt_job_order *order = &a->orders[i];
        char id[RT_ID];
        rt_auto_free char *json = NULL;
        int r = check_order(a->service, order, err);
        if (r == 0)
                r = retort_request_json(order->request, &json, err);
        if (r < 0)
                return r;
        new_id(id);
        bool traced = rt_trace_valid(order->traceparent);
        a->jobs[i] = rt_job_new(a->service, id, order->priority, order->traceparent);
        char *kept = rt_arena_strdup(&a->arena, json);
        if (!a->jobs[i] || !kept)
                return rt_fail_nomem(err);
        a->jobs[i]->work.item.memory = rt_request_memory(order->request);
        a->jobs[i]->calls_back = order->callback_url != NULL;
        (void)snprintf(a->jobs[i]->work.language, sizeof a->jobs[i]->work.language, "%s", order->request->language);
        a->rows[i] = (struct rt_store_job){ .id = a->jobs[i]->id, .tenant_id = order->caller.tenant_id, .state = RT_JOB_QUEUED,
                                            .priority = order->priority, .request_json = kept,
                                            .idempotency_key = order->idempotency_key, .callback_url = order->callback_url,
                                            .traceparent = traced ? a->jobs[i]->work.traceparent : NULL,
                                            .created_ms = rt_unix_ms(), .user_id = order->caller.user_id,
                                            .code_id = order->code_id };
        return 0;
}

static bool refuse(struct rt_refusal *refusal, bool busy, const char *quota) {
        refusal->why = busy ? RT_REFUSED_BUSY : RT_REFUSED_QUOTA;
        refusal->quota = quota;
        refusal->retry_after_s = 5;
        return false;
}

/* Under the lock: room for job i, which is entered. */
static bool reserve(struct accepting *a, size_t i, struct rt_tenant *tenant, struct rt_refusal *refusal) {
        const struct rt_quotas *q = &tenant->quotas;
        if (a->service->n_jobs_queued >= atomic_load(&a->service->config)->queue_max_jobs)
                return refuse(refusal, true, "queue.max_jobs");
        if (q->queued_jobs && tenant->queued_jobs >= q->queued_jobs)
                return refuse(refusal, false, "queued_jobs");
        if (q->memory && a->jobs[i]->work.item.memory > q->memory)
                return refuse(refusal, false, "memory"); /* it would wait for ever */
        rt_job_enter(a->service, a->jobs[i], tenant);
        return true;
}

static int reserve_all(struct accepting *a, size_t *ret_entered, struct rt_refusal *refusal, struct retort_error *err) {
        struct rt_service *service = a->service;
        int r = 0;
        (void)pthread_mutex_lock(&service->lock);
        if (service->draining)
                r = rt_fail(err, RETORT_E_CLOSED, "the server is stopping");
        for (size_t i = 0; r == 0 && i < a->n; i++) {
                struct rt_tenant *tenant = rt_service_tenant(service, a->orders[i].caller.tenant_id);
                if (!tenant)
                        r = rt_fail_nomem(err);
                else if (!reserve(a, i, tenant, refusal))
                        r = RETORT_E_INPUT;
                else
                        *ret_entered = i + 1;
        }
        (void)pthread_mutex_unlock(&service->lock);
        return refusal->why ? rt_service_refuse(service, refusal, r, err) : r;
}

static int queue_all(struct accepting *a, char *ids, struct retort_error *err) {
        struct rt_service *service = a->service;
        int r = 0;
        (void)pthread_mutex_lock(&service->lock);
        for (size_t i = 0; i < a->n; i++) {
                struct rt_job *job = a->jobs[i];
                memcpy(ids + i * RT_ID, job->id, RT_ID);
                if (rt_queue_push(&service->queue, &job->work.item) < 0)
                        r = rt_fail_nomem(err); /* it is in the store: the next server runs it */
                else
                        a->jobs[i] = NULL;
                (void)pthread_cond_signal(&service->work);
        }
        (void)pthread_mutex_unlock(&service->lock);
        atomic_fetch_add(&service->metrics.jobs_accepted, a->n);
        return r;
}

/* What was not handed to the queue is taken back. */
static void clear(struct accepting *a, size_t entered) {
        for (size_t i = 0; a->jobs && i < a->n; i++)
                if (a->jobs[i] && i < entered)
                        rt_job_take_back(a->service, a->jobs[i]);
                else
                        free(a->jobs[i]);
        rt_arena_clear(&a->arena);
}

static int store_one(struct accepting *a, const char **ret_existing, struct retort_error *err) {
        return rt_store_job_add(a->service->store, &a->rows[0], &a->arena, ret_existing, err);
}

static int accept_all(struct rt_service *service, const struct rt_job_order *orders, size_t n, char *ids, bool *ret_existed,
                      struct rt_refusal *refusal, struct retort_error *err) {
        struct accepting a = { .service = service, .orders = orders, .n = n };
        const char *existing = NULL;
        size_t entered = 0;
        *refusal = (struct rt_refusal){ 0 };
        a.jobs = rt_arena_array(&a.arena, n, sizeof *a.jobs);
        a.rows = rt_arena_array(&a.arena, n, sizeof *a.rows);
        int r = a.jobs && a.rows ? 0 : rt_fail_nomem(err);
        for (size_t i = 0; r == 0 && i < n; i++) {
                r = fill(&a, i, err);
                if (r < 0 && n > 1)
                        r = rt_wrap(err, r, "job %zu", i);
        }
        if (r < 0 && r != RETORT_E_NOMEM)
                atomic_fetch_add(&service->metrics.refused_input, 1);
        if (r == 0)
                r = reserve_all(&a, &entered, refusal, err);
        if (r == 0)
                r = ret_existed ? store_one(&a, &existing, err) : rt_store_jobs_add(service->store, a.rows, n, err);
        if (r == 0 && existing)
                (void)snprintf(ids, RT_ID, "%s", existing);
        else if (r == 0)
                r = queue_all(&a, ids, err);
        if (ret_existed)
                *ret_existed = existing != NULL;
        clear(&a, entered);
        return r;
}

int rt_service_job_accept(struct rt_service *service, const struct rt_job_order *order, char ret_id[27], bool *ret_existed,
                          struct rt_refusal *ret_refusal, struct retort_error *err) {
        return accept_all(service, order, 1, ret_id, ret_existed, ret_refusal, err);
}

int rt_service_jobs_accept(struct rt_service *service, const struct rt_job_order *orders, size_t n, char *ids,
                           struct rt_refusal *ret_refusal, struct retort_error *err) {
        if (n < 1 || n > MAX_BATCH) {
                *ret_refusal = (struct rt_refusal){ 0 };
                return rt_fail(err, RETORT_E_INPUT, "a batch has 1 to %d jobs, not %zu", MAX_BATCH, n);
        }
        return accept_all(service, orders, n, ids, NULL, ret_refusal, err);
}
