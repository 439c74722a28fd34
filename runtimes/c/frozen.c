/* SPDX-License-Identifier: Apache-2.0
 *
 * The frozen compiler. Loaded into GCC's own, unmodified cc1 with LD_PRELOAD, it takes the call with which cc1, once it has
 * started up, opens its source: there the process is frozen and forked by libretort-forkserver. A fork does what the driver
 * `gcc` does for a request (drive.c); its own forks return from that call with a source of the request, and are cc1.
 *
 * The first of these is made, and has the memory that it will write to, before there is a request. And before anything is
 * frozen a sample is compiled in this way, and must become the same program, byte by byte, as with gcc.
 */
#undef _FILE_OFFSET_BITS /* with it, the headers make one of open and open64 */
#include "frozen.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PARK "/retort/park"
#define GO "/retort/go"
#define EXPORT __attribute__((visibility("default")))

enum { MAX_TOLD = 8 << 20, PATH_ROOM = 256, SOURCE_FD = 3, REPORT_FD = 4, MOST_COPIES = 16 };

/* A process has one compiler. */
static struct {
        char *source; /* the name that stands for every source: longer than any may be; NULL: not to be frozen */
        char *copies[MOST_COPIES];
        size_t n_copies;
        bool frozen;  /* what is opened from now on is what it says */
        bool compiles; /* a fork that is cc1 */
        int report;   /* in a rehearsal: where to tell what it touched */
        struct frozen_gcc gcc;
} cc = { .report = -1 };

static void give_up(const char *why) __attribute__((noreturn));
static void give_up(const char *why) {
        (void)dprintf(STDERR_FILENO, "%s\n", why);
        _exit(1);
}

static int next_open(const char *path, int flags, mode_t mode) {
        static int (*found)(const char *, int, ...);
        if (!found)
                *(void **)&found = dlsym(RTLD_NEXT, "open");
        return found(path, flags, mode);
}

/* ---- what a request is ---- */

/* The sources of a request, and its environment, in memory that stays. */
static unsigned read_told(int fd, char **sources) {
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= 0 || st.st_size > MAX_TOLD)
                _exit(1);
        char *text = malloc((size_t)st.st_size), *end = text + st.st_size;
        if (!text || pread(fd, text, (size_t)st.st_size, 0) != st.st_size)
                _exit(1);
        unsigned long n = strtoul(text, NULL, 10), variables = 0;
        char *at = text + strlen(text) + 1;
        if (n < 1 || n > FROZEN_FILES)
                _exit(1);
        for (unsigned long i = 0; i < n; i++, at += strlen(at) + 1) {
                if (at >= end || strlen(at) > strlen(cc.source))
                        _exit(1);
                sources[i] = at;
        }
        for (const char *one = at; one < end; one += strlen(one) + 1)
                variables++;
        char **list = calloc(variables + 1, sizeof *list);
        if (!list)
                _exit(1);
        for (variables = 0; at < end; at += strlen(at) + 1)
                list[variables++] = at;
        environ = list;
        return (unsigned)n;
}

/* ---- one cc1 ---- */

/* In a fork: waits for a source, and begins to compile it. What cc1 knows it by is written over the name that it was started
 * with, and over the copies of that. */
static int compile(int socket) {
        static char *sources[FROZEN_FILES];
        unsigned which;
        int told = frozen_await_source(socket, &which);
        if (told < 0)
                _exit(1); /* the driver is gone */
        unsigned n = read_told(told, sources);
        (void)close(told);
        if (which >= n)
                _exit(1);
        (void)strcpy(cc.source, sources[which]);
        for (size_t i = 0; i < cc.n_copies; i++)
                (void)strcpy(cc.copies[i], cc.source);
        return next_open(cc.source, O_RDONLY | O_NOCTTY, 0);
}

/* All that cc1 does is done. */
static void at_end(int code, void *unused) {
        (void)unused;
        if (!cc.compiles)
                return;
        if (cc.report >= 0 && code == 0)
                frozen_tell_touched(cc.report);
        (void)fflush(NULL);
        (void)close(STDOUT_FILENO); /* the assembler waits for this end */
        frozen_tell_code(SOURCE_FD, code);
}

/* *ret_file is the source, in a cc1; else the other end of its socket is returned. */
static int fork_cc1(bool touch, pid_t *ret_pid, int *ret_file) {
        int ends[2];
        *ret_file = -1;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0 || (*ret_pid = fork()) < 0)
                _exit(1);
        if (*ret_pid > 0) {
                (void)close(ends[1]);
                return ends[0];
        }
        /* What else the driver has open is none of the compiler's business, least of all the socket at which it waits. */
        if (dup3(ends[1], SOURCE_FD, O_CLOEXEC) < 0 || close_range(cc.report < 0 ? REPORT_FD : REPORT_FD + 1, ~0u, 0) < 0)
                _exit(1);
        cc.compiles = true;
        if (touch)
                frozen_touch();
        *ret_file = compile(SOURCE_FD);
        return -1;
}

/* ---- the driver ---- */

/* Returns in a cc1, with its source. */
static int drive(bool rehearsing) {
        static char *sources[FROZEN_FILES];
        pid_t pid;
        int file, socket = fork_cc1(!rehearsing, &pid, &file);
        if (socket < 0)
                return file;
        if (cc.report >= 0)
                (void)close(cc.report);
        int told = rehearsing ? memfd_create("sample", MFD_CLOEXEC) : next_open(GO, O_RDONLY | O_CLOEXEC, 0);
        if (rehearsing && write(told, "1\0main.c", 9) != 9)
                _exit(1);
        unsigned n = read_told(told, sources);
        for (unsigned i = 0; i < n; i++) {
                if (i > 0 && (socket = fork_cc1(false, &pid, &file)) < 0)
                        return file;
                frozen_drive_one(&cc.gcc, i, pid, socket, told);
        }
        frozen_drive_end(&cc.gcc);
}

/* ---- before it is frozen ---- */

static bool same_files(const char *one, const char *other) {
        bool same = false;
        FILE *a = fopen(one, "re"), *b = fopen(other, "re");
        for (int x = 0; a && b && x != EOF;) {
                x = getc(a);
                same = x == getc(b);
                if (!same)
                        break;
        }
        if (a)
                (void)fclose(a);
        if (b)
                (void)fclose(b);
        return same;
}

/* main.c is a sample, plain what gcc made of it. Returns as drive does, and with -1 in the process that is to be frozen. */
static int rehearse(void) {
        int ends[2], status;
        if (pipe2(ends, O_CLOEXEC) < 0)
                give_up("no pipe");
        frozen_room();
        pid_t pid = fork();
        if (pid == 0) {
                cc.report = dup3(ends[1], REPORT_FD, O_CLOEXEC);
                cc.frozen = true;
                return drive(true);
        }
        (void)close(ends[1]);
        frozen_hear_touched(ends[0]);
        (void)close(ends[0]);
        if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
                give_up("the sample could not be compiled in a fork of cc1");
        if (!same_files("program", "plain"))
                give_up("a fork of cc1 does not make the same program as gcc");
        return -1;
}

static int serve(const char *opened) {
        bool found = false;
        cc.n_copies = frozen_find(cc.source, cc.copies, MOST_COPIES);
        for (size_t i = 0; i < cc.n_copies && i < MOST_COPIES; i++)
                found |= cc.copies[i] == opened;
        if (!found || cc.n_copies > MOST_COPIES)
                give_up("cc1 has the name of its source in other places than is known");
        int file = rehearse();
        if (cc.frozen)
                return file;
        cc.frozen = true;
        int parked = next_open(PARK, O_RDONLY | O_CLOEXEC, 0);
        if (parked < 0)
                _exit(1);
        (void)close(parked);
        return drive(false); /* only guests come here */
}

static int take_open(const char *path, int flags, mode_t mode) {
        bool source = cc.source && !cc.frozen && strcmp(path, cc.source) == 0;
        return source ? serve(path) : next_open(path, flags, mode);
}

#define OPENS(name, more)                                                                                              \
        EXPORT int name(const char *path, int flags, ...) {                                                            \
                va_list list;                                                                                          \
                va_start(list, flags);                                                                                 \
                mode_t mode = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(list, mode_t) : 0;          \
                va_end(list);                                                                                          \
                return take_open(path, flags | (more), mode);                                                          \
        }
OPENS(open, 0)
OPENS(open64, O_LARGEFILE)

EXPORT void *mmap(void *start, size_t size, int protection, int flags, int fd, off_t offset) {
        return frozen_mmap(start, size, protection, flags, fd, offset);
}

__attribute__((constructor)) static void begin(int argc, char **argv, char **env) {
        static const char *const ours[] = { "RETORT_CC_SOURCE", "RETORT_CC_ASSEMBLER", "RETORT_CC_LINKER", "RETORT_CC_BUGS", "LD_PRELOAD" };
        const char *name = getenv(ours[0]), *assembler = getenv(ours[1]), *linker = getenv(ours[2]), *bugs = getenv(ours[3]);
        (void)env;
        if (!name || !assembler || !linker || !bugs)
                return;
        for (int i = 1; i < argc; i++)
                if (strcmp(argv[i], name) == 0)
                        cc.source = argv[i];
        if (!cc.source || strlen(name) < PATH_ROOM + 2)
                give_up("no name for the source");
        const char *why = frozen_read_assembler(assembler, &cc.gcc.assembler);
        if (!why)
                why = frozen_read_linker(linker, cc.gcc.assembler.at[cc.gcc.assembler.object], &cc.gcc.linker);
        if (why)
                give_up(why);
        (void)snprintf(cc.gcc.bugs, sizeof cc.gcc.bugs, "%s", bugs);
        for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
                (void)unsetenv(ours[i]); /* not for the assembler and the linker */
        if (on_exit(at_end, NULL) != 0)
                give_up("no room");
}
