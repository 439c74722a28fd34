/* SPDX-License-Identifier: Apache-2.0
 *
 * Tenants and their keys.
 */
#include "base/err.h"
#include "store/inside.h"

/* ---- tenants ---- */

static int tenant_put(struct rt_conn *conn, void *data, struct retort_error *err) {
        struct rt_store_tenant *tenant = data;
        rt_auto_query struct rt_query query = rt_query(
                conn, "INSERT INTO tenant (name, quotas) VALUES (?1, coalesce(?2, '{}'))"
                      " ON CONFLICT (name) DO UPDATE SET quotas = coalesce(?2, quotas)");
        rt_query_put_text(&query, tenant->name);
        rt_query_put_text(&query, tenant->quotas_json);
        int64_t n = rt_query_run(&query, err);
        if (n < 0)
                return (int)n;
        rt_auto_query struct rt_query found = rt_query(conn, "SELECT id FROM tenant WHERE name = ?");
        rt_query_put_text(&found, tenant->name);
        int r = rt_query_step(&found, err);
        if (r < 0)
                return r;
        tenant->id = rt_query_int(&found);
        return 0;
}

int rt_store_tenant_put(struct rt_store *store, struct rt_store_tenant *tenant, struct retort_error *err) {
        if (!tenant->name || !tenant->name[0])
                return rt_fail(err, RETORT_E_INPUT, "a tenant needs a name");
        struct rt_store_tenant copy = *tenant;
        int r = rt_store_write(store, tenant_put, &copy, 0, err);
        if (r == 0)
                tenant->id = copy.id;
        return r;
}

static void read_tenant(struct rt_query *query, void *element) {
        struct rt_store_tenant *tenant = element;
        tenant->id = rt_query_int(query);
        tenant->name = rt_query_text(query);
        tenant->quotas_json = rt_query_text(query);
}

int rt_store_tenants(struct rt_store *store, struct rt_arena *arena, struct rt_store_tenant **ret, size_t *ret_n,
                     struct retort_error *err) {
        rt_auto_lent struct rt_lent lent = { 0 };
        int r = rt_store_lend(store, &lent, err);
        if (r < 0)
                return r;
        rt_auto_query struct rt_query query = rt_query(lent.conn, "SELECT id, name, quotas FROM tenant ORDER BY id");
        query.arena = arena;
        return rt_query_rows(&query, sizeof **ret, read_tenant, (void **)ret, ret_n, err);
}

/* ---- keys ---- */

static int key_add(struct rt_conn *conn, void *data, struct retort_error *err) {
        struct rt_store_key *key = data;
        rt_auto_query struct rt_query query = rt_query(
                conn, "INSERT INTO api_key (tenant_id, name, prefix, hash, scopes, created_ms, expires_ms, revoked_ms,"
                      " last_used_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
        rt_query_put_int(&query, key->tenant_id);
        rt_query_put_text(&query, key->name);
        rt_query_put_text(&query, key->prefix);
        rt_query_put_text(&query, key->hash);
        rt_query_put_text(&query, key->scopes);
        rt_query_put_int(&query, key->created_ms);
        rt_query_put_int(&query, key->expires_ms);
        rt_query_put_int(&query, key->revoked_ms);
        rt_query_put_int(&query, key->last_used_ms);
        int64_t n = rt_query_run(&query, err);
        if (n < 0)
                return (int)n;
        key->id = sqlite3_last_insert_rowid(conn->db);
        return 0;
}

int rt_store_key_add(struct rt_store *store, struct rt_store_key *key, struct retort_error *err) {
        struct rt_store_key copy = *key;
        int r = rt_store_write(store, key_add, &copy, 0, err);
        if (r == 0)
                key->id = copy.id;
        return r;
}

static void read_key(struct rt_query *query, void *element) {
        struct rt_store_key *key = element;
        key->id = rt_query_int(query);
        key->tenant_id = rt_query_int(query);
        key->name = rt_query_text(query);
        key->prefix = rt_query_text(query);
        key->hash = rt_query_text(query);
        key->scopes = rt_query_text(query);
        key->created_ms = rt_query_int(query);
        key->expires_ms = rt_query_int(query);
        key->revoked_ms = rt_query_int(query);
        key->last_used_ms = rt_query_int(query);
}

int rt_store_keys(struct rt_store *store, struct rt_arena *arena, struct rt_store_key **ret, size_t *ret_n,
                  struct retort_error *err) {
        rt_auto_lent struct rt_lent lent = { 0 };
        int r = rt_store_lend(store, &lent, err);
        if (r < 0)
                return r;
        rt_auto_query struct rt_query query = rt_query(
                lent.conn, "SELECT id, tenant_id, name, prefix, hash, scopes, created_ms, expires_ms, revoked_ms,"
                           " last_used_ms FROM api_key ORDER BY id");
        query.arena = arena;
        return rt_query_rows(&query, sizeof **ret, read_key, (void **)ret, ret_n, err);
}

struct key_time {
        int64_t id, now_ms;
};

static int key_revoke(struct rt_conn *conn, void *data, struct retort_error *err) {
        const struct key_time *key = data;
        rt_auto_query struct rt_query query = rt_query(
                conn, "UPDATE api_key SET revoked_ms = iif(revoked_ms = 0, ?2, revoked_ms) WHERE id = ?1");
        rt_query_put_int(&query, key->id);
        rt_query_put_int(&query, key->now_ms);
        return rt_query_must_change(&query, "key", err);
}

int rt_store_key_revoke(struct rt_store *store, int64_t id, int64_t now_ms, struct retort_error *err) {
        return rt_store_write(store, key_revoke, &(struct key_time){ id, now_ms }, 0, err);
}

/* Not every use waits for the disk: once a minute is enough for people. */
static int key_used(struct rt_conn *conn, void *data, struct retort_error *err) {
        const struct key_time *key = data;
        rt_auto_query struct rt_query query = rt_query(
                conn, "UPDATE api_key SET last_used_ms = ?2 WHERE id = ?1 AND last_used_ms + 60000 <= ?2");
        rt_query_put_int(&query, key->id);
        rt_query_put_int(&query, key->now_ms);
        int64_t n = rt_query_run(&query, err);
        return n < 0 ? (int)n : 0;
}

int rt_store_key_used(struct rt_store *store, int64_t id, int64_t now_ms, struct retort_error *err) {
        return rt_store_write(store, key_used, &(struct key_time){ id, now_ms }, 0, err);
}
