/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "server.h"

enum { ANSWER_MAX = 64 * 1024, EVENTS = 64, SLICE_MS = 200, LATE_S = 30 };

struct connection {
        int fd;
        uint64_t begun_ns;
        size_t got;
        char answer[ANSWER_MAX + 1];
};

static int dial(unsigned port) {
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int one = 1;
        if (fd < 0)
                return -1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
                return fd;
        return rt_close(fd);
}

int send_only(unsigned port, const char *request) {
        int fd = dial(port);
        if (fd >= 0 && rt_write_all(fd, request, strlen(request)) < 0)
                fd = rt_close(fd);
        return fd;
}

/* How long the whole answer is; 0: the head is not complete yet. */
static size_t whole_size(const char *answer) {
        const char *end = strstr(answer, "\r\n\r\n");
        const char *length = strcasestr(answer, "\r\nContent-Length:");
        if (!end)
                return 0;
        return (size_t)(end + 4 - answer) + (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
}

static bool read_answer(int fd, char *ret, size_t size) {
        size_t got = 0;
        ssize_t n;
        *ret = 0;
        while (got + 1 < size && (n = read(fd, ret + got, size - got - 1)) > 0) {
                got += (size_t)n;
                ret[got] = 0;
                if (whole_size(ret) && got >= whole_size(ret))
                        return true;
        }
        return false;
}

bool ask_once(unsigned port, const char *request, char *ret, size_t size) {
        rt_auto_close int fd = send_only(port, request);
        return fd >= 0 && read_answer(fd, ret, size);
}

/* The start mode in an outcome's JSON. */
static size_t start_in(const char *answer) {
        static const char key[] = "\"start\":\"";
        char name[16] = "";
        const char *at = strstr(answer, key);
        if (at)
                (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(at + sizeof key - 1, "\""), at + sizeof key - 1);
        return rt_bench_start(name);
}

bool ask_kept(int *fd, unsigned port, const char *request, const char *wanted, size_t *ret_start) {
        static char answer[ANSWER_MAX];
        if (*fd < 0)
                *fd = dial(port);
        bool good = *fd >= 0 && rt_write_all(*fd, request, strlen(request)) == 0 && read_answer(*fd, answer, sizeof answer);
        if (!good || strcasestr(answer, "\r\nConnection: close"))
                *fd = rt_close(*fd);
        if (good && ret_start)
                *ret_start = start_in(answer);
        return good && strstr(answer, wanted);
}

/* ---- many connections ---- */

struct driver {
        struct load *load;
        int poll;
        uint64_t sent, end_ns;
        unsigned open;
};

static void fail(struct load *load, const char *what) {
        if (load->failed++ == 0)
                (void)snprintf(load->why, sizeof load->why, "%.*s", (int)strcspn(what, "\r\n"), what);
}

static void hang_up(struct driver *d, struct connection *c) {
        c->fd = rt_close(c->fd); /* epoll forgets it, too */
        d->open--;
}

static bool ring(struct driver *d, struct connection *c) {
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
        c->fd = dial(d->load->port);
        if (c->fd < 0)
                return false;
        d->open++;
        return epoll_ctl(d->poll, EPOLL_CTL_ADD, c->fd, &event) == 0;
}

/* The next request on a connection, opened anew where the last answer closed it. */
static void send_next(struct driver *d, struct connection *c) {
        struct load *load = d->load;
        if (bench_stopped || rt_now_ns() >= d->end_ns || (load->max_requests && d->sent >= load->max_requests)) {
                if (c->fd >= 0)
                        hang_up(d, c);
                return;
        }
        d->sent++;
        c->got = 0;
        c->begun_ns = rt_now_ns();
        if (c->fd < 0 && !ring(d, c))
                fail(load, "cannot connect");
        else if (rt_write_all(c->fd, load->request, strlen(load->request)) < 0) {
                fail(load, "cannot send");
                hang_up(d, c);
        }
}

static void take(struct driver *d, struct connection *c) {
        struct load *load = d->load;
        ssize_t n = recv(c->fd, c->answer + c->got, ANSWER_MAX - c->got, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        c->got += n > 0 ? (size_t)n : 0;
        c->answer[c->got] = 0;
        size_t size = whole_size(c->answer);
        bool whole = size && c->got >= size;
        if (n > 0 && !whole && c->got < ANSWER_MAX)
                return;
        if (whole) {
                rt_samples_add(&load->latency, rt_now_ns() - c->begun_ns);
                if (!strstr(c->answer, load->wanted))
                        fail(load, c->answer);
        } else {
                fail(load, "half an answer");
        }
        const char *close_said = strcasestr(c->answer, "\r\nConnection: close");
        if (!whole || close_said)
                hang_up(d, c);
        send_next(d, c);
}

int load_run(struct load *load) {
        struct driver d = { .load = load, .poll = epoll_create1(EPOLL_CLOEXEC) };
        struct connection *all = calloc(load->connections, sizeof *all);
        if (!all || d.poll < 0)
                abort();
        for (unsigned i = 0; i < load->connections; i++) { /* connected before the clock starts */
                all[i].fd = -1;
                if (!ring(&d, &all[i]))
                        fail(load, "cannot connect");
        }
        uint64_t begun = rt_now_ns();
        d.end_ns = begun + load->for_ns;
        for (unsigned i = 0; i < load->connections; i++)
                send_next(&d, &all[i]);
        uint64_t late_ns = d.end_ns + LATE_S * 1000000000ull;
        while (d.open > 0 && rt_now_ns() < late_ns) {
                struct epoll_event events[EVENTS];
                int n = epoll_wait(d.poll, events, EVENTS, SLICE_MS);
                for (int i = 0; i < n; i++)
                        take(&d, events[i].data.ptr);
        }
        load->took_ns = rt_now_ns() - begun;
        for (unsigned i = 0; i < load->connections; i++)
                if (all[i].fd >= 0)
                        hang_up(&d, &all[i]);
        (void)close(d.poll);
        free(all);
        return load->latency.n ? 0 : -1;
}
