/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of R's runner know of each other, and of R: names of its C interface and of its interface for front ends, declared
 * here so that the runner can be built where R is not installed.
 */
#pragma once

#include <signal.h>
#include <stdarg.h>
#include <stdint.h>

#include "../lib/frames.h"

#define EXPORT __attribute__((visibility("default")))

/* ---- R ---- */

typedef struct SEXPREC *SEXP;
enum { NILSXP = 0, CLOSXP = 3, LGLSXP = 10, INTSXP = 13, REALSXP = 14, STRSXP = 16, VECSXP = 19, EXPRSXP = 20, RAWSXP = 24 };
enum { CE_UTF8 = 1, PARSE_OK = 1 };

extern SEXP R_NilValue, R_GlobalEnv, R_BaseEnv, R_NaString, R_NamesSymbol, R_ClassSymbol, R_LastvalueSymbol;
extern int R_NaInt;
extern SEXP Rf_eval(SEXP call, SEXP env);
extern SEXP R_tryEvalSilent(SEXP call, SEXP env, int *ret_failed);
extern SEXP R_ParseVector(SEXP text, int n, int *ret_status, SEXP srcfile);
extern SEXP Rf_protect(SEXP value);
extern void Rf_unprotect(int n);
extern void R_PreserveObject(SEXP value);
extern void R_ReleaseObject(SEXP value);
extern SEXP Rf_allocVector(unsigned type, ptrdiff_t n);
extern SEXP Rf_mkString(const char *text);
extern SEXP Rf_mkCharLenCE(const char *text, int size, int encoding);
extern SEXP Rf_ScalarLogical(int value);
extern SEXP Rf_ScalarInteger(int value);
extern SEXP Rf_ScalarString(SEXP text);
extern SEXP Rf_install(const char *name);
extern SEXP Rf_lang1(SEXP call), Rf_lang2(SEXP call, SEXP a), Rf_lang3(SEXP call, SEXP a, SEXP b), Rf_lang4(SEXP call, SEXP a, SEXP b, SEXP c);
extern SEXP Rf_getAttrib(SEXP value, SEXP name);
extern void SET_SYMVALUE(SEXP name, SEXP value); /* in the base environment, locked or not */
extern SEXP ATTRIB(SEXP value);
extern const char *Rf_translateCharUTF8(SEXP text);
extern int TYPEOF(SEXP value);
extern ptrdiff_t Rf_xlength(SEXP value);
extern int Rf_inherits(SEXP value, const char *name);
extern int Rf_asLogical(SEXP value);
extern int Rf_asInteger(SEXP value);
extern SEXP STRING_ELT(SEXP value, ptrdiff_t i), VECTOR_ELT(SEXP value, ptrdiff_t i);
extern void SET_STRING_ELT(SEXP value, ptrdiff_t i, SEXP text);
extern int *INTEGER(SEXP value), *LOGICAL(SEXP value);
extern double *REAL(SEXP value);
extern unsigned char *RAW(SEXP value);
extern int R_finite(double value);
extern void Rf_error(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
extern void Rf_PrintValue(SEXP value);
extern void Rf_jump_to_toplevel(void) __attribute__((noreturn));
extern void R_CheckUserInterrupt(void);
extern void R_RunExitFinalizers(void);
extern void R_CleanTempDir(void);
extern const char *R_curErrorBuf(void);
extern int R_Visible, R_Interactive, R_interrupts_pending;
extern void *R_GlobalContext; /* where evaluation is: only ever compared */
extern FILE *R_Outputfile, *R_Consolefile;
extern char *R_TempDir;
extern int (*ptr_R_ReadConsole)(const char *prompt, unsigned char *to, int room, int history);
extern void (*ptr_R_WriteConsole)(const char *text, int size);
extern void (*ptr_R_WriteConsoleEx)(const char *text, int size, int is_error);

/* ---- runner.c ---- */

/* Functions of runner.R that are called from here, in the order of its list. */
enum hook { HOOK_PARSE, HOOK_PARSE_ERROR, HOOK_SHOW, HOOK_PAGES, HOOK_FALLBACK, HOOK_COMPLETE, HOOK_INSPECT, HOOK_CELL, HOOKS };

struct runner {
        struct rt_frames frames;
        SEXP hooks[HOOKS];
        SEXP start; /* a call */
        pid_t owner; /* whose forked children speak to nobody */
        void *top;   /* R_GlobalContext where nothing is evaluated */
        bool crashing;
};
extern struct runner runner;

bool runner_is_ours(void);
void runner_flush(void); /* what C buffers */
void runner_send(json_t *message);
_Noreturn void runner_end(void);
/* A call of runner.R that does not come to the program: its value (unprotected), or NULL if it failed. */
SEXP runner_call(SEXP call);

/* ---- cell.c ---- */

void cell_run(const json_t *message);
void cell_failed(void); /* R is at its top level again, and a cell was running */
bool cell_is_running(void);
json_int_t cell_id(void);

/* ---- console.c ---- */

void console_begin(void); /* from now on R's console is here, and SIGINT ours */
/* What R prints from now on is kept, until console_captured says what came since the start that is returned here. They may nest. */
size_t console_capture(void);
bool console_is_capturing(void);
json_t *console_captured(size_t start, bool *ret_empty); /* without the last newline */
void console_release(void); /* all of it to stdout, as if it had not been kept */
bool console_read(const char *prompt, unsigned char *to, int room); /* a line for a program; false: there are no more */
void console_warn_plainly(bool on); /* R's call for warnings that are due says "In addition" */
void console_interrupts(bool on);
unsigned console_interrupted(void); /* how often since then */

/* ---- values.c ---- */

SEXP values_text(const char *text, size_t size);
json_t *values_string(SEXP value); /* the first text of a character vector, or "" */
/* A list of MIME types, as `data` or `metadata` of an item. */
json_t *values_bundle(SEXP list);

/* ---- for runner.R, by .Call ---- */

SEXP retort_prepare(SEXP hooks, SEXP r_version, SEXP begin);
SEXP retort_begin(SEXP supervisor);
SEXP retort_report(SEXP name, SEXP value, SEXP traceback, SEXP interrupted, SEXP calls);
SEXP retort_quit(SEXP status);
SEXP retort_plotted(void);
SEXP retort_item(SEXP data, SEXP metadata, SEXP is_main);
SEXP retort_print(SEXP value);
SEXP retort_release(void);
SEXP retort_stdin(SEXP mode);
SEXP retort_shell(SEXP command);
