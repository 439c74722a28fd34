/* SPDX-License-Identifier: Apache-2.0
 *
 * Followers: each has a thread, because its reader may be slow, and reads a job's live events, or the stored ones when
 * it is done. The job never waits for a follower.
 */
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "service/inside.h"

enum { LOOK_MS = 500, STACK = 256 * 1024 };

struct rt_follow {
        struct rt_service *service;
        struct rt_live *live; /* NULL: the job is done, read the store */
        char id[RT_ID];
        int64_t tenant_id;
        struct rt_live_at at;
        bool (*on_line)(const char *json, size_t size, void *userdata);
        void (*on_end)(void *userdata);
        void *userdata;
        atomic_bool stop;
        pthread_t thread;
        bool have_thread;
};

static bool wanted(const struct rt_follow *f) {
        return !atomic_load(&f->stop);
}

static void follow_live(struct rt_follow *f) {
        while (wanted(f)) {
                rt_auto_free char *line = NULL;
                size_t size = 0;
                int r = rt_live_next(f->live, &f->at, LOOK_MS, &line, &size);
                if (r < 0 || (r > 0 && !f->on_line(line, size, f->userdata)))
                        return;
                (void)pthread_mutex_lock(&f->service->lock);
                bool closing = f->service->closing || f->service->drained;
                (void)pthread_mutex_unlock(&f->service->lock);
                if (closing && r == 0)
                        return;
        }
}

static void follow_stored(struct rt_follow *f) {
        rt_auto_arena struct rt_arena arena = { 0 };
        struct rt_store_job row = { 0 };
        if (rt_store_job_get(f->service->store, f->id, f->tenant_id, &arena, &row, NULL) == 0 && row.outcome_json)
                (void)rt_live_replay(row.events_ndjson, row.outcome_json, f->at.from, f->on_line, f->userdata, NULL);
}

static void *follow(void *argument) {
        struct rt_follow *f = argument;
        if (f->live)
                follow_live(f);
        else
                follow_stored(f);
        struct rt_service *service = f->service;
        f->on_end(f->userdata); /* after this f may be gone as soon as this thread is */
        (void)pthread_mutex_lock(&service->lock);
        service->n_followers--;
        (void)pthread_cond_broadcast(&service->idle);
        (void)pthread_mutex_unlock(&service->lock);
        return NULL;
}

/* Its live events if it is not done yet; a job that waits gets a place for them now. */
static int find_live(struct rt_service *service, struct rt_follow *f, struct retort_error *err) {
        int r = 0;
        (void)pthread_mutex_lock(&service->lock);
        struct rt_job *job = rt_job_find(service, f->id);
        if (job && f->tenant_id && job->work.item.tenant->id != f->tenant_id)
                job = NULL;
        if (job && !job->live)
                job->live = rt_live_new(atomic_load(&service->config)->jobs_events_bytes);
        if (job && !job->live)
                r = rt_fail_nomem(err);
        else if (job)
                f->live = rt_live_hold(job->live);
        if (service->closing)
                r = rt_fail(err, RETORT_E_CLOSED, "the server is stopping");
        if (r == 0)
                service->n_followers++;
        (void)pthread_mutex_unlock(&service->lock);
        return r;
}

static int check_stored(struct rt_follow *f, struct retort_error *err) {
        rt_auto_arena struct rt_arena arena = { 0 };
        struct rt_store_job row = { 0 };
        return rt_store_job_get(f->service->store, f->id, f->tenant_id, &arena, &row, err);
}

static void leave(struct rt_service *service) {
        (void)pthread_mutex_lock(&service->lock);
        service->n_followers--;
        (void)pthread_cond_broadcast(&service->idle);
        (void)pthread_mutex_unlock(&service->lock);
}

static int start(struct rt_follow *f, struct retort_error *err) {
        pthread_attr_t small;
        (void)pthread_attr_init(&small);
        (void)pthread_attr_setstacksize(&small, STACK);
        f->have_thread = pthread_create(&f->thread, &small, follow, f) == 0;
        (void)pthread_attr_destroy(&small);
        return f->have_thread ? 0 : rt_fail(err, RETORT_E_SYSTEM, "cannot start a thread");
}

int rt_service_job_follow(struct rt_service *service, const struct rt_caller *caller, const char *id, uint64_t from,
                          bool (*on_line)(const char *json, size_t size, void *userdata), void (*on_end)(void *userdata),
                          void *userdata, struct rt_follow **ret_follow, struct retort_error *err) {
        if (strlen(id) != RT_ID - 1)
                return rt_fail(err, RETORT_E_INPUT, "no such job");
        struct rt_follow *f = calloc(1, sizeof *f);
        if (!f)
                return rt_fail_nomem(err);
        f->service = service;
        f->tenant_id = caller->tenant_id;
        memcpy(f->id, id, RT_ID);
        f->at.from = from;
        f->on_line = on_line;
        f->on_end = on_end;
        f->userdata = userdata;
        *ret_follow = f; /* before the thread can call anything back */
        int r = find_live(service, f, err);
        if (r == 0) {
                r = f->live ? 0 : check_stored(f, err);
                if (r == 0)
                        r = start(f, err);
                if (r < 0)
                        leave(service);
        }
        if (r < 0) {
                *ret_follow = NULL;
                rt_follow_free(f);
        }
        return r;
}

void rt_follow_stop(struct rt_follow *f) {
        atomic_store(&f->stop, true);
        if (f->live)
                rt_live_wake(f->live);
}

void rt_follow_free(struct rt_follow *f) {
        if (!f)
                return;
        rt_follow_stop(f);
        if (f->have_thread && pthread_equal(f->thread, pthread_self()))
                (void)pthread_detach(f->thread);
        else if (f->have_thread)
                (void)pthread_join(f->thread, NULL);
        rt_live_let_go(f->live);
        free(f);
}
