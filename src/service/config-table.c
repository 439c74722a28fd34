/* SPDX-License-Identifier: Apache-2.0 */
#include "service/config-table.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/suggest.h"
#include "base/util.h"

const struct rt_option rt_options[] = {
#define X(section, key, type, dflt, text)                                                                              \
        { #section, #key, RT_OPTION_##type, offsetof(struct rt_config, section##_##key), dflt, text },
        RT_CONFIG(X)
#undef X
};
const size_t rt_n_options = RT_LEN(rt_options);

static const struct {
        const char *section;
        const char *key;
        bool may_be_empty;
        const char *names[5];
        const char *words;
} choices[] = {
        { "isolation", "minimum", true, { "strong", "reduced", "minimal" }, "strong, reduced or minimal" },
        { "jobs", "running_at_crash", false, { "rerun", "fail" }, "rerun or fail" },
        { "runtime_face", "mode", false, { "direct", "queue" }, "direct or queue" },
        { "runtime_face", "generation", false, { "head", "docs" }, "head or docs" },
        { "agentbay_face", "format", false, { "current", "rich" }, "current or rich" },
        { "log", "level", false, { "error", "warning", "info", "debug" }, "error, warning, info or debug" },
};

struct unit {
        const char *name;
        uint64_t factor;
};
static const struct unit times[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { NULL, 0 } };
static const struct unit sizes[] = { { "B", 1 }, { "KiB", 1ull << 10 }, { "MiB", 1ull << 20 }, { "GiB", 1ull << 30 },
                                     { "kB", 1000 }, { "MB", 1000000 }, { "GB", 1000000000 }, { NULL, 0 } };
static const struct unit counts[] = { { NULL, 0 } };

/* ---- rows ---- */

const struct rt_option *rt_option_find(const char *section, const char *key) {
        for (size_t i = 0; i < rt_n_options; i++)
                if (strcmp(rt_options[i].section, section) == 0 && strcmp(rt_options[i].key, key) == 0)
                        return &rt_options[i];
        return NULL;
}

bool rt_option_is_section(const char *name) {
        for (size_t i = 0; i < rt_n_options; i++)
                if (strcmp(rt_options[i].section, name) == 0)
                        return true;
        return false;
}

bool rt_option_is_secret(const struct rt_option *option) {
        return strstr(option->key, "secret") != NULL;
}

static int choice_of(const struct rt_option *option) {
        for (size_t i = 0; i < RT_LEN(choices); i++)
                if (strcmp(choices[i].section, option->section) == 0 && strcmp(choices[i].key, option->key) == 0)
                        return (int)i;
        return -1;
}

const char *rt_option_choices(const struct rt_option *option) {
        int c = choice_of(option);
        return c < 0 ? NULL : choices[c].words;
}

const char *rt_option_suggest(const char *section, const char *word) {
        const char *names[RT_LEN(rt_options) + 1];
        size_t n = 0;
        for (size_t i = 0; i < rt_n_options; i++)
                if (!section || strcmp(rt_options[i].section, section) == 0)
                        names[n++] = section ? rt_options[i].key : rt_options[i].section;
        if (!section)
                names[n++] = "tenants";
        return rt_suggest(word, names, n);
}

/* ---- text to value ---- */

static int set_text(const struct rt_option *option, const char *text, struct rt_arena *arena, const char **ret,
                    struct retort_error *err) {
        int c = choice_of(option);
        bool good = c < 0 || (choices[c].may_be_empty && !*text);
        for (size_t i = 0; !good && i < RT_LEN(choices[c].names) && choices[c].names[i]; i++)
                good = strcmp(choices[c].names[i], text) == 0;
        if (!good)
                return rt_fail(err, RETORT_E_INPUT, "must be %s, not '%s'", choices[c].words, text);
        *ret = rt_arena_strdup(arena, text);
        return *ret ? 0 : rt_fail_nomem(err);
}

static int set_list(const char *text, struct rt_arena *arena, const char *const **ret, struct retort_error *err) {
        size_t room = 2;
        for (const char *p = text; *p; p++)
                room += *p == ',';
        const char **list = rt_arena_array(arena, room, sizeof *list);
        if (!list)
                return rt_fail_nomem(err);
        size_t n = 0;
        for (const char *p = text; *p;) {
                p += strspn(p, " ");
                size_t size = strcspn(p, ",");
                const char *next = p + size + (p[size] == ',');
                while (size > 0 && p[size - 1] == ' ')
                        size--;
                if (size == 0)
                        return rt_fail(err, RETORT_E_INPUT, "an item of the list '%s' is empty", text);
                if (!(list[n++] = rt_arena_copy(arena, p, size)))
                        return rt_fail_nomem(err);
                p = next;
        }
        *ret = list;
        return 0;
}

/* A whole number and one of the units; which may be missing when a bare number has a meaning. */
static bool read_number(const char *text, const struct unit *units, bool bare, uint64_t *ret) {
        uint64_t value = 0;
        const char *p = text;
        for (; *p >= '0' && *p <= '9'; p++)
                if (__builtin_mul_overflow(value, 10u, &value) || __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
                        return false;
        if (p == text)
                return false;
        const char *unit = p + strspn(p, " ");
        if (!*unit && *p == 0 && (bare || value == 0)) {
                *ret = value;
                return true;
        }
        for (; units->name; units++)
                if (strcmp(units->name, unit) == 0)
                        return !__builtin_mul_overflow(value, units->factor, ret);
        return false;
}

static int set_number(const char *text, const struct unit *units, bool bare, const char *what, uint64_t *ret,
                      struct retort_error *err) {
        if (read_number(text, units, bare, ret))
                return 0;
        return rt_fail(err, RETORT_E_INPUT, "must be %s, not '%s'", what, text);
}

int rt_option_set(struct rt_config *config, const struct rt_option *option, const char *text, struct retort_error *err) {
        void *at = (char *)config + option->offset;
        switch (option->type) {
        case RT_OPTION_TEXT:
                return set_text(option, text, config->arena, at, err);
        case RT_OPTION_LIST:
                return set_list(text, config->arena, at, err);
        case RT_OPTION_COUNT:
                return set_number(text, counts, true, "a whole number", at, err);
        case RT_OPTION_MS:
                return set_number(text, times, false, "a time with its unit (500ms, 10s, 5m, 2h)", at, err);
        case RT_OPTION_BYTES:
                return set_number(text, sizes, true, "a size (65536, 64KiB, 16MiB, 1GiB, 10MB)", at, err);
        case RT_OPTION_BOOL:
                if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
                        return rt_fail(err, RETORT_E_INPUT, "must be true or false, not '%s'", text);
                *(bool *)at = *text == 't';
                return 0;
        }
        return rt_fail(err, RETORT_E_BUG, "an option without a type");
}

/* ---- value to text ---- */

static const char *show_number(uint64_t value, const struct unit *units, const char *plain, struct rt_arena *arena) {
        const struct unit *best = NULL;
        for (; units->name && strcmp(units->name, "kB") != 0; units++)
                if (value > 0 && value % units->factor == 0)
                        best = units;
        return rt_arena_printf(arena, "%" PRIu64 "%s", best ? value / best->factor : value, best ? best->name : plain);
}

static const char *show_list(const char *const *list, struct rt_arena *arena) {
        const char *text = "";
        for (; text && *list; list++)
                text = rt_arena_printf(arena, "%s%s%s", text, *text ? "," : "", *list);
        return text;
}

const char *rt_option_show(const struct rt_config *config, const struct rt_option *option, struct rt_arena *arena) {
        const void *at = (const char *)config + option->offset;
        switch (option->type) {
        case RT_OPTION_TEXT:
                return *(const char *const *)at;
        case RT_OPTION_LIST:
                return show_list(*(const char *const *const *)at, arena);
        case RT_OPTION_BOOL:
                return *(const bool *)at ? "true" : "false";
        case RT_OPTION_COUNT:
                return rt_arena_printf(arena, "%" PRIu64, *(const uint64_t *)at);
        case RT_OPTION_MS:
                return show_number(*(const uint64_t *)at, times, "", arena);
        case RT_OPTION_BYTES:
                return show_number(*(const uint64_t *)at, sizes, "", arena);
        }
        return NULL;
}
