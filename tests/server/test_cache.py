# SPDX-License-Identifier: Apache-2.0
"""Compiled programs serve again, within their tenant; what the server says of them is as openapi.json has it."""
import pytest
from conftest import wait_for
from test_openapi import check

CODE = '#include <stdio.h>\nint main(int argc, char **argv) { int unused; printf("%s\\n", argc > 1 ? argv[1] : "none"); return 0; }\n'


def compiled(server, key=True, code=CODE, compile_=None, args=()):
    """The run's compile step, after its outcome was checked against the description."""
    request = {"language": "c", "code": code, "args": list(args), "compile": compile_ or {}}
    answer = server.post("/v1/runs", request, key=key)
    assert answer.status == 200, answer
    outcome = answer.json
    check({"$ref": "#/components/schemas/Request"}, request)
    check({"$ref": "#/components/schemas/Outcome"}, outcome)
    assert outcome["status"] == "ok" and outcome["stdout"] == (args[0] if args else "none") + "\n", outcome
    assert [d["message"][:6] for d in outcome["diagnostics"]] == ["unused"]
    return outcome["steps"][0]


@pytest.fixture
def warm(serve, request):
    """A server whose cache has the program."""
    server = serve(*getattr(request, "param", ()))
    c = next(language for language in server.get("/v1/languages").json if language["name"] == "c")
    if not c["installed"]:
        pytest.skip("c is not installed")
    isolation = server.get("/v1/isolation").json
    if not any(m["name"] == "mount-namespace" and m["state"] == "active" for m in isolation["mechanisms"]):
        pytest.skip("without a mount namespace nothing is kept")
    wait_for(lambda: compiled(server).get("cached"), 30)
    return server


def counters(server):
    return {line.split()[0]: float(line.split()[1]) for line in server.get("/metrics").body.decode().splitlines()
            if line.startswith("retort_compile_cache")}


def test_again_it_costs_nothing_and_says_the_same(warm):
    fresh = compiled(warm, compile_={"fresh": True})
    again = compiled(warm, args=["another argument"])
    assert again["cached"] is True and "cached" not in fresh
    assert again["stderr"] == fresh["stderr"] != "" and again["exit_code"] == 0
    assert again["usage"]["wall_ms"] == again["usage"]["cpu_ms"] == 0 < fresh["usage"]["cpu_ms"]
    before = counters(warm)
    assert "cached" not in compiled(warm, compile_={"args": ["-O1"]})
    assert compiled(warm, compile_={"args": ["-O1"]})["cached"]
    after = counters(warm)
    for result in ("hit", "miss"):
        name = f'retort_compile_cache_total{{result="{result}"}}'
        assert after[name] == before[name] + 1
    assert after["retort_compile_cache_programs"] == before["retort_compile_cache_programs"] + 1


def test_a_jobs_program_is_its_tenants_too(warm):
    id = warm.job(CODE, language="c")
    assert warm.outcome(id)["outcome"]["steps"][0]["cached"] is True


@pytest.mark.parametrize("warm, shared", [((), False), (("--set", "cache.shared=true"), True)], indirect=["warm"])
def test_other_tenants_have_their_own(warm, shared):
    other = warm.new_key("--tenant", "other")
    wait_for(lambda: warm.get("/v1/jobs", key=other).status == 200, 3)
    assert compiled(warm, key=other).get("cached", False) is shared
    assert compiled(warm, key=other)["cached"]


def test_stream_has_what_the_compiler_said(warm):
    answer = warm.post("/v1/runs", {"language": "c", "code": CODE}, Accept="application/x-ndjson")
    events = answer.lines
    assert [e["type"] for e in events] == ["started", "stderr", "step", "started", "stdout", "step", "end"]
    assert "unused" in events[1]["text"] and events[2]["step"]["cached"] is True
    for event in events:
        check({"$ref": "#/components/schemas/Event"}, event)
