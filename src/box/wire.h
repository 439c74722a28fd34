/* SPDX-License-Identifier: Apache-2.0
 *
 * What the processes of a box say to each other, and nothing else:
 *
 *   engine --(jail socket)--> jailer     MAKE, FREEZE             <-- HELLO, MADE, FAIL
 *   engine --(slot socket)--> keeper     START, KILL, RECYCLE,    <-- READY, END, FAIL,
 *                                        FETCH, METER, HURRY,         FETCHED, METERED, HELD
 *                                        HOLD
 *   keeper --(init socket)--> init       ARM, GO                  <-- PARKED, TAKEN, BAD_EXEC, EXITED
 *
 * Where guests are forks of a frozen interpreter (src/pool), these besides:
 *
 *   engine --(its socket)--> frozen interpreter     LINK          <-- READY
 *   keeper --(link)--> frozen interpreter           FORK
 *   keeper --(zygote socket)--> zygote of the slot  ARM, GO       <-- READY, FAIL, FORKED, PARKED, BAD_EXEC, EXITED
 *
 * A program that is started ahead (src/pool/ahead.c) has the parked process's end of init's socket: it says PARKED once
 * more, and waits for a second GO.
 *
 * A slot is thrown away by closing its socket. All are SOCK_SEQPACKET: a message arrives whole or not at all. A message has a fixed size for its op;
 * anything else ends the connection. Bulk (argv, environment, files) is in a sealed memfd: box/plan.h.
 */
#pragma once

#include <stdint.h>

#include "box/pooled.h"

enum rt_wire_op {
        RT_HELLO = 1, /* jailer: what isolation there is */
        RT_MAKE,      /* engine: make a slot */
        RT_MADE,      /* jailer: here is its socket */
        RT_FAIL,      /* jailer, keeper: the last thing asked did not work */
        RT_START,     /* engine: one step; descriptors: plan, stdin, stdout, stderr, report */
        RT_KILL,      /* engine: end the step */
        RT_END,       /* keeper: the step's report */
        RT_RECYCLE,   /* engine: make the slot as new */
        RT_READY,     /* keeper: it is, and a process is parked in it */
        RT_ARM,       /* keeper: who the guest is */
        RT_PARKED,    /* init: a process waits for GO; descriptor: its seccomp notifications */
        RT_GO,        /* keeper: become this program; descriptors as for START */
        RT_BAD_EXEC,  /* parked process: could not */
        RT_EXITED,    /* init, zygote: the step's own process has ended */
        RT_FREEZE,    /* engine: start an interpreter that will freeze; descriptors: plan, its stderr */
        RT_LINK,      /* engine: serve whoever has the other end of this; descriptor: a keeper's link */
        RT_FORK,      /* keeper: a zygote for this slot; descriptors: RT_FORK_* */
        RT_FETCH,     /* engine: what did the first step leave? */
        RT_FETCHED,   /* keeper: this; descriptor: the files, as a plan has them */
        RT_FORKED,    /* zygote: the process that it has forked, as it sees it */
        RT_METER,     /* engine: what has the step used? From now on it may use this: wall_ms and cpu_ms of limits */
        RT_METERED,   /* keeper: this, since START or the METER before */
        RT_TAKEN,     /* a program that was started ahead: it has its GO, and the run begins */
        RT_HURRY,     /* engine: somebody waits for the program that is being started ahead */
        RT_HOLD,      /* engine: the step is to stand still, or to go on */
        RT_HELD,      /* keeper: it does; or (bits) errno */
        RT_WIRE_OPS   /* one more than the last */
};

enum { RT_WIRE_MAX_FDS = 10 };
enum { RT_START_FDS = 5 };
/* Descriptors of a FORK: the slot's namespaces, the box's first process, the zygote's socket; then the files that guests
 * write themselves into to be in the box's control group. */
enum { RT_FORK_USER_NS, RT_FORK_MOUNT_NS, RT_FORK_NET_NS, RT_FORK_UTS_NS, RT_FORK_INIT, RT_FORK_SOCKET, RT_FORK_GROUPS };
enum { RT_FORK_DOORS = 3 }; /* at most: one for each control group controller */
enum {
        RT_START_TERMINAL = 1, /* stdin is a terminal: make it the session's own */
        RT_START_FORKED = 2,   /* the program is for the interpreter that the parked process is a fork of */
        RT_START_AHEAD = 4,    /* START: it is for the one that was started ahead; GO: start this one ahead, with the library
                                  as one more descriptor */
};
enum {
        RT_METER_PEEK = 1, /* limits, and where they are counted from, stay */
        RT_METER_IDLE = 2, /* nothing is expected to happen: look seldom */
};
enum { RT_FORK_SLOT_GROUP = 1 }; /* FORK: before the doors comes the directory of the slot's group, version 2 */
enum {
        RT_BOX_FORKED = 1, /* RECYCLE: park a fork of the linked interpreter; READY: one is parked. RECYCLE's descriptor: a new link */
        RT_BOX_AHEAD = 2,  /* the same for a program that is started ahead. RECYCLE's descriptors: its plan, its stderr */
};

/* Who the parked process becomes, and under what. */
struct rt_wire_arm {
        uint32_t mechanisms; /* mask of those that are active */
        uint32_t guest_uid;  /* as inside */
        uint32_t can_setuid;
        uint32_t others; /* tasks that the kernel counts with the guest's; for hosts without cgroups */
        uint32_t guests_come; /* init: park nobody; guests are forked into the box from outside */
        uint32_t zero;
        struct rt_slot_places places;
};

struct rt_wire_exited {
        int32_t wait_status;
        int32_t exec_errno;
        uint64_t at_ns;
        uint64_t user_ns; /* of it and the children it waited for */
        uint64_t system_ns;
        uint64_t max_rss_bytes;
};

/* What the kernel's numbers for processes and threads of the box have gone to so far. */
struct rt_wire_parked {
        uint32_t pid;
        uint32_t threads; /* besides the first */
};

struct rt_wire_fail {
        int32_t code;
        char message[512];
};

struct rt_wire_message {
        uint32_t op;
        uint32_t bits; /* FAIL of a jailer that could not start: mask of mechanisms to do without;
                          START, GO: RT_START_*; HOLD: 1 to stand still; HELD: errno; FORK: RT_FORK_SLOT_GROUP; RECYCLE, READY: RT_BOX_*; METER: RT_METER_*;
                          FORKED: the process, as its zygote sees it */
        union {
                struct rt_box_isolation isolation; /* HELLO */
                struct rt_slot_places places;      /* MADE */
                struct rt_wire_fail fail;          /* FAIL */
                struct retort_limits limits;       /* START, GO, METER */
                struct rt_box_report report;       /* END, METERED */
                struct rt_wire_arm arm;            /* ARM, FORK */
                struct rt_wire_exited exited;      /* EXITED, BAD_EXEC */
                struct rt_wire_parked parked;      /* PARKED of a zygote's guest */
                struct rt_ahead_cost ahead;        /* READY */
        };
};

/* Sends one message with up to RT_WIRE_MAX_FDS descriptors (fds may be NULL). 0, or -1 with errno. Never raises
 * SIGPIPE. */
int rt_wire_send(int socket, const struct rt_wire_message *message, const int *fds, unsigned n_fds);
/* Receives one. Descriptors that came are put into ret_fds (close-on-exec), the rest of it is -1; ret_fds may be
 * NULL when none are expected (any that come are closed). 1: a message; 0: the peer is gone; -1 with errno
 * (EPROTO: not one of ours). */
int rt_wire_receive(int socket, struct rt_wire_message *ret_message, int ret_fds[RT_WIRE_MAX_FDS]);
