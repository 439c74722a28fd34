/* SPDX-License-Identifier: Apache-2.0
 *
 * A runtime in memory: what load.c makes of runtime.yaml, and the other files of this folder read.
 * docs/runtimes.md says what each key means.
 */
#pragma once

#include <regex.h>

#include "base/yaml.h"
#include "lang/lang.h"
#include "lang/template.h"

/* A compiled POSIX extended regular expression. Its value is what its last group matched. */
struct rt_pattern {
        regex_t regex;
        struct rt_pattern *next; /* all of a set, for freeing */
};

struct rt_step_def {
        const struct rt_yaml_node *argv_node; /* NULL: no such step */
        const struct rt_yaml_node *env_node;
        const struct rt_template *argv;
        size_t n_argv;
        const struct rt_env_def {
                const char *name;
                struct rt_template value;
        } * env;
        size_t n_env;
        struct rt_lang_cache cache;  /* compile only; no outputs: nothing is kept */
        const char *const *plain_if; /* compile only: beginnings of a request's arguments that {installed:} gives way to */
        struct retort_limits limits; /* 0: RETORT_LIMITS' default */
};

enum rt_diagnostic_field {
        RT_FIELD_NONE,
        RT_FIELD_FILE,
        RT_FIELD_LINE,
        RT_FIELD_COLUMN,
        RT_FIELD_SEVERITY,
        RT_FIELD_MESSAGE,
        RT_FIELD_COUNT
};

struct rt_diagnostic_def {
        const struct rt_pattern *pattern;
        const enum rt_diagnostic_field *fields; /* of the groups, in order */
        size_t n_fields;
        bool caret; /* the column is where a following line has its caret */
};

/* How an interpreter is warmed up, frozen and forked instead of being started anew. */
struct rt_warm_def {
        bool pool;               /* it is started ahead, and runs one program */
        const char *entry;       /* name of the program's file, which it opens by itself; NULL: it does not */
        const char *first;       /* what it finds there before it has a program; NULL: it waits when it opens that */
        const char *const *cold_code; /* beginnings of programs that it would have to know at its start */
        struct rt_step_def step; /* the interpreter that warms up; no argv: it cannot be */
        const struct rt_yaml_node *args_node;
        const struct rt_template *args; /* what a fork of it is told to run */
        size_t n_args;
        const struct rt_yaml_node *compile_args_node;
        const struct rt_template *compile_args; /* and in the compile step */
        size_t n_compile_args;
        const char *const *preload;           /* what it imports, for {preload} */
        const char *const *cold_compile_args; /* options of the compiler (patterns, too) that are its start's */
        const char *const *cold_env;    /* variables (fnmatch(3) patterns) that it would have to know at its start */
        struct retort_limits least;     /* limits below which a fork has no room */
        const char *const *same_limits; /* limits that must be the default, for the same reason */
};

struct rt_runtime {
        const char *file; /* as named in messages */
        const char *dir;  /* the folder's name under the runtimes directory */
        const char *name;
        const char *title;
        const char *const *aliases;
        const char *const *extensions;
        const struct rt_yaml_node *name_node;
        const struct rt_yaml_node *aliases_node;
        struct {
                /* For each program its names or absolute paths, best first; the first is what {program:NAME}
                 * says. */
                const char *const *const *programs;
                const char *install;
                struct {
                        const char *const *args;
                        const struct rt_pattern *pattern;
                } version;
        } toolchain;
        struct {
                const char *name; /* of the file that `code` becomes */
                bool braces;      /* patterns see an outline: see source.h */
                const struct rt_pattern *file;
                const struct rt_pattern *main;
                const struct rt_pattern *package;
        } source;
        struct rt_step_def compile;
        struct rt_step_def run; /* no argv: it runs no programs, and has neither source nor compile nor warm */
        struct rt_warm_def warm;
        /* What keeps an interpreter alive in a context: docs/internals/runner-protocol.md. No argv: it has none. */
        struct {
                struct rt_step_def step;
                struct rt_warm_def warm;
                const char *packages; /* the variable that says where it looks for packages besides; NULL: none does */
        } runner;
        const struct rt_diagnostic_def *diagnostics;
        size_t n_diagnostics;
};

struct rt_lang_set {
        struct rt_arena arena;
        struct rt_pattern *patterns;
        struct rt_runtime **runtimes; /* sorted by name */
        size_t n;
};

/* lang/cache.c: the keys of compile.cache, for a struct rt_lang_cache. */
extern const struct rt_yaml_key rt_lang_cache_keys[];

/* lang/parts.c: does the file have all that it needs for what it is to do? Fills in what may be left out. */
int rt_runtime_check_parts(const struct rt_yaml *yaml, const struct rt_yaml_node *root, struct rt_runtime *runtime);

/* What pattern's last group matched first in text, as [*ret_start, *ret_end). */
bool rt_pattern_find(const struct rt_pattern *pattern, const char *text, size_t size, size_t *ret_start,
                     size_t *ret_end);

/* The absolute path of a program by its alternatives, in places the guest sees too; NULL: not installed.
 * 0, or RETORT_E_NOMEM. */
int rt_program_find(const char *const *alternatives, struct rt_arena *arena, const char **ret_path);
/* The entry of toolchain.programs whose first alternative is name; NULL: none. */
const char *const *rt_program_named(const struct rt_runtime *runtime, const char *name);
