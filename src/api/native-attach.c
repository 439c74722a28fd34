/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /v1/attach: an interactive run over a WebSocket.
 *
 *   client -> server   first a text message {"request": {...}, "terminal": {"columns": 80, "rows": 24}?}
 *                      binary: bytes for the program's stdin
 *                      text: {"type": "resize", "columns", "rows"}, {"type": "eof"}, {"type": "cancel"}
 *   server -> client   text: events, as everywhere; the last is `end`, then the socket closes with 1000
 *                      binary: what the terminal shows (with a terminal there are no stdout events)
 *
 * In a terminal Ctrl-C is the byte 3 and end of file the byte 4, as it was typed. When the socket closes, the run ends.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/native.h"
#include "api/session.h"
#include "base/err.h"
#include "base/util.h"

enum { STDIN_BUFFER = 1 << 20, SEND_TIMEOUT_MS = 30000, TERMINAL_MAX = 1000 };

struct session {
        struct rt_session run;
        bool started;
        bool terminal;
};

static void free_session(struct rt_session *run) {
        free(rt_container_of(run, struct session, run));
}

/* ---- from the run ---- */

static void on_event(const struct retort_event *event, void *userdata) {
        struct session *s = userdata;
        int r = 0;
        if (atomic_load(&s->run.closed))
                return;
        if (s->terminal && event->type == RETORT_EVENT_STDOUT) {
                r = rt_http_socket_send(s->run.socket, false, event->data.data, event->data.size, SEND_TIMEOUT_MS);
        } else {
                char *json = NULL;
                r = retort_event_json(event, &json, NULL);
                if (r == 0)
                        r = rt_http_socket_send(s->run.socket, true, json, strlen(json), SEND_TIMEOUT_MS);
                free(json);
        }
        if (r < 0)
                rt_session_cancel(&s->run);
}

static void on_end(struct retort_outcome *outcome, const struct retort_error *err, void *userdata) {
        struct session *s = userdata;
        if (outcome)
                rt_http_socket_close(s->run.socket, 1000, "");
        else
                rt_http_socket_close(s->run.socket, err->code == RETORT_E_CLOSED ? 1001 : 1011, err->message);
        retort_outcome_free(outcome);
        rt_session_let_go(&s->run);
}

/* ---- from the client ---- */

static int read_terminal(json_t *value, unsigned *columns, unsigned *rows, struct retort_error *err) {
        int c = 80, r = 24;
        if (json_unpack(value, "{s?i, s?i}", "columns", &c, "rows", &r) < 0 || c < 1 || r < 1 || c > TERMINAL_MAX || r > TERMINAL_MAX)
                return rt_fail(err, RETORT_E_INPUT, "terminal: columns and rows must be from 1 to %d", TERMINAL_MAX);
        *columns = (unsigned)c;
        *rows = (unsigned)r;
        return 0;
}

static int start(struct session *s, struct rt_http_socket *socket, json_t *message, struct retort_error *err) {
        struct retort_request *request = NULL;
        struct rt_refusal refusal = { 0 };
        unsigned columns = 0, rows = 0;
        json_t *terminal = json_object_get(message, "terminal");
        json_t *wanted = json_object_get(message, "request");
        rt_auto_free char *text = wanted ? json_dumps(wanted, JSON_COMPACT) : NULL;
        if (!text)
                return rt_fail(err, RETORT_E_INPUT, "request: missing");
        int r = terminal ? read_terminal(terminal, &columns, &rows, err) : 0;
        if (r == 0)
                r = retort_request_parse(text, strlen(text), &request, err);
        if (r == 0)
                r = rt_session_open_stdin(&s->run, STDIN_BUFFER, err);
        if (r < 0) {
                retort_request_free(request);
                return r;
        }
        request->terminal_columns = columns;
        request->terminal_rows = rows;
        request->stdin_fd = s->run.stdin_theirs;
        s->terminal = terminal != NULL;
        struct rt_run_order order = { .caller = s->run.caller, .request = request, .on_event = on_event, .on_end = on_end,
                                      .userdata = s };
        r = rt_session_start(&s->run, socket, &order, &refusal, err);
        retort_request_free(request);
        return r;
}

static int control(struct session *s, json_t *message, struct retort_error *err) {
        const char *type = json_string_value(json_object_get(message, "type"));
        unsigned columns, rows;
        if (type && strcmp(type, "cancel") == 0) {
                rt_session_end_run(&s->run);
        } else if (type && strcmp(type, "eof") == 0) {
                (void)shutdown(s->run.stdin_ours, SHUT_WR);
        } else if (type && strcmp(type, "resize") == 0) {
                int r = read_terminal(message, &columns, &rows, err);
                if (r < 0)
                        return r;
                rt_ticket_resize(atomic_load(&s->run.ticket), columns, rows);
        } else {
                return rt_fail(err, RETORT_E_INPUT, "type: must be resize, eof or cancel");
        }
        return 0;
}

/* What the program does not read is kept up to STDIN_BUFFER. */
static int feed(struct session *s, const char *data, size_t size, struct retort_error *err) {
        if (!s->started)
                return rt_fail(err, RETORT_E_INPUT, "the first message must be a text with the request");
        ssize_t n = send(s->run.stdin_ours, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n == (ssize_t)size || (n < 0 && errno == EPIPE)) /* a program that has closed its stdin misses nothing */
                return 0;
        return rt_fail(err, RETORT_E_INPUT, "the program does not read its input");
}

static void on_message(struct rt_http_socket *socket, bool text, const void *data, size_t size, void *userdata) {
        struct session *s = userdata;
        struct retort_error err = { 0 };
        int r;
        if (text) {
                json_error_t wrong;
                json_t *message = json_loadb(data, size, JSON_REJECT_DUPLICATES, &wrong);
                if (!json_is_object(message))
                        r = rt_fail(&err, RETORT_E_INPUT, "not a JSON object: line %d, column %d", wrong.line, wrong.column);
                else if (s->started)
                        r = control(s, message, &err);
                else
                        r = start(s, socket, message, &err);
                s->started = s->started || r == 0;
                json_decref(message);
        } else {
                r = feed(s, data, size, &err);
        }
        if (r < 0) {
                char reason[124]; /* RFC 6455: a close frame has room for 123 bytes */
                (void)snprintf(reason, sizeof reason, "%.120s", err.message);
                rt_http_socket_close(socket, r == RETORT_E_INPUT ? 1008 : 1013, reason);
                rt_session_cancel(&s->run);
        }
}

void rt_native_attach(struct rt_exchange *x) {
        if (!rt_http_wants_socket(x->http)) {
                rt_exchange_refuse(x, 400, "websocket-needed", "this path is a WebSocket: ask for the upgrade");
                return;
        }
        struct session *s = calloc(1, sizeof *s);
        if (!s) {
                rt_exchange_refuse(x, 500, "internal", "out of memory");
                return;
        }
        rt_session_init(&s->run, x, free_session);
        const struct rt_http_socket_config config = { .protocol = "retort.attach.v1", .on_message = on_message,
                                                      .on_close = rt_session_on_close, .userdata = s };
        if (!rt_http_socket_open(x->http, &config))
                rt_session_let_go(&s->run); /* there will be no on_close */
}
