/* SPDX-License-Identifier: Apache-2.0
 *
 * The crew of threads that calls of contexts go on on, and what contexts are charged.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/util.h"
#include "service/crew.h"
#include "service/metrics.h"
#include "service/tenants.h"

static const unsigned most[RT_CREW_KINDS] = { [RT_CREW_CELL] = 100, [RT_CREW_SHORT] = 4, [RT_CREW_OPEN] = 1, [RT_CREW_LONG] = 2 };

/* A task that says that it has begun, and ends when it may. */
struct piece {
        struct rt_task task;
        atomic_bool begun, may_end, done;
        enum rt_crew_kind becomes; /* when it has begun; its own kind: nothing */
        bool became;
        struct rt_crew *crew;
};

static void perform(struct rt_task *task) {
        struct piece *p = rt_container_of(task, struct piece, task);
        if (p->becomes != task->kind)
                p->became = rt_crew_becomes(p->crew, task, p->becomes);
        atomic_store(&p->begun, true);
        while (!atomic_load(&p->may_end))
                (void)usleep(200);
        atomic_store(&p->done, true);
}

static struct piece *piece(struct rt_crew *crew, enum rt_crew_kind kind, int64_t owner) {
        struct piece *p = calloc(1, sizeof *p);
        assert_non_null(p);
        *p = (struct piece){ .task = { .kind = kind, .owner = owner, .perform = perform }, .becomes = kind, .crew = crew };
        return p;
}

static struct piece *given(struct rt_crew *crew, enum rt_crew_kind kind, int64_t owner) {
        struct piece *p = piece(crew, kind, owner);
        assert_true(rt_crew_give(crew, &p->task));
        return p;
}

/* Only a failure takes the time. */
static void await(const atomic_bool *what) {
        for (int i = 0; i < 50000 && !atomic_load(what); i++)
                (void)usleep(200);
        assert_true(atomic_load(what));
}

static void end(struct piece *p) {
        atomic_store(&p->may_end, true);
        await(&p->done);
}

static struct rt_crew *new_crew(void) {
        struct rt_crew *crew = NULL;
        assert_int_equal(rt_crew_new(&crew, most, NULL), 0);
        return crew;
}

static void free_all(struct rt_crew *crew, struct piece **pieces, size_t n) {
        for (size_t i = 0; i < n; i++)
                atomic_store(&pieces[i]->may_end, true);
        rt_crew_free(crew);
        for (size_t i = 0; i < n; i++) {
                assert_true(atomic_load(&pieces[i]->done)); /* what was given is done, also what had not begun */
                free(pieces[i]);
        }
}

static void all_is_done(void **state) {
        (void)state;
        struct rt_crew *crew = new_crew();
        struct piece *pieces[200];
        for (size_t i = 0; i < RT_LEN(pieces); i++)
                pieces[i] = given(crew, (enum rt_crew_kind)(i % RT_CREW_KINDS), (int64_t)i);
        assert_true(rt_crew_size(crew) <= RT_LEN(pieces));
        free_all(crew, pieces, RT_LEN(pieces));
}

static void kinds_do_not_hold_each_other_up(void **state) {
        (void)state;
        struct rt_crew *crew = new_crew();
        struct piece *all[] = { given(crew, RT_CREW_LONG, 1), given(crew, RT_CREW_LONG, 2), given(crew, RT_CREW_LONG, 3),
                                given(crew, RT_CREW_SHORT, 1), given(crew, RT_CREW_CELL, 1) };
        await(&all[0]->begun);
        await(&all[1]->begun);
        await(&all[3]->begun);
        await(&all[4]->begun);
        assert_false(atomic_load(&all[2]->begun));
        end(all[0]);
        await(&all[2]->begun);
        free_all(crew, all, RT_LEN(all));
}

static void one_owner_leaves_a_quarter_to_others(void **state) {
        (void)state;
        struct rt_crew *crew = new_crew();
        struct piece *all[] = { given(crew, RT_CREW_SHORT, 1), given(crew, RT_CREW_SHORT, 1), given(crew, RT_CREW_SHORT, 1),
                                given(crew, RT_CREW_SHORT, 1), given(crew, RT_CREW_SHORT, 2), given(crew, RT_CREW_SHORT, 2) };
        for (size_t i = 0; i < 3; i++)
                await(&all[i]->begun);
        await(&all[4]->begun);
        assert_false(atomic_load(&all[3]->begun));
        assert_false(atomic_load(&all[5]->begun));
        end(all[0]);
        await(&all[3]->begun); /* the first that may, in the order in which they came */
        assert_false(atomic_load(&all[5]->begun));
        end(all[4]);
        await(&all[5]->begun);
        free_all(crew, all, RT_LEN(all));
}

static void what_lasts_makes_room(void **state) {
        (void)state;
        struct rt_crew *crew = new_crew();
        struct piece *lasting[3], *more[2];
        for (size_t i = 0; i < RT_LEN(lasting); i++) {
                lasting[i] = piece(crew, RT_CREW_SHORT, (int64_t)i);
                lasting[i]->becomes = RT_CREW_LONG;
                assert_true(rt_crew_give(crew, &lasting[i]->task));
                await(&lasting[i]->begun);
        }
        assert_true(lasting[0]->became && lasting[1]->became);
        assert_false(lasting[2]->became); /* LONG is full: it still is one of the four */
        struct piece *others[] = { given(crew, RT_CREW_SHORT, 10), given(crew, RT_CREW_SHORT, 11), given(crew, RT_CREW_SHORT, 12) };
        for (size_t i = 0; i < RT_LEN(others); i++)
                await(&others[i]->begun);
        more[0] = given(crew, RT_CREW_SHORT, 13);
        more[1] = given(crew, RT_CREW_LONG, 14);
        end(lasting[2]);
        await(&more[0]->begun);
        assert_false(atomic_load(&more[1]->begun));
        end(lasting[0]);
        await(&more[1]->begun);
        struct piece *all[] = { lasting[0], lasting[1], lasting[2], others[0], others[1], others[2], more[0], more[1] };
        free_all(crew, all, RT_LEN(all));
}

static void what_waits_is_bounded(void **state) {
        (void)state;
        struct rt_crew *crew = new_crew();
        struct piece *all[2000];
        size_t n = 0;
        for (; n < RT_LEN(all); n++) {
                all[n] = piece(crew, RT_CREW_OPEN, 1);
                if (!rt_crew_give(crew, &all[n]->task))
                        break;
        }
        assert_in_range(n, 1000, 1100);
        free(all[n]);
        assert_int_equal(rt_crew_size(crew), 1);
        free_all(crew, all, n);
}

/* ---- what contexts are charged ---- */

static void contexts_have_a_quota_of_their_own(void **state) {
        (void)state;
        struct rt_tenants *tenants = NULL;
        struct rt_refusal refusal = { 0 };
        assert_int_equal(rt_tenants_new(&tenants), 0);
        const struct rt_quotas quotas = { .contexts = 2, .memory = 100, .cpu_per_minute = 6000 };
        struct rt_tenant *t = rt_tenants_get(tenants, 7, &quotas, 0);
        t->contexts = 1;
        t->memory = 60;
        assert_true(rt_tenant_fits_context(t, 40, &refusal));
        assert_false(rt_tenant_fits_context(t, 41, &refusal));
        assert_string_equal(refusal.quota, "memory");
        t->contexts = 2;
        assert_false(rt_tenant_fits_context(t, 0, &refusal));
        assert_string_equal(refusal.quota, "contexts");
        assert_false(rt_tenant_fits(t, 41, 0, &refusal)); /* a run's memory comes from the same */
        rt_tenant_used_cpu(t, 7000000000ull, 0);
        assert_false(rt_tenant_has_cpu(t, 0, &refusal));
        assert_string_equal(refusal.quota, "cpu_per_minute");
        assert_true(rt_tenant_has_cpu(t, 11000000000ull, &refusal));
        rt_tenants_free(tenants);
}

static void cells_are_counted_apart_from_runs(void **state) {
        (void)state;
        struct rt_metrics metrics;
        rt_auto_buf struct rt_buf text = RT_BUF(1 << 20);
        const struct retort_outcome outcome = { .language = "toy", .status = RETORT_OK, .usage = { .wall_ns = 3000000 } };
        static struct rt_metrics_now now;
        assert_int_equal(rt_metrics_init(&metrics), 0);
        rt_metrics_cell(&metrics, &outcome);
        now.n_context_languages = 1;
        memcpy(now.contexts[0].language, "toy", 4);
        now.contexts[0].states[RETORT_CONTEXT_PAUSED] = 3;
        assert_int_equal(rt_metrics_text(&metrics, &now, &text), 0);
        assert_non_null(strstr(text.data, "retort_cells_total{language=\"toy\",status=\"ok\"} 1\n"));
        assert_non_null(strstr(text.data, "retort_cell_seconds_bucket{language=\"toy\",status=\"ok\",le=\"0.005\"} 1\n"));
        assert_non_null(strstr(text.data, "retort_contexts{state=\"paused\",language=\"toy\"} 3\n"));
        assert_null(strstr(text.data, "retort_runs_total{"));
        rt_metrics_clear(&metrics);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(all_is_done),
                cmocka_unit_test(kinds_do_not_hold_each_other_up),
                cmocka_unit_test(one_owner_leaves_a_quarter_to_others),
                cmocka_unit_test(what_lasts_makes_room),
                cmocka_unit_test(what_waits_is_bounded),
                cmocka_unit_test(contexts_have_a_quota_of_their_own),
                cmocka_unit_test(cells_are_counted_apart_from_runs),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
