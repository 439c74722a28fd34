/* SPDX-License-Identifier: Apache-2.0
 *
 * What is counted, and its text for Prometheus (format 0.0.4). Any thread. Labels are languages, statuses and words of ours:
 * never a tenant, an id or anything a client can choose freely.
 */
#pragma once

#include <stdatomic.h>

#include "base/buf.h"
#include "retort-context.h"

/* Counters: member, name without the prefix retort_, label, help. Those of one name stand together. */
#define RT_COUNTERS(X)                                                                                                 \
        X(refused_key, "refusals_total", "{reason=\"key\"}", "Requests refused, by reason.")                           \
        X(refused_scope, "refusals_total", "{reason=\"scope\"}", "")                                                   \
        X(refused_rate, "refusals_total", "{reason=\"rate\"}", "")                                                     \
        X(refused_quota, "refusals_total", "{reason=\"quota\"}", "")                                                   \
        X(refused_busy, "refusals_total", "{reason=\"busy\"}", "")                                                     \
        X(refused_input, "refusals_total", "{reason=\"input\"}", "")                                                   \
        X(starts_cold, "starts_total", "{start=\"cold\"}", "Runs by how their program started.")                        \
        X(starts_fork, "starts_total", "{start=\"fork\"}", "")                                                        \
        X(starts_parked, "starts_total", "{start=\"parked\"}", "")                                                    \
        X(starts_pool, "starts_total", "{start=\"pool\"}", "")                                                        \
        X(jobs_accepted, "jobs_accepted_total", "", "Jobs accepted.")                                                  \
        X(jobs_finished, "jobs_finished_total", "", "Jobs whose outcome is stored.")                                   \
        X(jobs_requeued, "jobs_requeued_total", "", "Jobs put back because their server stopped.")                     \
        X(webhooks_delivered, "webhooks_total", "{result=\"delivered\"}", "Deliveries of webhooks tried, by result.")  \
        X(webhooks_failed, "webhooks_total", "{result=\"failed\"}", "")                                                \
        X(webhooks_given_up, "webhooks_total", "{result=\"given_up\"}", "")                                            \
        X(log_store_errors, "store_errors_total", "", "Writes or reads that the store refused.")

struct rt_metrics_series;
struct rt_metrics {
#define X(member, name, label, help) atomic_ullong member;
        RT_COUNTERS(X)
#undef X
        struct rt_metrics_series *series; /* by language and status */
        struct rt_metrics_series *cells;  /* the same, of contexts */
        struct rt_metrics_lock *lock;
};

/* What is true now; gauges. */
struct rt_metrics_now {
        uint64_t slots;
        uint64_t slots_busy;
        uint64_t runs_waiting;
        uint64_t jobs_waiting;
        uint64_t tenants;
        uint64_t keys;
        uint64_t followers;
        bool draining;
        struct {
                char language[40];
                uint64_t states[RETORT_CONTEXT_DEAD + 1];
        } contexts[64]; /* more languages than there are */
        size_t n_context_languages;
        uint64_t n_contexts;
        uint64_t calls;
        uint64_t crew;
        struct {
                uint64_t commits, writes, waiting, file_bytes;
        } store;
        struct retort_cache_stats cache;
};

int rt_metrics_init(struct rt_metrics *metrics);
void rt_metrics_clear(struct rt_metrics *metrics);
/* One finished run. total_ns is from its acceptance to its outcome. */
void rt_metrics_run(struct rt_metrics *metrics, const struct retort_outcome *outcome, uint64_t total_ns);
/* One cell of a context. */
void rt_metrics_cell(struct rt_metrics *metrics, const struct retort_outcome *outcome);
int rt_metrics_text(struct rt_metrics *metrics, const struct rt_metrics_now *now, struct rt_buf *out);
