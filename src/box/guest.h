/* SPDX-License-Identifier: Apache-2.0
 *
 * What a process gives up to be a guest, in the order that makes each part possible. Used inside a box by the parked
 * process of retort-init, and by the zygote of a frozen interpreter, which gives up all but the right to change ids once
 * and for all the guests that it forks.
 */
#pragma once

#include "box/wire.h"

/* All at once: a session of its own, fixed limits, ids, capabilities, Landlock, the system call policy, and the guest's
 * work directory. *ret_listener: notifications of denied calls, or -1. 0, or -1 with errno. */
int rt_guest_become(const struct rt_wire_arm *arm, int *ret_listener);

/* The same in two halves. The first is for a process that will fork guests (it keeps CAP_SETUID and CAP_SETGID); the
 * listener is told of marked calls too. The second is for each of them. */
int rt_guest_confine(const struct rt_wire_arm *arm, int *ret_listener);
int rt_guest_shed(const struct rt_wire_arm *arm);

/* What is known only when there is a program: limits, and the descriptors of a GO, which become 0 to 3. */
int rt_guest_limit(const struct retort_limits *limits, const struct rt_wire_arm *arm);
int rt_guest_take(const int fds[RT_WIRE_MAX_FDS], bool terminal);

/* Every capability set of the caller becomes empty. */
int rt_guest_no_capabilities(void);
