/* SPDX-License-Identifier: Apache-2.0
 *
 * Is a request sound? Everything that can be wrong with one is found here, before anything is started.
 */
#pragma once

#include "lang/runtime.h"

/* Checks everything but the limits. RETORT_E_INPUT names the field. */
int rt_request_check(const struct rt_runtime *runtime, const struct retort_request *request,
                     struct retort_error *err);

/* Checks env alone. */
int rt_request_check_env(const struct retort_request *request, struct retort_error *err);

/* Resolves a step's limits: the request's, else the step's own, else the default. What was asked for may not
 * be outside floor and ceiling; what was not is brought below the ceiling. prefix names the field: "limits".
 */
int rt_request_limits(const char *prefix, const struct retort_limits *asked, const struct retort_limits *own,
                      const struct retort_limits *ceilings, struct retort_limits *ret_limits,
                      struct retort_error *err);
