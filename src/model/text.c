/* SPDX-License-Identifier: Apache-2.0 */
#include "model/text.h"

#include <stdint.h>

#include "model/model.h"

/* What each first byte asks for: the size of the character, and the range of its second byte. The ranges
 * are what keeps out overlong forms, surrogates and what lies above U+10FFFF. */
struct lead {
        size_t size;
        unsigned char low, high;
};

static struct lead lead_of(unsigned char first) {
        switch (first) {
        case 0x00 ... 0x7f:
                return (struct lead){ 1, 0, 0 };
        case 0xc2 ... 0xdf:
                return (struct lead){ 2, 0x80, 0xbf };
        case 0xe0:
                return (struct lead){ 3, 0xa0, 0xbf };
        case 0xed:
                return (struct lead){ 3, 0x80, 0x9f };
        case 0xe1 ... 0xec:
        case 0xee ... 0xef:
                return (struct lead){ 3, 0x80, 0xbf };
        case 0xf0:
                return (struct lead){ 4, 0x90, 0xbf };
        case 0xf1 ... 0xf3:
                return (struct lead){ 4, 0x80, 0xbf };
        case 0xf4:
                return (struct lead){ 4, 0x80, 0x8f };
        default:
                return (struct lead){ 0, 0, 0 };
        }
}

/* How many of the bytes present fit the character that data[0] begins; *ret_want is its whole size. */
static size_t matching(const char *data, size_t size, size_t *ret_want) {
        struct lead lead = lead_of((unsigned char)data[0]);
        *ret_want = lead.size;
        size_t n = lead.size ? 1 : 0;
        for (; n < lead.size && n < size; n++) {
                unsigned char byte = (unsigned char)data[n];
                unsigned char low = n == 1 ? lead.low : 0x80;
                unsigned char high = n == 1 ? lead.high : 0xbf;
                if (byte < low || byte > high)
                        break;
        }
        return n;
}

size_t rt_text_char(const char *data, size_t size) {
        size_t want = 0;
        if (size == 0 || matching(data, size, &want) < want)
                return 0;
        return want;
}

bool rt_text_is_utf8(const char *data, size_t size) {
        for (size_t i = 0, n; i < size; i += n) {
                if ((unsigned char)data[i] < 0x80) {
                        n = 1;
                        continue;
                }
                n = rt_text_char(data + i, size - i);
                if (n == 0)
                        return false;
        }
        return true;
}

size_t rt_model_utf8_cut(const char *data, size_t size) {
        for (size_t back = 1; back <= 3 && back <= size; back++) {
                size_t want = 0;
                size_t start = size - back;
                if (((unsigned char)data[start] & 0xc0) == 0x80)
                        continue;
                /* only a character that may still be completed is held back; rubbish goes on as it is */
                if (matching(data + start, back, &want) == back && want > back)
                        return start;
                break;
        }
        return size;
}

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
