/* SPDX-License-Identifier: Apache-2.0
 *
 * What a process that waited for its program does with it, whether it is a fork or was started ahead.
 */
#pragma once

#include "box/plan.h"

/* A descriptor of the plan's strings as the warm-up script reads them: a decimal count of arguments, the arguments, the
 * environment, each with its NUL. -1: cannot. */
int rt_program_tell(const struct rt_plan *plan);

/* The C library's environment becomes the program's. Never freed: it is the process's own from now on. 0 or -1. */
int rt_program_adopt_environment(const struct rt_plan *plan);
