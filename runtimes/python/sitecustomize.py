# SPDX-License-Identifier: Apache-2.0
"""Tells Retort what ended a Python program.

The interpreter imports this before the program, because runtime.yaml puts this folder into PYTHONPATH. The program
itself is started by the plain interpreter, so that __main__, sys.argv, tracebacks and everything else are exactly as
without Retort; all that stays is a function behind sys.excepthook, which writes {"name", "value", "traceback"} to
descriptor 3. Nothing is imported that the interpreter has not loaded anyway.
"""

import os
import sys

REPORT_FD = 3
VALUE_MAX = 16 * 1024  # characters: a report is at most 256 KiB, and JSON may write one character as six bytes
TRACEBACK_MAX = 24 * 1024


def _forget_us():
    """Takes this folder out of the places that the program and its children can see."""
    ours, _, rest = os.environ.get("PYTHONPATH", "").partition(":")
    if rest:
        os.environ["PYTHONPATH"] = rest
    else:
        os.environ.pop("PYTHONPATH", None)
    if sys.path and sys.path[0] == ours:
        del sys.path[0]
        if not rest and sys.path and sys.path[0] == os.getcwd():  # what the empty rest of PYTHONPATH became
            del sys.path[0]


def _report_is_wanted():
    """Is descriptor 3 a pipe or socket from outside? Keeps it from the program's own children."""
    try:
        kind = os.fstat(REPORT_FD).st_mode & 0o170000
        if kind not in (0o010000, 0o140000):
            return False
        os.set_inheritable(REPORT_FD, False)
        return True
    except OSError:
        return False


def _quoted(text, most):
    from _json import encode_basestring

    if len(text) > most:
        text = text[: most // 2] + "\n[...]\n" + text[-(most // 2) :]
    return encode_basestring(text.encode("utf-8", "backslashreplace").decode())


def _install():
    show = sys.excepthook
    owner = os.getpid()

    def excepthook(kind, value, traceback):
        from io import StringIO

        real, sys.stderr = sys.stderr, StringIO()
        try:
            show(kind, value, traceback)
            text = sys.stderr.getvalue()
        finally:
            sys.stderr = real
        if os.getpid() == owner:  # a forked child's errors are not the program's
            report(kind, value, text)
        if real is not None:
            real.write(text)

    def report(kind, value, text):
        try:
            try:
                words = str(value)
            except BaseException:
                words = "<exception str() failed>"
            data = '{"name": %s, "value": %s, "traceback": %s}' % (
                _quoted(kind.__name__, 256),
                _quoted(words, VALUE_MAX),
                _quoted(text, TRACEBACK_MAX),
            )
            data = data.encode()
            while data:
                data = data[os.write(REPORT_FD, data) :]
        except BaseException:  # whatever went wrong: the program's own story is told next
            pass

    sys.excepthook = sys.__excepthook__ = excepthook


_forget_us()
if _report_is_wanted():
    _install()
if sys.stdout is not None:
    sys.stdout.reconfigure(line_buffering=True)  # what was printed survives a kill
