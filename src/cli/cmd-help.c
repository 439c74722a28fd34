/* SPDX-License-Identifier: Apache-2.0
 *
 * "retort help [COMMAND]".
 */
#include "cli/cli.h"
#include "cli/out.h"
#include "cli/text.h"

static int help_main(struct rt_cli *cli, void *target, const struct rt_words *words) {
        (void)target;
        rt_auto_buf struct rt_buf out = RT_BUF(1 << 20);
        if (!words->operands.n) {
                rt_help_all(cli->cmds, &out);
                return rt_out_flush(cli->out, &out) < 0 ? RT_EXIT_OURS : 0;
        }
        const struct rt_cmd *cmd = rt_cli_find(cli->cmds, words->operands.items[0]);
        if (!cmd)
                return rt_cli_complain(cli, "unknown command \"%s\"; retort help lists them",
                                       words->operands.items[0]);
        rt_help_command(cmd, &out);
        return rt_out_flush(cli->out, &out) < 0 ? RT_EXIT_OURS : 0;
}

const struct rt_cmd rt_cmd_help = {
        .name = "help",
        .args = "[COMMAND]",
        .help = "explain a command",
        .max_operands = 1,
        .main = help_main,
};
