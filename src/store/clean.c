/* SPDX-License-Identifier: Apache-2.0
 *
 * What is too old goes, a few rows at a time so that nobody waits long for it, and its pages go back to the disk.
 */
#include <time.h>

#include "base/util.h"
#include "store/inside.h"

enum { PAGES_AT_ONCE = 512 };

static int64_t ago(uint64_t ms) {
        struct timespec now;
        (void)clock_gettime(CLOCK_REALTIME, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - (int64_t)ms;
}

static bool remove_some(struct rt_conn *conn, const char *sql, int64_t before_ms) {
        rt_auto_query struct rt_query query = rt_query(conn, sql);
        rt_query_put_int(&query, before_ms);
        rt_query_put_int(&query, RT_STORE_CLEAN_ROWS);
        return rt_query_run(&query, NULL) == RT_STORE_CLEAN_ROWS;
}

static bool shrink(struct rt_conn *conn) {
        if (rt_conn_number(conn, "PRAGMA freelist_count", 0) < PAGES_AT_ONCE)
                return false;
        return rt_conn_exec(conn, "PRAGMA incremental_vacuum(512)") == SQLITE_OK;
}

bool rt_store_clean(struct rt_store *store) {
        struct rt_conn *conn = &store->writer_conn;
        bool more = remove_some(conn,
                                "DELETE FROM job WHERE seq IN (SELECT seq FROM job WHERE state = 2 AND finished_ms < ?"
                                " ORDER BY finished_ms LIMIT ?)",
                                ago(store->keep_jobs_ms));
        if (store->keep_history_ms)
                more |= remove_some(conn,
                                    "DELETE FROM submission WHERE id IN (SELECT id FROM submission WHERE created_ms < ?"
                                    " ORDER BY created_ms LIMIT ?)",
                                    ago(store->keep_history_ms));
        return more || shrink(conn);
}
