/* SPDX-License-Identifier: Apache-2.0
 *
 * Feeds each file named on the command line, and each file in a directory named there, to a fuzz target; and
 * of each also what is left when it is cut short, so that a small corpus covers many broken inputs. An empty
 * corpus is a failure.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/util.h"
#include "fuzz.h"

enum { CUTS = 64, MOST_BYTES = 16 << 20 };

static int replay_file(int dir, const char *name) {
        rt_auto_free char *text = NULL;
        size_t size = 0;
        struct retort_error err = { 0 };
        if (rt_read_file_at(dir, name, MOST_BYTES, &text, &size, &err) < 0) {
                (void)fprintf(stderr, "%s\n", err.message);
                return -1;
        }
        for (size_t i = 0; i <= CUTS; i++) {
                size_t cut = size * (CUTS - i) / CUTS;
                uint8_t *exact =
                        malloc(cut + !cut); /* a copy of its own: a sanitizer sees one byte too many */
                if (!exact)
                        return -1;
                memcpy(exact, text, cut);
                (void)LLVMFuzzerTestOneInput(exact, cut);
                free(exact);
        }
        return 1;
}

/* How many files were replayed, or -1. */
static int replay_dir(DIR *dir) {
        int n = 0;
        for (struct dirent *entry; (entry = readdir(dir));) {
                if (entry->d_name[0] == '.')
                        continue;
                if (replay_file(dirfd(dir), entry->d_name) < 0)
                        return -1;
                n++;
        }
        return n;
}

static int replay(const char *path) {
        DIR *dir = opendir(path);
        if (!dir)
                return replay_file(AT_FDCWD, path);
        int n = replay_dir(dir);
        (void)closedir(dir);
        return n;
}

int main(int argc, char **argv) {
        int total = 0;
        for (int i = 1; i < argc; i++) {
                int n = replay(argv[i]);
                if (n < 0)
                        return 1;
                total += n;
        }
        (void)printf("%d files\n", total);
        return total ? 0 : 1;
}
