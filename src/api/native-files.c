/* SPDX-License-Identifier: Apache-2.0
 *
 * /v1/contexts/{id}/files: the files of a context's box, binary and exact. Everything is done inside the box, as the guest.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/asking.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/util.h"

enum { WHOLE_MAX = 1 << 20, PART = 16 << 20, STREAM_BUFFER = 256 << 10, WATCH_PATIENCE_MS = 5000, DEPTH_MAX = 1000 };

/* ---- one question about a path ---- */

struct file {
        struct rt_asking asking;
        struct rt_call call;
        const char *path, *other;
        bool flag; /* append, or recursive */
        bool fresh;
        unsigned mode;
        uint64_t depth;
};

/* Answered where it gives NULL. */
static struct file *new_file(struct rt_exchange *x) {
        struct file *f = rt_arena_new(&x->arena, struct file);
        if (!f) {
                rt_exchange_refuse(x, 500, "internal", "out of memory");
                return NULL;
        }
        f->path = rt_http_query(x->http, "path");
        return f;
}

static bool has_path(struct rt_exchange *x, const struct file *f) {
        if (f->path && *f->path)
                return true;
        rt_exchange_refuse(x, 400, "invalid-request", "path: missing");
        return false;
}

static void start(struct file *f, struct rt_exchange *x, enum rt_crew_kind kind, void (*perform)(struct rt_call *call)) {
        rt_asking_init(&f->asking, x, &f->call, kind, perform);
        rt_asking_start(&f->asking);
}

#define FILE_OF(call) rt_container_of(call, struct file, call)
/* errno is what tells which error it was; nothing older may seem to. */
#define ASK(a, what) (errno = 0, rt_asking_succeeded((a), (what)))

static void perform_write(struct rt_call *call) {
        struct file *f = FILE_OF(call);
        enum retort_write how = f->flag ? RETORT_WRITE_APPEND : f->fresh ? RETORT_WRITE_NEW : RETORT_WRITE_REPLACE;
        (void)ASK(&f->asking, retort_context_write(call->context, f->path, rt_http_body(f->asking.x->http), how, f->mode, &call->err));
}

static bool read_mode(struct rt_exchange *x, unsigned *ret_mode) {
        const char *text = rt_http_query(x->http, "mode");
        size_t size = text ? strlen(text) : 0;
        if (!text)
                return true;
        if (size >= 3 && size <= 4 && strspn(text, "01234567") == size) {
                *ret_mode = (unsigned)strtoul(text, NULL, 8);
                return true;
        }
        rt_exchange_refuse(x, 400, "invalid-request", "mode: must be permission bits in octal, such as 644");
        return false;
}

void rt_native_file_write(struct rt_exchange *x) {
        struct file *f = new_file(x);
        if (!f || !has_path(x, f) || !read_mode(x, &f->mode) || !rt_asking_flag(x, "append", &f->flag) || !rt_asking_flag(x, "new", &f->fresh))
                return;
        if (f->flag && f->fresh)
                rt_exchange_refuse(x, 400, "invalid-request", "append: not together with new");
        else
                start(f, x, RT_CREW_SHORT, perform_write);
}

static void perform_remove(struct rt_call *call) {
        struct file *f = FILE_OF(call);
        (void)ASK(&f->asking, retort_context_remove(call->context, f->path, &call->err));
}

void rt_native_file_remove(struct rt_exchange *x) {
        struct file *f = new_file(x);
        if (f && has_path(x, f))
                start(f, x, RT_CREW_SHORT, perform_remove);
}

static void perform_list(struct rt_call *call) {
        struct file *f = FILE_OF(call);
        char *entries = NULL;
        if (!ASK(&f->asking, retort_context_list(call->context, f->path, (unsigned)f->depth, &entries, &call->err)))
                return;
        rt_auto_buf struct rt_buf text = RT_BUF(strlen(entries) + 16);
        (void)rt_buf_printf(&text, "{\"entries\":");
        (void)rt_buf_add(&text, entries, strlen(entries));
        bool good = rt_buf_add(&text, "}", 1) == RT_BUF_OK;
        free(entries);
        f->asking.json = good ? rt_take(text.data) : NULL;
        if (!good)
                (void)rt_fail_nomem(&call->err);
}

void rt_native_file_list(struct rt_exchange *x) {
        struct file *f = new_file(x);
        if (!f)
                return;
        f->depth = 1;
        f->path = f->path && *f->path ? f->path : ".";
        if (rt_asking_number(x, "depth", 1, DEPTH_MAX, &f->depth))
                start(f, x, RT_CREW_SHORT, perform_list);
}

static void perform_stat(struct rt_call *call) {
        struct file *f = FILE_OF(call);
        (void)ASK(&f->asking, retort_context_stat(call->context, f->path, &f->asking.json, &call->err));
}

void rt_native_file_stat(struct rt_exchange *x) {
        struct file *f = new_file(x);
        if (f && has_path(x, f))
                start(f, x, RT_CREW_SHORT, perform_stat);
}

static const struct rt_field move_fields[] = {
        RT_FIELD("from", struct file, path, RT_STRING, .flags = RT_REQUIRED),
        RT_FIELD("to", struct file, other, RT_STRING, .flags = RT_REQUIRED),
};
static const struct rt_shape move_shape = RT_SHAPE(struct file, move_fields);

static void perform_move(struct rt_call *call) {
        struct file *f = FILE_OF(call);
        (void)ASK(&f->asking, retort_context_move(call->context, f->path, f->other, &call->err));
}

void rt_native_file_move(struct rt_exchange *x) {
        struct file *f = new_file(x);
        if (f && rt_asking_read(x, &move_shape, false, f))
                start(f, x, RT_CREW_SHORT, perform_move);
}

static const struct rt_field directory_fields[] = {
        RT_FIELD("path", struct file, path, RT_STRING, .flags = RT_REQUIRED),
};
static const struct rt_shape directory_shape = RT_SHAPE(struct file, directory_fields);

static void perform_directory(struct rt_call *call) {
        struct file *f = FILE_OF(call);
        (void)ASK(&f->asking, retort_context_make_directory(call->context, f->path, &call->err));
}

void rt_native_file_directory(struct rt_exchange *x) {
        struct file *f = new_file(x);
        if (f && rt_asking_read(x, &directory_shape, false, f))
                start(f, x, RT_CREW_SHORT, perform_directory);
}

/* ---- watching ---- */

static bool on_change(const char *json, size_t size, void *userdata) {
        return rt_asking_tell(userdata, json, size);
}

static void perform_watch(struct rt_call *call) {
        struct file *f = FILE_OF(call);
        rt_auto_free char *known = NULL; /* what watches could not say what is wrong with the path */
        if (!ASK(&f->asking, retort_context_stat(call->context, f->path, &known, &call->err)))
                return;
        (void)ASK(&f->asking, retort_context_watch(call->context, f->path, f->flag, call->cancel_fd, on_change, &f->asking, &call->err));
}

void rt_native_file_watch(struct rt_exchange *x) {
        struct file *f = new_file(x);
        if (!f || !rt_asking_flag(x, "recursive", &f->flag))
                return;
        f->path = f->path && *f->path ? f->path : ".";
        f->asking.form = rt_stream_form_of(x->http) == RT_STREAM_SSE ? RT_STREAM_SSE : RT_STREAM_NDJSON;
        f->call.endless = true;
        rt_asking_init(&f->asking, x, &f->call, RT_CREW_LONG, perform_watch);
        f->asking.patience_ms = WATCH_PATIENCE_MS; /* what happens in the box does not wait for whoever watches */
        rt_asking_start(&f->asking);
}

/* ---- reading ---- */

struct reading {
        struct rt_asking asking;
        struct rt_call call;
        const char *path;
        enum { ALL, FROM_TO, LAST } range;
        uint64_t first, last; /* LAST: as many as `last` of the end */
        uint64_t size;        /* of the file */
        uint64_t got;         /* of this part */
        bool stopped;
        struct rt_buf whole;  /* what came, until there is a stream */
        char content_range[80];
};

/* RFC 9110, 14.1.2: one range of bytes. Anything else that Range may say is ignored, as it may be. */
static void read_range(struct reading *r, const char *text) {
        static const char unit[] = "bytes=";
        char *end = NULL;
        if (!text || strncmp(text, unit, sizeof unit - 1) != 0 || strchr(text, ','))
                return;
        text += sizeof unit - 1;
        errno = 0;
        bool of_end = *text == '-';
        const char *digits = of_end ? text + 1 : text;
        if (*digits < '0' || *digits > '9')
                return;
        uint64_t n = strtoull(digits, &end, 10);
        if (of_end) {
                r->last = n;
                r->range = *end == 0 && errno == 0 ? LAST : ALL;
                return;
        }
        r->first = n;
        r->last = UINT64_MAX;
        if (*end++ != '-' || errno)
                return;
        if (*end >= '0' && *end <= '9') {
                r->last = strtoull(end, &end, 10);
                if (r->last < r->first)
                        return;
        }
        r->range = *end == 0 && errno == 0 ? FROM_TO : ALL;
}

static void put_headers(struct reading *r) {
        struct rt_http_header *more = r->asking.x->more;
        more[0] = (struct rt_http_header){ "Accept-Ranges", "bytes" };
        more[1] = (struct rt_http_header){ "X-Content-Type-Options", "nosniff" };
        if (r->content_range[0])
                more[2] = (struct rt_http_header){ "Content-Range", r->content_range };
}

/* It is larger than what is answered whole: from now on the client's pace counts. */
static bool open_stream(struct reading *r) {
        struct rt_asking *a = &r->asking;
        if (!rt_call_lasts(a->call))
                return false;
        const struct rt_http_header headers[] = { { "Content-Type", "application/octet-stream" }, { "Cache-Control", "no-store" },
                                                  { "Accept-Ranges", "bytes" }, { "X-Content-Type-Options", "nosniff" },
                                                  { r->range ? "Content-Range" : NULL, r->content_range }, { NULL, NULL } };
        a->stream = rt_http_stream_open(a->x->http, r->range ? 206 : 200, headers, STREAM_BUFFER);
        return a->stream && rt_asking_write(a, r->whole.data, r->whole.size);
}

static bool take(struct reading *r, const char *data, size_t size) {
        if (!r->asking.stream && r->whole.size + size <= WHOLE_MAX)
                return rt_buf_add(&r->whole, data, size) == RT_BUF_OK || (rt_fail_nomem(&r->call.err), false);
        return (r->asking.stream || open_stream(r)) && rt_asking_write(&r->asking, data, size) && !rt_call_is_cancelled(&r->call);
}

static bool on_part(const char *data, size_t size, void *userdata) {
        struct reading *r = userdata;
        r->got += size;
        r->stopped = !take(r, data, size);
        return !r->stopped;
}

static bool on_nothing(const char *data, size_t size, void *userdata) {
        (void)data;
        (void)size;
        (void)userdata;
        return false;
}

/* Where the range lies in the file. False: nowhere, or the file cannot be read. */
static bool place_range(struct reading *r) {
        struct rt_call *call = &r->call;
        if (r->range == ALL) {
                r->first = 0;
                r->last = UINT64_MAX;
                return true;
        }
        if (!ASK(&r->asking, retort_context_read(call->context, r->path, 0, 1, on_nothing, NULL, &r->size, &call->err)))
                return false;
        if (r->range == LAST) {
                r->first = r->last < r->size ? r->size - r->last : 0;
                r->last = r->last ? UINT64_MAX : 0;
        }
        bool there = r->first < r->size && (r->range == FROM_TO || r->last > 0);
        r->last = r->last < r->size ? r->last : r->size - 1;
        if (there)
                (void)snprintf(r->content_range, sizeof r->content_range, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, r->first, r->last, r->size);
        else
                (void)snprintf(r->content_range, sizeof r->content_range, "bytes */%" PRIu64, r->size);
        r->asking.status = there ? 206 : 416;
        return there;
}

static void perform_read(struct rt_call *call) {
        struct reading *r = rt_container_of(call, struct reading, call);
        bool good = place_range(r);
        if (!good)
                return;
        uint64_t at = r->first;
        do {
                uint64_t most = r->last - at < PART ? r->last - at + 1 : PART;
                r->got = 0;
                good = ASK(&r->asking, retort_context_read(call->context, r->path, at, most, on_part, r, &r->size, &call->err));
                at += r->got;
        } while (good && !r->stopped && r->got && at <= r->last && at < r->size);
        if (r->asking.stream && (!good || r->stopped || (r->range && at <= r->last)))
                rt_http_cut(r->asking.x->http); /* half a file must not look like one */
}

static void answer_read(struct rt_asking *a) {
        struct reading *r = rt_container_of(a, struct reading, asking);
        put_headers(r);
        if (a->status == 416)
                rt_exchange_refuse(a->x, 416, "no-such-range", "the file is shorter than where this range begins");
        else
                rt_exchange_reply(a->x, a->status, "application/octet-stream", r->whole.data, r->whole.size);
}

static void free_reading(void *data) {
        struct rt_asking *a = data;
        rt_buf_clear(&rt_container_of(a, struct reading, asking)->whole);
}

void rt_native_file_read(struct rt_exchange *x) {
        struct reading *r = rt_arena_new(&x->arena, struct reading);
        if (!r) {
                rt_exchange_refuse(x, 500, "internal", "out of memory");
                return;
        }
        r->path = rt_http_query(x->http, "path");
        if (!r->path || !*r->path) {
                rt_exchange_refuse(x, 400, "invalid-request", "path: missing");
                return;
        }
        read_range(r, rt_http_header(x->http, "Range"));
        r->whole = RT_BUF(WHOLE_MAX);
        rt_asking_init(&r->asking, x, &r->call, RT_CREW_SHORT, perform_read);
        r->asking.answer = answer_read;
        x->free_data = free_reading;
        rt_asking_start(&r->asking);
}
