/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/summary.h"

#include <inttypes.h>
#include <string.h>

#include "base/util.h"
#include "cli/units.h"

static const struct {
        const char *name;
        int exit;
} table[] = {
#define X(which, wire, text) [RETORT_##which].name = wire,
        RETORT_STATUSES(X)
#undef X
#define X(which, status) [RETORT_##which].exit = status,
        RT_EXITS(X)
#undef X
};

int rt_exit_status(const struct retort_outcome *outcome) {
        int exit = (size_t)outcome->status < RT_LEN(table) ? table[outcome->status].exit : 125;
        if (exit == RT_EXIT_SIGNALLED)
                return 128 + outcome->signal;
        if (exit != RT_EXIT_OWN)
                return exit;
        return outcome->exit_code == 125 ? 1 : outcome->exit_code & 0xff;
}

static const char *colour_of(enum retort_status status) {
        return status == RETORT_OK ? "\033[32m" : status == RETORT_CANCELLED ? "\033[33m" : "\033[31m";
}

static void explain_limit(const struct retort_hit *hit, struct rt_buf *out) {
        if (strcmp(hit->name, "syscall") == 0) {
                (void)rt_buf_printf(out, "retort: stopped: system call %s is refused\n",
                                    hit->how ? hit->how : "(unknown)");
                return;
        }
        const struct rt_limit *limit = rt_limit_find(hit->name, strlen(hit->name));
        if (!limit)
                return;
        (void)rt_buf_printf(out, "retort: stopped: %s limit ", limit->name);
        rt_print_limit(out, limit, hit->value, RT_ROUND);
        (void)rt_buf_printf(out, " reached (measured ");
        rt_print_limit(out, limit, hit->measured, RT_TENTHS);
        (void)rt_buf_printf(out, "%s%s)\n", hit->how ? " by " : "", hit->how ? hit->how : "");
}

static void explain_compile(const struct retort_outcome *o, struct rt_buf *out) {
        size_t errors = 0;
        const struct retort_diagnostic *first = NULL;
        for (size_t i = 0; i < o->n_diagnostics; i++) {
                const struct retort_diagnostic *d = &o->diagnostics[i];
                if (!d->severity || strcmp(d->severity, "error") != 0)
                        continue;
                errors++;
                first = first ? first : d;
        }
        if (!first)
                return;
        (void)rt_buf_printf(out, "retort: %zu compile error%s, the first at %s", errors, errors == 1 ? "" : "s",
                            first->file ? first->file : "(no file)");
        if (first->line)
                (void)rt_buf_printf(out, ":%" PRIu32, first->line);
        if (first->line && first->column)
                (void)rt_buf_printf(out, ":%" PRIu32, first->column);
        (void)rt_buf_printf(out, ": %s\n", first->message ? first->message : "");
}

static void print_ending(const struct retort_outcome *o, bool colour, struct rt_buf *out) {
        const char *name = (size_t)o->status < RT_LEN(table) ? table[o->status].name : "unknown";
        (void)rt_buf_printf(out, "retort: %s%s%s", colour ? colour_of(o->status) : "", name,
                            colour ? "\033[0m" : "");
        if (o->signal)
                (void)rt_buf_printf(out, ", signal %d (SIG%s)", o->signal,
                                    sigabbrev_np(o->signal) ? sigabbrev_np(o->signal) : "?");
        else if (o->exit_code >= 0)
                (void)rt_buf_printf(out, ", exit %d", o->exit_code);
        if (o->error.name)
                (void)rt_buf_printf(out, ", %s", o->error.name);
}

static void print_usage(const struct retort_usage *u, struct rt_buf *out) {
        (void)rt_buf_printf(out, ", wall ");
        rt_print_ns(out, u->wall_ns);
        (void)rt_buf_printf(out, ", cpu ");
        if (u->cpu_how)
                rt_print_ns(out, u->cpu_ns);
        else
                (void)rt_buf_printf(out, "not measured");
        (void)rt_buf_printf(out, ", peak memory ");
        if (u->memory_how)
                rt_print_size(out, u->peak_memory_bytes, RT_TENTHS);
        else
                (void)rt_buf_printf(out, "not measured");
}

static void print_isolation(const struct retort_outcome *o, struct rt_buf *out) {
        (void)rt_buf_printf(out, ", isolation %s", o->isolation_level ? o->isolation_level : "unknown");
        for (size_t i = 0; i < o->n_isolation_missing; i++)
                (void)rt_buf_printf(out, "%s%s%s", i ? ", " : " (missing: ", o->isolation_missing[i],
                                    i + 1 == o->n_isolation_missing ? ")" : "");
}

void rt_summary(const struct retort_outcome *o, bool colour, struct rt_buf *out) {
        if (o->limit.name)
                explain_limit(&o->limit, out);
        if (o->status == RETORT_COMPILE_ERROR)
                explain_compile(o, out);
        if (o->message)
                (void)rt_buf_printf(out, "retort: %s\n", o->message);
        print_ending(o, colour, out);
        print_usage(&o->usage, out);
        print_isolation(o, out);
        (void)rt_buf_printf(out, "\n");
}
