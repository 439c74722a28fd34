/* SPDX-License-Identifier: Apache-2.0
 *
 * A growing byte buffer with a cap: no buffer of Retort's is without one. Always NUL-terminated.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct rt_buf {
        char *data; /* NULL until something is added */
        size_t size;
        size_t room;
        size_t cap; /* most bytes it will hold; 0 holds nothing */
};

#define RT_BUF(cap_bytes) ((struct rt_buf){ .cap = (cap_bytes) })

enum rt_buf_result { RT_BUF_OK, RT_BUF_FULL, RT_BUF_NOMEM };

/* Adds as much as the cap allows; RT_BUF_FULL says that some was left out. */
enum rt_buf_result rt_buf_add(struct rt_buf *buf, const void *data, size_t size);
enum rt_buf_result rt_buf_printf(struct rt_buf *buf, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
void rt_buf_clear(struct rt_buf *buf);
#define rt_auto_buf __attribute__((cleanup(rt_buf_clear)))
