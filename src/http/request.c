/* SPDX-License-Identifier: Apache-2.0
 *
 * A request: copies of everything its head said, so that whoever holds it may read it after its connection is gone.
 */
#include <string.h>
#include <strings.h>

#include "http/internal.h"

struct headers {
        struct rt_arena *arena;
        struct rt_http_header *next;
        bool failed;
};

static enum MHD_Result copy_header(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_size,
                                   const char *value, size_t value_size) {
        struct headers *headers = cls;
        (void)kind;
        headers->next->name = rt_arena_copy(headers->arena, name, name_size);
        headers->next->value = rt_arena_copy(headers->arena, value ? value : "", value ? value_size : 0);
        headers->failed = !headers->next->name || !headers->next->value;
        headers->next++;
        return headers->failed ? MHD_NO : MHD_YES;
}

static int copy_headers(struct rt_http_request *request) {
        int n = MHD_get_connection_values_n(request->mhd, MHD_HEADER_KIND, NULL, NULL);
        struct rt_http_header *all = rt_arena_array(&request->arena, (size_t)n + 1, sizeof *all);
        struct headers headers = { .arena = &request->arena, .next = all };
        if (!all)
                return -1;
        (void)MHD_get_connection_values_n(request->mhd, MHD_HEADER_KIND, copy_header, &headers);
        request->headers = all;
        return headers.failed ? -1 : 0;
}

static int init_locks(struct rt_http_request *request) {
        pthread_condattr_t attr;
        if (pthread_condattr_init(&attr))
                return -1;
        int r = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) || pthread_cond_init(&request->moved, &attr);
        (void)pthread_condattr_destroy(&attr);
        if (r)
                return -1;
        if (pthread_mutex_init(&request->lock, NULL) == 0)
                return 0;
        (void)pthread_cond_destroy(&request->moved);
        return -1;
}

struct rt_http_request *rt_http_request_new(struct rt_http_conn *conn, struct MHD_Connection *mhd,
                                            const char *method, const char *version) {
        struct rt_http_request *request = calloc(1, sizeof *request);
        if (!request || init_locks(request) < 0)
                return free(request), NULL;
        request->refs = 1;
        request->server = conn->server;
        request->conn = conn;
        request->mhd = mhd;
        request->started = rt_now_ns();
        request->http11 = strcmp(version, "HTTP/1.1") == 0;
        request->loopback = conn->loopback;
        memcpy(request->peer, conn->peer, sizeof request->peer);
        request->method = rt_arena_strdup(&request->arena, method);
        request->target.path = "";
        if (!request->method || copy_headers(request) < 0) {
                rt_http_let_go(request);
                return NULL;
        }
        return request;
}

void rt_http_hold(struct rt_http_request *request) {
        (void)atomic_fetch_add(&request->refs, 1);
}

void rt_http_let_go(struct rt_http_request *request) {
        if (!request || atomic_fetch_sub(&request->refs, 1) != 1)
                return;
        if (request->free_data)
                request->free_data(request->data);
        if (request->response)
                MHD_destroy_response(request->response);
        rt_buf_clear(&request->body);
        free(request->stream.ring);
        rt_arena_clear(&request->arena);
        (void)pthread_cond_destroy(&request->moved);
        (void)pthread_mutex_destroy(&request->lock);
        free(request);
}

bool rt_http_request_complete(const struct rt_http_request *request) {
        return request->answered == RT_HTTP_WHOLE || request->answered == RT_HTTP_UPGRADED ||
               (request->answered == RT_HTTP_STREAMED && request->stream.closed);
}

struct MHD_Connection *rt_http_to_resume(struct rt_http_request *request) {
        if (!request->suspended)
                return NULL;
        request->suspended = false;
        (void)atomic_fetch_add(&request->server->resuming, 1);
        return request->mhd;
}

/* Until it is resumed MHD leaves a connection alone; the server lives until nobody is here any more. */
void rt_http_resume(struct rt_http *server, struct MHD_Connection *mhd) {
        if (!mhd)
                return;
        MHD_resume_connection(mhd);
        (void)atomic_fetch_sub(&server->resuming, 1);
}

void rt_http_request_gone(struct rt_http_request *request) {
        struct rt_http *server = request->server;
        (void)pthread_mutex_lock(&request->lock);
        request->gone = true;
        struct MHD_Connection *mhd = rt_http_to_resume(request);
        (void)pthread_cond_broadcast(&request->moved);
        (void)pthread_mutex_unlock(&request->lock);
        rt_http_resume(server, mhd);
}

void rt_http_cut(struct rt_http_request *request) {
        rt_http_request_gone(request);
}

bool rt_http_gone(const struct rt_http_request *request) {
        return request->gone;
}

const char *rt_http_method(const struct rt_http_request *request) {
        return request->method;
}

const char *rt_http_path(const struct rt_http_request *request) {
        return request->target.path;
}

static const char *find(const struct rt_http_header *list, const char *name,
                        int (*compare)(const char *, const char *)) {
        for (; list && list->name; list++)
                if (compare(list->name, name) == 0)
                        return list->value ? list->value : "";
        return NULL;
}

const char *rt_http_header(const struct rt_http_request *request, const char *name) {
        return find(request->headers, name, strcasecmp);
}

const char *rt_http_query(const struct rt_http_request *request, const char *name) {
        return find(request->target.query, name, strcmp);
}

struct retort_bytes rt_http_body(const struct rt_http_request *request) {
        return (struct retort_bytes){ .data = request->body.data ? request->body.data : "",
                                      .size = request->body.size };
}

const char *rt_http_peer(const struct rt_http_request *request) {
        return request->peer;
}

bool rt_http_from_loopback(const struct rt_http_request *request) {
        return request->loopback;
}

void rt_http_set_data(struct rt_http_request *request, void *data, void (*free_data)(void *)) {
        if (request->free_data && request->data != data)
                request->free_data(request->data);
        request->data = data;
        request->free_data = free_data;
}

void *rt_http_data(const struct rt_http_request *request) {
        return request->data;
}
