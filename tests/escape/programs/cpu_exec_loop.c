// SPDX-License-Identifier: Apache-2.0
// A new program every moment: what was used before still counts.
// expect: status=cpu_limit limit=cpu_ms how=cpu
// limits: cpu=300ms wall=5s
#include <unistd.h>
int main(int argc, char **argv) {
        (void)argc;
        execv("/proc/self/exe", argv);
        return 1;
}
