// SPDX-License-Identifier: Apache-2.0
// Shared memory that outlives its process, never marked for removal.
// expect: status=memory_limit limit=memory_bytes how=memory
// limits: memory=64M wall=5s
#include <string.h>
#include <sys/shm.h>
int main(void) {
        for (;;) {
                int id = shmget(IPC_PRIVATE, 8 << 20, IPC_CREAT | 0600);
                char *p = shmat(id, 0, 0);
                if (p != (char *)-1)
                        memset(p, 1, 8 << 20);
        }
}
