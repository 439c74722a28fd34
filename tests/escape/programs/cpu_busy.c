// SPDX-License-Identifier: Apache-2.0
// expect: status=cpu_limit limit=cpu_ms how=cpu
// limits: cpu=300ms wall=5s
int main(void) {
        for (volatile unsigned long n = 0;; n++)
                continue;
}
