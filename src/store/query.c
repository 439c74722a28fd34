/* SPDX-License-Identifier: Apache-2.0
 *
 * Values into a statement and out of its rows.
 */
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "store/inside.h"

struct rt_query rt_query(struct rt_conn *conn, const char *sql) {
        struct rt_query query = { .conn = conn };
        query.rc = rt_conn_prepare(conn, sql, &query.stmt);
        return query;
}

void rt_query_end(struct rt_query *query) {
        if (!query->stmt)
                return;
        (void)sqlite3_reset(query->stmt);
        (void)sqlite3_clear_bindings(query->stmt);
        query->stmt = NULL;
}

static void put(struct rt_query *query, int rc) {
        if (query->rc == SQLITE_OK)
                query->rc = rc;
}

void rt_query_put_text(struct rt_query *query, const char *text) {
        if (query->rc != SQLITE_OK)
                return;
        query->at++;
        put(query, text ? sqlite3_bind_text64(query->stmt, query->at, text, strlen(text), SQLITE_STATIC, SQLITE_UTF8)
                        : sqlite3_bind_null(query->stmt, query->at));
}

void rt_query_put_int(struct rt_query *query, int64_t number) {
        if (query->rc != SQLITE_OK)
                return;
        query->at++;
        put(query, sqlite3_bind_int64(query->stmt, query->at, number));
}

int rt_query_step(struct rt_query *query, struct retort_error *err) {
        if (query->rc == SQLITE_OK || query->rc == SQLITE_ROW)
                query->rc = sqlite3_step(query->stmt);
        query->at = 0;
        if (query->rc == SQLITE_ROW)
                return 1;
        return query->rc == SQLITE_DONE ? 0 : rt_conn_fail(query->conn, query->rc, err);
}

int64_t rt_query_run(struct rt_query *query, struct retort_error *err) {
        int r = rt_query_step(query, err);
        return r < 0 ? r : sqlite3_changes64(query->conn->db);
}

int rt_query_must_change(struct rt_query *query, const char *what, struct retort_error *err) {
        int64_t n = rt_query_run(query, err);
        if (n < 0)
                return (int)n;
        return n > 0 ? 0 : rt_fail(err, RETORT_E_INPUT, "no such %s", what);
}

const char *rt_query_text(struct rt_query *query) {
        int column = query->at++;
        if (query->rc != SQLITE_ROW || sqlite3_column_type(query->stmt, column) == SQLITE_NULL)
                return NULL;
        const unsigned char *text = sqlite3_column_text(query->stmt, column);
        char *copy = text ? rt_arena_copy(query->arena, text, (size_t)sqlite3_column_bytes(query->stmt, column)) : NULL;
        if (!copy)
                query->rc = SQLITE_NOMEM;
        return copy;
}

int64_t rt_query_int(struct rt_query *query) {
        return sqlite3_column_int64(query->stmt, query->at++);
}

/* Room for one more: twice as much when it is full. */
static void *grow(struct rt_arena *arena, void *rows, size_t n, size_t *room, size_t element) {
        if (n < *room)
                return rows;
        size_t wanted = *room ? *room * 2 : 8;
        void *more = rt_arena_array(arena, wanted, element);
        if (!more)
                return NULL;
        if (n > 0)
                memcpy(more, rows, n * element);
        *room = wanted;
        return more;
}

int rt_query_rows(struct rt_query *query, size_t element, void (*read)(struct rt_query *query, void *element),
                  void **ret_rows, size_t *ret_n, struct retort_error *err) {
        size_t n = 0, room = 0;
        char *rows = NULL;
        int r;
        while ((r = rt_query_step(query, err)) == 1) {
                rows = grow(query->arena, rows, n, &room, element);
                if (!rows)
                        return rt_fail_nomem(err);
                read(query, rows + n++ * element);
        }
        if (r < 0)
                return r;
        *ret_rows = rows;
        *ret_n = n;
        return 0;
}

int rt_query_one(struct rt_query *query, size_t element, void (*read)(struct rt_query *query, void *element),
                 void *ret_row, const char *what, struct retort_error *err) {
        int r = rt_query_step(query, err);
        if (r < 0)
                return r;
        if (r == 0)
                return rt_fail(err, RETORT_E_INPUT, "no such %s", what);
        rt_auto_free void *row = calloc(1, element);
        if (!row)
                return rt_fail_nomem(err);
        read(query, row);
        if (query->rc != SQLITE_ROW)
                return rt_conn_fail(query->conn, query->rc, err);
        memcpy(ret_row, row, element);
        return 0;
}
