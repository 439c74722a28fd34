/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration for people: as YAML that reads back to itself, and as a page of the documentation.
 */
#include <ctype.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/util.h"
#include "service/config-table.h"

static const char *const sections[][2] = {
        { "server", "Where it listens, and how long it waits for its clients." },
        { "auth", "Who may ask." },
        { "isolation", "How well guests must be locked in." },
        { "engine", "What runs them." },
        { "cache", "Compiled programs, kept in memory for the next request that is the same in every byte." },
        { "limits", "Ceilings of what one request may ask for." },
        { "contexts", "Interpreters that keep their state between cells." },
        { "queue", "How much may wait." },
        { "jobs", "Requests that are kept until their outcome is fetched." },
        { "quotas", "What one tenant may have, unless `tenants` says otherwise." },
        { "store", "What outlives the process." },
        { "runtime_face", "The API that Runtime's own front end speaks." },
        { "agentbay_face", "The API that AgentBay's SDKs speak." },
        { "log", "JSON lines on stderr." },
        { "metrics", "Prometheus." },
};

/* In double quotes where YAML could take it for something else. */
static void add_scalar(struct rt_buf *out, const char *text) {
        bool plain = *text && strcmp(text, "null") != 0;
        for (const char *p = text; plain && *p; p++)
                plain = isalnum((unsigned char)*p) || (strchr("._/-", *p) && p > text);
        if (plain) {
                (void)rt_buf_printf(out, "%s", text);
                return;
        }
        (void)rt_buf_add(out, "\"", 1);
        for (const char *p = text; *p; p++) {
                if ((unsigned char)*p < 0x20)
                        (void)rt_buf_printf(out, "\\x%02x", (unsigned char)*p);
                else
                        (void)rt_buf_printf(out, "%s%c", *p == '"' || *p == '\\' ? "\\" : "", *p);
        }
        (void)rt_buf_add(out, "\"", 1);
}

static void add_list(struct rt_buf *out, const char *const *list) {
        (void)rt_buf_add(out, "[", 1);
        for (const char *const *at = list; *at; at++) {
                (void)rt_buf_printf(out, "%s", at == list ? "" : ", ");
                add_scalar(out, *at);
        }
        (void)rt_buf_add(out, "]", 1);
}

static void add_option(struct rt_buf *out, const struct rt_config *config, const struct rt_option *option,
                       bool with_secrets, struct rt_arena *arena) {
        const char *text = rt_option_show(config, option, arena);
        (void)rt_buf_printf(out, "  # %s\n  %s: ", option->text, option->key);
        if (option->type == RT_OPTION_LIST)
                add_list(out, *(const char *const *const *)((const char *)config + option->offset));
        else if (rt_option_is_secret(option) && !with_secrets && text && *text)
                add_scalar(out, "********");
        else if (text && (option->type == RT_OPTION_BOOL || option->type == RT_OPTION_COUNT))
                (void)rt_buf_printf(out, "%s", text);
        else
                add_scalar(out, text ? text : "");
        (void)rt_buf_add(out, "\n", 1);
}

static void add_tenants(struct rt_buf *out, const struct rt_config *config) {
        if (config->n_tenants > 0)
                (void)rt_buf_printf(out, "tenants:\n");
        for (size_t i = 0; i < config->n_tenants; i++) {
                (void)rt_buf_printf(out, "  ");
                add_scalar(out, config->tenants[i].name);
                (void)rt_buf_printf(out, ":%s\n", config->tenants[i].quotas[0] ? "" : " {}");
                for (const char *const *pair = config->tenants[i].quotas; *pair; pair++) {
                        size_t key = strcspn(*pair, "=");
                        (void)rt_buf_printf(out, "    %.*s: %s\n", (int)key, *pair, *pair + key + 1);
                }
        }
}

int rt_config_show(const struct rt_config *config, bool with_secrets, struct rt_buf *out) {
        rt_auto_arena struct rt_arena arena = { 0 };
        for (size_t s = 0; s < RT_LEN(sections); s++) {
                (void)rt_buf_printf(out, "%s# %s\n%s:\n", s ? "\n" : "", sections[s][1], sections[s][0]);
                for (size_t i = 0; i < rt_n_options; i++)
                        if (strcmp(rt_options[i].section, sections[s][0]) == 0)
                                add_option(out, config, &rt_options[i], with_secrets, &arena);
        }
        add_tenants(out, config);
        return out->size < out->cap ? 0 : RETORT_E_NOMEM; /* a full buffer has lost something */
}

int rt_config_document(struct rt_buf *out) {
        static const char *const types[] = { "text", "list", "true or false", "number", "time", "size" };
        (void)rt_buf_printf(out,
                "<!-- SPDX-License-Identifier: Apache-2.0; written by `retort config document`, do not edit -->\n"
                "# Configuration of the server\n\n"
                "One YAML file; over it the environment (`RETORT_<SECTION>_<KEY>`, as in `RETORT_SERVER_LISTEN`), and over "
                "both flags (`section.key=value`). Unknown keys are refused with file, line and column. Times have a unit: "
                "`500ms`, `10s`, `5m`, `2h`. Sizes may: `65536`, `64KiB`, `16MiB`, `1GiB`, `10MB`. Lists are YAML lists in "
                "the file and comma-separated elsewhere.\n");
        for (size_t s = 0; s < RT_LEN(sections); s++) {
                (void)rt_buf_printf(out, "\n## `%s`\n\n%s\n\n| key | type | default | what it is |\n|---|---|---|---|\n",
                                    sections[s][0], sections[s][1]);
                for (size_t i = 0; i < rt_n_options; i++) {
                        const struct rt_option *o = &rt_options[i];
                        if (strcmp(o->section, sections[s][0]) == 0)
                                (void)rt_buf_printf(out, "| `%s` | %s | %s%s%s | %s |\n", o->key,
                                                    rt_option_choices(o) ? rt_option_choices(o) : types[o->type],
                                                    *o->dflt ? "`" : "", *o->dflt ? o->dflt : "none", *o->dflt ? "`" : "", o->text);
                }
        }
        (void)rt_buf_printf(out, "\n## `tenants`\n\nTenants with quotas of their own, by name; each holds keys of `quotas`:\n\n"
                                 "```yaml\ntenants:\n  acme:\n    running: 4\n    memory: 2GiB\n```\n");
        return out->size < out->cap ? 0 : RETORT_E_NOMEM; /* a full buffer has lost something */
}
