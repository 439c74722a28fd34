/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rt_arena_block {
        struct rt_arena_block *next;
        size_t used;
        size_t room;
        alignas(max_align_t) char data[];
};

enum { BLOCK_ROOM = 8192 - sizeof(struct rt_arena_block) };

void *rt_arena_alloc(struct rt_arena *arena, size_t size) {
        size_t align = alignof(max_align_t);
        if (size > SIZE_MAX / 2)
                return NULL;
        size = size ? (size + align - 1) / align * align : align;
        struct rt_arena_block *block = arena->blocks;
        if (!block || block->room - block->used < size) {
                size_t room = size > BLOCK_ROOM / 4 ? size : BLOCK_ROOM;
                struct rt_arena_block *fresh = malloc(sizeof *fresh + room);
                if (!fresh)
                        return NULL;
                *fresh = (struct rt_arena_block){ .room = room };
                arena->total += sizeof *fresh + room;
                if (block && room == size) { /* a large one: keep filling the block that has room */
                        fresh->next = block->next;
                        block->next = fresh;
                } else {
                        fresh->next = block;
                        arena->blocks = fresh;
                }
                block = fresh;
        }
        void *p = block->data + block->used;
        block->used += size;
        return memset(p, 0, size); /* what is asked for, not whole blocks: most arenas stay small */
}

void *rt_arena_array(struct rt_arena *arena, size_t count, size_t size) {
        size_t total;
        return __builtin_mul_overflow(count, size, &total) ? NULL : rt_arena_alloc(arena, total);
}

char *rt_arena_copy(struct rt_arena *arena, const void *data, size_t size) {
        char *copy = size < SIZE_MAX ? rt_arena_alloc(arena, size + 1) : NULL;
        if (copy && size)
                memcpy(copy, data, size);
        return copy;
}

char *rt_arena_printf(struct rt_arena *arena, const char *format, ...) {
        va_list args;
        va_start(args, format);
        int n = vsnprintf(NULL, 0, format, args);
        va_end(args);
        char *text = n < 0 ? NULL : rt_arena_alloc(arena, (size_t)n + 1);
        if (!text)
                return NULL;
        va_start(args, format);
        (void)vsnprintf(text, (size_t)n + 1, format, args);
        va_end(args);
        return text;
}

void rt_arena_clear(struct rt_arena *arena) {
        for (struct rt_arena_block *block = arena->blocks, *next; block; block = next) {
                next = block->next;
                free(block);
        }
        *arena = (struct rt_arena){ 0 };
}
