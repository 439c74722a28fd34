// SPDX-License-Identifier: Apache-2.0
// Everything prctl could give back, and what a process may set about itself.
// expect: status=ok exit=0
// says: done
#define _GNU_SOURCE
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
        if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0)
                printf("open: no_new_privs\n");
        if (prctl(PR_SET_MM, PR_SET_MM_BRK, 0, 0, 0) == 0 || prctl(PR_SET_MM, PR_SET_MM_EXE_FILE, 0, 0, 0) == 0)
                printf("open: PR_SET_MM\n");
        if (prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS, 0, 0, 0) == 0)
                printf("open: securebits\n");
        for (int cap = 0; cap < 64; cap++)
                if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) > 0 || prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) == 0)
                        printf("open: capability %d\n", cap);
        struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct all[2] = { { ~0u, ~0u, ~0u }, { ~0u, ~0u, ~0u } }, have[2];
        if (syscall(SYS_capset, &head, all) == 0)
                printf("open: capset\n");
        if (syscall(SYS_capget, &head, have) != 0 || (have[0].effective | have[0].permitted | have[0].inheritable |
                                                      have[1].effective | have[1].permitted | have[1].inheritable))
                printf("open: capabilities are held\n");
        if (setuid(0) == 0 || setgid(0) == 0 || setresuid(0, 0, 0) == 0 || setreuid(-1, 0) == 0 || seteuid(65534) == 0)
                printf("open: another uid\n");
        unsigned none = 0;
        if (syscall(SYS_setgroups, 0, &none) == 0)
                printf("open: setgroups\n");
        struct rlimit core;
        struct rlimit more = { RLIM_INFINITY, RLIM_INFINITY };
        static const __rlimit_resource_t fixed[] = { RLIMIT_NOFILE, RLIMIT_FSIZE, RLIMIT_CPU, RLIMIT_NICE,
                                                     RLIMIT_RTPRIO };
        for (int i = 0; i < 5; i++)
                if (setrlimit(fixed[i], &more) == 0)
                        printf("open: rlimit %d\n", (int)fixed[i]);
        struct rlimit zero = { 0, 0 };
        struct rlimit *odd = mmap((void *)0x100000000, 4096, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (setrlimit(RLIMIT_CORE, &zero) != 0 || setrlimit(RLIMIT_CORE, &more) != 0 || syscall(SYS_prlimit64, 0, 4, odd, 0) != 0)
                printf("open: a program that forbids core files of its own hears no\n");
        (void)syscall(SYS_setrlimit, 4, &zero);
        /* 1, not 0: where core_pattern is a pipe, only 1 keeps the kernel from starting the host's handler. */
        if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 1 || core.rlim_max != 1)
                printf("open: a core dump would be made\n");
        (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
        (void)prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
        (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        (void)prctl(PR_SET_NAME, "retort-init", 0, 0, 0);
        printf("done\n");
        return 0;
}
