/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of src/http share. Threads: MHD's (one or more a listener; they call the handlers), the watcher (one
 * a server: clients that leave, deadlines, WebSockets), and whoever answers.
 *
 * Locks, always taken in this order: server, connection, request. MHD's own come after all of them. No callback
 * of the user's runs under any.
 */
#pragma once

#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"
#include "http/http.h"
#include "http/parse.h"

#define RT_HTTP_MS 1000000u /* nanoseconds */

struct rt_http_listener {
        struct rt_http *server;
        struct MHD_Daemon *daemon;
        int fd;          /* ours until MHD has it, which closes it when it stops; -1: nobody is taken any more */
        bool inherited;  /* someone else may be listening on it too: never shut down */
        bool local;      /* a unix socket */
        bool loopback;   /* nobody from elsewhere can get here */
        bool quiesced;
        unsigned port;
        char address[INET6_ADDRSTRLEN];
        const char *unix_path; /* to be removed in the end */
};

/* What an event of the watcher's epoll belongs to; first member of each. */
enum rt_http_watch_kind { RT_HTTP_WATCH_WAKE, RT_HTTP_WATCH_CONN, RT_HTTP_WATCH_SOCKET, RT_HTTP_WATCH_LINGER };
struct rt_http_watch {
        enum rt_http_watch_kind kind;
};

enum rt_http_phase {
        RT_HTTP_FIRST, /* nothing came yet on a new connection */
        RT_HTTP_IDLE,  /* between requests */
        RT_HTTP_HEAD,  /* a request line came */
        RT_HTTP_BODY,
        RT_HTTP_BUSY, /* the request is here: no deadline of ours */
};

struct rt_http_conn {
        struct rt_http_watch watch;
        struct rt_http *server;
        const struct rt_http_listener *listener;
        struct rt_http_conn *prev, *next; /* under the server's lock */
        int fd;
        bool loopback;
        char peer[INET6_ADDRSTRLEN];

        pthread_mutex_t lock;
        enum rt_http_phase phase;
        uint64_t deadline;
        bool watched;   /* fd is in the watcher's epoll */
        atomic_bool peer_left; /* at least its sending half */
        bool cut;       /* we ended it */
        bool closed;    /* fd is MHD's to close, from now on */
        bool linger;    /* read on for a while when it closes, or the client may not see our answer */
        char *target;   /* of the request whose head is coming */
        struct rt_http_request *request;
};

/* A closed connection that is still read from: a client that writes a body nobody wants must not get a reset
 * before it has read the answer. */
struct rt_http_linger {
        struct rt_http_watch watch;
        struct rt_http_linger *next;
        int fd;
        uint64_t deadline;
};

struct rt_http {
        struct rt_http_config config; /* with its defaults filled in, and its texts in the arena */
        struct rt_arena arena;
        struct rt_http_listener *listeners;
        size_t n_listeners;
        int epoll_fd;
        int wake_fd;
        struct rt_http_watch wake;
        pthread_t watcher;
        bool watching;
        atomic_bool draining; /* answers close their connections */
        atomic_bool closing;  /* nothing is suspended from now on */
        atomic_bool stop;     /* the watcher ends */
        atomic_bool serving;  /* MHD started */

        pthread_mutex_t lock;
        pthread_cond_t quiet; /* active became 0 */
        struct rt_http_conn *conns;
        struct rt_http_conn *dead; /* the watcher may still hold an event of theirs; it frees them */
        size_t n_dead;
        struct rt_http_linger *lingering; /* not yet the watcher's */
        struct rt_http_socket *incoming;  /* upgraded, not yet the watcher's */
        size_t n_lingering;               /* all of them */
        atomic_size_t active;             /* requests and sockets that have not ended */
        atomic_size_t resuming;           /* threads that are about to resume a connection */
        char log[256];                    /* MHD's last words, for a start that failed */
};

enum rt_http_answered { RT_HTTP_NOT_YET, RT_HTTP_WHOLE, RT_HTTP_STREAMED, RT_HTTP_UPGRADED };

struct rt_http_stream {
        char *ring;
        size_t room, first, used;
        bool closed;
};

struct rt_http_request {
        atomic_uint refs;
        struct rt_http *server;
        struct rt_http_conn *conn;      /* until finished; for MHD's threads only */
        struct MHD_Connection *mhd;     /* until finished */
        struct rt_arena arena;
        const char *method;
        bool http11;
        struct rt_http_target target;
        const struct rt_http_header *headers; /* ended by a NULL name */
        char peer[INET6_ADDRSTRLEN];
        bool loopback;
        uint64_t started;

        struct rt_buf body;
        bool has_body;
        bool body_read; /* all of it */
        bool seen;   /* on_head was asked, so on_gone may be told */
        bool handed; /* on_request was called */

        void *data;
        void (*free_data)(void *);

        pthread_mutex_t lock;
        pthread_cond_t moved; /* of the stream: room was made, or the end */
        enum rt_http_answered answered;
        int status;
        struct MHD_Response *response; /* until queued */
        bool queued;
        bool upgraded; /* under TLS: a socket took the connection over */
        bool suspended;
        bool finished; /* MHD is done with it */
        atomic_bool gone;
        uint64_t sent;
        struct rt_http_stream stream;
        struct rt_http_socket *socket; /* agreed on, not yet upgraded */
};

/* conn.c: what MHD tells of connections and finished requests */
void rt_http_conn_notify(void *cls, struct MHD_Connection *mhd, void **context,
                         enum MHD_ConnectionNotificationCode code);
void *rt_http_conn_line(void *cls, const char *uri, struct MHD_Connection *mhd);
struct rt_http_conn *rt_http_conn_of(struct MHD_Connection *mhd);
void rt_http_conn_enter(struct rt_http_conn *conn, enum rt_http_phase phase);
/* The watcher's: the client left; a deadline may be over; memory. */
void rt_http_conn_left(struct rt_http_conn *conn);
void rt_http_conn_expire(struct rt_http_conn *conn, uint64_t now);
struct rt_http_conn *rt_http_conn_free(struct rt_http_conn *conn);
/* Says why on the bare socket, when MHD cannot, and ends the connection. Under its lock. */
void rt_http_conn_cut(struct rt_http_conn *conn, int status, const char *detail);

/* handle.c: MHD's calls while a request comes in */
enum MHD_Result rt_http_handle(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                               const char *version, const char *data, size_t *size, void **context);
void rt_http_finished(void *cls, struct MHD_Connection *mhd, void **context,
                      enum MHD_RequestTerminationCode code);

/* request.c */
struct rt_http_request *rt_http_request_new(struct rt_http_conn *conn, struct MHD_Connection *mhd,
                                            const char *method, const char *version);
/* The client is not there any more: wakes whoever waits. */
void rt_http_request_gone(struct rt_http_request *request);
/* In two steps, so that MHD's thread does not wake only to wait for the lock: under the request's lock, what is suspended and has
 * a reason to go on (NULL: nothing); without it, that it goes on. Nobody else may resume it in between. */
struct MHD_Connection *rt_http_to_resume(struct rt_http_request *request);
void rt_http_resume(struct rt_http *server, struct MHD_Connection *mhd);
/* An answer is its complete answer, as far as the writer is concerned. Under its lock. */
bool rt_http_request_complete(const struct rt_http_request *request);

/* check.c: what is wrong with a head; 0, or a status and *ret_detail */
int rt_http_check_head(const struct rt_http_request *request, const char *target, const char **ret_detail);
int rt_http_check_place(const struct rt_http_request *request, const char **ret_detail); /* Host and Origin */
/* What pages may read the answer: the request's Origin, or "*"; NULL: only our own. */
const char *rt_http_foreign_origin(const struct rt_http_request *request);

/* cors.c: pages of allowed Origins read our answers (Fetch, 3.2) */
bool rt_http_is_preflight(const struct rt_http_request *request);
void rt_http_answer_preflight(struct rt_http_request *request);
void rt_http_allow_origin(const struct rt_http_request *request, struct MHD_Response *response);

/* refuse.c */
void rt_http_refuse(struct rt_http_request *request, int status, const char *detail);
const char *rt_http_title(int status);
/* The document; 0 when text is too small. */
size_t rt_http_problem(char *text, size_t size, int status, const char *detail);

/* reply.c: hands a response over once; it is used up in any case. 0, or -1: too late */
int rt_http_answer(struct rt_http_request *request, enum rt_http_answered kind, int status,
                   struct MHD_Response *response, uint64_t size);
/* The same with a 101 (NULL under TLS, where the socket says it); while 0 is returned for it, the socket is the request's. */
int rt_http_answer_socket(struct rt_http_request *request, struct rt_http_socket *socket,
                          struct MHD_Response *response);
/* Adds them; -1 when one is not fit to be sent. */
int rt_http_add_headers(struct MHD_Response *response, const struct rt_http_header *headers);

/* socket.c */
void rt_http_socket_abandon(struct rt_http_socket *socket); /* it never came to an upgrade */
/* In MHD's handler, under TLS: suspends the connection, and the watcher has it. */
void rt_http_socket_take_over(struct rt_http_socket *socket, struct rt_http_request *request);
void rt_http_socket_adopt(struct rt_http_socket *socket);   /* these three: the watcher's */
/* True: a tick is due. */
bool rt_http_socket_event(struct rt_http_socket *socket, uint32_t events);
/* False when it has ended: not to be used any more. cut: end it now. */
bool rt_http_socket_tick(struct rt_http_socket *socket, uint64_t now, bool cut);
struct rt_http_socket **rt_http_socket_next(struct rt_http_socket *socket); /* the link of the list it is in */

/* watch.c */
int rt_http_watch_start(struct rt_http *server, struct retort_error *err);
void rt_http_watch_stop(struct rt_http *server);
void rt_http_wake(struct rt_http *server);
void rt_http_linger_on(struct rt_http *server, int fd);

/* listen.c */
int rt_http_listen(struct rt_http *server, struct retort_error *err);
int rt_http_serve(struct rt_http_listener *listener, struct retort_error *err);
void rt_http_unlisten(struct rt_http_listener *listener);

/* server.c */
/* Requests and sockets that begin and end. */
void rt_http_began(struct rt_http *server);
void rt_http_ended(struct rt_http *server);
