/* SPDX-License-Identifier: Apache-2.0
 *
 * Bash's runner: a loadable builtin, `retort_runner`, which never returns to the shell that called it. It takes cells from the
 * protocol and has that same shell evaluate them, as `eval` would; so functions, variables, options, traps, jobs and the
 * directory are simply still there for the next one. Whatever would end the shell (`exit`, `set -e`, an unset variable under
 * `set -u`) is a jump to Bash's top level, and that is here.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner.h"

enum { STATUS_BITS = 0xff, BY_SIGINT = 128 + SIGINT, PROTOCOL = 3, DEEPEST = 5000 };

struct runner runner = { .saved_in = -1 };

bool runner_is_ours(void) {
        return getpid() == runner.owner;
}

static void flush(void) {
        (void)fflush(stdout);
        (void)fflush(stderr);
}

void runner_send(json_t *message) {
        flush();
        if (rt_frames_send(&runner.frames, message) < 0)
                _exit(EXIT_FAILURE);
}

/* ---- evaluating ---- */

/* Bash's own way back to its top level does this too. */
static void forget_where_we_were(void) {
        run_unwind_protects();
        unlink_fifo_list();
        loop_level = continuing = breaking = funcnest = executing_list = comsub_ignore_return = 0;
        return_catch_flag = wait_intr_flag = variable_context = sourcelevel = parse_and_execute_level = 0;
        interrupt_state = 0;
}

bool runner_evaluate(const char *text, size_t size, const char *name, int flags, int *ret_status) {
        char *copy = xmalloc(size + 1);
        memcpy(copy, text, size);
        copy[size] = 0;
        sigset_t mask;
        (void)sigprocmask(SIG_SETMASK, NULL, &mask);
        int jumped = sigsetjmp(top_level, 0);
        if (jumped == 0) {
                *ret_status = parse_and_execute(copy, name, SEVAL_NONINT | SEVAL_NOHIST | SEVAL_RESETLINE | flags) & STATUS_BITS;
        } else {
                *ret_status = last_command_exit_value & STATUS_BITS;
                if (!runner_is_ours()) /* a subshell that had no place of its own to come to */
                        _exit(*ret_status);
                (void)sigprocmask(SIG_SETMASK, &mask, NULL);
                forget_where_we_were();
        }
        return jumped != 0 && jumped != DISCARD;
}

/* What a shell does when it ends. It has run then, and is no more. */
static void run_exit_trap(int status) {
        if (!signal_is_trapped(0) || !trap_list[0])
                return;
        char *text = strdup(trap_list[0]);
        restore_default_signal(0);
        last_command_exit_value = status;
        if (text)
                (void)runner_evaluate(text, strlen(text), "exit trap", 0, &status);
        free(text);
}

/* ---- a cell's environment ---- */

/* What a variable was before a cell; the shell's, if it is no plain one, is left alone. */
struct before {
        char *name, *value; /* value NULL: it was not set */
        bool exported;
};

static void export_variable(SHELL_VAR *variable, bool exported) {
        if (variable)
                variable->attributes = exported ? variable->attributes | ATT_EXPORTED : variable->attributes & ~ATT_EXPORTED;
        array_needs_making = 1;
}

static void set_variable(const char *name, const char *value, bool exported) {
        if (!value)
                (void)unbind_variable(name);
        else
                export_variable(bind_variable(name, (char *)(uintptr_t)value, 0), exported);
}

static size_t set_environment(const json_t *env, struct before **ret_before) {
        size_t n = 0;
        struct before *before = calloc(json_object_size(env) + 1, sizeof *before);
        const char *name;
        json_t *value;
        json_object_foreach((json_t *)(uintptr_t)env, name, value) {
                SHELL_VAR *old = legal_identifier(name) ? find_variable(name) : NULL;
                bool odd = old && (old->attributes & (ATT_READONLY | ATT_ARRAY | ATT_ASSOC));
                if (!before || !legal_identifier(name) || odd)
                        continue;
                before[n++] = (struct before){ strdup(name), old && old->value ? strdup(old->value) : NULL,
                                               old && (old->attributes & ATT_EXPORTED) };
                set_variable(name, json_string_value(value), true);
        }
        *ret_before = before;
        return n;
}

static void restore_environment(struct before *before, size_t n) {
        for (size_t i = 0; i < n; i++) {
                if (before[i].name)
                        set_variable(before[i].name, before[i].value, before[i].exported);
                free(before[i].name);
                free(before[i].value);
        }
        free(before);
}

/* ---- a cell ---- */

static void send_error(const char *name, const char *value, const char *traceback) {
        runner_send(json_pack("{s:s, s:I, s:s, s:o, s:o}", "type", "error", "id", runner.id, "name", name, "value",
                              rt_frames_text(value, strlen(value)), "traceback", rt_frames_text(traceback, strlen(traceback))));
}

static void send_status(const char *name, int status) {
        char text[16];
        (void)snprintf(text, sizeof text, "%d", status);
        send_error(name, text, "");
}

/* Goes to a directory as `cd` does: false, and the reason is on stderr. */
static bool go_to(const char *cwd) {
        char *quoted = sh_single_quote(cwd), command[8192];
        int status = EXECUTION_FAILURE;
        int n = snprintf(command, sizeof command, "builtin cd -- %s", quoted);
        free(quoted);
        if (n > 0 && (size_t)n < sizeof command)
                (void)runner_evaluate(command, (size_t)n, "cell", 0, &status);
        return status == 0;
}

/* Evaluates it and returns the status of `done`; *ret_code as `exit_code`. */
static const char *evaluate(const char *code, size_t size, const char *name, int *ret_code) {
        int status = 0;
        bool left = runner_evaluate(code, size, name, 0, &status);
        *ret_code = status;
        if (runner.asked && (left || status == BY_SIGINT) && status >= BY_SIGINT) {
                send_error("SIGINT", "interrupted", "");
                return "interrupted";
        }
        if (left) {
                run_exit_trap(status);
                return "exit";
        }
        if (status == 0)
                return "ok";
        char *wrong = status == EX_USAGE ? look_syntax(code, size, name) : NULL;
        if (wrong)
                send_error("SyntaxError", wrong, wrong);
        else
                send_status("ExitStatus", status);
        free(wrong);
        return "error";
}

static void restore_in(void) {
        if (runner.saved_in < 0)
                return;
        (void)dup2(runner.saved_in, STDIN_FILENO);
        (void)close(runner.saved_in);
        runner.saved_in = -1;
}

static void run_cell(const json_t *message) {
        const json_t *code = json_object_get(message, "code");
        const char *cwd = json_string_value(json_object_get(message, "cwd")), *given = json_string_value(json_object_get(message, "name"));
        bool silent = json_is_true(json_object_get(message, "silent"));
        char name[256];
        runner.count += !silent;
        if (given)
                (void)snprintf(name, sizeof name, "%s", given);
        else
                (void)snprintf(name, sizeof name, "cell %lld", (long long)(runner.count + silent));
        struct before *before;
        size_t n = set_environment(json_object_get(message, "env"), &before);
        const char *status = "error";
        int exit_code = 0;
        builtins_cell(true, runner.id);
        runner.asked = 0;
        interrupt_state = 0;
        signals_forget();
        runner.running = true;
        if (cwd && !go_to(cwd))
                send_error("DirectoryError", cwd, cwd);
        else
                status = evaluate(json_string_value(code) ? json_string_value(code) : "", json_string_length(code), name, &exit_code);
        runner.running = false;
        restore_in();
        builtins_cell(false, runner.id);
        restore_environment(before, n);
        json_t *done = json_pack("{s:s, s:I, s:s, s:I}", "type", "done", "id", runner.id, "status", status, "execution_count", runner.count);
        if (strcmp(status, "exit") == 0)
                (void)json_object_set_new(done, "exit_code", json_integer(exit_code));
        runner_send(done);
}

/* ---- the copy ---- */

static void send_ready(void) {
        json_t *ready = json_pack("{s:s, s:i, s:s, s:o, s:[s, s, s, s], s:s}", "type", "ready", "protocol", 1, "language", "bash", "version",
                                  rt_frames_text(shell_version_string(), strlen(shell_version_string())), "features", "complete", "inspect",
                                  "fork", "input", "mark", runner.frames.mark);
        runner_send(ready);
}

static void become_copy(void) {
        runner.owner = dollar_dollar_pid = getpid();
        (void)setpgid(0, 0);
        delete_all_jobs(0); /* they are the original's children */
        if (rt_frames_adopt(&runner.frames, runner.frames.fds) < 0)
                _exit(EXIT_FAILURE);
        runner.frames.n_fds = 0;
        builtins_begin();
        send_ready();
}

/* Twice, so that the copy is the first process's child. */
static void fork_runner(void) {
        int told[2] = { -1, -1 };
        pid_t copy = -1;
        flush();
        if (runner.frames.n_fds == RT_FRAMES_FDS && pipe(told) == 0) {
                sigset_t chld, before;
                sigemptyset(&chld);
                sigaddset(&chld, SIGCHLD); /* Bash knows nothing of the one between */
                (void)sigprocmask(SIG_BLOCK, &chld, &before);
                pid_t between = fork();
                if (between == 0) {
                        pid_t pid = fork();
                        if (pid != 0) {
                                (void)rt_frames_write(told[1], (char *)&pid, sizeof pid);
                                _exit(0);
                        }
                        (void)close(told[0]);
                        (void)close(told[1]);
                        (void)sigprocmask(SIG_SETMASK, &before, NULL);
                        become_copy();
                        return;
                }
                (void)close(told[1]);
                if (between < 0 || read(told[0], &copy, sizeof copy) != (ssize_t)sizeof copy)
                        copy = -1;
                (void)close(told[0]);
                while (between > 0 && waitpid(between, NULL, 0) < 0 && errno == EINTR)
                        ;
                (void)sigprocmask(SIG_SETMASK, &before, NULL);
        }
        rt_frames_close_fds(&runner.frames);
        if (copy > 0)
                runner_send(json_pack("{s:s, s:I, s:i}", "type", "forked", "id", runner.id, "pid", (int)copy));
        else
                runner_send(json_pack("{s:s, s:I, s:s}", "type", "forked", "id", runner.id, "message", "the shell cannot be copied"));
}

/* ---- messages ---- */

_Noreturn void runner_end(void) {
        run_exit_trap(0);
        flush();
        _exit(EXIT_SUCCESS);
}

static void answer(const json_t *message) {
        const char *type = json_string_value(json_object_get(message, "type"));
        runner.id = json_integer_value(json_object_get(message, "id"));
        if (strcmp(type, "run") == 0)
                run_cell(message);
        else if (strcmp(type, "complete") == 0)
                look_complete(message);
        else if (strcmp(type, "inspect") == 0)
                look_inspect(message);
        else if (strcmp(type, "fork") == 0)
                fork_runner();
        else if (strcmp(type, "shutdown") == 0)
                runner_end();
}

static _Noreturn void serve(void) {
        for (;;) {
                json_t *message = NULL;
                enum rt_frames_got got = rt_frames_receive(&runner.frames, NULL, &message);
                if (got == RT_FRAMES_BROKEN)
                        _exit(EXIT_FAILURE);
                if (got == RT_FRAMES_END)
                        runner_end();
                answer(message);
                json_decref(message);
        }
}

static int retort_runner_builtin(WORD_LIST *list) {
        (void)list;
        if (runner.owner || rt_frames_open(&runner.frames, PROTOCOL) < 0) {
                builtin_error("not here");
                return EXECUTION_FAILURE;
        }
        runner.owner = getpid();
        /* From here on this is the top level: nothing that called us is ever gone back to, and the last command of a cell is not
         * one that the shell may become (as with -c). */
        clear_unwind_protect_list(0);
        parse_and_execute_level = 0;
        startup_state = 0;
        expand_aliases = 1;
        funcnest_max = DEEPEST; /* FUNCNEST says otherwise; the end of the stack is the end of the shell */
        (void)unbind_variable("BASH_EXECUTION_STRING");
        (void)unbind_variable("LD_PRELOAD");
        struct builtin *self = builtin_address_internal("retort_runner", 0);
        if (self)
                self->flags &= ~BUILTIN_ENABLED;
        builtins_begin();
        signals_arm();
        set_exit_status(0);
        send_ready();
        serve();
}

static char *const doc[] = { "What keeps this shell between cells.", NULL };
EXPORT struct builtin retort_runner_struct = { "retort_runner", retort_runner_builtin, BUILTIN_ENABLED, doc, "retort_runner", NULL };
