# SPDX-License-Identifier: Apache-2.0
"""/v1/jobs, webhooks, and /v1/attach."""
import hashlib
import hmac
import json
import time

import pytest
from conftest import ENDLESS, ENDLESS_LIMITS, wait_for


def test_accepted_and_waited_for(server):
    id = server.job("print('done')")
    job = server.outcome(id)
    assert job["id"] == id and job["state"] == "done" and job["status"] == "ok"
    assert job["outcome"]["stdout"] == "done\n" and job["outcome"]["id"] == id
    assert job["created_at"] <= job["started_at"] <= job["finished_at"] and job["created_at"].endswith("Z")


def test_wait_ends_in_time(server):
    id = server.job(ENDLESS, request=ENDLESS_LIMITS)
    begun = time.monotonic()
    assert server.outcome(id, wait="300ms")["state"] in ("queued", "running")
    assert 0.25 < time.monotonic() - begun < 25
    assert server.get(f"/v1/jobs/{id}?wait=1h").status == 400
    server.ask("DELETE", f"/v1/jobs/{id}")


def test_events_from_any_number(server):
    id = server.job("import time\nfor i in range(4):\n    print(i, flush=True)\n    time.sleep(0.2)")
    live = server.get(f"/v1/jobs/{id}/events").lines  # while it runs
    assert live[-1]["type"] == "end" and [e["seq"] for e in live] == list(range(len(live)))
    assert "".join(e["text"] for e in live if e["type"] == "stdout") == "0\n1\n2\n3\n"
    again = server.get(f"/v1/jobs/{id}/events").lines  # afterwards
    assert [(e["seq"], e["type"]) for e in again] == [(e["seq"], e["type"]) for e in live]
    assert server.get(f"/v1/jobs/{id}/events?from=3").lines == again[3:]
    sse = server.get(f"/v1/jobs/{id}/events", Accept="text/event-stream", Last_Event_ID="2").body.decode()
    assert sse.startswith("id: 3\n")
    assert server.get(f"/v1/jobs/{id}/events?from=x").status == 400
    assert server.get(f"/v1/jobs/{id}/events?from=999").lines == []


def test_cancel_kills(server):
    id = server.job(ENDLESS, request=ENDLESS_LIMITS)
    wait_for(lambda: server.outcome(id, wait="0s")["state"] == "running")
    assert server.ask("DELETE", f"/v1/jobs/{id}").status == 200
    job = server.outcome(id)
    assert job["status"] == "cancelled"
    wait_for(lambda: server.running() == 0)
    assert server.ask("DELETE", f"/v1/jobs/{id}").json["status"] == "cancelled"  # harmless


def test_cancel_of_a_queued_one(serve):
    one = serve("--set", "engine.slots=1")
    first, second = one.job(ENDLESS, request=ENDLESS_LIMITS), one.job("print('never')")
    one.ask("DELETE", f"/v1/jobs/{second}")
    assert one.outcome(second)["status"] == "cancelled"
    one.ask("DELETE", f"/v1/jobs/{first}")


def test_idempotency(server):
    body = {"request": {"language": "python", "code": "print('once')"}}
    first = server.post("/v1/jobs", body, Idempotency_Key="k1").json
    second = server.post("/v1/jobs", body, Idempotency_Key="k1").json
    assert first["id"] == second["id"] and (first["existed"], second["existed"]) == (False, True)
    other = {"request": {"language": "python", "code": "print('twice')"}}
    assert server.post("/v1/jobs", other, Idempotency_Key="k1").status in (400, 409, 422)


def test_batch_is_all_or_nothing(server):
    good = {"request": {"language": "python", "code": "print(1)"}}
    answer = server.post("/v1/jobs", {"jobs": [good] * 5})
    assert answer.status == 202
    ids = [job["id"] for job in answer.json["jobs"]]
    assert len(set(ids)) == 5 and all(server.outcome(id)["status"] == "ok" for id in ids)
    before = server.get("/v1/jobs?limit=1").json["jobs"][0]["id"]
    bad = {"request": {"language": "python", "code": "print(1)", "nonsense": 1}}
    answer = server.post("/v1/jobs", {"jobs": [good, bad]})
    assert answer.status == 400 and "jobs[1]" in answer.json["detail"]
    assert server.get("/v1/jobs?limit=1").json["jobs"][0]["id"] == before


def test_priority(serve):
    one = serve("--set", "engine.slots=1")
    blocker = one.job(ENDLESS, request=ENDLESS_LIMITS)
    wait_for(lambda: one.running() == 1)
    low = one.job("print(1)", priority=-5)
    high = one.job("print(2)", priority=5)
    assert one.ask("DELETE", f"/v1/jobs/{blocker}").status == 200
    assert one.outcome(high)["finished_at"] <= one.outcome(low)["started_at"]
    assert one.post("/v1/jobs", {"request": {"language": "python", "code": "1"}, "priority": 11}).json["field"] == "priority"


def test_list_and_filter(serve):
    one = serve()
    ids = [one.job("print(1)"), one.job("exit(1)"), one.job("int main(void) { return 0; }", language="c")]
    for id in ids:
        one.outcome(id)
    assert [job["id"] for job in one.get("/v1/jobs").json["jobs"]] == ids[::-1]
    assert [job["id"] for job in one.get("/v1/jobs?status=nonzero").json["jobs"]] == [ids[1]]
    assert [job["id"] for job in one.get("/v1/jobs?language=c").json["jobs"]] == [ids[2]]
    assert one.get("/v1/jobs?state=queued").json["jobs"] == []
    page = one.get("/v1/jobs?limit=2").json
    assert page["next"] == ids[1]
    assert [job["id"] for job in one.get(f"/v1/jobs?limit=2&after={page['next']}").json["jobs"]] == [ids[0]]


def test_other_tenants_see_nothing(serve):
    one = serve()
    other = one.new_key("--tenant", "other")
    wait_for(lambda: one.get("/v1/jobs", key=other).status == 200)
    id = one.job(ENDLESS, request=ENDLESS_LIMITS)
    for method, path in [("GET", ""), ("GET", "/events"), ("DELETE", ""), ("GET", "?wait=1s")]:
        assert one.ask(method, f"/v1/jobs/{id}{path}", key=other).status == 404, (method, path)
    assert one.get("/v1/jobs", key=other).json["jobs"] == []
    assert one.outcome(id, wait="0s")["state"] != "done"
    one.ask("DELETE", f"/v1/jobs/{id}")


def test_jobs_survive_kill_9(serve):
    one = serve("--set", "engine.slots=1")
    ids = [one.job(f"import time\ntime.sleep(0.3)\nprint({i})") for i in range(5)]
    one.outcome(ids[0])
    one.process.kill()
    one.process.wait()
    again = serve(folder=one.folder)
    again.key = one.key
    assert [again.outcome(id)["outcome"]["stdout"] for id in ids] == [f"{i}\n" for i in range(5)]


# ---- webhooks ----

def test_webhook_is_signed(serve, hooks):
    one = serve("--set", "jobs.callback_secret=" + "k" * 32)
    id = one.job("print('hooked')", callback_url=hooks.url)
    headers, body, _ = hooks.wait(1)[0]
    headers = {name.lower(): value for name, value in headers.items()}
    assert json.loads(body)["id"] == id
    signed = headers["retort-timestamp"].encode() + b"." + body
    assert headers["retort-signature"] == "v1=" + hmac.new(b"k" * 32, signed, hashlib.sha256).hexdigest()
    wait_for(lambda: one.outcome(id)["callback"] == "delivered")


def test_webhook_is_tried_again(serve, hooks):
    one = serve()
    hooks.answers = [500, 503]
    one.job("print(1)", callback_url=hooks.url)
    calls = hooks.wait(3)
    assert calls[0][1] == calls[1][1] == calls[2][1]
    assert calls[1][2] > calls[0][2]


def test_webhook_not_into_private_networks(serve, hooks):
    one = serve("--set", "jobs.callback_private=false", "--set", "jobs.callback_attempts=1")
    ids = [one.job("1", callback_url=url) for url in (hooks.url, hooks.url.replace("127.0.0.1", "localhost"))]
    for id in ids:
        wait_for(lambda: one.outcome(id)["callback"] == "given_up")
    assert hooks.calls == []


def test_webhook_to_nowhere(server):
    for url in ("file:///etc/passwd", "gopher://x/", "nonsense"):
        answer = server.post("/v1/jobs", {"request": {"language": "python", "code": "1"}, "callback_url": url})
        assert answer.status == 400 and answer.json["field"] == "callback_url", (url, answer)


# ---- attach ----

def attach(server, code, terminal=None, **request):
    ws = server.ws("/v1/attach", protocol="retort.attach.v1")
    assert ws.status == 101 and b"retort.attach.v1" in ws.head
    first = {"request": {"language": "python", "code": code, **request}}
    if terminal:
        first["terminal"] = terminal
    ws.send(first)
    return ws


def end_of(ws):
    messages = ws.rest()
    assert ws.code == 1000, (messages, ws.code, ws.reason)
    last = json.loads(messages[-1])
    assert last["type"] == "end"
    return last["outcome"]


def test_attach_plain(server):
    ws = attach(server, "import sys\nfor line in sys.stdin: print('got', line.strip(), flush=True)\nprint('eof')")
    ws.send(b"one\n")
    assert b"got one" in ws.until("got one")
    ws.send({"type": "eof"})
    outcome = end_of(ws)
    assert outcome["stdout"] == "got one\neof\n" and outcome["exit_code"] == 0


def test_attach_cancel(server):
    ws = attach(server, ENDLESS, **ENDLESS_LIMITS)
    ws.until("begun")
    ws.send({"type": "cancel"})
    messages = ws.rest()
    assert ws.code == 1000 and json.loads(messages[-1])["outcome"]["status"] == "cancelled"


def test_terminal(server):
    ws = attach(server, "import os, sys, signal\nprint(os.isatty(0), *os.get_terminal_size(), flush=True)\n"
                "signal.signal(signal.SIGWINCH, lambda *a: os.write(1, b'size %d %d\\n' % os.get_terminal_size()))\n"
                "try:\n    while True: print('line', repr(sys.stdin.readline()), flush=True)\n"
                "except KeyboardInterrupt: print('interrupted', flush=True)\n"
                "print('end', repr(sys.stdin.readline()))", terminal={"columns": 100, "rows": 30})
    assert b"True 100 30" in ws.until("True 100 30")
    ws.send(b"hello\r")
    ws.until("line 'hello\\n'")
    ws.send({"type": "resize", "columns": 50, "rows": 20})
    ws.until("size 50 20")
    ws.send(b"\x03")
    ws.until("interrupted")
    ws.send(b"\x04")
    ws.until("end ''")
    assert end_of(ws)["status"] == "ok"


def test_attach_leaving_ends_the_program(server):
    ws = attach(server, ENDLESS, **ENDLESS_LIMITS)
    ws.until("begun")
    wait_for(lambda: server.running() == 1)  # the one before may still be leaving
    ws.close()
    wait_for(lambda: server.running() == 0)


@pytest.mark.parametrize("first", ["rubbish", "{}", "[]", '{"request": {"language": "python"}}', b"\x00\xff",
                                   '{"request": {"language": "python", "code": "1"}, "terminal": {"columns": 0}}'])
def test_attach_refuses_rubbish(server, first):
    ws = server.ws("/v1/attach")
    ws.send(first)
    ws.rest()
    assert ws.code == 1008 and ws.reason


def test_attach_rubbish_later(server):
    ws = attach(server, ENDLESS, **ENDLESS_LIMITS)
    ws.until("begun")
    ws.send("no json")
    ws.rest()
    assert ws.code == 1008
    wait_for(lambda: server.running() == 0)


def test_attach_broken_frames(server):
    for frame in (b"\xff\xff\xff\xff", b"\x81\x05hello", b"\x83\x80\x00\x00\x00\x00"):
        ws = server.ws("/v1/attach")
        ws.stream.sendall(frame)
        ws.rest()
        assert ws.code in (1002, 1006)


def test_attach_needs_a_key(server):
    assert server.ws("/v1/attach", key=None).status == 401
    assert server.ws("/v1/attach", Origin="http://evil.example").status == 403
