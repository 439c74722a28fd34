/* SPDX-License-Identifier: Apache-2.0
 *
 * What the store's files share. A connection is used by one thread at a time; the writer thread has the only one that
 * changes anything. conn.c keeps prepared statements, query.c puts values in and takes them out, writer.c groups
 * what callers want written, readers.c lends read-only connections.
 */
#pragma once

#include <pthread.h>
#include <sqlite3.h>

#include "store/store.h"

enum {
        RT_STORE_STATEMENTS = 64,  /* prepared, a connection */
        RT_STORE_READERS = 4,      /* read-only connections */
        RT_STORE_GROUP = 256,      /* writes in one transaction */
        RT_STORE_QUEUE = 4096,     /* writes that may wait */
        RT_STORE_PATIENCE_MS = 10000, /* before "the store is behind" */
        RT_STORE_BUSY_MS = 5000,   /* for somebody else's lock on the file */
        RT_STORE_CLEAN_ROWS = 32,  /* removed at once */
};

/* ---- one connection, its statements (conn.c) ---- */

struct rt_conn {
        sqlite3 *db;
        const char *name; /* the file, for messages */
        uint64_t clock;
        struct rt_statement {
                sqlite3_stmt *stmt;
                uint64_t used;
        } statements[RT_STORE_STATEMENTS];
};

int rt_conn_open(struct rt_conn *conn, const struct rt_store *store, int flags, struct retort_error *err);
void rt_conn_close(struct rt_conn *conn);
/* The statement of this text, kept for the next time; one text is in use once at a time. Returns SQLite's code. */
int rt_conn_prepare(struct rt_conn *conn, const char *sql, sqlite3_stmt **ret_stmt);
/* Statements without values or rows. Returns SQLite's code. */
int rt_conn_exec(struct rt_conn *conn, const char *sql);
/* Turns SQLite's code into ours, with a sentence about the disk, the file or the value that was wrong. */
int rt_conn_fail(struct rt_conn *conn, int rc, struct retort_error *err);
/* One number, or fallback when it cannot be had. */
int64_t rt_conn_number(struct rt_conn *conn, const char *sql, int64_t fallback);

/* ---- one query (query.c) ---- */

/* Values go in from left to right and come out from left to right; the first thing that goes wrong sticks, and
 * rt_query_step says it. */
struct rt_query {
        struct rt_conn *conn;
        sqlite3_stmt *stmt;
        struct rt_arena *arena;
        int rc;
        int at;
};
struct rt_query rt_query(struct rt_conn *conn, const char *sql);
void rt_query_end(struct rt_query *query);
#define rt_auto_query __attribute__((cleanup(rt_query_end)))
void rt_query_put_text(struct rt_query *query, const char *text); /* NULL: NULL. Must live until rt_query_end */
void rt_query_put_int(struct rt_query *query, int64_t number);
/* 1: a row is there, 0: no more, negative: failed. */
int rt_query_step(struct rt_query *query, struct retort_error *err);
/* For a statement without rows: how many it changed, or negative. */
int64_t rt_query_run(struct rt_query *query, struct retort_error *err);
/* For one that must change something: RETORT_E_INPUT "no such <what>" when it did not. */
int rt_query_must_change(struct rt_query *query, const char *what, struct retort_error *err);
const char *rt_query_text(struct rt_query *query); /* in the arena; NULL for NULL */
int64_t rt_query_int(struct rt_query *query);

/* All rows of a query as an array in the query's arena. read fills one element. */
int rt_query_rows(struct rt_query *query, size_t element, void (*read)(struct rt_query *query, void *element),
                  void **ret_rows, size_t *ret_n, struct retort_error *err);
/* Exactly one row; RETORT_E_INPUT "no such <what>" when there is none. */
int rt_query_one(struct rt_query *query, size_t element, void (*read)(struct rt_query *query, void *element),
                 void *ret_row, const char *what, struct retort_error *err);

/* ---- the store ---- */

/* One thing to be written. On the stack of whom it is for, who waits until it is done. */
struct rt_write {
        /* On the writer's thread, inside a savepoint; may be run again when a group had to be given up. */
        int (*run)(struct rt_conn *conn, void *data, struct retort_error *err);
        void *data;
        size_t bytes; /* about how much */
        int result;
        bool taken, done;
        struct retort_error err;
        pthread_cond_t wake;
        struct rt_write *next;
};

struct rt_store {
        char *name;        /* the file as it was given */
        char *path;        /* the file itself; NULL: in memory */
        char *uri; /* in memory: what its connections share */
        int lock_fd;
        bool beside;
        uint64_t keep_jobs_ms, keep_history_ms, patience_ms;
        struct rt_conn writer_conn; /* the writer's thread's own */
        pthread_t writer;
        bool have_writer;

        pthread_mutex_t lock; /* of everything below */
        pthread_cond_t work;  /* something waits, or closing */
        pthread_cond_t room;  /* the queue is shorter */
        struct rt_write *first, **last;
        size_t n_waiting;
        bool closing;
        uint64_t commits, writes;
        uint64_t group_since_ns;   /* 0: the writer is idle */
        int health;                /* 0, or how the last group failed */
        struct retort_error illness;
        struct rt_conn readers[RT_STORE_READERS];
        bool reader_lent[RT_STORE_READERS];
        pthread_cond_t returned;
};

/* Brings the file to the newest form (schema.c). */
int rt_store_migrate(struct rt_conn *conn, struct retort_error *err);

/* writer.c */
int rt_store_start_writer(struct rt_store *store, struct retort_error *err);
void rt_store_stop_writer(struct rt_store *store);
int rt_store_write(struct rt_store *store, int (*run)(struct rt_conn *conn, void *data, struct retort_error *err),
                   void *data, size_t bytes, struct retort_error *err);
/* Waits on cond, with the store's lock held, at most until then. False: it is later than that. */
bool rt_store_wait(struct rt_store *store, pthread_cond_t *cond, uint64_t until_ns);

/* clean.c: removes what is too old, a little at a time. True when there is more. */
bool rt_store_clean(struct rt_store *store);

/* readers.c: a read-only connection for the length of a scope. */
struct rt_lent {
        struct rt_store *store;
        struct rt_conn *conn;
};
int rt_store_lend(struct rt_store *store, struct rt_lent *ret_lent, struct retort_error *err);
void rt_store_return(struct rt_lent *lent);
#define rt_auto_lent __attribute__((cleanup(rt_store_return)))
void rt_store_close_readers(struct rt_store *store);

/* users.c: part of a write; fills id and code_id */
int rt_submission_insert(struct rt_conn *conn, struct rt_store_submission *submission, struct retort_error *err);
