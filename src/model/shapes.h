/* SPDX-License-Identifier: Apache-2.0
 *
 * The shapes of the native records, for those that put one inside another. Keys are written in the order of
 * the tables in request.c, outcome.c and event.c, which is the one documentation of that order. What these
 * tables settle where ARCHITECTURE.md ("The record on the wire") leaves it open:
 *  - request: code, too, may have code_encoding; "options" may be there but must be empty.
 *  - outcome: exit_code and signal are always there, as -1 and 0 when there is none; id, language, version,
 *    limit, error, execution_count, start, isolation.level, message and usage.measured are left out instead.
 *  - event: stdout and stderr have "text", or "base64" when the chunk is not UTF-8; started, stdout and
 *    stderr name their step in "step_name", since "step" is the whole record of one that ended.
 *  - null is never written and never read; whatever is not known is refused.
 */
#pragma once

#include "model/codec.h"

extern const struct rt_shape rt_shape_limits;      /* struct retort_limits */
extern const struct rt_shape rt_shape_file;        /* struct retort_file */
extern const struct rt_shape rt_shape_request;     /* struct retort_request */
extern const struct rt_shape rt_shape_item;        /* struct retort_item */
extern const struct rt_shape rt_shape_guest_error; /* struct retort_guest_error */
extern const struct rt_shape rt_shape_step;        /* struct retort_step */
extern const struct rt_shape rt_shape_outcome;     /* struct retort_outcome */
