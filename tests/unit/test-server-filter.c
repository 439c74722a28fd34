/* SPDX-License-Identifier: Apache-2.0
 *
 * The server's system call policy, on real threads of a child: what it must refuse, and what it must leave.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/util.h"
#include "server/server.h"

struct call {
        const char *name;
        long number;
        long args[4];
        int error;     /* with the policy */
        bool harmless; /* succeeds without it, whoever asks */
};

static const struct call refused[] = {
        { "ptrace", SYS_ptrace, { 0 /* TRACEME */ }, EPERM, true },
        { "unshare", SYS_unshare, { 0 }, EPERM, true },
        { "unshare a user namespace", SYS_unshare, { CLONE_NEWUSER }, EPERM, false },
        { "clone a user namespace", SYS_clone, { CLONE_NEWUSER }, EPERM, false },
        { "clone3", SYS_clone3, { 0 }, ENOSYS, false }, /* libc falls back to clone */
        { "mount", SYS_mount, { 0 }, EPERM, false },
        { "umount2", SYS_umount2, { 0 }, EPERM, false },
        { "pivot_root", SYS_pivot_root, { 0 }, EPERM, false },
        { "chroot", SYS_chroot, { 0 }, EPERM, false },
        { "setns", SYS_setns, { -1 }, EPERM, false },
        { "fsopen", SYS_fsopen, { 0 }, EPERM, false },
        { "open_tree", SYS_open_tree, { -1 }, EPERM, false },
        { "init_module", SYS_init_module, { 0 }, EPERM, false },
        { "finit_module", SYS_finit_module, { -1 }, EPERM, false },
        { "kexec_load", SYS_kexec_load, { 0 }, EPERM, false },
        { "bpf", SYS_bpf, { -1 }, EPERM, false },
        { "perf_event_open", SYS_perf_event_open, { 0 }, EACCES, false },
        { "userfaultfd", SYS_userfaultfd, { -1 }, EPERM, false },
        { "io_uring_setup", SYS_io_uring_setup, { 0 }, ENOSYS, false },
        { "keyctl", SYS_keyctl, { -1 }, EPERM, false },
        { "process_vm_readv", SYS_process_vm_readv, { 0 }, EPERM, false },
        { "process_vm_writev", SYS_process_vm_writev, { 0 }, EPERM, false },
        { "pidfd_getfd", SYS_pidfd_getfd, { -1 }, EPERM, false },
        { "open_by_handle_at", SYS_open_by_handle_at, { -1 }, EPERM, false },
        { "reboot", SYS_reboot, { 0 }, EPERM, false },
        { "setuid", SYS_setuid, { -2 }, EPERM, false }, /* -2: who we are */
        { "setresuid", SYS_setresuid, { -1, -1, -1 }, EPERM, true },
        { "setresgid", SYS_setresgid, { -1, -1, -1 }, EPERM, true },
        { "capset", SYS_capset, { 0 }, EPERM, false },
        { "personality", SYS_personality, { -1 }, EPERM, true },
        { "mknodat", SYS_mknodat, { AT_FDCWD }, EPERM, false },
        { "semget", SYS_semget, { 0, -1 }, EPERM, false },
        { "a packet socket", SYS_socket, { AF_PACKET, SOCK_RAW }, EAFNOSUPPORT, false },
};

/* 0, or the errno. */
static int ask(const struct call *call) {
        long first = call->args[0] == -2 ? (long)getuid() : call->args[0];
        errno = 0;
        long r = syscall(call->number, first, call->args[1], call->args[2], call->args[3]);
        return r < 0 ? errno : 0;
}

static int report(const char *name, int error) {
        (void)fprintf(stderr, "%s: %s\n", name, strerror(error));
        return 1;
}

static int ask_all(void) {
        for (size_t i = 0; i < RT_LEN(refused); i++) {
                int error = ask(&refused[i]);
                if (error != refused[i].error)
                        return report(refused[i].name, error);
        }
        return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2 ? 0 : report("PR_GET_SECCOMP", errno);
}

/* A child's exit status. */
static int of_child(int (*what)(void)) {
        int status = -1;
        pid_t pid = fork();
        if (pid == 0)
                _exit(what());
        assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int enter(void) {
        struct retort_error err = { 0 };
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && rt_host_filter(&err) == 0)
                return 0;
        (void)fprintf(stderr, "%s\n", err.message);
        return -1;
}

static sem_t go;

static void *wait_and_ask(void *result) {
        while (sem_wait(&go) < 0 && errno == EINTR)
                continue;
        *(int *)result = ask_all();
        return NULL;
}

static int in_a_thread_from_before(void) {
        pthread_t thread;
        int result = -1;
        if (sem_init(&go, 0, 0) < 0 || pthread_create(&thread, NULL, wait_and_ask, &result) != 0 || enter() < 0)
                return 2;
        (void)sem_post(&go);
        (void)pthread_join(thread, NULL);
        return result;
}

static int in_who_enters(void) {
        return enter() < 0 ? 2 : ask_all();
}

static int unfiltered(void) {
        for (size_t i = 0; i < RT_LEN(refused); i++)
                if (refused[i].harmless && ask(&refused[i]) != 0)
                        return report(refused[i].name, errno);
        return 0;
}

static void refused_calls_are_refused(void **state) {
        (void)state;
        assert_int_equal(of_child(unfiltered), 0); /* so that what follows says something */
        assert_int_equal(of_child(in_who_enters), 0);
        assert_int_equal(of_child(in_a_thread_from_before), 0);
}

static void *nothing(void *argument) {
        return argument;
}

/* Of a program that it starts: the policy is inherited. */
static int starts_a_program(void) {
        pid_t pid = fork();
        int status = -1;
        if (pid == 0) {
                (void)execl("/bin/sh", "sh", "-c", "grep -q '^Seccomp:[[:space:]]*2' /proc/self/status && ls / >/dev/null", (char *)NULL);
                _exit(127);
        }
        return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 ? 0 : report("a program", errno);
}

static int works(void) {
        pthread_t thread;
        char name[] = "/tmp/test-server-filter-XXXXXX";
        int fds[2];
        if (enter() < 0)
                return 2;
        if (pthread_create(&thread, NULL, nothing, NULL) != 0 || pthread_join(thread, NULL) != 0)
                return report("a thread", errno);
        int fd = mkstemp(name);
        if (fd < 0 || write(fd, "x", 1) != 1 || fsync(fd) < 0 || unlink(name) < 0)
                return report("a file", errno);
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0 || socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 ||
            socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) < 0 || memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING) < 0)
                return report("sockets and memory", errno);
        return starts_a_program();
}

static void what_a_server_needs_is_left(void **state) {
        (void)state;
        assert_int_equal(of_child(works), 0);
}

static int without_no_new_privs(void) {
        struct retort_error err = { 0 };
        if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0) /* root may enter without */
                return 2;
        return rt_host_filter(&err) < 0 && strstr(err.message, "cannot put the server under") ? 0 : 1;
}

static void a_kernel_that_refuses_is_said(void **state) {
        (void)state;
        assert_int_equal(of_child(without_no_new_privs), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(refused_calls_are_refused),
                cmocka_unit_test(what_a_server_needs_is_left),
                cmocka_unit_test(a_kernel_that_refuses_is_said),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
