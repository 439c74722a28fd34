/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers piece by piece: a ring between a writer and MHD, which reads from it when the client's socket takes more.
 * An empty ring suspends the connection; a full one makes the writer wait.
 */
#include <errno.h>
#include <string.h>

#include "http/internal.h"

enum { DEFAULT_RING = 64 << 10, PIECE = 16 << 10 };

static size_t ring_take(struct rt_http_stream *s, char *to, size_t most) {
        size_t n = s->used < most ? s->used : most;
        size_t tail = s->room - s->first;
        size_t one = n < tail ? n : tail;
        memcpy(to, s->ring + s->first, one);
        memcpy(to + one, s->ring, n - one);
        s->first = (s->first + n) % s->room;
        s->used -= n;
        return n;
}

static size_t ring_put(struct rt_http_stream *s, const char *from, size_t size) {
        size_t free_room = s->room - s->used;
        size_t n = size < free_room ? size : free_room;
        size_t at = (s->first + s->used) % s->room;
        size_t one = n < s->room - at ? n : s->room - at;
        memcpy(s->ring + at, from, one);
        memcpy(s->ring, from + one, n - one);
        s->used += n;
        return n;
}

/* MHD wants more to send. */
static ssize_t on_read(void *cls, uint64_t position, char *to, size_t most) {
        struct rt_http_request *request = cls;
        ssize_t n = 0;
        (void)position;
        (void)pthread_mutex_lock(&request->lock);
        if (request->gone)
                n = MHD_CONTENT_READER_END_WITH_ERROR;
        else if (request->stream.used) {
                n = (ssize_t)ring_take(&request->stream, to, most);
                request->sent += (uint64_t)n;
                (void)pthread_cond_broadcast(&request->moved);
        } else if (request->stream.closed)
                n = MHD_CONTENT_READER_END_OF_STREAM;
        else if (request->server->closing || request->conn->peer_left)
                n = MHD_CONTENT_READER_END_WITH_ERROR;
        else {
                request->suspended = true;
                MHD_suspend_connection(request->mhd);
        }
        (void)pthread_mutex_unlock(&request->lock);
        return n;
}

static void on_free(void *cls) {
        rt_http_let_go(cls);
}

struct rt_http_stream *rt_http_stream_open(struct rt_http_request *request, int status,
                                           const struct rt_http_header *headers, size_t buffer_bytes) {
        size_t room = buffer_bytes ? buffer_bytes : DEFAULT_RING;
        char *ring = rt_http_gone(request) ? NULL : malloc(room);
        if (!ring)
                return NULL;
        (void)pthread_mutex_lock(&request->lock);
        bool late = request->stream.ring || request->answered != RT_HTTP_NOT_YET;
        if (!late)
                request->stream = (struct rt_http_stream){ .ring = ring, .room = room };
        (void)pthread_mutex_unlock(&request->lock);
        if (late)
                return free(ring), NULL;
        rt_http_hold(request); /* the response's */
        rt_http_hold(request); /* the writer's */
        struct MHD_Response *response =
                MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE, on_read, request, on_free);
        if (response && strcmp(request->method, "HEAD") == 0) /* MHD sends the last chunk after a HEAD, too */
                (void)MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
        if (!response)
                rt_http_let_go(request);
        else if (rt_http_add_headers(response, headers) < 0) {
                MHD_destroy_response(response);
                rt_http_refuse(request, 500, "the answer could not be made");
        } else if (rt_http_answer(request, RT_HTTP_STREAMED, status, response, 0) == 0)
                return &request->stream;
        rt_http_let_go(request);
        return NULL;
}

static struct rt_http_request *request_of(struct rt_http_stream *stream) {
        return rt_container_of(stream, struct rt_http_request, stream);
}

/* Waits for room. False when there will be none in time. */
static bool wait_for_room(struct rt_http_request *request, const struct timespec *until) {
        while (request->stream.used == request->stream.room && !request->gone && !request->finished) {
                if (!until)
                        (void)pthread_cond_wait(&request->moved, &request->lock);
                else if (pthread_cond_timedwait(&request->moved, &request->lock, until) == ETIMEDOUT)
                        break;
        }
        return request->stream.used < request->stream.room && !request->gone && !request->finished;
}

static struct timespec in_ms(int ms) {
        uint64_t ns = rt_now_ns() + (uint64_t)(ms > 0 ? ms : 0) * RT_HTTP_MS;
        return (struct timespec){ .tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u) };
}

int rt_http_stream_write(struct rt_http_stream *stream, const void *data, size_t size, int timeout_ms) {
        struct rt_http_request *request = request_of(stream);
        struct timespec until = in_ms(timeout_ms);
        const char *from = data;
        struct rt_http *server = request->server;
        (void)pthread_mutex_lock(&request->lock);
        bool there = !request->gone && !request->finished;
        while (there && size) {
                there = wait_for_room(request, timeout_ms < 0 ? NULL : &until);
                if (!there)
                        break;
                size_t n = ring_put(stream, from, size);
                from += n;
                size -= n;
                struct MHD_Connection *mhd = rt_http_to_resume(request);
                if (!mhd)
                        continue;
                (void)pthread_mutex_unlock(&request->lock);
                rt_http_resume(server, mhd);
                (void)pthread_mutex_lock(&request->lock);
        }
        (void)pthread_mutex_unlock(&request->lock);
        return there ? 0 : -1;
}

void rt_http_stream_close(struct rt_http_stream *stream) {
        if (!stream)
                return;
        struct rt_http_request *request = request_of(stream);
        (void)pthread_mutex_lock(&request->lock);
        stream->closed = true;
        struct rt_http *server = request->server;
        struct MHD_Connection *mhd = rt_http_to_resume(request);
        (void)pthread_mutex_unlock(&request->lock);
        rt_http_resume(server, mhd);
        rt_http_let_go(request);
}
