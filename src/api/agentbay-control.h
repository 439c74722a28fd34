/* SPDX-License-Identifier: Apache-2.0
 *
 * The AgentBay face's control calls, and what they share with the direct way: answers in its envelope.
 */
#pragma once

#include "api/agentbay.h"

/* Reads the form and asks who it is by its Authorization; 0, or negative with the exchange answered. */
int rt_ab_admit_control(struct rt_exchange *x);
/* struct rt_face's. */
void rt_ab_refuse(struct rt_exchange *x, int status, const char *type, const char *detail);

/* A tool's arguments: an object, or its text, or nothing; the caller's to let go of. NULL: something else. */
json_t *rt_ab_arguments(json_t *args);
/* {"content": [{"type", "text"}], "isError"}, wrapped: under "result" beside the request's id. To be freed; NULL: no memory. */
char *rt_ab_tool_answer(const struct rt_ab_op *op, const char *request_id, bool wrapped);

/* A control call, in x->data and x's arena. */
enum { RT_AB_FIELDS = 64 };
struct rt_ab_control {
        struct rt_exchange *x;
        char request_id[40];
        struct {
                const char *name, *value;
                size_t size; /* of the value */
        } fields[RT_AB_FIELDS];
        size_t n_fields;
        const char *key;
        struct rt_ab_op op; /* of those that are about one session */
        struct rt_listing listing;
        struct rt_opening opening;
        struct rt_ab_session *session; /* that is being made */
        size_t candidate;              /* of the first context's languages */
        uint64_t began_ns;
        void (*answer)(struct rt_ab_control *c); /* once its op has succeeded */
};

/* A field of the form, or of the query; NULL: there is none. */
const char *rt_ab_field(const struct rt_ab_control *c, const char *name);
/* Answers: Success, with data (taken; may be NULL) as Data and what more (taken; may be NULL) has besides. */
void rt_ab_reply(struct rt_ab_control *c, json_t *data, json_t *more);
/* Answers that it failed. */
void rt_ab_reply_failed(struct rt_ab_control *c, int status, const char *code, const char *words);
/* The same for a call that the service did not do. */
void rt_ab_reply_call_failed(struct rt_ab_control *c, const struct rt_call *call);
/* What CreateMcpSession and GetSession tell of a session. */
json_t *rt_ab_session_data(struct rt_ab_control *c, const struct rt_ab_session *s);
/* An object of texts (NULL: an empty one), as JSON to be freed; NULL: it is not. */
char *rt_ab_labels(const char *text);

/* agentbay-lists.c: what makes and lists sessions */
void rt_ab_create(struct rt_ab_control *c);
void rt_ab_list(struct rt_ab_control *c);
