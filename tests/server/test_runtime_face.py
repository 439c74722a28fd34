# SPDX-License-Identifier: Apache-2.0
"""The Runtime face: what its own front end asks, in both generations and both modes, and the defects that it must not
have (test_defect_*: CONTRACTS B10 by number)."""
import base64
import json
import time

import pytest
from conftest import wait_for

HELLO = {
    "java": "public class Hello { public static void main(String[] a) { System.out.println(\"hello\"); } }",
    "python": "print('hello')",
    "c": "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }",
    "cpp": "#include <iostream>\nint main() { std::cout << \"hello\" << std::endl; }",
    "js": "console.log('hello')",
    "javascript": "console.log('hello')",
    "Python": "print('hello')",
}
ECHO = {
    "java": "import java.util.*; public class Main { public static void main(String[] a) { System.out.println(new "
            "Scanner(System.in).nextLine()); } }",
    "python": "print(input())",
    "c": "#include <stdio.h>\nint main(void) { char b[9]; fgets(b, 9, stdin); printf(\"%s\", b); return 0; }",
    "cpp": "#include <iostream>\nint main() { std::string s; std::cin >> s; std::cout << s << std::endl; }",
    "js": "console.log(require('fs').readFileSync(0, 'utf8').trim())",
}


def guest(server):
    return server.post("/api/auth/guest", None, key=None).json["token"]


@pytest.fixture(scope="module")
def token(server):
    return guest(server)


@pytest.fixture(scope="module")
def queue(tmp_path_factory):
    from conftest import Server
    one = Server(tmp_path_factory.mktemp("queue"), "--set", "runtime_face.mode=queue", "--set", "quotas.requests_per_minute=0")
    yield one
    assert one.stop() == 0


def execute(server, token, code, language="python", query="", **fields):
    return server.post(f"/api/execute{query}", {"code": code, "language": language, **fields}, key=token)


def person(server, email, name="Ann", password="correct horse"):
    answer = server.post("/api/auth/register", {"email": email, "name": name, "password": password}, key=None)
    assert answer.status == 200, answer
    return answer.json["token"]


# ---- who asks ----

def test_register_and_login(server):
    answer = server.post("/api/auth/register", {"email": "Bob@example.org", "name": "Bob", "password": "long enough"}, key=None)
    assert answer.status == 200 and set(answer.json) == {"token", "email", "name"}
    assert (answer.json["email"], answer.json["name"]) == ("Bob@example.org", "Bob")
    claims = json.loads(base64.urlsafe_b64decode(answer.json["token"].split(".")[1] + "=="))
    assert claims["sub"] == "Bob@example.org" and claims["exp"] - claims["iat"] == 86400
    again = server.post("/api/auth/register", {"email": "bob@EXAMPLE.org", "name": "B", "password": "long enough"}, key=None)
    assert again.status == 409 and again.json == {"success": False, "message": "Email already in use", "data": None}
    login = server.post("/api/auth/login", {"email": "bob@example.org", "password": "long enough"}, key=None)
    assert login.status == 200 and login.json["name"] == "Bob"
    for body in ({"email": "bob@example.org", "password": "wrong"}, {"email": "nobody@example.org", "password": "long enough"}):
        wrong = server.post("/api/auth/login", body, key=None)
        assert wrong.status == 401 and wrong.json["message"] == "Invalid email or password"


@pytest.mark.parametrize("body, field", [
    ({"name": "x", "password": "long enough"}, "email"), ({"email": "a@b", "password": "long enough"}, "name"),
    ({"email": "a@b", "name": "x", "password": "short"}, "password"), ({"email": "a b@c", "name": "x", "password": "long enough"}, "email"),
    ({"email": "a@b", "name": "x", "password": "x" * 73}, "password"),
])
def test_register_checks(server, body, field):
    answer = server.post("/api/auth/register", body, key=None)
    assert answer.status == 400 and answer.json["message"].startswith(field)


def test_guest(server):
    answer = server.post("/api/auth/guest", None, key=None).json
    assert (answer["email"], answer["name"]) == ("guest", "GUEST") and answer["token"].count(".") == 2


def test_tokens_that_are_none(server, token):
    head, claims, mac = token.split(".")
    nobody = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    forged = base64.urlsafe_b64encode(b'{"sub":"a@b","iat":1,"exp":9999999999}').decode().rstrip("=")
    import hashlib
    import hmac
    signed = hmac.new(b"", f"{head}.{forged}".encode(), hashlib.sha256).digest()  # with an empty secret
    empty = base64.urlsafe_b64encode(signed).decode().rstrip("=")
    for bad in (None, "x", f"{head}.{claims}.", f"{head}.{forged}.{mac}", f"{nobody}.{claims}.", f"{nobody}.{claims}.{mac}",
                f"{head}.{forged}.{empty}", token[:-2], "Bearer"):
        answer = server.get("/api/codes", key=bad)
        assert answer.status == 401 and answer.json["success"] is False and answer.json["data"] is None, bad
    assert server.get("/api/codes", key=None).json["message"] == "Unauthorized - please login"


def test_tokens_expire_and_survive_a_restart(serve):
    one = serve("--set", "auth.jwt_lifetime=2s")
    token = guest(one)
    assert one.get("/api/codes", key=token).status == 200
    wait_for(lambda: one.get("/api/codes", key=token).status == 401)
    two = serve()
    token = guest(two)
    two.stop()
    assert serve(folder=two.folder).get("/api/codes", key=token).status == 200


def test_registration_and_guests_can_be_switched_off(serve):
    one = serve("--set", "auth.allow_register=false", "--set", "auth.allow_guest=false")
    assert one.post("/api/auth/register", {"email": "a@b", "name": "x", "password": "long enough"}, key=None).status == 403
    assert one.post("/api/auth/guest", None, key=None).status == 403


def test_its_front_end_elsewhere_may_ask(serve):
    one = serve("--set", "server.origins=http://localhost:5173")
    front = {"Origin": "http://localhost:5173"}
    asks = {"Access_Control_Request_Method": "PATCH", "Access_Control_Request_Headers": "authorization,content-type"}
    answer = one.ask("OPTIONS", "/api/codes/1", key=None, **front, **asks)
    assert answer.status == 204 and answer.headers["Access-Control-Allow-Headers"] == "authorization,content-type"
    assert "PATCH" in answer.headers["Access-Control-Allow-Methods"]
    login = one.post("/api/auth/guest", None, key=None, **front)
    for answer in (login, one.get("/api/codes", key=login.json["token"], **front), one.get("/api/codes", key=None, **front)):
        assert answer.headers["Access-Control-Allow-Origin"] == front["Origin"]
    assert one.ask("OPTIONS", "/api/codes", key=None, Origin="http://evil.example", **asks).status == 403


# ---- execute, direct ----

@pytest.mark.parametrize("language", HELLO)
def test_hello(server, token, language):
    answer = execute(server, token, HELLO[language], language)
    assert answer.status == 200 and answer.json["success"] is True and answer.json["message"] == "Code executed successfully"
    data = answer.json["data"]
    assert set(data) == {"stdout", "stderr", "errorType", "exitCode", "executionTime"}
    assert (data["stdout"], data["stderr"], data["errorType"], data["exitCode"]) == ("hello\n", "", "NONE", 0)
    assert isinstance(data["executionTime"], int)


@pytest.mark.parametrize("language", ECHO)
def test_stdin(server, token, language):
    assert execute(server, token, ECHO[language], language, stdin="abc\n").json["data"]["stdout"].strip() == "abc"


@pytest.mark.parametrize("code, language, kind", [
    ("int main(void) { return x; }", "c", "COMPILE_ERROR"), ("x = = 1", "python", "COMPILE_ERROR"),
    ("1 / 0", "python", "RUNTIME_ERROR"), ("input()", "python", "STDIN_REQUIRED"),
])
def test_error_types(server, token, code, language, kind):
    answer = execute(server, token, code, language)
    assert answer.json["success"] is True and answer.json["data"]["errorType"] == kind
    assert answer.json["data"]["exitCode"] != 0 and answer.json["data"]["stderr"]


def test_infinite_loop_times_out(server, token):
    code = "public class Main { public static void main(String[] a) { System.out.println(\"begun\"); for (;;); } }"
    answer = execute(server, token, code, "java").json
    assert answer["success"] is True and answer["message"] == "Execution timed out"
    assert answer["data"]["errorType"] == "TIMEOUT" and answer["data"]["exitCode"] == -1


def test_docs_generation(server, token):
    answer = execute(server, token, "print('hello')", query="?generation=docs").json
    assert answer["success"] is True and set(answer["data"]) == {"output", "exitCode", "executionTime"}
    assert answer["data"]["output"] == "hello\n"


def test_docs_generation_by_configuration(serve):
    one = serve("--set", "runtime_face.generation=docs", "--set", "runtime_face.anonymous=true")
    answer = execute(one, None, "import sys; sys.exit(3)")
    assert answer.json["data"]["exitCode"] == 3
    assert "stdout" in execute(one, None, "1", query="?generation=head").json["data"]


def test_unknown_language(server, token):
    answer = execute(server, token, "puts 1", "ruby-on-rails")
    assert answer.status == 400 and answer.json["success"] is False and answer.json["message"].startswith("Execution failed:")


def test_anonymous_only_when_allowed(server, serve):
    assert execute(server, None, "1").status == 401
    one = serve("--set", "runtime_face.anonymous=true")
    assert execute(one, None, "print(1)").status == 200
    assert one.get("/api/codes", key=None).status == 401


def test_an_api_key_will_do(server):
    assert execute(server, server.key, "print(1)").json["data"]["stdout"] == "1\n"


def test_blocked_words_run(server, token):
    code = "# sudo rm -rf / ; curl x\npseudo = 1\nprint(pseudo)"
    assert execute(server, token, code).json["data"]["stdout"] == "1\n"


# ---- execute, queue ----

def finished(server, token, id, query=""):
    return wait_for(lambda: (a := server.get(f"/api/result/{id}{query}", key=token).json)["message"] not in ("QUEUED", "RUNNING") and a)


def test_queue(queue):
    token = guest(queue)
    submitted = execute(queue, token, "import time\ntime.sleep(2)\nprint('hello')").json
    assert submitted["success"] is True and submitted["message"] == "Job submitted" and isinstance(submitted["data"], str)
    first = queue.get(f"/api/result/{submitted['data']}", key=token).json
    assert first["message"] in ("QUEUED", "RUNNING") and first["data"] is None and first["success"] is True
    done = finished(queue, token, submitted["data"])
    assert done["message"] == "COMPLETED" and isinstance(done["data"], str)
    inner = json.loads(done["data"])
    assert inner["success"] is True and inner["data"]["stdout"] == "hello\n" and inner["data"]["exitCode"] == 0
    docs = json.loads(finished(queue, token, submitted["data"], "?generation=docs")["data"])
    assert docs["data"]["output"] == "hello\n"


def test_queued_runs_enter_the_history(queue):
    mine, other = guest(queue), guest(queue)
    project = queue.post("/api/codes", {"title": "p", "language": "python"}, key=mine).json["data"]["id"]
    for token, code in ((mine, "print('a')"), (mine, "print('b'); exit(2)"), (other, "1")):
        finished(queue, token, execute(queue, token, code, projectId=project).json["data"])
    second, first = queue.get("/api/submissions", key=mine).json["data"]
    assert (first["status"], first["stdout"], first["projectId"], first["exitCode"]) == ("SUCCESS", "a\n", project, 0)
    assert (second["status"], second["stdout"], second["code"], second["exitCode"]) == ("ERROR", "b\n", "print('b'); exit(2)", 2)
    assert [s["projectId"] for s in queue.get("/api/submissions", key=other).json["data"]] == [None]  # not theirs


def test_queued_runs_enter_the_history_after_a_restart(serve):
    words = ("--set", "runtime_face.mode=queue", "--set", "server.drain_timeout=0s")
    one = serve(*words)
    token = guest(one)
    id = execute(one, token, "import time\ntime.sleep(4)\nprint('late')").json["data"]
    wait_for(lambda: one.get(f"/api/result/{id}", key=token).json["message"] == "RUNNING")
    one.stop()
    two = serve(*words, folder=one.folder)
    assert finished(two, token, id)["message"] == "COMPLETED"
    assert [s["stdout"] for s in two.get("/api/submissions", key=token).json["data"]] == ["late\n"]


def test_queue_unknown_and_foreign_jobs(queue):
    mine, other = guest(queue), guest(queue)
    id = execute(queue, mine, "print(1)").json["data"]
    for token, job in ((mine, "nonsense"), (other, id)):
        answer = queue.get(f"/api/result/{job}", key=token)
        assert answer.status == 404 and answer.json == {"success": False, "message": "Invalid jobId", "data": None}
    assert finished(queue, mine, id)["message"] == "COMPLETED"


# ---- saved code, history ----

def test_codes(server):
    mine, other = person(server, "codes@example.org"), guest(server)
    assert server.get("/api/codes", key=mine).json == {"success": True, "message": "OK", "data": []}
    made = server.post("/api/codes", {"title": "one", "language": "python"}, key=mine).json
    assert made["success"] and made["message"] == "Created" and made["data"]["code"] == ""
    assert set(made["data"]) == {"id", "title", "language", "code", "createdAt", "updatedAt"}
    one = made["data"]["id"]
    two = server.post("/api/codes", {"title": "two", "language": "c", "code": "int x;"}, key=mine).json["data"]["id"]
    time.sleep(1.1)
    changed = server.ask("PATCH", f"/api/codes/{one}", {"code": "print(1)", "title": None}, key=mine).json
    assert changed["message"] == "Updated" and changed["data"]["title"] == "one" and changed["data"]["code"] == "print(1)"
    assert [c["id"] for c in server.get("/api/codes", key=mine).json["data"]] == [one, two]  # newest changed first
    assert server.get(f"/api/codes/{two}", key=mine).json["data"]["code"] == "int x;"
    for method, body in (("GET", None), ("PATCH", {"title": "x"}), ("DELETE", None)):
        answer = server.ask(method, f"/api/codes/{one}", body, key=other)
        assert answer.status == 404 and answer.json["message"] == "Not found"
    deleted = server.ask("DELETE", f"/api/codes/{two}", key=mine).json
    assert deleted == {"success": True, "message": "Deleted", "data": None}
    assert server.get(f"/api/codes/{two}", key=mine).status == 404
    assert server.post("/api/codes", {"language": "c"}, key=mine).status == 400
    assert server.get("/api/codes/99999999999999999999", key=mine).status == 404


def test_submissions(server):
    mine, other = guest(server), guest(server)
    project = server.post("/api/codes", {"title": "p", "language": "python"}, key=mine).json["data"]["id"]
    execute(server, mine, "print('a')", projectId=project)
    execute(server, mine, "exit(2)")
    listed = wait_for(lambda: (l := server.get("/api/submissions", key=mine).json["data"]) and len(l) == 2 and l)
    assert [s["status"] for s in listed] == ["ERROR", "SUCCESS"]
    assert (listed[0]["projectId"], listed[1]["projectId"]) == (None, project)
    assert listed[1]["stdout"] == "a\n" and listed[0]["exitCode"] == 2 and listed[1]["createdAt"]
    assert [s["stdout"] for s in server.get(f"/api/submissions?projectId={project}", key=mine).json["data"]] == ["a\n"]
    assert server.get("/api/submissions", key=other).json["data"] == []


# ---- /ws/execute ----

def session(server, token, code, language="python"):
    ws = server.ws(f"/ws/execute?token={token}", key=None)
    assert ws.status == 101
    ws.send({"language": language, "code": code})
    return ws


def test_socket_speaks(server, token):
    ws = session(server, token, "import sys\nprint('name?', flush=True)\nprint('hi', input())\nprint('bad', file=sys.stderr)")
    ws.until("name?\r\n")
    ws.send("Ann")
    assert b"hi Ann\r\n" in ws.until("bad\r\n")
    assert ws.rest() == [] and ws.code == 1000


def test_socket_codes(server, token):
    for first, code, words in ((json.dumps({"language": "python"}), 1007, "Error: 'code' and 'language' are required."),
                               (json.dumps({"language": "", "code": "1"}), 1007, "Error: 'code' and 'language' are required."),
                               ("nonsense", 1011, "Error: Failed to start session: "),
                               (json.dumps({"language": "ruby-on-rails", "code": "1"}), 1011, "Error: Failed to start session: ")):
        ws = server.ws(f"/ws/execute?token={token}", key=None)
        ws.send(first)
        messages = ws.rest()
        assert ws.code == code and messages[0].startswith(words), (first, messages)


def test_socket_output_limit(server, token):
    ws = session(server, token, "while True: print('x' * 1000)")
    messages = ws.rest()
    assert ws.code == 1008 and messages[-1] == "Error: Maximum output limit exceeded."


def test_socket_needs_a_token(server):
    assert server.ws("/ws/execute", key=None).status == 401


def test_socket_without_a_token_when_allowed(serve):
    one = serve("--set", "runtime_face.anonymous_socket=true", "--set", "server.origins=http://localhost:5173")
    ws = one.ws("/ws/execute", key=None, Origin="http://localhost:5173")
    ws.send({"language": "python", "code": "print(input())"})
    ws.send("hi")
    assert ws.until("hi\r\n") and ws.rest() == [] and ws.code == 1000
    assert one.ws("/ws/execute", key=None, Origin="http://evil.example").status == 403
    assert one.ws("/ws/execute?token=x", key=None).status == 401  # a token that is there must be good
    assert execute(one, None, "1").status == 401


@pytest.mark.parametrize("language, code", [
    ("c", '#include <stdio.h>\nint main(void) { int a; printf("number: "); scanf("%d", &a); printf("got %d\\n", a); return 0; }'),
    ("cpp", '#include <cstdio>\nint main() { int a; printf("number: "); scanf("%d", &a); printf("got %d\\n", a); }'),
    ("python", "import sys\nprint('number: ', end='')\nprint('got', sys.stdin.readline().strip())"),
])
def test_socket_shows_prompts_at_once(server, token, language, code):
    ws = session(server, token, code, language)
    ws.until("number: ")
    ws.send("7")
    ws.until("got 7\r\n")
    assert ws.rest() == [] and ws.code == 1000


def test_socket_takes_ctrl_c(server, token):
    ws = session(server, token, "import time\nprint('begun', flush=True)\ntime.sleep(600)")
    ws.until("begun")
    ws.send("\x03")
    assert ws.rest() in ([], ["\r\n"]) and ws.code == 1000
    wait_for(lambda: server.running() == 0)


def test_socket_that_leaves_ends_its_program(server, token):
    ws = session(server, token, "import time\nprint('begun', flush=True)\ntime.sleep(600)")
    ws.until("begun")
    ws.close()
    wait_for(lambda: server.running() == 0)


def test_socket_at_capacity(serve):
    one = serve("--set", "runtime_face.anonymous=true")
    many = [one.ws("/ws/execute", key=None) for _ in range(50)]
    last = one.ws("/ws/execute", key=None)
    assert last.rest() == ["Server at capacity — please try again shortly."] and last.code == 1013
    for ws in many:
        ws.close()
    wait_for(lambda: (ws := one.ws("/ws/execute", key=None)).send({"language": "python"}) or ws.rest() and ws.code == 1007)


# ---- CONTRACTS B10 ----

def test_defect_1_exit_codes_are_real_in_both_generations(server, token):
    for query in ("", "?generation=docs"):
        assert execute(server, token, "import sys; print('x'); sys.exit(3)", query=query).json["data"]["exitCode"] == 3


def test_defect_2_stderr_is_not_dropped(server, token):
    data = execute(server, token, "import sys\nprint('out')\nprint('err', file=sys.stderr)").json["data"]
    assert (data["stdout"], data["stderr"]) == ("out\n", "err\n")


def test_defect_3_isolation_and_validation_exist(server, token):
    code = "import socket\ntry: socket.create_connection(('127.0.0.1', %d), 1); print('open')\nexcept OSError: print('closed')"
    assert execute(server, token, code % server.port).json["data"]["stdout"] == "closed\n"
    assert execute(server, token, "").json["message"] == "Code cannot be empty"
    assert execute(server, token, "1", "").json["message"] == "Language cannot be empty"


def test_defect_4_time_is_the_programs(server, token):
    data = execute(server, token, "import time; time.sleep(0.3)").json["data"]
    assert 300 <= data["executionTime"] < 5000


def test_defect_5_a_timeout_keeps_what_was_written(server, token):
    data = execute(server, token, "print('begun', flush=True)\nwhile True: pass").json["data"]
    assert data["stdout"] == "begun\n" and data["errorType"] == "TIMEOUT" and data["stderr"]


def test_defect_6_output_is_bounded(server, token):
    answer = execute(server, token, "while True: print('x' * 100000)").json
    assert len(answer["data"]["stdout"]) <= 64 << 20


def test_defect_7_characters_are_not_cut(server, token):
    ws = session(server, token, "import sys, time\nfor b in 'äöü€😀\\n'.encode():\n    sys.stdout.buffer.write(bytes([b]))\n"
                 "    sys.stdout.buffer.flush()\n    time.sleep(0.02)")
    text = "".join(ws.rest())
    assert text == "äöü€😀\r\n"


def test_defect_8_nothing_is_left_behind(server, token):
    code = "import os\nos.makedirs('a/b/c'); open('a/b/c/d', 'w').write('x'); print(len(os.listdir('.')))"
    assert execute(server, token, code).json["data"]["stdout"] == execute(server, token, code).json["data"]["stdout"]


def test_defect_9_null_is_refused(server, queue, token):
    for one, key in ((server, token), (queue, guest(queue))):
        for body, words in (({"code": None, "language": "python"}, "Code cannot be empty"),
                            ({"code": "1", "language": None}, "Language cannot be empty"),
                            ({}, "Code cannot be empty"), ({"code": 1, "language": "python"}, "texts")):
            answer = one.post("/api/execute", body, key=key)
            assert answer.status == 400 and answer.json["success"] is False and words in answer.json["message"]
    assert server.post("/api/execute", "[]", key=token).status == 400
    assert "line 1" in server.post("/api/execute", "{", key=token).json["message"]


def test_defect_10_code_with_submissions_can_be_deleted(server):
    mine = guest(server)
    project = server.post("/api/codes", {"title": "p", "language": "python"}, key=mine).json["data"]["id"]
    execute(server, mine, "print('kept')", projectId=project)
    assert server.ask("DELETE", f"/api/codes/{project}", key=mine).status == 200
    assert server.get("/api/submissions", key=mine).json["data"][0]["stdout"] == "kept\n"


def test_defect_11_jobs_run_side_by_side(queue):
    token = guest(queue)
    ids = [execute(queue, token, "import time; time.sleep(4)").json["data"] for _ in range(3)]
    wait_for(lambda: queue.running() >= 2)
    for id in ids:
        assert finished(queue, token, id)["message"] == "COMPLETED"


def test_defect_projects_of_others(server):
    mine, other = guest(server), guest(server)
    project = server.post("/api/codes", {"title": "p", "language": "python"}, key=mine).json["data"]["id"]
    execute(server, other, "print('x')", projectId=project)
    listed = server.get(f"/api/submissions?projectId={project}", key=mine).json["data"]
    assert listed == []
    assert all(s["projectId"] is None for s in server.get("/api/submissions", key=other).json["data"])


def test_defect_ws_refused_first_messages_give_their_place_back(server, token):
    for _ in range(60):
        ws = server.ws(f"/ws/execute?token={token}", key=None)
        ws.send({"language": "python"})
        ws.rest()
        assert ws.code == 1007
        ws.close()


def test_defect_ws_runs_are_in_the_history(server):
    mine = guest(server)
    session(server, mine, "print('seen')").rest()
    wait_for(lambda: [s["stdout"] for s in server.get("/api/submissions", key=mine).json["data"]] == ["seen\n"])


def test_strict_has_the_quirks(serve):
    one = serve("--set", "runtime_face.strict=true", "--set", "runtime_face.generation=docs")
    token = guest(one)
    assert execute(one, token, "import sys; print('x'); sys.exit(3)").json["data"]["exitCode"] == 0
    for answer in (execute(one, token, "1", "ruby-on-rails"), one.get("/api/codes/12345", key=token)):
        assert answer.status == 200 and answer.json["success"] is False
    assert one.get("/api/codes", key=None).status == 401
