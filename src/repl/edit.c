/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines by libedit: history in a file of its own for each language, completion by the context itself. Without a terminal: plain
 * lines.
 */
#include <errno.h>
#include <histedit.h>
#include <jansson.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"
#include "repl/repl.h"

enum { HISTORY = 2000, MAX_LINE = 1 << 20, SHOWN = 60 };

struct rt_editor {
        struct rt_repl *repl;
        EditLine *line;
        History *history;
        HistEvent event;
        char prompt[64];
        char file[4096];           /* of the history; "": none */
        const struct rt_buf *cell; /* what stands before the line that is typed */
        char *text;                /* the last line */
        size_t room;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number) {
        (void)number;
        interrupted = 1;
}

static char *prompt_of(EditLine *line) {
        struct rt_editor *e;
        (void)el_get(line, EL_CLIENTDATA, &e);
        return e->prompt;
}

/* ---- completion ---- */

static size_t characters(const char *text, size_t size) {
        size_t n = 0;
        for (size_t i = 0; i < size; i++)
                n += ((unsigned char)text[i] & 0xc0) != 0x80;
        return n;
}

/* Where the character of that number begins. */
static size_t offset_of(const char *text, size_t size, size_t character) {
        size_t at = 0;
        while (at < size && (character > 0 || ((unsigned char)text[at] & 0xc0) == 0x80)) {
                character -= ((unsigned char)text[at] & 0xc0) != 0x80;
                at++;
        }
        return at;
}

/* How many bytes all of them begin with. */
static size_t common(json_t *matches) {
        const char *first = json_string_value(json_array_get(matches, 0));
        size_t size = first ? strlen(first) : 0, i;
        json_t *match;
        json_array_foreach(matches, i, match) {
                const char *text = json_string_value(match);
                size_t same = 0;
                while (text && same < size && text[same] == first[same])
                        same++;
                size = same;
        }
        while (size > 0 && ((unsigned char)first[size] & 0xc0) == 0x80)
                size--;
        return size;
}

static void list_matches(json_t *matches) {
        size_t i;
        json_t *match;
        (void)fputc('\n', stdout);
        json_array_foreach(matches, i, match)
                if (i < SHOWN)
                        (void)printf("%s  ", json_string_value(match) ? json_string_value(match) : "");
        (void)printf("%s\n", json_array_size(matches) > SHOWN ? "..." : "");
}

static unsigned char use_matches(EditLine *line, const char *text, size_t size, json_t *answer) {
        json_t *matches = json_object_get(answer, "matches");
        const char *first = json_string_value(json_array_get(matches, 0));
        size_t begin = offset_of(text, size, (size_t)json_integer_value(json_object_get(answer, "start")));
        size_t have = size - begin, may = common(matches);
        if (!first)
                return CC_REFRESH_BEEP;
        if (may > have || json_array_size(matches) == 1) {
                rt_auto_free char *piece = strndup(first, may);
                el_deletestr(line, (int)characters(text + begin, have));
                return !piece || el_insertstr(line, piece) < 0 ? CC_REFRESH_BEEP : CC_REFRESH;
        }
        list_matches(matches);
        return CC_REDISPLAY;
}

static unsigned char on_tab(EditLine *line, int key) {
        struct rt_editor *e;
        (void)key;
        (void)el_get(line, EL_CLIENTDATA, &e);
        const LineInfo *now = el_line(line);
        size_t typed = (size_t)(now->cursor - now->buffer), before = e->cell ? e->cell->size : 0;
        if (typed == 0 || strspn(now->buffer, " \t") >= typed)
                return el_insertstr(line, "    ") < 0 ? CC_ERROR : CC_REFRESH;
        rt_auto_buf struct rt_buf text = RT_BUF(MAX_LINE);
        (void)rt_buf_add(&text, before ? e->cell->data : "", before);
        (void)rt_buf_add(&text, now->buffer, typed);
        rt_auto_free char *json = NULL;
        const struct retort_bytes code = { text.data, text.size };
        if (retort_context_complete(e->repl->context, code, characters(text.data, text.size), &json, NULL) < 0)
                return CC_REFRESH_BEEP;
        json_t *answer = json_loads(json, 0, NULL);
        unsigned char r = use_matches(line, text.data, text.size, answer);
        json_decref(answer);
        return r;
}

/* ---- opening ---- */

static void find_history(struct rt_editor *e) {
        const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
        if (state && *state)
                (void)snprintf(e->file, sizeof e->file, "%s/retort/history-%s", state, e->repl->language);
        else if (home && *home)
                (void)snprintf(e->file, sizeof e->file, "%s/.local/state/retort/history-%s", home, e->repl->language);
        if (e->file[0] && rt_make_folders(e->file, NULL) < 0)
                e->file[0] = 0;
}

static void bind_keys(struct rt_editor *e) {
        (void)el_set(e->line, EL_CLIENTDATA, e);
        (void)el_set(e->line, EL_PROMPT, prompt_of);
        (void)el_set(e->line, EL_EDITOR, "emacs");
        (void)el_set(e->line, EL_SIGNAL, 0);
        (void)el_set(e->line, EL_HIST, history, e->history);
        (void)el_set(e->line, EL_ADDFN, "complete", "complete what is typed", on_tab);
        (void)el_set(e->line, EL_BIND, "^I", "complete", NULL);
        (void)el_set(e->line, EL_BIND, "^R", "em-inc-search-prev", NULL);
        (void)el_source(e->line, NULL); /* ~/.editrc */
}

int rt_editor_open(struct rt_repl *repl, struct rt_editor **ret, struct retort_error *err) {
        struct rt_editor *e = calloc(1, sizeof *e);
        if (!e)
                return rt_fail_nomem(err);
        e->repl = repl;
        *ret = e;
        if (!repl->terminal)
                return 0;
        (void)setlocale(LC_ALL, "");
        e->line = el_init("retort", stdin, stdout, stderr);
        e->history = history_init();
        if (!e->line || !e->history)
                return rt_fail(err, RETORT_E_SYSTEM, "cannot edit lines on this terminal");
        find_history(e);
        (void)history(e->history, &e->event, H_SETSIZE, HISTORY);
        (void)history(e->history, &e->event, H_SETUNIQUE, 1);
        if (e->file[0])
                (void)history(e->history, &e->event, H_LOAD, e->file);
        bind_keys(e);
        struct sigaction action = { .sa_handler = on_interrupt };
        (void)sigaction(SIGINT, &action, NULL);
        return 0;
}

void rt_editor_close(struct rt_editor *e) {
        if (!e)
                return;
        if (e->history && e->file[0])
                (void)history(e->history, &e->event, H_SAVE, e->file);
        if (e->line)
                el_end(e->line);
        if (e->history)
                history_end(e->history);
        free(e->text);
        free(e);
}

/* ---- reading ---- */

static const char *plain_line(struct rt_editor *e) {
        ssize_t n = getline(&e->text, &e->room, stdin);
        if (n < 0)
                return NULL;
        if (n > 0 && e->text[n - 1] == '\n')
                e->text[n - 1] = 0;
        return e->text;
}

const char *rt_editor_line(struct rt_editor *e, bool more, const struct rt_buf *cell, bool *ret_interrupted) {
        *ret_interrupted = false;
        if (!e->line)
                return plain_line(e);
        int count = 0;
        e->cell = cell;
        interrupted = 0;
        if (more)
                (void)snprintf(e->prompt, sizeof e->prompt, "%*s ", (int)strlen(e->repl->language) + 1, "...");
        else
                (void)snprintf(e->prompt, sizeof e->prompt, "%s> ", e->repl->language);
        (void)el_set(e->line, EL_PREP_TERM, 1); /* before the prompt is shown: el_gets does it after, and what is typed between is not its */
        const char *text = el_gets(e->line, &count);
        if (interrupted || (!text && errno == EINTR)) {
                *ret_interrupted = true;
                el_reset(e->line);
                (void)fputs("^C\n", stdout);
                return "";
        }
        if (!text || count <= 0)
                return NULL;
        free(e->text);
        e->text = strndup(text, (size_t)count - (text[count - 1] == '\n'));
        return e->text;
}

void rt_editor_remember(struct rt_editor *e, const char *cell) {
        if (e->history && *cell)
                (void)history(e->history, &e->event, H_ENTER, cell);
}
