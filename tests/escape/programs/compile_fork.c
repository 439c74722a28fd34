// SPDX-License-Identifier: Apache-2.0
// A compiler may be a fork, of a process that others are forks of, too. Whether a source can still name something of that
// one, of its slot's zygote, or of the socket it waited at.
// expect: status=ok exit=0
// says: nothing
#include <stdio.h>
#if __has_include("/retort/park") || __has_include("/retort/go") || __has_include("/retort/main") || \
        __has_include("/proc/self/fd/20") || __has_include("/proc/self/fd/21") || __has_include("/proc/self/fd/22") || \
        __has_include("/proc/self/fd/9") || __has_include("/proc/self/cwd/../etc/shadow") || \
        __has_include("/proc/self/root/etc/shadow")
#define FOUND "open: something of the frozen compiler\n"
#else
#define FOUND "nothing\n"
#endif
int main(void) {
        fputs(FOUND, stdout);
        return 0;
}
