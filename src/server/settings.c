/* SPDX-License-Identifier: Apache-2.0
 *
 * From options to a configuration with nothing left open: which file, where the state is, and secrets that nobody
 * set, made once and kept beside the database.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"
#include "server/server.h"
#include "service/keys.h"

enum { SECRET_BYTES = 32, SECRET_FILE_MAX = 4096 };

/* ---- the file ---- */

static const char *if_there(const char *path) {
        return path && access(path, F_OK) == 0 ? path : NULL;
}

const char *rt_settings_file(const struct rt_settings_opts *opts, struct rt_arena *arena) {
        const char *xdg = getenv("XDG_CONFIG_HOME");
        const char *home = getenv("HOME");
        const char *found = NULL;
        if (opts->config)
                return opts->config;
        if (xdg && *xdg == '/')
                found = if_there(rt_arena_printf(arena, "%s/retort/retort.yaml", xdg));
        else if (home && *home == '/' && geteuid() != 0)
                found = if_there(rt_arena_printf(arena, "%s/.config/retort/retort.yaml", home));
        return found ? found : if_there("/etc/retort/retort.yaml");
}

int rt_settings_read(const struct rt_settings_opts *opts, struct rt_arena *arena, struct rt_config **ret_config,
                     struct retort_error *err) {
        const char **overrides = rt_arena_array(arena, opts->set.n + 1, sizeof *overrides);
        if (!overrides)
                return rt_fail_nomem(err);
        for (size_t i = 0; i < opts->set.n; i++)
                overrides[i] = opts->set.items[i];
        overrides[opts->set.n] = NULL;
        return rt_config_read(ret_config, rt_settings_file(opts, arena), overrides, err);
}

/* ---- the state directory ---- */

static char *state_directory(struct rt_arena *arena) {
        const char *given = getenv("STATE_DIRECTORY"); /* systemd's StateDirectory= */
        const char *xdg = getenv("XDG_STATE_HOME");
        const char *home = getenv("HOME");
        if (given && *given == '/')
                return rt_arena_copy(arena, given, strcspn(given, ":"));
        if (geteuid() == 0)
                return rt_arena_strdup(arena, "/var/lib/retort");
        if (xdg && *xdg == '/')
                return rt_arena_printf(arena, "%s/retort", xdg);
        return home && *home == '/' ? rt_arena_printf(arena, "%s/.local/state/retort", home) : NULL;
}

int rt_settings_place(struct rt_config *config, bool *ret_own, struct retort_error *err) {
        bool own = !*config->store_path;
        if (ret_own)
                *ret_own = own;
        if (!own) /* secrets go beside it, before the store is opened */
                return strcmp(config->store_path, ":memory:") == 0 ? 0 : rt_make_folders(config->store_path, err);
        char *dir = state_directory(config->arena);
        if (!dir)
                return rt_fail(err, RETORT_E_INPUT, "no state directory is known: set store.path, XDG_STATE_HOME or HOME");
        const char *path = rt_arena_printf(config->arena, "%s/retort.db", dir);
        config->store_path = path ? path : "";
        return path ? rt_make_folders(path, err) : rt_fail_nomem(err);
}

/* ---- secrets ---- */

/* The line in a file; 0 with *ret_text NULL: there is none. */
static int read_secret(const char *path, struct rt_arena *arena, const char **ret_text, struct retort_error *err) {
        rt_auto_free char *text = NULL;
        size_t size = 0;
        if (access(path, F_OK) < 0 && errno == ENOENT)
                return 0;
        int r = rt_read_file_at(AT_FDCWD, path, SECRET_FILE_MAX, &text, &size, err);
        if (r < 0)
                return r;
        *ret_text = rt_arena_copy(arena, text, strcspn(text, "\r\n"));
        if (*ret_text && strlen(*ret_text) < SECRET_BYTES)
                return rt_fail(err, RETORT_E_INPUT, "%s: too short to be a secret; remove it to have a new one", path);
        return *ret_text ? 0 : rt_fail_nomem(err);
}

static int write_secret(const char *path, const char *text, struct retort_error *err) {
        rt_auto_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0 || rt_write_all(fd, text, strlen(text)) < 0 || rt_write_all(fd, "\n", 1) < 0 || fsync(fd) < 0)
                return rt_fail_errno(err, "cannot keep a secret in %s", path);
        return 0;
}

/* *secret when it is empty; *ret_new: it was made just now. */
static int fill_secret(const struct rt_config *config, const char *name, const char **secret, bool *ret_new,
                       struct retort_error *err) {
        char made[2 * SECRET_BYTES + 1];
        const char *kept = NULL;
        if (**secret)
                return 0;
        bool memory = strcmp(config->store_path, ":memory:") == 0;
        char *file = rt_arena_printf(config->arena, "%s.%s", config->store_path, name);
        if (!file)
                return rt_fail_nomem(err);
        int r = memory ? 0 : read_secret(file, config->arena, &kept, err);
        if (r == 0 && !kept) {
                r = rt_random_hex(made, SECRET_BYTES, err);
                kept = r == 0 ? rt_arena_strdup(config->arena, made) : NULL;
                if (r == 0 && !kept)
                        r = rt_fail_nomem(err);
                if (r == 0 && !memory)
                        r = write_secret(file, kept, err);
                *ret_new = r == 0;
        }
        if (r == 0)
                *secret = kept;
        return r;
}

int rt_settings_secrets(struct rt_config *config, bool *ret_new_callback_secret, struct retort_error *err) {
        bool new_token_secret = false;
        int r = fill_secret(config, "jwt-secret", &config->auth_jwt_secret, &new_token_secret, err);
        return r < 0 ? r : fill_secret(config, "callback-secret", &config->jobs_callback_secret, ret_new_callback_secret, err);
}
