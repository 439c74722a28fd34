/* SPDX-License-Identifier: Apache-2.0
 *
 * The AgentBay face (CONTRACTS A): what the SDK's clients ask of their service, asked of this server. A *session* is a box: a
 * first context for its files and commands, and beside it one for each language that its programs are written in, opened when
 * that is first asked for. An *op* is one tool's call in a session, whichever of the three ways it came.
 */
#pragma once

#include <jansson.h>
#include <pthread.h>

#include "api/api.h"
#include "model/agentbay.h"
#include "service/contexts.h"

/* ---- sessions: api/agentbay-sessions.c ---- */

/* Languages of run_code, by the runtimes' names; BASE is the first context, whatever its language. */
enum rt_ab_place_name { RT_AB_PYTHON, RT_AB_JAVASCRIPT, RT_AB_R, RT_AB_JAVA, RT_AB_LANGUAGES, RT_AB_BASE = RT_AB_LANGUAGES, RT_AB_PLACES };
extern const char *const rt_ab_languages[RT_AB_LANGUAGES];

struct rt_ab_op;
struct rt_ab_place {
        enum { RT_AB_CLOSED, RT_AB_OPENING, RT_AB_OPEN } state;
        char id[27];              /* of the context */
        struct rt_ab_op *waiting; /* until it is open */
};

struct rt_ab_folder;
struct rt_ab_session {
        struct rt_ab_session *next;
        struct rt_agentbay *table;
        atomic_int references;
        char id[27]; /* its first context's */
        char token[65];
        char *key;   /* what it was made with, to be looked at with every call; NULL: none was needed */
        struct rt_caller caller;
        char *image;
        uint64_t created_ns;

        /* under the table's lock */
        char *labels; /* a JSON object */
        struct rt_ab_folder *folders; /* whose changes are asked for, the last first */
        bool gone;    /* nobody finds it any more */
        struct rt_ab_place places[RT_AB_PLACES];
};

struct rt_agentbay {
        pthread_mutex_t lock;
        struct rt_ab_session *sessions; /* newest first */
        atomic_int references;          /* the server's and each session's */
};

int rt_agentbay_open(struct rt_agentbay **ret_table, struct retort_error *err);
void rt_agentbay_close(struct rt_agentbay *table);
/* A session that nobody finds yet, held; NULL: no memory. */
struct rt_ab_session *rt_ab_session_new(struct rt_agentbay *table, const struct rt_caller *caller, const char *key);
void rt_ab_session_enter(struct rt_ab_session *s);
/* Held; NULL: there is none. tenant_id 0: of any tenant. */
struct rt_ab_session *rt_ab_session_find(struct rt_agentbay *table, int64_t tenant_id, const char *id);
bool rt_ab_session_has_token(const struct rt_ab_session *s, const char *token);
/* Takes it out of the table: nobody finds it any more. False: somebody did before. */
bool rt_ab_session_remove(struct rt_ab_session *s);
void rt_ab_session_let_go(struct rt_ab_session *s);
/* Forgets a tenant's sessions that were made before then and whose first context is not among these. */
void rt_ab_sessions_sweep(struct rt_agentbay *table, int64_t tenant_id, uint64_t before_ns, const struct rt_listing *known);

/* ---- ops: api/agentbay-ops.c ---- */

/* Most bytes of what one tool answers with, before it is put into JSON. */
enum { RT_AB_TEXT_MAX = 64 << 20 };

struct rt_ab_tool {
        const char *name;
        const char *server;
        const char *words;    /* what it does */
        const char *schema;   /* of its arguments, as JSON */
        enum rt_crew_kind kind;
        bool takes_cpu;
        /* Reads op->args; false: wrong, as op->text says. May be NULL. */
        bool (*prepare)(struct rt_ab_op *op);
        /* On a thread that may wait: fills in op->text, or op->call.err. */
        void (*perform)(struct rt_ab_op *op);
};

struct rt_ab_op { /* zero-initialise */
        /* the caller's */
        struct rt_service *service;
        const struct rt_config *config;
        struct rt_ab_session *session; /* held; let go by rt_ab_op_clear */
        const struct rt_ab_tool *tool;
        json_t *args;  /* an object; let go of by rt_ab_op_clear */
        bool rich;     /* which body run_code answers with */
        const char *traceparent;
        retort_event_fn on_event; /* of a program; may be NULL */
        void (*done)(struct rt_ab_op *op); /* once, from any thread, perhaps before rt_ab_op_start returns */
        void *userdata;

        /* for done */
        struct rt_buf text; /* the tool's, UTF-8 */
        bool is_error;      /* the text says what went wrong */
        bool not_found;     /* the session is over */
        struct retort_outcome *outcome; /* of a program */

        /* its own */
        enum rt_ab_place_name place;
        struct rt_arena arena;
        struct rt_opening opening;
        struct rt_call call;
        struct retort_cell cell;
        struct retort_command command;
        struct rt_ab_op *next;
        bool again; /* it has begun once more */
        atomic_bool gone;
};

void rt_ab_op_start(struct rt_ab_op *op);
/* Nobody waits for it any more: what it runs is interrupted; done comes all the same. Any thread. */
void rt_ab_op_cancel(struct rt_ab_op *op);
void rt_ab_op_clear(struct rt_ab_op *op);
/* The answer is a failure, in words. Returns false. */
bool rt_ab_op_fail(struct rt_ab_op *op, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool rt_ab_op_add(struct rt_ab_op *op, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A text among the arguments; NULL where there is none and none is needed. False: op says what is wrong. */
bool rt_ab_op_text(struct rt_ab_op *op, const char *name, bool needed, const char **ret_text);
/* In perform: r of a function of the library. What the box's file system says is the tool's answer. */
bool rt_ab_op_worked(struct rt_ab_op *op, int r);
/* Ends every context of a session, the first one last, on its way out of the table; then calls done. */
void rt_ab_session_end(struct rt_ab_session *s, struct rt_service *service, void (*done)(void *userdata), void *userdata);

/* ---- tools ---- */

/* rt_agentbay_result_of, but what a limit ended says so: an interpreter only knows that it was interrupted. */
int rt_ab_result_of(const struct retort_outcome *outcome, struct rt_arena *arena, struct rt_agentbay_result *ret_result, struct retort_error *err);
const struct rt_ab_tool *rt_ab_tool_find(const char *name); /* NULL: there is none of this name */
extern const struct rt_ab_tool rt_ab_code_tools[]; /* agentbay-code.c; ended by a NULL name */
extern const struct rt_ab_tool rt_ab_file_tools[]; /* agentbay-files.c; the same */
void rt_ab_perform_changes(struct rt_ab_op *op, const char *path); /* agentbay-watch.c */
void rt_ab_folders_free(struct rt_ab_folder *folders);             /* the same */
/* {name, description, inputSchema, server, tool} of each, as JSON text; to be freed. */
char *rt_ab_tools_json(void);

/* ---- handlers ---- */

/* "https://host:port" as the client reaches us, in the exchange's arena. */
const char *rt_ab_url(struct rt_exchange *x, bool socket);
bool rt_ab_rich(const struct rt_exchange *x);
void rt_ab_control(struct rt_exchange *x);   /* POST / */
void rt_ab_call_tool(struct rt_exchange *x); /* POST /agentbay/{id}/callTool */
void rt_ab_socket(struct rt_exchange *x);    /* GET /agentbay/{id}/ws */
