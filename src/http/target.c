/* SPDX-License-Identifier: Apache-2.0 */
#include "http/parse.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"

static int hex(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        c |= 0x20;
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes into text, which may be where it came from. The new size, or -1. */
static long decode(const char *from, size_t size, bool plus, char *text) {
        size_t n = 0;
        for (size_t i = 0; i < size; i++) {
                char c = from[i];
                if (c == '%') {
                        int high = i + 2 < size ? hex(from[i + 1]) : -1;
                        int low = high >= 0 ? hex(from[i + 2]) : -1;
                        if (low < 0)
                                return -1;
                        c = (char)(high << 4 | low);
                        i += 2;
                } else if (c == '+' && plus)
                        c = ' ';
                text[n++] = c;
        }
        text[n] = 0;
        return (long)n;
}

static bool has_control(const char *text, size_t size) {
        for (size_t i = 0; i < size; i++)
                if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
                        return true;
        return false;
}

static bool has_dots(const char *path) {
        for (const char *p = path; *p; p += strcspn(p, "/")) {
                p += strspn(p, "/");
                size_t n = strcspn(p, "/");
                if ((n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
                        return true;
        }
        return false;
}

static bool has_escaped_slash(const char *raw, size_t size) {
        for (size_t i = 0; i + 2 < size; i++)
                if (raw[i] == '%' && ((raw[i + 1] == '2' && (raw[i + 2] | 0x20) == 'f') ||
                                      (raw[i + 1] == '5' && (raw[i + 2] | 0x20) == 'c')))
                        return true;
        return memchr(raw, '\\', size) != NULL;
}

static const char *read_path(struct rt_arena *arena, const char *raw, size_t size, const char **ret_path) {
        char *path = rt_arena_alloc(arena, size + 1);
        if (!path)
                return NULL;
        *ret_path = path;
        if (has_escaped_slash(raw, size))
                return "the path has an escaped slash or a backslash";
        long n = decode(raw, size, false, path);
        if (n < 0)
                return "the path has a bad percent escape";
        if (has_control(path, (size_t)n))
                return "the path has a control character";
        if (!rt_text_is_utf8(path, (size_t)n))
                return "the path is not UTF-8";
        if (has_dots(path))
                return "the path has a segment . or ..";
        return "";
}

static const char *read_part(struct rt_arena *arena, const char *raw, size_t size, const char **ret_text) {
        char *text = rt_arena_alloc(arena, size + 1);
        if (!text)
                return NULL;
        *ret_text = text;
        long n = decode(raw, size, true, text);
        if (n < 0)
                return "the query has a bad percent escape";
        if (memchr(text, 0, (size_t)n))
                return "the query has a NUL";
        return rt_text_is_utf8(text, (size_t)n) ? "" : "the query is not UTF-8";
}

static const char *read_query(struct rt_arena *arena, const char *raw, const struct rt_http_header **ret_query) {
        size_t most = 1;
        for (const char *p = raw; (p = strchr(p, '&')); p++)
                most++;
        struct rt_http_header *query = rt_arena_array(arena, most + 1, sizeof *query);
        if (!query)
                return NULL;
        *ret_query = query;
        for (const char *p = raw; *p;) {
                size_t size = strcspn(p, "&");
                const char *equals = memchr(p, '=', size);
                size_t name = equals ? (size_t)(equals - p) : size;
                size_t value = equals ? name + 1 : size;
                const char *why = size ? read_part(arena, p, name, &query->name) : "";
                if (size && why && !*why)
                        why = read_part(arena, p + value, size - value, &query->value);
                if (!why || *why) {
                        query->name = NULL;
                        return why;
                }
                query += size > 0;
                p += size + (p[size] == '&');
        }
        return "";
}

/* Takes "http://host:80" off. NULL: no memory. */
static const char *skip_authority(struct rt_arena *arena, const char *text, const char **ret_authority) {
        size_t scheme = strncasecmp(text, "http://", 7) == 0 ? 7 : strncasecmp(text, "https://", 8) == 0 ? 8 : 0;
        if (!scheme)
                return text;
        size_t size = strcspn(text + scheme, "/?#");
        *ret_authority = rt_arena_copy(arena, text + scheme, size);
        return *ret_authority ? text + scheme + size : NULL;
}

int rt_http_target_parse(struct rt_arena *arena, const char *text, struct rt_http_target *ret,
                         const char **ret_why) {
        static const struct rt_http_header none[1];
        *ret = (struct rt_http_target){ .query = none };
        *ret_why = NULL;
        const char *rest = skip_authority(arena, text, &ret->authority);
        if (!rest)
                return -1;
        size_t size = strcspn(rest, "?");
        bool star = strcmp(rest, "*") == 0;
        const char *why = "the target is neither a path nor a URL";
        if (ret->authority && size == 0)
                why = read_path(arena, "/", 1, &ret->path);
        else if (strchr(rest, '#'))
                why = "the target has a fragment";
        else if (star || *rest == '/')
                why = read_path(arena, rest, size, &ret->path);
        if (why && !*why && rest[size])
                why = read_query(arena, rest + size + 1, &ret->query);
        *ret_why = why;
        return why && !*why ? 0 : -1;
}
