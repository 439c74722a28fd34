/* SPDX-License-Identifier: Apache-2.0
 *
 * The workers, one for each slot of the engine: pick, run, give back, and again. And runs that somebody waits for.
 */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "service/inside.h"

enum { LOOK_MS = 1000, LOOK_AGAIN_MS = 100 };

/* ---- runs ---- */

static void let_go(struct rt_ticket *ticket) {
        if (atomic_fetch_sub(&ticket->holders, 1) == 1)
                free(ticket);
}

void rt_ticket_free(struct rt_ticket *ticket) {
        if (ticket)
                let_go(ticket);
}

void rt_service_log_run(struct rt_service *service, const char *event, const struct rt_work *work,
                        const struct retort_outcome *outcome, const struct retort_error *err) {
        char tenant[104];
        char trace[33];
        if (service->log.level < RT_LOG_INFO)
                return;
        (void)pthread_mutex_lock(&service->lock);
        rt_service_tenant_name(service, work->tenant_id, tenant, sizeof tenant);
        (void)pthread_mutex_unlock(&service->lock);
        if (!outcome) {
                rt_log(&service->log, RT_LOG_WARNING, event, RT_LOG_TEXT("tenant", tenant), RT_LOG_NUMBER("code", err->code),
                       RT_LOG_TEXT("trace_id", rt_trace_id(work->traceparent, trace)));
                return;
        }
        rt_log(&service->log, RT_LOG_INFO, event, RT_LOG_TEXT("id", outcome->id), RT_LOG_TEXT("tenant", tenant),
               RT_LOG_TEXT("language", outcome->language), RT_LOG_TEXT("status", retort_status_name(outcome->status)),
               RT_LOG_MS("queue_ms", outcome->usage.queue_ns), RT_LOG_MS("wall_ms", outcome->usage.wall_ns),
               RT_LOG_MS("cpu_ms", outcome->usage.cpu_ns), RT_LOG_MS("total_ms", rt_now_ns() - work->accepted_ns),
               RT_LOG_TEXT("trace_id", rt_trace_id(work->traceparent, trace)));
}

/* The run is out of the engine: what it held goes back before anybody is told, or who asks again at once is refused. */
static retort_run *give_back(struct rt_service *service, struct rt_ticket *ticket, const struct retort_outcome *outcome) {
        (void)pthread_mutex_lock(&service->lock);
        struct rt_work *work = &ticket->work;
        retort_run *run = rt_take(work->run);
        if (outcome)
                rt_tenant_used_cpu(work->item.tenant, outcome->usage.cpu_ns, rt_now_ns());
        rt_charge_back(&work->charge);
        (void)pthread_mutex_unlock(&service->lock);
        return run;
}

/* What the log says of an outcome that somebody else frees. */
struct told {
        struct retort_outcome outcome;
        char id[RT_ID];
        char language[40];
};

static const struct retort_outcome *remember(struct told *told, const struct retort_outcome *outcome) {
        if (!outcome)
                return NULL;
        (void)snprintf(told->id, sizeof told->id, "%s", outcome->id);
        (void)snprintf(told->language, sizeof told->language, "%s", outcome->language);
        told->outcome = (struct retort_outcome){ .id = told->id, .language = told->language, .status = outcome->status,
                                                 .usage = outcome->usage };
        return &told->outcome;
}

/* Metrics before the answer, for who looks at them next; the rest after it: nobody waits for a line of the log. */
void rt_service_end_run(struct rt_service *service, struct rt_ticket *ticket) {
        struct retort_outcome *outcome = NULL;
        struct retort_error err = { 0 };
        struct told told;
        int r = retort_perform(ticket->work.run, &outcome, &err);
        retort_run *run = give_back(service, ticket, outcome);
        if (outcome)
                rt_metrics_run(&service->metrics, outcome, rt_now_ns() - ticket->work.accepted_ns);
        const struct retort_outcome *kept = remember(&told, outcome);
        ticket->on_end(outcome, r < 0 ? &err : NULL, ticket->userdata);
        rt_service_log_run(service, "run", &ticket->work, kept, &err);
        retort_run_free(run);
}

/* A run that never began ends here: refused, because the service stops. */
static void turn_away(struct rt_service *service, struct rt_ticket *ticket) {
        struct retort_error err = { 0 };
        (void)rt_fail(&err, RETORT_E_CLOSED, "the server is stopping");
        retort_run_free(give_back(service, ticket, NULL));
        ticket->on_end(NULL, &err, ticket->userdata);
        let_go(ticket);
}

void rt_service_cancel_queued_runs(struct rt_service *service) {
        for (;;) {
                (void)pthread_mutex_lock(&service->lock);
                struct rt_queue_item *item = rt_queue_any(&service->queue, RT_QUEUE_RUN);
                if (item) {
                        rt_queue_remove(&service->queue, item);
                        item->tenant->waiting_runs--;
                }
                (void)pthread_mutex_unlock(&service->lock);
                if (!item)
                        return;
                turn_away(service, rt_container_of(rt_container_of(item, struct rt_work, item), struct rt_ticket, work));
        }
}

static bool refuse(struct rt_refusal *refusal, bool busy, const char *quota) {
        refusal->why = busy ? RT_REFUSED_BUSY : RT_REFUSED_QUOTA;
        refusal->quota = quota;
        refusal->retry_after_s = 1;
        return false;
}

/* Under the lock: whether there is room for one more run. One tenant may not take the last quarter of the queue. */
static bool has_room(struct rt_service *service, struct rt_tenant *tenant, uint64_t memory, struct rt_refusal *refusal) {
        uint64_t most = atomic_load(&service->config)->queue_max_runs;
        /* what an idle worker is about to take does not wait */
        uint64_t idle = service->n_active < service->n_workers ? service->n_workers - service->n_active : 0;
        if (service->queue.lengths[RT_QUEUE_RUN] >= most + idle)
                return refuse(refusal, true, "queue.max_runs");
        if (most > 4 && tenant->waiting_runs >= most - most / 4 + idle)
                return refuse(refusal, false, "queue.max_runs");
        return rt_tenant_fits(tenant, memory, rt_now_ns(), refusal);
}

/* Charges and queues the ticket. */
static int enter(struct rt_service *service, struct rt_ticket *ticket, int64_t tenant_id, struct rt_refusal *refusal,
                 struct retort_error *err) {
        struct rt_work *work = &ticket->work;
        int r = 0;
        (void)pthread_mutex_lock(&service->lock);
        struct rt_tenant *tenant = rt_service_tenant(service, tenant_id);
        if (service->draining)
                r = rt_fail(err, RETORT_E_CLOSED, "the server is stopping");
        else if (!tenant)
                r = rt_fail_nomem(err);
        else if (!has_room(service, tenant, work->item.memory, refusal))
                r = RETORT_E_INPUT;
        work->item.tenant = tenant;
        work->tenant_id = tenant_id;
        if (r == 0)
                r = rt_queue_push(&service->queue, &work->item);
        if (r == 0) {
                work->charge = rt_tenant_charge(tenant, work->item.memory);
                tenant->waiting_runs++;
        }
        (void)pthread_mutex_unlock(&service->lock);
        if (r == 0) /* without the lock: the worker would wake only to wait for it */
                (void)pthread_cond_signal(&service->work);
        return refusal->why ? rt_service_refuse(service, refusal, r, err) : r;
}

int rt_service_run(struct rt_service *service, const struct rt_run_order *order, struct rt_ticket **ret_ticket,
                   struct rt_refusal *ret_refusal, struct retort_error *err) {
        *ret_refusal = (struct rt_refusal){ 0 };
        if (order->priority < -RT_QUEUE_PRIORITY || order->priority > RT_QUEUE_PRIORITY)
                return rt_fail(err, RETORT_E_INPUT, "priority: -10 to 10");
        struct rt_ticket *ticket = calloc(1, sizeof *ticket);
        if (!ticket)
                return rt_fail_nomem(err);
        struct rt_work *work = &ticket->work;
        atomic_init(&ticket->holders, 2);
        ticket->on_end = order->on_end;
        ticket->userdata = order->userdata;
        work->service = service;
        work->accepted_ns = rt_now_ns();
        work->item = (struct rt_queue_item){ .class = RT_QUEUE_RUN, .priority = order->priority,
                                             .memory = rt_request_memory(order->request) };
        (void)snprintf(work->language, sizeof work->language, "%s", order->request->language ? order->request->language : "");
        if (rt_trace_valid(order->traceparent))
                (void)snprintf(work->traceparent, sizeof work->traceparent, "%.55s", order->traceparent);
        struct retort_request request = *order->request; /* whose it is is not theirs to say */
        request.cache_scope = rt_service_cache_scope(service, order->caller.tenant_id);
        int r = retort_prepare(service->engine, &request, order->on_event, order->userdata, &work->run, err);
        if (r < 0)
                atomic_fetch_add(&service->metrics.refused_input, 1);
        /* From here the run may end before this function does: ret_ticket is written first. */
        *ret_ticket = ticket;
        if (r == 0)
                r = enter(service, ticket, order->caller.tenant_id, ret_refusal, err);
        if (r < 0) {
                *ret_ticket = NULL;
                retort_run_free(work->run);
                free(ticket);
        }
        return r;
}

void rt_ticket_cancel(struct rt_ticket *ticket) {
        struct rt_service *service = ticket->work.service;
        (void)pthread_mutex_lock(&service->lock);
        struct rt_work *work = &ticket->work;
        if (work->run)
                retort_cancel(work->run);
        if (work->item.queued) { /* it need not wait for a box to hear that */
                rt_queue_remove(&service->queue, &work->item);
                work->item.tenant->waiting_runs--;
                ticket->next_ending = service->ending;
                service->ending = ticket;
                (void)pthread_cond_signal(&service->chores);
        }
        work->cancelled = true;
        (void)pthread_mutex_unlock(&service->lock);
}

void rt_ticket_resize(struct rt_ticket *ticket, unsigned columns, unsigned rows) {
        struct rt_service *service = ticket->work.service;
        (void)pthread_mutex_lock(&service->lock);
        if (ticket->work.run)
                retort_resize(ticket->work.run, columns, rows);
        (void)pthread_mutex_unlock(&service->lock);
}

/* ---- workers ---- */

struct worker {
        struct rt_service *service;
        unsigned index;
};

/* Under the lock: the next work, charged; NULL: stop. */
static struct rt_work *next_work(struct rt_service *service) {
        while (!service->closing) {
                struct rt_queue_item *item = rt_queue_pick(&service->queue, !service->draining, rt_now_ns());
                if (item)
                        return rt_container_of(item, struct rt_work, item);
                bool waits = service->queue.lengths[RT_QUEUE_JOB] > 0; /* over a quota, which time may mend */
                struct timespec until = rt_deadline(waits ? LOOK_AGAIN_MS : LOOK_MS);
                (void)pthread_cond_timedwait(&service->work, &service->lock, &until);
        }
        return NULL;
}

static void begin(struct rt_service *service, struct rt_work *work, unsigned index) {
        struct rt_tenant *tenant = work->item.tenant;
        service->n_active++;
        service->executing[index] = work;
        tenant->active++;
        work->executing = true;
        work->slot = index;
        work->began_ns = rt_now_ns();
        if (work->item.class == RT_QUEUE_RUN) {
                tenant->waiting_runs--;
        } else {
                work->charge = rt_tenant_charge(tenant, work->item.memory);
                tenant->queued_jobs--;
                service->n_jobs_queued--;
        }
}

static void end(struct rt_service *service, struct rt_tenant *tenant, unsigned index) {
        service->n_active--;
        service->executing[index] = NULL;
        tenant->active--;
        (void)pthread_cond_broadcast(&service->idle);
        if (service->queue.lengths[RT_QUEUE_RUN] + service->queue.lengths[RT_QUEUE_JOB] > 0)
                (void)pthread_cond_signal(&service->work);
}

static void *work_on(void *argument) {
        struct worker worker = *(struct worker *)argument;
        struct rt_service *service = worker.service;
        free(argument);
        (void)pthread_mutex_lock(&service->lock);
        for (struct rt_work *work; (work = next_work(service));) {
                struct rt_tenant *tenant = work->item.tenant;
                begin(service, work, worker.index);
                (void)pthread_mutex_unlock(&service->lock);
                if (work->item.class == RT_QUEUE_RUN) {
                        struct rt_ticket *ticket = rt_container_of(work, struct rt_ticket, work);
                        rt_service_end_run(service, ticket);
                        (void)pthread_mutex_lock(&service->lock);
                        end(service, tenant, worker.index);
                        (void)pthread_mutex_unlock(&service->lock);
                        let_go(ticket);
                        (void)pthread_mutex_lock(&service->lock);
                } else {
                        rt_job_run(service, rt_container_of(work, struct rt_job, work)); /* frees it */
                        (void)pthread_mutex_lock(&service->lock);
                        end(service, tenant, worker.index);
                }
        }
        (void)pthread_mutex_unlock(&service->lock);
        return NULL;
}

int rt_service_start_workers(struct rt_service *service, struct retort_error *err) {
        while (service->n_workers < service->slots) {
                struct worker *worker = malloc(sizeof *worker);
                if (!worker)
                        return rt_fail_nomem(err);
                *worker = (struct worker){ service, service->n_workers };
                if (pthread_create(&service->workers[service->n_workers], NULL, work_on, worker) != 0) {
                        free(worker);
                        return rt_fail(err, RETORT_E_SYSTEM, "cannot start a worker thread");
                }
                (void)pthread_mutex_lock(&service->lock);
                service->n_workers++;
                (void)pthread_mutex_unlock(&service->lock);
        }
        return 0;
}
