/* SPDX-License-Identifier: Apache-2.0
 *
 * Files, as the guest: whatever its rights and its view allow. Paths are followed as any program would follow them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "supervisor/supervisor.h"

enum { CHUNK = 65536, MAX_DEPTH = 64 };

/* The directories above a path. 0, or errno. */
static int make_parents(const char *path) {
        char part[RT_ASK_MAX_PATH];
        size_t size = strlen(path);
        if (size >= sizeof part)
                return ENAMETOOLONG;
        memcpy(part, path, size + 1);
        for (char *p = part + 1; *p; p++) {
                if (*p != '/')
                        continue;
                *p = 0;
                if (mkdir(part, 0755) < 0 && errno != EEXIST)
                        return errno;
                *p = '/';
        }
        return 0;
}

/* A pipe would let us wait for ever, a device do something: the engine looks at what it gets, and takes files only. */
int rt_supervisor_open(const char *path, int *ret_fd) {
        *ret_fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        return *ret_fd < 0 ? errno : 0;
}

static int copy(int from, int to) {
        char chunk[CHUNK];
        ssize_t n;
        off_t at = 0;
        while ((n = pread(from, chunk, sizeof chunk, at)) > 0) {
                if (rt_write_all(to, chunk, (size_t)n) < 0)
                        return errno;
                at += n;
        }
        return n < 0 ? errno : 0;
}

int rt_supervisor_write(const char *path, unsigned mode, unsigned flags, int content, uint64_t *ret_size) {
        struct stat status;
        int r = make_parents(path);
        if (r)
                return r;
        int how = flags & RT_ASK_APPEND ? O_APPEND : flags & RT_ASK_NEW ? O_EXCL : O_TRUNC;
        rt_auto_close int fd = open(path, O_WRONLY | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | how, mode & 07777);
        if (fd < 0)
                return errno;
        if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
                return EINVAL;
        r = copy(content, fd);
        if (r == 0 && fstat(fd, &status) < 0)
                r = errno;
        *ret_size = (uint64_t)status.st_size;
        return r;
}

int rt_supervisor_mkdir(const char *path) {
        int r = make_parents(path);
        if (r)
                return r;
        struct stat status;
        if (mkdir(path, 0755) < 0 && !(errno == EEXIST && stat(path, &status) == 0 && S_ISDIR(status.st_mode)))
                return errno;
        return 0;
}

int rt_supervisor_move(const char *from, const char *to) {
        struct stat status;
        if (lstat(from, &status) < 0)
                return errno;
        int r = make_parents(to);
        if (r)
                return r;
        return rename(from, to) < 0 ? errno : 0;
}

/* ---- folders ---- */

static int remove_below(int dir, const char *name, unsigned depth) {
        if (unlinkat(dir, name, 0) == 0)
                return 0;
        if (errno != EISDIR && errno != EPERM)
                return errno;
        if (depth > MAX_DEPTH)
                return ELOOP;
        int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *list = fd < 0 ? NULL : fdopendir(fd);
        if (!list) {
                int r = errno;
                (void)rt_close(fd);
                return r;
        }
        int r = 0;
        for (struct dirent *e; r == 0 && (e = readdir(list));)
                if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
                        r = remove_below(fd, e->d_name, depth + 1);
        (void)closedir(list);
        if (r == 0 && unlinkat(dir, name, AT_REMOVEDIR) < 0)
                r = errno;
        return r;
}

int rt_supervisor_remove(const char *path) {
        return remove_below(AT_FDCWD, path, 0);
}

struct listing {
        FILE *to;
        uint64_t n;
};

static void put_entry(struct listing *l, int dir, const char *name, const char *path, const struct stat *status) {
        char target[1024];
        ssize_t n = S_ISLNK(status->st_mode) ? readlinkat(dir, name, target, sizeof target) : 0;
        struct rt_entry entry = { .mode = status->st_mode, .path_size = (uint16_t)strlen(path), .target_size = n > 0 ? (uint16_t)n : 0,
                                  .size = (uint64_t)status->st_size,
                                  .modified_ns = status->st_mtim.tv_sec * 1000000000l + status->st_mtim.tv_nsec };
        (void)fwrite(&entry, sizeof entry, 1, l->to);
        (void)fwrite(path, 1, entry.path_size, l->to);
        (void)fwrite(target, 1, entry.target_size, l->to);
        l->n++;
}

static int list_below(struct listing *l, int dir, const char *name, const char *prefix, unsigned depth);

static int list_one(struct listing *l, int dir, const char *name, const char *prefix, unsigned depth) {
        char path[RT_ASK_MAX_PATH];
        struct stat status;
        int size = snprintf(path, sizeof path, "%s%s", prefix, name);
        if (size >= (int)sizeof path - 1 || l->n >= RT_ASK_MAX_ENTRIES || fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
                return 0;
        put_entry(l, dir, name, path, &status);
        if (!S_ISDIR(status.st_mode) || depth <= 1)
                return 0;
        path[size] = '/';
        path[size + 1] = 0;
        int r = list_below(l, dir, name, path, depth - 1);
        return r == EACCES || r == ENOENT ? 0 : r; /* what cannot be looked into is told all the same */
}

static int list_below(struct listing *l, int dir, const char *name, const char *prefix, unsigned depth) {
        int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (*prefix ? O_NOFOLLOW : 0));
        struct dirent **names = NULL;
        if (fd < 0)
                return errno;
        int n = scandirat(fd, ".", &names, NULL, alphasort);
        int r = n < 0 ? errno : 0;
        for (int i = 0; i < n; i++) {
                if (r == 0 && strcmp(names[i]->d_name, ".") != 0 && strcmp(names[i]->d_name, "..") != 0)
                        r = list_one(l, fd, names[i]->d_name, prefix, depth);
                free(names[i]);
        }
        free(names);
        (void)rt_close(fd);
        return r;
}

int rt_supervisor_list(const char *path, unsigned depth, int to, uint64_t *ret_n) {
        struct stat status;
        int fd = fcntl(to, F_DUPFD_CLOEXEC, 10);
        struct listing l = { .to = fd < 0 ? NULL : fdopen(fd, "w") };
        if (!l.to) {
                (void)rt_close(fd);
                return errno;
        }
        int r = 0;
        if (depth > 0)
                r = list_below(&l, AT_FDCWD, path, "", depth < MAX_DEPTH ? depth : MAX_DEPTH);
        else if (lstat(path, &status) < 0)
                r = errno;
        else
                put_entry(&l, AT_FDCWD, path, path, &status);
        if (fclose(l.to) != 0 && r == 0)
                r = errno;
        *ret_n = l.n;
        return r;
}
