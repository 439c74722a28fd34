/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a job. It is in the store before it is acknowledged, and in the table from before that until its outcome is
 * in the store: so whoever asks finds it in one of the two. Its request is read from the store when its turn comes, so that
 * a long queue costs little memory.
 */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "service/inside.h"

enum { STORE_TRIES = 4 };

/* ---- the table ---- */

static struct rt_job **bucket_of(struct rt_service *service, const char *id) {
        uint64_t hash = 14695981039346656037u;
        for (const char *p = id; *p; p++)
                hash = (hash ^ (unsigned char)*p) * 1099511628211u;
        return &service->jobs[hash % RT_JOB_BUCKETS];
}

struct rt_job *rt_job_find(struct rt_service *service, const char *id) {
        struct rt_job *job = *bucket_of(service, id);
        while (job && strcmp(job->id, id) != 0)
                job = job->next;
        return job;
}

void rt_job_enter(struct rt_service *service, struct rt_job *job, struct rt_tenant *tenant) {
        struct rt_job **bucket = bucket_of(service, job->id);
        job->work.item.tenant = tenant;
        job->work.tenant_id = tenant->id;
        job->next = *bucket;
        *bucket = job;
        tenant->queued_jobs++;
        service->n_jobs_queued++;
}

/* Out of the table; whether it still counted as queued is the caller's to say. */
static void leave(struct rt_service *service, struct rt_job *job, bool was_queued) {
        struct rt_job **at = bucket_of(service, job->id);
        while (*at && *at != job)
                at = &(*at)->next;
        if (*at)
                *at = job->next;
        if (job->work.executing) /* nobody may find it there: it is about to be freed */
                service->executing[job->work.slot] = NULL;
        if (was_queued) {
                job->work.item.tenant->queued_jobs--;
                service->n_jobs_queued--;
        }
}

struct rt_job *rt_job_new(struct rt_service *service, const char *id, int32_t priority, const char *traceparent) {
        struct rt_job *job = calloc(1, sizeof *job);
        if (!job)
                return NULL;
        (void)snprintf(job->id, sizeof job->id, "%s", id);
        job->work.service = service;
        job->work.accepted_ns = rt_now_ns();
        job->work.item = (struct rt_queue_item){ .class = RT_QUEUE_JOB, .priority = priority };
        if (rt_trace_valid(traceparent))
                (void)snprintf(job->work.traceparent, sizeof job->work.traceparent, "%.55s", traceparent);
        return job;
}

static void free_job(struct rt_job *job) {
        if (job) {
                rt_live_let_go(job->live);
                free(job->code);
        }
        free(job);
}

/* ---- ending ---- */

int rt_outcome_of_words(const char *id, const char *language, enum retort_status status, const char *message, char **ret_json,
                        struct retort_error *err) {
        const struct retort_outcome outcome = { .id = id, .language = language, .version = "", .status = status,
                                                .exit_code = -1, .execution_count = -1, .start = "cold",
                                                .isolation_level = "", .message = message };
        return retort_outcome_json(&outcome, ret_json, err);
}

/* A disk may be full for a moment; a job whose outcome cannot be stored is run again by the next server. */
static int store_outcome(struct rt_service *service, const struct rt_job *job, const char *status, const char *json,
                         const char *events, const struct rt_store_submission *submission) {
        struct retort_error err = { 0 };
        int r = RETORT_E_SYSTEM;
        for (unsigned i = 0; i < STORE_TRIES && r < 0; i++) {
                bool first = false;
                if (i > 0) {
                        struct timespec pause = { .tv_nsec = 50000000l << i };
                        (void)nanosleep(&pause, NULL);
                }
                r = rt_store_job_finish_with(service->store, job->id, rt_unix_ms(), status, json, events, submission, &first, &err);
                if (r == 0 && first)
                        atomic_fetch_add(&service->metrics.jobs_finished, 1);
        }
        if (r == 0)
                return 0;
        atomic_fetch_add(&service->metrics.log_store_errors, 1);
        rt_log(&service->log, RT_LOG_ERROR, "job_not_stored", RT_LOG_TEXT("id", job->id), RT_LOG_TEXT("error", err.message));
        return r;
}

/* Out of the table, waiters and followers told, freed. */
static void dismiss(struct rt_service *service, struct rt_job *job, const char *outcome_json, bool done, bool was_queued) {
        (void)pthread_mutex_lock(&service->lock);
        leave(service, job, was_queued);
        struct rt_waiter *waiters = rt_waiters_take(service, job);
        if (job->live)
                rt_live_end(job->live, outcome_json);
        (void)pthread_mutex_unlock(&service->lock);
        rt_waiters_tell(waiters, done);
        if (done && job->calls_back)
                rt_webhooks_wake(service);
        free_job(job);
}

static void finish(struct rt_service *service, struct rt_job *job, const char *status, const char *json,
                   const struct rt_store_submission *submission, bool was_queued) {
        rt_auto_free char *events = job->live ? rt_live_text(job->live) : NULL;
        bool stored = store_outcome(service, job, status, json, events, submission) == 0;
        dismiss(service, job, stored ? json : NULL, stored, was_queued);
}

static void end_without_run(struct rt_service *service, struct rt_job *job, enum retort_status status, const char *message,
                            bool was_queued) {
        rt_auto_free char *json = NULL;
        struct retort_error err = { 0 };
        if (rt_outcome_of_words(job->id, job->work.language, status, message, &json, &err) < 0) {
                rt_log(&service->log, RT_LOG_ERROR, "job_lost_words", RT_LOG_TEXT("id", job->id), RT_LOG_TEXT("error", err.message));
                dismiss(service, job, NULL, false, was_queued);
                return;
        }
        rt_log(&service->log, RT_LOG_INFO, "job", RT_LOG_TEXT("id", job->id), RT_LOG_TEXT("status", retort_status_name(status)),
               RT_LOG_TEXT("message", message));
        finish(service, job, retort_status_name(status), json, NULL, was_queued);
}

void rt_job_end_without_run(struct rt_service *service, struct rt_job *job, enum retort_status status, const char *message) {
        end_without_run(service, job, status, message, true);
}

void rt_job_take_back(struct rt_service *service, struct rt_job *job) {
        dismiss(service, job, NULL, false, true);
}

/* ---- running ---- */

/* The engine's outcome under the job's own name, with the time it was queued. */
static struct retort_outcome as_job(const struct rt_job *job, const struct retort_outcome *outcome) {
        struct retort_outcome mine = *outcome;
        mine.id = job->id;
        mine.usage.queue_ns += job->work.began_ns - job->work.accepted_ns;
        return mine;
}

static void on_event(const struct retort_event *event, void *userdata) {
        struct rt_job *job = userdata;
        rt_live_add(job->live, event);
}

static int prepare(struct rt_service *service, struct rt_job *job, retort_run **ret_run, struct retort_error *err) {
        rt_auto_arena struct rt_arena arena = { 0 };
        struct rt_store_job row = { 0 };
        struct retort_request *request = NULL;
        int r = rt_store_job_get(service->store, job->id, 0, &arena, &row, err);
        if (r == 0 && !row.request_json)
                r = rt_fail(err, RETORT_E_BUG, "the job's request is not in the store");
        if (r == 0)
                r = retort_request_parse(row.request_json, strlen(row.request_json), &request, err);
        if (r == 0 && row.user_id) {
                job->user_id = row.user_id;
                job->code_id = row.code_id;
                job->code = strndup(request->code.data, request->code.size);
                r = job->code ? 0 : rt_fail_nomem(err);
        }
        if (r == 0) {
                request->cache_scope = rt_service_cache_scope(service, job->work.tenant_id);
                r = retort_prepare(service->engine, request, on_event, job, ret_run, err);
        }
        retort_request_free(request);
        return r;
}

static struct rt_live *make_live(struct rt_service *service, struct rt_job *job) { /* under the lock */
        if (!job->live)
                job->live = rt_live_new(atomic_load(&service->config)->jobs_events_bytes);
        return job->live;
}

/* Makes the run known to those who cancel; what they asked for before is heeded now. */
static bool announce(struct rt_service *service, struct rt_job *job, retort_run *run) {
        (void)pthread_mutex_lock(&service->lock);
        bool good = job->live != NULL;
        job->work.run = run;
        if (run && (job->work.cancelled || job->work.interrupted))
                retort_cancel(run);
        (void)pthread_mutex_unlock(&service->lock);
        return good;
}

static bool uncharge(struct rt_service *service, struct rt_job *job, const struct retort_outcome *outcome) {
        (void)pthread_mutex_lock(&service->lock);
        struct rt_work *work = &job->work;
        work->run = NULL;
        if (outcome)
                rt_tenant_used_cpu(work->item.tenant, outcome->usage.cpu_ns, rt_now_ns());
        rt_charge_back(&work->charge);
        bool interrupted = work->interrupted && !work->cancelled;
        (void)pthread_mutex_unlock(&service->lock);
        return interrupted;
}

/* The server stops and cut it off: the next one runs it again, or its reader is told. */
static void put_back(struct rt_service *service, struct rt_job *job) {
        if (strcmp(atomic_load(&service->config)->jobs_running_at_crash, "rerun") != 0) {
                end_without_run(service, job, RETORT_INTERNAL, "the server was stopped while the job ran", false);
                return;
        }
        struct retort_error err = { 0 };
        if (rt_store_job_requeue(service->store, job->id, &err) < 0)
                rt_log(&service->log, RT_LOG_ERROR, "job_not_requeued", RT_LOG_TEXT("id", job->id), RT_LOG_TEXT("error", err.message));
        atomic_fetch_add(&service->metrics.jobs_requeued, 1);
        dismiss(service, job, NULL, false, false);
}

static void report(struct rt_service *service, struct rt_job *job, const struct retort_outcome *outcome) {
        struct retort_outcome mine = as_job(job, outcome);
        rt_auto_arena struct rt_arena arena = { 0 };
        rt_auto_free char *json = NULL;
        struct retort_error err = { 0 };
        struct rt_store_submission submission = { .user_id = job->user_id, .code_id = job->code_id,
                                                  .language = job->work.language, .code = job->code };
        bool kept = job->code && rt_submission_of(&mine, &arena, &submission, &err) == 0;
        rt_metrics_run(&service->metrics, &mine, rt_now_ns() - job->work.accepted_ns);
        rt_service_log_run(service, "job", &job->work, &mine, NULL);
        if (retort_outcome_json(&mine, &json, &err) < 0)
                end_without_run(service, job, RETORT_INTERNAL, err.message, false);
        else
                finish(service, job, retort_status_name(mine.status), json, kept ? &submission : NULL, false);
}

/* Queued for this server but done, or not to be started: 1 to run it, 0: it is dealt with. */
static int start(struct rt_service *service, struct rt_job *job) {
        struct retort_error err = { 0 };
        bool taken = false;
        int r = rt_store_job_start(service->store, job->id, rt_unix_ms(), &taken, &err);
        if (r == 0 && taken)
                return 1;
        (void)uncharge(service, job, NULL);
        if (r < 0) { /* it stays queued in the store, for the next server; this one cannot be trusted with it */
                atomic_fetch_add(&service->metrics.log_store_errors, 1);
                rt_log(&service->log, RT_LOG_ERROR, "job_not_started", RT_LOG_TEXT("id", job->id), RT_LOG_TEXT("error", err.message));
        }
        dismiss(service, job, NULL, r == 0, false);
        return 0;
}

void rt_job_run(struct rt_service *service, struct rt_job *job) {
        struct retort_error err = { 0 };
        retort_run *run = NULL;
        struct retort_outcome *outcome = NULL;
        if (!start(service, job))
                return;
        (void)pthread_mutex_lock(&service->lock);
        bool nomem = !make_live(service, job);
        (void)pthread_mutex_unlock(&service->lock);
        int r = nomem ? rt_fail_nomem(&err) : prepare(service, job, &run, &err);
        if (r == 0 && announce(service, job, run))
                r = retort_perform(run, &outcome, &err);
        bool interrupted = uncharge(service, job, outcome);
        retort_run_free(run);
        if (interrupted && (!outcome || outcome->status == RETORT_CANCELLED))
                put_back(service, job);
        else if (outcome)
                report(service, job, outcome);
        else
                end_without_run(service, job, RETORT_INTERNAL, err.message, false);
        retort_outcome_free(outcome);
}

/* ---- cancelling and waiting ---- */

static int is_there(struct rt_service *service, const struct rt_caller *caller, const char *id, bool *ret_done,
                    struct retort_error *err) {
        rt_auto_arena struct rt_arena arena = { 0 };
        struct rt_store_job row = { 0 };
        int r = rt_store_job_get(service->store, id, caller->tenant_id, &arena, &row, err);
        *ret_done = r == 0 && row.state == RT_JOB_DONE;
        return r;
}

static struct rt_job *find_of(struct rt_service *service, const struct rt_caller *caller, const char *id) {
        struct rt_job *job = rt_job_find(service, id);
        bool theirs = job && (caller->tenant_id == 0 || job->work.item.tenant->id == caller->tenant_id);
        return theirs ? job : NULL;
}

int rt_service_job_cancel(struct rt_service *service, const struct rt_caller *caller, const char *id, struct retort_error *err) {
        (void)pthread_mutex_lock(&service->lock);
        struct rt_job *job = find_of(service, caller, id);
        bool queued = job && job->work.item.queued;
        if (job)
                job->work.cancelled = true;
        if (queued)
                rt_queue_remove(&service->queue, &job->work.item);
        else if (job && job->work.run)
                retort_cancel(job->work.run);
        (void)pthread_mutex_unlock(&service->lock);
        if (queued)
                rt_job_end_without_run(service, job, RETORT_CANCELLED, NULL);
        bool done;
        return job ? 0 : is_there(service, caller, id, &done, err);
}

int rt_service_job_wait(struct rt_service *service, const struct rt_caller *caller, const char *id, int timeout_ms,
                        rt_job_waited_fn on_done, void *userdata, struct retort_error *err) {
        struct rt_waiter *waiter = calloc(1, sizeof *waiter);
        if (!waiter)
                return rt_fail_nomem(err);
        (void)pthread_mutex_lock(&service->lock);
        struct rt_job *job = find_of(service, caller, id);
        if (job) {
                uint64_t ms = timeout_ms < 0 ? 0 : (uint64_t)timeout_ms;
                *waiter = (struct rt_waiter){ .next = service->waiters, .job = job, .on_done = on_done, .userdata = userdata,
                                              .deadline_ns = rt_now_ns() + ms * 1000000u };
                service->waiters = waiter;
                (void)pthread_cond_signal(&service->chores);
        }
        (void)pthread_mutex_unlock(&service->lock);
        if (job)
                return 0;
        free(waiter);
        bool done = false;
        int r = is_there(service, caller, id, &done, err);
        if (r == 0)
                on_done(done, userdata);
        return r;
}
