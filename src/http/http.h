/* SPDX-License-Identifier: Apache-2.0
 *
 * An HTTP/1.1 server with streams and WebSockets; wraps libmicrohttpd and wslay once and knows nothing of Retort.
 *
 * Life of a request, all on one of the server's threads unless said otherwise:
 *   1. the head is in: on_head decides (answer at once, or how large a body may be);
 *   2. the body is in: on_request; it must not block. It answers then or later, from any thread, exactly once:
 *      rt_http_reply, or rt_http_stream_open, or rt_http_socket_open;
 *   3. the request is freed by the server when its answer is out or its client has gone. Whoever answers later holds
 *      a reference (rt_http_hold) and lets go of it after answering.
 * A client that leaves before the answer is complete is told to on_gone, once, from any thread. One that closes its
 * sending half only counts as having left, unless its answer is complete already: the two cannot be told apart.
 *
 * The server refuses by itself, with a problem document: heads over the limit (431), bodies over the limit (413, before
 * reading them when Content-Length says so), two Content-Lengths or Content-Length with chunked (400), a Host that is not
 * among the allowed ones (421), an Origin that is not allowed (403), heads and bodies that take too long (408). Under TLS
 * a client that is too slow, or whose chunked body is too large, is cut without words. A head of more than some 1400 fields that is
 * not over the limit otherwise gets its 431 in libmicrohttpd's own words, HTML: it keeps 56 bytes a field in the connection's pool
 * and has no hook there. Room for every head of 32 KiB would be 640 KiB a connection, zeroed after each request (measured: 333 MB
 * for 500 kept connections in place of 61, and 7 us a request). Paths that would mislead whoever
 * routes by them ("..", NUL, escaped slashes, bad escapes, what is not UTF-8) get 400. A reader that takes nothing of its
 * answer for idle_timeout_ms is gone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "retort.h"

struct rt_http;
struct rt_http_request;
struct rt_http_stream;
struct rt_http_socket;

struct rt_http_header {
        const char *name;
        const char *value;
};

struct rt_http_config {
        const char *const *listen; /* "127.0.0.1:8081", "[::1]:8081", "unix:/run/retort.sock"; NULL-terminated */
        const int *listen_fds;     /* sockets that listen already (systemd), n_listen_fds of them */
        size_t n_listen_fds;
        const char *tls_certificate; /* PEM text, with tls_key; NULL: plain HTTP */
        const char *tls_key;
        unsigned threads;            /* 0: 1 */
        size_t max_head_bytes;       /* 0: 32 KiB */
        size_t max_body_bytes;       /* 0: 48 MiB; on_head may lower it for a request */
        unsigned head_timeout_ms;    /* 0: 10 s */
        unsigned body_timeout_ms;    /* 0: 60 s */
        unsigned idle_timeout_ms;    /* 0: 75 s, between requests */
        unsigned max_connections;    /* 0: 4096 */
        unsigned max_connections_per_ip; /* 0: no limit */
        const char *const *hosts;    /* allowed Host names besides the addresses listened on and localhost; NULL: any
                                        when listening beyond loopback */
        const char *const *origins;  /* allowed Origins besides same-origin; "*": any; NULL: none. Their pages may read the
                                        answers (CORS); preflights are answered here */

        /* The head is in. Returns 0 to go on and read the body (*max_body is in and out), or after having replied: 1. */
        int (*on_head)(struct rt_http_request *request, size_t *max_body, void *userdata);
        void (*on_request)(struct rt_http_request *request, void *userdata);
        /* The client left before the answer was complete. May be NULL. data is what rt_http_set_data left. */
        void (*on_gone)(struct rt_http_request *request, void *data, void *userdata);
        /* An answer is out (or its client gone): for metrics and the log. May be NULL. */
        void (*on_done)(struct rt_http_request *request, int status, uint64_t sent_bytes, uint64_t took_ns, void *userdata);
        void *userdata;
};

/* Starts listening and serving. *ret_server is ended with rt_http_close. */
int rt_http_open(struct rt_http **ret_server, const struct rt_http_config *config, struct retort_error *err);
/* The port of the first TCP listener (useful after port 0), or 0. */
unsigned rt_http_port(const struct rt_http *server);
/* No new connections from now on; open ones go on. */
void rt_http_quiesce(struct rt_http *server);
/* Ends everything: answers that are not out within deadline_ms are cut. Blocks until then at most. Every held
 * request is still valid (and its client gone) until let go of. */
void rt_http_close(struct rt_http *server, unsigned deadline_ms);

/* ---- a request; texts live as long as it ---- */

const char *rt_http_method(const struct rt_http_request *request);
/* Decoded path without the query; "/v1/runs". */
const char *rt_http_path(const struct rt_http_request *request);
const char *rt_http_header(const struct rt_http_request *request, const char *name); /* case-insensitive; NULL: none */
const char *rt_http_query(const struct rt_http_request *request, const char *name);  /* decoded; NULL: none */
struct retort_bytes rt_http_body(const struct rt_http_request *request);
const char *rt_http_peer(const struct rt_http_request *request); /* "127.0.0.1", or "unix" */
bool rt_http_from_loopback(const struct rt_http_request *request);
/* Something of the caller's own that goes with the request; freed (with free_data, may be NULL) with it. */
void rt_http_set_data(struct rt_http_request *request, void *data, void (*free_data)(void *));
void *rt_http_data(const struct rt_http_request *request);
void rt_http_hold(struct rt_http_request *request);
void rt_http_let_go(struct rt_http_request *request);
/* The client has left. Any thread. */
bool rt_http_gone(const struct rt_http_request *request);

/* Ends its connection as if the client had left: who waits to write its answer waits no longer. Any thread, not blocking. */
void rt_http_cut(struct rt_http_request *request);

/* ---- answers ---- */

/* Answers whole; body is copied. headers is terminated by a NULL name and may be NULL. Content-Length is set. Any thread.
 * A second answer to the same request is a bug and ignored. */
void rt_http_reply(struct rt_http_request *request, int status, const struct rt_http_header *headers, const void *body,
                   size_t size);

/* Answers piece by piece (chunked). The stream is the caller's until rt_http_stream_close. NULL: the client has gone. */
struct rt_http_stream *rt_http_stream_open(struct rt_http_request *request, int status,
                                           const struct rt_http_header *headers, size_t buffer_bytes);
/* Adds to the stream; waits while the buffer is full, at most timeout_ms (-1: as long as the client is there): a slow reader
 * slows the writer. Not to be called on a thread of the server. 0, or -1 when the client has gone or the time is over (a part may have been
 * taken: only closing is sensible then), and for the body of a HEAD. */
int rt_http_stream_write(struct rt_http_stream *stream, const void *data, size_t size, int timeout_ms);
void rt_http_stream_close(struct rt_http_stream *stream);

/* ---- WebSockets (RFC 6455) ---- */

struct rt_http_socket_config {
        const char *protocol;  /* the subprotocol to agree on, or NULL */
        size_t max_message;    /* 0: 1 MiB; larger ones end the socket with 1009 */
        size_t max_queued;     /* bytes waiting to be sent; 0: 4 MiB. A sender waits while it is full */
        unsigned ping_ms;      /* 0: 20 s; a peer that does not answer two is gone */
        /* A whole message; on the one thread that serves all sockets: it must not block. */
        void (*on_message)(struct rt_http_socket *socket, bool text, const void *data, size_t size, void *userdata);
        /* The last thing ever called: code as in RFC 6455 section 7.4 (1006: without a close frame). */
        void (*on_close)(struct rt_http_socket *socket, int code, void *userdata);
        void *userdata;
};

/* Whether the request asks for a WebSocket rightly. */
bool rt_http_wants_socket(const struct rt_http_request *request);
/* Answers 101 (under TLS a client that sends before it has read that loses what it sent). The socket is valid until on_close returns, and on as long as it is held. NULL: it is not a right request
 * (which has been answered 400 or 426). */
struct rt_http_socket *rt_http_socket_open(struct rt_http_request *request, const struct rt_http_socket_config *config);
/* Queues a message. Any thread. Waits while the queue is full, at most timeout_ms; in on_message and on_close never. 0, or
 * -1: gone or late. */
int rt_http_socket_send(struct rt_http_socket *socket, bool text, const void *data, size_t size, int timeout_ms);
/* Starts the closing handshake; what is queued goes out first. Any thread; more than once is harmless. */
void rt_http_socket_close(struct rt_http_socket *socket, int code, const char *reason);
void rt_http_socket_hold(struct rt_http_socket *socket);
void rt_http_socket_let_go(struct rt_http_socket *socket);
