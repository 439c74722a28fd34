/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of contexts: how they come into it, and how they leave it. What a context is charged (a place, the memory of its
 * box) is reserved before it is opened, and given back once it is gone.
 */
#include "service/contexts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "service/held.h"

enum { GRACE_MS = 1000, LOOK_MS = 100 };

/* ---- the table; under the lock ---- */

/* Ids end in random characters. */
static struct rt_held **bucket_of(struct rt_service *service, const char *id) {
        size_t n = strnlen(id, RT_ID - 1);
        unsigned hash = 0;
        for (size_t i = n < 4 ? 0 : n - 4; i < n; i++)
                hash = hash * 31 + (unsigned char)id[i];
        return &service->held[hash % RT_HELD_BUCKETS];
}

struct rt_held *rt_held_find(struct rt_service *service, int64_t tenant_id, const char *id) {
        struct rt_held *held = *bucket_of(service, id);
        while (held && (held->tenant_id != tenant_id || strcmp(held->id, id) != 0))
                held = held->next;
        return held;
}

void rt_held_take_out(struct rt_held *held) {
        struct rt_held **at = bucket_of(held->service, held->id);
        while (*at != held)
                at = &(*at)->next;
        *at = held->next;
        held->closing = true;
}

/* ---- places ---- */

static bool busy(struct rt_call *call) {
        call->refusal = (struct rt_refusal){ .why = RT_REFUSED_BUSY, .quota = "contexts.max", .retry_after_s = 1 };
        return false;
}

static bool has_place(struct rt_call *call, struct rt_tenant *tenant, uint64_t memory) {
        struct rt_service *service = call->service;
        if (!rt_tenant_fits_context(tenant, memory, &call->refusal))
                return false;
        return service->n_held < atomic_load(&service->config)->contexts_max || busy(call);
}

struct rt_held *rt_held_reserve(struct rt_call *call, struct rt_held_box *box, uint64_t memory) {
        struct rt_service *service = call->service;
        struct rt_tenant *tenant = rt_service_tenant(service, call->caller.tenant_id);
        if (service->draining) {
                (void)rt_fail(&call->err, RETORT_E_CLOSED, "the server is stopping");
                return NULL;
        }
        if (tenant && !has_place(call, tenant, box ? 0 : memory)) {
                call->err.code = RETORT_E_INPUT; /* its words are rt_service_refuse's */
                return NULL;
        }
        struct rt_held *held = tenant ? calloc(1, sizeof *held) : NULL;
        struct rt_held_box *own = held && !box ? calloc(1, sizeof *own) : NULL;
        if (!held || (!box && !own)) {
                free(held);
                (void)rt_fail_nomem(&call->err);
                return NULL;
        }
        if (own)
                own->memory = memory;
        *held = (struct rt_held){ .service = service, .tenant = tenant, .tenant_id = tenant->id, .box = box ? box : own };
        held->box->n++;
        service->n_held++;
        tenant->contexts++;
        tenant->memory += own ? memory : 0;
        return held;
}

void rt_held_give_up(struct rt_held *held) {
        struct rt_held_box *box = held->box;
        held->service->n_held--;
        held->tenant->contexts--;
        if (--box->n == 0) {
                held->tenant->memory -= box->memory;
                free(box);
        }
        (void)pthread_cond_broadcast(&held->service->idle);
        free(held);
}

static void fill_record(const struct rt_held *held, const struct retort_context_info *info, struct rt_context_record *record) {
        *record = (struct rt_context_record){ .state = info->state, .created_ms = held->created_ms, .age_ms = info->age_ms,
                                              .idle_ms = info->idle_ms, .execution_count = info->execution_count,
                                              .can_fork = info->can_fork, .can_complete = info->can_complete,
                                              .can_inspect = info->can_inspect };
        (void)snprintf(record->id, sizeof record->id, "%s", info->id);
        (void)snprintf(record->box, sizeof record->box, "%.26s", info->box);
        (void)snprintf(record->language, sizeof record->language, "%s", info->language);
        (void)snprintf(record->version, sizeof record->version, "%s", info->version ? info->version : "");
        (void)snprintf(record->why, sizeof record->why, "%s", info->why);
}

static void note_state(struct rt_held *held, const struct retort_context_info *info) {
        held->state = info->state == RETORT_CONTEXT_BUSY ? RETORT_CONTEXT_IDLE : info->state;
        if (info->state != RETORT_CONTEXT_DEAD)
                held->dead_ns = 0;
        else if (!held->dead_ns)
                held->dead_ns = rt_now_ns();
}

void rt_held_look(struct rt_held *held, struct rt_context_record *record) {
        struct retort_context_info info;
        retort_context_info(held->context, &info);
        fill_record(held, &info, record);
        (void)pthread_mutex_lock(&held->service->lock);
        note_state(held, &info);
        (void)pthread_mutex_unlock(&held->service->lock);
}

void rt_held_admit(struct rt_held *held, retort_context *context, struct rt_context_record *record) {
        struct rt_service *service = held->service;
        struct retort_context_info info;
        retort_context_info(context, &info);
        held->context = context;
        held->created_ms = rt_unix_ms();
        (void)snprintf(held->id, sizeof held->id, "%s", info.id);
        (void)snprintf(held->language, sizeof held->language, "%s", info.language);
        fill_record(held, &info, record);
        (void)pthread_mutex_lock(&service->lock);
        note_state(held, &info);
        struct rt_held **at = bucket_of(service, held->id);
        held->next = *at;
        *at = held;
        (void)pthread_mutex_unlock(&service->lock);
}

static void say(struct rt_held *held, const char *event, const char *why, uint64_t ns) {
        struct rt_service *service = held->service;
        char tenant[104];
        (void)pthread_mutex_lock(&service->lock);
        rt_service_tenant_name(service, held->tenant_id, tenant, sizeof tenant);
        (void)pthread_mutex_unlock(&service->lock);
        rt_log(&service->log, RT_LOG_INFO, event, RT_LOG_TEXT("id", held->id), RT_LOG_TEXT("tenant", tenant),
               RT_LOG_TEXT("language", held->language), RT_LOG_TEXT("why", why), RT_LOG_MS("ms", ns));
}

/* ---- opening ---- */

/* What the configuration says where the request does not. */
static int fill_options(struct rt_opening *opening) {
        const struct rt_config *config = atomic_load(&opening->call.service->config);
        struct retort_context_options *o = &opening->options;
        struct retort_error *err = &opening->call.err;
        if (o->idle_ms > config->contexts_lifetime || o->lifetime_ms > config->contexts_lifetime)
                return rt_fail(err, RETORT_E_INPUT, "%s: must be at most %llu", o->idle_ms > config->contexts_lifetime ? "idle_ms" : "lifetime_ms",
                               (unsigned long long)config->contexts_lifetime);
        if (opening->beside)
                return 0;
        uint64_t memory = config->contexts_memory < config->limits_memory ? config->contexts_memory : config->limits_memory;
        o->limits.memory_bytes = o->limits.memory_bytes ? o->limits.memory_bytes : memory;
        o->idle_ms = o->idle_ms ? o->idle_ms : config->contexts_idle;
        o->lifetime_ms = o->lifetime_ms ? o->lifetime_ms : config->contexts_lifetime;
        return 0;
}

/* Nobody has its id: whoever asked for it left. */
static void end_unwanted(struct rt_held *held) {
        (void)pthread_mutex_lock(&held->service->lock);
        bool found = !held->closing;
        if (found)
                rt_held_take_out(held);
        (void)pthread_mutex_unlock(&held->service->lock);
        if (found)
                rt_held_end(held);
}

static void perform_opening(struct rt_call *call) {
        struct rt_opening *opening = rt_container_of(call, struct rt_opening, call);
        struct rt_service *service = call->service;
        struct rt_held *held = opening->place;
        retort_context *context = NULL;
        uint64_t begun_ns = rt_now_ns();
        int r = opening->beside ? retort_context_open_beside(call->context, &opening->options, &context, &call->err)
                                : retort_context_open(service->engine, &opening->options, &context, &call->err);
        if (r == 0) {
                rt_held_admit(held, context, &call->record);
                say(held, "context_open", NULL, rt_now_ns() - begun_ns);
                if (rt_call_is_cancelled(call))
                        end_unwanted(held);
                return;
        }
        if (opening->beside && r == RETORT_E_CLOSED)
                rt_call_failed(call);
        else if (r == RETORT_E_CLOSED) /* its box, not the server */
                call->err.code = RETORT_E_SYSTEM;
        (void)pthread_mutex_lock(&service->lock);
        rt_held_give_up(held);
        (void)pthread_mutex_unlock(&service->lock);
}

/* Under the lock: 0, or why there is no place for it. */
static int enter(struct rt_opening *opening) {
        struct rt_call *call = &opening->call;
        struct rt_service *service = call->service;
        struct rt_held *first = opening->beside ? rt_held_find(service, call->caller.tenant_id, opening->beside) : NULL;
        if (opening->beside && !first) {
                call->trouble = RT_TROUBLE_UNKNOWN;
                return rt_fail(&call->err, RETORT_E_INPUT, "beside: there is no such context");
        }
        opening->place = rt_held_reserve(call, first ? first->box : NULL, opening->options.limits.memory_bytes);
        if (!opening->place)
                return call->err.code;
        service->n_calls++;
        if (first)
                rt_held_enter_call(first, call);
        return 0;
}

void rt_context_open_start(struct rt_service *service, struct rt_opening *opening) {
        struct rt_call *call = &opening->call;
        call->perform = perform_opening;
        call->kind = RT_CREW_OPEN;
        if (rt_call_prepare(service, call) < 0)
                return;
        int r = fill_options(opening);
        if (r == 0) {
                (void)pthread_mutex_lock(&service->lock);
                r = enter(opening);
                (void)pthread_mutex_unlock(&service->lock);
        }
        if (r == 0) {
                rt_call_go(call);
                return;
        }
        if (call->refusal.why)
                (void)rt_service_refuse(service, &call->refusal, r, &call->err);
        rt_call_answer(call);
}

void rt_call_fork(struct rt_call *call) {
        struct rt_service *service = call->service;
        retort_context *copy = NULL;
        uint64_t begun_ns = rt_now_ns();
        (void)pthread_mutex_lock(&service->lock);
        struct rt_held *held = rt_held_reserve(call, call->held->box, 0);
        (void)pthread_mutex_unlock(&service->lock);
        if (!held) {
                if (call->refusal.why)
                        (void)rt_service_refuse(service, &call->refusal, call->err.code, &call->err);
                return;
        }
        if (retort_context_fork(call->context, &copy, &call->err) == 0) {
                rt_held_admit(held, copy, &call->record);
                say(held, "context_fork", NULL, rt_now_ns() - begun_ns);
                if (rt_call_is_cancelled(call))
                        end_unwanted(held);
                return;
        }
        rt_call_failed(call);
        (void)pthread_mutex_lock(&service->lock);
        rt_held_give_up(held);
        (void)pthread_mutex_unlock(&service->lock);
}

/* ---- closing ---- */

/* Under the lock: whether all that goes on in it is inside of retort_context_run, where retort_context_close waits for it. */
static bool may_close(const struct rt_held *held) {
        for (const struct rt_call *call = held->calls; call; call = call->next)
                if (!call->started)
                        return false;
        return held->n_looking == 0;
}

static void await(struct rt_held *held) {
        struct timespec until = rt_deadline(LOOK_MS);
        (void)pthread_cond_timedwait(&held->service->idle, &held->service->lock, &until);
}

void rt_held_end(struct rt_held *held) {
        struct rt_service *service = held->service;
        uint64_t begun_ns = rt_now_ns();
        (void)pthread_mutex_lock(&service->lock);
        struct rt_call *waiting = rt_held_take_waiting(held);
        rt_held_cancel_calls(held, false);
        (void)pthread_mutex_unlock(&service->lock);
        rt_calls_refuse(waiting, RETORT_E_CLOSED, RT_TROUBLE_ENDED, "the context was closed");
        (void)pthread_mutex_lock(&service->lock);
        while ((held->calls || held->n_looking > 0) && rt_now_ns() - begun_ns < GRACE_MS * 1000000ull)
                await(held);
        rt_held_cut_calls(held);
        while (!may_close(held)) /* bounded: they were told to end, and wait for nobody */
                await(held);
        (void)pthread_mutex_unlock(&service->lock);
        retort_context_close(held->context);
        (void)pthread_mutex_lock(&service->lock);
        while (held->calls)
                await(held);
        (void)pthread_mutex_unlock(&service->lock);
        say(held, "context_closed", NULL, rt_now_ns() - begun_ns);
        struct rt_call *answer = held->answer;
        (void)pthread_mutex_lock(&service->lock);
        rt_held_give_up(held);
        (void)pthread_mutex_unlock(&service->lock);
        if (answer)
                rt_call_finish(answer);
}

static void perform_closing(struct rt_task *task) {
        rt_held_end(rt_container_of(task, struct rt_held, closer));
}

void rt_held_end_soon(struct rt_held *held) {
        held->closer = (struct rt_task){ .kind = RT_CREW_SHORT, .owner = held->tenant_id, .perform = perform_closing };
        if (rt_crew_give(held->service->crew, &held->closer))
                return;
        (void)pthread_mutex_lock(&held->service->lock); /* it is out of the table: somebody must */
        held->next = held->service->held_left;
        held->service->held_left = held;
        (void)pthread_mutex_unlock(&held->service->lock);
}

void rt_context_close_start(struct rt_service *service, struct rt_call *call) {
        if (rt_call_prepare(service, call) < 0)
                return;
        (void)pthread_mutex_lock(&service->lock);
        struct rt_held *held = rt_held_find(service, call->caller.tenant_id, call->context_id);
        if (held) {
                rt_held_take_out(held);
                held->answer = call;
                service->n_calls++;
        }
        (void)pthread_mutex_unlock(&service->lock);
        if (held) {
                rt_held_end_soon(held);
                return;
        }
        call->trouble = RT_TROUBLE_UNKNOWN;
        (void)rt_fail(&call->err, RETORT_E_INPUT, "there is no such context");
        rt_call_answer(call);
}

/* ---- listing ---- */

static int newest_first(const void *a, const void *b) {
        const struct rt_held *const *one = a, *const *other = b;
        return strcmp((*other)->id, (*one)->id);
}

size_t rt_held_snapshot(struct rt_service *service, int64_t tenant_id, struct rt_held ***ret_held) {
        size_t n = 0;
        (void)pthread_mutex_lock(&service->lock);
        struct rt_held **all = calloc(service->n_held + 1, sizeof *all);
        for (size_t b = 0; all && b < RT_HELD_BUCKETS; b++)
                for (struct rt_held *held = service->held[b]; held; held = held->next)
                        if (!tenant_id || held->tenant_id == tenant_id) {
                                held->n_looking++;
                                all[n++] = held;
                        }
        (void)pthread_mutex_unlock(&service->lock);
        if (n)
                qsort(all, n, sizeof *all, newest_first);
        *ret_held = all;
        return n;
}

void rt_held_looked(struct rt_held *held) {
        struct rt_service *service = held->service;
        (void)pthread_mutex_lock(&service->lock);
        held->n_looking--;
        if (held->closing)
                (void)pthread_cond_broadcast(&service->idle);
        (void)pthread_mutex_unlock(&service->lock);
}

static bool is_wanted(const struct rt_listing *l, const struct rt_held *held, struct rt_context_record *record) {
        if ((l->after && strcmp(held->id, l->after) >= 0) || (l->language && strcmp(held->language, l->language) != 0))
                return false;
        rt_held_look((struct rt_held *)(uintptr_t)held, record);
        return l->state < 0 || l->state == (int)record->state;
}

static void perform_listing(struct rt_call *call) {
        struct rt_listing *l = rt_container_of(call, struct rt_listing, call);
        struct rt_held **all = NULL;
        size_t n = rt_held_snapshot(call->service, call->caller.tenant_id, &all);
        l->records = calloc((n < l->limit ? n : l->limit) + 1, sizeof *l->records);
        if (!l->records || !all)
                (void)rt_fail_nomem(&call->err);
        for (size_t i = 0; i < n; i++) {
                if (l->records && l->n < l->limit && is_wanted(l, all[i], &l->records[l->n]))
                        l->n++;
                rt_held_looked(all[i]);
        }
        free(all);
}

void rt_context_list_start(struct rt_service *service, struct rt_listing *listing) {
        listing->call.perform = perform_listing;
        rt_call_start(service, &listing->call);
}
