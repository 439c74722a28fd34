/* SPDX-License-Identifier: Apache-2.0
 *
 * Interpreters that are started before they have a program: to be frozen, or ahead in a box.
 */
#pragma once

#include "box/pooled.h"

struct rt_ahead {
        int plan;
};

/* A plan of argv and env, with the n_first variables before; the first of these is LD_PRELOAD with the library, which comes
 * last: what else the runtime preloads may take a call before it, and passes on to it what it does not. A descriptor, or an error. */
int rt_warm_up_plan(const char *const *argv, const char *const *env, const char *const *first, size_t n_first,
                    struct retort_error *err);

/* The end of what one wrote to its stderr (a file; -1: nothing), on one line. */
void rt_warm_up_words(int words, char text[256]);
