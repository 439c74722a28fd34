/* SPDX-License-Identifier: Apache-2.0
 *
 * A traceparent header. What is taken is passed on and logged: so it is short, and made of hexadecimal digits and dashes.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "service/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char *text = malloc(size + 1);
        CHECK(text);
        memcpy(text, data, size);
        text[size] = 0;
        if (rt_trace_valid(text)) {
                char id[33];
                CHECK(strlen(text) >= 55);
                for (size_t i = 0; i < 55; i++)
                        CHECK(text[i] == '-' || isdigit((unsigned char)text[i]) || (text[i] >= 'a' && text[i] <= 'f'));
                CHECK(strlen(rt_trace_id(text, id)) == 32 && strspn(id, "0") < 32);
        }
        free(text);
        return 0;
}
