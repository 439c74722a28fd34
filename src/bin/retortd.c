/* SPDX-License-Identifier: Apache-2.0 */
#include "server/server.h"

int main(int argc, char **argv) {
        (void)argc;
        return rt_server_main(argv);
}
