/* SPDX-License-Identifier: Apache-2.0 */
#include "api/asking.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"

enum { HURRY_MS = 1000 };

/* ---- what went wrong ---- */

/* The file system's words, as HTTP has them. */
static bool refuse_file(struct rt_exchange *x, int number, const char *detail) {
        switch (number) {
        case ENOENT:
        case ENOTDIR:
                rt_exchange_refuse(x, 404, "no-such-file", detail);
                return true;
        case EISDIR:
                rt_exchange_refuse(x, 400, "is-a-directory", detail);
                return true;
        case EACCES:
        case EPERM:
        case EROFS:
                rt_exchange_refuse(x, 403, "file-denied", detail);
                return true;
        case EEXIST:
        case ENOTEMPTY:
        case EBUSY:
                rt_exchange_refuse(x, 409, "file-exists", detail);
                return true;
        case ENOSPC:
        case EDQUOT:
        case EFBIG:
                rt_exchange_refuse(x, 507, "no-room", detail);
                return true;
        case EINVAL:
        case ELOOP:
        case ENAMETOOLONG:
        case EXDEV:
                rt_exchange_refuse(x, 400, "invalid-request", detail);
                return true;
        default:
                return false;
        }
}

static bool refuse_trouble(struct rt_exchange *x, enum rt_trouble trouble, const char *detail) {
        switch (trouble) {
        case RT_TROUBLE_UNKNOWN:
                rt_exchange_refuse(x, 404, "no-such-context", detail);
                return true;
        case RT_TROUBLE_ENDED:
                rt_exchange_refuse(x, 409, "context-ended", detail);
                return true;
        case RT_TROUBLE_PAUSED:
                rt_exchange_refuse(x, 409, "context-paused", detail);
                return true;
        case RT_TROUBLE_BUSY:
                rt_exchange_refuse(x, 409, "context-busy", detail);
                return true;
        case RT_TROUBLE_CROWDED:
                x->refusal.retry_after_s = 1;
                rt_exchange_refuse(x, 429, "context-crowded", detail);
                return true;
        case RT_TROUBLE_NONE:
                break;
        }
        return false;
}

static void fail(struct rt_asking *a) {
        struct rt_exchange *x = a->x;
        const struct retort_error *err = &a->call->err;
        if (a->call->refusal.why) {
                rt_exchange_refused(x, &a->call->refusal, err);
                return;
        }
        char detail[sizeof err->message + 8];
        (void)snprintf(detail, sizeof detail, "path: %s", err->message);
        if (refuse_trouble(x, a->call->trouble, err->message) || (a->number && refuse_file(x, a->number, detail)))
                return;
        if (err->code == RETORT_E_ISOLATION)
                rt_exchange_refuse(x, 501, "not-supported", err->message);
        else
                rt_exchange_fail(x, err);
}

bool rt_asking_succeeded(struct rt_asking *a, int r) {
        int number = errno;
        if (r == 0)
                return true;
        a->number = a->call->err.code == RETORT_E_INPUT ? number : 0;
        switch (a->number) { /* those that refuse_file knows say enough */
        case ENOENT: case ENOTDIR: case EISDIR: case EACCES: case EPERM: case EROFS: case EEXIST: case ENOTEMPTY: case EBUSY:
        case ENOSPC: case EDQUOT: case EFBIG:
                break;
        default:
                rt_call_failed(a->call);
        }
        return false;
}

/* ---- from start to end ---- */

static void on_gone(struct rt_exchange *x) {
        struct rt_asking *a = x->data;
        atomic_store(&a->gone, true);
        rt_call_cancel(a->call);
}

static void cut(struct rt_call *call) {
        struct rt_asking *a = rt_asking_of(call);
        atomic_store(&a->hurry, true);
        if (atomic_load(&a->writing))
                rt_http_cut(a->x->http);
}

static void reply(struct rt_asking *a) {
        struct retort_error err = { 0 };
        if (a->outcome && retort_outcome_json(a->outcome, &a->json, &err) < 0)
                rt_exchange_fail(a->x, &err);
        else if (a->json)
                rt_exchange_reply_json(a->x, a->status, rt_take(a->json));
        else
                rt_exchange_reply(a->x, 204, NULL, NULL, 0);
}

static void on_done(struct rt_call *call) {
        struct rt_asking *a = rt_asking_of(call);
        struct rt_exchange *x = a->x;
        if (a->stream)
                rt_http_stream_close(a->stream);
        else if (call->err.code)
                fail(a);
        else if (a->answer)
                a->answer(a);
        else
                reply(a);
        free(rt_take(a->json));
        retort_outcome_free(rt_take(a->outcome));
        rt_exchange_end(x);
}

void rt_asking_init(struct rt_asking *a, struct rt_exchange *x, struct rt_call *call, enum rt_crew_kind kind,
                    void (*perform)(struct rt_call *call)) {
        a->x = x;
        a->call = call;
        a->status = 200;
        a->patience_ms = -1;
        call->caller = x->caller;
        call->context_id = x->parameters[0];
        call->kind = kind;
        call->traceparent = rt_http_header(x->http, "traceparent");
        call->perform = perform;
        call->done = on_done;
        call->cut = cut;
        call->userdata = a;
        x->data = a;
        x->on_gone = on_gone;
        rt_exchange_keep(x); /* on_done lets go of it */
}

void rt_asking_start(struct rt_asking *a) {
        rt_call_start(a->x->service, a->call);
}

/* ---- what is asked ---- */

bool rt_asking_read(struct rt_exchange *x, const struct rt_shape *shape, bool may_be_empty, void *object) {
        struct retort_bytes body = rt_http_body(x->http);
        struct retort_error err = { 0 };
        if (may_be_empty && body.size == 0)
                return true;
        if (!rt_exchange_has_json(x))
                return false;
        if (rt_shape_parse(shape, "request", body.data, body.size, RT_STRICT, &x->arena, object, &err) == 0)
                return true;
        rt_exchange_fail(x, &err);
        return false;
}

bool rt_asking_number(struct rt_exchange *x, const char *name, uint64_t low, uint64_t high, uint64_t *ret) {
        const char *text = rt_http_query(x->http, name);
        char *end = NULL;
        if (!text)
                return true;
        errno = 0;
        unsigned long long value = strtoull(text, &end, 10);
        if (*text >= '0' && *text <= '9' && *end == 0 && errno == 0 && value >= low && value <= high) {
                *ret = value;
                return true;
        }
        char words[128];
        (void)snprintf(words, sizeof words, "%s: must be a number from %llu to %llu", name, (unsigned long long)low, (unsigned long long)high);
        rt_exchange_refuse(x, 400, "invalid-request", words);
        return false;
}

bool rt_asking_flag(struct rt_exchange *x, const char *name, bool *ret) {
        const char *text = rt_http_query(x->http, name);
        char words[64];
        if (!text)
                return true;
        *ret = strcmp(text, "true") == 0;
        if (*ret || strcmp(text, "false") == 0)
                return true;
        (void)snprintf(words, sizeof words, "%s: must be true or false", name);
        rt_exchange_refuse(x, 400, "invalid-request", words);
        return false;
}

/* ---- streams ---- */

/* Either whoever is in a hurry sees that something is being written, or that is written in a hurry. */
static int patience(struct rt_asking *a) {
        atomic_store(&a->writing, true);
        return atomic_load(&a->hurry) ? HURRY_MS : a->patience_ms;
}

static bool wrote(struct rt_asking *a, int r) {
        atomic_store(&a->writing, false);
        if (r < 0)
                atomic_store(&a->gone, true);
        return r == 0;
}

bool rt_asking_tell(struct rt_asking *a, const char *json, size_t size) {
        if (!a->stream) /* not before: until something has happened a refusal can still be said by status */
                a->stream = rt_event_stream_open(a->x, a->form);
        if (!a->stream || atomic_load(&a->gone))
                return false;
        return wrote(a, rt_event_stream_write(a->stream, a->form, json, size, patience(a)));
}

bool rt_asking_write(struct rt_asking *a, const void *data, size_t size) {
        return !atomic_load(&a->gone) && wrote(a, rt_http_stream_write(a->stream, data, size, patience(a)));
}

void rt_asking_on_event(const struct retort_event *event, void *userdata) {
        struct rt_asking *a = userdata;
        rt_auto_free char *json = NULL;
        if (atomic_load(&a->gone))
                return;
        if (retort_event_json(event, &json, NULL) < 0 || !rt_asking_tell(a, json, strlen(json)))
                rt_call_cancel(a->call);
}

/* ---- records ---- */

json_t *rt_asking_record(const struct rt_context_record *r) {
        char created[25];
        rt_time_text(created, r->created_ms);
        json_t *made = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:o}", "id", r->id, "language", r->language, "version",
                                 r->version, "state", retort_context_state_name(r->state), "box", r->box, "created_at", created, "age_ms",
                                 (json_int_t)r->age_ms, "idle_ms", (json_int_t)r->idle_ms, "execution_count",
                                 (json_int_t)r->execution_count, "features", json_array());
        json_t *features = json_object_get(made, "features");
        const struct {
                bool has;
                const char *name;
        } all[] = { { r->can_fork, "fork" }, { r->can_complete, "complete" }, { r->can_inspect, "inspect" } };
        for (size_t i = 0; i < RT_LEN(all); i++)
                if (all[i].has)
                        (void)json_array_append_new(features, json_string(all[i].name));
        if (made && r->why[0])
                (void)json_object_set_new(made, "why", json_string(r->why));
        return made;
}

void rt_asking_answer_record(struct rt_asking *a) {
        json_t *record = rt_asking_record(&a->call->record);
        rt_exchange_reply_json(a->x, a->status, record ? json_dumps(record, JSON_COMPACT) : NULL);
        json_decref(record);
}
