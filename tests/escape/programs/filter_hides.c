// SPDX-License-Identifier: Apache-2.0
// A filter of its own that answers EPERM by itself, or wants to ask a listener that is not there (ENOSYS): the call is
// not made, so there is nothing to report. Nor can it get a listener, which could wave the call through.
// expect: status=ok exit=0
// each: 0x00050001 0x7fc00000
// says: not made
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
        unsigned action = argc > 1 ? (unsigned)strtoul(argv[1], 0, 16) : 0;
        struct sock_filter code[] = { { BPF_LD | BPF_W | BPF_ABS, 0, 0, 0 },
                                      { BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_unshare },
                                      { BPF_RET | BPF_K, 0, 0, action },
                                      { BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW } };
        struct sock_fprog program = { 4, code };
        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program) != -1 || errno != EBUSY)
                printf("open: a listener of its own\n");
        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
                return 3;
        if (syscall(SYS_unshare, 0x10000000) != -1 || (errno != EPERM && errno != ENOSYS))
                printf("open: unshare\n");
        printf("not made\n");
        return 0;
}
