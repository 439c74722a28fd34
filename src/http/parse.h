/* SPDX-License-Identifier: Apache-2.0
 *
 * The texts of a request that we read ourselves: request target, Host, Origin, lists of tokens, the key of a
 * WebSocket. Pure functions of outside bytes; each has a fuzz target.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "http/http.h"

struct rt_http_target {
        const char *authority; /* of the absolute form, or NULL */
        const char *path;      /* decoded; begins with '/', or is "*" */
        const struct rt_http_header *query; /* decoded; ended by a NULL name */
};

/* 0, or -1 with *ret_why: bad escapes, control characters and NUL, what is not UTF-8, segments that are "." or "..",
 * an escaped slash: whoever routes by the path must not be led round its checks. NULL in *ret_why: no memory. */
int rt_http_target_parse(struct rt_arena *arena, const char *text, struct rt_http_target *ret,
                         const char **ret_why);

#define RT_HTTP_HOST_MAX 256
/* "Example.com.:80" to "example.com", "[::1]:80" to "::1". -1: not a host. */
int rt_http_host_name(const char *host, char ret_name[RT_HTTP_HOST_MAX]);
/* localhost, names under it, and loopback addresses. */
bool rt_http_name_is_loopback(const char *name);
/* "https://example.com:8081" for Host "example.com:8081". */
bool rt_http_origin_is_host(const char *origin, const char *host);
/* "keep-alive, Upgrade" has "upgrade". */
bool rt_http_has_token(const char *list, const char *token);
/* 16 bytes in base64, as RFC 6455 wants it. */
bool rt_http_key_is_right(const char *key);
/* Sec-WebSocket-Accept for a key. 0, or -1: no SHA-1 here. */
int rt_http_accept_key(const char *key, char ret_accept[32]);
/* Fit to be sent: a token; and no character that could end a line. */
bool rt_http_header_is_fit(const char *name, const char *value);
