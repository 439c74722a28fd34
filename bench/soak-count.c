/* SPDX-License-Identifier: Apache-2.0 */
#include "soak.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"

enum { PROCESSES_MAX = 16384, NAMESPACES_MAX = 1024, TMPFS = 0x01021994, FILE_MAX = 4 << 20 };

struct process {
        pid_t pid, parent;
        char state;
        char name[32];
};

static struct process all[PROCESSES_MAX];

/* ---- texts ---- */

static char *read_proc(pid_t pid, const char *name) {
        char path[96], *text = NULL;
        if (pid)
                (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
        else
                (void)snprintf(path, sizeof path, "/proc/%s", name);
        return rt_read_file_at(AT_FDCWD, path, FILE_MAX, &text, NULL, NULL) == 0 ? text : NULL;
}

static uint64_t lines_of(pid_t pid, const char *name) {
        rt_auto_free char *text = read_proc(pid, name);
        uint64_t n = 0;
        for (const char *p = text; p && (p = strchr(p, '\n')); p++)
                n++;
        return n;
}

/* "\nRss:   123 kB" in bytes. */
static uint64_t bytes_of(const char *text, const char *key) {
        const char *at = text ? strstr(text, key) : NULL;
        return at ? strtoull(at + strlen(key), NULL, 10) * 1024 : 0;
}

static uint64_t entries_of(const char *path) {
        uint64_t n = 0;
        DIR *list = opendir(path);
        for (struct dirent *e; list && (e = readdir(list));)
                n += e->d_name[0] != '.';
        if (list)
                (void)closedir(list);
        return n;
}

/* ---- processes ---- */

static size_t list_processes(void) {
        size_t n = 0;
        DIR *list = opendir("/proc");
        for (struct dirent *e; list && (e = readdir(list)) && n < PROCESSES_MAX;) {
                pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
                rt_auto_free char *text = pid > 0 ? read_proc(pid, "stat") : NULL;
                char *from = text ? strchr(text, '(') : NULL, *to = text ? strrchr(text, ')') : NULL;
                if (!from || !to)
                        continue;
                struct process *p = &all[n++];
                p->pid = pid;
                (void)snprintf(p->name, sizeof p->name, "%.*s", (int)(to - from - 1), from + 1);
                (void)sscanf(to + 2, "%c %d", &p->state, &p->parent);
        }
        if (list)
                (void)closedir(list);
        return n;
}

static bool is_below(size_t n, pid_t pid) {
        for (int depth = 0; depth < 32 && pid > 1; depth++) {
                size_t i = 0;
                while (i < n && all[i].pid != pid)
                        i++;
                if (i == n)
                        return false;
                pid = all[i].parent;
                if (pid == getpid())
                        return true;
        }
        return false;
}

/* A mount namespace is counted once, by the first process in it. */
static bool is_new_namespace(pid_t pid, ino_t *seen, size_t *n_seen) {
        char path[64];
        struct stat st, own;
        (void)snprintf(path, sizeof path, "/proc/%d/ns/mnt", (int)pid);
        if (stat(path, &st) < 0 || stat("/proc/self/ns/mnt", &own) < 0 || st.st_ino == own.st_ino)
                return false;
        for (size_t i = 0; i < *n_seen; i++)
                if (seen[i] == st.st_ino)
                        return false;
        if (*n_seen < NAMESPACES_MAX)
                seen[(*n_seen)++] = st.st_ino;
        return true;
}

/* What lies in the directories that a guest may write to. */
static uint64_t tmpfs_of(pid_t pid) {
        static const char *const places[] = { "tmp", "work", "dev/shm" };
        uint64_t bytes = 0;
        for (size_t i = 0; i < RT_LEN(places); i++) {
                char path[96];
                struct statfs fs;
                (void)snprintf(path, sizeof path, "/proc/%d/root/%s", (int)pid, places[i]);
                if (statfs(path, &fs) == 0 && fs.f_type == TMPFS)
                        bytes += (uint64_t)(fs.f_blocks - fs.f_bfree) * (uint64_t)fs.f_bsize;
        }
        return bytes;
}

static void remember_jailer(struct soak_jailers *j, pid_t pid) {
        for (unsigned i = 0; i < j->n; i++)
                if (j->ids[i] == pid)
                        return;
        if (j->n < RT_LEN(j->ids))
                j->ids[j->n++] = pid;
}

static void count_process(struct soak_count *c, const struct process *p, ino_t *seen, size_t *n_seen) {
        char path[64];
        c->processes++;
        c->zombies += p->state == 'Z';
        (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)p->pid);
        c->fds_below += entries_of(path);
        if (is_new_namespace(p->pid, seen, n_seen)) {
                c->namespaces++;
                c->mounts += lines_of(p->pid, "mountinfo");
                c->tmpfs += tmpfs_of(p->pid);
        }
        rt_auto_free char *text = read_proc(p->pid, "smaps_rollup");
        c->pss_below += bytes_of(text, "\nPss:");
        c->private_below += bytes_of(text, "\nPrivate_Clean:") + bytes_of(text, "\nPrivate_Dirty:") + bytes_of(text, "\nPrivate_Hugetlb:");
}

/* ---- cgroups ---- */

/* nftw takes no argument. */
static struct soak_count *counting;
static const struct soak_jailers *known_jailers;

static bool is_ours(const char *path) {
        for (const char *at = path; (at = strstr(at, "/retort.")); at++)
                for (unsigned i = 0; i < known_jailers->n; i++)
                        if (strtol(at + 8, NULL, 10) == known_jailers->ids[i])
                                return true;
        return false;
}

static int visit(const char *path, const struct stat *st, int type, struct FTW *place) {
        (void)st, (void)place;
        if (type != FTW_D || !is_ours(path))
                return 0;
        counting->cgroups++;
        /* The base's counts everything below it, in both versions. */
        const char *base = strstr(path, "/retort.");
        static const char *const names[] = { "memory.usage_in_bytes", "memory.current" };
        for (size_t i = 0; i < RT_LEN(names) && !strchr(base + 1, '/'); i++) {
                char file[4096];
                rt_auto_free char *text = NULL;
                (void)snprintf(file, sizeof file, "%.4000s/%s", path, names[i]);
                if (rt_read_file_at(AT_FDCWD, file, 64, &text, NULL, NULL) == 0)
                        counting->cgroup_memory += strtoull(text, NULL, 10);
        }
        return 0;
}

/* ---- all of it ---- */

void soak_count(struct soak_count *ret, struct soak_jailers *jailers) {
        ino_t seen[NAMESPACES_MAX];
        size_t n = list_processes(), n_seen = 0;
        *ret = (struct soak_count){ 0 };
        for (size_t i = 0; i < n; i++) {
                if (!is_below(n, all[i].pid))
                        continue;
                if (strcmp(all[i].name, "retort-jailer") == 0)
                        remember_jailer(jailers, all[i].pid);
                count_process(ret, &all[i], seen, &n_seen);
        }
        rt_auto_free char *own = read_proc(getpid(), "smaps_rollup"), *machine = read_proc(0, "meminfo");
        ret->rss = bytes_of(own, "\nRss:");
        ret->fds = (uint64_t)rt_count_fds();
        ret->threads = entries_of("/proc/self/task");
        ret->mounts_host = lines_of(getpid(), "mountinfo");
        static const char *const ipc[] = { "sysvipc/shm", "sysvipc/sem", "sysvipc/msg" };
        for (size_t i = 0; i < RT_LEN(ipc); i++) {
                uint64_t lines = lines_of(0, ipc[i]);
                ret->ipc += lines ? lines - 1 : 0; /* the first is a heading */
        }
        ret->shmem = bytes_of(machine, "\nShmem:");
        ret->slab = bytes_of(machine, "\nSlab:");
        ret->available = bytes_of(machine, "\nMemAvailable:");
        counting = ret;
        known_jailers = jailers;
        (void)nftw("/sys/fs/cgroup", visit, 32, FTW_PHYS);
}
