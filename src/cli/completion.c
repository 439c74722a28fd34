/* SPDX-License-Identifier: Apache-2.0
 *
 * Every script is the commands' tables written in a shell's words; limits complete to "name=".
 */
#include "cli/completion.h"

#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "cli/units.h"

static bool is_limit(const struct rt_opt *o) {
        return strcmp(o->name, "limit") == 0 || strcmp(o->name, "compile-limit") == 0;
}

/* The words an option's value may be, separated by spaces; "" when they are not known. */
static void values(struct rt_buf *out, const struct rt_opt *o) {
        for (const char *c = o->choices; c && *c; c++)
                (void)rt_buf_printf(out, "%c", *c == '|' ? ' ' : *c);
        for (size_t i = 0; is_limit(o) && i < RT_N_LIMITS; i++)
                (void)rt_buf_printf(out, "%s%s=", i ? " " : "", rt_limits[i].name);
}

/* For single quotes: ' becomes '\''. */
static void quoted(struct rt_buf *out, const char *text) {
        (void)rt_buf_printf(out, "'");
        for (const char *c = text; *c; c++)
                (void)rt_buf_printf(out, *c == '\'' ? "'\\''" : "%c", *c);
        (void)rt_buf_printf(out, "'");
}

static void bash_command(struct rt_buf *out, const struct rt_cmd *cmd) {
        (void)rt_buf_printf(out, "        %s)\n                case $prev in\n", cmd->name);
        for (const struct rt_opt *o = cmd->opts; o && o->name; o++) {
                if (o->kind == RT_OPT_FLAG)
                        continue;
                (void)rt_buf_printf(out, "                --%s", o->name);
                if (o->letter)
                        (void)rt_buf_printf(out, "|-%c", o->letter);
                if (o->is_file) {
                        (void)rt_buf_printf(out, ") mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); return ;;\n");
                        continue;
                }
                (void)rt_buf_printf(out, ") mapfile -t COMPREPLY < <(compgen -W '");
                values(out, o);
                (void)rt_buf_printf(out, "' -- \"$cur\"); return ;;\n");
        }
        (void)rt_buf_printf(out, "                esac\n                words='--help");
        for (const struct rt_opt *o = cmd->opts; o && o->name; o++)
                (void)rt_buf_printf(out, " --%s", o->name);
        (void)rt_buf_printf(out, "' ;;\n");
}

static void bash(const struct rt_cmd *const *cmds, struct rt_buf *out) {
        (void)rt_buf_printf(out, "# bash completion for retort; made by: retort completion bash\n"
                                 "_retort() {\n"
                                 "        local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words\n"
                                 "        COMPREPLY=()\n"
                                 "        if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                                 "                mapfile -t COMPREPLY < <(compgen -W '");
        for (size_t i = 0; cmds[i]; i++)
                (void)rt_buf_printf(out, "%s ", cmds[i]->name);
        (void)rt_buf_printf(out, "--help --version' -- \"$cur\")\n                return\n        fi\n"
                                 "        case ${COMP_WORDS[1]} in\n");
        for (size_t i = 0; cmds[i]; i++)
                bash_command(out, cmds[i]);
        (void)rt_buf_printf(out, "        *) return ;;\n        esac\n"
                                 "        case $cur in\n"
                                 "        -*) mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\") ;;\n"
                                 "        *) mapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ;;\n"
                                 "        esac\n}\n"
                                 "complete -o filenames -o nospace -F _retort retort\n");
}

/* In _arguments a description stands in brackets and a colon separates: both are escaped. */
static void zsh_option(struct rt_buf *out, const struct rt_opt *o) {
        rt_auto_buf struct rt_buf spec = RT_BUF(4096);
        (void)rt_buf_printf(&spec, "%s--%s%s[", o->kind == RT_OPT_LIST ? "*" : "", o->name, o->arg ? "=" : "");
        for (const char *c = o->help; *c; c++)
                (void)rt_buf_printf(&spec, strchr("[]:\\", *c) ? "\\%c" : "%c", *c);
        (void)rt_buf_printf(&spec, "]");
        if (o->arg)
                (void)rt_buf_printf(&spec, ":%s:", o->arg);
        if (o->is_file) {
                (void)rt_buf_printf(&spec, "_files");
        } else if (o->choices || is_limit(o)) {
                (void)rt_buf_printf(&spec, "(");
                values(&spec, o);
                (void)rt_buf_printf(&spec, ")");
        }
        (void)rt_buf_printf(out, "                ");
        quoted(out, spec.data ? spec.data : "");
        (void)rt_buf_printf(out, " \\\n");
}

static void zsh(const struct rt_cmd *const *cmds, struct rt_buf *out) {
        (void)rt_buf_printf(out, "#compdef retort\n# made by: retort completion zsh\n_retort() {\n"
                                 "        local -a commands\n        commands=(\n");
        for (size_t i = 0; cmds[i]; i++) {
                rt_auto_buf struct rt_buf line = RT_BUF(1024);
                (void)rt_buf_printf(&line, "%s:%s", cmds[i]->name, cmds[i]->help);
                (void)rt_buf_printf(out, "                ");
                quoted(out, line.data ? line.data : "");
                (void)rt_buf_printf(out, "\n");
        }
        (void)rt_buf_printf(out, "        )\n        if (( CURRENT == 2 )); then\n"
                                 "                _describe command commands\n                return\n        fi\n"
                                 "        local command=$words[2]\n        shift words\n        (( CURRENT-- ))\n"
                                 "        case $command in\n");
        for (size_t i = 0; cmds[i]; i++) {
                (void)rt_buf_printf(out, "        %s)\n                _arguments \\\n", cmds[i]->name);
                for (const struct rt_opt *o = cmds[i]->opts; o && o->name; o++)
                        zsh_option(out, o);
                (void)rt_buf_printf(out, "                '--help[print help]' '*:file:_files' ;;\n");
        }
        (void)rt_buf_printf(out, "        esac\n}\n_retort \"$@\"\n");
}

static void fish_option(struct rt_buf *out, const char *command, const struct rt_opt *o) {
        (void)rt_buf_printf(out, "complete -c retort -n '__fish_seen_subcommand_from %s' -l %s", command, o->name);
        if (o->letter)
                (void)rt_buf_printf(out, " -s %c", o->letter);
        if (o->arg)
                (void)rt_buf_printf(out, o->is_file ? " -r -F" : " -x");
        if (o->choices || is_limit(o)) {
                (void)rt_buf_printf(out, " -a '");
                values(out, o);
                (void)rt_buf_printf(out, "'");
        }
        (void)rt_buf_printf(out, " -d ");
        quoted(out, o->help);
        (void)rt_buf_printf(out, "\n");
}

static void fish(const struct rt_cmd *const *cmds, struct rt_buf *out) {
        (void)rt_buf_printf(out, "# fish completion for retort; made by: retort completion fish\n");
        for (size_t i = 0; cmds[i]; i++) {
                (void)rt_buf_printf(out, "complete -c retort -f -n __fish_use_subcommand -a %s -d ", cmds[i]->name);
                quoted(out, cmds[i]->help);
                (void)rt_buf_printf(out, "\n");
                for (const struct rt_opt *o = cmds[i]->opts; o && o->name; o++)
                        fish_option(out, cmds[i]->name, o);
        }
}

int rt_completion(const char *shell, const struct rt_cmd *const *cmds, struct rt_buf *out) {
        static const struct {
                const char *name;
                void (*print)(const struct rt_cmd *const *cmds, struct rt_buf *out);
        } shells[] = { { "bash", bash }, { "zsh", zsh }, { "fish", fish } };
        for (size_t i = 0; i < RT_LEN(shells); i++)
                if (strcmp(shells[i].name, shell) == 0)
                        return shells[i].print(cmds, out), 0;
        return RETORT_E_INPUT;
}
