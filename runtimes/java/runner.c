/* SPDX-License-Identifier: Apache-2.0
 *
 * What the Java runner must do that Java cannot: Native.java names it. Each function is one step that ends whole: a cell that is stopped
 * stops between two of them, never in the middle of a frame.
 *
 * SIGINT is counted for the cell that runs when it comes, and told to a thread that waits here: making one for each signal, as the JVM
 * does, would fail when a program has used up its threads.
 *
 * No header of the JDK is needed: numbers are passed, and memory by its address.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define NATIVE(type, name, ...) \
        EXPORT type Java_retort_runner_Native_##name(void *env, void *class, ##__VA_ARGS__); \
        EXPORT type Java_retort_runner_Native_##name(void *env __attribute__((unused)), void *class __attribute__((unused)), ##__VA_ARGS__)

enum { PROTOCOL = 3, OUT = 1, MARK_MAX = 64 };

static struct {
        pthread_mutex_t lock; /* of what is written */
        int protocol;
        struct stat out; /* the pipe that 1 was at the start */
        bool have_out;
        unsigned char mark[MARK_MAX];
        size_t mark_size;
        sem_t came;
        _Atomic int64_t running, interrupted;
} self = { .lock = PTHREAD_MUTEX_INITIALIZER, .protocol = -1 };

static void on_interrupt(int number) {
        (void)number;
        int64_t cell = atomic_load(&self.running);
        if (cell == 0)
                return;
        int error = errno;
        atomic_store(&self.interrupted, cell);
        (void)sem_post(&self.came);
        errno = error;
}

static int take_interrupts(void) {
        struct sigaction action = { .sa_handler = on_interrupt, .sa_flags = SA_RESTART | SA_ONSTACK };
        (void)sigemptyset(&action.sa_mask);
        return sigaction(SIGINT, &action, NULL) < 0 ? errno : 0;
}

/* Moves the protocol out of a program's way; the highest number that the limit allows. */
static int move(void) {
        static const int numbers[] = { 1000, 500, 200, 60, PROTOCOL + 1 };
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers && self.protocol < 0; i++)
                self.protocol = fcntl(PROTOCOL, F_DUPFD_CLOEXEC, numbers[i]);
        if (self.protocol < 0)
                return errno;
        (void)close(PROTOCOL);
        return 0;
}

/* The mark's bytes; 0, or errno. */
NATIVE(int32_t, begin, int64_t mark, int64_t size) {
        if (size < 0 || size > MARK_MAX || self.protocol >= 0 || sem_init(&self.came, 0, 0) < 0)
                return EINVAL;
        for (int64_t i = 0; i < size; i++)
                self.mark[i] = ((const unsigned char *)(uintptr_t)mark)[i];
        self.mark_size = (size_t)size;
        self.have_out = fstat(OUT, &self.out) == 0;
        int error = move();
        return error ? error : take_interrupts();
}

static void set_of_interrupt(sigset_t *ret) {
        (void)sigemptyset(ret);
        (void)sigaddset(ret, SIGINT);
}

/* At most size bytes; 0: nobody is there any more. By one thread, which leaves SIGINT to the others, so that it can see what they have not
 * had the time to take. */
NATIVE(int64_t, hear, int64_t at, int64_t size) {
        ssize_t n;
        sigset_t set;
        set_of_interrupt(&set);
        (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
        do
                n = read(self.protocol, (void *)(uintptr_t)at, (size_t)size);
        while (n < 0 && errno == EINTR);
        return n < 0 ? 0 : n;
}

static bool write_all(int fd, const unsigned char *data, size_t size) {
        while (size > 0) {
                ssize_t n = write(fd, data, size);
                if (n < 0 && errno != EINTR)
                        return false;
                if (n > 0) {
                        data += n;
                        size -= (size_t)n;
                }
        }
        return true;
}

static bool send_all(const unsigned char *data, size_t size) {
        while (size > 0) {
                ssize_t n = send(self.protocol, data, size, MSG_NOSIGNAL);
                if (n < 0 && errno != EINTR)
                        return false;
                if (n > 0) {
                        data += n;
                        size -= (size_t)n;
                }
        }
        return true;
}

static bool out_is_the_same(void) {
        struct stat now;
        return self.have_out && fstat(OUT, &now) == 0 && now.st_dev == self.out.st_dev && now.st_ino == self.out.st_ino;
}

/* A frame, with the mark before it where it belongs; whether somebody is there. */
NATIVE(int32_t, say, int64_t at, int64_t size, int32_t marked) {
        (void)pthread_mutex_lock(&self.lock);
        if (marked && out_is_the_same())
                (void)write_all(OUT, self.mark, self.mark_size);
        bool done = send_all((const unsigned char *)(uintptr_t)at, (size_t)size);
        (void)pthread_mutex_unlock(&self.lock);
        return done;
}

/* A path that ends in NUL; 0, or errno. */
NATIVE(int32_t, enter, int64_t path) {
        return chdir((const char *)(uintptr_t)path) < 0 ? errno : 0;
}

/* Texts that end in NUL; no value: without that variable. For children: Java has read its own environment long ago. */
NATIVE(int32_t, setenv, int64_t name, int64_t value) {
        const char *text = (const char *)(uintptr_t)name;
        return (value ? setenv(text, (const char *)(uintptr_t)value, 1) : unsetenv(text)) < 0 ? errno : 0;
}

/* SIGINT is for this cell from now on, not what came before. A program may have put a handler of its own in the place of ours. By the
 * thread that hears. */
NATIVE(void, expect, int64_t cell) {
        const struct timespec now = { 0 };
        sigset_t set;
        set_of_interrupt(&set);
        (void)take_interrupts();
        while (sigtimedwait(&set, NULL, &now) == SIGINT)
                ;
        atomic_store(&self.running, cell);
}

/* SIGINT is for nothing from now on. */
NATIVE(void, rest) {
        atomic_store(&self.running, 0);
}

/* The cell that is to be interrupted. */
NATIVE(int64_t, await) {
        while (sem_wait(&self.came) < 0 && errno == EINTR)
                ;
        return atomic_load(&self.interrupted);
}
