/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of Bash's runner know of each other, and of Bash: names that Bash has for its loadable builtins, the same
 * since version 4. They are declared here so that it can be built without Bash's headers.
 */
#pragma once

#include <setjmp.h>
#include <stdint.h>

#include "../lib/frames.h"

#define EXPORT __attribute__((visibility("default")))

/* ---- Bash ---- */

typedef struct word_desc {
        char *word;
        int flags;
} WORD_DESC;

typedef struct word_list {
        struct word_list *next;
        WORD_DESC *word;
} WORD_LIST;

struct builtin {
        char *name;
        int (*function)(WORD_LIST *);
        int flags;
        char *const *long_doc;
        const char *short_doc;
        char *handle;
};
enum { BUILTIN_ENABLED = 1 };

typedef struct variable {
        char *name;
        char *value;
        char *exportstr;
        struct variable *(*dynamic_value)(struct variable *);
        struct variable *(*assign_func)(struct variable *, char *, intmax_t, char *);
        int attributes;
        int context;
} SHELL_VAR;
enum { ATT_EXPORTED = 1, ATT_READONLY = 2, ATT_ARRAY = 4, ATT_ASSOC = 0x40 };

enum { SEVAL_NONINT = 1, SEVAL_NOHIST = 4, SEVAL_RESETLINE = 0x10, SEVAL_PARSEONLY = 0x20 };
enum { EXECUTION_SUCCESS = 0, EXECUTION_FAILURE = 1, EX_USAGE = 2, DISCARD = 2 };

extern sigjmp_buf top_level;
extern volatile int last_command_exit_value;
extern volatile int interrupt_state;
extern int parse_and_execute_level, startup_state, array_needs_making, expand_aliases, job_control, subshell_environment;
extern int loop_level, continuing, breaking, funcnest, executing_list, comsub_ignore_return, return_catch_flag, wait_intr_flag;
extern int variable_context, sourcelevel, funcnest_max;
extern pid_t last_made_pid, dollar_dollar_pid;
extern volatile pid_t last_asynchronous_pid;
extern char *trap_list[];
extern int parse_and_execute(char *text, const char *name, int flags); /* frees text */
extern void clear_unwind_protect_list(int flags);
extern void run_unwind_protects(void);
extern void throw_to_top_level(void);
extern void sigint_sighandler(int number);
extern void termsig_sighandler(int number);
extern int signal_is_trapped(int number);
extern void restore_default_signal(int number);
extern void delete_all_jobs(int running_only);
extern void unlink_fifo_list(void);
extern int read_builtin(WORD_LIST *list);
extern void builtin_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern struct builtin *builtin_address_internal(const char *name, int disabled_okay);
extern SHELL_VAR *find_variable(const char *name);
extern SHELL_VAR *bind_variable(const char *name, char *value, int flags);
extern int unbind_variable(const char *name);
extern int legal_identifier(const char *name);
extern char *sh_single_quote(const char *text);
extern void *xmalloc(size_t size);
extern char *shell_version_string(void);
extern void set_exit_status(int status);

/* ---- runner.c ---- */

struct runner {
        struct rt_frames frames;
        pid_t owner; /* whose copies by fork are subshells, and speak to nobody */
        json_int_t id;
        json_int_t count;
        volatile bool running; /* a cell */
        volatile unsigned asked; /* interrupts of this cell */
        int saved_in; /* descriptor 0, while `read` has a line there instead */
};
extern struct runner runner;

bool runner_is_ours(void); /* this process is the runner, not a subshell of it */
_Noreturn void runner_end(void);
/* Evaluates text in the shell itself. *ret_status: its exit status. True: it ended by leaving the shell (exit, set -e). */
bool runner_evaluate(const char *text, size_t size, const char *name, int flags, int *ret_status);
void runner_send(json_t *message);

/* ---- signals.c ---- */

void signals_arm(void);    /* from now on SIGINT is the runner's, whatever Bash installs */
void signals_forget(void); /* what came too late for the cell before */

/* ---- builtins.c ---- */

void builtins_begin(void);
void builtins_cell(bool running, json_int_t id); /* subshells may display while it runs */

/* ---- look.c ---- */

/* What Bash says about a wrong program, NULL if nothing is wrong with it; to be freed. */
char *look_syntax(const char *text, size_t size, const char *name);
void look_complete(const json_t *message);
void look_inspect(const json_t *message);
