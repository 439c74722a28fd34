/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing to descriptors that others gave us: to the end, whatever mode they are in.
 */
#pragma once

#include <stddef.h>

#include "base/buf.h"

/* Writes everything, through EINTR, short writes and EAGAIN, and waits while nobody reads. When rt_cancel_asked()
 * turns true while it waits it gives up with ECANCELED. 0, or -1 with errno. */
int rt_out_write(int fd, const void *data, size_t size);
/* Writes a text and empties it. Returns 0, or -1 with errno. */
int rt_out_flush(int fd, struct rt_buf *buf);
/* JSON text as it should stand on fd: in lines for a terminal, as it is for everyone else, and a newline. */
int rt_out_json(int fd, const char *json);
