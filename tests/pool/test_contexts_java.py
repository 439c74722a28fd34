# SPDX-License-Identifier: Apache-2.0
"""Java's runner in forks of a frozen JVM (runner.warm of its runtime.yaml), without a sandbox: all its threads are in each fork, and in
what becomes of it when its supervisor goes its own way (src/pool/divide.c).

    RETORT_BUILD=$PWD/build /usr/bin/python3 -m pytest tests/pool/test_contexts_java.py
"""

import os
import select
import socket
import time

import pytest
import yaml

from forkserver import LIBRARY, RUNTIMES, ForkServer
from test_contexts import PATH, SUPERVISOR, Contexts, private_kib, text_of

from runner import Cell, Runner, which  # noqa: E402, test_contexts has set the path

FOLDER = RUNTIMES / "java"

pytestmark = pytest.mark.skipif(not LIBRARY.exists() or not which("java") or not (FOLDER / "runner.jar").exists(), reason="testserver.so or the runner of Java is not built")


class JavaContexts(Contexts):
    def __init__(self, folder):
        self.folder = folder
        self.definition = yaml.safe_load((FOLDER / "runtime.yaml").read_text())["runner"]
        self.env = {"PATH": PATH, "HOME": str(folder), "TMPDIR": str(folder), "LANG": "C.UTF-8", "USER": "guest"}
        values = {"{program:java}": which("java"), "{runtimes}": str(RUNTIMES), "{memory_bytes}": str(1 << 30)}
        argv = []
        for word in self.definition["warm"]["argv"]:
            for name, value in values.items():
                word = word.replace(name, value)
            argv.append(word)
        self.server = ForkServer(argv, folder, self.env | {"FROZEN_ONLY": "seen"})


@pytest.fixture(scope="module")
def contexts(tmp_path_factory):
    contexts = JavaContexts(tmp_path_factory.mktemp("contexts"))
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


def interrupted(context):
    cell = context.begin("while (true);")
    time.sleep(0.5)
    context.interrupt()
    return context.finish(cell, patience=20).status == "interrupted"


def test_a_fork_answers_cells(start):
    context = start()
    assert context.ready["language"] == "java"
    first = context.run("int x = 41;\nSystem.out.println(\"out\");\nx + 1")
    assert (first.text, first.main, first.done["execution_count"]) == ("out\n", {"text/plain": "42"}, 1)
    assert context.run("class A { int f() { return 1 / 0; } }\nnew A().f()").error["traceback"].endswith("\tat A.f(cell 2:1)\n\tat (cell 2:2)\n")
    assert context.run('html("<b>")').items[0]["data"] == {"text/html": "<b>"}
    assert context.run("new Scanner(System.in).nextLine()", inputs=["line"]).main["text/plain"] == "line"
    assert context.run("new ProcessBuilder(\"echo\", \"child\").inheritIO().start().waitFor();").text == "child\n"
    assert interrupted(context)
    assert context.run("System.exit(3);").done["exit_code"] == 3
    assert text_of(context, "IntStream.range(0, 1000).parallel().sum()") == "499500"
    assert text_of(context, "x") == "41"
    answer = context.answer("complete", code="x.", cursor=2)
    assert answer["type"] == "completions"


def test_it_is_as_a_fresh_runner(start, contexts):
    codes = (
        'List.of("" + System.getenv("FROZEN_ONLY"), "" + System.getenv("LD_PRELOAD"), System.getenv("HOME"), System.getProperty("user.dir"), '
        'System.getProperty("user.name"), System.getProperty("user.home"), "" + System.getProperty("retort.park"), System.getProperty("java.class.path"), '
        'System.getProperty("sun.java.command"))',
        "Thread.currentThread().getName() + new Thread().getName() + Thread.currentThread().getThreadGroup().activeCount()",
        "throw new IllegalStateException();",
        "1 / 0",
        "int f(int n) { return g(n); }",
    )
    warm, cold = start(), Runner("java", contexts.folder, env=contexts.env)
    try:
        for code in codes:
            one, other = warm.run(code), cold.run(code)
            assert (one.main, one.text, one.err) == (other.main, other.text, other.err)
            assert (one.error or {}).get("traceback") == (other.error or {}).get("traceback")
    finally:
        cold.close()
    assert text_of(warm, "ProcessHandle.current().pid()") == str(warm.fork_pid)


def test_forks_differ_and_know_nothing_of_each_other(start):
    one, two = start(env={"SECRET": "of one"}), start()
    one.run('String secret = "of one"; System.setProperty("secret", secret);')
    assert two.run("secret").error["name"] == "CompilationError"
    assert text_of(two, '"" + System.getProperty("secret") + System.getenv("SECRET")') == "nullnull"
    code = "List.of(new Random().nextLong(), ThreadLocalRandom.current().nextLong(), Math.random(), UUID.randomUUID())"
    told = [text_of(context, code).strip("[]").split(", ") for context in (one, two, start())]
    for values in zip(*told):
        assert len(set(values)) == 3, values
    assert text_of(one, "secret") == "of one"


def test_it_and_its_supervisor_part(start, contexts):
    program = contexts.folder / "supervisor"
    program.write_text(SUPERVISOR)
    program.chmod(0o755)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        context = start(env={"RETORT_SUPERVISOR": str(program), "OWN": "mine"}, control=theirs)
        ours.settimeout(20)
        child, parent, itself, own, told, *held = ours.recv(1000).decode().split()
        assert parent == itself == str(context.fork_pid) and own == "mine" and told == "False" and held == ["0"]
        context.pid = int(child)
        assert text_of(context, "ProcessHandle.current().pid() + \" \" + ProcessHandle.current().parent().get().pid()") == f"{child} {itself}"
        assert os.getpgid(int(child)) == int(child)
        assert text_of(context, 'System.getenv("RETORT_SUPERVISOR") + System.getenv("OWN") + Path.of("/proc/self/fd/0").toRealPath()') == "nullmine/dev/null"
        assert interrupted(context)
        assert text_of(context, "IntStream.range(0, 1000).parallel().sum()") == "499500"
        context.run("Object o = null; for (int i = 0; i < 200; i++) o = new byte[1 << 20]; System.gc();")
        assert text_of(context, "1 + 1") == "2"
        assert not select.select([ours], [], [], 0)[0]


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


def test_what_a_fork_costs(start, capsys):
    """No aims are tested here: figures are printed, for `pytest -s`. The fork rehearses before it is ready; in a box nobody waits for that."""
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
