/* SPDX-License-Identifier: Apache-2.0
 *
 * Control groups as directories: where this process is among them, making room below it, removing what nobody uses.
 */
#pragma once

#include <stddef.h>

/* Where a hierarchy is mounted and where in it we are: "/sys/fs/cgroup/memory" + "/a/b". version 2 has no controller's
 * name. 0, or -1: not to be found. */
int rt_cgroup_own(int version, const char *controller, char *ret_path, size_t size);

/* v2: hands the controllers that count down to the groups below. Where processes stand in the way and all of them are
 * this one and those that started it, they are moved to a leaf of the group, "retort-host". Takes a lock on the group
 * that keeps other jailers from taking back; closing the descriptor or rt_cgroup_take_back gives it up. 0, or -1. */
int rt_cgroup_share_out(int group);
/* Undoes rt_cgroup_share_out, unless no process was moved or other jailers still have their base groups here. */
void rt_cgroup_take_back(int group);

/* Removes a group below dir, what is below it, and whatever still lives there: a keeper that was killed could not. */
void rt_cgroup_remove_tree(int dir, const char *name);

/* Removes groups of jailers that were killed before they could clean up, with what their guests left running. */
void rt_cgroup_remove_stale(int parent);
