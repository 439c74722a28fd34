/* SPDX-License-Identifier: Apache-2.0
 *
 * The file: who may hold it (one process, by a lock beside it), who may read it (its owner), and what can be said of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"
#include "store/inside.h"

#define WEEK_MS (7ull * 24 * 60 * 60 * 1000)
#define STUCK_NS 5000000000ull /* a group that takes longer: the disk does not answer */

enum { LOCK_TRIES = 100, LOCK_PAUSE_NS = 10000000 };

/* ---- the file and its lock ---- */

/* The one name of the file, whatever links led to it: its lock must be the same for all who ask. */
static char *real_path(const char *file) {
        char *path = realpath(file, NULL);
        if (path || errno != ENOENT)
                return path;
        const char *slash = strrchr(file, '/');
        rt_auto_free char *folder = slash ? strndup(file, (size_t)(slash - file + 1)) : strdup(".");
        rt_auto_free char *real = folder ? realpath(folder, NULL) : NULL;
        if (!real || asprintf(&path, "%s/%s", real, slash ? slash + 1 : file) < 0)
                return NULL;
        return path;
}

/* Who holds the lock wrote its process id into it. */
static int fail_locked(const struct rt_store *store, const char *lock, int fd, struct retort_error *err) {
        char pid[16] = "";
        ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
        pid[n > 0 ? strspn(pid, "0123456789") : 0] = 0;
        return rt_fail(err, RETORT_E_SYSTEM, "the store %s is in use by process %s (its lock is %s)", store->name,
                       pid[0] ? pid : "unknown", lock);
}

/* A server that was killed while it started a process leaves the lock to that process, until its exec closes it: so
 * the next server waits a second before it believes that the store is in use. */
static int wait_for_lock(int fd) {
        const struct timespec pause = { .tv_nsec = LOCK_PAUSE_NS };
        int r = flock(fd, LOCK_EX | LOCK_NB);
        for (int i = 0; r < 0 && errno == EWOULDBLOCK && i < LOCK_TRIES; i++) {
                (void)nanosleep(&pause, NULL);
                r = flock(fd, LOCK_EX | LOCK_NB);
        }
        return r;
}

static int take_lock(struct rt_store *store, struct retort_error *err) {
        rt_auto_free char *lock = NULL;
        if (asprintf(&lock, "%s-lock", store->path) < 0)
                return rt_fail_nomem(err);
        rt_auto_close int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return rt_fail_errno(err, "cannot open the store's lock %s", lock);
        if (wait_for_lock(fd) < 0)
                return errno == EWOULDBLOCK ? fail_locked(store, lock, fd, err)
                                            : rt_fail_errno(err, "cannot take the store's lock %s", lock);
        char pid[16];
        int n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
        if (ftruncate(fd, 0) == 0)
                (void)pwrite(fd, pid, (size_t)n, 0); /* for people only: a full disk may leave it empty */
        store->lock_fd = rt_take_fd(&fd);
        return 0;
}

/* SQLite gives its other files the mode of this one. Only under the lock: closing a descriptor of the file would give
 * up the locks that an open store of this process has on it. */
static int make_file(const struct rt_store *store, struct retort_error *err) {
        rt_auto_close int fd = open(store->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return rt_fail_errno(err, "cannot open the store %s to write", store->name);
        struct stat st;
        if (fstat(fd, &st) < 0)
                return rt_fail_errno(err, "cannot look at the store %s", store->name);
        return S_ISREG(st.st_mode) ? 0 : rt_fail(err, RETORT_E_INPUT, "the store %s is not a file", store->name);
}

static int tighten(const struct rt_store *store, struct retort_error *err) {
        static const char *const ends[] = { "", "-wal", "-shm" };
        for (size_t i = 0; store->path && i < RT_LEN(ends); i++) {
                rt_auto_free char *path = NULL;
                if (asprintf(&path, "%s%s", store->path, ends[i]) < 0)
                        return rt_fail_nomem(err);
                struct stat st;
                if (stat(path, &st) == 0 && (st.st_mode & 077) != 0 && chmod(path, 0600) < 0)
                        return rt_fail_errno(err, "cannot keep others from reading %s", path);
        }
        return 0;
}

static int find_file(struct rt_store *store, struct retort_error *err) {
        int r = rt_make_folders(store->name, err);
        if (r < 0)
                return r;
        store->path = real_path(store->name);
        if (!store->path)
                return rt_fail_errno(err, "cannot find the store %s", store->name);
        r = store->beside ? 0 : take_lock(store, err);
        return r < 0 ? r : make_file(store, err);
}

/* All connections of one store in memory share it by a name that no other has. */
static int name_memory(struct rt_store *store, struct retort_error *err) {
        static atomic_uint count;
        if (asprintf(&store->uri, "file:/retort-store-%u?vfs=memdb", atomic_fetch_add(&count, 1)) >= 0)
                return 0;
        store->uri = NULL;
        return rt_fail_nomem(err);
}

/* ---- the store ---- */

static struct rt_store *new_store(const struct rt_store_config *config) {
        struct rt_store *store = calloc(1, sizeof *store);
        if (!store)
                return NULL;
        store->lock_fd = -1;
        store->last = &store->first;
        store->beside = config->beside;
        store->keep_jobs_ms = config->keep_jobs_ms ? config->keep_jobs_ms : WEEK_MS;
        store->keep_history_ms = config->keep_history_ms;
        store->patience_ms = RT_STORE_PATIENCE_MS;
        (void)pthread_mutex_init(&store->lock, NULL);
        (void)pthread_cond_init(&store->work, NULL);
        (void)pthread_cond_init(&store->room, NULL);
        (void)pthread_cond_init(&store->returned, NULL);
        return store;
}

static int open_store(struct rt_store *store, const char *path, struct retort_error *err) {
        store->name = strdup(path);
        if (!store->name)
                return rt_fail_nomem(err);
        int r = strcmp(path, ":memory:") == 0 ? name_memory(store, err) : find_file(store, err);
        if (r == 0)
                r = rt_conn_open(&store->writer_conn, store, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, err);
        if (r == 0)
                r = rt_store_migrate(&store->writer_conn, err);
        if (r == 0)
                r = tighten(store, err);
        return r < 0 ? r : rt_store_start_writer(store, err);
}

int rt_store_open(struct rt_store **ret_store, const struct rt_store_config *config, struct retort_error *err) {
        if (!config->path || !config->path[0])
                return rt_fail(err, RETORT_E_INPUT, "the store needs the name of a file");
        struct rt_store *store = new_store(config);
        if (!store)
                return rt_fail_nomem(err);
        int r = open_store(store, config->path, err);
        if (r < 0) {
                rt_store_close(store);
                return r;
        }
        *ret_store = store;
        return 0;
}

void rt_store_close(struct rt_store *store) {
        if (!store)
                return;
        rt_store_stop_writer(store);
        rt_store_close_readers(store);
        rt_conn_close(&store->writer_conn); /* the last one: moves what is in the log into the file */
        store->lock_fd = rt_close(store->lock_fd);
        (void)pthread_cond_destroy(&store->returned);
        (void)pthread_cond_destroy(&store->room);
        (void)pthread_cond_destroy(&store->work);
        (void)pthread_mutex_destroy(&store->lock);
        free(store->uri);
        free(store->path);
        free(store->name);
        free(store);
}

int rt_store_check(struct rt_store *store, struct retort_error *err) {
        (void)pthread_mutex_lock(&store->lock);
        int r = store->health;
        if (r < 0 && err)
                *err = store->illness;
        if (store->closing)
                r = rt_fail(err, RETORT_E_CLOSED, "the store is closing");
        else if (r == 0 && store->group_since_ns && rt_now_ns() - store->group_since_ns > STUCK_NS)
                r = rt_fail(err, RETORT_E_SYSTEM, "the store %s does not answer: is its disk in trouble?", store->name);
        (void)pthread_mutex_unlock(&store->lock);
        return r;
}

static uint64_t bytes_of(const struct rt_store *store, const char *end) {
        rt_auto_free char *path = NULL;
        struct stat st;
        if (!store->path || asprintf(&path, "%s%s", store->path, end) < 0 || stat(path, &st) < 0)
                return 0;
        return (uint64_t)st.st_size;
}

void rt_store_stats(struct rt_store *store, struct rt_store_stats *ret_stats) {
        struct rt_store_stats stats = { 0 };
        (void)pthread_mutex_lock(&store->lock);
        stats.commits = store->commits;
        stats.writes = store->writes;
        stats.waiting = store->n_waiting;
        (void)pthread_mutex_unlock(&store->lock);
        stats.file_bytes = bytes_of(store, "") + bytes_of(store, "-wal");
        rt_auto_lent struct rt_lent lent = { 0 };
        if (rt_store_lend(store, &lent, NULL) == 0) {
                stats.jobs_queued = (uint64_t)rt_conn_number(lent.conn, "SELECT count(*) FROM job WHERE state < 2 AND state = 0", 0);
                stats.jobs_running = (uint64_t)rt_conn_number(lent.conn, "SELECT count(*) FROM job WHERE state < 2 AND state = 1", 0);
        }
        *ret_stats = stats;
}
