/* SPDX-License-Identifier: Apache-2.0
 *
 * "retort batch": many requests on one engine. A line of input is a request, a line of output its outcome, in the same
 * order. Each worker reads a line, runs it, and waits for its turn to write: as many lines are in memory as there are
 * workers.
 */
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "base/err.h"
#include "base/util.h"
#include "cli/cancel.h"
#include "cli/cli.h"
#include "cli/out.h"

enum { MAX_LINE = 64 << 20, MAX_JOBS = 128 };

struct batch_opts {
        const char *jobs;
        const char *warm;
        const char *isolation;
};

#define AT(member) .offset = offsetof(struct batch_opts, member)
static const struct rt_opt options[] = {
        { 'n', "jobs", "N", "how many run at the same time; default: one for each CPU", RT_OPT_TEXT, AT(jobs) },
        { 'w', "warm", "LANGUAGES", "freeze these languages' interpreters before the first line is run, as in python,r; default: each when it is "
          "first asked for", RT_OPT_TEXT, AT(warm) },
        { 0, "isolation", "LEVEL", "refuse to run with less isolation than this (default: reduced)", RT_OPT_TEXT, AT(isolation),
          .choices = RT_ISOLATION_CHOICES },
        { 0 },
};

struct batch {
        struct rt_cli *cli;
        retort_engine *engine;
        FILE *input;
        pthread_mutex_t reading;
        uint64_t n_read;
        pthread_mutex_t writing;
        pthread_cond_t turn;
        uint64_t n_written;
        uint64_t refused; /* lines that were no request that could be run */
        int failed;       /* errno: nothing more can be read or written */
};

static bool stopped(struct batch *b) {
        return rt_cancel_asked() || b->failed;
}

/* False: no more lines. */
static bool next_line(struct batch *b, char **line, size_t *room, size_t *ret_size, uint64_t *ret_number) {
        (void)pthread_mutex_lock(&b->reading);
        ssize_t n = stopped(b) ? -1 : getline(line, room, b->input);
        if (n >= 0)
                *ret_number = b->n_read++;
        (void)pthread_mutex_unlock(&b->reading);
        *ret_size = n > 0 ? (size_t)n : 0;
        return n >= 0;
}

/* The outcome's line, or one that says what is wrong with the request. Never NULL but when memory is out. */
static char *run_line(struct batch *b, const char *line, size_t size, uint64_t number) {
        struct retort_request *request = NULL;
        struct retort_outcome *outcome = NULL;
        struct retort_error err = { 0 };
        char *json = NULL, *text = NULL;
        int r = size > MAX_LINE ? rt_fail(&err, RETORT_E_INPUT, "longer than %d MiB", MAX_LINE >> 20)
                                : retort_request_parse(line, size, &request, &err);
        if (r == 0)
                r = retort_run_wait(b->engine, request, NULL, NULL, &outcome, &err);
        if (r == 0)
                r = retort_outcome_json(outcome, &json, &err);
        if (r == 0) {
                text = json;
        } else {
                json_t *told = json_pack("{s:I, s:s}", "line", (json_int_t)number + 1, "error", err.message);
                text = json_dumps(told, JSON_COMPACT);
                json_decref(told);
        }
        (void)pthread_mutex_lock(&b->writing);
        b->refused += r < 0;
        (void)pthread_mutex_unlock(&b->writing);
        retort_outcome_free(outcome);
        retort_request_free(request);
        return text;
}

static void write_in_turn(struct batch *b, const char *text, uint64_t number) {
        (void)pthread_mutex_lock(&b->writing);
        while (b->n_written != number)
                (void)pthread_cond_wait(&b->turn, &b->writing);
        if (!text && !b->failed)
                b->failed = ENOMEM;
        else if (!b->failed && (rt_out_write(b->cli->out, text, strlen(text)) < 0 || rt_out_write(b->cli->out, "\n", 1) < 0))
                b->failed = errno;
        b->n_written++;
        (void)pthread_cond_broadcast(&b->turn);
        (void)pthread_mutex_unlock(&b->writing);
}

static void *work(void *argument) {
        struct batch *b = argument;
        rt_auto_free char *line = NULL;
        size_t room = 0, size;
        uint64_t number;
        while (next_line(b, &line, &room, &size, &number)) {
                rt_auto_free char *text = run_line(b, line, size, number);
                write_in_turn(b, text, number);
        }
        return NULL;
}

static int run_all(struct batch *b, unsigned jobs) {
        pthread_t threads[MAX_JOBS];
        unsigned n = 0;
        while (n + 1 < jobs && pthread_create(&threads[n], NULL, work, b) == 0)
                n++;
        (void)work(b);
        for (unsigned i = 0; i < n; i++)
                (void)pthread_join(threads[i], NULL);
        if (b->failed == EPIPE)
                return 128 + 13;
        if (b->failed && b->failed != ECANCELED)
                return rt_cli_complain(b->cli, "%s", strerror(b->failed));
        if (rt_cancel_asked())
                return 130;
        return b->refused ? 1 : 0;
}

static int read_jobs(const char *text, unsigned *ret_jobs, struct retort_error *err) {
        char *end = NULL;
        unsigned long n = text ? strtoul(text, &end, 10) : (unsigned long)get_nprocs();
        if ((text && (!*text || *end)) || n < 1 || n > MAX_JOBS)
                return rt_fail(err, RETORT_E_INPUT, "--jobs must be from 1 to %d, not \"%s\"", MAX_JOBS, text);
        *ret_jobs = (unsigned)n;
        return 0;
}

/* Waits for each language that is to be warm. */
static int await_warm(retort_engine *engine, const char *languages, struct retort_error *err) {
        rt_auto_free char *copy = strdup(languages ? languages : "");
        char *save = NULL;
        int r = copy ? 0 : rt_fail_nomem(err);
        for (char *name = copy ? strtok_r(copy, ", ", &save) : NULL; name && r == 0; name = strtok_r(NULL, ", ", &save))
                r = retort_engine_warm(engine, name, -1, err);
        return r;
}

static void close_input(FILE **file) {
        if (*file && *file != stdin)
                (void)fclose(*file);
}

static int batch_main(struct rt_cli *cli, void *target, const struct rt_words *words) {
        const struct batch_opts *o = target;
        const char *path = words->operands.n && strcmp(words->operands.items[0], "-") != 0 ? words->operands.items[0] : NULL;
        struct retort_error err = { 0 };
        rt_auto_engine retort_engine *engine = NULL;
        __attribute__((cleanup(close_input))) FILE *input = path ? fopen(path, "re") : stdin;
        unsigned jobs = 1;
        if (!input)
                return rt_cli_complain(cli, "cannot open %s: %s", path, strerror(errno));
        int r = read_jobs(o->jobs, &jobs, &err);
        rt_cancel_install();
        struct retort_config config = { .slots = jobs, .warm_slots = jobs, .warm = o->warm };
        config.minimum = rt_cli_isolation(o->isolation ? o->isolation : "reduced");
        if (r == 0)
                r = retort_engine_open(&engine, &config, &err);
        if (r == 0)
                r = await_warm(engine, o->warm, &err);
        if (r < 0)
                return rt_cli_complain(cli, "%s", err.message);
        struct batch batch = { .cli = cli, .engine = engine, .input = input, .reading = PTHREAD_MUTEX_INITIALIZER,
                               .writing = PTHREAD_MUTEX_INITIALIZER, .turn = PTHREAD_COND_INITIALIZER };
        return run_all(&batch, jobs);
}

const struct rt_cmd rt_cmd_batch = {
        .name = "batch",
        .args = "[FILE]",
        .help = "run many requests on one engine, a line of JSON each",
        .text = "Reads requests (as POST /v1/runs takes them), one JSON object a line, from FILE or stdin, and writes "
                "the outcome of each as a line of JSON, in the order of the requests. A line that is no request that "
                "can be run gets {\"line\": number, \"error\": why}, and the exit status is then 1.\n\n"
                "Interpreters are frozen and forked, or started ahead: with --warm before the first line, else when a language is first "
                "asked for.",
        .opts = options,
        .target_size = sizeof(struct batch_opts),
        .max_operands = 1,
        .main = batch_main,
};
