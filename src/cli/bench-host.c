/* SPDX-License-Identifier: Apache-2.0
 *
 * This machine without Retort: the same program by hand, as a floor; and what processes hold in memory.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"
#include "cli/bench.h"

enum { WORDS = 7, LONGEST_MS = 60000 };

/* ---- programs by hand ---- */

/* What a person would type. Where there are two, the first is the compiler. */
struct way {
        const char *language;
        const char *source;
        const char *argv[2][WORDS];
};

static const struct way ways[] = {
        { "python", "hello.py", { { "python3", "hello.py" } } },
        { "javascript", "hello.js", { { "node", "hello.js" } } },
        { "r", "hello.R", { { "Rscript", "hello.R" } } },
        { "java", "Hello.java", { { "javac", "Hello.java" }, { "java", "-cp", ".", "Hello" } } },
        { "c", "hello.c", { { "gcc", "-O2", "hello.c", "-o", "hello" }, { "./hello" } } },
        { "cpp", "hello.cpp", { { "g++", "-O2", "hello.cpp", "-o", "hello" }, { "./hello" } } },
        { "bash", "hello.sh", { { "bash", "hello.sh" } } },
        { "ruby", "hello.rb", { { "ruby", "hello.rb" } } },
        { "php", "hello.php", { { "php", "hello.php" } } },
};

struct rt_bench_plain {
        const struct way *way;
        char folder[256];
        char programs[2][64];
};

static bool find_program(const char *name, char ret_path[64]) {
        static const char *const places[] = { "/usr/local/bin", "/usr/bin", "/bin" }; /* as guests have it */
        for (size_t i = 0; i < RT_LEN(places); i++) {
                (void)snprintf(ret_path, 64, "%s/%s", places[i], name);
                if (access(ret_path, X_OK) == 0)
                        return true;
        }
        return false;
}

static int fill_folder(struct rt_bench_plain *p, const char *code) {
        const char *base = getenv("TMPDIR");
        char path[512];
        (void)snprintf(p->folder, sizeof p->folder, "%.200s/retort-bench.XXXXXX", base && *base ? base : P_tmpdir);
        if (!mkdtemp(p->folder)) {
                p->folder[0] = 0;
                return -1;
        }
        (void)snprintf(path, sizeof path, "%s/%s", p->folder, p->way->source);
        rt_auto_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        return fd < 0 ? -1 : rt_write_all(fd, code, strlen(code));
}

struct rt_bench_plain *rt_bench_plain_open(const char *language, const char *code, char *ret_why, size_t size) {
        const struct way *way = NULL;
        for (size_t i = 0; i < RT_LEN(ways) && !way; i++)
                if (strcmp(ways[i].language, language) == 0)
                        way = &ways[i];
        struct rt_bench_plain *p = way ? calloc(1, sizeof *p) : NULL;
        if (!p) {
                (void)snprintf(ret_why, size, "%s", way ? "out of memory" : "bench does not know how to run it by hand");
                return NULL;
        }
        p->way = way;
        for (size_t i = 0; i < 2 && way->argv[i][0]; i++) {
                if (way->argv[i][0][0] == '.') {
                        (void)snprintf(p->programs[i], sizeof p->programs[i], "%s", way->argv[i][0]);
                } else if (!find_program(way->argv[i][0], p->programs[i])) {
                        (void)snprintf(ret_why, size, "%s is not in /usr/bin", way->argv[i][0]);
                        rt_bench_plain_close(p);
                        return NULL;
                }
        }
        if (fill_folder(p, code) == 0)
                return p;
        (void)snprintf(ret_why, size, "no folder for it: %s", strerror(errno));
        rt_bench_plain_close(p);
        return NULL;
}

void rt_bench_plain_close(struct rt_bench_plain *p) {
        DIR *list = p && p->folder[0] ? opendir(p->folder) : NULL;
        for (struct dirent *e; list && (e = readdir(list));)
                (void)unlinkat(dirfd(list), e->d_name, 0);
        if (list && closedir(list) == 0)
                (void)rmdir(p->folder);
        free(p);
}

static pid_t start(const struct rt_bench_plain *p, size_t which, int null, int out) {
        static const char *const env[] = { "PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", NULL };
        posix_spawn_file_actions_t actions;
        pid_t pid = -1;
        if (posix_spawn_file_actions_init(&actions) != 0)
                return -1;
        (void)posix_spawn_file_actions_adddup2(&actions, null, 0);
        (void)posix_spawn_file_actions_adddup2(&actions, out, 1);
        (void)posix_spawn_file_actions_adddup2(&actions, null, 2);
        (void)posix_spawn_file_actions_addchdir_np(&actions, p->folder);
        int failed = posix_spawn(&pid, p->programs[which], &actions, NULL, (char *const *)(uintptr_t)p->way->argv[which],
                                 (char *const *)(uintptr_t)env);
        (void)posix_spawn_file_actions_destroy(&actions);
        return failed ? -1 : pid;
}

/* Until it has closed its stdout and ended; it is killed when that takes too long. */
static int follow(pid_t pid, int in, size_t *ret_size) {
        char beyond[4096];
        int status = -1;
        rt_auto_close int end = (int)syscall(SYS_pidfd_open, pid, 0);
        struct pollfd both[2] = { { .fd = in, .events = POLLIN }, { .fd = end, .events = POLLIN } };
        uint64_t deadline = rt_now_ns() + LONGEST_MS * 1000000ull;
        while (both[0].fd >= 0 || both[1].fd >= 0) {
                uint64_t now = rt_now_ns();
                int n = now >= deadline ? 0 : poll(both, 2, (int)((deadline - now) / 1000000) + 1);
                if (n == 0)
                        (void)kill(pid, SIGKILL);
                if (n == 0 || (n < 0 && errno != EINTR))
                        break;
                ssize_t got = n > 0 && both[0].revents ? read(in, beyond, sizeof beyond) : -1;
                *ret_size += got > 0 ? (size_t)got : 0;
                if (got == 0)
                        both[0].fd = -1;
                if (n > 0 && both[1].revents)
                        both[1].fd = -1;
        }
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        return status;
}

static int run_one(const struct rt_bench_plain *p, size_t which, size_t *ret_size) {
        int ends[2];
        rt_auto_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null < 0 || pipe2(ends, O_CLOEXEC) < 0)
                return -1;
        pid_t pid = start(p, which, null, ends[1]);
        (void)rt_close(ends[1]);
        int status = pid < 0 ? -1 : follow(pid, ends[0], ret_size);
        (void)rt_close(ends[0]);
        return status;
}

int rt_bench_plain_run(const struct rt_bench_plain *p, uint64_t *ret_ns) {
        size_t size = 0;
        int status = 0;
        uint64_t begun = rt_now_ns();
        for (size_t i = 0; i < 2 && p->way->argv[i][0] && status == 0; i++)
                status = run_one(p, i, &size);
        *ret_ns = rt_now_ns() - begun;
        return status == 0 && size > 0 ? 0 : -1;
}

/* ---- the machine ---- */

unsigned rt_bench_cpus(void) {
        cpu_set_t set;
        int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);
        return n < 1 ? 1 : (unsigned)n;
}

void rt_bench_cpu_model(char *ret, size_t size) {
        char line[256];
        FILE *file = fopen("/proc/cpuinfo", "re");
        (void)snprintf(ret, size, "unknown CPU");
        while (file && fgets(line, sizeof line, file))
                if (strncmp(line, "model name", 10) == 0 && strchr(line, ':')) {
                        line[strcspn(line, "\n")] = 0;
                        (void)snprintf(ret, size, "%s", strchr(line, ':') + 2);
                        break;
                }
        if (file)
                (void)fclose(file);
}

/* ---- memory ---- */

static pid_t parent_of(pid_t pid, char name[32]) {
        char path[64], text[512];
        (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        rt_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        if (n <= 0)
                return -1;
        text[n] = 0;
        char *from = strchr(text, '('), *to = strrchr(text, ')');
        if (!from || !to || strlen(to) < 5)
                return -1;
        (void)snprintf(name, 32, "%.*s", (int)(to - from - 1), from + 1);
        return (pid_t)strtol(to + 4, NULL, 10);
}

static bool is_below(pid_t pid, pid_t top) {
        char name[32];
        for (int depth = 0; depth < 16 && pid > 1; depth++)
                if ((pid = parent_of(pid, name)) == top)
                        return true;
        return false;
}

static uint64_t field(const char *text, const char *name) {
        const char *at = strstr(text, name);
        return at ? strtoull(at + strlen(name), NULL, 10) * 1024 : 0;
}

static bool add_process(struct rt_bench_memory *m, pid_t pid) {
        char name[32], path[64];
        rt_auto_free char *text = NULL;
        unsigned i = 0;
        if (parent_of(pid, name) < 0)
                return true; /* it has just ended */
        (void)snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
        if (rt_read_file_at(AT_FDCWD, path, 1 << 16, &text, NULL, NULL) < 0)
                return parent_of(pid, name) < 0;
        while (i < m->n && strcmp(m->kinds[i].name, name) != 0)
                i++;
        if (i == RT_LEN(m->kinds))
                i--; /* what does not fit is counted with the last */
        if (i == m->n)
                (void)snprintf(m->kinds[m->n++].name, sizeof m->kinds[0].name, "%s", name);
        uint64_t rss = field(text, "\nRss:"), pss = field(text, "\nPss:");
        uint64_t private = field(text, "\nPrivate_Clean:") + field(text, "\nPrivate_Dirty:") + field(text, "\nPrivate_Hugetlb:");
        m->kinds[i].n++;
        m->kinds[i].rss_bytes += rss;
        m->kinds[i].pss_bytes += pss;
        m->kinds[i].private_bytes += private;
        m->rss_bytes += rss;
        m->pss_bytes += pss;
        m->private_bytes += private;
        m->boxes += strcmp(name, "retort-keeper") == 0;
        return true;
}

bool rt_bench_memory(struct rt_bench_memory *m) {
        *m = (struct rt_bench_memory){ 0 };
        DIR *list = opendir("/proc");
        bool told = list != NULL;
        for (struct dirent *e; list && (e = readdir(list));) {
                pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
                if (pid > 0 && is_below(pid, getpid()))
                        told &= add_process(m, pid);
        }
        if (list)
                (void)closedir(list);
        return told && m->n > 0;
}
