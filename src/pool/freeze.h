/* SPDX-License-Identifier: Apache-2.0
 *
 * Freezing: the private memory of this process is replaced, in place, by private mappings of one image file with the same
 * bytes. A private file mapping that nobody wrote to since has no pages of its own, so a fork copies no page tables of
 * it; what a child writes is its own, as ever.
 *
 * Left as they are: shared mappings, PROT_NONE, what was never touched, stacks that grow and the part of the stack this
 * runs on, the kernel's own (vdso), device, locked, sealed, guarded, wiped-on-fork memory, and large read-only data files.
 * What MADV_DONTFORK kept from children is theirs, too, once it is frozen.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rt_pool_freeze_mode {
        /* Only memory that a fork would copy; protections stay. */
        RT_POOL_FREEZE_DATA,
        /* All private memory, code as well, readable, writable and executable: neighbours become one mapping, and a fork
         * has little left to do. For processes that run foreign code anyway. */
        RT_POOL_FREEZE_FLAT,
};

struct rt_pool_frozen {
        size_t pieces;         /* mappings that were replaced */
        uint64_t mapped_bytes; /* their size */
        uint64_t data_bytes;   /* of these, bytes that had something in them: what the image holds */
};

enum { RT_POOL_WHY = 160 };

/* 0, or -1 and a sentence in why. Whatever fails before the first mapping is replaced leaves the process as it was; a
 * replacement that the kernel then refuses would leave a hole, so the process ends with SIGABRT.
 *
 * image_fd   open for writing, empty, on tmpfs (best one with huge=always) or a memfd, reachable by no name. It is closed
 *            in every case; the mappings come from a read-only opening of it (through /proc), and a memfd that allows
 *            it is sealed, so that nobody gets to write to it through them.
 * The caller is the only running thread; /proc is mounted; RLIMIT_FSIZE leaves room; the kernel overcommits. */
int rt_pool_freeze(int image_fd, enum rt_pool_freeze_mode mode, struct rt_pool_frozen *ret, char why[RT_POOL_WHY]);

/* What madvise(2) must become in a program that is frozen: MADV_DONTNEED of anonymous memory promises zeros, and frozen
 * memory, which only was anonymous, would show the image's bytes again. Before the freeze (or without one) MADV_DONTFORK
 * is kept from the kernel if `keep_all`: V8 asks for it. As madvise: 0, or -1 with errno. */
int rt_pool_advise(void *start, size_t size, int advice, bool keep_all);
