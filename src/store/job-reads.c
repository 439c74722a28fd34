/* SPDX-License-Identifier: Apache-2.0
 *
 * Jobs as they are read: one, a page, those whose callback is due. The texts stand in tables of their own and are read
 * only for who wants them.
 */
#include "base/buf.h"
#include "base/err.h"
#include "store/inside.h"

#define COLUMNS                                                                                                        \
        "SELECT job.id, tenant_id, state, priority, idempotency_key, callback_url, traceparent, created_ms, started_ms," \
        " finished_ms, attempts, status, callback_state, callback_attempts, callback_next_ms, user_id, code_id"
#define WITHOUT_BODIES COLUMNS ", NULL, NULL, NULL FROM job "
#define WITH_BODIES                                                                                                    \
        COLUMNS ", job_request.json, job_outcome.json, job_outcome.events FROM job"                                    \
                " LEFT JOIN job_request USING (seq) LEFT JOIN job_outcome USING (seq) "

static void read_job(struct rt_query *query, void *element) {
        struct rt_store_job *job = element;
        job->id = rt_query_text(query);
        job->tenant_id = rt_query_int(query);
        job->state = (enum rt_job_state)rt_query_int(query);
        job->priority = (int32_t)rt_query_int(query);
        job->idempotency_key = rt_query_text(query);
        job->callback_url = rt_query_text(query);
        job->traceparent = rt_query_text(query);
        job->created_ms = rt_query_int(query);
        job->started_ms = rt_query_int(query);
        job->finished_ms = rt_query_int(query);
        job->attempts = (int32_t)rt_query_int(query);
        job->status = rt_query_text(query);
        job->callback_state = (int32_t)rt_query_int(query);
        job->callback_attempts = (int32_t)rt_query_int(query);
        job->callback_next_ms = rt_query_int(query);
        job->user_id = rt_query_int(query);
        job->code_id = rt_query_int(query);
        job->request_json = rt_query_text(query);
        job->outcome_json = rt_query_text(query);
        job->events_ndjson = rt_query_text(query);
}

int rt_store_job_get(struct rt_store *store, const char *id, int64_t tenant_id, struct rt_arena *arena,
                     struct rt_store_job *ret_job, struct retort_error *err) {
        rt_auto_lent struct rt_lent lent = { 0 };
        int r = rt_store_lend(store, &lent, err);
        if (r < 0)
                return r;
        rt_auto_query struct rt_query query =
                rt_query(lent.conn, WITH_BODIES "WHERE job.id = ?1 AND (?2 = 0 OR tenant_id = ?2)");
        query.arena = arena;
        rt_query_put_text(&query, id);
        rt_query_put_int(&query, tenant_id);
        return rt_query_one(&query, sizeof *ret_job, read_job, ret_job, "job", err);
}

/* Where a page begins. The job it names may be gone by now (it was old): then the next one before it in time, which its
 * id begins with. The returned number itself is not in the page. */
static int find_anchor(struct rt_conn *conn, const struct rt_store_job_filter *filter, int64_t *ret_seq,
                       struct retort_error *err) {
        rt_auto_query struct rt_query query =
                rt_query(conn, "SELECT seq, id = ?1 FROM job WHERE id <= ?1 ORDER BY id DESC LIMIT 1");
        rt_query_put_text(&query, filter->after_id);
        int r = rt_query_step(&query, err);
        if (r < 0)
                return r;
        int64_t seq = r == 1 ? rt_query_int(&query) : 0;
        bool itself = r == 1 && rt_query_int(&query) != 0;
        *ret_seq = itself || filter->oldest_first ? seq : seq + 1;
        return 0;
}

/* States are written out: only so SQLite sees that the index of open jobs will do. */
static const char *of_state(int state) {
        switch (state) {
        case RT_JOB_QUEUED:
                return " AND state < 2 AND state = 0";
        case RT_JOB_RUNNING:
                return " AND state < 2 AND state = 1";
        case RT_JOB_DONE:
                return " AND state = 2";
        default:
                return "";
        }
}

static bool write_sql(struct rt_buf *sql, const struct rt_store_job_filter *filter) {
        return rt_buf_printf(sql, "%sWHERE 1%s%s%s%s%s ORDER BY seq %s LIMIT ?",
                             filter->with_bodies ? WITH_BODIES : WITHOUT_BODIES, of_state(filter->state),
                             filter->tenant_id ? " AND tenant_id = ?" : "", filter->status ? " AND status = ?" : "",
                             filter->language ? " AND language = ?" : "",
                             !filter->after_id            ? ""
                             : filter->oldest_first ? " AND seq > ?"
                                                    : " AND seq < ?",
                             filter->oldest_first ? "ASC" : "DESC") == RT_BUF_OK;
}

int rt_store_jobs(struct rt_store *store, const struct rt_store_job_filter *filter, struct rt_arena *arena,
                  struct rt_store_job **ret_jobs, size_t *ret_n, struct retort_error *err) {
        rt_auto_lent struct rt_lent lent = { 0 };
        int r = rt_store_lend(store, &lent, err);
        int64_t anchor = 0;
        if (r == 0 && filter->after_id)
                r = find_anchor(lent.conn, filter, &anchor, err);
        if (r < 0)
                return r;
        rt_auto_buf struct rt_buf sql = RT_BUF(4096);
        if (!write_sql(&sql, filter))
                return rt_fail_nomem(err);
        rt_auto_query struct rt_query query = rt_query(lent.conn, sql.data);
        query.arena = arena;
        if (filter->tenant_id)
                rt_query_put_int(&query, filter->tenant_id);
        if (filter->status)
                rt_query_put_text(&query, filter->status);
        if (filter->language)
                rt_query_put_text(&query, filter->language);
        if (filter->after_id)
                rt_query_put_int(&query, anchor);
        rt_query_put_int(&query, filter->limit > 0 ? (int64_t)filter->limit : -1);
        return rt_query_rows(&query, sizeof **ret_jobs, read_job, (void **)ret_jobs, ret_n, err);
}

int rt_store_callbacks_due(struct rt_store *store, int64_t now_ms, size_t limit, struct rt_arena *arena,
                           struct rt_store_job **ret_jobs, size_t *ret_n, struct retort_error *err) {
        rt_auto_lent struct rt_lent lent = { 0 };
        int r = rt_store_lend(store, &lent, err);
        if (r < 0)
                return r;
        rt_auto_query struct rt_query query = rt_query(
                lent.conn, WITH_BODIES "WHERE state = 2 AND callback_state = 0 AND callback_url IS NOT NULL"
                                       " AND callback_next_ms <= ? ORDER BY callback_next_ms LIMIT ?");
        query.arena = arena;
        rt_query_put_int(&query, now_ms);
        rt_query_put_int(&query, limit > 0 ? (int64_t)limit : -1);
        return rt_query_rows(&query, sizeof **ret_jobs, read_job, (void **)ret_jobs, ret_n, err);
}
