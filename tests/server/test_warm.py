# SPDX-License-Identifier: Apache-2.0
"""Frozen interpreters, and those that are started ahead, through the server: what it says of them, and that runs have one."""
import shutil

import pytest

from conftest import wait_for


@pytest.fixture
def installed_ruby():
    if not shutil.which("ruby", path="/usr/local/bin:/usr/bin:/bin"):
        pytest.skip("ruby is not installed")


def warm_of(server, language):
    return next(one["warm"] for one in server.get("/v1/languages").json if one["name"] == language)


def test_runs_become_forks(serve):
    server = serve("--set", "engine.warm=python")
    wait_for(lambda: server.run("print(1)").json["start"] == "parked")
    one = server.run("import os; print(os.getcwd())").json
    assert (one["status"], one["stdout"]) == ("ok", "/work\n") and one["start"] in ("parked", "fork")
    assert warm_of(server, "python") == {"state": "frozen", "reason": ""} and warm_of(server, "bash") is None
    assert 'retort_starts_total{start="parked"}' in server.get("/metrics").body.decode()


def test_runs_find_an_interpreter_that_was_started_ahead(serve, installed_ruby):
    server = serve("--set", "engine.warm=ruby")
    wait_for(lambda: server.run("puts 1", language="ruby").json["start"] == "pool")
    assert warm_of(server, "ruby") == {"state": "pool", "reason": ""}
    wait_for(lambda: server.run("puts 6 * 7", language="ruby").json["start"] == "pool")
    assert server.run("puts ARGV", language="ruby", args=["a b"]).json["stdout"] == "a b\n"
    assert 'retort_starts_total{start="pool"}' in server.get("/metrics").body.decode()


def test_none_is_frozen_if_told_so(serve):
    server = serve("--set", "engine.warm=none")
    assert {server.run("print(1)").json["start"] for _ in range(3)} == {"cold"}
    assert warm_of(server, "python")["state"] == "cold"


def test_an_unknown_language_is_refused_at_the_start(serve):
    server = serve("--set", "engine.warm=klingon", wait=False)
    assert server.process.wait(30) != 0 and "klingon" in server.errors
