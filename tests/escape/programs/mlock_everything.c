// SPDX-License-Identifier: Apache-2.0
// Memory that cannot be taken back: it counts like any other.
// expect: status=memory_limit limit=memory_bytes how=memory
// limits: memory=48M wall=5s
#include <sys/mman.h>
int main(void) {
        for (;;) {
                char *p = mmap(0, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
                (void)mlock(p, 4 << 20); /* some of it */
                for (int i = 0; p != MAP_FAILED && i < 4 << 20; i += 4096)
                        p[i] = 1;
        }
}
