/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes as text: UTF-8 as RFC 3629 has it (no overlong forms, no surrogates, nothing above U+10FFFF), and forms of
 * texts that came from elsewhere that are safe to show.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

#define RT_TEXT_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD, in place of what is not UTF-8 */

/* The size, 1 to 4, of the character that data begins with; 0 when it begins with none. */
size_t rt_text_char(const char *data, size_t size);
bool rt_text_is_utf8(const char *data, size_t size);
/* How many bytes of this chunk can go on now: all of them, or all but the one to three that begin a character
 * which the next chunk may complete. Bytes that are not UTF-8 are never held back. */
size_t rt_text_cut(const char *data, size_t size);
/* A copy with every byte that is not UTF-8 replaced by U+FFFD; NULL: out of memory. */
char *rt_text_clean(struct rt_arena *arena, const char *text, size_t size);

/* A short form of a text for use in a message: control characters and what is not UTF-8 become '?', long
 * texts are cut. Use: rt_text_show(text).text */
struct rt_text_shown {
        char text[80];
};
struct rt_text_shown rt_text_show(const char *text);
