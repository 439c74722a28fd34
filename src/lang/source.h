/* SPDX-License-Identifier: Apache-2.0
 *
 * What a program's text says about itself: the name its file must have, and what is to be launched.
 */
#pragma once

#include "lang/runtime.h"

struct rt_source_names {
        const char *file; /* base name for the file that `code` becomes, without extension; NULL: nothing
                             demands one */
        const char *main; /* what to launch, with its package; NULL: unknown */
};

/* Looks for source.file, source.main and source.package in text. 0, or RETORT_E_NOMEM. */
int rt_source_names(const struct rt_runtime *runtime, struct retort_bytes text, struct rt_arena *arena,
                    struct rt_source_names *ret, struct retort_error *err);

/* Writes the outline of a program with C-like comments, literals and blocks to out (at least size bytes) and
 * returns its length: comments, literals and blanks become one space, what stands in parentheses goes, and a
 * block inside a block becomes ';'. `class A { void f(int x) { g(); } }` becomes `class A { void f() ; }`. */
size_t rt_source_outline(const char *text, size_t size, char *out);
