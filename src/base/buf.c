/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(struct rt_buf *buf, size_t more) {
        size_t need = buf->size + more + 1;
        if (need <= buf->room)
                return true;
        size_t room = buf->room ? buf->room * 2 : 256;
        while (room < need)
                room *= 2;
        char *grown = realloc(buf->data, room);
        if (!grown)
                return false;
        buf->data = grown;
        buf->room = room;
        return true;
}

enum rt_buf_result rt_buf_add(struct rt_buf *buf, const void *data, size_t size) {
        size_t left = buf->cap - buf->size;
        size_t n = size < left ? size : left;
        if (n > 0 || !buf->data) {
                if (!reserve(buf, n))
                        return RT_BUF_NOMEM;
                if (n)
                        memcpy(buf->data + buf->size, data, n);
                buf->size += n;
                buf->data[buf->size] = 0;
        }
        return n < size ? RT_BUF_FULL : RT_BUF_OK;
}

enum rt_buf_result rt_buf_printf(struct rt_buf *buf, const char *format, ...) {
        char small[512];
        va_list args;
        va_start(args, format);
        int n = vsnprintf(small, sizeof small, format, args);
        va_end(args);
        if (n < 0)
                return RT_BUF_NOMEM;
        if ((size_t)n < sizeof small)
                return rt_buf_add(buf, small, (size_t)n);
        char *large = malloc((size_t)n + 1);
        if (!large)
                return RT_BUF_NOMEM;
        va_start(args, format);
        (void)vsnprintf(large, (size_t)n + 1, format, args);
        va_end(args);
        enum rt_buf_result r = rt_buf_add(buf, large, (size_t)n);
        free(large);
        return r;
}

void rt_buf_clear(struct rt_buf *buf) {
        free(buf->data);
        *buf = (struct rt_buf){ .cap = buf->cap };
}
