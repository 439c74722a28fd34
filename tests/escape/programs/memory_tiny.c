// SPDX-License-Identifier: Apache-2.0
// The smallest memory there is: not even the loader has room. Still the guest's limit, not the host's failure.
// expect: status=memory_limit limit=memory_bytes how=memory
// limits: memory=1M wall=5s
#include <string.h>
static char room[16 << 20];
int main(void) {
        memset(room, 1, sizeof room);
        return room[4096];
}
