/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether anything has changed in directories that a compiler reads: what it made of them serves again only while nothing
 * has. Seen at once and without asking about any file: new, changed, renamed and removed entries below each directory, also
 * by a write in place and by chmod. Not seen: what a symbolic link leads to outside of them, writes through another name of
 * the same file outside of them, and changes that another machine makes to a network file system.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

struct rt_reach {
        int fd; /* inotify; -1: none yet */
        unsigned n_directories;
        const atomic_bool *stop; /* ends rt_reach_add; may be NULL */
};
#define RT_REACH_NONE ((struct rt_reach){ .fd = -1 })

/* Watches every directory that the pattern of glob(3) names, and all below. False: it cannot (too many for this host), and
 * then nothing may be believed unchanged. */
bool rt_reach_add(struct rt_reach *reach, const char *pattern);
/* Whether anything has changed since it was added. Does not block. */
bool rt_reach_changed(const struct rt_reach *reach);
void rt_reach_close(struct rt_reach *reach);
