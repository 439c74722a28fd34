/* SPDX-License-Identifier: Apache-2.0
 *
 * What passes the check of a plan can be walked from end to end: strings, paths and contents lie inside.
 */
#include <string.h>

#include "box/plan.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static char *argv[RT_PLAN_MAX_STRINGS + 1], *env[RT_PLAN_MAX_STRINGS + 1];
        struct retort_error err = { 0 };
        struct rt_plan plan;
        if (rt_plan_read((const char *)data, size, &plan, &err) < 0) {
                CHECK(err.code == RETORT_E_INPUT && err.message[0]);
                return 0;
        }
        const char *bytes = (const char *)data;
        rt_plan_strings(&plan, argv, env);
        CHECK(plan.argc > 0 && !argv[plan.argc] && !env[plan.envc]);
        for (uint32_t i = 0; i < plan.argc + plan.envc; i++) {
                const char *text = i < plan.argc ? argv[i] : env[i - plan.argc];
                CHECK(text >= bytes && text + strlen(text) < bytes + size);
        }
        struct retort_file file;
        size_t cursor = 0;
        uint32_t n = 0;
        for (; rt_plan_next_file(&plan, &cursor, &file); n++) {
                CHECK(rt_plan_path_ok(file.path));
                CHECK(file.content.data >= bytes && file.content.data + file.content.size <= bytes + size);
        }
        CHECK(n == plan.n_files && (n == 0 || cursor == size));
        return 0;
}
