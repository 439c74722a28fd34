/* SPDX-License-Identifier: Apache-2.0 */
#include "service/keys.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/err.h"
#include "base/util.h"

enum { MAX_NAME = 200, NOTE_USE_MS = 60000 };

static const struct {
        const char *name;
        uint32_t bit;
} scopes[] = { { "run", RT_SCOPE_RUN }, { "jobs", RT_SCOPE_JOBS }, { "contexts", RT_SCOPE_CONTEXTS },
             { "admin", RT_SCOPE_ADMIN }, { "metrics", RT_SCOPE_METRICS } };

/* ---- texts ---- */

static void to_hex(const unsigned char *bytes, size_t size, char *out) {
        static const char digits[] = "0123456789abcdef";
        for (size_t i = 0; i < size; i++) {
                out[2 * i] = digits[bytes[i] >> 4];
                out[2 * i + 1] = digits[bytes[i] & 15];
        }
        out[2 * size] = 0;
}

int rt_random_hex(char *out, size_t size, struct retort_error *err) {
        unsigned char bytes[64];
        if (size > sizeof bytes)
                return rt_fail(err, RETORT_E_BUG, "more random bytes than expected");
        if (getrandom(bytes, size, 0) != (ssize_t)size)
                return rt_fail_errno(err, "cannot get random bytes");
        to_hex(bytes, size, out);
        OPENSSL_cleanse(bytes, sizeof bytes);
        return 0;
}

int rt_key_hash(const char *key, char ret_hash[RT_KEY_HASH], struct retort_error *err) {
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned size = 0;
        if (EVP_Digest(key, strlen(key), digest, &size, EVP_sha256(), NULL) != 1 || 2 * size + 1 != RT_KEY_HASH)
                return rt_fail(err, RETORT_E_SYSTEM, "cannot compute SHA-256");
        to_hex(digest, size, ret_hash);
        return 0;
}

int rt_scopes_parse(const char *text, uint32_t *ret_scopes, struct retort_error *err) {
        uint32_t bits = 0;
        for (const char *p = text; *p;) {
                size_t size = strcspn(p, ",");
                uint32_t bit = 0;
                for (size_t i = 0; i < RT_LEN(scopes); i++)
                        if (strlen(scopes[i].name) == size && strncmp(scopes[i].name, p, size) == 0)
                                bit = scopes[i].bit;
                if (!bit)
                        return rt_fail(err, RETORT_E_INPUT, "scopes: '%.*s' is none; they are run, jobs, contexts, admin and metrics",
                                       size > 40 ? 40 : (int)size, p);
                bits |= bit;
                p += size + (p[size] == ',');
        }
        if (!bits)
                return rt_fail(err, RETORT_E_INPUT, "scopes: at least one of run, jobs, contexts, admin and metrics");
        *ret_scopes = bits;
        return 0;
}

/* ---- on a store ---- */

static int tenant_by_name(struct rt_store *store, const char *name, int64_t *ret_id, struct retort_error *err) {
        rt_auto_arena struct rt_arena arena = { 0 };
        struct rt_store_tenant *tenants = NULL;
        size_t n = 0;
        int r = rt_store_tenants(store, &arena, &tenants, &n, err);
        for (size_t i = 0; r == 0 && i < n; i++)
                if (strcmp(tenants[i].name, name) == 0) {
                        *ret_id = tenants[i].id;
                        return 0;
                }
        struct rt_store_tenant tenant = { .name = name, .quotas_json = "{}" };
        if (r == 0)
                r = rt_store_tenant_put(store, &tenant, err);
        *ret_id = tenant.id;
        return r;
}

static int check_order(const struct rt_key_order *order, int64_t now_ms, struct retort_error *err) {
        uint32_t bits;
        if (order->name && strlen(order->name) > MAX_NAME)
                return rt_fail(err, RETORT_E_INPUT, "name: at most %d bytes", MAX_NAME);
        if (order->tenant && (!*order->tenant || strlen(order->tenant) > 100))
                return rt_fail(err, RETORT_E_INPUT, "tenant: 1 to 100 bytes");
        if (order->expires_ms && order->expires_ms <= now_ms)
                return rt_fail(err, RETORT_E_INPUT, "expires: that time is past");
        return order->scopes ? rt_scopes_parse(order->scopes, &bits, err) : 0;
}

int rt_keys_create(struct rt_store *store, const struct rt_key_order *order, int64_t now_ms, char ret_key[RT_KEY_TEXT],
                   int64_t *ret_id, struct retort_error *err) {
        char text[RT_KEY_TEXT] = "rt_";
        char prefix[RT_KEY_PREFIX + 1];
        char hash[RT_KEY_HASH];
        struct rt_store_key key = { .name = order->name ? order->name : "", .prefix = prefix, .hash = hash,
                                    .scopes = order->scopes ? order->scopes : "run,jobs,contexts", .created_ms = now_ms,
                                    .expires_ms = order->expires_ms };
        int r = check_order(order, now_ms, err);
        if (r == 0)
                r = rt_random_hex(text + 3, 32, err);
        if (r == 0)
                r = rt_key_hash(text, hash, err);
        if (r == 0)
                r = tenant_by_name(store, order->tenant ? order->tenant : "default", &key.tenant_id, err);
        if (r == 0) {
                (void)snprintf(prefix, sizeof prefix, "%.*s", RT_KEY_PREFIX, text);
                r = rt_store_key_add(store, &key, err);
        }
        if (r == 0) {
                memcpy(ret_key, text, sizeof text);
                if (ret_id)
                        *ret_id = key.id;
        }
        OPENSSL_cleanse(text, sizeof text);
        return r < 0 ? rt_wrap(err, r, "creating a key") : 0;
}

int rt_keys_revoke(struct rt_store *store, const char *id_or_prefix, int64_t now_ms, struct retort_error *err) {
        rt_auto_arena struct rt_arena arena = { 0 };
        struct rt_store_key *keys = NULL;
        size_t n = 0;
        int64_t found = 0;
        int r = rt_store_keys(store, &arena, &keys, &n, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                char id[24];
                (void)snprintf(id, sizeof id, "%" PRId64, keys[i].id);
                if (strcmp(id, id_or_prefix) != 0 && strcmp(keys[i].prefix, id_or_prefix) != 0)
                        continue;
                if (found)
                        return rt_fail(err, RETORT_E_INPUT, "more than one key is called '%.40s'; give its id", id_or_prefix);
                found = keys[i].id;
        }
        if (!found)
                return rt_fail(err, RETORT_E_INPUT, "no key has the id or prefix '%.40s'", id_or_prefix);
        return rt_store_key_revoke(store, found, now_ms, err);
}

/* ---- in memory ---- */

struct entry {
        char hash[RT_KEY_HASH];
        struct rt_key_found found;
        int64_t expires_ms;
        int64_t revoked_ms;
        int64_t noted_ms;
};

struct rt_keyring {
        size_t n;
        struct entry entries[]; /* sorted by hash */
};

static int by_hash(const void *a, const void *b) {
        return strcmp(((const struct entry *)a)->hash, ((const struct entry *)b)->hash);
}

int rt_keyring_load(struct rt_store *store, struct rt_keyring **ret_ring, struct retort_error *err) {
        rt_auto_arena struct rt_arena arena = { 0 };
        struct rt_store_key *keys = NULL;
        size_t n = 0;
        int r = rt_store_keys(store, &arena, &keys, &n, err);
        if (r < 0)
                return rt_wrap(err, r, "reading the keys");
        struct rt_keyring *ring = calloc(1, sizeof *ring + n * sizeof *ring->entries);
        if (!ring)
                return rt_fail_nomem(err);
        for (size_t i = 0; i < n; i++) {
                uint32_t bits = 0;
                if (!keys[i].hash || strlen(keys[i].hash) != RT_KEY_HASH - 1 ||
                    rt_scopes_parse(keys[i].scopes ? keys[i].scopes : "", &bits, NULL) < 0)
                        continue; /* nobody can have such a key */
                struct entry *e = &ring->entries[ring->n++];
                memcpy(e->hash, keys[i].hash, RT_KEY_HASH);
                e->found = (struct rt_key_found){ .id = keys[i].id, .tenant_id = keys[i].tenant_id, .scopes = bits };
                e->expires_ms = keys[i].expires_ms;
                e->revoked_ms = keys[i].revoked_ms;
                e->noted_ms = keys[i].last_used_ms;
        }
        qsort(ring->entries, ring->n, sizeof *ring->entries, by_hash);
        *ret_ring = ring;
        return 0;
}

void rt_keyring_free(struct rt_keyring *ring) {
        free(ring);
}

size_t rt_keyring_size(const struct rt_keyring *ring) {
        return ring->n;
}

void rt_keyring_carry(struct rt_keyring *ring, const struct rt_keyring *old) {
        size_t o = 0;
        for (size_t i = 0; old && i < ring->n; i++) {
                while (o < old->n && strcmp(old->entries[o].hash, ring->entries[i].hash) < 0)
                        o++;
                if (o < old->n && strcmp(old->entries[o].hash, ring->entries[i].hash) == 0 &&
                    old->entries[o].noted_ms > ring->entries[i].noted_ms)
                        ring->entries[i].noted_ms = old->entries[o].noted_ms;
        }
}

/* Binary search over hashes of random keys tells a guesser nothing that helps: what it would learn is bytes of a hash, not of
 * a key. The last word is a comparison in constant time all the same. */
enum rt_key_verdict rt_keyring_find(struct rt_keyring *ring, const char hash[RT_KEY_HASH], int64_t now_ms,
                                    struct rt_key_found *ret_found) {
        size_t low = 0;
        size_t high = ring->n;
        while (low < high) {
                size_t middle = low + (high - low) / 2;
                if (memcmp(ring->entries[middle].hash, hash, 16) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        struct entry *e = NULL;
        for (size_t i = low; i < ring->n && memcmp(ring->entries[i].hash, hash, 16) == 0; i++)
                if (CRYPTO_memcmp(ring->entries[i].hash, hash, RT_KEY_HASH) == 0)
                        e = &ring->entries[i];
        if (!e)
                return RT_KEY_UNKNOWN;
        if (e->revoked_ms)
                return RT_KEY_REVOKED;
        if (e->expires_ms && e->expires_ms <= now_ms)
                return RT_KEY_EXPIRED;
        *ret_found = e->found;
        ret_found->note_use = now_ms - e->noted_ms >= NOTE_USE_MS;
        if (ret_found->note_use)
                e->noted_ms = now_ms;
        return RT_KEY_GOOD;
}
