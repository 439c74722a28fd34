/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

int main(int argc, char **argv) {
        (void)argc;
        return rt_cli_main(rt_cli_commands(), argv);
}
