/* SPDX-License-Identifier: Apache-2.0
 *
 * Questions about the shell that must not change it: each is answered by a copy of the shell, which writes into a pipe and ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runner.h"

enum { ANSWER_MAX = 1 << 20, WAIT_MS = 5000, MATCHES_MAX = 500 };

static const char blanks_and_signs[] = " \t\n;|&()<>=`\"'";

static long now_ms(void) {
        struct timespec t;
        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* What comes until its writers have ended, up to a limit of size and time. */
static char *read_answer(int fd, size_t *ret_size) {
        char *text = malloc(ANSWER_MAX + 1);
        size_t size = 0;
        long until = now_ms() + WAIT_MS;
        while (text && size < ANSWER_MAX) {
                struct pollfd wait = { .fd = fd, .events = POLLIN };
                long left = until - now_ms();
                if (left <= 0 || (poll(&wait, 1, (int)left) < 0 && errno != EINTR))
                        break;
                if (!wait.revents)
                        continue;
                ssize_t n = read(fd, text + size, ANSWER_MAX - size);
                if (n == 0 || (n < 0 && errno != EINTR))
                        break;
                size += n > 0 ? (size_t)n : 0;
        }
        if (text)
                text[size] = 0;
        *ret_size = size;
        return text;
}

/* In a copy of the shell: what evaluating text writes to descriptor 1 or 2; to be freed, NULL if there cannot be a copy. */
static char *in_a_copy(const char *text, size_t n, const char *name, int flags, int from, const char *word, size_t *ret_size) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
                return NULL;
        sigset_t chld, before;
        sigemptyset(&chld);
        sigaddset(&chld, SIGCHLD); /* it is not one of Bash's jobs */
        (void)sigprocmask(SIG_BLOCK, &chld, &before);
        (void)fflush(NULL);
        pid_t pid = fork();
        if (pid == 0) {
                int status = 0, null = open("/dev/null", O_WRONLY | O_CLOEXEC);
                (void)setpgid(0, 0);
                (void)sigprocmask(SIG_SETMASK, &before, NULL);
                (void)dup2(null, from == STDOUT_FILENO ? STDERR_FILENO : STDOUT_FILENO);
                (void)dup2(ends[1], from);
                for (int i = 0; i < NSIG && i < 65; i++) /* the user's traps are about the shell, not about its copy */
                        if (signal_is_trapped(i))
                                restore_default_signal(i);
                if (word)
                        (void)bind_variable("word", (char *)(uintptr_t)word, 0);
                (void)runner_evaluate(text, n, name, flags, &status);
                (void)fflush(stdout);
                _exit(0);
        }
        (void)close(ends[1]);
        char *answer = pid > 0 ? read_answer(ends[0], ret_size) : NULL;
        (void)close(ends[0]);
        if (pid > 0) {
                (void)kill(-pid, SIGKILL);
                (void)kill(pid, SIGKILL);
                while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                        ;
        }
        (void)sigprocmask(SIG_SETMASK, &before, NULL);
        return answer;
}

char *look_syntax(const char *text, size_t size, const char *name) {
        size_t n = 0;
        char *said = in_a_copy(text, size, name, SEVAL_PARSEONLY, STDERR_FILENO, NULL, &n);
        while (n > 0 && said[n - 1] == '\n')
                said[--n] = 0;
        if (n > 0)
                return said;
        free(said);
        return NULL;
}

/* ---- where the cursor is ---- */

/* Bytes of the first n characters. */
static size_t bytes_of(const char *text, size_t size, json_int_t n) {
        size_t at = 0;
        for (; n > 0 && at < size; n--)
                for (at++; at < size && ((unsigned char)text[at] & 0xc0) == 0x80; at++)
                        ;
        return at;
}

static json_int_t characters_of(const char *text, size_t bytes) {
        json_int_t n = 0;
        for (size_t i = 0; i < bytes; i++)
                n += ((unsigned char)text[i] & 0xc0) != 0x80;
        return n;
}

struct place {
        const char *text;
        size_t size, at; /* of the cursor */
};

static struct place place_of(const json_t *message) {
        const json_t *code = json_object_get(message, "code");
        struct place p = { json_string_value(code), json_string_length(code), 0 };
        p.text = p.text ? p.text : "";
        p.at = bytes_of(p.text, p.size, json_integer_value(json_object_get(message, "cursor")));
        return p;
}

/* Whether a word that begins there is the name of a command. */
static bool is_command(const char *text, size_t start) {
        static const char *const before[] = { "do", "then", "else", "elif", "if", "while", "until", "!", "{", "time", "exec", "sudo" };
        while (start > 0 && (text[start - 1] == ' ' || text[start - 1] == '\t'))
                start--;
        if (start == 0 || strchr("\n;|&(`", text[start - 1]))
                return true;
        for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
                size_t n = strlen(before[i]);
                if (start >= n && memcmp(text + start - n, before[i], n) == 0 &&
                    (start == n || strchr(blanks_and_signs, text[start - n - 1])))
                        return true;
        }
        return false;
}

/* ---- complete ---- */

/* A match as it is written in a program. */
static json_t *written(const char *match, bool is_file) {
        char *text = malloc(2 * strlen(match) + 2), *to = text;
        struct stat st;
        if (!text)
                return NULL;
        for (const char *p = match; *p; p++) {
                if (is_file && strchr(" \t\n\\'\"`$&;|<>()*?[]#!{}", *p))
                        *to++ = '\\';
                *to++ = *p;
        }
        if (is_file && stat(match, &st) == 0 && S_ISDIR(st.st_mode))
                *to++ = '/';
        json_t *ret = rt_frames_text(text, (size_t)(to - text));
        free(text);
        return ret;
}

static int by_text(const void *a, const void *b) {
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static json_t *matches_of(char *lines, bool is_file) {
        char *at[8 * MATCHES_MAX];
        size_t n = 0;
        json_t *ret = json_array();
        for (char *line = lines, *end; line && *line && n < sizeof at / sizeof *at; line = end) {
                end = strchrnul(line, '\n');
                if (*end)
                        *end++ = 0;
                at[n++] = line;
        }
        qsort(at, n, sizeof *at, by_text);
        for (size_t i = 0; i < n && json_array_size(ret) < MATCHES_MAX; i++)
                if (i == 0 || strcmp(at[i], at[i - 1]) != 0)
                        (void)json_array_append_new(ret, written(at[i], is_file));
        return ret;
}

void look_complete(const json_t *message) {
        struct place p = place_of(message);
        size_t start = p.at;
        while (start > 0 && (!strchr(blanks_and_signs, p.text[start - 1]) || (start > 1 && p.text[start - 2] == '\\')))
                start--;
        const char *dollar = memrchr(p.text + start, '$', p.at - start);
        if (dollar)
                start = (size_t)(dollar - p.text) + (dollar[1] == '{' ? 2 : 1);
        if (start > p.at)
                start = p.at;
        char word[4096], *to = word;
        for (size_t i = start; i < p.at && to < word + sizeof word - 1; i++)
                if (p.text[i] != '\\')
                        *to++ = p.text[i];
        *to = 0;
        bool is_file = !dollar && (strchr(word, '/') || !is_command(p.text, start));
        const char *command = dollar ? "builtin compgen -v -- \"$word\"" : is_file ? "builtin compgen -f -- \"$word\"" : "builtin compgen -c -- \"$word\"";
        size_t n = 0;
        char *lines = in_a_copy(command, strlen(command), "complete", 0, STDOUT_FILENO, word, &n);
        json_t *matches = matches_of(lines, is_file);
        free(lines);
        runner_send(json_pack("{s:s, s:I, s:o, s:I, s:I}", "type", "completions", "id", runner.id, "matches", matches, "start",
                              characters_of(p.text, start), "end", characters_of(p.text, p.at)));
}

/* ---- inspect ---- */

void look_inspect(const json_t *message) {
        static const char brief[] = "builtin declare -p -- \"$word\" || { builtin type -- \"$word\" && case $(builtin type -t -- \"$word\") in builtin | keyword) builtin help -s -- \"$word\" ;; esac; }";
        static const char whole[] = "builtin declare -p -- \"$word\" || { builtin type -a -- \"$word\" && case $(builtin type -t -- \"$word\") in builtin | keyword) builtin help -- \"$word\" ;; esac; }";
        struct place p = place_of(message);
        size_t start = p.at, end = p.at, n = 0;
        while (start > 0 && !strchr(blanks_and_signs, p.text[start - 1]) && !strchr("${}", p.text[start - 1]))
                start--;
        while (end < p.size && !strchr(blanks_and_signs, p.text[end]) && !strchr("${}", p.text[end]))
                end++;
        char word[4096] = "";
        if (end - start < sizeof word)
                memcpy(word, p.text + start, end - start);
        const char *command = json_integer_value(json_object_get(message, "detail")) ? whole : brief;
        char *said = word[0] ? in_a_copy(command, strlen(command), "inspect", 0, STDOUT_FILENO, word, &n) : NULL;
        while (n > 0 && said[n - 1] == '\n')
                n--;
        json_t *data = n > 0 ? json_pack("{s:o}", "text/plain", rt_frames_text(said, n)) : json_object();
        free(said);
        runner_send(json_pack("{s:s, s:I, s:b, s:o}", "type", "inspection", "id", runner.id, "found", n > 0, "data", data));
}
