// SPDX-License-Identifier: Apache-2.0
// One file larger than allowed: written, made by a hole, allocated ahead, or in a memfd.
// expect: status=file_limit limit=file_bytes
// limits: file=1M wall=5s
// each: write hole fallocate memfd sparse
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
int main(int argc, char **argv) {
        static char block[1 << 16];
        const char *way = argc > 1 ? argv[1] : "";
        int fd = open("large", O_RDWR | O_CREAT, 0600);
        if (strcmp(way, "memfd") == 0)
                fd = memfd_create("large", 0);
        if (strcmp(way, "hole") == 0)
                (void)!ftruncate(fd, 10ll << 30);
        if (strcmp(way, "fallocate") == 0)
                (void)fallocate(fd, 0, 0, 2 << 20);
        if (strcmp(way, "sparse") == 0)
                (void)!pwrite(fd, block, 1, 1ll << 40);
        for (int i = 0; i < 64; i++)
                (void)!write(fd, block, sizeof block);
        return 3;
}
