# SPDX-License-Identifier: Apache-2.0
"""The runner's side of docs/internals/runner-protocol.md: one session of one shell, from `ready` to the end of the stream.

cells.py runs code, items.py makes items, shell.py is IPython; here is what is said when. A signal handler of the program's may
raise anywhere here too: a cell's last messages are prepared first and then sent by what can be done again (channel.py).
"""

import _thread
import atexit
import contextlib
import os
import sys
import threading
import time

from _retort import imports

imports.ipython()  # before all else, or the whole of it is imported

from _retort import cells, channel, copies, errors, inputs, items, shell  # noqa: E402

END_S = 2  # what the program's exit functions may take
LOOKUP_S = 2  # a completion or inspection, which may run code of the program's
MOST_LATE = 1000  # items that are displayed while no cell runs, and shown with the next
MOST_TRIES = 5  # to tell the whole of an error
FEATURES = ["complete", "inspect", "fork", "input"]


class Environment:
    """A cell's own variables, and what they were before."""

    def __init__(self, given):
        self._given, self._before = given if isinstance(given, dict) else {}, {}

    def _set(self, values):
        for name, value in values.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        if "TZ" in values:
            time.tzset()

    def begin(self):
        self._before = {name: os.environ.get(name) for name in self._given}
        self._set(self._given)

    def end(self):
        before, self._before = self._before, {}
        self._set(before)


class Session:
    def __init__(self):
        self.channel = None
        self.current = None  # the request whose cell runs
        self._copying = False
        self._streams = (sys.stdout, sys.stderr)
        for stream in self._streams:
            stream.reconfigure(line_buffering=True)  # what was printed survives a kill, and is seen when it is printed
        self.shell = shell.build(self)
        self._cells = cells.Cells(self.shell)
        self._inputs = inputs.Inputs(self)
        self._late, self._collected, self._ending = [], None, None
        self._flush_c = None
        cells.Interrupt.cell = Session._run.__code__
        self.fresh = shell.Fresh(self.shell)
        os.register_at_fork(after_in_child=self._forked)
        copies.watch_hooks()

    def attach(self, fd):
        """Begins to speak on that descriptor."""
        self._ending = self.current = None
        self.channel = channel.Channel(fd)
        self._inputs.renew()
        self._cells.take_signals()
        mark = f"\0{os.urandom(12).hex()}\1"
        self._mark, self._pipe = mark.encode(), os.fstat(1)
        self.send({"type": "ready", "protocol": 1, "language": "python", "version": sys.version.split()[0], "features": FEATURES, "mark": mark})

    def detach(self):
        """The end of a rehearsal: nothing of it is left open."""
        self.channel.close()
        self.channel = None

    def close_loop(self):
        loop, cells.Loop.loop = cells.Loop.loop, None
        if loop is not None:
            loop.close()

    def _forked(self):
        if self.channel is not None and not self._copying:
            self.channel.leave()

    # ---- output ----

    def flush(self):
        """Writes out what Python (and the C library, where it may have been used) buffers for 1 and 2."""
        now = (sys.stdout, sys.stderr)
        for stream in self._streams if now == self._streams else (*now, *self._streams):
            try:
                stream.flush()
            except Exception as error:  # it is closed, or the program's own
                if isinstance(error, OSError) and error.errno is None:  # TimeoutError, of a signal handler
                    raise
        if self._flush_c is None and "ctypes" in sys.modules:
            self._find_c()
        if self._flush_c:
            self._flush_c()

    def _find_c(self):
        try:
            ctypes = sys.modules["ctypes"]
            library = ctypes.CDLL(None)
            out = ctypes.c_void_p.in_dll(library, "stdout")
            self._flush_c = lambda: library.fflush(out)
        except Exception:
            self._flush_c = False

    def send(self, message):
        self.flush()
        self.channel.send(channel.dumps(message))

    def show(self, data, metadata=None, name=None, update=False, main=False):
        """An item. In a child that a program forked: its text, where the child prints."""
        if self.channel is None or not self.channel.is_ours():
            text = data.get("text/plain")
            if text is not None:
                print(text)
            return
        if self._collected is not None and threading.current_thread() is threading.main_thread():
            self._collected.append((data, metadata, name))
            return
        with self.channel.lock:  # not after the cell's last words
            if self.current is None:
                if len(self._late) < MOST_LATE:
                    self._late.append((data, metadata, name, update))
                return
            text = items.encode(self.current, data, metadata, main, name, update)
            if text is not None:
                self.flush()
                self._write_mark()
                self.channel.send(text)

    @contextlib.contextmanager
    def collecting(self):
        """What the main thread shows meanwhile is kept for the caller."""
        before, self._collected = self._collected, []
        try:
            yield self._collected
        finally:
            self._collected = before

    def _write_mark(self):
        """Where in the output the next item belongs; not into what a program has put in the pipe's place."""
        try:
            if os.path.samestat(os.fstat(1), self._pipe):
                os.write(1, self._mark)
        except OSError as error:
            if error.errno is None:  # TimeoutError, of a signal handler
                raise

    # ---- a cell ----

    def _run(self, message):
        number, silent, code = message["id"], bool(message.get("silent")), str(message.get("code", ""))
        cells.Interrupt.waits = False  # what came after the last cell's last words
        self._ending = self._error = None
        self._silent, self._tries = silent, 0
        self.current, self.channel.inbox = number, None  # no call between these and the try
        try:
            self._run_cell(message, code, silent)
        except BaseException as error:  # a signal handler's, between two steps of ours
            self._error = self._error or error
        self._end_cell()

    def _run_cell(self, message, code, silent):
        environment, name = Environment(message.get("env")), self._cells.name_of(message.get("name"), silent)
        self._own_name, self._collected = name, None
        self.shell.figures.choose(message.get("formats"))
        self.shell.displayhook.value = None
        late, self._late = self._late, []
        for item in late:
            self.show(*item)
        try:
            environment.begin()
            if message.get("cwd"):
                os.chdir(message["cwd"])
            self._error = self._cells.guarded(lambda: self._cells.run(code, name, silent))
        except (OSError, ValueError, TypeError) as error:  # no such directory, no such variable
            self._error = error.with_traceback(None)
        finally:
            environment.end()
        if not self.channel.is_ours():
            self._end_child(self._error)
        after = self._cells.guarded(lambda: self._finish(code, silent))
        self._error = self._error or after

    def _finish(self, code, silent):
        """What follows the program's code: figures that are open, then the main item, which is the last."""
        hook, self._collected = self.shell.displayhook, None
        cells.armed(self.shell.figures.flush)
        self._cells.trigger("post_execute")
        if not silent:
            self._cells.trigger("post_run_cell", code)
        value, hook.value = hook.value, None
        if value is not None:
            cells.armed(lambda: self.show(*value, main=True))

    def _end_cell(self):
        """May be broken off, and called again."""
        if self._ending is None:
            self._tries += 1
            self._ending = iter([self.channel.entry(text) for text in self._last_words(self._error, self._silent, self._tries > MOST_TRIES)])
        with self.channel.lock:
            self.flush()
            self.channel.send_all(self._ending)
            self.current = None

    def _last_words(self, error, silent, plainly):
        number, shell_ = self.current, self.shell
        done = {"type": "done", "id": number, "status": "ok", "execution_count": shell_.execution_count - silent}
        words = []
        if isinstance(error, SystemExit):
            done.update(status="exit", exit_code=_exit_code(error))
        elif error is not None:
            sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__
            name, value, text = (type(error).__name__, "", "") if plainly else self._describe(error)
            words.append({"type": "error", "id": number, "name": name, "value": value, "traceback": text})
            done["status"] = "interrupted" if isinstance(error, KeyboardInterrupt) else "error"
        shell_.last_execution_succeeded = error is None
        texts = [channel.dumps(message) for message in (*words, done)]
        shell_.execution_count = done["execution_count"] + 1
        return texts

    def _describe(self, error):
        """What an error says of itself is code of the program's, too."""
        try:
            return cells.armed(lambda: errors.describe(error, self._own_name))
        except BaseException:
            name = type(error).__name__
            return name, "<it could not be shown>", f"{name}: <it could not be shown>\n"

    def _end_child(self, error):
        """A child that the program forked has come to the end of the cell: it ends as a program would."""
        code = 0
        if isinstance(error, SystemExit):
            code = _exit_code(error)
        elif error is not None:
            errors.report(error, self._own_name)
            code = 1
        self.flush()
        os._exit(code)

    # ---- other requests ----

    def _bounded(self, call):
        """What may run code of the program's, such as properties: interrupted when it takes too long. None then."""
        over = threading.Event()

        def nag():  # again and again: IPython takes one for a name that is not there
            while not over.wait(LOOKUP_S):
                _thread.interrupt_main()

        thread = threading.Thread(target=nag, daemon=True)
        thread.start()
        try:
            return cells.armed(call)
        except BaseException:
            return None
        finally:
            over.set()
            thread.join(LOOKUP_S)

    def _complete(self, message):
        code, cursor = str(message.get("code", "")), int(message.get("cursor", 0))

        def look():
            from IPython.utils.tokenutil import line_at_cursor

            line, start = line_at_cursor(code, cursor)
            return self.shell.complete("", line, cursor - start)

        text, matches = self._bounded(look) or ("", [])
        matches = [match for match in matches if isinstance(match, str)]
        self.send({"type": "completions", "id": message["id"], "matches": matches, "start": max(0, cursor - len(text)), "end": cursor})

    def _inspect(self, message):
        code, cursor = str(message.get("code", "")), int(message.get("cursor", 0))

        def look():
            from IPython.utils.tokenutil import token_at_cursor

            name = token_at_cursor(code, cursor)
            data = self.shell.object_inspect_mime(name, detail_level=1 if message.get("detail") else 0) if name else {}
            return {mime: text for mime, text in data.items() if mime != "text/html" and isinstance(text, str)}

        data = self._bounded(look) or {}
        self.send({"type": "inspection", "id": message["id"], "found": bool(data), "data": data})

    # ---- copies ----

    def _fork(self, message):
        self.channel.inbox = None  # it is not done twice
        given = self.channel.descriptors()
        if len(given) != channel.DESCRIPTORS:
            for fd in given:
                os.close(fd)
            self.send({"type": "forked", "id": message["id"], "message": "a fork needs three descriptors"})
            return
        self.flush()
        self._copying = True
        try:
            copy, between = copies.fork()
        except OSError:
            copy, between = None, None
        finally:
            self._copying = False
        if copy == 0:
            self._begin_copy(given)
            return
        for fd in given:
            os.close(fd)
        self.send({"type": "forked", "id": message["id"], **({"pid": copy} if copy else {"message": "cannot fork"})})
        if between:
            os.waitpid(between, 0)

    def _begin_copy(self, given):
        os.setpgid(0, 0)
        threading.main_thread()._set_native_id()
        self.channel.leave()
        for fd, to in zip(given, (1, 2)):
            os.dup2(fd, to)
            os.close(fd)
        cells.Loop.renew()
        self._late.clear()
        self.attach(given[2])

    # ---- from ready to the end ----

    def _next(self):
        with self.channel.reading:
            while cells.Loop.has_work():
                try:
                    cells.Loop.wait_for(self.channel.fd)
                    break
                except BaseException:  # of a task; it is not a cell's
                    self.channel.check()
            return self.channel.receive()

    def serve(self):
        """Answers until the end of the stream, or until it is told to shut down."""
        kinds = {"run": self._run, "complete": self._complete, "inspect": self._inspect, "fork": self._fork}
        while True:
            try:
                while self._serve_one(kinds):
                    pass
                return
            except BaseException as error:  # a signal handler's of the program's
                self.channel.check()
                errors.report(error)

    def _serve_one(self, kinds):
        if self.current is not None:
            self._end_cell()
        message = self._next()
        if message is None or message.get("type") == "shutdown":
            return False
        answer = kinds.get(message.get("type"))
        if answer:
            answer(message)
        if self.channel.inbox is message:
            self.channel.inbox = None
        return True

    def leave(self):
        """Ends the process as Python would, but for waiting: whoever asked has no use for it."""
        timer = threading.Timer(END_S, os._exit, (0,))
        timer.daemon = True
        timer.start()
        try:
            atexit._run_exitfuncs()
        except BaseException:
            pass
        self.flush()
        os._exit(0)


def _exit_code(error):
    """As Python has it: what is not a number is printed."""
    code = error.code
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    try:
        print(code, file=sys.stderr, flush=True)
    except Exception:
        pass
    return 1


def main():
    """A fresh interpreter becomes a runner."""
    session = Session()
    sys.path.insert(0, "")
    sys.argv[:] = [""]
    session.attach(3)
    session.serve()
    session.leave()
