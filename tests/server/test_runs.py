# SPDX-License-Identifier: Apache-2.0
"""/v1/runs and what surrounds it: answers, streams, slow and leaving clients, refusals, metrics."""
import json
import re
import socket
import subprocess
import time

import pytest
from conftest import ENDLESS, ENDLESS_LIMITS, SANITIZED, wait_for


def test_outcome(server):
    answer = server.run("import sys\nprint(6 * 7)\nprint('oops', file=sys.stderr)\nsys.exit(3)")
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/json"
    outcome = answer.json
    assert (outcome["status"], outcome["exit_code"], outcome["stdout"], outcome["stderr"]) == ("nonzero", 3, "42\n", "oops\n")
    assert outcome["isolation"]["level"] and outcome["usage"]["wall_ms"] > 0


@pytest.mark.parametrize("code, fields, status", [
    ("while True: pass", {"limits": {"wall_ms": 300}}, "wall_limit"),
    ("x = 'a' * (1 << 30)", {"limits": {"memory_bytes": 64 << 20}}, "memory_limit"),
    ("while True: print('x' * 1000)", {"limits": {"output_bytes": 10000}}, "output_limit"),
    ("import os; os.kill(os.getpid(), 11)", {}, "signal"),
])
def test_a_guests_failure_is_an_outcome(server, code, fields, status):
    answer = server.run(code, **fields)
    assert answer.status == 200 and answer.json["status"] == status


def test_files_stdin_args_env(server):
    answer = server.post("/v1/runs", {"language": "python", "files": [
        {"path": "main.py", "content": "import os, sys, lib.a\nprint(lib.a.X, sys.argv[1], os.environ['E'], input())"},
        {"path": "lib/a.py", "content": "X = 1"}], "stdin": "in\n", "args": ["arg"], "env": {"E": "env"}})
    assert answer.json["stdout"] == "1 arg env in\n"


@pytest.mark.parametrize("accept, kind", [("application/x-ndjson", "ndjson"), ("text/event-stream", "sse")])
def test_first_output_while_it_sleeps(server, accept, kind):
    connection, response = server.start("POST", "/v1/runs", {"language": "python", "code":
                                        "import time\nprint('now', flush=True)\ntime.sleep(3)\nprint('later')"}, Accept=accept)
    assert response.getheader("Content-Type") == accept
    line = b""
    while b"now" not in line:
        line = response.readline()
    came = time.monotonic()
    rest = response.read().decode()
    assert "later" in rest and time.monotonic() - came > 1, "it was held back"
    if kind == "sse":
        blocks = [dict(part.split(": ", 1) for part in block.splitlines()) for block in rest.strip().split("\n\n")]
        last = blocks[-1]
        assert last["event"] == "end" and json.loads(last["data"])["seq"] == int(last["id"])
    connection.close()


def test_events_are_numbered_and_end_with_the_outcome(server):
    lines = server.post("/v1/runs", {"language": "c", "code": "#include <stdio.h>\nint main(){puts(\"hi\");return 2;}"},
                        Accept="application/x-ndjson").lines
    assert [line["seq"] for line in lines] == list(range(len(lines)))
    assert [line["at_ms"] for line in lines] == sorted(line["at_ms"] for line in lines)
    assert lines[-1]["type"] == "end" and lines[-1]["outcome"]["exit_code"] == 2


def test_slow_reader_slows_the_program_and_memory_stays(serve):
    one = serve()
    before = one.rss_bytes()
    connection = socket.create_connection(("127.0.0.1", one.port))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    code = "import sys\nfor i in range(600): sys.stdout.write('x' * 100000)"  # 60 MB
    body = json.dumps({"language": "python", "code": code, "limits": {"output_bytes": 64 << 20, "wall_ms": 20000}})
    connection.sendall((f"POST /v1/runs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {one.key}\r\nContent-Type: "
                        f"application/json\r\nAccept: application/x-ndjson\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode())
    connection.recv(1000)
    time.sleep(2)
    assert one.running() == 1, "it waits for its reader"
    assert SANITIZED or one.rss_bytes() - before < 24 << 20
    connection.close()
    wait_for(lambda: one.running() == 0)


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
def test_client_that_leaves_ends_its_program(server, accept):
    body = json.dumps({"language": "python", "code": ENDLESS, **ENDLESS_LIMITS})
    wait_for(lambda: server.running() == 0)
    connection = socket.create_connection(("127.0.0.1", server.port))
    connection.sendall((f"POST /v1/runs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.key}\r\nContent-Type: "
                        f"application/json\r\nAccept: {accept}\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode())
    wait_for(lambda: server.running() == 1)
    time.sleep(0.3)
    connection.close()
    wait_for(lambda: server.running() == 0)


def test_client_that_leaves_its_whole_answer_behind(serve):
    one = serve()
    body = json.dumps({"language": "python", "code": "print('x' * (12 << 20))", "limits": {"output_bytes": 16 << 20}})
    for _ in range(3):
        connection = socket.create_connection(("127.0.0.1", one.port))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall((f"POST /v1/runs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {one.key}\r\nContent-Type: "
                            f"application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode())
        connection.recv(100)  # the answer is being sent: nothing of ours waits for it any more
        time.sleep(0.2)
        connection.close()
    assert one.run("print(1)").json["stdout"] == "1\n"
    assert one.stop() == 0


# ---- refusals ----

NESTED = "[" * 1000000 + "]" * 1000000


@pytest.mark.parametrize("body, status, problem, field, words", [
    (b'{"language": "python", "code": }', 400, "invalid-request", None, "line 1, column"),
    (b'{"language": "python",\n "code": "1",\n "code": "2"}', 400, "invalid-request", None, "line 3"),
    (b'{"language": "python", "code": 7}', 400, "invalid-request", "code", ""),
    (b'{"language": "python", "code": "1", "colour": 1}', 400, "invalid-request", "colour", ""),
    (b'{"language": "python", "code": "1", "limits": {"wall_ms": "x"}}', 400, "invalid-request", "limits.wall_ms", ""),
    (b'{"language": "python", "code": "1", "limits": {"wall_ms": 99999999999}}', 400, "invalid-request", "limits.wall_ms", ""),
    (b'{"language": "python"}', 400, "invalid-request", None, "code"),
    (b'{"language": "cobol85", "code": "1"}', 400, "no-such-runtime", None, "cobol85"),
    (b'{"language": "python", "code": "\xff\xfe"}', 400, "invalid-request", None, ""),
    (NESTED.encode(), 400, "invalid-request", None, ""),
    (b"", 400, "invalid-request", None, ""),
    (b"null", 400, "invalid-request", None, ""),
])
def test_bad_bodies(server, body, status, problem, field, words):
    answer = server.ask("POST", "/v1/runs", body)
    assert answer.status == status, answer
    assert answer.headers["Content-Type"] == "application/problem+json"
    said = answer.json
    assert said["type"] == f"urn:retort:problem:{problem}" and said["status"] == status
    assert said.get("field") == field, said
    assert words in said["detail"]


def test_wrong_content_type(server):
    answer = server.ask("POST", "/v1/runs", b"print(1)", Content_Type="text/plain")
    assert answer.status == 415 and answer.json["type"].endswith("unsupported-media-type")


def raw(server, data, timeout=5):
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout) as connection:
        connection.sendall(data)
        answer = b""
        try:
            while more := connection.recv(65536):
                answer += more
                if b"\r\n\r\n" in answer and b"100 Continue" not in answer:
                    break
        except TimeoutError:
            pass
        return answer


@pytest.mark.parametrize("head, status", [
    ("Content-Length: 2\r\nContent-Length: 3\r\n", 400),
    ("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", 400),
    ("Content-Length: 99999999999\r\n", 413),
    ("X-Big: " + "x" * 70000 + "\r\n", 431),
])
def test_bad_heads(server, head, status):
    answer = raw(server, ("POST /v1/runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + head +
                          "\r\n{}").encode())
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer[:200]


def test_rebound_host_and_foreign_origin(server):
    assert raw(server, b"GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n").startswith(b"HTTP/1.1 421 ")
    assert server.get("/v1/languages", Origin="http://evil.example").status == 403
    assert server.get("/v1/languages", Origin=f"http://127.0.0.1:{server.port}").status == 200


@pytest.mark.parametrize("method, path, status, problem", [
    ("GET", "/v1/nothing", 404, "not-found"), ("GET", "/v1/runs", 405, "method-not-allowed"),
    ("DELETE", "/v1/languages", 405, "method-not-allowed"), ("GET", "/v1/jobs/01M81FTEJNWYBXJHZTQ9V5FXTJ", 404, "no-such-job"),
    ("GET", "/v1/jobs/..%2f..%2fetc", 400, None), ("GET", "/v1/jobs?limit=0", 400, "invalid-request"),
    ("GET", "/v1/jobs?state=lost", 400, "invalid-request"), ("GET", "/v1/attach", 400, "websocket-needed"),
])
def test_wrong_paths(server, method, path, status, problem):
    answer = server.ask(method, path)
    assert answer.status == status, answer
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert problem is None or answer.json["type"] == f"urn:retort:problem:{problem}"


def test_without_and_with_a_wrong_key(server):
    for key in (None, "rt_" + "0" * 64, "x", "rt_" + "é"):
        answer = server.get("/v1/languages", key=key and key.encode().decode("latin-1"))
        assert answer.status == 401 and answer.json["type"].endswith("unauthorized")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_scopes(serve):
    one = serve()
    key = one.new_key("--scopes", "run")
    wait_for(lambda: one.get("/v1/languages", key=key).status == 200)
    for path in ("/v1/jobs", "/v1/status", "/metrics"):
        answer = one.get(path, key=key)
        assert answer.status == 403 and answer.json["type"].endswith("forbidden"), path


def test_rate_limit(serve):
    one = serve("--set", "quotas.requests_per_minute=6", "--set", "quotas.burst=5")
    answers = [one.get("/v1/languages") for _ in range(8)]
    assert [a.status for a in answers[:5]] == [200] * 5
    limited = [a for a in answers if a.status == 429]
    assert limited and limited[0].json["type"].endswith("rate-limited")
    assert 1 <= int(limited[0].headers["Retry-After"]) <= 10
    assert int(answers[0].headers["RateLimit-Remaining"]) > int(answers[3].headers["RateLimit-Remaining"])


def test_queue_full_is_503(serve):
    one = serve("--set", "engine.slots=1", "--set", "queue.max_runs=1")
    open_ones = []
    for n in (1, 2):
        body = json.dumps({"language": "python", "code": ENDLESS, **ENDLESS_LIMITS})
        connection = socket.create_connection(("127.0.0.1", one.port))
        connection.sendall((f"POST /v1/runs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {one.key}\r\nContent-Type: "
                            f"application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode())
        open_ones.append(connection)
        wait_for(lambda: (now := one.get("/v1/status").json)["slots_busy"] + now["runs_waiting"] == n)
    answer = one.run("1")
    assert answer.status == 503 and answer.json["type"].endswith("busy") and int(answer.headers["Retry-After"]) >= 1
    for connection in open_ones:
        connection.close()


def test_quota_of_running(serve):
    one = serve(config="tenants:\n  small:\n    queued_jobs: 2\n", env={})
    key = one.new_key("--tenant", "small")
    wait_for(lambda: one.get("/v1/languages", key=key).status == 200)
    body = {"request": {"language": "python", "code": ENDLESS, **ENDLESS_LIMITS}}
    answers = [one.post("/v1/jobs", body, key=key) for _ in range(12)]
    refused = [a for a in answers if a.status != 202]
    assert refused and all(a.status == 429 and a.json["type"].endswith("quota-exceeded") for a in refused)
    assert int(refused[0].headers["Retry-After"]) >= 1


# ---- what can be asked ----

def test_languages_and_isolation(server):
    names = json.dumps(server.get("/v1/languages").json)
    assert '"python"' in names and '"c"' in names
    assert server.get("/v1/isolation").json["level"]


def test_metrics_are_good(server):
    server.run("print(1)")
    counted = re.compile(rb'retort_runs_total\{language="python",status="ok"\} [1-9]')
    wait_for(lambda: counted.search(server.get("/metrics").body))
    text = server.get("/metrics").body
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert b"retort_run_seconds_bucket" in text


def test_log_holds_no_code_and_no_keys(serve):
    one = serve()
    one.run("print('SECRETCODE')", stdin="SECRETINPUT")
    one.get("/v1/languages", key="rt_" + "a" * 64)
    wait_for(lambda: '"event":"run"' in one.errors)  # written once the answer is out
    assert one.stop() == 0
    lines = [line for line in one.errors.splitlines() if line.startswith("{")]
    assert any(json.loads(line)["event"] == "run" for line in lines)
    log = "\n".join(lines)
    assert "SECRET" not in log and one.key not in log and "aaaa" not in log


def test_traceparent_is_passed_on(serve):
    one = serve()
    one.post("/v1/runs", {"language": "python", "code": "1"}, traceparent="00-" + "1a" * 16 + "-" + "2b" * 8 + "-01")
    wait_for(lambda: "1a" * 16 in one.errors)  # written once the answer is out


@pytest.mark.skipif(SANITIZED, reason="sanitizers have memory of their own")
def test_idle_memory(serve):
    one = serve()
    one.get("/healthz")
    assert one.rss_bytes() < 15_000_000
