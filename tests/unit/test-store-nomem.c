/* SPDX-License-Identifier: Apache-2.0
 *
 * Every allocation of SQLite's fails once: the call says "out of memory" and nothing of it is there, or it went through;
 * the store is none the worse.
 */
#include <stdatomic.h>

#include "store-samples.h"

static sqlite3_mem_methods real;
static atomic_long left = -1; /* negative: none fails */
static atomic_bool failed;

static bool fails(void) {
        if (atomic_load(&left) < 0 || atomic_fetch_sub(&left, 1) != 0)
                return false;
        atomic_store(&failed, true);
        return true;
}

static void *failing_malloc(int size) {
        return fails() ? NULL : real.xMalloc(size);
}

static void *failing_realloc(void *old, int size) {
        return fails() ? NULL : real.xRealloc(old, size);
}

static void fail_nth(long n) {
        atomic_store(&failed, false);
        atomic_store(&left, n);
}

/* False once n is past the last allocation. */
static bool fail_ended(void) {
        atomic_store(&left, -1);
        return atomic_load(&failed);
}

static void check_result(const struct place *place, int r) {
        if (r != 0 && r != RETORT_E_NOMEM)
                fail_msg("%d: %s", r, place->err.message);
}

static void opening(void **state) {
        struct place *place = *state;
        bool more = true;
        for (long n = 0; more; n++) {
                fail_nth(n);
                int r = open_place(place, 0);
                more = fail_ended();
                check_result(place, r);
                rt_store_close(rt_take(place->store));
        }
        OK(open_place(place, 0));
        OK(add_job(place->store, 1, &place->err));
}

static void one_life(void **state) {
        struct place *place = *state;
        bool more = true;
        for (unsigned n = 0; more; n++) {
                if (n % 50 == 0 && place->store)
                        rt_store_close(rt_take(place->store)); /* with nothing prepared */
                if (!place->store)
                        OK(open_place(place, 0));
                struct id id = id_of(n);
                bool first = false;
                struct rt_store_job got = { 0 };
                fail_nth(n);
                int added = add_job(place->store, n, &place->err);
                int ended = added < 0 ? added
                                      : rt_store_job_finish(place->store, id.text, 1, "ok", REQUEST, "", &first, &place->err);
                int read = rt_store_job_get(place->store, id.text, 1, &place->arena, &got, &place->err);
                more = fail_ended();
                check_result(place, added);
                check_result(place, ended);
                if (added == 0)
                        check_result(place, read);
                int seen = rt_store_job_get(place->store, id.text, 1, &place->arena, &got, &place->err);
                assert_int_equal(seen, added == 0 ? 0 : RETORT_E_INPUT);
                if (added == 0)
                        assert_int_equal(got.state, ended == 0 ? RT_JOB_DONE : RT_JOB_QUEUED);
        }
        char whole[32];
        ask_sql(place->file, "PRAGMA integrity_check", whole, sizeof whole);
        assert_string_equal(whole, "ok");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make_place, clear_place)

int main(void) {
        (void)sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real);
        sqlite3_mem_methods failing = real;
        failing.xMalloc = failing_malloc;
        failing.xRealloc = failing_realloc;
        (void)sqlite3_config(SQLITE_CONFIG_MALLOC, &failing);
        const struct CMUnitTest tests[] = { CASE(opening), CASE(one_life) };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
