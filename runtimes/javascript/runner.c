/* SPDX-License-Identifier: Apache-2.0
 *
 * A module for runner.cjs: what it must do that JavaScript cannot.
 *
 * Interrupts. SIGINT has to end JavaScript that never returns to its event loop, wherever it was called from, and must do
 * nothing between cells. A handler counts what was asked; a thread of its own then calls notify(), and what has not come
 * to that within a moment is ended by V8 (and the children that it may be waiting for get the signal too, as they would
 * at a terminal). What is asked for is answered once: by guard(), whose call was ended, by take(), or by notify().
 * libuv's own handler stays in place below ours, so that programs can listen to SIGINT, and cease to.
 *
 * What must be done whole or not at all is done here (send, write), or in quiet(): an end waits for that.
 *
 * Descriptors. move() puts the protocol out of a program's way; listen() tells when it can be read; wait() blocks until then.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* Node-API and libuv, whose binary interfaces are the same for all versions. */
typedef void *napi_env, *napi_value, *napi_info, *napi_function;
enum { NAPI_OK = 0, NAPI_EXCEPTION = 10 };
enum { UV_HANDLE_BYTES = 1024, UV_CAN_READ = 1 };
extern int napi_create_function(napi_env env, const char *name, size_t size, napi_value (*call)(napi_env, napi_info), void *data,
                                napi_value *ret);
extern int napi_set_named_property(napi_env env, napi_value object, const char *name, napi_value value);
extern int napi_get_boolean(napi_env env, bool value, napi_value *ret);
extern int napi_create_int32(napi_env env, int32_t value, napi_value *ret);
extern int napi_create_string_utf8(napi_env env, const char *text, size_t size, napi_value *ret);
extern int napi_get_cb_info(napi_env env, napi_info info, size_t *n, napi_value *args, napi_value *self, void **data);
extern int napi_get_value_int32(napi_env env, napi_value value, int32_t *ret);
extern int napi_get_undefined(napi_env env, napi_value *ret);
extern int napi_get_global(napi_env env, napi_value *ret);
extern int napi_get_typedarray_info(napi_env env, napi_value array, int *type, size_t *n, void **data, napi_value *buffer, size_t *at);
extern int napi_call_function(napi_env env, napi_value self, napi_value function, size_t n, const napi_value *args, napi_value *ret);
extern int napi_get_and_clear_last_exception(napi_env env, napi_value *ret);
extern int napi_throw(napi_env env, napi_value error);
extern int napi_get_uv_event_loop(napi_env env, void **ret);
extern int napi_create_threadsafe_function(napi_env env, napi_value function, napi_value resource, napi_value name, size_t queue,
                                           size_t threads, void *data, void (*end)(napi_env, void *, void *), void *context,
                                           void (*call)(napi_env, napi_value, void *, void *), napi_function *ret);
extern int napi_call_threadsafe_function(napi_function function, void *data, int mode);
extern int napi_unref_threadsafe_function(napi_env env, napi_function function);
extern int napi_get_buffer_info(napi_env env, napi_value buffer, void **data, size_t *size);
extern int napi_create_reference(napi_env env, napi_value value, uint32_t count, void **ret);
extern int napi_get_reference_value(napi_env env, void *reference, napi_value *ret);
extern int napi_open_handle_scope(napi_env env, void **ret);
extern int napi_close_handle_scope(napi_env env, void *scope);
extern int napi_make_callback(napi_env env, void *context, napi_value self, napi_value function, size_t n, const napi_value *args, napi_value *ret);
extern int napi_fatal_exception(napi_env env, napi_value error);
extern int uv_poll_init(void *loop, void *handle, int fd);
extern int uv_poll_start(void *handle, int events, void (*call)(void *, int, int));
extern int uv_signal_init(void *loop, void *handle);
extern int uv_signal_start(void *handle, void (*call)(void *, int), int number);
extern void uv_unref(void *handle);
/* V8 has no C interface; these three are in every Node. */
extern void *current_isolate(void) __asm__("_ZN2v87Isolate10GetCurrentEv");
extern void terminate(void *isolate) __asm__("_ZN2v87Isolate18TerminateExecutionEv");
extern void cancel_terminate(void *isolate) __asm__("_ZN2v87Isolate24CancelTerminateExecutionEv");

enum { GRACE_MS = 100 }; /* until JavaScript that has not heard of an interrupt is ended */

/* One a process: signals are. */
static struct {
        pthread_mutex_t lock;
        void *isolate;
        napi_function notify;
        sem_t asked_sem;
        atomic_uint asked, answered;
        atomic_bool passing; /* the next one is our own, meant for the others of this process group */
        unsigned quiet; /* what runs must not be ended now */
        bool ending;    /* V8 was told to end what runs, and nobody has undone it */
        /* Node ends the process when a callback does not return in order. While these counts of its async hooks are 0 it does not. */
        volatile uint32_t *counts[2];
        uint32_t counted[2];
        struct sigaction below;
        _Alignas(16) char signal_handle[UV_HANDLE_BYTES], poll_handle[UV_HANDLE_BYTES];
        napi_env env;
        void *on_readable;
        struct stat out; /* what descriptor 1 was */
} all = { .lock = PTHREAD_MUTEX_INITIALIZER };

static napi_value boolean(napi_env env, bool value) {
        napi_value ret = NULL;
        (void)napi_get_boolean(env, value, &ret);
        return ret;
}

/* Whether an interrupt was waiting for an answer: this is it. */
static bool answer(void) {
        pthread_mutex_lock(&all.lock);
        unsigned asked = atomic_load(&all.asked);
        bool ret = asked != atomic_load(&all.answered) || all.ending;
        atomic_store(&all.answered, asked);
        if (all.ending) {
                cancel_terminate(all.isolate);
                for (int i = 0; i < 2; i++)
                        *all.counts[i] += all.counted[i];
        }
        all.ending = false;
        pthread_mutex_unlock(&all.lock);
        return ret;
}

/* Under the lock. */
static void end_javascript(void) {
        for (int i = 0; i < 2 && !all.ending; i++) {
                all.counted[i] = *all.counts[i];
                *all.counts[i] = 0;
        }
        all.ending = true;
        terminate(all.isolate);
}

static bool is_waiting(void) {
        return atomic_load(&all.asked) != atomic_load(&all.answered);
}

static void on_signal(int number, siginfo_t *info, void *context) {
        int saved = errno;
        if (atomic_exchange(&all.passing, false))
                return;
        atomic_fetch_add(&all.asked, 1);
        (void)sem_post(&all.asked_sem);
        if (all.below.sa_flags & SA_SIGINFO)
                all.below.sa_sigaction(number, info, context);
        else if (all.below.sa_handler != SIG_DFL && all.below.sa_handler != SIG_IGN)
                all.below.sa_handler(number);
        errno = saved;
}

static void on_libuv(void *handle, int number) {
        (void)handle;
        (void)number;
}

/* As at a terminal: a call such as execSync waits for a child, and hears of nothing else. */
static void interrupt_group(void) {
        if (getpgrp() != getpid())
                return;
        atomic_store(&all.passing, true);
        (void)kill(0, SIGINT);
}

/* Waits as long, or until the interrupt was answered. */
static bool was_answered_within(int ms) {
        for (; ms > 0 && is_waiting(); ms -= 5)
                (void)nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
        return !is_waiting();
}

static void *watch(void *unused) {
        (void)unused;
        for (;;) {
                while (sem_wait(&all.asked_sem) < 0 && errno == EINTR)
                        ;
                while (is_waiting()) {
                        (void)napi_call_threadsafe_function(all.notify, NULL, 0);
                        if (was_answered_within(GRACE_MS))
                                break;
                        pthread_mutex_lock(&all.lock);
                        if (is_waiting() && all.quiet == 0)
                                end_javascript();
                        pthread_mutex_unlock(&all.lock);
                        if (!was_answered_within(GRACE_MS))
                                interrupt_group();
                }
        }
        return NULL;
}

static void on_notify(napi_env env, napi_value function, void *context, void *data) {
        (void)context;
        (void)data;
        napi_value self = NULL;
        if (env && answer() && napi_get_undefined(env, &self) == NAPI_OK)
                (void)napi_call_function(env, self, function, 0, NULL, NULL);
}

static bool start_thread(void) {
        pthread_t thread;
        sigset_t every, before;
        (void)sigfillset(&every);
        (void)pthread_sigmask(SIG_SETMASK, &every, &before);
        bool ret = pthread_create(&thread, NULL, watch, NULL) == 0;
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (ret)
                (void)pthread_detach(thread);
        return ret;
}

/* The counts: watch's other arguments are the array they are in, and where. */
static bool find_counts(napi_env env, const napi_value *args) {
        uint32_t *fields = NULL;
        size_t n = 0;
        if (napi_get_typedarray_info(env, args[1], NULL, &n, (void **)&fields, NULL, NULL) != NAPI_OK)
                return false;
        for (int i = 0; i < 2; i++) {
                int32_t at = -1;
                if (napi_get_value_int32(env, args[2 + i], &at) != NAPI_OK || at < 0 || (size_t)at >= n)
                        return false;
                all.counts[i] = fields + at;
        }
        return true;
}

/* watch(notify, fields, kCheck, kTotals): from now on interrupts are answered; notify is called in the event loop when one was. */
static napi_value start(napi_env env, napi_info info) {
        napi_value args[4] = { NULL }, name = NULL;
        size_t n = 4;
        void *loop = NULL;
        struct sigaction ours = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART };
        (void)sigfillset(&ours.sa_mask);
        all.isolate = current_isolate();
        bool ok = napi_get_cb_info(env, info, &n, args, NULL, NULL) == NAPI_OK && n == 4 && find_counts(env, args) &&
                sem_init(&all.asked_sem, 0, 0) == 0 &&
                napi_create_string_utf8(env, "interrupt", (size_t)-1, &name) == NAPI_OK &&
                napi_create_threadsafe_function(env, args[0], NULL, name, 0, 1, NULL, NULL, NULL, on_notify, &all.notify) == NAPI_OK &&
                napi_unref_threadsafe_function(env, all.notify) == NAPI_OK && napi_get_uv_event_loop(env, &loop) == NAPI_OK &&
                uv_signal_init(loop, all.signal_handle) == 0 && uv_signal_start(all.signal_handle, on_libuv, SIGINT) == 0;
        if (ok)
                uv_unref(all.signal_handle);
        return boolean(env, ok && start_thread() && sigaction(SIGINT, &ours, &all.below) == 0);
}

/* guard(call): calls it; true: an interrupt, or end(), ended it. */
static napi_value guard(napi_env env, napi_info info) {
        napi_value function = NULL, self = NULL, result = NULL, error = NULL;
        size_t n = 1;
        (void)napi_get_cb_info(env, info, &n, &function, NULL, NULL);
        (void)napi_get_undefined(env, &self);
        int r = napi_call_function(env, self, function, 0, NULL, &result);
        pthread_mutex_lock(&all.lock);
        bool ended = all.ending;
        pthread_mutex_unlock(&all.lock);
        if (ended)
                (void)answer();
        if (r != NAPI_OK)
                (void)napi_get_and_clear_last_exception(env, &error);
        if (error && !ended)
                (void)napi_throw(env, error);
        return boolean(env, ended);
}

/* quiet(call): calls it, and nothing ends it. false: it was not called, because what runs is being ended. */
static napi_value quiet(napi_env env, napi_info info) {
        napi_value function = NULL, self = NULL, result = NULL;
        size_t n = 1;
        (void)napi_get_cb_info(env, info, &n, &function, NULL, NULL);
        (void)napi_get_undefined(env, &self);
        pthread_mutex_lock(&all.lock);
        bool may = !all.ending;
        all.quiet += may;
        pthread_mutex_unlock(&all.lock);
        if (!may)
                return boolean(env, false);
        (void)napi_call_function(env, self, function, 0, NULL, &result); /* what it throws goes on */
        pthread_mutex_lock(&all.lock);
        all.quiet--;
        pthread_mutex_unlock(&all.lock);
        return boolean(env, true);
}

/* end(): ends all JavaScript that runs, up to a guard or the event loop. */
static napi_value end(napi_env env, napi_info info) {
        (void)info;
        pthread_mutex_lock(&all.lock);
        end_javascript();
        pthread_mutex_unlock(&all.lock);
        return boolean(env, true);
}

/* take(): whether an interrupt was waiting; it is not any more. */
static napi_value take(napi_env env, napi_info info) {
        (void)info;
        return boolean(env, answer());
}

static int number(napi_env env, napi_info info, size_t which) {
        napi_value args[2] = { NULL };
        size_t n = 2;
        int32_t ret = -1;
        if (napi_get_cb_info(env, info, &n, args, NULL, NULL) == NAPI_OK && which < n)
                (void)napi_get_value_int32(env, args[which], &ret);
        return ret;
}

/* move(fd): the same thing at a high number, which children do not get; fd is closed. -1: it cannot be. */
static napi_value move(napi_env env, napi_info info) {
        int fd = number(env, info, 0), to = fcntl(fd, F_DUPFD_CLOEXEC, 600);
        if (to < 0 && errno == EINVAL) /* more than this process may have */
                to = fcntl(fd, F_DUPFD_CLOEXEC, 100);
        if (to >= 0)
                (void)close(fd);
        napi_value ret = NULL;
        (void)napi_create_int32(env, to, &ret);
        return ret;
}

/* wait(fd): until it can be read; false: an interrupt came. */
static napi_value wait_for(napi_env env, napi_info info) {
        struct pollfd one = { .fd = number(env, info, 0), .events = POLLIN };
        while (!is_waiting()) {
                int r = poll(&one, 1, 20); /* the signal may have gone to another thread */
                if (r > 0 || (r < 0 && errno != EINTR))
                        return boolean(env, true);
        }
        return boolean(env, false);
}

/* Everything, whatever the descriptor's mode is (a child that inherits a pipe may have made it non-blocking). */
static bool write_all(int fd, const char *data, size_t size, bool may_stop) {
        while (size > 0) {
                ssize_t n = write(fd, data, size);
                if (n > 0) {
                        data += n;
                        size -= (size_t)n;
                } else if (n < 0 && errno == EAGAIN) {
                        (void)poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, 20);
                } else if (n < 0 && errno != EINTR) {
                        return false;
                }
                if (may_stop && is_waiting())
                        return false;
        }
        return true;
}

/* write(fd, buffer): what a program prints; false: not all of it. */
static napi_value write_out(napi_env env, napi_info info) {
        napi_value args[2] = { NULL };
        size_t n = 2, size = 0;
        int32_t fd = -1;
        void *data = NULL;
        bool ok = napi_get_cb_info(env, info, &n, args, NULL, NULL) == NAPI_OK && n == 2 && napi_get_value_int32(env, args[0], &fd) == NAPI_OK &&
                napi_get_buffer_info(env, args[1], &data, &size) == NAPI_OK;
        return boolean(env, ok && write_all(fd, data, size, true));
}

/* Whether descriptor 1 is what it was: a mark is for nothing else. */
static bool is_out_ours(void) {
        struct stat now;
        return fstat(1, &now) == 0 && now.st_ino == all.out.st_ino && now.st_dev == all.out.st_dev && S_ISFIFO(now.st_mode);
}

/* send(fd, frame, mark): the frame, and before it the mark (if any) into the output. */
static napi_value send_frame(napi_env env, napi_info info) {
        napi_value args[3] = { NULL };
        size_t n = 3, size = 0, mark_size = 0;
        int32_t fd = -1;
        void *data = NULL, *mark = NULL;
        if (napi_get_cb_info(env, info, &n, args, NULL, NULL) != NAPI_OK || napi_get_value_int32(env, args[0], &fd) != NAPI_OK ||
            napi_get_buffer_info(env, args[1], &data, &size) != NAPI_OK)
                return boolean(env, false);
        if (n > 2 && napi_get_buffer_info(env, args[2], &mark, &mark_size) == NAPI_OK && is_out_ours())
                (void)write_all(1, mark, mark_size, false);
        return boolean(env, write_all(fd, data, size, false));
}

static void on_readable(void *handle, int status, int events) {
        (void)handle;
        (void)status;
        (void)events;
        napi_env env = all.env;
        void *scope = NULL;
        napi_value function = NULL, global = NULL, error = NULL;
        (void)napi_open_handle_scope(env, &scope);
        if (napi_get_reference_value(env, all.on_readable, &function) == NAPI_OK && napi_get_global(env, &global) == NAPI_OK &&
            napi_make_callback(env, NULL, global, function, 0, NULL, NULL) != NAPI_OK &&
            napi_get_and_clear_last_exception(env, &error) == NAPI_OK && error)
                (void)napi_fatal_exception(env, error);
        (void)napi_close_handle_scope(env, scope);
}

/* listen(fd, call): calls in the event loop whenever it can be read. */
static napi_value listen_to(napi_env env, napi_info info) {
        napi_value args[2] = { NULL };
        size_t n = 2;
        int32_t fd = -1;
        void *loop = NULL;
        all.env = env;
        bool ok = napi_get_cb_info(env, info, &n, args, NULL, NULL) == NAPI_OK && n == 2 && napi_get_value_int32(env, args[0], &fd) == NAPI_OK &&
                napi_create_reference(env, args[1], 1, &all.on_readable) == NAPI_OK && napi_get_uv_event_loop(env, &loop) == NAPI_OK &&
                uv_poll_init(loop, all.poll_handle, fd) == 0 && uv_poll_start(all.poll_handle, UV_CAN_READ, on_readable) == 0;
        return boolean(env, ok);
}

EXPORT napi_value napi_register_module_v1(napi_env env, napi_value exports);

EXPORT napi_value napi_register_module_v1(napi_env env, napi_value exports) {
        static const struct {
                const char *name;
                napi_value (*call)(napi_env, napi_info);
        } functions[] = { { "watch", start }, { "guard", guard }, { "end", end }, { "take", take }, { "quiet", quiet },
                        { "move", move }, { "wait", wait_for }, { "write", write_out }, { "send", send_frame }, { "listen", listen_to } };
        (void)fstat(1, &all.out);
        for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
                napi_value function = NULL;
                if (napi_create_function(env, functions[i].name, (size_t)-1, functions[i].call, NULL, &function) == NAPI_OK)
                        (void)napi_set_named_property(env, exports, functions[i].name, function);
        }
        return exports;
}
