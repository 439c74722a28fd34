# SPDX-License-Identifier: Apache-2.0
"""Copies of this process that are not its children."""

import os
import sys
import threading

_plain_register = os.register_at_fork
_hooks = 0  # what programs have registered


def watch_hooks():
    """From now on it is known whether a program wants to be told of forks."""

    def register_at_fork(**hooks):
        global _hooks
        _hooks += 1
        _plain_register(**hooks)

    register_at_fork.__doc__, register_at_fork.__module__ = _plain_register.__doc__, "posix"
    os.register_at_fork = register_at_fork


def _own_fork():
    """frozen.c's, where that is loaded and Python has nothing to do after a fork: there is one thread and nobody wants to know."""
    ctypes = sys.modules.get("ctypes")
    if ctypes is None or _hooks or threading.active_count() > 1 or len(sys._current_frames()) > 1:
        return None
    return getattr(ctypes.PyDLL(None), "retort_fork_away", None)


def _fork_plainly():
    """In a fork, which has one thread and whose modules have been told: once is enough, and takes long enough."""
    ctypes = sys.modules.get("ctypes")
    if ctypes is None:
        return os.fork()
    child = ctypes.PyDLL(None).fork()
    if child < 0:
        raise OSError("cannot fork")
    return child


def _fork_twice():
    random = sys.modules.get("random")
    state = random.getstate() if random else None  # Python seeds anew in a child: a copy has all that the original has
    reader, writer = os.pipe()
    between = os.fork()
    if between == 0:
        copy = -1
        try:
            copy = _fork_plainly()
            if copy:
                os.write(writer, b"%d" % copy)
        finally:
            if copy:
                os._exit(0)
        os.close(reader)
        os.close(writer)
        if random:
            random.setstate(state)
        return 0, None
    os.close(writer)
    told = os.read(reader, 32)  # not until its end, which takes as long as the one between does to die
    os.close(reader)
    if not told:
        os.waitpid(between, 0)
        raise OSError("cannot fork")
    return int(told), between


def fork():
    """(0, None) in the copy; here its process id, and a child to wait for, or None. OSError when it cannot be."""
    own = _own_fork()
    if own is None:
        return _fork_twice()
    copy = own()
    if copy < 0:
        raise OSError("cannot fork")
    return copy, None
