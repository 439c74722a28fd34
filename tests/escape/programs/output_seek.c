// SPDX-License-Identifier: Apache-2.0
// Tricks with the pipes themselves: larger, non-blocking, packets, spliced, read back, locked. The output stays whole.
// expect: status=ok exit=0
// says: still here
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>
int main(void) {
        char byte;
        (void)fcntl(1, F_SETPIPE_SZ, 1 << 20);
        (void)fcntl(1, F_SETFL, O_NONBLOCK | O_DIRECT | O_ASYNC);
        (void)fcntl(1, F_SETOWN, 1);
        (void)lseek(1, 0, SEEK_SET);
        (void)ftruncate(1, 0);
        (void)flock(1, LOCK_EX);
        if (read(1, &byte, 1) >= 0 || open("/proc/self/fd/1", O_RDONLY | O_NONBLOCK) >= 0)
                printf("open: stdout can be read\n");
        (void)fcntl(1, F_SETFL, 0);
        printf("still here\n");
        return 0;
}
