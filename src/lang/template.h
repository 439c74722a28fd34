/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts with placeholders, as runtime.yaml has in argv and env: checked when they are read, filled in for
 * each request.
 */
#pragma once

#include "base/yaml.h"
#include "lang/lang.h"

struct rt_runtime;

/* Every placeholder: enum name, spelling, what stands behind its colon (NONE, OPTIONAL, NEEDED), whether it
 * becomes any number of arguments and so must be a whole one, what it becomes. */
#define RT_PLACEHOLDERS(X)                                                                                   \
        X(PROGRAM, "program", NEEDED, false, "absolute path of the needed program of that name")             \
        X(FILE, "file", NEEDED, false, "the first of these files (a|b) that the runtime's folder has")       \
        X(FALLBACK, "fallback", NEEDED, true, "for a|b: nothing if the runtime's folder has a, else file b") \
        X(INSTALLED, "installed", NEEDED, true,                                                              \
          "for a=x|b=y: x if program a is installed, else y if b is, else nothing; see plain_if")            \
        X(ENTRY, "entry", NONE, false, "the file that is run, relative to the work directory")               \
        X(STEM, "entry.stem", NONE, false, "its name without folder and extension")                          \
        X(MAIN, "main", NONE, false, "what source.main found in it, with its package; else its stem")        \
        X(FILES, "files", NONE, true, "all files with one of the runtime's extensions")                      \
        X(ARGS, "args", NONE, true, "the program's arguments")                                               \
        X(COMPILE_ARGS, "compile_args", NONE, true, "the compiler's arguments")                              \
        X(PRELOAD, "preload", NONE, true, "what its warm.preload lists")                                     \
        X(WORK, "work", NONE, false, "the work directory")                                                   \
        X(TMP, "tmp", NONE, false, "the directory for temporary files")                                      \
        X(RUNTIMES, "runtimes", NONE, false, "the runtimes directory")                                       \
        X(MEMORY_BYTES, "memory_bytes", OPTIONAL, false,                                                     \
          "the step's memory limit, or that percentage of it")                                               \
        X(MEMORY_MIB, "memory_mib", OPTIONAL, false, "the same in MiB, at least 1")                          \
        X(PROCESSES, "processes", OPTIONAL, false, "the step's process limit, or that percentage of it")     \
        X(ENV, "env", NEEDED, false, "the request's value of that variable, or nothing")

enum rt_piece_kind {
        RT_PIECE_TEXT,
#define X(name, text, argument, list, meaning) RT_PIECE_##name,
        RT_PLACEHOLDERS(X)
#undef X
};

struct rt_piece {
        enum rt_piece_kind kind;
        const char *text; /* TEXT: itself; else what stood behind the colon; FILE, FALLBACK: the file, NULL:
                             none */
        unsigned percent;
};

struct rt_template {
        const struct rt_piece *pieces;
        size_t n;
};

/* What the placeholders of one step are filled from. */
struct rt_filling {
        const struct rt_runtime *runtime;
        const struct rt_warm_def *warm; /* for {preload} */
        const struct retort_request *request;
        const struct rt_lang_places *places;
        const struct retort_limits *limits; /* the step's, resolved */
        const struct retort_file *files;
        size_t n_files;
        const char *entry;
        const char *main;
        struct rt_arena *arena;
        struct retort_error *err;
};

/* A growing list of texts in an arena; always NULL-terminated once something was added. */
struct rt_texts {
        const char **at;
        size_t n;
        size_t room;
};
/* 0, or RETORT_E_NOMEM. */
int rt_texts_add(struct rt_texts *texts, const char *text, struct rt_arena *arena, struct retort_error *err);

/* Reads the node's text. dir_fd is the runtime's folder, for {file:...}. in_list says whether placeholders
 * that become any number of arguments may be used. */
int rt_template_read(const struct rt_yaml *yaml, const struct rt_yaml_node *node,
                     const struct rt_runtime *runtime, int dir_fd, bool in_list, struct rt_template *ret);
bool rt_template_uses(const struct rt_template *template, enum rt_piece_kind kind, const char *text);

/* Fills in a template that becomes one text. */
int rt_template_fill(const struct rt_template *template, const struct rt_filling *filling,
                     const char **ret_text);
/* Fills in a template and adds what it becomes. */
int rt_template_add(const struct rt_template *template, const struct rt_filling *filling,
                    struct rt_texts *to);
