/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a program that was started ahead waits. It is a guest in all but that it has no program yet: it holds nothing that
 * it must not have but this library and one end of a socket, over which its program comes. Both are closed before any of the
 * program's code runs; what the keeper hears until then is from an interpreter that has seen nothing of anybody's.
 */
#include "pool/ahead.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "box/forkserver.h"
#include "box/guest.h"
#include "pool/program.h"

/* A process of its own has one of each. */
static struct {
        bool is;
        bool gone;                      /* it has its program */
        char main[RETORT_MAX_PATH + 1]; /* the name of its program's file; "": it does not open that by itself */
        char first[64];                 /* what it finds there before it has a program; "": the open waits */
        int main_fd;                    /* where it has that open, or -1 */
        char *read;                     /* where it has read it to; NULL: it has not, or elsewhere since */
        struct rt_plan program;         /* the strings of its program, until it has asked for them */
} ahead = { .main_fd = -1 };

static void copy_variable(const char *name, char *to, size_t size) {
        const char *value = getenv(name);
        (void)snprintf(to, size, "%s", value ? value : "");
}

bool rt_ahead_begin(void) {
        ahead.is = getenv(RT_AHEAD_MARK) != NULL;
        if (ahead.is) {
                copy_variable(RT_AHEAD_MAIN, ahead.main, sizeof ahead.main);
                copy_variable(RT_AHEAD_FIRST, ahead.first, sizeof ahead.first);
        }
        return ahead.is;
}

bool rt_ahead_is(void) {
        return ahead.is;
}

static void die_with(int code) {
        struct rt_wire_message message = { .op = RT_BAD_EXEC };
        message.exited.exec_errno = code;
        (void)rt_wire_send(RT_FORKSERVER_SOCKET, &message, NULL, 0);
        _exit(127);
}

/* The kernel counts CPU time from the start of a process, and this one had used some before it had a program. */
static int limit(const struct retort_limits *limits) {
        const struct rt_wire_arm arm = { .mechanisms = 1u << RT_BOX_CGROUP_PIDS }; /* or it had not been started ahead */
        struct retort_limits own = *limits;
        struct rusage used = { 0 };
        (void)getrusage(RUSAGE_SELF, &used);
        own.cpu_ms += (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 +
                      (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000;
        return rt_guest_limit(&own, &arm);
}

static int take_program(int plan_fd) {
        return rt_plan_map(plan_fd, &ahead.program, NULL) < 0 ? -1 : rt_program_adopt_environment(&ahead.program);
}

/* The program's own file takes the place of what was opened under its name; what was read of that already becomes the
 * beginning of the program where it was read to. Where that cannot be, the program follows what was read. */
static int open_main(void) {
        if (ahead.main_fd < 0)
                return 0;
        size_t size = strlen(ahead.first);
        char begins[sizeof ahead.first];
        int flags = fcntl(ahead.main_fd, F_GETFD);
        rt_auto_close int file = (int)syscall(SYS_openat, AT_FDCWD, ahead.main, O_RDONLY | O_CLOEXEC, 0);
        if (file < 0)
                return -1;
        if (ahead.read && memcmp(ahead.read, ahead.first, size) == 0 && pread(file, begins, size, 0) == (ssize_t)size) {
                memcpy(ahead.read, begins, size);
                (void)lseek(file, (off_t)size, SEEK_SET);
        }
        return dup3(file, ahead.main_fd, flags & FD_CLOEXEC ? O_CLOEXEC : 0) < 0 ? -1 : 0;
}

static void await_program(void) {
        struct rt_wire_message message = { .op = RT_PARKED };
        int fds[RT_WIRE_MAX_FDS];
        if (rt_wire_send(RT_FORKSERVER_SOCKET, &message, NULL, 0) < 0 || rt_wire_receive(RT_FORKSERVER_SOCKET, &message, fds) != 1 ||
            message.op != RT_GO || fds[RT_START_FDS - 1] < 0)
                _exit(126);
        ahead.gone = true;
        message.op = RT_TAKEN;
        if (rt_wire_send(RT_FORKSERVER_SOCKET, &message, NULL, 0) < 0)
                _exit(126);
        if (take_program(fds[0]) < 0 || limit(&message.limits) < 0 || rt_guest_take(fds, false) < 0)
                die_with(errno);
        for (int i = 0; i < RT_START_FDS; i++)
                (void)rt_close(fds[i]);
        if (open_main() < 0)
                die_with(errno);
        (void)close(RT_FORKSERVER_SOCKET);
        (void)close(RT_FORKSERVER_LIBRARY);
}

void rt_ahead_has_read(int fd, char *buffer, ssize_t n) {
        if (fd == ahead.main_fd && fd >= 0 && !ahead.gone)
                ahead.read = n == (ssize_t)strlen(ahead.first) ? buffer : NULL;
}

static int first_of_main(void) {
        ahead.main_fd = rt_sealed_memfd("retort-main", ahead.first, strlen(ahead.first));
        (void)lseek(ahead.main_fd, 0, SEEK_SET);
        return ahead.main_fd;
}

bool rt_ahead_takes(const char *path, int *ret_fd) {
        if (!path)
                return false;
        if (!ahead.gone && ahead.main[0] && strcmp(path, ahead.main) == 0) {
                if (ahead.first[0]) {
                        *ret_fd = first_of_main();
                        return true;
                }
                await_program();
                return false; /* the file is there now */
        }
        if (!ahead.gone && strcmp(path, RT_FORKSERVER_PARK) == 0) { /* it is in its box already */
                *ret_fd = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC, 0);
                return true;
        }
        if (strcmp(path, RT_FORKSERVER_GO) != 0 || (ahead.gone && !ahead.program.map))
                return false;
        if (!ahead.gone)
                await_program();
        *ret_fd = rt_program_tell(&ahead.program);
        rt_plan_unmap(&ahead.program);
        return true;
}
