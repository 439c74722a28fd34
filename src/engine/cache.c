/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/cache.h"

#include <string.h>

#include "base/util.h"
#include "engine/reach.h"

enum {
        MAX_PROGRAMS = 4096,
        PAUSE_MS = 1000, /* while a package is installed, what it changes comes in many pieces */
};

struct rt_cache {
        pthread_mutex_t lock;
        uint64_t most_bytes;
        struct rt_compiled *newest;
        struct rt_compiled *oldest;
        struct retort_cache_stats stats;
        struct {
                enum { UNWATCHED, WATCHING, WATCHED, UNWATCHABLE } state;
                struct rt_reach reach;
        } watched[RT_ENGINE_MAX_RUNTIMES]; /* what each runtime's compiler reads */
        atomic_bool stop;
        uint64_t epoch; /* counts changes seen */
        uint64_t paused_until;
};

struct rt_compiled *rt_compiled_new(void) {
        struct rt_compiled *compiled = calloc(1, sizeof *compiled);
        if (compiled)
                atomic_init(&compiled->holders, 1);
        return compiled;
}

struct rt_compiled *rt_compiled_free(struct rt_compiled *compiled) {
        if (compiled && atomic_fetch_sub(&compiled->holders, 1) == 1) {
                rt_arena_clear(&compiled->arena);
                free(compiled);
        }
        return NULL;
}

struct rt_cache *rt_cache_new(uint64_t bytes) {
        struct rt_cache *cache = calloc(1, sizeof *cache);
        if (!cache)
                return NULL;
        (void)pthread_mutex_init(&cache->lock, NULL);
        cache->most_bytes = bytes;
        return cache;
}

/* ---- the list, under the lock ---- */

static uint64_t size_of(const struct rt_compiled *c) {
        return sizeof *c + c->arena.total;
}

static void take_out(struct rt_cache *cache, struct rt_compiled *c) {
        *(c->newer ? &c->newer->older : &cache->newest) = c->older;
        *(c->older ? &c->older->newer : &cache->oldest) = c->newer;
        cache->stats.programs--;
        cache->stats.bytes -= size_of(c);
}

static void put_first(struct rt_cache *cache, struct rt_compiled *c) {
        c->newer = NULL;
        c->older = cache->newest;
        *(c->older ? &c->older->newer : &cache->oldest) = c;
        cache->newest = c;
        cache->stats.programs++;
        cache->stats.bytes += size_of(c);
}

static struct rt_compiled *look(struct rt_cache *cache, const char *key, size_t size, uint64_t hash) {
        struct rt_compiled *c = cache->newest;
        while (c && (c->hash != hash || c->key_size != size || memcmp(c->key, key, size) != 0))
                c = c->older;
        return c;
}

static void drop_all(struct rt_cache *cache) {
        for (struct rt_compiled *c; (c = cache->oldest);) {
                take_out(cache, c);
                (void)rt_compiled_free(c);
        }
}

/* Room for one more of this size: of the scope's own when it has more than half, else of whoever used theirs longest ago. */
static void make_room(struct rt_cache *cache, uint64_t scope, uint64_t size) {
        uint64_t own = 0;
        for (struct rt_compiled *c = cache->oldest; c; c = c->newer)
                own += c->scope == scope ? size_of(c) : 0;
        while (cache->oldest && (cache->stats.bytes + size > cache->most_bytes || cache->stats.programs >= MAX_PROGRAMS)) {
                struct rt_compiled *c = cache->oldest;
                while (own > cache->most_bytes / 2 && c->scope != scope)
                        c = c->newer;
                own -= c->scope == scope ? size_of(c) : 0;
                take_out(cache, c);
                (void)rt_compiled_free(c);
                cache->stats.evicted++;
        }
}

/* ---- keys ---- */

/* Only to pass over what is different: equality is decided by the whole key. FNV-1a, eight bytes at a time. */
static uint64_t hash_of(const char *data, size_t size) {
        uint64_t hash = 0xcbf29ce484222325u ^ size;
        for (; size >= 8; data += 8, size -= 8) {
                uint64_t word;
                memcpy(&word, data, sizeof word);
                hash = (hash ^ word) * 0x100000001b3u;
                hash ^= hash >> 29;
        }
        for (; size > 0; data++, size--)
                hash = (hash ^ (unsigned char)*data) * 0x100000001b3u;
        return hash;
}

static bool add(struct rt_buf *key, const void *data, size_t size) {
        uint64_t length = size;
        return rt_buf_add(key, &length, sizeof length) == RT_BUF_OK && rt_buf_add(key, data, size) == RT_BUF_OK;
}

static bool add_list(struct rt_buf *key, const char *const *list) {
        uint64_t n = 0;
        while (list && list[n])
                n++;
        bool good = add(key, &n, sizeof n);
        for (uint64_t i = 0; i < n && good; i++)
                good = add(key, list[i], strlen(list[i]));
        return good;
}

bool rt_cache_key(const struct rt_lang_plan *plan, uint64_t scope, struct rt_buf *ret_key) {
        const struct rt_lang_step *step = &plan->steps[0];
        const char *name = rt_runtime_name(plan->runtime);
        bool good = add(ret_key, &scope, sizeof scope) && add(ret_key, name, strlen(name)) && add_list(ret_key, step->argv) &&
                    add_list(ret_key, step->env) && add(ret_key, &step->limits, sizeof step->limits);
        for (size_t i = 0; i < plan->n_files && good; i++)
                good = add(ret_key, plan->files[i].path, strlen(plan->files[i].path)) &&
                       add(ret_key, plan->files[i].content.data, plan->files[i].content.size);
        return good;
}

/* ---- what it was made of ---- */

/* Under the lock: sees a change, if there was one. */
static void look_around(struct rt_cache *cache) {
        bool changed = false;
        for (size_t i = 0; i < RT_ENGINE_MAX_RUNTIMES; i++)
                changed |= cache->watched[i].state == WATCHED && rt_reach_changed(&cache->watched[i].reach);
        if (!changed)
                return;
        for (size_t i = 0; i < RT_ENGINE_MAX_RUNTIMES; i++)
                if (cache->watched[i].state == WATCHED) {
                        rt_reach_close(&cache->watched[i].reach);
                        cache->watched[i].state = UNWATCHED;
                }
        drop_all(cache);
        cache->epoch++;
        cache->stats.emptied++;
        cache->paused_until = rt_now_ns() + PAUSE_MS * 1000000ull;
}

struct watcher {
        struct retort_engine *engine;
        const struct rt_runtime *runtime;
        size_t index;
        char program_dir[RETORT_MAX_PATH + 1];
};

static bool watch_all(const struct watcher *w, struct rt_reach *reach) {
        /* Where boxes show the host, and a request's own options may lead. */
        static const char *const always[] = { "/usr/local", "/opt", "/usr/libexec", "/etc/alternatives" };
        bool good = true;
        for (size_t i = 0; i < RT_LEN(always) && good; i++)
                good = rt_reach_add(reach, always[i]);
        for (const char *const *p = rt_runtime_cache(w->runtime)->reads; *p && good; p++)
                good = rt_reach_add(reach, *p);
        return good && rt_reach_add(reach, w->engine->runtimes_dir) && rt_reach_add(reach, w->program_dir);
}

/* Thousands of directories take a tenth of a second, which no run is to wait for. */
static void *watch(void *argument) {
        struct watcher *w = argument;
        struct retort_engine *engine = w->engine;
        struct rt_cache *cache = engine->cache;
        struct rt_reach reach = { .fd = -1, .stop = &cache->stop };
        bool good = watch_all(w, &reach);
        (void)pthread_mutex_lock(&cache->lock);
        if (good)
                cache->watched[w->index].reach = reach;
        cache->watched[w->index].state = good ? WATCHED : UNWATCHABLE;
        (void)pthread_mutex_unlock(&cache->lock);
        if (!good)
                rt_reach_close(&reach);
        free(w);
        (void)pthread_mutex_lock(&engine->lock);
        engine->n_asking--;
        (void)pthread_cond_broadcast(&engine->changed);
        (void)pthread_mutex_unlock(&engine->lock);
        return NULL;
}

static bool start_watching(struct retort_engine *engine, const struct rt_lang_plan *plan, size_t index) {
        const char *program = plan->steps[0].argv[0];
        const char *slash = strrchr(program, '/');
        struct watcher *w = calloc(1, sizeof *w);
        pthread_t thread;
        if (!w || !slash || slash == program || (size_t)(slash - program) >= sizeof w->program_dir) {
                free(w);
                return false;
        }
        *w = (struct watcher){ .engine = engine, .runtime = plan->runtime, .index = index };
        memcpy(w->program_dir, program, (size_t)(slash - program));
        (void)pthread_mutex_lock(&engine->lock);
        engine->n_asking++;
        (void)pthread_mutex_unlock(&engine->lock);
        if (rt_engine_thread(&thread, watch, w) == 0) {
                (void)pthread_detach(thread);
                return true;
        }
        (void)pthread_mutex_lock(&engine->lock);
        engine->n_asking--;
        (void)pthread_mutex_unlock(&engine->lock);
        free(w);
        return false;
}

bool rt_cache_current(struct rt_cache *cache, struct retort_engine *engine, const struct rt_lang_plan *plan,
                      uint64_t *ret_epoch) {
        size_t index = rt_engine_runtime_index(engine, plan->runtime);
        (void)pthread_mutex_lock(&cache->lock);
        look_around(cache);
        bool awake = rt_now_ns() >= cache->paused_until;
        bool good = awake && cache->watched[index].state == WATCHED;
        bool first = awake && cache->watched[index].state == UNWATCHED;
        if (first)
                cache->watched[index].state = WATCHING;
        cache->stats.passed += !good;
        *ret_epoch = cache->epoch;
        (void)pthread_mutex_unlock(&cache->lock);
        if (first && !start_watching(engine, plan, index)) {
                (void)pthread_mutex_lock(&cache->lock);
                cache->watched[index].state = UNWATCHABLE;
                (void)pthread_mutex_unlock(&cache->lock);
        }
        return good;
}

bool rt_cache_steady(struct rt_cache *cache, size_t index, uint64_t *ret_epoch) {
        (void)pthread_mutex_lock(&cache->lock);
        look_around(cache);
        *ret_epoch = cache->epoch;
        bool steady = cache->epoch == 0 || cache->watched[index].state == WATCHED || cache->watched[index].state == UNWATCHABLE;
        (void)pthread_mutex_unlock(&cache->lock);
        return steady;
}

void rt_cache_stop(struct rt_cache *cache) {
        if (cache)
                atomic_store(&cache->stop, true);
}

/* ---- in and out ---- */

struct rt_compiled *rt_cache_find(struct rt_cache *cache, const struct rt_buf *key) {
        uint64_t hash = hash_of(key->data, key->size);
        (void)pthread_mutex_lock(&cache->lock);
        struct rt_compiled *c = look(cache, key->data, key->size, hash);
        if (c) {
                take_out(cache, c);
                put_first(cache, c);
                (void)atomic_fetch_add(&c->holders, 1);
        }
        cache->stats.hits += c != NULL;
        cache->stats.misses += c == NULL;
        (void)pthread_mutex_unlock(&cache->lock);
        return c;
}

void rt_cache_add(struct rt_cache *cache, struct rt_compiled *c, const struct rt_buf *key, uint64_t scope, uint64_t epoch) {
        c->key = rt_arena_copy(&c->arena, key->data, key->size);
        c->key_size = key->size;
        c->hash = hash_of(key->data, key->size);
        c->scope = scope;
        uint64_t size = size_of(c);
        (void)pthread_mutex_lock(&cache->lock);
        look_around(cache);
        bool good = c->key && epoch == cache->epoch && size <= cache->most_bytes / 4 &&
                    !look(cache, c->key, c->key_size, c->hash); /* two runs at once made the same */
        if (good) {
                make_room(cache, scope, size);
                put_first(cache, c);
        }
        (void)pthread_mutex_unlock(&cache->lock);
        if (!good)
                (void)rt_compiled_free(c);
}

void rt_cache_passed(struct rt_cache *cache) {
        (void)pthread_mutex_lock(&cache->lock);
        cache->stats.passed++;
        (void)pthread_mutex_unlock(&cache->lock);
}

void rt_cache_stats(struct rt_cache *cache, struct retort_cache_stats *ret_stats) {
        (void)pthread_mutex_lock(&cache->lock);
        *ret_stats = cache->stats;
        (void)pthread_mutex_unlock(&cache->lock);
}

struct rt_cache *rt_cache_free(struct rt_cache *cache) {
        if (cache) {
                drop_all(cache);
                for (size_t i = 0; i < RT_ENGINE_MAX_RUNTIMES; i++)
                        if (cache->watched[i].state == WATCHED)
                                rt_reach_close(&cache->watched[i].reach);
                (void)pthread_mutex_destroy(&cache->lock);
        }
        free(cache);
        return NULL;
}
