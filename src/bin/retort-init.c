/* SPDX-License-Identifier: Apache-2.0 */
#include "box/init.h"

int main(void) {
        return rt_init_main();
}
