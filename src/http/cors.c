/* SPDX-License-Identifier: Apache-2.0
 *
 * Pages of allowed Origins: their browser asks first (a preflight, which carries no key and so never reaches a handler),
 * and shows them an answer only when that says so. An Origin that is listed by name may send credentials; "*" may not.
 */
#include <string.h>

#include "http/internal.h"

bool rt_http_is_preflight(const struct rt_http_request *request) {
        return strcmp(request->method, "OPTIONS") == 0 && rt_http_foreign_origin(request) &&
               rt_http_header(request, "Access-Control-Request-Method");
}

/* Any header may be sent: which ones mean something is the handlers' affair. */
void rt_http_answer_preflight(struct rt_http_request *request) {
        const char *asked = rt_http_header(request, "Access-Control-Request-Headers");
        const struct rt_http_header headers[] = {
                { "Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE" },
                { "Access-Control-Max-Age", "600" },
                { "Cache-Control", "no-store" },
                { asked && *asked ? "Access-Control-Allow-Headers" : NULL, asked },
                { NULL, NULL },
        };
        rt_http_reply(request, 204, headers, NULL, 0);
}

void rt_http_allow_origin(const struct rt_http_request *request, struct MHD_Response *response) {
        const char *origin = rt_http_foreign_origin(request);
        if (!origin)
                return;
        (void)MHD_add_response_header(response, "Access-Control-Allow-Origin", origin);
        (void)MHD_add_response_header(response, "Vary", "Origin");
        if (strcmp(origin, "*") != 0)
                (void)MHD_add_response_header(response, "Access-Control-Allow-Credentials", "true");
        (void)MHD_add_response_header(response, "Access-Control-Expose-Headers",
                                      "Location, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset");
}
