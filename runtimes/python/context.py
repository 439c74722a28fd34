# SPDX-License-Identifier: Apache-2.0
"""Contexts as forks of a frozen Python: what is made before the freeze, in each fork, and when a fork becomes a runner.

warm.py calls this. A fork's runner is as a fresh one: the shell's cells are forgotten, and what must differ is made anew.
"""

import asyncio
import ctypes
import json
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import time

from _retort import session

SUPERVISOR = "RETORT_SUPERVISOR"

# What programs do most, so that what it loads is loaded, and what it writes to is written to.
BEFORE = [
    "1 + 1",
    "print('x')",
    "def f(x):\n    return x / 0\nf(1)",
    "from IPython.display import HTML, display\ndisplay(HTML('<b>x</b>'))\n{'a': [1, 2.5, None]}",
    "import asyncio\nawait asyncio.sleep(0)",
    "f'{1:>5}' + str([*range(3)])",
]
LIBRARIES = {
    "pandas": "import pandas\nt = pandas.DataFrame({'a': [1, 2], 'b': ['x', 'y']})\nt.groupby('b').sum()\nt",
    "matplotlib.pyplot": "import matplotlib.pyplot as plt\nplt.plot([1, 2], label='x')\nplt.title('t')\nplt.legend()\nplt.show()\nplt.bar(['a'], [1])",
}
EACH = "1 + 1"
OFTEN = 100  # Python writes into code that it has run but some times: how it went, and shortcuts for the next time
_session = None


def _run(messages):
    """Requests, through the whole of the runner, with nobody at the other end: so few that their answers have room there."""
    ours, theirs = socket.socketpair()
    for number, message in enumerate(messages):
        body = json.dumps({"id": number + 1, **message}).encode()
        ours.sendall(len(body).to_bytes(4, "big") + body)
    ours.shutdown(socket.SHUT_WR)
    _session.attach(theirs.detach())
    _session.serve()
    _session.detach()
    ours.close()


def _forget():
    _session.fresh.restore()
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close("all")
    tempfile.tempdir = None


def ready():
    """The last thing before the freeze."""
    global _session
    sys.path[:] = ["", *(entry for entry in sys.path if entry)]
    sys.argv[:] = [""]
    _session = session.Session()
    codes = BEFORE + [code for name, code in LIBRARIES.items() if name in sys.modules]
    asked = {"code": "pri", "cursor": 3}
    for message in [*({"type": "run", "code": code} for code in codes), {"type": "complete", **asked}, {"type": "inspect", **asked}]:
        _run([message])
    for _ in range(OFTEN):
        _run([{"type": "run", "code": code} for code in (EACH, "x = 1", "print('x')", "")])
    _session.close_loop()
    asyncio.set_event_loop_policy(None)
    _forget()


def rehearse():
    """In a fork, before there is anybody to serve."""
    _run([{"type": "run", "code": EACH}])
    _forget()
    return True


def _renew():
    """What a fresh interpreter would have of its own."""
    threading.main_thread()._set_native_id()
    logging._startTime = time.time()
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None:
        processes.current_process().authkey = os.urandom(32)
    os.setpgid(0, 0)


def _become_supervisor(path, runner):
    """Never returns."""
    try:
        for fd in (1, 2, 3):
            os.close(fd)
        for name in ("SIGPIPE", "SIGXFSZ"):  # which Python itself ignores
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        os.execve(path, [path, str(runner)], os.environ)
    finally:
        os.kill(runner, signal.SIGKILL)
        os._exit(126)


def begin():
    """The fork is told to go: descriptor 0 is the supervisor's socket, 1 and 2 are pipes, 3 is the protocol. Never returns."""
    supervisor = os.environ.pop(SUPERVISOR, None)
    sys.path[1:1] = filter(None, os.environ.get("PYTHONPATH", "").split(":"))
    if supervisor:
        # The C library's own: Python's would run what a hundred modules do in children, and there is but one thread.
        runner = ctypes.PyDLL(None).fork()
        if runner < 0:
            os._exit(126)
        if runner:
            _become_supervisor(supervisor, runner)
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    _renew()
    _session.attach(3)
    _session.serve()
    _session.leave()
