/* SPDX-License-Identifier: Apache-2.0
 *
 * The keeper's side of programs that are started ahead: the parked process of a cold box, which has given up everything, is
 * told to become an interpreter before there is a program for it. That loads what it needs, as nobody but a guest, and waits
 * (src/pool/ahead.c). It runs one program, and goes with its box.
 *
 * What it uses until then is nobody's: the meters are read when it goes. It is less urgent than any run until it waits, or
 * somebody waits for it.
 */
#include "box/ahead.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"

enum { AHEAD_MS = 8000, /* the engine waits for ten seconds */ LESS_URGENT = 19 };

#define BIT(m) (1u << RT_BOX_##m)

/* Where any of these is lacking, what was used before the program came could not be told from what it uses itself. */
static const uint32_t needed = BIT(MOUNT_NS) | BIT(PID_NS) | BIT(SECCOMP) | BIT(CGROUP_PIDS) | BIT(CGROUP_MEMORY) | BIT(CGROUP_CPU);

void rt_ahead_take(struct rt_keeper *k, int program, int words) {
        (void)rt_close(k->program);
        (void)rt_close(k->words);
        k->program = program;
        k->words = words;
}

/* Only where it can be taken back: by who is of another id, as long as the limit allows it. */
static void set_urgency(const struct rt_keeper *k, int niceness) {
        struct rlimit allowed;
        if (k->can_setuid && getrlimit(RLIMIT_NICE, &allowed) == 0 && allowed.rlim_cur >= 20)
                (void)setpriority(PRIO_USER, k->guest_uid, niceness);
}

static int send_program(struct rt_keeper *k, struct retort_error *err) {
        struct rt_wire_message message = { .op = RT_GO, .bits = RT_START_AHEAD };
        rt_auto_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        const int fds[RT_START_FDS + 1] = { k->program, null, null, k->words, null, k->library };
        if (rt_cgroup_limit(&k->cgroup, &k->ceilings, err) < 0)
                return err->code;
        k->set.memory_bytes = k->ceilings.memory_bytes;
        k->set.processes = k->ceilings.processes;
        if (null < 0 || rt_wire_send(k->init_socket, &message, fds, RT_START_FDS + 1) < 0)
                return rt_fail_errno(err, "cannot speak to the parked process");
        return 0;
}

/* Until it says that it waits. Whatever the engine says meanwhile makes it urgent: it is read later. */
static int await_parked(struct rt_keeper *k, struct retort_error *err) {
        uint64_t deadline = rt_now_ns() + AHEAD_MS * 1000000ull;
        enum { INIT, ENGINE, LISTENER };
        struct pollfd wait[] = { [INIT] = { .fd = k->init_socket, .events = POLLIN },
                                 [ENGINE] = { .fd = k->engine, .events = POLLIN },
                                 [LISTENER] = { .fd = k->listener, .events = POLLIN } };
        for (;;) {
                uint64_t now = rt_now_ns();
                int ready = now < deadline ? poll(wait, RT_LEN(wait), (int)((deadline - now) / 1000000u) + 1) : 0;
                if (ready == 0)
                        return rt_fail(err, RETORT_E_TIMEOUT, "the interpreter was not ready after %d s", AHEAD_MS / 1000);
                if (ready < 0)
                        continue;
                if (wait[INIT].revents)
                        break;
                if (wait[LISTENER].revents)
                        return rt_fail(err, RETORT_E_SYSTEM, "the interpreter asked the kernel for what guests are refused");
                if (wait[ENGINE].revents & (POLLHUP | POLLERR))
                        return rt_fail(err, RETORT_E_CLOSED, "the engine is gone");
                set_urgency(k, getpriority(PRIO_PROCESS, 0));
                wait[ENGINE].fd = -1;
        }
        struct rt_wire_message message;
        return rt_keeper_expect(k->init_socket, 1ull << RT_PARKED, &message, NULL, err);
}

/* Behind what it said itself: the engine reads both. */
static int tell_why(const struct rt_keeper *k, const struct retort_error *err) {
        if (k->words >= 0 && err->message[0])
                (void)rt_write_all(k->words, err->message, strlen(err->message));
        return err->code;
}

static int start_ahead(struct rt_keeper *k, struct retort_error *err) {
        if ((k->mechanisms & needed) != needed || k->library < 0 || k->program < 0 || k->words < 0)
                return rt_fail(err, RETORT_E_ISOLATION, "this host gives no boxes of the kind in which programs wait");
        struct rt_meter before, after;
        rt_cgroup_read(&k->cgroup, false, &before);
        int r = send_program(k, err);
        set_urgency(k, LESS_URGENT);
        if (r == 0)
                r = await_parked(k, err);
        set_urgency(k, getpriority(PRIO_PROCESS, 0));
        if (r < 0)
                return r;
        rt_cgroup_read(&k->cgroup, false, &after);
        k->cost = (struct rt_ahead_cost){ after.cpu_ns - before.cpu_ns, after.peak_memory_bytes };
        rt_cgroup_forget_peak(&k->cgroup);
        k->ahead = true;
        return 0;
}

int rt_ahead_arm(struct rt_keeper *k, struct retort_error *ret_err) {
        struct retort_error err = { 0 };
        int r = start_ahead(k, &err);
        if (r < 0 && ret_err)
                *ret_err = err;
        return r < 0 ? tell_why(k, &err) : 0;
}

bool rt_ahead_waits(const struct rt_keeper *k) {
        struct pollfd end = { .fd = k->init_socket, .events = POLLIN };
        return poll(&end, 1, 0) == 0; /* it has nothing to say until it goes: that it has ended, if anything */
}

int rt_ahead_await_taken(struct rt_keeper *k, struct retort_error *err) {
        struct rt_wire_message message;
        int r = rt_keeper_expect(k->init_socket, 1ull << RT_TAKEN, &message, NULL, err);
        return r < 0 ? rt_fail(err, RETORT_E_SYSTEM, "what was started ahead has ended before its program came") : 0;
}
