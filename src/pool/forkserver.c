/* SPDX-License-Identifier: Apache-2.0 */
#include "box/forkserver.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "box/wire.h"
#include "pool/ahead.h"
#include "pool/divide.h"
#include "pool/files.h"
#include "pool/forkserver.h"
#include "pool/freeze.h"
#include "pool/threads.h"
#include "pool/zygote.h"

enum {
        MAX_LINKS = 1280, /* every slot there can be: contexts keep theirs for as long as they live */
        MAX_DESCRIPTORS = 1024,
        HOLD_MS = 5000,
        PROVE_MS = 10000,
        /* What malloc does by default, and what it comes to in a process that has used much; glibc stops to adapt by
         * itself once it was told anything. */
        MOST_MAPPED = 65536,
        MAPPED_FROM = 4 << 20,
        KEPT_BYTES = 8 << 20,
};

/* A process of its own has one of each: it is this interpreter. */
static int guest_socket = -1;
static pid_t guest; /* whose it is: what a guest forks before there is a program has none */
static int main_fd = -1;
static bool served;

/* What malloc maps by itself it also grows in place, with mremap(2): past the end of what is frozen. */
__attribute__((constructor)) static void begin(void) {
        if (!rt_ahead_begin())
                (void)mallopt(M_MMAP_MAX, 0);
}

static void give_up(const char *what, const char *why) {
        struct rt_wire_message message = { .op = RT_FAIL };
        message.fail.code = RETORT_E_SYSTEM;
        (void)snprintf(message.fail.message, sizeof message.fail.message, "%s: %s", what, why);
        (void)rt_wire_send(RT_FORKSERVER_SOCKET, &message, NULL, 0);
        _exit(1);
}

/* ---- serving ---- */

struct links {
        struct pollfd poll[1 + MAX_LINKS]; /* the engine's socket first */
        unsigned n;
};

static void drop_link(struct links *l, unsigned i) {
        (void)rt_close(l->poll[i].fd);
        l->poll[i] = l->poll[--l->n];
}

static void on_engine(struct links *l) {
        struct rt_wire_message message;
        int fds[RT_WIRE_MAX_FDS];
        if (rt_wire_receive(RT_FORKSERVER_SOCKET, &message, fds) != 1 || message.op != RT_LINK)
                _exit(0); /* the engine wants us no more */
        if (fds[0] >= 0 && l->n < RT_LEN(l->poll))
                l->poll[l->n++] = (struct pollfd){ .fd = rt_take_fd(&fds[0]), .events = POLLIN };
        for (unsigned i = 0; i < RT_WIRE_MAX_FDS; i++)
                (void)rt_close(fds[i]);
}

/* In a fresh fork: nothing of the server's is open any more but what this slot's keeper sent. */
static void forget_server(const struct links *l) {
        for (unsigned i = 0; i < l->n; i++)
                (void)close(l->poll[i].fd);
}

/* A keeper's wish. True in a guest. */
static bool on_link(struct links *l, unsigned i, const struct sigaction *child_action) {
        struct rt_wire_message message;
        int fds[RT_WIRE_MAX_FDS];
        bool good = rt_wire_receive(l->poll[i].fd, &message, fds) == 1 && message.op == RT_FORK && fds[RT_FORK_GROUPS] >= 0;
        pid_t pid = good ? rt_pool_threads_fork(0) : -1;
        if (pid == 0) {
                forget_server(l);
                (void)sigaction(SIGCHLD, child_action, NULL);
                guest_socket = rt_zygote_serve(&message, fds);
                guest = getpid();
                return true;
        }
        for (unsigned f = 0; good && f < RT_WIRE_MAX_FDS; f++)
                (void)rt_close(fds[f]); /* the keeper sees the end of its socket if there was no fork */
        if (!good)
                drop_link(l, i);
        return false;
}

/* What all forks would share is a way from one guest to the next: but for devices there must be none. */
static int check_descriptors(char why[RT_POOL_WHY]) {
        for (int fd = STDERR_FILENO + 2; fd < MAX_DESCRIPTORS; fd++) {
                struct stat st;
                if (fd == RT_FORKSERVER_SOCKET || fd == RT_FORKSERVER_IMAGE || rt_pool_files_noted(fd) || fstat(fd, &st) < 0 ||
                    S_ISCHR(st.st_mode))
                        continue;
                (void)snprintf(why, RT_POOL_WHY, "descriptor %d (mode %o) would be shared", fd, (unsigned)st.st_mode);
                return -1;
        }
        return 0;
}

static void freeze(struct rt_pool_frozen *ret) {
        char why[RT_POOL_WHY] = "";
        static const char *const ours[] = { "LD_PRELOAD", "RETORT_PARK", "RETORT_GO", "RETORT_MAIN" };
        for (size_t i = 0; i < RT_LEN(ours); i++)
                (void)unsetenv(ours[i]); /* what guests start is to be without us */
        (void)close(RT_FORKSERVER_LIBRARY);
        if (rt_pool_threads_hold(HOLD_MS, why) < 0)
                give_up("the interpreter's threads cannot be held", why);
        if (rt_pool_files_note(why) < 0 || check_descriptors(why) < 0)
                give_up("the interpreter's descriptors cannot be kept apart", why);
        if (rt_pool_freeze(RT_FORKSERVER_IMAGE, RT_POOL_FREEZE_FLAT, ret, why) < 0)
                give_up("the interpreter's memory cannot be frozen", why);
        if (rt_pool_threads_prove(PROVE_MS, rt_pool_files_renew, why) < 0)
                give_up("forks of the interpreter are not whole", why);
}

/* Serves until the engine goes; returns in guests only. */
static void serve(void) {
        struct links l = { .n = 1, .poll = { { .fd = RT_FORKSERVER_SOCKET, .events = POLLIN } } };
        struct rt_pool_frozen frozen = { 0 };
        struct sigaction ignore = { .sa_handler = SIG_IGN, .sa_flags = SA_NOCLDWAIT }, before;
        freeze(&frozen);
        (void)sigaction(SIGCHLD, &ignore, &before);
        struct rt_wire_message ready = { .op = RT_READY };
        if (rt_wire_send(RT_FORKSERVER_SOCKET, &ready, NULL, 0) < 0)
                _exit(1);
        for (;;) {
                if (poll(l.poll, l.n, -1) < 0)
                        continue;
                for (unsigned i = l.n; i-- > 1;) /* downwards: one that is dropped is replaced by the last */
                        if (l.poll[i].revents && on_link(&l, i, &before))
                                return;
                if (l.poll[0].revents)
                        on_engine(&l);
        }
}

/* ---- open(2) and its like ---- */

static int blank(void) {
        return (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC, 0);
}

/* In a guest: its descriptors are its own again, and its threads run. That they do so before 0 to 3 are the program's is
 * time that nobody waits for; no interpreter's thread may look at those before. */
static void wake_threads(void) {
        char why[RT_POOL_WHY] = "";
        if (rt_pool_files_renew(why) < 0 || rt_pool_threads_resume(why) < 0)
                _exit(126);
        (void)mallopt(M_MMAP_MAX, MOST_MAPPED);
        (void)mallopt(M_MMAP_THRESHOLD, MAPPED_FROM);
        (void)mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
}

bool rt_forkserver_is_whole(void) {
        return !served && !rt_ahead_is();
}

/* Whether the path is one of ours, and what the call is then to return. */
bool rt_forkserver_takes(const char *path, int *ret_fd) {
        if (rt_ahead_is())
                return rt_ahead_takes(path, ret_fd);
        if (!path || path[0] != '/' || (served && guest_socket < 0))
                return false;
        if (!served && strcmp(path, RT_FORKSERVER_PARK) == 0) {
                served = true;
                serve();
                wake_threads();
                *ret_fd = blank();
                return true;
        }
        if (served && strcmp(path, RT_FORKSERVER_GO) == 0 && getpid() == guest) {
                *ret_fd = rt_zygote_await_program(rt_take_fd(&guest_socket), main_fd);
                rt_pool_divide();
                return true;
        }
        if (!served && strcmp(path, RT_FORKSERVER_MAIN) == 0) {
                *ret_fd = main_fd = blank();
                return true;
        }
        return false;
}
