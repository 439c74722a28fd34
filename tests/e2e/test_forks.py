# SPDX-License-Identifier: Apache-2.0
"""A fork of a frozen interpreter against a fresh start of the same one: a program must not be able to tell, but by the clock.

Both run the same list of programs through `retort batch`. What is equal: status, exit code, signal, limit, output, error.
"""
import json
import re
import shutil
import subprocess

import pytest

from conftest import BIN, RUNTIMES, environment

# A program, or a request with one.
PYTHON = {
    "hello": "print(1)",
    "nothing": "pass",
    "exit code": "import sys; sys.exit(3)",
    "exit code beyond 255": "import sys; sys.exit(515)",
    "exit code negative": "import sys; sys.exit(-1)",
    "exit with words": "import sys; sys.exit('words')",
    "exit with an object": "raise SystemExit([1, 2])",
    "exit from a function": "def f():\n    import sys\n    sys.exit(7)\nf()",
    "exit in a thread": "import threading, sys\nt = threading.Thread(target=lambda: sys.exit(9))\nt.start(); t.join(); print('on')",
    "os._exit": "import os\nprint('lost?', flush=True)\nos._exit(4)",
    "uncaught": "def f(x):\n    return 1 / x\nf(0)",
    "uncaught with cause": "try:\n    {}['k']\nexcept KeyError as e:\n    raise ValueError('v') from e",
    "uncaught group": "raise ExceptionGroup('g', [ValueError(1), TypeError(2)])",
    "syntax error": "def f(:\n    pass",
    "indentation error": "if 1:\nprint(1)",
    "null byte": "print(1)\0",
    "encoding cookie": "# -*- coding: latin-1 -*-\nprint(len('\u00e9'))",
    "future": "from __future__ import annotations\ndef f(x: undefined) -> int: ...\nprint(f.__annotations__)",
    "recursion": "def f(n):\n    return f(n + 1)\ntry:\n    f(0)\nexcept RecursionError as e:\n    n, t = 0, e.__traceback__\n    while t:\n        n, t = n + 1, t.tb_next\n    print(n)",
    "keyboard interrupt": "raise KeyboardInterrupt",
    "killed": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "abort": "import os; os.abort()",
    "segfault": "import ctypes; ctypes.string_at(0)",
    "signal handler": "import signal, os\nsignal.signal(signal.SIGTERM, lambda *a: print('term'))\nos.kill(os.getpid(), 15)",
    "dispositions": "import signal\nprint([signal.getsignal(s) for s in (2, 13, 15, 17, 25)])",
    "names": "print(sorted(globals()), __name__, __file__, __doc__, __spec__, __package__, type(__loader__).__name__)",
    "main module": "import sys, __main__\nprint(__main__ is sys.modules['__main__'], __main__.__dict__ is globals())",
    "argv": {"code": "import sys\nprint(sys.argv, sys.orig_argv, sys.path, sys.flags, sys.executable)", "args": ["a", "b c", "\u00e4"]},
    "environment": {"code": "import os\nprint(sorted(os.environ.items()))\nos.system('env | sort')", "env": {"A": "1", "B": "\u00e4=2"}},
    "variables for the start": {"code": "import sys\nprint(hash('a'), sys.flags.hash_randomization)", "env": {"PYTHONHASHSEED": "1"}},
    "unbuffered": {"code": "import sys\nprint(sys.stdout.write_through)", "env": {"PYTHONUNBUFFERED": "1"}},
    "stdin": {"code": "import sys\nprint(sys.stdin.read().upper(), input if 0 else '')", "stdin": "some\nlines\n"},
    "input": {"code": "print(input('? ') + input())", "stdin": "one\ntwo\n"},
    "no stdin": "print(repr(__import__('sys').stdin.read()))\ntry:\n    input()\nexcept EOFError as e:\n    print('eof', e)",
    "seekable": {"code": "import sys\nprint(sys.stdin.seekable(), sys.stdout.seekable(), sys.stdin.name, sys.stdout.encoding, sys.stdout.errors, sys.stdout.line_buffering)", "stdin": "x"},
    "descriptors": "import os\nprint([f for f in range(100) if os.path.lexists(f'/proc/self/fd/{f}')])",
    "descriptors of a child": "import subprocess\nprint(subprocess.run(['/bin/ls', '/proc/self/fd'], capture_output=True, text=True, close_fds=False).stdout)",
    "who": "import os\nprint(os.getuid(), os.getgid(), os.getgroups(), os.getsid(0) == os.getpid(), os.getcwd(), os.umask(0), os.nice(0))",
    "limits": "import resource\nprint([(n, resource.getrlimit(getattr(resource, n))) for n in dir(resource) if n.startswith('RLIMIT_')])",
    "status": "print([line for line in open('/proc/self/status') if line.startswith(('Cap', 'NoNew', 'Seccomp', 'SigBlk', 'Groups', 'Threads'))])",
    "cgroup": "print(open('/proc/self/cgroup').read())",
    "files": {"files": [{"path": "pkg/main.py", "content": "import sys, helper\nprint(__file__, sys.argv, sys.path[0], helper.x)\nprint(open('pkg/data').read())\n1/0"},
                        {"path": "pkg/helper.py", "content": "x = 5"}, {"path": "pkg/data", "content": "data"}]},
    "traceback of a module": {"files": [{"path": "main.py", "content": "import m\nm.f()"}, {"path": "m.py", "content": "def f():\n    raise LookupError('deep')"}]},
    "no byte code": {"files": [{"path": "main.py", "content": "import m, os\nprint(os.listdir('.'))"}, {"path": "m.py", "content": ""}]},
    "atexit": "import atexit\natexit.register(print, 'bye')\nprint('hi')",
    "atexit and an error": "import atexit\natexit.register(print, 'bye')\n1/0",
    "atexit that fails": "import atexit\natexit.register(lambda: 1/0)",
    "finalizers": "class A:\n    def __del__(self):\n        print('del', self.n)\na = A(); a.n = 1\nb = A(); b.n = 2; b.me = b\ndef f():\n    return a\nprint('end')",
    "unflushed file": "f = open('/tmp/x', 'w')\nf.write('y')\nimport atexit, os\ng = f.fileno()\n",
    "stdout closed": "import os\nos.close(1)\nprint('lost')",
    "stdout replaced": "import sys, io\nsys.stdout = io.StringIO()\nprint('gone')",
    "stderr": "import sys\nprint('out')\nprint('err', file=sys.stderr)\nsys.stderr.write('no newline')",
    "excepthook of its own": "import sys\nsys.excepthook = lambda *a: print('mine', a[0].__name__)\n1/0",
    "unraisable": "class A:\n    def __del__(self):\n        1/0\nA()",
    "threads at the end": "import threading, time\nthreading.Thread(target=lambda: (time.sleep(.05), print('late'))).start()\nprint('main')",
    "daemon thread": "import threading, time\nthreading.Thread(target=lambda: time.sleep(60), daemon=True).start()\nprint('main')",
    "thread identities": "import threading\nprint(threading.main_thread().native_id == threading.get_native_id(), len(threading.enumerate()))",
    "asyncio": "import asyncio\nasync def f():\n    await asyncio.sleep(.001)\n    return 5\nprint(asyncio.run(f()))",
    "subprocess": "import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', 'import os; print(sorted(os.environ))'], capture_output=True, text=True))",
    "fork": "import os\npid = os.fork()\nif pid == 0:\n    print('child', flush=True)\n    os._exit(5)\nprint(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))",
    "a forked child that fails": "import os\npid = os.fork()\nif pid == 0:\n    1/0\nos.wait()\nprint('parent')",
    "multiprocessing": "import multiprocessing as m\ndef f(x):\n    return x * x\nif __name__ == '__main__':\n    with m.Pool(2) as pool:\n        print(pool.map(f, [1, 2, 3]))",
    "warnings": "import warnings\nwarnings.warn('careful')\nprint(warnings.filters[:1])",
    "inspection": "import inspect, sys, traceback\nprint(len(inspect.stack()), sys._getframe().f_back)\ntraceback.print_stack()",
    "source": "import inspect\ndef f():\n    return 1\nprint(inspect.getsource(f))",
    "pickle": "import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))))",
    "dataclass": "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\nprint(P(1))",
    "gc": "import gc\nprint(gc.isenabled(), gc.get_threshold(), gc.callbacks)",
    "locale": "import locale, time\nprint(locale.getlocale(), locale.setlocale(locale.LC_ALL, None), time.tzname)",
    "tempfile": "import tempfile\nwith tempfile.TemporaryDirectory() as d:\n    print(d[:5])",
    "large output": "print('x' * 300000)",
    "binary output": "import sys\nsys.stdout.buffer.write(bytes(range(256)))",
    "cpu limit": {"code": "while True: pass", "limits": {"cpu_ms": 300}},
    "wall limit": {"code": "import time\ntime.sleep(60)", "limits": {"wall_ms": 300}},
    "memory limit": {"code": "x = []\nwhile True: x.append(bytearray(1 << 20))", "limits": {"memory_bytes": 100 << 20}},
    "file limit": {"code": "open('/tmp/x', 'wb').write(b'x' * (2 << 20))", "limits": {"file_bytes": 1 << 20}},
    "denied": "import ctypes\nctypes.CDLL(None).unshare(0x20000)",
}

MASKS = [(r"0x[0-9a-f]+", "0xADDRESS")]


def as_request(language, program):
    request = {"language": language, **(program if isinstance(program, dict) else {"code": program})}
    request["limits"] = {"wall_ms": 20000, "cpu_ms": 10000, **request.get("limits", {})}
    return request


def run_all(language, programs, warm, runtimes):
    lines = "".join(json.dumps(as_request(language, p)) + "\n" for p in programs.values())
    done = subprocess.run([BIN / "retort", "batch", "--jobs", "1", "--warm", language if warm else ""], input=lines, text=True,
                          capture_output=True, timeout=600, env=environment(RETORT_RUNTIMES=str(runtimes)))
    assert done.returncode == 0, done.stderr
    return dict(zip(programs, map(json.loads, done.stdout.splitlines()), strict=True))


def essence(outcome):
    made = {key: outcome.get(key) for key in ("status", "exit_code", "signal", "stdout", "stderr", "error")}
    made["limit"] = (outcome.get("limit") or {}).get("name")
    text = json.dumps(made)
    for pattern, mask in MASKS:
        text = re.sub(pattern, mask, text)
    return json.loads(text)


@pytest.fixture(scope="module")
def light_runtimes(tmp_path_factory):
    """The runtimes, with interpreters that import nothing to speak of before they are frozen."""
    folder = tmp_path_factory.mktemp("runtimes") / "runtimes"
    shutil.copytree(RUNTIMES, folder)
    for described in folder.glob("*/runtime.yaml"):
        described.write_text(re.sub(r"(?m)^  preload: \[.*\]$", "  preload: []", described.read_text()))
    folder.parent.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def python(light_runtimes, installed_languages):
    if missing := installed_languages["python"]:
        pytest.skip(f"toolchain not installed: {missing}")
    cold = run_all("python", PYTHON, False, light_runtimes)
    forked = run_all("python", PYTHON, True, light_runtimes)
    if all(outcome["start"] == "cold" for outcome in forked.values()):
        pytest.skip("this host freezes no interpreter")
    return cold, forked


@pytest.mark.parametrize("name", PYTHON)
def test_python(python, name):
    cold, forked = python[0][name], python[1][name]
    afresh = name in ("variables for the start", "unbuffered")
    assert cold["start"] == "cold" and (forked["start"] == "cold") == afresh
    assert essence(forked) == essence(cold)
