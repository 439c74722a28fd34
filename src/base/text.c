/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <stdint.h>
#include <string.h>

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

size_t rt_text_cut(const char *data, size_t size) {
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

char *rt_text_clean(struct rt_arena *arena, const char *text, size_t size) {
        if (rt_text_is_utf8(text, size))
                return rt_arena_copy(arena, text, size);
        char *clean = size < SIZE_MAX / 3 ? rt_arena_alloc(arena, 3 * size + 1) : NULL;
        char *to = clean;
        for (size_t at = 0; clean && at < size;) {
                size_t n = rt_text_char(text + at, size - at);
                memcpy(to, n ? text + at : RT_TEXT_REPLACEMENT, n ? n : 3);
                to += n ? n : 3;
                at += n ? n : 1;
        }
        return clean;
}

struct rt_text_shown rt_text_show(const char *text) {
        struct rt_text_shown shown = { 0 };
        size_t size = strnlen(text, sizeof shown.text);
        size_t to = 0;
        for (size_t at = 0; at < size;) {
                size_t n = rt_text_char(text + at, size - at);
                if (to + (n ? n : 1) + sizeof "..." > sizeof shown.text) {
                        memcpy(shown.text + to, "...", 3);
                        break;
                }
                bool plain = n > 1 || (n == 1 && text[at] >= ' ' && text[at] != 0x7f);
                if (plain)
                        memcpy(shown.text + to, text + at, n);
                else
                        shown.text[to] = '?';
                to += plain ? n : 1;
                at += n ? n : 1;
        }
        return shown;
}
