# SPDX-License-Identifier: Apache-2.0
"""How Python's runner lives: errors, ends, input, interrupts, tasks, threads, children, copies, and programs that spoil what they can."""

import os
import subprocess
import time

import pytest

import cells_python  # noqa: F401
from runner import Cell, Runner

PYTHON = "/usr/bin/python3"

pytestmark = pytest.mark.skipif(subprocess.run([PYTHON, "-c", "import IPython"], capture_output=True).returncode, reason="IPython is not installed")


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """For cells that leave the runner as it was."""
    runner = Runner("python", tmp_path_factory.mktemp("shared"))
    yield runner
    runner.close()


@pytest.fixture
def runner(tmp_path):
    runner = Runner("python", tmp_path)
    yield runner
    runner.close()


def value(runner, code):
    cell = runner.run(code)
    assert cell.status == "ok", cell.error
    return cell.main["text/plain"]


def interrupted(runner, code, after=0.4):
    cell = runner.begin(code)
    time.sleep(after)
    runner.interrupt()
    return runner.finish(cell, patience=20)


# ---- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [
    "def f():\n    return [][1]\nf()", "raise KeyError('k') from ValueError('v')", "try:\n    1 / 0\nexcept Exception:\n    raise TypeError('second')",
    "raise ExceptionGroup('g', [ValueError(1), TypeError(2)])", "class E(Exception):\n    pass\nraise E", "import json\njson.loads('{')",
    "e = ValueError('v'); e.add_note('a note'); raise e", "def r():\n    r()\nr()", "x = ", "print('a'", "'a", "f(1", "return 3",
    "assert 1 == 2, 'words'", "int('x')", "lambda: (yield)\n1 +* 2", "class A:\n    def m(self):\n        return self.nothing\nA().m()",
])
def test_errors_are_told_as_by_plain_python(shared, tmp_path, code):
    """The same text as of a file, but for its name."""
    name = tmp_path / "main.py"
    name.write_text(code)
    plain = subprocess.run([PYTHON, name], capture_output=True, text=True).stderr
    error = shared.run(code, name=str(name)).error
    if "repeated" in plain:  # how deep the stack is already differs
        plain, error["traceback"] = plain[:300], error["traceback"][:300]
    assert error["traceback"] == plain


@pytest.mark.parametrize("code, name, value", [
    ("1 / 0", "ZeroDivisionError", "division by zero"), ("{}['k']", "KeyError", "'k'"), ("import no_such", "ModuleNotFoundError", "No module named 'no_such'"),
    ("class E(Exception):\n    def __str__(self): raise ValueError\nraise E", "E", "<exception str() failed>"), ("raise ValueError('x' * 10**6)", "ValueError", None),
    ("print('Hello'", "SyntaxError", "'(' was never closed (<cell 6>, line 1)"), ("bytearray(10**15)", "MemoryError", ""),
])
def test_names_and_values(tmp_path, shared, code, name, value):
    error = shared.run(code, name="<cell 6>").error
    assert error["name"] == name and (error["value"] == value or value is None and len(error["value"]) < 70_000 and "[...]" in error["value"])


def test_frames_are_of_cells_by_number(runner):
    runner.run("def f():\n    1 / 0")
    traceback = runner.run("x = 1\nf()").error["traceback"]
    assert 'File "<cell 2>", line 2' in traceback and 'File "<cell 1>", line 2, in f\n    1 / 0' in traceback
    assert value(runner, "import inspect; inspect.getsource(f)") == repr("def f():\n    1 / 0\n")


def test_what_ran_before_an_error_stays(runner):
    runner.run("a = 1\n1 / 0\na = 2")
    assert value(runner, "a") == "1"
    assert runner.run("a = 3\nreturn").status == "error" and value(runner, "a") == "1"


@pytest.mark.parametrize("code, status, err", [
    ("exit", 0, ""), ("exit()", 0, ""), ("quit(4)", 4, ""), ("import sys; sys.exit('words')", 1, "words\n"), ("raise SystemExit(259)", 3, ""), ("import sys; sys.exit(None)", 0, ""),
    ("import asyncio\nasync def f(): raise SystemExit(6)\nawait f()", 6, ""), ("import sys; sys.exit(-1)", 255, "")])
def test_ends(shared, code, status, err):
    cell = shared.run(code)
    assert (cell.status, cell.done["exit_code"], cell.err.decode()) == ("exit", status, err)
    assert value(shared, "1") == "1"


def test_the_end_of_a_thread_or_child_is_not_the_runners(shared):
    assert shared.run("import sys, threading; t = threading.Thread(target=sys.exit, args=(9,)); t.start(); t.join(); print('on')").text == "on\n"
    code = "import os\npid = os.fork()\nif pid == 0:\n    {}\npid and os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])"
    assert value(shared, code.format("raise SystemExit(7)")) == "7"
    assert value(shared, code.format("pass")) == "0"
    cell = shared.run(code.format("print('c'); display('d'); input()"))
    assert cell.main["text/plain"] == "1" and cell.text == "c\n'd'\n" and b"EOFError" in cell.err and len(cell.items) == 1


def test_os_exit_ends_the_runner(runner):
    cell = runner.run("import os; os._exit(9)")
    assert cell.done is None and runner.process.wait(20) == 9
    runner.ended = True


def test_warnings_go_to_stderr_each_time(shared):
    for _ in range(2):
        assert shared.run("import warnings; warnings.warn('careful')", name="<w>").err == b"<w>:1: UserWarning: careful\n  import warnings; warnings.warn('careful')\n"


# ---- input -----------------------------------------------------------------------------------------------------------


def test_every_way_to_read(shared):
    cell = shared.run("import sys\nprint([input('p'), sys.stdin.readline(), sys.stdin.buffer.readline()])", inputs=["a", "b", "c é"])
    assert cell.text == "['a', 'b\\n', b'c \\xc3\\xa9\\n']\n"
    assert [(m["prompt"], m["password"]) for m in cell.messages if m["type"] == "input_request"] == [("p", False), ("", False), ("", False)]
    assert shared.run("import sys; print(repr(sys.stdin.read()), [*sys.stdin])", inputs=["a", "b"]).text == "'a\\nb\\n' []\n"
    assert shared.run("for line in sys.stdin: print(line.strip())", inputs=["a", "b"]).text == "a\nb\n"
    cell = shared.run("from getpass import getpass; print(getpass('secret? '))", inputs=["s"])
    assert cell.text == "s\n" and (cell.messages[0]["prompt"], cell.messages[0]["password"]) == ("secret? ", True)
    assert shared.run("import io\nsys.stdin = io.StringIO('own')\nprint(input())\nsys.stdin = sys.__stdin__").text == "own\n"
    assert shared.run("from pdb import set_trace; x = 5\nset_trace()\ny = 6", inputs=["p x + 1", "c"]).text.count("6\n") >= 1


def test_input_is_told_after_what_was_printed(shared):
    cell = shared.run("print('what', end=' ')\ninput('q')", inputs=["a"])
    assert [kind for kind, _ in cell.story][:2] == ["out", "input_request"]


def test_input_in_threads(shared):
    code = "import threading\ngot = []\ndef ask():\n    try: got.append(input('t'))\n    except EOFError: got.append('eof')\nt = threading.Thread(target=ask); t.start()"
    assert shared.run(code + "; t.join(); print(got)", inputs=["line"]).text == "['line']\n"
    cell = shared.begin(code)  # its cell ends before there is an answer
    while shared.receive(cell)["type"] != "done":
        pass
    assert shared.run("t.join(); print(got)").text == "['eof']\n"


def test_an_interrupt_ends_input_and_late_answers_are_nothing(runner):
    cell = runner.begin("input('q')")
    assert runner.receive(cell)["type"] == "input_request"
    runner.interrupt()
    assert runner.finish(cell).status == "interrupted"
    runner.send({"type": "input", "id": cell.id, "text": "stale"})
    assert runner.run("input()", inputs=["good"]).main["text/plain"] == "'good'"


# ---- interrupts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [
    "!sleep 60", "%%bash\nsleep 60", "import asyncio; await asyncio.sleep(60)", "async def f():\n    while True: pass\nawait f()", "import asyncio; asyncio.run(asyncio.sleep(60))",
    "class S:\n    def __repr__(self):\n        while True: pass\nS()", "import threading; threading.Event().wait()", "import subprocess; subprocess.run(['sleep', '60'])",
    "while True: display(1)", "while True: print(1)", "%timeit -n1 -r1 __import__('time').sleep(60)", "import multiprocessing as m, time\nwith m.Pool(2) as p: p.map(time.sleep, [60, 60])",
])
def test_what_can_be_interrupted(shared, code):
    begun = time.monotonic()
    cell = interrupted(shared, code)
    assert cell.status == "interrupted" and cell.error["name"] == "KeyboardInterrupt" and time.monotonic() - begun < 15
    assert "_retort" not in cell.error["traceback"] and value(shared, "1 + 1") == "2"


def test_a_program_may_catch_it(shared):
    cell = interrupted(shared, "import time\ntry:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    print('caught')\n'on'")
    assert (cell.status, cell.text, cell.main["text/plain"]) == ("ok", "caught\n", "'on'")
    cell = interrupted(shared, "import asyncio\ntry:\n    await asyncio.sleep(60)\nfinally:\n    print('cleaned')")
    assert (cell.status, cell.text) == ("interrupted", "cleaned\n")


def test_an_error_whose_text_never_ends(shared):
    cell = shared.begin("class B(Exception):\n    def __str__(self):\n        while True: pass\nraise B")
    time.sleep(0.4)
    shared.interrupt()
    shared.finish(cell, patience=20)
    assert cell.status == "error" and cell.error["name"] == "B"


def test_a_handler_of_the_programs_is_in_force_in_cells_only(runner):
    runner.run("import signal, time; signal.signal(signal.SIGINT, lambda *a: print('mine'))")
    runner.interrupt()
    time.sleep(0.1)
    assert runner.run("print('quiet')").text == "quiet\n"
    assert interrupted(runner, "time.sleep(1)").text == "mine\n"
    runner.run("signal.signal(signal.SIGINT, signal.SIG_DFL)")
    runner.interrupt()
    time.sleep(0.1)
    runner.run("signal.signal(signal.SIGINT, signal.default_int_handler)")
    assert interrupted(runner, "time.sleep(60)").status == "interrupted"


def test_interrupts_at_every_instant(runner):
    ended = set()
    for i in range(300):
        cell = runner.begin("for i in range(5): display(i)\nx = i")
        time.sleep(0.0003 * (i % 13))
        runner.interrupt()
        runner.interrupt()
        runner.finish(cell, patience=20)
        ended.add(cell.status if cell.status != "error" else str(cell.error))
    assert ended <= {"ok", "interrupted"} and value(runner, "6 * 7") == "42"


def test_other_signals_of_the_programs(runner):
    runner.run("import signal, time\ndef late(*a): raise TimeoutError('late')\nsignal.signal(signal.SIGALRM, late)")
    error = runner.run("signal.setitimer(signal.ITIMER_REAL, 0.2)\ntime.sleep(60)").error
    assert error["name"] == "TimeoutError" and "in late" in error["traceback"]
    runner.run("signal.setitimer(signal.ITIMER_REAL, 0.2)")
    time.sleep(0.5)
    cell = runner.run("print('on')")
    assert (cell.status, cell.text) == ("ok", "on\n") and cell.err.endswith(b"TimeoutError: late\n")
    for delay in range(1, 120):  # at all instants around the end of a cell
        cell = runner.run(f"signal.setitimer(signal.ITIMER_REAL, {delay * 5e-6})\nfor i in range(3): display(i)")
        assert cell.status in ("ok", "error")
    runner.run("signal.setitimer(signal.ITIMER_REAL, 0)")
    assert value(runner, "6 * 7") == "42"


# ---- tasks, threads, children ----------------------------------------------------------------------------------------


def test_tasks_outlive_their_cells(runner):
    runner.run("import asyncio\nasync def tick():\n    for i in range(3):\n        await asyncio.sleep(0.05)\n        print('tick', i)\n    return 'done'\ntask = asyncio.create_task(tick())")
    time.sleep(0.6)
    cell = runner.run("task.done(), task.result()")
    assert cell.text == "tick 0\ntick 1\ntick 2\n" and cell.main["text/plain"] == "(True, 'done')"
    runner.run("again = asyncio.create_task(tick())\nawait asyncio.sleep(0)")
    assert runner.run("await again").main["text/plain"] == "'done'"
    assert runner.run("asyncio.run(tick())").main["text/plain"] == "'done'"
    runner.run("async def fail(): raise SystemExit(3)\nt = asyncio.ensure_future(fail())")
    time.sleep(0.2)
    assert value(runner, "1") == "1"


def test_async_for_and_with(shared):
    assert shared.run("async def g():\n    for i in range(3): yield i\nasync for i in g():\n    print(i)\n[i async for i in g()]").main["text/plain"] == "[0, 1, 2]"


def test_threads_go_on_between_cells(runner):
    runner.run("import threading, time\ndef t():\n    for i in range(3):\n        time.sleep(0.1)\n        print('t', i)\n    display('from it')\nthread = threading.Thread(target=t); thread.start()")
    time.sleep(0.8)
    cell = runner.run("thread.join()")
    assert cell.text == "t 0\nt 1\nt 2\n" and [item["data"] for item in cell.items] == [{"text/plain": "'from it'"}]


def test_displays_of_many_threads(shared):
    cell = shared.run("import threading\nts = [threading.Thread(target=lambda: [display(i) for i in range(100)]) for _ in range(4)]\nfor t in ts: t.start()\nfor t in ts: t.join()")
    assert cell.status == "ok" and len(cell.items) == 400


def test_processes(shared):
    code = "import multiprocessing as mp, pickle\ndef sq(x): return x * x\nclass P:\n    def __init__(self, x): self.x = x\n"
    assert value(shared, code + "with mp.Pool(2) as p: r = p.map(sq, [1, 2, 3])\nr, pickle.loads(pickle.dumps(P(4))).x") == "([1, 4, 9], 4)"
    assert value(shared, "from concurrent.futures import ProcessPoolExecutor as X\nwith X(2) as x: r = list(x.map(sq, [4, 5]))\nr") == "[16, 25]"
    assert shared.run("def say(): print('from a child')\np = mp.Process(target=say); p.start(); p.join()").text == "from a child\n"
    assert value(shared, "from dataclasses import dataclass\n@dataclass\nclass D:\n    x: int = 1\nD()") == "D(x=1)"


def test_children_do_not_hold_the_protocol(runner):
    runner.run("import os, subprocess\np = subprocess.Popen(['sleep', '60'])\nif os.fork() == 0:\n    import time; time.sleep(60)")
    runner.run("import os; os._exit(0)")
    runner.process.wait(20)
    assert runner.receive(Cell(), patience=10) is None


def test_copies(runner):
    runner.run("import random, os, asyncio\nrandom.seed(5)\nx = [1]\nasync def f():\n    await asyncio.sleep(0.01)\n    return len(x)\nawait f()")
    copy = runner.fork()
    try:
        assert value(copy, "x.append(2); x, await f()") == "([1, 2], 2)" and value(runner, "x, await f()") == "([1], 1)"
        assert value(copy, "random.random()") == value(runner, "random.random()")
        assert value(copy, "import threading; os.getpid() == os.getpgid(0) == threading.main_thread().native_id") == "True" and value(copy, "os.getpid()") == str(copy.pid)
        assert copy.ready["mark"] != runner.ready["mark"]
        again = copy.fork()
        runner.interrupt()
        assert value(again, "x, await f()") == "([1, 2], 2)"
        assert interrupted(again, "while True: pass").status == "interrupted"
        again.close()
        copy.run("os._exit(1)")
        copy.ended = True
    finally:
        copy.close()
    assert value(runner, "len(x)") == "1"


# ---- programs that spoil what they can -------------------------------------------------------------------------------


def test_descriptors(runner, tmp_path):
    assert runner.run("import os; os.close(3)").error["name"] == "OSError"
    cell = runner.run("kept = os.dup(1); f = os.open('o.txt', os.O_CREAT | os.O_RDWR); os.dup2(f, 1); print('to file')")
    assert cell.status == "ok" and cell.out == b""
    assert runner.run("os.dup2(kept, 1); print('back')").text == "back\n" and (tmp_path / "o.txt").read_text() == "to file\n"
    assert runner.run("os.closerange(3, 900)\nprint('here')").text == "here\n"
    runner.run("os.close(2)")
    assert runner.run("print('still')").text == "still\n"
    runner.run("os.close(1)")
    assert runner.run("x = 1").status == "ok"


def test_streams(runner):
    runner.run("import sys, io\nold = sys.stdout\nsys.stdout = io.StringIO(); print('hidden')")
    assert runner.run("print('hidden too'); sys.stdout = old; print('seen')").text == "seen\n"
    runner.run("class W:\n    def write(self, text): old.write(text.upper())\n    def flush(self): raise ValueError\nsys.stdout = W()")
    assert runner.run("print('up')").text == "UP\n"
    runner.run("sys.stdout = None; sys.stderr = None")
    assert runner.run("print('nowhere'); sys.stdout = old; print('back')").text == "back\n"
    assert runner.run("import ctypes; ctypes.CDLL(None).puts(b'from C'); display(1); old.write('py')").out == b"from C\npy"
    assert runner.run("old.write('\\udcff'); old.flush(); import os; os.write(1, b'\\xfe');").out == b"\xff\xfe"
    assert runner.run("del print\nimport builtins; del builtins.print, builtins.open\n1").status in ("ok", "error") and value(runner, "2") == "2"


def test_modules_that_are_in_the_way(runner, tmp_path):
    for name in ("json", "items", "session", "channel", "asyncio", "traceback"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('not this one')")
    (tmp_path / "mine.py").write_text("x = 5")
    assert value(runner, "import mine; mine.x") == "5"
    assert runner.run("1 / 0").error["name"] == "ZeroDivisionError" and runner.run("import items").error["value"] == "not this one"
    runner.run("import sys; sys.path.clear(); sys.modules.pop('json'); sys.modules.pop('traceback')")
    assert value(runner, "[1]") == "[1]"


def test_deep_and_long(runner):
    assert runner.run("x = []\nfor i in range(2000): x = [x]\nx").error["name"] == "RecursionError"
    assert runner.run("import sys; sys.setrecursionlimit(200)\n" + "def r(n): return n and r(n - 1)\nr(500)").error["name"] == "RecursionError"
    assert value(runner, "sys.setrecursionlimit(1000); 1") == "1"
    assert runner.run("print('x' * 3_000_000)\n" * 3).text == ("x" * 3_000_000 + "\n") * 3
    data, = [item["data"] for item in runner.run("display({'image/png': bytes(15 << 20)}, raw=True)").items]
    assert len(data["image/png"]) == 20 << 20
    assert runner.run("y = 1\n" * 20_000).status == "ok" and value(runner, "list(range(10**6));\n5") == "5"


def test_lookups_are_bounded(runner, tmp_path):
    runner.run("class C:\n    @property\n    def p(self):\n        while True: pass\nc = C(); words = {'key one': 1}\nopen('data.csv', 'w').close()")
    assert runner.answer("complete", code="c.p.", cursor=4)["matches"] == []
    assert not runner.answer("inspect", code="c.p.x", cursor=5, detail=0)["found"]

    def completed(code):
        answer = runner.answer("complete", code=code, cursor=len(code))
        return [code[: answer["start"]] + match for match in answer["matches"]]

    assert completed("x = 1\nopen('da") == ["x = 1\nopen('data.csv"] and "words.items" in completed("words.it")
    assert completed("words['ke") == ["words['key one"] and "%timeit" in completed("%timei") and completed("é = words.ite") == ["é = words.items"]
    assert "Return the number" in runner.answer("inspect", code="é; len(words)", cursor=5, detail=1)["data"]["text/plain"]
    assert value(runner, "1") == "1"


def test_shutdown_runs_exit_functions_but_waits_for_nothing(runner, tmp_path):
    runner.run("import atexit, threading, time\natexit.register(lambda: open('left', 'w').close())\nthreading.Thread(target=time.sleep, args=(60,)).start()")
    assert runner.close() == 0 and (tmp_path / "left").exists()


def test_a_closed_protocol_ends_the_runner(runner):
    runner.run("import os, threading, time\ndef close():\n    time.sleep(0.2)\n    os.closerange(900, 2000)\nthreading.Thread(target=close).start()")
    time.sleep(0.5)
    runner.protocol.close()
    assert runner.process.wait(20) in (0, 1)
    runner.ended = True


def test_nothing_else_is_left_of_the_runner_in_a_programs_sight(runner):
    assert value(runner, "import sys, os; [n for n in sys.path if 'runtimes' in n], sys.argv, os.path.exists('/proc/self/fd/3')") == "([], [''], False)"
    assert value(runner, "input.__module__, os.environ.get('MPLBACKEND')") == "('builtins', 'Agg')"
    assert value(runner, "[m for m in ('matplotlib', 'pandas', 'numpy', 'prompt_toolkit', 'jedi') if m in sys.modules]") == "[]"
