/* SPDX-License-Identifier: Apache-2.0
 *
 * What the library's tests share. They know nothing but retort.h, and run real programs in real boxes.
 */
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "retort.h"

#define LEN(array) (sizeof(array) / sizeof *(array))
#define CODE(text) { (text), sizeof(text) - 1 }
#define MS 1000000ull

/* Sanitizers and a loaded machine slow everything down; what must be quick is quick times this. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SLOW = 4, SANITIZED = 1 };
#else
enum { SLOW = 1, SANITIZED = 0 };
#endif

static inline uint64_t now_ms(void) {
        struct timespec t;
        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / MS;
}

static inline void sleep_ms(unsigned ms) {
        struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * (long)MS };
        while (nanosleep(&t, &t) != 0)
                continue;
}

/* Fails with the library's own words. */
#define ok(call)                                                                                    \
        do {                                                                                        \
                int ok_result_ = (call);                                                            \
                if (ok_result_ != 0)                                                                \
                        fail_msg("%s: %d, %s", #call, ok_result_, err.message);                     \
        } while (0)

#define assert_status(outcome, expected)                                                            \
        do {                                                                                        \
                if ((outcome)->status != (expected))                                                \
                        fail_msg("status is %s, not %s; message %s; stderr %.*s",                   \
                                 retort_status_name((outcome)->status), retort_status_name(expected), \
                                 (outcome)->message ? (outcome)->message : "none",                  \
                                 (int)(outcome)->stderr_data.size, (outcome)->stderr_data.data);    \
        } while (0)

#define assert_bytes(bytes, text)                                                                   \
        do {                                                                                        \
                assert_int_equal((bytes).size, strlen(text));                                       \
                assert_memory_equal((bytes).data, text, strlen(text));                              \
        } while (0)

static inline struct retort_request bash(const char *code) {
        return (struct retort_request){ .language = "bash", .code = { code, strlen(code) } };
}

/* Entries of a directory of /proc/self: open descriptors ("fd"), threads ("task"). */
static inline unsigned count_own(const char *what) {
        char path[64];
        (void)snprintf(path, sizeof path, "/proc/self/%s", what);
        DIR *dir = opendir(path);
        assert_non_null(dir);
        unsigned n = 0;
        while (readdir(dir))
                n++;
        (void)closedir(dir);
        return n;
}

/* Opens an engine, or ends the whole test program as skipped: only where the host can give no isolation at all. */
static inline retort_engine *open_or_skip(const struct retort_config *config) {
        struct retort_error err = { 0 };
        retort_engine *engine = NULL;
        int r = retort_engine_open(&engine, config, &err);
        if (r == RETORT_E_ISOLATION) {
                (void)printf("1..0 # SKIP %s\n", err.message);
                exit(0);
        }
        if (r < 0) {
                (void)printf("Bail out! %s\n", err.message);
                exit(1);
        }
        return engine;
}
