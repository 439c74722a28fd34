/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine's side of box/box.h: starts the jailer, speaks to it and to the keepers, believes neither further than
 * their messages' sizes.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"
#include "box/forkserver.h"
#include "box/jailer.h"
#include "box/plan.h"
#include "box/warm-up.h"
#include "box/wire.h"

enum { ANSWER_MS = 10000 };

struct rt_jail {
        pthread_mutex_t lock; /* one MAKE at a time */
        int socket;
        pid_t pid;
        uint32_t frozen; /* how many were started */
        struct rt_box_isolation isolation;
};

struct rt_frozen {
        int socket;
        int words; /* what it writes to its stderr */
        uint32_t serial;
};

struct rt_slot {
        int socket;
        uint32_t linked; /* serial of the interpreter that its keeper has a link to; 0: none */
        uint32_t forked; /* serial of the one that the parked process is a fork of */
        bool ahead;      /* the parked process is a program that was started ahead */
        struct rt_ahead_cost cost; /* of that */
        int words;       /* what the one that was last started ahead wrote to its stderr, or -1 */
        struct rt_slot_places places;
};

/* ---- messages ---- */

/* 1: a message; 0: none within timeout_ms; negative: the peer is gone. */
static int receive(int socket, int timeout_ms, struct rt_wire_message *message, int fds[RT_WIRE_MAX_FDS],
                   struct retort_error *err) {
        struct pollfd wait = { .fd = socket, .events = POLLIN };
        uint64_t deadline = timeout_ms < 0 ? 0 : rt_now_ns() + (uint64_t)timeout_ms * 1000000u;
        int ready;
        while ((ready = poll(&wait, 1, timeout_ms)) < 0 && errno == EINTR) {
                uint64_t now = rt_now_ns();
                if (timeout_ms >= 0)
                        timeout_ms = now >= deadline ? 0 : (int)((deadline - now) / 1000000u);
        }
        if (ready == 0)
                return 0;
        if (ready < 0 || rt_wire_receive(socket, message, fds) != 1)
                return rt_fail(err, RETORT_E_CLOSED, "the jailer is gone");
        return 1;
}

/* Waits for one of two answers: what was hoped for (0), or FAIL. */
static int expect(int socket, enum rt_wire_op op, struct rt_wire_message *message, int fds[RT_WIRE_MAX_FDS],
                  struct retort_error *err) {
        int r = receive(socket, ANSWER_MS, message, fds, err);
        if (r < 0)
                return r;
        if (r == 0)
                return rt_fail(err, RETORT_E_SYSTEM, "the jailer does not answer");
        if (message->op == (uint32_t)op)
                return 0;
        if (message->op != RT_FAIL)
                return rt_fail(err, RETORT_E_BUG, "the jailer answers something else");
        message->fail.message[sizeof message->fail.message - 1] = 0;
        int code = message->fail.code < 0 ? message->fail.code : RETORT_E_SYSTEM;
        return rt_fail(err, code, "%s", message->fail.message);
}

/* ---- jail ---- */

static int spawn_jailer(const char *path, char *const argv[], int socket, pid_t *ret_pid) {
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none, all;
        (void)sigemptyset(&none);
        (void)sigfillset(&all);
        if (posix_spawn_file_actions_init(&actions) != 0)
                return ENOMEM;
        if (posix_spawnattr_init(&attributes) != 0) {
                (void)posix_spawn_file_actions_destroy(&actions);
                return ENOMEM;
        }
        /* A session of its own: a terminal's Ctrl-C is for the command, which then ends the box in order. */
        (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
        (void)posix_spawnattr_setsigdefault(&attributes, &all);
        (void)posix_spawnattr_setsigmask(&attributes, &none);
        /* Nothing of our environment: it may hold secrets, and every keeper is a copy of the jailer's memory. */
        char *const env[] = { NULL };
        int r = posix_spawn_file_actions_adddup2(&actions, socket, RT_JAILER_SOCKET);
        if (r == 0)
                r = posix_spawn(ret_pid, path, &actions, &attributes, argv, env);
        (void)posix_spawnattr_destroy(&attributes);
        (void)posix_spawn_file_actions_destroy(&actions);
        return r;
}

static int start_jailer(struct rt_jail *jail, const struct rt_jail_config *c, uint32_t lacking, const char *why,
                        struct retort_error *err) {
        char runtimes[4200], init[4200], forkserver[4200], scratch[4200], disable[32], without[32], reason[600], ceilings[256] = "--ceilings=";
        (void)snprintf(runtimes, sizeof runtimes, "--runtimes=%s", c->runtimes);
        (void)snprintf(init, sizeof init, "--init=%s", c->init);
        (void)snprintf(forkserver, sizeof forkserver, "--forkserver=%s", c->forkserver ? c->forkserver : "");
        (void)snprintf(scratch, sizeof scratch, "--scratch=%s", c->scratch);
        (void)snprintf(disable, sizeof disable, "--disable=%" PRIu32, c->disable);
        (void)snprintf(without, sizeof without, "--lacking=%" PRIu32, lacking);
        (void)snprintf(reason, sizeof reason, "--why=%s", why);
#define X(member, unit, dflt, floor, ceiling, text)                                                                    \
        (void)snprintf(ceilings + strlen(ceilings), sizeof ceilings - strlen(ceilings), "%" PRIu64 ",",                \
                       c->ceilings.member);
        RETORT_LIMITS(X)
#undef X
        char *argv[] = { "retort-jailer", runtimes, init, scratch, disable, without, reason, ceilings,
                         c->forkserver ? forkserver : NULL, NULL };
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return rt_fail_errno(err, "cannot make a socket");
        /* dup2 of a descriptor onto itself would leave it close-on-exec */
        int theirs = fcntl(pair[1], F_DUPFD_CLOEXEC, RT_JAILER_SOCKET + 1);
        int failed = theirs < 0 ? errno : spawn_jailer(c->jailer, argv, theirs, &jail->pid);
        (void)rt_close(theirs);
        (void)rt_close(pair[1]);
        jail->socket = pair[0];
        if (failed) {
                jail->pid = 0;
                errno = failed;
                return rt_fail_errno(err, "cannot start %s", c->jailer);
        }
        return 0;
}

/* Closes the socket, which is the jailer's word to clean up, and waits. */
static void stop_jailer(struct rt_jail *jail) {
        jail->socket = rt_close(jail->socket);
        if (jail->pid <= 0)
                return;
        uint64_t deadline = rt_now_ns() + ANSWER_MS * 1000000ull;
        int pidfd = (int)syscall(SYS_pidfd_open, jail->pid, 0);
        struct pollfd wait = { .fd = pidfd, .events = POLLIN };
        while (pidfd >= 0 && rt_now_ns() < deadline && poll(&wait, 1, ANSWER_MS) <= 0)
                continue;
        (void)rt_close(pidfd);
        siginfo_t ended = { 0 };
        while (pidfd < 0 && rt_now_ns() < deadline && /* a kernel that refuses pidfd_open */
               waitid(P_PID, (id_t)jail->pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == 0)
                (void)usleep(1000);
        if (waitpid(jail->pid, NULL, WNOHANG) == 0) {
                (void)kill(jail->pid, SIGKILL);
                (void)waitpid(jail->pid, NULL, 0);
        }
        jail->pid = 0;
}

int rt_jail_open(struct rt_jail **ret_jail, const struct rt_jail_config *config, struct retort_error *err) {
        struct rt_jail *jail = calloc(1, sizeof *jail);
        if (!jail)
                return rt_fail_nomem(err);
        jail->socket = -1;
        (void)pthread_mutex_init(&jail->lock, NULL);
        uint32_t lacking = 0;
        char why[512] = "";
        int r;
        for (int attempt = 0; attempt < 4; attempt++) { /* each time without what the host has just refused */
                struct rt_wire_message message = { 0 };
                r = start_jailer(jail, config, lacking, why, err);
                if (r == 0)
                        r = expect(jail->socket, RT_HELLO, &message, NULL, err);
                if (r == 0) {
                        jail->isolation = message.isolation;
                        *ret_jail = jail;
                        return 0;
                }
                stop_jailer(jail);
                bool news = message.op == RT_FAIL && (message.bits & ~lacking & ~config->disable) != 0;
                if (!news)
                        break;
                lacking |= message.bits;
                (void)snprintf(why, sizeof why, "%s", message.fail.message);
        }
        (void)rt_jail_close(jail);
        return rt_wrap(err, r, "starting the jailer");
}

struct rt_jail *rt_jail_close(struct rt_jail *jail) {
        if (jail) {
                stop_jailer(jail);
                (void)pthread_mutex_destroy(&jail->lock);
        }
        free(jail);
        return NULL;
}

const struct rt_box_isolation *rt_jail_isolation(const struct rt_jail *jail) {
        return &jail->isolation;
}

/* ---- slot ---- */

int rt_slot_make(struct rt_jail *jail, struct rt_slot **ret_slot, struct retort_error *err) {
        struct rt_slot *slot = calloc(1, sizeof *slot);
        if (!slot)
                return rt_fail_nomem(err);
        slot->words = -1;
        int fds[RT_WIRE_MAX_FDS];
        struct rt_wire_message message = { .op = RT_MAKE };
        (void)pthread_mutex_lock(&jail->lock);
        int r = rt_wire_send(jail->socket, &message, NULL, 0) < 0
                        ? rt_fail(err, RETORT_E_CLOSED, "the jailer is gone")
                        : expect(jail->socket, RT_MADE, &message, fds, err);
        (void)pthread_mutex_unlock(&jail->lock);
        if (r == 0) {
                slot->socket = fds[0];
                slot->places = message.places;
                r = rt_slot_recycle(slot, NULL, err); /* answers when a process is parked in it */
                if (r == 0)
                        r = rt_slot_await(slot, err);
        } else {
                slot->socket = -1;
        }
        if (r < 0) {
                (void)rt_slot_free(slot);
                return rt_wrap(err, r, "making a box");
        }
        *ret_slot = slot;
        return 0;
}

struct rt_slot *rt_slot_free(struct rt_slot *slot) {
        if (slot) {
                slot->socket = rt_close(slot->socket);
                slot->words = rt_close(slot->words);
        }
        free(slot);
        return NULL;
}

const struct rt_slot_places *rt_slot_places(const struct rt_slot *slot) {
        return &slot->places;
}

int rt_slot_start(struct rt_slot *slot, const struct rt_slot_step *step, struct retort_error *err) {
        rt_auto_close int plan = rt_plan_write_made(step->argv, step->env, step->files, step->n_files, step->made,
                                                    step->n_made, err);
        if (plan < 0)
                return plan == -1 && err ? err->code : plan;
        struct rt_wire_message message = { .op = RT_START };
        message.limits = step->limits;
        message.bits = (step->terminal ? RT_START_TERMINAL : 0) | (step->forked ? RT_START_FORKED : 0) | (step->ahead ? RT_START_AHEAD : 0);
        const int fds[RT_START_FDS] = { plan, step->stdin_fd, step->stdout_fd, step->stderr_fd, step->report_fd };
        if (rt_wire_send(slot->socket, &message, fds, RT_START_FDS) < 0)
                return rt_fail_errno(err, "cannot speak to the box");
        return 0;
}

int rt_slot_fd(const struct rt_slot *slot) {
        return slot->socket;
}

void rt_slot_kill(struct rt_slot *slot) {
        struct rt_wire_message message = { .op = RT_KILL };
        (void)rt_wire_send(slot->socket, &message, NULL, 0);
}

int rt_slot_report(struct rt_slot *slot, int timeout_ms, struct rt_box_report *ret_report, struct retort_error *err) {
        struct rt_wire_message message;
        int r = receive(slot->socket, timeout_ms, &message, NULL, err);
        if (r < 0)
                return rt_wrap(err, r, "the box was lost");
        if (r == 0)
                return rt_fail(err, RETORT_E_TIMEOUT, "the box has not reported");
        if (message.op == RT_FAIL) {
                message.fail.message[sizeof message.fail.message - 1] = 0;
                return rt_fail(err, message.fail.code < 0 ? message.fail.code : RETORT_E_SYSTEM, "%s",
                               message.fail.message);
        }
        if (message.op != RT_END)
                return rt_fail(err, RETORT_E_BUG, "the box answers something else");
        *ret_report = message.report;
        return 0;
}

int rt_slot_meter(struct rt_slot *slot, const struct retort_limits *limits, bool idle, struct rt_box_report *ret_report,
                  struct retort_error *err) {
        struct rt_wire_message message = { .op = RT_METER, .bits = (limits ? 0 : RT_METER_PEEK) | (idle ? RT_METER_IDLE : 0) };
        if (limits)
                message.limits = *limits;
        bool sent = rt_wire_send(slot->socket, &message, NULL, 0) == 0;
        int r = receive(slot->socket, ANSWER_MS, &message, NULL, err);
        if (r < 0)
                return rt_wrap(err, r, "the box was lost");
        if (r == 0 || (message.op != RT_METERED && message.op != RT_END) || (!sent && message.op == RT_METERED))
                return rt_fail(err, RETORT_E_BUG, "the box does not say what it has used");
        *ret_report = message.report;
        return message.op == RT_END;
}

int rt_slot_hold(struct rt_slot *slot, bool hold, struct rt_box_report *ret_report, struct retort_error *err) {
        struct rt_wire_message message = { .op = RT_HOLD, .bits = hold };
        bool sent = rt_wire_send(slot->socket, &message, NULL, 0) == 0;
        int r = receive(slot->socket, ANSWER_MS, &message, NULL, err);
        if (r < 0)
                return rt_wrap(err, r, "the box was lost");
        if (r == 0 || (message.op != RT_HELD && message.op != RT_END) || (!sent && message.op == RT_HELD))
                return rt_fail(err, RETORT_E_BUG, "the box does not say whether it stands still");
        if (message.op == RT_END) {
                *ret_report = message.report;
                return 1;
        }
        if (message.bits == ENOSYS)
                return rt_fail(err, RETORT_E_ISOLATION, "there is no control group that can hold the box");
        errno = (int)message.bits;
        return message.bits ? rt_fail_errno(err, "cannot hold the box") : 0;
}

int rt_slot_fetch(struct rt_slot *slot, struct rt_plan *ret_left, struct retort_error *err) {
        struct rt_wire_message message = { .op = RT_FETCH };
        int fds[RT_WIRE_MAX_FDS];
        for (unsigned i = 0; i < RT_WIRE_MAX_FDS; i++)
                fds[i] = -1;
        if (rt_wire_send(slot->socket, &message, NULL, 0) < 0)
                return rt_fail(err, RETORT_E_CLOSED, "cannot speak to the box");
        int r = expect(slot->socket, RT_FETCHED, &message, fds, err);
        if (r == 0 && rt_plan_map(fds[0], ret_left, err) < 0)
                r = rt_fail(err, RETORT_E_BUG, "the box says what no keeper says");
        for (unsigned i = 0; i < RT_WIRE_MAX_FDS; i++)
                (void)rt_close(fds[i]);
        return r;
}

/* Gives the slot's keeper and the interpreter a socket to each other. */
static int link_to(struct rt_slot *slot, struct rt_frozen *frozen, int *ret_link, struct retort_error *err) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return rt_fail_errno(err, "cannot make a socket");
        struct rt_wire_message message = { .op = RT_LINK };
        int r = rt_wire_send(frozen->socket, &message, &pair[1], 1);
        (void)rt_close(pair[1]);
        if (r < 0) {
                r = rt_fail_errno(err, "the frozen interpreter is gone");
                (void)rt_close(pair[0]);
                return r;
        }
        slot->linked = frozen->serial;
        *ret_link = pair[0];
        return 0;
}

int rt_slot_recycle(struct rt_slot *slot, struct rt_frozen *frozen, struct retort_error *err) {
        struct rt_wire_message message = { .op = RT_RECYCLE, .bits = frozen ? RT_BOX_FORKED : 0 };
        rt_auto_close int link = -1;
        if (frozen && slot->linked != frozen->serial && link_to(slot, frozen, &link, NULL) < 0)
                message.bits = 0; /* it is gone: a slot as any other */
        if (rt_wire_send(slot->socket, &message, &link, link >= 0) < 0)
                return rt_fail_errno(err, "cannot speak to the box");
        return 0;
}

int rt_slot_await(struct rt_slot *slot, struct retort_error *err) {
        struct rt_wire_message message;
        int r = expect(slot->socket, RT_READY, &message, NULL, err);
        slot->forked = r == 0 && message.bits & RT_BOX_FORKED ? slot->linked : 0;
        slot->ahead = r == 0 && message.bits & RT_BOX_AHEAD;
        if (slot->ahead)
                slot->cost = message.ahead;
        return r;
}

/* ---- programs that are started ahead ---- */

int rt_slot_recycle_ahead(struct rt_slot *slot, const struct rt_ahead *ahead, struct retort_error *err) {
        struct rt_wire_message message = { .op = RT_RECYCLE, .bits = RT_BOX_AHEAD };
        (void)rt_close(slot->words);
        slot->words = memfd_create("retort-words", MFD_CLOEXEC);
        const int fds[] = { ahead->plan, slot->words };
        if (slot->words < 0 || rt_wire_send(slot->socket, &message, fds, RT_LEN(fds)) < 0)
                return rt_fail_errno(err, "cannot speak to the box");
        return 0;
}

void rt_slot_hurry(struct rt_slot *slot) {
        struct rt_wire_message message = { .op = RT_HURRY };
        (void)rt_wire_send(slot->socket, &message, NULL, 0);
}

bool rt_slot_ahead(const struct rt_slot *slot, struct rt_ahead_cost *ret_cost) {
        if (ret_cost)
                *ret_cost = slot->cost;
        return slot->ahead;
}

void rt_slot_last_words(const struct rt_slot *slot, char ret[256]) {
        rt_warm_up_words(slot->words, ret);
}

uint32_t rt_slot_forked(const struct rt_slot *slot) {
        return slot->forked;
}

/* ---- frozen interpreters ---- */

uint32_t rt_frozen_serial(const struct rt_frozen *frozen) {
        return frozen->serial;
}

int rt_frozen_start(struct rt_jail *jail, const char *const *argv, const char *const *env, struct rt_frozen **ret_frozen,
                    struct retort_error *err) {
        static const char *const first[] = { RT_FORKSERVER_PRELOAD, "RETORT_PARK=" RT_FORKSERVER_PARK,
                                             "RETORT_GO=" RT_FORKSERVER_GO, "RETORT_MAIN=" RT_FORKSERVER_MAIN };
        rt_auto_close int plan = rt_warm_up_plan(argv, env, first, RT_LEN(first), err);
        rt_auto_close int words = memfd_create("retort-words", MFD_CLOEXEC);
        rt_auto_free struct rt_frozen *frozen = calloc(1, sizeof *frozen);
        if (plan < 0)
                return plan == -1 && err ? err->code : plan;
        if (!frozen || words < 0)
                return rt_fail_nomem(err);
        const int sent[] = { plan, words };
        int fds[RT_WIRE_MAX_FDS];
        struct rt_wire_message message = { .op = RT_FREEZE };
        (void)pthread_mutex_lock(&jail->lock);
        int r = rt_wire_send(jail->socket, &message, sent, RT_LEN(sent)) < 0
                        ? rt_fail(err, RETORT_E_CLOSED, "the jailer is gone")
                        : expect(jail->socket, RT_MADE, &message, fds, err);
        frozen->serial = ++jail->frozen;
        (void)pthread_mutex_unlock(&jail->lock);
        if (r < 0)
                return rt_wrap(err, r, "starting an interpreter to be frozen");
        frozen->socket = fds[0];
        frozen->words = rt_take_fd(&words);
        *ret_frozen = rt_take(frozen);
        return 0;
}

int rt_frozen_await(struct rt_frozen *frozen, int timeout_ms, struct retort_error *err) {
        struct rt_wire_message message = { 0 };
        char words[256];
        int r = receive(frozen->socket, timeout_ms, &message, NULL, err);
        if (r == 0)
                return rt_fail(err, RETORT_E_TIMEOUT, "the interpreter is not ready after %d ms", timeout_ms);
        if (r == 1 && message.op == RT_READY)
                return 0;
        rt_warm_up_words(frozen->words, words);
        message.fail.message[sizeof message.fail.message - 1] = 0;
        return rt_fail(err, RETORT_E_SYSTEM, "the interpreter cannot be frozen: %s%s%s",
                       r == 1 && message.op == RT_FAIL ? message.fail.message : "it ended", words[0] ? ": " : "", words);
}

bool rt_frozen_alive(const struct rt_frozen *frozen) {
        struct pollfd ended = { .fd = frozen->socket, .events = 0 };
        return poll(&ended, 1, 0) == 0;
}

struct rt_frozen *rt_frozen_free(struct rt_frozen *frozen) {
        if (frozen) {
                frozen->socket = rt_close(frozen->socket);
                frozen->words = rt_close(frozen->words);
        }
        free(frozen);
        return NULL;
}
