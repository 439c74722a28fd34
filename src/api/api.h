/* SPDX-License-Identifier: Apache-2.0
 *
 * The faces of a server: each is a table of routes with their handlers in files of its own, and never reaches below the
 * service. This header is what they share: an exchange (one request and its answer), and how refusals are said.
 *
 * A handler runs on a thread of the HTTP server and must not block. It answers, or hands the exchange on to somebody who
 * will (rt_exchange_keep); whoever answers last calls rt_exchange_end.
 */
#pragma once

#include <stdatomic.h>

#include "base/arena.h"
#include "base/buf.h"
#include "http/http.h"
#include "service/config.h"
#include "service/service.h"

struct rt_api;
struct rt_agentbay; /* api/agentbay.h */

enum { RT_ROUTE_PARAMETERS = 4, RT_ROUTE_OPEN = 0 };

struct rt_exchange {
        struct rt_api *api;
        struct rt_service *service;
        const struct rt_config *config;
        struct rt_http_request *http;
        const struct rt_face *face;
        struct rt_agentbay *agentbay; /* the AgentBay face's sessions */
        struct rt_caller caller;
        const char *parameters[RT_ROUTE_PARAMETERS]; /* what stood for {..} in the path, in order */
        struct rt_arena arena;
        struct rt_refusal refusal; /* for the RateLimit-* headers */
        struct rt_http_header more[4]; /* that its answer has besides; ended by a NULL name */
        atomic_int references;

        /* A handler's own: what ends when the client leaves. Called at most once, from any thread. */
        void (*on_gone)(struct rt_exchange *x);
        void *data;
        void (*free_data)(void *data); /* with the exchange; may be NULL */
};

struct rt_route {
        const char *method; /* NULL ends the table */
        const char *path;   /* "/v1/jobs/{id}" */
        void (*handle)(struct rt_exchange *x);
        uint32_t scope; /* RT_SCOPE_*; RT_ROUTE_OPEN: no key needed */
        bool waits;     /* for the disk or for a slow hash: its handler gets a thread of its own */
};

struct rt_face {
        const char *prefix; /* "/v1" */
        const struct rt_route *routes;
        /* Who asks, for faces with tokens of their own; NULL: an API key. 0, or negative with the exchange answered. */
        int (*admit)(struct rt_exchange *x, const struct rt_route *route);
        /* How this face says that something was refused; NULL: a problem document. */
        void (*refuse)(struct rt_exchange *x, int status, const char *type, const char *detail);
};

extern const struct rt_face rt_face_native;  /* api/native.c: /v1, and /healthz, /readyz, /metrics, /openapi.json */
extern const struct rt_face rt_face_runtime; /* api/runtime.c: /api, /ws/execute */
extern const struct rt_face rt_face_agentbay; /* api/agentbay.c: POST /, /agentbay */

/* Serves the service by its configuration. *ret_api is ended with rt_api_close. listen_fds as in struct rt_http_config. */
int rt_api_open(struct rt_api **ret_api, struct rt_service *service, const int *listen_fds, size_t n_listen_fds,
                struct retort_error *err);
unsigned rt_api_port(const struct rt_api *api);
/* Stops taking connections; what goes on goes on. */
void rt_api_quiesce(struct rt_api *api);
/* Ends everything; what goes on may end until the deadline. */
void rt_api_close(struct rt_api *api, unsigned deadline_ms);

/* ---- work that waits ---- */

struct rt_offload;
int rt_offload_open(struct rt_offload **ret_offload, struct retort_error *err);
/* Finishes what was taken on. */
void rt_offload_close(struct rt_offload *offload);
/* Calls handle(x) on a thread that may wait. false: too much is waiting already. */
bool rt_offload(struct rt_offload *offload, struct rt_exchange *x, void (*handle)(struct rt_exchange *x));

/* ---- exchanges ---- */

/* One more who will end it. */
void rt_exchange_keep(struct rt_exchange *x);
/* Lets go of it. It lives as long as its request, since the client may leave while the last of the answer is sent. */
void rt_exchange_end(struct rt_exchange *x);
/* For rt_http_set_data: the request is freed. */
void rt_exchange_free(void *x);

void rt_exchange_reply(struct rt_exchange *x, int status, const char *content_type, const void *body, size_t size);
/* text is freed. */
void rt_exchange_reply_json(struct rt_exchange *x, int status, char *text);
/* Answers with the face's way of refusing. type is the stable last part of the problem's type. */
void rt_exchange_refuse(struct rt_exchange *x, int status, const char *type, const char *detail);
/* The answer for an error of the library: 400 for INPUT, 503 for CLOSED, 500 for what is ours. */
void rt_exchange_fail(struct rt_exchange *x, const struct retort_error *err);
/* The answer for a refusal of the service, with its headers. */
void rt_exchange_refused(struct rt_exchange *x, const struct rt_refusal *refusal, const struct retort_error *err);

/* The body is JSON as its Content-Type must say; answers 415 and returns false when it does not. */
bool rt_exchange_has_json(struct rt_exchange *x);

/* "2026-11-22T10:00:00.123Z" into 25 bytes. */
void rt_time_text(char out[25], int64_t unix_ms);
