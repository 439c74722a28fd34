/* SPDX-License-Identifier: Apache-2.0
 *
 * Listening sockets, and one daemon of MHD for each.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "http/internal.h"

enum { BACKLOG = 1024 };

union address {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
        struct sockaddr_un local;
        struct sockaddr_storage room;
};

static int open_socket(int family, struct retort_error *err) {
        int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        return fd < 0 ? rt_fail_errno(err, "cannot open a socket") : fd;
}

/* A socket that nobody listens on any more is in the way of a new one; one that is in use is left alone. */
static void remove_stale(const union address *address, socklen_t size) {
        rt_auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct stat st;
        if (lstat(address->local.sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
                return;
        if (fd >= 0 && connect(fd, &address->any, size) < 0 && errno == ECONNREFUSED)
                (void)unlink(address->local.sun_path);
}

static int listen_unix(struct rt_http_listener *listener, const char *path, struct retort_error *err) {
        union address address = { .local = { .sun_family = AF_UNIX } };
        size_t size = strlen(path);
        if (size == 0 || size >= sizeof address.local.sun_path)
                return rt_fail(err, RETORT_E_INPUT, "a unix socket needs a path of 1 to %zu bytes",
                               sizeof address.local.sun_path - 1);
        memcpy(address.local.sun_path, path, size);
        rt_auto_close int fd = open_socket(AF_UNIX, err);
        if (fd < 0)
                return fd;
        remove_stale(&address, sizeof address.local);
        if (bind(fd, &address.any, sizeof address.local) < 0 || listen(fd, BACKLOG) < 0)
                return rt_fail_errno(err, "cannot listen on unix:%s", path);
        listener->unix_path = rt_arena_strdup(&listener->server->arena, path);
        listener->fd = rt_take_fd(&fd);
        return 0;
}

static int read_port(const char *text, uint16_t *ret_port) {
        char *end = NULL;
        errno = 0;
        unsigned long port = *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 0;
        if (!end || *end || errno || port > UINT16_MAX)
                return -1;
        *ret_port = (uint16_t)port;
        return 0;
}

/* "127.0.0.1:80", "localhost:80", "[::1]:80" */
static socklen_t read_address(const char *text, union address *ret) {
        char host[INET6_ADDRSTRLEN];
        const char *colon = strrchr(text, ':');
        size_t n = colon ? (size_t)(colon - text) : 0;
        uint16_t port = 0;
        if (n == 0 || n >= sizeof host || read_port(colon + 1, &port) < 0)
                return 0;
        memcpy(host, text, n);
        host[n] = 0;
        *ret = (union address){ .four = { .sin_family = AF_INET, .sin_port = htons(port) } };
        if (inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, &ret->four.sin_addr) == 1)
                return sizeof ret->four;
        if (n < 3 || host[0] != '[' || host[n - 1] != ']')
                return 0;
        host[n - 1] = 0;
        *ret = (union address){ .six = { .sin6_family = AF_INET6, .sin6_port = htons(port) } };
        return inet_pton(AF_INET6, host + 1, &ret->six.sin6_addr) == 1 ? sizeof ret->six : 0;
}

static int listen_inet(struct rt_http_listener *listener, const char *text, struct retort_error *err) {
        union address address;
        int on = 1;
        int off = 0;
        socklen_t size = read_address(text, &address);
        if (!size)
                return rt_fail(err, RETORT_E_INPUT,
                               "cannot listen on \"%s\": write 127.0.0.1:8081, [::1]:8081 or unix:/path", text);
        rt_auto_close int fd = open_socket(address.any.sa_family, err);
        if (fd < 0)
                return fd;
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (address.any.sa_family == AF_INET6)
                (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
        if (bind(fd, &address.any, size) < 0 || listen(fd, BACKLOG) < 0)
                return rt_fail_errno(err, "cannot listen on %s", text);
        listener->fd = rt_take_fd(&fd);
        return 0;
}

static int inherit(struct rt_http_listener *listener, int from, struct retort_error *err) {
        int listening = 0;
        socklen_t size = sizeof listening;
        if (getsockopt(from, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0 || !listening)
                return rt_fail(err, RETORT_E_INPUT, "descriptor %d is not a listening socket", from);
        listener->fd = fcntl(from, F_DUPFD_CLOEXEC, 0);
        listener->inherited = true;
        if (listener->fd < 0 || fcntl(listener->fd, F_SETFL, fcntl(listener->fd, F_GETFL) | O_NONBLOCK) < 0)
                return rt_fail_errno(err, "cannot take descriptor %d over", from);
        return 0;
}

/* Where it really listens: after port 0, and on what was inherited. */
static int look(struct rt_http_listener *listener, struct retort_error *err) {
        union address address;
        socklen_t size = sizeof address;
        if (getsockname(listener->fd, &address.any, &size) < 0)
                return rt_fail_errno(err, "cannot read a socket's address");
        listener->local = address.any.sa_family == AF_UNIX;
        listener->loopback = listener->local;
        if (address.any.sa_family == AF_INET) {
                listener->port = ntohs(address.four.sin_port);
                listener->loopback = ntohl(address.four.sin_addr.s_addr) >> 24 == 127;
                (void)inet_ntop(AF_INET, &address.four.sin_addr, listener->address, sizeof listener->address);
        } else if (address.any.sa_family == AF_INET6) {
                listener->port = ntohs(address.six.sin6_port);
                listener->loopback = IN6_IS_ADDR_LOOPBACK(&address.six.sin6_addr);
                (void)inet_ntop(AF_INET6, &address.six.sin6_addr, listener->address, sizeof listener->address);
        }
        return 0;
}

int rt_http_listen(struct rt_http *server, struct retort_error *err) {
        const struct rt_http_config *config = &server->config;
        size_t n = config->n_listen_fds;
        for (const char *const *p = config->listen; p && *p; p++)
                n++;
        if (n == 0)
                return rt_fail(err, RETORT_E_INPUT, "there is nothing to listen on");
        server->listeners = rt_arena_array(&server->arena, n, sizeof *server->listeners);
        if (!server->listeners)
                return rt_fail_nomem(err);
        for (size_t i = 0; i < n; i++) {
                struct rt_http_listener *listener = &server->listeners[server->n_listeners++];
                *listener = (struct rt_http_listener){ .server = server, .fd = -1 };
                size_t n_named = n - config->n_listen_fds;
                const char *name = i < n_named ? config->listen[i] : NULL;
                int r = !name ? inherit(listener, config->listen_fds[i - n_named], err)
                        : strncmp(name, "unix:", 5) == 0 ? listen_unix(listener, name + 5, err)
                                                          : listen_inet(listener, name, err);
                if (r < 0 || (r = look(listener, err)) < 0)
                        return r;
        }
        return 0;
}

static void on_log(void *cls, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
static void on_log(void *cls, const char *format, va_list args) {
        struct rt_http *server = cls;
        if (!server->serving) /* later words are about single connections */
                (void)vsnprintf(server->log, sizeof server->log, format, args);
}

static struct MHD_Daemon *start(struct rt_http_listener *listener, const struct MHD_OptionItem *tls) {
        struct rt_http *server = listener->server;
        const struct rt_http_config *config = &server->config;
        unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE |
                         MHD_USE_ERROR_LOG | (config->tls_certificate ? MHD_USE_TLS : 0u);
        /* heads larger than ours take must still fit, to be refused in our own words */
        size_t pool = 2 * config->max_head_bytes + (32u << 10);
        unsigned threads = config->threads > 1 ? config->threads : 0;
        return MHD_start_daemon(flags, 0, NULL, NULL, rt_http_handle, listener,
                                MHD_OPTION_EXTERNAL_LOGGER, on_log, server,
                                MHD_OPTION_LISTEN_SOCKET, listener->fd,
                                MHD_OPTION_THREAD_POOL_SIZE, threads,
                                MHD_OPTION_CONNECTION_MEMORY_LIMIT, pool,
                                MHD_OPTION_CONNECTION_LIMIT, config->max_connections,
                                MHD_OPTION_PER_IP_CONNECTION_LIMIT, config->max_connections_per_ip,
                                MHD_OPTION_CONNECTION_TIMEOUT, (config->idle_timeout_ms + 1999) / 1000,
                                MHD_OPTION_STRICT_FOR_CLIENT, 1,
                                MHD_OPTION_NOTIFY_CONNECTION, rt_http_conn_notify, listener,
                                MHD_OPTION_NOTIFY_COMPLETED, rt_http_finished, listener,
                                MHD_OPTION_URI_LOG_CALLBACK, rt_http_conn_line, listener,
                                MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
}

int rt_http_serve(struct rt_http_listener *listener, struct retort_error *err) {
        const struct rt_http_config *config = &listener->server->config;
        const struct MHD_OptionItem tls[] = {
                { config->tls_certificate ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, 0,
                  (void *)(uintptr_t)config->tls_certificate },
                { MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)config->tls_key },
                { MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t) "NORMAL:-VERS-TLS1.0:-VERS-TLS1.1" },
                { MHD_OPTION_END, 0, NULL },
        };
        sigset_t all;
        sigset_t before;
        (void)sigfillset(&all); /* the program's signals are not for MHD's threads */
        (void)pthread_sigmask(SIG_SETMASK, &all, &before);
        listener->daemon = start(listener, tls);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (!listener->daemon) {
                char *log = listener->server->log;
                log[strcspn(log, "\n")] = 0;
                return rt_fail(err, RETORT_E_SYSTEM, "cannot start to serve: %s", log[0] ? log : "no reason was given");
        }
        return 0;
}

/* MHD_quiesce_daemon takes the socket out of MHD's epoll set while MHD's own thread may be doing the same, and the second of
 * the two ends the process (0.9.75). So the descriptor becomes one on which nothing ever happens: nobody is taken any more,
 * what waits on an inherited socket stays for who listens next, and MHD closes the descriptor when it stops. */
void rt_http_unlisten(struct rt_http_listener *listener) {
        if (!listener->daemon || listener->quiesced)
                return;
        rt_auto_close int nothing = eventfd(0, EFD_CLOEXEC);
        if (nothing >= 0)
                (void)dup3(nothing, listener->fd, O_CLOEXEC);
        listener->fd = -1;
        listener->quiesced = true;
        if (listener->unix_path)
                (void)unlink(listener->unix_path);
        listener->unix_path = NULL;
}
