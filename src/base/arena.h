/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory that dies together: parsing, planning and outcomes allocate from one arena, and nobody frees
 * piece by piece. Zero-initialise; rt_arena_clear gives everything back and leaves it usable.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct rt_arena_block;
struct rt_arena {
        struct rt_arena_block *blocks;
        size_t total; /* bytes taken from malloc */
};

/* Zeroed memory, aligned for anything, or NULL. size 0 gives a unique pointer. */
void *rt_arena_alloc(struct rt_arena *arena, size_t size) __attribute__((malloc, alloc_size(2)));
/* As rt_arena_alloc for count elements; NULL on overflow. */
void *rt_arena_array(struct rt_arena *arena, size_t count, size_t size);
/* A copy with a NUL behind it. */
char *rt_arena_copy(struct rt_arena *arena, const void *data, size_t size);
char *rt_arena_printf(struct rt_arena *arena, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
void rt_arena_clear(struct rt_arena *arena);

static inline char *rt_arena_strdup(struct rt_arena *arena, const char *text) {
        return rt_arena_copy(arena, text, strlen(text));
}
#define rt_arena_new(arena, type) ((type *)rt_arena_alloc((arena), sizeof(type)))
#define rt_auto_arena __attribute__((cleanup(rt_arena_clear)))
