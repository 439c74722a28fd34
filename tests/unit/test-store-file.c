/* SPDX-License-Identifier: Apache-2.0
 *
 * The store's file: who may open it, how it grows up, many threads at once, and disks that fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "store-samples.h"

/* ---- opening ---- */

static mode_t mode_of(const struct place *place, const char *end) {
        char path[160];
        struct stat st = { 0 };
        (void)snprintf(path, sizeof path, "%s%s", place->file, end);
        assert_int_equal(stat(path, &st), 0);
        return st.st_mode & 0777;
}

static void only_the_owner_reads_it(void **state) {
        struct place *place = *state;
        (void)snprintf(place->file, sizeof place->file, "%s/a/b/kept ?%%41#.db", place->folder);
        mode_t before = umask(0);
        OK(open_place(place, 0));
        OK(add_job(place->store, 1, &place->err));
        (void)umask(before);
        char folder[100];
        struct stat st;
        (void)snprintf(folder, sizeof folder, "%s/a/b", place->folder);
        assert_int_equal(stat(folder, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0700);
        assert_int_equal(mode_of(place, ""), 0600);
        assert_int_equal(mode_of(place, "-wal"), 0600);
        assert_int_equal(mode_of(place, "-shm"), 0600);
        assert_int_equal(mode_of(place, "-lock"), 0600);
        rt_store_close(rt_take(place->store));
        assert_int_equal(chmod(place->file, 0644), 0);
        OK(open_place(place, 0));
        assert_int_equal(mode_of(place, ""), 0600);
}

/* What a server was killed in the middle of starting may hold the lock's descriptor for a moment longer. */
static void a_lock_that_outlives_its_server_is_waited_for(void **state) {
        struct place *place = *state;
        OK(open_place(place, 0));
        rt_store_close(rt_take(place->store));
        char lock[160];
        (void)snprintf(lock, sizeof lock, "%s-lock", place->file);
        int fd = open(lock, O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
                _exit(usleep(200000) != 0);
        assert_int_equal(close(fd), 0); /* the child's descriptor holds it now */
        OK(open_place(place, 0));
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
}

static void one_process_at_a_time_holds_it(void **state) {
        struct place *place = *state;
        OK(open_place(place, 0));
        char link[100], words[64];
        (void)snprintf(link, sizeof link, "%s/link.db", place->folder);
        (void)snprintf(words, sizeof words, "in use by process %d", (int)getpid());
        assert_int_equal(symlink(place->file, link), 0);
        struct rt_store *second = NULL;
        REFUSED(rt_store_open(&second, &(struct rt_store_config){ .path = place->file }, &place->err), RETORT_E_SYSTEM, words);
        REFUSED(rt_store_open(&second, &(struct rt_store_config){ .path = link }, &place->err), RETORT_E_SYSTEM, words);
        assert_null(second);
        OK(add_job(place->store, 1, &place->err)); /* the first is none the worse */
        reopen(place);
}

static void what_is_not_a_store_is_refused(void **state) {
        struct place *place = *state;
        REFUSED(rt_store_open(&place->store, &(struct rt_store_config){ .path = "" }, &place->err), RETORT_E_INPUT, "name");
        REFUSED(rt_store_open(&place->store, &(struct rt_store_config){ .path = place->folder }, &place->err), RETORT_E_SYSTEM,
                "Is a directory");
        run_sql(place->file, "CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)");
        REFUSED(open_place(place, 0), RETORT_E_INPUT, "another program's");
        assert_int_equal(unlink(place->file), 0);
        rt_auto_close int fd = open(place->file, O_WRONLY | O_CREAT, 0644);
        char text[5000];
        memset(text, 't', sizeof text);
        assert_int_equal(rt_write_all(fd, text, sizeof text), 0);
        REFUSED(open_place(place, 0), RETORT_E_SYSTEM, "is not a store of Retort");
        assert_int_equal(mode_of(place, ""), 0644); /* untouched */
        assert_null(place->store);
}

static void a_newer_form_is_refused(void **state) {
        struct place *place = *state;
        OK(open_place(place, 0));
        rt_store_close(rt_take(place->store));
        run_sql(place->file, "PRAGMA user_version = 999");
        REFUSED(open_place(place, 0), RETORT_E_INPUT, "newer Retort (form 999");
}

static void a_store_of_form_1_is_brought_along(void **state) {
        struct place *place = *state;
        rt_auto_free char *sql = NULL;
        size_t size;
        OK(rt_read_file_at(AT_FDCWD, STORE_DATA "/store-1.sql", 1 << 20, &sql, &size, &place->err));
        run_sql(place->file, sql);
        OK(open_place(place, UINT64_MAX / 2));
        struct rt_store_job got;
        OK(rt_store_job_get(place->store, id_of(1).text, 1, &place->arena, &got, &place->err));
        assert_string_equal(got.outcome_json, "{\"status\":\"ok\"}");
        OK(rt_store_job_get(place->store, id_of(2).text, 1, &place->arena, &got, &place->err));
        assert_int_equal(got.priority, 5);
        struct rt_store_user user = { .email = "e", .name = "n", .provider = "LOCAL", .tenant_id = 1 };
        OK(rt_store_user_add(place->store, &user, &place->err));
        rt_store_close(rt_take(place->store));
        char new_way[8192], old_way[8192], query[] = "SELECT group_concat(sql, ';') FROM (SELECT replace(replace(replace("
                "sql, char(10), ' '), '  ', ' '), '( ', '(') AS sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name)";
        ask_sql(place->file, query, old_way, sizeof old_way);
        assert_int_equal(unlink(place->file), 0);
        OK(open_place(place, 0));
        ask_sql(place->file, query, new_way, sizeof new_way);
        assert_string_equal(old_way, new_way); /* grown up or made new: the same */
}

static void a_step_that_fails_leaves_the_old_form(void **state) {
        struct place *place = *state;
        rt_auto_free char *sql = NULL;
        size_t size;
        OK(rt_read_file_at(AT_FDCWD, STORE_DATA "/store-1.sql", 1 << 20, &sql, &size, &place->err));
        run_sql(place->file, sql);
        run_sql(place->file, "CREATE TABLE submission (in_the_way)");
        REFUSED(open_place(place, 0), RETORT_E_SYSTEM, "to form 2");
        char answer[64];
        ask_sql(place->file, "SELECT (SELECT user_version FROM pragma_user_version) || (SELECT count(*) FROM sqlite_schema"
                             " WHERE name = 'user')", answer, sizeof answer);
        assert_string_equal(answer, "10");
}

static void in_memory_it_is_all_the_same(void **state) {
        struct place *place = *state;
        (void)snprintf(place->file, sizeof place->file, ":memory:");
        OK(open_place(place, 0));
        struct rt_store *other = NULL;
        OK(rt_store_open(&other, &(struct rt_store_config){ .path = ":memory:" }, &place->err));
        OK(add_job(place->store, 1, &place->err));
        struct rt_store_job got;
        OK(rt_store_job_get(place->store, id_of(1).text, 1, &place->arena, &got, &place->err));
        assert_int_equal(rt_store_job_get(other, id_of(1).text, 1, &place->arena, &got, NULL), RETORT_E_INPUT);
        rt_store_close(other);
}

static void the_disk_is_told_everything(void **state) {
        struct place *place = *state;
        OK(open_place(place, 0));
        struct rt_conn *conn = &place->store->writer_conn; /* nobody writes now */
        assert_int_equal(rt_conn_number(conn, "PRAGMA synchronous", -1), 2);
        assert_int_equal(rt_conn_number(conn, "PRAGMA foreign_keys", -1), 1);
        assert_int_equal(rt_conn_number(conn, "PRAGMA auto_vacuum", -1), 2);
        rt_auto_query struct rt_query query = rt_query(conn, "PRAGMA journal_mode");
        query.arena = &place->arena;
        assert_int_equal(rt_query_step(&query, NULL), 1);
        assert_string_equal(rt_query_text(&query), "wal");
}

static void open_jobs_are_found_by_their_index(void **state) {
        struct place *place = *state;
        OK(open_place(place, 0));
        rt_auto_query struct rt_query query = rt_query(
                &place->store->writer_conn, "EXPLAIN QUERY PLAN SELECT id FROM job WHERE 1 AND state < 2 AND state = 0"
                                            " ORDER BY seq ASC LIMIT 1");
        query.arena = &place->arena;
        assert_int_equal(rt_query_step(&query, NULL), 1);
        query.at = 3;
        const char *plan = rt_query_text(&query);
        if (!strstr(plan, "USING INDEX job_open"))
                fail_msg("%s", plan);
        assert_int_equal(rt_query_step(&query, NULL), 0); /* and nothing is sorted */
}

/* ---- many at once ---- */

enum { THREADS = 8, EACH = 500 };

struct worker {
        struct rt_store *store;
        unsigned number;
        unsigned firsts;
        int worst;
};

static void in_threads(struct rt_store *store, struct worker workers[THREADS], void *(*run)(void *)) {
        pthread_t threads[THREADS];
        for (unsigned i = 0; i < THREADS; i++) {
                workers[i] = (struct worker){ .store = store, .number = i };
                assert_int_equal(pthread_create(&threads[i], NULL, run, &workers[i]), 0);
        }
        for (unsigned i = 0; i < THREADS; i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
}

/* Adds, and reads back at once what was answered. */
static void *add_many(void *argument) {
        struct worker *worker = argument;
        for (unsigned i = 0; i < EACH; i++) {
                rt_auto_arena struct rt_arena arena = { 0 };
                struct rt_store_job got;
                int r = add_job(worker->store, worker->number * EACH + i, NULL);
                if (r == 0 && i % 16 == 0)
                        r = rt_store_job_get(worker->store, id_of(worker->number * EACH + i).text, 1, &arena, &got, NULL);
                worker->worst = r < worker->worst ? r : worker->worst;
        }
        return NULL;
}

static void writes_of_many_threads_are_grouped(void **state) {
        struct place *place = *state;
        OK(open_place(place, 0));
        struct worker workers[THREADS];
        in_threads(place->store, workers, add_many);
        struct rt_store_stats stats;
        rt_store_stats(place->store, &stats);
        assert_int_equal(stats.writes, THREADS * EACH);
        assert_int_equal(stats.jobs_queued, THREADS * EACH);
        assert_true(stats.commits < stats.writes / 2);
        reopen(place);
        unsigned next[THREADS] = { 0 }; /* each thread's jobs are in its order */
        struct rt_store_job_filter filter = { .state = RT_JOB_QUEUED, .oldest_first = true };
        struct rt_store_job *jobs = NULL;
        size_t n = 0;
        OK(rt_store_jobs(place->store, &filter, &place->arena, &jobs, &n, &place->err));
        assert_int_equal(n, THREADS * EACH);
        for (size_t i = 0; i < n; i++) {
                unsigned number = (unsigned)strtoul(jobs[i].id + 8, NULL, 10);
                assert_int_equal(number % EACH, next[number / EACH]++);
        }
        for (unsigned i = 0; i < THREADS; i++)
                assert_int_equal(workers[i].worst, 0);
}

static void *finish_all(void *argument) {
        struct worker *worker = argument;
        char outcome[32];
        (void)snprintf(outcome, sizeof outcome, "{\"by\":%u}", worker->number);
        for (unsigned i = 0; i < 100; i++) {
                bool first = false;
                int r = rt_store_job_finish(worker->store, id_of(i).text, worker->number, "ok", outcome, NULL, &first, NULL);
                worker->worst = r < worker->worst ? r : worker->worst;
                worker->firsts += first;
        }
        return NULL;
}

static void the_first_to_finish_wins(void **state) {
        struct place *place = *state;
        OK(open_place(place, UINT64_MAX / 2));
        for (unsigned i = 0; i < 100; i++)
                OK(add_job(place->store, i, &place->err));
        struct worker workers[THREADS];
        in_threads(place->store, workers, finish_all);
        unsigned firsts = 0;
        for (unsigned i = 0; i < THREADS; i++) {
                assert_int_equal(workers[i].worst, 0);
                firsts += workers[i].firsts;
        }
        assert_int_equal(firsts, 100);
        for (unsigned i = 0; i < 100; i++) {
                struct rt_store_job got;
                char outcome[32];
                OK(rt_store_job_get(place->store, id_of(i).text, 0, &place->arena, &got, &place->err));
                (void)snprintf(outcome, sizeof outcome, "{\"by\":%d}", (int)got.finished_ms);
                assert_string_equal(got.outcome_json, outcome);
        }
}

static void *start_all(void *argument) {
        struct worker *worker = argument;
        for (unsigned i = 0; i < 100; i++) {
                bool taken = false;
                int r = rt_store_job_start(worker->store, id_of(i).text, 1, &taken, NULL);
                worker->worst = r < worker->worst ? r : worker->worst;
                worker->firsts += taken;
        }
        return NULL;
}

static void a_job_is_taken_once(void **state) {
        struct place *place = *state;
        OK(open_place(place, 0));
        for (unsigned i = 0; i < 100; i++)
                OK(add_job(place->store, i, &place->err));
        struct worker workers[THREADS];
        in_threads(place->store, workers, start_all);
        unsigned taken = 0;
        for (unsigned i = 0; i < THREADS; i++)
                taken += workers[i].firsts;
        assert_int_equal(taken, 100);
}

/* ---- a slow writer ---- */

static int block(struct rt_conn *conn, void *data, struct retort_error *err) {
        (void)conn, (void)err;
        atomic_int *stage = data;
        atomic_store(stage, 1);
        while (atomic_load(stage) != 2)
                (void)usleep(1000);
        return 0;
}

struct blocker {
        struct rt_store *store;
        atomic_int stage;
};

static void *block_writer(void *argument) {
        struct blocker *blocker = argument;
        (void)rt_store_write(blocker->store, block, &blocker->stage, 0, NULL);
        return NULL;
}

static void *add_one_of_many(void *argument) {
        struct worker *worker = argument;
        worker->worst = worker->number % 2 ? add_job(worker->store, worker->number, NULL)
                                           : add_job(worker->store, 0, NULL); /* all but one are refused */
        return NULL;
}

static void nobody_waits_for_ever(void **state) {
        struct place *place = *state;
        OK(open_place(place, 0));
        place->store->patience_ms = 50;
        struct blocker blocker = { .store = place->store };
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, block_writer, &blocker), 0);
        while (atomic_load(&blocker.stage) != 1)
                (void)usleep(1000);
        REFUSED(add_job(place->store, 1, &place->err), RETORT_E_SYSTEM, "the store is behind");
        struct rt_lent lent[RT_STORE_READERS] = { 0 }, none = { 0 };
        for (int i = 0; i < RT_STORE_READERS; i++)
                OK(rt_store_lend(place->store, &lent[i], &place->err)); /* readers do not wait for the writer */
        REFUSED(rt_store_lend(place->store, &none, &place->err), RETORT_E_SYSTEM, "the store is behind");
        for (int i = 0; i < RT_STORE_READERS; i++)
                rt_store_return(&lent[i]);
        atomic_store(&blocker.stage, 2);
        assert_int_equal(pthread_join(thread, NULL), 0);
        place->store->patience_ms = RT_STORE_PATIENCE_MS;
        struct rt_store_job got;
        REFUSED(rt_store_job_get(place->store, id_of(1).text, 0, &place->arena, &got, &place->err), RETORT_E_INPUT, "no such");
        OK(add_job(place->store, 1, &place->err));
}

/* Holds the writer so that all the others are in one group. */
static void one_that_fails_does_not_fail_its_neighbours(void **state) {
        struct place *place = *state;
        OK(open_place(place, 0));
        struct blocker blocker = { .store = place->store };
        pthread_t thread, threads[THREADS];
        struct worker workers[THREADS];
        assert_int_equal(pthread_create(&thread, NULL, block_writer, &blocker), 0);
        while (atomic_load(&blocker.stage) != 1)
                (void)usleep(1000);
        for (unsigned i = 0; i < THREADS; i++) {
                workers[i] = (struct worker){ .store = place->store, .number = i };
                assert_int_equal(pthread_create(&threads[i], NULL, add_one_of_many, &workers[i]), 0);
        }
        struct rt_store_stats stats = { 0 };
        while (stats.waiting < THREADS)
                rt_store_stats(place->store, &stats);
        atomic_store(&blocker.stage, 2);
        unsigned good = 0;
        for (unsigned i = 0; i < THREADS; i++) {
                assert_int_equal(pthread_join(threads[i], NULL), 0);
                good += workers[i].worst == 0;
                assert_true(workers[i].worst == 0 || workers[i].worst == RETORT_E_INPUT);
        }
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(good, THREADS / 2 + 1);
        rt_store_stats(place->store, &stats);
        assert_int_equal(stats.commits, 1);
        assert_int_equal(stats.jobs_queued, THREADS / 2 + 1);
        OK(rt_store_check(place->store, &place->err)); /* wrong input is no illness */
}

/* ---- disks that fail ---- */

static int finish_big(struct rt_store *store, unsigned n, size_t size, struct retort_error *err) {
        rt_auto_free char *text = malloc(size + 1);
        assert_non_null(text);
        memset(text, 'x', size);
        text[size] = 0;
        return rt_store_job_finish(store, id_of(n).text, 1, "ok", text, NULL, NULL, err);
}

static void wait_until_well(struct place *place) {
        int r = -1;
        for (int i = 0; i < 500 && (r = rt_store_check(place->store, &place->err)) < 0; i++)
                (void)usleep(10000);
        assert_int_equal(r, 0);
}

static void a_write_that_fails_is_told_and_forgotten(void **state) {
        struct place *place = *state;
        OK(open_place(place, UINT64_MAX / 2));
        for (unsigned i = 0; i < 3; i++)
                OK(add_job(place->store, i, &place->err));
        struct rlimit before, little = { .rlim_cur = 1 << 20 };
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        little.rlim_max = before.rlim_max;
        void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
        int big = finish_big(place->store, 0, 4 << 20, &place->err);
        int ill = rt_store_check(place->store, NULL);
        struct rt_store_job got; /* reading goes on */
        int read = rt_store_job_get(place->store, id_of(0).text, 0, &place->arena, &got, NULL);
        int little_one = finish_big(place->store, 1, 10, NULL);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        (void)signal(SIGXFSZ, handler);
        assert_int_equal(big, RETORT_E_SYSTEM);
        assert_non_null(strstr(place->err.message, "the store"));
        assert_int_equal(ill, RETORT_E_SYSTEM);
        assert_int_equal(read, 0);
        assert_int_equal(got.state, RT_JOB_QUEUED); /* nothing of it is there */
        assert_int_equal(little_one, 0);
        wait_until_well(place);
        OK(finish_big(place->store, 0, 4 << 20, &place->err));
        reopen(place);
        OK(rt_store_job_get(place->store, id_of(0).text, 0, &place->arena, &got, &place->err));
        assert_int_equal(strlen(got.outcome_json), 4 << 20);
}

static void a_full_disk_is_told_and_got_over(void **state) {
        struct place *place = *state;
        if (mount("tmpfs", place->folder, "tmpfs", 0, "size=2m,mode=700") < 0) {
                print_message("skipped: no small file system can be mounted here (%s)\n", strerror(errno));
                skip();
        }
        char ballast[100];
        (void)snprintf(ballast, sizeof ballast, "%s/ballast", place->folder);
        int opened = open_place(place, UINT64_MAX / 2);
        int added = opened < 0 ? opened : add_job(place->store, 1, &place->err) | add_job(place->store, 2, &place->err);
        int fd = open(ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        char block_of[4096] = "";
        while (fd >= 0 && write(fd, block_of, sizeof block_of) > 0)
                ;
        int full = 0;
        for (unsigned i = 0; i < 400 && full == 0; i++)
                full = add_job(place->store, 10 + i, &place->err);
        struct retort_error words = place->err;
        int ill = rt_store_check(place->store, NULL);
        (void)unlink(ballast);
        (void)rt_close(fd);
        int after = finish_big(place->store, 2, 100000, NULL);
        int well = rt_store_check(place->store, NULL);
        rt_store_close(rt_take(place->store));
        int again = open_place(place, 0);
        rt_store_close(rt_take(place->store));
        (void)umount2(place->folder, MNT_DETACH);
        assert_int_equal(added, 0);
        assert_int_equal(full, RETORT_E_SYSTEM);
        if (!strstr(words.message, "the disk is full"))
                fail_msg("%s", words.message);
        assert_int_equal(ill, RETORT_E_SYSTEM);
        assert_int_equal(after, 0);
        assert_int_equal(well, 0);
        assert_int_equal(again, 0);
}

static void a_file_that_may_not_be_written_is_refused(void **state) {
        struct place *place = *state;
        if (geteuid() != 0) {
                assert_int_equal(chmod(place->folder, 0500), 0);
        } else {
                assert_int_equal(chmod(place->folder, 0755), 0);
                assert_int_equal(seteuid(65534), 0);
        }
        int r = open_place(place, 0);
        if (getuid() == 0)
                assert_int_equal(seteuid(0), 0);
        (void)chmod(place->folder, 0700);
        assert_int_equal(r, RETORT_E_SYSTEM);
        if (!strstr(place->err.message, "Permission denied"))
                fail_msg("%s", place->err.message);
}

static void another_programs_lock_is_told_and_waited_for(void **state) {
        struct place *place = *state;
        OK(open_place(place, 0));
        assert_int_equal(sqlite3_busy_timeout(place->store->writer_conn.db, 50), SQLITE_OK);
        sqlite3 *db = NULL;
        assert_int_equal(sqlite3_open(place->file, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
        REFUSED(add_job(place->store, 1, &place->err), RETORT_E_SYSTEM, "locked by another program");
        REFUSED(rt_store_check(place->store, &place->err), RETORT_E_SYSTEM, "locked by another program");
        (void)sqlite3_close(db);
        wait_until_well(place);
        OK(add_job(place->store, 1, &place->err));
}

static void a_damaged_file_is_told(void **state) {
        struct place *place = *state;
        OK(open_place(place, 0));
        for (unsigned i = 0; i < 200; i++)
                OK(add_job(place->store, i, &place->err));
        rt_store_close(rt_take(place->store));
        rt_auto_close int fd = open(place->file, O_WRONLY | O_CLOEXEC);
        struct stat st;
        assert_int_equal(fstat(fd, &st), 0);
        char rubbish[4096];
        memset(rubbish, 0xa5, sizeof rubbish);
        for (off_t at = 4096 * 2; at < st.st_size; at += 4096)
                assert_int_equal(pwrite(fd, rubbish, sizeof rubbish, at), sizeof rubbish);
        fd = rt_close(fd);
        struct rt_store_job got;
        int r = open_place(place, 0);
        if (r == 0)
                r = rt_store_job_get(place->store, id_of(5).text, 0, &place->arena, &got, &place->err);
        REFUSED(r, RETORT_E_SYSTEM, "is damaged");
        if (place->store)
                REFUSED(add_job(place->store, 500, &place->err), RETORT_E_SYSTEM, "is damaged");
}

/* ---- what is too old ---- */

static uint64_t jobs_left(const struct place *place) {
        char count[32];
        ask_sql(place->file, "SELECT count(*) || '/' || (SELECT count(*) FROM job_outcome) FROM job", count, sizeof count);
        return strtoull(count, NULL, 10) * 1000 + strtoull(strchr(count, '/') + 1, NULL, 10);
}

static void finished_jobs_go_when_they_are_old(void **state) {
        struct place *place = *state;
        struct timespec now;
        (void)clock_gettime(CLOCK_REALTIME, &now);
        OK(open_place(place, 3600 * 1000));
        for (unsigned i = 0; i < 100; i++) {
                OK(add_job(place->store, i, &place->err));
                if (i >= 5) /* queued ones stay, and new ones */
                        OK(rt_store_job_finish(place->store, id_of(i).text, i < 10 ? now.tv_sec * 1000 : 1, "ok",
                                               "{}", "", NULL, &place->err));
        }
        OK(finish_big(place->store, 0, 8 << 20, &place->err));
        rt_store_close(rt_take(place->store));
        struct stat before, after;
        assert_int_equal(stat(place->file, &before), 0);
        OK(open_place(place, 8000)); /* looks twice a second */
        for (int i = 0; i < 400 && jobs_left(place) != 9005; i++)
                (void)usleep(10000);
        assert_int_equal(jobs_left(place), 9005);
        char free_pages[32] = "9999";
        for (int i = 0; i < 400 && strtol(free_pages, NULL, 10) >= 512; i++) {
                (void)usleep(10000);
                ask_sql(place->file, "PRAGMA freelist_count", free_pages, sizeof free_pages);
        }
        rt_store_close(rt_take(place->store));
        assert_int_equal(stat(place->file, &after), 0);
        assert_true(after.st_size < before.st_size / 2); /* and the disk has its room back */
}

static void old_submissions_go_when_that_is_wanted(void **state) {
        struct place *place = *state;
        struct rt_store_config config = { .path = place->file, .keep_jobs_ms = 1, .keep_history_ms = 3600 * 1000 };
        OK(rt_store_open(&place->store, &config, &place->err));
        struct rt_store_user user = { .email = "e", .name = "n", .provider = "LOCAL", .tenant_id = 1 };
        OK(rt_store_user_add(place->store, &user, &place->err));
        struct rt_store_submission old = { .user_id = user.id, .language = "c", .code = "x", .stdout_text = "",
                                           .stderr_text = "", .status = "SUCCESS", .error_type = "NONE", .created_ms = 1 };
        struct rt_store_submission recent = old, *all = NULL;
        recent.created_ms = INT64_MAX;
        OK(rt_store_submission_add(place->store, &old, &place->err));
        OK(rt_store_submission_add(place->store, &recent, &place->err));
        size_t n = 2;
        for (int i = 0; i < 400 && n != 1; i++) {
                (void)usleep(10000);
                OK(rt_store_submissions(place->store, user.id, 0, 0, &place->arena, &all, &n, &place->err));
        }
        assert_int_equal(n, 1);
        assert_int_equal(all[0].id, recent.id);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make_place, clear_place)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(only_the_owner_reads_it),
                CASE(a_lock_that_outlives_its_server_is_waited_for),
                CASE(one_process_at_a_time_holds_it),
                CASE(what_is_not_a_store_is_refused),
                CASE(a_newer_form_is_refused),
                CASE(a_store_of_form_1_is_brought_along),
                CASE(a_step_that_fails_leaves_the_old_form),
                CASE(in_memory_it_is_all_the_same),
                CASE(the_disk_is_told_everything),
                CASE(open_jobs_are_found_by_their_index),
                CASE(writes_of_many_threads_are_grouped),
                CASE(the_first_to_finish_wins),
                CASE(a_job_is_taken_once),
                CASE(nobody_waits_for_ever),
                CASE(one_that_fails_does_not_fail_its_neighbours),
                CASE(a_write_that_fails_is_told_and_forgotten),
                CASE(a_full_disk_is_told_and_got_over),
                CASE(a_file_that_may_not_be_written_is_refused),
                CASE(another_programs_lock_is_told_and_waited_for),
                CASE(a_damaged_file_is_told),
                CASE(finished_jobs_go_when_they_are_old),
                CASE(old_submissions_go_when_that_is_wanted),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
