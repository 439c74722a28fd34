/* SPDX-License-Identifier: Apache-2.0
 *
 * /ws/execute: the first text is {"language", "code"}, every later one a line for the program's stdin; what the program
 * writes comes back as raw text, both streams together, lines ended by CR LF for a terminal that shows them. Close
 * codes as ever: 1013 no room, 1007 code or language missing, 1011 cannot start, 1008 too much output or too long.
 * Unlike ever: Ctrl-C (the byte 3, alone) ends the program, the socket closes with 1000 when it ends, no character is
 * cut in two, a refused first text gives its place back, and runs are kept in the user's history.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/runtime.h"
#include "api/session.h"
#include "base/err.h"
#include "base/text.h"
#include "base/util.h"

enum { SESSIONS_MAX = 50, WALL_MS = 60000, OUTPUT_MAX = 1048576, SEND_TIMEOUT_MS = 30000, LINE_MAX_BYTES = 65536, CTRL_C = 3 };

struct session {
        struct rt_session run;
        bool started;
        bool after_cr;
        char *language;
        char *code;
};

static atomic_int sessions; /* of the process: the one number that the face promises */

static void free_session(struct rt_session *run) {
        struct session *s = rt_container_of(run, struct session, run);
        free(s->language);
        free(s->code);
        free(s);
        (void)atomic_fetch_sub(&sessions, 1);
}

static void say(struct rt_http_socket *socket, int code, const char *text) {
        if (text)
                (void)rt_http_socket_send(socket, true, text, strlen(text), SEND_TIMEOUT_MS);
        rt_http_socket_close(socket, code, "");
}

/* ---- from the run ---- */

/* "\n" becomes "\r\n"; what is "\r\n" already stays, also across two pieces. */
static void send_text(struct session *s, const char *data, size_t size) {
        rt_auto_buf struct rt_buf text = RT_BUF(2 * size + 1);
        for (size_t i = 0; i < size; i++) {
                if (data[i] == '\n' && !s->after_cr)
                        (void)rt_buf_add(&text, "\r", 1);
                (void)rt_buf_add(&text, &data[i], 1);
                s->after_cr = data[i] == '\r';
        }
        if (text.size && rt_http_socket_send(s->run.socket, true, text.data, text.size, SEND_TIMEOUT_MS) < 0)
                rt_session_cancel(&s->run);
}

static void on_event(const struct retort_event *event, void *userdata) {
        struct session *s = userdata;
        rt_auto_arena struct rt_arena arena = { 0 };
        if (event->type != RETORT_EVENT_STDOUT && event->type != RETORT_EVENT_STDERR)
                return;
        const char *clean = rt_text_clean(&arena, event->data.data, event->data.size); /* text frames are UTF-8 */
        if (clean && !atomic_load(&s->run.closed))
                send_text(s, clean, strlen(clean));
}

static void on_end(struct retort_outcome *outcome, const struct retort_error *err, void *userdata) {
        struct session *s = userdata;
        rt_auto_arena struct rt_arena arena = { 0 };
        if (!outcome) {
                char *text = rt_arena_printf(&arena, "Error: Failed to start session: %s", err->message);
                say(s->run.socket, 1011, text);
        } else if (outcome->status == RETORT_OUTPUT_LIMIT) {
                say(s->run.socket, 1008, "Error: Maximum output limit exceeded.");
        } else if (outcome->status == RETORT_WALL_LIMIT) {
                say(s->run.socket, 1008, "Session timed out after 60 seconds.");
        } else {
                say(s->run.socket, outcome->status == RETORT_INTERNAL ? 1011 : 1000, NULL);
        }
        if (outcome)
                rt_runtime_remember(s->run.service, &s->run.caller, 0, s->language, s->code, outcome);
        retort_outcome_free(outcome);
        rt_session_let_go(&s->run);
}

/* ---- from the client ---- */

/* A prompt shows before its line ends: stdio asks nobody for a terminal. Where coreutils keeps what stdbuf loads is the
 * distribution's choice; without it, and in static programs, C must flush. Returns how many are in *ret_env. */
static size_t unbuffered_env(const char *language, const char *const **ret_env) {
        static const char *const python[] = { "PYTHONUNBUFFERED=1" };
        static const char *const c[][3] = {
                { "LD_PRELOAD=/usr/libexec/coreutils/libstdbuf.so", "_STDBUF_O=0", "_STDBUF_E=0" },
                { "LD_PRELOAD=/usr/lib/coreutils/libstdbuf.so", "_STDBUF_O=0", "_STDBUF_E=0" },
        };
        *ret_env = python;
        if (strcasecmp(language, "python") == 0)
                return RT_LEN(python);
        if (strcasecmp(language, "c") != 0 && strcasecmp(language, "cpp") != 0)
                return 0;
        for (size_t i = 0; i < RT_LEN(c); i++) {
                *ret_env = c[i];
                if (access(strchr(c[i][0], '/'), R_OK) == 0)
                        return RT_LEN(c[i]);
        }
        return 0;
}

static int start_run(struct session *s, struct rt_http_socket *socket, struct rt_refusal *refusal, struct retort_error *err) {
        int r = rt_session_open_stdin(&s->run, 0, err);
        if (r < 0)
                return r;
        struct retort_request request = rt_runtime_request(s->language, s->code, NULL);
        request.limits = (struct retort_limits){ .wall_ms = WALL_MS, .output_bytes = OUTPUT_MAX };
        request.stdin_fd = s->run.stdin_theirs;
        request.n_env = unbuffered_env(s->language, &request.env);
        struct rt_run_order order = { .caller = s->run.caller, .request = &request, .on_event = on_event, .on_end = on_end, .userdata = s };
        return rt_session_start(&s->run, socket, &order, refusal, err);
}

static void start(struct session *s, struct rt_http_socket *socket, const void *data, size_t size) {
        rt_auto_arena struct rt_arena arena = { 0 };
        struct rt_refusal refusal = { 0 };
        struct retort_error err = { 0 };
        json_t *body = json_loadb(data, size, JSON_REJECT_DUPLICATES, NULL);
        const char *code = json_string_value(json_object_get(body, "code"));
        const char *language = json_string_value(json_object_get(body, "language"));
        s->started = true;
        if (!json_is_object(body)) {
                say(socket, 1011, "Error: Failed to start session: the first message must be a JSON object");
        } else if (!code || !*code || !language || !*language) {
                say(socket, 1007, "Error: 'code' and 'language' are required.");
        } else {
                s->code = strdup(code);
                s->language = strdup(language);
                int r = s->code && s->language ? start_run(s, socket, &refusal, &err) : rt_fail_nomem(&err);
                char *text = r < 0 ? rt_arena_printf(&arena, "Error: Failed to start session: %s", err.message) : NULL;
                if (r < 0 && refusal.why)
                        say(socket, 1013, "Server at capacity — please try again shortly.");
                else if (r < 0)
                        say(socket, 1011, text);
        }
        json_decref(body);
}

static void on_message(struct rt_http_socket *socket, bool text, const void *data, size_t size, void *userdata) {
        struct session *s = userdata;
        (void)text;
        if (!s->started) {
                start(s, socket, data, size);
                return;
        }
        if (s->run.stdin_ours < 0)
                return;
        if (size == 1 && *(const char *)data == CTRL_C) {
                rt_session_end_run(&s->run);
                return;
        }
        struct iovec line[] = { { (void *)(uintptr_t)data, size }, { "\n", 1 } };
        struct msghdr message = { .msg_iov = line, .msg_iovlen = 2 };
        ssize_t n = size > LINE_MAX_BYTES ? -1 : sendmsg(s->run.stdin_ours, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0 && n < (ssize_t)size + 1) {
                say(socket, 1008, "Error: the program does not read its input.");
                rt_session_cancel(&s->run);
        }
}

/* Over the number of sessions the socket is opened all the same, to say so as the front end expects it. */
static void turn_away(struct rt_exchange *x) {
        static const struct rt_http_socket_config config = { .max_message = 0 };
        struct rt_http_socket *socket = rt_http_socket_open(x->http, &config);
        if (socket)
                say(socket, 1013, "Server at capacity — please try again shortly.");
}

void rt_runtime_socket(struct rt_exchange *x) {
        if (!rt_http_wants_socket(x->http)) {
                rt_runtime_reply(x, 400, false, "this path is a WebSocket: ask for the upgrade", NULL);
                return;
        }
        if (atomic_fetch_add(&sessions, 1) >= SESSIONS_MAX) {
                (void)atomic_fetch_sub(&sessions, 1);
                turn_away(x);
                return;
        }
        struct session *s = calloc(1, sizeof *s);
        if (!s) {
                (void)atomic_fetch_sub(&sessions, 1);
                rt_runtime_reply(x, 500, false, "out of memory", NULL);
                return;
        }
        rt_session_init(&s->run, x, free_session);
        const struct rt_http_socket_config config = { .on_message = on_message, .on_close = rt_session_on_close, .userdata = s };
        if (!rt_http_socket_open(x->http, &config))
                rt_session_let_go(&s->run);
}
