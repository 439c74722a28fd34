/* SPDX-License-Identifier: Apache-2.0
 *
 * "retort languages": the runtimes and whether their toolchains are here, from the engine's JSON.
 */
#include <jansson.h>

#include "base/err.h"
#include "base/util.h"
#include "cli/cli.h"
#include "cli/out.h"
#include "cli/text.h"

struct languages_opts {
        bool json;
};

static const struct rt_opt options[] = {
        { 'j', "json", NULL, "print them as JSON", RT_OPT_FLAG, offsetof(struct languages_opts, json) },
        { 0 },
};

static const char *text_of(const json_t *object, const char *key) {
        const char *text = json_string_value(json_object_get(object, key));
        return text ? text : "";
}

static const char *aliases_of(const json_t *language, struct rt_arena *arena) {
        const char *text = "";
        size_t i;
        json_t *alias;
        json_array_foreach(json_object_get(language, "aliases"), i, alias) {
                const char *longer = rt_arena_printf(arena, "%s%s%s", text, i ? ", " : "",
                                                     json_is_string(alias) ? json_string_value(alias) : "");
                text = longer ? longer : text;
        }
        return text;
}

static int print_table(struct rt_cli *cli, const char *json, struct rt_buf *out) {
        json_t *all = json_loads(json, 0, NULL);
        struct rt_table table = { .columns = 4, .arena = &cli->arena };
        rt_table_row(&table, (const char *[]){ "NAME", "VERSION", "ALSO CALLED", "TOOLCHAIN" });
        size_t i;
        json_t *one;
        json_array_foreach(all, i, one) {
                bool here = json_is_true(json_object_get(one, "installed"));
                const char *status = json_is_false(json_object_get(one, "programs")) ? "installed; for contexts only" : "installed";
                const char *how = rt_arena_printf(&cli->arena, "missing: %s", text_of(one, "install"));
                rt_table_row(&table, (const char *[]){ text_of(one, "name"), here ? text_of(one, "version") : "-",
                                                       aliases_of(one, &cli->arena),
                                                       here ? status : how ? how : "missing" });
        }
        rt_table_print(&table, out);
        json_decref(all);
        return rt_out_flush(cli->out, out);
}

static int languages_main(struct rt_cli *cli, void *target, const struct rt_words *words) {
        (void)words;
        const struct languages_opts *o = target;
        struct retort_error err = { 0 };
        rt_auto_engine retort_engine *engine = NULL;
        rt_auto_free char *json = NULL;
        rt_auto_buf struct rt_buf out = RT_BUF(1 << 20);
        int r = rt_cli_open(NULL, NULL, false, &engine, &err);
        r = r < 0 ? r : retort_engine_languages(engine, &json, &err);
        if (r < 0)
                return rt_cli_complain(cli, "%s", err.message);
        r = o->json ? rt_out_json(cli->out, json) : print_table(cli, json, &out);
        return r < 0 ? rt_cli_complain(cli, "cannot write to stdout") : 0;
}

const struct rt_cmd rt_cmd_languages = {
        .name = "languages",
        .args = "",
        .help = "list the languages, and how to get what is missing",
        .opts = options,
        .target_size = sizeof(struct languages_opts),
        .main = languages_main,
};
