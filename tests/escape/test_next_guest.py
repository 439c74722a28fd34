# SPDX-License-Identifier: Apache-2.0
"""One slot, one guest after the other: the second finds nothing of the first. Also what the library gives back, and
that cleaning up works without mount namespaces too.

Through libretort.so, since only an engine that lives on uses a box again.
"""
import ctypes
import json
import os
import pathlib
import time

import pytest

from conftest import BIN, RUNTIMES_DIR, eventually

LIBRARY = BIN.parent / "context" / "libretort.so"

LEAVES = r"""
import ctypes, mmap, os, signal, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
for place in ("/work", "/tmp", "/dev/shm"):
    open(place + "/left", "w").write("left by the first")
    os.makedirs(place + "/deep/er")
os.chmod("/tmp/deep", 0)
for i in range(1, 5):
    libc.shmget(0x5000 + i, 4096, 0o1666)
    libc.msgget(0x5000 + i, 0o1666)
    libc.semget(0x5000 + i, 1, 0o1666)
rt = ctypes.CDLL("librt.so.1")
rt.mq_open(b"/left", os.O_CREAT | os.O_RDWR, 0o666, None)
name = socket.socket(socket.AF_UNIX)
name.bind("\0left")
name.listen()
tcp = socket.socket()
tcp.bind(("127.0.0.1", 7777))
tcp.listen()
os.environ["LEFT"] = "left"
libc.prctl(15, b"left-process")
if USE_NETWORK:
    a = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    a.sendto(b"x", ("127.0.0.1", 9))
if BLOCKED_NETWORK:
    for family, where in ((socket.AF_INET, ("192.0.2.1", 9)), (socket.AF_INET6, ("2001:db8::1", 9))):
        try:
            socket.socket(family, socket.SOCK_DGRAM).sendto(b"x", where)
        except OSError:
            pass
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(100)
    os._exit(0)
os.wait()
signal.setitimer(signal.ITIMER_REAL, 50)
print("left")
"""

FINDS = r"""
import ctypes, os, pathlib, socket
libc = ctypes.CDLL(None, use_errno=True)
for place in ("/work", "/tmp", "/dev/shm"):
    names = [n for n in os.listdir(place) if n not in ("main.py",)]
    if names:
        print("open:", place, names)
for i in range(1, 5):
    if libc.shmget(0x5000 + i, 0, 0) >= 0 or libc.msgget(0x5000 + i, 0) >= 0 or libc.semget(0x5000 + i, 0, 0) >= 0:
        print("open: System V object", i)
rt = ctypes.CDLL("librt.so.1")
if rt.mq_open(b"/left", os.O_RDWR) >= 0:
    print("open: message queue")
for family, where in ((socket.AF_UNIX, "\0left"), (socket.AF_INET, ("127.0.0.1", 7777))):
    try:
        socket.socket(family).connect(where)
        print("open:", where)
    except OSError:
        pass
others = [p for p in os.listdir("/proc") if p.isdigit() and p not in ("1", str(os.getpid()))]
if others:
    print("open: processes", others)
if "LEFT" in os.environ:
    print("open: environment")
if "left" in open("/proc/net/unix").read() if os.path.exists("/proc/net/unix") else "":
    print("open: unix socket")
"""

# What a guest can see of the network's counters: read first, so that it reads them as they were left. Not `sockstat`, in
# which the kernel shows TCP's sums over the whole machine.
COUNTERS = r"""
import os
names = sorted(n for n in os.listdir("/proc/self/net") if n in ("dev", "snmp", "snmp6", "netstat", "sockstat6", "tcp",
                                                                "udp", "unix", "route", "if_inet6", "igmp", "arp", "dev_mcast"))
for name in names:
    lines = open("/proc/self/net/" + name).readlines()
    if name == "unix":  # ours; their numbers are of no one guest
        lines = [line.split()[7:] for line in lines[1:]]
    print(name, *lines)
"""


class Bytes(ctypes.Structure):
    _fields_ = [("data", ctypes.c_char_p), ("size", ctypes.c_size_t)]


LIMITS = ("wall_ms", "cpu_ms", "memory_bytes", "processes", "output_bytes", "file_bytes", "open_files", "disk_bytes")


class Limits(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in LIMITS]


class Config(ctypes.Structure):
    _fields_ = [("runtimes_dir", ctypes.c_char_p), ("libexec_dir", ctypes.c_char_p), ("scratch_dir", ctypes.c_char_p),
                ("slots", ctypes.c_uint), ("warm_slots", ctypes.c_uint), ("no_warm", ctypes.c_bool), ("ceilings", Limits),
                ("minimum", ctypes.c_int), ("disable", ctypes.c_char_p), ("cache_bytes", ctypes.c_uint64), ("no_cache", ctypes.c_bool),
                ("warm", ctypes.c_char_p)]


class Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("message", ctypes.c_char * 768)]


class Engine:
    """retort.h, as much of it as is needed here. Requests and outcomes go as JSON."""

    def __init__(self, scratch, disable=None, warm=b""):
        self.lib = ctypes.CDLL(str(LIBRARY))
        self.err = Error()
        self.handle = ctypes.c_void_p()
        config = Config(runtimes_dir=str(RUNTIMES_DIR).encode(), libexec_dir=str(BIN).encode(),
                        scratch_dir=str(scratch).encode(), slots=1, warm_slots=1, disable=disable, warm=warm)
        self.must(self.lib.retort_engine_open(ctypes.byref(self.handle), ctypes.byref(config), ctypes.byref(self.err)))

    def must(self, result):
        if result < 0:
            raise RuntimeError(self.err.message.decode())

    def run(self, code, language="python", **more):
        text = json.dumps({"language": language, "code": code, **more}).encode()
        request, outcome, out = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_char_p()
        err = ctypes.byref(self.err)
        self.must(self.lib.retort_request_parse(text, ctypes.c_size_t(len(text)), ctypes.byref(request), err))
        self.must(self.lib.retort_run_wait(self.handle, request, None, None, ctypes.byref(outcome), err))
        self.must(self.lib.retort_outcome_json(outcome, ctypes.byref(out), err))
        result = json.loads(out.value)
        self.lib.retort_outcome_free(outcome)
        self.lib.retort_request_free(request)
        return result

    def close(self):
        self.lib.retort_engine_close(self.handle)


@pytest.fixture(params=["cold", "forked"])
def engine(request, corner, host_unchanged):
    """Guests are started by execve, or are forks of a frozen interpreter."""
    opened = Engine(corner.scratch, warm=b"python" if request.param == "forked" else b"")
    opened.forked = request.param == "forked"
    if opened.forked:
        opened.must(opened.lib.retort_engine_warm(opened.handle, b"python", 60000, ctypes.byref(opened.err)))
        assert eventually(lambda: opened.run("print(1)")["start"] == "parked", 20)
    yield opened
    opened.close()


def keeper_of(corner):
    return {pid for pid, what in corner.descendants().items() if "(retort-keeper)" in what}


@pytest.mark.parametrize("network", ["none", "blocked", "used"])
def test_the_next_guest_finds_nothing(engine, corner, network):
    fresh = engine.run(COUNTERS)
    assert fresh["status"] == "ok" and fresh["stdout"].startswith("arp ")
    time.sleep(1)  # the slot is made as new behind our back
    keeper = keeper_of(corner)
    assert len(keeper) == 2 if engine.forked else 1  # one more is kept for programs that are not forked
    leaves = f"USE_NETWORK, BLOCKED_NETWORK = {network == 'used'}, {network == 'blocked'}\n" + LEAVES
    first = engine.run(leaves)
    assert (first["status"], first["stdout"]) == ("ok", "left\n"), first
    time.sleep(1)
    if network == "none":
        assert keeper_of(corner) == keeper, "meant to be the same slot, made as new"
    second = engine.run(COUNTERS + FINDS)
    assert second["status"] == "ok", second
    assert second["stdout"] == fresh["stdout"]
    if engine.forked:
        assert {one["start"] for one in (fresh, first, second)} <= {"fork", "parked"}


@pytest.mark.parametrize("status, code", [
    ("denied", "import ctypes; ctypes.CDLL(None).mount(0, 0, 0, 0, 0)"),
    ("memory_limit", "x = []\nwhile True: x.append(bytearray(1 << 20))"),
    ("process_limit", "import os\nwhile True: os.fork()"),
    ("wall_limit", "import time; time.sleep(60)"),
    ("output_limit", "while True: print('x' * 1000)"),
    ("file_limit", "while True: open('/tmp/x', 'ab').write(b'x' * 65536)"),
    ("signal", "import os; os.kill(os.getpid(), 9)")])
def test_each_end_leaves_a_clean_slot(engine, status, code):
    limits = {"wall_ms": 2000, "cpu_ms": 2000, "memory_bytes": 64 << 20, "processes": 40, "output_bytes": 1 << 20,
              "file_bytes": 1 << 20}
    assert engine.run(code, limits=limits)["status"] == status
    after = engine.run(FINDS + "print('nothing')")
    assert (after["status"], after["stdout"]) == ("ok", "nothing\n")
    assert after["usage"]["peak_memory_bytes"] < 64 << 20, "what the last guest used is not this one's"


SPOILS = r"""
import builtins, ctypes, json, random, sys
builtins.left = json.left = sys.left = random.left = "left"
json.dumps = print = len = None
sys.path.append("/left")
random.seed(1)
libc = ctypes.CDLL(None)
# What the interpreter itself is made of, and what all forks have in common: its code, its data, the C library's.
for name in ("PyObject_Str", "PyList_New", "PyRuntime_Initialize", "_Py_NoneStruct", "PyExc_KeyError"):
    try:
        at = ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value
    except AttributeError:
        continue
    page = at & ~4095
    if libc.mprotect(ctypes.c_void_p(page), 8192, 7) == 0 and name != "PyList_New":
        ctypes.memmove(at, bytes(ctypes.string_at(at, 16)), 16)
at = ctypes.cast(libc.abs, ctypes.c_void_p).value  # a function that now says something else
if libc.mprotect(ctypes.c_void_p(at & ~4095), 8192, 7) == 0:
    ctypes.memmove(at, b"\xb8\x2a\x00\x00\x00\xc3", 6)
sys.stdout.write(f"spoilt {libc.abs(-1)}\n")
"""

SPOILT = r"""
import builtins, ctypes, json, random, sys
print(hasattr(builtins, "left"), hasattr(json, "left"), hasattr(sys, "left"), "/left" in sys.path, json.dumps([1]), len("abc"))
print(ctypes.CDLL(None).abs(-1))
"""


def test_a_guest_spoils_its_own_memory_only(engine):
    """All forks share the frozen memory until they write to it: code as well."""
    first = engine.run(SPOILS)
    assert first["stdout"] == "spoilt 42\n", first
    second = engine.run(SPOILT)
    assert second["stdout"] == "False False False False [1] 3\n1\n", second


ASKS = r"""
import ctypes, time
libc = ctypes.CDLL(None)
end = time.monotonic() + 2
n = 0
while time.monotonic() < end:
    libc.shmget(0x7777, 4096, 0)
    n += 1
print("asked", n)
"""


def test_a_guest_cannot_make_its_keeper_work(engine, corner):
    """A fork's keeper is told of some calls: whoever makes very many of them is answered slowly, not at the host's cost."""
    def keepers_ms():
        ticks = 0
        for pid in keeper_of(corner):
            text = pathlib.Path(f"/proc/{pid}/stat").read_text()
            ticks += sum(map(int, text[text.rindex(")") + 2:].split()[11:13]))
        return 1000 * ticks / os.sysconf("SC_CLK_TCK")
    before = keepers_ms()
    done = engine.run(ASKS)
    assert done["status"] == "ok" and done["stdout"].startswith("asked "), done
    asked = int(done["stdout"].split()[1])
    if done["start"] == "cold":
        assert asked > 20000  # nobody is told
    else:
        assert 1000 < asked < 20000 and keepers_ms() - before < 700


def test_forks_have_random_numbers_of_their_own(engine):
    code = """
import random, os, uuid, secrets, tempfile, ssl
try:
    import numpy
    more = [numpy.random.rand(), numpy.random.default_rng().random()]
except ImportError:
    more = []
print(random.random(), random.getrandbits(64), uuid.uuid4(), secrets.token_hex(8), os.urandom(4), ssl.RAND_bytes(8), next(tempfile._get_candidate_names()), *more)
"""
    seen = set()
    for _ in range(12):
        done = engine.run(code)
        assert done["status"] == "ok", done
        words = done["stdout"].split()
        assert not seen & set(words)
        seen |= set(words)


def test_a_hundred_guests_leave_no_descriptor(engine):
    def held():
        return len(os.listdir("/proc/self/fd"))
    engine.run("true", language="bash")
    before = held()
    for _ in range(100):
        assert engine.run("true", language="bash")["status"] == "ok"
    assert held() == before


def test_a_cancelled_engine_takes_its_guests_along(corner, host_unchanged):
    """The process that embeds the engine is killed outright: jailer, keepers, guests and control groups go too."""
    pid = os.fork()
    if pid == 0:
        try:
            engine = Engine(corner.scratch)
            engine.run("import os, time\nos.fork()\nos.setsid()\ntime.sleep(100)")
        finally:
            os._exit(1)
    assert eventually(lambda: any("(python3)" in what for what in corner.descendants().values()))
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    assert eventually(lambda: not corner.descendants())


DEEP = r"""
import os
os.chdir("/tmp" if os.path.isdir("/work") and os.access("/work", os.W_OK) else os.environ["TMPDIR"])
for _ in range(300):
    os.mkdir("d")
    open("f", "w").close()
    os.symlink("..", "up")
    os.chdir("d")
os.chmod("..", 0)
print("deep")
"""


def test_scratch_directories_are_emptied(corner, host_unchanged):
    """Without mount namespaces the guest writes into directories of the host's, which must be gone afterwards."""
    engine = Engine(corner.scratch, disable=b"mount-namespace")
    try:
        done = engine.run(DEEP)
        assert (done["status"], done["stdout"]) == ("ok", "deep\n"), done
        assert done["isolation"]["level"] == "minimal"
        assert os.listdir(corner.scratch)
        again = engine.run("import os; print(os.listdir('.'), os.listdir(os.environ['TMPDIR']))")
        assert again["stdout"] == "['main.py'] []\n"
    finally:
        engine.close()
    assert os.listdir(corner.scratch) == []
