/* SPDX-License-Identifier: Apache-2.0
 *
 * A runner's item becomes one of the model's: each MIME type that has a member goes there, every other one into extra.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/util.h"
#include "context/inside.h"

enum kind { TEXT, JSON };

static const struct {
        const char *mime;
        enum kind kind;
        size_t at;
} members[] = {
#define X(member, mime, kind) { mime, kind, offsetof(struct retort_item, member) },
        RETORT_ITEM_FIELDS(X)
#undef X
};

static const char *dump(json_t *value, struct rt_arena *arena) {
        rt_auto_free char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        return text ? rt_arena_strdup(arena, text) : NULL;
}

/* Texts of the model end in NUL: one within becomes U+FFFD. */
static char *copy_text(const char *text, size_t size, struct rt_arena *arena) {
        char *copy = memchr(text, 0, size) ? rt_arena_alloc(arena, 3 * size + 1) : rt_arena_copy(arena, text, size);
        if (!copy || !memchr(text, 0, size))
                return copy;
        char *to = copy;
        for (size_t i = 0; i < size; i++) {
                if (text[i])
                        *to++ = text[i];
                else
                        to = stpcpy(to, RT_TEXT_REPLACEMENT);
        }
        return copy;
}

/* A text as it is; where JSON belongs, as JSON; anything else where text belongs: as its JSON. */
static const char *value_of(json_t *value, enum kind kind, struct rt_arena *arena, uint64_t *bytes) {
        const char *text = kind == TEXT && json_is_string(value)
                                   ? copy_text(json_string_value(value), json_string_length(value), arena)
                                   : dump(value, arena);
        *bytes += text ? strlen(text) : 0;
        return text;
}

static bool put(struct retort_item *item, struct retort_extra *extra, const char *mime, json_t *value, struct rt_arena *arena,
                uint64_t *bytes) {
        for (size_t i = 0; i < RT_LEN(members); i++)
                if (strcmp(members[i].mime, mime) == 0) {
                        const char *text = value_of(value, members[i].kind, arena, bytes);
                        memcpy((char *)item + members[i].at, &text, sizeof text);
                        return text;
                }
        struct retort_extra *e = &extra[item->n_extra++];
        e->mime = rt_arena_strdup(arena, mime);
        *bytes += strlen(mime);
        e->json = value_of(value, JSON, arena, bytes);
        return e->mime && e->json;
}

static bool grow(struct rt_items *items) {
        if (items->n < items->room)
                return true;
        size_t room = items->room ? items->room * 2 : 16;
        struct retort_item *at = realloc(items->at, room * sizeof *at);
        if (!at)
                return false;
        items->at = at;
        items->room = room;
        return true;
}

static uint64_t size_of(json_t *data) {
        const char *mime;
        json_t *value;
        uint64_t size = 0;
        json_object_foreach(data, mime, value)
                size += json_string_length(value);
        return size;
}

bool rt_items_add(struct rt_items *items, json_t *message, struct rt_arena *arena) {
        json_t *data = json_object_get(message, "data");
        if (!json_is_object(data) || json_object_size(data) == 0)
                return true;
        if (items->n >= RT_CONTEXT_MAX_ITEMS || json_object_size(data) > RT_CONTEXT_MAX_TYPES || items->bytes + size_of(data) > RT_CONTEXT_MAX_ITEM_BYTES) {
                items->left_out++;
                return true;
        }
        struct retort_item item = { .is_main_result = json_is_true(json_object_get(message, "main")) };
        struct retort_extra *extra = rt_arena_array(arena, json_object_size(data), sizeof *extra);
        const char *mime;
        json_t *value;
        if (!extra || !grow(items))
                return false;
        json_object_foreach(data, mime, value)
                if (!put(&item, extra, mime, value, arena, &items->bytes))
                        return false;
        item.extra = extra;
        items->at[items->n++] = item;
        return true;
}
