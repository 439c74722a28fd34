/* SPDX-License-Identifier: Apache-2.0
 *
 * What calls.c, contexts.c and warden.c share: a context as the service holds it. The service's lock covers all of it.
 */
#pragma once

#include "service/contexts.h"
#include "service/inside.h"

enum { RT_HELD_LONG_MAX = 8 };

/* What the box of one or more contexts is charged. */
struct rt_held_box {
        unsigned n;
        uint64_t memory;
};

struct rt_held {
        struct rt_held *next; /* in its bucket */
        struct rt_service *service;
        char id[RT_ID];
        char language[40];
        struct rt_tenant *tenant;
        int64_t tenant_id;
        struct rt_held_box *box;
        retort_context *context;
        int64_t created_ms;
        enum retort_context_state state; /* as it was seen last, but busy */
        uint64_t dead_ns;                /* since when; 0: it is not */
        bool told;                       /* the log has said that it is dead; the warden's */
        bool closing;                    /* nobody finds it any more */
        unsigned n_looking;              /* threads that look at it, apart from calls */
        struct rt_call *turn;            /* whose the runner is */
        struct rt_call *waiting;         /* for their turn, first come first served */
        unsigned n_waiting;
        struct rt_call *calls;           /* that go on */
        unsigned n_long;
        struct rt_task closer;
        struct rt_call *answer;          /* who wants to know that it is gone; NULL: nobody */
};

/* calls.c; under the lock */
void rt_held_enter_call(struct rt_held *held, struct rt_call *call); /* it goes on from now on */
void rt_held_leave_call(struct rt_held *held, struct rt_call *call);
/* Those that wait, taken out. */
struct rt_call *rt_held_take_waiting(struct rt_held *held);
void rt_held_cancel_calls(struct rt_held *held, bool only_endless);
void rt_held_cut_calls(struct rt_held *held);
/* without it */
void rt_calls_refuse(struct rt_call *calls, int code, enum rt_trouble trouble, const char *words);
/* Makes it ready to be started. 0, or it has been answered. */
int rt_call_prepare(struct rt_service *service, struct rt_call *call);
/* Performs it on the crew; what is not taken is answered. */
void rt_call_go(struct rt_call *call);
/* Answers one that holds nothing of the service's. */
void rt_call_answer(struct rt_call *call);
/* It is over, one way or another: unhooks and answers it. */
void rt_call_finish(struct rt_call *call);

/* contexts.c */
struct rt_held *rt_held_find(struct rt_service *service, int64_t tenant_id, const char *id); /* under the lock */
/* Reserves a place for one more of a tenant's contexts; with box: in that. NULL: call->err. Under the lock. */
struct rt_held *rt_held_reserve(struct rt_call *call, struct rt_held_box *box, uint64_t memory);
void rt_held_give_up(struct rt_held *held);                           /* a place that nothing came of; under the lock */
void rt_held_admit(struct rt_held *held, retort_context *context, struct rt_context_record *record); /* it is open: others find it */
void rt_held_look(struct rt_held *held, struct rt_context_record *record);
/* Takes it out of the table, under the lock; rt_held_end then ends it, without. */
void rt_held_take_out(struct rt_held *held);
void rt_held_end(struct rt_held *held);
void rt_held_end_soon(struct rt_held *held); /* on another thread */
/* Those of a tenant (0: of all), newest first; each is not freed before rt_held_looked. *ret_held is to be freed. */
size_t rt_held_snapshot(struct rt_service *service, int64_t tenant_id, struct rt_held ***ret_held);
void rt_held_looked(struct rt_held *held);
