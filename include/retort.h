/* SPDX-License-Identifier: Apache-2.0
 *
 * Retort runs code that nobody trusts, and tells exactly what happened.
 *
 * This is the whole public interface of libretort, plain C11. The nouns: a *request* says what to run;
 * the *engine* runs it in a *box*, tells *events* as they happen, and ends with one *outcome*. A guest
 * that fails (exit code, signal, limit) is an outcome, never an error: an error is ours, and comes
 * back as a negative RETORT_E_* with a sentence in a struct retort_error.
 *
 * What always holds, unless a function says otherwise:
 *  - Every function may be called from any thread; one object may be used by one thread at a time.
 *    An engine may be used by any number of threads at once.
 *  - The library keeps no global state, never exits, never blocks without a deadline, installs no
 *    signal handler and changes no process-wide setting.
 *  - Pointers given in are read during the call only. Pointers handed out belong to the object they
 *    came from and die with it. Every *_free and *_close takes NULL.
 *  - Texts are UTF-8 and end in NUL, except where a size stands beside them: those may hold any byte.
 */
#ifndef RETORT_H
#define RETORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define RETORT_API __attribute__((visibility("default")))
#else
#define RETORT_API
#endif

#define RETORT_VERSION "0.1.0"

/* ---- errors ------------------------------------------------------------------------------------ */

/* Every error code: name, value, what it means. Values are part of the ABI and never change. */
#define RETORT_ERRORS(X)                                                                            \
        X(INPUT, -1, "what was asked for is wrong; the message says which field and why")           \
        X(NOMEM, -2, "out of memory")                                                               \
        X(SYSTEM, -3, "the operating system refused something; the message says what")              \
        X(NO_RUNTIME, -4, "the language is unknown, or its toolchain is not installed")             \
        X(ISOLATION, -5, "the isolation asked for cannot be had on this host")                      \
        X(CLOSED, -6, "the engine is closing or its jailer is gone")                                \
        X(TIMEOUT, -7, "the wait ended before the run did")                                         \
        X(BUG, -8, "an invariant of Retort's own was broken")

#define X(name, value, text) RETORT_E_##name = (value),
enum retort_error_code { RETORT_ERRORS(X) };
#undef X

/* One sentence for people. Owned by the caller; a call that fails fills it, a call that succeeds leaves it. */
struct retort_error {
        int code;          /* RETORT_E_*, or 0 */
        char message[768]; /* outermost words first, root cause last; cut, never allocated */
};

/* ---- limits ------------------------------------------------------------------------------------ */

/* Every limit: member, unit, default, smallest, largest (the ceiling may be lowered in retort_config),
 * meaning. In a request 0 means "the runtime's default". Source of the defaults: what the examples and
 * hello programs of all runtimes need (`bench/RESULTS.md`), times four; of the ceilings: what one host
 * of the smallest supported size can give one guest. */
#define RETORT_LIMITS(X)                                                                            \
        X(wall_ms, "ms", 10000, 1, 86400000, "wall-clock time of the step")                         \
        X(cpu_ms, "ms", 10000, 1, 86400000, "CPU time of all processes together")                   \
        X(memory_bytes, "bytes", 512ull << 20, 1ull << 20, 1ull << 40, "memory of all processes and files") \
        X(processes, "count", 256, 1, 32768, "processes and threads at any one time")               \
        X(output_bytes, "bytes", 16ull << 20, 1, 1ull << 30, "stdout and stderr together")          \
        X(file_bytes, "bytes", 64ull << 20, 0x1000, 1ull << 40, "size of any one file")             \
        X(open_files, "count", 512, 8, 1048576, "open descriptors of one process")                  \
        X(disk_bytes, "bytes", 256ull << 20, 1ull << 16, 1ull << 40, "all files of the box together")

struct retort_limits {
#define X(member, unit, dflt, floor, ceiling, text) uint64_t member;
        RETORT_LIMITS(X)
#undef X
};

/* ---- request ----------------------------------------------------------------------------------- */

/* Bytes that may hold anything. data may be NULL when size is 0. */
struct retort_bytes {
        const char *data;
        size_t size;
};

/* One source file. path is relative, inside the work directory, of '/'-separated parts that are none of
 * "", "." and ".."; at most 255 bytes. Parents are made. */
struct retort_file {
        const char *path;
        struct retort_bytes content;
};

/* Ceilings of what one request may bring. Source: our own; a larger project belongs in a root image. */
#define RETORT_MAX_FILES 256
#define RETORT_MAX_FILES_BYTES (32u << 20) /* all files, code and stdin together */
#define RETORT_MAX_ARGS 1024               /* args, and as many environment entries */
#define RETORT_MAX_PATH 255                /* NAME_MAX of limits.h, used for whole paths */

/* What to run. Zero-initialise, then set what is needed: every zero is the default. */
struct retort_request {
        const char *language; /* name or alias, case-insensitive; required */
        const char *version;  /* NULL: whichever is installed */

        /* Exactly one of code and files. */
        struct retort_bytes code;
        const struct retort_file *files;
        size_t n_files;
        const char *entry; /* which file is run; NULL: the first */

        struct retort_bytes stdin_data;
        const char *const *args; /* the program's own arguments */
        size_t n_args;
        const char *const *env; /* "NAME=VALUE" */
        size_t n_env;
        struct retort_limits limits; /* of the run step */

        const char *const *compile_args; /* appended to the compiler's */
        size_t n_compile_args;
        struct retort_limits compile_limits;

        /* A terminal of its own for the run step, of this size, instead of three pipes: what the program writes comes as
         * stdout events, what is typed goes in through stdin_fd (Ctrl-C is the byte 3, end of file the byte 4; the end
         * of stdin_fd types one). 0: none. */
        uint32_t terminal_columns;
        uint32_t terminal_rows;

        /* Live stdin: read by the engine until end of file and passed on through a pipe, so that a guest
         * never holds a terminal. 0 means none (use dup if it is descriptor 0). Not part of the JSON. */
        int stdin_fd;

        bool compile_fresh; /* the compile cache is neither asked nor filled */
        /* Whose request it is, to the compile cache: what was compiled for one scope serves that scope alone. Not part of
         * the JSON. */
        uint64_t cache_scope;
};

/* Reads a request from JSON (ARCHITECTURE.md, "The record on the wire"). Unknown fields, wrong types and
 * duplicate keys are RETORT_E_INPUT with line and column. *ret_request is freed with retort_request_free;
 * it is untouched on failure. Does not block. */
RETORT_API int retort_request_parse(const char *json, size_t size, struct retort_request **ret_request,
                                    struct retort_error *err);
/* Frees a request that retort_request_parse made; never one of the caller's own. */
RETORT_API void retort_request_free(struct retort_request *request);
/* Writes a request as JSON into *ret_json, to be freed with free(). */
RETORT_API int retort_request_json(const struct retort_request *request, char **ret_json,
                                   struct retort_error *err);

/* ---- outcome ----------------------------------------------------------------------------------- */

/* Every status of an outcome or a step: name on the wire, meaning. A closed set. */
#define RETORT_STATUSES(X)                                                                          \
        X(OK, "ok", "ended with exit code 0")                                                       \
        X(NONZERO, "nonzero", "ended with another exit code")                                       \
        X(SIGNAL, "signal", "ended by a signal")                                                    \
        X(CPU_LIMIT, "cpu_limit", "used more CPU time than cpu_ms")                                 \
        X(WALL_LIMIT, "wall_limit", "ran longer than wall_ms")                                      \
        X(MEMORY_LIMIT, "memory_limit", "needed more memory than memory_bytes")                     \
        X(OUTPUT_LIMIT, "output_limit", "wrote more than output_bytes")                             \
        X(PROCESS_LIMIT, "process_limit", "wanted more processes than allowed")                     \
        X(FILE_LIMIT, "file_limit", "wrote a file larger than file_bytes, or more than disk_bytes") \
        X(DENIED, "denied", "made a system call that guests are refused")                           \
        X(COMPILE_ERROR, "compile_error", "the compiler refused the program")                       \
        X(CANCELLED, "cancelled", "was cancelled")                                                  \
        X(INTERNAL, "internal", "Retort or its host failed; not the guest's doing")

#define X(name, wire, text) RETORT_##name,
enum retort_status { RETORT_STATUSES(X) };
#undef X

/* Which limit ended a step. For `denied` name is "syscall", how names the call, value is 0 and measured its
 * number. */
struct retort_hit {
        const char *name; /* member of retort_limits, "syscall", or NULL when no limit was hit */
        uint64_t value;
        uint64_t measured;
        const char *how; /* how it was measured, for people: "cgroup1 memory.failcnt" */
};

/* What a step, or a whole run, took. */
struct retort_usage {
        uint64_t queue_ns;  /* waiting for a free slot */
        uint64_t setup_ns;  /* making the box and its files ready */
        uint64_t wall_ns;   /* first instruction to last */
        uint64_t cpu_ns;    /* user_ns + system_ns */
        uint64_t user_ns;
        uint64_t system_ns;
        uint64_t peak_memory_bytes;
        uint64_t processes; /* most at one time, threads included */
        uint64_t output_bytes;
        const char *cpu_how; /* how each was measured; NULL: it was not */
        const char *memory_how;
        const char *processes_how;
};

/* One step of a run. */
struct retort_step {
        const char *name; /* "compile" or "run" */
        enum retort_status status;
        int exit_code; /* -1 when it did not end by itself; a limit may have made it end so */
        int signal;    /* the signal's number, or 0 */
        struct retort_bytes stdout_data;
        struct retort_bytes stderr_data;
        struct retort_hit limit;
        struct retort_usage usage;
        bool cached; /* it was not started: what the very same step left and said earlier serves again; it used nothing */
};

/* The representations of one rich result: member, key on the wire, MIME type, kind. TEXT members are text
 * (png, jpeg and pdf in base64), JSON members hold JSON. In the order users see them. */
#define RETORT_ITEM_FIELDS(X)                                                                       \
        X(text, "text/plain", TEXT)                                                                 \
        X(html, "text/html", TEXT)                                                                  \
        X(markdown, "text/markdown", TEXT)                                                          \
        X(png, "image/png", TEXT)                                                                   \
        X(jpeg, "image/jpeg", TEXT)                                                                 \
        X(svg, "image/svg+xml", TEXT)                                                               \
        X(pdf, "application/pdf", TEXT)                                                             \
        X(latex, "text/latex", TEXT)                                                                \
        X(json, "application/json", JSON)                                                           \
        X(javascript, "application/javascript", TEXT)                                               \
        X(chart, "application/vnd.retort.chart+json", JSON)                                         \
        X(data, "application/vnd.retort.data+json", JSON)

/* A representation of a MIME type that has no member of its own. */
struct retort_extra {
        const char *mime;
        const char *json; /* the value, as JSON */
};

struct retort_item {
#define X(member, mime, kind) const char *member; /* NULL: not present */
        RETORT_ITEM_FIELDS(X)
#undef X
        const struct retort_extra *extra;
        size_t n_extra;
        bool is_main_result;
};

/* An uncaught error of the guest's language. */
struct retort_guest_error {
        const char *name;      /* NULL: no error */
        const char *value;
        const char *traceback; /* may be "" */
};

/* One message of a compiler. */
struct retort_diagnostic {
        const char *file;
        uint32_t line;   /* from 1; 0: unknown */
        uint32_t column; /* from 1, in bytes; 0: unknown */
        const char *severity; /* "error", "warning" or "note" */
        const char *message;
};

/* The record of a finished run. Everything any API shows is computed from it. */
struct retort_outcome {
        const char *id;       /* 26 characters, sorts by time */
        const char *language; /* the runtime's name, not the alias */
        const char *version;
        enum retort_status status;
        int exit_code; /* -1 when there is none */
        int signal;
        struct retort_hit limit;

        struct retort_bytes stdout_data; /* of the run step, complete or cut at the output limit */
        struct retort_bytes stderr_data;
        bool stdout_truncated;
        bool stderr_truncated;

        const struct retort_item *items;
        size_t n_items;
        struct retort_guest_error error;
        const struct retort_diagnostic *diagnostics;
        size_t n_diagnostics;
        int64_t execution_count; /* -1: none (a run outside a context) */
        const char *context_state; /* of a cell: what its context is now (RETORT_CONTEXT_STATES); else NULL */

        const struct retort_step *steps;
        size_t n_steps;
        struct retort_usage usage; /* of the whole run */

        const char *start;           /* "fork", "parked", "pool", "cold" or "live" */
        const char *isolation_level; /* "strong", "reduced" or "minimal" */
        const char *const *isolation_missing;
        size_t n_isolation_missing;

        const char *message; /* for INTERNAL: what went wrong; else NULL */
};

RETORT_API void retort_outcome_free(struct retort_outcome *outcome);
/* JSON in and out, as for requests. What is not UTF-8 goes as base64 with an *_encoding beside it. */
RETORT_API int retort_outcome_parse(const char *json, size_t size, struct retort_outcome **ret_outcome,
                                    struct retort_error *err);
RETORT_API int retort_outcome_json(const struct retort_outcome *outcome, char **ret_json,
                                   struct retort_error *err);

/* Names on the wire ("ok", "wall_limit"); NULL for a number that is none. */
RETORT_API const char *retort_status_name(enum retort_status status);

/* A foreign view of an outcome as JSON text, to be freed with free(). view is one of "agentbay" (its current
 * format), "agentbay-rich", "runtime" (output, exitCode, executionTime) and "runtime-head" (stdout, stderr,
 * errorType, exitCode, executionTime); anything else is RETORT_E_INPUT and lists them. */
RETORT_API int retort_outcome_view(const struct retort_outcome *outcome, const char *view, char **ret_json,
                                   struct retort_error *err);

/* ---- events ------------------------------------------------------------------------------------ */

#define RETORT_EVENT_TYPES(X)                                                                       \
        X(STARTED, "started", "a step began")                                                       \
        X(STDOUT, "stdout", "the guest wrote")                                                      \
        X(STDERR, "stderr", "the guest wrote")                                                      \
        X(ITEM, "item", "a rich result")                                                            \
        X(ERROR, "error", "an uncaught error of the guest's language")                              \
        X(STEP, "step", "a step ended")                                                             \
        X(END, "end", "the run ended; carries the outcome")

#define X(name, wire, text) RETORT_EVENT_##name,
enum retort_event_type { RETORT_EVENT_TYPES(X) };
#undef X

/* One thing that happened. seq counts from 0 over all streams of a run; at_ns is monotonic, from the
 * submission. Only the members of its type are set. Valid during the callback only. */
struct retort_event {
        uint64_t seq;
        uint64_t at_ns;
        enum retort_event_type type;
        const char *step_name;                  /* STARTED, STDOUT, STDERR */
        struct retort_bytes data;               /* STDOUT, STDERR: cut between UTF-8 characters where it can be */
        const struct retort_item *item;         /* ITEM */
        const struct retort_guest_error *error; /* ERROR */
        const struct retort_step *step;         /* STEP */
        const struct retort_outcome *outcome;   /* END */
};

/* One event as one line of JSON without the newline, to be freed with free(). */
RETORT_API int retort_event_json(const struct retort_event *event, char **ret_json,
                                 struct retort_error *err);
/* Reads one event back. *ret_event is freed with retort_event_free. */
RETORT_API int retort_event_parse(const char *json, size_t size, struct retort_event **ret_event,
                                  struct retort_error *err);
RETORT_API void retort_event_free(struct retort_event *event);

/* Called for each event, in order, on the thread that runs the request. While it has not returned the guest's
 * output waits: a slow reader slows the program. It must not call retort_wait on its own run. */
typedef void (*retort_event_fn)(const struct retort_event *event, void *userdata);

/* ---- engine ------------------------------------------------------------------------------------ */

enum retort_isolation { RETORT_ISOLATION_MINIMAL, RETORT_ISOLATION_REDUCED, RETORT_ISOLATION_STRONG };

/* How an engine is set up. Zero-initialise: every zero is the default. */
struct retort_config {
        const char *runtimes_dir; /* NULL: $RETORT_RUNTIMES, else where they were installed */
        const char *libexec_dir;  /* where retort-jailer and retort-init are; NULL: $RETORT_LIBEXEC, else as installed */
        const char *scratch_dir;  /* for hosts without mount namespaces; NULL: $TMPDIR, else the system's */
        unsigned slots;           /* boxes at most at once; 0: twice the CPUs; at most 128 */
        unsigned warm_slots;      /* boxes kept ready; 0: one for each CPU, at most slots */
        bool no_warm;             /* make no box before it is asked for, keep none for the next run */
        struct retort_limits ceilings;      /* 0: as in RETORT_LIMITS */
        enum retort_isolation minimum;      /* refuse to open below this */
        const char *disable; /* comma-separated isolation mechanisms to do without, for tests of the fallbacks:
                                names as `retort doctor` prints them */
        uint64_t cache_bytes;     /* what compiled programs kept for later runs may take; 0: RETORT_CACHE_BYTES */
        bool no_cache;            /* keep none */
        const char *warm; /* comma-separated languages whose interpreters are frozen and forked, or started ahead: "python"; "" for none;
                             "python/context": for its contexts; NULL: every one that can be, when it is first asked for */
};

#define RETORT_CACHE_BYTES (64ull << 20)

/* What became of the compile cache since the engine was opened. */
struct retort_cache_stats {
        uint64_t hits;     /* compile steps that were not started */
        uint64_t misses;   /* that were, and could have been there */
        uint64_t passed;   /* that may not be kept: time in the source, asked to be fresh, outputs of another kind */
        uint64_t evicted;  /* to make room */
        uint64_t emptied;  /* times that a compiler, header or library of the host changed, and all was dropped */
        uint64_t programs; /* there now */
        uint64_t bytes;    /* that they take */
};

typedef struct retort_engine retort_engine;
typedef struct retort_run retort_run;

/* Starts a jailer process and reads the runtimes. Blocks for at most 10 s. On success *ret_engine is closed
 * with retort_engine_close. config may be NULL. */
RETORT_API int retort_engine_open(retort_engine **ret_engine, const struct retort_config *config,
                                  struct retort_error *err);
/* Cancels what runs, waits for it (at most 10 s), removes every box. No other thread may use the engine. */
RETORT_API void retort_engine_close(retort_engine *engine);

/* Runs a request on the calling thread and waits for its outcome. on_event may be NULL. Returns 0 and an
 * outcome (to be freed with retort_outcome_free) whatever the guest did; negative when the request was
 * refused. Blocks for at most the request's limits and the time to get a slot. */
RETORT_API int retort_run_wait(retort_engine *engine, const struct retort_request *request,
                               retort_event_fn on_event, void *userdata,
                               struct retort_outcome **ret_outcome, struct retort_error *err);

/* Copies a request and starts it on a thread of the engine. A wrong request is refused here. *ret_run is freed
 * with retort_run_free. Does not block. */
RETORT_API int retort_submit(retort_engine *engine, const struct retort_request *request,
                             retort_event_fn on_event, void *userdata, retort_run **ret_run,
                             struct retort_error *err);
/* Whether retort_submit would take this request: 0, or what is wrong with it. Does not block. */
RETORT_API int retort_request_check(retort_engine *engine, const struct retort_request *request,
                                    struct retort_error *err);
/* Checks and copies a request as retort_submit does, but starts nothing: retort_perform runs it, once, on the
 * thread that calls it, and meanwhile retort_cancel ends it (also before it began). The time between the two
 * counts as queue time. For those who have a queue and threads of their own. */
RETORT_API int retort_prepare(retort_engine *engine, const struct retort_request *request,
                              retort_event_fn on_event, void *userdata, retort_run **ret_run,
                              struct retort_error *err);
/* As retort_run_wait, for what retort_prepare made. A second call gives RETORT_E_INPUT. */
RETORT_API int retort_perform(retort_run *run, struct retort_outcome **ret_outcome, struct retort_error *err);
/* Waits for the outcome, at most timeout_ms (-1: as long as it takes, which the limits bound).
 * RETORT_E_TIMEOUT: not yet, may be called again. The outcome is the caller's; a second call after
 * success gives RETORT_E_INPUT. */
RETORT_API int retort_wait(retort_run *run, int timeout_ms, struct retort_outcome **ret_outcome,
                           struct retort_error *err);
/* Ends the run's box; its outcome will be `cancelled`. May be called from any thread and from a signal
 * handler, also when the run has ended already. */
RETORT_API void retort_cancel(retort_run *run);
/* Tells the run's terminal that its size has changed; the program gets SIGWINCH. Nothing happens when it has none (yet).
 * May be called from any thread. */
RETORT_API void retort_resize(retort_run *run, unsigned columns, unsigned rows);
/* Cancels the run if it still goes on, waits for its end, frees it. */
RETORT_API void retort_run_free(retort_run *run);

/* Sees to it that runs of this language are forks of a frozen interpreter (`start` "parked" or "fork"), or have one that was
 * started ahead (`start` "pool"), and waits until there is one, at most timeout_ms (-1: as long as it takes, at most two
 * minutes). Nobody needs to call this: the first run of a language begins it, and runs start afresh meanwhile.
 * "python/context": the same for contexts. RETORT_E_TIMEOUT: not yet. RETORT_E_INPUT: this language's can be neither, or
 * retort_config.warm leaves it out. Else why it could not. */
RETORT_API int retort_engine_warm(retort_engine *engine, const char *language, int timeout_ms, struct retort_error *err);
/* What isolation this engine has, as JSON, to be freed with free():
 * {"level", "missing": [..], "mechanisms": [{"name", "state": active|unavailable|off, "reason", "mend"}]}. */
RETORT_API int retort_engine_isolation(retort_engine *engine, char **ret_json, struct retort_error *err);
/* The runtimes, as JSON, to be freed with free():
 * [{"name", "title", "aliases": [..], "installed", "version", "install": how to get it, "warm": null (it starts anew for
 * each run) or {"state": cold|starting|frozen|pool|failed, "reason"}, "contexts": null (it has none) or {"warm": the same for
 * them}}]. Runs the toolchains'
 * version commands the first time; blocks for at most 5 s for each. */
RETORT_API int retort_engine_languages(retort_engine *engine, char **ret_json, struct retort_error *err);
/* Does not block. All 0 when nothing is kept. */
RETORT_API void retort_engine_cache(retort_engine *engine, struct retort_cache_stats *ret_stats);
/* The name of the runtime that a file's extension belongs to ("x.py"), or NULL. Does not look at the file. The text
 * lives as long as the engine. */
RETORT_API const char *retort_engine_language_of_file(retort_engine *engine, const char *file_name);

#ifdef __cplusplus
}
#endif
#endif
