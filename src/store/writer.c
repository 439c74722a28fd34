/* SPDX-License-Identifier: Apache-2.0
 *
 * The one thread that writes. It takes what waits, at most RT_STORE_GROUP or GROUP_BYTES, runs it in one transaction
 * with a savepoint for each, commits, and answers all: one wait for the disk serves many callers. When a transaction is
 * lost (a full disk, say), its writes are tried again one by one, so that only those fail that must.
 */
#include <signal.h>

#include "base/err.h"
#include "base/util.h"
#include "store/inside.h"

enum {
        GROUP_BYTES = 32 << 20,
        PROBE_MS = 1000,       /* between attempts when the last write failed */
        CLEAN_MOST_MS = 60000, /* between removals of what is old */
        CLEAN_LEAST_MS = 50,
};

#define MS 1000000ull

bool rt_store_wait(struct rt_store *store, pthread_cond_t *cond, uint64_t until_ns) {
        struct timespec until = { .tv_sec = (time_t)(until_ns / 1000000000u), .tv_nsec = (long)(until_ns % 1000000000u) };
        return pthread_cond_clockwait(cond, &store->lock, CLOCK_MONOTONIC, &until) == 0;
}

/* ---- the callers' side ---- */

static int behind(const struct rt_store *store, struct retort_error *err) {
        return rt_fail(err, RETORT_E_SYSTEM, "the store is behind: no turn to write for %u ms", (unsigned)store->patience_ms);
}

static void unlink_write(struct rt_store *store, struct rt_write *write) {
        struct rt_write **at = &store->first;
        while (*at != write)
                at = &(*at)->next;
        *at = write->next;
        if (!*at)
                store->last = at;
        store->n_waiting--;
        (void)pthread_cond_signal(&store->room);
}

static int enqueue(struct rt_store *store, struct rt_write *write, uint64_t until, struct retort_error *err) {
        bool in_time = true;
        while (!store->closing && store->n_waiting >= RT_STORE_QUEUE && in_time)
                in_time = rt_store_wait(store, &store->room, until);
        if (store->closing)
                return rt_fail(err, RETORT_E_CLOSED, "the store is closing");
        if (store->n_waiting >= RT_STORE_QUEUE)
                return behind(store, err);
        *store->last = write;
        store->last = &write->next;
        store->n_waiting++;
        (void)pthread_cond_signal(&store->work);
        return 0;
}

/* Until a group took it there is a bound; after that its memory is the writer's, and SQLite's own bounds hold. */
static int await(struct rt_store *store, struct rt_write *write, uint64_t until, struct retort_error *err) {
        bool in_time = true;
        while (!write->taken && in_time)
                in_time = rt_store_wait(store, &write->wake, until);
        if (!write->taken) {
                unlink_write(store, write);
                return behind(store, err);
        }
        while (!write->done)
                (void)pthread_cond_wait(&write->wake, &store->lock);
        if (write->result < 0 && err)
                *err = write->err;
        return write->result;
}

int rt_store_write(struct rt_store *store, int (*run)(struct rt_conn *conn, void *data, struct retort_error *err),
                   void *data, size_t bytes, struct retort_error *err) {
        struct rt_write write = { .run = run, .data = data, .bytes = bytes, .wake = PTHREAD_COND_INITIALIZER };
        uint64_t until = rt_now_ns() + store->patience_ms * MS;
        (void)pthread_mutex_lock(&store->lock);
        int r = enqueue(store, &write, until, err);
        if (r == 0)
                r = await(store, &write, until, err);
        (void)pthread_mutex_unlock(&store->lock);
        (void)pthread_cond_destroy(&write.wake);
        return r;
}

/* ---- one transaction ---- */

static int command(struct rt_conn *conn, const char *sql, struct retort_error *err) {
        rt_auto_query struct rt_query query = rt_query(conn, sql);
        return rt_query_step(&query, err);
}

/* SQLite ends a transaction by itself when the disk is full or fails. */
static bool transaction_lost(struct rt_conn *conn) {
        return sqlite3_get_autocommit(conn->db) != 0;
}

/* Negative when the whole transaction has to be given up; otherwise write->result is how it went. */
static int run_one(struct rt_conn *conn, struct rt_write *write) {
        int r = command(conn, "SAVEPOINT one", &write->err);
        if (r == 0)
                write->result = write->run(conn, write->data, &write->err);
        if (r == 0 && transaction_lost(conn))
                return write->result < 0 ? write->result : rt_fail(&write->err, RETORT_E_BUG, "a transaction ended by itself");
        if (r == 0 && write->result < 0)
                r = command(conn, "ROLLBACK TO one", NULL);
        return r < 0 ? r : command(conn, "RELEASE one", &write->err);
}

/* Negative: nothing of it was written. */
static int run_group(struct rt_conn *conn, struct rt_write *first) {
        struct retort_error err = { 0 };
        int r = command(conn, "BEGIN IMMEDIATE", &err);
        for (struct rt_write *write = first; r == 0 && write; write = write->next) {
                r = run_one(conn, write);
                err = r < 0 ? write->err : err;
        }
        if (r == 0)
                r = command(conn, "COMMIT", &err);
        if (r == 0)
                return 0;
        if (!transaction_lost(conn))
                (void)command(conn, "ROLLBACK", NULL);
        for (struct rt_write *write = first; write; write = write->next) {
                write->result = r;
                write->err = err;
        }
        return r;
}

static void run_each(struct rt_conn *conn, struct rt_write *first) {
        for (struct rt_write *write = first; write; write = write->next) {
                struct rt_write *rest = write->next;
                write->next = NULL;
                (void)run_group(conn, write);
                write->next = rest;
        }
}

/* ---- the writer's side; all with the store's lock held ---- */

static struct rt_write *take_group(struct rt_store *store) {
        struct rt_write *first = store->first;
        struct rt_write **end = &store->first;
        size_t bytes = 0;
        for (size_t n = 0; *end && n < RT_STORE_GROUP && (n == 0 || bytes + (*end)->bytes <= GROUP_BYTES); n++) {
                bytes += (*end)->bytes;
                (*end)->taken = true;
                end = &(*end)->next;
                store->n_waiting--;
        }
        store->first = *end;
        *end = NULL;
        if (!store->first)
                store->last = &store->first;
        (void)pthread_cond_broadcast(&store->room);
        return first;
}

static void note_health(struct rt_store *store, int r, const struct retort_error *err) {
        store->health = r;
        if (r < 0)
                store->illness = *err;
}

/* The writes' memory is their callers': after the lock is given up none of it may be touched. */
static void answer(struct rt_store *store, struct rt_write *first, bool changed) {
        if (changed) {
                store->commits++;
                note_health(store, 0, NULL);
        }
        for (struct rt_write *write = first, *next; write; write = next) {
                next = write->next;
                store->writes++;
                if (write->result < 0 && write->result != RETORT_E_INPUT)
                        note_health(store, write->result, &write->err);
                write->done = true;
                (void)pthread_cond_signal(&write->wake);
        }
}

static void serve(struct rt_store *store) {
        struct rt_write *first = take_group(store);
        store->group_since_ns = rt_now_ns();
        (void)pthread_mutex_unlock(&store->lock);
        struct rt_conn *conn = &store->writer_conn;
        int64_t before = sqlite3_total_changes64(conn->db);
        if (run_group(conn, first) < 0 && first->next)
                run_each(conn, first);
        bool changed = sqlite3_total_changes64(conn->db) != before;
        (void)pthread_mutex_lock(&store->lock);
        store->group_since_ns = 0;
        answer(store, first, changed);
}

static int probe(struct rt_conn *conn, void *data, struct retort_error *err) {
        (void)data;
        rt_auto_query struct rt_query query = rt_query(conn, "UPDATE probe SET n = n + 1");
        int64_t n = rt_query_run(&query, err);
        return n < 0 ? (int)n : 0;
}

static uint64_t clean_pause_ns(const struct rt_store *store) {
        uint64_t pause = store->keep_jobs_ms / 16;
        return (pause > CLEAN_MOST_MS ? CLEAN_MOST_MS : pause < CLEAN_LEAST_MS ? CLEAN_LEAST_MS : pause) * MS;
}

/* What is done when nobody waits. Returns when it wants to be called again. */
static uint64_t idle(struct rt_store *store) {
        bool ill = store->health < 0;
        struct rt_write write = { .run = probe };
        (void)pthread_mutex_unlock(&store->lock);
        bool more = false;
        int r = 0;
        if (ill)
                r = run_group(&store->writer_conn, &write);
        else
                more = rt_store_clean(store);
        (void)pthread_mutex_lock(&store->lock);
        if (ill)
                note_health(store, r < 0 ? r : write.result, &write.err);
        return rt_now_ns() + (more ? 0 : ill ? PROBE_MS * MS : clean_pause_ns(store));
}

static void *write_all(void *argument) {
        struct rt_store *store = argument;
        (void)pthread_setname_np(pthread_self(), "store-writer");
        (void)pthread_mutex_lock(&store->lock);
        uint64_t due = rt_now_ns() + clean_pause_ns(store);
        while (store->first || !store->closing) {
                if (store->first)
                        serve(store);
                if (store->health < 0 && due > rt_now_ns() + PROBE_MS * MS)
                        due = rt_now_ns() + PROBE_MS * MS;
                bool overdue = rt_now_ns() > due + CLEAN_MOST_MS * MS; /* never idle: now all the same */
                if (overdue || (!store->first && !store->closing && !rt_store_wait(store, &store->work, due)))
                        due = idle(store);
        }
        (void)pthread_mutex_unlock(&store->lock);
        return NULL;
}

int rt_store_start_writer(struct rt_store *store, struct retort_error *err) {
        sigset_t all, before;
        (void)sigfillset(&all); /* signals are for the program's own threads */
        (void)pthread_sigmask(SIG_SETMASK, &all, &before);
        int cause = pthread_create(&store->writer, NULL, write_all, store);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
        store->have_writer = cause == 0;
        return cause == 0 ? 0 : rt_fail(err, RETORT_E_SYSTEM, "cannot start the store's thread");
}

void rt_store_stop_writer(struct rt_store *store) {
        (void)pthread_mutex_lock(&store->lock);
        store->closing = true;
        (void)pthread_cond_broadcast(&store->work);
        (void)pthread_cond_broadcast(&store->room);
        (void)pthread_mutex_unlock(&store->lock);
        if (store->have_writer)
                (void)pthread_join(store->writer, NULL);
        store->have_writer = false;
}
