/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/text.h"

#include <string.h>

enum { LINE = 80, OPTION_COLUMN = 30 };

void rt_table_row(struct rt_table *table, const char *const *cells) {
        size_t before = table->cells.n;
        for (size_t i = 0; i < table->columns; i++)
                if (rt_list_add(&table->cells, table->arena, cells[i], NULL) < 0) {
                        table->cells.n = before;
                        return;
                }
        for (size_t i = 0; i < table->columns; i++)
                if (strlen(cells[i]) > table->width[i])
                        table->width[i] = strlen(cells[i]);
}

void rt_table_print(const struct rt_table *table, struct rt_buf *out) {
        for (size_t i = 0; i < table->cells.n; i++) {
                size_t column = i % table->columns;
                if (column + 1 == table->columns)
                        (void)rt_buf_printf(out, "%s\n", table->cells.items[i]);
                else
                        (void)rt_buf_printf(out, "%-*s  ", (int)table->width[column], table->cells.items[i]);
        }
}

/* Words in lines of at most LINE columns, each behind indent spaces; at is the column we are in. */
static void wrap(const char *text, size_t indent, size_t at, struct rt_buf *out) {
        for (const char *word = text; *word;) {
                size_t size = strcspn(word, " \n");
                if (at > indent && at + 1 + size > LINE) {
                        (void)rt_buf_printf(out, "\n%*s", (int)indent, "");
                        at = indent;
                }
                (void)rt_buf_printf(out, "%s%.*s", at > indent ? " " : "", (int)size, word);
                at += size + (at > indent);
                word += size;
                if (strncmp(word, "\n\n", 2) == 0) {
                        (void)rt_buf_printf(out, "\n\n%*s", (int)indent, "");
                        at = indent;
                }
                word += strspn(word, " \n");
        }
        (void)rt_buf_printf(out, "\n");
}

static void print_option(const struct rt_opt *o, struct rt_buf *out) {
        size_t start = out->size;
        if (o->letter)
                (void)rt_buf_printf(out, "  -%c, --%s", o->letter, o->name);
        else
                (void)rt_buf_printf(out, "      --%s", o->name);
        if (o->arg)
                (void)rt_buf_printf(out, " %s", o->arg);
        size_t at = out->size - start;
        if (at + 2 > OPTION_COLUMN)
                (void)rt_buf_printf(out, "\n%*s", OPTION_COLUMN, "");
        else
                (void)rt_buf_printf(out, "%*s", (int)(OPTION_COLUMN - at), "");
        wrap(o->help, OPTION_COLUMN, OPTION_COLUMN, out);
        if (o->choices)
                (void)rt_buf_printf(out, "%*s%s\n", OPTION_COLUMN, "", o->choices);
}

void rt_help_command(const struct rt_cmd *cmd, struct rt_buf *out) {
        bool opts = cmd->opts && cmd->opts->name;
        (void)rt_buf_printf(out, "Usage: retort %s%s%s%s\n\n", cmd->name, opts ? " [OPTION...]" : "",
                            cmd->args[0] ? " " : "", cmd->args);
        (void)rt_buf_printf(out, "%c%s.\n", cmd->help[0] - 'a' + 'A', cmd->help + 1);
        if (cmd->text) {
                (void)rt_buf_printf(out, "\n");
                wrap(cmd->text, 0, 0, out);
        }
        (void)rt_buf_printf(out, "\nOptions:\n");
        for (const struct rt_opt *o = cmd->opts; o && o->name; o++)
                print_option(o, out);
        print_option(&(struct rt_opt){ .letter = 'h', .name = "help", .help = "print this" }, out);
}

void rt_help_all(const struct rt_cmd *const *cmds, struct rt_buf *out) {
        (void)rt_buf_printf(out, "Retort runs code that nobody trusts in a sandbox, and tells exactly what happened.\n\n"
                                 "Usage: retort COMMAND ...\n\n");
        for (size_t i = 0; cmds[i]; i++)
                (void)rt_buf_printf(out, "  %-12s %s\n", cmds[i]->name, cmds[i]->help);
        (void)rt_buf_printf(out, "\nExamples:\n"
                                 "  retort run hello.py\n"
                                 "  retort run --limit memory=256M --limit wall=2s main.c util.c -- one two\n"
                                 "  retort run -l python -c 'print(6 * 7)' --json\n"
                                 "\nretort help COMMAND explains one; retort man prints the manual page.\n");
}
