# SPDX-License-Identifier: Apache-2.0
"""openapi.json is true: every route is in it, and what the server answers is what it says."""
import json
import re

import jsonschema
import pytest
from conftest import ROOT

DESCRIPTION = json.loads((ROOT / "src" / "api" / "openapi.json").read_text())


def resolve(part):
    while "$ref" in part:
        where = DESCRIPTION
        for name in part["$ref"][2:].split("/"):
            where = where[name]
        part = where
    return part


def check(schema, value):
    jsonschema.Draft202012Validator({"components": DESCRIPTION["components"], **schema}).validate(value)


def holds(server, method, path, body=None, template=None, **more):
    """Asks, and checks status, headers and body of the answer against the description. Gives the answer."""
    answer = server.ask(method, path, body, **more)
    operation = DESCRIPTION["paths"][template or path.split("?")[0]][method.lower()]
    assert str(answer.status) in operation["responses"], (method, path, answer)
    response = resolve(operation["responses"][str(answer.status)])
    if "content" not in response:
        assert answer.body == b""
        return answer
    kind = answer.headers["Content-Type"].split(";")[0]
    assert kind in response["content"], (kind, list(response["content"]))
    schema = response["content"][kind]["schema"]
    if kind == "application/x-ndjson":
        for event in answer.lines:
            check(schema, event)
    elif kind == "text/event-stream":
        for data in re.findall(r"^data: (.*)$", answer.body.decode(), re.M):
            check(schema, json.loads(data))
    elif "json" in kind:
        check(schema, answer.json)
    return answer


def test_is_served_and_well_formed(server):
    assert server.get("/openapi.json", key=None).json == DESCRIPTION
    for schema in DESCRIPTION["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for pointer in re.findall(r'"\$ref": "([^"]+)"', json.dumps(DESCRIPTION)):
        assert resolve({"$ref": pointer})
    ids = [operation["operationId"] for path in DESCRIPTION["paths"].values() for name, operation in path.items() if name != "parameters"]
    assert len(ids) == len(set(ids))


def test_every_route_is_in_it():
    table = (ROOT / "src" / "api" / "native.c").read_text()
    routes = set(re.findall(r'\{ "([A-Z]+)", "(/[^"]*)",', table))
    described = {(name.upper(), path) for path, item in DESCRIPTION["paths"].items() for name in item if name != "parameters"}
    assert routes == described


def test_every_problem_type_is_in_it():
    said = set()
    for file in (ROOT / "src" / "api").glob("*.c"):
        if not file.name.startswith("runtime"):
            said |= set(re.findall(r'rt_exchange_refuse\([^;]*?"([a-z-]+)", ', file.read_text()))
    kinds = set(DESCRIPTION["components"]["schemas"]["Problem"]["properties"]["type"]["enum"])
    missing = {kind for kind in said if f"urn:retort:problem:{kind}" not in kinds}
    assert said and not missing


RUNS = [
    {"language": "python", "code": "print(1)"},
    {"language": "python", "code": "1/0"},
    {"language": "python", "code": "import sys; sys.stdout.buffer.write(b'\\xff\\xfe')"},
    {"language": "python", "code": "while True: pass", "limits": {"wall_ms": 200}},
    {"language": "python", "code": "print('x' * 100000)", "limits": {"output_bytes": 1000}},
    {"language": "python", "code": "import os; os.kill(os.getpid(), 9)"},
    {"language": "c", "code": "int main(void) { return x; }"},
    {"language": "c", "code": "int main(void) { return 0; }", "compile": {"args": ["-O1"], "limits": {"wall_ms": 9000}}},
    {"language": "python", "files": [{"path": "a.py", "content": "cHJpbnQoMSk=", "encoding": "base64"}], "entry": "a.py",
     "stdin": "x", "stdin_encoding": "utf-8", "args": ["1"], "env": {"A": "b"}},
]


@pytest.mark.parametrize("request_", RUNS)
@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson", "text/event-stream"])
def test_runs(server, request_, accept):
    check({"$ref": "#/components/schemas/Request"}, request_)
    assert holds(server, "POST", "/v1/runs", request_, Accept=accept).status == 200


@pytest.mark.parametrize("wrong", [
    {}, {"language": "python"}, {"language": "python", "code": "1", "x": 1}, {"language": 1, "code": "1"},
    {"language": "python", "code": "1", "limits": {"wall_ms": 0.5}}, {"language": "python", "code": "1", "limits": {"memory_bytes": 1}},
    {"language": "python", "code": "1", "files": [{"path": "a", "content": ""}]}, {"language": "python", "files": []},
    {"language": "python", "files": [{"path": "", "content": ""}]}, {"language": "python", "code": "1", "options": {"a": 1}},
])
def test_what_it_forbids_is_refused(server, wrong):
    with pytest.raises(jsonschema.ValidationError):
        check({"$ref": "#/components/schemas/Request"}, wrong)
    assert holds(server, "POST", "/v1/runs", wrong).status == 400


def test_jobs(server):
    order = {"request": {"language": "python", "code": "print(1)"}, "priority": 1}
    check({"$ref": "#/components/schemas/JobOrder"}, order)
    id = holds(server, "POST", "/v1/jobs", order, Idempotency_Key="openapi").json["id"]
    holds(server, "POST", "/v1/jobs", order, Idempotency_Key="openapi")
    holds(server, "POST", "/v1/jobs", {"jobs": [order, order]})
    holds(server, "POST", "/v1/jobs", {"jobs": []})
    holds(server, "GET", f"/v1/jobs/{id}?wait=10s", template="/v1/jobs/{id}")
    holds(server, "GET", f"/v1/jobs/{id}/events", template="/v1/jobs/{id}/events")
    holds(server, "GET", f"/v1/jobs/{id}/events?from=x", template="/v1/jobs/{id}/events")
    holds(server, "GET", "/v1/jobs/none", template="/v1/jobs/{id}")
    holds(server, "DELETE", f"/v1/jobs/{id}", template="/v1/jobs/{id}")
    holds(server, "DELETE", "/v1/jobs/none", template="/v1/jobs/{id}")
    holds(server, "GET", "/v1/jobs?limit=1&status=ok")
    holds(server, "GET", "/v1/jobs?limit=-1")


@pytest.mark.parametrize("path", ["/v1/languages", "/v1/isolation", "/v1/status", "/metrics", "/healthz", "/readyz", "/openapi.json"])
def test_the_rest(server, path):
    assert holds(server, "GET", path).status == 200
    if path.startswith("/v1"):
        assert holds(server, "GET", path, key=None).status == 401
    assert server.post(path, {}).status == 405


def test_other_refusals(server):
    holds(server, "POST", "/v1/runs", b"x", Content_Type="text/plain")
    holds(server, "GET", "/v1/attach")
    holds(server, "GET", "/v1/languages", Origin="http://evil.example")
