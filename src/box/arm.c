/* SPDX-License-Identifier: Apache-2.0
 *
 * A box comes and goes here: new pid and IPC namespaces with retort-init as their first process, entered through the
 * slot's cgroup; and its end, which takes every process with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"
#include "box/ahead.h"
#include "box/forked.h"
#include "box/init.h"
#include "box/keeper.h"
#include "box/procs.h"
#include "box/root.h"

enum { DEATH_MS = 5000 };

static void tell_failure(int socket, const struct retort_error *err) {
        struct rt_wire_message message = { .op = RT_FAIL };
        message.fail.code = err->code;
        (void)snprintf(message.fail.message, sizeof message.fail.message, "%.511s", err->message);
        (void)rt_wire_send(socket, &message, NULL, 0);
}

pid_t rt_clone(uint64_t flags, int *ret_pidfd, int group) {
        struct clone_args args = { .flags = flags, .exit_signal = SIGCHLD };
        if (ret_pidfd) {
                args.flags |= CLONE_PIDFD;
                args.pidfd = (uintptr_t)ret_pidfd;
        }
        if (group >= 0) {
                args.flags |= CLONE_INTO_CGROUP;
                args.cgroup = (uint64_t)group;
        }
        pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
        if (pid >= 0 || errno != ENOSYS)
                return pid;
        /* Containers hide clone3 because its flags cannot be filtered. */
        args.flags &= ~(uint64_t)CLONE_INTO_CGROUP;
        pid = (pid_t)syscall(SYS_clone, args.flags | SIGCHLD, NULL, ret_pidfd, NULL, 0);
        char text[16];
        (void)snprintf(text, sizeof text, "%d", (int)pid);
        if (pid > 0 && group >= 0 && rt_write_file_at(group, "cgroup.procs", text) < 0) {
                (void)kill(pid, SIGKILL);
                (void)waitpid(pid, NULL, __WALL);
                if (ret_pidfd)
                        *ret_pidfd = rt_close(*ret_pidfd);
                return -1;
        }
        return pid;
}

/* What retort-init could regain by being executed as the slot's root is what stays in the bounding set: ids only, and
 * only where there are ids to change to. */
static int narrow_capabilities(const struct rt_keeper *k) {
        for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
                bool needed = cap == CAP_SETUID || cap == CAP_SETGID || cap == CAP_SETPCAP;
                if (!(needed && k->can_setuid) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EPERM)
                        return -1;
        }
        return 0;
}

static int prepare_box(const struct rt_keeper *k, struct retort_error *err) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
                return rt_fail_errno(err, "cannot bind the box to its keeper");
        if (rt_cgroup_join(&k->cgroup) < 0)
                return rt_fail_errno(err, "cannot join the box's cgroup");
        if (rt_keeper_has(k, RT_BOX_CGROUP_NS) && unshare(CLONE_NEWCGROUP) < 0)
                return rt_fail_errno(err, "cannot make a cgroup namespace");
        if (rt_keeper_has(k, RT_BOX_PID_NS)) {
                int r = rt_root_mount_proc(err);
                if (r < 0)
                        return r;
        }
        if (rt_keeper_has(k, RT_BOX_CAPABILITIES) && narrow_capabilities(k) < 0)
                return rt_fail_errno(err, "cannot drop capabilities");
        return 0;
}

/* The first process of a box, still running the keeper's code. */
static void be_init(const struct rt_keeper *k, int socket) {
        struct retort_error err = { 0 };
        if (prepare_box(k, &err) == 0) {
                int init_exe = fcntl(k->init_exe, F_DUPFD_CLOEXEC, 10);
                int null = open("/dev/null", O_RDWR | O_CLOEXEC);
                if (init_exe >= 0 && null >= 0 && dup2(null, 0) == 0 && dup2(null, 1) == 1 && dup2(null, 2) == 2 &&
                    dup2(socket, RT_INIT_SOCKET) >= 0) {
                        char *const argv[] = { "retort-init", NULL };
                        char *const env[] = { NULL };
                        (void)close_range(RT_INIT_SOCKET + 1, ~0u, CLOSE_RANGE_CLOEXEC);
                        (void)execveat(init_exe, "", argv, env, AT_EMPTY_PATH);
                }
                (void)rt_fail_errno(&err, "cannot start retort-init");
        }
        tell_failure(socket, &err);
        _exit(126);
}

static pid_t clone_init(struct rt_keeper *k) {
        uint64_t flags = 0;
        if (rt_keeper_has(k, RT_BOX_PID_NS))
                flags |= CLONE_NEWPID;
        if (rt_keeper_has(k, RT_BOX_IPC_NS))
                flags |= CLONE_NEWIPC;
        return rt_clone(flags, &k->init_pidfd, k->cgroup.leaf);
}

/* For RLIMIT_NPROC the kernel counts an id's processes, threads included: what of them is not the guest's? */
static uint32_t others_of_guest(const struct rt_keeper *k) {
        enum { A_FEW = 64 }; /* the user may start more */
        if (k->can_setuid || k->cgroup.have[RT_CG_PIDS])
                return 0;
        if (rt_keeper_has(k, RT_BOX_USER_NS))
                return 2; /* the keeper and the box's first process: the count is kept for each user namespace */
        return rt_tasks_of_user(getuid()) + A_FEW;
}

/* Tells init who the guest is, and waits for a parked process. */
int rt_keeper_expect(int socket, uint64_t ops, struct rt_wire_message *message, int *ret_fd, struct retort_error *err) {
        struct pollfd wait = { .fd = socket, .events = POLLIN };
        int fds[RT_WIRE_MAX_FDS] = { -1 };
        int ready = poll(&wait, 1, DEATH_MS);
        int r = ready == 1 ? rt_wire_receive(socket, message, fds) : ready;
        for (unsigned i = 1; r == 1 && i < RT_WIRE_MAX_FDS; i++)
                (void)rt_close(fds[i]);
        rt_auto_close int fd = r == 1 ? fds[0] : -1;
        if (r == 1 && ops & 1ull << message->op) {
                if (ret_fd)
                        *ret_fd = rt_take_fd(&fd);
                return 0;
        }
        if (r == 1 && message->op == RT_FAIL) {
                message->fail.message[sizeof message->fail.message - 1] = 0;
                return rt_fail(err, message->fail.code, "%s", message->fail.message);
        }
        if (r == 1 && message->op == RT_BAD_EXEC) {
                errno = message->exited.exec_errno;
                return rt_fail_errno(err, "the parked process could not give up its rights");
        }
        return rt_fail(err, RETORT_E_SYSTEM, "the box's first process %s", ready == 0 ? "does not answer" : "ended at once");
}

struct rt_wire_message rt_keeper_who(const struct rt_keeper *k, enum rt_wire_op op) {
        struct rt_wire_message message = { .op = op };
        message.arm = (struct rt_wire_arm){ .mechanisms = k->mechanisms, .guest_uid = k->guest_uid,
                                            .can_setuid = k->can_setuid, .others = others_of_guest(k),
                                            .places = k->places };
        return message;
}

/* Tells init who the guest is, and waits for a parked process, or that guests may come. */
static int await_parked(struct rt_keeper *k, bool guests_come, struct retort_error *err) {
        struct rt_wire_message message = rt_keeper_who(k, RT_ARM);
        message.arm.guests_come = guests_come;
        if (rt_wire_send(k->init_socket, &message, NULL, 0) < 0)
                return rt_fail_errno(err, "cannot speak to retort-init");
        return rt_keeper_expect(k->init_socket, 1ull << RT_PARKED, &message, guests_come ? NULL : &k->listener, err);
}

int rt_keeper_start_init(struct rt_keeper *k, bool guests_come, struct retort_error *err) {
        k->metered = false;
        int r = rt_cgroup_renew(&k->cgroup, err);
        if (r < 0)
                return r;
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return rt_fail_errno(err, "cannot make a socket");
        k->init = clone_init(k);
        if (k->init == 0)
                be_init(k, pair[1]);
        (void)rt_close(pair[1]);
        k->init_socket = pair[0];
        if (k->init < 0) {
                r = rt_fail_errno(err, "cannot make a process in new namespaces");
                k->init = 0;
                k->init_socket = rt_close(k->init_socket);
                return r;
        }
        r = await_parked(k, guests_come, err);
        if (r < 0)
                (void)rt_keeper_kill_box(k, NULL);
        else if (rt_keeper_has(k, RT_BOX_PID_NS))
                k->proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return r;
}

static int arm_cold(struct rt_keeper *k, struct retort_error *err) {
        bool parked = k->parked && rt_keeper_start(k) == RT_START_COLD;
        int r = parked ? 0 : rt_keeper_start_init(k, false, err);
        k->parked = r == 0;
        return r;
}

int rt_keeper_arm(struct rt_keeper *k, enum rt_start how, struct retort_error *err) {
        int r = how == RT_START_FORK   ? rt_forked_arm(k, err)
                : how == RT_START_POOL ? arm_cold(k, err)
                                       : -1;
        if (r == 0 && how == RT_START_POOL)
                r = rt_ahead_arm(k, err);
        if (r < 0) { /* whatever was lacking: a box that starts programs by execve needs none of it */
                if (how != RT_START_COLD)
                        (void)rt_keeper_kill_box(k, NULL);
                k->forked = false;
                r = arm_cold(k, err);
        }
        k->parked = r == 0;
        return r;
}

/* Without a pid namespace: whatever the dead init leaves behind comes to us, the subreaper; a child that is killed
 * hands its own children up, until there are none. */
int rt_keeper_kill_strays(uint64_t deadline) {
        for (;;) {
                pid_t pid;
                while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
                        continue;
                if (pid < 0)
                        return 0; /* ECHILD: none left */
                if (rt_now_ns() > deadline)
                        return -1;
                rt_auto_free char *children = NULL;
                char path[64];
                (void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)getpid(), (int)getpid());
                if (rt_read_file_at(AT_FDCWD, path, 1 << 20, &children, NULL, NULL) == 0) {
                        char *save = NULL;
                        for (char *p = strtok_r(children, " ", &save); p; p = strtok_r(NULL, " ", &save))
                                (void)kill((pid_t)strtol(p, NULL, 10), SIGKILL);
                }
                (void)usleep(200);
        }
}

int rt_keeper_kill_box(struct rt_keeper *k, struct retort_error *err) {
        int r = 0;
        if (k->init > 0) {
                (void)kill(k->init, SIGKILL); /* not waited for yet: the number is still its own */
                struct pollfd wait = { .fd = k->init_pidfd, .events = POLLIN };
                int ready;
                do
                        ready = poll(&wait, 1, DEATH_MS);
                while (ready < 0 && errno == EINTR);
                if (ready != 1 || waitpid(k->init, NULL, __WALL) < 0)
                        r = rt_fail(err, RETORT_E_SYSTEM, "a box did not die in %d s", DEATH_MS / 1000);
                if (!rt_keeper_has(k, RT_BOX_PID_NS) && rt_keeper_kill_strays(rt_now_ns() + DEATH_MS * 1000000ull) < 0)
                        r = rt_fail(err, RETORT_E_SYSTEM, "processes of a box did not die in %d s", DEATH_MS / 1000);
        }
        rt_forked_end(k);
        k->init = 0;
        k->parked = k->ahead = false;
        k->init_pidfd = rt_close(k->init_pidfd);
        k->init_socket = rt_close(k->init_socket);
        k->listener = rt_close(k->listener);
        k->ipc_used = false;
        k->proc = rt_close(k->proc);
        if (r == 0 && rt_keeper_has(k, RT_BOX_PID_NS)) /* who may still live must not see what lies below */
                rt_root_unmount_proc();
        return r;
}
