// SPDX-License-Identifier: Apache-2.0
// Descriptor 3 is not an output; filling it for ever uses up the guest's own time and nothing else.
// expect: status=cpu_limit limit=cpu_ms how=cpu
// limits: cpu=500ms wall=10s
#include <unistd.h>
int main(void) {
        static char block[65536];
        for (;;)
                (void)!write(3, block, sizeof block);
}
