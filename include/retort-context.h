/* SPDX-License-Identifier: Apache-2.0
 *
 * Contexts: state between cells. A *context* is a box that lasts, with an interpreter in it that runs one *cell* after
 * the other; what one defined, the next finds. Cells end with an outcome as every run does, with items and an execution count.
 *
 * What holds besides what retort.h says:
 *  - One context may be used by any number of threads at once: cells wait for each other, at most RETORT_MAX_WAITING; files,
 *    commands and control calls do not wait for a cell.
 *  - A context that ended (a limit, exit, its idle time) stays as it is until it is restarted or closed: cells on it are refused.
 *  - Contexts are closed before their engine is.
 */
#ifndef RETORT_CONTEXT_H
#define RETORT_CONTEXT_H

#include "retort.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct retort_context retort_context;

/* Source: ours. */
#define RETORT_MAX_WAITING 16               /* cells that wait in one context */
#define RETORT_MAX_FILE_BYTES (256u << 20)  /* one file that is read or written by one call */
#define RETORT_CONTEXT_IDLE_MS 1800000u     /* half an hour without a call ends a context */
#define RETORT_CONTEXT_LIFETIME_MS 86400000u /* the ceiling of wall_ms */

/* ---- opening ----------------------------------------------------------------------------------- */

/* Zero-initialise: every zero is the default. */
struct retort_context_options {
        const char *language; /* name or alias; required. RETORT_E_INPUT for one that has no contexts */
        const char *version;
        const char *cwd;      /* where its cells begin; relative to the work directory; made if it is not there */
        /* Directories in the box where its interpreter looks for packages first, with colons between them; relative to the work
         * directory. R and Java know what lies there when they start. RETORT_E_INPUT: this language's cannot. */
        const char *packages;
        const char *const *env; /* "NAME=VALUE", for the interpreter and all that it starts */
        size_t n_env;
        /* Of the box: memory_bytes, processes, file_bytes, open_files, disk_bytes. For a cell that does not say: wall_ms,
         * cpu_ms, output_bytes. */
        struct retort_limits limits;
        const struct retort_file *files; /* written before it starts */
        size_t n_files;
        uint64_t idle_ms;     /* it ends when nobody has called for so long; 0: RETORT_CONTEXT_IDLE_MS */
        uint64_t lifetime_ms; /* it ends so long after it was opened; 0: RETORT_CONTEXT_LIFETIME_MS */
};

/* Opens a context and waits until its interpreter is ready, at most a minute (in practice milliseconds, where
 * retort_engine_warm(engine, "<language>/context", ..) was there before). */
RETORT_API int retort_context_open(retort_engine *engine, const struct retort_context_options *options,
                                   retort_context **ret_context, struct retort_error *err);
/* Opens another one in the box of the first: they share files, limits and processes, and end together when the box does.
 * files, limits, idle_ms and lifetime_ms of options must be 0. The box ends when the last of them is closed. */
RETORT_API int retort_context_open_beside(retort_context *first, const struct retort_context_options *options,
                                          retort_context **ret_context, struct retort_error *err);
/* Copies a context live, with everything it has in memory, into the same box (see retort_context_open_beside). It waits
 * for a cell that runs. RETORT_E_INPUT: this language's cannot be copied. */
RETORT_API int retort_context_fork(retort_context *context, retort_context **ret_context, struct retort_error *err);
/* Ends it, whatever it does: a cell that runs ends as `cancelled`. No other thread may use it any more but one that is in
 * retort_context_run, which is waited for. */
RETORT_API void retort_context_close(retort_context *context);

/* ---- cells ------------------------------------------------------------------------------------- */

/* Zero-initialise. */
struct retort_cell {
        struct retort_bytes code;
        const char *name;  /* in tracebacks; NULL: a number */
        struct retort_bytes stdin_data; /* lines for input() and its like; then end of file */
        const char *const *env; /* "NAME=VALUE", for this cell only */
        size_t n_env;
        const char *cwd;   /* where this cell begins; NULL: where the last one ended */
        const char *const *formats; /* what figures become: "png" (if none), "svg", "jpeg", "pdf" */
        size_t n_formats;
        bool silent;       /* it is not counted, and its value not shown */
        uint64_t wall_ms;  /* 0: the context's. When it is over the cell is interrupted, and the state is kept, if that helps within
                              RETORT_GRACE_MS; else the context ends */
        uint64_t cpu_ms;   /* the same */
        uint64_t output_bytes; /* stdout and stderr; and, apart from those, items. The cell is interrupted */
        int cancel_fd;     /* readable (an eventfd): interrupt this cell, or do not begin it; 0: none */
};
#define RETORT_GRACE_MS 2000u

/* Runs a cell and waits for its outcome, as retort_run_wait. The outcome's context_state tells whether the context goes on.
 * A cell that raised an error is `nonzero` with exit code 1 and error set; one that was interrupted is `cancelled`, or the
 * limit that was why; one that asked to exit has that exit code. RETORT_E_CLOSED: the context had ended; RETORT_E_INPUT: it is paused,
 * or too many wait. */
RETORT_API int retort_context_run(retort_context *context, const struct retort_cell *cell, retort_event_fn on_event,
                                  void *userdata, struct retort_outcome **ret_outcome, struct retort_error *err);
/* Interrupts the cell that runs now, as Ctrl-C would; nothing happens when none does. Does not block. */
RETORT_API void retort_context_interrupt(retort_context *context);
/* What could stand at cursor (characters of Unicode from 0): {"matches": [..], "start", "end"}. What is known of the name there:
 * {"found", "data": {mime: value}}. To be freed with free(). They wait for a cell that runs, at most ten seconds. RETORT_E_INPUT: this
 * language's runner cannot. */
RETORT_API int retort_context_complete(retort_context *context, struct retort_bytes code, uint64_t cursor, char **ret_json,
                                       struct retort_error *err);
RETORT_API int retort_context_inspect(retort_context *context, struct retort_bytes code, uint64_t cursor, unsigned detail,
                                      char **ret_json, struct retort_error *err);

/* ---- control ----------------------------------------------------------------------------------- */

/* A new interpreter in the same box: files stay, variables go. If the box had ended too it is a new one, and *ret_files_kept false
 * (may be NULL). A cell that runs is interrupted and ended. */
RETORT_API int retort_context_restart(retort_context *context, bool *ret_files_kept, struct retort_error *err);
/* Stops every process of its box where it stands, and lets them go on. Cells, commands and file calls are refused meanwhile, and
 * the idle time stands still. RETORT_E_INPUT while a cell or command runs in the box. */
RETORT_API int retort_context_pause(retort_context *context, struct retort_error *err);
RETORT_API int retort_context_resume(retort_context *context, struct retort_error *err);

/* Every state of a context: name on the wire, meaning. A closed set. */
#define RETORT_CONTEXT_STATES(X)                                                                    \
        X(IDLE, "idle", "it waits for a cell")                                                      \
        X(BUSY, "busy", "a cell runs")                                                              \
        X(PAUSED, "paused", "it stands still")                                                      \
        X(DEAD, "dead", "its interpreter has ended; it can be restarted")
#define X(name, wire, text) RETORT_CONTEXT_##name,
enum retort_context_state { RETORT_CONTEXT_STATES(X) };
#undef X
RETORT_API const char *retort_context_state_name(enum retort_context_state state);

struct retort_context_info {
        enum retort_context_state state;
        const char *id;       /* 26 characters, sorts by time; lives as long as the context */
        const char *language; /* the runtime's name; the same */
        const char *version;
        char box[27];         /* id of the box: the same for contexts that share one; another one once it was restarted without it */
        char why[192];        /* DEAD: in words */
        uint64_t execution_count;
        uint64_t age_ms;
        uint64_t idle_ms;     /* since the last call on its box */
        bool can_fork, can_complete, can_inspect;
};
/* Does not block. Also notices that it has ended, and gives its box back then. Does not count as a call. */
RETORT_API void retort_context_info(retort_context *context, struct retort_context_info *ret_info);

/* ---- commands ---------------------------------------------------------------------------------- */

/* A program in the box of a context. Zero-initialise. */
struct retort_command {
        const char *const *argv; /* exactly one of argv and shell */
        size_t n_argv;
        const char *shell; /* a text for bash -c (sh where there is no bash) */
        const char *cwd;   /* relative to the work directory; NULL: that */
        const char *const *env; /* added to the context's */
        size_t n_env;
        struct retort_bytes stdin_data;
        uint64_t wall_ms, output_bytes; /* 0: RETORT_LIMITS' defaults. Then it is killed, with all that it started in its session */
        int cancel_fd;     /* as in a cell: it is killed */
};
/* Runs it and waits, as retort_run_wait; also while a cell runs. The outcome has no items; its usage is what wait4(2) told the
 * box's first process. */
RETORT_API int retort_context_command(retort_context *context, const struct retort_command *command, retort_event_fn on_event,
                                      void *userdata, struct retort_outcome **ret_outcome, struct retort_error *err);

/* ---- files ------------------------------------------------------------------------------------- */

/* Paths are the guest's, and relative to the work directory unless absolute. All of it is done inside the box, as the guest: what a
 * program in it could not do these calls cannot either. Errors of the file system are RETORT_E_INPUT with a sentence,
 * and errno tells which (ENOENT, ...). They block for at most ten seconds. */

/* Reads from offset at most `most` bytes (0: to the end; at most RETORT_MAX_FILE_BYTES): regular files only. on_data is called on this thread
 * with one part after the other, and may end it by returning false. *ret_size (may be NULL) is the size of the whole file. */
typedef bool (*retort_data_fn)(const char *data, size_t size, void *userdata);
RETORT_API int retort_context_read(retort_context *context, const char *path, uint64_t offset, uint64_t most, retort_data_fn on_data,
                                   void *userdata, uint64_t *ret_size, struct retort_error *err);
enum retort_write { RETORT_WRITE_REPLACE, RETORT_WRITE_APPEND, RETORT_WRITE_NEW };
/* Writes a file, making the folders it is in. mode: permission bits of a new one, 0: 0644. NEW: refused if it is there. */
RETORT_API int retort_context_write(retort_context *context, const char *path, struct retort_bytes content, enum retort_write how,
                                    unsigned mode, struct retort_error *err);
/* {"name", "path", "type": file|directory|symlink|other, "size", "mode", "modified": RFC 3339 with microseconds, "target"?}; a symbolic link is told
 * as what it is. To be freed with free(). */
RETORT_API int retort_context_stat(retort_context *context, const char *path, char **ret_json, struct retort_error *err);
/* The entries of a folder as an array of these, by name; depth 1: its own, more: of its folders too, at most 10,000 in all. */
RETORT_API int retort_context_list(retort_context *context, const char *path, unsigned depth, char **ret_json,
                                   struct retort_error *err);
RETORT_API int retort_context_make_directory(retort_context *context, const char *path, struct retort_error *err);
RETORT_API int retort_context_move(retort_context *context, const char *from, const char *to, struct retort_error *err);
/* A folder with all that is in it, too. */
RETORT_API int retort_context_remove(retort_context *context, const char *path, struct retort_error *err);
/* Watches a folder (recursive: and all below it) until cancel_fd is readable, the context ends, or on_data returns false. on_data gets one
 * line of JSON for each thing that happens: {"type": create|modify|delete|move, "path"}; first {"type": "ready"}. Blocks. */
RETORT_API int retort_context_watch(retort_context *context, const char *path, bool recursive, int cancel_fd,
                                    retort_data_fn on_data, void *userdata, struct retort_error *err);

#ifdef __cplusplus
}
#endif
#endif
