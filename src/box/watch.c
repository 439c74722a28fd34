/* SPDX-License-Identifier: Apache-2.0
 *
 * One step from its first instruction to its report. Four things can end it: its own process ends; a limit is reached
 * (seen by a deadline, a tick, or the kernel waking us); it asks the kernel for something denied; the engine says so.
 * Whatever it is, when the report leaves either nothing of the box but its first process is alive, or all of it has
 * been killed: the output is complete.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "box/keeper.h"
#include "box/procs.h"
#include "box/seccomp.h"

enum {
        TICK_MIN_NS = 1000000,       /* how close to a CPU limit we look */
        TICK_MAX_NS = 10000000,      /* how long a peak may stay unseen where only looking tells */
        TICK_POLLING_NS = 4000000,   /* the same without cgroups: every look reads /proc */
        TICK_IDLE_NS = 1000000000,   /* where nothing is expected to happen, and hundreds of boxes may wait */
        TOLD_FREELY = 1000,          /* calls of a guest's; a program that starts others makes one for each */
        PAUSE_NS = 1000000,
        GOING_ON = -1,
};

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#else
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#endif

static bool polling(const struct rt_keeper *k) {
        return !k->cgroup.have[RT_CG_MEMORY] || !k->cgroup.have[RT_CG_PIDS] || !k->cgroup.have[RT_CG_CPU];
}

static uint64_t peak_of(uint64_t *peak, uint64_t now) {
        if (now > *peak)
                *peak = now;
        return *peak;
}

/* What must be looked for. Also keeps the peaks that no counter keeps. */
static int look_around(struct rt_keeper *k) {
        struct rt_procs procs = { 0 };
        if (polling(k))
                rt_procs_read(k, &procs);
        struct rt_meter now;
        rt_cgroup_read(&k->cgroup, true, &now);
        const struct rt_cgroup *cg = &k->cgroup;
        uint64_t processes = peak_of(&k->peak_processes, cg->have[RT_CG_PIDS] ? now.processes : procs.threads);
        uint64_t rss = peak_of(&k->peak_rss_bytes, cg->have[RT_CG_MEMORY] ? now.peak_memory_bytes : procs.rss_bytes);
        uint64_t cpu = peak_of(&k->cpu_seen_ns,
                               cg->have[RT_CG_CPU] ? now.cpu_ns - k->before.cpu_ns : procs.cpu_ns);
        if (cpu >= k->limits.cpu_ms * 1000000u)
                return RT_END_CPU;
        if (now.oom_kills > k->before.oom_kills)
                return RT_END_MEMORY;
        if (!cg->have[RT_CG_MEMORY] && rss > k->limits.memory_bytes)
                return RT_END_MEMORY;
        if (now.refused_forks > k->before.refused_forks)
                return RT_END_PROCESSES;
        if (!cg->have[RT_CG_PIDS] && processes > k->limits.processes)
                return RT_END_PROCESSES;
        return GOING_ON;
}

/* When to look again: not before the CPU limit can have been reached, not later than a peak may hide. */
static uint64_t next_look(const struct rt_keeper *k, uint64_t now) {
        uint64_t limit = k->limits.cpu_ms * 1000000u;
        uint64_t left = limit > k->cpu_seen_ns ? limit - k->cpu_seen_ns : 0;
        uint64_t in = left / k->cpus;
        if (in < TICK_MIN_NS)
                in = TICK_MIN_NS;
        uint64_t most = k->idle ? TICK_IDLE_NS : polling(k) ? TICK_POLLING_NS : TICK_MAX_NS;
        return now + (in < most ? in : most);
}

/* A call that is allowed and that we want to know of. Once it is let go on, nothing can stop it but the death of who made
 * it: so the end of a guest that is the only process of its box, with one thread, is known here, with its code, before the
 * kernel has taken its memory apart. */
static int on_marked(struct rt_keeper *k, const struct seccomp_notif *ask, struct rt_wire_exited *ret_exited) {
        struct seccomp_notif_resp answer = { .id = ask->id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };
        bool ends = ask->data.nr == SYS_exit_group;
        bool last = ends && k->guest > 0 && ask->pid == (uint32_t)k->guest && rt_cgroup_processes(&k->cgroup) == 1;
        k->told++;
        k->ipc_used |= !ends;
        if (ioctl(k->listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) < 0 || !last)
                return GOING_ON;
        *ret_exited = (struct rt_wire_exited){ .wait_status = (int32_t)(ask->data.args[0] & 0xff) << 8, .at_ns = rt_now_ns() };
        k->dying = true;
        return RT_END_EXIT;
}

/* The kernel asks about a call that the policy denies, or marks. */
static int on_listener(struct rt_keeper *k, struct rt_wire_exited *ret_exited) {
        struct seccomp_notif ask;
        memset(&ask, 0, sizeof ask);
        if (ioctl(k->listener, SECCOMP_IOCTL_NOTIF_RECV, &ask) < 0)
                return GOING_ON; /* the asker died meanwhile */
        if (ask.data.arch == NATIVE_ARCH && ask.data.nr < 0x40000000 && rt_seccomp_unheard_of(ask.data.nr)) {
                struct seccomp_notif_resp answer = { .id = ask.id, .error = -ENOSYS };
                (void)ioctl(k->listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
                return GOING_ON;
        }
        if (ask.data.arch == NATIVE_ARCH && rt_seccomp_marked(ask.data.nr))
                return on_marked(k, &ask, ret_exited);
        k->report.denied_call = ask.data.nr;
        k->report.denied_arch_ok = ask.data.arch == NATIVE_ARCH && (uint32_t)ask.data.nr < 0x40000000;
        return RT_END_DENIED;
}

static int on_guest(struct rt_keeper *k, struct rt_wire_exited *ret_exited) {
        struct rt_wire_message message;
        if (rt_wire_receive(rt_keeper_guest_socket(k), &message, NULL) != 1)
                return RT_END_LOST;
        if (message.op == RT_BAD_EXEC)
                k->report.exec_errno = message.exited.exec_errno ? message.exited.exec_errno : EINVAL;
        if (message.op != RT_EXITED)
                return GOING_ON;
        *ret_exited = message.exited;
        return RT_END_EXIT;
}


/* The kernel counts the sum exactly and its two parts by ticks: the parts are scaled to the sum. */
static void share_out(struct rt_box_report *r, uint64_t user, uint64_t system, const struct rt_wire_exited *exited) {
        if (exited->user_ns + exited->system_ns > 0) {
                user = exited->user_ns;
                system = exited->system_ns;
        }
        double part = user + system > 0 ? (double)user / (double)(user + system) : 1;
        r->user_ns = (uint64_t)((double)r->cpu_ns * part);
        r->system_ns = r->cpu_ns - r->user_ns;
}

/* Counters from cgroups where there are any, else what init and /proc saw. */
static void fill_usage(struct rt_keeper *k, const struct rt_meter *after, const struct rt_wire_exited *exited) {
        struct rt_box_report *r = &k->report;
        const struct rt_cgroup *cg = &k->cgroup;
        if (cg->have[RT_CG_CPU]) {
                r->cpu_ns = after->cpu_ns - k->before.cpu_ns;
                share_out(r, after->user_ns - k->before.user_ns, after->system_ns - k->before.system_ns, exited);
        } else {
                r->user_ns = exited->user_ns;
                r->system_ns = exited->system_ns;
                r->cpu_ns = exited->user_ns + exited->system_ns;
                if (k->cpu_seen_ns > r->cpu_ns)
                        r->cpu_ns = k->cpu_seen_ns;
        }
        r->peak_memory_bytes = peak_of(&k->peak_rss_bytes, cg->have[RT_CG_MEMORY] ? after->peak_memory_bytes : 0);
        if (!cg->have[RT_CG_MEMORY] && exited->max_rss_bytes > r->peak_memory_bytes)
                r->peak_memory_bytes = exited->max_rss_bytes;
        r->oom_kills = after->oom_kills - k->before.oom_kills;
        r->refused_forks = after->refused_forks - k->before.refused_forks;
        r->processes = after->peak_processes ? after->peak_processes : k->peak_processes;
        if (r->refused_forks > 0 && r->processes < k->limits.processes)
                r->processes = k->limits.processes; /* a refusal is exact where looking came too late */
        if (r->processes == 0)
                r->processes = 1; /* its own process was there, if too short to be seen */
}

/* ---- what lasts, and is used again and again: a context ---- */

/* What was used since START or the METER before; from here on it is counted, and bounded, anew. */
static int on_meter(struct rt_keeper *k, const struct rt_wire_message *asked) {
        static const struct rt_wire_exited goes_on = { 0 };
        struct retort_limits limits = k->limits;
        struct rt_wire_message told = { .op = RT_METERED };
        struct rt_meter now = k->before;
        int end = look_around(k); /* what has happened comes before what may */
        if (end != GOING_ON)
                return end;
        limits.wall_ms = asked->limits.wall_ms;
        limits.cpu_ms = asked->limits.cpu_ms;
        if (!(asked->bits & RT_METER_PEEK) && rt_keeper_check_limits(k, &limits, NULL) < 0)
                return RT_END_KILLED;
        rt_cgroup_read(&k->cgroup, true, &now);
        uint64_t now_ns = rt_now_ns();
        struct rt_box_report kept = k->report;
        k->report.wall_ns = now_ns - k->begun_ns;
        fill_usage(k, &now, &goes_on);
        told.report = k->report;
        k->report = kept;
        if (!(asked->bits & RT_METER_PEEK)) {
                k->limits = limits;
                k->before = now;
                k->begun_ns = now_ns;
                k->idle = asked->bits & RT_METER_IDLE;
                k->peak_processes = k->peak_rss_bytes = k->cpu_seen_ns = 0;
                rt_cgroup_forget_peak(&k->cgroup);
        }
        return rt_wire_send(k->engine, &told, NULL, 0) == 0 ? GOING_ON : RT_END_KILLED;
}

static int on_hold(struct rt_keeper *k, bool hold) {
        struct rt_wire_message told = { .op = RT_HELD };
        if (rt_cgroup_hold(&k->cgroup, hold, k->init) < 0)
                told.bits = (uint32_t)errno;
        else
                k->held = hold;
        struct rt_meter now = { 0 }; /* forks that were refused meanwhile were not too many */
        rt_cgroup_read(&k->cgroup, false, &now);
        k->before.refused_forks = now.refused_forks;
        if (rt_cgroup_limit(&k->cgroup, &k->limits, NULL) < 0)
                return RT_END_LOST;
        return rt_wire_send(k->engine, &told, NULL, 0) == 0 ? GOING_ON : RT_END_KILLED;
}

static int on_engine(struct rt_keeper *k) {
        struct rt_wire_message message;
        int r = rt_wire_receive(k->engine, &message, NULL);
        if (r == 1 && message.op == RT_METER)
                return on_meter(k, &message);
        if (r == 1 && message.op == RT_HOLD)
                return on_hold(k, message.bits != 0);
        return r == 1 && message.op != RT_KILL ? GOING_ON : RT_END_KILLED;
}

static int wait_for_end(struct rt_keeper *k, struct rt_wire_exited *ret_exited) {
        uint64_t begun = k->begun_ns;
        uint64_t look = next_look(k, begun);
        uint64_t listen = 0;
        bool deserted = false;
        enum { ENGINE, GUEST, LISTENER, FORKS, INIT };
        struct pollfd wait[] = {
                [ENGINE] = { .fd = k->engine, .events = POLLIN },
                [GUEST] = { .fd = rt_keeper_guest_socket(k), .events = POLLIN },
                [LISTENER] = { .fd = k->listener, .events = POLLIN },
                [FORKS] = { .fd = rt_cgroup_forks_fd(&k->cgroup), .events = POLLPRI },
                [INIT] = { .fd = k->forked ? k->init_socket : -1 }, /* its end is all it can say */
        };
        for (;;) {
                uint64_t now = rt_now_ns();
                uint64_t deadline = k->begun_ns + k->limits.wall_ms * 1000000u;
                int end = GOING_ON;
                if (k->begun_ns != begun) { /* METER */
                        begun = k->begun_ns;
                        look = next_look(k, begun);
                }
                if (now >= look) {
                        end = look_around(k);
                        look = next_look(k, now);
                }
                if (end == GOING_ON && now >= deadline)
                        end = RT_END_WALL;
                if (end != GOING_ON)
                        return end;
                uint64_t next = look < deadline ? look : deadline;
                bool listening = now >= listen;
                wait[LISTENER].fd = listening && !deserted ? k->listener : -1;
                if (!listening && listen < next)
                        next = listen;
                uint64_t left = next > now ? next - now : 0;
                struct timespec timeout = { .tv_sec = (time_t)(left / 1000000000u), .tv_nsec = (long)(left % 1000000000u) };
                if (ppoll(wait, RT_LEN(wait), &timeout, NULL) <= 0)
                        continue;
                if (wait[FORKS].revents & (POLLPRI | POLLERR))
                        end = look_around(k);
                if (end == GOING_ON && (wait[LISTENER].revents & POLLIN)) {
                        end = on_listener(k, ret_exited);
                        /* Answering takes time that is not the guest's: who asks very often is answered once a millisecond. */
                        listen = k->told > TOLD_FREELY ? rt_now_ns() + PAUSE_NS : 0;
                } else if (wait[LISTENER].revents) {
                        deserted = true; /* the last process under the policy is gone */
                }
                if (end == GOING_ON && wait[GUEST].revents)
                        end = on_guest(k, ret_exited);
                if (end == GOING_ON && wait[INIT].revents)
                        end = RT_END_LOST;
                if (end == GOING_ON && wait[ENGINE].revents)
                        end = on_engine(k);
                if (end != GOING_ON)
                        return end;
        }
}

void rt_keeper_watch(struct rt_keeper *k) {
        struct rt_wire_exited exited = { 0 };
        k->report.filter_kills = k->listener < 0;
        int end = wait_for_end(k, &exited);
        if (k->held) /* whatever becomes of them */
                (void)rt_cgroup_hold(&k->cgroup, false, k->init);
        k->held = false;
        if (k->ahead)
                exited.user_ns = exited.system_ns = 0; /* counted from its own start on; the group's were noted when it went */
        uint64_t ended_ns = end == RT_END_EXIT ? exited.at_ns : rt_now_ns();
        struct rt_meter after = k->before;
        rt_cgroup_read(&k->cgroup, exited.user_ns + exited.system_ns == 0, &after);
        bool alone = end == RT_END_EXIT && k->cgroup.have[RT_CG_PIDS] && after.processes == (k->dying ? 1 : 0);
        if (!alone) {
                (void)peak_of(&k->peak_processes, after.processes);
                if (rt_keeper_kill_box(k, NULL) < 0)
                        end = RT_END_LOST;
                rt_cgroup_read(&k->cgroup, true, &after);
        }
        k->report.quiet = k->dying;
        k->report.ended_by = (uint32_t)end;
        k->report.wait_status = exited.wait_status;
        k->report.wall_ns = ended_ns > k->begun_ns ? ended_ns - k->begun_ns : 0; /* init says when: it may say anything */
        fill_usage(k, &after, &exited);
        k->before = after;
        k->metered = k->forked;
        if (end != RT_END_EXIT || exited.wait_status != 0)
                rt_keeper_private_measure(k);
}
