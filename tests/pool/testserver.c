/* SPDX-License-Identifier: Apache-2.0
 *
 * The least fork server there can be, to prove src/pool with real interpreters: loaded with LD_PRELOAD, no sandbox at all.
 * The program opens RETORT_PARK when it is warm; from then on it serves: a message on the socket TEST_SOCKET with the
 * descriptors 0 to 3 of a run, its folder and its strings makes a child, which is the test's own (CLONE_PARENT). In the
 * child, opening RETORT_GO gives the strings and sets the environment; a file opened as RETORT_MAIN before becomes the
 * program's file then (for interpreters that open it before anything else).
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

#include "pool/divide.h"
#include "pool/files.h"
#include "pool/freeze.h"
#include "pool/raw.h"
#include "pool/threads.h"

#define EXPORT __attribute__((visibility("default")))

enum { FOLDER = 4, STRINGS, GIVEN, KEPT_FROM = 200 };

static char park_path[64], go_path[64], main_path[64], why[RT_POOL_WHY];
static int server_socket = -1, main_fd = -1, strings = -1;
static int kept[FOLDER]; /* what 0 to 3 are to be at RETORT_GO: until then the interpreter may use them otherwise */
static bool parked, in_child;

int EXPORT open(const char *path, int flags, ...);
int EXPORT open64(const char *path, int flags, ...);
int EXPORT openat(int dir, const char *path, int flags, ...);
int EXPORT openat64(int dir, const char *path, int flags, ...);
FILE EXPORT *fopen(const char *path, const char *mode);
FILE EXPORT *fopen64(const char *path, const char *mode);
int EXPORT madvise(void *start, size_t size, int advice);

static void keep(char to[64], const char *name) {
        const char *value = getenv(name);
        if (value)
                (void)snprintf(to, 64, "%s", value);
}

__attribute__((constructor)) static void begin(void) {
        keep(park_path, "RETORT_PARK");
        keep(go_path, "RETORT_GO");
        keep(main_path, "RETORT_MAIN");
        const char *number = getenv("TEST_SOCKET");
        if (number)
                server_socket = (int)strtol(number, NULL, 10);
        (void)mallopt(M_MMAP_MAX, 0); /* what malloc maps by itself it also grows, past the end of what is frozen */
}

static void say_and_end(const char *what) {
        char text[256];
        int size = snprintf(text, sizeof text, "failed: %s: %s", what, why);
        (void)send(server_socket, text, (size_t)size, 0);
        _exit(70);
}

/* ---- the server ---- */

static int open_image(void) {
        const char *folder = getenv("TEST_IMAGE");
        return folder && *folder ? (int)rt_raw(SYS_openat, AT_FDCWD, folder, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600)
                                 : memfd_create("image", MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

static void settle(void) {
        struct rt_pool_frozen done = { 0 };
        const char *mode = getenv("TEST_FREEZE");
        (void)unsetenv("LD_PRELOAD"); /* the programs' own children are no servers */
        if (rt_pool_threads_hold(5000, why) < 0)
                say_and_end("threads");
        if (rt_pool_files_note(why) < 0)
                say_and_end("files");
        if ((!mode || strcmp(mode, "no") != 0) &&
            rt_pool_freeze(open_image(), mode && strcmp(mode, "data") == 0 ? RT_POOL_FREEZE_DATA : RT_POOL_FREEZE_FLAT,
                           &done, why) < 0)
                say_and_end("freeze");
        if (rt_pool_threads_prove(10000, rt_pool_files_renew, why) < 0)
                say_and_end("proof");
        char text[256];
        int size = snprintf(text, sizeof text, "ready: %u threads, %zu pieces, %.1f MiB mapped, %.1f MiB of data",
                            rt_pool_threads_count(), done.pieces, (double)done.mapped_bytes / (1 << 20),
                            (double)done.data_bytes / (1 << 20));
        (void)send(server_socket, text, (size_t)size, 0);
}

static int receive(int fds[GIVEN]) {
        char byte, control[CMSG_SPACE(GIVEN * sizeof(int))];
        struct iovec part = { &byte, 1 };
        struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
                                  .msg_controllen = sizeof control };
        ssize_t n = recvmsg(server_socket, &message, MSG_CMSG_CLOEXEC);
        if (n <= 0)
                _exit(0);
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        if (!head || head->cmsg_len != CMSG_LEN(GIVEN * sizeof(int)))
                return -1;
        memcpy(fds, CMSG_DATA(head), GIVEN * sizeof(int));
        return 0;
}

static void begin_child(const int fds[GIVEN]) {
        in_child = true;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)close(server_socket);
        for (int i = 0; i < FOLDER; i++) {
                kept[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, KEPT_FROM);
                (void)dup2(fds[i], i);
        }
        (void)!fchdir(fds[FOLDER]);
        strings = fds[STRINGS];
        for (int i = 0; i <= FOLDER; i++)
                (void)close(fds[i]);
        if (rt_pool_files_renew(why) < 0 || rt_pool_threads_resume(why) < 0) {
                (void)dprintf(2, "testserver: %s\n", why);
                _exit(71);
        }
}

static int park(void) {
        if (parked)
                return (int)rt_raw(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC);
        parked = true;
        settle();
        for (;;) {
                int fds[GIVEN];
                if (receive(fds) < 0)
                        continue;
                pid_t pid = rt_pool_threads_fork(CLONE_PARENT);
                if (pid == 0) {
                        begin_child(fds);
                        return park();
                }
                for (int i = 0; i < GIVEN; i++)
                        (void)close(fds[i]);
                (void)send(server_socket, &pid, sizeof pid, 0);
        }
}

/* ---- the child's program ---- */

extern char **environ;

/* Strings are: their number, the arguments, the environment. Never freed: they are the process's own now. */
static void set_environment(const char *text, size_t size) {
        size_t skip = (size_t)strtol(text, NULL, 10) + 1, count = 0;
        for (size_t i = 0; i < size; i++)
                count += text[i] == 0;
        char **list = calloc(count + 1, sizeof *list);
        size_t number = 0, to = 0;
        for (const char *at = text; list && at < text + size; at += strlen(at) + 1, number++)
                if (number >= skip)
                        list[to++] = strdup(at);
        if (list)
                environ = list;
}

static int go(void) {
        struct stat about;
        if (!in_child || fstat(strings, &about) < 0)
                return -1;
        for (int i = 0; i < FOLDER; i++) {
                (void)dup2(kept[i], i);
                (void)close(kept[i]);
        }
        size_t size = (size_t)about.st_size;
        char *text = mmap(NULL, size, PROT_READ, MAP_SHARED, strings, 0);
        if (text == MAP_FAILED)
                return -1;
        set_environment(text, size);
        const char *file = text + strlen(text) + 1;
        if (main_fd >= 0) {
                int fd = (int)rt_raw(SYS_openat, AT_FDCWD, file, O_RDONLY);
                if (fd < 0 || dup2(fd, main_fd) < 0)
                        _exit(72);
                (void)close(fd);
        }
        (void)munmap(text, size);
        (void)mallopt(M_MMAP_MAX, 65536);
        int fd = strings;
        strings = -1;
        rt_pool_divide();
        return fd;
}

/* ---- what programs call ---- */

/* Is the path one of ours? Then *ret_fd is what opening it gives. */
static bool is_ours(const char *path, int *ret_fd) {
        if (!path || path[0] != '/' || !*park_path)
                return false;
        if (strcmp(path, park_path) == 0)
                *ret_fd = park();
        else if (strcmp(path, go_path) == 0)
                *ret_fd = go();
        else if (strcmp(path, main_path) == 0 && !in_child)
                *ret_fd = main_fd = (int)rt_raw(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY);
        else
                return false;
        return true;
}

static int open_any(int dir, const char *path, int flags, mode_t mode) {
        int fd;
        if (is_ours(path, &fd))
                return fd;
        return (int)syscall(SYS_openat, dir, path, flags, mode); /* keeps errno as open does */
}

#define MODE_OF(flags)                                                                              \
        mode_t mode = 0;                                                                            \
        if ((flags) & (O_CREAT | __O_TMPFILE)) {                                                    \
                va_list more;                                                                       \
                va_start(more, flags);                                                              \
                mode = va_arg(more, mode_t);                                                        \
                va_end(more);                                                                       \
        }

int open(const char *path, int flags, ...) {
        MODE_OF(flags)
        return open_any(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
        MODE_OF(flags)
        return open_any(AT_FDCWD, path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...) {
        MODE_OF(flags)
        return open_any(dir, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...) {
        MODE_OF(flags)
        return open_any(dir, path, flags, mode);
}

extern FILE *_IO_fopen(const char *path, const char *mode); /* fopen's other name in glibc */

FILE *fopen(const char *path, const char *mode) {
        int fd;
        if (!is_ours(path, &fd))
                return _IO_fopen(path, mode);
        return fd < 0 ? NULL : fdopen(fd, mode);
}

FILE *fopen64(const char *path, const char *mode) {
        return fopen(path, mode);
}

int madvise(void *start, size_t size, int advice) {
        return rt_pool_advise(start, size, advice, !in_child);
}
