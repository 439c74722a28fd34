# SPDX-License-Identifier: Apache-2.0
"""The same programs under less and less isolation: the same statuses, the level told truly, nothing left behind.

As root every mechanism is switched off in turn; as an ordinary user the build is copied to where that user may read it.
Programs run in control groups of their own below ours, so that what other runs on this host do is not taken for a
leftover.
"""
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import uuid

import pytest

from conftest import BIN, LONGEST_S, RUNTIMES, eventually
from leftovers import processes_with

NOBODY = 65534
IS_ROOT = os.geteuid() == 0
GROUPS = "cgroup-memory,cgroup-pids,cgroup-cpu"
TREE = {"mount-namespace", "pid-namespace", "cgroup-namespace", "read-only-root", "private-tmpfs"}
SPACES = TREE | {"user-namespace", "net-namespace", "ipc-namespace", "uts-namespace"}
UNLIMITED = {"cgroup-memory", "cgroup-pids", "cgroup-cpu", "own-uid"}  # what an ordinary user has not
MB = 1 << 20


@dataclasses.dataclass(frozen=True)
class Setting:
    name: str
    user: str  # "root" or "nobody"
    without: str
    level: str
    missing: frozenset

    @property
    def memory_how(self):
        return "polling /proc" if "cgroup-memory" in self.missing else "cgroup"


def root(without, level, missing=()):
    return Setting(f"root-{without or 'all'}", "root", without, level, frozenset(without.split(",") if without else ()) | set(missing))


def nobody(without, level, missing=()):
    alone = frozenset(without.split(",")) if without else frozenset()
    return Setting(f"nobody-{without or 'all'}", "nobody", without, level, alone | set(missing) | UNLIMITED)


SETTINGS = [
    root("", "strong"),
    root("user-namespace", "reduced"),
    root("mount-namespace", "minimal", TREE | {"user-namespace"}),
    root("pid-namespace", "minimal", TREE | {"user-namespace"}),
    root("net-namespace", "minimal"),
    root("ipc-namespace", "minimal"),
    root("uts-namespace", "reduced"),
    root("cgroup-namespace", "reduced"),
    root("cgroup-memory", "reduced"),
    root("cgroup-pids", "reduced"),
    root("cgroup-cpu", "reduced"),
    root(GROUPS, "reduced"),
    root("seccomp", "minimal"),
    root("landlock", "reduced"),
    root("own-uid", "reduced"),
    root(f"mount-namespace,{GROUPS}", "minimal", TREE | {"user-namespace"}),
    nobody("", "reduced"),
    nobody("user-namespace", "minimal", SPACES),
    nobody("mount-namespace", "minimal", SPACES),
    nobody("net-namespace", "minimal"),
    nobody("seccomp", "minimal"),
    nobody("landlock", "reduced"),
]


@dataclasses.dataclass(frozen=True)
class Program:
    language: str
    code: str
    status: str
    limits: tuple = ()
    hit: str = None
    exit_code: int = -1
    signal: int = 0


C_HOG = """#include <stdlib.h>
int main(void) { for (int i = 0; i < 400; i++) { volatile char *p = malloc(1 << 20);
for (int k = 0; k < 1 << 20; k += 4096) p[k] = 1; } }"""

PROGRAMS = {
    "ok": Program("bash", "echo hello", "ok", exit_code=0),
    "ok-python": Program("python", "print('hello')", "ok", exit_code=0),
    "ok-c": Program("c", '#include <stdio.h>\nint main(void) { puts("hello"); }', "ok", exit_code=0),
    "nonzero": Program("bash", "exit 3", "nonzero", exit_code=3),
    "wall": Program("bash", "sleep 60", "wall_limit", ("wall=300ms",), "wall_ms"),
    "cpu": Program("python", "while True: pass", "cpu_limit", ("cpu=300ms",), "cpu_ms"),
    "cpu-children": Program("bash", "for i in 1 2 3; do while :; do :; done & done; wait", "cpu_limit", ("cpu=300ms",), "cpu_ms"),
    "memory": Program("python", "x = bytearray(400 << 20)\nimport time; time.sleep(5)", "memory_limit", ("memory=100M",), "memory_bytes"),
    "memory-c": Program("c", C_HOG, "memory_limit", ("memory=100M",), "memory_bytes"),
    "processes": Program("bash", "for i in {1..40}; do sleep 5 & done; wait", "process_limit", ("processes=16",), "processes"),
    "processes-few": Program("bash", "for i in {1..8}; do sleep 0.3 & done; wait", "ok", ("processes=16",), exit_code=0),
    "output": Program("bash", "yes", "output_limit", ("output=100K",), "output_bytes"),
    "file": Program("bash", "head -c 4M /dev/zero >big", "file_limit", ("file=1M",), "file_bytes"),
    "signal": Program("bash", "kill -SEGV $$", "signal", signal=11),
    "denied": Program("python", "import ctypes; ctypes.CDLL(None).unshare(0x10000000)", "denied", hit="syscall"),
}


# What has no part in how anything is measured is shown by a few programs.
APART = {"net-namespace", "ipc-namespace", "uts-namespace", "cgroup-namespace", "seccomp", "landlock", "own-uid"}
FEW = ("ok", "cpu", "memory", "processes", "file", "denied")
MATRIX = [pytest.param(setting, name, id=f"{setting.name}-{name}") for setting in SETTINGS for name in PROGRAMS
          if name in FEW or setting.without not in APART]


# ---- where Retort runs ----


class Place:
    """A copy of the build, a scratch directory, control groups; and what is left in them."""

    def __init__(self, folder, user):
        self.user = user
        self.scratch = folder / f"scratch-{user}"
        self.scratch.mkdir()
        self.scratch.chmod(0o1777)
        self.bin, self.runtimes = folder / "bin", folder / "runtimes"
        if not self.bin.exists():
            self.bin.mkdir()
            for name in ("retort", "retort-jailer", "retort-init"):
                shutil.copy(BIN / name, self.bin)
            shutil.copytree(RUNTIMES, self.runtimes)
        self.groups = []
        name = f"test-isolation-{uuid.uuid4().hex[:8]}"
        for base in own_groups() if user == "root" else []:
            try:
                (base / name).mkdir()
            except OSError:
                continue
            self.groups.append(base / name)

    def start(self, *words, env=None, wrap=(), **options):
        def settle():
            for group in self.groups:
                (group / "cgroup.procs").write_text("0")
        self.mark = f"RETORT_TEST_{uuid.uuid4().hex}"
        self.env = {"PATH": os.environ["PATH"], "RETORT_LIBEXEC": str(self.bin), "RETORT_RUNTIMES": str(self.runtimes),
                    "TMPDIR": str(self.scratch), self.mark: "1", **(env or {})}
        if self.user == "nobody" and IS_ROOT:
            options.update(user=NOBODY, group=NOBODY, extra_groups=[])
        return subprocess.Popen([*map(str, wrap), str(self.bin / "retort"), *map(str, words)], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.env, cwd="/",
                                preexec_fn=settle if self.groups else None, **options)

    def __call__(self, *words, **options):
        process = self.start(*words, **options)
        try:
            out, err = process.communicate(timeout=LONGEST_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return process.returncode, out.decode(), err.decode()

    def run(self, language, code, *words, **options):
        """An outcome."""
        status, out, err = self("run", "--json", "--isolation", "minimal", "-l", language, "-c", code, *words, **options)
        assert out, (status, err)
        return json.loads(out)

    def left(self):
        """All that is left of the runs started here."""
        found = [f"process {pid}" for pid in processes_with(self.mark)]
        found += [str(path) for path in self.scratch.iterdir()]
        for group in self.groups:
            found += [str(path) for path in group.iterdir() if path.is_dir()]
            found += [f"process {pid} in {group}" for pid in (group / "cgroup.procs").read_text().split()]
        found += [line for line in pathlib.Path("/proc/self/mounts").read_text().splitlines() if str(self.scratch) in line]
        return found

    def close(self):
        for group in self.groups:
            eventually(lambda: not (group / "cgroup.procs").read_text().strip())
            for path in sorted(group.rglob("*"), reverse=True):
                if path.is_dir():
                    path.rmdir()
            group.rmdir()


def own_groups():
    """Our own group in each hierarchy of version 1 that Retort uses, or in version 2."""
    mounts = [line.split() for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()]
    found = []
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        for _, where, kind, options, *_ in mounts:
            if kind == "cgroup" and set(names.split(",")) & {"memory", "pids", "cpuacct"} & set(options.split(",")):
                found.append(pathlib.Path(where + path.rstrip("/")))
    return list(dict.fromkeys(found))


@pytest.fixture(scope="module")
def places():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="test-isolation-"))  # pytest's own are closed to others
    folder.chmod(0o755)
    made = {}

    def get(user):
        if user == "root" and not IS_ROOT:
            pytest.skip("needs root")
        if user not in made:
            made[user] = Place(folder, user)
        return made[user]

    yield get
    for place in made.values():
        place.close()
    shutil.rmtree(folder)


def languages_here():
    done = subprocess.run([str(BIN / "retort"), "languages", "--json"], capture_output=True, timeout=LONGEST_S,
                          env={**os.environ, "RETORT_LIBEXEC": str(BIN), "RETORT_RUNTIMES": str(RUNTIMES)})
    return {one["name"] for one in json.loads(done.stdout) if one["installed"]}


@pytest.fixture(scope="module")
def languages():
    return languages_here()


# ---- the matrix ----


@pytest.mark.parametrize("setting,name", MATRIX)
def test_program(places, languages, setting, name):
    program, place = PROGRAMS[name], places(setting.user)
    if program.language not in languages:
        pytest.skip(f"{program.language} is not installed")
    if name == "denied" and "seccomp" in setting.missing:
        pytest.skip("nothing denies calls without seccomp")
    words = [word for limit in program.limits for word in ("-L", limit)]
    if setting.without:
        words += ["--without", setting.without]
    outcome = place.run(program.language, program.code, *words)

    assert outcome["status"] == program.status, outcome
    if not program.hit:  # who hit a limit may have been seen to die of it
        assert outcome["exit_code"] == program.exit_code
        assert outcome["signal"] == program.signal
    assert outcome["isolation"]["level"] == setting.level
    assert set(outcome["isolation"]["missing"]) == set(setting.missing)
    assert outcome["usage"]["measured"]["memory"].startswith(setting.memory_how)
    if program.hit:
        assert outcome["limit"]["name"] == program.hit
        check_measured(outcome, setting)
    assert eventually(lambda: not place.left()), place.left()


def check_measured(outcome, setting):
    """As near to the limit as the way of measuring allows; this host may be busy."""
    limit = outcome["limit"]
    measured, value = limit["measured"], limit["value"]
    if limit["name"] == "memory_bytes":
        polled = setting.memory_how != "cgroup"
        assert (value < measured < 3 * value) if polled else (0.9 * value < measured <= value), limit
    elif limit["name"] == "cpu_ms":
        assert value <= measured < value + 500, limit
    elif limit["name"] == "wall_ms":
        assert value <= measured < value + 2000, limit
    elif limit["name"] == "processes":
        shared = setting.user == "nobody" and "user-namespace" in setting.missing  # an id that others have too
        assert value <= measured <= value + (80 if shared else 2), limit


# ---- what an ordinary user is told ----


def test_doctor_tells_an_ordinary_user_what_is_missing_and_how_to_mend_it(places):
    status, out, err = places("nobody")("doctor", "--json")
    report = json.loads(out)
    assert status == 0 and report["level"] == "reduced"
    assert set(report["missing"]) == UNLIMITED
    for one in report["mechanisms"]:
        assert (one["state"] == "active") == (one["name"] not in UNLIMITED)
        if one["state"] == "unavailable":
            assert one["reason"] and one["mend"], one
    assert report["measured"] == {"cpu": "polling /proc", "memory": "polling /proc", "processes": "polling /proc"}
    status, out, err = places("nobody")("doctor")
    assert "How to mend it" in out and "Delegate=yes" in out and "root" in out


@pytest.mark.parametrize("user,without,asked", [("nobody", "", "strong"), ("root", "landlock", "strong"),
                                                ("root", "seccomp", "reduced"), ("nobody", "user-namespace", "reduced")])
def test_less_than_asked_for_is_refused_in_words(places, user, without, asked):
    place = places(user)
    words = ["--without", without] if without else []
    status, out, err = place("run", "--isolation", asked, *words, "-l", "bash", "-c", "echo ran")
    assert status == 125 and out == ""
    assert f"`{asked}`" in err and "missing: " in err and len(err.splitlines()) == 1
    assert eventually(lambda: not place.left()), place.left()


def test_a_box_without_any_wall_to_other_processes_is_refused(places):
    """No pid namespace, no id of its own, no Landlock: the guest could read the engine's memory and environment."""
    place = places("nobody")
    status, out, err = place("run", "--isolation", "minimal", "--without", "mount-namespace,landlock", "-l", "bash",
                             "-c", "cat /proc/$PPID/environ; echo ran")
    assert status == 125 and out == "" and "no Landlock" in err
    assert eventually(lambda: not place.left()), place.left()


def test_run_refuses_minimal_unless_asked(places):
    status, out, err = places("nobody")("run", "--without", "user-namespace", "-l", "bash", "-c", "echo ran")
    assert status == 125 and out == "" and "`reduced`" in err


def test_peak_memory_by_polling(places):
    outcome = places("nobody").run("python", "x = bytearray(150 << 20)\nimport time; time.sleep(1)")
    assert outcome["status"] == "ok"
    assert 150 * MB < outcome["usage"]["peak_memory_bytes"] < 190 * MB


def test_cpu_by_polling(places):
    outcome = places("nobody").run("python", "import time\nwhile time.process_time() < 0.4: pass")
    assert outcome["status"] == "ok"
    assert 400 <= outcome["usage"]["cpu_ms"] < 1000


def test_processes_by_polling(places):
    outcome = places("nobody").run("bash", "for i in {1..9}; do sleep 3 & done; wait")
    assert outcome["status"] == "ok" and outcome["usage"]["processes"] == 10


# ---- the minimal level ----

MINIMAL = [("root", "mount-namespace"), ("root", f"mount-namespace,{GROUPS}"), ("nobody", "user-namespace")]


@pytest.mark.parametrize("user,without", MINIMAL)
def test_minimal_keeps_the_guest_in_its_directories(places, user, without):
    place = places(user)
    open_to_all = pathlib.Path("/tmp") / f"retort-test-{uuid.uuid4().hex}"
    open_to_all.mkdir()
    try:
        open_to_all.chmod(0o777)
        (open_to_all / "old").write_text("old")
        (open_to_all / "old").chmod(0o666)
        if IS_ROOT and user == "nobody":
            os.chown(open_to_all, NOBODY, NOBODY)
            os.chown(open_to_all / "old", NOBODY, NOBODY)
        code = f"""
d={open_to_all}
echo new >$d/new; echo changed >$d/old; rm $d/old; mv $d/old $d/moved; ln own $d/link; mkdir $d/made; ln -s /etc $d/soft
cat $d/old; echo x >/dev/shm/retort-test; echo x >/tmp/retort-test-stray; head -c 1 /dev/sda
echo own >own && cat own && echo tmp >"$TMPDIR/t" && cat "$TMPDIR/t" && echo null >/dev/null
"""
        outcome = place.run("bash", code, "--without", without)
        assert outcome["status"] == "ok" and outcome["stdout"] == "own\ntmp\n", outcome
        assert [p.name for p in open_to_all.iterdir()] == ["old"] and (open_to_all / "old").read_text() == "old"
        assert not pathlib.Path("/dev/shm/retort-test").exists()
        assert not pathlib.Path("/tmp/retort-test-stray").exists()
    finally:
        shutil.rmtree(open_to_all)
    assert eventually(lambda: not place.left()), place.left()


DAEMON = """
import os, sys, time, ctypes
ctypes.CDLL(None).prctl(1, 0)  # no longer dies with its parent
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv("/usr/bin/sleep", ["{mark}", "600"])
    os._exit(0)
time.sleep(0.2)
"""


@pytest.mark.parametrize("user,without", [*MINIMAL, ("root", "pid-namespace,landlock"), ("nobody", ""), ("root", "")])
def test_no_daemon_outlives_its_run(places, user, without):
    place, mark = places(user), f"daemon-{uuid.uuid4().hex}"
    outcome = place.run("python", DAEMON.replace("{mark}", mark), *(["--without", without] if without else []))
    assert outcome["status"] == "ok", outcome
    assert processes_with(mark) == []
    assert eventually(lambda: not place.left()), place.left()


# ---- killed in the middle ----

KILLED = [("root", ""), ("root", GROUPS), ("root", "pid-namespace"), ("root", f"pid-namespace,{GROUPS}"), ("nobody", ""),
          ("nobody", "user-namespace")]


def children(pid):
    return [int(word) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
            for word in (task / "children").read_text().split()]


def started(place, mark, without):
    """A run that goes on, with a daemon of its own: the process ids of Retort's own processes."""
    code = DAEMON.replace("{mark}", mark).replace("time.sleep(0.2)", f"print('up', flush=True)\ntime.sleep(600)")
    process = place.start("run", "--isolation", "minimal", "-L", "wall=600s", "-l", "python", "-c", code,
                          *(["--without", without] if without else []), "--", mark)
    assert process.stdout.readline() == b"up\n"
    assert eventually(lambda: any(mark in (pathlib.Path(f"/proc/{p}/cmdline").read_text() if pathlib.Path(f"/proc/{p}/cmdline").exists() else "")
                                  for p in processes_with(mark) if p != process.pid), 5)
    jailer = children(process.pid)[0]
    keeper = children(jailer)[0]
    first = children(keeper)[0]
    return process, {"command": process.pid, "jailer": jailer, "keeper": keeper, "init": first}


@pytest.mark.parametrize("user,without", KILLED)
@pytest.mark.parametrize("victim", ["command", "jailer", "keeper", "init"])
def test_killed(places, user, without, victim):
    place, mark = places(user), f"killed-{uuid.uuid4().hex}"
    process, pids = started(place, mark, without)
    os.kill(pids[victim], 9)
    out, err = process.communicate(timeout=LONGEST_S)
    assert eventually(lambda: processes_with(mark) == []), processes_with(mark)
    if victim == "command":
        assert process.returncode == -9
    else:
        assert process.returncode == 125, (process.returncode, err)
        assert b"retort: internal" in err, err
        assert len(err.strip()) > len(b"retort: internal, wall"), err
    if victim == "jailer":  # who cleans up after a jailer is the next one
        place.run("bash", "true", "--without", "mount-namespace")
    assert eventually(lambda: not place.left()), place.left()


@pytest.mark.parametrize("user,without", KILLED)
def test_all_killed_at_once(places, user, without):
    """Nobody is left to clean up. Where there are control groups the next start does; without, only what had a pid
    namespace, or the guest's good will, ends."""
    place, mark = places(user), f"killed-{uuid.uuid4().hex}"
    process, pids = started(place, mark, without)
    for pid in pids.values():
        os.kill(pid, 19)
    for pid in pids.values():
        os.kill(pid, 9)
    process.communicate(timeout=LONGEST_S)
    place.run("bash", "true", "--without", "mount-namespace")
    if (user, without) in (("root", f"pid-namespace,{GROUPS}"), ("nobody", "user-namespace")):
        for pid in processes_with(mark):  # known: nothing on such a host can still find it
            os.kill(pid, 9)
    assert eventually(lambda: processes_with(mark) == []), processes_with(mark)
    assert eventually(lambda: not place.left()), place.left()
