/* SPDX-License-Identifier: Apache-2.0
 *
 * Base64 as RFC 4648 section 4 has it, padded and canonical.
 */
#pragma once

#include <stddef.h>

#include "base/arena.h"

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
