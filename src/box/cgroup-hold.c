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

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"
#include "box/cgroup.h"

enum { HOLD_MS = 5000, MEMBERS_BYTES = 1 << 20, PATIENCE = 8 };

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
static int read_members(int group, char **ret) {
        rt_auto_free char *text = NULL;
        if (rt_read_file_at(group, "cgroup.procs", MEMBERS_BYTES, &text, NULL, NULL) < 0 || asprintf(ret, "\n%s", text) < 0)
                return -1;
        return 0;
}

static bool is_in(const char *list, const char *pid) {
        char line[32];
        (void)snprintf(line, sizeof line, "\n%.29s\n", pid);
        return strstr(list, line);
}

/* Brings who is in the box's group into the freezer's, but the box's first process, which is ours. 1: somebody was outside, and
 * others may have been born of them; 0: nobody was: children are born where their parents are; -1 with errno. */
static int gather(const struct rt_cgroup *cgroup, pid_t first, uint64_t until_ns) {
        rt_auto_free char *members = NULL;
        rt_auto_free char *inside = NULL;
        char *save = NULL;
        int any = 0;
        if (read_members(cgroup->freezer, &inside) < 0 || read_members(cgroup->members, &members) < 0)
                return -1;
        for (char *pid = strtok_r(members, "\n", &save); pid; pid = strtok_r(NULL, "\n", &save)) {
                if (strtol(pid, NULL, 10) == first || is_in(inside, pid))
                        continue;
                any = 1;
                if (write(cgroup->freezer_door, pid, strlen(pid)) < 0 && errno != ESRCH) {
                        errno = errno == EACCES ? ENOSYS : errno; /* a kernel that asks who writes, not who has opened it */
                        return -1;
                }
                if (rt_now_ns() > until_ns) {
                        errno = ETIMEDOUT;
                        return -1;
                }
        }
        return any;
}

static int hold_v1(const struct rt_cgroup *cgroup, bool hold, pid_t first, uint64_t until_ns) {
        if (cgroup->freezer_state < 0) {
                errno = ENOSYS;
                return -1;
        }
        if (!hold)
                return pwrite(cgroup->freezer_state, "THAWED", 6, 0) == 6 ? 0 : -1;
        if (pwrite(cgroup->freezer_state, "FROZEN", 6, 0) != 6)
                return -1;
        for (int any = 1, tries = 0; any; tries++) {
                if (tries == PATIENCE && rt_cgroup_stop_forks(cgroup) < 0) /* who is born faster than it can be brought in */
                        return -1;
                if ((any = gather(cgroup, first, until_ns)) < 0)
                        return -1;
        }
        return await_word(cgroup->freezer_state, "FROZEN", until_ns);
}

int rt_cgroup_hold(const struct rt_cgroup *cgroup, bool hold, pid_t first) {
        uint64_t until_ns = rt_now_ns() + HOLD_MS * 1000000ull;
        int r = cgroup->version == 2 ? hold_v2(cgroup, hold, until_ns) : hold_v1(cgroup, hold, first, until_ns);
        if (r < 0 && hold) {
                int why = errno;
                (void)(cgroup->version == 2 ? hold_v2(cgroup, false, until_ns) : hold_v1(cgroup, false, first, until_ns));
                errno = why;
        }
        return r;
}
