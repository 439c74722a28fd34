/* SPDX-License-Identifier: Apache-2.0
 *
 * Options as a table: each says its letter, its name, what its value is called and where it is stored.
 * Understood: -x, -xVALUE, -x VALUE, -xyz, --long, --long VALUE, --long=VALUE, "--" and operands in any order.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "retort.h"

enum rt_opt_kind {
        RT_OPT_FLAG, /* bool: no value */
        RT_OPT_TEXT, /* const char *: one value, given at most once */
        RT_OPT_LIST, /* struct rt_list: any number of values */
};

struct rt_opt {
        char letter;         /* 0: none */
        const char *name;    /* without dashes; NULL ends a table */
        const char *arg;     /* what help calls the value; NULL for a flag */
        const char *help;
        enum rt_opt_kind kind;
        size_t offset;       /* in the command's target struct */
        const char *choices; /* "one|two": the only values, or NULL */
        bool is_file;        /* the value is a file name: for completion */
};

struct rt_list {
        const char **items;
        size_t n;
};

/* What was not an option. */
struct rt_words {
        struct rt_list operands;
        struct rt_list rest; /* behind "--" */
        bool help;           /* -h or --help was given */
};

/* Appends to a list that lives in arena. 0, or RETORT_E_NOMEM. */
int rt_list_add(struct rt_list *list, struct rt_arena *arena, const char *item, struct retort_error *err);

/* Reads argv (NULL-terminated, without the command's name) into target and *ret_words. opts may be NULL. When
 * keep_rest is false words behind "--" are operands too. 0, or RETORT_E_INPUT with a sentence that names the
 * option and, where there is one, the option that was probably meant. */
int rt_opts_parse(const struct rt_opt *opts, bool keep_rest, char *const *argv, struct rt_arena *arena,
                  void *target, struct rt_words *ret_words, struct retort_error *err);
