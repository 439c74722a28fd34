# SPDX-License-Identifier: Apache-2.0
"""A program's input: input(), getpass() and sys.stdin ask by messages; descriptor 0 is /dev/null."""

import builtins
import getpass
import io
import select
import sys
import threading

LOOK_S = 0.05  # how soon a thread that waits for a line sees that its cell is over


class Lines(io.RawIOBase):
    """Asks for a line each time it is read."""

    def __init__(self, ask):
        super().__init__()
        self._ask, self._left = ask, b""

    name, mode = "<stdin>", "rb"

    def readable(self):
        return True

    def fileno(self):
        return 0

    def isatty(self):
        return False

    def readinto(self, buffer):
        if not self._left:
            line = self._ask("", False)
            self._left = b"" if line is None else (line + "\n").encode("utf-8", "surrogateescape")
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


class Inputs:
    def __init__(self, session):
        self._session = session
        self._plain_input = builtins.input
        self.stream = None
        builtins.input = self._input()
        getpass.getpass = self._getpass()

    def renew(self):
        """sys.stdin as a program finds it."""
        self.stream = io.TextIOWrapper(io.BufferedReader(Lines(self._ask)), encoding="utf-8", errors="surrogateescape")
        sys.stdin = sys.__stdin__ = self.stream

    def _input(self):
        plain, ask = self._plain_input, self._ask

        def input(prompt="", /):
            if sys.stdin is not self.stream:  # the program has put another in its place
                return plain(prompt)
            sys.audit("builtins.input", prompt)
            line = ask(str(prompt), False)
            if line is None:
                raise EOFError("EOF when reading a line")
            sys.audit("builtins.input/result", line)
            return line

        input.__doc__, input.__module__ = plain.__doc__, "builtins"
        return input

    def _getpass(self):
        ask, plain = self._ask, getpass.getpass

        def getpass_(prompt="Password: ", stream=None):
            line = ask(str(prompt), True)
            if line is None:
                raise EOFError
            return line

        getpass_.__name__ = getpass_.__qualname__ = "getpass"
        getpass_.__doc__, getpass_.__module__ = plain.__doc__, "getpass"
        return getpass_

    def _ask(self, prompt, password):
        """A line without its end; None at the end of file, which is where a program is that nobody asks for anything."""
        session = self._session
        number = session.current
        if number is None or not session.channel.is_ours():
            return None
        main = threading.current_thread() is threading.main_thread()
        while not session.channel.reading.acquire(timeout=-1 if main else LOOK_S):
            if session.current != number:
                return None
        try:
            with session.channel.lock:  # not after the cell's last words
                if session.current != number:
                    return None
                session.send({"type": "input_request", "id": number, "prompt": prompt, "password": password})
            return self._answer(number, main)
        finally:
            session.channel.reading.release()

    def _answer(self, number, main):
        session = self._session
        while True:
            while not main and not select.select([session.channel], [], [], LOOK_S)[0]:
                if session.current != number:
                    return None
            message = session.channel.receive()
            if message is None or message.get("type") == "shutdown":
                session.leave()
            kind = message.get("type")
            if kind not in ("input", "interrupt"):  # the cell is over, and this is for the main thread
                return None
            session.channel.inbox = None
            if kind == "input" and message.get("id") == number:
                return None if message.get("eof") else str(message.get("text", ""))
