/* SPDX-License-Identifier: Apache-2.0
 *
 * Where nobody knows how to make a thread again: a process with one thread can be forked, any other cannot.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pool/raw.h"
#include "pool/threads.h"

int rt_pool_threads_hold(unsigned deadline_ms, char why[RT_POOL_WHY]) {
        struct stat tasks;
        (void)deadline_ms;
        if (stat("/proc/self/task", &tasks) == 0 && tasks.st_nlink == 3)
                return 0;
        (void)snprintf(why, RT_POOL_WHY, "threads cannot be kept over a fork on this machine");
        return -1;
}

unsigned rt_pool_threads_count(void) {
        return 0;
}

void rt_pool_threads_release(void) {
}

pid_t rt_pool_threads_fork(unsigned long namespaces) {
        long pid = rt_raw(SYS_clone, namespaces | SIGCHLD);
        if (pid < 0)
                errno = (int)-pid;
        return pid < 0 ? -1 : (pid_t)pid;
}

int rt_pool_threads_resume(char why[RT_POOL_WHY]) {
        (void)why;
        return 0;
}

int rt_pool_threads_prove(unsigned deadline_ms, int (*ready)(char why[RT_POOL_WHY]), char why[RT_POOL_WHY]) {
        (void)deadline_ms;
        (void)ready;
        (void)why;
        return 0;
}
