# SPDX-License-Identifier: Apache-2.0
"""/v1/contexts with every runner there is, in the words that the conformance tests have for its language."""
import importlib
import sys

import pytest
from conftest import ROOT, SANITIZED, Server, check_sanitizers, wait_for
from test_contexts import raw, state
from test_openapi import holds

CONFORMANCE = ROOT / "tests" / "runner-conformance"
sys.path.append(str(CONFORMANCE))
for file in sorted(CONFORMANCE.glob("cells_*.py")):
    importlib.import_module(file.stem)
LANGUAGES = sys.modules["languages"].LANGUAGES
ONE = "/v1/contexts/{id}"


def given(outcome):
    """Its value; or, in a language that has none, what it printed."""
    return "".join(item.get("text", "") for item in outcome["items"] if item["is_main_result"]) or outcome["stdout"]


@pytest.fixture(scope="module")
def speaker(tmp_path_factory):
    one = Server(tmp_path_factory.mktemp("speaker"), "--set", "quotas.requests_per_minute=0", "--set", "quotas.contexts=0")
    yield one
    assert one.stop() == 0
    check_sanitizers(one)


@pytest.fixture(scope="module")
def described(speaker):
    return {one["name"]: one for one in holds(speaker, "GET", "/v1/languages").json}


@pytest.fixture(scope="module", params=sorted(LANGUAGES))
def spoken(request, speaker, described):
    """A language and a context of it."""
    name = request.param
    if not described.get(name, {}).get("installed"):
        pytest.skip(f"{name} is not installed here")
    assert described[name]["contexts"] is not None
    path = speaker.context(name, limits={"wall_ms": 60000, "cpu_ms": 60000})
    yield LANGUAGES[name], path
    assert speaker.ask("DELETE", path).status == 204


def test_state(speaker, spoken):
    cells, path = spoken
    outcome = speaker.cell(path, cells["set"])
    assert outcome["status"] == "ok", outcome
    code, text = cells["get"]
    assert text in given(speaker.cell(path, code))


def test_rich_items_and_errors_in_a_stream(speaker, spoken):
    cells, path = spoken
    code, html = cells["html"]
    lines = holds(speaker, "POST", f"{path}/cells", {"code": code}, template=ONE + "/cells", Accept="application/x-ndjson").lines
    assert any(html in line["item"].get("html", "") for line in lines if line["type"] == "item"), lines
    code, name, value = cells["error"]
    lines = holds(speaker, "POST", f"{path}/cells", {"code": code}, template=ONE + "/cells", Accept="application/x-ndjson").lines
    error = next(line["error"] for line in lines if line["type"] == "error")
    assert name in error["name"] and value in error["value"], error
    assert lines[-1]["outcome"]["status"] == "nonzero"


def test_a_client_that_leaves(speaker, spoken):
    cells, path = spoken
    if cells.get("interrupt_kills"):
        pytest.skip("an interrupt ends this interpreter")
    speaker.cell(path, cells["set"])
    connection = raw(speaker, "POST", f"{path}/cells", {"code": cells["sleep"]})
    wait_for(lambda: state(speaker, path) == "busy")
    connection.close()
    wait_for(lambda: state(speaker, path) == "idle")
    code, text = cells["get"]
    assert text in given(speaker.cell(path, code))


def test_questions(speaker, spoken):
    cells, path = spoken
    features = speaker.get(path).json["features"]
    if "complete" in features and "complete" in cells:
        code, match = cells["complete"]
        answer = holds(speaker, "POST", f"{path}/complete", {"code": code, "cursor": len(code)}, template=ONE + "/complete").json
        completed = [code[:answer["start"]] + one + code[answer["end"]:] for one in answer["matches"]]
        assert match in answer["matches"] or match in completed, answer
    if "inspect" in features and "inspect" in cells:
        code, words = cells["inspect"]
        answer = holds(speaker, "POST", f"{path}/inspect", {"code": code, "cursor": len(code)}, template=ONE + "/inspect").json
        assert answer["found"] is True and words in str(answer["data"])


def test_a_copy(speaker, spoken):
    cells, path = spoken
    if "fork" not in speaker.get(path).json["features"]:
        assert speaker.post(f"{path}/fork", b"").status == 400
        return
    speaker.cell(path, cells["set"])
    answer = holds(speaker, "POST", f"{path}/fork", b"", template=ONE + "/fork")
    assert answer.status == 201
    copy = answer.headers["Location"]
    code, text = cells["get"]
    assert text in given(speaker.cell(copy, code))
    assert speaker.ask("DELETE", copy).status == 204
    assert text in given(speaker.cell(path, code))


def test_a_file_from_one_to_the_other(speaker, spoken, described):
    _, path = spoken
    speaker.ask("PUT", f"{path}/files?path=given", b"\0\xff given")
    other = speaker.context(next(name for name in LANGUAGES if described.get(name, {}).get("installed")), beside=path.rsplit("/", 1)[1])
    assert speaker.get(f"{other}/files?path=given").body == b"\0\xff given"
    speaker.ask("DELETE", other)


@pytest.mark.skipif(SANITIZED, reason="what is sanitized is not frozen")
def test_a_first_context_is_a_fork(serve, described):
    warm = [name for name, one in described.items() if one["installed"] and one["contexts"] and one["contexts"]["warm"]]
    if not warm:
        pytest.skip("no runner of these can be frozen")
    one = serve("--set", "engine.warm=" + ",".join(f"{name}/context" for name in warm))
    wait_for(lambda: all(each["contexts"]["warm"]["state"] == "frozen" for each in one.get("/v1/languages").json if each["name"] in warm), 180)
    for name in warm:
        path = one.context(name)
        outcome = one.cell(path, LANGUAGES[name]["set"] if name in LANGUAGES else "")
        assert outcome["start"] in ("fork", "parked"), (name, outcome)
    assert one.stop() == 0
