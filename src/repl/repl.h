/* SPDX-License-Identifier: Apache-2.0
 *
 * The interactive prompt: lines become cells, cells run in one context, what comes is shown as it comes.
 */
#pragma once

#include "base/buf.h"
#include "cli/repl.h"
#include "retort-context.h"

enum { RT_REPL_PLACES = 16 };

struct rt_repl {
        struct rt_cli *cli;
        const struct rt_repl_opts *opts;
        retort_engine *engine;
        struct rt_repl_place {
                retort_context *context;
                char language[40];
        } places[RT_REPL_PLACES]; /* in one box */
        unsigned n_places, at;
        retort_context *context; /* of them, the current one */
        char language[40];
        bool terminal; /* both stdin and stdout are one */
        bool failed;   /* some cell did */
        bool mid_line; /* what was shown last did not end its line */
        unsigned n_saved;
        enum rt_images { RT_IMAGES_SAVE, RT_IMAGES_NONE, RT_IMAGES_KITTY, RT_IMAGES_ITERM, RT_IMAGES_SIXEL } images;
};

/* repl/repl.c */
void rt_repl_complain(struct rt_repl *repl, const struct retort_error *err);
/* A context more, which is the current one from now on; there must be room. */
void rt_repl_add(struct rt_repl *repl, retort_context *context);
void rt_repl_use(struct rt_repl *repl, unsigned at);
/* Runs a command in the box and shows what it says. */
void rt_repl_command(struct rt_repl *repl, const char *text);

/* repl/words.c: whether the line was a word of the prompt's. *ret_end: it ends. */
bool rt_repl_word(struct rt_repl *repl, const char *line, bool *ret_end);

/* repl/edit.c: lines, with history and completion where there is a terminal. */
struct rt_editor;
int rt_editor_open(struct rt_repl *repl, struct rt_editor **ret, struct retort_error *err);
void rt_editor_close(struct rt_editor *editor);
/* The next line without its newline, good until the next call; NULL: the end. more: a cell goes on, whose text so far is in
 * cell. *ret_interrupted: Ctrl-C was typed. */
const char *rt_editor_line(struct rt_editor *editor, bool more, const struct rt_buf *cell, bool *ret_interrupted);
void rt_editor_remember(struct rt_editor *editor, const char *cell);

/* repl/input.c: whether a cell that looks like this wants more lines. */
bool rt_repl_wants_more(const char *language, const char *text);

/* repl/show.c: events and outcomes on the terminal. */
void rt_repl_event(const struct retort_event *event, void *repl);
void rt_repl_outcome(struct rt_repl *repl, const struct retort_outcome *outcome);

/* repl/images.c */
enum rt_images rt_images_of_terminal(void);
/* Shows an image (base64), or saves it and says where. type: "png", "jpeg". */
void rt_images_show(struct rt_repl *repl, const char *type, const char *base64);
/* Saves a text (svg, html) and says where. */
void rt_images_save_text(struct rt_repl *repl, const char *type, const char *text, size_t size);

int rt_repl_main(struct rt_cli *cli, void *target, const struct rt_words *words);
