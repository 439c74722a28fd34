/* SPDX-License-Identifier: Apache-2.0
 *
 * Events and their JSON. An event carries the members of its type and no other: what else is set is not
 * written, and refused when read.
 */
#include <stdlib.h>

#include "base/err.h"
#include "base/util.h"
#include "model/model.h"
#include "model/shapes.h"

struct owned {
        struct retort_event pub;
        struct rt_arena arena;
};

static const char *const type_names[] = {
#define X(name, wire, text) [RETORT_EVENT_##name] = (wire),
        RETORT_EVENT_TYPES(X)
#undef X
};

static const struct rt_field event_fields[] = {
        RT_FIELD("seq", struct retort_event, seq, RT_UINT64, .flags = RT_REQUIRED),
        RT_FIELD("at_ms", struct retort_event, at_ns, RT_DURATION, .flags = RT_REQUIRED),
        RT_FIELD("type", struct retort_event, type, RT_NAME, .flags = RT_REQUIRED, .names = type_names,
                 .n_names = RT_LEN(type_names)),
        RT_FIELD("step_name", struct retort_event, step_name, RT_STRING),
        RT_FIELD("text", struct retort_event, data, RT_BYTES_UTF8, .flags = RT_OPTIONAL),
        RT_FIELD("base64", struct retort_event, data, RT_BYTES_OTHER, .flags = RT_OPTIONAL),
        RT_FIELD("item", struct retort_event, item, RT_REF, .shape = &rt_shape_item),
        RT_FIELD("error", struct retort_event, error, RT_REF, .shape = &rt_shape_guest_error),
        RT_FIELD("step", struct retort_event, step, RT_REF, .shape = &rt_shape_step),
        RT_FIELD("outcome", struct retort_event, outcome, RT_REF, .shape = &rt_shape_outcome),
};
static const struct rt_shape event_shape = RT_SHAPE(struct retort_event, event_fields);

enum part { STEP_NAME = 1, DATA = 2, ITEM = 4, ERROR = 8, STEP = 16, OUTCOME = 32 };

static const struct {
        unsigned parts;
        const char *words;
} types[] = {
        [RETORT_EVENT_STARTED] = { STEP_NAME, "step_name" },
        [RETORT_EVENT_STDOUT] = { STEP_NAME | DATA, "step_name, and text or base64" },
        [RETORT_EVENT_STDERR] = { STEP_NAME | DATA, "step_name, and text or base64" },
        [RETORT_EVENT_ITEM] = { ITEM, "item" },
        [RETORT_EVENT_ERROR] = { ERROR, "error" },
        [RETORT_EVENT_STEP] = { STEP, "step" },
        [RETORT_EVENT_END] = { OUTCOME, "outcome" },
};

static unsigned parts_of(const struct retort_event *event) {
        return (event->step_name ? STEP_NAME : 0u) | (event->data.data ? DATA : 0u) |
               (event->item ? ITEM : 0u) | (event->error ? ERROR : 0u) | (event->step ? STEP : 0u) |
               (event->outcome ? OUTCOME : 0u);
}

static int check_parts(const struct retort_event *event, struct retort_error *err) {
        if (parts_of(event) == types[event->type].parts)
                return 0;
        return rt_fail(err, RETORT_E_INPUT,
                       "event: one of type \"%s\" has seq, at_ms, type and %s, all of them "
                       "and nothing else",
                       type_names[event->type], types[event->type].words);
}

int retort_event_json(const struct retort_event *event, char **ret_json, struct retort_error *err) {
        if ((unsigned)event->type >= RT_LEN(types))
                return rt_fail(err, RETORT_E_INPUT, "event: %u is no type", (unsigned)event->type);
        struct retort_event written = { .seq = event->seq, .at_ns = event->at_ns, .type = event->type };
        unsigned parts = types[event->type].parts;
        if (parts & STEP_NAME)
                written.step_name = event->step_name ? event->step_name : "";
        if (parts & DATA)
                written.data = event->data.data ? event->data : (struct retort_bytes){ "", 0 };
        written.item = parts & ITEM ? event->item : NULL;
        written.error = parts & ERROR ? event->error : NULL;
        written.step = parts & STEP ? event->step : NULL;
        written.outcome = parts & OUTCOME ? event->outcome : NULL;
        int r = check_parts(&written, err);
        return r < 0 ? r : rt_shape_json(&event_shape, &written, ret_json, err);
}

void retort_event_free(struct retort_event *event) {
        if (!event)
                return;
        struct owned *owned = rt_container_of(event, struct owned, pub);
        rt_arena_clear(&owned->arena);
        free(owned);
}

int retort_event_parse(const char *json, size_t size, struct retort_event **ret_event,
                       struct retort_error *err) {
        struct owned *owned = calloc(1, sizeof *owned);
        if (!owned)
                return rt_fail_nomem(err);
        int r = rt_shape_parse(&event_shape, "event", json, size, RT_STRICT, &owned->arena, &owned->pub, err);
        if (r == 0)
                r = check_parts(&owned->pub, err);
        if (r < 0) {
                retort_event_free(&owned->pub);
                return r;
        }
        *ret_event = &owned->pub;
        return 0;
}
