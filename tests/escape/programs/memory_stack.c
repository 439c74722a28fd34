// SPDX-License-Identifier: Apache-2.0
// Deep recursion ends at the stack's limit: a signal, and nothing else.
// expect: status=signal signal=11
// limits: wall=5s
#include <string.h>
static int down(int n) {
        volatile char room[4096];
        memset((char *)room, n, sizeof room);
        return down(n + 1) + room[n & 4095];
}
int main(void) {
        return down(1);
}
