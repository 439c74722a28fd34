/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../runtimes/lib/frames.h"
#include "base/fd.h"
#include "base/util.h"

/* A runner's end and the engine's. */
struct pair {
        struct rt_frames f;
        int engine;
};

static struct pair open_pair(void) {
        int ends[2];
        struct pair p;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        assert_int_equal(rt_frames_open(&p.f, ends[0]), 0);
        p.engine = ends[1];
        return p;
}

static void close_pair(struct pair *p) {
        free(p->f.body);
        rt_frames_close_fds(&p->f);
        (void)rt_close(p->f.fd);
        (void)rt_close(p->engine);
}

/* What the engine sends, by a thread of its own, `at_once` bytes at a time. */
struct sender {
        int fd;
        const char *data;
        size_t size, at_once;
        bool close;
};

static void *send_all(void *given) {
        struct sender *s = given;
        for (size_t at = 0; at < s->size; at += s->at_once)
                assert_int_equal(rt_write_all(s->fd, s->data + at, s->size - at < s->at_once ? s->size - at : s->at_once), 0);
        if (s->close)
                (void)shutdown(s->fd, SHUT_WR);
        return NULL;
}

static char *frame(const char *body, size_t size, size_t *ret_size) {
        char *ret = malloc(size + 4);
        assert_non_null(ret);
        const unsigned char head[4] = { (unsigned char)(size >> 24), (unsigned char)(size >> 16), (unsigned char)(size >> 8), (unsigned char)size };
        memcpy(ret, head, 4);
        memcpy(ret + 4, body, size);
        *ret_size = size + 4;
        return ret;
}

static enum rt_frames_got get(const char *bytes, size_t size, json_t **ret) {
        struct pair p = open_pair();
        struct sender s = { p.engine, bytes, size, size ? size : 1, true };
        (void)send_all(&s);
        enum rt_frames_got got = rt_frames_receive(&p.f, NULL, ret);
        close_pair(&p);
        return got;
}

static enum rt_frames_got get_body(const char *body, size_t size) {
        json_t *message = NULL;
        size_t n;
        rt_auto_free char *bytes = frame(body, size, &n);
        enum rt_frames_got got = get(bytes, n, &message);
        assert_true((got == RT_FRAMES_MESSAGE) == (message != NULL));
        json_decref(message);
        return got;
}

static void the_protocol_moves_away(void **state) {
        (void)state;
        struct pair p = open_pair();
        assert_true(p.f.fd >= 10);
        assert_true(fcntl(p.f.fd, F_GETFD) & FD_CLOEXEC);
        assert_in_range(strlen(p.f.mark), 8, 64);
        struct pair q = open_pair();
        assert_string_not_equal(p.f.mark, q.f.mark);
        close_pair(&p);
        close_pair(&q);
}

static void bytes_may_come_one_by_one(void **state) {
        (void)state;
        static const char body[] = "{\"type\": \"run\", \"code\": \"1\\u0000\xc3\xa4\"}";
        size_t n;
        rt_auto_free char *one = frame(body, sizeof body - 1, &n);
        rt_auto_free char *two = malloc(2 * n);
        memcpy(two, one, n);
        memcpy(two + n, one, n);
        struct pair p = open_pair();
        struct sender s = { p.engine, two, 2 * n, 1, true };
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, send_all, &s), 0);
        for (int i = 0; i < 2; i++) {
                json_t *message = NULL;
                assert_int_equal(rt_frames_receive(&p.f, NULL, &message), RT_FRAMES_MESSAGE);
                assert_memory_equal(json_string_value(json_object_get(message, "code")), "1\0\xc3\xa4", 4);
                json_decref(message);
        }
        json_t *none = NULL;
        assert_int_equal(rt_frames_receive(&p.f, NULL, &none), RT_FRAMES_END);
        assert_int_equal(rt_frames_receive(&p.f, NULL, &none), RT_FRAMES_END);
        assert_null(none);
        (void)pthread_join(thread, NULL);
        close_pair(&p);
}

static void rubbish_is_no_message(void **state) {
        (void)state;
        static const char *const bodies[] = { "[]", "1", "\"type\"", "{}", "{\"type\": 1}", "{\"type\": null}", "{\"type\": \"a\"", "{\"type\": \"a\"}}", "nul",
                                              "{\"type\": NaN}", "\xff\xfe", "{\"type\": \"\xed\xa0\x80\"}", "{\"type\": \"\xff\"}", " ", "{type: 1}" };
        for (size_t i = 0; i < RT_LEN(bodies); i++)
                assert_int_equal(get_body(bodies[i], strlen(bodies[i])), RT_FRAMES_BROKEN);
        assert_int_equal(get_body("{\"type\": \"a\"}", 13), RT_FRAMES_MESSAGE);
        assert_int_equal(get_body("", 0), RT_FRAMES_BROKEN);
}

static void lengths_are_held_against_the_limit(void **state) {
        (void)state;
        json_t *message = NULL;
        assert_int_equal(get("\xff\xff\xff\xff{}", 6, &message), RT_FRAMES_BROKEN);
        assert_int_equal(get("\x04\x00\x00\x01{}", 6, &message), RT_FRAMES_BROKEN); /* 64 MiB and one */
        assert_int_equal(get("\x00\x00\x00\x05{}", 6, &message), RT_FRAMES_BROKEN); /* it ends too early */
        assert_int_equal(get("\x00\x00\x00", 3, &message), RT_FRAMES_BROKEN);
        assert_int_equal(get("", 0, &message), RT_FRAMES_END);
        assert_null(message);
}

/* Whole, both ways, also where a descriptor was made non-blocking. */
static void the_largest_frame_passes(void **state) {
        (void)state;
        static const char before[] = "{\"type\":\"run\",\"code\":\"", after[] = "\"}";
        size_t n, size = RT_FRAMES_MAX, text = size - (sizeof before - 1) - (sizeof after - 1);
        rt_auto_free char *body = malloc(size);
        memcpy(body, before, sizeof before - 1);
        memset(body + sizeof before - 1, 'x', text);
        memcpy(body + size - (sizeof after - 1), after, sizeof after - 1);
        rt_auto_free char *bytes = frame(body, size, &n);
        struct pair p = open_pair(), q = open_pair();
        struct sender s = { p.engine, bytes, n, n, false };
        pthread_t thread;
        assert_int_equal(fcntl(p.f.fd, F_SETFL, O_NONBLOCK), 0);
        assert_int_equal(pthread_create(&thread, NULL, send_all, &s), 0);
        json_t *message = NULL;
        assert_int_equal(rt_frames_receive(&p.f, NULL, &message), RT_FRAMES_MESSAGE);
        (void)pthread_join(thread, NULL);
        assert_int_equal(json_string_length(json_object_get(message, "code")), text);
        /* And back, to a reader of its own. */
        struct rt_frames back = { .fd = q.engine };
        int flags = fcntl(q.f.fd, F_GETFL);
        assert_int_equal(fcntl(q.f.fd, F_SETFL, flags | O_NONBLOCK), 0);
        pid_t pid = fork();
        if (pid == 0)
                _exit(rt_frames_send(&q.f, message) == 0 ? 0 : 1);
        json_t *returned = NULL;
        assert_int_equal(rt_frames_receive(&back, NULL, &returned), RT_FRAMES_MESSAGE);
        assert_true(json_equal(returned, message));
        json_decref(returned);
        /* One byte more is not sent at all. */
        char *more = malloc(text + 2);
        memset(more, 'x', text + 1);
        more[text + 1] = 0;
        assert_int_equal(rt_frames_send(&q.f, json_pack("{s:s, s:s}", "type", "run", "code", more)), -1);
        free(more);
        json_decref(message);
        close_pair(&p);
        close_pair(&q);
}

static volatile sig_atomic_t asked;

static bool is_asked(void) {
        return asked;
}

static void on_signal(int number) {
        (void)number;
        asked = 1;
}

static void *interrupt_later(void *given) {
        (void)nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
        (void)pthread_kill(*(pthread_t *)given, SIGINT);
        return NULL;
}

/* A wait can be left, and what had come by then is not lost. */
static void a_wait_ends_when_it_is_asked_to(void **state) {
        (void)state;
        const struct sigaction act = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
        struct sigaction before;
        (void)sigaction(SIGINT, &act, &before);
        size_t n;
        rt_auto_free char *bytes = frame("{\"type\": \"input\"}", 17, &n);
        struct pair p = open_pair();
        assert_int_equal(rt_write_all(p.engine, bytes, 9), 0);
        pthread_t self = pthread_self(), thread;
        asked = 0;
        assert_int_equal(pthread_create(&thread, NULL, interrupt_later, &self), 0);
        json_t *message = NULL;
        assert_int_equal(rt_frames_receive(&p.f, is_asked, &message), RT_FRAMES_STOPPED);
        (void)pthread_join(thread, NULL);
        assert_int_equal(rt_frames_receive(&p.f, is_asked, &message), RT_FRAMES_STOPPED); /* asked before it waits */
        asked = 0;
        assert_int_equal(rt_write_all(p.engine, bytes + 9, n - 9), 0);
        assert_int_equal(rt_frames_receive(&p.f, is_asked, &message), RT_FRAMES_MESSAGE);
        assert_string_equal(json_string_value(json_object_get(message, "type")), "input");
        json_decref(message);
        close_pair(&p);
        (void)sigaction(SIGINT, &before, NULL);
}

static void send_with(int fd, const char *bytes, size_t size, const int *fds, size_t n_fds) {
        union {
                struct cmsghdr head;
                char room[CMSG_SPACE(8 * sizeof(int))];
        } rights = { .head = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(n_fds * sizeof(int)) } };
        memcpy(CMSG_DATA(&rights.head), fds, n_fds * sizeof(int));
        struct iovec part = { (void *)(uintptr_t)bytes, size };
        struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = CMSG_SPACE(n_fds * sizeof(int)) };
        assert_int_equal(sendmsg(fd, &message, 0), size);
}

/* Three are kept for whoever wants them, the others and those that nobody took are closed. */
static void descriptors_come_with_messages_and_never_pile_up(void **state) {
        (void)state;
        struct pair p = open_pair();
        int given[8], before = 0;
        size_t n;
        rt_auto_free char *bytes = frame("{\"type\": \"fork\"}", 16, &n);
        for (size_t i = 0; i < RT_LEN(given); i++)
                given[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        before = rt_count_fds();
        for (size_t n_fds = 1; n_fds <= RT_LEN(given); n_fds++) {
                json_t *message = NULL;
                send_with(p.engine, bytes, n, given, n_fds);
                assert_int_equal(rt_frames_receive(&p.f, NULL, &message), RT_FRAMES_MESSAGE);
                json_decref(message);
                assert_int_equal(p.f.n_fds, n_fds < RT_FRAMES_FDS ? n_fds : RT_FRAMES_FDS);
                for (unsigned i = 0; i < p.f.n_fds; i++)
                        assert_true(fcntl(p.f.fds[i], F_GETFD) & FD_CLOEXEC);
                assert_int_equal(rt_count_fds(), before + (int)p.f.n_fds);
        }
        rt_frames_close_fds(&p.f);
        assert_int_equal(rt_count_fds(), before);
        for (size_t i = 0; i < RT_LEN(given); i++)
                (void)close(given[i]);
        close_pair(&p);
}

static void texts_are_always_utf8(void **state) {
        (void)state;
        static const struct {
                const char *bytes, *text;
        } cases[] = {
                { "", "" }, { "plain", "plain" }, { "\xc3\xa4\xe4\xbd\xa0\xf0\x9f\x98\x80", "\xc3\xa4\xe4\xbd\xa0\xf0\x9f\x98\x80" },
                { "a\xff" "b", "a\xef\xbf\xbd" "b" }, { "\xc3", "\xef\xbf\xbd" }, { "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
                { "\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd" }, { "\xf4\x90\x80\x80!", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd!" },
                { "\xe0\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        };
        for (size_t i = 0; i < RT_LEN(cases); i++) {
                json_t *text = rt_frames_text(cases[i].bytes, strlen(cases[i].bytes));
                assert_string_equal(json_string_value(text), cases[i].text);
                char *dumped = json_dumps(text, JSON_ENCODE_ANY); /* refuses what is not UTF-8 */
                assert_non_null(dumped);
                free(dumped);
                json_decref(text);
        }
        json_t *text = rt_frames_text("a\0b", 3);
        assert_int_equal(json_string_length(text), 3);
        json_decref(text);
}

static void base64_is_exact(void **state) {
        (void)state;
        static const char *const cases[][2] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "\xff\xfe\xfd", "//79" } };
        for (size_t i = 0; i < RT_LEN(cases); i++) {
                json_t *text = rt_frames_base64(cases[i][0], strlen(cases[i][0]));
                assert_string_equal(json_string_value(text), cases[i][1]);
                json_decref(text);
        }
        assert_true(rt_frames_is_binary("image/png") && rt_frames_is_binary("application/pdf"));
        assert_false(rt_frames_is_binary("image/svg+xml") || rt_frames_is_binary("text/html") || rt_frames_is_binary("application/vnd.retort.data+json"));
}

static json_t *item_of(json_t *data, char *ret_out, size_t room) {
        struct pair p = open_pair();
        struct rt_frames engine = { .fd = p.engine };
        int out[2], plain = dup(STDOUT_FILENO);
        assert_int_equal(pipe2(out, O_NONBLOCK | O_CLOEXEC), 0);
        pid_t pid = fork();
        if (pid == 0) {
                (void)dup2(out[1], STDOUT_FILENO);
                int fd = dup(p.f.fd);
                _exit(rt_frames_open(&p.f, fd) < 0 || rt_frames_write(STDOUT_FILENO, "out ", 4) < 0 || rt_frames_item(&p.f, 7, data, NULL, true) < 0);
        }
        json_t *message = NULL;
        assert_int_equal(rt_frames_receive(&engine, NULL, &message), RT_FRAMES_MESSAGE);
        ssize_t n = read(out[0], ret_out, room - 1);
        ret_out[n > 0 ? n : 0] = 0;
        (void)close(out[0]);
        (void)close(out[1]);
        (void)close(plain);
        json_decref(data);
        close_pair(&p);
        return message;
}

static void items_come_behind_their_mark(void **state) {
        (void)state;
        char out[200];
        json_t *item = item_of(json_pack("{s:s}", "text/html", "<b>"), out, sizeof out);
        assert_string_equal(json_string_value(json_object_get(json_object_get(item, "data"), "text/html")), "<b>");
        assert_true(json_is_true(json_object_get(item, "main")));
        assert_int_equal(json_integer_value(json_object_get(item, "id")), 7);
        assert_memory_equal(out, "out \033_retort ", 12);
        assert_true(strlen(out) > 20);
        json_decref(item);
}

static void too_large_items_become_a_text_that_says_so(void **state) {
        (void)state;
        size_t size = RT_FRAMES_ITEM_MAX / 6 + 10;
        char out[200], *text = malloc(size);
        memset(text, '\a', size); /* each is six bytes of JSON */
        json_t *item = item_of(json_pack("{s:s%, s:s}", "text/html", text, size, "text/latex", "x"), out, sizeof out);
        const char *words = json_string_value(json_object_get(json_object_get(item, "data"), "text/plain"));
        assert_int_equal(json_object_size(json_object_get(item, "data")), 1);
        assert_non_null(strstr(words, "text/html (33554"));
        assert_non_null(strstr(words, "text/latex (3 bytes)"));
        assert_non_null(strstr(words, "33554432"));
        json_decref(item);
        free(text);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_protocol_moves_away),
                cmocka_unit_test(bytes_may_come_one_by_one),
                cmocka_unit_test(rubbish_is_no_message),
                cmocka_unit_test(lengths_are_held_against_the_limit),
                cmocka_unit_test(the_largest_frame_passes),
                cmocka_unit_test(a_wait_ends_when_it_is_asked_to),
                cmocka_unit_test(descriptors_come_with_messages_and_never_pile_up),
                cmocka_unit_test(texts_are_always_utf8),
                cmocka_unit_test(base64_is_exact),
                cmocka_unit_test(items_come_behind_their_mark),
                cmocka_unit_test(too_large_items_become_a_text_that_says_so),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
