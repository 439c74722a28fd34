/* SPDX-License-Identifier: Apache-2.0
 *
 * Descriptors by which a process talks to itself. A fork shares open files: an epoll instance, an eventfd or a pipe with
 * both ends inside would be one for a server and all its children, and wake the wrong one (or eat its events). So a child
 * gets new ones in the same places: epoll instances that watch the same descriptors, eventfds and timers with the same
 * count and time, pipes with the same bytes in them, sockets whose other end was closed (the JVM keeps one), files that
 * have a name at the same position.
 */
#pragma once

#include <stdbool.h>

#include "pool/freeze.h"

/* Notes what there is. All other threads are held; nothing changes until the forks. 0, or -1 and why: there is something
 * that cannot be made anew (io_uring), or more than there is room for. */
int rt_pool_files_note(char why[RT_POOL_WHY]);

/* Whether this one will be made anew. */
bool rt_pool_files_noted(int fd);

/* In a child, before its threads are made again and after 0 to 3 are what they shall be: makes anew what was noted. 0, or
 * -1 and why. Needs epoll_create1, epoll_ctl, eventfd2, timerfd_create, timerfd_settime, pipe2, socketpair, dup3, fcntl, tee, openat, lseek and close. */
int rt_pool_files_renew(char why[RT_POOL_WHY]);
