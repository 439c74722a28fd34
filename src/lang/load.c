/* SPDX-License-Identifier: Apache-2.0
 *
 * runtime.yaml to struct rt_runtime. The tables below are the schema; docs/runtimes.md says the same in
 * words. Placeholders are read in a second pass, when the programs they may name are known.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "lang/runtime.h"
#include "lang/warm.h"

enum { MAX_FILE = 256 * 1024 };

/* What readers of our own find in rt_yaml.userdata. */
struct loading {
        struct rt_lang_set *set;
        struct rt_runtime *runtime;
        int dir_fd;
};

/* ---- readers ----------------------------------------------------------------------------------- */

static int read_node(const struct rt_yaml *yaml, const struct rt_yaml_node *node,
                     const struct rt_yaml_key *key, void *target) {
        (void)yaml;
        (void)key;
        *(const struct rt_yaml_node **)target = node;
        return 0;
}

static int read_name(const struct rt_yaml *yaml, const struct rt_yaml_node *node,
                     const struct rt_yaml_key *key, void *target) {
        struct loading *loading = yaml->userdata;
        loading->runtime->name_node = node;
        int r = rt_yaml_read_text(yaml, node, key, target);
        if (r == 0 && strcmp(node->text, loading->runtime->dir) != 0)
                r = rt_yaml_fail(yaml, node, "'name' must be the folder's, '%s', not '%s'",
                                 loading->runtime->dir, node->text);
        return r;
}

static int read_aliases(const struct rt_yaml *yaml, const struct rt_yaml_node *node,
                        const struct rt_yaml_key *key, void *target) {
        ((struct loading *)yaml->userdata)->runtime->aliases_node = node;
        return rt_yaml_read_texts(yaml, node, key, target);
}

static int read_extensions(const struct rt_yaml *yaml, const struct rt_yaml_node *node,
                           const struct rt_yaml_key *key, void *target) {
        int r = rt_yaml_read_texts(yaml, node, key, target);
        if (r == 0 && !node->first)
                return rt_yaml_fail(yaml, node, "'%s' needs at least one", key->name);
        for (const struct rt_yaml_node *item = node->first; item && r == 0; item = item->next)
                if (item->text[0] == '.' || !item->text[0])
                        r = rt_yaml_fail(yaml, item,
                                         "an extension is written without its dot: 'py', not '%s'",
                                         item->text);
        return r;
}

static int read_pattern(const struct rt_yaml *yaml, const struct rt_yaml_node *node,
                        const struct rt_yaml_key *key, void *target) {
        struct loading *loading = yaml->userdata;
        const char *text = NULL;
        int r = rt_yaml_read_text(yaml, node, key, &text);
        if (r < 0)
                return r;
        struct rt_pattern *pattern = rt_arena_new(yaml->arena, struct rt_pattern);
        if (!pattern)
                return rt_fail_nomem(yaml->err);
        int bad = regcomp(&pattern->regex, text, REG_EXTENDED);
        if (bad == REG_ESPACE)
                return rt_fail_nomem(yaml->err);
        if (bad) {
                char words[128];
                (void)regerror(bad, &pattern->regex, words, sizeof words);
                return rt_yaml_fail(yaml, node, "'%s' is not a POSIX extended regular expression: %s",
                                    key->name, words);
        }
        pattern->next = loading->set->patterns;
        loading->set->patterns = pattern;
        if (pattern->regex.re_nsub < 1)
                return rt_yaml_fail(yaml, node,
                                    "'%s' needs a group, in parentheses, around what is looked for",
                                    key->name);
        *(const struct rt_pattern **)target = pattern;
        return 0;
}

static int read_programs(const struct rt_yaml *yaml, const struct rt_yaml_node *node,
                         const struct rt_yaml_key *key, void *target) {
        int r = rt_yaml_expect(yaml, node, RT_YAML_LIST);
        if (r < 0)
                return r;
        if (!node->first)
                return rt_yaml_fail(yaml, node, "'programs' needs at least one, as in [[python3]]");
        const char *const **programs = rt_arena_array(yaml->arena, node->n + 1, sizeof *programs);
        if (!programs)
                return rt_fail_nomem(yaml->err);
        size_t n = 0;
        for (const struct rt_yaml_node *item = node->first; item && r == 0; item = item->next) {
                r = rt_yaml_read_texts(yaml, item, key, &programs[n++]);
                if (r == 0 && !item->first)
                        r = rt_yaml_fail(yaml, item, "a program needs at least one name, as in [python3]");
        }
        *(const char *const *const **)target = programs;
        return r;
}

/* "braces" is the only outline there is. */
static int read_outline(const struct rt_yaml *yaml, const struct rt_yaml_node *node,
                        const struct rt_yaml_key *key, void *target) {
        const char *text = NULL;
        int r = rt_yaml_read_text(yaml, node, key, &text);
        if (r == 0 && strcmp(text, "braces") != 0)
                r = rt_yaml_fail(yaml, node, "'outline' must be braces, or left out, not '%s'", text);
        *(bool *)target = r == 0;
        return r;
}

static int read_file_name(const struct rt_yaml *yaml, const struct rt_yaml_node *node,
                          const struct rt_yaml_key *key, void *target) {
        int r = rt_yaml_read_text(yaml, node, key, target);
        if (r == 0 && strchr(node->text, '/'))
                r = rt_yaml_fail(yaml, node, "'%s' must be a file name without a folder, not '%s'", key->name,
                                 node->text);
        return r;
}

static int read_limit(const struct rt_yaml *yaml, const struct rt_yaml_node *node,
                      const struct rt_yaml_key *key, void *target) {
        static const struct {
                const char *name;
                uint64_t floor, ceiling;
        } bounds[] = {
#define X(member, unit, dflt, floor, ceiling, text) { #member, floor, ceiling },
                RETORT_LIMITS(X)
#undef X
        };
        uint64_t value = 0;
        int r = rt_yaml_read_uint(yaml, node, key, &value);
        for (size_t i = 0; r == 0 && i < RT_LEN(bounds); i++)
                if (strcmp(bounds[i].name, key->name) == 0 &&
                    (value < bounds[i].floor || value > bounds[i].ceiling))
                        r = rt_yaml_fail(yaml, node, "'%s' must be from %" PRIu64 " to %" PRIu64 ", not %s",
                                         key->name, bounds[i].floor, bounds[i].ceiling, node->text);
        if (r == 0)
                *(uint64_t *)target = value;
        return r;
}

static int read_limit_names(const struct rt_yaml *yaml, const struct rt_yaml_node *node, const struct rt_yaml_key *key,
                            void *target) {
        static const char *const known[] = {
#define X(member, unit, dflt, floor, ceiling, text) #member,
                RETORT_LIMITS(X)
#undef X
        };
        int r = rt_yaml_read_texts(yaml, node, key, target);
        for (const struct rt_yaml_node *item = node->first; item && r == 0; item = item->next) {
                size_t i = 0;
                while (i < RT_LEN(known) && strcmp(known[i], item->text) != 0)
                        i++;
                if (i == RT_LEN(known))
                        r = rt_yaml_fail(yaml, item, "'%s' is not a limit; see RETORT_LIMITS in retort.h", item->text);
        }
        return r;
}

static const char *const field_names[RT_FIELD_COUNT] = {
        [RT_FIELD_NONE] = "-",        [RT_FIELD_FILE] = "file",         [RT_FIELD_LINE] = "line",
        [RT_FIELD_COLUMN] = "column", [RT_FIELD_SEVERITY] = "severity", [RT_FIELD_MESSAGE] = "message",
};

struct diagnostic_nodes {
        struct rt_diagnostic_def def;
        const struct rt_yaml_node *fields;
};

static int read_fields(const struct rt_yaml *yaml, struct diagnostic_nodes *in) {
        int r = rt_yaml_expect(yaml, in->fields, RT_YAML_LIST);
        if (r < 0)
                return r;
        if (in->fields->n != in->def.pattern->regex.re_nsub)
                return rt_yaml_fail(yaml, in->fields,
                                    "'fields' has %zu names, but the pattern has %zu groups; '-' skips one",
                                    in->fields->n, in->def.pattern->regex.re_nsub);
        enum rt_diagnostic_field *fields = rt_arena_array(yaml->arena, in->fields->n, sizeof *fields);
        if (!fields)
                return rt_fail_nomem(yaml->err);
        bool message = false;
        for (const struct rt_yaml_node *item = in->fields->first; item; item = item->next) {
                r = rt_yaml_expect(yaml, item, RT_YAML_SCALAR);
                if (r < 0)
                        return r;
                size_t field = 0;
                while (field < RT_FIELD_COUNT && strcmp(field_names[field], item->text) != 0)
                        field++;
                if (field == RT_FIELD_COUNT)
                        return rt_yaml_fail(
                                yaml, item,
                                "unknown field '%s'; known: file, line, column, severity, message, -",
                                item->text);
                message |= field == RT_FIELD_MESSAGE;
                fields[in->def.n_fields++] = (enum rt_diagnostic_field)field;
        }
        in->def.fields = fields;
        return message ? 0 : rt_yaml_fail(yaml, in->fields, "'fields' must have 'message'");
}

static const struct rt_yaml_key diagnostic_keys[] = {
        { "pattern", read_pattern, offsetof(struct diagnostic_nodes, def.pattern), .required = true },
        { "fields", read_node, offsetof(struct diagnostic_nodes, fields), .required = true },
        { "caret", rt_yaml_read_bool, offsetof(struct diagnostic_nodes, def.caret) },
        { 0 },
};

static int read_diagnostics(const struct rt_yaml *yaml, const struct rt_yaml_node *node,
                            const struct rt_yaml_key *key, void *target) {
        (void)key;
        struct rt_runtime *runtime = ((struct loading *)yaml->userdata)->runtime;
        int r = rt_yaml_expect(yaml, node, RT_YAML_LIST);
        if (r < 0)
                return r;
        struct rt_diagnostic_def *defs = rt_arena_array(yaml->arena, node->n, sizeof *defs);
        if (!defs)
                return rt_fail_nomem(yaml->err);
        for (const struct rt_yaml_node *item = node->first; item; item = item->next) {
                struct diagnostic_nodes in = { 0 };
                r = rt_yaml_walk(yaml, item, diagnostic_keys, &in);
                if (r == 0)
                        r = read_fields(yaml, &in);
                if (r < 0)
                        return r;
                defs[runtime->n_diagnostics++] = in.def;
        }
        *(const struct rt_diagnostic_def **)target = defs;
        return 0;
}

/* ---- the schema -------------------------------------------------------------------------------- */

#define AT(member) offsetof(struct rt_runtime, member)

static const struct rt_yaml_key version_keys[] = {
        { "args", rt_yaml_read_texts,
          offsetof(struct rt_runtime, toolchain.version.args) - AT(toolchain.version), .required = true },
        { "pattern", read_pattern,
          offsetof(struct rt_runtime, toolchain.version.pattern) - AT(toolchain.version), .required = true },
        { 0 },
};
static const struct rt_yaml_key toolchain_keys[] = {
        { "programs", read_programs, AT(toolchain.programs) - AT(toolchain), .required = true },
        { "version", rt_yaml_read_map, AT(toolchain.version) - AT(toolchain), .required = true,
          version_keys },
        { "install", rt_yaml_read_text, AT(toolchain.install) - AT(toolchain), .required = true },
        { 0 },
};
static const struct rt_yaml_key source_keys[] = {
        { "name", read_file_name, AT(source.name) - AT(source), .required = true },
        { "outline", read_outline, AT(source.braces) - AT(source) },
        { "file", read_pattern, AT(source.file) - AT(source) },
        { "main", read_pattern, AT(source.main) - AT(source) },
        { "package", read_pattern, AT(source.package) - AT(source) },
        { 0 },
};
static const struct rt_yaml_key limit_keys[] = {
#define X(member, unit, dflt, floor, ceiling, text)                                                          \
        { #member, read_limit, offsetof(struct retort_limits, member) },
        RETORT_LIMITS(X)
#undef X
                { 0 },
};
static const struct rt_yaml_key compile_keys[] = {
        { "argv", read_node, offsetof(struct rt_step_def, argv_node), .required = true },
        { "env", read_node, offsetof(struct rt_step_def, env_node) },
        { "limits", rt_yaml_read_map, offsetof(struct rt_step_def, limits), .keys = limit_keys },
        { "cache", rt_yaml_read_map, offsetof(struct rt_step_def, cache), .keys = rt_lang_cache_keys },
        { "plain_if", rt_yaml_read_texts, offsetof(struct rt_step_def, plain_if) },
        { 0 },
};
static const struct rt_yaml_key step_keys[] = {
        { "argv", read_node, offsetof(struct rt_step_def, argv_node), .required = true },
        { "env", read_node, offsetof(struct rt_step_def, env_node) },
        { "limits", rt_yaml_read_map, offsetof(struct rt_step_def, limits), .keys = limit_keys },
        { 0 },
};
#define WARM(member) offsetof(struct rt_warm_def, member)
static const struct rt_yaml_key warm_keys[] = {
        { "start", rt_warm_read_start, WARM(pool) },
        { "entry", read_file_name, WARM(entry) },
        { "first", rt_yaml_read_text, WARM(first) },
        { "cold_code", rt_yaml_read_texts, WARM(cold_code) },
        { "argv", read_node, WARM(step.argv_node), .required = true },
        { "env", read_node, WARM(step.env_node) },
        { "args", read_node, WARM(args_node) },
        { "compile_args", read_node, WARM(compile_args_node) },
        { "cold_compile_args", rt_yaml_read_texts, WARM(cold_compile_args) },
        { "preload", rt_yaml_read_texts, WARM(preload) },
        { "cold_env", rt_yaml_read_texts, WARM(cold_env) },
        { "least", rt_yaml_read_map, WARM(least), .keys = limit_keys },
        { "same_limits", read_limit_names, WARM(same_limits) },
        { 0 },
};
static const struct rt_yaml_key runner_keys[] = {
        { "argv", read_node, AT(runner.step.argv_node) - AT(runner), .required = true },
        { "env", read_node, AT(runner.step.env_node) - AT(runner) },
        { "limits", rt_yaml_read_map, AT(runner.step.limits) - AT(runner), .keys = limit_keys },
        { "warm", rt_yaml_read_map, AT(runner.warm) - AT(runner), .keys = warm_keys },
        { "packages", rt_yaml_read_text, AT(runner.packages) - AT(runner) },
        { 0 },
};
static const struct rt_yaml_key runtime_keys[] = {
        { "name", read_name, AT(name), .required = true },
        { "title", rt_yaml_read_text, AT(title), .required = true },
        { "aliases", read_aliases, AT(aliases), .required = true },
        { "extensions", read_extensions, AT(extensions) },
        { "toolchain", rt_yaml_read_map, AT(toolchain), .required = true, toolchain_keys },
        { "source", rt_yaml_read_map, AT(source), .keys = source_keys },
        { "compile", rt_yaml_read_map, AT(compile), .keys = compile_keys },
        { "run", rt_yaml_read_map, AT(run), .keys = step_keys },
        { "warm", rt_yaml_read_map, AT(warm), .keys = warm_keys },
        { "runner", rt_yaml_read_map, AT(runner), .keys = runner_keys },
        { "diagnostics", read_diagnostics, AT(diagnostics) },
        { 0 },
};

/* ---- the second pass: placeholders ------------------------------------------------------------- */

static int read_list(const struct rt_yaml *yaml, const struct rt_yaml_node *list, const char *empty,
                     const struct rt_template **ret_list, size_t *ret_n) {
        struct loading *loading = yaml->userdata;
        int r = rt_yaml_expect(yaml, list, RT_YAML_LIST);
        if (r == 0 && !list->first)
                return rt_yaml_fail(yaml, list, "%s", empty);
        struct rt_template *texts = r < 0 ? NULL : rt_arena_array(yaml->arena, list->n, sizeof *texts);
        if (!texts)
                return r < 0 ? r : rt_fail_nomem(yaml->err);
        for (const struct rt_yaml_node *item = list->first; item && r == 0; item = item->next)
                r = rt_template_read(yaml, item, loading->runtime, loading->dir_fd, true, &texts[(*ret_n)++]);
        *ret_list = texts;
        return r;
}

static int read_env(const struct rt_yaml *yaml, struct rt_step_def *step) {
        struct loading *loading = yaml->userdata;
        const struct rt_yaml_node *map = step->env_node;
        int r = map ? rt_yaml_expect(yaml, map, RT_YAML_MAP) : 0;
        if (!map || r < 0)
                return r;
        struct rt_env_def *env = rt_arena_array(yaml->arena, map->n, sizeof *env);
        if (!env)
                return rt_fail_nomem(yaml->err);
        for (const struct rt_yaml_node *item = map->first; item && r == 0; item = item->next) {
                if (!item->key->text[0] || strchr(item->key->text, '='))
                        return rt_yaml_fail(yaml, item->key, "'%s' is not a name for an environment variable",
                                            item->key->text);
                env[step->n_env].name = item->key->text;
                r = rt_template_read(yaml, item, loading->runtime, loading->dir_fd, false,
                                     &env[step->n_env++].value);
        }
        step->env = env;
        return r;
}

static int read_step(const struct rt_yaml *yaml, struct rt_step_def *step) {
        if (!step->argv_node)
                return 0;
        int r = read_list(yaml, step->argv_node, "'argv' needs at least a program", &step->argv, &step->n_argv);
        return r < 0 ? r : read_env(yaml, step);
}

static int read_warm(const struct rt_yaml *yaml, struct rt_warm_def *warm) {
        if (!warm->step.argv_node)
                return 0;
        int r = rt_warm_check(yaml, ((struct loading *)yaml->userdata)->runtime, warm);
        r = r < 0 ? r : read_step(yaml, &warm->step);
        if (r == 0 && warm->args_node)
                r = read_list(yaml, warm->args_node, "'args' needs at least the file that is run", &warm->args, &warm->n_args);
        return r < 0 || !warm->compile_args_node ? r : read_list(yaml, warm->compile_args_node, "'compile_args' needs at least one word",
                                                                 &warm->compile_args, &warm->n_compile_args);
}

/* ---- files and folders ------------------------------------------------------------------------- */

/* Reads <dir>/<name>/runtime.yaml, if there is one, into the set. */
static int load_one(struct rt_lang_set *set, int dir_fd, const char *dir, const char *name,
                    struct retort_error *err) {
        rt_auto_close int own_fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (own_fd < 0 || faccessat(own_fd, "runtime.yaml", F_OK, 0) < 0)
                return errno == ENOENT || errno == ENOTDIR ? 0 : rt_fail_errno(err, "cannot open %s/%s", dir, name);
        struct rt_runtime *runtime = rt_arena_new(&set->arena, struct rt_runtime);
        struct loading loading = { .set = set, .runtime = runtime, .dir_fd = own_fd };
        struct rt_yaml yaml = { .file = rt_arena_printf(&set->arena, "%s/%s/runtime.yaml", dir, name),
                                .arena = &set->arena,
                                .err = err,
                                .userdata = &loading };
        if (!runtime || !yaml.file || !(runtime->dir = rt_arena_strdup(&set->arena, name)))
                return rt_fail_nomem(err);
        runtime->file = yaml.file;
        rt_auto_free char *text = NULL;
        size_t size = 0;
        int r = rt_read_file_at(own_fd, "runtime.yaml", MAX_FILE, &text, &size, err);
        if (r < 0)
                return rt_wrap(err, r, "%s/%s", dir, name);
        const struct rt_yaml_node *root;
        r = rt_yaml_parse(&yaml, text, size, &root);
        r = r < 0 ? r : rt_yaml_walk(&yaml, root, runtime_keys, runtime);
        r = r < 0 ? r : rt_runtime_check_parts(&yaml, root, runtime);
        r = r < 0 ? r : read_step(&yaml, &runtime->compile);
        r = r < 0 ? r : read_step(&yaml, &runtime->run);
        r = r < 0 ? r : read_warm(&yaml, &runtime->warm);
        r = r < 0 ? r : read_step(&yaml, &runtime->runner.step);
        r = r < 0 ? r : read_warm(&yaml, &runtime->runner.warm);
        if (r == 0)
                set->runtimes[set->n++] = runtime;
        return r;
}

static const struct rt_runtime *claimed(const struct rt_lang_set *set, size_t before, const char *name) {
        for (size_t i = 0; i < before; i++) {
                if (strcasecmp(set->runtimes[i]->name, name) == 0)
                        return set->runtimes[i];
                for (const char *const *alias = set->runtimes[i]->aliases; *alias; alias++)
                        if (strcasecmp(*alias, name) == 0)
                                return set->runtimes[i];
        }
        return NULL;
}

/* No two runtimes may go by one name. */
static int check_names(const struct rt_lang_set *set, struct retort_error *err) {
        for (size_t i = 0; i < set->n; i++) {
                const struct rt_runtime *runtime = set->runtimes[i];
                struct rt_yaml yaml = { .file = runtime->file, .err = err };
                const struct rt_runtime *other = claimed(set, i, runtime->name);
                if (other)
                        return rt_yaml_fail(&yaml, runtime->name_node, "'%s' is an alias of %s already",
                                            runtime->name, other->name);
                const struct rt_yaml_node *node = runtime->aliases_node->first;
                for (; node; node = node->next)
                        if ((other = claimed(set, i, node->text)))
                                return rt_yaml_fail(&yaml, node, "'%s' names %s already", node->text,
                                                    other->name);
        }
        return 0;
}

static void names_cleanup(struct dirent ***names) {
        free(*names);
}

static int not_hidden(const struct dirent *entry) {
        return entry->d_name[0] != '.';
}

int rt_lang_load(const char *dir, struct rt_lang_set **ret_set, struct retort_error *err) {
        rt_auto_close int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0)
                return rt_fail_errno(err, "cannot open the runtimes directory %s", dir);
        __attribute__((cleanup(names_cleanup))) struct dirent **names = NULL;
        int n = scandirat(dir_fd, ".", &names, not_hidden, alphasort);
        if (n < 0)
                return rt_fail_errno(err, "cannot read the runtimes directory %s", dir);
        struct rt_lang_set *set = calloc(1, sizeof *set);
        int r = 0;
        if (set)
                set->runtimes = rt_arena_array(&set->arena, (size_t)n, sizeof *set->runtimes);
        if (!set || !set->runtimes)
                r = rt_fail_nomem(err);
        for (int i = 0; i < n; i++) {
                if (r == 0)
                        r = load_one(set, dir_fd, dir, names[i]->d_name, err);
                free(names[i]);
        }
        if (r == 0)
                r = check_names(set, err);
        if (r == 0 && set->n == 0)
                r = rt_fail(err, RETORT_E_INPUT, "%s holds no runtime: no <name>/runtime.yaml in it", dir);
        if (r < 0)
                return rt_lang_free(set), r;
        *ret_set = set;
        return 0;
}

struct rt_lang_set *rt_lang_free(struct rt_lang_set *set) {
        if (set) {
                for (struct rt_pattern *pattern = set->patterns; pattern; pattern = pattern->next)
                        regfree(&pattern->regex);
                rt_arena_clear(&set->arena);
                free(set);
        }
        return NULL;
}
