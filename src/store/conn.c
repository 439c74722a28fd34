/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection to the file: prepared statements found again by their text, and SQLite's failures in words.
 */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "store/inside.h"

int rt_conn_open(struct rt_conn *conn, const struct rt_store *store, int flags, struct retort_error *err) {
        conn->name = store->name;
        flags |= SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | (store->uri ? SQLITE_OPEN_URI : 0);
        int rc = sqlite3_open_v2(store->uri ? store->uri : store->path, &conn->db, flags, NULL);
        if (rc == SQLITE_OK)
                rc = sqlite3_busy_timeout(conn->db, RT_STORE_BUSY_MS);
        if (rc == SQLITE_OK)
                rc = sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        if (rc == SQLITE_OK)
                rc = rt_conn_exec(conn, "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON");
        if (rc == SQLITE_OK)
                return 0;
        int r = rt_conn_fail(conn, rc, err);
        rt_conn_close(conn);
        return r;
}

void rt_conn_close(struct rt_conn *conn) {
        for (size_t i = 0; i < RT_STORE_STATEMENTS; i++)
                (void)sqlite3_finalize(conn->statements[i].stmt);
        (void)sqlite3_close(conn->db);
        *conn = (struct rt_conn){ 0 };
}

int rt_conn_exec(struct rt_conn *conn, const char *sql) {
        return sqlite3_exec(conn->db, sql, NULL, NULL, NULL);
}

int64_t rt_conn_number(struct rt_conn *conn, const char *sql, int64_t fallback) {
        rt_auto_query struct rt_query query = rt_query(conn, sql);
        return rt_query_step(&query, NULL) == 1 ? rt_query_int(&query) : fallback;
}

static bool disk_is_full(struct rt_conn *conn, int rc) {
        int cause = conn->db ? sqlite3_system_errno(conn->db) : 0;
        return (rc & 0xff) == SQLITE_FULL || ((rc & 0xff) == SQLITE_IOERR && (cause == ENOSPC || cause == EDQUOT));
}

/* A constraint says which value was wrong; the names are those of schema.c. */
static int fail_constraint(struct rt_conn *conn, int rc, struct retort_error *err) {
        static const struct {
                const char *part, *sentence;
        } known[] = {
                { "job.id", "a job with this id is there already" },
                { "job.tenant_id", "this tenant has used this idempotency key before" },
                { "user.email", "this email is taken" },
                { "api_key.hash", "this key is there already" },
        };
        const char *words = sqlite3_errmsg(conn->db);
        for (size_t i = 0; i < RT_LEN(known); i++)
                if (rc == SQLITE_CONSTRAINT_UNIQUE && strstr(words, known[i].part))
                        return rt_fail(err, RETORT_E_INPUT, "%s", known[i].sentence);
        if (rc == SQLITE_CONSTRAINT_FOREIGNKEY)
                return rt_fail(err, RETORT_E_INPUT, "it belongs to a tenant or user that is not there");
        return rt_fail(err, RETORT_E_INPUT, "not what the store takes: %s", words);
}

int rt_conn_fail(struct rt_conn *conn, int rc, struct retort_error *err) {
        if (disk_is_full(conn, rc))
                return rt_fail(err, RETORT_E_SYSTEM, "the store %s cannot be written: the disk is full", conn->name);
        const char *words = conn->db ? sqlite3_errmsg(conn->db) : sqlite3_errstr(rc);
        switch (rc & 0xff) {
        case SQLITE_NOMEM:
                return rt_fail_nomem(err);
        case SQLITE_CONSTRAINT:
                return fail_constraint(conn, rc, err);
        case SQLITE_TOOBIG:
                return rt_fail(err, RETORT_E_INPUT, "a text is too big for the store");
        case SQLITE_READONLY:
                return rt_fail(err, RETORT_E_SYSTEM, "the store %s cannot be written: it is read-only", conn->name);
        case SQLITE_NOTADB:
                return rt_fail(err, RETORT_E_SYSTEM, "%s is not a store of Retort: %s", conn->name, words);
        case SQLITE_CORRUPT:
                return rt_fail(err, RETORT_E_SYSTEM, "the store %s is damaged (%s): put a copy in its place, or move it away",
                               conn->name, words);
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return rt_fail(err, RETORT_E_SYSTEM, "the store %s is locked by another program", conn->name);
        default:
                return rt_fail(err, RETORT_E_SYSTEM, "the store %s: %s", conn->name, words);
        }
}

/* ---- statements ---- */

/* Where this text's statement is, or where it may go: an empty place or the one unused for longest. */
static struct rt_statement *find(struct rt_conn *conn, const char *sql) {
        struct rt_statement *oldest = &conn->statements[0];
        for (size_t i = 0; i < RT_STORE_STATEMENTS; i++) {
                struct rt_statement *statement = &conn->statements[i];
                if (!statement->stmt || strcmp(sqlite3_sql(statement->stmt), sql) == 0)
                        return statement;
                if (statement->used < oldest->used)
                        oldest = statement;
        }
        return oldest;
}

int rt_conn_prepare(struct rt_conn *conn, const char *sql, sqlite3_stmt **ret_stmt) {
        struct rt_statement *statement = find(conn, sql);
        if (!statement->stmt || strcmp(sqlite3_sql(statement->stmt), sql) != 0) {
                (void)sqlite3_finalize(rt_take(statement->stmt));
                int rc = sqlite3_prepare_v3(conn->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement->stmt, NULL);
                if (rc != SQLITE_OK)
                        return rc;
        }
        statement->used = ++conn->clock;
        *ret_stmt = statement->stmt;
        return SQLITE_OK;
}
