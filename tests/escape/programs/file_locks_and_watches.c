// SPDX-License-Identifier: Apache-2.0
// Handles of files: the guest may hold no lease, no mark and no lock on what is the host's that would outlive it, and
// no handle that opens another file.
// expect: status=ok exit=0
// says: done
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
int main(void) {
        int fd = open("/usr/bin/env", O_RDONLY);
        int flags = 0;
        if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0)
                printf("open: a lease on a file of the host\n");
        if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0)
                printf("open: flags of a file of the host\n");
        if (ioctl(fd, FIFREEZE, 0) == 0 || ioctl(fd, FITRIM, 0) == 0)
                printf("open: the host's file system\n");
        if (mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED)
                printf("open: a shared mapping that can be written\n");
        char link[64];
        (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        if (open(link, O_RDWR) >= 0 || open("/proc/self/exe", O_RDWR) >= 0)
                printf("open: reopened for writing\n");
        if (open("/work", O_TMPFILE | O_RDWR, 0600) < 0)
                printf("open: no nameless file in its own place: %d\n", errno);
        if (open("/usr", O_TMPFILE | O_RDWR, 0600) >= 0)
                printf("open: a nameless file on the host\n");
        printf("done\n");
        return 0;
}
