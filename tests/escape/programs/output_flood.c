// SPDX-License-Identifier: Apache-2.0
// 10 GB, on each stream, on both, through /proc, from a child that was left alone.
// expect: status=output_limit limit=output_bytes how=read
// limits: output=1M wall=10s
// each: out err both reopened child
// within: 6
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) {
        static char block[1 << 16];
        const char *way = argc > 1 ? argv[1] : "";
        int fd = 1, other = strcmp(way, "both") == 0 ? 2 : -1;
        memset(block, 'x', sizeof block);
        if (strcmp(way, "err") == 0)
                fd = 2;
        if (strcmp(way, "reopened") == 0)
                fd = open("/proc/self/fd/1", O_WRONLY);
        if (strcmp(way, "child") == 0 && fork() != 0)
                for (;;)
                        pause();
        for (int i = 0; i < 163840; i++) {
                (void)!write(fd, block, sizeof block);
                if (other >= 0)
                        (void)!write(other, block, sizeof block);
        }
        return fd < 0 ? 8 : 0;
}
