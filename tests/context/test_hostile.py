# SPDX-License-Identifier: Apache-2.0
"""What hostile guests, and callers of many threads, must not break."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import library
from library import Refused
from test_contexts import in_background, main, wait_for


def busy(context):
    wait_for(lambda: context.info()["state"] == "busy")


def memory():
    """Of this process, as it is now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


class Peak(threading.Thread):
    """The most that this process needed meanwhile, above what it had."""

    def __enter__(self):
        self.before = self.most = memory()
        self.over = threading.Event()
        self.start()
        return self

    def run(self):
        while not self.over.wait(0.005):
            self.most = max(self.most, memory())

    def __exit__(self, *_):
        self.over.set()
        self.join()
        self.used = self.most - self.before


# ---- who writes or speaks without end ----


def test_a_process_that_goes_on_writing_does_not_hold_up_its_cell(toy):
    begun = time.monotonic()
    outcome = toy.run("import subprocess; child = subprocess.Popen(['yes'])", wall_ms=8000)
    assert time.monotonic() - begun < 4 and outcome["context_state"] == "idle", outcome["status"]
    outcome = toy.run("child.kill(); child.wait(); it = 5", wall_ms=8000)
    assert main(outcome) == "5" and time.monotonic() - begun < 8


def test_a_process_that_goes_on_writing_does_not_hold_up_its_command(toy):
    begun = time.monotonic()
    outcome = toy.command(shell="setsid yes & exit 0", wall_ms=8000)
    assert outcome["status"] in ("ok", "output_limit") and time.monotonic() - begun < 6
    assert toy.run("pass")["status"] == "ok"  # its box is there still


FLOOD = "import threading\nframe = b'{\"type\":\"x\"}'\nflood = (len(frame).to_bytes(4, 'big') + frame) * 50000\nwhile True:\n try: raw(flood)\n except KeyboardInterrupt: pass"


def test_who_speaks_without_end_is_stopped_in_time(toy):
    begun = time.monotonic()
    outcome = toy.run(FLOOD, wall_ms=500)
    assert (outcome["status"], outcome["context_state"]) == ("wall_limit", "dead")
    assert time.monotonic() - begun < 4.2  # by the grace, before the keeper ends the box
    assert toy.restart() is True


def test_who_asks_for_lines_and_reads_none(toy):
    ask = "frame = b'{\"type\":\"input_request\",\"id\":%d,\"prompt\":\"\",\"password\":false}' % current\nraw((len(frame).to_bytes(4, 'big') + frame) * 200000)\nimport time; time.sleep(60)"
    begun = time.monotonic()
    assert toy.run(ask, wall_ms=60000)["context_state"] == "dead"
    assert time.monotonic() - begun < 15


# ---- who wants memory of ours ----


def test_errors_without_end_cost_no_memory(toy):
    with Peak() as peak:
        outcome = toy.run("for i in range(100): send(type='error', id=current, name=f'E{i}', value='x' * (8 << 20), traceback='')", wall_ms=60000)
    assert outcome["error"]["name"] == "E0"
    assert peak.used < 300 << 20


def test_an_item_of_very_many_types_is_left_out(toy):
    outcome = toy.run("for n in (64, 65, 100000): show(**{f't/{i}': 1 for i in range(n)})", wall_ms=60000)
    kept, note = outcome["items"]
    assert len(kept["extra"]) == 64 and "2 items left out" in note["text"]


@pytest.mark.parametrize("part", ["[]", "{}", '""', "1"])
def test_a_frame_of_very_many_values_costs_no_memory(toy, part):
    code = f"part = {part!r}\nbody = ('{{\"type\":\"item\",\"id\":%d,\"data\":{{\"application/json\":[' % current + (part + ',') * ((48 << 20) // (len(part) + 1)) + '1]}}}}').encode()\nraw(len(body).to_bytes(4, 'big') + body)"
    with Peak() as peak:
        outcome = toy.run(code, wall_ms=60000)
    assert outcome["context_state"] == "dead"
    assert peak.used < 600 << 20, peak.used >> 20


def test_a_large_table_is_no_flood(toy):
    outcome = toy.run("show(**{'application/json': [[i, i + 0.5, 'name'] for i in range(300000)]})", wall_ms=60000)
    assert outcome["status"] == "ok" and len(outcome["items"][0]["json"]) == 300000


@pytest.mark.parametrize("beside", [False, True])
def test_what_a_dead_guest_left_in_its_sockets_is_charged_to_nobody_else(engine, opened, beside):
    """A file without a name, in flight to us: its memory must not be in the box that the next guest gets."""
    hide = "import array, os, socket, threading, time\nfds = [os.memfd_create('x') for _ in range(6)]\nfor fd in fds: os.write(fd, bytes(50 << 20))\ndef end():\n time.sleep(0.5)\n pipe.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))])\n os.kill(os.getppid(), 9)\nthreading.Thread(target=end).start()"
    hidden = [opened(engine.open("toy")) for _ in range(3)]
    for context in hidden:  # of the one beside nobody looks at the sockets when the box ends
        hides = opened(context.beside("toy")) if beside else context
        assert hides.run(hide, wall_ms=30000)["status"] == "ok"
    for context in hidden:
        wait_for(lambda: context.info()["state"] == "dead")
    for _ in range(5):
        context = engine.open("toy")
        outcome = context.run("x = bytearray(400 << 20)", wall_ms=30000)
        assert outcome["status"] == "ok", outcome["limit"]
        assert outcome["usage"]["peak_memory_bytes"] < 480 << 20
        context.close()


# ---- a supervisor that does not answer, or lies ----


def test_nobody_waits_who_need_not_for_a_supervisor_that_stands_still(toy):
    result = in_background(toy.run, "import os, signal, time; os.kill(os.getppid(), signal.SIGSTOP)\nwhile True: time.sleep(0.01)", wall_ms=60000)
    busy(toy)
    time.sleep(0.3)
    reading = in_background(toy.read, "x")
    time.sleep(0.2)
    begun = time.monotonic()
    toy.interrupt()
    for _ in range(20):
        toy.info()
    assert time.monotonic() - begun < 1
    assert isinstance(reading(), Refused)
    assert result()["context_state"] == "dead" and time.monotonic() - begun < 30
    assert toy.restart() is False and toy.run("pass")["status"] == "ok"


# ---- threads ----


def test_restart_and_a_cell_that_ends_at_the_same_instant(toy):
    for i in range(60):
        result = in_background(toy.run, f"import time; time.sleep({i % 10 / 1000})")
        time.sleep(i % 7 / 1000)
        toy.restart()
        result()
        outcome = toy.run("it = 1")
        assert (outcome["status"], outcome["context_state"]) == ("ok", "idle"), i


def test_an_interrupt_is_of_one_cell_only(toy):
    for i in range(200):
        result = in_background(toy.run, "it = 1")
        toy.interrupt()
        result()
        if toy.info()["state"] == "dead":  # the toy has moments in which it must not be interrupted
            toy.restart()
        outcome = toy.run("import time; time.sleep(0.005); it = 2")
        assert (outcome["status"], main(outcome)) == ("ok", "2"), outcome


def test_a_box_that_ends_while_everybody_is_in_it(engine, opened):
    """Restarts take a new box: who is in a call stays with the old one until that call is over."""
    context = opened(engine.open("toy"))
    stop = threading.Event()
    odd = []

    def use(call):
        while not stop.is_set():
            try:
                call()
            except Refused:
                pass
            except BaseException as error:
                odd.append(error)

    calls = (context.info, context.info, lambda: context.write("x", b"y" * 1000), lambda: context.command("sleep", "0.05"), lambda: context.list("/work"), context.interrupt, lambda: context.watch("/work", lambda _: False), context.pause, context.resume)
    threads = [threading.Thread(target=use, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    try:
        for _ in range(25):
            try:
                context.run("import os; os.kill(os.getppid(), 9)")
            except Refused:
                pass
            try:
                context.restart()
            except Refused:
                pass
    finally:
        stop.set()
        deadline = time.monotonic() + 60
        while any(thread.is_alive() for thread in threads) and time.monotonic() < deadline:
            try:  # a watch stands still, too, in a box that was paused last
                context.resume()
            except Refused:
                time.sleep(0.05)
    assert not any(thread.is_alive() for thread in threads) and not odd
    try:
        context.resume()
    except Refused:
        pass
    context.restart()
    assert context.run("pass")["status"] == "ok"


def test_closing_ends_a_watch_beside_a_cell(engine):
    context = engine.open("toy")
    ready = threading.Event()
    watching = in_background(context.watch, "/work", lambda change: ready.set() or True)
    ready.wait(20)
    running = in_background(context.run, "import time; time.sleep(60)", wall_ms=60000)
    commanding = in_background(context.command, "sleep", "60", wall_ms=60000)
    busy(context)
    time.sleep(0.2)
    closing = in_background(context.close)
    begun = time.monotonic()
    assert running()["status"] == "cancelled" and commanding()["status"] == "cancelled" and watching() is None
    closing()
    assert time.monotonic() - begun < 10


def test_a_watch_ends_with_its_box(toy):
    ready = threading.Event()
    watching = in_background(toy.watch, "/work", lambda change: ready.set() or True)
    ready.wait(20)
    toy.run("import os\nimport threading, time\ndef end():\n time.sleep(0.3)\n os.kill(os.getppid(), 9)\nthreading.Thread(target=end).start()")
    wait_for(lambda: toy.info()["state"] == "dead")
    begun = time.monotonic()
    assert watching() is None and time.monotonic() - begun < 5


def test_a_context_that_never_was_leaves_no_process(engine, opened):
    toy = opened(engine.open("toy"))
    before = toy.command(shell="ls -d /proc/[0-9]* | wc -l")["stdout"]
    with pytest.raises(Refused):
        toy.beside("toy", env=["TOY_SAYS_RUBBISH=1"])
    time.sleep(0.2)
    assert toy.command(shell="ls -d /proc/[0-9]* | wc -l")["stdout"] == before


def test_descriptors_that_guests_send_are_kept_by_nobody(engine, toy):
    toy.run("pass")
    before = len(os.listdir("/proc/self/fd"))
    toy.run("import array, os, socket\nfor i in range(100):\n body = b'{\"type\":\"x\"}'\n fds = array.array('i', [os.open('/dev/null', 0) for _ in range(4)])\n pipe.sendmsg([len(body).to_bytes(4, 'big') + body], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])\n for fd in fds: os.close(fd)")
    assert toy.run("pass")["status"] == "ok"
    assert len(os.listdir("/proc/self/fd")) <= before + 8  # of 400; slots that are kept ready have some


# ---- who will not stand still ----


def processes_of(marker):
    """Those that a box holds, as this host sees them: with the CPU time that each has used."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (path / "cmdline").read_bytes().split(b"\0"):
                fields = (path / "stat").read_text().rsplit(")", 1)[1].split()
                found[path.name] = int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="control groups are the host's")
def test_who_has_stopped_its_supervisor_stands_still(engine, opened):
    """To stand still is not asked of the guest."""
    context = opened(engine.open("toy"))
    marker = "marked-" + os.urandom(6).hex()
    context.run(f"""import os, signal, subprocess
children = [subprocess.Popen(['python3', '-c', 'while True: pass', {marker!r}], start_new_session=True) for _ in range(3)]
for pid in filter(str.isdigit, os.listdir('/proc')):
    if 'supervisor' in open(f'/proc/{{pid}}/comm').read():
        os.kill(int(pid), signal.SIGSTOP); it = pid""")
    wait_for(lambda: len(processes_of(marker)) == 3)
    context.pause()
    before = processes_of(marker)
    time.sleep(1)
    assert len(before) == 3 and processes_of(marker) == before
    context.close()
    assert processes_of(marker) == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="control groups are the host's")
def test_what_forks_without_end_stands_still(engine, opened):
    context = opened(engine.open("toy"))
    marker = "marked-" + os.urandom(6).hex()
    code = "import os, time\nwhile True:\n if os.fork() == 0: time.sleep(0.002); os._exit(0)\n try:\n  while os.waitpid(-1, os.WNOHANG)[0]: pass\n except OSError: pass"
    context.run(f"import subprocess; child = subprocess.Popen(['python3', '-c', {code!r}, {marker!r}])")
    wait_for(lambda: processes_of(marker))
    for _ in range(3):
        context.pause()
        before = processes_of(marker)
        time.sleep(0.3)
        assert before and processes_of(marker) == before
        context.resume()
    context.close()
    assert processes_of(marker) == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="control groups are the host's")
def test_a_chain_of_processes_stands_still(engine, opened):
    """Each forks the next and ends: whoever is found has gone before anything can be done to it."""
    context = opened(engine.open("toy"))
    marker = "marked-" + os.urandom(6).hex()
    code = "import os\nwhile True:\n if os.fork(): os._exit(0)"
    context.run(f"import subprocess; child = subprocess.Popen(['python3', '-S', '-c', {code!r}, {marker!r}])")
    wait_for(lambda: processes_of(marker))
    for _ in range(5):
        try:
            context.pause()
        except Refused:  # it could not be caught: then it is not said that it was
            assert context.info()["state"] == "idle"
            continue
        before = processes_of(marker)
        time.sleep(0.3)
        assert processes_of(marker) == before
        context.resume()
    assert main(context.run("it = 1")) == "1"


def switches_of(marker):
    found = {}
    for pid in processes_of(marker):
        try:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        except OSError:
            continue
        found[pid] = [line for line in lines if "ctxt_switches" in line]
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="control groups are the host's")
def test_more_processes_than_a_page_of_numbers_stand_still(engine, opened):
    context = opened(engine.open("toy", limits={"processes": 2000, "memory_bytes": 1 << 30}))
    marker = "marked-" + os.urandom(6).hex()
    code = "import os, time\nfor _ in range(700):\n if os.fork() == 0:\n  while True: time.sleep(0.1)\ntime.sleep(1000)"
    context.run(f"import subprocess; child = subprocess.Popen(['python3', '-S', '-c', {code!r}, {marker!r}])")
    wait_for(lambda: len(processes_of(marker)) > 700)
    context.pause()
    before = switches_of(marker)
    time.sleep(0.5)
    assert len(before) > 700 and switches_of(marker) == before
    context.resume()
    time.sleep(0.5)
    assert switches_of(marker) != before


def test_pauses_and_resumes_at_once(toy):
    def often(call):
        for _ in range(60):
            try:
                call()
            except Refused:
                pass

    ends = [in_background(often, call) for call in (toy.pause, toy.resume, toy.pause, toy.resume)]
    for end in ends:
        end()
    try:
        toy.resume()
    except Refused:
        pass
    assert main(toy.run("it = 5", wall_ms=5000)) == "5"


HOLDER = """import sys, time
sys.path.insert(0, sys.argv[1])
import library
context = library.Engine(sys.argv[2]).open("toy")
context.run("import subprocess; children = [subprocess.Popen(['sh', '-c', 'sleep 1000; :', " + repr(sys.argv[3]) + "]) for _ in range(3)]")
context.pause()
print("paused", flush=True)
time.sleep(1000)
"""


def below(pid):
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
    return [one for child in children for one in (child, *below(child))]


@pytest.mark.skipif(os.geteuid() != 0, reason="control groups are the host's")
@pytest.mark.parametrize("killed", [["engine"], ["retort-jailer"], ["retort-keeper"], ["engine", "retort-jailer", "retort-keeper"]])
def test_what_stands_still_ends_with_who_holds_it(runtimes, killed):
    """A process that a control group of version 1 holds does not die of SIGKILL."""
    marker = "marked-" + os.urandom(6).hex()
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(Path(__file__).parent), str(runtimes), marker], stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"paused\n" and len(processes_of(marker)) == 4  # the holder's own words, too
        names = {pid: Path(f"/proc/{pid}/comm").read_text().strip() for pid in below(holder.pid)}
        if "engine" in killed:
            holder.kill()
        for pid in (pid for pid, name in names.items() if name in killed):
            os.kill(int(pid), signal.SIGKILL)
        if len(killed) > 1:  # nobody is left who could: the next one does
            library.Engine(runtimes).close()
        wait_for(lambda: len(processes_of(marker)) == ("engine" not in killed))
    finally:
        holder.kill()
        holder.wait()
    wait_for(lambda: not processes_of(marker))


# ---- a supervisor that lies ----


@pytest.fixture(scope="module")
def lied_to(runtimes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("with-liar") / "runtimes"
    for path in (*folder.parents,):
        if path.stat().st_uid == os.geteuid() and len(path.parts) > 2:
            path.chmod(0o755)
    shutil.copytree(runtimes, folder)
    (folder / "lib/supervisor").rename(folder / "lib/supervisor.real")
    shutil.copy(Path(__file__).parent / "liar.py", folder / "lib/supervisor")
    (folder / "lib/supervisor").chmod(0o755)
    engine = library.Engine(folder)
    yield engine
    engine.close()


def lie(context, what):
    assert context.run(f"open('/work/lie', 'w').write({what!r})")["status"] == "ok"


def test_a_liar_works_as_long_as_it_does_not_lie(lied_to, opened):
    context = opened(lied_to.open("toy"))
    context.write("a/b", "c")
    assert context.read("a/b") == b"c" and [entry["name"] for entry in context.list("a")] == ["b"]


@pytest.mark.parametrize("what", ["is silent", "is short", "is long", "says nothing", "hands over more", "fails oddly", "answers twice"])
def test_lies_of_a_supervisor_end_nothing_but_its_box(lied_to, opened, what):
    other = opened(lied_to.open("toy"))
    context = opened(lied_to.open("toy"))
    context.write("x", "content")
    lie(context, what)
    before = len(os.listdir("/proc/self/fd"))
    begun = time.monotonic()
    for call in (lambda: context.read("x"), lambda: context.write("y", "z"), lambda: context.stat("x"), lambda: context.command("true"), lambda: context.beside("toy")):
        try:
            made = call()
        except Refused:
            continue
        if hasattr(made, "close"):
            made.close()
    assert time.monotonic() - begun < 45
    assert len(os.listdir("/proc/self/fd")) <= before + 2  # not what it hands over
    assert main(other.run("it = 1")) == "1"


def test_what_is_written_for_a_guest_is_not_kept_by_it(lied_to, opened):
    context = opened(lied_to.open("toy"))
    lie(context, "keeps")
    context.write("big", b"x" * (8 << 20))
    lie(context, "tells")
    assert context.read("big") == b"x" * (8 << 20)
    assert set(context.read("kept").split()) == {b"0"}  # it has the descriptor, and nothing of ours in it


def test_a_listing_of_very_many_entries_costs_no_memory(lied_to, opened):
    context = opened(lied_to.open("toy"))
    lie(context, "lists")
    with Peak() as peak:
        try:
            context.list("/work")
        except Refused:
            pass
    assert peak.used < 200 << 20
    lie(context, "lists nothing")
    with pytest.raises(Refused, match="does not say"):
        context.stat("/work")
