/* SPDX-License-Identifier: Apache-2.0
 *
 * {ws_url}: run_code as a stream. A request names an invocation; what its program does comes back as events of that, with one
 * end. Unlike the service that the SDKs were written for, a closed connection, and a frame {"method": "cancel"} or
 * {"phase": "cancel"} of the invocation, interrupt the program.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/agentbay-control.h"
#include "base/text.h"
#include "base/util.h"
#include "model/agentbay.h"
#include "model/json.h"

enum { SEND_TIMEOUT_MS = 30000, MESSAGE_MAX = 16 << 20, STREAMS_MAX = 16, NAME_MAX_BYTES = 128 };

struct line {
        atomic_int references; /* the socket's and each stream's */
        struct rt_http_socket *socket;
        struct rt_service *service;
        const struct rt_config *config;
        struct rt_ab_session *session;
        pthread_mutex_t lock;
        struct stream *streams; /* that go on */
        size_t n_streams;
};

struct stream {
        struct rt_ab_op op;
        atomic_int references; /* the call's, and whoever is about to cancel it */
        struct line *line;
        struct stream *next;
        char invocation[NAME_MAX_BYTES], source[NAME_MAX_BYTES], target[NAME_MAX_BYTES];
        uint64_t seq;
        bool failed;
};

static void let_go_line(struct line *l) {
        if (atomic_fetch_sub(&l->references, 1) != 1)
                return;
        if (l->socket)
                rt_http_socket_let_go(l->socket);
        rt_ab_session_let_go(l->session);
        (void)pthread_mutex_destroy(&l->lock);
        free(l);
}

static void let_go_stream(struct stream *s) {
        if (atomic_fetch_sub(&s->references, 1) != 1)
                return;
        struct line *l = s->line;
        rt_ab_op_clear(&s->op);
        free(s);
        let_go_line(l);
}

/* ---- frames to the client ---- */

static void put_text(struct rt_json *json, const char *key, const char *text) {
        rt_json_key(json, key);
        rt_json_text(json, text, strlen(text));
}

/* Up to the members of data. */
static void begin_frame(struct rt_json *json, const char *invocation, const char *source, const char *target) {
        rt_json_open(json, '{');
        put_text(json, "invocationId", invocation);
        put_text(json, "source", source);
        put_text(json, "target", target);
        rt_json_key(json, "data");
        rt_json_open(json, '{');
}

static int end_frame(struct line *l, struct rt_json *json) {
        rt_auto_free char *text = NULL;
        rt_json_close(json, '}');
        rt_json_close(json, '}');
        if (rt_json_take(json, &text, NULL) < 0)
                return -1;
        return rt_http_socket_send(l->socket, true, text, strlen(text), SEND_TIMEOUT_MS);
}

static void begin_phase(struct stream *s, struct rt_json *json, const char *phase) {
        begin_frame(json, s->invocation, s->target, s->source);
        put_text(json, "method", "run_code");
        put_text(json, "mode", "stream");
        put_text(json, "phase", phase);
        rt_json_key(json, "seq");
        rt_json_int(json, (int64_t)s->seq++);
}

static void refuse(struct line *l, const char *invocation, const char *source, const char *target, const char *words) {
        rt_auto_json struct rt_json json = RT_JSON();
        begin_frame(&json, invocation, target, source);
        put_text(&json, "phase", "error");
        put_text(&json, "error", words);
        (void)end_frame(l, &json);
}

static void put_error(struct rt_json *json, const struct rt_agentbay_error *error) {
        rt_json_key(json, "error");
        rt_json_open(json, '{');
        put_text(json, "code", error->name ? error->name : "ExecutionError");
        put_text(json, "message", error->value ? error->value : "");
        put_text(json, "traceback", error->traceback ? error->traceback : "");
        rt_json_close(json, '}');
}

static void put_chunk(struct rt_json *json, const char *type, struct retort_bytes data) {
        put_text(json, "eventType", type);
        rt_json_key(json, "chunk");
        rt_json_text(json, data.data, data.size);
}

static void on_event(const struct retort_event *event, void *userdata) {
        struct stream *s = rt_container_of((struct rt_ab_op *)userdata, struct stream, op);
        rt_auto_json struct rt_json json = RT_JSON();
        if (event->type != RETORT_EVENT_STDOUT && event->type != RETORT_EVENT_STDERR && event->type != RETORT_EVENT_ITEM &&
            event->type != RETORT_EVENT_ERROR)
                return;
        begin_phase(s, &json, "event");
        if (event->type == RETORT_EVENT_ITEM) {
                struct rt_agentbay_item item;
                rt_agentbay_item_of(event->item, &item);
                put_text(&json, "eventType", "result");
                rt_json_key(&json, "result");
                rt_agentbay_write_event_item(&item, &json);
        } else if (event->type == RETORT_EVENT_ERROR) {
                const struct rt_agentbay_error error = { event->error->name, event->error->value, event->error->traceback };
                s->failed = true;
                put_text(&json, "eventType", "error");
                put_error(&json, &error);
        } else {
                put_chunk(&json, event->type == RETORT_EVENT_STDOUT ? "stdout" : "stderr", event->data);
        }
        if (end_frame(s->line, &json) < 0)
                rt_ab_op_cancel(&s->op);
}

/* ---- the end of a stream ---- */

static void put_end(struct stream *s, const struct rt_agentbay_result *result, const char *error) {
        rt_auto_json struct rt_json json = RT_JSON();
        begin_phase(s, &json, "end");
        put_text(&json, "status", result->success ? "finished" : "failed");
        rt_json_key(&json, "executionError");
        if (result->success)
                rt_json_null(&json);
        else
                rt_json_text(&json, error, strlen(error));
        if (result->execution_count >= 0) {
                rt_json_key(&json, "executionCount");
                rt_json_int(&json, result->execution_count);
        }
        rt_json_key(&json, "executionTime");
        rt_json_double(&json, result->execution_time);
        (void)end_frame(s->line, &json);
}

static void tell_end(struct stream *s) {
        struct rt_ab_op *op = &s->op;
        struct rt_agentbay_result result;
        if (!op->outcome || rt_ab_result_of(op->outcome, &op->arena, &result, NULL) < 0) {
                refuse(s->line, s->invocation, s->source, s->target, op->text.data ? op->text.data : "it could not be run");
                return;
        }
        const char *words = result.error ? rt_arena_printf(&op->arena, "%s: %s", result.error->name, result.error->value) : "";
        if (result.error && !s->failed) { /* what ended it was no error of the program's own: a limit, a cancel */
                rt_auto_json struct rt_json json = RT_JSON();
                begin_phase(s, &json, "event");
                put_text(&json, "eventType", "error");
                put_error(&json, result.error);
                (void)end_frame(s->line, &json);
        }
        put_end(s, &result, words ? words : "");
}

static void on_done(struct rt_ab_op *op) {
        struct stream *s = rt_container_of(op, struct stream, op);
        struct line *l = s->line;
        tell_end(s);
        (void)pthread_mutex_lock(&l->lock);
        struct stream **at = &l->streams;
        while (*at != s)
                at = &(*at)->next;
        *at = s->next;
        l->n_streams--;
        (void)pthread_mutex_unlock(&l->lock);
        let_go_stream(s);
}

/* ---- frames from the client ---- */

static const char *text_in(json_t *object, const char *name) {
        const char *text = json_string_value(json_object_get(object, name));
        return text ? text : "";
}

/* NULL: every one. */
static void cancel_streams(struct line *l, const char *invocation) {
        struct stream *found[STREAMS_MAX];
        size_t n = 0;
        (void)pthread_mutex_lock(&l->lock);
        for (struct stream *s = l->streams; s; s = s->next)
                if (!invocation || strcmp(s->invocation, invocation) == 0) {
                        (void)atomic_fetch_add(&s->references, 1);
                        found[n++] = s;
                }
        (void)pthread_mutex_unlock(&l->lock);
        while (n) {
                rt_ab_op_cancel(&found[--n]->op);
                let_go_stream(found[n]);
        }
}

/* Under the lock: why it may not begin. */
static const char *enter(struct line *l, struct stream *s) {
        for (const struct stream *other = l->streams; other; other = other->next)
                if (strcmp(other->invocation, s->invocation) == 0)
                        return "this invocation goes on already";
        if (l->n_streams >= STREAMS_MAX)
                return "too many invocations go on";
        s->next = l->streams;
        l->streams = s;
        l->n_streams++;
        return NULL;
}

static const char *admit(struct line *l, struct retort_error *err) {
        struct rt_caller caller;
        struct rt_refusal refusal;
        return rt_service_admit(l->service, l->session->key, RT_SCOPE_CONTEXTS, &caller, &refusal, err) < 0 ? err->message : NULL;
}

static const char *wrong_with(const char *invocation, const char *source, const char *target, json_t *data) {
        if (strlen(invocation) >= NAME_MAX_BYTES || strlen(source) >= NAME_MAX_BYTES || strlen(target) >= NAME_MAX_BYTES)
                return "invocationId, source and target: too long";
        if (strcmp(text_in(data, "method"), "run_code") != 0 || strcmp(text_in(data, "mode"), "stream") != 0)
                return "only the method run_code in the mode stream is served here";
        return json_is_object(json_object_get(data, "params")) ? NULL : "params: must be an object";
}

static void start(struct line *l, const char *invocation, const char *source, const char *target, json_t *data) {
        struct retort_error err = { 0 };
        const char *wrong = wrong_with(invocation, source, target, data);
        if (!wrong)
                wrong = admit(l, &err);
        struct stream *s = wrong ? NULL : calloc(1, sizeof *s);
        if (!s) {
                refuse(l, invocation, source, target, wrong ? wrong : "out of memory");
                return;
        }
        s->op = (struct rt_ab_op){ .service = l->service, .config = l->config, .session = l->session, .tool = rt_ab_tool_find("run_code"),
                                   .args = json_incref(json_object_get(data, "params")), .on_event = on_event, .done = on_done };
        s->line = l;
        atomic_init(&s->references, 1);
        (void)snprintf(s->invocation, sizeof s->invocation, "%s", invocation);
        (void)snprintf(s->source, sizeof s->source, "%s", source);
        (void)snprintf(s->target, sizeof s->target, "%s", target);
        (void)atomic_fetch_add(&l->references, 1);
        (void)atomic_fetch_add(&l->session->references, 1);
        (void)pthread_mutex_lock(&l->lock);
        wrong = enter(l, s);
        (void)pthread_mutex_unlock(&l->lock);
        if (!wrong) {
                rt_ab_op_start(&s->op);
                return;
        }
        refuse(l, invocation, source, target, wrong);
        let_go_stream(s);
}

static void hear(struct line *l, json_t *frame) {
        const char *invocation = text_in(frame, "invocationId");
        const char *source = text_in(frame, "source");
        const char *target = text_in(frame, "target");
        json_t *data = json_object_get(frame, "data");
        json_t *parsed = json_is_string(data) ? json_loads(json_string_value(data), 0, NULL) : json_incref(data);
        if (!*invocation)
                invocation = text_in(frame, "requestId");
        if (*invocation && (strcmp(text_in(parsed, "method"), "cancel") == 0 || strcmp(text_in(parsed, "phase"), "cancel") == 0))
                cancel_streams(l, invocation);
        else if (*invocation)
                start(l, invocation, *source ? source : "SDK", *target ? target : "wuying_codespace", parsed);
        else
                refuse(l, "", "SDK", "WEBSOCKET_SERVER", "invocationId: missing");
        json_decref(parsed);
}

static void on_message(struct rt_http_socket *socket, bool text, const void *data, size_t size, void *userdata) {
        struct line *l = userdata;
        (void)text;
        if (!l->socket) {
                rt_http_socket_hold(socket);
                l->socket = socket;
        }
        json_t *frame = json_loadb(data, size, JSON_REJECT_DUPLICATES, NULL);
        if (json_is_object(frame))
                hear(l, frame);
        else
                refuse(l, "", "SDK", "WEBSOCKET_SERVER", "a frame must be a JSON object");
        json_decref(frame);
}

static void on_close(struct rt_http_socket *socket, int code, void *userdata) {
        struct line *l = userdata;
        (void)socket;
        (void)code;
        cancel_streams(l, NULL);
        let_go_line(l);
}

void rt_ab_socket(struct rt_exchange *x) {
        if (!rt_http_wants_socket(x->http)) {
                rt_exchange_refuse(x, 400, "websocket-needed", "this path is a WebSocket: ask for the upgrade");
                return;
        }
        struct line *l = calloc(1, sizeof *l);
        struct rt_ab_session *session = rt_ab_session_find(x->agentbay, 0, x->parameters[0]);
        if (!l || !session) {
                rt_exchange_refuse(x, l ? 404 : 500, l ? "not-found" : "internal", l ? "session not found" : "out of memory");
                rt_ab_session_let_go(session);
                free(l);
                return;
        }
        *l = (struct line){ .service = x->service, .config = x->config, .session = session };
        (void)pthread_mutex_init(&l->lock, NULL);
        atomic_init(&l->references, 1);
        const struct rt_http_socket_config config = { .max_message = MESSAGE_MAX, .on_message = on_message, .on_close = on_close, .userdata = l };
        if (!rt_http_socket_open(x->http, &config))
                let_go_line(l);
}
