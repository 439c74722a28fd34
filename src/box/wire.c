/* SPDX-License-Identifier: Apache-2.0 */
#include "box/wire.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"

/* Bytes of a message of this op; 0: no such op. */
static size_t message_size(uint32_t op) {
#define SIZE(member) (offsetof(struct rt_wire_message, member) + sizeof(((struct rt_wire_message *)0)->member))
        switch (op) {
        case RT_HELLO:
                return SIZE(isolation);
        case RT_MADE:
                return SIZE(places);
        case RT_FAIL:
                return SIZE(fail);
        case RT_START:
        case RT_GO:
        case RT_METER:
                return SIZE(limits);
        case RT_END:
        case RT_METERED:
                return SIZE(report);
        case RT_READY:
                return SIZE(ahead);
        case RT_PARKED:
                return SIZE(parked);
        case RT_ARM:
        case RT_FORK:
                return SIZE(arm);
        case RT_EXITED:
        case RT_BAD_EXEC:
                return SIZE(exited);
        case RT_MAKE:
        case RT_KILL:
        case RT_RECYCLE:
        case RT_HURRY:
        case RT_HOLD:
        case RT_HELD:
        case RT_TAKEN:
        case RT_FORKED:
        case RT_FETCH:
        case RT_FETCHED:
        case RT_FREEZE:
        case RT_LINK:
                return SIZE(bits);
        default:
                return 0;
        }
#undef SIZE
}

int rt_wire_send(int socket, const struct rt_wire_message *message, const int *fds, unsigned n_fds) {
        struct iovec io = { .iov_base = (void *)(uintptr_t)message, .iov_len = message_size(message->op) };
        struct msghdr header = { .msg_iov = &io, .msg_iovlen = 1 };
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(sizeof(int) * RT_WIRE_MAX_FDS)];
        } control;
        if (n_fds > 0) {
                memset(&control, 0, sizeof control);
                header.msg_control = &control;
                header.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
                struct cmsghdr *c = CMSG_FIRSTHDR(&header);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
                memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
        }
        ssize_t n;
        do
                n = sendmsg(socket, &header, MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        return n < 0 ? -1 : 0;
}

/* Takes the descriptors out of a received header; more than fit are closed. */
static void take_fds(struct msghdr *header, int fds[RT_WIRE_MAX_FDS]) {
        unsigned taken = 0;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < n; i++) {
                        int fd;
                        memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
                        if (taken < RT_WIRE_MAX_FDS)
                                fds[taken++] = fd;
                        else
                                (void)rt_close(fd);
                }
        }
}

int rt_wire_receive(int socket, struct rt_wire_message *ret_message, int ret_fds[RT_WIRE_MAX_FDS]) {
        int fds[RT_WIRE_MAX_FDS];
        for (unsigned i = 0; i < RT_WIRE_MAX_FDS; i++)
                fds[i] = -1;
        struct iovec io = { .iov_base = ret_message, .iov_len = sizeof *ret_message };
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(sizeof(int) * RT_WIRE_MAX_FDS)];
        } control;
        struct msghdr header = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = &control,
                                 .msg_controllen = CMSG_LEN(sizeof(int) * RT_WIRE_MAX_FDS) }; /* not one more */
        ssize_t n;
        do /* a reset is told once, and before the last words of a peer that left something of ours unread */
                n = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
        while (n < 0 && (errno == EINTR || errno == ECONNRESET));
        if (n >= 0) /* an empty message can carry some too */
                take_fds(&header, fds);
        bool good = n >= (ssize_t)offsetof(struct rt_wire_message, isolation) &&
                    (size_t)n == message_size(ret_message->op) && !(header.msg_flags & (MSG_TRUNC | MSG_CTRUNC));
        for (unsigned i = 0; i < RT_WIRE_MAX_FDS; i++) {
                if (!good || !ret_fds)
                        fds[i] = rt_close(fds[i]);
                if (ret_fds)
                        ret_fds[i] = fds[i];
        }
        if (n <= 0)
                return (int)n;
        if (!good)
                errno = EPROTO;
        return good ? 1 : -1;
}
