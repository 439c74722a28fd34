# SPDX-License-Identifier: Apache-2.0
"""One context: what the engine asks goes to the kernel, what the kernel says goes to the engine, in one thread that waits for both.

A cell is over when its reply and its "idle" have come, in whichever order they do, and what may come late has had its time.
"""

import os
import resource
import signal
import sys
import time

from cell import Cell
from kernel import Failure, Kernel
from languages import language_of
from protocol import Ended, Protocol, plain, short, write

READY_S = "55"  # a little less than the engine waits: the sentence about it should be there
ANSWER_S = 8  # the same for completion and inspection: then nothing is known
AT_ONCE = 500  # messages of a flood until somebody else is looked after
BEFORE_INPUT_S = 0.02  # what was printed before a question comes by another socket


class Session:
    def __init__(self, protocol, kernel, name, grace_s):
        self.protocol, self.kernel, self.name, self.grace_s = protocol, kernel, name, grace_s
        self.language, self.count, self.cell = language_of({}), 0, None
        self.asked, self.waiting, self.timers = {}, [], []
        self.formats = None
        self.wake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.interrupts = 0
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGINT, self._on_signal)

    def _on_signal(self, number, frame):
        self.interrupts += 1

    # ---- start ----

    def start(self, ready_s):
        """Until the kernel answers and what it publishes reaches us."""
        self.kernel.connect()
        zmq = self.kernel.zmq
        self.poller = zmq.Poller()
        for made in (*(self.kernel.sockets[channel] for channel in ("iopub", "shell", "stdin", "control")), self.protocol.fileno(), self.wake, self.kernel.pidfd):
            self.poller.register(made, zmq.POLLIN)
        deadline = time.monotonic() + ready_s
        info, heard = None, False
        self.kernel.send("shell", "kernel_info_request", {})
        while info is None or not heard:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Failure(f"the kernel '{self.kernel.name}' was not ready within {ready_s} s")
            self._wait(min(left, 0.03 if info is not None else left))
            heard = self.kernel.receive("iopub") is not None or heard
            while (message := self.kernel.receive("shell")) is not None:
                if message[0] == "kernel_info_reply":
                    info = message[2]
            if self.kernel.ended():
                raise Failure(f"the kernel '{self.kernel.name}' ended before it was ready, with {self._how_it_ended()}")
            if info is not None and not heard:
                self.kernel.send("shell", "kernel_info_request", {})
        self.language = language_of(info)
        self._prepare(deadline)
        self._say_ready(info)

    def _prepare(self, deadline):
        code = self.language.begin()
        if not code:
            return
        request = self._execute(code, silent=True)
        replied = idle = False
        while not (replied and idle):
            left = deadline - time.monotonic()
            if left <= 0 or self.kernel.ended():
                raise Failure(f"the kernel '{self.kernel.name}' does not answer")
            self._wait(left)
            while (message := self.kernel.receive("iopub")) is not None:
                idle = idle or (message[1] == request and message[0] == "status" and message[2].get("execution_state") == "idle")
            while (message := self.kernel.receive("shell")) is not None:
                replied = replied or message[1] == request

    def _say_ready(self, info):
        about = info.get("language_info") if isinstance(info.get("language_info"), dict) else {}
        features = ["complete"] + ["inspect"] * self.language.has_inspection + ["input"] * self.language.has_input
        name = self.name or str(about.get("name") or self.kernel.name)
        self.protocol.send(type="ready", protocol=1, language=name, version=str(about.get("version") or info.get("implementation_version") or "?"), features=features, mark=self.protocol.mark)

    # ---- the loop ----

    def _wait(self, seconds):
        """Sleeps until something has come, and says what; messages of the engine's are put aside."""
        wait = None if seconds is None else max(0, int(seconds * 1000) + (seconds > 0))
        ready = {what for what, _ in self.poller.poll(wait)}
        for what in ready:
            if what == self.wake:
                try:
                    os.read(self.wake, 4096)
                except BlockingIOError:
                    pass
            elif what == self.protocol.fileno():
                self.waiting += self.protocol.receive()
        return ready

    def later(self, seconds, act):
        self.timers.append((time.monotonic() + seconds, act))

    def _next_timer(self):
        return max(0, min(when for when, _ in self.timers) - time.monotonic()) if self.timers else None

    def run(self):
        ready = set(self.kernel.sockets.values())
        while True:
            busy = self._take_from_kernel(ready)
            if self.interrupts:
                self.interrupts = 0
                if self.cell:
                    self.cell.interrupt()
            for message in self._taken():
                self._act(message)
            now = time.monotonic()
            due = [act for when, act in self.timers if when <= now]
            self.timers = [timer for timer in self.timers if timer[0] > now]
            for act in due:
                act()
            if self.kernel.pidfd in ready and self.kernel.ended():
                self._last_words()
                return
            ready = self._wait(0 if busy else self._next_timer())

    def _taken(self):
        messages, self.waiting = self.waiting, []
        return messages

    def _take_from_kernel(self, ready):
        """True: there is more."""
        kernel, sockets = self.kernel, self.kernel.sockets
        for _ in range(AT_ONCE if sockets["iopub"] in ready else 0):
            message = kernel.receive("iopub")
            if message is None:
                break
            self._on_iopub(*message)
        else:
            if sockets["iopub"] in ready:
                return True
        while sockets["shell"] in ready and (message := kernel.receive("shell")) is not None:
            self._on_reply(*message)
        while sockets["stdin"] in ready and (message := kernel.receive("stdin")) is not None:
            if self.cell and message[0] == "input_request":
                self._drain_quietly(BEFORE_INPUT_S)
                self.cell.ask(message[2], message[3])
        while sockets["control"] in ready and kernel.receive("control") is not None:
            pass
        return False

    def _on_iopub(self, kind, parent, content, header):
        if self.cell:
            self.cell.on_iopub(kind, parent, content)
        elif kind == "stream":
            write(2 if content.get("name") == "stderr" else 1, str(content.get("text", "")))

    def _on_reply(self, kind, parent, content, header):
        asked = self.asked.pop(parent, None)
        if asked:
            asked(content)
        elif self.cell:
            self.cell.on_reply(parent, content)

    def _drain_quietly(self, seconds):
        """What is on its way already, until nothing has come for so long."""
        iopub = self.kernel.sockets["iopub"]
        deadline = time.monotonic() + 50 * seconds
        while time.monotonic() < deadline and iopub.poll(int(seconds * 1000)):
            while (message := self.kernel.receive("iopub")) is not None:
                self._on_iopub(*message)

    # ---- requests ----

    def _execute(self, code, silent, store_history=None):
        content = {"code": code, "silent": silent, "store_history": not silent if store_history is None else store_history}
        content.update(user_expressions={}, allow_stdin=True, stop_on_error=False)
        return self.kernel.send("shell", "execute_request", content)

    def _act(self, message):
        kind = message.get("type")
        if kind == "run" and not self.cell:
            self.cell = Cell(self, message)
            self.cell.begin()
        elif kind == "input" and self.cell:
            self.cell.answer(message)
        elif kind == "complete":
            code, cursor = message["code"], message["cursor"]
            asked = self.kernel.send("shell", "complete_request", {"code": code, "cursor_pos": cursor})
            self._await(asked, lambda content: self._completed(message, content))
        elif kind == "inspect":
            content = {"code": message["code"], "cursor_pos": message["cursor"], "detail_level": message.get("detail", 0)}
            asked = self.kernel.send("shell", "inspect_request", content)
            self._await(asked, lambda content: self._inspected(message["id"], content))
        elif kind == "fork":
            self.protocol.send(type="forked", id=message["id"], message="a Jupyter kernel cannot be copied")
        elif kind == "shutdown":
            raise Ended("shutdown")

    def _await(self, asked, act):
        self.asked[asked] = act

        def give_up():
            if self.cell and asked in self.asked:  # it waits behind the cell
                self.later(ANSWER_S, give_up)
            elif late := self.asked.pop(asked, None):
                late({})

        self.later(ANSWER_S, give_up)

    def _completed(self, message, content):
        size = len(message["code"])
        start, end = content.get("cursor_start"), content.get("cursor_end")
        fits = type(start) is int and type(end) is int and 0 <= start <= end <= size
        matches = [one for one in content.get("matches") or [] if isinstance(one, str)] if fits and isinstance(content.get("matches"), list) else []
        if not fits:
            start = end = message["cursor"]
        self.protocol.send(type="completions", id=message["id"], matches=[short(one) for one in matches[:1000]], start=start, end=end)

    def _inspected(self, number, content):
        data = content.get("data") if isinstance(content.get("data"), dict) else {}
        data = {mime: short(plain(text)) for mime, text in data.items() if isinstance(text, str)}
        found = content.get("found") is True and self.language.found(data)
        self.protocol.send(type="inspection", id=number, found=found, data=data if found else {})

    # ---- the end ----

    def _how_it_ended(self):
        code = self.kernel.process.returncode
        return f"exit code {code}" if code >= 0 else f"signal {-code}"

    def _last_words(self):
        self._drain_quietly(0.05)
        if self.cell:
            self.cell.cut_off()


def _end_as(code):
    """What ended the kernel ends us."""
    if code is not None and code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(-code, signal.SIG_DFL) if -code not in (signal.SIGKILL, signal.SIGSTOP) else None
        os.kill(os.getpid(), -code)
    os._exit(code or 0)


def _arguments(words):
    more = []
    if "--" in words:
        at = words.index("--")
        words, more = words[:at], words[at + 1 :]
    options = {"language": "", "transport": "tcp", "grace-ms": "30", "ready-s": READY_S}
    for word in [word for word in words if word.startswith("--")]:
        name, _, value = word[2:].partition("=")
        if name not in options:
            raise Failure(f"unknown option '{word}'; known: " + ", ".join(f"--{one}" for one in options))
        options[name] = value
    names = [word for word in words if not word.startswith("--")]
    if len(names) != 1:
        raise Failure(f"one kernel is expected, not {len(names)}")
    return names[0], options, more


def main(words):
    signal.signal(signal.SIGINT, lambda number, frame: None)
    kernel = None
    try:
        protocol = Protocol()
        name, options, more = _arguments(words)
        kernel = Kernel(name, options["transport"], more)
        session = Session(protocol, kernel, options["language"], int(options["grace-ms"]) / 1000)
        session.start(int(options["ready-s"]))
        session.run()
        code = kernel.process.returncode
        kernel.clean()
        _end_as(code)
    except Ended:
        code = 0
    except Failure as failure:
        write(2, f"retort: {failure}\n")
        code = 1
    if kernel:
        kernel.stop() if code == 0 else kernel.stop(0)
        kernel.clean()
    os._exit(code)
