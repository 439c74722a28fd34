// SPDX-License-Identifier: Apache-2.0
// No process is large; together they are. The kernel must not pick the box's first process instead.
// expect: status=memory_limit limit=memory_bytes how=memory
// limits: memory=64M wall=8s processes=2000
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(void) {
        for (;;)
                if (fork() == 0) {
                        char *p = malloc(512 << 10);
                        memset(p, 1, 512 << 10);
                        pause();
                }
}
