// SPDX-License-Identifier: Apache-2.0
// expect: status=memory_limit limit=memory_bytes how=memory
// limits: memory=64M wall=5s
#include <stdlib.h>
#include <string.h>
int main(void) {
        for (;;) {
                char *p = malloc(1 << 20);
                if (p)
                        memset(p, 1, 1 << 20);
        }
}
