/* SPDX-License-Identifier: Apache-2.0
 *
 * "retort run": describe (options become a request, checked whole), then act (one run on one engine), then tell.
 * Events arrive on the engine's thread; this one only waits. What a thread writes, only that thread writes: the
 * engine's while the run goes on, this one afterwards.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"
#include "cli/cancel.h"
#include "cli/cli.h"
#include "cli/out.h"
#include "cli/program.h"
#include "cli/summary.h"
#include "cli/units.h"

struct run_opts {
        const char *language;
        const char *code;
        const char *entry;
        const char *input;
        const char *input_text;
        struct rt_list env;
        struct rt_list limits;
        struct rt_list compile_limits;
        struct rt_list compile_args;
        bool json;
        bool events;
        const char *view;
        const char *isolation;
        const char *without;
        bool warm;
        bool quiet;
};

#define AT(member) .offset = offsetof(struct run_opts, member)
static const struct rt_opt options[] = {
        { 'l', "language", "NAME", "the language; default: by the file's extension or its #! line", RT_OPT_TEXT,
          AT(language) },
        { 'c', "code", "CODE", "run this text; needs --language", RT_OPT_TEXT, AT(code) },
        { 'e', "entry", "NAME", "which of several files is run, by its name in the box; default: the first",
          RT_OPT_TEXT, AT(entry) },
        { 'i', "stdin", "FILE", "the program's stdin, - for the command's own; default: -, or nothing when the "
          "program itself is read from there", RT_OPT_TEXT, AT(input), .is_file = true },
        { 0, "stdin-text", "TEXT", "the program's stdin, as text", RT_OPT_TEXT, AT(input_text) },
        { 'E', "env", "NAME=VALUE", "set an environment variable; may be repeated", RT_OPT_LIST, AT(env) },
        { 'L', "limit", "NAME=VALUE", "set a limit, as in memory=256M or wall=2s; may be repeated", RT_OPT_LIST,
          AT(limits) },
        { 0, "compile-limit", "NAME=VALUE", "the same for the compile step", RT_OPT_LIST, AT(compile_limits) },
        { 0, "compile-arg", "ARG", "append an argument to the compiler's; may be repeated", RT_OPT_LIST,
          AT(compile_args) },
        { 'j', "json", NULL, "print the outcome as JSON instead of the program's output", RT_OPT_FLAG, AT(json) },
        { 0, "events", NULL, "print every event as it happens, one JSON object a line", RT_OPT_FLAG, AT(events) },
        { 0, "view", "VIEW", "print the outcome as another system's JSON", RT_OPT_TEXT, AT(view),
          .choices = "agentbay|agentbay-rich|runtime|runtime-head" },
        { 0, "isolation", "LEVEL", "refuse to run with less isolation than this (default: reduced)", RT_OPT_TEXT, AT(isolation),
          .choices = RT_ISOLATION_CHOICES },
        { 0, "without", "NAMES", "do without these isolation mechanisms, as doctor names them: to try the "
          "fallbacks", RT_OPT_TEXT, AT(without) },
        { 0, "warm", NULL, "freeze the language's interpreter first and run a fork of it, or start it ahead: how a server runs programs", RT_OPT_FLAG,
          AT(warm) },
        { 'q', "quiet", NULL, "print no summary", RT_OPT_FLAG, AT(quiet) },
        { 0 },
};

/* A run in progress, as the event callback sees it. */
struct live {
        struct rt_cli *cli;
        const struct run_opts *opts;
        int out_errno;   /* why stdout takes no more, or 0 */
        bool mid_line;   /* the last thing written did not end its line */
        struct retort_error err; /* what failed in the callback */
};

static bool machine_readable(const struct run_opts *o) {
        return o->json || o->events || o->view;
}

static int check_combinations(const struct run_opts *o, const struct rt_list *paths, struct retort_error *err) {
        bool from_stdin = paths->n == 1 && strcmp(paths->items[0], "-") == 0;
        if (o->code && paths->n)
                return rt_fail(err, RETORT_E_INPUT, "--code and files together: which one is to be run? (the "
                               "program's own arguments come after --)");
        if (!o->code && !paths->n)
                return rt_fail(err, RETORT_E_INPUT, "nothing to run: name a file, or - for stdin, or use --code");
        if ((o->code || from_stdin) && o->entry)
                return rt_fail(err, RETORT_E_INPUT, "--entry needs files");
        if (o->code && !o->language)
                return rt_fail(err, RETORT_E_INPUT, "--code needs --language");
        if (o->input && o->input_text)
                return rt_fail(err, RETORT_E_INPUT, "--stdin and --stdin-text together: one of them");
        if (from_stdin && o->input && strcmp(o->input, "-") == 0)
                return rt_fail(err, RETORT_E_INPUT, "stdin cannot be both the program and its input");
        if (o->json + o->events + (o->view != NULL) > 1)
                return rt_fail(err, RETORT_E_INPUT, "--json, --events and --view: one of them");
        for (size_t i = 0; paths->n > 1 && i < paths->n; i++)
                if (strcmp(paths->items[i], "-") == 0)
                        return rt_fail(err, RETORT_E_INPUT, "- (stdin) cannot be one of several files");
        return 0;
}

static int check_env(const struct rt_list *env, struct retort_error *err) {
        for (size_t i = 0; i < env->n; i++)
                if (strcspn(env->items[i], "=") == 0 || !strchr(env->items[i], '='))
                        return rt_fail(err, RETORT_E_INPUT, "--env is NAME=VALUE, not \"%s\"", env->items[i]);
        return 0;
}

static int read_limits(const struct rt_list *specs, struct retort_limits *limits, struct retort_error *err) {
        int r = 0;
        for (size_t i = 0; r == 0 && i < specs->n; i++)
                r = rt_limit_parse(specs->items[i], limits, err);
        return r;
}

static int read_program(struct rt_cli *cli, const struct run_opts *o, const struct rt_list *paths,
                        struct retort_request *request, struct retort_error *err) {
        if (o->code) {
                request->code = (struct retort_bytes){ o->code, strlen(o->code) };
                return 0;
        }
        if (strcmp(paths->items[0], "-") == 0)
                return rt_program_read(STDIN_FILENO, &cli->arena, request, err);
        return rt_program_files(paths, &cli->arena, request, err);
}

/* The guest's stdin; -1 when it has none. */
static int open_input(const struct run_opts *o, const struct retort_request *request, int *ret_fd,
                      struct retort_error *err) {
        bool from_stdin = !o->code && !request->n_files;
        bool own = o->input ? strcmp(o->input, "-") == 0 : !from_stdin && !o->input_text;
        if (own)
                *ret_fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3); /* never 0, which would mean none */
        else if (o->input && (*ret_fd = open(o->input, O_RDONLY | O_CLOEXEC | O_NOCTTY)) < 0)
                return rt_fail(err, RETORT_E_INPUT, "--stdin: cannot open %s: %s", o->input, strerror(errno));
        return 0;
}

static int describe(struct rt_cli *cli, const struct run_opts *o, const struct rt_words *words,
                    struct retort_request *request, struct retort_error *err) {
        int r = check_combinations(o, &words->operands, err);
        r = r < 0 ? r : check_env(&o->env, err);
        r = r < 0 ? r : read_limits(&o->limits, &request->limits, err);
        if (r == 0 && (r = read_limits(&o->compile_limits, &request->compile_limits, err)) < 0)
                (void)rt_wrap(err, r, "compiling");
        r = r < 0 ? r : read_program(cli, o, &words->operands, request, err);
        request->language = o->language;
        request->entry = o->entry;
        if (o->input_text)
                request->stdin_data = (struct retort_bytes){ o->input_text, strlen(o->input_text) };
        request->args = words->rest.items;
        request->n_args = words->rest.n;
        request->env = o->env.items;
        request->n_env = o->env.n;
        request->compile_args = o->compile_args.items;
        request->n_compile_args = o->compile_args.n;
        return r;
}

/* Nobody reads, or nothing more can be written: the program need not go on. */
static void give_up(struct live *live, int why) {
        live->out_errno = why;
        rt_cancel_now();
}

static void tell_event(struct live *live, const struct retort_event *event) {
        rt_auto_free char *line = NULL;
        if (retort_event_json(event, &line, &live->err) < 0) {
                give_up(live, EINVAL);
                return;
        }
        if (rt_out_write(live->cli->out, line, strlen(line)) < 0 || rt_out_write(live->cli->out, "\n", 1) < 0)
                give_up(live, errno);
}

static void tell_output(struct live *live, const struct retort_event *event) {
        bool compiling = event->step_name && strcmp(event->step_name, "compile") == 0;
        bool to_out = event->type == RETORT_EVENT_STDOUT && !compiling; /* stdout holds the program's, nothing else */
        int r = rt_out_write(to_out ? live->cli->out : live->cli->err, event->data.data, event->data.size);
        if (r < 0 && to_out)
                give_up(live, errno);
        if (event->data.size)
                live->mid_line = event->data.data[event->data.size - 1] != '\n';
}

static void on_event(const struct retort_event *event, void *userdata) {
        struct live *live = userdata;
        if (live->out_errno)
                return;
        if (live->opts->events)
                tell_event(live, event);
        else if (!machine_readable(live->opts) &&
                 (event->type == RETORT_EVENT_STDOUT || event->type == RETORT_EVENT_STDERR))
                tell_output(live, event);
}

static void free_run(retort_run **run) {
        rt_cancel_watch(NULL);
        retort_run_free(*run);
}

static int act(retort_engine *engine, const struct retort_request *request, struct live *live,
               struct retort_outcome **ret_outcome, struct retort_error *err) {
        __attribute__((cleanup(free_run))) retort_run *run = NULL;
        int r = retort_submit(engine, request, on_event, live, &run, err);
        if (r < 0)
                return r;
        rt_cancel_watch(run);
        return retort_wait(run, -1, ret_outcome, err);
}

static int print_outcome(const struct live *live, const struct retort_outcome *outcome, struct retort_error *err) {
        rt_auto_free char *json = NULL;
        int r = live->opts->view ? retort_outcome_view(outcome, live->opts->view, &json, err)
                                 : retort_outcome_json(outcome, &json, err);
        if (r < 0)
                return r;
        return rt_out_json(live->cli->out, json) < 0 ? rt_fail_errno(err, "cannot write the outcome") : 0;
}

static void print_summary(const struct live *live, const struct retort_outcome *outcome) {
        rt_auto_buf struct rt_buf text = RT_BUF(64 * 1024);
        if (live->mid_line && isatty(live->cli->err))
                (void)rt_buf_add(&text, "\n", 1);
        rt_summary(outcome, live->cli->colour, &text);
        (void)rt_out_flush(live->cli->err, &text);
}

static int tell(const struct live *live, const struct retort_outcome *outcome) {
        struct rt_cli *cli = live->cli;
        struct retort_error err = { 0 };
        if (live->out_errno == EPIPE)
                return 128 + 13; /* as SIGPIPE would have it; quietly */
        if (live->err.message[0])
                return rt_cli_complain(cli, "%s", live->err.message);
        if (live->out_errno && live->out_errno != ECANCELED)
                return rt_cli_complain(cli, "cannot write the program's output: %s", strerror(live->out_errno));
        if (live->opts->json || live->opts->view) {
                int r = print_outcome(live, outcome, &err);
                if (r < 0 && errno == EPIPE)
                        return 128 + 13;
                if (r < 0)
                        return rt_cli_complain(cli, "%s", err.message);
        } else if (!live->opts->events && (!live->opts->quiet || outcome->status == RETORT_INTERNAL)) {
                print_summary(live, outcome);
        }
        return rt_exit_status(outcome);
}

static void free_outcome(struct retort_outcome **outcome) {
        retort_outcome_free(*outcome);
}

static int run_main(struct rt_cli *cli, void *target, const struct rt_words *words) {
        const struct run_opts *o = target;
        struct retort_request request = { 0 };
        struct retort_error err = { 0 };
        rt_auto_close int input = -1;
        rt_auto_engine retort_engine *engine = NULL;
        __attribute__((cleanup(free_outcome))) struct retort_outcome *outcome = NULL;
        struct live live = { .cli = cli, .opts = o };
        int r = describe(cli, o, words, &request, &err);
        r = r < 0 ? r : open_input(o, &request, &input, &err);
        rt_cancel_install(); /* not before: reading the program from a terminal ends by Ctrl-C as everywhere */
        r = r < 0 ? r : rt_cli_open(o->isolation ? o->isolation : "reduced", o->without, o->warm, &engine, &err);
        if (r == 0 && !request.language)
                r = rt_program_language(engine, &cli->arena, &request, &err);
        if (r == 0 && o->warm)
                r = retort_engine_warm(engine, request.language, -1, &err);
        if (r == 0) {
                request.stdin_fd = input < 0 ? 0 : input;
                r = act(engine, &request, &live, &outcome, &err);
        }
        return r < 0 ? rt_cli_complain(cli, "%s", err.message) : tell(&live, outcome);
}

const struct rt_cmd rt_cmd_run = {
        .name = "run",
        .args = "FILE... [-- ARG...]",
        .help = "run one program in a fresh box",
        .text = "Runs the program and passes its output on as it comes; then prints one line on stderr: how it "
                "ended, what it took, and how well it was isolated.\n\n"
                "With several files the first is run and the others lie beside it. Their names in the box: when all "
                "lie in the directory of the first or below it, what remains without that directory; else, when all "
                "lie below the current directory, their paths from there; else their last parts. - reads the program "
                "from stdin. Words after -- are the program's own arguments.\n\n"
                "The command's stdin is passed on to the program until its end. In a loop that reads the same "
                "stdin, give --stdin /dev/null.",
        .opts = options,
        .target_size = sizeof(struct run_opts),
        .max_operands = SIZE_MAX,
        .takes_rest = true,
        .main = run_main,
};
