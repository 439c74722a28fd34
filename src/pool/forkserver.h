/* SPDX-License-Identifier: Apache-2.0
 *
 * What pool/opens.c asks when the interpreter opens a file. box/forkserver.h says what it is all about.
 */
#pragma once

#include <stdbool.h>

/* Whether the path is one of ours: then *ret_fd is what open(2) is to return. For the path at which the interpreter has warmed up
 * it returns in guests only; for the one at which a guest waits, when there is a program. */
bool rt_forkserver_takes(const char *path, int *ret_fd);

/* Whether the interpreter is not frozen yet: then none of its memory may be kept from forks. */
bool rt_forkserver_is_whole(void);
