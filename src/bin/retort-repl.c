/* SPDX-License-Identifier: Apache-2.0 */
#include "repl/repl.h"

int main(int argc, char **argv) {
        struct rt_cmd repl = rt_cmd_repl;
        repl.main = rt_repl_main;
        const struct rt_cmd *const cmds[] = { &repl, &rt_cmd_help, &rt_cmd_version, NULL };
        (void)argc;
        return rt_cli_main(cmds, argv);
}
