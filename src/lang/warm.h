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
/* lang/plan.c: puts directories (of the box, between colons) in front of what that variable of the step holds. */
int rt_plan_packages(const struct rt_filling *filling, const char *variable, const char *packages, struct rt_lang_step *step);
/* For runtime.yaml: whether its keys fit together; "fork" or "pool" (the target is a bool). */
int rt_warm_check(const struct rt_yaml *yaml, const struct rt_runtime *runtime, const struct rt_warm_def *warm);
int rt_warm_read_start(const struct rt_yaml *yaml, const struct rt_yaml_node *node, const struct rt_yaml_key *key, void *target);
