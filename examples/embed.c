/* SPDX-License-Identifier: Apache-2.0
 *
 * Retort inside another program: run a text in a box, show its output as it comes, stop it after a while, print the
 * record of what happened.
 *
 *     cc embed.c $(pkg-config --cflags --libs retort) -o embed
 *     ./embed python 'print(6 * 7)'
 */
#include <retort.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Called on a thread of the engine, one event at a time, in order. */
static void show(const struct retort_event *event, void *userdata) {
        (void)userdata;
        if (event->type == RETORT_EVENT_STDOUT || event->type == RETORT_EVENT_STDERR)
                (void)fwrite(event->data.data, 1, event->data.size,
                             event->type == RETORT_EVENT_STDOUT ? stdout : stderr);
}

/* A guest's failure is an outcome; only Retort's own is an error. */
static int report(const struct retort_outcome *outcome, struct retort_error *err) {
        char *json = NULL;
        if (retort_outcome_json(outcome, &json, err) < 0)
                return -1;
        (void)fprintf(stderr, "%s (%s isolation)\n%s\n", retort_status_name(outcome->status),
                      outcome->isolation_level, json);
        free(json);
        return 0;
}

static int run(retort_engine *engine, const struct retort_request *request, struct retort_error *err) {
        retort_run *job = NULL;
        struct retort_outcome *outcome = NULL;
        int r = retort_submit(engine, request, show, NULL, &job, err);
        if (r < 0)
                return r;
        r = retort_wait(job, 5000, &outcome, err);
        if (r == RETORT_E_TIMEOUT) { /* we have waited long enough: any thread may say so */
                retort_cancel(job);
                r = retort_wait(job, -1, &outcome, err);
        }
        if (r == 0)
                r = report(outcome, err);
        retort_outcome_free(outcome);
        retort_run_free(job);
        return r;
}

int main(int argc, char **argv) {
        const char *language = argc > 1 ? argv[1] : "python";
        const char *code = argc > 2 ? argv[2] : "print(6 * 7)\n";
        struct retort_error err = { 0 };
        struct retort_request request = { 0 }; /* every zero is a default */
        request.language = language;
        request.code.data = code;
        request.code.size = strlen(code);
        request.limits.memory_bytes = 256ull << 20;
        request.limits.wall_ms = 10000;

        retort_engine *engine = NULL;
        int r = retort_engine_open(&engine, NULL, &err);
        if (r == 0)
                r = run(engine, &request, &err);
        retort_engine_close(engine);
        if (r < 0)
                (void)fprintf(stderr, "embed: %s\n", err.message);
        return r < 0 ? 1 : 0;
}
