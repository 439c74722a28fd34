# SPDX-License-Identifier: Apache-2.0
"""retort repl, on a terminal and without one, with the toy as its language."""

import os
import pty
import select
import signal
import subprocess
import time

import pytest

from library import BUILD


@pytest.fixture
def environment(runtimes, tmp_path):
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8", "TERM": "xterm", "RETORT_LIBEXEC": str(BUILD / "src/bin"), "RETORT_RUNTIMES": str(runtimes)}


def repl(environment, cells, *words):
    return subprocess.run([BUILD / "src/bin/retort", "repl", *words], input=cells, env=environment, cwd=environment["HOME"], capture_output=True, text=True, timeout=60)


class Terminal:
    def __init__(self, environment, *words, **variables):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(environment["HOME"])
            os.execve(BUILD / "src/bin/retort", ["retort", "repl", *words], {**environment, **variables})
        self.seen = ""

    def until(self, text, patience=20):
        """What came until this text, the text with it."""
        deadline = time.monotonic() + patience
        while text not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0, self.seen
            if select.select([self.fd], [], [], left)[0]:
                self.seen += os.read(self.fd, 65536).decode()
        at = self.seen.index(text) + len(text)
        found, self.seen = self.seen[:at], self.seen[at:]
        return found

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        """Ctrl-D, and its exit code; None: it does not end."""
        self.type("\x04")
        deadline = time.monotonic() + 20
        while (left := deadline - time.monotonic()) > 0 and select.select([self.fd], [], [], left)[0]:
            try:
                if not os.read(self.fd, 65536):
                    break
            except OSError:  # how a terminal says that nobody has it any more
                break
        else:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            return None
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_cells_from_a_pipe_keep_state(environment):
    done = repl(environment, "x = 41\nit = x + 1\nprint('out')\n", "toy")
    assert (done.returncode, done.stdout, done.stderr) == (0, "42\nout\n", "")


def test_errors_are_told_and_cells_go_on(environment):
    done = repl(environment, "1/0\nit = 'still here'\n", "toy")
    assert (done.returncode, done.stdout, done.stderr) == (1, "'still here'\n", "somewhere\n")


def test_a_cell_of_several_lines(environment):
    assert repl(environment, "it = [1,\n2,\n3]\n", "toy").stdout == "[1, 2, 3]\n"


def test_limits_environment_and_directory(environment):
    done = repl(environment, "import os, time\nit = os.environ['A'], os.getcwd()\ntime.sleep(60)\nit = 1\n", "toy", "-E", "A=b", "-L", "wall=300ms", "-C", "deep")
    assert done.stdout == "('b', '/work/deep')\n1\n" and "[wall_limit: wall_ms is 300]" in done.stderr


def test_a_lost_state_is_told_and_begun_anew(environment):
    done = repl(environment, "x = 1\nimport os; os._exit(3)\nit = 5\n:restart\nit = 6\n", "toy")
    assert "[exit code 3]" in done.stderr and "the state is lost" in done.stderr and "it can be restarted" in done.stderr
    assert done.stdout == "a new interpreter; files are still there\n6\n"


def test_words_of_the_prompt(environment):
    done = repl(environment, ":help\n:info\n:sh echo from the shell; exit 3\n:none\n:quit\nit = 1\n", "toy")
    assert ":restart" in done.stdout and "idle, 0 cells" in done.stdout and "from the shell\n" in done.stdout
    assert "[exit code 3]" in done.stderr and "no such word: :none" in done.stderr
    assert not done.stdout.endswith("1\n")


def test_several_contexts_in_one_box(environment):
    done = repl(environment, "x = 1\n:fork\nx = 2\nit = x\n:use 1\nit = x\n:open toy\nit = 'x' in globals()\n:contexts\n:close\n:close\n:close\n:use 2\nit = x\n", "toy")
    lines = done.stdout.splitlines()
    assert [line for line in lines if "context" not in line] == ["2", "1", "False", "1"]
    assert sum(line.startswith("* 3 toy") for line in lines) == 1 and sum(line.startswith("  1 toy") for line in lines) == 1
    assert done.stderr.count("the only one") == 1 and done.stderr.count("contexts 1 to 1") == 1 and done.returncode == 1
    many = repl(environment, ":fork\n" * 16 + ":contexts\n", "toy")
    assert many.stderr.count("which is the most") == 1 and "\n* 16 toy" in many.stdout


def test_files_of_the_box(environment, tmp_path):
    (tmp_path / "mine").write_bytes(b"\0\xff binary")
    done = repl(environment, """:put mine
:put mine deep/er
:put none
import os; it = open('mine', 'rb').read(), open('deep/er', 'rb').read(); open('e\\x1b[31m', 'w').close()
:ls
:ls deep
:mv mine moved
:get moved
:get moved
:get none
:rm deep
:rm deep
:ls
:get
""", "toy")
    lines = done.stdout.splitlines()
    assert lines[0] == str((b"\0\xff binary",) * 2)
    assert [line.split()[1] for line in lines[1:]] == ["deep/", "e?[31m", "mine", "er", "e?[31m", "moved"]
    assert (tmp_path / "moved").read_bytes() == b"\0\xff binary" and not (tmp_path / "none").exists()
    assert len(done.stderr.splitlines()) == 5 and "moved: File exists" in done.stderr and "a path is missing" in done.stderr


def test_a_box_that_stands_still(environment):
    done = repl(environment, ":pause\n:info\nit = 1\n:resume\nit = 2\n:resume\n", "toy")
    assert "paused, 0 cells" in done.stdout and done.stdout.endswith("2\n")
    assert done.stderr.count("is paused") == 1 and done.stderr.count("not paused") == 1


def test_images_are_saved_and_named(environment, tmp_path):
    (tmp_path / "retort-1.png").write_text("mine")
    done = repl(environment, "show(**{'image/png': 'aGFsbG8='})\nshow(**{'image/svg+xml': '<svg/>'})\nshow(**{'text/html': '<b>'})\n", "toy")
    assert done.stdout == "[png: retort-2.png]\n[svg: retort-3.svg]\n[html: retort-4.html]\n"
    assert (tmp_path / "retort-2.png").read_bytes() == b"hallo" and (tmp_path / "retort-1.png").read_text() == "mine"
    assert repl(environment, "show(**{'image/png': 'aGFsbG8='})\n", "toy", "--images", "none").stdout == "[png, 5 bytes]\n"


def test_languages_without_state_are_refused(environment):
    done = repl(environment, "", "c")
    assert done.returncode == 125 and "no contexts" in done.stderr


def test_on_a_terminal(environment):
    terminal = Terminal(environment, "toy")
    assert "in a box" in terminal.until("\ntoy> ")
    terminal.type("it = 40 + 2\n")
    assert "\n42\r\n" in terminal.until("\ntoy> ")
    terminal.type("sen\t\n")  # completion by the context itself: there is no sen
    assert "somewhere" not in terminal.until("\ntoy> ")
    terminal.type("half a line\x03")
    terminal.until("\ntoy> ")
    terminal.type("x = (1,\n")
    terminal.until("... ")
    terminal.type("2)\n")
    terminal.until("\ntoy> ")
    terminal.type("it = x\n")
    assert "(1, 2)" in terminal.until("\ntoy> ")
    assert terminal.end() == 0
    again = Terminal(environment, "toy")
    again.until("\ntoy> ")
    again.type("\x1b[A\n")  # the last line of the session before
    assert "it = x" in again.until("\ntoy> ")
    assert again.end() == 0


def test_ctrl_c_interrupts_a_cell_and_keeps_the_state(environment):
    terminal = Terminal(environment, "toy")
    terminal.until("\ntoy> ")
    terminal.type("x = 7\n")
    terminal.until("\ntoy> ")
    terminal.type("print('begun', flush=True); import time; time.sleep(60)\n")
    terminal.until("\nbegun")
    begun = time.monotonic()
    terminal.type("\x03")
    terminal.until("\ntoy> ")
    assert time.monotonic() - begun < 10
    terminal.type("it = x\n")
    assert "\n7\r\n" in terminal.until("\ntoy> ")
    assert terminal.end() == 0


@pytest.mark.parametrize("variables, begin", [({"TERM": "xterm", "KITTY_WINDOW_ID": "1"}, "\x1b_Ga=T,f=100"), ({"TERM_PROGRAM": "iTerm.app"}, "\x1b]1337;File=inline=1:")])
def test_images_on_terminals_that_can(environment, variables, begin):
    terminal = Terminal(environment, "toy", **variables)
    terminal.until("\ntoy> ")
    terminal.type("show(**{'image/png': 'aGFsbG8='})\n")
    terminal.until(begin)
    assert "aGFsbG8=" in terminal.until("\ntoy> ")
    assert terminal.end() == 0


def test_sixel(environment):
    png = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAFElEQVR4nGP8z8DAwMDAxMDAwMAAAA0GAQH2OTzXAAAAAElFTkSuQmCC"
    terminal = Terminal(environment, "toy", "--images", "sixel")
    terminal.until("\ntoy> ")
    terminal.type(f"show(**{{'image/png': '{png}'}})\n")
    shown = terminal.until("\ntoy> ")
    assert "\x1bP" in shown or "[png: " in shown  # without libsixel it is saved
    assert terminal.end() == 0
