/* SPDX-License-Identifier: Apache-2.0
 *
 * POST /api/execute, in both modes, and GET /api/result/{id}.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "api/runtime.h"
#include "base/err.h"
#include "base/util.h"
#include "model/runtime_api.h"

/* What was asked, kept until it is answered. */
struct asked {
        struct rt_exchange *x;
        const char *language;
        const char *code;
        int64_t code_id;
        bool docs;
        _Atomic(struct rt_ticket *) ticket;
        atomic_bool gone;
};

static char *view_of(const struct rt_exchange *x, const struct retort_outcome *outcome, bool docs, struct rt_arena *arena,
                     struct retort_error *err) {
        char *json = NULL;
        if (!docs || !x->config->runtime_face_strict)
                return retort_outcome_view(outcome, docs ? "runtime" : "runtime-head", &json, err) == 0 ? json : NULL;
        struct rt_runtime_docs_response response;
        if (rt_runtime_docs_of(outcome, RT_RUNTIME_EXIT_ZERO, arena, &response, err) < 0)
                return NULL;
        return rt_shape_json(&rt_runtime_docs_response_shape, &response, &json, err) == 0 ? json : NULL;
}

/* ---- history ---- */

void rt_runtime_remember(struct rt_service *service, const struct rt_caller *caller, int64_t code_id, const char *language,
                         const char *code, const struct retort_outcome *outcome) {
        if (!caller->user_id)
                return;
        struct rt_store_submission submission = { .user_id = caller->user_id, .code_id = code_id, .language = language,
                                                  .code = code };
        (void)rt_service_remember(service, outcome, &submission, NULL);
}

/* ---- direct ---- */

static void cancel(struct asked *a) {
        atomic_store(&a->gone, true);
        struct rt_ticket *ticket = atomic_load(&a->ticket);
        if (ticket)
                rt_ticket_cancel(ticket);
}

static void on_gone(struct rt_exchange *x) {
        cancel(x->data);
}

static void free_asked(void *pointer) {
        struct asked *a = pointer;
        struct rt_ticket *ticket = atomic_load(&a->ticket);
        if (ticket)
                rt_ticket_free(ticket);
        free(a);
}

static void fail(struct rt_exchange *x, const struct retort_error *err, bool docs) {
        const char *prefix = docs && err->code == RETORT_E_INPUT ? "" : "Execution failed: ";
        char *message = rt_arena_printf(&x->arena, "%s%s", prefix, err->message);
        rt_runtime_reply(x, err->code == RETORT_E_INPUT || err->code == RETORT_E_NO_RUNTIME ? 400 : 503, false,
                         message ? message : "out of memory", NULL);
}

static void on_end(struct retort_outcome *outcome, const struct retort_error *err, void *userdata) {
        struct asked *a = userdata;
        struct rt_exchange *x = a->x;
        struct retort_error failed = { 0 };
        if (outcome) {
                char *json = view_of(x, outcome, a->docs, &x->arena, &failed);
                rt_runtime_remember(x->service, &x->caller, a->code_id, a->language, a->code, outcome);
                rt_exchange_reply_json(x, 200, json);
        } else {
                fail(x, err, a->docs);
        }
        retort_outcome_free(outcome);
        rt_exchange_end(x);
}

static void run(struct asked *a, const struct retort_request *request) {
        struct rt_exchange *x = a->x;
        struct rt_refusal refusal = { 0 };
        struct retort_error err = { 0 };
        struct rt_ticket *ticket = NULL;
        struct rt_run_order order = { .caller = x->caller, .request = request, .on_end = on_end, .userdata = a };
        x->on_gone = on_gone;
        rt_exchange_keep(x);
        int r = rt_service_run(x->service, &order, &ticket, &refusal, &err);
        atomic_store(&a->ticket, ticket);
        if (r == 0) {
                if (atomic_load(&a->gone))
                        cancel(a);
                return;
        }
        if (refusal.why)
                rt_exchange_refused(x, &refusal, &err);
        else
                fail(x, &err, a->docs);
        rt_exchange_end(x);
}

/* ---- queue ---- */

static void submit(struct asked *a, const struct retort_request *request) {
        struct rt_exchange *x = a->x;
        struct rt_refusal refusal = { 0 };
        struct retort_error err = { 0 };
        char id[27], data[32];
        bool existed;
        const struct rt_job_order order = { .caller = x->caller, .request = request, .code_id = a->code_id };
        int r = rt_service_job_accept(x->service, &order, id, &existed, &refusal, &err);
        if (r < 0 && refusal.why) {
                rt_exchange_refused(x, &refusal, &err);
        } else if (r < 0) {
                char *message = rt_arena_printf(&x->arena, "Failed to submit job: %s", err.message);
                rt_runtime_reply(x, r == RETORT_E_INPUT || r == RETORT_E_NO_RUNTIME ? 400 : 503, false, message ? message : "", NULL);
        } else {
                (void)snprintf(data, sizeof data, "\"%s\"", id);
                rt_runtime_reply(x, 200, true, "Job submitted", data);
        }
}

/* The outcome is stored as the native record; its view is computed when somebody asks. */
static void reply_finished(struct rt_exchange *x, const struct rt_store_job *job) {
        struct retort_outcome *outcome = NULL;
        struct retort_error err = { 0 };
        int r = retort_outcome_parse(job->outcome_json, strlen(job->outcome_json), &outcome, &err);
        if (r == 0 && outcome->status == RETORT_INTERNAL) {
                rt_runtime_reply(x, 200, true, "FAILED", NULL);
        } else if (r == 0) {
                rt_auto_free char *view = view_of(x, outcome, rt_runtime_docs(x), &x->arena, &err);
                json_t *text = view ? json_string(view) : NULL; /* the front end parses a text inside the answer */
                rt_auto_free char *data = text ? json_dumps(text, JSON_ENCODE_ANY) : NULL;
                json_decref(text);
                rt_runtime_reply(x, data ? 200 : 500, data != NULL, data ? "COMPLETED" : "out of memory", data);
        } else {
                rt_runtime_reply(x, 500, false, err.message, NULL);
        }
        retort_outcome_free(outcome);
}

void rt_runtime_result(struct rt_exchange *x) {
        struct rt_store_job job;
        struct retort_error err = { 0 };
        int r = rt_store_job_get(rt_service_store(x->service), x->parameters[0], x->caller.tenant_id, &x->arena, &job, &err);
        if (r == RETORT_E_INPUT)
                rt_runtime_reply(x, 404, false, "Invalid jobId", NULL);
        else if (r < 0)
                rt_runtime_reply(x, 500, false, err.message, NULL);
        else if (job.state == RT_JOB_DONE && job.outcome_json)
                reply_finished(x, &job);
        else
                rt_runtime_reply(x, 200, true, job.state == RT_JOB_QUEUED ? "QUEUED" : "RUNNING", NULL);
}

/* ---- both ---- */

static const char *optional_text(json_t *body, const char *key, bool *bad) {
        json_t *value = json_object_get(body, key);
        *bad |= value && !json_is_null(value) && !json_is_string(value);
        return json_string_value(value);
}

/* The documentation's own spelling of JavaScript is "js" alone; both are good here. */
static const char *wrong_with(struct asked *a, bool bad) {
        if (bad)
                return "code, language and stdin must be texts";
        if (!a->code || !*a->code)
                return "Code cannot be empty";
        if (!a->language || !*a->language)
                return "Language cannot be empty";
        return NULL;
}

static void execute(struct rt_exchange *x, json_t *body) {
        bool bad = false;
        struct asked *a = calloc(1, sizeof *a);
        if (!a) {
                rt_runtime_reply(x, 500, false, "out of memory", NULL);
                return;
        }
        x->data = a;
        x->free_data = free_asked;
        a->x = x;
        a->docs = rt_runtime_docs(x);
        const char *code = optional_text(body, "code", &bad);
        const char *language = optional_text(body, "language", &bad);
        const char *input = optional_text(body, "stdin", &bad);
        a->code = code ? rt_arena_strdup(&x->arena, code) : NULL;
        a->language = language ? rt_arena_strdup(&x->arena, language) : NULL;
        a->code_id = json_integer_value(json_object_get(body, "projectId"));
        const char *wrong = wrong_with(a, bad);
        if (wrong) {
                rt_runtime_reply(x, 400, false, wrong, NULL);
                return;
        }
        struct retort_request request = rt_runtime_request(a->language, a->code, input);
        if (strcmp(x->config->runtime_face_mode, "queue") == 0)
                submit(a, &request);
        else
                run(a, &request);
}

void rt_runtime_execute(struct rt_exchange *x) {
        json_t *body = rt_runtime_body(x);
        if (body)
                execute(x, body);
        json_decref(body);
}
