/* SPDX-License-Identifier: Apache-2.0
 *
 * open(2), fopen(3), read(2) and madvise(2), in front of the C library's. In a file of its own, because here each has its own name:
 * with large files asked for, the headers would make one of two.
 */
#undef _FILE_OFFSET_BITS
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pool/ahead.h"
#include "pool/forkserver.h"
#include "pool/freeze.h"

#define EXPORT __attribute__((visibility("default")))

static mode_t mode_of(int flags, va_list list) {
        return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(list, mode_t) : 0;
}

static int open_at(int dir, const char *path, int flags, mode_t mode) {
        int fd;
        return rt_forkserver_takes(path, &fd) ? fd : (int)syscall(SYS_openat, dir, path, flags, mode);
}

#define OPENS(name, more)                                                                                              \
        EXPORT int name(const char *path, int flags, ...) {                                                            \
                va_list list;                                                                                          \
                va_start(list, flags);                                                                                 \
                mode_t mode = mode_of(flags, list);                                                                    \
                va_end(list);                                                                                          \
                return open_at(AT_FDCWD, path, flags | (more), mode);                                                  \
        }
OPENS(open, 0)
OPENS(open64, O_LARGEFILE)

#define OPENS_AT(name, more)                                                                                           \
        EXPORT int name(int dir, const char *path, int flags, ...) {                                                   \
                va_list list;                                                                                          \
                va_start(list, flags);                                                                                 \
                mode_t mode = mode_of(flags, list);                                                                    \
                va_end(list);                                                                                          \
                return open_at(dir, path, flags | (more), mode);                                                       \
        }
OPENS_AT(openat, 0)
OPENS_AT(openat64, O_LARGEFILE)

extern FILE *_IO_fopen(const char *path, const char *mode); /* fopen's other name in glibc */

EXPORT FILE *fopen(const char *path, const char *mode) {
        int fd;
        if (!rt_forkserver_takes(path, &fd))
                return _IO_fopen(path, mode);
        return fd < 0 ? NULL : fdopen(fd, mode);
}

EXPORT FILE *fopen64(const char *path, const char *mode) {
        return fopen(path, mode);
}

extern ssize_t __read(int fd, void *buffer, size_t size); /* read's other name in glibc */

EXPORT ssize_t read(int fd, void *buffer, size_t size) {
        ssize_t n = __read(fd, buffer, size);
        rt_ahead_has_read(fd, buffer, n);
        return n;
}

EXPORT int madvise(void *start, size_t size, int advice) {
        return rt_pool_advise(start, size, advice, rt_forkserver_is_whole());
}
