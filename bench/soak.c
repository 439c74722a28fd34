/* SPDX-License-Identifier: Apache-2.0 */
#include "soak.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "bench.h"

enum { LEGS = 10, EDGE = 3, THREADS_MAX = 64, SETTLE_MS = 700, CODE_MAX = 16 * 1024, WARM_MS = 15000 };
/* What bytes may grow by from the first legs to the last: 4 MiB are 42 bytes a run in 100,000, far below any leak of one page. */
enum { SLACK_BYTES = 4 << 20, SLACK_PERCENT = 3 };

volatile sig_atomic_t bench_stopped;

enum how { SAME, GONE, ZERO, ROUGH, INFO };

static const struct column {
        const char *text;
        uint64_t unit;
        enum how how;
} columns[] = {
#define X(member, text, unit, how) { text, unit, how },
        SOAK_COUNTS(X)
#undef X
};

struct options {
        const char *build, *language, *code, *start;
        unsigned runs, threads;
        bool no_warm, new_source;
};

struct soak {
        struct options o;
        struct bench_contender c;
        struct soak_jailers jailers;
        struct soak_count before, ready, legs[LEGS], after;
        unsigned n_legs;
        atomic_int left;
        atomic_ullong failed, by_start[RT_BENCH_STARTS];
        double rates[LEGS];
        char why[256];
        pthread_mutex_t lock;
};

static uint64_t value_of(const struct soak_count *count, size_t i) {
        uint64_t value;
        memcpy(&value, (const char *)count + i * sizeof value, sizeof value);
        return value;
}

/* ---- running ---- */

static void *work(void *argument) {
        struct soak *s = argument;
        while (!bench_stopped && atomic_fetch_sub(&s->left, 1) > 0) {
                struct retort_error err = { 0 };
                struct bench_took took;
                int r = bench_run_once(&s->c, &took, &err);
                atomic_fetch_add(&s->by_start[took.start], 1);
                if (r == 0 || atomic_fetch_add(&s->failed, 1) > 0)
                        continue;
                (void)pthread_mutex_lock(&s->lock);
                (void)snprintf(s->why, sizeof s->why, "%.250s", err.message);
                (void)pthread_mutex_unlock(&s->lock);
        }
        return NULL;
}

static void settle_and_count(struct soak *s, struct soak_count *ret) {
        (void)usleep(SETTLE_MS * 1000);
        soak_count(ret, &s->jailers);
}

static void run_leg(struct soak *s, unsigned leg) {
        pthread_t threads[THREADS_MAX];
        unsigned n = 0, runs = s->o.runs / LEGS + (leg < s->o.runs % LEGS);
        atomic_store(&s->left, (int)runs);
        uint64_t begun = rt_now_ns();
        while (n < s->o.threads && pthread_create(&threads[n], NULL, work, s) == 0)
                n++;
        for (unsigned i = 0; i < n; i++)
                (void)pthread_join(threads[i], NULL);
        s->rates[leg] = (double)runs * 1e9 / (double)(rt_now_ns() - begun);
        settle_and_count(s, &s->legs[leg]);
        s->n_legs = leg + 1;
        if (isatty(2))
                fprintf(stderr, "\r\033[Kleg %u of %d: %.0f runs/s, %llu failed", leg + 1, LEGS, s->rates[leg], (unsigned long long)s->failed);
}

/* ---- judging ---- */

static int compare(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
        return (x > y) - (x < y);
}

/* Of the first legs or the last ones: least, middle and most. */
static void edge(const struct soak *s, size_t column, bool last, uint64_t ret[EDGE]) {
        for (unsigned i = 0; i < EDGE; i++)
                ret[i] = value_of(&s->legs[last ? s->n_legs - EDGE + i : i], column);
        qsort(ret, EDGE, sizeof *ret, compare);
}

static const char *judge(const struct soak *s, size_t i) {
        enum how how = columns[i].how;
        uint64_t first[EDGE], last[EDGE], most = 0;
        for (unsigned leg = 0; leg < s->n_legs; leg++)
                if (value_of(&s->legs[leg], i) > most)
                        most = value_of(&s->legs[leg], i);
        if (how == INFO)
                return "";
        if (how == ZERO)
                return most || value_of(&s->after, i) ? "LEFT BEHIND" : "ok";
        if (s->n_legs == LEGS) {
                edge(s, i, false, first);
                edge(s, i, true, last);
                uint64_t slack = first[EDGE / 2] * SLACK_PERCENT / 100 > SLACK_BYTES ? first[EDGE / 2] * SLACK_PERCENT / 100 : SLACK_BYTES;
                if (how == ROUGH && last[EDGE / 2] > first[EDGE / 2] + slack)
                        return "GREW";
                if (how != ROUGH && last[0] > first[EDGE - 1])
                        return "GREW";
        }
        if (how == GONE && value_of(&s->after, i) > 0)
                return "LEFT BEHIND";
        return how == SAME && value_of(&s->after, i) > value_of(&s->before, i) ? "LEFT BEHIND" : "ok";
}

static bool report(const struct soak *s) {
        static const unsigned shown[] = { 0, 2, 4, 6, 9 };
        bool good = s->failed == 0;
        printf("| %-32s | %9s | %9s |", "", "before", "ready");
        for (size_t k = 0; k < RT_LEN(shown); k++)
                printf(" %7u %% |", (shown[k] + 1) * 100 / LEGS);
        printf(" %9s | %-11s |\n|:---------------------------------|----------:|----------:|", "closed", "");
        for (size_t k = 0; k <= RT_LEN(shown); k++)
                printf("----------:|");
        printf(":------------|\n");
        for (size_t i = 0; i < RT_LEN(columns); i++) {
                const char *verdict = judge(s, i);
                printf("| %-32s | %9ju | %9ju |", columns[i].text, (uintmax_t)(value_of(&s->before, i) / columns[i].unit),
                       (uintmax_t)(value_of(&s->ready, i) / columns[i].unit));
                for (size_t k = 0; k < RT_LEN(shown); k++)
                        if (shown[k] < s->n_legs)
                                printf(" %9ju |", (uintmax_t)(value_of(&s->legs[shown[k]], i) / columns[i].unit));
                        else
                                printf(" %9s |", "");
                printf(" %9ju | %-11s |\n", (uintmax_t)(value_of(&s->after, i) / columns[i].unit), verdict);
                good &= !*verdict || strcmp(verdict, "ok") == 0;
        }
        return good;
}

static bool print_runs(const struct soak *s) {
        unsigned long long all = 0;
        bool as_wanted = !s->o.start;
        printf("\n%s, isolation %s, %u threads: ", s->o.language, bench_level, s->o.threads);
        for (size_t i = 0; i < RT_BENCH_STARTS; i++) {
                all += s->by_start[i];
                if (s->by_start[i])
                        printf("%s %llu, ", rt_bench_starts[i], (unsigned long long)s->by_start[i]);
                if (s->by_start[i] && s->o.start && strcmp(s->o.start, rt_bench_starts[i]) == 0)
                        as_wanted = true;
        }
        printf("together %llu runs, %llu failed%s%s; %.0f runs/s in the first leg, %.0f in the last\n", all, (unsigned long long)s->failed,
               s->why[0] ? ", the first: " : "", s->why, s->n_legs ? s->rates[0] : 0, s->n_legs ? s->rates[s->n_legs - 1] : 0);
        if (!as_wanted)
                printf("no run was started as `%s`\n", s->o.start);
        if (s->n_legs < LEGS)
                printf("interrupted: growth is not judged\n");
        return as_wanted && s->n_legs == LEGS;
}

/* ---- what is run ---- */

/* The language's own hello program, unless another was given. */
static bool find_code(struct soak *s, const char *runtimes, char code[CODE_MAX]) {
        char folder[1100];
        (void)snprintf(folder, sizeof folder, "%.1000s/%.80s", runtimes, s->o.language);
        DIR *list = s->o.code ? NULL : opendir(folder);
        code[0] = 0;
        if (s->o.code)
                (void)snprintf(code, CODE_MAX, "%s", s->o.code);
        for (struct dirent *e; list && (e = readdir(list));) {
                rt_auto_free char *text = NULL;
                if (strncmp(e->d_name, "hello.", 6) == 0 && rt_read_file_at(dirfd(list), e->d_name, CODE_MAX - 1, &text, NULL, NULL) == 0)
                        (void)snprintf(code, CODE_MAX, "%s", text);
        }
        if (list)
                (void)closedir(list);
        return code[0];
}

/* What the program prints the first time it must print always. */
static int learn(struct soak *s, char *expected, size_t size) {
        struct retort_request request = { .language = s->o.language, .code = { s->c.code, strlen(s->c.code) } };
        struct retort_outcome *o = NULL;
        struct retort_error err = { 0 };
        int r = retort_run_wait(s->c.engine, &request, NULL, NULL, &o, &err);
        if (r == 0 && o->status == RETORT_OK && o->stdout_data.size < size)
                (void)snprintf(expected, size, "%.*s", (int)o->stdout_data.size, o->stdout_data.data);
        else
                r = -1;
        if (r < 0)
                fprintf(stderr, "retort-soak: the first run failed: %s\n", o ? retort_status_name(o->status) : err.message);
        retort_outcome_free(o);
        return r;
}

static int soak(struct soak *s) {
        static char code[CODE_MAX], expected[4096];
        char runtimes[1024], libexec[1024];
        struct retort_error err = { 0 };
        (void)snprintf(runtimes, sizeof runtimes, "%.900s/runtimes", s->o.build);
        (void)snprintf(libexec, sizeof libexec, "%.900s/src/bin", s->o.build);
        /* As many boxes as there will ever be, from the start: then every count stands still. */
        const struct retort_config config = { .runtimes_dir = runtimes, .libexec_dir = libexec, .slots = 2 * s->o.threads,
                                              .warm_slots = 2 * s->o.threads, .no_warm = s->o.no_warm };
        if (!find_code(s, runtimes, code)) {
                fprintf(stderr, "retort-soak: there is no %s/%s/hello.*; another --language, or --code\n", runtimes, s->o.language);
                return 2;
        }
        s->c = (struct bench_contender){ .run = bench_run_library, .is_retort = true, .language = s->o.language, .code = code,
                                         .expected = expected, .renew = s->o.new_source };
        soak_count(&s->before, &s->jailers);
        if (retort_engine_open(&s->c.engine, &config, &err) < 0) {
                fprintf(stderr, "retort-soak: %s\n", err.message);
                return 2;
        }
        int r = learn(s, expected, sizeof expected);
        if (r == 0) {
                bench_warm_up(&s->c, s->o.no_warm ? 1 : WARM_MS);
                settle_and_count(s, &s->ready);
                for (unsigned leg = 0; leg < LEGS && !bench_stopped; leg++)
                        run_leg(s, leg);
                if (isatty(2))
                        fprintf(stderr, "\r\033[K");
        }
        retort_engine_close(s->c.engine);
        settle_and_count(s, &s->after);
        if (r < 0)
                return 2;
        bool good = report(s);
        good &= print_runs(s);
        printf("%s\n", good ? "nothing was left behind and nothing grew" : "NOT GOOD: see above");
        return good ? 0 : 1;
}

/* ---- what is asked for ---- */

static const char help[] =
        "usage: retort-soak --build DIR [option ...]      (bench/soak does it)\n"
        "  --build DIR      the build directory\n"
        "  --runs N         in ten legs (100000)\n"
        "  --language NAME  (python)\n"
        "  --code TEXT      instead of the language's hello program\n"
        "  --threads N      that ask at once (one for each CPU)\n"
        "  --new-source     a source that was never seen before, each time: nothing can be taken from a cache\n"
        "  --no-warm        no box is kept ready: every start is cold\n"
        "  --start MODE     fail when no run was started as parked, fork, pool or cold\n"
        "Exit status: 0 nothing failed, was left behind or grew; 1 something did, or it was interrupted; 2 it could not begin.\n";

static void on_interrupt(int number_) {
        (void)number_;
        bench_stopped = 1;
}

static unsigned number(const char *text) {
        char *end;
        errno = 0;
        unsigned long value = strtoul(text, &end, 10);
        if (errno || *end || end == text || text[0] == '-' || value < 1 || value > 100000000) {
                fprintf(stderr, "retort-soak: `%s` is no number from 1 to 100000000\n", text);
                exit(2);
        }
        return (unsigned)value;
}

int main(int argc, char **argv) {
        static const struct option names[] = { { "build", 1, NULL, 'b' }, { "runs", 1, NULL, 'n' }, { "language", 1, NULL, 'l' },
                                               { "code", 1, NULL, 'c' }, { "threads", 1, NULL, 't' }, { "new-source", 0, NULL, 'N' },
                                               { "no-warm", 0, NULL, 'w' }, { "start", 1, NULL, 's' }, { "help", 0, NULL, 'h' },
                                               { NULL, 0, NULL, 0 } };
        static struct soak s = { .o = { .language = "python", .runs = 100000 }, .lock = PTHREAD_MUTEX_INITIALIZER };
        for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;) {
                switch (option) {
                case 'b': s.o.build = optarg; break;
                case 'n': s.o.runs = number(optarg); break;
                case 'l': s.o.language = optarg; break;
                case 'c': s.o.code = optarg; break;
                case 't': s.o.threads = number(optarg); break;
                case 'N': s.o.new_source = true; break;
                case 'w': s.o.no_warm = true; break;
                case 's': s.o.start = optarg; break;
                case 'h': (void)fputs(help, stdout); return 0;
                default: (void)fputs(help, stderr); return 2;
                }
        }
        if (!s.o.build || optind != argc) {
                (void)fputs(help, stderr);
                return 2;
        }
        if (!s.o.threads)
                s.o.threads = rt_bench_cpus();
        if (s.o.threads > THREADS_MAX)
                s.o.threads = THREADS_MAX;
        (void)prctl(PR_SET_CHILD_SUBREAPER, 1); /* what loses its parent comes to us, and is counted */
        (void)signal(SIGINT, on_interrupt);
        return soak(&s);
}
