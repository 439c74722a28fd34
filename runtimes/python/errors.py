# SPDX-License-Identifier: Apache-2.0
"""Errors as plain Python tells them, without the frames that are the runner's or IPython's."""

import linecache
import os
import sys
import traceback

OURS = os.path.dirname(os.path.abspath(__file__)) + os.sep
VALUE_MAX = 64 << 10  # characters; longer ones lose their middle
TRACEBACK_MAX = 256 << 10
_hidden = [OURS, "<decorator-gen-", "<frozen runpy>"]


def hide(package):
    """Frames of that package's are not the program's."""
    _hidden.append(os.path.dirname(package.__file__) + os.sep)


def is_hidden(filename):
    return filename.startswith(tuple(_hidden))


def _clean(told, seen):
    if told is None or id(told) in seen:
        return
    seen.add(id(told))
    if told.stack is not None:
        told.stack[:] = [frame for frame in told.stack if not is_hidden(frame.filename)]
    for other in (told.__cause__, told.__context__, *(getattr(told, "exceptions", None) or ())):
        _clean(other, seen)


def program_frames(tb, own):
    """The traceback from the first frame of the cell's own on: what is before led to it."""
    at = tb
    while at is not None:
        if at.tb_frame.f_code.co_filename == own:
            return at
        at = at.tb_next
    return tb


def _shortened(text, most):
    return text if len(text) <= most else text[: most // 2] + "\n[...]\n" + text[-(most // 2) :]


def text_of(kind, value, tb):
    """What plain Python would print."""
    try:
        told = traceback.TracebackException(kind, value, tb, compact=True)
        _clean(told, set())
        return "".join(told.format())
    except Exception:  # an exception whose own methods fail
        return f"Traceback (most recent call last):\n{getattr(kind, '__name__', kind)}: <exception could not be shown>\n"


def describe(error, own=None):
    """(name, value, traceback), all of them texts of a bounded length."""
    kind = type(error)
    try:
        value = str(error)
    except Exception:
        value = "<exception str() failed>"
    tb = program_frames(error.__traceback__, own) if own else error.__traceback__
    if kind.__module__ == "IPython.core.error" and kind.__name__ == "UsageError":  # a magic was used wrongly: no frame is the program's
        text = f"UsageError: {value}\n"
    elif isinstance(error, SyntaxError) and error.filename == own:
        if error.text is None and error.lineno:  # found in the tree, which has no text
            error.text = linecache.getline(own, error.lineno)
        text = "".join(traceback.format_exception_only(kind, error))
    else:
        text = text_of(kind, error, tb)
    return kind.__name__, _shortened(value, VALUE_MAX), _shortened(text, TRACEBACK_MAX)


def report(error, own=None):
    """Prints it where Python would. Never raises."""
    try:
        print(describe(error, own)[2], end="", file=sys.stderr, flush=True)
    except Exception:
        pass
