/* SPDX-License-Identifier: Apache-2.0 */
#include "pool/zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "box/guest.h"
#include "box/plan.h"
#include "pool/program.h"
#include "pool/threads.h"

/* Who this slot's guests are; set when a guest is parked, read when its program comes. */
static struct rt_wire_arm guest;

/* Not by exit_group, of which the keeper would be asked: it may not be listening. A zygote has one thread. */
static void leave(int code) __attribute__((noreturn));
static void leave(int code) {
        for (;;)
                (void)syscall(SYS_exit, code);
}

static void fail(int socket, const char *what) {
        struct rt_wire_message message = { .op = RT_FAIL };
        message.fail.code = RETORT_E_SYSTEM;
        (void)snprintf(message.fail.message, sizeof message.fail.message, "%s: %s", what, strerror(errno));
        (void)rt_wire_send(socket, &message, NULL, 0);
        leave(1);
}

static bool write_zero(int fd) {
        return write(fd, "0", 1) == 1;
}

/* Moves into the slot's group as who we were started as: that is who version 2 lets move us. */
static bool enter_group(int slot_group) {
        rt_auto_close int procs = openat(slot_group, "keeper/cgroup.procs", O_WRONLY | O_CLOEXEC);
        return procs >= 0 && write_zero(procs);
}

/* The slot's namespaces, and for those we fork the box's process namespace; root of nothing but them. */
static const char *enter(const struct rt_wire_message *m, const int *fds) {
        (void)rt_write_file_at(AT_FDCWD, "/proc/self/oom_score_adj", "1000"); /* while we have a /proc that shows us */
        if (m->bits & RT_FORK_SLOT_GROUP && !enter_group(fds[RT_FORK_GROUPS]))
                return "cannot move into the slot's control group";
        if (setns(fds[RT_FORK_USER_NS], CLONE_NEWUSER) < 0)
                return "cannot enter the slot's user namespace";
        int group_space = m->arm.mechanisms & (1u << RT_BOX_CGROUP_NS) ? CLONE_NEWCGROUP : 0;
        if (setns(fds[RT_FORK_MOUNT_NS], CLONE_NEWNS) < 0 || setns(fds[RT_FORK_NET_NS], CLONE_NEWNET) < 0 ||
            setns(fds[RT_FORK_UTS_NS], CLONE_NEWUTS) < 0 || setns(fds[RT_FORK_INIT], CLONE_NEWPID | CLONE_NEWIPC | group_space) < 0)
                return "cannot enter the slot's namespaces";
        if (m->arm.can_setuid && (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
                return "cannot take the slot's ids";
        /* Whoever may trace a process may become it; nobody is to, until a guest says otherwise of itself. */
        return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || chdir("/") < 0 ? "cannot enter the slot" : NULL;
}

/* ---- guests ---- */

static uint64_t timeval_ns(struct timeval t) {
        return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_usec * 1000u;
}

static void report_end(int socket, int status, const struct rusage *usage) {
        struct rt_wire_message message = { .op = RT_EXITED };
        message.exited = (struct rt_wire_exited){ .wait_status = status, .at_ns = rt_now_ns(), .user_ns = timeval_ns(usage->ru_utime),
                                                  .system_ns = timeval_ns(usage->ru_stime),
                                                  .max_rss_bytes = (uint64_t)usage->ru_maxrss * 1024 };
        (void)rt_wire_send(socket, &message, NULL, 0);
}

/* Until there is no child any more: a guest can give us others (CLONE_PARENT). The keeper kills them with the box, whose end waits
 * for us to do this. */
static void reap(int socket, pid_t guest_pid) {
        struct rusage usage;
        int status;
        for (;;) {
                pid_t pid = wait4(-1, &status, __WALL, &usage);
                if (pid < 0 && errno != EINTR)
                        return;
                if (pid == guest_pid)
                        report_end(socket, status, &usage);
        }
}

/* In the guest: into the box's group and out of every right. */
static void become_guest(int socket, const int *doors, const struct rt_wire_arm *arm) {
        for (int i = 0; i < RT_FORK_DOORS && doors[i] >= 0; i++)
                if (!write_zero(doors[i]))
                        fail(socket, "cannot join the box's control group");
        for (int i = 0; i < RT_FORK_DOORS && doors[i] >= 0; i++)
                (void)close(doors[i]);
        if (rt_guest_shed(arm) < 0)
                fail(socket, "the fork could not give up its rights");
        (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* as after an execve: /proc/self is its own */
        guest = *arm;
}

int rt_zygote_serve(const struct rt_wire_message *m, int fds[RT_WIRE_MAX_FDS]) {
        int socket = fds[RT_FORK_SOCKET];
        int doors[RT_FORK_DOORS] = { -1, -1, -1 };
        int listener = -1;
        unsigned first = RT_FORK_GROUPS + (m->bits & RT_FORK_SLOT_GROUP ? 1 : 0);
        const char *wrong = enter(m, fds);
        if (wrong)
                fail(socket, wrong);
        for (unsigned i = 0; i < RT_FORK_DOORS && first + i < RT_WIRE_MAX_FDS; i++)
                doors[i] = fds[first + i];
        for (unsigned i = 0; i < first; i++)
                if (i != RT_FORK_SOCKET)
                        (void)rt_close(fds[i]);
        if (rt_guest_confine(&m->arm, &listener) < 0)
                fail(socket, "the zygote could not give up its rights");
        struct rt_wire_message message = { .op = RT_READY };
        if (rt_wire_send(socket, &message, &listener, 1) < 0)
                leave(1);
        (void)rt_close(listener);
        while (rt_wire_receive(socket, &message, NULL) == 1 && message.op == RT_ARM) {
                pid_t pid = rt_pool_threads_fork(0);
                if (pid == 0) {
                        become_guest(socket, doors, &message.arm);
                        return socket;
                }
                if (pid < 0)
                        fail(socket, "cannot fork");
                message = (struct rt_wire_message){ .op = RT_FORKED, .bits = (uint32_t)pid };
                if (rt_wire_send(socket, &message, NULL, 0) < 0)
                        leave(1);
                reap(socket, pid);
        }
        leave(0);
}

/* ---- its program ---- */

static void die_with(int socket, int code) {
        struct rt_wire_message message = { .op = RT_BAD_EXEC };
        message.exited.exec_errno = code;
        (void)rt_wire_send(socket, &message, NULL, 0);
        _exit(127);
}

/* An interpreter has opened its program's file before it knew which. */
static int open_main(const struct rt_plan *plan, int main_fd) {
        if (main_fd < 0)
                return 0;
        rt_auto_close int file = (int)syscall(SYS_openat, AT_FDCWD, plan->map + plan->strings_at, O_RDONLY | O_CLOEXEC, 0);
        return file < 0 || dup2(file, main_fd) < 0 ? -1 : 0;
}

static int take_program(int plan_fd, int main_fd) {
        struct rt_plan plan;
        if (rt_plan_map(plan_fd, &plan, NULL) < 0)
                return -1;
        int program = rt_program_adopt_environment(&plan) < 0 || open_main(&plan, main_fd) < 0 ? -1 : rt_program_tell(&plan);
        rt_plan_unmap(&plan);
        return program;
}

int rt_zygote_await_program(int socket, int main_fd) {
        struct rt_wire_message message = { .op = RT_PARKED, .parked = { (uint32_t)getpid(), rt_pool_threads_count() } };
        int fds[RT_WIRE_MAX_FDS];
        if (rt_wire_send(socket, &message, NULL, 0) < 0 || rt_wire_receive(socket, &message, fds) != 1 || message.op != RT_GO ||
            fds[RT_START_FDS - 1] < 0)
                _exit(126);
        int program = take_program(fds[0], main_fd);
        if (program < 0 || rt_guest_limit(&message.limits, &guest) < 0 || rt_guest_take(fds, message.bits & RT_START_TERMINAL) < 0)
                die_with(socket, errno);
        for (int i = 0; i < RT_START_FDS; i++)
                (void)rt_close(fds[i]);
        (void)rt_close(socket);
        return program;
}
