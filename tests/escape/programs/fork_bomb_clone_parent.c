// SPDX-License-Identifier: Apache-2.0
// Children that are made siblings (CLONE_PARENT): they belong to the box's first process, which must reap them.
// expect: status=process_limit limit=processes how=pids
// limits: processes=40 wall=5s
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
        for (;;)
                if (syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0) == 0)
                        pause();
}
