/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as one message, the first saying how many descriptors come along: it is taken whole or refused, and no
 * descriptor stays open but those that were handed out. What is taken leaves again with the same bytes.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "box/wire.h"
#include "fuzz.h"

static void send_raw(int socket, const uint8_t *data, size_t size, unsigned n_fds) {
        struct iovec io = { (void *)(uintptr_t)data, size };
        _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * 16)] = { 0 };
        struct msghdr h = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = n_fds ? control : NULL,
                            .msg_controllen = n_fds ? CMSG_SPACE(sizeof(int) * n_fds) : 0 };
        struct cmsghdr *c = (struct cmsghdr *)(void *)control;
        *c = (struct cmsghdr){ CMSG_LEN(sizeof(int) * n_fds), SOL_SOCKET, SCM_RIGHTS };
        for (unsigned i = 0; i < n_fds; i++)
                memcpy(CMSG_DATA(c) + i * sizeof(int), &socket, sizeof socket);
        CHECK(sendmsg(socket, &h, MSG_NOSIGNAL) == (ssize_t)size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        if (size < 1 || size > 16384)
                return 0;
        int pair[2];
        int fds[RT_WIRE_MAX_FDS];
        static struct rt_wire_message message, again;
        unsigned n_fds = data[0] % 17;
        CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
        int before = rt_count_fds();
        send_raw(pair[0], data + 1, size - 1, n_fds);
        int r = rt_wire_receive(pair[1], &message, fds);
        CHECK(r == 1 || (r == 0 && size == 1) || (r == -1 && errno == EPROTO));
        CHECK(r == 1 || rt_count_fds() == before);
        if (r == 1) {
                CHECK(n_fds <= RT_WIRE_MAX_FDS && rt_count_fds() == before + (int)n_fds);
                CHECK(message.op >= RT_HELLO && message.op < RT_WIRE_OPS);
                CHECK(rt_wire_send(pair[0], &message, fds, n_fds) == 0);
                for (unsigned i = 0; i < RT_WIRE_MAX_FDS; i++)
                        (void)rt_close(fds[i]);
                CHECK(rt_wire_receive(pair[1], &again, NULL) == 1);
                CHECK(memcmp(&again, &message, size - 1) == 0);
                CHECK(rt_count_fds() == before);
        }
        (void)rt_close(pair[0]);
        (void)rt_close(pair[1]);
        return 0;
}
