/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/man.h"

#include <string.h>

#include "cli/summary.h"
#include "cli/units.h"

/* Text with what roff would take for its own made harmless. An empty line becomes a paragraph. */
static void text(struct rt_buf *out, const char *words) {
        bool line_start = true;
        for (const char *c = words; *c; c++) {
                if (strncmp(c, "\n\n", 2) == 0) {
                        (void)rt_buf_printf(out, "\n.PP\n");
                        c++;
                        line_start = true;
                        continue;
                }
                if (line_start && (*c == '.' || *c == '\''))
                        (void)rt_buf_printf(out, "\\&");
                if (*c == '\\')
                        (void)rt_buf_printf(out, "\\e");
                else if (*c == '-')
                        (void)rt_buf_printf(out, "\\-");
                else
                        (void)rt_buf_add(out, c, 1);
                line_start = *c == '\n';
        }
}

static void option(struct rt_buf *out, const struct rt_opt *o) {
        (void)rt_buf_printf(out, ".TP\n");
        if (o->letter)
                (void)rt_buf_printf(out, "\\fB\\-%c\\fR, ", o->letter);
        (void)rt_buf_printf(out, "\\fB\\-\\-");
        text(out, o->name);
        (void)rt_buf_printf(out, "\\fR");
        if (o->arg)
                (void)rt_buf_printf(out, " \\fI%s\\fR", o->arg);
        (void)rt_buf_printf(out, "\n");
        text(out, o->help);
        if (o->choices) {
                (void)rt_buf_printf(out, ": ");
                text(out, o->choices);
        }
        (void)rt_buf_printf(out, ".\n");
}

static void command(struct rt_buf *out, const struct rt_cmd *cmd) {
        (void)rt_buf_printf(out, ".SS retort %s%s %s\n", cmd->name, cmd->opts ? " [OPTION...]" : "", cmd->args);
        text(out, cmd->help);
        (void)rt_buf_printf(out, ".\n");
        if (cmd->text) {
                (void)rt_buf_printf(out, ".PP\n");
                text(out, cmd->text);
                (void)rt_buf_printf(out, "\n");
        }
        for (const struct rt_opt *o = cmd->opts; o && o->name; o++)
                option(out, o);
}

static void limits(struct rt_buf *out) {
        (void)rt_buf_printf(out, ".SH LIMITS\n");
        text(out, "Every step has every limit; what is not given is the language's default. Times take ms, s, m and "
                  "h; sizes take B, K, M, G, T, KiB, MiB, GiB, TiB (powers of 1024) and kB, MB, GB, TB (powers of "
                  "1000).\n");
        for (size_t i = 0; i < RT_N_LIMITS; i++) {
                const struct rt_limit *l = &rt_limits[i];
                (void)rt_buf_printf(out, ".TP\n\\fB%s\\fR (%s)\n%s: default ", l->name, l->member, l->text);
                rt_print_limit(out, l, l->dflt, RT_ROUND);
                (void)rt_buf_printf(out, ", from ");
                rt_print_limit(out, l, l->floor, RT_ROUND);
                (void)rt_buf_printf(out, " to ");
                rt_print_limit(out, l, l->ceiling, RT_ROUND);
                (void)rt_buf_printf(out, ".\n");
        }
}

static void exit_line(struct rt_buf *out, const char *status, int exit, const char *meaning) {
        (void)rt_buf_printf(out, ".TP\n\\fB%s\\fR: ", status);
        if (exit == RT_EXIT_OWN)
                (void)rt_buf_printf(out, "the program's own\n");
        else if (exit == RT_EXIT_SIGNALLED)
                (void)rt_buf_printf(out, "128 and the signal's number\n");
        else
                (void)rt_buf_printf(out, "%d\n", exit);
        text(out, meaning);
        (void)rt_buf_printf(out, ".\n");
}

static void exits(struct rt_buf *out) {
        (void)rt_buf_printf(out, ".SH EXIT STATUS\n");
        text(out, "Of retort run, by the status of the outcome:\n");
        enum {
#define X(which, status) EXIT_##which = (status),
                RT_EXITS(X)
#undef X
        };
#define X(name, wire, meaning) exit_line(out, wire, EXIT_##name, meaning);
        RETORT_STATUSES(X)
#undef X
        (void)rt_buf_printf(out, ".PP\n");
        text(out, "125 is only ever Retort's: wrong options, a file that cannot be read, a request that was refused, "
                  "an engine that cannot start. A program that itself ends with 125 gives 1; the summary and --json "
                  "still say 125. When nobody reads the output any more the program is stopped and the status is "
                  "141.\n");
}

static void environment(struct rt_buf *out) {
        static const char *const lines[][2] = {
                { "RETORT_RUNTIMES", "the directory of the runtimes, instead of the installed one" },
                { "RETORT_LIBEXEC", "the directory of retort-jailer and retort-init, instead of the installed one" },
                { "RETORT_SERVER", "the program behind serve, keys, config and top, instead of the retortd beside retort" },
                { "RETORT_URL", "which server top looks at" },
                { "RETORT_API_KEY", "the key it shows there" },
                { "NO_COLOR", "when it is set and not empty, no colours" },
                { "TMPDIR", "where files go on hosts without mount namespaces" },
        };
        (void)rt_buf_printf(out, ".SH ENVIRONMENT\n");
        for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
                (void)rt_buf_printf(out, ".TP\n\\fB%s\\fR\n", lines[i][0]);
                text(out, lines[i][1]);
                (void)rt_buf_printf(out, ".\n");
        }
}

void rt_man(const struct rt_cmd *const *cmds, struct rt_buf *out) {
        (void)rt_buf_printf(out, ".TH RETORT 1 \"\" \"retort %s\" \"User Commands\"\n", RETORT_VERSION);
        (void)rt_buf_printf(out, ".SH NAME\nretort \\- run untrusted code in a sandbox and report what happened\n");
        (void)rt_buf_printf(out, ".SH SYNOPSIS\n\\fBretort\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR...] "
                                 "[\\fIWORD\\fR...]\n.SH COMMANDS\n");
        for (size_t i = 0; cmds[i]; i++)
                command(out, cmds[i]);
        limits(out);
        exits(out);
        environment(out);
}
