/* SPDX-License-Identifier: Apache-2.0
 *
 * What foreign views of an outcome have in common: one stdout and one stderr for the whole run, the compiler's
 * first, and one sentence for what ended it.
 */
#pragma once

#include "base/arena.h"
#include "retort.h"

/* The step that compiled, or NULL. */
const struct retort_step *rt_view_compile_step(const struct retort_outcome *outcome);
/* Fills in the pieces that are not empty, the compile step's first, and returns how many there are. */
size_t rt_view_stdout(const struct retort_outcome *outcome, struct retort_bytes ret_pieces[2]);
size_t rt_view_stderr(const struct retort_outcome *outcome, struct retort_bytes ret_pieces[2]);
/* The pieces as one text; NUL characters become U+FFFD, so that the text ends where its NUL is. NULL: no memory. */
const char *rt_view_text(const struct retort_bytes *pieces, size_t n, struct rt_arena *arena);
/* The pieces as one. .data is NULL: no memory. */
struct retort_bytes rt_view_join(const struct retort_bytes *pieces, size_t n, struct rt_arena *arena);
/* What ended the run: "ran longer than wall_ms (1000)". NULL: no memory. */
const char *rt_view_reason(const struct retort_outcome *outcome, struct rt_arena *arena);
