/* SPDX-License-Identifier: Apache-2.0
 *
 * Two builtins: `read`, which asks the engine for a line where descriptor 0 is still the empty one that the runner was started with,
 * and `display`, which sends an item. Subshells (the parts of a pipeline, say) may display too: one at a time, and only
 * while the cell runs that started them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runner.h"

enum { CHUNK = 65536, HIGH = 100 };

static const struct {
        const char *name, *mime;
} types[] = {
        { "html", "text/html" },       { "htm", "text/html" },          { "md", "text/markdown" },    { "markdown", "text/markdown" },
        { "tex", "text/latex" },       { "latex", "text/latex" },       { "txt", "text/plain" },      { "text", "text/plain" },
        { "png", "image/png" },        { "jpg", "image/jpeg" },         { "jpeg", "image/jpeg" },     { "gif", "image/gif" },
        { "svg", "image/svg+xml" },    { "pdf", "application/pdf" },    { "json", "application/json" }, { "webp", "image/webp" },
        { "js", "application/javascript" }, { "javascript", "application/javascript" },
};

/* What all processes of the runner share. */
static struct shared {
        volatile bool running;
        volatile json_int_t id;
} *shared;
static int lock = -1;

static void hold(short type) {
        struct flock range = { .l_type = type, .l_whence = SEEK_SET };
        while (fcntl(lock, F_SETLKW, &range) < 0 && errno == EINTR)
                ;
}

void builtins_cell(bool running, json_int_t id) {
        hold(F_WRLCK);
        shared->running = running;
        shared->id = id;
        hold(F_UNLCK);
}

/* ---- display ---- */

static const char *mime_named(const char *name) {
        for (size_t i = 0; i < sizeof types / sizeof *types; i++)
                if (strcasecmp(types[i].name, name) == 0)
                        return types[i].mime;
        return NULL;
}

/* All of a file. NULL with errno. */
static char *read_whole(int fd, size_t *ret_size) {
        char *data = NULL;
        size_t size = 0, room = 0;
        for (;;) {
                if (room - size < CHUNK) {
                        room = room * 2 + 2 * CHUNK;
                        char *more = room <= RT_FRAMES_MAX ? realloc(data, room) : NULL;
                        if (!more) {
                                free(data);
                                errno = EFBIG;
                                return NULL;
                        }
                        data = more;
                }
                ssize_t n = read(fd, data + size, CHUNK);
                if (n < 0 && errno == EINTR && !interrupt_state)
                        continue;
                if (n <= 0) {
                        *ret_size = size;
                        return data;
                }
                size += (size_t)n;
        }
}

static json_t *value_of(const char *mime, const char *data, size_t size) {
        if (strcmp(mime, "application/json") == 0 || (strlen(mime) > 5 && strcmp(mime + strlen(mime) - 5, "+json") == 0))
                return json_loadb(data, size, JSON_DECODE_ANY, NULL);
        return rt_frames_is_binary(mime) ? rt_frames_base64(data, size) : rt_frames_text(data, size);
}

static int show(const char *mime, const char *data, size_t size) {
        json_t *value = value_of(mime, data, size);
        if (!value) {
                builtin_error("this is no %s", mime);
                return EXECUTION_FAILURE;
        }
        json_t *item = json_object();
        (void)json_object_set_new(item, mime, value);
        (void)fflush(stdout);
        (void)fflush(stderr);
        hold(F_WRLCK);
        bool runs = shared->running && shared->id == runner.id;
        if (runs && rt_frames_item(&runner.frames, runner.id, item, NULL, false) < 0)
                _exit(EXIT_FAILURE);
        hold(F_UNLCK);
        if (!runs) {
                json_decref(item);
                builtin_error("the cell is over");
        }
        return runs ? EXECUTION_SUCCESS : EXECUTION_FAILURE;
}

static int show_file(const char *mime, int fd, const char *name) {
        size_t size = 0;
        char *data = fd < 0 ? NULL : read_whole(fd, &size);
        if (!data) {
                builtin_error("%s: %s", name, strerror(errno));
                return EXECUTION_FAILURE;
        }
        int r = show(mime, data, size);
        free(data);
        return r;
}

static int show_words(const char *mime, const WORD_LIST *list) {
        size_t size = 0;
        for (const WORD_LIST *w = list; w; w = w->next)
                size += strlen(w->word->word) + 1;
        char *text = xmalloc(size + 1), *to = text;
        for (const WORD_LIST *w = list; w; w = w->next) {
                to = stpcpy(to, w->word->word);
                if (w->next)
                        *to++ = ' ';
        }
        int r = show(mime, text, (size_t)(to - text));
        free(text);
        return r;
}

static int usage(void) {
        builtin_error("usage: display TYPE TEXT..., display TYPE < FILE, display FILE; TYPE is html, markdown, png, ... or a MIME type");
        return EX_USAGE;
}

static int display_builtin(WORD_LIST *list) {
        if (list && strcmp(list->word->word, "--") == 0)
                list = list->next;
        if (!list)
                return usage();
        const char *first = list->word->word, *dot = strrchr(first, '.');
        const char *mime = mime_named(first), *by_name = dot ? mime_named(dot + 1) : NULL;
        if (!mime && !list->next && by_name) {
                int fd = open(first, O_RDONLY | O_CLOEXEC);
                int r = show_file(by_name, fd, first);
                if (fd >= 0)
                        (void)close(fd);
                return r;
        }
        const char *slash = strchr(first, '/');
        if (!mime && slash && slash != first && slash[1])
                mime = first;
        if (!mime)
                return usage();
        return list->next ? show_words(mime, list->next) : show_file(mime, STDIN_FILENO, "stdin");
}

/* ---- read ---- */

static bool interrupted(void) {
        return interrupt_state != 0;
}

/* Descriptor 0 as the runner was started has this flag; a /dev/null that a program opens has not. */
static bool is_the_empty_one(void) {
        int flags = fcntl(STDIN_FILENO, F_GETFL);
        return flags >= 0 && (flags & O_APPEND) && (flags & O_ACCMODE) == O_RDONLY;
}

/* What of read's options matters here. False: it is not for us. */
static bool look_at_options(const WORD_LIST *list, const char **ret_prompt, bool *ret_password) {
        for (; list && list->word->word[0] == '-' && list->word->word[1] && strcmp(list->word->word, "--") != 0; list = list->next)
                for (const char *p = list->word->word + 1; *p; p++) {
                        *ret_password |= *p == 's';
                        if (!strchr("adinNptu", *p))
                                continue;
                        const char *value = p[1] ? p + 1 : list->next ? list->next->word->word : "";
                        if (*p == 'p')
                                *ret_prompt = value;
                        if ((*p == 'u' && strcmp(value, "0") != 0) || (*p == 't' && atof(value) <= 0))
                                return false;
                        if (!p[1] && list->next)
                                list = list->next;
                        break;
                }
        return true;
}

/* The line that the engine gives; NULL at the end of file. */
static json_t *ask(const char *prompt, bool password) {
        runner_send(json_pack("{s:s, s:I, s:o, s:b}", "type", "input_request", "id", runner.id, "prompt", rt_frames_text(prompt, strlen(prompt)),
                              "password", password));
        for (;;) {
                json_t *message = NULL;
                enum rt_frames_got got = rt_frames_receive(&runner.frames, interrupted, &message);
                if (got == RT_FRAMES_STOPPED)
                        throw_to_top_level();
                if (got != RT_FRAMES_MESSAGE)
                        runner_end();
                const char *type = json_string_value(json_object_get(message, "type"));
                if (strcmp(type, "shutdown") == 0)
                        runner_end();
                if (strcmp(type, "input") == 0 && json_integer_value(json_object_get(message, "id")) == runner.id) {
                        json_t *text = json_incref(json_object_get(message, "text"));
                        json_decref(message);
                        return text;
                }
                json_decref(message);
        }
}

/* Puts the line where read looks for it. */
static void put_in(const json_t *text) {
        int fd = memfd_create("line", MFD_CLOEXEC);
        if (fd < 0)
                return;
        (void)rt_frames_write(fd, json_string_value(text), json_string_length(text));
        (void)rt_frames_write(fd, "\n", 1);
        (void)lseek(fd, 0, SEEK_SET);
        runner.saved_in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, HIGH);
        if (runner.saved_in < 0)
                runner.saved_in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
        if (runner.saved_in >= 0)
                (void)dup2(fd, STDIN_FILENO);
        (void)close(fd);
}

static int reading_builtin(WORD_LIST *list) {
        const char *prompt = "";
        bool password = false;
        if (!runner_is_ours() || !runner.running || !is_the_empty_one() || !look_at_options(list, &prompt, &password))
                return read_builtin(list);
        json_t *text = ask(prompt, password);
        if (json_is_string(text))
                put_in(text);
        json_decref(text);
        int r = read_builtin(list);
        if (runner.saved_in >= 0) {
                (void)dup2(runner.saved_in, STDIN_FILENO);
                (void)close(runner.saved_in);
                runner.saved_in = -1;
        }
        return r;
}

void builtins_begin(void) {
        struct shared *made = mmap(NULL, sizeof *made, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (made == MAP_FAILED)
                _exit(EXIT_FAILURE);
        shared = made;
        int fd = memfd_create("one at a time", MFD_CLOEXEC);
        if (lock >= 0)
                (void)close(lock);
        lock = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, runner.frames.fd + 1);
        if (fd >= 0 && lock >= 0)
                (void)close(fd);
        else
                lock = fd;
        (void)fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_APPEND);
        struct builtin *read = builtin_address_internal("read", 1);
        if (read)
                read->function = reading_builtin;
}

static char *const doc[] = { "Shows something in the format TYPE, such as html, markdown, latex, png, svg, json or any MIME type.", NULL };
EXPORT struct builtin display_struct = { "display", display_builtin, BUILTIN_ENABLED, doc, "display TYPE [TEXT ...] | display FILE", NULL };
