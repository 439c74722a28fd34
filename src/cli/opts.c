/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/opts.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/suggest.h"

struct parse {
        const struct rt_opt *opts;
        bool keep_rest;
        char *const *next; /* the word to be read next */
        struct rt_arena *arena;
        void *target;
        struct rt_words *words;
        struct retort_error *err;
};

int rt_list_add(struct rt_list *list, struct rt_arena *arena, const char *item, struct retort_error *err) {
        if ((list->n & (list->n + 1)) == 0) { /* room is always 2^k - 1: grow when it is full */
                const char **grown = rt_arena_array(arena, list->n * 2 + 1, sizeof *grown);
                if (!grown)
                        return rt_fail_nomem(err);
                if (list->n)
                        memcpy(grown, list->items, list->n * sizeof *grown);
                list->items = grown;
        }
        list->items[list->n++] = item;
        return 0;
}

static const struct rt_opt *by_letter(const struct rt_opt *opts, char letter) {
        for (const struct rt_opt *o = opts; o && o->name; o++)
                if (o->letter && o->letter == letter)
                        return o;
        return NULL;
}

static const struct rt_opt *by_name(const struct rt_opt *opts, const char *name, size_t size) {
        for (const struct rt_opt *o = opts; o && o->name; o++)
                if (strlen(o->name) == size && strncmp(o->name, name, size) == 0)
                        return o;
        return NULL;
}

static int unknown_name(const struct parse *p, const char *name, size_t size) {
        const char *names[64];
        size_t n = 0;
        for (const struct rt_opt *o = p->opts; o && o->name && n < 63; o++)
                names[n++] = o->name;
        names[n++] = "help";
        const char *word = rt_arena_copy(p->arena, name, size);
        const char *near = word ? rt_suggest(word, names, n) : NULL;
        const char *hint = p->keep_rest ? " (the program's own arguments come after --)" : "";
        if (near)
                return rt_fail(p->err, RETORT_E_INPUT, "unknown option --%.*s; did you mean --%s?", (int)size,
                               name, near);
        return rt_fail(p->err, RETORT_E_INPUT, "unknown option --%.*s%s", (int)size, name, hint);
}

static int check_choice(const struct parse *p, const struct rt_opt *opt, const char *value) {
        const char *names[16];
        size_t n = 0;
        char *list = rt_arena_strdup(p->arena, opt->choices);
        if (!list)
                return rt_fail_nomem(p->err);
        for (char *save = NULL, *one = strtok_r(list, "|", &save); one && n < 16;
             one = strtok_r(NULL, "|", &save)) {
                if (strcmp(one, value) == 0)
                        return 0;
                names[n++] = one;
        }
        const char *near = rt_suggest(value, names, n);
        return rt_fail(p->err, RETORT_E_INPUT, "--%s: \"%s\" is none of %s%s%s%s", opt->name, value,
                       opt->choices, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static int store(const struct parse *p, const struct rt_opt *opt, const char *value) {
        void *place = (char *)p->target + opt->offset;
        if (value && opt->choices) {
                int r = check_choice(p, opt, value);
                if (r < 0)
                        return r;
        }
        switch (opt->kind) {
        case RT_OPT_FLAG:
                *(bool *)place = true;
                return 0;
        case RT_OPT_LIST:
                return rt_list_add(place, p->arena, value, p->err);
        case RT_OPT_TEXT:
                break;
        }
        const char **text = place;
        if (*text)
                return rt_fail(p->err, RETORT_E_INPUT, "--%s is given twice", opt->name);
        *text = value;
        return 0;
}

/* attached is the value that came in the same word, or NULL. */
static int take(struct parse *p, const struct rt_opt *opt, const char *attached) {
        if (opt->kind == RT_OPT_FLAG)
                return attached ? rt_fail(p->err, RETORT_E_INPUT, "--%s takes no value", opt->name)
                                : store(p, opt, NULL);
        const char *value = attached ? attached : *p->next;
        if (!value)
                return rt_fail(p->err, RETORT_E_INPUT, "--%s needs a value: %s", opt->name, opt->arg);
        if (!attached)
                p->next++;
        return store(p, opt, value);
}

static int read_long(struct parse *p, const char *word) {
        size_t size = strcspn(word, "=");
        const struct rt_opt *opt = by_name(p->opts, word, size);
        if (opt)
                return take(p, opt, word[size] ? word + size + 1 : NULL);
        if (strcmp(word, "help") != 0)
                return unknown_name(p, word, size);
        p->words->help = true;
        return 0;
}

static int read_letters(struct parse *p, const char *letters) {
        int r = 0;
        for (const char *c = letters; r == 0 && *c; c++) {
                const struct rt_opt *opt = by_letter(p->opts, *c);
                if (opt && opt->kind != RT_OPT_FLAG)
                        return take(p, opt, c[1] ? c + 1 : NULL); /* the rest of the word is its value */
                if (opt)
                        r = take(p, opt, NULL);
                else if (*c == 'h')
                        p->words->help = true;
                else
                        r = rt_fail(p->err, RETORT_E_INPUT, "unknown option -%c%s", *c,
                                    p->keep_rest ? " (the program's own arguments come after --)" : "");
        }
        return r;
}

int rt_opts_parse(const struct rt_opt *opts, bool keep_rest, char *const *argv, struct rt_arena *arena,
                  void *target, struct rt_words *ret_words, struct retort_error *err) {
        struct parse p = { opts, keep_rest, argv, arena, target, ret_words, err };
        bool ended = false;
        int r = 0;
        while (r == 0 && *p.next) {
                const char *word = *p.next++;
                if (ended)
                        r = rt_list_add(keep_rest ? &ret_words->rest : &ret_words->operands, arena, word, err);
                else if (strcmp(word, "--") == 0)
                        ended = true;
                else if (strncmp(word, "--", 2) == 0)
                        r = read_long(&p, word + 2);
                else if (word[0] == '-' && word[1])
                        r = read_letters(&p, word + 1);
                else
                        r = rt_list_add(&ret_words->operands, arena, word, err);
        }
        return r;
}
