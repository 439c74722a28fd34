/* SPDX-License-Identifier: Apache-2.0
 *
 * retortd's configuration: one YAML file, environment (RETORT_<SECTION>_<KEY>) over it, flags (section.key=value) over both.
 * One table makes the struct, the reader, `retort config show` and docs/configuration.md. Unknown keys are refused with
 * file, line and column.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "retort.h"

/* section, member, type, default (as text), what it is. Types: TEXT, LIST (comma-separated in environment and flags), BOOL,
 * COUNT, MS (500ms, 10s, 5m), BYTES (64KiB). */
#define RT_CONFIG(X)                                                                                                   \
        X(server, listen, LIST, "127.0.0.1:8081", "addresses to listen on: host:port, [v6]:port, unix:/path")          \
        X(server, tls_certificate, TEXT, "", "file with the certificate chain (PEM); empty: plain HTTP")               \
        X(server, tls_key, TEXT, "", "file with its key (PEM)")                                                        \
        X(server, hosts, LIST, "", "allowed Host names besides loopback and the addresses listened on")                \
        X(server, origins, LIST, "", "allowed Origins besides same-origin, with CORS; * for any")                      \
        X(server, user, TEXT, "", "user to become, when started as root, once the jailer runs; empty: none")           \
        X(server, threads, COUNT, "1", "threads that serve HTTP")                                                      \
        X(server, max_connections, COUNT, "4096", "open connections at most")                                          \
        X(server, max_connections_per_ip, COUNT, "0", "of one address at most; 0: no limit")                           \
        X(server, max_body, BYTES, "48MiB", "largest request body")                                                    \
        X(server, head_timeout, MS, "10s", "time for a request's head")                                                \
        X(server, body_timeout, MS, "60s", "time for its body")                                                        \
        X(server, idle_timeout, MS, "75s", "time between requests on one connection")                                  \
        X(server, drain_timeout, MS, "20s", "time for running programs when the server stops")                         \
        X(auth, required, BOOL, "true", "every request needs a key; false only when listening on loopback")            \
        X(auth, jwt_secret, TEXT, "", "secret of the Runtime face's tokens, at least 32 bytes; empty: a random one, kept")  \
        X(auth, jwt_lifetime, MS, "24h", "how long a token of the Runtime face is good")                               \
        X(auth, allow_register, BOOL, "true", "the Runtime face lets people register")                                 \
        X(auth, allow_guest, BOOL, "true", "the Runtime face lets people in as guests")                                \
        X(isolation, minimum, TEXT, "", "strong, reduced or minimal; empty: strong as root, reduced as a user")        \
        X(engine, slots, COUNT, "0", "boxes at most at once; 0: twice the CPUs")                                       \
        X(engine, warm_slots, COUNT, "0", "boxes kept ready; 0: one for each CPU")                                     \
        X(engine, warm, TEXT, "on-demand", "languages whose interpreters are frozen, or started ahead, at the start, as in python,ruby, and for contexts python/context; on-demand: each when it is first asked for; none") \
        X(engine, runtimes, TEXT, "", "directory of the runtimes; empty: as installed")                                \
        X(engine, libexec, TEXT, "", "directory of retort-jailer and retort-init; empty: as installed")                \
        X(cache, bytes, BYTES, "64MiB", "what compiled programs kept for the same request later may take; 0: none")   \
        X(cache, shared, BOOL, "false", "one tenant's compiled programs serve the others' same requests too")         \
        X(limits, wall, MS, "60s", "ceiling of a step's wall-clock time")                                              \
        X(limits, cpu, MS, "60s", "ceiling of its CPU time")                                                           \
        X(limits, memory, BYTES, "4GiB", "ceiling of its memory")                                                      \
        X(limits, processes, COUNT, "1024", "ceiling of its processes")                                                \
        X(limits, output, BYTES, "64MiB", "ceiling of its output")                                                     \
        X(limits, file, BYTES, "1GiB", "ceiling of a file's size")                                                     \
        X(limits, files, COUNT, "4096", "ceiling of its open files")                                                   \
        X(limits, disk, BYTES, "4GiB", "ceiling of all its files")                                                     \
        X(contexts, max, COUNT, "64", "open contexts at most, at most 1024; more get 503")                            \
        X(contexts, memory, BYTES, "1GiB", "memory limit of a context's box that does not say one")                    \
        X(contexts, idle, MS, "30m", "a context ends when nobody has called for so long, unless it says otherwise")    \
        X(contexts, lifetime, MS, "24h", "it ends so long after it was opened; also the ceiling of both")              \
        X(contexts, keep_dead, MS, "5m", "how long one that has ended can still be restarted")                         \
        X(queue, max_runs, COUNT, "1024", "runs that wait for a box at most; more get 503")                            \
        X(queue, max_jobs, COUNT, "100000", "queued jobs at most; more get 503")                                       \
        X(jobs, running_at_crash, TEXT, "rerun", "what becomes of jobs that ran when the server died: rerun or fail")  \
        X(jobs, max_attempts, COUNT, "3", "runs of one job at most, crashes included")                                 \
        X(jobs, keep, MS, "168h", "how long finished jobs are kept")                                                   \
        X(jobs, events_bytes, BYTES, "4MiB", "events kept of one job; more are dropped, the outcome is not")           \
        X(jobs, callback_secret, TEXT, "", "key of the webhooks' HMAC-SHA256 signature; empty: a random one, shown once") \
        X(jobs, callback_attempts, COUNT, "8", "deliveries tried, with growing pauses")                                \
        X(jobs, callback_private, BOOL, "false", "webhooks may go to loopback and private addresses")                  \
        X(quotas, running, COUNT, "0", "a tenant's runs at once; 0: no limit but the slots")                           \
        X(quotas, contexts, COUNT, "16", "a tenant's open contexts; 0: no limit but contexts.max")                    \
        X(quotas, queued_jobs, COUNT, "10000", "a tenant's queued jobs")                                               \
        X(quotas, memory, BYTES, "0", "memory limits of a tenant's runs and contexts together; 0: no limit")           \
        X(quotas, cpu_per_minute, MS, "0", "CPU time a tenant's runs and cells may use in a minute; 0: no limit")       \
        X(quotas, requests_per_minute, COUNT, "6000", "requests of a tenant in a minute")                              \
        X(quotas, burst, COUNT, "200", "requests it may send at once")                                                 \
        X(store, path, TEXT, "", "the database; empty: retort.db in the state directory")                              \
        X(runtime_face, enabled, BOOL, "true", "serve /api and /ws/execute")                                           \
        X(runtime_face, mode, TEXT, "direct", "what POST /api/execute does: direct or queue")                          \
        X(runtime_face, generation, TEXT, "head", "which ExecutionResult: head or docs")                               \
        X(runtime_face, strict, BOOL, "false", "its quirks too: exit code always 0 (docs), HTTP 200 for failures")     \
        X(runtime_face, anonymous, BOOL, "false", "POST /api/execute and /ws/execute without a token")                 \
        X(runtime_face, anonymous_socket, BOOL, "false", "/ws/execute without a token, as Runtime's front end asks")   \
        X(agentbay_face, enabled, BOOL, "true", "serve POST / and /agentbay")                                          \
        X(agentbay_face, format, TEXT, "current", "what run_code answers with: current or rich; ?format= says otherwise") \
        X(agentbay_face, idle, MS, "5m", "a session ends when nobody has called for so long, unless it says otherwise") \
        X(agentbay_face, url, TEXT, "", "where clients reach this server, as in https://retort.example; empty: as their Host says") \
        X(log, level, TEXT, "info", "error, warning, info or debug")                                                   \
        X(metrics, public, BOOL, "false", "/metrics without a key")

#define RT_CONFIG_C_TEXT const char *
#define RT_CONFIG_C_LIST const char *const *
#define RT_CONFIG_C_BOOL bool
#define RT_CONFIG_C_COUNT uint64_t
#define RT_CONFIG_C_MS uint64_t
#define RT_CONFIG_C_BYTES uint64_t

/* A member is section_key: config->server_listen. Texts are never NULL, lists end in NULL. */
struct rt_config {
#define X(section, member, type, dflt, text) RT_CONFIG_C_##type section##_##member;
        RT_CONFIG(X)
#undef X
        /* Tenants with quotas of their own: name, and "key=value" pairs of the quotas section. */
        struct rt_config_tenant {
                const char *name;
                const char *const *quotas;
        } *tenants;
        size_t n_tenants;
        struct rt_arena *arena; /* everything lives in it */
};

/* Reads file (NULL: only defaults), then the environment, then overrides ("section.key=value", NULL-terminated, may be NULL).
 * What is wrong is RETORT_E_INPUT: "<file>:<line>:<column>: unknown key 'lisen' in 'server'; did you mean 'listen'?".
 * Also checks what belongs together. Freed with rt_config_free. */
int rt_config_read(struct rt_config **ret_config, const char *file, const char *const *overrides, struct retort_error *err);
void rt_config_free(struct rt_config *config);
/* As YAML with comments; secrets as "********" unless with_secrets. */
int rt_config_show(const struct rt_config *config, bool with_secrets, struct rt_buf *out);
/* The table as markdown: docs/configuration.md. */
int rt_config_document(struct rt_buf *out);
