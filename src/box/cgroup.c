/* SPDX-License-Identifier: Apache-2.0 */
#include "box/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"
#include "box/cgroup-tree.h"

/* ---- the files, in both versions ---- */

enum file { MEMORY_MAX, SWAP_MAX, MEMORY_PEAK, MEMORY_NOW, MEMORY_SHARED, OOM_KILLS, PIDS_MAX, PIDS_NOW, PIDS_PEAK, PIDS_REFUSED, CPU_ALL,
            CPU_USER, CPU_SYSTEM, N_FILES };
_Static_assert((int)N_FILES <= (int)RT_CGROUP_FILES, "struct rt_cgroup has room for every file");

struct file_spec {
        enum rt_cgroup_controller controller;
        const char *name[3]; /* by version */
        const char *key[3];  /* the line that counts; NULL: the file is one number */
        uint64_t scale[3];
        bool optional;
        bool writable;
};

static const struct file_spec specs[N_FILES] = {
        [MEMORY_MAX] = { RT_CG_MEMORY, { 0, "memory.limit_in_bytes", "memory.max" }, { 0 }, { 0 }, false, true },
        [SWAP_MAX] = { RT_CG_MEMORY, { 0, "memory.memsw.limit_in_bytes", "memory.swap.max" }, { 0 }, { 0 }, true, true },
        [MEMORY_PEAK] = { RT_CG_MEMORY, { 0, "memory.max_usage_in_bytes", "memory.peak" }, { 0 }, { 0, 1, 1 }, true, true },
        [MEMORY_NOW] = { RT_CG_MEMORY, { 0, NULL, "memory.current" }, { 0 }, { 0, 1, 1 }, true, false },
        [MEMORY_SHARED] = { RT_CG_MEMORY, { 0, "memory.stat", NULL }, { 0, "shmem", NULL }, { 0, 1, 1 }, true, false },
        [OOM_KILLS] = { RT_CG_MEMORY, { 0, "memory.oom_control", "memory.events" }, { 0, "oom_kill", "oom_kill" },
                        { 0, 1, 1 }, false, false },
        [PIDS_MAX] = { RT_CG_PIDS, { 0, "pids.max", "pids.max" }, { 0 }, { 0 }, false, true },
        [PIDS_NOW] = { RT_CG_PIDS, { 0, "pids.current", "pids.current" }, { 0 }, { 0, 1, 1 }, false, false },
        [PIDS_PEAK] = { RT_CG_PIDS, { 0, NULL, "pids.peak" }, { 0 }, { 0, 1, 1 }, true, false },
        [PIDS_REFUSED] = { RT_CG_PIDS, { 0, "pids.events", "pids.events" }, { 0, "max", "max" }, { 0, 1, 1 }, true, false },
        [CPU_ALL] = { RT_CG_CPU, { 0, "cpuacct.usage", "cpu.stat" }, { 0, NULL, "usage_usec" }, { 0, 1, 1000 }, false, false },
        [CPU_USER] = { RT_CG_CPU, { 0, "cpuacct.usage_user", "cpu.stat" }, { 0, NULL, "user_usec" }, { 0, 1, 1000 }, true, false },
        [CPU_SYSTEM] = { RT_CG_CPU, { 0, "cpuacct.usage_sys", "cpu.stat" }, { 0, NULL, "system_usec" }, { 0, 1, 1000 }, true, false },
};

static const char *const controller_names[3][RT_CG_HIERARCHIES] = {
        { 0 }, { "memory", "pids", "cpuacct", "freezer" }, { "memory", "pids", "cpu", NULL } };

static uint64_t read_number(const struct rt_cgroup *cgroup, enum file file) {
        char text[1024];
        ssize_t n = cgroup->files[file] < 0 ? -1 : pread(cgroup->files[file], text, sizeof text - 1, 0);
        if (n <= 0)
                return 0;
        text[n] = 0;
        const char *key = specs[file].key[cgroup->version];
        const char *at = text;
        if (key) {
                size_t size = strlen(key);
                while (at && !(strncmp(at, key, size) == 0 && at[size] == ' '))
                        at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL;
                at = at ? at + size + 1 : "0";
        }
        return strtoull(at, NULL, 10) * specs[file].scale[cgroup->version];
}

static int write_number(const struct rt_cgroup *cgroup, enum file file, uint64_t value) {
        char text[24];
        int n = snprintf(text, sizeof text, "%" PRIu64, value);
        return pwrite(cgroup->files[file], text, (size_t)n, 0) == n ? 0 : -1;
}

/* ---- the host's side ---- */

static void tell(struct rt_box_isolation *isolation, enum rt_mechanism m, enum rt_mechanism_state state,
                 const char *reason, const char *mend) {
        isolation->mechanisms[m].state = state;
        (void)snprintf(isolation->mechanisms[m].reason, sizeof isolation->mechanisms[m].reason, "%s", reason);
        (void)snprintf(isolation->mechanisms[m].mend, sizeof isolation->mechanisms[m].mend, "%s", mend);
}

static int make_base(struct rt_cgroup_base *base, const char *path, enum rt_cgroup_controller c) {
        rt_auto_close int parent = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (parent < 0)
                return -1;
        rt_cgroup_remove_stale(parent);
        if (mkdirat(parent, base->name, 0700) < 0 && errno != EEXIST)
                return -1;
        base->dirs[c] = openat(parent, base->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (base->dirs[c] < 0 || (flock(base->dirs[c], LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK))
                return -1;
        base->parents[c] = rt_take_fd(&parent);
        return 0;
}

static const enum rt_mechanism mechanism_of[] = { RT_BOX_CGROUP_MEMORY, RT_BOX_CGROUP_PIDS, RT_BOX_CGROUP_CPU };

static bool usable_freezer(const struct rt_cgroup_base *base) {
        return faccessat(base->dirs[RT_CG_FREEZER], "freezer.state", W_OK, 0) == 0;
}

/* The base is removed again if a group below it lacks the files that count (an empty hybrid hierarchy has none). */
static bool usable_v1(const struct rt_cgroup_base *base, enum rt_cgroup_controller c) {
        if (c == RT_CG_FREEZER)
                return usable_freezer(base);
        for (int f = 0; f < N_FILES; f++)
                if (specs[f].controller == c && !specs[f].optional && specs[f].name[1] &&
                    faccessat(base->dirs[c], specs[f].name[1], specs[f].writable ? W_OK : R_OK, 0) < 0)
                        return false;
        return true;
}

static void drop_base(struct rt_cgroup_base *base, int c) {
        base->dirs[c] = rt_close(base->dirs[c]);
        if (base->parents[c] >= 0)
                rt_cgroup_remove_tree(base->parents[c], base->name);
        if (base->parents[c] >= 0 && base->version == 2)
                rt_cgroup_take_back(base->parents[c]);
        base->parents[c] = rt_close(base->parents[c]);
}

static bool open_v1(struct rt_cgroup_base *base, uint32_t disable) {
        bool any = false;
        for (int c = 0; c < RT_CG_HIERARCHIES; c++) {
                char path[600];
                if (c < RT_CG_CONTROLLERS ? (disable & (1u << mechanism_of[c])) != 0 : !any)
                        continue;
                if (rt_cgroup_own(1, controller_names[1][c], path, sizeof path) < 0)
                        continue;
                if (make_base(base, path, c) < 0 || !usable_v1(base, c))
                        drop_base(base, c);
                else
                        any |= c < RT_CG_CONTROLLERS;
        }
        return any;
}

/* Our own group, or, as root, the top one. */
static bool open_v2(struct rt_cgroup_base *base) {
        char own[600];
        if (rt_cgroup_own(2, NULL, own, sizeof own) < 0)
                return false;
        const char *tries[] = { own, "/sys/fs/cgroup" };
        for (size_t i = 0; i < RT_LEN(tries); i++) {
                rt_auto_close int group = open(tries[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (group < 0)
                        continue;
                if (rt_cgroup_share_out(group) == 0 && make_base(base, tries[i], 0) == 0 &&
                    rt_write_file_at(base->dirs[0], "cgroup.subtree_control", "+memory +pids") == 0)
                        return true;
                drop_base(base, 0);
                rt_cgroup_take_back(group);
        }
        return false;
}

static void tell_how(const struct rt_cgroup_base *base, struct rt_box_isolation *isolation) {
        static const char *const how[3][RT_CG_CONTROLLERS] = {
                { "polling /proc", "polling /proc", "polling /proc" },
                { "cgroup1 memory.max_usage_in_bytes", "cgroup1 pids.current", "cgroup1 cpuacct.usage" },
                { "cgroup2 memory.peak", "cgroup2 pids.peak", "cgroup2 cpu.stat" } };
        static const char *const current[] = { "cgroup2 memory.current", "cgroup2 pids.current", NULL };
        char *places[] = { isolation->memory_how, isolation->processes_how, isolation->cpu_how };
        bool looked_for[RT_CG_CONTROLLERS] = { 0 };
        if (base->version == 2) { /* peaks that this kernel does not keep */
                looked_for[RT_CG_MEMORY] = faccessat(base->dirs[0], "memory.peak", R_OK, 0) < 0;
                looked_for[RT_CG_PIDS] = faccessat(base->dirs[0], "pids.peak", R_OK, 0) < 0;
        }
        for (int c = 0; c < RT_CG_CONTROLLERS; c++) {
                bool active = isolation->mechanisms[mechanism_of[c]].state == RT_BOX_ACTIVE;
                (void)snprintf(places[c], sizeof isolation->memory_how, "%s",
                               looked_for[c] ? current[c] : how[active ? base->version : 0][c]);
        }
}

/* A group beside the slots' for frozen interpreters. Their zygotes move from there into a slot's group, as who they were
 * started as: version 2 asks who may write to the group that both lie in, and to the one moved to (make_v2). */
static void make_frozen_group(struct rt_cgroup_base *base) {
        if (mkdirat(base->dirs[0], "frozen", 0755) < 0 && errno != EEXIST)
                return;
        if (base->frozen_uid && fchownat(base->dirs[0], "cgroup.procs", base->frozen_uid, (gid_t)-1, 0) < 0)
                return;
        base->frozen = openat(base->dirs[0], "frozen", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void rt_cgroup_base_open(struct rt_cgroup_base *base, uint32_t disable, uid_t frozen_uid, struct rt_box_isolation *isolation) {
        *base = (struct rt_cgroup_base){ .dirs = { -1, -1, -1, -1 }, .parents = { -1, -1, -1, -1 }, .frozen = -1, .frozen_uid = frozen_uid };
        (void)snprintf(base->name, sizeof base->name, "retort.%d", (int)getpid());
        const uint32_t all = 1u << RT_BOX_CGROUP_MEMORY | 1u << RT_BOX_CGROUP_PIDS | 1u << RT_BOX_CGROUP_CPU;
        if ((disable & all) == 0 && open_v2(base))
                base->version = 2;
        else if (open_v1(base, disable))
                base->version = 1;
        const char *mend = geteuid() == 0 ? "give the container or service delegated cgroups (systemd: Delegate=yes)"
                                          : "start it with: systemd-run --user --scope -p Delegate=yes retort ...";
        for (int c = 0; c < RT_CG_CONTROLLERS; c++) {
                enum rt_mechanism m = mechanism_of[c];
                if (disable & (1u << m))
                        tell(isolation, m, RT_BOX_OFF, "switched off by configuration", "");
                else if (base->version == 2 || (base->version == 1 && base->dirs[c] >= 0))
                        tell(isolation, m, RT_BOX_ACTIVE, "", "");
                else
                        tell(isolation, m, RT_BOX_UNAVAILABLE,
                             "no cgroup of version 2 or 1 with this controller may be written here", mend);
        }
        tell_how(base, isolation);
        if (base->version == 2)
                make_frozen_group(base);
}

void rt_cgroup_base_close(struct rt_cgroup_base *base) {
        for (int c = RT_CG_HIERARCHIES - 1; c >= 0; c--) /* what is held is let go first */
                drop_base(base, c);
        base->frozen = rt_close(base->frozen);
        base->version = 0;
}

/* ---- a slot's group ---- */

static void open_files(struct rt_cgroup *cgroup, const int dirs[RT_CG_CONTROLLERS]) {
        for (int f = 0; f < N_FILES; f++) {
                const char *name = specs[f].name[cgroup->version];
                int dir = dirs[specs[f].controller];
                int flags = specs[f].writable ? O_RDWR : O_RDONLY;
                cgroup->files[f] = dir >= 0 && name ? openat(dir, name, flags | O_CLOEXEC) : -1;
                if (cgroup->files[f] < 0 && dir >= 0 && name && specs[f].writable) /* memory.peak is read-only before 6.12 */
                        cgroup->files[f] = openat(dir, name, O_RDONLY | O_CLOEXEC);
        }
}

/* A door takes only processes that whoever *opened* it may move. Opened by us, a keeper could pull every process of the
 * host into its group, and starve it there; opened as the keeper's own uid, only its own; as its guest's, only those. */
static int open_door(int dir, const char *name, uid_t owner) {
        if (owner == (uid_t)-1)
                return openat(dir, name, O_WRONLY | O_CLOEXEC);
        if (fchownat(dir, name, owner, (gid_t)-1, 0) < 0 || seteuid(owner) < 0)
                return -1;
        int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
        int kept = errno;
        if (seteuid(0) < 0)
                abort(); /* half a jailer must not go on */
        errno = kept;
        return fd;
}

/* Without it a box that is to stand still has to be held from inside. */
static void make_freezer(const struct rt_cgroup_base *base, const char *name, uid_t guest, int group, struct rt_cgroup *cgroup) {
        if (base->dirs[RT_CG_FREEZER] < 0 || group < 0 || (mkdirat(base->dirs[RT_CG_FREEZER], name, 0755) < 0 && errno != EEXIST))
                return;
        cgroup->freezer = openat(base->dirs[RT_CG_FREEZER], name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cgroup->freezer_door = cgroup->freezer < 0 ? -1 : open_door(cgroup->freezer, "cgroup.procs", guest);
        cgroup->members = fcntl(group, F_DUPFD_CLOEXEC, 3);
        if (cgroup->freezer_door >= 0 && cgroup->members >= 0)
                cgroup->freezer_state = openat(cgroup->freezer, "freezer.state", O_RDWR | O_CLOEXEC);
}

static int make_v1(const struct rt_cgroup_base *base, const char *name, uid_t owner, uid_t guest, struct rt_cgroup *cgroup,
                   struct retort_error *err) {
        int dirs[RT_CG_CONTROLLERS] = { -1, -1, -1 };
        int r = 0;
        for (int c = 0; c < RT_CG_CONTROLLERS && r == 0; c++) {
                if (base->dirs[c] < 0)
                        continue;
                if (mkdirat(base->dirs[c], name, 0755) < 0 && errno != EEXIST)
                        r = rt_fail_errno(err, "cannot make a cgroup for %s", controller_names[1][c]);
                dirs[c] = openat(base->dirs[c], name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                cgroup->tasks[c] = dirs[c] < 0 ? -1 : open_door(dirs[c], "tasks", owner);
                cgroup->have[c] = cgroup->tasks[c] >= 0;
                if (r == 0 && !cgroup->have[c])
                        r = rt_fail_errno(err, "cannot open the cgroup for %s", controller_names[1][c]);
        }
        if (r == 0) {
                open_files(cgroup, dirs);
                make_freezer(base, name, guest, dirs[RT_CG_PIDS] >= 0 ? dirs[RT_CG_PIDS] : dirs[RT_CG_MEMORY], cgroup);
        }
        /* Version 1 charges the buffers of network sockets only where they have a limit of their own; without, a guest's
         * loopback could fill what all of the host shares (net.ipv4.tcp_mem, udp_mem). A box needs little. */
        if (dirs[RT_CG_MEMORY] >= 0)
                (void)rt_write_file_at(dirs[RT_CG_MEMORY], "memory.kmem.tcp.limit_in_bytes", "33554432");
        for (int c = 0; c < RT_CG_CONTROLLERS; c++)
                (void)rt_close(dirs[c]);
        return r;
}

static int make_v2(const struct rt_cgroup_base *base, const char *name, uid_t owner, struct rt_cgroup *cgroup,
                   int *ret_keeper_leaf, struct retort_error *err) {
        if (mkdirat(base->dirs[0], name, 0755) < 0 && errno != EEXIST)
                return rt_fail_errno(err, "cannot make a cgroup");
        cgroup->dir = openat(base->dirs[0], name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (cgroup->dir < 0 || mkdirat(cgroup->dir, "keeper", 0755) < 0)
                return rt_fail_errno(err, "cannot make the keeper's cgroup");
        if (rt_write_file_at(cgroup->dir, "cgroup.subtree_control", "+memory +pids") < 0)
                return rt_fail_errno(err, "cannot share out controllers");
        static const char *const given[] = { "", "cgroup.procs", "cgroup.subtree_control", "keeper",
                                             "keeper/cgroup.procs" };
        for (size_t i = 0; i < RT_LEN(given); i++)
                if (fchownat(cgroup->dir, given[i], owner, (gid_t)-1, given[i][0] ? 0 : AT_EMPTY_PATH) < 0)
                        return rt_fail_errno(err, "cannot delegate a cgroup");
        if (base->frozen_uid && (fchownat(cgroup->dir, "keeper/cgroup.procs", (uid_t)-1, base->frozen_uid, 0) < 0 ||
                                 fchmodat(cgroup->dir, "keeper/cgroup.procs", 0664, 0) < 0))
                return rt_fail_errno(err, "cannot open the keeper's cgroup to zygotes");
        *ret_keeper_leaf = openat(cgroup->dir, "keeper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (int c = 0; c < RT_CG_CONTROLLERS; c++)
                cgroup->have[c] = true;
        return *ret_keeper_leaf < 0 ? rt_fail_errno(err, "cannot open the keeper's cgroup") : 0;
}

int rt_cgroup_make(const struct rt_cgroup_base *base, unsigned slot, uid_t owner, uid_t guest, struct rt_cgroup *ret_cgroup,
                   int *ret_keeper_leaf, struct retort_error *err) {
        char name[32];
        (void)snprintf(name, sizeof name, "slot%u", slot);
        *ret_cgroup = RT_CGROUP_NONE;
        ret_cgroup->version = base->version;
        *ret_keeper_leaf = -1;
        for (int i = 0; i < RT_CGROUP_FILES; i++)
                ret_cgroup->files[i] = -1;
        for (int c = 0; c < RT_CG_CONTROLLERS; c++)
                ret_cgroup->tasks[c] = -1;
        int r = base->version == 1   ? make_v1(base, name, owner, guest, ret_cgroup, err)
                : base->version == 2 ? make_v2(base, name, owner, ret_cgroup, ret_keeper_leaf, err)
                                     : 0;
        if (r < 0) {
                rt_cgroup_close(ret_cgroup);
                rt_cgroup_remove(base, slot);
        }
        return r;
}

static void close_files(struct rt_cgroup *cgroup) {
        for (int i = 0; i < RT_CGROUP_FILES; i++)
                cgroup->files[i] = rt_close(cgroup->files[i]);
}

void rt_cgroup_close(struct rt_cgroup *cgroup) {
        close_files(cgroup);
        for (int c = 0; c < RT_CG_CONTROLLERS; c++)
                cgroup->tasks[c] = rt_close(cgroup->tasks[c]);
        cgroup->dir = rt_close(cgroup->dir);
        cgroup->leaf = rt_close(cgroup->leaf);
        cgroup->members = rt_close(cgroup->members);
        cgroup->freezer = rt_close(cgroup->freezer);
        cgroup->freezer_state = rt_close(cgroup->freezer_state);
        cgroup->freezer_door = rt_close(cgroup->freezer_door);
}

void rt_cgroup_remove(const struct rt_cgroup_base *base, unsigned slot) {
        char name[32];
        (void)snprintf(name, sizeof name, "slot%u", slot);
        for (int c = RT_CG_HIERARCHIES - 1; c >= 0; c--) /* what is held is let go first */
                if (base->dirs[c] >= 0)
                        rt_cgroup_remove_tree(base->dirs[c], name);
}

/* ---- the keeper's side ---- */

uint64_t rt_cgroup_shared_bytes(const struct rt_cgroup *cgroup) {
        return cgroup->version == 1 ? read_number(cgroup, MEMORY_SHARED) : 0;
}

int rt_cgroup_renew(struct rt_cgroup *cgroup, struct retort_error *err) {
        if (cgroup->version != 2) {
                rt_cgroup_forget_peak(cgroup);
                return 0;
        }
        close_files(cgroup);
        cgroup->leaf = rt_close(cgroup->leaf);
        rt_cgroup_remove_tree(cgroup->dir, "box");
        if (mkdirat(cgroup->dir, "box", 0755) < 0)
                return rt_fail_errno(err, "cannot make the box's cgroup");
        cgroup->leaf = openat(cgroup->dir, "box", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (cgroup->leaf < 0)
                return rt_fail_errno(err, "cannot open the box's cgroup");
        const int dirs[RT_CG_CONTROLLERS] = { cgroup->leaf, cgroup->leaf, cgroup->leaf };
        open_files(cgroup, dirs);
        (void)rt_write_file_at(cgroup->leaf, "memory.oom.group", "1");
        return 0;
}

int rt_cgroup_doors(const struct rt_cgroup *cgroup, int ret_files[RT_CG_CONTROLLERS]) {
        int n = 0;
        if (cgroup->version == 2) {
                ret_files[0] = openat(cgroup->leaf, "cgroup.procs", O_WRONLY | O_CLOEXEC);
                return ret_files[0] < 0 ? -1 : 1;
        }
        for (int c = 0; c < RT_CG_CONTROLLERS; c++)
                if (cgroup->tasks[c] >= 0 && (ret_files[n++] = fcntl(cgroup->tasks[c], F_DUPFD_CLOEXEC, 3)) < 0)
                        return -1;
        return n;
}

int rt_cgroup_join(const struct rt_cgroup *cgroup) {
        /* "0" into v1's `tasks` moves the writer without the global lock that cgroup.procs takes: 30 us, not 7 ms. */
        for (int c = 0; c < RT_CG_CONTROLLERS; c++)
                if (cgroup->tasks[c] >= 0 && write(cgroup->tasks[c], "0", 1) != 1)
                        return -1;
        return 0;
}

/* v1 wants memory <= memory + swap at every moment. */
static int limit_memory(const struct rt_cgroup *cgroup, uint64_t bytes) {
        if (cgroup->version == 2) {
                if (cgroup->files[SWAP_MAX] >= 0)
                        (void)write_number(cgroup, SWAP_MAX, 0);
                return write_number(cgroup, MEMORY_MAX, bytes);
        }
        if (cgroup->files[SWAP_MAX] < 0)
                return write_number(cgroup, MEMORY_MAX, bytes);
        if (write_number(cgroup, MEMORY_MAX, bytes) < 0 && write_number(cgroup, SWAP_MAX, bytes) < 0)
                return -1;
        return write_number(cgroup, MEMORY_MAX, bytes) < 0 ? -1 : write_number(cgroup, SWAP_MAX, bytes);
}

int rt_cgroup_limit(const struct rt_cgroup *cgroup, const struct retort_limits *limits, struct retort_error *err) {
        if (cgroup->have[RT_CG_MEMORY] && limit_memory(cgroup, limits->memory_bytes) < 0)
                return rt_fail_errno(err, "cannot limit memory to %" PRIu64 " bytes", limits->memory_bytes);
        /* one more for the box's first process */
        if (cgroup->have[RT_CG_PIDS] && write_number(cgroup, PIDS_MAX, limits->processes + 1) < 0)
                return rt_fail_errno(err, "cannot limit processes to %" PRIu64, limits->processes);
        return 0;
}

int rt_cgroup_stop_forks(const struct rt_cgroup *cgroup) {
        return cgroup->have[RT_CG_PIDS] ? write_number(cgroup, PIDS_MAX, 0) : 0;
}

void rt_cgroup_read(const struct rt_cgroup *cgroup, bool split, struct rt_meter *ret_meter) {
        uint64_t peak = read_number(cgroup, PIDS_PEAK);
        *ret_meter = (struct rt_meter){
                .cpu_ns = read_number(cgroup, CPU_ALL),
                .user_ns = split ? read_number(cgroup, CPU_USER) : ret_meter->user_ns,
                .system_ns = split ? read_number(cgroup, CPU_SYSTEM) : ret_meter->system_ns,
                .peak_memory_bytes = read_number(cgroup, cgroup->files[MEMORY_PEAK] >= 0 ? MEMORY_PEAK : MEMORY_NOW),
                .oom_kills = read_number(cgroup, OOM_KILLS),
                .refused_forks = read_number(cgroup, PIDS_REFUSED),
                .processes = rt_cgroup_processes(cgroup),
                .peak_processes = peak ? peak - 1 : 0,
        };
}

void rt_cgroup_forget_peak(const struct rt_cgroup *cgroup) {
        if (cgroup->files[MEMORY_PEAK] >= 0)
                (void)write_number(cgroup, MEMORY_PEAK, 0);
}

int rt_cgroup_forks_fd(const struct rt_cgroup *cgroup) {
        return cgroup->files[PIDS_REFUSED];
}

uint64_t rt_cgroup_processes(const struct rt_cgroup *cgroup) {
        uint64_t processes = read_number(cgroup, PIDS_NOW);
        return processes ? processes - 1 : 0;
}

uint64_t rt_cgroup_cpu_ns(const struct rt_cgroup *cgroup) {
        return read_number(cgroup, CPU_ALL);
}
