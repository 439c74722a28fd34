# SPDX-License-Identifier: Apache-2.0
"""One cell, from `run` to `done`: up to three requests to the kernel, of which the one in the middle is the cell's code."""

import json
import time

from protocol import plain, short, write

STARTED_S = 0.02  # from "this is what I execute" until a kernel does: SIGINT before that may end the wrong thing
BUSY_S = 0.1  # the same from "busy", for kernels that do not say what they execute
REPLY_S = 2  # from "idle": a kernel that was interrupted between two things may have forgotten to answer
AGAIN_S, AGAIN_MOST = 0.1, 20  # some kernels drop what comes shortly after an error
MOST_GRACES = 100
LOST = "lost"
ABORTED = ("abort", "aborted", LOST)
FIGURES = ("image/", "application/pdf")


def text_of(content, name):
    value = content.get(name)
    return value if isinstance(value, str) else "" if value is None else str(value)


def bundle(data):
    """A kernel's MIME bundle as the protocol wants it: text, but for what is JSON."""
    made = {}
    for mime, value in data.items() if isinstance(data, dict) else ():
        if mime.endswith("json"):
            made[mime] = value
        elif isinstance(value, list) and all(isinstance(line, str) for line in value):
            made[mime] = "".join(value)
        else:
            made[mime] = value if isinstance(value, str) else json.dumps(value)
        if not mime.startswith("text/") and (mime.startswith("image/") and "svg" not in mime or mime == "application/pdf"):
            made[mime] = made[mime].replace("\n", "")  # base64 is often broken into lines
    return made


class Cell:
    def __init__(self, session, message):
        self.session, self.id = session, message["id"]
        self.code, self.silent = message["code"], bool(message.get("silent"))
        self.env, self.cwd = message.get("env") or {}, message.get("cwd")
        self.formats = message.get("formats") or None
        self.phase = self.request = self.reply = self.ran = self.error = self.held = self.asks = None
        self.deadline, self.heard = None, True
        self.idle = self.begun = self.started = self.interrupted = self.to_interrupt = False
        self.prepared = False
        self.tries, self.pages, self.exit = 0, [], None

    # ---- the three requests ----

    def begin(self):
        formats = self.formats if self.formats != self.session.formats else None
        if not (self.env or self.cwd is not None or formats):
            self._run()
            return
        code = self.session.language.before(self.env, self.cwd, formats)
        if code is None:
            asked = " and ".join(name for name, value in (("env", self.env), ("cwd", self.cwd), ("formats", formats)) if value)
            self._refuse(f"{asked} of a cell cannot be set in this kernel's language")
            return
        self.session.formats = self.formats or self.session.formats
        self._ask("before", code, not self.session.language.silent_is_mute, False)

    def _run(self):
        mute = self.silent and self.session.language.silent_is_mute
        code = self.code if self.code.strip() or self.silent else self.session.language.blank or self.code
        self._ask("run", code, self.silent and not mute, not self.silent)

    def _ask(self, phase, code, silent, store_history):
        self.phase, self.idle, self.reply, self.started = phase, False, None, False
        self.request = self.session._execute(code, silent, store_history)

    def _over(self):
        """The request in hand has been answered, and all that belongs to it has come."""
        if self.phase == "before":
            self.prepared = bool(self.env)
            if self.reply.get("status") == "ok":
                self._run()
            else:
                self._fail_as({"ename": self.reply.get("ename"), "evalue": self.reply.get("evalue")})
                self._finish()
        elif self.phase == "run":
            self.ran = self.reply
            if self._was_dropped() and self.tries < AGAIN_MOST:
                self.tries += 1
                self.phase = "again"
                self.session.later(AGAIN_S, self._run)
            elif self.prepared:
                self._ask("after", self.session.language.after(), True, False)
            else:
                self._finish()
        else:
            self._finish()

    def _was_dropped(self):
        """Never begun, for all that the kernel said: only then may it be asked once more."""
        status = self.ran.get("status")
        return status in ABORTED and status != LOST and not (self.begun or self.error or self.interrupted)

    def _maybe_over(self):
        if not self.idle or self.reply is None:
            return
        if not self.session.grace_s or self.phase != "run":
            self._over()
        elif not self.deadline:
            self.deadline = time.monotonic() + MOST_GRACES * self.session.grace_s
            self._wait_for_late(self.request)

    def _wait_for_late(self, request):
        """Until nothing of the cell's has come for a grace, or it goes on and on."""
        heard, self.heard = self.heard, False
        if self.request != request or self.session.cell is not self:
            return
        if heard and time.monotonic() < self.deadline:
            self.session.later(self.session.grace_s, lambda: self._wait_for_late(request))
        else:
            self._over()

    # ---- what the kernel says ----

    def on_iopub(self, kind, parent, content):
        ours = parent == self.request
        self.heard = self.heard or ours
        if kind == "stream":
            if self.held and not self.held[2]:
                self._let_go()
            write(2 if content.get("name") == "stderr" else 1, text_of(content, "text"))
        elif kind == "status" and ours:
            if content.get("execution_state") == "idle":
                self.idle = True
                self._maybe_over()
                if self.reply is None:
                    self.session.later(REPLY_S, lambda: self.on_reply(parent, {"status": LOST}))
            elif self.phase == "run":
                self.session.later(BUSY_S, lambda: self._has_started(parent))
        elif kind == "execute_input" and ours and self.phase == "run":
            self.begun = True
            self.session.later(STARTED_S, lambda: self._has_started(parent))
        elif kind == "execute_result" and self.phase == "run":
            self._hold(content, True)
        elif kind in ("display_data", "update_display_data") and self.phase == "run":
            self._on_display(content)
        elif kind == "error" and ours and self.phase == "run" and not self.error:
            self._fail_as(content)

    def on_reply(self, parent, content):
        if parent != self.request or self.reply is not None or self.session.cell is not self:
            return
        self.reply = content
        if self.phase == "run":
            self._take_payload(content.get("payload"))
            if content.get("status") == "error" and not self.error:
                self._fail_as(content)
        self._maybe_over()

    def _take_payload(self, payload):
        for one in payload if isinstance(payload, list) else ():
            if not isinstance(one, dict):
                continue
            if one.get("source") == "ask_exit":
                status = one.get("status")
                self.exit = int(status) & 0xFF if isinstance(status, (int, float)) else 0
            elif one.get("source") == "page":
                self.pages.append({mime: plain(text) for mime, text in bundle(one.get("data")).items()})

    def _fail_as(self, content):
        lines = content.get("traceback")
        lines = [line for line in lines if isinstance(line, str)] if isinstance(lines, list) else []
        name = self.session.language.name_of(plain(text_of(content, "ename")).strip()) or "Error"
        value = plain(text_of(content, "evalue")).strip()
        traceback = plain("\n".join(lines)).strip("\n") or f"{name}: {value}"
        self.error = {"name": short(name), "value": short(value), "traceback": short(traceback)}

    # ---- results ----

    def _on_display(self, content):
        metadata = content.get("metadata") if isinstance(content.get("metadata"), dict) else {}
        mark = metadata.pop("retort", None) if self.session.language.shows_values else "displayed"
        if isinstance(mark, list):  # R's vectors may come as lists
            mark = mark[0] if mark else None
        if mark is None:
            self._hold(content, False)
            return
        if self.held and not self.held[2] and not (mark == "displayed" and self._is_figure(content)):
            self._let_go()  # a later expression's: so what is held was not the last one's
        if mark != "invisible":
            self._item(content, False)

    @staticmethod
    def _is_figure(content):
        data = content.get("data")
        return isinstance(data, dict) and any(mime.startswith(FIGURES) for mime in data)

    def _hold(self, content, certain):
        """A value, which is the cell's main item if no other comes. Not certain: and if no later expression shows up."""
        self._let_go()
        self.held = (content.get("data"), content.get("metadata"), certain)

    def _let_go(self):
        if self.held:
            held, self.held = self.held, None
            self._item({"data": held[0], "metadata": held[1]}, False)

    def _item(self, content, main):
        data = bundle(content.get("data"))
        metadata = content.get("metadata")
        if data:
            self.session.protocol.item(self.id, data, metadata if isinstance(metadata, dict) else None, main)

    # ---- input and interrupts ----

    def ask(self, content, header):
        self.asks = header
        self.session.protocol.send(type="input_request", id=self.id, prompt=short(text_of(content, "prompt")), password=bool(content.get("password")))

    def answer(self, message):
        if self.asks:
            value = self.session.language.end_of_input if message.get("eof") else str(message.get("text", ""))
            header, self.asks = self.asks, None
            self.session.kernel.send("stdin", "input_reply", {"status": "ok", "value": value}, header)

    def _has_started(self, request):
        if request == self.request and self.phase == "run" and not self.started:
            self.started = True
            if self.to_interrupt:
                self.interrupt()

    def interrupt(self):
        """Only while the code itself runs: earlier it waits, later there is nothing to interrupt."""
        if self.phase == "run" and self.started and self.reply is None:
            self.to_interrupt, self.interrupted = False, True
            self.session.kernel.interrupt()
        elif self.phase in ("before", "run", "again") and self.reply is None:
            self.to_interrupt = True

    # ---- the end ----

    def _status(self):
        language = self.session.language
        aborted = self.ran is not None and self.ran.get("status") in ABORTED
        if aborted and not self.error:
            self.error = {"name": language.name_of_interrupt, "value": "the cell was interrupted" if self.interrupted else "the kernel did not answer", "traceback": ""}
        if not self.error:
            return "ok" if self.exit is None else "exit"
        name, value = self.error["name"], self.error["value"]
        if name in language.names_of_exit:
            self.exit = language.exit_code(value)
            if self.exit == 1 and value != "1":
                write(2, f"{value}\n")
            return "exit"
        known = language.names_of_interrupt
        return "interrupted" if self.interrupted and (aborted or known is None or name in known) else "error"

    def _finish(self):
        session, status = self.session, self._status()
        if not self.silent:
            told = self.ran.get("execution_count") if self.ran else None
            session.count = max(session.count + 1, told if type(told) is int else 0)
        for page in self.pages:
            self._item({"data": page}, False)
        if self.held and self.silent:
            self.held = None
        elif self.held and status in ("ok", "exit"):
            held, self.held = self.held, None
            self._item({"data": held[0], "metadata": held[1]}, True)
        self._let_go()
        if status in ("error", "interrupted"):
            session.protocol.send(type="error", id=self.id, **self.error)
        session.cell = None
        done = {"exit_code": self.exit} if status == "exit" else {}
        session.protocol.send(type="done", id=self.id, status=status, execution_count=session.count, **done)

    def _refuse(self, sentence):
        self.error = {"name": "Unsupported", "value": sentence, "traceback": sentence}
        self._finish()

    def cut_off(self):
        """The kernel has died: what had come is told, but not that the cell is done, unless it was."""
        if self.idle and self.reply is not None and self.phase == "run":
            self.ran = self.reply
        if self.ran:
            self._finish()
        else:
            self._let_go()
