// SPDX-License-Identifier: Apache-2.0
// Every process forks for ever, also after it was refused.
// expect: status=process_limit limit=processes how=pids
// limits: processes=64 wall=5s cpu=10s
#include <unistd.h>
int main(void) {
        for (;;)
                (void)!fork();
}
