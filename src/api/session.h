/* SPDX-License-Identifier: Apache-2.0
 *
 * A run that a WebSocket talks to: what the sockets of both faces share. First member of a struct of the face's own, which lives
 * until the socket and the run are both done with it.
 */
#pragma once

#include "api/api.h"

struct rt_session {
        atomic_int references;
        struct rt_service *service;
        struct rt_caller caller;
        struct rt_http_socket *socket; /* once there is a run */
        _Atomic(struct rt_ticket *) ticket;
        atomic_bool closed; /* nobody listens any more */
        int stdin_ours;     /* what the client sends goes in here; -1: there is no run yet */
        int stdin_theirs;   /* the engine reads it */
        void (*free_own)(struct rt_session *s); /* frees the struct it is the first member of */
};

/* Held once, by the socket: rt_session_on_close lets go. */
void rt_session_init(struct rt_session *s, const struct rt_exchange *x, void (*free_own)(struct rt_session *s));
void rt_session_let_go(struct rt_session *s);
/* For struct rt_http_socket_config; userdata is the session. */
void rt_session_on_close(struct rt_http_socket *socket, int code, void *userdata);

/* Makes the program's stdin; what it does not read is kept up to room bytes (0: as the kernel has it). */
int rt_session_open_stdin(struct rt_session *s, int room, struct retort_error *err);
/* Starts the run; order->on_end must let go of the session, and is not called where this fails. */
int rt_session_start(struct rt_session *s, struct rt_http_socket *socket, const struct rt_run_order *order,
                     struct rt_refusal *ret_refusal, struct retort_error *err);
/* Ends the run; the client still hears how it ended. */
void rt_session_end_run(struct rt_session *s);
/* The same, and nobody listens any more. */
void rt_session_cancel(struct rt_session *s);
