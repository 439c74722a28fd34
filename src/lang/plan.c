/* SPDX-License-Identifier: Apache-2.0
 *
 * A request against a runtime becomes steps that can be started as they are.
 */
#include <inttypes.h>

#include "base/util.h"
#include "lang/request.h"
#include "lang/source.h"
#include "lang/warm.h"

/* ---- files ------------------------------------------------------------------------------------- */

/* `code` becomes a file of the name that it demands, or else the runtime's. */
static int name_code(const struct rt_runtime *runtime, const struct retort_request *request,
                     const char *demanded, struct rt_arena *arena, const struct retort_file **ret_file,
                     struct retort_error *err) {
        struct retort_file *file = rt_arena_new(arena, struct retort_file);
        if (!file)
                return rt_fail_nomem(err);
        const char *dot = strrchr(runtime->source.name, '.');
        bool fits = demanded && strlen(demanded) + (dot ? strlen(dot) : 0) <= RETORT_MAX_PATH;
        file->content = request->code;
        file->path = fits ? rt_arena_printf(arena, "%s%s", demanded, dot ? dot : "") : runtime->source.name;
        *ret_file = file;
        return file->path ? 0 : rt_fail_nomem(err);
}

static const struct retort_file *entry_file(const struct retort_request *request) {
        const struct retort_file *file = request->files;
        while (request->entry && strcmp(file->path, request->entry) != 0)
                file++;
        return file;
}

static int plan_files(const struct retort_request *request, struct rt_lang_plan *plan,
                      struct rt_filling *filling) {
        struct rt_arena *arena = filling->arena;
        const struct retort_file *entry = request->n_files ? entry_file(request) : NULL;
        struct rt_source_names names;
        int r = rt_source_names(plan->runtime, entry ? entry->content : request->code, arena, &names,
                                filling->err);
        if (r == 0 && !entry) {
                r = name_code(plan->runtime, request, names.file, arena, &entry, filling->err);
                plan->files = entry;
                plan->n_files = 1;
        } else {
                plan->files = request->files;
                plan->n_files = request->n_files;
        }
        if (r < 0)
                return r;
        filling->files = plan->files;
        filling->n_files = plan->n_files;
        filling->entry = entry->path;
        filling->main = names.main;
        return 0;
}

/* ---- environment ------------------------------------------------------------------------------- */

static bool same_variable(const char *a, const char *b) {
        size_t size = strcspn(a, "=");
        return strncmp(a, b, size + 1) == 0;
}

/* Adds an entry, or puts it where one of its name stands. */
static int set_env(const struct rt_filling *filling, struct rt_texts *env, const char *entry) {
        for (size_t i = 0; entry && i < env->n; i++)
                if (same_variable(env->at[i], entry)) {
                        env->at[i] = entry;
                        return 0;
                }
        return entry ? rt_texts_add(env, entry, filling->arena, filling->err) : rt_fail_nomem(filling->err);
}

/* What every guest has, whatever its language. */
static int add_common_env(const struct rt_filling *filling, struct rt_texts *env) {
        const struct rt_lang_places *places = filling->places;
        const char *const entries[] = {
                "PATH=" RT_LANG_PATH,
                rt_arena_printf(filling->arena, "HOME=%s", places->work),
                rt_arena_printf(filling->arena, "TMPDIR=%s", places->tmp),
                "LANG=C.UTF-8",
                "USER=guest",
        };
        int r = 0;
        for (size_t i = 0; i < RT_LEN(entries) && r == 0; i++)
                r = set_env(filling, env, entries[i]);
        return r;
}

static int add_step_env(const struct rt_filling *filling, const struct rt_env_def *def,
                        struct rt_texts *env) {
        const char *value;
        int r = rt_template_fill(&def->value, filling, &value);
        return r < 0 ? r : set_env(filling, env, rt_arena_printf(filling->arena, "%s=%s", def->name, value));
}

/* A step's variable that mentions the request's own value of it ({env:NAME}) has taken it in, and stays. */
static bool takes_in(const struct rt_step_def *def, const char *entry) {
        for (size_t i = 0; i < def->n_env; i++) {
                size_t size = strlen(def->env[i].name);
                if (strncmp(entry, def->env[i].name, size) == 0 && entry[size] == '=')
                        return rt_template_uses(&def->env[i].value, RT_PIECE_ENV, def->env[i].name);
        }
        return false;
}

static int plan_env(const struct rt_filling *filling, const struct rt_step_def *def,
                    const char *const **ret_env) {
        const struct retort_request *request = filling->request;
        struct rt_texts env = { 0 };
        int r = add_common_env(filling, &env);
        for (size_t i = 0; i < def->n_env && r == 0; i++)
                r = add_step_env(filling, &def->env[i], &env);
        for (size_t i = 0; i < request->n_env && r == 0; i++)
                if (!takes_in(def, request->env[i]))
                        r = set_env(filling, &env, request->env[i]);
        if (r == 0)
                *ret_env = env.at;
        return r;
}

static const char *value_of(const char *const *env, const char *name) {
        size_t size = strlen(name);
        for (; *env; env++)
                if (strncmp(*env, name, size) == 0 && (*env)[size] == '=')
                        return *env + size + 1;
        return "";
}

int rt_plan_packages(const struct rt_filling *filling, const char *variable, const char *packages, struct rt_lang_step *step) {
        struct rt_texts env = { 0 };
        int r = 0;
        for (const char *const *entry = step->env; *entry && r == 0; entry++)
                r = rt_texts_add(&env, *entry, filling->arena, filling->err);
        char *all = rt_arena_printf(filling->arena, "%s=", variable);
        const char *colon = "";
        for (const char *at = packages + strspn(packages, ":"); all && *at; at += strspn(at, ":"), colon = ":") {
                int size = (int)strcspn(at, ":");
                all = *at == '/' ? rt_arena_printf(filling->arena, "%s%s%.*s", all, colon, size, at)
                                 : rt_arena_printf(filling->arena, "%s%s%s/%.*s", all, colon, filling->places->work, size, at);
                at += size;
        }
        const char *own = value_of(step->env, variable);
        if (all && *own)
                all = rt_arena_printf(filling->arena, "%s:%s", all, own);
        r = r < 0 ? r : set_env(filling, &env, all);
        if (r == 0)
                step->env = env.at;
        return r;
}

/* ---- steps ------------------------------------------------------------------------------------- */

static int plan_argv(const struct rt_filling *filling, const struct rt_step_def *def,
                     const char *const **ret_argv) {
        struct rt_texts argv = { 0 };
        int r = 0;
        for (size_t i = 0; i < def->n_argv && r == 0; i++)
                r = rt_template_add(&def->argv[i], filling, &argv);
        if (r == 0)
                *ret_argv = argv.at;
        return r;
}

int rt_plan_command(struct rt_filling *filling, const struct rt_step_def *def, struct rt_lang_step *step) {
        filling->limits = &step->limits;
        int r = plan_argv(filling, def, &step->argv);
        return r < 0 ? r : plan_env(filling, def, &step->env);
}

static int plan_step(const char *name, const struct rt_step_def *def, struct rt_filling *filling,
                     struct rt_lang_plan *plan) {
        struct rt_lang_step *step = &plan->steps[plan->n_steps++];
        step->name = name;
        return rt_plan_command(filling, def, step);
}

static int plan_limits(const struct rt_runtime *runtime, const struct retort_request *request,
                       const struct retort_limits *ceilings, struct rt_lang_plan *plan,
                       struct retort_error *err) {
        size_t run = runtime->compile.argv ? 1 : 0;
        struct retort_limits compile;
        int r = rt_request_limits("compile.limits", &request->compile_limits, &runtime->compile.limits,
                                  ceilings, &compile, err);
        if (r == 0 && run)
                plan->steps[0].limits = compile;
        return r < 0 ? r
                     : rt_request_limits("limits", &request->limits, &runtime->run.limits, ceilings,
                                         &plan->steps[run].limits, err);
}

/* The files must fit into the box of every step; a file system gives whole pages. */
static int check_disk(const struct rt_lang_plan *plan, struct retort_error *err) {
        const uint64_t page = 4096;
        uint64_t size = 0;
        for (size_t i = 0; i < plan->n_files; i++)
                size += (plan->files[i].content.size + page - 1) / page * page;
        for (size_t i = 0; i < plan->n_steps; i++)
                if (size > plan->steps[i].limits.disk_bytes)
                        return rt_fail(err, RETORT_E_INPUT,
                                       "code and files take %" PRIu64 " bytes in the box, and %slimits.disk_bytes is %" PRIu64,
                                       size, i + 1 < plan->n_steps ? "compile." : "", plan->steps[i].limits.disk_bytes);
        return 0;
}

int rt_lang_plan(const struct rt_runtime *runtime, const struct retort_request *request,
                 const struct rt_lang_places *places, const struct retort_limits *ceilings,
                 struct rt_arena *arena, struct rt_lang_plan *ret_plan, struct retort_error *err) {
        struct rt_lang_plan plan = { .runtime = runtime };
        struct rt_filling filling = {
                .runtime = runtime, .warm = &runtime->warm, .request = request, .places = places, .arena = arena, .err = err
        };
        if (!rt_runtime_has_programs(runtime))
                return rt_fail(err, RETORT_E_INPUT, "language: %s runs no programs: it keeps state between the cells of a context", runtime->name);
        int r = rt_request_check(runtime, request, err);
        r = r < 0 ? r : plan_limits(runtime, request, ceilings, &plan, err);
        r = r < 0 ? r : rt_lang_detect(runtime, err);
        r = r < 0 ? r : plan_files(request, &plan, &filling);
        if (r == 0 && runtime->compile.argv)
                r = plan_step("compile", &runtime->compile, &filling, &plan);
        r = r < 0 ? r : plan_step("run", &runtime->run, &filling, &plan);
        r = r < 0 ? r : check_disk(&plan, err);
        r = r < 0 ? r : rt_warm_plan(&filling, ceilings, &plan);
        if (r == 0)
                *ret_plan = plan;
        return r;
}
