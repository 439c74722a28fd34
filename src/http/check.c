/* SPDX-License-Identifier: Apache-2.0
 *
 * What MHD lets pass and we do not: heads that a proxy in front could read otherwise (request smuggling), and requests
 * that a browser was led to make (DNS rebinding, foreign origins).
 */
#include <string.h>
#include <strings.h>

#include "http/internal.h"

static size_t count(const struct rt_http_request *request, const char *name) {
        size_t n = 0;
        for (const struct rt_http_header *h = request->headers; h->name; h++)
                n += strcasecmp(h->name, name) == 0;
        return n;
}

/* Blanks before a colon, and control characters. */
static bool has_unfit_header(const struct rt_http_request *request) {
        for (const struct rt_http_header *h = request->headers; h->name; h++)
                if (!rt_http_header_is_fit(h->name, h->value))
                        return true;
        return false;
}

int rt_http_check_head(const struct rt_http_request *request, const char *target, const char **ret_detail) {
        const union MHD_ConnectionInfo *info =
                MHD_get_connection_info(request->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
        const char *coding = rt_http_header(request, "Transfer-Encoding");
        size_t most = request->server->config.max_head_bytes;
        *ret_detail = NULL;
        if ((info && info->header_size > most) || strlen(target) > most)
                return *ret_detail = "the head is larger than what is taken here", 431;
        if (has_unfit_header(request))
                *ret_detail = "a header has a character that does not belong there";
        else if (count(request, "Content-Length") > 1)
                *ret_detail = "there is more than one Content-Length";
        else if (coding && count(request, "Content-Length"))
                *ret_detail = "there are both Content-Length and Transfer-Encoding";
        else if (coding && (count(request, "Transfer-Encoding") > 1 || strcasecmp(coding, "chunked") != 0))
                return *ret_detail = "only chunked is taken as Transfer-Encoding", 501;
        else if (coding && !request->http11)
                *ret_detail = "Transfer-Encoding does not go with HTTP/1.0";
        else if (count(request, "Host") > 1)
                *ret_detail = "there is more than one Host";
        else if (request->http11 && count(request, "Host") == 0)
                *ret_detail = "there is no Host";
        return *ret_detail ? 400 : 0;
}

static bool host_is_listed(const struct rt_http_config *config, const char *name) {
        char listed[RT_HTTP_HOST_MAX];
        for (const char *const *p = config->hosts; p && *p; p++)
                if (rt_http_host_name(*p, listed) == 0 && strcmp(listed, name) == 0)
                        return true;
        return false;
}

static bool host_is_ours(const struct rt_http_request *request, const char *name) {
        const struct rt_http *server = request->server;
        const struct rt_http_listener *listener = request->conn->listener;
        if (listener->local || rt_http_name_is_loopback(name) || host_is_listed(&server->config, name))
                return true;
        if (!listener->loopback && !server->config.hosts)
                return true;
        return strcmp(listener->address, name) == 0;
}

/* As it stands in the list: itself, or "*"; NULL: it does not. */
static const char *listed_origin(const struct rt_http_config *config, const char *origin) {
        const char *any = NULL;
        for (const char *const *p = config->origins; p && *p; p++)
                if (strcasecmp(*p, origin) == 0)
                        return origin;
                else if (strcmp(*p, "*") == 0)
                        any = *p;
        return any;
}

const char *rt_http_foreign_origin(const struct rt_http_request *request) {
        const char *origin = rt_http_header(request, "Origin");
        return origin && *origin ? listed_origin(&request->server->config, origin) : NULL;
}

int rt_http_check_place(const struct rt_http_request *request, const char **ret_detail) {
        char name[RT_HTTP_HOST_MAX];
        const char *host = rt_http_header(request, "Host");
        const char *origin = rt_http_header(request, "Origin");
        if (request->target.authority) /* RFC 9112, 3.2.2: it counts, not Host */
                host = request->target.authority;
        if (host && rt_http_host_name(host, name) < 0)
                return *ret_detail = "Host is not a host", 400;
        if (host && !host_is_ours(request, name))
                return *ret_detail = "this server does not go by that Host", 421;
        if (count(request, "Origin") > 1)
                return *ret_detail = "there is more than one Origin", 400;
        if (origin && !listed_origin(&request->server->config, origin) && !rt_http_origin_is_host(origin, host ? host : ""))
                return *ret_detail = "requests from that Origin are not taken", 403;
        return 0;
}
