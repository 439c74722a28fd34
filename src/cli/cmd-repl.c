/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/repl.h"

static int become_repl(struct rt_cli *cli, void *target, const struct rt_words *words) {
        (void)target, (void)words;
        return rt_cli_become(cli, "RETORT_REPL", "retort-repl", RT_LIBEXEC_DIR "/retort-repl", "retort");
}

#define AT(member) .offset = offsetof(struct rt_repl_opts, member)
static const struct rt_opt options[] = {
        { 'E', "env", "NAME=VALUE", "set an environment variable; may be repeated", RT_OPT_LIST, AT(env) },
        { 'L', "limit", "NAME=VALUE", "set a limit, of the box (memory=1G) or of each cell (wall=30s); may be repeated", RT_OPT_LIST, AT(limits) },
        { 'C', "directory", "PATH", "where cells begin, in the box", RT_OPT_TEXT, AT(cwd) },
        { 'P', "packages", "PATH", "where the interpreter looks for packages first, in the box; several with colons between them", RT_OPT_TEXT,
          AT(packages) },
        { 'i', "images", "HOW", "how images are shown; default: as the terminal can, else save", RT_OPT_TEXT, AT(images),
          .choices = "kitty|iterm|sixel|save|none" },
        { 's', "save", "DIRECTORY", "where images that are not shown are saved; default: here", RT_OPT_TEXT, AT(save), .is_file = true },
        { 0, "isolation", "LEVEL", "refuse to run with less isolation than this (default: reduced)", RT_OPT_TEXT, AT(isolation),
          .choices = RT_ISOLATION_CHOICES },
        { 0 },
};

const struct rt_cmd rt_cmd_repl = {
        .name = "repl",
        .args = "[LANGUAGE]",
        .help = "an interactive prompt whose state stays, in a box",
        .text = "LANGUAGE is python unless given; retort languages says which keep state. A cell ends with its line, or, while brackets are "
                "open or a block goes on, with an empty one. Ctrl-C interrupts a cell and keeps the state, Ctrl-D ends. Tab completes. "
                "Images appear in terminals that can show them (kitty, iTerm2, sixel), else they are saved and named.\n\n"
                "Lines that begin with a colon are for the prompt: :help lists them. Without a terminal, cells are read from stdin; the exit "
                "status is 1 if one of them failed.",
        .opts = options,
        .target_size = sizeof(struct rt_repl_opts),
        .max_operands = 1,
        .main = become_repl,
};
