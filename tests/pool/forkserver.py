# SPDX-License-Identifier: Apache-2.0
"""A client of testserver.so: starts an interpreter under it, and runs programs in forks of it."""

import array
import os
import select
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("RETORT_BUILD", ROOT / "build"))
RUNTIMES = BUILD / "runtimes"
LIBRARY = BUILD / "tests" / "pool" / "testserver.so"


class Fork:
    """One program that runs in a fork; done() waits for it."""

    def __init__(self, pid, stdout, stderr, report, began):
        self.pid, self.began = pid, began
        self.pipes = {stdout: b"", stderr: b"", report: b""}
        self.order = [stdout, stderr, report]

    def done(self, timeout=60):
        """(exit code, stdout, stderr, report): as subprocess counts, signals are negative."""
        deadline = time.monotonic() + timeout
        poll = select.poll()
        for fd in self.pipes:
            poll.register(fd, select.POLLIN)
        left = len(self.pipes)
        while left:
            ready = poll.poll(max(0, (deadline - time.monotonic()) * 1000))
            if not ready:
                raise TimeoutError(f"{self.pid} hangs; so far {list(self.pipes.values())}")
            for fd, _ in ready:
                chunk = os.read(fd, 65536)
                self.pipes[fd] += chunk
                if not chunk:
                    poll.unregister(fd)
                    os.close(fd)
                    left -= 1
        while True:
            pid, status, self.usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.pid} closed its output but does not end")
            time.sleep(0.0005)
        self.took = time.monotonic() - self.began
        out, err, report = (self.pipes[fd] for fd in self.order)
        return os.waitstatus_to_exitcode(status), out.decode(), err.decode(), report.decode()


class ForkServer:
    def __init__(self, argv, cwd, env, main=None, freeze="flat", image="", preload=()):
        self.socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.log = tempfile.TemporaryFile()
        settings = {"LD_PRELOAD": ":".join(map(str, [LIBRARY, *preload])), "RETORT_PARK": "/retort/park", "RETORT_GO": "/retort/go", "TEST_FREEZE": freeze,
                    "TEST_IMAGE": image, "TEST_SOCKET": str(other.fileno())} | ({"RETORT_MAIN": main} if main else {})
        null = os.open("/dev/null", os.O_RDWR)

        def place():
            os.dup2(null, 3)

        self.process = subprocess.Popen(argv, cwd=cwd, env=env | settings, stdin=null, stdout=self.log, stderr=self.log,
                                        pass_fds=[other.fileno(), 3], preexec_fn=place)
        other.close()
        os.close(null)
        self.socket.settimeout(120)
        self.ready = self.socket.recv(4096).decode()
        if not self.ready.startswith("ready"):
            self.log.seek(0)
            raise RuntimeError(f"{self.ready!r} {self.log.read().decode()}")

    def start(self, args, cwd, env=None, stdin=b""):
        environment = [f"{name}={value}" for name, value in (env or {}).items()]
        strings = os.memfd_create("strings")
        os.write(strings, b"".join(s.encode() + b"\0" for s in [str(len(args)), *map(str, args), *environment]))
        os.lseek(strings, 0, os.SEEK_SET)
        source, feed = os.pipe()
        os.write(feed, stdin)  # little enough for a pipe
        os.close(feed)
        pipes = [os.pipe() for _ in range(3)]
        folder = os.open(cwd, os.O_RDONLY | os.O_DIRECTORY)
        given = [source, pipes[0][1], pipes[1][1], pipes[2][1], folder, strings]
        began = time.monotonic()
        self.socket.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", given))])
        for fd in given:
            os.close(fd)
        pid = int.from_bytes(self.socket.recv(4), "little")
        return Fork(pid, *(reader for reader, _ in pipes), began)

    def run(self, args, cwd, env=None, stdin=b"", timeout=60):
        return self.start(args, cwd, env, stdin).done(timeout)

    def close(self):
        self.socket.close()
        self.process.kill()
        self.process.wait()
        self.log.close()
