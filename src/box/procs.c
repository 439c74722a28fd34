/* SPDX-License-Identifier: Apache-2.0
 *
 * What /proc says of a box's processes, for hosts where no cgroup counts for us. A process that came and went between
 * two looks is missed; the outcome says "polling /proc" wherever these numbers were used.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "box/procs.h"

enum { MAX_PROCESSES = 4096 };

struct process {
        pid_t pid;
        pid_t parent;
        uint64_t ticks;
        uint64_t threads;
        uint64_t rss_pages;
        bool ours;
};

/* The fields of proc(5)'s stat behind the name, which may hold anything but ends with the last ')'. */
static bool read_stat(int proc, const char *pid, struct process *ret) {
        char path[64], text[1024];
        (void)snprintf(path, sizeof path, "%.20s/stat", pid);
        rt_auto_close int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        if (n <= 0)
                return false;
        text[n] = 0;
        char *p = strrchr(text, ')');
        if (!p)
                return false;
        *ret = (struct process){ .pid = (pid_t)strtol(pid, NULL, 10) };
        p += 2; /* field 3 */
        for (int field = 3; field <= 24 && *p; field++) {
                uint64_t value = strtoull(p, NULL, 10);
                if (field == 4)
                        ret->parent = (pid_t)value;
                else if (field >= 14 && field <= 17)
                        ret->ticks += value; /* utime, stime, and those of reaped children */
                else if (field == 20)
                        ret->threads = value;
                else if (field == 24)
                        ret->rss_pages = value;
                p += strcspn(p, " ");
                p += *p == ' ';
        }
        return true;
}

/* Marks the descendants of root. Parents may stand behind their children in the list: repeat until nothing changes. */
static void mark(struct process *list, size_t n, pid_t root) {
        bool changed = true;
        while (changed) {
                changed = false;
                for (size_t i = 0; i < n; i++)
                        for (size_t j = 0; j < n && !list[i].ours; j++)
                                if (list[i].parent == root || (list[j].ours && list[j].pid == list[i].parent))
                                        changed = list[i].ours = true;
        }
}

void rt_procs_read(const struct rt_keeper *k, struct rt_procs *ret_procs) {
        *ret_procs = (struct rt_procs){ 0 };
        bool own = rt_keeper_has(k, RT_BOX_PID_NS);
        int dir = own ? dup(k->proc) : open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *list = dir >= 0 ? fdopendir(dir) : NULL;
        struct process *found = list ? calloc(MAX_PROCESSES, sizeof *found) : NULL;
        size_t n = 0;
        if (list)
                rewinddir(list);
        for (struct dirent *e; found && n < MAX_PROCESSES && (e = readdir(list));)
                if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && read_stat(dir, e->d_name, &found[n]))
                        n++;
        if (found)
                mark(found, n, own ? 1 : k->init);
        uint64_t tick_ns = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
        for (size_t i = 0; i < n; i++) {
                if (!found[i].ours)
                        continue;
                ret_procs->cpu_ns += found[i].ticks * tick_ns;
                ret_procs->threads += found[i].threads;
                ret_procs->rss_bytes += found[i].rss_pages * (uint64_t)sysconf(_SC_PAGESIZE);
        }
        free(found);
        if (list)
                (void)closedir(list);
}

uint32_t rt_tasks_of_user(uid_t uid) {
        uint32_t n = 0;
        DIR *list = opendir("/proc");
        for (struct dirent *e; list && (e = readdir(list));) {
                char path[32];
                struct stat st;
                (void)snprintf(path, sizeof path, "%.20s/task", e->d_name);
                if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && fstatat(dirfd(list), path, &st, 0) == 0 &&
                    st.st_uid == uid && st.st_nlink > 2)
                        n += (uint32_t)st.st_nlink - 2; /* a directory for each, and its own two */
        }
        if (list)
                (void)closedir(list);
        return n;
}

bool rt_process_gone(pid_t pid) {
        char path[32];
        rt_auto_free char *text = NULL;
        if (kill(pid, 0) < 0 && errno == ESRCH)
                return true;
        (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        const char *end = rt_read_file_at(AT_FDCWD, path, 4096, &text, NULL, NULL) == 0 ? strrchr(text, ')') : NULL;
        return end && (strncmp(end, ") Z", 3) == 0 || strncmp(end, ") X", 3) == 0);
}
