/* SPDX-License-Identifier: Apache-2.0
 *
 * What the prompt itself knows: lines that begin with a colon. The contexts of one prompt share a box, its files and its limits; one of
 * them is who cells go to.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"
#include "cli/out.h"
#include "repl/repl.h"

static void say(struct rt_repl *repl, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct rt_repl *repl, const char *format, ...) {
        rt_auto_buf struct rt_buf text = RT_BUF(1 << 20);
        rt_auto_free char *line = NULL;
        va_list args;
        va_start(args, format);
        if (vasprintf(&line, format, args) >= 0)
                (void)rt_buf_add(&text, line, strlen(line));
        va_end(args);
        (void)rt_out_flush(repl->cli->out, &text);
}

static void worked(struct rt_repl *repl, int r, const struct retort_error *err) {
        if (r < 0)
                rt_repl_complain(repl, err);
}

/* Names are a guest's: they must not speak to the terminal. */
static const char *clean(char *name) {
        for (unsigned char *p = (unsigned char *)name; p && *p; p++)
                if (*p < ' ' || *p == 127)
                        *p = '?';
                else if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f) /* C1 in UTF-8 */
                        p[0] = p[1] = '?';
        return name ? name : "";
}

/* The first word of rest, cut out; *rest is what follows. NULL: there is none. */
static char *take_word(char **rest) {
        char *word = *rest;
        size_t size = strcspn(word, " ");
        *rest = word + size + strspn(word + size, " ");
        if (size == 0)
                return NULL;
        word[size] = 0;
        return word;
}

static bool needs(struct rt_repl *repl, const char *word, const char *what) {
        if (!word)
                (void)rt_cli_complain(repl->cli, "%s is missing", what);
        repl->failed |= !word;
        return word;
}

/* ---- contexts ---- */

static void restart(struct rt_repl *repl, char *rest) {
        bool kept = false;
        struct retort_error err = { 0 };
        (void)rest;
        if (retort_context_restart(repl->context, &kept, &err) < 0)
                rt_repl_complain(repl, &err);
        else
                say(repl, kept ? "a new interpreter; files are still there\n" : "a new interpreter in a new box\n");
}

static void tell_one(struct rt_repl *repl, unsigned i, const char *mark) {
        struct retort_context_info info;
        retort_context_info(repl->places[i].context, &info);
        say(repl, "%s%s%s%s, %s, %llu cells, context %s\n", mark, info.language, *info.version ? " " : "", info.version, retort_context_state_name(info.state),
            (unsigned long long)info.execution_count, info.id);
}

static void tell_info(struct rt_repl *repl, char *rest) {
        (void)rest;
        tell_one(repl, repl->at, "");
}

static void tell_all(struct rt_repl *repl, char *rest) {
        (void)rest;
        for (unsigned i = 0; i < repl->n_places; i++) {
                char mark[16];
                (void)snprintf(mark, sizeof mark, "%s%u ", i == repl->at ? "* " : "  ", i + 1);
                tell_one(repl, i, mark);
        }
}

static bool has_room(struct rt_repl *repl) {
        if (repl->n_places < RT_REPL_PLACES)
                return true;
        (void)rt_cli_complain(repl->cli, "%d contexts are open, which is the most; :close ends one", RT_REPL_PLACES);
        repl->failed = true;
        return false;
}

static void enter_new(struct rt_repl *repl, retort_context *context) {
        rt_repl_add(repl, context);
        tell_one(repl, repl->at, "");
}

static void copy(struct rt_repl *repl, char *rest) {
        retort_context *context = NULL;
        struct retort_error err = { 0 };
        (void)rest;
        if (!has_room(repl))
                return;
        if (retort_context_fork(repl->context, &context, &err) < 0)
                rt_repl_complain(repl, &err);
        else
                enter_new(repl, context);
}

static void open_beside(struct rt_repl *repl, char *rest) {
        const char *language = take_word(&rest);
        retort_context *context = NULL;
        struct retort_error err = { 0 };
        const struct retort_context_options options = { .language = language, .cwd = repl->opts->cwd, .env = repl->opts->env.items,
                                                        .n_env = repl->opts->env.n };
        if (!needs(repl, language, "a language") || !has_room(repl))
                return;
        if (retort_context_open_beside(repl->context, &options, &context, &err) < 0)
                rt_repl_complain(repl, &err);
        else
                enter_new(repl, context);
}

static void use(struct rt_repl *repl, char *rest) {
        char *end;
        unsigned long number = strtoul(rest, &end, 10);
        if (end == rest || *end || number < 1 || number > repl->n_places) {
                (void)rt_cli_complain(repl->cli, "there are contexts 1 to %u; :contexts lists them", repl->n_places);
                repl->failed = true;
                return;
        }
        rt_repl_use(repl, (unsigned)number - 1);
}

static void end_one(struct rt_repl *repl, char *rest) {
        (void)rest;
        if (repl->n_places == 1) {
                (void)rt_cli_complain(repl->cli, "this is the only one; :quit ends the prompt");
                repl->failed = true;
                return;
        }
        retort_context_close(repl->context);
        repl->n_places--;
        memmove(&repl->places[repl->at], &repl->places[repl->at + 1], (repl->n_places - repl->at) * sizeof repl->places[0]);
        rt_repl_use(repl, repl->at < repl->n_places ? repl->at : repl->n_places - 1);
        tell_one(repl, repl->at, "");
}

static void pause_it(struct rt_repl *repl, char *rest) {
        struct retort_error err = { 0 };
        (void)rest;
        worked(repl, retort_context_pause(repl->context, &err), &err);
}

static void resume(struct rt_repl *repl, char *rest) {
        struct retort_error err = { 0 };
        (void)rest;
        worked(repl, retort_context_resume(repl->context, &err), &err);
}

/* ---- what is asked ---- */

static void shell(struct rt_repl *repl, char *rest) {
        rt_repl_command(repl, rest);
}

static uint64_t characters(const char *text) {
        uint64_t n = 0;
        for (; *text; text++)
                n += ((unsigned char)*text & 0xc0) != 0x80;
        return n;
}

static void inspect(struct rt_repl *repl, char *rest) {
        rt_auto_free char *json = NULL;
        struct retort_error err = { 0 };
        if (retort_context_inspect(repl->context, (struct retort_bytes){ rest, strlen(rest) }, characters(rest), 0, &json, &err) < 0) {
                rt_repl_complain(repl, &err);
                return;
        }
        json_t *told = json_loads(json, 0, NULL);
        const char *text = json_string_value(json_object_get(json_object_get(told, "data"), "text/plain"));
        if (text)
                say(repl, "%s%s", text, *text && text[strlen(text) - 1] == '\n' ? "" : "\n");
        else
                (void)rt_cli_complain(repl->cli, "nothing is known of it");
        json_decref(told);
}

/* ---- files ---- */

static void list(struct rt_repl *repl, char *rest) {
        char *path = take_word(&rest);
        rt_auto_free char *json = NULL;
        struct retort_error err = { 0 };
        if (retort_context_list(repl->context, path ? path : ".", 1, &json, &err) < 0) {
                rt_repl_complain(repl, &err);
                return;
        }
        json_t *entries = json_loads(json, 0, NULL);
        json_t *entry;
        size_t i;
        json_array_foreach(entries, i, entry) {
                rt_auto_free char *name = strdup(json_string_value(json_object_get(entry, "name")));
                const char *type = json_string_value(json_object_get(entry, "type"));
                say(repl, "%12lld  %s%s\n", (long long)json_integer_value(json_object_get(entry, "size")), clean(name),
                    strcmp(type, "directory") == 0 ? "/" : strcmp(type, "symlink") == 0 ? "@" : "");
        }
        json_decref(entries);
}

static const char *base_of(const char *path) {
        const char *slash = strrchr(path, '/');
        return slash ? slash + 1 : path;
}

static void put(struct rt_repl *repl, char *rest) {
        const char *file = take_word(&rest), *path = take_word(&rest);
        rt_auto_free char *content = NULL;
        size_t size = 0;
        struct retort_error err = { 0 };
        if (!needs(repl, file, "a file"))
                return;
        int r = rt_read_file_at(AT_FDCWD, file, RETORT_MAX_FILE_BYTES, &content, &size, &err);
        if (r == 0)
                r = retort_context_write(repl->context, path ? path : base_of(file), (struct retort_bytes){ content, size }, RETORT_WRITE_REPLACE, 0, &err);
        worked(repl, r, &err);
}

struct getting {
        int fd;
        bool failed;
};

static bool on_part(const char *data, size_t size, void *userdata) {
        struct getting *g = userdata;
        g->failed = rt_write_all(g->fd, data, size) < 0;
        return !g->failed;
}

/* A file that is there stays as it is. */
static void get(struct rt_repl *repl, char *rest) {
        const char *path = take_word(&rest), *file = take_word(&rest);
        struct retort_error err = { 0 };
        if (!needs(repl, path, "a path"))
                return;
        file = file ? file : base_of(path);
        rt_auto_close int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
        struct getting getting = { .fd = fd };
        int r = fd < 0 ? rt_fail_errno(&err, "cannot make %s", file)
                       : retort_context_read(repl->context, path, 0, 0, on_part, &getting, NULL, &err);
        if (r == 0 && getting.failed)
                r = rt_fail_errno(&err, "cannot write %s", file);
        if (r < 0 && fd >= 0)
                (void)unlink(file);
        worked(repl, r, &err);
}

static void move(struct rt_repl *repl, char *rest) {
        const char *from = take_word(&rest), *to = take_word(&rest);
        struct retort_error err = { 0 };
        if (needs(repl, from, "a path") && needs(repl, to, "where it goes"))
                worked(repl, retort_context_move(repl->context, from, to, &err), &err);
}

static void delete(struct rt_repl *repl, char *rest) {
        const char *path = take_word(&rest);
        struct retort_error err = { 0 };
        if (needs(repl, path, "a path"))
                worked(repl, retort_context_remove(repl->context, path, &err), &err);
}

/* ---- all of them ---- */

static void help(struct rt_repl *repl, char *rest);

static const struct word {
        const char *name, *help;
        void (*run)(struct rt_repl *repl, char *rest); /* NULL: the end */
} words[] = {
        { ":help", "these words", help },
        { ":restart", "a new interpreter; files stay", restart },
        { ":what NAME", "what is known of a name", inspect },
        { ":sh COMMAND", "run a command in the box, beside the interpreter", shell },
        { ":ls [PATH]", "the files of a folder in the box", list },
        { ":put FILE [PATH]", "copy a file of yours into the box", put },
        { ":get PATH [FILE]", "copy a file out of the box; none is overwritten", get },
        { ":mv FROM TO", "move or rename in the box", move },
        { ":rm PATH", "remove in the box", delete },
        { ":fork", "a live copy, variables and all; it is the current one", copy },
        { ":open LANGUAGE", "another language in the same box, with the same files", open_beside },
        { ":contexts", "all that are open", tell_all },
        { ":use NUMBER", "make another the current one", use },
        { ":close", "end the current one", end_one },
        { ":pause", "every process of the box stands still", pause_it },
        { ":resume", "and goes on", resume },
        { ":info", "what this context is", tell_info },
        { ":quit", "end (so does Ctrl-D)", NULL },
};

static void help(struct rt_repl *repl, char *rest) {
        (void)rest;
        for (size_t i = 0; i < RT_LEN(words); i++)
                say(repl, "  %-18s%s\n", words[i].name, words[i].help);
}

bool rt_repl_word(struct rt_repl *repl, const char *line, bool *ret_end) {
        size_t size = strcspn(line, " ");
        if (line[0] != ':' || size < 2)
                return false;
        for (size_t i = 0; i < RT_LEN(words); i++) {
                if (strncmp(words[i].name, line, size) != 0 || strcspn(words[i].name, " ") != size)
                        continue;
                rt_auto_free char *rest = strdup(line + size + strspn(line + size, " "));
                *ret_end = !words[i].run;
                if (words[i].run && rest)
                        words[i].run(repl, rest);
                return true;
        }
        if (strcmp(repl->language, "bash") == 0) /* ":" is a command of its */
                return false;
        (void)rt_cli_complain(repl->cli, "no such word: %.*s; :help lists them", (int)size, line);
        return true;
}
