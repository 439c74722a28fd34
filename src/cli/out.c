/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/out.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "cli/cancel.h"

enum { LOOK_AGAIN_MS = 100 }; /* how soon a cancelled run stops waiting for a reader */

/* Ready for PIPE_BUF bytes. -1 with errno when there is no point in waiting longer. */
static int wait_for_room(int fd) {
        for (;;) {
                struct pollfd p = { .fd = fd, .events = POLLOUT };
                int n = poll(&p, 1, LOOK_AGAIN_MS);
                if (n > 0)
                        return 0; /* an error shows in write() */
                if (n < 0 && errno != EINTR)
                        return -1;
                if (rt_cancel_asked()) {
                        errno = ECANCELED;
                        return -1;
                }
        }
}

int rt_out_write(int fd, const void *data, size_t size) {
        struct stat st;
        if (fstat(fd, &st) < 0)
                return -1;
        /* A pipe with room takes PIPE_BUF bytes at once: a reader that sleeps is then waited for in poll, which a
         * cancelled run can leave, and not in write. */
        size_t most = S_ISREG(st.st_mode) ? SSIZE_MAX : PIPE_BUF;
        const char *p = data;
        while (size > 0) {
                if (!S_ISREG(st.st_mode) && wait_for_room(fd) < 0)
                        return -1;
                ssize_t n = write(fd, p, size < most ? size : most);
                if (n < 0 && errno != EINTR && errno != EAGAIN)
                        return -1;
                if (n > 0) {
                        p += n;
                        size -= (size_t)n;
                }
        }
        return 0;
}

int rt_out_flush(int fd, struct rt_buf *buf) {
        int r = buf->size ? rt_out_write(fd, buf->data, buf->size) : 0;
        rt_buf_clear(buf);
        return r;
}

int rt_out_json(int fd, const char *json) {
        json_t *root = isatty(fd) ? json_loads(json, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;
        rt_auto_free char *pretty =
                root ? json_dumps(root, JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)) : NULL;
        json_decref(root);
        const char *text = pretty ? pretty : json;
        if (rt_out_write(fd, text, strlen(text)) < 0)
                return -1;
        return rt_out_write(fd, "\n", 1);
}
