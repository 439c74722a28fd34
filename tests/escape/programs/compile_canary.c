// SPDX-License-Identifier: Apache-2.0
// The same with names made by the preprocessor, every place the host keeps its secrets.
// expect: status=ok exit=0
// says: nothing
#include <stdio.h>
#if __has_include("/etc/shadow") || __has_include("/root/.bashrc") || \
        __has_include("/root/.profile") || __has_include("/sys/kernel/notes") || __has_include("/proc/version")
#define FOUND "open: a file of the host\n"
#else
#define FOUND "nothing\n"
#endif
int main(void) {
        printf(FOUND);
        return 0;
}
