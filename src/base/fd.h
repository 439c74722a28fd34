/* SPDX-License-Identifier: Apache-2.0
 *
 * File descriptors: owned by a scope, close-on-exec from birth, read and written to the end.
 * A descriptor that is not open is -1 everywhere.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "retort.h"

/* Closes fd if it is open and returns -1: fd = rt_close(fd). Keeps errno. */
int rt_close(int fd);
static inline void rt_close_cleanup(int *fd) {
        *fd = rt_close(*fd);
}
#define rt_auto_close __attribute__((cleanup(rt_close_cleanup)))

/* Takes a descriptor out of a variable: *ret = rt_take_fd(&fd); */
static inline int rt_take_fd(int *fd) {
        int taken = *fd;
        *fd = -1;
        return taken;
}

/* Writes all of it, through EINTR and short writes. 0, or -1 with errno. */
int rt_write_all(int fd, const void *data, size_t size);
/* Reads until end of file into *ret_text (NUL-terminated, to be freed). More than cap bytes is RETORT_E_INPUT. */
int rt_read_all(int fd, size_t cap, char **ret_text, size_t *ret_size, struct retort_error *err);
/* The same for a file by name under dir (AT_FDCWD: the current one). */
int rt_read_file_at(int dir, const char *path, size_t cap, char **ret_text, size_t *ret_size,
                    struct retort_error *err);
/* Writes a short text to an existing file (as for /proc and cgroup files). 0, or -1 with errno. */
int rt_write_file_at(int dir, const char *path, const char *text);
/* Makes the directories that are missing of a file's path, for the owner alone. */
int rt_make_folders(const char *file, struct retort_error *err);
/* A memfd holding these bytes, sealed against every change. -1 with errno. */
int rt_sealed_memfd(const char *name, const void *data, size_t size);
/* Number of open descriptors of this process (for tests and leak checks). */
int rt_count_fds(void);
