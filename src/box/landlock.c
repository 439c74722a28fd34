/* SPDX-License-Identifier: Apache-2.0 */
#include "box/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"

/* From linux/landlock.h of kernel 6.12; Debian 12's header ends at the second version. */
enum {
        FS_EXECUTE = 1 << 0,
        FS_WRITE_FILE = 1 << 1,
        FS_READ_FILE = 1 << 2,
        FS_READ_DIR = 1 << 3,
        FS_REFER = 1 << 13,
        FS_TRUNCATE = 1 << 14,
        FS_IOCTL_DEV = 1 << 15,
        SCOPE_ABSTRACT_UNIX_SOCKET = 1 << 0,
        SCOPE_SIGNAL = 1 << 1,
        RULE_PATH_BENEATH = 1,
        CREATE_RULESET_VERSION = 1,
};

struct ruleset_attr {
        uint64_t handled_access_fs;
        uint64_t handled_access_net;
        uint64_t scoped;
};

struct __attribute__((packed)) path_beneath_attr {
        uint64_t allowed_access;
        int32_t parent_fd;
};

int rt_landlock_abi(void) {
        long r = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
        return r < 0 ? 0 : (int)r;
}

/* Every file access right of that version. */
static uint64_t all_rights(int abi) {
        uint64_t rights = (1 << 13) - 1;
        if (abi >= 2)
                rights |= FS_REFER;
        if (abi >= 3)
                rights |= FS_TRUNCATE;
        if (abi >= 5)
                rights |= FS_IOCTL_DEV;
        return rights;
}

/* A path that does not exist needs no rule. */
static int allow(int ruleset, const char *path, uint64_t rights) {
        rt_auto_close int fd = open(path, O_PATH | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : -1;
        struct path_beneath_attr rule = { .allowed_access = rights, .parent_fd = fd };
        return (int)syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0);
}

static int allow_reading(int ruleset, const struct rt_slot_places *places, bool own_root) {
        static const char *const system_directories[] = { "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64",
                                                          "/opt", "/etc", "/proc", "/var/lib" };
        const uint64_t reading = FS_EXECUTE | FS_READ_FILE | FS_READ_DIR;
        if (own_root)
                return allow(ruleset, "/", reading);
        for (size_t i = 0; i < RT_LEN(system_directories); i++)
                if (allow(ruleset, system_directories[i], reading) < 0)
                        return -1;
        return allow(ruleset, places->runtimes, reading);
}

/* In a root of its own /dev holds nothing else. The host's holds its terminals and shared memory too. */
static int allow_devices(int ruleset, uint64_t rights, bool own_root) {
        static const char *const devices[] = { "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom" };
        if (own_root)
                return allow(ruleset, "/dev", rights);
        for (size_t i = 0; i < RT_LEN(devices); i++)
                if (allow(ruleset, devices[i], rights & ~(uint64_t)FS_READ_DIR) < 0)
                        return -1;
        return 0;
}

int rt_landlock_enter(const struct rt_slot_places *places, bool own_root) {
        int abi = rt_landlock_abi();
        struct ruleset_attr attr = { .handled_access_fs = all_rights(abi),
                                     .scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL };
        size_t size = abi >= 6 ? sizeof attr : sizeof attr.handled_access_fs;
        rt_auto_close int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
        if (ruleset < 0)
                return -1;
        uint64_t devices = all_rights(abi) & (FS_READ_FILE | FS_WRITE_FILE | FS_READ_DIR | FS_TRUNCATE | FS_IOCTL_DEV);
        if (allow_reading(ruleset, places, own_root) < 0 || allow_devices(ruleset, devices, own_root) < 0 ||
            allow(ruleset, places->work, all_rights(abi)) < 0 || allow(ruleset, places->tmp, all_rights(abi)) < 0)
                return -1;
        if (own_root && allow(ruleset, "/dev/shm", all_rights(abi)) < 0)
                return -1;
        return (int)syscall(SYS_landlock_restrict_self, ruleset, 0);
}
