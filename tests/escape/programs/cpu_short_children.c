// SPDX-License-Identifier: Apache-2.0
// Children too short to be seen by looking: only a counter of the whole box sums them up.
// expect: status=cpu_limit limit=cpu_ms how=cpu
// limits: cpu=300ms wall=8s
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
        for (;;) {
                if (vfork() == 0)
                        _exit(0);
                (void)wait(0);
        }
}
