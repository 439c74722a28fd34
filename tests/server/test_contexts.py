# SPDX-License-Identifier: Apache-2.0
"""/v1/contexts: state between cells, over HTTP. The toy's cells are Python, run by its own runner (tests/context/runtimes/toy): what
must hold here does not depend on what an interpreter can do. test_languages.py has those that can more."""
import base64
import json
import os
import re
import socket
import subprocess
import threading
import time

import pytest
from conftest import SANITIZED, wait_for
from test_openapi import check, holds

BUSY = "import time\nopen('/work/begun', 'w').close()\nwhile True: time.sleep(0.01)"
LONG = {"limits": {"wall_ms": 600000}}
ONE = "/v1/contexts/{id}"


@pytest.fixture
def context(holder):
    path = holder.context()
    yield path
    holder.ask("DELETE", path)


def main_of(outcome):
    return next(item["text"] for item in outcome["items"] if item["is_main_result"])


def state(server, path, key=True):
    return server.get(path, key=key).json["state"]


def wait_until_begun(server, path):
    """It is inside of BUSY: an interrupt does not come before it."""
    wait_for(lambda: server.get(f"{path}/files?path=begun").status == 200)


def in_background(call, *words, **more):
    result = []

    def run():
        try:
            result.append(call(*words, **more))
        except BaseException as error:  # whoever waits for it is to see it
            result.append(error)
    thread = threading.Thread(target=run)
    thread.start()

    def wait():
        thread.join(120)
        assert result and not isinstance(result[0], BaseException), result
        return result[0]
    return wait


def raw(server, method, path, body=None, receive_buffer=None, **headers):
    """A connection on which a request was sent, for clients that misbehave."""
    connection = socket.socket()
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.connect(("127.0.0.1", server.port))
    connection.settimeout(60)
    data = json.dumps(body).encode() if body is not None else b""
    headers = {"Host": "localhost", "Authorization": f"Bearer {server.key}", "Content-Type": "application/json",
               "Content-Length": len(data), **headers}
    connection.sendall((f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n").encode() + data)
    return connection


# ---- life ----


def test_opened_shown_listed_closed(holder):
    answer = holds(holder, "POST", "/v1/contexts", {"language": "toy", "cwd": "here", "env": {"WHO": "me"}, "limits": {"processes": 50},
                                                    "files": [{"path": "here/a", "content": "eA==", "encoding": "base64"}]})
    record = answer.json
    path = f"/v1/contexts/{record['id']}"
    assert answer.status == 201 and answer.headers["Location"] == path
    assert (record["language"], record["state"], record["execution_count"]) == ("toy", "idle", 0) and "fork" in record["features"]
    assert main_of(holder.cell(path, "import os; it = os.environ['WHO'], open('a').read(), os.getcwd()")) == "('me', 'x', '/work/here')"
    shown = holds(holder, "GET", path, template=ONE).json
    assert shown["execution_count"] == 1 and shown["created_at"] == record["created_at"] and shown["age_ms"] >= record["age_ms"]
    listed = holds(holder, "GET", "/v1/contexts?language=toy&state=idle").json
    assert record["id"] in [one["id"] for one in listed["contexts"]]
    assert holds(holder, "GET", "/v1/contexts?language=python").json["contexts"] == []
    assert record["id"] not in [one["id"] for one in holder.get("/v1/contexts?state=dead").json["contexts"]]
    assert holds(holder, "DELETE", path, template=ONE).status == 204
    for method, more in [("GET", ""), ("DELETE", ""), ("POST", "/cells")]:
        answer = holds(holder, method, path + more, {"code": "1"} if more else None, template=ONE + more)
        assert answer.status == 404 and answer.json["type"].endswith("no-such-context")


def test_one_that_nobody_waits_for_is_not_kept(holder):
    before = holder.get("/v1/status").json["contexts"]
    for pause in (0, 0.005, 0.02, 0.03, 0.04):
        connection = raw(holder, "POST", "/v1/contexts", {"language": "toy", "env": {"TOY_STARTS_S": "1"}})
        time.sleep(pause)
        connection.close()
    wait_for(lambda: (now := holder.get("/v1/status").json)["context_calls"] == 0 and now["contexts"] == before)


def test_pages_are_newest_first(holder):
    made = [holder.context() for _ in range(3)]
    ids = [path.rsplit("/", 1)[1] for path in made][::-1]
    page = holder.get("/v1/contexts?limit=2").json
    assert [one["id"] for one in page["contexts"]] == ids[:2] and page["next"] == ids[1]
    page = holder.get(f"/v1/contexts?limit=2&after={page['next']}").json
    assert page["contexts"][0]["id"] == ids[2]
    for path in made:
        assert holder.ask("DELETE", path).status == 204


def test_state_is_kept(holder, context):
    first = holds(holder, "POST", f"{context}/cells", {"code": "x = 41\nprint('hi')"}, template=ONE + "/cells").json
    assert (first["status"], first["stdout"], first["execution_count"], first["context_state"]) == ("ok", "hi\n", 1, "idle")
    second = holder.cell(context, "it = x + 1")
    assert main_of(second) == "42" and second["execution_count"] == 2 and second["start"] == "live"


def test_what_a_cell_can_be_given(holder, context):
    outcome = holder.cell(context, "import os; it = ask('?'), ask('?'), os.environ['E'], os.getcwd()",
                          stdin="b25lCnR3bwo=", stdin_encoding="base64", env={"E": "e"}, cwd="/tmp", name="mine", formats=["svg", "png"])
    assert main_of(outcome) == "('one', 'two', 'e', '/tmp')"
    assert main_of(holder.cell(context, "it = os.environ.get('E')")) == "None"


def test_an_error_is_an_outcome(holder, context):
    outcome = holds(holder, "POST", f"{context}/cells", {"code": "1/0"}, template=ONE + "/cells").json
    assert (outcome["status"], outcome["exit_code"], outcome["error"]["name"]) == ("nonzero", 1, "ZeroDivisionError")
    assert outcome["context_state"] == "idle"


@pytest.mark.parametrize("accept", ["application/x-ndjson", "text/event-stream"])
def test_events_come_as_they_happen(holder, context, accept):
    connection, response = holder.start("POST", f"{context}/cells", {"code": "import time\nprint('now', flush=True)\ntime.sleep(3)\nprint('later')\nit = 5"},
                                        Accept=accept)
    assert response.getheader("Content-Type") == accept
    line = b""
    while b"now" not in line:
        line = response.readline()
    came = time.monotonic()
    rest = response.read().decode()
    assert "later" in rest and time.monotonic() - came > 1, "it was held back"
    connection.close()
    answer = holds(holder, "POST", f"{context}/cells", {"code": "print('a')\nit = 5\nprint('b')"}, template=ONE + "/cells", Accept=accept)
    if accept == "application/x-ndjson":
        lines = answer.lines
        assert [one["seq"] for one in lines] == list(range(len(lines)))
        assert [one["type"] for one in lines if one["type"] in ("item", "end")] == ["item", "end"]
        assert lines[-1]["outcome"]["stdout"] == "a\nb\n" and main_of(lines[-1]["outcome"]) == "5"


# ---- clients that leave, read slowly, come in crowds ----


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
def test_a_client_that_leaves_interrupts_its_cell(holder, context, accept):
    holder.cell(context, "kept = 7")
    connection = raw(holder, "POST", f"{context}/cells", {"code": BUSY, **LONG}, Accept=accept)
    wait_for(lambda: state(holder, context) == "busy")
    connection.close()
    wait_for(lambda: state(holder, context) == "idle")
    assert main_of(holder.cell(context, "it = kept")) == "7"


def test_one_that_left_while_it_waited_never_begins(holder, context):
    first = raw(holder, "POST", f"{context}/cells", {"code": BUSY, **LONG})
    wait_for(lambda: state(holder, context) == "busy")
    second = raw(holder, "POST", f"{context}/cells", {"code": "open('/work/ran', 'w')"})
    wait_for(lambda: holder.get("/v1/status").json["context_calls"] == 2)
    second.close()
    wait_for(lambda: holder.get("/v1/status").json["context_calls"] == 1)
    first.close()
    assert holder.cell(context, "import os; it = os.path.exists('/work/ran')")["items"][0]["text"] == "False"


def test_two_cells_at_once_run_one_after_the_other(holder, context):
    holder.cell(context, "import time; seen = []")
    code = "seen.append('in'); time.sleep(0.3); seen.append('out')"
    waits = [in_background(holder.cell, context, code) for _ in range(4)]
    counts = sorted(wait()["execution_count"] for wait in waits)
    assert counts == [2, 3, 4, 5]
    last = holder.cell(context, "it = seen")
    assert main_of(last) == str(["in", "out"] * 4)


def test_time_spent_waiting_is_queue_time(holder, context):
    first = in_background(holder.cell, context, "import time; time.sleep(1)")
    wait_for(lambda: state(holder, context) == "busy")
    lines = holder.post(f"{context}/cells", {"code": "pass"}, Accept="application/x-ndjson").lines
    assert lines[-1]["outcome"]["usage"]["queue_ms"] > 100
    first()


def test_too_many_waiting(holder, context):
    first = raw(holder, "POST", f"{context}/cells", {"code": BUSY, **LONG})
    wait_until_begun(holder, context)
    crowd = [raw(holder, "POST", f"{context}/cells", {"code": "pass"}) for _ in range(16)]
    wait_for(lambda: holder.get("/v1/status").json["context_calls"] == 17)
    answer = holds(holder, "POST", f"{context}/cells", {"code": "pass"}, template=ONE + "/cells")
    assert answer.status == 429 and answer.json["type"].endswith("context-crowded") and int(answer.headers["Retry-After"]) >= 1
    assert holder.post(f"{context}/commands", {"shell": "echo still"}).json["stdout"] == "still\n"
    assert holder.post(f"{context}/interrupt", b"").status == 204
    for one in crowd:
        assert one.recv(100).startswith(b"HTTP/1.1 200 ")
        one.close()
    assert first.recv(100).startswith(b"HTTP/1.1 200 ")
    first.close()


def test_a_slow_reader_slows_its_cell_and_nobody_else(holder, context):
    before = holder.rss_bytes()
    connection = raw(holder, "POST", f"{context}/cells", {"code": "import sys\nfor i in range(300): sys.stdout.write('x' * 100000)",
                                                         "limits": {"output_bytes": 64 << 20, "wall_ms": 600000}},
                     receive_buffer=4096, Accept="application/x-ndjson")
    connection.recv(1000)
    other = holder.context()
    for i in range(20):
        assert holder.cell(other, f"it = {i}")["status"] == "ok"
    assert state(holder, context) == "busy", "it waits for its reader"
    assert SANITIZED or holder.rss_bytes() - before < 24 << 20
    assert holder.ask("DELETE", other).status == 204
    begun = time.monotonic()
    assert holder.ask("DELETE", context).status == 204, "closing waits for no reader"
    assert time.monotonic() - begun < 20
    connection.close()


def test_a_large_item_arrives_whole_and_holds_up_nobody(holder, context):
    size = 20 << 20
    slow = raw(holder, "POST", f"{context}/cells",
               {"code": f"import base64; show(**{{'image/png': base64.b64encode(b'p' * {size}).decode()}})", "limits": {"wall_ms": 60000}},
               receive_buffer=4096)
    slow.recv(100)  # its answer is on its way, and is not read
    other = holder.context()
    for i in range(20):
        assert main_of(holder.cell(other, f"it = {i}")) == str(i)
    slow.close()
    outcome = holder.cell(context, f"show(**{{'image/png': base64.b64encode(b'q' * {size}).decode()}})", limits={"wall_ms": 60000})
    assert base64.b64decode(outcome["items"][0]["png"]) == b"q" * size
    streamed = holder.post(f"{context}/cells", {"code": f"show(**{{'image/png': base64.b64encode(b'r' * {size}).decode()}})",
                                                "limits": {"wall_ms": 60000}}, Accept="application/x-ndjson").lines
    item = next(line["item"] for line in streamed if line["type"] == "item")
    assert base64.b64decode(item["png"]) == b"r" * size
    holder.ask("DELETE", other)


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
def test_a_hundred_thousand_displays(holder, context, accept):
    answer = holder.post(f"{context}/cells", {"code": "for i in range(100000): show(**{'text/plain': str(i)})", "limits": {"wall_ms": 300000}},
                         Accept=accept)
    outcome = answer.json if accept == "application/json" else answer.lines[-1]["outcome"]
    assert outcome["status"] == "ok" and [item["text"] for item in outcome["items"]] == [str(i) for i in range(100000)]
    if accept != "application/json":
        told = [line["item"]["text"] for line in answer.lines if line["type"] == "item"]
        assert told == [str(i) for i in range(100000)]


@pytest.mark.parametrize("open_, close", [("[", "]"), ('{"a":', "}")])
def test_nested_as_deep_as_json_may_be(holder, context, open_, close):
    for depth in (500, 2040, 100000):
        body = f"'{{\"type\":\"item\",\"main\":false,\"id\":%d,\"data\":{{\"application/json\":' % current + {open_!r} * {depth} + '1' + {close!r} * {depth} + '}}}}'"
        for accept in ("application/json", "application/x-ndjson"):
            code = f"body = ({body}).encode(); raw(len(body).to_bytes(4, 'big') + body)"
            assert holder.post(f"{context}/cells", {"code": code}, Accept=accept).status == 200
            if state(holder, context) == "dead":
                holder.post(f"{context}/restart", b"")
    assert holder.cell(context, "pass")["status"] == "ok"


# ---- limits, and what ends ----


@pytest.mark.parametrize("code, limits, status", [
    ("import time; time.sleep(60)", {"wall_ms": 200}, "wall_limit"), ("while True: pass", {"cpu_ms": 200, "wall_ms": 60000}, "cpu_limit"),
    ("while True: print('x' * 1000)", {"output_bytes": 10000}, "output_limit"),
])
def test_limits_of_a_cell_keep_the_state(holder, context, code, limits, status):
    holder.cell(context, "kept = 7")
    outcome = holder.cell(context, code, limits=limits)
    assert (outcome["status"], outcome["context_state"]) == (status, "idle")
    assert main_of(holder.cell(context, "it = kept")) == "7"


def test_interrupt(holder, context):
    holder.cell(context, "kept = 7")
    cell = in_background(holder.cell, context, BUSY, **LONG)
    wait_until_begun(holder, context)
    answer = holds(holder, "POST", f"{context}/interrupt", b"", template=ONE + "/interrupt")
    assert answer.status == 204 and answer.body == b""
    outcome = cell()
    assert (outcome["status"], outcome["context_state"], outcome["error"]["name"]) == ("cancelled", "idle", "KeyboardInterrupt")
    assert main_of(holder.cell(context, "it = kept")) == "7"


def test_dead_and_restarted(holder, context):
    holder.cell(context, "x = 1; open('/work/file', 'w').write('kept')")
    outcome = holder.cell(context, "import os; os._exit(3)")
    assert (outcome["status"], outcome["exit_code"], outcome["context_state"]) == ("nonzero", 3, "dead")
    record = holds(holder, "GET", context, template=ONE).json
    assert record["state"] == "dead" and record["why"]
    for what, body in [("cells", {"code": "1"}), ("fork", b""), ("complete", {"code": "x", "cursor": 1}), ("pause", b"")]:
        answer = holds(holder, "POST", f"{context}/{what}", body, template=f"{ONE}/{what}")
        assert answer.status == 409 and answer.json["type"].endswith("context-ended"), (what, answer)
    answer = holds(holder, "POST", f"{context}/restart", b"", template=ONE + "/restart")
    assert answer.status == 200 and answer.json["files_kept"] is True and answer.json["state"] == "idle"
    assert main_of(holder.cell(context, "it = open('/work/file').read(), 'x' in globals()")) == "('kept', False)"


def test_memory_limit_and_a_new_box(holder):
    path = holder.context(limits={"memory_bytes": 64 << 20})
    holder.cell(path, "open('/work/file', 'w')")
    outcome = holder.cell(path, "x = 'a' * (1 << 30)")
    assert outcome["status"] in ("memory_limit", "nonzero"), outcome
    if outcome["context_state"] == "dead":
        holder.post(f"{path}/restart", b"")
    assert holder.cell(path, "pass")["status"] == "ok"
    holder.ask("DELETE", path)


def test_restart_ends_a_cell(holder, context):
    cell = in_background(holder.cell, context, "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n" + BUSY, **LONG)
    wait_for(lambda: state(holder, context) == "busy")
    assert holder.post(f"{context}/restart", b"").json["files_kept"] is True
    assert cell()["status"] == "cancelled"
    assert holder.cell(context, "pass")["execution_count"] == 1


def test_closing_ends_a_cell_and_those_that_wait(holder):
    path = holder.context()
    cell = in_background(holder.cell, path, "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n" + BUSY, **LONG)
    wait_for(lambda: state(holder, path) == "busy")
    waits = in_background(holder.post, f"{path}/cells", {"code": "pass"})
    command = in_background(holder.post, f"{path}/commands", {"shell": "sleep 600", **LONG})
    wait_for(lambda: holder.get("/v1/status").json["context_calls"] == 3)
    begun = time.monotonic()
    assert holder.ask("DELETE", path).status == 204
    assert time.monotonic() - begun < 20
    assert cell()["status"] == "cancelled" and command().json["status"] == "cancelled"
    assert waits().status == 409


def test_pause_and_resume(holder, context):
    holder.cell(context, "kept = 7")
    cell = in_background(holder.cell, context, BUSY, **LONG)
    wait_until_begun(holder, context)
    answer = holds(holder, "POST", f"{context}/pause", b"", template=ONE + "/pause")
    assert answer.status == 409 and answer.json["type"].endswith("context-busy")
    holder.post(f"{context}/interrupt", b"")
    cell()
    for _ in range(2):  # again is no trouble
        answer = holds(holder, "POST", f"{context}/pause", b"", template=ONE + "/pause")
        if answer.status == 501:
            pytest.skip("no process namespaces here")
        assert answer.status == 200 and answer.json["state"] == "paused"
    for method, what, body in [("POST", "cells", {"code": "1"}), ("POST", "commands", {"shell": "true"}), ("GET", "files/list", None)]:
        answer = holds(holder, method, f"{context}/{what}", body, template=f"{ONE}/{what}")
        assert answer.status == 409 and answer.json["type"].endswith("context-paused"), (what, answer)
    for _ in range(2):
        answer = holds(holder, "POST", f"{context}/resume", b"", template=ONE + "/resume")
        assert answer.status == 200 and answer.json["state"] == "idle"
    assert main_of(holder.cell(context, "it = kept")) == "7"


def test_a_context_that_nobody_uses_ends_and_is_forgotten(serve, with_toy):
    one = serve("--set", "contexts.keep_dead=1s", "--set", "limits.wall=1s", env=with_toy)
    idle = one.context(idle_ms=500)
    living = one.context(lifetime_ms=700)
    stays = one.context()
    wait_for(lambda: one.get(idle).status == 404 or one.get(idle).json["state"] == "dead")
    wait_for(lambda: one.get(idle).status == 404)
    wait_for(lambda: one.get(living).status == 404)
    time.sleep(1.5)  # longer than any cell may last
    assert one.cell(stays, "pass")["status"] == "ok"
    events = [json.loads(line) for line in one.errors.splitlines() if line.startswith("{")]
    assert any(event["event"] == "context_ended" and "idle" in event["why"] for event in events)
    assert one.stop() == 0


# ---- several ----


def test_a_copy_and_its_original_go_on_apart(holder, context):
    holder.cell(context, "x = list(range(1000))")
    answer = holds(holder, "POST", f"{context}/fork", b"", template=ONE + "/fork")
    assert answer.status == 201
    copy = answer.headers["Location"]
    assert copy != context and answer.json["box"] == holder.get(context).json["box"]
    holder.cell(copy, "x.append('copy')")
    holder.cell(context, "x.append('original')")
    assert main_of(holder.cell(copy, "it = x[-1], len(x)")) == "('copy', 1001)"
    assert main_of(holder.cell(context, "it = x[-1], len(x)")) == "('original', 1001)"
    assert holder.ask("DELETE", copy).status == 204
    assert holder.cell(context, "pass")["status"] == "ok"


def test_beside(holder, context):
    id = context.rsplit("/", 1)[1]
    other = holder.context(beside=id, env={"WHO": "second"})
    holder.cell(context, "open('/work/shared', 'w').write('seen')")
    assert main_of(holder.cell(other, "import os; it = open('/work/shared').read(), os.environ['WHO']")) == "('seen', 'second')"
    answer = holds(holder, "POST", "/v1/contexts", {"language": "toy", "beside": id, "idle_ms": 5})
    assert answer.status == 400
    assert holds(holder, "POST", "/v1/contexts", {"language": "toy", "beside": "01M8AS1WVM90XPQ1DMA56KPY8H"}).status == 404
    holder.ask("DELETE", other)


def test_complete(holder, context):
    answer = holds(holder, "POST", f"{context}/complete", {"code": "sen", "cursor": 3}, template=ONE + "/complete")
    assert answer.json == {"matches": ["send"], "start": 0, "end": 3}
    assert holds(holder, "POST", f"{context}/inspect", {"code": "sen", "cursor": 3}, template=ONE + "/inspect").status == 400


def test_busy_contexts_do_not_stop_runs(serve, with_toy):
    one = serve("--set", "engine.slots=1", env=with_toy)
    busy = [one.context() for _ in range(3)]
    cells = [raw(one, "POST", f"{path}/cells", {"code": BUSY, **LONG}) for path in busy]
    wait_for(lambda: all(state(one, path) == "busy" for path in busy))
    assert one.run("print(1)").json["stdout"] == "1\n"
    for cell in cells:
        cell.close()
    assert one.stop() == 0


def test_many_and_nothing_left(serve, with_toy):
    one = serve("--set", "contexts.max=100", "--set", "quotas.contexts=0", "--set", "quotas.requests_per_minute=0", env=with_toy)
    fds = lambda: int(re.search(rb"process_open_fds (\d+)", one.get("/metrics").body)[1])  # noqa: E731
    one.ask("DELETE", one.context())
    before = fds()
    made = []
    for wait in [in_background(lambda: [one.context() for _ in range(10)]) for _ in range(4)]:
        made += wait()
    assert all(main_of(one.cell(path, f"it = {i}")) == str(i) for i, path in enumerate(made))
    assert len(one.get("/v1/contexts?limit=1000").json["contexts"]) == 40
    for wait in [in_background(lambda part: [one.ask("DELETE", path).status for path in part], made[i::4]) for i in range(4)]:
        assert set(wait()) == {204}
    assert one.get("/v1/contexts").json["contexts"] == []
    wait_for(lambda: fds() <= before + 8)
    assert one.stop() == 0


# ---- commands ----


def test_commands(holder, context):
    template = ONE + "/commands"
    outcome = holds(holder, "POST", f"{context}/commands", {"shell": "cat; echo $E; pwd >&2; exit 3", "stdin": "in\n", "env": {"E": "e"}, "cwd": "/tmp"},
                    template=template).json
    assert (outcome["status"], outcome["exit_code"], outcome["stdout"], outcome["stderr"]) == ("nonzero", 3, "in\ne\n", "/tmp\n")
    outcome = holds(holder, "POST", f"{context}/commands", {"argv": ["printf", "%s|", "a b", "c"]}, template=template).json
    assert outcome["stdout"] == "a b|c|"
    assert holder.post(f"{context}/commands", {"argv": ["/no/such/program"]}).json["exit_code"] == 127
    outcome = holder.post(f"{context}/commands", {"shell": "sleep 60", "limits": {"wall_ms": 200}}).json
    assert outcome["status"] == "wall_limit"
    lines = holds(holder, "POST", f"{context}/commands", {"shell": "echo 1; echo 2 >&2"}, template=template, Accept="application/x-ndjson").lines
    assert lines[-1]["outcome"]["stdout"] == "1\n" and {"stdout", "stderr"} <= {line["type"] for line in lines}


def test_a_command_while_a_cell_runs_and_one_that_is_left(holder, context):
    cell = raw(holder, "POST", f"{context}/cells", {"code": BUSY, **LONG})
    wait_for(lambda: state(holder, context) == "busy")
    assert holder.post(f"{context}/commands", {"shell": "echo beside"}).json["stdout"] == "beside\n"
    left = raw(holder, "POST", f"{context}/commands", {"shell": "echo $$ > /work/pid; exec sleep 600", **LONG})
    wait_for(lambda: holder.get(f"{context}/files?path=pid").body.strip())
    left.close()
    wait_for(lambda: holder.post(f"{context}/commands", {"shell": "kill -0 $(cat /work/pid)"}).json["exit_code"] != 0)
    cell.close()


def test_at_most_so_many_commands_at_once(holder, context):
    many = [raw(holder, "POST", f"{context}/commands", {"shell": "sleep 600", **LONG}) for _ in range(8)]
    wait_for(lambda: holder.get("/v1/status").json["context_calls"] == 8)
    answer = holds(holder, "POST", f"{context}/commands", {"shell": "true"}, template=ONE + "/commands")
    assert answer.status == 429 and answer.json["type"].endswith("context-crowded")
    assert holder.cell(context, "pass")["status"] == "ok"
    for one in many:
        one.close()
    wait_for(lambda: holder.get("/v1/status").json["context_calls"] == 0)


# ---- files ----


def put(server, context, path, data, **query):
    more = "".join(f"&{name}={value}" for name, value in query.items())
    return holds(server, "PUT", f"{context}/files?path={path}{more}", data, template=ONE + "/files", Content_Type="application/octet-stream")


def read(server, context, path, **headers):
    return holds(server, "GET", f"{context}/files?path={path}", template=ONE + "/files", **headers)


@pytest.mark.parametrize("size", [0, 1, 65536, 1 << 20, (1 << 20) + 1, 20 << 20])
def test_files_are_exact(holder, context, size):
    data = (os.urandom(4096) * (size // 4096 + 1))[:size]
    assert put(holder, context, "a/b/file", data).status == 204
    answer = read(holder, context, "a/b/file")
    assert answer.status == 200 and answer.body == data
    assert holder.get(f"{context}/files/stat?path=/work/a/b/file").json["size"] == size


@pytest.mark.parametrize("range_, first, last", [
    ("bytes=0-0", 0, 0), ("bytes=5-9", 5, 9), ("bytes=2999990-", 2999990, 2999999), ("bytes=-7", 2999993, 2999999),
    ("bytes=100-99999999999", 100, 2999999), ("bytes=10-2500000", 10, 2500000), ("bytes=-99999999999", 0, 2999999),
])
def test_a_part_of_a_file(holder, context, range_, first, last):
    data = os.urandom(3000000)
    put(holder, context, "file", data)
    answer = read(holder, context, "file", Range=range_)
    assert answer.status == 206 and answer.body == data[first:last + 1]
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/3000000" and answer.headers["Accept-Ranges"] == "bytes"


def test_parts_that_are_none(holder, context):
    put(holder, context, "file", b"0123456789")
    put(holder, context, "empty", b"")
    for path, range_ in [("file", "bytes=10-"), ("file", "bytes=-0"), ("empty", "bytes=0-"), ("empty", "bytes=-5")]:
        answer = read(holder, context, path, Range=range_)
        assert answer.status == 416 and answer.headers["Content-Range"] == f"bytes */{10 if path == 'file' else 0}", (path, range_, answer)
    for range_ in ("bytes=1-2,4-5", "lines=1-2", "bytes=x-", "bytes=5-2", "bytes=", "bytes=--5", "bytes=1-2x"):
        answer = read(holder, context, "file", Range=range_)
        assert answer.status == 200 and answer.body == b"0123456789", range_


def test_files_listed_moved_and_so_on(holder, context):
    put(holder, context, "d/x", b"one", mode="755")
    put(holder, context, "d/x", b"two", append="true")
    assert read(holder, context, "d/x").body == b"onetwo"
    answer = put(holder, context, "d/x", b"three", new="true")
    assert answer.status == 409 and answer.json["type"].endswith("file-exists")
    stat = holds(holder, "GET", f"{context}/files/stat?path=d/x", template=ONE + "/files/stat").json
    assert (stat["name"], stat["type"], stat["size"], stat["mode"]) == ("x", "file", 6, "0755")
    assert holds(holder, "POST", f"{context}/files/directory", {"path": "e/f"}, template=ONE + "/files/directory").status == 204
    assert holds(holder, "POST", f"{context}/files/move", {"from": "d/x", "to": "g/y"}, template=ONE + "/files/move").status == 204
    holder.post(f"{context}/commands", {"argv": ["ln", "-s", "/etc/passwd", "link"]})
    flat = holds(holder, "GET", f"{context}/files/list", template=ONE + "/files/list").json["entries"]
    assert [(one["name"], one["type"]) for one in flat] == [("d", "directory"), ("e", "directory"), ("g", "directory"), ("link", "symlink")]
    deep = holder.get(f"{context}/files/list?path=/work&depth=9").json["entries"]
    assert [one["path"] for one in deep if one["type"] != "symlink"] == ["d", "e", "e/f", "g", "g/y"]
    assert next(one["target"] for one in flat if one["type"] == "symlink") == "/etc/passwd"
    assert holds(holder, "DELETE", f"{context}/files?path=g", template=ONE + "/files").status == 204
    assert read(holder, context, "g/y").status == 404


@pytest.mark.parametrize("method, what, status, problem", [
    ("GET", "files?path=none", 404, "no-such-file"), ("GET", "files?path=", 400, "invalid-request"), ("GET", "files", 400, "invalid-request"),
    ("GET", "files?path=/work", 400, "is-a-directory"), ("GET", "files?path=/dev/null", 400, "invalid-request"),
    ("GET", "files?path=" + "x" * 5000, 400, "invalid-request"), ("GET", "files?path=" + "x" * 300, 400, "invalid-request"),
    ("GET", "files/stat?path=none", 404, "no-such-file"), ("GET", "files/list?path=none", 404, "no-such-file"),
    ("GET", "files/list?depth=0", 400, "invalid-request"), ("GET", "files/list?depth=x", 400, "invalid-request"),
    ("GET", "files/watch?path=none", 404, "no-such-file"), ("GET", "files/watch?recursive=1", 400, "invalid-request"),
    ("DELETE", "files?path=none", 404, "no-such-file"), ("PUT", "files?path=/usr/x", 403, "file-denied"),
    ("PUT", "files?path=x&mode=9", 400, "invalid-request"), ("PUT", "files?path=x&mode=77777", 400, "invalid-request"),
    ("PUT", "files?path=x&append=yes", 400, "invalid-request"), ("PUT", "files?path=x&append=true&new=true", 400, "invalid-request"),
    ("PUT", "files?path=/work", 400, "is-a-directory"),
])
def test_bad_paths(holder, context, method, what, status, problem):
    answer = holds(holder, method, f"{context}/{what}", b"x" if method == "PUT" else None, template=f"{ONE}/{what.split('?')[0]}")
    assert (answer.status, answer.json["type"]) == (status, f"urn:retort:problem:{problem}"), answer


def test_nothing_outside_of_the_box(holder, context, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("SECRET")
    for path in (secret, f"/proc/{holder.process.pid}/environ", f"/proc/{holder.process.pid}/root{secret}", f"../../..{secret}"):
        assert read(holder, context, path).status in (400, 403, 404), path
    assert b"SECRET" not in read(holder, context, "/proc/self/environ").body
    assert holder.key.encode() not in read(holder, context, "/proc/1/environ").body


def test_what_does_not_fit(serve, with_toy):
    one = serve("--set", "server.max_body=2MiB", env=with_toy)
    path = one.context(limits={"disk_bytes": 1 << 20, "file_bytes": 1 << 20})
    answer = put(one, path, "x", b"x" * (2 << 20))
    assert answer.status == 507 and answer.json["type"].endswith("no-room"), answer
    assert one.ask("PUT", f"{path}/files?path=x", b"x" * ((2 << 20) + 1)).status == 413
    assert put(one, path, "x", b"x" * 1000).status == 204
    assert one.stop() == 0


def test_a_slow_reader_of_a_file_stops_nobody(holder, context):
    put(holder, context, "large", b"x" * (20 << 20))
    slow = [raw(holder, "GET", f"{context}/files?path=large", receive_buffer=4096) for _ in range(8)]
    for one in slow:
        assert one.recv(15) == b"HTTP/1.1 200 OK"
    answer = read(holder, context, "large")
    assert answer.status == 429 or len(answer.body) == 20 << 20
    assert put(holder, context, "small", b"small").status == 204 and read(holder, context, "small").body == b"small"
    begun = time.monotonic()
    assert holder.ask("DELETE", context).status == 204, "closing waits for no reader"
    assert time.monotonic() - begun < 20
    for one in slow:
        one.close()


def test_watch(holder, context):
    connection, response = holder.start("GET", f"{context}/files/watch?recursive=true")
    assert response.getheader("Content-Type") == "application/x-ndjson" and json.loads(response.readline()) == {"type": "ready"}
    holder.cell(context, "open('/work/new', 'w').write('x')")
    seen = json.loads(response.readline())
    check({"$ref": "#/components/schemas/FileChange"}, seen)
    assert seen == {"type": "create", "path": "new"} or seen["path"] == "/work/new"
    connection.close()
    response.close()
    wait_for(lambda: holder.get("/v1/status").json["context_calls"] == 0)
    connection, response = holder.start("GET", f"{context}/files/watch", Accept="text/event-stream")
    assert (response.readline(), response.readline()) == (b"event: ready\n", b'data: {"type":"ready"}\n')
    put(holder, context, "odd%22seq%22:5", b"")
    lines = [response.readline() for _ in range(3)]
    assert b"event: create\n" in lines and not any(line.startswith(b"id:") for line in lines)
    assert holder.ask("DELETE", context).status == 204
    response.read()  # it ends with its context
    connection.close()


# ---- who may ----


ROUTES = [("GET", "", None), ("DELETE", "", None), ("POST", "/cells", {"code": "1"}), ("POST", "/commands", {"shell": "true"}),
          ("POST", "/interrupt", b""), ("POST", "/restart", b""), ("POST", "/fork", b""), ("POST", "/pause", b""), ("POST", "/resume", b""),
          ("POST", "/complete", {"code": "", "cursor": 0}), ("POST", "/inspect", {"code": "", "cursor": 0}), ("GET", "/files?path=x", None),
          ("PUT", "/files?path=x", b"x"), ("DELETE", "/files?path=x", None), ("GET", "/files/list", None), ("GET", "/files/stat?path=x", None),
          ("POST", "/files/move", {"from": "x", "to": "y"}), ("POST", "/files/directory", {"path": "x"}), ("GET", "/files/watch", None)]


def test_other_tenants_and_keys_see_nothing(serve, with_toy):
    one = serve("--set", "quotas.requests_per_minute=0", env=with_toy)
    other, narrow = one.new_key("--tenant", "other"), one.new_key("--scopes", "run,jobs")
    wait_for(lambda: one.get("/v1/contexts", key=other).status == 200)
    path = one.context()
    one.cell(path, "open('/work/x', 'w')")
    for method, more, body in ROUTES:
        template = ONE + more.split("?")[0]
        for key, status in ((other, 404), (narrow, 403), (None, 401)):
            answer = holds(one, method, path + more, body, key=key, template=template)
            assert answer.status == status, (method, more, answer)
        unknown = holds(one, method, "/v1/contexts/01M8AS1WVM90XPQ1DMA56KPY8H" + more, body, template=template)
        assert unknown.status == 404 and unknown.json["type"].endswith("no-such-context")
    assert one.get("/v1/contexts", key=other).json["contexts"] == []
    assert one.post("/v1/contexts", {"language": "toy", "beside": path.rsplit("/", 1)[1]}, key=other).status == 404
    assert state(one, path) == "idle" and one.cell(path, "import os; it = os.listdir('/work')")["items"][0]["text"] == "['x']"
    assert one.stop() == 0


def test_quotas(serve, with_toy):
    config = "contexts:\n  max: 4\n  memory: 100MiB\ntenants:\n  few:\n    contexts: 2\n  small:\n    memory: 250MiB\n  brief:\n    cpu_per_minute: 300ms\n"
    one = serve(config=config, env=with_toy)
    few, small, brief = (one.new_key("--tenant", name) for name in ("few", "small", "brief"))
    wait_for(lambda: one.get("/v1/contexts", key=brief).status == 200)

    def refused(status, key=True, **fields):
        answer = holds(one, "POST", "/v1/contexts", {"language": "toy", **fields}, key=key)
        assert answer.status == status and int(answer.headers["Retry-After"]) >= 1, answer
        return answer.json["type"].rsplit(":", 1)[1]

    made = [one.context(key=few) for _ in range(2)]
    assert refused(429, few) == "quota-exceeded"
    copies = one.post(f"{made[0]}/fork", b"", key=few)
    assert copies.status == 429
    assert one.ask("DELETE", made[0], key=few).status == 204
    made[0] = one.context(key=few)  # at once
    mine = [one.context(key=small) for _ in range(2)]
    assert refused(429, small) == "quota-exceeded"
    assert refused(503) == "busy"
    for path in mine:
        one.ask("DELETE", path, key=small)
    assert refused(429, small, limits={"memory_bytes": 260 << 20}) == "quota-exceeded"
    short = one.context(key=brief)
    one.cell(short, "import time\nwhile time.process_time() < 0.6: pass", key=brief)
    answer = one.post(f"{short}/cells", {"code": "1"}, key=brief)
    assert answer.status == 429 and answer.json["type"].endswith("quota-exceeded") and int(answer.headers["Retry-After"]) >= 1
    assert one.post(f"{short}/commands", {"shell": "true"}, key=brief).status == 429
    assert one.get(short, key=brief).status == 200
    assert one.stop() == 0


# ---- what is wrong ----


@pytest.mark.parametrize("body, status, field", [
    ({}, 400, None), ({"language": 5}, 400, "language"), ({"language": "toy", "x": 1}, 400, "x"), ({"language": "cobol85"}, 400, None),
    ({"language": "c"}, 400, None), ({"language": "toy", "limits": {"wall_ms": 0}}, 400, "limits.wall_ms"),
    ({"language": "toy", "limits": {"memory_bytes": 1 << 39}}, 400, None), ({"language": "toy", "idle_ms": 0}, 400, "idle_ms"),
    ({"language": "toy", "lifetime_ms": 86400001}, 400, "lifetime_ms"), ({"language": "toy", "env": {"A=B": "x"}}, 400, "env"),
    ({"language": "toy", "files": [{"path": "../x", "content": ""}]}, 400, None), ({"language": "toy", "files": [{"path": "x"}]}, 400, "files[0].content"),
    ({"language": "toy", "version": "99"}, 400, None), ({"language": "toy", "id": "mine"}, 400, "id"), (b"", 400, None), (b"null", 400, None),
    (b'{"language": "toy", "language": "toy"}', 400, None), (b"[" * 100000, 400, None),
])
def test_bad_orders(holder, body, status, field):
    answer = holds(holder, "POST", "/v1/contexts", body)
    assert answer.status == status, answer
    assert field is None or answer.json["field"] == field, answer


@pytest.mark.parametrize("what, body, field", [
    ("cells", {}, None), ("cells", {"code": 5}, "code"), ("cells", {"code": "1", "colour": 1}, "colour"), ("cells", {"code": "1", "formats": ["gif"]}, None),
    ("cells", {"code": "1", "formats": ["png"] * 5}, "formats"), ("cells", {"code": "1", "limits": {"memory_bytes": 1 << 20}}, "limits.memory_bytes"),
    ("cells", {"code": "1", "limits": {"wall_ms": 86400000}}, None), ("cells", {"code": "1", "stdin": "x", "stdin_encoding": "base64"}, "stdin"),
    ("cells", {"code": "1", "env": {"": "x"}}, "env"), ("cells", {"code": "1", "silent": 1}, "silent"), ("cells", b"\xff", None),
    ("commands", {}, None), ("commands", {"argv": ["true"], "shell": "true"}, None), ("commands", {"argv": []}, None), ("commands", {"argv": [1]}, "argv[0]"),
    ("commands", {"argv": [""]}, None), ("commands", {"argv": ["a\0b"]}, "argv[0]"), ("complete", {"code": "x"}, "cursor"),
    ("complete", {"code": "x", "cursor": -1}, "cursor"), ("complete", {"code": "x", "cursor": 1, "detail": 1}, "detail"),
    ("inspect", {"code": "x", "cursor": 1, "detail": 2}, "detail"), ("files/move", {"from": "x"}, "to"), ("files/directory", {}, "path"),
    ("interrupt", {"now": True}, "now"), ("restart", b"x", None), ("fork", {"id": "mine"}, "id"),
])
def test_bad_bodies(holder, context, what, body, field):
    answer = holds(holder, "POST", f"{context}/{what}", body, template=f"{ONE}/{what}")
    assert answer.status == 400, answer
    assert field is None or answer.json["field"] == field, answer
    assert holder.cell(context, "pass")["status"] == "ok"


@pytest.mark.parametrize("method, path, status", [
    ("GET", "/v1/contexts?limit=0", 400), ("GET", "/v1/contexts?state=lost", 400), ("PUT", "/v1/contexts", 405), ("GET", "/v1/contexts/", 404),
    ("POST", "/v1/contexts/01M8AS1WVM90XPQ1DMA56KPY8H/nothing", 404), ("GET", "/v1/contexts/01M8AS1WVM90XPQ1DMA56KPY8H/cells", 405),
    ("GET", "/v1/contexts/" + "x" * 3000, 404), ("GET", "/v1/contexts/%00", 400),
])
def test_wrong_paths(holder, method, path, status):
    answer = holder.ask(method, path)
    assert answer.status == status and answer.headers["Content-Type"] == "application/problem+json", answer


def test_wrong_content_type(holder, context):
    for path in ("/v1/contexts", f"{context}/cells", f"{context}/restart"):
        assert holder.ask("POST", path, b"x", Content_Type="text/plain").status == 415


# ---- the server stops; what it says ----


def test_a_cell_may_end_when_the_server_stops(serve, with_toy):
    one = serve(env=with_toy)
    path = one.context()
    cell = in_background(one.cell, path, "import time; time.sleep(2); print('done')")
    watch = raw(one, "GET", f"{path}/files/watch")
    wait_for(lambda: state(one, path) == "busy")
    assert one.stop() == 0
    assert cell()["stdout"] == "done\n"
    watch.close()


def test_a_cell_that_does_not_end_is_cut(serve, with_toy):
    one = serve("--set", "server.drain_timeout=500ms", env=with_toy)
    path = one.context()
    cell = in_background(one.cell, path, "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n" + BUSY, **LONG)
    slow = one.context()
    reader = raw(one, "POST", f"{slow}/cells", {"code": "while True: print('x' * 1000)", "limits": {"output_bytes": 64 << 20, "wall_ms": 600000}},
                 receive_buffer=4096, Accept="application/x-ndjson")
    wait_for(lambda: state(one, path) == "busy" and state(one, slow) == "busy")
    waits = in_background(one.post, f"{path}/cells", {"code": "pass"})
    wait_for(lambda: one.get("/v1/status").json["context_calls"] == 3)
    assert one.stop() == 0
    assert cell()["status"] == "cancelled"
    assert waits().status == 503
    reader.close()


def test_metrics_and_log(serve, with_toy):
    one = serve(env=with_toy)
    path = one.context()
    one.post(f"{path}/cells", {"code": "x = 'SECRETCODE'", "stdin": "SECRETINPUT"}, traceparent="00-" + "1a" * 16 + "-" + "2b" * 8 + "-01")
    one.cell(path, "1/0")
    busy = raw(one, "POST", f"{path}/cells", {"code": BUSY, **LONG})
    wait_for(lambda: b'retort_contexts{state="busy",language="toy"} 1' in one.get("/metrics").body)
    text = one.get("/metrics").body
    assert b'retort_cells_total{language="toy",status="ok"} 1' in text and b'retort_cells_total{language="toy",status="nonzero"} 1' in text
    assert b'retort_cell_seconds_bucket{language="toy",status="ok",le="+Inf"} 1' in text
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    status = holds(one, "GET", "/v1/status").json
    assert status["contexts"] == 1 and status["context_calls"] == 1
    busy.close()
    wait_for(lambda: state(one, path) == "idle")
    one.ask("DELETE", path)
    assert one.stop() == 0
    lines = [json.loads(line) for line in one.errors.splitlines() if line.startswith("{")]
    assert {"context_open", "cell", "context_closed"} <= {line["event"] for line in lines}
    assert any(line.get("trace_id") == "1a" * 16 for line in lines)
    assert "SECRET" not in "".join(map(json.dumps, lines))
