/* SPDX-License-Identifier: Apache-2.0 */
#include "api/runtime.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "api/token.h"
#include "base/err.h"
#include "base/util.h"

enum { BODY_DEPTH_BYTES = 1 << 24, WALL_MS = 10000 };

/* ---- answers ---- */

void rt_runtime_reply(struct rt_exchange *x, int status, bool success, const char *message, const char *data_json) {
        json_t *said = json_string(message);
        rt_auto_free char *text = said ? json_dumps(said, JSON_ENCODE_ANY) : NULL;
        rt_auto_buf struct rt_buf body = RT_BUF(1 << 30);
        json_decref(said);
        if (!text || rt_buf_printf(&body, "{\"success\":%s,\"message\":%s,\"data\":", success ? "true" : "false", text) != RT_BUF_OK ||
            rt_buf_add(&body, data_json ? data_json : "null", data_json ? strlen(data_json) : 4) != RT_BUF_OK ||
            rt_buf_add(&body, "}", 1) != RT_BUF_OK) {
                rt_exchange_reply(x, 500, "application/json", "{\"success\":false,\"message\":\"out of memory\",\"data\":null}", 53);
                return;
        }
        bool handled = x->config->runtime_face_strict && status != 401 && status < 500;
        rt_exchange_reply(x, handled ? 200 : status, "application/json", body.data, body.size);
}

static void refuse(struct rt_exchange *x, int status, const char *type, const char *detail) {
        (void)type;
        rt_runtime_reply(x, status, false, detail, NULL);
}

json_t *rt_runtime_body(struct rt_exchange *x) {
        struct retort_bytes body = rt_http_body(x->http);
        json_error_t wrong;
        json_t *object = json_loadb(body.data ? body.data : "", body.size, JSON_REJECT_DUPLICATES, &wrong);
        if (json_is_object(object))
                return object;
        char *text = object ? rt_arena_strdup(&x->arena, "the body must be a JSON object")
                            : rt_arena_printf(&x->arena, "not JSON: line %d, column %d: %s", wrong.line, wrong.column, wrong.text);
        json_decref(object);
        rt_runtime_reply(x, 400, false, text ? text : "not JSON", NULL);
        return NULL;
}

bool rt_runtime_docs(const struct rt_exchange *x) {
        const char *asked = rt_http_query(x->http, "generation");
        return strcmp(asked ? asked : x->config->runtime_face_generation, "docs") == 0;
}

/* ---- who asks ---- */

static int unauthorized(struct rt_exchange *x, const char *message) {
        rt_runtime_reply(x, 401, false, message, NULL);
        return RETORT_E_INPUT;
}

static bool anonymous_allowed(const struct rt_exchange *x, const struct rt_route *route) {
        bool socket = route->handle == rt_runtime_socket;
        if (socket && x->config->runtime_face_anonymous_socket)
                return true;
        return (socket || route->handle == rt_runtime_execute) && (x->config->runtime_face_anonymous || !x->config->auth_required);
}

/* A browser cannot give a WebSocket headers: there the token may stand in the query. */
static const char *token_of(const struct rt_http_request *http, bool socket) {
        const char *authorization = rt_http_header(http, "Authorization");
        if (authorization && strncasecmp(authorization, "Bearer ", 7) == 0)
                return authorization + 7;
        return socket ? rt_http_query(http, "token") : NULL;
}

static int admit_token(struct rt_exchange *x, const char *token) {
        struct rt_store_user user;
        const char *email = rt_token_subject(x->config->auth_jwt_secret, token, time(NULL), &x->arena);
        if (!email)
                return unauthorized(x, "Unauthorized - please login");
        int r = rt_store_user_by_email(rt_service_store(x->service), email, &x->arena, &user, NULL);
        if (r == RETORT_E_INPUT)
                return unauthorized(x, "User session invalid - please log in again");
        if (r < 0) {
                rt_runtime_reply(x, 500, false, "the store does not answer", NULL);
                return r;
        }
        x->caller = (struct rt_caller){ .tenant_id = user.tenant_id, .user_id = user.id, .scopes = RT_SCOPE_RUN | RT_SCOPE_JOBS };
        return 0;
}

static int admit(struct rt_exchange *x, const struct rt_route *route) {
        struct retort_error err = { 0 };
        const char *token = token_of(x->http, route->handle == rt_runtime_socket);
        int r = 0;
        if (token && strncmp(token, "rt_", 3) == 0) {
                r = rt_service_admit(x->service, token, route->scope ? route->scope : RT_SCOPE_RUN, &x->caller, &x->refusal, &err);
                if (r < 0)
                        rt_exchange_refused(x, &x->refusal, &err);
                return r;
        }
        if (route->scope != RT_ROUTE_OPEN && token)
                r = admit_token(x, token);
        else if (route->scope != RT_ROUTE_OPEN && !anonymous_allowed(x, route))
                r = unauthorized(x, "Unauthorized - please login");
        else
                x->caller = (struct rt_caller){ .tenant_id = 1, .scopes = RT_SCOPE_RUN };
        if (r < 0)
                return r;
        r = rt_service_take_token(x->service, &x->caller, &x->refusal, &err);
        if (r < 0)
                rt_exchange_refused(x, &x->refusal, &err);
        return r;
}

int rt_runtime_user(struct rt_exchange *x, struct rt_store_user *ret_user, struct retort_error *err) {
        if (!x->caller.user_id)
                return rt_fail(err, RETORT_E_INPUT, "this needs a user; an API key has none");
        return rt_store_user_by_id(rt_service_store(x->service), x->caller.user_id, &x->arena, ret_user, err);
}

struct retort_request rt_runtime_request(const char *language, const char *code, const char *stdin_text) {
        return (struct retort_request){
                .language = language,
                .code = { code, strlen(code) },
                .stdin_data = { stdin_text, stdin_text ? strlen(stdin_text) : 0 },
                .limits = { .wall_ms = WALL_MS },
                .compile_limits = { .wall_ms = WALL_MS },
        };
}

static const struct rt_route routes[] = {
        { "POST", "/api/auth/register", rt_runtime_register, RT_ROUTE_OPEN, true },
        { "POST", "/api/auth/login", rt_runtime_login, RT_ROUTE_OPEN, true },
        { "POST", "/api/auth/guest", rt_runtime_guest, RT_ROUTE_OPEN, true },
        { "POST", "/api/execute", rt_runtime_execute, RT_SCOPE_RUN, true },
        { "GET", "/api/result/{id}", rt_runtime_result, RT_SCOPE_JOBS },
        { "GET", "/api/codes", rt_runtime_codes_list, RT_SCOPE_JOBS },
        { "POST", "/api/codes", rt_runtime_codes_add, RT_SCOPE_JOBS, true },
        { "GET", "/api/codes/{id}", rt_runtime_codes_get, RT_SCOPE_JOBS },
        { "PATCH", "/api/codes/{id}", rt_runtime_codes_change, RT_SCOPE_JOBS, true },
        { "DELETE", "/api/codes/{id}", rt_runtime_codes_delete, RT_SCOPE_JOBS, true },
        { "GET", "/api/submissions", rt_runtime_submissions, RT_SCOPE_JOBS },
        { "GET", "/ws/execute", rt_runtime_socket, RT_SCOPE_RUN },
        { 0 },
};

const struct rt_face rt_face_runtime = { .prefix = "/api", .routes = routes, .admit = admit, .refuse = refuse };
