/* SPDX-License-Identifier: Apache-2.0 */
#include "pool/divide.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pool/raw.h"
#include "pool/threads.h"

enum { HOLD_MS = 5000, END_CODE = 126, PATH_ROOM = 4096, LAST_GIVEN = 3 };

static void end(void) __attribute__((noreturn));
static void end(void) {
        for (;;)
                (void)rt_raw(SYS_exit_group, END_CODE);
}

/* What a program is started with, but for what the interpreter has changed of it. Its other threads are held, perhaps with
 * locks of the C library's: nothing here may want one. */
static void become(char *path, pid_t child) __attribute__((noreturn));
static void become(char *path, pid_t child) {
        char number[16];
        char *argv[] = { path, number, NULL };
        sigset_t none;
        static const int ignored[] = { SIGPIPE, SIGXFSZ };
        (void)snprintf(number, sizeof number, "%d", child);
        for (int fd = 1; fd <= LAST_GIVEN; fd++)
                (void)rt_raw(SYS_close, fd);
        for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
                (void)signal(ignored[i], SIG_DFL);
        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        (void)execv(path, argv);
        (void)rt_raw(SYS_kill, child, SIGKILL);
        end();
}

static void go_on(void) {
        char why[RT_POOL_WHY];
        int null = (int)rt_raw(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC);
        if (null < 0 || rt_raw(SYS_dup3, null, 0, 0) < 0 || rt_pool_threads_resume(why) < 0)
                end();
        (void)rt_raw(SYS_close, null);
        (void)rt_raw(SYS_setpgid, 0, 0);
}

void rt_pool_divide(void) {
        char path[PATH_ROOM], why[RT_POOL_WHY];
        const char *supervisor = getenv("RETORT_SUPERVISOR");
        if (!supervisor || rt_pool_threads_count() == 0)
                return;
        int n = snprintf(path, sizeof path, "%s", supervisor);
        (void)unsetenv("RETORT_SUPERVISOR");
        if (n < 0 || (size_t)n >= sizeof path || rt_pool_threads_hold(HOLD_MS, why) < 0)
                end();
        pid_t child = rt_pool_threads_fork(0);
        if (child < 0)
                end();
        if (child > 0)
                become(path, child);
        go_on();
}
