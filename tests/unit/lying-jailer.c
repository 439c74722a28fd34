/* SPDX-License-Identifier: Apache-2.0
 *
 * A jailer and keeper whom nobody should believe, started by test-box-lies. --scratch=NUMBER says which lie is told when the
 * engine asks what a step left.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "box/jailer.h"
#include "box/plan.h"

static const char *const name[] = { "left", NULL };

/* A plan with one byte of its only file's header or path changed. */
static int changed_plan(size_t at, char to) {
        static const struct rt_made_file file = { { "xx/program", { "ELF", 3 } }, true };
        rt_auto_close int fd = rt_plan_write_made(name, NULL, NULL, 0, &file, 1, NULL);
        char *text = NULL;
        size_t size = 0;
        (void)lseek(fd, 0, SEEK_SET);
        if (rt_read_all(fd, RT_PLAN_MAX_BYTES, &text, &size, NULL) < 0)
                return -1;
        text[16 + sizeof "left" + at] = to;
        int changed = rt_sealed_memfd("lie", text, size);
        free(text);
        return changed;
}

static int named_plan(const char *path) {
        const struct rt_made_file file = { { path, { "ELF", 3 } }, true };
        return rt_plan_write_made(name, NULL, NULL, 0, &file, 1, NULL);
}

static int make_lie(unsigned which) {
        int fd = memfd_create("lie", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        switch (which) {
        case 0: /* the truth */
                return changed_plan(16, 'x');
        case 1: /* could change later */
                (void)rt_write_all(fd, "x", 1);
                return fd;
        case 2:
                return rt_sealed_memfd("lie", "rubbish that is no plan at all", 30);
        case 3:
                return open("/dev/zero", O_RDONLY | O_CLOEXEC);
        case 4: /* "./program" */
                return named_plan("./program");
        case 5:
                return named_plan("../program");
        case 6:
                return named_plan("/program");
        case 7:
                return changed_plan(12, 2); /* executable: 2 */
        case 8:
                return changed_plan(7, 127); /* a size of 2^62 */
        case 9: /* larger than any plan */
                (void)ftruncate(fd, 1ll << 33);
                (void)fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
                return fd;
        default:
                return open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        }
}

static void answer(int socket, unsigned which) {
        struct rt_wire_message message = { .op = RT_FETCHED };
        int fds[2] = { make_lie(which), open("/dev/null", O_RDONLY | O_CLOEXEC) };
        if (which == 11)
                (void)rt_wire_send(socket, &message, NULL, 0); /* no descriptor */
        else if (which == 12)
                _exit(0);
        else if (which == 13)
                (void)send(socket, "short", 5, MSG_NOSIGNAL);
        else if (which == 14)
                (void)rt_wire_send(socket, &(struct rt_wire_message){ .op = RT_READY }, fds, 1);
        else
                (void)rt_wire_send(socket, &message, fds, which == 1 ? 2 : 1);
}

int main(int argc, char **argv) {
        unsigned which = 0;
        int pair[2];
        struct rt_wire_message message = { .op = RT_HELLO };
        for (int i = 1; i < argc; i++)
                if (strncmp(argv[i], "--scratch=", 10) == 0)
                        which = (unsigned)strtoul(argv[i] + 10, NULL, 10);
        if (rt_wire_send(RT_JAILER_SOCKET, &message, NULL, 0) < 0 || rt_wire_receive(RT_JAILER_SOCKET, &message, NULL) != 1 ||
            socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return 1;
        message = (struct rt_wire_message){ .op = RT_MADE };
        if (rt_wire_send(RT_JAILER_SOCKET, &message, &pair[1], 1) < 0)
                return 1;
        (void)rt_close(pair[1]);
        while (rt_wire_receive(pair[0], &message, NULL) == 1) {
                if (message.op == RT_RECYCLE)
                        (void)rt_wire_send(pair[0], &(struct rt_wire_message){ .op = RT_READY }, NULL, 0);
                if (message.op == RT_FETCH)
                        answer(pair[0], which);
        }
        return 0;
}
