/* SPDX-License-Identifier: Apache-2.0
 *
 * Defaults, then the file, then the environment, then overrides; each value through the same door (rt_option_set), so
 * that what is refused is refused everywhere, and only the place in the message differs.
 */
#include "service/config.h"

#include <ctype.h>
#include <fcntl.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"
#include "base/yaml.h"
#include "retort-context.h"
#include "service/config-table.h"

enum { MAX_FILE = 1 << 20, MAX_TENANTS = 10000 };

extern char **environ;

static const char *near_words(struct rt_arena *arena, const char *section, const char *word) {
        const char *near = rt_option_suggest(section, word);
        const char *words = near ? rt_arena_printf(arena, "; did you mean '%s'?", near) : "";
        return words ? words : "";
}

/* ---- the file ---- */

/* A scalar, or (for lists) a list of scalars, as the text that rt_option_set reads. */
static int node_text(const struct rt_yaml *yaml, const struct rt_yaml_node *node, const struct rt_option *option,
                     const char **ret_text) {
        if (option->type != RT_OPTION_LIST || node->kind == RT_YAML_SCALAR) {
                *ret_text = node->text;
                return rt_yaml_expect(yaml, node, RT_YAML_SCALAR);
        }
        const char *text = "";
        int r = rt_yaml_expect(yaml, node, RT_YAML_LIST);
        for (const struct rt_yaml_node *item = node->first; r == 0 && item; item = item->next) {
                r = rt_yaml_expect(yaml, item, RT_YAML_SCALAR);
                if (r == 0 && strchr(item->text, ','))
                        r = rt_yaml_fail(yaml, item, "an item of '%s' must not hold a comma", option->key);
                if (r == 0 && !(text = rt_arena_printf(yaml->arena, "%s%s%s", text, *text ? "," : "", item->text)))
                        r = rt_fail_nomem(yaml->err);
        }
        *ret_text = text;
        return r;
}

static int read_value(const struct rt_yaml *yaml, const struct rt_yaml_node *node, const char *section,
                      struct rt_config *config, const char **ret_text) {
        const struct rt_option *option = rt_option_find(section, node->key->text);
        if (!option)
                return rt_yaml_fail(yaml, node->key, "unknown key '%s' in '%s'%s", node->key->text, section,
                                    near_words(yaml->arena, section, node->key->text));
        int r = node_text(yaml, node, option, ret_text);
        struct retort_error why = { 0 };
        if (r == 0 && rt_option_set(config, option, *ret_text, &why) < 0)
                r = rt_yaml_fail(yaml, node, "'%s' %s", option->key, why.message);
        return r;
}

static int read_section(const struct rt_yaml *yaml, const struct rt_yaml_node *map, struct rt_config *config) {
        int r = rt_yaml_expect(yaml, map, RT_YAML_MAP);
        const char *text;
        for (const struct rt_yaml_node *node = r < 0 ? NULL : map->first; r == 0 && node; node = node->next)
                r = read_value(yaml, node, map->key->text, config, &text);
        return r;
}

static int read_tenant(const struct rt_yaml *yaml, const struct rt_yaml_node *map, struct rt_config *config,
                       struct rt_config_tenant *ret) {
        int r = rt_yaml_expect(yaml, map, RT_YAML_MAP);
        if (r < 0)
                return r;
        const char **pairs = rt_arena_array(yaml->arena, map->n + 1, sizeof *pairs);
        if (!pairs)
                return rt_fail_nomem(yaml->err);
        struct rt_config scratch = *config; /* only to be told what is wrong */
        size_t n = 0;
        for (const struct rt_yaml_node *node = map->first; r == 0 && node; node = node->next) {
                const char *text = NULL;
                r = read_value(yaml, node, "quotas", &scratch, &text);
                if (r == 0 && !(pairs[n++] = rt_arena_printf(yaml->arena, "%s=%s", node->key->text, text)))
                        r = rt_fail_nomem(yaml->err);
        }
        *ret = (struct rt_config_tenant){ .name = map->key->text, .quotas = pairs };
        return r;
}

static int read_tenants(const struct rt_yaml *yaml, const struct rt_yaml_node *map, struct rt_config *config) {
        int r = rt_yaml_expect(yaml, map, RT_YAML_MAP);
        if (r == 0 && map->n > MAX_TENANTS)
                r = rt_yaml_fail(yaml, map, "more than %d tenants", MAX_TENANTS);
        if (r < 0)
                return r;
        config->tenants = rt_arena_array(yaml->arena, map->n + 1, sizeof *config->tenants);
        if (!config->tenants)
                return rt_fail_nomem(yaml->err);
        for (const struct rt_yaml_node *node = map->first; r == 0 && node; node = node->next) {
                if (!node->key->text[0] || strlen(node->key->text) > 100)
                        r = rt_yaml_fail(yaml, node->key, "a tenant's name has 1 to 100 bytes");
                else
                        r = read_tenant(yaml, node, config, &config->tenants[config->n_tenants++]);
        }
        return r;
}

/* A file of nothing but comments says: the defaults. */
static bool says_nothing(const char *text) {
        while (*text) {
                text += strspn(text, " \r\n\t");
                if (*text && *text != '#')
                        return false;
                text += strcspn(text, "\n");
        }
        return true;
}

static int read_text(const struct rt_yaml *yaml, const char *text, size_t size, struct rt_config *config) {
        const struct rt_yaml_node *root;
        if (strlen(text) == size && says_nothing(text))
                return 0;
        int r = rt_yaml_parse(yaml, text, size, &root);
        if (r == 0)
                r = rt_yaml_expect(yaml, root, RT_YAML_MAP);
        for (const struct rt_yaml_node *node = r < 0 ? NULL : root->first; r == 0 && node; node = node->next) {
                const char *name = node->key->text;
                if (strcmp(name, "tenants") == 0)
                        r = read_tenants(yaml, node, config);
                else if (rt_option_is_section(name))
                        r = read_section(yaml, node, config);
                else
                        r = rt_yaml_fail(yaml, node->key, "unknown key '%s'%s", name, near_words(yaml->arena, NULL, name));
        }
        return r;
}

static int read_file(struct rt_config *config, const char *file, struct retort_error *err) {
        rt_auto_free char *text = NULL;
        size_t size = 0;
        int r = rt_read_file_at(AT_FDCWD, file, MAX_FILE, &text, &size, err);
        if (r < 0)
                return rt_wrap(err, r, "configuration %s", file);
        struct rt_yaml yaml = { .file = file, .arena = config->arena, .err = err };
        return read_text(&yaml, text, size, config);
}

/* ---- environment and overrides ---- */

static void env_name(const struct rt_option *option, char *out, size_t room) {
        size_t n = 0;
        const char *parts[] = { "RETORT_", option->section, "_", option->key };
        for (size_t i = 0; i < RT_LEN(parts); i++)
                for (const char *p = parts[i]; *p && n + 1 < room; p++)
                        out[n++] = (char)toupper((unsigned char)*p);
        out[n] = 0;
}

static int read_environment(struct rt_config *config, struct retort_error *err) {
        for (size_t i = 0; i < rt_n_options; i++) {
                char name[96];
                env_name(&rt_options[i], name, sizeof name);
                const char *text = getenv(name);
                int r = text ? rt_option_set(config, &rt_options[i], text, err) : 0;
                if (r < 0)
                        return rt_wrap(err, r, "environment: %s", name);
        }
        return 0;
}

static int read_override(struct rt_config *config, const char *pair, struct retort_error *err) {
        const char *equals = strchr(pair, '=');
        const char *dot = equals ? memchr(pair, '.', (size_t)(equals - pair)) : NULL;
        if (!dot)
                return rt_fail(err, RETORT_E_INPUT, "'%s' is not of the form section.key=value", pair);
        const char *section = rt_arena_copy(config->arena, pair, (size_t)(dot - pair));
        const char *key = rt_arena_copy(config->arena, dot + 1, (size_t)(equals - dot - 1));
        if (!section || !key)
                return rt_fail_nomem(err);
        if (!rt_option_is_section(section))
                return rt_fail(err, RETORT_E_INPUT, "unknown section '%s'%s", section, near_words(config->arena, NULL, section));
        const struct rt_option *option = rt_option_find(section, key);
        if (!option)
                return rt_fail(err, RETORT_E_INPUT, "unknown key '%s' in '%s'%s", key, section,
                               near_words(config->arena, section, key));
        int r = rt_option_set(config, option, equals + 1, err);
        return r < 0 ? rt_wrap(err, r, "%s.%s", section, key) : 0;
}

/* ---- what belongs together ---- */

static bool is_loopback(const char *listen) {
        return strncmp(listen, "unix:", 5) == 0 || strncmp(listen, "127.", 4) == 0 || strncmp(listen, "[::1]:", 6) == 0 ||
               strncmp(listen, "localhost:", 10) == 0;
}

static int check_listen(const struct rt_config *config, struct retort_error *err) {
        for (const char *const *at = config->server_listen; *at; at++) {
                const char *colon = strrchr(*at, ':');
                if (strncmp(*at, "unix:", 5) == 0 ? (*at)[5] != '/' : !colon || colon == *at || !isdigit((unsigned char)colon[1]))
                        return rt_fail(err, RETORT_E_INPUT, "server.listen: '%s' is not host:port, [v6]:port or unix:/path", *at);
                if (!config->auth_required && !is_loopback(*at))
                        return rt_fail(err, RETORT_E_INPUT, "auth.required may only be false when every address is loopback "
                                       "or a unix socket, and server.listen has '%s'", *at);
        }
        return 0;
}

static int check_together(const struct rt_config *config, struct retort_error *err) {
        if (!*config->server_tls_certificate != !*config->server_tls_key)
                return rt_fail(err, RETORT_E_INPUT, "server.tls_certificate and server.tls_key belong together; %s is empty",
                               *config->server_tls_key ? "server.tls_certificate" : "server.tls_key");
        if (*config->auth_jwt_secret && strlen(config->auth_jwt_secret) < 32)
                return rt_fail(err, RETORT_E_INPUT, "auth.jwt_secret must have at least 32 bytes, not %zu",
                               strlen(config->auth_jwt_secret));
        if (*config->jobs_callback_secret && strlen(config->jobs_callback_secret) < 16)
                return rt_fail(err, RETORT_E_INPUT, "jobs.callback_secret must have at least 16 bytes, not %zu",
                               strlen(config->jobs_callback_secret));
        if (config->engine_slots > 128)
                return rt_fail(err, RETORT_E_INPUT, "engine.slots may be at most 128");
        if (config->server_threads < 1 || config->server_threads > 64)
                return rt_fail(err, RETORT_E_INPUT, "server.threads may be 1 to 64");
        if (config->contexts_max > 1024)
                return rt_fail(err, RETORT_E_INPUT, "contexts.max may be at most 1024");
        if (config->contexts_lifetime < 1 || config->contexts_lifetime > RETORT_CONTEXT_LIFETIME_MS)
                return rt_fail(err, RETORT_E_INPUT, "contexts.lifetime may be 1ms to 24h");
        if (config->contexts_idle < 1 || config->contexts_idle > config->contexts_lifetime)
                return rt_fail(err, RETORT_E_INPUT, "contexts.idle may be 1ms to contexts.lifetime");
        if (config->contexts_memory < 1 << 20)
                return rt_fail(err, RETORT_E_INPUT, "contexts.memory must be at least 1MiB");
        if (config->jobs_max_attempts < 1)
                return rt_fail(err, RETORT_E_INPUT, "jobs.max_attempts must be at least 1");
        if (config->quotas_requests_per_minute > 0 && config->quotas_burst < 1)
                return rt_fail(err, RETORT_E_INPUT, "quotas.burst must be at least 1 where requests_per_minute is set");
        return check_listen(config, err);
}

/* ---- all of it ---- */

static int set_defaults(struct rt_config *config, struct retort_error *err) {
        int r = 0;
        for (size_t i = 0; r == 0 && i < rt_n_options; i++)
                r = rt_option_set(config, &rt_options[i], rt_options[i].dflt, err);
        return r < 0 ? rt_wrap(err, RETORT_E_BUG, "a default of the configuration") : 0;
}

int rt_config_read(struct rt_config **ret_config, const char *file, const char *const *overrides, struct retort_error *err) {
        struct retort_error local = { 0 };
        if (!err)
                err = &local;
        struct rt_arena *arena = calloc(1, sizeof *arena);
        struct rt_config *config = arena ? rt_arena_new(arena, struct rt_config) : NULL;
        if (!config) {
                free(arena);
                return rt_fail_nomem(err);
        }
        config->arena = arena;
        int r = set_defaults(config, err);
        if (r == 0 && file)
                r = read_file(config, file, err);
        if (r == 0)
                r = read_environment(config, err);
        for (; r == 0 && overrides && *overrides; overrides++)
                r = read_override(config, *overrides, err);
        if (r == 0)
                r = check_together(config, err);
        if (r < 0) {
                rt_config_free(config);
                return r;
        }
        *ret_config = config;
        return 0;
}

void rt_config_free(struct rt_config *config) {
        if (!config)
                return;
        struct rt_arena *arena = config->arena;
        rt_arena_clear(arena);
        free(arena);
}
