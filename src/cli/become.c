/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands that other programs do: their tables are here, so that help, completion and the man page know them, and `retort` becomes
 * the program, so that a run starts without its libraries.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "cli/cli.h"

/* The program in the directory of this one; NULL: not there. */
static const char *beside(const char *name, struct rt_arena *arena) {
        char path[4096];
        ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
        if (n <= 0)
                return NULL;
        path[n] = 0;
        char *slash = strrchr(path, '/');
        const char *found = slash ? rt_arena_printf(arena, "%.*s/%s", (int)(slash - path), path, name) : NULL;
        return found && access(found, X_OK) == 0 ? found : NULL;
}

int rt_cli_become(struct rt_cli *cli, const char *variable, const char *name, const char *installed, const char *what) {
        const char *program = getenv(variable);
        if (!program || !*program)
                program = beside(name, &cli->arena);
        if (!program)
                program = installed;
        (void)execv(program, cli->argv);
        return rt_cli_complain(cli, "cannot start %s: %s; it comes with %s (%s may name another)", program, strerror(errno), what, variable);
}
