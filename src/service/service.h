/* SPDX-License-Identifier: Apache-2.0
 *
 * What a server does with requests, whatever face they came through: who may ask (keys, tenants), when it runs (quotas, a
 * queue that is fair between tenants, priorities), what is kept (jobs), what is counted (metrics) and said (log). Knows
 * nothing of HTTP. One service, any number of threads.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "retort.h"
#include "store/store.h"

struct rt_service;
struct rt_config; /* service/config.h */

/* Opens engine and store, requeues what a dead server left, starts the workers. config stays the caller's and lives until
 * rt_service_close has returned. config->store_path must be set. */
int rt_service_open(struct rt_service **ret_service, const struct rt_config *config, struct retort_error *err);
/* No new runs (they get RETORT_E_CLOSED); what runs may end until deadline_ms, then is cancelled; queued jobs stay in the
 * store. */
void rt_service_drain(struct rt_service *service, unsigned deadline_ms);
void rt_service_close(struct rt_service *service);
/* Keys, tenants' quotas and limits from a configuration read anew (SIGHUP). The old configuration must live on, as the new
 * one, until rt_service_close; engine, store and slots stay as they were opened. */
int rt_service_reload(struct rt_service *service, const struct rt_config *config, struct retort_error *err);

retort_engine *rt_service_engine(struct rt_service *service);
struct rt_store *rt_service_store(struct rt_service *service);
const struct rt_config *rt_service_config(struct rt_service *service);
/* The key of the webhooks' signatures. *ret_random (may be NULL): none is configured, this one is to be shown once. */
const char *rt_service_callback_secret(struct rt_service *service, bool *ret_random);

/* ---- who asks ---- */

enum rt_scope { RT_SCOPE_RUN = 1, RT_SCOPE_JOBS = 2, RT_SCOPE_ADMIN = 4, RT_SCOPE_METRICS = 8, RT_SCOPE_CONTEXTS = 16 };

struct rt_caller {
        int64_t tenant_id;
        int64_t key_id; /* 0: no key (no_auth, or a user of the Runtime face) */
        int64_t user_id; /* 0: none */
        uint32_t scopes;
};

/* Why something is refused now: what an answer with 401, 403, 429 or 503 needs. */
struct rt_refusal {
        enum { RT_REFUSED_NOT, RT_REFUSED_KEY, RT_REFUSED_SCOPE, RT_REFUSED_RATE, RT_REFUSED_QUOTA, RT_REFUSED_BUSY } why;
        const char *quota;       /* which: "running", "queued", "memory", "cpu" ... */
        unsigned retry_after_s;  /* for RATE, QUOTA, BUSY */
        uint64_t limit, remaining, reset_s; /* of the rate limit, for RateLimit-* headers; always filled after a key was good */
};

/* key: the text of an API key, or NULL. Checks hash (in constant time), expiry, revocation and scope, and takes one token
 * from the tenant's rate limit. 0, or negative with *ret_refusal. */
int rt_service_admit(struct rt_service *service, const char *key, uint32_t scope, struct rt_caller *ret_caller,
                     struct rt_refusal *ret_refusal, struct retort_error *err);
/* The rate limit alone, for callers known otherwise. */
int rt_service_take_token(struct rt_service *service, const struct rt_caller *caller, struct rt_refusal *ret_refusal,
                          struct retort_error *err);

/* ---- runs: somebody waits for them ---- */

struct rt_ticket; /* a run that is queued or goes on */

struct rt_run_order {
        struct rt_caller caller;
        const struct retort_request *request; /* copied */
        int32_t priority;
        const char *traceparent;
        retort_event_fn on_event; /* on a worker's thread; may block: that slows the program */
        /* The last thing called, on a worker's thread. outcome is the callee's own to free, or NULL with err (the request
         * was refused, or the service closes). */
        void (*on_end)(struct retort_outcome *outcome, const struct retort_error *err, void *userdata);
        void *userdata;
};
/* Queues a run. Refused at once (nothing is called back) when the request is wrong (RETORT_E_INPUT, RETORT_E_NO_RUNTIME) or
 * there is no room (*ret_refusal). The ticket is valid until rt_ticket_free, which may be called before the end. */
int rt_service_run(struct rt_service *service, const struct rt_run_order *order, struct rt_ticket **ret_ticket,
                   struct rt_refusal *ret_refusal, struct retort_error *err);
/* Ends it; on_end still comes, with an outcome that is `cancelled`, if it did not before. Not after rt_service_close. */
void rt_ticket_cancel(struct rt_ticket *ticket);
/* The size of its terminal, if it has one by now. */
void rt_ticket_resize(struct rt_ticket *ticket, unsigned columns, unsigned rows);
void rt_ticket_free(struct rt_ticket *ticket);

/* ---- jobs: kept until somebody asks ---- */

struct rt_job_order {
        struct rt_caller caller;
        const struct retort_request *request;
        int64_t code_id; /* for the history of caller.user_id; 0: none */
        int32_t priority;
        const char *idempotency_key;
        const char *callback_url;
        const char *traceparent;
};
/* Accepts a job: when this returns 0 it will not be lost. *ret_id (27 bytes) is its id, also when the idempotency key was
 * seen before (*ret_existed). */
int rt_service_job_accept(struct rt_service *service, const struct rt_job_order *order, char ret_id[27], bool *ret_existed,
                          struct rt_refusal *ret_refusal, struct retort_error *err);
/* All of them or none. ids has room for n * 27 bytes. */
int rt_service_jobs_accept(struct rt_service *service, const struct rt_job_order *orders, size_t n, char *ids,
                           struct rt_refusal *ret_refusal, struct retort_error *err);
/* Ends it: queued ones never run, running ones are killed. Its outcome becomes `cancelled`. RETORT_E_INPUT: no such job of
 * this tenant. Harmless when it is done. */
int rt_service_job_cancel(struct rt_service *service, const struct rt_caller *caller, const char *id, struct retort_error *err);
/* Calls back once, when the job is done or after timeout_ms, from any thread (perhaps before this returns). */
typedef void (*rt_job_waited_fn)(bool done, void *userdata);
int rt_service_job_wait(struct rt_service *service, const struct rt_caller *caller, const char *id, int timeout_ms,
                        rt_job_waited_fn on_done, void *userdata, struct retort_error *err);
/* Follows the events of a job from sequence number `from`: each as a line of JSON (without newline), in order, those that are
 * past at once, on a thread of the service; ends with on_end(…). Cancelled with rt_follow_free. on_line may block; returning
 * false ends it. */
struct rt_follow;
int rt_service_job_follow(struct rt_service *service, const struct rt_caller *caller, const char *id, uint64_t from,
                          bool (*on_line)(const char *json, size_t size, void *userdata), void (*on_end)(void *userdata),
                          void *userdata, struct rt_follow **ret_follow, struct retort_error *err);
/* Nobody listens any more: on_end comes soon. Does not wait. */
void rt_follow_stop(struct rt_follow *follow);
void rt_follow_free(struct rt_follow *follow);

/* ---- history ---- */

/* Keeps a finished run; submission says whose (user_id, code_id, language, code), the rest is filled in. Jobs of a user do
 * this by themselves. */
int rt_service_remember(struct rt_service *service, const struct retort_outcome *outcome, struct rt_store_submission *submission,
                        struct retort_error *err);

/* ---- what happened: metrics and log ---- */

/* The Prometheus text format, 0.0.4; to be freed. extra is appended (the HTTP server's own metrics), may be NULL. */
int rt_service_metrics(struct rt_service *service, const char *extra, char **ret_text, struct retort_error *err);
/* 0 when work can be done: engine, store and workers answer. For /readyz. */
int rt_service_ready(struct rt_service *service, struct retort_error *err);
/* What goes on, as JSON, for `retort top`: tenants, queue, runs, slots. To be freed. */
int rt_service_status(struct rt_service *service, char **ret_json, struct retort_error *err);
