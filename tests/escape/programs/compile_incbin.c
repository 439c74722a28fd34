// SPDX-License-Identifier: Apache-2.0
// The assembler can put any file into the program: it finds none.
// expect: status=compile_error step=compile exit=1
// says: shadow
__asm__(".data\n.globl stolen\nstolen: .incbin \"/etc/shadow\"\n.byte 0\n");
extern char stolen[];
int puts(const char *);
int main(void) {
        return puts(stolen);
}
