// SPDX-License-Identifier: Apache-2.0
// Shared anonymous memory belongs to no process in particular.
// expect: status=memory_limit limit=memory_bytes how=memory
// limits: memory=64M wall=5s
#include <string.h>
#include <sys/mman.h>
int main(void) {
        for (;;) {
                char *p = mmap(0, 8 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
                if (p != MAP_FAILED)
                        memset(p, 1, 8 << 20);
        }
}
