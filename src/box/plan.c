/* SPDX-License-Identifier: Apache-2.0 */
#include "box/plan.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"

enum { PLAN_MAGIC = 0x52745031 }; /* "RtP1" */

struct plan_header {
        uint32_t magic;
        uint32_t argc;
        uint32_t envc;
        uint32_t n_files;
};

struct file_header {
        uint64_t size;
        uint32_t path_size; /* with its NUL */
        uint32_t executable; /* 0 or 1 */
};

bool rt_plan_path_ok(const char *path) {
        size_t size = strnlen(path, RETORT_MAX_PATH + 1);
        if (size == 0 || size > RETORT_MAX_PATH)
                return false;
        for (const char *part = path;; part++) {
                size_t n = strcspn(part, "/");
                if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
                        return false;
                part += n;
                if (*part == 0)
                        return true;
        }
}

static uint32_t add_strings(struct rt_buf *buf, const char *const *list, bool *full) {
        uint32_t n = 0;
        for (; list && list[n]; n++)
                *full |= rt_buf_add(buf, list[n], strlen(list[n]) + 1) != RT_BUF_OK;
        return n;
}

static bool add_file(struct rt_buf *buf, const struct retort_file *f, bool executable) {
        struct file_header fh = { .size = f->content.size, .path_size = (uint32_t)strlen(f->path) + 1,
                                  .executable = executable };
        return rt_buf_add(buf, &fh, sizeof fh) == RT_BUF_OK && rt_buf_add(buf, f->path, fh.path_size) == RT_BUF_OK &&
               rt_buf_add(buf, f->content.data, f->content.size) == RT_BUF_OK;
}

int rt_plan_write_made(const char *const *argv, const char *const *env, const struct retort_file *files, size_t n_files,
                       const struct rt_made_file *made, size_t n_made, struct retort_error *err) {
        rt_auto_buf struct rt_buf buf = RT_BUF(RT_PLAN_MAX_BYTES);
        struct plan_header head = { .magic = PLAN_MAGIC, .n_files = (uint32_t)(n_files + n_made) };
        bool full = rt_buf_add(&buf, &head, sizeof head) != RT_BUF_OK;
        head.argc = add_strings(&buf, argv, &full);
        head.envc = add_strings(&buf, env, &full);
        for (size_t i = 0; i < n_files && !full; i++)
                full = !add_file(&buf, &files[i], false);
        for (size_t i = 0; i < n_made && !full; i++)
                full = !add_file(&buf, &made[i].file, made[i].executable);
        if (full)
                return rt_fail(err, RETORT_E_INPUT, "program, arguments and files are more than %d MiB",
                               RT_PLAN_MAX_BYTES >> 20);
        memcpy(buf.data, &head, sizeof head);
        int fd = rt_sealed_memfd("retort-plan", buf.data, buf.size);
        return fd < 0 ? rt_fail_errno(err, "cannot write the plan") : fd;
}

int rt_plan_write(const char *const *argv, const char *const *env, const struct retort_file *files,
                  size_t n_files, struct retort_error *err) {
        return rt_plan_write_made(argv, env, files, n_files, NULL, 0, err);
}

/* Moves past n NUL-terminated strings; false when they do not fit. */
static bool skip_strings(const char *bytes, size_t size, size_t *at, uint32_t n) {
        for (; n > 0; n--) {
                const char *end = *at < size ? memchr(bytes + *at, 0, size - *at) : NULL;
                if (!end)
                        return false;
                *at = (size_t)(end - bytes) + 1;
        }
        return true;
}

static bool read_file(const char *bytes, size_t size, size_t *at, struct rt_made_file *ret_made) {
        struct retort_file *ret = &ret_made->file;
        struct file_header fh;
        if (size - *at < sizeof fh)
                return false;
        memcpy(&fh, bytes + *at, sizeof fh);
        *at += sizeof fh;
        if (fh.executable > 1 || fh.path_size == 0 || fh.path_size > size - *at || fh.size > size - *at - fh.path_size)
                return false;
        ret->path = bytes + *at;
        ret->content = (struct retort_bytes){ bytes + *at + fh.path_size, fh.size };
        *at += fh.path_size + fh.size;
        ret_made->executable = fh.executable;
        return ret->path[fh.path_size - 1] == 0 && strlen(ret->path) + 1 == fh.path_size;
}

int rt_plan_read(const char *bytes, size_t size, struct rt_plan *ret_plan, struct retort_error *err) {
        struct plan_header head;
        if (size < sizeof head || size > RT_PLAN_MAX_BYTES)
                return rt_fail(err, RETORT_E_INPUT, "a plan of %zu bytes", size);
        memcpy(&head, bytes, sizeof head);
        if (head.magic != PLAN_MAGIC || head.argc == 0 || head.argc > RT_PLAN_MAX_STRINGS ||
            head.envc > RT_PLAN_MAX_STRINGS || head.n_files > RT_PLAN_MAX_FILES)
                return rt_fail(err, RETORT_E_INPUT, "a plan with a wrong header");
        struct rt_plan plan = { .map = bytes, .size = size, .argc = head.argc, .envc = head.envc,
                                .n_files = head.n_files, .strings_at = sizeof head };
        size_t at = sizeof head;
        if (!skip_strings(bytes, size, &at, head.argc + head.envc))
                return rt_fail(err, RETORT_E_INPUT, "a plan whose strings do not end");
        plan.files_at = at;
        for (uint32_t i = 0; i < head.n_files; i++) {
                struct rt_made_file f;
                if (!read_file(bytes, size, &at, &f) || !rt_plan_path_ok(f.file.path))
                        return rt_fail(err, RETORT_E_INPUT, "a plan with a wrong file");
        }
        if (at != size)
                return rt_fail(err, RETORT_E_INPUT, "a plan with something behind it");
        *ret_plan = plan;
        return 0;
}

int rt_plan_map(int fd, struct rt_plan *ret_plan, struct retort_error *err) {
        const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
        struct stat st;
        int have = fcntl(fd, F_GET_SEALS);
        if (have < 0 || (have & seals) != seals || fstat(fd, &st) < 0 || st.st_size <= 0)
                return rt_fail(err, RETORT_E_INPUT, "a plan that is not a sealed memfd");
        size_t size = (size_t)st.st_size;
        void *map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED)
                return rt_fail_errno(err, "cannot map the plan");
        int r = rt_plan_read(map, size, ret_plan, err);
        if (r < 0)
                (void)munmap(map, size);
        return r;
}

void rt_plan_unmap(struct rt_plan *plan) {
        if (plan->map)
                (void)munmap((void *)(uintptr_t)plan->map, plan->size);
        *plan = (struct rt_plan){ 0 };
}

void rt_plan_strings(const struct rt_plan *plan, char **argv, char **env) {
        char *p = (char *)(uintptr_t)plan->map + plan->strings_at;
        for (uint32_t i = 0; i < plan->argc; i++, p += strlen(p) + 1)
                argv[i] = p;
        argv[plan->argc] = NULL;
        for (uint32_t i = 0; i < plan->envc; i++, p += strlen(p) + 1)
                env[i] = p;
        env[plan->envc] = NULL;
}

bool rt_plan_next_made(const struct rt_plan *plan, size_t *cursor, struct rt_made_file *ret_file) {
        size_t at = *cursor ? *cursor : plan->files_at;
        if (at >= plan->size)
                return false;
        bool good = read_file(plan->map, plan->size, &at, ret_file);
        *cursor = at;
        return good;
}

bool rt_plan_next_file(const struct rt_plan *plan, size_t *cursor, struct retort_file *ret_file) {
        struct rt_made_file made;
        bool more = rt_plan_next_made(plan, cursor, &made);
        if (more)
                *ret_file = made.file;
        return more;
}
