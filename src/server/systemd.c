/* SPDX-License-Identifier: Apache-2.0
 *
 * The two things systemd offers that are worth having, by hand: sockets that listen already, and saying how it goes.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "server/server.h"

enum { FIRST_SOCKET = 3, MAX_SOCKETS = 64 };

size_t rt_systemd_sockets(int *ret_first) {
        const char *pid = getenv("LISTEN_PID");
        const char *fds = getenv("LISTEN_FDS");
        unsigned long n = pid && fds && strtoul(pid, NULL, 10) == (unsigned long)getpid() ? strtoul(fds, NULL, 10) : 0;
        *ret_first = FIRST_SOCKET;
        (void)unsetenv("LISTEN_PID"); /* not for those we start */
        (void)unsetenv("LISTEN_FDS");
        (void)unsetenv("LISTEN_FDNAMES");
        return n <= MAX_SOCKETS ? n : 0;
}

bool rt_systemd_is_local(int fd) {
        struct sockaddr_storage address;
        socklen_t size = sizeof address;
        if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
                return false;
        if (address.ss_family == AF_INET)
                return (ntohl(((const struct sockaddr_in *)&address)->sin_addr.s_addr) >> 24) == IN_LOOPBACKNET;
        if (address.ss_family == AF_INET6)
                return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)&address)->sin6_addr);
        return address.ss_family == AF_UNIX;
}

void rt_systemd_notify(const char *state) {
        const char *path = getenv("NOTIFY_SOCKET");
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        size_t size = path ? strlen(path) : 0;
        if (size < 2 || size >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@'))
                return;
        memcpy(address.sun_path, path, size);
        if (path[0] == '@')
                address.sun_path[0] = 0;
        rt_auto_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd >= 0)
                (void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address,
                              (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size));
}
