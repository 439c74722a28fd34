/* SPDX-License-Identifier: Apache-2.0
 *
 * Mean, deviation and quartiles of the numbers on standard input:
 * retort run examples/stats.c < examples/input/numbers.txt
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static int by_value(const void *a, const void *b) {
        double x = *(const double *)a;
        double y = *(const double *)b;
        return (x > y) - (x < y);
}

/* The value below which the part q of the sorted numbers lies, between neighbours in proportion. */
static double quantile(const double *sorted, size_t n, double q) {
        double at = q * (double)(n - 1);
        size_t below = (size_t)at;
        size_t above = below + 1 < n ? below + 1 : below;
        return sorted[below] + (at - (double)below) * (sorted[above] - sorted[below]);
}

int main(void) {
        double *numbers = NULL;
        size_t n = 0;
        size_t room = 0;
        for (double value; scanf("%lf", &value) == 1; numbers[n++] = value) {
                if (n < room)
                        continue;
                room = room ? 2 * room : 16;
                double *grown = realloc(numbers, room * sizeof *grown);
                if (!grown)
                        return perror("stats"), free(numbers), EXIT_FAILURE;
                numbers = grown;
        }
        if (n == 0)
                return fputs("no numbers\n", stderr), EXIT_FAILURE;
        double sum = 0;
        double squares = 0;
        for (size_t i = 0; i < n; i++)
                sum += numbers[i];
        for (size_t i = 0; i < n; i++)
                squares += pow(numbers[i] - sum / (double)n, 2);
        qsort(numbers, n, sizeof *numbers, by_value);
        printf("count     %zu\n", n);
        printf("mean      %.4f\n", sum / (double)n);
        printf("deviation %.4f\n", sqrt(squares / (double)n));
        for (int part = 0; part <= 4; part++)
                printf("%3d %%     %.2f\n", 25 * part, quantile(numbers, n, part / 4.0));
        free(numbers);
        return EXIT_SUCCESS;
}
