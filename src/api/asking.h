/* SPDX-License-Identifier: Apache-2.0
 *
 * A request about a context: an exchange whose answer is made by a call of the service. Each handler has a struct of its own
 * with one of these in it and the call beside it, both in the exchange's arena.
 */
#pragma once

#include "api/native.h"
#include "model/codec.h"
#include "service/contexts.h"

struct rt_asking {
        struct rt_exchange *x;
        struct rt_call *call;
        int status;      /* of the answer */
        char *json;      /* its body; NULL: none. Freed once it is sent */
        struct retort_outcome *outcome; /* or this; freed */
        int number;      /* errno, where a call about files failed; 0: none */
        void (*answer)(struct rt_asking *a); /* instead of all that; may be NULL */

        enum rt_stream_form form;
        struct rt_http_stream *stream; /* once something was told */
        int patience_ms; /* for a client that reads slowly; -1: without end */
        atomic_bool gone;
        atomic_bool hurry;
        atomic_bool writing;
};

/* Ties asking and call to the exchange, about the context that its path names. */
void rt_asking_init(struct rt_asking *a, struct rt_exchange *x, struct rt_call *call, enum rt_crew_kind kind,
                    void (*perform)(struct rt_call *call));
/* Starts the call as start does (rt_call_start if NULL); whoever answers is decided from here on. */
void rt_asking_start(struct rt_asking *a);
static inline struct rt_asking *rt_asking_of(const struct rt_call *call) {
        return call->userdata;
}

/* The body, strictly, into object; false: answered. An empty body is {} where may_be_empty. */
bool rt_asking_read(struct rt_exchange *x, const struct rt_shape *shape, bool may_be_empty, void *object);
/* A number of the query within bounds; false: answered. */
bool rt_asking_number(struct rt_exchange *x, const char *name, uint64_t low, uint64_t high, uint64_t *ret);
/* "true" or "false" of the query; false: answered. */
bool rt_asking_flag(struct rt_exchange *x, const char *name, bool *ret);

/* In perform: r of a function of the library, with errno as it left it. False: it failed. */
bool rt_asking_succeeded(struct rt_asking *a, int r);
/* One line of a stream, which is opened with the first. False: nobody listens. */
bool rt_asking_tell(struct rt_asking *a, const char *json, size_t size);
/* For retort_event_fn: tells it, and ends the call when nobody listens; userdata is the asking. */
void rt_asking_on_event(const struct retort_event *event, void *userdata);
/* Raw bytes of a stream that the handler has opened. */
bool rt_asking_write(struct rt_asking *a, const void *data, size_t size);
/* The record of a context as JSON. */
json_t *rt_asking_record(const struct rt_context_record *record);
/* The answer is the record, as it is in the call. */
void rt_asking_answer_record(struct rt_asking *a);
