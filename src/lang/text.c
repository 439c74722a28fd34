/* SPDX-License-Identifier: Apache-2.0 */
#include "lang/text.h"

#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"

size_t rt_text_char(const char *text, size_t size) {
        /* least: what this length must encode, so that nothing has two spellings */
        static const struct {
                unsigned char mask, mark;
                unsigned least;
        } forms[] = {
                { 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 }
        };
        unsigned char first = (unsigned char)text[0];
        for (size_t n = 1; n <= 4 && n <= size; n++) {
                if ((first & forms[n - 1].mask) != forms[n - 1].mark)
                        continue;
                unsigned point = first & (unsigned char)~forms[n - 1].mask;
                for (size_t i = 1; i < n; i++) {
                        if (((unsigned char)text[i] & 0xc0) != 0x80)
                                return 0;
                        point = point << 6 | ((unsigned char)text[i] & 0x3f);
                }
                bool surrogate = point >= 0xd800 && point <= 0xdfff;
                return point >= forms[n - 1].least && point <= 0x10ffff && !surrogate ? n : 0;
        }
        return 0;
}

bool rt_text_is_utf8(const char *text, size_t size) {
        for (size_t at = 0, n; at < size; at += n)
                if (!(n = rt_text_char(text + at, size - at)))
                        return false;
        return true;
}

char *rt_text_clean(struct rt_arena *arena, const char *text, size_t size) {
        if (rt_text_is_utf8(text, size))
                return rt_arena_copy(arena, text, size);
        char *clean = size < SIZE_MAX / 3 ? rt_arena_alloc(arena, 3 * size + 1) : NULL;
        char *to = clean;
        for (size_t at = 0; clean && at < size;) {
                size_t n = rt_text_char(text + at, size - at);
                memcpy(to, n ? text + at : REPLACEMENT, n ? n : 3);
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
