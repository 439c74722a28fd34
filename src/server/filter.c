/* SPDX-License-Identifier: Apache-2.0
 *
 * retortd's own system call policy: what a guest may ask (box/seccomp.def) without what server/filter.def names. Everything
 * else is answered with an error, not with an end: whoever takes the process over gets no further, and a library that probes
 * for something new goes on.
 *
 * Two filters, one behind the other; the kernel takes the stricter answer. Both go on every thread at once: the service's
 * and libmicrohttpd's run already.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "base/util.h"
#include "box/seccomp.h"
#include "server/server.h"

#define REFUSED (SECCOMP_RET_ERRNO | EPERM)

static const uint32_t never[] = {
#define RT_NEVER(call) __NR_##call,
#include "server/filter.def"
#undef RT_NEVER
};

/* SPEC_ALLOW: no code of strangers runs in this process, so nothing is gained by the kernel's slower branches. */
static int enter(const struct sock_filter *filter, size_t n) {
        const struct sock_fprog program = { .len = (unsigned short)n, .filter = (struct sock_filter *)(uintptr_t)filter };
        long r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program);
        if (r > 0) /* a thread that could not follow */
                errno = EBUSY;
        return r == 0 ? 0 : -1;
}

/* The architecture has been looked at by the first filter. */
static int enter_never(void) {
        struct sock_filter filter[2 * RT_LEN(never) + 2];
        size_t n = 0;
        filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
        for (size_t i = 0; i < RT_LEN(never); i++) {
                filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, never[i], 0, 1);
                filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, REFUSED);
        }
        filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        return enter(filter, n);
}

int rt_host_filter(struct retort_error *err) {
        struct sock_filter filter[RT_SECCOMP_MAX];
        unsigned n = rt_seccomp_build(filter, REFUSED, SECCOMP_RET_ALLOW);
        if (n == 0)
                return rt_fail(err, RETORT_E_BUG, "the system call policy is too long");
        if (enter(filter, n) < 0 || enter_never() < 0)
                return rt_fail_errno(err, "cannot put the server under its system call policy");
        return 0;
}
