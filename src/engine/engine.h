/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine's own view of itself. One jail, some slots, the runtimes; a housekeeper thread that recycles slots behind
 * the runs' backs. Lock order: there is one lock, and nothing blocking is done under it but waiting on its condition.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "box/box.h"
#include "engine/warm.h"
#include "lang/lang.h"
#include "retort.h"

/* The longest that a box may go on: the ceilings of wall_ms and cpu_ms in RETORT_LIMITS, whatever an engine's are. */
#define RT_ENGINE_BOX_MS 86400000u

enum { RT_ENGINE_MAX_SLOTS = 128, RT_ENGINE_MAX_CONTEXTS = 1024, RT_ENGINE_MAX_RUNTIMES = 256, RT_ENGINE_POOL_PART = 16 /* of the host's memory */ };

/* What is known of a runtime's toolchain; filled by box/toolchain.c. */
struct rt_toolchain {
        enum { RT_TOOLCHAIN_UNASKED, RT_TOOLCHAIN_ASKING, RT_TOOLCHAIN_KNOWN } state;
        char version[64];
};

/* What a slot holds: a fork, or what was started ahead, for the programs of the runtime of that number;
 * RT_ENGINE_MAX_RUNTIMES more: a fork for its contexts; or none. */
enum { RT_KIND_COLD = -1, RT_ENGINE_KINDS = 2 * RT_ENGINE_MAX_RUNTIMES };

struct rt_ready_slot {
        struct rt_slot *slot;
        int kind; /* of a dirty one: what it is being made to hold */
};

struct retort_engine {
        struct rt_jail *jail;
        struct rt_lang_set *runtimes;
        struct retort_limits ceilings;
        unsigned max_slots;
        unsigned warm_slots;
        unsigned cpus;
        uint64_t pool_bytes; /* what interpreters that were started ahead may hold, all together */
        bool freeze; /* interpreters may be frozen: those in may_warm, or any */
        bool may_warm[RT_ENGINE_KINDS];
        const char *missing[RT_BOX_MECHANISMS]; /* names of what is not active, for every outcome */
        size_t n_missing;

        pthread_mutex_t lock;
        pthread_cond_t changed; /* a slot came back, a run ended, a version is known, an interpreter is frozen */
        pthread_cond_t chores;  /* there is work for the housekeeper */
        unsigned n_waiting;     /* threads that wait for `changed` because of a slot */
        pthread_t housekeeper;
        bool have_housekeeper;
        bool closing;
        struct rt_ready_slot idle[RT_ENGINE_MAX_SLOTS];
        unsigned n_idle;
        struct rt_ready_slot dirty[RT_ENGINE_MAX_SLOTS];
        unsigned n_dirty;
        struct rt_ready_slot awaited; /* the one that the housekeeper waits for; slot NULL: none */
        bool awaited_for_run;         /* so does a run, which will have it */
        unsigned n_slots; /* idle, dirty, in use, or being made */
        unsigned n_used;  /* held by runs: at most max_slots */
        unsigned n_lent;  /* held by contexts: at most RT_ENGINE_MAX_CONTEXTS */
        struct rt_run *runs; /* all that go on */
        unsigned n_asking;   /* threads that ask a toolchain's version, watch what it reads, or start an interpreter to be frozen */
        struct rt_toolchain toolchains[RT_ENGINE_MAX_RUNTIMES];
        struct rt_warm warm[RT_ENGINE_KINDS];
        unsigned n_frozen;
        unsigned n_pools; /* runtimes that have one */
        struct rt_cache *cache; /* NULL: nothing is kept */
        char *runtimes_dir;
};

/* One request on its way. Lives on the stack of the thread that runs it, or in a retort_run. */
struct rt_run {
        struct retort_engine *engine;
        const struct retort_request *request;
        retort_event_fn on_event;
        void *userdata;
        int cancel_fd; /* eventfd: readable once the run is to end */
        uint64_t begun_ns;  /* when it was submitted; 0: when it starts */
        uint64_t seq;
        int terminal; /* the master of its terminal, or -1; read and changed under the engine's lock */
        struct rt_ready_slot held; /* given back with rt_engine_run_end; slot NULL: none */
        bool odd;                  /* something odd happened in it */
        bool ended;                /* all that is left of it is what it holds */
        struct rt_run *next;
};

/* engine/slots.c */
int rt_engine_slots_open(struct retort_engine *engine, struct retort_error *err);
void rt_engine_slots_close(struct retort_engine *engine);
/* Waits for a slot, if it can be one that holds a fork of this kind; RETORT_E_CLOSED when the run is cancelled or the
 * engine closes meanwhile. *ret_start is "parked", "fork", "pool" or "cold". */
int rt_engine_slot_take(struct rt_run *run, int kind, struct rt_slot **ret_slot, const char **ret_start, struct retort_error *err);
/* With the lock held: how many slots are ready, or nearly so, that are of this kind. */
unsigned rt_engine_count_kind(const struct retort_engine *engine, int kind);
/* Gives it back to be recycled, so that it holds a fork of this kind again, or thrown away if anything odd happened in it. */
void rt_engine_slot_give(struct retort_engine *engine, struct rt_slot *slot, int kind, bool odd);

/* The same for what lasts, and so is not counted among the runs: a context. Blocks for as long as a box takes to be made. */
int rt_engine_slot_lend(struct retort_engine *engine, int kind, struct rt_slot **ret_slot, const char **ret_start,
                        struct retort_error *err);
void rt_engine_slot_return(struct retort_engine *engine, struct rt_slot *slot, int kind, bool odd);

/* engine/warm.c: which kind of slot a program or a context of this runtime would have; starts to freeze its interpreter if nobody has,
 * and somebody is to. RT_KIND_COLD as long as there is none. */
int rt_engine_warm_kind(struct retort_engine *engine, const struct rt_runtime *runtime, bool runner);
/* Whether the slot holds a fork of this kind, and of an interpreter that is still what the host has installed. */
bool rt_engine_warm_current(struct retort_engine *engine, int kind, const struct rt_slot *slot);
/* Reads retort_config.warm and begins to freeze what it names. */
int rt_engine_warm_open(struct retort_engine *engine, const char *languages, struct retort_error *err);
/* With the engine's lock held: the interpreter of a kind, or NULL; a slot that should have held a fork of it does not;
 * one that is old, or that nobody has used for long, is replaced or let go. */
struct rt_frozen *rt_engine_frozen(struct retort_engine *engine, int kind);
void rt_engine_warm_missed(struct retort_engine *engine, int kind);
void rt_engine_warm_age(struct retort_engine *engine);
void rt_engine_warm_close(struct retort_engine *engine);
/* The runtime's number in the engine's tables. */
size_t rt_engine_runtime_index(struct retort_engine *engine, const struct rt_runtime *runtime);

/* engine/run.c: the life of a run. *ret_outcome is set also when the run was cancelled. What it held of the engine it holds
 * until rt_engine_run_end: making a slot as new competes with telling whoever waits. */
int rt_engine_run(struct rt_run *run, struct retort_outcome **ret_outcome, struct retort_error *err);
void rt_engine_run_end(struct rt_run *run);
/* What every outcome has: an id, the language, the isolation. 0, or RETORT_E_NOMEM. */
struct rt_model_outcome;
int rt_engine_begin_outcome(struct retort_engine *engine, const struct rt_runtime *runtime, struct rt_model_outcome *made);
/* A new id: RT_MODEL_ID_SIZE bytes. */
void rt_engine_new_id(char ret_id[]);
/* Checks a request without running it. */
int rt_engine_check(struct retort_engine *engine, const struct retort_request *request, struct retort_error *err);
bool rt_run_cancelled(const struct rt_run *run);

/* engine/toolchain.c: starts asking for the version of a runtime's toolchain, if nobody has; later, waits for it. */
void rt_toolchain_ask(struct retort_engine *engine, const struct rt_runtime *runtime);
const char *rt_toolchain_version(struct retort_engine *engine, const struct rt_runtime *runtime, bool wait);

/* Starts a thread that takes none of the host program's signals: their handlers are not to run on ours. 0, or errno. */
int rt_engine_thread(pthread_t *ret_thread, void *(*start)(void *), void *argument);
