/* SPDX-License-Identifier: Apache-2.0
 *
 * Outcomes as the engine would make them, for the tests of the model.
 */
#pragma once

#include "base/util.h"
#include "retort.h"

#define BYTES(text)                                                                                          \
        { (text), sizeof(text) - 1 }

/* Everything an outcome can hold, each member different from its default. */
static inline struct retort_outcome sample_full(void) {
        static const struct retort_extra extra[] = {
                { "application/geo+json", "{\"a\":[1,2.5,-3e-07,\"\\u0000\xc3\xa9\"]}" },
                { "application/vnd.vegalite.v5+json", "{\"mark\":\"bar\"}" },
        };
        static const struct retort_item items[] = {
                { .html = "<b>bold</b>", .png = "iVBORw0K", .extra = extra, .n_extra = 2 },
                { .text = "42",
                  .markdown = "m",
                  .jpeg = "j",
                  .svg = "<svg/>",
                  .pdf = "p",
                  .latex = "$x$",
                  .json = "{\"k\":null,\"big\":9007199254740993}",
                  .javascript = "f()",
                  .chart = "{\"type\":\"line\"}",
                  .data = "[]",
                  .is_main_result = true },
        };
        static const struct retort_diagnostic diagnostics[] = {
                { "main.c", 3, 7, "warning", "unused variable \"x\"" },
                { NULL, 0, 0, NULL, "linker said no" },
        };
        static const struct retort_step steps[] = {
                { "compile", RETORT_OK, 0, 0, BYTES(""), BYTES("main.c:3:7: warning\n"),
                  .usage = { .wall_ns = 120000001, .cpu_ns = 3, .user_ns = 2, .system_ns = 1 }, .cached = true },
                { "run",
                  RETORT_WALL_LIMIT,
                  -1,
                  9,
                  BYTES("part\n"),
                  BYTES("\xff\x00rubbish"),
                  { "wall_ms", 500, 501, "timer" },
                  { .peak_memory_bytes = 1 << 20, .memory_how = "peak" } },
        };
        static const char *const missing[] = { "cgroup", "landlock" };
        return (struct retort_outcome){
                .id = "01ARZ3NDEKTSV4RRFFQ69G5FAV",
                .language = "c",
                .version = "12.2.0",
                .status = RETORT_WALL_LIMIT,
                .exit_code = -1,
                .signal = 9,
                .limit = { "wall_ms", 500, 501, "timer" },
                .stdout_data = BYTES("part\n"),
                .stderr_data = BYTES("\xff\x00rubbish"),
                .stdout_truncated = true,
                .items = items,
                .n_items = 2,
                .error = { "KeyError", "'a'", "Traceback\n" },
                .diagnostics = diagnostics,
                .n_diagnostics = 2,
                .execution_count = 7,
                .context_state = "idle",
                .steps = steps,
                .n_steps = 2,
                .usage = { 1, 20, 500123456, 400000000, 300000000, 100000000, 1 << 20, 3, 13, "rusage",
                           "cgroup2 memory.peak", "cgroup2 pids.peak" },
                .start = "cold",
                .isolation_level = "reduced",
                .isolation_missing = missing,
                .n_isolation_missing = 2,
                .message = "m",
        };
}

static inline struct retort_outcome sample_ok(void) {
        return (struct retort_outcome){
                .id = "01ARZ3NDEKTSV4RRFFQ69G5FAV",
                .language = "python",
                .status = RETORT_OK,
                .stdout_data = BYTES("hello\n"),
                .execution_count = -1,
                .usage = { .setup_ns = 2000000, .wall_ns = 40500000 },
        };
}

static inline struct retort_outcome sample_nonzero(void) {
        struct retort_outcome outcome = sample_ok();
        outcome.status = RETORT_NONZERO;
        outcome.exit_code = 1;
        outcome.stderr_data = (struct retort_bytes)BYTES("Traceback: error: ZeroDivisionError\n");
        outcome.error = (struct retort_guest_error){ "ZeroDivisionError", "division by zero", "Traceback" };
        return outcome;
}

static inline struct retort_outcome sample_compile_error(void) {
        static const struct retort_step steps[] = {
                { "compile", RETORT_NONZERO, 1, 0, BYTES(""), BYTES("main.c:1:1: error: expected ';'\n") },
        };
        return (struct retort_outcome){
                .language = "c",
                .status = RETORT_COMPILE_ERROR,
                .exit_code = -1,
                .execution_count = -1,
                .steps = steps,
                .n_steps = 1,
                .usage = { .wall_ns = 55000000 },
        };
}

static inline struct retort_outcome sample_wall_limit(void) {
        return (struct retort_outcome){
                .language = "python",
                .status = RETORT_WALL_LIMIT,
                .exit_code = -1,
                .signal = 9,
                .limit = { "wall_ms", 1500, 1501, "timer" },
                .stdout_data = BYTES("before"),
                .stderr_data = BYTES("warned"),
                .execution_count = -1,
                .usage = { .wall_ns = 1501000000 },
        };
}
