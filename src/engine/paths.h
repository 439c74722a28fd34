/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the runtimes and the two helper programs are: as configured, else as the environment says, else beside the
 * build, else as installed.
 */
#pragma once

#include "retort.h"

struct rt_paths {
        char runtimes[1024];
        char jailer[1024];
        char init[1024];
        char forkserver[1024]; /* "": not there */
        char scratch[1024];
};

/* Everything absolute. What is not there is RETORT_E_INPUT and says what to set. */
int rt_paths_find(struct rt_paths *ret_paths, const struct retort_config *config, struct retort_error *err);
