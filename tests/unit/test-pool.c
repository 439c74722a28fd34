/* SPDX-License-Identifier: Apache-2.0
 *
 * Freezing and forking with all threads, in processes of their own (a frozen test program would be a strange place for
 * the next test). A failed check ends such a process with words and status 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fd.h"
#include "base/util.h"
#include "box/seccomp.h"
#include "pool/files.h"
#include "pool/freeze.h"
#include "pool/maps.h"
#include "pool/threads.h"

#define CHECK(what) check((what), #what, __LINE__)

static char why[RT_POOL_WHY];

static void check(bool holds, const char *what, int line) {
        if (holds)
                return;
        (void)fprintf(stderr, "test-pool.c:%d: not so: %s (%s; %s)\n", line, what, why, strerror(errno));
        _exit(1);
}

/* Runs the scene in a process of its own; 77 says that this host cannot. */
static void in_process(void (*scene)(void)) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                (void)alarm(120);
                for (int fd = 0; fd < 3;) /* 3 comes with each run, as 0 to 2 do */
                        fd = open("/dev/null", O_RDWR);
                scene();
                _exit(0);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
                skip();
        assert_int_equal(status, 0);
}

static int image(void) {
        int fd = memfd_create("image", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        CHECK(fd >= 0);
        return fd;
}

static struct rt_pool_frozen freeze(enum rt_pool_freeze_mode mode) {
        struct rt_pool_frozen done;
        CHECK(rt_pool_freeze(image(), mode, &done, why) == 0);
        return done;
}

static void child_is_well(pid_t pid) {
        int status = -1;
        CHECK(waitpid(pid, &status, 0) == pid);
        if (status != 0)
                (void)fprintf(stderr, "a child ended with %#x\n", (unsigned)status);
        CHECK(status == 0);
}

/* ---- memory ---- */

enum { MIB = 1 << 20, LARGE = 64 * MIB };
static char data[3 * 4096] = "initialised";

static void *map(size_t size, int prot, int flags) {
        void *at = mmap(NULL, size, prot, flags | MAP_ANONYMOUS, -1, 0);
        CHECK(at != MAP_FAILED);
        return at;
}

static void fill(char *at, size_t size, unsigned seed) {
        for (size_t i = 0; i < size; i += 64)
                memcpy(at + i, &(uint64_t){ i * 2654435761u + seed }, 8);
}

static bool is_filled(const char *at, size_t size, unsigned seed) {
        for (size_t i = 0; i < size; i += 64)
                if (memcmp(at + i, &(uint64_t){ i * 2654435761u + seed }, 8) != 0)
                        return false;
        return true;
}

/* Microseconds of a fork and its child's end: the median of 51. */
static double fork_cost(void) {
        uint64_t times[51];
        for (size_t i = 0; i < RT_LEN(times); i++) {
                uint64_t start = rt_now_ns();
                pid_t pid = rt_pool_threads_fork(0);
                if (pid == 0)
                        _exit(0);
                child_is_well(pid);
                uint64_t took = rt_now_ns() - start;
                size_t at = i;
                for (; at > 0 && times[at - 1] > took; at--)
                        times[at] = times[at - 1];
                times[at] = took;
        }
        return (double)times[RT_LEN(times) / 2] / 1000;
}

static uint64_t bytes_of_its_own(void) {
        struct rt_pool_maps maps;
        CHECK(rt_pool_maps_read(&maps, false) == 0);
        uint64_t own = 0;
        for (size_t i = 0; i < maps.count; i++)
                own += maps.table[i].bits & RT_MAP_SHARED ? 0 : maps.table[i].own;
        rt_pool_maps_free(&maps);
        return own;
}

static void memory_scene(enum rt_pool_freeze_mode mode) {
        char *large = map(LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
        char *reserved = map((size_t)8 << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE);
        char *guarded = map(3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE);
        char *shared = map(4096, PROT_READ | PROT_WRITE, MAP_SHARED);
        char *hidden = map(4096, PROT_READ | PROT_WRITE, MAP_PRIVATE);
        char *heap = malloc(1000);
        fill(large, LARGE, 1);
        reserved[(size_t)5 << 30] = 5; /* one page of eight gigabytes */
        (void)strcpy(guarded, "kept");
        (void)strcpy(hidden, "hidden");
        (void)strcpy(heap, "heap");
        (void)strcpy(data, "changed");
        CHECK(mprotect(guarded, 4096, PROT_NONE) == 0 && madvise(hidden, 4096, MADV_DONTFORK) == 0);
        int fds = rt_count_fds();
        double before = fork_cost();
        struct rt_pool_frozen done = freeze(mode);
        double after = fork_cost();
        print_message("# %s: %zu pieces, %.1f MiB mapped, %.1f MiB of data; fork and end %.0f us, now %.0f us\n",
                      mode == RT_POOL_FREEZE_FLAT ? "flat" : "data", done.pieces, (double)done.mapped_bytes / MIB,
                      (double)done.data_bytes / MIB, before, after);
        CHECK(done.data_bytes >= LARGE && done.mapped_bytes < 2 * LARGE); /* holes are no data */
        CHECK(bytes_of_its_own() < 2 * MIB);
        CHECK(rt_count_fds() == fds); /* image() made one more, and it is gone */

        pid_t pids[3];
        for (unsigned i = 0; i < 3; i++) {
                pids[i] = rt_pool_threads_fork(0);
                if (pids[i] != 0)
                        continue;
                CHECK(is_filled(large, LARGE, 1) && reserved[(size_t)5 << 30] == 5 && reserved[(size_t)6 << 30] == 0);
                CHECK(strcmp(hidden, "hidden") == 0 && strcmp(heap, "heap") == 0 && strcmp(data, "changed") == 0);
                fill(large, LARGE, 7 + i);
                (void)snprintf(data, sizeof data, "child %u", i);
                free(heap);
                CHECK(malloc(5 * MIB) != NULL);
                (void)__atomic_add_fetch(shared, 1, __ATOMIC_SEQ_CST);
                (void)usleep(50000); /* so that all of them have written */
                CHECK(is_filled(large, LARGE, 7 + i));
                CHECK(mprotect(guarded, 4096, PROT_READ) == 0 && strcmp(guarded, "kept") == 0);
                _exit(0);
        }
        for (unsigned i = 0; i < 3; i++)
                child_is_well(pids[i]);
        CHECK(is_filled(large, LARGE, 1) && strcmp(data, "changed") == 0 && *shared == 3);
}

static void flat_scene(void) {
        memory_scene(RT_POOL_FREEZE_FLAT);
}

static void data_scene(void) {
        memory_scene(RT_POOL_FREEZE_DATA);
        struct rt_pool_maps maps;
        CHECK(rt_pool_maps_read(&maps, true) == 0);
        for (size_t i = 0; i < maps.count; i++) /* protections stay */
                CHECK((maps.table[i].prot & (PROT_WRITE | PROT_EXEC)) != (PROT_WRITE | PROT_EXEC));
        rt_pool_maps_free(&maps);
}

static void test_flat(void **state) {
        (void)state;
        in_process(flat_scene);
}

static void test_data(void **state) {
        (void)state;
        in_process(data_scene);
}

static void many_mappings_scene(void) {
        enum { MANY = 20000 };
        char *at = map((size_t)MANY * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE);
        for (int i = 0; i < MANY; i++) {
                (void)snprintf(at + i * 4096, 4096, "page %d", i);
                if (i % 2)
                        CHECK(mprotect(at + i * 4096, 4096, PROT_READ) == 0);
        }
        CHECK(freeze(RT_POOL_FREEZE_DATA).pieces >= MANY);
        for (int i = 0; i < MANY; i++) {
                char text[32];
                (void)snprintf(text, sizeof text, "page %d", i);
                CHECK(strcmp(at + i * 4096, text) == 0);
        }
}

static void test_many_mappings(void **state) {
        (void)state;
        in_process(many_mappings_scene);
}

/* From a thread the stack is ordinary memory, and whatever lies beside it is frozen all the same. */
static void *freeze_here(void *large) {
        (void)freeze(RT_POOL_FREEZE_FLAT);
        CHECK(is_filled(large, LARGE, 3) && bytes_of_its_own() < 2 * MIB);
        return large;
}

static void thread_stack_scene(void) {
        char *large = map(LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
        fill(large, LARGE, 3);
        pthread_attr_t attr;
        pthread_t thread;
        void *end = NULL;
        CHECK(pthread_attr_init(&attr) == 0 && pthread_attr_setstack(&attr, large + LARGE / 2, 8 * MIB) == 0);
        fill(large, LARGE, 3);
        memset(large + LARGE / 2, 0, 8 * MIB);
        char *other = map(LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
        fill(other, LARGE, 3);
        CHECK(pthread_create(&thread, &attr, freeze_here, other) == 0 && pthread_join(thread, &end) == 0 && end == other);
        CHECK(is_filled(large, LARGE / 2, 3));
}

static void test_thread_stack(void **state) {
        (void)state;
        in_process(thread_stack_scene);
}

static void no_room_scene(void) {
        char *large = map(LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
        fill(large, LARGE, 4);
        int fds = rt_count_fds();
        struct rt_pool_frozen done = { .pieces = 12345 };
        CHECK(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 10 * MIB, RLIM_INFINITY }) == 0);
        CHECK(rt_pool_freeze(image(), RT_POOL_FREEZE_FLAT, &done, why) == -1);
        CHECK(strstr(why, "limit of a file's size") && done.pieces == 12345);
        CHECK(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY }) == 0);
        uint64_t own = bytes_of_its_own();
        CHECK(own > LARGE && is_filled(large, LARGE, 4) && rt_count_fds() == fds);

        if (unshare(CLONE_NEWNS | (geteuid() == 0 ? 0 : CLONE_NEWUSER)) < 0 ||
            mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount("t", "/tmp", "tmpfs", 0, "size=9m") < 0)
                _exit(77);
        int fd = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
        CHECK(fd >= 0 && rt_pool_freeze(fd, RT_POOL_FREEZE_FLAT, &done, why) == -1 && strstr(why, "No space left"));
        CHECK(bytes_of_its_own() >= own - MIB && is_filled(large, LARGE, 4) && rt_count_fds() == fds);
        CHECK(mount("t", "/tmp", "tmpfs", MS_NOEXEC, NULL) == 0);
        fd = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
        CHECK(fd >= 0 && rt_pool_freeze(fd, RT_POOL_FREEZE_FLAT, &done, why) == -1 && strstr(why, "cannot be mapped"));
        CHECK(is_filled(large, LARGE, 4));
        fd = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
        CHECK(fd >= 0 && rt_pool_freeze(fd, RT_POOL_FREEZE_DATA, &done, why) == 0); /* nothing executable in it */
        CHECK(is_filled(large, LARGE, 4));
}

static void test_no_room(void **state) {
        (void)state;
        in_process(no_room_scene);
}

static void huge_scene(void) {
        if (unshare(CLONE_NEWNS | (geteuid() == 0 ? 0 : CLONE_NEWUSER)) < 0 ||
            mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("t", "/tmp", "tmpfs", 0, "huge=always,size=512m") < 0)
                _exit(77);
        char *large = map(LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
        fill(large, LARGE, 5);
        double before = fork_cost();
        int fd = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
        struct rt_pool_frozen done;
        CHECK(fd >= 0 && rt_pool_freeze(fd, RT_POOL_FREEZE_FLAT, &done, why) == 0);
        CHECK(is_filled(large, LARGE, 5) && bytes_of_its_own() < 2 * MIB);
        print_message("# huge pages: fork and end %.0f us, now %.0f us\n", before, fork_cost());
}

static void test_huge(void **state) {
        (void)state;
        in_process(huge_scene);
}

/* MADV_DONTNEED of anonymous memory promises zeros, of a file's memory the file. */
static void advise_scene(void) {
        char *large = map(LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
        fill(large, LARGE, 6);
        int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        CHECK(rt_pool_advise(large, 4096, MADV_DONTFORK, true) == 0);
        (void)freeze(RT_POOL_FREEZE_DATA);
        CHECK(rt_pool_advise(large + MIB, MIB, MADV_DONTNEED, true) == 0);
        CHECK(large[MIB] == 0 && large[2 * MIB - 64] == 0 && is_filled(large, MIB, 6));
        large[MIB] = 1;
        CHECK(rt_pool_advise(large + MIB, 4096, MADV_DONTNEED, true) == 0 && large[MIB] == 0);
        char *file = mmap(large + 4 * MIB, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0);
        CHECK(file != MAP_FAILED && memcmp(file, "\177ELF", 4) == 0);
        file[0] = 'x';
        CHECK(rt_pool_advise(file, 4096, MADV_DONTNEED, true) == 0 && memcmp(file, "\177ELF", 4) == 0);
        CHECK(munmap(file, 4096) == 0 && rt_pool_advise(file, 4096, MADV_DONTNEED, true) == -1 && errno == ENOMEM);
        CHECK(rt_pool_advise(large + 1, 4096, MADV_DONTNEED, true) == -1 && errno == EINVAL);
}

static void test_advise(void **state) {
        (void)state;
        in_process(advise_scene);
}

/* ---- threads ---- */

enum { THREADS = 8, ROUNDS = 3 };

struct worker {
        unsigned number;
        int kind;
        int pipe[2], epoll, event;
        pthread_t thread;
        atomic_uint pokes, answers;
        char stack[65536];
};

static struct worker workers[THREADS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t owned; /* recursive: knows its owner's thread id */
static pthread_cond_t poked = PTHREAD_COND_INITIALIZER;
static _Thread_local unsigned storage;
static _Thread_local volatile double floating;

static void wait_for_poke(struct worker *w) {
        char byte;
        struct epoll_event event;
        uint64_t count;
        switch (w->kind) {
        case 0: /* futex */
                CHECK(pthread_mutex_lock(&lock) == 0);
                while (atomic_load(&w->pokes) == atomic_load(&w->answers))
                        CHECK(pthread_cond_wait(&poked, &lock) == 0);
                CHECK(pthread_mutex_unlock(&lock) == 0);
                break;
        case 1:
                CHECK(read(w->pipe[0], &byte, 1) == 1 && byte == (char)w->number);
                break;
        case 2:
                while (epoll_wait(w->epoll, &event, 1, -1) < 0)
                        CHECK(errno == EINTR);
                CHECK(event.data.u64 == w->number + 100u && read(w->event, &count, 8) == 8 && count == 1);
                break;
        default: /* computes, sleeps, and looks */
                while (atomic_load(&w->pokes) == atomic_load(&w->answers))
                        if (w->number % 2)
                                (void)nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
                        else
                                for (int i = 0; i < 1000; i++)
                                        floating = floating * 1.0000001 / 1.0000001;
        }
}

/* All that a thread could have lost. */
static void check_worker(const struct worker *w) {
        stack_t alternate;
        sigset_t mask;
        char name[16], expected[16];
        (void)snprintf(expected, sizeof expected, "worker %u", w->number);
        CHECK(storage == w->number + 1000 && floating > 0.99 && floating < 1.01);
        CHECK(pthread_equal(pthread_self(), w->thread));
        CHECK(sigaltstack(NULL, &alternate) == 0 && alternate.ss_sp == w->stack && alternate.ss_size == sizeof w->stack);
        CHECK(pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0);
        CHECK(sigismember(&mask, SIGUSR1) == 1 && sigismember(&mask, SIGUSR2) == (int)(w->number % 2));
        CHECK(prctl(PR_GET_NAME, name) == 0 && strcmp(name, expected) == 0);
        CHECK(sched_getcpu() >= 0);
        void *head = NULL;
        size_t size = 0;
        CHECK(syscall(SYS_get_robust_list, 0, &head, &size) == 0 && head && size == 24);
        CHECK(pthread_mutex_lock(&owned) == 0 && pthread_mutex_lock(&owned) == 0);
        CHECK(pthread_mutex_unlock(&owned) == 0 && pthread_mutex_unlock(&owned) == 0);
        char *some = malloc(1000 + w->number);
        CHECK(some != NULL);
        free(some);
}

static void *work(void *of) {
        struct worker *w = of;
        char name[16];
        storage = w->number + 1000;
        floating = 1;
        (void)snprintf(name, sizeof name, "worker %u", w->number);
        CHECK(prctl(PR_SET_NAME, name) == 0);
        CHECK(sigaltstack(&(stack_t){ .ss_sp = w->stack, .ss_size = sizeof w->stack }, NULL) == 0);
        sigset_t mask;
        (void)sigfillset(&mask); /* nothing that pthread_sigmask can block keeps a thread from being held */
        if (w->number % 2 == 0)
                (void)sigdelset(&mask, SIGUSR2);
        CHECK(pthread_sigmask(SIG_SETMASK, &mask, NULL) == 0);
        for (;;) {
                wait_for_poke(w);
                check_worker(w);
                atomic_fetch_add(&w->answers, 1);
        }
        return NULL;
}

static void start_workers(void) {
        pthread_mutexattr_t attr;
        CHECK(pthread_mutexattr_init(&attr) == 0 && pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE) == 0);
        CHECK(pthread_mutex_init(&owned, &attr) == 0);
        for (unsigned i = 0; i < THREADS; i++) {
                struct worker *w = &workers[i];
                *w = (struct worker){ .number = i, .kind = (int)i / 2, .pipe = { -1, -1 }, .epoll = -1, .event = -1 };
                if (w->kind == 1)
                        CHECK(pipe2(w->pipe, O_CLOEXEC) == 0);
                if (w->kind == 2) {
                        w->epoll = epoll_create1(EPOLL_CLOEXEC);
                        w->event = eventfd(0, EFD_CLOEXEC);
                        struct epoll_event event = { .events = EPOLLIN, .data.u64 = i + 100u };
                        CHECK(epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->event, &event) == 0);
                }
                CHECK(pthread_create(&w->thread, NULL, work, w) == 0);
        }
}

static void poke_all(void) {
        for (unsigned i = 0; i < THREADS; i++) {
                struct worker *w = &workers[i];
                CHECK(pthread_mutex_lock(&lock) == 0);
                atomic_fetch_add(&w->pokes, 1);
                CHECK(pthread_cond_broadcast(&poked) == 0 && pthread_mutex_unlock(&lock) == 0);
                if (w->kind == 1)
                        CHECK(write(w->pipe[1], &(char){ (char)i }, 1) == 1);
                if (w->kind == 2)
                        CHECK(write(w->event, &(uint64_t){ 1 }, 8) == 8);
        }
        for (unsigned i = 0; i < THREADS; i++)
                for (int ms = 0; atomic_load(&workers[i].answers) < atomic_load(&workers[i].pokes); ms++) {
                        if (ms > 20000)
                                (void)fprintf(stderr, "worker %u does not answer\n", i);
                        CHECK(ms <= 20000);
                        (void)usleep(1000);
                }
}

static void hold(void) {
        CHECK(rt_pool_threads_hold(5000, why) == 0);
        CHECK(rt_pool_threads_count() == THREADS);
        CHECK(rt_pool_files_note(why) == 0);
}

/* A child: all threads go on, and so does what only libc knows of them. */
static void live(void) {
        CHECK(rt_pool_files_renew(why) == 0 && rt_pool_threads_resume(why) == 0);
        for (int round = 0; round < ROUNDS; round++)
                poke_all();
        pthread_t more;
        CHECK(pthread_create(&more, NULL, (void *(*)(void *))(void (*)(void))getppid, NULL) == 0);
        CHECK(pthread_join(more, NULL) == 0);
        exit(0);
}

static void threads_scene(void) {
        enum { FORKS = 200, AT_ONCE = 4 };
        char *large = map(LARGE / 4, PROT_READ | PROT_WRITE, MAP_PRIVATE);
        fill(large, LARGE / 4, 9);
        start_workers();
        poke_all();
        hold();
        (void)freeze(RT_POOL_FREEZE_FLAT);
        CHECK(rt_pool_threads_prove(5000, rt_pool_files_renew, why) == 0);
        for (int i = 0; i < FORKS / AT_ONCE; i++) {
                pid_t pids[AT_ONCE];
                for (int k = 0; k < AT_ONCE; k++) {
                        pids[k] = rt_pool_threads_fork(0);
                        CHECK(pids[k] >= 0);
                        if (pids[k] == 0) {
                                CHECK(is_filled(large, LARGE / 4, 9));
                                fill(large, LARGE / 4, 10 + (unsigned)k);
                                live();
                        }
                }
                for (int k = 0; k < AT_ONCE; k++)
                        child_is_well(pids[k]);
        }
        CHECK(is_filled(large, LARGE / 4, 9));
        rt_pool_threads_release(); /* and here it is as if nothing had been */
        poke_all();
}

static void test_threads(void **state) {
        (void)state;
        in_process(threads_scene);
}

/* Not frozen, with anonymous memory as always: the threads come back just so. */
static void unfrozen_scene(void) {
        start_workers();
        for (int i = 0; i < 20; i++) {
                hold();
                pid_t pid = rt_pool_threads_fork(0);
                if (pid == 0)
                        live();
                child_is_well(pid);
                rt_pool_threads_release();
                poke_all();
        }
}

static void test_unfrozen(void **state) {
        (void)state;
        in_process(unfrozen_scene);
}

/* What a guest may ask of the kernel is enough. */
static void policy_scene(void) {
        start_workers();
        hold();
        (void)freeze(RT_POOL_FREEZE_FLAT);
        for (int i = 0; i < 10; i++) {
                pid_t pid = rt_pool_threads_fork(0);
                if (pid == 0) {
                        CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && rt_seccomp_enter(false, NULL) == 0);
                        live();
                }
                child_is_well(pid);
        }
}

static void test_policy(void **state) {
        (void)state;
        in_process(policy_scene);
}

static void *block_everything(void *unused) {
        uint64_t all = ~(uint64_t)0;
        (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof all);
        (void)pause();
        return unused;
}

/* A thread that cannot be stopped: that is said, in time, and all others go on. */
static void refusal_scene(void) {
        pthread_t thread;
        start_workers();
        CHECK(pthread_create(&thread, NULL, block_everything, NULL) == 0);
        uint64_t start = rt_now_ns();
        (void)usleep(50000);
        CHECK(rt_pool_threads_hold(300, why) == -1 && strstr(why, "1 threads could not be stopped"));
        CHECK(rt_now_ns() - start < 5000000000u);
        poke_all();
}

static void test_refusal(void **state) {
        (void)state;
        in_process(refusal_scene);
}

/* The proof finds a child in which threads cannot be made: here, for want of processes. */
static int forbid_threads(char why_not[RT_POOL_WHY]) {
        (void)why_not;
        return setrlimit(RLIMIT_NPROC, &(struct rlimit){ 1, 1 }) == 0 && setuid(65533) == 0 ? 0 : -1;
}

static int end_badly(char why_not[RT_POOL_WHY]) {
        (void)why_not;
        raise(SIGKILL);
        return 0;
}

static void bad_proof_scene(void) {
        start_workers();
        hold();
        CHECK(rt_pool_threads_prove(5000, end_badly, why) == -1 && strstr(why, "status 0x9"));
        if (geteuid() == 0) {
                CHECK(rt_pool_threads_prove(5000, forbid_threads, why) == -1);
                CHECK(strstr(why, "could not be made again"));
        }
        CHECK(rt_pool_threads_prove(5000, NULL, why) == 0);
        rt_pool_threads_release();
        poke_all();
}

static void test_bad_proof(void **state) {
        (void)state;
        in_process(bad_proof_scene);
}

/* ---- descriptors ---- */

static void files_scene(void) {
        int ends[2], open_end[2], timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), copy;
        CHECK(pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0 && write(ends[1], "bytes", 5) == 5);
        CHECK(pipe(open_end) == 0 && close(open_end[0]) == 0 && timer >= 0);
        struct itimerspec in = { .it_value.tv_sec = 1000, .it_interval.tv_sec = 7 };
        CHECK(timerfd_settime(timer, 0, &in, NULL) == 0);
        int event = eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK), epoll = epoll_create1(0), outer = epoll_create1(0);
        CHECK((copy = dup(event)) >= 0);
        struct epoll_event watch = { .events = EPOLLIN | EPOLLET, .data.u64 = 0x123456789abcdef0 };
        CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &watch) == 0 && epoll_ctl(outer, EPOLL_CTL_ADD, epoll, &watch) == 0);
        CHECK(rt_pool_files_note(why) == 0);
        pid_t pid = rt_pool_threads_fork(0);
        if (pid == 0) {
                char text[8] = "";
                struct stat old_end, new_end;
                CHECK(fstat(open_end[1], &old_end) == 0 && rt_pool_files_renew(why) == 0);
                CHECK(fstat(open_end[1], &new_end) == 0 && old_end.st_ino == new_end.st_ino);
                struct epoll_event found;
                CHECK(epoll_wait(outer, &found, 1, 0) == 1 && found.data.u64 == watch.data.u64);
                CHECK(epoll_wait(epoll, &found, 1, 0) == 1 && found.data.u64 == watch.data.u64);
                CHECK(read(ends[0], text, 8) == 5 && strcmp(text, "bytes") == 0);
                CHECK(read(ends[0], text, 8) == -1 && errno == EAGAIN);
                CHECK(fcntl(ends[0], F_GETFD) == FD_CLOEXEC && fcntl(epoll, F_GETFD) == 0);
                uint64_t count;
                for (int i = 0; i < 3; i++)
                        CHECK(read(i % 2 ? copy : event, &count, 8) == 8 && count == 1);
                CHECK(read(event, &count, 8) == -1 && errno == EAGAIN);
                struct itimerspec left;
                CHECK(timerfd_gettime(timer, &left) == 0 && left.it_value.tv_sec > 900 && left.it_interval.tv_sec == 7);
                CHECK(timerfd_settime(timer, 0, &(struct itimerspec){ 0 }, NULL) == 0);
                _exit(0);
        }
        child_is_well(pid);
        char text[8] = ""; /* nothing of it reached the parent */
        uint64_t count;
        struct itimerspec left;
        CHECK(read(ends[0], text, 8) == 5 && read(event, &count, 8) == 8);
        CHECK(timerfd_gettime(timer, &left) == 0 && left.it_value.tv_sec > 900);
}

static void test_files(void **state) {
        (void)state;
        in_process(files_scene);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_flat),          cmocka_unit_test(test_data),
                cmocka_unit_test(test_many_mappings), cmocka_unit_test(test_thread_stack),
                cmocka_unit_test(test_no_room),       cmocka_unit_test(test_huge),
                cmocka_unit_test(test_advise),        cmocka_unit_test(test_threads),
                cmocka_unit_test(test_unfrozen),      cmocka_unit_test(test_refusal),
                cmocka_unit_test(test_bad_proof),     cmocka_unit_test(test_files),
                cmocka_unit_test(test_policy),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
