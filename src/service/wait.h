/* SPDX-License-Identifier: Apache-2.0
 *
 * Conditions that wait by the monotonic clock, and the clock that others see.
 */
#pragma once

#include <pthread.h>
#include <stdint.h>
#include <time.h>

static inline void rt_cond_init(pthread_cond_t *cond) {
        pthread_condattr_t monotonic;
        (void)pthread_condattr_init(&monotonic);
        (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        (void)pthread_cond_init(cond, &monotonic);
        (void)pthread_condattr_destroy(&monotonic);
}

/* Monotonic, ms from now. */
static inline struct timespec rt_deadline(uint64_t ms) {
        struct timespec t;
        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        t.tv_sec += (time_t)(ms / 1000);
        t.tv_nsec += (long)(ms % 1000) * 1000000;
        t.tv_sec += t.tv_nsec / 1000000000;
        t.tv_nsec %= 1000000000;
        return t;
}

/* Unix milliseconds. */
static inline int64_t rt_unix_ms(void) {
        struct timespec t;
        (void)clock_gettime(CLOCK_REALTIME, &t);
        return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
