// SPDX-License-Identifier: Apache-2.0
// Calls that honest programs probe: a polite no, and life goes on.
// expect: status=ok exit=0
// says: done
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>
static void no(const char *name, long result, int wanted) {
        if (result != -1 || errno != wanted)
                printf("open: %s gave %ld, errno %d and not %d\n", name, result, errno, wanted);
}
#define NO(name, wanted, ...) no(#name, syscall(SYS_##name, __VA_ARGS__), wanted)
int main(void) {
        static char room[4096];
        NO(ptrace, EPERM, PTRACE_ATTACH, 1, 0, 0);
        NO(ptrace, EPERM, PTRACE_SEIZE, getppid(), 0, 0);
        NO(ptrace, EPERM, PTRACE_TRACEME, 0, 0, 0);
        NO(userfaultfd, EPERM, 1);
        NO(perf_event_open, EACCES, room, 0, -1, -1, 0);
        NO(io_uring_setup, ENOSYS, 8, room);
        NO(io_uring_enter, ENOSYS, 0, 0, 0, 0, 0);
        NO(io_setup, ENOSYS, 8, room);
        NO(kcmp, EPERM, 1, getpid(), 0, 0, 0);
        NO(name_to_handle_at, EOPNOTSUPP, -100, "/", room, room, 0);
        NO(fanotify_init, EPERM, 0, 0);
        NO(syslog, EPERM, 3, room, sizeof room);
        NO(adjtimex, EPERM, room);
        NO(personality, EPERM, 0x0400000); /* READ_IMPLIES_EXEC */
        NO(move_pages, EPERM, 1, 0, 0, 0, 0, 0);
        NO(memfd_secret, ENOSYS, 0);
        NO(process_madvise, EPERM, 0, 0, 0, 0, 0);
        no("-1", syscall(-1), ENOSYS);
        no("999", syscall(999), ENOSYS);
        no("100000", syscall(100000), ENOSYS);
#ifdef __x86_64__
        NO(modify_ldt, ENOSYS, 0, room, sizeof room);
        NO(uselib, ENOSYS, "/bin/sh");
        NO(_sysctl, ENOSYS, room);
#endif
        if (syscall(SYS_sync) != 0)
                printf("open: sync\n");
        printf("done\n");
        return 0;
}
