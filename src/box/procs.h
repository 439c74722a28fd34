/* SPDX-License-Identifier: Apache-2.0
 *
 * What /proc says of processes.
 */
#pragma once

#include "box/keeper.h"

/* For hosts without cgroups: sums over the box's processes, from /proc. */
struct rt_procs {
        uint64_t cpu_ns;
        uint64_t rss_bytes;
        uint64_t threads;
};
void rt_procs_read(const struct rt_keeper *k, struct rt_procs *ret_procs);
/* All processes and threads of a user that can be seen. */
uint32_t rt_tasks_of_user(uid_t uid);
/* Whether there is no such process any more; one that is dead and that nobody has waited for is none. */
bool rt_process_gone(pid_t pid);
