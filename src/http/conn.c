/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections: what MHD does not see by itself. It tells when one begins and ends; in between the watcher looks after
 * clients that leave while their request is suspended, and after our own deadlines.
 */
#include "http/internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static void name_peer(struct rt_http_conn *conn, const struct sockaddr *address) {
        const struct sockaddr_in *four = (const void *)address;
        const struct sockaddr_in6 *six = (const void *)address;
        if (conn->listener->local || !address || address->sa_family == AF_UNIX) {
                (void)snprintf(conn->peer, sizeof conn->peer, "unix");
                conn->loopback = true;
        } else if (address->sa_family == AF_INET) {
                (void)inet_ntop(AF_INET, &four->sin_addr, conn->peer, sizeof conn->peer);
                conn->loopback = ntohl(four->sin_addr.s_addr) >> 24 == 127;
        } else if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
                (void)inet_ntop(AF_INET, six->sin6_addr.s6_addr + 12, conn->peer, sizeof conn->peer);
                conn->loopback = six->sin6_addr.s6_addr[12] == 127;
        } else {
                (void)inet_ntop(AF_INET6, &six->sin6_addr, conn->peer, sizeof conn->peer);
                conn->loopback = IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
        }
}

static uint64_t phase_ms(const struct rt_http_config *config, enum rt_http_phase phase) {
        switch (phase) {
        case RT_HTTP_FIRST:
        case RT_HTTP_HEAD: return config->head_timeout_ms;
        case RT_HTTP_IDLE: return config->idle_timeout_ms;
        case RT_HTTP_BODY: return config->body_timeout_ms;
        case RT_HTTP_BUSY: break;
        }
        return 0;
}

static void set_phase(struct rt_http_conn *conn, enum rt_http_phase phase) {
        enum { LEFT_MS = 1000 };
        uint64_t ms = phase_ms(&conn->server->config, phase);
        conn->phase = phase;
        if (phase == RT_HTTP_IDLE && conn->peer_left && ms > LEFT_MS)
                ms = LEFT_MS; /* MHD does not always notice; what was pipelined before has its chance */
        conn->deadline = ms ? rt_now_ns() + ms * RT_HTTP_MS : 0;
}

void rt_http_conn_enter(struct rt_http_conn *conn, enum rt_http_phase phase) {
        (void)pthread_mutex_lock(&conn->lock);
        set_phase(conn, phase);
        (void)pthread_mutex_unlock(&conn->lock);
}

static void begun(const struct rt_http_listener *listener, struct MHD_Connection *mhd, void **context) {
        struct rt_http *server = listener->server;
        struct rt_http_conn *conn = calloc(1, sizeof *conn);
        if (!conn || pthread_mutex_init(&conn->lock, NULL)) {
                free(conn);
                return; /* its requests are refused */
        }
        conn->watch.kind = RT_HTTP_WATCH_CONN;
        conn->server = server;
        conn->listener = listener;
        conn->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        name_peer(conn, MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr);
        (void)pthread_mutex_lock(&conn->lock);
        set_phase(conn, RT_HTTP_FIRST);
        /* said once: enough, the client does not come back */
        struct epoll_event event = { .events = EPOLLRDHUP | EPOLLONESHOT, .data.ptr = conn };
        conn->watched = epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, conn->fd, &event) == 0;
        (void)pthread_mutex_unlock(&conn->lock);
        (void)pthread_mutex_lock(&server->lock);
        bool first = !server->conns;
        conn->next = server->conns;
        if (conn->next)
                conn->next->prev = conn;
        server->conns = conn;
        (void)pthread_mutex_unlock(&server->lock);
        *context = conn;
        if (first)
                rt_http_wake(server); /* it slept without a clock */
}

/* MHD closes its descriptor after this: nobody of ours may use the number any more. */
static int let_fd_go(struct rt_http_conn *conn) {
        (void)pthread_mutex_lock(&conn->lock);
        conn->closed = true;
        if (conn->watched)
                (void)epoll_ctl(conn->server->epoll_fd, EPOLL_CTL_DEL, conn->fd, NULL);
        conn->watched = false;
        int linger = conn->linger && !conn->peer_left ? fcntl(conn->fd, F_DUPFD_CLOEXEC, 0) : -1;
        (void)pthread_mutex_unlock(&conn->lock);
        return linger;
}

static void ended(struct rt_http_conn *conn) {
        enum { MANY_DEAD = 64 };
        struct rt_http *server = conn->server;
        int linger = let_fd_go(conn);
        if (linger >= 0)
                rt_http_linger_on(server, linger);
        (void)pthread_mutex_lock(&server->lock);
        if (conn->prev)
                conn->prev->next = conn->next;
        else
                server->conns = conn->next;
        if (conn->next)
                conn->next->prev = conn->prev;
        conn->prev = NULL;
        conn->next = server->dead;
        server->dead = conn;
        bool many = ++server->n_dead % MANY_DEAD == 0;
        (void)pthread_mutex_unlock(&server->lock);
        if (many)
                rt_http_wake(server);
}

void rt_http_conn_notify(void *cls, struct MHD_Connection *mhd, void **context,
                         enum MHD_ConnectionNotificationCode code) {
        if (code == MHD_CONNECTION_NOTIFY_STARTED)
                begun(cls, mhd, context);
        else if (*context)
                ended(*context);
}

struct rt_http_conn *rt_http_conn_of(struct MHD_Connection *mhd) {
        return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* The request line is in. We keep the target as it came: MHD decodes "%00" into the end of a path. */
void *rt_http_conn_line(void *cls, const char *uri, struct MHD_Connection *mhd) {
        struct rt_http_conn *conn = rt_http_conn_of(mhd);
        (void)cls;
        if (!conn)
                return NULL;
        (void)pthread_mutex_lock(&conn->lock);
        free(conn->target);
        conn->target = strdup(uri);
        if (conn->phase == RT_HTTP_IDLE)
                set_phase(conn, RT_HTTP_HEAD);
        (void)pthread_mutex_unlock(&conn->lock);
        return NULL;
}

struct rt_http_conn *rt_http_conn_free(struct rt_http_conn *conn) {
        if (conn) {
                (void)pthread_mutex_destroy(&conn->lock);
                free(conn->target);
        }
        return free(conn), NULL;
}

void rt_http_conn_left(struct rt_http_conn *conn) {
        (void)pthread_mutex_lock(&conn->lock);
        conn->peer_left = true;
        struct rt_http_request *request = conn->closed ? NULL : conn->request;
        if (request) {
                (void)pthread_mutex_lock(&request->lock);
                /* one that has its whole answer may have closed its sending half only: let it read */
                bool waiting = request->handed && !rt_http_request_complete(request);
                (void)pthread_mutex_unlock(&request->lock);
                if (waiting) {
                        rt_http_request_gone(request);
                        (void)shutdown(conn->fd, SHUT_RDWR); /* MHD may be waiting for it to take more */
                }
        }
        if (!request && conn->phase == RT_HTTP_IDLE)
                set_phase(conn, RT_HTTP_IDLE);
        (void)pthread_mutex_unlock(&conn->lock);
}

void rt_http_conn_cut(struct rt_http_conn *conn, int status, const char *detail) {
        char body[512];
        char text[1024];
        size_t size = rt_http_problem(body, sizeof body, status, detail);
        int n = snprintf(text, sizeof text,
                         "HTTP/1.1 %d %s\r\nContent-Type: application/problem+json\r\nContent-Length: %zu\r\n"
                         "Connection: close\r\n\r\n%s",
                         status, rt_http_title(status), size, body);
        /* into TLS nobody but MHD can speak */
        if (status && !conn->server->config.tls_certificate && n > 0 && (size_t)n < sizeof text)
                (void)send(conn->fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
        conn->cut = true;
        conn->linger = status == 413; /* its client is busy writing */
        (void)shutdown(conn->fd, conn->linger ? SHUT_WR : SHUT_RDWR);
        if (conn->request) {
                (void)pthread_mutex_lock(&conn->request->lock);
                conn->request->status = status;
                (void)pthread_mutex_unlock(&conn->request->lock);
        }
}

void rt_http_conn_expire(struct rt_http_conn *conn, uint64_t now) {
        (void)pthread_mutex_lock(&conn->lock);
        if (!conn->closed && !conn->cut && conn->deadline && now >= conn->deadline) {
                if (conn->phase == RT_HTTP_IDLE)
                        rt_http_conn_cut(conn, 0, "");
                else if (conn->phase == RT_HTTP_BODY)
                        rt_http_conn_cut(conn, 408, "the body took too long to arrive");
                else
                        rt_http_conn_cut(conn, 408, "the head took too long to arrive");
        }
        (void)pthread_mutex_unlock(&conn->lock);
}
