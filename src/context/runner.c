/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames to and from a runner: four bytes of length, then a JSON object. A runner that does not read, sends what is no
 * frame, or ends, is a runner that is gone: the caller says what that means.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"
#include "context/inside.h"

enum { CHUNK = 65536, MOST_CHUNKS = 64, HEAD = 4, NS_PER_MS = 1000000 };

static int open_pipe(int *ours, int *theirs) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
                return -1;
        (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
        (void)fchmod(ends[1], 0222);
        *ours = ends[0];
        *theirs = ends[1];
        return 0;
}

static int open_socket(int type, int *ours, int *theirs) {
        int ends[2];
        if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) < 0)
                return -1;
        (void)fcntl(ends[0], F_SETFL, O_NONBLOCK); /* of ours alone */
        *ours = ends[0];
        *theirs = ends[1];
        return 0;
}

int rt_runner_open(struct rt_runner *runner, int theirs[4], struct retort_error *err) {
        *runner = RT_RUNNER_NONE;
        runner->in = RT_BUF(RT_CONTEXT_MAX_FRAME + HEAD + CHUNK);
        runner->marks.held = RT_BUF(2 * CHUNK);
        for (int i = 0; i < 4; i++)
                theirs[i] = -1;
        if (open_pipe(&runner->out, &theirs[0]) == 0 && open_pipe(&runner->err, &theirs[1]) == 0 &&
            open_socket(SOCK_STREAM, &runner->protocol, &theirs[2]) == 0 && open_socket(SOCK_SEQPACKET, &runner->ended, &theirs[3]) == 0)
                return 0;
        int r = rt_fail_errno(err, "cannot make a runner's pipes");
        for (int i = 0; i < 4; i++)
                theirs[i] = rt_close(theirs[i]);
        rt_runner_close(runner);
        return r;
}

void rt_runner_close(struct rt_runner *runner) {
        runner->protocol = rt_close(runner->protocol);
        runner->out = rt_close(runner->out);
        runner->err = rt_close(runner->err);
        runner->ended = rt_close(runner->ended);
        rt_buf_clear(&runner->in);
        rt_buf_clear(&runner->marks.held);
}

/* ---- out ---- */

static int send_bytes(int socket, const char *head, const char *body, size_t size, const int *fds, unsigned n_fds) {
        union {
                struct cmsghdr head;
                char room[CMSG_SPACE(4 * sizeof(int))];
        } rights = { .head = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(n_fds * sizeof(int)) } };
        struct iovec parts[] = { { (void *)(uintptr_t)head, HEAD }, { (void *)(uintptr_t)body, size } };
        struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
        if (n_fds > 0) {
                memcpy(CMSG_DATA(&rights.head), fds, n_fds * sizeof(int));
                message.msg_control = &rights;
                message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        }
        uint64_t until = rt_now_ns() + RT_CONTEXT_ANSWER_MS * (uint64_t)NS_PER_MS;
        while (parts[0].iov_len + parts[1].iov_len > 0) {
                ssize_t n = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n < 0 && errno != EAGAIN && errno != EINTR)
                        return -1;
                struct pollfd wait = { .fd = socket, .events = POLLOUT };
                if (n < 0 && (rt_now_ns() > until || poll(&wait, 1, 1000) < 0))
                        return -1;
                for (size_t i = 0; i < 2 && n > 0; i++) {
                        size_t taken = (size_t)n < parts[i].iov_len ? (size_t)n : parts[i].iov_len;
                        parts[i].iov_base = (char *)parts[i].iov_base + taken;
                        parts[i].iov_len -= taken;
                        n -= (ssize_t)taken;
                        message.msg_control = NULL;
                        message.msg_controllen = 0;
                }
        }
        return 0;
}

int rt_runner_send(struct rt_runner *runner, json_t *message, const int *fds, unsigned n_fds) {
        rt_auto_free char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
        json_decref(message);
        size_t size = text ? strlen(text) : 0;
        if (!text || size > RT_CONTEXT_MAX_FRAME)
                return -1;
        const unsigned char head[HEAD] = { (unsigned char)(size >> 24), (unsigned char)(size >> 16), (unsigned char)(size >> 8), (unsigned char)size };
        return send_bytes(runner->protocol, (const char *)head, text, size, fds, n_fds);
}

/* ---- in ---- */

static size_t frame_size(const struct rt_buf *in) {
        const unsigned char *p = (const unsigned char *)in->data;
        return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

/* Values take many times the bytes that they are written with: how many at most, before any is made. */
static bool too_many_values(const char *text, size_t size) {
        enum { OF_ARRAY = 160, OF_OBJECT = 320, OF_VALUE = 64 }; /* about what jansson takes */
        size_t sum = 0;
        bool quoted = false;
        for (const char *p = text; p < text + size; p++) {
                if (quoted) {
                        quoted = *p != '"';
                        p += *p == '\\'; /* and what it escapes */
                } else if (*p == '"') {
                        quoted = true;
                } else {
                        sum += *p == '[' ? OF_ARRAY : *p == '{' ? OF_OBJECT : *p == ',' ? OF_VALUE : 0;
                }
        }
        return sum > RT_CONTEXT_MAX_PARSED;
}

/* 1, 0 or -1 as rt_runner_receive. */
static int take_frame(struct rt_buf *in, json_t **ret_message) {
        if (in->size < HEAD)
                return 0;
        size_t size = frame_size(in);
        if (size > RT_CONTEXT_MAX_FRAME)
                return -1;
        if (in->size < HEAD + size)
                return 0;
        if (too_many_values(in->data + HEAD, size))
                return -1;
        json_t *message = json_loadb(in->data + HEAD, size, JSON_ALLOW_NUL, NULL);
        in->size -= HEAD + size;
        memmove(in->data, in->data + HEAD + size, in->size);
        if (in->size == 0 && in->room > CHUNK) /* not for as long as the context lives */
                rt_buf_clear(in);
        if (!json_is_object(message) || !json_is_string(json_object_get(message, "type"))) {
                json_decref(message);
                return -1;
        }
        *ret_message = message;
        return 1;
}

int rt_runner_receive(struct rt_runner *runner, json_t **ret_message) {
        for (;;) {
                int r = take_frame(&runner->in, ret_message);
                if (r != 0)
                        return r;
                char chunk[CHUNK];
                ssize_t n = recv(runner->protocol, chunk, sizeof chunk, MSG_DONTWAIT);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 && errno == EAGAIN ? 0 : -1;
                if (rt_buf_add(&runner->in, chunk, (size_t)n) != RT_BUF_OK)
                        return -1;
        }
}

int rt_runner_await(struct rt_runner *runner, const char *type, uint64_t id, uint64_t until_ns, json_t **ret_message,
                    struct retort_error *err) {
        for (;;) {
                json_t *message = NULL;
                int r = rt_runner_receive(runner, &message);
                if (r < 0)
                        return rt_fail(err, RETORT_E_CLOSED, "the runner ended, or said what is no message");
                if (r == 1 && strcmp(json_string_value(json_object_get(message, "type")), type) == 0 &&
                    (id == 0 || (uint64_t)json_integer_value(json_object_get(message, "id")) == id)) {
                        *ret_message = message;
                        return 0;
                }
                json_decref(message);
                uint64_t now = rt_now_ns();
                if (now >= until_ns)
                        return rt_fail(err, RETORT_E_TIMEOUT, "the runner does not answer");
                struct pollfd wait = { .fd = runner->protocol, .events = POLLIN };
                if (r == 0)
                        (void)poll(&wait, 1, (int)((until_ns - now) / NS_PER_MS) + 1);
        }
}

bool rt_runner_has_ended(struct rt_runner *runner, int wait_ms) {
        struct pollfd wait = { .fd = runner->ended, .events = POLLIN };
        if (runner->dead || poll(&wait, 1, wait_ms) != 1)
                return runner->dead;
        ssize_t n = recv(runner->ended, &runner->end, sizeof runner->end, MSG_DONTWAIT);
        runner->have_end = n == sizeof runner->end;
        runner->dead = true;
        return true;
}

/* ---- the beginning ---- */

static unsigned read_features(const json_t *ready) {
        static const struct {
                const char *name;
                unsigned bit;
        } known[] = { { "complete", RT_CAN_COMPLETE }, { "inspect", RT_CAN_INSPECT }, { "fork", RT_CAN_FORK }, { "input", RT_CAN_INPUT } };
        unsigned features = 0;
        size_t i;
        json_t *name;
        json_array_foreach(json_object_get(ready, "features"), i, name)
                for (size_t k = 0; k < RT_LEN(known); k++)
                        if (json_is_string(name) && strcmp(json_string_value(name), known[k].name) == 0)
                                features |= known[k].bit;
        return features;
}

static void read_mark(struct rt_runner *runner, const json_t *ready) {
        const json_t *mark = json_object_get(ready, "mark");
        size_t size = json_string_length(mark);
        runner->marks.size = size >= 8 && size <= RT_MARK_MAX ? size : 0;
        memcpy(runner->marks.mark, runner->marks.size ? json_string_value(mark) : "", runner->marks.size);
}

/* What a runner that is not ready yet wrote last, on one line. */
struct words {
        char text[256];
        size_t used;
};

/* Takes away what is in the pipes: it is no cell's, and the one who writes it must not have to wait for a reader. */
static void hear(const struct rt_runner *runner, struct words *words) {
        const size_t size = sizeof words->text - 1;
        char chunk[4096];
        ssize_t n;
        for (int i = 0; i < MOST_CHUNKS && read(runner->out, chunk, sizeof chunk) > 0; i++)
                continue;
        for (int i = 0; i < MOST_CHUNKS && (n = read(runner->err, chunk, sizeof chunk)) > 0; i++) {
                size_t kept = (size_t)n < size ? (size_t)n : size;
                size_t room = size - kept < words->used ? size - kept : words->used;
                memmove(words->text, words->text + words->used - room, room);
                memcpy(words->text + room, chunk + (size_t)n - kept, kept);
                words->used = room + kept;
        }
        words->text[words->used] = 0;
        for (char *p = words->text; *p; p++)
                if ((unsigned char)*p < ' ')
                        *p = ' ';
}

int rt_runner_await_ready(struct rt_runner *runner, struct rt_context_box *box, struct retort_error *err) {
        uint64_t until = rt_now_ns() + RT_CONTEXT_START_MS * (uint64_t)NS_PER_MS;
        struct words words = { 0 };
        for (;;) {
                json_t *message = NULL;
                int r = rt_runner_receive(runner, &message);
                bool ready = r == 1 && strcmp(json_string_value(json_object_get(message, "type")), "ready") == 0 &&
                             json_integer_value(json_object_get(message, "protocol")) == 1;
                if (ready) {
                        runner->features = read_features(message);
                        read_mark(runner, message);
                }
                json_decref(message);
                hear(runner, &words);
                if (ready)
                        return 0;
                uint64_t now = rt_now_ns();
                bool ended = r != 0 || rt_runner_has_ended(runner, 0) || rt_context_box_gone(box, 0);
                if (ended || now >= until) {
                        if (ended) /* what it wrote is on its way */
                                (void)rt_runner_has_ended(runner, 200);
                        hear(runner, &words);
                        return rt_fail(err, RETORT_E_SYSTEM, "the interpreter %s%s%s",
                                       ended ? "could not start" : "is not ready after a minute", words.used ? ": " : "", words.text);
                }
                struct pollfd wait[] = { { .fd = runner->protocol, .events = POLLIN },
                                         { .fd = runner->ended, .events = POLLIN },
                                         { .fd = runner->out, .events = POLLIN },
                                         { .fd = runner->err, .events = POLLIN } };
                (void)poll(wait, RT_LEN(wait), 100); /* the box's own end is looked for */
        }
}
