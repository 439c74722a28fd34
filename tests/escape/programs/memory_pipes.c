// SPDX-License-Identifier: Apache-2.0
// What lies in pipes and sockets is memory of the kernel's.
// expect: status=memory_limit limit=memory_bytes how=memory
// limits: memory=32M wall=8s files=60000
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
int main(void) {
        static char block[65536];
        memset(block, 1, sizeof block);
        for (;;) {
                int ends[2];
                if (pipe2(ends, O_NONBLOCK) == 0)
                        while (write(ends[1], block, sizeof block) > 0)
                                continue;
                if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0)
                        while (write(ends[1], block, sizeof block) > 0)
                                continue;
        }
}
