// SPDX-License-Identifier: Apache-2.0
// Directories 3000 deep, closed to their owner, with names of 255 bytes; who cleans up must not follow or give up.
// expect: status=nonzero exit=7
// limits: wall=8s
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
int main(void) {
        char name[256];
        memset(name, '\n', 255);
        name[255] = 0;
        for (int i = 0; i < 3000; i++) {
                (void)mkdir(name, 0700);
                (void)symlink("/etc", "l");
                (void)symlink("..", "up");
                (void)!chdir(name);
        }
        for (int i = 0; i < 50; i++)
                (void)!(chmod("..", 0) || chdir(".."));
        (void)chmod("/work", 0);
        (void)chmod("/tmp", 0);
        return 7;
}
