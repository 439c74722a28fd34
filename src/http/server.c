/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening and closing. MHD aborts the process when it is stopped while a connection is suspended or upgraded, so the
 * order of closing matters: nothing may be suspended any more, everything that is gets resumed, the watcher ends
 * the sockets, and only then are MHD's threads stopped. MHD_stop_daemon calls us back under a mutex of its own that
 * suspending and resuming take too: no deadlock, because nobody does either any more by then, but ThreadSanitizer
 * sees the orders only (TSAN_OPTIONS=detect_deadlocks=0).
 */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "http/internal.h"

static const char *const *copy_texts(struct rt_arena *arena, const char *const *from) {
        size_t n = 0;
        while (from && from[n])
                n++;
        const char **to = from ? rt_arena_array(arena, n + 1, sizeof *to) : NULL;
        for (size_t i = 0; to && i < n; i++)
                if (!(to[i] = rt_arena_strdup(arena, from[i])))
                        return NULL;
        return to;
}

static int copy_config(struct rt_http *server, const struct rt_http_config *from, struct retort_error *err) {
        struct rt_http_config *to = &server->config;
        *to = *from;
        to->hosts = copy_texts(&server->arena, from->hosts);
        to->origins = copy_texts(&server->arena, from->origins);
        to->max_head_bytes = from->max_head_bytes ? from->max_head_bytes : 32u << 10;
        to->max_body_bytes = from->max_body_bytes ? from->max_body_bytes : 48u << 20;
        to->head_timeout_ms = from->head_timeout_ms ? from->head_timeout_ms : 10000;
        to->body_timeout_ms = from->body_timeout_ms ? from->body_timeout_ms : 60000;
        to->idle_timeout_ms = from->idle_timeout_ms ? from->idle_timeout_ms : 75000;
        to->max_connections = from->max_connections ? from->max_connections : 4096;
        if (!from->on_request)
                return rt_fail(err, RETORT_E_INPUT, "there is no on_request");
        if (!from->tls_certificate != !from->tls_key)
                return rt_fail(err, RETORT_E_INPUT, "TLS needs both a certificate and a key");
        if (from->tls_certificate) {
                to->tls_certificate = rt_arena_strdup(&server->arena, from->tls_certificate);
                to->tls_key = rt_arena_strdup(&server->arena, from->tls_key);
        }
        if ((from->hosts && !to->hosts) || (from->origins && !to->origins) ||
            (from->tls_certificate && (!to->tls_certificate || !to->tls_key)))
                return rt_fail_nomem(err);
        return 0;
}

static struct rt_http *new_server(void) {
        pthread_condattr_t attr;
        struct rt_http *server = calloc(1, sizeof *server);
        if (!server)
                return NULL;
        server->epoll_fd = -1;
        server->wake_fd = -1;
        server->wake.kind = RT_HTTP_WATCH_WAKE;
        if (pthread_mutex_init(&server->lock, NULL))
                return free(server), NULL;
        int r = pthread_condattr_init(&attr) || pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) ||
                pthread_cond_init(&server->quiet, &attr);
        if (r) {
                (void)pthread_mutex_destroy(&server->lock);
                return free(server), NULL;
        }
        (void)pthread_condattr_destroy(&attr);
        return server;
}

static int open_server(struct rt_http *server, const struct rt_http_config *config, struct retort_error *err) {
        int r = copy_config(server, config, err);
        if (r < 0 || (r = rt_http_listen(server, err)) < 0 || (r = rt_http_watch_start(server, err)) < 0)
                return r;
        for (size_t i = 0; i < server->n_listeners; i++)
                if ((r = rt_http_serve(&server->listeners[i], err)) < 0)
                        return r;
        server->serving = true;
        return 0;
}

int rt_http_open(struct rt_http **ret_server, const struct rt_http_config *config, struct retort_error *err) {
        struct rt_http *server = new_server();
        if (!server)
                return rt_fail_nomem(err);
        int r = open_server(server, config, err);
        if (r < 0) {
                rt_http_close(server, 0);
                return rt_wrap(err, r, "opening the HTTP server");
        }
        *ret_server = server;
        return 0;
}

unsigned rt_http_port(const struct rt_http *server) {
        for (size_t i = 0; i < server->n_listeners; i++)
                if (server->listeners[i].port)
                        return server->listeners[i].port;
        return 0;
}

void rt_http_began(struct rt_http *server) {
        (void)atomic_fetch_add(&server->active, 1);
}

void rt_http_ended(struct rt_http *server) {
        /* the lock from before the count falls: who waits for 0 frees the server next */
        (void)pthread_mutex_lock(&server->lock);
        if (atomic_fetch_sub(&server->active, 1) == 1)
                (void)pthread_cond_broadcast(&server->quiet);
        (void)pthread_mutex_unlock(&server->lock);
}

void rt_http_quiesce(struct rt_http *server) {
        server->draining = true;
        for (size_t i = 0; i < server->n_listeners; i++)
                rt_http_unlisten(&server->listeners[i]);
}

static void wait_for_quiet(struct rt_http *server, unsigned deadline_ms) {
        uint64_t ns = rt_now_ns() + (uint64_t)deadline_ms * RT_HTTP_MS;
        struct timespec until = { .tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u) };
        int r = 0;
        (void)pthread_mutex_lock(&server->lock);
        while (server->active && r != ETIMEDOUT)
                r = pthread_cond_timedwait(&server->quiet, &server->lock, &until);
        (void)pthread_mutex_unlock(&server->lock);
}

/* Nothing is suspended after this: closing is set, so that no request is from now on. */
static void resume_all(struct rt_http *server) {
        (void)pthread_mutex_lock(&server->lock);
        for (struct rt_http_conn *conn = server->conns; conn; conn = conn->next) {
                (void)pthread_mutex_lock(&conn->lock);
                struct rt_http_request *request = conn->request;
                if (request) {
                        (void)pthread_mutex_lock(&request->lock);
                        bool complete = rt_http_request_complete(request);
                        (void)pthread_mutex_unlock(&request->lock);
                        if (!complete)
                                rt_http_request_gone(request);
                }
                (void)pthread_mutex_unlock(&conn->lock);
        }
        (void)pthread_mutex_unlock(&server->lock);
}

static void free_server(struct rt_http *server) {
        for (struct rt_http_conn *next; server->dead; server->dead = next) {
                next = server->dead->next;
                (void)rt_http_conn_free(server->dead);
        }
        for (size_t i = 0; i < server->n_listeners; i++) {
                (void)rt_close(server->listeners[i].fd);
                if (server->listeners[i].unix_path)
                        (void)unlink(server->listeners[i].unix_path);
        }
        (void)rt_close(server->epoll_fd);
        (void)rt_close(server->wake_fd);
        (void)pthread_cond_destroy(&server->quiet);
        (void)pthread_mutex_destroy(&server->lock);
        rt_arena_clear(&server->arena);
        free(server);
}

/* MHD must not stop while something is suspended in its eyes. Nobody stays there longer than one call of MHD's. */
static void wait_for_resumes(struct rt_http *server) {
        while (atomic_load(&server->resuming) > 0)
                (void)nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
}

void rt_http_close(struct rt_http *server, unsigned deadline_ms) {
        if (!server)
                return;
        rt_http_quiesce(server);
        wait_for_quiet(server, deadline_ms);
        server->closing = true;
        resume_all(server);
        rt_http_watch_stop(server);
        wait_for_resumes(server);
        for (size_t i = 0; i < server->n_listeners; i++)
                if (server->listeners[i].daemon)
                        MHD_stop_daemon(server->listeners[i].daemon);
        free_server(server);
}
