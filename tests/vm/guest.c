/* SPDX-License-Identifier: Apache-2.0
 *
 * A guest without libraries, for the virtual machine: guest hog MIB | forks N | daemon SECONDS | spin
 * And, for the checks themselves: guest as ID PROGRAM WORDS... */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int hog(size_t mib) {
        volatile char *p = malloc(mib << 20);
        if (!p)
                return 1;
        for (size_t i = 0; i < mib << 20; i += 4096)
                p[i] = 1;
        return printf("held %zu MiB\n", mib) < 0;
}

static int forks(int n) {
        for (int i = 0; i < n; i++) {
                pid_t pid = fork();
                if (pid < 0)
                        return 1;
                if (pid == 0) {
                        (void)sleep(30);
                        _exit(0);
                }
        }
        (void)usleep(200000);
        return 0;
}

/* Two forks and a session of its own: nobody's child any more. */
static int go_away(unsigned seconds) {
        if (fork() == 0) {
                (void)setsid();
                if (fork() == 0)
                        (void)sleep(seconds);
                _exit(0);
        }
        (void)usleep(100000);
        return 0;
}

/* As setuidgid does: becomes an ordinary user and another program. */
static int as(int id, char **argv) {
        if (setgid((gid_t)id) < 0 || setuid((uid_t)id) < 0)
                return 1;
        (void)execvp(argv[0], argv);
        return 127;
}

int main(int argc, char **argv) {
        const char *what = argc > 1 ? argv[1] : "";
        int n = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0;
        if (strcmp(what, "hog") == 0)
                return hog((size_t)n);
        if (strcmp(what, "forks") == 0)
                return forks(n);
        if (strcmp(what, "daemon") == 0)
                return go_away((unsigned)n);
        if (strcmp(what, "as") == 0 && argc > 3)
                return as(n, argv + 3);
        for (volatile unsigned i = 0; strcmp(what, "spin") == 0; i++)
                continue;
        return 2;
}
