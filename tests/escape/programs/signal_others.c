// SPDX-License-Identifier: Apache-2.0
// Signals, priorities and limits for the box's first process, the parent, everything: they reach nobody but oneself.
// expect: status=ok exit=0
// says: done
// limits: wall=5s
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
static void door(const char *what, long result) {
        if (result >= 0)
                printf("open: %s\n", what);
}
int main(void) {
        static const int signals[] = { 0, SIGSTOP, SIGKILL, SIGTERM, SIGSEGV, SIGCONT, 40 };
        for (int i = 0; i < 7; i++) {
                door("kill 1", kill(1, signals[i]));
                if (getppid() > 0) /* a fork's parent is outside of the box, and has no number in it */
                        door("kill the parent", kill(getppid(), signals[i]));
                door("tgkill 1", syscall(SYS_tgkill, 1, 1, signals[i]));
        }
        siginfo_t info = { .si_code = SI_QUEUE };
        door("sigqueue 1", syscall(SYS_rt_sigqueueinfo, 1, SIGUSR1, &info));
        int init = (int)syscall(SYS_pidfd_open, 1, 0);
        if (init >= 0)
                door("pidfd 1", syscall(SYS_pidfd_send_signal, init, SIGKILL, 0, 0));
        struct rlimit none = { 0, 0 };
        door("prlimit 1", prlimit(1, RLIMIT_NOFILE, &none, 0));
        door("setpriority 1", setpriority(PRIO_PROCESS, 1, 10));
        door("setpriority -20", setpriority(PRIO_PROCESS, 0, -20));
        struct sched_param real = { .sched_priority = 1 };
        door("SCHED_FIFO", sched_setscheduler(0, SCHED_FIFO, &real));
        door("SCHED_RR 1", sched_setscheduler(1, SCHED_RR, &real));
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(0, &one);
        door("affinity of 1", sched_setaffinity(1, sizeof one, &one));
        int adj = open("/proc/self/oom_score_adj", O_WRONLY);
        if (adj >= 0)
                door("oom_score_adj", write(adj, "-1000", 5));
        (void)setpriority(PRIO_USER, 0, 19);
        kill(-1, SIGSTOP); /* everything: that is nobody */
        kill(-1, SIGKILL);
        printf("done\n");
        return 0;
}
