/* SPDX-License-Identifier: Apache-2.0
 *
 * The few idioms everything uses: scope cleanup, an explicit take, container_of, the clock.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#define RT_LEN(array) (sizeof(array) / sizeof *(array))
#define rt_container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* Ownership leaves a function on exactly one visible line: *ret = rt_take(text); */
#define rt_take(pointer)                                                                            \
        __extension__({                                                                             \
                __typeof__(pointer) rt_taken_ = (pointer);                                          \
                (pointer) = NULL;                                                                   \
                rt_taken_;                                                                          \
        })

static inline void rt_free_cleanup(void *pointer) {
        free(*(void **)pointer);
}
#define rt_auto_free __attribute__((cleanup(rt_free_cleanup)))

/* Monotonic nanoseconds. */
static inline uint64_t rt_now_ns(void) {
        struct timespec t;
        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
