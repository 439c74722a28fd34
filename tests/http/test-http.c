/* SPDX-License-Identifier: Apache-2.0
 *
 * A server that test_http.py drives: every kind of answer by its path, settings by its arguments ("name=value"), orders
 * on its standard input ("quiesce", "close MILLISECONDS"), what was counted at /stats. It leaves SIGPIPE alone: a
 * server that lets one through is killed by it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/util.h"
#include "http/http.h"

#include <pthread.h>
#include <stdatomic.h>

struct counts {
        atomic_long heads, requests, gone, done, sent, streams, refused_writes, sockets, socket_ends, last_code, messages;
        atomic_long gone_without_data, last_status;
};
static struct counts counts;
static struct rt_http *server;

/* One thread that answers what it is given, in order. */
struct job {
        struct job *next;
        struct rt_http_request *request;
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t some = PTHREAD_COND_INITIALIZER;
static struct job *jobs, **jobs_end = &jobs;
static bool stopping;

static void echo(struct rt_http_request *request) {
        static const struct rt_http_header headers[] = { { "Content-Type", "text/plain" }, { NULL, NULL } };
        struct retort_bytes body = rt_http_body(request);
        rt_http_reply(request, 200, headers, body.data, body.size);
}

static void *work(void *cls) {
        (void)cls;
        (void)pthread_mutex_lock(&lock);
        while (!stopping || jobs) {
                struct job *job = jobs;
                if (!job) {
                        (void)pthread_cond_wait(&some, &lock);
                        continue;
                }
                jobs = job->next;
                if (!jobs)
                        jobs_end = &jobs;
                (void)pthread_mutex_unlock(&lock);
                echo(job->request);
                rt_http_let_go(job->request);
                free(job);
                (void)pthread_mutex_lock(&lock);
        }
        (void)pthread_mutex_unlock(&lock);
        return NULL;
}

static void later(struct rt_http_request *request) {
        struct job *job = calloc(1, sizeof *job);
        if (!job)
                abort();
        rt_http_hold(request);
        job->request = request;
        (void)pthread_mutex_lock(&lock);
        *jobs_end = job;
        jobs_end = &job->next;
        (void)pthread_cond_signal(&some);
        (void)pthread_mutex_unlock(&lock);
}

static long number(const struct rt_http_request *request, const char *name, long otherwise) {
        const char *text = rt_http_query(request, name);
        return text ? strtol(text, NULL, 10) : otherwise;
}

static void sleep_ms(long ms) {
        struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
        (void)nanosleep(&t, NULL);
}

static void *stream(void *cls) {
        struct rt_http_request *request = cls;
        long n = number(request, "n", 3);
        size_t size = (size_t)number(request, "size", 10);
        long delay = number(request, "delay", 0);
        rt_auto_free char *piece = malloc(size + 1);
        struct rt_http_header headers[] = { { "Content-Type", "text/plain" }, { NULL, NULL } };
        struct rt_http_stream *s = rt_http_stream_open(request, 200, headers, (size_t)number(request, "buffer", 0));
        if (s && piece) {
                memset(piece, 'x', size);
                piece[size ? size - 1 : 0] = '\n';
                for (long i = 0; i < n; i++) {
                        if (i && delay)
                                sleep_ms(delay);
                        if (rt_http_stream_write(s, piece, size, (int)number(request, "timeout", -1)) < 0) {
                                counts.refused_writes++;
                                break;
                        }
                        counts.sent += (long)size;
                }
                sleep_ms(number(request, "linger", 0));
        }
        rt_http_stream_close(s);
        rt_http_let_go(request);
        counts.streams--;
        return NULL;
}

static void start_thread(void *(*body)(void *), void *cls) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, body, cls) || pthread_detach(thread))
                abort();
}

static void on_message(struct rt_http_socket *socket, bool text, const void *data, size_t size, void *userdata) {
        (void)userdata;
        counts.messages++;
        if (size > 6 && memcmp(data, "close ", 6) == 0)
                rt_http_socket_close(socket, (int)strtol((const char *)data + 6, NULL, 10), "as told");
        else
                (void)rt_http_socket_send(socket, text, data, size, 0);
}

static void on_close(struct rt_http_socket *socket, int code, void *userdata) {
        (void)socket;
        (void)userdata;
        counts.socket_ends++;
        counts.last_code = code;
}

struct flood {
        struct rt_http_socket *socket;
        long n;
        size_t size;
};

static void *flood(void *cls) {
        struct flood *f = cls;
        rt_auto_free char *data = calloc(1, f->size);
        for (long i = 0; data && i < f->n; i++) {
                if (rt_http_socket_send(f->socket, false, data, f->size, -1) < 0) {
                        counts.refused_writes++;
                        break;
                }
                counts.sent += (long)f->size;
        }
        rt_http_socket_close(f->socket, 1000, "enough");
        rt_http_socket_let_go(f->socket);
        free(f);
        counts.streams--;
        return NULL;
}

static void open_socket(struct rt_http_request *request) {
        struct rt_http_socket_config config = {
                .protocol = rt_http_query(request, "protocol"),
                .max_message = (size_t)number(request, "max", 0),
                .max_queued = (size_t)number(request, "queue", 0),
                .ping_ms = (unsigned)number(request, "ping", 0),
                .on_message = on_message,
                .on_close = on_close,
        };
        struct rt_http_socket *socket = rt_http_socket_open(request, &config);
        if (!socket)
                return;
        counts.sockets++;
        if (number(request, "flood", 0)) {
                struct flood *f = calloc(1, sizeof *f);
                if (!f)
                        abort();
                *f = (struct flood){ socket, number(request, "flood", 0), (size_t)number(request, "size", 1000) };
                rt_http_socket_hold(socket);
                counts.streams++;
                start_thread(flood, f);
        }
}

/* Descriptors that a child of this program would inherit, besides the standard ones. */
static int count_inheritable(void) {
        int n = 0;
        for (int fd = 3; fd < 1024; fd++) {
                int flags = fcntl(fd, F_GETFD);
                n += flags >= 0 && !(flags & FD_CLOEXEC);
        }
        return n;
}

static long resident(void) {
        rt_auto_free char *text = NULL;
        size_t size = 0;
        if (rt_read_file_at(AT_FDCWD, "/proc/self/statm", 4096, &text, &size, NULL) < 0)
                return -1;
        return strtol(strchr(text, ' '), NULL, 10) * 4;
}

static void stats(struct rt_http_request *request) {
        rt_auto_buf struct rt_buf out = RT_BUF(4096);
        (void)rt_buf_printf(&out,
                            "{\"heads\": %ld, \"requests\": %ld, \"gone\": %ld, \"done\": %ld, \"sent\": %ld, \"streams\": %ld,"
                            " \"refused_writes\": %ld, \"sockets\": %ld, \"socket_ends\": %ld, \"last_code\": %ld,"
                            " \"messages\": %ld, \"last_status\": %ld, \"fds\": %d, \"inheritable\": %d, \"kib\": %ld}\n",
                            counts.heads, counts.requests, counts.gone, counts.done, counts.sent, counts.streams,
                            counts.refused_writes, counts.sockets, counts.socket_ends, counts.last_code,
                            counts.messages, counts.last_status, rt_count_fds(), count_inheritable(), resident());
        rt_http_reply(request, 200, NULL, out.data, out.size);
}

static void info(struct rt_http_request *request) {
        rt_auto_buf struct rt_buf out = RT_BUF(4096);
        const char *q = rt_http_query(request, "q");
        const char *x = rt_http_header(request, "x-TEST");
        (void)rt_buf_printf(&out, "%s|%s|%s|%s|%s|%d|%zu", rt_http_method(request), rt_http_path(request),
                            q ? q : "(none)", x ? x : "(none)", rt_http_peer(request),
                            rt_http_from_loopback(request), rt_http_body(request).size);
        rt_http_reply(request, 200, NULL, out.data, out.size);
}

static void inject(struct rt_http_request *request) {
        const struct rt_http_header headers[] = { { "X-Name", rt_http_query(request, "value") }, { NULL, NULL } };
        rt_http_reply(request, 200, headers, "fine", 4);
}

static void twice(struct rt_http_request *request) {
        rt_http_reply(request, 200, NULL, "first", 5);
        rt_http_reply(request, 500, NULL, "second", 6);
}

static int on_head(struct rt_http_request *request, size_t *max_body, void *userdata) {
        (void)userdata;
        counts.heads++;
        if (strcmp(rt_http_path(request), "/small") == 0)
                *max_body = 10;
        if (strcmp(rt_http_path(request), "/huge") == 0)
                *max_body = SIZE_MAX;
        if (strcmp(rt_http_path(request), "/early") == 0) {
                rt_http_reply(request, 401, NULL, "no", 2);
                return 1;
        }
        return 0;
}

static void on_request(struct rt_http_request *request, void *userdata) {
        const char *path = rt_http_path(request);
        (void)userdata;
        counts.requests++;
        if (strcmp(path, "/later") == 0)
                later(request);
        else if (strcmp(path, "/never") == 0)
                rt_http_set_data(request, strdup("something"), free);
        else if (strcmp(path, "/stream") == 0) {
                counts.streams++;
                rt_http_hold(request);
                start_thread(stream, request);
        } else if (strcmp(path, "/ws") == 0)
                open_socket(request);
        else if (strcmp(path, "/stats") == 0)
                stats(request);
        else if (strcmp(path, "/inject") == 0)
                inject(request);
        else if (strcmp(path, "/twice") == 0)
                twice(request);
        else if (strcmp(path, "/echo") == 0 || strcmp(path, "/small") == 0 || strcmp(path, "/huge") == 0)
                echo(request);
        else
                info(request);
}

static void on_gone(struct rt_http_request *request, void *data, void *userdata) {
        (void)userdata;
        counts.gone++;
        if (strcmp(rt_http_path(request), "/never") == 0 && (!data || !rt_http_gone(request)))
                counts.gone_without_data++;
}

static void on_done(struct rt_http_request *request, int status, uint64_t sent_bytes, uint64_t took_ns, void *userdata) {
        (void)request;
        (void)sent_bytes;
        (void)took_ns;
        (void)userdata;
        counts.done++;
        if (strcmp(rt_http_path(request), "/stats") != 0)
                counts.last_status = status;
}

enum { MOST = 8 };
struct settings {
        struct rt_http_config config;
        const char *listen[MOST], *hosts[MOST], *origins[MOST];
        int fds[MOST];
        size_t n_listen, n_hosts, n_origins;
};

static char *read_text(const char *path) {
        char *text = NULL;
        size_t size = 0;
        if (rt_read_file_at(AT_FDCWD, path, 1 << 20, &text, &size, NULL) < 0)
                abort();
        return text;
}

static void set(struct settings *s, const char *name, const char *value) {
        struct rt_http_config *c = &s->config;
        unsigned long n = strtoul(value, NULL, 10);
        if (strcmp(name, "listen") == 0 && s->n_listen < MOST - 1)
                s->listen[s->n_listen++] = value;
        else if (strcmp(name, "host") == 0 && s->n_hosts < MOST - 1)
                s->hosts[s->n_hosts++] = value, c->hosts = s->hosts;
        else if (strcmp(name, "origin") == 0 && s->n_origins < MOST - 1)
                s->origins[s->n_origins++] = value, c->origins = s->origins;
        else if (strcmp(name, "fd") == 0 && c->n_listen_fds < MOST)
                s->fds[c->n_listen_fds++] = (int)n, c->listen_fds = s->fds;
        else if (strcmp(name, "certificate") == 0)
                c->tls_certificate = read_text(value);
        else if (strcmp(name, "key") == 0)
                c->tls_key = read_text(value);
        else if (strcmp(name, "threads") == 0)
                c->threads = (unsigned)n;
        else if (strcmp(name, "head") == 0)
                c->max_head_bytes = n;
        else if (strcmp(name, "body") == 0)
                c->max_body_bytes = n;
        else if (strcmp(name, "head_ms") == 0)
                c->head_timeout_ms = (unsigned)n;
        else if (strcmp(name, "body_ms") == 0)
                c->body_timeout_ms = (unsigned)n;
        else if (strcmp(name, "idle_ms") == 0)
                c->idle_timeout_ms = (unsigned)n;
        else if (strcmp(name, "connections") == 0)
                c->max_connections = (unsigned)n;
        else if (strcmp(name, "per_ip") == 0)
                c->max_connections_per_ip = (unsigned)n;
        else
                abort();
}

static void obey(void) {
        char line[100];
        unsigned deadline = 1000;
        while (fgets(line, sizeof line, stdin)) {
                if (strncmp(line, "quiesce", 7) == 0) {
                        rt_http_quiesce(server);
                        (void)printf("quiesced\n");
                } else if (strncmp(line, "close ", 6) == 0) {
                        deadline = (unsigned)strtoul(line + 6, NULL, 10);
                        break;
                }
                (void)fflush(stdout);
        }
        uint64_t from = rt_now_ns();
        rt_http_close(server, deadline);
        (void)printf("closed %lu\n", (unsigned long)((rt_now_ns() - from) / 1000000));
        (void)fflush(stdout);
}

int main(int argc, char **argv) {
        struct settings s = { .config = { .on_head = on_head, .on_request = on_request, .on_gone = on_gone,
                                          .on_done = on_done } };
        struct retort_error err = { 0 };
        for (int i = 1; i < argc; i++) {
                char *equals = strchr(argv[i], '=');
                if (!equals)
                        return 2;
                *equals = 0;
                set(&s, argv[i], equals + 1);
        }
        s.config.listen = s.listen;
        int fds = rt_count_fds();
        pthread_t worker;
        if (rt_http_open(&server, &s.config, &err) < 0) {
                (void)printf("failed %d %s\n", rt_count_fds() - fds, err.message);
                free((void *)(uintptr_t)s.config.tls_certificate);
                free((void *)(uintptr_t)s.config.tls_key);
                return 1;
        }
        if (pthread_create(&worker, NULL, work, NULL))
                return 2;
        (void)printf("port %u\n", rt_http_port(server));
        (void)fflush(stdout);
        obey();
        (void)pthread_mutex_lock(&lock);
        stopping = true;
        (void)pthread_cond_signal(&some);
        (void)pthread_mutex_unlock(&lock);
        (void)pthread_join(worker, NULL);
        for (int i = 0; i < 500 && counts.streams; i++)
                sleep_ms(10); /* writers have been told; they let go of their requests */
        (void)printf("left fds=%d streams=%ld sockets=%ld gone_without_data=%ld gone=%ld last_code=%ld\n",
                     rt_count_fds() - fds, counts.streams, counts.sockets - counts.socket_ends,
                     counts.gone_without_data, counts.gone, counts.last_code);
        free((void *)(uintptr_t)s.config.tls_certificate);
        free((void *)(uintptr_t)s.config.tls_key);
        return 0;
}
