/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "bench.h"

/* glibc's sys/mount.h and linux/mount.h cannot both be included. */
int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data);
int umount2(const char *target, int flags);

#define CGROUP2_OF_HYBRID "/sys/fs/cgroup/unified"

int bench_fail(struct bench_contender *c, const char *format, ...) {
        va_list list;
        va_start(list, format);
        (void)vsnprintf(c->why, sizeof c->why, format, list);
        va_end(list);
        return -1;
}

bool bench_find(const char *name, char ret_path[64]) {
        static const char *const places[] = { "/usr/bin", "/usr/local/bin", "/bin", "/usr/sbin" };
        for (size_t i = 0; i < RT_LEN(places); i++) {
                (void)snprintf(ret_path, 64, "%s/%s", places[i], name);
                if (access(ret_path, X_OK) == 0)
                        return true;
        }
        ret_path[0] = 0;
        return false;
}

static pid_t start(const char *const *argv, const char *const *env, int in, int out, int err) {
        posix_spawn_file_actions_t actions;
        pid_t pid = -1;
        if (posix_spawn_file_actions_init(&actions) != 0)
                return -1;
        (void)posix_spawn_file_actions_adddup2(&actions, in, 0);
        (void)posix_spawn_file_actions_adddup2(&actions, out, 1);
        (void)posix_spawn_file_actions_adddup2(&actions, err, 2);
        int failed = posix_spawn(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
        (void)posix_spawn_file_actions_destroy(&actions);
        errno = failed;
        return failed ? -1 : pid;
}

static size_t read_to_end(int fd, char *text, size_t size) {
        size_t used = 0;
        char beyond[4096];
        for (;;) {
                bool full = used == size - 1;
                ssize_t n = full ? read(fd, beyond, sizeof beyond) : read(fd, text + used, size - 1 - used);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        break;
                used += full ? 0 : (size_t)n;
        }
        text[used] = 0;
        return used;
}

static uint64_t cpu_of(const struct rusage *usage) {
        return (uint64_t)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000000u +
               (uint64_t)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) * 1000u;
}

/* It did not do what it should: with its own words, where it had any. */
static int complain(struct bench_contender *c, int status, int words) {
        char text[200] = "";
        ssize_t n = pread(words, text, sizeof text - 1, 0);
        text[n > 0 ? n : 0] = 0;
        text[strcspn(text, "\n")] = 0;
        if (WIFSIGNALED(status))
                return bench_fail(c, "ended by signal %d: %s", WTERMSIG(status), text);
        return bench_fail(c, "exit code %d, or other output: %s", WEXITSTATUS(status), text);
}

/* One program, to its end. */
static int run_one(struct bench_contender *c, const char *const *argv, const char *expected, uint64_t *ret_cpu_ns) {
        char text[256];
        int ends[2], status = 0;
        struct rusage usage = { 0 };
        rt_auto_close int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        rt_auto_close int words = (int)memfd_create("stderr", MFD_CLOEXEC);
        if (pipe2(ends, O_CLOEXEC) < 0)
                return bench_fail(c, "no pipe: %s", strerror(errno));
        pid_t pid = start(argv, c->env, null, ends[1], words);
        int failed = errno;
        (void)rt_close(ends[1]);
        if (pid > 0)
                (void)read_to_end(ends[0], text, sizeof text);
        while (pid > 0 && wait4(pid, &status, 0, &usage) < 0 && errno == EINTR)
                continue;
        (void)rt_close(ends[0]);
        if (pid < 0)
                return bench_fail(c, "cannot start %s: %s", argv[0], strerror(failed));
        *ret_cpu_ns += cpu_of(&usage);
        return status == 0 && strcmp(text, expected) == 0 ? 0 : complain(c, status, words);
}

static int run_here(struct bench_contender *c, struct bench_took *ret) {
        uint64_t begun = rt_now_ns();
        int r = c->compile[0] ? run_one(c, c->compile, "", &ret->cpu_ns) : 0;
        r = r < 0 ? r : run_one(c, c->argv, c->expected, &ret->cpu_ns);
        ret->wall_ns = rt_now_ns() - begun;
        return r;
}

/* ---- in a mount namespace of a thread's own ---- */

struct elsewhere {
        struct bench_contender *c;
        struct bench_took *ret;
        int result;
};

static void *run_elsewhere(void *argument) {
        struct elsewhere *e = argument;
        const unsigned long recursive = 16384, private = 1 << 18;
        if (unshare(CLONE_FS | CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, recursive | private, NULL) < 0 ||
            umount2(CGROUP2_OF_HYBRID, 0) < 0)
                e->result = bench_fail(e->c, "no mount namespace without cgroup2: %s", strerror(errno));
        else
                e->result = run_here(e->c, e->ret);
        return NULL;
}

int bench_run_program(struct bench_contender *c, struct bench_took *ret) {
        if (!c->without_cgroup2 || access(CGROUP2_OF_HYBRID "/cgroup.procs", F_OK) < 0)
                return run_here(c, ret);
        struct elsewhere e = { .c = c, .ret = ret };
        pthread_t thread;
        if (pthread_create(&thread, NULL, run_elsewhere, &e) != 0)
                return bench_fail(c, "no thread");
        (void)pthread_join(thread, NULL);
        return e.result;
}

void bench_first_line(const char *program, const char *option, char *ret, size_t size) {
        const char *const argv[] = { program, option, NULL }, *const env[] = { "PATH=/usr/bin:/bin", NULL };
        int ends[2];
        ret[0] = 0;
        if (pipe2(ends, O_CLOEXEC) < 0)
                return;
        pid_t pid = start(argv, env, 0, ends[1], 2);
        (void)rt_close(ends[1]);
        if (pid > 0) {
                (void)read_to_end(ends[0], ret, size);
                (void)waitpid(pid, NULL, 0);
        }
        (void)rt_close(ends[0]);
        ret[strcspn(ret, "\n")] = 0;
}
