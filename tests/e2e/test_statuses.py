# SPDX-License-Identifier: Apache-2.0
"""Every status an outcome can have, with the limit it names, that limit's value, what was measured, and how."""
import os
import pathlib
import re
import signal
import time

import pytest
from conftest import ROOT, eventually
from leftovers import processes_with

EVERY = re.findall(r'^ +X\([A-Z_]+, "(\w+)",', re.search(r"#define RETORT_STATUSES\(X\).*?\n\n", (ROOT / "include/retort.h")
                                                        .read_text(), re.S)[0], re.M)
SEEN_BELOW = {"ok", "nonzero", "signal", "compile_error", "cancelled"}
SEEN_BY_THE_LIBRARYS_TESTS = {"internal"}

PY_FORK = """
import os, time
for i in range(100):
    if os.fork() == 0:
        time.sleep(20)
"""

# status, language, code, limits, name of the limit, its value, least and most measured, how it was measured
LIMITS = [
    ("wall_limit", "bash", "echo part; sleep 300", ["wall=1s"], "wall_ms", 1000, 1000, 10000, "monotonic clock"),
    ("wall_limit", "python", "print('part')\nimport time\ntime.sleep(300)", ["wall=1s"], "wall_ms", 1000, 1000, 10000, "clock"),
    ("cpu_limit", "bash", "echo part; while :; do :; done", ["cpu=200ms"], "cpu_ms", 200, 200, 1500, "cgroup"),
    ("cpu_limit", "bash", "echo part; (while :; do :; done)& (while :; do :; done)& wait", ["cpu=300ms"], "cpu_ms", 300, 300,
     1500, "cgroup"),
    ("memory_limit", "python", "print('part')\nx = bytearray(300 << 20)", ["memory=64M"], "memory_bytes", 64 << 20, 50 << 20,
     80 << 20, "cgroup"),
    ("memory_limit", "bash", "echo part; head -c 200M /dev/zero > /dev/shm/x; echo rest", ["memory=64M", "file=1G", "disk=1G"],
     "memory_bytes", 64 << 20, 50 << 20, 80 << 20, "cgroup"),
    ("output_limit", "bash", "echo part; while :; do echo xxxxxxxxxxxxxxxx; done", ["output=10000"], "output_bytes", 10000, 10001,
     1 << 20, "bytes read"),
    ("output_limit", "bash", "echo part; while :; do echo xxxxxxxxxxxxxxxx >&2; done", ["output=10000"], "output_bytes", 10000,
     10001, 1 << 20, "bytes read"),
    ("process_limit", "python", "print('part')\n" + PY_FORK, ["processes=20"], "processes", 20, 20, 21, "pids"),
    ("file_limit", "bash", "echo part; head -c 2000000 /dev/zero > big; exit 1", ["file=1M"], "file_bytes", 1 << 20, 1 << 20, 1 << 20,
     ""),
    ("file_limit", "bash", "echo part; for i in $(seq 40); do head -c 100000 /dev/zero > f$i || exit 1; done", ["disk=1M"],
     "disk_bytes", 1 << 20, 800_000, 1 << 20, "statfs"),
    ("denied", "python", "print('part')\nimport ctypes\nctypes.CDLL(None).unshare(0x10000000)", [], "syscall", 0, 272, 272,
     "unshare"),
    ("denied", "python", "print('part')\nimport ctypes\nctypes.CDLL(None).mount(b'a', b'/mnt', b'tmpfs', 0, None)", [], "syscall", 0,
     165, 165, "mount"),
]


@pytest.mark.parametrize("row", LIMITS, ids=[f"{row[0]}-{row[1]}-{i}" for i, row in enumerate(LIMITS)])
def test_a_limit_is_named_with_its_measure(retort, row):
    status, language, code, limits, name, value, least, most, how = row
    words = [word for limit in limits for word in ("--limit", limit)]
    begun = time.monotonic()
    outcome = retort("run", "-l", language, "-c", code, "--json", *words).outcome
    assert time.monotonic() - begun < 30
    assert outcome["status"] == status, outcome
    limit = outcome["limit"]
    assert limit["name"] == name and limit["value"] == value, limit
    assert least <= limit["measured"] <= most, limit
    assert how in limit["how"] or outcome["isolation"]["level"] != "strong", limit
    assert outcome["stdout"].startswith("part\n"), outcome  # what was written before is kept
    assert outcome["steps"][-1]["status"] == status
    assert outcome.get("message") is None


def test_every_status_is_seen_in_this_file():
    assert {row[0] for row in LIMITS} | SEEN_BELOW | SEEN_BY_THE_LIBRARYS_TESTS == set(EVERY)


@pytest.mark.parametrize("code, status, exit_code, number", [
    ("true", "ok", 0, 0), ("exit 1", "nonzero", 1, 0), ("exit 255", "nonzero", 255, 0),
    *[(f"kill -{n} $$; sleep 5", "signal", -1, n) for n in
      (signal.SIGHUP, signal.SIGINT, signal.SIGABRT, signal.SIGFPE, signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM)],
])
def test_how_a_program_ends(retort, code, status, exit_code, number):
    outcome = retort.bash(code, "--json").outcome
    assert (outcome["status"], outcome["exit_code"], outcome["signal"]) == (status, exit_code, number), outcome
    assert outcome.get("limit") is None


def test_a_program_that_exits_well_after_touching_a_limit_is_ok(retort):
    code = "head -c 2000000 /dev/zero > big 2>/dev/null; echo went on; exit 0"
    outcome = retort.bash(code, "--json", "-L", "file=1M").outcome
    assert (outcome["status"], outcome["stdout"]) == ("ok", "went on\n"), outcome


def test_a_child_that_outlives_the_program_is_ended(retort):
    begun = time.monotonic()
    outcome = retort.bash("sleep 300 & echo started", "--json").outcome
    assert time.monotonic() - begun < 30
    assert (outcome["status"], outcome["stdout"]) == ("ok", "started\n"), outcome


def test_compile_error(retort, installed_languages):
    if installed_languages["c"]:
        pytest.skip(installed_languages["c"])
    outcome = retort("run", "-l", "c", "-c", "int main(void) { return x; }", "--json").outcome
    assert outcome["status"] == "compile_error"
    assert [s["name"] for s in outcome["steps"]] == ["compile"]


def test_a_compiler_that_runs_into_a_limit_is_that_limit(retort, installed_languages):
    if installed_languages["c"]:
        pytest.skip(installed_languages["c"])
    code = '#include "/dev/urandom"\nint main(void) { return 0; }'
    outcome = retort("run", "-l", "c", "-c", code, "--json", "--compile-limit", "wall=500ms", "--compile-limit", "cpu=9s").outcome
    if outcome["status"] == "compile_error":
        pytest.skip("this compiler does not read devices")
    assert outcome["status"] in ("wall_limit", "memory_limit", "output_limit"), outcome
    assert outcome["steps"][-1]["name"] == "compile"


def test_cancelled(retort):
    seconds = f"300.{os.getpid()}"
    process = retort.start("run", "-l", "bash", "-c", f"echo part; exec sleep {seconds}", "--json", "-L", "wall=300s")
    sleeping = f"sleep\0{seconds}\0".encode()
    assert eventually(lambda: any(pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() == sleeping for pid in processes_with(seconds)))
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert b'"cancelled"' in out and b"part" in out


def test_events_tell_a_limit(retort):
    events = retort.bash("echo part; sleep 30", "--events", "-L", "wall=300ms").events
    assert [e["type"] for e in events] == ["started", "stdout", "step", "end"]
    assert [e["seq"] for e in events] == [0, 1, 2, 3]
    assert events[2]["step"]["status"] == events[3]["outcome"]["status"] == "wall_limit"
    assert events[2]["step"]["limit"]["name"] == "wall_ms"
