// SPDX-License-Identifier: Apache-2.0
// Ways to a namespace that the policy cannot see into get ENOSYS; tricks with the flags get none either.
// expect: status=ok exit=0
// says: done
#define _GNU_SOURCE
#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
        static const unsigned long flags[] = { 0x10000000, 0x20000, 0x40000000, 0x20000000, 0x8000000, 0x4000000, 0x2000000,
                                               0x80, 0 };
        for (int i = 0; i < 9; i++) {
                struct clone_args args = { .flags = flags[i], .exit_signal = SIGCHLD };
                long pid = syscall(SYS_clone3, &args, sizeof args);
                if (pid == 0)
                        _exit(0);
                if (pid >= 0 || errno != ENOSYS)
                        printf("open: clone3 with %lx gave %ld, errno %d\n", flags[i], pid, errno);
        }
        /* The old clone knows no time namespace: that bit is part of the signal. Upper halves are cut off. */
        struct stat before, after;
        (void)stat("/proc/self/ns/user", &before);
        long pid = syscall(SYS_clone, 0x1000000000000000ul | SIGCHLD, 0, 0, 0, 0);
        if (pid == 0) {
                (void)stat("/proc/self/ns/user", &after);
                if (after.st_ino != before.st_ino)
                        printf("open: a user namespace\n");
                return 0;
        }
        (void)wait(0);
        printf("done\n");
        return 0;
}
