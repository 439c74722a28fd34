# SPDX-License-Identifier: Apache-2.0
"""The engine's side of the runner: docs/internals/runner-protocol.md, frames and descriptors."""

import fcntl
import json
import math
import os
import re
import socket

MOST_FRAME = 64 << 20
MOST_ITEM = 32 << 20
MOST_TEXT = 1 << 20  # of a traceback and the like

BIG_NUMBER = re.compile(r"\d{19}")  # may not fit into 64 bits, which readers in C refuse
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])?")


class Ended(Exception):
    """The engine has gone, or said something that is not the protocol."""


def plain(text):
    """Without colours and other sequences for terminals."""
    return ESCAPES.sub("", text) if "\x1b" in text else text


def short(text):
    """Of a text that is too long, the beginning and the end."""
    if len(text) <= MOST_TEXT:
        return text
    half = MOST_TEXT // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"


def _portable(value):
    """A JSON value with nothing in it that another reader would refuse."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        return float(value) if abs(value) < 1 << 1023 else None
    if isinstance(value, list):
        return [_portable(one) for one in value]
    if isinstance(value, dict):
        return {name: _portable(one) for name, one in value.items()}
    return value


def _body(message, foreign):
    """The message as JSON; foreign: there are values in it that a kernel made, which Python's JSON takes and others do not."""
    text = None
    try:
        text = json.dumps(message, ensure_ascii=False, allow_nan=False)
    except ValueError:
        pass
    if text is None or (foreign and BIG_NUMBER.search(text)):
        text = json.dumps(_portable(message), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace")


class Protocol:
    """Frames over descriptor 3, which is moved out of the way of everybody who thinks that 3 is free."""

    def __init__(self):
        for least in (1000, 200, 50, 10):
            try:
                fd = fcntl.fcntl(3, fcntl.F_DUPFD_CLOEXEC, least)
                break
            except OSError:  # the limit of open files is lower
                continue
        else:
            raise Ended("no descriptor left")
        os.close(3)
        self.socket = socket.socket(fileno=fd)
        self.bytes = bytearray()
        self.mark = f"\x1e{os.urandom(12).hex()}\x1e"

    def fileno(self):
        return self.socket.fileno()

    def receive(self):
        """What has come, as a list of messages; called when there is something."""
        try:
            data = self.socket.recv(1 << 20)
        except OSError as error:
            raise Ended(str(error)) from None
        if not data:
            raise Ended("the end of the stream")
        self.bytes += data
        messages = []
        while len(self.bytes) >= 4:
            size = int.from_bytes(self.bytes[:4], "big")
            if size > MOST_FRAME:
                raise Ended("a frame that is too long")
            if len(self.bytes) < 4 + size:
                break
            try:
                message = json.loads(self.bytes[4 : 4 + size])
            except ValueError:
                raise Ended("a frame that is not JSON") from None
            del self.bytes[: 4 + size]
            messages.append(message)
        return messages

    def send(self, **message):
        self._send(_body(message, False))

    def _send(self, body):
        try:
            self.socket.sendall(len(body).to_bytes(4, "big") + body)
        except OSError as error:
            raise Ended(str(error)) from None

    def item(self, number, data, metadata, main):
        """A rich result; in place of one that is too long a sentence about it."""
        message = {"type": "item", "id": number, "data": data, "main": main}
        if metadata:
            message["metadata"] = metadata
        body = _body(message, bool(metadata) or any(mime.endswith("json") for mime in data))
        if len(body) > MOST_ITEM:
            kind = max(data, key=lambda mime: len(data[mime]) if isinstance(data[mime], str) else 1 << 20)
            text = f"{kind} of {len(body)} bytes is left out: a result may have {MOST_ITEM}"
            body = _body({**message, "data": {"text/plain": text}, "metadata": {}}, False)
        write(1, self.mark)
        self._send(body)


def write(fd, text):
    """Text to the cell's stdout (1) or stderr (2), whole; if nobody reads there any more, nowhere."""
    data = memoryview(text.encode("utf-8", "replace"))
    while data:
        try:
            data = data[os.write(fd, data) :]
        except OSError:
            return
