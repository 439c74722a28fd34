/* SPDX-License-Identifier: Apache-2.0
 *
 * R's console: what R prints, what it reads, and SIGINT. R believes that somebody sits at its prompt: readline(), menu(), browser()
 * and readLines(stdin()) ask there, and the engine has the lines. file("stdin") is a connection to the same.
 */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runner.h"

enum { CAPTURE_MAX = 64 << 20 };

/* ---- what R prints ---- */

static struct {
        char *text;
        size_t size, room;
        unsigned depth;
} captured;

static bool keep(const char *text, size_t size) {
        if (captured.size + size > CAPTURE_MAX)
                return true; /* it is too large to be sent already */
        if (captured.size + size > captured.room) {
                size_t room = 2 * (captured.size + size) + 4096;
                char *more = realloc(captured.text, room);
                if (!more)
                        return false;
                captured.text = more;
                captured.room = room;
        }
        memcpy(captured.text + captured.size, text, size);
        captured.size += size;
        return true;
}

static bool plainly; /* the next warnings are no addition to an error */

void console_warn_plainly(bool on) {
        plainly = on;
}

static void write_console(const char *text, int size, int is_error) {
        static const char addition[] = "In addition: ";
        int n = (int)sizeof addition - 1;
        if (plainly && is_error && size >= n && memcmp(text, addition, (size_t)n) == 0) {
                text += n;
                size -= n;
                plainly = false;
        }
        if (captured.depth > 0 && !is_error && runner_is_ours() && keep(text, (size_t)size))
                return;
        (void)fflush(stdout);
        (void)rt_frames_write(is_error ? STDERR_FILENO : STDOUT_FILENO, text, (size_t)size);
}

static void forget(size_t start) {
        captured.size = start;
        if (captured.room > 1 << 20 && start == 0) {
                free(captured.text);
                captured.text = NULL;
                captured.room = 0;
        }
}

size_t console_capture(void) {
        if (captured.depth++ == 0)
                captured.size = 0;
        return captured.size;
}

bool console_is_capturing(void) {
        return captured.depth > 0;
}

json_t *console_captured(size_t start, bool *ret_empty) {
        size_t size = captured.depth > 0 && captured.size > start ? captured.size - start : 0;
        captured.depth -= captured.depth > 0;
        *ret_empty = size == 0;
        if (size > 0 && captured.text[start + size - 1] == '\n')
                size--;
        json_t *ret = rt_frames_text(size ? captured.text + start : "", size);
        forget(start);
        return ret;
}

void console_release(void) {
        captured.depth = 0;
        if (captured.size > 0)
                write_console(captured.text, (int)captured.size, 0);
        forget(0);
}

/* ---- SIGINT ---- */

static volatile sig_atomic_t listening;
static volatile unsigned interrupts;
static struct sigaction crash[NSIG];

/* As at a terminal, what R waits for is interrupted too: the others of this process group. What comes back is taken at once. */
static void pass_on(void) {
        sigset_t sigint;
        sigemptyset(&sigint);
        sigaddset(&sigint, SIGINT);
        if (getpgrp() == runner.owner && kill(0, SIGINT) == 0)
                (void)sigtimedwait(&sigint, NULL, &(struct timespec){ 0 });
}

static void on_sigint(int number) {
        int saved = errno;
        (void)number;
        if (!runner_is_ours()) {
                R_interrupts_pending = 1;
        } else if (listening) {
                interrupts++;
                R_interrupts_pending = 1;
                pass_on();
        }
        errno = saved;
}

void console_interrupts(bool on) {
        interrupts = 0;
        R_interrupts_pending = 0;
        listening = on;
}

unsigned console_interrupted(void) {
        return interrupts;
}

static bool is_interrupted(void) {
        return R_interrupts_pending != 0;
}

/* system(): a shell that SIGINT ends, and what is behind it in the program too. */
EXPORT SEXP retort_shell(SEXP command) {
        const char *text = Rf_translateCharUTF8(STRING_ELT(command, 0));
        char *const argv[] = { (char *)(uintptr_t)"sh", (char *)(uintptr_t)"-c", (char *)(uintptr_t)text, NULL };
        pid_t pid = -1;
        int status = 0;
        (void)fflush(stdout);
        if (posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ) != 0)
                return Rf_ScalarInteger(127);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        R_CheckUserInterrupt();
        return Rf_ScalarInteger(WIFEXITED(status) ? WEXITSTATUS(status) : status & 0xff);
}

/* R asks at its console what is to become of it. */
static void on_crash(int number, siginfo_t *info, void *context) {
        runner.crashing = true;
        if (crash[number].sa_flags & SA_SIGINFO)
                crash[number].sa_sigaction(number, info, context);
}

/* ---- what R reads ---- */

/* Of the line that was given last, what R had no room for. */
static struct {
        char *text;
        size_t at, size;
} line;

/* Asks for a line, which ends in a newline. False: there are no more. */
static bool ask(const char *prompt, bool password) {
        runner_send(json_pack("{s:s, s:I, s:o, s:b}", "type", "input_request", "id", cell_id(), "prompt", rt_frames_text(prompt, strlen(prompt)),
                              "password", password));
        for (;;) {
                json_t *message = NULL;
                enum rt_frames_got got = rt_frames_receive(&runner.frames, is_interrupted, &message);
                if (got == RT_FRAMES_STOPPED) {
                        R_CheckUserInterrupt(); /* does not return, unless the program says so */
                        continue;
                }
                const char *type = got == RT_FRAMES_MESSAGE ? json_string_value(json_object_get(message, "type")) : "shutdown";
                if (strcmp(type, "shutdown") == 0)
                        runner_end();
                const json_t *text = json_object_get(message, "text");
                bool ours = strcmp(type, "input") == 0 && json_integer_value(json_object_get(message, "id")) == cell_id();
                bool given = ours && json_is_string(text);
                if (given) {
                        free(line.text);
                        line.size = json_string_length(text) + 1;
                        line.at = 0;
                        line.text = malloc(line.size);
                        if (line.text)
                                memcpy(line.text, json_string_value(text), line.size - 1);
                        else
                                line.size = 0;
                        if (line.text)
                                line.text[line.size - 1] = '\n';
                }
                json_decref(message);
                if (ours)
                        return given;
        }
}

static size_t take(char *to, size_t room) {
        size_t n = line.size - line.at < room ? line.size - line.at : room;
        memcpy(to, line.text + line.at, n);
        line.at += n;
        return n;
}

bool console_read(const char *prompt, unsigned char *to, int room) {
        if (line.at >= line.size && (!runner_is_ours() || !cell_is_running() || !ask(prompt, false)))
                return false;
        size_t n = take((char *)to, (size_t)room - 1);
        for (size_t i = 0; i < n; i++)
                to[i] = to[i] ? to[i] : '?'; /* R's texts end there */
        to[n] = 0;
        return true;
}

/* R_ext/Connections.h, version 1. */
struct Rconn {
        char *class;
        char *description;
        int enc;
        char mode[5];
        int text, isopen, incomplete, canread, canwrite, canseek, blocking, isGzcon;
        int (*open)(struct Rconn *);
        void (*close)(struct Rconn *);
        void (*destroy)(struct Rconn *);
        int (*vfprintf)(struct Rconn *, const char *, va_list);
        int (*fgetc)(struct Rconn *);
        int (*fgetc_internal)(struct Rconn *);
        double (*seek)(struct Rconn *, double, int, int);
        void (*truncate)(struct Rconn *);
        int (*fflush)(struct Rconn *);
        size_t (*read)(void *, size_t, size_t, struct Rconn *);
        size_t (*write)(const void *, size_t, size_t, struct Rconn *);
};
extern SEXP R_new_custom_connection(const char *description, const char *mode, const char *class_name, struct Rconn **ret);

static int stdin_open(struct Rconn *connection) {
        connection->isopen = 1;
        connection->canread = 1;
        connection->canwrite = 0;
        connection->text = !strchr(connection->mode, 'b');
        return 1;
}

static void stdin_close(struct Rconn *connection) {
        connection->isopen = 0;
}

static size_t stdin_read(void *to, size_t size, size_t n, struct Rconn *connection) {
        (void)connection;
        size_t had = 0;
        while (had < size * n) {
                if (line.at >= line.size && (!runner_is_ours() || !cell_is_running() || !ask("", false)))
                        break;
                had += take((char *)to + had, size * n - had);
        }
        return size ? had / size : 0;
}

static int stdin_getc(struct Rconn *connection) {
        unsigned char c;
        return stdin_read(&c, 1, 1, connection) == 1 ? c : -1;
}

/* file("stdin"), opened in the mode if that is not "". */
EXPORT SEXP retort_stdin(SEXP mode) {
        const char *text = Rf_translateCharUTF8(STRING_ELT(mode, 0));
        struct Rconn *connection = NULL;
        SEXP ret = Rf_protect(R_new_custom_connection("stdin", text[0] ? text : "r", "file", &connection));
        connection->open = stdin_open;
        connection->close = stdin_close;
        connection->read = stdin_read;
        connection->fgetc = connection->fgetc_internal = stdin_getc;
        connection->blocking = 1;
        if (text[0])
                (void)stdin_open(connection);
        Rf_unprotect(1);
        return ret;
}

/* ---- both ---- */

void console_begin(void) {
        R_Interactive = 1;
        R_Outputfile = R_Consolefile = NULL;
        ptr_R_WriteConsole = NULL;
        ptr_R_WriteConsoleEx = write_console;
        const struct sigaction act = { .sa_handler = on_sigint, .sa_flags = SA_RESTART };
        (void)sigaction(SIGINT, &act, NULL);
        static const int deadly[] = { SIGSEGV, SIGBUS, SIGILL };
        for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++) {
                struct sigaction ours;
                if (sigaction(deadly[i], NULL, &crash[deadly[i]]) == 0 && (crash[deadly[i]].sa_flags & SA_SIGINFO)) {
                        ours = crash[deadly[i]];
                        ours.sa_sigaction = on_crash;
                        (void)sigaction(deadly[i], &ours, NULL);
                }
        }
}
