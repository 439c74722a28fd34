/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of a context's box. Reading: the supervisor opens, we read what it hands over, if that is a file. Writing: it reads what we
 * hand over, so that what is written is charged to the box. Listings come as records, which are a guest's word.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "base/util.h"
#include "context/inside.h"

enum { CHUNK = 65536, MAX_LISTING = 32 << 20, LOOK_MS = 1000 };

/* One question about one or two paths. */
struct request {
        struct rt_ask ask;
        const char *path, *other;
        int fd; /* goes along, or -1 */
};

static bool is_paused(struct rt_context_box *box) {
        (void)pthread_mutex_lock(&box->lock);
        bool paused = box->paused;
        (void)pthread_mutex_unlock(&box->lock);
        return paused;
}

static int ask(struct rt_context_box *box, const struct request *q, struct rt_answer *ret_answer, int *ret_fd, struct retort_error *err) {
        char path[RT_ASK_MAX_PATH], other[RT_ASK_MAX_PATH];
        int r = rt_context_box_path(box, q->path, path, err);
        if (r == 0 && q->other)
                r = rt_context_box_path(box, q->other, other, err);
        if (r == 0 && is_paused(box))
                r = rt_fail(err, RETORT_E_INPUT, "the context is paused");
        if (r == 0)
                r = rt_context_box_ask(box, q->ask, path, q->other ? other : NULL, &q->fd, q->fd >= 0, ret_answer, ret_fd, err);
        int kept = errno;
        if (r == 0)
                rt_context_box_touch(box);
        errno = kept;
        return r;
}

static int ask_in_turn(struct retort_context *context, const struct request *q, struct rt_answer *ret_answer, int *ret_fd,
                       struct retort_error *err) {
        struct retort_error local = { 0 };
        struct rt_context_box *box;
        err = err ? err : &local;
        int r = rt_context_use(context, &box, err);
        if (r < 0)
                return r;
        r = ask(box, q, ret_answer, ret_fd, err);
        int kept = errno;
        rt_context_unuse(context, box);
        errno = kept;
        return r;
}

/* ---- whole files ---- */

static int hand_over(int fd, uint64_t at, uint64_t end, retort_data_fn on_data, void *userdata, struct retort_error *err) {
        char chunk[CHUNK];
        while (at < end) {
                size_t want = end - at < sizeof chunk ? (size_t)(end - at) : sizeof chunk;
                ssize_t n = pread(fd, chunk, want, (off_t)at);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return rt_fail_errno(err, "cannot read the file");
                if (n == 0 || !on_data(chunk, (size_t)n, userdata))
                        break; /* it became shorter meanwhile, or is enough */
                at += (uint64_t)n;
        }
        return 0;
}

int retort_context_read(retort_context *context, const char *path, uint64_t offset, uint64_t most, retort_data_fn on_data, void *userdata,
                        uint64_t *ret_size, struct retort_error *err) {
        const struct request q = { { .op = RT_ASK_OPEN }, path, NULL, -1 };
        rt_auto_close int fd = -1;
        struct stat status;
        int r = ask_in_turn(context, &q, NULL, &fd, err);
        if (r < 0)
                return r;
        if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
                bool folder = fd >= 0 && S_ISDIR(status.st_mode);
                r = rt_fail(err, RETORT_E_INPUT, "%s: %s", path, folder ? "a directory" : "not a regular file");
                errno = folder ? EISDIR : EINVAL;
                return r;
        }
        uint64_t size = status.st_size > 0 ? (uint64_t)status.st_size : 0;
        uint64_t limit = most && most < RETORT_MAX_FILE_BYTES ? most : RETORT_MAX_FILE_BYTES;
        if (ret_size)
                *ret_size = size;
        if (!most && size > offset && size - offset > RETORT_MAX_FILE_BYTES)
                return rt_fail(err, RETORT_E_INPUT, "%s: larger than %u bytes; read it in parts", path, RETORT_MAX_FILE_BYTES);
        uint64_t end = offset + limit < size ? offset + limit : size;
        return offset < end ? hand_over(fd, offset, end, on_data, userdata, err) : 0;
}

/* The same file for somebody else, who cannot write it. */
static int read_only(int fd) {
        char path[40];
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        return fd < 0 || fchmod(fd, 0400) < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
}

int retort_context_write(retort_context *context, const char *path, struct retort_bytes content, enum retort_write how, unsigned mode,
                         struct retort_error *err) {
        if (content.size > RETORT_MAX_FILE_BYTES)
                return rt_fail(err, RETORT_E_INPUT, "content: larger than %u bytes; write it in parts", RETORT_MAX_FILE_BYTES);
        rt_auto_close int data = memfd_create("file", MFD_CLOEXEC);
        rt_auto_close int theirs = read_only(data);
        if (theirs < 0 || rt_write_all(data, content.data ? content.data : "", content.size) < 0)
                return rt_fail_errno(err, "cannot hand the file over");
        uint32_t flags = how == RETORT_WRITE_APPEND ? RT_ASK_APPEND : how == RETORT_WRITE_NEW ? RT_ASK_NEW : 0;
        const struct request q = { { .op = RT_ASK_WRITE, .number = mode ? mode & 07777 : 0644, .flags = flags }, path, NULL, theirs };
        int r = ask_in_turn(context, &q, NULL, NULL, err), kept = errno;
        (void)!ftruncate(data, 0); /* the guest may keep it open, but it is memory of ours */
        errno = kept;
        return r;
}

/* ---- folders ---- */

static json_t *clean_text(const char *text, size_t size) {
        rt_auto_arena struct rt_arena arena = { 0 };
        char *clean = rt_text_clean(&arena, text, size);
        return clean ? json_string(clean) : NULL;
}

static const char *type_of(uint32_t mode) {
        return S_ISREG(mode) ? "file" : S_ISDIR(mode) ? "directory" : S_ISLNK(mode) ? "symlink" : "other";
}

static json_t *describe(const struct rt_entry *entry, const char *path) {
        char when[40], whole[64], mode[8];
        struct tm tm = { 0 };
        time_t seconds = (time_t)(entry->modified_ns / 1000000000);
        size_t name = entry->path_size;
        while (name > 0 && path[name - 1] != '/')
                name--;
        (void)gmtime_r(&seconds, &tm);
        (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
        (void)snprintf(whole, sizeof whole, "%s.%06uZ", when, (unsigned)(entry->modified_ns % 1000000000 / 1000));
        (void)snprintf(mode, sizeof mode, "%04o", entry->mode & 07777);
        json_t *made = json_pack("{s:o, s:o, s:s, s:I, s:s, s:s}", "name", clean_text(path + name, entry->path_size - name), "path",
                                 clean_text(path, entry->path_size), "type", type_of(entry->mode), "size", (json_int_t)(entry->size & INT64_MAX),
                                 "mode", mode, "modified", whole);
        if (made && S_ISLNK(entry->mode))
                (void)json_object_set_new(made, "target", clean_text(path + entry->path_size, entry->target_size));
        return made;
}

static int read_listing(int fd, json_t **ret_list, struct retort_error *err) {
        rt_auto_free char *text = NULL;
        size_t size = 0, at = 0;
        int r = lseek(fd, 0, SEEK_SET) < 0 ? -1 : rt_read_all(fd, MAX_LISTING, &text, &size, err);
        if (r < 0)
                return rt_fail(err, RETORT_E_INPUT, "the folder has too much in it");
        json_t *list = json_array();
        for (unsigned n = 0; n < RT_ASK_MAX_ENTRIES && size - at >= sizeof(struct rt_entry); n++) {
                struct rt_entry entry;
                memcpy(&entry, text + at, sizeof entry);
                at += sizeof entry;
                if ((size_t)entry.path_size + entry.target_size > size - at)
                        break;
                (void)json_array_append_new(list, describe(&entry, text + at));
                at += (size_t)entry.path_size + entry.target_size;
        }
        *ret_list = list;
        return list ? 0 : rt_fail_nomem(err);
}

static int list(retort_context *context, const char *path, unsigned depth, char **ret_json, struct retort_error *err) {
        rt_auto_close int records = memfd_create("listing", MFD_CLOEXEC);
        if (records < 0)
                return rt_fail_errno(err, "cannot make a listing");
        const struct request q = { { .op = RT_ASK_LIST, .number = depth }, path, NULL, records };
        json_t *entries = NULL;
        int r = ask_in_turn(context, &q, NULL, NULL, err);
        r = r < 0 ? r : read_listing(records, &entries, err);
        if (r < 0)
                return r;
        json_t *first = json_array_get(entries, 0);
        if (!depth && !first)
                r = rt_fail(err, RETORT_E_CLOSED, "the context does not say what is there");
        *ret_json = r == 0 ? json_dumps(depth ? entries : first, JSON_COMPACT) : NULL;
        json_decref(entries);
        if (r < 0)
                return r;
        return *ret_json ? 0 : rt_fail_nomem(err);
}

int retort_context_stat(retort_context *context, const char *path, char **ret_json, struct retort_error *err) {
        return list(context, path, 0, ret_json, err);
}

int retort_context_list(retort_context *context, const char *path, unsigned depth, char **ret_json, struct retort_error *err) {
        return list(context, path, depth ? depth : 1, ret_json, err);
}

int retort_context_make_directory(retort_context *context, const char *path, struct retort_error *err) {
        const struct request q = { { .op = RT_ASK_MKDIR }, path, NULL, -1 };
        return ask_in_turn(context, &q, NULL, NULL, err);
}

int retort_context_move(retort_context *context, const char *from, const char *to, struct retort_error *err) {
        const struct request q = { { .op = RT_ASK_MOVE }, from, to ? to : "", -1 };
        return ask_in_turn(context, &q, NULL, NULL, err);
}

int retort_context_remove(retort_context *context, const char *path, struct retort_error *err) {
        const struct request q = { { .op = RT_ASK_REMOVE }, path, NULL, -1 };
        return ask_in_turn(context, &q, NULL, NULL, err);
}

/* ---- watching ---- */

static bool tell_change(const struct rt_change *change, const char *path, retort_data_fn on_data, void *userdata) {
        static const char *const types[RT_CHANGE_TYPES] = { "ready", "create", "modify", "delete", "move" };
        json_t *told = json_pack("{s:s}", "type", types[change->type]);
        if (change->type != RT_CHANGE_READY)
                (void)json_object_set_new(told, "path", clean_text(path, change->path_size));
        rt_auto_free char *line = json_dumps(told, JSON_COMPACT);
        json_decref(told);
        return line && on_data(line, strlen(line), userdata);
}

/* What is whole in the buffer is told; false: it is enough, or no change at all. */
static bool tell_changes(struct rt_buf *in, retort_data_fn on_data, void *userdata) {
        size_t at = 0;
        bool more = true;
        while (more && in->size - at >= sizeof(struct rt_change)) {
                struct rt_change change;
                memcpy(&change, in->data + at, sizeof change);
                if (change.type >= RT_CHANGE_TYPES || change.path_size > 2 * RT_ASK_MAX_PATH)
                        return false;
                if (in->size - at < sizeof change + change.path_size)
                        break;
                more = tell_change(&change, in->data + at + sizeof change, on_data, userdata);
                at += sizeof change + change.path_size;
        }
        in->size -= at;
        memmove(in->data, in->data + at, in->size);
        return more;
}

static int follow_watch(struct retort_context *context, struct rt_context_box *box, int changes, int cancel_fd, retort_data_fn on_data, void *userdata,
                        struct retort_error *err) {
        rt_auto_buf struct rt_buf in = RT_BUF(4 * CHUNK);
        bool any = false;
        for (;;) {
                char chunk[CHUNK];
                struct pollfd wait[] = { { .fd = changes, .events = POLLIN }, { .fd = cancel_fd > 0 ? cancel_fd : -1, .events = POLLIN },
                                         { .fd = context->wake, .events = POLLIN } };
                int n_ready = poll(wait, RT_LEN(wait), LOOK_MS);
                if (n_ready == 0 && rt_context_box_gone(box, 0)) /* its guest may have hidden the pipe where it stays open */
                        return 0;
                if (n_ready <= 0)
                        continue;
                if (wait[1].revents || wait[2].revents)
                        return 0;
                ssize_t n = read(changes, chunk, sizeof chunk);
                if (n < 0 && (errno == EINTR || errno == EAGAIN))
                        continue;
                if (n <= 0) /* the folder is gone, or could not be watched */
                        return any ? 0 : rt_fail(err, RETORT_E_INPUT, "path: not a folder that can be watched");
                any = true;
                if (rt_buf_add(&in, chunk, (size_t)n) != RT_BUF_OK || !tell_changes(&in, on_data, userdata))
                        return 0;
        }
}

static void count_watch(struct rt_context_box *box, int by) {
        (void)pthread_mutex_lock(&box->lock);
        box->n_watches += (unsigned)by;
        (void)pthread_mutex_unlock(&box->lock);
        rt_context_box_touch(box);
}

int retort_context_watch(retort_context *context, const char *path, bool recursive, int cancel_fd, retort_data_fn on_data, void *userdata,
                         struct retort_error *err) {
        struct retort_error local = { 0 };
        struct rt_context_box *box;
        int ends[2];
        err = err ? err : &local;
        int r = rt_context_use(context, &box, err);
        if (r < 0)
                return r;
        if (pipe2(ends, O_CLOEXEC) < 0) {
                r = rt_fail_errno(err, "cannot make a pipe");
        } else {
                const struct request q = { { .op = RT_ASK_WATCH, .flags = recursive ? RT_ASK_RECURSIVE : 0 }, path, NULL, ends[1] };
                (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
                r = ask(box, &q, NULL, NULL, err);
                (void)rt_close(ends[1]);
                if (r == 0) {
                        count_watch(box, 1);
                        r = follow_watch(context, box, ends[0], cancel_fd, on_data, userdata, err);
                        count_watch(box, -1);
                }
                (void)rt_close(ends[0]);
        }
        rt_context_unuse(context, box);
        return r;
}
