/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "http/frames.h"
#include "http/parse.h"

static void targets_are_decoded(void **state) {
        (void)state;
        rt_auto_arena struct rt_arena arena = { 0 };
        struct rt_http_target target;
        const char *why = NULL;
        assert_int_equal(rt_http_target_parse(&arena, "HTTP://h:1/a%20b?x=%2B+&&y", &target, &why), 0);
        assert_string_equal(target.authority, "h:1");
        assert_string_equal(target.path, "/a b");
        assert_string_equal(target.query[0].value, "+ ");
        assert_string_equal(target.query[1].name, "y");
        assert_string_equal(target.query[1].value, "");
        assert_null(target.query[2].name);
        assert_int_equal(rt_http_target_parse(&arena, "https://h", &target, &why), 0);
        assert_string_equal(target.path, "/");
        assert_int_equal(rt_http_target_parse(&arena, "", &target, &why), -1);
        assert_int_equal(rt_http_target_parse(&arena, "/x/..", &target, &why), -1);
        assert_string_equal(why, "the path has a segment . or ..");
}

static void hosts_have_one_spelling(void **state) {
        (void)state;
        char name[RT_HTTP_HOST_MAX];
        char longest[RT_HTTP_HOST_MAX + 1];
        assert_int_equal(rt_http_host_name("EXAMPLE.com.:80", name), 0);
        assert_string_equal(name, "example.com");
        assert_int_equal(rt_http_host_name("[0:0:0::1]:80", name), 0);
        assert_string_equal(name, "::1");
        memset(longest, 'a', sizeof longest - 1);
        longest[sizeof longest - 1] = 0;
        assert_int_equal(rt_http_host_name(longest, name), -1);
        longest[RT_HTTP_HOST_MAX - 1] = 0;
        assert_int_equal(rt_http_host_name(longest, name), 0);
        assert_int_equal(rt_http_host_name("a:123456", name), -1);
        assert_int_equal(rt_http_host_name("", name), -1);
        assert_true(rt_http_name_is_loopback("a.localhost"));
        assert_false(rt_http_name_is_loopback(".localhos"));
        assert_false(rt_http_name_is_loopback("::2"));
}

static void accept_keys_are_those_of_the_rfc(void **state) {
        (void)state;
        char accept[32];
        assert_true(rt_http_key_is_right("dGhlIHNhbXBsZSBub25jZQ=="));
        assert_int_equal(rt_http_accept_key("dGhlIHNhbXBsZSBub25jZQ==", accept), 0);
        assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_false(rt_http_key_is_right("dGhlIHNhbXBsZSBub25jZ==="));
}

static void tokens_are_whole_words(void **state) {
        (void)state;
        assert_true(rt_http_has_token("keep-alive , UPGRADE", "upgrade"));
        assert_false(rt_http_has_token("upgraded", "upgrade"));
        assert_false(rt_http_has_token("", "upgrade"));
}

static void frame_heads_have_the_shortest_length(void **state) {
        (void)state;
        uint8_t head[RT_HTTP_FRAME_HEAD];
        assert_int_equal(rt_http_frame_head(head, 1, 125), 2);
        assert_int_equal(rt_http_frame_head(head, 1, 126), 4);
        assert_memory_equal(head, "\x81\x7e\x00\x7e", 4);
        assert_int_equal(rt_http_frame_head(head, 2, 65536), 10);
        assert_memory_equal(head, "\x82\x7f\0\0\0\0\0\x01\0\0", 10);
}

static void close_codes_that_may_be_sent(void **state) {
        (void)state;
        assert_true(rt_http_close_code_is_right(1000) && rt_http_close_code_is_right(4999));
        assert_false(rt_http_close_code_is_right(999) || rt_http_close_code_is_right(1005) ||
                     rt_http_close_code_is_right(1006) || rt_http_close_code_is_right(1015) ||
                     rt_http_close_code_is_right(2999) || rt_http_close_code_is_right(5000));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(targets_are_decoded),
                cmocka_unit_test(hosts_have_one_spelling),
                cmocka_unit_test(accept_keys_are_those_of_the_rfc),
                cmocka_unit_test(tokens_are_whole_words),
                cmocka_unit_test(frame_heads_have_the_shortest_length),
                cmocka_unit_test(close_codes_that_may_be_sent),
        };
        return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
