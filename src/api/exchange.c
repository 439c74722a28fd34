/* SPDX-License-Identifier: Apache-2.0
 *
 * One request and its answer; and how every refusal is said.
 */
#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "api/api.h"
#include "base/util.h"

void rt_exchange_keep(struct rt_exchange *x) {
        (void)atomic_fetch_add(&x->references, 1);
}

void rt_exchange_end(struct rt_exchange *x) {
        if (atomic_fetch_sub(&x->references, 1) == 1)
                rt_http_let_go(x->http);
}

void rt_exchange_free(void *pointer) {
        struct rt_exchange *x = pointer;
        if (x->free_data)
                x->free_data(x->data);
        rt_arena_clear(&x->arena);
        free(x);
}

/* ---- answering ---- */

/* What every answer carries once a key was good: RateLimit-* of draft-ietf-httpapi-ratelimit-headers. */
static size_t common_headers(const struct rt_exchange *x, struct rt_http_header headers[12], char text[3][24]) {
        size_t n = 0;
        const struct rt_refusal *r = &x->refusal;
        headers[n++] = (struct rt_http_header){ "Cache-Control", "no-store" };
        for (const struct rt_http_header *more = x->more; more->name; more++)
                headers[n++] = *more;
        if (r->limit) {
                (void)snprintf(text[0], sizeof text[0], "%llu", (unsigned long long)r->limit);
                (void)snprintf(text[1], sizeof text[1], "%llu", (unsigned long long)r->remaining);
                (void)snprintf(text[2], sizeof text[2], "%llu", (unsigned long long)r->reset_s);
                headers[n++] = (struct rt_http_header){ "RateLimit-Limit", text[0] };
                headers[n++] = (struct rt_http_header){ "RateLimit-Remaining", text[1] };
                headers[n++] = (struct rt_http_header){ "RateLimit-Reset", text[2] };
        }
        return n;
}

void rt_exchange_reply(struct rt_exchange *x, int status, const char *content_type, const void *body, size_t size) {
        struct rt_http_header headers[12] = { 0 };
        char text[3][24];
        char retry[16];
        size_t n = common_headers(x, headers, text);
        if (content_type)
                headers[n++] = (struct rt_http_header){ "Content-Type", content_type };
        if (status == 401)
                headers[n++] = (struct rt_http_header){ "WWW-Authenticate", "Bearer realm=\"retort\"" };
        if ((status == 429 || status == 503) && x->refusal.retry_after_s) {
                (void)snprintf(retry, sizeof retry, "%u", x->refusal.retry_after_s);
                headers[n++] = (struct rt_http_header){ "Retry-After", retry };
        }
        rt_http_reply(x->http, status, headers, body, size);
}

void rt_exchange_reply_json(struct rt_exchange *x, int status, char *text) {
        if (text)
                rt_exchange_reply(x, status, "application/json", text, strlen(text));
        else
                rt_exchange_refuse(x, 500, "internal", "out of memory");
        free(text);
}

/* ---- refusing ---- */

static const char *title_of(int status) {
        static const struct {
                int status;
                const char *title;
        } titles[] = { { 400, "Bad Request" },       { 401, "Unauthorized" },        { 403, "Forbidden" },
                       { 404, "Not Found" },         { 405, "Method Not Allowed" },  { 409, "Conflict" },
                       { 413, "Content Too Large" }, { 415, "Unsupported Media Type" }, { 416, "Range Not Satisfiable" },
                       { 429, "Too Many Requests" }, { 501, "Not Implemented" },      { 503, "Service Unavailable" },
                       { 507, "Insufficient Storage" } };
        for (size_t i = 0; i < RT_LEN(titles); i++)
                if (titles[i].status == status)
                        return titles[i].title;
        return "Internal Server Error";
}

/* Messages about a request's field begin with its path: "limits.wall_ms: must be ...". */
static size_t path_size(const char *detail) {
        size_t n = 0;
        while (islower((unsigned char)detail[n]) || isdigit((unsigned char)detail[n]) || (detail[n] && strchr("_.[]", detail[n])))
                n++;
        return n > 0 && detail[n] == ':' && detail[n + 1] == ' ' && islower((unsigned char)detail[0]) ? n : 0;
}

/* The field that a message is about: its path, and behind that the name of one that should not be there. "request" is
 * the whole body, so no field. NULL: none. */
static json_t *field_of(const char *detail) {
        static const char unknown[] = ": unknown field \"";
        char field[256];
        size_t n = path_size(detail);
        if (n == 0)
                return NULL;
        const char *rest = detail + n;
        if (n == strlen("request") && strncmp(detail, "request", n) == 0)
                n = 0;
        bool named = strncmp(rest, unknown, sizeof unknown - 1) == 0;
        const char *name = named ? rest + sizeof unknown - 1 : "";
        (void)snprintf(field, sizeof field, "%.*s%s%.*s", (int)n, detail, n && named ? "." : "", (int)strcspn(name, "\""), name);
        return *field ? json_string(field) : NULL;
}

static void refuse_with_problem(struct rt_exchange *x, int status, const char *type, const char *detail) {
        char urn[128];
        (void)snprintf(urn, sizeof urn, "urn:retort:problem:%s", type);
        json_t *problem = json_pack("{s:s, s:s, s:i, s:s}", "type", urn, "title", title_of(status), "status", status,
                                    "detail", detail);
        json_t *field = status == 400 ? field_of(detail) : NULL;
        if (field)
                (void)json_object_set_new(problem, "field", field);
        char *text = problem ? json_dumps(problem, JSON_COMPACT) : NULL;
        json_decref(problem);
        if (text)
                rt_exchange_reply(x, status, "application/problem+json", text, strlen(text));
        else
                rt_exchange_reply(x, 500, "application/problem+json", "{}", 2);
        free(text);
}

void rt_exchange_refuse(struct rt_exchange *x, int status, const char *type, const char *detail) {
        if (x->face && x->face->refuse)
                x->face->refuse(x, status, type, detail);
        else
                refuse_with_problem(x, status, type, detail);
}

void rt_exchange_fail(struct rt_exchange *x, const struct retort_error *err) {
        switch (err->code) {
        case RETORT_E_INPUT:
                rt_exchange_refuse(x, 400, "invalid-request", err->message);
                break;
        case RETORT_E_NO_RUNTIME:
                rt_exchange_refuse(x, 400, "no-such-runtime", err->message);
                break;
        case RETORT_E_CLOSED:
                rt_exchange_refuse(x, 503, "shutting-down", err->message);
                break;
        default:
                rt_exchange_refuse(x, 500, "internal", err->message);
        }
}

void rt_exchange_refused(struct rt_exchange *x, const struct rt_refusal *refusal, const struct retort_error *err) {
        x->refusal = *refusal;
        switch (refusal->why) {
        case RT_REFUSED_KEY:
                rt_exchange_refuse(x, 401, "unauthorized", err->message);
                break;
        case RT_REFUSED_SCOPE:
                rt_exchange_refuse(x, 403, "forbidden", err->message);
                break;
        case RT_REFUSED_RATE:
                rt_exchange_refuse(x, 429, "rate-limited", err->message);
                break;
        case RT_REFUSED_QUOTA:
                rt_exchange_refuse(x, 429, "quota-exceeded", err->message);
                break;
        case RT_REFUSED_BUSY:
                rt_exchange_refuse(x, 503, "busy", err->message);
                break;
        case RT_REFUSED_NOT:
                rt_exchange_fail(x, err);
        }
}

bool rt_exchange_has_json(struct rt_exchange *x) {
        const char *type = rt_http_header(x->http, "Content-Type");
        size_t n = type ? strcspn(type, "; \t") : 0;
        bool good = n == strlen("application/json") && strncasecmp(type, "application/json", n) == 0;
        if (!good)
                rt_exchange_refuse(x, 415, "unsupported-media-type", "the body must be sent as Content-Type: application/json");
        return good;
}

void rt_time_text(char out[25], int64_t unix_ms) {
        time_t seconds = (time_t)(unix_ms / 1000);
        struct tm t;
        (void)gmtime_r(&seconds, &t);
        size_t n = strftime(out, 25, "%Y-%m-%dT%H:%M:%S", &t);
        (void)snprintf(out + n, 25 - n, ".%03dZ", (int)(unix_ms % 1000));
}
