# SPDX-License-Identifier: Apache-2.0
"""`retort bench`: what it measures, how it tells it, and that it stops when told. No test looks at how long anything took."""
import json
import os
import pty
import shutil
import signal
import time
import xml.etree.ElementTree as ElementTree

import pytest
from conftest import RUNTIMES, environment, eventually
from leftovers import processes_with

STARTS = {"parked", "fork", "pool", "live", "cold"}


def rows(language, what, until):
    return [row for row in language["times"] if row["what"] == what and row["until"] == until]


@pytest.fixture(scope="module")
def bash(tmp_path_factory):
    """One measurement of Bash, as JSON, with its plot."""
    from conftest import Retort
    retort = Retort(tmp_path_factory.mktemp("bench"))
    done = retort("bench", "--language", "sh", "--runs", 4, "--quick", "--json", "--svg", "plot.svg")
    assert done.exit == 0 and done.errors == "", done
    return done.outcome, (retort.folder / "plot.svg").read_text(), retort


def test_each_way_is_measured_as_often_as_was_asked(bash):
    record, _, _ = bash
    assert record["complete"] and record["quick"]
    (language,) = record["languages"]
    assert language["name"] == "bash" and language["version"] and "error" not in language
    (plain,) = rows(language, "plain", "outcome")
    assert plain["n"] == 4 and "start" not in plain
    assert sum(row["n"] for row in rows(language, "cold", "outcome")) == 4
    assert sum(row["n"] for row in rows(language, "warm", "outcome")) >= 4
    assert not rows(language, "same", "outcome")  # nothing is compiled
    assert record["engine_open"]["n"] == 4


def test_figures_are_in_order(bash):
    record, _, _ = bash
    (language,) = record["languages"]
    for row in language["times"] + [language["full_load"], record["engine_open"]]:
        assert 0 < row["min_ms"] <= row["p50_ms"] <= row["p99_ms"] <= row["max_ms"], row
    for row in language["times"]:
        assert row["what"] == "plain" or row["start"] in STARTS, row
    for what in "cold", "warm":  # the first byte comes before the outcome
        for output in rows(language, what, "output"):
            (outcome,) = [row for row in rows(language, what, "outcome") if row["start"] == output["start"]]
            assert output["n"] == outcome["n"] and output["min_ms"] < outcome["max_ms"]


def test_full_load_tells_every_run(bash):
    record, _, _ = bash
    (language,) = record["languages"]
    load = language["full_load"]
    assert load["threads"] == record["machine"]["cpus"] == len(os.sched_getaffinity(0))
    assert load["runs"] >= load["threads"] and load["failed"] == 0
    assert sum(load["starts"].values()) == load["runs"] == load["n"] and set(load["starts"]) <= STARTS


def test_it_says_under_what_it_measured(bash):
    record, _, retort = bash
    doctor = retort("doctor", "--json").outcome
    assert record["isolation"] == doctor["level"] and record["isolation_missing"] == doctor["missing"]
    assert len(record["machine"]["load_before"]) == len(record["machine"]["load_after"]) == 3
    assert record["machine"]["release"] == os.uname().release
    (language,) = record["languages"]
    memory = language["memory"]
    if memory is None:
        pytest.skip("the kernel does not tell this user what processes hold")
    assert 0 < memory["private_bytes"] <= memory["pss_bytes"] <= memory["rss_bytes"]
    assert sum(one["pss_bytes"] for one in memory["processes"]) == memory["pss_bytes"]
    assert memory["boxes"] >= 1 and "retort-jailer" in [one["name"] for one in memory["processes"]]


def test_the_plot_has_a_bar_for_each_row(bash):
    record, plot, _ = bash
    root = ElementTree.fromstring(plot)
    svg = "{http://www.w3.org/2000/svg}"
    bars = [rect for rect in root.iter(svg + "rect") if rect.find(svg + "title") is not None]
    assert len(bars) == len(record["languages"][0]["times"])
    width = float(root.get("viewBox").split()[2])
    assert all(0 <= float(bar.get("x")) and float(bar.get("x")) + float(bar.get("width")) <= width for bar in bars)
    texts = ["".join(text.itertext()) for text in root.iter(svg + "text")]
    assert any(text.startswith("bash ") for text in texts) and any(text.endswith(" ms") for text in texts)


def test_a_compiled_language_is_measured_again_with_the_same_source(retort, installed_languages):
    if installed_languages["c"]:
        pytest.skip(f"c is not installed: {installed_languages['c']}")
    done = retort("bench", "-l", "c", "--runs", 1, "--quick", "--json")
    assert done.exit == 0, done
    assert rows(done.outcome["languages"][0], "same", "outcome"), done


def test_the_table_is_plain_where_nobody_looks(retort):
    done = retort("bench", "-l", "bash", "-l", "shell", "-n", 1, "--quick")
    assert done.exit == 0 and done.errors == "" and "\033" not in done.text, done
    assert done.text.count("\nbash ") == 1, done  # named twice, measured once
    for words in "by hand", "first run", "full load", "runs a second", "isolation ", "load average":
        assert words in done.text, done


def test_a_terminal_gets_progress_and_colours(retort):
    ours, theirs = pty.openpty()
    process = retort.start("bench", "-l", "bash", "-n", 1, "--quick", stdout=theirs, stderr=theirs)
    os.close(theirs)
    text = b""
    while True:
        try:
            more = os.read(ours, 65536)
        except OSError:
            break
        if not more:
            break
        text += more
    os.close(ours)
    assert process.wait(60) == 0
    assert b"bash: round 1 of 1" in text and b"\033[1m" in text, text


def test_ctrl_c_prints_what_there_is(retort):
    process = retort.start("bench", "-l", "bash", "--runs", 100000, "--quick", "--json",
                           env=environment(RETORT_MARK="bench-ctrl-c"))
    time.sleep(4)  # warming up takes 2 s at most
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130 and err == b"", err
    record = json.loads(out)
    assert not record["complete"] and record["languages"][0]["full_load"] is None
    assert rows(record["languages"][0], "plain", "outcome"), record
    assert "error" not in record["languages"][0]
    assert eventually(lambda: not processes_with("bench-ctrl-c"))


def test_a_language_that_fails_is_told_and_the_others_are_measured(retort):
    folder = retort.folder / "runtimes"
    shutil.copytree(RUNTIMES / "bash", folder / "bash")
    shutil.copytree(RUNTIMES / "bash", folder / "broken")
    description = (folder / "broken" / "runtime.yaml").read_text().replace("name: bash", "name: broken")
    lines = ["aliases: []" if line.startswith("aliases:") else line for line in description.splitlines()]
    (folder / "broken" / "runtime.yaml").write_text("\n".join(lines) + "\n")
    (folder / "broken" / "hello.sh").write_text("echo hello; exit 3\n")
    done = retort("bench", "-n", 1, "--quick", "--json", env={"RETORT_RUNTIMES": str(folder)})
    assert done.exit == 125 and "broken" in done.errors and "nonzero" in done.errors, done
    by_name = {language["name"]: language for language in done.outcome["languages"]}
    assert "nonzero" in by_name["broken"]["error"] and not by_name["broken"]["times"]
    assert "error" not in by_name["bash"] and rows(by_name["bash"], "warm", "outcome")


@pytest.mark.parametrize("words, said", [
    (["--language", "pyton"], ["pyton", "did you mean python"]),
    (["--runs", "0"], ["--runs", "0"]),
    (["--runs", "-1"], ["--runs", "-1"]),
    (["--runs", "ten"], ["--runs", "ten"]),
    (["--svg", "no/such/folder/plot.svg"], ["--svg", "no/such/folder/plot.svg"]),
    (["bash"], ["too many words"]),
])
def test_wrong_words_are_refused_before_anything_runs(retort, words, said):
    done = retort("bench", *words)
    assert done.exit == 125 and done.out == b"", done
    assert len(done.errors.splitlines()) == 1 and all(word in done.errors for word in said), done
