/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing JSON, straight into one buffer. Whatever goes in, what comes out is valid JSON without spaces or
 * line ends: texts that are not UTF-8 get U+FFFD, JSON values made by guests are read and written anew.
 * Numbers do not depend on the locale. The first failure is kept and every later call does nothing, so that
 * callers check once, in rt_json_take.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "retort.h"

/* Deepest nesting of a value made by a guest. jansson stops at 2048; this leaves room for what is around it. */
#define RT_JSON_DEPTH 512
/* Largest JSON text: the output ceiling twice (run and step), each byte six characters, and room for items. */
#define RT_JSON_CAP (1ull << 34)

struct rt_json {
        struct rt_buf buf;
        bool comma;       /* a comma is due before the next value or key */
        bool failed;      /* no memory, or larger than the cap */
        bool strict_text; /* a text that is not UTF-8 is an error, kept in bad_text */
        bool bad_text;
};

#define RT_JSON() ((struct rt_json){ .buf = RT_BUF(RT_JSON_CAP) })
static inline void rt_json_clear(struct rt_json *json) {
        rt_buf_clear(&json->buf);
}
#define rt_auto_json __attribute__((cleanup(rt_json_clear)))

void rt_json_open(struct rt_json *json, char bracket);
void rt_json_close(struct rt_json *json, char bracket);
void rt_json_key(struct rt_json *json, const char *key);
void rt_json_colon(struct rt_json *json); /* makes a key of the text just written */

void rt_json_text(struct rt_json *json, const char *data, size_t size);
void rt_json_base64(struct rt_json *json, const char *data, size_t size);
void rt_json_bool(struct rt_json *json, bool value);
void rt_json_null(struct rt_json *json);
void rt_json_int(struct rt_json *json, int64_t value);
/* value / 10^digits, exactly: (12345000, 6) is 12.345. */
void rt_json_decimal(struct rt_json *json, uint64_t value, unsigned digits);
void rt_json_double(struct rt_json *json, double value); /* what is not finite is 0 */
/* A value as jansson holds it; false, and nothing written, when it is nested deeper than RT_JSON_DEPTH. */
bool rt_json_value(struct rt_json *json, json_t *value);
/* A value as text. What is not JSON is written as the string it is. */
void rt_json_raw(struct rt_json *json, const char *text);

/* Where the text ends now, to go back to when what followed was empty after all. */
struct rt_json_mark {
        size_t size;
        bool comma;
};
struct rt_json_mark rt_json_mark(const struct rt_json *json);
void rt_json_back(struct rt_json *json, struct rt_json_mark mark);

/* Hands the text out, to be freed with free(). */
int rt_json_take(struct rt_json *json, char **ret_text, struct retort_error *err);
