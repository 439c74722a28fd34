/* SPDX-License-Identifier: Apache-2.0
 *
 * What outlives the process: tenants, keys, jobs and their outcomes, users, saved code, submissions. SQLite in WAL mode with
 * synchronous=FULL. All writes go through one thread that groups whatever is waiting into one transaction; a write
 * call returns when its group is on the disk. Reads use connections of their own and never wait for writes.
 * Times are Unix milliseconds. Rows handed out live in the caller's arena. A limit of 0 is none.
 *
 * Any thread may call any function. What is wrong with a value is RETORT_E_INPUT; what the disk or the file refuse is
 * RETORT_E_SYSTEM, as is "the store is behind" after 10 s without a turn. Writing goes on when the disk has room again.
 * One process at a time has a file open; ret_ values may be NULL where nobody wants them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "retort.h"

struct rt_store;

struct rt_store_config {
        const char *path;        /* file; ":memory:" for tests */
        uint64_t keep_jobs_ms;   /* finished jobs are removed after this; 0: a week */
        uint64_t keep_history_ms; /* submissions; 0: never removed */
        bool beside;              /* without the lock, beside a server that holds it: for tenants and keys only */
};

/* Opens, migrates to the newest schema, starts the writer. A file of a newer Retort is refused. */
int rt_store_open(struct rt_store **ret_store, const struct rt_store_config *config, struct retort_error *err);
void rt_store_close(struct rt_store *store);
/* Answers at once: can it write? For /readyz. */
int rt_store_check(struct rt_store *store, struct retort_error *err);

struct rt_store_stats {
        uint64_t commits;
        uint64_t writes;
        uint64_t waiting;
        uint64_t file_bytes;
        uint64_t jobs_queued;
        uint64_t jobs_running;
};
void rt_store_stats(struct rt_store *store, struct rt_store_stats *ret_stats);

/* ---- tenants and keys ---- */

struct rt_store_tenant {
        int64_t id; /* 1: the first, "default" */
        const char *name;
        const char *quotas_json; /* service/tenants.h reads it; "{}" */
};
struct rt_store_key {
        int64_t id;
        int64_t tenant_id;
        const char *name;      /* for people */
        const char *prefix;    /* the first characters of the key, for people */
        const char *hash;      /* SHA-256 of the key, hexadecimal: the key has 256 random bits, so no slow hash */
        const char *scopes;    /* comma-separated: "run,jobs,admin" */
        int64_t created_ms;
        int64_t expires_ms;    /* 0: never */
        int64_t revoked_ms;    /* 0: not */
        int64_t last_used_ms;
};
int rt_store_tenant_put(struct rt_store *store, struct rt_store_tenant *tenant, struct retort_error *err); /* by name; fills id */
int rt_store_tenants(struct rt_store *store, struct rt_arena *arena, struct rt_store_tenant **ret, size_t *ret_n,
                     struct retort_error *err);
int rt_store_key_add(struct rt_store *store, struct rt_store_key *key, struct retort_error *err); /* fills id */
int rt_store_keys(struct rt_store *store, struct rt_arena *arena, struct rt_store_key **ret, size_t *ret_n,
                  struct retort_error *err);
int rt_store_key_revoke(struct rt_store *store, int64_t id, int64_t now_ms, struct retort_error *err);
/* Kept to the minute: a use within a minute of the last one kept does not wait for the disk. */
int rt_store_key_used(struct rt_store *store, int64_t id, int64_t now_ms, struct retort_error *err);

/* ---- jobs ---- */

enum rt_job_state { RT_JOB_QUEUED, RT_JOB_RUNNING, RT_JOB_DONE };

struct rt_store_job {
        const char *id; /* 26 characters */
        int64_t tenant_id;
        enum rt_job_state state;
        int32_t priority; /* higher first; -10 to 10 */
        const char *request_json;
        const char *idempotency_key; /* NULL: none */
        const char *callback_url;    /* NULL: none */
        const char *traceparent;     /* NULL: none */
        int64_t created_ms;
        int64_t started_ms;
        int64_t finished_ms;
        int32_t attempts;
        const char *status;          /* of the outcome, once done: "ok", ... */
        const char *outcome_json;    /* once done */
        const char *events_ndjson;   /* once done; NULL when they were too many to keep */
        int32_t callback_state;      /* 0: none or to be sent, 1: delivered, 2: given up */
        int32_t callback_attempts;
        int64_t callback_next_ms;
        int64_t user_id; /* whose history its run goes into; 0: nobody's */
        int64_t code_id; /* the saved code that it is of, there; 0: none */
};

/* Adds a job. With an idempotency key the tenant has used before, nothing is added and *ret_existing is the id of the job
 * that has it (in arena), whose request must be the same, else RETORT_E_INPUT. */
int rt_store_job_add(struct rt_store *store, const struct rt_store_job *job, struct rt_arena *arena,
                     const char **ret_existing, struct retort_error *err);
/* Many at once, in one transaction: all or none. An idempotency key that was used before is RETORT_E_INPUT here. */
int rt_store_jobs_add(struct rt_store *store, const struct rt_store_job *jobs, size_t n, struct retort_error *err);
/* queued -> running; false in *ret_taken when it is no longer queued. */
int rt_store_job_start(struct rt_store *store, const char *id, int64_t now_ms, bool *ret_taken, struct retort_error *err);
/* Any -> done, once: false in *ret_first when it was done before (then nothing changes). */
int rt_store_job_finish(struct rt_store *store, const char *id, int64_t now_ms, const char *status, const char *outcome_json,
                        const char *events_ndjson, bool *ret_first, struct retort_error *err);
/* The same, and the submission (may be NULL) enters the history with it: both or none. */
struct rt_store_submission;
int rt_store_job_finish_with(struct rt_store *store, const char *id, int64_t now_ms, const char *status, const char *outcome_json,
                             const char *events_ndjson, const struct rt_store_submission *submission, bool *ret_first,
                             struct retort_error *err);
/* running -> queued, for a server that starts again. Harmless when queued, RETORT_E_INPUT when done. */
int rt_store_job_requeue(struct rt_store *store, const char *id, struct retort_error *err);
/* RETORT_E_INPUT "no such job" when there is none of this tenant (tenant 0: any). */
int rt_store_job_get(struct rt_store *store, const char *id, int64_t tenant_id, struct rt_arena *arena,
                     struct rt_store_job *ret_job, struct retort_error *err);
struct rt_store_job_filter {
        int64_t tenant_id; /* 0: all */
        int state;         /* -1: any */
        const char *status; /* NULL: any */
        const char *language; /* NULL: any; as the request has it */
        const char *after_id; /* page: jobs older than this one; NULL: from the newest */
        size_t limit;
        bool oldest_first;
        bool with_bodies;  /* request, outcome and events too */
};
int rt_store_jobs(struct rt_store *store, const struct rt_store_job_filter *filter, struct rt_arena *arena,
                  struct rt_store_job **ret_jobs, size_t *ret_n, struct retort_error *err);
/* Jobs done whose callback is due at now_ms, with their texts. */
int rt_store_callbacks_due(struct rt_store *store, int64_t now_ms, size_t limit, struct rt_arena *arena,
                           struct rt_store_job **ret_jobs, size_t *ret_n, struct retort_error *err);
int rt_store_callback_note(struct rt_store *store, const char *id, int32_t state, int32_t attempts, int64_t next_ms,
                           struct retort_error *err);

/* ---- users, saved code, submissions (the Runtime face) ---- */

struct rt_store_user {
        int64_t id;
        const char *email; /* unique, compared without case (of ASCII letters) */
        const char *name;
        const char *password_hash; /* crypt(3) form; NULL: cannot log in by password */
        const char *provider;      /* "LOCAL", "GUEST" */
        int64_t tenant_id;
        int64_t created_ms;
};
int rt_store_user_add(struct rt_store *store, struct rt_store_user *user, struct retort_error *err); /* RETORT_E_INPUT: taken */
int rt_store_user_by_email(struct rt_store *store, const char *email, struct rt_arena *arena, struct rt_store_user *ret_user,
                           struct retort_error *err);
int rt_store_user_by_id(struct rt_store *store, int64_t id, struct rt_arena *arena, struct rt_store_user *ret_user,
                        struct retort_error *err);

struct rt_store_code {
        int64_t id;
        int64_t user_id;
        const char *title;
        const char *language;
        const char *code;
        int64_t created_ms;
        int64_t updated_ms;
};
int rt_store_code_add(struct rt_store *store, struct rt_store_code *code, struct retort_error *err);
/* NULL members stay as they are. RETORT_E_INPUT: not this user's. */
int rt_store_code_update(struct rt_store *store, const struct rt_store_code *code, struct retort_error *err);
int rt_store_code_delete(struct rt_store *store, int64_t id, int64_t user_id, struct retort_error *err);
int rt_store_code_get(struct rt_store *store, int64_t id, int64_t user_id, struct rt_arena *arena,
                      struct rt_store_code *ret_code, struct retort_error *err);
int rt_store_codes(struct rt_store *store, int64_t user_id, struct rt_arena *arena, struct rt_store_code **ret,
                   size_t *ret_n, struct retort_error *err); /* newest update first */

struct rt_store_submission {
        int64_t id;
        int64_t user_id;
        int64_t code_id; /* 0: none; survives the deletion of the code as 0 */
        const char *language;
        const char *code;
        const char *stdout_text;
        const char *stderr_text;
        const char *status;     /* SUCCESS, TIMEOUT, ERROR */
        const char *error_type; /* NONE, COMPILE_ERROR, ... */
        int32_t exit_code;
        int64_t execution_ms;
        int64_t created_ms;
};
/* A code that is not this user's, or is gone by now, is kept as 0; fills id and code_id. */
int rt_store_submission_add(struct rt_store *store, struct rt_store_submission *submission, struct retort_error *err);
int rt_store_submissions(struct rt_store *store, int64_t user_id, int64_t code_id, size_t limit, struct rt_arena *arena,
                         struct rt_store_submission **ret, size_t *ret_n, struct retort_error *err); /* newest first */
