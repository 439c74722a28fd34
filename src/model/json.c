/* SPDX-License-Identifier: Apache-2.0 */
#include "model/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "base/text.h"
#include "model/base64.h"

static void add(struct rt_json *json, const char *data, size_t size) {
        if (!json->failed && rt_buf_add(&json->buf, data, size) != RT_BUF_OK)
                json->failed = true;
}

/* Before each value: the comma that is due. After it, one is due to the next. */
static void begin_value(struct rt_json *json) {
        if (json->comma)
                add(json, ",", 1);
        json->comma = true;
}

static void literal(struct rt_json *json, const char *text) {
        begin_value(json);
        add(json, text, strlen(text));
}

void rt_json_open(struct rt_json *json, char bracket) {
        begin_value(json);
        add(json, &bracket, 1);
        json->comma = false;
}

void rt_json_close(struct rt_json *json, char bracket) {
        add(json, &bracket, 1);
        json->comma = true;
}

void rt_json_key(struct rt_json *json, const char *key) {
        rt_json_text(json, key, strlen(key));
        rt_json_colon(json);
}

void rt_json_colon(struct rt_json *json) {
        add(json, ":", 1);
        json->comma = false;
}

static void escape(struct rt_json *json, unsigned char c) {
        static const char shorts[] = { ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
                                       ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\' };
        static const char hex[] = "0123456789abcdef";
        if (c < sizeof shorts && shorts[c])
                add(json, (const char[]){ '\\', shorts[c] }, 2);
        else
                add(json, (const char[]){ '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] }, 6);
}

static bool is_plain(unsigned char c) {
        return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

void rt_json_text(struct rt_json *json, const char *data, size_t size) {
        begin_value(json);
        add(json, "\"", 1);
        size_t done = 0; /* all before it is written; from it to i is clean and waits to be added at once */
        for (size_t i = 0; i < size;) {
                unsigned char c = (unsigned char)data[i];
                size_t n = is_plain(c) ? 1 : c < 0x80 ? 0 : rt_text_char(data + i, size - i);
                if (n > 0) {
                        i += n;
                        continue;
                }
                add(json, data + done, i - done);
                if (c < 0x80) {
                        escape(json, c);
                } else {
                        add(json, RT_TEXT_REPLACEMENT, strlen(RT_TEXT_REPLACEMENT));
                        json->bad_text = true;
                }
                done = ++i;
        }
        add(json, data ? data + done : "", size - done);
        add(json, "\"", 1);
}

void rt_json_base64(struct rt_json *json, const char *data, size_t size) {
        enum { CHUNK = 3 * 256 }; /* a multiple of 3, so that only the last chunk is padded */
        char out[CHUNK / 3 * 4];
        begin_value(json);
        add(json, "\"", 1);
        for (size_t i = 0, n; i < size; i += n) {
                n = size - i < CHUNK ? size - i : CHUNK;
                rt_base64_encode(data + i, n, out);
                add(json, out, rt_base64_room(n));
        }
        add(json, "\"", 1);
}

void rt_json_bool(struct rt_json *json, bool value) {
        literal(json, value ? "true" : "false");
}

void rt_json_null(struct rt_json *json) {
        literal(json, "null");
}

/* By hand: an outcome has some fifty numbers, and printf's code is cold each time. Writes backwards, at least least digits;
 * the first character. */
static char *digits_before(char *end, uint64_t value, unsigned least) {
        for (; value > 0 || least > 0; value /= 10, least -= least > 0)
                *--end = (char)('0' + value % 10);
        return end;
}

void rt_json_int(struct rt_json *json, int64_t value) {
        char text[32];
        char *end = text + sizeof text;
        char *at = digits_before(end, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 1);
        if (value < 0)
                *--at = '-';
        begin_value(json);
        add(json, at, (size_t)(end - at));
}

void rt_json_decimal(struct rt_json *json, uint64_t value, unsigned digits) {
        uint64_t unit = 1;
        for (unsigned i = 0; i < digits; i++)
                unit *= 10;
        char text[48];
        char *end = text + sizeof text;
        char *at = end;
        uint64_t rest = value % unit;
        if (rest) {
                for (; rest % 10 == 0; digits--)
                        rest /= 10;
                at = digits_before(at, rest, digits);
                *--at = '.';
        }
        at = digits_before(at, value / unit, 1);
        begin_value(json);
        add(json, at, (size_t)(end - at));
}

/* Puts '.' where the locale has its own decimal point, and makes sure that a reader sees a real number. */
static void to_json_real(char *text, size_t room) {
        size_t n = 0;
        bool real = false;
        for (const char *p = text; *p; p++) {
                bool is_number = strchr("0123456789+-eE", *p) != NULL;
                if (is_number)
                        text[n++] = *p;
                else if (n && text[n - 1] != '.') /* a decimal point may take several bytes */
                        text[n++] = '.';
                real = real || !is_number || *p == 'e';
        }
        text[n] = 0;
        if (!real)
                (void)snprintf(text + n, room - n, ".0");
}

void rt_json_double(struct rt_json *json, double value) {
        char text[64] = "0.0";
        for (int precision = 15; isfinite(value) && precision <= 17; precision++) {
                (void)snprintf(text, sizeof text, "%.*g", precision, value);
                if (!(strtod(text, NULL) < value) && !(strtod(text, NULL) > value))
                        break; /* the shortest that reads back as the same number */
        }
        to_json_real(text, sizeof text);
        literal(json, text);
}

static bool write_value(struct rt_json *json, json_t *value, unsigned depth);

static bool write_array(struct rt_json *json, json_t *array, unsigned depth) {
        rt_json_open(json, '[');
        for (size_t i = 0; i < json_array_size(array); i++)
                if (!write_value(json, json_array_get(array, i), depth))
                        return false;
        rt_json_close(json, ']');
        return true;
}

static bool write_object(struct rt_json *json, json_t *object, unsigned depth) {
        const char *key;
        json_t *value;
        rt_json_open(json, '{');
        json_object_foreach(object, key, value) {
                rt_json_key(json, key);
                if (!write_value(json, value, depth))
                        return false;
        }
        rt_json_close(json, '}');
        return true;
}

static bool write_value(struct rt_json *json, json_t *value, unsigned depth) {
        if (depth == RT_JSON_DEPTH)
                return false;
        switch (json_typeof(value)) {
        case JSON_OBJECT:
                return write_object(json, value, depth + 1);
        case JSON_ARRAY:
                return write_array(json, value, depth + 1);
        case JSON_STRING:
                rt_json_text(json, json_string_value(value), json_string_length(value));
                return true;
        case JSON_INTEGER:
                rt_json_int(json, json_integer_value(value));
                return true;
        case JSON_REAL:
                rt_json_double(json, json_real_value(value));
                return true;
        case JSON_NULL:
                rt_json_null(json);
                return true;
        default:
                rt_json_bool(json, json_is_true(value));
                return true;
        }
}

bool rt_json_value(struct rt_json *json, json_t *value) {
        struct rt_json_mark mark = rt_json_mark(json);
        if (write_value(json, value, 0))
                return true;
        rt_json_back(json, mark);
        return false;
}

void rt_json_raw(struct rt_json *json, const char *text) {
        json_error_t why;
        json_t *value = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
        if (!value && json_error_code(&why) == json_error_out_of_memory)
                json->failed = true;
        if (!value || !rt_json_value(json, value))
                rt_json_text(json, text, strlen(text));
        json_decref(value);
}

struct rt_json_mark rt_json_mark(const struct rt_json *json) {
        return (struct rt_json_mark){ json->buf.size, json->comma };
}

void rt_json_back(struct rt_json *json, struct rt_json_mark mark) {
        if (json->buf.data)
                json->buf.data[mark.size] = 0;
        json->buf.size = mark.size;
        json->comma = mark.comma;
}

int rt_json_take(struct rt_json *json, char **ret_text, struct retort_error *err) {
        if (json->failed)
                return rt_fail_nomem(err);
        if (json->strict_text && json->bad_text)
                return rt_fail(err, RETORT_E_INPUT, "a text that must be UTF-8 is not");
        *ret_text = rt_take(json->buf.data);
        rt_json_clear(json);
        return 0;
}
