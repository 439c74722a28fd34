/* SPDX-License-Identifier: Apache-2.0
 *
 * A runner's end of the runner protocol (docs/internals/runner-protocol.md), for runners in C: frames on a Unix stream socket,
 * the descriptors that come with them, and the mark before each item. Nothing here is read that belongs to the next frame, so a
 * process and its forked children may share the socket as long as one of them reads at a time.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { RT_FRAMES_MAX = 64 << 20, RT_FRAMES_ITEM_MAX = 32 << 20, RT_FRAMES_FDS = 3, RT_FRAMES_MARK = 48 };

struct rt_frames {
        int fd; /* the protocol, close-on-exec */
        char mark[RT_FRAMES_MARK + 1];
        dev_t out_dev; /* what descriptor 1 was when it began */
        ino_t out_ino;
        /* Of the frame that is being received. */
        unsigned char head[4];
        size_t have; /* of head and body together */
        char *body;
        size_t size;
        int fds[RT_FRAMES_FDS]; /* that came with it; whoever gets the message owns them */
        unsigned n_fds;
};

/* Takes over the protocol's descriptor: it becomes a high number that children do not inherit. 0, or -1 with errno. */
int rt_frames_open(struct rt_frames *f, int fd);
/* After a fork that is to be a runner of its own: the descriptors become 1, 2 and the protocol. */
int rt_frames_adopt(struct rt_frames *f, const int fds[RT_FRAMES_FDS]);

enum rt_frames_got { RT_FRAMES_BROKEN = -1, RT_FRAMES_END = 0, RT_FRAMES_MESSAGE = 1, RT_FRAMES_STOPPED = 2 };
/* Waits for a message: an object whose `type` is a text. stop (may be NULL) is asked whenever a signal has come, and right before
 * waiting; RT_FRAMES_STOPPED when it says so: what has come of a frame is kept. */
enum rt_frames_got rt_frames_receive(struct rt_frames *f, bool (*stop)(void), json_t **ret_message);
void rt_frames_close_fds(struct rt_frames *f);

/* Sends message and frees it. 0, or -1: nobody is there any more. */
int rt_frames_send(struct rt_frames *f, json_t *message);
/* Sends data (freed, as metadata, which may be NULL) as an item behind its mark. One that is too large becomes a text that says so.
 * The caller has flushed what it buffers. */
int rt_frames_item(struct rt_frames *f, json_int_t id, json_t *data, json_t *metadata, bool is_main);

/* A JSON text from any bytes: what is not UTF-8 becomes U+FFFD. NULL only when there is no memory. */
json_t *rt_frames_text(const char *bytes, size_t size);
/* The same from binary data, in base64. */
json_t *rt_frames_base64(const void *bytes, size_t size);
/* Whether a value of this MIME type is sent as base64. */
bool rt_frames_is_binary(const char *mime);
/* Writes all of it to a descriptor that may have been made non-blocking. 0, or -1 with errno. */
int rt_frames_write(int fd, const char *data, size_t size);
