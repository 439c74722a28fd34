/* SPDX-License-Identifier: Apache-2.0
 *
 * Who asks, and what they may have now.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "service/inside.h"

#define SECOND_NS 1000000000ull

struct rt_known_tenant {
        int64_t id;
        struct rt_quotas quotas;
        char name[104];
};

/* ---- keys and tenants ---- */

int rt_service_put_tenants(struct rt_service *service, struct retort_error *err) {
        const struct rt_config *config = atomic_load(&service->config);
        int r = 0;
        for (size_t i = 0; r == 0 && i < config->n_tenants; i++) {
                struct rt_store_tenant tenant = { .name = config->tenants[i].name };
                r = rt_store_tenant_put(service->store, &tenant, err);
        }
        return r;
}

/* Those that have the default quotas need not be known. */
static int find_known(struct rt_service *service, const struct rt_config *config, struct rt_known_tenant **ret, size_t *ret_n,
                      struct retort_error *err) {
        rt_auto_arena struct rt_arena arena = { 0 };
        struct rt_store_tenant *rows = NULL;
        size_t n = 0;
        int r = rt_store_tenants(service->store, &arena, &rows, &n, err);
        struct rt_known_tenant *known = r < 0 ? NULL : calloc(n + 1, sizeof *known);
        if (r == 0 && !known)
                return rt_fail_nomem(err);
        for (size_t i = 0; r == 0 && i < n; i++) {
                known[i].id = rows[i].id;
                (void)snprintf(known[i].name, sizeof known[i].name, "%s", rows[i].name);
                r = rt_quotas_find(config, rows[i].name, rows[i].quotas_json, &known[i].quotas, err);
        }
        if (r < 0) {
                free(known);
                return r;
        }
        *ret = known;
        *ret_n = n;
        return 0;
}

static const struct rt_known_tenant *known_tenant(const struct rt_service *service, int64_t id) {
        for (size_t i = 0; i < service->n_known; i++)
                if (service->known[i].id == id)
                        return &service->known[i];
        return NULL;
}

static const struct rt_quotas *quotas_of(const struct rt_service *service, int64_t id) {
        const struct rt_known_tenant *known = known_tenant(service, id);
        return known ? &known->quotas : &service->default_quotas;
}

int rt_service_load_keys(struct rt_service *service, struct retort_error *err) {
        const struct rt_config *config = atomic_load(&service->config);
        struct rt_keyring *ring = NULL;
        struct rt_known_tenant *known = NULL;
        struct rt_quotas quotas = { 0 };
        size_t n_known = 0;
        int r = rt_quotas_find(config, NULL, NULL, &quotas, err);
        if (r == 0)
                r = rt_keyring_load(service->store, &ring, err);
        if (r == 0)
                r = find_known(service, config, &known, &n_known, err);
        if (r < 0) {
                rt_keyring_free(ring);
                return r;
        }
        (void)pthread_mutex_lock(&service->lock);
        if (service->keys)
                rt_keyring_carry(ring, service->keys);
        rt_keyring_free(service->keys);
        free(service->known);
        service->keys = ring;
        service->known = known;
        service->n_known = n_known;
        service->default_quotas = quotas;
        service->keys_read_ns = rt_now_ns();
        for (struct rt_tenant *t = rt_tenants_next(service->tenants, NULL); t; t = rt_tenants_next(service->tenants, t))
                t->quotas = *quotas_of(service, t->id);
        (void)pthread_mutex_unlock(&service->lock);
        return 0;
}

struct rt_tenant *rt_service_tenant(struct rt_service *service, int64_t id) {
        struct rt_tenant *tenant = rt_tenants_find(service->tenants, id);
        return tenant ? tenant : rt_tenants_get(service->tenants, id, quotas_of(service, id), rt_now_ns());
}

const char *rt_service_tenant_name(struct rt_service *service, int64_t id, char *out, size_t room) {
        const struct rt_known_tenant *known = known_tenant(service, id);
        if (known)
                (void)snprintf(out, room, "%s", known->name);
        else
                (void)snprintf(out, room, "%" PRId64, id);
        return out;
}

void rt_service_note_uses(struct rt_service *service) {
        int64_t notes[RT_MAX_NOTES];
        (void)pthread_mutex_lock(&service->lock);
        size_t n = service->n_notes;
        memcpy(notes, service->notes, n * sizeof *notes);
        service->n_notes = 0;
        (void)pthread_mutex_unlock(&service->lock);
        for (size_t i = 0; i < n; i++)
                if (rt_store_key_used(service->store, notes[i], rt_unix_ms(), NULL) < 0)
                        atomic_fetch_add(&service->metrics.log_store_errors, 1);
}

/* ---- refusing ---- */

int rt_service_refuse(struct rt_service *service, const struct rt_refusal *refusal, int code, struct retort_error *err) {
        struct rt_metrics *m = &service->metrics;
        switch (refusal->why) {
        case RT_REFUSED_KEY:
                atomic_fetch_add(&m->refused_key, 1);
                return err && err->message[0] ? code : rt_fail(err, code, "an API key is needed");
        case RT_REFUSED_SCOPE:
                atomic_fetch_add(&m->refused_scope, 1);
                return rt_fail(err, code, "the key does not have the scope that this needs");
        case RT_REFUSED_RATE:
                atomic_fetch_add(&m->refused_rate, 1);
                return rt_fail(err, code, "too many requests; the next may come in %u s", refusal->retry_after_s);
        case RT_REFUSED_QUOTA:
                atomic_fetch_add(&m->refused_quota, 1);
                return rt_fail(err, code, "the tenant's quota '%s' is used up", refusal->quota);
        case RT_REFUSED_BUSY:
                atomic_fetch_add(&m->refused_busy, 1);
                return rt_fail(err, code, "too much waits already ('%s'); try again in %u s", refusal->quota, refusal->retry_after_s);
        case RT_REFUSED_NOT:
                break;
        }
        return code;
}

static bool take_token(struct rt_service *service, int64_t tenant_id, struct rt_refusal *refusal) {
        struct rt_tenant *tenant = rt_service_tenant(service, tenant_id);
        if (tenant)
                return rt_tenant_take_token(tenant, rt_now_ns(), refusal);
        *refusal = (struct rt_refusal){ .why = RT_REFUSED_BUSY, .quota = "memory", .retry_after_s = 1 };
        return false;
}

int rt_service_take_token(struct rt_service *service, const struct rt_caller *caller, struct rt_refusal *ret_refusal,
                          struct retort_error *err) {
        *ret_refusal = (struct rt_refusal){ 0 };
        (void)pthread_mutex_lock(&service->lock);
        bool good = take_token(service, caller->tenant_id, ret_refusal);
        (void)pthread_mutex_unlock(&service->lock);
        return good ? 0 : rt_service_refuse(service, ret_refusal, RETORT_E_INPUT, err);
}

/* ---- admitting ---- */

static enum rt_key_verdict look_up(struct rt_service *service, const char *hash, struct rt_key_found *found) {
        (void)pthread_mutex_lock(&service->lock);
        enum rt_key_verdict verdict = rt_keyring_find(service->keys, hash, rt_unix_ms(), found);
        if (verdict == RT_KEY_GOOD && found->note_use && service->n_notes < RT_MAX_NOTES)
                service->notes[service->n_notes++] = found->id;
        bool stale = verdict == RT_KEY_UNKNOWN && rt_now_ns() - service->keys_read_ns > SECOND_NS;
        if (stale)
                service->keys_read_ns = rt_now_ns(); /* one look a second, however many guess */
        (void)pthread_mutex_unlock(&service->lock);
        if (stale && rt_service_load_keys(service, NULL) == 0)
                return look_up(service, hash, found);
        return verdict;
}

static int find_key(struct rt_service *service, const char *key, struct rt_key_found *ret_found, struct retort_error *err) {
        static const char *const words[] = { [RT_KEY_UNKNOWN] = "the API key is not known",
                                             [RT_KEY_EXPIRED] = "the API key has expired",
                                             [RT_KEY_REVOKED] = "the API key was revoked" };
        char hash[RT_KEY_HASH];
        enum rt_key_verdict verdict = RT_KEY_UNKNOWN;
        if (!key)
                return rt_fail(err, RETORT_E_INPUT, "an API key is needed");
        if (strnlen(key, RT_KEY_TEXT) == RT_KEY_TEXT - 1) {
                int r = rt_key_hash(key, hash, err);
                if (r < 0)
                        return r;
                verdict = look_up(service, hash, ret_found);
        }
        return verdict == RT_KEY_GOOD ? 0 : rt_fail(err, RETORT_E_INPUT, "%s", words[verdict]);
}

int rt_service_admit(struct rt_service *service, const char *key, uint32_t scope, struct rt_caller *ret_caller,
                     struct rt_refusal *ret_refusal, struct retort_error *err) {
        struct retort_error local = { 0 };
        if (!err)
                err = &local;
        *ret_refusal = (struct rt_refusal){ 0 };
        struct rt_key_found found = { .tenant_id = 1, .scopes = ~0u };
        bool open_door = !key && !atomic_load(&service->config)->auth_required;
        int r = open_door ? 0 : find_key(service, key, &found, err);
        if (r < 0) {
                ret_refusal->why = RT_REFUSED_KEY;
                return rt_service_refuse(service, ret_refusal, r, err);
        }
        if ((found.scopes & scope) != scope && !(found.scopes & RT_SCOPE_ADMIN)) {
                ret_refusal->why = RT_REFUSED_SCOPE;
                return rt_service_refuse(service, ret_refusal, RETORT_E_INPUT, err);
        }
        *ret_caller = (struct rt_caller){ .tenant_id = found.tenant_id, .key_id = found.id, .scopes = found.scopes };
        return rt_service_take_token(service, ret_caller, ret_refusal, err);
}

uint64_t rt_service_cache_scope(struct rt_service *service, int64_t tenant_id) {
        return atomic_load(&service->config)->cache_shared ? 0 : (uint64_t)tenant_id + 1;
}

/* What a run is charged. A runtime's own default is not known here; Retort's stands for it. */
uint64_t rt_request_memory(const struct retort_request *request) {
        static const struct retort_limits defaults = {
#define X(member, unit, dflt, floor, ceiling, text) .member = (dflt),
                RETORT_LIMITS(X)
#undef X
        };
        uint64_t run = request->limits.memory_bytes ? request->limits.memory_bytes : defaults.memory_bytes;
        return request->compile_limits.memory_bytes > run ? request->compile_limits.memory_bytes : run;
}
