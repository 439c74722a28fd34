/* SPDX-License-Identifier: Apache-2.0
 *
 * The least that a server which runs programs can do: for each connection fork, read the request, fork and execute the
 * program, answer with what it printed, end. No sandbox, no limits, no queue.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "server.h"

enum { ROOM = 8192 };

static bool read_request(int fd) {
        char text[ROOM];
        size_t got = 0;
        ssize_t n;
        while (got < sizeof text - 1 && (n = read(fd, text + got, sizeof text - 1 - got)) > 0) {
                got += (size_t)n;
                text[got] = 0;
                const char *end = strstr(text, "\r\n\r\n");
                const char *length = strcasestr(text, "\r\nContent-Length:");
                size_t body = length && end && length < end ? strtoul(length + 17, NULL, 10) : 0;
                if (end && got >= (size_t)(end + 4 - text) + body)
                        return true;
        }
        return false;
}

static size_t run(const char *program, char *out, size_t room, int *ret_status) {
        int ends[2];
        size_t got = 0;
        ssize_t n;
        if (pipe(ends) < 0)
                _exit(1);
        pid_t pid = fork();
        if (pid == 0) {
                (void)dup2(ends[1], STDOUT_FILENO);
                (void)execl(program, program, (char *)NULL);
                _exit(127);
        }
        (void)close(ends[1]);
        while (got < room && (n = read(ends[0], out + got, room - got)) > 0)
                got += (size_t)n;
        (void)close(ends[0]);
        if (pid < 0 || waitpid(pid, ret_status, 0) != pid)
                _exit(1);
        return got;
}

static void serve_one(int fd, const char *program) {
        char out[ROOM], answer[2 * ROOM];
        int status = 0;
        (void)signal(SIGCHLD, SIG_DFL);
        if (!read_request(fd))
                _exit(1);
        size_t size = run(program, out, sizeof out, &status);
        int n = snprintf(answer, sizeof answer,
                         "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n%.*s",
                         size, (int)size, out);
        (void)rt_write_all(fd, answer, (size_t)n);
        _exit(status != 0);
}

static void serve(int listening, const char *program) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)signal(SIGCHLD, SIG_IGN); /* children are not waited for */
        for (;;) {
                int fd = accept(listening, NULL, NULL);
                pid_t pid = fd < 0 ? -1 : fork();
                if (pid == 0)
                        serve_one(fd, program);
                if (fd >= 0)
                        (void)close(fd);
        }
}

int floor_start(const char *program, pid_t *ret_pid, unsigned *ret_port) {
        struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof at;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *)&at, size) < 0 || listen(fd, 1024) < 0 ||
            getsockname(fd, (struct sockaddr *)&at, &size) < 0 || (*ret_pid = fork()) < 0)
                return -1;
        if (*ret_pid == 0)
                serve(fd, program);
        *ret_port = ntohs(at.sin_port);
        return close(fd);
}
