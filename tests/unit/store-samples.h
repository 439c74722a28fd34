/* SPDX-License-Identifier: Apache-2.0
 *
 * A store in a folder of its own, and jobs to put into it.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/util.h"
#include "store/inside.h"
#include "store/store.h"

#define REQUEST "{\"language\":\"python\",\"source\":\"print(1)\"}"

struct place {
        char folder[64];
        char file[128];
        struct rt_store *store;
        struct rt_arena arena;
        struct retort_error err;
};

#define OK(call)                                                                                                       \
        do {                                                                                                           \
                place->err.message[0] = 0;                                                                             \
                int ok_ = (call);                                                                                      \
                if (ok_ < 0)                                                                                           \
                        fail_msg("%s: %s", #call, place->err.message);                                                 \
        } while (0)
#define REFUSED(call, code, words)                                                                                     \
        do {                                                                                                           \
                assert_int_equal((call), (code));                                                                      \
                if (!strstr(place->err.message, (words)))                                                              \
                        fail_msg("\"%s\" does not say \"%s\"", place->err.message, (words));                           \
        } while (0)

static inline int open_place(struct place *place, uint64_t keep_jobs_ms) {
        struct rt_store_config config = { .path = place->file, .keep_jobs_ms = keep_jobs_ms };
        return rt_store_open(&place->store, &config, &place->err);
}

static inline void reopen(struct place *place) {
        rt_store_close(rt_take(place->store));
        OK(open_place(place, 0));
}

static inline int make_place(void **state) {
        struct place *place = calloc(1, sizeof *place);
        if (!place)
                return -1;
        (void)snprintf(place->folder, sizeof place->folder, "/tmp/retort-store-XXXXXX");
        if (!mkdtemp(place->folder))
                return -1;
        (void)snprintf(place->file, sizeof place->file, "%s/kept.db", place->folder);
        *state = place;
        return 0;
}

static inline int make_store(void **state) {
        return make_place(state) < 0 ? -1 : open_place(*state, 0);
}

static inline int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
        (void)st, (void)kind, (void)ftw;
        return remove(path);
}

static inline int clear_place(void **state) {
        struct place *place = *state;
        rt_store_close(place->store);
        rt_arena_clear(&place->arena);
        (void)nftw(place->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        free(place);
        return 0;
}

/* An id that sorts as n does. */
struct id {
        char text[27];
};
static inline struct id id_of(unsigned n) {
        struct id id;
        (void)snprintf(id.text, sizeof id.text, "01JSTORE%018u", n);
        return id;
}

static inline struct rt_store_job job_of(const struct id *id) {
        return (struct rt_store_job){ .id = id->text, .tenant_id = 1, .request_json = REQUEST, .created_ms = 1000 };
}

static inline int add_job(struct rt_store *store, unsigned n, struct retort_error *err) {
        struct id id = id_of(n);
        struct rt_store_job job = job_of(&id);
        return rt_store_job_add(store, &job, NULL, NULL, err);
}

/* A connection of one's own to the file: what a person with sqlite3 would see. */
static inline void run_sql(const char *file, const char *sql) {
        sqlite3 *db = NULL;
        assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
        char *words = NULL;
        if (sqlite3_exec(db, sql, NULL, NULL, &words) != SQLITE_OK)
                fail_msg("%s: %s", sql, words);
        (void)sqlite3_close(db);
}

static inline void ask_sql(const char *file, const char *sql, char *answer, size_t size) {
        sqlite3 *db = NULL;
        sqlite3_stmt *stmt = NULL;
        assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
        (void)snprintf(answer, size, "%s", (const char *)sqlite3_column_text(stmt, 0));
        (void)sqlite3_finalize(stmt);
        (void)sqlite3_close(db);
}
