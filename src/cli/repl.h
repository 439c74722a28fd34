/* SPDX-License-Identifier: Apache-2.0
 *
 * "retort repl": its table is in cmd-repl.c, what it does in src/repl, in a program of its own.
 */
#pragma once

#include "cli/cli.h"

struct rt_repl_opts {
        struct rt_list env;
        struct rt_list limits;
        const char *cwd;
        const char *packages;
        const char *images;
        const char *save;
        const char *isolation;
};
