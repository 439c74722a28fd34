/* SPDX-License-Identifier: Apache-2.0
 *
 * "retort doctor": which isolation mechanisms this host gives, and how to mend the ones it does not.
 */
#include <jansson.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "cli/cli.h"
#include "cli/out.h"
#include "cli/text.h"

struct doctor_opts {
        bool json;
        const char *isolation;
        const char *without;
};

static const struct rt_opt options[] = {
        { 'j', "json", NULL, "print it as JSON", RT_OPT_FLAG, offsetof(struct doctor_opts, json) },
        { 0, "isolation", "LEVEL", "fail when there is less isolation than this", RT_OPT_TEXT,
          offsetof(struct doctor_opts, isolation), .choices = RT_ISOLATION_CHOICES },
        { 0, "without", "NAMES", "do without these mechanisms", RT_OPT_TEXT,
          offsetof(struct doctor_opts, without) },
        { 0 },
};

static const char *text_of(const json_t *object, const char *key) {
        const char *text = json_string_value(json_object_get(object, key));
        return text ? text : "";
}

static void print_mechanisms(struct rt_cli *cli, const json_t *root, struct rt_buf *out) {
        struct rt_table table = { .columns = 3, .arena = &cli->arena };
        rt_table_row(&table, (const char *[]){ "MECHANISM", "STATE", "WHY" });
        size_t i;
        json_t *one;
        json_array_foreach(json_object_get(root, "mechanisms"), i, one)
                rt_table_row(&table, (const char *[]){ text_of(one, "name"), text_of(one, "state"),
                                                       text_of(one, "reason") });
        rt_table_print(&table, out);
}

static void print_mends(const json_t *root, struct rt_buf *out) {
        bool any = false;
        size_t i;
        json_t *one;
        json_array_foreach(json_object_get(root, "mechanisms"), i, one) {
                if (!text_of(one, "mend")[0] || strcmp(text_of(one, "state"), "active") == 0)
                        continue;
                (void)rt_buf_printf(out, "%s  %s: %s\n", any ? "" : "\nHow to mend it\n", text_of(one, "name"),
                                    text_of(one, "mend"));
                any = true;
        }
}

static int print_report(struct rt_cli *cli, const char *json, struct rt_buf *out) {
        json_t *root = json_loads(json, 0, NULL);
        (void)rt_buf_printf(out, "Isolation: %s\n\n", text_of(root, "level"));
        print_mechanisms(cli, root, out);
        print_mends(root, out);
        json_decref(root);
        return rt_out_flush(cli->out, out);
}

static int doctor_main(struct rt_cli *cli, void *target, const struct rt_words *words) {
        (void)words;
        const struct doctor_opts *o = target;
        struct retort_error err = { 0 };
        rt_auto_engine retort_engine *engine = NULL;
        rt_auto_free char *json = NULL;
        rt_auto_buf struct rt_buf out = RT_BUF(1 << 20);
        int r = rt_cli_open(o->isolation, o->without, false, &engine, &err);
        r = r < 0 ? r : retort_engine_isolation(engine, &json, &err);
        if (r < 0)
                return rt_cli_complain(cli, "%s", err.message);
        r = o->json ? rt_out_json(cli->out, json) : print_report(cli, json, &out);
        return r < 0 ? rt_cli_complain(cli, "cannot write to stdout") : 0;
}

const struct rt_cmd rt_cmd_doctor = {
        .name = "doctor",
        .args = "",
        .help = "tell what isolation this host gives, and how to mend what is missing",
        .opts = options,
        .target_size = sizeof(struct doctor_opts),
        .main = doctor_main,
};
