/* SPDX-License-Identifier: Apache-2.0
 *
 * "retort completion SHELL".
 */
#include <string.h>

#include "cli/cli.h"
#include "cli/completion.h"
#include "cli/out.h"

static int completion_main(struct rt_cli *cli, void *target, const struct rt_words *words) {
        (void)target;
        rt_auto_buf struct rt_buf out = RT_BUF(1 << 20);
        if (rt_completion(words->operands.items[0], cli->cmds, &out) < 0)
                return rt_cli_complain(cli, "unknown shell \"%s\"; known are bash, zsh and fish",
                                       words->operands.items[0]);
        return rt_out_flush(cli->out, &out) < 0 ? RT_EXIT_OURS : 0;
}

const struct rt_cmd rt_cmd_completion = {
        .name = "completion",
        .args = "bash|zsh|fish",
        .help = "print the completion script of a shell",
        .text = "To use it in bash: eval \"$(retort completion bash)\". In zsh: put the output in a file _retort in a "
                "directory of $fpath. In fish: retort completion fish | source.",
        .min_operands = 1,
        .max_operands = 1,
        .main = completion_main,
};
