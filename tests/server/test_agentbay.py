# SPDX-License-Identifier: Apache-2.0
"""The AgentBay face, as the SDKs' clients speak it: control calls as forms, tools by both ways, and the stream."""
import base64
import json
import threading
import time
import urllib.parse
import uuid

import pytest
from conftest import WebSocket, wait_for

ENDLESS = "import time\nopen('/tmp/begun', 'w').close()\nwhile True: time.sleep(0.01)"


@pytest.fixture(scope="module")
def bay(tmp_path_factory):
    from conftest import Server, check_sanitizers
    one = Server(tmp_path_factory.mktemp("bay"), "--set", "quotas.requests_per_minute=0", "--set", "quotas.contexts=0", "--set", "contexts.max=200")
    yield one
    assert one.stop() == 0
    check_sanitizers(one)


def control(server, action, key=True, expect=200, in_header=False, query="", **fields):
    """What the OpenAPI clients send: the action in the query or a header, all else as a form."""
    key = server.key if key is True else key
    if key:
        fields["Authorization"] = f"Bearer {key}"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    path = "/?" + ("" if in_header else f"Action={action}&Format=json&Version=2025-05-06") + query
    if in_header:
        headers["x-acs-action"] = action
    answer = server.ask("POST", path, urllib.parse.urlencode(fields), key=None, **headers)
    assert answer.status == expect, answer
    body = answer.json
    assert {"RequestId", "Code", "Success", "Message", "HttpStatusCode"} <= set(body)
    assert body["HttpStatusCode"] == expect and body["Success"] == (expect < 400) and body["RequestId"]
    return body


class Session:
    def __init__(self, server, **fields):
        self.server = server
        self.data = control(server, "CreateMcpSession", ImageId="code_latest", **fields)["Data"]
        self.id, self.token = self.data["SessionId"], self.data["Token"]

    def path(self, name):
        url = self.data[name]
        assert urllib.parse.urlsplit(url).port == self.server.port
        return urllib.parse.urlsplit(url).path

    def gateway(self, tool, args, query="", **more):
        data = control(self.server, "CallMcpTool", SessionId=self.id, Name=tool, Args=json.dumps(args), Server="", AutoGenSession="false",
                       query=query, **more)["Data"]
        return data["isError"], data["content"][0]["text"]

    def link(self, tool, args, query="", **more):
        body = {"args": args, "server": "wuying_codespace", "requestId": "link-1-000000001", "tool": tool, "token": self.token}
        answer = self.server.ask("POST", self.path("LinkUrl") + "/callTool" + query, body, key=None, X_Access_Token=self.token, **more)
        assert answer.status == 200, answer
        result = json.loads(answer.json["data"])["result"]
        return result["isError"], result["content"][0]["text"]

    def run(self, code, language="python", rich=False, **more):
        error, text = self.link("run_code", {"code": code, "language": language, **({"timeout_s": 60} | more)}, "?format=rich" if rich else "")
        assert not error, text
        return json.loads(text)

    def good(self, tool, **args):
        error, text = self.link(tool, args)
        assert not error, text
        return text

    def shell(self, command, **more):
        error, text = self.link("shell", {"command": command, "timeout_ms": 50000, **more})
        return json.loads(text) | {"isError": error}

    def stream(self):
        return WebSocket(self.server.port, self.path("WsUrl"), {"X-Access-Token": self.token})

    def delete(self):
        return control(self.server, "DeleteSessionAsync", SessionId=self.id)

    def status(self):
        return control(self.server, "GetSession", SessionId=self.id)["Data"]["Status"]


@pytest.fixture
def session(bay):
    one = Session(bay)
    yield one
    control(bay, "DeleteSessionAsync", SessionId=one.id, expect=200) if one.id in listed(bay) else None


def listed(server, **fields):
    return [one["SessionId"] for one in control(server, "ListSession", MaxResults=100, **fields)["Data"]]


def items(body):
    return [json.loads(item) for item in body["result"]]


def main_text(body):
    return next(item["text/plain"] for item in items(body) if item["isMainResult"])


# ---- sessions ----


def test_life_of_a_session(bay):
    one = Session(bay, Labels=json.dumps({"team": "a"}))
    assert one.data["Success"] is True and len(one.token) == 64
    assert {"name": "run_code", "server": "wuying_codespace"}.items() <= json.loads(one.data["ToolList"])[0].items()
    got = control(bay, "GetSession", SessionId=one.id, in_header=True)["Data"]
    assert (got["SessionId"], got["Token"], got["LinkUrl"], got["Status"]) == (one.id, one.token, one.data["LinkUrl"], "RUNNING")
    detail = control(bay, "GetSessionDetail", SessionId=one.id)["Data"]
    assert (detail["Status"], detail["ImageId"]) == ("RUNNING", "code_latest")
    assert "Id" not in detail  # a number to the clients
    assert control(bay, "GetMcpResource", SessionId=one.id)["Data"]["SessionId"] == one.id
    assert one.id in listed(bay)
    one.delete()
    for action in ("GetSession", "GetSessionDetail", "DeleteSessionAsync", "GetLabel", "CallMcpTool", "PauseSessionAsync"):
        gone = control(bay, action, SessionId=one.id, Name="shell", Args="{}", expect=400)
        assert gone["Code"] == "InvalidMcpSession.NotFound" and "not found" in gone["Message"]
    assert one.id not in listed(bay)
    assert bay.get(f"/v1/contexts/{one.id}").status == 404


def test_delete_ends_every_language(bay):
    before = {c["id"] for c in bay.get("/v1/contexts").json["contexts"]}
    one = Session(bay)
    one.run("1")
    assert len({c["id"] for c in bay.get("/v1/contexts").json["contexts"]} - before) >= 1
    one.delete()
    assert {c["id"] for c in bay.get("/v1/contexts").json["contexts"]} == before


def test_labels_and_pages(bay):
    made = [Session(bay, Labels=json.dumps({"batch": "pages", "n": str(i)})) for i in range(3)]
    wanted = json.dumps({"batch": "pages"})
    assert set(listed(bay, Labels=wanted)) == {one.id for one in made}
    assert listed(bay, Labels=json.dumps({"batch": "pages", "n": "1"})) == [made[1].id]
    first = control(bay, "ListSession", Labels=wanted, MaxResults=2)
    assert first["TotalCount"] == 3 and first["MaxResults"] == 2 and len(first["Data"]) == 2
    second = control(bay, "ListSession", Labels=wanted, MaxResults=2, NextToken=first["NextToken"])
    assert second["NextToken"] == "" and {s["SessionId"] for s in first["Data"] + second["Data"]} == {one.id for one in made}
    control(bay, "SetLabel", SessionId=made[0].id, Labels=json.dumps({"other": "ü&="}))
    assert json.loads(control(bay, "GetLabel", SessionId=made[0].id)["Data"]["Labels"]) == {"other": "ü&="}
    control(bay, "SetLabel", SessionId=made[0].id, Labels="[]", expect=400)
    for one in made:
        one.delete()


def test_pause_and_resume(session):
    session.run("x = 5")
    control(session.server, "PauseSessionAsync", SessionId=session.id)
    assert session.status() == "PAUSED"
    assert listed(session.server, Status="PAUSED") == [session.id]
    error, text = session.gateway("shell", {"command": "true"})
    assert error and "paused" in text
    control(session.server, "ResumeSessionAsync", SessionId=session.id)
    assert session.status() == "RUNNING" and main_text(session.run("x")) == "5"


def test_idle_release_and_keep_alive(bay):
    idle, kept = Session(bay, IdleReleaseTimeout=2), Session(bay, IdleReleaseTimeout=2)
    begun = time.monotonic()
    while time.monotonic() - begun < 4:
        if time.monotonic() - begun < 1:
            assert idle.id in listed(bay)  # looking does not keep it
        control(bay, "RefreshSessionIdleTime", SessionId=kept.id)
        time.sleep(0.3)
    gone = wait_for(lambda: control(bay, "GetSession", SessionId=idle.id, expect=400) if idle.id not in listed(bay) else None)
    assert gone["Code"] == "InvalidMcpSession.NotFound"
    assert kept.status() == "RUNNING"
    kept.delete()


def test_who_may(bay, session):
    assert control(bay, "ListSession", key=None, expect=401)["Code"] == "unauthorized"
    assert control(bay, "ListSession", key="rt_" + "0" * 64, expect=401)["Success"] is False
    other = bay.new_key("--tenant", "other")
    wait_for(lambda: bay.get("/v1/contexts", key=other).status == 200)
    assert listed_by(bay, other) == []
    control(bay, "GetSession", SessionId=session.id, key=other, expect=400)
    body = {"args": {"command": "true"}, "tool": "shell"}
    for token in (None, "", "0" * 64, session.token[:-1], session.token + "0", other):
        more = {"X_Access_Token": token} if token is not None else {}
        assert bay.ask("POST", session.path("LinkUrl") + "/callTool", body, key=None, **more).status == 401
        assert WebSocket(bay.port, session.path("WsUrl"), {"X-Access-Token": token or ""}).status == 401
    assert bay.ask("POST", "/agentbay/nobody/callTool", body, key=None, X_Access_Token=session.token).status == 401


def listed_by(server, key):
    return control(server, "ListSession", key=key)["Data"]


def test_a_revoked_key_ends_its_tokens(serve):
    from conftest import run_retort
    server = serve()
    key = server.new_key()
    data = wait_for(lambda: server.get("/v1/contexts", key=key).status == 200) and control(server, "CreateMcpSession", key=key)["Data"]
    path = urllib.parse.urlsplit(data["LinkUrl"]).path + "/callTool"
    ask = lambda: server.ask("POST", path, {"tool": "shell", "args": {"command": "true"}}, key=None, X_Access_Token=data["Token"]).status  # noqa: E731
    assert ask() == 200
    assert run_retort(server.folder, "keys", "revoke", key[:11], "--set", f"store.path={server.folder}/retort.db").returncode == 0
    server.kick(1)
    wait_for(lambda: ask() == 401)


def test_what_is_not_there(bay, session):
    unknown = control(bay, "GetCdpLink", SessionId=session.id, expect=404)
    assert unknown["Code"] == "InvalidAction.NotFound" and "GetCdpLink" in unknown["Message"]
    control(bay, "", expect=404)
    error, text = session.gateway("browser_navigate", {})
    assert error and "not found" in text
    for body in ("", "[]", "{}", '{"tool": 1}', '{"tool": "none"}', '{"tool": "shell", "args": []}', "x" * 100, '{"tool": "shell", "args": "["}'):
        assert bay.ask("POST", session.path("LinkUrl") + "/callTool", body, key=None, X_Access_Token=session.token).status == 400, body
    for args in ({}, {"command": 5}, {"command": "true", "envs": {"A": 1}}, {"command": "true", "envs": {"A=B": "c"}},
                 {"command": "true", "timeout_ms": "x"}, {"command": "a\0b"}):
        assert session.link("shell", args)[0], args
    names = {t["name"] for t in json.loads(control(bay, "ListMcpTools", ImageId="code_latest")["Data"])}
    assert names == {"run_code", "shell", "create_directory", "delete_file", "edit_file", "get_file_change", "get_file_info", "list_directory", "move_file",
                     "read_file", "read_multiple_files", "search_files", "write_file"}


# ---- code ----


def test_both_ways_and_both_formats(session):
    args = {"code": "print('hello')\n42", "language": "python", "timeout_s": 10}
    error, text = session.gateway("run_code", args)
    current = json.loads(text)
    assert not error and current["stdout"] == ["hello\n"] and current["stderr"] == [] and current["executionError"] == ""
    assert main_text(current) == "42"
    assert current["execution_count"] == current["executionCount"] == 1 and current["execution_time"] == current["executionTime"] >= 0
    error, text = session.gateway("run_code", args, query="&format=rich")
    rich = json.loads(text)
    assert not error and rich["logs"] == {"stdout": ["hello\n"], "stderr": []} and rich["results"] == [{"text": "42", "is_main_result": True}]
    assert rich["execution_count"] == 2 and rich["isError"] is False
    assert session.run("1")["execution_count"] == 3


def test_the_format_is_configured(serve):
    server = serve("--set", "agentbay_face.format=rich")
    one = Session(server)
    assert "logs" in one.run("1") and "result" not in one.run("1")


def test_the_face_can_be_off(serve):
    server = serve("--set", "agentbay_face.enabled=false")
    assert server.ask("POST", "/?Action=ListSession", "", key=None).status == 404


def test_the_url_is_configured(serve):
    one = Session.__new__(Session)
    data = control(serve("--set", "agentbay_face.url=https://retort.example/"), "CreateMcpSession")["Data"]
    assert data["LinkUrl"] == f"https://retort.example/agentbay/{data['SessionId']}" and data["WsUrl"].startswith("wss://retort.example/agentbay/")
    del one


@pytest.mark.parametrize("given", ["PyThOn", " python ", "py", "python3"])
def test_languages_and_aliases(session, given):
    assert main_text(session.run("6 * 7", given)) == "42"


@pytest.mark.parametrize("given", ["c", "bash", "", "ruby", "pythön", "x" * 300])
def test_unsupported_languages(session, given):
    for call in (session.link, session.gateway):
        error, text = call("run_code", {"code": "1", "language": given, "timeout_s": 60})
        assert error and text == f"Unsupported language: {given}. Supported languages are 'python', 'javascript', 'r', and 'java'"


def test_state_is_kept_and_sessions_are_apart(bay, session):
    session.run("x = 41\ndef f(n): return n + 1")
    assert main_text(session.run("f(x)")) == "42"
    other = Session(bay)
    assert "NameError" in other.run("x")["executionError"]
    other.delete()


def test_errors(session):
    for code, words in (("print('Hello'", "SyntaxError"), ("undefined_name", "undefined_name"), ("1/0", "ZeroDivisionError")):
        assert words in session.run(code)["executionError"]
    rich = session.run("print('before')\n1/0", rich=True)
    assert rich["isError"] and rich["error"]["name"] == "ZeroDivisionError" and "Traceback" in rich["error"]["traceback"]
    assert rich["logs"]["stdout"] == ["before\n"]
    handled = session.run("try: 1/0\nexcept ZeroDivisionError as e: print('caught', e)\nprint('after')")
    assert handled["executionError"] == "" and "".join(handled["stdout"]) == "caught division by zero\nafter\n"


def test_streams_are_apart_and_comments_run(session):
    body = session.run("import sys\nprint('out')\nprint('err', file=sys.stderr)")
    assert body["stdout"] == ["out\n"] and body["stderr"] == ["err\n"]
    assert session.run("# nothing")["executionError"] == "" and session.run("")["result"] == []
    assert "".join(session.run("for i in range(2000): print('line', i)")["stdout"]).count("\n") == 2000


def test_timeouts(session):
    assert session.run("import time; print('a'); time.sleep(1); print('b')", timeout_s=10)["stdout"] == ["a\nb\n"]
    late = session.run("x = 7\nimport time\ntime.sleep(600)", timeout_s=1)
    assert "wall_limit" in late["executionError"]
    assert main_text(session.run("x")) == "7"  # the state was kept
    assert session.run("1", timeout_s=0)["executionError"] == session.run("1", timeout_s=9999)["executionError"] == ""


def test_an_interpreter_that_ended_is_made_anew(session):
    session.good("write_file", path="/tmp/kept", content="kept", mode="overwrite")
    session.run("import os; x = 1; os._exit(3)")
    assert "NameError" in session.run("x")["executionError"]
    assert session.good("read_file", path="/tmp/kept") == "kept"


def test_a_box_that_ended_is_the_end_of_its_session(session):
    control(session.server, "GetSession", SessionId=session.id)
    session.run("b = bytearray(3 << 30)\nfor i in range(0, len(b), 4096): b[i] = 1")
    error, text = session.link("shell", {"command": "true"})
    if not error:  # the kernel may have ended the interpreter alone
        assert main_text(session.run("1")) == "1"
        return
    assert "not found" in text
    assert session.id not in listed(session.server)


RICH = """
class Rich:
    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": "rich", "text/html": "<b>rich</b>", "text/markdown": "**rich**", "text/latex": "$x$", "image/svg+xml": "<svg/>",
                "application/json": {"a": 1}, "application/vnd.vegalite.v4+json": {"mark": "bar"}}
from IPython.display import display, HTML
display(HTML("<i>first</i>"))
print("printed")
"""


def test_rich_results(session):
    body = session.run(RICH + "Rich()")
    first, last = items(body)
    assert first["text/html"] == "<i>first</i>" and first["isMainResult"] is False
    assert body["stdout"] == ["printed\n"]
    assert last["isMainResult"] is True and last["text/html"] == "<b>rich</b>" and last["text/markdown"] == "**rich**"
    assert last["text/latex"] == "$x$" and last["image/svg+xml"] == "<svg/>" and last["application/json"] == {"a": 1}
    assert last["application/vnd.vegalite.v4+json"] == {"mark": "bar"}
    rich = session.run(RICH + "Rich()", rich=True)["results"][1]
    assert rich["chart"] == {"mark": "bar"} and rich["latex"] == "$x$" and rich["is_main_result"] is True


def test_figures_are_png(session):
    body = session.run("import matplotlib.pyplot as plt\nplt.plot([1, 2, 3])\nplt.show()")
    assert base64.b64decode(items(body)[0]["image/png"]).startswith(b"\x89PNG")


def test_javascript_shares_the_files(session):
    session.run("import json; json.dump({'value': 42}, open('/tmp/v.json', 'w'))")
    assert "".join(session.run("const fs = require('fs'); const v = JSON.parse(fs.readFileSync('/tmp/v.json')); v.value *= 2;"
                               "fs.writeFileSync('/tmp/v.json', JSON.stringify(v)); console.log('ok')", "js")["stdout"]) == "ok\n"
    assert main_text(session.run("json.load(open('/tmp/v.json'))['value']")) == "84"
    assert "error" in session.run("throw new Error('an error')", "node")["executionError"].lower()


@pytest.mark.parametrize("language, first, second, text", [("r", "x <- 41", "cat(x + 1)", "42"),
                                                           ("java", "int x = 41;", "System.out.println(x + 1);", "42\n")])
def test_other_languages_keep_their_state(session, language, first, second, text):
    known = {one["name"]: one for one in session.server.get("/v1/languages").json}
    if not known[language]["installed"] or not known[language]["contexts"]:
        pytest.skip(f"{language} has no contexts here")
    one = session.run(first, language)
    two = session.run(second, language)
    assert "".join(two["stdout"]) == text and two["execution_count"] == one["execution_count"] + 1


def test_many_at_once(bay):
    made = [Session(bay) for _ in range(4)]
    results = {}

    def use(i):
        one = made[i % 4]
        results[i] = (main_text(one.run(f"{i} + 1")), one.shell(f"echo {i}")["stdout"], one.good("write_file", path=f"/tmp/{i}", content=str(i)),
                      one.good("read_file", path=f"/tmp/{i}"))
    threads = [threading.Thread(target=use, args=(i,)) for i in range(16)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert results == {i: (str(i + 1), f"{i}\n", "true", str(i)) for i in range(16)}
    for one in made:
        one.delete()


# ---- commands ----


def test_commands(session):
    assert session.shell("echo a | tr a b; echo e >&2") | {"traceId": ""} == {"stdout": "b\n", "stderr": "e\n", "exit_code": 0, "errorCode": 0,
                                                                             "traceId": "", "isError": False}
    session.shell("mkdir -p '/tmp/a folder' && echo x > '/tmp/a folder/f' && echo y >> '/tmp/a folder/f'")
    assert session.shell("cat f", cwd="/tmp/a folder")["stdout"] == "x\ny\n"
    assert session.shell("f() { if [ \"$A\" = 1 ]; then echo \"$A$B\"; fi; }\nf", envs={"A": "1", "B": "zwei drei"})["stdout"] == "1zwei drei\n"
    failed = session.shell("echo half; exit 7")
    assert failed["exit_code"] == 7 and failed["isError"] and failed["stdout"] == "half\n"
    assert session.shell("kill -9 $$")["exit_code"] == 137
    error, text = session.link("shell", {"command": "echo x; sleep 600", "timeout_ms": 300})
    assert error and "Error code:-1 Error message: [timeout]" in text


def test_a_client_that_leaves_ends_its_command(session):
    connection = session.server.connection()
    connection.request("POST", session.path("LinkUrl") + "/callTool", json.dumps({"tool": "shell", "args": {"command": "touch /tmp/begun; sleep 613"}}),
                       {"X-Access-Token": session.token, "Content-Type": "application/json"})
    wait_for(lambda: session.shell("pgrep -f 'sleep 61[3]'")["exit_code"] == 0)
    connection.close()
    wait_for(lambda: session.shell("pgrep -f 'sleep 61[3]'")["exit_code"] == 1)


# ---- files ----


def info(session, path):
    return dict(line.split(": ", 1) for line in session.good("get_file_info", path=path).split("\n"))


def test_files(session):
    session.good("create_directory", path="/tmp/d/e")
    session.good("write_file", path="/tmp/d/e/ä b.txt", content="one\n", mode="overwrite")
    session.good("write_file", path="/tmp/d/e/ä b.txt", content="two\n", mode="append")
    assert session.good("read_file", path="/tmp/d/e/ä b.txt") == "one\ntwo\n"
    assert session.link("write_file", {"path": "/tmp/d/e/ä b.txt", "content": "", "mode": "create_new"})[0]
    session.good("write_file", path="/tmp/new/empty", content="")
    known = info(session, "/tmp/new/empty")
    assert (known["size"], known["isDirectory"], known["isFile"], known["permissions"].lstrip("0")) == ("0", "false", "true", "644")
    assert info(session, "/tmp/d")["isDirectory"] == "true"
    assert session.good("list_directory", path="/tmp/d") == "[DIR] e"
    assert session.good("list_directory", path="/tmp/d/e") == "[FILE] ä b.txt"
    session.good("move_file", source="/tmp/d/e/ä b.txt", destination="/tmp/d/moved")
    assert session.good("list_directory", path="/tmp/d/e") == ""
    session.good("edit_file", path="/tmp/d/moved", edits=[{"oldText": "one", "newText": "1"}, {"oldText": "two\n", "newText": ""}], dryRun=False)
    assert session.good("edit_file", path="/tmp/d/moved", edits=[{"oldText": "1", "newText": "!"}], dryRun=True) == "!\n"
    assert session.good("read_file", path="/tmp/d/moved") == "1\n"
    assert session.link("edit_file", {"path": "/tmp/d/moved", "edits": [{"oldText": "absent", "newText": ""}]})[0]
    session.good("delete_file", path="/tmp/d")
    for tool in ("read_file", "get_file_info", "list_directory", "delete_file"):
        error, text = session.link(tool, {"path": "/tmp/d"})
        assert error and "No such file" in text
        assert session.link(tool, {})[0]


def test_links_and_modes(session):
    session.shell("mkdir /tmp/real; echo hello > /tmp/file; ln -s real /tmp/folder; ln -s file /tmp/link; printf '#!/bin/sh\\necho ran' > /tmp/x; chmod +x /tmp/x")
    assert info(session, "/tmp/folder")["isDirectory"] == "true" and info(session, "/tmp/link")["size"] == "6"
    assert session.good("read_file", path="/tmp/link") == "hello\n" and session.shell("/tmp/x")["stdout"] == "ran\n"
    assert "[DIR] folder" in session.good("list_directory", path="/tmp").split("\n")
    assert info(session, "/tmp/x")["permissions"].endswith("755")


def test_binary_and_parts(session):
    data = bytes(range(256)) * 500
    session.run(f"open('/tmp/b', 'wb').write(bytes(range(256)) * 500)")
    read = b"".join(base64.b64decode(session.good("read_file", path="/tmp/b", format="binary", offset=at, length=51200)) for at in range(0, len(data), 51200))
    assert read == data
    session.good("write_file", path="/tmp/c", content=base64.b64encode(data).decode(), format="binary")
    assert session.shell("cmp /tmp/b /tmp/c")["exit_code"] == 0
    text = "aé漢😀" * 40
    session.good("write_file", path="/tmp/t", content=text)
    size = len(text.encode())
    for length in (1, 2, 3, 5, 7, 64):
        assert "".join(session.good("read_file", path="/tmp/t", offset=at, length=length) for at in range(0, size, length)) == text


def test_many_files_and_search(session):
    for name, content in (("test_a.py", "A: 1\n"), ("sub/test_b.py", "B"), ("other.txt", "C")):
        session.good("write_file", path=f"/tmp/s/{name}", content=content)
    assert session.good("read_multiple_files", paths=["/tmp/s/test_a.py", "/tmp/s/other.txt"]) == "/tmp/s/test_a.py:\nA: 1\n\n---\n/tmp/s/other.txt:\nC"
    find = lambda **more: set(session.good("search_files", path="/tmp/s", **more).split("\n"))  # noqa: E731
    assert find(pattern="test_*") == {"/tmp/s/test_a.py", "/tmp/s/sub/test_b.py"}
    assert find(pattern="*", excludePatterns="test_*,sub") == {"/tmp/s/other.txt"}
    assert find(pattern="none*") == {"No matches found"}


def test_changes_of_a_folder(session):
    def changes(path="/tmp/w"):
        events = json.loads(session.good("get_file_change", path=path))
        return {(e["eventType"], e["path"], e["pathType"]) for e in events}

    assert session.link("get_file_change", {"path": "/tmp/w"})[0]
    session.good("write_file", path="/tmp/w/old", content="1")
    assert changes() == set()  # from here on
    assert changes() == set()
    session.good("write_file", path="/tmp/w/new", content="1")
    session.good("write_file", path="/tmp/w/old", content="2")  # as long as before, within the second
    session.good("create_directory", path="/tmp/w/sub")
    assert changes() == {("create", "/tmp/w/new", "file"), ("modify", "/tmp/w/old", "file"), ("create", "/tmp/w/sub", "directory")}
    assert changes() == set()
    session.run("import os; os.remove('/tmp/w/old'); open('/tmp/w/sub/x', 'w').close(); os.remove('/tmp/w/new'); os.mkdir('/tmp/w/new')")
    assert changes() == {("delete", "/tmp/w/old", "file"), ("create", "/tmp/w/sub/x", "file"), ("delete", "/tmp/w/new", "file"),
                         ("create", "/tmp/w/new", "directory")}
    for i in range(40):  # each folder has a memory of its own; there are not many
        session.good("create_directory", path=f"/tmp/w{i}")
        assert changes(f"/tmp/w{i}") == set()
    session.good("write_file", path="/tmp/w39/y", content="1")
    session.good("write_file", path="/tmp/w30/y", content="1")
    assert changes("/tmp/w39/") == set() and changes("/tmp/w39") == {("create", "/tmp/w39/y", "file")}
    assert changes("/tmp/w30") == {("create", "/tmp/w30/y", "file")} and changes("/tmp/w1") == set()


def test_files_and_code_share_them(session):
    session.good("write_file", path="/tmp/in", content="from outside")
    assert session.run("print(open('/tmp/in').read(), end=''); open('/tmp/out', 'w').write('from inside')")["stdout"] == ["from outside"]
    assert session.good("read_file", path="/tmp/out") == "from inside"


def test_nothing_outside(session):
    assert session.link("read_file", {"path": "/etc/shadow"})[0] and session.link("write_file", {"path": "/etc/x", "content": "x"})[0]


# ---- the stream ----


def ask(socket, code, language="python", timeout=60, **more):
    invocation = uuid.uuid4().hex
    socket.send({"invocationId": invocation, "source": "SDK", "target": "wuying_codespace",
                 "data": {"method": "run_code", "mode": "stream", "params": {"language": language, "timeoutS": timeout, "code": code}}} | more)
    return invocation


def frames(socket, invocation):
    """Every frame of an invocation to its end, with when it came."""
    got = []
    while True:
        frame = json.loads(socket.receive())
        assert frame["invocationId"] == invocation and frame["source"] == "wuying_codespace" and frame["target"] == "SDK"
        got.append((frame["data"], time.monotonic()))
        if frame["data"]["phase"] != "event":
            return got


def test_a_stream(session):
    socket = session.stream()
    assert socket.status == 101
    got = [data for data, _ in frames(socket, ask(socket, RICH + "import sys\nprint('e', file=sys.stderr)\nRich()"))]
    assert [data["seq"] for data in got] == list(range(len(got)))
    assert [data["chunk"] for data in got if data.get("eventType") == "stderr"] == ["e\n"]  # wherever it came: only stdout keeps its place
    ordered = [data for data in got if data.get("eventType") != "stderr"]
    assert [data.get("eventType") for data in ordered] == ["result", "stdout", "result", None] and ordered[1]["chunk"] == "printed\n"
    main = ordered[2]["result"]
    assert main["isMainResult"] is main["is_main_result"] is True and main["text/plain"] == main["mime"]["text/plain"] == "rich"
    assert main["mime"]["application/vnd.vegalite.v4+json"] == main["application/vnd.vegalite.v4+json"] == {"mark": "bar"}
    end = got[-1]
    assert (end["phase"], end["status"], end["executionError"], end["executionCount"]) == ("end", "finished", None, 1) and end["executionTime"] > 0
    again = [data for data, _ in frames(socket, ask(socket, "1/0"))]
    assert again[0]["eventType"] == "error" and again[0]["error"]["code"] == "ZeroDivisionError" and "Traceback" in again[0]["error"]["traceback"]
    assert again[-1]["status"] == "failed" and "ZeroDivisionError" in again[-1]["executionError"] and again[-1]["executionCount"] == 2
    assert [data["phase"] for data in again].count("end") == 1
    socket.close()


def test_it_is_really_streamed(session):
    session.run("1")
    socket = session.stream()
    got = frames(socket, ask(socket, "import time\nprint('hello', flush=True)\ntime.sleep(1)\nprint(2)"))
    assert [data.get("chunk") for data, _ in got] == ["hello\n", "2\n", None] and got[1][1] - got[0][1] >= 0.8


def test_large_results_arrive_whole(session):
    socket = session.stream()
    got = frames(socket, ask(socket, "from IPython.display import HTML\nHTML('x' * 5_000_000)"))
    assert len(got[0][0]["result"]["text/html"]) == 5_000_000


def test_a_timeout_in_a_stream(session):
    socket = session.stream()
    got = [data for data, _ in frames(socket, ask(socket, ENDLESS, timeout=1))]
    assert got[-1]["status"] == "failed" and "wall_limit" in got[-1]["executionError"] and got[-2]["eventType"] == "error"


@pytest.mark.parametrize("how", ["method", "phase"])
def test_cancel_interrupts_the_program(session, how):
    session.run("x = 3")
    socket = session.stream()
    invocation = ask(socket, ENDLESS, timeout=600)
    wait_for(lambda: not session.link("get_file_info", {"path": "/tmp/begun"})[0])
    socket.send({"invocationId": invocation, "source": "SDK", "target": "wuying_codespace", "data": {how: "cancel"}})
    got = frames(socket, invocation)
    assert got[-1][0]["status"] == "failed" and main_text(session.run("x")) == "3"


def test_a_closed_connection_interrupts_the_program(session):
    session.run("x = 3")
    socket = session.stream()
    ask(socket, ENDLESS, timeout=600)
    wait_for(lambda: not session.link("get_file_info", {"path": "/tmp/begun"})[0])
    socket.close()
    assert main_text(session.run("x")) == "3"  # it has its turn


def test_frames_that_are_wrong(session):
    socket = session.stream()
    data = {"method": "run_code", "mode": "stream", "params": {"language": "python", "code": "1"}}
    for frame in ("{", "[]", "{}", {"invocationId": "a"}, {"invocationId": "a", "data": {"method": "fly"}}, {"invocationId": "a" * 200, "data": data},
                  {"invocationId": "a", "data": data | {"params": []}}, {"invocationId": "a", "data": data | {"params": {"code": 5}}},
                  {"invocationId": "a", "data": data | {"params": {"code": "1", "language": "c"}}}):
        socket.send(frame)
        told = json.loads(socket.receive())["data"]
        assert told["phase"] == "error" and told["error"], frame
    socket.send({"requestId": "b", "data": json.dumps(data)})  # the other spellings
    assert json.loads(socket.receive())["data"]["eventType"] == "result"


def test_two_invocations_on_one_connection(session):
    socket = session.stream()
    one, two = ask(socket, "import time; time.sleep(0.5); 1"), ask(socket, "2")
    ends = []
    while len(ends) < 2:
        frame = json.loads(socket.receive())
        if frame["data"]["phase"] == "end":
            ends.append(frame["invocationId"])
    assert ends == [one, two]  # cells of one interpreter wait for each other
