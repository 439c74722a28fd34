/* SPDX-License-Identifier: Apache-2.0
 *
 * How many interpreters are started ahead: by demand, by what a start costs, by memory, by how long nobody has asked. No box.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/util.h"
#include "engine/engine.h"

enum { ONE = 3, OTHER = 5 }; /* kinds */
#define S 1000000000ull

static struct retort_engine *engine;
static struct rt_ahead *const something = (struct rt_ahead *)&engine; /* never looked into */

static int set_up(void **state) {
        (void)state;
        engine = calloc(1, sizeof *engine);
        if (!engine)
                return -1;
        engine->warm_slots = 8;
        engine->cpus = 2;
        engine->pool_bytes = 256 << 20;
        return 0;
}

static int tear_down(void **state) {
        (void)state;
        free(engine);
        return 0;
}

/* A pool that was asked for at this rate, and last so many seconds ago. */
static struct rt_warm *pool(int kind, double rate, unsigned ago_s, uint64_t start_ms, uint64_t mib) {
        struct rt_warm *w = &engine->warm[kind];
        w->pool = (struct rt_pool){ .ahead = something, .rate = rate, .cost = { start_ms * 1000000, mib << 20 } };
        w->used_ns = rt_now_ns() - ago_s * S;
        engine->n_pools++;
        return w;
}

static void fill(int kind, unsigned n) {
        while (n-- > 0)
                engine->idle[engine->n_idle++] = (struct rt_ready_slot){ NULL, kind };
}

static void none_before_somebody_asks(void **state) {
        (void)state;
        assert_false(rt_engine_is_pool(engine, ONE));
        assert_false(rt_engine_is_pool(engine, RT_KIND_COLD));
        assert_int_equal(rt_engine_pool_target(engine, ONE), 0);
        assert_int_equal(rt_engine_pool_targets(engine), 0);
}

static void one_once_asked_and_more_by_rate_and_cost(void **state) {
        (void)state;
        (void)pool(ONE, 0, 0, 0, 0); /* what a start takes is not known yet */
        assert_int_equal(rt_engine_pool_target(engine, ONE), 1);
        static const struct {
                double rate;
                uint64_t start_ms;
                unsigned target;
        } rows[] = { { 0.1, 50, 1 }, { 5, 50, 1 }, { 11, 50, 2 }, { 25, 50, 3 }, { 25, 10, 1 }, { 25, 100, 6 }, { 1000, 1000, 8 } };
        for (size_t i = 0; i < RT_LEN(rows); i++) {
                (void)pool(ONE, rows[i].rate + 0.001, 0, rows[i].start_ms, 4);
                assert_int_equal(rt_engine_pool_target(engine, ONE), rows[i].target);
        }
        engine->warm_slots = 3;
        assert_int_equal(rt_engine_pool_target(engine, ONE), 3);
        assert_int_equal(rt_engine_pool_targets(engine), 3);
}

static void demand_fades(void **state) {
        (void)state;
        (void)pool(ONE, 50, 0, 50, 4);
        assert_int_equal(rt_engine_pool_target(engine, ONE), 5);
        (void)pool(ONE, 50, 10, 50, 4);
        assert_int_equal(rt_engine_pool_target(engine, ONE), 3);
        (void)pool(ONE, 50, 120, 50, 4);
        assert_int_equal(rt_engine_pool_target(engine, ONE), 1);
        (void)pool(ONE, 50, 299, 50, 4);
        assert_int_equal(rt_engine_pool_target(engine, ONE), 1);
        (void)pool(ONE, 50, 301, 50, 4);
        assert_int_equal(rt_engine_pool_target(engine, ONE), 0);
}

static void memory_bounds_all_together(void **state) {
        (void)state;
        (void)pool(ONE, 1000, 0, 1000, 100);
        (void)pool(OTHER, 1000, 0, 1000, 60);
        assert_int_equal(rt_engine_pool_target(engine, ONE), 2);
        assert_int_equal(rt_engine_pool_target(engine, OTHER), 4);
        fill(OTHER, 2);
        assert_int_equal(rt_engine_pool_target(engine, ONE), 1);
        assert_int_equal(rt_engine_pool_target(engine, OTHER), 4);
        fill(ONE, 2);
        assert_int_equal(rt_engine_pool_target(engine, OTHER), 0);
        /* Too much is held: what is more than fits goes, however lately it was asked for. */
        assert_int_equal(rt_engine_pool_excess(engine, OTHER), 2);
        assert_int_equal(rt_engine_pool_excess(engine, ONE), 1);
}

static void excess_goes_when_nobody_has_asked_for_a_while(void **state) {
        (void)state;
        assert_int_equal(rt_engine_pool_excess(engine, ONE), 0);
        fill(ONE, 3);
        (void)pool(ONE, 5, 20, 50, 4);
        assert_int_equal(rt_engine_pool_target(engine, ONE), 1);
        assert_int_equal(rt_engine_pool_excess(engine, ONE), 0);
        (void)pool(ONE, 5, 31, 50, 4);
        assert_int_equal(rt_engine_pool_excess(engine, ONE), 2);
        (void)pool(ONE, 5, 301, 50, 4);
        assert_int_equal(rt_engine_pool_excess(engine, ONE), 3);
}

static void one_that_is_being_started_counts(void **state) {
        (void)state;
        (void)pool(ONE, 5, 0, 50, 4);
        assert_int_equal(rt_engine_count_kind(engine, ONE), 0);
        engine->dirty[engine->n_dirty++] = (struct rt_ready_slot){ NULL, ONE };
        engine->awaited = (struct rt_ready_slot){ (struct rt_slot *)something, ONE };
        fill(OTHER, 1);
        assert_int_equal(rt_engine_count_kind(engine, ONE), 2);
}

static void failures_are_rested_from(void **state) {
        (void)state;
        struct rt_warm *w = pool(ONE, 5, 0, 50, 4);
        rt_engine_pool_result(engine, ONE, NULL);
        assert_int_equal(w->failures, 1);
        assert_non_null(strstr(w->why, "could not be started ahead"));
        assert_int_equal(rt_engine_pool_target(engine, ONE), 0);
        w->tried_ns -= 31 * S;
        assert_int_equal(rt_engine_pool_target(engine, ONE), 1);
        w->failures = 5;
        w->tried_ns -= 100000 * S;
        assert_int_equal(rt_engine_pool_target(engine, ONE), 0);
}

static void none_is_made_while_every_processor_is_needed(void **state) {
        (void)state;
        engine->n_used = 1;
        assert_true(rt_engine_pool_may_refill(engine));
        engine->n_used = 2;
        assert_false(rt_engine_pool_may_refill(engine));
}

int main(void) {
        const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
                TEST(none_before_somebody_asks),
                TEST(one_once_asked_and_more_by_rate_and_cost),
                TEST(demand_fades),
                TEST(memory_bounds_all_together),
                TEST(excess_goes_when_nobody_has_asked_for_a_while),
                TEST(one_that_is_being_started_counts),
                TEST(failures_are_rested_from),
                TEST(none_is_made_while_every_processor_is_needed),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
