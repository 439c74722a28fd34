/* SPDX-License-Identifier: Apache-2.0
 *
 * Tenants and what is charged to them. Time is a parameter (monotonic nanoseconds), so that tests have a clock of their
 * own. Nothing here locks: the service's lock covers it.
 */
#pragma once

#include "service/config.h"
#include "service/service.h"

struct rt_quotas {
        uint64_t running;             /* 0: no limit, here and below */
        uint64_t contexts;
        uint64_t queued_jobs;
        uint64_t memory;
        uint64_t cpu_per_minute;      /* ms */
        uint64_t requests_per_minute;
        uint64_t burst;
};
/* The quotas of a tenant: the configuration's, what the store has for it, what `tenants` says of its name. */
int rt_quotas_find(const struct rt_config *config, const char *name, const char *quotas_json, struct rt_quotas *ret,
                   struct retort_error *err);

struct rt_queue_lane; /* service/queue.h */

struct rt_tenant {
        int64_t id;
        char name[104];
        struct rt_quotas quotas;
        uint64_t running;     /* charged now: in a box, or a run that waits for one */
        uint64_t memory;
        uint64_t contexts;    /* open, or being opened */
        uint64_t queued_jobs;
        uint64_t waiting_runs;
        uint64_t active;      /* in a box: what the queue is fair about */
        double tokens;        /* of the rate limit */
        uint64_t tokens_ns;   /* when they were counted */
        int64_t cpu_ns;       /* left of this minute's CPU time; below 0: overdrawn */
        uint64_t cpu_at_ns;
        struct rt_tenant *next;     /* in its bucket */
        struct rt_queue_lane *lanes; /* of the queue */
};

/* What one run holds of its tenant. Zeroed: nothing. */
struct rt_charge {
        struct rt_tenant *tenant;
        uint64_t memory;
};

struct rt_tenants;
int rt_tenants_new(struct rt_tenants **ret_tenants);
void rt_tenants_free(struct rt_tenants *tenants);
/* Made with these quotas when it is new; NULL: no memory. */
struct rt_tenant *rt_tenants_get(struct rt_tenants *tenants, int64_t id, const struct rt_quotas *quotas, uint64_t now_ns);
struct rt_tenant *rt_tenants_find(struct rt_tenants *tenants, int64_t id); /* NULL: none yet */
size_t rt_tenants_count(const struct rt_tenants *tenants);
/* All of them, one after another; NULL begins and ends. */
struct rt_tenant *rt_tenants_next(struct rt_tenants *tenants, struct rt_tenant *after);

/* Takes one request from the rate limit; false with *ret_refusal. Its numbers are filled either way. */
bool rt_tenant_take_token(struct rt_tenant *tenant, uint64_t now_ns, struct rt_refusal *ret_refusal);
/* Whether a run with this memory limit fits now; false with *ret_refusal (may be NULL). */
bool rt_tenant_fits(struct rt_tenant *tenant, uint64_t memory, uint64_t now_ns, struct rt_refusal *ret_refusal);
/* Whether one more context fits, whose box has this memory limit (0: a box that is there already). */
bool rt_tenant_fits_context(struct rt_tenant *tenant, uint64_t memory, struct rt_refusal *ret_refusal);
/* Whether it has CPU time left in this minute. */
bool rt_tenant_has_cpu(struct rt_tenant *tenant, uint64_t now_ns, struct rt_refusal *ret_refusal);
/* Takes it, whether it fits or not. Given back with rt_charge_back, once; more is harmless. */
struct rt_charge rt_tenant_charge(struct rt_tenant *tenant, uint64_t memory);
void rt_charge_back(struct rt_charge *charge);
/* CPU time that a run has used. */
void rt_tenant_used_cpu(struct rt_tenant *tenant, uint64_t cpu_ns, uint64_t now_ns);
