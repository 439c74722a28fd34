/* SPDX-License-Identifier: Apache-2.0
 *
 * MHD's calls while a request comes in: once for the head, for each piece of the body, once for its end, and again after
 * each resume. Nothing here blocks.
 */
#include <string.h>

#include "http/internal.h"

/* Hands MHD the answer. */
static enum MHD_Result queue(struct rt_http_request *request) {
        struct MHD_Response *response = NULL;
        (void)pthread_mutex_lock(&request->lock);
        response = rt_take(request->response);
        request->queued = true;
        enum rt_http_answered kind = request->answered;
        int status = request->status;
        (void)pthread_mutex_unlock(&request->lock);
        if (!response)
                return MHD_NO;
        if (kind != RT_HTTP_UPGRADED)
                rt_http_allow_origin(request, response);
        if (kind != RT_HTTP_UPGRADED && request->server->draining)
                (void)MHD_add_response_header(response, "Connection", "close");
        enum MHD_Result r = MHD_queue_response(request->mhd, (unsigned)status, response);
        MHD_destroy_response(response);
        return r;
}

/* The answer when there is one; else the connection waits for it, unless nobody waits at its other end. */
static enum MHD_Result answer_or_wait(struct rt_http_request *request) {
        enum MHD_Result r = MHD_YES;
        (void)pthread_mutex_lock(&request->lock);
        bool ready = request->response != NULL;
        /* a WebSocket under TLS: its connection never gets an answer of MHD's, and ends when it is resumed */
        struct rt_http_socket *secure = ready || request->answered != RT_HTTP_UPGRADED ? NULL : request->socket;
        bool over = request->answered == RT_HTTP_UPGRADED && !ready && !secure;
        if (secure || over) {
                r = secure && !request->gone && !request->server->closing ? MHD_YES : MHD_NO;
        } else if (!ready) {
                if (request->gone || request->server->closing || request->conn->peer_left)
                        r = MHD_NO;
                else {
                        request->suspended = true;
                        MHD_suspend_connection(request->mhd);
                }
        }
        request->upgraded = request->upgraded || (secure && r == MHD_YES);
        (void)pthread_mutex_unlock(&request->lock);
        if (secure && r == MHD_YES)
                rt_http_socket_take_over(secure, request);
        return ready ? queue(request) : r;
}

static size_t content_length(const struct rt_http_request *request) {
        const char *text = rt_http_header(request, "Content-Length");
        unsigned long long size = text ? strtoull(text, NULL, 10) : 0; /* MHD has seen that these are digits */
        return size < SIZE_MAX ? (size_t)size : SIZE_MAX;
}

/* What is wrong with the head, if anything; on_head decides last. */
static void judge_head(struct rt_http_request *request, const char *target) {
        const struct rt_http_config *config = &request->server->config;
        const char *detail = NULL;
        size_t max_body = config->max_body_bytes;
        int status = rt_http_check_head(request, target, &detail);
        if (status == 0) {
                const char *why = NULL;
                if (rt_http_target_parse(&request->arena, target, &request->target, &why) < 0) {
                        request->target.path = "";
                        status = why ? 400 : 500;
                        detail = why ? why : "out of memory";
                }
        }
        if (status == 0)
                status = rt_http_check_place(request, &detail);
        if (status == 0 && request->server->draining && request->server->closing)
                status = 503, detail = "the server is going down";
        if (status) {
                rt_http_refuse(request, status, detail);
                return;
        }
        if (rt_http_is_preflight(request)) {
                rt_http_answer_preflight(request);
                return;
        }
        request->seen = true;
        if (config->on_head && config->on_head(request, &max_body, config->userdata) != 0) {
                rt_http_refuse(request, 500, "no answer was given"); /* ignored when there is one */
                return;
        }
        if (max_body > config->max_body_bytes)
                max_body = config->max_body_bytes;
        request->body = RT_BUF(max_body);
        if (content_length(request) > max_body)
                rt_http_refuse(request, 413, "the body is larger than what is taken here");
}

static bool attach(struct rt_http_conn *conn, struct rt_http_request *request, char **ret_target) {
        (void)pthread_mutex_lock(&conn->lock);
        bool cut = conn->cut;
        if (!cut) {
                conn->request = request;
                *ret_target = rt_take(conn->target);
        }
        (void)pthread_mutex_unlock(&conn->lock);
        return !cut;
}

static enum MHD_Result on_head(struct rt_http_conn *conn, struct MHD_Connection *mhd, const char *method,
                               const char *version, void **context) {
        rt_auto_free char *target = NULL;
        struct rt_http_request *request = conn ? rt_http_request_new(conn, mhd, method, version) : NULL;
        if (!request)
                return MHD_NO;
        if (!attach(conn, request, &target) || !target) {
                (void)pthread_mutex_lock(&conn->lock);
                conn->request = NULL;
                (void)pthread_mutex_unlock(&conn->lock);
                rt_http_let_go(request);
                return MHD_NO;
        }
        *context = request;
        rt_http_began(request->server);
        const char *length = rt_http_header(request, "Content-Length");
        request->has_body = rt_http_header(request, "Transfer-Encoding") || (length && strcmp(length, "0") != 0);
        judge_head(request, target);
        (void)pthread_mutex_lock(&request->lock);
        bool answered = request->answered != RT_HTTP_NOT_YET;
        (void)pthread_mutex_unlock(&request->lock);
        rt_http_conn_enter(conn, answered || !request->has_body ? RT_HTTP_BUSY : RT_HTTP_BODY);
        if (answered && request->has_body)
                return queue(request); /* now, and the body is not read; MHD ends the connection behind it */
        (void)pthread_mutex_lock(&request->lock);
        request->handed = answered;
        (void)pthread_mutex_unlock(&request->lock);
        return MHD_YES;
}

static enum MHD_Result on_body(struct rt_http_request *request, const char *data, size_t size) {
        struct rt_http_conn *conn = request->conn;
        enum rt_buf_result added = rt_buf_add(&request->body, data, size);
        if (added == RT_BUF_OK)
                return MHD_YES;
        (void)pthread_mutex_lock(&conn->lock);
        /* MHD takes no answer in the middle of a body: say it ourselves */
        if (!conn->cut && added == RT_BUF_FULL)
                rt_http_conn_cut(conn, 413, "the body is larger than what is taken here");
        (void)pthread_mutex_unlock(&conn->lock);
        return MHD_NO;
}

static enum MHD_Result on_end(struct rt_http_request *request) {
        struct rt_http_conn *conn = request->conn;
        (void)pthread_mutex_lock(&conn->lock);
        bool cut = conn->cut;
        (void)pthread_mutex_unlock(&conn->lock);
        if (cut)
                return MHD_NO;
        rt_http_conn_enter(conn, RT_HTTP_BUSY);
        request->body_read = true;
        (void)pthread_mutex_lock(&request->lock);
        request->handed = true;
        (void)pthread_mutex_unlock(&request->lock);
        request->server->config.on_request(request, request->server->config.userdata);
        return answer_or_wait(request);
}

enum MHD_Result rt_http_handle(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                               const char *version, const char *data, size_t *size, void **context) {
        struct rt_http_request *request = *context;
        (void)cls;
        (void)url;
        if (!request)
                return on_head(rt_http_conn_of(mhd), mhd, method, version, context);
        if (*size) {
                size_t n = *size;
                *size = 0;
                return on_body(request, data, n);
        }
        return request->handed ? answer_or_wait(request) : on_end(request);
}

/* The last MHD says of a request. */
void rt_http_finished(void *cls, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode code) {
        const struct rt_http_listener *listener = cls;
        struct rt_http *server = listener->server;
        struct rt_http_request *request = *context;
        (void)mhd;
        if (!request)
                return;
        *context = NULL;
        struct rt_http_conn *conn = request->conn;
        (void)pthread_mutex_lock(&conn->lock);
        conn->request = NULL;
        conn->linger |= request->has_body && !request->body_read;
        (void)pthread_mutex_unlock(&conn->lock);
        rt_http_conn_enter(conn, RT_HTTP_IDLE);

        (void)pthread_mutex_lock(&request->lock);
        bool whole = request->upgraded || (code == MHD_REQUEST_TERMINATED_COMPLETED_OK && !request->gone);
        struct rt_http_socket *socket = rt_take(request->socket);
        struct MHD_Response *unsent = rt_take(request->response); /* a stream's holds the request: a ring */
        request->finished = true;
        request->gone = request->gone || !whole;
        request->conn = NULL;
        request->mhd = NULL;
        int status = request->status;
        uint64_t sent = request->sent;
        (void)pthread_cond_broadcast(&request->moved);
        (void)pthread_mutex_unlock(&request->lock);

        if (unsent)
                MHD_destroy_response(unsent);
        if (socket)
                rt_http_socket_abandon(socket);
        if (!whole && request->seen && server->config.on_gone)
                server->config.on_gone(request, request->data, server->config.userdata);
        if (server->config.on_done)
                server->config.on_done(request, status, sent, rt_now_ns() - request->started, server->config.userdata);
        rt_http_let_go(request);
        rt_http_ended(server);
}
