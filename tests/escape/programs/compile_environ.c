// SPDX-License-Identifier: Apache-2.0
// The compiler's own memory, arguments and environment as bytes of the program, by way of the assembler, which reads of what
// the kernel says has no size: nothing of the host's is among them.
// expect: status=ok exit=0
// says: read
#include <stdio.h>
#include "/proc/self/cmdline"
#include "/proc/self/environ"
#include "/proc/self/maps"
__asm__(".data\n.globl of_as\nof_as: .incbin \"/proc/self/environ\"\n.incbin \"/proc/self/cmdline\"\n"
        ".incbin \"/proc/self/mountinfo\"\n.byte 0\n");
extern char of_as[];
int main(void) {
        for (char *p = of_as; *p || p[1]; p++)
                putchar(*p ? *p : '\n');
        puts("\nread");
        return 0;
}
