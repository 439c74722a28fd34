// SPDX-License-Identifier: Apache-2.0
// Files that are nowhere: no disk limit counts them, the memory limit must. file_bytes is no help: many of them.
// expect: status=memory_limit limit=memory_bytes how=memory
// limits: memory=64M wall=5s file=4M files=4000
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
int main(void) {
        char *block = calloc(1, 1 << 20);
        for (;;) {
                int fd = memfd_create("x", 0);
                for (int i = 0; i < 4; i++)
                        (void)!write(fd, block, 1 << 20);
        }
}
