/* SPDX-License-Identifier: Apache-2.0
 *
 * Two processes. The first (pid 1 of the box) holds nothing but its socket; the second, the parked one, drops
 * ids, capabilities, files and system calls *before* it is known what it will run, so that nothing stands between
 * the request and its execve. Everything here happens inside the box; nothing here is trusted by the keeper
 * beyond the messages it sends.
 */
#include "box/init.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "box/landlock.h"
#include "box/plan.h"
#include "box/seccomp.h"
#include "box/wire.h"

static bool active(const struct rt_wire_arm *arm, enum rt_mechanism mechanism) {
        return arm->mechanisms & (1u << mechanism);
}

static void die_with(int parked_socket, int code) {
        struct rt_wire_message message = { .op = RT_BAD_EXEC };
        message.exited.exec_errno = code;
        (void)rt_wire_send(parked_socket, &message, NULL, 0);
        _exit(127);
}

static int set_limit(int resource, uint64_t value) {
        struct rlimit have;
        if (getrlimit(resource, &have) < 0)
                return -1;
        struct rlimit want = { .rlim_cur = value, .rlim_max = value };
        if (have.rlim_max != RLIM_INFINITY && value > have.rlim_max)
                want.rlim_cur = want.rlim_max = have.rlim_max;
        return setrlimit(resource, &want);
}

/* Fixed for every guest, whatever the caller has. Queued signals (and timers, which hold one each) and message queues are
 * counted for the owner of the user namespace too: for the host's root. A core limit of 1 is the one value that also keeps
 * the kernel from starting a core dump helper (core(5), "piping core dumps"); the policy keeps it at that. */
static int set_fixed_limits(void) {
        static const struct {
                int resource;
                uint64_t value;
        } limits[] = { { RLIMIT_CORE, 1 }, { RLIMIT_RTPRIO, 0 }, { RLIMIT_NICE, 0 }, { RLIMIT_SIGPENDING, 1024 },
                       { RLIMIT_MSGQUEUE, 128 << 10 } };
        for (size_t i = 0; i < RT_LEN(limits); i++)
                if (set_limit(limits[i].resource, limits[i].value) < 0)
                        return -1;
        return 0;
}

static int set_limits(const struct retort_limits *limits, const struct rt_wire_arm *arm) {
        /* The keeper stops the box at cpu_ms exactly; this is for hosts where it only polls. */
        if (set_limit(RLIMIT_CPU, limits->cpu_ms / 1000 + 2) < 0 || set_limit(RLIMIT_FSIZE, limits->file_bytes) < 0 ||
            set_limit(RLIMIT_NOFILE, limits->open_files) < 0)
                return -1;
        if (active(arm, RT_BOX_CGROUP_PIDS))
                return 0;
        /* One more than allowed, so that who wants it can be seen. */
        return set_limit(RLIMIT_NPROC, limits->processes + 1 + arm->others);
}

static int empty_capabilities(void) {
        struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct none[2] = { { 0 } };
        (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        return (int)syscall(SYS_capset, &head, none);
}

static int drop_privileges(const struct rt_wire_arm *arm) {
        for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
                if (active(arm, RT_BOX_CAPABILITIES) && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) > 0 &&
                    prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && (arm->can_setuid || errno != EPERM))
                        return -1; /* an ordinary user may not, and has none to regain under no_new_privs */
        gid_t gid = arm->guest_uid;
        if (arm->can_setuid &&
            (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 ||
             setresuid(arm->guest_uid, arm->guest_uid, arm->guest_uid) < 0))
                return -1;
        if (active(arm, RT_BOX_CAPABILITIES) && empty_capabilities() < 0)
                return -1;
        return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* Everything that can be given up before the program is known. */
static int become_guest(const struct rt_wire_arm *arm, int *ret_listener) {
        if (setsid() < 0 || set_fixed_limits() < 0) /* the policy lets nobody set a core limit */
                return -1;
        /* Where memory runs out, the kernel should take a guest before any process of ours. */
        (void)rt_write_file_at(AT_FDCWD, "/proc/self/oom_score_adj", "1000");
        if (drop_privileges(arm) < 0 || chdir(arm->places.work) < 0)
                return -1;
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0) /* a change of ids would have cleared it */
                return -1;
        if (active(arm, RT_BOX_LANDLOCK) && rt_landlock_enter(&arm->places, active(arm, RT_BOX_MOUNT_NS)) < 0)
                return -1;
        if (!active(arm, RT_BOX_SECCOMP))
                return 0;
        if (rt_seccomp_enter(true, ret_listener) == 0)
                return 0;
        *ret_listener = -1; /* no listeners before Linux 5.0: the filter kills by itself */
        return rt_seccomp_enter(false, NULL);
}

static void start_program(int socket, bool terminal, const int fds[RT_WIRE_MAX_FDS]) {
        static char *argv[RT_PLAN_MAX_STRINGS + 1];
        static char *env[RT_PLAN_MAX_STRINGS + 1];
        struct rt_plan plan;
        if (rt_plan_map(fds[0], &plan, NULL) < 0)
                die_with(socket, EINVAL);
        rt_plan_strings(&plan, argv, env);
        for (int i = 0; i < 4; i++) /* all that came is above 3: the socket is 3, and stays open above them */
                if (dup2(fds[i + 1], i) < 0)
                        die_with(socket, errno);
        if (terminal && syscall(SYS_ioctl, 0, TIOCSCTTY, 0) < 0)
                die_with(socket, errno);
        (void)execve(argv[0], argv, env);
        die_with(socket, errno);
}

/* The parked process. Moves the socket out of the guest's descriptor 3 first. */
static void park(const struct rt_wire_arm *arm) {
        int listener = -1;
        int socket = fcntl(RT_INIT_SOCKET, F_DUPFD_CLOEXEC, 10);
        (void)close(RT_INIT_SOCKET);
        if (socket < 0 || become_guest(arm, &listener) < 0)
                die_with(socket, errno);
        struct rt_wire_message message = { .op = RT_PARKED };
        if (rt_wire_send(socket, &message, &listener, listener >= 0) < 0)
                _exit(126);
        listener = rt_close(listener);

        /* Received descriptors must not land on 0 to 3, where the program's go. */
        for (int fd = open("/dev/null", O_RDWR | O_CLOEXEC); fd >= 0 && fd < 3;)
                fd = dup(fd);
        int fds[RT_WIRE_MAX_FDS];
        if (rt_wire_receive(socket, &message, fds) != 1 || message.op != RT_GO || fds[RT_WIRE_MAX_FDS - 1] < 0)
                _exit(126);
        if (set_limits(&message.limits, arm) < 0)
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
        pid_t parked = fork();
        if (parked < 0)
                return 1;
        if (parked == 0)
                park(&message.arm);
        if (message.arm.mechanisms & (1u << RT_BOX_CAPABILITIES))
                (void)empty_capabilities();
        (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); /* nor may an exec bring them back */
        return reap(parked);
}
