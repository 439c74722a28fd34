/* SPDX-License-Identifier: Apache-2.0
 *
 * Read-only connections, opened when first needed and lent to one thread at a time.
 */
#include "base/err.h"
#include "base/util.h"
#include "store/inside.h"

static struct rt_conn *take_free(struct rt_store *store) {
        for (size_t i = 0; i < RT_STORE_READERS; i++)
                if (!store->reader_lent[i]) {
                        store->reader_lent[i] = true;
                        return &store->readers[i];
                }
        return NULL;
}

static void give_back(struct rt_store *store, struct rt_conn *conn) {
        (void)pthread_mutex_lock(&store->lock);
        store->reader_lent[conn - store->readers] = false;
        (void)pthread_cond_signal(&store->returned);
        (void)pthread_mutex_unlock(&store->lock);
}

int rt_store_lend(struct rt_store *store, struct rt_lent *ret_lent, struct retort_error *err) {
        uint64_t until = rt_now_ns() + store->patience_ms * 1000000;
        (void)pthread_mutex_lock(&store->lock);
        struct rt_conn *conn;
        bool in_time = true;
        while (!(conn = take_free(store)) && in_time)
                in_time = rt_store_wait(store, &store->returned, until);
        (void)pthread_mutex_unlock(&store->lock);
        if (!conn)
                return rt_fail(err, RETORT_E_SYSTEM, "the store is behind: no connection to read with for %u ms",
                               (unsigned)store->patience_ms);
        int r = conn->db ? 0 : rt_conn_open(conn, store, SQLITE_OPEN_READONLY, err);
        if (r < 0) {
                give_back(store, conn);
                return r;
        }
        *ret_lent = (struct rt_lent){ store, conn };
        return 0;
}

void rt_store_return(struct rt_lent *lent) {
        if (lent->conn)
                give_back(lent->store, lent->conn);
        lent->conn = NULL;
}

void rt_store_close_readers(struct rt_store *store) {
        for (size_t i = 0; i < RT_STORE_READERS; i++)
                rt_conn_close(&store->readers[i]);
}
