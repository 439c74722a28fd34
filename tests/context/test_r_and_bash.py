# SPDX-License-Identifier: Apache-2.0
"""R and Bash in boxes: what their runners need is there, their limits end them, and an R that was forked is as one that was started."""

import threading

import pytest

from library import BUILD, Refused

pytestmark = pytest.mark.skipif(not (BUILD / "runtimes/r/runner.so").exists(), reason="they were not built")


def text(outcome):
    assert outcome["status"] == "ok", outcome
    return next((item["text"] for item in outcome["items"] if item["is_main_result"]), outcome["stdout"])


def opened_or_skipped(engine, language, **options):
    try:
        return engine.open(language, **options)
    except Refused as error:
        if "install" in str(error):
            pytest.skip(str(error))
        raise


@pytest.fixture
def r(engine, opened):
    return opened(opened_or_skipped(engine, "r"))


@pytest.fixture
def bash(engine, opened):
    return opened(opened_or_skipped(engine, "bash"))


def test_figures_of_r_in_a_box(r):
    item = r.run("plot(1:3, main = 'title')", formats=["png", "svg"])["items"][0]
    assert item["png"].startswith("iVBOR") and "<svg" in item["svg"]
    assert text(r.run("list.files(all.files = TRUE, no.. = TRUE)")) == "character(0)"


def test_limits_keep_the_state_where_they_can(r, bash):
    for context, sleep, get in ((r, "Sys.sleep(60)", "x"), (bash, "sleep 60", "echo $x")):
        context.run("x=41")
        assert context.run(sleep, wall_ms=500)["status"] == "wall_limit"
        assert "41" in text(context.run(get))
        threading.Timer(0.5, context.interrupt).start()
        assert context.run(sleep)["status"] == "cancelled"
        assert "41" in text(context.run(get))


def test_limits_end_the_context_where_they_must(engine, opened, bash):
    r = opened(opened_or_skipped(engine, "r", limits={"memory_bytes": 256 << 20}))
    assert r.run("x <- numeric(1e8); x[] <- 1")["status"] == "memory_limit" and r.info()["state"] == "dead"
    assert bash.run(":() { : | : & }; :; sleep 5")["status"] == "process_limit"


SEEN = """list(commandArgs(), search(), ls(all.names = TRUE), sort(setdiff(names(Sys.getenv()), 'MALLOC_COLD')), Sys.getenv(c('PATH', 'HOME', 'LANG', 'A', 'LD_LIBRARY_PATH', 'R_HOME')), getwd(), interactive(),
    basename(tempdir()) != '', list.files(tempdir()), length(dev.list()), options()[c('digits', 'warn', 'width', 'keep.source', 'scipen', 'encoding')], Sys.timezone(), exists('.Random.seed'), capabilities('png'),
    environmentName(topenv()), .libPaths(), Sys.getlocale(), sys.calls(), traceback(), geterrmessage(), list.files('/tmp', 'Rtmp')  == basename(tempdir()))"""


def test_an_r_that_was_forked_is_as_one_that_was_started(engine, opened):
    cold = opened(opened_or_skipped(engine, "r", env=["A=1", "MALLOC_COLD=1"]))
    engine.warm("r/context")
    forks = [opened(engine.open("r", env=["A=1"])) for _ in range(2)]
    first, second = (fork.run(SEEN) for fork in forks)
    started = cold.run(SEEN)
    assert first["start"] in ("fork", "parked") and started["start"] == "cold"
    assert text(first) == text(second) == text(started)
    numbers = {text(context.run("runif(1)")) for context in (*forks, cold)}
    folders = {text(context.run("tempdir()")) for context in forks}
    assert len(numbers) == 3 and len(folders) == 2
    assert forks[0].run("x <- 1; plot(1); stop('x')")["error"]["value"] == "x"
    assert text(forks[1].run("exists('x')")) == "[1] FALSE"
    assert opened(engine.open("r", env=["R_LIBS=/tmp"])).run("1")["start"] == "cold"


def test_a_forked_r_is_interrupted_and_copied(engine, opened):
    opened_or_skipped(engine, "r").close()
    engine.warm("r/context")
    context = opened(engine.open("r"))
    threading.Timer(0.5, context.interrupt).start()
    assert context.run("system('sleep 60')")["status"] == "cancelled"
    context.run("x <- 5")
    copy = opened(context.fork())
    assert text(copy.run("x <- x + 1; x")) == "[1] 6" and text(context.run("x")) == "[1] 5"
    assert context.command("echo", "hi")["stdout"] == "hi\n"


def test_languages_share_files(r, bash, opened):
    r.run("writeLines('from R', 'shared')")
    beside = opened(r.beside("bash"))
    assert text(beside.run("cat shared")) == "from R\n"
