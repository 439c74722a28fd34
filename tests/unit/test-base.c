/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"

static void errors_read_from_outside_in(void **state) {
        (void)state;
        struct retort_error err = { 0 };
        errno = EACCES;
        int r = rt_fail_errno(&err, "cannot set %s", "memory.max");
        assert_int_equal(r, RETORT_E_SYSTEM);
        r = rt_wrap(&err, r, "opening box %d", 7);
        assert_int_equal(r, RETORT_E_SYSTEM);
        assert_string_equal(err.message, "opening box 7: cannot set memory.max: Permission denied");
}

static void long_errors_are_cut_not_overrun(void **state) {
        (void)state;
        struct retort_error err = { 0 };
        char words[2000];
        memset(words, 'x', sizeof words - 1);
        words[sizeof words - 1] = 0;
        int r = rt_fail(&err, RETORT_E_INPUT, "%s", words);
        r = rt_wrap(&err, r, "%s", words);
        assert_int_equal(strlen(err.message), sizeof err.message - 1);
        assert_int_equal(rt_fail(NULL, RETORT_E_BUG, "nobody listens"), RETORT_E_BUG);
}

static void buffers_stop_at_their_cap(void **state) {
        (void)state;
        rt_auto_buf struct rt_buf buf = RT_BUF(10);
        assert_int_equal(rt_buf_add(&buf, "12345678", 8), RT_BUF_OK);
        assert_int_equal(rt_buf_add(&buf, "9abc", 4), RT_BUF_FULL);
        assert_string_equal(buf.data, "123456789a");
        assert_int_equal(rt_buf_printf(&buf, "%d", 1), RT_BUF_FULL);
        assert_int_equal(buf.size, 10);
}

static void arenas_give_aligned_zeroed_memory(void **state) {
        (void)state;
        rt_auto_arena struct rt_arena arena = { 0 };
        for (size_t size = 0; size < 20000; size = size * 2 + 1) {
                unsigned char *p = rt_arena_alloc(&arena, size);
                assert_non_null(p);
                assert_int_equal((uintptr_t)p % 16, 0);
                for (size_t i = 0; i < size; i++)
                        assert_int_equal(p[i], 0);
                memset(p, 0xee, size);
        }
        assert_null(rt_arena_array(&arena, SIZE_MAX / 2, 4));
        assert_string_equal(rt_arena_printf(&arena, "%s-%d", "job", 5), "job-5");
}

static void sealed_memfds_cannot_change(void **state) {
        (void)state;
        int before = rt_count_fds();
        int fd = rt_sealed_memfd("test", "plan", 4);
        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, "x", 1, 0), -1);
        assert_int_equal(ftruncate(fd, 0), -1);
        fd = rt_close(fd);
        assert_int_equal(fd, -1);
        assert_int_equal(rt_count_fds(), before);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(errors_read_from_outside_in),
                cmocka_unit_test(long_errors_are_cut_not_overrun),
                cmocka_unit_test(buffers_stop_at_their_cap),
                cmocka_unit_test(arenas_give_aligned_zeroed_memory),
                cmocka_unit_test(sealed_memfds_cannot_change),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
