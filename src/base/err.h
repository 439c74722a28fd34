/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors as values: a negative code, and one sentence in a struct the caller owns. Never allocates.
 * Outermost words come first, the root cause last: "opening box: cannot set memory.max: EACCES".
 */
#pragma once

#include "retort.h"

/* Fills *err (which may be NULL) and returns code. RETORT_E_SYSTEM is given errno's words by rt_fail_errno. */
int rt_fail(struct retort_error *err, int code, const char *format, ...)
        __attribute__((format(printf, 3, 4), cold));
/* As rt_fail with RETORT_E_SYSTEM (RETORT_E_NOMEM for ENOMEM); ": " and the words for errno are appended. */
int rt_fail_errno(struct retort_error *err, const char *format, ...)
        __attribute__((format(printf, 2, 3), cold));
/* Puts words and ": " before the sentence in *err; returns code, which must be negative. */
int rt_wrap(struct retort_error *err, int code, const char *format, ...)
        __attribute__((format(printf, 3, 4), cold));
/* RETORT_E_NOMEM, with its sentence. */
int rt_fail_nomem(struct retort_error *err) __attribute__((cold));
