/* SPDX-License-Identifier: Apache-2.0
 *
 * An open WebSocket. The watcher reads, and ends it; whoever sends writes what the kernel takes at once and leaves the
 * rest in a queue for the watcher. The descriptor is used under the lock, and not after it was given back to MHD. Under TLS the
 * connection is not upgraded but stays suspended in MHD while we use its descriptor and its session (http/secure.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>

#include "http/frames.h"
#include "http/handshake.h"
#include "http/secure.h"

enum { MAX_MESSAGE = 1 << 20, MAX_QUEUED = 4 << 20, PING_MS = 20000, READ_SIZE = 64 << 10, MOST_MISSED = 2 };
enum { CLOSE_MS = 5000, FAILED_MS = 1000 }; /* how long we wait for the peer's close, and its end of stream */
enum { OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

struct rt_http_socket {
        struct rt_http_watch watch;
        struct rt_http_socket *next;
        atomic_uint refs;
        struct rt_http *server; /* until ended */
        struct rt_http_socket_config config;
        struct MHD_UpgradeResponseHandle *upgrade;
        struct MHD_Connection *suspended; /* in the place of upgrade under TLS, with its session */
        void *session;
        bool again; /* of the session: a record is half sent */
        char *extra; /* came behind the handshake */
        size_t extra_size;

        /* the watcher's own */
        struct rt_http_frames frames;
        uint64_t next_ping, deadline; /* deadline: of the closing handshake */
        unsigned missed;
        int code; /* what on_close is told; 0: not yet known */
        bool told; /* the peer's close frame came */
        bool deaf; /* what comes is thrown away: the peer broke the rules or has said good-bye */

        pthread_mutex_t lock;
        pthread_cond_t moved; /* the queue shrank, or the end */
        int fd;
        char *queue;
        size_t first, used, room;
        bool wants_out; /* the watcher waits for the kernel to take more */
        bool closing;   /* a close frame is queued: nothing after it */
        int own_code;   /* of that frame, when we began */
        bool broken;    /* the kernel says there is nobody */
        bool ended;
};

struct rt_http_socket **rt_http_socket_next(struct rt_http_socket *socket) {
        return &socket->next;
}

/* ---- life ---- */

static int init_locks(struct rt_http_socket *socket) {
        pthread_condattr_t attr;
        if (pthread_condattr_init(&attr))
                return -1;
        int r = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) || pthread_cond_init(&socket->moved, &attr);
        (void)pthread_condattr_destroy(&attr);
        if (r)
                return -1;
        if (pthread_mutex_init(&socket->lock, NULL) == 0)
                return 0;
        (void)pthread_cond_destroy(&socket->moved);
        return -1;
}

static struct rt_http_socket *new_socket(struct rt_http *server, const struct rt_http_socket_config *config) {
        struct rt_http_socket *socket = calloc(1, sizeof *socket);
        if (!socket || init_locks(socket) < 0)
                return free(socket), NULL;
        socket->watch.kind = RT_HTTP_WATCH_SOCKET;
        socket->refs = 1;
        socket->fd = -1;
        socket->server = server;
        socket->config = *config;
        if (!socket->config.max_message)
                socket->config.max_message = MAX_MESSAGE;
        if (!socket->config.max_queued)
                socket->config.max_queued = MAX_QUEUED;
        if (!socket->config.ping_ms)
                socket->config.ping_ms = PING_MS;
        if (rt_http_frames_init(&socket->frames, socket->config.max_message) < 0) {
                rt_http_socket_let_go(socket);
                return NULL;
        }
        return socket;
}

void rt_http_socket_hold(struct rt_http_socket *socket) {
        (void)atomic_fetch_add(&socket->refs, 1);
}

void rt_http_socket_let_go(struct rt_http_socket *socket) {
        if (!socket || atomic_fetch_sub(&socket->refs, 1) != 1)
                return;
        rt_http_frames_clear(&socket->frames);
        free(socket->extra);
        free(socket->queue);
        (void)pthread_cond_destroy(&socket->moved);
        (void)pthread_mutex_destroy(&socket->lock);
        free(socket);
}

/* The end, once: the descriptor goes back to MHD, and the user is told. */
static void end(struct rt_http_socket *socket, int code) {
        struct rt_http *server = socket->server;
        (void)pthread_mutex_lock(&socket->lock);
        socket->ended = true;
        if (socket->fd >= 0)
                (void)epoll_ctl(server->epoll_fd, EPOLL_CTL_DEL, socket->fd, NULL);
        socket->fd = -1;
        socket->used = 0;
        (void)pthread_cond_broadcast(&socket->moved);
        (void)pthread_mutex_unlock(&socket->lock);
        if (socket->upgrade)
                (void)MHD_upgrade_action(socket->upgrade, MHD_UPGRADE_ACTION_CLOSE);
        socket->upgrade = NULL;
        if (socket->suspended)
                MHD_resume_connection(socket->suspended); /* and MHD ends it: there is no answer */
        socket->suspended = NULL;
        if (socket->config.on_close)
                socket->config.on_close(socket, code, socket->config.userdata);
        rt_http_socket_let_go(socket);
        rt_http_ended(server);
}

void rt_http_socket_abandon(struct rt_http_socket *socket) {
        end(socket, 1006);
}

/* ---- sending; all of these under the lock ---- */

static void watch_out(struct rt_http_socket *socket, bool out) {
        if (socket->wants_out == out)
                return;
        struct epoll_event event = { .events = EPOLLIN | (out ? EPOLLOUT : 0u), .data.ptr = socket };
        socket->wants_out = epoll_ctl(socket->server->epoll_fd, EPOLL_CTL_MOD, socket->fd, &event) == 0 && out;
}

/* How much was taken; 0: nothing now; -1: nobody is there. */
static ssize_t give(struct rt_http_socket *socket, const void *data, size_t size) {
        if (socket->session)
                return rt_http_secure_send(socket->session, &socket->again, data, size);
        ssize_t n = send(socket->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        return n > 0 ? n : n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) ? 0 : -1;
}

static void flush(struct rt_http_socket *socket) {
        if (socket->fd < 0)
                return;
        while (socket->used && !socket->broken) {
                ssize_t n = give(socket, socket->queue + socket->first, socket->used);
                socket->broken = n < 0;
                if (n <= 0)
                        break;
                socket->first += (size_t)n;
                socket->used -= (size_t)n;
                (void)pthread_cond_broadcast(&socket->moved);
        }
        if (socket->used == 0)
                socket->first = 0;
        watch_out(socket, socket->used > 0 || socket->broken);
}

static int make_room(struct rt_http_socket *socket, size_t size) {
        if (socket->first + socket->used + size <= socket->room)
                return 0;
        if (socket->first) {
                memmove(socket->queue, socket->queue + socket->first, socket->used);
                socket->first = 0;
        }
        size_t room = socket->used + size;
        if (room <= socket->room)
                return 0;
        room += room < socket->config.max_queued / 2 ? room : 0;
        char *queue = realloc(socket->queue, room);
        if (!queue)
                return -1;
        socket->queue = queue;
        socket->room = room;
        return 0;
}

static int put_frame(struct rt_http_socket *socket, unsigned opcode, const void *data, size_t size) {
        uint8_t head[RT_HTTP_FRAME_HEAD];
        size_t n = rt_http_frame_head(head, opcode, size);
        if (size > SIZE_MAX / 4 || make_room(socket, n + size) < 0)
                return -1;
        char *to = socket->queue + socket->first + socket->used;
        memcpy(to, head, n);
        if (size)
                memcpy(to + n, data, size);
        socket->used += n + size;
        flush(socket);
        return 0;
}

static bool is_open(const struct rt_http_socket *socket) {
        return !socket->ended && !socket->closing && !socket->broken;
}

/* A message larger than the queue goes in when that is empty. */
static bool has_room(const struct rt_http_socket *socket, size_t size) {
        return socket->used == 0 ||
               (size < socket->config.max_queued && socket->used <= socket->config.max_queued - size);
}

static void put_close(struct rt_http_socket *socket, int code, const char *reason, size_t size) {
        char payload[125];
        size_t most = sizeof payload - 2;
        size_t n = size < most ? size : most;
        payload[0] = (char)(code >> 8);
        payload[1] = (char)code;
        if (n)
                memcpy(payload + 2, reason, n);
        if (put_frame(socket, OP_CLOSE, payload, code == 1005 ? 0 : n + 2) < 0)
                socket->broken = true;
        socket->closing = true;
        (void)pthread_cond_broadcast(&socket->moved);
}

int rt_http_socket_send(struct rt_http_socket *socket, bool text, const void *data, size_t size, int timeout_ms) {
        uint64_t ns = rt_now_ns() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * RT_HTTP_MS;
        struct timespec until = { .tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u) };
        int late = 0;
        (void)pthread_mutex_lock(&socket->lock);
        /* the watcher must not wait for itself */
        bool wait = timeout_ms != 0 && !(is_open(socket) && pthread_equal(pthread_self(), socket->server->watcher));
        while (is_open(socket) && !has_room(socket, size) && wait && late != ETIMEDOUT)
                late = timeout_ms < 0 ? pthread_cond_wait(&socket->moved, &socket->lock)
                                      : pthread_cond_timedwait(&socket->moved, &socket->lock, &until);
        int r = -1;
        if (is_open(socket) && has_room(socket, size))
                r = put_frame(socket, text ? OP_TEXT : OP_BINARY, data, size);
        (void)pthread_mutex_unlock(&socket->lock);
        return r;
}

void rt_http_socket_close(struct rt_http_socket *socket, int code, const char *reason) {
        (void)pthread_mutex_lock(&socket->lock);
        bool fresh = !socket->ended && !socket->closing;
        if (fresh) {
                socket->own_code = rt_http_close_code_is_right(code) ? code : 1000;
                put_close(socket, socket->own_code, reason, reason ? strlen(reason) : 0);
                if (!pthread_equal(pthread_self(), socket->server->watcher))
                        rt_http_wake(socket->server); /* it keeps the time of the good-bye */
        }
        (void)pthread_mutex_unlock(&socket->lock);
}

/* ---- the watcher's ---- */

static void begin_deadline(struct rt_http_socket *socket, unsigned ms) {
        if (!socket->deadline)
                socket->deadline = rt_now_ns() + (uint64_t)ms * RT_HTTP_MS;
}

/* Ends the conversation from our side: a close frame, and a while for it to be read. */
static void say_goodbye(struct rt_http_socket *socket, int code, const void *reason, size_t size) {
        (void)pthread_mutex_lock(&socket->lock);
        if (!socket->closing)
                put_close(socket, code, reason, size);
        (void)pthread_mutex_unlock(&socket->lock);
        socket->deaf = true;
        begin_deadline(socket, FAILED_MS);
}

static void put_control(struct rt_http_socket *socket, unsigned opcode, const void *data, size_t size) {
        (void)pthread_mutex_lock(&socket->lock);
        if (is_open(socket) && has_room(socket, size)) /* a flood of pings is not worth a growing queue */
                (void)put_frame(socket, opcode, data, size);
        (void)pthread_mutex_unlock(&socket->lock);
}

static void on_close_frame(struct rt_http_socket *socket, const struct rt_http_framed *frame) {
        (void)pthread_mutex_lock(&socket->lock);
        socket->code = socket->own_code ? socket->own_code : frame->code;
        (void)pthread_mutex_unlock(&socket->lock);
        socket->told = true;
        say_goodbye(socket, frame->code, frame->data, frame->size);
}

static void on_bytes(struct rt_http_socket *socket, const void *data, size_t size) {
        struct rt_http_framed frame;
        rt_http_frames_feed(&socket->frames, data, size);
        while (!socket->deaf) {
                enum rt_http_frame kind = rt_http_frames_next(&socket->frames, &frame);
                socket->missed = 0;
                switch (kind) {
                case RT_HTTP_FRAME_NONE: return;
                case RT_HTTP_FRAME_TEXT:
                case RT_HTTP_FRAME_BINARY:
                        if (socket->config.on_message)
                                socket->config.on_message(socket, kind == RT_HTTP_FRAME_TEXT, frame.data, frame.size,
                                                          socket->config.userdata);
                        break;
                case RT_HTTP_FRAME_PING: put_control(socket, OP_PONG, frame.data, frame.size); break;
                case RT_HTTP_FRAME_PONG: break;
                case RT_HTTP_FRAME_CLOSE: on_close_frame(socket, &frame); return;
                case RT_HTTP_FRAME_FAILED:
                        socket->code = frame.code;
                        say_goodbye(socket, frame.code, NULL, 0);
                        return;
                }
        }
}

/* False: the peer is gone. */
static bool read_some(struct rt_http_socket *socket) {
        char data[READ_SIZE];
        ssize_t n;
        bool more = false;
        do {
                if (socket->session) { /* a record at a time; senders use the session, too */
                        (void)pthread_mutex_lock(&socket->lock);
                        n = rt_http_secure_recv(socket->session, data, sizeof data);
                        more = n > 0 && rt_http_secure_pending(socket->session);
                        (void)pthread_mutex_unlock(&socket->lock);
                } else {
                        n = recv(socket->fd, data, sizeof data, MSG_DONTWAIT);
                        n = n > 0 ? n : n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) ? 0 : -1;
                }
                if (n > 0)
                        on_bytes(socket, data, (size_t)n);
        } while (more);
        return n >= 0;
}

void rt_http_socket_adopt(struct rt_http_socket *socket) {
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = socket };
        socket->next_ping = rt_now_ns() + (uint64_t)socket->config.ping_ms * RT_HTTP_MS;
        if (socket->extra_size)
                on_bytes(socket, socket->extra, socket->extra_size);
        bool there = !socket->session || !rt_http_secure_pending(socket->session) || read_some(socket);
        (void)pthread_mutex_lock(&socket->lock);
        if (!there || epoll_ctl(socket->server->epoll_fd, EPOLL_CTL_ADD, socket->fd, &event) < 0)
                socket->broken = true;
        flush(socket);
        (void)pthread_mutex_unlock(&socket->lock);
}

bool rt_http_socket_event(struct rt_http_socket *socket, uint32_t events) {
        bool there = true;
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                there = read_some(socket);
        (void)pthread_mutex_lock(&socket->lock);
        flush(socket);
        if (!there)
                socket->broken = true;
        bool ends = socket->broken || socket->closing;
        (void)pthread_mutex_unlock(&socket->lock);
        return ends;
}

bool rt_http_socket_tick(struct rt_http_socket *socket, uint64_t now, bool cut) {
        if (cut && !socket->deaf) {
                socket->code = socket->code ? socket->code : 1001;
                say_goodbye(socket, 1001, NULL, 0);
        }
        (void)pthread_mutex_lock(&socket->lock);
        bool broken = socket->broken;
        bool idle = socket->used == 0;
        bool closing = socket->closing;
        (void)pthread_mutex_unlock(&socket->lock);
        if (closing)
                begin_deadline(socket, CLOSE_MS);
        bool late = socket->deadline && now >= socket->deadline;
        if (broken || late || cut || (socket->told && idle)) {
                end(socket, socket->code ? socket->code : 1006);
                return false;
        }
        if (!closing && now >= socket->next_ping) {
                if (socket->missed >= MOST_MISSED) {
                        end(socket, 1006);
                        return false;
                }
                socket->missed++;
                put_control(socket, OP_PING, NULL, 0);
                socket->next_ping = now + (uint64_t)socket->config.ping_ms * RT_HTTP_MS;
        }
        return true;
}

/* ---- the opening ---- */

/* From MHD's thread: the connection is ours from now on. */
static void take(struct rt_http_socket *socket, struct rt_http_request *request, struct rt_http_conn *conn, int fd) {
        struct rt_http *server = socket->server;
        int on = 1;
        (void)pthread_mutex_lock(&request->lock);
        request->socket = NULL;
        (void)pthread_mutex_unlock(&request->lock);
        (void)pthread_mutex_lock(&conn->lock);
        if (conn->watched) /* a descriptor can be in an epoll once */
                (void)epoll_ctl(server->epoll_fd, EPOLL_CTL_DEL, conn->fd, NULL);
        conn->watched = false;
        (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        (void)pthread_mutex_unlock(&conn->lock);
        (void)pthread_mutex_lock(&socket->lock);
        socket->fd = fd;
        (void)pthread_mutex_unlock(&socket->lock);
}

static void pass_on(struct rt_http_socket *socket, bool good) {
        struct rt_http *server = socket->server;
        (void)pthread_mutex_lock(&server->lock);
        good = good && !server->stop;
        if (good) {
                socket->next = server->incoming;
                server->incoming = socket;
        }
        (void)pthread_mutex_unlock(&server->lock);
        if (good)
                rt_http_wake(server);
        else
                end(socket, 1006);
}

static void on_upgrade(void *cls, struct MHD_Connection *mhd, void *con_cls, const char *extra, size_t extra_size,
                       MHD_socket fd, struct MHD_UpgradeResponseHandle *upgrade) {
        struct rt_http_socket *socket = cls;
        take(socket, con_cls, rt_http_conn_of(mhd), fd);
        socket->upgrade = upgrade;
        socket->extra = extra_size ? malloc(extra_size) : NULL;
        if (socket->extra)
                memcpy(socket->extra, extra, socket->extra_size = extra_size);
        pass_on(socket, !extra_size || socket->extra);
}

void rt_http_socket_take_over(struct rt_http_socket *socket, struct rt_http_request *request) {
        struct rt_http_conn *conn = request->conn;
        socket->session = rt_http_secure_session(request->mhd);
        socket->suspended = request->mhd;
        MHD_suspend_connection(request->mhd);
        take(socket, request, conn, conn->fd);
        pass_on(socket, socket->session != NULL);
}

/* Under TLS we say it ourselves, at the head of the queue. */
static int queue_handshake(struct rt_http_socket *socket, const struct rt_http_request *request) {
        rt_auto_buf struct rt_buf text = RT_BUF(1024);
        if (rt_http_upgrade_text(request, socket->config.protocol, &text) < 0 || make_room(socket, text.size) < 0)
                return -1;
        memcpy(socket->queue, text.data, text.size);
        socket->used = text.size;
        return 0;
}

struct rt_http_socket *rt_http_socket_open(struct rt_http_request *request,
                                           const struct rt_http_socket_config *config) {
        if (rt_http_gone(request) || rt_http_refuse_socket(request))
                return NULL;
        bool secure = request->server->config.tls_certificate;
        struct rt_http_socket *socket = new_socket(request->server, config);
        struct MHD_Response *response =
                socket && !secure ? rt_http_upgrade(request, config->protocol, on_upgrade, socket) : NULL;
        if (!socket || (secure ? queue_handshake(socket, request) < 0 : !response)) {
                rt_http_socket_let_go(socket);
                rt_http_refuse(request, 500, "the WebSocket could not be opened");
                return NULL;
        }
        rt_http_socket_hold(socket); /* ours, while the answer goes its way */
        bool late = rt_http_answer_socket(request, socket, response) < 0;
        if (late)
                rt_http_socket_let_go(socket);
        rt_http_socket_let_go(socket);
        return late ? NULL : socket;
}
