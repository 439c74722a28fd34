/* SPDX-License-Identifier: Apache-2.0
 *
 * A tool's text becomes a result, by the rules of AgentBay's Python client (CONTRACTS A4): the text is
 * normalised to one object, then the first form that recognises it reads it. The leniency is theirs.
 */
#include "model/agentbay.h"

#include <jansson.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "base/text.h"
#include "model/view.h"

static void release(json_t **value) {
        json_decref(*value);
}
#define auto_json __attribute__((cleanup(release))) json_t *

/* Everything below shares these; nomem is kept and looked at once, at the end. */
struct parse {
        struct rt_arena *arena;
        struct rt_agentbay_result *result;
        bool nomem;
};

/* ---- values as Python sees them ----------------------------------------------------------------- */

static bool truthy(const json_t *value) {
        switch (value ? json_typeof(value) : JSON_NULL) {
        case JSON_STRING:
                return json_string_length(value) > 0;
        case JSON_OBJECT:
                return json_object_size(value) > 0;
        case JSON_ARRAY:
                return json_array_size(value) > 0;
        case JSON_INTEGER:
                return json_integer_value(value) != 0;
        case JSON_REAL:
                return json_real_value(value) < 0 || json_real_value(value) > 0;
        default:
                return json_is_true(value);
        }
}

/* The object that a text holds, or NULL. */
static json_t *load_object(const char *text, size_t size) {
        while (size && strchr(" \t\n\v\f\r", text[0]) && text[0])
                text++, size--;
        while (size && strchr(" \t\n\v\f\r", text[size - 1]) && text[size - 1])
                size--;
        return size && text[0] == '{' ? json_loadb(text, size, JSON_ALLOW_NUL, NULL) : NULL;
}

static json_t *load_string(const json_t *value) {
        return json_is_string(value) ? load_object(json_string_value(value), json_string_length(value))
                                     : NULL;
}

static const char *copy(struct parse *in, const char *data, size_t size) {
        const char *text = rt_view_text(&(struct retort_bytes){ data, size }, 1, in->arena);
        in->nomem = in->nomem || !text;
        return text;
}

/* The value as JSON text. */
static const char *json_of(struct parse *in, json_t *value) {
        rt_auto_json struct rt_json json = RT_JSON();
        if (!rt_json_value(&json, value))
                return NULL; /* nested too deep: as good as absent */
        in->nomem = in->nomem || json.failed;
        return json.failed ? NULL : copy(in, json.buf.data, json.buf.size);
}

/* str(value), but containers as JSON. */
static const char *str(struct parse *in, json_t *value) {
        if (json_is_string(value))
                return copy(in, json_string_value(value), json_string_length(value));
        if (json_is_boolean(value))
                return json_is_true(value) ? "True" : "False";
        return json_is_null(value) ? "None" : json_of(in, value);
}

/* ---- what several forms have in common ---------------------------------------------------------- */

/* A list of strings; one bare string is a list of one. */
static const struct retort_bytes *chunks(struct parse *in, json_t *value, size_t *ret_n) {
        size_t n = json_is_array(value) ? json_array_size(value) : truthy(value) ? 1 : 0;
        struct retort_bytes *list = rt_arena_array(in->arena, n, sizeof *list);
        in->nomem = in->nomem || !list;
        for (size_t i = 0; list && i < n; i++) {
                json_t *entry = json_is_array(value) ? json_array_get(value, i) : value;
                const char *text = json_is_string(entry) ? json_string_value(entry) : str(in, entry);
                size_t size = json_is_string(entry) ? json_string_length(entry) : text ? strlen(text) : 0;
                list[i] = (struct retort_bytes){ rt_arena_copy(in->arena, text, size), size };
                in->nomem = in->nomem || !list[i].data;
        }
        *ret_n = list ? n : 0;
        return list;
}

static void read_logs(struct parse *in, json_t *from) {
        struct rt_agentbay_logs *logs = &in->result->logs;
        logs->stdout_chunks = chunks(in, json_object_get(from, "stdout"), &logs->n_stdout);
        logs->stderr_chunks = chunks(in, json_object_get(from, "stderr"), &logs->n_stderr);
}

static json_t *either(json_t *from, const char *key, const char *other_key) {
        json_t *value = json_object_get(from, key);
        return value && !json_is_null(value) ? value : json_object_get(from, other_key);
}

static void read_count_and_time(struct parse *in, json_t *from) {
        json_t *count = either(from, "execution_count", "executionCount");
        json_t *time = either(from, "execution_time", "executionTime");
        in->result->execution_count = json_is_integer(count) ? json_integer_value(count) : -1;
        in->result->execution_time = json_is_number(time) ? json_number_value(time) : 0.0;
}

static void set_error(struct parse *in, const char *name, const char *value, const char *traceback) {
        struct rt_agentbay_error *error = rt_arena_new(in->arena, struct rt_agentbay_error);
        in->nomem = in->nomem || !error;
        if (error)
                *error = (struct rt_agentbay_error){ name, value, traceback };
        in->result->error = error;
}

static struct rt_agentbay_item *new_items(struct parse *in, size_t n) {
        struct rt_agentbay_item *items = rt_arena_array(in->arena, n, sizeof *items);
        in->nomem = in->nomem || !items;
        in->result->results = items;
        in->result->n_results = items ? n : 0;
        return items;
}

static bool is_main(json_t *from) {
        return truthy(json_object_get(from, "isMainResult")) ||
               truthy(json_object_get(from, "is_main_result"));
}

#define READ_TEXT str
#define READ_JSON json_of

/* ---- the forms, in the order in which they are tried -------------------------------------------- */

/* Current: an item's MIME key wins over its short name, and what is falsy is absent. */
static void read_current_item(struct parse *in, json_t *from, struct rt_agentbay_item *item) {
        static const char *const chart_mimes[] = { "application/vnd.vegalite.v4+json",
                                                   "application/vnd.vegalite.v5+json" };
        json_t *value = NULL;
#define X(member, mime, kind)                                                                                \
        value = json_object_get(from, mime);                                                                 \
        value = truthy(value) ? value : json_object_get(from, #member);                                      \
        if (truthy(value))                                                                                   \
                item->member = READ_##kind(in, value);
        RT_AGENTBAY_FORMATS(X)
#undef X
        for (size_t i = 0; i < RT_LEN(chart_mimes) && !item->chart_mime; i++) {
                value = json_object_get(from, chart_mimes[i]);
                if (!truthy(value))
                        continue;
                item->chart = json_of(in, value);
                item->chart_mime = chart_mimes[i];
        }
        item->is_main_result = is_main(from);
}

/* An object, or a string that holds one, or a string that holds such a string. NULL: neither. */
static json_t *unpack_item(json_t *entry) {
        if (json_is_object(entry))
                return json_incref(entry);
        json_t *object = load_string(entry);
        if (object || !json_is_string(entry))
                return object;
        auto_json inner = json_loadb(json_string_value(entry), json_string_length(entry),
                                     JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
        return load_string(inner);
}

static bool read_current(struct parse *in, json_t *data) {
        json_t *list = json_object_get(data, "result");
        if (!json_is_array(list))
                return false;
        struct rt_agentbay_item *items = new_items(in, json_array_size(list));
        for (size_t i = 0; items && i < json_array_size(list); i++) {
                auto_json object = unpack_item(json_array_get(list, i));
                if (object)
                        read_current_item(in, object, &items[i]);
                else
                        items[i].text = str(in, json_array_get(list, i));
        }
        read_logs(in, data);
        read_count_and_time(in, data);
        json_t *error = json_object_get(data, "executionError");
        if (truthy(error))
                set_error(in, "ExecutionError", str(in, error), "");
        in->result->success = !truthy(error) && !truthy(json_object_get(data, "isError"));
        return true;
}

/* Rich: short names only, objects only, and what is empty is still present. */
static void read_rich_item(struct parse *in, json_t *from, struct rt_agentbay_item *item) {
        json_t *value = NULL;
#define X(member, mime, kind)                                                                                \
        value = json_object_get(from, #member);                                                              \
        if (value && !json_is_null(value))                                                                   \
                item->member = READ_##kind(in, value);
        RT_AGENTBAY_FORMATS(X)
#undef X
        item->is_main_result = is_main(from);
}

static const char *str_or(struct parse *in, json_t *from, const char *key, const char *otherwise) {
        json_t *value = json_object_get(from, key);
        return value && !json_is_null(value) ? str(in, value) : otherwise;
}

static bool read_rich(struct parse *in, json_t *data) {
        json_t *list = json_object_get(data, "results");
        if (!json_object_get(data, "logs") && !list)
                return false;
        struct rt_agentbay_item *items = new_items(in, json_array_size(list));
        size_t n = 0;
        for (size_t i = 0; items && i < json_array_size(list); i++)
                if (json_is_object(json_array_get(list, i)))
                        read_rich_item(in, json_array_get(list, i), &items[n++]);
        in->result->n_results = n;
        read_logs(in, json_object_get(data, "logs"));
        read_count_and_time(in, data);
        json_t *error = json_object_get(data, "error");
        if (json_is_object(error) && truthy(error))
                set_error(in, str_or(in, error, "name", "UnknownError"), str_or(in, error, "value", ""),
                          str_or(in, error, "traceback", ""));
        in->result->success = !truthy(json_object_get(data, "isError"));
        return true;
}

static bool read_legacy_error(struct parse *in, json_t *data) {
        if (!truthy(json_object_get(data, "isError")))
                return false;
        json_t *content = json_object_get(data, "content");
        size_t n = 0;
        rt_auto_buf struct rt_buf message = RT_BUF(RT_JSON_CAP);
        bool ok = rt_buf_printf(&message, "AgentBay error: Error in response: ") == RT_BUF_OK;
        for (size_t i = 0; ok && i < json_array_size(content); i++) {
                json_t *text = json_object_get(json_array_get(content, i), "text");
                const char *words = text ? str(in, text) : NULL;
                if (words)
                        ok = rt_buf_printf(&message, "%s%s", n++ ? "; " : "", words) == RT_BUF_OK;
        }
        in->nomem = in->nomem || !ok;
        in->result->error_message = ok ? copy(in, message.data, message.size) : NULL;
        return true;
}

static bool read_legacy_text(struct parse *in, json_t *data) {
        json_t *text = json_object_get(json_array_get(json_object_get(data, "content"), 0), "text");
        if (!text || json_is_null(text))
                return false;
        struct rt_agentbay_logs *logs = &in->result->logs;
        struct rt_agentbay_item *items = new_items(in, 1);
        if (items)
                items[0] = (struct rt_agentbay_item){ .text = str(in, text), .is_main_result = true };
        auto_json list = json_pack("[O]", text);
        logs->stdout_chunks = chunks(in, list, &logs->n_stdout);
        in->nomem = in->nomem || !list;
        in->result->success = true;
        return true;
}

static bool read_other(struct parse *in, json_t *data) {
        (void)data;
        in->result->error_message = "AgentBay error: Unknown response format";
        return true;
}

static bool (*const forms[])(struct parse *in, json_t *data) = {
        read_current, read_rich, read_legacy_error, read_legacy_text, read_other,
};

/* ---- one object out of any text ----------------------------------------------------------------- */

/* What is not an object is the text of a tool's only content. */
static json_t *as_content(struct parse *in, const char *text, size_t size) {
        rt_auto_json struct rt_json json = RT_JSON();
        rt_json_open(&json, '{');
        rt_json_key(&json, "content");
        rt_json_open(&json, '[');
        rt_json_open(&json, '{');
        rt_json_key(&json, "text");
        rt_json_text(&json, text, size); /* which also mends what is not UTF-8 */
        rt_json_close(&json, '}');
        rt_json_close(&json, ']');
        rt_json_close(&json, '}');
        in->nomem = in->nomem || json.failed;
        return json.failed ? NULL : json_loadb(json.buf.data, json.buf.size, JSON_ALLOW_NUL, NULL);
}

static json_t *normalise(struct parse *in, const char *text, size_t size) {
        json_t *data = load_object(text, size);
        if (!data)
                data = as_content(in, text, size);
        json_t *first = json_array_get(json_object_get(data, "content"), 0);
        json_t *inner = load_string(json_object_get(first, "text"));
        if (json_object_get(inner, "result") || json_object_get(inner, "executionError")) {
                json_decref(data);
                return inner;
        }
        json_decref(inner);
        return data;
}

int rt_agentbay_parse(const char *text, size_t size, struct rt_arena *arena,
                      struct rt_agentbay_result *ret_result, struct retort_error *err) {
        struct rt_agentbay_result result = { .request_id = "", .execution_count = -1, .error_message = "" };
        struct parse in = { .arena = arena, .result = &result };
        auto_json data = normalise(&in, text, size);
        if (!data)
                return rt_fail_nomem(err);
        for (size_t i = 0; i < RT_LEN(forms); i++)
                if (forms[i](&in, data))
                        break;
        if (in.nomem)
                return rt_fail_nomem(err);
        *ret_result = result;
        return 0;
}
