# SPDX-License-Identifier: Apache-2.0
"""Where hostile programs are tried: a corner of the host in which nothing of theirs can hide.

While these tests run, pytest is the reaper of every orphan below it, sits in a control group of its own, and has mount
and IPC namespaces of its own. So whatever a run leaves behind is left here and belongs to it, whatever else the machine
does meanwhile. Canaries lie about: secrets that must never be printed and sockets that nobody may reach.
"""
import base64
import ctypes
import importlib.util
import json
import os
import pathlib
import re
import secrets
import socket
import subprocess
import tempfile

import pytest

# tests/e2e has a conftest of its own: the same name, so it is loaded by its path.
_spec = importlib.util.spec_from_file_location("e2e_conftest", pathlib.Path(__file__).parents[1] / "e2e" / "conftest.py")
e2e = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(e2e)

BIN, RUNTIMES_DIR, environment, eventually = e2e.BIN, e2e.RUNTIMES, e2e.environment, e2e.eventually
LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_CHILD_SUBREAPER, CLONE_NEWNS, CLONE_NEWIPC = 36, 0x00020000, 0x08000000
MS_REC, MS_PRIVATE, MS_SHARED = 16384, 1 << 18, 1 << 20
FIRST_GUEST_UID = 0x40000000
installed_languages = e2e.installed_languages  # the fixture, here too


def must(result, what):
    if result < 0:
        raise OSError(ctypes.get_errno(), what)


def v1_groups():
    """The version 1 hierarchies a jailer may use -> our own group in each."""
    mounts = {}
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, options = line.split()[:4]
        if kind == "cgroup":
            for one in options.split(","):
                mounts[one] = where
    found = {}
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        for one in names.split(","):
            if one in ("memory", "pids", "cpuacct") and one in mounts:
                found[mounts[one]] = pathlib.Path(mounts[one] + path)
    return list(found.values())


class Corner:
    """Our place on the host, and everything in it that a guest could have changed."""

    def __init__(self, scratch):
        self.scratch = scratch
        self.origin = [os.open(f"/proc/self/ns/{name}", os.O_RDONLY) for name in ("mnt", "ipc")]
        self.cwd = os.getcwd()
        must(LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "subreaper")
        must(LIBC.unshare(CLONE_NEWNS | CLONE_NEWIPC), "unshare")
        # Nothing of ours goes out; but what a jailer fails to keep to itself comes in, and is seen.
        must(LIBC.mount(None, b"/", None, MS_REC | MS_PRIVATE, None), "private mounts")
        must(LIBC.mount(None, b"/", None, MS_REC | MS_SHARED, None), "shared mounts")
        self.groups = []
        for parent in v1_groups():
            group = parent / f"escape-{os.getpid()}"
            group.mkdir()
            (group / "cgroup.procs").write_text(str(os.getpid()))
            self.groups.append((group, parent))

    def leave(self):
        for group, parent in self.groups:
            (parent / "cgroup.procs").write_text(str(os.getpid()))
            group.rmdir()
        for fd in self.origin:
            must(LIBC.setns(fd, 0), "setns")
            os.close(fd)
        must(LIBC.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0), "subreaper")
        os.chdir(self.cwd)

    def descendants(self):
        """Processes below us -> what they are. An orphan of a run is our child: we are the reaper."""
        while True:  # those that have only not been asked about yet are not left behind
            try:
                if os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG) is None:
                    break
            except ChildProcessError:
                break
        parents, what = {}, {}
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                stat = (entry / "stat").read_text()
                what[int(entry.name)] = f"{stat[:stat.rindex(')') + 3]} uid {entry.stat().st_uid}"
            except OSError:
                continue
            parents[int(entry.name)] = int(stat[stat.rindex(")") + 2:].split()[1])
        ours, grown = {os.getpid()}, True
        while grown:
            more = {pid for pid, parent in parents.items() if parent in ours} - ours
            ours |= more
            grown = bool(more)
        return {pid: what[pid] for pid in ours if pid != os.getpid()}

    def picture(self):
        devices = ("null", "zero", "full", "random", "urandom")
        stats = {name: os.stat(f"/dev/{name}") for name in devices}
        ours = self.descendants()
        return {
            "processes": ours,
            "network namespaces": {os.stat(f"/proc/{pid}/ns/net").st_ino for pid in (*ours, os.getpid())},
            "mounts": sorted(pathlib.Path("/proc/self/mounts").read_text().splitlines()),
            "control groups": sorted(str(one) for group, _ in self.groups for one in group.rglob("*") if one.is_dir()),
            "scratch": sorted(os.listdir(self.scratch)),
            "strays in /tmp": sorted(n for n in os.listdir("/tmp") if abandoned(n)),
            "descriptors": sorted(f for f in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{f}")),
            "shared memory": pathlib.Path("/proc/sysvipc/shm").read_text(),
            "message queues": pathlib.Path("/proc/sysvipc/msg").read_text(),
            "semaphores": pathlib.Path("/proc/sysvipc/sem").read_text(),
            "/dev/shm": sorted(n for n in os.listdir("/dev/shm") if n.startswith(("retort", "guest"))),
            "devices": {n: (s.st_mode, s.st_uid, s.st_gid, s.st_mtime_ns) for n, s in stats.items()},
            "host name": os.uname().nodename,
        }


def abandoned(name):
    """Whether this is a scratch directory of a jailer that lives no more; of one that lives it is somebody else's."""
    found = re.fullmatch(r"retort-(\d+)-\d+\.(work|tmp)", name)
    return found and not os.path.exists(f"/proc/{found[1]}")


class Canaries:
    """What a guest must never see or reach."""

    def __init__(self, scratch):
        self.secret = "canary" + secrets.token_hex(12)
        name = f"canary-of-the-host-{os.getpid()}"
        self.files = [pathlib.Path("/root") / name, pathlib.Path("/tmp") / name, scratch.parent / name]
        for path in self.files:
            path.write_text(f'"{self.secret}"\n')
            path.chmod(0o644)  # only the box keeps the guest away
        self.unix_path = f"/tmp/{name}.sock"
        self.abstract = name
        self.sockets = []
        for family, where in ((socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_INET6, ("::1", 0)),
                              (socket.AF_UNIX, self.unix_path), (socket.AF_UNIX, "\0" + name)):
            one = socket.socket(family, socket.SOCK_STREAM)
            try:
                one.bind(where)
            except OSError:
                if family != socket.AF_INET6:  # a host without IPv6 has no canary there
                    raise
                one.close()
                continue
            one.listen()
            one.setblocking(False)
            self.sockets.append(one)
        self.port = self.sockets[0].getsockname()[1]
        self.shadow = [line for line in pathlib.Path("/etc/shadow").read_text().splitlines() if len(line) > 12]

    def remove(self):
        for one in self.sockets:
            one.close()
        for path in (*self.files, pathlib.Path(self.unix_path)):
            path.unlink(missing_ok=True)

    def for_guest(self):
        """Where to look: told to the guest, so that it does not have to guess."""
        return {"CANARY_FILES": ":".join(map(str, self.files)), "CANARY_PORT": str(self.port),
                "CANARY_UNIX": self.unix_path, "CANARY_ABSTRACT": self.abstract}

    def check(self, *texts):
        for data in texts:
            assert self.secret.encode() not in data, "a secret of the host was printed"
            for line in self.shadow:
                assert line.encode() not in data, "a line of /etc/shadow was printed"
        for one in self.sockets:
            with pytest.raises(BlockingIOError):  # nobody knocked
                one.accept()


def in_text(outcome, key):
    data = outcome.get(key, "")
    return base64.b64decode(data) if outcome.get(key + "_encoding") else data.encode()


@pytest.fixture(scope="session")
def strong_host():
    """These tests state what strong isolation does."""
    if os.geteuid() != 0:
        pytest.skip("needs root: canaries in /root, control groups and namespaces of the tests' own")
    if not (BIN / "retort").exists():
        pytest.fail(f"there is no retort in {BIN}; build first")
    done = subprocess.run([BIN / "retort", "doctor", "--json"], capture_output=True, env=environment(), timeout=60)
    host = json.loads(done.stdout)
    if host["level"] != "strong":
        pytest.skip(f"this host gives isolation {host['level']} only; missing: {', '.join(host['missing'])}")


@pytest.fixture(scope="session")
def corner(strong_host):
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="escape-scratch-"))
    scratch.chmod(0o711)  # a guest without a mount namespace passes through
    here = Corner(scratch)
    yield here
    here.leave()
    scratch.rmdir()


@pytest.fixture(scope="session")
def canaries(strong_host, tmp_path_factory):
    planted = Canaries(tmp_path_factory.mktemp("canaries") / "x")
    yield planted
    planted.remove()


@pytest.fixture
def host_unchanged(corner):
    """Compares the host before and after; what needs a moment to go has ten seconds."""
    before = corner.picture()
    yield before
    eventually(lambda: corner.picture() == before, 10)
    after = corner.picture()
    for what, value in before.items():
        assert after[what] == value, f"{what} changed"
