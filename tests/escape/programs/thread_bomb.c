// SPDX-License-Identifier: Apache-2.0
// expect: status=process_limit limit=processes how=pids
// limits: processes=100 wall=5s
// words: --compile-arg=-pthread
#include <pthread.h>
#include <unistd.h>
static void *idle(void *x) {
        pause();
        return x;
}
int main(void) {
        for (;;) {
                pthread_t t;
                (void)pthread_create(&t, 0, idle, 0);
        }
}
