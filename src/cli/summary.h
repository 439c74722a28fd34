/* SPDX-License-Identifier: Apache-2.0
 *
 * What an outcome is to a person at a terminal: an exit status, and a line or two of text.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "retort.h"

/* The command's exit status for each status of an outcome: the program's own (OWN), 128 + its signal (SIGNALLED),
 * or a number. 125 is only ever Retort's, see rt_exit_status. */
enum { RT_EXIT_OWN = -1, RT_EXIT_SIGNALLED = -2 };
#define RT_EXITS(X)                                                                                 \
        X(OK, RT_EXIT_OWN)                                                                          \
        X(NONZERO, RT_EXIT_OWN)                                                                     \
        X(SIGNAL, RT_EXIT_SIGNALLED)                                                                \
        X(CPU_LIMIT, 124)                                                                           \
        X(WALL_LIMIT, 124)                                                                          \
        X(MEMORY_LIMIT, 137)                                                                        \
        X(OUTPUT_LIMIT, 141)                                                                        \
        X(PROCESS_LIMIT, 123)                                                                       \
        X(FILE_LIMIT, 153)                                                                          \
        X(DENIED, 159)                                                                              \
        X(COMPILE_ERROR, 1)                                                                         \
        X(CANCELLED, 130)                                                                           \
        X(INTERNAL, 125)

/* A program that itself ends with 125 gives 1; its outcome still says 125. */
int rt_exit_status(const struct retort_outcome *outcome);

/* Appends what explains the status (a limit and how it was measured, a refused call, the first compiler error), if
 * anything does, and then the summary line. Every line begins with "retort: " and ends with a newline. */
void rt_summary(const struct retort_outcome *outcome, bool colour, struct rt_buf *out);
