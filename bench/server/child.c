/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "server.h"

enum { WORDS = 40 };

static void become(struct served *s, const char *build, const char *runtimes, int out, const char *const *argv) {
        static char program[600], libexec[600], store[600];
        char *words[WORDS] = { program, "serve", "--listen", "127.0.0.1:0", "--set", store, "--set", "quotas.requests_per_minute=0" };
        size_t n = 8;
        char path[300];
        (void)snprintf(program, sizeof program, "%.500s/src/bin/retort", build);
        (void)snprintf(libexec, sizeof libexec, "%.500s/src/bin", build);
        (void)snprintf(store, sizeof store, "store.path=%s/retort.db", s->folder);
        (void)snprintf(path, sizeof path, "%s/log", s->folder);
        while (*argv && n < WORDS - 1)
                words[n++] = (char *)(uintptr_t)*argv++;
        int log = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_TRUNC, 0600);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(out, STDOUT_FILENO);
        (void)dup2(log, STDERR_FILENO);
        (void)setenv("RETORT_RUNTIMES", runtimes, 1);
        (void)setenv("RETORT_LIBEXEC", libexec, 1);
        (void)execv(program, words);
        _exit(127);
}

/* The key is shown once, in what it writes about itself. */
static bool read_key(struct served *s) {
        char path[300];
        rt_auto_free char *text = NULL;
        (void)snprintf(path, sizeof path, "%s/log", s->folder);
        if (rt_read_file_at(AT_FDCWD, path, 1 << 20, &text, NULL, NULL) < 0)
                return false;
        const char *at = strstr(text, "rt_");
        if (at)
                (void)snprintf(s->key, sizeof s->key, "%.67s", at);
        return at != NULL;
}

int served_start(struct served *s, const char *build, const char *runtimes, const char *scratch, const char *const *argv) {
        static unsigned count;
        char said[512] = "";
        int out[2];
        *s = (struct served){ 0 };
        (void)snprintf(s->folder, sizeof s->folder, "%.200s/server-%u", scratch, count++);
        if (mkdir(s->folder, 0700) < 0 || pipe2(out, O_CLOEXEC) < 0)
                return -1;
        s->pid = fork();
        if (s->pid == 0)
                become(s, build, runtimes, out[1], argv);
        (void)close(out[1]);
        ssize_t n = s->pid < 0 ? -1 : read(out[0], said, sizeof said - 1); /* one line, written at once */
        (void)close(out[0]);
        char *colon = n > 0 ? strrchr(said, ':') : NULL;
        s->port = colon ? (unsigned)strtoul(colon + 1, NULL, 10) : 0;
        if (s->port && read_key(s))
                return 0;
        fprintf(stderr, "bench: the server did not start; its words are in %s/log\n", s->folder);
        return -1;
}

FILE *program_output(const char *const *argv, pid_t *ret_pid) {
        int out[2];
        if (pipe2(out, O_CLOEXEC) < 0)
                return NULL;
        *ret_pid = fork();
        if (*ret_pid == 0) {
                (void)dup2(out[1], STDOUT_FILENO);
                (void)execv(argv[0], (char *const *)(uintptr_t)argv);
                _exit(127);
        }
        (void)close(out[1]);
        return fdopen(out[0], "r");
}

/* It should still be there: else what was measured is not what it seems, and that is said. */
static bool is_gone(const struct served *s) {
        int status;
        char path[300];
        rt_auto_free char *text = NULL;
        size_t size = 0;
        if (waitpid(s->pid, &status, WNOHANG) != s->pid)
                return false;
        if (bench_stopped) /* Ctrl-C ends it, too */
                return true;
        (void)snprintf(path, sizeof path, "%s/log", s->folder);
        if (rt_read_file_at(AT_FDCWD, path, 64 << 20, &text, &size, NULL) < 0)
                size = 0;
        fprintf(stderr, "bench: the server ended before it was asked to, status %#x; its last words:\n%s\n",
                (unsigned)status, size ? text + (size > 1000 ? size - 1000 : 0) : "");
        return true;
}

void served_stop(struct served *s) {
        if (s->pid > 0 && !is_gone(s)) {
                (void)kill(s->pid, SIGTERM);
                while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
                        ;
        }
        s->pid = 0;
}

char *served_request(const struct served *s, const char *path, const char *body) {
        char *text = NULL;
        int n = body ? asprintf(&text,
                                "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n"
                                "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                                path, s->key, strlen(body), body)
                     : asprintf(&text, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n\r\n", path, s->key);
        if (n < 0)
                abort();
        return text;
}
