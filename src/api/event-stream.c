/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/native.h"
#include "base/buf.h"

enum { STREAM_BUFFER = 64 * 1024, EVENT_MAX = 1 << 30 };

enum rt_stream_form rt_stream_form_of(const struct rt_http_request *http) {
        const char *accept = rt_http_header(http, "Accept");
        if (accept && strstr(accept, "application/x-ndjson"))
                return RT_STREAM_NDJSON;
        return accept && strstr(accept, "text/event-stream") ? RT_STREAM_SSE : RT_STREAM_NONE;
}

struct rt_http_stream *rt_event_stream_open(struct rt_exchange *x, enum rt_stream_form form) {
        const struct rt_http_header headers[] = {
                { "Content-Type", form == RT_STREAM_SSE ? "text/event-stream" : "application/x-ndjson" },
                { "Cache-Control", "no-store" },
                { "X-Accel-Buffering", "no" }, /* proxies must not hold events back */
                { NULL, NULL } };
        return rt_http_stream_open(x->http, 200, headers, STREAM_BUFFER);
}

/* The value of "seq" or the text of "type" in a line that our own encoder wrote: they stand first, seq before type where there
 * is one. */
static const char *behind(const char *json, const char *key) {
        const char *at = strstr(json, key);
        return at ? at + strlen(key) : "";
}

static bool is_numbered(const char *json) {
        static const char first[] = "{\"seq\":";
        return strncmp(json, first, sizeof first - 1) == 0;
}

int rt_event_stream_write(struct rt_http_stream *stream, enum rt_stream_form form, const char *json, size_t size, int timeout_ms) {
        rt_auto_buf struct rt_buf text = RT_BUF(EVENT_MAX);
        if (form == RT_STREAM_SSE) {
                const char *type = behind(json, "\"type\":\"");
                if (is_numbered(json))
                        (void)rt_buf_printf(&text, "id: %llu\n", strtoull(behind(json, "\"seq\":"), NULL, 10));
                (void)rt_buf_printf(&text, "event: %.*s\ndata: ", (int)strcspn(type, "\""), type);
        }
        enum rt_buf_result full = rt_buf_add(&text, json, size);
        full |= rt_buf_add(&text, "\n\n", form == RT_STREAM_SSE ? 2 : 1);
        return full == RT_BUF_OK ? rt_http_stream_write(stream, text.data, text.size, timeout_ms) : -1;
}
