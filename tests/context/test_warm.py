# SPDX-License-Identifier: Apache-2.0
"""Contexts that are forks of a frozen interpreter: alive, on their own, and as those that were started."""

import pytest

import library
from library import BUILD, Refused

VALUES = {"python": ("import os, random\nx = random.random()", "x, os.getpid()"), "r": ("x <- runif(1)", "x"), "java": ("double x = Math.random();", "x")}
WARM = sorted(path.parent.name for path in (BUILD / "runtimes").glob("*/runtime.yaml") if "\n  warm:" in path.read_text().partition("\nrunner:")[2])


def test_every_language_that_is_forked_is_here():
    assert set(WARM) <= set(VALUES)


@pytest.mark.parametrize("language", WARM)
def test_forks_live_and_differ(engine, opened, language):
    try:
        engine.warm(f"{language}/context", 100000)
    except Refused as refused:
        pytest.skip(str(refused))
    code, value = VALUES[language]
    seen = set()
    for _ in range(5):
        context = opened(engine.open(language, env=["MINE=yes"], cwd="some where"))
        first = context.run(code)
        assert (first["status"], first["context_state"]) == ("ok", "idle"), first
        assert first["start"] in ("parked", "fork")
        texts = {context.run(value)["items"][0]["text"] for _ in range(20)}
        assert len(texts) == 1
        seen |= texts
        assert context.command("sh", "-c", "echo $MINE; cat /proc/1/comm")["stdout"].startswith("yes\n")
        assert context.restart() is True
        assert context.run(code)["start"] == "cold"
    assert len(seen) == 5


def test_many_are_forks(runtimes):
    """Every context keeps its slot, and each slot its link to the frozen interpreter: there must be one for all of them."""
    engine = library.Engine(runtimes)
    contexts = []
    try:
        engine.warm("python/context", 100000)
        for _ in range(150):
            contexts.append(engine.open("python"))
        assert [context.run("1")["start"] for context in contexts].count("cold") == 0
    finally:
        for context in contexts:
            context.close()
        engine.close()
