/* SPDX-License-Identifier: Apache-2.0
 *
 * Which runtimes there are, by which names, and whether their toolchains are installed.
 */
#include <ctype.h>
#include <unistd.h>

#include "base/buf.h"
#include "lang/runtime.h"
#include "base/text.h"

const struct rt_runtime *rt_lang_at(const struct rt_lang_set *set, size_t index) {
        return index < set->n ? set->runtimes[index] : NULL;
}

static bool same_name(const char *name, const char *asked, size_t size) {
        return strncasecmp(name, asked, size) == 0 && !name[size];
}

static bool goes_by(const struct rt_runtime *runtime, const char *asked, size_t size) {
        bool found = same_name(runtime->name, asked, size);
        for (const char *const *alias = runtime->aliases; !found && *alias; alias++)
                found = same_name(*alias, asked, size);
        return found;
}

static void list_known(const struct rt_lang_set *set, struct rt_buf *known) {
        for (size_t i = 0; i < set->n; i++)
                (void)rt_buf_printf(known, "%s%s", i ? ", " : "", set->runtimes[i]->name);
}

const struct rt_runtime *rt_lang_find(const struct rt_lang_set *set, const char *name,
                                      struct retort_error *err) {
        const char *asked = name ? name : "";
        while (isspace((unsigned char)*asked))
                asked++;
        size_t size = strlen(asked);
        while (size && isspace((unsigned char)asked[size - 1]))
                size--;
        for (size_t i = 0; size && i < set->n; i++)
                if (goes_by(set->runtimes[i], asked, size))
                        return set->runtimes[i];
        rt_auto_buf struct rt_buf known = RT_BUF(512);
        list_known(set, &known);
        const char *list = known.data ? known.data : "";
        if (!size)
                (void)rt_fail(err, RETORT_E_NO_RUNTIME, "language is missing; known: %s", list);
        else
                (void)rt_fail(err, RETORT_E_NO_RUNTIME, "unknown language '%s'; known: %s",
                              rt_text_show(asked).text, list);
        return NULL;
}

const struct rt_runtime *rt_lang_by_file(const struct rt_lang_set *set, const char *file_name) {
        const char *slash = strrchr(file_name, '/');
        const char *base = slash ? slash + 1 : file_name;
        const char *dot = strrchr(base, '.');
        for (size_t i = 0; dot && i < set->n; i++)
                for (const char *const *extension = set->runtimes[i]->extensions; *extension; extension++)
                        if (rt_runtime_has_programs(set->runtimes[i]) && strcmp(*extension, dot + 1) == 0)
                                return set->runtimes[i];
        return NULL;
}

const char *rt_runtime_name(const struct rt_runtime *runtime) {
        return runtime->name;
}

const char *rt_runtime_title(const struct rt_runtime *runtime) {
        return runtime->title;
}

const char *const *rt_runtime_aliases(const struct rt_runtime *runtime) {
        return runtime->aliases;
}

const char *const *rt_runtime_extensions(const struct rt_runtime *runtime) {
        return runtime->extensions;
}

const char *rt_runtime_install(const struct rt_runtime *runtime) {
        return runtime->toolchain.install;
}

/* ---- the toolchain ----------------------------------------------------------------------------- */

/* *ret_path is NULL if no directory has it. */
static int find_one(const char *name, struct rt_arena *arena, const char **ret_path) {
        *ret_path = name[0] == '/' && access(name, X_OK) == 0 ? name : NULL;
        for (const char *dir = name[0] == '/' ? "" : RT_LANG_PATH; *dir && !*ret_path;) {
                size_t size = strcspn(dir, ":");
                const char *path = rt_arena_printf(arena, "%.*s/%s", (int)size, dir, name);
                if (!path)
                        return RETORT_E_NOMEM;
                if (access(path, X_OK) == 0)
                        *ret_path = path;
                dir += size + (dir[size] == ':');
        }
        return 0;
}

int rt_program_find(const char *const *alternatives, struct rt_arena *arena, const char **ret_path) {
        *ret_path = NULL;
        int r = 0;
        for (; r == 0 && !*ret_path && *alternatives; alternatives++)
                r = find_one(*alternatives, arena, ret_path);
        return r;
}

const char *const *rt_program_named(const struct rt_runtime *runtime, const char *name) {
        for (const char *const *const *program = runtime->toolchain.programs; *program; program++)
                if (strcmp((*program)[0], name) == 0)
                        return *program;
        return NULL;
}

int rt_lang_detect(const struct rt_runtime *runtime, struct retort_error *err) {
        rt_auto_arena struct rt_arena arena = { 0 };
        for (const char *const *const *program = runtime->toolchain.programs; *program; program++) {
                const char *path;
                if (rt_program_find(*program, &arena, &path) < 0)
                        return rt_fail_nomem(err);
                if (!path)
                        return rt_fail(err, RETORT_E_NO_RUNTIME,
                                       "%s is not installed: no program %s in " RT_LANG_PATH
                                       "; get it with: %s",
                                       runtime->title, (*program)[0], runtime->toolchain.install);
        }
        return 0;
}

const char *const *rt_lang_version_argv(const struct rt_runtime *runtime, struct rt_arena *arena) {
        struct rt_texts argv = { 0 };
        const char *program;
        if (rt_program_find(runtime->toolchain.programs[0], arena, &program) < 0 || !program ||
            rt_texts_add(&argv, program, arena, NULL) < 0)
                return NULL;
        for (const char *const *arg = runtime->toolchain.version.args; *arg; arg++)
                if (rt_texts_add(&argv, *arg, arena, NULL) < 0)
                        return NULL;
        return argv.at;
}

bool rt_pattern_find(const struct rt_pattern *pattern, const char *text, size_t size, size_t *ret_start,
                     size_t *ret_end) {
        enum { MOST_GROUPS = 16 };
        regmatch_t groups[MOST_GROUPS] = { { .rm_so = 0, .rm_eo = (regoff_t)size } };
        size_t last = pattern->regex.re_nsub;
        if (last >= MOST_GROUPS || regexec(&pattern->regex, text, last + 1, groups, REG_STARTEND) != 0)
                return false;
        if (groups[last].rm_so < 0)
                return false;
        *ret_start = (size_t)groups[last].rm_so;
        *ret_end = (size_t)groups[last].rm_eo;
        return true;
}

const char *rt_lang_read_version(const struct rt_runtime *runtime, const char *output,
                                 struct rt_arena *arena) {
        size_t start;
        size_t end;
        const char *version = "";
        if (rt_pattern_find(runtime->toolchain.version.pattern, output, strlen(output), &start, &end))
                version = rt_text_clean(arena, output + start, end - start);
        return version ? version : "";
}

bool rt_lang_version_fits(const char *installed, const char *wanted) {
        if (!wanted || !*wanted || strcmp(wanted, "*") == 0)
                return true;
        size_t size = strlen(wanted);
        return strncmp(installed, wanted, size) == 0 && (!installed[size] || strchr("._", installed[size]));
}
