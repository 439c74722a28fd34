# SPDX-License-Identifier: Apache-2.0
"""Every runner against docs/internals/runner-protocol.md, without a box: what it says, in which order, and that it lives on."""

import importlib
import time
from pathlib import Path

import pytest

from languages import LANGUAGES
from runner import RUNTIMES, Runner, which

import yaml

HERE = Path(__file__).parent
for module in sorted(HERE.glob("cells_*.py")):
    importlib.import_module(module.stem)

RUNNERS = sorted(path.parent.name for path in RUNTIMES.glob("*/runtime.yaml") if "runner" in yaml.safe_load(path.read_text()))


def test_every_runner_has_cells():
    assert set(RUNNERS) <= set(LANGUAGES), "languages.py"


def installed(language):
    programs = yaml.safe_load((RUNTIMES / language / "runtime.yaml").read_text())["toolchain"]["programs"]
    return all(any(which(name) for name in names) for names in programs)


@pytest.fixture(params=RUNNERS)
def language(request):
    if not installed(request.param):
        pytest.skip(f"{request.param} is not installed")
    return request.param


@pytest.fixture
def runner(language, tmp_path):
    runner = Runner(language, tmp_path)
    yield runner
    runner.close()


@pytest.fixture
def cells(language):
    return LANGUAGES[language]


def shown(cell):
    """Its value; what it printed in a language that has none."""
    return cell.main["text/plain"] if cell.main else cell.text.removesuffix("\n")


def cell_of(cells, key):
    if key not in cells:
        pytest.skip("not in this language")
    return cells[key]


def test_ready(runner, language):
    assert runner.ready["language"] == language
    assert runner.ready["version"]
    assert set(runner.ready["features"]) <= {"complete", "inspect", "fork", "input"}


def test_state_stays_and_cells_are_counted(runner, cells):
    code, text = cells["get"]
    first, second = runner.run(cells["set"]), runner.run(code)
    assert first.status == second.status == "ok"
    assert shown(second) == text
    assert second.done["execution_count"] == first.done["execution_count"] + 1 == 2


@pytest.mark.parametrize("key, stream", [("print", "out"), ("print_err", "err"), ("subprocess", "out"), ("handled", "out"), ("await", "out"), ("library", "out"), ("unicode", "out")])
def test_output(runner, cells, key, stream):
    code, text = cell_of(cells, key)
    cell = runner.run(code)
    assert (cell.status, getattr(cell, stream).decode()) == ("ok", text)


def test_the_last_expression_is_the_main_item(runner, cells):
    code, text = cell_of(cells, "value")
    cell = runner.run(code)
    assert cell.main["text/plain"] == text and cell.out == b""


@pytest.mark.parametrize("key", ["nothing", "comment"])
def test_a_cell_without_a_value(runner, cells, key):
    cell = runner.run(cell_of(cells, key))
    assert (cell.status, cell.items, cell.out, cell.err) == ("ok", [], b"", b"")


def test_an_empty_cell(runner):
    for code in ("", "\n", "  \n\n"):
        cell = runner.run(code)
        assert (cell.status, cell.items) == ("ok", [])


def test_silent_cells_show_and_count_nothing(runner, cells):
    code, _ = cells.get("value", cells["get"])
    before = runner.run(cells["nothing"]).done["execution_count"]
    silent = runner.run(code, silent=True)
    assert silent.main is None
    assert runner.run(cells["nothing"]).done["execution_count"] == before + 1


def test_html(runner, cells):
    code, html = cells["html"]
    cell = runner.run(code)
    assert [item["data"].get("text/html") for item in cell.items] == [html]
    assert not cell.items[0]["main"]


def test_prints_and_displays_keep_their_order(runner, cells):
    code, (before, html, after) = cell_of(cells, "display_between")
    cell = runner.run(code)
    story = [(kind, what["data"]["text/html"] if kind == "item" else what.decode()) for kind, what in cell.story if kind in ("out", "item")]
    assert story == [("out", before), ("item", html), ("out", after)]


def test_many_items(runner, cells):
    code, n = cell_of(cells, "many")
    cell = runner.run(code)
    assert len(cell.items) == n and cell.status == "ok"


def test_big_output(runner, cells):
    code, length = cell_of(cells, "big")
    assert len(runner.run(code).out) == length


def test_an_error_is_told_and_state_stays(runner, cells):
    code, name, value = cells["error"]
    runner.run(cells["set"])
    cell = runner.run(code)
    assert cell.status == "error" and cell.error["name"] == name and value in cell.error["value"]
    assert name in cell.error["traceback"] or value in cell.error["traceback"]
    get, text = cells["get"]
    assert shown(runner.run(get)) == text


def test_a_syntax_error(runner, cells):
    code, name = cells["syntax_error"]
    cell = runner.run(code)
    assert cell.status == "error" and cell.error["name"] == name
    assert runner.run(cells["nothing"]).status == "ok"


def test_tracebacks_are_the_programs_own(runner, cells):
    code, wanted, unwanted = cell_of(cells, "stack")
    cell = runner.run(code)
    for word in wanted:
        assert word in cell.error["traceback"]
    for word in (*unwanted, "/runtimes/"):
        assert word not in cell.error["traceback"]


@pytest.mark.parametrize("key", ["sleep", "spin"])
def test_an_interrupt_ends_the_cell_and_keeps_the_state(runner, cells, key):
    runner.run(cells["set"])
    cell = runner.begin(cell_of(cells, key))
    time.sleep(1)
    begun = time.monotonic()
    runner.interrupt()
    runner.finish(cell, patience=20)
    if cells.get("interrupt_kills"):
        assert cell.done is None
        runner.process.wait(20)
        return
    assert cell.done is not None and cell.status == "interrupted", cell.messages
    assert time.monotonic() - begun < 10
    get, text = cells["get"]
    assert shown(runner.run(get)) == text


def test_interrupts_between_cells_do_nothing(runner, cells):
    code, text = cells["print"]
    for _ in range(5):
        runner.interrupt()
        time.sleep(0.02)
        assert runner.run(code).text == text
        runner.send({"type": "interrupt"})
    runner.interrupt()
    runner.interrupt()
    assert runner.run(code).text == text


def test_exit(runner, cells):
    code, status = cells["exit"]
    cell = runner.run(code)
    if cell.done is None:  # it ended: then with that code
        assert runner.process.wait(20) == status
    else:
        assert (cell.status, cell.done["exit_code"]) == ("exit", status)
        assert runner.run(cells["nothing"]).status == "ok"


def test_input(runner, cells):
    if not runner.has("input"):
        pytest.skip("not in this language")
    code, lines, text = cells["input"]
    cell = runner.run(code, inputs=lines)
    assert (cell.status, cell.text) == ("ok", text)
    assert cell.messages[0]["type"] == "input_request"
    if "input_eof" in cells:
        code, text = cells["input_eof"]
        assert text in str([runner.run(code).messages, cell.text]) or text in runner.run(code).text


def test_environment_of_a_cell(runner, cells):
    code, _ = cells["env"]
    assert runner.run(code, env={"RETORT_TEST": "one two"}).text == "one two\n"
    assert "one two" not in runner.run(code).text


def test_directory(runner, cells, tmp_path):
    (tmp_path / "some where").mkdir()
    assert runner.run(cells["cwd"]).text == f"{tmp_path}\n"
    assert runner.run(cells["cwd"], cwd=str(tmp_path / "some where")).text == f"{tmp_path}/some where\n"


def test_completion(runner, cells):
    if not runner.has("complete"):
        pytest.skip("not in this language")
    code, match = cells["complete"]
    answer = runner.answer("complete", code=code, cursor=len(code))
    completed = [code[: answer["start"]] + text + code[answer["end"] :] for text in answer["matches"]]
    assert match in completed, answer


def test_inspection(runner, cells):
    if not runner.has("inspect"):
        pytest.skip("not in this language")
    code, part = cells["inspect"]
    answer = runner.answer("inspect", code=code, cursor=len(code), detail=0)
    assert answer["found"] and part in answer["data"]["text/plain"]
    assert not runner.answer("inspect", code="no_such_name_at_all", cursor=5, detail=0)["found"]


def test_a_fork_goes_its_own_way(runner, cells):
    if not runner.has("fork"):
        pytest.skip("not in this language")
    get, text = cells["get"]
    runner.run(cells["set"])
    copy = runner.fork()
    try:
        assert shown(copy.run(get)) == text
        assert copy.run(cells["error"][0]).status == "error"
        assert shown(runner.run(get)) == text
        code, printed = cells["print"]
        assert copy.run(code).text == runner.run(code).text == printed
    finally:
        copy.close()
    assert shown(runner.run(get)) == text


def test_shutdown(runner):
    assert runner.close() == 0


def test_the_end_of_the_stream_ends_it(runner):
    runner.protocol.shutdown(2)
    runner.ended = True
    assert runner.process.wait(20) == 0
