# SPDX-License-Identifier: Apache-2.0
"""What a review of src/box found, each with its proof. As root: pytest tests/escape/test_walls.py

Needs RETORT_BUILD (default: build/ of this tree)."""
import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from conftest import eventually

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("RETORT_BUILD", ROOT / "build"))
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "RETORT_RUNTIMES": str(BUILD / "runtimes"),
               "RETORT_LIBEXEC": str(BUILD / "src/bin")}
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="looks at other users' processes")


@pytest.fixture
def open_path():
    """A directory that other users can reach, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="review-", dir="/tmp") as name:
        os.chmod(name, 0o755)
        yield Path(name)


def command(program, tmp_path, options, more):
    source = tmp_path / "program.py"
    source.write_text("import os, sys, time\n" + program)
    more["env"] = dict(ENVIRONMENT, **more.pop("environment", {}))
    return [BUILD / "src/bin/retort", "run", *options, source]


def start(program, tmp_path, *options, **more):
    """Starts a Python program in a box; it has printed `begun` when this returns."""
    child = subprocess.Popen(command(program, tmp_path, options, more), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, **more)
    assert child.stdout.readline() == "begun\n", child.stderr.read()
    return child


def run(program, tmp_path, *options, **more):
    done = subprocess.run(command(program, tmp_path, options, more), capture_output=True, text=True, timeout=60, **more)
    return done.stdout, done.stderr


def family(pid):
    """The processes of a retort: name -> pid, from the command down to the guest."""
    found = {}
    todo = [pid]
    while todo:
        one = todo.pop()
        try:
            found[Path(f"/proc/{one}/comm").read_text().strip()] = one
            for task in Path(f"/proc/{one}/task").iterdir():
                todo += [int(p) for p in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def descriptors(pid):
    return {int(p.name): os.readlink(p) for p in Path(f"/proc/{pid}/fd").iterdir()}


def test_jailer_and_keeper_have_nothing_of_the_callers(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("s")
    fd = os.open(secret, os.O_RDONLY)
    child = start("print('begun', flush=True); time.sleep(9)", tmp_path, environment={"API_KEY": "hunter2", "LD_DEBUG": "x"}, pass_fds=[fd])
    found = family(child.pid)
    try:
        for name in ("retort-jailer", "retort-keeper", "retort-init"):
            assert Path(f"/proc/{found[name]}/environ").read_bytes() == b""
            held = descriptors(found[name])
            assert str(secret) not in held.values()
            assert held[0] == held[1] == "/dev/null"
        for name in ("retort-keeper", "retort-init"):
            assert descriptors(found[name])[2] == "/dev/null"
        assert set(descriptors(found["retort-init"])) == {0, 1, 2, 3}
        assert set(descriptors(found["python3"])) == {0, 1, 2, 3}
    finally:
        child.kill()
        child.communicate()
        os.close(fd)


@pytest.mark.parametrize("mask", [0o077, 0o777, 0])
def test_callers_umask_does_not_shape_the_box(tmp_path, mask):
    out, err = run("print(oct(os.umask(0)), os.path.exists('/etc/passwd'))", tmp_path, preexec_fn=lambda: os.umask(mask))
    assert out == "0o22 True\n", err


def test_a_set_user_id_jailer_refuses(open_path):
    jailer = open_path / "retort-jailer"
    jailer.write_bytes((BUILD / "src/bin/retort-jailer").read_bytes())
    jailer.chmod(0o4755)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = subprocess.Popen([jailer, "--runtimes=/usr", "--init=/bin/true", "--ceilings=1,1,1,1,1,1,1,1"], user=65534,
                             group=65534, extra_groups=[], pass_fds=[3] if theirs.fileno() == 3 else [],
                             preexec_fn=lambda: os.dup2(theirs.fileno(), 3, True), close_fds=False)
    theirs.close()
    ours.settimeout(60)
    assert b"set-user-id" in ours.recv(8192)
    assert child.wait(60) == 1


# ---- a keeper that was taken over ----

def steal(pid, wanted):
    """Duplicates of another process's descriptors, those whose path ends so."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    stolen = [libc.syscall(438, pidfd, fd, 0) for fd, path in descriptors(pid).items() if path.endswith(wanted)]
    os.close(pidfd)
    return stolen


def as_user(uid, action):
    """The exit status of a process with that uid: 0, or the errno of action."""
    child = os.fork()
    if child == 0:
        code = 0
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            action()
        except OSError as error:
            code = error.errno
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_keeper_cannot_pull_strangers_into_its_cgroup(tmp_path):
    child = start("print('begun', flush=True); time.sleep(9)", tmp_path)
    victim = subprocess.Popen(["sleep", "30"])
    try:
        keeper = family(child.pid)["retort-keeper"]
        uid = Path(f"/proc/{keeper}").stat().st_uid
        tasks = steal(keeper, "/tasks")
        if not tasks:
            pytest.skip("no cgroup of version 1")
        for fd in tasks:
            assert as_user(uid, lambda: os.write(fd, str(victim.pid).encode())) != 0
            os.close(fd)
        assert "slot" not in Path(f"/proc/{victim.pid}/cgroup").read_text()
    finally:
        for process in (victim, child):
            process.kill()
            process.communicate()


def test_a_keeper_keeps_no_group_of_the_callers(tmp_path):
    child = start("print('begun', flush=True); time.sleep(9)", tmp_path, extra_groups=[4, 27])
    try:
        found = family(child.pid)
        for name in ("retort-keeper", "retort-init", "python3"):
            status = Path(f"/proc/{found[name]}/status").read_text()
            assert [line.split()[1:] for line in status.splitlines() if line.startswith("Groups:")] == [[]], name
    finally:
        child.kill()
        child.communicate()


# ---- what the kernel counts for the whole host ----

GREED = """
import ctypes, signal
libc = ctypes.CDLL(None)
got = 0
while got < 1000 and libc.inotify_init1(0) >= 0:
    got += 1
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN])
queued = 0
while queued < 200000 and libc.sigqueue(os.getpid(), int(signal.SIGRTMIN), None) == 0:
    queued += 1
print('begun', flush=True)
time.sleep(9)
"""


def test_inotify_and_queued_signals_of_a_guest_leave_the_hosts_alone(tmp_path):
    """Both are charged to the owner of the slot's user namespace too, which is the host's root."""
    libc = ctypes.CDLL(None, use_errno=True)
    child = start(GREED, tmp_path)
    try:
        fd = libc.inotify_init1(0)
        assert fd >= 0, os.strerror(ctypes.get_errno())
        os.close(fd)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN])
        assert libc.sigqueue(os.getpid(), int(signal.SIGRTMIN), None) == 0, os.strerror(ctypes.get_errno())
        signal.sigtimedwait([signal.SIGRTMIN], 0)
        timer = ctypes.c_void_p()
        assert libc.timer_create(1, None, ctypes.byref(timer)) == 0, os.strerror(ctypes.get_errno())
        libc.timer_delete(timer)
    finally:
        child.kill()
        child.communicate()


def test_honest_use_of_inotify_and_timers_goes_on(tmp_path):
    out, err = run("""
import ctypes, signal
libc = ctypes.CDLL(None)
print(all(libc.inotify_init1(0) >= 0 for i in range(4)), end=' ')
fd = libc.inotify_init1(0)
print(all(libc.inotify_add_watch(fd, d.encode(), 2) >= 0 for d in ('/tmp', '/work', '/etc')), end=' ')
t = ctypes.c_void_p()
print(all(libc.timer_create(1, None, ctypes.byref(t)) == 0 for i in range(200)))
""", tmp_path)
    assert out == "True True True\n", err


def test_the_callers_realtime_rights_do_not_reach_the_guest(tmp_path):
    import resource

    def generous():
        resource.setrlimit(resource.RLIMIT_RTPRIO, (50, 50))
    program = "import resource; print(resource.getrlimit(resource.RLIMIT_RTPRIO))"
    try:
        out, err = run(program, tmp_path, preexec_fn=generous)
    except subprocess.SubprocessError:
        pytest.skip("not even root may raise limits here")
    assert out == "(0, 0)\n", err


def test_a_crash_starts_no_helper_on_the_host(tmp_path):
    """With |/path in core_pattern (systemd-coredump, apport) the kernel runs that as the host's root for every crash; a
    core limit of 0 does not keep it from that, 1 does, and a guest must not be able to go back to 0."""
    pattern = Path("/proc/sys/kernel/core_pattern")
    helper = tmp_path / "helper"
    helper.write_text(f"#!/bin/sh\ncat >/dev/null\n[ \"$2\" -lt 1000000000 ] || touch {tmp_path}/ran\n")
    helper.chmod(0o755)
    before = pattern.read_text()
    try:
        pattern.write_text(f"|{helper} %s %u")
    except OSError:
        pytest.skip("core_pattern is not ours to change")
    try:
        for make_zero in ("", "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))", "ulimit"):
            if make_zero == "ulimit":
                program = "os.execv('/bin/sh', ['sh', '-c', 'ulimit -c 0; kill -SEGV $$'])"
            else:
                program = f"import resource\n{make_zero}\nassert resource.getrlimit(resource.RLIMIT_CORE) == (1, 1)\nos.abort()"
            out, err = run(program, tmp_path)
            assert "signal" in err, err
        time.sleep(0.3)
        assert not (tmp_path / "ran").exists()
    finally:
        pattern.write_text(before)


# ---- an engine that was taken over ----

HELLO, MAKE, MADE, FAIL, START, KILL, END, RECYCLE, READY = range(1, 10)
MOUNT_NS = 1 << 1
CEILINGS = [86400000, 86400000, 1 << 40, 32768, 1 << 30, 1 << 40, 1048576, 1 << 40]
LIMITS = [10000, 10000, 512 << 20, 256, 16 << 20, 64 << 20, 512, 64 << 20]


class Slot(socket.socket):
    """An engine's end of a keeper's socket."""
    places = ()


class Jail:
    """Speaks to a jailer and its keepers as an engine does, and as none should."""

    def __init__(self, scratch, *, disable=0, expect=HELLO):
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(30)
        self.process = subprocess.Popen(
            [BUILD / "src/bin/retort-jailer", f"--runtimes={BUILD}/runtimes", f"--init={BUILD}/src/bin/retort-init",
             f"--scratch={scratch}", f"--disable={disable}", "--ceilings=" + ",".join(map(str, CEILINGS))], env={},
            preexec_fn=lambda: os.dup2(theirs.fileno(), 3, True), close_fds=False)
        theirs.close()
        self.hello = self.socket.recv(65536)
        assert self.op(self.hello) == expect, self.hello

    @staticmethod
    def op(message):
        return struct.unpack_from("=I", message)[0] if len(message) >= 4 else 0

    def make(self):
        self.socket.send(struct.pack("=II", MAKE, 0))
        message, fds, _, _ = socket.recv_fds(self.socket, 65536, 5)
        assert self.op(message) == MADE, message
        slot = Slot(fileno=fds[0])
        slot.settimeout(30)
        slot.places = [text.split(b"\0")[0].decode() for text in struct.unpack_from("=192s192s192s", message, 8)]
        slot.send(struct.pack("=II", RECYCLE, 0))
        assert self.op(slot.recv(65536)) == READY
        return slot

    def start(self, slot, argv, files=(), limits=LIMITS):
        """START, and the answer: (op, message)."""
        plan = struct.pack("=IIII", 0x52745031, len(argv), 0, len(files))
        plan += b"".join(word.encode() + b"\0" for word in argv)
        for path, content in files:
            plan += struct.pack("=QII", len(content), len(path) + 1, 0) + path.encode() + b"\0" + content
        fd = os.memfd_create("plan", os.MFD_ALLOW_SEALING)
        os.write(fd, plan)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, 15)
        null = os.open("/dev/null", os.O_RDWR)
        socket.send_fds(slot, [struct.pack("=II8Q", START, 0, *limits)], [fd, null, null, null, null])
        os.close(fd)
        os.close(null)
        message = slot.recv(65536)
        return self.op(message), message

    def close(self):
        self.socket.close()
        return self.process.wait(60)


@pytest.mark.parametrize("disable", [0, MOUNT_NS])
def test_files_of_a_later_step_cannot_follow_a_guests_links(open_path, disable):
    """Without a mount namespace the keeper is the host's root, and writes where the path leads."""
    scratch = open_path / "scratch"
    target = open_path / "target"
    for directory in (scratch, target):
        directory.mkdir()
    jail = Jail(scratch, disable=disable)
    slot = jail.make()
    op, _ = jail.start(slot, ["/bin/ln", "-s", str(target), slot.places[0] + "/link"])
    assert op == END
    op, message = jail.start(slot, ["/bin/true"], [("link/evil", b"* * * * * root evil\n")])
    assert op == FAIL, message
    assert not (target / "evil").exists()
    slot.close()
    assert jail.close() == 0
    assert list(scratch.iterdir()) == []


def test_limits_above_the_ceilings_or_below_the_floors_are_refused(tmp_path):
    jail = Jail(tmp_path)
    slot = jail.make()
    for i in range(len(LIMITS)):
        for value in (0, CEILINGS[i] + 1, 2**64 - 1):
            op, message = jail.start(slot, ["/bin/true"], limits=LIMITS[:i] + [value] + LIMITS[i + 1:])
            assert op == FAIL and b"outside" in message
    assert jail.start(slot, ["/bin/true"])[0] == END
    slot.close()
    assert jail.close() == 0


@pytest.mark.parametrize("message", [b"", b"x", struct.pack("=II", 99, 0), struct.pack("=II", MADE, 0),
                                     struct.pack("=II", START, 0), b"\0" * 8192],
                         ids=["empty", "short", "unknown", "wrong way", "cut", "long"])
def test_what_no_engine_says_ends_the_peer_and_leaves_nothing(tmp_path, message):
    jail = Jail(tmp_path)
    slot = jail.make()
    slot.send(message)
    assert slot.recv(100) == b""  # the keeper is gone
    jail.socket.send(message)
    assert jail.process.wait(60) == 0
    assert not list(Path("/sys/fs/cgroup").glob(f"*/**/retort.{jail.process.pid}"))


def test_descriptors_with_every_message_exhaust_nobody(tmp_path):
    jail = Jail(tmp_path)
    slot = jail.make()
    keeper = next(p for p in family(jail.process.pid).values() if Path(f"/proc/{p}/comm").read_text() == "retort-keeper\n")
    before = len(descriptors(keeper))
    null = os.open("/dev/null", os.O_RDWR)
    for _ in range(300):
        socket.send_fds(slot, [struct.pack("=II", KILL, 0)], [null] * 5)
    assert jail.start(slot, ["/bin/true"])[0] == END
    assert len(descriptors(keeper)) <= before
    os.close(null)
    slot.close()
    assert jail.close() == 0


# ---- what one guest leaves for the next, or for the host ----

def test_device_times_of_the_host_cannot_be_changed(tmp_path):
    before = {name: os.stat(f"/dev/{name}") for name in ("null", "zero", "full", "random", "urandom")}
    out, err = run("""
for name in ('null', 'zero', 'full', 'random', 'urandom'):
    for change in (lambda p: os.utime(p), lambda p: os.utime(p, (1, 1)), lambda p: os.chmod(p, 0o600)):
        try:
            change('/dev/' + name)
            print('changed', name)
        except OSError:
            pass
open('/dev/null', 'w').write('still writable')
print(len(open('/dev/urandom', 'rb').read(10)), open('/dev/zero', 'rb').read(1))
""", tmp_path)
    assert out == "10 b'\\x00'\n", err
    for name, stat in before.items():
        after = os.stat(f"/dev/{name}")
        assert after.st_mtime_ns == stat.st_mtime_ns and after.st_mode == stat.st_mode


NETWORK = {
    "nothing": ("pass", READY),
    "no route": ("import socket; s = socket.socket(2, 2); s.connect_ex(('8.8.8.8', 1))", FAIL),
    "no route, IPv6": ("import socket; s = socket.socket(10, 2); s.connect_ex(('2001:db8::1', 1))", FAIL),
    "loopback": ("import socket; s = socket.socket(2, 2); s.sendto(b'x', ('127.0.0.1', 9))", FAIL),
    "unix": ("import socket; a, b = socket.socketpair(); a.send(b'x')", READY),
}


@pytest.mark.parametrize("name", NETWORK)
def test_a_network_that_was_used_serves_nobody_else(tmp_path, name):
    program, answer = NETWORK[name]
    jail = Jail(tmp_path)
    slot = jail.make()
    assert jail.start(slot, ["/usr/bin/python3", "-c", program])[0] == END
    slot.send(struct.pack("=II", RECYCLE, 0))
    assert Jail.op(slot.recv(65536)) == answer
    slot.close()
    assert jail.close() == 0


def test_an_idle_network_stays_as_it_was(tmp_path):
    jail = Jail(tmp_path)
    slot = jail.make()
    for _ in range(4):
        assert jail.start(slot, ["/bin/true"])[0] == END
        time.sleep(0.7)  # whatever the kernel does by itself with a fresh loopback
        slot.send(struct.pack("=II", RECYCLE, 0))
        assert Jail.op(slot.recv(65536)) == READY
    slot.close()
    assert jail.close() == 0


# ---- ends that nobody asked for ----

@pytest.mark.parametrize("disable", [0, MOUNT_NS])
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_service_manager_that_stops_all_processes_leaves_nothing(open_path, stop, disable):
    jail = Jail(open_path, disable=disable)
    slot = jail.make()
    assert jail.start(slot, ["/bin/sh", "-c", "kill -l; trap"])[0] == END
    for pid in family(jail.process.pid).values():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the one before may have taken it along
            if Path(f"/proc/{pid}/comm").read_text() in ("retort-jailer\n", "retort-keeper\n"):
                os.kill(pid, stop)
    slot.close()
    assert jail.process.wait(60) == 0
    assert list(open_path.iterdir()) == []
    assert not [p for c in ("memory", "pids", "cpuacct") for p in Path(f"/sys/fs/cgroup/{c}").rglob(f"retort.{jail.process.pid}")]


def test_a_keeper_that_is_killed_leaves_no_zombie(tmp_path):
    jail = Jail(tmp_path)
    for _ in range(3):
        slot = jail.make()
        keeper = next(p for n, p in family(jail.process.pid).items() if n == "retort-keeper")
        os.kill(keeper, signal.SIGKILL)
        assert slot.recv(100) == b""
        time.sleep(0.3)
        slot.close()
    again = jail.make()

    def zombies():
        children = Path(f"/proc/{jail.process.pid}/task/{jail.process.pid}/children").read_text().split()
        return [p for p in children if Path(f"/proc/{p}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"]
    assert eventually(lambda: not zombies()), zombies()
    assert jail.start(again, ["/bin/true"])[0] == END
    again.close()
    assert jail.close() == 0


def test_the_guests_signals_are_the_default_ones(tmp_path):
    out, err = run("import signal; print([s for s in (1, 2, 3, 15) if signal.getsignal(s) is signal.SIG_IGN])", tmp_path)
    assert out == "[]\n", err


# ---- memory that nobody is charged for ----

def test_network_buffers_are_limited(tmp_path):
    def pages():
        return int(Path("/proc/net/sockstat").read_text().split("UDP: inuse")[1].split()[2])
    if not Path("/sys/fs/cgroup/memory/memory.kmem.tcp.limit_in_bytes").exists():
        pytest.skip("no cgroup of version 1 that knows of network buffers")
    before = pages()
    child = start("""
import socket
held = []
sender = socket.socket(2, 2)
sender.setblocking(False)
for i in range(400):
    s = socket.socket(2, 2)
    s.bind(('127.0.0.1', 0))
    held.append(s)
    for k in range(4):
        try:
            sender.sendto(b'x' * 60000, s.getsockname())
        except OSError:
            pass
print('begun', flush=True)
time.sleep(9)
""", tmp_path)
    try:
        assert pages() - before < (48 << 20) // 4096
    finally:
        child.kill()
        child.communicate()


def test_the_jailer_refuses_ceilings_above_the_tables(tmp_path):
    global CEILINGS
    kept, CEILINGS = CEILINGS, [2**64 - 1] * 8
    try:
        jail = Jail(tmp_path, expect=FAIL)
        assert jail.close() == 1
    finally:
        CEILINGS = kept
