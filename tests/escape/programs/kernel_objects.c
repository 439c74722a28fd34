// SPDX-License-Identifier: Apache-2.0
// Kernel memory by the back doors: mappings, extended attributes, sockets in flight. All of it
// is charged to the box.
// expect: status=memory_limit limit=memory_bytes how=memory
// limits: memory=24M wall=12s files=20000 processes=1000
// each: xattr maps inflight
#define _GNU_SOURCE
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
static void xattrs(void) {
        static char value[60000];
        for (int f = 0;; f++) {
                char file[32], name[32];
                (void)snprintf(file, sizeof file, "/tmp/%d", f);
                (void)close(open(file, O_CREAT, 0600));
                for (int i = 0; i < 2; i++) {
                        (void)snprintf(name, sizeof name, "user.%d", i);
                        (void)setxattr(file, name, value, sizeof value, 0);
                }
        }
}
static void maps(void) {
        for (size_t i = 0;; i++) {
                char *p = mmap(0, 8192, i % 2 ? PROT_READ : PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                if (p == MAP_FAILED && fork() == 0)
                        i = 0;
                else if (p == MAP_FAILED)
                        pause();
                else
                        (void)munmap(p + 4096, 4096);
        }
}
static void in_flight(void) {
        static char block[4096];
        for (;;) {
                int ends[2];
                if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends) == 0)
                        while (send(ends[0], block, sizeof block, 0) > 0)
                                continue;
                else if (fork() != 0)
                        pause();
        }
}
int main(int argc, char **argv) {
        const char *way = argc > 1 ? argv[1] : "";
        if (strcmp(way, "xattr") == 0)
                xattrs();
        if (strcmp(way, "maps") == 0)
                maps();
        if (strcmp(way, "inflight") == 0)
                in_flight();
        return 9;
}
