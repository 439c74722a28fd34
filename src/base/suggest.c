/* SPDX-License-Identifier: Apache-2.0 */
#include "base/suggest.h"

#include <ctype.h>
#include <string.h>

enum { LONGEST = 63 };

static size_t least(size_t a, size_t b, size_t c) {
        size_t ab = a < b ? a : b;
        return ab < c ? ab : c;
}

size_t rt_distance(const char *a, const char *b) {
        size_t n = strlen(a);
        size_t m = strlen(b);
        if (n > LONGEST || m > LONGEST)
                return n > m ? n : m;
        size_t rows[3][LONGEST + 1]; /* two letters back, one back, this one */
        for (size_t j = 0; j <= m; j++)
                rows[1][j] = j;
        memcpy(rows[0], rows[1], sizeof rows[0]);
        for (size_t i = 1; i <= n; i++) {
                rows[2][0] = i;
                for (size_t j = 1; j <= m; j++) {
                        int x = tolower((unsigned char)a[i - 1]);
                        int y = tolower((unsigned char)b[j - 1]);
                        size_t d = least(rows[1][j] + 1, rows[2][j - 1] + 1, rows[1][j - 1] + (x != y));
                        if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
                            y == tolower((unsigned char)a[i - 2]))
                                d = least(d, rows[0][j - 2] + 1, d);
                        rows[2][j] = d;
                }
                memcpy(rows[0], rows[1], sizeof rows[0]);
                memcpy(rows[1], rows[2], sizeof rows[1]);
        }
        return rows[1][m];
}

const char *rt_suggest(const char *word, const char *const *names, size_t n) {
        const char *best = NULL;
        size_t best_distance = strlen(word) / 3 + 1; /* one slip in short words, one in three letters in long ones */
        for (size_t i = 0; i < n; i++) {
                size_t d = rt_distance(word, names[i]);
                if (d > best_distance || d >= strlen(names[i]) || (best && d == best_distance))
                        continue;
                best = names[i];
                best_distance = d;
        }
        return best;
}
