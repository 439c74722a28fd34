/* SPDX-License-Identifier: Apache-2.0
 *
 * A token of the Runtime face: anything but one that we signed has no subject. The first input byte chooses between rubbish and
 * a good token with one byte changed.
 */
#include <stdlib.h>
#include <string.h>

#include "api/token.h"
#include "fuzz.h"

static const char secret[] = "a secret of more than thirty-two bytes";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct rt_arena arena = { 0 };
        char *text;
        if (size >= 3 && data[0] == '!') {
                text = rt_token_make(secret, "a@b.example", 1000, 1000, &arena);
                CHECK(text && strcmp(rt_token_subject(secret, text, 1500, &arena), "a@b.example") == 0);
                CHECK(!rt_token_subject(secret, text, 2000, &arena));
                size_t at = data[1] % strlen(text);
                char before = text[at];
                text[at] = data[2] ? (char)data[2] : 'x';
                CHECK(text[at] == before || !rt_token_subject(secret, text, 1500, &arena));
        } else {
                text = rt_arena_copy(&arena, data, size);
                CHECK(text && !rt_token_subject(secret, text, 1500, &arena));
        }
        rt_arena_clear(&arena);
        return 0;
}
