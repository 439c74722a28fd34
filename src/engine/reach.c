/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/reach.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

enum { MAX_DEPTH = 32, MAX_DIRECTORIES = 32768 };

/* A mapping that writes has its file open for writing until it is gone: then it is IN_CLOSE_WRITE. */
enum { CHANGES = IN_CREATE | IN_DELETE | IN_MODIFY | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE |
                 IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR };

static bool watch_below(struct rt_reach *reach, char path[PATH_MAX], size_t size, int depth);

static bool watch_entry(struct rt_reach *reach, int dir, const struct dirent *e, char path[PATH_MAX], size_t size, int depth) {
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
                return true;
        bool is_directory = e->d_type == DT_DIR || (e->d_type == DT_UNKNOWN && fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                                                    S_ISDIR(st.st_mode));
        if (!is_directory)
                return true;
        size_t more = strlen(e->d_name);
        if (depth == MAX_DEPTH || size + 1 + more >= PATH_MAX)
                return false;
        path[size] = '/';
        memcpy(path + size + 1, e->d_name, more + 1);
        bool good = watch_below(reach, path, size + 1 + more, depth + 1);
        path[size] = 0;
        return good;
}

/* Watched first, listed then: what comes between is told. */
static bool watch_below(struct rt_reach *reach, char path[PATH_MAX], size_t size, int depth) {
        if (reach->n_directories == MAX_DIRECTORIES || (reach->stop && atomic_load(reach->stop)))
                return false;
        if (inotify_add_watch(reach->fd, path, CHANGES | (depth > 0 ? IN_DONT_FOLLOW : 0)) < 0)
                return errno == ENOENT || errno == EACCES || errno == ENOTDIR; /* gone, or closed to guests too */
        reach->n_directories++;
        DIR *list = opendir(path);
        bool good = list || errno == ENOENT || errno == EACCES;
        for (struct dirent *e; good && list && (e = readdir(list));)
                good = watch_entry(reach, dirfd(list), e, path, size, depth);
        if (list)
                (void)closedir(list);
        return good;
}

bool rt_reach_add(struct rt_reach *reach, const char *pattern) {
        char path[PATH_MAX];
        glob_t found;
        if (reach->fd < 0)
                reach->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        if (reach->fd < 0)
                return false;
        int r = glob(pattern, GLOB_NOSORT, NULL, &found);
        if (r != 0)
                return r == GLOB_NOMATCH;
        bool good = true;
        for (size_t i = 0; i < found.gl_pathc && good; i++) {
                int n = snprintf(path, sizeof path, "%s", found.gl_pathv[i]);
                good = n > 0 && (size_t)n < sizeof path && watch_below(reach, path, (size_t)n, 0);
        }
        globfree(&found);
        return good;
}

bool rt_reach_changed(const struct rt_reach *reach) {
        char events[4096];
        ssize_t n = reach->fd < 0 ? 0 : read(reach->fd, events, sizeof events);
        return !(n < 0 && errno == EAGAIN) && reach->fd >= 0;
}

void rt_reach_close(struct rt_reach *reach) {
        (void)rt_close(reach->fd);
        reach->fd = -1;
}
