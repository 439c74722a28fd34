/* SPDX-License-Identifier: Apache-2.0
 *
 * The log: one JSON object a line, written in one piece. What a caller puts in is for operators: ids, names, numbers; never
 * code, stdin, output or keys. And the W3C trace context that goes along.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rt_log_level { RT_LOG_ERROR, RT_LOG_WARNING, RT_LOG_INFO, RT_LOG_DEBUG };

struct rt_log {
        int fd; /* 2 in a program */
        enum rt_log_level level;
};

struct rt_log_field {
        enum { RT_LOG_IS_TEXT, RT_LOG_IS_NUMBER, RT_LOG_IS_MS } kind;
        const char *key;
        const char *text; /* NULL: the field is left out */
        int64_t number;   /* MS: nanoseconds */
};
#define RT_LOG_TEXT(key_, text_) { RT_LOG_IS_TEXT, key_, text_, 0 }
#define RT_LOG_NUMBER(key_, number_) { RT_LOG_IS_NUMBER, key_, "", (int64_t)(number_) }
#define RT_LOG_MS(key_, ns_) { RT_LOG_IS_MS, key_, "", (int64_t)(ns_) }

/* "info" to RT_LOG_INFO; anything unknown is RT_LOG_INFO. */
enum rt_log_level rt_log_level_of(const char *name);
void rt_log_write(const struct rt_log *log, enum rt_log_level level, const char *event, const struct rt_log_field *fields,
                  size_t n);
/* rt_log(&log, RT_LOG_INFO, "run", RT_LOG_TEXT("id", id), RT_LOG_MS("wall_ms", ns)); */
#define rt_log(log_, level_, event_, ...)                                                                              \
        rt_log_write((log_), (level_), (event_), (const struct rt_log_field[]){ __VA_ARGS__ },                         \
                     sizeof((const struct rt_log_field[]){ __VA_ARGS__ }) / sizeof(struct rt_log_field))

enum { RT_TRACEPARENT = 56 };
/* Whether text is a traceparent as of W3C Trace Context level 1 (a later version's first four parts count too). */
bool rt_trace_valid(const char *text);
/* The same trace with a parent id of our own, for what we call. false: parent is not valid, or no random bytes. */
bool rt_trace_child(const char *parent, char ret_child[RT_TRACEPARENT]);
/* Its 32 digits of trace id, or NULL. */
const char *rt_trace_id(const char *traceparent, char ret_id[33]);
