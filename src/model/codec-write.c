/* SPDX-License-Identifier: Apache-2.0
 *
 * Structs to JSON: for each kind of field, when it is left out and how it is written.
 */
#include "model/codec.h"

#include <string.h>

#include "base/util.h"
#include "base/text.h"
#include "model/base64.h"

#define AT(type) (*(type const *)(const void *)((const char *)object + field->at))
#define COUNT (*(const size_t *)(const void *)((const char *)object + field->count_at))

static bool has(const struct rt_field *field, unsigned flag) {
        return (field->flags & flag) != 0;
}

/* ---- when a field is left out ------------------------------------------------------------------- */

static bool no_pointer(const struct rt_field *field, const void *object) {
        return !AT(void *) && !has(field, RT_REQUIRED | RT_NULL);
}

static bool no_bytes(const struct rt_field *field, const void *object) {
        return has(field, RT_OPTIONAL) && !AT(struct retort_bytes).data;
}

static bool is_utf8(struct retort_bytes bytes) {
        return rt_text_is_utf8(bytes.data, bytes.size);
}

static bool no_utf8(const struct rt_field *field, const void *object) {
        return no_bytes(field, object) || !is_utf8(AT(struct retort_bytes));
}

static bool no_other(const struct rt_field *field, const void *object) {
        return no_bytes(field, object) || is_utf8(AT(struct retort_bytes));
}

static bool no_entries(const struct rt_field *field, const void *object) {
        return has(field, RT_OPTIONAL) && COUNT == 0;
}

static bool below_zero(const struct rt_field *field, const void *object) {
        return has(field, RT_OPTIONAL) && AT(int64_t) < 0;
}

static bool no_flag(const struct rt_field *field, const void *object) {
        return has(field, RT_OPTIONAL) && !AT(bool);
}

static bool zero(const struct rt_field *field, const void *object) {
        return has(field, RT_OPTIONAL) && AT(uint64_t) == 0;
}

static bool is_absent(const struct rt_field *field, const void *object);

static bool no_object(const struct rt_field *field, const void *object) {
        const char *inner = (const char *)object + field->at;
        if (has(field, RT_IF_NAMED))
                return !*(const char *const *)(const void *)inner;
        for (size_t i = 0; i < field->shape->n_fields; i++)
                if (!is_absent(&field->shape->fields[i], inner))
                        return false;
        return has(field, RT_OPTIONAL);
}

/* ---- how a field is written --------------------------------------------------------------------- */

static void write_string(struct rt_json *json, const char *text) {
        if (text)
                rt_json_text(json, text, strlen(text));
        else
                rt_json_text(json, "", 0);
}

static void string(const struct rt_field *field, const void *object, struct rt_json *json) {
        if (!AT(char *) && has(field, RT_NULL))
                rt_json_null(json);
        else
                write_string(json, AT(char *));
}

static void text(const struct rt_field *field, const void *object, struct rt_json *json) {
        rt_json_text(json, AT(struct retort_bytes).data, AT(struct retort_bytes).size);
}

static void base64(const struct rt_field *field, const void *object, struct rt_json *json) {
        rt_json_base64(json, AT(struct retort_bytes).data, AT(struct retort_bytes).size);
}

static void bytes(const struct rt_field *field, const void *object, struct rt_json *json) {
        if (is_utf8(AT(struct retort_bytes))) {
                text(field, object, json);
                return;
        }
        base64(field, object, json);
        rt_json_key(json, field->encoding_key);
        write_string(json, "base64");
}

static void texts(const struct rt_field *field, const void *object, struct rt_json *json) {
        rt_json_open(json, '[');
        for (size_t i = 0; i < COUNT; i++)
                rt_json_text(json, AT(struct retort_bytes *)[i].data, AT(struct retort_bytes *)[i].size);
        rt_json_close(json, ']');
}

static void strings(const struct rt_field *field, const void *object, struct rt_json *json) {
        rt_json_open(json, '[');
        for (size_t i = 0; i < COUNT; i++)
                write_string(json, AT(char **)[i]);
        rt_json_close(json, ']');
}

/* True when an earlier entry has the same name: JSON keys must not repeat, and the first is what getenv sees.
 */
static bool repeats(const char *const *env, size_t index, size_t name_size) {
        for (size_t i = 0; i < index; i++)
                if (strcspn(env[i], "=") == name_size && memcmp(env[i], env[index], name_size) == 0)
                        return true;
        return false;
}

static void env(const struct rt_field *field, const void *object, struct rt_json *json) {
        const char *const *entries = AT(const char *const *);
        rt_json_open(json, '{');
        for (size_t i = 0; i < COUNT; i++) {
                size_t name_size = strcspn(entries[i], "=");
                if (repeats(entries, i, name_size))
                        continue;
                rt_json_text(json, entries[i], name_size);
                rt_json_colon(json);
                write_string(json, entries[i] + name_size + (entries[i][name_size] == '='));
        }
        rt_json_close(json, '}');
}

static void json_text(const struct rt_field *field, const void *object, struct rt_json *json) {
        if (AT(char *))
                rt_json_raw(json, AT(char *));
        else
                rt_json_null(json);
}

/* The names of representations come from guests: only those that can be keys, each once. */
static bool is_new_key(const struct retort_extra *extra, size_t index) {
        const char *mime = extra[index].mime;
        for (size_t i = 0; i < index; i++)
                if (strcmp(extra[i].mime, mime) == 0)
                        return false;
        return rt_text_is_utf8(mime, strlen(mime));
}

static void extra(const struct rt_field *field, const void *object, struct rt_json *json) {
        const struct retort_extra *entries = AT(struct retort_extra *);
        rt_json_open(json, '{');
        for (size_t i = 0; i < COUNT && i < RT_EXTRA_MAX; i++) {
                if (!is_new_key(entries, i))
                        continue;
                rt_json_key(json, entries[i].mime);
                rt_json_raw(json, entries[i].json ? entries[i].json : "null");
        }
        rt_json_close(json, '}');
}

static void boolean(const struct rt_field *field, const void *object, struct rt_json *json) {
        rt_json_bool(json, AT(bool));
}

static void integer(const struct rt_field *field, const void *object, struct rt_json *json) {
        rt_json_int(json, AT(int));
}

static void integer64(const struct rt_field *field, const void *object, struct rt_json *json) {
        rt_json_int(json, AT(int64_t));
}

static void unsigned32(const struct rt_field *field, const void *object, struct rt_json *json) {
        rt_json_int(json, AT(uint32_t));
}

static void unsigned64(const struct rt_field *field, const void *object, struct rt_json *json) {
        uint64_t value = AT(uint64_t);
        rt_json_int(json, value > INT64_MAX ? INT64_MAX : (int64_t)value); /* as much as readers can hold */
}

static void duration(const struct rt_field *field, const void *object, struct rt_json *json) {
        uint64_t ns = AT(uint64_t);
        rt_json_decimal(json, ns < RT_DURATION_MAX_NS ? ns : RT_DURATION_MAX_NS, 6);
}

static void real(const struct rt_field *field, const void *object, struct rt_json *json) {
        rt_json_double(json, AT(double));
}

static void name(const struct rt_field *field, const void *object, struct rt_json *json) {
        unsigned value = AT(unsigned);
        write_string(json, value < field->n_names ? field->names[value] : NULL);
}

static void inner(const struct rt_field *field, const void *object, struct rt_json *json) {
        rt_shape_write(field->shape, (const char *)object + field->at, json);
}

static void ref(const struct rt_field *field, const void *object, struct rt_json *json) {
        if (AT(void *))
                rt_shape_write(field->shape, AT(void *), json);
        else
                rt_json_null(json);
}

static void list(const struct rt_field *field, const void *object, struct rt_json *json) {
        const char *entry = AT(char *);
        rt_json_open(json, '[');
        for (size_t i = 0; i < COUNT; i++, entry += field->shape->size)
                rt_shape_write(field->shape, entry, json);
        rt_json_close(json, ']');
}

static const struct {
        bool (*is_absent)(const struct rt_field *field, const void *object); /* NULL: it never is */
        void (*write)(const struct rt_field *field, const void *object, struct rt_json *json);
} kinds[] = {
        [RT_STRING] = { no_pointer, string },
        [RT_BYTES] = { no_bytes, bytes },
        [RT_BYTES_UTF8] = { no_utf8, text },
        [RT_BYTES_OTHER] = { no_other, base64 },
        [RT_TEXT] = { no_bytes, text },
        [RT_TEXTS] = { no_entries, texts },
        [RT_STRINGS] = { no_entries, strings },
        [RT_ENV] = { no_entries, env },
        [RT_JSON_TEXT] = { no_pointer, json_text },
        [RT_EXTRA] = { no_entries, extra },
        [RT_BOOL] = { no_flag, boolean },
        [RT_INT] = { NULL, integer },
        [RT_INT64] = { below_zero, integer64 },
        [RT_UINT32] = { NULL, unsigned32 },
        [RT_UINT64] = { zero, unsigned64 },
        [RT_DURATION] = { NULL, duration },
        [RT_DOUBLE] = { NULL, real },
        [RT_NAME] = { NULL, name },
        [RT_OBJECT] = { no_object, inner },
        [RT_REF] = { no_pointer, ref },
        [RT_LIST] = { no_entries, list },
};

static bool is_absent(const struct rt_field *field, const void *object) {
        return kinds[field->kind].is_absent && kinds[field->kind].is_absent(field, object);
}

void rt_shape_write(const struct rt_shape *shape, const void *object, struct rt_json *json) {
        rt_json_open(json, '{');
        for (size_t i = 0; i < shape->n_fields; i++) {
                const struct rt_field *field = &shape->fields[i];
                if (is_absent(field, object))
                        continue;
                rt_json_key(json, field->key);
                kinds[field->kind].write(field, object, json);
        }
        rt_json_close(json, '}');
}

int rt_shape_json(const struct rt_shape *shape, const void *object, char **ret_text,
                  struct retort_error *err) {
        rt_auto_json struct rt_json json = RT_JSON();
        rt_shape_write(shape, object, &json);
        return rt_json_take(&json, ret_text, err);
}
