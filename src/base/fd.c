/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/util.h"

int rt_close(int fd) {
        if (fd >= 0) {
                int kept = errno;
                (void)close(fd);
                errno = kept;
        }
        return -1;
}

int rt_write_all(int fd, const void *data, size_t size) {
        const char *p = data;
        while (size > 0) {
                ssize_t n = write(fd, p, size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -1;
                p += n;
                size -= (size_t)n;
        }
        return 0;
}

int rt_read_all(int fd, size_t cap, char **ret_text, size_t *ret_size, struct retort_error *err) {
        rt_auto_free char *text = NULL;
        size_t used = 0;
        size_t room = 0;
        for (;;) {
                if (used + 1 >= room) {
                        room = room ? room * 2 : 4096;
                        char *grown = realloc(text, room);
                        if (!grown)
                                return rt_fail_nomem(err);
                        text = grown;
                }
                ssize_t n = read(fd, text + used, room - used - 1);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return rt_fail_errno(err, "cannot read");
                if (n == 0)
                        break;
                used += (size_t)n;
                if (used > cap)
                        return rt_fail(err, RETORT_E_INPUT, "larger than %zu bytes", cap);
        }
        text[used] = 0;
        *ret_text = rt_take(text);
        if (ret_size)
                *ret_size = used;
        return 0;
}

int rt_read_file_at(int dir, const char *path, size_t cap, char **ret_text, size_t *ret_size,
                    struct retort_error *err) {
        rt_auto_close int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return rt_fail_errno(err, "cannot open %s", path);
        int r = rt_read_all(fd, cap, ret_text, ret_size, err);
        return r < 0 ? rt_wrap(err, r, "%s", path) : 0;
}

int rt_write_file_at(int dir, const char *path, const char *text) {
        rt_auto_close int fd = openat(dir, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return -1;
        size_t size = strlen(text);
        ssize_t n = write(fd, text, size);
        if (n >= 0 && (size_t)n != size)
                errno = EIO;
        return n == (ssize_t)size ? 0 : -1;
}

int rt_make_folders(const char *file, struct retort_error *err) {
        rt_auto_free char *path = strdup(file);
        if (!path)
                return rt_fail_nomem(err);
        for (char *slash = strchr(path + 1, '/'); *path && slash; slash = strchr(slash + 1, '/')) {
                *slash = 0;
                if (mkdir(path, 0700) < 0 && errno != EEXIST)
                        return rt_fail_errno(err, "cannot make the folder %s", path);
                *slash = '/';
        }
        return 0;
}

int rt_sealed_memfd(const char *name, const void *data, size_t size) {
        rt_auto_close int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0 || rt_write_all(fd, data, size) < 0)
                return -1;
        if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
                return -1;
        return rt_take_fd(&fd);
}

int rt_count_fds(void) {
        DIR *dir = opendir("/proc/self/fd");
        if (!dir)
                return -1;
        int n = 0;
        for (struct dirent *e; (e = readdir(dir));)
                n += e->d_name[0] != '.';
        (void)closedir(dir);
        return n - 1; /* without the one that was open for counting */
}
