/* SPDX-License-Identifier: Apache-2.0
 *
 * The form of the file. Each step brings it from one version to the next and is never changed once released; a file's
 * version is its user_version. What is big stands in tables of its own (job_request, job_outcome), so that a job's state
 * is changed without writing its texts again.
 */
#include "base/err.h"
#include "base/util.h"
#include "store/inside.h"

#define APPLICATION_ID "1383363188" /* "Rtrt": a file of ours */

static const char *const steps[] = {
        /* 1: tenants, keys, jobs */
        "CREATE TABLE tenant ("
        " id INTEGER PRIMARY KEY,"
        " name TEXT NOT NULL UNIQUE,"
        " quotas TEXT NOT NULL DEFAULT '{}'"
        ") STRICT;"
        "INSERT INTO tenant (id, name) VALUES (1, 'default');"
        "CREATE TABLE api_key ("
        " id INTEGER PRIMARY KEY AUTOINCREMENT,"
        " tenant_id INTEGER NOT NULL REFERENCES tenant,"
        " name TEXT NOT NULL,"
        " prefix TEXT NOT NULL,"
        " hash TEXT NOT NULL UNIQUE,"
        " scopes TEXT NOT NULL,"
        " created_ms INTEGER NOT NULL,"
        " expires_ms INTEGER NOT NULL DEFAULT 0,"
        " revoked_ms INTEGER NOT NULL DEFAULT 0,"
        " last_used_ms INTEGER NOT NULL DEFAULT 0"
        ") STRICT;"
        "CREATE TABLE job ("
        " seq INTEGER PRIMARY KEY AUTOINCREMENT," /* the order of acceptance */
        " id TEXT NOT NULL UNIQUE CHECK (length(id) = 26),"
        " tenant_id INTEGER NOT NULL REFERENCES tenant,"
        " state INTEGER NOT NULL DEFAULT 0 CHECK (state IN (0, 1, 2)),"
        " priority INTEGER NOT NULL,"
        " language TEXT,"
        " idempotency_key TEXT,"
        " callback_url TEXT,"
        " traceparent TEXT,"
        " created_ms INTEGER NOT NULL,"
        " started_ms INTEGER NOT NULL DEFAULT 0,"
        " finished_ms INTEGER NOT NULL DEFAULT 0,"
        " attempts INTEGER NOT NULL DEFAULT 0,"
        " status TEXT,"
        " callback_state INTEGER NOT NULL DEFAULT 0,"
        " callback_attempts INTEGER NOT NULL DEFAULT 0,"
        " callback_next_ms INTEGER NOT NULL DEFAULT 0"
        ") STRICT;"
        "CREATE TABLE job_request ("
        " seq INTEGER PRIMARY KEY REFERENCES job ON DELETE CASCADE,"
        " json TEXT NOT NULL"
        ") STRICT;"
        "CREATE TABLE job_outcome ("
        " seq INTEGER PRIMARY KEY REFERENCES job ON DELETE CASCADE,"
        " json TEXT,"
        " events TEXT"
        ") STRICT;"
        "CREATE INDEX job_of_tenant ON job (tenant_id, seq);"
        "CREATE INDEX job_open ON job (state, seq) WHERE state < 2;"
        "CREATE INDEX job_finished ON job (finished_ms) WHERE state = 2;"
        "CREATE INDEX job_callback ON job (callback_next_ms)"
        " WHERE state = 2 AND callback_state = 0 AND callback_url IS NOT NULL;"
        "CREATE UNIQUE INDEX job_idempotent ON job (tenant_id, idempotency_key) WHERE idempotency_key IS NOT NULL;",

        /* 2: the Runtime face's users, saved code, submissions; and where the writer tries whether it can write */
        "CREATE TABLE user ("
        " id INTEGER PRIMARY KEY AUTOINCREMENT,"
        " email TEXT NOT NULL UNIQUE COLLATE NOCASE,"
        " name TEXT NOT NULL,"
        " password_hash TEXT,"
        " provider TEXT NOT NULL,"
        " tenant_id INTEGER NOT NULL REFERENCES tenant,"
        " created_ms INTEGER NOT NULL"
        ") STRICT;"
        "CREATE TABLE code ("
        " id INTEGER PRIMARY KEY AUTOINCREMENT,"
        " user_id INTEGER NOT NULL REFERENCES user ON DELETE CASCADE,"
        " title TEXT NOT NULL,"
        " language TEXT NOT NULL,"
        " created_ms INTEGER NOT NULL,"
        " updated_ms INTEGER NOT NULL,"
        " code TEXT NOT NULL"
        ") STRICT;"
        "CREATE INDEX code_of_user ON code (user_id, updated_ms);"
        "CREATE TABLE submission ("
        " id INTEGER PRIMARY KEY AUTOINCREMENT,"
        " user_id INTEGER NOT NULL REFERENCES user ON DELETE CASCADE,"
        " code_id INTEGER REFERENCES code ON DELETE SET NULL,"
        " language TEXT NOT NULL,"
        " status TEXT NOT NULL,"
        " error_type TEXT NOT NULL,"
        " exit_code INTEGER NOT NULL,"
        " execution_ms INTEGER NOT NULL,"
        " created_ms INTEGER NOT NULL,"
        " code TEXT NOT NULL,"
        " stdout TEXT NOT NULL,"
        " stderr TEXT NOT NULL"
        ") STRICT;"
        "CREATE INDEX submission_of_user ON submission (user_id, id);"
        "CREATE INDEX submission_of_code ON submission (code_id) WHERE code_id IS NOT NULL;"
        "CREATE INDEX submission_age ON submission (created_ms);"
        "CREATE TABLE probe (id INTEGER PRIMARY KEY CHECK (id = 1), n INTEGER NOT NULL) STRICT;"
        "INSERT INTO probe (id, n) VALUES (1, 0);",

        /* 3: jobs of a user of the Runtime face; no references, since a job outlives both */
        ("ALTER TABLE job ADD COLUMN user_id INTEGER NOT NULL DEFAULT 0;"
         "ALTER TABLE job ADD COLUMN code_id INTEGER NOT NULL DEFAULT 0;"),
};

/* One step, whole or not at all. */
static int take_step(struct rt_conn *conn, int to, struct retort_error *err) {
        rt_auto_arena struct rt_arena arena = { 0 };
        const char *sql = rt_arena_printf(&arena,
                                          "BEGIN IMMEDIATE; %s PRAGMA application_id = " APPLICATION_ID
                                          "; PRAGMA user_version = %d; COMMIT",
                                          steps[to - 1], to);
        if (!sql)
                return rt_fail_nomem(err);
        int rc = rt_conn_exec(conn, sql);
        if (rc == SQLITE_OK)
                return 0;
        int r = rt_conn_fail(conn, rc, err);
        (void)rt_conn_exec(conn, "ROLLBACK");
        return rt_wrap(err, r, "bringing the store to form %d", to);
}

/* Nothing of a file is touched before it is known to be ours, or empty. */
static int whose(struct rt_conn *conn, int64_t *ret_version, struct retort_error *err) {
        int64_t id = 0;
        rt_auto_query struct rt_query query = rt_query(conn, "SELECT (SELECT application_id FROM pragma_application_id),"
                                                             " (SELECT user_version FROM pragma_user_version),"
                                                             " (SELECT count(*) FROM sqlite_schema)");
        int r = rt_query_step(&query, err);
        if (r < 0)
                return r;
        id = rt_query_int(&query);
        *ret_version = rt_query_int(&query);
        bool empty = rt_query_int(&query) == 0 && id == 0 && *ret_version == 0;
        if (!empty && (id != strtoll(APPLICATION_ID, NULL, 10) || *ret_version < 1))
                return rt_fail(err, RETORT_E_INPUT, "%s is not a store of Retort: it is another program's SQLite file",
                               conn->name);
        if (*ret_version > (int64_t)RT_LEN(steps))
                return rt_fail(err, RETORT_E_INPUT,
                               "the store %s was written by a newer Retort (form %lld; this one knows up to %zu)",
                               conn->name, (long long)*ret_version, RT_LEN(steps));
        return 0;
}

int rt_store_migrate(struct rt_conn *conn, struct retort_error *err) {
        int64_t version = 0;
        int r = whose(conn, &version, err);
        if (r < 0)
                return r;
        int rc = version == 0 ? rt_conn_exec(conn, "PRAGMA auto_vacuum = INCREMENTAL") : SQLITE_OK;
        if (rc == SQLITE_OK)
                rc = rt_conn_exec(conn, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                        "PRAGMA journal_size_limit = 67108864");
        if (rc != SQLITE_OK)
                return rt_conn_fail(conn, rc, err);
        for (int to = (int)version + 1; to <= (int)RT_LEN(steps); to++) {
                r = take_step(conn, to, err);
                if (r < 0)
                        return r;
        }
        rc = rt_conn_exec(conn, "PRAGMA foreign_keys = ON");
        return rc == SQLITE_OK ? 0 : rt_conn_fail(conn, rc, err);
}
