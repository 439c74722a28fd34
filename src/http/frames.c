/* SPDX-License-Identifier: Apache-2.0
 *
 * wslay cuts the bytes into pieces of frames and unmasks them; what it does not check is checked here: masks, reserved
 * bits, opcodes, the order of fragments, sizes, UTF-8, close codes.
 */
#include "http/frames.h"

#include <string.h>
#include <wslay/wslay.h>

#include "base/text.h"

enum { MOST_CONTROL = 125 };

static ssize_t on_read(uint8_t *to, size_t most, int flags, void *userdata) {
        struct rt_http_frames *frames = userdata;
        size_t n = frames->in_size < most ? frames->in_size : most;
        (void)flags;
        if (n == 0)
                return -1; /* wslay: come again */
        memcpy(to, frames->in, n);
        frames->in += n;
        frames->in_size -= n;
        return (ssize_t)n;
}

int rt_http_frames_init(struct rt_http_frames *frames, size_t max_message) {
        struct wslay_frame_callbacks callbacks = { .recv_callback = on_read };
        wslay_frame_context_ptr wslay = NULL;
        *frames = (struct rt_http_frames){ .message = RT_BUF(max_message), .control = RT_BUF(MOST_CONTROL) };
        if (wslay_frame_context_init(&wslay, &callbacks, frames) != 0)
                return -1;
        frames->wslay = wslay;
        return 0;
}

void rt_http_frames_clear(struct rt_http_frames *frames) {
        if (frames->wslay)
                wslay_frame_context_free(frames->wslay);
        frames->wslay = NULL;
        rt_buf_clear(&frames->message);
        rt_buf_clear(&frames->control);
}

void rt_http_frames_feed(struct rt_http_frames *frames, const void *data, size_t size) {
        frames->in = data;
        frames->in_size = size;
}

size_t rt_http_frame_head(uint8_t head[RT_HTTP_FRAME_HEAD], unsigned opcode, uint64_t size) {
        int extra = size < 126 ? 0 : size <= UINT16_MAX ? 2 : 8;
        head[0] = (uint8_t)(0x80u | opcode);
        head[1] = (uint8_t)(extra == 0 ? size : extra == 2 ? 126 : 127);
        for (int i = 0; i < extra; i++)
                head[2 + i] = (uint8_t)(size >> 8 * (extra - 1 - i));
        return 2 + (size_t)extra;
}

bool rt_http_close_code_is_right(int code) {
        return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
               (code >= 3000 && code <= 4999);
}

/* Checks a frame's head, once. 0, or the code to close with. */
static int begin(struct rt_http_frames *frames, const struct wslay_frame_iocb *frame) {
        bool control = wslay_is_ctrl_frame(frame->opcode);
        if (!frame->mask || frame->rsv || (frame->opcode > 2 && frame->opcode < 8) || frame->opcode > 10)
                return 1002;
        frames->in_frame = true;
        frames->left = frame->payload_length;
        if (control) {
                frames->control.size = 0;
                return frame->fin && frame->payload_length <= MOST_CONTROL ? 0 : 1002;
        }
        if ((frame->opcode == WSLAY_CONTINUATION_FRAME) != frames->in_message)
                return 1002;
        if (!frames->in_message) {
                frames->message.size = 0;
                frames->text = frame->opcode == WSLAY_TEXT_FRAME;
        }
        frames->in_message = true;
        return frame->payload_length > frames->message.cap - frames->message.size ? 1009 : 0;
}

static enum rt_http_frame fail(struct rt_http_framed *ret, int code) {
        *ret = (struct rt_http_framed){ .code = code };
        return RT_HTTP_FRAME_FAILED;
}

static enum rt_http_frame give(struct rt_http_framed *ret, enum rt_http_frame kind, const struct rt_buf *from) {
        *ret = (struct rt_http_framed){ .data = from->size ? from->data : "", .size = from->size };
        return kind;
}

static enum rt_http_frame closed(struct rt_http_frames *frames, struct rt_http_framed *ret) {
        const struct rt_buf *control = &frames->control;
        if (control->size == 0) {
                *ret = (struct rt_http_framed){ .data = "", .code = 1005 };
                return RT_HTTP_FRAME_CLOSE;
        }
        if (control->size == 1)
                return fail(ret, 1002);
        int code = (uint8_t)control->data[0] << 8 | (uint8_t)control->data[1];
        if (!rt_http_close_code_is_right(code))
                return fail(ret, 1002);
        if (!rt_text_is_utf8(control->data + 2, control->size - 2))
                return fail(ret, 1007);
        *ret = (struct rt_http_framed){ .data = control->data + 2, .size = control->size - 2, .code = code };
        return RT_HTTP_FRAME_CLOSE;
}

/* A frame is complete. */
static enum rt_http_frame end(struct rt_http_frames *frames, const struct wslay_frame_iocb *frame,
                              struct rt_http_framed *ret) {
        frames->in_frame = false;
        switch (frame->opcode) {
        case WSLAY_PING: return give(ret, RT_HTTP_FRAME_PING, &frames->control);
        case WSLAY_PONG: return give(ret, RT_HTTP_FRAME_PONG, &frames->control);
        case WSLAY_CONNECTION_CLOSE: return closed(frames, ret);
        default: break;
        }
        if (!frame->fin)
                return RT_HTTP_FRAME_NONE;
        frames->in_message = false;
        if (frames->text && !rt_text_is_utf8(frames->message.size ? frames->message.data : "", frames->message.size))
                return fail(ret, 1007);
        return give(ret, frames->text ? RT_HTTP_FRAME_TEXT : RT_HTTP_FRAME_BINARY, &frames->message);
}

enum rt_http_frame rt_http_frames_next(struct rt_http_frames *frames, struct rt_http_framed *ret) {
        *ret = (struct rt_http_framed){ .data = "" };
        for (;;) {
                struct wslay_frame_iocb frame = { 0 };
                ssize_t n = wslay_frame_recv(frames->wslay, &frame);
                if (n == WSLAY_ERR_WANT_READ)
                        return RT_HTTP_FRAME_NONE;
                int code = n < 0 ? 1002 : frames->in_frame ? 0 : begin(frames, &frame);
                if (code)
                        return fail(ret, code);
                struct rt_buf *to = wslay_is_ctrl_frame(frame.opcode) ? &frames->control : &frames->message;
                if (n > 0 && rt_buf_add(to, frame.data, (size_t)n) != RT_BUF_OK)
                        return fail(ret, 1011); /* no memory: sizes were checked */
                frames->left -= (uint64_t)n;
                if (frames->left)
                        continue;
                enum rt_http_frame kind = end(frames, &frame, ret);
                if (kind != RT_HTTP_FRAME_NONE)
                        return kind;
        }
}
