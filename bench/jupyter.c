/* SPDX-License-Identifier: Apache-2.0
 *
 * ipykernel, driven by jupyter.py in a process of its own, which is told what to do and answers with nanoseconds: what a client
 * in Python sees, without what it costs to talk to us.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "bench.h"

enum { PATIENCE_MS = 90000 };

struct bench_jupyter {
        pid_t pid;
        int to, from;
};

static void become(const char *script, int in, int out) {
        char *const argv[] = { "/usr/bin/python3", (char *)(uintptr_t)script, NULL };
        char *const env[] = { "PATH=/usr/bin:/bin", "LANG=C.UTF-8", "HOME=/tmp", NULL };
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        (void)dup2(in, 0);
        (void)dup2(out, 1);
        (void)dup2(null, 2);
        (void)execve(argv[0], argv, env);
        _exit(127);
}

struct bench_jupyter *bench_jupyter_open(const char *script) {
        int to[2], from[2];
        struct bench_jupyter *j = calloc(1, sizeof *j);
        if (!j || pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0) {
                free(j);
                return NULL;
        }
        j->pid = fork();
        if (j->pid == 0)
                become(script, to[0], from[1]);
        (void)close(to[0]);
        (void)close(from[1]);
        j->to = to[1];
        j->from = from[0];
        return j;
}

void bench_jupyter_close(struct bench_jupyter *j) {
        if (!j)
                return;
        (void)close(j->to); /* the end of its input: it ends its kernel */
        (void)close(j->from);
        while (j->pid > 0 && waitpid(j->pid, NULL, 0) < 0 && errno == EINTR)
                ;
        free(j);
}

static bool read_line(int fd, char *ret, size_t size) {
        size_t got = 0;
        uint64_t deadline = rt_now_ns() + PATIENCE_MS * 1000000ull;
        while (got + 1 < size && rt_now_ns() < deadline && !bench_stopped) {
                struct pollfd p = { .fd = fd, .events = POLLIN };
                if (poll(&p, 1, 200) <= 0)
                        continue;
                ssize_t n = read(fd, ret + got, size - 1 - got);
                if (n <= 0)
                        return false;
                got += (size_t)n;
                ret[got] = 0;
                if (ret[got - 1] == '\n')
                        return true;
        }
        return false;
}

int bench_run_jupyter(struct bench_contender *c, struct bench_took *ret) {
        char line[256];
        int n = snprintf(line, sizeof line, "%s\n", c->word);
        if (rt_write_all(c->jupyter->to, line, (size_t)n) < 0 || !read_line(c->jupyter->from, line, sizeof line))
                return bench_fail(c, "no answer (apt install python3-ipykernel python3-jupyter-client)");
        line[strcspn(line, "\n")] = 0;
        char *end;
        ret->wall_ns = strtoull(line, &end, 10);
        return *end || end == line ? bench_fail(c, "%.200s", line) : 0;
}
