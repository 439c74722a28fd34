/* SPDX-License-Identifier: Apache-2.0
 *
 * From the HTTP server to a handler: finds the route, asks who it is, and hands the exchange over.
 */
#include "api/api.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/agentbay.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"

enum { PEM_MAX = 1 << 20 };

struct rt_api {
        struct rt_service *service;
        struct rt_http *http;
        struct rt_offload *offload;
        struct rt_agentbay *agentbay;
        char *certificate;
        char *key;
};

/* ---- routing ---- */

/* "/v1/jobs/{id}" against "/v1/jobs/01M8": parameters point into copies in the arena. */
static bool matches(const char *pattern, const char *path, struct rt_arena *arena, const char **parameters) {
        size_t n = 0;
        while (*pattern && *path) {
                if (*pattern == '{') {
                        size_t size = strcspn(path, "/");
                        if (size == 0 || n >= RT_ROUTE_PARAMETERS)
                                return false;
                        parameters[n++] = rt_arena_copy(arena, path, size);
                        path += size;
                        pattern += strcspn(pattern, "}") + 1;
                } else if (*pattern++ != *path++) {
                        return false;
                }
        }
        return *pattern == 0 && *path == 0;
}

static bool same_method(const char *wanted, const char *method) {
        return strcmp(wanted, method) == 0 || (strcmp(wanted, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

static const struct rt_route *find_route(struct rt_exchange *x, const struct rt_face *face, bool *ret_other_method) {
        for (const struct rt_route *route = face->routes; route->method; route++) {
                if (!matches(route->path, rt_http_path(x->http), &x->arena, x->parameters))
                        continue;
                if (same_method(route->method, rt_http_method(x->http)))
                        return route;
                *ret_other_method = true;
        }
        return NULL;
}

/* ---- who asks ---- */

/* "Authorization: Bearer KEY", or "X-Api-Key: KEY". */
static const char *key_of(const struct rt_http_request *http) {
        const char *authorization = rt_http_header(http, "Authorization");
        if (authorization && strncasecmp(authorization, "Bearer ", 7) == 0)
                return authorization + 7 + strspn(authorization + 7, " ");
        return rt_http_header(http, "X-Api-Key");
}

static int admit(struct rt_exchange *x, const struct rt_route *route) {
        struct retort_error err = { 0 };
        if (x->face->admit)
                return x->face->admit(x, route);
        if (route->scope == RT_ROUTE_OPEN || (route->scope == RT_SCOPE_METRICS && x->config->metrics_public))
                return 0;
        struct rt_refusal refusal = { 0 };
        int r = rt_service_admit(x->service, key_of(x->http), route->scope, &x->caller, &refusal, &err);
        x->refusal = refusal;
        if (r < 0)
                rt_exchange_refused(x, &refusal, &err);
        return r;
}

/* ---- the server's callbacks ---- */

static void handle(struct rt_exchange *x, const struct rt_route *route) {
        if (!route->waits) {
                route->handle(x);
                return;
        }
        rt_exchange_keep(x);
        if (!rt_offload(x->api->offload, x, route->handle)) {
                x->refusal.retry_after_s = 1;
                rt_exchange_refuse(x, 503, "busy", "too many requests are waiting for the disk");
                rt_exchange_end(x);
        }
}

static void route_to(struct rt_exchange *x) {
        const struct {
                const struct rt_face *face;
                bool enabled;
        } faces[] = { { &rt_face_native, true }, { &rt_face_runtime, x->config->runtime_face_enabled },
                      { &rt_face_agentbay, x->config->agentbay_face_enabled } };
        const struct rt_route *route = NULL;
        bool other_method = false;
        for (size_t i = 0; i < RT_LEN(faces) && !route; i++) {
                if (!faces[i].enabled)
                        continue;
                route = find_route(x, faces[i].face, &other_method);
                if (route)
                        x->face = faces[i].face;
        }
        if (!route && other_method)
                rt_exchange_refuse(x, 405, "method-not-allowed", "this path is served for other methods");
        else if (!route)
                rt_exchange_refuse(x, 404, "not-found", "there is nothing at this path");
        else if (admit(x, route) == 0)
                handle(x, route);
}

static void on_request(struct rt_http_request *http, void *userdata) {
        struct rt_api *api = userdata;
        struct rt_exchange *x = calloc(1, sizeof *x);
        if (!x) {
                rt_http_reply(http, 500, NULL, NULL, 0);
                return;
        }
        rt_http_hold(http);
        *x = (struct rt_exchange){ .api = api, .service = api->service, .config = rt_service_config(api->service), .http = http,
                                   .agentbay = api->agentbay };
        atomic_init(&x->references, 1);
        rt_http_set_data(http, x, rt_exchange_free);
        route_to(x);
        rt_exchange_end(x);
}

static void on_gone(struct rt_http_request *http, void *data, void *userdata) {
        (void)http;
        (void)userdata;
        struct rt_exchange *x = data;
        if (x && x->on_gone)
                x->on_gone(x);
}

/* ---- opening ---- */

static int read_pem(const char *path, char **ret_text, struct retort_error *err) {
        return *path ? rt_read_file_at(AT_FDCWD, path, PEM_MAX, ret_text, NULL, err) : 0;
}

static const char *const *or_null(const char *const *list) {
        return list && list[0] ? list : NULL;
}

int rt_api_open(struct rt_api **ret_api, struct rt_service *service, const int *listen_fds, size_t n_listen_fds,
                struct retort_error *err) {
        const struct rt_config *c = rt_service_config(service);
        struct rt_api *api = calloc(1, sizeof *api);
        if (!api)
                return rt_fail_nomem(err);
        api->service = service;
        int r = read_pem(c->server_tls_certificate, &api->certificate, err);
        if (r == 0)
                r = read_pem(c->server_tls_key, &api->key, err);
        static const char *const nothing[] = { NULL };
        struct rt_http_config http = {
                .listen = n_listen_fds ? nothing : c->server_listen, .listen_fds = listen_fds, .n_listen_fds = n_listen_fds,
                .tls_certificate = api->certificate, .tls_key = api->key, .threads = (unsigned)c->server_threads,
                .max_body_bytes = c->server_max_body, .head_timeout_ms = (unsigned)c->server_head_timeout,
                .body_timeout_ms = (unsigned)c->server_body_timeout, .idle_timeout_ms = (unsigned)c->server_idle_timeout,
                .max_connections = (unsigned)c->server_max_connections,
                .max_connections_per_ip = (unsigned)c->server_max_connections_per_ip, .hosts = or_null(c->server_hosts),
                .origins = or_null(c->server_origins), .on_request = on_request, .on_gone = on_gone, .userdata = api };
        if (r == 0)
                r = rt_offload_open(&api->offload, err);
        if (r == 0)
                r = rt_agentbay_open(&api->agentbay, err);
        if (r == 0)
                r = rt_http_open(&api->http, &http, err);
        if (r < 0) {
                rt_api_close(api, 0);
                return r;
        }
        *ret_api = api;
        return 0;
}

unsigned rt_api_port(const struct rt_api *api) {
        return rt_http_port(api->http);
}

void rt_api_quiesce(struct rt_api *api) {
        rt_http_quiesce(api->http);
}

void rt_api_close(struct rt_api *api, unsigned deadline_ms) {
        if (!api)
                return;
        if (api->http)
                rt_http_close(api->http, deadline_ms);
        rt_offload_close(api->offload);
        rt_agentbay_close(api->agentbay);
        free(api->certificate);
        free(api->key);
        free(api);
}
