/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/program.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"

/* An absolute path without "", "." and "..", by its words alone: links are not followed. */
static char *plain_path(const char *path, const char *cwd, struct rt_arena *arena) {
        char *in = rt_arena_printf(arena, "%s/%s", path[0] == '/' ? "" : cwd, path);
        char *out = in ? rt_arena_alloc(arena, strlen(in) + 2) : NULL;
        if (!out)
                return NULL;
        size_t n = 0;
        for (char *save = NULL, *part = strtok_r(in, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
                if (strcmp(part, ".") == 0)
                        continue;
                if (strcmp(part, "..") == 0) {
                        while (n > 0 && out[--n] != '/')
                                ;
                        continue;
                }
                out[n++] = '/';
                memcpy(out + n, part, strlen(part));
                n += strlen(part);
        }
        out[n] = 0;
        return out;
}

static const char *last_part(const char *path) {
        const char *slash = strrchr(path, '/');
        return slash ? slash + 1 : path;
}

/* How many bytes of every path to leave out so that relative names remain; 0: they do not all lie under dir. */
static size_t common(char *const *full, size_t n, const char *dir, size_t dir_size) {
        for (size_t i = 0; i < n; i++)
                if (strncmp(full[i], dir, dir_size) != 0 || full[i][dir_size] != '/')
                        return 0;
        return dir_size + 1;
}

static int refuse_twins(const char *const *names, size_t n, struct retort_error *err) {
        for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < i; k++)
                        if (strcmp(names[i], names[k]) == 0)
                                return rt_fail(err, RETORT_E_INPUT,
                                               "two files would both be called %s in the box; start retort in a "
                                               "directory that holds them all",
                                               names[i]);
        return 0;
}

int rt_program_names(const struct rt_list *paths, const char *cwd, struct rt_arena *arena,
                     const char **ret_names, struct retort_error *err) {
        char **full = rt_arena_array(arena, paths->n, sizeof *full);
        for (size_t i = 0; full && i < paths->n; i++)
                if (!(full[i] = plain_path(paths->items[i], cwd, arena)))
                        full = NULL;
        if (!full)
                return rt_fail_nomem(err);
        char *here = plain_path(".", cwd, arena);
        if (!here)
                return rt_fail_nomem(err);
        size_t skip = common(full, paths->n, full[0], (size_t)(last_part(full[0]) - full[0]) - (full[0][0] ? 1 : 0));
        if (!skip)
                skip = common(full, paths->n, here, strlen(here));
        for (size_t i = 0; i < paths->n; i++)
                ret_names[i] = skip ? full[i] + skip : last_part(full[i]);
        return refuse_twins(ret_names, paths->n, err);
}

/* Takes a heap text over into the arena. */
static int adopt(char *text, size_t size, struct rt_arena *arena, struct retort_bytes *ret,
                 struct retort_error *err) {
        rt_auto_free char *owned = text;
        ret->data = rt_arena_copy(arena, owned, size);
        ret->size = size;
        return ret->data ? 0 : rt_fail_nomem(err);
}

static int read_source(const char *path, struct rt_arena *arena, struct retort_bytes *ret,
                       struct retort_error *err) {
        rt_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0)
                return rt_fail(err, RETORT_E_INPUT, "cannot open %s: %s", path, strerror(errno));
        if (S_ISDIR(st.st_mode))
                return rt_fail(err, RETORT_E_INPUT, "%s is a directory; name its files", path);
        char *text = NULL;
        size_t size = 0;
        int r = rt_read_all(fd, RETORT_MAX_FILES_BYTES, &text, &size, err);
        return r < 0 ? rt_wrap(err, r, "%s", path) : adopt(text, size, arena, ret, err);
}

int rt_program_files(const struct rt_list *paths, struct rt_arena *arena, struct retort_request *request,
                     struct retort_error *err) {
        if (paths->n > RETORT_MAX_FILES)
                return rt_fail(err, RETORT_E_INPUT, "%zu files are too many; at most %d", paths->n,
                               RETORT_MAX_FILES);
        rt_auto_free char *cwd = getcwd(NULL, 0);
        struct retort_file *files = rt_arena_array(arena, paths->n, sizeof *files);
        const char **names = rt_arena_array(arena, paths->n, sizeof *names);
        if (!cwd)
                return rt_fail_errno(err, "cannot tell the current directory");
        if (!files || !names)
                return rt_fail_nomem(err);
        int r = rt_program_names(paths, cwd, arena, names, err);
        for (size_t i = 0; r == 0 && i < paths->n; i++) {
                files[i].path = names[i];
                r = read_source(paths->items[i], arena, &files[i].content, err);
        }
        request->files = files;
        request->n_files = paths->n;
        return r;
}

int rt_program_read(int fd, struct rt_arena *arena, struct retort_request *request, struct retort_error *err) {
        char *text = NULL;
        size_t size = 0;
        int r = rt_read_all(fd, RETORT_MAX_FILES_BYTES, &text, &size, err);
        return r < 0 ? rt_wrap(err, r, "reading the program from stdin")
                     : adopt(text, size, arena, &request->code, err);
}

const char *rt_program_interpreter(struct retort_bytes code, struct rt_arena *arena) {
        if (code.size < 3 || memcmp(code.data, "#!", 2) != 0)
                return NULL;
        const char *end = memchr(code.data, '\n', code.size);
        size_t size = end ? (size_t)(end - code.data) : code.size;
        char *line = rt_arena_copy(arena, code.data + 2, size - 2);
        char *save = NULL;
        for (char *word = line ? strtok_r(line, " \t\r", &save) : NULL; word;
             word = strtok_r(NULL, " \t\r", &save)) {
                const char *name = last_part(word);
                if (strcmp(name, "env") == 0 || name[0] == '-' || strchr(name, '='))
                        continue; /* env, its options and its settings */
                return name[0] ? name : NULL;
        }
        return NULL;
}

static bool is_named(const json_t *language, const char *name) {
        const char *own = json_string_value(json_object_get(language, "name"));
        if (own && strcasecmp(own, name) == 0)
                return true;
        size_t i;
        json_t *alias;
        json_array_foreach(json_object_get(language, "aliases"), i, alias)
                if (json_is_string(alias) && strcasecmp(json_string_value(alias), name) == 0)
                        return true;
        return false;
}

/* The language whose name or alias is the interpreter's, with or without its version ("python3.11"). */
static int by_interpreter(retort_engine *engine, const char *interpreter, struct rt_arena *arena,
                          const char **ret_language, struct retort_error *err) {
        rt_auto_free char *text = NULL;
        int r = retort_engine_languages(engine, &text, err);
        char *name = rt_arena_strdup(arena, interpreter);
        if (r < 0 || !name)
                return r < 0 ? r : rt_fail_nomem(err);
        json_t *all = json_loads(text, 0, NULL);
        for (size_t size = strlen(name); size > 0 && !*ret_language; name[--size] = 0) {
                size_t i;
                json_t *one;
                json_array_foreach(all, i, one) {
                        const char *own = json_string_value(json_object_get(one, "name"));
                        if (own && !*ret_language && is_named(one, name))
                                *ret_language = rt_arena_strdup(arena, own);
                }
                if (!isdigit((unsigned char)name[size - 1]) && name[size - 1] != '.')
                        break; /* only a version is taken off */
        }
        json_decref(all);
        return 0;
}

static const struct retort_file *entry_file(const struct retort_request *request) {
        for (size_t i = 0; request->entry && i < request->n_files; i++)
                if (strcmp(request->files[i].path, request->entry) == 0)
                        return &request->files[i];
        return request->n_files ? &request->files[0] : NULL;
}

int rt_program_language(retort_engine *engine, struct rt_arena *arena, struct retort_request *request,
                        struct retort_error *err) {
        const struct retort_file *entry = entry_file(request);
        if (entry)
                request->language = retort_engine_language_of_file(engine, entry->path);
        if (request->language)
                return 0;
        const char *interpreter = rt_program_interpreter(entry ? entry->content : request->code, arena);
        int r = interpreter ? by_interpreter(engine, interpreter, arena, &request->language, err) : 0;
        if (r < 0 || request->language)
                return r;
        return rt_fail(err, RETORT_E_INPUT,
                       "cannot tell the language of %s; say it with --language (retort languages lists them)",
                       entry ? entry->path : "the program");
}
