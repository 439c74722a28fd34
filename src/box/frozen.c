/* SPDX-License-Identifier: Apache-2.0
 *
 * The jailer's side of frozen interpreters: starts an interpreter that imports what it is told to and then freezes and
 * is forked (src/pool). It never runs a guest's code. It is a process of its own user, without capabilities, with the
 * boxes' read-only root, an empty network, a private tmpfs, and a /proc that shows it only its own user's processes. The one right
 * it has is over the slots' user namespaces, which belong to its user: so a fork of it can enter a slot.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/util.h"
#include "box/forkserver.h"
#include "box/guest.h"
#include "box/jailer.h"
#include "box/keeper.h"
#include "box/plan.h"
#include "box/root.h"

struct start {
        int plan;
        int words;
        int socket;
        int image;
};

/* No capability, no way to get one back. */
static int drop_everything(const struct rt_jailer *j) {
        uid_t uid = j->frozen_uid;
        const struct rlimit no_dumps = { 1, 1 }; /* as in box/guest.c */
        for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
                if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EINVAL)
                        return -1;
        if (uid && (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0))
                return -1;
        return rt_guest_no_capabilities() < 0 || setrlimit(RLIMIT_CORE, &no_dumps) < 0 ||
                               prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0
                       ? -1
                       : 0;
}

/* The image of its memory: on huge pages where there are any (a tenth of the page faults), else a memfd. Nobody but it and
 * its forks ever sees it, and they only through mappings that cannot be written through. */
static int make_image(const struct rt_jailer *j) {
        rt_auto_close int fs = rt_root_huge_tmpfs();
        int image = fs < 0 ? -1 : openat(fs, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (image < 0)
                image = memfd_create("retort-image", MFD_CLOEXEC);
        if (image >= 0 && j->frozen_uid && fchown(image, j->frozen_uid, j->frozen_uid) < 0)
                image = rt_close(image);
        return image;
}

static int settle(const struct rt_jailer *j, pid_t jailer, struct retort_error *err) {
        uid_t uid = j->frozen_uid ? j->frozen_uid : geteuid();
        int fs = -1;
        if (rt_root_mount_private(uid, &fs, err) < 0 || rt_root_resize(1ull << 30, err) < 0)
                return err->code;
        if (rt_root_mount_own_proc(err) < 0)
                return err->code;
        if (sethostname("retort", 6) < 0 || chdir(RT_ROOT_WORK) < 0 || setsid() < 0 || drop_everything(j) < 0)
                return rt_fail_errno(err, "cannot give up what it has");
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != jailer)
                return rt_fail(err, RETORT_E_CLOSED, "the jailer is gone");
        return 0;
}

/* It has a link for each slot that it has been forked into. */
static void allow_descriptors(void) {
        struct rlimit files;
        if (getrlimit(RLIMIT_NOFILE, &files) < 0)
                return;
        files.rlim_cur = files.rlim_max < 4096 ? files.rlim_max : 4096;
        (void)setrlimit(RLIMIT_NOFILE, &files);
}

/* The descriptors that it is to have, where the library looks for them. */
static int place(const struct rt_jailer *j, const struct start *s) {
        const int from[] = { s->socket, s->image, j->forkserver };
        const int to[] = { RT_FORKSERVER_SOCKET, RT_FORKSERVER_IMAGE, RT_FORKSERVER_LIBRARY };
        int high[RT_LEN(from)];
        for (size_t i = 0; i < RT_LEN(from); i++)
                if ((high[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 32)) < 0)
                        return -1;
        /* 3 is a guest's, for its report: nothing of the interpreter's may come to lie there. */
        if (dup2(s->words, STDERR_FILENO) < 0 || dup2(STDIN_FILENO, 3) < 0)
                return -1;
        for (size_t i = 0; i < RT_LEN(from); i++)
                if (dup2(high[i], to[i]) < 0)
                        return -1;
        return close_range(RT_FORKSERVER_LIBRARY + 1, ~0u, 0);
}

static void become_interpreter(struct rt_jailer *j, const struct start *s, pid_t jailer) {
        static char *argv[RT_PLAN_MAX_STRINGS + 1];
        static char *env[RT_PLAN_MAX_STRINGS + 1];
        static const int taken[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };
        struct retort_error err = { 0 };
        struct rt_plan plan;
        for (size_t i = 0; i < RT_LEN(taken); i++)
                (void)signal(taken[i], SIG_DFL);
        int r = rt_plan_map(s->plan, &plan, &err);
        if (r == 0)
                r = settle(j, jailer, &err);
        if (r == 0) {
                rt_plan_strings(&plan, argv, env);
                allow_descriptors();
                if (place(j, s) == 0)
                        (void)execve(argv[0], argv, env);
                (void)rt_fail_errno(&err, "cannot start %s", argv[0]);
        }
        struct rt_wire_message message = { .op = RT_FAIL };
        message.fail.code = err.code;
        memcpy(message.fail.message, err.message, sizeof message.fail.message - 1);
        (void)rt_wire_send(s->socket, &message, NULL, 0);
        _exit(127);
}

int rt_jailer_freeze(struct rt_jailer *j, int plan, int words, int *ret_socket, struct retort_error *err) {
        const uint32_t needed = 1u << RT_BOX_USER_NS | 1u << RT_BOX_MOUNT_NS | 1u << RT_BOX_NET_NS | 1u << RT_BOX_IPC_NS | 1u << RT_BOX_UTS_NS;
        unsigned i = 0;
        while (i < RT_JAILER_FROZEN && j->frozen[i].pid > 0)
                i++;
        if (i == RT_JAILER_FROZEN)
                return rt_fail(err, RETORT_E_SYSTEM, "%d frozen interpreters are the most", RT_JAILER_FROZEN);
        if (j->forkserver < 0 || (j->mechanisms & needed) != needed || (j->root && !j->frozen_uid))
                return rt_fail(err, RETORT_E_ISOLATION, "this host gives no namespaces of the kind that forks need");
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return rt_fail_errno(err, "cannot make a socket");
        rt_auto_close int ours = pair[0];
        rt_auto_close int theirs = pair[1];
        rt_auto_close int image = make_image(j);
        pid_t jailer = getpid();
        const struct start start = { plan, words, theirs, image };
        pid_t pid = image < 0 ? -1 : rt_clone(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS, &j->frozen[i].pidfd, j->cgroups.frozen);
        if (pid == 0)
                become_interpreter(j, &start, jailer);
        if (pid < 0)
                return rt_fail_errno(err, "cannot start an interpreter to be frozen");
        j->frozen[i].pid = pid;
        *ret_socket = rt_take_fd(&ours);
        return 0;
}
