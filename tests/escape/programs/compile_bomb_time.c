// SPDX-License-Identifier: Apache-2.0
// A compiler that never ends: an endless file.
// expect: status=cpu_limit step=compile limit=cpu_ms how=cpu
// words: --compile-limit cpu=1s --compile-limit memory=2G --compile-limit wall=20s
// within: 25
#include "/dev/urandom"
int main(void) {
        return 0;
}
