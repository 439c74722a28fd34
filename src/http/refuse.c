/* SPDX-License-Identifier: Apache-2.0
 *
 * Refusals as problem documents (RFC 9457). Our details are fixed sentences of ours: nothing of the client's is in them,
 * so nothing needs escaping.
 */
#include <stdio.h>

#include "http/internal.h"

const char *rt_http_title(int status) {
        static const struct {
                int status;
                const char *title;
        } titles[] = {
                { 400, "Bad Request" },
                { 403, "Forbidden" },
                { 408, "Request Timeout" },
                { 413, "Content Too Large" },
                { 421, "Misdirected Request" },
                { 426, "Upgrade Required" },
                { 431, "Request Header Fields Too Large" },
                { 500, "Internal Server Error" },
                { 501, "Not Implemented" },
                { 503, "Service Unavailable" },
        };
        for (size_t i = 0; i < RT_LEN(titles); i++)
                if (titles[i].status == status)
                        return titles[i].title;
        return "Error";
}

size_t rt_http_problem(char *text, size_t size, int status, const char *detail) {
        int n = snprintf(text, size,
                         "{\"type\": \"about:blank\", \"title\": \"%s\", \"status\": %d, \"detail\": \"%s\"}\n",
                         rt_http_title(status), status, detail);
        return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

void rt_http_refuse(struct rt_http_request *request, int status, const char *detail) {
        char text[512];
        size_t size = rt_http_problem(text, sizeof text, status, detail);
        const struct rt_http_header headers[] = {
                { "Content-Type", "application/problem+json" },
                { status == 426 ? "Sec-WebSocket-Version" : NULL, "13" },
                { NULL, NULL },
        };
        rt_http_reply(request, status, headers, text, size);
}
