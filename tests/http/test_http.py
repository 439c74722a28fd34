# SPDX-License-Identifier: Apache-2.0
"""src/http from outside: raw sockets against tests/http/test-http.c. What each of libmicrohttpd's pitfalls would do is
tried, and what bad clients do."""
import base64, concurrent.futures, contextlib, hashlib, http.client, json, os, pathlib, re, select, signal, socket, ssl
import statistics, struct, subprocess, threading, time

import pytest

BUILD = pathlib.Path(os.environ.get("RETORT_BUILD", pathlib.Path(__file__).parents[2] / "build"))
PROGRAM = BUILD / "tests" / "http" / "test-http"
SLOW = 3 if "asan" in BUILD.name or "tsan" in BUILD.name else 1


class Server:
    def __init__(self, *settings, **options):
        self.process = subprocess.Popen([PROGRAM, *settings], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, **options)
        first = self.process.stdout.readline().split()
        assert first and first[0] == "port", (first, self.process.stderr.read())
        self.port = int(first[1])
        self.tls = None

    def connect(self, timeout=30, buffer=None):
        sock = socket.socket()
        if buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.settimeout(timeout)
        sock.connect(("127.0.0.1", self.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.tls.wrap_socket(sock, server_hostname="localhost") if self.tls else sock

    def order(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def stats(self):
        return json.loads(self.ask("GET /stats HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").body)

    def wait_for(self, condition, seconds=30):
        end = time.time() + seconds
        while not condition(now := self.stats()):
            assert time.time() < end, now
            time.sleep(0.02)
        return now

    def stands_still(self, name):
        """The counts, once this one did not change for a while; a busy machine may take its time to get there."""
        now, end = self.stats(), time.time() + 30
        while True:
            assert time.time() < end, now
            before = now
            time.sleep(0.5)
            now = self.stats()
            if now[name] == before[name]:
                return now

    def ask(self, text, **options):
        with self.connect(**options) as sock:
            sock.sendall(text.encode("latin-1") if isinstance(text, str) else text)
            return Answer(sock)

    def close(self, deadline=100):
        """Ends it, and demands that nothing was left behind. How many milliseconds it took, and the last line."""
        if self.process.poll() is None:
            with contextlib.suppress(BrokenPipeError):
                self.order(f"close {deadline}")
        out, err = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, (self.process.returncode, out, err)
        assert err == "", err
        took = int(re.search(r"^closed (\d+)", out, re.M)[1])
        left = dict(pair.split("=") for pair in re.search(r"^left (.*)", out, re.M)[1].split())
        assert (left["fds"], left["streams"], left["sockets"], left["gone_without_data"]) == ("0", "0", "0", "0"), left
        return took, left


class Answer:
    """One answer read from a socket; rest is what came behind it."""

    def __init__(self, sock, rest=b"", head_only=False):
        data = rest
        while b"\r\n\r\n" not in data:
            more = sock.recv(65536)
            if not more:
                raise ConnectionError(f"ended in the head: {data!r}")
            data += more
        head, data = data.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1])
        self.pairs = [tuple(line.split(": ", 1)) for line in lines[1:]]
        self.headers = {name.lower(): value for name, value in self.pairs}
        if head_only or self.status in (101, 204, 304):
            self.body, self.rest = b"", data
        elif self.headers.get("transfer-encoding") == "chunked":
            self._chunked(sock, data)
        else:
            size = int(self.headers["content-length"]) if "content-length" in self.headers else None
            while size is None or len(data) < size:
                more = sock.recv(65536)
                if not more:
                    assert size is None, "cut short"
                    break
                data += more
            self.body, self.rest = (data, b"") if size is None else (data[:size], data[size:])

    def _chunked(self, sock, data):
        body = b""
        while True:
            while b"\r\n" not in data:
                data += self._more(sock)
            line, data = data.split(b"\r\n", 1)
            size = int(line, 16)
            while len(data) < size + 2:
                data += self._more(sock)
            body += data[:size]
            data = data[size + 2:]
            if size == 0:
                self.body, self.rest = body, data
                return

    @staticmethod
    def _more(sock):
        more = sock.recv(65536)
        if not more:
            raise ConnectionError("ended in a chunk")
        return more

    def problem(self):
        assert self.headers["content-type"] == "application/problem+json"
        document = json.loads(self.body)
        assert set(document) == {"type", "title", "status", "detail"} and document["status"] == self.status
        return document["detail"]


class Peer:
    """A WebSocket client that does as it is told."""

    def __init__(self, server, path="/ws", extra=b"", **options):
        self.sock = server.connect(**options)
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall(upgrade(path, key).encode() + extra)
        self.answer = Answer(self.sock)
        self.data = self.answer.rest
        assert self.answer.status == 101, self.answer.body
        accept = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        assert self.answer.headers["sec-websocket-accept"] == base64.b64encode(accept).decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, opcode, payload=b"", **how):
        self.sock.sendall(frame(opcode, payload, **how))

    def _take(self, n):
        while len(self.data) < n:
            more = self.sock.recv(65536)
            if not more:
                raise EOFError
            self.data += more
        taken, self.data = self.data[:n], self.data[n:]
        return taken

    def recv(self):
        first, second = self._take(2)
        assert first & 0x70 == 0 and second & 0x80 == 0
        size = second & 127
        if size == 126:
            size = struct.unpack(">H", self._take(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self._take(8))[0]
        return first & 15, self._take(size)

    def closed(self):
        """The code of the close frame that comes next."""
        opcode, payload = self.recv()
        while opcode != 8:
            opcode, payload = self.recv()
        return struct.unpack(">H", payload[:2])[0] if payload else None

    def ended(self):
        with contextlib.suppress(ConnectionResetError):
            return self.sock.recv(1) == b""
        return True


def upgrade(path="/ws", key="dGhlIHNhbXBsZSBub25jZQ==", version="13", connection="keep-alive, Upgrade", method="GET",
            to="websocket"):
    return (f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: {to}\r\nConnection: {connection}\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: {version}\r\n\r\n")


def frame(opcode, payload=b"", fin=True, mask=True, rsv=0, size=None):
    size = len(payload) if size is None else size
    head = bytes([(fin << 7) | (rsv << 4) | opcode])
    flag = 0x80 if mask else 0
    if size < 126:
        head += bytes([flag | size])
    elif size < 65536:
        head += bytes([flag | 126]) + struct.pack(">H", size)
    else:
        head += bytes([flag | 127]) + struct.pack(">Q", size)
    if not mask:
        return head + payload
    key = os.urandom(4)
    stream = (key * (len(payload) // 4 + 1))[:len(payload)]
    return head + key + (int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")).to_bytes(len(payload), "big")


def get(path, *headers, host="localhost", version="1.1", method="GET"):
    lines = [f"{method} {path} HTTP/{version}", *([f"Host: {host}"] if host is not None else []), *headers]
    return "\r\n".join(lines) + "\r\n\r\n"


def post(path, body, *headers):
    return get(path, f"Content-Length: {len(body)}", *headers, method="POST") + body


@contextlib.contextmanager
def serving(*settings, listen="127.0.0.1:0", **options):
    server = Server(*([f"listen={listen}"] if listen else []), *settings, **options)
    try:
        yield server
        server.close()
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.communicate()


@pytest.fixture(scope="module")
def shared():
    with serving() as server:
        yield server


# ---- ordinary requests


def test_paths_queries_and_headers_are_decoded(shared):
    answer = shared.ask(get("/a%20b/%c3%a9+c?x=1&q=1%2b+2&q=second", "x-test: yes"))
    assert answer.body.decode() == "GET|/a b/é+c|1+ 2|yes|127.0.0.1|1|0"
    assert shared.ask(get("/?q", "Connection: close")).body.startswith(b"GET|/||")
    assert shared.ask(get("http://localhost/abs?q=1")).body.startswith(b"GET|/abs|1|")
    assert shared.ask(get("*", method="OPTIONS")).body.startswith(b"OPTIONS|*|")


@pytest.mark.parametrize("path, why", [
    ("/a/../b", ". or .."), ("/%2e%2e/etc", ". or .."), ("/a/%2E", ". or .."), ("/a%00b", "control"),
    ("/a%0d%0ab", "control"), ("/a%2fb", "slash"), ("/a%5cb", "slash"), ("/a\\b", "slash"), ("/%zz", "escape"),
    ("/%4", "escape"), ("/%ff", "UTF-8"), ("/?q=%00", "NUL"), ("/?q=%f", "escape"), ("/?%ff=1", "UTF-8"),
    ("nothing", "neither"), ("/a#b", "fragment")])
def test_paths_that_mislead_are_refused(shared, path, why):
    answer = shared.ask(get(path))
    assert answer.status == 400 and why in answer.problem()


def test_bodies_come_back_whole(shared):
    body = "0123456789" * 300_000
    for path in "/echo", "/later":
        answer = shared.ask(post(path, body))
        assert answer.status == 200 and answer.body.decode() == body
    chunks = "".join(f"{n:x}\r\n{'y' * n}\r\n" for n in (1, 200, 70_000)) + "0\r\n\r\n"
    answer = shared.ask(get("/later", "Transfer-Encoding: chunked", method="POST") + chunks)
    assert answer.body == b"y" * 70_201


def test_connections_are_kept_and_requests_may_be_pipelined(shared):
    with shared.connect() as sock:
        sock.sendall((post("/later", "one") + post("/echo", "two") + get("/stream?n=2") + post("/later", "three")).encode())
        rest, bodies = b"", []
        for _ in range(4):
            answer = Answer(sock, rest)
            rest = answer.rest
            bodies.append(answer.body)
        assert bodies == [b"one", b"two", b"xxxxxxxxx\n" * 2, b"three"]
    connection = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=30)
    for i in range(50):
        connection.request("POST", "/later", str(i))
        assert connection.getresponse().read() == str(i).encode()
    connection.close()


def test_http_1_0_ends_with_the_connection(shared):
    answer = shared.ask(get("/stream?n=3", host=None, version="1.0"))
    assert "transfer-encoding" not in answer.headers and answer.body == b"xxxxxxxxx\n" * 3
    assert shared.ask(get("/echo", version="1.0")).status == 200


def test_head_has_no_body(shared):
    with shared.connect() as sock:
        sock.sendall((get("/info", method="HEAD") + get("/stream?n=5", method="HEAD")).encode())
        one = Answer(sock, head_only=True)
        assert int(one.headers["content-length"]) > 0
        two = Answer(sock, one.rest, head_only=True)
        assert (two.status, two.rest, sock.recv(1)) == (200, b"", b""), "MHD would send a last chunk"
    shared.wait_for(lambda s: s["streams"] == 0)


def test_a_second_answer_is_ignored(shared):
    assert shared.ask(get("/twice")).body == b"first"


@pytest.mark.parametrize("value", ["a%0d%0aSet-Cookie:%20x", "a%0ab", "a%0db", "a%01b", "a%7f"])
def test_headers_of_answers_cannot_be_injected(shared, value):
    answer = shared.ask(get(f"/inject?value={value}"))
    assert answer.status == 500 and "x-name" not in answer.headers and "set-cookie" not in answer.headers
    assert "could not be made" in answer.problem()
    assert shared.ask(get("/inject?value=fine")).headers["x-name"] == "fine"


def test_curl_agrees(shared, tmp_path):
    (tmp_path / "body").write_bytes(os.urandom(2_000_000))
    url = f"http://localhost:{shared.port}"
    run = lambda *args: subprocess.run(["/usr/bin/curl", "-sS", "--max-time", "60", *args], capture_output=True, check=True).stdout
    assert run("--data-binary", f"@{tmp_path}/body", f"{url}/later") == (tmp_path / "body").read_bytes()
    assert run("-H", "Transfer-Encoding: chunked", "--data-binary", f"@{tmp_path}/body", f"{url}/echo") == \
        (tmp_path / "body").read_bytes()
    assert run("-H", "Expect: 100-continue", "-d", "abc", f"{url}/echo") == b"abc"
    assert run(f"{url}/stream?n=100&size=1000&delay=1") == (b"x" * 999 + b"\n") * 100


# ---- pitfall 5: heads that two readers understand differently; whom a browser was led to


@pytest.mark.parametrize("headers, status, why", [
    (["Content-Length: 3", "Content-Length: 4"], 400, "more than one Content-Length"),
    (["Content-Length: 3", "Content-Length: 3"], 400, "more than one Content-Length"),
    (["Content-Length: 3", "Transfer-Encoding: chunked"], 400, "both"),
    (["Transfer-Encoding: chunked", "Content-Length: 3"], 400, "both"),
    (["Transfer-Encoding: gzip, chunked"], 501, "only chunked"),
    (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], 501, "only chunked"),
    (["Transfer-Encoding: xchunked"], 501, "only chunked"),
    (["Host: other.example"], 400, "more than one Host"),
    (["X-A : b", "Content-Length: 0"], 400, "character"),
    (["X-A: a\x01b"], 400, "character"),
    (["Origin: http://localhost", "Origin: http://localhost"], 400, "more than one Origin")])
def test_heads_that_can_be_read_in_two_ways_are_refused(shared, headers, status, why):
    before = shared.stats()["heads"]
    answer = shared.ask(get("/echo", *headers, method="POST") + "abc")
    assert answer.status == status and why in answer.problem()
    assert shared.stats()["heads"] == before + 1, "only the question for the counts came through"


@pytest.mark.parametrize("text", [
    "GET /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    "GET /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1x\r\n\r\nab",
    "GET /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "GET /echo HTTP/9.1\r\nHost: localhost\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",
    "GET\r\n\r\n"])
def test_rubbish_is_not_answered_with_success(shared, text):
    try:
        assert shared.ask(text).status >= 400
    except ConnectionError:
        pass
    assert shared.ask(get("/echo")).status == 200


def test_a_nul_ends_the_target_and_hides_nothing(shared):
    answer = shared.ask("GET /a\x00b HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert answer.status >= 400 or answer.body.startswith(b"GET|/a|")


def test_transfer_encoding_does_not_go_with_http_1_0(shared):
    assert shared.ask(get("/echo", "Transfer-Encoding: chunked", method="POST", version="1.0") + "0\r\n\r\n").status == 400


def test_http_1_1_needs_a_host(shared):
    assert shared.ask(get("/echo", host=None)).status == 400


@pytest.mark.parametrize("host, status", [
    ("localhost", 200), ("localhost:1", 200), ("LOCALHOST", 200), ("app.localhost", 200), ("localhost.", 200),
    ("127.0.0.1:80", 200), ("127.9.9.9", 200), ("[::1]:8081", 200), ("[0:0::1]", 200), ("listed.example:99", 200),
    ("evil.example", 421), ("localhost.evil.example", 421), ("xlocalhost", 421), ("10.0.0.1", 421), ("127.0.0.1.nip.io", 421),
    ("[::2]", 421), ("2130706433", 421), ("a b", 400), ("localhost:x", 400), ("user@localhost", 400), ("[::1", 400),
    ("localhost/", 400)])
def test_only_our_own_hosts_are_answered(host, status, hosted):
    answer = hosted.ask(get("/echo", host=host))
    assert answer.status == status
    if status != 200:
        answer.problem()


@pytest.fixture(scope="module")
def hosted():
    with serving("host=listed.example", "origin=https://front.example") as server:
        yield server


def test_the_host_of_an_absolute_target_counts(hosted):
    assert hosted.ask(get("http://evil.example/echo")).status == 421
    assert hosted.ask(get("http://localhost/echo", host="evil.example")).status == 200


@pytest.mark.parametrize("origin, status", [
    ("http://localhost:8081", 200), ("https://localhost:8081", 200), ("https://front.example", 200),
    ("http://front.example", 403), ("http://localhost", 403), ("http://localhost:80811", 403), ("null", 403),
    ("http://evil.example", 403), ("localhost:8081", 403), ("", 403)])
def test_foreign_origins_are_refused(hosted, origin, status):
    answer = hosted.ask(get("/echo", f"Origin: {origin}", host="localhost:8081"))
    assert answer.status == status
    if status == 403:
        assert "Origin" in answer.problem()


def test_pages_of_allowed_origins_may_read_answers(hosted):
    mine = ["Origin: https://front.example"]
    answer = hosted.ask(get("/echo", *mine))
    assert answer.status == 200 and answer.headers["access-control-allow-origin"] == "https://front.example"
    assert answer.headers["access-control-allow-credentials"] == "true" and answer.headers["vary"] == "Origin"
    assert hosted.ask(get("/echo", *mine, "Content-Length: 3", "Content-Length: 4")).headers["access-control-allow-origin"]
    for origin in ("https://evil.example", "http://localhost:8081"):  # refused; our own, which needs none
        assert "access-control-allow-origin" not in hosted.ask(get("/echo", f"Origin: {origin}", host="localhost:8081")).headers
    assert "access-control-allow-origin" not in hosted.ask(get("/echo")).headers


def test_preflights_are_answered_without_a_handler(hosted):
    def preflight(origin, *more):
        return hosted.ask(get("/echo", f"Origin: {origin}", *more, method="OPTIONS"))
    before = hosted.stats()["heads"]
    asked = ["Access-Control-Request-Method: PATCH", "Access-Control-Request-Headers: authorization,content-type"]
    answer = preflight("https://front.example", *asked)
    assert answer.status == 204 and answer.headers["access-control-allow-origin"] == "https://front.example"
    assert "PATCH" in answer.headers["access-control-allow-methods"] and "DELETE" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "authorization,content-type"
    refused = preflight("https://evil.example", *asked)
    assert refused.status == 403 and "access-control-allow-origin" not in refused.headers
    assert hosted.stats()["heads"] == before + 1, "only the question for the counts came through"
    assert preflight("https://front.example").status == 200  # an OPTIONS that is no preflight is the handler's


def test_any_origin_may_not_send_credentials():
    with serving("origin=*") as server:
        answer = server.ask(get("/echo", "Origin: http://other.example"))
        assert answer.headers["access-control-allow-origin"] == "*" and "access-control-allow-credentials" not in answer.headers


def test_beyond_loopback_any_host_goes_unless_some_are_listed():
    with serving(listen="0.0.0.0:0") as server:
        assert server.ask(get("/echo", host="any.example")).status == 200
        assert server.ask(get("/echo", "Origin: http://other.example", host="any.example")).status == 403
    with serving("host=listed.example", "origin=*", listen="0.0.0.0:0") as server:
        assert server.ask(get("/echo", host="any.example")).status == 421
        assert server.ask(get("/echo", "Origin: http://other.example", host="listed.example")).status == 200


# ---- limits and deadlines


def test_large_heads_are_refused(shared):
    assert shared.ask(get("/echo", "X-A: " + "a" * 20_000)).status == 200
    for text in get("/echo", "X-A: " + "a" * 40_000), get("/" + "a" * 40_000):
        answer = shared.ask(text)
        assert answer.status == 431 and "larger" in answer.problem()
    assert shared.ask(get("/echo", *["A: b"] * 6000)).status == 431  # MHD's own words, and why: http.h
    with contextlib.suppress(ConnectionError):
        assert shared.ask(get("/echo", "X-A: " + "a" * 3_000_000)).status == 431


def test_bodies_over_the_limit_are_refused_before_they_are_read():
    with serving("body=1000") as server:
        with server.connect() as sock:
            sock.sendall(get("/echo", "Content-Length: 1001", method="POST").encode())
            assert "larger" in Answer(sock).problem()  # and not one byte of it was sent
        with server.connect() as sock:
            sock.sendall(get("/echo", "Content-Length: 1001", "Expect: 100-continue", method="POST").encode())
            assert Answer(sock).status == 413
        with server.connect() as sock:
            sock.sendall(get("/small", "Content-Length: 11", method="POST").encode())
            assert Answer(sock).status == 413
        assert server.ask(get("/huge", "Content-Length: 1001", method="POST")).status == 413
        assert server.ask(post("/echo", "x" * 1000)).status == 200
        assert server.stats()["requests"] == 2


def test_a_client_that_is_still_writing_can_read_why():
    with serving("body=1000") as server:
        for _ in range(20):  # a reset instead of a good-bye would take the answer away, sometimes
            answer = server.ask(post("/echo", "x" * 1_000_000))
            assert answer.status == 413 and "larger" in answer.problem()


def test_bodies_without_a_length_are_counted():
    with serving("body=1000") as server:
        fine = get("/echo", "Transfer-Encoding: chunked", method="POST") + "3e8\r\n" + "x" * 1000 + "\r\n0\r\n\r\n"
        assert server.ask(fine).status == 200
        with server.connect() as sock:
            sock.sendall(get("/echo", "Transfer-Encoding: chunked", method="POST").encode())
            sock.sendall(("300\r\n" + "x" * 0x300 + "\r\n").encode() * 2)
            answer = Answer(sock)  # and the body never ended
            assert answer.status == 413 and "larger" in answer.problem()
            assert sock.recv(1) == b""
        assert server.wait_for(lambda s: s["gone"] == 1)["last_status"] == 413


def test_answers_to_the_head_alone(shared):
    with shared.connect() as sock:
        sock.sendall(get("/early", "Content-Length: 1000000", method="POST").encode())
        answer = Answer(sock)
        assert answer.status == 401 and answer.headers["connection"].lower() == "close"
    with shared.connect() as sock:
        sock.sendall((get("/early") + get("/echo")).encode())
        assert Answer(sock, Answer(sock).rest).status == 200


def test_slow_heads_are_cut():
    with serving("head_ms=400", "idle_ms=60000") as server:
        began = time.time()
        with server.connect() as sock:
            for i in range(40):  # a byte now and then: never idle, never done
                if select.select([sock], [], [], 0.05)[0]:
                    break
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    sock.send(("GET /echo HTTP/1.1\r\nX: " + "a" * 99)[i].encode())
            answer = Answer(sock)
            assert answer.status == 408 and "head" in answer.problem()
        with server.connect() as sock:  # nothing at all
            assert Answer(sock).status == 408
        with server.connect() as sock:  # in a second request
            sock.sendall((get("/echo") + "GET /echo HTTP/1.1\r\n").encode())
            assert Answer(sock, Answer(sock).rest).status == 408
        assert time.time() - began < 30


def test_slow_bodies_are_cut():
    with serving("body_ms=400") as server:
        with server.connect() as sock:
            sock.sendall(get("/echo", "Content-Length: 1000", method="POST").encode())
            for _ in range(60):
                if select.select([sock], [], [], 0.05)[0]:
                    break
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    sock.send(b"x")
            answer = Answer(sock)
            assert answer.status == 408 and "body" in answer.problem()
        stats = server.wait_for(lambda s: s["gone"] == 1)
        assert stats["requests"] == stats["heads"] - 1 and stats["last_status"] == 408


def test_idle_connections_end_quietly_and_busy_ones_do_not():
    with serving("idle_ms=2000", "head_ms=1500", "body_ms=1500") as server:
        with server.connect() as idle, server.connect() as busy:
            idle.sendall(get("/echo").encode())
            assert Answer(idle).status == 200
            busy.sendall(get("/stream?n=2&delay=5000").encode())
            assert idle.recv(100) == b""
            assert Answer(busy).body == b"xxxxxxxxx\n" * 2


# ---- clients that leave: pitfall 1


@pytest.mark.parametrize("leave", ["close", "reset", "half"])
def test_a_client_that_leaves_while_it_waits_is_noticed(shared, leave):
    before = shared.stats()
    sock = shared.connect()
    sock.sendall(post("/never", "abc").encode())
    shared.wait_for(lambda s: s["requests"] > before["requests"] + 1)
    began = time.time()
    if leave == "reset":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if leave == "half":
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""
    sock.close()
    shared.wait_for(lambda s: s["gone"] == before["gone"] + 1)
    assert time.time() - began < 30, "noticed, and not timed out"


def test_a_client_that_leaves_a_silent_stream_is_noticed(shared):
    before = shared.stats()
    sock = shared.connect()
    sock.sendall(get("/stream?n=2&delay=5000").encode())
    sock.recv(1000)
    sock.close()
    shared.wait_for(lambda s: s["gone"] == before["gone"] + 1, seconds=4)
    after = shared.wait_for(lambda s: s["streams"] == 0)
    assert after["refused_writes"] == before["refused_writes"] + 1


def test_a_client_that_leaves_wakes_a_waiting_writer(shared):
    before = shared.stats()
    sock = shared.connect(buffer=4096)
    sock.sendall(get("/stream?n=1000&size=100000").encode())
    sock.recv(1000)
    shared.wait_for(lambda s: s["streams"] == 1)
    time.sleep(0.2)
    sock.close()
    after = shared.wait_for(lambda s: s["streams"] == 0)
    assert after["gone"] == before["gone"] + 1 and after["refused_writes"] == before["refused_writes"] + 1


def test_a_client_that_leaves_in_its_body(shared):
    before = shared.stats()
    sock = shared.connect()
    sock.sendall(get("/echo", "Content-Length: 1000", method="POST").encode() + b"abc")
    shared.wait_for(lambda s: s["heads"] > before["heads"] + 1)
    sock.close()
    shared.wait_for(lambda s: s["gone"] == before["gone"] + 1)


def test_a_client_that_only_stops_sending_gets_an_answer_that_is_there(shared):
    with shared.connect(buffer=4096) as sock:
        body = "z" * 3_000_000
        sender = threading.Thread(target=lambda: sock.sendall(post("/echo", body).encode()))
        sender.start()
        head = b""
        while b"\r\n\r\n" not in head:  # the answer is there, and far from out: now the sending half closes
            head += sock.recv(64)
        sender.join()
        sock.shutdown(socket.SHUT_WR)
        assert Answer(sock, head).body.decode() == body


# ---- streams


def test_pieces_come_as_they_are_written(shared):
    with shared.connect() as sock:
        began = time.time()
        sock.sendall(get("/stream?n=5&delay=200").encode())
        times, data = [], b""
        while b"0\r\n\r\n" not in data:
            more = sock.recv(65536)
            if b"xxxx" in more:
                times.append(time.time() - began)
            data += more
        assert len(times) > 1 and times[-1] - times[0] > 0.4, times  # 0.8 apart, and a busy machine


def test_a_slow_reader_slows_the_writer(shared):
    before = shared.stats()
    with shared.connect(buffer=65536, timeout=20) as sock:
        sock.sendall(get("/stream?n=1500&size=10000&buffer=20000").encode())
        still = shared.stands_still("sent")
        assert before["sent"] < still["sent"] < before["sent"] + 12_000_000
        assert still["kib"] < before["kib"] + 8000 * SLOW
        assert len(Answer(sock).body) == 15_000_000


def test_a_writer_with_a_deadline_gives_up(shared):
    before = shared.stats()["refused_writes"]
    with shared.connect(buffer=4096) as sock:
        sock.sendall(get("/stream?n=3000&size=100000&buffer=20000&timeout=200").encode())
        shared.wait_for(lambda s: s["refused_writes"] == before + 1)


def test_200_streams_at_once():
    with serving("threads=2") as server:
        socks = [server.connect(timeout=30) for _ in range(200)]
        for sock in socks:
            sock.sendall(get("/stream?n=20&delay=200&size=100").encode())
        server.wait_for(lambda s: s["streams"] > 150)
        for sock in socks:
            assert Answer(sock).body == (b"x" * 99 + b"\n") * 20
            sock.close()
        server.wait_for(lambda s: s["streams"] == 0 and s["gone"] == 0)


def test_half_of_200_streams_are_left(shared):
    socks = [shared.connect(timeout=30) for _ in range(200)]
    before = shared.stats()["gone"]
    for sock in socks:
        sock.sendall(get("/stream?n=40&delay=150&size=100").encode())
    shared.wait_for(lambda s: s["streams"] == 200)
    for sock in socks[::2]:
        sock.close()
    for sock in socks[1::2]:
        assert len(Answer(sock).body) == 4000
        sock.close()
    shared.wait_for(lambda s: s["streams"] == 0 and s["gone"] == before + 100)


def test_descriptors_come_back_and_none_is_inheritable(shared):
    def round_of(n):
        for _ in range(n):
            shared.ask(get("/echo"))
            shared.ask(get("/echo", host="evil.example"))
            with shared.connect() as sock:
                sock.sendall(get("/never").encode())
            with Peer(shared) as peer:
                peer.send(1, b"hello")
                assert peer.recv() == (1, b"hello")
        return shared.wait_for(lambda s: s["sockets"] == s["socket_ends"] and s["streams"] == 0)

    round_of(1)
    first = shared.wait_for(lambda s: s["fds"] <= 16)
    round_of(30)
    shared.wait_for(lambda s: s["fds"] <= first["fds"])
    with Peer(shared), shared.connect() as waiting:
        waiting.sendall(get("/never").encode())
        assert shared.stats()["inheritable"] == 0


def test_connections_are_limited():
    with serving("connections=20") as server:
        socks = [server.connect() for _ in range(20)]
        for sock in socks[:18]:
            sock.sendall(get("/echo").encode())
            assert Answer(sock).status == 200
        for sock in socks:
            sock.close()
        end = time.time() + 30
        while True:  # until it has seen that they are gone
            with contextlib.suppress(ConnectionError):
                assert server.ask(get("/echo")).status == 200
                break
            assert time.time() < end
            time.sleep(0.02)
    with serving("per_ip=3") as server:
        socks = [server.connect() for _ in range(3)]
        with pytest.raises(ConnectionError):
            server.ask(get("/echo"))
        for sock in socks:
            sock.close()


# ---- closing: pitfall 2


def test_closing_with_suspended_requests_and_open_streams():
    server = Server("listen=127.0.0.1:0", "threads=2")
    socks = [server.connect() for _ in range(24)]
    peers = [Peer(server) for _ in range(4)]
    for i, sock in enumerate(socks):
        sock.sendall((get("/never"), get("/stream?n=2&delay=20000"), get("/echo"),
                      get("/stream?n=99999&size=100000"), get("/echo", "Content-Length: 9", method="POST"),
                      "GET /ec")[i % 6].encode())
    server.wait_for(lambda s: s["requests"] > 16)
    time.sleep(0.2)
    # a writer that sleeps keeps its stream till it wakes: end it with the process, not by waiting 20 s
    server.order("close 300")
    line = server.process.stdout.readline().split()
    assert line[0] == "closed" and 250 <= int(line[1]) < 15000, line
    for peer in peers:
        assert peer.closed() == 1001
    server.process.kill()
    server.process.communicate()


def test_closing_lets_what_is_under_way_finish():
    server = Server("listen=127.0.0.1:0")
    with server.connect() as sock, server.connect() as kept:
        kept.sendall(get("/echo").encode())
        assert Answer(kept).status == 200
        sock.sendall(get("/stream?n=5&delay=100").encode())
        server.wait_for(lambda s: s["streams"] == 1)
        server.order("close 20000")
        assert Answer(sock).body == b"xxxxxxxxx\n" * 5
        took, left = server.close()
        assert took < 15000 and left["gone"] == "0"


def test_quiescing_takes_nobody_new_and_keeps_who_is_there():
    with serving() as server:
        with server.connect() as kept, server.connect() as stream:
            kept.sendall(get("/echo").encode())
            assert Answer(kept).status == 200
            stream.sendall(get("/stream?n=3&delay=200").encode())
            server.wait_for(lambda s: s["streams"] == 1)
            server.order("quiesce")
            assert server.process.stdout.readline() == "quiesced\n"
            with pytest.raises(OSError):
                server.ask(get("/echo"))
            kept.sendall(get("/echo").encode())
            last = Answer(kept)
            assert last.status == 200 and last.headers["connection"].lower() == "close"
            assert Answer(stream).body == b"xxxxxxxxx\n" * 3


def test_close_while_clients_come_and_go():
    for _ in range(5):
        server = Server("listen=127.0.0.1:0", "threads=2")
        stop = threading.Event()

        def bother():
            while not stop.is_set():
                with contextlib.suppress(OSError, AssertionError, EOFError, ValueError):
                    server.ask(get("/stream?n=3&delay=1"), timeout=1)
                    server.ask(post("/later", "x"), timeout=1)
                    with Peer(server, timeout=1) as peer:
                        peer.send(1, b"x")

        threads = [threading.Thread(target=bother, daemon=True) for _ in range(6)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        try:
            server.close(20)
        finally:
            stop.set()
        for thread in threads:
            thread.join()


# ---- where it listens


def test_unix_sockets_ipv6_and_several_listeners(tmp_path):
    path = str(tmp_path / "s")
    with serving(f"listen=unix:{path}", "listen=[::1]:0") as server:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(5)
            sock.connect(path)
            sock.sendall(get("/info", host="whatever").encode())
            assert Answer(sock).body == b"GET|/info|(none)|(none)|unix|1|0"
            sock.sendall(get("/never").encode())
            time.sleep(0.1)  # MHD drops a request whose client hung up before it was read
        server.wait_for(lambda s: s["gone"] == 1)
        assert server.ask(get("/info")).status == 200
    assert not os.path.exists(path)
    with serving(listen="[::1]:0") as server, socket.create_connection(("::1", server.port), timeout=5) as sock:
        sock.sendall(get("/info", host=f"[::1]:{server.port}").encode())
        assert Answer(sock).body == b"GET|/info|(none)|(none)|::1|1|0"


def test_a_stale_unix_socket_is_replaced_and_one_in_use_is_not(tmp_path):
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(path)
    with serving(f"listen=unix:{path}"):
        second = subprocess.run([PROGRAM, f"listen=unix:{path}"], capture_output=True, text=True, timeout=60)
        assert second.stdout.startswith("failed 0 ") and "cannot listen on unix:" in second.stdout
        assert os.path.exists(path)


def test_inherited_sockets_stay_open_for_the_next_server():
    with socket.socket() as ours:
        ours.bind(("127.0.0.1", 0))
        ours.listen()
        for _ in range(2):
            with serving(f"fd={ours.fileno()}", listen=None, pass_fds=[ours.fileno()]) as server:
                assert server.port == ours.getsockname()[1]
                assert server.ask(get("/echo")).status == 200
        with socket.create_connection(ours.getsockname(), timeout=5):
            pass


@pytest.mark.parametrize("settings, words", [
    (["listen=nonsense"], "cannot listen on"), (["listen=127.0.0.1:99999"], "cannot listen on"), ([], "nothing to listen on"),
    (["listen=127.0.0.1:-1"], "cannot listen on"), (["listen=unix:"], "needs a path"), (["fd=0"], "not a listening socket"),
    (["listen=192.0.2.1:0"], "Cannot assign"), (["listen=unix:/nowhere/at/all"], "No such file")])
def test_what_cannot_be_listened_on_is_said(settings, words):
    done = subprocess.run([PROGRAM, *settings], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 1 and words in done.stdout and done.stdout.startswith("failed 0 "), done.stdout


# ---- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "key", "-out", folder / "cert",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
                   check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def secure(certificate):
    with serving(f"certificate={certificate}/cert", f"key={certificate}/key", "head_ms=3000", "body=100000") as server:
        server.tls = ssl.create_default_context(cafile=certificate / "cert")
        yield server


def test_tls(secure):
    assert secure.ask(post("/later", "secret" * 1000)).body == b"secret" * 1000
    assert secure.ask(get("/stream?n=10&delay=5")).body == b"xxxxxxxxx\n" * 10
    answer = secure.ask(get("/echo", "Content-Length: 100001", method="POST"))
    assert answer.status == 413 and answer.problem()


def test_tls_clients_that_leave_or_never_begin(secure):
    sock = secure.connect()
    sock.sendall(get("/never").encode())
    before = secure.stats()["gone"]
    sock.close()
    secure.wait_for(lambda s: s["gone"] == before + 1)
    with socket.create_connection(("127.0.0.1", secure.port), timeout=30) as silent:
        assert silent.recv(1) == b""
    with socket.create_connection(("127.0.0.1", secure.port), timeout=30) as plain:
        plain.sendall(get("/echo").encode())
        with contextlib.suppress(ConnectionError):
            assert b"200 OK" not in plain.recv(1000)


def test_websocket_over_tls(secure):
    before = secure.stats()
    with Peer(secure) as peer:
        took = []
        for i in range(50):
            began = time.time()
            peer.send(2, os.urandom(10) + bytes([i]))
            assert peer.recv()[1][-1] == i
            took.append(time.time() - began)
        assert statistics.median(took) < 0.03, "40 ms each without TCP_NODELAY"
        for size in 50_000, 1_000_000:  # MHD itself would pass them on four bytes at a time: seconds
            began = time.time()
            peer.send(2, b"x" * size)
            assert peer.recv() == (2, b"x" * size)
            assert time.time() - began < 2
        peer.send(8, struct.pack(">H", 1000))
        assert peer.closed() == 1000
    after = secure.wait_for(lambda s: s["socket_ends"] == before["socket_ends"] + 1)
    assert after["last_code"] == 1000
    with Peer(secure) as peer:
        peer.send(1, b"\xff")
        assert peer.closed() == 1007
    secure.wait_for(lambda s: s["socket_ends"] == before["socket_ends"] + 2)
    assert secure.stats()["inheritable"] == 0


def test_websockets_over_tls_and_the_end(certificate):
    """Open ones are told 1001, one in the middle of a flood nobody reads is cut, and nothing is left."""
    server = Server("listen=127.0.0.1:0", f"certificate={certificate}/cert", f"key={certificate}/key", "threads=2")
    server.tls = ssl.create_default_context(cafile=certificate / "cert")
    try:
        peers = [Peer(server, "/ws?protocol=chat.v1") for _ in range(20)]
        flood = Peer(server, "/ws?flood=3000&size=100000&queue=50000", buffer=4096)
        assert peers[0].answer.headers["sec-websocket-protocol"] == "chat.v1"
        for round_ in range(3):
            for i, peer in enumerate(peers):
                peer.send(1, f"{round_} {i}".encode())
            for i, peer in enumerate(peers):
                assert peer.recv() == (1, f"{round_} {i}".encode())
        for peer in peers[:5]:
            peer.sock.close()
        server.wait_for(lambda s: s["socket_ends"] == 5)
        server.order("close 100")
        for peer in peers[5:]:
            assert peer.closed() == 1001
        server.close()
        flood.sock.close()
    finally:
        server.process.kill()
        server.process.communicate()


def test_a_bad_certificate_is_said(tmp_path):
    (tmp_path / "bad").write_text("no certificate")
    done = subprocess.run([PROGRAM, "listen=127.0.0.1:0", f"certificate={tmp_path}/bad", f"key={tmp_path}/bad"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stdout.startswith("failed 0 ") and "cannot start to serve" in done.stdout
    assert "no reason" not in done.stdout


# ---- WebSockets: pitfalls 3 and 4 among them


@pytest.fixture(scope="module", params=["plain", "tls"])
def either(request):
    """The server that speaks plainly, and the one that speaks TLS: their sockets are read and written in ways of their own."""
    return request.getfixturevalue("shared" if request.param == "plain" else "secure")


@pytest.mark.parametrize("text, status", [
    (upgrade(version="12"), 426), (upgrade(version=""), 426), (upgrade(connection="keep-alive"), 426), (upgrade(to="h2c"), 426),
    (upgrade(method="POST"), 426), (upgrade(key="short"), 400), (upgrade(key="!!hlIHNhbXBsZSBub25jZQ=="), 400),
    (upgrade(key="dGhlIHNhbXBsZSBub25jZQAA"), 400), (get("/ws"), 426), (upgrade().replace("HTTP/1.1", "HTTP/1.0"), 426)])
def test_wrong_handshakes_are_refused(either, text, status):
    before = either.stats()["sockets"]
    answer = either.ask(text)
    assert answer.status == status and answer.problem()
    if status == 426:
        assert answer.headers["sec-websocket-version"] == "13"
    assert either.stats()["sockets"] == before


def test_foreign_origins_open_no_socket(either):
    assert either.ask(upgrade().replace("Upgrade:", "Origin: http://evil.example\r\nUpgrade:", 1)).status == 403


def test_messages_come_back(either):
    with Peer(either, "/ws?protocol=chat.v1") as peer:
        assert peer.answer.headers["sec-websocket-protocol"] == "chat.v1"
        for size in 0, 1, 125, 126, 65535, 65536, 1_000_000:
            peer.send(2, b"x" * size)
            assert peer.recv() == (2, b"x" * size)
        peer.send(1, "é€😀".encode())
        assert peer.recv() == (1, "é€😀".encode())
        peer.send(1, b"one ", fin=False)
        peer.send(9, b"are you there")  # between the fragments
        peer.send(0, b"two ", fin=False)
        peer.send(0, b"three")
        assert [peer.recv(), peer.recv()] == [(10, b"are you there"), (1, b"one two three")]
        peer.send(10, b"unasked")
        peer.send(1, b"still here")
        assert peer.recv() == (1, b"still here")


def test_messages_behind_the_handshake_and_byte_by_byte(shared):
    with Peer(shared, extra=frame(1, b"early") + frame(1, b"bird")) as peer:
        assert [peer.recv(), peer.recv()] == [(1, b"early"), (1, b"bird")]
        for byte in frame(1, "é".encode() * 100):
            peer.sock.sendall(bytes([byte]))
        assert peer.recv() == (1, "é".encode() * 100)


def test_small_messages_are_not_held_back(either):
    with Peer(either) as peer:
        took = []
        for _ in range(100):
            began = time.time()
            peer.send(1, b"ping")
            peer.recv()
            took.append(time.time() - began)
        assert statistics.median(took) < 0.03, "40 ms each without TCP_NODELAY"


@pytest.mark.parametrize("data, code", [
    (frame(1, b"x", mask=False), 1002), (frame(1, b"x", rsv=4), 1002), (frame(1, b"x", rsv=1), 1002), (frame(3, b"x"), 1002),
    (frame(11, b"x"), 1002), (frame(15, b"x"), 1002), (frame(0, b"x"), 1002), (frame(1, b"x", fin=False) + frame(1, b"x"), 1002),
    (frame(9, b"x", fin=False), 1002), (frame(9, b"x" * 126), 1002), (frame(8, b"x"), 1002), (frame(8, struct.pack(">H", 999)), 1002),
    (frame(8, struct.pack(">H", 1005)), 1002), (frame(8, struct.pack(">H", 1006)), 1002), (frame(8, struct.pack(">H", 5000)), 1002),
    (frame(8, struct.pack(">H", 1000) + b"\xff"), 1007), (frame(1, b"\xff"), 1007), (frame(1, b"\xc3"), 1007),
    (frame(1, b"\xed\xa0\x80"), 1007), (frame(1, b"\xc3", fin=False) + frame(0, b"("), 1007),
    (frame(2, b"x", size=2**62), 1009), (frame(2, b"x", size=1_048_577), 1009), (frame(2, b"", size=2**64 - 1), 1002),
    (frame(2, b"x" * 700_000, fin=False) + frame(0, b"x" * 700_000), 1009),
    (b"\x82\xfe\x00\x01" + bytes(5), 1002), (b"GET / HTTP/1.1\r\n\r\n" * 5, 1002)],
    ids=range(26))
def test_what_breaks_the_rules_ends_the_socket(either, data, code):
    before = either.stats()
    with Peer(either) as peer:
        with contextlib.suppress(ConnectionError):
            peer.sock.sendall(data)
        assert peer.closed() == code
    after = either.wait_for(lambda s: s["socket_ends"] == before["socket_ends"] + 1)
    assert after["last_code"] == code and after["messages"] == before["messages"]


@pytest.mark.parametrize("payload, told", [(struct.pack(">H", 1000) + b"bye", 1000), (struct.pack(">H", 4321), 4321), (b"", 1005)])
def test_the_peer_says_good_bye(either, payload, told):
    before = either.stats()["socket_ends"]
    with Peer(either) as peer:
        peer.send(8, payload)
        began = time.time()
        assert peer.recv() == (8, payload) and peer.ended()
        assert time.time() - began < 4, "the server ends the connection first, and not for its deadline"
    assert either.wait_for(lambda s: s["socket_ends"] == before + 1)["last_code"] == told


def test_we_say_good_bye(either):
    before = either.stats()["socket_ends"]
    with Peer(either) as peer:
        peer.send(1, b"close 4001")
        assert peer.recv() == (8, struct.pack(">H", 4001) + b"as told")
        peer.send(1, b"too late, and not echoed")
        peer.send(8, struct.pack(">H", 4001))
        with pytest.raises(EOFError):
            peer.recv()
    assert either.wait_for(lambda s: s["socket_ends"] == before + 1)["last_code"] == 4001


@pytest.mark.parametrize("reset", [False, True])
def test_a_peer_that_vanishes(either, reset):
    before = either.stats()["socket_ends"]
    with Peer(either) as peer:
        if reset:
            peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert either.wait_for(lambda s: s["socket_ends"] == before + 1)["last_code"] == 1006


def test_pings_find_who_is_not_there(either):
    before = either.stats()["socket_ends"]
    with Peer(either, "/ws?ping=500") as peer:
        for _ in range(3):
            assert peer.recv() == (9, b"")
            peer.send(10)
        assert either.stats()["socket_ends"] == before
        assert [peer.recv(), peer.recv()] == [(9, b"")] * 2
        with pytest.raises(EOFError):
            peer.recv()
    assert either.wait_for(lambda s: s["socket_ends"] == before + 1)["last_code"] == 1006


def test_a_slow_peer_slows_the_sender(either):
    before = either.stats()
    with Peer(either, "/ws?flood=3000&size=10000&queue=50000", buffer=4096, timeout=20) as peer:
        still = either.stands_still("sent")
        assert before["sent"] < still["sent"] < before["sent"] + 15_000_000
        for _ in range(3000):
            assert peer.recv()[0] == 2
        assert peer.recv() == (8, struct.pack(">H", 1000) + b"enough")
    either.wait_for(lambda s: s["streams"] == 0)


def test_a_peer_that_vanishes_wakes_the_sender(either):
    before = either.stats()
    with Peer(either, "/ws?flood=3000&size=100000&queue=50000", buffer=4096):
        time.sleep(0.2)
    after = either.wait_for(lambda s: s["streams"] == 0)
    assert after["refused_writes"] == before["refused_writes"] + 1


def test_a_peer_that_never_reads_does_not_fill_memory(shared):
    before = shared.stats()["kib"]
    with Peer(shared, "/ws?queue=100000", buffer=4096) as peer:
        peer.sock.setblocking(False)
        ping, sent = frame(9, b"p" * 125) * 1000, 0
        end = time.time() + 30
        while sent < 20_000_000 and time.time() < end:
            if select.select([], [peer.sock], [], 1)[1]:
                sent += peer.sock.send(ping)
        assert sent > 10_000_000
        assert shared.stats()["kib"] < before + 8000 * SLOW


def test_100_sockets_at_once():
    with serving("threads=2") as server:
        peers = [Peer(server) for _ in range(100)]
        for round_ in range(5):
            for i, peer in enumerate(peers):
                peer.send(1, f"{round_} {i}".encode())
            for i, peer in enumerate(peers):
                assert peer.recv() == (1, f"{round_} {i}".encode())
        for peer in peers:
            peer.sock.close()
        server.wait_for(lambda s: s["socket_ends"] == 100)
