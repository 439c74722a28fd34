/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"

volatile sig_atomic_t bench_stopped;

/* ---- what is asked for ---- */

struct options {
        const char *build;  /* the build directory */
        const char *bundle; /* an OCI bundle that runs the static program; NULL: none could be made */
        const char *state;  /* crun's */
        const char *write;  /* file that gets the report too */
        unsigned rounds, slow_rounds, warmup, pause_ms, runs, setups;
};

/* Everything that is made of them. */
struct paths {
        char hello[1024], retort[1024], libexec[1024], jailer[1024], init[1024], languages[1024], own[1024];
        char env_libexec[1100], env_languages[1100], env_own[1100], state[1100];
        char bwrap[64], crun[64], node[64];
};

static const struct option long_options[] = {
        { "build", required_argument, NULL, 'b' },       { "bundle", required_argument, NULL, 'o' },
        { "state", required_argument, NULL, 's' },       { "write", required_argument, NULL, 'w' },
        { "rounds", required_argument, NULL, 'n' },      { "slow-rounds", required_argument, NULL, 'm' },
        { "warmup", required_argument, NULL, 'u' },      { "pause", required_argument, NULL, 'p' },
        { "runs", required_argument, NULL, 'r' },        { "setups", required_argument, NULL, 'e' },
        { "help", no_argument, NULL, 'h' },              { NULL, 0, NULL, 0 },
};

static const char help[] =
        "usage: retort-bench --build DIR [option ...]      (bench/run does it)\n"
        "  --build DIR      the build directory to measure\n"
        "  --bundle DIR     OCI bundle of the static program, for crun\n"
        "  --state DIR      where crun keeps its state\n"
        "  --write FILE     put the report there too\n"
        "  --rounds N       of the static program (200)\n"
        "  --slow-rounds N  of python and node (40)\n"
        "  --warmup N       rounds that do not count (3)\n"
        "  --pause MS       between two measurements (5)\n"
        "  --runs N         for throughput (400)\n"
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

static void set_option(struct options *o, int option) {
        switch (option) {
        case 'b': o->build = optarg; break;
        case 'o': o->bundle = optarg; break;
        case 's': o->state = optarg; break;
        case 'w': o->write = optarg; break;
        case 'n': o->rounds = number(optarg); break;
        case 'm': o->slow_rounds = number(optarg); break;
        case 'u': o->warmup = number(optarg); break;
        case 'p': o->pause_ms = number(optarg); break;
        case 'r': o->runs = number(optarg); break;
        case 'e': o->setups = number(optarg); break;
        case 'h': (void)fputs(help, stdout); exit(0);
        default: (void)fputs(help, stderr); exit(2);
        }
}

static void set_paths(struct paths *p, const struct options *o) {
#define PATH_OF(member, tail) (void)snprintf(p->member, sizeof p->member, "%.900s/" tail, o->build)
        PATH_OF(hello, "bench/runtimes/exec/hello");
        PATH_OF(retort, "src/bin/retort");
        PATH_OF(libexec, "src/bin");
        PATH_OF(jailer, "src/bin/retort-jailer");
        PATH_OF(init, "src/bin/retort-init");
        PATH_OF(languages, "runtimes");
        PATH_OF(own, "bench/runtimes");
#undef PATH_OF
        (void)snprintf(p->env_libexec, sizeof p->env_libexec, "RETORT_LIBEXEC=%s", p->libexec);
        (void)snprintf(p->env_languages, sizeof p->env_languages, "RETORT_RUNTIMES=%s", p->languages);
        (void)snprintf(p->env_own, sizeof p->env_own, "RETORT_RUNTIMES=%s", p->own);
        (void)snprintf(p->state, sizeof p->state, "--root=%.900s", o->state ? o->state : "/run/crun");
        (void)bench_find("bwrap", p->bwrap);
        (void)bench_find("crun", p->crun);
        (void)bench_find("node", p->node);
}

/* ---- the contenders ---- */

static const char path_variable[] = "PATH=/usr/local/bin:/usr/bin:/bin";

static struct bench_contender *add(struct bench_group *g, const char *name, const char *expected) {
        struct bench_contender *c = &g->contenders[g->n++];
        *c = (struct bench_contender){ .name = name, .expected = expected, .run = bench_run_program,
                                       .env = { path_variable } };
        return c;
}

static void set_argv(struct bench_contender *c, const char *const *argv) {
        for (size_t i = 0; argv[i] && i < RT_LEN(c->argv) - 1; i++)
                c->argv[i] = argv[i];
}
#define ARGV(c, ...) set_argv((c), (const char *const[]){ __VA_ARGS__, NULL })

/* The two ways through Retort. runtimes is the variable for the command, engine the one for the library. */
static void add_retort(struct bench_group *g, const struct paths *p, const char *runtimes, retort_engine *engine,
                       const char *language, const char *code, const char *expected) {
        struct bench_contender *library = add(g, "retort, library", expected);
        library->run = bench_run_library;
        library->engine = engine;
        library->language = language;
        library->code = code;
        struct bench_contender *command = add(g, "retort, command", expected);
        ARGV(command, p->retort, "run", "-l", language, "-c", code);
        command->env[1] = p->env_libexec;
        command->env[2] = runtimes;
}

static void add_others(struct bench_group *g, const struct paths *p, const struct options *o) {
        struct bench_contender *bwrap = add(g, "bubblewrap", "hello\n");
        bwrap->is_sandbox = true;
        ARGV(bwrap, p->bwrap, "--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr", "--ro-bind", p->hello, "/hello",
             "--tmpfs", "/tmp", "--proc", "/proc", "--dev", "/dev", "/hello");
        if (!p->bwrap[0])
                (void)bench_fail(bwrap, "bwrap is not installed (apt install bubblewrap)");
        static const char *const names[] = { "crun", "crun, cgroups off" };
        for (size_t i = 0; i < RT_LEN(names); i++) {
                struct bench_contender *crun = add(g, names[i], "hello\n");
                crun->is_sandbox = crun->without_cgroup2 = true;
                if (i == 0)
                        ARGV(crun, p->crun, p->state, "run", "--bundle", o->bundle, "retort-bench");
                else
                        ARGV(crun, p->crun, p->state, "--cgroup-manager=disabled", "run", "--bundle", o->bundle, "retort-bench");
                if (!p->crun[0] || !o->bundle)
                        (void)bench_fail(crun, p->crun[0] ? "no bundle was made" : "crun is not installed (apt install crun)");
        }
}

static void set_up_static(struct bench_group *g, const struct paths *p, const struct options *o, retort_engine *engine,
                          struct bench_slot *slot) {
        *g = (struct bench_group){ .title = "A static C program: write(1, \"hello\\n\", 6)", .rounds = o->rounds };
        ARGV(add(g, "plain (posix_spawn)", "hello\n"), p->hello);
        struct bench_contender *box = add(g, "retort, the box alone", "hello\n");
        box->run = bench_run_slot;
        box->slot = slot;
        add_retort(g, p, p->env_own, engine, "exec", "x", "hello\n");
        add_others(g, p, o);
}

static void set_up_language(struct bench_group *g, const struct paths *p, const struct options *o, retort_engine *engine,
                            const char *title, const char *const plain[4], const char *language) {
        *g = (struct bench_group){ .title = title, .rounds = o->slow_rounds };
        struct bench_contender *c = add(g, "plain (posix_spawn)", "1\n");
        set_argv(c, plain);
        add_retort(g, p, p->env_languages, engine, language, plain[2], "1\n");
        if (access(plain[0], X_OK) == 0)
                return;
        for (size_t i = 0; i < g->n; i++)
                (void)bench_fail(&g->contenders[i], "%s is not installed", language);
}

/* ---- rounds ---- */

static void measure(struct bench_contender *c, const struct options *o, bool counts) {
        uint64_t wall = 0, cpu = 0;
        if (c->why[0] || bench_stopped)
                return;
        if (c->run(c, &wall, &cpu) < 0) {
                if (bench_stopped)
                        c->why[0] = 0; /* Ctrl-C ends the program too; what was measured before is good */
                return;
        }
        if (counts && !bench_stopped) {
                bench_add(&c->wall, wall);
                if (cpu)
                        bench_add(&c->cpu, cpu);
        }
        (void)usleep(o->pause_ms * 1000);
}

static void shuffle(size_t *order, size_t n, unsigned *seed) {
        for (size_t i = n; i > 1; i--) {
                size_t j = (size_t)rand_r(seed) % i;
                size_t kept = order[i - 1];
                order[i - 1] = order[j];
                order[j] = kept;
        }
}

static void measure_group(struct bench_group *g, const struct options *o) {
        size_t order[RT_LEN(g->contenders)];
        unsigned seed = 1;
        bool tell = isatty(2);
        for (size_t i = 0; i < g->n; i++)
                order[i] = i;
        for (unsigned round = 0; round < o->warmup + g->rounds && !bench_stopped; round++) {
                if (tell)
                        fprintf(stderr, "\r\033[K%s: round %u of %u", g->title, round + 1, o->warmup + g->rounds);
                shuffle(order, g->n, &seed);
                for (size_t i = 0; i < g->n; i++)
                        measure(&g->contenders[order[i]], o, round >= o->warmup);
        }
        if (tell)
                fprintf(stderr, "\r\033[K");
}

/* ---- all of it ---- */

static void on_interrupt(int number_) {
        (void)number_;
        bench_stopped = 1;
}

static const char notes[] =
        "\nEach contender runs once a round, in an order drawn anew, with a pause between two; timed is from asking until the\n"
        "complete output and the exit status are both known. \"- plain\" is the difference of the medians. CPU is that of the\n"
        "started program and what it waited for; for the library see the throughput. \"library\": the engine is open and has\n"
        "warm boxes. \"the box alone\": the same without runtime, plan and outcome. \"command\": everything anew each time.\n"
        "bubblewrap: --unshare-all, read-only /usr and the program, tmpfs, proc, dev; no seccomp filter, no limits. crun: its\n"
        "own default spec (pid, network, ipc, uts, mount namespaces, cgroups), no seccomp filter; it refuses a host with both\n"
        "cgroup versions, so there it is started in a mount namespace without the cgroup2 mount (made beforehand, not timed).\n";

static void report_failure(FILE *out, const char *what, int r, const struct retort_error *err) {
        if (r < 0)
                fprintf(out, "\n%s: failed: %s\n", what, err->message);
}

static void measure_costs(FILE *out, const struct options *o, const struct retort_config *config, struct bench_slot *slot) {
        struct bench_engine engine = { 0 };
        struct bench_flow flows[] = { { .threads = 1 }, { .threads = 2 }, { .threads = 4 } };
        struct retort_error err = { 0 };
        report_failure(out, "opening engines", bench_engine_setup(&engine, config, o->setups, &err), &err);
        if (slot->jail)
                report_failure(out, "making slots", bench_slot_setup(slot, o->setups, &err), &err);
        bench_print_costs(out, &engine, slot);
        for (size_t i = 0; i < RT_LEN(flows) && !bench_stopped; i++)
                report_failure(out, "throughput", bench_flow(&flows[i], config, o->runs, &err), &err);
        bench_print_flows(out, flows, RT_LEN(flows));
        bench_forget(&engine.open);
        bench_forget(&engine.close);
        bench_forget(&engine.warm);
}

/* Measured before anything else is started. */
static int measure_memory(struct bench_memory *memory, retort_engine **ret_engine, const struct retort_config *config,
                          struct retort_error *err) {
        int r = retort_engine_open(ret_engine, config, err);
        if (r < 0)
                return r;
        (void)usleep(200000); /* the warm slots are being made */
        if (!bench_memory(memory))
                memory->n = 0;
        return 0;
}

static void forget_group(struct bench_group *g) {
        for (size_t i = 0; i < g->n; i++) {
                bench_forget(&g->contenders[i].wall);
                bench_forget(&g->contenders[i].cpu);
        }
}

static int run_all(const struct options *o, const struct paths *p, FILE *out, struct retort_error *err) {
        const struct retort_config own = { .runtimes_dir = p->own, .libexec_dir = p->libexec };
        const struct retort_config languages = { .runtimes_dir = p->languages, .libexec_dir = p->libexec };
        const struct rt_jail_config jail = { .jailer = p->jailer, .init = p->init, .runtimes = p->own, .scratch = "/tmp" };
        retort_engine *engine = NULL, *engine_for_languages = NULL;
        struct bench_memory memory = { 0 };
        struct bench_slot slot = { 0 };
        struct bench_group groups[3];
        const char *const python[4] = { "/usr/bin/python3", "-c", "print(1)" };
        const char *const node[4] = { p->node, "-e", "console.log(1)" };
        bench_print_machine(out);
        bench_print_load(out, "before");
        int r = measure_memory(&memory, &engine, &own, err);
        if (r == 0)
                r = retort_engine_open(&engine_for_languages, &languages, err);
        if (r == 0)
                r = bench_slot_open(&slot, &jail, err);
        if (r == 0) {
                set_up_static(&groups[0], p, o, engine, &slot);
                set_up_language(&groups[1], p, o, engine_for_languages, "python3 -c 'print(1)'", python, "python");
                set_up_language(&groups[2], p, o, engine_for_languages, "node -e 'console.log(1)'", node, "javascript");
                for (size_t i = 0; i < RT_LEN(groups); i++)
                        measure_group(&groups[i], o);
                retort_engine_close(rt_take(engine));
                retort_engine_close(rt_take(engine_for_languages));
                bench_print_load(out, "after");
                fprintf(out, "- isolation of Retort's runs: %s\n", bench_level);
                bench_print_aims(out, &groups[0]);
                for (size_t i = 0; i < RT_LEN(groups); i++)
                        bench_print_group(out, &groups[i]);
                (void)fputs(notes, out);
                measure_costs(out, o, &own, &slot);
                bench_print_memory(out, &memory);
                for (size_t i = 0; i < RT_LEN(groups); i++)
                        forget_group(&groups[i]);
        }
        bench_slot_close(&slot);
        bench_forget(&slot.make);
        bench_forget(&slot.recycle);
        retort_engine_close(engine_for_languages);
        retort_engine_close(engine);
        return r;
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
        struct options o = { .rounds = 200, .slow_rounds = 40, .warmup = 3, .pause_ms = 5, .runs = 400, .setups = 20 };
        for (int option; (option = getopt_long(argc, argv, "", long_options, NULL)) != -1;)
                set_option(&o, option);
        if (!o.build || optind != argc) {
                (void)fputs(help, stderr);
                return 2;
        }
        struct paths p;
        struct sigaction interrupt = { .sa_handler = on_interrupt };
        struct retort_error err = { 0 };
        char *text = NULL;
        size_t size = 0;
        set_paths(&p, &o);
        (void)sigaction(SIGINT, &interrupt, NULL);
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
