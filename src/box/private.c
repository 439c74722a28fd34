/* SPDX-License-Identifier: Apache-2.0
 *
 * The places a guest may write: one tmpfs that is /work, /tmp and /dev/shm; or, on hosts without mount namespaces, two
 * directories in the scratch directory, where the size limit is only measured.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"
#include "box/keeper.h"
#include "box/plan.h"
#include "box/procs.h"
#include "box/root.h"

enum { MAX_DEPTH = 64, MAX_ENTRIES = 100000 };

static int make_directory(struct rt_keeper *k, const char *path, struct retort_error *err) {
        if (mkdir(path, 0700) < 0 || (k->can_setuid && lchown(path, k->guest_uid, k->guest_uid) < 0))
                return rt_fail_errno(err, "cannot make %s", path);
        return 0;
}

/* A new name in top for a directory that is not empty. Who is not root must be able to write to what it moves. */
static void move_up(int dir, const char *name, int top, unsigned *serial) {
        char moved[24];
        do
                (void)snprintf(moved, sizeof moved, "%u", (*serial)++);
        while (renameat(dir, name, top, moved) < 0 && (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR));
}

/* Removes what is in dir. Directories that are not empty are moved up into top; those in top itself are swept. Returns
 * how many entries it removed. Nothing else uses the tree any more: what is a directory stays one. */
static unsigned sweep(int top, int dir, unsigned *serial) {
        unsigned removed = 0;
        DIR *list = fdopendir(dup(dir));
        if (list)
                rewinddir(list);
        for (struct dirent *e; list && (e = readdir(list));) {
                struct stat st;
                if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
                        continue;
                if (unlinkat(dir, e->d_name, 0) == 0 || unlinkat(dir, e->d_name, AT_REMOVEDIR) == 0) {
                        removed++;
                        continue;
                }
                if (fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
                        continue;
                (void)fchmodat(dir, e->d_name, 0700, 0);
                if (dir != top) {
                        move_up(dir, e->d_name, top, serial);
                        continue;
                }
                rt_auto_close int below = openat(dir, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (below >= 0)
                        removed += sweep(top, below, serial);
                removed += unlinkat(dir, e->d_name, AT_REMOVEDIR) == 0;
        }
        if (list)
                (void)closedir(list);
        return removed;
}

/* Removes everything below dir, however deep: what lies deeper is brought up first, a level each time. */
static void empty_directory(int dir) {
        unsigned serial = 0;
        while (sweep(dir, dir, &serial) > 0)
                continue;
}

int rt_keeper_private_make(struct rt_keeper *k, struct retort_error *err) {
        k->set.disk_bytes = 0;
        k->seal.valid = false;
        if (rt_keeper_has(k, RT_BOX_MOUNT_NS))
                return rt_root_mount_private(k->guest_uid, &k->private_fs, err);
        int r = make_directory(k, k->places.work, err);
        if (r == 0)
                r = make_directory(k, k->places.tmp, err);
        if (r == 0)
                k->private_fs = open(k->places.work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (r == 0)
                (void)flock(k->private_fs, LOCK_EX | LOCK_NB); /* it is in use: see is_stale */
        return r;
}

static void remove_place(int parent, const char *name) {
        (void)fchmodat(parent, name, 0700, AT_SYMLINK_NOFOLLOW); /* the guest may have closed it to us */
        rt_auto_close int dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (dir >= 0)
                empty_directory(dir);
        (void)unlinkat(parent, name, AT_REMOVEDIR);
}

void rt_places_remove(const struct rt_slot_places *places) {
        remove_place(AT_FDCWD, places->work);
        remove_place(AT_FDCWD, places->tmp);
}

/* A place of a jailer that is gone. Its process id may be counted in another namespace: a keeper also holds a lock on its
 * work directory. */
static bool is_stale(int scratch, const char *name) {
        int pid;
        unsigned slot;
        char kind[8], exact[64];
        if (sscanf(name, "retort-%d-%u.%7s", &pid, &slot, kind) != 3)
                return false;
        (void)snprintf(exact, sizeof exact, RT_PLACE_NAME, pid, slot, kind);
        if (strcmp(exact, name) != 0 || pid <= 0 || !rt_process_gone(pid))
                return false;
        (void)snprintf(exact, sizeof exact, RT_PLACE_NAME, pid, slot, "work");
        rt_auto_close int work = openat(scratch, exact, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return work < 0 || flock(work, LOCK_EX | LOCK_NB) == 0;
}

void rt_places_remove_stale(const char *scratch) {
        DIR *list = opendir(scratch);
        for (struct dirent *e; list && (e = readdir(list));)
                if (is_stale(dirfd(list), e->d_name))
                        remove_place(dirfd(list), e->d_name);
        if (list)
                (void)closedir(list);
}

void rt_keeper_private_remove(struct rt_keeper *k) {
        k->private_fs = rt_close(k->private_fs);
        if (rt_keeper_has(k, RT_BOX_MOUNT_NS)) {
                rt_root_unmount_private();
                return;
        }
        rt_places_remove(&k->places);
}

/* Makes the directories of path below dir, each the guest's own. */
static int make_parents(struct rt_keeper *k, int dir, const char *path) {
        char part[RETORT_MAX_PATH + 1];
        for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
                size_t n = (size_t)(slash - path);
                memcpy(part, path, n);
                part[n] = 0;
                if (mkdirat(dir, part, 0755) == 0) {
                        if (k->can_setuid && fchownat(dir, part, k->guest_uid, k->guest_uid, AT_SYMLINK_NOFOLLOW) < 0)
                                return -1;
                } else if (errno != EEXIST) {
                        return -1;
                }
        }
        return 0;
}

static int write_file(struct rt_keeper *k, int dir, const struct rt_made_file *made, struct retort_error *err) {
        const struct retort_file *file = &made->file;
        if (make_parents(k, dir, file->path) < 0)
                return rt_fail_errno(err, "cannot make the directory of %s", file->path);
        rt_auto_close int fd = openat(dir, file->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                                      made->executable ? 0755 : 0644);
        if (fd < 0 || (k->can_setuid && fchown(fd, k->guest_uid, k->guest_uid) < 0) ||
            rt_write_all(fd, file->content.data, file->content.size) < 0)
                return errno == ENOSPC && rt_keeper_has(k, RT_BOX_MOUNT_NS) /* the disk is the box's own */
                               ? rt_fail(err, RETORT_E_INPUT, "the files of the request are more than disk_bytes")
                               : rt_fail_errno(err, "cannot write %s", file->path);
        return 0;
}

int rt_keeper_private_fill(struct rt_keeper *k, const struct rt_plan *plan, uint64_t disk_bytes,
                           struct retort_error *err) {
        if (rt_keeper_has(k, RT_BOX_MOUNT_NS) && k->set.disk_bytes != disk_bytes) {
                int r = rt_root_resize(disk_bytes, err);
                if (r < 0)
                        return r;
                k->set.disk_bytes = disk_bytes;
        }
        rt_auto_close int work = open(k->places.work, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (work < 0)
                return rt_fail_errno(err, "cannot open %s", k->places.work);
        size_t cursor = 0;
        struct rt_made_file file;
        while (rt_plan_next_made(plan, &cursor, &file)) {
                int r = write_file(k, work, &file, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- were they touched? ---- */

/* Everything that stat(2) tells of a directory, its extended attributes, and how much of the file system is taken. A
 * change of what is in a directory changes its time and, within one tick of a coarse clock, at least its size or the
 * count of files; what came and went within that tick is gone. False: cannot be told. */
static bool describe_places(const struct rt_keeper *k, uint64_t words[32]) {
        static const char *const places[] = { RT_ROOT_WORK, RT_ROOT_TMP, RT_ROOT_SHM };
        struct statvfs fs;
        unsigned n = 0;
        for (size_t i = 0; i < RT_LEN(places); i++) {
                struct stat st;
                if (lstat(places[i], &st) < 0 || llistxattr(places[i], NULL, 0) != 0)
                        return false;
                const uint64_t all[] = { st.st_dev, st.st_ino, st.st_mode, st.st_uid, st.st_gid, st.st_nlink, (uint64_t)st.st_size,
                                         (uint64_t)st.st_ctim.tv_sec * 1000000000u + (uint64_t)st.st_ctim.tv_nsec,
                                         (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec };
                memcpy(words + n, all, sizeof all);
                n += RT_LEN(all);
        }
        if (fstatvfs(k->private_fs, &fs) < 0)
                return false;
        words[n++] = fs.f_ffree;
        words[n++] = fs.f_files;
        return true;
}

void rt_keeper_private_seal(struct rt_keeper *k, const struct rt_plan *plan) {
        size_t cursor = 0;
        struct retort_file file;
        k->seal.valid = false;
        bool one = plan->n_files == 1 && rt_plan_next_file(plan, &cursor, &file) && !strchr(file.path, '/') &&
                   strlen(file.path) < sizeof k->seal.file;
        if (!one || !rt_keeper_has(k, RT_BOX_MOUNT_NS))
                return;
        (void)snprintf(k->seal.file, sizeof k->seal.file, "%s", file.path);
        k->seal.valid = describe_places(k, k->seal.words);
}

bool rt_keeper_private_untouched(struct rt_keeper *k) {
        uint64_t words[32] = { 0 };
        if (!k->seal.valid || !describe_places(k, words) || memcmp(words, k->seal.words, sizeof words) != 0)
                return false;
        k->seal.valid = false;
        rt_auto_close int work = open(k->places.work, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return work >= 0 && unlinkat(work, k->seal.file, 0) == 0;
}

/* The largest file and the sum of all below dir. */
static void measure(int dir, int depth, unsigned *entries, struct rt_box_report *report) {
        DIR *list = fdopendir(dup(dir));
        if (list)
                rewinddir(list);
        for (struct dirent *e; list && (e = readdir(list)) && ++*entries < MAX_ENTRIES;) {
                struct stat st;
                if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
                    fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        continue;
                if (S_ISREG(st.st_mode)) {
                        report->disk_used_bytes += (uint64_t)st.st_blocks * 512;
                        if ((uint64_t)st.st_size > report->largest_file_bytes)
                                report->largest_file_bytes = (uint64_t)st.st_size;
                } else if (S_ISDIR(st.st_mode) && depth < MAX_DEPTH) {
                        rt_auto_close int below = openat(dir, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                        if (below >= 0)
                                measure(below, depth + 1, entries, report);
                }
        }
        if (list)
                (void)closedir(list);
}

void rt_keeper_private_measure(struct rt_keeper *k) {
        struct rt_box_report *r = &k->report;
        const char *const places[] = { k->places.work, k->places.tmp, RT_ROOT_SHM };
        unsigned entries = 0;
        for (size_t i = 0; i < (rt_keeper_has(k, RT_BOX_MOUNT_NS) ? 3 : 2); i++) {
                rt_auto_close int dir = open(places[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (dir >= 0)
                        measure(dir, 0, &entries, r);
        }
        r->file_limit_hit = r->largest_file_bytes >= k->limits.file_bytes;
        struct statvfs fs;
        if (rt_keeper_has(k, RT_BOX_MOUNT_NS)) {
                if (fstatvfs(k->private_fs, &fs) == 0) {
                        r->disk_full = fs.f_bavail == 0 || fs.f_ffree == 0;
                        r->disk_used_bytes = (fs.f_blocks - fs.f_bfree) * fs.f_frsize;
                }
        } else {
                r->disk_full = r->disk_used_bytes >= k->limits.disk_bytes;
        }
}
