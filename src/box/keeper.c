/* SPDX-License-Identifier: Apache-2.0 */
#include "box/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"
#include "box/ahead.h"
#include "box/forked.h"
#include "box/plan.h"
#include "box/root.h"

enum { MOST_LEFT = 1 << 20 };

static void send_failure(struct rt_keeper *k, const struct retort_error *err) {
        struct rt_wire_message message = { .op = RT_FAIL };
        message.fail.code = err->code;
        (void)snprintf(message.fail.message, sizeof message.fail.message, "%.511s", err->message);
        (void)rt_wire_send(k->engine, &message, NULL, 0);
}

/* The engine has checked already; this is the side that must not believe it. */
int rt_keeper_check_limits(const struct rt_keeper *k, const struct retort_limits *limits, struct retort_error *err) {
#define X(member, unit, dflt, floor, ceiling, text)                                                                    \
        if (limits->member < (floor) || limits->member > k->ceilings.member)                                           \
                return rt_fail(err, RETORT_E_INPUT, #member " is outside of what the jailer allows");
        RETORT_LIMITS(X)
#undef X
        return 0;
}

/* What the group was told last is what it has: a guest cannot change it. */
static int limit_group(struct rt_keeper *k, struct retort_error *err) {
        bool same = k->cgroup.version == 1 && k->set.memory_bytes == k->limits.memory_bytes && k->set.processes == k->limits.processes;
        int r = same ? 0 : rt_cgroup_limit(&k->cgroup, &k->limits, err);
        k->set.memory_bytes = r == 0 ? k->limits.memory_bytes : 0;
        k->set.processes = r == 0 ? k->limits.processes : 0;
        return r;
}

/* The parked process is what the step was made for; a program that was started ahead may have ended meanwhile. */
static bool is_armed(const struct rt_keeper *k, enum rt_start how) {
        return k->parked && rt_keeper_start(k) == how && (how != RT_START_POOL || rt_ahead_waits(k));
}

static int prepare_step(struct rt_keeper *k, const struct rt_plan *plan, enum rt_start how, struct retort_error *err) {
        int r = rt_keeper_check_limits(k, &k->limits, err);
        if (r == 0 && k->used && plan->n_files > 0) /* a guest may have laid links where they would go */
                r = rt_fail(err, RETORT_E_INPUT, "files come with the first step only");
        if (r == 0 && !is_armed(k, how)) {
                bool clean = how == RT_START_FORK && rt_forked_await_death(k, NULL) == 0 && rt_forked_box_is_clean(k);
                r = clean ? 0 : rt_keeper_kill_box(k, err);
                if (r == 0)
                        r = rt_keeper_arm(k, how, err);
                if (r == 0 && rt_keeper_start(k) != how)
                        r = rt_fail(err, RETORT_E_SYSTEM, "the interpreter could not be %s", how == RT_START_FORK ? "forked" : "started ahead");
        }
        if (r == 0 && !k->used)
                r = rt_keeper_private_fill(k, plan, k->limits.disk_bytes, err);
        else if (r == 0 && rt_keeper_has(k, RT_BOX_MOUNT_NS) && k->set.disk_bytes != k->limits.disk_bytes &&
                 rt_root_resize(k->limits.disk_bytes, NULL) == 0) /* each step has its own; refused if more is in use */
                k->set.disk_bytes = k->limits.disk_bytes;
        if (r == 0)
                r = limit_group(k, err);
        if (r == 0 && how == RT_START_FORK)
                rt_keeper_private_seal(k, plan);
        return r;
}

/* Everything the kernel counts or keeps for the network, as a hash (FNV-1a). A guest that sends, or only tries to, leaves
 * counters behind, and for a minute closed connections and flow labels; the next could read them. */
static uint64_t network_state(const struct rt_keeper *k) {
        static const char *const files[] = { "dev", "snmp", "snmp6", "netstat", "ip6_flowlabel" };
        uint64_t hash = 0xcbf29ce484222325u;
        for (size_t i = 0; i < RT_LEN(files); i++) {
                char text[4096];
                rt_auto_close int fd = openat(k->network, files[i], O_RDONLY | O_CLOEXEC);
                for (ssize_t n; fd >= 0 && (n = read(fd, text, sizeof text)) > 0;)
                        for (ssize_t at = 0; at < n; at++)
                                hash = (hash ^ (unsigned char)text[at]) * 0x100000001b3u;
        }
        return hash;
}

static bool network_untouched(const struct rt_keeper *k) {
        return !rt_keeper_has(k, RT_BOX_NET_NS) || (k->network >= 0 && network_state(k) == k->network_new);
}

/* Everything a guest could have changed is destroyed and made anew. */
static int renew(struct rt_keeper *k, enum rt_start how, struct retort_error *err) {
        bool clean = how == RT_START_FORK && rt_forked_await_death(k, NULL) == 0 && rt_forked_box_is_clean(k) && rt_keeper_private_untouched(k);
        bool fresh = how == RT_START_POOL && !k->used && k->parked && rt_keeper_start(k) == RT_START_COLD;
        int r = clean || fresh ? 0 : rt_keeper_kill_box(k, err);
        if (r < 0)
                return r;
        if (k->used && !network_untouched(k))
                return rt_fail(err, RETORT_E_SYSTEM, "the slot's network was used");
        if (!clean && k->used) {
                rt_keeper_private_remove(k);
                r = rt_keeper_private_make(k, err);
        }
        if (r == 0 && k->used && rt_cgroup_shared_bytes(&k->cgroup) > MOST_LEFT) /* in flight in a socket, say; the next guest would pay */
                return rt_fail(err, RETORT_E_SYSTEM, "memory of the slot's guest is held elsewhere");
        k->used = k->used && r < 0;
        k->n_steps = 0;
        return r < 0 ? r : rt_keeper_arm(k, how, err);
}

static enum rt_start how_to_start(uint32_t bits, uint32_t forked, uint32_t ahead) {
        return bits & forked ? RT_START_FORK : bits & ahead ? RT_START_POOL : RT_START_COLD;
}

static void start(struct rt_keeper *k, struct rt_wire_message *message, const int fds[RT_WIRE_MAX_FDS]) {
        struct retort_error err = { 0 };
        struct rt_plan plan = { 0 };
        uint64_t asked_ns = rt_now_ns();
        k->limits = message->limits;
        k->peak_processes = k->peak_rss_bytes = k->cpu_seen_ns = 0;
        k->idle = false;
        int r = rt_plan_map(fds[0], &plan, &err);
        if (r == 0)
                r = prepare_step(k, &plan, how_to_start(message->bits, RT_START_FORKED, RT_START_AHEAD), &err);
        k->report = (struct rt_box_report){ .ended_by = RT_END_LOST };
        rt_plan_unmap(&plan);
        if (r == 0) {
                k->used = true;
                k->n_steps++;
                k->parked = false;
                if (k->metered)
                        k->before.cpu_ns = rt_cgroup_cpu_ns(&k->cgroup);
                else
                        rt_cgroup_read(&k->cgroup, true, &k->before);
                message->op = RT_GO;
                message->bits &= RT_START_TERMINAL;
                k->begun_ns = rt_now_ns();
                if (rt_wire_send(rt_keeper_guest_socket(k), message, fds, RT_START_FDS) < 0)
                        r = rt_fail_errno(&err, "cannot speak to the parked process");
                if (r == 0 && k->ahead && (r = rt_ahead_await_taken(k, &err)) < 0)
                        (void)renew(k, RT_START_COLD, NULL); /* nobody has run: the step may be started once more */
        }
        for (unsigned i = 0; i < RT_WIRE_MAX_FDS; i++)
                (void)rt_close(fds[i]);
        if (r < 0) {
                send_failure(k, &err);
                return;
        }
        k->report.setup_ns = k->begun_ns - asked_ns;
        rt_keeper_watch(k);
        struct rt_wire_message end = { .op = RT_END };
        end.report = k->report;
        (void)rt_wire_send(k->engine, &end, NULL, 0);
}

static void recycle(struct rt_keeper *k, enum rt_start how) {
        struct retort_error err = { 0 };
        bool as_new = !k->used && k->parked && rt_keeper_start(k) == how && how != RT_START_POOL; /* which may be another's */
        if (!as_new && renew(k, how, &err) < 0) {
                send_failure(k, &err);
                return;
        }
        struct rt_wire_message ready = { .op = RT_READY, .bits = (k->forked ? RT_BOX_FORKED : 0) | (k->ahead ? RT_BOX_AHEAD : 0) };
        if (k->ahead)
                ready.ahead = k->cost;
        (void)rt_wire_send(k->engine, &ready, NULL, 0);
}

static void fetch(struct rt_keeper *k) {
        struct rt_wire_message message = { .op = RT_FETCHED };
        struct retort_error err = { 0 };
        rt_auto_close int plan = -1;
        if (rt_keeper_fetch(k, &plan, &err) < 0) {
                err.code = RETORT_E_INPUT; /* whatever it was: nothing is kept, and the slot goes on */
                send_failure(k, &err);
        } else {
                (void)rt_wire_send(k->engine, &message, &plan, 1);
        }
}

static void end(struct rt_keeper *k, int status) {
        (void)rt_keeper_kill_box(k, NULL);
        rt_keeper_private_remove(k);
        _exit(status);
}

/* What every step will need, so that a host that refuses it is known before the first guest. */
static int try_limits(struct rt_keeper *k, struct retort_error *err) {
        return rt_keeper_has(k, RT_BOX_PRIVATE_TMPFS) && rt_keeper_has(k, RT_BOX_MOUNT_NS)
                       ? rt_root_resize(1 << 20, err)
                       : 0;
}

/* The only variables at file level: a signal handler is given nothing. */
static volatile sig_atomic_t engine_socket = -1;
static volatile sig_atomic_t freezer_state = -1; /* where our death ends the box, but not what is held */
static volatile sig_atomic_t jailer_pid;

static void on_last_word(int number) {
        (void)number;
        if (freezer_state >= 0) {
                if (getppid() == jailer_pid)
                        return; /* it was somebody else's word: the engine's end is ours */
                (void)!pwrite(freezer_state, "THAWED", 6, 0);
                _exit(1);
        }
        (void)shutdown(engine_socket, SHUT_RDWR); /* what reads it next ends the box, and the keeper */
}

int rt_keeper_outlive_jailer(const struct rt_keeper *k, pid_t jailer) {
        struct sigaction action = { .sa_handler = on_last_word };
        engine_socket = k->engine;
        jailer_pid = jailer;
        freezer_state = rt_keeper_has(k, RT_BOX_PID_NS) ? k->cgroup.freezer_state : -1;
        return sigaction(SIGTERM, &action, NULL);
}

void rt_keeper_main(struct rt_keeper *k) {
        struct retort_error err = { 0 };
        (void)prctl(PR_SET_NAME, "retort-keeper", 0, 0, 0);
        (void)prctl(PR_SET_CHILD_SUBREAPER, !rt_keeper_has(k, RT_BOX_PID_NS), 0, 0, 0);
        if (rt_keeper_has(k, RT_BOX_NET_NS)) /* before the box's /proc covers the one where we can be seen */
                k->network = open("/proc/self/net", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        k->network_new = network_state(k);
        rt_forked_open(k);
        k->cpus = (unsigned)get_nprocs();
        if (rt_keeper_private_make(k, &err) < 0 || try_limits(k, &err) < 0 || rt_keeper_arm(k, RT_START_COLD, &err) < 0) {
                send_failure(k, &err);
                end(k, 1);
        }
        for (;;) {
                struct rt_wire_message message;
                int fds[RT_WIRE_MAX_FDS];
                int r = rt_wire_receive(k->engine, &message, fds);
                if (r <= 0)
                        end(k, r == 0 ? 0 : 1);
                if (message.op == RT_START && fds[RT_START_FDS - 1] >= 0) {
                        start(k, &message, fds);
                        continue;
                }
                if (message.op == RT_RECYCLE && message.bits & RT_BOX_AHEAD)
                        rt_ahead_take(k, rt_take_fd(&fds[0]), rt_take_fd(&fds[1]));
                else if (message.op == RT_RECYCLE && fds[0] >= 0)
                        rt_forked_link(k, rt_take_fd(&fds[0]));
                for (unsigned i = 0; i < RT_WIRE_MAX_FDS; i++)
                        (void)rt_close(fds[i]);
                if (message.op == RT_RECYCLE)
                        recycle(k, how_to_start(message.bits, RT_BOX_FORKED, RT_BOX_AHEAD));
                else if (message.op == RT_FETCH)
                        fetch(k);
                else if (message.op != RT_KILL && message.op != RT_HURRY && message.op != RT_HOLD &&
                         message.op != RT_METER) /* one that crossed our answer is late, not wrong */
                        end(k, 1);
        }
}
