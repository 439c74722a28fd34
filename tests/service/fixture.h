/* SPDX-License-Identifier: Apache-2.0
 *
 * A service with the real engine on a store in a folder of its own, and runs and jobs to give it.
 */
#pragma once

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include <string.h>

#include "base/util.h"
#include "service/config.h"
#include "service/keys.h"
#include "service/service.h"

struct fixture {
        char dir[64];
        struct rt_config *config;
        struct rt_service *service;
};

enum { MAX_OVERRIDES = 16, PATIENCE_MS = 20000 };

static inline void fixture_open(struct fixture *f, const char *const *more) {
        char store[128];
        const char *overrides[MAX_OVERRIDES + 8] = { store, "engine.slots=2", "isolation.minimum=minimal", "log.level=error" };
        size_t n = 4;
        struct retort_error err = { 0 };
        (void)snprintf(store, sizeof store, "store.path=%s/retort.db", f->dir);
        for (; more && *more && n < MAX_OVERRIDES; more++)
                overrides[n++] = *more;
        if (rt_config_read(&f->config, NULL, overrides, &err) < 0 || rt_service_open(&f->service, f->config, &err) < 0)
                fail_msg("%s", err.message);
}

static inline void fixture_shut(struct fixture *f) {
        rt_service_close(f->service);
        rt_config_free(f->config);
        f->service = NULL;
        f->config = NULL;
}

static inline void fixture_make(struct fixture *f) {
        (void)snprintf(f->dir, sizeof f->dir, "/tmp/rt-service-XXXXXX");
        assert_non_null(mkdtemp(f->dir));
}

static inline void fixture_remove(struct fixture *f) {
        static const char *const files[] = { "retort.db", "retort.db-wal", "retort.db-shm", "retort.db-lock" };
        for (size_t i = 0; i < RT_LEN(files); i++) {
                char path[128];
                (void)snprintf(path, sizeof path, "%s/%s", f->dir, files[i]);
                (void)unlink(path);
        }
        (void)rmdir(f->dir);
}

static inline struct retort_request script(const char *code) {
        return (struct retort_request){ .language = "bash", .code = { code, strlen(code) }, .limits = { .wall_ms = 20000 } };
}

/* Something that happens once, or a number of times, and can be waited for. */
struct seen {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        unsigned ends;
        unsigned done; /* ends that said yes */
        enum retort_status status;
        char text[8192];
        char order[256];
};
#define SEEN { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER }

static inline bool seen_wait(struct seen *s, unsigned ends) {
        struct timespec until;
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += PATIENCE_MS / 1000;
        (void)pthread_mutex_lock(&s->lock);
        int r = 0;
        while (s->ends < ends && r == 0)
                r = pthread_cond_timedwait(&s->changed, &s->lock, &until);
        bool good = s->ends >= ends;
        (void)pthread_mutex_unlock(&s->lock);
        return good;
}

static inline void seen_note(struct seen *s, bool done, const char *text) {
        (void)pthread_mutex_lock(&s->lock);
        s->done += done;
        size_t used = strlen(s->text);
        (void)snprintf(s->text + used, sizeof s->text - used, "%s", text);
        s->ends++;
        (void)pthread_cond_broadcast(&s->changed);
        (void)pthread_mutex_unlock(&s->lock);
}

static inline void on_waited(bool done, void *userdata) {
        seen_note(userdata, done, "");
}

static inline void on_run_end(struct retort_outcome *outcome, const struct retort_error *err, void *userdata) {
        struct seen *s = userdata;
        if (outcome)
                s->status = outcome->status;
        seen_note(s, outcome != NULL, outcome ? outcome->stdout_data.data : err->message);
        retort_outcome_free(outcome);
}

static inline int give_run(struct fixture *f, int64_t tenant, const char *code, struct seen *s, struct rt_ticket **ticket,
                           struct rt_refusal *refusal, struct retort_error *err) {
        struct retort_request request = script(code);
        const struct rt_run_order order = { .caller = { .tenant_id = tenant }, .request = &request, .on_end = on_run_end, .userdata = s };
        return rt_service_run(f->service, &order, ticket, refusal, err);
}

static inline int give_job(struct fixture *f, int64_t tenant, const char *code, const char *key, const char *callback, char id[27]) {
        struct retort_request request = script(code);
        const struct rt_job_order order = { .caller = { .tenant_id = tenant }, .request = &request, .idempotency_key = key,
                                            .callback_url = callback };
        struct rt_refusal refusal;
        struct retort_error err = { 0 };
        bool existed = false;
        int r = rt_service_job_accept(f->service, &order, id, &existed, &refusal, &err);
        return r < 0 ? r : existed;
}

/* Waits until the job is done and copies its status. */
static inline bool job_status(struct fixture *f, const char *id, char status[32]) {
        struct seen s = SEEN;
        const struct rt_caller anyone = { 0 };
        rt_auto_arena struct rt_arena arena = { 0 };
        struct rt_store_job row = { 0 };
        struct retort_error err = { 0 };
        if (rt_service_job_wait(f->service, &anyone, id, PATIENCE_MS, on_waited, &s, &err) < 0 || !seen_wait(&s, 1) || !s.done)
                return false;
        if (rt_store_job_get(rt_service_store(f->service), id, 0, &arena, &row, &err) < 0 || row.state != RT_JOB_DONE)
                return false;
        (void)snprintf(status, 32, "%s", row.status);
        return true;
}
