/* SPDX-License-Identifier: Apache-2.0
 *
 * /v1/jobs: accepted now, run later, kept until somebody asks. What was answered with 202 is on the disk.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/native.h"
#include "base/err.h"
#include "base/util.h"

enum { BATCH_MAX = 1000, LIST_MAX = 1000, LIST_DEFAULT = 50, WAIT_MAX_MS = 120000, JOB_JSON_MAX = 1 << 30 };

/* ---- reading what is to be accepted ---- */

struct reading {
        struct rt_exchange *x;
        struct rt_job_order *orders;
        size_t n;
};

static int read_order(struct reading *in, json_t *value, const char *where, struct retort_error *err) {
        struct rt_job_order *order = &in->orders[in->n];
        json_t *request = NULL;
        int priority = 0;
        const char *callback = NULL;
        json_error_t wrong;
        if (!json_is_object(value))
                return rt_fail(err, RETORT_E_INPUT, "%s: must be an object", where);
        if (json_unpack_ex(value, &wrong, JSON_STRICT, "{s:o, s?i, s?s}", "request", &request, "priority", &priority,
                           "callback_url", &callback) < 0)
                return rt_fail(err, RETORT_E_INPUT, "%s: %s; known here: request, priority, callback_url", where, wrong.text);
        if (priority < -10 || priority > 10)
                return rt_fail(err, RETORT_E_INPUT, "priority: must be from -10 to 10");
        rt_auto_free char *text = json_dumps(request, JSON_COMPACT | JSON_ENCODE_ANY);
        struct retort_request *parsed = NULL;
        if (!text)
                return rt_fail_nomem(err);
        int r = retort_request_parse(text, strlen(text), &parsed, err);
        if (r < 0)
                return r;
        *order = (struct rt_job_order){ .caller = in->x->caller, .request = parsed, .priority = priority,
                                        .callback_url = callback ? rt_arena_strdup(&in->x->arena, callback) : NULL,
                                        .traceparent = rt_http_header(in->x->http, "traceparent") };
        in->n++;
        return 0;
}

static void free_orders(struct reading *in) {
        for (size_t i = 0; i < in->n; i++)
                retort_request_free((struct retort_request *)(uintptr_t)in->orders[i].request);
}

/* One job is {request, ...}; several are {jobs: [{request, ...}, ...]}. */
static int read_orders(struct reading *in, json_t *root, struct retort_error *err) {
        json_t *list = json_object_get(root, "jobs");
        size_t n = list ? json_array_size(list) : 1;
        if (list && (!json_is_array(list) || n == 0 || n > BATCH_MAX || json_object_size(root) != 1))
                return rt_fail(err, RETORT_E_INPUT, "jobs: must be a list of 1 to %d jobs, and stand alone", BATCH_MAX);
        in->orders = rt_arena_array(&in->x->arena, n, sizeof *in->orders);
        if (!in->orders)
                return rt_fail_nomem(err);
        if (!list)
                return read_order(in, root, "job", err);
        for (size_t i = 0; i < n; i++) {
                char where[32];
                (void)snprintf(where, sizeof where, "jobs[%zu]", i);
                int r = read_order(in, json_array_get(list, i), where, err);
                if (r < 0)
                        return rt_wrap(err, r, "%s", where);
        }
        return 0;
}

/* ---- answering ---- */

static void reply_ids(struct rt_exchange *x, const char *ids, size_t n, bool batch, bool existed) {
        json_t *list = json_array();
        for (size_t i = 0; i < n; i++)
                (void)json_array_append_new(list, json_pack("{s:s, s:s}", "id", ids + i * 27, "state", "queued"));
        json_t *answer = batch ? json_pack("{s:O}", "jobs", list)
                               : json_pack("{s:s, s:b}", "id", ids, "existed", existed);
        rt_exchange_reply_json(x, 202, answer ? json_dumps(answer, JSON_COMPACT) : NULL);
        json_decref(answer);
        json_decref(list);
}

static void accept_orders(struct rt_exchange *x, struct reading *in, bool batch) {
        struct rt_refusal refusal = { 0 };
        struct retort_error err = { 0 };
        bool existed = false;
        char *ids = rt_arena_alloc(&x->arena, in->n * 27);
        int r;
        if (!ids)
                r = rt_fail_nomem(&err);
        else if (batch)
                r = rt_service_jobs_accept(x->service, in->orders, in->n, ids, &refusal, &err);
        else
                r = rt_service_job_accept(x->service, &in->orders[0], ids, &existed, &refusal, &err);
        if (r < 0)
                rt_exchange_refused(x, &refusal, &err);
        else
                reply_ids(x, ids, in->n, batch, existed);
}

void rt_native_job_accept(struct rt_exchange *x) {
        struct retort_bytes body = rt_http_body(x->http);
        struct retort_error err = { 0 };
        json_error_t wrong;
        if (!rt_exchange_has_json(x))
                return;
        json_t *root = json_loadb(body.data, body.size, JSON_REJECT_DUPLICATES, &wrong);
        if (!root) {
                (void)rt_fail(&err, RETORT_E_INPUT, "not JSON: line %d, column %d: %s", wrong.line, wrong.column, wrong.text);
                rt_exchange_fail(x, &err);
                return;
        }
        struct reading in = { .x = x };
        bool batch = json_object_get(root, "jobs") != NULL;
        const char *key = rt_http_header(x->http, "Idempotency-Key");
        int r = read_orders(&in, root, &err);
        if (r == 0 && key && (batch || strlen(key) > 255))
                r = rt_fail(&err, RETORT_E_INPUT, "Idempotency-Key: at most 255 characters, and not for a batch");
        if (r < 0) {
                rt_exchange_fail(x, &err);
        } else {
                in.orders[0].idempotency_key = key;
                accept_orders(x, &in, batch);
        }
        free_orders(&in);
        json_decref(root);
}

/* ---- showing ---- */

static void add_time(json_t *object, const char *name, int64_t unix_ms) {
        char text[25];
        if (unix_ms > 0) {
                rt_time_text(text, unix_ms);
                (void)json_object_set_new(object, name, json_string(text));
        }
}

static json_t *describe(const struct rt_store_job *job) {
        static const char *const states[] = { "queued", "running", "done" };
        json_t *object = json_pack("{s:s, s:s, s:i, s:i}", "id", job->id, "state", states[job->state], "priority", job->priority,
                                   "attempts", job->attempts);
        add_time(object, "created_at", job->created_ms);
        add_time(object, "started_at", job->started_ms);
        add_time(object, "finished_at", job->finished_ms);
        if (job->status)
                (void)json_object_set_new(object, "status", json_string(job->status));
        if (job->callback_url) {
                static const char *const sent[] = { "pending", "delivered", "given_up" };
                (void)json_object_set_new(object, "callback", json_string(sent[job->callback_state]));
        }
        return object;
}

/* The outcome is JSON already: its bytes are put in as they are. */
static void reply_job(struct rt_exchange *x, const struct rt_store_job *job) {
        rt_auto_buf struct rt_buf text = RT_BUF(JOB_JSON_MAX);
        json_t *object = describe(job);
        char *head = object ? json_dumps(object, JSON_COMPACT) : NULL;
        json_decref(object);
        if (!head) {
                rt_exchange_refuse(x, 500, "internal", "out of memory");
                return;
        }
        (void)rt_buf_add(&text, head, strlen(head) - 1);
        free(head);
        if (job->outcome_json)
                (void)rt_buf_printf(&text, ",\"outcome\":");
        if (job->outcome_json)
                (void)rt_buf_add(&text, job->outcome_json, strlen(job->outcome_json));
        if (rt_buf_add(&text, "}", 1) != RT_BUF_OK)
                rt_exchange_refuse(x, 500, "internal", "out of memory");
        else
                rt_exchange_reply(x, 200, "application/json", text.data, text.size);
}

static void show(struct rt_exchange *x) {
        struct rt_store_job job;
        struct retort_error err = { 0 };
        int r = rt_store_job_get(rt_service_store(x->service), x->parameters[0], x->caller.tenant_id, &x->arena, &job, &err);
        if (r == RETORT_E_INPUT)
                rt_exchange_refuse(x, 404, "no-such-job", err.message);
        else if (r < 0)
                rt_exchange_fail(x, &err);
        else
                reply_job(x, &job);
}

static void on_waited(bool done, void *userdata) {
        struct rt_exchange *x = userdata;
        (void)done;
        show(x);
        rt_exchange_end(x);
}

/* "30s", "1500ms", "2m", "30": seconds. -1: none of these. */
static int wait_ms(const char *text) {
        char *end;
        errno = 0;
        double value = strtod(text, &end);
        double unit = strcmp(end, "ms") == 0 ? 1 : strcmp(end, "m") == 0 ? 60000 : strcmp(end, "s") == 0 || !*end ? 1000 : -1;
        if (end == text || errno || unit < 0 || !(value >= 0) || value * unit > WAIT_MAX_MS)
                return -1;
        return (int)(value * unit);
}

void rt_native_job_get(struct rt_exchange *x) {
        const char *wait = rt_http_query(x->http, "wait");
        struct retort_error err = { 0 };
        if (!wait) {
                show(x);
                return;
        }
        int timeout = wait_ms(wait);
        if (timeout < 0) {
                rt_exchange_refuse(x, 400, "invalid-request", "wait: a time such as 30s, at most 120s");
                return;
        }
        rt_exchange_keep(x);
        int r = rt_service_job_wait(x->service, &x->caller, x->parameters[0], timeout, on_waited, x, &err);
        if (r < 0) {
                rt_exchange_refuse(x, r == RETORT_E_INPUT ? 404 : 500, r == RETORT_E_INPUT ? "no-such-job" : "internal", err.message);
                rt_exchange_end(x);
        }
}

void rt_native_job_cancel(struct rt_exchange *x) {
        struct retort_error err = { 0 };
        int r = rt_service_job_cancel(x->service, &x->caller, x->parameters[0], &err);
        if (r == RETORT_E_INPUT)
                rt_exchange_refuse(x, 404, "no-such-job", err.message);
        else if (r < 0)
                rt_exchange_fail(x, &err);
        else
                show(x);
}

/* ---- listing ---- */

static int read_filter(struct rt_exchange *x, struct rt_store_job_filter *filter, struct retort_error *err) {
        static const char *const states[] = { "queued", "running", "done" };
        const char *state = rt_http_query(x->http, "state");
        const char *limit = rt_http_query(x->http, "limit");
        char *end = NULL;
        *filter = (struct rt_store_job_filter){ .tenant_id = x->caller.tenant_id, .state = -1, .limit = LIST_DEFAULT,
                                                .status = rt_http_query(x->http, "status"),
                                                .language = rt_http_query(x->http, "language"),
                                                .after_id = rt_http_query(x->http, "after") };
        for (int i = 0; state && i < 3; i++)
                if (strcmp(state, states[i]) == 0)
                        filter->state = i;
        if (state && filter->state < 0)
                return rt_fail(err, RETORT_E_INPUT, "state: must be queued, running or done");
        if (limit)
                filter->limit = strtoul(limit, &end, 10);
        if (limit && (end == limit || *end || filter->limit < 1 || filter->limit > LIST_MAX))
                return rt_fail(err, RETORT_E_INPUT, "limit: must be from 1 to %d", LIST_MAX);
        return 0;
}

void rt_native_job_list(struct rt_exchange *x) {
        struct rt_store_job_filter filter;
        struct rt_store_job *jobs = NULL;
        size_t n = 0;
        struct retort_error err = { 0 };
        int r = read_filter(x, &filter, &err);
        if (r == 0)
                r = rt_store_jobs(rt_service_store(x->service), &filter, &x->arena, &jobs, &n, &err);
        if (r < 0) {
                rt_exchange_fail(x, &err);
                return;
        }
        json_t *list = json_array();
        for (size_t i = 0; i < n; i++)
                (void)json_array_append_new(list, describe(&jobs[i]));
        json_t *answer = json_pack("{s:o, s:s?}", "jobs", list, "next", n == filter.limit ? jobs[n - 1].id : NULL);
        rt_exchange_reply_json(x, 200, answer ? json_dumps(answer, JSON_COMPACT) : NULL);
        json_decref(answer);
}
