// SPDX-License-Identifier: Apache-2.0
// A guest that made itself the reaper of its children, took its death signal off and wears another's name: its orphans
// are gone with the box all the same.
// expect: status=ok exit=0
// never: alive
// within: 4
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>
int main(void) {
        (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        (void)prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
        for (int i = 0; i < 20; i++)
                if (fork() == 0) {
                        (void)prctl(PR_SET_NAME, "retort-jailer", 0, 0, 0);
                        (void)setsid();
                        (void)signal(SIGHUP, SIG_IGN);
                        if (fork() != 0)
                                _exit(0);
                        sleep(1);
                        (void)!write(1, "alive", 5);
                        pause();
                }
        return 0;
}
