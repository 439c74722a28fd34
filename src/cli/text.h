/* SPDX-License-Identifier: Apache-2.0
 *
 * Text for terminals: tables with columns, and help made from the commands' entries.
 */
#pragma once

#include "base/buf.h"
#include "cli/cli.h"

enum { RT_TABLE_MAX = 6 };

/* Rows of texts. Zero-initialise, set columns (at most RT_TABLE_MAX) and arena. The texts must outlive the table. */
struct rt_table {
        size_t columns;
        struct rt_arena *arena;
        struct rt_list cells;
        size_t width[RT_TABLE_MAX];
};
/* Adds a row of `columns` texts. When memory is short the row is left out. */
void rt_table_row(struct rt_table *table, const char *const *cells);
void rt_table_print(const struct rt_table *table, struct rt_buf *out);

/* What "retort" and "retort help" print. */
void rt_help_all(const struct rt_cmd *const *cmds, struct rt_buf *out);
/* What "retort help COMMAND" prints. */
void rt_help_command(const struct rt_cmd *cmd, struct rt_buf *out);
