/* SPDX-License-Identifier: Apache-2.0
 *
 * What the server's process is allowed. The jailer is started first, with what it needs; then this process, which reads
 * what strangers send, gives up what it has.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <malloc.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/util.h"
#include "server/server.h"

/* Few arenas: what a request took and gave back is there for the next one, whichever thread serves that. Large pieces
 * (outcomes, batches) go back to the system at once. */
static void spare_memory(void) {
        (void)mallopt(M_ARENA_MAX, 2);
        (void)mallopt(M_MMAP_THRESHOLD, 256 << 10);
        (void)mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

int rt_host_prepare(struct retort_error *err) {
        struct rlimit files;
        if (getauxval(AT_SECURE) || getuid() != geteuid() || getgid() != getegid())
                return rt_fail(err, RETORT_E_INPUT, "retortd does not run setuid, setgid or with file capabilities");
        spare_memory();
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) /* before there are threads: it is inherited, not shared */
                return rt_fail_errno(err, "cannot set no_new_privs");
        if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
                files.rlim_cur = files.rlim_max;
                (void)setrlimit(RLIMIT_NOFILE, &files);
        }
        return 0;
}

/* The database, what SQLite keeps beside it, and the secrets. */
static int give_files(const char *database, uid_t uid, gid_t gid, struct retort_error *err) {
        static const char *const endings[] = { "", "-wal", "-shm", ".jwt-secret", ".callback-secret" };
        char path[4096];
        for (size_t i = 0; i < RT_LEN(endings); i++) {
                (void)snprintf(path, sizeof path, "%s%s", database, endings[i]);
                if (lchown(path, uid, gid) < 0 && errno != ENOENT)
                        return rt_fail_errno(err, "cannot give %s to server.user", path);
        }
        return 0;
}

static int give_directory(const char *database, uid_t uid, gid_t gid, struct retort_error *err) {
        char path[4096];
        const char *slash = strrchr(database, '/');
        (void)snprintf(path, sizeof path, "%.*s", (int)(slash - database), database);
        return lchown(path, uid, gid) < 0 ? rt_fail_errno(err, "cannot give %s to server.user", path) : 0;
}

static int drop(const char *name, uid_t uid, gid_t gid, struct retort_error *err) {
        if (initgroups(name, gid) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
                return rt_fail_errno(err, "cannot become %s", name);
        if (setresuid(0, 0, 0) == 0)
                return rt_fail(err, RETORT_E_BUG, "root could be had back");
        return 0;
}

int rt_host_become(const struct rt_config *config, bool own_directory, struct retort_error *err) {
        struct passwd found, *user = NULL;
        char room[4096];
        const char *name = config->server_user;
        if (!*name || geteuid() != 0)
                return 0;
        if (getpwnam_r(name, &found, room, sizeof room, &user) != 0 || !user)
                return rt_fail(err, RETORT_E_INPUT, "server.user: there is no user '%s'", name);
        int r = 0;
        if (strcmp(config->store_path, ":memory:") != 0)
                r = give_files(config->store_path, user->pw_uid, user->pw_gid, err);
        if (r == 0 && own_directory)
                r = give_directory(config->store_path, user->pw_uid, user->pw_gid, err);
        return r < 0 ? r : drop(name, user->pw_uid, user->pw_gid, err);
}
