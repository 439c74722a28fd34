/* SPDX-License-Identifier: Apache-2.0
 *
 * The keeper's side of guests that are forks of a frozen interpreter (src/pool). The interpreter forks a *zygote* for
 * this slot, which enters the slot's namespaces, is root of nothing but them, and gives up all but the right to change its
 * ids; the zygote forks each guest into the box's process namespace and reports its end, as retort-init does for
 * programs that are started by execve.
 *
 * A box whose guest was alone, and left nothing behind that outlives a process, serves the next guest too: no process
 * of it ran the first one's code. Anything else that was seen makes a new box, with a new zygote.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"
#include "box/forked.h"

#define BIT(m) (1u << RT_BOX_##m)

/* Without any of these a fork is not as well kept as a program that is started by execve, or cannot be made. */
static const uint32_t needed = BIT(USER_NS) | BIT(MOUNT_NS) | BIT(PID_NS) | BIT(NET_NS) | BIT(IPC_NS) | BIT(UTS_NS) |
                               BIT(SECCOMP) | BIT(CGROUP_PIDS) | BIT(CGROUP_MEMORY) | BIT(CGROUP_CPU);

void rt_forked_open(struct rt_keeper *k) {
        static const char *const names[] = {
                [RT_FORK_USER_NS] = "user", [RT_FORK_MOUNT_NS] = "mnt", [RT_FORK_NET_NS] = "net", [RT_FORK_UTS_NS] = "uts" };
        for (size_t i = 0; i < RT_LEN(names); i++) {
                char path[64];
                (void)snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);
                k->spaces[i] = (k->mechanisms & needed) == needed ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        }
}

void rt_forked_link(struct rt_keeper *k, int link) {
        k->parked = k->parked && !k->forked; /* a fork of the one before */
        rt_forked_end(k);
        (void)rt_close(k->link);
        k->link = link;
}

void rt_forked_end(struct rt_keeper *k) {
        if (k->zygote >= 0)
                k->listener = rt_close(k->listener); /* its, not init's */
        k->zygote = rt_close(k->zygote);
        k->last_pid = 0;
        k->guest = 0;
        k->dying = false;
}

bool rt_forked_box_is_clean(const struct rt_keeper *k) {
        const struct rt_box_report *r = &k->report;
        return k->forked && k->init > 0 && k->zygote >= 0 && k->cgroup.version == 1 && r->ended_by == RT_END_EXIT &&
               r->oom_kills == 0 && r->refused_forks == 0 && !k->ipc_used && rt_cgroup_processes(&k->cgroup) == 0;
}

static int fork_zygote(struct rt_keeper *k, struct retort_error *err) {
        int pair[2], fds[RT_WIRE_MAX_FDS];
        unsigned n = RT_FORK_GROUPS;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return rt_fail_errno(err, "cannot make a socket");
        rt_auto_close int ours = pair[0];
        rt_auto_close int theirs = pair[1];
        struct rt_wire_message message = rt_keeper_who(k, RT_FORK);
        memcpy(fds, k->spaces, sizeof k->spaces);
        fds[RT_FORK_INIT] = k->init_pidfd;
        fds[RT_FORK_SOCKET] = theirs;
        if (k->cgroup.version == 2) {
                message.bits = RT_FORK_SLOT_GROUP;
                fds[n++] = k->cgroup.dir;
        }
        int *doors = fds + n;
        int n_doors = rt_cgroup_doors(&k->cgroup, doors);
        int r = n_doors >= 0 && rt_wire_send(k->link, &message, fds, n + (unsigned)n_doors) == 0
                        ? 0
                        : rt_fail_errno(err, "the frozen interpreter is gone");
        for (int i = 0; i < n_doors; i++)
                (void)rt_close(doors[i]);
        if (r < 0)
                return r;
        theirs = rt_close(theirs);
        int listener = -1;
        r = rt_keeper_expect(ours, 1ull << RT_READY, &message, &listener, err);
        if (r < 0)
                return rt_wrap(err, r, "forking a frozen interpreter");
        (void)rt_close(k->listener);
        k->listener = listener;
        k->zygote = rt_take_fd(&ours);
        return 0;
}

int rt_forked_await_death(struct rt_keeper *k, struct retort_error *err) {
        struct rt_wire_message message;
        int r = k->dying ? rt_keeper_expect(k->zygote, 1ull << RT_EXITED, &message, NULL, err) : 0;
        k->dying = false;
        return r;
}

/* The zygote says which process it forked, as it and we see it; the guest that it is parked, and its number in the box. */
static int park(struct rt_keeper *k, struct rt_wire_parked *ret, struct retort_error *err) {
        struct rt_wire_message message = rt_keeper_who(k, RT_ARM);
        if (rt_wire_send(k->zygote, &message, NULL, 0) < 0)
                return rt_fail_errno(err, "the slot's zygote is gone");
        int r = 0;
        k->told = 0;
        k->guest = 0;
        *ret = (struct rt_wire_parked){ 0 };
        while (r == 0 && (k->guest == 0 || ret->pid == 0)) { /* in either order */
                r = rt_keeper_expect(k->zygote, 1ull << RT_PARKED | 1ull << RT_FORKED, &message, NULL, err);
                if (r == 0 && message.op == RT_FORKED)
                        k->guest = (pid_t)message.bits;
                else if (r == 0)
                        *ret = message.parked;
        }
        return r;
}

static int new_box(struct rt_keeper *k, struct retort_error *err) {
        int r = rt_keeper_kill_box(k, err);
        return r < 0 ? r : rt_keeper_start_init(k, true, err);
}

int rt_forked_arm(struct rt_keeper *k, struct retort_error *err) {
        if (k->link < 0 || k->spaces[RT_FORK_USER_NS] < 0)
                return rt_fail(err, RETORT_E_SYSTEM, "nothing to fork");
        struct rt_wire_parked parked = { 0 };
        int r = k->init > 0 && k->forked ? rt_cgroup_renew(&k->cgroup, err) : new_box(k, err);
        k->forked = true;
        if (r == 0 && k->zygote < 0)
                r = fork_zygote(k, err);
        if (r == 0)
                r = park(k, &parked, err);
        /* Numbers are given in a row: a gap says that the guest before had processes or threads, and how many. To a later step
         * of the same request it may say that, but not to who comes then. */
        bool gap = k->last_pid && parked.pid != k->last_pid + 1;
        if (r == 0 && gap && !k->used) {
                r = new_box(k, err);
                if (r == 0)
                        r = fork_zygote(k, err);
                if (r == 0)
                        r = park(k, &parked, err);
        }
        k->last_pid = gap && k->used ? UINT32_MAX : parked.pid + parked.threads;
        return r;
}
