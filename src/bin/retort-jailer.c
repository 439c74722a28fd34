/* SPDX-License-Identifier: Apache-2.0 */
#include "box/jailer.h"

int main(int argc, char **argv) {
        return rt_jailer_main(argc, argv);
}
