/* SPDX-License-Identifier: Apache-2.0
 *
 * R's runner: a library that R loads while it reads runner.R as its profile. When R then asks its console for the first expression,
 * that question is answered with nothing but cells: it never returns. What jumps to R's top level, as an uncaught error does,
 * comes back by way of the same question.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner.h"

enum { PROTOCOL = 3, NO_SUPERVISOR = 126 };

struct runner runner;
static char version[64];

bool runner_is_ours(void) {
        return getpid() == runner.owner;
}

void runner_flush(void) {
        (void)fflush(stdout);
        (void)fflush(stderr);
}

void runner_send(json_t *message) {
        runner_flush();
        if (rt_frames_send(&runner.frames, message) < 0)
                _exit(EXIT_FAILURE);
}

SEXP runner_call(SEXP call) {
        int failed = 0;
        SEXP ret = R_tryEvalSilent(call, R_BaseEnv, &failed);
        return failed ? NULL : ret;
}

static bool shares_folder; /* R's temporary folder, with a copy of this process */

_Noreturn void runner_end(void) {
        console_interrupts(false);
        R_RunExitFinalizers();
        if (!shares_folder)
                R_CleanTempDir();
        runner_flush();
        _exit(EXIT_SUCCESS);
}

/* ---- the copy ---- */

static void send_ready(void) {
        runner_send(json_pack("{s:s, s:i, s:s, s:s, s:[s, s, s, s], s:s}", "type", "ready", "protocol", 1, "language", "r", "version", version,
                              "features", "complete", "inspect", "fork", "input", "mark", runner.frames.mark));
}

static void become_copy(void) {
        runner.owner = getpid();
        (void)setpgid(0, 0);
        if (rt_frames_adopt(&runner.frames, runner.frames.fds) < 0)
                _exit(EXIT_FAILURE);
        runner.frames.n_fds = 0;
        send_ready();
}

/* Twice, so that the copy is the first process's child. */
static void fork_runner(json_int_t id) {
        int told[2] = { -1, -1 };
        pid_t copy = -1;
        runner_flush();
        if (runner.frames.n_fds == RT_FRAMES_FDS && pipe(told) == 0) {
                shares_folder = true;
                pid_t between = fork();
                if (between == 0) {
                        pid_t pid = fork();
                        if (pid != 0) {
                                (void)rt_frames_write(told[1], (char *)&pid, sizeof pid);
                                _exit(0);
                        }
                        (void)close(told[0]);
                        (void)close(told[1]);
                        become_copy();
                        return;
                }
                (void)close(told[1]);
                if (between < 0 || read(told[0], &copy, sizeof copy) != (ssize_t)sizeof copy)
                        copy = -1;
                (void)close(told[0]);
                while (between > 0 && waitpid(between, NULL, 0) < 0 && errno == EINTR)
                        ;
        }
        rt_frames_close_fds(&runner.frames);
        if (copy > 0)
                runner_send(json_pack("{s:s, s:I, s:i}", "type", "forked", "id", id, "pid", (int)copy));
        else
                runner_send(json_pack("{s:s, s:I, s:s}", "type", "forked", "id", id, "message", "R cannot be copied"));
}

/* ---- messages ---- */

static SEXP question(enum hook hook, const json_t *message) {
        const json_t *code = json_object_get(message, "code");
        SEXP text = Rf_protect(values_text(json_is_string(code) ? json_string_value(code) : "", json_is_string(code) ? strlen(json_string_value(code)) : 0));
        SEXP cursor = Rf_protect(Rf_ScalarInteger((int)json_integer_value(json_object_get(message, "cursor"))));
        SEXP detail = Rf_protect(Rf_ScalarInteger((int)json_integer_value(json_object_get(message, "detail"))));
        SEXP call = Rf_protect(Rf_lang4(runner.hooks[hook], text, cursor, detail));
        SEXP ret = runner_call(call);
        Rf_unprotect(4);
        return ret;
}

/* The answer: list(matches, start, end). */
static void complete(json_int_t id, const json_t *message) {
        SEXP said = question(HOOK_COMPLETE, message);
        json_t *matches = json_array();
        json_int_t start = json_integer_value(json_object_get(message, "cursor")), end = start;
        if (said && TYPEOF(said) == VECSXP && Rf_xlength(said) == 3) {
                Rf_protect(said);
                SEXP texts = VECTOR_ELT(said, 0);
                for (ptrdiff_t i = 0; TYPEOF(texts) == STRSXP && i < Rf_xlength(texts); i++) {
                        const char *text = Rf_translateCharUTF8(STRING_ELT(texts, i));
                        (void)json_array_append_new(matches, rt_frames_text(text, strlen(text)));
                }
                start = Rf_asInteger(VECTOR_ELT(said, 1));
                end = Rf_asInteger(VECTOR_ELT(said, 2));
                Rf_unprotect(1);
        }
        runner_send(json_pack("{s:s, s:I, s:o, s:I, s:I}", "type", "completions", "id", id, "matches", matches, "start", start, "end", end));
}

static void inspect(json_int_t id, const json_t *message) {
        SEXP said = question(HOOK_INSPECT, message);
        json_t *data = json_object();
        if (said && TYPEOF(said) == VECSXP) {
                Rf_protect(said);
                json_decref(data);
                data = values_bundle(said);
                Rf_unprotect(1);
        }
        runner_send(json_pack("{s:s, s:I, s:b, s:o}", "type", "inspection", "id", id, "found", json_object_size(data) > 0, "data", data));
}

static void answer(json_t *message) {
        const char *type = json_string_value(json_object_get(message, "type"));
        json_int_t id = json_integer_value(json_object_get(message, "id"));
        if (strcmp(type, "run") == 0)
                cell_run(message);
        else if (strcmp(type, "complete") == 0)
                complete(id, message);
        else if (strcmp(type, "inspect") == 0)
                inspect(id, message);
        else if (strcmp(type, "fork") == 0)
                fork_runner(id);
        else if (strcmp(type, "shutdown") == 0)
                runner_end();
}

static void serve(void) {
        static json_t *message; /* what a jump left behind is freed here */
        for (;;) {
                json_decref(message);
                message = NULL;
                enum rt_frames_got got = rt_frames_receive(&runner.frames, NULL, &message);
                if (got == RT_FRAMES_BROKEN)
                        _exit(EXIT_FAILURE);
                if (got == RT_FRAMES_END)
                        runner_end();
                answer(message);
        }
}

/* A fork of a frozen R: its child is the runner, and it becomes the supervisor, whose socket is descriptor 0. */
static void split(const char *supervisor) {
        char number[16];
        pid_t pid = fork();
        if (pid < 0)
                _exit(NO_SUPERVISOR);
        if (pid == 0)
                return;
        for (int fd = 1; fd <= PROTOCOL; fd++)
                (void)close(fd);
        (void)snprintf(number, sizeof number, "%d", (int)pid);
        char *const argv[] = { (char *)(uintptr_t)supervisor, number, NULL };
        (void)signal(SIGPIPE, SIG_DFL);
        (void)execve(supervisor, argv, environ);
        (void)kill(pid, SIGKILL);
        _exit(NO_SUPERVISOR);
}

/* An R with threads of its own (some BLAS) has been divided by src/pool already: descriptor 0 is no socket any more. */
static void begin_in_fork(const char *supervisor) {
        struct stat status;
        if (fstat(STDIN_FILENO, &status) == 0 && !S_ISSOCK(status.st_mode))
                return;
        split(supervisor);
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (null < 0 || dup2(null, STDIN_FILENO) < 0)
                _exit(NO_SUPERVISOR);
        (void)close(null);
        (void)setpgid(0, 0);
}

/* supervisor: "", or this is a fork that a context is made of, and one that has no threads: else libretort-forkserver has divided it. */
EXPORT SEXP retort_begin(SEXP supervisor) {
        const char *path = Rf_translateCharUTF8(STRING_ELT(supervisor, 0));
        if (path[0])
                begin_in_fork(path);
        if (runner.owner || rt_frames_open(&runner.frames, PROTOCOL) < 0)
                Rf_error("descriptor 3 is not the engine");
        runner.owner = getpid();
        return R_NilValue;
}

/* R has read its profile and attached its packages. */
static void start(void) {
        (void)Rf_eval(runner.start, R_BaseEnv);
        send_ready();
}

/* R wants a line: for itself, or for a program that asks. */
static int read_console(const char *prompt, unsigned char *to, int room, int history) {
        (void)history;
        if (runner.crashing && runner_is_ours()) {
                (void)snprintf((char *)to, (size_t)room, "1\n"); /* abort */
                return 1;
        }
        if (!runner.top) {
                runner.top = R_GlobalContext;
                start();
        }
        if (R_GlobalContext != runner.top)
                return console_read(prompt, to, room);
        if (!runner_is_ours()) /* a child that has nothing left to do, or what could not start */
                _exit(EXIT_FAILURE);
        runner.crashing = false;
        if (cell_is_running())
                cell_failed();
        serve();
        return 0;
}

/* hooks: the functions that runner.R has for enum hook. begin: a function that calls retort_begin when R has started. */
EXPORT SEXP retort_prepare(SEXP hooks, SEXP r_version, SEXP begin) {
        for (int i = 0; i < HOOKS; i++) {
                runner.hooks[i] = VECTOR_ELT(hooks, i);
                R_PreserveObject(runner.hooks[i]);
        }
        (void)snprintf(version, sizeof version, "%s", Rf_translateCharUTF8(STRING_ELT(r_version, 0)));
        runner.start = Rf_lang1(begin);
        R_PreserveObject(runner.start);
        ptr_R_ReadConsole = read_console;
        console_begin();
        return R_NilValue;
}
