/* SPDX-License-Identifier: Apache-2.0
 *
 * Contexts from inside. A *box* that lasts (one slot, one supervisor) holds one or more *runners*, each a process that keeps an
 * interpreter; a retort_context is a runner and the box it is in. A cell runs on the thread that asks for it; nothing here has a
 * thread of its own. What runners and the supervisor say is a guest's word: read with bounds, and believed only about itself.
 *
 * Lock order: a context's lock, then its box's; a box's `asking` before its lock. The two locks are held for moments only: not while a
 * cell runs, a callback is called, or a guest is waited for.
 */
#pragma once

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "engine/engine.h"
#include "engine/pump.h"
#include "model/model.h"
#include "retort-context.h"
#include "supervisor/supervisor.h"

enum {
        RT_CONTEXT_START_MS = 60000,   /* until a runner is ready */
        RT_CONTEXT_ANSWER_MS = 10000,  /* until a runner or supervisor has answered what takes no time */
        RT_CONTEXT_MAX_FRAME = 64 << 20,
        RT_CONTEXT_MAX_ITEMS = 200000, /* of one cell */
        RT_CONTEXT_MAX_ITEM_BYTES = 128 << 20, /* all items of one cell, as text */
        RT_CONTEXT_MAX_TYPES = 64,     /* of one item */
        RT_CONTEXT_MAX_PARSED = 384 << 20, /* what a frame becomes when it is parsed */
};

/* ---- context/box.c: the box ---- */

/* What a cell or command uses and may use, while it goes on. */
struct rt_span {
        enum { RT_SPAN_BEGINS, RT_SPAN_GOES_ON, RT_SPAN_ENDS } stage;
        uint64_t wall_until_ns; /* when the box ends, whoever may have been asked to stop before */
        uint64_t cpu_left_ns;   /* the same for CPU time */
        uint64_t cpu_ns, user_ns, system_ns, peak_memory_bytes, processes; /* so far */
        struct rt_span *next;
};

struct rt_context_box {
        struct retort_engine *engine;
        pthread_mutex_t asking; /* whose turn it is to ask the supervisor: who is stopped by its guest answers nobody */
        int control; /* the supervisor's socket; as long as the box is held */
        pthread_mutex_t lock; /* everything below */
        struct rt_slot *slot; /* NULL: given back */
        int kind;
        bool odd;
        unsigned n_contexts; /* it lives as long as one of them */
        unsigned n_holders;  /* and its memory as long as one of these */
        unsigned n_watches;
        unsigned n_starting; /* interpreters that are not ready yet */
        struct rt_span *spans; /* what goes on */
        bool paused;
        bool frozen; /* paused, its supervisor too */
        bool ended;
        struct rt_box_report report; /* once it has ended */
        struct retort_limits limits; /* what it was started with */
        uint64_t opened_ns, touched_ns, idle_ns, lifetime_ns;
        struct rt_slot_places places;
        char id[RT_MODEL_ID_SIZE];
};

/* Takes a slot and starts a step in it, whose stdin is the control socket. */
int rt_context_box_open(struct retort_engine *engine, int kind, struct rt_context_box **ret_box, const char **ret_start,
                        struct retort_error *err);
int rt_context_box_start(struct rt_context_box *box, const struct rt_lang_step *step, const struct retort_context_options *o,
                         bool forked, const int fds[3], struct retort_error *err);
/* One context less; the last one ends it. */
void rt_context_box_leave(struct rt_context_box *box);
/* For a call that may see the context get another box meanwhile. */
struct rt_context_box *rt_context_box_hold(struct rt_context_box *box);
void rt_context_box_drop(struct rt_context_box *box);
/* Asks the supervisor. ask->n_texts texts (at most two). *ret_fd (may be NULL) takes a descriptor, or is -1. 0; RETORT_E_INPUT with the
 * words for the answer's errno, which is in errno too; RETORT_E_CLOSED when the box has ended. */
int rt_context_box_ask(struct rt_context_box *box, struct rt_ask ask, const char *text, const char *other, const int *fds,
                       unsigned n_fds, struct rt_answer *ret_answer, int *ret_fd, struct retort_error *err);
/* Every process of the box stands still, or goes on. Where no control group can do that its supervisor stops the others. RETORT_E_INPUT:
 * it does already, or something runs or starts in it. */
int rt_context_box_pause(struct rt_context_box *box, bool still, struct retort_error *err);
/* An interpreter begins to start, or has; RETORT_E_INPUT: the box is paused. */
int rt_context_box_starting(struct rt_context_box *box, bool begins, struct retort_error *err);
/* Something begins and ends: usage is counted into the span, and the box's own limits follow. 0, or RETORT_E_CLOSED. */
int rt_context_box_begin(struct rt_context_box *box, struct rt_span *span, struct retort_error *err);
void rt_context_box_end(struct rt_context_box *box, struct rt_span *span);
/* Counts up to now. */
void rt_context_box_count(struct rt_context_box *box);
/* A call: the idle time begins anew. */
void rt_context_box_touch(struct rt_context_box *box);
/* Sees whether it has ended, or does within so long; then its slot goes back. True: it has. */
bool rt_context_box_gone(struct rt_context_box *box, int wait_ms);
/* Why it ended, in words. */
void rt_context_box_why(struct rt_context_box *box, char *text, size_t size);
/* A path of the guest's: absolute as it is, else below the work directory. */
int rt_context_box_path(const struct rt_context_box *box, const char *path, char ret[RT_ASK_MAX_PATH], struct retort_error *err);

/* ---- context/marks.c: where items stand in stdout ---- */

enum { RT_MARK_MAX = 64 };
struct rt_marks {
        char mark[RT_MARK_MAX]; /* the runner's own */
        size_t size;            /* 0: it has none */
        uint64_t seen, taken;   /* marks read; items that have come */
        struct rt_buf held;     /* read behind a mark whose item has not */
        char tail[RT_MARK_MAX]; /* may begin a mark */
        size_t n_tail;
};
/* As rt_pump_read for stdout. While a mark waits for its item nothing is read. */
bool rt_marks_read(struct rt_marks *marks, struct rt_pump *pump);
bool rt_marks_waiting(const struct rt_marks *marks);
/* As much as is there now, at most. */
void rt_marks_catch_up(struct rt_marks *marks, struct rt_pump *pump);
/* An item has come: takes what was written before it; once it was told, what waited for it goes on. */
void rt_marks_item(struct rt_marks *marks, struct rt_pump *pump);
void rt_marks_go_on(struct rt_marks *marks, struct rt_pump *pump);
/* The cell is over: takes what is there, and nothing waits any more. */
void rt_marks_end(struct rt_marks *marks, struct rt_pump *pump);

/* ---- context/runner.c: the other end of the protocol ---- */

enum { RT_CAN_COMPLETE = 1, RT_CAN_INSPECT = 2, RT_CAN_FORK = 4, RT_CAN_INPUT = 8 };

struct rt_runner {
        int protocol, out, err; /* ours; -1: none */
        int ended;              /* where its end is told */
        int32_t pid;            /* 0: the box's first runner */
        bool dead;
        bool have_end;
        struct rt_ended end;
        unsigned features;
        uint64_t next_id;
        struct rt_buf in; /* of a frame that is not whole yet */
        struct rt_marks marks;
};

#define RT_RUNNER_NONE ((struct rt_runner){ .protocol = -1, .out = -1, .err = -1, .ended = -1 })

/* Its pipes and sockets: theirs gets stdout, stderr, protocol, and where its end is told. */
int rt_runner_open(struct rt_runner *runner, int theirs[4], struct retort_error *err);
void rt_runner_close(struct rt_runner *runner);
/* Sends a message (taken), with descriptors. 0, or -1: it does not read. */
int rt_runner_send(struct rt_runner *runner, json_t *message, const int *fds, unsigned n_fds);
/* Takes what has come. 1 and a message (the caller's), 0: not whole yet, -1: the end, or rubbish. */
int rt_runner_receive(struct rt_runner *runner, json_t **ret_message);
/* Waits for a message of this type, and its id unless 0, until then (monotonic); others are dropped. */
int rt_runner_await(struct rt_runner *runner, const char *type, uint64_t id, uint64_t until_ns, json_t **ret_message,
                    struct retort_error *err);
/* Waits for its ready; its stderr says why it never was. */
int rt_runner_await_ready(struct rt_runner *runner, struct rt_context_box *box, struct retort_error *err);
/* Whether it has ended; reads how. Waits at most wait_ms for the word. */
bool rt_runner_has_ended(struct rt_runner *runner, int wait_ms);

/* ---- context/items.c: data of messages ---- */

/* Adds what an item message holds. False: out of memory. */
struct rt_items {
        struct retort_item *at;
        size_t n, room;
        uint64_t bytes;
        uint64_t left_out; /* those above what one cell may have */
};
bool rt_items_add(struct rt_items *items, json_t *message, struct rt_arena *arena);

/* ---- context/context.c ---- */

struct retort_context {
        struct retort_engine *engine;
        struct rt_context_box *box; /* changes with the lock and the runner held: whoever has one of them may read it */
        struct rt_runner runner;    /* of who holds it */
        _Atomic unsigned features;  /* the runner's */
        const struct rt_runtime *runtime;
        struct retort_limits limits; /* of a cell that does not say */
        struct retort_request *asked; /* env and limits, for a restart; with language and version */
        char *cwd;
        bool cwd_pending; /* the first cell is to go there */
        char *packages;   /* directories, as they were asked for; NULL: none */
        uint64_t idle_ms, lifetime_ms;
        const char *start; /* of its first cell; then "live" */
        char id[RT_MODEL_ID_SIZE];
        uint64_t opened_ns;
        _Atomic uint64_t execution_count;

        pthread_mutex_t lock; /* what follows */
        pthread_cond_t quiet;
        bool busy;            /* the runner is somebody's: a cell's, or a question's */
        bool in_cell;
        bool closing;
        bool dead;
        char why[192];
        unsigned n_users;     /* threads in a call */
        struct rt_waiter {
                int fd; /* eventfd: it is its turn */
                struct rt_waiter *next;
        } * first, *last;
        unsigned n_waiting;
        int wake;  /* eventfd: it is being closed, and stays so */
        int nudge; /* eventfd, for the cell that runs: some RT_NUDGE_INTERRUPT, or RT_NUDGE_END */
};

/* Added up by the eventfd. */
#define RT_NUDGE_INTERRUPT 1u
#define RT_NUDGE_END (1ull << 32)

/* The runner for the caller alone, in the order of asking. cancel_fd may be -1. RETORT_E_CLOSED: dead or closing. */
int rt_context_enter(struct retort_context *context, int cancel_fd, uint64_t until_ns, struct retort_error *err);
int rt_context_enter_dead(struct retort_context *context, uint64_t until_ns, struct retort_error *err); /* to restart it */
void rt_context_leave(struct retort_context *context);
/* For calls that do not need the runner: the box as it is now. */
int rt_context_use(struct retort_context *context, struct rt_context_box **ret_box, struct retort_error *err);
void rt_context_unuse(struct retort_context *context, struct rt_context_box *box);
/* Tells the cell that runs; false: none does. */
bool rt_context_nudge(struct retort_context *context, uint64_t how);
/* Its interpreter is gone: says why, once. Holding the runner. */
void rt_context_died(struct retort_context *context, const char *why);
/* Signals the runner's process, or its whole session. Holding the runner. */
void rt_context_signal(struct retort_context *context, int number, bool group);

/* A new interpreter, in the same box if it is still there. Holding the runner. */
int rt_context_respawn(struct retort_context *context, bool *ret_files_kept, struct retort_error *err);

/* ---- context/asked.c ---- */

int rt_context_cell_check(const struct retort_context *context, const struct retort_cell *cell, struct retort_limits *ret_limits,
                          struct retort_error *err);
json_t *rt_context_cell_message(struct retort_context *context, const struct retort_cell *cell, uint64_t id);

/* ---- context/outcome.c: what cells and commands share ---- */

struct rt_model_outcome *rt_context_outcome(struct retort_context *context, struct retort_error *err);
void rt_context_usage(const struct retort_context *context, const struct rt_span *span, uint64_t wall_ns, uint64_t output_bytes,
                      struct retort_usage *ret_usage);
/* The text of a stream as a step has it. */
struct retort_bytes rt_context_keep(struct rt_arena *arena, const struct rt_buf *buf, bool *nomem);
