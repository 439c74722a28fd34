/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "cli/cli.h"
#include "cli/server.h"

const struct rt_cmd *const *rt_cli_commands(void) {
        static const struct rt_cmd *const all[] = {
                &rt_cmd_run, &rt_cmd_repl, &rt_cmd_batch, &rt_cmd_languages, &rt_cmd_doctor, &rt_cmd_bench, &rt_cmd_serve, &rt_cmd_keys, &rt_cmd_config,
                &rt_cmd_top, &rt_cmd_help, &rt_cmd_completion, &rt_cmd_man, &rt_cmd_version, NULL,
        };
        return all;
}
