/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* The entry point of libFuzzer, which replay.c calls for each file of a corpus. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Stops the fuzzer, and the replay, in every build. */
#define CHECK(condition)                                                                            \
        do {                                                                                        \
                if (!(condition))                                                                   \
                        abort();                                                                    \
        } while (0)
