/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of frozen.so, which is loaded into cc1: frozen.c is what it does.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

extern char **environ;

/* ---- words.c: the commands that gcc runs ---- */

enum { FROZEN_WORDS = 256, FROZEN_FILES = 1024 };

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

/* ---- drive.c: what gcc does around cc1 ---- */

struct frozen_gcc {
        struct frozen_words assembler, linker;
        char bugs[256]; /* where people are sent who find one */
};

/* Has one source of a request compiled, by a cc1 that waits at the other end of socket, and assembled. told is the request. Ends the
 * process where gcc would. */
void frozen_drive_one(struct frozen_gcc *gcc, unsigned which, pid_t cc1, int socket, int told);
/* Links what there is, and ends the process as gcc would. */
void frozen_drive_end(struct frozen_gcc *gcc) __attribute__((noreturn));
/* In a cc1: waits until there is a source. Its limits and descriptors 0 to 2 are then in force. Returns the request, or -1. And what it
 * says when it has done all that it does. */
int frozen_await_source(int socket, unsigned *ret_which);
void frozen_tell_code(int socket, int code);

/* ---- pages.c: the memory that compiling writes to ---- */

/* Makes room in the heap, so that what is asked for of it lies where it will lie in forks. */
void frozen_room(void);
/* In a rehearsal, when it ends: which pages it has of its own. And in the process that it was forked from. */
void frozen_tell_touched(int fd);
void frozen_hear_touched(int fd);
/* In a fork: makes these pages its own now, while nobody waits. */
void frozen_touch(void);
/* Where a text stands in memory that was asked for: how many places, at most `room`. */
size_t frozen_find(const char *text, char **places, size_t room);
/* mmap(2), which hands out what was touched ahead. */
void *frozen_mmap(void *start, size_t size, int protection, int flags, int fd, off_t offset);
