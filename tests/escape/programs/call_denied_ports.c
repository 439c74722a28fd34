// SPDX-License-Identifier: Apache-2.0
// The hardware's ports.
// expect: status=denied limit=syscall how={}
// each: iopl ioperm
// machine: x86_64
#include <string.h>
#include <sys/io.h>
int main(int argc, char **argv) {
        return argc > 1 && strcmp(argv[1], "iopl") == 0 ? iopl(3) : ioperm(0x80, 1, 1);
}
