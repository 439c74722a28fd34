/* SPDX-License-Identifier: Apache-2.0
 *
 * The file tree of a box. The jailer builds a template once and moves into it, so that every slot's mount
 * namespace is a copy (60 us instead of 500); the keeper puts the private parts on top: one tmpfs, limited in size,
 * that is /work, /tmp and /dev/shm, and a /proc that shows nothing but the box's own processes.
 */
#pragma once

#include <stdint.h>

#include "retort.h"

#define RT_ROOT_WORK "/work"
#define RT_ROOT_TMP "/tmp"
#define RT_ROOT_SHM "/dev/shm"
#define RT_ROOT_RUNTIMES "/retort"

/* Jailer, in a mount namespace of its own: builds the tree and makes it the root. runtimes is the directory to show at
 * RT_ROOT_RUNTIMES. */
int rt_root_enter(const char *runtimes, struct retort_error *err);

/* Keeper: mounts a fresh tmpfs over the private places, owned by uid. *ret_fs is a descriptor of it, for measuring
 * and for rt_root_resize. */
int rt_root_mount_private(uint32_t uid, int *ret_fs, struct retort_error *err);
/* Keeper: takes the private places away, and with them every file in them. */
void rt_root_unmount_private(void);
/* Keeper: the tmpfs holds at most bytes. */
int rt_root_resize(uint64_t bytes, struct retort_error *err);
/* In the first process of a box: a fresh /proc. */
int rt_root_mount_proc(struct retort_error *err);
/* Frozen interpreter: a /proc without what is the whole machine's, and, where we may say so, with no other user's processes. */
int rt_root_mount_own_proc(struct retort_error *err);
/* A tmpfs of huge pages that is attached nowhere, or -1 with errno. */
int rt_root_huge_tmpfs(void);
/* Keeper: takes the box's /proc away. */
void rt_root_unmount_proc(void);
