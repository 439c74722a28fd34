/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"
#include "context/inside.h"

enum { NS_PER_MS = 1000000, END_MS = 10000 };

int rt_context_box_open(struct retort_engine *engine, int kind, struct rt_context_box **ret_box, const char **ret_start,
                        struct retort_error *err) {
        struct rt_context_box *box = calloc(1, sizeof *box);
        if (!box)
                return rt_fail_nomem(err);
        *box = (struct rt_context_box){ .engine = engine, .kind = kind, .control = -1, .n_contexts = 1, .n_holders = 1 };
        int r = rt_engine_slot_lend(engine, kind, &box->slot, ret_start, err);
        if (r < 0) {
                free(box);
                return r;
        }
        if (!rt_slot_forked(box->slot))
                box->kind = RT_KIND_COLD;
        box->places = *rt_slot_places(box->slot);
        box->opened_ns = box->touched_ns = rt_now_ns();
        rt_engine_new_id(box->id);
        (void)pthread_mutex_init(&box->lock, NULL);
        (void)pthread_mutex_init(&box->asking, NULL);
        *ret_box = box;
        return 0;
}

int rt_context_box_start(struct rt_context_box *box, const struct rt_lang_step *step, const struct retort_context_options *o,
                         bool forked, const int fds[3], struct retort_error *err) {
        char program[sizeof box->places.runtimes + 32];
        (void)snprintf(program, sizeof program, "%s/lib/supervisor", box->places.runtimes);
        const char *const argv[] = { program, NULL };
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return rt_fail_errno(err, "cannot make a socket");
        box->control = pair[0];
        rt_auto_close int theirs = pair[1];
        rt_auto_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        box->limits = step->limits;
        box->limits.wall_ms = box->engine->ceilings.wall_ms;
        box->limits.cpu_ms = box->engine->ceilings.cpu_ms;
        box->idle_ns = (o->idle_ms ? o->idle_ms : RETORT_CONTEXT_IDLE_MS) * NS_PER_MS;
        box->lifetime_ns = (o->lifetime_ms ? o->lifetime_ms : RETORT_CONTEXT_LIFETIME_MS) * NS_PER_MS;
        struct rt_slot_step start = { .argv = forked ? step->fork_argv : argv, .env = step->env, .forked = forked, .files = o->files,
                                      .n_files = o->n_files, .limits = box->limits, .stdin_fd = theirs,
                                      .stdout_fd = forked ? fds[0] : null, .stderr_fd = forked ? fds[1] : null,
                                      .report_fd = forked ? fds[2] : null };
        return null < 0 ? rt_fail_errno(err, "cannot open /dev/null") : rt_slot_start(box->slot, &start, err);
}

/* ---- its end; with the lock held ---- */

static void give_back(struct rt_context_box *box) {
        rt_engine_slot_return(box->engine, rt_take(box->slot), box->kind, box->odd);
}

static void ended(struct rt_context_box *box) {
        if (box->ended)
                return;
        box->ended = true;
        box->odd |= box->report.ended_by == RT_END_LOST || box->report.ended_by == RT_END_DENIED;
        (void)shutdown(box->control, SHUT_RDWR); /* who waits for its answer need not any more */
        give_back(box);
}

static void lost(struct rt_context_box *box) {
        box->odd = true;
        box->report = (struct rt_box_report){ .ended_by = RT_END_LOST };
        ended(box);
}

/* Reads the report that is there, or comes within so long. */
static bool read_end(struct rt_context_box *box, int wait_ms) {
        int r = rt_slot_report(box->slot, wait_ms, &box->report, NULL);
        if (r == RETORT_E_TIMEOUT)
                return false;
        if (r < 0)
                lost(box);
        else
                ended(box);
        return true;
}

static void finish(struct rt_context_box *box) {
        if (box->ended)
                return;
        rt_slot_kill(box->slot);
        if (!read_end(box, END_MS))
                lost(box);
}

bool rt_context_box_gone(struct rt_context_box *box, int wait_ms) {
        (void)pthread_mutex_lock(&box->lock);
        struct pollfd wait = { .fd = box->ended ? -1 : rt_slot_fd(box->slot), .events = POLLIN };
        if (!box->ended && poll(&wait, 1, wait_ms) == 1)
                (void)read_end(box, 0);
        bool gone = box->ended;
        (void)pthread_mutex_unlock(&box->lock);
        return gone;
}

void rt_context_box_leave(struct rt_context_box *box) {
        (void)pthread_mutex_lock(&box->lock);
        bool last = --box->n_contexts == 0;
        if (last)
                finish(box);
        (void)pthread_mutex_unlock(&box->lock);
        rt_context_box_drop(box);
}

struct rt_context_box *rt_context_box_hold(struct rt_context_box *box) {
        (void)pthread_mutex_lock(&box->lock);
        box->n_holders++;
        (void)pthread_mutex_unlock(&box->lock);
        return box;
}

void rt_context_box_drop(struct rt_context_box *box) {
        (void)pthread_mutex_lock(&box->lock);
        bool last = --box->n_holders == 0;
        (void)pthread_mutex_unlock(&box->lock);
        if (!last)
                return;
        (void)rt_close(box->control);
        (void)pthread_mutex_destroy(&box->lock);
        (void)pthread_mutex_destroy(&box->asking);
        free(box);
}

void rt_context_box_why(struct rt_context_box *box, char *text, size_t size) {
        const char *words[] = { [RT_END_EXIT] = "its first process ended", [RT_END_WALL] = "its time was over",
                                [RT_END_CPU] = "it used more CPU time than it may", [RT_END_MEMORY] = "it needed more memory than it may",
                                [RT_END_PROCESSES] = "it wanted more processes than it may",
                                [RT_END_DENIED] = "it made a system call that guests are refused", [RT_END_KILLED] = "it was ended",
                                [RT_END_LOST] = "its box was lost" };
        (void)pthread_mutex_lock(&box->lock);
        bool idle = box->report.ended_by == RT_END_WALL && !box->spans;
        (void)snprintf(text, size, "%s", idle ? "nobody used it for its idle time, or its lifetime was over" : words[box->report.ended_by]);
        (void)pthread_mutex_unlock(&box->lock);
}

/* With the lock held. */
static int freeze(struct rt_context_box *box, bool still, struct retort_error *err) {
        if (box->ended)
                return rt_fail(err, RETORT_E_CLOSED, "the context's box has ended");
        struct rt_box_report report = { 0 };
        int r = rt_slot_hold(box->slot, still, &report, err);
        if (r == 0)
                box->frozen = still;
        if (r == 1) {
                box->report = report;
                ended(box);
                r = rt_fail(err, RETORT_E_CLOSED, "the context's box has ended");
        }
        return r;
}


/* ---- the supervisor ---- */

/* A handler that the caller has for some signal is no reason to give up. */
static bool is_readable(int fd, int ms) {
        struct pollfd wait = { .fd = fd, .events = POLLIN };
        uint64_t until = rt_now_ns() + (uint64_t)ms * NS_PER_MS;
        for (;;) {
                uint64_t now = rt_now_ns();
                int r = poll(&wait, 1, now < until ? (int)((until - now) / NS_PER_MS) + 1 : 0);
                if (r >= 0 || errno != EINTR)
                        return r == 1;
        }
}

/* 1: answered; 0: not in time; -1: it is gone. */
static int exchange(int control, struct iovec *parts, size_t n_parts, const int *fds, unsigned n_fds, struct rt_answer *ret_answer,
                    int *ret_fd) {
        union {
                struct cmsghdr head;
                char room[CMSG_SPACE(RT_ASK_MAX_FDS * sizeof(int))];
        } rights = { .head = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(n_fds * sizeof(int)) } };
        struct msghdr message = { .msg_iov = parts, .msg_iovlen = n_parts };
        if (n_fds > 0) {
                memcpy(CMSG_DATA(&rights.head), fds, n_fds * sizeof(int));
                message.msg_control = &rights;
                message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        }
        if (sendmsg(control, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) /* which waits for nothing, and so is not interrupted */
                return errno == EAGAIN ? 0 : -1;
        if (!is_readable(control, RT_CONTEXT_ANSWER_MS))
                return 0;
        struct iovec part = { ret_answer, sizeof *ret_answer };
        message = (struct msghdr){ .msg_iov = &part, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof rights };
        ssize_t n = recvmsg(control, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        struct cmsghdr *head = n >= 0 ? CMSG_FIRSTHDR(&message) : NULL;
        unsigned n_back = head && head->cmsg_type == SCM_RIGHTS ? (unsigned)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int)) : 0;
        for (unsigned i = 0; i < n_back; i++) {
                int fd;
                memcpy(&fd, CMSG_DATA(head) + i * sizeof fd, sizeof fd);
                if (i == 0 && ret_fd)
                        *ret_fd = fd;
                else
                        (void)rt_close(fd);
        }
        return n == sizeof *ret_answer ? 1 : -1;
}

/* Whose turn it is to ask. */
static int ask_now(struct rt_context_box *box, struct rt_ask ask, const char *text, const char *other, const int *fds,
                       unsigned n_fds, struct rt_answer *ret_answer, int *ret_fd, struct retort_error *err) {
        struct rt_answer answer = { 0 };
        struct iovec parts[] = { { &ask, sizeof ask },
                                 { (void *)(uintptr_t)(text ? text : ""), text ? strlen(text) + 1 : 0 },
                                 { (void *)(uintptr_t)(other ? other : ""), other ? strlen(other) + 1 : 0 } };
        ask.n_texts = (text != NULL) + (other != NULL);
        if (ret_fd)
                *ret_fd = -1;
        (void)pthread_mutex_lock(&box->lock);
        bool frozen = box->frozen && !box->ended; /* for the moment that it takes to answer all of it goes on */
        if (frozen)
                (void)freeze(box, false, NULL);
        bool ended = box->ended;
        (void)pthread_mutex_unlock(&box->lock);
        int got = ended ? -1 : exchange(box->control, parts, RT_LEN(parts), fds, n_fds, &answer, ret_fd);
        (void)pthread_mutex_lock(&box->lock);
        if (frozen && !box->ended && freeze(box, true, NULL) < 0 && !box->ended)
                finish(box); /* it is not to go on unseen */
        if (got <= 0 && !box->ended) { /* it is nothing without its supervisor */
                if (got == 0 || !read_end(box, 0))
                        finish(box);
        }
        (void)pthread_mutex_unlock(&box->lock);
        if (got <= 0)
                return rt_fail(err, RETORT_E_CLOSED, "the context's box has ended");
        if (answer.error) {
                if (ret_fd)
                        *ret_fd = rt_close(*ret_fd);
                int r = rt_fail(err, RETORT_E_INPUT, "%s%s%s", text ? text : "", text ? ": " : "",
                                answer.error > 0 && strerrordesc_np(answer.error) ? strerrordesc_np(answer.error) : "refused");
                errno = answer.error;
                return r;
        }
        if (ret_answer)
                *ret_answer = answer;
        return 0;
}

int rt_context_box_ask(struct rt_context_box *box, struct rt_ask ask, const char *text, const char *other, const int *fds,
                       unsigned n_fds, struct rt_answer *ret_answer, int *ret_fd, struct retort_error *err) {
        (void)pthread_mutex_lock(&box->asking);
        int r = ask_now(box, ask, text, other, fds, n_fds, ret_answer, ret_fd, err);
        int kept = errno;
        (void)pthread_mutex_unlock(&box->asking);
        errno = kept;
        return r;
}

/* ---- standing still ---- */

/* With the lock held: from here on nothing begins. */
static int may_pause(struct rt_context_box *box, bool still, struct retort_error *err) {
        if (box->ended)
                return rt_fail(err, RETORT_E_CLOSED, "the context's box has ended");
        if (box->paused == still)
                return rt_fail(err, RETORT_E_INPUT, "the context is %spaused", still ? "already " : "not ");
        if (still && box->spans)
                return rt_fail(err, RETORT_E_INPUT, "a cell or command runs in the context's box");
        if (still && box->n_starting > 0)
                return rt_fail(err, RETORT_E_INPUT, "an interpreter starts in the context's box");
        box->paused = still;
        return 0;
}

int rt_context_box_pause(struct rt_context_box *box, bool still, struct retort_error *err) {
        struct rt_ask ask = { .op = RT_ASK_HOLD, .number = still };
        (void)pthread_mutex_lock(&box->asking); /* one after the other */
        (void)pthread_mutex_lock(&box->lock);
        int r = may_pause(box, still, err);
        bool tried = r == 0;
        if (tried)
                r = still || box->frozen ? freeze(box, still, err) : RETORT_E_ISOLATION;
        (void)pthread_mutex_unlock(&box->lock);
        if (r == RETORT_E_ISOLATION)
                r = ask_now(box, ask, NULL, NULL, NULL, 0, NULL, NULL, err);
        (void)pthread_mutex_lock(&box->lock);
        if (tried && r < 0)
                box->paused = !still;
        (void)pthread_mutex_unlock(&box->lock);
        (void)pthread_mutex_unlock(&box->asking);
        return r;
}

int rt_context_box_starting(struct rt_context_box *box, bool begins, struct retort_error *err) {
        (void)pthread_mutex_lock(&box->lock);
        bool refused = begins && box->paused;
        if (!refused)
                box->n_starting += begins ? 1 : -1u;
        (void)pthread_mutex_unlock(&box->lock);
        return refused ? rt_fail(err, RETORT_E_INPUT, "the context is paused") : 0;
}

int rt_context_box_path(const struct rt_context_box *box, const char *path, char ret[RT_ASK_MAX_PATH], struct retort_error *err) {
        if (!path || !*path)
                return rt_fail(err, RETORT_E_INPUT, "path: missing");
        int n = path[0] == '/' ? snprintf(ret, RT_ASK_MAX_PATH, "%s", path)
                               : snprintf(ret, RT_ASK_MAX_PATH, "%s/%s", box->places.work, path);
        return n > 0 && n < RT_ASK_MAX_PATH ? 0 : rt_fail(err, RETORT_E_INPUT, "path: longer than %d bytes", RT_ASK_MAX_PATH - 1);
}

/* ---- what is used; with the lock held ---- */

static uint64_t larger(uint64_t a, uint64_t b) {
        return a > b ? a : b;
}

static uint64_t in_ms(uint64_t ns) {
        return ns / NS_PER_MS + 1;
}

/* What the box may do from now on: what the longest of those that go on may; or be idle. */
static struct retort_limits bounds(const struct rt_context_box *box, uint64_t now, bool *ret_idle) {
        struct retort_limits limits = box->limits;
        uint64_t wall = 0, cpu = 0, dies = box->opened_ns + box->lifetime_ns;
        bool idle = true;
        for (const struct rt_span *span = box->spans; span; span = span->next) {
                if (span->stage == RT_SPAN_ENDS)
                        continue;
                idle = false;
                wall = larger(wall, span->wall_until_ns > now ? span->wall_until_ns - now : 0);
                cpu += span->cpu_left_ns > span->cpu_ns ? span->cpu_left_ns - span->cpu_ns : 0;
        }
        if (idle)
                wall = box->n_watches > 0 || box->paused ? UINT64_MAX : box->idle_ns;
        uint64_t life = dies > now ? dies - now : 0;
        limits.wall_ms = in_ms(wall < life ? wall : life);
        if (limits.wall_ms > RT_ENGINE_BOX_MS)
                limits.wall_ms = RT_ENGINE_BOX_MS;
        if (!idle)
                limits.cpu_ms = in_ms(cpu) < RT_ENGINE_BOX_MS ? in_ms(cpu) : RT_ENGINE_BOX_MS;
        *ret_idle = idle;
        return limits;
}

/* What was used until now goes to all that went on; from now on it is bounded by what all may that go on. */
static void meter(struct rt_context_box *box) {
        if (box->ended)
                return;
        bool idle;
        struct retort_limits limits = bounds(box, rt_now_ns(), &idle);
        struct rt_box_report used = { 0 };
        int r = rt_slot_meter(box->slot, &limits, idle, &used, NULL);
        for (struct rt_span *span = box->spans; span && r >= 0; span = span->next) {
                if (span->stage != RT_SPAN_BEGINS) {
                        span->cpu_ns += used.cpu_ns;
                        span->user_ns += used.user_ns;
                        span->system_ns += used.system_ns;
                        span->peak_memory_bytes = larger(span->peak_memory_bytes, used.peak_memory_bytes);
                        span->processes = larger(span->processes, used.processes);
                } else {
                        span->stage = RT_SPAN_GOES_ON;
                }
        }
        if (r == 0)
                return;
        if (r < 0) {
                lost(box);
        } else {
                box->report = used;
                ended(box);
        }
}

static void take_out(struct rt_context_box *box, const struct rt_span *span) {
        for (struct rt_span **at = &box->spans; *at; at = &(*at)->next)
                if (*at == span) {
                        *at = span->next;
                        return;
                }
}

int rt_context_box_begin(struct rt_context_box *box, struct rt_span *span, struct retort_error *err) {
        int r = 0;
        (void)pthread_mutex_lock(&box->lock);
        if (box->paused && !box->ended) {
                r = rt_fail(err, RETORT_E_INPUT, "the context is paused");
        } else {
                span->stage = RT_SPAN_BEGINS;
                span->next = box->spans;
                box->spans = span;
                meter(box);
                if (box->ended) {
                        take_out(box, span);
                        r = rt_fail(err, RETORT_E_CLOSED, "the context's box has ended");
                }
        }
        (void)pthread_mutex_unlock(&box->lock);
        return r;
}

void rt_context_box_end(struct rt_context_box *box, struct rt_span *span) {
        (void)pthread_mutex_lock(&box->lock);
        box->touched_ns = rt_now_ns();
        span->stage = RT_SPAN_ENDS;
        meter(box);
        take_out(box, span);
        (void)pthread_mutex_unlock(&box->lock);
}

void rt_context_box_count(struct rt_context_box *box) {
        (void)pthread_mutex_lock(&box->lock);
        meter(box);
        (void)pthread_mutex_unlock(&box->lock);
}

void rt_context_box_touch(struct rt_context_box *box) {
        (void)pthread_mutex_lock(&box->lock);
        box->touched_ns = rt_now_ns();
        if (!box->spans)
                meter(box);
        (void)pthread_mutex_unlock(&box->lock);
}
