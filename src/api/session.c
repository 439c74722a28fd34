/* SPDX-License-Identifier: Apache-2.0 */
#include "api/session.h"

#include <sys/socket.h>

#include "base/err.h"
#include "base/fd.h"

void rt_session_init(struct rt_session *s, const struct rt_exchange *x, void (*free_own)(struct rt_session *s)) {
        s->service = x->service;
        s->caller = x->caller;
        s->stdin_ours = s->stdin_theirs = -1;
        s->free_own = free_own;
        atomic_init(&s->references, 1);
}

void rt_session_let_go(struct rt_session *s) {
        if (atomic_fetch_sub(&s->references, 1) != 1)
                return;
        struct rt_ticket *ticket = atomic_load(&s->ticket);
        if (ticket)
                rt_ticket_free(ticket);
        s->stdin_ours = rt_close(s->stdin_ours);
        s->stdin_theirs = rt_close(s->stdin_theirs);
        if (s->socket)
                rt_http_socket_let_go(s->socket);
        s->free_own(s);
}

void rt_session_end_run(struct rt_session *s) {
        struct rt_ticket *ticket = atomic_load(&s->ticket);
        if (ticket)
                rt_ticket_cancel(ticket);
}

void rt_session_cancel(struct rt_session *s) {
        atomic_store(&s->closed, true);
        rt_session_end_run(s);
}

void rt_session_on_close(struct rt_http_socket *socket, int code, void *userdata) {
        (void)socket;
        (void)code;
        rt_session_cancel(userdata);
        rt_session_let_go(userdata);
}

int rt_session_open_stdin(struct rt_session *s, int room, struct retort_error *err) {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
                return rt_fail_errno(err, "cannot make a socket");
        s->stdin_ours = ends[0];
        s->stdin_theirs = ends[1];
        if (room)
                (void)setsockopt(s->stdin_ours, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
        return 0;
}

int rt_session_start(struct rt_session *s, struct rt_http_socket *socket, const struct rt_run_order *order,
                     struct rt_refusal *ret_refusal, struct retort_error *err) {
        struct rt_ticket *ticket = NULL;
        (void)atomic_fetch_add(&s->references, 1); /* for on_end */
        rt_http_socket_hold(socket);
        s->socket = socket;
        int r = rt_service_run(s->service, order, &ticket, ret_refusal, err);
        atomic_store(&s->ticket, ticket);
        if (r < 0)
                rt_session_let_go(s);
        else if (atomic_load(&s->closed)) /* it closed before the ticket was known */
                rt_session_cancel(s);
        return r;
}
