/* SPDX-License-Identifier: Apache-2.0
 *
 * The box without engine, runtime and outcome: what the primitives themselves cost.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "bench.h"
#include "box/box.h"

struct bench_slot {
        struct rt_jail *jail;
        struct rt_slot *slot;
        struct rt_samples make;
        struct rt_samples recycle;
};

static int make(struct bench_slot *s, struct rt_slot **ret_slot, struct retort_error *err) {
        uint64_t begun = rt_now_ns();
        int r = rt_slot_make(s->jail, ret_slot, err);
        if (r == 0)
                rt_samples_add(&s->make, rt_now_ns() - begun);
        return r;
}

int bench_slot_open(struct bench_slot **ret, const struct bench_paths *p, struct retort_error *err) {
        struct rt_jail_config c = { .jailer = p->jailer, .init = p->init, .runtimes = p->own, .scratch = "/tmp" };
#define X(member, unit, dflt, floor, ceiling, text) c.ceilings.member = (ceiling);
        RETORT_LIMITS(X)
#undef X
        struct bench_slot *s = calloc(1, sizeof *s);
        if (!s)
                return RETORT_E_NOMEM;
        int r = rt_jail_open(&s->jail, &c, err);
        /* The jailer has made the first one to prove that it can: not for our table. */
        r = r < 0 ? r : rt_slot_make(s->jail, &s->slot, err);
        if (r < 0)
                bench_slot_close(rt_take(s));
        *ret = s;
        return r;
}

void bench_slot_close(struct bench_slot *s) {
        if (!s)
                return;
        s->slot = rt_slot_free(s->slot);
        s->jail = s->jail ? rt_jail_close(s->jail) : NULL;
        rt_samples_clear(&s->make);
        rt_samples_clear(&s->recycle);
        free(s);
}

struct rt_samples *bench_slot_made(struct bench_slot *s) {
        return &s->make;
}

struct rt_samples *bench_slot_recycled(struct bench_slot *s) {
        return &s->recycle;
}

int bench_slot_setup(struct bench_slot *s, unsigned n, struct retort_error *err) {
        for (unsigned i = 0; i < n && !bench_stopped; i++) {
                struct rt_slot *slot = NULL;
                int r = make(s, &slot, err);
                if (r < 0)
                        return r;
                (void)rt_slot_free(slot);
        }
        return 0;
}

/* Starts the program with its stdout at a pipe, everything else at /dev/null. */
static int start(struct rt_slot *slot, int *ret_output, struct retort_error *err) {
        char program[256];
        (void)snprintf(program, sizeof program, "%s/exec/hello", rt_slot_places(slot)->runtimes);
        const char *const argv[] = { program, NULL };
        const char *const env[] = { NULL };
        int ends[2];
        rt_auto_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (pipe2(ends, O_CLOEXEC) < 0)
                return RETORT_E_SYSTEM;
        struct rt_slot_step step = { .argv = argv, .env = env, .stdin_fd = null, .stdout_fd = ends[1], .stderr_fd = null,
                                     .report_fd = null };
#define X(member, unit, dflt, floor, ceiling, text) step.limits.member = (dflt);
        RETORT_LIMITS(X)
#undef X
        int r = rt_slot_start(slot, &step, err);
        (void)rt_close(ends[1]);
        *ret_output = ends[0];
        return r;
}

static void renew(struct bench_slot *s) {
        uint64_t begun = rt_now_ns();
        if (rt_slot_recycle(s->slot, NULL, NULL) == 0 && rt_slot_await(s->slot, NULL) == 0)
                rt_samples_add(&s->recycle, rt_now_ns() - begun);
        else
                s->slot = rt_slot_free(s->slot);
}

int bench_run_slot(struct bench_contender *c, struct bench_took *ret) {
        struct retort_error err = { 0 };
        struct rt_box_report report = { 0 };
        char text[64] = "";
        if (!c->slot->slot && make(c->slot, &c->slot->slot, &err) < 0)
                return bench_fail(c, "%s", err.message);
        rt_auto_close int output = -1;
        uint64_t begun = rt_now_ns();
        int r = start(c->slot->slot, &output, &err);
        ssize_t n = 0;
        size_t used = 0;
        while (r == 0 && used < sizeof text - 1 && (n = read(output, text + used, sizeof text - 1 - used)) != 0)
                used += n > 0 ? (size_t)n : 0;
        if (r == 0)
                r = rt_slot_report(c->slot->slot, 10000, &report, &err);
        ret->wall_ns = rt_now_ns() - begun;
        if (r < 0)
                c->slot->slot = rt_slot_free(c->slot->slot);
        else
                renew(c->slot);
        if (r < 0)
                return bench_fail(c, "%s", err.message);
        bool good = report.ended_by == RT_END_EXIT && report.wait_status == 0 && strcmp(text, c->expected) == 0;
        return good ? 0 : bench_fail(c, "the program did not end as it should");
}
