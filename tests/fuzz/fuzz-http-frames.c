/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes from a WebSocket client: read at once and byte by byte they say the same, texts are UTF-8, nothing is larger than
 * was allowed, and what is refused is refused with a code that may be sent.
 */
#include <string.h>

#include "base/text.h"
#include "base/util.h"
#include "fuzz.h"
#include "http/frames.h"

enum { MOST = 4096 };

/* Takes what is there; a sum over it, so that two readings can be compared. True: goes on. */
static bool take(struct rt_http_frames *frames, uint64_t *sum) {
        struct rt_http_framed frame;
        for (;;) {
                enum rt_http_frame kind = rt_http_frames_next(frames, &frame);
                if (kind == RT_HTTP_FRAME_NONE)
                        return true;
                CHECK(frame.size <= MOST);
                *sum = *sum * 31 + (uint64_t)kind * 7 + (uint64_t)frame.code;
                for (size_t i = 0; i < frame.size; i++)
                        *sum = *sum * 31 + ((const uint8_t *)frame.data)[i];
                if (kind == RT_HTTP_FRAME_TEXT)
                        CHECK(rt_text_is_utf8(frame.data, frame.size));
                if (kind == RT_HTTP_FRAME_FAILED)
                        CHECK(rt_http_close_code_is_right(frame.code));
                if (kind == RT_HTTP_FRAME_CLOSE)
                        CHECK(frame.code == 1005 || rt_http_close_code_is_right(frame.code));
                if (kind == RT_HTTP_FRAME_FAILED || kind == RT_HTTP_FRAME_CLOSE)
                        return false;
        }
}

static uint64_t read_in(const uint8_t *data, size_t size, size_t step) {
        struct rt_http_frames frames;
        uint64_t sum = 0;
        CHECK(rt_http_frames_init(&frames, MOST) == 0);
        for (size_t at = 0; at < size; at += step) {
                rt_http_frames_feed(&frames, data + at, size - at < step ? size - at : step);
                if (!take(&frames, &sum))
                        break;
        }
        rt_http_frames_clear(&frames);
        return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        CHECK(read_in(data, size, size + 1) == read_in(data, size, 1));
        return 0;
}
