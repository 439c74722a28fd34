/* SPDX-License-Identifier: Apache-2.0
 *
 * What a box saw of a step, and what that means. The report holds facts; the verdict is computed from them and from
 * nothing else.
 */
#pragma once

#include <stdint.h>

#include "retort.h"

struct rt_box_isolation;

/* What the box saw. */
struct rt_box_report {
        uint32_t ended_by;    /* enum rt_box_end */
        int32_t exec_errno;   /* the program could not be started: why; 0: it was */
        int32_t wait_status;  /* of the step's own process, as wait(2) gives it */
        int32_t denied_call;  /* number of the refused system call */
        uint32_t denied_arch_ok; /* 0: it came through another architecture's gate */
        uint32_t filter_kills;   /* no listener: the filter ends who makes a denied call, with SIGSYS */
        uint32_t quiet;          /* nothing of the guest's can write any more, though its ends of pipes may still be open */
        uint32_t zero;
        uint32_t file_limit_hit; /* a file had grown to file_bytes */
        uint32_t disk_full;
        uint64_t oom_kills;
        uint64_t refused_forks;
        uint64_t setup_ns;
        uint64_t wall_ns;
        uint64_t cpu_ns;
        uint64_t user_ns;
        uint64_t system_ns;
        uint64_t peak_memory_bytes;
        uint64_t processes;
        uint64_t largest_file_bytes;
        uint64_t disk_used_bytes;
};

enum rt_box_end {
        RT_END_EXIT,      /* by itself: see wait_status */
        RT_END_WALL,
        RT_END_CPU,
        RT_END_MEMORY,
        RT_END_PROCESSES,
        RT_END_DENIED,
        RT_END_KILLED,    /* by rt_slot_kill */
        RT_END_LOST       /* the box died under us */
};

/* The verdict on a report: pure. Fills status, exit code, signal and limit. Names of system calls come from the
 * policy; hit->how may point into isolation. */
enum retort_status rt_box_verdict(const struct rt_box_report *report, const struct retort_limits *limits,
                                  const struct rt_box_isolation *isolation, int *ret_exit_code,
                                  int *ret_signal, struct retort_hit *ret_hit);
