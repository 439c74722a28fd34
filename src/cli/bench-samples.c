/* SPDX-License-Identifier: Apache-2.0 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "cli/bench.h"

enum { BLANKS = 48 };

const char *const rt_bench_starts[RT_BENCH_STARTS] = { "parked", "fork", "pool", "live", "cold" };

size_t rt_bench_start(const char *name) {
        size_t i = 0;
        while (i + 1 < RT_BENCH_STARTS && (!name || strcmp(rt_bench_starts[i], name) != 0))
                i++;
        return i;
}

enum rt_bench_warmth rt_bench_warmth(const json_t *language) {
        const json_t *warm = json_object_get(language, "warm");
        return !warm ? RT_BENCH_NOT_TOLD : json_is_null(warm) ? RT_BENCH_NEVER_WARM : RT_BENCH_CAN_WARM;
}

void rt_samples_add(struct rt_samples *s, uint64_t value) {
        if (s->n == s->room) {
                size_t room = s->room ? 2 * s->room : 256;
                uint64_t *more = reallocarray(s->values, room, sizeof *more);
                if (!more)
                        return;
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

uint64_t rt_samples_at(struct rt_samples *s, double part) {
        if (s->n == 0)
                return 0;
        qsort(s->values, s->n, sizeof *s->values, compare);
        return s->values[(size_t)(part * (double)(s->n - 1) + 0.5)];
}

void rt_samples_move(struct rt_samples *to, struct rt_samples *from) {
        for (size_t i = 0; i < from->n; i++)
                rt_samples_add(to, from->values[i]);
        rt_samples_clear(from);
}

void rt_samples_clear(struct rt_samples *s) {
        free(s->values);
        *s = (struct rt_samples){ 0 };
}

void rt_bench_renew(const char *code, char *ret, size_t size) {
        static _Atomic uint64_t count;
        uint64_t bits = (rt_now_ns() << 8) + (atomic_fetch_add(&count, 1) & 255);
        size_t room = size - BLANKS - 1; /* of the program and a newline, with the NUL that snprintf wants */
        int n = snprintf(ret, room, "%s\n", code);
        size_t at = n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
        for (size_t i = 0; i < BLANKS; i++)
                ret[at++] = bits >> i & 1 ? '\n' : ' ';
        ret[at] = 0;
}
