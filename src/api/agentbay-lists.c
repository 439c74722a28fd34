/* SPDX-License-Identifier: Apache-2.0
 *
 * CreateMcpSession and ListSession. Both begin with a look at the tenant's contexts: a session whose first one is gone is over.
 */
#include <stdlib.h>
#include <string.h>

#include "api/agentbay-control.h"
#include "base/err.h"
#include "base/util.h"

enum { PAGE_DEFAULT = 10, PAGE_MAX = 100, IMAGE_MAX = 128, CONTEXTS_MAX = 1024 };

static void start_listing(struct rt_ab_control *c, void (*done)(struct rt_call *call)) {
        c->began_ns = rt_now_ns();
        c->listing = (struct rt_listing){ .call = { .caller = c->x->caller, .kind = RT_CREW_SHORT, .done = done }, .state = -1, .limit = CONTEXTS_MAX };
        rt_exchange_keep(c->x);
        rt_context_list_start(c->x->service, &c->listing);
}

/* ---- making ---- */

static void on_opened(struct rt_call *call);

/* What the first context speaks matters little: files and commands do without. The one that starts soonest comes first. */
static void open_first(struct rt_ab_control *c) {
        static const char *const candidates[] = { "bash", "python", "javascript", "r", "java", NULL };
        const char *seconds = rt_ab_field(c, "IdleReleaseTimeout");
        uint64_t idle_ms = seconds ? strtoull(seconds, NULL, 10) * 1000 : 0;
        uint64_t most = c->x->config->contexts_lifetime;
        idle_ms = idle_ms ? idle_ms : c->x->config->agentbay_face_idle;
        c->opening = (struct rt_opening){ .call = { .caller = c->x->caller, .done = on_opened, .traceparent = rt_http_header(c->x->http, "traceparent") },
                                          .options = { .language = candidates[c->candidate], .idle_ms = idle_ms < most ? idle_ms : most } };
        rt_context_open_start(c->x->service, &c->opening);
}

static bool try_next(struct rt_ab_control *c) {
        const struct rt_call *call = &c->opening.call;
        bool other = call->err.code == RETORT_E_NO_RUNTIME || call->err.code == RETORT_E_INPUT;
        return other && !call->refusal.why && call->trouble == RT_TROUBLE_NONE && ++c->candidate < 5;
}

static void enter(struct rt_ab_control *c, const struct rt_context_record *record) {
        struct rt_ab_session *s = c->session;
        struct rt_ab_place place = { .state = RT_AB_OPEN };
        memcpy(s->id, record->id, sizeof s->id);
        memcpy(place.id, record->id, sizeof place.id);
        s->places[RT_AB_BASE] = place;
        for (size_t i = 0; i < RT_AB_LANGUAGES; i++)
                if (strcmp(record->language, rt_ab_languages[i]) == 0)
                        s->places[i] = place;
        rt_ab_session_enter(s);
}

static void on_opened(struct rt_call *call) {
        struct rt_ab_control *c = rt_container_of(rt_container_of(call, struct rt_opening, call), struct rt_ab_control, opening);
        struct rt_exchange *x = c->x;
        if (call->err.code && try_next(c)) {
                open_first(c);
                return;
        }
        if (call->err.code) {
                rt_ab_reply_call_failed(c, call);
        } else {
                enter(c, &call->record);
                rt_ab_reply(c, rt_ab_session_data(c, c->session), NULL);
        }
        rt_exchange_end(x);
}

static void on_swept(struct rt_call *call) {
        struct rt_ab_control *c = rt_container_of(rt_container_of(call, struct rt_listing, call), struct rt_ab_control, listing);
        struct rt_exchange *x = c->x;
        if (call->err.code) {
                rt_ab_reply_call_failed(c, call);
                rt_exchange_end(x);
                return;
        }
        rt_ab_sessions_sweep(x->agentbay, x->caller.tenant_id, c->began_ns, &c->listing);
        open_first(c);
}

void rt_ab_create(struct rt_ab_control *c) {
        const char *image = rt_ab_field(c, "ImageId");
        char *labels = rt_ab_labels(rt_ab_field(c, "Labels"));
        c->session = rt_ab_session_new(c->x->agentbay, &c->x->caller, c->key);
        if (c->session)
                c->session->labels = labels;
        else
                free(labels);
        if (c->session && image)
                c->session->image = strndup(image, IMAGE_MAX);
        if (!c->session)
                rt_ab_reply_failed(c, 500, "internal", "out of memory");
        else if (!labels)
                rt_ab_reply_failed(c, 400, "InvalidParameter", "Labels: must be a JSON object of texts, at most 16 KiB");
        else
                start_listing(c, on_swept);
}

/* ---- listing ---- */

struct page {
        json_t *labels; /* those that are wanted */
        const char *status;
        const char *after; /* the last one of the page before */
        size_t limit;
        json_t *found;
        size_t total;
        const char *next;
};

static const struct rt_context_record *record_of(const struct rt_listing *listing, const char *id) {
        for (size_t i = 0; i < listing->n; i++)
                if (strcmp(listing->records[i].id, id) == 0)
                        return &listing->records[i];
        return NULL;
}

static bool has_labels(const struct rt_ab_session *s, json_t *wanted) {
        const char *name;
        json_t *value;
        json_t *has = s->labels ? json_loads(s->labels, 0, NULL) : NULL;
        bool all = true;
        json_object_foreach(wanted, name, value)
                all = all && json_equal(json_object_get(has, name), value);
        json_decref(has);
        return all;
}

/* Under the table's lock. */
static void look_at(struct page *p, const struct rt_ab_session *s, const struct rt_context_record *record) {
        const char *status = record && record->state == RETORT_CONTEXT_PAUSED ? "PAUSED" : "RUNNING";
        if (!record || record->state == RETORT_CONTEXT_DEAD || (p->status && strcmp(p->status, status) != 0) || !has_labels(s, p->labels))
                return;
        p->total++;
        if (p->after && strcmp(s->id, p->after) >= 0)
                return;
        size_t n = json_array_size(p->found);
        if (n < p->limit)
                (void)json_array_append_new(p->found, json_pack("{s:s, s:s}", "SessionId", s->id, "SessionStatus", status));
        else if (!p->next)
                p->next = json_string_value(json_object_get(json_array_get(p->found, n - 1), "SessionId"));
}

static void on_listed(struct rt_call *call) {
        struct rt_ab_control *c = rt_container_of(rt_container_of(call, struct rt_listing, call), struct rt_ab_control, listing);
        struct rt_exchange *x = c->x;
        struct rt_agentbay *table = x->agentbay;
        const char *limit = rt_ab_field(c, "MaxResults");
        const char *labels = rt_ab_field(c, "Labels");
        const char *after = rt_ab_field(c, "NextToken");
        const char *status = rt_ab_field(c, "Status");
        unsigned long long asked = limit ? strtoull(limit, NULL, 10) : PAGE_DEFAULT;
        struct page p = { .labels = labels && *labels ? json_loads(labels, 0, NULL) : NULL, .status = status && *status ? status : NULL,
                          .after = after && *after ? after : NULL, .limit = asked < 1 ? PAGE_DEFAULT : asked < PAGE_MAX ? asked : PAGE_MAX,
                          .found = json_array() };
        if (call->err.code) {
                rt_ab_reply_call_failed(c, call);
        } else {
                rt_ab_sessions_sweep(table, x->caller.tenant_id, c->began_ns, &c->listing);
                (void)pthread_mutex_lock(&table->lock);
                for (const struct rt_ab_session *s = table->sessions; s; s = s->next)
                        if (s->caller.tenant_id == x->caller.tenant_id)
                                look_at(&p, s, record_of(&c->listing, s->id));
                (void)pthread_mutex_unlock(&table->lock);
                json_t *more = json_pack("{s:I, s:I, s:s}", "TotalCount", (json_int_t)p.total, "MaxResults", (json_int_t)p.limit, "NextToken",
                                         p.next ? p.next : "");
                rt_ab_reply(c, json_incref(p.found), more);
        }
        json_decref(p.found);
        json_decref(p.labels);
        rt_exchange_end(x);
}

void rt_ab_list(struct rt_ab_control *c) {
        start_listing(c, on_listed);
}
