/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/cli.h"

enum retort_isolation rt_cli_isolation(const char *name) {
        return strcmp(name, "strong") == 0    ? RETORT_ISOLATION_STRONG
               : strcmp(name, "reduced") == 0 ? RETORT_ISOLATION_REDUCED
                                              : RETORT_ISOLATION_MINIMAL;
}

int rt_cli_open(const char *isolation, const char *without, bool warm, retort_engine **ret_engine,
                struct retort_error *err) {
        struct retort_config config = {
                .slots = 1,
                .no_warm = !warm, /* one run: a box made ahead would not be made sooner */
                .no_cache = true, /* nor would anybody ask for what it compiled */
                .disable = without,
        };
        if (isolation)
                config.minimum = rt_cli_isolation(isolation);
        return retort_engine_open(ret_engine, &config, err);
}
