/* SPDX-License-Identifier: Apache-2.0 */
#include "box/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "box/landlock.h"
#include "box/seccomp.h"

static bool active(const struct rt_wire_arm *arm, enum rt_mechanism mechanism) {
        return arm->mechanisms & (1u << mechanism);
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
        } limits[] = { { RLIMIT_CORE, 1 }, { RLIMIT_RTPRIO, 0 }, { RLIMIT_SIGPENDING, 1024 },
                       { RLIMIT_MSGQUEUE, 128 << 10 } };
        for (size_t i = 0; i < RT_LEN(limits); i++)
                if (set_limit(limits[i].resource, limits[i].value) < 0)
                        return -1;
        return 0;
}

int rt_guest_limit(const struct retort_limits *limits, const struct rt_wire_arm *arm) {
        /* The keeper stops the box at cpu_ms exactly; this is for hosts where it only polls. */
        if (set_limit(RLIMIT_NICE, 0) < 0 || /* only now: see box/ahead.c */
            set_limit(RLIMIT_CPU, limits->cpu_ms / 1000 + 2) < 0 || set_limit(RLIMIT_FSIZE, limits->file_bytes) < 0 ||
            set_limit(RLIMIT_NOFILE, limits->open_files) < 0)
                return -1;
        if (active(arm, RT_BOX_CGROUP_PIDS))
                return 0;
        /* One more than allowed, so that who wants it can be seen. */
        return set_limit(RLIMIT_NPROC, limits->processes + 1 + arm->others);
}

int rt_guest_take(const int fds[RT_WIRE_MAX_FDS], bool terminal) {
        for (int i = 0; i < 4; i++) /* all that came is above 3: whoever received them saw to that */
                if (dup2(fds[i + 1], i) < 0)
                        return -1;
        return terminal ? (int)syscall(SYS_ioctl, 0, TIOCSCTTY, 0) : 0;
}

static int set_capabilities(uint32_t low) {
        struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[2] = { { .effective = low, .permitted = low } };
        (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        return (int)syscall(SYS_capset, &head, data);
}

int rt_guest_no_capabilities(void) {
        return set_capabilities(0);
}

static int empty_bounding_set(const struct rt_wire_arm *arm) {
        for (int cap = 0; active(arm, RT_BOX_CAPABILITIES) && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
                if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) > 0 && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 &&
                    (arm->can_setuid || errno != EPERM))
                        return -1; /* an ordinary user may not, and has none to regain under no_new_privs */
        return 0;
}

static int change_ids(const struct rt_wire_arm *arm) {
        gid_t gid = arm->guest_uid;
        if (arm->can_setuid && (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 ||
                                setresuid(arm->guest_uid, arm->guest_uid, arm->guest_uid) < 0))
                return -1;
        return active(arm, RT_BOX_CAPABILITIES) ? rt_guest_no_capabilities() : 0;
}

/* Where memory runs out, the kernel should take a guest before any process of ours. */
static void offer_to_oom(void) {
        (void)rt_write_file_at(AT_FDCWD, "/proc/self/oom_score_adj", "1000");
}

static int enter_landlock(const struct rt_wire_arm *arm) {
        return active(arm, RT_BOX_LANDLOCK) ? rt_landlock_enter(&arm->places, active(arm, RT_BOX_MOUNT_NS)) : 0;
}

int rt_guest_become(const struct rt_wire_arm *arm, int *ret_listener) {
        if (setsid() < 0 || set_fixed_limits() < 0) /* the policy lets nobody set a core limit */
                return -1;
        offer_to_oom();
        if (empty_bounding_set(arm) < 0 || change_ids(arm) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            chdir(arm->places.work) < 0)
                return -1;
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0) /* a change of ids would have cleared it */
                return -1;
        if (enter_landlock(arm) < 0)
                return -1;
        *ret_listener = -1;
        if (!active(arm, RT_BOX_SECCOMP) || rt_seccomp_enter(RT_SECCOMP_DENIED, ret_listener) == 0)
                return 0;
        *ret_listener = -1; /* no listeners before Linux 5.0: the filter kills by itself */
        return rt_seccomp_enter(RT_SECCOMP_NOTHING, NULL);
}

int rt_guest_confine(const struct rt_wire_arm *arm, int *ret_listener) {
        const uint32_t ids = (1u << CAP_SETUID) | (1u << CAP_SETGID);
        if (set_fixed_limits() < 0 || empty_bounding_set(arm) < 0 || set_capabilities(arm->can_setuid ? ids : 0) < 0 ||
            prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -1;
        return enter_landlock(arm) < 0 ? -1 : rt_seccomp_enter(RT_SECCOMP_MARKED_TOO, ret_listener);
}

int rt_guest_shed(const struct rt_wire_arm *arm) {
        if (setsid() < 0 || change_ids(arm) < 0 || chdir(arm->places.work) < 0)
                return -1;
        return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}
