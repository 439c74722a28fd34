/* SPDX-License-Identifier: Apache-2.0
 *
 * One step in one box: the engine's side. A *jail* is a connection to a retort-jailer process; a *slot* is a
 * box that can be used many times. Making, using, recycling and throwing away are separate verbs:
 *
 *   make     namespaces, root, cgroups, uid: dear, done ahead
 *   start    files in, then one step; ends with one report
 *   recycle  every process, file, IPC object and counter of the last guest is destroyed and made anew
 *   free     the slot is thrown away (after anything odd, and at the end)
 *
 * A slot is used by one thread at a time; a jail may be used by several. Nothing here knows languages or JSON.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "box/report.h"
#include "retort.h"

/* ---- what isolation there is ---- */

enum rt_mechanism {
#define RT_MECHANISM(id, name, reduced, text) RT_BOX_##id,
#include "box/mechanisms.def"
#undef RT_MECHANISM
        RT_BOX_MECHANISMS
};

enum rt_mechanism_state { RT_BOX_ACTIVE, RT_BOX_UNAVAILABLE, RT_BOX_OFF };

struct rt_box_mechanism {
        uint32_t state;   /* enum rt_mechanism_state */
        char reason[160]; /* why it is not active; "" when it is */
        char mend[160];   /* what a person can do about it */
};

struct rt_box_isolation {
        struct rt_box_mechanism mechanisms[RT_BOX_MECHANISMS];
        uint32_t level;       /* enum retort_isolation */
        char memory_how[48];  /* how each is measured: "cgroup1 memory", "cgroup2 memory", "/proc polling" */
        char cpu_how[48];
        char processes_how[48];
};

const char *rt_mechanism_name(enum rt_mechanism mechanism);
const char *rt_mechanism_text(enum rt_mechanism mechanism);
const char *rt_isolation_name(enum retort_isolation level);
/* The bit mask for a comma-separated list of mechanism names; unknown ones are RETORT_E_INPUT. */
int rt_mechanism_mask(const char *names, uint32_t *ret_mask, struct retort_error *err);

/* ---- jail ---- */

struct rt_jail;

struct rt_jail_config {
        const char *jailer;   /* path of retort-jailer */
        const char *init;     /* path of retort-init */
        const char *forkserver; /* path of libretort-forkserver.so; NULL: no interpreter can be frozen */
        const char *runtimes; /* directory shown to guests read-only */
        const char *scratch;  /* writable directory, for hosts without mount namespaces */
        struct retort_limits ceilings; /* every member set */
        uint32_t disable; /* mask of mechanisms to do without */
};

/* Starts a jailer and waits for its report on the host, at most 10 s. */
int rt_jail_open(struct rt_jail **ret_jail, const struct rt_jail_config *config, struct retort_error *err);
/* Ends the jailer and with it every slot; waits at most 10 s until it has cleaned up. */
struct rt_jail *rt_jail_close(struct rt_jail *jail);
const struct rt_box_isolation *rt_jail_isolation(const struct rt_jail *jail);

/* ---- frozen interpreters ---- */

struct rt_frozen;

/* Starts an interpreter that warms up, freezes, and is then forked into slots. Returns at once; argv and env are as for a
 * step. It ends with rt_frozen_free; slots that hold a fork of it keep what they have. */
int rt_frozen_start(struct rt_jail *jail, const char *const *argv, const char *const *env, struct rt_frozen **ret_frozen,
                    struct retort_error *err);
/* Waits until it can be forked, at most timeout_ms: RETORT_E_TIMEOUT, or why it ended, with its last words. */
int rt_frozen_await(struct rt_frozen *frozen, int timeout_ms, struct retort_error *err);
bool rt_frozen_alive(const struct rt_frozen *frozen);
struct rt_frozen *rt_frozen_free(struct rt_frozen *frozen);

/* ---- slot ---- */

struct rt_slot;
struct rt_plan;
struct rt_made_file;

/* Where things are in this slot, as the guest sees them. */
struct rt_slot_places {
        char work[192];
        char tmp[192];
        char runtimes[192];
};

/* Makes a slot, ready to start a step. Blocks until it is, at most 10 s. */
int rt_slot_make(struct rt_jail *jail, struct rt_slot **ret_slot, struct retort_error *err);
struct rt_slot *rt_slot_free(struct rt_slot *slot);
const struct rt_slot_places *rt_slot_places(const struct rt_slot *slot);

/* One step to start. The strings are copied. */
struct rt_slot_step {
        const char *const *argv; /* NULL-terminated */
        const char *const *env;
        const struct retort_file *files; /* written before it starts; only for the first step after make or recycle */
        size_t n_files;
        const struct rt_made_file *made; /* more files, which an earlier compiler made of those: see rt_slot_fetch */
        size_t n_made;
        struct retort_limits limits; /* every member set */
        bool forked;   /* argv is for the interpreter that the slot holds a fork of: see rt_slot_forked */
        bool ahead;    /* argv is for the program that the slot has started ahead: see rt_slot_ahead */
        bool terminal; /* stdin is a terminal that becomes the guest's controlling one */
        int stdin_fd;  /* descriptors of the caller's; copies go to the guest */
        int stdout_fd;
        int stderr_fd;
        int report_fd; /* descriptor 3 of the guest */
};

/* Starts a step and returns at once. */
int rt_slot_start(struct rt_slot *slot, const struct rt_slot_step *step, struct retort_error *err);
/* Readable when rt_slot_report will not block. */
int rt_slot_fd(const struct rt_slot *slot);
/* Ends the step that goes on; its report still comes. Async-signal-safe. */
void rt_slot_kill(struct rt_slot *slot);

/* Reads the report of the step. Blocks until there is one, at most timeout_ms. */
int rt_slot_report(struct rt_slot *slot, int timeout_ms, struct rt_box_report *ret_report, struct retort_error *err);
/* What the step that goes on has used since it was started or this was last asked; from now on it may use this much wall and
 * CPU time (the other limits stay). idle: nothing is expected to happen, so peaks may be seen late. limits NULL: only
 * tell. 0; 1: it has ended meanwhile, and *ret_report is its last; or an error. Blocks for at most 10 s. */
int rt_slot_meter(struct rt_slot *slot, const struct retort_limits *limits, bool idle, struct rt_box_report *ret_report,
                  struct retort_error *err);
/* Every process of the step stands still, or goes on. As rt_slot_meter; RETORT_E_ISOLATION: nothing here can do that. */
int rt_slot_hold(struct rt_slot *slot, bool hold, struct rt_box_report *ret_report, struct retort_error *err);
/* What the first step after make or recycle has left in the work directory, its own files among it; to be asked for after
 * its report and before the next step. RETORT_E_INPUT: it left what cannot be told (links, devices, files elsewhere, too
 * much), and the slot goes on. Everything said has been checked as a plan is, and is believed no further. *ret_left is freed
 * with rt_plan_unmap. Blocks for at most 10 s. */
int rt_slot_fetch(struct rt_slot *slot, struct rt_plan *ret_left, struct retort_error *err);

/* Makes the slot as new, in two halves: asked for at once, then waited for (at most 10 s), so that several slots are made
 * as new at the same time. With frozen, the process that is parked in it is a fork of that interpreter, if that can be
 * had: rt_slot_forked tells, once it was waited for. An error (also "something odd was seen") means: throw it away. */
int rt_slot_recycle(struct rt_slot *slot, struct rt_frozen *frozen, struct retort_error *err);
int rt_slot_await(struct rt_slot *slot, struct retort_error *err);
/* Which interpreter the parked process is a fork of, as rt_frozen_serial gives it; 0: of none. */
uint32_t rt_slot_forked(const struct rt_slot *slot);
uint32_t rt_frozen_serial(const struct rt_frozen *frozen);
