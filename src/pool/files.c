/* SPDX-License-Identifier: Apache-2.0
 *
 * /proc/self/fd says what a descriptor is, /proc/self/fdinfo what is in it. The notes lie in static memory, so that a
 * frozen process has them ready.
 */
#include "pool/files.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "pool/raw.h"

enum { MOST_FILES = 256, MOST_WATCHES = 1024, MOST_PATHS = 16 << 10, LAST_GIVEN = 3 /* 0 to 3 come with each run */ };

enum kind { EVENTFD, TIMERFD, PIPE, ENDED_SOCKET, FILE_BY_NAME, EPOLL };

struct note {
        enum kind kind;
        int fd;
        unsigned flags; /* O_* */
        uint64_t id;    /* the same for descriptors of one eventfd, pipe or socket */
        union {
                struct {
                        uint64_t count;
                        bool semaphore;
                } event;
                struct {
                        int clock;
                        int flags;
                        struct itimerspec left;
                } timer;
                struct {
                        const char *path;
                        int64_t position;
                } file;
                struct {
                        size_t first, count;
                } watches;
        };
};

static struct note notes[MOST_FILES];
static size_t noted;
static struct {
        int fd;
        struct epoll_event event;
} watches[MOST_WATCHES];
static size_t watched;
static char paths[MOST_PATHS];
static size_t paths_used;

/* ---- noting ---- */

static int too_many(char why[RT_POOL_WHY]) {
        (void)snprintf(why, RT_POOL_WHY, "too many event descriptors");
        return -1;
}

/* A small file of /proc, whole. */
static int read_text(const char *path, char *text, size_t room) {
        int fd = (int)rt_raw(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
        size_t used = 0;
        long n = fd;
        while (fd >= 0 && used + 1 < room && (n = rt_raw(SYS_read, fd, text + used, room - 1 - used)) > 0)
                used += (size_t)n;
        text[used] = 0;
        if (fd >= 0)
                (void)rt_raw(SYS_close, fd);
        return n < 0 ? -1 : 0;
}

static const char *value_of(const char *text, const char *key) {
        const char *at = strstr(text, key);
        return at ? at + strlen(key) : NULL;
}

static uint64_t field(const char *text, const char *key, int base) {
        const char *at = value_of(text, key);
        return at ? strtoull(at, NULL, base) : 0;
}

static struct timespec time_of(const char *text, const char *key) {
        struct timespec time = { 0 };
        const char *at = value_of(text, key);
        if (at)
                (void)sscanf(at, " (%ld, %ld)", &time.tv_sec, &time.tv_nsec);
        return time;
}

static int note_watches(struct note *note, const char *text, char why[RT_POOL_WHY]) {
        note->watches.first = watched;
        for (const char *at = text; (at = strstr(at, "tfd:")); at++) {
                int fd;
                unsigned events;
                unsigned long long data;
                if (sscanf(at, "tfd: %d events: %x data: %llx", &fd, &events, &data) != 3)
                        continue;
                if (watched == MOST_WATCHES)
                        return too_many(why);
                watches[watched].fd = fd;
                watches[watched].event.events = events;
                watches[watched].event.data.u64 = data;
                watched++;
        }
        note->watches.count = watched - note->watches.first;
        return 0;
}

/* A file that can be opened again. Devices have no position. */
static bool has_a_name(const char *what) {
        const char *end = strstr(what, " (deleted)");
        return strncmp(what, "/dev/", 5) != 0 && !(end && end[10] == 0);
}

/* A local stream whose other end was closed: nothing goes through it any more, but it has options, which guests would share. */
static bool has_ended(int fd) {
        int domain = 0, type = 0;
        socklen_t size = sizeof domain;
        struct pollfd end = { .fd = fd };
        return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX &&
               getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM && poll(&end, 1, 0) == 1 &&
               end.revents & POLLHUP && recv(fd, &type, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static const char *keep_path(const char *path) {
        size_t size = strlen(path) + 1;
        if (size > MOST_PATHS - paths_used)
                return NULL;
        char *kept = memcpy(paths + paths_used, path, size);
        paths_used += size;
        return kept;
}

static int note_one(int fd, const char *what, char why[RT_POOL_WHY]) {
        static char text[64 << 10];
        static const char *const names[] = { [EVENTFD] = "anon_inode:[eventfd]", [TIMERFD] = "anon_inode:[timerfd]",
                                             [PIPE] = "pipe:[", [ENDED_SOCKET] = "socket:[", [FILE_BY_NAME] = "/",
                                             [EPOLL] = "anon_inode:[eventpoll]" };
        struct note note = { .fd = fd };
        if (strcmp(what, "anon_inode:[io_uring]") == 0) {
                (void)snprintf(why, RT_POOL_WHY, "descriptor %d is an io_uring, which a fork cannot keep", fd);
                return -1;
        }
        while (strncmp(what, names[note.kind], strlen(names[note.kind])) != 0)
                if (note.kind++ == EPOLL)
                        return 0;
        if ((note.kind == FILE_BY_NAME && !has_a_name(what)) || (note.kind == ENDED_SOCKET && !has_ended(fd)))
                return 0;
        if (noted == MOST_FILES)
                return too_many(why);
        char path[64];
        (void)snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
        if (read_text(path, text, sizeof text) < 0) {
                (void)snprintf(why, RT_POOL_WHY, "cannot read %s", path);
                return -1;
        }
        note.flags = (unsigned)field(text, "flags:", 8);
        if (note.kind == EVENTFD) {
                note.id = field(text, "eventfd-id:", 10);
                note.event.count = field(text, "eventfd-count:", 16);
                note.event.semaphore = field(text, "eventfd-semaphore:", 10) != 0;
        } else if (note.kind == TIMERFD) {
                note.timer.clock = (int)field(text, "clockid:", 10);
                note.timer.flags = (int)field(text, "settime flags:", 8) & TFD_TIMER_CANCEL_ON_SET;
                note.timer.left.it_value = time_of(text, "it_value:");
                note.timer.left.it_interval = time_of(text, "it_interval:");
        } else if (note.kind == PIPE || note.kind == ENDED_SOCKET)
                note.id = strtoull(what + strlen(names[note.kind]), NULL, 10);
        else if (note.kind == FILE_BY_NAME) {
                note.file.position = (int64_t)field(text, "pos:", 10);
                if (!(note.file.path = keep_path(what)))
                        return too_many(why);
        } else if (note_watches(&note, text, why) < 0)
                return -1;
        notes[noted++] = note;
        return 0;
}

/* A pipe with one end elsewhere is how the process talks to others: it stays. */
static void leave_open_pipes(void) {
        size_t kept = 0;
        for (size_t i = 0; i < noted; i++) {
                bool wanted = notes[i].kind != PIPE;
                for (size_t k = 0; k < noted && !wanted; k++)
                        wanted = notes[k].kind == PIPE && notes[k].id == notes[i].id &&
                                 (notes[k].flags & O_ACCMODE) != (notes[i].flags & O_ACCMODE);
                if (wanted)
                        notes[kept++] = notes[i];
        }
        noted = kept;
}

struct entry {
        uint64_t inode, next;
        unsigned short size;
        unsigned char type;
        char name[];
};

int rt_pool_files_note(char why[RT_POOL_WHY]) {
        _Alignas(struct entry) char text[4096];
        int r = 0, list = (int)rt_raw(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        long n = list;
        noted = watched = paths_used = 0;
        while (list >= 0 && r == 0 && (n = rt_raw(SYS_getdents64, list, text, sizeof text)) > 0)
                for (long at = 0; at < n && r == 0;) {
                        const struct entry *entry = (const struct entry *)(const void *)(text + at);
                        static char what[1024];
                        int fd = entry->name[0] == '.' ? -1 : (int)strtol(entry->name, NULL, 10);
                        long size = fd < 0 ? -1 : rt_raw(SYS_readlinkat, list, entry->name, what, sizeof what - 1);
                        at += entry->size;
                        if (size < 0 || fd <= LAST_GIVEN || fd == list)
                                continue;
                        what[size] = 0;
                        r = note_one(fd, what, why);
                }
        if (list >= 0)
                (void)rt_raw(SYS_close, list);
        if (r == 0 && n < 0) {
                (void)snprintf(why, RT_POOL_WHY, "cannot list /proc/self/fd");
                return -1;
        }
        leave_open_pipes();
        return r;
}

/* ---- making anew ---- */

static int put(int made, const struct note *note) {
        long r = made < 0 ? made : rt_raw(SYS_dup3, made, note->fd, note->flags & O_CLOEXEC);
        if (made >= 0 && made != note->fd)
                (void)rt_raw(SYS_close, made);
        return r < 0 ? (int)r : 0;
}

/* The first descriptor of the same thing that was made before this one. */
static const struct note *earlier(const struct note *note) {
        for (const struct note *other = notes; other < note; other++)
                if (other->kind == note->kind && other->id == note->id && other->fd != note->fd)
                        return other;
        return NULL;
}

static int again(const struct note *note, const struct note *same) {
        return put((int)rt_raw(SYS_fcntl, same->fd, F_DUPFD_CLOEXEC, 0), note);
}

static int make_eventfd(const struct note *note) {
        const struct note *same = note->id ? earlier(note) : NULL;
        if (same)
                return again(note, same);
        int made = (int)rt_raw(SYS_eventfd2, 0, (note->flags & O_NONBLOCK) | (note->event.semaphore ? EFD_SEMAPHORE : 0));
        uint64_t count = note->event.count;
        if (made >= 0 && count)
                (void)rt_raw(SYS_write, made, &count, sizeof count);
        return put(made, note);
}

static int make_socket(const struct note *note) {
        const struct note *same = earlier(note);
        int ends[2], r = same ? 0 : (int)rt_raw(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, ends);
        if (same)
                return again(note, same);
        if (r < 0)
                return r;
        (void)rt_raw(SYS_close, ends[1]);
        return put(ends[0], note);
}

static int make_timerfd(const struct note *note) {
        int made = (int)rt_raw(SYS_timerfd_create, note->timer.clock, note->flags & O_NONBLOCK);
        if (made >= 0)
                (void)rt_raw(SYS_timerfd_settime, made, note->timer.flags, &note->timer.left, NULL);
        return put(made, note);
}

/* Opened anew, so that nobody moves anybody else's position. */
static int make_file(const struct note *note) {
        int made = (int)rt_raw(SYS_openat, AT_FDCWD, note->file.path, (note->flags & (O_ACCMODE | O_DIRECTORY)) | O_CLOEXEC, 0);
        if (made >= 0 && note->file.position > 0)
                (void)rt_raw(SYS_lseek, made, note->file.position, SEEK_SET);
        return put(made, note);
}

/* Both ends, at the first of them; what was in the old one goes along. */
static int make_pipe(const struct note *note) {
        for (const struct note *other = notes; other < note; other++)
                if (other->kind == PIPE && other->id == note->id)
                        return 0;
        int ends[2], r = (int)rt_raw(SYS_pipe2, ends, 0), reader = -1;
        if (r < 0)
                return r;
        for (const struct note *other = note; other < notes + noted; other++)
                if (other->kind == PIPE && other->id == note->id && (other->flags & O_ACCMODE) == O_RDONLY)
                        reader = other->fd;
        (void)rt_raw(SYS_tee, reader, ends[1], 1 << 20, 2 /* SPLICE_F_NONBLOCK */);
        for (const struct note *other = note; r == 0 && other < notes + noted; other++) {
                if (other->kind != PIPE || other->id != note->id)
                        continue;
                bool writes = (other->flags & O_ACCMODE) != O_RDONLY;
                r = put((int)rt_raw(SYS_fcntl, ends[writes], F_DUPFD_CLOEXEC, 0), other);
                if (r == 0)
                        (void)rt_raw(SYS_fcntl, other->fd, F_SETFL, other->flags & ~(unsigned)O_CLOEXEC);
        }
        (void)rt_raw(SYS_close, ends[0]);
        (void)rt_raw(SYS_close, ends[1]);
        return r;
}

static int make(const struct note *note) {
        switch (note->kind) {
        case EVENTFD:
                return make_eventfd(note);
        case TIMERFD:
                return make_timerfd(note);
        case PIPE:
                return make_pipe(note);
        case ENDED_SOCKET:
                return make_socket(note);
        case FILE_BY_NAME:
                return make_file(note);
        case EPOLL:
                break;
        }
        return put((int)rt_raw(SYS_epoll_create1, 0), note);
}

/* What cannot be watched (any more) is left out: the descriptor was closed, or is a plain file now. */
static int watch(const struct note *note) {
        for (size_t i = 0; i < note->watches.count; i++) {
                size_t at = note->watches.first + i;
                struct epoll_event event = watches[at].event;
                long r = rt_raw(SYS_epoll_ctl, note->fd, EPOLL_CTL_ADD, watches[at].fd, &event);
                if (r < 0 && r != -EBADF && r != -EPERM && r != -EEXIST)
                        return (int)r;
        }
        return 0;
}

bool rt_pool_files_noted(int fd) {
        for (size_t i = 0; i < noted; i++)
                if (notes[i].fd == fd)
                        return true;
        return false;
}

int rt_pool_files_renew(char why[RT_POOL_WHY]) {
        int r = 0;
        for (size_t i = 0; i < noted && r == 0; i++)
                r = make(&notes[i]);
        for (size_t i = 0; i < noted && r == 0; i++) /* when all that may be watched is there */
                if (notes[i].kind == EPOLL)
                        r = watch(&notes[i]);
        if (r < 0)
                (void)snprintf(why, RT_POOL_WHY, "cannot make event descriptors anew: %s", strerrordesc_np(-r));
        return r < 0 ? -1 : 0;
}
