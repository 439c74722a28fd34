// SPDX-License-Identifier: Apache-2.0
// Handles or ignores every signal it can, and resets its own timer limit.
// expect: status=cpu_limit limit=cpu_ms how=cpu
// limits: cpu=400ms wall=5s
#include <signal.h>
#include <sys/resource.h>
static void deaf(int n) {
        (void)n;
}
int main(void) {
        for (int n = 1; n < 65; n++)
                (void)signal(n, n % 2 ? SIG_IGN : deaf);
        (void)signal(SIGXCPU, deaf);
        (void)signal(SIGTERM, SIG_IGN);
        struct rlimit most;
        (void)getrlimit(RLIMIT_CPU, &most);
        most.rlim_cur = most.rlim_max;
        (void)setrlimit(RLIMIT_CPU, &most);
        for (;;)
                continue;
}
