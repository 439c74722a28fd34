/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of frozen.so, which is loaded into cc1: frozen.c is what it does.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- words.c: the commands that gcc runs ---- */

enum { FROZEN_WORDS = 256 };

struct frozen_words {
        char *at[FROZEN_WORDS]; /* NULL-terminated */
        size_t n;
        size_t object; /* where the object file's name stands */
};

/* From what `gcc -###` said, a word a line. NULL, or why not. */
const char *frozen_read_assembler(const char *text, struct frozen_words *ret);
/* The linker itself in place of collect2, without what only link-time optimisation needs, libraries by their paths: so that it reads no
 * directories. The first line is the linker's path; object is the name that stands for the objects. */
const char *frozen_read_linker(const char *text, const char *object, struct frozen_words *ret);

/* ---- pages.c: the memory that compiling writes to ---- */

/* Makes room in the heap, so that what is asked for of it lies where it will lie in forks. */
void frozen_room(void);
/* In a rehearsal, when it ends: which pages it has of its own. And in the process that it was forked from. */
void frozen_tell_touched(int fd);
void frozen_hear_touched(int fd);
/* In a fork: makes these pages its own now, while nobody waits. */
void frozen_touch(void);
/* mmap(2), which hands out what was touched ahead. */
void *frozen_mmap(void *start, size_t size, int protection, int flags, int fd, off_t offset);
