# SPDX-License-Identifier: Apache-2.0
"""The real retortd of one build, over the network, as a client sees it. RETORT_BUILD names the build folder."""
import base64
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time

import pytest

# Whoever started us in the background may have had Ctrl-C ignored, and all that we start would ignore it too.
signal.signal(signal.SIGINT, signal.default_int_handler)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # leftovers.py
ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("RETORT_BUILD", ROOT / "build")).resolve()
BIN = BUILD / "src" / "bin"
RUNTIMES = next((d for d in (BUILD / "runtimes", ROOT / "runtimes") if d.is_dir()), ROOT / "runtimes")
LONGEST_S = 60
# A program that would outlast every wait of these tests, so that none passes because it ended by itself.
ENDLESS = "import time\nprint('begun', flush=True)\ntime.sleep(600)"
ENDLESS_LIMITS = {"limits": {"wall_ms": 600000}}
SANITIZED = b"__asan_init" in (BIN / "retortd").read_bytes()


def environment(home, **extra):
    env = {k: v for k, v in os.environ.items()
           if not k.startswith(("RETORT_", "LISTEN_", "XDG_")) and k not in ("NOTIFY_SOCKET", "STATE_DIRECTORY")}
    env.update(RETORT_RUNTIMES=str(RUNTIMES), RETORT_LIBEXEC=str(BIN), HOME=str(home))
    env.update(extra)
    return env


def run_retort(home, *words, env=None, **options):
    return subprocess.run([str(BIN / "retort"), *map(str, words)], env=environment(home, **(env or {})), text=True,
                          capture_output=True, timeout=LONGEST_S, **options)


def wait_for(what, seconds=LONGEST_S):
    """Until it is true; the time is for a busy machine, only a failure takes it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = what()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s")


def check_sanitizers(server):
    assert not any(words in server.errors for words in ("Sanitizer", "runtime error:")), server.errors


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def lines(self):
        return [json.loads(line) for line in self.body.splitlines() if line]

    def __repr__(self):
        return f"{self.status} {dict(self.headers)} {self.body[:500]!r}"


class Server:
    """One retortd in a directory of its own; ended by stop()."""

    def __init__(self, folder, *words, config=None, env=None, wait=True, listen="127.0.0.1:0", tls=False, **popen):
        self.folder, self.tls = pathlib.Path(folder), tls
        self.log = self.folder / "log"
        more = []
        if config is not None:
            (self.folder / "retort.yaml").write_text(config)
            more += ["--config", str(self.folder / "retort.yaml")]
        if listen:
            more += ["--listen", listen]
        more += ["--set", f"store.path={self.folder}/retort.db", "--set", "jobs.callback_private=true", "--set", "limits.wall=20m"]
        self.words = [str(BIN / "retort"), "serve", *more, *map(str, words)]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.words, env=environment(self.folder, **(env or {})), stdout=subprocess.PIPE,
                                            stderr=log, stdin=subprocess.DEVNULL, **popen)
        self.said, self.key, self.port = "", None, 0
        if wait:
            self.wait()

    def wait(self):
        self.said = self.process.stdout.readline().decode()
        assert self.said, self.errors
        port = re.search(r":(\d+)$", self.said.strip())
        self.port = int(port.group(1)) if port else 0
        self.key = next(iter(re.findall(r"rt_[0-9a-f]{64}", self.errors)), None)

    @property
    def errors(self):
        return self.log.read_text()

    def connection(self, timeout=LONGEST_S):
        if self.tls:
            trusting = ssl.create_default_context(cafile=str(self.folder / "cert.pem"))
            return http.client.HTTPSConnection("localhost", self.port, timeout=timeout, context=trusting)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def headers(self, key=True, **more):
        key = self.key if key is True else key
        headers = {name.replace("_", "-"): value for name, value in more.items()}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        return headers

    def start(self, method, path, body=None, key=True, **headers):
        """A request whose answer is read by the caller: (connection, response)."""
        connection = self.connection()
        headers = self.headers(key, **headers)
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        connection.request(method, path, body=body, headers=headers)
        return connection, connection.getresponse()

    def ask(self, method, path, body=None, key=True, **headers):
        connection, response = self.start(method, path, body, key, **headers)
        answer = Answer(response.status, response.headers, response.read())
        connection.close()
        return answer

    def get(self, path, **more):
        return self.ask("GET", path, **more)

    def post(self, path, body, **more):
        return self.ask("POST", path, body, **more)

    def run(self, code, language="python", **fields):
        return self.post("/v1/runs", {"language": language, "code": code, **fields})

    def job(self, code, key=True, language="python", headers=None, request=None, **fields):
        answer = self.post("/v1/jobs", {"request": {"language": language, "code": code, **(request or {})}, **fields}, key=key,
                           **(headers or {}))
        assert answer.status == 202, answer
        return answer.json["id"]

    def outcome(self, job, key=True, wait="30s"):
        answer = self.get(f"/v1/jobs/{job}?wait={wait}", key=key)
        assert answer.status == 200, answer
        return answer.json

    def new_key(self, *words):
        done = run_retort(self.folder, "keys", "create", *words, "--set", f"store.path={self.folder}/retort.db")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def ws(self, path, key=True, protocol=None, **headers):
        return WebSocket(self.port, path, self.headers(key, **headers), protocol)

    def context(self, language="toy", key=True, **fields):
        """An open context: the path of its routes."""
        answer = self.post("/v1/contexts", {"language": language, **fields}, key=key)
        assert answer.status == 201, answer
        return answer.headers["Location"]

    def cell(self, context, code, key=True, headers=None, **fields):
        answer = self.post(f"{context}/cells", {"code": code, **fields}, key=key, **(headers or {}))
        assert answer.status == 200, answer
        return answer.json

    def running(self):
        return self.get("/v1/status").json["slots_busy"]

    def rss_bytes(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    def kick(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM, timeout=LONGEST_S):
        if self.process.poll() is None:
            self.kick(number)
        status = self.process.wait(timeout)
        self.process.stdout.close()
        return status


class WebSocket:
    """Enough of RFC 6455 for a client of one connection."""

    def __init__(self, port, path, headers, protocol=None):
        self.stream = socket.create_connection(("127.0.0.1", port), timeout=LONGEST_S)
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket", "Connection: Upgrade",
                 "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode()]
        if protocol:
            lines.append(f"Sec-WebSocket-Protocol: {protocol}")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.stream.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.data = b""
        head = b""
        while b"\r\n\r\n" not in head:
            more = self.stream.recv(4096)
            if not more:
                break
            head += more
        self.head, _, self.data = head.partition(b"\r\n\r\n")
        self.status = int(self.head.split()[1])
        self.code = self.reason = None

    def send(self, data, opcode=None):
        payload = data if isinstance(data, bytes) else (data if isinstance(data, str) else json.dumps(data)).encode()
        opcode = opcode if opcode is not None else 2 if isinstance(data, bytes) else 1
        mask = os.urandom(4)
        size = bytes([0x80 | len(payload)]) if len(payload) < 126 else struct.pack("!BH", 0xfe, len(payload)) \
            if len(payload) < 65536 else struct.pack("!BQ", 0xff, len(payload))
        self.stream.sendall(bytes([0x80 | opcode]) + size + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))

    def _read(self, size):
        while len(self.data) < size:
            more = self.stream.recv(65536)
            if not more:
                raise EOFError
            self.data += more
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def receive(self):
        """The next message as str or bytes; None once closed (then code and reason say why)."""
        while True:
            try:
                first, second = self._read(2)
                size = second & 127
                if size == 126:
                    size = struct.unpack("!H", self._read(2))[0]
                elif size == 127:
                    size = struct.unpack("!Q", self._read(8))[0]
                payload = self._read(size)
            except (EOFError, ConnectionError):
                self.code = self.code or 1006
                return None
            opcode = first & 15
            if opcode == 8:
                self.code = struct.unpack("!H", payload[:2])[0] if payload else 1005
                self.reason = payload[2:].decode()
                try:
                    self.send(payload[:2], 8)
                except OSError:
                    pass
                return None
            if opcode == 9:
                self.send(payload, 10)
            elif opcode in (1, 2):
                return payload.decode() if opcode == 1 else payload

    def rest(self):
        messages = []
        while (message := self.receive()) is not None:
            messages.append(message)
        return messages

    def until(self, wanted):
        """All text up to where wanted has come."""
        text = b""
        wanted = wanted.encode() if isinstance(wanted, str) else wanted
        while wanted not in text:
            message = self.receive()
            assert message is not None, (text, self.code, self.reason)
            text += message.encode() if isinstance(message, str) else message
        return text

    def close(self):
        self.stream.close()


class Hooks:
    """A server for webhooks: keeps what came, and answers with the next of `answers` (then 204)."""

    def __init__(self):
        self.calls, self.answers, self.changed = [], [], threading.Condition()
        hooks = self

        from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with hooks.changed:
                    status = hooks.answers.pop(0) if hooks.answers else 204
                    hooks.calls.append((dict(self.headers), body, time.monotonic()))
                    hooks.changed.notify_all()
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *words):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self, n, seconds=LONGEST_S):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.calls) >= n, seconds), f"{len(self.calls)} calls"
            return self.calls[:n]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def hooks():
    one = Hooks()
    yield one
    one.stop()


@pytest.fixture(scope="session")
def with_toy(tmp_path_factory):
    """The environment of a server that has the toy runtime too, whose runner can be told to do anything."""
    folder = tmp_path_factory.mktemp("with-toy")
    for path in (*folder.parents, folder):
        if path.stat().st_uid == os.geteuid() and len(path.parts) > 2:
            path.chmod(0o755)
    shutil.copytree(RUNTIMES, folder / "runtimes", ignore=shutil.ignore_patterns("*.p"))
    shutil.copytree(ROOT / "tests" / "context" / "runtimes" / "toy", folder / "runtimes" / "toy")
    return {"RETORT_RUNTIMES": str(folder / "runtimes")}


@pytest.fixture(scope="session")
def holder(tmp_path_factory, with_toy):
    """One server for all tests of contexts that leave nothing behind."""
    one = Server(tmp_path_factory.mktemp("holder"), "--set", "quotas.requests_per_minute=0", "--set", "quotas.contexts=0", env=with_toy)
    yield one
    assert one.stop() == 0
    check_sanitizers(one)


@pytest.fixture
def serve(tmp_path):
    """Starts servers of the test's own: serve(*words, config=..., ...)."""
    servers = []

    def start(*words, **options):
        folder = options.pop("folder", None) or pathlib.Path(tempfile.mkdtemp(dir=tmp_path))
        servers.append(Server(folder, *words, **options))
        return servers[-1]

    yield start
    for one in servers:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()
        check_sanitizers(one)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One server for all tests that leave nothing behind."""
    one = Server(tmp_path_factory.mktemp("server"), "--set", "quotas.requests_per_minute=0")
    yield one
    assert one.stop() == 0
    check_sanitizers(one)
