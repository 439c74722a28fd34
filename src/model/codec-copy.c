/* SPDX-License-Identifier: Apache-2.0
 *
 * Deep copies: after the bytes of a struct were copied, everything its fields point at is copied too.
 */
#include "model/codec.h"

#include "base/err.h"

#define AT(type) (*(type *)(void *)((char *)object + field->at))
#define COUNT (*(size_t *)(void *)((char *)object + field->count_at))

static bool copy_object(const struct rt_shape *shape, void *object, struct rt_arena *arena);

static bool copy_string(const char **text, struct rt_arena *arena) {
        if (!*text)
                return true;
        *text = rt_arena_strdup(arena, *text);
        return *text != NULL;
}

static bool copy_bytes(struct retort_bytes *bytes, struct rt_arena *arena) {
        if (!bytes->data)
                return true;
        bytes->data = rt_arena_copy(arena, bytes->data, bytes->size);
        return bytes->data != NULL;
}

/* An array of n things of this size; NULL when there is no memory. */
static void *copy_array(const void *from, size_t n, size_t size, struct rt_arena *arena) {
        char *copy = rt_arena_array(arena, n, size);
        if (copy && n)
                memcpy(copy, from, n * size);
        return copy;
}

static bool copy_strings(const struct rt_field *field, void *object, struct rt_arena *arena) {
        const char **list = copy_array(AT(void *), COUNT, sizeof *list, arena);
        AT(const char **) = list;
        for (size_t i = 0; list && i < COUNT; i++)
                if (!copy_string(&list[i], arena))
                        return false;
        return list != NULL;
}

static bool copy_texts(const struct rt_field *field, void *object, struct rt_arena *arena) {
        struct retort_bytes *list = copy_array(AT(void *), COUNT, sizeof *list, arena);
        AT(struct retort_bytes *) = list;
        for (size_t i = 0; list && i < COUNT; i++)
                if (!copy_bytes(&list[i], arena))
                        return false;
        return list != NULL;
}

static bool copy_extra(const struct rt_field *field, void *object, struct rt_arena *arena) {
        struct retort_extra *list = copy_array(AT(void *), COUNT, sizeof *list, arena);
        AT(struct retort_extra *) = list;
        for (size_t i = 0; list && i < COUNT; i++)
                if (!copy_string(&list[i].mime, arena) || !copy_string(&list[i].json, arena))
                        return false;
        return list != NULL;
}

static bool copy_list(const struct rt_field *field, void *object, struct rt_arena *arena) {
        char *list = copy_array(AT(void *), COUNT, field->shape->size, arena);
        AT(void *) = list;
        for (size_t i = 0; list && i < COUNT; i++)
                if (!copy_object(field->shape, list + i * field->shape->size, arena))
                        return false;
        return list != NULL;
}

static bool copy_ref(const struct rt_field *field, void *object, struct rt_arena *arena) {
        if (!AT(void *))
                return true;
        AT(void *) = copy_array(AT(void *), 1, field->shape->size, arena);
        return AT(void *) && copy_object(field->shape, AT(void *), arena);
}

static bool copy_field(const struct rt_field *field, void *object, struct rt_arena *arena) {
        switch (field->kind) {
        case RT_STRING:
        case RT_JSON_TEXT:
                return copy_string(&AT(const char *), arena);
        case RT_BYTES:
        case RT_BYTES_UTF8:
        case RT_TEXT:
                return copy_bytes(&AT(struct retort_bytes), arena);
        case RT_TEXTS:
                return copy_texts(field, object, arena);
        case RT_STRINGS:
        case RT_ENV:
                return copy_strings(field, object, arena);
        case RT_EXTRA:
                return copy_extra(field, object, arena);
        case RT_OBJECT:
                return copy_object(field->shape, (char *)object + field->at, arena);
        case RT_REF:
                return copy_ref(field, object, arena);
        case RT_LIST:
                return copy_list(field, object, arena);
        default: /* holds no pointer, or (RT_BYTES_OTHER) shares one that is copied already */
                return true;
        }
}

static bool copy_object(const struct rt_shape *shape, void *object, struct rt_arena *arena) {
        for (size_t i = 0; i < shape->n_fields; i++)
                if (!copy_field(&shape->fields[i], object, arena))
                        return false;
        return true;
}

int rt_shape_copy(const struct rt_shape *shape, void *object, struct rt_arena *arena,
                  struct retort_error *err) {
        return copy_object(shape, object, arena) ? 0 : rt_fail_nomem(err);
}
