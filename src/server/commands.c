/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/util.h"
#include "server/server.h"

enum { MAX_WORDS = 256 };

static struct rt_cmd with_main(const struct rt_cmd *cmd, int (*main_of)(struct rt_cli *, void *, const struct rt_words *)) {
        struct rt_cmd own = *cmd;
        own.main = main_of;
        return own;
}

/* "retortd --listen x" is "retortd serve --listen x". */
static bool means_serve(const char *word) {
        return !word || (word[0] == '-' && strcmp(word, "--version") != 0 && strcmp(word, "-V") != 0);
}

int rt_server_main(char *const *argv) {
        const struct rt_cmd serve = with_main(&rt_cmd_serve, rt_serve_main);
        const struct rt_cmd keys = with_main(&rt_cmd_keys, rt_keys_main);
        const struct rt_cmd config = with_main(&rt_cmd_config, rt_config_main);
        const struct rt_cmd top = with_main(&rt_cmd_top, rt_top_main);
        const struct rt_cmd *const cmds[] = { &serve, &keys, &config, &top, &rt_cmd_help, &rt_cmd_version, NULL };
        char *words[MAX_WORDS];
        static char serve_word[] = "serve";
        size_t n = 0;
        if (!argv[0] || !means_serve(argv[1]))
                return rt_cli_main(cmds, argv);
        words[n++] = argv[0];
        words[n++] = serve_word;
        for (size_t i = 1; argv[i] && n < MAX_WORDS - 1; i++)
                words[n++] = argv[i];
        words[n] = NULL;
        return rt_cli_main(cmds, words);
}
