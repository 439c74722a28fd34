# SPDX-License-Identifier: Apache-2.0
"""A runner on the other end of a socket, as docs/internals/runner-protocol.md has it: started from its runtime.yaml, without a box.

What the page demands of every message is checked here for all of them, so no test can forget it.
"""

import array
import json
import os
import re
import select
import signal
import socket
import subprocess
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("RETORT_BUILD", ROOT / "build")).resolve()
RUNTIMES = BUILD / "runtimes"
MOST = 64 << 20
PATIENCE = 60  # seconds until a runner that says nothing is said to hang

OF = {  # members that must be there: name -> types
    "ready": {"protocol": int, "language": str, "version": str, "features": list},
    "item": {"id": int, "data": dict, "main": bool},
    "error": {"id": int, "name": str, "value": str, "traceback": str},
    "input_request": {"id": int, "prompt": str, "password": bool},
    "done": {"id": int, "status": str, "execution_count": int},
    "completions": {"id": int, "matches": list, "start": int, "end": int},
    "inspection": {"id": int, "found": bool, "data": dict},
    "forked": {"id": int},
}


def argv_of(language, work):
    """The words that start a runner: the placeholders that a runner's argv may have."""
    folder = RUNTIMES / language
    runner = yaml.safe_load((folder / "runtime.yaml").read_text())["runner"]

    def fill(text):
        def one(match):
            kind, _, value = match.group(1).partition(":")
            if kind == "program":
                names = next(names for names in yaml.safe_load((folder / "runtime.yaml").read_text())["toolchain"]["programs"] if names[0] == value)
                return next(path for path in (which(name) for name in names) if path)
            if kind == "file":
                return str(next(folder / name for name in value.split("|") if (folder / name).exists()))
            if kind == "env":
                return ""
            return {"runtimes": str(RUNTIMES), "work": str(work), "tmp": str(work / "tmp"), "memory_mib": "512", "memory_bytes": str(512 << 20), "processes": "256"}[kind]

        return re.sub(r"{([a-z_.]+(?::[^}]*)?)}", one, text.replace("{{", "\0").replace("}}", "\1")).replace("\0", "{").replace("\1", "}")

    env = {name: fill(str(value)) for name, value in runner.get("env", {}).items()}
    return [fill(word) for word in runner["argv"]], env


def which(name):
    if os.path.isabs(name):
        return name if os.access(name, os.X_OK) else None
    # As guests see it: what a user of this machine put in front of it is not there.
    return next((path for path in (f"{folder}/{name}" for folder in ("/usr/local/bin", "/usr/bin", "/bin")) if os.access(path, os.X_OK)), None)


class Cell:
    """What a cell did: its messages in order, what it wrote, and both together as ("out", text) and ("item", message)."""

    def __init__(self):
        self.messages, self.story, self.out, self.err = [], [], b"", b""
        self.done = None

    items = property(lambda self: [m for m in self.messages if m["type"] == "item"])
    error = property(lambda self: next((m for m in self.messages if m["type"] == "error"), None))
    main = property(lambda self: next((m["data"] for m in self.items if m["main"]), None))
    status = property(lambda self: self.done["status"])
    text = property(lambda self: self.out.decode())


class Runner:
    def __init__(self, language, work, env=None):
        self.language, self.work = language, Path(work)
        (self.work / "tmp").mkdir(exist_ok=True)
        argv, own = argv_of(language, self.work)
        ours, theirs = socket.socketpair()
        out, err = os.pipe(), os.pipe()
        environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(work), "TMPDIR": str(self.work / "tmp"), "LANG": "C.UTF-8", "USER": "guest", **own, **(env or {})}

        def place():  # between fork and exec: 3 is the protocol
            for fd, to in ((os.open("/dev/null", os.O_RDONLY), 0), (out[1], 1), (err[1], 2)):
                os.dup2(fd, to)
            os.dup2(theirs.fileno(), 3)

        self.process = subprocess.Popen(argv, cwd=work, env=environ, preexec_fn=place, pass_fds=(3,), start_new_session=True)
        for fd in (out[1], err[1]):
            os.close(fd)
        theirs.close()
        self._begin(ours, out[0], err[0], self.process.pid)

    def _begin(self, protocol, out, err, pid):
        self.protocol, self.fds, self.pid = protocol, {out: "out", err: "err"}, pid
        for fd in self.fds:
            os.set_blocking(fd, False)
        self.bytes, self.next_id, self.ended = b"", 0, False
        self.mark, self.tail, self.marks = b"", b"", 0  # marks: those that were written and whose items have not come
        self.ready = self.receive(Cell())
        assert self.ready["type"] == "ready" and self.ready["protocol"] == 1
        self.mark = self.ready.get("mark", "").encode()
        assert not self.mark or 8 <= len(self.mark) <= 64

    def has(self, feature):
        return feature in self.ready["features"]

    # ---- frames ----

    def send(self, message, fds=()):
        body = json.dumps(message).encode()
        frame = len(body).to_bytes(4, "big") + body
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        sent = self.protocol.sendmsg([frame], rights)
        if sent < len(frame):
            self.protocol.sendall(frame[sent:])

    def _frame(self):
        if len(self.bytes) < 4:
            return None
        size = int.from_bytes(self.bytes[:4], "big")
        assert 0 < size <= MOST
        if len(self.bytes) < 4 + size:
            return None
        body, self.bytes = self.bytes[4 : 4 + size], self.bytes[4 + size :]
        message = json.loads(body.decode("utf-8"), parse_constant=lambda text: pytest_fail(f"{text} is not JSON"))
        for name, kind in OF[message["type"]].items():
            assert type(message[name]) is kind, (name, message)
        return message

    def _drain(self, cell):
        for fd, stream in list(self.fds.items()):
            while True:
                try:
                    data = os.read(fd, 65536)
                except BlockingIOError:
                    break
                if not data:
                    del self.fds[fd]
                    os.close(fd)
                    break
                if stream == "out" and self.mark:
                    self.tail += data
                    self._pass(cell)
                else:
                    self._print(cell, stream, data)

    @staticmethod
    def _print(cell, stream, data):
        setattr(cell, stream, getattr(cell, stream) + data)
        if cell.story and cell.story[-1][0] == stream:
            data = cell.story.pop()[1] + data
        if data:
            cell.story.append((stream, data))

    def _pass(self, cell):
        """Output up to a mark whose item has not come."""
        while self.marks <= 0 and self.tail:
            before, mark, after = self.tail.partition(self.mark)
            if not mark:
                begun = next((n for n in range(min(len(before), len(self.mark) - 1), 0, -1) if before.endswith(self.mark[:n])), 0)
                before, after = before[: len(before) - begun], before[len(before) - begun :]
            self._print(cell, "out", before)
            self.tail = after
            if not mark:
                return
            self.marks += 1

    def receive(self, cell, patience=PATIENCE):
        """The next message; what was written before it goes to the cell. None: the runner has ended."""
        deadline = time.monotonic() + patience
        if self.mark:
            self._pass(cell)
        while (message := self._frame()) is None:
            left = deadline - time.monotonic()
            assert left > 0, f"the {self.language} runner says nothing: {cell.story} {cell.err}"
            if self.ended:
                return None
            readable, _, _ = select.select([self.protocol, *self.fds], [], [], left)
            if self.protocol not in readable:
                self._drain(cell)
                continue
            data = self.protocol.recv(1 << 20)
            self.ended = not data
            self.bytes += data
        self._drain(cell)
        if self.mark:
            if message["type"] == "item":
                assert self.marks == 1 or "out" not in self.fds.values(), "an item without its mark"
                self.marks = 0
            elif message["type"] == "done":  # a mark without an item waits for nothing
                self.marks = 0
                self._pass(cell)
                assert self.marks == 0 and not self.tail, (self.marks, self.tail)
        return message

    # ---- requests ----

    def ask(self, kind, **members):
        self.next_id += 1
        self.send({"type": kind, "id": self.next_id, **members})
        return self.next_id

    def begin(self, code, **members):
        cell = Cell()
        cell.id = self.ask("run", code=code, **members)
        return cell

    def finish(self, cell, inputs=(), patience=PATIENCE):
        inputs = list(inputs)
        while True:
            message = self.receive(cell, patience)
            if message is None:
                return cell
            assert message["id"] == cell.id, message
            cell.messages.append(message)
            cell.story.append((message["type"], message))
            if message["type"] == "input_request":
                self.send({"type": "input", "id": cell.id, **({"text": inputs.pop(0)} if inputs else {"eof": True})})
            if message["type"] == "done":
                cell.done = message
                self._check(cell)
                return cell

    def _check(self, cell):
        kinds = [m["type"] for m in cell.messages]
        mains = [i for i, m in enumerate(cell.items) if m["main"]]
        assert kinds.count("error") == (1 if cell.status in ("error", "interrupted") else 0), cell.messages
        assert len(mains) <= 1 and (not mains or mains[0] == len(cell.items) - 1), cell.items
        assert ("exit_code" in cell.done) == (cell.status == "exit"), cell.done
        for item in cell.items:
            assert item["data"] and all(type(value) is str for mime, value in item["data"].items() if not mime.endswith("json")), item
        if cell.error:
            assert "\x1b" not in cell.error["traceback"], cell.error

    def run(self, code, inputs=(), patience=PATIENCE, **members):
        return self.finish(self.begin(code, **members), inputs, patience)

    def interrupt(self):
        os.kill(self.pid, signal.SIGINT)

    def answer(self, kind, **members):
        cell = Cell()
        number = self.ask(kind, **members)
        message = self.receive(cell)
        assert message["id"] == number
        return message

    def fork(self):
        """A copy, as a Runner of its own."""
        ours, theirs = socket.socketpair()
        out, err = os.pipe(), os.pipe()
        self.next_id += 1
        self.send({"type": "fork", "id": self.next_id}, [out[1], err[1], theirs.fileno()])
        message = self.receive(Cell())
        for fd in (out[1], err[1]):
            os.close(fd)
        theirs.close()
        assert message["type"] == "forked" and "pid" in message, message
        copy = Runner.__new__(Runner)
        copy.language, copy.work, copy.process = self.language, self.work, None
        copy._begin(ours, out[0], err[0], message["pid"])
        return copy

    def close(self):
        """Shuts it down in order; its exit code (a copy's: None)."""
        if not self.ended:
            try:
                self.send({"type": "shutdown"})
            except OSError:
                pass
        code = None
        if self.process is not None:
            try:
                code = self.process.wait(PATIENCE)
            finally:
                self.process.kill()
        self.protocol.close()
        for fd in self.fds:
            os.close(fd)
        self.fds = {}
        return code


def pytest_fail(text):
    raise AssertionError(text)
