/* SPDX-License-Identifier: Apache-2.0
 *
 * For the kill test: a service on a store, which accepts a job for each line of stdin and says its id (or "refused ...") on
 * stdout as soon as it is acknowledged. A line is `KEY SCRIPT`: an idempotency key, then bash. Ends when stdin does and all is
 * done; whoever drives it kills it before. Usage: jobs-child STORE [section.key=value ...]
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "service/config.h"
#include "service/service.h"

enum { MAX_LINE = 4096, MAX_OVERRIDES = 32 };

static void accept_line(struct rt_service *service, char *line) {
        line[strcspn(line, "\n")] = 0;
        char *code = line + strcspn(line, " ");
        if (*code)
                *code++ = 0;
        const struct retort_request request = { .language = "bash", .code = { code, strlen(code) } };
        const struct rt_job_order order = { .caller = { .tenant_id = 1 }, .request = &request, .idempotency_key = line };
        struct rt_refusal refusal;
        struct retort_error err = { 0 };
        char id[27];
        bool existed = false;
        if (rt_service_job_accept(service, &order, id, &existed, &refusal, &err) < 0)
                printf("refused %s %s\n", line, err.message);
        else
                printf("%s %s %s\n", existed ? "existed" : "accepted", line, id);
        (void)fflush(stdout);
}

static void wait_until_done(struct rt_service *service) {
        struct rt_store_stats stats = { .jobs_queued = 1 };
        while (stats.jobs_queued + stats.jobs_running > 0) {
                (void)nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
                rt_store_stats(rt_service_store(service), &stats);
        }
}

int main(int argc, char **argv) {
        char store[MAX_LINE];
        char line[MAX_LINE];
        const char *overrides[MAX_OVERRIDES + 4] = { store, "isolation.minimum=minimal", "log.level=error" };
        struct rt_config *config = NULL;
        struct rt_service *service = NULL;
        struct retort_error err = { 0 };
        if (argc < 2)
                return 2;
        (void)snprintf(store, sizeof store, "store.path=%s", argv[1]);
        for (int i = 2; i < argc && i < MAX_OVERRIDES; i++)
                overrides[i + 1] = argv[i];
        if (rt_config_read(&config, NULL, overrides, &err) < 0 || rt_service_open(&service, config, &err) < 0) {
                fprintf(stderr, "jobs-child: %s\n", err.message);
                return 1;
        }
        printf("ready\n");
        (void)fflush(stdout);
        while (fgets(line, sizeof line, stdin))
                accept_line(service, line);
        wait_until_done(service);
        rt_service_close(service);
        rt_config_free(config);
        return 0;
}
