/* SPDX-License-Identifier: Apache-2.0
 *
 * The keeper of one slot: lives in the slot's namespaces, with capabilities that mean nothing outside of them, and
 * turns the engine's words (START, KILL, RECYCLE, FETCH, METER) into boxes. It is single-threaded and does one thing at a
 * time. The guest's processes are never its own children, but for hosts without pid namespaces.
 */
#pragma once

#include <sys/types.h>

#include "box/cgroup.h"
#include "box/wire.h"

struct rt_plan;

struct rt_keeper {
        int engine;          /* the slot's socket */
        uint32_t mechanisms; /* mask of those that are active */
        uint32_t guest_uid;  /* as inside */
        bool can_setuid;     /* the slot has more than one uid */
        int init_exe;        /* retort-init */
        struct rt_slot_places places;
        struct retort_limits ceilings;
        struct rt_cgroup cgroup;

        int private_fs;  /* the slot's tmpfs, or its scratch directory */
        int network;     /* /proc/self/net of the slot's network namespace */
        uint64_t network_new; /* what it said when nobody had used it: a hash */
        unsigned cpus;
        bool used;       /* a guest has run since the private places were made */
        unsigned n_steps; /* how many have */

        /* the box now: its first process and what talks to it; -1 and 0: none */
        pid_t init;
        int init_pidfd;
        int init_socket;
        int listener; /* notifications of denied system calls */
        int library;  /* what is loaded into programs that are started ahead, or -1 */
        int proc;     /* /proc that shows the box's processes */
        bool parked;

        /* guests that are forks of a frozen interpreter: box/forked.c */
        int spaces[RT_FORK_INIT]; /* the slot's namespaces, in the order of RT_FORK_* */
        int link;                 /* to the interpreter, or -1 */
        int zygote;               /* socket of the slot's zygote, or -1 */
        bool forked;              /* the guest, parked or running, is a fork of it */
        bool ipc_used;            /* a guest made something in the IPC namespace that outlives it */
        bool dying;               /* the guest is on its way out, and its zygote will say so */
        pid_t guest;              /* its process, as we see it; 0: unknown */
        unsigned told;            /* how many calls of this guest's we were told of */
        uint32_t last_pid;        /* the last number in the box that went to the guest before or its threads */

        /* a program that is started ahead: box/ahead.c */
        int program; /* its plan, or -1 */
        int words;   /* its stderr until it is parked, or -1 */
        bool ahead;  /* the guest, parked or running, is it */
        struct rt_ahead_cost cost;

        struct rt_private_seal {
                bool valid;
                uint64_t words[32]; /* what the private places looked like when the guest started */
                char file[RETORT_MAX_PATH + 1]; /* the plan's only one */
        } seal;

        /* the step now */
        struct retort_limits limits;
        struct retort_limits set; /* what the control group and the disk have been told; 0: nothing yet */
        struct rt_meter before; /* what the counters said when the step began */
        bool metered;           /* and still say, but for CPU time: no guest was in the group since it ended */
        uint64_t begun_ns;      /* or METER's time */
        bool idle;              /* see RT_METER_IDLE */
        bool held;              /* it stands still */
        uint64_t peak_processes;
        uint64_t peak_rss_bytes; /* for hosts without cgroups, and kernels that keep no peak */
        uint64_t cpu_seen_ns;
        struct rt_box_report report;
};

static inline bool rt_keeper_has(const struct rt_keeper *k, enum rt_mechanism m) {
        return k->mechanisms & (1u << m);
}

/* From now on SIGTERM ends the keeper with the box: in order, or at once where a process namespace does the rest. */
int rt_keeper_outlive_jailer(const struct rt_keeper *k, pid_t jailer);

/* Serves the engine until it goes away. Never returns. */
void rt_keeper_main(struct rt_keeper *k) __attribute__((noreturn));

/* box/arm.c: a child in new namespaces (CLONE_NEW* flags) and, unless -1, in a control group of version 2. Where that
 * takes more than one call, the group is joined before this returns: the child must wait for a word. */
pid_t rt_clone(uint64_t flags, int *ret_pidfd, int group);

enum rt_start { RT_START_COLD, RT_START_FORK, RT_START_POOL };

/* What the parked process, or the guest, is. */
static inline enum rt_start rt_keeper_start(const struct rt_keeper *k) {
        return k->forked ? RT_START_FORK : k->ahead ? RT_START_POOL : RT_START_COLD;
}

/* box/arm.c: a box with a parked process in it: a fork of the linked interpreter, the program that is started ahead, or (also
 * if that fails) one that will become any program. */
int rt_keeper_arm(struct rt_keeper *k, enum rt_start how, struct retort_error *err);
/* box/arm.c: a box with nothing in it but its first process, and what that parks unless guests come from outside. */
int rt_keeper_start_init(struct rt_keeper *k, bool guests_come, struct retort_error *err);
/* box/arm.c: waits for one message of an op in the mask; ret_fd (may be NULL) takes its descriptor. */
int rt_keeper_expect(int socket, uint64_t ops, struct rt_wire_message *message, int *ret_fd, struct retort_error *err);
/* box/arm.c: a message that says who the slot's guest is. */
struct rt_wire_message rt_keeper_who(const struct rt_keeper *k, enum rt_wire_op op);

/* The socket at which the parked process waits. */
static inline int rt_keeper_guest_socket(const struct rt_keeper *k) {
        return k->forked ? k->zygote : k->init_socket;
}
/* box/arm.c: ends every process of the box. Fails when one would not die in five seconds. */
int rt_keeper_kill_box(struct rt_keeper *k, struct retort_error *err);

/* box/arm.c: for hosts without pid namespaces: kills every child of ours, and what it leaves to us, until there is none
 * or the deadline (monotonic nanoseconds) has passed: then -1. */
int rt_keeper_kill_strays(uint64_t deadline);

/* box/watch.c: from the parked process's GO to a full report. */
void rt_keeper_watch(struct rt_keeper *k);
/* box/keeper.c: whether limits are within what the jailer allows. */
int rt_keeper_check_limits(const struct rt_keeper *k, const struct retort_limits *limits, struct retort_error *err);

/* Of a place in the scratch directory: the jailer's process id, the slot, "work" or "tmp". */
#define RT_PLACE_NAME "retort-%d-%u.%s"

/* box/private.c: the private places of the slot: /work and /tmp, or directories in the scratch directory. */
int rt_keeper_private_make(struct rt_keeper *k, struct retort_error *err);
void rt_keeper_private_remove(struct rt_keeper *k);
/* Notes what the private places look like; whether they still do (then the plan's own files are taken out again). Only
 * where there is a mount namespace. */
void rt_keeper_private_seal(struct rt_keeper *k, const struct rt_plan *plan);
bool rt_keeper_private_untouched(struct rt_keeper *k);
/* Without a mount namespace, for a keeper that could not: removes the directories of a slot. */
void rt_places_remove(const struct rt_slot_places *places);
/* The same for every slot of jailers that are gone. scratch is the directory they lie in. */
void rt_places_remove_stale(const char *scratch);
/* Sets the size and writes the files of a plan. */
int rt_keeper_private_fill(struct rt_keeper *k, const struct rt_plan *plan, uint64_t disk_bytes,
                           struct retort_error *err);
/* Fills the report's file_limit_hit, disk_full, largest_file_bytes and disk_used_bytes. */
void rt_keeper_private_measure(struct rt_keeper *k);

/* box/fetch.c: what the first step after the private places were made has left in them, as a sealed plan of files. Only
 * while no process of the box is alive, and only if all of it can be said in a plan: anything else than files of 0644 and
 * 0755 below the work directory is RETORT_E_INPUT. */
enum { RT_FETCH_MAX_BYTES = 8 << 20 }; /* the keeper and the engine hold it outside of the guest's limits */
int rt_keeper_fetch(struct rt_keeper *k, int *ret_plan, struct retort_error *err);
