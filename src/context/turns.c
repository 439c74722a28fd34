/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may use a context's runner: one at a time, in the order of asking. And who uses the context besides.
 */
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"
#include "context/inside.h"

static int refuse(struct retort_context *context, bool even_dead, struct retort_error *err) {
        if (context->closing)
                return rt_fail(err, RETORT_E_CLOSED, "the context is being closed");
        if (context->dead && !even_dead)
                return rt_fail(err, RETORT_E_CLOSED, "the context has ended: %s; it can be restarted", context->why);
        return 0;
}

int rt_context_use(struct retort_context *context, struct rt_context_box **ret_box, struct retort_error *err) {
        (void)pthread_mutex_lock(&context->lock);
        int r = refuse(context, true, err);
        context->n_users += r == 0;
        *ret_box = r == 0 ? rt_context_box_hold(context->box) : NULL;
        (void)pthread_mutex_unlock(&context->lock);
        return r;
}

void rt_context_unuse(struct retort_context *context, struct rt_context_box *box) {
        rt_context_box_drop(box);
        (void)pthread_mutex_lock(&context->lock);
        context->n_users--;
        (void)pthread_cond_broadcast(&context->quiet);
        (void)pthread_mutex_unlock(&context->lock);
}

bool rt_context_nudge(struct retort_context *context, uint64_t how) {
        (void)pthread_mutex_lock(&context->lock);
        bool running = context->in_cell;
        if (running)
                (void)eventfd_write(context->nudge, how);
        (void)pthread_mutex_unlock(&context->lock);
        return running;
}

static void wake_next(struct retort_context *context) {
        if (context->first)
                (void)eventfd_write(context->first->fd, 1);
}

static void dequeue(struct retort_context *context, struct rt_waiter *waiter) {
        struct rt_waiter *before = NULL;
        for (struct rt_waiter **at = &context->first; *at; before = *at, at = &(*at)->next)
                if (*at == waiter) {
                        *at = waiter->next;
                        if (context->last == waiter)
                                context->last = before;
                        context->n_waiting--;
                        return;
                }
}

/* Until it is ours, or never. With the lock held, but while it waits. */
static int await_turn(struct retort_context *context, int cancel_fd, uint64_t until_ns, bool even_dead, struct retort_error *err) {
        struct rt_waiter self = { .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
        if (self.fd < 0)
                return rt_fail_errno(err, "cannot make an eventfd");
        if (context->last)
                context->last->next = &self;
        else
                context->first = &self;
        context->last = &self;
        context->n_waiting++;
        int r = 0;
        while (r == 0 && (context->busy || context->first != &self) && (r = refuse(context, even_dead, err)) == 0) {
                (void)pthread_mutex_unlock(&context->lock);
                uint64_t now = rt_now_ns();
                struct pollfd wait[] = { { .fd = self.fd, .events = POLLIN }, { .fd = cancel_fd, .events = POLLIN } };
                eventfd_t value;
                int ms = until_ns == UINT64_MAX ? -1 : now >= until_ns ? 0 : (int)((until_ns - now) / 1000000u) + 1;
                int n = poll(wait, 2, ms);
                (void)eventfd_read(self.fd, &value);
                if (wait[1].revents)
                        r = rt_fail(err, RETORT_E_CLOSED, "cancelled before it began");
                else if (n == 0 && rt_now_ns() >= until_ns)
                        r = rt_fail(err, RETORT_E_TIMEOUT, "a cell still runs");
                (void)pthread_mutex_lock(&context->lock);
        }
        dequeue(context, &self);
        (void)rt_close(self.fd);
        if (r < 0)
                wake_next(context);
        return r;
}

static int enter(struct retort_context *context, int cancel_fd, uint64_t until_ns, bool even_dead, struct retort_error *err) {
        (void)pthread_mutex_lock(&context->lock);
        int r = refuse(context, even_dead, err);
        if (r == 0 && context->n_waiting >= RETORT_MAX_WAITING)
                r = rt_fail(err, RETORT_E_INPUT, "%d cells wait in this context already", RETORT_MAX_WAITING);
        context->n_users += r == 0;
        if (r == 0) {
                if (context->busy || context->first)
                        r = await_turn(context, cancel_fd, until_ns, even_dead, err);
                if (r == 0)
                        r = refuse(context, even_dead, err);
                if (r == 0)
                        context->busy = true;
                else {
                        context->n_users--;
                        (void)pthread_cond_broadcast(&context->quiet);
                }
        }
        (void)pthread_mutex_unlock(&context->lock);
        return r;
}

int rt_context_enter(struct retort_context *context, int cancel_fd, uint64_t until_ns, struct retort_error *err) {
        return enter(context, cancel_fd, until_ns, false, err);
}

int rt_context_enter_dead(struct retort_context *context, uint64_t until_ns, struct retort_error *err) {
        return enter(context, -1, until_ns, true, err);
}

void rt_context_leave(struct retort_context *context) {
        if (context->dead) /* who holds the runner says so; what its guest has sent is kept in its sockets */
                rt_runner_close(&context->runner);
        (void)pthread_mutex_lock(&context->lock);
        context->busy = context->in_cell = false;
        context->n_users--;
        wake_next(context);
        (void)pthread_cond_broadcast(&context->quiet);
        (void)pthread_mutex_unlock(&context->lock);
}

void rt_context_died(struct retort_context *context, const char *why) {
        (void)pthread_mutex_lock(&context->lock);
        if (!context->dead)
                (void)snprintf(context->why, sizeof context->why, "%s", why);
        context->dead = true;
        for (struct rt_waiter *waiter = context->first; waiter; waiter = waiter->next)
                (void)eventfd_write(waiter->fd, 1);
        (void)pthread_mutex_unlock(&context->lock);
}

void rt_context_signal(struct retort_context *context, int number, bool group) {
        struct rt_ask ask = { .op = RT_ASK_SIGNAL, .pid = context->runner.pid, .number = (uint32_t)number, .flags = group ? RT_ASK_GROUP : 0 };
        (void)rt_context_box_ask(context->box, ask, NULL, NULL, NULL, 0, NULL, NULL, NULL);
}
