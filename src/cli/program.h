/* SPDX-License-Identifier: Apache-2.0
 *
 * From the words of "retort run" to the files of a request: reading them, giving them names inside the box, and
 * telling the language.
 */
#pragma once

#include "base/arena.h"
#include "cli/opts.h"
#include "retort.h"

/* Reads the named files into request->files, first the entry. Their names in the box: when every file lies in the
 * directory of the first or below it, what remains without that directory; else, when all lie below the current
 * directory, their paths from there; else their last parts. Two files of one name are RETORT_E_INPUT.
 * Everything lives in arena. */
int rt_program_files(const struct rt_list *paths, struct rt_arena *arena, struct retort_request *request,
                     struct retort_error *err);
/* Reads the program from a descriptor into request->code. */
int rt_program_read(int fd, struct rt_arena *arena, struct retort_request *request, struct retort_error *err);

/* Sets request->language by the entry file's extension, or by its #! line when the extension says nothing.
 * RETORT_E_INPUT with the way out when neither does. */
int rt_program_language(retort_engine *engine, struct rt_arena *arena, struct retort_request *request,
                        struct retort_error *err);
/* The interpreter that a #! line names, without directories and "env": "python3"; NULL when there is none. */
const char *rt_program_interpreter(struct retort_bytes code, struct rt_arena *arena);
/* The names that paths get in the box, as rt_program_files says. cwd is absolute. */
int rt_program_names(const struct rt_list *paths, const char *cwd, struct rt_arena *arena,
                     const char **ret_names, struct retort_error *err);
