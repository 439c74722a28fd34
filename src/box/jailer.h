/* SPDX-License-Identifier: Apache-2.0
 *
 * retort-jailer: the only process with the host's rights. It accepts one request (MAKE a slot), reads one command line
 * from whoever started it, and knows no JSON, no HTTP and no language. It ends when its socket is closed, and takes
 * everything it made with it.
 */
#pragma once

#include "box/cgroup.h"
#include "box/wire.h"

enum { RT_JAILER_SOCKET = 3, RT_JAILER_SLOTS = 1280, RT_JAILER_FEW_SLOTS = 128, RT_JAILER_FROZEN = 32 };

/* What the jailer was told to be. */
struct rt_jailer_options {
        const char *runtimes;
        const char *init;
        const char *forkserver; /* NULL: no interpreter can be frozen */
        const char *scratch;
        uint32_t disable; /* mask: switched off by configuration */
        uint32_t lacking; /* mask: an earlier start found that the host refuses them */
        const char *lacking_why;
        struct retort_limits ceilings;
};

struct rt_jailer_slot {
        pid_t keeper;
        int pidfd;
        struct rt_slot_places places;
};

struct rt_jailer {
        struct rt_jailer_options options;
        struct rt_box_isolation isolation;
        uint32_t mechanisms; /* mask of the active ones */
        struct rt_cgroup_base cgroups;
        struct rt_jailer_slot slots[RT_JAILER_SLOTS];
        struct rt_jailer_frozen {
                pid_t pid;
                int pidfd;
        } frozen[RT_JAILER_FROZEN];
        int init_exe;
        int forkserver; /* the library that freezes, or -1 */
        int library;    /* a copy of it that boxes can load, or -1 */
        bool root; /* started with the host's root rights */
        unsigned max_slots; /* RT_JAILER_SLOTS, or where ids are scarce RT_JAILER_FEW_SLOTS */
        uint32_t first_uid;
        uint32_t frozen_uid; /* who frozen interpreters are, and who owns the slots' user namespaces; 0: who we are */
};

/* box/jailer-options.c: 0, or RETORT_E_INPUT. Texts stay argv's. */
int rt_jailer_read_options(struct rt_jailer_options *o, int argc, char **argv, struct retort_error *err);
/* box/slot.c: clones the keeper of a slot into namespaces of its own. *ret_socket is the engine's end. */
int rt_jailer_make_slot(struct rt_jailer *j, unsigned slot, struct rt_slot_places *ret_places, int *ret_socket,
                        struct retort_error *err);
/* box/slot.c: which of the namespaces in the mask the host refuses. */
uint32_t rt_jailer_refused_namespaces(uint32_t mechanisms);

/* box/frozen.c: starts an interpreter that will freeze; words is to be its stderr. *ret_socket is the engine's
 * end of the socket that it serves. */
int rt_jailer_freeze(struct rt_jailer *j, int plan, int words, int *ret_socket, struct retort_error *err);

/* Returns the exit status. */
int rt_jailer_main(int argc, char **argv);
