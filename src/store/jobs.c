/* SPDX-License-Identifier: Apache-2.0
 *
 * A job's life: queued, running, done. Every step is one write; who comes second to a step finds it taken.
 */
#include <string.h>

#include "base/err.h"
#include "store/inside.h"

static size_t size_of(const char *text) {
        return text ? strlen(text) : 0;
}

/* ---- accepting ---- */

static int check_job(const struct rt_store_job *job, struct retort_error *err) {
        if (size_of(job->id) != 26)
                return rt_fail(err, RETORT_E_INPUT, "a job's id has 26 characters");
        if (!job->request_json)
                return rt_fail(err, RETORT_E_INPUT, "a job needs a request");
        return 0;
}

static int insert_job(struct rt_conn *conn, const struct rt_store_job *job, struct retort_error *err) {
        rt_auto_query struct rt_query query = rt_query(
                conn, "INSERT INTO job (id, tenant_id, priority, language, idempotency_key, callback_url, traceparent,"
                      " created_ms, user_id, code_id) VALUES"
                      " (?1, ?2, ?3, iif(json_valid(?4), json_extract(?4, '$.language'), NULL), ?, ?, ?, ?, ?, ?)");
        rt_query_put_text(&query, job->id);
        rt_query_put_int(&query, job->tenant_id);
        rt_query_put_int(&query, job->priority);
        rt_query_put_text(&query, job->request_json);
        rt_query_put_text(&query, job->idempotency_key);
        rt_query_put_text(&query, job->callback_url);
        rt_query_put_text(&query, job->traceparent);
        rt_query_put_int(&query, job->created_ms);
        rt_query_put_int(&query, job->user_id);
        rt_query_put_int(&query, job->code_id);
        int64_t n = rt_query_run(&query, err);
        if (n < 0)
                return (int)n;
        rt_auto_query struct rt_query body = rt_query(conn, "INSERT INTO job_request (seq, json) VALUES (?, ?)");
        rt_query_put_int(&body, sqlite3_last_insert_rowid(conn->db));
        rt_query_put_text(&body, job->request_json);
        n = rt_query_run(&body, err);
        return n < 0 ? (int)n : 0;
}

struct add {
        const struct rt_store_job *jobs;
        size_t n;
        struct rt_arena *arena;
        const char *existing;
};

/* Whether this key of this tenant was seen before: 1, with its job's id in add->existing. */
static int find_same(struct rt_conn *conn, struct add *add, struct retort_error *err) {
        const struct rt_store_job *job = add->jobs;
        rt_auto_query struct rt_query query = rt_query(
                conn, "SELECT job.id, job_request.json = ?3 FROM job JOIN job_request USING (seq)"
                      " WHERE tenant_id = ?1 AND idempotency_key IS NOT NULL AND idempotency_key = ?2");
        query.arena = add->arena;
        rt_query_put_int(&query, job->tenant_id);
        rt_query_put_text(&query, job->idempotency_key);
        rt_query_put_text(&query, job->request_json);
        int r = rt_query_step(&query, err);
        if (r <= 0)
                return r;
        add->existing = rt_query_text(&query);
        if (!add->existing)
                return rt_fail_nomem(err);
        if (!rt_query_int(&query))
                return rt_fail(err, RETORT_E_INPUT, "this idempotency key was used before, with another request (job %s)",
                               add->existing);
        return 1;
}

static int add_one(struct rt_conn *conn, void *data, struct retort_error *err) {
        struct add *add = data;
        add->existing = NULL;
        int r = add->jobs->idempotency_key ? find_same(conn, add, err) : 0;
        if (r != 0)
                return r < 0 ? r : 0;
        return insert_job(conn, add->jobs, err);
}

int rt_store_job_add(struct rt_store *store, const struct rt_store_job *job, struct rt_arena *arena,
                     const char **ret_existing, struct retort_error *err) {
        int r = check_job(job, err);
        if (r < 0)
                return r;
        if (job->idempotency_key && !arena)
                return rt_fail(err, RETORT_E_BUG, "a job with an idempotency key needs an arena");
        struct add add = { .jobs = job, .n = 1, .arena = arena };
        r = rt_store_write(store, add_one, &add, size_of(job->request_json), err);
        if (r == 0 && ret_existing)
                *ret_existing = add.existing;
        return r;
}

static int add_all(struct rt_conn *conn, void *data, struct retort_error *err) {
        const struct add *add = data;
        for (size_t i = 0; i < add->n; i++) {
                int r = insert_job(conn, &add->jobs[i], err);
                if (r < 0)
                        return rt_wrap(err, r, "job %zu of %zu", i + 1, add->n);
        }
        return 0;
}

int rt_store_jobs_add(struct rt_store *store, const struct rt_store_job *jobs, size_t n, struct retort_error *err) {
        size_t bytes = 0;
        for (size_t i = 0; i < n; i++) {
                int r = check_job(&jobs[i], err);
                if (r < 0)
                        return rt_wrap(err, r, "job %zu of %zu", i + 1, n);
                bytes += size_of(jobs[i].request_json);
        }
        return rt_store_write(store, add_all, &(struct add){ .jobs = jobs, .n = n }, bytes, err);
}

/* ---- from state to state ---- */

struct step {
        const char *id;
        int64_t now_ms;
        const char *status, *outcome_json, *events_ndjson;
        const struct rt_store_submission *submission;
        bool first;
};

/* The state of a job, or RETORT_E_INPUT. */
static int state_of(struct rt_conn *conn, const char *id, struct retort_error *err) {
        rt_auto_query struct rt_query query = rt_query(conn, "SELECT state FROM job WHERE id = ?");
        rt_query_put_text(&query, id);
        int r = rt_query_step(&query, err);
        if (r <= 0)
                return r < 0 ? r : rt_fail(err, RETORT_E_INPUT, "no such job");
        return (int)rt_query_int(&query);
}

static int start(struct rt_conn *conn, void *data, struct retort_error *err) {
        struct step *step = data;
        rt_auto_query struct rt_query query = rt_query(
                conn, "UPDATE job SET state = 1, started_ms = ?2, attempts = attempts + 1 WHERE id = ?1 AND state = 0");
        rt_query_put_text(&query, step->id);
        rt_query_put_int(&query, step->now_ms);
        int64_t n = rt_query_run(&query, err);
        if (n < 0)
                return (int)n;
        step->first = n > 0;
        int state = step->first ? 0 : state_of(conn, step->id, err);
        return state < 0 ? state : 0;
}

int rt_store_job_start(struct rt_store *store, const char *id, int64_t now_ms, bool *ret_taken, struct retort_error *err) {
        struct step step = { .id = id, .now_ms = now_ms };
        int r = rt_store_write(store, start, &step, 0, err);
        if (r == 0 && ret_taken)
                *ret_taken = step.first;
        return r;
}

static int keep_outcome(struct rt_conn *conn, const struct step *step, struct retort_error *err) {
        rt_auto_query struct rt_query query = rt_query(
                conn, "INSERT INTO job_outcome (seq, json, events) SELECT seq, ?2, ?3 FROM job WHERE id = ?1");
        rt_query_put_text(&query, step->id);
        rt_query_put_text(&query, step->outcome_json);
        rt_query_put_text(&query, step->events_ndjson);
        int64_t n = rt_query_run(&query, err);
        struct rt_store_submission submission = step->submission ? *step->submission : (struct rt_store_submission){ 0 };
        if (n < 0 || !step->submission)
                return n < 0 ? (int)n : 0;
        return rt_submission_insert(conn, &submission, err);
}

static int finish(struct rt_conn *conn, void *data, struct retort_error *err) {
        struct step *step = data;
        rt_auto_query struct rt_query query = rt_query(
                conn, "UPDATE job SET state = 2, finished_ms = ?2, status = ?3 WHERE id = ?1 AND state < 2");
        rt_query_put_text(&query, step->id);
        rt_query_put_int(&query, step->now_ms);
        rt_query_put_text(&query, step->status);
        int64_t n = rt_query_run(&query, err);
        if (n < 0)
                return (int)n;
        step->first = n > 0;
        if (step->first)
                return keep_outcome(conn, step, err);
        int state = state_of(conn, step->id, err);
        return state < 0 ? state : 0;
}

int rt_store_job_finish(struct rt_store *store, const char *id, int64_t now_ms, const char *status, const char *outcome_json,
                        const char *events_ndjson, bool *ret_first, struct retort_error *err) {
        return rt_store_job_finish_with(store, id, now_ms, status, outcome_json, events_ndjson, NULL, ret_first, err);
}

int rt_store_job_finish_with(struct rt_store *store, const char *id, int64_t now_ms, const char *status, const char *outcome_json,
                             const char *events_ndjson, const struct rt_store_submission *submission, bool *ret_first,
                             struct retort_error *err) {
        struct step step = { id, now_ms, status, outcome_json, events_ndjson, submission, false };
        size_t bytes = size_of(outcome_json) + size_of(events_ndjson);
        if (submission)
                bytes += size_of(submission->code) + size_of(submission->stdout_text) + size_of(submission->stderr_text);
        int r = rt_store_write(store, finish, &step, bytes, err);
        if (r == 0 && ret_first)
                *ret_first = step.first;
        return r;
}

static int requeue(struct rt_conn *conn, void *data, struct retort_error *err) {
        const struct step *step = data;
        rt_auto_query struct rt_query query =
                rt_query(conn, "UPDATE job SET state = 0, started_ms = 0 WHERE id = ? AND state = 1");
        rt_query_put_text(&query, step->id);
        int64_t n = rt_query_run(&query, err);
        if (n != 0)
                return n < 0 ? (int)n : 0;
        int state = state_of(conn, step->id, err);
        return state == RT_JOB_DONE ? rt_fail(err, RETORT_E_INPUT, "the job is done") : state < 0 ? state : 0;
}

int rt_store_job_requeue(struct rt_store *store, const char *id, struct retort_error *err) {
        return rt_store_write(store, requeue, &(struct step){ .id = id }, 0, err);
}

/* ---- callbacks ---- */

struct note {
        const char *id;
        int32_t state, attempts;
        int64_t next_ms;
};

static int note_callback(struct rt_conn *conn, void *data, struct retort_error *err) {
        const struct note *note = data;
        rt_auto_query struct rt_query query = rt_query(
                conn, "UPDATE job SET callback_state = ?, callback_attempts = ?, callback_next_ms = ? WHERE id = ?");
        rt_query_put_int(&query, note->state);
        rt_query_put_int(&query, note->attempts);
        rt_query_put_int(&query, note->next_ms);
        rt_query_put_text(&query, note->id);
        return rt_query_must_change(&query, "job", err);
}

int rt_store_callback_note(struct rt_store *store, const char *id, int32_t state, int32_t attempts, int64_t next_ms,
                           struct retort_error *err) {
        return rt_store_write(store, note_callback, &(struct note){ id, state, attempts, next_ms }, 0, err);
}
