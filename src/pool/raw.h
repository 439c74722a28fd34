/* SPDX-License-Identifier: Apache-2.0
 *
 * System calls without the C library: no errno, no cancellation, no lazily bound symbol. For code that runs while the
 * process's own memory is being replaced, or in a thread that is not yet whole. A failure is a negative errno.
 */
#pragma once

#include <sys/syscall.h>

static inline long rt_pool_raw_call(long number, long a, long b, long c, long d, long e, long f) {
#if defined(__x86_64__)
        long result;
        register long r10 __asm__("r10") = d;
        register long r8 __asm__("r8") = e;
        register long r9 __asm__("r9") = f;
        __asm__ volatile("syscall"
                         : "=a"(result)
                         : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                         : "rcx", "r11", "memory");
        return result;
#elif defined(__aarch64__)
        register long x8 __asm__("x8") = number;
        register long x0 __asm__("x0") = a;
        register long x1 __asm__("x1") = b;
        register long x2 __asm__("x2") = c;
        register long x3 __asm__("x3") = d;
        register long x4 __asm__("x4") = e;
        register long x5 __asm__("x5") = f;
        __asm__ volatile("svc 0"
                         : "+r"(x0)
                         : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                         : "memory");
        return x0;
#else
#error "no system calls known for this machine"
#endif
}

/* rt_raw(SYS_close, fd): what is left out is 0. */
#define rt_raw(...) rt_raw_pad(__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define rt_raw_pad(number, a, b, c, d, e, f, ...)                                                   \
        rt_pool_raw_call((number), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
