/* SPDX-License-Identifier: Apache-2.0
 *
 * The frozen compiler. Loaded into GCC's own, unmodified cc1 with LD_PRELOAD, it takes the call with which cc1, once it has
 * started up, opens its source: there the process is frozen and forked by libretort-forkserver, and each fork goes on with
 * the file of a request. What the driver `gcc` does around cc1 is done here: the assembler that reads what cc1 writes, one
 * more cc1 for each further source, and the linker; with the arguments that gcc itself gave to them when it was asked
 * (start.sh). Before anything is frozen a sample is compiled in this way, and must become the same program, byte by byte, as
 * with gcc.
 */
#undef _FILE_OFFSET_BITS /* with it, the headers make one of open and open64 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "frozen.h"

#define PARK "/retort/park"
#define GO "/retort/go"
#define EXPORT __attribute__((visibility("default")))

enum { MAX_TOLD = 1 << 20, MAX_FILES = 1024, PATH_ROOM = 256, FD_ROOM = 16 };

extern char **environ;

/* A process has one compiler. */
static struct {
        char *source; /* the name that stands for every source: as long as any may be; NULL: not to be frozen */
        struct frozen_words assembler, linker;
        enum { NOT_OURS, MAIN, ONE_OF_MANY } role; /* in a fork: which of its processes this is */
        bool rehearsing;
        int report;   /* where a rehearsal tells what it touched */
        int output;   /* the step's stdout while cc1's is the assembler's stdin */
        pid_t assembling;
        unsigned failed; /* sources, and what was made of them */
        unsigned n_objects;
        char object[MAX_FILES][32];
} cc = { .report = -1, .output = -1, .assembling = -1 };

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

/* ---- what the driver does ---- */

/* As gcc says it. */
static void tell_killed(const char *program, int status) {
        (void)dprintf(STDERR_FILENO, "gcc: fatal error: %s signal terminated program %s\ncompilation terminated.\n",
                      strsignal(WTERMSIG(status)), program);
}

static int await(pid_t pid) {
        int status = -1;
        while (pid > 0 && waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -1;
        return status;
}

/* A name as gcc gives to what the assembler makes. */
static void name_object(unsigned i) {
        int file = mkstemps(strcpy(cc.object[i], "/tmp/ccXXXXXX.o"), 2);
        if (file >= 0)
                (void)close(file);
        cc.n_objects = i + 1;
}

/* The assembler, reading from a pipe that becomes cc1's stdout. */
static pid_t start_assembler(char *object) {
        posix_spawn_file_actions_t actions;
        int ends[2];
        pid_t pid = -1;
        if (pipe2(ends, O_CLOEXEC) < 0 || posix_spawn_file_actions_init(&actions) != 0)
                return -1;
        (void)posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
        cc.assembler.at[cc.assembler.object] = object;
        if (posix_spawnp(&pid, cc.assembler.at[0], &actions, NULL, cc.assembler.at, environ) != 0)
                pid = -1;
        (void)posix_spawn_file_actions_destroy(&actions);
        if (dup2(ends[1], STDOUT_FILENO) < 0)
                pid = -1;
        (void)close(ends[0]);
        (void)close(ends[1]);
        return pid;
}

/* Begins to compile one source: returns it, opened. What cc1 knows it by is written over the name that it was started with. */
static int begin(char *opened, const char *name) {
        char *object = cc.object[cc.n_objects - 1];
        cc.assembling = start_assembler(object);
        if (cc.assembling < 0) {
                (void)dprintf(STDERR_FILENO, "gcc: fatal error: cannot execute '%s': %s\ncompilation terminated.\n",
                              cc.assembler.at[0], strerror(errno));
                (void)unlink(object);
                _exit(1);
        }
        (void)strcpy(opened, name);
        (void)strcpy(cc.source, name);
        return next_open(name, O_RDONLY | O_NOCTTY, 0);
}

static int link_objects(void) {
        static char *argv[FROZEN_WORDS + MAX_FILES];
        size_t n = 0;
        pid_t pid;
        for (size_t i = 0; i < cc.linker.n; i++) {
                if (i != cc.linker.object)
                        argv[n++] = cc.linker.at[i];
                for (size_t k = 0; i == cc.linker.object && k < cc.n_objects; k++)
                        argv[n++] = cc.object[k];
        }
        argv[n] = NULL;
        if (posix_spawn(&pid, argv[0], NULL, NULL, argv, environ) != 0) {
                (void)dprintf(STDERR_FILENO, "collect2: fatal error: cannot find 'ld'\ncompilation terminated.\n");
                return 1;
        }
        int status = await(pid);
        if (WIFSIGNALED(status))
                (void)dprintf(STDERR_FILENO, "collect2: fatal error: ld terminated with signal %d [%s]%s\ncompilation terminated.\n",
                              WTERMSIG(status), strsignal(WTERMSIG(status)), WCOREDUMP(status) ? ", core dumped" : "");
        else if (status != 0)
                (void)dprintf(STDERR_FILENO, "collect2: error: ld returned %d exit status\n", WEXITSTATUS(status));
        return status != 0;
}

/* cc1 has done all it does; nothing of its own comes after this. */
static void at_end(int code, void *unused) {
        (void)unused;
        if (cc.role == NOT_OURS)
                return;
        (void)fflush(NULL);
        if (cc.rehearsing)
                frozen_tell_touched(cc.report);
        (void)dup2(cc.output, STDOUT_FILENO); /* cc1's end of the pipe */
        int status = await(cc.assembling);
        if (WIFSIGNALED(status))
                tell_killed("as", status);
        cc.failed += code != 0 || status != 0;
        if (cc.role == ONE_OF_MANY)
                _exit(cc.failed > 0);
        bool good = cc.failed == 0 && link_objects() == 0;
        for (size_t i = 0; i < cc.n_objects; i++)
                (void)unlink(cc.object[i]);
        _exit(!good);
}

/* All but the last source are compiled by forks of this process, one after the other; the last one by itself. */
static int compile(char *opened, char *const *names, unsigned n) {
        cc.output = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, FD_ROOM);
        cc.role = MAIN;
        for (unsigned i = 0; i + 1 < n; i++) {
                name_object(i);
                pid_t pid = fork();
                if (pid == 0) {
                        cc.role = ONE_OF_MANY;
                        return begin(opened, names[i]);
                }
                int status = pid < 0 ? -1 : await(pid);
                if (WIFSIGNALED(status))
                        tell_killed("cc1", status);
                cc.failed += status != 0;
        }
        name_object(n - 1);
        return begin(opened, names[n - 1]);
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

/* main.c is a sample, plain what gcc made of it. */
static int rehearse(char *opened, bool *ret_rehearsing) {
        static char *const names[] = { "main.c" };
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
                give_up("no pipe");
        pid_t pid = fork();
        *ret_rehearsing = pid == 0;
        if (pid == 0) {
                (void)close(ends[0]);
                cc.report = ends[1];
                cc.rehearsing = true;
                return compile(opened, names, 1);
        }
        (void)close(ends[1]);
        frozen_hear_touched(ends[0]);
        (void)close(ends[0]);
        if (pid < 0 || await(pid) != 0)
                give_up("the sample could not be compiled in a fork of cc1");
        if (!same_files("program", "plain"))
                give_up("a fork of cc1 does not make the same program as gcc");
        return -1;
}

/* ---- in a guest ---- */

/* The names of the sources of a request, in memory that stays. */
static unsigned read_names(int fd, char **names) {
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= 0 || st.st_size > MAX_TOLD)
                _exit(1);
        char *text = malloc((size_t)st.st_size);
        if (!text || read(fd, text, (size_t)st.st_size) != st.st_size)
                _exit(1);
        (void)close(fd);
        unsigned long n = strtoul(text, NULL, 10);
        char *at = text + strlen(text) + 1;
        if (n < 1 || n > MAX_FILES)
                _exit(1);
        for (unsigned long i = 0; i < n; i++, at += strlen(at) + 1) {
                if (strlen(at) > strlen(cc.source))
                        _exit(1);
                names[i] = at;
        }
        return (unsigned)n;
}

static int serve(char *opened) {
        static char *names[MAX_FILES];
        bool rehearsing;
        frozen_room();
        int file = rehearse(opened, &rehearsing);
        if (rehearsing)
                return file;
        int parked = next_open(PARK, O_RDONLY | O_CLOEXEC, 0);
        if (parked < 0)
                _exit(1);
        (void)close(parked);
        /* Only guests come here. */
        frozen_touch();
        unsigned n = read_names(next_open(GO, O_RDONLY | O_CLOEXEC, 0), names);
        return compile(opened, names, n);
}

/* Of the source's name this is a copy that cc1 keeps, and will tell people. */
static int take_open(const char *path, int flags, mode_t mode) {
        bool source = cc.source && cc.role == NOT_OURS && strcmp(path, cc.source) == 0;
        return source ? serve((char *)(uintptr_t)path) : next_open(path, flags, mode);
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

__attribute__((constructor)) static void begin_frozen(int argc, char **argv, char **env) {
        const char *name = getenv("RETORT_CC_SOURCE");
        const char *assembler = getenv("RETORT_CC_ASSEMBLER");
        const char *linker = getenv("RETORT_CC_LINKER");
        (void)env;
        if (!name || !assembler || !linker)
                return;
        for (int i = 1; i < argc; i++)
                if (strcmp(argv[i], name) == 0)
                        cc.source = argv[i];
        if (!cc.source || strlen(name) < PATH_ROOM + 2)
                give_up("no name for the source");
        const char *why = frozen_read_assembler(assembler, &cc.assembler);
        if (!why)
                why = frozen_read_linker(linker, cc.assembler.at[cc.assembler.object], &cc.linker);
        if (why)
                give_up(why);
        static const char *const ours[] = { "LD_PRELOAD", "RETORT_CC_SOURCE", "RETORT_CC_ASSEMBLER", "RETORT_CC_LINKER" };
        for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
                (void)unsetenv(ours[i]); /* not for the assembler and the linker */
        if (on_exit(at_end, NULL) != 0)
                give_up("no room");
}
