/* SPDX-License-Identifier: Apache-2.0
 *
 * Making a slot: a keeper process in user, mount, network, UTS and IPC namespaces of its own, with ids that nothing
 * else on the host has, and descriptors of the cgroup files it may use. From its first instruction on it holds no
 * right over anything outside.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"
#include "box/jailer.h"
#include "box/keeper.h"
#include "box/root.h"

enum { GUEST_INSIDE = 1000 };

static const struct {
        enum rt_mechanism mechanism;
        uint64_t flag;
} namespaces[] = {
        { RT_BOX_USER_NS, CLONE_NEWUSER }, { RT_BOX_MOUNT_NS, CLONE_NEWNS }, { RT_BOX_NET_NS, CLONE_NEWNET },
        { RT_BOX_UTS_NS, CLONE_NEWUTS },   { RT_BOX_PID_NS, CLONE_NEWPID },  { RT_BOX_IPC_NS, CLONE_NEWIPC },
        { RT_BOX_CGROUP_NS, CLONE_NEWCGROUP },
};

static bool has(const struct rt_jailer *j, enum rt_mechanism m) {
        return j->mechanisms & (1u << m);
}

static bool can_clone(uint64_t flags) {
        pid_t pid = rt_clone(flags, NULL, -1);
        if (pid == 0)
                _exit(0);
        return pid > 0 && waitpid(pid, NULL, __WALL) == pid;
}

uint32_t rt_jailer_refused_namespaces(uint32_t mechanisms) {
        uint32_t refused = 0;
        uint64_t user = 0;
        for (size_t i = 0; i < RT_LEN(namespaces); i++) {
                uint32_t bit = 1u << namespaces[i].mechanism;
                if (!(mechanisms & bit))
                        continue;
                if (!can_clone(namespaces[i].flag | user))
                        refused |= bit;
                else if (namespaces[i].mechanism == RT_BOX_USER_NS)
                        user = CLONE_NEWUSER;
        }
        return refused;
}

/* ---- in the keeper, before it is one ---- */

static int raise_loopback(struct retort_error *err) {
        rt_auto_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct ifreq request = { .ifr_name = "lo" };
        request.ifr_flags = IFF_UP | IFF_RUNNING;
        if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
                return rt_fail_errno(err, "cannot raise the loopback interface");
        return 0;
}

/* What the kernel counts by user it counts for the owner of the slot's user namespace as well: that is the host's root, or
 * the user who started us. One guest must not use up what belongs to all of the host. Where /proc/sys is not writable
 * (a container) the container's own limits stand. inotify(7): 128 instances a user are usual. */
static void keep_shares_small(void) {
        (void)rt_write_file_at(AT_FDCWD, "/proc/sys/user/max_inotify_instances", "16");
        (void)rt_write_file_at(AT_FDCWD, "/proc/sys/user/max_inotify_watches", "4096");
}

static int settle(const struct rt_jailer *j, struct rt_keeper *k, pid_t jailer, struct retort_error *err) {
        bool last_word = !has(j, RT_BOX_PID_NS) || k->cgroup.freezer_state >= 0;
        if (last_word && rt_keeper_outlive_jailer(k, jailer) < 0)
                return rt_fail_errno(err, "cannot take a signal");
        if (has(j, RT_BOX_USER_NS) && k->can_setuid &&
            (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
                return rt_fail_errno(err, "cannot take the slot's ids");
        /* With a pid namespace the box dies with its keeper, if nothing holds it. Without one the keeper must still end it: see
         * rt_keeper_main. */
        if (prctl(PR_SET_PDEATHSIG, last_word ? SIGTERM : SIGKILL, 0, 0, 0) < 0 || getppid() != jailer)
                return rt_fail(err, RETORT_E_CLOSED, "the jailer is gone");
        if (has(j, RT_BOX_USER_NS)) /* the file is the namespace's own; without one it would be the host's */
                keep_shares_small();
        if (has(j, RT_BOX_UTS_NS) && (sethostname("retort", 6) < 0 || setdomainname("", 0) < 0))
                return rt_fail_errno(err, "cannot set the host name");
        return has(j, RT_BOX_NET_NS) ? raise_loopback(err) : 0;
}

/* What the jailer had open is not the keeper's business. */
static void forget_jailer(struct rt_jailer *j) {
        (void)close(RT_JAILER_SOCKET);
        for (int c = 0; c < RT_CG_HIERARCHIES; c++) {
                j->cgroups.dirs[c] = rt_close(j->cgroups.dirs[c]);
                j->cgroups.parents[c] = rt_close(j->cgroups.parents[c]);
        }
        for (unsigned i = 0; i < RT_JAILER_SLOTS; i++)
                j->slots[i].pidfd = rt_close(j->slots[i].pidfd);
        for (unsigned i = 0; i < RT_JAILER_FROZEN; i++)
                j->frozen[i].pidfd = rt_close(j->frozen[i].pidfd);
        j->forkserver = rt_close(j->forkserver);
        j->cgroups.frozen = rt_close(j->cgroups.frozen);
        /* A keeper ends when its socket does, not before: without namespaces it has to clean up as well. */
        static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };
        for (size_t i = 0; i < RT_LEN(signals); i++)
                (void)signal(signals[i], SIG_IGN);
        (void)signal(SIGCHLD, SIG_DFL);
        (void)dup2(STDIN_FILENO, STDERR_FILENO); /* the jailer's stdin is /dev/null */
}

static void be_keeper(struct rt_jailer *j, struct rt_keeper *k, int go, pid_t jailer) {
        struct retort_error err = { 0 };
        char byte;
        forget_jailer(j);
        if (read(go, &byte, 1) != 1)
                _exit(1); /* the jailer could not map our ids, and has said so */
        (void)rt_close(go);
        if (settle(j, k, jailer, &err) < 0) {
                struct rt_wire_message message = { .op = RT_FAIL };
                message.fail.code = err.code;
                (void)snprintf(message.fail.message, sizeof message.fail.message, "%.511s", err.message);
                (void)rt_wire_send(k->engine, &message, NULL, 0);
                _exit(1);
        }
        rt_keeper_main(k);
}

/* ---- in the jailer ---- */

static int write_map(pid_t pid, const char *file, const char *text) {
        char path[64];
        (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
        return rt_write_file_at(AT_FDCWD, path, text);
}

static int map_ids(const struct rt_jailer *j, pid_t pid, uint32_t keeper_uid, struct retort_error *err) {
        char map[96];
        if (has(j, RT_BOX_OWN_UID))
                (void)snprintf(map, sizeof map, "0 %u 1\n%d %u 1\n", keeper_uid, GUEST_INSIDE, keeper_uid + 1);
        else
                (void)snprintf(map, sizeof map, "%d 0 1\n", GUEST_INSIDE);
        if ((!has(j, RT_BOX_OWN_UID) && write_map(pid, "setgroups", "deny") < 0) || write_map(pid, "gid_map", map) < 0 ||
            write_map(pid, "uid_map", map) < 0)
                return rt_fail_errno(err, "cannot map the slot's user ids");
        return 0;
}

static void find_places(const struct rt_jailer *j, unsigned slot, struct rt_slot_places *places) {
        if (has(j, RT_BOX_MOUNT_NS)) {
                *places = (struct rt_slot_places){ RT_ROOT_WORK, RT_ROOT_TMP, RT_ROOT_RUNTIMES };
                return;
        }
        const char *scratch = j->options.scratch;
        (void)snprintf(places->work, sizeof places->work, "%s/" RT_PLACE_NAME, scratch, (int)getpid(), slot, "work");
        (void)snprintf(places->tmp, sizeof places->tmp, "%s/" RT_PLACE_NAME, scratch, (int)getpid(), slot, "tmp");
        (void)snprintf(places->runtimes, sizeof places->runtimes, "%s", j->options.runtimes);
}

/* Whoever makes a user namespace owns it, and has every right in it from the namespace above: that is to be the user of
 * the frozen interpreters, whose zygotes enter it, and nobody of the host's. A host where only root may make user
 * namespaces has no frozen interpreters. */
static pid_t clone_owned(struct rt_jailer *j, uint64_t flags, int *ret_pidfd, int leaf) {
        if (!(flags & CLONE_NEWUSER) || !j->frozen_uid || seteuid(j->frozen_uid) < 0)
                return rt_clone(flags, ret_pidfd, leaf);
        pid_t pid = rt_clone(flags, ret_pidfd, -1);
        if (pid == 0)
                return 0;
        if (seteuid(0) < 0)
                abort(); /* half a jailer must not go on */
        if (pid < 0) {
                j->frozen_uid = 0;
                return rt_clone(flags, ret_pidfd, leaf);
        }
        char text[16];
        (void)snprintf(text, sizeof text, "%d", (int)pid);
        if (leaf >= 0 && rt_write_file_at(leaf, "cgroup.procs", text) < 0) { /* that user may not clone into it */
                (void)kill(pid, SIGKILL);
                (void)waitpid(pid, NULL, __WALL);
                *ret_pidfd = rt_close(*ret_pidfd);
                return -1;
        }
        return pid;
}

static pid_t clone_keeper(struct rt_jailer *j, unsigned slot, struct rt_keeper *k, int leaf, int go_read, int go_write,
                          int engine_end) {
        uint64_t flags = 0;
        for (size_t i = 0; i < RT_LEN(namespaces); i++)
                if (has(j, namespaces[i].mechanism) && namespaces[i].mechanism != RT_BOX_PID_NS &&
                    namespaces[i].mechanism != RT_BOX_CGROUP_NS) /* these two are made for each box */
                        flags |= namespaces[i].flag;
        pid_t jailer = getpid();
        pid_t pid = clone_owned(j, flags, &j->slots[slot].pidfd, leaf);
        if (pid == 0) {
                (void)rt_close(go_write);
                (void)rt_close(engine_end);
                be_keeper(j, k, go_read, jailer);
        }
        return pid;
}

int rt_jailer_make_slot(struct rt_jailer *j, unsigned slot, struct rt_slot_places *ret_places, int *ret_socket,
                        struct retort_error *err) {
        uint32_t keeper_uid = j->first_uid + slot * 2;
        bool user_ns = has(j, RT_BOX_USER_NS);
        struct rt_keeper k = { .mechanisms = j->mechanisms, .init_exe = j->init_exe, .ceilings = j->options.ceilings,
                               .can_setuid = has(j, RT_BOX_OWN_UID),
                               .guest_uid = user_ns ? GUEST_INSIDE : keeper_uid + 1,
                               .private_fs = -1, .network = -1, .init_pidfd = -1, .init_socket = -1, .listener = -1,
                               .proc = -1, .link = -1, .zygote = -1, .library = j->library, .program = -1, .words = -1,
                               .spaces = { -1, -1, -1, -1 } };
        int pair[2], go[2];
        find_places(j, slot, &k.places);
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return rt_fail_errno(err, "cannot make a socket");
        rt_auto_close int engine_end = pair[0];
        rt_auto_close int keeper_end = pair[1];
        if (pipe2(go, O_CLOEXEC) < 0)
                return rt_fail_errno(err, "cannot make a pipe");
        rt_auto_close int go_read = go[0];
        rt_auto_close int go_write = go[1];
        rt_auto_close int leaf = -1;
        bool own = user_ns && k.can_setuid;
        int r = rt_cgroup_make(&j->cgroups, slot, own ? keeper_uid : (uid_t)-1, own ? keeper_uid + 1 : (uid_t)-1, &k.cgroup, &leaf, err);
        if (r < 0)
                return r;
        k.engine = keeper_end;
        pid_t pid = clone_keeper(j, slot, &k, leaf, go_read, go_write, engine_end);
        if (pid < 0)
                r = rt_fail_errno(err, "cannot make a keeper in new namespaces");
        else if (user_ns)
                r = map_ids(j, pid, keeper_uid, err);
        rt_cgroup_close(&k.cgroup);
        if (r == 0 && write(go_write, "", 1) != 1)
                r = rt_fail_errno(err, "cannot start the keeper");
        j->slots[slot].places = k.places;
        if (pid > 0)
                j->slots[slot].keeper = pid; /* when it ends, the main loop buries it and its cgroup */
        else
                rt_cgroup_remove(&j->cgroups, slot);
        if (r < 0)
                return r;
        *ret_places = k.places;
        *ret_socket = rt_take_fd(&engine_end);
        return 0;
}
