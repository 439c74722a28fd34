# SPDX-License-Identifier: Apache-2.0
"""Python's runner in forks of a frozen interpreter (runner.warm of its runtime.yaml), without a sandbox: what each fork answers,
that none knows of another, and how it and its supervisor part.

    RETORT_BUILD=$PWD/build /usr/bin/python3 -m pytest tests/pool/test_contexts.py
"""

import array
import os
import select
import socket
import subprocess
import sys
import time

import pytest
import yaml

from forkserver import LIBRARY, ROOT, RUNTIMES, ForkServer

sys.path.append(str(ROOT / "tests" / "runner-conformance"))
from runner import Cell, Runner  # noqa: E402

PATH = "/usr/local/bin:/usr/bin:/bin"
PYTHON = "/usr/bin/python3"

pytestmark = pytest.mark.skipif(not LIBRARY.exists(), reason="tests/pool/testserver.so is not built")


class Contexts:
    """The interpreter that runtime.yaml's runner.warm says, frozen; each context is a fork."""

    def __init__(self, folder):
        self.folder = folder
        python = RUNTIMES / "python"
        self.definition = yaml.safe_load((python / "runtime.yaml").read_text())["runner"]
        self.env = {"PATH": PATH, "HOME": str(folder), "TMPDIR": str(folder), "LANG": "C.UTF-8", "USER": "guest"}
        warm = {"PYTHONPATH": str(python), "MPLBACKEND": "Agg", "MPLCONFIGDIR": str(folder / ".matplotlib"), "OPENBLAS_NUM_THREADS": "1",
                "FROZEN_ONLY": "seen"}
        argv = [PYTHON, str(python / "warm.py"), str(python / "runner.py"), *self.definition["warm"]["preload"]]
        self.server = ForkServer(argv, folder, self.env | warm, preload=[python / "frozen.so"])

    def start(self, env=None, control=None):
        """A context; control: the socket that is its descriptor 0."""
        ours, theirs = socket.socketpair()
        out, err = os.pipe(), os.pipe()
        null = os.open("/dev/null", os.O_RDONLY)
        strings = os.memfd_create("strings")
        texts = ["1", "runner.py", *(f"{name}={value}" for name, value in (self.env | (env or {})).items())]
        os.write(strings, b"".join(text.encode() + b"\0" for text in texts))
        os.lseek(strings, 0, os.SEEK_SET)
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        given = [control.fileno() if control else null, out[1], err[1], theirs.fileno(), folder, strings]
        self.server.socket.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", given))])
        pid = int.from_bytes(self.server.socket.recv(4), "little")
        for fd in (null, strings, folder, out[1], err[1]):
            os.close(fd)
        theirs.close()
        context = Runner.__new__(Runner)
        context.language, context.work, context.process = "python", self.folder, None
        context.fork_pid = pid
        context._begin(ours, out[0], err[0], pid)
        return context

    def close(self):
        self.server.close()


@pytest.fixture(scope="module")
def contexts(tmp_path_factory):
    if subprocess.run([PYTHON, "-c", "import IPython, pandas, matplotlib"], capture_output=True).returncode:
        pytest.skip("IPython, pandas or matplotlib is not installed")
    contexts = Contexts(tmp_path_factory.mktemp("contexts"))
    yield contexts
    contexts.close()


@pytest.fixture
def start(contexts):
    started = []

    def start(**more):
        started.append(contexts.start(**more))
        return started[-1]

    yield start
    for context in started:
        context.close()
        os.waitpid(context.fork_pid, 0)


def text_of(context, code):
    cell = context.run(code)
    assert cell.status == "ok", cell.error
    return cell.main["text/plain"]


def test_a_fork_answers_cells(start):
    context = start()
    assert context.ready["language"] == "python" and {"complete", "inspect", "fork", "input"} <= set(context.ready["features"])
    first = context.run("x = 41\nprint('out')\nx + 1")
    assert (first.text, first.main, first.done["execution_count"]) == ("out\n", {"text/plain": "42"}, 1)
    assert context.run("import sys; print(x, file=sys.stderr)").err == b"41\n"
    item = context.run("import matplotlib.pyplot as plt\nplt.plot([1, 2]);").items[0]["data"]
    assert {"image/png", "text/plain", "application/vnd.retort.chart+json"} <= set(item)
    assert context.run("import pandas as pd\npd.DataFrame({'a': [1]})").main["application/vnd.retort.data+json"] == {"a": [1]}
    assert context.run("input('?')", inputs=["line"]).main["text/plain"] == "'line'"
    cell = context.begin("while True: pass")
    time.sleep(0.3)
    context.interrupt()
    assert context.finish(cell).status == "interrupted"


def test_it_is_as_a_fresh_runner(start, contexts):
    code = ("import sys, os, threading, asyncio\n"
            "print(sorted(n for n in globals() if not n.startswith('_i') and n not in ('sys', 'os', 'threading', 'asyncio')))\n"
            "print(In, Out, _, __, get_ipython().execution_count, sys.argv, sys.path[0], __name__, sys.modules['__main__'].__dict__ is globals())\n"
            "print(sorted(n for n in os.environ if n.startswith(('RETORT', 'PYTHON', 'LD_', 'FROZEN', 'TEST_'))), os.getcwd(), os.environ['HOME'])\n"
            "print([t.name for t in threading.enumerate()], threading.main_thread().native_id == os.getpid(), os.path.realpath('/proc/self/fd/0'))\n"
            "print([os.readlink(f'/proc/self/fd/{n}').split(':')[0] for n in sorted(os.listdir('/proc/self/fd'), key=int)[:3]])\n"
            "print(hasattr(sys, 'last_value'), [n for n in __import__('linecache').cache if n.startswith('<cell')], sys.dont_write_bytecode)\n")
    warm = start().run(code)
    cold = Runner("python", contexts.folder)
    try:
        fresh = cold.run(code)
        assert (warm.text, warm.err) == (fresh.text, b"") and fresh.err == b""
        failing = "def f():\n    return [][1]\nf()"
        assert cold.run(failing).error["traceback"].replace("<cell 2>", "<cell 1>") == start().run(failing).error["traceback"]
    finally:
        cold.close()


def test_the_environment_is_the_contexts_own(start):
    context = start(env={"OWN": "a=b", "RETORT_SUPERVISOR_NOT": "1"})
    assert text_of(context, "import os; os.environ['OWN'], os.environ.get('FROZEN_ONLY'), os.getenv('PYTHONPATH')") == "('a=b', None, None)"
    assert context.run("!echo $OWN $FROZEN_ONLY $LD_PRELOAD $PYTHONPATH").text == "a=b\n"


def test_forks_differ_in_random_state(start):
    code = ("import random, numpy, os, uuid, secrets, multiprocessing, tempfile\n"
            "[random.random(), numpy.random.rand(), numpy.random.default_rng().random(), os.urandom(4).hex(), str(uuid.uuid4()), secrets.token_hex(4),"
            " bytes(multiprocessing.current_process().authkey).hex(), os.path.basename(tempfile.mktemp())]")
    told = [start().run(code).main["application/json"] for _ in range(4)]
    for values in zip(*told):
        assert len(set(values)) == 4, values


def test_nothing_of_one_is_in_another(start):
    one = start(env={"SECRET": "of one"})
    one.run("secret = 'of one'\nimport os, sys, builtins\nbuiltins.leak = 1\nsys.leak = 1\nos.environ['LEAK'] = '1'\nos.chdir('/')\nget_ipython().user_ns_hidden['leak'] = 1")
    two = start()
    assert text_of(two, "'secret' in globals(), __import__('os').environ.get('SECRET'), __import__('os').environ.get('LEAK')") == "(False, None, None)"
    assert text_of(two, "import builtins, sys; hasattr(builtins, 'leak'), hasattr(sys, 'leak'), 'leak' in get_ipython().user_ns_hidden") == "(False, False, False)"
    assert text_of(two, "Out.keys(), len(In)") == "(dict_keys([1, 2]), 4)"
    assert text_of(one, "secret") == "'of one'"


SUPERVISOR = """#!/usr/bin/python3 -IS
import os, sys
def is_open(fd):
    try:
        return bool(os.fstat(fd))
    except OSError:
        return False
held = [str(fd) for fd in range(4) if is_open(fd)]
parent = open(f"/proc/{sys.argv[1]}/stat").read().split()[3]
os.write(0, " ".join([sys.argv[1], parent, str(os.getpid()), os.environ["OWN"], str("RETORT_SUPERVISOR" in os.environ), *held]).encode())
while os.read(0, 100):
    pass
os.kill(int(sys.argv[1]), 9)
"""


def test_it_and_its_supervisor_part(start, contexts):
    program = contexts.folder / "supervisor"
    program.write_text(SUPERVISOR)
    program.chmod(0o755)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        look_at_both(start(env={"RETORT_SUPERVISOR": str(program), "OWN": "mine"}, control=theirs), ours)


def look_at_both(context, ours):
    ours.settimeout(20)
    child, parent, itself, own, told, *held = ours.recv(1000).decode().split()
    assert parent == itself == str(context.fork_pid) and own == "mine" and told == "False" and held == ["0"]
    context.pid = int(child)
    assert text_of(context, "import os; os.getpid(), os.getppid(), os.getpgid(0) == os.getpid()") == f"({child}, {itself}, True)"
    assert text_of(context, "os.environ.get('RETORT_SUPERVISOR'), os.readlink('/proc/self/fd/0')") == "(None, '/dev/null')"
    assert text_of(context, "1 + 1") == "2"
    assert not select.select([ours], [], [], 0)[0]
    cell = context.begin("while True: pass")
    time.sleep(0.3)
    context.interrupt()
    assert context.finish(cell).status == "interrupted"


def test_a_supervisor_that_cannot_be_started_ends_both(contexts):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        try:
            context = contexts.start(env={"RETORT_SUPERVISOR": "/no/such/program"}, control=theirs)
        except TypeError:  # it ended before it was ready
            return
        while context.receive(Cell()) is not None:
            pass
        os.waitpid(context.fork_pid, 0)


@pytest.mark.parametrize("before", ["0", "import os; os.register_at_fork(after_in_child=lambda: globals().update(told=1))", "import threading, time; threading.Thread(target=time.sleep, args=(5,), daemon=True).start()"])
def test_copies_of_a_fork(start, before):
    """By frozen.c's own fork, and by Python's where a program wants to know or has threads."""
    context = start()
    context.run("import os, random, threading\nx = [1]; random.seed(3)")
    context.run(before)
    copies = [context.fork()]
    copies.append(copies[0].fork())
    try:
        assert text_of(copies[0], "x.append(2); x, random.random()") == text_of(copies[1], "x.append(2); x, random.random()")
        assert text_of(context, "x") == "[1]" and text_of(context, "1 / 3") == "0.3333333333333333"
        for copy in copies:
            assert text_of(copy, "os.getpid(), os.getpgid(0), threading.main_thread().native_id, threading.active_count()") == f"({copy.pid}, {copy.pid}, {copy.pid}, 1)"
            assert text_of(copy, "os.getppid() == " + str(context.fork_pid)) == "False"
            assert copy.run("!echo child").text == "child\n" and copy.run("import asyncio; await asyncio.sleep(0.01)").status == "ok"
            assert copy.run("import multiprocessing as mp\nwith mp.Pool(2) as p: print(p.map(abs, [-1]))").text == "[1]\n"
        assert context.run("!echo original").text == "original\n"
        cell = copies[1].begin("while True: pass")
        time.sleep(0.3)
        copies[1].interrupt()
        assert copies[1].finish(cell).status == "interrupted"
    finally:
        for copy in copies:
            copy.close()


def private_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as lines:
        return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty"))


def test_what_a_fork_costs(start, capsys):
    """No aims are tested here: figures are printed, for `pytest -s`."""
    took, sizes = [], []
    for _ in range(8):
        begun = time.monotonic()
        context = start()
        ready = time.monotonic()
        assert text_of(context, "1 + 1") == "2"
        took.append((ready - begun, time.monotonic() - begun))
        sizes.append(private_kib(context.pid))
    with capsys.disabled():
        middle = sorted(took)[len(took) // 2]
        print(f" fork to ready {middle[0] * 1000:.1f} ms, to the first answer {middle[1] * 1000:.1f} ms; private memory {sorted(sizes)[len(sizes) // 2]} KiB")
