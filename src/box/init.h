/* SPDX-License-Identifier: Apache-2.0
 *
 * retort-init: the first process of a box. It parks one process that has given up everything it could and waits to
 * become the guest's program; then it reaps until it is killed, and with it everything in the box.
 */
#pragma once

/* The keeper's socket in a fresh retort-init. */
enum { RT_INIT_SOCKET = 3 };

/* Does not return while the box lives. */
int rt_init_main(void);
