/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands that need the server's libraries. Their tables are here, so that `retort` knows their help, completion
 * and man page; what they do is in `retortd`, which `retort` becomes for them: a run starts without SQLite and curl.
 */
#pragma once

#include "cli/cli.h"

/* The first members of every one of them: which configuration. */
struct rt_settings_opts {
        const char *config;
        struct rt_list set;
};

struct rt_serve_opts {
        struct rt_settings_opts settings;
        struct rt_list listen;
        bool no_auth;
};

struct rt_keys_opts {
        struct rt_settings_opts settings;
        const char *tenant;
        const char *name;
        const char *scopes;
        const char *expires;
        bool json;
};

struct rt_config_opts {
        struct rt_settings_opts settings;
        bool with_secrets;
};

struct rt_top_opts {
        const char *url;
        const char *key;
        bool once;
};

extern const struct rt_cmd rt_cmd_serve, rt_cmd_keys, rt_cmd_config, rt_cmd_top;
