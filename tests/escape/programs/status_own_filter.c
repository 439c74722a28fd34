// SPDX-License-Identifier: Apache-2.0
// A filter of its own that kills: that is the guest's own doing, and no call that Retort denied.
// expect: status=signal signal=31
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
        struct sock_filter code[] = { { BPF_LD | BPF_W | BPF_ABS, 0, 0, 0 },
                                      { BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_getpid },
                                      { BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS },
                                      { BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW } };
        struct sock_fprog program = { 4, code };
        (void)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
        (void)syscall(SYS_getpid);
        return 3;
}
