/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs inside the virtual machine: opens a context of Bash and sees whether it keeps state, and stands still when it is paused.
 */
#include <dirent.h>
#include <retort-context.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void wait_ms(long ms) {
        nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

/* CPU time, in ticks, of all processes named guest; -1: there are none. */
static long used(void) {
        DIR *list = opendir("/proc");
        long sum = -1;
        for (struct dirent *e; (e = readdir(list));) {
                char path[300], name[64] = "";
                long user = 0, system = 0;
                snprintf(path, sizeof path, "/proc/%s/stat", e->d_name);
                FILE *file = fopen(path, "re");
                if (file && fscanf(file, "%*d (%63[^)]) %*c %*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %ld %ld", name, &user, &system) == 3 &&
                    strcmp(name, "guest") == 0)
                        sum += user + system + (sum < 0);
                if (file)
                        fclose(file);
        }
        closedir(list);
        return sum;
}

static void insist(int ok, const char *what, const struct retort_error *err) {
        if (ok)
                return;
        printf("%s: %s\n", what, err->message);
        exit(1);
}

static void run(retort_context *context, const char *code, const char *expected) {
        struct retort_error err = { 0 };
        struct retort_outcome *outcome = NULL;
        const struct retort_cell cell = { .code = { code, strlen(code) } };
        insist(retort_context_run(context, &cell, NULL, NULL, &outcome, &err) == 0, code, &err);
        if (outcome->stdout_data.size != strlen(expected) || memcmp(outcome->stdout_data.data, expected, strlen(expected)) != 0) {
                printf("%s: %.*s\n", code, (int)outcome->stdout_data.size, outcome->stdout_data.data);
                exit(1);
        }
        retort_outcome_free(outcome);
}

int main(void) {
        struct retort_error err = { 0 };
        retort_engine *engine = NULL;
        retort_context *context = NULL;
        const struct retort_config config = { .runtimes_dir = "/opt/retort/runtimes", .libexec_dir = "/opt/retort", .minimum = RETORT_ISOLATION_STRONG };
        const struct retort_context_options options = { .language = "bash" };
        insist(retort_engine_open(&engine, &config, &err) == 0, "engine", &err);
        insist(retort_context_open(engine, &options, &context, &err) == 0, "context", &err);
        run(context, "x=41", "");
        run(context, "echo $((x + 1)); guest spin & guest spin &", "42\n");
        wait_ms(300);
        insist(retort_context_pause(context, &err) == 0, "pause", &err);
        long before = used();
        wait_ms(500);
        long after = used();
        insist(retort_context_resume(context, &err) == 0, "resume", &err);
        wait_ms(500);
        long later = used();
        printf("%ld ticks when it was paused, %ld then, %ld later\n", before, after, later);
        if (before <= 0 || after != before || later <= after)
                return 1;
        run(context, "echo $x", "41\n");
        insist(retort_context_pause(context, &err) == 0, "pause", &err);
        retort_context_close(context);
        retort_engine_close(engine);
        if (used() >= 0)
                printf("who stood still lives\n");
        return used() >= 0;
}
