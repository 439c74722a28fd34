/* SPDX-License-Identifier: Apache-2.0
 *
 * Kills a process that writes to a store at random instants, and counts. Four threads of it add jobs, start and finish
 * them, and say on a pipe what the store has answered; everything that was said must be there afterwards, whole, and the
 * file in order. Ends after 100 rounds or 30 s. Usage: kill [SEED [ROUNDS]]
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "store/store.h"

enum { ROUNDS = 100, LEAST_ROUNDS = 20, SECONDS = 30, ROUNDS_A_FILE = 10, NUMBERS_A_ROUND = 20000, THREADS = 4, BATCH = 4 };
enum { NUMBERS = ROUNDS_A_FILE * NUMBERS_A_ROUND };

/* How far a job is known to be: 0 nothing, then 1 + enum rt_job_state. */
static unsigned char said[NUMBERS], found[NUMBERS];
static unsigned long acknowledged;

#define DIE(...) (fprintf(stderr, __VA_ARGS__), fputc('\n', stderr), exit(1))

struct said {
        unsigned number;
        unsigned level;
};

/* ---- the child ---- */

struct worker {
        struct rt_store *store;
        unsigned first, last;
        bool in_batches;
        int out;
};

static void say(int out, unsigned number, unsigned level) {
        struct said words = { number, level };
        if (write(out, &words, sizeof words) != sizeof words)
                _exit(3);
}

static void check(int r, const struct retort_error *err) {
        if (r < 0)
                DIE("the store said: %s", err->message);
}

static void name(char id[27], unsigned number) {
        (void)snprintf(id, 27, "01JKILL%019u", number);
}

static void add_batch(const struct worker *worker, unsigned first) {
        char ids[BATCH][27];
        struct rt_store_job jobs[BATCH];
        struct retort_error err;
        for (unsigned i = 0; i < BATCH; i++) {
                name(ids[i], first + i);
                jobs[i] = (struct rt_store_job){ .id = ids[i], .tenant_id = 1, .request_json = "{}" };
        }
        check(rt_store_jobs_add(worker->store, jobs, BATCH, &err), &err);
        for (unsigned i = 0; i < BATCH; i++)
                say(worker->out, first + i, 1 + RT_JOB_QUEUED);
}

static void live(const struct worker *worker, unsigned number) {
        char id[27], outcome[64];
        struct retort_error err;
        name(id, number);
        (void)snprintf(outcome, sizeof outcome, "{\"n\":%u}", number);
        struct rt_store_job job = { .id = id, .tenant_id = 1, .request_json = outcome };
        check(rt_store_job_add(worker->store, &job, NULL, NULL, &err), &err);
        say(worker->out, number, 1 + RT_JOB_QUEUED);
        check(rt_store_job_start(worker->store, id, 1, NULL, &err), &err);
        say(worker->out, number, 1 + RT_JOB_RUNNING);
        check(rt_store_job_finish(worker->store, id, 2, "ok", outcome, NULL, NULL, &err), &err);
        say(worker->out, number, 1 + RT_JOB_DONE);
}

static void *work(void *argument) {
        const struct worker *worker = argument;
        for (unsigned n = worker->first; n + BATCH <= worker->last; n += worker->in_batches ? BATCH : 1) {
                if (worker->in_batches)
                        add_batch(worker, n);
                else
                        live(worker, n);
        }
        return NULL;
}

/* Jobs finished in the year 1970 are not to be removed. */
static struct rt_store *open_store(const char *file) {
        struct rt_store *store = NULL;
        struct retort_error err;
        struct rt_store_config config = { .path = file, .keep_jobs_ms = UINT64_MAX / 2 };
        check(rt_store_open(&store, &config, &err), &err);
        return store;
}

static _Noreturn void be_killed(const char *file, unsigned round, int out) {
        struct rt_store *store = open_store(file);
        pthread_t threads[THREADS];
        struct worker workers[THREADS];
        const unsigned share = NUMBERS_A_ROUND / THREADS;
        for (unsigned i = 0; i < THREADS; i++) {
                unsigned first = round % ROUNDS_A_FILE * NUMBERS_A_ROUND + i * share;
                workers[i] = (struct worker){ store, first, first + share, i == 0, out };
                if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0)
                        _exit(3);
        }
        for (;;)
                (void)pause();
}

/* ---- the parent ---- */

static void hear(int in, int timeout_ms) {
        uint64_t until = rt_now_ns() + (uint64_t)timeout_ms * 1000000;
        struct said words;
        for (;;) {
                int64_t left = (int64_t)(until - rt_now_ns()) / 1000000;
                struct pollfd fd = { .fd = in, .events = POLLIN };
                if ((timeout_ms >= 0 && left <= 0) || poll(&fd, 1, timeout_ms < 0 ? -1 : (int)left) <= 0)
                        return;
                if (read(in, &words, sizeof words) != sizeof words)
                        return;
                if (words.number >= NUMBERS)
                        DIE("rubbish on the pipe");
                if (words.level > said[words.number])
                        said[words.number] = (unsigned char)words.level;
                acknowledged++;
        }
}

static int first_cell(void *answer, int n, char **cells, char **names) {
        (void)n, (void)names;
        (void)snprintf(answer, 64, "%s", cells[0]);
        return 0;
}

static void check_file(const char *file) {
        sqlite3 *db = NULL;
        char whole[64] = "", orphans[64] = "none";
        if (sqlite3_open(file, &db) != SQLITE_OK ||
            sqlite3_exec(db, "PRAGMA integrity_check", first_cell, whole, NULL) != SQLITE_OK ||
            sqlite3_exec(db, "PRAGMA foreign_key_check", first_cell, orphans, NULL) != SQLITE_OK)
                DIE("cannot check the file: %s", sqlite3_errmsg(db));
        if (strcmp(whole, "ok") != 0 || strcmp(orphans, "none") != 0)
                DIE("the file is not in order: %s, orphans %s", whole, orphans);
        (void)sqlite3_close(db);
}

static void check_job(const struct rt_store_job *job) {
        unsigned long number = strtoul(job->id + 7, NULL, 10);
        if (number >= NUMBERS)
                DIE("an unknown job %s", job->id);
        found[number] = (unsigned char)(1 + job->state);
        char outcome[64];
        (void)snprintf(outcome, sizeof outcome, "{\"n\":%lu}", number);
        if (job->state == RT_JOB_DONE && (!job->outcome_json || strcmp(job->outcome_json, outcome) != 0))
                DIE("job %lu is done without its outcome", number);
        if (!job->request_json)
                DIE("job %lu has no request", number);
}

static void check_jobs(struct rt_store *store) {
        rt_auto_arena struct rt_arena arena = { 0 };
        struct rt_store_job_filter filter = { .state = -1, .with_bodies = true };
        struct rt_store_job *jobs = NULL;
        struct retort_error err;
        size_t n = 0;
        check(rt_store_jobs(store, &filter, &arena, &jobs, &n, &err), &err);
        memset(found, 0, sizeof found);
        for (size_t i = 0; i < n; i++)
                check_job(&jobs[i]);
        for (unsigned i = 0; i < NUMBERS; i++)
                if (found[i] < said[i])
                        DIE("job %u: %u was acknowledged, %u is there", i, said[i], found[i]);
        for (unsigned i = 0; i < NUMBERS; i += BATCH)
                if (i % NUMBERS_A_ROUND < NUMBERS_A_ROUND / THREADS && (!found[i] != !found[i + 1] || !found[i] != !found[i + 3]))
                        DIE("batch %u is there in part", i);
}

static void play_round(const char *file, unsigned round, int kill_after_ms) {
        int ends[2];
        if (pipe(ends) < 0)
                DIE("no pipe");
        pid_t child = fork();
        if (child == 0) {
                (void)close(ends[0]);
                be_killed(file, round, ends[1]);
        }
        (void)close(ends[1]);
        hear(ends[0], kill_after_ms);
        (void)kill(child, SIGKILL);
        int status;
        (void)waitpid(child, &status, 0);
        hear(ends[0], -1); /* what it had said before */
        (void)close(ends[0]);
        if (!WIFSIGNALED(status))
                DIE("the child ended by itself (%d)", status);
        struct rt_store *store = open_store(file);
        check_jobs(store);
        check_file(file);
        rt_store_close(store);
}

static void remove_files(const char *file) {
        static const char *const ends[] = { "", "-wal", "-shm", "-lock" };
        for (size_t i = 0; i < RT_LEN(ends); i++) {
                char path[160];
                (void)snprintf(path, sizeof path, "%s%s", file, ends[i]);
                (void)unlink(path);
        }
        memset(said, 0, sizeof said);
}

int main(int argc, char **argv) {
        unsigned seed = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : (unsigned)(rt_now_ns() ^ (uint64_t)getpid());
        unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : ROUNDS;
        char folder[] = "/tmp/retort-kill-XXXXXX", file[128];
        if (!mkdtemp(folder))
                DIE("no folder");
        (void)snprintf(file, sizeof file, "%s/kept.db", folder);
        printf("seed %u\n", seed);
        (void)fflush(stdout);
        srandom(seed);
        uint64_t until = rt_now_ns() + SECONDS * 1000000000ull;
        unsigned round = 0;
        for (; round < rounds && rt_now_ns() < until; round++) {
                if (round % ROUNDS_A_FILE == 0)
                        remove_files(file);
                play_round(file, round, 1 + (int)(random() % 150));
        }
        remove_files(file);
        (void)rmdir(folder);
        printf("%u rounds, %lu acknowledged writes, none lost\n", round, acknowledged);
        return round >= rounds || round >= LEAST_ROUNDS ? 0 : 1;
}
