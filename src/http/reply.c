/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers, handed from any thread to the one of MHD that sends them.
 */
#include "http/internal.h"

/* A request that is not finished keeps its server, so that the server may be used under its lock; and so does one whose
 * connection is being resumed. */
static int answer(struct rt_http_request *request, enum rt_http_answered kind, int status,
                  struct MHD_Response *response, uint64_t size, struct rt_http_socket *socket) {
        struct rt_http *server = request->server;
        struct MHD_Connection *mhd = NULL;
        int r = -1;
        (void)pthread_mutex_lock(&request->lock);
        if (request->answered == RT_HTTP_NOT_YET && !request->gone && !request->finished) {
                request->answered = kind;
                request->status = status;
                request->sent = size;
                request->socket = socket;
                if (socket)
                        rt_http_began(request->server);
                request->response = rt_take(response);
                mhd = rt_http_to_resume(request);
                r = 0;
        }
        (void)pthread_mutex_unlock(&request->lock);
        rt_http_resume(server, mhd);
        if (response)
                MHD_destroy_response(response);
        return r;
}

int rt_http_answer(struct rt_http_request *request, enum rt_http_answered kind, int status,
                   struct MHD_Response *response, uint64_t size) {
        return answer(request, kind, status, response, size, NULL);
}

int rt_http_answer_socket(struct rt_http_request *request, struct rt_http_socket *socket,
                          struct MHD_Response *response) {
        return answer(request, RT_HTTP_UPGRADED, MHD_HTTP_SWITCHING_PROTOCOLS, response, 0, socket);
}

int rt_http_add_headers(struct MHD_Response *response, const struct rt_http_header *headers) {
        for (; headers && headers->name; headers++) {
                if (!rt_http_header_is_fit(headers->name, headers->value) ||
                    MHD_add_response_header(response, headers->name, headers->value) != MHD_YES)
                        return -1;
        }
        return 0;
}

static struct MHD_Response *whole(const struct rt_http_header *headers, const void *body, size_t size) {
        /* MHD only reads: it copies */
        void *bytes = (void *)(uintptr_t)(size ? body : "");
        struct MHD_Response *response = MHD_create_response_from_buffer(size, bytes, MHD_RESPMEM_MUST_COPY);
        if (response && rt_http_add_headers(response, headers) < 0) {
                MHD_destroy_response(response);
                return NULL;
        }
        return response;
}

void rt_http_reply(struct rt_http_request *request, int status, const struct rt_http_header *headers, const void *body,
                   size_t size) {
        struct MHD_Response *response = status >= 200 && status <= 599 ? whole(headers, body, size) : NULL;
        if (!response) { /* no memory, or headers that would have broken the answer in two: never half an answer */
                static const struct rt_http_header problem[] = { { "Content-Type", "application/problem+json" }, { 0 } };
                char text[512];
                status = 500;
                size = rt_http_problem(text, sizeof text, status, "the answer could not be made");
                response = whole(problem, text, size);
        }
        if (response)
                (void)rt_http_answer(request, RT_HTTP_WHOLE, status, response, size);
        else
                rt_http_request_gone(request);
}
