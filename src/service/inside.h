/* SPDX-License-Identifier: Apache-2.0
 *
 * The service's own view of itself. One lock covers queue, tenants, keys, the table of jobs and the waiters; nothing
 * that blocks (store, engine, callbacks) is done under it. Threads: one worker a slot, a housekeeper (deadlines of waiters,
 * cancelled runs that never began, keys), one for webhooks, one for each follower.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "service/config.h"
#include "service/crew.h"
#include "service/keys.h"
#include "service/live.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/queue.h"
#include "service/service.h"
#include "service/tenants.h"
#include "service/wait.h"

enum { RT_JOB_BUCKETS = 8192, RT_HELD_BUCKETS = 256, RT_MAX_WORKERS = 128, RT_MAX_NOTES = 64, RT_ID = 27 };

/* What waits for a box or is in one: a run or a job. */
struct rt_work {
        struct rt_queue_item item;
        struct rt_service *service;
        struct rt_charge charge;
        uint64_t accepted_ns;
        uint64_t began_ns;
        retort_run *run;  /* to be cancelled, under the lock; NULL: not yet, or no longer */
        bool cancelled;   /* somebody asked for it */
        bool interrupted; /* the server stops */
        bool executing;   /* it is executing[slot] */
        unsigned slot;
        int64_t tenant_id; /* item.tenant may be forgotten once nothing is charged to it */
        char language[40];
        char traceparent[RT_TRACEPARENT];
};

struct rt_ticket {
        struct rt_work work;
        atomic_uint holders; /* the caller and the service */
        void (*on_end)(struct retort_outcome *outcome, const struct retort_error *err, void *userdata);
        void *userdata;
        struct rt_ticket *next_ending;
};

struct rt_job {
        struct rt_work work;
        char id[RT_ID];
        bool calls_back;
        int64_t user_id;      /* as in struct rt_store_job */
        int64_t code_id;
        char *code;           /* for the history; NULL: nobody's */
        struct rt_live *live; /* from when it runs or is followed */
        struct rt_job *next;  /* in its bucket */
};

struct rt_waiter {
        struct rt_waiter *next;
        const struct rt_job *job;
        uint64_t deadline_ns;
        rt_job_waited_fn on_done;
        void *userdata;
};

struct rt_service {
        _Atomic(const struct rt_config *) config;
        retort_engine *engine;
        struct rt_store *store;
        struct rt_log log;
        struct rt_metrics metrics;
        char callback_secret[65]; /* a random one, for when none is configured */

        pthread_mutex_t lock;
        pthread_cond_t work;   /* something to pick, or to stop for */
        pthread_cond_t idle;   /* a work ended, a follower left */
        pthread_cond_t chores; /* for the housekeeper */
        bool draining;
        bool drained;  /* nothing runs and nothing will: who waits for it is told */
        bool closing;

        struct rt_tenants *tenants;
        struct rt_quotas default_quotas;
        struct rt_known_tenant *known; /* those with names and quotas of their own, by id */
        size_t n_known;
        struct rt_keyring *keys;
        uint64_t keys_read_ns;
        int64_t notes[RT_MAX_NOTES]; /* keys whose use is to be noted */
        size_t n_notes;

        struct rt_queue queue;
        size_t n_active;
        size_t n_jobs_queued; /* accepted and not started, the queue's and those being stored */
        struct rt_work *executing[RT_MAX_WORKERS];
        struct rt_ticket *ending; /* cancelled before they began */
        struct rt_job *jobs[RT_JOB_BUCKETS];
        struct rt_waiter *waiters;
        size_t n_followers;

        pthread_t workers[RT_MAX_WORKERS];
        unsigned n_workers;
        unsigned slots;
        pthread_t housekeeper;
        bool have_housekeeper;
        struct rt_webhooks *webhooks;

        struct rt_crew *crew; /* on whose threads calls of contexts go on */
        struct rt_held *held[RT_HELD_BUCKETS];
        struct rt_held *held_left; /* to be ended by the warden */
        size_t n_held;        /* those that are being opened and closed, too */
        size_t n_calls;       /* accepted, and not over */
        pthread_t warden;
        pthread_cond_t looks; /* for the warden */
        bool have_warden;
};

/* service/admit.c */
int rt_service_put_tenants(struct rt_service *service, struct retort_error *err); /* those of the configuration get ids */
int rt_service_load_keys(struct rt_service *service, struct retort_error *err); /* keys and tenants, anew */
struct rt_tenant *rt_service_tenant(struct rt_service *service, int64_t id);    /* under the lock; NULL: no memory */
void rt_service_note_uses(struct rt_service *service);
const char *rt_service_tenant_name(struct rt_service *service, int64_t id, char *out, size_t room);
/* Whose compiled programs may serve a request of this tenant. */
uint64_t rt_service_cache_scope(struct rt_service *service, int64_t tenant_id);
uint64_t rt_request_memory(const struct retort_request *request);
/* Counts a refusal and returns code with a sentence in *err. */
int rt_service_refuse(struct rt_service *service, const struct rt_refusal *refusal, int code, struct retort_error *err);

/* service/dispatch.c */
int rt_service_start_workers(struct rt_service *service, struct retort_error *err);
void rt_service_end_run(struct rt_service *service, struct rt_ticket *ticket); /* performs and reports it */
void rt_service_cancel_queued_runs(struct rt_service *service);                /* all end with RETORT_E_CLOSED */
void rt_service_log_run(struct rt_service *service, const char *event, const struct rt_work *work,
                        const struct retort_outcome *outcome, const struct retort_error *err);

/* service/jobs.c */
struct rt_job *rt_job_find(struct rt_service *service, const char *id); /* under the lock */
void rt_job_run(struct rt_service *service, struct rt_job *job);        /* on a worker, after it was picked and charged */
struct rt_job *rt_job_new(struct rt_service *service, const char *id, int32_t priority, const char *traceparent);
void rt_job_enter(struct rt_service *service, struct rt_job *job, struct rt_tenant *tenant); /* under the lock */
void rt_job_take_back(struct rt_service *service, struct rt_job *job); /* entered but not queued: leaves, is freed */
/* Stores an outcome made of words, tells waiters and followers, frees the job. */
void rt_job_end_without_run(struct rt_service *service, struct rt_job *job, enum retort_status status, const char *message);
/* history.c: all but whose it is; texts are in the arena. */
int rt_submission_of(const struct retort_outcome *outcome, struct rt_arena *arena, struct rt_store_submission *submission,
                     struct retort_error *err);
/* The JSON of an outcome that no run made; to be freed. */
int rt_outcome_of_words(const char *id, const char *language, enum retort_status status, const char *message, char **ret_json,
                        struct retort_error *err);

/* service/recover.c: what a dead server left. */
int rt_service_recover(struct rt_service *service, struct retort_error *err);

/* service/housekeeper.c */
int rt_service_start_housekeeper(struct rt_service *service, struct retort_error *err);
/* Takes a job's waiters out, under the lock; and tells them, without it. */
struct rt_waiter *rt_waiters_take(struct rt_service *service, const struct rt_job *job);
void rt_waiters_tell(struct rt_waiter *waiters, bool done);

/* service/warden.c: looks after contexts. */
int rt_service_start_warden(struct rt_service *service, struct retort_error *err);
/* No call begins any more; those that go on may end until then (monotonic), and are ended. */
void rt_service_end_calls(struct rt_service *service, uint64_t until_ns);
void rt_service_close_contexts(struct rt_service *service); /* nothing calls any more */
struct rt_metrics_now;
void rt_service_count_contexts(struct rt_service *service, struct rt_metrics_now *now); /* under the lock */

/* service/webhook.c */
int rt_webhooks_start(struct rt_service *service, struct retort_error *err);
void rt_webhooks_stop(struct rt_service *service);
void rt_webhooks_wake(struct rt_service *service);
/* Whether jobs may name this URL. */
int rt_webhook_check_url(const char *url, struct retort_error *err);
