/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/paths.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/util.h"

static const char *choose(const char *configured, const char *variable, const char *installed) {
        const char *from_environment = secure_getenv(variable);
        return configured ? configured : from_environment && *from_environment ? from_environment : installed;
}

static int find_one(char *ret, size_t size, const char *directory, const char *name, int mode, const char *variable,
                    struct retort_error *err) {
        char path[PATH_MAX];
        (void)snprintf(path, sizeof path, "%s%s%s", directory, *name ? "/" : "", name);
        rt_auto_free char *whole = realpath(path, NULL);
        if (!whole || access(whole, mode) < 0) {
                char words[128];
                const char *why = errno == ENOENT ? "is not there" : strerror_r(errno, words, sizeof words);
                return rt_fail(err, RETORT_E_INPUT, "%s%s %s; set %s", path, errno == ENOENT ? "" : ":", why, variable);
        }
        int n = snprintf(ret, size, "%s", whole);
        return n > 0 && (size_t)n < size ? 0 : rt_fail(err, RETORT_E_INPUT, "%s is too long", whole);
}

int rt_paths_find(struct rt_paths *ret, const struct retort_config *config, struct retort_error *err) {
        const char *runtimes = choose(config->runtimes_dir, "RETORT_RUNTIMES", RT_RUNTIMES_DIR);
        const char *libexec = choose(config->libexec_dir, "RETORT_LIBEXEC", RT_LIBEXEC_DIR);
        const char *scratch = choose(config->scratch_dir, "TMPDIR", P_tmpdir);
        int r = find_one(ret->runtimes, sizeof ret->runtimes, runtimes, "", R_OK | X_OK, "RETORT_RUNTIMES", err);
        if (r == 0)
                r = find_one(ret->jailer, sizeof ret->jailer, libexec, "retort-jailer", X_OK, "RETORT_LIBEXEC", err);
        if (r == 0)
                r = find_one(ret->init, sizeof ret->init, libexec, "retort-init", X_OK, "RETORT_LIBEXEC", err);
        if (r == 0 && find_one(ret->forkserver, sizeof ret->forkserver, libexec, "libretort-forkserver.so", R_OK, "RETORT_LIBEXEC", NULL) < 0)
                ret->forkserver[0] = 0;
        if (r == 0)
                r = find_one(ret->scratch, sizeof ret->scratch, scratch, "", W_OK | X_OK, "TMPDIR", err);
        return r;
}
