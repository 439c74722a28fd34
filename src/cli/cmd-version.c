/* SPDX-License-Identifier: Apache-2.0
 *
 * "retort version".
 */
#include "cli/cli.h"
#include "cli/out.h"

static int version_main(struct rt_cli *cli, void *target, const struct rt_words *words) {
        (void)target, (void)words;
        static const char text[] = "retort " RETORT_VERSION "\n";
        return rt_out_write(cli->out, text, sizeof text - 1) < 0 ? RT_EXIT_OURS : 0;
}

const struct rt_cmd rt_cmd_version = {
        .name = "version",
        .args = "",
        .help = "print the version",
        .main = version_main,
};
