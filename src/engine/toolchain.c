/* SPDX-License-Identifier: Apache-2.0
 *
 * Which version a toolchain has: its own command is asked once for each engine, beside the first run that needs it, so
 * that no run waits for it longer than for itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "engine/engine.h"

enum { ANSWER_MS = 5000, ANSWER_BYTES = 4096 };

struct question {
        struct retort_engine *engine;
        const struct rt_runtime *runtime;
        size_t index;
};

size_t rt_engine_runtime_index(struct retort_engine *engine, const struct rt_runtime *runtime) {
        size_t i = 0;
        while (i < RT_ENGINE_MAX_RUNTIMES - 1 && rt_lang_at(engine->runtimes, i) != runtime)
                i++;
        return i;
}

static pid_t spawn(const char *const *argv, int output) {
        static char *const env[] = { "PATH=" RT_LANG_PATH, "LANG=C.UTF-8", NULL };
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none, all;
        pid_t pid = -1;
        (void)sigemptyset(&none);
        (void)sigfillset(&all);
        if (posix_spawn_file_actions_init(&actions) != 0)
                return -1;
        if (posix_spawnattr_init(&attributes) == 0) {
                (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
                (void)posix_spawnattr_setsigdefault(&attributes, &all);
                (void)posix_spawnattr_setsigmask(&attributes, &none);
                (void)posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
                (void)posix_spawn_file_actions_adddup2(&actions, output, 1);
                (void)posix_spawn_file_actions_adddup2(&actions, output, 2);
                if (posix_spawn(&pid, argv[0], &actions, &attributes, (char *const *)(uintptr_t)argv, env) != 0)
                        pid = -1;
                (void)posix_spawnattr_destroy(&attributes);
        }
        (void)posix_spawn_file_actions_destroy(&actions);
        return pid;
}

static int ms_until(uint64_t deadline) {
        uint64_t now = rt_now_ns();
        return now >= deadline ? 0 : (int)((deadline - now) / 1000000u) + 1;
}

/* Waits for its end, or brings it about. */
static void reap(pid_t pid, uint64_t deadline) {
        rt_auto_close int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        struct pollfd wait = { .fd = pidfd, .events = POLLIN };
        if (pidfd < 0 || poll(&wait, 1, ms_until(deadline)) != 1)
                (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
}

/* What the command prints, at most ANSWER_BYTES, within ANSWER_MS. */
static void listen_to(const char *const *argv, char text[ANSWER_BYTES]) {
        int ends[2];
        size_t used = 0;
        text[0] = 0;
        if (pipe2(ends, O_CLOEXEC) < 0)
                return;
        pid_t pid = spawn(argv, ends[1]);
        (void)rt_close(ends[1]);
        uint64_t deadline = rt_now_ns() + ANSWER_MS * 1000000ull;
        while (pid > 0 && used < ANSWER_BYTES - 1) {
                struct pollfd wait = { .fd = ends[0], .events = POLLIN };
                if (poll(&wait, 1, ms_until(deadline)) <= 0)
                        break;
                ssize_t n = read(ends[0], text + used, ANSWER_BYTES - 1 - used);
                if (n <= 0)
                        break;
                used += (size_t)n;
        }
        text[used] = 0;
        (void)rt_close(ends[0]);
        if (pid > 0)
                reap(pid, deadline);
}

static void *ask(void *argument) {
        struct question *q = argument;
        rt_auto_arena struct rt_arena arena = { 0 };
        char text[ANSWER_BYTES];
        const char *version = "";
        const char *const *argv = rt_lang_version_argv(q->runtime, &arena);
        if (argv) {
                listen_to(argv, text);
                version = rt_lang_read_version(q->runtime, text, &arena);
        }
        struct retort_engine *engine = q->engine;
        (void)pthread_mutex_lock(&engine->lock);
        struct rt_toolchain *t = &engine->toolchains[q->index];
        (void)snprintf(t->version, sizeof t->version, "%.63s", version ? version : "");
        t->state = RT_TOOLCHAIN_KNOWN;
        engine->n_asking--;
        (void)pthread_cond_broadcast(&engine->changed);
        (void)pthread_mutex_unlock(&engine->lock);
        free(q);
        return NULL;
}

void rt_toolchain_ask(struct retort_engine *engine, const struct rt_runtime *runtime) {
        size_t index = rt_engine_runtime_index(engine, runtime);
        (void)pthread_mutex_lock(&engine->lock);
        bool first = engine->toolchains[index].state == RT_TOOLCHAIN_UNASKED;
        if (first) {
                engine->toolchains[index].state = RT_TOOLCHAIN_ASKING;
                engine->n_asking++;
        }
        (void)pthread_mutex_unlock(&engine->lock);
        if (!first)
                return;
        pthread_t thread;
        struct question *q = malloc(sizeof *q);
        if (q)
                *q = (struct question){ engine, runtime, index };
        if (q && rt_engine_thread(&thread, ask, q) == 0) {
                (void)pthread_detach(thread);
                return;
        }
        free(q);
        (void)pthread_mutex_lock(&engine->lock);
        engine->toolchains[index].state = RT_TOOLCHAIN_UNASKED; /* the next run may have more luck */
        engine->n_asking--;
        (void)pthread_mutex_unlock(&engine->lock);
}

const char *rt_toolchain_version(struct retort_engine *engine, const struct rt_runtime *runtime, bool wait) {
        struct rt_toolchain *t = &engine->toolchains[rt_engine_runtime_index(engine, runtime)];
        (void)pthread_mutex_lock(&engine->lock);
        while (wait && t->state == RT_TOOLCHAIN_ASKING)
                (void)pthread_cond_wait(&engine->changed, &engine->lock);
        const char *version = t->state == RT_TOOLCHAIN_KNOWN ? t->version : "";
        (void)pthread_mutex_unlock(&engine->lock);
        return version;
}
