/* SPDX-License-Identifier: Apache-2.0
 *
 * The command: one file per sub-command, each a table entry that says its name, its words, its options and what
 * it does. Help, parsing, completion and the man page are made from these entries and from nothing else.
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "cli/opts.h"
#include "retort.h"

/* What every command is given. Everything it allocates for its arguments lives in arena. */
struct rt_cli {
        int out;
        int err;
        bool colour;                      /* stderr takes colours */
        struct rt_arena arena;
        const struct rt_cmd *const *cmds; /* all commands, NULL at the end */
        char *const *argv;                /* the words as they came */
};

struct rt_cmd {
        const char *name;
        const char *args;          /* its operands, as help shows them */
        const char *help;          /* one line */
        const char *text;          /* more: paragraphs separated by an empty line; may be NULL */
        const struct rt_opt *opts; /* may be NULL */
        size_t target_size;        /* of the struct that the options are stored into */
        size_t min_operands;
        size_t max_operands;
        bool takes_rest;           /* words after "--" are kept apart from the operands */
        int (*main)(struct rt_cli *cli, void *target, const struct rt_words *words); /* the exit status */
};

extern const struct rt_cmd rt_cmd_run, rt_cmd_batch, rt_cmd_languages, rt_cmd_doctor, rt_cmd_bench, rt_cmd_help, rt_cmd_completion,
        rt_cmd_man, rt_cmd_repl, rt_cmd_version;

/* The exit status of every failure that is Retort's or its caller's, never the guest's. */
enum { RT_EXIT_OURS = 125 };

/* Runs the command line. Returns the exit status. */
int rt_cli_main(const struct rt_cmd *const *cmds, char *const *argv);
/* All commands in the order help shows them, NULL at the end. */
const struct rt_cmd *const *rt_cli_commands(void);
const struct rt_cmd *rt_cli_find(const struct rt_cmd *const *cmds, const char *name);

/* Becomes another program, which does the command: what a variable names, else what lies beside this one, else what is installed. */
int rt_cli_become(struct rt_cli *cli, const char *variable, const char *name, const char *installed, const char *what);
/* Says "retort: <sentence>" on stderr and returns RT_EXIT_OURS. */
int rt_cli_complain(struct rt_cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Opens an engine for one run; warm: of a fork of a frozen interpreter. isolation and without may be NULL. 0, or
 * negative. */
int rt_cli_open(const char *isolation, const char *without, bool warm, retort_engine **ret_engine,
                struct retort_error *err);
/* One of RT_ISOLATION_CHOICES. */
enum retort_isolation rt_cli_isolation(const char *name);
static inline void rt_cli_close_cleanup(retort_engine **engine) {
        if (*engine)
                retort_engine_close(*engine);
}
#define rt_auto_engine __attribute__((cleanup(rt_cli_close_cleanup)))

#define RT_ISOLATION_CHOICES "strong|reduced|minimal"
