/* SPDX-License-Identifier: Apache-2.0
 *
 * open(2) and its like, in front of the C library's. In a file of its own, because here each has its own name: with large
 * files asked for, <fcntl.h> would make one of two.
 */
#undef _FILE_OFFSET_BITS
#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pool/forkserver.h"

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
