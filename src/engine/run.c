/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a run, on one thread, from top to bottom: plan, slot, steps, outcome. What the guest does wrong becomes
 * the outcome's status; what the host does wrong becomes `internal` with a message; only a request that is wrong, or
 * an engine that closes, is an error.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"
#include "engine/cache.h"
#include "engine/pump.h"
#include "model/model.h"

enum { REPORT_SLACK_MS = 20000 }; /* how long after a step's wall limit its report may come */

bool rt_run_cancelled(const struct rt_run *run) {
        struct pollfd asked = { .fd = run->cancel_fd, .events = POLLIN };
        return poll(&asked, 1, 0) == 1;
}

/* ---- planning ---- */

static int find_plan(struct rt_run *run, const struct rt_lang_places *places, struct rt_arena *arena,
                     struct rt_lang_plan *ret_plan, struct retort_error *err) {
        struct retort_engine *engine = run->engine;
        if (!run->request->language)
                return rt_fail(err, RETORT_E_INPUT, "language: missing");
        const struct rt_runtime *runtime = rt_lang_find(engine->runtimes, run->request->language, err);
        if (!runtime)
                return err->code;
        int r = rt_lang_plan(runtime, run->request, places, &engine->ceilings, arena, ret_plan, err);
        if (r == 0)
                rt_toolchain_ask(engine, runtime);
        if (r == 0 && run->request->version) {
                const char *have = rt_toolchain_version(engine, runtime, true);
                if (!rt_lang_version_fits(have, run->request->version))
                        r = rt_fail(err, RETORT_E_NO_RUNTIME, "version: %s %s is not installed; this host has %s",
                                    rt_runtime_title(runtime), run->request->version, have);
        }
        return r;
}

int rt_engine_check(struct retort_engine *engine, const struct retort_request *request, struct retort_error *err) {
        rt_auto_arena struct rt_arena arena = { 0 };
        const struct rt_lang_places places = { "/work", "/tmp", "/retort" };
        struct rt_run run = { .engine = engine, .request = request };
        struct rt_lang_plan plan;
        return find_plan(&run, &places, &arena, &plan, err);
}

/* ---- one step ---- */

struct step_state {
        struct rt_run *run;
        struct rt_slot *slot;
        struct rt_model_outcome *made;
        const struct rt_lang_plan *plan;
        struct retort_step *steps; /* as many as the plan has */
        const struct rt_box_isolation *isolation; /* the outcome's own copy: it outlives the engine */
        struct rt_cache_ask ask;   /* what the compile cache says */
        int kind;                  /* what the slot holds a fork of, or RT_KIND_COLD */
        bool ahead;                /* it holds what was started ahead, not a fork */
        bool odd;                  /* the slot must not be used again */
        bool again;                /* this step is begun once more */
};

static struct retort_bytes keep(struct rt_arena *arena, const char *data, size_t size, bool *nomem) {
        char *copy = rt_arena_copy(arena, data, size);
        *nomem |= !copy;
        return (struct retort_bytes){ copy ? copy : "", copy ? size : 0 };
}

static void fill_usage(struct retort_usage *usage, const struct rt_box_report *report, const struct rt_pump *pump,
                       const struct rt_box_isolation *isolation) {
        *usage = (struct retort_usage){
                .setup_ns = report->setup_ns, .wall_ns = report->wall_ns, .cpu_ns = report->cpu_ns,
                .user_ns = report->user_ns, .system_ns = report->system_ns,
                .peak_memory_bytes = report->peak_memory_bytes, .processes = report->processes,
                .output_bytes = pump->out.seen + pump->err.seen, .cpu_how = isolation->cpu_how,
                .memory_how = isolation->memory_how, .processes_how = isolation->processes_how };
}

static int no_program(struct step_state *s, const char *program, const struct rt_box_report *report) {
        s->made->pub.message = rt_arena_printf(&s->made->arena, "cannot start %s: %s", program,
                                               strerrordesc_np(report->exec_errno));
        return s->made->pub.message ? 0 : RETORT_E_NOMEM;
}

/* The box's verdict, and what only this side knows: the output limit and who cancelled. */
static void judge(struct step_state *s, const struct rt_lang_step *step, const struct rt_box_report *report,
                  const struct rt_pump *pump, struct retort_step *ret) {
        ret->status = rt_box_verdict(report, &step->limits, s->isolation, &ret->exit_code, &ret->signal, &ret->limit);
        if (pump->over) {
                ret->status = RETORT_OUTPUT_LIMIT;
                ret->exit_code = -1;
                ret->signal = 0;
                ret->limit = (struct retort_hit){ .name = "output_bytes", .value = step->limits.output_bytes,
                                                  .measured = pump->out.seen + pump->err.seen, .how = "bytes read" };
        } else if (pump->nomem) {
                ret->status = RETORT_INTERNAL;
        }
        s->odd |= report->ended_by == RT_END_LOST || report->ended_by == RT_END_DENIED;
}

static int read_compiler(struct step_state *s, struct retort_error *err) {
        struct retort_outcome *o = &s->made->pub;
        const struct retort_step *step = &s->steps[0];
        struct retort_bytes text = step->stderr_data.size ? step->stderr_data : step->stdout_data;
        return rt_lang_read_diagnostics(s->plan->runtime, text, &s->made->arena, &o->diagnostics, &o->n_diagnostics, err);
}

static int read_error(struct step_state *s, const struct rt_buf *report, struct retort_error *err) {
        struct retort_outcome *o = &s->made->pub;
        int r = rt_lang_read_error((struct retort_bytes){ report->data, report->size }, &s->made->arena, &o->error, err);
        if (r == 0 && o->error.name)
                rt_run_tell(s->run, (struct retort_event){ .type = RETORT_EVENT_ERROR, .error = &o->error });
        return r;
}

/* Everything the pump and the report hold becomes the step's record. */
static int record(struct step_state *s, size_t index, const struct rt_pump *pump, const struct rt_box_report *report,
                  struct retort_error *err) {
        const struct rt_lang_step *step = &s->plan->steps[index];
        struct retort_step *ret = &s->steps[index];
        struct retort_outcome *o = &s->made->pub;
        bool nomem = false;
        judge(s, step, report, pump, ret);
        ret->stdout_data = keep(&s->made->arena, pump->out.kept.data, pump->out.kept.size, &nomem);
        ret->stderr_data = keep(&s->made->arena, pump->err.kept.data, pump->err.kept.size, &nomem);
        fill_usage(&ret->usage, report, pump, s->isolation);
        o->stdout_truncated = pump->out.truncated;
        o->stderr_truncated = pump->err.truncated;
        o->n_steps = index + 1;
        bool compiling = index + 1 < s->plan->n_steps;
        int r = nomem ? rt_fail_nomem(err) : 0;
        if (r == 0 && compiling)
                r = read_compiler(s, err);
        if (r == 0 && !compiling && ret->status != RETORT_OK)
                r = read_error(s, &pump->report, err);
        if (r == 0 && report->exec_errno)
                r = no_program(s, step->argv[0], report);
        else if (ret->status == RETORT_INTERNAL && !o->message)
                o->message = pump->nomem ? "out of memory" : "the box was lost: something outside of it killed its first process";
        rt_run_tell(s->run, (struct retort_event){ .type = RETORT_EVENT_STEP, .step = ret });
        return r;
}

/* The compile step as the cache has it: everything that was said then is said again, and nothing is started. */
static int repeat_compiler(struct step_state *s, struct retort_error *err) {
        const struct rt_compiled *c = s->ask.found;
        struct retort_step *ret = &s->steps[0];
        const char *name = s->plan->steps[0].name;
        bool nomem = false;
        *ret = (struct retort_step){ .name = name, .cached = true };
        ret->stdout_data = keep(&s->made->arena, c->stdout_data.data, c->stdout_data.size, &nomem);
        ret->stderr_data = keep(&s->made->arena, c->stderr_data.data, c->stderr_data.size, &nomem);
        s->made->pub.n_steps = 1;
        int r = nomem ? rt_fail_nomem(err) : read_compiler(s, err);
        if (r < 0)
                return r;
        rt_run_tell(s->run, (struct retort_event){ .type = RETORT_EVENT_STARTED, .step_name = name });
        if (ret->stdout_data.size)
                rt_run_tell(s->run, (struct retort_event){ .type = RETORT_EVENT_STDOUT, .step_name = name, .data = ret->stdout_data });
        if (ret->stderr_data.size)
                rt_run_tell(s->run, (struct retort_event){ .type = RETORT_EVENT_STDERR, .step_name = name, .data = ret->stderr_data });
        rt_run_tell(s->run, (struct retort_event){ .type = RETORT_EVENT_STEP, .step = ret });
        return 0;
}

static int run_step(struct step_state *s, size_t index, struct retort_error *err) {
        const struct rt_lang_step *step = &s->plan->steps[index];
        const struct rt_compiled *compiled = s->ask.found;
        bool last = index + 1 == s->plan->n_steps;
        bool first = index == 0 || compiled;
        struct rt_pump pump;
        struct rt_box_report report = { 0 };
        s->steps[index] = (struct retort_step){ .name = step->name, .exit_code = -1 };
        int r = rt_pump_open(&pump, s->run, step, last, err);
        if (r < 0)
                return r;
        bool forked = s->kind != RT_KIND_COLD && step->fork_argv;
        struct rt_slot_step start = { .argv = forked ? step->fork_argv : step->argv, .forked = forked && !s->ahead,
                                      .ahead = forked && s->ahead, .env = step->env, .limits = step->limits,
                                      .files = first ? s->plan->files : NULL,
                                      .n_files = first ? s->plan->n_files : 0,
                                      .made = compiled ? compiled->files : NULL,
                                      .n_made = compiled ? compiled->n_files : 0,
                                      .terminal = pump.terminal >= 0, .stdin_fd = pump.guest[0], .stdout_fd = pump.guest[1],
                                      .stderr_fd = pump.guest[2], .report_fd = pump.guest[3] };
        r = rt_slot_start(s->slot, &start, err);
        rt_pump_handed_over(&pump);
        if (r == 0) {
                if (!s->again)
                        rt_run_tell(s->run, (struct retort_event){ .type = RETORT_EVENT_STARTED, .step_name = step->name });
                uint64_t most = step->limits.wall_ms + REPORT_SLACK_MS;
                r = rt_pump_until_report(&pump, s->slot, most > INT32_MAX ? INT32_MAX : (int)most, &report, err);
        }
        s->odd |= r < 0;
        if (r == 0)
                r = record(s, index, &pump, &report, err);
        rt_pump_close(&pump);
        return r;
}

static int run_steps(struct step_state *s, struct retort_error *err) {
        for (size_t i = 0; i < s->plan->n_steps; i++) {
                int r = i == 0 && s->ask.found ? repeat_compiler(s, err) : run_step(s, i, err);
                if (r == RETORT_E_SYSTEM && (i > 0 || s->ahead) && s->kind != RT_KIND_COLD && s->plan->steps[i].fork_argv) { /* the interpreter died after the step before */
                        s->kind = RT_KIND_COLD;
                        s->ahead = false;
                        s->made->pub.start = i > 0 ? s->made->pub.start : "cold";
                        s->again = true;
                        r = run_step(s, i, err);
                }
                if (r < 0)
                        return r;
                if (s->steps[i].status != RETORT_OK)
                        break;
                if (i == 0 && s->ask.wanted && !s->ask.found &&
                    !rt_cache_keep(s->run, s->plan, &s->steps[0], s->slot, &s->ask)) {
                        s->odd = true;
                        return rt_fail(err, RETORT_E_SYSTEM, "the box was lost");
                }
                if (rt_run_cancelled(s->run)) {
                        s->made->pub.status = RETORT_CANCELLED;
                        break;
                }
        }
        return 0;
}

/* ---- the outcome ---- */

static struct retort_usage total_usage(const struct retort_outcome *o, uint64_t queue_ns, uint64_t setup_ns) {
        struct retort_usage sum = { .queue_ns = queue_ns, .setup_ns = setup_ns };
        for (size_t i = 0; i < o->n_steps; i++) {
                const struct retort_usage *u = &o->steps[i].usage;
                sum.setup_ns += u->setup_ns;
                sum.wall_ns += u->wall_ns;
                sum.cpu_ns += u->cpu_ns;
                sum.user_ns += u->user_ns;
                sum.system_ns += u->system_ns;
                sum.output_bytes += u->output_bytes;
                sum.peak_memory_bytes = u->peak_memory_bytes > sum.peak_memory_bytes ? u->peak_memory_bytes : sum.peak_memory_bytes;
                sum.processes = u->processes > sum.processes ? u->processes : sum.processes;
                sum.cpu_how = u->cpu_how;
                sum.memory_how = u->memory_how;
                sum.processes_how = u->processes_how;
        }
        return sum;
}

/* A compiler that says no is `compile_error`; one that runs into a limit is that limit. So is a compiler that is content
 * and leaves no program. */
static enum retort_status overall(const struct rt_lang_plan *plan, const struct retort_outcome *o) {
        const struct retort_step *last = &o->steps[o->n_steps - 1];
        bool compiled = plan->n_steps > 1;
        bool compiling = o->n_steps < plan->n_steps;
        if (compiling && (last->status == RETORT_NONZERO || last->status == RETORT_SIGNAL))
                return RETORT_COMPILE_ERROR;
        if (compiled && !compiling && last->status == RETORT_INTERNAL && plan->steps[1].argv[0][0] != '/')
                return RETORT_COMPILE_ERROR;
        return last->status;
}

static void fill_outcome(struct step_state *s, uint64_t queue_ns, uint64_t setup_ns) {
        struct retort_outcome *o = &s->made->pub;
        o->steps = s->steps;
        if (o->n_steps > 0) {
                const struct retort_step *last = &o->steps[o->n_steps - 1];
                if (o->status != RETORT_CANCELLED)
                        o->status = overall(s->plan, o);
                o->exit_code = last->exit_code;
                o->signal = last->signal;
                o->limit = last->limit;
        }
        if (o->n_steps == s->plan->n_steps) { /* what a compiler wrote stands in its step */
                o->stdout_data = o->steps[o->n_steps - 1].stdout_data;
                o->stderr_data = o->steps[o->n_steps - 1].stderr_data;
        }
        o->usage = total_usage(o, queue_ns, setup_ns);
}

void rt_engine_new_id(char ret_id[]) {
        unsigned char random[RT_MODEL_ID_RANDOM] = { 0 };
        struct timespec now;
        (void)clock_gettime(CLOCK_REALTIME, &now);
        (void)!getrandom(random, sizeof random, 0);
        rt_model_id(ret_id, (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u, random);
}

int rt_engine_begin_outcome(struct retort_engine *engine, const struct rt_runtime *runtime, struct rt_model_outcome *made) {
        const struct rt_box_isolation *isolation = rt_jail_isolation(engine->jail);
        char id[RT_MODEL_ID_SIZE];
        rt_engine_new_id(id);
        const char **missing = rt_arena_array(&made->arena, engine->n_missing + 1, sizeof *missing);
        made->pub.id = rt_arena_strdup(&made->arena, id);
        made->pub.language = rt_arena_strdup(&made->arena, rt_runtime_name(runtime));
        if (!missing || !made->pub.id || !made->pub.language)
                return RETORT_E_NOMEM;
        memcpy(missing, engine->missing, engine->n_missing * sizeof *missing);
        made->pub.isolation_missing = missing;
        made->pub.n_isolation_missing = engine->n_missing;
        made->pub.isolation_level = rt_isolation_name(isolation->level);
        return 0;
}

/* The host failed: that is an outcome too, and says so. */
static void host_failed(struct step_state *s, const struct retort_error *err) {
        struct retort_outcome *o = &s->made->pub;
        o->status = RETORT_INTERNAL;
        o->exit_code = -1;
        o->message = rt_arena_strdup(&s->made->arena, err->message);
}

static int finish(struct step_state *s, const struct rt_lang_plan *plan, struct retort_outcome **ret_outcome) {
        struct retort_outcome *o = &s->made->pub;
        bool wait = o->status != RETORT_CANCELLED; /* whoever cancels wants an end, not a version */
        o->version = rt_arena_strdup(&s->made->arena, rt_toolchain_version(s->run->engine, plan->runtime, wait));
        rt_run_tell(s->run, (struct retort_event){ .type = RETORT_EVENT_END, .outcome = o });
        *ret_outcome = o;
        return 0;
}

int rt_engine_run(struct rt_run *run, struct retort_outcome **ret_outcome, struct retort_error *err) {
        struct retort_error local = { 0 };
        if (!err)
                err = &local;
        uint64_t started_ns = rt_now_ns();
        if (run->begun_ns == 0)
                run->begun_ns = started_ns;
        struct rt_model_outcome *made = rt_model_outcome_new();
        if (!made)
                return rt_fail_nomem(err);
        struct rt_slot *slot = NULL;
        struct rt_lang_plan plan;
        const struct rt_slot_places guess = { "/work", "/tmp", "/retort" };
        struct rt_lang_places places = { guess.work, guess.tmp, guess.runtimes };
        int r = find_plan(run, &places, &made->arena, &plan, err);
        if (r == 0)
                r = rt_engine_begin_outcome(run->engine, plan.runtime, made) < 0 ? rt_fail_nomem(err) : 0;
        if (r < 0) {
                retort_outcome_free(&made->pub);
                return r;
        }
        struct step_state s = { .run = run, .made = made, .plan = &plan };
        s.steps = rt_arena_array(&made->arena, RT_LANG_MAX_STEPS, sizeof *s.steps);
        s.isolation = (const void *)rt_arena_copy(&made->arena, rt_jail_isolation(run->engine->jail), sizeof *s.isolation);
        rt_cache_ask(run, &plan, &s.ask);
        uint64_t planned_ns = rt_now_ns();
        bool forks = plan.steps[s.ask.found ? 1 : 0].fork_argv != NULL; /* the first step that is started: a later one never does alone */
        s.kind = forks ? rt_engine_warm_kind(run->engine, plan.runtime, false) : RT_KIND_COLD;
        made->pub.start = "cold";
        r = s.steps && s.isolation ? rt_engine_slot_take(run, s.kind, &slot, &made->pub.start, err) : rt_fail_nomem(err);
        int wanted = s.kind; /* what the slot is to hold next */
        bool pooled = rt_runtime_is_pooled(plan.runtime);
        s.ahead = pooled && slot && strcmp(made->pub.start, "pool") == 0;
        if (slot && (pooled ? !s.ahead : !rt_engine_warm_current(run->engine, s.kind, slot))) {
                s.kind = RT_KIND_COLD;
                made->pub.start = "cold";
        }
        uint64_t queue_ns = rt_now_ns() - planned_ns + (started_ns - run->begun_ns);
        if (r == 0 && strcmp(rt_slot_places(slot)->work, guess.work) != 0) { /* no mount namespace: other places */
                const struct rt_slot_places *p = rt_slot_places(slot);
                places = (struct rt_lang_places){ p->work, p->tmp, p->runtimes };
                r = find_plan(run, &places, &made->arena, &plan, err);
        }
        s.slot = slot;
        if (r == 0)
                r = run_steps(&s, err);
        bool cancelled = r == RETORT_E_CLOSED && rt_run_cancelled(run);
        fill_outcome(&s, queue_ns, planned_ns - started_ns);
        if (cancelled)
                made->pub.status = RETORT_CANCELLED;
        else if (r < 0)
                host_failed(&s, err);
        r = finish(&s, &plan, ret_outcome);
        run->held = (struct rt_ready_slot){ slot, pooled ? wanted : s.kind };
        run->odd = s.odd;
        rt_cache_done(&s.ask);
        return r;
}

void rt_engine_run_end(struct rt_run *run) {
        struct rt_slot *slot = rt_take(run->held.slot);
        if (slot)
                rt_engine_slot_give(run->engine, slot, run->held.kind, run->odd);
}
