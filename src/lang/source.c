/* SPDX-License-Identifier: Apache-2.0
 *
 * Regular expressions cannot see what is a comment, a literal or inside a block. The outline takes these away
 * first, so that patterns in runtime.yaml can stay simple and are not fooled.
 */
#include "lang/source.h"

#include "base/err.h"
#include "base/text.h"

/* Longest outline that patterns see: room for the declarations of hundreds of members. A regular expression
 * may take the square of its text's length (16 KiB: 0.1 s at worst), and the text is a stranger's. */
enum { MAX_OUTLINE = 16 * 1024 };

/* The end of a comment that begins at p, or p. */
static const char *skip_comment(const char *p, const char *end) {
        if (end - p < 2 || p[0] != '/' || (p[1] != '/' && p[1] != '*'))
                return p;
        if (p[1] == '/') {
                const char *newline = memchr(p, '\n', (size_t)(end - p));
                return newline ? newline : end;
        }
        const char *close = memmem(p + 2, (size_t)(end - p) - 2, "*/", 2);
        return close ? close + 2 : end;
}

/* The end of a literal that begins at p, or p. A literal in single quotes of one kind ends with its line at
 * the latest. */
static const char *skip_literal(const char *p, const char *end) {
        if (*p != '"' && *p != '\'')
                return p;
        bool block = end - p >= 3 && memcmp(p, "\"\"\"", 3) == 0;
        size_t quotes = block ? 3 : 1;
        const char *close = block ? "\"\"\"" : *p == '"' ? "\"" : "'";
        for (p += quotes; p < end && (block || *p != '\n'); p++) {
                if (*p == '\\' && end - p > 1)
                        p++;
                else if ((size_t)(end - p) >= quotes && memcmp(p, close, quotes) == 0)
                        return p + quotes;
        }
        return p;
}

static bool is_blank(char c) {
        return c == ' ' || (c >= '\t' && c <= '\r') || !c;
}

/* Adds a character; of a run of blanks only one. */
static size_t add(char *out, size_t n, char c) {
        if (!is_blank(c))
                out[n++] = c;
        else if (!n || out[n - 1] != ' ')
                out[n++] = ' ';
        return n;
}

size_t rt_source_outline(const char *text, size_t size, char *out) {
        const char *end = text + size;
        unsigned blocks = 0;
        unsigned parens = 0;
        size_t n = 0;
        for (const char *p = text; p < end;) {
                const char *next = skip_comment(p, end);
                if (next == p)
                        next = skip_literal(p, end);
                char c = next != p ? ' ' : *p++;
                if (next > p)
                        p = next;
                if (c == ')' && parens)
                        parens--;
                if (c == '}' && !parens && blocks && --blocks == 1)
                        n = add(out, n, ';');
                else if (blocks < 2 && !parens && !(c == '{' && blocks == 1))
                        n = add(out, n, c);
                if (c == '(')
                        parens++;
                if (c == '{' && !parens)
                        blocks++;
        }
        return n;
}

/* *ret_name is the pattern's value, or NULL. */
static int find(const struct rt_pattern *pattern, struct retort_bytes text, struct rt_arena *arena,
                const char **ret_name, struct retort_error *err) {
        size_t start;
        size_t end;
        *ret_name = NULL;
        if (!pattern || !rt_pattern_find(pattern, text.data, text.size, &start, &end))
                return 0;
        if (end == start || end - start > RETORT_MAX_PATH || memchr(text.data + start, '/', end - start))
                return 0;
        *ret_name = rt_arena_copy(arena, text.data + start, end - start);
        return *ret_name ? 0 : rt_fail_nomem(err);
}

int rt_source_names(const struct rt_runtime *runtime, struct retort_bytes text, struct rt_arena *arena,
                    struct rt_source_names *ret, struct retort_error *err) {
        *ret = (struct rt_source_names){ 0 };
        if (!runtime->source.file && !runtime->source.main)
                return 0;
        rt_auto_arena struct rt_arena scratch = { 0 };
        if (runtime->source.braces) {
                char *outline = rt_arena_alloc(&scratch, text.size + 1);
                if (!outline)
                        return rt_fail_nomem(err);
                text = (struct retort_bytes){ outline, rt_source_outline(text.data, text.size, outline) };
        }
        if (!text.size)
                return 0;
        text.size = text.size < MAX_OUTLINE ? text.size : MAX_OUTLINE;
        const char *main = NULL;
        const char *package = NULL;
        int r = find(runtime->source.file, text, arena, &ret->file, err);
        r = r < 0 ? r : find(runtime->source.main, text, arena, &main, err);
        r = r < 0 ? r : find(runtime->source.package, text, arena, &package, err);
        if (r < 0)
                return r;
        if (!ret->file)
                ret->file = main;
        const char *launch = main ? main : ret->file;
        ret->main = package && launch ? rt_arena_printf(arena, "%s.%s", package, launch) : launch;
        return launch && !ret->main ? rt_fail_nomem(err) : 0;
}
