/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "frames.h"

enum { HEAD = 4, HIGHEST = 1000, LOWEST = 10, CMSG_FDS = 16 };

/* ---- beginning ---- */

static void note_out(struct rt_frames *f) {
        struct stat st = { 0 };
        (void)fstat(STDOUT_FILENO, &st);
        f->out_dev = st.st_dev;
        f->out_ino = st.st_ino;
}

/* The highest number that a program is unlikely to want. */
static int move_up(int fd) {
        struct rlimit limit;
        int from = HIGHEST;
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur <= HIGHEST)
                from = limit.rlim_cur > 2 * LOWEST ? (int)limit.rlim_cur - LOWEST : LOWEST;
        int to = fcntl(fd, F_DUPFD_CLOEXEC, from);
        if (to >= 0)
                (void)close(fd);
        return to;
}

static void new_mark(struct rt_frames *f) {
        unsigned char random[16];
        size_t n = (size_t)snprintf(f->mark, sizeof f->mark, "\033_retort ");
        if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
                memset(random, 0, sizeof random);
        for (size_t i = 0; i < sizeof random; i++)
                n += (size_t)snprintf(f->mark + n, sizeof f->mark - n, "%02x", random[i]);
        (void)snprintf(f->mark + n, sizeof f->mark - n, "\033\\");
}

int rt_frames_open(struct rt_frames *f, int fd) {
        *f = (struct rt_frames){ .fd = move_up(fd) };
        if (f->fd < 0)
                return -1;
        note_out(f);
        new_mark(f);
        return 0;
}

int rt_frames_adopt(struct rt_frames *f, const int fds[RT_FRAMES_FDS]) {
        if (dup2(fds[0], STDOUT_FILENO) < 0 || dup2(fds[1], STDERR_FILENO) < 0 || dup3(fds[2], f->fd, O_CLOEXEC) < 0)
                return -1;
        for (int i = 0; i < RT_FRAMES_FDS; i++)
                (void)close(fds[i]);
        free(f->body);
        f->body = NULL;
        f->have = 0;
        note_out(f);
        new_mark(f);
        return 0;
}

/* ---- in ---- */

void rt_frames_close_fds(struct rt_frames *f) {
        for (unsigned i = 0; i < f->n_fds; i++)
                (void)close(f->fds[i]);
        f->n_fds = 0;
}

static void take_fds(struct rt_frames *f, struct msghdr *message) {
        for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                for (size_t at = 0; at + sizeof(int) <= c->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
                        int fd;
                        memcpy(&fd, CMSG_DATA(c) + at, sizeof fd);
                        if (f->n_fds < RT_FRAMES_FDS)
                                f->fds[f->n_fds++] = fd;
                        else
                                (void)close(fd);
                }
        }
}

/* Waits until something can be read. False: it is to stop. No signal is lost between the question and the wait. */
static bool wait_readable(int fd, bool (*stop)(void)) {
        sigset_t sigint, before;
        sigemptyset(&sigint);
        sigaddset(&sigint, SIGINT);
        (void)pthread_sigmask(SIG_BLOCK, &sigint, &before);
        sigset_t during = before;
        sigdelset(&during, SIGINT);
        bool go_on = !stop();
        struct pollfd wait = { .fd = fd, .events = POLLIN };
        if (go_on)
                (void)ppoll(&wait, 1, NULL, &during);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
        return go_on;
}

/* Up to size bytes; 0 at the end, -1 with errno: EINTR when it is to stop. */
static ssize_t receive_some(struct rt_frames *f, char *to, size_t size, bool (*stop)(void)) {
        for (;;) {
                union {
                        struct cmsghdr head;
                        char room[CMSG_SPACE(CMSG_FDS * sizeof(int))];
                } rights;
                struct iovec part = { to, size };
                struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof rights };
                ssize_t n = recvmsg(f->fd, &message, MSG_CMSG_CLOEXEC | (stop ? MSG_DONTWAIT : 0));
                if (n >= 0) {
                        take_fds(f, &message);
                        return n;
                }
                if (errno == EINTR && !stop)
                        continue;
                if (errno == EAGAIN && !stop) { /* somebody made it so */
                        struct pollfd wait = { .fd = f->fd, .events = POLLIN };
                        (void)poll(&wait, 1, -1);
                } else if (errno != EAGAIN && errno != EINTR) {
                        return -1;
                } else if (!wait_readable(f->fd, stop)) {
                        errno = EINTR;
                        return -1;
                }
        }
}

/* The next bytes of the frame, until it is whole. */
static enum rt_frames_got fill(struct rt_frames *f, bool (*stop)(void)) {
        for (;;) {
                if (f->have == HEAD && !f->body) {
                        f->size = (size_t)f->head[0] << 24 | (size_t)f->head[1] << 16 | (size_t)f->head[2] << 8 | f->head[3];
                        if (f->size == 0 || f->size > RT_FRAMES_MAX || !(f->body = malloc(f->size)))
                                return RT_FRAMES_BROKEN;
                }
                if (f->have >= HEAD && f->have - HEAD == f->size)
                        return RT_FRAMES_MESSAGE;
                bool in_head = f->have < HEAD;
                char *to = in_head ? (char *)f->head + f->have : f->body + (f->have - HEAD);
                ssize_t n = receive_some(f, to, in_head ? HEAD - f->have : f->size - (f->have - HEAD), stop);
                if (n < 0 && errno == EINTR)
                        return RT_FRAMES_STOPPED;
                if (n <= 0)
                        return n == 0 && f->have == 0 ? RT_FRAMES_END : RT_FRAMES_BROKEN;
                f->have += (size_t)n;
        }
}

enum rt_frames_got rt_frames_receive(struct rt_frames *f, bool (*stop)(void), json_t **ret_message) {
        if (f->have == 0)
                rt_frames_close_fds(f);
        enum rt_frames_got got = fill(f, stop);
        if (got == RT_FRAMES_STOPPED)
                return got;
        json_t *message = got == RT_FRAMES_MESSAGE ? json_loadb(f->body, f->size, JSON_ALLOW_NUL, NULL) : NULL;
        free(f->body);
        f->body = NULL;
        f->have = 0;
        if (got == RT_FRAMES_MESSAGE && !json_is_string(json_object_get(message, "type"))) {
                json_decref(message);
                got = RT_FRAMES_BROKEN;
        }
        if (got == RT_FRAMES_MESSAGE)
                *ret_message = message;
        else
                rt_frames_close_fds(f);
        return got;
}

/* ---- out ---- */

static void wait_writable(int fd) {
        struct pollfd wait = { .fd = fd, .events = POLLOUT };
        (void)poll(&wait, 1, -1);
}

int rt_frames_write(int fd, const char *data, size_t size) {
        while (size > 0) {
                ssize_t n = write(fd, data, size);
                if (n < 0 && errno == EAGAIN)
                        wait_writable(fd);
                else if (n < 0 && errno != EINTR)
                        return -1;
                data += n > 0 ? n : 0;
                size -= n > 0 ? (size_t)n : 0;
        }
        return 0;
}

static int send_text(struct rt_frames *f, const char *text, size_t size) {
        unsigned char head[HEAD] = { (unsigned char)(size >> 24), (unsigned char)(size >> 16), (unsigned char)(size >> 8), (unsigned char)size };
        struct iovec parts[] = { { head, HEAD }, { (void *)(uintptr_t)text, size } };
        struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
        while (parts[0].iov_len + parts[1].iov_len > 0) {
                ssize_t n = sendmsg(f->fd, &message, MSG_NOSIGNAL);
                if (n < 0 && errno == EAGAIN)
                        wait_writable(f->fd);
                else if (n < 0 && errno != EINTR)
                        return -1;
                for (size_t i = 0; i < 2 && n > 0; i++) {
                        size_t taken = (size_t)n < parts[i].iov_len ? (size_t)n : parts[i].iov_len;
                        parts[i].iov_base = (char *)parts[i].iov_base + taken;
                        parts[i].iov_len -= taken;
                        n -= (ssize_t)taken;
                }
        }
        return 0;
}

static int send_up_to(struct rt_frames *f, json_t *message, size_t most) {
        char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
        json_decref(message);
        size_t size = text ? strlen(text) : 0;
        int r = text && size <= most ? send_text(f, text, size) : -1;
        free(text);
        return r;
}

int rt_frames_send(struct rt_frames *f, json_t *message) {
        return send_up_to(f, message, RT_FRAMES_MAX);
}

static size_t size_of(const json_t *value) {
        char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        size_t size = text ? strlen(text) : 0;
        free(text);
        return size;
}

/* What stands in the place of data that is too large: its types, their sizes and the limit. */
static json_t *left_out(json_t *data) {
        char words[512];
        size_t n = 0;
        const char *mime;
        json_t *value;
        json_object_foreach(data, mime, value) {
                int wrote = snprintf(words + n, sizeof words - n, "%s%.100s (%zu bytes)", n ? ", " : "", mime, size_of(value));
                n += wrote > 0 ? (size_t)wrote : 0;
                if (n >= sizeof words)
                        break;
        }
        json_t *text = json_sprintf("left out: %.511s; an item may have %d bytes", words, RT_FRAMES_ITEM_MAX);
        json_t *ret = json_pack("{s:o}", "text/plain", text);
        json_decref(data);
        return ret;
}

/* A look at the lengths will do for nearly all items; the others are counted as they will be sent. */
static bool is_too_large(const json_t *data) {
        size_t least = 0;
        bool simple = true;
        const char *mime;
        json_t *value;
        json_object_foreach((json_t *)(uintptr_t)data, mime, value) {
                simple &= json_is_string(value);
                least += strlen(mime) + json_string_length(value);
        }
        return least > RT_FRAMES_ITEM_MAX || ((!simple || least > RT_FRAMES_ITEM_MAX / 8) && size_of(data) > RT_FRAMES_ITEM_MAX);
}

int rt_frames_item(struct rt_frames *f, json_int_t id, json_t *data, json_t *metadata, bool is_main) {
        if (data && is_too_large(data))
                data = left_out(data);
        json_t *message = json_pack("{s:s, s:I, s:b, s:o, s:o*}", "type", "item", "id", id, "main", is_main, "data", data, "metadata", metadata);
        if (!message)
                return 0; /* no memory: the program's own next step will tell */
        char *text = json_dumps(message, JSON_COMPACT);
        json_decref(message);
        struct stat st;
        int r = 0;
        if (text && strlen(text) <= RT_FRAMES_MAX) {
                if (fstat(STDOUT_FILENO, &st) == 0 && st.st_dev == f->out_dev && st.st_ino == f->out_ino)
                        (void)rt_frames_write(STDOUT_FILENO, f->mark, strlen(f->mark));
                r = send_text(f, text, strlen(text));
        }
        free(text);
        return r;
}

/* ---- texts ---- */

/* Length of the UTF-8 sequence at p, 0 if there is none. */
static size_t sequence(const unsigned char *p, size_t left) {
        if (p[0] < 0x80)
                return 1;
        size_t n = p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;
        if (n == 0 || n > left)
                return 0;
        for (size_t i = 1; i < n; i++)
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
        bool wrong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
                     (p[0] == 0xf4 && p[1] > 0x8f);
        return wrong ? 0 : n;
}

json_t *rt_frames_text(const char *bytes, size_t size) {
        const unsigned char *p = (const unsigned char *)bytes;
        size_t good = 0, bad = 0;
        for (size_t i = 0, n; i < size; i += n ? n : 1) {
                n = sequence(p + i, size - i);
                bad += n == 0;
                good += n;
        }
        if (bad == 0)
                return json_stringn_nocheck(bytes, size);
        char *clean = malloc(good + 3 * bad), *to = clean;
        if (!clean)
                return NULL;
        for (size_t i = 0, n; i < size; i += n ? n : 1) {
                n = sequence(p + i, size - i);
                to = mempcpy(to, n ? (const char *)p + i : "\xef\xbf\xbd", n ? n : 3);
        }
        json_t *ret = json_stringn_nocheck(clean, good + 3 * bad);
        free(clean);
        return ret;
}

json_t *rt_frames_base64(const void *bytes, size_t size) {
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        const unsigned char *p = bytes;
        size_t n = (size + 2) / 3 * 4;
        char *text = malloc(n + 1), *to = text;
        if (!text)
                return NULL;
        for (size_t i = 0; i < size; i += 3) {
                size_t left = size - i;
                unsigned v = (unsigned)p[i] << 16 | (left > 1 ? (unsigned)p[i + 1] << 8 : 0) | (left > 2 ? p[i + 2] : 0);
                *to++ = digits[v >> 18];
                *to++ = digits[v >> 12 & 63];
                *to++ = left > 1 ? digits[v >> 6 & 63] : '=';
                *to++ = left > 2 ? digits[v & 63] : '=';
        }
        json_t *ret = json_stringn_nocheck(text, n);
        free(text);
        return ret;
}

static bool starts(const char *text, const char *with) {
        return strncmp(text, with, strlen(with)) == 0;
}

static bool ends(const char *text, const char *with) {
        size_t n = strlen(text), m = strlen(with);
        return n >= m && strcmp(text + n - m, with) == 0;
}

bool rt_frames_is_binary(const char *mime) {
        if (starts(mime, "text/") || ends(mime, "+xml") || ends(mime, "json") || ends(mime, "xml") || ends(mime, "javascript"))
                return false;
        return starts(mime, "image/") || starts(mime, "audio/") || starts(mime, "video/") || starts(mime, "application/");
}
