/* SPDX-License-Identifier: Apache-2.0 */
#include "box/jailer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"
#include "box/keeper.h"
#include "box/landlock.h"
#include "box/root.h"

enum { PROBE_MS = 8000, GRACE_MS = 6000, LOOK_MS = 60000 /* a child may end just before we wait */ };

#define BIT(m) (1u << RT_BOX_##m)
#define FILE_TREE (BIT(MOUNT_NS) | BIT(READONLY_ROOT) | BIT(PRIVATE_TMPFS) | BIT(PID_NS) | BIT(CGROUP_NS))
#define ALL_NAMESPACES (FILE_TREE | BIT(USER_NS) | BIT(NET_NS) | BIT(IPC_NS) | BIT(UTS_NS))

/* ---- what there is ---- */

static void note(struct rt_jailer *j, enum rt_mechanism m, enum rt_mechanism_state state, const char *reason,
                 const char *mend) {
        struct rt_box_mechanism *entry = &j->isolation.mechanisms[m];
        entry->state = state;
        (void)snprintf(entry->reason, sizeof entry->reason, "%s", reason);
        (void)snprintf(entry->mend, sizeof entry->mend, "%s", mend);
        if (state == RT_BOX_ACTIVE)
                j->mechanisms |= 1u << m;
        else
                j->mechanisms &= ~(1u << m);
}

static const char *mend_for(const struct rt_jailer *j, enum rt_mechanism m) {
        if (m == RT_BOX_USER_NS || !j->root)
                return "allow user namespaces: sysctl user.max_user_namespaces=10000 (and, where it exists, "
                       "kernel.unprivileged_userns_clone=1)";
        return "give the container CAP_SYS_ADMIN, or start it with a seccomp profile that allows unshare";
}

static bool listener_available(void) {
        uint32_t action = SECCOMP_RET_KILL_PROCESS;
        return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

/* Ids that nothing else has: far above those of people and containers, different for every jailer alive. In a container
 * with fewer ids, in the upper half of its largest range, for fewer slots, again different for every jailer: a guest could
 * signal another of its id. 0: it has too few. *ret_frozen is who frozen interpreters are. */
static uint32_t choose_uids(uint32_t *ret_frozen, unsigned *ret_slots) {
        enum { MANY = 2 * RT_JAILER_SLOTS, ROOM = 2 * MANY, NEEDED = 2 * RT_JAILER_FEW_SLOTS };
        const uint32_t lowest = 0x40000000u, highest = 0xf0000000u;
        uint32_t first = 0, most = 0;
        rt_auto_free char *map = NULL;
        if (rt_read_file_at(AT_FDCWD, "/proc/self/uid_map", 65536, &map, NULL, NULL) < 0)
                return 0;
        char *save = NULL;
        for (char *line = strtok_r(map, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                uint32_t inside, outside, count;
                if (sscanf(line, "%" SCNu32 " %" SCNu32 " %" SCNu32, &inside, &outside, &count) == 3 && count > most) {
                        first = inside;
                        most = count;
                }
        }
        if (most >= highest) {
                uint32_t chosen = lowest + ((uint32_t)getpid() % ((highest - lowest) / ROOM)) * ROOM;
                *ret_frozen = chosen + MANY;
                *ret_slots = RT_JAILER_SLOTS;
                return chosen;
        }
        uint32_t choices = most / 2 / NEEDED; /* the last holds nobody's id, which others have too, and those of the frozen */
        if (choices < 2)
                return 0;
        uint32_t choice = (uint32_t)getpid() % (choices - 1);
        *ret_frozen = first + most / 2 + (choices - 1) * NEEDED + choice % (NEEDED / 2);
        return first + most / 2 + choice * NEEDED;
}

/* What else goes when something that they need is off. */
static void depend(struct rt_jailer *j, uint32_t mask, const char *reason) {
        for (int m = 0; m < RT_BOX_MECHANISMS; m++)
                if (mask & (1u << m) && j->isolation.mechanisms[m].state == RT_BOX_ACTIVE)
                        note(j, m, RT_BOX_OFF, reason, "");
}

/* Everything that can be known without trying. */
static void survey(struct rt_jailer *j) {
        for (int m = 0; m < RT_BOX_MECHANISMS; m++) {
                uint32_t bit = 1u << m;
                if (j->options.disable & bit)
                        note(j, m, RT_BOX_OFF, "switched off by configuration", "");
                else if (j->options.lacking & bit)
                        note(j, m, RT_BOX_UNAVAILABLE, j->options.lacking_why, mend_for(j, m));
                else
                        note(j, m, RT_BOX_ACTIVE, "", "");
        }
        uint32_t off = j->options.disable | j->options.lacking;
        j->first_uid = j->root ? choose_uids(&j->frozen_uid, &j->max_slots) : 0;
        if (!(off & BIT(SECCOMP)) && !listener_available())
                note(j, RT_BOX_SECCOMP, RT_BOX_UNAVAILABLE, "the kernel has no seccomp filters",
                     "boot a kernel with CONFIG_SECCOMP_FILTER");
        if (!(off & BIT(LANDLOCK)) && rt_landlock_abi() == 0)
                note(j, RT_BOX_LANDLOCK, RT_BOX_UNAVAILABLE, "the kernel has no Landlock",
                     "boot with landlock in the kernel's lsm= list (Linux 5.13 or later)");
        if (!(off & BIT(OWN_UID)) && !j->root)
                note(j, RT_BOX_OWN_UID, RT_BOX_UNAVAILABLE,
                     "started by an ordinary user: outside, a guest's processes have that user's id",
                     "start it as root (a service does), or accept `reduced`");
        else if (!(off & BIT(OWN_UID)) && j->first_uid == 0)
                note(j, RT_BOX_OWN_UID, RT_BOX_UNAVAILABLE, "this container has too few user ids",
                     "give it at least 1024 (see subuid(5))");
        if (!j->root && off & BIT(USER_NS)) /* without one an ordinary user has the right to no other */
                depend(j, ALL_NAMESPACES, "needs a user namespace");
        else if (off & (BIT(MOUNT_NS) | BIT(PID_NS))) /* neither is of use without the other */
                depend(j, j->root ? FILE_TREE | BIT(USER_NS) : ALL_NAMESPACES, "needs mount and pid namespaces");
        if (!(j->mechanisms & BIT(OWN_UID)))
                j->frozen_uid = 0;
}

static void find_level(struct rt_jailer *j) {
        bool strong = true;
        bool reduced = true;
#define RT_MECHANISM(id, name, needed, text)                                                                           \
        if (!(j->mechanisms & (1u << RT_BOX_##id))) {                                                                  \
                strong = false;                                                                                        \
                reduced = reduced && !(needed && !(j->root && RT_BOX_##id == RT_BOX_USER_NS));                         \
        }
#include "box/mechanisms.def"
#undef RT_MECHANISM
        j->isolation.level = strong    ? RETORT_ISOLATION_STRONG
                             : reduced ? RETORT_ISOLATION_REDUCED
                                       : RETORT_ISOLATION_MINIMAL;
}

/* Without any of these three a guest is a process like any other of the user who started us: it could read this very
 * engine's memory and environment. That is no box. */
static int check_floor(const struct rt_jailer *j, struct retort_error *err) {
        if (j->mechanisms & (BIT(PID_NS) | BIT(OWN_UID) | BIT(LANDLOCK)))
                return 0;
        return rt_fail(err, RETORT_E_ISOLATION, "this host gives no pid namespace, no user id of its own and no Landlock: nothing "
                       "would keep a guest from the processes of whoever runs it");
}

/* ---- starting ---- */

/* Tells the engine why, and which mechanisms it should do without next time. */
static int cannot_start(uint32_t lacking, const struct retort_error *err) {
        struct rt_wire_message message = { .op = RT_FAIL, .bits = lacking };
        message.fail.code = err->code;
        (void)snprintf(message.fail.message, sizeof message.fail.message, "%.511s", err->message);
        (void)rt_wire_send(RT_JAILER_SOCKET, &message, NULL, 0);
        return 1;
}

/* An ordinary user is root in a user namespace, and from there on everything is the same. */
static int become_inner_root(struct retort_error *err) {
        char map[64];
        uid_t uid = geteuid();
        gid_t gid = getegid();
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
                return rt_fail_errno(err, "an ordinary user may not make user namespaces");
        (void)snprintf(map, sizeof map, "0 %u 1\n", gid);
        if (rt_write_file_at(AT_FDCWD, "/proc/self/setgroups", "deny") < 0 ||
            rt_write_file_at(AT_FDCWD, "/proc/self/gid_map", map) < 0)
                return rt_fail_errno(err, "cannot map the group id");
        (void)snprintf(map, sizeof map, "0 %u 1\n", uid);
        if (rt_write_file_at(AT_FDCWD, "/proc/self/uid_map", map) < 0)
                return rt_fail_errno(err, "cannot map the user id");
        return 0;
}

/* The first slot is the proof that everything works. */
static int prove(struct rt_jailer *j, int *ret_socket, struct rt_slot_places *ret_places, struct retort_error *err) {
        int r = rt_jailer_make_slot(j, 0, ret_places, ret_socket, err);
        if (r < 0)
                return r;
        struct rt_wire_message message = { .op = RT_RECYCLE };
        struct pollfd wait = { .fd = *ret_socket, .events = POLLIN };
        (void)rt_wire_send(*ret_socket, &message, NULL, 0);
        int ready;
        while ((ready = poll(&wait, 1, PROBE_MS)) < 0 && errno == EINTR)
                continue;
        if (ready != 1 || rt_wire_receive(*ret_socket, &message, NULL) != 1)
                return rt_fail(err, RETORT_E_SYSTEM, "the first slot does not answer");
        if (message.op == RT_READY)
                return 0;
        message.fail.message[sizeof message.fail.message - 1] = 0;
        return rt_fail(err, message.fail.code, "%s", message.fail.message);
}

/* ---- serving ---- */

struct first_slot {
        int socket;
        struct rt_slot_places places;
};

/* Keepers and frozen interpreters: those whose end is waited for by name. */
static bool is_known(const struct rt_jailer *j, pid_t pid) {
        for (unsigned i = 0; i < RT_JAILER_FROZEN; i++)
                if (j->frozen[i].pid == pid)
                        return true;
        for (unsigned i = 0; i < RT_JAILER_SLOTS; i++)
                if (j->slots[i].keeper == pid)
                        return true;
        return false;
}

/* Reaps one child that is neither. 0: there is none. */
static pid_t reap_orphan(const struct rt_jailer *j) {
        siginfo_t dead = { 0 };
        if (waitid(P_ALL, 0, &dead, WEXITED | WNOHANG | WNOWAIT | __WALL) < 0 || is_known(j, dead.si_pid))
                return 0; /* a keeper's turn comes when its pidfd says so; so may that of orphans behind it */
        return dead.si_pid > 0 ? waitpid(dead.si_pid, NULL, WNOHANG | __WALL) : 0;
}

/* Without a pid namespace, what a killed keeper had in its box comes to us, who are the next subreaper: a child that is
 * killed hands its own children up. */
static void kill_strays(const struct rt_jailer *j) {
        uint64_t deadline = rt_now_ns() + GRACE_MS * 1000000ull;
        for (bool any = true; any && rt_now_ns() < deadline; (void)usleep(any ? 200 : 0)) {
                rt_auto_free char *children = NULL;
                char path[64];
                any = false;
                (void)snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
                if (rt_read_file_at(AT_FDCWD, path, 1 << 20, &children, NULL, NULL) < 0)
                        return;
                char *save = NULL;
                for (char *p = strtok_r(children, " ", &save); p; p = strtok_r(NULL, " ", &save)) {
                        pid_t pid = (pid_t)strtol(p, NULL, 10);
                        if (is_known(j, pid))
                                continue;
                        any = true;
                        (void)kill(pid, SIGKILL);
                        (void)waitpid(pid, NULL, WNOHANG | __WALL);
                }
        }
}

static void bury(struct rt_jailer *j, unsigned slot) {
        struct rt_jailer_slot *s = &j->slots[slot];
        (void)waitpid(s->keeper, NULL, __WALL);
        s->keeper = 0;
        s->pidfd = rt_close(s->pidfd);
        if (!(j->mechanisms & BIT(PID_NS)))
                kill_strays(j);
        if (!(j->mechanisms & BIT(MOUNT_NS)))
                rt_places_remove(&s->places);
        rt_cgroup_remove(&j->cgroups, slot);
}

static void on_make(struct rt_jailer *j, struct first_slot *first) {
        struct rt_wire_message answer = { .op = RT_MADE };
        struct retort_error err = { 0 };
        rt_auto_close int socket = rt_take_fd(&first->socket);
        int r = 0;
        if (socket >= 0) {
                answer.places = first->places;
        } else {
                unsigned slot = 0;
                while (slot < j->max_slots && j->slots[slot].keeper > 0)
                        slot++;
                r = slot < j->max_slots ? rt_jailer_make_slot(j, slot, &answer.places, &socket, &err)
                                        : rt_fail(&err, RETORT_E_SYSTEM, "%u boxes at once are the most here", j->max_slots);
        }
        if (r < 0) {
                answer = (struct rt_wire_message){ .op = RT_FAIL };
                answer.fail.code = err.code;
                (void)snprintf(answer.fail.message, sizeof answer.fail.message, "%.511s", err.message);
        }
        (void)rt_wire_send(RT_JAILER_SOCKET, &answer, &socket, r == 0);
}

static void on_freeze(struct rt_jailer *j, int fds[RT_WIRE_MAX_FDS]) {
        struct rt_wire_message answer = { .op = RT_MADE };
        struct retort_error err = { 0 };
        int socket = -1;
        int r = rt_jailer_freeze(j, fds[0], fds[1], &socket, &err);
        if (r < 0) {
                answer = (struct rt_wire_message){ .op = RT_FAIL };
                answer.fail.code = err.code;
                (void)snprintf(answer.fail.message, sizeof answer.fail.message, "%.511s", err.message);
        }
        (void)rt_wire_send(RT_JAILER_SOCKET, &answer, &socket, r == 0);
        (void)rt_close(socket);
}

static bool on_engine(struct rt_jailer *j, struct first_slot *first) {
        struct rt_wire_message message;
        int fds[RT_WIRE_MAX_FDS];
        if (rt_wire_receive(RT_JAILER_SOCKET, &message, fds) != 1)
                return false;
        bool known = message.op == RT_MAKE || message.op == RT_FREEZE;
        if (message.op == RT_MAKE)
                on_make(j, first);
        else if (message.op == RT_FREEZE)
                on_freeze(j, fds);
        for (unsigned i = 0; i < RT_WIRE_MAX_FDS; i++)
                (void)rt_close(fds[i]);
        return known; /* else it says what no engine says */
}

static void bury_frozen(struct rt_jailer_frozen *frozen) {
        (void)waitpid(frozen->pid, NULL, __WALL);
        frozen->pid = 0;
        frozen->pidfd = rt_close(frozen->pidfd);
}

/* Waits for the engine, or the end of a keeper or frozen interpreter. timeout_ms bounds it. False when the engine is gone. */
static bool serve_once(struct rt_jailer *j, struct first_slot *first, int timeout_ms) {
        struct pollfd wait[1 + RT_JAILER_SLOTS + RT_JAILER_FROZEN] = { { .fd = first ? RT_JAILER_SOCKET : -1, .events = POLLIN } };
        unsigned who[RT_LEN(wait)]; /* only those that there are: poll refuses more than RLIMIT_NOFILE entries, used or not */
        unsigned n = 1;
        for (unsigned i = 0; i < RT_JAILER_SLOTS; i++)
                if (j->slots[i].keeper > 0) {
                        who[n] = i;
                        wait[n++] = (struct pollfd){ .fd = j->slots[i].pidfd, .events = POLLIN };
                }
        for (unsigned i = 0; i < RT_JAILER_FROZEN; i++)
                if (j->frozen[i].pid > 0) {
                        who[n] = RT_JAILER_SLOTS + i;
                        wait[n++] = (struct pollfd){ .fd = j->frozen[i].pidfd, .events = POLLIN };
                }
        if (poll(wait, n, timeout_ms < 0 ? LOOK_MS : timeout_ms) < 0 && errno != EINTR)
                return false;
        for (unsigned i = 1; i < n; i++)
                if (wait[i].revents && who[i] < RT_JAILER_SLOTS)
                        bury(j, who[i]);
                else if (wait[i].revents)
                        bury_frozen(&j->frozen[who[i] - RT_JAILER_SLOTS]);
        while (reap_orphan(j) > 0) /* what a keeper left that was killed came to us, the subreaper */
                continue;
        return !wait[0].revents || on_engine(j, first);
}

static bool any_keeper(const struct rt_jailer *j) {
        for (unsigned i = 0; i < RT_JAILER_SLOTS; i++)
                if (j->slots[i].keeper > 0)
                        return true;
        return false;
}

/* Keepers whose sockets were closed end by themselves; those that do not are ended. */
static void clean_up(struct rt_jailer *j) {
        uint64_t grace = rt_now_ns() + GRACE_MS * 1000000ull;
        while (any_keeper(j) && rt_now_ns() < grace)
                (void)serve_once(j, NULL, 100);
        for (unsigned i = 0; i < RT_JAILER_SLOTS; i++)
                if (j->slots[i].keeper > 0) {
                        if (syscall(SYS_pidfd_send_signal, j->slots[i].pidfd, SIGKILL, NULL, 0) < 0)
                                (void)kill(j->slots[i].keeper, SIGKILL); /* ours, and not waited for */
                        bury(j, i);
                }
        (void)rt_keeper_kill_strays(rt_now_ns() + GRACE_MS * 1000000ull);
        rt_cgroup_base_close(&j->cgroups);
}

/* A box shows none of our own files; memory has no place, and can be loaded from anywhere. */
static void open_forkserver(struct rt_jailer *j) {
        enum { MOST = 8 << 20 };
        rt_auto_free char *text = NULL;
        size_t size = 0;
        j->forkserver = open(j->options.forkserver, O_RDONLY | O_CLOEXEC);
        if (j->forkserver >= 0 && rt_read_file_at(AT_FDCWD, j->options.forkserver, MOST, &text, &size, NULL) == 0)
                j->library = rt_sealed_memfd("retort-forkserver", text, size);
}

/* With this a program that is started ahead can be made less urgent, and urgent again (box/ahead.c). Guests lose it. */
static void allow_niceness(void) {
        (void)setrlimit(RLIMIT_NICE, &(struct rlimit){ 20, 20 });
}

static int enter(struct rt_jailer *j, uint32_t *ret_lacking, struct retort_error *err) {
        j->init_exe = open(j->options.init, O_PATH | O_CLOEXEC);
        if (j->init_exe < 0 || access(j->options.runtimes, X_OK) < 0)
                return rt_fail_errno(err, "cannot open %s", j->init_exe < 0 ? j->options.init : j->options.runtimes);
        if (j->options.forkserver)
                open_forkserver(j);
        rt_cgroup_base_open(&j->cgroups, j->options.disable, j->frozen_uid, &j->isolation);
        const enum rt_mechanism groups[] = { RT_BOX_CGROUP_MEMORY, RT_BOX_CGROUP_PIDS, RT_BOX_CGROUP_CPU };
        for (size_t i = 0; i < RT_LEN(groups); i++)
                if (j->isolation.mechanisms[groups[i]].state != RT_BOX_ACTIVE)
                        j->mechanisms &= ~(1u << groups[i]);
        if (!(j->mechanisms & BIT(MOUNT_NS))) {
                rt_places_remove_stale(j->options.scratch);
                return 0;
        }
        *ret_lacking = j->root ? FILE_TREE : ALL_NAMESPACES;
        if (j->root ? unshare(CLONE_NEWNS) < 0 : become_inner_root(err) < 0)
                return err->code ? err->code : rt_fail_errno(err, "cannot make a mount namespace");
        int r = rt_root_enter(j->options.runtimes, err);
        if (r == 0)
                *ret_lacking = 0;
        return r;
}

/* What whoever started us had open, and how it makes files, is not the box's business. Its stderr stays, for what a
 * sanitizer may have to say; keepers lose that too. */
static int forget_caller(struct retort_error *err) {
        if (getauxval(AT_SECURE))
                return rt_fail(err, RETORT_E_INPUT, "retort-jailer must not be set-user-id or have file capabilities");
        (void)umask(022);
        (void)close_range(RT_JAILER_SOCKET + 1, ~0u, 0);
        int null;
        do
                null = open("/dev/null", O_RDWR | O_CLOEXEC);
        while (null >= 0 && null <= STDERR_FILENO); /* the caller may have none of the three */
        if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
                return rt_fail_errno(err, "cannot close what the caller had open");
        (void)rt_close(null);
        return 0;
}

/* A service manager that stops the service tells all of its processes, us too, and we have groups to remove first: it is
 * as if the engine had gone. */
static void on_stop(int sig) {
        (void)sig;
        (void)shutdown(RT_JAILER_SOCKET, SHUT_RDWR);
}

/* What a frozen interpreter or a keeper that has gone leaves behind comes to us and ends some time: poll is to return then. */
static void on_child(int sig) {
        (void)sig;
}

static void obey_stops(void) {
        static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };
        struct sigaction action = { .sa_handler = on_stop };
        for (size_t i = 0; i < RT_LEN(signals); i++)
                (void)sigaction(signals[i], &action, NULL);
        action.sa_handler = on_child;
        action.sa_flags = SA_RESTART; /* of all but poll */
        (void)sigaction(SIGCHLD, &action, NULL);
}

int rt_jailer_main(int argc, char **argv) {
        struct rt_jailer j = { .root = geteuid() == 0, .max_slots = RT_JAILER_FEW_SLOTS, .init_exe = -1, .forkserver = -1, .library = -1 };
        struct retort_error err = { 0 };
        struct first_slot first = { .socket = -1 };
        uint32_t lacking = 0;
        for (unsigned i = 0; i < RT_JAILER_SLOTS; i++)
                j.slots[i].pidfd = -1;
        for (unsigned i = 0; i < RT_JAILER_FROZEN; i++)
                j.frozen[i].pidfd = -1;
        (void)fcntl(RT_JAILER_SOCKET, F_SETFD, FD_CLOEXEC);
        (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        if (forget_caller(&err) < 0 || rt_jailer_read_options(&j.options, argc, argv, &err) < 0)
                return cannot_start(0, &err);
        obey_stops();
        allow_niceness();
        survey(&j);
        int r = enter(&j, &lacking, &err);
        if (r == 0)
                r = check_floor(&j, &err);
        if (r == 0) {
                r = prove(&j, &first.socket, &first.places, &err);
                if (r < 0)
                        lacking = rt_jailer_refused_namespaces(j.mechanisms);
                if (r < 0 && lacking == 0 && j.mechanisms & BIT(MOUNT_NS)) /* the namespaces are there, but not what fills them */
                        lacking = j.root ? FILE_TREE : ALL_NAMESPACES;
        }
        if (r == 0) {
                find_level(&j);
                struct rt_wire_message hello = { .op = RT_HELLO };
                hello.isolation = j.isolation;
                (void)rt_wire_send(RT_JAILER_SOCKET, &hello, NULL, 0);
                while (serve_once(&j, &first, -1))
                        continue;
        }
        first.socket = rt_close(first.socket);
        clean_up(&j);
        return r == 0 ? 0 : cannot_start(lacking, &err);
}
