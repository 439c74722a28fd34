// SPDX-License-Identifier: Apache-2.0
// A guest holds 0 to 3 and nothing else; none of them is a directory, a socket, or leads anywhere.
// expect: status=ok exit=0
// says: 0 1 2 3 done
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <termios.h>
#include <sys/ioctl.h>
#include <unistd.h>
int main(void) {
        for (int fd = 0; fd < 100000; fd++) {
                struct stat st;
                if (fcntl(fd, F_GETFD) < 0)
                        continue;
                printf("%d ", fd);
                if (fstat(fd, &st) < 0 || S_ISDIR(st.st_mode) || S_ISSOCK(st.st_mode) || S_ISBLK(st.st_mode) || isatty(fd))
                        printf("\nopen: %d is of mode %o\n", fd, st.st_mode);
                if (openat(fd, "..", O_RDONLY) >= 0 || openat(fd, "", O_RDONLY) >= 0)
                        printf("\nopen: %d leads somewhere\n", fd);
                char x = 'x';
                if (ioctl(fd, TIOCSTI, &x) == 0 || ioctl(fd, TIOCSCTTY, 0) == 0)
                        printf("\nopen: typing into a terminal\n");
        }
        if (open("/dev/tty", O_RDWR) >= 0 || open("/dev/ptmx", O_RDWR) >= 0 || open("/dev/console", O_RDWR) >= 0)
                printf("\nopen: a terminal\n");
        printf("done\n");
        return 0;
}
