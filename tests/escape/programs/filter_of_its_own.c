// SPDX-License-Identifier: Apache-2.0
// A filter of the guest's own may only narrow: answering "allowed", asking a listener, or tracing does not get a denied
// call through, and does not hide it.
// expect: status=denied limit=syscall how=mount
// limits: wall=5s
// each: 0x7fff0000 0x7ffc0000 0x7ff00000
// never: survived
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
        unsigned action = argc > 1 ? (unsigned)strtoul(argv[1], 0, 16) : 0;
        struct sock_filter code[] = { { BPF_LD | BPF_W | BPF_ABS, 0, 0, 0 },
                                      { BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_mount },
                                      { BPF_RET | BPF_K, 0, 0, action },
                                      { BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW } };
        struct sock_fprog program = { 4, code };
        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
                return 3;
        /* A second listener is refused: ours would otherwise be asked in its place. */
        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program) >= 0)
                printf("open: a listener of its own\n");
        (void)fflush(stdout);
        long r = syscall(SYS_mount, 0, 0, 0, 0, 0);
        printf("survived %ld\n", r);
        return 0;
}
