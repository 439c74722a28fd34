/* SPDX-License-Identifier: Apache-2.0
 *
 * Languages as data: runtimes/<language>/runtime.yaml becomes a struct rt_runtime, and a request against it
 * becomes a plan of steps (argv, environment, files, limits). This folder starts nothing and opens nothing
 * but the runtimes directory. Adding a language touches no C.
 */
#pragma once

#include "base/arena.h"
#include "retort.h"

/* Directories searched for toolchains, on the host and in the box alike (both see the same /usr). */
#define RT_LANG_PATH "/usr/local/bin:/usr/bin:/bin"
enum { RT_LANG_PACKAGES_MAX = 4096 };

struct rt_runtime; /* one runtime.yaml, read-only after loading */
struct rt_lang_set; /* all of them */

/* Reads every <dir>/<name>/runtime.yaml. A mistake in any of them is RETORT_E_INPUT with
 * "<file>:<line>:<column>: <what>, and what would be right". Freed with rt_lang_free. */
int rt_lang_load(const char *dir, struct rt_lang_set **ret_set, struct retort_error *err);
struct rt_lang_set *rt_lang_free(struct rt_lang_set *set);

/* Runtimes in order of their names; NULL past the last. */
const struct rt_runtime *rt_lang_at(const struct rt_lang_set *set, size_t index);
/* By name or alias, trimmed, case-insensitive. Not found: NULL, and *err names the known ones. */
const struct rt_runtime *rt_lang_find(const struct rt_lang_set *set, const char *name,
                                      struct retort_error *err);
/* By a file name's extension ("x.py"); NULL if no runtime claims it. */
const struct rt_runtime *rt_lang_by_file(const struct rt_lang_set *set, const char *file_name);

const char *rt_runtime_name(const struct rt_runtime *runtime);
const char *rt_runtime_title(const struct rt_runtime *runtime);
const char *const *rt_runtime_aliases(const struct rt_runtime *runtime); /* NULL-terminated */
const char *const *rt_runtime_extensions(const struct rt_runtime *runtime);
/* How a person gets the toolchain: "apt install r-base-core". */
const char *rt_runtime_install(const struct rt_runtime *runtime);

/* What must be known of a compile step before what it left may serve again. NULL: it may not. */
struct rt_lang_cache {
        const char *const *outputs; /* what it leaves besides its sources: see rt_lang_is_output */
        const char *const *reads;   /* directories it reads from, as glob(3) takes them */
        const char *const *unless;  /* a request that has one of these texts anywhere is compiled anew each time */
};
const struct rt_lang_cache *rt_runtime_cache(const struct rt_runtime *runtime);
bool rt_lang_is_output(const struct rt_lang_cache *cache, const char *path);

/* The toolchain as found on this host. Every program the runtime needs was looked up in RT_LANG_PATH.
 * Returns 0, or RETORT_E_NO_RUNTIME with the package that brings what is missing. */
int rt_lang_detect(const struct rt_runtime *runtime, struct retort_error *err);
/* The command that prints the version (NULL-terminated argv, absolute program; allocated from arena). NULL: not
 * installed, or out of memory. */
const char *const *rt_lang_version_argv(const struct rt_runtime *runtime, struct rt_arena *arena);
/* Picks the version out of that command's output (stdout and stderr together); "" if it is not there. */
const char *rt_lang_read_version(const struct rt_runtime *runtime, const char *output,
                                 struct rt_arena *arena);

/* Is the installed version one that was asked for? "3", "3.11" and "3.11.2" all fit 3.11.2; "*", "" and NULL fit any. */
bool rt_lang_version_fits(const char *installed, const char *wanted);

/* Where things are, as the guest sees them. */
struct rt_lang_places {
        const char *work;     /* "/work" */
        const char *tmp;      /* "/tmp" */
        const char *runtimes; /* "/retort": the runtimes directory, read-only */
};

/* One step, ready to start. */
struct rt_lang_step {
        const char *name;        /* "compile" or "run" */
        const char *const *argv; /* NULL-terminated; argv[0] is an absolute path, or relative to the work directory */
        const char *const *env;  /* NULL-terminated "NAME=VALUE"; the whole environment */
        struct retort_limits limits; /* resolved: every member is set and at most its ceiling */
        /* What a fork of the runtime's frozen interpreter, or the one that was started ahead, is told in place of argv: the program's
         * file and its arguments. NULL: only a fresh interpreter can do this step. With a fork_argv for its run step a plan has
         * one for every step. */
        const char *const *fork_argv;
};

enum { RT_LANG_MAX_STEPS = 2 };

struct rt_lang_plan {
        const struct rt_runtime *runtime;
        const struct retort_file *files; /* to be written under places->work before the first step */
        size_t n_files;
        struct rt_lang_step steps[RT_LANG_MAX_STEPS];
        size_t n_steps;
};

/* Whether it runs whole programs: one that does not has a runner, and is for contexts only. */
bool rt_runtime_has_programs(const struct rt_runtime *runtime);
/* Whether the runtime's interpreter can be frozen, or started ahead: that of its programs, or of its contexts; whether that of its
 * programs is started ahead. */
bool rt_runtime_can_warm(const struct rt_runtime *runtime, bool runner);
bool rt_runtime_is_pooled(const struct rt_runtime *runtime);
/* The interpreter that is to be frozen or started ahead, as a step whose name is "warm". RETORT_E_NO_RUNTIME when it is not installed. */
int rt_lang_warm(const struct rt_runtime *runtime, bool runner, const struct rt_lang_places *places,
                 const struct retort_limits *ceilings, struct rt_arena *arena, struct rt_lang_step *ret_step,
                 struct retort_error *err);

/* Whether it can keep state from cell to cell: docs/internals/runner-protocol.md. */
bool rt_runtime_has_runner(const struct rt_runtime *runtime);
/* Its runner as a step, with the request's env and limits (no other member counts) and directories of packages (between
 * colons; NULL: none); fork_argv NULL: a fork would not do. */
int rt_lang_runner(const struct rt_runtime *runtime, const struct retort_request *request, const char *packages, const struct rt_lang_places *places,
                   const struct retort_limits *ceilings, struct rt_arena *arena, struct rt_lang_step *ret_step,
                   struct retort_error *err);

/* Files that come with something else than a request, as a request's are. */
int rt_lang_check_files(const struct retort_file *files, size_t n_files, struct retort_error *err);
/* What was asked for, else the default given, within floors and ceilings. RETORT_E_INPUT: limits.<member> is outside of them. */
int rt_lang_limits(const struct retort_limits *asked, const struct retort_limits *dflt, const struct retort_limits *ceilings,
                   struct retort_limits *ret_limits, struct retort_error *err);

/* Checks the whole request against the runtime and the ceilings (a member 0 means RETORT_LIMITS'), and makes its
 * plan. What is wrong with the request is RETORT_E_INPUT naming the field; a missing toolchain is
 * RETORT_E_NO_RUNTIME. The request's version is not looked at: see rt_lang_version_fits. Everything in *ret_plan lives in
 * arena or in request. */
int rt_lang_plan(const struct rt_runtime *runtime, const struct retort_request *request,
                 const struct rt_lang_places *places, const struct retort_limits *ceilings,
                 struct rt_arena *arena, struct rt_lang_plan *ret_plan, struct retort_error *err);

/* Reads compiler messages out of a step's output by the runtime's patterns. At most RT_LANG_MAX_DIAGNOSTICS.
 * *ret_diagnostics lives in arena. 0, or RETORT_E_NOMEM. */
enum { RT_LANG_MAX_DIAGNOSTICS = 200 };
int rt_lang_read_diagnostics(const struct rt_runtime *runtime, struct retort_bytes output,
                             struct rt_arena *arena, const struct retort_diagnostic **ret_diagnostics,
                             size_t *ret_n, struct retort_error *err);

/* The runtime's hooks write one JSON object {"name","value","traceback"} to RT_LANG_REPORT_FD when a program
 * dies of an uncaught error. Reads it; *ret_error.name is NULL when there is none or it is rubbish (the guest can
 * write there too: it can only lie about itself). 0, or RETORT_E_NOMEM. */
enum { RT_LANG_REPORT_FD = 3, RT_LANG_REPORT_MAX = 256 * 1024 };
int rt_lang_read_error(struct retort_bytes report, struct rt_arena *arena,
                       struct retort_guest_error *ret_error, struct retort_error *err);
