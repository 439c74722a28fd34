/* SPDX-License-Identifier: Apache-2.0
 *
 * A target for a type of the public header that has a parser and a writer: what can be read is written as JSON that reads
 * back, and is then written the same.
 */
#pragma once

#include <string.h>

#include "base/util.h"
#include "fuzz.h"
#include "retort.h"

#define FUZZ_BOTH_WAYS(type)                                                                        \
        static char *rewrite(const char *text, size_t size) {                                       \
                struct retort_error err = { 0 };                                                    \
                struct retort_##type *value = NULL;                                                 \
                char *json = NULL;                                                                  \
                if (retort_##type##_parse(text, size, &value, &err) < 0) {                          \
                        CHECK(err.code == RETORT_E_INPUT && err.message[0]);                        \
                        return NULL;                                                                \
                }                                                                                   \
                CHECK(retort_##type##_json(value, &json, &err) == 0);                               \
                retort_##type##_free(value);                                                        \
                return json;                                                                        \
        }                                                                                           \
                                                                                                    \
        int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {                              \
                rt_auto_free char *first = rewrite((const char *)data, size);                       \
                if (!first)                                                                         \
                        return 0;                                                                   \
                rt_auto_free char *second = rewrite(first, strlen(first));                          \
                CHECK(second && strcmp(first, second) == 0);                                        \
                return 0;                                                                           \
        }                                                                                           \
        _Static_assert(sizeof(struct retort_##type) > 0, "takes the semicolon")
