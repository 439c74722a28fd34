/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "bench.h"

void bench_add(struct bench_samples *s, uint64_t value) {
        if (s->n == s->room) {
                size_t room = s->room ? 2 * s->room : 256;
                uint64_t *more = realloc(s->values, room * sizeof *more);
                if (!more)
                        abort();
                s->values = more;
                s->room = room;
        }
        s->values[s->n++] = value;
}

static int compare(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a;
        uint64_t y = *(const uint64_t *)b;
        return (x > y) - (x < y);
}

uint64_t bench_at(struct bench_samples *s, double part) {
        if (s->n == 0)
                return 0;
        qsort(s->values, s->n, sizeof *s->values, compare);
        return s->values[(size_t)(part * (double)(s->n - 1) + 0.5)];
}

void bench_forget(struct bench_samples *s) {
        free(s->values);
        *s = (struct bench_samples){ 0 };
}
