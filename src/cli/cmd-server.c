/* SPDX-License-Identifier: Apache-2.0
 *
 * "retort serve", "keys", "config" and "top": their words, and the way to the program that does them.
 */
#include "cli/server.h"

static int become_server(struct rt_cli *cli, void *target, const struct rt_words *words) {
        (void)target, (void)words;
        return rt_cli_become(cli, "RETORT_SERVER", "retortd", RT_BIN_DIR "/retortd", "the server");
}

/* ---- tables ---- */

#define SETTINGS(type)                                                                                                 \
        { 'c', "config", "FILE", "read this configuration", RT_OPT_TEXT, offsetof(type, settings.config), .is_file = true }, \
        { 0, "set", "SECTION.KEY=VALUE", "over what the configuration says; may be repeated", RT_OPT_LIST, offsetof(type, settings.set) }

static const struct rt_opt serve_options[] = {
        SETTINGS(struct rt_serve_opts),
        { 'l', "listen", "ADDRESS", "listen here: host:port, [v6]:port or unix:/path; may be repeated", RT_OPT_LIST,
          offsetof(struct rt_serve_opts, listen) },
        { 0, "no-auth", NULL, "let in everybody without a key; only on loopback", RT_OPT_FLAG,
          offsetof(struct rt_serve_opts, no_auth) },
        { 0 },
};

const struct rt_cmd rt_cmd_serve = {
        .name = "serve",
        .args = "",
        .help = "serve runs and jobs over HTTP",
        .text = "Listens on 127.0.0.1:8081 unless the configuration says otherwise. The first start makes an API key and "
                "prints it once. SIGTERM and SIGINT let what runs come to its end; a second one does not. SIGHUP reads keys "
                "and quotas anew.\n\n"
                "The configuration is --config, else retort/retort.yaml in $XDG_CONFIG_HOME (or ~/.config), else "
                "/etc/retort/retort.yaml, else the defaults; then RETORT_SECTION_KEY in the environment, then the options.",
        .opts = serve_options,
        .target_size = sizeof(struct rt_serve_opts),
        .main = become_server,
};

static const struct rt_opt keys_options[] = {
        SETTINGS(struct rt_keys_opts),
        { 't', "tenant", "NAME", "create: whom the key is for; made when new (default: default)", RT_OPT_TEXT,
          offsetof(struct rt_keys_opts, tenant) },
        { 'n', "name", "TEXT", "create: what the list shows", RT_OPT_TEXT, offsetof(struct rt_keys_opts, name) },
        { 0, "scopes", "LIST", "create: what it may do, of run,jobs,contexts,admin,metrics (default: run,jobs,contexts)", RT_OPT_TEXT,
          offsetof(struct rt_keys_opts, scopes) },
        { 0, "expires", "DURATION", "create: good for so long, as in 12h or 30d (default: for ever)", RT_OPT_TEXT,
          offsetof(struct rt_keys_opts, expires) },
        { 'j', "json", NULL, "print it as JSON", RT_OPT_FLAG, offsetof(struct rt_keys_opts, json) },
        { 0 },
};

const struct rt_cmd rt_cmd_keys = {
        .name = "keys",
        .args = "create|list|revoke [ID]",
        .help = "make, list and revoke the API keys of a server",
        .text = "Works on the server's database, also while it serves. A new key is printed once and stored as a hash only. ID "
                "is the number or the beginning of the key that the list shows.",
        .opts = keys_options,
        .target_size = sizeof(struct rt_keys_opts),
        .min_operands = 1,
        .max_operands = 2,
        .main = become_server,
};

static const struct rt_opt config_options[] = {
        SETTINGS(struct rt_config_opts),
        { 0, "with-secrets", NULL, "show: secrets in clear", RT_OPT_FLAG, offsetof(struct rt_config_opts, with_secrets) },
        { 0 },
};

const struct rt_cmd rt_cmd_config = {
        .name = "config",
        .args = "check|show|document",
        .help = "check a server's configuration, show what it amounts to, or document every key",
        .opts = config_options,
        .target_size = sizeof(struct rt_config_opts),
        .min_operands = 1,
        .max_operands = 1,
        .main = become_server,
};

static const struct rt_opt top_options[] = {
        { 'u', "url", "URL", "the server: http://host:port or unix:/path (default: RETORT_URL, else http://127.0.0.1:8081)",
          RT_OPT_TEXT, offsetof(struct rt_top_opts, url) },
        { 'k', "key", "KEY", "an API key with the scopes admin and metrics (default: RETORT_API_KEY)", RT_OPT_TEXT,
          offsetof(struct rt_top_opts, key) },
        { '1', "once", NULL, "show it once", RT_OPT_FLAG, offsetof(struct rt_top_opts, once) },
        { 0 },
};

const struct rt_cmd rt_cmd_top = {
        .name = "top",
        .args = "",
        .help = "watch a server: slots, queue, tenants, what runs",
        .text = "Fresh every second; q or Ctrl-C ends it. Without a terminal it is shown once.",
        .opts = top_options,
        .target_size = sizeof(struct rt_top_opts),
        .main = become_server,
};
