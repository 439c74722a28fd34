// SPDX-License-Identifier: Apache-2.0
// A new namespace by clone, with each flag.
// expect: status=denied limit=syscall how=clone
// each: 0x10000000 0x00020000 0x40000000 0x20000000 0x08000000 0x04000000 0x02000000
// limits: wall=5s
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
        unsigned long flags = argc > 1 ? strtoul(argv[1], 0, 16) : 0;
        return syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0) >= 0 ? 0 : 1;
}
