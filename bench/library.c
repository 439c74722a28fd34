/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/err.h"
#include "base/util.h"
#include "bench.h"

enum { CODE_MAX = 8192 };

char bench_level[16] = "unknown";

static void on_event(const struct retort_event *event, void *userdata) {
        struct bench_took *took = userdata;
        bool compiling = event->step_name && strcmp(event->step_name, "compile") == 0;
        if (event->type == RETORT_EVENT_STDOUT && !compiling && !took->output_ns)
                took->output_ns = event->at_ns;
}

int bench_run_once(const struct bench_contender *c, struct bench_took *ret, struct retort_error *err) {
        char code[CODE_MAX];
        (void)snprintf(code, sizeof code, "%s", c->code);
        if (c->renew)
                rt_bench_renew(c->code, code, sizeof code);
        struct retort_request request = { .language = c->language, .code = { code, strlen(code) } };
        struct retort_outcome *o = NULL;
        *ret = (struct bench_took){ 0 };
        uint64_t begun = rt_now_ns();
        int r = retort_run_wait(c->engine, &request, on_event, ret, &o, err);
        ret->wall_ns = rt_now_ns() - begun;
        if (r < 0)
                return r;
        ret->start = rt_bench_start(o->start);
        bool good = o->status == RETORT_OK && o->stdout_data.size == strlen(c->expected) &&
                    memcmp(o->stdout_data.data, c->expected, o->stdout_data.size) == 0;
        if (!good)
                r = rt_fail(err, RETORT_E_BUG, "status %s, output \"%.*s\"%s%s", retort_status_name(o->status),
                            (int)(o->stdout_data.size < 100 ? o->stdout_data.size : 100), o->stdout_data.data ? o->stdout_data.data : "",
                            o->message ? ": " : "", o->message ? o->message : "");
        retort_outcome_free(o);
        return r;
}

/* Told once by the engine itself: threads share what comes next. */
static void note_level(retort_engine *engine) {
        rt_auto_free char *json = NULL;
        if (strcmp(bench_level, "unknown") != 0 || retort_engine_isolation(engine, &json, NULL) < 0)
                return;
        json_t *root = json_loads(json, 0, NULL);
        const char *level = json_string_value(json_object_get(root, "level"));
        (void)snprintf(bench_level, sizeof bench_level, "%s", level ? level : "unknown");
        json_decref(root);
}

int bench_run_library(struct bench_contender *c, struct bench_took *ret) {
        struct retort_error err = { 0 };
        note_level(c->engine);
        return bench_run_once(c, ret, &err) < 0 ? bench_fail(c, "%.250s", err.message) : 0;
}

/* ---- opening and closing ---- */

int bench_engine_setup(struct bench_engine *e, const struct retort_config *config, unsigned n, struct retort_error *err) {
        struct bench_contender hello = { .language = "exec", .code = "x", .expected = "hello\n" };
        for (unsigned i = 0; i < n && !bench_stopped; i++) {
                struct bench_took unused;
                uint64_t begun = rt_now_ns();
                int r = retort_engine_open(&hello.engine, config, err);
                if (r < 0)
                        return r;
                rt_samples_add(&e->open, rt_now_ns() - begun);
                r = bench_run_once(&hello, &unused, err);
                rt_samples_add(&e->warm, rt_now_ns() - begun);
                begun = rt_now_ns();
                retort_engine_close(hello.engine);
                rt_samples_add(&e->close, rt_now_ns() - begun);
                if (r < 0)
                        return r;
        }
        return 0;
}
