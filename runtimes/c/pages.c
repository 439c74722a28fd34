/* SPDX-License-Identifier: Apache-2.0
 *
 * Most of what a fork of cc1 costs is that the kernel copies, page by page, what it writes to, and gives it new memory page
 * by page. Which pages that will be is much the same for any program. A rehearsal tells (/proc/self/pagemap); forks have them
 * made theirs in a few calls, before there is a request.
 */
#include "frozen.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

enum { PAGE = 4096, MOST_RANGES = 512, MOST_MAPPED = 8, HEAP_ROOM = 2 << 20, NEAR = 4 * PAGE, MAPS_ROOM = 128 << 10 };

static struct {
        struct range {
                uintptr_t start, end;
        } range[MOST_RANGES];
        size_t n;
        struct {
                size_t size, used; /* what was mapped in a row, and how much of it came to be used */
                char *at;
        } mapped[MOST_MAPPED];
        size_t n_mapped;
} touched;

static enum { NOTING, DONE, GIVING } mapping = DONE;
static size_t given;

void frozen_room(void) {
        (void)mallopt(M_TRIM_THRESHOLD, HEAP_ROOM * 4);
        void *volatile room = malloc(HEAP_ROOM); /* volatile: a compiler knows that this leads to nothing */
        free(room);
        mapping = NOTING;
}

static void add_page(uintptr_t page) {
        for (size_t i = 0; i < touched.n_mapped; i++) {
                uintptr_t at = (uintptr_t)touched.mapped[i].at;
                if (page >= at && page < at + touched.mapped[i].size) {
                        touched.mapped[i].used = page + PAGE - at;
                        return;
                }
        }
        struct range *last = touched.n ? &touched.range[touched.n - 1] : NULL;
        if (last && page <= last->end + NEAR)
                last->end = page + PAGE;
        else if (touched.n < MOST_RANGES)
                touched.range[touched.n++] = (struct range){ page, page + PAGE };
}

/* Pages of a private mapping that this process has to itself. */
static void look(int pagemap, uintptr_t start, uintptr_t end) {
        static uint64_t entries[2048];
        const uint64_t present = 1ull << 63, of_file = 1ull << 61, alone = 1ull << 56;
        while (start < end) {
                size_t n = (end - start) / PAGE < 2048 ? (end - start) / PAGE : 2048;
                if (pread(pagemap, entries, n * sizeof *entries, (off_t)(start / PAGE * sizeof *entries)) != (ssize_t)(n * sizeof *entries))
                        return;
                for (size_t i = 0; i < n; i++)
                        if ((entries[i] & (present | of_file | alone)) == (present | alone))
                                add_page(start + i * PAGE);
                start += n * PAGE;
        }
}

struct area {
        unsigned long start, end, inode;
        const char *line;
};

/* The next private mapping that may be written to, of /proc/self/maps, which is read with the first. */
static bool next_area(const char **cursor, struct area *ret) {
        static char maps[MAPS_ROOM];
        size_t size = 0;
        ssize_t n;
        int file = *cursor ? -1 : (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC);
        while (file >= 0 && (n = read(file, maps + size, sizeof maps - 1 - size)) > 0)
                size += (size_t)n;
        if (!*cursor) {
                maps[size] = 0;
                (void)close(file);
                *cursor = maps;
        }
        while (**cursor) {
                char how[5];
                ret->line = *cursor;
                *cursor += strcspn(*cursor, "\n");
                *cursor += **cursor == '\n';
                if (sscanf(ret->line, "%lx-%lx %4s %*s %*s %lu", &ret->start, &ret->end, how, &ret->inode) == 4 && how[0] == 'r' &&
                    how[1] == 'w' && how[3] == 'p')
                        return true;
        }
        return false;
}

size_t frozen_find(const char *text, char **places, size_t room) {
        size_t size = strlen(text) + 1, n = 0;
        const char *cursor = NULL;
        for (struct area area; next_area(&cursor, &area);) {
                const char *name = memchr(area.line, '[', strcspn(area.line, "\n"));
                if (area.inode || (name && strncmp(name, "[heap]", 6) != 0)) /* a file's, the stack */
                        continue;
                for (char *at = (char *)area.start; (at = memmem(at, area.end - (size_t)at, text, size)); at += size)
                        if (n++ < room)
                                places[n - 1] = at;
        }
        return n;
}

void frozen_tell_touched(int fd) {
        mapping = DONE;
        int pagemap = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
        const char *cursor = NULL;
        for (struct area area; pagemap >= 0 && next_area(&cursor, &area);)
                look(pagemap, area.start, area.end);
        (void)close(pagemap);
        (void)!write(fd, &touched, sizeof touched);
        (void)close(fd);
}

void frozen_hear_touched(int fd) {
        size_t size = 0;
        ssize_t n;
        while (size < sizeof touched && (n = read(fd, (char *)&touched + size, sizeof touched - size)) != 0)
                if (n > 0)
                        size += (size_t)n;
                else if (errno != EINTR)
                        break;
        if (size < sizeof touched)
                memset(&touched, 0, sizeof touched);
        mapping = DONE;
}

static void touch(uintptr_t start, uintptr_t end) {
        if (madvise((void *)start, end - start, MADV_POPULATE_WRITE) == 0 || errno != EINVAL)
                return;
        for (volatile char *at = (char *)start; at < (char *)end; at += PAGE) /* before Linux 5.14 */
                *at = *at;
}

void frozen_touch(void) {
        for (size_t i = 0; i < touched.n; i++)
                touch(touched.range[i].start, touched.range[i].end);
        for (size_t i = 0; i < touched.n_mapped; i++) {
                long at = syscall(SYS_mmap, NULL, touched.mapped[i].size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                touched.mapped[i].at = at < 0 && at > -PAGE ? MAP_FAILED : (char *)at;
                if (touched.mapped[i].at == MAP_FAILED)
                        return;
                if (touched.mapped[i].used)
                        touch((uintptr_t)at, (uintptr_t)at + touched.mapped[i].used);
        }
        given = 0;
        mapping = GIVING;
}

void *frozen_mmap(void *start, size_t size, int protection, int flags, int fd, off_t offset) {
        bool plain = !start && flags == (MAP_PRIVATE | MAP_ANONYMOUS) && protection == (PROT_READ | PROT_WRITE);
        if (plain && mapping == GIVING && given < touched.n_mapped && touched.mapped[given].size == size)
                return touched.mapped[given++].at;
        void *at = (void *)syscall(SYS_mmap, start, size, protection, flags, fd, offset);
        if (plain && mapping == NOTING && touched.n_mapped < MOST_MAPPED && at != MAP_FAILED) {
                touched.mapped[touched.n_mapped].size = size;
                touched.mapped[touched.n_mapped++].at = at;
        }
        return at;
}
