/* SPDX-License-Identifier: Apache-2.0
 *
 * The watcher: one thread with one epoll, for what MHD does not look after. It sleeps without a clock while there is
 * nothing to look after.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "http/internal.h"

enum { TICK_MAX_MS = 500, TICK_MIN_MS = 10, BATCH = 64, LINGER_MS = 2000, MOST_LINGERING = 64 };

struct watcher {
        struct rt_http *server;
        struct rt_http_socket *sockets;
        struct rt_http_linger *lingering;
        bool attention; /* of a socket: something ends */
        uint64_t next_sweep;
        int tick_ms;
};

void rt_http_wake(struct rt_http *server) {
        uint64_t one = 1;
        (void)!write(server->wake_fd, &one, sizeof one);
}

void rt_http_linger_on(struct rt_http *server, int fd) {
        struct rt_http_linger *linger = calloc(1, sizeof *linger);
        (void)pthread_mutex_lock(&server->lock);
        bool take = linger && server->n_lingering < MOST_LINGERING && !server->stop;
        if (take) {
                *linger = (struct rt_http_linger){ .watch.kind = RT_HTTP_WATCH_LINGER,
                                                   .fd = fd,
                                                   .next = server->lingering,
                                                   .deadline = rt_now_ns() + (uint64_t)LINGER_MS * RT_HTTP_MS };
                server->lingering = linger;
                server->n_lingering++;
        }
        (void)pthread_mutex_unlock(&server->lock);
        if (take)
                rt_http_wake(server);
        else {
                (void)rt_close(fd);
                free(linger);
        }
}

/* Reads on; the deadline 0 marks one that is over. */
static void drain(struct rt_http_linger *linger) {
        char data[16 << 10];
        for (int i = 0; i < 16; i++) {
                ssize_t n = recv(linger->fd, data, sizeof data, MSG_DONTWAIT);
                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        return;
                if (n <= 0) {
                        linger->deadline = 0;
                        return;
                }
        }
}

static void sweep_lingering(struct watcher *w, uint64_t now) {
        for (struct rt_http_linger **at = &w->lingering; *at;) {
                struct rt_http_linger *linger = *at;
                if (now < linger->deadline && !w->server->stop) {
                        at = &linger->next;
                        continue;
                }
                *at = linger->next;
                /* MHD may not have closed its descriptor of the same socket yet: closing ours would not end the watch */
                (void)epoll_ctl(w->server->epoll_fd, EPOLL_CTL_DEL, linger->fd, NULL);
                (void)rt_close(linger->fd);
                free(linger);
                (void)pthread_mutex_lock(&w->server->lock);
                w->server->n_lingering--;
                (void)pthread_mutex_unlock(&w->server->lock);
        }
}

static void sweep_sockets(struct watcher *w, uint64_t now) {
        for (struct rt_http_socket **at = &w->sockets; *at;) {
                struct rt_http_socket *next = *rt_http_socket_next(*at);
                if (rt_http_socket_tick(*at, now, w->server->stop))
                        at = rt_http_socket_next(*at);
                else
                        *at = next;
        }
}

/* Takes over what came since the last time, and frees what no event can belong to any more. */
static void take_over(struct watcher *w) {
        struct rt_http *server = w->server;
        (void)pthread_mutex_lock(&server->lock);
        struct rt_http_conn *dead = rt_take(server->dead);
        struct rt_http_socket *incoming = rt_take(server->incoming);
        struct rt_http_linger *lingering = rt_take(server->lingering);
        server->n_dead = 0;
        (void)pthread_mutex_unlock(&server->lock);
        for (struct rt_http_conn *next; dead; dead = next) {
                next = dead->next;
                (void)rt_http_conn_free(dead);
        }
        for (struct rt_http_socket *socket; (socket = incoming);) {
                incoming = *rt_http_socket_next(socket);
                *rt_http_socket_next(socket) = w->sockets;
                w->sockets = socket;
                rt_http_socket_adopt(socket);
        }
        for (struct rt_http_linger *linger; (linger = lingering);) {
                struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP, .data.ptr = linger };
                lingering = linger->next;
                linger->next = w->lingering;
                w->lingering = linger;
                if (epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, linger->fd, &event) < 0)
                        linger->deadline = 0;
        }
}

/* True: there are deadlines to keep. */
static bool sweep(struct watcher *w, uint64_t now) {
        struct rt_http *server = w->server;
        bool due = now >= w->next_sweep;
        if (due)
                w->next_sweep = now + (uint64_t)w->tick_ms * RT_HTTP_MS;
        (void)pthread_mutex_lock(&server->lock);
        bool any = server->conns || server->dead;
        for (struct rt_http_conn *conn = due ? server->conns : NULL; conn; conn = conn->next)
                rt_http_conn_expire(conn, now);
        (void)pthread_mutex_unlock(&server->lock);
        if (due || w->attention || server->stop) {
                sweep_sockets(w, now);
                sweep_lingering(w, now);
        }
        w->attention = false;
        return any || w->sockets || w->lingering;
}

static void on_event(struct watcher *w, const struct epoll_event *event) {
        struct rt_http_watch *watch = event->data.ptr;
        uint64_t count;
        switch (watch->kind) {
        case RT_HTTP_WATCH_WAKE:
                (void)!read(w->server->wake_fd, &count, sizeof count);
                w->attention = true;
                break;
        case RT_HTTP_WATCH_CONN: rt_http_conn_left(rt_container_of(watch, struct rt_http_conn, watch)); break;
        case RT_HTTP_WATCH_SOCKET:
                w->attention |= rt_http_socket_event((struct rt_http_socket *)watch, event->events);
                break;
        case RT_HTTP_WATCH_LINGER:
                drain(rt_container_of(watch, struct rt_http_linger, watch));
                w->attention = true;
                break;
        }
}

static int tick(const struct rt_http_config *config) {
        unsigned least = config->head_timeout_ms < config->body_timeout_ms ? config->head_timeout_ms
                                                                           : config->body_timeout_ms;
        least = (config->idle_timeout_ms < least ? config->idle_timeout_ms : least) / 4;
        return least > TICK_MAX_MS ? TICK_MAX_MS : least < TICK_MIN_MS ? TICK_MIN_MS : (int)least;
}

static void *watch(void *cls) {
        struct watcher w = { .server = cls };
        bool any = false;
        w.tick_ms = tick(&w.server->config);
        while (!w.server->stop || w.sockets || w.lingering) {
                struct epoll_event events[BATCH];
                take_over(&w);
                int n = epoll_wait(w.server->epoll_fd, events, BATCH, any ? w.tick_ms : -1);
                for (int i = 0; i < n; i++)
                        on_event(&w, &events[i]);
                any = sweep(&w, rt_now_ns());
        }
        take_over(&w); /* what came while it was stopped; nothing comes after that */
        (void)sweep(&w, rt_now_ns());
        return NULL;
}

int rt_http_watch_start(struct rt_http *server, struct retort_error *err) {
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = &server->wake };
        server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        server->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (server->epoll_fd < 0 || server->wake_fd < 0 ||
            epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, server->wake_fd, &event) < 0)
                return rt_fail_errno(err, "cannot set up the watcher");
        int r = pthread_create(&server->watcher, NULL, watch, server);
        if (r) {
                errno = r;
                return rt_fail_errno(err, "cannot start the watcher");
        }
        server->watching = true;
        return 0;
}

void rt_http_watch_stop(struct rt_http *server) {
        if (!server->watching)
                return;
        (void)pthread_mutex_lock(&server->lock);
        server->stop = true;
        (void)pthread_mutex_unlock(&server->lock);
        rt_http_wake(server);
        (void)pthread_join(server->watcher, NULL);
        server->watching = false;
}
