# SPDX-License-Identifier: Apache-2.0
"""A Jupyter kernel as a child process: found by its kernelspec, started, and spoken to over ZeroMQ.

The sockets are pyzmq's own rather than jupyter_client's: that takes 0.1 s and 16 MB more, to no use here. Every message that comes
is held against the signature of the connection file's key; what does not fit, or is no message, is as if it had not come.
"""

import ctypes
import hmac
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time

FOLDERS = ("/usr/local/share/jupyter/kernels", "/usr/share/jupyter/kernels")
CHANNELS = ("shell", "iopub", "stdin", "control", "hb")
DELIMITER = b"<IDS|MSG>"
LONGEST_PATH = 100  # of a socket in the file system, which may have 107 with its own name
PR_SET_PDEATHSIG = 1


class Failure(Exception):
    """A sentence about why there is no kernel."""


def find_spec(name):
    """The folder and the content of a kernelspec."""
    folders = [name] if "/" in name else [f"{path}/kernels/{name}" for path in os.environ.get("JUPYTER_PATH", "").split(":") if path]
    folders += [] if "/" in name else [f"{folder}/{name}" for folder in FOLDERS]
    for folder in folders:
        try:
            with open(f"{folder}/kernel.json", encoding="utf-8") as file:
                spec = json.load(file)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise Failure(f"{folder}/kernel.json cannot be read: {error}") from None
        if not isinstance(spec, dict) or not isinstance(spec.get("argv"), list) or not spec["argv"]:
            raise Failure(f"{folder}/kernel.json has no argv")
        return folder, spec
    raise Failure(f"no kernel '{name}': no kernel.json in {' or '.join(folders)}")


def _die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Kernel:
    def __init__(self, name, transport, more):
        self.name, self.transport = name, transport
        self.resources, self.spec = find_spec(name)
        self.by_message = self.spec.get("interrupt_mode") == "message"
        self.key = os.urandom(32).hex().encode()
        self.session, self.number, self.sockets = os.urandom(16).hex(), 0, {}
        self.folder = self._make_folder()
        self._make_connection()
        self._start(more)

    def _make_folder(self):
        """Its name is short: xeus keeps addresses in 32 bytes."""
        for place in ("/tmp", "/tmp", "/tmp", os.environ.get("TMPDIR", "/")):
            path = f"{place}/.j{os.urandom(3).hex()}"
            try:
                os.mkdir(path, 0o700)
            except OSError:
                continue
            if len(path) > LONGEST_PATH:
                self.transport = "tcp"
            return path
        raise Failure("there is no directory for the kernel's sockets: neither /tmp nor $TMPDIR can be written to")

    def _make_connection(self):
        ip, ports = f"{self.folder}/k", [1, 2, 3, 4, 5]
        if self.transport == "tcp":
            ip, takers = "127.0.0.1", [socket.socket() for _ in CHANNELS]
            for taker in takers:  # all at once, so that they differ
                taker.bind((ip, 0))
            ports = [taker.getsockname()[1] for taker in takers]
            for taker in takers:
                taker.close()
        self.address = {channel: f"ipc://{ip}-{port}" if self.transport == "ipc" else f"tcp://{ip}:{port}" for channel, port in zip(CHANNELS, ports)}
        self.file = f"{self.folder}/connection.json"
        connection = {f"{channel}_port": port for channel, port in zip(CHANNELS, ports)}
        connection.update(ip=ip, transport=self.transport, key=self.key.decode(), signature_scheme="hmac-sha256", kernel_name=self.name)
        with open(os.open(self.file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            json.dump(connection, file)

    def _start(self, more):
        argv = [str(word).replace("{connection_file}", self.file).replace("{resource_dir}", self.resources) for word in self.spec["argv"]]
        if re.fullmatch(r"python(3(\.\d+)?)?", argv[0]):
            argv[0] = sys.executable
        own = self.spec.get("env") if isinstance(self.spec.get("env"), dict) else {}
        env = dict(os.environ)
        for name, value in own.items():
            env[name] = re.sub(r"\$\{(\w+)\}", lambda match: os.environ.get(match.group(1), match.group(0)), str(value))
        env["JPY_PARENT_PID"] = str(os.getpid())  # ipykernel prints advice for people at terminals without it
        try:
            # A session of its own: SIGINT for us is not at once one for the kernel and its children.
            self.process = subprocess.Popen(argv + more, env=env, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_die_with_parent)
        except OSError as error:
            raise Failure(f"the kernel '{self.name}' cannot be started: {argv[0]}: {error.strerror}") from None
        self.pidfd = os.pidfd_open(self.process.pid)

    def connect(self):
        """The sockets, while the kernel is still starting."""
        import zmq  # takes longer than all the rest: so the kernel is started before

        self.zmq, self.context = zmq, zmq.Context()
        identity = self.session.encode()
        for channel in CHANNELS[:4]:
            made = self.context.socket(zmq.SUB if channel == "iopub" else zmq.DEALER)
            made.linger, made.rcvhwm, made.sndhwm = 0, 0, 0  # a flood is our memory's, and none of it is lost
            made.reconnect_ivl = 10
            if channel == "iopub":
                made.subscribe(b"")
            else:
                made.identity = identity  # by which the kernel finds who is to be asked for input
            made.connect(self.address[channel])
            self.sockets[channel] = made

    # ---- messages ----

    def send(self, channel, kind, content, parent=None):
        self.number += 1
        header = {"msg_id": f"{self.session}_{self.number}", "session": self.session, "username": "guest", "msg_type": kind, "version": "5.3"}
        header["date"] = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
        parts = [json.dumps(part).encode() for part in (header, parent or {}, {}, content)]
        signature = hmac.digest(self.key, b"".join(parts), "sha256").hex().encode()
        self.sockets[channel].send_multipart([DELIMITER, signature, *parts])
        return header["msg_id"]

    def receive(self, channel):
        """The next message that there is: kind, parent's id, content, header; None: there is none."""
        taken = self.sockets[channel]
        while taken.getsockopt(self.zmq.EVENTS) & self.zmq.POLLIN:  # an exception would take longer
            frames = taken.recv_multipart()
            try:
                begin = frames.index(DELIMITER)
                signature, parts = frames[begin + 1], frames[begin + 2 : begin + 6]
                if hmac.compare_digest(hmac.digest(self.key, b"".join(parts), "sha256").hex().encode(), signature):
                    header, parent, content = json.loads(parts[0]), json.loads(parts[1]), json.loads(parts[3])
                    if isinstance(content, dict) and isinstance(header["msg_type"], str):
                        return header["msg_type"], (parent or {}).get("msg_id"), content, header
            except (ValueError, IndexError, KeyError, TypeError, AttributeError, RecursionError):
                continue
        return None

    # ---- the process ----

    def interrupt(self):
        if self.by_message:
            self.send("control", "interrupt_request", {})
        else:
            self.signal(signal.SIGINT)

    def signal(self, number):
        try:
            os.killpg(self.process.pid, number)
        except OSError:
            pass

    def ended(self):
        return self.process.poll() is not None

    def stop(self, patience=3):
        """Asks it to end, and ends it if it does not."""
        if not self.ended() and self.sockets:
            self.send("control", "shutdown_request", {"restart": False})
            end = select.poll()
            end.register(self.pidfd, select.POLLIN)
            end.poll(patience * 1000)
        if not self.ended():
            self.signal(signal.SIGKILL)
            self.process.wait()

    def clean(self):
        try:
            for name in os.listdir(self.folder):
                os.unlink(f"{self.folder}/{name}")
            os.rmdir(self.folder)
        except OSError:
            pass
