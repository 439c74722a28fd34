# SPDX-License-Identifier: Apache-2.0
"""The runner's end of the protocol socket: whole frames, whatever happens meanwhile.

A signal handler of the program's (or ours, for SIGINT) may raise between any two instructions of the main thread. So what
must not be half done is one call into C: an iterator that was consumed, a deque that was added to. Doing it again is then
doing nothing, and every frame is sent once and whole.
"""

import errno
import fcntl
import io
import json
import os
import resource
import socket
import threading
from collections import deque

MOST = 64 << 20  # bytes of a frame, without its length
SMALL = 64 << 10
HIGH = 1000  # descriptors of programs begin below
DESCRIPTORS = 3  # that come with a fork message
GONE = (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.EBADF)  # nobody listens any more
_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def dumps(value):
    """JSON; what cannot be said in it is an error (ValueError, TypeError)."""
    return _encoder.encode(value)


def to_bytes(text):
    return text.encode("utf-8", "replace")  # lone surrogates


def _out_of_the_way(fd):
    """The same descriptor under a number that programs do not come to by themselves, not inherited by what they start."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    high = HIGH if soft == resource.RLIM_INFINITY or soft > HIGH + 16 else max(4, soft - 8)
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, high)
    os.close(fd)
    return moved


class Channel:
    def __init__(self, fd):
        self.owner = os.getpid()
        self.fd = _out_of_the_way(fd)
        self._socket = socket.socket(fileno=self.fd)
        self._raw = io.FileIO(self.fd, "wb", closefd=False)
        self._writer = io.BufferedWriter(self._raw, SMALL)
        self._chunks, self._descriptors = deque(), []
        self.inbox = None  # the message that has come and is not taken yet
        self._waiting, self._sending = deque(), False
        self.lock = threading.RLock()  # held by whoever sends
        self.reading = threading.Lock()  # held by whoever waits for messages

    def is_ours(self):
        """Not in a child that a program forked."""
        return os.getpid() == self.owner

    def leave(self):
        """In a child that a program forked: the socket is not its own."""
        self.owner = -1
        try:
            self._socket.detach()
            os.close(self.fd)
        except OSError:
            pass

    def close(self):
        self._raw.close()
        self._socket.close()

    def check(self):
        """Ends the process when the program has taken its socket away."""
        try:
            os.fstat(self.fd)
        except OSError:
            os._exit(1)

    # ---- sending ----

    def entry(self, text):
        """A frame that is ready to be sent."""
        body = to_bytes(text)
        size = len(body) + 4
        writer = self._writer if size <= SMALL else io.BufferedWriter(io.FileIO(self.fd, "wb", closefd=False), size + 1)
        return writer, iter((len(body).to_bytes(4, "big"), body))

    def send(self, text):
        """Sends one frame. What a signal handler raised meanwhile is raised after it."""
        raised = self.send_all(iter((self.entry(text),)))
        if raised is not None:
            raise raised

    def send_all(self, entries):
        """Sends an iterator's frames; what a signal handler raised meanwhile is returned. The same iterator once more sends
        nothing twice."""
        if not self.is_ours():
            return None
        raised = None
        while True:
            try:
                with self.lock:
                    self._waiting.extend(entries)
                    if self._sending:  # a signal handler, in the midst of what is below: that goes on with it
                        return raised
                    self._sending = True
                    try:
                        self._drain()
                    finally:
                        self._sending = False
                if not self._waiting:
                    return raised
            except BaseException as error:
                if isinstance(error, OSError) and error.errno in GONE:
                    os._exit(0)
                raised = error

    def _drain(self):
        while self._waiting:
            writer, parts = self._waiting[0]
            writer.writelines(parts)  # into its buffer, which has room
            writer.flush()
            self._waiting.popleft()

    # ---- receiving ----

    def receive(self):
        """The next message, None at the end of the stream. It stays in the inbox until the caller empties that: whatever a signal
        handler raises, nothing is lost."""
        size = SMALL
        while self.inbox is None:
            size = self._take(size)
            if self.inbox is not None:
                break
            if self._chunks and not self._chunks[-1][0]:
                return None
            self._chunks.extend(map(self._socket.recvmsg, (size,), (socket.CMSG_SPACE(4 * DESCRIPTORS),), (socket.MSG_CMSG_CLOEXEC,)))
        return self.inbox

    def _take(self, size):
        """Fills the inbox if there is a whole frame; else how much to read next."""
        have = sum(len(chunk[0]) for chunk in self._chunks)
        if have < 4:
            return size
        head = self._chunks[0][0] if len(self._chunks[0][0]) >= 4 else b"".join(chunk[0] for chunk in self._chunks)
        length = int.from_bytes(head[:4], "big")
        if length > MOST:
            os._exit(1)  # whoever that is does not speak this protocol
        if have < 4 + length:
            return min(4 + length - have, 4 << 20)
        data = b"".join(chunk[0] for chunk in self._chunks)
        rights = [packed for chunk in self._chunks for _, kind, packed in chunk[1] if kind == socket.SCM_RIGHTS]
        given = self._descriptors + [fd for packed in rights for fd in memoryview(packed).cast("i")]
        message = json.loads(data[4 : 4 + length])
        rest = deque([(data[4 + length :], [])] if len(data) > 4 + length else [])
        self._chunks, self.inbox, self._descriptors = rest, message, given  # no call between: all or nothing
        return SMALL

    def descriptors(self):
        """Those that have come with messages."""
        got, self._descriptors = self._descriptors, []
        return got

    def fileno(self):
        return self.fd
