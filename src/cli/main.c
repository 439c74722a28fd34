/* SPDX-License-Identifier: Apache-2.0
 *
 * From words to a command: finds its entry, reads its options, calls it.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "cli/cli.h"
#include "cli/out.h"
#include "base/suggest.h"
#include "cli/text.h"

const struct rt_cmd *rt_cli_find(const struct rt_cmd *const *cmds, const char *name) {
        for (size_t i = 0; cmds[i]; i++)
                if (strcmp(cmds[i]->name, name) == 0)
                        return cmds[i];
        return NULL;
}

int rt_cli_complain(struct rt_cli *cli, const char *format, ...) {
        rt_auto_buf struct rt_buf line = RT_BUF(8192);
        char words[4096];
        va_list args;
        va_start(args, format);
        (void)vsnprintf(words, sizeof words, format, args);
        va_end(args);
        const char *on = cli->colour ? "\033[31m" : "";
        (void)rt_buf_printf(&line, "%sretort:%s %s\n", on, cli->colour ? "\033[0m" : "", words);
        (void)rt_out_flush(cli->err, &line);
        return RT_EXIT_OURS;
}

static int check_operands(struct rt_cli *cli, const struct rt_cmd *cmd, size_t n) {
        const char *space = cmd->args[0] ? " " : "";
        if (n < cmd->min_operands)
                return rt_cli_complain(cli, "usage: retort %s%s%s", cmd->name, space, cmd->args);
        if (n > cmd->max_operands)
                return rt_cli_complain(cli, "too many words; usage: retort %s%s%s", cmd->name, space, cmd->args);
        return 0;
}

static int run_command(struct rt_cli *cli, const struct rt_cmd *cmd, char *const *argv) {
        struct retort_error err = { 0 };
        struct rt_words words = { 0 };
        rt_auto_free void *target = calloc(1, cmd->target_size ? cmd->target_size : 1);
        if (!target)
                return rt_cli_complain(cli, "out of memory");
        if (rt_opts_parse(cmd->opts, cmd->takes_rest, argv, &cli->arena, target, &words, &err) < 0)
                return rt_cli_complain(cli, "%s", err.message);
        if (words.help) {
                rt_auto_buf struct rt_buf out = RT_BUF(1 << 20);
                rt_help_command(cmd, &out);
                return rt_out_flush(cli->out, &out) < 0 ? RT_EXIT_OURS : 0;
        }
        int r = check_operands(cli, cmd, words.operands.n);
        return r ? r : cmd->main(cli, target, &words);
}

static int unknown_command(struct rt_cli *cli, const char *word) {
        const char *names[32];
        size_t n = 0;
        for (; cli->cmds[n] && n < RT_LEN(names); n++)
                names[n] = cli->cmds[n]->name;
        const char *near = rt_suggest(word, names, n);
        if (near)
                return rt_cli_complain(cli, "unknown command \"%s\"; did you mean %s?", word, near);
        if (access(word, R_OK) == 0)
                return rt_cli_complain(cli, "unknown command \"%s\"; to run that file: retort run %s", word, word);
        return rt_cli_complain(cli, "unknown command \"%s\"; retort help lists them", word);
}

/* "--help" and "--version" are the commands of these names. */
static const char *spelled_out(const char *word) {
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
                return "help";
        if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
                return "version";
        return word;
}

/* A closed descriptor 0, 1 or 2 would be taken by the next file that is opened. */
static void fill_standard_descriptors(void) {
        int fd;
        do
                fd = open("/dev/null", O_RDWR); /* inherited by what is started, as descriptors 0 to 2 are */
        while (fd >= 0 && fd <= STDERR_FILENO);
        (void)rt_close(fd);
}

static void clear(struct rt_cli *cli) {
        rt_arena_clear(&cli->arena);
}

int rt_cli_main(const struct rt_cmd *const *cmds, char *const *argv) {
        fill_standard_descriptors();
        const char *no_color = getenv("NO_COLOR");
        __attribute__((cleanup(clear))) struct rt_cli cli = {
                .out = STDOUT_FILENO,
                .err = STDERR_FILENO,
                .colour = isatty(STDERR_FILENO) && !(no_color && no_color[0]),
                .cmds = cmds,
                .argv = argv,
        };
        if (!argv[0] || !argv[1]) {
                rt_auto_buf struct rt_buf out = RT_BUF(1 << 20);
                rt_help_all(cmds, &out);
                return rt_out_flush(cli.out, &out) < 0 ? RT_EXIT_OURS : 0;
        }
        const struct rt_cmd *cmd = rt_cli_find(cmds, spelled_out(argv[1]));
        return cmd ? run_command(&cli, cmd, argv + 2) : unknown_command(&cli, argv[1]);
}
