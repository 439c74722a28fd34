# SPDX-License-Identifier: Apache-2.0
"""Control groups of version 2, Linux 6.1 and Landlock 2: what this host may not have, in a virtual machine.

The machine boots once; each line of its TAP is a test here. Skipped, with the reason, where it cannot be had.
"""
import os
import pathlib
import re
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("RETORT_BUILD", HERE.parents[1] / "build")).resolve()
NAMES = re.findall(r'^check "(.*?)" ', (HERE / "checks.sh").read_text(), re.M)


@pytest.fixture(scope="session")
def machine():
    """Name of a check -> whether it passed, and what it said."""
    done = subprocess.run([HERE / "run", BUILD], capture_output=True, text=True, timeout=400)
    if done.returncode == 77:
        pytest.skip(done.stdout.strip())
    results, last = {}, None
    for line in done.stdout.splitlines():
        found = re.fullmatch(r"(not )?ok \d+ - (.*)", line)
        if found:
            last = found[2]
            results[last] = (not found[1], [])
        elif last:
            results[last][1].append(line)
    results["end"] = (done.returncode == 0, done.stdout.splitlines()[-30:] + [done.stderr])
    return results


@pytest.mark.parametrize("name", [*NAMES, "end"])
def test_in_machine(machine, name):
    passed, words = machine.get(name, (False, ["the machine did not get that far", *machine["end"][1]]))
    assert passed, "\n".join(words)


def test_there_are_checks():
    assert len(NAMES) > 30 and len(set(NAMES)) == len(NAMES)
