/* SPDX-License-Identifier: Apache-2.0
 *
 * The shapes of the native records, for those that put one inside another.
 */
#pragma once

#include "model/codec.h"

extern const struct rt_shape rt_shape_limits;      /* struct retort_limits */
extern const struct rt_shape rt_shape_request;     /* struct retort_request */
extern const struct rt_shape rt_shape_item;        /* struct retort_item */
extern const struct rt_shape rt_shape_guest_error; /* struct retort_guest_error */
extern const struct rt_shape rt_shape_step;        /* struct retort_step */
extern const struct rt_shape rt_shape_outcome;     /* struct retort_outcome */
