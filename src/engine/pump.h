/* SPDX-License-Identifier: Apache-2.0
 *
 * The pipes of one step: what the guest writes becomes bounded buffers and events, in the order it was seen; what the
 * caller has for its stdin is fed to it.
 */
#pragma once

#include "base/buf.h"
#include "engine/engine.h"

struct rt_stream {
        int fd; /* read end, or -1 once ended */
        enum retort_event_type type;
        struct rt_buf kept;
        uint64_t seen;
        bool truncated;
        char held[4]; /* the beginning of a character that the next chunk may complete */
        size_t n_held;
};

struct rt_pump {
        struct rt_run *run;
        const char *step_name;
        uint64_t output_bytes; /* the limit, on both streams together */
        struct rt_stream out;
        struct rt_stream err;
        struct rt_buf report;
        int report_fd;
        int stdin_source; /* live: the caller's descriptor, else -1 */
        int stdin_sink;   /* its pipe, else -1 */
        char fed[4096];   /* read from the source, not yet taken by the pipe */
        size_t n_fed;
        int terminal;     /* the master of the run's terminal, else -1; the streams hold copies */
        int guest[4];     /* the guest's ends: stdin, stdout, stderr, report */
        uint64_t waited_ns; /* time in which there was nothing to do */
        bool over;        /* the output limit was reached */
        bool cancelled;
        bool nomem;
};

int rt_pump_open(struct rt_pump *pump, struct rt_run *run, const struct rt_lang_step *step, bool with_stdin,
                 struct retort_error *err);
/* The guest has its ends: close ours. */
void rt_pump_handed_over(struct rt_pump *pump);
/* Pumps until the slot reports. *ret_report is filled. */
int rt_pump_until_report(struct rt_pump *pump, struct rt_slot *slot, int timeout_ms, struct rt_box_report *ret_report,
                         struct retort_error *err);
void rt_pump_close(struct rt_pump *pump);

/* For those who wait themselves: takes what is in a stream now, at most a chunk; false: nothing was. What
 * was held back of an unfinished character goes on now. */
bool rt_pump_read(struct rt_pump *pump, struct rt_stream *stream);
/* How many bytes are in it now. */
size_t rt_pump_waiting(const struct rt_stream *stream);
/* What somebody else has read from it. */
void rt_pump_take(struct rt_pump *pump, struct rt_stream *stream, const char *data, size_t size);
void rt_pump_flush(struct rt_pump *pump);

/* The size of the run's terminal, if it has one now. */
void rt_run_resize(struct rt_run *run, unsigned columns, unsigned rows);

/* Tells the caller's callback; fills seq and at_ns. */
void rt_run_tell(struct rt_run *run, struct retort_event event);
