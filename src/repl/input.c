/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a cell ends is guessed from its text, roughly as prompts do: brackets and quotes that are open, a line that ends in a
 * backslash, and in Python a block. Who guesses wrong types an empty line.
 */
#include <string.h>

#include "repl/repl.h"

struct scan {
        int depth;         /* open brackets */
        const char *quote; /* what would end the text that is open; NULL: none is */
};

static bool is(const char *language, const char *name) {
        return strcmp(language, name) == 0;
}

static bool is_python(const char *language) {
        return is(language, "python") || is(language, "ipykernel");
}

/* Comments begin with '#', and '`' is no quote. */
static bool is_script(const char *language) {
        return is_python(language) || is(language, "r") || is(language, "irkernel") || is(language, "bash");
}

static const char *opens(const char *p, const char *language) {
        static const char *const quotes[] = { "\"\"\"", "'''", "\"", "'", "`" };
        for (size_t i = is_python(language) ? 0 : 2; i < sizeof quotes / sizeof *quotes - is_script(language); i++)
                if (strncmp(p, quotes[i], strlen(quotes[i])) == 0)
                        return quotes[i];
        return NULL;
}

/* Only what may span lines stays open at a line's end. */
static bool spans_lines(const char *quote, const char *language) {
        return strlen(quote) == 3 || *quote == '`' || (is_script(language) && !is_python(language));
}

/* Where the open text goes on after p, which is in it. */
static const char *skip_quoted(struct scan *s, const char *p, const char *language) {
        if (*p == '\\' && p[1])
                return p + 1;
        if (strncmp(p, s->quote, strlen(s->quote)) == 0) {
                p += strlen(s->quote) - 1;
                s->quote = NULL;
        } else if (*p == '\n' && !spans_lines(s->quote, language)) {
                s->quote = NULL;
        }
        return p;
}

static void scan_text(struct scan *s, const char *text, const char *language) {
        for (const char *p = text; *p; p++) {
                bool comment = is_script(language) ? *p == '#' : p[0] == '/' && p[1] == '/';
                if (s->quote) {
                        p = skip_quoted(s, p, language);
                } else if (comment) {
                        p += strcspn(p, "\n");
                        if (!*p)
                                return;
                } else if ((s->quote = opens(p, language))) {
                        p += strlen(s->quote) - 1;
                } else if (strchr("([{", *p)) {
                        s->depth++;
                } else if (strchr(")]}", *p)) {
                        s->depth--;
                }
        }
}

bool rt_repl_wants_more(const char *language, const char *text) {
        struct scan s = { 0 };
        size_t size = strlen(text);
        const char *last = strrchr(text, '\n');
        last = last ? last + 1 : text;
        scan_text(&s, text, language);
        if (s.depth > 0 || (s.quote && spans_lines(s.quote, language)) || (size > 0 && text[size - 1] == '\\'))
                return true;
        if (!is_python(language))
                return false;
        size_t end = strlen(last);
        while (end > 0 && strchr(" \t", last[end - 1]))
                end--;
        bool block = strstr(text, ":\n") || last[0] == '@' || (end > 0 && last[end - 1] == ':');
        return block && end > 0; /* until an empty line */
}
