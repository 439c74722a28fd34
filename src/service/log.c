/* SPDX-License-Identifier: Apache-2.0 */
#include "service/log.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/text.h"
#include "base/util.h"
#include "service/keys.h"

enum { MAX_LINE = 4096, MAX_TEXT = 512 };

static const char *const level_names[] = { "error", "warning", "info", "debug" };

enum rt_log_level rt_log_level_of(const char *name) {
        for (size_t i = 0; i < RT_LEN(level_names); i++)
                if (strcmp(level_names[i], name) == 0)
                        return (enum rt_log_level)i;
        return RT_LOG_INFO;
}

static void add_text(struct rt_buf *line, const char *text) {
        size_t left = strnlen(text, MAX_TEXT);
        (void)rt_buf_add(line, "\"", 1);
        while (left > 0) {
                size_t size = rt_text_char(text, left);
                unsigned char c = (unsigned char)*text;
                if (size == 0)
                        (void)rt_buf_printf(line, "%s", RT_TEXT_REPLACEMENT);
                else if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f)
                        (void)rt_buf_printf(line, "\\u%04x", c);
                else
                        (void)rt_buf_add(line, text, size);
                text += size ? size : 1;
                left -= size ? size : 1;
        }
        (void)rt_buf_add(line, "\"", 1);
}

static void add_field(struct rt_buf *line, const struct rt_log_field *field) {
        if (!field->text)
                return;
        (void)rt_buf_printf(line, ",\"%s\":", field->key);
        if (field->kind == RT_LOG_IS_TEXT)
                add_text(line, field->text);
        else if (field->kind == RT_LOG_IS_NUMBER)
                (void)rt_buf_printf(line, "%" PRId64, field->number);
        else
                (void)rt_buf_printf(line, "%.3f", (double)field->number / 1e6);
}

void rt_log_write(const struct rt_log *log, enum rt_log_level level, const char *event, const struct rt_log_field *fields,
                  size_t n) {
        if (level > log->level || log->fd < 0)
                return;
        struct timespec now;
        struct tm utc;
        (void)clock_gettime(CLOCK_REALTIME, &now);
        (void)gmtime_r(&now.tv_sec, &utc);
        rt_auto_buf struct rt_buf line = RT_BUF(MAX_LINE);
        (void)rt_buf_printf(&line, "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ\",\"level\":\"%s\",\"event\":\"%s\"",
                            utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                            now.tv_nsec / 1000000, level_names[level], event);
        for (size_t i = 0; i < n && line.size < MAX_LINE; i++) {
                size_t before = line.size;
                add_field(&line, &fields[i]);
                if (line.size + 2 > MAX_LINE)
                        line.size = before; /* it did not fit: a line is JSON or nothing */
        }
        (void)rt_buf_add(&line, "}\n", 2);
        if (line.data)
                (void)!rt_write_all(log->fd, line.data, line.size);
}

/* ---- W3C trace context ---- */

static bool is_hex(const char *text, size_t size) {
        for (size_t i = 0; i < size; i++)
                if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
                        return false;
        return true;
}

bool rt_trace_valid(const char *t) {
        if (!t || strnlen(t, RT_TRACEPARENT - 1) < RT_TRACEPARENT - 1 || !is_hex(t, 2) || strncmp(t, "ff", 2) == 0)
                return false;
        bool v0 = strncmp(t, "00", 2) == 0;
        return t[2] == '-' && is_hex(t + 3, 32) && t[35] == '-' && is_hex(t + 36, 16) && t[52] == '-' && is_hex(t + 53, 2) &&
               (t[55] == 0 || (!v0 && t[55] == '-')) && strspn(t + 3, "0") < 32 && strspn(t + 36, "0") < 16;
}

bool rt_trace_child(const char *parent, char ret_child[RT_TRACEPARENT]) {
        char id[17];
        if (!rt_trace_valid(parent) || rt_random_hex(id, 8, NULL) < 0)
                return false;
        memcpy(ret_child, "00-", 3);
        memcpy(ret_child + 3, parent + 3, 33);
        memcpy(ret_child + 36, id, 16);
        memcpy(ret_child + 52, parent + 52, 3);
        ret_child[55] = 0;
        return true;
}

const char *rt_trace_id(const char *traceparent, char ret_id[33]) {
        if (!rt_trace_valid(traceparent))
                return NULL;
        memcpy(ret_id, traceparent + 3, 32);
        ret_id[32] = 0;
        return ret_id;
}
