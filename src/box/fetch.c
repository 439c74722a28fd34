/* SPDX-License-Identifier: Apache-2.0
 *
 * What a compiler left, for the engine's cache. It ran code that nobody trusts (plugins, specs, wrappers), so every name
 * here may be a trap: nothing is followed, nothing but plain files is opened, everything is counted. No process that could
 * change a name meanwhile is alive: the engine may ask only between the report of the first step and the next start.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/fd.h"
#include "box/keeper.h"
#include "box/plan.h"
#include "box/root.h"

enum { MAX_DEPTH = 32, MAX_DIRECTORIES = 1024 };

struct left {
        struct rt_arena arena;
        struct rt_made_file files[RT_PLAN_MAX_FILES];
        size_t n;
        size_t directories;
        uint64_t bytes;
};

static int no(struct retort_error *err, const char *what) {
        return rt_fail(err, RETORT_E_INPUT, "the step left %s", what);
}

static bool is_dot(const char *name) {
        return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Reads exactly what stat said: nobody is there to change it, and if somebody were, nothing of it is kept. */
static int read_exactly(int fd, char *to, size_t size) {
        char more;
        for (size_t at = 0; at < size;) {
                ssize_t n = read(fd, to + at, size - at);
                if (n <= 0 && !(n < 0 && errno == EINTR))
                        return -1;
                at += n > 0 ? (size_t)n : 0;
        }
        return read(fd, &more, 1) == 0 ? 0 : -1;
}

static int take_file(struct left *left, int dir, const char *name, const char *path, struct retort_error *err) {
        struct stat st;
        rt_auto_close int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return no(err, "a file that cannot be read");
        mode_t mode = st.st_mode & 07777;
        if ((mode != 0644 && mode != 0755) || st.st_nlink != 1)
                return no(err, "a file of an unusual mode or with several names");
        if (left->n == RT_PLAN_MAX_FILES || (uint64_t)st.st_size > RT_FETCH_MAX_BYTES - left->bytes)
                return no(err, "too many or too large files");
        size_t size = (size_t)st.st_size;
        char *content = rt_arena_alloc(&left->arena, size + 1);
        char *kept = rt_arena_strdup(&left->arena, path);
        if (!content || !kept)
                return rt_fail_nomem(err);
        if (read_exactly(fd, content, size) < 0)
                return no(err, "a file that changes");
        left->bytes += size;
        left->files[left->n++] = (struct rt_made_file){ { kept, { content, size } }, mode == 0755 };
        return 0;
}

static int walk(struct left *left, int dir, const char *prefix, int depth, struct retort_error *err);

static int take_entry(struct left *left, int dir, const char *name, const char *prefix, int depth, struct retort_error *err) {
        char path[RETORT_MAX_PATH + 1];
        struct stat st;
        int n = snprintf(path, sizeof path, "%s%s", prefix, name);
        if (n < 0 || (size_t)n >= sizeof path || !rt_plan_path_ok(path))
                return no(err, "a path that is too long");
        if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return no(err, "a file that cannot be read");
        if (S_ISREG(st.st_mode))
                return take_file(left, dir, name, path, err);
        if (!S_ISDIR(st.st_mode))
                return no(err, "a link, a pipe, a socket or a device");
        if (depth == MAX_DEPTH || ++left->directories > MAX_DIRECTORIES || (size_t)n + 1 >= sizeof path)
                return no(err, "too many or too deep directories");
        rt_auto_close int below = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below < 0)
                return no(err, "a directory that cannot be read");
        path[n] = '/';
        path[n + 1] = 0;
        return walk(left, below, path, depth + 1, err);
}

/* Takes all files below dir. What stands in err at its end was set by whoever refused first. */
static int walk(struct left *left, int dir, const char *prefix, int depth, struct retort_error *err) {
        int copy = fcntl(dir, F_DUPFD_CLOEXEC, 0);
        DIR *list = copy >= 0 ? fdopendir(copy) : NULL;
        int r = 0;
        if (!list) {
                (void)rt_close(copy);
                return rt_fail_errno(err, "cannot read a directory");
        }
        for (struct dirent *e; r == 0 && (e = readdir(list));)
                if (!is_dot(e->d_name))
                        r = take_entry(left, dir, e->d_name, prefix, depth, err);
        (void)closedir(list);
        return r;
}

static bool is_empty(const char *path) {
        int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *list = dir >= 0 ? fdopendir(dir) : NULL;
        bool empty = list != NULL;
        if (!list)
                (void)rt_close(dir);
        for (struct dirent *e; empty && (e = readdir(list));)
                empty = is_dot(e->d_name);
        if (list)
                (void)closedir(list);
        return empty;
}

static int write_left(struct rt_keeper *k, struct left *left, int *ret_plan, struct retort_error *err) {
        static const char *const name[] = { "left", NULL };
        rt_auto_close int work = open(k->places.work, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (work < 0)
                return rt_fail_errno(err, "cannot open %s", k->places.work);
        int r = walk(left, work, "", 0, err);
        if (r < 0)
                return r;
        int plan = rt_plan_write_made(name, NULL, NULL, 0, left->files, left->n, err);
        if (plan < 0)
                return plan;
        *ret_plan = plan;
        return 0;
}

int rt_keeper_fetch(struct rt_keeper *k, int *ret_plan, struct retort_error *err) {
        if (k->n_steps != 1 || k->parked || !rt_keeper_has(k, RT_BOX_MOUNT_NS))
                return no(err, "nothing that may be asked for now");
        if (!is_empty(RT_ROOT_TMP) || !is_empty(RT_ROOT_SHM))
                return no(err, "files outside of the work directory");
        struct left *left = calloc(1, sizeof *left);
        if (!left)
                return rt_fail_nomem(err);
        int r = write_left(k, left, ret_plan, err);
        rt_arena_clear(&left->arena);
        free(left);
        return r;
}
