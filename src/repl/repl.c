/* SPDX-License-Identifier: Apache-2.0 */
#include "repl/repl.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"
#include "cli/out.h"
#include "cli/units.h"

enum { MAX_CELL = 32 << 20, A_DAY_MS = 86400000 };

static volatile sig_atomic_t cell_fd = -1; /* eventfd of the cell that runs */

static void on_interrupt(int number) {
        (void)number;
        if (cell_fd >= 0)
                (void)eventfd_write(cell_fd, 1);
}

static void say(struct rt_repl *repl, const char *text) {
        (void)rt_out_write(repl->cli->out, text, strlen(text));
}

void rt_repl_complain(struct rt_repl *repl, const struct retort_error *err) {
        repl->failed = true;
        (void)rt_cli_complain(repl->cli, "%s", err->message);
}

/* Ctrl-C is this descriptor's as long as something runs. */
static void catch_interrupts(int cancel, struct sigaction *before) {
        struct sigaction now = { .sa_handler = on_interrupt };
        cell_fd = cancel;
        (void)sigaction(SIGINT, &now, before);
}

static void let_interrupts_go(const struct sigaction *before) {
        (void)sigaction(SIGINT, before, NULL);
        cell_fd = -1;
}

static void run_cell(struct rt_repl *repl, const char *code, size_t size) {
        struct retort_error err = { 0 };
        struct retort_outcome *outcome = NULL;
        struct sigaction before;
        rt_auto_close int cancel = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        const struct retort_cell cell = { .code = { code, size }, .cancel_fd = cancel };
        catch_interrupts(cancel, &before);
        int r = retort_context_run(repl->context, &cell, rt_repl_event, repl, &outcome, &err);
        let_interrupts_go(&before);
        if (r < 0) {
                rt_repl_complain(repl, &err);
                return;
        }
        eventfd_t interrupted = 0;
        repl->mid_line |= eventfd_read(cancel, &interrupted) == 0 && repl->terminal; /* which shows ^C */
        rt_repl_outcome(repl, outcome);
        bool dead = outcome->context_state && strcmp(outcome->context_state, "dead") == 0;
        retort_outcome_free(outcome);
        if (dead) {
                struct retort_context_info info;
                retort_context_info(repl->context, &info);
                (void)rt_cli_complain(repl->cli, "the state is lost: %s; :restart begins anew", info.why);
        }
}

void rt_repl_command(struct rt_repl *repl, const char *text) {
        rt_auto_close int cancel = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        const struct retort_command command = { .shell = text, .cancel_fd = cancel };
        struct retort_outcome *outcome = NULL;
        struct retort_error err = { 0 };
        struct sigaction before;
        catch_interrupts(cancel, &before);
        int r = retort_context_command(repl->context, &command, rt_repl_event, repl, &outcome, &err);
        let_interrupts_go(&before);
        if (r < 0) {
                rt_repl_complain(repl, &err);
                return;
        }
        rt_repl_outcome(repl, outcome);
        retort_outcome_free(outcome);
}

/* ---- who cells go to ---- */

void rt_repl_use(struct rt_repl *repl, unsigned at) {
        repl->at = at;
        repl->context = repl->places[at].context;
        (void)snprintf(repl->language, sizeof repl->language, "%s", repl->places[at].language);
}

void rt_repl_add(struct rt_repl *repl, retort_context *context) {
        struct retort_context_info info;
        retort_context_info(context, &info);
        repl->places[repl->n_places].context = context;
        (void)snprintf(repl->places[repl->n_places].language, sizeof repl->places[0].language, "%.39s", info.language);
        rt_repl_use(repl, repl->n_places++);
}

/* ---- the loop ---- */

static void forget(struct rt_buf *cell) {
        rt_buf_clear(cell);
        *cell = RT_BUF(MAX_CELL);
}

static void take_cell(struct rt_repl *repl, struct rt_editor *editor, struct rt_buf *cell) {
        if (cell->size > 0 && strspn(cell->data, " \t\n") < cell->size) {
                rt_editor_remember(editor, cell->data);
                run_cell(repl, cell->data, cell->size);
        }
        forget(cell);
}

/* One line. False: it was the last. */
static bool take_line(struct rt_repl *repl, struct rt_editor *editor, struct rt_buf *cell) {
        bool interrupted, end = false;
        const char *line = rt_editor_line(editor, cell->size > 0, cell, &interrupted);
        if (interrupted) {
                forget(cell);
                return true;
        }
        if (line && cell->size == 0 && rt_repl_word(repl, line, &end)) {
                rt_editor_remember(editor, line);
                return !end;
        }
        if (line && rt_buf_add(cell, line, strlen(line)) != RT_BUF_OK) {
                (void)rt_cli_complain(repl->cli, "a cell may have %d MiB", MAX_CELL >> 20);
                forget(cell);
                return true;
        }
        if (line && *line && rt_repl_wants_more(repl->language, cell->data))
                (void)rt_buf_add(cell, "\n", 1);
        else
                take_cell(repl, editor, cell);
        return line;
}

/* ---- opening ---- */

static int open_context(struct rt_repl *repl, struct retort_error *err) {
        struct retort_context_options options = { .language = repl->language, .cwd = repl->opts->cwd, .packages = repl->opts->packages, .env = repl->opts->env.items,
                                                  .n_env = repl->opts->env.n, .idle_ms = A_DAY_MS };
        const struct retort_config config = { .minimum = rt_cli_isolation(repl->opts->isolation ? repl->opts->isolation : "reduced"),
                                              .slots = 1, .no_warm = true, .no_cache = true };
        int r = 0;
        for (size_t i = 0; i < repl->opts->limits.n && r == 0; i++)
                r = rt_limit_parse(repl->opts->limits.items[i], &options.limits, err);
        if (r == 0 && !options.limits.wall_ms)
                options.limits.wall_ms = A_DAY_MS; /* somebody sits there, and has Ctrl-C */
        if (r == 0 && !options.limits.cpu_ms)
                options.limits.cpu_ms = A_DAY_MS;
        r = r < 0 ? r : retort_engine_open(&repl->engine, &config, err);
        retort_context *context = NULL;
        r = r < 0 ? r : retort_context_open(repl->engine, &options, &context, err);
        if (r == 0)
                rt_repl_add(repl, context);
        return r;
}

static enum rt_images images_of(const struct rt_repl *repl) {
        static const char *const names[] = { [RT_IMAGES_SAVE] = "save", [RT_IMAGES_NONE] = "none", [RT_IMAGES_KITTY] = "kitty",
                                             [RT_IMAGES_ITERM] = "iterm", [RT_IMAGES_SIXEL] = "sixel" };
        for (size_t i = 0; repl->opts->images && i < RT_LEN(names); i++)
                if (strcmp(names[i], repl->opts->images) == 0)
                        return (enum rt_images)i;
        return repl->terminal ? rt_images_of_terminal() : RT_IMAGES_SAVE;
}

static void greet(struct rt_repl *repl) {
        struct retort_context_info info;
        rt_auto_buf struct rt_buf text = RT_BUF(512);
        retort_context_info(repl->context, &info);
        (void)rt_buf_printf(&text, "%s %s in a box. :help lists what the prompt knows, Ctrl-D ends.\n", info.language, info.version);
        if (repl->terminal)
                (void)rt_out_flush(repl->cli->out, &text);
}

int rt_repl_main(struct rt_cli *cli, void *target, const struct rt_words *operands) {
        struct rt_repl repl = { .cli = cli, .opts = target };
        struct retort_error err = { 0 };
        struct rt_editor *editor = NULL;
        rt_auto_buf struct rt_buf cell = RT_BUF(MAX_CELL);
        (void)snprintf(repl.language, sizeof repl.language, "%.39s", operands->operands.n ? operands->operands.items[0] : "python");
        repl.terminal = isatty(0) && isatty(1);
        repl.images = images_of(&repl);
        (void)signal(SIGPIPE, SIG_IGN);
        int r = open_context(&repl, &err);
        if (r == 0) {
                greet(&repl);
                r = rt_editor_open(&repl, &editor, &err);
        }
        while (r == 0 && take_line(&repl, editor, &cell))
                continue;
        if (r == 0 && repl.terminal)
                say(&repl, "\n");
        rt_editor_close(editor);
        while (repl.n_places > 0)
                retort_context_close(repl.places[--repl.n_places].context);
        retort_engine_close(repl.engine);
        if (r < 0)
                return rt_cli_complain(cli, "%s", err.message);
        return !repl.terminal && repl.failed ? 1 : 0;
}
