/* SPDX-License-Identifier: Apache-2.0
 *
 * Three passes over a table in shared memory: plan the pieces, copy them, replace them. Between the first byte copied and
 * the last piece replaced nothing is written to private memory but this function's own part of the stack, which is no
 * piece. Only then are results and words written.
 */
#include "pool/freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pool/maps.h"
#include "pool/raw.h"
#include "pool/rseq.h"

enum { PAGE = 4096, RUNS = 64 };
#define HUGE_BLOCK ((uintptr_t)2 << 20)
#define SMALL_BLOCK ((uintptr_t)64 << 10)
#define LARGE_FILE ((uintptr_t)64 << 20)     /* a data file this big is not copied */
#define LARGE_RESERVE ((uintptr_t)256 << 30) /* nor is anything looked for in address space this big */

static struct {
        uint64_t inode, device; /* of the image; 0 until there is one */
        struct {
                uintptr_t start, end;
        } runs[RUNS]; /* what is frozen lies in these; not all that lies in these is frozen */
        size_t count;
} frozen;

struct piece {
        uintptr_t start, end;
        uint64_t offset; /* in the image */
        unsigned prot;
        bool file;
};

struct work {
        struct rt_pool_maps maps;
        struct piece *pieces; /* NULL while they are counted */
        size_t count;
        size_t table_bytes;
        int image, readonly, pagemap;
        enum rt_pool_freeze_mode mode;
        uintptr_t block;                  /* memory is taken in blocks of this size... */
        uintptr_t align;                  /* ...and lies in the image as it lies in memory, modulo this */
        uintptr_t stack_start, stack_end; /* where this runs: not touched */
        uint64_t total;
        struct rt_pool_frozen done;
        const char *failed; /* what could not be done */
};

static int fail(struct work *work, const char *what, long code) {
        work->failed = what;
        return (int)code;
}

/* ---- planning ---- */

static void add_piece(struct work *work, const struct rt_pool_map *map, uintptr_t start, uintptr_t end) {
        if (start >= end)
                return;
        if (start < work->stack_end && end > work->stack_start) {
                add_piece(work, map, start, work->stack_start);
                add_piece(work, map, work->stack_end > start ? work->stack_end : start, end);
                return;
        }
        if (work->pieces)
                work->pieces[work->count] = (struct piece){
                        .start = start,
                        .end = end,
                        .prot = work->mode == RT_POOL_FREEZE_FLAT ? PROT_READ | PROT_WRITE | PROT_EXEC : map->prot,
                        .file = map->inode != 0,
                };
        work->count++;
}

/* The pagemap entries from `at` on, at most as many as there is scratch for: their number, or a negative errno. */
static long read_pagemap(struct work *work, uintptr_t at, uintptr_t end) {
        size_t want = (end - at) / PAGE * sizeof(uint64_t);
        if (want > RT_POOL_MAPS_TEXT)
                want = RT_POOL_MAPS_TEXT;
        long n = rt_raw(SYS_pread64, work->pagemap, work->maps.text, want, at / PAGE * sizeof(uint64_t));
        if (n < 0)
                return fail(work, "cannot read /proc/self/pagemap", n);
        return n >= 8 ? n / 8 : fail(work, "cannot read /proc/self/pagemap", -EIO);
}

static bool is_there(const struct work *work, long page) {
        return (((const uint64_t *)(const void *)work->maps.text)[page] >> 62) != 0; /* present, or swapped out */
}

/* Anonymous memory: only the blocks in which something is. */
static int plan_anonymous(struct work *work, const struct rt_pool_map *map) {
        uintptr_t start = 0, end = 0;
        for (uintptr_t at = map->start; at < map->end;) {
                long pages = read_pagemap(work, at, map->end);
                if (pages < 0)
                        return (int)pages;
                for (long i = 0; i < pages; i++) {
                        uintptr_t page = at + (uintptr_t)i * PAGE;
                        if (!is_there(work, i) || page < end)
                                continue;
                        uintptr_t first = page & ~(work->block - 1);
                        if (first < map->start)
                                first = map->start;
                        if (first > end || end == 0) {
                                add_piece(work, map, start, end);
                                start = first;
                        }
                        end = (page & ~(work->block - 1)) + work->block;
                        if (end > map->end)
                                end = map->end;
                }
                at += (uintptr_t)pages * PAGE;
        }
        add_piece(work, map, start, end);
        return 0;
}

static bool is_wanted(const struct work *work, const struct rt_pool_map *map) {
        if (map->bits || map->prot == 0 || !(map->prot & PROT_READ))
                return false;
        if (map->inode == 0)
                return map->resident > 0 && map->end - map->start < LARGE_RESERVE;
        if (map->own > 0)
                return true;
        return work->mode == RT_POOL_FREEZE_FLAT && (map->end - map->start < LARGE_FILE || map->prot & PROT_EXEC);
}

static int plan_all(struct work *work) {
        work->count = 0;
        for (size_t i = 0; i < work->maps.count; i++) {
                const struct rt_pool_map *map = &work->maps.table[i];
                if (!is_wanted(work, map))
                        continue;
                int r = 0;
                if (map->inode == 0)
                        r = plan_anonymous(work, map);
                else
                        add_piece(work, map, map->start, map->end);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Neighbours in memory are neighbours in the image; between others there are no holes larger than need be. */
static void lay_out(struct work *work) {
        uint64_t at = 0;
        for (size_t i = 0; i < work->count; i++) {
                struct piece *piece = &work->pieces[i];
                at += (piece->start - at) & (work->align - 1);
                piece->offset = at;
                at += piece->end - piece->start;
        }
        work->total = (at + work->align - 1) & ~((uint64_t)work->align - 1);
}

static int plan(struct work *work) {
        int r = rt_pool_maps_read(&work->maps, false);
        if (r < 0)
                return fail(work, "cannot read /proc/self/smaps", r);
        work->pagemap = (int)rt_raw(SYS_openat, AT_FDCWD, "/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
        if (work->pagemap < 0)
                return fail(work, "cannot open /proc/self/pagemap", work->pagemap);
        r = plan_all(work);
        if (r < 0)
                return r;
        work->table_bytes = (work->count + 1) * sizeof *work->pieces;
        long table = rt_raw(SYS_mmap, 0, work->table_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (table < 0 && table > -PAGE)
                return fail(work, "no memory for the table of pieces", table);
        work->pieces = (struct piece *)table;
        r = plan_all(work);
        if (r == 0)
                lay_out(work);
        return r;
}

/* ---- copying ---- */

static int copy(struct work *work, const struct piece *piece, uintptr_t start, uintptr_t end) {
        while (start < end) {
                long n = rt_raw(SYS_pwrite64, work->image, start, end - start, piece->offset + (start - piece->start));
                if (n == -EINTR)
                        continue;
                if (n == -EFAULT && piece->file) { /* beyond the file's end: there is nothing */
                        start = (start & ~((uintptr_t)PAGE - 1)) + PAGE;
                        continue;
                }
                if (n <= 0)
                        return fail(work, "cannot write the image", n < 0 ? n : -EIO);
                start += (uintptr_t)n;
                work->done.data_bytes += (uint64_t)n;
        }
        return 0;
}

static int copy_anonymous(struct work *work, const struct piece *piece) {
        for (uintptr_t at = piece->start; at < piece->end;) {
                long pages = read_pagemap(work, at, piece->end);
                if (pages < 0)
                        return (int)pages;
                for (long i = 0, next; i < pages; i = next) {
                        next = i + 1;
                        if (!is_there(work, i))
                                continue;
                        while (next < pages && is_there(work, next))
                                next++;
                        int r = copy(work, piece, at + (uintptr_t)i * PAGE, at + (uintptr_t)next * PAGE);
                        if (r < 0)
                                return r;
                }
                at += (uintptr_t)pages * PAGE;
        }
        return 0;
}

/* The image is as large as it will ever be, and has no holes that a reader would fill later. */
static int reserve(struct work *work) {
        long r = rt_raw(SYS_ftruncate, work->image, work->total);
        if (r == 0 && work->total)
                do
                        r = rt_raw(SYS_fallocate, work->image, 0, 0, work->total);
                while (r == -EINTR);
        return r < 0 ? fail(work, "no room for the image", r) : 0;
}

static int copy_all(struct work *work) {
        int r = reserve(work);
        for (size_t i = 0; r == 0 && i < work->count; i++) {
                const struct piece *piece = &work->pieces[i];
                r = piece->file ? copy(work, piece, piece->start, piece->end) : copy_anonymous(work, piece);
        }
        return r;
}

/* ---- replacing ---- */

/* A descriptor that can only be read from; the writable one is gone when anybody else gets to see the mappings. */
static int open_readonly(struct work *work) {
        char path[] = "/proc/self/fd/0000000000";
        char *digit = path + sizeof path - 1;
        for (int fd = work->image, i = 0; i < 10; i++, fd /= 10)
                *--digit = (char)('0' + fd % 10);
        char *end = path + sizeof path - 1; /* no leading zeros */
        while (*digit == '0' && digit + 1 < end)
                digit++;
        char *to = path + sizeof "/proc/self/fd/" - 1;
        while (digit <= end)
                *to++ = *digit++;
        work->readonly = (int)rt_raw(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
        if (work->readonly < 0)
                return fail(work, "cannot open the image again", work->readonly);
        (void)rt_raw(SYS_fcntl, work->image, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
        (void)rt_raw(SYS_close, work->image);
        work->image = -1;
        return 0;
}

static long map_piece(const struct work *work, const struct piece *piece) {
        return rt_raw(SYS_mmap, piece->start, piece->end - piece->start, piece->prot,
                      MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, work->readonly, piece->offset);
}

/* Whatever the kernel has against such mappings (noexec, a security module) it says to this one. */
static int try_mapping(struct work *work) {
        unsigned prot = 0;
        for (size_t i = 0; i < work->count; i++)
                prot |= work->pieces[i].prot;
        long at = rt_raw(SYS_mmap, 0, PAGE, prot, MAP_PRIVATE | MAP_NORESERVE, work->readonly, 0);
        if (at < 0 && at > -PAGE)
                return fail(work, "the image cannot be mapped", at);
        (void)rt_raw(SYS_munmap, at, PAGE);
        return 0;
}

static void replace_all(struct work *work) {
        for (size_t i = 0; i < work->count; i++) {
                const struct piece *piece = &work->pieces[i];
                if (map_piece(work, piece) != (long)piece->start) {
                        (void)rt_raw(SYS_rt_sigprocmask, SIG_UNBLOCK, &(uint64_t){ 1u << (SIGABRT - 1) }, 0, 8);
                        (void)rt_raw(SYS_tgkill, rt_raw(SYS_getpid), rt_raw(SYS_gettid), SIGABRT);
                        (void)rt_raw(SYS_exit_group, 134);
                }
                work->done.pieces++;
                work->done.mapped_bytes += piece->end - piece->start;
        }
}

/* ---- the whole ---- */

/* What the kernel's own settings have against it. */
static int check_host(struct work *work) {
        struct rlimit limit;
        if (rt_raw(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, &limit) == 0 && limit.rlim_cur < work->total)
                return fail(work, "the limit of a file's size is too low", -EFBIG);
        char strict = 0;
        int fd = (int)rt_raw(SYS_openat, AT_FDCWD, "/proc/sys/vm/overcommit_memory", O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
                (void)rt_raw(SYS_read, fd, &strict, 1);
                (void)rt_raw(SYS_close, fd);
        }
        return strict == '2' ? fail(work, "vm.overcommit_memory is 2", -ENOMEM) : 0;
}

static int prepare(struct work *work, struct stat *image) {
        if (sysconf(_SC_PAGESIZE) != PAGE)
                return fail(work, "pages are not of 4 KiB here", -ENOSYS);
        if (fstat(work->image, image) < 0)
                return fail(work, "no image", -errno);
        bool huge = image->st_blksize >= (blksize_t)HUGE_BLOCK;
        work->block = huge ? HUGE_BLOCK : SMALL_BLOCK;
        work->align = huge ? HUGE_BLOCK : PAGE;
        return 0;
}

static void remember(const struct work *work, const struct stat *image) {
        frozen.inode = image->st_ino;
        frozen.device = image->st_dev;
        for (size_t i = 0; i < work->count; i++) {
                const struct piece *piece = &work->pieces[i];
                bool near = frozen.count && piece->start - frozen.runs[frozen.count - 1].end < HUGE_BLOCK;
                if (!near && frozen.count < RUNS)
                        frozen.runs[frozen.count++].start = piece->start;
                frozen.runs[frozen.count - 1].end = piece->end;
        }
}

static void give_back(struct work *work) {
        if (work->pieces)
                (void)rt_raw(SYS_munmap, work->pieces, work->table_bytes);
        rt_pool_maps_free(&work->maps);
        int fds[] = { work->image, work->readonly, work->pagemap };
        for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
                if (fds[i] >= 0)
                        (void)rt_raw(SYS_close, fds[i]);
}

__attribute__((noinline)) int rt_pool_freeze(int image_fd, enum rt_pool_freeze_mode mode,
                                             struct rt_pool_frozen *ret, char why[RT_POOL_WHY]) {
        /* All that is called from here lies below; 256 KiB of it are enough for far more. */
        uintptr_t here = (uintptr_t)__builtin_frame_address(0) & ~((uintptr_t)PAGE - 1);
        struct work work = {
                .image = image_fd, .readonly = -1, .pagemap = -1, .mode = mode,
                .stack_start = here - 64 * PAGE, .stack_end = here + 2 * PAGE,
        };
        uint64_t all = ~(uint64_t)0, mask = 0;
        struct stat image;
        int r = prepare(&work, &image);
        (void)rt_raw(SYS_rt_sigprocmask, SIG_SETMASK, &all, &mask, 8);
        if (r == 0)
                r = plan(&work);
        if (r == 0)
                r = check_host(&work);
        if (r == 0)
                r = copy_all(&work);
        if (r == 0)
                r = open_readonly(&work);
        if (r == 0)
                r = try_mapping(&work);
        if (r == 0) {
                replace_all(&work);
                rt_pool_rseq_renew(); /* what the kernel wrote since the copy is lost */
                remember(&work, &image);
        }
        give_back(&work);
        (void)rt_raw(SYS_rt_sigprocmask, SIG_SETMASK, &mask, 0, 8);
        if (r < 0) {
                (void)snprintf(why, RT_POOL_WHY, "%s: %s", work.failed, strerrordesc_np(-r));
                return -1;
        }
        *ret = work.done;
        return 0;
}

/* ---- afterwards ---- */

static bool may_be_frozen(uintptr_t start, uintptr_t end) {
        for (size_t i = 0; i < frozen.count; i++)
                if (start < frozen.runs[i].end && end > frozen.runs[i].start)
                        return true;
        return false;
}

static int advise(uintptr_t start, uintptr_t end, int advice) {
        long r = rt_raw(SYS_madvise, start, end - start, advice);
        if (r < 0)
                errno = (int)-r;
        return r < 0 ? -1 : 0;
}

/* Drops what this process wrote there, and puts empty memory where the image would show through. */
static int forget(uintptr_t start, uintptr_t end) {
        struct rt_pool_maps maps;
        if (rt_pool_maps_read(&maps, true) < 0)
                return advise(start, end, MADV_DONTNEED); /* no /proc: as good as can be */
        int r = 0;
        uintptr_t seen = start;
        for (size_t i = 0; i < maps.count && r == 0; i++) {
                const struct rt_pool_map *map = &maps.table[i];
                uintptr_t from = map->start > start ? map->start : start;
                uintptr_t to = map->end < end ? map->end : end;
                if (from >= to)
                        continue;
                if (from == seen)
                        seen = to;
                if (map->inode != frozen.inode || map->device != frozen.device)
                        r = advise(from, to, MADV_DONTNEED);
                else if (mmap((void *)from, to - from, (int)map->prot,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED)
                        r = -1;
        }
        rt_pool_maps_free(&maps);
        if (r < 0 || seen == end)
                return r;
        errno = ENOMEM; /* not all of it was mapped */
        return -1;
}

int rt_pool_advise(void *start, size_t size, int advice, bool keep_all) {
        uintptr_t from = (uintptr_t)start, to = (from + size + PAGE - 1) & ~((uintptr_t)PAGE - 1);
        if (advice == MADV_DONTFORK && keep_all)
                return 0;
        if (advice == MADV_DONTNEED && from % PAGE == 0 && to > from && may_be_frozen(from, to))
                return forget(from, to);
        return advise(from, from + size, advice);
}
