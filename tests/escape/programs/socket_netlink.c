// SPDX-License-Identifier: Apache-2.0
// Netlink: only ROUTE, and that only to look; the interface, addresses and routes cannot be changed, nor by ioctl.
// expect: status=ok exit=0
// says: done
#define _GNU_SOURCE
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
int main(void) {
        static const int closed[] = { NETLINK_AUDIT, NETLINK_KOBJECT_UEVENT, NETLINK_NETFILTER, NETLINK_XFRM, NETLINK_GENERIC,
                                      NETLINK_CONNECTOR, NETLINK_SOCK_DIAG, NETLINK_CRYPTO };
        for (int i = 0; i < 8; i++)
                if (socket(AF_NETLINK, SOCK_RAW, closed[i]) >= 0)
                        printf("open: netlink %d\n", closed[i]);
        int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
        struct {
                struct nlmsghdr head;
                struct ifinfomsg info;
        } down = { .head = { sizeof down, RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, 1, 0 },
                   .info = { .ifi_index = 1, .ifi_change = IFF_UP } };
        char answer[4096];
        memset(answer, 0, sizeof answer);
        if (fd < 0 || send(fd, &down, sizeof down, 0) < 0 || recv(fd, answer, sizeof answer, 0) < 0)
                printf("open: netlink route does not answer\n");
        struct nlmsgerr *error = NLMSG_DATA((struct nlmsghdr *)answer);
        if (error->error == 0)
                printf("open: the loopback can be taken down\n");
        int udp = socket(AF_INET, SOCK_DGRAM, 0);
        struct ifreq request = { .ifr_name = "lo" };
        if (ioctl(udp, SIOCSIFFLAGS, &request) == 0 || ioctl(udp, SIOCSIFMTU, &request) == 0)
                printf("open: the loopback can be changed\n");
        printf("done\n");
        return 0;
}
