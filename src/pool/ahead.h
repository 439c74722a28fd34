/* SPDX-License-Identifier: Apache-2.0
 *
 * A program that was started ahead by execve, in its own box (box/ahead.c): it has loaded what it needs, and waits.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Whether this process is one: asked once, at its start. */
bool rt_ahead_begin(void);
bool rt_ahead_is(void);

/* What read(2) has done. */
void rt_ahead_has_read(int fd, char *buffer, ssize_t n);

/* As rt_forkserver_takes. */
bool rt_ahead_takes(const char *path, int *ret_fd);
