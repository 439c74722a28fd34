/* SPDX-License-Identifier: Apache-2.0
 *
 * Contexts of a server: who may have how many, what they are charged, which calls go on in them at once, and when they are
 * forgotten. A *call* is one thing that a caller asks of a context; it goes on on a thread of the service's crew, so whoever
 * starts it never waits. Contexts end with the server: nothing of them is stored.
 */
#pragma once

#include "retort-context.h"
#include "service/crew.h"
#include "service/log.h"
#include "service/service.h"

/* Why a call was not done, where the error's code does not tell. */
enum rt_trouble {
        RT_TROUBLE_NONE,
        RT_TROUBLE_UNKNOWN, /* this tenant has no such context */
        RT_TROUBLE_ENDED,   /* it has ended, and can be restarted */
        RT_TROUBLE_PAUSED,
        RT_TROUBLE_BUSY,    /* a cell or command runs in it, and did not end in time */
        RT_TROUBLE_CROWDED, /* too much waits, or goes on, in it */
};

/* A context as it was at one moment. */
struct rt_context_record {
        char id[27], box[27];
        char language[40], version[64];
        enum retort_context_state state;
        char why[192];
        int64_t created_ms; /* Unix */
        uint64_t age_ms, idle_ms, execution_count;
        bool can_fork, can_complete, can_inspect;
};

struct rt_call {
        /* The caller's, before it is started. */
        struct rt_caller caller;
        const char *context_id; /* NULL where it is not about one */
        /* CELL: it needs the runner, and so waits for its turn in the context. SHORT: it ends within seconds. LONG: it may last, and
         * whoever asked leaves some day. OPEN: an interpreter starts. */
        enum rt_crew_kind kind;
        bool takes_cpu; /* refused where the tenant has used up its CPU time */
        bool endless;   /* it ends as soon as the server is told to stop */
        const char *traceparent; /* copied; may be NULL */
        void (*perform)(struct rt_call *call); /* on a thread that may wait, with context */
        void (*done)(struct rt_call *call);    /* once, the last thing called, from any thread; with err it was not done */
        void (*cut)(struct rt_call *call);     /* from any thread, not blocking, may be NULL: nobody is to be waited for any longer */
        void *userdata;

        /* For perform and done. */
        struct rt_service *service;
        retort_context *context;
        int cancel_fd;            /* readable once it is to end: the client left, the context is being closed */
        struct retort_error err;  /* perform's, too: what is in it when that returns is what done finds */
        enum rt_trouble trouble;
        struct rt_refusal refusal;
        struct rt_context_record record; /* of those that open one; or by rt_call_look */

        /* The service's own. */
        struct rt_task task;
        struct rt_held *held;
        struct rt_call *next, *previous;
        enum { RT_CALL_OUTSIDE, RT_CALL_WAITS, RT_CALL_GOES_ON } place;
        bool cancelled;
        bool started; /* it is inside of retort_context_run, and does not touch the context behind that */
        uint64_t asked_ns, begun_ns;
        const char *event; /* what the log says of it; NULL: nothing */
        char id[27];
        enum retort_status status;
        struct retort_usage usage;
        char trace[RT_TRACEPARENT];
};

/* Starts it; done is called in any case, perhaps before this returns. */
void rt_call_start(struct rt_service *service, struct rt_call *call);
/* Nobody waits for it any more. Until done has returned, from any thread. */
void rt_call_cancel(struct rt_call *call);

/* ---- in perform ---- */

/* retort_context_run and retort_context_command, charged, counted and said; their cancel_fd is filled in. NULL: call->err. */
struct retort_outcome *rt_call_cell(struct rt_call *call, struct retort_cell *cell, retort_event_fn on_event, void *userdata);
struct retort_outcome *rt_call_command(struct rt_call *call, struct retort_command *command, retort_event_fn on_event, void *userdata);
/* Copies the context live, as another one of the same tenant's; a CELL. */
void rt_call_fork(struct rt_call *call);
/* Fills in the record, of the context as it is now. */
void rt_call_look(struct rt_call *call);
/* call->err was filled by a function of the library: finds out the trouble. */
void rt_call_failed(struct rt_call *call);
/* It takes longer than was thought: from now on it is LONG. false: there is no room for that, and the call says so. */
bool rt_call_lasts(struct rt_call *call);
bool rt_call_is_cancelled(struct rt_call *call);

/* ---- calls that are the service's own: perform is ignored ---- */

struct rt_opening {
        struct rt_call call;                   /* OPEN */
        struct retort_context_options options; /* what it points to lives until done */
        const char *beside; /* id of a context whose box it is to share; NULL: a box of its own */
        struct rt_held *place; /* the service's */
};
void rt_context_open_start(struct rt_service *service, struct rt_opening *opening);
/* Ends a context, whatever goes on in it, and forgets it. Done when it is gone, and what it was charged is back. */
void rt_context_close_start(struct rt_service *service, struct rt_call *call);

struct rt_listing {
        struct rt_call call; /* SHORT */
        const char *language; /* NULL: any */
        int state;            /* enum retort_context_state; -1: any */
        const char *after;    /* the id of one: those before it */
        size_t limit;
        struct rt_context_record *records; /* newest first; to be freed */
        size_t n;
};
void rt_context_list_start(struct rt_service *service, struct rt_listing *listing);
