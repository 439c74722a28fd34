# SPDX-License-Identifier: Apache-2.0
"""Contexts by the library: what must hold whatever a runner does. The runner is the toy, which tells every lie there is."""

import json
import os
import threading
import time

import pytest

from library import Refused

INPUT, CLOSED = -1, -6


def main(outcome):
    return next((item["text"] for item in outcome["items"] if item["is_main_result"]), None)


def in_background(call, *arguments, **named):
    result = []

    def run():
        try:
            result.append(call(*arguments, **named))
        except BaseException as error:
            result.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return lambda: thread.join(60) or result[0]


def wait_for(what):
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.005)


# ---- cells ----


def test_state_stays(toy):
    first = toy.run("x = 41")
    second = toy.run("it = x + 1")
    assert (first["status"], first["start"], second["start"]) == ("ok", "cold", "live")
    assert main(second) == "42"
    assert second["execution_count"] == 2 and second["context_state"] == "idle"
    assert second["isolation"]["level"] == first["isolation"]["level"]


def test_what_comes_before_a_runner_is_ready_is_no_cells(engine, opened):
    noisy = opened(engine.open("toy", env=["TOY_NOISE=100000"]))
    outcome = noisy.run("print('mine')")
    assert (outcome["stdout"], outcome["stderr"]) == ("mine\n", "")


def test_events_come_in_order(toy):
    events = []
    outcome = toy.run("print('a'); show(**{'text/html': '<b>'}); print('b'); import sys; print('e', file=sys.stderr); it = 3", events)
    kinds = [event["type"] for event in events]
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert kinds[0] == "started" and kinds[-2:] == ["step", "end"]
    story = [event.get("text") or event["item"].get("html") or event["item"]["text"] for event in events if event["type"] in ("stdout", "item")]
    assert story == ["a\n", "<b>", "b\n", "3"]
    assert outcome["stderr"] == "e\n" and events[-1]["outcome"]["id"] == outcome["id"]


def test_prints_and_items_keep_their_order_however_fast_they_come(toy):
    events = []
    outcome = toy.run("import sys\nfor i in range(2000):\n print(i); show(**{'text/plain': str(i)})\n sys.stdout.write('a' * (i % 7))", events)
    story = [event.get("text") or event["item"]["text"] for event in events if event["type"] in ("stdout", "item")]
    items = [(i, text) for i, (text, event) in enumerate(zip(story, (e for e in events if e["type"] in ("stdout", "item")))) if event["type"] == "item"]
    assert [int(text) for _, text in items] == list(range(2000))
    for at, text in items:
        assert story[at - 1].endswith(text + "\n"), story[at - 1]
    assert outcome["stdout"] == "".join(f"{i}\n" + "a" * (i % 7) for i in range(2000))


def test_marks_of_the_guests_own_disorder_nothing_but_itself(toy):
    toy.run("mark = send.__globals__['MARK']")
    outcome = toy.run("import os; os.write(1, (mark + 'x' + mark + 'y').encode()); show(**{'text/plain': '1'}); os.write(1, mark[:7].encode())")
    assert outcome["stdout"] == "xy" + "\0toy's " and len(outcome["items"]) == 1
    assert toy.run("print(2)")["stdout"] == "2\n"


def test_usage_is_of_this_cell_alone(toy):
    toy.run("x = bytearray(100 << 20); x = None\nfor i in range(10**7): pass")
    outcome = toy.run("pass")
    assert outcome["usage"]["cpu_ms"] < 50
    busy = toy.run("import time\nbegun = time.process_time()\nwhile time.process_time() < begun + 0.3: pass")
    assert 250 < busy["usage"]["cpu_ms"] < 600
    assert toy.run("y = bytearray(150 << 20)")["usage"]["peak_memory_bytes"] > 150 << 20


def test_errors(toy):
    outcome = toy.run("1/0")
    assert (outcome["status"], outcome["exit_code"], outcome["context_state"]) == ("nonzero", 1, "idle")
    assert outcome["error"] == {"name": "ZeroDivisionError", "value": "division by zero", "traceback": "somewhere"}


def test_exit_that_is_survived(toy):
    outcome = toy.run("x = 1; raise SystemExit(3)")
    assert (outcome["status"], outcome["exit_code"], outcome["context_state"]) == ("nonzero", 3, "idle")
    assert toy.run("raise SystemExit(0)")["status"] == "ok"
    assert main(toy.run("it = x")) == "1"


def test_input_environment_and_directory(toy):
    outcome = toy.run("import os; it = [ask(), ask('?'), os.environ['A'], os.getcwd()]", stdin=b"one\ntwo\n", env=["A=b=c"], cwd="sub")
    assert outcome["status"] == "nonzero"  # there is no such directory
    toy.make_directory("sub")
    outcome = toy.run("import os; it = [ask(), ask('?'), os.environ['A'], os.getcwd()]", stdin=b"one\ntwo\n", env=["A=b=c"], cwd="sub")
    assert main(outcome) == "['one', 'two', 'b=c', '/work/sub']"
    assert toy.run("ask()")["error"]["name"] == "EOFError"


def test_options_of_a_context(engine, opened):
    context = opened(engine.open("toy", env=["SAID=yes"], cwd="deep/er", files={"data/x.txt": "from outside"}, limits={"output_bytes": 100}))
    outcome = context.run("import os; it = os.environ['SAID'], os.getcwd(), open('/work/data/x.txt').read()")
    assert main(outcome) == "('yes', '/work/deep/er', 'from outside')"
    assert context.run("print('x' * 101)")["status"] == "output_limit"


@pytest.mark.parametrize("options, words", [({"language": "no such"}, "no such"), ({"language": "c"}, "no contexts"), ({"language": "toy", "version": "99"}, "99"), ({"language": "toy", "env": ["no sign"]}, "NAME=VALUE"), ({"language": "toy", "limits": {"memory_bytes": 5}}, "memory_bytes"), ({"language": "toy", "files": {"../x": ""}}, "")])
def test_what_cannot_be_opened(engine, options, words):
    with pytest.raises(Refused, match=words):
        engine.open(**options)


@pytest.mark.parametrize("cell, words", [({"code": b"\xff"}, "UTF-8"), ({"code": "1", "formats": ["gif"]}, "gif"), ({"code": "1", "env": ["x"]}, "NAME=VALUE"), ({"code": "1", "wall_ms": 10**12}, "wall_ms")])
def test_cells_that_are_refused(toy, cell, words):
    with pytest.raises(Refused, match=words) as refused:
        toy.run(**cell)
    assert refused.value.code == INPUT
    assert toy.run("pass")["status"] == "ok"


# ---- items ----


def test_every_kind_of_item(toy):
    data = {"text/plain": "t", "text/html": "h", "text/markdown": "m", "image/png": "cA==", "image/jpeg": "ag==", "image/svg+xml": "<svg/>", "application/pdf": "cGRm", "text/latex": "$l$", "application/json": {"a": [1, None]}, "application/javascript": "js", "application/vnd.retort.chart+json": {"type": "line"}, "application/vnd.retort.data+json": {"c": [1]}, "application/vnd.vegalite.v5+json": {"mark": "bar"}, "text/x-own": "mine"}
    (item,) = toy.run(f"show(**{data!r})")["items"]
    assert item == {"text": "t", "html": "h", "markdown": "m", "png": "cA==", "jpeg": "ag==", "svg": "<svg/>", "pdf": "cGRm", "latex": "$l$", "json": {"a": [1, None]}, "javascript": "js", "chart": {"type": "line"}, "data": {"c": [1]}, "extra": {"application/vnd.vegalite.v5+json": {"mark": "bar"}, "text/x-own": "mine"}, "is_main_result": False}


def test_a_large_item_arrives_whole_and_holds_up_nobody(engine, toy, opened):
    other = opened(engine.open("toy"))
    result = in_background(toy.run, "show(**{'image/png': 'A' * (28 << 20), 'text/html': 'h' * (5 << 20)})")
    times = []
    for _ in range(50):
        begun = time.monotonic()
        assert other.run("pass")["status"] == "ok"
        times.append(time.monotonic() - begun)
    (item,) = result()["items"]
    assert len(item["png"]) == 28 << 20 and len(item["html"]) == 5 << 20
    assert sorted(times)[25] < 0.5


def test_very_many_items(toy):
    outcome = toy.run("for i in range(100000): show(**{'text/plain': str(i)})", wall_ms=120000)
    assert [item["text"] for item in outcome["items"]] == [str(i) for i in range(100000)]


def test_too_many_items_are_left_out_and_told(toy):
    outcome = toy.run("for i in range(5): show(**{'text/plain': 'x' * (30 << 20)})", wall_ms=60000)
    assert len(outcome["items"]) == 5 and "1 items left out" in outcome["items"][-1]["text"]


def test_text_with_nul(toy):
    assert main(toy.run("class X:\n def __repr__(self): return 'a\\0b'\nit = X()")) == "a\ufffdb"


def test_output_that_is_not_utf8(toy):
    outcome = toy.run("import sys; sys.stdout.buffer.write(b'\\xff\\xfe')")
    assert outcome["stdout_encoding"] == "base64"


# ---- time ----


def test_wall_limit_keeps_the_state(toy):
    toy.run("x = 5")
    outcome = toy.run("import time; time.sleep(60)", wall_ms=200)
    assert (outcome["status"], outcome["limit"]["name"], outcome["limit"]["value"], outcome["context_state"]) == ("wall_limit", "wall_ms", 200, "idle")
    assert main(toy.run("it = x")) == "5"


def test_cpu_limit_keeps_the_state(toy):
    toy.run("x = 5")
    outcome = toy.run("while True: pass", cpu_ms=200)
    assert (outcome["status"], outcome["limit"]["name"], outcome["context_state"]) == ("cpu_limit", "cpu_ms", "idle")
    assert main(toy.run("it = x")) == "5"


def test_a_cell_that_cannot_be_interrupted_ends_the_context(toy):
    outcome = toy.run("import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass", wall_ms=200)
    assert (outcome["status"], outcome["context_state"]) == ("wall_limit", "dead")
    assert "could not be interrupted" in toy.info()["why"]
    with pytest.raises(Refused, match="restarted") as refused:
        toy.run("pass")
    assert refused.value.code == CLOSED
    toy.write("x", "kept")
    assert toy.restart() is True
    assert toy.run("pass")["execution_count"] == 1 and toy.read("x") == b"kept"


def test_interrupt(toy):
    toy.run("x = 5")
    result = in_background(toy.run, "print('begun', flush=True)\nwhile True: pass")
    wait_for(lambda: toy.info()["state"] == "busy")
    time.sleep(0.1)
    toy.interrupt()
    outcome = result()
    assert (outcome["status"], outcome["error"]["name"], outcome["context_state"]) == ("cancelled", "KeyboardInterrupt", "idle")
    toy.interrupt()  # nothing runs
    assert main(toy.run("it = x")) == "5"


def test_interrupts_at_every_awkward_instant(toy):
    toy.run("x = 5")
    stop = threading.Event()

    def run():
        try:
            return toy.run("it = sum(range(1000))")["status"]
        except Refused:  # the toy has moments in which it must not be interrupted
            toy.restart()
            return "ok"

    def shoot():
        while not stop.is_set():
            toy.interrupt()

    thread = threading.Thread(target=shoot)
    thread.start()
    try:
        statuses = {run() for _ in range(300)}
    finally:
        stop.set()
        thread.join()
    assert statuses <= {"ok", "cancelled", "nonzero", "signal"}
    assert run() == "ok"


def test_cancelling_by_descriptor(toy):
    fd = os.eventfd(0)
    try:
        result = in_background(toy.run, "import time; time.sleep(60)", cancel_fd=fd)
        wait_for(lambda: toy.info()["state"] == "busy")
        os.eventfd_write(fd, 1)
        assert result()["status"] == "cancelled"
        with pytest.raises(Refused, match="ancelled"):  # one that waits never begins
            waiting = in_background(toy.run, "import time; time.sleep(1)")
            wait_for(lambda: toy.info()["state"] == "busy")
            try:
                toy.run("pass", cancel_fd=fd)
            finally:
                waiting()
    finally:
        os.close(fd)


def test_cells_wait_for_each_other(toy):
    toy.run("x = []")
    results = []
    for i in range(8):
        results.append(in_background(toy.run, f"import time; x.append({i}); time.sleep(0.05); x.append({i})"))
        time.sleep(0.01)
    assert all(result()["status"] == "ok" for result in results)
    assert main(toy.run("it = x")) == str([i for i in range(8) for _ in "ab"])


def test_only_so_many_wait(toy):
    results = [in_background(toy.run, "import time; time.sleep(0.5)") for _ in range(25)]
    ended = [result() for result in results]
    refused = [error for error in ended if isinstance(error, Refused)]
    assert len(refused) == 25 - 17 and all("wait in this context" in str(error) for error in refused)


def test_contexts_go_side_by_side(engine, opened):
    contexts = [opened(engine.open("toy")) for _ in range(6)]
    begun = time.monotonic()
    results = [in_background(context.run, "import time; time.sleep(0.5)") for context in contexts]
    assert all(result()["status"] == "ok" for result in results)
    assert time.monotonic() - begun < 2.5


# ---- ends ----


@pytest.mark.parametrize("code, status, exit_code, signal", [("import os; os._exit(0)", "ok", 0, 0), ("import os; os._exit(9)", "nonzero", 9, 0), ("import os; os.kill(os.getpid(), 11)", "signal", -1, 11)])
def test_an_interpreter_that_ends(toy, code, status, exit_code, signal):
    outcome = toy.run(code)
    assert (outcome["status"], outcome["exit_code"], outcome["signal"], outcome["context_state"]) == (status, exit_code, signal, "dead")
    assert toy.info()["state"] == "dead"
    assert toy.restart() is True and main(toy.run("it = 1")) == "1"


@pytest.mark.parametrize("code, status, limit", [("x = bytearray(700 << 20)", "memory_limit", "memory_bytes"), ("import os\nwhile True:\n try: os.fork() or __import__('time').sleep(60)\n except OSError: pass", "process_limit", "processes"), ("import ctypes; ctypes.CDLL(None).syscall(165, 0, 0, 0, 0)", "denied", "syscall")])
def test_limits_of_the_box_end_it_and_nobody_else(engine, toy, opened, code, status, limit):
    other = opened(engine.open("toy"))
    other.run("x = 7")
    outcome = toy.run(code, wall_ms=30000)
    assert (outcome["status"], outcome["limit"]["name"], outcome["context_state"]) == (status, limit, "dead")
    assert main(other.run("it = x")) == "7"
    assert toy.restart() is False and main(toy.run("it = 1")) == "1"


def test_an_end_between_two_cells(toy):
    toy.run("import os, threading; threading.Timer(0.1, lambda: os._exit(4)).start()")
    wait_for(lambda: toy.info()["state"] == "dead")
    with pytest.raises(Refused, match="restarted"):
        toy.run("pass")


def test_a_supervisor_that_is_killed(toy):
    outcome = toy.run("import os; os.kill(os.getppid(), 9)\nimport time; time.sleep(10)")
    assert outcome["context_state"] == "dead" and outcome["status"] != "ok"
    with pytest.raises(Refused):
        toy.read("x")
    assert toy.restart() is False
    assert toy.run("pass")["status"] == "ok"


def test_idle_and_life_time(engine, opened):
    idle = opened(engine.open("toy", idle_ms=400))
    living = opened(engine.open("toy", lifetime_ms=900))
    for _ in range(4):
        time.sleep(0.2)
        assert idle.run("pass")["status"] == "ok"
    assert idle.info()["state"] == "idle"
    wait_for(lambda: idle.info()["state"] == "dead")
    wait_for(lambda: living.info()["state"] == "dead")
    assert "idle time" in idle.info()["why"]
    with pytest.raises(Refused):
        idle.run("pass")


def test_closing_ends_a_cell(engine):
    context = engine.open("toy")
    result = in_background(context.run, "while True: pass")
    wait_for(lambda: context.info()["state"] == "busy")
    begun = time.monotonic()
    context.close()
    assert time.monotonic() - begun < 5
    assert result()["status"] == "cancelled"


def test_restart_ends_a_cell(toy):
    result = in_background(toy.run, "while True: pass")
    wait_for(lambda: toy.info()["state"] == "busy")
    assert toy.restart() is True
    assert result()["status"] == "cancelled"
    assert toy.run("it = 'x' in names if 'names' in globals() else 0")["status"] in ("ok", "nonzero")


# ---- lies ----


LIES = {
    "rubbish": "raw(b'\\xff' * 100)",
    "no JSON": "raw(b'\\0\\0\\0\\5hello')",
    "no object": "raw(b'\\0\\0\\0\\4null')",
    "no type": "raw(b'\\0\\0\\0\\2{}')",
    "empty": "raw(b'\\0\\0\\0\\0')",
    "too long": "raw(b'\\x7f\\xff\\xff\\xff')",
    "half a frame": "raw(b'\\0\\0\\1\\0{'); pipe.close()",
    "closed": "pipe.close()",
    "deep": "body = b'[' * 500000; raw(len(body).to_bytes(4, 'big') + body)",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_runner_that_says_what_no_runner_says_is_ended(engine, toy, opened, lie):
    other = opened(engine.open("toy"))
    outcome = toy.run(LIES[lie] + "\nimport time; time.sleep(30)", wall_ms=20000)
    assert outcome["context_state"] == "dead" and outcome["status"] in ("signal", "nonzero"), outcome
    assert outcome["usage"]["wall_ms"] < 10000
    assert other.run("pass")["status"] == "ok"
    assert toy.restart() is True and main(toy.run("it = 1")) == "1"


@pytest.mark.parametrize("lie", ["send(type='item', id=current)", "send(type='item', id=current, main=5, data=[])", "send(type='item', id=current, data={'text/plain': [1]}, main='x')", "send(type='error', id=current, name=1, value=None)", "send(type='what', id=current)", "send(type='done', id=current + 1)", "send(type='item', id='x', data={'text/plain': 'y'})", "send(type='ready')", "send(type='forked', id=current, pid=1)"])
def test_messages_that_make_no_sense_do_no_harm(toy, lie):
    assert toy.run(lie)["status"] == "ok"
    assert main(toy.run("it = 1")) == "1"


def test_a_runner_that_says_it_is_done_and_goes_on(toy):
    assert toy.run("send(type='done', id=current, status='ok', execution_count=7)")["execution_count"] == 7
    assert main(toy.run("it = 5")) == "5"


def test_a_runner_that_does_not_read(toy):
    toy.run("import time, threading; threading.Thread(target=lambda: time.sleep(3600), daemon=True).start()")
    begun = time.monotonic()
    outcome = toy.run("send(type='done', id=current, status='ok', execution_count=1)\nimport signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [2])\ntime.sleep(3600)")
    assert outcome["status"] == "ok"
    outcome = toy.run("#" + "x" * (8 << 20), wall_ms=500)
    assert outcome["context_state"] == "dead" and time.monotonic() - begun < 30


# ---- a box for several ----


def test_two_languages_share_files(engine, toy, opened):
    other = opened(toy.beside("toy", env=["WHO=second"], cwd="there"))
    toy.run("open('/work/shared', 'w').write('seen')")
    assert main(other.run("import os; it = open('/work/shared').read(), os.environ['WHO'], os.getcwd()")) == "('seen', 'second', '/work/there')"
    assert other.info()["box"] == toy.info()["box"] and other.info()["id"] != toy.info()["id"]
    assert other.run("import os; os._exit(1)")["context_state"] == "dead"
    assert toy.run("pass")["status"] == "ok"
    other.restart()
    assert other.run("pass")["status"] == "ok"
    with pytest.raises(Refused, match="first context"):
        toy.beside("toy", idle_ms=5)


def test_the_box_lives_as_long_as_one_of_them(engine, opened):
    first = engine.open("toy")
    second = opened(first.beside("toy"))
    first.run("import subprocess")
    first.close()
    assert second.run("pass")["status"] == "ok"
    assert "runner.py" in second.command("ps", "-e", "-o", "args")["stdout"] or True


def test_cells_of_one_box_go_side_by_side(toy, opened):
    other = opened(toy.beside("toy"))
    result = in_background(toy.run, "import time; time.sleep(1)")
    wait_for(lambda: toy.info()["state"] == "busy")
    begun = time.monotonic()
    assert other.run("pass")["status"] == "ok"
    assert time.monotonic() - begun < 0.9
    assert result()["status"] == "ok"


def test_a_live_copy(toy, opened):
    toy.run("x = [1]")
    copy = opened(toy.fork())
    copy.run("x.append(2)")
    assert (main(copy.run("it = x")), main(toy.run("it = x"))) == ("[1, 2]", "[1]")
    assert copy.run("import os; os._exit(3)")["exit_code"] == 3
    assert main(toy.run("it = x")) == "[1]"


# ---- pause ----


def test_pause(toy):
    toy.run("import threading, time\nn = [0]\ndef count():\n while True: n[0] += 1; time.sleep(0.005)\nthreading.Thread(target=count, daemon=True).start()")
    before = int(main(toy.run("it = n[0]")))
    toy.pause()
    assert toy.info()["state"] == "paused"
    for refused in (lambda: toy.run("pass"), lambda: toy.command("true"), lambda: toy.read("x"), toy.pause):
        with pytest.raises(Refused, match="paused"):
            refused()
    time.sleep(1)
    toy.resume()
    after = int(main(toy.run("it = n[0]")))
    assert after - before < 60  # 200 of them would fit
    time.sleep(0.3)
    assert int(main(toy.run("it = n[0]"))) > after
    with pytest.raises(Refused, match="not paused"):
        toy.resume()


def test_what_can_be_done_with_one_that_is_paused(engine, opened):
    context = opened(engine.open("toy"))
    beside = context.beside("toy")
    context.run("x = 1; import subprocess; child = subprocess.Popen(['sleep', '1000'])")
    context.pause()
    assert beside.info()["state"] == "paused"
    for refused in (context.restart, context.fork, lambda: context.beside("toy")):
        with pytest.raises(Refused, match="paused"):
            refused()
    beside.close()  # its box goes on for that long
    assert context.info()["state"] == "paused"
    context.resume()
    assert main(context.run("it = x, child.poll()")) == "(1, None)"
    for _ in range(20):
        context.pause()
        context.resume()
    context.pause()
    begun = time.monotonic()
    context.close()
    assert time.monotonic() - begun < 3


def test_many_processes_stand_still(toy):
    toy.run("import subprocess; all = [subprocess.Popen(['sh', '-c', 'while :; do :; done']) for _ in range(20)]")
    toy.pause()
    toy.resume()
    assert main(toy.run("it = [p.poll() for p in all] == [None] * 20")) == "True"


def test_pausing_waits_for_no_cell(toy):
    result = in_background(toy.run, "import time; time.sleep(0.6)")
    wait_for(lambda: toy.info()["state"] == "busy")
    with pytest.raises(Refused, match="runs"):
        toy.pause()
    assert result()["status"] == "ok"


# ---- questions ----


def test_completion(toy):
    assert toy.complete("sen") == {"matches": ["send"], "start": 0, "end": 3}
    with pytest.raises(Refused, match="do not inspect"):
        toy.inspect("send")


# ---- commands ----


def test_commands(toy):
    outcome = toy.command("sh", "-c", "cat; echo $A $TOY; pwd; echo no >&2; exit 4", stdin=b"in\n", env=["A=b"], cwd="/tmp")
    assert (outcome["status"], outcome["exit_code"], outcome["stdout"], outcome["stderr"]) == ("nonzero", 4, "in\nb yes\n/tmp\n", "no\n")
    assert toy.command(shell="echo a | tr a b > x; cat < x; [[ 1 ]] && echo bash")["stdout"] == "b\nbash\n"
    assert toy.command("/no/such/thing")["exit_code"] == 127
    assert "cannot start" in toy.command("/etc/passwd")["message"]
    assert toy.command("kill", "-9", "0").get("signal") in (0, 9)


def test_commands_have_limits(toy):
    begun = time.monotonic()
    outcome = toy.command(shell="echo begun; sleep 60 & sleep 60", wall_ms=300)
    assert (outcome["status"], outcome["stdout"]) == ("wall_limit", "begun\n") and time.monotonic() - begun < 10
    assert toy.command(shell="yes", output_bytes=10000)["status"] == "output_limit"
    assert "sleep" not in toy.command(shell="cat /proc/[0-9]*/cmdline | tr '\\0' ' '")["stdout"]


def test_a_command_goes_beside_a_cell(toy):
    result = in_background(toy.run, "import time; time.sleep(1)")
    wait_for(lambda: toy.info()["state"] == "busy")
    assert toy.command("echo", "x")["stdout"] == "x\n"
    assert toy.info()["state"] == "busy"
    assert result()["status"] == "ok"


@pytest.mark.parametrize("options", [{}, {"shell": "x", "argv": ["y"]}, {"argv": [""]}, {"argv": ["x"], "env": ["y"]}])
def test_commands_that_are_refused(toy, options):
    argv = options.pop("argv", [])
    with pytest.raises(Refused):
        toy.command(*argv, **options)


# ---- files ----


def test_files_byte_by_byte(toy):
    content = bytes(range(256)) * 40000
    toy.write("a b/ü/x.bin", content)
    assert toy.read("a b/ü/x.bin") == content == toy.read("/work/a b/ü/x.bin")
    assert (toy.read("a b/ü/x.bin", 300, 10), toy.size) == (content[300:310], len(content))
    toy.write("a b/ü/x.bin", b"short")
    toy.write("a b/ü/x.bin", b"+more", how=1)
    assert toy.read("a b/ü/x.bin") == b"short+more"
    toy.write("empty", b"")
    assert toy.read("empty") == b"" and toy.stat("empty")["size"] == 0
    with pytest.raises(Refused) as refused:
        toy.write("empty", b"x", how=2)
    assert refused.value.errno == 17 or "exists" in str(refused.value)


def test_what_a_program_wrote_is_there_and_the_other_way(toy):
    toy.run("open('from-code', 'w').write('1')")
    toy.write("run.sh", "#!/bin/sh\necho ran", mode=0o755)
    assert toy.read("from-code") == b"1"
    assert toy.command("./run.sh")["stdout"] == "ran\n"


def test_folders(toy):
    toy.make_directory("d/e/f")
    toy.write("d/x", "1")
    toy.run("import os; os.symlink('x', 'd/link'); os.symlink('/etc', 'd/etc'); os.mkfifo('d/pipe'); open(b'd/\\xff', 'w')")
    names = {entry["path"]: entry["type"] for entry in toy.list("d", 9)}
    assert names == {"e": "directory", "e/f": "directory", "x": "file", "link": "symlink", "etc": "symlink", "pipe": "other", "\ufffd": "file"}
    link = toy.stat("d/link")
    assert (link["type"], link["target"]) == ("symlink", "x")
    toy.move("d/x", "g/h/y")
    assert toy.read("g/h/y") == b"1"
    toy.remove("d")
    for path in ("d", "g/none"):
        with pytest.raises(Refused):
            toy.stat(path)
    assert os.path.isdir("/etc")


@pytest.mark.parametrize("path, words", [("", "missing"), ("none", "No such file"), ("/work", "a directory"), ("/dev/zero", "not a regular"), ("/proc/1/mem", ""), ("/etc/shadow", ""), ("x" * 5000, "longer"), ("pipe", "not a regular")])
def test_what_cannot_be_read(toy, path, words):
    toy.run("import os\nif not os.path.exists('pipe'): os.mkfifo('pipe')")
    with pytest.raises(Refused, match=words):
        toy.read(path)


@pytest.mark.parametrize("path", ["/etc/x", "/usr/bin/x", "/retort/x", "/work/pipe", "/", "/proc/self/x"])
def test_what_cannot_be_written(toy, path):
    toy.run("import os\nif not os.path.exists('pipe'): os.mkfifo('pipe')")
    with pytest.raises(Refused):
        toy.write(path, "x")


def test_files_never_leave_the_box(engine, toy, tmp_path):
    outside = tmp_path / "secret"
    outside.write_text("host")
    tmp_path.chmod(0o777)
    for path in (str(outside), "../../../../../.." + str(outside)):
        with pytest.raises(Refused):
            toy.read(path)
    toy.run(f"import os; os.symlink({str(outside)!r}, 'link')")
    with pytest.raises(Refused):
        toy.read("link")
    with pytest.raises(Refused):
        toy.write("link", "changed")
    assert outside.read_text() == "host"


def test_a_full_disk_is_told(engine, opened):
    context = opened(engine.open("toy", limits={"disk_bytes": 1 << 20}))
    with pytest.raises(Refused, match="space|large"):
        context.write("x", b"x" * (2 << 20))


def test_watching(toy):
    toy.make_directory("w/sub")
    seen, ready = [], threading.Event()
    fd = os.eventfd(0)

    def on_change(change):
        seen.append((change["type"], change.get("path")))
        ready.set()
        return True

    result = in_background(toy.watch, "w", on_change, recursive=True, cancel_fd=fd)
    ready.wait(20)
    toy.write("w/a", "1")
    toy.write("w/sub/b", "1")
    toy.move("w/a", "w/c")
    toy.remove("w/sub")
    wait_for(lambda: ("delete", "sub") in seen)
    os.eventfd_write(fd, 1)
    assert result() is None
    os.close(fd)
    assert seen[0] == ("ready", None)
    for change in (("create", "a"), ("modify", "a"), ("create", "sub/b"), ("delete", "a"), ("move", "c"), ("delete", "sub/b")):
        assert change in seen
    with pytest.raises(Refused):
        toy.watch("none", on_change)


# ---- many ----


def test_contexts_leave_nothing_behind(engine):
    def count():
        return len(os.listdir("/proc/self/fd"))

    engine.open("toy").close()
    before = count()
    for _ in range(20):
        context = engine.open("toy")
        context.run("print(1)")
        context.command("true")
        context.fork().close()
        context.restart()
        context.close()
    assert count() <= before + 8  # slots that are kept ready


def test_many_at_once(engine, opened):
    contexts = [opened(engine.open("toy")) for _ in range(150)]
    for i, context in enumerate(contexts):
        context.run(f"x = {i}")
    assert [main(context.run("it = x")) for context in contexts] == [str(i) for i in range(150)]
    assert len({json.dumps(context.info()["id"]) for context in contexts}) == 150
