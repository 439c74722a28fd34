/* SPDX-License-Identifier: Apache-2.0
 *
 * "retort config": check, show, document.
 */
#include <string.h>

#include "base/util.h"
#include "cli/out.h"
#include "server/server.h"

enum { TEXT_MAX = 1 << 20 };

static int print(struct rt_cli *cli, struct rt_buf *out) {
        return rt_out_flush(cli->out, out) < 0 ? rt_cli_complain(cli, "cannot write to stdout") : 0;
}

static int check(struct rt_cli *cli, const struct rt_config_opts *o, struct rt_buf *out) {
        const char *file = rt_settings_file(&o->settings, &cli->arena);
        (void)rt_buf_printf(out, "%s: good\n", file ? file : "no file, only defaults");
        return print(cli, out);
}

int rt_config_main(struct rt_cli *cli, void *target, const struct rt_words *words) {
        const struct rt_config_opts *o = target;
        const char *what = words->operands.items[0];
        rt_auto_buf struct rt_buf out = RT_BUF(TEXT_MAX);
        struct rt_config *config = NULL;
        struct retort_error err = { 0 };
        if (strcmp(what, "document") == 0)
                return rt_config_document(&out) < 0 ? rt_cli_complain(cli, "out of memory") : print(cli, &out);
        bool showing = strcmp(what, "show") == 0;
        if (!showing && strcmp(what, "check") != 0)
                return rt_cli_complain(cli, "config: \"%s\" is none of check, show, document", what);
        if (rt_settings_read(&o->settings, &cli->arena, &config, &err) < 0)
                return rt_cli_complain(cli, "%s", err.message);
        int r;
        if (!showing)
                r = check(cli, o, &out);
        else
                r = rt_config_show(config, o->with_secrets, &out) < 0 ? rt_cli_complain(cli, "out of memory") : print(cli, &out);
        rt_config_free(config);
        return r;
}
