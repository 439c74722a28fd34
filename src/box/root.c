/* SPDX-License-Identifier: Apache-2.0 */
#include "box/root.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"

/* glibc's sys/mount.h and linux/mount.h cannot both be included: these are the classic calls' numbers. */
enum { OLD_NOSUID = 2, OLD_NODEV = 4, OLD_NOEXEC = 8, OLD_REMOUNT = 32, OLD_BIND = 4096, OLD_REC = 16384,
       OLD_PRIVATE = 1 << 18, DETACH = 2 };
int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data);
int umount2(const char *target, int flags);

/* Where the tree is put together before it becomes the root; only inside the jailer's own mount namespace. */
#define STAGE "/tmp"
enum { COPY_MAX = 4 << 20 };

static int set_attributes(const char *path, uint64_t attributes, unsigned flags) {
        struct mount_attr attr = { .attr_set = attributes };
        return (int)syscall(SYS_mount_setattr, AT_FDCWD, path, flags, &attr, sizeof attr);
}

/* Binds source (a path of the host's) at target, with everything below it, read-only. */
static int bind_readonly(const char *source, const char *target, uint64_t more, struct retort_error *err) {
        if (mount(source, target, NULL, OLD_BIND | OLD_REC, NULL) < 0)
                return rt_fail_errno(err, "cannot bind %s", source);
        if (set_attributes(target, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | more, AT_RECURSIVE) < 0)
                return rt_fail_errno(err, "cannot make %s read-only", source);
        return 0;
}

static int add_tree(const char *path, struct retort_error *err) {
        char target[64], link[128];
        struct stat st;
        (void)snprintf(target, sizeof target, STAGE "%s", path);
        if (lstat(path, &st) < 0)
                return 0;
        if (S_ISLNK(st.st_mode)) {
                ssize_t n = readlink(path, link, sizeof link - 1);
                link[n > 0 ? n : 0] = 0;
                return n > 0 && symlink(link, target) == 0 ? 0 : rt_fail_errno(err, "cannot link %s", path);
        }
        if (mkdir(target, 0755) < 0)
                return rt_fail_errno(err, "cannot make %s", path);
        return bind_readonly(path, target, MOUNT_ATTR_NODEV, err);
}

static int write_text(const char *target, const void *text, size_t size, struct retort_error *err) {
        rt_auto_close int fd = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd < 0 || rt_write_all(fd, text, size) < 0)
                return rt_fail_errno(err, "cannot write %s", target + strlen(STAGE));
        return 0;
}

static int make_parents(const char *target) {
        char path[256];
        (void)snprintf(path, sizeof path, "%s", target);
        for (char *slash = strchr(path + strlen(STAGE) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = 0;
                if (mkdir(path, 0755) < 0 && errno != EEXIST)
                        return -1;
                *slash = '/';
        }
        return 0;
}

static int add_etc_entry(const char *path, struct retort_error *err) {
        char target[256];
        struct stat st;
        (void)snprintf(target, sizeof target, STAGE "%s", path);
        if (stat(path, &st) < 0)
                return 0;
        if (make_parents(target) < 0)
                return rt_fail_errno(err, "cannot make a directory for %s", path);
        if (S_ISDIR(st.st_mode))
                return mkdir(target, 0755) < 0 && errno != EEXIST
                               ? rt_fail_errno(err, "cannot make %s", path)
                               : bind_readonly(path, target, MOUNT_ATTR_NODEV, err);
        rt_auto_free char *text = NULL;
        size_t size = 0;
        if (!S_ISREG(st.st_mode) || !(st.st_mode & S_IROTH) || rt_read_file_at(AT_FDCWD, path, COPY_MAX, &text, &size, NULL) < 0)
                return 0; /* unreadable for everybody, so for the guest */
        return write_text(target, text, size, err);
}

static int add_etc(const char *pattern, struct retort_error *err) {
        char full[128];
        (void)snprintf(full, sizeof full, "/etc/%s", pattern);
        glob_t found;
        int r = 0;
        if (glob(full, 0, NULL, &found) == 0) {
                for (size_t i = 0; i < found.gl_pathc && r == 0; i++)
                        r = add_etc_entry(found.gl_pathv[i], err);
                globfree(&found);
        }
        return r;
}

static int add_devices(struct retort_error *err) {
        static const char *const devices[] = { "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom" };
        static const char *const links[][2] = { { "/proc/self/fd", STAGE "/dev/fd" },
                                                { "/proc/self/fd/0", STAGE "/dev/stdin" },
                                                { "/proc/self/fd/1", STAGE "/dev/stdout" },
                                                { "/proc/self/fd/2", STAGE "/dev/stderr" } };
        for (size_t i = 0; i < RT_LEN(devices); i++) {
                char target[64];
                (void)snprintf(target, sizeof target, STAGE "%s", devices[i]);
                rt_auto_close int fd = open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
                if (fd < 0 || mount(devices[i], target, NULL, OLD_BIND, NULL) < 0)
                        return rt_fail_errno(err, "cannot show %s", devices[i]);
                /* Read-only: it can still be written to, but its times, which all boxes and the host share, stay. */
                if (set_attributes(target, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, 0) < 0)
                        return rt_fail_errno(err, "cannot make %s read-only", devices[i]);
        }
        for (size_t i = 0; i < RT_LEN(links); i++)
                if (symlink(links[i][0], links[i][1]) < 0)
                        return rt_fail_errno(err, "cannot link %s", links[i][1] + strlen(STAGE));
        return 0;
}

static int fill_stage(int runtimes_fd, struct retort_error *err) {
        static const char *const directories[] = { "/etc", "/dev", "/dev/shm", "/proc", "/tmp", "/work", "/retort",
                                                   "/mnt", "/var" };
        for (size_t i = 0; i < RT_LEN(directories); i++) {
                char target[64];
                (void)snprintf(target, sizeof target, STAGE "%s", directories[i]);
                if (mkdir(target, 0755) < 0)
                        return rt_fail_errno(err, "cannot make %s", directories[i]);
        }
        if (symlink("/tmp", STAGE "/var/tmp") < 0)
                return rt_fail_errno(err, "cannot link /var/tmp");
        int r = 0;
#define RT_TREE(path) r = r < 0 ? r : add_tree(path, err);
#define RT_ETC(pattern) r = r < 0 ? r : add_etc(pattern, err);
#define RT_TEXT(path, text) r = r < 0 ? r : write_text(STAGE path, text, strlen(text), err);
#include "box/root.def"
        if (r < 0)
                return r;
        char runtimes[32];
        (void)snprintf(runtimes, sizeof runtimes, "/proc/self/fd/%d", runtimes_fd);
        r = bind_readonly(runtimes, STAGE RT_ROOT_RUNTIMES, MOUNT_ATTR_NODEV, err);
        if (r == 0)
                r = add_devices(err);
        /* The host's own /proc lies below the box's: the kernel lets a user namespace mount a fresh one only where a
         * full one can be seen. It is covered before any guest starts. */
        if (r == 0 && mount("/proc", STAGE "/proc", NULL, OLD_BIND | OLD_REC, NULL) < 0)
                r = rt_fail_errno(err, "cannot bind /proc");
        return r;
}

int rt_root_enter(const char *runtimes, struct retort_error *err) {
        if (mount(NULL, "/", NULL, OLD_REC | OLD_PRIVATE, NULL) < 0)
                return rt_fail_errno(err, "cannot make mounts private");
        rt_auto_close int runtimes_fd = open(runtimes, O_PATH | O_DIRECTORY | O_CLOEXEC); /* it may be below STAGE */
        if (runtimes_fd < 0)
                return rt_fail_errno(err, "cannot open %s", runtimes);
        if (mount("retort", STAGE, "tmpfs", OLD_NOSUID, "size=16m,mode=755,nr_inodes=4096") < 0)
                return rt_fail_errno(err, "cannot mount a tmpfs");
        int r = fill_stage(runtimes_fd, err);
        if (r < 0)
                return r;
        if (set_attributes(STAGE, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0) < 0)
                return rt_fail_errno(err, "cannot make the root read-only");
        if (chdir(STAGE) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
                return rt_fail_errno(err, "cannot change the root");
        /* The old root now lies on top of the new one; take it off. */
        if (umount2(".", DETACH) < 0 || chdir("/") < 0)
                return rt_fail_errno(err, "cannot leave the old root");
        return 0;
}

/* ---- the private parts ---- */

static int configure(int fs, const char *key, const char *value) {
        return (int)syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, key, value, 0);
}

/* A detached mount of a fresh file system. options is a NULL-terminated list of key, value. */
static int detached(const char *type, const char *const *options, unsigned attributes) {
        rt_auto_close int fs = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
        if (fs < 0)
                return -1;
        for (; options[0]; options += 2)
                if (configure(fs, options[0], options[1]) < 0)
                        return -1;
        if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
                return -1;
        return (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attributes);
}

static int attach(int mount_fd, const char *target) {
        return (int)syscall(SYS_move_mount, mount_fd, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);
}

int rt_root_mount_private(uint32_t uid, int *ret_fs, struct retort_error *err) {
        static const struct {
                const char *name;
                const char *target;
                mode_t mode;
        } places[] = { { "work", RT_ROOT_WORK, 0755 }, { "tmp", RT_ROOT_TMP, 01777 }, { "shm", RT_ROOT_SHM, 01777 } };
        const char *const options[] = { "mode", "0755", "size", "64k", "nr_inodes", "65536", NULL };
        rt_auto_close int fs = detached("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
        /* Before Linux 6.15 only what is attached can be cloned: it passes through /mnt. */
        if (fs < 0 || attach(fs, "/mnt") < 0)
                return rt_fail_errno(err, "cannot mount a private tmpfs");
        int r = 0;
        for (size_t i = 0; i < RT_LEN(places) && r == 0; i++) {
                const char *name = places[i].name;
                rt_auto_close int part = -1;
                if (mkdirat(fs, name, 0700) < 0 || fchmodat(fs, name, places[i].mode, 0) < 0 ||
                    fchownat(fs, name, uid, uid, 0) < 0 ||
                    (part = (int)syscall(SYS_open_tree, fs, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)) < 0 ||
                    attach(part, places[i].target) < 0)
                        r = rt_fail_errno(err, "cannot mount the private %s", places[i].target);
        }
        (void)umount2("/mnt", DETACH);
        if (r == 0)
                *ret_fs = rt_take_fd(&fs);
        return r;
}

void rt_root_unmount_private(void) {
        (void)umount2(RT_ROOT_SHM, DETACH);
        (void)umount2(RT_ROOT_TMP, DETACH);
        (void)umount2(RT_ROOT_WORK, DETACH);
}

int rt_root_resize(uint64_t bytes, struct retort_error *err) {
        rt_auto_close int fs = (int)syscall(SYS_fspick, AT_FDCWD, RT_ROOT_WORK, FSPICK_CLOEXEC);
        char text[24], inodes[24];
        (void)snprintf(text, sizeof text, "%" PRIu64, bytes);
        /* An empty file costs about 1 KiB of kernel memory; more of them than that would dodge the limit. */
        (void)snprintf(inodes, sizeof inodes, "%" PRIu64, bytes / 1024 < 1024 ? 1024 : bytes / 1024);
        if (fs < 0 || configure(fs, "size", text) < 0 || configure(fs, "nr_inodes", inodes) < 0 ||
            syscall(SYS_fsconfig, fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0)
                return rt_fail_errno(err, "cannot limit the disk to %" PRIu64 " bytes", bytes);
        return 0;
}

int rt_root_mount_proc(struct retort_error *err) {
        const unsigned attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
        const char *const own_only[] = { "subset", "pid", NULL };
        const char *const whole[] = { NULL };
        rt_auto_close int proc = detached("proc", own_only, attributes);
        if (proc < 0 && errno == EINVAL) /* before Linux 5.8 */
                proc = detached("proc", whole, attributes);
        if (proc < 0 || attach(proc, "/proc") < 0)
                return rt_fail_errno(err, "cannot mount /proc");
        return 0;
}

int rt_root_mount_own_proc(struct retort_error *err) {
        const char *const own_only[] = { "hidepid", "invisible", "subset", "pid", NULL };
        rt_auto_close int proc = detached("proc", own_only, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
        if (proc < 0 && errno == EPERM)
                return 0; /* an ordinary user's: the host's, whose processes of that user it could see anyway */
        if (proc < 0 || attach(proc, "/proc") < 0)
                return rt_fail_errno(err, "cannot mount /proc");
        return 0;
}

int rt_root_huge_tmpfs(void) {
        const char *const options[] = { "mode", "0700", "size", "4g", "huge", "always", NULL };
        return detached("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV); /* code is mapped from it, too */
}

void rt_root_unmount_proc(void) {
        (void)umount2("/proc", DETACH);
}
