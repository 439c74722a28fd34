/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes from a WebSocket client as whole messages (RFC 6455, sections 5 and 7.4). No input or output of its own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum rt_http_frame {
        RT_HTTP_FRAME_NONE, /* more bytes are needed */
        RT_HTTP_FRAME_TEXT,
        RT_HTTP_FRAME_BINARY,
        RT_HTTP_FRAME_PING,
        RT_HTTP_FRAME_PONG,
        RT_HTTP_FRAME_CLOSE,  /* code: the peer's, 1005 for none; data: its reason */
        RT_HTTP_FRAME_FAILED, /* code: what to close with. Nothing may be read after it */
};

struct rt_http_frames {
        void *wslay;
        const uint8_t *in; /* not yet read */
        size_t in_size;
        struct rt_buf message;
        struct rt_buf control;
        bool in_message; /* its last frame has not come */
        bool in_frame;
        bool text;
        uint64_t left; /* of the frame */
};

struct rt_http_framed {
        const void *data; /* until the next call */
        size_t size;
        int code;
};

/* 0, or -1: no memory. */
int rt_http_frames_init(struct rt_http_frames *frames, size_t max_message);
void rt_http_frames_clear(struct rt_http_frames *frames);
/* Gives bytes to read; all of the last ones must have been read. */
void rt_http_frames_feed(struct rt_http_frames *frames, const void *data, size_t size);
enum rt_http_frame rt_http_frames_next(struct rt_http_frames *frames, struct rt_http_framed *ret);

/* Writes the head of an unmasked whole frame; its size. */
#define RT_HTTP_FRAME_HEAD 10
size_t rt_http_frame_head(uint8_t ret_head[RT_HTTP_FRAME_HEAD], unsigned opcode, uint64_t size);
/* Whether a close frame may carry this code. */
bool rt_http_close_code_is_right(int code);
