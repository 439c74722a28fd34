/* SPDX-License-Identifier: Apache-2.0
 *
 * A struct and its JSON, from one table. A *shape* lists the fields of a struct in the order in which they
 * are written; the same list reads them back, names what is wrong by its path ("limits.wall_ms"), and makes
 * deep copies. Nothing else in this folder knows how a field looks as JSON.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "model/json.h"
#include "retort.h"

/* What the member of a field is, and what it is as JSON. */
enum rt_kind {
        RT_STRING,      /* const char *: a string; NULL is left out */
        RT_BYTES,       /* struct retort_bytes: a string, or base64 and then encoding_key says so */
        RT_BYTES_UTF8,  /* struct retort_bytes: here only when it is UTF-8 */
        RT_BYTES_OTHER, /* struct retort_bytes: here, in base64, only when it is not */
        RT_TEXT,        /* struct retort_bytes: always a string */
        RT_TEXTS,       /* struct retort_bytes * and a count: an array of strings */
        RT_STRINGS,     /* const char ** and a count: an array of strings */
        RT_ENV,         /* const char ** of "NAME=VALUE" and a count: an object */
        RT_JSON_TEXT,   /* const char * of JSON: that value */
        RT_EXTRA,       /* struct retort_extra * and a count: an object */
        RT_BOOL,
        RT_INT,         /* int */
        RT_INT64,
        RT_UINT32,
        RT_UINT64,
        RT_DURATION,    /* uint64_t of nanoseconds: decimal milliseconds */
        RT_DOUBLE,
        RT_NAME,        /* an enum: one of names */
        RT_OBJECT,      /* a struct; at 0 it groups members of the same struct */
        RT_REF,         /* a pointer to a struct; NULL is left out */
        RT_LIST,        /* an array of structs and a count */
};

enum rt_field_flag {
        RT_REQUIRED = 1, /* must be there to be read; a NULL string is written as "" */
        RT_OPTIONAL = 2, /* left out when it says nothing: 0, false, below 0 if signed, no data, no entries */
        RT_IF_NAMED = 4, /* an object that is left out when its first field, a string, is NULL */
        RT_NULL = 8,     /* a pointer that is written as null when it is NULL */
};

struct rt_shape;

struct rt_field {
        const char *key;
        size_t at;
        enum rt_kind kind;
        unsigned flags;
        size_t count_at;             /* of the size_t beside an array */
        const char *encoding_key;    /* RT_BYTES */
        const struct rt_shape *shape; /* RT_OBJECT, RT_REF, RT_LIST */
        const char *const *names;    /* RT_NAME */
        size_t n_names;
        uint64_t low, high;          /* what may be read: a RT_UINT64, or (high) how many entries; 0: any */
};

#define RT_FIELD(key_, type, member, kind_, ...)                                                    \
        { .key = (key_), .at = offsetof(type, member), .kind = (kind_), ##__VA_ARGS__ }
/* Members of the same struct, as an object of their own. */
#define RT_GROUP(key_, shape_, ...) { .key = (key_), .kind = RT_OBJECT, .shape = (shape_), ##__VA_ARGS__ }

struct rt_shape {
        const struct rt_field *fields;
        size_t n_fields;
        size_t size;                /* of the struct */
        void (*init)(void *object); /* sets what is not zero when absent; may be NULL */
};

#define RT_SHAPE(type, fields_, ...)                                                                \
        { .fields = (fields_), .n_fields = sizeof(fields_) / sizeof *(fields_), .size = sizeof(type), ##__VA_ARGS__ }

/* Longest duration on the wire, about 26 days: above it a JSON number may lose nanoseconds. Longer ones are
 * written as this. */
#define RT_DURATION_MAX_NS (1ull << 51)

/* Most representations that an item may have besides those with a name; further ones are not written. Source:
 * our own; a guest chooses how many there are, and looking for repeated names takes the square of it. */
#define RT_EXTRA_MAX 256

/* How much a reader puts up with. The native records are strict; foreign ones are as lenient as their own
 * clients: unknown fields are skipped, null is as good as absent, the last of two equal keys wins. */
enum rt_strictness { RT_STRICT, RT_LENIENT };

void rt_shape_write(const struct rt_shape *shape, const void *object, struct rt_json *json);
/* The whole of it, as text to be freed with free(). */
int rt_shape_json(const struct rt_shape *shape, const void *object, char **ret_text,
                  struct retort_error *err);
/* Reads text into *object, which has the shape's size; all it points at lives in arena. what is the noun of
 * the sentence in *err. On failure *object holds rubbish. */
int rt_shape_parse(const struct rt_shape *shape, const char *what, const char *text, size_t size,
                   enum rt_strictness strictness, struct rt_arena *arena, void *object,
                   struct retort_error *err);
/* Makes everything *object points at its own, in arena. */
int rt_shape_copy(const struct rt_shape *shape, void *object, struct rt_arena *arena,
                  struct retort_error *err);
