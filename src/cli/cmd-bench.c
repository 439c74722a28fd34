/* SPDX-License-Identifier: Apache-2.0
 *
 * "retort bench": what runs cost on this machine. Through the public library, as any user of it would do; the result is
 * one record, shown as a table, as JSON and as a plot.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/suggest.h"
#include "base/util.h"
#include "cli/bench.h"
#include "cli/cancel.h"
#include "cli/cli.h"
#include "cli/out.h"

enum { ROUNDS = 30, QUICK_ROUNDS = 5, ROUNDS_MAX = 100000, LANGUAGES_MAX = 128, HELLO_MAX = 16 * 1024, OUT_MAX = 4 << 20 };
enum { EXIT_INTERRUPTED = 130 };
#define SECONDS(n) ((uint64_t)((n) * 1e9))

struct bench_opts {
        struct rt_list languages;
        const char *runs;
        bool quick;
        bool json;
        const char *svg;
        const char *isolation;
        const char *without;
};

#define AT(member) .offset = offsetof(struct bench_opts, member)
static const struct rt_opt options[] = {
        { 'l', "language", "NAME", "measure this one only; may be repeated (default: all that are installed)", RT_OPT_LIST,
          AT(languages) },
        { 'n', "runs", "N", "rounds for each language (default: 30, or as many as go in 15 s; quick: 5, 3 s)", RT_OPT_TEXT, AT(runs) },
        { 0, "quick", NULL, "a first impression, in seconds", RT_OPT_FLAG, AT(quick) },
        { 'j', "json", NULL, "print it as JSON", RT_OPT_FLAG, AT(json) },
        { 0, "svg", "FILE", "write a plot too", RT_OPT_TEXT, AT(svg), .is_file = true },
        { 0, "isolation", "LEVEL", "fail when there is less isolation than this (default: reduced)", RT_OPT_TEXT, AT(isolation),
          .choices = RT_ISOLATION_CHOICES },
        { 0, "without", "NAMES", "do without these mechanisms, as doctor names them", RT_OPT_TEXT, AT(without) },
        { 0 },
};

/* ---- describe ---- */

static int set_up(struct rt_bench *b, const struct bench_opts *o, struct retort_error *err) {
        unsigned long rounds = o->quick ? QUICK_ROUNDS : ROUNDS;
        if (o->runs) {
                char *end;
                errno = 0;
                rounds = strtoul(o->runs, &end, 10);
                if (errno || *end || *o->runs < '0' || *o->runs > '9' || rounds < 1 || rounds > ROUNDS_MAX)
                        return rt_fail(err, RETORT_E_INPUT, "--runs is a number from 1 to %d, not \"%s\"", ROUNDS_MAX, o->runs);
        }
        b->quick = o->quick;
        b->rounds = (unsigned)rounds;
        b->budget_ns = o->runs ? 0 : o->quick ? SECONDS(3) : SECONDS(15);
        b->warm_ns = o->quick ? SECONDS(2) : SECONDS(5);
        b->flow_ns = o->quick ? SECONDS(0.5) : SECONDS(2);
        b->config.minimum = rt_cli_isolation(o->isolation ? o->isolation : "reduced");
        b->config.disable = o->without;
        return 0;
}

static const char *text_of(const json_t *object, const char *key) {
        const char *text = json_string_value(json_object_get(object, key));
        return text ? text : "";
}

static bool is_called(const json_t *language, const char *name) {
        size_t i;
        json_t *alias;
        if (strcasecmp(text_of(language, "name"), name) == 0)
                return true;
        json_array_foreach(json_object_get(language, "aliases"), i, alias)
                if (json_is_string(alias) && strcasecmp(json_string_value(alias), name) == 0)
                        return true;
        return false;
}

/* The hello program that every runtime's folder has. NULL: this one has none. */
static const char *hello_of(struct rt_arena *arena, const json_t *language) {
        const char *from_environment = secure_getenv("RETORT_RUNTIMES");
        const char *folder = from_environment && *from_environment ? from_environment : RT_RUNTIMES_DIR;
        size_t i;
        json_t *extension;
        json_array_foreach(json_object_get(language, "extensions"), i, extension) {
                const char *path = rt_arena_printf(arena, "%s/%s/hello.%s", folder, text_of(language, "name"),
                                                   json_string_value(extension));
                rt_auto_free char *text = NULL;
                if (path && rt_read_file_at(AT_FDCWD, path, HELLO_MAX, &text, NULL, NULL) == 0)
                        return rt_arena_strdup(arena, text);
        }
        return NULL;
}

static int add_language(struct rt_bench *b, const json_t *language, struct retort_error *err) {
        struct rt_bench_language *l = &b->languages[b->n];
        for (size_t i = 0; i < b->n; i++)
                if (strcmp(b->languages[i].name, text_of(language, "name")) == 0)
                        return 0; /* named twice */
        if (b->n == LANGUAGES_MAX)
                return rt_fail(err, RETORT_E_INPUT, "more than %d languages", LANGUAGES_MAX);
        l->name = rt_arena_strdup(b->arena, text_of(language, "name"));
        l->version = rt_arena_strdup(b->arena, text_of(language, "version"));
        l->warmth = rt_bench_warmth(language);
        if (!l->name || !l->version)
                return rt_fail_nomem(err);
        l->code = hello_of(b->arena, language);
        if (!l->code)
                (void)snprintf(l->why, sizeof l->why, "its folder has no hello program");
        b->n++;
        return 0;
}

static int add_named(struct rt_bench *b, const json_t *all, const char *name, struct retort_error *err) {
        const char *names[LANGUAGES_MAX];
        size_t i, n = 0;
        json_t *one;
        json_array_foreach(all, i, one) {
                if (n < RT_LEN(names))
                        names[n++] = text_of(one, "name");
                if (!is_called(one, name))
                        continue;
                if (!json_is_true(json_object_get(one, "programs")))
                        return rt_fail(err, RETORT_E_INPUT, "%s runs no programs, only the cells of contexts", text_of(one, "name"));
                if (json_is_true(json_object_get(one, "installed")))
                        return add_language(b, one, err);
                return rt_fail(err, RETORT_E_NO_RUNTIME, "%s is not installed: %s", text_of(one, "name"), text_of(one, "install"));
        }
        const char *near = rt_suggest(name, names, n);
        return rt_fail(err, RETORT_E_NO_RUNTIME, "unknown language \"%s\"%s%s%s", name, near ? "; did you mean " : "",
                       near ? near : "", near ? "?" : "; retort languages lists them");
}

static int choose(struct rt_bench *b, const struct rt_list *named, const json_t *all, struct retort_error *err) {
        size_t i;
        json_t *one;
        int r = 0;
        for (i = 0; r == 0 && i < named->n; i++)
                r = add_named(b, all, named->items[i], err);
        if (named->n == 0)
                json_array_foreach(all, i, one)
                        if (r == 0 && json_is_true(json_object_get(one, "installed")) && json_is_true(json_object_get(one, "programs")))
                                r = add_language(b, one, err);
        return r == 0 && b->n == 0 ? rt_fail(err, RETORT_E_NO_RUNTIME, "no language is installed; retort languages says how") : r;
}

/* Which languages there are, and what isolation. */
static int ask_engine(struct rt_bench *b, const struct bench_opts *o, struct retort_error *err) {
        rt_auto_engine retort_engine *engine = NULL;
        rt_auto_free char *isolation = NULL, *languages = NULL;
        struct retort_config config = b->config;
        config.slots = 1;
        config.no_warm = true;
        int r = retort_engine_open(&engine, &config, err);
        r = r < 0 ? r : retort_engine_isolation(engine, &isolation, err);
        r = r < 0 ? r : retort_engine_languages(engine, &languages, err);
        if (r < 0)
                return r;
        b->isolation = json_loads(isolation, 0, NULL);
        json_t *all = json_loads(languages, 0, NULL);
        r = b->isolation && all ? choose(b, &o->languages, all, err) : rt_fail_nomem(err);
        json_decref(all);
        return r;
}

/* ---- act ---- */

static void measure_all(struct rt_bench *b) {
        (void)getloadavg(b->load_before, 3);
        for (size_t i = 0; i < b->n && !rt_cancel_asked(); i++)
                if (b->languages[i].code)
                        rt_bench_measure(b, &b->languages[i]);
        (void)getloadavg(b->load_after, 3);
        if (b->err >= 0)
                (void)dprintf(b->err, "\r\033[K");
}

static void forget(struct rt_bench *b) {
        for (size_t i = 0; b->languages && i < b->n; i++) {
                struct rt_bench_language *l = &b->languages[i];
                rt_samples_clear(&l->plain);
                rt_samples_clear(&l->flow.outcome);
                for (size_t k = 0; k < RT_BENCH_KINDS; k++)
                        for (size_t s = 0; s < RT_BENCH_STARTS; s++) {
                                rt_samples_clear(&l->times[k][s].output);
                                rt_samples_clear(&l->times[k][s].outcome);
                        }
        }
        rt_samples_clear(&b->open);
        json_decref(b->isolation);
}

/* ---- tell ---- */

static int write_plot(struct rt_bench *b, int fd, struct retort_error *err) {
        rt_auto_buf struct rt_buf text = RT_BUF(OUT_MAX);
        rt_bench_svg(b, &text);
        if (ftruncate(fd, 0) < 0 && errno != EINVAL) /* EINVAL: a pipe or a device, which needs none */
                return rt_fail_errno(err, "cannot write the plot");
        return rt_write_all(fd, text.data, text.size) < 0 ? rt_fail_errno(err, "cannot write the plot") : 0;
}

static int print(struct rt_cli *cli, const struct bench_opts *o, struct rt_bench *b, struct retort_error *err) {
        bool complete = !rt_cancel_asked();
        const char *no_color = getenv("NO_COLOR");
        rt_auto_buf struct rt_buf out = RT_BUF(OUT_MAX);
        int r;
        if (o->json) {
                json_t *root = rt_bench_json(b, complete);
                rt_auto_free char *text = root ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
                json_decref(root);
                if (!text)
                        return rt_fail_nomem(err);
                r = rt_out_json(cli->out, text);
        } else {
                rt_bench_table(b, isatty(cli->out) && !(no_color && *no_color), complete, &out);
                r = rt_out_flush(cli->out, &out);
        }
        return r < 0 ? rt_fail_errno(err, "cannot write to stdout") : 0;
}

static int tell(struct rt_cli *cli, const struct bench_opts *o, struct rt_bench *b, int plot) {
        struct retort_error err = { 0 };
        int r = print(cli, o, b, &err);
        r = r == 0 && plot >= 0 ? write_plot(b, plot, &err) : r;
        if (r < 0)
                return rt_cli_complain(cli, "%s", err.message);
        if (rt_cancel_asked())
                return EXIT_INTERRUPTED;
        int status = 0;
        for (size_t i = 0; i < b->n; i++)
                if (b->languages[i].why[0])
                        status = rt_cli_complain(cli, "%s could not be measured whole: %s", b->languages[i].name, b->languages[i].why);
        return status;
}

static int bench_main(struct rt_cli *cli, void *target, const struct rt_words *words) {
        (void)words;
        const struct bench_opts *o = target;
        struct retort_error err = { 0 };
        rt_auto_close int plot = -1;
        struct rt_bench b = { .arena = &cli->arena, .err = isatty(cli->err) ? cli->err : -1 };
        b.languages = rt_arena_array(&cli->arena, LANGUAGES_MAX, sizeof *b.languages);
        int r = b.languages ? set_up(&b, o, &err) : rt_fail_nomem(&err);
        if (r == 0 && o->svg && (plot = open(o->svg, O_WRONLY | O_CREAT | O_CLOEXEC, 0666)) < 0) /* told before the work, not after */
                r = rt_fail(&err, RETORT_E_INPUT, "--svg: cannot write %s: %s", o->svg, strerror(errno));
        rt_cancel_install();
        r = r < 0 ? r : ask_engine(&b, o, &err);
        if (r == 0)
                measure_all(&b);
        int status = r < 0 ? rt_cli_complain(cli, "%s", err.message) : tell(cli, o, &b, plot);
        forget(&b);
        return status;
}

const struct rt_cmd rt_cmd_bench = {
        .name = "bench",
        .args = "",
        .help = "measure what runs cost on this machine",
        .text = "Runs the hello program of each language in rounds: by hand, as a floor; cold, on an engine that keeps nothing "
                "warm; warm, on one that has had time to prepare, apart by the start that outcomes tell (parked, fork, pool, "
                "cold); compiled before, where there is a compiler; then on all CPUs at once. \"output\" is the time until the "
                "program's first byte, \"outcome\" until everything is known. Memory is that of an idle engine.\n\n"
                "The figures are of this machine, now: the load average stands beside them. Ctrl-C prints what there is.",
        .opts = options,
        .target_size = sizeof(struct bench_opts),
        .main = bench_main,
};
