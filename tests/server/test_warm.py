# SPDX-License-Identifier: Apache-2.0
"""Frozen interpreters through the server: what it says of them, and that runs are forks of one."""
from conftest import wait_for


def warm_of(server, language):
    return next(one["warm"] for one in server.get("/v1/languages").json if one["name"] == language)


def test_runs_become_forks(serve):
    server = serve("--set", "engine.warm=python")
    wait_for(lambda: server.run("print(1)").json["start"] == "parked")
    one = server.run("import os; print(os.getcwd())").json
    assert (one["status"], one["stdout"]) == ("ok", "/work\n") and one["start"] in ("parked", "fork")
    assert warm_of(server, "python") == {"state": "frozen", "reason": ""} and warm_of(server, "bash") is None
    assert 'retort_starts_total{start="parked"}' in server.get("/metrics").body.decode()


def test_none_is_frozen_if_told_so(serve):
    server = serve("--set", "engine.warm=none")
    assert {server.run("print(1)").json["start"] for _ in range(3)} == {"cold"}
    assert warm_of(server, "python")["state"] == "cold"


def test_an_unknown_language_is_refused_at_the_start(serve):
    server = serve("--set", "engine.warm=klingon", wait=False)
    assert server.process.wait(30) != 0 and "klingon" in server.errors
