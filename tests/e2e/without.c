/* SPDX-License-Identifier: Apache-2.0
 *
 * without ERROR CALL,CALL,... PROGRAM WORDS...: pretends to be a lesser kernel. The named system calls fail with ERROR
 * (EPERM or ENOSYS) in the program and everything it starts. "listener" is seccomp with a listener, refused with EINVAL
 * as before Linux 5.0; "clone-new" is clone with any namespace.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ALL(X)                                                                                                         \
        X(unshare) X(mount) X(umount2) X(pivot_root) X(fsopen) X(fsconfig) X(fsmount) X(move_mount) X(open_tree)       \
        X(mount_setattr) X(fspick) X(pidfd_open) X(pidfd_send_signal) X(memfd_create) X(close_range) X(execveat)       \
        X(clone3) X(seccomp) X(landlock_create_ruleset) X(landlock_add_rule) X(landlock_restrict_self) X(sethostname)  \
        X(capset) X(setgroups) X(setresuid) X(flock) X(ppoll) X(socketpair) X(eventfd2) X(prlimit64)

static const struct {
        const char *name;
        unsigned number;
} calls[] = {
#define X(call) { #call, __NR_##call },
        ALL(X)
#undef X
};

enum { MOST = 64 };
static struct sock_filter code[8 * MOST];
static unsigned short size;

static void emit(unsigned short op, unsigned char jt, unsigned char jf, unsigned k) {
        code[size++] = (struct sock_filter){ op, jt, jf, k };
}

/* If it is this call, and has a bit of mask (0: any) in the low word of its argument, it fails. */
static void refuse(unsigned number, unsigned argument, unsigned mask, int error) {
        emit(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr));
        emit(BPF_JMP | BPF_JEQ | BPF_K, 0, mask ? 3 : 1, number);
        if (mask) {
                emit(BPF_LD | BPF_W | BPF_ABS, 0, 0, (unsigned)(offsetof(struct seccomp_data, args) + 8 * argument));
                emit(BPF_JMP | BPF_JSET | BPF_K, 0, 1, mask);
        }
        emit(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | (unsigned)error);
}

static int refuse_named(const char *name, int error) {
        if (strcmp(name, "listener") == 0)
                return refuse(__NR_seccomp, 1, SECCOMP_FILTER_FLAG_NEW_LISTENER, EINVAL), 0;
        if (strcmp(name, "clone-new") == 0)
                return refuse(__NR_clone, 0, 0x7e020000, error), 0;
        for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
                if (strcmp(calls[i].name, name) == 0)
                        return refuse(calls[i].number, 0, 0, error), 0;
        return fprintf(stderr, "without: %s is not in my list\n", name), -1;
}

int main(int argc, char **argv) {
        if (argc < 4)
                return 2;
        int error = strcmp(argv[1], "ENOSYS") == 0 ? ENOSYS : EPERM;
        char *save = NULL;
        unsigned n = 0;
        for (char *name = strtok_r(argv[2], ",", &save); name && n < MOST; name = strtok_r(NULL, ",", &save), n++)
                if (refuse_named(name, error) < 0)
                        return 2;
        emit(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
        struct sock_fprog program = { .len = size, .filter = code };
        if (geteuid() != 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return 2;
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
                return perror("without"), 2;
        (void)execvp(argv[3], argv + 3);
        return perror(argv[3]), 127;
}
