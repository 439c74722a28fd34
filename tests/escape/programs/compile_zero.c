// SPDX-License-Identifier: Apache-2.0
// An endless file of zeros.
// expect: status=memory_limit step=compile limit=memory_bytes how=memory
// words: --compile-limit memory=128M --compile-limit wall=20s
// within: 25
#include "/dev/zero"
int main(void) {
        return 0;
}
