# SPDX-License-Identifier: Apache-2.0
"""Bad input gets a clear answer: one sentence and 125 when the request or the host is at fault, an outcome when the
guest is. Nothing crashes, hangs, or is left behind."""
import base64
import os
import pathlib
import re
import shutil
import subprocess
import time
import uuid

import pytest
from conftest import BIN, RUNTIMES, environment, eventually
from leftovers import orphaned_cgroups, processes_with


@pytest.fixture
def clean(retort, tmp_path_factory):
    """retort, with a check afterwards: no process, mount, file or cgroup of this test is left."""
    marker, scratch = f"marker-{uuid.uuid4()}", tmp_path_factory.mktemp("scratch")
    mounts, orphans = pathlib.Path("/proc/self/mountinfo").read_text(), orphaned_cgroups()

    def run(*words, env=None, **options):
        return retort(*words, env={"TMPDIR": str(scratch), "MARKER": marker, **(env or {})}, **options)

    run.file, run.folder, run.scratch = retort.file, retort.folder, scratch
    yield run
    assert eventually(lambda: not processes_with(marker)), processes_with(marker)
    assert list(scratch.iterdir()) == []
    assert pathlib.Path("/proc/self/mountinfo").read_text() == mounts
    assert eventually(lambda: not orphaned_cgroups() - orphans)


def refused(done, *words):
    assert done.exit == 125, done
    assert done.out == b"", done
    assert len(done.errors.splitlines()) == 1 and done.errors.startswith("retort: "), done
    for word in words:
        assert re.search(word, done.errors), done


# ---- the request ----------------------------------------------------------------------------------------------------

def test_an_unknown_language_lists_the_known_ones(clean):
    refused(clean("run", "-l", "cobol", "-c", "x"), "unknown language 'cobol'",
            "bash, c, cpp, deno, ipykernel, irkernel, java, javascript, php, python, r, ruby, typescript, xpython")


def test_a_language_of_contexts_runs_no_programs(clean):
    refused(clean("run", "-l", "irkernel", "-c", "x"), "irkernel runs no programs: it keeps state between the cells of a context")


@pytest.mark.parametrize("words", [("-l", "bash", "-c", ""), ("-l", "", "-c", "x"), ("-l", "bash")])
def test_empty_or_missing_code_or_language(clean, words):
    refused(clean("run", *words))


@pytest.mark.parametrize("limit, says", [
    ("wall=0", "zero"), ("wall=-1s", "negative"), ("wall=25h", "1 ms to 24 h"), ("wall=5", "no unit"), ("wall=5M", "no unit of time"),
    ("wall=", "no time"), ("wall=nan", "no time"), ("wall=inf", ""), ("wall=1e3s", ""), ("wall=99999999999999999999s", "out of range"),
    ("wall=1 s", ""), ("memory=1K", "1 MiB to 1 TiB"), ("memory=5s", "no unit of size"), ("memory=1P", ""), ("memory=0", "zero"),
    ("memory=-5M", "negative"), ("processes=0", "zero"), ("processes=1.5", "whole"), ("processes=5M", "plain number"),
    ("processes=99999", "out of range"), ("files=4", ""), ("output=2G", "out of range"), ("file=1", ""), ("disk=1", ""), ("cpu=0ms", "zero"),
    ("nonsense=1", "the limits are wall, cpu"), ("wall", "NAME=VALUE"), ("=1", ""), ("wall=1s=2s", "")])
def test_limits_that_are_none(clean, limit, says):
    refused(clean("run", "-l", "bash", "-c", "echo x", "--limit", limit), says)
    refused(clean("run", "-l", "c", "-c", "int main(void){return 0;}", "--compile-limit", limit), says)


def test_file_names(clean):
    name = clean.folder / os.fsdecode(b"bad\xff.sh")
    name.write_text("echo x")
    refused(clean("run", name), "UTF-8")
    (clean.folder / "a\nb.sh").write_text("echo x")
    refused(clean("run", clean.folder / "a\nb.sh"), "control character")
    long = clean.folder / ("d" * 200) / ("e" * 100)
    long.mkdir(parents=True)
    (long / "x.sh").write_text("echo x")
    clean.file("main.sh", "echo x")
    refused(clean("run", clean.folder / "main.sh", long / "x.sh"), "longer than 255")
    refused(clean("run", clean.folder / "main.sh", clean.folder / "main.sh"), "main.sh")
    refused(clean("run", clean.folder / "main.sh", "--entry", "../main.sh"), "entry")


def test_too_much(clean):
    big = clean.folder / "big.sh"
    with open(big, "wb") as f:
        f.truncate(33 << 20)
    refused(clean("run", big), "larger than")
    many = [clean.file(f"f{i}.sh", "") for i in range(257)]
    refused(clean("run", *many), "at most 256")
    refused(clean("run", "-l", "bash", "-c", "echo x", "--", *["a"] * 1025), "args: 1025 given, at most 1024")


def test_arguments_of_a_compiler_that_is_not_there(clean):
    refused(clean("run", "-l", "bash", "-c", "echo x", "--compile-arg", "-O3"), "no compile step")


def test_environment_names(clean):
    refused(clean("run", "-l", "bash", "-c", "echo x", "--env", "=x"), "NAME=VALUE")
    done = clean("run", "-q", "-l", "bash", "-c", 'echo "$A|$LD_PRELOAD_|"', "--env", "A=\xe9\n=", "--env", "LD_PRELOAD=/nonexistent.so")
    assert done.exit == 0 and done.text == "\xe9\n=||\n", done


# ---- what programs do ----------------------------------------------------------------------------------------------

def test_odd_output(clean):
    outcome = clean("run", "-l", "bash", "--json", "-c", r"printf '\xff\x00\xfe'; printf 'no end' >&2").outcome
    assert base64.b64decode(outcome["stdout"]) == b"\xff\x00\xfe" and outcome["stderr"] == "no end"
    outcome = clean("run", "-l", "bash", "--json", "-c", "head -c 1000000 /dev/zero | tr '\\0' x").outcome
    assert outcome["stdout"] == "x" * 1_000_000
    begun = time.monotonic()
    outcome = clean("run", "-l", "bash", "--json", "-c", "yes | head -c 10G").outcome
    assert outcome["status"] == "output_limit" and len(outcome["stdout"]) == 16 << 20 and time.monotonic() - begun < 30


def test_a_full_disk_of_the_box(clean):
    code = "for i in 1 2 3 4 5 6; do head -c 1000000 /dev/zero > f$i || exit 1; done"
    outcome = clean("run", "-l", "bash", "--json", "-c", code, "-L", "disk=3M").outcome
    assert (outcome["status"], outcome["limit"]["name"]) == ("file_limit", "disk_bytes"), outcome


def test_files_that_do_not_fit_into_the_box(clean):
    refused(clean("run", "-l", "bash", "-L", "disk=64K", "-c", "#" * 100_000), r"code and files take 102400 bytes in the box, and limits\.disk_bytes is 65536")
    many = [clean.file(f"f{i}.c", f"int x{i};\n") for i in range(20)]
    refused(clean("run", *many, "--compile-limit", "disk=64K"), r"take 81920 bytes in the box, and compile\.limits\.disk_bytes is 65536")


@pytest.mark.parametrize("code, least", [("exit 125", 1), ("exit 124", 124), ("exit 0", 0)])
def test_125_is_only_ever_ours(clean, code, least):
    assert clean("run", "-l", "bash", "-c", code).exit == least


# ---- the host --------------------------------------------------------------------------------------------------------

def runtimes(clean, change):
    folder = clean.folder / "runtimes"
    shutil.copytree(RUNTIMES, folder)
    yaml = folder / "bash" / "runtime.yaml"
    yaml.write_text(change(yaml.read_text()))
    return {"RETORT_RUNTIMES": str(folder)}


@pytest.mark.parametrize("change, says", [
    (lambda y: y + "colour: red\n", r"bash/runtime\.yaml:\d+:1: .*colour"),
    (lambda y: y.replace("argv:", "arvg:"), r"bash/runtime\.yaml:\d+:3: .*arvg"),
    (lambda y: y + "name: again\n", r"bash/runtime\.yaml:\d+:\d+: "),
    (lambda y: y + "\t- x: [\n", r"bash/runtime\.yaml:\d+:\d+: "),
    (lambda y: "", r"bash/runtime\.yaml"),
    (lambda y: y.replace("{entry}", "{entrie}"), r"bash/runtime\.yaml:\d+:\d+: .*entrie"),
    (lambda y: y.replace("name: bash", "name: python"), r"runtime\.yaml"),
], ids=["unknown-key", "misspelt-key", "key-twice", "no-yaml", "empty", "placeholder", "other-name"])
def test_a_runtime_that_is_written_wrongly(clean, change, says):
    refused(clean("run", "-l", "bash", "-c", "echo x", env=runtimes(clean, change)), says)


def test_folders_that_are_not_there(clean):
    refused(clean("run", "-l", "bash", "-c", "x", env={"RETORT_RUNTIMES": "/nonexistent"}), "/nonexistent is not there; set RETORT_RUNTIMES")
    refused(clean("run", "-l", "bash", "-c", "x", env={"RETORT_LIBEXEC": "/nonexistent"}), "/nonexistent/retort-jailer is not there; set RETORT_LIBEXEC")
    refused(clean("run", "-l", "bash", "-c", "x", env={"TMPDIR": "/nonexistent"}), "/nonexistent is not there; set TMPDIR")
    refused(clean("run", "-l", "bash", "-c", "x", env={"TMPDIR": "/dev/null"}), "/dev/null: Permission denied; set TMPDIR")


def test_a_helper_that_is_no_program(clean):
    folder = clean.folder / "libexec"
    folder.mkdir()
    for name in ("retort-jailer", "retort-init"):
        (folder / name).write_text("not a program")
        (folder / name).chmod(0o755)
    refused(clean("run", "-l", "bash", "-c", "x", env={"RETORT_LIBEXEC": str(folder)}), "retort-jailer", "Exec format error")
    (folder / "retort-jailer").write_text("#!/bin/true\n")
    refused(clean("run", "-l", "bash", "-c", "x", env={"RETORT_LIBEXEC": str(folder)}), "jailer")


@pytest.mark.parametrize("name, missing", [("net", "net-namespace"), ("pid", "pid-namespace"), ("mnt", "mount-namespace"),
                                           ("ipc", "ipc-namespace"), ("uts", "uts-namespace"), (None, "own-uid")])
def test_a_kernel_that_refuses_a_namespace(clean, name, missing):
    """Inside a user namespace of its own with one user id, where the named kind may not be made."""
    probe = subprocess.run(["unshare", "-Ur", "sh", "-c", "echo 0 > /proc/sys/user/max_uts_namespaces"], capture_output=True)
    if probe.returncode != 0:
        pytest.skip("this host lets nobody make a user namespace")
    before = f"echo 0 > /proc/sys/user/max_{name}_namespaces && " if name else ""
    command = f"{before} exec '{BIN / 'retort'}' run --isolation minimal -l bash --json -c 'echo x'"
    done = subprocess.run(["unshare", "-Ur", "sh", "-c", command], capture_output=True, timeout=60,
                          env=environment(TMPDIR=str(clean.scratch)), cwd=clean.folder)
    assert done.returncode == 0, done
    assert b'"stdout":"x\\n"' in done.stdout.replace(b" ", b"") and missing.encode() in done.stdout
    assert b'"strong"' not in done.stdout
    strong = subprocess.run(["unshare", "-Ur", "sh", "-c", command.replace("minimal", "strong")], capture_output=True, timeout=60,
                            env=environment(TMPDIR=str(clean.scratch)), cwd=clean.folder)
    assert strong.returncode == 125 and strong.stdout == b"" and b"`strong` is asked for" in strong.stderr, strong
