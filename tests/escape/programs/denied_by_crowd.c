// SPDX-License-Identifier: Apache-2.0
// A denied call from many processes at once, which kill each other while the kernel is still asking about them.
// expect: status=denied limit=syscall how=setns
// limits: processes=200 wall=8s
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
        for (int i = 0; i < 60; i++) {
                pid_t other = fork();
                if (other == 0) {
                        syscall(SYS_setns, -1, 0);
                        _exit(0);
                }
                if (i % 2)
                        kill(other, SIGKILL);
        }
        pause();
}
