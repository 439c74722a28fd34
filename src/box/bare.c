/* SPDX-License-Identifier: Apache-2.0
 *
 * All of the C library that retort-init has. A libc's own start asks the processor about its caches with a hundred
 * and more CPUID instructions; where a hypervisor answers them, that is most of the time in which a box is made
 * again. Nothing here but system calls, a handful of string functions, and the entry. No threads, no locale, no
 * allocation; the stack protector works, with the kernel's random bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"

int main(void);

/* ---- the entry ---- */

#if defined(__x86_64__)
__asm__(".text\n.global _start\n_start:\n"
        "xor %ebp, %ebp\nmov %rsp, %rdi\nand $-16, %rsp\ncall rt_bare_start\nhlt\n");

static long enter(long nr, long a, long b, long c, long d, long e, long f) {
        long r;
        register long r10 __asm__("r10") = d;
        register long r8 __asm__("r8") = e;
        register long r9 __asm__("r9") = f;
        __asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                         : "rcx", "r11", "memory");
        return r;
}
#elif defined(__aarch64__)
__asm__(".text\n.global _start\n_start:\n"
        "mov x29, #0\nmov x30, #0\nmov x0, sp\nbl rt_bare_start\nbrk #1\n");

static long enter(long nr, long a, long b, long c, long d, long e, long f) {
        register long x8 __asm__("x8") = nr;
        register long x0 __asm__("x0") = a;
        register long x1 __asm__("x1") = b;
        register long x2 __asm__("x2") = c;
        register long x3 __asm__("x3") = d;
        register long x4 __asm__("x4") = e;
        register long x5 __asm__("x5") = f;
        __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
        return x0;
}
#else
#error "retort-init knows x86_64 and aarch64"
#endif

uintptr_t __stack_chk_guard;
void __stack_chk_fail(void) __attribute__((noreturn));
void rt_bare_start(const uintptr_t *stack) __attribute__((noreturn, used, no_stack_protector));

void __stack_chk_fail(void) {
        __builtin_trap();
}

/* The stack as execve leaves it: argc, argv, NULL, environment, NULL, pairs of the auxiliary vector. */
void rt_bare_start(const uintptr_t *stack) {
        const uintptr_t *p = stack + 1 + stack[0] + 1;
        while (*p++)
                continue;
        for (; p[0] != AT_NULL; p += 2)
                if (p[0] == AT_RANDOM)
                        __stack_chk_guard = *(const uintptr_t *)p[1] & ~(uintptr_t)0xff; /* a NUL stops string overruns */
        _exit(main());
}

/* ---- system calls ---- */

int *__errno_location(void) {
        static int value;
        return &value;
}

static long checked(long r) {
        if (r >= 0 || r < -4095)
                return r;
        errno = (int)-r;
        return -1;
}

#define CALL(nr, a, b, c, d, e, f) \
        checked(enter((nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f)))

long syscall(long nr, ...) {
        long a[6];
        va_list list;
        va_start(list, nr);
        for (int i = 0; i < 6; i++)
                a[i] = va_arg(list, long);
        va_end(list);
        return CALL(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int prctl(int option, ...) {
        unsigned long a[4];
        va_list list;
        va_start(list, option);
        for (int i = 0; i < 4; i++)
                a[i] = va_arg(list, unsigned long);
        va_end(list);
        return (int)CALL(SYS_prctl, option, a[0], a[1], a[2], a[3], 0);
}

int fcntl(int fd, int command, ...) {
        va_list list;
        va_start(list, command);
        long argument = va_arg(list, long);
        va_end(list);
        return (int)CALL(SYS_fcntl, fd, command, argument, 0, 0, 0);
}

/* Nothing here creates files: no mode. */
int openat(int dir, const char *path, int flags, ...) {
        return (int)CALL(SYS_openat, dir, path, flags, 0, 0, 0);
}

int open(const char *path, int flags, ...) {
        return (int)CALL(SYS_openat, AT_FDCWD, path, flags, 0, 0, 0);
}

int dup2(int from, int to) {
        return from == to ? fcntl(from, F_GETFD) < 0 ? -1 : to : (int)CALL(SYS_dup3, from, to, 0, 0, 0, 0);
}

pid_t fork(void) {
        return (pid_t)CALL(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);
}

/* Handlers are not for here: only to ignore a signal, or not to. */
__sighandler_t signal(int number, __sighandler_t handler) {
        struct {
                __sighandler_t handler;
                unsigned long flags;
                void (*restorer)(void);
                unsigned long mask;
        } action = { .handler = handler };
        return CALL(SYS_rt_sigaction, number, &action, NULL, sizeof action.mask, 0, 0) < 0 ? SIG_ERR : SIG_DFL;
}

int pause(void) {
        return (int)CALL(SYS_ppoll, 0, 0, 0, 0, 0, 0);
}

void _exit(int status) {
        for (;;)
                (void)enter(SYS_exit_group, status, 0, 0, 0, 0, 0);
}

int getrlimit(__rlimit_resource_t resource, struct rlimit *ret) {
        return (int)CALL(SYS_prlimit64, 0, resource, 0, ret, 0, 0);
}

int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit) {
        return (int)CALL(SYS_prlimit64, 0, resource, limit, 0, 0, 0);
}

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset) {
        return (void *)CALL(SYS_mmap, at, size, protection, flags, fd, offset);
}

pid_t wait4(pid_t pid, int *status, int options, struct rusage *usage) {
        return (pid_t)CALL(SYS_wait4, pid, status, options, usage, 0, 0);
}

int dup(int fd) { return (int)CALL(SYS_dup, fd, 0, 0, 0, 0, 0); }
int close(int fd) { return (int)CALL(SYS_close, fd, 0, 0, 0, 0, 0); }
int chdir(const char *path) { return (int)CALL(SYS_chdir, path, 0, 0, 0, 0, 0); }
pid_t setsid(void) { return (pid_t)CALL(SYS_setsid, 0, 0, 0, 0, 0, 0); }
int setgroups(size_t n, const gid_t *list) { return (int)CALL(SYS_setgroups, n, list, 0, 0, 0, 0); }
int setresuid(uid_t r, uid_t e, uid_t s) { return (int)CALL(SYS_setresuid, r, e, s, 0, 0, 0); }
int setresgid(gid_t r, gid_t e, gid_t s) { return (int)CALL(SYS_setresgid, r, e, s, 0, 0, 0); }
int fstat(int fd, struct stat *ret) { return (int)CALL(SYS_fstat, fd, ret, 0, 0, 0, 0); }
int munmap(void *at, size_t size) { return (int)CALL(SYS_munmap, at, size, 0, 0, 0, 0); }
int clock_gettime(clockid_t clock, struct timespec *ret) { return (int)CALL(SYS_clock_gettime, clock, ret, 0, 0, 0, 0); }
ssize_t write(int fd, const void *data, size_t size) { return CALL(SYS_write, fd, data, size, 0, 0, 0); }
ssize_t sendmsg(int fd, const struct msghdr *m, int flags) { return CALL(SYS_sendmsg, fd, m, flags, 0, 0, 0); }
ssize_t recvmsg(int fd, struct msghdr *m, int flags) { return CALL(SYS_recvmsg, fd, m, flags, 0, 0, 0); }

int execve(const char *path, char *const argv[], char *const env[]) {
        return (int)CALL(SYS_execve, path, argv, env, 0, 0, 0);
}

struct cmsghdr *__cmsg_nxthdr(struct msghdr *m, struct cmsghdr *c) {
        size_t step = CMSG_ALIGN(c->cmsg_len);
        char *end = (char *)m->msg_control + m->msg_controllen;
        size_t left = (size_t)(end - (char *)c);
        if (c->cmsg_len < sizeof *c || step > left || left - step < sizeof *c)
                return NULL;
        return (struct cmsghdr *)(void *)((char *)c + step);
}

/* ---- strings ---- */

/* Keeps the compiler from making a call to the very function of a loop. */
#define AS_IT_STANDS() __asm__ volatile("")

void *memcpy(void *restrict to, const void *restrict from, size_t n) {
        char *t = to;
        for (const char *f = from; n > 0; n--) {
                *t++ = *f++;
                AS_IT_STANDS();
        }
        return to;
}

void *memset(void *at, int value, size_t n) {
        for (char *p = at; n > 0; n--) {
                *p++ = (char)value;
                AS_IT_STANDS();
        }
        return at;
}

void *memchr(const void *at, int value, size_t n) {
        for (const unsigned char *p = at; n > 0; n--, p++)
                if (*p == (unsigned char)value)
                        return (void *)(uintptr_t)p;
        return NULL;
}

size_t strnlen(const char *text, size_t most) {
        size_t n = 0;
        while (n < most && text[n]) {
                n++;
                AS_IT_STANDS();
        }
        return n;
}

size_t strlen(const char *text) {
        return strnlen(text, SIZE_MAX);
}

size_t strcspn(const char *text, const char *stops) {
        size_t n = 0;
        for (; text[n]; n++)
                for (const char *s = stops; *s; s++)
                        if (*s == text[n])
                                return n;
        return n;
}

/* ---- base/err.h, without words: nobody in a box reads them ---- */

static int fail(struct retort_error *err, int code) {
        if (err)
                err->code = code;
        return code;
}

int rt_fail(struct retort_error *err, int code, const char *format, ...) {
        (void)format;
        return fail(err, code);
}

int rt_fail_errno(struct retort_error *err, const char *format, ...) {
        (void)format;
        return fail(err, RETORT_E_SYSTEM);
}

int rt_wrap(struct retort_error *err, int code, const char *format, ...) {
        (void)format;
        return fail(err, code);
}

int rt_fail_nomem(struct retort_error *err) {
        return fail(err, RETORT_E_NOMEM);
}
