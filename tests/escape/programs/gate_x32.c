// SPDX-License-Identifier: Apache-2.0
// The x32 gate: the same numbers with a bit more.
// expect: status=denied limit=syscall how="a call of another architecture"
// each: 0 1 165 512 520
// machine: x86_64
// never: survived
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv) {
        long result = syscall((argc > 1 ? atol(argv[1]) : 0) | 0x40000000, 0, 0, 0);
        printf("survived: %ld\n", result);
        return 0;
}
