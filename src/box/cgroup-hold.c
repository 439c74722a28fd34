/* SPDX-License-Identifier: Apache-2.0
 *
 * A box that is to stand still. Version 2 freezes the box's group. Version 1 has a hierarchy of its own for that, into whose group the
 * guest's processes are brought first; nobody is there before, so that starting a box does not cost one more group to join.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "box/cgroup.h"

enum { HOLD_MS = 2000, MEMBERS_BYTES = 1 << 16 };

static bool says(int fd, const char *word) {
        char text[256];
        ssize_t n = pread(fd, text, sizeof text - 1, 0);
        text[n > 0 ? n : 0] = 0;
        return strstr(text, word) != NULL;
}

static int await_word(int fd, const char *word, uint64_t until_ns) {
        while (!says(fd, word)) {
                if (rt_now_ns() > until_ns) {
                        errno = ETIMEDOUT;
                        return -1;
                }
                (void)usleep(200);
        }
        return 0;
}

static int hold_v2(const struct rt_cgroup *cgroup, bool hold, uint64_t until_ns) {
        if (faccessat(cgroup->leaf, "cgroup.freeze", W_OK, 0) < 0) {
                errno = ENOSYS;
                return -1;
        }
        rt_auto_close int events = openat(cgroup->leaf, "cgroup.events", O_RDONLY | O_CLOEXEC);
        if (events < 0 || rt_write_file_at(cgroup->leaf, "cgroup.freeze", hold ? "1" : "0") < 0)
                return -1;
        return hold ? await_word(events, "frozen 1", until_ns) : 0;
}

/* Read anew: the kernel would repeat what it said to who has it open already. One number a line, with a line end before it. */
static bool read_members(int group, char *ret) {
        rt_auto_close int fd = openat(group, "cgroup.procs", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, ret + 1, MEMBERS_BYTES - 2);
        ret[0] = '\n';
        ret[n > 0 ? n + 1 : 1] = 0;
        return n >= 0;
}

/* Brings who is in the box's group into the freezer's. Whether there was anybody to bring: children are born where their
 * parents are, so that nobody is left outside once there is not. */
static bool gather(const struct rt_cgroup *cgroup, char *members, char *inside) {
        bool any = false;
        char *save = NULL;
        if (!read_members(cgroup->freezer, inside) || !read_members(cgroup->members, members))
                return false;
        for (char *pid = strtok_r(members, "\n", &save); pid; pid = strtok_r(NULL, "\n", &save)) {
                char line[32];
                (void)snprintf(line, sizeof line, "\n%.29s\n", pid);
                if (!strstr(inside, line)) /* what cannot be moved is the box's first process, or gone */
                        any |= write(cgroup->freezer_door, pid, strlen(pid)) > 0;
        }
        return any;
}

static int hold_v1(const struct rt_cgroup *cgroup, bool hold, uint64_t until_ns) {
        if (cgroup->freezer_state < 0) {
                errno = ENOSYS;
                return -1;
        }
        if (!hold)
                return pwrite(cgroup->freezer_state, "THAWED", 6, 0) == 6 ? 0 : -1;
        rt_auto_free char *lists = malloc(2 * MEMBERS_BYTES);
        if (!lists || pwrite(cgroup->freezer_state, "FROZEN", 6, 0) != 6)
                return -1;
        while (gather(cgroup, lists, lists + MEMBERS_BYTES))
                if (rt_now_ns() > until_ns) {
                        errno = ETIMEDOUT;
                        return -1;
                }
        return await_word(cgroup->freezer_state, "FROZEN", until_ns);
}

int rt_cgroup_hold(const struct rt_cgroup *cgroup, bool hold) {
        uint64_t until_ns = rt_now_ns() + HOLD_MS * 1000000ull;
        int r = cgroup->version == 2 ? hold_v2(cgroup, hold, until_ns) : hold_v1(cgroup, hold, until_ns);
        if (r < 0 && hold && errno != ENOSYS) {
                int why = errno;
                (void)rt_cgroup_hold(cgroup, false);
                errno = why;
        }
        return r;
}
