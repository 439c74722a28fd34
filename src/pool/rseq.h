/* SPDX-License-Identifier: Apache-2.0
 *
 * Restartable sequences: the kernel keeps the number of the CPU in an area of each thread that the C library registered.
 * A thread made by hand has to register its own; one whose memory was replaced, again, so that the kernel writes it anew.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pool/raw.h"

/* Of glibc 2.35 and later; absent elsewhere. */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned __rseq_size __attribute__((weak));

static inline char *rt_pool_thread_pointer(void) {
#if defined(__x86_64__)
        char *at;
        __asm__("mov %%fs:0, %0" : "=r"(at));
        return at;
#else
        return __builtin_thread_pointer();
#endif
}

static inline long rt_pool_rseq(int flags) {
#if defined(__x86_64__)
        const unsigned signature = 0x53053053;
#else
        const unsigned signature = 0xd428bc00;
#endif
        unsigned size = __rseq_size > 32 ? __rseq_size : 32;
        return rt_raw(SYS_rseq, rt_pool_thread_pointer() + __rseq_offset, size, flags, signature);
}

/* Had the C library registered this thread? Its CPU number is negative when not. */
static inline int rt_pool_rseq_is_used(void) {
        if (!&__rseq_size || !&__rseq_offset || __rseq_size == 0)
                return 0;
        return *(volatile int32_t *)(void *)(rt_pool_thread_pointer() + __rseq_offset + sizeof(uint32_t)) >= 0;
}

static inline void rt_pool_rseq_register(void) {
        (void)rt_pool_rseq(0);
}

static inline void rt_pool_rseq_renew(void) {
        if (rt_pool_rseq_is_used() && rt_pool_rseq(1) == 0)
                rt_pool_rseq_register();
}
