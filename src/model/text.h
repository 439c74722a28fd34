/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes as text: UTF-8 as RFC 3629 has it (no overlong forms, no surrogates, nothing above U+10FFFF), and
 * base64 as RFC 4648 section 4 has it, padded and canonical.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

#define RT_TEXT_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD, in place of what is not UTF-8 */

/* The size, 1 to 4, of the character that data begins with; 0 when it begins with none. */
size_t rt_text_char(const char *data, size_t size);
bool rt_text_is_utf8(const char *data, size_t size);

/* Room for the base64 of size bytes, without a NUL. */
static inline size_t rt_base64_room(size_t size) {
        return (size + 2) / 3 * 4;
}
/* Writes exactly rt_base64_room(size) characters. */
void rt_base64_encode(const char *data, size_t size, char *out);

enum rt_base64_result { RT_BASE64_OK, RT_BASE64_BAD, RT_BASE64_NOMEM };
/* Strict: padding is required, spaces are not base64, and the unused bits of the last character are zero. */
enum rt_base64_result rt_base64_decode(struct rt_arena *arena, const char *text, size_t size,
                                       char **ret_data, size_t *ret_size);
