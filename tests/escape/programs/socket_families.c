// SPDX-License-Identifier: Apache-2.0
// Families and protocols that reach the host or load kernel modules: EAFNOSUPPORT, each of them.
// expect: status=ok exit=0
// says: done
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
int main(void) {
        for (int family = 0; family < 64; family++)
                for (int type = 1; type < 11; type++)
                        for (int protocol = 0; protocol < 300; protocol++) {
                                int fd = socket(family, type, protocol);
                                if (fd < 0) {
                                        if (errno != EAFNOSUPPORT && family != AF_UNIX && family != AF_NETLINK)
                                                printf("open: socket(%d, %d, %d): errno %d\n", family, type, protocol, errno);
                                        continue;
                                }
                                close(fd);
                                if (family == AF_UNIX || (family == AF_NETLINK && protocol == 0))
                                        continue;
                                if ((family == AF_INET || family == AF_INET6) &&
                                    ((type == SOCK_STREAM && (protocol == 0 || protocol == 6)) ||
                                     (type == SOCK_DGRAM && (protocol == 0 || protocol == 17))))
                                        continue;
                                printf("open: socket(%d, %d, %d)\n", family, type, protocol);
                        }
        int pair[2];
        if (socketpair(AF_INET, SOCK_STREAM, 0, pair) == 0 || socketpair(40, SOCK_STREAM, 0, pair) == 0)
                printf("open: socketpair\n");
        printf("done\n");
        return 0;
}
