/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts that came from elsewhere: is it UTF-8, and a form of it that is safe to show.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

/* Bytes of the UTF-8 character at text (1 to 4), or 0 if there is none. size must not be 0. */
size_t rt_text_char(const char *text, size_t size);
bool rt_text_is_utf8(const char *text, size_t size);
/* A copy with every byte that is not UTF-8 replaced by U+FFFD; NULL: out of memory. */
char *rt_text_clean(struct rt_arena *arena, const char *text, size_t size);

/* A short form of a text for use in a message: control characters and what is not UTF-8 become '?', long
 * texts are cut. Use: rt_text_show(text).text */
struct rt_text_shown {
        char text[80];
};
struct rt_text_shown rt_text_show(const char *text);
