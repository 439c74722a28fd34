# SPDX-License-Identifier: Apache-2.0
"""What Bash's runner does beyond the protocol: one shell that nothing ends but its own replacement."""

import base64
import signal
import time

import pytest

from runner import RUNTIMES, Runner, which

pytestmark = pytest.mark.skipif(not (which("bash") and (RUNTIMES / "bash/runner.so").exists()), reason="Bash is not installed")


@pytest.fixture
def sh(tmp_path):
    runner = Runner("bash", tmp_path)
    yield runner
    runner.close()


def out(cell):
    assert cell.status == "ok", (cell.messages, cell.err)
    return cell.text


@pytest.mark.parametrize("code, status", [("false", 1), ("(exit 4)", 4), ("no-such-command", 127), ("f() { return 9; }; f", 9), ("true | false", 1), ("kill -9 $BASHPID &\nwait $!", 137)])
def test_the_last_command_decides(sh, code, status):
    cell = sh.run(code)
    assert (cell.status, cell.error["name"], cell.error["value"], cell.error["traceback"]) == ("error", "ExitStatus", str(status), "")


def test_an_empty_cell_is_well_whatever_was_before(sh):
    sh.run("false")
    assert [sh.run(code).status for code in ("", "# nothing", "\n\n")] == ["ok"] * 3
    assert out(sh.run("echo $?")) == "1\n"


def test_everything_stays(sh, tmp_path):
    (tmp_path / "sub").mkdir()
    sh.run("export A='a b'; declare -A m=([k]=v); f() { echo f$1; }; alias hi='echo hi'; shopt -s extglob nullglob; set -o pipefail; umask 077; cd sub; exec 5> five")
    assert out(sh.run("bash -c 'echo $A'; echo ${m[k]}; f 2; hi; echo !(x)five; echo *.nothing; umask; pwd; set -o | grep pipefail; echo to-five >&5; cat five")) == \
        f"a b\nv\nf2\nhi\nfive\n\n0077\n{tmp_path}/sub\npipefail       \ton\nto-five\n"
    assert sh.run("false | true").status == "error"


@pytest.mark.parametrize("code, status", [("exit 3", 3), ("exit", 0), ("f() { local i; for i in 1 2; do while :; do exit 7; done; done; }; f; echo no", 7), ("set -e\nfalse\necho no", 1), ("set -u\necho $unset\necho no", 1),
                                           ("${unset:?needed}; echo no", 1), ("eval 'exit 5'; echo no", 5), ("source ./leave; echo no", 6), ("trap 'exit 8' USR1; kill -USR1 $$; echo no", 8)])
def test_what_ends_a_shell_ends_the_cell(sh, tmp_path, code, status):
    (tmp_path / "leave").write_text("exit 6\n")
    sh.run("x=41; g() { echo g; }")
    for _ in range(3):
        cell = sh.run(code)
        assert (cell.status, cell.done["exit_code"], cell.text) == ("exit", status, ""), (cell.messages, cell.err)
        assert out(sh.run("set +eu; g; echo $((x + 1))")) == "g\n42\n"


def test_leaving_a_part_of_the_shell_is_no_exit(sh):
    assert out(sh.run("(exit 3); echo $?; x=$(exit 4); echo $?; echo a | { exit 5; }; echo $?; exit 6 & wait $!; echo $?")) == "3\n4\n5\n6\n"


def test_the_trap_of_an_exit_runs_once(sh):
    cell = sh.run("trap 'echo bye $?' EXIT; exit 2")
    assert (cell.status, cell.text) == ("exit", "bye 2\n")
    assert out(sh.run("trap -p")) == ""
    sh.run("trap 'echo the end' EXIT")
    assert sh.run("exit 1").text == "the end\n"
    sh.run("trap 'touch ended' EXIT")
    assert sh.close() == 0 and (sh.work / "ended").exists()


@pytest.mark.parametrize("code, words", [("if then", "near unexpected token `then'"), ("echo 'open", "looking for matching `''"), ("echo one\nfor", "syntax error"), ("f() {", "unexpected end of file")])
def test_syntax_errors(sh, code, words):
    cell = sh.run(code, name="notes.sh")
    assert (cell.status, cell.error["name"]) == ("error", "SyntaxError")
    assert words in cell.error["value"] and "notes.sh: line " in cell.error["value"]


def test_a_wrong_eval_is_no_wrong_cell(sh):
    cell = sh.run("eval 'if'")
    assert (cell.error["name"], cell.error["value"]) == ("ExitStatus", "2")
    assert sh.run("ls /nonexistent").error["name"] == "ExitStatus"


def test_lines_are_counted_in_each_cell(sh):
    assert out(sh.run("echo $LINENO\necho $LINENO")) == "1\n2\n"
    assert b"line 3: nope: command not found" in sh.run("\n\nnope").err


@pytest.mark.parametrize("code", ["sleep 60", "sleep 60 | cat", "for i in 1 2; do sleep 60; done", "f() { sleep 60; }; f", "$(sleep 60)", "wait", "set -m; sleep 60", "read line", "while read -t 60 x; do :; done < <(sleep 60)", "python3 -c 'import time; time.sleep(60)'"])
def test_interrupts(sh, code):
    sh.run("x=41; sleep 30 & background=$!")
    cell = sh.begin(code)
    if code == "read line":
        assert sh.receive(cell)["type"] == "input_request"
    time.sleep(0.5)
    sh.interrupt()
    sh.finish(cell, patience=20)
    assert (cell.status, cell.error["name"]) == ("interrupted", "SIGINT")
    assert out(sh.run("echo $((x + 1)); kill -0 $background && echo alive; set +m")) == "42\nalive\n"


def test_a_trap_of_the_programs_own_hears_of_interrupts(sh):
    cell = sh.begin("trap 'echo caught' INT; for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.2; done; trap - INT; echo done")
    time.sleep(0.7)
    sh.interrupt()
    sh.finish(cell)
    assert (cell.status, cell.text) == ("ok", "caught\ndone\n")
    cell = sh.begin("sleep 60")
    time.sleep(0.5)
    sh.interrupt()
    assert sh.finish(cell).status == "interrupted"


def test_read_asks_only_where_nothing_else_is_read(sh):
    assert out(sh.run("read -r a b; echo \"$b|$a\"; read -s -p 'word? ' c; echo $c", inputs=["one two three", "secret"])) == "two three|one\nsecret\n"
    cell = sh.run("read -rsp 'word? ' c", inputs=["x"])
    assert (cell.messages[0]["prompt"], cell.messages[0]["password"]) == ("word? ", True)
    quiet = "read a < /dev/null; echo $?; echo given | { read b; echo $b; }; read c <<< here; echo $c; (read d; echo $?); read e & wait $!; echo $?; read -t 0; cat"
    cell = sh.run(quiet)
    assert (cell.text, [m["type"] for m in cell.messages]) == ("1\ngiven\nhere\n1\n1\n", ["done"])
    assert out(sh.run("n=0; while read -r line; do n=$((n + 1)); done; echo $n", inputs=["a"] * 50)) == "50\n"


def test_display(sh, tmp_path):
    png = bytes(range(256))
    (tmp_path / "p.png").write_bytes(png)
    cell = sh.run("display markdown '# a' b; display p.png; cat p.png | display image/png; display json '{\"a\": [1, null]}'; display application/vnd.vegalite.v5+json '{}'; display html < p.png; echo end")
    data = [item["data"] for item in cell.items]
    assert data[0] == {"text/markdown": "# a b"}
    assert [base64.b64decode(item["image/png"]) for item in data[1:3]] == [png, png]
    assert data[3:5] == [{"application/json": {"a": [1, None]}}, {"application/vnd.vegalite.v5+json": {}}]
    assert "\ufffd" in data[5]["text/html"] and cell.text == "end\n"
    for wrong in ("display json '{'", "display", "display nothing.png", "display what"):
        assert sh.run(wrong).status == "error"


def test_subshells_display_while_their_cell_runs(sh):
    cell = sh.run("for i in 1 2 3 4 5 6 7 8; do { for j in 1 2 3 4 5; do display text $i; done; } & done; wait; echo all")
    assert cell.text == "all\n" and len(cell.items) == 40
    sh.run("{ sleep 0.3; display text late 2> err; } &")
    assert sh.run("sleep 1; cat err").text.endswith("the cell is over\n")


def test_background_jobs_live_on_and_write(sh):
    sh.run("{ sleep 0.3; echo from behind; } & job=$!")
    assert out(sh.run("wait $job; echo $?")) == "from behind\n0\n"


def test_what_a_cell_does_to_its_descriptors(sh):
    assert "socket" not in sh.run("ls -l /proc/self/fd").text
    sh.run("exec > all")
    cell = sh.run("echo to the file; display text shown")
    assert len(cell.items) == 1 and cell.text == "" and (sh.work / "all").read_text() == "to the file\n"
    assert sh.run("exec 3>&- >&2; cat all").err == b"to the file\n"


def test_a_shell_that_is_replaced_is_the_end(sh):
    cell = sh.run("exec bash -c 'echo other; exit 5'")
    assert cell.done is None and sh.process.wait(20) == 5


def test_a_shell_that_is_killed_is_the_end(sh):
    cell = sh.run("kill -9 $$")
    assert cell.done is None and sh.process.wait(20) == -signal.SIGKILL


def test_environment_is_put_back_as_it_was(sh):
    sh.run("A=plain; export B=exported")
    assert out(sh.run("bash -c 'echo $A $B $C'", env={"A": "1", "B": "2", "C": "3"})) == "1 2 3\n"
    assert out(sh.run("bash -c 'echo \"$A|$B|$C\"'; echo $A; declare -p C 2> /dev/null || echo none")) == "|exported|\nplain\nnone\n"
    assert out(sh.run("echo ${B-unset}", env={"B": None})) == "unset\n" and out(sh.run("echo $B")) == "exported\n"


def test_no_trace_of_the_runner_in_the_programs_environment(sh):
    assert out(sh.run("env | grep -c -e LD_PRELOAD -e retort; echo $0 $#; echo ${BASH_EXECUTION_STRING-none}")) == "0\nbash 0\nnone\n"


def test_endless_recursion_is_an_error(sh):
    cell = sh.run("f() { f; }; f", patience=120)
    assert cell.status == "error" and b"nesting level" in cell.err
    assert out(sh.run("echo on")) == "on\n"


def test_completion_knows_commands_files_and_variables(sh, tmp_path):
    (tmp_path / "a file").touch()
    (tmp_path / "a folder").mkdir()
    sh.run("my_function() { :; }; my_variable=1")

    def matches(code):
        answer = sh.answer("complete", code=code, cursor=len(code))
        return [code[: answer["start"]] + text for text in answer["matches"]]

    assert "my_function" in matches("my_fun") and "x | my_function" in matches("x | my_fun")
    assert matches("cat a\\ f") == ["cat a\\ file", "cat a\\ folder/"]
    assert matches("echo \u00e4 $my_var") == ["echo \u00e4 $my_variable"] and matches("echo ${my_var") == ["echo ${my_variable"]
    assert out(sh.run("echo $my_variable")) == "1\n"


def test_looking_changes_nothing(sh):
    sh.run("trap 'echo trapped' EXIT; x=1")
    for code in ("x=2; exi", "$(x=3)", "if", ""):
        sh.answer("complete", code=code, cursor=len(code))
        sh.answer("inspect", code=code, cursor=len(code), detail=1)
    assert out(sh.run("echo $x; jobs")) == "1\n"
    assert "my help" not in sh.answer("inspect", code="cd", cursor=1, detail=1)["data"]["text/plain"]


def test_a_copy_has_jobs_and_interrupts_of_its_own(sh):
    sh.run("sleep 30 & job=$!")
    copy = sh.fork()
    try:
        assert out(copy.run("jobs; echo $(($$ == BASHPID))")) == "1\n"
        cell = copy.begin("sleep 60")
        time.sleep(0.5)
        copy.interrupt()
        assert copy.finish(cell, patience=20).status == "interrupted"
        assert out(sh.run("jobs | wc -l; kill $job")) == "1\n"
        assert copy.run("exit 4").done["exit_code"] == 4
    finally:
        copy.close()


def test_bytes_that_are_no_text(sh):
    cell = sh.run("printf '\\xff\\xfe'; display text $'\\xff'; f=$'\\xe4'; touch $f; ls; no-$f")
    assert cell.out.startswith(b"\xff\xfe") and cell.items[0]["data"]["text/plain"] == "\ufffd"


def test_a_program_as_long_as_they_get(sh):
    cell = sh.run("x='" + "y" * 5_000_000 + "'\necho ${#x}")
    assert out(cell) == "5000000\n"
