/* SPDX-License-Identifier: Apache-2.0
 *
 * One cell, on the thread that asked for it: sent to the runner, then whatever comes (output, items, an error, the end) in
 * its order, until it is done, or made to be. Time is bounded twice: at its limit a cell is interrupted, and goes on with
 * its state; if that does not help, its runner is killed, and behind it all stands the keeper.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "base/util.h"
#include "context/inside.h"

enum { NS_PER_MS = 1000000, END_MS = 1000, AGAIN_MS = RETORT_GRACE_MS / 2, MOST_MESSAGES = 256, MOST_LAST = 1000 };

/* Why it is to end before it is done. */
enum stop { GO_ON, STOP_CANCELLED, STOP_WALL, STOP_CPU, STOP_OUTPUT, STOP_CLOSING, STOP_RUBBISH };

struct doing {
        struct retort_context *context;
        const struct retort_cell *cell;
        struct rt_model_outcome *made;
        struct retort_outcome *o;
        struct rt_run run; /* for its events */
        struct rt_pump pump; /* for the runner's stdout and stderr */
        struct rt_span span;
        struct rt_items items;
        struct retort_limits limits;
        uint64_t id, begun_ns, stopped_ns, look_ns;
        unsigned cpus;
        size_t input_at;
        enum stop stop;
        bool again, killed, done, nomem, more;
        char status[16];
        int exit_code;
};

/* ---- what comes ---- */

static void answer_input(struct doing *d) {
        struct retort_bytes in = d->cell->stdin_data;
        json_t *message = json_pack("{s:s, s:I}", "type", "input", "id", (json_int_t)d->id);
        if (d->input_at >= in.size) {
                (void)json_object_set_new(message, "eof", json_true());
        } else {
                const char *line = in.data + d->input_at;
                const char *end = memchr(line, '\n', in.size - d->input_at);
                size_t size = end ? (size_t)(end - line) : in.size - d->input_at;
                char *clean = rt_text_clean(&d->made->arena, line, size);
                (void)json_object_set_new(message, "text", json_string(clean ? clean : ""));
                d->input_at += size + (end != NULL);
        }
        if (rt_runner_send(&d->context->runner, message, NULL, 0) < 0)
                d->stop = STOP_RUBBISH;
}

static const char *text_of(struct doing *d, json_t *message, const char *name) {
        const char *text = json_string_value(json_object_get(message, name));
        char *copy = rt_arena_strdup(&d->made->arena, text ? text : "");
        d->nomem |= !copy;
        return copy ? copy : "";
}

static void on_error(struct doing *d, json_t *message) {
        if (d->o->error.name) /* once a cell: more would cost memory */
                return;
        d->o->error = (struct retort_guest_error){ text_of(d, message, "name"), text_of(d, message, "value"), text_of(d, message, "traceback") };
        if (!d->o->error.name[0])
                d->o->error.name = "Error";
        rt_run_tell(&d->run, (struct retort_event){ .type = RETORT_EVENT_ERROR, .error = &d->o->error });
}

static void on_done(struct doing *d, json_t *message) {
        const char *status = json_string_value(json_object_get(message, "status"));
        (void)snprintf(d->status, sizeof d->status, "%.15s", status ? status : "");
        d->exit_code = (int)(json_integer_value(json_object_get(message, "exit_code")) & 0xff);
        json_int_t count = json_integer_value(json_object_get(message, "execution_count"));
        if (count >= 0) {
                d->o->execution_count = count;
                d->context->execution_count = (uint64_t)count;
        }
        d->done = true;
}

static void on_message(struct doing *d, json_t *message) {
        const char *type = json_string_value(json_object_get(message, "type"));
        size_t n = d->items.n;
        if ((uint64_t)json_integer_value(json_object_get(message, "id")) != d->id)
                return; /* late, of a question that was given up */
        if (strcmp(type, "item") == 0) {
                struct rt_marks *marks = &d->context->runner.marks;
                rt_marks_item(marks, &d->pump);
                d->nomem |= !rt_items_add(&d->items, message, &d->made->arena);
                if (d->items.n > n)
                        rt_run_tell(&d->run, (struct retort_event){ .type = RETORT_EVENT_ITEM, .item = &d->items.at[n] });
                rt_marks_go_on(marks, &d->pump);
        } else if (strcmp(type, "error") == 0) {
                on_error(d, message);
        } else if (strcmp(type, "input_request") == 0) {
                answer_input(d);
        } else if (strcmp(type, "done") == 0) {
                on_done(d, message);
        }
}

/* What is in the pipes now: who writes without end is not followed without end. */
static void drain(struct doing *d) {
        rt_marks_catch_up(&d->context->runner.marks, &d->pump);
        size_t left = rt_pump_waiting(&d->pump.err);
        for (uint64_t before = d->pump.err.seen; d->pump.err.seen - before < left && rt_pump_read(&d->pump, &d->pump.err);)
                continue;
}

/* Everything that has come; of who speaks without end only so much at once. False: the runner is gone. */
static bool take_messages(struct doing *d) {
        for (int i = 0; i < MOST_MESSAGES && !d->done && d->stop != STOP_RUBBISH; i++) {
                json_t *message = NULL;
                int r = rt_runner_receive(&d->context->runner, &message);
                d->more = r == 1;
                if (r <= 0)
                        return r == 0;
                drain(d); /* it was written before */
                on_message(d, message);
                json_decref(message);
        }
        return true;
}

/* ---- making it stop ---- */

static void interrupt(struct doing *d, enum stop why) {
        if (d->stop != GO_ON)
                return;
        d->stop = why;
        d->stopped_ns = rt_now_ns();
        rt_context_signal(d->context, SIGINT, false);
}

static void kill_runner(struct doing *d) {
        if (!d->killed)
                rt_context_signal(d->context, SIGKILL, true);
        d->killed = true;
}

/* When the CPU limit may have been reached at the earliest. */
static void look_at_cpu(struct doing *d, uint64_t now) {
        if (now < d->look_ns)
                return;
        rt_context_box_count(d->context->box);
        uint64_t limit = d->limits.cpu_ms * NS_PER_MS;
        if (d->span.cpu_ns >= limit) {
                interrupt(d, STOP_CPU);
                d->look_ns = UINT64_MAX;
                return;
        }
        d->look_ns = now + (limit - d->span.cpu_ns) / d->cpus + 5 * NS_PER_MS;
}

static void check_time(struct doing *d) {
        uint64_t now = rt_now_ns();
        if (d->stop == GO_ON) {
                if (d->pump.over)
                        interrupt(d, STOP_OUTPUT);
                else if (now >= d->begun_ns + d->limits.wall_ms * NS_PER_MS)
                        interrupt(d, STOP_WALL);
                else
                        look_at_cpu(d, now);
        }
        /* The first one may have come before the runner began with the cell. */
        if (d->stop != GO_ON && !d->again && (d->again = now >= d->stopped_ns + AGAIN_MS * NS_PER_MS))
                rt_context_signal(d->context, SIGINT, false);
        if (d->stop == STOP_CLOSING || d->stop == STOP_RUBBISH || d->nomem ||
            (d->stop != GO_ON && now >= d->stopped_ns + RETORT_GRACE_MS * (uint64_t)NS_PER_MS))
                kill_runner(d);
}

static int wait_ms(const struct doing *d) {
        uint64_t now = rt_now_ns();
        uint64_t until = d->stop == GO_ON ? d->begun_ns + d->limits.wall_ms * NS_PER_MS : d->stopped_ns + (d->again ? 2 : 1) * AGAIN_MS * (uint64_t)NS_PER_MS;
        if (d->stop == GO_ON && d->look_ns < until)
                until = d->look_ns;
        if (d->killed)
                until = now + 100 * NS_PER_MS;
        return until > now ? (int)((until - now) / NS_PER_MS) + 1 : 0;
}

static void on_nudge(struct doing *d) {
        eventfd_t value;
        if (eventfd_read(d->context->nudge, &value) < 0)
                return;
        if (value >= RT_NUDGE_END)
                d->stop = STOP_CLOSING;
        else if (d->stop == GO_ON)
                rt_context_signal(d->context, SIGINT, false);
}

/* Until it is done, or its runner is gone. */
static void follow(struct doing *d) {
        struct retort_context *context = d->context;
        enum { PROTOCOL, OUT, ERR, ENDED, CANCEL, WAKE, NUDGE };
        for (;;) {
                struct pollfd wait[] = {
                        [PROTOCOL] = { context->runner.protocol, POLLIN, 0 },
                        [OUT] = { rt_marks_waiting(&context->runner.marks) ? -1 : d->pump.out.fd, POLLIN, 0 },
                        [ERR] = { d->pump.err.fd, POLLIN, 0 },                [ENDED] = { context->runner.ended, POLLIN, 0 },
                        [CANCEL] = { d->stop == GO_ON && d->cell->cancel_fd > 0 ? d->cell->cancel_fd : -1, POLLIN, 0 },
                        [WAKE] = { d->stop == STOP_CLOSING ? -1 : context->wake, POLLIN, 0 },
                        [NUDGE] = { context->nudge, POLLIN, 0 },
                };
                (void)poll(wait, RT_LEN(wait), d->more ? 0 : wait_ms(d));
                if ((wait[PROTOCOL].revents || d->more) && !take_messages(d))
                        break;
                if (d->done)
                        return;
                if (wait[OUT].revents)
                        (void)rt_marks_read(&context->runner.marks, &d->pump);
                if (wait[ERR].revents)
                        (void)rt_pump_read(&d->pump, &d->pump.err);
                if (wait[ENDED].revents)
                        break;
                if (wait[CANCEL].revents)
                        interrupt(d, STOP_CANCELLED);
                if (wait[WAKE].revents)
                        d->stop = STOP_CLOSING;
                if (wait[NUDGE].revents)
                        on_nudge(d);
                check_time(d);
        }
        /* A runner that closed its end, or says rubbish, is of no use any more. */
        if (!rt_runner_has_ended(&context->runner, END_MS)) {
                if (d->stop == GO_ON)
                        d->stop = STOP_RUBBISH;
                kill_runner(d);
                (void)rt_runner_has_ended(&context->runner, END_MS);
        }
        drain(d);
        for (int i = 0; i < MOST_LAST && take_messages(d) && !d->done && d->more; i++)
                continue; /* its last, which came with its end */
}

/* ---- what it was ---- */

static void hit(struct doing *d, enum retort_status status, const char *name, uint64_t value, uint64_t measured, const char *how) {
        d->o->status = status;
        d->o->exit_code = -1;
        d->o->limit = (struct retort_hit){ .name = name, .value = value, .measured = measured, .how = how };
}

static bool judge_stop(struct doing *d, uint64_t wall_ns) {
        const struct rt_box_isolation *isolation = rt_jail_isolation(d->context->engine->jail);
        switch (d->stop) {
        case GO_ON:
        case STOP_RUBBISH:
                return false;
        case STOP_WALL:
                hit(d, RETORT_WALL_LIMIT, "wall_ms", d->limits.wall_ms, wall_ns / NS_PER_MS, "monotonic clock");
                return true;
        case STOP_CPU:
                hit(d, RETORT_CPU_LIMIT, "cpu_ms", d->limits.cpu_ms, d->span.cpu_ns / NS_PER_MS, isolation->cpu_how);
                return true;
        case STOP_OUTPUT:
                hit(d, RETORT_OUTPUT_LIMIT, "output_bytes", d->limits.output_bytes, d->pump.out.seen + d->pump.err.seen, "bytes read");
                return true;
        case STOP_CANCELLED:
        case STOP_CLOSING:
                d->o->status = RETORT_CANCELLED;
                d->o->exit_code = -1;
                return true;
        }
        return false;
}

static void judge_done(struct doing *d) {
        if (strcmp(d->status, "ok") == 0)
                d->o->exit_code = 0;
        else if (strcmp(d->status, "exit") == 0)
                d->o->exit_code = d->exit_code;
        else
                d->o->exit_code = 1;
        d->o->status = strcmp(d->status, "interrupted") == 0 ? RETORT_CANCELLED : d->o->exit_code == 0 ? RETORT_OK : RETORT_NONZERO;
        if (d->o->status == RETORT_CANCELLED)
                d->o->exit_code = -1;
}

/* The runner is gone: as the box saw it, or as its supervisor did. */
static void judge_end(struct doing *d, char *why, size_t size) {
        struct retort_context *context = d->context;
        const struct rt_box_isolation *isolation = rt_jail_isolation(context->engine->jail);
        struct retort_outcome *o = d->o;
        int status = context->runner.have_end ? context->runner.end.wait_status : 0;
        rt_context_box_count(context->box); /* what ended it may have been a limit of the box */
        if (rt_context_box_gone(context->box, context->runner.have_end ? 0 : END_MS)) { /* else its supervisor would have told */
                struct retort_limits limits = context->box->limits;
                limits.wall_ms = d->limits.wall_ms;
                limits.cpu_ms = d->limits.cpu_ms;
                rt_context_box_why(context->box, why, size);
                o->status = rt_box_verdict(&context->box->report, &limits, isolation, &o->exit_code, &o->signal, &o->limit);
                return;
        }
        (void)snprintf(why, size, "%s", d->stop == STOP_RUBBISH ? "its runner said what no runner says, and was ended" : "its interpreter ended");
        o->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        o->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        o->status = o->signal ? RETORT_SIGNAL : o->exit_code == 0 ? RETORT_OK : RETORT_NONZERO;
}

static void note_left_out(struct doing *d) {
        if (!d->items.left_out)
                return;
        json_t *note = json_pack("{s:{s:o}}", "data", "text/plain",
                                 json_sprintf("[%llu items left out: a cell may have %d of together %d bytes, each of %d types]", (unsigned long long)d->items.left_out,
                                              RT_CONTEXT_MAX_ITEMS, RT_CONTEXT_MAX_ITEM_BYTES, RT_CONTEXT_MAX_TYPES));
        d->items.bytes = 0;
        d->items.n -= d->items.n >= RT_CONTEXT_MAX_ITEMS; /* the last makes room for it */
        d->nomem |= !note || !rt_items_add(&d->items, note, &d->made->arena);
        json_decref(note);
}

static void fill_outcome(struct doing *d, uint64_t wall_ns, uint64_t queue_ns) {
        struct retort_outcome *o = d->o;
        struct retort_step *step = rt_arena_new(&d->made->arena, struct retort_step);
        o->stdout_data = rt_context_keep(&d->made->arena, &d->pump.out.kept, &d->nomem);
        o->stderr_data = rt_context_keep(&d->made->arena, &d->pump.err.kept, &d->nomem);
        o->stdout_truncated = d->pump.out.truncated;
        o->stderr_truncated = d->pump.err.truncated;
        rt_context_usage(d->context, &d->span, wall_ns, d->pump.out.seen + d->pump.err.seen, &o->usage);
        note_left_out(d);
        struct retort_item *items = rt_arena_array(&d->made->arena, d->items.n + 1, sizeof *items);
        if (items && d->items.n)
                memcpy(items, d->items.at, d->items.n * sizeof *items);
        o->items = items;
        o->n_items = items ? d->items.n : 0;
        if (d->nomem || d->pump.nomem || !step || !items) {
                o->status = RETORT_INTERNAL;
                o->message = "out of memory";
        }
        if (step) {
                *step = (struct retort_step){ .name = "run", .status = o->status, .exit_code = o->exit_code, .signal = o->signal,
                                              .stdout_data = o->stdout_data, .stderr_data = o->stderr_data, .limit = o->limit, .usage = o->usage };
                o->steps = step;
                o->n_steps = 1;
                rt_run_tell(&d->run, (struct retort_event){ .type = RETORT_EVENT_STEP, .step = step });
        }
        o->usage.queue_ns = queue_ns;
        o->context_state = retort_context_state_name(d->context->dead ? RETORT_CONTEXT_DEAD : RETORT_CONTEXT_IDLE);
        rt_run_tell(&d->run, (struct retort_event){ .type = RETORT_EVENT_END, .outcome = o });
}

static void perform(struct doing *d) {
        struct retort_context *context = d->context;
        char why[160];
        d->begun_ns = rt_now_ns();
        d->cpus = (unsigned)get_nprocs();
        d->look_ns = d->begun_ns + d->limits.cpu_ms * NS_PER_MS / d->cpus;
        rt_run_tell(&d->run, (struct retort_event){ .type = RETORT_EVENT_STARTED, .step_name = "run" });
        if (rt_runner_send(&context->runner, rt_context_cell_message(context, d->cell, d->id), NULL, 0) < 0)
                d->stop = STOP_RUBBISH;
        follow(d);
        rt_marks_end(&context->runner.marks, &d->pump);
        rt_pump_flush(&d->pump);
        if (d->stop == GO_ON && d->pump.over)
                d->stop = STOP_OUTPUT;
        uint64_t wall_ns = rt_now_ns() - d->begun_ns;
        if (d->done) {
                judge_done(d);
                (void)judge_stop(d, wall_ns);
        } else {
                judge_end(d, why, sizeof why);
                if (!rt_context_box_gone(context->box, 0) || context->box->report.ended_by == RT_END_KILLED || context->box->report.ended_by == RT_END_EXIT)
                        (void)judge_stop(d, wall_ns);
                if (d->stop > STOP_CANCELLED && d->stop < STOP_CLOSING)
                        (void)snprintf(why, sizeof why, "a cell reached a limit, and could not be interrupted");
                rt_context_died(context, why);
        }
        rt_context_box_end(context->box, &d->span);
        fill_outcome(d, wall_ns, d->begun_ns - d->run.begun_ns);
}

/* The pump's streams are the runner's pipes: they stay when the cell ends. */
static void open_pump(struct doing *d) {
        const struct rt_runner *runner = &d->context->runner;
        d->pump = (struct rt_pump){ .run = &d->run, .step_name = "run", .output_bytes = d->limits.output_bytes,
                                    .out = { .fd = runner->out, .type = RETORT_EVENT_STDOUT, .kept = RT_BUF(d->limits.output_bytes) },
                                    .err = { .fd = runner->err, .type = RETORT_EVENT_STDERR, .kept = RT_BUF(d->limits.output_bytes) } };
}

static void close_pump(struct doing *d) {
        d->context->runner.out = d->pump.out.fd; /* -1 once all that could write is gone */
        d->context->runner.err = d->pump.err.fd;
        rt_buf_clear(&d->pump.out.kept);
        rt_buf_clear(&d->pump.err.kept);
        free(d->items.at);
}

static void set_in_cell(struct retort_context *context) {
        eventfd_t value;
        (void)pthread_mutex_lock(&context->lock);
        (void)eventfd_read(context->nudge, &value); /* was for another cell */
        context->in_cell = true;
        (void)pthread_mutex_unlock(&context->lock);
}

int retort_context_run(retort_context *context, const struct retort_cell *cell, retort_event_fn on_event, void *userdata,
                       struct retort_outcome **ret_outcome, struct retort_error *err) {
        struct retort_error local = { 0 };
        struct doing d = { .context = context, .cell = cell, .run = { .engine = context->engine, .on_event = on_event, .userdata = userdata,
                                                                      .begun_ns = rt_now_ns(), .terminal = -1 } };
        err = err ? err : &local;
        int r = rt_context_cell_check(context, cell, &d.limits, err);
        r = r < 0 ? r : rt_context_enter(context, cell->cancel_fd > 0 ? cell->cancel_fd : -1, UINT64_MAX, err);
        if (r < 0)
                return r;
        d.made = rt_context_outcome(context, err);
        d.o = d.made ? &d.made->pub : NULL;
        d.id = ++context->runner.next_id;
        uint64_t grace = 2 * RETORT_GRACE_MS * (uint64_t)NS_PER_MS;
        d.span = (struct rt_span){ .wall_until_ns = rt_now_ns() + d.limits.wall_ms * NS_PER_MS + grace,
                                   .cpu_left_ns = d.limits.cpu_ms * NS_PER_MS + grace };
        r = d.made ? rt_context_box_begin(context->box, &d.span, err) : RETORT_E_NOMEM;
        if (r == 0) {
                d.o->start = context->start;
                context->start = "live";
                open_pump(&d);
                set_in_cell(context);
                perform(&d);
                close_pump(&d);
                *ret_outcome = d.o;
        } else {
                if (r == RETORT_E_CLOSED && rt_context_box_gone(context->box, 0)) {
                        char why[160];
                        rt_context_box_why(context->box, why, sizeof why);
                        rt_context_died(context, why);
                        r = rt_fail(err, r, "the context has ended: %s; it can be restarted", why);
                }
                retort_outcome_free(d.o);
        }
        rt_context_leave(context);
        return r;
}
