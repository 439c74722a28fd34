/* SPDX-License-Identifier: Apache-2.0
 *
 * What a hook wrote about an uncaught error. The guest can write to the same descriptor: anything may come,
 * and what is not a report is none.
 */
#include <jansson.h>

#include "base/err.h"
#include "base/util.h"
#include "lang/lang.h"

static void json_cleanup(json_t **value) {
        json_decref(*value);
}

/* The named member if it is a text, or NULL. */
static const char *text_of(const json_t *object, const char *name) {
        return json_string_value(json_object_get(object, name));
}

int rt_lang_read_error(struct retort_bytes report, struct rt_arena *arena,
                       struct retort_guest_error *ret_error, struct retort_error *err) {
        struct retort_guest_error error = { 0 };
        *ret_error = error;
        if (!report.size || report.size > RT_LANG_REPORT_MAX)
                return 0;
        json_error_t fault;
        __attribute__((cleanup(json_cleanup))) json_t *object =
                json_loadb(report.data, report.size, JSON_REJECT_DUPLICATES, &fault);
        /* Short of memory, jansson often says nothing at all, and sometimes that the text is wrong. */
        if (!object)
                return fault.text[0] ? 0 : rt_fail_nomem(err);
        const char *name = text_of(object, "name");
        const char *value = text_of(object, "value");
        const char *traceback = text_of(object, "traceback");
        if (!name || !*name || !value || !traceback || json_object_size(object) != 3)
                return 0;
        error.name = rt_arena_strdup(arena, name);
        error.value = rt_arena_strdup(arena, value);
        error.traceback = rt_arena_strdup(arena, traceback);
        if (!error.name || !error.value || !error.traceback)
                return rt_fail_nomem(err);
        *ret_error = error;
        return 0;
}
