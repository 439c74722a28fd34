/* SPDX-License-Identifier: Apache-2.0 */
#include "model/base64.h"

#include <stdbool.h>
#include <stdint.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void rt_base64_encode(const char *data, size_t size, char *out) {
        const unsigned char *in = (const unsigned char *)data;
        for (size_t i = 0; i < size; i += 3, out += 4) {
                size_t left = size - i;
                uint32_t bits = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) |
                                (left > 2 ? in[i + 2] : 0);
                out[0] = digits[bits >> 18];
                out[1] = digits[bits >> 12 & 63];
                out[2] = left > 1 ? digits[bits >> 6 & 63] : '=';
                out[3] = left > 2 ? digits[bits & 63] : '=';
        }
}

static int digit_value(char c) {
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (c >= '0' && c <= '9')
                return c - '0' + 52;
        return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four characters to three bytes, of which the caller takes those before the padding. */
static bool decode_group(const char *text, size_t padding, char out[3]) {
        uint32_t bits = 0;
        for (size_t i = 0; i < 4; i++) {
                int value = i + padding >= 4 ? 0 : digit_value(text[i]);
                if (value < 0)
                        return false;
                bits = bits << 6 | (uint32_t)value;
        }
        out[0] = (char)(bits >> 16);
        out[1] = (char)(bits >> 8);
        out[2] = (char)bits;
        return (bits & ((1u << 8 * padding) - 1)) == 0;
}

enum rt_base64_result rt_base64_decode(struct rt_arena *arena, const char *text, size_t size, char **ret_data,
                                       size_t *ret_size) {
        if (size % 4 != 0)
                return RT_BASE64_BAD;
        size_t padding = size == 0 || text[size - 1] != '=' ? 0 : text[size - 2] == '=' ? 2 : 1;
        char *data = rt_arena_alloc(arena, size / 4 * 3 + 1);
        if (!data)
                return RT_BASE64_NOMEM;
        for (size_t i = 0; i < size; i += 4)
                if (!decode_group(text + i, i + 4 == size ? padding : 0, data + i / 4 * 3))
                        return RT_BASE64_BAD;
        *ret_size = size / 4 * 3 - padding;
        data[*ret_size] = 0;
        *ret_data = data;
        return RT_BASE64_OK;
}
