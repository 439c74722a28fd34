/* SPDX-License-Identifier: Apache-2.0
 *
 * "Did you mean ...?": the name that a mistyped word is nearest to.
 */
#pragma once

#include <stddef.h>

/* Letters to insert, drop, change or swap with their neighbour, to make a into b; case counts for nothing. Words
 * over 63 bytes are as far apart as the longer one is long. */
size_t rt_distance(const char *a, const char *b);
/* The nearest of n names, or NULL when none is near enough to be what was meant. */
const char *rt_suggest(const char *word, const char *const *names, size_t n);
