/* SPDX-License-Identifier: Apache-2.0
 *
 * How it works. The signal is the one by which glibc makes all threads change their ids: neither pthread_sigmask nor
 * sigfillset ever blocks it, so nothing need be known of what a program blocks; its handler is put back before anything
 * else happens. The handler notes where the kernel has put the thread's state (a ucontext on the thread's stack) and
 * waits. In a child, clone(2) makes a thread whose stack begins below that state, and which ends in rt_sigreturn: the
 * kernel then restores registers, mask and alternate stack exactly as if the handler had returned.
 */
#include "pool/threads.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "pool/raw.h"
#include "pool/rseq.h"

enum {
        HOLD_SIGNAL = 33, /* glibc's SIGSETXID */
        MOST_THREADS = 1024,
        TCB_SEARCH = 2304, /* bytes of glibc's struct pthread in which its thread id is looked for */
        THREAD_FLAGS = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |
                       CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID,
        SHADOW_STACK_STATUS = 0x5005, /* arch_prctl(2), since Linux 6.6 */
};

struct thread {
        atomic_int tid; /* 0 until all else is written */
        ucontext_t *context;
        char *storage; /* the thread pointer */
        void *robust;
        size_t robust_size;
        bool rseq;
        char name[16];
};

/* The kernel's struct sigaction. */
struct handler {
        union {
                void (*call)(int, siginfo_t *, void *);
                void (*special)(int); /* SIG_IGN */
        };
        unsigned long flags;
        void (*restorer)(void);
        uint64_t mask;
};

static struct thread threads[MOST_THREADS];
static atomic_uint taken;    /* places given away in threads[]; may be more than there are */
static atomic_uint parked;   /* threads that are held */
static atomic_uint resumed;  /* in a child: threads that are about to return from the signal */
static atomic_uint released; /* counts; threads go on that were held before */
static long tid_at = -1;     /* where glibc keeps a thread's id, from its thread pointer; -1: not known */

void rt_pool_return_from_signal(void);
long rt_pool_clone_thread(struct thread *thread, unsigned long flags, void *stack, int *tid, char *storage);
void rt_pool_thread_again(struct thread *thread) __attribute__((noreturn));

__asm__(".text\n"
        ".globl rt_pool_return_from_signal\n.hidden rt_pool_return_from_signal\n"
        ".type rt_pool_return_from_signal, @function\n"
        "rt_pool_return_from_signal:\n"
        "        mov $15, %eax\n" /* rt_sigreturn */
        "        syscall\n"
        /* (thread rdi, flags rsi, stack rdx, tid rcx, storage r8): clone(flags, stack, tid, tid, storage) */
        ".globl rt_pool_clone_thread\n.hidden rt_pool_clone_thread\n"
        ".type rt_pool_clone_thread, @function\n"
        "rt_pool_clone_thread:\n"
        "        push %rbx\n"
        "        mov %rdi, %rbx\n"
        "        mov %rsi, %rdi\n"
        "        mov %rdx, %rsi\n"
        "        mov %rcx, %rdx\n"
        "        mov %rcx, %r10\n"
        "        mov $56, %eax\n" /* clone */
        "        syscall\n"
        "        test %rax, %rax\n"
        "        jz 1f\n"
        "        pop %rbx\n"
        "        ret\n"
        "1:      xor %ebp, %ebp\n"
        "        mov %rbx, %rdi\n"
        "        call rt_pool_thread_again\n"
        "        ud2\n");

static void futex_wait(atomic_uint *word, unsigned value, long timeout_ms) {
        struct timespec timeout = { .tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000 };
        (void)rt_raw(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, timeout_ms < 0 ? NULL : &timeout);
}

static void futex_wake(atomic_uint *word) {
        (void)rt_raw(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX);
}

static long now_ms(void) {
        struct timespec now = { 0 };
        (void)rt_raw(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
        return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- holding ---- */

static void hold_here(int number, siginfo_t *info, void *context) {
        (void)number;
        (void)info;
        unsigned before = atomic_load(&released);
        unsigned place = atomic_fetch_add(&taken, 1);
        if (place < MOST_THREADS) {
                struct thread *thread = &threads[place];
                thread->context = context;
                thread->storage = rt_pool_thread_pointer();
                thread->rseq = rt_pool_rseq_is_used();
                (void)rt_raw(SYS_get_robust_list, 0, &thread->robust, &thread->robust_size);
                (void)rt_raw(SYS_prctl, PR_GET_NAME, thread->name);
                atomic_store(&thread->tid, (int)rt_raw(SYS_gettid));
                atomic_fetch_add(&parked, 1);
                futex_wake(&parked);
        }
        while (atomic_load(&released) == before)
                futex_wait(&released, before, -1);
}

static bool is_held(int tid) {
        unsigned n = atomic_load(&taken);
        for (unsigned i = 0; i < n && i < MOST_THREADS; i++)
                if (atomic_load(&threads[i].tid) == tid)
                        return true;
        return false;
}

struct entry {
        uint64_t inode, next;
        unsigned short size;
        unsigned char type;
        char name[];
};

/* Signals every thread that is not held yet; their number, or a negative errno. */
static long signal_others(int tasks, int pid, int own) {
        _Alignas(struct entry) char text[4096];
        long others = 0, n;
        (void)rt_raw(SYS_lseek, tasks, 0, SEEK_SET);
        while ((n = rt_raw(SYS_getdents64, tasks, text, sizeof text)) > 0)
                for (long at = 0; at < n;) {
                        const struct entry *entry = (const struct entry *)(const void *)(text + at);
                        int tid = 0;
                        for (const char *digit = entry->name; *digit >= '0' && *digit <= '9'; digit++)
                                tid = tid * 10 + (*digit - '0');
                        at += entry->size;
                        if (tid == 0 || tid == own || is_held(tid))
                                continue;
                        (void)rt_raw(SYS_tgkill, pid, tid, HOLD_SIGNAL); /* one that is ending takes no more signals */
                        others++;
                }
        return n < 0 ? n : others;
}

/* Until two looks in a row find nobody who is not held. */
static int hold_all(long deadline, char why[RT_POOL_WHY]) {
        int tasks = (int)rt_raw(SYS_openat, AT_FDCWD, "/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int pid = (int)rt_raw(SYS_getpid), own = (int)rt_raw(SYS_gettid), quiet = 0;
        long others = tasks;
        while (tasks >= 0 && quiet < 2) {
                unsigned before = atomic_load(&parked);
                others = signal_others(tasks, pid, own);
                quiet = others == 0 ? quiet + 1 : 0;
                if (others < 0 || atomic_load(&taken) > MOST_THREADS || now_ms() > deadline)
                        break;
                if (others > 0)
                        futex_wait(&parked, before, 1);
        }
        if (tasks >= 0)
                (void)rt_raw(SYS_close, tasks);
        if (quiet == 2)
                return 0;
        if (others < 0)
                (void)snprintf(why, RT_POOL_WHY, "cannot list the threads: %s", strerrordesc_np((int)-others));
        else if (atomic_load(&taken) > MOST_THREADS)
                (void)snprintf(why, RT_POOL_WHY, "more than %d threads", MOST_THREADS);
        else
                (void)snprintf(why, RT_POOL_WHY, "%ld threads could not be stopped in time", others);
        return -1;
}

/* Finds where glibc keeps thread ids: one place that holds true for every thread there is. */
static int find_tid(char why[RT_POOL_WHY]) {
        const char *own = rt_pool_thread_pointer();
        int tid = (int)rt_raw(SYS_gettid);
        unsigned n = atomic_load(&parked);
        for (tid_at = 0; tid_at < TCB_SEARCH; tid_at += (long)sizeof tid) {
                bool fits = memcmp(own + tid_at, &tid, sizeof tid) == 0;
                for (unsigned i = 0; i < n && fits; i++) {
                        int other = atomic_load(&threads[i].tid);
                        fits = memcmp(threads[i].storage + tid_at, &other, sizeof other) == 0;
                }
                if (fits)
                        return 0;
        }
        tid_at = -1;
        (void)snprintf(why, RT_POOL_WHY, "this C library keeps its thread ids where nobody knows");
        return -1;
}

static int check_machine(char why[RT_POOL_WHY]) {
        uint64_t features = 0;
        if (rt_raw(SYS_arch_prctl, SHADOW_STACK_STATUS, &features) == 0 && features != 0) {
                (void)snprintf(why, RT_POOL_WHY, "threads with a shadow stack cannot be made again");
                return -1;
        }
        return 0;
}

int rt_pool_threads_hold(unsigned deadline_ms, char why[RT_POOL_WHY]) {
        if (check_machine(why) < 0)
                return -1;
        struct handler hold = { .call = hold_here, .flags = SA_SIGINFO | SA_RESTART | 0x04000000 /* SA_RESTORER */,
                                .restorer = rt_pool_return_from_signal, .mask = ~(uint64_t)0 };
        struct handler ignore = { .special = SIG_IGN }, before;
        for (unsigned i = 0; i < MOST_THREADS && atomic_load(&threads[i].tid); i++)
                atomic_store(&threads[i].tid, 0);
        atomic_store(&taken, 0);
        atomic_store(&parked, 0);
        (void)rt_raw(SYS_rt_sigaction, HOLD_SIGNAL, &hold, &before, sizeof hold.mask);
        int r = hold_all(now_ms() + (long)deadline_ms, why);
        (void)rt_raw(SYS_rt_sigaction, HOLD_SIGNAL, &ignore, NULL, sizeof hold.mask); /* drops what came twice */
        (void)rt_raw(SYS_rt_sigaction, HOLD_SIGNAL, &before, NULL, sizeof hold.mask);
        if (r == 0)
                r = find_tid(why);
        if (r < 0)
                rt_pool_threads_release();
        return r;
}

unsigned rt_pool_threads_count(void) {
        return atomic_load(&parked);
}

void rt_pool_threads_release(void) {
        atomic_fetch_add(&released, 1);
        futex_wake(&released);
        atomic_store(&parked, 0);
}

/* ---- forking ---- */

static pid_t fork_as(unsigned long flags) {
        int *tid = tid_at < 0 ? NULL : (int *)(void *)(rt_pool_thread_pointer() + tid_at);
        if (tid)
                flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
        void *robust = NULL;
        size_t robust_size = 0;
        (void)rt_raw(SYS_get_robust_list, 0, &robust, &robust_size);
        long pid = rt_raw(SYS_clone, flags, 0, 0, tid);
        if (pid < 0)
                errno = (int)-pid;
        if (pid == 0 && robust)
                (void)rt_raw(SYS_set_robust_list, robust, robust_size);
        return pid < 0 ? -1 : (pid_t)pid;
}

pid_t rt_pool_threads_fork(unsigned long namespaces) {
        return fork_as(namespaces | SIGCHLD);
}

/* The first thing a thread does that was made again. Its stack is the old one, below what the kernel saved there. */
void rt_pool_thread_again(struct thread *thread) {
        if (thread->robust)
                (void)rt_raw(SYS_set_robust_list, thread->robust, thread->robust_size);
        if (thread->rseq)
                rt_pool_rseq_register();
        (void)rt_raw(SYS_prctl, PR_SET_NAME, thread->name);
        ucontext_t *context = thread->context;
        atomic_fetch_add(&resumed, 1);
        futex_wake(&resumed);
        __asm__ volatile("mov %0, %%rsp\n\tjmp rt_pool_return_from_signal" : : "r"(context) : "memory");
        __builtin_unreachable();
}

int rt_pool_threads_resume(char why[RT_POOL_WHY]) {
        unsigned n = atomic_load(&parked);
        uint64_t all = ~(uint64_t)0, mask = 0;
        long r = 0;
        atomic_store(&resumed, 0);
        (void)rt_raw(SYS_rt_sigprocmask, SIG_SETMASK, &all, &mask, sizeof mask); /* none before they are whole */
        for (unsigned i = 0; i < n && r >= 0; i++) {
                struct thread *thread = &threads[i];
                uintptr_t stack = ((uintptr_t)thread->context - 256) & ~(uintptr_t)15;
                r = rt_pool_clone_thread(thread, THREAD_FLAGS, (void *)stack, (int *)(void *)(thread->storage + tid_at),
                                         thread->storage);
        }
        (void)rt_raw(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof mask);
        if (r >= 0)
                return 0;
        (void)snprintf(why, RT_POOL_WHY, "cannot make a thread: %s", strerrordesc_np((int)-r));
        return -1;
}

/* ---- the proof ---- */

enum { PROOF_READY = 2, PROOF_MADE, PROOF_RUN, PROOF_HELD, PROOF_ALL };

static void prove_here(long deadline, int (*ready)(char why[RT_POOL_WHY])) {
        char why[RT_POOL_WHY];
        unsigned n = rt_pool_threads_count(), now;
        if (ready && ready(why) < 0)
                (void)rt_raw(SYS_exit_group, PROOF_READY);
        if (rt_pool_threads_resume(why) < 0)
                (void)rt_raw(SYS_exit_group, PROOF_MADE);
        while ((now = atomic_load(&resumed)) < n) {
                if (now_ms() > deadline)
                        (void)rt_raw(SYS_exit_group, PROOF_RUN);
                futex_wait(&resumed, now, 10);
        }
        long left = deadline - now_ms();
        if (rt_pool_threads_hold(left > 0 ? (unsigned)left : 1, why) < 0)
                (void)rt_raw(SYS_exit_group, PROOF_HELD);
        (void)rt_raw(SYS_exit_group, rt_pool_threads_count() >= n ? 0 : PROOF_ALL);
}

int rt_pool_threads_prove(unsigned deadline_ms, int (*ready)(char why[RT_POOL_WHY]), char why[RT_POOL_WHY]) {
        static const char *const words[] = {
                [PROOF_READY] = "the child could not be made ready", [PROOF_MADE] = "threads could not be made again",
                [PROOF_RUN] = "threads that were made again did not run",
                [PROOF_HELD] = "threads that were made again could not be held",
                [PROOF_ALL] = "a thread that was made again was gone",
        };
        long deadline = now_ms() + (long)deadline_ms;
        pid_t pid = fork_as(0); /* no signal when it ends: the program may count its children */
        if (pid == 0)
                prove_here(deadline, ready);
        int status = 0;
        long r = pid < 0 ? -errno : 0;
        while (r == 0 && (r = rt_raw(SYS_wait4, pid, &status, WNOHANG | __WALL, 0)) == 0) {
                if (now_ms() > deadline + 100)
                        (void)rt_raw(SYS_kill, pid, SIGKILL);
                (void)rt_raw(SYS_nanosleep, &(struct timespec){ .tv_nsec = 1000000 }, NULL);
        }
        if (r == pid && status == 0)
                return 0;
        unsigned code = WIFEXITED(status) ? (unsigned)WEXITSTATUS(status) : 0;
        if (r < 0)
                (void)snprintf(why, RT_POOL_WHY, "cannot fork: %s", strerrordesc_np((int)-r));
        else if (code < sizeof words / sizeof *words && words[code])
                (void)snprintf(why, RT_POOL_WHY, "%s", words[code]);
        else
                (void)snprintf(why, RT_POOL_WHY, "a child with all threads ended with status %#x", (unsigned)status);
        return -1;
}
