/* SPDX-License-Identifier: Apache-2.0
 *
 * A few threads for handlers that wait: for a commit to reach the disk, for a password's hash.
 */
#include <pthread.h>
#include <stdlib.h>

#include "api/api.h"
#include "base/err.h"
#include "base/util.h"

enum { THREADS = 8, WAITING_MAX = 1024 };

struct work {
        struct rt_exchange *x;
        void (*handle)(struct rt_exchange *x);
};

struct rt_offload {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        pthread_t threads[THREADS];
        unsigned n_threads;
        bool closing;
        struct work waiting[WAITING_MAX]; /* a ring */
        unsigned first;
        unsigned n;
};

static void *serve(void *argument) {
        struct rt_offload *o = argument;
        (void)pthread_mutex_lock(&o->lock);
        for (;;) {
                while (o->n == 0 && !o->closing)
                        (void)pthread_cond_wait(&o->changed, &o->lock);
                if (o->n == 0)
                        break;
                struct work work = o->waiting[o->first];
                o->first = (o->first + 1) % WAITING_MAX;
                o->n--;
                (void)pthread_mutex_unlock(&o->lock);
                work.handle(work.x);
                rt_exchange_end(work.x);
                (void)pthread_mutex_lock(&o->lock);
        }
        (void)pthread_mutex_unlock(&o->lock);
        return NULL;
}

int rt_offload_open(struct rt_offload **ret_offload, struct retort_error *err) {
        struct rt_offload *o = calloc(1, sizeof *o);
        if (!o)
                return rt_fail_nomem(err);
        (void)pthread_mutex_init(&o->lock, NULL);
        (void)pthread_cond_init(&o->changed, NULL);
        while (o->n_threads < THREADS && pthread_create(&o->threads[o->n_threads], NULL, serve, o) == 0)
                o->n_threads++;
        if (o->n_threads < THREADS) {
                rt_offload_close(o);
                return rt_fail(err, RETORT_E_SYSTEM, "cannot start threads");
        }
        *ret_offload = o;
        return 0;
}

void rt_offload_close(struct rt_offload *o) {
        if (!o)
                return;
        (void)pthread_mutex_lock(&o->lock);
        o->closing = true;
        (void)pthread_cond_broadcast(&o->changed);
        (void)pthread_mutex_unlock(&o->lock);
        for (unsigned i = 0; i < o->n_threads; i++)
                (void)pthread_join(o->threads[i], NULL);
        (void)pthread_cond_destroy(&o->changed);
        (void)pthread_mutex_destroy(&o->lock);
        free(o);
}

bool rt_offload(struct rt_offload *o, struct rt_exchange *x, void (*handle)(struct rt_exchange *x)) {
        (void)pthread_mutex_lock(&o->lock);
        bool room = o->n < WAITING_MAX && !o->closing;
        if (room) {
                o->waiting[(o->first + o->n) % WAITING_MAX] = (struct work){ x, handle };
                o->n++;
                (void)pthread_cond_signal(&o->changed);
        }
        (void)pthread_mutex_unlock(&o->lock);
        return room;
}
