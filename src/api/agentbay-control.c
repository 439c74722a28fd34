/* SPDX-License-Identifier: Apache-2.0
 *
 * POST /: the control calls, in the RPC style of the SDKs' OpenAPI clients: a form with the call's parameters, Authorization among
 * them; the action in the query or in a header. Every answer is {RequestId, Code, Success, Message, HttpStatusCode}, with Data.
 */
#include "api/agentbay-control.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/util.h"
#include "service/keys.h"

static const char not_found_code[] = "InvalidMcpSession.NotFound";
enum { LABELS_MAX = 16384 };

/* ---- answers ---- */

static void send_envelope(struct rt_exchange *x, const char *request_id, int status, const char *code, const char *words, json_t *data, json_t *more) {
        bool success = status < 400;
        json_t *answer = json_pack("{s:s, s:s, s:b, s:s, s:i}", "RequestId", request_id, "Code", code, "Success", success, "Message", words,
                                   "HttpStatusCode", status);
        if (data)
                (void)json_object_set_new(answer, "Data", data);
        (void)json_object_update(answer, more);
        json_decref(more);
        char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
        json_decref(answer);
        if (text)
                rt_exchange_reply(x, status, "application/json", text, strlen(text));
        else
                rt_exchange_reply(x, 500, "application/json", "{\"Success\":false,\"Code\":\"internal\",\"Message\":\"out of memory\"}", 60);
        free(text);
}

void rt_ab_reply(struct rt_ab_control *c, json_t *data, json_t *more) {
        send_envelope(c->x, c->request_id, 200, "ok", "", data, more);
}

void rt_ab_reply_failed(struct rt_ab_control *c, int status, const char *code, const char *words) {
        send_envelope(c->x, c->request_id, status, code, words, NULL, NULL);
}

void rt_ab_refuse(struct rt_exchange *x, int status, const char *type, const char *detail) {
        char id[33] = "";
        (void)rt_random_hex(id, 16, NULL);
        send_envelope(x, id, status, type, detail, NULL, NULL);
}

void rt_ab_reply_call_failed(struct rt_ab_control *c, const struct rt_call *call) {
        if (call->refusal.why)
                rt_exchange_refused(c->x, &call->refusal, &call->err);
        else if (call->trouble == RT_TROUBLE_UNKNOWN)
                rt_ab_reply_failed(c, 400, not_found_code, call->err.message);
        else
                rt_exchange_fail(c->x, &call->err);
}

/* ---- the form ---- */

static int digit(char c) {
        return c >= '0' && c <= '9' ? c - '0' : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

/* application/x-www-form-urlencoded, into the same memory. The size, without the NUL it adds. */
static size_t decode(char *text, size_t size) {
        size_t n = 0;
        for (size_t i = 0; i < size; i++) {
                if (text[i] == '%' && i + 2 < size && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0) {
                        text[n++] = (char)(digit(text[i + 1]) * 16 + digit(text[i + 2]));
                        i += 2;
                } else {
                        text[n++] = text[i] == '+' ? ' ' : text[i];
                }
        }
        text[n] = 0;
        return n;
}

static void read_form(struct rt_ab_control *c, char *body, size_t size) {
        char *end = body + size;
        while (body < end && c->n_fields < RT_AB_FIELDS) {
                char *next = memchr(body, '&', (size_t)(end - body));
                char *stop = next ? next : end;
                char *equals = memchr(body, '=', (size_t)(stop - body));
                if (equals) {
                        c->fields[c->n_fields].size = decode(equals + 1, (size_t)(stop - equals - 1));
                        c->fields[c->n_fields].value = equals + 1;
                        (void)decode(body, (size_t)(equals - body));
                        c->fields[c->n_fields++].name = body;
                }
                body = stop + 1;
        }
}

const char *rt_ab_field(const struct rt_ab_control *c, const char *name) {
        for (size_t i = 0; i < c->n_fields; i++)
                if (strcmp(c->fields[i].name, name) == 0)
                        return c->fields[i].value;
        return rt_http_query(c->x->http, name);
}

static void free_control(void *data) {
        struct rt_ab_control *c = data;
        rt_ab_op_clear(&c->op);
        free(c->listing.records);
        rt_ab_session_let_go(c->session);
}

int rt_ab_admit_control(struct rt_exchange *x) {
        struct retort_bytes bytes = rt_http_body(x->http);
        struct retort_error err = { 0 };
        struct rt_ab_control *c = rt_arena_new(&x->arena, struct rt_ab_control);
        char *body = rt_arena_copy(&x->arena, bytes.data ? bytes.data : "", bytes.size);
        if (!c || !body || rt_random_hex(c->request_id, 16, NULL) < 0) {
                rt_exchange_refuse(x, 500, "internal", "out of memory");
                return RETORT_E_NOMEM;
        }
        c->x = x;
        x->data = c;
        x->free_data = free_control;
        read_form(c, body, bytes.size);
        const char *authorization = rt_ab_field(c, "Authorization");
        if (!authorization)
                authorization = rt_http_header(x->http, "Authorization");
        if (authorization && strncasecmp(authorization, "Bearer ", 7) == 0)
                c->key = authorization + 7 + strspn(authorization + 7, " ");
        if (c->key && !x->config->auth_required && strncmp(c->key, "rt_", 3) != 0)
                c->key = NULL; /* the SDKs insist on one, and here none is needed */
        int r = rt_service_admit(x->service, c->key, RT_SCOPE_CONTEXTS, &x->caller, &x->refusal, &err);
        if (r < 0)
                rt_exchange_refused(x, &x->refusal, &err);
        return r;
}

/* ---- calls about one session ---- */

static void on_gone(struct rt_exchange *x) {
        struct rt_ab_control *c = x->data;
        rt_ab_op_cancel(&c->op);
}

static void reply_not_found(struct rt_ab_control *c) {
        const char *id = rt_ab_field(c, "SessionId");
        char *words = rt_arena_printf(&c->x->arena, "session %.64s not found", id ? id : "");
        rt_ab_reply_failed(c, 400, not_found_code, words ? words : "session not found");
}

static void answer_tool(struct rt_ab_control *c);

static void on_op_done(struct rt_ab_op *op) {
        struct rt_ab_control *c = rt_container_of(op, struct rt_ab_control, op);
        struct rt_exchange *x = c->x;
        if (op->call.refusal.why)
                rt_exchange_refused(x, &op->call.refusal, &op->call.err);
        else if (op->not_found)
                rt_ab_reply_failed(c, 400, not_found_code, op->text.data ? op->text.data : "session not found");
        else if (op->is_error && op->call.err.code && c->answer != answer_tool)
                rt_ab_reply_failed(c, op->call.err.code == RETORT_E_INPUT ? 409 : 500, "OperationFailed", op->call.err.message);
        else
                c->answer(c);
        rt_exchange_end(x);
}

static bool find_session(struct rt_ab_control *c) {
        const char *id = rt_ab_field(c, "SessionId");
        c->op.session = id ? rt_ab_session_find(c->x->agentbay, c->x->caller.tenant_id, id) : NULL;
        if (!c->op.session)
                reply_not_found(c);
        return c->op.session != NULL;
}

static void start_op(struct rt_ab_control *c, const struct rt_ab_tool *tool, void (*answer)(struct rt_ab_control *c)) {
        struct rt_exchange *x = c->x;
        c->op.service = x->service;
        c->op.config = x->config;
        c->op.tool = tool;
        c->op.rich = rt_ab_rich(x);
        c->op.traceparent = rt_http_header(x->http, "traceparent");
        c->op.done = on_op_done;
        c->answer = answer;
        x->on_gone = on_gone;
        rt_exchange_keep(x);
        rt_ab_op_start(&c->op);
}

/* ---- state ---- */

static void perform_look(struct rt_ab_op *op) {
        rt_auto_free char *there = NULL;
        rt_call_look(&op->call);
        if (op->call.record.state == RETORT_CONTEXT_DEAD && /* its box may live on */
            retort_context_stat(op->call.context, ".", &there, &op->call.err) < 0)
                rt_call_failed(&op->call);
}

static void hold(struct rt_ab_op *op, bool still, int (*change)(retort_context *, struct retort_error *)) {
        rt_call_look(&op->call);
        if ((op->call.record.state == RETORT_CONTEXT_PAUSED) == still)
                return;
        if (change(op->call.context, &op->call.err) < 0)
                rt_call_failed(&op->call);
}

static void perform_pause(struct rt_ab_op *op) {
        hold(op, true, retort_context_pause);
}

static void perform_resume(struct rt_ab_op *op) {
        hold(op, false, retort_context_resume);
}

static void perform_touch(struct rt_ab_op *op) {
        rt_auto_free char *there = NULL;
        if (retort_context_stat(op->call.context, ".", &there, &op->call.err) < 0)
                rt_call_failed(&op->call);
}

static const struct rt_ab_tool look = { .kind = RT_CREW_SHORT, .perform = perform_look };
static const struct rt_ab_tool pause_it = { .kind = RT_CREW_SHORT, .perform = perform_pause };
static const struct rt_ab_tool resume_it = { .kind = RT_CREW_SHORT, .perform = perform_resume };
static const struct rt_ab_tool touch = { .kind = RT_CREW_SHORT, .perform = perform_touch };

static const char *status_of(const struct rt_ab_control *c) {
        return c->op.call.record.state == RETORT_CONTEXT_PAUSED ? "PAUSED" : "RUNNING";
}

static void answer_nothing(struct rt_ab_control *c) {
        rt_ab_reply(c, NULL, NULL);
}

json_t *rt_ab_session_data(struct rt_ab_control *c, const struct rt_ab_session *s) {
        const char *url = rt_ab_url(c->x, false);
        const char *socket = rt_ab_url(c->x, true);
        rt_auto_free char *tools = rt_ab_tools_json();
        return json_pack("{s:s, s:b, s:s, s:s, s:s, s:o, s:o, s:s, s:s, s:s, s:s, s:b, s:s?}", "SessionId", s->id, "Success", 1, "ErrMsg", "",
                         "ResourceUrl", "", "Token", s->token, "LinkUrl", json_sprintf("%s/agentbay/%s", url ? url : "", s->id), "WsUrl",
                         json_sprintf("%s/agentbay/%s/ws", socket ? socket : "", s->id), "AppInstanceId", s->id, "ResourceId", s->id, "HttpPort", "",
                         "NetworkInterfaceIp", "", "VpcResource", 0, "ToolList", tools);
}

static void answer_session(struct rt_ab_control *c) {
        json_t *data = rt_ab_session_data(c, c->op.session);
        (void)json_object_set_new(data, "Status", json_string(status_of(c)));
        rt_ab_reply(c, data, NULL);
}

static void answer_detail(struct rt_ab_control *c) {
        const struct rt_ab_session *s = c->op.session;
        rt_ab_reply(c, json_pack("{s:s, s:s, s:b, s:s}", "AppInstanceId", s->id, "ImageId", s->image ? s->image : "", "IsDeleted", 0,
                                 "Status", status_of(c)), NULL);
}

static void answer_resource(struct rt_ab_control *c) {
        const char *id = c->op.session->id;
        rt_ab_reply(c, json_pack("{s:s, s:s, s:{s:s, s:s, s:s, s:s, s:s, s:s}}", "SessionId", id, "ResourceUrl", "", "DesktopInfo", "AppId", "", "AuthCode",
                                 "", "ConnectionProperties", "", "ResourceId", id, "ResourceType", "", "Ticket", ""), NULL);
}

static void get_session(struct rt_ab_control *c) {
        if (find_session(c))
                start_op(c, &look, answer_session);
}

static void get_detail(struct rt_ab_control *c) {
        if (find_session(c))
                start_op(c, &look, answer_detail);
}

static void get_resource(struct rt_ab_control *c) {
        if (find_session(c))
                start_op(c, &look, answer_resource);
}

static void pause_session(struct rt_ab_control *c) {
        if (find_session(c))
                start_op(c, &pause_it, answer_nothing);
}

static void resume_session(struct rt_ab_control *c) {
        if (find_session(c))
                start_op(c, &resume_it, answer_nothing);
}

static void keep_alive(struct rt_ab_control *c) {
        if (find_session(c))
                start_op(c, &touch, answer_nothing);
}

/* ---- the end ---- */

static void on_ended(void *userdata) {
        struct rt_ab_control *c = userdata;
        rt_ab_reply(c, NULL, NULL);
        rt_exchange_end(c->x);
}

static void delete_session(struct rt_ab_control *c) {
        if (!find_session(c))
                return;
        rt_exchange_keep(c->x);
        rt_ab_session_end(c->op.session, c->x->service, on_ended, c);
}

/* ---- tools ---- */

static void list_tools(struct rt_ab_control *c) {
        rt_auto_free char *tools = rt_ab_tools_json();
        rt_ab_reply(c, json_string(tools ? tools : "[]"), NULL);
}

static void answer_tool(struct rt_ab_control *c) {
        rt_auto_free char *text = rt_ab_tool_answer(&c->op, c->request_id, false);
        rt_ab_reply(c, text ? json_loads(text, JSON_ALLOW_NUL, NULL) : NULL, NULL);
}

static void call_tool(struct rt_ab_control *c) {
        const char *name = rt_ab_field(c, "Name");
        const char *args = rt_ab_field(c, "Args");
        const struct rt_ab_tool *tool = name ? rt_ab_tool_find(name) : NULL;
        if (!find_session(c))
                return;
        json_t *text = args ? json_string(args) : NULL;
        c->op.args = rt_ab_arguments(text);
        json_decref(text);
        if (!tool || !c->op.args) {
                c->op.text = RT_BUF(RT_AB_TEXT_MAX);
                (void)rt_ab_op_fail(&c->op, !tool ? "tool '%.64s' not found" : "the arguments of '%.64s' must be a JSON object", name ? name : "");
                answer_tool(c);
                return;
        }
        start_op(c, tool, answer_tool);
}

/* ---- labels ---- */

/* An object of texts, as text to be freed; NULL: it is not. */
char *rt_ab_labels(const char *text) {
        const char *name;
        json_t *value;
        json_t *labels = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : json_object();
        bool good = json_is_object(labels) && (!text || strlen(text) <= LABELS_MAX);
        json_object_foreach(labels, name, value)
                good = good && json_is_string(value);
        char *made = good ? json_dumps(labels, JSON_COMPACT) : NULL;
        json_decref(labels);
        return made;
}

static void set_label(struct rt_ab_control *c) {
        if (!find_session(c))
                return;
        struct rt_ab_session *s = c->op.session;
        char *labels = rt_ab_labels(rt_ab_field(c, "Labels"));
        if (!labels) {
                rt_ab_reply_failed(c, 400, "InvalidParameter", "Labels: must be a JSON object of texts, at most 16 KiB");
                return;
        }
        (void)pthread_mutex_lock(&s->table->lock);
        char *old = s->labels;
        s->labels = labels;
        (void)pthread_mutex_unlock(&s->table->lock);
        free(old);
        rt_ab_reply(c, NULL, NULL);
}

static void get_label(struct rt_ab_control *c) {
        if (!find_session(c))
                return;
        struct rt_ab_session *s = c->op.session;
        (void)pthread_mutex_lock(&s->table->lock);
        json_t *labels = json_string(s->labels ? s->labels : "{}");
        (void)pthread_mutex_unlock(&s->table->lock);
        rt_ab_reply(c, json_pack("{s:o}", "Labels", labels), json_pack("{s:i, s:i, s:s}", "MaxResults", 1, "TotalCount", 1, "NextToken", ""));
}

/* ---- actions ---- */

static const struct {
        const char *name;
        void (*handle)(struct rt_ab_control *c);
} actions[] = {
        { "CreateMcpSession", rt_ab_create },    { "GetSession", get_session },          { "GetSessionDetail", get_detail },
        { "ListSession", rt_ab_list },           { "ReleaseMcpSession", delete_session }, { "DeleteSessionAsync", delete_session },
        { "ListMcpTools", list_tools },          { "CallMcpTool", call_tool },           { "SetLabel", set_label },
        { "GetLabel", get_label },               { "PauseSessionAsync", pause_session }, { "ResumeSessionAsync", resume_session },
        { "RefreshSessionIdleTime", keep_alive }, { "GetMcpResource", get_resource },
};

void rt_ab_control(struct rt_exchange *x) {
        struct rt_ab_control *c = x->data;
        const char *action = rt_http_header(x->http, "x-acs-action");
        if (!action)
                action = rt_ab_field(c, "Action");
        for (size_t i = 0; action && i < RT_LEN(actions); i++)
                if (strcmp(actions[i].name, action) == 0) {
                        actions[i].handle(c);
                        return;
                }
        char *words = rt_arena_printf(&x->arena, action ? "this server does not have the action '%.64s'" : "no action was named%s", action ? action : "");
        rt_ab_reply_failed(c, 404, "InvalidAction.NotFound", words ? words : "there is no such action");
}
