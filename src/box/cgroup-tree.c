/* SPDX-License-Identifier: Apache-2.0 */
#include "box/cgroup-tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "box/keeper.h"
#include "box/procs.h"

#define HOST_LEAF "retort-host"

int rt_cgroup_own(int version, const char *controller, char *ret_path, size_t size) {
        rt_auto_free char *mounts = NULL;
        rt_auto_free char *groups = NULL;
        if (rt_read_file_at(AT_FDCWD, "/proc/self/mounts", 4 << 20, &mounts, NULL, NULL) < 0 ||
            rt_read_file_at(AT_FDCWD, "/proc/self/cgroup", 1 << 20, &groups, NULL, NULL) < 0)
                return -1;
        char at[256] = "";
        char *save = NULL;
        for (char *line = strtok_r(mounts, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                char where[256], type[32], options[512];
                if (sscanf(line, "%*s %255s %31s %511s", where, type, options) != 3)
                        continue;
                bool v2 = strcmp(type, "cgroup2") == 0;
                bool v1 = strcmp(type, "cgroup") == 0;
                char padded[520], wanted[64];
                (void)snprintf(padded, sizeof padded, ",%s,", options);
                (void)snprintf(wanted, sizeof wanted, ",%s,", controller ? controller : "");
                if ((version == 2 && v2) || (version == 1 && v1 && strstr(padded, wanted)))
                        (void)snprintf(at, sizeof at, "%s", where);
        }
        if (!at[0])
                return -1;
        for (char *line = strtok_r(groups, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                char *list = strchr(line, ':');
                char *path = list ? strchr(list + 1, ':') : NULL;
                if (!path)
                        continue;
                *path++ = 0;
                char padded[300], wanted[64];
                (void)snprintf(padded, sizeof padded, ",%s,", list + 1);
                (void)snprintf(wanted, sizeof wanted, ",%s,", controller ? controller : "");
                if (version == 2 ? list[1] == 0 : strstr(padded, wanted) != NULL) {
                        char *leaf = strrchr(path, '/');
                        if (version == 2 && leaf && strcmp(leaf, "/" HOST_LEAF) == 0)
                                *leaf = 0; /* an earlier jailer moved us there */
                        int n = snprintf(ret_path, size, "%s%s", at, strcmp(path, "/") == 0 ? "" : path);
                        return n > 0 && (size_t)n < size ? 0 : -1;
                }
        }
        return -1;
}

/* Kills what is in a group. cgroup.kill came with Linux 5.14, and is version 2's only. */
static void kill_members(int group) {
        rt_auto_free char *pids = NULL;
        (void)rt_write_file_at(group, "freezer.state", "THAWED"); /* held ones of version 1 do not die */
        if (rt_write_file_at(group, "cgroup.kill", "1") == 0 ||
            rt_read_file_at(group, "cgroup.procs", 1 << 20, &pids, NULL, NULL) < 0)
                return;
        char *save = NULL;
        for (char *p = strtok_r(pids, "\n", &save); p; p = strtok_r(NULL, "\n", &save))
                if (strtol(p, NULL, 10) > 1) /* 0: out of our sight */
                        (void)kill((pid_t)strtol(p, NULL, 10), SIGKILL);
}

void rt_cgroup_remove_tree(int dir, const char *name) {
        rt_auto_close int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *list = fd >= 0 ? fdopendir(dup(fd)) : NULL;
        for (struct dirent *e; list && (e = readdir(list));)
                if (e->d_type == DT_DIR && e->d_name[0] != '.')
                        rt_cgroup_remove_tree(fd, e->d_name);
        if (list)
                (void)closedir(list);
        for (int tries = 0; unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno == EBUSY && tries < 500; tries++) {
                if (fd >= 0)
                        kill_members(fd);
                (void)usleep(2000); /* the kernel is still burying the last process */
        }
}

/* The process id may be another's by now, or be counted in another namespace: a jailer also holds a lock on its base. */
static bool in_use(int parent, const char *name, pid_t pid) {
        if (!rt_process_gone(pid))
                return true;
        rt_auto_close int dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return dir < 0 || flock(dir, LOCK_EX | LOCK_NB) < 0;
}

void rt_cgroup_remove_stale(int parent) {
        DIR *list = fdopendir(dup(parent));
        for (struct dirent *e; list && (e = readdir(list));) {
                long pid = strncmp(e->d_name, "retort.", 7) == 0 ? strtol(e->d_name + 7, NULL, 10) : 0;
                if (pid > 0 && !in_use(parent, e->d_name, (pid_t)pid))
                        rt_cgroup_remove_tree(parent, e->d_name);
        }
        if (list)
                (void)closedir(list);
}

/* The parent of a process, or 0. */
static pid_t parent_of(pid_t pid) {
        char path[32];
        rt_auto_free char *text = NULL;
        (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        const char *end = rt_read_file_at(AT_FDCWD, path, 4096, &text, NULL, NULL) == 0 ? strrchr(text, ')') : NULL;
        return end && end[1] ? (pid_t)strtol(end + 4, NULL, 10) : 0; /* ") S 1234" */
}

/* Whether this process started us: the command, the shell it was typed into, the program that embeds us. */
static bool is_ancestor(pid_t pid) {
        pid_t at = getpid();
        while (at > 0 && at != pid)
                at = parent_of(at);
        return at > 0;
}

/* v2 lets only groups without processes share out controllers. If all that is in ours is this jailer and what started
 * it, a leaf takes them. */
static int make_room(int group) {
        rt_auto_free char *pids = NULL;
        if (rt_read_file_at(group, "cgroup.procs", 1 << 16, &pids, NULL, NULL) < 0)
                return -1;
        char *save = NULL;
        rt_auto_free char *copy = strdup(pids);
        for (char *p = copy ? strtok_r(copy, "\n", &save) : NULL; p; p = strtok_r(NULL, "\n", &save))
                if (!is_ancestor((pid_t)strtol(p, NULL, 10)))
                        return -1;
        if (mkdirat(group, HOST_LEAF, 0755) < 0 && errno != EEXIST)
                return -1;
        for (char *p = strtok_r(pids, "\n", &save); p; p = strtok_r(NULL, "\n", &save))
                if (rt_write_file_at(group, HOST_LEAF "/cgroup.procs", p) < 0)
                        return -1;
        return 0;
}

/* Two jailers must not make and take back at once. Whoever may read the directory may lock it, so that nobody is waited
 * for longer than a second. */
static void lock_for_a_moment(int group) {
        for (int tries = 0; flock(group, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK && tries < 500; tries++)
                (void)usleep(2000);
}

int rt_cgroup_share_out(int group) {
        lock_for_a_moment(group);
        /* "cpu" is not needed: cpu.stat counts without it. */
        if (rt_write_file_at(group, "cgroup.subtree_control", "+memory +pids") == 0)
                return 0;
        if (errno != EBUSY || make_room(group) < 0)
                return -1;
        return rt_write_file_at(group, "cgroup.subtree_control", "+memory +pids");
}

static bool any_base(int group) {
        bool any = false;
        DIR *list = fdopendir(dup(group));
        if (list)
                rewinddir(list);
        for (struct dirent *e; list && (e = readdir(list));)
                any |= strncmp(e->d_name, "retort.", 7) == 0;
        if (list)
                (void)closedir(list);
        return any;
}

void rt_cgroup_take_back(int group) {
        rt_auto_free char *pids = NULL;
        lock_for_a_moment(group);
        if (!any_base(group) && rt_read_file_at(group, HOST_LEAF "/cgroup.procs", 1 << 16, &pids, NULL, NULL) == 0 &&
            rt_write_file_at(group, "cgroup.subtree_control", "-memory -pids") == 0) {
                char *save = NULL;
                for (char *p = strtok_r(pids, "\n", &save); p; p = strtok_r(NULL, "\n", &save))
                        (void)rt_write_file_at(group, "cgroup.procs", p);
                (void)unlinkat(group, HOST_LEAF, AT_REMOVEDIR);
        }
        (void)flock(group, LOCK_UN);
}
