// SPDX-License-Identifier: Apache-2.0
// Ways to do nothing for ever without using a processor.
// expect: status=wall_limit limit=wall_ms how=clock
// limits: wall=400ms
// each: sleep stop pipe vfork closed futex stop-all
// within: 4
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
        const char *way = argc > 1 ? argv[1] : "";
        int ends[2], word = 0;
        char byte;
        if (strcmp(way, "sleep") == 0)
                sleep(100);
        if (strcmp(way, "stop") == 0)
                raise(SIGSTOP);
        if (strcmp(way, "stop-all") == 0) {
                for (int i = 0; i < 5; i++)
                        if (fork() == 0)
                                pause();
                kill(-1, SIGSTOP);
                raise(SIGSTOP);
        }
        if (strcmp(way, "pipe") == 0 && pipe(ends) == 0)
                (void)!read(ends[0], &byte, 1);
        if (strcmp(way, "vfork") == 0 && vfork() == 0)
                pause();
        if (strcmp(way, "closed") == 0) {
                (void)close_range(0, ~0u, 0);
                sleep(100);
        }
        if (strcmp(way, "futex") == 0)
                syscall(SYS_futex, &word, FUTEX_WAIT, 0, 0, 0, 0);
        return 9;
}
