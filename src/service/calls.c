/* SPDX-License-Identifier: Apache-2.0
 *
 * A call's way: found its context, waits for its turn if it needs the runner, goes on on a thread of the crew, is over. The
 * library would make the waiting ones wait, too; here they wait without a thread.
 */
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"
#include "service/held.h"

/* ---- hooks; under the lock ---- */

void rt_held_enter_call(struct rt_held *held, struct rt_call *call) {
        call->place = RT_CALL_GOES_ON;
        call->held = held;
        call->context = held->context;
        call->previous = NULL;
        call->next = held->calls;
        if (call->next)
                call->next->previous = call;
        held->calls = call;
        held->n_long += call->kind == RT_CREW_LONG;
}

void rt_held_leave_call(struct rt_held *held, struct rt_call *call) {
        if (call->previous)
                call->previous->next = call->next;
        else
                held->calls = call->next;
        if (call->next)
                call->next->previous = call->previous;
        held->n_long -= call->kind == RT_CREW_LONG;
        call->place = RT_CALL_OUTSIDE;
        if (held->closing)
                (void)pthread_cond_broadcast(&held->service->idle);
}

static void wait_for_turn(struct rt_held *held, struct rt_call *call) {
        struct rt_call **at = &held->waiting;
        while (*at)
                at = &(*at)->next;
        *at = call;
        call->next = NULL;
        call->held = held;
        call->place = RT_CALL_WAITS;
        held->n_waiting++;
}

static void stop_waiting(struct rt_held *held, struct rt_call *call) {
        for (struct rt_call **at = &held->waiting; *at; at = &(*at)->next)
                if (*at == call) {
                        *at = call->next;
                        held->n_waiting--;
                        break;
                }
        call->place = RT_CALL_OUTSIDE;
        held->service->n_calls--;
}

/* The runner goes from one to the next, who is to be started. */
static struct rt_call *pass_turn(struct rt_held *held) {
        struct rt_call *next = held->waiting;
        held->turn = next;
        if (next) {
                held->waiting = next->next;
                held->n_waiting--;
                rt_held_enter_call(held, next);
        }
        return next;
}

struct rt_call *rt_held_take_waiting(struct rt_held *held) {
        struct rt_call *all = rt_take(held->waiting);
        for (struct rt_call *call = all; call; call = call->next) {
                call->place = RT_CALL_OUTSIDE;
                held->service->n_calls--;
        }
        held->n_waiting = 0;
        return all;
}

static void ask_to_end(struct rt_call *call) {
        call->cancelled = true;
        if (call->cancel_fd >= 0)
                (void)eventfd_write(call->cancel_fd, 1);
}

void rt_held_cancel_calls(struct rt_held *held, bool only_endless) {
        for (struct rt_call *call = held->calls; call; call = call->next)
                if (!only_endless || call->endless)
                        ask_to_end(call);
}

void rt_held_cut_calls(struct rt_held *held) {
        for (struct rt_call *call = held->calls; call; call = call->next)
                if (call->cut)
                        call->cut(call);
}

/* ---- the end ---- */

/* What the log says of a call that somebody else frees. */
struct told {
        const char *event;
        char id[RT_ID], context[RT_ID], language[40], trace[RT_TRACEPARENT];
        enum retort_status status;
        struct retort_usage usage;
        int64_t tenant_id;
        uint64_t asked_ns;
};

static void remember(struct told *told, const struct rt_call *call) {
        *told = (struct told){ .event = call->event, .status = call->status, .usage = call->usage, .tenant_id = call->caller.tenant_id,
                               .asked_ns = call->asked_ns };
        if (!told->event || !call->held)
                return;
        memcpy(told->id, call->id, sizeof told->id);
        memcpy(told->context, call->held->id, sizeof told->context);
        memcpy(told->language, call->held->language, sizeof told->language);
        memcpy(told->trace, call->trace, sizeof told->trace);
}

static void say(struct rt_service *service, const struct told *told) {
        char tenant[104];
        char trace[33];
        if (!told->event || service->log.level < RT_LOG_INFO)
                return;
        (void)pthread_mutex_lock(&service->lock);
        rt_service_tenant_name(service, told->tenant_id, tenant, sizeof tenant);
        (void)pthread_mutex_unlock(&service->lock);
        rt_log(&service->log, RT_LOG_INFO, told->event, RT_LOG_TEXT("id", told->id), RT_LOG_TEXT("context", told->context),
               RT_LOG_TEXT("tenant", tenant), RT_LOG_TEXT("language", told->language),
               RT_LOG_TEXT("status", retort_status_name(told->status)), RT_LOG_MS("queue_ms", told->usage.queue_ns),
               RT_LOG_MS("wall_ms", told->usage.wall_ns), RT_LOG_MS("cpu_ms", told->usage.cpu_ns),
               RT_LOG_MS("total_ms", rt_now_ns() - told->asked_ns), RT_LOG_TEXT("trace_id", rt_trace_id(told->trace, trace)));
}

void rt_call_answer(struct rt_call *call) {
        (void)pthread_mutex_lock(&call->service->lock); /* or rt_call_cancel could write to what is closed */
        int cancel_fd = rt_take_fd(&call->cancel_fd);
        (void)pthread_mutex_unlock(&call->service->lock);
        (void)rt_close(cancel_fd);
        call->done(call);
}

void rt_call_finish(struct rt_call *call) {
        struct rt_service *service = call->service;
        struct rt_held *held = call->held;
        struct rt_call *next = NULL;
        struct told told;
        (void)pthread_mutex_lock(&service->lock);
        remember(&told, call);
        if (held && call->place == RT_CALL_GOES_ON) {
                rt_held_leave_call(held, call);
                if (held->turn == call && held->closing)
                        held->turn = NULL; /* those that wait are told otherwise */
                else if (held->turn == call)
                        next = pass_turn(held);
        }
        int cancel_fd = rt_take_fd(&call->cancel_fd);
        service->n_calls--;
        if (service->draining)
                (void)pthread_cond_broadcast(&service->idle);
        (void)pthread_mutex_unlock(&service->lock);
        if (next)
                rt_call_go(next);
        (void)rt_close(cancel_fd);
        call->done(call);
        say(service, &told);
}

void rt_calls_refuse(struct rt_call *calls, int code, enum rt_trouble trouble, const char *words) {
        while (calls) {
                struct rt_call *next = calls->next;
                (void)rt_fail(&calls->err, code, "%s", words);
                calls->trouble = trouble;
                rt_call_answer(calls);
                calls = next;
        }
}

/* ---- the beginning ---- */

static void perform(struct rt_task *task) {
        struct rt_call *call = rt_container_of(task, struct rt_call, task);
        call->begun_ns = rt_now_ns();
        call->perform(call);
        rt_call_finish(call);
}

void rt_call_go(struct rt_call *call) {
        call->task = (struct rt_task){ .kind = call->kind, .owner = call->caller.tenant_id, .perform = perform };
        if (rt_crew_give(call->service->crew, &call->task))
                return;
        call->refusal = (struct rt_refusal){ .why = RT_REFUSED_BUSY, .quota = "contexts", .retry_after_s = 1 };
        (void)rt_service_refuse(call->service, &call->refusal, RETORT_E_INPUT, &call->err);
        rt_call_finish(call);
}

int rt_call_prepare(struct rt_service *service, struct rt_call *call) {
        call->service = service;
        call->asked_ns = rt_now_ns();
        call->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (rt_trace_valid(call->traceparent))
                (void)snprintf(call->trace, sizeof call->trace, "%.55s", call->traceparent);
        if (call->cancel_fd >= 0)
                return 0;
        int r = rt_fail_errno(&call->err, "cannot make an eventfd");
        call->done(call);
        return r;
}

static const char crowded_words[] = "as much as may last (commands, watches, large files) goes on in this context already";

static int trouble(struct rt_call *call, enum rt_trouble what, const char *words) {
        call->trouble = what;
        return rt_fail(&call->err, RETORT_E_INPUT, "%s", words);
}

/* Under the lock: 1: it is to be started; 0: it waits; negative: it may not. */
static int enter(struct rt_call *call) {
        struct rt_service *service = call->service;
        struct rt_held *held = call->context_id ? rt_held_find(service, call->caller.tenant_id, call->context_id) : NULL;
        if (service->draining)
                return rt_fail(&call->err, RETORT_E_CLOSED, "the server is stopping");
        if (call->context_id && !held)
                return trouble(call, RT_TROUBLE_UNKNOWN, "there is no such context");
        if (call->takes_cpu && !rt_tenant_has_cpu(held->tenant, rt_now_ns(), &call->refusal))
                return RETORT_E_INPUT;
        if (held && call->kind == RT_CREW_LONG && held->n_long >= RT_HELD_LONG_MAX)
                return trouble(call, RT_TROUBLE_CROWDED, crowded_words);
        bool waits = held && call->kind == RT_CREW_CELL && held->turn;
        if (waits && held->n_waiting >= RETORT_MAX_WAITING)
                return trouble(call, RT_TROUBLE_CROWDED, "as many cells as may wait in a context wait in this one already");
        service->n_calls++;
        if (waits) {
                wait_for_turn(held, call);
                return 0;
        }
        if (held && call->kind == RT_CREW_CELL)
                held->turn = call;
        if (held)
                rt_held_enter_call(held, call);
        return 1;
}

void rt_call_start(struct rt_service *service, struct rt_call *call) {
        if (rt_call_prepare(service, call) < 0)
                return;
        (void)pthread_mutex_lock(&service->lock);
        int r = enter(call);
        (void)pthread_mutex_unlock(&service->lock);
        if (r > 0) {
                rt_call_go(call);
        } else if (r < 0) {
                if (call->refusal.why)
                        (void)rt_service_refuse(service, &call->refusal, r, &call->err);
                rt_call_answer(call);
        }
}

void rt_call_cancel(struct rt_call *call) {
        struct rt_service *service = call->service;
        if (!service) /* it was never started */
                return;
        (void)pthread_mutex_lock(&service->lock);
        bool waited = call->place == RT_CALL_WAITS;
        if (waited) {
                stop_waiting(call->held, call);
                call->next = NULL;
        }
        ask_to_end(call);
        (void)pthread_mutex_unlock(&service->lock);
        if (waited)
                rt_calls_refuse(call, RETORT_E_CLOSED, RT_TROUBLE_NONE, "cancelled before it began");
}

/* ---- in perform ---- */

bool rt_call_is_cancelled(struct rt_call *call) {
        (void)pthread_mutex_lock(&call->service->lock);
        bool cancelled = call->cancelled;
        (void)pthread_mutex_unlock(&call->service->lock);
        return cancelled;
}

bool rt_call_lasts(struct rt_call *call) {
        struct rt_service *service = call->service;
        if (call->kind == RT_CREW_LONG)
                return true;
        (void)pthread_mutex_lock(&service->lock);
        bool crowded = call->held->n_long >= RT_HELD_LONG_MAX;
        bool room = !crowded && rt_crew_becomes(service->crew, &call->task, RT_CREW_LONG);
        if (room) {
                call->kind = RT_CREW_LONG;
                call->held->n_long++;
        }
        (void)pthread_mutex_unlock(&service->lock);
        if (crowded)
                (void)trouble(call, RT_TROUBLE_CROWDED, crowded_words);
        else if (!room)
                call->refusal = (struct rt_refusal){ .why = RT_REFUSED_BUSY, .quota = "contexts", .retry_after_s = 1 };
        if (call->refusal.why)
                (void)rt_service_refuse(service, &call->refusal, RETORT_E_INPUT, &call->err);
        return room;
}

void rt_call_look(struct rt_call *call) {
        rt_held_look(call->held, &call->record);
}

static enum rt_trouble ended_or_paused(struct rt_call *call) {
        rt_call_look(call);
        return call->record.state == RETORT_CONTEXT_PAUSED ? RT_TROUBLE_PAUSED : RT_TROUBLE_ENDED;
}

void rt_call_failed(struct rt_call *call) {
        switch (call->err.code) {
        case RETORT_E_CLOSED:
                call->trouble = ended_or_paused(call);
                (void)pthread_mutex_lock(&call->service->lock);
                if (call->service->draining || call->cancelled)
                        call->trouble = RT_TROUBLE_NONE;
                (void)pthread_mutex_unlock(&call->service->lock);
                break;
        case RETORT_E_TIMEOUT:
                call->trouble = RT_TROUBLE_BUSY;
                break;
        case RETORT_E_INPUT:
                if (ended_or_paused(call) == RT_TROUBLE_PAUSED)
                        call->trouble = RT_TROUBLE_PAUSED;
                break;
        default:
                break;
        }
}

struct listener {
        struct rt_call *call;
        retort_event_fn on_event;
        void *userdata;
};

/* Once it has started nobody but the library holds the context for it. The time it waited here is queue time, too. */
static void on_event(const struct retort_event *event, void *userdata) {
        struct listener *listener = userdata;
        struct rt_call *call = listener->call;
        struct retort_event told = *event;
        struct retort_outcome outcome;
        if (event->type == RETORT_EVENT_END) {
                outcome = *event->outcome;
                outcome.usage.queue_ns += call->begun_ns - call->asked_ns;
                told.outcome = &outcome;
        }
        if (event->type == RETORT_EVENT_STARTED && call->kind == RT_CREW_CELL) {
                (void)pthread_mutex_lock(&call->service->lock);
                call->started = true;
                if (call->held->closing)
                        (void)pthread_cond_broadcast(&call->service->idle);
                (void)pthread_mutex_unlock(&call->service->lock);
        }
        if (listener->on_event)
                listener->on_event(&told, listener->userdata);
}

/* What it took, before anybody is told how it was. */
static void settle(struct rt_call *call, struct retort_outcome *outcome, const char *event) {
        struct rt_held *held = call->held;
        outcome->usage.queue_ns += call->begun_ns - call->asked_ns;
        (void)pthread_mutex_lock(&call->service->lock);
        rt_tenant_used_cpu(held->tenant, outcome->usage.cpu_ns, rt_now_ns());
        if (outcome->context_state)
                held->state = strcmp(outcome->context_state, retort_context_state_name(RETORT_CONTEXT_DEAD)) == 0 ? RETORT_CONTEXT_DEAD
                                                                                                                   : RETORT_CONTEXT_IDLE;
        (void)pthread_mutex_unlock(&call->service->lock);
        call->event = event;
        (void)snprintf(call->id, sizeof call->id, "%s", outcome->id ? outcome->id : "");
        call->status = outcome->status;
        call->usage = outcome->usage;
        call->usage.cpu_how = call->usage.memory_how = call->usage.processes_how = NULL;
}

struct retort_outcome *rt_call_cell(struct rt_call *call, struct retort_cell *cell, retort_event_fn told, void *userdata) {
        struct listener listener = { call, told, userdata };
        struct retort_outcome *outcome = NULL;
        cell->cancel_fd = call->cancel_fd;
        if (retort_context_run(call->context, cell, on_event, &listener, &outcome, &call->err) < 0) {
                rt_call_failed(call);
                return NULL;
        }
        settle(call, outcome, "cell");
        rt_metrics_cell(&call->service->metrics, outcome);
        return outcome;
}

struct retort_outcome *rt_call_command(struct rt_call *call, struct retort_command *command, retort_event_fn told, void *userdata) {
        struct listener listener = { call, told, userdata };
        struct retort_outcome *outcome = NULL;
        command->cancel_fd = call->cancel_fd;
        if (retort_context_command(call->context, command, on_event, &listener, &outcome, &call->err) < 0) {
                rt_call_failed(call);
                return NULL;
        }
        settle(call, outcome, "command");
        return outcome;
}
