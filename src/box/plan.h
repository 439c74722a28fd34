/* SPDX-License-Identifier: Apache-2.0
 *
 * A plan: argv, environment and files of one step, in one sealed memfd. The engine writes it; keeper and parked
 * process read it, and trust nothing in it before rt_plan_read has checked the whole.
 *
 *   header | argc + envc strings, each with its NUL | files: { path_size, executable, size } path NUL content
 *
 * What a compiler left comes back in the same form (box/fetch.c), with one string and no environment.
 */
#pragma once

#include "base/fd.h"
#include "retort.h"

enum {
        RT_PLAN_MAX_STRINGS = 2 * RETORT_MAX_ARGS + 64,
        RT_PLAN_MAX_FILES = 2 * RETORT_MAX_FILES, /* the request's, and what its compiler made of them */
        RT_PLAN_MAX_BYTES = (64 << 20),
};

/* A file that a program made: as a request's, but it may be a program itself. */
struct rt_made_file {
        struct retort_file file;
        bool executable;
};

/* A memfd with the plan, sealed. -1 with *err. */
int rt_plan_write(const char *const *argv, const char *const *env, const struct retort_file *files,
                  size_t n_files, struct retort_error *err);
/* The same, with files behind the others that may be executable. */
int rt_plan_write_made(const char *const *argv, const char *const *env, const struct retort_file *files, size_t n_files,
                       const struct rt_made_file *made, size_t n_made, struct retort_error *err);

struct rt_plan {
        const char *map;
        size_t size;
        uint32_t argc;
        uint32_t envc;
        uint32_t n_files;
        size_t strings_at;
        size_t files_at;
};

/* Maps and checks a plan. Refuses a memfd that is not sealed. 0, or RETORT_E_INPUT. Freed with rt_plan_unmap. */
int rt_plan_map(int fd, struct rt_plan *ret_plan, struct retort_error *err);
void rt_plan_unmap(struct rt_plan *plan);
/* The check alone, on bytes from anywhere. */
int rt_plan_read(const char *bytes, size_t size, struct rt_plan *ret_plan, struct retort_error *err);

/* Fills strings (argc + 1 and envc + 1 pointers, each list NULL-terminated) from a checked plan. */
void rt_plan_strings(const struct rt_plan *plan, char **argv, char **env);
/* The file at *cursor (0 at first, moved on); false past the last. */
bool rt_plan_next_made(const struct rt_plan *plan, size_t *cursor, struct rt_made_file *ret_file);
bool rt_plan_next_file(const struct rt_plan *plan, size_t *cursor, struct retort_file *ret_file);
/* A path that stays inside: relative, no empty, "." or ".." part, at most RETORT_MAX_PATH bytes. */
bool rt_plan_path_ok(const char *path);
