/* SPDX-License-Identifier: Apache-2.0
 *
 * What an engine knows of the interpreters that it keeps.
 */
#pragma once

#include "engine/pools.h"

/* The frozen interpreter of a kind, or those that are started ahead. */
struct rt_warm {
        struct rt_pool pool;
        struct rt_frozen *frozen; /* NULL: none */
        bool starting;            /* a thread of ours starts one */
        bool asked;               /* somebody wants one */
        unsigned failures;        /* in a row */
        uint64_t tried_ns;        /* when the last one was started */
        uint64_t used_ns;         /* when a request last wanted a fork */
        uint64_t forks;           /* guests that this one's zygotes made, about */
        uint64_t epoch;           /* of the compile cache when it was started; another one: its compiler may have changed */
        uint64_t epoch_now;       /* and when a request last wanted a fork */
        uint32_t stale;           /* the serial of the last one that was let go for that: no fork of it may be used any more */
        char why[256];            /* the last failure */
};

/* Whether a failure was so lately that nothing is to be tried. */
bool rt_engine_warm_resting(const struct rt_warm *warm);
