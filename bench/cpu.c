/* SPDX-License-Identifier: Apache-2.0
 *
 * The CPU time of everything that takes part. What runs in boxes is counted by the jailers' cgroups, because a process that
 * dies with its pid namespace is waited for by nobody and its time with it; what runs outside is counted by its own times.
 * Without such cgroups all is counted by processes and what they have waited for.
 */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "bench.h"

enum { PROCESSES_MAX = 8192, BASES_MAX = 64 };

struct process {
        pid_t pid, parent;
        uint64_t own_ns, waited_ns;
        bool is_jailer;
};

static struct process all[PROCESSES_MAX];
static size_t n_all;

static uint64_t ns_of(const struct timeval *t) {
        return (uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_usec * 1000u;
}

static void read_process(pid_t pid) {
        char path[64];
        rt_auto_free char *text = NULL;
        unsigned long t[4] = { 0 };
        struct process *p = &all[n_all];
        *p = (struct process){ .pid = pid };
        (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        if (rt_read_file_at(AT_FDCWD, path, 4096, &text, NULL, NULL) < 0 || !strrchr(text, ')'))
                return;
        if (sscanf(strrchr(text, ')') + 2, "%*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %lu %lu", &p->parent, &t[0], &t[1], &t[2],
                   &t[3]) != 5)
                return;
        uint64_t tick = 1000000000ull / (unsigned long)sysconf(_SC_CLK_TCK);
        p->own_ns = (t[0] + t[1]) * tick;
        p->waited_ns = (t[2] + t[3]) * tick;
        p->is_jailer = strstr(text, "(retort-jailer)") != NULL;
        n_all++;
}

static bool is_below(pid_t pid, pid_t top) {
        for (int depth = 0; depth < 16 && pid > 1; depth++) {
                size_t i = 0;
                while (i < n_all && all[i].pid != pid)
                        i++;
                if (i == n_all)
                        return false;
                pid = all[i].parent;
                if (pid == top)
                        return true;
        }
        return false;
}

/* In a box: the cgroup has its time. */
static bool is_boxed(pid_t pid) {
        char path[64];
        rt_auto_free char *text = NULL;
        (void)snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
        return rt_read_file_at(AT_FDCWD, path, 1 << 16, &text, NULL, NULL) == 0 && strstr(text, "/retort.");
}

/* ---- the jailers' cgroups; nftw takes no argument ---- */

static uint64_t bases_ns;
static unsigned n_bases;

static bool is_ours(const char *name) {
        long pid = strncmp(name, "retort.", 7) == 0 ? strtol(name + 7, NULL, 10) : 0;
        for (size_t i = 0; i < n_all; i++)
                if (all[i].is_jailer && all[i].pid == pid)
                        return is_below((pid_t)pid, getpid());
        return false;
}

static int visit(const char *path, const struct stat *st, int type, struct FTW *place) {
        (void)st;
        char file[4096];
        rt_auto_free char *text = NULL;
        if (type != FTW_D || !is_ours(path + place->base))
                return 0;
        (void)snprintf(file, sizeof file, "%.4000s/cpuacct.usage", path);
        if (rt_read_file_at(AT_FDCWD, file, 64, &text, NULL, NULL) == 0) {
                bases_ns += strtoull(text, NULL, 10);
                n_bases++;
                return 0;
        }
        (void)snprintf(file, sizeof file, "%.4000s/cpu.stat", path);
        const char *at = rt_read_file_at(AT_FDCWD, file, 4096, &text, NULL, NULL) == 0 ? strstr(text, "usage_usec ") : NULL;
        if (at) {
                bases_ns += strtoull(at + 11, NULL, 10) * 1000;
                n_bases++;
        }
        return 0;
}

uint64_t bench_cpu_ns(void) {
        struct rusage self, children;
        n_all = 0;
        DIR *list = opendir("/proc");
        for (struct dirent *e; list && (e = readdir(list)) && n_all < PROCESSES_MAX;)
                if (strtol(e->d_name, NULL, 10) > 0)
                        read_process((pid_t)strtol(e->d_name, NULL, 10));
        if (list)
                (void)closedir(list);
        bases_ns = 0;
        n_bases = 0;
        (void)nftw("/sys/fs/cgroup", visit, 32, FTW_PHYS);
        (void)getrusage(RUSAGE_SELF, &self);
        (void)getrusage(RUSAGE_CHILDREN, &children);
        uint64_t sum = ns_of(&self.ru_utime) + ns_of(&self.ru_stime) + ns_of(&children.ru_utime) + ns_of(&children.ru_stime) + bases_ns;
        for (size_t i = 0; i < n_all; i++) {
                if (!is_below(all[i].pid, getpid()))
                        continue;
                if (n_bases == 0)
                        sum += all[i].own_ns + all[i].waited_ns;
                else if (!is_boxed(all[i].pid))
                        sum += all[i].own_ns;
        }
        return sum;
}
