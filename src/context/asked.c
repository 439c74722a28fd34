/* SPDX-License-Identifier: Apache-2.0
 *
 * A cell as its caller asks for it: checked, and as the runner is told of it.
 */
#include <jansson.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "base/util.h"
#include "context/inside.h"

static json_t *env_of(const struct retort_cell *cell) {
        json_t *env = json_object();
        for (size_t i = 0; i < cell->n_env; i++) {
                const char *sign = strchr(cell->env[i], '=');
                if (!sign || sign == cell->env[i])
                        continue;
                json_t *name = json_stringn(cell->env[i], (size_t)(sign - cell->env[i]));
                if (name)
                        (void)json_object_set_new(env, json_string_value(name), json_string(sign + 1));
                json_decref(name);
        }
        return env;
}

json_t *rt_context_cell_message(struct retort_context *context, const struct retort_cell *cell, uint64_t id) {
        char dir[RT_ASK_MAX_PATH];
        json_t *message = json_pack("{s:s, s:I, s:s%}", "type", "run", "id", (json_int_t)id, "code", cell->code.data ? cell->code.data : "",
                                    cell->code.size);
        const char *cwd = cell->cwd ? cell->cwd : context->cwd_pending ? context->cwd : NULL;
        if (cell->name)
                (void)json_object_set_new(message, "name", json_string(cell->name));
        if (cell->n_env)
                (void)json_object_set_new(message, "env", env_of(cell));
        if (cwd && rt_context_box_path(context->box, cwd, dir, NULL) == 0)
                (void)json_object_set_new(message, "cwd", json_string(dir));
        if (cell->silent)
                (void)json_object_set_new(message, "silent", json_true());
        if (cell->n_formats) {
                json_t *formats = json_array();
                for (size_t i = 0; i < cell->n_formats; i++)
                        (void)json_array_append_new(formats, json_string(cell->formats[i]));
                (void)json_object_set_new(message, "formats", formats);
        }
        context->cwd_pending = false;
        return message;
}

static int check_text(const char *what, const char *text, size_t size, struct retort_error *err) {
        return rt_text_is_utf8(text ? text : "", size) ? 0 : rt_fail(err, RETORT_E_INPUT, "%s: not UTF-8", what);
}

int rt_context_cell_check(const struct retort_context *context, const struct retort_cell *cell, struct retort_limits *ret_limits,
                          struct retort_error *err) {
        static const char *const known[] = { "png", "svg", "jpeg", "pdf" };
        const struct retort_limits asked = { .wall_ms = cell->wall_ms, .cpu_ms = cell->cpu_ms, .output_bytes = cell->output_bytes };
        int r = check_text("code", cell->code.data, cell->code.size, err);
        r = r < 0 ? r : check_text("name", cell->name, cell->name ? strlen(cell->name) : 0, err);
        r = r < 0 ? r : check_text("cwd", cell->cwd, cell->cwd ? strlen(cell->cwd) : 0, err);
        if (r == 0 && cell->code.size + cell->stdin_data.size > RETORT_MAX_FILES_BYTES)
                r = rt_fail(err, RETORT_E_INPUT, "code and stdin are together larger than %u bytes", RETORT_MAX_FILES_BYTES);
        for (size_t i = 0; i < cell->n_env && r == 0; i++) {
                const char *sign = strchr(cell->env[i], '=');
                r = check_text("env", cell->env[i], strlen(cell->env[i]), err);
                if (r == 0 && (!sign || sign == cell->env[i]))
                        r = rt_fail(err, RETORT_E_INPUT, "env[%zu] '%s' is not NAME=VALUE", i, rt_text_show(cell->env[i]).text);
        }
        for (size_t i = 0; i < cell->n_formats && r == 0; i++) {
                size_t k = 0;
                while (k < RT_LEN(known) && strcmp(known[k], cell->formats[i]) != 0)
                        k++;
                if (k == RT_LEN(known))
                        r = rt_fail(err, RETORT_E_INPUT, "formats[%zu] '%s' is none of png, svg, jpeg, pdf", i, rt_text_show(cell->formats[i]).text);
        }
        return r < 0 ? r : rt_lang_limits(&asked, &context->limits, &context->engine->ceilings, ret_limits, err);
}
