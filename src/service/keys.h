/* SPDX-License-Identifier: Apache-2.0
 *
 * API keys: `rt_` and 64 hexadecimal digits of 256 random bits, shown once. The store has their SHA-256 only; because
 * the key is random in full, no slow hash is needed. The first part works on a store alone, for the command.
 */
#pragma once

#include "service/service.h"

enum { RT_KEY_TEXT = 3 + 64 + 1, RT_KEY_HASH = 64 + 1, RT_KEY_PREFIX = 3 + 8 };

struct rt_key_order {
        const char *name;    /* for people; may be NULL */
        const char *tenant;  /* NULL: "default"; made when it is new */
        const char *scopes;  /* "run,jobs,contexts,admin,metrics"; NULL: "run,jobs,contexts" */
        int64_t expires_ms;  /* Unix; 0: never */
};
/* Makes a key and stores its hash. ret_key is its text, which nothing can show again; *ret_id may be NULL. */
int rt_keys_create(struct rt_store *store, const struct rt_key_order *order, int64_t now_ms, char ret_key[RT_KEY_TEXT],
                   int64_t *ret_id, struct retort_error *err);
/* Revokes by the id in decimal, or by the prefix that the list shows. RETORT_E_INPUT: none, or more than one. */
int rt_keys_revoke(struct rt_store *store, const char *id_or_prefix, int64_t now_ms, struct retort_error *err);
/* "run,jobs" to bits. RETORT_E_INPUT for an unknown one. */
int rt_scopes_parse(const char *text, uint32_t *ret_scopes, struct retort_error *err);

/* SHA-256 of a key's text, hexadecimal. */
int rt_key_hash(const char *key, char ret_hash[RT_KEY_HASH], struct retort_error *err);
/* size random bytes as 2 * size hexadecimal digits and a NUL. */
int rt_random_hex(char *out, size_t size, struct retort_error *err);

/* ---- all keys in memory, as a server checks them ---- */

struct rt_keyring;
/* Reads every key of the store. */
int rt_keyring_load(struct rt_store *store, struct rt_keyring **ret_ring, struct retort_error *err);
void rt_keyring_free(struct rt_keyring *ring);

enum rt_key_verdict { RT_KEY_GOOD, RT_KEY_UNKNOWN, RT_KEY_EXPIRED, RT_KEY_REVOKED };
struct rt_key_found {
        int64_t id;
        int64_t tenant_id;
        uint32_t scopes;
        bool note_use; /* its last use was noted more than a minute ago: note this one */
};
/* hash is compared in constant time. Not to be called by two threads at once. */
enum rt_key_verdict rt_keyring_find(struct rt_keyring *ring, const char hash[RT_KEY_HASH], int64_t now_ms,
                                    struct rt_key_found *ret_found);
/* A revocation or use known to another ring is carried over, so that reloading forgets nothing. */
void rt_keyring_carry(struct rt_keyring *ring, const struct rt_keyring *old);
size_t rt_keyring_size(const struct rt_keyring *ring);
