// SPDX-License-Identifier: Apache-2.0
// The stack's soft limit may be raised; then the memory limit ends it.
// expect: status=memory_limit limit=memory_bytes how=memory
// limits: memory=64M wall=5s
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
static int down(int n) {
        volatile char room[4096];
        memset((char *)room, n, sizeof room);
        return down(n + 1) + room[n & 4095];
}
int main(int argc, char **argv) {
        struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
        if (argc == 1 && setrlimit(RLIMIT_STACK, &all) == 0)
                execl("/proc/self/exe", argv[0], "again", (char *)0);
        return down(1);
}
