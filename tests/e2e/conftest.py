# SPDX-License-Identifier: Apache-2.0
"""The real programs of one build, run as a person would run them.

RETORT_BUILD names the build folder (default: build). Nothing here knows how Retort works inside: tests see exit
statuses, bytes and JSON only.
"""
import json
import os
import signal
import pathlib
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # leftovers.py

# Whoever started us in the background may have had Ctrl-C ignored, and all that we start would ignore it too.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("RETORT_BUILD", ROOT / "build")).resolve()
BIN = BUILD / "src" / "bin"
RUNTIMES = next((d for d in (BUILD / "runtimes", ROOT / "runtimes") if d.is_dir()), ROOT / "runtimes")
collect_ignore = [] if BUILD == ROOT / "build" else ["test_run_script.py"]  # ./run is about build/ only
LONGEST_S = 60  # no test of the command needs longer; a hang is a failure with a name


def environment(**extra):
    env = {k: v for k, v in os.environ.items() if not k.startswith("RETORT_") and k != "NO_COLOR"}
    env.update(RETORT_RUNTIMES=str(RUNTIMES), RETORT_LIBEXEC=str(BIN))
    env.update(extra)
    return env


class Done:
    """What a run of the command left: exit status, stdout, stderr (bytes), and views of them."""

    def __init__(self, exit, out, err):
        self.exit, self.out, self.err = exit, out, err

    @property
    def text(self):
        return self.out.decode()

    @property
    def errors(self):
        return self.err.decode()

    @property
    def outcome(self):
        return json.loads(self.out)

    @property
    def events(self):
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def summary(self):
        """The last line of stderr."""
        return self.errors.splitlines()[-1]

    def __repr__(self):
        return f"exit {self.exit}\nstdout: {self.out!r}\nstderr: {self.err!r}"


class Retort:
    def __init__(self, folder):
        self.folder = folder
        self.program = str(BIN / "retort")

    def __call__(self, *words, input=b"", env=None, cwd=None, timeout=LONGEST_S):
        if isinstance(input, str):
            input = input.encode()
        done = subprocess.run([self.program, *map(str, words)], input=input, capture_output=True,
                              env=environment(**(env or {})), cwd=cwd or self.folder, timeout=timeout)
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *words, **options):
        """The running command, for tests that talk to it or stop it. Its own process group, as a shell would."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
                   "cwd": self.folder, "env": environment(), "start_new_session": True, **options}
        return subprocess.Popen([self.program, *map(str, words)], **options)

    def file(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def python(self, code, *words, **options):
        return self("run", "-l", "python", "-c", code, *words, **options)

    def bash(self, code, *words, **options):
        return self("run", "-l", "bash", "-c", code, *words, **options)


def eventually(condition, seconds=30):
    """Waits until condition() is true, and tells whether it became so. The time is for a busy machine: only a failure takes it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())


@pytest.fixture
def retort(tmp_path):
    if not (BIN / "retort").exists():
        pytest.fail(f"there is no retort in {BIN}; build first")
    return Retort(tmp_path)


@pytest.fixture(scope="session")
def installed_languages():
    """Name of each language -> None if its toolchain is here, else how to get it."""
    done = subprocess.run([str(BIN / "retort"), "languages", "--json"], capture_output=True, env=environment(),
                          timeout=LONGEST_S)
    assert done.returncode == 0, done.stderr
    return {one["name"]: None if one["installed"] else one["install"] for one in json.loads(done.stdout)}
