/* SPDX-License-Identifier: Apache-2.0
 *
 * libyaml's event parser builds the tree: its document API would resolve aliases and forget anchors before
 * anybody could refuse them.
 */
#include "base/yaml.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <yaml.h>

#include "base/buf.h"

enum { MAX_DEPTH = 16 };

static const char *const kind_names[] = {
        [RT_YAML_SCALAR] = "a single value",
        [RT_YAML_LIST] = "a list",
        [RT_YAML_MAP] = "a mapping",
};

__attribute__((format(printf, 4, 0))) static int fail_at(const struct rt_yaml *yaml, unsigned line,
                                                         unsigned column, const char *format, va_list args) {
        char words[sizeof yaml->err->message];
        (void)vsnprintf(words, sizeof words, format, args);
        return rt_fail(yaml->err, RETORT_E_INPUT, "%s:%u:%u: %s", yaml->file, line, column, words);
}

int rt_yaml_fail(const struct rt_yaml *yaml, const struct rt_yaml_node *node, const char *format, ...) {
        va_list args;
        va_start(args, format);
        int r = fail_at(yaml, node->line, node->column, format, args);
        va_end(args);
        return r;
}

__attribute__((format(printf, 3, 4))) static int fail_mark(const struct rt_yaml *yaml, yaml_mark_t mark,
                                                           const char *format, ...) {
        va_list args;
        va_start(args, format);
        int r = fail_at(yaml, (unsigned)mark.line + 1, (unsigned)mark.column + 1, format, args);
        va_end(args);
        return r;
}

/* ---- text to tree ------------------------------------------------------------------------------ */

static void parser_cleanup(yaml_parser_t *parser) {
        yaml_parser_delete(parser);
}

static void event_cleanup(yaml_event_t *event) {
        yaml_event_delete(event);
}
#define auto_event __attribute__((cleanup(event_cleanup))) yaml_event_t

static int next_event(const struct rt_yaml *yaml, yaml_parser_t *parser, yaml_event_t *event) {
        if (yaml_parser_parse(parser, event))
                return 0;
        if (parser->error == YAML_MEMORY_ERROR)
                return rt_fail_nomem(yaml->err);
        yaml_mark_t mark = parser->problem_mark;
        if (parser->error == YAML_READER_ERROR)
                mark = parser->mark;
        return fail_mark(yaml, mark, "%s", parser->problem ? parser->problem : "not YAML");
}

static int refuse_decoration(const struct rt_yaml *yaml, const yaml_event_t *event) {
        const yaml_char_t *anchor = NULL;
        const yaml_char_t *tag = NULL;
        switch (event->type) {
        case YAML_ALIAS_EVENT:
                return fail_mark(yaml, event->start_mark, "aliases are not taken; write the value out");
        case YAML_SCALAR_EVENT:
                anchor = event->data.scalar.anchor;
                tag = event->data.scalar.tag;
                break;
        case YAML_SEQUENCE_START_EVENT:
                anchor = event->data.sequence_start.anchor;
                tag = event->data.sequence_start.tag;
                break;
        case YAML_MAPPING_START_EVENT:
                anchor = event->data.mapping_start.anchor;
                tag = event->data.mapping_start.tag;
                break;
        default:
                break;
        }
        if (anchor)
                return fail_mark(yaml, event->start_mark,
                                 "anchors are not taken; write the value out each time");
        if (tag)
                return fail_mark(yaml, event->start_mark, "tags are not taken; leave it out");
        return 0;
}

static int fill_scalar(const struct rt_yaml *yaml, const yaml_event_t *event, struct rt_yaml_node *node) {
        const char *text = (const char *)event->data.scalar.value;
        size_t size = event->data.scalar.length;
        if (memchr(text, 0, size))
                return fail_mark(yaml, event->start_mark, "a NUL character is not taken");
        node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        node->text = rt_arena_copy(yaml->arena, text, size);
        return node->text ? 0 : rt_fail_nomem(yaml->err);
}

static int read_children(const struct rt_yaml *yaml, yaml_parser_t *parser, struct rt_yaml_node *parent,
                         int depth);

static int read_node(const struct rt_yaml *yaml, yaml_parser_t *parser, const yaml_event_t *event, int depth,
                     struct rt_yaml_node **ret_node) {
        int r = refuse_decoration(yaml, event);
        if (r < 0)
                return r;
        if (depth > MAX_DEPTH)
                return fail_mark(yaml, event->start_mark, "nested deeper than %d levels", MAX_DEPTH);
        struct rt_yaml_node *node = rt_arena_new(yaml->arena, struct rt_yaml_node);
        if (!node)
                return rt_fail_nomem(yaml->err);
        node->line = (unsigned)event->start_mark.line + 1;
        node->column = (unsigned)event->start_mark.column + 1;
        if (event->type == YAML_SCALAR_EVENT) {
                node->kind = RT_YAML_SCALAR;
                r = fill_scalar(yaml, event, node);
        } else {
                node->kind = event->type == YAML_SEQUENCE_START_EVENT ? RT_YAML_LIST : RT_YAML_MAP;
                r = read_children(yaml, parser, node, depth);
        }
        if (r < 0)
                return r;
        *ret_node = node;
        return 0;
}

static int check_key(const struct rt_yaml *yaml, const struct rt_yaml_node *map,
                     const struct rt_yaml_node *key) {
        if (key->kind != RT_YAML_SCALAR)
                return rt_yaml_fail(yaml, key, "a key must be a single word");
        for (const struct rt_yaml_node *other = map->first; other; other = other->next)
                if (strcmp(other->key->text, key->text) == 0)
                        return rt_yaml_fail(yaml, key, "key '%s' was given already in line %u", key->text,
                                            other->key->line);
        return 0;
}

static int read_children(const struct rt_yaml *yaml, yaml_parser_t *parser, struct rt_yaml_node *parent,
                         int depth) {
        struct rt_yaml_node **tail = &parent->first;
        struct rt_yaml_node *key = NULL;
        for (;;) {
                auto_event event = { 0 };
                int r = next_event(yaml, parser, &event);
                if (r < 0)
                        return r;
                if (event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT)
                        return 0;
                struct rt_yaml_node *node;
                r = read_node(yaml, parser, &event, depth + 1, &node);
                if (r == 0 && parent->kind == RT_YAML_MAP && !key) {
                        r = check_key(yaml, parent, node);
                        key = node;
                        if (r == 0)
                                continue;
                }
                if (r < 0)
                        return r;
                node->key = key;
                key = NULL;
                *tail = node;
                tail = &node->next;
                parent->n++;
        }
}

/* Events up to the first node of the document; what follows it is checked by the caller. */
static int read_document(const struct rt_yaml *yaml, yaml_parser_t *parser, struct rt_yaml_node **ret_root) {
        for (;;) {
                auto_event event = { 0 };
                int r = next_event(yaml, parser, &event);
                if (r < 0)
                        return r;
                if (event.type == YAML_STREAM_END_EVENT)
                        return fail_mark(yaml, event.start_mark, "the file is empty");
                if (event.type != YAML_STREAM_START_EVENT && event.type != YAML_DOCUMENT_START_EVENT)
                        return read_node(yaml, parser, &event, 0, ret_root);
        }
}

static int read_end(const struct rt_yaml *yaml, yaml_parser_t *parser) {
        for (;;) {
                auto_event event = { 0 };
                int r = next_event(yaml, parser, &event);
                if (r < 0 || event.type == YAML_STREAM_END_EVENT)
                        return r;
                if (event.type == YAML_DOCUMENT_START_EVENT)
                        return fail_mark(yaml, event.start_mark, "a second document is not taken");
        }
}

int rt_yaml_parse(const struct rt_yaml *yaml, const char *text, size_t size,
                  const struct rt_yaml_node **ret_root) {
        __attribute__((cleanup(parser_cleanup))) yaml_parser_t parser = { 0 };
        if (!yaml_parser_initialize(&parser))
                return rt_fail_nomem(yaml->err);
        yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
        struct rt_yaml_node *root;
        int r = read_document(yaml, &parser, &root);
        if (r == 0)
                r = read_end(yaml, &parser);
        if (r < 0)
                return r;
        *ret_root = root;
        return 0;
}

/* ---- tree to struct ---------------------------------------------------------------------------- */

int rt_yaml_expect(const struct rt_yaml *yaml, const struct rt_yaml_node *node, enum rt_yaml_kind kind) {
        if (node->kind == kind)
                return 0;
        if (node->key)
                return rt_yaml_fail(yaml, node, "'%s' must be %s, not %s", node->key->text, kind_names[kind],
                                    kind_names[node->kind]);
        return rt_yaml_fail(yaml, node, "%s is wanted here, not %s", kind_names[kind],
                            kind_names[node->kind]);
}

static const struct rt_yaml_key *find_key(const struct rt_yaml_key *keys, const char *name) {
        for (; keys->name; keys++)
                if (strcmp(keys->name, name) == 0)
                        return keys;
        return NULL;
}

static int fail_unknown(const struct rt_yaml *yaml, const struct rt_yaml_node *key,
                        const struct rt_yaml_key *keys) {
        rt_auto_buf struct rt_buf known = RT_BUF(512);
        for (const struct rt_yaml_key *k = keys; k->name; k++)
                (void)rt_buf_printf(&known, "%s%s", k == keys ? "" : ", ", k->name);
        return rt_yaml_fail(yaml, key, "unknown key '%s'; known here: %s", key->text,
                            known.data ? known.data : "");
}

static int demand_required(const struct rt_yaml *yaml, const struct rt_yaml_node *map,
                           const struct rt_yaml_key *keys) {
        for (; keys->name; keys++) {
                const struct rt_yaml_node *node = keys->required ? map->first : NULL;
                while (node && strcmp(node->key->text, keys->name) != 0)
                        node = node->next;
                if (keys->required && !node)
                        return rt_yaml_fail(yaml, map, "key '%s' is missing", keys->name);
        }
        return 0;
}

int rt_yaml_walk(const struct rt_yaml *yaml, const struct rt_yaml_node *map, const struct rt_yaml_key *keys,
                 void *target) {
        int r = rt_yaml_expect(yaml, map, RT_YAML_MAP);
        for (const struct rt_yaml_node *node = r < 0 ? NULL : map->first; node && r == 0; node = node->next) {
                const struct rt_yaml_key *key = find_key(keys, node->key->text);
                r = key ? key->read(yaml, node, key, (char *)target + key->offset)
                        : fail_unknown(yaml, node->key, keys);
        }
        return r < 0 ? r : demand_required(yaml, map, keys);
}

int rt_yaml_read_map(const struct rt_yaml *yaml, const struct rt_yaml_node *node,
                     const struct rt_yaml_key *key, void *target) {
        return rt_yaml_walk(yaml, node, key->keys, target);
}

int rt_yaml_read_text(const struct rt_yaml *yaml, const struct rt_yaml_node *node,
                      const struct rt_yaml_key *key, void *target) {
        int r = rt_yaml_expect(yaml, node, RT_YAML_SCALAR);
        if (r < 0)
                return r;
        if (!node->text[0])
                return rt_yaml_fail(yaml, node, "'%s' must not be empty", key->name);
        *(const char **)target = node->text;
        return 0;
}

int rt_yaml_read_texts(const struct rt_yaml *yaml, const struct rt_yaml_node *node,
                       const struct rt_yaml_key *key, void *target) {
        int r = rt_yaml_expect(yaml, node, RT_YAML_LIST);
        if (r < 0)
                return r;
        const char **texts = rt_arena_array(yaml->arena, node->n + 1, sizeof *texts);
        if (!texts)
                return rt_fail_nomem(yaml->err);
        size_t n = 0;
        for (const struct rt_yaml_node *item = node->first; item; item = item->next) {
                r = rt_yaml_expect(yaml, item, RT_YAML_SCALAR);
                if (r < 0)
                        return r;
                if (!item->text[0] && item->plain)
                        return rt_yaml_fail(yaml, item,
                                            "an item of '%s' is empty; if it is meant, write \"\"",
                                            key->name);
                texts[n++] = item->text;
        }
        *(const char *const **)target = texts;
        return 0;
}

int rt_yaml_read_uint(const struct rt_yaml *yaml, const struct rt_yaml_node *node,
                      const struct rt_yaml_key *key, void *target) {
        static const struct {
                const char *name;
                unsigned shift;
        } units[] = { { "", 0 }, { " KiB", 10 }, { " MiB", 20 }, { " GiB", 30 } };
        int r = rt_yaml_expect(yaml, node, RT_YAML_SCALAR);
        if (r < 0)
                return r;
        uint64_t value = 0;
        const char *p = node->text;
        bool good = node->plain && *p >= '0' && *p <= '9';
        for (; good && *p >= '0' && *p <= '9'; p++)
                good = !__builtin_mul_overflow(value, 10u, &value) &&
                       !__builtin_add_overflow(value, (uint64_t)(*p - '0'), &value);
        for (size_t i = 0; good && i < sizeof units / sizeof *units; i++)
                if (strcmp(p, units[i].name) == 0 && value <= UINT64_MAX >> units[i].shift) {
                        *(uint64_t *)target = value << units[i].shift;
                        return 0;
                }
        return rt_yaml_fail(yaml, node, "'%s' must be a whole number, or one with KiB, MiB or GiB, not '%s'",
                            key->name, node->text);
}

int rt_yaml_read_bool(const struct rt_yaml *yaml, const struct rt_yaml_node *node,
                      const struct rt_yaml_key *key, void *target) {
        int r = rt_yaml_expect(yaml, node, RT_YAML_SCALAR);
        if (r < 0)
                return r;
        bool yes = node->plain && strcmp(node->text, "true") == 0;
        if (!yes && (!node->plain || strcmp(node->text, "false") != 0))
                return rt_yaml_fail(yaml, node, "'%s' must be true or false, not '%s'", key->name,
                                    node->text);
        *(bool *)target = yes;
        return 0;
}
