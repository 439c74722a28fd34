# SPDX-License-Identifier: Apache-2.0
# Prints all it can read that is not the toolchains': every file of /etc, /proc, /dev, /sys, /run, /var, /home, /root, /tmp,
# the canaries by each roundabout way, and its environment. The runner looks for the host's secrets in it.
# expect: status=ok exit=0
# limits: wall=15s output=64M
# says: guest:x:1000
import os
import sys

ways = ["", "/proc/1/root", "/proc/self/root", "/proc/self/root/../..", "/proc/1/cwd", "/proc/self/cwd/../../..",
        "/proc/self/task/1/root", "/proc/thread-self/root", "/dev/fd/0/..", "/proc/self/fd/3/..", "/mnt", "/work/.."]
secret = [way + name for way in ways for name in os.environ["CANARY_FILES"].split(":") + ["/etc/shadow", "/etc/gshadow"]]
secret += [f"/proc/{pid}/{name}" for pid in (1, 2, "self") for name in ("environ", "mem", "maps", "stack", "syscall")]
secret += ["/proc/kcore", "/proc/kallsyms", "/proc/kmsg", "/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/dev/mem",
           "/dev/kmem", "/dev/kmsg", "/dev/port", "/dev/vda", "/dev/sda", "/dev/kvm", "/dev/net/tun", "/dev/fuse",
           "/proc/keys", "/proc/timer_list", "/proc/cmdline", "/proc/config.gz", "/proc/modules", "/proc/mounts/../1/environ"]


def show(name):
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        data = os.read(fd, 1 << 16)
        os.close(fd)
    except OSError:
        return False
    sys.stdout.buffer.write(name.encode(errors="replace") + b":\n" + data)
    return True


for name in secret:
    if show(name) and not name.startswith(("/proc/self/", f"/proc/{os.getpid()}/")):
        print("\nopen:", name)
for top in ("/sys", "/run", "/home", "/root", "/boot", "/srv", "/media", "/lost+found"):
    if os.path.exists(top):
        print("\nopen:", top)
seen = 0
for top in ("/etc", "/dev", "/proc", "/var", "/tmp", "/mnt", "/work", "/retort"):
    for folder, folders, names in os.walk(top):
        folders[:] = [n for n in folders if n not in ("certs", "task", "map_files", "fd")]
        for name in names:
            if name not in ("zero", "urandom", "random", "full"):
                seen += show(os.path.join(folder, name))
for pid in os.listdir("/proc"):
    if pid.isdigit() and int(pid) not in (1, os.getpid()):
        print("\nopen: process", pid)
print(dict(os.environ), seen)
