/* SPDX-License-Identifier: Apache-2.0
 *
 * RT_CONFIG as rows, and values as text: what the reader, the printer and the tenants' quotas share.
 */
#pragma once

#include "service/config.h"

enum rt_option_type { RT_OPTION_TEXT, RT_OPTION_LIST, RT_OPTION_BOOL, RT_OPTION_COUNT, RT_OPTION_MS, RT_OPTION_BYTES };

struct rt_option {
        const char *section;
        const char *key;
        enum rt_option_type type;
        size_t offset; /* in struct rt_config */
        const char *dflt;
        const char *text;
};

extern const struct rt_option rt_options[];
extern const size_t rt_n_options;

/* NULL: no such key. */
const struct rt_option *rt_option_find(const char *section, const char *key);
bool rt_option_is_section(const char *name);
bool rt_option_is_secret(const struct rt_option *option);
/* "strong, reduced or minimal"; NULL: anything goes. */
const char *rt_option_choices(const struct rt_option *option);
/* The nearest key of a section (or section, for NULL), or NULL. */
const char *rt_option_suggest(const char *section, const char *word);
/* Reads text into config's member. 0, or RETORT_E_INPUT with what is wrong and what would be right; no place. */
int rt_option_set(struct rt_config *config, const struct rt_option *option, const char *text, struct retort_error *err);
/* The member as text that rt_option_set reads to the same value; in arena. NULL: no memory. */
const char *rt_option_show(const struct rt_config *config, const struct rt_option *option, struct rt_arena *arena);
