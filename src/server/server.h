/* SPDX-License-Identifier: Apache-2.0
 *
 * The program retortd: the commands that need the server's libraries, and how a server is put together.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cli/server.h"
#include "service/config.h"

/* retortd's main: "retortd [OPTION...]" serves, "retortd keys ..." and so on are the commands. The exit status. */
int rt_server_main(char *const *argv);

/* server/serve.c, keys.c, config.c, top.c: what the commands do. */
int rt_serve_main(struct rt_cli *cli, void *target, const struct rt_words *words);
int rt_keys_main(struct rt_cli *cli, void *target, const struct rt_words *words);
int rt_config_main(struct rt_cli *cli, void *target, const struct rt_words *words);
int rt_top_main(struct rt_cli *cli, void *target, const struct rt_words *words);

/* server/settings.c: the configuration with everything in it that was left empty. */
/* The file that is read; NULL: there is none. */
const char *rt_settings_file(const struct rt_settings_opts *opts, struct rt_arena *arena);
int rt_settings_read(const struct rt_settings_opts *opts, struct rt_arena *arena, struct rt_config **ret_config,
                     struct retort_error *err);
/* Fills in where the database is and makes its directory; *ret_own (may be NULL): the directory is Retort's alone. */
int rt_settings_place(struct rt_config *config, bool *ret_own, struct retort_error *err);
/* Fills in secrets that are empty: random ones, kept in files beside the database. */
int rt_settings_secrets(struct rt_config *config, bool *ret_new_callback_secret, struct retort_error *err);

/* server/host.c: this process and its host. */
/* Refuses setuid, forgets how to gain privileges, raises the number of descriptors, has malloc give memory back. */
int rt_host_prepare(struct retort_error *err);
/* Gives the database (and its directory, when it is ours) to config->server_user and becomes that user. Nothing when none is
 * named or this is not root. */
int rt_host_become(const struct rt_config *config, bool own_directory, struct retort_error *err);
/* server/filter.c: puts every thread under the server's system call policy for good (no_new_privs must be set). After it no
 * jailer can be started. */
int rt_host_filter(struct retort_error *err);

/* server/systemd.c */
/* The sockets that systemd opened, for this process (LISTEN_PID): how many; they begin at descriptor 3. */
size_t rt_systemd_sockets(int *ret_first);
/* Whether a socket that listens can only be reached from this host. */
bool rt_systemd_is_local(int fd);
/* "READY=1" and the like to $NOTIFY_SOCKET; nothing when there is none. */
void rt_systemd_notify(const char *state);
