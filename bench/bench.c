/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"

enum { LEAST_WARM_MS = 15000 }; /* what is not warm then is not weighed */

volatile sig_atomic_t bench_stopped;

/* ---- what is asked for ---- */

static const struct option long_options[] = {
        { "build", required_argument, NULL, 'b' },       { "source", required_argument, NULL, 'S' },
        { "bundles", required_argument, NULL, 'o' },     { "state", required_argument, NULL, 's' },
        { "scratch", required_argument, NULL, 'd' },     { "write", required_argument, NULL, 'w' },
        { "only", required_argument, NULL, 'y' },        { "rounds", required_argument, NULL, 'n' },
        { "slow-rounds", required_argument, NULL, 'm' }, { "warmup", required_argument, NULL, 'u' },
        { "pause", required_argument, NULL, 'p' },       { "flow", required_argument, NULL, 'f' },
        { "warm", required_argument, NULL, 'W' },        { "setups", required_argument, NULL, 'e' },
        { "burst", required_argument, NULL, 'B' },       { "quick", no_argument, NULL, 'q' },
        { "help", no_argument, NULL, 'h' },              { NULL, 0, NULL, 0 },
};

static const char help[] =
        "usage: retort-bench --build DIR --source DIR --scratch DIR [option ...]      (bench/run does it)\n"
        "  --build DIR      the build directory to measure\n"
        "  --source DIR     bench/ of the source tree\n"
        "  --scratch DIR    an empty folder\n"
        "  --bundles DIR    OCI bundles in static/ and python/, for crun\n"
        "  --state DIR      where crun keeps its state\n"
        "  --write FILE     put the report there too\n"
        "  --only TEXT      only groups with TEXT in their title, and no loads\n"
        "  --quick          a first impression: few rounds, short loads\n"
        "  --rounds N       of the static program and of print(1) (200)\n"
        "  --slow-rounds N  of the others (40)\n"
        "  --warmup N       rounds that do not count (3)\n"
        "  --warm MS        most that a contender may take to become warm (30000)\n"
        "  --pause MS       between two measurements (5)\n"
        "  --flow MS        how long throughput is measured (5000)\n"
        "  --burst N        requests in a burst (500)\n"
        "  --setups N       engines and slots to make (20)\n";

static unsigned number(const char *text) {
        char *end;
        errno = 0;
        unsigned long value = strtoul(text, &end, 10);
        if (errno || *end || end == text || text[0] == '-' || value > 1000000) {
                fprintf(stderr, "retort-bench: `%s` is no number from 0 to 1000000\n", text);
                exit(2);
        }
        return (unsigned)value;
}

static void set_option(struct bench_options *o, int option) {
        switch (option) {
        case 'b': o->build = optarg; break;
        case 'S': o->source = optarg; break;
        case 'o': o->bundles = optarg; break;
        case 's': o->state = optarg; break;
        case 'd': o->scratch = optarg; break;
        case 'w': o->write = optarg; break;
        case 'y': o->only = optarg; break;
        case 'n': o->rounds = number(optarg); break;
        case 'm': o->slow_rounds = number(optarg); break;
        case 'u': o->warmup = number(optarg); break;
        case 'p': o->pause_ms = number(optarg); break;
        case 'f': o->flow_ms = number(optarg); break;
        case 'W': o->warm_ms = number(optarg); break;
        case 'e': o->setups = number(optarg); break;
        case 'B': o->burst = number(optarg); break;
        case 'q':
                o->rounds = 15;
                o->slow_rounds = 2;
                o->warmup = 1;
                o->flow_ms = 1000;
                o->warm_ms = 2000;
                o->setups = 3;
                o->burst = 100;
                break;
        case 'h': (void)fputs(help, stdout); exit(0);
        default: (void)fputs(help, stderr); exit(2);
        }
}

static void set_paths(struct bench_paths *p, const struct bench_options *o) {
#define PATH_OF(member, tail) (void)snprintf(p->member, sizeof p->member, "%.900s/" tail, o->build)
        PATH_OF(hello, "bench/runtimes/exec/hello");
        PATH_OF(retort, "src/bin/retort");
        PATH_OF(libexec, "src/bin");
        PATH_OF(jailer, "src/bin/retort-jailer");
        PATH_OF(init, "src/bin/retort-init");
        PATH_OF(languages, "runtimes");
        PATH_OF(own, "bench/runtimes");
#undef PATH_OF
        (void)snprintf(p->jupyter, sizeof p->jupyter, "%.900s/jupyter.py", o->source);
        (void)snprintf(p->env_libexec, sizeof p->env_libexec, "RETORT_LIBEXEC=%s", p->libexec);
        (void)snprintf(p->env_languages, sizeof p->env_languages, "RETORT_RUNTIMES=%s", p->languages);
        (void)snprintf(p->env_own, sizeof p->env_own, "RETORT_RUNTIMES=%s", p->own);
        (void)snprintf(p->env_home, sizeof p->env_home, "HOME=%.900s", o->scratch);
        (void)snprintf(p->state, sizeof p->state, "--root=%.900s", o->state ? o->state : "/run/crun");
        (void)snprintf(p->static_bundle, sizeof p->static_bundle, "%.900s/static", o->bundles ? o->bundles : "");
        (void)snprintf(p->python_bundle, sizeof p->python_bundle, "%.900s/python", o->bundles ? o->bundles : "");
        (void)bench_find("bwrap", p->bwrap);
        (void)bench_find("crun", p->crun);
}

static void on_interrupt(int number_) {
        (void)number_;
        bench_stopped = 1;
}

static const char notes[] =
        "\nOn a busy machine the ratios flatter Retort: its boxes have cgroups, and so shares of the CPU, of their own. Measure on an idle\n"
        "one.\n\nEach contender runs once a round, in an order drawn anew, with a pause between two; timed is from asking until the\n"
        "complete output and the exit status are both known; \": output\" is until the first byte. \"- plain\" is the difference of the\n"
        "medians, \"ratio\" their quotient. CPU is that of the started program and what it waited for; for the library see the\n"
        "throughput. \"library\": the engine is open and has had time to become warm; behind the comma is the start that the outcomes\n"
        "told. \"nothing warm\": an open engine that makes each box when it is asked for it. \"the box alone\": the library without\n"
        "runtime, plan and outcome. \"command\": everything anew each time. \"HTTP\": retortd, one connection that is kept. A compiled\n"
        "source is new each time, except in \"same source again\"; the plain compilers keep nothing. gcc and g++ have -O2 in both.\n"
        "bubblewrap: --unshare-all, read-only /usr and the program, tmpfs, proc, dev; no seccomp filter, no limits. crun: its\n"
        "own default spec (pid, network, ipc, uts, mount namespaces, cgroups), no seccomp filter; it refuses a host with both\n"
        "cgroup versions, so there it is started in a mount namespace without the cgroup2 mount (made beforehand, not timed).\n"
        "ipykernel: over ZeroMQ by jupyter_client, timed in that client; \"a cell\" is print(1) in a kernel that keeps its state and is no\n"
        "sandbox, \"start\" is until its kernel_info_reply.\n";

/* ---- all of it ---- */

static void report_failure(FILE *out, const char *what, int r, const struct retort_error *err) {
        if (r < 0)
                fprintf(out, "\n%s: failed: %s\n", what, err->message);
}

static struct bench_contender *library_of(struct bench_results *r, size_t group) {
        for (size_t i = 0; i < r->groups[group].n; i++)
                if (strcmp(r->groups[group].contenders[i].name, "retort, library") == 0)
                        return &r->groups[group].contenders[i];
        abort();
}

static void measure_flows(struct bench_results *r, const struct bench_options *o) {
        const struct { const char *name; size_t group; unsigned threads; } flows[] = {
                { "static program", BENCH_STATIC, 1 },   { "static program", BENCH_STATIC, rt_bench_cpus() },
                { "static program", BENCH_STATIC, 2 * rt_bench_cpus() }, { "python, print(1)", BENCH_PYTHON, 1 },
                { "python, print(1)", BENCH_PYTHON, rt_bench_cpus() },   { "python, print(1)", BENCH_PYTHON, 2 * rt_bench_cpus() },
                { "javascript", BENCH_NODE, rt_bench_cpus() },
        };
        for (size_t i = 0; i < RT_LEN(flows) && !bench_stopped; i++) {
                struct bench_contender *c = library_of(r, flows[i].group);
                bench_warm_up(c, o->warm_ms);
                if (c->why[0])
                        continue;
                struct bench_flow *flow = &r->flows[r->n_flows++];
                *flow = (struct bench_flow){ .name = flows[i].name, .threads = flows[i].threads };
                bench_flow(flow, c, o->flow_ms);
        }
}

/* Traffic as a busy server sees it: mostly Python, some of everything. */
static void measure_bursts(struct bench_results *r, const struct bench_places *at, const struct bench_options *o) {
        const struct bench_contender python = { .engine = at->languages, .language = "python", .code = "print(1)", .expected = "1\n" };
        const struct bench_contender bash = { .engine = at->languages, .language = "bash", .code = "echo 1", .expected = "1\n" };
        const struct bench_contender node = { .engine = at->languages, .language = "javascript", .code = "console.log(1)", .expected = "1\n" };
        const struct bench_contender c = { .engine = at->languages, .language = "c",
                                           .code = "#include <stdio.h>\nint main(void) { puts(\"1\"); }\n", .expected = "1\n" };
        const struct bench_contender *one[] = { &python };
        const struct bench_contender *mix[] = { &python, &python, &bash, &python, &c, &python, &python, &bash, &node, &python };
        const struct { const char *name; const struct bench_contender **mix; size_t n; } bursts[] = {
                { "library, Python", one, 1 }, { "library, mixed languages", mix, RT_LEN(mix) } };
        for (size_t i = 0; i < RT_LEN(bursts) && !bench_stopped && o->burst; i++) {
                struct bench_burst *b = &r->bursts[r->n_bursts++];
                *b = (struct bench_burst){ .name = bursts[i].name, .asked = o->burst };
                bench_burst(b, bursts[i].mix, bursts[i].n);
        }
        if (at->http && !bench_stopped && o->burst) {
                struct bench_burst *b = &r->bursts[r->n_bursts++];
                *b = (struct bench_burst){ .name = "HTTP, Python", .asked = o->burst };
                bench_burst_http(b, at->http);
        }
}

static void measure_loads(struct bench_results *r, const struct bench_places *at, const struct bench_options *o,
                          const struct retort_config *own, FILE *out) {
        struct retort_error err = { 0 };
        measure_flows(r, o);
        measure_bursts(r, at, o);
        report_failure(out, "opening engines", bench_engine_setup(&r->engine, own, o->setups, &err), &err);
        if (at->slot)
                report_failure(out, "making slots", bench_slot_setup(at->slot, o->setups, &err), &err);
}

static int open_places(struct bench_places *at, struct bench_results *r, const struct bench_paths *p, const struct bench_options *o,
                       const struct retort_config *own, const struct retort_config *languages, struct retort_error *err) {
        struct retort_config cold = *languages;
        cold.no_warm = true;
        int failed = retort_engine_open(&at->own, own, err);
        if (failed < 0)
                return failed;
        (void)usleep(300000); /* the warm slots are being made */
        if (!rt_bench_memory(&r->memory)) /* before anything else is started */
                r->memory.n = 0;
        failed = retort_engine_open(&at->languages, languages, err);
        failed = failed < 0 ? failed : retort_engine_open(&at->cold, &cold, err);
        failed = failed < 0 ? failed : bench_slot_open(&at->slot, p, err);
        at->http = bench_http_open(p, o);
        at->jupyter = bench_jupyter_open(p->jupyter);
        return failed;
}

static void close_places(struct bench_places *at) {
        bench_jupyter_close(at->jupyter);
        bench_http_close(at->http);
        bench_slot_close(at->slot);
        retort_engine_close(at->cold);
        retort_engine_close(at->languages);
        retort_engine_close(at->own);
}

static void print_all(FILE *out, struct bench_results *r, struct bench_slot *slot, const struct bench_options *o) {
        fprintf(out, "- isolation of Retort's runs: %s\n", bench_level);
        bench_print_aims(out, r);
        for (size_t i = 0; i < BENCH_GROUPS; i++)
                if (!o->only || strstr(r->groups[i].title, o->only))
                        bench_print_group(out, &r->groups[i]);
        (void)fputs(notes, out);
        if (o->only)
                return;
        bench_print_flows(out, r->flows, r->n_flows);
        bench_print_bursts(out, r->bursts, r->n_bursts);
        bench_print_boxes(out, &r->boxes);
        bench_print_memory(out, &r->memory);
        bench_print_costs(out, &r->engine, slot);
}

static void forget(struct bench_results *r) {
        for (size_t i = 0; i < BENCH_GROUPS; i++)
                for (size_t k = 0; k < r->groups[i].n; k++)
                        bench_forget_contender(&r->groups[i].contenders[k]);
        for (size_t i = 0; i < r->n_bursts; i++)
                rt_samples_clear(&r->bursts[i].latency);
        rt_samples_clear(&r->engine.open);
        rt_samples_clear(&r->engine.close);
        rt_samples_clear(&r->engine.warm);
        free(r);
}

static int run_all(const struct bench_options *o, const struct bench_paths *p, FILE *out, struct retort_error *err) {
        const struct retort_config own = { .runtimes_dir = p->own, .libexec_dir = p->libexec };
        const struct retort_config languages = { .runtimes_dir = p->languages, .libexec_dir = p->libexec };
        struct bench_places at = { 0 };
        struct bench_results *r = calloc(1, sizeof *r);
        if (!r)
                return RETORT_E_NOMEM;
        bench_print_machine(out);
        bench_print_load(out, "before");
        const struct bench_contender python = { .language = "python", .code = "print(1)", .expected = "1\n" };
        if (!o->only) /* before there are other processes below this one */
                bench_boxes(&r->boxes, &python, &languages, o->warm_ms > LEAST_WARM_MS ? o->warm_ms : LEAST_WARM_MS);
        int failed = open_places(&at, r, p, o, &own, &languages, err);
        if (failed == 0) {
                bench_set_up_groups(r->groups, p, o, &at);
                bench_learn_warmth(r->groups, at.languages);
                for (size_t i = 0; i < BENCH_GROUPS; i++)
                        if (!o->only || strstr(r->groups[i].title, o->only))
                                bench_measure_group(&r->groups[i], o);
                if (!o->only)
                        measure_loads(r, &at, o, &own, out);
                bench_print_load(out, "after");
                print_all(out, r, at.slot, o);
        }
        close_places(&at);
        forget(r);
        return failed;
}

static int save(const char *path, const char *text, size_t size) {
        FILE *file = fopen(path, "we");
        bool good = file && fwrite(text, 1, size, file) == size;
        if (file && fclose(file) != 0)
                good = false;
        if (!good)
                fprintf(stderr, "retort-bench: cannot write %s: %s\n", path, strerror(errno));
        return good ? 0 : 1;
}

int main(int argc, char **argv) {
        struct bench_options o = { .rounds = 200, .slow_rounds = 40, .warmup = 3, .pause_ms = 5, .flow_ms = 5000, .warm_ms = 30000,
                                   .setups = 20, .burst = 500 };
        for (int option; (option = getopt_long(argc, argv, "", long_options, NULL)) != -1;)
                set_option(&o, option);
        if (!o.build || !o.source || !o.scratch || optind != argc) {
                (void)fputs(help, stderr);
                return 2;
        }
        struct bench_paths p;
        struct sigaction interrupt = { .sa_handler = on_interrupt };
        struct retort_error err = { 0 };
        char *text = NULL;
        size_t size = 0;
        set_paths(&p, &o);
        (void)sigaction(SIGINT, &interrupt, NULL);
        (void)signal(SIGPIPE, SIG_IGN);
        FILE *out = open_memstream(&text, &size);
        if (!out)
                return 1;
        (void)fputs("<!-- SPDX-License-Identifier: Apache-2.0; written by bench/run --write -->\n# What Retort costs\n\n", out);
        int r = run_all(&o, &p, out, &err);
        (void)fclose(out);
        (void)fputs(text, stdout);
        if (r < 0)
                fprintf(stderr, "retort-bench: %s\n", err.message);
        int status = r < 0 ? 1 : o.write && !bench_stopped ? save(o.write, text, size) : 0;
        free(text);
        return status;
}
