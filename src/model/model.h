/* SPDX-License-Identifier: Apache-2.0
 *
 * What the layers above need of the model besides the public codecs: outcomes to fill in, requests to keep,
 * ids, and where to cut a stream of text. The shapes are for those that embed our records in their own JSON.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "retort.h"

/* An outcome and the memory it lives in: &outcome->pub is what retort_outcome_free frees. */
struct rt_model_outcome {
        struct retort_outcome pub;
        struct rt_arena arena;
};

/* Zeroed, but exit_code and execution_count are -1. NULL: no memory. */
struct rt_model_outcome *rt_model_outcome_new(void);

/* A deep copy, stdin_fd as it is, to be freed with retort_request_free. */
int rt_model_request_copy(const struct retort_request *request, struct retort_request **ret_request,
                          struct retort_error *err);

/* An id as of ULID: 48 bits of time and 80 random ones, 26 characters that sort by time, and a NUL. */
enum { RT_MODEL_ID_SIZE = 27, RT_MODEL_ID_RANDOM = 10 };
void rt_model_id(char out[RT_MODEL_ID_SIZE], uint64_t unix_ms, const unsigned char random[RT_MODEL_ID_RANDOM]);
