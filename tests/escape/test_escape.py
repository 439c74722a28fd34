# SPDX-License-Identifier: Apache-2.0
"""Every program in programs/ is hostile. Its first comment says what must become of it:

    expect: status=denied limit=syscall how=mount     status; limit by name; how: exact for calls, else a part of it;
                                                      also exit=N, signal=N, error=NAME, step=compile
    limits: memory=64M wall=2s                        --limit of the command
    words: --compile-limit memory=512M                more words of the command line
    each: mount umount2                               one run for each, with it as argument; {} in other lines is it
    says: TEXT      never: TEXT                       stdout and stderr of all steps must hold it; must not
    within: 10                                        seconds the whole run may take at most; default 20
    files: a.sh b.c                                   sent along, from helpers/
    machine: x86_64                                   needed; skipped elsewhere
    findings: REASON                                  known not to hold yet: xfail, strict

A line may stand several times. Programs that probe print a line "open: ..." for every door they find; that is never allowed.
"""
import json
import os
import pathlib
import platform
import re
import shlex
import shutil
import subprocess
import time

import pytest

from conftest import BIN, RUNTIMES_DIR, environment, in_text

HERE = pathlib.Path(__file__).parent
KEYS = ("expect", "limits", "words", "each", "says", "never", "within", "files", "machine", "findings")
LANGUAGES = {".c": "c", ".cpp": "cpp", ".py": "python", ".sh": "bash", ".js": "javascript", ".java": "java", ".R": "r", ".rb": "ruby", ".php": "php"}


class Hostile:
    def __init__(self, path, case=None):
        self.path, self.case = path, case
        self.said = {key: [] for key in KEYS}
        for line in path.read_text().splitlines():
            found = re.match(r"(?://|#) (\w+): (.*)$", line)
            if found and found[1] in KEYS:
                self.said[found[1]].append(found[2].replace("{}", case or "{}").strip())
        if len(self.said["expect"]) != 1:
            raise ValueError(f"{path.name}: needs one line that says what to expect")

    def words(self, key):
        return [word for line in self.said[key] for word in shlex.split(line)]

    @property
    def expect(self):
        return dict(word.split("=", 1) for word in self.words("expect"))

    @property
    def name(self):
        return self.path.name + (f":{self.case}" if self.case else "")

    def command(self, known):
        words = [str(BIN / "retort"), "run", "--json", "--language", LANGUAGES[self.path.suffix], *self.options(known)]
        words += self.words("words") + [f"programs/{self.path.name}"]
        words += [f"helpers/{name}" for name in self.words("files")]
        return words + (["--", self.case] if self.case else [])

    def forked_command(self, known, folder):
        """The same from within a fork of a frozen interpreter: itself, or what a fork of Python becomes by execve."""
        main, files = folder / (self.path.stem + ".py"), []
        if self.path.suffix == ".py":
            main.write_bytes(self.path.read_bytes())
        elif self.path.suffix == ".c":
            subprocess.run(["gcc", "-O2", "-w", "-o", folder / "hostile", self.path, "-lm"], check=True)
            main.write_text(BECOME.format(program="./hostile", first=""))
            files = [folder / "hostile"]
        elif self.path.suffix in OWN_FORKS:
            main = pathlib.Path(shutil.copy(self.path, folder))
        else:
            main.write_text(BECOME.format(program=BECOMES[self.path.suffix], first=f'"{self.path.name}", '))
            files = [shutil.copy(self.path, folder)]
        files += [shutil.copy(HERE / "helpers" / name, folder) for name in self.words("files")]
        words = [str(BIN / "retort"), "run", "--json", "--warm", *self.options(known, forked=True),
                 *(self.words("words") if self.path.suffix in OWN_FORKS else ()), str(main), *map(str, files)]
        return words + (["--", self.case] if self.case else [])

    def pooled_command(self, known, folder):
        """The same from within an interpreter that was started ahead: itself, or what that becomes by execve."""
        language = LANGUAGES.get(self.path.suffix) if self.path.suffix in OWN_POOLS else "ruby"
        main, files = folder / ("main" + (self.path.suffix if self.path.suffix in OWN_POOLS else ".rb")), []
        if self.path.suffix in OWN_POOLS:
            main.write_bytes(self.path.read_bytes())
        elif self.path.suffix == ".c":
            subprocess.run(["gcc", "-O2", "-w", "-o", folder / "hostile", self.path, "-lm"], check=True)
            main.write_text('File.chmod(0755, "hostile")\nexec("./hostile", *ARGV)\n')
            files = [folder / "hostile"]
        else:
            main.write_text(f'exec("{BECOMES[self.path.suffix]}", "{self.path.name}", *ARGV)\n')
            files = [shutil.copy(self.path, folder)]
        files += [shutil.copy(HERE / "helpers" / name, folder) for name in self.words("files")]
        words = [str(BIN / "retort"), "run", "--json", "--warm", "--language", language, *self.options(known), str(main), *map(str, files)]
        return words + (["--", self.case] if self.case and language != "php" else [])

    def options(self, known, forked=False):
        words = []
        for limit in self.words("limits"):
            if not (forked and self.path.suffix in OWN_FORKS and limit.startswith("memory=")):  # these start with their memory
                words += ["--limit", limit]
        for name, value in known.items():
            words += ["--env", f"{name}={value}"]
        return words


# What has a frozen interpreter of its own; and how a guest that is a fork of a Python becomes another program.
OWN_FORKS = {".js", ".java", ".R"}
BECOMES = {".sh": "/bin/bash", ".py": "/usr/bin/python3"}
# What has interpreters of its own that are started ahead.
OWN_POOLS = {".rb", ".php"}
BECOME = """import os, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
if "{program}" == "./hostile":
    os.chmod("hostile", 0o755)
os.execv("{program}", ["{program}", {first}*sys.argv[1:]])
"""


def all_programs(suffixes=tuple(LANGUAGES)):
    for path in sorted((HERE / "programs").iterdir()):
        whole = Hostile(path)
        if path.suffix not in suffixes or (suffixes != tuple(LANGUAGES) and path.name.startswith("compile_")):
            continue
        cases = whole.words("each") or [None]
        for one in (Hostile(path, case) for case in cases):
            marks = [pytest.mark.xfail(strict=True, reason=reason) for reason in one.said["findings"]]
            yield pytest.param(one, id=one.name, marks=marks)


def check_limit(outcome, expect):
    hit = outcome.get("limit")
    if "limit" not in expect:
        assert hit is None, "no limit was to be hit"
        return
    assert hit and hit["name"] == expect["limit"]
    if expect["limit"] == "syscall":
        assert hit["how"] == expect["how"]
    else:
        assert expect.get("how", "") in hit["how"]
        assert hit["measured"] >= hit["value"] or hit["name"] in ("memory_bytes", "disk_bytes")
        assert hit["measured"] > 0


def skip_where_it_cannot_run(program, installed_languages):
    for machine in program.words("machine"):
        if machine != platform.machine():
            pytest.skip(f"made for {machine}")
    if missing := installed_languages[LANGUAGES[program.path.suffix]]:
        pytest.skip(f"toolchain not installed: {missing}")


@pytest.mark.parametrize("program", all_programs())
def test_escape(program, corner, canaries, host_unchanged, installed_languages):
    skip_where_it_cannot_run(program, installed_languages)
    try_it(program, program.command(canaries.for_guest()), environment(), corner, canaries)


@pytest.fixture(scope="module")
def bare_runtimes(tmp_path_factory):
    """The runtimes, with a Python that imports nothing before it is frozen, and a JVM that does little: ready at once."""
    folder = tmp_path_factory.mktemp("runtimes") / "runtimes"
    shutil.copytree(RUNTIMES_DIR, folder)
    described = folder / "python" / "runtime.yaml"
    text = described.read_text()
    assert text.count("\n  preload: [numpy, pandas, matplotlib.pyplot]\n") == 1
    described.write_text(re.sub(r"\n  preload: \[.*\]\n", "\n  preload: []\n", text))
    described = folder / "java" / "runtime.yaml"
    text = described.read_text()
    assert text.count("    - Warm\n") == 1
    described.write_text(text.replace("    - Warm\n", "    - Warm\n    - 2\n"))
    folder.parent.chmod(0o755)
    return folder


@pytest.mark.parametrize("program", all_programs((".py", ".c", ".sh", ".js", ".java")))
def test_escape_of_a_fork(program, corner, canaries, host_unchanged, installed_languages, bare_runtimes, tmp_path):
    """Guests that are forks of a frozen interpreter are kept as well as those that are started by execve."""
    skip_where_it_cannot_run(program, installed_languages)
    outcome = try_it(program, program.forked_command(canaries.for_guest(), tmp_path),
                     environment(RETORT_RUNTIMES=str(bare_runtimes)), corner, canaries)
    assert outcome["start"] in ("fork", "parked") or "memory=1M" in program.words("limits")


@pytest.mark.parametrize("program", all_programs((".c", ".sh", ".py", ".rb", ".php")))
def test_escape_of_one_started_ahead(program, corner, canaries, host_unchanged, installed_languages, tmp_path):
    """Guests whose process was started before there was a program for it are kept as well as all others."""
    if missing := installed_languages["ruby"]:
        pytest.skip(f"toolchain not installed: {missing}")
    skip_where_it_cannot_run(program, installed_languages)
    if "error" in program.expect and program.path.suffix not in OWN_POOLS:
        pytest.skip("what an interpreter becomes has no hook")
    outcome = try_it(program, program.pooled_command(canaries.for_guest(), tmp_path), environment(), corner, canaries)
    assert outcome["start"] == "pool" or any(word.startswith("memory=") and int(re.match(r"memory=(\d+)M", word)[1]) < 32
                                             for word in program.words("limits"))


def compiled_by_forks():
    """Hostile sources: with an argument for the compiler it is started afresh, and that is tried above."""
    for path in sorted((HERE / "programs").glob("compile_*.c")):
        one = Hostile(path)
        if not any(word.startswith("--compile-arg") for word in one.words("words")):
            yield pytest.param(one, id=one.name)


@pytest.mark.parametrize("program", compiled_by_forks())
def test_escape_of_a_forked_compiler(program, corner, canaries, host_unchanged, installed_languages):
    skip_where_it_cannot_run(program, installed_languages)
    command = program.command(canaries.for_guest())
    command.insert(command.index("--json"), "--warm")
    outcome = try_it(program, command, environment(), corner, canaries)
    assert outcome["start"] in ("fork", "parked")


def try_it(program, command, env, corner, canaries):
    within = int((program.said["within"] or ["20"])[0])
    begun = time.monotonic()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, cwd=HERE, timeout=within + 30,
                          env={**env, "TMPDIR": str(corner.scratch), "HOST_SECRET": canaries.secret})
    took = time.monotonic() - begun
    assert done.stdout, done.stderr.decode()
    outcome = json.loads(done.stdout)
    text = b"".join(in_text(step, stream) for step in outcome["steps"] for stream in ("stdout", "stderr"))
    print(json.dumps({k: v for k, v in outcome.items() if k != "steps"})[:6000])

    canaries.check(done.stdout, done.stderr, text)
    expect = program.expect
    assert outcome["status"] == expect["status"]
    assert outcome["isolation"]["level"] == "strong"
    check_limit(outcome, expect)
    if "exit" in expect:
        assert outcome["exit_code"] == int(expect["exit"])
    if "signal" in expect:
        assert outcome["signal"] == int(expect["signal"])
    if "error" in expect:
        assert outcome["error"]["name"] == expect["error"]
    assert outcome["steps"][-1]["name"] == expect.get("step", "run")
    assert done.returncode == 125 if outcome["status"] == "internal" else done.returncode != 125
    for wanted in program.said["says"]:
        assert wanted.encode() in text or (wanted == "0 1 2 3 done" and outcome["start"] != "cold" and b"0 1 2 done" in text)
    doors = re.findall(rb"(?m)^open: .*", text)
    assert not doors
    for unwanted in program.said["never"]:
        assert unwanted.encode() not in text
    assert took < within
    if expect.get("step", "run") == "run" and outcome["status"] in ("wall_limit", "cpu_limit"):
        used, late_ms = (("wall_ms", 10000) if outcome["status"] == "wall_limit" else ("cpu_ms", 1000))
        assert outcome["steps"][-1]["usage"][used] < outcome["limit"]["value"] + late_ms
    return outcome


def test_there_are_enough_programs():
    assert len(list((HERE / "programs").iterdir())) >= 45
