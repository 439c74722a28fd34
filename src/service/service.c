/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening, draining, closing. What is opened last is closed first; nothing runs any more when the store closes.
 */
#include "service/service.h"

#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/err.h"
#include "base/util.h"
#include "service/inside.h"

enum { LOOK_MS = 100, FOLLOWERS_MS = 5000 };

/* ---- opening ---- */

static int minimum_of(const char *name) {
        if (strcmp(name, "strong") == 0 || (!*name && geteuid() == 0))
                return RETORT_ISOLATION_STRONG;
        return strcmp(name, "minimal") == 0 ? RETORT_ISOLATION_MINIMAL : RETORT_ISOLATION_REDUCED;
}

static int open_engine(struct rt_service *service, const struct rt_config *config, struct retort_error *err) {
        unsigned slots = config->engine_slots ? (unsigned)config->engine_slots : 2 * (unsigned)get_nprocs();
        service->slots = slots > RT_MAX_WORKERS ? RT_MAX_WORKERS : slots;
        const struct retort_config engine = {
                .runtimes_dir = *config->engine_runtimes ? config->engine_runtimes : NULL,
                .libexec_dir = *config->engine_libexec ? config->engine_libexec : NULL,
                .slots = service->slots, .warm_slots = (unsigned)config->engine_warm_slots,
                .warm = strcmp(config->engine_warm, "on-demand") == 0 ? NULL
                        : strcmp(config->engine_warm, "none") == 0    ? ""
                                                                       : config->engine_warm,
                .minimum = (enum retort_isolation)minimum_of(config->isolation_minimum),
                .cache_bytes = config->cache_bytes, .no_cache = config->cache_bytes == 0,
                .ceilings = { .wall_ms = config->limits_wall, .cpu_ms = config->limits_cpu, .memory_bytes = config->limits_memory,
                              .processes = config->limits_processes, .output_bytes = config->limits_output,
                              .file_bytes = config->limits_file, .open_files = config->limits_files,
                              .disk_bytes = config->limits_disk } };
        return retort_engine_open(&service->engine, &engine, err);
}

static int open_store(struct rt_service *service, const struct rt_config *config, struct retort_error *err) {
        const struct rt_store_config store = { .path = config->store_path, .keep_jobs_ms = config->jobs_keep };
        return rt_store_open(&service->store, &store, err);
}

/* A cell's thread for each context, and some for what does not need its runner. */
static int open_crew(struct rt_service *service, struct retort_error *err) {
        enum { CELL = 2048, SHORT = 64, OPEN = 16, LONG = 64 }; /* CELL: more than there may be contexts, whoever they belong to */
        unsigned contexts = (unsigned)atomic_load(&service->config)->contexts_max;
        const unsigned most[RT_CREW_KINDS] = { [RT_CREW_CELL] = CELL, [RT_CREW_SHORT] = SHORT, [RT_CREW_OPEN] = OPEN,
                                               [RT_CREW_LONG] = LONG + contexts };
        return rt_crew_new(&service->crew, most, err);
}

static int open_parts(struct rt_service *service, const struct rt_config *config, struct retort_error *err) {
        int r = rt_tenants_new(&service->tenants) < 0 || rt_metrics_init(&service->metrics) < 0 ? rt_fail_nomem(err) : 0;
        if (r == 0)
                r = rt_random_hex(service->callback_secret, 32, err);
        if (r == 0)
                r = open_store(service, config, err);
        if (r == 0)
                r = rt_service_put_tenants(service, err);
        if (r == 0)
                r = rt_service_load_keys(service, err);
        if (r == 0)
                r = open_engine(service, config, err);
        if (r == 0)
                r = rt_service_recover(service, err);
        if (r == 0)
                r = rt_webhooks_start(service, err);
        if (r == 0)
                r = open_crew(service, err);
        if (r == 0)
                r = rt_service_start_housekeeper(service, err);
        if (r == 0)
                r = rt_service_start_warden(service, err);
        return r < 0 ? r : rt_service_start_workers(service, err);
}

int rt_service_open(struct rt_service **ret_service, const struct rt_config *config, struct retort_error *err) {
        struct retort_error local = { 0 };
        if (!err)
                err = &local;
        struct rt_service *service = calloc(1, sizeof *service);
        if (!service)
                return rt_fail_nomem(err);
        atomic_init(&service->config, config);
        service->log = (struct rt_log){ .fd = STDERR_FILENO, .level = rt_log_level_of(config->log_level) };
        (void)pthread_mutex_init(&service->lock, NULL);
        rt_cond_init(&service->work);
        rt_cond_init(&service->idle);
        rt_cond_init(&service->chores);
        rt_cond_init(&service->looks);
        rt_queue_init(&service->queue);
        int r = open_parts(service, config, err);
        if (r < 0) {
                rt_service_close(service);
                return r;
        }
        rt_log(&service->log, RT_LOG_INFO, "service_open", RT_LOG_NUMBER("slots", service->slots),
               RT_LOG_NUMBER("jobs_queued", service->n_jobs_queued));
        *ret_service = service;
        return 0;
}

/* ---- stopping ---- */

static bool wait_until_idle(struct rt_service *service, unsigned ms) { /* under the lock */
        uint64_t end_ns = rt_now_ns() + ms * 1000000ull;
        while (service->n_active > 0 || service->queue.lengths[RT_QUEUE_RUN] > 0 || service->ending) {
                uint64_t now_ns = rt_now_ns();
                if (now_ns >= end_ns)
                        return false;
                uint64_t left_ms = (end_ns - now_ns) / 1000000u + 1;
                struct timespec until = rt_deadline(left_ms < LOOK_MS ? left_ms : LOOK_MS);
                (void)pthread_cond_timedwait(&service->idle, &service->lock, &until);
        }
        return true;
}

static void interrupt_all(struct rt_service *service) { /* under the lock */
        for (unsigned i = 0; i < RT_MAX_WORKERS; i++)
                if (service->executing[i]) {
                        service->executing[i]->interrupted = true;
                        if (service->executing[i]->run)
                                retort_cancel(service->executing[i]->run);
                }
}

/* Jobs that are still queued stay so: who waits for one, or follows it, is told now. */
static void release_waiters(struct rt_service *service) {
        (void)pthread_mutex_lock(&service->lock);
        service->drained = true;
        struct rt_waiter *waiters = rt_take(service->waiters);
        (void)pthread_mutex_unlock(&service->lock);
        rt_waiters_tell(waiters, false);
}

static void end_work(struct rt_service *service, unsigned deadline_ms) {
        (void)pthread_mutex_lock(&service->lock);
        service->draining = true;
        (void)pthread_cond_broadcast(&service->work);
        bool idle = service->n_workers == 0 || wait_until_idle(service, deadline_ms);
        (void)pthread_mutex_unlock(&service->lock);
        if (idle)
                return;
        rt_service_cancel_queued_runs(service);
        (void)pthread_mutex_lock(&service->lock);
        interrupt_all(service);
        while (!wait_until_idle(service, LOOK_MS)) /* bounded: a cancelled run ends within the engine's own deadlines */
                interrupt_all(service);
        (void)pthread_mutex_unlock(&service->lock);
}

void rt_service_drain(struct rt_service *service, unsigned deadline_ms) {
        uint64_t until_ns = rt_now_ns() + deadline_ms * 1000000ull;
        end_work(service, deadline_ms);
        rt_service_end_calls(service, until_ns);
        release_waiters(service);
}

static void join_all(struct rt_service *service) {
        (void)pthread_mutex_lock(&service->lock);
        service->closing = true;
        (void)pthread_cond_broadcast(&service->work);
        (void)pthread_cond_broadcast(&service->chores);
        (void)pthread_cond_broadcast(&service->looks);
        (void)pthread_mutex_unlock(&service->lock);
        for (unsigned i = 0; i < service->n_workers; i++)
                (void)pthread_join(service->workers[i], NULL);
        rt_webhooks_stop(service);
        if (service->have_housekeeper)
                (void)pthread_join(service->housekeeper, NULL);
        if (service->have_warden)
                (void)pthread_join(service->warden, NULL);
}

/* What is still queued stays in the store; here it is only forgotten. Followers of it end. */
static void forget_jobs(struct rt_service *service) {
        for (size_t b = 0; b < RT_JOB_BUCKETS; b++)
                while (service->jobs[b]) {
                        struct rt_job *job = service->jobs[b];
                        (void)pthread_mutex_lock(&service->lock);
                        rt_queue_remove(&service->queue, &job->work.item);
                        (void)pthread_mutex_unlock(&service->lock);
                        rt_job_take_back(service, job);
                }
}

static void wait_for_followers(struct rt_service *service) {
        (void)pthread_mutex_lock(&service->lock);
        for (uint64_t end_ns = rt_now_ns() + FOLLOWERS_MS * 1000000ull; service->n_followers > 0 && rt_now_ns() < end_ns;) {
                struct timespec until = rt_deadline(LOOK_MS);
                (void)pthread_cond_timedwait(&service->idle, &service->lock, &until);
        }
        (void)pthread_mutex_unlock(&service->lock);
}

void rt_service_close(struct rt_service *service) {
        if (!service)
                return;
        rt_service_drain(service, 0);
        join_all(service);
        forget_jobs(service);
        wait_for_followers(service);
        rt_service_close_contexts(service);
        rt_crew_free(service->crew);
        retort_engine_close(service->engine);
        rt_store_close(service->store);
        rt_keyring_free(service->keys);
        rt_tenants_free(service->tenants);
        rt_metrics_clear(&service->metrics);
        free(service->known);
        (void)pthread_cond_destroy(&service->looks);
        (void)pthread_cond_destroy(&service->chores);
        (void)pthread_cond_destroy(&service->idle);
        (void)pthread_cond_destroy(&service->work);
        (void)pthread_mutex_destroy(&service->lock);
        free(service);
}

int rt_service_reload(struct rt_service *service, const struct rt_config *config, struct retort_error *err) {
        const struct rt_config *old = atomic_exchange(&service->config, config);
        int r = rt_service_put_tenants(service, err);
        if (r == 0)
                r = rt_service_load_keys(service, err);
        if (r < 0) {
                atomic_store(&service->config, old);
                return rt_wrap(err, r, "reloading");
        }
        rt_log(&service->log, RT_LOG_INFO, "service_reloaded", RT_LOG_NUMBER("keys", rt_keyring_size(service->keys)));
        return 0;
}

/* ---- its parts ---- */

retort_engine *rt_service_engine(struct rt_service *service) {
        return service->engine;
}

struct rt_store *rt_service_store(struct rt_service *service) {
        return service->store;
}

const struct rt_config *rt_service_config(struct rt_service *service) {
        return atomic_load(&service->config);
}

const char *rt_service_callback_secret(struct rt_service *service, bool *ret_random) {
        const char *configured = atomic_load(&service->config)->jobs_callback_secret;
        if (ret_random)
                *ret_random = !*configured;
        return *configured ? configured : service->callback_secret;
}
