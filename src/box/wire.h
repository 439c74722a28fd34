/* SPDX-License-Identifier: Apache-2.0
 *
 * What the processes of a box say to each other, and nothing else:
 *
 *   engine --(jail socket)--> jailer     MAKE                     <-- HELLO, MADE, FAIL
 *   engine --(slot socket)--> keeper     START, KILL, RECYCLE,    <-- READY, END, FAIL,
 *                                        FETCH                        FETCHED
 *   keeper --(init socket)--> init       ARM, GO                  <-- PARKED, BAD_EXEC, EXITED
 *
 * A slot is thrown away by closing its socket. All are SOCK_SEQPACKET: a message arrives whole or not at all. A message has a fixed size for its op;
 * anything else ends the connection. Bulk (argv, environment, files) is in a sealed memfd: box/plan.h.
 */
#pragma once

#include <stdint.h>

#include "box/box.h"

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
        RT_EXITED,    /* init: the step's own process has ended */
        RT_FETCH,     /* engine: what did the first step leave? */
        RT_FETCHED    /* keeper: this; descriptor: the files, as a plan has them */
};

enum { RT_WIRE_MAX_FDS = 5 };
enum { RT_START_TERMINAL = 1 }; /* stdin is a terminal: make it the session's own */

/* Who the parked process becomes, and under what. */
struct rt_wire_arm {
        uint32_t mechanisms; /* mask of those that are active */
        uint32_t guest_uid;  /* as inside */
        uint32_t can_setuid;
        uint32_t others; /* tasks that the kernel counts with the guest's; for hosts without cgroups */
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

struct rt_wire_fail {
        int32_t code;
        char message[512];
};

struct rt_wire_message {
        uint32_t op;
        uint32_t bits; /* FAIL of a jailer that could not start: mask of mechanisms to do without;
                          START, GO: RT_START_* */
        union {
                struct rt_box_isolation isolation; /* HELLO */
                struct rt_slot_places places;      /* MADE */
                struct rt_wire_fail fail;          /* FAIL */
                struct retort_limits limits;       /* START, GO */
                struct rt_box_report report;       /* END */
                struct rt_wire_arm arm;            /* ARM */
                struct rt_wire_exited exited;      /* EXITED, BAD_EXEC */
        };
};

/* Sends one message with up to RT_WIRE_MAX_FDS descriptors (fds may be NULL). 0, or -1 with errno. Never raises
 * SIGPIPE. */
int rt_wire_send(int socket, const struct rt_wire_message *message, const int *fds, unsigned n_fds);
/* Receives one. Descriptors that came are put into ret_fds (close-on-exec), the rest of it is -1; ret_fds may be
 * NULL when none are expected (any that come are closed). 1: a message; 0: the peer is gone; -1 with errno
 * (EPROTO: not one of ours). */
int rt_wire_receive(int socket, struct rt_wire_message *ret_message, int ret_fds[RT_WIRE_MAX_FDS]);
