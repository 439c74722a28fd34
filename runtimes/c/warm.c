/* SPDX-License-Identifier: Apache-2.0
 *
 * What the compiler is rehearsed with before it is frozen. What this makes it write to is copied for every fork, so it is
 * small: what larger programs need besides is copied when they do.
 */
#include <stdio.h>

static int sum(const int *numbers, int n) {
        int total = 0;
        for (int i = 0; i < n; i++)
                total += numbers[i];
        return total;
}

int main(int argc, char **argv) {
        int numbers[10];
        for (int i = 0; i < 10; i++)
                numbers[i] = i * argc;
        printf("%s %s %d\n", __FILE__, argv[0], sum(numbers, 10));
        return __BASE_FILE__[0] == '.';
}
