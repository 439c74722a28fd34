/* SPDX-License-Identifier: Apache-2.0
 *
 * The AgentBay face's routes, who may use them, and the direct way to a tool: POST {link_url}/callTool.
 */
#include "api/agentbay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/agentbay-control.h"
#include "base/util.h"

/* ---- tools ---- */

static const struct rt_ab_tool *const tools[] = { rt_ab_code_tools, rt_ab_file_tools };

const struct rt_ab_tool *rt_ab_tool_find(const char *name) {
        for (size_t i = 0; i < RT_LEN(tools); i++)
                for (const struct rt_ab_tool *tool = tools[i]; tool->name; tool++)
                        if (strcmp(tool->name, name) == 0)
                                return tool;
        return NULL;
}

char *rt_ab_tools_json(void) {
        json_t *list = json_array();
        for (size_t i = 0; i < RT_LEN(tools); i++)
                for (const struct rt_ab_tool *tool = tools[i]; tool->name; tool++)
                        (void)json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:s, s:s}", "name", tool->name, "description", tool->words,
                                                                    "inputSchema", json_loads(tool->schema, 0, NULL), "server", tool->server,
                                                                    "tool", tool->name));
        char *text = list ? json_dumps(list, JSON_COMPACT) : NULL;
        json_decref(list);
        return text;
}

/* ---- what the configuration says ---- */

const char *rt_ab_url(struct rt_exchange *x, bool socket) {
        const char *url = x->config->agentbay_face_url;
        const char *host = rt_http_header(x->http, "Host");
        if (!*url)
                return rt_arena_printf(&x->arena, "%s%s://%s", socket ? "ws" : "http", *x->config->server_tls_certificate ? "s" : "",
                                       host ? host : "localhost");
        size_t size = strlen(url);
        while (size && url[size - 1] == '/')
                size--;
        bool plain = strncmp(url, "http", 4) == 0;
        return rt_arena_printf(&x->arena, "%s%.*s", socket && plain ? "ws" : plain ? "http" : "", (int)(plain ? size - 4 : size), plain ? url + 4 : url);
}

bool rt_ab_rich(const struct rt_exchange *x) {
        const char *asked = rt_http_query(x->http, "format");
        return strcmp(asked ? asked : x->config->agentbay_face_format, "rich") == 0;
}

/* ---- who asks ---- */

/* A session's token stands for the key that it was made with: while that is good, so is this. */
static int admit_token(struct rt_exchange *x) {
        struct retort_error err = { 0 };
        struct rt_caller caller;
        struct rt_ab_session *s = rt_ab_session_find(x->agentbay, 0, x->parameters[0]);
        if (!s || !rt_ab_session_has_token(s, rt_http_header(x->http, "X-Access-Token"))) {
                rt_ab_session_let_go(s);
                rt_exchange_refuse(x, 401, "unauthorized", "X-Access-Token is not the token of a session");
                return RETORT_E_INPUT;
        }
        int r = rt_service_admit(x->service, s->key, RT_SCOPE_CONTEXTS, &caller, &x->refusal, &err);
        if (r == 0)
                x->caller = s->caller;
        else
                rt_exchange_refused(x, &x->refusal, &err);
        rt_ab_session_let_go(s);
        return r;
}

static int admit(struct rt_exchange *x, const struct rt_route *route) {
        return route->handle == rt_ab_control ? rt_ab_admit_control(x) : admit_token(x);
}

/* ---- the direct way ---- */

struct link {
        struct rt_exchange *x;
        struct rt_ab_op op;
        char request_id[128];
};

static void on_gone(struct rt_exchange *x) {
        struct link *l = x->data;
        rt_ab_op_cancel(&l->op);
}

static void free_link(void *data) {
        rt_ab_op_clear(&((struct link *)data)->op);
}

char *rt_ab_tool_answer(const struct rt_ab_op *op, const char *request_id, bool wrapped) {
        json_t *text = json_stringn(op->text.data ? op->text.data : "", op->text.size);
        json_t *result = json_pack("{s:[{s:s, s:o}], s:b}", "content", "type", "text", "text", text, "isError", op->is_error);
        json_t *inner = wrapped ? json_pack("{s:s, s:o}", "requestId", request_id, "result", result) : result;
        char *made = inner ? json_dumps(inner, JSON_COMPACT) : NULL;
        json_decref(inner);
        return made;
}

static void on_link_done(struct rt_ab_op *op) {
        struct link *l = rt_container_of(op, struct link, op);
        struct rt_exchange *x = l->x;
        if (op->call.refusal.why) {
                rt_exchange_refused(x, &op->call.refusal, &op->call.err);
        } else {
                rt_auto_free char *inner = rt_ab_tool_answer(op, l->request_id, true);
                json_t *answer = inner ? json_pack("{s:s, s:b, s:s, s:s}", "requestId", l->request_id, "success", 1, "code", "ok", "data", inner) : NULL;
                rt_exchange_reply_json(x, 200, answer ? json_dumps(answer, JSON_COMPACT) : NULL);
                json_decref(answer);
        }
        rt_exchange_end(x);
}

/* A text, or the same as an object. */
json_t *rt_ab_arguments(json_t *args) {
        json_t *parsed = json_is_string(args) ? json_loadb(json_string_value(args), json_string_length(args), JSON_ALLOW_NUL, NULL) : json_incref(args);
        if (!args)
                parsed = json_object();
        if (json_is_object(parsed))
                return parsed;
        json_decref(parsed);
        return NULL;
}

static const char *wrong_with(json_t *body, const struct rt_ab_tool *tool, json_t *args) {
        if (!json_is_object(body))
                return "the body must be a JSON object";
        if (!json_is_string(json_object_get(body, "tool")))
                return "tool: must be a text";
        return !tool ? "tool: there is no tool of this name" : !args ? "args: must be an object" : NULL;
}

void rt_ab_call_tool(struct rt_exchange *x) {
        struct retort_bytes bytes = rt_http_body(x->http);
        struct link *l = rt_arena_new(&x->arena, struct link);
        if (!l) {
                rt_exchange_refuse(x, 500, "internal", "out of memory");
                return;
        }
        json_t *body = json_loadb(bytes.data ? bytes.data : "", bytes.size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
        const char *name = json_string_value(json_object_get(body, "tool"));
        const char *request_id = json_string_value(json_object_get(body, "requestId"));
        *l = (struct link){ .x = x, .op = { .service = x->service, .config = x->config, .tool = name ? rt_ab_tool_find(name) : NULL,
                                            .args = rt_ab_arguments(json_object_get(body, "args")), .rich = rt_ab_rich(x),
                                            .traceparent = rt_http_header(x->http, "traceparent"), .done = on_link_done,
                                            .session = rt_ab_session_find(x->agentbay, 0, x->parameters[0]) } };
        (void)snprintf(l->request_id, sizeof l->request_id, "%s", request_id ? request_id : "");
        const char *wrong = wrong_with(body, l->op.tool, l->op.args);
        json_decref(body);
        x->data = l;
        x->free_data = free_link;
        if (wrong || !l->op.session) {
                rt_exchange_refuse(x, wrong ? 400 : 404, wrong ? "invalid-request" : "not-found", wrong ? wrong : "session not found");
                return;
        }
        x->on_gone = on_gone;
        rt_exchange_keep(x);
        rt_ab_op_start(&l->op);
}

static const struct rt_route routes[] = {
        { "POST", "/", rt_ab_control, RT_SCOPE_CONTEXTS },
        { "POST", "/agentbay/{id}/callTool", rt_ab_call_tool, RT_SCOPE_CONTEXTS },
        { "GET", "/agentbay/{id}/ws", rt_ab_socket, RT_SCOPE_CONTEXTS },
        { 0 },
};

const struct rt_face rt_face_agentbay = { .prefix = "/agentbay", .routes = routes, .admit = admit, .refuse = rt_ab_refuse };
