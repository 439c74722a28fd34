/* SPDX-License-Identifier: Apache-2.0 */
#include "pool/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "pool/raw.h"

/* Two letters each, as in VmFlags. What is not ours to move: I/O and device memory, huge pages of hugetlbfs, stacks that
 * grow, locked, wiped on fork, sealed, guarded, shadow stacks, and what userfaultfd watches. */
static const char others[][3] = { "io", "pf", "mm", "ht", "gd", "lo", "wf", "sl", "gu", "ss", "um", "uw", "ui" };

/* ---- text, without the C library's state ---- */

static bool starts(const char *text, const char *with) {
        while (*with)
                if (*text++ != *with++)
                        return false;
        return true;
}

static uint64_t number(const char **at, unsigned base) {
        uint64_t n = 0;
        for (;; (*at)++) {
                unsigned digit = (unsigned char)**at;
                if (digit >= '0' && digit <= '9')
                        digit -= '0';
                else if (base == 16 && digit >= 'a' && digit <= 'f')
                        digit -= 'a' - 10;
                else
                        return n;
                n = n * base + digit;
        }
}

static void skip(const char **at, char until) {
        while (**at && **at != until)
                (*at)++;
        while (**at == until)
                (*at)++;
}

/* ---- the table ---- */

/* start-end rwxp offset device inode   name */
static int add(struct rt_pool_maps *maps, const char *line) {
        if (maps->count == maps->room)
                return -ENOSPC;
        struct rt_pool_map *map = &maps->table[maps->count];
        *map = (struct rt_pool_map){ .start = number(&line, 16) };
        line++;
        map->end = number(&line, 16);
        line++;
        map->prot = (line[0] == 'r' ? PROT_READ : 0) | (line[1] == 'w' ? PROT_WRITE : 0) |
                    (line[2] == 'x' ? PROT_EXEC : 0);
        map->bits = line[3] == 's' ? RT_MAP_SHARED : 0;
        skip(&line, ' ');
        map->offset = number(&line, 16);
        skip(&line, ' ');
        unsigned major = (unsigned)number(&line, 16);
        line++;
        map->device = makedev(major, (unsigned)number(&line, 16));
        skip(&line, ' ');
        map->inode = number(&line, 10);
        skip(&line, ' ');
        if (starts(line, "[v") || starts(line, "[uprobes]") || starts(line, "[stack"))
                map->bits |= RT_MAP_OTHER;
        maps->count++;
        return 0;
}

static uint64_t kilobytes(const char *line) {
        skip(&line, ':');
        while (*line == ' ')
                line++;
        return number(&line, 10) * 1024;
}

static int take_line(struct rt_pool_maps *maps, const char *line) {
        if ((*line >= '0' && *line <= '9') || (*line >= 'a' && *line <= 'f'))
                return add(maps, line);
        if (maps->count == 0)
                return -EPROTO;
        struct rt_pool_map *map = &maps->table[maps->count - 1];
        if (starts(line, "Rss:"))
                map->resident += kilobytes(line);
        else if (starts(line, "Anonymous:"))
                map->own += kilobytes(line);
        else if (starts(line, "Swap:")) {
                map->resident += kilobytes(line);
                map->own += kilobytes(line);
        } else if (starts(line, "VmFlags:"))
                for (skip(&line, ' '); *line; skip(&line, ' '))
                        for (size_t i = 0; i < sizeof others / sizeof *others; i++)
                                if (starts(line, others[i]))
                                        map->bits |= RT_MAP_OTHER;
        return 0;
}

/* Calls take_line for each line of a file; with no table it counts them instead. */
static int for_lines(struct rt_pool_maps *maps, const char *path) {
        int fd = (int)rt_raw(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return fd;
        size_t used = 0;
        int r = 0;
        for (;;) {
                long n = rt_raw(SYS_read, fd, maps->text + used, RT_POOL_MAPS_TEXT - used);
                if (n == -EINTR)
                        continue;
                if (n <= 0) {
                        r = (int)n;
                        break;
                }
                used += (size_t)n;
                size_t line = 0;
                for (size_t i = 0; i < used && r == 0; i++) {
                        if (maps->text[i] != '\n')
                                continue;
                        maps->text[i] = 0;
                        if (maps->table)
                                r = take_line(maps, maps->text + line);
                        else
                                maps->room++;
                        line = i + 1;
                }
                if (r == 0 && line == 0 && used == RT_POOL_MAPS_TEXT)
                        r = -EPROTO; /* no line is that long */
                if (r < 0)
                        break;
                for (size_t i = line; i < used; i++)
                        maps->text[i - line] = maps->text[i];
                used -= line;
        }
        (void)rt_raw(SYS_close, fd);
        return r;
}

static void *shared(size_t size) {
        long at = rt_raw(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        return at < 0 && at > -4096 ? NULL : (void *)at;
}

int rt_pool_maps_read(struct rt_pool_maps *maps, bool brief) {
        *maps = (struct rt_pool_maps){ .text = shared(RT_POOL_MAPS_TEXT) };
        if (!maps->text)
                return -ENOMEM;
        int r = for_lines(maps, "/proc/self/maps");
        if (r < 0)
                goto failed;
        maps->room += 8; /* the table itself is one more */
        maps->table = shared(maps->room * sizeof *maps->table);
        r = maps->table ? for_lines(maps, brief ? "/proc/self/maps" : "/proc/self/smaps") : -ENOMEM;
        if (r == 0)
                return 0;
failed:
        rt_pool_maps_free(maps);
        return r;
}

void rt_pool_maps_free(struct rt_pool_maps *maps) {
        if (maps->table)
                (void)rt_raw(SYS_munmap, maps->table, maps->room * sizeof *maps->table);
        if (maps->text)
                (void)rt_raw(SYS_munmap, maps->text, RT_POOL_MAPS_TEXT);
        *maps = (struct rt_pool_maps){ 0 };
}
