/* SPDX-License-Identifier: Apache-2.0
 *
 * What the engine believes of a keeper that lies about what a step left: nothing, and it keeps no descriptor of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/fd.h"
#include "box/box.h"
#include "box/plan.h"

enum { TRUTH = 0, LIES = 15 };

static void a_lie_is_no_answer(void **state) {
        (void)state;
        int before = rt_count_fds();
        for (int which = TRUTH; which < LIES; which++) {
                char number[8];
                (void)snprintf(number, sizeof number, "%d", which);
                struct rt_jail_config config = { .jailer = getenv("LYING_JAILER"), .init = "/dev/null", .runtimes = "/", .scratch = number };
                struct retort_error err = { 0 };
                struct rt_jail *jail = NULL;
                struct rt_slot *slot = NULL;
                struct rt_plan left = { .size = 4711 };
                if (rt_jail_open(&jail, &config, &err) < 0 || rt_slot_make(jail, &slot, &err) < 0)
                        fail_msg("%d: %s", which, err.message);
                int open_now = rt_count_fds();
                int r = rt_slot_fetch(slot, &left, &err);
                assert_int_equal(rt_count_fds(), open_now);
                if (which == TRUTH) {
                        struct rt_made_file file;
                        size_t cursor = 0;
                        assert_int_equal(r, 0);
                        assert_true(rt_plan_next_made(&left, &cursor, &file));
                        assert_string_equal(file.file.path, "xx/program");
                        rt_plan_unmap(&left);
                } else {
                        if (r != RETORT_E_BUG && r != RETORT_E_CLOSED)
                                fail_msg("lie %d was answered with %d: %s", which, r, err.message);
                        assert_int_equal(left.size, 4711);
                }
                (void)rt_slot_free(slot);
                (void)rt_jail_close(jail);
        }
        assert_int_equal(rt_count_fds(), before);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(a_lie_is_no_answer) };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
