# SPDX-License-Identifier: Apache-2.0
"""What is the Jupyter runner's own: what kernels say in which order, what they get wrong, how they fail and end."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
import yaml

import runner as harness
from runner import RUNTIMES, Runner
from test_conformance import installed

# A kernel that does what its first argument says, and speaks just as much Jupyter as that takes.
ODD_KERNEL = """
import json, os, sys, time
what, connection = sys.argv[1:]
if what == "ends":
    print("no licence", file=sys.stderr)
    sys.exit(4)
if what == "sleeps":
    time.sleep(100)
"""


# For cells of ipykernel: says with its sockets what ipykernel never would.
FORGE = """
import hmac, json
kernel = get_ipython().kernel
key, mine = kernel.session.key, kernel.get_parent()['header']
def forge(key, kind, content, parent={}):
    parts = [json.dumps(x, default=str).encode() for x in ({'msg_type': kind, 'msg_id': '1'}, parent, {}, content)]
    kernel.iopub_socket.send_multipart([b'x', b'<IDS|MSG>', hmac.new(key, b''.join(parts), 'sha256').hexdigest().encode(), *parts])
"""


@pytest.fixture
def start(tmp_path):
    """Starts a language's runner, if that is installed, with other options."""
    started = []

    def begin(language, change=lambda argv: argv):
        if not installed(language):
            pytest.skip(f"{language} is not installed")
        argv, env = harness.argv_of(language, tmp_path)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(harness, "argv_of", lambda language, work: (change(argv), env))
            started.append(Runner(language, tmp_path))
        return started[-1]

    yield begin
    for one in started:
        one.close()


@pytest.fixture
def python(start):
    return start("ipykernel")


@pytest.fixture
def r(start):
    return start("irkernel")


def failing(tmp_path, *words):
    """The exit code and stderr of a runner that cannot start."""
    if not installed("ipykernel"):
        pytest.skip("ipykernel is not installed")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        done = subprocess.run([sys.executable, "-I", RUNTIMES / "jupyter/runner.py", *words], cwd=tmp_path, capture_output=True, text=True,
                              preexec_fn=lambda: os.dup2(theirs.fileno(), 3), pass_fds=(3,), timeout=60)
    return done.returncode, done.stderr


def odd_kernel(tmp_path, what):
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd.py").write_text(ODD_KERNEL)
    (tmp_path / "odd/kernel.json").write_text(json.dumps({"argv": ["python3", str(tmp_path / "odd.py"), what, "{connection_file}"]}))
    return str(tmp_path / "odd")


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def ends_within(pid, seconds):
    deadline = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(pid)


# ---- starting ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what, sentence", [("ends", "ended before it was ready, with exit code 4"), ("sleeps", "was not ready within 2 s")])
def test_a_kernel_that_does_not_become_ready(tmp_path, what, sentence):
    code, said = failing(tmp_path, "--ready-s=2", odd_kernel(tmp_path, what))
    assert code == 1 and said.splitlines()[-1].startswith("retort: the kernel ") and sentence in said


@pytest.mark.parametrize("words, sentence", [(["no-such"], "no kernel 'no-such'"), ([], "one kernel is expected"), (["--speed=9", "x"], "unknown option")])
def test_wrong_words(tmp_path, words, sentence):
    code, said = failing(tmp_path, *words)
    assert code == 1 and sentence in said and len(said.splitlines()) == 1


def test_a_program_that_is_not_there(tmp_path):
    (tmp_path / "kernel.json").write_text('{"argv": ["no-such-program"]}')
    code, said = failing(tmp_path, str(tmp_path))
    assert code == 1 and "cannot be started: no-such-program: No such file" in said


def test_any_kernel_over_tcp(start):
    one = start("ipykernel", lambda argv: [word.replace("=ipc", "=tcp") for word in argv])
    assert one.run("21 * 2").main["text/plain"] == "42"


def test_nothing_is_left_in_the_directory_or_in_tmp(start, tmp_path):
    one = start("ipykernel")
    one.run("import os\nhere = os.listdir('.')")
    assert one.run("sorted(here)").main["text/plain"] == "['tmp']"
    folder = one.run("import ipykernel\nprint(os.path.dirname(ipykernel.get_connection_file()))").text.strip()
    assert os.path.isdir(folder)
    assert one.close() == 0 and not os.path.exists(folder)


# ---- order ---------------------------------------------------------------------------------------------------------


def test_the_main_item_is_the_last(python):
    cell = python.run("import matplotlib.pyplot as plt\nplt.plot([1, 2])\n'value'", formats=["svg"])
    assert [item["main"] for item in cell.items] == [False, True]
    assert "<svg" in cell.items[0]["data"]["image/svg+xml"] and cell.main["text/plain"] == "'value'"
    cell = python.run("plt.plot([1, 2]);", formats=["png"])
    assert base64.b64decode(cell.items[0]["data"]["image/png"], validate=True).startswith(b"\x89PNG")


def test_displays_that_are_updated(python):
    cell = python.run("h = display('one', display_id=True)\nprint('between')\nh.update('two')")
    assert [(kind, what["data"]["text/plain"] if kind == "item" else what) for kind, what in cell.story[:3]] == [("item", "'one'"), ("out", b"between\n"), ("item", "'two'")]


@pytest.mark.parametrize("code, shown, main", [
    ("5; y <- 2", ["[1] 5"], None), ("5; 6", ["[1] 5", "[1] 6"], "[1] 6"), ("x <- 1\nx\ninvisible(3)", ["[1] 1"], None),
    ("cat('a'); 7", ["[1] 7"], "[1] 7"), ("7; cat('a')", ["[1] 7"], None), ("8; IRdisplay::display_html('h')", ["[1] 8", None], None),
])
def test_values_of_r(r, code, shown, main):
    for _ in range(2):
        cell = r.run(code)
        assert [item["data"].get("text/plain") for item in cell.items] == shown
        assert (cell.main and cell.main["text/plain"]) == main
    assert all("retort" not in item.get("metadata", {}) for item in cell.items)


def test_a_figure_of_r_comes_before_the_value(r):
    cell = r.run("plot(1:3)\n7", formats=["svg"])
    assert ["image/svg+xml" in item["data"] for item in cell.items] == [True, False] and cell.main["text/plain"] == "[1] 7"
    assert r.run("cat('seen'); 5", silent=True).text == "seen"


# ---- results -------------------------------------------------------------------------------------------------------


def test_a_figure_of_20_megabytes(python):
    cell = python.run("import os\nfrom IPython.display import Image\nraw = b'\\x89PNG' + os.urandom(20 << 20)\nImage(raw, format='png')")
    data = base64.b64decode(cell.main["image/png"], validate=True)
    assert len(data) == (20 << 20) + 4
    assert python.run("import hashlib\nhashlib.sha256(raw).hexdigest()").main["text/plain"].strip("'") == __import__("hashlib").sha256(data).hexdigest()


def test_a_result_that_is_too_big_is_named(python):
    cell = python.run("display({'text/html': 'x' * (33 << 20)}, raw=True)\nprint('on')")
    assert list(cell.items[0]["data"]) == ["text/plain"] and cell.text == "on\n"
    for word in ("text/html", str(32 << 20)):
        assert word in cell.items[0]["data"]["text/plain"]


def test_json_that_others_cannot_read(python):
    value = "{'a': float('nan'), 'b': [10**300, 2**63 - 1, float('-inf'), 1.5]}"
    cell = python.run(FORGE + f"forge(key, 'display_data', {{'data': {{'application/json': {value}, 'x/y': ['a', 'b']}}}}, mine)")
    assert cell.items[0]["data"] == {"application/json": {"a": None, "b": [1e300, 2**63 - 1, None, 1.5]}, "x/y": "ab"}


def test_a_hundred_thousand_messages(python):
    cell = python.run("for i in range(100_000):\n    get_ipython().display_pub.session.send(get_ipython().kernel.iopub_socket, 'display_data',"
                      " {'data': {'text/plain': str(i)}, 'metadata': {}}, parent=get_ipython().kernel.get_parent())", patience=300)
    assert [item["data"]["text/plain"] for item in cell.items] == [str(i) for i in range(100_000)]
    assert python.run("1").status == "ok"


def test_what_a_cell_writes_below_python(python):
    cell = python.run("import os, subprocess\nsubprocess.run(['printf', 'a\\\\377b'])\nos.write(2, b'\\xfe');")
    assert (cell.out, cell.err) == (b"a\xffb", b"\xfe")


def test_descriptors_are_the_cells(python):
    ours = os.readlink(f"/proc/{python.pid}/fd/1")
    assert python.run("import os\nprint(os.readlink('/proc/self/fd/1'))").text == ours + "\n"
    assert python.run("os.closerange(0, 3)\nprint('still')").text == "still\n"
    assert python.run("1 + 1").main["text/plain"] == "2"


def test_children_that_live_on(python):
    begun = time.monotonic()
    cell = python.run("import subprocess\nchild = subprocess.Popen(['sh', '-c', 'sleep 2; echo late'])\nchild.pid;")
    assert cell.status == "ok" and time.monotonic() - begun < 2
    assert python.run("import time\nchild.wait();").text == "late\n"


# ---- what else a kernel may say -------------------------------------------------------------------------------------


def test_rubbish_and_forgeries_are_as_if_not_said(python):
    code = FORGE + """
for junk in ([b'junk'], [b'stream', b'<IDS|MSG>'], [b'<IDS|MSG>', b'x', b'{', b'{', b'{', b'{'], [b''] * 9):
    kernel.iopub_socket.send_multipart(junk)
forge(b'wrong', 'stream', {'name': 'stdout', 'text': 'forged'})
for kind in ('stream', 'display_data', 'execute_result', 'status', 'clear_output', 'no_such'):
    for content in ([], 7, None, {}, {'data': 7, 'metadata': 'x', 'name': 3, 'execution_state': []}, {'data': {'text/plain': None, 'a/b': {'c': 1}}}):
        forge(key, kind, content, mine)
print('real')
"""
    cell = python.run(code)
    assert cell.status == "ok" and "real\n" in cell.text and "forged" not in cell.text
    assert python.run("6 * 7").main["text/plain"] == "42"


def test_help_becomes_an_item(python):
    cell = python.run("len?")
    assert "number of items" in cell.items[0]["data"]["text/plain"] and "\x1b" not in cell.items[0]["data"]["text/plain"]


def test_requests_that_make_no_sense(python):
    assert python.answer("complete", code="é", cursor=1)["type"] == "completions"
    assert python.answer("inspect", code="", cursor=0, detail=1)["found"] is False
    python.send({"type": "input", "id": 7, "text": "nobody asked"})
    python.send({"type": "no_such"})
    assert "message" in python.answer("fork")
    assert python.run("1").status == "ok"


# ---- environment ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language, code", [("ipykernel", "import os\nprint(os.environ.get('RETORT_TEST', 'none'))"),
                                            ("irkernel", "cat(Sys.getenv('RETORT_TEST', 'none'), '\\n', sep = '')"),
                                            ("deno", "console.log(Deno.env.get('RETORT_TEST') ?? 'none')")])
def test_environment_is_put_back_also_after_an_error(start, language, code):
    one = start(language)
    odd = "a \"b\" 'c' \\ $d `e` {f} %g \né😀"
    assert one.run(code, env={"RETORT_TEST": odd}).text == odd + "\n"
    assert one.run(code).text == "none\n"
    assert one.run(code, env={"RETORT_TEST": None}).text == "none\n"
    assert one.run("no_such_name_at_all", env={"RETORT_TEST": "x"}).status == "error"
    assert one.run(code).text == "none\n"
    refused = one.run(code, cwd="/no/such/folder", env={"RETORT_TEST": "y"})
    assert refused.status == "error" and refused.text == ""
    assert one.run(code).text == "none\n"


# ---- interrupts and ends -------------------------------------------------------------------------------------------


def test_an_interrupt_at_once(python):
    for _ in range(10):
        cell = python.begin("import time\nfor _ in range(600): time.sleep(0.1)")
        time.sleep(0.002)
        python.interrupt()
        again = threading.Timer(1, python.interrupt)  # as the engine does: the first one may have come before the cell began
        again.start()
        python.finish(cell, patience=40)
        again.cancel()
        assert cell.status in ("interrupted", "ok"), cell.messages
        assert cell.error["name"] == "KeyboardInterrupt"
    assert python.run("2").main["text/plain"] == "2"


def test_a_cell_that_is_never_answered_is_over_when_the_kernel_is_idle(python):
    python.run("kernel = get_ipython().kernel\nsend = kernel.session.send")
    forgetful = "kernel.session.send = lambda *a, **k: {'content': {'status': 'ok'}} if a[1] == 'execute_reply' else send(*a, **k)"
    cell = python.run(f"print('once')\n{forgetful}", patience=20)
    assert (cell.status, cell.text) == ("error", "once\n") and "did not answer" in cell.error["value"]
    cell = python.run("kernel.session.send = send\n'on'")
    assert cell.status == "ok"


def test_an_interrupt_that_the_program_handles(python):
    cell = python.begin("import time\ntry:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    print('caught')")
    time.sleep(1)
    python.interrupt()
    python.finish(cell, patience=20)
    assert (cell.status, cell.text) == ("ok", "caught\n")


def test_an_interrupt_while_input_is_awaited(python):
    cell = python.begin("input('? ')")
    assert python.receive(cell)["type"] == "input_request"
    python.interrupt()
    python.finish(cell, patience=20)
    assert cell.status == "interrupted"
    assert python.run("print(input())", inputs=["next"]).text == "next\n"


@pytest.mark.parametrize("code, status, err", [("exit", 0, ""), ("exit()", 0, ""), ("import sys\nsys.exit()", 0, ""), ("import sys\nsys.exit(300)", 44, ""),
                                               ("import sys\nsys.exit('sorry')", 1, "sorry\n"), ("raise SystemExit(1)", 1, "")])
def test_ways_to_exit(python, code, status, err):
    python.run("kept = 5")
    cell = python.run(code)
    assert (cell.status, cell.done["exit_code"], cell.err.decode()) == ("exit", status, err)
    assert python.run("kept").main["text/plain"] == "5"


@pytest.mark.parametrize("code, ended", [("import os\nos.write(1, b'last words\\n')\nos._exit(7)", 7), ("import os\nos.abort()", -signal.SIGABRT),
                                         ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL)])
def test_a_kernel_that_dies_in_a_cell(python, code, ended):
    cell = python.run(code)
    assert cell.done is None and python.process.wait(20) == ended
    assert cell.text == ("last words\n" if ended == 7 else "")


def test_a_kernel_that_dies_between_cells(python):
    python.run("import os, threading\nthreading.Timer(0.5, os._exit, [9]).start()")
    assert python.process.wait(20) == 9


def test_a_runner_that_is_killed_leaves_no_kernel(python):
    pid = int(python.run("import os\nprint(os.getpid())").text)
    python.process.kill()
    assert ends_within(pid, 20)
    python.ended = True


def test_a_busy_kernel_is_shut_down(python):
    pid = int(python.run("import os\nprint(os.getpid())").text)
    python.begin("while True: pass")
    assert python.close() == 0 and ends_within(pid, 5)


def test_kernels_are_as_their_runtime_says():
    for path in RUNTIMES.glob("*/runtime.yaml"):
        runner = yaml.safe_load(path.read_text()).get("runner", {})
        if any("jupyter/runner.py" in word for word in runner.get("argv", [])):
            assert f"--language={path.parent.name}" in runner["argv"]
