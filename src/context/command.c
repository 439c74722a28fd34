/* SPDX-License-Identifier: Apache-2.0
 *
 * A program in the box of a context, beside whatever its interpreter does.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "base/util.h"
#include "box/plan.h"
#include "context/inside.h"

enum { NS_PER_MS = 1000000, END_MS = 2000 };

struct doing {
        struct retort_context *context;
        struct rt_context_box *box; /* as it was when this began */
        const struct retort_command *command;
        struct rt_model_outcome *made;
        struct rt_run run;
        struct rt_pump pump;
        struct rt_span span;
        struct rt_runner process; /* its pipes; it speaks no protocol */
        struct retort_limits limits;
        uint64_t begun_ns, wall_ns;
        enum { GO_ON, STOP_CANCELLED, STOP_WALL, STOP_OUTPUT } stop;
};

static int check(const struct retort_context *context, const struct retort_command *command, struct retort_limits *limits,
                 struct retort_error *err) {
        const struct retort_limits asked = { .wall_ms = command->wall_ms, .output_bytes = command->output_bytes };
        if ((command->n_argv > 0) == (command->shell != NULL))
                return rt_fail(err, RETORT_E_INPUT, "exactly one of argv and shell is wanted");
        if (command->n_argv > RETORT_MAX_ARGS || command->n_env > RETORT_MAX_ARGS)
                return rt_fail(err, RETORT_E_INPUT, "argv and env may have %d entries each", RETORT_MAX_ARGS);
        if (command->n_argv && !command->argv[0][0])
                return rt_fail(err, RETORT_E_INPUT, "argv[0] is empty");
        for (size_t i = 0; i < command->n_env; i++)
                if (command->env[i][0] == '=' || !strchr(command->env[i], '='))
                        return rt_fail(err, RETORT_E_INPUT, "env[%zu] '%s' is not NAME=VALUE", i, rt_text_show(command->env[i]).text);
        return rt_lang_limits(&asked, &context->limits, &context->engine->ceilings, limits, err);
}

/* ---- starting ---- */

static const char *const *argv_of(const struct retort_command *command, struct rt_arena *arena) {
        const char **argv = rt_arena_array(arena, command->n_argv + 4, sizeof *argv);
        if (!argv)
                return NULL;
        if (command->shell) {
                argv[0] = access("/usr/bin/bash", X_OK) == 0 ? "/usr/bin/bash" : "/bin/sh";
                argv[1] = "-c";
                argv[2] = command->shell;
        }
        for (size_t i = 0; i < command->n_argv; i++)
                argv[i] = command->argv[i];
        return argv;
}

/* What a runner has loaded into its interpreter is not for what stands beside it. */
static bool is_runners_own(const char *entry, const char *runtimes) {
        static const char preload[] = "LD_PRELOAD=";
        const char *value = entry + sizeof preload - 1;
        return strncmp(entry, preload, sizeof preload - 1) == 0 && strncmp(value, runtimes, strlen(runtimes)) == 0;
}

/* The context's environment, the command's own behind it: the later one of a name counts. */
static const char *const *env_of(struct doing *d, struct rt_arena *arena, struct retort_error *err) {
        const struct rt_slot_places *p = &d->box->places;
        const struct rt_lang_places places = { p->work, p->tmp, p->runtimes };
        struct rt_lang_step step;
        if (rt_lang_runner(d->context->runtime, d->context->asked, d->context->packages, &places, &d->context->engine->ceilings, arena, &step, err) < 0)
                return NULL;
        size_t n = 0;
        while (step.env[n])
                n++;
        const char **env = rt_arena_array(arena, n + d->command->n_env + 1, sizeof *env);
        if (!env) {
                (void)rt_fail_nomem(err);
                return NULL;
        }
        size_t kept = 0;
        for (size_t i = 0; i < n + d->command->n_env; i++) {
                const char *entry = i < n ? step.env[i] : d->command->env[i - n];
                if (i < n && is_runners_own(entry, p->runtimes))
                        continue;
                size_t size = strcspn(entry, "="), at = 0;
                while (at < kept && strncmp(env[at], entry, size + 1) != 0)
                        at++;
                env[at] = entry;
                kept += at == kept;
        }
        return env;
}

static int open_stdin(const struct retort_command *command) {
        if (command->stdin_data.size == 0)
                return open("/dev/null", O_RDONLY | O_CLOEXEC);
        rt_auto_close int data = rt_sealed_memfd("stdin", command->stdin_data.data, command->stdin_data.size);
        char path[40];
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", data);
        return data < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC); /* the guest's offset is its own */
}

static int start(struct doing *d, struct retort_error *err) {
        rt_auto_arena struct rt_arena arena = { 0 };
        char dir[RT_ASK_MAX_PATH];
        struct rt_answer answer;
        int theirs[4];
        const char *const *argv = argv_of(d->command, &arena);
        const char *const *env = env_of(d, &arena, err);
        const char *cwd = d->command->cwd ? d->command->cwd : d->context->cwd ? d->context->cwd : d->box->places.work;
        if (!argv || !env)
                return argv ? err->code : rt_fail_nomem(err);
        int r = rt_context_box_path(d->box, cwd, dir, err);
        r = r < 0 ? r : rt_runner_open(&d->process, theirs, err);
        if (r < 0)
                return r;
        rt_auto_close int plan = rt_plan_write(argv, env, NULL, 0, err);
        rt_auto_close int in = open_stdin(d->command);
        const int fds[] = { plan, in, theirs[0], theirs[1], theirs[3] };
        if (plan < 0)
                r = err->code;
        else if (in < 0)
                r = rt_fail_errno(err, "cannot prepare stdin");
        else
                r = rt_context_box_ask(d->box, (struct rt_ask){ .op = RT_ASK_SPAWN }, dir, NULL, fds, RT_LEN(fds), &answer, NULL, err);
        for (size_t i = 0; i < RT_LEN(theirs); i++)
                (void)rt_close(theirs[i]);
        if (r == 0)
                d->process.pid = answer.pid;
        return r;
}

/* ---- following ---- */

static void kill_it(struct doing *d) {
        struct rt_ask ask = { .op = RT_ASK_SIGNAL, .pid = d->process.pid, .number = SIGKILL, .flags = RT_ASK_GROUP };
        (void)rt_context_box_ask(d->box, ask, NULL, NULL, NULL, 0, NULL, NULL, NULL);
}

static void drain(struct rt_pump *pump, struct rt_stream *stream) {
        size_t left = rt_pump_waiting(stream);
        for (uint64_t before = stream->seen; stream->seen - before < left && rt_pump_read(pump, stream);)
                continue;
}

static void follow(struct doing *d) {
        uint64_t until = d->begun_ns + d->limits.wall_ms * NS_PER_MS;
        enum { OUT, ERR, ENDED, CANCEL, WAKE };
        for (;;) {
                uint64_t now = rt_now_ns();
                int ms = now < until ? (int)((until - now) / NS_PER_MS) + 1 : 0;
                struct pollfd wait[] = { [OUT] = { d->pump.out.fd, POLLIN, 0 }, [ERR] = { d->pump.err.fd, POLLIN, 0 },
                                         [ENDED] = { d->process.ended, POLLIN, 0 },
                                         [CANCEL] = { d->command->cancel_fd > 0 ? d->command->cancel_fd : -1, POLLIN, 0 },
                                         [WAKE] = { d->context->wake, POLLIN, 0 } };
                (void)poll(wait, RT_LEN(wait), ms);
                if (wait[OUT].revents)
                        (void)rt_pump_read(&d->pump, &d->pump.out);
                if (wait[ERR].revents)
                        (void)rt_pump_read(&d->pump, &d->pump.err);
                if (wait[ENDED].revents)
                        break;
                if (wait[CANCEL].revents || wait[WAKE].revents)
                        d->stop = STOP_CANCELLED;
                else if (d->pump.over)
                        d->stop = STOP_OUTPUT;
                else if (rt_now_ns() >= until)
                        d->stop = STOP_WALL;
                if (d->stop != GO_ON) {
                        kill_it(d);
                        break;
                }
        }
        (void)rt_runner_has_ended(&d->process, END_MS);
        d->wall_ns = rt_now_ns() - d->begun_ns;
        drain(&d->pump, &d->pump.out); /* what it has started may go on, and is not waited for */
        drain(&d->pump, &d->pump.err);
        rt_pump_flush(&d->pump);
}

/* ---- what it was ---- */

static void hit(struct retort_outcome *o, enum retort_status status, const char *name, uint64_t value, uint64_t measured, const char *how) {
        o->status = status;
        o->limit = (struct retort_hit){ .name = name, .value = value, .measured = measured, .how = how };
}

static void judge(struct doing *d, struct retort_outcome *o) {
        const struct rt_ended *end = &d->process.end;
        if (d->stop == GO_ON && d->process.have_end && !end->exec_errno) {
                o->exit_code = WIFEXITED(end->wait_status) ? WEXITSTATUS(end->wait_status) : -1;
                o->signal = WIFSIGNALED(end->wait_status) ? WTERMSIG(end->wait_status) : 0;
                o->status = o->signal ? RETORT_SIGNAL : o->exit_code == 0 ? RETORT_OK : RETORT_NONZERO;
        } else if (d->stop == STOP_WALL) {
                hit(o, RETORT_WALL_LIMIT, "wall_ms", d->limits.wall_ms, d->wall_ns / NS_PER_MS, "monotonic clock");
        } else if (d->stop == STOP_OUTPUT) {
                hit(o, RETORT_OUTPUT_LIMIT, "output_bytes", d->limits.output_bytes, d->pump.out.seen + d->pump.err.seen, "bytes read");
        } else if (d->stop == STOP_CANCELLED) {
                o->status = RETORT_CANCELLED;
        } else if (end->exec_errno) { /* as a shell says it */
                o->exit_code = end->exec_errno == ENOENT ? 127 : 126;
                o->status = RETORT_NONZERO;
                o->message = rt_arena_printf(&d->made->arena, "cannot start %s: %s", d->command->argv ? d->command->argv[0] : "the shell",
                                             strerrordesc_np(end->exec_errno) ? strerrordesc_np(end->exec_errno) : "refused");
        } else if (rt_context_box_gone(d->box, d->process.have_end ? 0 : END_MS)) {
                const struct rt_box_isolation *isolation = rt_jail_isolation(d->context->engine->jail);
                o->status = rt_box_verdict(&d->box->report, &d->box->limits, isolation, &o->exit_code, &o->signal, &o->limit);
        } else {
                o->status = RETORT_SIGNAL;
                o->signal = SIGKILL;
        }
}

static void fill_outcome(struct doing *d) {
        struct retort_outcome *o = &d->made->pub;
        const struct rt_ended *end = &d->process.end;
        bool nomem = d->pump.nomem;
        judge(d, o);
        o->stdout_data = rt_context_keep(&d->made->arena, &d->pump.out.kept, &nomem);
        o->stderr_data = rt_context_keep(&d->made->arena, &d->pump.err.kept, &nomem);
        o->stdout_truncated = d->pump.out.truncated;
        o->stderr_truncated = d->pump.err.truncated;
        o->usage = (struct retort_usage){ .wall_ns = d->wall_ns, .cpu_ns = end->user_ns + end->system_ns, .user_ns = end->user_ns,
                                          .system_ns = end->system_ns, .peak_memory_bytes = end->max_rss_bytes,
                                          .output_bytes = d->pump.out.seen + d->pump.err.seen, .cpu_how = "wait4", .memory_how = "wait4 ru_maxrss" };
        o->language = "shell";
        o->version = "";
        if (nomem) {
                o->status = RETORT_INTERNAL;
                o->message = "out of memory";
        }
        struct retort_step *step = rt_arena_new(&d->made->arena, struct retort_step);
        if (step) {
                *step = (struct retort_step){ .name = "run", .status = o->status, .exit_code = o->exit_code, .signal = o->signal,
                                              .stdout_data = o->stdout_data, .stderr_data = o->stderr_data, .limit = o->limit, .usage = o->usage };
                o->steps = step;
                o->n_steps = 1;
                rt_run_tell(&d->run, (struct retort_event){ .type = RETORT_EVENT_STEP, .step = step });
        }
        rt_run_tell(&d->run, (struct retort_event){ .type = RETORT_EVENT_END, .outcome = o });
}

static void open_pump(struct doing *d) {
        d->pump = (struct rt_pump){ .run = &d->run, .step_name = "run", .output_bytes = d->limits.output_bytes,
                                    .out = { .fd = rt_take_fd(&d->process.out), .type = RETORT_EVENT_STDOUT, .kept = RT_BUF(d->limits.output_bytes) },
                                    .err = { .fd = rt_take_fd(&d->process.err), .type = RETORT_EVENT_STDERR, .kept = RT_BUF(d->limits.output_bytes) } };
}

static int perform(struct doing *d, struct retort_outcome **ret_outcome, struct retort_error *err) {
        int r = rt_context_box_begin(d->box, &d->span, err);
        if (r < 0)
                return r;
        d->begun_ns = rt_now_ns();
        r = start(d, err);
        if (r == 0) {
                open_pump(d);
                rt_run_tell(&d->run, (struct retort_event){ .type = RETORT_EVENT_STARTED, .step_name = "run" });
                follow(d);
                fill_outcome(d);
                *ret_outcome = &d->made->pub;
                (void)rt_close(d->pump.out.fd);
                (void)rt_close(d->pump.err.fd);
                rt_buf_clear(&d->pump.out.kept);
                rt_buf_clear(&d->pump.err.kept);
        }
        rt_runner_close(&d->process);
        rt_context_box_end(d->box, &d->span);
        return r;
}

int retort_context_command(retort_context *context, const struct retort_command *command, retort_event_fn on_event, void *userdata,
                           struct retort_outcome **ret_outcome, struct retort_error *err) {
        struct retort_error local = { 0 };
        struct doing d = { .context = context, .command = command, .process = RT_RUNNER_NONE,
                           .run = { .engine = context->engine, .on_event = on_event, .userdata = userdata, .begun_ns = rt_now_ns(), .terminal = -1 } };
        err = err ? err : &local;
        int r = check(context, command, &d.limits, err);
        r = r < 0 ? r : rt_context_use(context, &d.box, err);
        if (r < 0)
                return r;
        uint64_t grace = 2 * RETORT_GRACE_MS * (uint64_t)NS_PER_MS;
        d.span = (struct rt_span){ .wall_until_ns = rt_now_ns() + d.limits.wall_ms * NS_PER_MS + grace,
                                   .cpu_left_ns = d.limits.cpu_ms * NS_PER_MS + grace };
        d.made = rt_context_outcome(context, err);
        r = d.made ? perform(&d, ret_outcome, err) : RETORT_E_NOMEM;
        if (r < 0 && d.made)
                retort_outcome_free(&d.made->pub);
        rt_context_unuse(context, d.box);
        return r;
}
