/* SPDX-License-Identifier: Apache-2.0 */
#include "lang/request.h"

#include <inttypes.h>

#include "base/text.h"

/* What the kernel takes: one argument (MAX_ARG_STRLEN of linux/binfmts.h, NUL included), and half of what all
 * may have under the usual 8 MiB stack, so that ours fit beside the request's. */
enum { MAX_ARG_BYTES = 128 * 1024 - 1, MAX_ARGS_BYTES = 1024 * 1024 };

/* ---- files ------------------------------------------------------------------------------------- */

static const char *path_fault(const char *path) {
        size_t size = strlen(path);
        if (!size)
                return "is empty";
        if (size > RETORT_MAX_PATH)
                return "is longer than 255 bytes";
        if (!rt_text_is_utf8(path, size))
                return "is not UTF-8";
        for (const char *p = path; *p; p++)
                if ((unsigned char)*p < ' ' || *p == 0x7f)
                        return "has a control character";
        if (path[0] == '/')
                return "is absolute; it must be relative to the work directory";
        for (const char *part = path;; part++) {
                size_t n = strcspn(part, "/");
                if (n == 0)
                        return "has an empty part; parts are separated by one '/', and there is none at the "
                               "end";
                if ((n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
                        return "has a part '.' or '..'; it must lead straight into the work directory";
                part += n;
                if (!*part)
                        return NULL;
        }
}

/* Is one of these the other, or a folder that the other is in? */
static const char *path_clash(const char *a, const char *b) {
        size_t size = strlen(a);
        if (strncmp(a, b, size) != 0)
                return NULL;
        return !b[size] ? "is given twice" : b[size] == '/' ? "is a file, and the folder of another" : NULL;
}

static int check_path(const struct retort_request *request, size_t i, struct retort_error *err) {
        const char *path = request->files[i].path;
        if (!path)
                return rt_fail(err, RETORT_E_INPUT, "files[%zu].path is missing", i);
        const char *fault = path_fault(path);
        if (fault)
                return rt_fail(err, RETORT_E_INPUT, "files[%zu].path '%s' %s", i, rt_text_show(path).text,
                               fault);
        for (size_t j = 0; j < i; j++) {
                const char *other = request->files[j].path;
                bool shorter = strlen(other) < strlen(path);
                fault = shorter ? path_clash(other, path) : path_clash(path, other);
                if (fault)
                        return rt_fail(err, RETORT_E_INPUT, "files[%zu].path '%s' %s", shorter ? j : i,
                                       rt_text_show(shorter ? other : path).text, fault);
        }
        return 0;
}

static int check_entry(const struct retort_request *request, struct retort_error *err) {
        if (!request->entry)
                return 0;
        if (!request->n_files)
                return rt_fail(err, RETORT_E_INPUT, "entry goes with files, not with code");
        for (size_t i = 0; i < request->n_files; i++)
                if (strcmp(request->files[i].path, request->entry) == 0)
                        return 0;
        return rt_fail(err, RETORT_E_INPUT, "entry '%s' is not the path of any of the %zu files",
                       rt_text_show(request->entry).text, request->n_files);
}

static int check_bytes(const char *what, struct retort_bytes bytes, uint64_t *total,
                       struct retort_error *err) {
        if (bytes.size && !bytes.data)
                return rt_fail(err, RETORT_E_INPUT, "%s has a size of %zu, but no data", what, bytes.size);
        if (__builtin_add_overflow(*total, bytes.size, total) || *total > RETORT_MAX_FILES_BYTES)
                return rt_fail(err, RETORT_E_INPUT, "code, files and stdin are together larger than %u bytes",
                               RETORT_MAX_FILES_BYTES);
        return 0;
}

static int check_files(const struct retort_request *request, uint64_t *total, struct retort_error *err) {
        if (request->n_files > RETORT_MAX_FILES)
                return rt_fail(err, RETORT_E_INPUT, "files: %zu given, at most %d", request->n_files,
                               RETORT_MAX_FILES);
        if (request->n_files && !request->files)
                return rt_fail(err, RETORT_E_INPUT, "files is missing, but n_files is %zu", request->n_files);
        int r = 0;
        for (size_t i = 0; i < request->n_files && r == 0; i++) {
                r = check_path(request, i, err);
                r = r < 0 ? r : check_bytes("the content of a file", request->files[i].content, total, err);
        }
        return r;
}

int rt_lang_check_files(const struct retort_file *files, size_t n_files, struct retort_error *err) {
        const struct retort_request request = { .files = files, .n_files = n_files };
        uint64_t total = 0;
        return check_files(&request, &total, err);
}

static int check_source(const struct retort_request *request, struct retort_error *err) {
        if (request->code.size && request->n_files)
                return rt_fail(err, RETORT_E_INPUT,
                               "code and files were both given; exactly one of them is wanted");
        if (!request->code.size && !request->n_files)
                return rt_fail(err, RETORT_E_INPUT,
                               request->code.data ? "code is empty" : "code is missing, and so is files");
        uint64_t total = 0;
        int r = check_bytes("code", request->code, &total, err);
        r = r < 0 ? r : check_files(request, &total, err);
        r = r < 0 ? r : check_bytes("stdin", request->stdin_data, &total, err);
        return r < 0 ? r : check_entry(request, err);
}

/* ---- arguments and environment ----------------------------------------------------------------- */

static int check_texts(const char *field, const char *const *texts, size_t n, size_t *total,
                       struct retort_error *err) {
        if (n > RETORT_MAX_ARGS)
                return rt_fail(err, RETORT_E_INPUT, "%s: %zu given, at most %d", field, n, RETORT_MAX_ARGS);
        if (n && !texts)
                return rt_fail(err, RETORT_E_INPUT, "%s is missing, but its number is %zu", field, n);
        for (size_t i = 0; i < n; i++) {
                if (!texts[i])
                        return rt_fail(err, RETORT_E_INPUT, "%s[%zu] is missing", field, i);
                size_t size = strlen(texts[i]);
                if (size > MAX_ARG_BYTES)
                        return rt_fail(err, RETORT_E_INPUT, "%s[%zu] is %zu bytes long, at most %d", field, i,
                                       size, MAX_ARG_BYTES);
                *total += size;
        }
        if (*total > MAX_ARGS_BYTES)
                return rt_fail(err, RETORT_E_INPUT, "args and env are together larger than %d bytes",
                               MAX_ARGS_BYTES);
        return 0;
}

static int check_env(const struct retort_request *request, struct retort_error *err) {
        for (size_t i = 0; i < request->n_env; i++) {
                const char *entry = request->env[i];
                if (entry[0] == '=')
                        return rt_fail(err, RETORT_E_INPUT, "env[%zu] has no name before its '='", i);
                if (!strchr(entry, '='))
                        return rt_fail(err, RETORT_E_INPUT, "env[%zu] '%s' is not NAME=VALUE", i,
                                       rt_text_show(entry).text);
        }
        return 0;
}

int rt_request_check_env(const struct retort_request *request, struct retort_error *err) {
        size_t total = 0;
        int r = check_texts("env", request->env, request->n_env, &total, err);
        return r < 0 ? r : check_env(request, err);
}

int rt_request_check(const struct rt_runtime *runtime, const struct retort_request *request,
                     struct retort_error *err) {
        size_t run = 0;
        size_t compile = 0;
        int r = check_source(request, err);
        r = r < 0 ? r : check_texts("args", request->args, request->n_args, &run, err);
        r = r < 0 ? r : check_texts("env", request->env, request->n_env, &run, err);
        r = r < 0 ? r
                  : check_texts("compile.args", request->compile_args, request->n_compile_args, &compile,
                                err);
        r = r < 0 ? r : check_env(request, err);
        if (r == 0 && request->n_compile_args && !runtime->compile.argv_node)
                r = rt_fail(err, RETORT_E_INPUT, "compile.args were given, but %s has no compile step",
                            runtime->name);
        return r;
}

/* ---- limits ------------------------------------------------------------------------------------ */

struct bound {
        const char *name;
        const char *unit;
        uint64_t dflt, floor, ceiling;
};

static int resolve(const char *prefix, const struct bound *bound, uint64_t asked, uint64_t own,
                   uint64_t configured, uint64_t *ret, struct retort_error *err) {
        uint64_t ceiling = configured && configured < bound->ceiling ? configured : bound->ceiling;
        uint64_t dflt = own ? own : bound->dflt;
        if (asked > ceiling)
                return rt_fail(err, RETORT_E_INPUT, "%s.%s is %" PRIu64 " %s, above the ceiling of %" PRIu64,
                               prefix, bound->name, asked, bound->unit, ceiling);
        if (asked && asked < bound->floor)
                return rt_fail(err, RETORT_E_INPUT, "%s.%s is %" PRIu64 " %s, below the least of %" PRIu64,
                               prefix, bound->name, asked, bound->unit, bound->floor);
        *ret = asked ? asked : dflt < ceiling ? dflt : ceiling;
        return 0;
}

int rt_request_limits(const char *prefix, const struct retort_limits *asked, const struct retort_limits *own,
                      const struct retort_limits *ceilings, struct retort_limits *ret_limits,
                      struct retort_error *err) {
        struct retort_limits limits = { 0 };
        int r = 0;
#define X(member, unit, dflt, floor, ceiling, text)                                                          \
        if (r == 0)                                                                                          \
                r = resolve(prefix, &(struct bound){ #member, unit, dflt, floor, ceiling }, asked->member,   \
                            own->member, ceilings->member, &limits.member, err);
        RETORT_LIMITS(X)
#undef X
        if (r == 0)
                *ret_limits = limits;
        return r;
}

int rt_lang_limits(const struct retort_limits *asked, const struct retort_limits *dflt, const struct retort_limits *ceilings,
                   struct retort_limits *ret_limits, struct retort_error *err) {
        return rt_request_limits("limits", asked, dflt, ceilings, ret_limits, err);
}
