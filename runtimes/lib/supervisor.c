/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/supervisor.h"

int main(int argc, char **argv) {
        return rt_supervisor_main(argc, argv);
}
