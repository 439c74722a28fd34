/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fd.h"
#include "box/wire.h"

struct sockets {
        int a, b, fds;
};

static int open_pair(void **state) {
        static struct sockets s;
        int pair[2];
        s.fds = rt_count_fds();
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return -1;
        s.a = pair[0];
        s.b = pair[1];
        *state = &s;
        return 0;
}

static int close_pair(void **state) {
        struct sockets *s = *state;
        (void)rt_close(s->a);
        (void)rt_close(s->b);
        return rt_count_fds() == s->fds ? 0 : -1; /* nothing that came was left open */
}

/* Sends bytes that are no message of ours, with descriptors. */
static void send_raw(int socket, const void *data, size_t size, unsigned n_fds) {
        struct iovec io = { (void *)(uintptr_t)data, size };
        _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * 64)] = { 0 };
        struct msghdr h = { .msg_iov = &io, .msg_iovlen = 1 };
        if (n_fds > 0) {
                h.msg_control = control;
                h.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
                struct cmsghdr *c = CMSG_FIRSTHDR(&h);
                *c = (struct cmsghdr){ CMSG_LEN(sizeof(int) * n_fds), SOL_SOCKET, SCM_RIGHTS };
                for (unsigned i = 0; i < n_fds; i++)
                        memcpy(CMSG_DATA(c) + i * sizeof(int), &(int){ STDERR_FILENO }, sizeof(int));
        }
        assert_int_equal(sendmsg(socket, &h, MSG_NOSIGNAL), size);
}

static void every_op_arrives_whole(void **state) {
        struct sockets *s = *state;
        for (uint32_t op = RT_HELLO; op <= RT_WIRE_OPS - 1; op++) {
                struct rt_wire_message sent, got;
                memset(&sent, 0x5a, sizeof sent);
                memset(&got, 0, sizeof got);
                sent.op = op;
                assert_int_equal(rt_wire_send(s->a, &sent, NULL, 0), 0);
                assert_int_equal(rt_wire_receive(s->b, &got, NULL), 1);
                assert_int_equal(got.op, op);
                if (op == RT_START || op == RT_GO)
                        assert_memory_equal(&got.limits, &sent.limits, sizeof got.limits);
                if (op == RT_END)
                        assert_memory_equal(&got.report, &sent.report, sizeof got.report);
        }
}

static void descriptors_travel_and_are_close_on_exec(void **state) {
        struct sockets *s = *state;
        const int sent[RT_WIRE_MAX_FDS] = { 0, 1, 2, s->a, s->b };
        struct rt_wire_message m = { .op = RT_START };
        for (unsigned n = 0; n <= RT_WIRE_MAX_FDS; n++) {
                int got[RT_WIRE_MAX_FDS];
                assert_int_equal(rt_wire_send(s->a, &m, sent, n), 0);
                assert_int_equal(rt_wire_receive(s->b, &m, got), 1);
                for (unsigned i = 0; i < RT_WIRE_MAX_FDS; i++) {
                        assert_true(i < n ? got[i] > 2 && fcntl(got[i], F_GETFD) == FD_CLOEXEC : got[i] == -1);
                        (void)rt_close(got[i]);
                }
        }
}

static void descriptors_that_nobody_wants_are_closed(void **state) {
        struct sockets *s = *state;
        struct rt_wire_message m = { .op = RT_KILL };
        int before = rt_count_fds();
        assert_int_equal(rt_wire_send(s->a, &m, (const int[]){ 0, 1, 2 }, 3), 0);
        assert_int_equal(rt_wire_receive(s->b, &m, NULL), 1);
        assert_int_equal(rt_count_fds(), before);
}

static void more_descriptors_than_fit_are_an_error_and_closed(void **state) {
        struct sockets *s = *state;
        struct rt_wire_message m = { .op = RT_KILL };
        int before = rt_count_fds();
        for (unsigned n = RT_WIRE_MAX_FDS + 1; n <= 64; n += n < 12 ? 1 : 13) {
                int got[RT_WIRE_MAX_FDS];
                send_raw(s->a, &m, 8, n);
                assert_int_equal(rt_wire_receive(s->b, &m, got), -1);
                assert_int_equal(errno, EPROTO);
                for (unsigned i = 0; i < RT_WIRE_MAX_FDS; i++)
                        assert_int_equal(got[i], -1);
                assert_int_equal(rt_count_fds(), before);
        }
}

static void an_empty_message_is_the_end_and_its_descriptors_are_closed(void **state) {
        struct sockets *s = *state;
        struct rt_wire_message m;
        int got[RT_WIRE_MAX_FDS];
        int before = rt_count_fds();
        send_raw(s->a, "", 0, 3);
        assert_int_equal(rt_wire_receive(s->b, &m, got), 0);
        assert_int_equal(rt_count_fds(), before);
        send_raw(s->a, "", 0, 3);
        assert_int_equal(rt_wire_receive(s->b, &m, NULL), 0);
        assert_int_equal(rt_count_fds(), before);
}

/* Every size from nothing to more than the largest, for every op and some that are none: one size is right. */
static void only_the_right_size_is_taken(void **state) {
        struct sockets *s = *state;
        static char bytes[sizeof(struct rt_wire_message) + 64];
        for (uint32_t op = 0; op <= RT_WIRE_OPS + 1; op++) {
                unsigned taken = 0;
                for (size_t size = 1; size <= sizeof bytes; size++) {
                        struct rt_wire_message m;
                        memcpy(bytes, &op, sizeof op);
                        send_raw(s->a, bytes, size, size % 97 == 0);
                        int r = rt_wire_receive(s->b, &m, NULL);
                        assert_true(r == 1 || (r == -1 && errno == EPROTO));
                        taken += r == 1;
                }
                assert_int_equal(taken, op >= RT_HELLO && op < RT_WIRE_OPS);
        }
}

static void descriptors_cut_off_for_want_of_numbers_are_an_error(void **state) {
        struct sockets *s = *state;
        struct rt_wire_message m = { .op = RT_START };
        struct rlimit kept, few;
        int got[RT_WIRE_MAX_FDS];
        assert_int_equal(rt_wire_send(s->a, &m, (const int[]){ 0, 1, 2, 0, 1 }, 5), 0);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &kept), 0);
        int next = dup(0);
        (void)rt_close(next);
        few = (struct rlimit){ (rlim_t)next + 2, kept.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        int r = rt_wire_receive(s->b, &m, got);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &kept), 0);
        assert_int_equal(r, -1);
        assert_int_equal(errno, EPROTO);
}

static void a_peer_that_is_gone_is_no_signal(void **state) {
        struct sockets *s = *state;
        struct rt_wire_message m = { .op = RT_KILL };
        s->a = rt_close(s->a);
        assert_int_equal(rt_wire_send(s->b, &m, NULL, 0), -1);
        assert_int_equal(errno, EPIPE);
        assert_int_equal(rt_wire_receive(s->b, &m, NULL), 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_pair, close_pair)
        const struct CMUnitTest tests[] = {
                TEST(every_op_arrives_whole),
                TEST(descriptors_travel_and_are_close_on_exec),
                TEST(descriptors_that_nobody_wants_are_closed),
                TEST(more_descriptors_than_fit_are_an_error_and_closed),
                TEST(an_empty_message_is_the_end_and_its_descriptors_are_closed),
                TEST(only_the_right_size_is_taken),
                TEST(descriptors_cut_off_for_want_of_numbers_are_an_error),
                TEST(a_peer_that_is_gone_is_no_signal),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
