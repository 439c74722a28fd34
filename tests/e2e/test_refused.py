# SPDX-License-Identifier: Apache-2.0
"""Kernels and containers that refuse: Retort does with less and says so, or says in one sentence why it cannot.

System calls are refused with tests/e2e/without.c, namespaces with user.max_*_namespaces of a user namespace of the
test's own, which touches nothing else on this host.
"""
import json
import os
import pathlib
import shutil
import subprocess
import time

import pytest

from conftest import LONGEST_S, eventually
from test_isolation import IS_ROOT, SPACES, TREE, UNLIMITED, Place, places  # noqa: F401 (a fixture)

HERE = pathlib.Path(__file__).resolve().parent
GUARDED = pytest.mark.skipif(not IS_ROOT, reason="needs root")
ALL = "everything"  # what is left of the isolation: all there was
NO_TREE, NO_LANDLOCK, NO_SECCOMP = "no-tree", "no-landlock", "no-seccomp"


@pytest.fixture(scope="module")
def without(tmp_path_factory):
    """Words to put before a command, so that these calls are refused to it."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("there is no C compiler")
    program = pathlib.Path("/tmp") / f"retort-test-without-{os.getpid()}"
    subprocess.run([compiler, "-O1", "-o", program, HERE / "without.c"], check=True)
    program.chmod(0o755)
    yield lambda error, calls: [program, error, calls]
    program.unlink()


def run(place, wrap, *words, code="echo ran"):
    """Exit status, outcome or None, what was said, seconds."""
    begun = time.monotonic()
    status, out, err = place("run", "--json", "--isolation", "minimal", *words, "-l", "bash", "-c", code, wrap=wrap)
    return status, json.loads(out) if out else None, err, time.monotonic() - begun


def check_sentence(status, err):
    assert status == 125
    assert err.startswith("retort: ") and len(err.splitlines()) == 1 and ": " in err[8:] and len(err) < 400, err


CALLS = {
    "unshare": NO_TREE, "mount": NO_TREE, "umount2": NO_TREE, "pivot_root": NO_TREE, "fsopen": NO_TREE,
    "fsconfig": NO_TREE, "fsmount": NO_TREE, "move_mount": NO_TREE, "open_tree": NO_TREE, "mount_setattr": NO_TREE,
    "fspick": NO_TREE, "landlock_create_ruleset": NO_LANDLOCK, "seccomp": NO_SECCOMP, "listener": ALL, "pidfd_open": ALL,
    "pidfd_send_signal": ALL, "close_range": ALL, "flock": ALL, "clone3": ALL, "landlock_restrict_self": None,
    "capset": None, "execveat": None, "memfd_create": None, "socketpair": None, "eventfd2": None,
}


@pytest.mark.parametrize("user", ["root", "nobody"])
@pytest.mark.parametrize("error", ["EPERM", "ENOSYS"])
@pytest.mark.parametrize("call", CALLS)
def test_refused_call(places, without, user, error, call):  # noqa: F811
    place, left = places(user), CALLS[call]
    if (call, error) == ("clone3", "EPERM"):
        left = None  # glibc starts programs with it
    status, outcome, err, seconds = run(place, without(error, call))
    missing = set() if user == "root" else set(UNLIMITED)
    missing |= {None: set(), ALL: set(), NO_LANDLOCK: {"landlock"}, NO_SECCOMP: {"seccomp"},
                NO_TREE: TREE | {"user-namespace"} if user == "root" else SPACES}[left]
    if left is None:
        if outcome:
            assert status == 125 and outcome["status"] == "internal" and call != "ok" and outcome["message"]
        else:
            check_sentence(status, err)
    else:
        assert status == 0 and outcome["status"] == "ok" and outcome["stdout"] == "ran\n", (outcome, err)
        assert set(outcome["isolation"]["missing"]) == missing
        level = ("strong" if not missing else "minimal" if missing & (TREE | {"seccomp"}) else "reduced")
        assert outcome["isolation"]["level"] == level
    assert seconds < 30
    assert eventually(lambda: not place.left()), place.left()


@pytest.mark.parametrize("user", ["root", "nobody"])
def test_refused_calls_are_told_by_doctor(places, without, user):  # noqa: F811
    status, out, err = places(user)("doctor", "--json", wrap=without("EPERM", "mount"))
    told = {one["name"]: one for one in json.loads(out)["mechanisms"]}
    assert status == 0 and told["mount-namespace"]["state"] == "unavailable"
    assert "Operation not permitted" in told["mount-namespace"]["reason"] and told["mount-namespace"]["mend"]


@pytest.mark.parametrize("user", ["root", "nobody"])
def test_denied_without_a_listener(places, without, user):  # noqa: F811
    code = "python3 -c 'import ctypes; ctypes.CDLL(None).unshare(0x10000000)'"
    status, outcome, err, _ = run(places(user), without("EPERM", "listener"), code="exec " + code)
    assert outcome["status"] == "denied" and outcome["limit"]["name"] == "syscall", outcome


# ---- a default container: no CAP_SYS_ADMIN, no namespaces, clone3 hidden ----

CONTAINER = ["setpriv", "--bounding-set",
             "-all,+chown,+dac_override,+fowner,+fsetid,+kill,+mknod,+net_raw,+setgid,+setpcap,+setuid,+sys_chroot"]


@GUARDED
@pytest.mark.parametrize("code,status,words", [
    ("echo ran", "ok", ()), ("sleep 60", "wall_limit", ("-L", "wall=300ms")),
    ("while :; do :; done", "cpu_limit", ("-L", "cpu=300ms")),
    ("exec python3 -c 'x = bytearray(400 << 20)'", "memory_limit", ("-L", "memory=100M")),
    ("for i in {1..40}; do sleep 5 & done; wait", "process_limit", ("-L", "processes=16")),
    ("exec python3 -c 'import ctypes; ctypes.CDLL(None).acct(None)'", "denied", ()),
    ("echo x >/tmp/retort-test-stray || echo refused >&1", "ok", ()),
    ("setsid sleep 600 & sleep 0.1", "ok", ()),
])
def test_a_default_container(places, without, code, status, words):  # noqa: F811
    place = places("root")
    wrap = [*without("EPERM", "unshare,mount,umount2,pivot_root,clone-new"), *without("ENOSYS", "clone3"), *CONTAINER]
    _, outcome, err, _ = run(place, wrap, *words, code=code)
    assert outcome, err
    assert outcome["status"] == status and outcome["isolation"]["level"] == "minimal", outcome
    assert set(outcome["isolation"]["missing"]) == SPACES
    assert not pathlib.Path("/tmp/retort-test-stray").exists()
    assert eventually(lambda: not place.left()), place.left()


# ---- user namespaces around Retort ----


def inside(place, maps, *words, sysctl=None):
    """Runs the command as root of a user namespace with these ids.

    The ids are given once the shell has said that it runs. A shell makes its real id its effective one when it starts
    (dash, setuid(getuid())): were they given in between, it would see the overflow id before and become that user after.
    """
    script = ("echo ready; read x; " + (f"echo 0 >/proc/sys/user/{sysctl}; " if sysctl else "")
              + 'exec setpriv --reuid 0 --regid 0 --clear-groups "$@" </dev/null')
    process = subprocess.Popen(["unshare", "--user", "--keep-caps", "sh", "-c", script, "sh", place.bin / "retort", *words],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/", env={
                                   "PATH": os.environ["PATH"], "RETORT_LIBEXEC": str(place.bin), place.mark: "1",
                                   "RETORT_RUNTIMES": str(place.runtimes), "TMPDIR": str(place.scratch)})
    if process.stdout.readline() != b"ready\n":  # who does not run ends, and the line with it
        pytest.skip("unshare makes no user namespace here: " + process.communicate()[1].decode())
    for name in ("uid_map", "gid_map"):
        pathlib.Path(f"/proc/{process.pid}/{name}").write_text(maps)
    out, err = process.communicate(b"\n", timeout=LONGEST_S)
    return process.returncode, out.decode(), err.decode()


def run_inside(place, maps, **options):
    place.mark = getattr(place, "mark", "RETORT_TEST_INSIDE")
    status, out, err = inside(place, maps, "run", "--json", "--isolation", "minimal", "-l", "bash", "-c", "echo ran", **options)
    assert out, (status, err)
    outcome = json.loads(out)
    assert status == 0 and outcome["stdout"] == "ran\n", outcome
    assert eventually(lambda: not place.left()), place.left()
    return outcome["isolation"]["level"], set(outcome["isolation"]["missing"]) - {"cgroup-memory", "cgroup-pids", "cgroup-cpu"}


@GUARDED
@pytest.mark.parametrize("maps,missing", [
    ("0 100000 65536", set()), ("0 100000 3000", set()), ("0 1000 1\n1 100000 65536", set()),
    ("0 100000 1024", set()), ("0 100000 300", {"own-uid"}), ("0 0 1", {"own-uid"}),
])
def test_root_of_a_container_with_few_ids(places, maps, missing):  # noqa: F811
    level, told = run_inside(places("root"), maps)
    assert told == missing and level in ("strong", "reduced")


@GUARDED
@pytest.mark.parametrize("kind,missing,level", [
    ("user", {"user-namespace"}, "reduced"), ("mnt", TREE | {"user-namespace"}, "minimal"),
    ("pid", TREE | {"user-namespace"}, "minimal"), ("net", {"net-namespace"}, "minimal"),
    ("ipc", {"ipc-namespace"}, "minimal"), ("uts", {"uts-namespace"}, "reduced"),
    ("cgroup", {"cgroup-namespace"}, "reduced"),
])
def test_one_kind_of_namespace_refused(places, kind, missing, level):  # noqa: F811
    assert run_inside(places("root"), "0 0 65536", sysctl=f"max_{kind}_namespaces") == (level, missing)


# ---- the host's file systems ----


@GUARDED
@pytest.mark.parametrize("spoil", ["mount -t tmpfs none /sys/fs/cgroup", "umount -R -l /sys/fs/cgroup"])
def test_no_control_groups_to_be_seen(places, spoil):  # noqa: F811
    place = places("root")
    wrap = ["unshare", "-m", "sh", "-c", spoil + '; exec "$@"', "sh"]
    status, outcome, err, _ = run(place, wrap)
    assert status == 0 and set(outcome["isolation"]["missing"]) == {"cgroup-memory", "cgroup-pids", "cgroup-cpu"}, err
    assert outcome["isolation"]["level"] == "reduced"


@GUARDED
def test_no_proc(places):  # noqa: F811
    status, outcome, err, seconds = run(places("root"), ["unshare", "-m", "sh", "-c", 'umount -l /proc; exec "$@"', "sh"])
    if outcome:
        assert outcome["status"] in ("ok", "internal") and seconds < 30
    else:
        check_sentence(status, err)


def test_an_unwritable_scratch_directory(places, tmp_path):  # noqa: F811
    place = places("nobody")
    status, out, err = place("run", "--isolation", "minimal", "--without", "user-namespace", "-l", "bash", "-c", "echo ran",
                             env={"TMPDIR": "/usr"})
    check_sentence(status, err)
    assert "/usr" in err and "TMPDIR" in err and "enied" in err


@GUARDED
def test_a_full_disk(places):  # noqa: F811
    """The scratch directory lies on a file system of its own, which is full."""
    place = places("root")
    disk = place.scratch.parent / "disk"
    disk.mkdir(exist_ok=True)
    fill = 'mount -t tmpfs -o size=64k,nr_inodes=4 none "$TMPDIR" && : >"$TMPDIR/1" && : >"$TMPDIR/2"; exec "$@"'
    for spoil, room in ((fill.replace("; exec", ' && : >"$TMPDIR/3"; exec'), False), (fill, False)):
        status, out, err = place("run", "--isolation", "minimal", "--without", "mount-namespace", "-l", "bash", "-c",
                                 "echo ran", wrap=["unshare", "-m", "sh", "-c", spoil, "sh"], env={"TMPDIR": str(disk)})
        check_sentence(status, err)
        assert "No space left on device" in err
    whole = 'mount -t tmpfs -o size=64k none "$TMPDIR" && head -c 60k /dev/zero >"$TMPDIR/1"; exec "$@"'
    status, out, err = place("run", "--isolation", "minimal", "--without", "mount-namespace", "-l", "bash", "-c",
                             "#" + "x" * 50000, wrap=["unshare", "-m", "sh", "-c", whole, "sh"], env={"TMPDIR": str(disk)})
    assert status == 125 and "No space left on device" in err, err
    assert eventually(lambda: not place.left()), place.left()
