/* SPDX-License-Identifier: Apache-2.0
 *
 * The opening handshake of a WebSocket (RFC 6455, section 4.2).
 */
#include "http/handshake.h"

#include <string.h>

static const char *header(const struct rt_http_request *request, const char *name) {
        const char *value = rt_http_header(request, name);
        return value ? value : "";
}

static bool asks_for_upgrade(const struct rt_http_request *request) {
        return request->http11 && strcmp(request->method, "GET") == 0 && !request->has_body &&
               rt_http_has_token(header(request, "Connection"), "upgrade") &&
               rt_http_has_token(header(request, "Upgrade"), "websocket");
}

bool rt_http_wants_socket(const struct rt_http_request *request) {
        return asks_for_upgrade(request) && strcmp(header(request, "Sec-WebSocket-Version"), "13") == 0 &&
               rt_http_key_is_right(header(request, "Sec-WebSocket-Key"));
}

bool rt_http_refuse_socket(struct rt_http_request *request) {
        if (rt_http_wants_socket(request))
                return false;
        if (!asks_for_upgrade(request))
                rt_http_refuse(request, 426, "this is a WebSocket: ask for it with Upgrade: websocket");
        else if (strcmp(header(request, "Sec-WebSocket-Version"), "13") != 0)
                rt_http_refuse(request, 426, "only version 13 of WebSocket is spoken here");
        else
                rt_http_refuse(request, 400, "Sec-WebSocket-Key is not 16 bytes in base64");
        return true;
}

struct MHD_Response *rt_http_upgrade(const struct rt_http_request *request, const char *protocol,
                                     MHD_UpgradeHandler handler, void *userdata) {
        char accept[32];
        if (rt_http_accept_key(header(request, "Sec-WebSocket-Key"), accept) < 0)
                return NULL;
        const struct rt_http_header headers[] = {
                { "Upgrade", "websocket" },
                { "Sec-WebSocket-Accept", accept },
                { protocol ? "Sec-WebSocket-Protocol" : NULL, protocol },
                { NULL, NULL },
        };
        struct MHD_Response *response = MHD_create_response_for_upgrade(handler, userdata);
        if (response && rt_http_add_headers(response, headers) < 0) {
                MHD_destroy_response(response);
                return NULL;
        }
        return response;
}

int rt_http_upgrade_text(const struct rt_http_request *request, const char *protocol, struct rt_buf *text) {
        char accept[32];
        if (rt_http_accept_key(header(request, "Sec-WebSocket-Key"), accept) < 0 ||
            (protocol && !rt_http_header_is_fit("Sec-WebSocket-Protocol", protocol)))
                return -1;
        return rt_buf_printf(text, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                   "Sec-WebSocket-Accept: %s\r\n%s%s%s\r\n", accept, protocol ? "Sec-WebSocket-Protocol: " : "",
                             protocol ? protocol : "", protocol ? "\r\n" : "") == RT_BUF_OK ? 0 : -1;
}
