// SPDX-License-Identifier: Apache-2.0
// The 32-bit gate has other numbers: 20 there is getpid, here it is writev. Whatever comes through it is denied.
// expect: status=denied limit=syscall how="a call of another architecture"
// machine: x86_64
// never: survived
#include <stdio.h>
int main(void) {
        long result = 20;
        __asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
        printf("survived: %ld\n", result);
        return 0;
}
