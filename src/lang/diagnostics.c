/* SPDX-License-Identifier: Apache-2.0
 *
 * What a compiler printed, line by line against the runtime's patterns.
 */
#include "base/err.h"
#include "lang/runtime.h"
#include "base/text.h"

/* A line is looked at up to here: C++ can print templates for pages. */
enum { MAX_LINE = 16 * 1024, MAX_GROUPS = 16 };

struct reading {
        const struct rt_runtime *runtime;
        struct rt_arena *arena;
        struct retort_diagnostic *found;
        size_t n;
        bool wants_caret; /* the last one found has its column in a line to come */
};

static uint32_t read_number(const char *text, size_t size) {
        uint32_t value = 0;
        for (size_t i = 0; i < size; i++)
                if (__builtin_mul_overflow(value, 10u, &value) ||
                    __builtin_add_overflow(value, (uint32_t)(text[i] - '0'), &value))
                        return 0;
        return value;
}

static const char *read_severity(const char *text, size_t size) {
        if (memmem(text, size, "error", 5))
                return "error";
        if (memmem(text, size, "warning", 7))
                return "warning";
        return "note";
}

static int set_field(struct reading *in, struct retort_diagnostic *diagnostic, enum rt_diagnostic_field field,
                     const char *text, size_t size) {
        const char **target = field == RT_FIELD_FILE ? &diagnostic->file : &diagnostic->message;
        switch (field) {
        case RT_FIELD_LINE:
                diagnostic->line = read_number(text, size);
                return 0;
        case RT_FIELD_COLUMN:
                diagnostic->column = read_number(text, size);
                return 0;
        case RT_FIELD_SEVERITY:
                diagnostic->severity = read_severity(text, size);
                return 0;
        case RT_FIELD_FILE:
        case RT_FIELD_MESSAGE:
                *target = rt_text_clean(in->arena, text, size);
                return *target ? 0 : RETORT_E_NOMEM;
        default:
                return 0;
        }
}

/* 1 if the line is one that def describes, 0 if not, RETORT_E_NOMEM. */
static int read_as(struct reading *in, const struct rt_diagnostic_def *def, const char *line, size_t size) {
        regmatch_t groups[MAX_GROUPS] = { { .rm_so = 0, .rm_eo = (regoff_t)size } };
        if (def->n_fields >= MAX_GROUPS ||
            regexec(&def->pattern->regex, line, def->n_fields + 1, groups, REG_STARTEND) != 0)
                return 0;
        struct retort_diagnostic diagnostic = { .file = "", .severity = "error", .message = "" };
        for (size_t i = 0; i < def->n_fields; i++) {
                const regmatch_t *group = &groups[i + 1];
                if (group->rm_so >= 0 && set_field(in, &diagnostic, def->fields[i], line + group->rm_so,
                                                   (size_t)(group->rm_eo - group->rm_so)) < 0)
                        return RETORT_E_NOMEM;
        }
        in->found[in->n++] = diagnostic;
        in->wants_caret = def->caret;
        return 1;
}

static int read_line(struct reading *in, const char *line, size_t size) {
        for (size_t i = 0; i < in->runtime->n_diagnostics; i++) {
                int r = read_as(in, &in->runtime->diagnostics[i], line, size);
                if (r != 0)
                        return r < 0 ? r : 0;
        }
        size_t blanks = 0;
        while (blanks < size && (line[blanks] == ' ' || line[blanks] == '\t'))
                blanks++;
        if (in->wants_caret && blanks + 1 == size && line[blanks] == '^') {
                in->found[in->n - 1].column = (uint32_t)blanks + 1;
                in->wants_caret = false;
        }
        return 0;
}

int rt_lang_read_diagnostics(const struct rt_runtime *runtime, struct retort_bytes output,
                             struct rt_arena *arena, const struct retort_diagnostic **ret_diagnostics,
                             size_t *ret_n, struct retort_error *err) {
        struct reading in = { .runtime = runtime, .arena = arena };
        in.found = rt_arena_array(arena, RT_LANG_MAX_DIAGNOSTICS, sizeof *in.found);
        if (!in.found)
                return rt_fail_nomem(err);
        const char *end = output.data + output.size;
        for (const char *line = output.data; line < end && in.n < RT_LANG_MAX_DIAGNOSTICS;) {
                const char *newline = memchr(line, '\n', (size_t)(end - line));
                size_t size = (size_t)((newline ? newline : end) - line);
                size_t seen = size && line[size - 1] == '\r' ? size - 1 : size;
                if (read_line(&in, line, seen < MAX_LINE ? seen : MAX_LINE) < 0)
                        return rt_fail_nomem(err);
                line += size + 1;
        }
        *ret_diagnostics = in.found;
        *ret_n = in.n;
        return 0;
}
