/* SPDX-License-Identifier: Apache-2.0
 *
 * What plan.c and warm.c have of each other.
 */
#pragma once

#include "lang/runtime.h"

/* Sets fork_argv of the steps that forks can do. Once the steps are planned. */
int rt_warm_plan(struct rt_filling *filling, const struct retort_limits *ceilings, struct rt_lang_plan *plan);
/* lang/plan.c: a step's argv and environment. */
int rt_plan_command(struct rt_filling *filling, const struct rt_step_def *def, struct rt_lang_step *step);
