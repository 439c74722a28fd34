# SPDX-License-Identifier: Apache-2.0
"""The command: what goes in by its options, what comes out, and its exit status."""
import base64
import json
import os
import pty
import re
import resource
import signal
import subprocess
import time

import pytest
from conftest import environment, eventually
from leftovers import processes_with

SUMMARY = re.compile(
    r"^retort: (?P<status>\w+)(, exit (?P<exit>\d+)|, signal (?P<signal>\d+) \(SIG\w+\))?(, (?P<error>[\w.]+))?"
    r", wall [\d.]+ m?s, cpu ([\d.]+ m?s|not measured), peak memory ([\d.]+ [KMGT]?i?B|not measured)"
    r", isolation (strong|reduced|minimal)( \(missing: .+\))?$")


def bad(done, *words):
    """The command refused: 125, one sentence, nothing on stdout."""
    assert done.exit == 125, done
    assert done.out == b"", done
    assert len(done.errors.splitlines()) == 1 and done.errors.startswith("retort: "), done
    for word in words:
        assert word in done.errors, done


# ---- what comes out ----------------------------------------------------------------------------------------


def test_output_and_summary(retort):
    done = retort("run", retort.file("hello.py", "import sys\nprint('out')\nprint('err', file=sys.stderr)\n"))
    assert done.exit == 0, done
    assert done.text == "out\n"
    lines = done.errors.splitlines()
    assert lines[0] == "err" and len(lines) == 2, done
    match = SUMMARY.match(lines[1])
    assert match and match["status"] == "ok" and match["exit"] == "0", done


def test_quiet_prints_nothing_of_its_own(retort):
    done = retort.bash("echo out; echo err >&2", "--quiet")
    assert (done.exit, done.out, done.err) == (0, b"out\n", b"err\n")


def test_output_is_bytes_not_text(retort):
    done = retort.bash(r"printf '\x00\xff\xfe no newline'", "-q")
    assert done.out == b"\x00\xff\xfe no newline"


def test_no_colours_without_a_terminal(retort):
    assert b"\033" not in retort.bash("exit 3").err
    assert b"\033" not in retort("run", "--nonsense").err


@pytest.mark.parametrize("no_color, coloured", [(None, True), ("", True), ("1", False)])
def test_colours_on_a_terminal_unless_no_color(retort, no_color, coloured):
    terminal, theirs = pty.openpty()
    env = environment() if no_color is None else environment(NO_COLOR=no_color)
    process = retort.start("run", "-l", "bash", "-c", "exit 3", stderr=theirs, env=env)
    os.close(theirs)
    process.communicate(timeout=60)
    text = b""
    try:
        while chunk := os.read(terminal, 4096):
            text += chunk
    except OSError:
        pass  # Linux says EIO at the end of a terminal
    os.close(terminal)
    assert b"nonzero" in text
    assert (b"\033[31m" in text) == coloured, text


def test_output_comes_live(retort):
    process = retort.start("run", "-l", "bash", "-c", "echo first; read -r; echo second", stdin=subprocess.PIPE)
    assert process.stdout.readline() == b"first\n"
    process.stdin.write(b"go\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"second\n"
    process.stdin.close()
    assert process.wait(60) == 0
    process.stdout.close()
    process.stderr.close()


# ---- exit status -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code, status, exit", [
    ("exit 0", "ok", 0),
    ("exit 1", "nonzero", 1),
    ("exit 42", "nonzero", 42),
    ("exit 255", "nonzero", 255),
    ("exit 124", "nonzero", 124),
    ("kill -9 $$", "signal", 137),
    ("kill -TERM $$", "signal", 143),
    ("kill -SEGV $$", "signal", 139),
])
def test_exit_status_is_the_programs(retort, code, status, exit):
    done = retort.bash(code)
    assert done.exit == exit, done
    assert SUMMARY.match(done.summary)["status"] == status, done


def test_125_is_only_ever_ours(retort):
    done = retort.bash("exit 125")
    assert done.exit == 1
    assert SUMMARY.match(done.summary)["exit"] == "125"


def test_wall_limit(retort):
    begun = time.monotonic()
    done = retort.bash("echo before; sleep 300", "--limit", "wall=300ms")
    assert done.exit == 124, done
    assert done.out == b"before\n"
    assert time.monotonic() - begun < 30
    assert re.search(r"^retort: stopped: wall limit 300 ms reached \(measured \d+ ms by .+\)$", done.errors, re.M)
    assert SUMMARY.match(done.summary)["status"] == "wall_limit"


def test_cpu_limit(retort):
    done = retort.bash("while :; do :; done", "-L", "cpu=200ms", "-L", "wall=20s")
    assert done.exit == 124, done
    assert "retort: stopped: cpu limit 200 ms reached" in done.errors


def test_memory_limit(retort):
    done = retort.python("x = bytearray(400 << 20)\nprint(len(x))", "-L", "memory=64M")
    assert done.exit == 137, done
    assert "retort: stopped: memory limit 64 MiB reached" in done.errors


def test_output_limit(retort):
    done = retort.bash("while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done", "-L", "output=100K")
    assert done.exit == 141, done
    assert len(done.out) <= 100 * 1024
    assert "retort: stopped: output limit 100 KiB reached" in done.errors


def test_file_limit(retort):
    done = retort.bash("head -c 2000000 /dev/zero > big", "-L", "file=1M")
    assert done.exit == 153, done


def test_compile_error(retort):
    done = retort("run", retort.file("bad.c", "int main(void) {\n        return x;\n}\n"))
    assert done.exit == 1, done
    assert done.out == b""
    assert re.search(r"^retort: 1 compile error, the first at bad\.c:2:\d+: .*x", done.errors, re.M), done
    assert SUMMARY.match(done.summary)["status"] == "compile_error"


def test_compiler_words_never_reach_stdout(retort):
    source = retort.file("warn.c", "#include <stdio.h>\nint main(void) { int unused; puts(\"ran\"); return 0; }\n")
    done = retort("run", "--compile-arg=-Wall", source)
    assert done.exit == 0, done
    assert done.out == b"ran\n"
    assert b"unused" in done.err


def test_uncaught_error_is_named(retort):
    done = retort.python("raise ValueError('no')")
    assert done.exit == 1
    assert SUMMARY.match(done.summary)["error"] == "ValueError", done


# ---- what goes in ------------------------------------------------------------------------------------------


def test_code_from_the_command_line(retort):
    done = retort("run", "--language=PYTHON", "--code=print(6 * 7)")
    assert (done.exit, done.text) == (0, "42\n"), done


def test_program_from_stdin(retort):
    done = retort("run", "-l", "python", "-", input="import sys\nprint('program', sys.stdin.read())\n")
    assert (done.exit, done.text) == (0, "program \n"), done


def test_program_from_stdin_by_its_first_line(retort):
    done = retort("run", "-", input="#!/usr/bin/env python3\nprint('told')\n")
    assert (done.exit, done.text) == (0, "told\n"), done


def test_program_from_stdin_with_input_from_a_file(retort):
    name = retort.file("in.txt", "from a file")
    done = retort("run", "-l", "python", "--stdin", name, "-", input="import sys\nprint(sys.stdin.read())\n")
    assert done.text == "from a file\n", done


def test_own_stdin_is_passed_on(retort):
    data = os.urandom(300_000)
    done = retort.bash("cat", "-q", input=data)
    assert done.exit == 0 and done.out == data


def test_stdin_that_nobody_reads(retort):
    done = retort.bash("echo done", "-q", input=b"x" * 1_000_000)
    assert (done.exit, done.out) == (0, b"done\n"), done


def test_stdin_from_a_file(retort):
    assert retort.bash("cat", "--stdin", retort.file("in.txt", "text\n")).text == "text\n"
    assert retort.bash("cat; echo end", "--stdin", "/dev/null", input=b"not this").text == "end\n"
    bad(retort.bash("cat", "--stdin", "nowhere.txt"), "nowhere.txt", "No such file")


def test_stdin_as_text(retort):
    assert retort.bash("cat", "--stdin-text", "a b\nc").text == "a b\nc"
    assert retort.bash("cat; echo end", "--stdin-text", "", input=b"not this").text == "end\n"


def test_stdin_closed(retort):
    done = subprocess.run(["/bin/sh", "-c", 'exec "$0" run -q -l bash -c "cat; echo end" <&-', retort.program],
                          env=environment(), capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, b"end\n"), done


def test_output_closed(retort):
    name = retort.file("in.txt", "text\n")
    done = subprocess.run(["/bin/sh", "-c", 'exec "$0" run -l bash -c cat --stdin "$1" <&- >&-', retort.program, name],
                          env=environment(), stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 0 and b"retort: ok" in done.stderr, done
    assert name.read_text() == "text\n"


def test_several_files_the_first_is_run(retort):
    retort.file("p/lib/util.py", "def word():\n    return 'helped'\n")
    retort.file("p/lib/__init__.py", "")
    retort.file("p/main.py", "from lib.util import word\nprint(word())\n")
    done = retort("run", "p/main.py", "p/lib/util.py", "p/lib/__init__.py")
    assert (done.exit, done.text) == (0, "helped\n"), done


def test_entry_says_which_file_is_run(retort):
    retort.file("a.py", "print('a')\n")
    retort.file("b.py", "print('b')\n")
    assert retort("run", "a.py", "b.py").text == "a\n"
    assert retort("run", "--entry", "b.py", "a.py", "b.py").text == "b\n"
    bad(retort("run", "--entry", "c.py", "a.py", "b.py"), "c.py")


def test_files_of_one_name_are_refused(retort):
    retort.file("a/x.py", "")
    elsewhere = retort.file("b/x.py", "")
    bad(retort("run", "x.py", elsewhere, cwd=retort.folder / "a"), "x.py")


def test_language_by_first_line(retort):
    done = retort("run", retort.file("tool", "#!/bin/bash -e\necho told\n"))
    assert (done.exit, done.text) == (0, "told\n"), done


def test_arguments_of_the_program(retort):
    file = retort.file("args.py", "import sys\nprint(sys.argv[1:])\n")
    done = retort("run", file, "--", "--json", "-q", "two words", "", "--")
    assert done.text == "['--json', '-q', 'two words', '', '--']\n", done


def test_environment_of_the_program(retort):
    done = retort.bash('echo "$A|$B|${HOSTS_OWN-unset}"', "--env", "A=1 2", "--env=B=x=y", env={"HOSTS_OWN": "x"})
    assert done.text == "1 2|x=y|unset\n", done


# ---- machine-readable --------------------------------------------------------------------------------------


def test_json_is_the_outcome(retort):
    done = retort.bash("echo out; echo err >&2; exit 3", "--json")
    assert done.exit == 3 and done.err == b"", done
    outcome = done.outcome
    assert outcome["status"] == "nonzero" and outcome["exit_code"] == 3
    assert outcome["stdout"] == "out\n" and outcome["stderr"] == "err\n"
    assert outcome["language"] == "bash"
    assert outcome["usage"]["wall_ms"] > 0
    assert outcome["isolation"]["level"] in ("strong", "reduced", "minimal")
    assert [step["name"] for step in outcome["steps"]] == ["run"]


def on_a_terminal(retort, *words):
    """Runs with a terminal as stdout; what it printed there, and the exit status."""
    terminal, theirs = pty.openpty()
    process = retort.start(*words, stdout=theirs)
    os.close(theirs)
    text = b""
    try:
        while chunk := os.read(terminal, 4096):
            text += chunk
    except OSError:
        pass  # Linux says EIO at the end of a terminal
    os.close(terminal)
    process.communicate(timeout=60)
    return text.replace(b"\r\n", b"\n"), process.returncode


def test_json_is_pretty_on_a_terminal_only(retort):
    code = ["run", "-l", "bash", "-c", r"printf 'nul \0 here'", "--json"]
    assert len(retort(*code).out.splitlines()) == 1
    text, exit = on_a_terminal(retort, *code)
    assert exit == 0 and len(text.splitlines()) > 5
    assert json.loads(text)["stdout"] == "nul \0 here"


def test_json_names_the_limit(retort):
    limit = retort.bash("sleep 30", "--json", "-L", "wall=200ms").outcome["limit"]
    assert limit["name"] == "wall_ms" and limit["value"] == 200 and limit["measured"] >= 200 and limit["how"]


def test_events_are_in_order(retort):
    done = retort.bash("echo one; sleep 0.2; echo two >&2; sleep 0.2; echo three; exit 4", "--events")
    assert done.exit == 4 and done.err == b"", done
    events = done.events
    assert [e["seq"] for e in events] == list(range(len(events)))
    times = [e["at_ms"] for e in events]
    assert times == sorted(times)
    assert [e["type"] for e in events] == ["started", "stdout", "stderr", "stdout", "step", "end"]
    assert [e["text"] for e in events if e["type"] in ("stdout", "stderr")] == ["one\n", "two\n", "three\n"]
    assert events[-1]["outcome"]["exit_code"] == 4
    assert events[-1]["outcome"]["stdout"] == "one\nthree\n"


def test_events_carry_any_byte(retort):
    done = retort.bash(r"printf 'a\377b'", "--events")
    data = b"".join(base64.b64decode(e["base64"]) if "base64" in e else e["text"].encode()
                    for e in done.events if e["type"] == "stdout")
    assert data == b"a\xffb", done


def test_events_come_live(retort):
    process = retort.start("run", "-l", "bash", "-c", "echo first; sleep 30", "--events")
    lines = [json.loads(process.stdout.readline()) for _ in range(2)]
    assert [line["type"] for line in lines] == ["started", "stdout"]
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert json.loads(out.splitlines()[-1])["outcome"]["status"] == "cancelled"


def test_events_of_two_steps(retort):
    done = retort("run", "--events", retort.file("x.c", "int main(void) { return 0; }\n"))
    steps = [e["step"]["name"] for e in done.events if e["type"] == "step"]
    assert steps == ["compile", "run"], done


@pytest.mark.parametrize("view, keys", [
    ("runtime", ["output", "exitCode", "executionTime"]),
    ("runtime-head", ["stdout", "stderr", "errorType", "exitCode", "executionTime"]),
])
def test_views_of_runtime(retort, view, keys):
    done = retort.bash("echo out", "--view", view)
    assert done.exit == 0 and done.err == b"", done
    assert done.outcome["success"] is True
    assert list(done.outcome["data"]) == keys, done


def test_view_of_agentbay(retort):
    done = retort.bash("echo out; echo err >&2", "--view", "agentbay")
    assert done.exit == 0 and done.err == b"", done
    assert done.outcome["stdout"] == ["out\n"] and done.outcome["stderr"] == ["err\n"], done


def test_rich_view_of_agentbay(retort):
    done = retort.bash("echo out; exit 1", "--view", "agentbay-rich")
    assert done.exit == 1 and done.err == b"", done
    assert done.outcome["logs"]["stdout"] == ["out\n"] and done.outcome["isError"] is True, done


# ---- stopping it -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_box_and_nothing_remains(retort, number):
    marker = f"retort-test-{os.urandom(8).hex()}"
    code = "trap '' INT TERM; sleep 300 & (sleep 300 &) ; echo up; while :; do sleep 300; done"
    process = retort.start("run", "-l", "bash", "-c", code, "--env", f"MARKER={marker}")
    assert process.stdout.readline() == b"up\n"
    assert processes_with(marker)
    os.killpg(process.pid, number)  # as a terminal does: the whole foreground group
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert b"retort: cancelled" in err
    assert eventually(lambda: not processes_with(marker))


def test_a_second_signal_ends_the_command_at_once(retort):
    marker = f"retort-test-{os.urandom(8).hex()}"
    process = retort.start("run", "-l", "bash", "-c", "echo up; while :; do echo line; done",
                           "--env", f"MARKER={marker}")
    assert process.stdout.readline() == b"up\n"
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) in (130, -signal.SIGINT)
    process.stdout.close()
    process.stderr.close()
    assert eventually(lambda: not processes_with(marker))


def test_killing_the_command_leaves_nothing(retort):
    marker = f"retort-test-{os.urandom(8).hex()}"
    process = retort.start("run", "-l", "bash", "-c", "echo up; while :; do sleep 300; done",
                           "--env", f"MARKER={marker}")
    assert process.stdout.readline() == b"up\n"
    process.kill()
    process.communicate(timeout=60)
    assert eventually(lambda: not processes_with(marker))


def test_a_reader_that_leaves_ends_the_run_quietly(retort):
    line = '"$0" run -l bash -c "while :; do echo line; done" | head -n 2; echo "${PIPESTATUS[0]}"'
    done = subprocess.run(["bash", "-c", line, retort.program], env=environment(), capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=60)
    assert done.stdout == b"line\nline\n141\n", done
    assert done.stderr == b"", done


def test_a_slow_reader_loses_nothing(retort):
    process = retort.start("run", "-q", "-l", "bash", "-c", "for ((i = 0; i < 30000; i++)); do echo $i; done")
    time.sleep(0.5)
    out, _ = process.communicate(timeout=60)
    assert out.split() == [str(i).encode() for i in range(30000)]


def test_ctrl_c_while_nobody_reads(retort):
    process = retort.start("run", "-l", "bash", "-c", "while :; do echo line; done")
    time.sleep(1)  # the pipe is full by now
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    process.stdout.close()
    process.stderr.close()


def test_a_full_disk_is_said(retort):
    with open("/dev/full", "wb") as full:
        process = retort.start("run", "-l", "bash", "-c", "echo x", stdout=full)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 125
    assert b"No space left" in err


# ---- bad input ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words, says", [
    (["--lmit", "wall=1s", "x.py"], ["unknown option --lmit", "did you mean --limit?"]),
    (["--limit"], ["--limit needs a value"]),
    (["--json=yes", "x.py"], ["--json takes no value"]),
    (["--limit", "memory", "x.py"], ["NAME=VALUE"]),
    (["--limit", "memry=1G", "x.py"], ['unknown limit "memry"', "memory"]),
    (["--limit", "memory=2s", "x.py"], ['"s" is no unit of size']),
    (["--limit", "wall=2M", "x.py"], ['"M" is no unit of time']),
    (["--limit", "wall=0s", "x.py"], ["zero"]),
    (["--limit", "wall=-1s", "x.py"], ["negative"]),
    (["--limit", "wall=1000h", "x.py"], ["1 ms to 24 h"]),
    (["--limit", "memory=99999999999999999999999", "x.py"], ["out of range"]),
    (["--compile-limit", "wall=1000h", "x.py"], ["compiling", "1 ms to 24 h"]),
    (["--env", "NOVALUE", "x.py"], ["NAME=VALUE"]),
    (["--env", "=x", "x.py"], ["NAME=VALUE"]),
    (["--view", "agentby", "x.py"], ["did you mean agentbay?"]),
    (["--isolation", "total", "x.py"], ["strong|reduced|minimal"]),
    (["--json", "--events", "x.py"], ["one of them"]),
    (["--stdin", "a", "--stdin-text", "b", "x.py"], ["one of them"]),
    (["-l", "python", "--stdin", "-", "-"], ["both"]),
    (["-c", "print(1)"], ["--language"]),
    (["-l", "python", "-c", "1", "x.py"], ["which one"]),
    (["-l", "python", "-c", ""], ["code"]),
    (["-l", "klingon", "-c", "1"], ["klingon", "python"]),
    ([], ["nothing to run"]),
    (["missing.py"], ["missing.py", "No such file"]),
    (["."], ["is a directory"]),
    (["x.py", "-"], ["cannot be one of several"]),
    (["x.unknown"], ["x.unknown", "--language"]),
    (["-l", "python", "-c", "1", "-l", "bash"], ["given twice"]),
])
def test_bad_words_get_a_clear_answer(retort, words, says):
    retort.file("x.py", "print(1)\n")
    retort.file("x.unknown", "print(1)\n")
    bad(retort("run", *words), *says)


def test_a_file_that_is_too_large(retort):
    with open(retort.folder / "big.py", "wb") as big:
        big.truncate(40 << 20)
    bad(retort("run", "big.py"), "big.py", "larger than")


def test_too_many_files(retort):
    names = [retort.file(f"f{i}.py", "").name for i in range(257)]
    bad(retort("run", *names), "257")


# ---- the other commands ------------------------------------------------------------------------------------


def test_help_everywhere(retort):
    short = retort()
    assert short.exit == 0 and "Usage: retort COMMAND" in short.text
    assert retort("--help").out == short.out == retort("help").out
    assert retort("help", "run").out == retort("run", "--help").out
    assert "--limit NAME=VALUE" in retort("help", "run").text
    bad(retort("help", "rnu"))


def test_version(retort):
    done = retort("--version")
    assert done.exit == 0 and re.fullmatch(r"retort \d+\.\d+\.\d+\n", done.text)
    assert retort("version").out == done.out


def test_unknown_command(retort):
    bad(retort("docter"), "did you mean doctor?")
    retort.file("x.py", "")
    bad(retort("x.py"), "retort run x.py")


def test_doctor(retort):
    done = retort("doctor")
    assert done.exit == 0, done
    assert re.match(r"Isolation: (strong|reduced|minimal)\n", done.text)
    report = json.loads(retort("doctor", "--json").out)
    assert report["level"] in done.text
    for mechanism in report["mechanisms"]:
        assert mechanism["name"] in done.text
        assert mechanism["state"] in ("active", "unavailable", "off")
        if mechanism["state"] == "unavailable":
            assert mechanism["reason"] and mechanism["mend"], mechanism


def test_languages(retort):
    done = retort("languages")
    assert done.exit == 0, done
    known = json.loads(retort("languages", "--json").out)
    assert {"python", "javascript", "r", "java", "c", "cpp", "bash"} <= {one["name"] for one in known}
    for one in known:
        assert one["name"] in done.text
        assert one["installed"] or one["install"] in done.text


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(retort, shell):
    done = retort("completion", shell)
    assert done.exit == 0 and "compile-limit" in done.text and "memory=" in done.text
    bad(retort("completion", "tcsh"), "bash, zsh and fish")


def test_bash_completion_completes(retort):
    script = retort("completion", "bash").text + """
try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _retort; echo "${COMPREPLY[@]}"; }
try retort d; try retort run --compile-l; try retort run --view runtime-; try retort run --limit mem
"""
    done = subprocess.run(["bash"], input=script.encode(), capture_output=True, timeout=60)
    assert done.stdout == b"doctor\n--compile-limit\nruntime-head\nmemory=\n", done


def test_man_page(retort):
    page = retort("man")
    assert page.exit == 0 and page.text.startswith(".TH RETORT 1")
    done = subprocess.run(["man", "--warnings", "-l", "-"], input=page.out, capture_output=True, timeout=60,
                          env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"})
    assert done.returncode == 0 and done.stderr == b"", done
    for word in (b"EXIT STATUS", b"wall_limit", b"memory_bytes", b"RETORT_RUNTIMES"):
        assert word in done.stdout


def test_a_view_tells_the_compilers_words_once(retort):
    """They stand in the compile step alone: a view that joins both steps must not find them twice."""
    result = retort("run", "-l", "c", "-c", "int main(void) { return missing; }", "--view", "runtime-head")
    data = json.loads(result.out)["data"]
    assert data["errorType"] == "COMPILE_ERROR"
    assert data["stderr"].count("undeclared (first use") == 1


def test_few_descriptors_are_enough(retort):
    """1024 is what a shell and a service usually have."""
    few = retort.start("run", "-l", "bash", "-c", "echo x", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024)))
    out, err = few.communicate(timeout=60)
    assert (few.returncode, out) == (0, b"x\n"), err
