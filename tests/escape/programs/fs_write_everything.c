// SPDX-License-Identifier: Apache-2.0
// Writes, makes, links, renames and chmods all over the tree; only /work, /tmp and /dev/shm may be changed.
// expect: status=ok exit=0
// says: done
// limits: wall=8s
#define _GNU_SOURCE
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
static int seen;
static void door(const char *what, const char *path, long result) {
        if (result >= 0)
                printf("open: %s %s\n", what, path);
}
static int attack(const char *path, const struct stat *st, int type, struct FTW *at) {
        (void)at;
        char below[5000];
        if (strncmp(path, "/work", 5) == 0 || strncmp(path, "/tmp", 4) == 0 || strncmp(path, "/dev/shm", 8) == 0 ||
            strncmp(path, "/proc/", 6) == 0)
                return 0;
        if (++seen > 20000)
                return 1;
        if (type == FTW_D) {
                (void)snprintf(below, sizeof below, "%s/escape", path);
                door("create", below, open(below, O_WRONLY | O_CREAT, 0600));
                door("mkdir", below, mkdir(below, 0700));
                door("symlink", below, symlink("/", below));
                door("mknod", below, mknod(below, S_IFBLK | 0600, makedev(8, 0)));
                door("fifo", below, mkfifo(below, 0600));
                door("rename to", below, rename("/work/main.c", below));
                door("link to", below, link("/work/main.c", below));
        } else if (S_ISREG(st->st_mode)) {
                door("write", path, open(path, O_WRONLY | O_APPEND));
                door("read and write", path, open(path, O_RDWR));
                door("truncate", path, truncate(path, 0));
                door("unlink", path, unlink(path));
        }
        if (type != FTW_SL)
                door("chmod", path, fchmodat(AT_FDCWD, path, 0777, 0));
        door("chown", path, lchown(path, 1000, 1000));
        door("times", path, utimensat(AT_FDCWD, path, 0, AT_SYMLINK_NOFOLLOW));
        door("xattr", path, lsetxattr(path, "user.escape", "x", 1, 0));
        return 0;
}
int main(void) {
        static const char *const special[] = { "/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe",
                                               "/proc/self/oom_score_adj", "/proc/self/uid_map", "/proc/self/gid_map",
                                               "/proc/self/setgroups", "/proc/self/mem", "/proc/1/mem", "/proc/1/oom_score_adj",
                                               "/proc/self/attr/current", "/proc/self/loginuid", "/proc/self/timerslack_ns",
                                               "/proc/self/coredump_filter", "/proc/self/clear_refs", "/dev/mem", "/dev/kmsg",
                                               "/sys/kernel/uevent_helper", "/proc/self/exe", "/proc/self/comm" };
        for (size_t i = 0; i < sizeof special / sizeof *special; i++)
                door("write", special[i], open(special[i], O_WRONLY));
        door("block device", "/tmp/disk", mknod("/tmp/disk", S_IFBLK | 0600, makedev(254, 0)));
        door("character device", "/tmp/mem", mknod("/tmp/mem", S_IFCHR | 0600, makedev(1, 1)));
        static const char *const tops[] = { "/dev", "/etc", "/retort", "/var", "/mnt", "/opt", "/usr/local", "/" };
        for (size_t i = 0; i < sizeof tops / sizeof *tops; i++) {
                seen = 0;
                (void)nftw(tops[i], attack, 64, FTW_PHYS);
        }
        printf("done %d\n", seen);
        return 0;
}
