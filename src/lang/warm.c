/* SPDX-License-Identifier: Apache-2.0
 *
 * Frozen interpreters: what is started to be frozen, and which requests a fork of it can run as a fresh interpreter would.
 */
#include <fnmatch.h>

#include "base/util.h"
#include "lang/request.h"
#include "lang/warm.h"

int rt_warm_read_start(const struct rt_yaml *yaml, const struct rt_yaml_node *node, const struct rt_yaml_key *key, void *target) {
        const char *text = NULL;
        int r = rt_yaml_read_text(yaml, node, key, &text);
        if (r < 0)
                return r;
        *(bool *)target = strcmp(text, "pool") == 0;
        return *(bool *)target || strcmp(text, "fork") == 0 ? 0 : rt_yaml_fail(yaml, node, "'start' is fork or pool, not '%s'", text);
}

int rt_warm_check(const struct rt_yaml *yaml, const struct rt_runtime *runtime, const struct rt_warm_def *warm) {
        bool programs = warm == &runtime->warm;
        if (!warm->args_node && !(warm->compile_args_node && programs && runtime->compile.argv_node))
                return rt_yaml_fail(yaml, warm->step.argv_node, "'warm' needs 'args', or 'compile_args' for a 'compile' step");
        if (!warm->pool && (warm->entry || warm->first))
                return rt_yaml_fail(yaml, warm->step.argv_node, "'entry' and 'first' are for 'start: pool'");
        if (warm->pool && (!programs || runtime->compile.argv_node))
                return rt_yaml_fail(yaml, warm->step.argv_node, "'start: pool' is for programs, and for runtimes without 'compile'");
        return 0;
}

bool rt_runtime_is_pooled(const struct rt_runtime *runtime) {
        return runtime->warm.pool;
}

static const struct rt_warm_def *warm_of(const struct rt_runtime *runtime, bool runner) {
        return runner ? &runtime->runner.warm : &runtime->warm;
}

bool rt_runtime_can_warm(const struct rt_runtime *runtime, bool runner) {
        const struct rt_warm_def *warm = warm_of(runtime, runner);
        return warm->n_args > 0 || warm->n_compile_args > 0;
}

static bool listed(const char *const *patterns, const char *word) {
        for (; patterns && *patterns; patterns++)
                if (fnmatch(*patterns, word, 0) == 0)
                        return true;
        return false;
}

/* A variable, or an option, that the interpreter reads when it starts: a fork has started already. */
static bool words_fit(const struct rt_warm_def *warm, const struct retort_request *request) {
        for (size_t i = 0; i < request->n_env; i++) {
                char name[256];
                size_t size = strcspn(request->env[i], "=");
                if (size >= sizeof name)
                        return false;
                memcpy(name, request->env[i], size);
                name[size] = 0;
                if (listed(warm->cold_env, name))
                        return false;
        }
        for (size_t i = 0; i < request->n_compile_args; i++)
                if (listed(warm->cold_compile_args, request->compile_args[i]))
                        return false;
        return true;
}

/* A fork owns some memory before it begins; and there are limits that the interpreter was started with. */
static bool limits_fit(const struct rt_warm_def *warm, const struct retort_limits *limits,
                       const struct retort_limits *defaults, const struct retort_limits *ceilings) {
        static const struct retort_limits nothing_asked = { 0 };
        struct retort_limits usual;
        if (rt_request_limits("limits", &nothing_asked, defaults, ceilings, &usual, NULL) < 0)
                return false;
#define X(member, unit, dflt, floor, ceiling, text)                                                                    \
        if (limits->member < warm->least.member)                                                               \
                return false;
        RETORT_LIMITS(X)
#undef X
        for (const char *const *name = warm->same_limits; name && *name; name++) {
#define X(member, unit, dflt, floor, ceiling, text)                                                                    \
                if (strcmp(*name, #member) == 0 && limits->member != usual.member)                                     \
                        return false;
                RETORT_LIMITS(X)
#undef X
        }
        return true;
}

/* The name of the program's file, and how it begins. */
static bool code_fits(const struct rt_warm_def *warm, const struct rt_filling *filling) {
        if (warm->entry && strcmp(filling->entry, warm->entry) != 0)
                return false;
        const struct retort_file *file = filling->files;
        while (strcmp(file->path, filling->entry) != 0)
                file++;
        for (const char *const *text = warm->cold_code; text && *text; text++)
                if (file->content.size >= strlen(*text) && memcmp(file->content.data, *text, strlen(*text)) == 0)
                        return false;
        return true;
}

/* Some interpreters cannot be told of arguments once they have started. */
static bool args_fit(const struct rt_warm_def *warm, const struct retort_request *request) {
        for (size_t i = 0; i < warm->n_args; i++)
                if (rt_template_uses(&warm->args[i], RT_PIECE_ARGS, NULL))
                        return true;
        return request->n_args == 0;
}

static int fill_words(struct rt_filling *filling, const struct rt_template *words, size_t n, struct rt_lang_step *step) {
        struct rt_texts argv = { 0 };
        int r = 0;
        filling->limits = &step->limits;
        for (size_t i = 0; i < n && r == 0; i++)
                r = rt_template_add(&words[i], filling, &argv);
        if (r == 0)
                step->fork_argv = argv.at;
        return r;
}

int rt_warm_plan(struct rt_filling *filling, const struct retort_limits *ceilings, struct rt_lang_plan *plan) {
        const struct rt_runtime *runtime = plan->runtime;
        const struct rt_warm_def *warm = &runtime->warm;
        struct rt_lang_step *run = &plan->steps[plan->n_steps - 1];
        bool compiles = plan->n_steps > 1, runs = warm->n_args > 0;
        if (!rt_runtime_can_warm(runtime, false) || filling->request->terminal_columns > 0 || !words_fit(warm, filling->request) ||
            !code_fits(warm, filling) || (runs && !args_fit(warm, filling->request)) ||
            (runs && !limits_fit(warm, &run->limits, &runtime->run.limits, ceilings)))
                return 0;
        if (compiles && (warm->n_compile_args == 0 ||
                         !limits_fit(warm, &plan->steps[0].limits, &runtime->compile.limits, ceilings)))
                return 0;
        int r = runs ? fill_words(filling, warm->args, warm->n_args, run) : 0;
        if (r == 0 && compiles)
                r = fill_words(filling, warm->compile_args, warm->n_compile_args, &plan->steps[0]);
        return r;
}

/* For the library in front of its open(2). */
static int add_names(const struct rt_filling *filling, struct rt_lang_step *step) {
        struct rt_texts env = { 0 };
        const char *first = filling->warm->first;
        int r = 0;
        for (const char *const *entry = step->env; *entry && r == 0; entry++)
                r = rt_texts_add(&env, *entry, filling->arena, filling->err);
        const char *main = rt_arena_printf(filling->arena, "RETORT_MAIN=%s", filling->warm->entry);
        if (r == 0)
                r = main ? rt_texts_add(&env, main, filling->arena, filling->err) : rt_fail_nomem(filling->err);
        if (r == 0 && first) {
                first = rt_arena_printf(filling->arena, "RETORT_FIRST=%s", first);
                r = first ? rt_texts_add(&env, first, filling->arena, filling->err) : rt_fail_nomem(filling->err);
        }
        step->env = env.at;
        return r;
}

int rt_lang_warm(const struct rt_runtime *runtime, bool runner, const struct rt_lang_places *places,
                 const struct retort_limits *ceilings, struct rt_arena *arena, struct rt_lang_step *ret_step,
                 struct retort_error *err) {
        static const struct retort_request nothing = { 0 };
        const struct rt_warm_def *warm = warm_of(runtime, runner);
        const struct rt_step_def *usual = runner ? &runtime->runner.step : &runtime->run;
        struct rt_lang_step step = { .name = "warm" };
        struct rt_filling filling = { .runtime = runtime, .warm = warm, .request = &nothing, .places = places,
                                      .limits = &step.limits, .entry = "", .main = "", .arena = arena, .err = err };
        if (!rt_runtime_can_warm(runtime, runner))
                return rt_fail(err, RETORT_E_INPUT, "%s cannot be frozen: its runtime.yaml has no warm", runtime->name);
        int r = rt_lang_detect(runtime, err);
        if (r == 0)
                r = rt_request_limits("limits", &nothing.limits, &usual->limits, ceilings, &step.limits, err);
        if (r == 0)
                r = rt_plan_command(&filling, &warm->step, &step);
        if (r == 0 && warm->entry)
                r = add_names(&filling, &step);
        if (r == 0)
                *ret_step = step;
        return r;
}

/* Where an interpreter that has started can still be told. */
static bool packages_fit(const struct rt_runtime *runtime, const char *packages) {
        return !packages || !listed(runtime->runner.warm.cold_env, runtime->runner.packages);
}

int rt_lang_runner(const struct rt_runtime *runtime, const struct retort_request *request, const char *packages, const struct rt_lang_places *places,
                   const struct retort_limits *ceilings, struct rt_arena *arena, struct rt_lang_step *ret_step,
                   struct retort_error *err) {
        const struct rt_warm_def *warm = &runtime->runner.warm;
        struct rt_lang_step step = { .name = "run" };
        struct rt_filling filling = { .runtime = runtime, .warm = warm, .request = request, .places = places,
                                      .entry = "", .main = "", .arena = arena, .err = err };
        if (!rt_runtime_has_runner(runtime))
                return rt_fail(err, RETORT_E_INPUT, "language: %s has no contexts: its programs run once", runtime->name);
        if (packages && !runtime->runner.packages)
                return rt_fail(err, RETORT_E_INPUT, "packages: contexts of %s look for none elsewhere", runtime->name);
        if (packages && (!*packages || strlen(packages) > RT_LANG_PACKAGES_MAX || packages[strspn(packages, ":")] == 0))
                return rt_fail(err, RETORT_E_INPUT, "packages: must be directories, with colons between them, of at most %d bytes", RT_LANG_PACKAGES_MAX);
        int r = rt_request_check_env(request, err);
        r = r < 0 ? r : rt_request_limits("limits", &request->limits, &runtime->runner.step.limits, ceilings, &step.limits, err);
        r = r < 0 ? r : rt_lang_detect(runtime, err);
        r = r < 0 ? r : rt_plan_command(&filling, &runtime->runner.step, &step);
        r = r < 0 || !packages ? r : rt_plan_packages(&filling, runtime->runner.packages, packages, &step);
        if (r == 0 && rt_runtime_can_warm(runtime, true) && words_fit(warm, request) && packages_fit(runtime, packages) &&
            limits_fit(warm, &step.limits, &runtime->runner.step.limits, ceilings))
                r = fill_words(&filling, warm->args, warm->n_args, &step);
        if (r == 0)
                *ret_step = step;
        return r;
}
