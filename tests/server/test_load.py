# SPDX-License-Identifier: Apache-2.0
"""Many at once: streams, queued jobs, tenants, clients that are slow or leave. What must hold is said in counts and
generous bounds, never in times of this machine."""
import collections
import concurrent.futures
import json
import pathlib
import selectors
import socket
import threading
import time
import uuid

import pytest
from conftest import wait_for
from leftovers import processes_with

MB = 1 << 20
MEMORY_MAX = 150 * MB
STREAMS, QUEUED = 500, 10000
SANITIZED = "built with a sanitizer: its memory is not the server's"


def resident(one):
    return one.rss_bytes()


def skip_if_sanitized(one):
    if "asan" in pathlib.Path(f"/proc/{one.process.pid}/maps").read_text():
        pytest.skip(SANITIZED)


def raw(one, method, path, body=b"", receive_buffer=None, **headers):
    """A request on a socket of its own, not waited for."""
    stream = socket.socket()
    if receive_buffer:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    stream.settimeout(60)
    stream.connect(("127.0.0.1", one.port))
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{one.port}", f"Authorization: Bearer {one.key}"]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    stream.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
    return stream


def read_all(streams, ended, seconds):
    """What came on each of many streams until ended(its bytes)."""
    selector, came = selectors.DefaultSelector(), {}
    for stream in streams:
        stream.setblocking(False)
        came[stream] = bytearray()
        selector.register(stream, selectors.EVENT_READ)
    end = time.monotonic() + seconds
    while selector.get_map() and time.monotonic() < end:
        for key, _ in selector.select(0.5):
            data = key.fileobj.recv(65536)
            came[key.fileobj] += data
            if not data or ended(came[key.fileobj]):
                selector.unregister(key.fileobj)
    assert not selector.get_map(), f"{len(selector.get_map())} of {len(came)} streams did not end"
    return [bytes(data) for data in came.values()]


def dechunked(answer):
    """Head and body of a chunked answer: a chunk may end anywhere."""
    head, rest = answer.split(b"\r\n\r\n", 1)
    body = head
    while rest:
        size, rest = rest.split(b"\r\n", 1)
        body, rest = body + rest[:int(size, 16)], rest[int(size, 16) + 2:]
    return body


QUIET = ("--set", "quotas.requests_per_minute=0", "--set", "log.level=warning")


def request(code, language="bash", **more):
    return {"language": language, "code": code, **more}


def batch(one, n, code="echo $1", key=True):
    """n queued jobs; their ids."""
    ids = []
    while len(ids) < n:
        size = min(1000, n - len(ids))
        answer = one.post("/v1/jobs", {"jobs": [{"request": request(code, args=[str(len(ids) + i)])} for i in range(size)]}, key=key)
        assert answer.status == 202, answer
        ids += [job["id"] for job in answer.json["jobs"]]
    return ids


def blocker(one, seconds=600):
    """Keeps one slot busy."""
    id = one.job(f"/bin/sleep {seconds}", language="bash", request={"limits": {"wall_ms": seconds * 1000}})
    wait_for(lambda: one.outcome(id, wait="0s")["state"] == "running")
    return id


# ---- memory ----

def test_500_streams(serve):
    """Followers of jobs that wait and of one that runs, half of them as SSE: all get all of it, and memory is given back."""
    one = serve(*QUIET, "--set", "engine.slots=2", "--set", "engine.warm_slots=2")
    skip_if_sanitized(one)
    one.run("echo warm", language="bash")
    busy = blocker(one)
    talker = one.job("while :; do echo line $((++i)); /bin/sleep 0.2; done", language="bash", priority=10,
                     request={"limits": {"wall_ms": 600000}})  # until all follow, however long that takes
    waiting = batch(one, 9)
    before = resident(one)
    streams = []
    for i in range(STREAMS):
        id = talker if i % 10 == 0 else waiting[i % 10 - 1]
        streams.append(raw(one, "GET", f"/v1/jobs/{id}/events", Accept="text/event-stream" if i % 2 else "application/x-ndjson"))
    wait_for(lambda: one.get("/v1/status").json["followers"] == STREAMS)
    during = resident(one)
    assert one.get("/healthz").status == 200 and during < MEMORY_MAX, (before, during)
    time.sleep(1)  # some lines that all see live
    assert one.ask("DELETE", f"/v1/jobs/{talker}").status == 200
    said = one.outcome(talker)["outcome"]["stdout"].encode().splitlines()
    assert len(said) >= 5
    came = read_all(streams, lambda data: data.endswith(b"0\r\n\r\n"), 60)
    for i, data in enumerate(map(dechunked, came)):
        assert b" 200 " in data.split(b"\r\n")[0] and data.count(b'"type":"end"') == 1, data[:300]
        assert (b"\ndata: {" in data) == bool(i % 2)
        assert data.count(b'"type":"stdout"') >= 1, data[:2000]
        assert i % 10 or all(line + b"\\n" in data for line in said), data[:2000]  # several may be one event
    for stream in streams:
        stream.close()
    wait_for(lambda: one.get("/v1/status").json["followers"] == 0)
    wait_for(lambda: resident(one) < before + 20 * MB)
    assert one.ask("DELETE", f"/v1/jobs/{busy}").status == 200
    assert one.stop() == 0


def cancel_all(one, ids):
    """By many connections that are kept."""
    def cancel(some):
        connection = one.connection()
        for id in some:
            connection.request("DELETE", f"/v1/jobs/{id}", headers=one.headers())
            answer = connection.getresponse()
            assert json.loads(answer.read())["status"] == "cancelled"
        connection.close()
        return len(some)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(cancel, [ids[i::8] for i in range(8)])) == len(ids)


def test_10000_queued_jobs(serve):
    """They are held in little memory, survive a restart, give way to no more, and what they took comes back."""
    one = serve(*QUIET, "--set", "engine.slots=1", "--set", "engine.warm_slots=1", "--set", "quotas.queued_jobs=0", "--set",
                f"queue.max_jobs={QUEUED}")
    skip_if_sanitized(one)
    busy = blocker(one)
    before = resident(one)
    ids = batch(one, QUEUED)
    assert len(set(ids)) == QUEUED
    during = resident(one)
    assert during < MEMORY_MAX and during < before + 45 * MB, (before, during)
    assert one.get("/v1/status").json["jobs_waiting"] == QUEUED
    full = one.post("/v1/jobs", {"request": request("echo")})
    assert full.status == 503 and int(full.headers["Retry-After"]) >= 1 and full.json["type"].endswith(":busy"), full
    full = one.post("/v1/jobs", {"jobs": [{"request": request("echo")}] * 2})
    assert full.status == 503 and int(full.headers["Retry-After"]) >= 1, full
    one.process.kill()
    one.process.wait()
    again = serve(*QUIET, "--set", "engine.slots=1", "--set", "engine.warm_slots=1", "--set", "quotas.queued_jobs=0",
                  folder=one.folder)
    again.key = one.key
    assert resident(again) < MEMORY_MAX
    wait_for(lambda: again.outcome(busy, wait="0s")["state"] == "running")
    assert again.get("/v1/status").json["jobs_waiting"] == QUEUED
    cancel_all(again, ids)
    assert again.get("/v1/status").json["jobs_waiting"] == 0
    wait_for(lambda: resident(again) < before + 60 * MB)
    again.ask("DELETE", f"/v1/jobs/{busy}")
    assert again.stop() == 0


def test_a_tenant_has_a_quota(serve):
    one = serve(*QUIET, "--set", "engine.slots=1", "--set", "quotas.queued_jobs=5", "--set", "queue.max_runs=2")
    busy = blocker(one)
    for i in range(5):
        one.job("echo", language="bash")
    full = one.post("/v1/jobs", {"request": request("echo")})
    assert full.status == 429 and int(full.headers["Retry-After"]) >= 1 and full.json["type"].endswith(":quota-exceeded"), full
    streams = [raw(one, "POST", "/v1/runs", json.dumps(request("echo")).encode()) for _ in range(2)]
    wait_for(lambda: one.get("/v1/status").json["runs_waiting"] == 2)
    full = one.run("echo", language="bash")
    assert full.status == 503 and int(full.headers["Retry-After"]) >= 1, full
    one.ask("DELETE", f"/v1/jobs/{busy}")
    for data in read_all(streams, lambda data: data.endswith(b"}"), 60):
        assert data.startswith(b"HTTP/1.1 200 "), data[:300]


# ---- fairness ----

def test_two_tenants_share(serve):
    """One has queued four times as much, and first: while both have some, they get about the same."""
    one = serve(*QUIET, "--set", "engine.slots=2")
    other = one.new_key("--tenant", "other")
    wait_for(lambda: one.get("/v1/jobs", key=other).status == 200)
    busy = [blocker(one), blocker(one)]
    many, few = batch(one, 200), batch(one, 50, key=other)
    for id in busy:
        one.ask("DELETE", f"/v1/jobs/{id}")
    one.outcome(few[-1], key=other)
    one.outcome(many[-1])
    done = []
    for ids, key, name in ((many, True, "many"), (few, other, "few")):
        def of_this():
            return [job for job in one.get("/v1/jobs?limit=1000", key=key).json["jobs"] if job["id"] in ids]
        wait_for(lambda: all(job["state"] == "done" for job in of_this()))  # the last to start is not the last to end
        done += [(job["finished_at"], name) for job in of_this()]
    assert len(done) == 250
    shares = collections.Counter(name for _, name in sorted(done)[:80])
    assert 0.5 <= shares["few"] / shares["many"] <= 2, shares


def test_two_tenants_share_runs(serve):
    """The same of runs: 16 clients of one beside 8 of the other."""
    one = serve(*QUIET, "--set", "engine.slots=2")
    other = one.new_key("--tenant", "other")
    wait_for(lambda: one.get("/v1/jobs", key=other).status == 200)
    done, stop, wrong = collections.Counter(), threading.Event(), []

    def client(key, name):
        while not stop.is_set():
            answer = one.post("/v1/runs", request("/bin/sleep 0.02; echo $((6 * 7))"), key=key)
            done[name] += 1
            if answer.status != 200 or answer.json["stdout"] != "42\n":
                wrong.append(answer)
                return

    threads = [threading.Thread(target=client, args=words) for words in [(True, "many")] * 16 + [(other, "few")] * 8]
    for thread in threads:
        thread.start()
    time.sleep(4)
    stop.set()
    for thread in threads:
        thread.join(60)
    assert wrong == [] and done["few"] > 10, (wrong[:2], done)
    assert 0.5 <= done["few"] / done["many"] <= 2, done


# ---- clients as they are ----

@pytest.mark.parametrize("form", ["application/x-ndjson", "text/event-stream"])
def test_a_slow_reader_slows_its_program(serve, form):
    """Nothing is kept for a reader that does not read: the program waits. When it reads again it gets everything."""
    one = serve(*QUIET)
    skip_if_sanitized(one)
    one.run("echo warm", language="bash")
    before, size = resident(one), 48 * MB
    body = json.dumps(request(f"/usr/bin/yes 0123456789abcde | /usr/bin/head -c {size}",
                              limits={"output_bytes": 60 * MB, "wall_ms": 600000})).encode()
    stream = raw(one, "POST", "/v1/runs", body, receive_buffer=65536, Accept=form)
    time.sleep(2)
    assert one.running() == 1, "it waits for its reader"
    during = resident(one)
    assert during < before + 24 * MB, (before, during)
    time.sleep(0.5)
    assert resident(one) < during + 4 * MB
    (came,) = read_all([stream], lambda data: data.endswith(b"0\r\n\r\n"), 120)
    assert came.count(b"0123456789abcde") >= size // 16 - 1000  # some stand across two events or chunks
    assert came.count(b'"type":"end"') == 1 and b'"status":"ok"' in came[-200 * 1024:] or b'"status":"ok"' in came
    wait_for(lambda: one.running() == 0)
    wait_for(lambda: resident(one) < before + 60 * MB)


def test_64_clients_get_their_own(serve):
    one = serve(*QUIET)

    def client(number):
        wrong, connection = [], one.connection()
        for turn in range(4):
            word = f"{number}-{turn}-{uuid.uuid4()}"
            language, code = [("bash", "read -r line; echo $1 $line"),
                              ("python", "import sys\nprint(sys.argv[1], input())")][number % 8 == turn]
            body = json.dumps({"language": language, "code": code, "args": [word], "stdin": word + "\n"})
            connection.request("POST", "/v1/runs", body, one.headers(Content_Type="application/json"))
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200 or json.loads(text)["stdout"] != f"{word} {word}\n":
                wrong.append((word, answer.status, text[:500]))
        connection.close()
        return wrong

    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        assert [wrong for wrong in pool.map(client, range(64)) if wrong] == []
    wait_for(lambda: one.running() == 0)
    assert one.get("/v1/status").json["runs_waiting"] == 0


def test_clients_that_leave(serve):
    """Some whose program runs, some whose run waits, some that stream, some in the middle of their body."""
    one = serve(*QUIET, "--set", "engine.slots=4")
    marker = f"leaver-{uuid.uuid4()}"
    body = json.dumps(request("/bin/sleep 600 & /bin/sleep 600; echo", args=[marker], limits={"wall_ms": 600000})).encode()
    streams = [raw(one, "POST", "/v1/runs", body, **({"Accept": "text/event-stream"} if i % 2 else {})) for i in range(24)]
    wait_for(lambda: one.running() == 4)
    wait_for(lambda: len(processes_with(marker)) >= 4)
    for _ in range(8):
        half = raw(one, "POST", "/v1/runs", body[:20], **{"X-Length": "0"})
        half.close()
    for i, stream in enumerate(streams):
        if i % 3 == 0:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset, not a goodbye
        stream.close()
    wait_for(lambda: not processes_with(marker))
    wait_for(lambda: one.running() == 0)
    status = one.get("/v1/status").json
    assert status["runs_waiting"] == 0 and status["tenants"] == [], status
    assert one.run("echo after", language="bash").json["stdout"] == "after\n"
    assert one.stop() == 0
