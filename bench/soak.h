/* SPDX-License-Identifier: Apache-2.0
 *
 * The soak: very many runs in legs, everything that could be left behind counted before, between and after them. What is
 * counted is this process and what lives below it (orphans come to it), never other people's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What is counted: member, what a table calls it, unit (the divisor of a value), how it is judged.
 * SAME: a count that must not grow from leg to leg, and is as at the start when the engine has closed.
 * GONE: the same, and zero then. ROUGH: bytes, which may breathe. ZERO: never anything. INFO: of the whole machine, for the
 * reader. */
#define SOAK_COUNTS(X)                                                                          \
        X(processes, "processes below", 1, GONE)                                                \
        X(zombies, "zombies below", 1, ZERO)                                                    \
        X(threads, "threads, this process", 1, SAME)                                            \
        X(fds, "descriptors, this process", 1, SAME)                                            \
        X(fds_below, "descriptors below", 1, GONE)                                              \
        X(cgroups, "cgroups", 1, GONE)                                                          \
        X(namespaces, "mount namespaces below", 1, GONE)                                        \
        X(mounts_host, "mounts of the host", 1, SAME)                                           \
        X(mounts, "mounts below", 1, GONE)                                                      \
        X(ipc, "System V IPC objects", 1, SAME)                                                 \
        X(tmpfs, "tmpfs in boxes, KiB", 1024, ROUGH)                                            \
        X(rss, "RSS of this process, KiB", 1024, ROUGH)                                         \
        X(pss_below, "PSS below, KiB", 1024, ROUGH)                                             \
        X(private_below, "private memory below, KiB", 1024, ROUGH)                              \
        X(cgroup_memory, "memory charged to cgroups, KiB", 1024, ROUGH)                         \
        X(shmem, "machine: shared memory, KiB", 1024, INFO)                                     \
        X(slab, "machine: kernel slab, KiB", 1024, INFO)                                        \
        X(available, "machine: available memory, KiB", 1024, INFO)

struct soak_count {
#define X(member, text, unit, how) uint64_t member;
        SOAK_COUNTS(X)
#undef X
};

/* The jailers that were seen below us: their cgroups are known by their ids, also when they are gone. */
struct soak_jailers {
        pid_t ids[64];
        unsigned n;
};

void soak_count(struct soak_count *ret, struct soak_jailers *jailers);
