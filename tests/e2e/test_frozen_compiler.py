# SPDX-License-Identifier: Apache-2.0
"""A frozen compiler is the one that was installed when it was frozen: when that may have changed it is not used any more.

One `retort batch` is spoken to line by line, on runtimes of its own, in which something then changes.
"""
import json
import shutil
import subprocess
import time

import pytest

from conftest import BIN, RUNTIMES, environment

HELLO = '#include <stdio.h>\nint main(void) { puts("hello %d"); return 0; }\n'


class Batch:
    def __init__(self, runtimes):
        self.process = subprocess.Popen([BIN / "retort", "batch", "--jobs", "1", "--warm", "c"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=environment(RETORT_RUNTIMES=str(runtimes)))
        self.n = 0

    def run(self, n=None, **more):
        """Another program each time, or number n."""
        self.n += n is None
        number = self.n if n is None else n
        self.process.stdin.write(json.dumps({"language": "c", "code": HELLO % number, **more}) + "\n")
        self.process.stdin.flush()
        outcome = json.loads(self.process.stdout.readline())
        assert (outcome["status"], outcome["stdout"]) == ("ok", f"hello {number}\n"), outcome
        return outcome

    def until(self, what, **more):
        for _ in range(200):
            outcome = self.run(**more)
            if what(outcome):
                return outcome
            time.sleep(0.05)
        raise AssertionError(outcome)


def is_forked(outcome):
    return outcome["start"] in ("fork", "parked")


@pytest.fixture
def runtimes(tmp_path, installed_languages):
    if missing := installed_languages["c"]:
        pytest.skip(f"toolchain not installed: {missing}")
    shutil.copytree(RUNTIMES, tmp_path / "runtimes")
    tmp_path.chmod(0o755)
    return tmp_path / "runtimes"


@pytest.fixture
def batch(runtimes):
    opened = Batch(runtimes)
    opened.runtimes = runtimes
    if not is_forked(opened.run()):
        opened.process.communicate()
        pytest.skip("this host freezes no interpreter")
    yield opened
    opened.process.communicate(timeout=30)
    assert opened.process.returncode == 0


def test_a_program_is_compiled_by_a_fork_and_then_kept(batch):
    first = batch.run()
    assert is_forked(first) and [step["name"] for step in first["steps"]] == ["compile", "run"]
    batch.until(lambda outcome: outcome["steps"][0].get("cached"), n=7)
    again = batch.run(n=7)
    assert again["steps"][0]["cached"] and again["start"] == "cold", "nothing of it was started but the program"
    assert again["version"] == first["version"]
    assert is_forked(batch.run(n=7, compile={"fresh": True}))


def test_a_compiler_that_may_have_changed_is_let_go(batch):
    batch.until(lambda outcome: outcome["steps"][0].get("cached"), n=7)  # what the compiler reads is watched
    assert is_forked(batch.run())
    with open(batch.runtimes / "c" / "hello.c", "a") as changed:
        changed.write("\n")
    assert batch.run()["start"] == "cold"
    assert batch.run()["start"] == "cold", "while it may still go on changing nothing is frozen"
    batch.until(is_forked)
    batch.until(lambda outcome: outcome["steps"][0].get("cached"), n=7)
    assert is_forked(batch.run())


@pytest.mark.parametrize("change, reason", [
    (("mv program plain", "mv program plain && printf x >>plain"), "does not make the same program as gcc"),
    (("ld.gold)", "ld.nowhere)"), "gcc has no gold"),
    (("'-###'", "'-###' -save-temps"), "gcc does not start three programs"),
])
def test_a_compiler_that_is_not_as_it_should_be_is_refused(runtimes, change, reason):
    """And its programs are compiled as ever."""
    script = runtimes / "c" / "start.sh"
    assert script.read_text().count(change[0]) == 1
    script.write_text(script.read_text().replace(*change))
    env = environment(RETORT_RUNTIMES=str(runtimes))
    forked = subprocess.run([BIN / "retort", "run", "--warm", runtimes / "c" / "hello.c"], env=env, capture_output=True, text=True, timeout=60)
    if "gives no namespaces" in forked.stderr:
        pytest.skip("this host freezes no interpreter")
    assert forked.returncode == 125 and reason in forked.stderr, forked
    plain = subprocess.run([BIN / "retort", "run", runtimes / "c" / "hello.c"], env=env, capture_output=True, text=True, timeout=60)
    assert (plain.returncode, plain.stdout) == (0, "hello from C\n")
