/* SPDX-License-Identifier: Apache-2.0
 *
 * "retort man": the manual page, made from the tables of the commands, limits and statuses.
 */
#include "cli/cli.h"
#include "cli/man.h"
#include "cli/out.h"

static int man_main(struct rt_cli *cli, void *target, const struct rt_words *words) {
        (void)target, (void)words;
        rt_auto_buf struct rt_buf out = RT_BUF(1 << 20);
        rt_man(cli->cmds, &out);
        return rt_out_flush(cli->out, &out) < 0 ? RT_EXIT_OURS : 0;
}

const struct rt_cmd rt_cmd_man = {
        .name = "man",
        .args = "",
        .help = "print the manual page (retort man | man -l -)",
        .main = man_main,
};
