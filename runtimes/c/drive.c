/* SPDX-License-Identifier: Apache-2.0
 *
 * What the driver `gcc` does, as it does and says it: for each source cc1 and, reading what that writes, the assembler; then
 * the linker. With the arguments that gcc itself gave to them when it was asked (start.sh).
 */
#include "frozen.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CODE_FAILED = 1, CODE_BUG = 4, GIVEN = 4 /* the request, stdin, stdout, stderr */ };

static char objects[FROZEN_FILES][32];
static unsigned n_objects;
static unsigned failed; /* sources, or what was made of them */

/* What a cc1 that waits for its source is told. It was forked before there were limits. */
struct source {
        unsigned which;
        struct {
                int what;
                struct rlimit limit;
        } limits[4];
};

static void leave(int code) __attribute__((noreturn));
static void leave(int code) {
        while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
                continue;
        for (unsigned i = 0; i < n_objects; i++)
                (void)unlink(objects[i]);
        _exit(code);
}

static void fail(const char *what, const char *why) __attribute__((noreturn));
static void fail(const char *what, const char *why) {
        (void)dprintf(STDERR_FILENO, "gcc: fatal error: %s%s\ncompilation terminated.\n", what, why);
        leave(CODE_FAILED);
}

/* ---- telling a cc1 ---- */

static int tell(int socket, const struct source *source, const int fds[GIVEN]) {
        union {
                struct cmsghdr head;
                char room[CMSG_SPACE(GIVEN * sizeof *fds)];
        } control = { 0 };
        struct iovec part = { (void *)(uintptr_t)source, sizeof *source };
        struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
        control.head = (struct cmsghdr){ .cmsg_len = CMSG_LEN(GIVEN * sizeof *fds), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
        memcpy(CMSG_DATA(&control.head), fds, GIVEN * sizeof *fds);
        return sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)sizeof *source ? 0 : -1;
}

int frozen_await_source(int socket, unsigned *ret_which) {
        union {
                struct cmsghdr head;
                char room[CMSG_SPACE(GIVEN * sizeof(int))];
        } control = { 0 };
        struct source source;
        int fds[GIVEN];
        struct iovec part = { &source, sizeof source };
        struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
        ssize_t n;
        while ((n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
                continue;
        if (n != (ssize_t)sizeof source || control.head.cmsg_len != CMSG_LEN(sizeof fds))
                return -1;
        memcpy(fds, CMSG_DATA(&control.head), sizeof fds);
        for (size_t i = 0; i < sizeof source.limits / sizeof *source.limits; i++)
                if (setrlimit((__rlimit_resource_t)source.limits[i].what, &source.limits[i].limit) < 0)
                        return -1;
        for (int i = 0; i < GIVEN - 1; i++) {
                if (dup2(fds[i + 1], i) < 0)
                        return -1;
                (void)close(fds[i + 1]);
        }
        *ret_which = source.which;
        return fds[0];
}

/* ---- one source ---- */

/* The assembler, and what it is to read written by *ret_writer. */
static pid_t start_assembler(struct frozen_gcc *gcc, char *object, int *ret_writer) {
        posix_spawn_file_actions_t actions;
        pid_t pid;
        int ends[2], file = mkstemps(strcpy(object, "/tmp/ccXXXXXX.o"), 2); /* a name as gcc gives */
        n_objects++;
        if (file < 0 || close(file) < 0 || pipe2(ends, O_CLOEXEC) < 0 || posix_spawn_file_actions_init(&actions) != 0)
                fail("cannot make a temporary file: ", strerror(errno));
        (void)posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
        gcc->assembler.at[gcc->assembler.object] = object;
        errno = posix_spawnp(&pid, gcc->assembler.at[0], &actions, NULL, gcc->assembler.at, environ);
        if (errno)
                fail("cannot execute 'as': ", strerror(errno));
        (void)posix_spawn_file_actions_destroy(&actions);
        (void)close(ends[0]);
        *ret_writer = ends[1];
        return pid;
}

static int await(pid_t pid) {
        int status = -1;
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -1;
        return status;
}

void frozen_tell_code(int socket, int code) {
        (void)send(socket, &code, sizeof code, MSG_NOSIGNAL);
}

/* What a cc1 says when it ends: the kernel takes its memory apart meanwhile. */
static int await_code(int socket, pid_t pid) {
        int code;
        ssize_t n;
        while ((n = recv(socket, &code, sizeof code, 0)) < 0 && errno == EINTR)
                continue;
        return n == (ssize_t)sizeof code ? (code & 0xff) << 8 : await(pid);
}

/* What killed it may have been meant for it; all else is a bug of its own. */
static void judge(const struct frozen_gcc *gcc, const char *program, int status, bool already) {
        failed += status != 0;
        if (!WIFSIGNALED(status))
                return;
        int number = WTERMSIG(status);
        if (number == SIGPIPE && already)
                return;
        char text[128];
        (void)snprintf(text, sizeof text, "%s signal terminated program %s", strsignal(number), program);
        if (number == SIGINT || number == SIGTERM || number == SIGQUIT || number == SIGKILL)
                fail(text, "");
        (void)dprintf(STDERR_FILENO, "gcc: internal compiler error: %s\nPlease submit a full bug report, with preprocessed source "
                      "(by using -freport-bug).\nSee %s for instructions.\n", text, gcc->bugs);
        leave(CODE_BUG);
}

void frozen_drive_one(struct frozen_gcc *gcc, unsigned which, pid_t cc1, int socket, int told) {
        static const int limits[] = { RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_NPROC };
        struct source source;
        int writer;
        pid_t as = start_assembler(gcc, objects[which], &writer);
        memset(&source, 0, sizeof source);
        source.which = which;
        for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
                source.limits[i].what = limits[i];
                (void)getrlimit((__rlimit_resource_t)limits[i], &source.limits[i].limit);
        }
        if (tell(socket, &source, (const int[GIVEN]){ told, STDIN_FILENO, writer, STDERR_FILENO }) < 0)
                fail("cannot execute 'cc1': ", strerror(errno));
        (void)close(writer);
        int compiled = await_code(socket, cc1), assembled = await(as);
        (void)close(socket);
        bool already = failed > 0;
        judge(gcc, "cc1", compiled, already);
        judge(gcc, "as", assembled, already || compiled != 0);
}

/* ---- all of them ---- */

static bool link_objects(const struct frozen_gcc *gcc) {
        static char *argv[FROZEN_WORDS + FROZEN_FILES];
        size_t n = 0;
        pid_t pid;
        for (size_t i = 0; i < gcc->linker.n; i++) {
                if (i != gcc->linker.object)
                        argv[n++] = gcc->linker.at[i];
                for (size_t k = 0; i == gcc->linker.object && k < n_objects; k++)
                        argv[n++] = objects[k];
        }
        errno = posix_spawn(&pid, argv[0], NULL, NULL, argv, environ);
        if (errno)
                fail("cannot execute 'ld': ", strerror(errno));
        int status = await(pid);
        if (WIFSIGNALED(status))
                (void)dprintf(STDERR_FILENO, "collect2: fatal error: ld terminated with signal %d [%s]%s\ncompilation terminated.\n",
                              WTERMSIG(status), strsignal(WTERMSIG(status)), WCOREDUMP(status) ? ", core dumped" : "");
        else if (status != 0)
                (void)dprintf(STDERR_FILENO, "collect2: error: ld returned %d exit status\n", WEXITSTATUS(status));
        return status == 0;
}

void frozen_drive_end(struct frozen_gcc *gcc) {
        leave(failed == 0 && link_objects(gcc) ? 0 : CODE_FAILED);
}
