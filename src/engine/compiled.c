/* SPDX-License-Identifier: Apache-2.0
 *
 * The compile cache in the life of a run: whether it may be asked, and whether what a compiler left may be kept. What is
 * kept must make no difference: laid down beside the request's files it is all that the compile step had changed.
 */
#include <string.h>

#include "base/util.h"
#include "engine/cache.h"

/* A request this large is compiled anew: its key would take the room of many. */
enum { MAX_KEY = 4 << 20 };

/* Whether any of the texts stands anywhere in the key: in a file, an argument or a variable. */
static bool has_any(const struct rt_buf *key, const char *const *texts) {
        for (; *texts; texts++)
                if (memmem(key->data, key->size, *texts, strlen(*texts)))
                        return true;
        return false;
}

/* The outputs take room beside the files: what does not fit is left to the compiler to fail at. */
static bool fits_disk(const struct rt_lang_plan *plan, const struct rt_compiled *c) {
        const uint64_t page = 4096;
        uint64_t size = 0;
        for (size_t i = 0; i < plan->n_files; i++)
                size += (plan->files[i].content.size + page - 1) / page * page;
        for (size_t i = 0; i < c->n_files; i++)
                size += (c->files[i].file.content.size + page - 1) / page * page;
        return size <= plan->steps[1].limits.disk_bytes;
}

void rt_cache_ask(struct rt_run *run, const struct rt_lang_plan *plan, struct rt_cache_ask *ask) {
        struct retort_engine *engine = run->engine;
        struct rt_cache *cache = engine->cache;
        const struct rt_lang_cache *how = rt_runtime_cache(plan->runtime);
        const struct rt_box_isolation *isolation = rt_jail_isolation(engine->jail);
        *ask = (struct rt_cache_ask){ .key = RT_BUF(MAX_KEY) };
        if (!cache || !how || plan->n_steps != 2)
                return;
        /* Without a mount namespace each slot has other paths, and programs know theirs. */
        if (run->request->compile_fresh || isolation->mechanisms[RT_BOX_MOUNT_NS].state != RT_BOX_ACTIVE ||
            !rt_cache_key(plan, run->request->cache_scope, &ask->key) || has_any(&ask->key, how->unless)) {
                rt_cache_passed(cache);
                return;
        }
        ask->wanted = rt_cache_current(cache, engine, plan, &ask->epoch);
        if (!ask->wanted)
                return;
        ask->found = rt_cache_find(cache, &ask->key);
        if (ask->found && !fits_disk(plan, ask->found))
                ask->found = rt_compiled_free(ask->found);
}

static const struct retort_file *own_file(const struct rt_lang_plan *plan, const char *path) {
        for (size_t i = 0; i < plan->n_files; i++)
                if (strcmp(plan->files[i].path, path) == 0)
                        return &plan->files[i];
        return NULL;
}

/* Copies the outputs. False: there is something else, or the request's files are not as they were. */
static bool take_outputs(const struct rt_plan *left, const struct rt_lang_plan *plan, struct rt_compiled *c) {
        struct rt_made_file *files = rt_arena_array(&c->arena, left->n_files, sizeof *files);
        struct rt_made_file one;
        size_t cursor = 0, own = 0;
        while (files && rt_plan_next_made(left, &cursor, &one)) {
                struct retort_bytes content = one.file.content;
                const struct retort_file *before = own_file(plan, one.file.path);
                if (before) {
                        if (one.executable || before->content.size != content.size ||
                            (content.size && memcmp(before->content.data, content.data, content.size) != 0))
                                return false;
                        own++;
                        continue;
                }
                char *path = rt_arena_strdup(&c->arena, one.file.path);
                char *copy = rt_arena_copy(&c->arena, content.data, content.size);
                if (!path || !copy || !rt_lang_is_output(rt_runtime_cache(plan->runtime), path))
                        return false;
                files[c->n_files++] = (struct rt_made_file){ { path, { copy, content.size } }, one.executable };
        }
        c->files = files;
        return files && own == plan->n_files && c->n_files > 0 && c->n_files + plan->n_files <= RT_PLAN_MAX_FILES;
}

static bool copy_text(struct rt_arena *arena, struct retort_bytes from, struct retort_bytes *to) {
        char *copy = rt_arena_copy(arena, from.size ? from.data : "", from.size);
        *to = (struct retort_bytes){ copy, from.size };
        return copy != NULL;
}

bool rt_cache_keep(struct rt_run *run, const struct rt_lang_plan *plan, const struct retort_step *step, struct rt_slot *slot,
                   struct rt_cache_ask *ask) {
        struct rt_cache *cache = run->engine->cache;
        struct rt_plan left = { 0 };
        int r = rt_slot_fetch(slot, &left, NULL);
        struct rt_compiled *c = r == 0 ? rt_compiled_new() : NULL;
        if (c && take_outputs(&left, plan, c) && copy_text(&c->arena, step->stdout_data, &c->stdout_data) &&
            copy_text(&c->arena, step->stderr_data, &c->stderr_data)) {
                rt_cache_add(cache, c, &ask->key, run->request->cache_scope, ask->epoch);
        } else {
                (void)rt_compiled_free(c);
                rt_cache_passed(cache);
        }
        rt_plan_unmap(&left);
        return r == 0 || r == RETORT_E_INPUT || r == RETORT_E_NOMEM;
}

void rt_cache_done(struct rt_cache_ask *ask) {
        ask->found = rt_compiled_free(ask->found);
        rt_buf_clear(&ask->key);
}
