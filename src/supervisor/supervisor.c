/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "box/plan.h"

enum { MAX_PROCESSES = 128, MAX_GONE = 16 };

struct supervisor {
        int control;
        int signals;
        pid_t first; /* the process that was there before us */
        struct process {
                pid_t pid; /* 0: none */
                int told;  /* where its end goes */
        } processes[MAX_PROCESSES];
        struct gone { /* who ended before anybody asked for it */
                pid_t pid;
                struct rt_ended ended;
        } gone[MAX_GONE];
        unsigned n_gone;
};

/* ---- ends ---- */

static uint64_t nanoseconds(struct timeval t) {
        return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_usec * 1000u;
}

static void tell_end(int told, const struct rt_ended *ended) {
        (void)send(told, ended, sizeof *ended, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void reap(struct supervisor *s) {
        struct rusage usage;
        int status;
        pid_t pid;
        while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
                struct rt_ended ended = { 0, status, nanoseconds(usage.ru_utime), nanoseconds(usage.ru_stime), (uint64_t)usage.ru_maxrss * 1024 };
                struct process *p = s->processes;
                while (p < s->processes + MAX_PROCESSES && p->pid != pid)
                        p++;
                if (p == s->processes + MAX_PROCESSES) {
                        s->gone[s->n_gone++ % MAX_GONE] = (struct gone){ pid, ended };
                        continue;
                }
                tell_end(p->told, &ended);
                p->told = rt_close(p->told);
                p->pid = 0;
        }
}

static struct process *free_place(struct supervisor *s) {
        for (struct process *p = s->processes; p < s->processes + MAX_PROCESSES; p++)
                if (!p->pid)
                        return p;
        return NULL;
}

/* ---- processes ---- */

static void become(const struct supervisor *s, const char *dir, const int *fds, unsigned n_fds) {
        static char *argv[RT_PLAN_MAX_STRINGS + 1], *env[RT_PLAN_MAX_STRINGS + 1];
        struct rt_plan plan;
        sigset_t none;
        bool ok = rt_plan_map(fds[0], &plan, NULL) == 0;
        if (ok)
                rt_plan_strings(&plan, argv, env);
        ok = ok && setsid() >= 0 && chdir(dir) == 0;
        for (int i = 0; i < 3 && ok; i++)
                ok = dup2(fds[i + 1], i) >= 0;
        if (n_fds > 5)
                ok = ok && dup2(fds[5], 3) >= 0;
        (void)close_range(n_fds > 5 ? 4 : 3, ~0u, CLOSE_RANGE_CLOEXEC);
        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        for (int number = 1; number < NSIG; number++)
                (void)signal(number, SIG_DFL);
        if (ok) {
                environ = env;
                (void)execvp(argv[0], argv);
        }
        struct rt_ended ended = { .exec_errno = errno ? errno : EINVAL, .wait_status = 127 << 8 };
        tell_end(fds[4], &ended);
        (void)s;
        _exit(127);
}

static int spawn(struct supervisor *s, const char *dir, int *fds, unsigned n_fds, int32_t *ret_pid) {
        struct process *place = free_place(s);
        if (n_fds < 5)
                return EBADMSG;
        if (!place)
                return EAGAIN;
        pid_t pid = fork();
        if (pid < 0)
                return errno;
        if (pid == 0)
                become(s, dir, fds, n_fds);
        *place = (struct process){ pid, rt_take_fd(&fds[4]) };
        *ret_pid = pid;
        return 0;
}

static int adopt(struct supervisor *s, pid_t pid, int *fds, unsigned n_fds) {
        struct process *place = free_place(s);
        if (n_fds < 1)
                return EBADMSG;
        pid = pid ? pid : s->first;
        for (unsigned i = 0; i < MAX_GONE; i++)
                if (s->gone[i].pid == pid) {
                        tell_end(fds[0], &s->gone[i].ended);
                        return 0;
                }
        if (!place)
                return EAGAIN;
        if (pid <= 0 || kill(pid, 0) < 0)
                return ESRCH;
        *place = (struct process){ pid, rt_take_fd(&fds[0]) };
        return 0;
}

/* Only those whose ends we have yet to see: their numbers are still their own. */
static int send_signal(const struct supervisor *s, const struct rt_ask *ask) {
        pid_t pid = ask->pid ? ask->pid : s->first;
        for (const struct process *p = s->processes; p < s->processes + MAX_PROCESSES; p++)
                if (p->pid == pid && pid > 0) {
                        bool group = ask->flags & RT_ASK_GROUP && kill(-pid, (int)ask->number) == 0;
                        /* one that was just born has no group yet, and one may have left it */
                        bool alone = (!group || ask->number == SIGKILL) && kill(pid, (int)ask->number) == 0;
                        return group || alone ? 0 : errno;
                }
        return ESRCH;
}

static int start_watch(const char *path, unsigned flags, int to) {
        pid_t pid = fork();
        if (pid == 0) {
                (void)dup2(to, 1);
                (void)close_range(2, ~0u, 0);
                rt_supervisor_watch(path, flags, 1);
        }
        return pid < 0 ? errno : 0;
}

/* ---- questions ---- */

static int answer_files(const struct rt_ask *ask, const char *path, const char *other, const int *fds, unsigned n_fds,
                        struct rt_answer *answer, int *ret_fd) {
        switch (ask->op) {
        case RT_ASK_OPEN:
                return rt_supervisor_open(path, ret_fd);
        case RT_ASK_WRITE:
                return n_fds < 1 ? EBADMSG : rt_supervisor_write(path, ask->number, ask->flags, fds[0], &answer->size);
        case RT_ASK_LIST:
                return n_fds < 1 ? EBADMSG : rt_supervisor_list(path, ask->number, fds[0], &answer->size);
        case RT_ASK_MKDIR:
                return rt_supervisor_mkdir(path);
        case RT_ASK_MOVE:
                return rt_supervisor_move(path, other);
        case RT_ASK_REMOVE:
                return rt_supervisor_remove(path);
        case RT_ASK_WATCH:
                return n_fds < 1 ? EBADMSG : start_watch(path, ask->flags, fds[0]);
        default:
                return ENOSYS;
        }
}

static int answer_one(struct supervisor *s, const struct rt_ask *ask, const char *texts[2], int *fds, unsigned n_fds,
                      struct rt_answer *answer, int *ret_fd) {
        switch (ask->op) {
        case RT_ASK_SPAWN:
                return spawn(s, texts[0], fds, n_fds, &answer->pid);
        case RT_ASK_ADOPT:
                return adopt(s, ask->pid, fds, n_fds);
        case RT_ASK_SIGNAL:
                return send_signal(s, ask);
        case RT_ASK_HOLD: /* all but us and the box's first process, which is not ours to signal */
                return kill(-1, ask->number ? SIGSTOP : SIGCONT) < 0 && errno != ESRCH ? errno : 0;
        default:
                return answer_files(ask, texts[0], texts[1], fds, n_fds, answer, ret_fd);
        }
}

static bool read_texts(const char *bytes, size_t size, unsigned n, const char *texts[2]) {
        texts[0] = texts[1] = "";
        for (unsigned i = 0; i < n && i < 2; i++) {
                const char *end = memchr(bytes, 0, size);
                if (!end)
                        return false;
                texts[i] = bytes;
                size -= (size_t)(end + 1 - bytes);
                bytes = end + 1;
        }
        return true;
}

/* False: the engine is gone. */
static bool serve(struct supervisor *s) {
        char bytes[RT_ASK_MAX_BYTES];
        union {
                struct cmsghdr head;
                char room[CMSG_SPACE(RT_ASK_MAX_FDS * sizeof(int))];
        } rights;
        struct iovec part = { bytes, sizeof bytes };
        struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof rights };
        ssize_t n = recvmsg(s->control, &message, MSG_CMSG_CLOEXEC);
        if (n < 0 && errno == EINTR)
                return true;
        if (n < (ssize_t)sizeof(struct rt_ask))
                return false;
        int fds[RT_ASK_MAX_FDS] = { -1, -1, -1, -1, -1, -1 };
        unsigned n_fds = 0;
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        if (head && head->cmsg_type == SCM_RIGHTS) {
                n_fds = (unsigned)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
                memcpy(fds, CMSG_DATA(head), n_fds * sizeof(int));
        }
        struct rt_ask ask;
        struct rt_answer answer = { 0 };
        const char *texts[2];
        int fd = -1;
        memcpy(&ask, bytes, sizeof ask);
        answer.error = read_texts(bytes + sizeof ask, (size_t)n - sizeof ask, ask.n_texts, texts)
                               ? answer_one(s, &ask, texts, fds, n_fds, &answer, &fd)
                               : EBADMSG;
        for (unsigned i = 0; i < RT_ASK_MAX_FDS; i++)
                (void)rt_close(fds[i]);
        struct iovec reply = { &answer, sizeof answer };
        struct msghdr back = { .msg_iov = &reply, .msg_iovlen = 1 };
        if (fd >= 0) {
                back.msg_control = &rights;
                back.msg_controllen = CMSG_SPACE(sizeof(int));
                rights.head = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int)) };
                memcpy(CMSG_DATA(&rights.head), &fd, sizeof fd);
        }
        bool sent = sendmsg(s->control, &back, MSG_NOSIGNAL) >= 0;
        (void)rt_close(fd);
        return sent;
}

static int prepare(struct supervisor *s) {
        sigset_t children;
        s->control = fcntl(0, F_DUPFD_CLOEXEC, 10);
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (s->control < 0 || null < 0)
                return -1;
        for (int fd = 0; fd < 3; fd++)
                if (dup2(null, fd) < 0)
                        return -1;
        (void)close_range(3, 9, 0);
        (void)prctl(PR_SET_NAME, "supervisor", 0, 0, 0);
        /* Who loses its parent comes to us: so does a runner's copy. */
        if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
                return -1;
        for (int number = 1; number < NSIG; number++)
                if (number != SIGCHLD)
                        (void)signal(number, SIG_IGN); /* Ctrl-C is for those who run */
        (void)signal(SIGCHLD, SIG_DFL);
        (void)sigemptyset(&children);
        (void)sigaddset(&children, SIGCHLD);
        s->signals = sigprocmask(SIG_SETMASK, &children, NULL) < 0 ? -1 : signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
        return s->signals < 0 ? -1 : 0;
}

int rt_supervisor_main(int argc, char **argv) {
        static struct supervisor s;
        if (argc > 1)
                s.first = (pid_t)strtol(argv[1], NULL, 10);
        if (prepare(&s) < 0)
                return 1;
        reap(&s); /* what ended before we listened */
        for (;;) {
                struct pollfd wait[] = { { .fd = s.control, .events = POLLIN }, { .fd = s.signals, .events = POLLIN } };
                struct signalfd_siginfo info;
                if (poll(wait, 2, -1) < 0)
                        continue;
                if (wait[1].revents && read(s.signals, &info, sizeof info) > 0)
                        reap(&s);
                if (wait[0].revents && !serve(&s))
                        return 0; /* and the box with us */
        }
}
