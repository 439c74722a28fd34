/* SPDX-License-Identifier: Apache-2.0
 *
 * Control groups, version 2 or 1 or none. The jailer (with the host's rights) makes a base and one group a slot;
 * the keeper (without them) sets limits and reads meters through descriptors it was given.
 *
 * v1: the group of a slot stays and its counters are reset. v2: the slot's group is delegated to the keeper, which
 * lives in a leaf of it and makes a fresh leaf for each box, so that every counter starts at nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "box/box.h"

enum rt_cgroup_controller {
        RT_CG_MEMORY,
        RT_CG_PIDS,
        RT_CG_CPU,
        RT_CG_CONTROLLERS,
        RT_CG_FREEZER = RT_CG_CONTROLLERS, /* v1: processes come into its group only when they are held */
        RT_CG_HIERARCHIES
};

/* The host's side: where the groups of this jailer are made. */
struct rt_cgroup_base {
        int version;               /* 0, 1 or 2 */
        int dirs[RT_CG_HIERARCHIES]; /* v1: the base group of each; v2: all in the first; -1: not to be had */
        int parents[RT_CG_HIERARCHIES];
        char name[32];             /* of the base group: "retort.<pid>" */
        int frozen;                /* v2: the group of frozen interpreters */
        uid_t frozen_uid;          /* v2: who their zygotes are until they have moved into a slot's group; or 0 */
};

/* Finds what can be used, makes the base groups, and tells in isolation what is active and what is not, and why.
 * Removes what jailers that are gone have left. disable is a mask of mechanisms. Never fails: without groups,
 * version is 0. */
void rt_cgroup_base_open(struct rt_cgroup_base *base, uint32_t disable, uid_t frozen_uid, struct rt_box_isolation *isolation);
void rt_cgroup_base_close(struct rt_cgroup_base *base);

enum { RT_CGROUP_FILES = 13 };

/* One slot's group. Zero is not valid: use RT_CGROUP_NONE. */
struct rt_cgroup {
        int version;
        int files[RT_CGROUP_FILES];
        int tasks[RT_CG_CONTROLLERS]; /* v1: "tasks" of each controller */
        int dir;                      /* v2: the slot's group */
        int leaf;                     /* v2: the group of the box now */
        int members;                  /* v1: a group that the box's processes are in */
        int freezer;                  /* v1: the group they are brought into to be held, its */
        int freezer_state;            /* "freezer.state", and */
        int freezer_door;             /* its "cgroup.procs", which takes the guest's processes from us, and no others */
        bool have[RT_CG_CONTROLLERS];
};
#define RT_CGROUP_NONE ((struct rt_cgroup){ .dir = -1, .leaf = -1, .members = -1, .freezer = -1, .freezer_state = -1, .freezer_door = -1 })

/* Jailer: makes the group of a slot and opens what its keeper will need. owner is the keeper's uid on the host, guest its
 * guest's; both -1: nobody's own. On
 * success *ret_keeper_leaf is a descriptor of the group the keeper is to be cloned into (v2), or -1. */
int rt_cgroup_make(const struct rt_cgroup_base *base, unsigned slot, uid_t owner, uid_t guest, struct rt_cgroup *ret_cgroup,
                   int *ret_keeper_leaf, struct retort_error *err);
/* Closes the descriptors (both sides). */
void rt_cgroup_close(struct rt_cgroup *cgroup);
/* Jailer: removes the group of a slot whose keeper is gone, and what is left in it; waits a little for the kernel to agree. */
void rt_cgroup_remove(const struct rt_cgroup_base *base, unsigned slot);

/* Keeper: a group with counters at nothing for the next box. */
int rt_cgroup_renew(struct rt_cgroup *cgroup, struct retort_error *err);
/* In the new process, v1: joins the group. (v2: it was cloned into cgroup->leaf.) 0, or -1 with errno. */
int rt_cgroup_join(const struct rt_cgroup *cgroup);
/* Files that a process writes "0" into to be in the box's group (to be closed with rt_close), at most
 * RT_CG_CONTROLLERS. Returns how many, or -1 with errno. */
int rt_cgroup_doors(const struct rt_cgroup *cgroup, int ret_files[RT_CG_CONTROLLERS]);
int rt_cgroup_limit(const struct rt_cgroup *cgroup, const struct retort_limits *limits, struct retort_error *err);

/* Holds every process of the box where it stands, or lets them go on. Held ones of version 1 do not even die; in that version
 * the box's first process, which is ours, is left out, and who forks without end may be refused to: the limit of processes is
 * to be set anew after it. 0, or -1 with errno: ENOSYS where nothing can do that, ETIMEDOUT; then they go on. Blocks for five seconds at most. */
int rt_cgroup_hold(const struct rt_cgroup *cgroup, bool hold, pid_t first);
/* Nobody in the box can fork any more, until it is limited anew. */
int rt_cgroup_stop_forks(const struct rt_cgroup *cgroup);

/* What the counters say now; what there is no counter for stays 0. */
struct rt_meter {
        uint64_t cpu_ns;
        uint64_t user_ns;
        uint64_t system_ns;
        uint64_t peak_memory_bytes; /* what is held now, where the kernel keeps no peak */
        uint64_t oom_kills;
        uint64_t refused_forks;
        uint64_t processes;      /* now, the box's first process not counted */
        uint64_t peak_processes; /* 0: the kernel does not keep it */
};
/* split: the two parts of CPU time as well; else they are left alone. */
void rt_cgroup_read(const struct rt_cgroup *cgroup, bool split, struct rt_meter *ret_meter);
/* The peak of memory is from now on that of what comes, where the kernel can do that. */
void rt_cgroup_forget_peak(const struct rt_cgroup *cgroup);
/* A descriptor that becomes POLLPRI when a fork is refused, or -1. */
int rt_cgroup_forks_fd(const struct rt_cgroup *cgroup);
/* How many processes there are now, the box's first one not counted. */
uint64_t rt_cgroup_processes(const struct rt_cgroup *cgroup);
/* CPU time only: cheap enough to ask often. */
uint64_t rt_cgroup_cpu_ns(const struct rt_cgroup *cgroup);
/* v1: files in memory that are charged to the group, whoever has them open; v2, where groups are made anew: 0. */
uint64_t rt_cgroup_shared_bytes(const struct rt_cgroup *cgroup);
