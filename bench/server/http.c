/* SPDX-License-Identifier: Apache-2.0
 *
 * A contender that asks a retortd of our own over one connection that is kept, and a burst of requests, each on its own.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "server.h"

#define PYTHON "{\"language\":\"python\",\"code\":\"print(1)\"}"
#define WANTED "\"1\\n\""
enum { SETTLE_MS = 500 };

struct bench_http {
        struct served server;
        int fd;
        char *request;
};

struct bench_http *bench_http_open(const struct bench_paths *p, const struct bench_options *o) {
        struct bench_http *http = calloc(1, sizeof *http);
        const char *const words[] = { NULL };
        if (!http)
                return NULL;
        http->fd = -1;
        if (served_start(&http->server, o->build, p->languages, o->scratch, words) < 0) {
                served_stop(&http->server);
                free(http);
                return NULL;
        }
        http->request = served_request(&http->server, "/v1/runs", PYTHON);
        return http;
}

void bench_http_close(struct bench_http *http) {
        if (!http)
                return;
        (void)rt_close(http->fd);
        served_stop(&http->server);
        free(http->request);
        free(http);
}

int bench_run_http(struct bench_contender *c, struct bench_took *ret) {
        uint64_t begun = rt_now_ns();
        bool good = ask_kept(&c->http->fd, c->http->server.port, c->http->request, WANTED, &ret->start);
        ret->wall_ns = rt_now_ns() - begun;
        return good ? 0 : bench_fail(c, "no answer from retortd, or another one");
}

void bench_burst_http(struct bench_burst *b, struct bench_http *http) {
        struct load load = { .port = http->server.port, .request = http->request, .wanted = WANTED, .connections = b->asked,
                             .max_requests = b->asked, .for_ns = 120000000000ull };
        uint64_t cpu = bench_cpu_ns();
        if (load_run(&load) < 0 && !load.why[0])
                (void)snprintf(load.why, sizeof load.why, "the load could not be made");
        (void)usleep(SETTLE_MS * 1000);
        uint64_t now = bench_cpu_ns();
        b->cpu_ns = now > cpu ? now - cpu : 0;
        b->answered = load.latency.n > load.failed ? (unsigned)load.latency.n - load.failed : 0;
        b->failed = load.failed;
        b->latency = load.latency;
        (void)snprintf(b->why, sizeof b->why, "%s", load.why);
}
