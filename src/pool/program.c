/* SPDX-License-Identifier: Apache-2.0 */
#include "pool/program.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"

int rt_program_tell(const struct rt_plan *plan) {
        char count[16];
        int fd = memfd_create("retort-program", MFD_CLOEXEC);
        int n = snprintf(count, sizeof count, "%" PRIu32, plan->argc) + 1;
        size_t size = plan->files_at - plan->strings_at;
        bool good = fd >= 0 && rt_write_all(fd, count, (size_t)n) == 0 && rt_write_all(fd, plan->map + plan->strings_at, size) == 0 &&
                    lseek(fd, 0, SEEK_SET) == 0;
        return good ? fd : rt_close(fd);
}

int rt_program_adopt_environment(const struct rt_plan *plan) {
        static char *argv[RT_PLAN_MAX_STRINGS + 1];
        size_t size = plan->files_at - plan->strings_at;
        struct rt_plan own = *plan;
        char *copy = malloc(size + 1);
        char **list = calloc(plan->envc + 1, sizeof *list);
        if (!copy || !list) {
                free(copy);
                free(list);
                return -1;
        }
        own.map = memcpy(copy, plan->map + plan->strings_at, size);
        own.strings_at = 0;
        rt_plan_strings(&own, argv, list);
        environ = list;
        return 0;
}
