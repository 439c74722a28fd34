/* SPDX-License-Identifier: Apache-2.0
 *
 * Where in a program's output its items belong. Messages and output come on different ways, so a runner writes its *mark* into
 * stdout before each item: what stands before it was written before. Marks are taken out here, and what stands behind one whose item has
 * not come yet waits for it. A guest that writes marks of its own disorders its own output.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "context/inside.h"

enum { CHUNK = 65536 };

/* How many of the last bytes may begin a mark. */
static size_t begun(const struct rt_marks *m, const char *data, size_t size) {
        size_t most = size < m->size - 1 ? size : m->size - 1;
        for (size_t n = most; n > 0; n--)
                if (memcmp(data + size - n, m->mark, n) == 0)
                        return n;
        return 0;
}

static void pass(struct rt_marks *m, struct rt_pump *pump, const char *data, size_t size) {
        while (size > 0) {
                const char *mark = memmem(data, size, m->mark, m->size);
                if (!mark) {
                        m->n_tail = begun(m, data, size);
                        memcpy(m->tail, data + size - m->n_tail, m->n_tail);
                        rt_pump_take(pump, &pump->out, data, size - m->n_tail);
                        return;
                }
                rt_pump_take(pump, &pump->out, data, (size_t)(mark - data));
                size -= (size_t)(mark - data) + m->size;
                data = mark + m->size;
                if (++m->seen > m->taken) {
                        if (rt_buf_add(&m->held, data, size) != RT_BUF_OK)
                                pump->nomem = true;
                        return;
                }
        }
}

bool rt_marks_waiting(const struct rt_marks *m) {
        return m->seen > m->taken;
}

/* How many bytes. */
static size_t read_some(struct rt_marks *m, struct rt_pump *pump) {
        char chunk[CHUNK + RT_MARK_MAX];
        uint64_t before = pump->out.seen;
        if (m->size == 0)
                return rt_pump_read(pump, &pump->out) ? (size_t)(pump->out.seen - before) : 0;
        if (pump->out.fd < 0 || rt_marks_waiting(m))
                return 0;
        memcpy(chunk, m->tail, m->n_tail);
        ssize_t n = read(pump->out.fd, chunk + m->n_tail, CHUNK);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        size_t tail = m->n_tail;
        m->n_tail = 0;
        if (n <= 0) {
                rt_pump_take(pump, &pump->out, chunk, tail);
                (void)rt_pump_read(pump, &pump->out); /* it knows how a stream ends */
                return 0;
        }
        pass(m, pump, chunk, tail + (size_t)n);
        return (size_t)n;
}

bool rt_marks_read(struct rt_marks *m, struct rt_pump *pump) {
        return read_some(m, pump) > 0;
}

void rt_marks_catch_up(struct rt_marks *m, struct rt_pump *pump) {
        size_t left = rt_pump_waiting(&pump->out);
        for (size_t n; left > 0 && !rt_marks_waiting(m) && (n = read_some(m, pump)) > 0;)
                left -= n < left ? n : left;
}

void rt_marks_item(struct rt_marks *m, struct rt_pump *pump) {
        rt_marks_catch_up(m, pump);
        m->taken++;
        if (m->seen < m->taken) /* it did not reach us, and what was written before has */
                m->seen = m->taken;
}

void rt_marks_go_on(struct rt_marks *m, struct rt_pump *pump) {
        if (rt_marks_waiting(m) || m->held.size == 0)
                return;
        struct rt_buf held = m->held;
        m->held = RT_BUF(2 * CHUNK);
        pass(m, pump, held.data, held.size);
        rt_buf_clear(&held);
}

void rt_marks_end(struct rt_marks *m, struct rt_pump *pump) {
        m->taken = UINT64_MAX; /* a mark without an item waits for nothing */
        rt_marks_go_on(m, pump);
        rt_marks_catch_up(m, pump);
        size_t tail = m->n_tail;
        m->seen = m->taken = m->n_tail = 0;
        rt_pump_take(pump, &pump->out, m->tail, tail);
}
