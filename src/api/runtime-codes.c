/* SPDX-License-Identifier: Apache-2.0
 *
 * Saved code and the history of runs. Times go out as the front end reads them: ISO, and in UTC.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/runtime.h"
#include "base/err.h"
#include "base/util.h"

enum { TITLE_MAX_BYTES = 300, CODE_MAX_BYTES = 1 << 20, HISTORY_MAX = 500 };

static json_t *time_of(int64_t unix_ms) {
        char text[25];
        rt_time_text(text, unix_ms);
        return json_string(text);
}

static json_t *describe_code(const struct rt_store_code *c) {
        return json_pack("{s:I, s:s, s:s, s:s, s:o, s:o}", "id", (json_int_t)c->id, "title", c->title, "language", c->language,
                         "code", c->code, "createdAt", time_of(c->created_ms), "updatedAt", time_of(c->updated_ms));
}

/* value is let go of. */
static void reply_value(struct rt_exchange *x, const char *message, json_t *value) {
        rt_auto_free char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
        json_decref(value);
        rt_runtime_reply(x, text ? 200 : 500, text != NULL, text ? message : "out of memory", text);
}

static void reply_error(struct rt_exchange *x, int r, const struct retort_error *err) {
        if (r == RETORT_E_INPUT)
                rt_runtime_reply(x, 404, false, "Not found", NULL);
        else
                rt_runtime_reply(x, 500, false, err->message, NULL);
}

static bool has_user(struct rt_exchange *x) {
        if (!x->caller.user_id)
                rt_runtime_reply(x, 403, false, "this needs a user; an API key has none", NULL);
        return x->caller.user_id != 0;
}

/* 0: not a number, so nobody's. */
static int64_t id_of(const struct rt_exchange *x) {
        char *end;
        errno = 0;
        long long id = strtoll(x->parameters[0], &end, 10);
        return errno || *end || id < 0 ? 0 : id;
}

void rt_runtime_codes_list(struct rt_exchange *x) {
        struct rt_store_code *codes;
        size_t n;
        struct retort_error err = { 0 };
        if (!has_user(x))
                return;
        int r = rt_store_codes(rt_service_store(x->service), x->caller.user_id, &x->arena, &codes, &n, &err);
        if (r < 0) {
                reply_error(x, r, &err);
                return;
        }
        json_t *list = json_array();
        for (size_t i = 0; i < n; i++)
                (void)json_array_append_new(list, describe_code(&codes[i]));
        reply_value(x, "OK", list);
}

static void reply_code(struct rt_exchange *x, int64_t id, const char *message) {
        struct rt_store_code code;
        struct retort_error err = { 0 };
        int r = rt_store_code_get(rt_service_store(x->service), id, x->caller.user_id, &x->arena, &code, &err);
        if (r < 0)
                reply_error(x, r, &err);
        else
                reply_value(x, message, describe_code(&code));
}

void rt_runtime_codes_get(struct rt_exchange *x) {
        if (has_user(x))
                reply_code(x, id_of(x), "OK");
}

/* Fills what the body has; false when it has answered. */
static bool read_code(struct rt_exchange *x, json_t *body, bool whole, struct rt_store_code *ret) {
        const char *keys[] = { "title", "language", "code" };
        const char **members[] = { &ret->title, &ret->language, &ret->code };
        for (size_t i = 0; i < RT_LEN(keys); i++) {
                json_t *value = json_object_get(body, keys[i]);
                size_t most = i == 2 ? CODE_MAX_BYTES : TITLE_MAX_BYTES;
                bool missing = !value || json_is_null(value);
                if ((missing && whole && i < 2) || (!missing && (!json_is_string(value) || json_string_length(value) > most)) ||
                    (!missing && i < 2 && json_string_length(value) == 0)) {
                        char *message = rt_arena_printf(&x->arena, "%s: must be a text of 1 to %zu bytes", keys[i], most);
                        rt_runtime_reply(x, 400, false, message ? message : keys[i], NULL);
                        return false;
                }
                if (!missing)
                        *members[i] = json_string_value(value);
        }
        if (whole && !ret->code)
                ret->code = "";
        return true;
}

void rt_runtime_codes_add(struct rt_exchange *x) {
        struct rt_store_code code = { .user_id = x->caller.user_id };
        struct retort_error err = { 0 };
        json_t *body = has_user(x) ? rt_runtime_body(x) : NULL;
        if (body && read_code(x, body, true, &code)) {
                code.created_ms = code.updated_ms = (int64_t)time(NULL) * 1000;
                int r = rt_store_code_add(rt_service_store(x->service), &code, &err);
                if (r < 0)
                        reply_error(x, r, &err);
                else
                        reply_code(x, code.id, "Created");
        }
        json_decref(body);
}

void rt_runtime_codes_change(struct rt_exchange *x) {
        struct rt_store_code code = { .id = id_of(x), .user_id = x->caller.user_id };
        struct retort_error err = { 0 };
        json_t *body = has_user(x) ? rt_runtime_body(x) : NULL;
        if (body && read_code(x, body, false, &code)) {
                code.updated_ms = (int64_t)time(NULL) * 1000;
                int r = rt_store_code_update(rt_service_store(x->service), &code, &err);
                if (r < 0)
                        reply_error(x, r, &err);
                else
                        reply_code(x, code.id, "Updated");
        }
        json_decref(body);
}

void rt_runtime_codes_delete(struct rt_exchange *x) {
        struct retort_error err = { 0 };
        if (!has_user(x))
                return;
        int r = rt_store_code_delete(rt_service_store(x->service), id_of(x), x->caller.user_id, &err);
        if (r < 0)
                reply_error(x, r, &err);
        else
                rt_runtime_reply(x, 200, true, "Deleted", NULL);
}

static json_t *describe_submission(const struct rt_store_submission *s) {
        json_t *project = s->code_id ? json_integer(s->code_id) : json_null();
        return json_pack("{s:I, s:o, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:I, s:o}", "id", (json_int_t)s->id, "projectId", project,
                         "language", s->language, "code", s->code, "stdout", s->stdout_text, "stderr", s->stderr_text, "status",
                         s->status, "errorType", s->error_type, "exitCode", s->exit_code, "executionTime",
                         (json_int_t)s->execution_ms, "createdAt", time_of(s->created_ms));
}

void rt_runtime_submissions(struct rt_exchange *x) {
        struct rt_store_submission *found;
        size_t n;
        struct retort_error err = { 0 };
        const char *project = rt_http_query(x->http, "projectId");
        if (!has_user(x))
                return;
        int r = rt_store_submissions(rt_service_store(x->service), x->caller.user_id,
                                     project ? strtoll(project, NULL, 10) : 0, HISTORY_MAX, &x->arena, &found, &n, &err);
        if (r < 0) {
                reply_error(x, r, &err);
                return;
        }
        json_t *list = json_array();
        for (size_t i = 0; i < n; i++)
                (void)json_array_append_new(list, describe_submission(&found[i]));
        reply_value(x, "OK", list);
}
