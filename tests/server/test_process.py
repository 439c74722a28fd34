# SPDX-License-Identifier: Apache-2.0
"""Starting, stopping and configuring: the process, before any face."""
import http.client
import json
import os
import pathlib
import pwd
import re
import signal
import socket
import subprocess
import threading
import time

import pytest
from conftest import BIN, ENDLESS, ENDLESS_LIMITS, LONGEST_S, ROOT, SANITIZED, environment, run_retort, wait_for


def can_connect(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=LONGEST_S).close()
    except OSError:
        return False
    return True


def test_starts_and_stops(serve):
    one = serve()
    assert re.fullmatch(r"retortd listens on http://127\.0\.0\.1:\d+\n", one.said)
    assert one.get("/healthz", key=None).json["status"] == "ok"
    assert one.get("/readyz", key=None).status == 200
    assert one.stop() == 0
    assert not can_connect(one.port)


def test_key_is_printed_once(serve):
    one = serve()
    assert one.errors.count(one.key) == 1
    assert one.run("print(1)").json["stdout"] == "1\n"
    one.stop()
    again = serve(folder=one.folder)  # appends to the same log
    assert len(re.findall("rt_[0-9a-f]{64}", again.errors)) == 1
    assert len(re.findall("webhooks are signed", again.errors)) == 1
    assert again.run("print(2)").json["stdout"] == "2\n"
    database = (one.folder / "retort.db").read_bytes() + (one.folder / "retort.db-wal").read_bytes()
    assert one.key.encode() not in database


def test_state_is_for_its_owner_alone(serve):
    one = serve()
    for file in one.folder.glob("retort.db*"):
        assert file.stat().st_mode & 0o077 == 0, file


def test_the_folders_of_the_store_are_made(serve, tmp_path):
    """The secrets lie beside the store and are written before it is opened."""
    one = serve("--set", f"store.path={tmp_path}/not/there/yet.db")
    assert one.ask("GET", "/healthz").status == 200
    assert sorted(f.name for f in (tmp_path / "not/there").iterdir() if "secret" in f.name) == ["yet.db.callback-secret", "yet.db.jwt-secret"]
    assert (tmp_path / "not").stat().st_mode & 0o777 == 0o700


def test_state_directory_of_a_user(tmp_path, serve):
    one = serve("--set", "store.path=", env={"STATE_DIRECTORY": str(tmp_path / "state")})
    assert (tmp_path / "state" / "retort.db").exists()
    assert one.get("/readyz").status == 200


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"])
def test_no_auth_only_on_loopback(tmp_path, address):
    done = run_retort(tmp_path, "serve", "--no-auth", "--listen", address, "--set", f"store.path={tmp_path}/r.db")
    assert done.returncode == 125 and "loopback" in done.stderr
    assert not (tmp_path / "r.db").exists()


def test_no_auth(serve):
    one = serve("--no-auth")
    assert one.key is None
    assert one.run("print(3)").json["stdout"] == "3\n"


@pytest.mark.parametrize("text, place, words", [
    ("server:\n  lisen: [127.0.0.1:1]\n", ":2:3:", "unknown key 'lisen' in 'server'; did you mean 'listen'?"),
    ("servr:\n  listen: [127.0.0.1:1]\n", ":1:1:", "servr"),
    ("server:\n  threads: many\n", ":2:12:", "threads"),
    ("server:\n  threads: 1\n  threads: 2\n", ":3:3:", "threads"),
    ("auth:\n  required: maybe\n", ":2:13:", "required"),
    ("isolation:\n  minimum: strongest\n", ":2:12:", "strong"),
    ("server: [\n", ":", ""),
])
def test_wrong_configuration(tmp_path, text, place, words):
    file = tmp_path / "c.yaml"
    file.write_text(text)
    for command in (["serve"], ["config", "check"]):
        done = run_retort(tmp_path, *command, "--config", file)
        assert done.returncode == 125
        assert f"c.yaml{place}" in done.stderr and words in done.stderr


def test_config_commands(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("server:\n  threads: 2\nauth:\n  jwt_secret: " + "s" * 40 + "\n")
    assert "good" in run_retort(tmp_path, "config", "check", "--config", file).stdout
    shown = run_retort(tmp_path, "config", "show", "--config", file, "--set", "queue.max_runs=7").stdout
    assert "threads: 2\n" in shown and "max_runs: 7\n" in shown and "s" * 40 not in shown
    secret = run_retort(tmp_path, "config", "show", "--with-secrets", "--config", file).stdout
    assert "s" * 40 in secret
    env = run_retort(tmp_path, "config", "show", "--config", file, env={"RETORT_SERVER_THREADS": "5"}).stdout
    assert "threads: 5\n" in env
    (tmp_path / "again.yaml").write_text(secret)
    assert run_retort(tmp_path, "config", "check", "--config", tmp_path / "again.yaml").returncode == 0
    assert run_retort(tmp_path, "config", "shew").returncode == 125


def test_documented_keys_are_the_real_ones(tmp_path):
    document = run_retort(tmp_path, "config", "document").stdout
    assert "`drain_timeout`" in document
    assert (ROOT / "docs" / "configuration.md").read_text() == document, "made by: retort config document"


def test_keys_commands(serve):
    one = serve()
    here = ["--set", f"store.path={one.folder}/retort.db"]
    key = one.new_key("--tenant", "lab", "--name", "ci", "--scopes", "run")
    wait_for(lambda: one.get("/v1/languages", key=key).status == 200)  # beside the running server; it looks once a second
    assert one.get("/v1/jobs", key=key).status == 403
    listed = json.loads(run_retort(one.folder, "keys", "list", "--json", *here).stdout)
    mine = next(k for k in listed if k["name"] == "ci")
    assert mine["tenant"] == "lab" and mine["state"] == "good" and key.startswith(mine["prefix"])
    assert key not in run_retort(one.folder, "keys", "list", *here).stdout
    assert run_retort(one.folder, "keys", "revoke", mine["prefix"], *here).returncode == 0
    one.kick(signal.SIGHUP)
    wait_for(lambda: one.get("/v1/languages", key=key).status == 401)
    assert "revoked" in one.get("/v1/languages", key=key).json["detail"]
    assert run_retort(one.folder, "keys", "revoke", "nobody", *here).returncode == 125


def test_expired_key(serve):
    one = serve()
    key = one.new_key("--expires", "8s")
    one.kick(signal.SIGHUP)  # looks at once
    wait_for(lambda: one.get("/v1/languages", key=key).status == 200)
    wait_for(lambda: one.get("/v1/languages", key=key).status == 401)
    assert "expired" in one.get("/v1/languages", key=key).json["detail"]


def test_two_servers_do_not_share_a_store(serve):
    one = serve()
    done = run_retort(one.folder, "serve", "--listen", "127.0.0.1:0", "--set", f"store.path={one.folder}/retort.db")
    assert done.returncode == 125 and "in use" in done.stderr


def test_reload_on_hangup(serve):
    one = serve(config="quotas:\n  requests_per_minute: 0\n")
    assert "RateLimit-Limit" not in one.get("/v1/languages").headers
    (one.folder / "retort.yaml").write_text("quotas:\n  requests_per_minute: 60\n  burst: 10\n")
    one.kick(signal.SIGHUP)
    wait_for(lambda: "RateLimit-Limit" in one.get("/v1/languages").headers)
    (one.folder / "retort.yaml").write_text("quotas:\n  requests_per_minuet: 60\n")
    one.kick(signal.SIGHUP)
    wait_for(lambda: "nothing reloaded" in one.errors)
    assert "retort.yaml:2:3" in one.errors
    assert one.get("/healthz").status == 200


def test_drain_lets_programs_end(serve):
    one = serve()
    connection, response = one.start("POST", "/v1/runs", {"language": "python", "code":
                                     "import time\nprint('a', flush=True)\ntime.sleep(1.5)\nprint('b')"},
                                     Accept="application/x-ndjson")
    assert json.loads(response.readline())["type"] == "started"
    one.kick(signal.SIGTERM)
    lines = [json.loads(line) for line in response]
    assert lines[-1]["type"] == "end" and lines[-1]["outcome"]["status"] == "ok"
    assert lines[-1]["outcome"]["stdout"] == "a\nb\n"
    assert one.process.wait(LONGEST_S) == 0


def test_drain_cuts_at_the_deadline(serve):
    one = serve("--set", "server.drain_timeout=300ms")
    connection, response = one.start("POST", "/v1/runs", {"language": "python", "code": ENDLESS, **ENDLESS_LIMITS},
                                     Accept="application/x-ndjson")
    assert json.loads(response.readline())["type"] == "started"
    one.kick(signal.SIGTERM)
    lines = [json.loads(line) for line in response]  # ends as a chunked body should, or this raises
    assert lines[-1]["type"] == "end" and lines[-1]["outcome"]["status"] in ("cancelled", "internal")
    assert one.process.wait(LONGEST_S) == 0


def test_drain_answers_those_who_wait_for_queued_jobs(serve):
    one = serve("--set", "engine.slots=1", "--set", "server.drain_timeout=300ms")
    one.job(ENDLESS, request=ENDLESS_LIMITS)
    queued = one.job("print(1)")
    answers = []
    waiting = [threading.Thread(target=lambda path=path: answers.append(one.get(path)))
               for path in (f"/v1/jobs/{queued}?wait=60s", f"/v1/jobs/{queued}/events")]
    for thread in waiting:
        thread.start()
    wait_for(lambda: one.get("/v1/status").json["followers"] == 1)
    time.sleep(1)  # nothing tells that the other one waits
    one.kick(signal.SIGTERM)
    for thread in waiting:
        thread.join(LONGEST_S)
    assert sorted(answer.status for answer in answers) == [200, 200]
    states = [answer.json["state"] for answer in answers if answer.headers["Content-Type"] == "application/json"]
    assert states == ["queued"]
    assert one.process.wait(LONGEST_S) == 0


def test_second_signal_ends_at_once(serve):
    one = serve()
    connection, response = one.start("POST", "/v1/runs", {"language": "python", "code": ENDLESS, **ENDLESS_LIMITS},
                                     Accept="application/x-ndjson")
    response.readline()
    one.kick(signal.SIGINT)
    wait_for(lambda: not can_connect(one.port))  # it has the first, and goes on
    assert one.process.poll() is None
    one.kick(signal.SIGINT)
    assert one.process.wait(LONGEST_S) == 128 + signal.SIGINT


def test_jobs_queued_at_the_end_run_after_the_start(serve):
    one = serve("--set", "engine.slots=1", "--set", "server.drain_timeout=0s")
    ids = [one.job(f"import time\ntime.sleep(0.5)\nprint({i})") for i in range(4)]
    assert one.stop() == 0
    again = serve(folder=one.folder)
    again.key = one.key
    assert [again.outcome(id)["outcome"]["stdout"] for id in ids] == ["0\n", "1\n", "2\n", "3\n"]


def test_activated_by_socket_and_notifies(serve, tmp_path):
    listener = socket.create_server(("127.0.0.1", 0))
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(tmp_path / "notify"))
    notify.settimeout(LONGEST_S)

    # LISTEN_PID must be the pid after fork: a shell that execs keeps it
    script = f'exec 3<&{listener.fileno()}; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'
    env = environment(tmp_path, NOTIFY_SOCKET=str(tmp_path / "notify"))
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(["bash", "-c", script, "sh", str(BIN / "retortd"), "--set", f"store.path={tmp_path}/r.db"],
                                   env=env, pass_fds=[listener.fileno()], stdout=subprocess.PIPE, stderr=log)
    try:
        assert notify.recv(100) == b"READY=1"
        assert b"systemd" in process.stdout.readline()
        connection = http.client.HTTPConnection(*listener.getsockname(), timeout=LONGEST_S)
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        process.send_signal(signal.SIGTERM)
        assert notify.recv(100) == b"STOPPING=1"
        assert process.wait(LONGEST_S) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_unix_socket(serve, tmp_path):
    one = serve("--no-auth", listen=f"unix:{tmp_path}/s")
    done = subprocess.run(["curl", "-s", "--unix-socket", f"{tmp_path}/s", "http://localhost/healthz"], capture_output=True)
    assert json.loads(done.stdout)["status"] == "ok"
    top = run_retort(tmp_path, "top", "--url", f"unix:{tmp_path}/s")
    assert top.returncode == 0 and "slots busy" in top.stdout


def test_tls(serve, tmp_path):
    folder = tmp_path / "tls"
    folder.mkdir()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "key.pem", "-out",
                    folder / "cert.pem", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
                   check=True, capture_output=True)
    one = serve("--set", f"server.tls_certificate={folder}/cert.pem", "--set", f"server.tls_key={folder}/key.pem",
                folder=folder, tls=True)
    assert "https://" in one.said
    assert one.run("print('safe')").json["stdout"] == "safe\n"


def test_gives_up_root(serve):
    if os.geteuid() != 0:
        pytest.skip("only root has something to give up")
    one = serve("--set", "server.user=nobody")
    for task in os.listdir(f"/proc/{one.process.pid}/task"):
        status = open(f"/proc/{one.process.pid}/task/{task}/status").read()
        uid = str(pwd.getpwnam("nobody").pw_uid)
        assert re.search(r"^Uid:\s+(.*)$", status, re.M).group(1).split() == [uid] * 4
        assert re.search(r"^CapEff:\s+(\w+)$", status, re.M).group(1) == "0" * 16
        assert re.search(r"^NoNewPrivs:\s+1$", status, re.M)
    assert one.run("print(1)").json["isolation"]["level"] == "strong"


def children(pid):
    return [int(word) for task in pathlib.Path(f"/proc/{pid}/task").iterdir() for word in (task / "children").read_text().split()]


@pytest.mark.skipif(SANITIZED, reason="a sanitizer's search for leaks needs ptrace")
def test_is_under_a_system_call_policy(serve):
    """Each of its threads, and not the jailer, which was started before."""
    one = serve()
    assert one.run("print(1)").json["stdout"] == "1\n"

    def seccomp(path):
        return re.search(r"^Seccomp:\s+(\d)$", (path / "status").read_text(), re.M).group(1)
    assert {seccomp(task) for task in pathlib.Path(f"/proc/{one.process.pid}/task").iterdir()} == {"2"}
    jailers = children(one.process.pid)
    assert jailers and [seccomp(pathlib.Path(f"/proc/{pid}")) for pid in jailers] == ["0"]
    assert "system call policy" not in one.errors


def test_refuses_to_run_setuid(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can make a setuid program")
    import shutil
    program = tmp_path / "retortd"
    shutil.copy(BIN / "retortd", program)
    program.chmod(0o4755)
    tmp_path.chmod(0o755)
    for parent in list(tmp_path.parents)[:3]:
        if str(parent) not in ("/", "/tmp"):
            parent.chmod(0o755)
    done = subprocess.run([program, "--set", "store.path=:memory:"], capture_output=True, text=True, user="nobody", cwd="/",
                          env=environment(tmp_path), timeout=LONGEST_S)
    assert done.returncode == 125 and "setuid" in done.stderr


def test_many_descriptors(serve):
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    one = serve(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard)))
    limits = open(f"/proc/{one.process.pid}/limits").read()
    assert re.search(r"Max open files\s+(\d+)", limits).group(1) == str(hard)


def test_top_watches(server):
    done = run_retort(server.folder, "top", "--url", f"http://127.0.0.1:{server.port}", "--key", server.key)
    assert done.returncode == 0 and re.search(r"\d of \d+ slots busy", done.stdout)
    refused = run_retort(server.folder, "top", "--url", f"http://127.0.0.1:{server.port}")
    assert refused.returncode == 125 and "admin" in refused.stderr


def test_retort_alone_links_no_server():
    needed = subprocess.run(["ldd", BIN / "retort"], capture_output=True, text=True).stdout
    for library in ("curl", "sqlite", "microhttpd", "wslay", "ssl", "crypto"):
        assert f"lib{library}" not in needed
