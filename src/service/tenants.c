/* SPDX-License-Identifier: Apache-2.0 */
#include "service/tenants.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "service/config-table.h"

enum { BUCKETS = 1024, SWEEP_AT = 8192 };
#define MINUTE_NS (60 * 1000000000ull)

struct rt_tenants {
        struct rt_tenant *buckets[BUCKETS];
        size_t n;
        size_t sweep_at;
};

/* ---- quotas ---- */

static int set_quota(struct rt_config *config, const char *key, const char *text, struct retort_error *err) {
        const struct rt_option *option = rt_option_find("quotas", key);
        if (!option)
                return rt_fail(err, RETORT_E_INPUT, "unknown quota '%.60s'", key);
        int r = rt_option_set(config, option, text, err);
        return r < 0 ? rt_wrap(err, r, "quota '%s'", key) : 0;
}

static int set_from_json(struct rt_config *config, const char *json, struct retort_error *err) {
        json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
        if (!json_is_object(root)) {
                json_decref(root);
                return rt_fail(err, RETORT_E_INPUT, "the store's quotas are not a JSON object");
        }
        const char *key;
        json_t *value;
        int r = 0;
        json_object_foreach(root, key, value) {
                char number[32];
                (void)snprintf(number, sizeof number, "%" PRId64 "%s", (int64_t)json_integer_value(value),
                               strcmp(key, "cpu_per_minute") == 0 ? "ms" : "");
                if (r == 0)
                        r = set_quota(config, key, json_is_string(value) ? json_string_value(value) : number, err);
        }
        json_decref(root);
        return r;
}

static int set_from_pair(struct rt_config *config, const char *pair, struct retort_error *err) {
        char key[64];
        size_t size = strcspn(pair, "=");
        if (size >= sizeof key || pair[size] != '=')
                return rt_fail(err, RETORT_E_INPUT, "'%.60s' is not key=value", pair);
        memcpy(key, pair, size);
        key[size] = 0;
        return set_quota(config, key, pair + size + 1, err);
}

int rt_quotas_find(const struct rt_config *config, const char *name, const char *quotas_json, struct rt_quotas *ret,
                   struct retort_error *err) {
        struct rt_config scratch = *config; /* for its quotas_ members */
        int r = quotas_json ? set_from_json(&scratch, quotas_json, err) : 0;
        for (size_t i = 0; r == 0 && name && i < config->n_tenants; i++)
                if (strcmp(config->tenants[i].name, name) == 0)
                        for (const char *const *pair = config->tenants[i].quotas; r == 0 && *pair; pair++)
                                r = set_from_pair(&scratch, *pair, err);
        if (r < 0)
                return rt_wrap(err, r, "tenant '%s'", name ? name : "");
        *ret = (struct rt_quotas){ .running = scratch.quotas_running, .contexts = scratch.quotas_contexts,
                                   .queued_jobs = scratch.quotas_queued_jobs,
                                   .memory = scratch.quotas_memory, .cpu_per_minute = scratch.quotas_cpu_per_minute,
                                   .requests_per_minute = scratch.quotas_requests_per_minute, .burst = scratch.quotas_burst };
        return 0;
}

/* ---- the table ---- */

int rt_tenants_new(struct rt_tenants **ret_tenants) {
        *ret_tenants = calloc(1, sizeof **ret_tenants);
        if (*ret_tenants)
                (*ret_tenants)->sweep_at = SWEEP_AT;
        return *ret_tenants ? 0 : RETORT_E_NOMEM;
}

void rt_tenants_free(struct rt_tenants *tenants) {
        for (size_t b = 0; tenants && b < BUCKETS; b++)
                while (tenants->buckets[b]) {
                        struct rt_tenant *next = tenants->buckets[b]->next;
                        free(tenants->buckets[b]);
                        tenants->buckets[b] = next;
                }
        free(tenants);
}

struct rt_tenant *rt_tenants_find(struct rt_tenants *tenants, int64_t id) {
        struct rt_tenant *tenant = tenants->buckets[(uint64_t)id % BUCKETS];
        while (tenant && tenant->id != id)
                tenant = tenant->next;
        return tenant;
}

static bool is_idle(const struct rt_tenant *t, uint64_t now_ns) {
        return t->running == 0 && t->active == 0 && t->contexts == 0 && t->queued_jobs == 0 && t->waiting_runs == 0 && !t->lanes &&
               now_ns - t->tokens_ns > MINUTE_NS && now_ns - t->cpu_at_ns > MINUTE_NS;
}

/* Guests have a tenant each: those that hold nothing and have not been seen for a minute are forgotten. */
static void sweep(struct rt_tenants *tenants, uint64_t now_ns) {
        for (size_t b = 0; b < BUCKETS; b++)
                for (struct rt_tenant **at = &tenants->buckets[b]; *at;) {
                        struct rt_tenant *tenant = *at;
                        if (!is_idle(tenant, now_ns)) {
                                at = &tenant->next;
                                continue;
                        }
                        *at = tenant->next;
                        free(tenant);
                        tenants->n--;
                }
        tenants->sweep_at = tenants->n * 2 > SWEEP_AT ? tenants->n * 2 : SWEEP_AT;
}

struct rt_tenant *rt_tenants_get(struct rt_tenants *tenants, int64_t id, const struct rt_quotas *quotas, uint64_t now_ns) {
        struct rt_tenant *tenant = rt_tenants_find(tenants, id);
        if (tenant)
                return tenant;
        if (tenants->n >= tenants->sweep_at)
                sweep(tenants, now_ns);
        tenant = calloc(1, sizeof *tenant);
        if (!tenant)
                return NULL;
        tenant->id = id;
        tenant->quotas = *quotas;
        tenant->tokens = (double)quotas->burst;
        tenant->cpu_ns = (int64_t)(quotas->cpu_per_minute * 1000000u);
        tenant->tokens_ns = tenant->cpu_at_ns = now_ns;
        tenant->next = tenants->buckets[(uint64_t)id % BUCKETS];
        tenants->buckets[(uint64_t)id % BUCKETS] = tenant;
        tenants->n++;
        return tenant;
}

size_t rt_tenants_count(const struct rt_tenants *tenants) {
        return tenants->n;
}

struct rt_tenant *rt_tenants_next(struct rt_tenants *tenants, struct rt_tenant *after) {
        if (after && after->next)
                return after->next;
        for (size_t b = after ? (uint64_t)after->id % BUCKETS + 1 : 0; b < BUCKETS; b++)
                if (tenants->buckets[b])
                        return tenants->buckets[b];
        return NULL;
}

/* ---- rates ---- */

static unsigned ceil_seconds(double seconds) {
        unsigned whole = seconds >= 86400 ? 86400 : (unsigned)seconds;
        return whole < seconds || whole == 0 ? whole + 1 : whole;
}

bool rt_tenant_take_token(struct rt_tenant *tenant, uint64_t now_ns, struct rt_refusal *ret_refusal) {
        const struct rt_quotas *q = &tenant->quotas;
        if (q->requests_per_minute == 0)
                return true;
        double per_second = (double)q->requests_per_minute / 60.0;
        double most = q->burst ? (double)q->burst : 1.0;
        tenant->tokens += (double)(now_ns - tenant->tokens_ns) / 1e9 * per_second;
        tenant->tokens_ns = now_ns;
        if (tenant->tokens > most)
                tenant->tokens = most;
        bool good = tenant->tokens >= 1.0;
        if (good)
                tenant->tokens -= 1.0;
        ret_refusal->limit = (uint64_t)most;
        ret_refusal->remaining = (uint64_t)tenant->tokens;
        ret_refusal->reset_s = tenant->tokens < most ? ceil_seconds((most - tenant->tokens) / per_second) : 0;
        if (!good) {
                ret_refusal->why = RT_REFUSED_RATE;
                ret_refusal->quota = "requests_per_minute";
                ret_refusal->retry_after_s = ceil_seconds((1.0 - tenant->tokens) / per_second);
        }
        return good;
}

static void refill_cpu(struct rt_tenant *tenant, uint64_t now_ns) {
        int64_t most = (int64_t)(tenant->quotas.cpu_per_minute * 1000000u);
        double gained = (double)(now_ns - tenant->cpu_at_ns) / (double)MINUTE_NS * (double)most;
        tenant->cpu_at_ns = now_ns;
        tenant->cpu_ns = gained >= (double)(most - tenant->cpu_ns) ? most : tenant->cpu_ns + (int64_t)gained;
}

static bool refuse(struct rt_refusal *refusal, const char *quota, unsigned retry_after_s) {
        if (refusal) {
                refusal->why = RT_REFUSED_QUOTA;
                refusal->quota = quota;
                refusal->retry_after_s = retry_after_s;
        }
        return false;
}

static bool fits_memory(const struct rt_tenant *tenant, uint64_t memory, struct rt_refusal *ret_refusal) {
        const struct rt_quotas *q = &tenant->quotas;
        if (q->memory && (memory > q->memory || tenant->memory > q->memory - memory))
                return refuse(ret_refusal, "memory", 1);
        return true;
}

bool rt_tenant_fits(struct rt_tenant *tenant, uint64_t memory, uint64_t now_ns, struct rt_refusal *ret_refusal) {
        const struct rt_quotas *q = &tenant->quotas;
        if (q->running && tenant->running >= q->running)
                return refuse(ret_refusal, "running", 1);
        return fits_memory(tenant, memory, ret_refusal) && rt_tenant_has_cpu(tenant, now_ns, ret_refusal);
}

bool rt_tenant_fits_context(struct rt_tenant *tenant, uint64_t memory, struct rt_refusal *ret_refusal) {
        if (tenant->quotas.contexts && tenant->contexts >= tenant->quotas.contexts)
                return refuse(ret_refusal, "contexts", 1);
        return fits_memory(tenant, memory, ret_refusal);
}

bool rt_tenant_has_cpu(struct rt_tenant *tenant, uint64_t now_ns, struct rt_refusal *ret_refusal) {
        const struct rt_quotas *q = &tenant->quotas;
        if (!q->cpu_per_minute)
                return true;
        refill_cpu(tenant, now_ns);
        if (tenant->cpu_ns > 0)
                return true;
        double per_second = (double)q->cpu_per_minute * 1e6 / 60.0;
        return refuse(ret_refusal, "cpu_per_minute", ceil_seconds((double)-tenant->cpu_ns / per_second));
}

struct rt_charge rt_tenant_charge(struct rt_tenant *tenant, uint64_t memory) {
        tenant->running++;
        tenant->memory += memory;
        return (struct rt_charge){ .tenant = tenant, .memory = memory };
}

void rt_charge_back(struct rt_charge *charge) {
        struct rt_tenant *tenant = charge->tenant;
        if (!tenant)
                return;
        tenant->running--;
        tenant->memory -= charge->memory;
        *charge = (struct rt_charge){ 0 };
}

void rt_tenant_used_cpu(struct rt_tenant *tenant, uint64_t cpu_ns, uint64_t now_ns) {
        if (!tenant->quotas.cpu_per_minute)
                return;
        refill_cpu(tenant, now_ns);
        tenant->cpu_ns -= cpu_ns < INT64_MAX / 2 ? (int64_t)cpu_ns : INT64_MAX / 2;
}
