/* SPDX-License-Identifier: Apache-2.0
 *
 * What becomes of a fork of a frozen interpreter: a slot's zygote first, then a guest.
 */
#pragma once

#include "box/wire.h"

/* In a fresh fork of the frozen interpreter: enters the slot that the FORK message and its descriptors name, gives up
 * its rights, and forks guests until its socket is closed, when the process ends. Returns only in a guest that is
 * parked; the socket is then the one that GO will come through. */
int rt_zygote_serve(const struct rt_wire_message *fork_message, int fds[RT_WIRE_MAX_FDS]);

/* In a guest: says that it is ready, and blocks until there is a program. Its limits, its environment and descriptors 0 to 3
 * are then in force, and its file is open as main_fd, unless that is -1. Returns a descriptor: a decimal count of arguments, the arguments, the environment, each with its NUL. Ends the process
 * when it cannot be. */
int rt_zygote_await_program(int socket, int main_fd);
