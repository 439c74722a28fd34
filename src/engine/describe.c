/* SPDX-License-Identifier: Apache-2.0
 *
 * What an engine says of itself: its isolation and its languages, as JSON.
 */
#include <jansson.h>
#include <stdlib.h>

#include "base/err.h"
#include "engine/engine.h"

static int give_text(json_t *value, char **ret_json, struct retort_error *err) {
        char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
        json_decref(value);
        if (!text)
                return rt_fail_nomem(err);
        *ret_json = text;
        return 0;
}

int retort_engine_isolation(retort_engine *engine, char **ret_json, struct retort_error *err) {
        static const char *const states[] = { "active", "unavailable", "off" };
        const struct rt_box_isolation *isolation = rt_jail_isolation(engine->jail);
        json_t *mechanisms = json_array();
        json_t *missing = json_array();
        for (int m = 0; m < RT_BOX_MECHANISMS; m++) {
                const struct rt_box_mechanism *entry = &isolation->mechanisms[m];
                (void)json_array_append_new(mechanisms, json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", rt_mechanism_name(m),
                                                                  "state", states[entry->state], "text",
                                                                  rt_mechanism_text(m), "reason", entry->reason, "mend",
                                                                  entry->mend));
        }
        for (size_t i = 0; i < engine->n_missing; i++)
                (void)json_array_append_new(missing, json_string(engine->missing[i]));
        json_t *measured = json_pack("{s:s, s:s, s:s}", "cpu", isolation->cpu_how, "memory", isolation->memory_how,
                                     "processes", isolation->processes_how);
        return give_text(json_pack("{s:s, s:o, s:o, s:o}", "level", rt_isolation_name(isolation->level), "missing", missing,
                                   "mechanisms", mechanisms, "measured", measured),
                         ret_json, err);
}

static json_t *list_of(const char *const *texts) {
        json_t *list = json_array();
        for (; texts && *texts; texts++)
                (void)json_array_append_new(list, json_string(*texts));
        return list;
}

/* null: it starts anew for each run. */
static json_t *describe_warm(retort_engine *engine, const struct rt_runtime *runtime, bool runner) {
        if (!rt_runtime_can_warm(runtime, runner))
                return json_null();
        (void)pthread_mutex_lock(&engine->lock);
        size_t kind = rt_engine_runtime_index(engine, runtime) + (runner ? RT_ENGINE_MAX_RUNTIMES : 0);
        const struct rt_warm *w = &engine->warm[kind];
        bool pooled = w->pool.ahead && rt_engine_pool_target(engine, (int)kind) > 0;
        json_t *made = json_pack("{s:s, s:s}", "state", w->frozen ? "frozen" : pooled ? "pool" : w->starting ? "starting" : w->failures ? "failed" : "cold", "reason", w->why);
        (void)pthread_mutex_unlock(&engine->lock);
        return made;
}

static json_t *describe_runtime(retort_engine *engine, const struct rt_runtime *runtime) {
        bool installed = rt_lang_detect(runtime, NULL) == 0;
        const char *version = installed ? rt_toolchain_version(engine, runtime, true) : "";
        json_t *contexts = rt_runtime_has_runner(runtime) ? json_pack("{s:o}", "warm", describe_warm(engine, runtime, true)) : json_null();
        return json_pack("{s:s, s:s, s:o, s:o, s:b, s:s, s:s, s:b, s:o, s:o}", "name", rt_runtime_name(runtime), "title",
                         rt_runtime_title(runtime), "aliases", list_of(rt_runtime_aliases(runtime)), "extensions",
                         list_of(rt_runtime_extensions(runtime)), "installed", installed, "version", version, "install",
                         rt_runtime_install(runtime), "programs", rt_runtime_has_programs(runtime), "warm", describe_warm(engine, runtime, false), "contexts", contexts);
}

int retort_engine_languages(retort_engine *engine, char **ret_json, struct retort_error *err) {
        const struct rt_runtime *runtime;
        for (size_t i = 0; (runtime = rt_lang_at(engine->runtimes, i)); i++)
                if (rt_lang_detect(runtime, NULL) == 0)
                        rt_toolchain_ask(engine, runtime); /* all at once; then wait for each */
        json_t *list = json_array();
        for (size_t i = 0; (runtime = rt_lang_at(engine->runtimes, i)); i++)
                (void)json_array_append_new(list, describe_runtime(engine, runtime));
        return give_text(list, ret_json, err);
}

const char *retort_engine_language_of_file(retort_engine *engine, const char *file_name) {
        const struct rt_runtime *runtime = rt_lang_by_file(engine->runtimes, file_name);
        return runtime ? rt_runtime_name(runtime) : NULL;
}
