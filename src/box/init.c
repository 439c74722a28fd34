/* SPDX-License-Identifier: Apache-2.0
 *
 * Two processes. The first (pid 1 of the box) holds nothing but its socket; the second, the parked one, drops
 * ids, capabilities, files and system calls *before* it is known what it will run, so that nothing stands between
 * the request and its execve. Everything here happens inside the box; nothing here is trusted by the keeper
 * beyond the messages it sends. Where guests are forked into the box from outside (box/forked.c) there is no second one.
 */
#include "box/init.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "box/forkserver.h"
#include "box/guest.h"
#include "box/plan.h"

static void die_with(int parked_socket, int code) {
        struct rt_wire_message message = { .op = RT_BAD_EXEC };
        message.exited.exec_errno = code;
        (void)rt_wire_send(parked_socket, &message, NULL, 0);
        _exit(127);
}

static void start_program(int socket, bool terminal, const int fds[RT_WIRE_MAX_FDS]) {
        static char *argv[RT_PLAN_MAX_STRINGS + 1];
        static char *env[RT_PLAN_MAX_STRINGS + 1];
        struct rt_plan plan;
        if (rt_plan_map(fds[0], &plan, NULL) < 0)
                die_with(socket, EINVAL);
        rt_plan_strings(&plan, argv, env);
        if (rt_guest_take(fds, terminal) < 0)
                die_with(socket, errno);
        (void)execve(argv[0], argv, env);
        die_with(socket, errno);
}

/* A program that waits for what it is to run: it keeps this end of the socket, and says when it waits. All else is as for
 * any program. */
static void start_ahead(int socket, const int fds[RT_WIRE_MAX_FDS]) {
        if (fds[RT_START_FDS] < 0 || dup2(socket, RT_FORKSERVER_SOCKET) < 0 || dup2(fds[RT_START_FDS], RT_FORKSERVER_LIBRARY) < 0)
                die_with(socket, EINVAL);
        start_program(socket, false, fds);
}

/* The parked process. Moves the socket out of the guest's descriptor 3 first. */
static void park(const struct rt_wire_arm *arm) {
        int listener = -1;
        int socket = fcntl(RT_INIT_SOCKET, F_DUPFD_CLOEXEC, 10);
        (void)close(RT_INIT_SOCKET);
        if (socket < 0 || rt_guest_become(arm, &listener) < 0)
                die_with(socket, errno);
        struct rt_wire_message message = { .op = RT_PARKED };
        if (rt_wire_send(socket, &message, &listener, listener >= 0) < 0)
                _exit(126);
        listener = rt_close(listener);

        /* Received descriptors must not land on 0 to 3, where the program's go. */
        for (int fd = open("/dev/null", O_RDWR | O_CLOEXEC); fd >= 0 && fd < 3;)
                fd = dup(fd);
        int fds[RT_WIRE_MAX_FDS];
        if (rt_wire_receive(socket, &message, fds) != 1 || message.op != RT_GO || fds[RT_START_FDS - 1] < 0)
                _exit(126);
        if (message.bits & RT_START_AHEAD)
                start_ahead(socket, fds); /* it limits itself when it has a program */
        if (rt_guest_limit(&message.limits, arm) < 0)
                die_with(socket, errno);
        start_program(socket, message.bits & RT_START_TERMINAL, fds);
}

static uint64_t timeval_ns(struct timeval t) {
        return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_usec * 1000u;
}

/* Reaps until killed; tells when the step's own process has ended. */
static int reap(pid_t parked) {
        for (;;) {
                int status;
                struct rusage usage;
                pid_t pid = wait4(-1, &status, __WALL, &usage);
                if (pid < 0 && errno == EINTR)
                        continue;
                if (pid < 0) {
                        (void)pause(); /* nobody left: wait to be killed */
                        continue;
                }
                if (pid != parked)
                        continue;
                struct rt_wire_message message = { .op = RT_EXITED };
                message.exited = (struct rt_wire_exited){
                        .wait_status = status,
                        .at_ns = rt_now_ns(),
                        .user_ns = timeval_ns(usage.ru_utime),
                        .system_ns = timeval_ns(usage.ru_stime),
                        .max_rss_bytes = (uint64_t)usage.ru_maxrss * 1024,
                };
                if (rt_wire_send(RT_INIT_SOCKET, &message, NULL, 0) < 0)
                        return 1;
        }
}

static int tell_ready(void) {
        struct rt_wire_message ready = { .op = RT_PARKED };
        return rt_wire_send(RT_INIT_SOCKET, &ready, NULL, 0);
}

int rt_init_main(void) {
        struct rt_wire_message message;
        (void)prctl(PR_SET_NAME, "retort-init", 0, 0, 0); /* started by descriptor, it would be called by its number */
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ||
            prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
                return 1;
        if (rt_wire_receive(RT_INIT_SOCKET, &message, NULL) != 1 || message.op != RT_ARM)
                return 1;
        static const int ignored[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT }; /* by the keeper */
        for (size_t i = 0; i < RT_LEN(ignored); i++)
                (void)signal(ignored[i], SIG_DFL);
        pid_t parked = message.arm.guests_come ? tell_ready() : fork();
        if (parked < 0)
                return 1;
        if (parked == 0 && !message.arm.guests_come)
                park(&message.arm);
        if (message.arm.mechanisms & (1u << RT_BOX_CAPABILITIES))
                (void)rt_guest_no_capabilities();
        (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); /* nor may an exec bring them back */
        return reap(parked);
}
