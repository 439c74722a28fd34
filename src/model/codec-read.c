/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON to structs: for each kind of field, what may stand there. jansson refuses what is not JSON and says
 * where; what is JSON but not what was asked for is refused here, by the path of the field.
 */
#include "model/codec.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "model/model.h"
#include "base/text.h"
#include "model/base64.h"

enum { MAX_DEPTH = 12 }; /* event, outcome, steps, [i], usage, measured, cpu, and to spare */

struct place {
        const char *key; /* NULL: an index */
        size_t index;
};

struct reader {
        struct rt_arena *arena;
        struct retort_error *err;
        const char *what;
        enum rt_strictness strictness;
        struct place path[MAX_DEPTH];
        unsigned depth;
};

#define AT(type) (*(type *)(void *)((char *)object + field->at))
#define COUNT (*(size_t *)(void *)((char *)object + field->count_at))

/* ---- saying what is wrong ----------------------------------------------------------------------- */

static void enter(struct reader *in, const char *key, size_t index) {
        if (in->depth < MAX_DEPTH)
                in->path[in->depth] = (struct place){ key, index };
        in->depth++;
}

static void leave(struct reader *in) {
        in->depth--;
}

/* "steps[2].limit.value" */
static void print_path(const struct reader *in, struct rt_buf *out) {
        for (unsigned i = 0; i < in->depth && i < MAX_DEPTH; i++) {
                if (in->path[i].key)
                        (void)rt_buf_printf(out, "%s%s", i ? "." : "", in->path[i].key);
                else
                        (void)rt_buf_printf(out, "[%zu]", in->path[i].index);
        }
}

static int __attribute__((format(printf, 2, 3), cold)) bad(struct reader *in, const char *format, ...) {
        rt_auto_buf struct rt_buf path = RT_BUF(256);
        rt_auto_buf struct rt_buf words = RT_BUF(400);
        print_path(in, &path);
        va_list args;
        va_start(args, format);
        char text[400];
        (void)vsnprintf(text, sizeof text, format, args);
        va_end(args);
        (void)rt_buf_add(&words, text, rt_text_cut(text, strlen(text)));
        return rt_fail(in->err, RETORT_E_INPUT, "%s: %s", path.size ? path.data : in->what,
                       words.data ? words.data : "");
}

static int nomem(struct reader *in) {
        return rt_fail_nomem(in->err);
}

/* A name from outside, quoted and short, for a sentence. */
struct quoted {
        char text[100];
};
static struct quoted quote(const char *name) {
        struct quoted quoted = { "?" };
        size_t size = strnlen(name, 40);
        rt_auto_json struct rt_json json = RT_JSON();
        rt_json_text(&json, name, rt_text_cut(name, size));
        if (json.buf.data)
                (void)snprintf(quoted.text, sizeof quoted.text, "%s", json.buf.data);
        return quoted;
}

/* ---- one value ---------------------------------------------------------------------------------- */

static int want_string(struct reader *in, json_t *value) {
        return json_is_string(value) ? 0 : bad(in, "must be a string");
}

static int string_of(struct reader *in, json_t *value, const char **ret) {
        int r = want_string(in, value);
        if (r < 0)
                return r;
        size_t size = json_string_length(value);
        if (memchr(json_string_value(value), 0, size))
                return bad(in, "must not contain a NUL character");
        *ret = rt_arena_copy(in->arena, json_string_value(value), size);
        return *ret ? 0 : nomem(in);
}

static int bytes_of(struct reader *in, json_t *value, struct retort_bytes *ret) {
        int r = want_string(in, value);
        if (r < 0)
                return r;
        ret->size = json_string_length(value);
        ret->data = rt_arena_copy(in->arena, json_string_value(value), ret->size);
        return ret->data ? 0 : nomem(in);
}

static int base64_of(struct reader *in, json_t *value, struct retort_bytes *ret) {
        int r = want_string(in, value);
        if (r < 0)
                return r;
        char *data = NULL;
        switch (rt_base64_decode(in->arena, json_string_value(value), json_string_length(value), &data,
                                 &ret->size)) {
        case RT_BASE64_OK:
                ret->data = data;
                return 0;
        case RT_BASE64_NOMEM:
                return nomem(in);
        default:
                return bad(in, "is not base64 (padded, without spaces)");
        }
}

static int raw_of(struct reader *in, json_t *value, const char **ret) {
        rt_auto_json struct rt_json json = RT_JSON();
        if (!rt_json_value(&json, value))
                return bad(in, "is nested more than %d deep", RT_JSON_DEPTH);
        if (json.failed)
                return nomem(in);
        *ret = rt_arena_copy(in->arena, json.buf.data, json.buf.size);
        return *ret ? 0 : nomem(in);
}

static int whole_number(struct reader *in, json_t *value, int64_t low, uint64_t high, int64_t *ret) {
        if (!json_is_integer(value))
                return bad(in, "must be a whole number");
        int64_t n = json_integer_value(value);
        if (n < low)
                return bad(in, "must be at least %" PRId64, low);
        if (n > 0 && (uint64_t)n > high)
                return bad(in, "must be at most %" PRIu64, high);
        *ret = n;
        return 0;
}

/* ---- one kind of field -------------------------------------------------------------------------- */

/* Too many entries are refused before any is read. */
static int count_ok(struct reader *in, const struct rt_field *field, size_t n) {
        if (field->high && n > field->high)
                return bad(in, "must have at most %" PRIu64 " entries", field->high);
        return 0;
}

static int string(struct reader *in, const struct rt_field *field, json_t *value, void *object) {
        return string_of(in, value, &AT(const char *));
}

static int text(struct reader *in, const struct rt_field *field, json_t *value, void *object) {
        return bytes_of(in, value, &AT(struct retort_bytes));
}

static int base64(struct reader *in, const struct rt_field *field, json_t *value, void *object) {
        if (AT(struct retort_bytes).data)
                return bad(in, "says again what the field before it says");
        return base64_of(in, value, &AT(struct retort_bytes));
}

static int texts(struct reader *in, const struct rt_field *field, json_t *value, void *object) {
        if (!json_is_array(value))
                return bad(in, "must be an array of strings");
        size_t n = json_array_size(value);
        struct retort_bytes *list = rt_arena_array(in->arena, n, sizeof *list);
        int r = list ? 0 : nomem(in);
        for (size_t i = 0; r == 0 && i < n; i++) {
                enter(in, NULL, i);
                r = bytes_of(in, json_array_get(value, i), &list[i]);
                leave(in);
        }
        AT(struct retort_bytes *) = list;
        COUNT = n;
        return r;
}

static int strings(struct reader *in, const struct rt_field *field, json_t *value, void *object) {
        if (!json_is_array(value))
                return bad(in, "must be an array of strings");
        size_t n = json_array_size(value);
        const char **list = rt_arena_array(in->arena, n, sizeof *list);
        int r = list ? count_ok(in, field, n) : nomem(in);
        for (size_t i = 0; r == 0 && i < n; i++) {
                enter(in, NULL, i);
                r = string_of(in, json_array_get(value, i), &list[i]);
                leave(in);
        }
        AT(const char **) = list;
        COUNT = n;
        return r;
}

static int env_entry(struct reader *in, const char *name, json_t *value, const char **ret) {
        if (!*name || strchr(name, '='))
                return bad(in, "%s is not the name of a variable", quote(name).text);
        if (!json_is_string(value))
                return bad(in, "%s must be a string", quote(name).text);
        if (strlen(json_string_value(value)) != json_string_length(value))
                return bad(in, "%s must not contain a NUL character", quote(name).text);
        *ret = rt_arena_printf(in->arena, "%s=%s", name, json_string_value(value));
        return *ret ? 0 : nomem(in);
}

static int env(struct reader *in, const struct rt_field *field, json_t *value, void *object) {
        if (!json_is_object(value))
                return bad(in, "must be an object of names and strings");
        const char **list = rt_arena_array(in->arena, json_object_size(value), sizeof *list);
        int r = list ? count_ok(in, field, json_object_size(value)) : nomem(in);
        size_t n = 0;
        const char *name;
        json_t *entry;
        json_object_foreach(value, name, entry) {
                if (r == 0)
                        r = env_entry(in, name, entry, &list[n++]);
        }
        AT(const char **) = list;
        COUNT = n;
        return r;
}

static int json_text(struct reader *in, const struct rt_field *field, json_t *value, void *object) {
        return raw_of(in, value, &AT(const char *));
}

static int extra(struct reader *in, const struct rt_field *field, json_t *value, void *object) {
        if (!json_is_object(value))
                return bad(in, "must be an object");
        struct retort_extra *list = rt_arena_array(in->arena, json_object_size(value), sizeof *list);
        int r = list ? 0 : nomem(in);
        size_t n = 0;
        const char *mime;
        json_t *entry;
        json_object_foreach(value, mime, entry) {
                if (r < 0)
                        break;
                list[n].mime = rt_arena_strdup(in->arena, mime);
                r = list[n].mime ? raw_of(in, entry, &list[n].json) : nomem(in);
                n++;
        }
        AT(struct retort_extra *) = list;
        COUNT = n;
        return r;
}

static int boolean(struct reader *in, const struct rt_field *field, json_t *value, void *object) {
        if (!json_is_boolean(value))
                return bad(in, "must be true or false");
        AT(bool) = json_is_true(value);
        return 0;
}

static int integer(struct reader *in, const struct rt_field *field, json_t *value, void *object) {
        int64_t n = 0;
        int r = whole_number(in, value, INT32_MIN, INT32_MAX, &n);
        AT(int) = (int)n;
        return r;
}

static int integer64(struct reader *in, const struct rt_field *field, json_t *value, void *object) {
        return whole_number(in, value, INT64_MIN, INT64_MAX, &AT(int64_t));
}

static int unsigned32(struct reader *in, const struct rt_field *field, json_t *value, void *object) {
        int64_t n = 0;
        int r = whole_number(in, value, 0, UINT32_MAX, &n);
        AT(uint32_t) = (uint32_t)n;
        return r;
}

static int unsigned64(struct reader *in, const struct rt_field *field, json_t *value, void *object) {
        int64_t n = 0;
        int r = whole_number(in, value, (int64_t)field->low, field->high ? field->high : INT64_MAX, &n);
        AT(uint64_t) = (uint64_t)n;
        return r;
}

static int duration(struct reader *in, const struct rt_field *field, json_t *value, void *object) {
        if (!json_is_number(value))
                return bad(in, "must be a number of milliseconds");
        double ms = json_number_value(value);
        if (ms < 0 || ms > (double)RT_DURATION_MAX_NS / 1e6)
                return bad(in, "must be between 0 and %.0f", (double)RT_DURATION_MAX_NS / 1e6);
        AT(uint64_t) = (uint64_t)((long double)ms * 1e6L + 0.5L);
        return 0;
}

static int real(struct reader *in, const struct rt_field *field, json_t *value, void *object) {
        if (!json_is_number(value))
                return bad(in, "must be a number");
        AT(double) = json_number_value(value);
        return 0;
}

static int name(struct reader *in, const struct rt_field *field, json_t *value, void *object) {
        int r = want_string(in, value);
        if (r < 0)
                return r;
        for (size_t i = 0; i < field->n_names; i++) {
                if (strcmp(field->names[i], json_string_value(value)) == 0) {
                        AT(unsigned) = (unsigned)i;
                        return 0;
                }
        }
        return bad(in, "%s is none of those there are", quote(json_string_value(value)).text);
}

static int read_object(struct reader *in, const struct rt_shape *shape, json_t *value, void *object);

static int inner(struct reader *in, const struct rt_field *field, json_t *value, void *object) {
        return read_object(in, field->shape, value, (char *)object + field->at);
}

static int ref(struct reader *in, const struct rt_field *field, json_t *value, void *object) {
        void *target = rt_arena_alloc(in->arena, field->shape->size);
        if (!target)
                return nomem(in);
        AT(void *) = target;
        return read_object(in, field->shape, value, target);
}

static int list(struct reader *in, const struct rt_field *field, json_t *value, void *object) {
        if (!json_is_array(value))
                return bad(in, "must be an array");
        size_t n = json_array_size(value);
        char *entries = rt_arena_array(in->arena, n, field->shape->size);
        int r = entries ? count_ok(in, field, n) : nomem(in);
        for (size_t i = 0; r == 0 && i < n; i++) {
                enter(in, NULL, i);
                r = read_object(in, field->shape, json_array_get(value, i), entries + i * field->shape->size);
                leave(in);
        }
        AT(void *) = entries;
        COUNT = n;
        return r;
}

static int (*const kinds[])(struct reader *in, const struct rt_field *field, json_t *value, void *object) = {
        [RT_STRING] = string,      [RT_BYTES] = text,        [RT_BYTES_UTF8] = text,
        [RT_BYTES_OTHER] = base64, [RT_TEXT] = text,         [RT_TEXTS] = texts,
        [RT_STRINGS] = strings,    [RT_ENV] = env,           [RT_JSON_TEXT] = json_text,
        [RT_EXTRA] = extra,        [RT_BOOL] = boolean,      [RT_INT] = integer,
        [RT_INT64] = integer64,    [RT_UINT32] = unsigned32, [RT_UINT64] = unsigned64,
        [RT_DURATION] = duration,  [RT_DOUBLE] = real,       [RT_NAME] = name,
        [RT_OBJECT] = inner,       [RT_REF] = ref,           [RT_LIST] = list,
};

/* ---- a whole object ----------------------------------------------------------------------------- */

static bool knows(const struct rt_shape *shape, const char *key) {
        for (size_t i = 0; i < shape->n_fields; i++) {
                const struct rt_field *field = &shape->fields[i];
                if (strcmp(field->key, key) == 0 ||
                    (field->encoding_key && strcmp(field->encoding_key, key) == 0))
                        return true;
        }
        return false;
}

static int refuse_unknown(struct reader *in, const struct rt_shape *shape, json_t *value) {
        const char *key;
        json_t *ignored;
        json_object_foreach(value, key, ignored) {
                if (knows(shape, key))
                        continue;
                rt_auto_buf struct rt_buf known = RT_BUF(300);
                for (size_t i = 0; i < shape->n_fields; i++)
                        (void)rt_buf_printf(&known, "%s%s", i ? ", " : "", shape->fields[i].key);
                return bad(in, "unknown field %s; there %s %s", quote(key).text,
                           shape->n_fields == 1 ? "is"
                           : shape->n_fields    ? "are"
                                                : "are none",
                           known.data ? known.data : "");
        }
        return 0;
}

/* A string beside its encoding: {"stdin": "AAE=", "stdin_encoding": "base64"}. */
static int read_bytes(struct reader *in, const struct rt_field *field, json_t *value, json_t *encoding,
                      void *object) {
        if (!encoding)
                return text(in, field, value, object);
        const char *scheme = json_string_value(encoding);
        if (scheme && strcmp(scheme, "base64") == 0)
                return base64(in, field, value, object);
        if (scheme && strcmp(scheme, "utf-8") == 0)
                return text(in, field, value, object);
        leave(in);
        enter(in, field->encoding_key, 0);
        return bad(in, "must be \"utf-8\" or \"base64\"");
}

static int read_field(struct reader *in, const struct rt_field *field, json_t *from, void *object) {
        json_t *value = json_object_get(from, field->key);
        json_t *encoding = field->encoding_key ? json_object_get(from, field->encoding_key) : NULL;
        if (in->strictness == RT_LENIENT || (field->flags & RT_NULL))
                value = json_is_null(value) ? NULL : value;
        if (!value && encoding)
                return bad(in, "%s without %s", field->encoding_key, field->key);
        enter(in, field->key, 0);
        int r = 0;
        if (!value && (field->flags & RT_REQUIRED) && in->strictness == RT_STRICT)
                r = bad(in, "is required");
        else if (value && field->kind == RT_BYTES)
                r = read_bytes(in, field, value, encoding, object);
        else if (value)
                r = kinds[field->kind](in, field, value, object);
        leave(in);
        return r;
}

static int read_object(struct reader *in, const struct rt_shape *shape, json_t *value, void *object) {
        if (!json_is_object(value))
                return bad(in, "must be an object");
        if (shape->init)
                shape->init(object);
        int r = in->strictness == RT_STRICT ? refuse_unknown(in, shape, value) : 0;
        for (size_t i = 0; r == 0 && i < shape->n_fields; i++)
                r = read_field(in, &shape->fields[i], value, object);
        return r;
}

static int not_json(struct reader *in, const json_error_t *why) {
        if (json_error_code(why) == json_error_out_of_memory || !why->text[0])
                return nomem(in); /* of some failed allocations jansson says nothing */
        return bad(in, "not JSON that can be read: line %d, column %d: %s", why->line, why->column,
                   why->text);
}

int rt_shape_parse(const struct rt_shape *shape, const char *what, const char *text, size_t size,
                   enum rt_strictness strictness, struct rt_arena *arena, void *object,
                   struct retort_error *err) {
        struct reader in = { .arena = arena, .err = err, .what = what, .strictness = strictness };
        size_t flags = JSON_ALLOW_NUL | (strictness == RT_STRICT ? JSON_REJECT_DUPLICATES : 0);
        json_error_t why;
        json_t *root = json_loadb(size ? text : "", size, flags, &why);
        int r = root ? read_object(&in, shape, root, object) : not_json(&in, &why);
        json_decref(root);
        return r;
}
