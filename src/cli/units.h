/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers with units, as people write and read them: "2s", "256M", "12.3 ms"; and limits by name.
 *
 * Times: ms, s, m (or min), h. Sizes: B, K M G T and KiB MiB GiB TiB (powers of 1024), kB MB GB TB (powers of 1000);
 * case counts for nothing in sizes. Fractions are fine ("1.5s"). A size without a unit is bytes; a time needs one,
 * unless the limit is named by its member ("wall_ms=500").
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "retort.h"

/* One limit: everything help, completion and parsing need. */
struct rt_limit {
        const char *name;   /* "memory" */
        const char *member; /* "memory_bytes" */
        const char *unit;   /* "ms", "bytes" or "count" */
        size_t offset;      /* in struct retort_limits */
        uint64_t dflt;
        uint64_t floor;
        uint64_t ceiling;
        const char *text;
};

enum { RT_N_LIMITS = 8 };
extern const struct rt_limit rt_limits[RT_N_LIMITS];

/* Reads "NAME=VALUE" into *limits. 0, or RETORT_E_INPUT saying what is wrong and what would be right. */
int rt_limit_parse(const char *spec, struct retort_limits *limits, struct retort_error *err);
/* By name or member; NULL if there is none. */
const struct rt_limit *rt_limit_find(const char *name, size_t size);

enum rt_precision { RT_ROUND, RT_TENTHS }; /* "256 MiB" where that is exact; "256.0 MiB" */

/* Appends a time or a size for people. */
void rt_print_ns(struct rt_buf *out, uint64_t ns);
void rt_print_size(struct rt_buf *out, uint64_t bytes, enum rt_precision precision);
/* Appends a limit's value in its own unit. */
void rt_print_limit(struct rt_buf *out, const struct rt_limit *limit, uint64_t value,
                    enum rt_precision precision);
