/* SPDX-License-Identifier: Apache-2.0 */
#include "lang/template.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/util.h"
#include "lang/runtime.h"

enum argument { NONE, OPTIONAL, NEEDED };
enum { MAX_TEXT = 128 * 1024 };

static const struct placeholder {
        const char *name;
        enum argument argument;
        bool list;
} placeholders[] = {
#define X(name, text, argument, list, meaning) [RT_PIECE_##name] = { text, argument, list },
        RT_PLACEHOLDERS(X)
#undef X
};

int rt_texts_add(struct rt_texts *texts, const char *text, struct rt_arena *arena, struct retort_error *err) {
        if (texts->n + 1 >= texts->room) {
                size_t room = texts->room ? 2 * texts->room : 16;
                const char **grown = rt_arena_array(arena, room, sizeof *grown);
                if (!grown)
                        return rt_fail_nomem(err);
                if (texts->n)
                        memcpy(grown, texts->at, texts->n * sizeof *grown);
                texts->at = grown;
                texts->room = room;
        }
        texts->at[texts->n++] = text;
        return 0;
}

/* ---- reading ----------------------------------------------------------------------------------- */

struct reading {
        const struct rt_yaml *yaml;
        const struct rt_yaml_node *node;
        const struct rt_runtime *runtime;
        int dir_fd;
};

static int fail_unknown(const struct reading *in, const char *name) {
        rt_auto_buf struct rt_buf known = RT_BUF(512);
        for (size_t i = RT_PIECE_TEXT + 1; i < RT_LEN(placeholders); i++)
                (void)rt_buf_printf(&known, "%s{%s}", i == RT_PIECE_TEXT + 1 ? "" : ", ",
                                    placeholders[i].name);
        return rt_yaml_fail(in->yaml, in->node,
                            "unknown placeholder {%s}; known: %s; a brace itself is written {{", name,
                            known.data ? known.data : "");
}

static int read_percent(const struct reading *in, struct rt_piece *piece) {
        piece->percent = 100;
        if (!piece->text)
                return 0;
        unsigned value = 0;
        const char *p = piece->text;
        for (; *p >= '0' && *p <= '9' && value <= 100; p++)
                value = value * 10 + (unsigned)(*p - '0');
        if (*p || value < 1 || value > 100)
                return rt_yaml_fail(in->yaml, in->node, "'%s' must be a percentage from 1 to 100",
                                    piece->text);
        piece->percent = value;
        return 0;
}

/* Of "a|b": the first that exists for {file:}; b or nothing for {fallback:}. */
static int choose_file(const struct reading *in, struct rt_piece *piece) {
        const char *bar = strchr(piece->text, '|');
        const char *first = rt_arena_copy(in->yaml->arena, piece->text,
                                          bar ? (size_t)(bar - piece->text) : strlen(piece->text));
        if (!first)
                return rt_fail_nomem(in->yaml->err);
        const char *second = bar ? bar + 1 : NULL;
        bool fallback = piece->kind == RT_PIECE_FALLBACK;
        if (fallback && !second)
                return rt_yaml_fail(in->yaml, in->node, "{fallback:%s} needs two files, as in {fallback:a|b}",
                                    first);
        bool have_first = faccessat(in->dir_fd, first, R_OK, 0) == 0;
        if (have_first || (second && faccessat(in->dir_fd, second, R_OK, 0) == 0)) {
                piece->text = have_first ? fallback ? NULL : first : second;
                return 0;
        }
        return rt_yaml_fail(in->yaml, in->node, "the runtime's folder has no file '%s'",
                            second ? second : first);
}

/* "a=x|b=y": each has a program and what stands for it. */
static int check_choices(const struct reading *in, const char *text) {
        for (const char *at = text; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL) {
                size_t name = strcspn(at, "=|");
                if (name == 0 || at[name] != '=' || strcspn(at + name + 1, "|") == 0)
                        return rt_yaml_fail(in->yaml, in->node,
                                            "{installed:%s} needs programs with what to say for each, as in "
                                            "{installed:a=-x|b=-y}", text);
        }
        return 0;
}

static int check_piece(const struct reading *in, struct rt_piece *piece) {
        switch (piece->kind) {
        case RT_PIECE_PROGRAM:
                if (rt_program_named(in->runtime, piece->text))
                        return 0;
                return rt_yaml_fail(in->yaml, in->node,
                                    "program '%s' is not the first name of any in toolchain.programs",
                                    piece->text);
        case RT_PIECE_FILE:
        case RT_PIECE_FALLBACK:
                return choose_file(in, piece);
        case RT_PIECE_INSTALLED:
                return check_choices(in, piece->text);
        case RT_PIECE_MEMORY_BYTES:
        case RT_PIECE_MEMORY_MIB:
        case RT_PIECE_PROCESSES:
                return read_percent(in, piece);
        default:
                return 0;
        }
}

/* Reads the inside of one {placeholder}. */
static int read_placeholder(const struct reading *in, const char *inside, size_t size, struct rt_piece *ret) {
        char *name = rt_arena_copy(in->yaml->arena, inside, size);
        if (!name)
                return rt_fail_nomem(in->yaml->err);
        char *argument = strchr(name, ':');
        if (argument)
                *argument++ = 0;
        size_t kind = RT_PIECE_TEXT + 1;
        while (kind < RT_LEN(placeholders) && strcmp(placeholders[kind].name, name) != 0)
                kind++;
        if (kind == RT_LEN(placeholders))
                return fail_unknown(in, name);
        if (placeholders[kind].argument == NEEDED && (!argument || !*argument))
                return rt_yaml_fail(in->yaml, in->node, "{%s} needs a value, as in {%s:x}", name, name);
        if (placeholders[kind].argument == NONE && argument)
                return rt_yaml_fail(in->yaml, in->node, "{%s} takes no value", name);
        *ret = (struct rt_piece){ .kind = (enum rt_piece_kind)kind, .text = argument };
        return check_piece(in, ret);
}

/* Reads one piece at *at and moves *at behind it. */
static int read_piece(const struct reading *in, const char **at, struct rt_piece *ret) {
        const char *p = *at;
        if (*p == '{' && p[1] != '{') {
                size_t size = strcspn(p + 1, "{}");
                if (p[1 + size] != '}')
                        return rt_yaml_fail(in->yaml, in->node,
                                            "'{' without '}'; a brace itself is written {{");
                *at = p + size + 2;
                return read_placeholder(in, p + 1, size, ret);
        }
        if (*p == '}' && p[1] != '}')
                return rt_yaml_fail(in->yaml, in->node, "'}' without '{'; a brace itself is written }}");
        bool brace = *p == '{' || *p == '}';
        size_t size = brace ? 1 : strcspn(p, "{}");
        *at = p + (brace ? 2 : size);
        *ret = (struct rt_piece){ .kind = RT_PIECE_TEXT, .text = rt_arena_copy(in->yaml->arena, p, size) };
        return ret->text ? 0 : rt_fail_nomem(in->yaml->err);
}

int rt_template_read(const struct rt_yaml *yaml, const struct rt_yaml_node *node,
                     const struct rt_runtime *runtime, int dir_fd, bool in_list, struct rt_template *ret) {
        struct reading in = { .yaml = yaml, .node = node, .runtime = runtime, .dir_fd = dir_fd };
        int r = rt_yaml_expect(yaml, node, RT_YAML_SCALAR);
        if (r < 0)
                return r;
        size_t most = 1;
        for (const char *p = node->text; *p; p++)
                most += *p == '{' || *p == '}';
        struct rt_piece *pieces = rt_arena_array(yaml->arena, 2 * most, sizeof *pieces);
        if (!pieces)
                return rt_fail_nomem(yaml->err);
        size_t n = 0;
        for (const char *at = node->text; *at && r == 0; n++)
                r = read_piece(&in, &at, &pieces[n]);
        for (size_t i = 0; i < n && r == 0; i++)
                if (placeholders[pieces[i].kind].list && (n > 1 || !in_list))
                        r = rt_yaml_fail(
                                yaml, node,
                                "{%s} becomes any number of arguments: it must be one of argv, alone",
                                placeholders[pieces[i].kind].name);
        *ret = (struct rt_template){ .pieces = pieces, .n = n };
        return r;
}

bool rt_template_uses(const struct rt_template *template, enum rt_piece_kind kind, const char *text) {
        for (size_t i = 0; i < template->n; i++)
                if (template->pieces[i].kind == kind &&
                    (!text || strcmp(template->pieces[i].text, text) == 0))
                        return true;
        return false;
}

/* ---- filling in -------------------------------------------------------------------------------- */

/* A path as an argument: one that begins like an option or a list of arguments (@file) is made plain. */
static const char *path_argument(const char *path, struct rt_arena *arena) {
        return path[0] == '-' || path[0] == '@' ? rt_arena_printf(arena, "./%s", path) : path;
}

static const char *own_file(const struct rt_filling *filling, const char *file) {
        return rt_arena_printf(filling->arena, "%s/%s/%s", filling->places->runtimes, filling->runtime->dir,
                               file);
}

static const char *entry_stem(const struct rt_filling *filling) {
        const char *slash = strrchr(filling->entry, '/');
        const char *base = slash ? slash + 1 : filling->entry;
        const char *dot = strrchr(base, '.');
        return rt_arena_copy(filling->arena, base, dot && dot > base ? (size_t)(dot - base) : strlen(base));
}

static const char *request_env(const struct rt_filling *filling, const char *name) {
        const char *value = "";
        size_t size = strlen(name);
        for (size_t i = 0; i < filling->request->n_env; i++)
                if (strncmp(filling->request->env[i], name, size) == 0 &&
                    filling->request->env[i][size] == '=')
                        value = filling->request->env[i] + size + 1;
        return value;
}

static const char *number(const struct rt_filling *filling, uint64_t value) {
        return rt_arena_printf(filling->arena, "%" PRIu64, value);
}

static uint64_t percent_of(uint64_t value, unsigned percent) {
        return value / 100 * percent + value % 100 * percent / 100;
}

/* rt_lang_detect has found it a moment ago. */
static const char *program_path(const struct rt_filling *filling, const char *name) {
        const char *path = NULL;
        (void)rt_program_find(rt_program_named(filling->runtime, name), filling->arena, &path);
        return path;
}

static const char *fill_piece(const struct rt_piece *piece, const struct rt_filling *filling) {
        const struct retort_limits *limits = filling->limits;
        switch (piece->kind) {
        case RT_PIECE_TEXT:
                return piece->text;
        case RT_PIECE_PROGRAM:
                return program_path(filling, piece->text);
        case RT_PIECE_FILE:
                return own_file(filling, piece->text);
        case RT_PIECE_ENTRY:
                return path_argument(filling->entry, filling->arena);
        case RT_PIECE_STEM:
                return entry_stem(filling);
        case RT_PIECE_MAIN:
                return filling->main ? filling->main : entry_stem(filling);
        case RT_PIECE_WORK:
                return filling->places->work;
        case RT_PIECE_TMP:
                return filling->places->tmp;
        case RT_PIECE_RUNTIMES:
                return filling->places->runtimes;
        case RT_PIECE_MEMORY_BYTES:
                return number(filling, percent_of(limits->memory_bytes, piece->percent));
        case RT_PIECE_MEMORY_MIB: {
                uint64_t mib = percent_of(limits->memory_bytes, piece->percent) >> 20;
                return number(filling, mib ? mib : 1);
        }
        case RT_PIECE_PROCESSES:
                return number(filling, percent_of(limits->processes, piece->percent));
        case RT_PIECE_ENV:
                return request_env(filling, piece->text);
        default:
                return NULL;
        }
}

int rt_template_fill(const struct rt_template *template, const struct rt_filling *filling,
                     const char **ret_text) {
        rt_auto_buf struct rt_buf text = RT_BUF(MAX_TEXT);
        for (size_t i = 0; i < template->n; i++) {
                const char *part = fill_piece(&template->pieces[i], filling);
                if (!part)
                        return rt_fail_nomem(filling->err);
                if (template->n == 1) {
                        *ret_text = part;
                        return 0;
                }
                enum rt_buf_result added = rt_buf_add(&text, part, strlen(part));
                if (added == RT_BUF_NOMEM)
                        return rt_fail_nomem(filling->err);
                if (added == RT_BUF_FULL)
                        return rt_fail(filling->err, RETORT_E_INPUT,
                                       "an argument would be longer than %d bytes", MAX_TEXT);
        }
        const char *copy = rt_arena_copy(filling->arena, text.data ? text.data : "", text.size);
        if (!copy)
                return rt_fail_nomem(filling->err);
        *ret_text = copy;
        return 0;
}

static bool has_extension(const struct rt_runtime *runtime, const char *path) {
        for (const char *const *extension = runtime->extensions; *extension; extension++) {
                size_t size = strlen(path);
                size_t tail = strlen(*extension);
                if (size > tail + 1 && path[size - tail - 1] == '.' &&
                    strcmp(path + size - tail, *extension) == 0)
                        return true;
        }
        return false;
}

static int add_files(const struct rt_filling *filling, struct rt_texts *to) {
        size_t before = to->n;
        for (size_t i = 0; i < filling->n_files; i++) {
                if (!has_extension(filling->runtime, filling->files[i].path))
                        continue;
                const char *path = path_argument(filling->files[i].path, filling->arena);
                int r = path ? rt_texts_add(to, path, filling->arena, filling->err)
                             : rt_fail_nomem(filling->err);
                if (r < 0)
                        return r;
        }
        if (to->n > before)
                return 0;
        return rt_fail(filling->err, RETORT_E_INPUT,
                       "files: none ends in .%s, so there is nothing to compile",
                       filling->runtime->extensions[0]);
}

static int add_all(const struct rt_filling *filling, const char *const *texts, size_t n,
                   struct rt_texts *to) {
        for (size_t i = 0; i < n; i++) {
                int r = rt_texts_add(to, texts[i], filling->arena, filling->err);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* What stands for the first program of "a=x|b=y" that is installed; *ret_text stays NULL when none is. */
static int choose_installed(const char *choices, struct rt_arena *arena, const char **ret_text) {
        for (const char *at = choices; at && !*ret_text; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL) {
                size_t name = strcspn(at, "=");
                const char *const program[] = { rt_arena_copy(arena, at, name), NULL };
                const char *path = NULL;
                if (!program[0] || rt_program_find(program, arena, &path) < 0)
                        return RETORT_E_NOMEM;
                const char *text = at + name + 1;
                if (path && !(*ret_text = rt_arena_copy(arena, text, strcspn(text, "|"))))
                        return RETORT_E_NOMEM;
        }
        return 0;
}

/* Whether the request has an argument for the compiler that what is installed here might not know. */
static bool wants_plain(const struct rt_filling *filling) {
        const struct retort_request *request = filling->request;
        for (const char *const *p = filling->runtime->compile.plain_if; p && *p; p++)
                for (size_t i = 0; i < request->n_compile_args; i++)
                        if (strncmp(request->compile_args[i], *p, strlen(*p)) == 0)
                                return true;
        return false;
}

int rt_template_add(const struct rt_template *template, const struct rt_filling *filling,
                    struct rt_texts *to) {
        const struct retort_request *request = filling->request;
        const char *text = NULL;
        switch (template->n ? template->pieces[0].kind : RT_PIECE_TEXT) {
        case RT_PIECE_FILES:
                return add_files(filling, to);
        case RT_PIECE_ARGS:
                return add_all(filling, request->args, request->n_args, to);
        case RT_PIECE_COMPILE_ARGS:
                return add_all(filling, request->compile_args, request->n_compile_args, to);
        case RT_PIECE_PRELOAD: {
                const char *const *modules = filling->warm ? filling->warm->preload : NULL;
                size_t n = 0;
                while (modules && modules[n])
                        n++;
                return add_all(filling, modules, n, to);
        }
        case RT_PIECE_FALLBACK:
                if (!template->pieces[0].text)
                        return 0;
                text = own_file(filling, template->pieces[0].text);
                return text ? rt_texts_add(to, text, filling->arena, filling->err)
                            : rt_fail_nomem(filling->err);
        case RT_PIECE_INSTALLED:
                if (wants_plain(filling))
                        return 0;
                if (choose_installed(template->pieces[0].text, filling->arena, &text) < 0)
                        return rt_fail_nomem(filling->err);
                return text ? rt_texts_add(to, text, filling->arena, filling->err) : 0;
        default:
                break;
        }
        int r = rt_template_fill(template, filling, &text);
        return r < 0 ? r : rt_texts_add(to, text, filling->arena, filling->err);
}
