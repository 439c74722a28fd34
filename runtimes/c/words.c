/* SPDX-License-Identifier: Apache-2.0
 *
 * The assembler's and the linker's arguments, as gcc gave them when it was asked. gcc would start collect2, which looks for
 * a linker and starts it with the same arguments; and gold reads every directory of -L before it looks for anything in it.
 */
#include "frozen.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_SCRIPT = 1024, MAX_DIRS = 32 };

static const char *const too_many = "too many arguments for the linker";

static bool add(struct frozen_words *words, const char *word) {
        if (words->n + 1 >= FROZEN_WORDS)
                return false;
        words->at[words->n++] = strdup(word);
        words->at[words->n] = NULL;
        return words->at[words->n - 1] != NULL;
}

static bool split(const char *text, struct frozen_words *ret) {
        char *copy = strdup(text), *save = NULL;
        bool good = copy != NULL;
        for (char *word = good ? strtok_r(copy, "\n", &save) : NULL; word && good; word = strtok_r(NULL, "\n", &save))
                good = add(ret, word);
        free(copy);
        return good;
}

const char *frozen_read_assembler(const char *text, struct frozen_words *ret) {
        if (!split(text, ret))
                return too_many;
        for (size_t i = 1; i + 1 < ret->n; i++)
                if (strcmp(ret->at[i], "-o") == 0)
                        ret->object = i + 1;
        return ret->object ? NULL : "gcc's assembler has no -o";
}

/* ---- libraries ---- */

struct dirs {
        char *at[MAX_DIRS];
        size_t n;
};

static void add_dir(struct dirs *dirs, const char *path) {
        char *real = realpath(path, NULL);
        for (size_t i = 0; real && i < dirs->n; i++)
                if (strcmp(dirs->at[i], real) == 0) {
                        free(real);
                        return;
                }
        if (real && dirs->n < MAX_DIRS)
                dirs->at[dirs->n++] = real;
}

/* As linkers look for -lNAME, or for NAME itself. */
static bool find(const struct dirs *dirs, const char *word, char path[4096]) {
        static const char *const endings[] = { ".so", ".a" };
        bool library = strncmp(word, "-l", 2) == 0;
        for (size_t i = 0; i < dirs->n; i++)
                for (size_t e = 0; e < (library ? 2 : 1); e++) {
                        (void)snprintf(path, 4096, "%s/%s%s%s", dirs->at[i], library ? "lib" : "", library ? word + 2 : word,
                                       library ? endings[e] : "");
                        if (access(path, R_OK) == 0)
                                return true;
                }
        return false;
}

/* What a linker script says without its comments, "" if the file is none. */
static void read_script(const char *path, char text[MAX_SCRIPT]) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : read(fd, text, MAX_SCRIPT - 1);
        if (fd >= 0)
                (void)close(fd);
        text[n > 0 ? n : 0] = 0;
        if (n <= 0 || n == MAX_SCRIPT - 1 || memchr(text, 0, (size_t)n) || text[0] == '!')
                text[0] = 0;
        for (char *comment; (comment = strstr(text, "/*"));) {
                char *end = strstr(comment, "*/");
                memset(comment, ' ', end ? (size_t)(end + 2 - comment) : strlen(comment));
        }
}

/* A script that makes the linker look into directories, of the one kind that GCC has: GROUP ( NAME... ). */
static bool add_group(struct frozen_words *ret, const struct dirs *dirs, char *text) {
        char *save = NULL, path[4096];
        char *word = strtok_r(text, " \t\n", &save);
        if (!word || strcmp(word, "GROUP") != 0 || !(word = strtok_r(NULL, " \t\n", &save)) || strcmp(word, "(") != 0)
                return false;
        bool good = add(ret, "--start-group");
        while (good && (word = strtok_r(NULL, " \t\n", &save)) && strcmp(word, ")") != 0)
                good = find(dirs, word, path) && add(ret, path);
        return good && word && !strtok_r(NULL, " \t\n", &save) && add(ret, "--end-group");
}

/* Whether it names something that is to be looked for: neither a path nor a word of the script's own. */
static bool seeks(const char *text) {
        for (const char *at = text + strspn(text, " \t\n"); *at; at += strcspn(at, " \t\n"), at += strspn(at, " \t\n"))
                if (!strchr("/()", *at) && !(*at >= 'A' && *at <= 'Z'))
                        return true;
        return false;
}

static bool add_library(struct frozen_words *ret, const struct dirs *dirs, const char *word) {
        char path[4096], text[MAX_SCRIPT];
        if (!find(dirs, word, path))
                return false;
        read_script(path, text);
        return seeks(text) ? add_group(ret, dirs, text) : add(ret, path);
}

/* ---- the whole ---- */

const char *frozen_read_linker(const char *text, const char *object, struct frozen_words *ret) {
        static struct frozen_words said;
        struct dirs dirs = { 0 };
        if (!split(text, &said) || said.n < 3)
                return too_many;
        for (size_t i = 2; i < said.n; i++)
                if (strncmp(said.at[i], "-L", 2) == 0)
                        add_dir(&dirs, said.at[i] + 2);
        if (!add(ret, said.at[0]) || access(said.at[0], X_OK) < 0)
                return "no linker";
        for (size_t i = 2; i < said.n; i++) { /* 1 is collect2 */
                const char *word = said.at[i];
                bool good = true;
                if (strcmp(word, "-plugin") == 0)
                        i++;
                else if (strncmp(word, "-plugin-opt=", 12) == 0 || strncmp(word, "-fuse-ld=", 9) == 0 || strncmp(word, "-L", 2) == 0)
                        continue;
                else if (strncmp(word, "-l", 2) == 0)
                        good = add_library(ret, &dirs, word);
                else
                        good = add(ret, word);
                if (!good)
                        return "an argument for the linker is not understood";
                if (strcmp(word, object) == 0)
                        ret->object = ret->n - 1;
        }
        return ret->object ? NULL : "gcc's linker is not given the object";
}
