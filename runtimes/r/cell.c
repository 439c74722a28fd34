/* SPDX-License-Identifier: Apache-2.0
 *
 * A cell of R: parsed, then one expression after another, at R's own top level, with no function of ours below the program's. What
 * ends a cell early (an error, an interrupt, q()) is a jump to that top level, so a cell is a state that outlives jumps.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner.h"

static struct {
        json_int_t id, count;
        char *code;
        size_t size;
        char name[256];
        bool silent;
        volatile enum stage { NOTHING, PARSING, EVALUATING, ENDING } stage;
        SEXP expressions; /* preserved */
        json_t *env_before;
        /* How it ended, if not well. */
        char *error, *value, *traceback;
        bool interrupted, quit;
        int exit_code;
} cell;

bool cell_is_running(void) {
        return cell.stage != NOTHING;
}

json_int_t cell_id(void) {
        return cell.id;
}

/* ---- what it asks for ---- */

/* What the variables were, to be put back. */
static json_t *set_environment(const json_t *env) {
        json_t *before = json_object();
        const char *name;
        json_t *value;
        json_object_foreach((json_t *)(uintptr_t)env, name, value) {
                const char *old = getenv(name);
                (void)json_object_set_new(before, name, old ? rt_frames_text(old, strlen(old)) : json_null());
                if (json_is_string(value))
                        (void)setenv(name, json_string_value(value), 1);
                else
                        (void)unsetenv(name);
        }
        return before;
}

static void send_error(const char *name, const char *value, const char *traceback) {
        runner_send(json_pack("{s:s, s:I, s:o, s:o, s:o}", "type", "error", "id", cell.id, "name", rt_frames_text(name, strlen(name)), "value",
                              rt_frames_text(value, strlen(value)), "traceback", rt_frames_text(traceback, strlen(traceback))));
}

static SEXP formats_of(const json_t *list) {
        size_t n = json_array_size(list), at = 0;
        SEXP ret = Rf_protect(Rf_allocVector(STRSXP, (ptrdiff_t)(n ? n : 1)));
        if (n == 0)
                SET_STRING_ELT(ret, 0, Rf_mkCharLenCE("png", 3, CE_UTF8));
        for (size_t i = 0; i < n; i++) {
                const json_t *text = json_array_get(list, i);
                SET_STRING_ELT(ret, (ptrdiff_t)at++, Rf_mkCharLenCE(json_is_string(text) ? json_string_value(text) : "png",
                                                                    json_is_string(text) ? (int)json_string_length(text) : 3, CE_UTF8));
        }
        Rf_unprotect(1);
        return ret;
}

static SEXP code_text(void) {
        return values_text(cell.code, cell.size);
}

/* ---- its end ---- */

static void forget_cell(void) {
        free(cell.code);
        free(cell.error);
        free(cell.value);
        free(cell.traceback);
        cell.code = cell.error = cell.value = cell.traceback = NULL;
        if (cell.expressions)
                R_ReleaseObject(cell.expressions);
        cell.expressions = NULL;
        cell.interrupted = cell.quit = false;
        cell.stage = NOTHING;
}

/* Figures that are open are finished, whatever happened. */
static void finish_pages(void) {
        SEXP call = Rf_protect(Rf_lang2(runner.hooks[HOOK_PAGES], Rf_ScalarLogical(1)));
        (void)runner_call(call);
        Rf_unprotect(1);
}

static void end_cell(const char *status) {
        console_interrupts(false);
        const char *name;
        json_t *value;
        json_object_foreach(cell.env_before, name, value) {
                if (json_is_string(value))
                        (void)setenv(name, json_string_value(value), 1);
                else
                        (void)unsetenv(name);
        }
        json_decref(cell.env_before);
        cell.env_before = NULL;
        json_t *done = json_pack("{s:s, s:I, s:s, s:I}", "type", "done", "id", cell.id, "status", status, "execution_count", cell.count);
        if (cell.quit)
                (void)json_object_set_new(done, "exit_code", json_integer(cell.exit_code));
        forget_cell();
        runner_send(done);
}

static void set_report(const char *name, const char *value, const char *traceback) {
        if (cell.error)
                return;
        cell.error = strdup(name);
        cell.value = strdup(value);
        cell.traceback = strdup(traceback);
}

/* An error that no handler was asked about: a full stack, or a program that removed ours. R has kept its message. */
static void look_for_error(void) {
        SEXP call = Rf_protect(Rf_lang1(runner.hooks[HOOK_FALLBACK]));
        SEXP said = runner_call(call);
        if (said && TYPEOF(said) == STRSXP && Rf_xlength(said) == 3) {
                Rf_protect(said);
                set_report(Rf_translateCharUTF8(STRING_ELT(said, 0)), Rf_translateCharUTF8(STRING_ELT(said, 1)),
                           Rf_translateCharUTF8(STRING_ELT(said, 2)));
                Rf_unprotect(1);
        }
        Rf_unprotect(1);
}

void cell_failed(void) {
        if (console_is_capturing())
                console_release();
        bool interrupted = cell.interrupted || (!cell.error && !cell.quit && console_interrupted() > 0);
        if (cell.stage != ENDING) {
                cell.stage = ENDING;
                if (!cell.error && !cell.quit && !interrupted)
                        look_for_error();
                finish_pages();
        }
        if (cell.quit) {
                end_cell("exit");
                return;
        }
        if (interrupted)
                set_report("interrupt", "", "interrupt");
        if (!cell.error)
                set_report("abort", "the cell was ended by the restart \"abort\"", "abort");
        send_error(cell.error ? cell.error : "", cell.value ? cell.value : "", cell.traceback ? cell.traceback : "");
        end_cell(interrupted ? "interrupted" : "error");
}

/* ---- its course ---- */

static void parse(void) {
        cell.stage = PARSING;
        SEXP name = Rf_protect(values_text(cell.name, strlen(cell.name)));
        SEXP text = Rf_protect(code_text());
        SEXP call = Rf_protect(Rf_lang3(runner.hooks[HOOK_PARSE], text, name));
        SEXP srcfile = Rf_protect(Rf_eval(call, R_BaseEnv));
        int status = 0;
        SEXP parsed = Rf_protect(R_ParseVector(text, -1, &status, srcfile));
        if (status == PARSE_OK) {
                cell.expressions = parsed;
                R_PreserveObject(parsed);
        } else {
                SEXP explain = Rf_protect(Rf_lang3(runner.hooks[HOOK_PARSE_ERROR], text, name));
                json_t *message = values_string(Rf_eval(explain, R_BaseEnv));
                set_report("parse error", json_string_value(message), json_string_value(message));
                json_decref(message);
                Rf_unprotect(1);
        }
        Rf_unprotect(5);
}

/* A plain vector is nothing but its text. */
static bool is_plain(SEXP value) {
        int type = TYPEOF(value);
        return ATTRIB(value) == R_NilValue && ((type >= LGLSXP && type <= STRSXP) || type == RAWSXP);
}

static void print_plain(SEXP value) {
        size_t start = console_capture();
        Rf_PrintValue(value);
        bool empty;
        json_t *text = console_captured(start, &empty);
        runner_flush();
        if (rt_frames_item(&runner.frames, cell.id, json_pack("{s:o}", "text/plain", text), NULL, true) < 0)
                _exit(EXIT_FAILURE);
}

static void show_warnings(void) {
        static SEXP call;
        if (!call) {
                call = Rf_lang2(Rf_install(".Internal"), Rf_lang1(Rf_install("printDeferredWarnings")));
                R_PreserveObject(call);
        }
        console_warn_plainly(true);
        (void)Rf_eval(call, R_BaseEnv);
        console_warn_plainly(false);
}

static SEXP sink_call;

static bool has_sink(void) {
        if (!sink_call) {
                sink_call = Rf_lang1(Rf_install("sink.number"));
                R_PreserveObject(sink_call);
        }
        return Rf_asInteger(Rf_eval(sink_call, R_BaseEnv)) > 0;
}

static bool plotted; /* a device of ours is open, or was, in this cell */

/* The value of the last expression, behind whatever was drawn before it. */
static void show(SEXP value) {
        if (has_sink()) {
                Rf_PrintValue(value); /* goes where the program sent it */
                return;
        }
        if (is_plain(value) && !plotted) {
                print_plain(value);
                return;
        }
        SEXP call = Rf_protect(Rf_lang2(runner.hooks[HOOK_SHOW], Rf_lang2(Rf_install("quote"), value)));
        (void)Rf_eval(call, R_BaseEnv);
        Rf_unprotect(1);
}

static void take_pages(void) {
        SEXP call = Rf_protect(Rf_lang2(runner.hooks[HOOK_PAGES], Rf_ScalarLogical(0)));
        (void)runner_call(call);
        Rf_unprotect(1);
}

static void evaluate(void) {
        ptrdiff_t n = cell.expressions ? Rf_xlength(cell.expressions) : 0;
        cell.stage = EVALUATING;
        for (ptrdiff_t i = 0; i < n; i++) {
                R_Visible = 1;
                SEXP value = Rf_protect(Rf_eval(VECTOR_ELT(cell.expressions, i), R_GlobalEnv));
                bool visible = R_Visible;
                if (R_interrupts_pending)
                        R_CheckUserInterrupt();
                SET_SYMVALUE(R_LastvalueSymbol, value);
                if (visible && i < n - 1)
                        Rf_PrintValue(value);
                else if (visible && !cell.silent)
                        show(value);
                show_warnings();
                if (plotted)
                        take_pages();
                Rf_unprotect(1);
        }
}

void cell_run(const json_t *message) {
        const json_t *code = json_object_get(message, "code");
        const char *cwd = json_string_value(json_object_get(message, "cwd")), *name = json_string_value(json_object_get(message, "name"));
        cell.id = json_integer_value(json_object_get(message, "id"));
        cell.silent = json_is_true(json_object_get(message, "silent"));
        cell.count += !cell.silent;
        cell.size = json_string_length(code);
        cell.code = malloc(cell.size + 1);
        if (cell.code)
                memcpy(cell.code, json_is_string(code) ? json_string_value(code) : "", cell.size + 1);
        else
                cell.size = 0;
        cell.size = cell.code ? strlen(cell.code) : 0; /* R's texts end at a NUL */
        (void)snprintf(cell.name, sizeof cell.name, name ? "%s" : "cell %s", name ? name : "");
        if (!name)
                (void)snprintf(cell.name, sizeof cell.name, "cell %lld", (long long)(cell.count + cell.silent));
        cell.env_before = set_environment(json_object_get(message, "env"));
        cell.stage = PARSING;
        plotted = false;
        console_interrupts(true);
        if (cwd && chdir(cwd) < 0) {
                char text[512];
                (void)snprintf(text, sizeof text, "cannot change to %.300s: %s", cwd, strerror(errno));
                set_report("simpleError", text, text);
                cell_failed();
                return;
        }
        SEXP formats = Rf_protect(formats_of(json_object_get(message, "formats")));
        SEXP call = Rf_protect(Rf_lang2(runner.hooks[HOOK_CELL], formats));
        (void)runner_call(call);
        Rf_unprotect(2);
        parse();
        if (!cell.error) {
                evaluate();
                cell.stage = ENDING;
                if (plotted)
                        finish_pages();
                end_cell("ok");
        } else {
                cell_failed();
        }
}

/* ---- what runner.R says about it ---- */

/* The cell is about to end by an error, or an interrupt, that nobody handles. */
EXPORT SEXP retort_report(SEXP name, SEXP value, SEXP traceback, SEXP interrupted, SEXP calls) {
        SET_SYMVALUE(Rf_install(".Traceback"), calls);
        if (cell.stage != NOTHING && cell.stage != ENDING && runner_is_ours()) {
                const char *text = cell.stage == PARSING ? "parse error" : Rf_translateCharUTF8(STRING_ELT(name, 0));
                set_report(text, Rf_translateCharUTF8(STRING_ELT(value, 0)), Rf_translateCharUTF8(STRING_ELT(traceback, 0)));
                cell.interrupted = Rf_asLogical(interrupted) == 1;
        }
        return R_NilValue;
}

/* q(): true if it is a cell that asks; then this does not return. */
EXPORT SEXP retort_quit(SEXP status) {
        if (cell.stage == NOTHING || !runner_is_ours())
                return Rf_ScalarLogical(0);
        cell.quit = true;
        cell.exit_code = Rf_asInteger(status);
        Rf_jump_to_toplevel();
}

EXPORT SEXP retort_plotted(void) {
        plotted = true;
        return R_NilValue;
}

EXPORT SEXP retort_item(SEXP data, SEXP metadata, SEXP is_main) {
        if (cell.stage == NOTHING || !runner_is_ours())
                return Rf_ScalarLogical(0);
        json_t *bundle = values_bundle(data), *more = TYPEOF(metadata) == NILSXP ? NULL : values_bundle(metadata);
        if (json_object_size(bundle) == 0) {
                json_decref(bundle);
                json_decref(more);
                return Rf_ScalarLogical(0);
        }
        if (more && json_object_size(more) == 0) {
                json_decref(more);
                more = NULL;
        }
        runner_flush();
        if (rt_frames_item(&runner.frames, cell.id, bundle, more, Rf_asLogical(is_main) == 1) < 0)
                _exit(EXIT_FAILURE);
        return Rf_ScalarLogical(1);
}

/* What print() says about a value, as at the prompt. */
EXPORT SEXP retort_print(SEXP value) {
        size_t start = console_capture();
        Rf_PrintValue(value);
        bool empty;
        json_t *text = console_captured(start, &empty);
        SEXP ret = empty ? R_NilValue : values_text(json_string_value(text), json_string_length(text));
        json_decref(text);
        return ret;
}

/* After a print() that failed: what it said until then is output. */
EXPORT SEXP retort_release(void) {
        console_release();
        return R_NilValue;
}
