/* SPDX-License-Identifier: Apache-2.0
 *
 * What compilers have left, kept for the next request that is the same in every byte. The key is not a hash of what was
 * compiled: it *is* that, whole (scope, runtime, arguments, environment, limits, every file), and is compared whole. So
 * nothing a guest does can put anything under another's key: what is under a key was made by the request that is the key.
 * Where the compiler itself, its headers or libraries change, everything is dropped (engine/reach.h).
 *
 * In memory, bounded, the least recently used goes first; a scope that holds more than half makes room by its own. Any
 * thread may call; nothing here waits but for the lock.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "box/plan.h"
#include "engine/engine.h"

struct rt_cache;

/* One compile step that ended well. Never changed once it is made; owned by all that hold it. */
struct rt_compiled {
        struct rt_arena arena; /* of everything below */
        const struct rt_made_file *files;
        size_t n_files;
        struct retort_bytes stdout_data;
        struct retort_bytes stderr_data;
        const char *key;
        size_t key_size;
        uint64_t hash;
        uint64_t scope;
        atomic_uint holders;
        struct rt_compiled *newer; /* the cache's list, by last use */
        struct rt_compiled *older;
};

struct rt_cache *rt_cache_new(uint64_t bytes);
struct rt_cache *rt_cache_free(struct rt_cache *cache);
/* Nobody waits any more for what goes on in its threads. */
void rt_cache_stop(struct rt_cache *cache);
void rt_cache_stats(struct rt_cache *cache, struct retort_cache_stats *ret_stats);

/* The key of a plan's compile step. False: it is larger than the buffer may be. */
bool rt_cache_key(const struct rt_lang_plan *plan, uint64_t scope, struct rt_buf *ret_key);

/* What a run asks before it compiles: whether all that its compiler reads is watched, and is what it was. *ret_epoch says so
 * later: see rt_cache_add. False: nothing may be looked up or kept now; the first to ask for a runtime starts a thread that
 * will watch. */
bool rt_cache_current(struct rt_cache *cache, struct retort_engine *engine, const struct rt_lang_plan *plan,
                      uint64_t *ret_epoch);
/* Whether what is frozen of this runtime now will be known to be current as long as *ret_epoch is what it says: not while something
 * that was seen to change may still go on changing. */
bool rt_cache_steady(struct rt_cache *cache, size_t index, uint64_t *ret_epoch);
/* NULL: not there. Counts as a use, a hit or a miss. */
struct rt_compiled *rt_cache_find(struct rt_cache *cache, const struct rt_buf *key);
/* Adds what was compiled since rt_cache_current gave epoch, unless anything it could have read has changed since. The entry
 * goes to the cache; key is copied. */
void rt_cache_add(struct rt_cache *cache, struct rt_compiled *compiled, const struct rt_buf *key, uint64_t scope,
                  uint64_t epoch);
/* Counts a compile step that is not kept. */
void rt_cache_passed(struct rt_cache *cache);
struct rt_compiled *rt_compiled_new(void);
struct rt_compiled *rt_compiled_free(struct rt_compiled *compiled);

/* engine/compiled.c: the cache in the life of a run. Zero-initialise. */
struct rt_cache_ask {
        bool wanted;              /* what this run compiles may be kept */
        struct rt_compiled *found;
        uint64_t epoch;
        struct rt_buf key;
};
void rt_cache_ask(struct rt_run *run, const struct rt_lang_plan *plan, struct rt_cache_ask *ret_ask);
/* After the compile step, which ended well, and before the next: fetches what it left, and keeps it if it is outputs and
 * nothing else. False: the slot was lost. */
bool rt_cache_keep(struct rt_run *run, const struct rt_lang_plan *plan, const struct retort_step *step, struct rt_slot *slot,
                   struct rt_cache_ask *ask);
void rt_cache_done(struct rt_cache_ask *ask);
