/* SPDX-License-Identifier: Apache-2.0
 *
 * The measuring program of the server: what a run costs over HTTP beside the same run by the library and beside a plain
 * fork-per-request server, all in one run of this program; how many go in a second; what memory it takes.
 */
#include <getopt.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "server.h"

enum { WARM_MS = 30000, STEADY = 5, QUEUED = 10000, STREAMS = 500, AIM_SHARE_US = 300, AIM_IDLE_KIB = 15 * 1024, SETTLE_MS = 1500 };
#define HELLO "{\"language\":\"exec\",\"code\":\"x\"}"
#define PYTHON "{\"language\":\"python\",\"code\":\"print(1)\"}"

volatile sig_atomic_t bench_stopped;

struct options {
        const char *build, *runtimes, *scratch, *write;
        unsigned rounds, seconds;
};

struct measured {
        struct options o;
        FILE *out;
        char hello[1024];
        struct served server;
        unsigned floor_port;
        retort_engine *engine;
        double share_us, hops_us;
        uint64_t idle_kib;
};

static void pause_ms(unsigned ms) {
        (void)nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 }, NULL);
}

static double ms(uint64_t ns) {
        return (double)ns / 1e6;
}

/* ---- memory ---- */

static uint64_t status_kib(pid_t pid, const char *name) {
        char path[64], line[256];
        uint64_t kib = 0;
        (void)snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
        FILE *file = fopen(path, "re");
        while (file && fgets(line, sizeof line, file))
                if (strncmp(line, name, strlen(name)) == 0)
                        kib = strtoull(line + strlen(name), NULL, 10);
        if (file)
                (void)fclose(file);
        return kib;
}

static void print_idle(struct measured *m) {
        struct rt_bench_memory memory;
        pause_ms(SETTLE_MS);
        m->idle_kib = status_kib(m->server.pid, "Rss:");
        fprintf(m->out, "\n### Memory of the idle server, all its processes\n\n");
        if (!rt_bench_memory(&memory))
                fprintf(m->out, "skipped: the kernel does not tell this user\n");
        else
                bench_print_memory_rows(m->out, &memory);
}

/* ---- one connection ---- */

/* A thread that answers as soon as it is woken: what two hops from thread to thread cost on this machine, now. A run over
 * HTTP makes four: to the server's thread, to a worker, back, and back to the client. */
struct echo {
        int there, back;
        pthread_t thread;
};

static void *echo(void *argument) {
        struct echo *e = argument;
        eventfd_t value;
        while (eventfd_read(e->there, &value) == 0 && value < 1000)
                (void)eventfd_write(e->back, 1);
        return NULL;
}

static void echo_start(struct echo *e) {
        *e = (struct echo){ .there = eventfd(0, EFD_CLOEXEC), .back = eventfd(0, EFD_CLOEXEC) };
        if (pthread_create(&e->thread, NULL, echo, e) != 0)
                abort();
}

static void echo_stop(struct echo *e) {
        (void)eventfd_write(e->there, 1000);
        (void)pthread_join(e->thread, NULL);
        (void)close(e->there);
        (void)close(e->back);
}

static void echo_once(const struct echo *e, struct rt_samples *samples) {
        eventfd_t value;
        uint64_t begun = rt_now_ns();
        (void)eventfd_write(e->there, 1);
        (void)eventfd_read(e->back, &value);
        rt_samples_add(samples, rt_now_ns() - begun);
}

struct way {
        const char *name;
        const struct echo *echo;
        struct load load;
        struct bench_contender library;
        bool is_library;
        bool may_warm; /* runs may come to start other than cold: that is waited for */
        int fd; /* kept between requests where the server keeps it */
};

static void measure_once(struct way *w) {
        if (w->echo) {
                echo_once(w->echo, &w->load.latency);
                return;
        }
        if (w->is_library) {
                struct bench_took took = { 0 };
                if (bench_run_library(&w->library, &took) == 0)
                        rt_samples_add(&w->load.latency, took.wall_ns);
                else
                        w->load.failed++;
                return;
        }
        uint64_t begun = rt_now_ns();
        if (ask_kept(&w->fd, w->load.port, w->load.request, w->load.wanted, NULL))
                rt_samples_add(&w->load.latency, rt_now_ns() - begun);
        else
                w->load.failed++;
}

static void warm_up(struct way *w) {
        uint64_t deadline = rt_now_ns() + WARM_MS * 1000000ull;
        size_t start = RT_BENCH_STARTS - 1;
        if (w->is_library)
                bench_warm_up(&w->library, WARM_MS);
        for (int steady = 0; !w->is_library && !w->echo && steady < STEADY && rt_now_ns() < deadline && !bench_stopped;) {
                if (!ask_kept(&w->fd, w->load.port, w->load.request, w->load.wanted, &start))
                        return;
                steady = start + 1 < RT_BENCH_STARTS ? steady + 1 : 0;
                pause_ms(20);
        }
}

static void print_way(FILE *out, struct way *w, uint64_t library) {
        uint64_t median = rt_samples_at(&w->load.latency, 0.5);
        fprintf(out, "| %-26s | %5zu | %8.3f | %8.3f | %8.3f | %+10.3f | %6u |\n", w->name, w->load.latency.n, ms(median),
                ms(rt_samples_at(&w->load.latency, 0.9)), ms(rt_samples_at(&w->load.latency, 0.99)), ms(median) - ms(library), w->load.failed);
}

/* Each way once a round, in turn, with a pause between: what one leaves to be tidied falls on nobody. */
static void compare(struct measured *m, const char *title, struct way *ways, size_t n, unsigned rounds) {
        for (size_t i = 0; i < n; i++)
                if (ways[i].may_warm)
                        warm_up(&ways[i]);
        for (unsigned r = 0; r < rounds + 3 && !bench_stopped; r++)
                for (size_t i = 0; i < n; i++) {
                        measure_once(&ways[(i + r) % n]);
                        if (r < 3)
                                rt_samples_clear(&ways[(i + r) % n].load.latency); /* warm-up */
                        pause_ms(8);
                }
        uint64_t library = rt_samples_at(&ways[0].load.latency, 0.5);
        fprintf(m->out, "\n### One connection: %s\n\n| %-26s | %5s | %8s | %8s | %8s | %10s | %6s |\n", title, "ms", "n", "median", "p90",
                "p99", "- library", "failed");
        fprintf(m->out, "|:---------------------------|------:|---------:|---------:|---------:|-----------:|-------:|\n");
        for (size_t i = 0; i < n; i++)
                print_way(m->out, &ways[i], library);
}

static void one_connection(struct measured *m, const char *hello, const char *python) {
        struct echo two_hops;
        echo_start(&two_hops);
        struct way ways[4] = {
                { .name = "library, retort_run_wait", .is_library = true,
                  .library = { .language = "exec", .code = "x", .expected = "hello\n", .engine = m->engine,
                               .run = bench_run_library } },
                { .name = "retortd, POST /v1/runs", .fd = -1,
                  .load = { .port = m->server.port, .request = hello, .wanted = "\"hello\\n\"" } },
                { .name = "plain fork-per-request", .fd = -1,
                  .load = { .port = m->floor_port, .request = hello, .wanted = "hello\n" } },
                { .name = "two wake-ups of a thread", .echo = &two_hops } };
        compare(m, "the trivial compiled program", ways, 4, m->o.rounds);
        echo_stop(&two_hops);
        m->share_us = ((double)rt_samples_at(&ways[1].load.latency, 0.5) - (double)rt_samples_at(&ways[0].load.latency, 0.5)) / 1e3;
        m->hops_us = 2 * (double)rt_samples_at(&ways[3].load.latency, 0.5) / 1e3;
        struct way slow[2] = { ways[0], ways[1] };
        slow[0].library.language = "python";
        slow[0].library.code = "print(1)";
        slow[0].library.expected = "1\n";
        slow[1].load.request = python;
        slow[1].load.wanted = "\"1\\n\"";
        for (int i = 0; i < 2; i++) {
                slow[i].load.latency = (struct rt_samples){ 0 };
                slow[i].may_warm = true;
        }
        compare(m, "Python, print(1)", slow, 2, m->o.rounds / 4);
}

/* ---- many ---- */

static void print_flow(struct measured *m, const char *name, unsigned port, const char *request, const char *wanted) {
        static const unsigned counts[] = { 1, 8, 64, 512 };
        for (size_t i = 0; i < RT_LEN(counts) && !bench_stopped; i++) {
                struct load load = { .port = port, .request = request, .wanted = wanted, .connections = counts[i],
                                     .for_ns = m->o.seconds * 1000000000ull };
                (void)load_run(&load);
                fprintf(m->out, "| %-26s | %11u | %10.0f | %9.2f | %9.2f | %7zu | %6u |%s%s\n", name, counts[i],
                        (double)load.latency.n * 1e9 / (double)load.took_ns, ms(rt_samples_at(&load.latency, 0.5)),
                        ms(rt_samples_at(&load.latency, 0.99)), load.latency.n, load.failed, load.failed ? " " : "", load.why);
                rt_samples_clear(&load.latency);
                pause_ms(300);
        }
}

static void many_connections(struct measured *m, const char *hello, const char *python) {
        fprintf(m->out, "\n### Many connections, %u s each\n\n| %-26s | %11s | %10s | %9s | %9s | %7s | %6s |\n", m->o.seconds, "",
                "connections", "requests/s", "p50 ms", "p99 ms", "n", "failed");
        fprintf(m->out, "|:---------------------------|------------:|-----------:|----------:|----------:|--------:|-------:|\n");
        print_flow(m, "retortd, compiled program", m->server.port, hello, "\"hello\\n\"");
        print_flow(m, "plain fork-per-request", m->floor_port, hello, "hello\n");
        print_flow(m, "retortd, Python print(1)", m->server.port, python, "\"1\\n\"");
}

/* The same by wrk, as a witness. */
static void print_wrk(struct measured *m) {
        char script[300], seconds[16], url[64], line[256], path[64];
        if (!bench_find("wrk", path)) {
                fprintf(m->out, "\nwrk is not installed (apt install wrk)\n");
                return;
        }
        (void)snprintf(script, sizeof script, "%.200s/wrk.lua", m->o.scratch);
        FILE *file = fopen(script, "we");
        if (!file)
                return;
        fprintf(file, "wrk.method='POST'\nwrk.body='%s'\nwrk.headers['Content-Type']='application/json'\n"
                "wrk.headers['Authorization']='Bearer %s'\n", HELLO, m->server.key);
        (void)fclose(file);
        (void)snprintf(seconds, sizeof seconds, "-d%us", m->o.seconds);
        (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/v1/runs", m->server.port);
        const char *const words[] = { path, "-t1", "-c64", seconds, "--latency", "-s", script, url, NULL };
        pid_t pid;
        FILE *wrk = program_output(words, &pid);
        fprintf(m->out, "\nThe compiled program by wrk, 64 connections:");
        while (wrk && fgets(line, sizeof line, wrk))
                if (strstr(line, "Requests/sec") || strstr(line, "50%") || strstr(line, "99%") || strstr(line, "Non-2xx")) {
                        line[strcspn(line, "\n")] = 0;
                        fprintf(m->out, " %s;", line + strspn(line, " "));
                }
        fprintf(m->out, "\n");
        if (wrk)
                (void)fclose(wrk);
        (void)waitpid(pid, NULL, 0);
}

/* ---- 10,000 jobs, 500 streams ---- */

static void print_held(struct measured *m, const struct served *s, const char *what, double rate) {
        char text[32] = "";
        if (rate > 0)
                (void)snprintf(text, sizeof text, "%.0f/s", rate);
        fprintf(m->out, "| %-32s | %9s | %8ju | %8ju |\n", what, text, (uintmax_t)status_kib(s->pid, "Rss:"),
                (uintmax_t)status_kib(s->pid, "Pss:"));
}

static bool job_id(const char *answer, char ret[27]) {
        const char *at = strstr(answer, "\"id\":\"");
        if (at)
                (void)snprintf(ret, 27, "%.26s", at + 6);
        return at != NULL;
}

static double post_jobs(struct measured *m, const struct served *s) {
        char *request = served_request(s, "/v1/jobs", "{\"request\":" HELLO "}");
        struct load load = { .port = s->port, .request = request, .wanted = "\"id\"", .connections = 64, .max_requests = QUEUED,
                             .for_ns = 60000000000ull };
        (void)load_run(&load);
        if (load.failed)
                fprintf(m->out, "\n%u of the jobs were refused: %s\n", load.failed, load.why);
        free(request);
        double rate = (double)load.latency.n * 1e9 / (double)load.took_ns;
        rt_samples_clear(&load.latency);
        return rate;
}

static void hold_streams(struct measured *m, const struct served *s, const char *id) {
        static int fds[STREAMS];
        char path[64];
        (void)snprintf(path, sizeof path, "/v1/jobs/%s/events", id);
        char *request = served_request(s, path, NULL);
        for (int i = 0; i < STREAMS; i++)
                fds[i] = send_only(s->port, request);
        pause_ms(SETTLE_MS);
        print_held(m, s, "500 streams open besides", 0);
        for (int i = 0; i < STREAMS; i++)
                if (fds[i] >= 0)
                        (void)close(fds[i]);
        pause_ms(2 * SETTLE_MS);
        print_held(m, s, "and closed again", 0);
        free(request);
}

/* One slot, kept busy, so that what is accepted stays queued. */
static void held(struct measured *m) {
        static const char *const words[] = { "--set", "engine.slots=1", "--set", "quotas.queued_jobs=0", "--set", "log.level=warning",
                                             "--set", "server.drain_timeout=100ms", NULL };
        struct served s;
        char answer[4096], id[27] = "";
        if (served_start(&s, m->o.build, m->o.runtimes, m->o.scratch, words) < 0)
                return;
        char *sleeper = served_request(&s, "/v1/jobs", "{\"request\":{\"language\":\"python\",\"code\":\"import time; time.sleep(59)\","
                                                       "\"limits\":{\"wall_ms\":60000}}}");
        char *queued = served_request(&s, "/v1/jobs", "{\"request\":" HELLO "}");
        fprintf(m->out, "\n### Held: 10,000 queued jobs (64 connections, each one on the disk before its 202), then 500 streams\n\n");
        fprintf(m->out, "| %-32s | %9s | %8s | %8s |\n|:---------------------------------|----------:|---------:|---------:|\n", "retortd, KiB",
                "accepted", "RSS", "PSS");
        if (ask_once(s.port, sleeper, answer, sizeof answer)) {
                pause_ms(SETTLE_MS);
                print_held(m, &s, "before", 0);
                double rate = post_jobs(m, &s);
                print_held(m, &s, "10,000 jobs queued", rate);
        }
        if (ask_once(s.port, queued, answer, sizeof answer) && job_id(answer, id))
                hold_streams(m, &s, id);
        free(sleeper);
        free(queued);
        served_stop(&s);
}

/* ---- all of it ---- */

static void print_aims(struct measured *m) {
        fprintf(m->out, "\n### Aims\n\n- The server's own share of a run at one connection is at most %d us: %.0f us: %s\n", AIM_SHARE_US,
                m->share_us, m->share_us <= AIM_SHARE_US ? "reached" : "NOT reached");
        fprintf(m->out, "  (four wake-ups of sleeping threads are in it: about %.0f us here)\n", m->hops_us);
        fprintf(m->out, "- retortd takes at most %d KiB when idle: %ju KiB RSS: %s\n", AIM_IDLE_KIB, (uintmax_t)m->idle_kib,
                m->idle_kib && m->idle_kib <= AIM_IDLE_KIB ? "reached" : "NOT reached");
}

static int measure(struct measured *m) {
        char jailer[700];
        struct retort_error err = { 0 };
        pid_t floor = -1;
        if (served_start(&m->server, m->o.build, m->o.runtimes, m->o.scratch, (const char *const[]){ NULL }) < 0)
                return -1;
        print_idle(m);
        (void)snprintf(jailer, sizeof jailer, "%.600s/src/bin", m->o.build);
        (void)snprintf(m->hello, sizeof m->hello, "%.900s/exec/hello", m->o.runtimes);
        const struct retort_config config = { .runtimes_dir = m->o.runtimes, .libexec_dir = jailer };
        if (floor_start(m->hello, &floor, &m->floor_port) < 0 || retort_engine_open(&m->engine, &config, &err) < 0) {
                fprintf(stderr, "retort-bench-server: %s\n", err.message);
                return -1;
        }
        char *hello = served_request(&m->server, "/v1/runs", HELLO), *python = served_request(&m->server, "/v1/runs", PYTHON);
        one_connection(m, hello, python);
        retort_engine_close(rt_take(m->engine));
        many_connections(m, hello, python);
        print_wrk(m);
        free(hello);
        free(python);
        (void)kill(floor, SIGKILL);
        served_stop(&m->server);
        held(m);
        print_aims(m);
        return 0;
}

static void on_interrupt(int number) {
        (void)number;
        bench_stopped = 1;
}

static void set_option(struct options *o, int option) {
        switch (option) {
        case 'b': o->build = optarg; break;
        case 't': o->runtimes = optarg; break;
        case 'd': o->scratch = optarg; break;
        case 'w': o->write = optarg; break;
        case 'n': o->rounds = (unsigned)strtoul(optarg, NULL, 10); break;
        case 's': o->seconds = (unsigned)strtoul(optarg, NULL, 10); break;
        default: o->build = NULL; o->scratch = NULL; break;
        }
}

int main(int argc, char **argv) {
        static const struct option names[] = { { "build", 1, NULL, 'b' }, { "runtimes", 1, NULL, 't' }, { "scratch", 1, NULL, 'd' },
                                               { "write", 1, NULL, 'w' }, { "rounds", 1, NULL, 'n' }, { "seconds", 1, NULL, 's' },
                                               { NULL, 0, NULL, 0 } };
        struct measured m = { .o = { .rounds = 200, .seconds = 3 } };
        char *text = NULL;
        size_t size = 0;
        for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;)
                set_option(&m.o, option);
        if (!m.o.build || !m.o.runtimes || !m.o.scratch || optind != argc) {
                fprintf(stderr, "usage: retort-bench-server --build DIR --runtimes DIR --scratch DIR [--write FILE] [--rounds N] "
                                "[--seconds N]      (bench/run-server does it)\n");
                return 2;
        }
        (void)signal(SIGINT, on_interrupt);
        (void)signal(SIGPIPE, SIG_IGN);
        m.out = open_memstream(&text, &size);
        if (!m.out)
                return 1;
        fprintf(m.out, "\n## The server\n\n");
        bench_print_machine(m.out);
        bench_print_load(m.out, "before");
        int r = measure(&m);
        bench_print_load(m.out, "after");
        (void)fclose(m.out);
        (void)fputs(text, stdout);
        FILE *file = m.o.write && r == 0 && !bench_stopped ? fopen(m.o.write, "ae") : NULL;
        if (file && (fputs(text, file) < 0 || fclose(file) != 0))
                r = -1;
        free(text);
        served_stop(&m.server);
        return r < 0;
}
