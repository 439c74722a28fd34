/* SPDX-License-Identifier: Apache-2.0
 *
 * The mappings of this process, as /proc/self/smaps tells them. Nothing here allocates from, or writes to, memory that
 * was there before: the table lies in shared memory of its own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        RT_MAP_SHARED = 1u << 0,
        RT_MAP_OTHER = 1u << 1, /* the kernel's, a device's, a stack that grows, locked, guarded, wiped on fork, ... */
};

struct rt_pool_map {
        uintptr_t start, end;
        uint64_t offset;   /* in its file */
        uint64_t inode;    /* 0: anonymous */
        uint64_t device;   /* as of makedev() */
        uint64_t resident; /* bytes in memory or swapped out */
        uint64_t own;      /* of these, bytes that belong to this process alone: copied by a fork */
        unsigned prot;     /* PROT_* */
        unsigned bits;     /* RT_MAP_* */
};

struct rt_pool_maps {
        struct rt_pool_map *table; /* by address */
        size_t count, room;
        char *text; /* RT_POOL_MAPS_TEXT bytes of scratch, for any use between calls */
};

#define RT_POOL_MAPS_TEXT ((size_t)128 << 10)

/* Reads them all, however many. `brief` leaves out what takes a walk over every page: resident, own, and most of
 * RT_MAP_OTHER. 0 or a negative errno. */
int rt_pool_maps_read(struct rt_pool_maps *maps, bool brief);
void rt_pool_maps_free(struct rt_pool_maps *maps);
