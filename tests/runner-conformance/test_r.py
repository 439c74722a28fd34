# SPDX-License-Identifier: Apache-2.0
"""What R's runner does beyond the protocol: values as print() has them, figures, conditions, and R's own top level."""

import base64
import json
import os
import signal
import struct
import subprocess
import time

import pytest

from runner import RUNTIMES, Runner, which

pytestmark = pytest.mark.skipif(not (which("R") and (RUNTIMES / "r/runner.so").exists()), reason="R is not installed")
PNG, SVG, JPEG, PDF = "image/png", "image/svg+xml", "image/jpeg", "application/pdf"
DATA = "application/vnd.retort.data+json"


def has_package(name):
    return which("Rscript") and subprocess.run(["Rscript", "-e", f"quit(status = !requireNamespace('{name}', quietly = TRUE))"], capture_output=True).returncode == 0


@pytest.fixture
def r(tmp_path):
    runner = Runner("r", tmp_path)
    yield runner
    runner.close()


def text(cell):
    assert cell.status == "ok", (cell.messages, cell.err)
    return cell.main and cell.main.get("text/plain")


def size_of(png):
    data = base64.b64decode(png)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", data[16:24])


def kinds(cell):
    return [sorted(item["data"]) for item in cell.items]


# ---- values ----


VALUES = ["1", "'a'", "c(1.5, NA)", "1:30", "NULL", "TRUE", "2+3i", "as.raw(1:3)", "list(1, b = 'x', list(2))", "matrix(1:6, 2)", "array(1:8, c(2, 2, 2))", "factor(c('a', 'b'))",
          "data.frame(a = 1:3, b = c('x', 'y', NA))", "mtcars", "function(x, y = 2) x + y # comment", "sum", "quote(x + y)", "y ~ x + z", "as.Date('2024-02-03')", "as.POSIXct('2024-01-02 03:04:05', tz = 'UTC')",
          "table(c('a', 'b', 'a'))", "lm(mpg ~ wt, mtcars)", "summary(c(1, 2, 3))", "'\\u00e4\\u4f60'", "setNames(1:3, c('a', 'b', 'c'))", "new.env()$x", "expression(a, b)", "noquote('q')", "strsplit('a b', ' ')"]


def test_text_is_what_print_says(r, tmp_path):
    (tmp_path / "all.R").write_text("options(keep.source = TRUE)\n" + "".join(f"print({code}\n)\ncat('\\1')\n" for code in VALUES), "utf-8")
    plain = subprocess.run(["Rscript", "--vanilla", "-e", "options(keep.source = TRUE); source('all.R', encoding = 'UTF-8')"], cwd=tmp_path, capture_output=True,
                           env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"})
    printed = plain.stdout.decode().split("\1")
    assert len(printed) == len(VALUES) + 1, plain
    for code, expected in zip(VALUES, printed):
        assert text(r.run(code)) == expected.removesuffix("\n"), code


def test_earlier_values_are_printed_and_the_last_one_is_the_item(r):
    cell = r.run("1\ninvisible(2)\n'b'; x <- 3\nx * 2")
    assert (cell.text, text(cell)) == ('[1] 1\n[1] "b"\n', "[1] 6")
    for silent in ("x <- 1", "invisible(1)", "library(stats)", "for (i in 1) i", "f <- function() invisible(7); f()", "if (FALSE) 1"):
        assert r.run(silent).items == []
    assert text(r.run("(invisible(7))")) == "[1] 7" and text(r.run(".Last.value")) == "[1] 7"


@pytest.mark.skipif(not has_package("repr"), reason="r-cran-repr is not installed")
def test_what_repr_makes_of_values(r):
    rich = ["text/html", "text/latex", "text/markdown", "text/plain"]
    for code in ("matrix(1:4, 2)", "factor('a')", "list(a = 1)", "function(x) x"):
        assert kinds(r.run(code)) == [rich], code
    for code in ("1:3", "'a'", "NULL", "Sys.Date()", "lm(mpg ~ wt, mtcars)"):
        assert kinds(r.run(code)) == [["text/plain"]], code
    main = r.run("data.frame(a = 1:2, b = c('x', '<y>'))").main
    assert sorted(main) == sorted([*rich, DATA]) and "<table" in main["text/html"] and "&lt;y&gt;" in main["text/html"] and "tabular" in main["text/latex"]


def test_data_frames_are_data_by_columns(r):
    main = r.run("""data.frame(i = c(1L, NA), d = c(0.5, NaN), s = c('x', NA), l = c(TRUE, NA), f = factor(c('u', 'v')), day = as.Date(c('2024-01-02', NA)),
        t = as.POSIXct(c('2024-01-02 03:04:05', NA), tz = 'UTC'), u = as.difftime(c(1, 2), units = 'mins'), z = I(list(1:2, 'q')), big = c(Inf, 1e20), stringsAsFactors = FALSE)""").main
    assert main[DATA] == {"i": [1, None], "d": [0.5, None], "s": ["x", None], "l": [True, None], "f": ["u", "v"], "day": ["2024-01-02", None],
                          "t": ["2024-01-02T03:04:05+00:00", None], "u": [1, 2], "z": ["1, 2", "q"], "big": [None, 1e20]}
    assert r.run("d <- data.frame(a = 1, a = 2, check.names = FALSE); d$m <- matrix(3:4, 1); d$e <- data.frame(x = 5); d").main[DATA] == {"a": [1], "a.1": [2], "m.1": [3], "m.2": [4], "e.x": [5]}
    assert r.run("data.frame(one = 'x')").main[DATA] == {"one": ["x"]} and r.run("data.frame()").main[DATA] == {}


def test_a_value_whose_print_fails(r):
    cell = r.run("print.bad <- function(x, ...) { cat('partly\\n'); stop('unprintable') }\nstructure(1, class = 'bad')")
    assert (cell.status, cell.text, cell.error["value"]) == ("error", "partly\n", "unprintable")
    assert cell.error["traceback"].splitlines()[1:] == ['3: stop("unprintable") at cell 1#1', "2: print.bad(x)", "1: print(x)"]
    assert r.run("tryCatch(display(structure(1, class = 'bad')), error = function(e) cat('caught\\n'))").text == "partly\ncaught\n"
    assert text(r.run("1")) == "[1] 1"


def test_a_value_whose_print_never_ends(r):
    cell = r.begin("print.long <- function(x, ...) { cat('begun\\n'); repeat {} }; structure(1, class = 'long')")
    time.sleep(1)
    r.interrupt()
    assert r.finish(cell, patience=20).status == "interrupted" and cell.text == "begun\n"


def test_a_sink_gets_values_as_at_the_prompt(r):
    cell = r.run("sink('kept'); 1; 2")
    assert (cell.text, cell.items) == ("", [])
    assert r.run("sink(); cat(readLines('kept'), sep = '\\n')").text == "[1] 1\n[1] 2\n"


def test_what_is_too_large_is_named(r):
    cell = r.run("display_html(strrep('x', 34e6)); strrep('y', 34e6)")
    assert [list(item["data"]) for item in cell.items] == [["text/plain"]] * 2
    assert "text/html" in cell.items[0]["data"]["text/plain"] and "33554432" in cell.main["text/plain"]


# ---- conditions ----


def test_warnings_and_messages_go_to_stderr_in_order(r):
    cell = r.run("message('m1')\nwarning('w1')\nmessage('m2')\nf <- function() warning('w2')\nf()\ncat('end\\n')")
    assert (cell.status, cell.text) == ("ok", "end\n")
    assert cell.err.decode() == "m1\nWarning message:\nw1 \nm2\nWarning message:\nIn f() : w2 \n".replace("w2 \n", "w2\n")
    assert r.run("options(warn = 1); warning('now')").err == b"Warning: now\n"
    assert r.run("options(warn = 2); as.integer('x')").error["value"].startswith("(converted from warning)")


@pytest.mark.parametrize("code, name, value", [
    ("stop('plain')", "simpleError", "plain"),
    ("log('a')", "simpleError", "non-numeric argument to mathematical function"),
    ("no_such_object", "simpleError", "object 'no_such_object' not found"),
    ("stop(structure(class = c('mine', 'error', 'condition'), list(message = 'own', call = NULL)))", "mine", "own"),
    ("h <- function() h(); h()", "Error", "stack"),
    ("g <- function(n) if (n > 0) g(n - 1) else stop('deep'); g(400)", "simpleError", "deep"),
    ("numeric(1e15)", "simpleError", "cannot allocate"),
    ("globalCallingHandlers(NULL); f <- function() stop('unseen'); f()", "simpleError", "unseen"),
    ("stop('\\xff the end')", "simpleError", " the end"),
    ("invokeRestart('abort')", "abort", "abort"),
    ("match.arg('x', c('a', 'b'))", "simpleError", "arg"),
])
def test_errors(r, code, name, value):
    r.run("x <- 41")
    cell = r.run(code)
    assert cell.status == "error" and name in cell.error["name"] and value in cell.error["value"], cell.error
    assert value in cell.error["traceback"] and len(cell.error["traceback"]) < 40000
    assert text(r.run("x + 1")) == "[1] 42"


def test_tracebacks_say_where(r):
    r.run("inner <- function(n) {\n  stop('no ', n)\n}", name="functions.R")
    cell = r.run("outer <- function() inner(1)\nouter()", name="main.R")
    assert cell.error["traceback"] == 'Error in inner(1) : no 1\n3: stop("no ", n) at functions.R#2\n2: inner(1) at main.R#1\n1: outer()'
    assert r.run("traceback()").text.splitlines()[-1] == "1: outer()"


def test_conditions_that_are_handled_are_nobody_elses(r):
    code = """withCallingHandlers(message('m'), message = function(m) { cat('heard', conditionMessage(m)); invokeRestart('muffleMessage') })
        tryCatch({ warning('w') }, warning = function(w) cat('warned\\n'), finally = cat('finally\\n'))
        try(stop('tried'), silent = TRUE); signalCondition(simpleError('asked')); cat(inherits(try(log('a'), TRUE), 'try-error'), '\\n')"""
    cell = r.run(code)
    assert (cell.status, cell.text, cell.err) == ("ok", "heard m\nwarned\nfinally\nNULL\nTRUE \n", b"")


def test_the_programs_own_error_option(r):
    r.run("options(error = quote(cat('option\\n')))")
    cell = r.run("stop('x')")
    assert (cell.status, cell.text, cell.error["value"]) == ("error", "option\n", "x")


@pytest.mark.parametrize("code, at", [("x <- (1 + ", "2:0"), ("a b", "1:3"), ("1\n2 +* 3", "2:4"), ("'open", "1:1"), ("x <- 'a\\q'", "'\\q'"), ("if (TRUE) {", "2:0"), ("}", "1:1")])
def test_syntax_errors_run_nothing(r, code, at):
    cell = r.run("cat('ran')\n" + code, name="main.R") if at == "" else r.run(code, name="main.R")
    assert (cell.status, cell.error["name"], cell.text) == ("error", "parse error", "") and at in cell.error["value"]


def test_nothing_of_ours_is_below_the_program(r):
    assert text(r.run("sys.calls()")) == "NULL" and text(r.run("(function() sys.nframe())()")) == "[1] 1"
    assert text(r.run("(function() identical(parent.frame(), globalenv()))()")) == "[1] TRUE"
    assert text(r.run("x <- 1; ls()")) == '[1] "x"' and text(r.run("rm(list = ls(all.names = TRUE)); ls(all.names = TRUE)")) == "character(0)"
    assert "retort" in text(r.run("search()")) and text(r.run("Sys.getenv(c('R_PROFILE_USER', 'RETORT_PARK'), NA)")).count("NA") == 2


# ---- the end ----


@pytest.mark.parametrize("code, status", [("q()", 0), ("q('no', 3)", 3), ("quit(status = 2)", 2), ("f <- function() { on.exit(cat('left\\n')); q(status = 4) }; f()", 4), ("tryCatch(q(status = 5), error = print, finally = cat('left\\n'))", 5)])
def test_quit_is_survived(r, code, status):
    r.run("x <- 41")
    cell = r.run(code)
    assert (cell.status, cell.done["exit_code"], cell.items) == ("exit", status, []) and cell.text in ("", "left\n")
    assert text(r.run("x + 1")) == "[1] 42"


def test_finalizers_and_the_folder_at_the_end(r, tmp_path):
    folder = r.run("e <- new.env(); invisible(reg.finalizer(e, function(e) file.create('finalized'), onexit = TRUE)); cat(tempdir())").text
    assert os.path.isdir(folder)
    assert r.close() == 0
    assert (tmp_path / "finalized").exists() and not os.path.exists(folder)


def test_a_crash_is_the_end_and_asks_nothing(r):
    cell = r.run("tools::pskill(Sys.getpid(), 11); Sys.sleep(5)")
    assert cell.done is None and r.process.wait(30) != 0 and cell.messages == [] and b"segfault" in cell.err


# ---- interrupts ----


@pytest.mark.parametrize("code", ["system('sleep 60')", "while (TRUE) system('sleep 1')", "system('sleep 60', intern = TRUE)", "system2('sleep', '60')", "readLines(pipe('sleep 60'))", "readline('? ')", "x <- readLines('stdin')",
                                  "tryCatch(Sys.sleep(60), error = function(e) 1)", "for (i in 1:1e9) sqrt(i)", "parallel::mclapply(1:2, function(i) Sys.sleep(60), mc.cores = 2)", "display_html(repeat {})"])
def test_interrupts(r, code):
    r.run("x <- 41")
    cell = r.begin(code)
    if "readl" in code.lower() and "pipe" not in code:
        assert r.receive(cell)["type"] == "input_request"
    time.sleep(1)
    r.interrupt()
    r.finish(cell, patience=20)
    assert (cell.status, cell.error["name"]) == ("interrupted", "interrupt"), cell.messages
    assert text(r.run("x + 1")) == "[1] 42"


def test_an_interrupt_may_be_handled(r):
    cell = r.begin("tryCatch(Sys.sleep(60), interrupt = function(e) cat('caught\\n')); 9")
    time.sleep(1)
    r.interrupt()
    assert text(r.finish(cell, patience=20)) == "[1] 9" and cell.text == "caught\n"


# ---- input ----


def test_everything_that_reads_asks(r):
    code = """a <- readline('a? '); b <- readLines(stdin(), 1); con <- file('stdin'); open(con); c <- readLines(con, 2); d <- scan(con, n = 2, quiet = TRUE)
        close(con); e <- readLines('stdin'); cat(a, b, c, d, e, sep = '|')"""
    cell = r.run(code, inputs=["A", "B", "C", "\u4f60", "1", "2", "E", "F"])
    assert cell.text == "A|B|C|\u4f60|1|2|E|F" and cell.messages[0]["prompt"] == "a? "
    assert r.run("nchar(readline())", inputs=["x" * 8000]).main["text/plain"] == "[1] 8000"
    assert r.run("read.csv(file('stdin'))", inputs=["a,b", "1,2"]).main[DATA] == {"a": [1], "b": [2]}
    assert text(r.run("readline('gone? ')")) == '[1] ""' and text(r.run("readLines('stdin')")) == "character(0)"
    assert text(r.run("menu(c('one', 'two'))", inputs=["2"])) == "[1] 2"


def test_a_line_of_an_interrupted_cell_is_no_later_cells(r):
    cell = r.begin("readline('? ')")
    assert r.receive(cell)["type"] == "input_request"
    r.interrupt()
    r.finish(cell, patience=20)
    r.send({"type": "input", "id": cell.id, "text": "late"})
    assert text(r.run("readline('? ')", inputs=["right"])) == '[1] "right"'


# ---- displaying ----


def test_functions_that_display(r, tmp_path):
    (tmp_path / "p.png").write_bytes(b"\x89PNG\xff\x00")
    cell = r.run("""display_html('<b>x</b>'); display_markdown('# a'); display_latex('$x$'); display_json('{"a": [1, null]}'); display_json(list(a = 1:2, b = NA, c = list()))
        display_png(file = 'p.png'); display_svg('<svg/>'); display_javascript('1'); display(html = '<i>y</i>', text = 'y', `application/x-own` = 'mine')
        display(data.frame(a = 1)); display_raw('text/x-own', FALSE, 'raw'); publish_mimebundle(list('text/html' = 'm'), list(k = 1)); getOption('jupyter.base_display_func')(list('text/plain' = 'j'), NULL)""")
    data = [item["data"] for item in cell.items]
    assert data[:3] == [{"text/html": "<b>x</b>"}, {"text/markdown": "# a"}, {"text/latex": "$x$"}]
    assert data[3:5] == [{"application/json": {"a": [1, None]}}, {"application/json": {"a": [1, 2], "b": None, "c": []}}]
    assert base64.b64decode(data[5][PNG]) == b"\x89PNG\xff\x00" and data[6] == {SVG: "<svg/>"} and data[7] == {"application/javascript": "1"}
    assert data[8] == {"text/html": "<i>y</i>", "text/plain": "y", "application/x-own": "mine"}
    assert data[9]["text/plain"] == "  a\n1 1" and data[9][DATA] == {"a": [1]} and data[10] == {"text/x-own": "raw"}
    assert cell.items[11]["metadata"] == {"k": "1"} or cell.items[11]["metadata"] == {"k": 1}
    assert data[12] == {"text/plain": "j"} and not any(item["main"] for item in cell.items)
    assert r.run("display(nonsense = 'x')").error["value"].startswith("display: unknown type 'nonsense'")


# ---- figures ----


def test_a_page_is_an_item_when_the_next_begins_or_the_cell_ends(r):
    cell = r.run("plot(1:3)\nlines(3:1); abline(h = 2)\ncat('between\\n')\nhist(c(1, 2, 2))\ntitle(sub = 'x')\ncat('end\\n')\n5")
    assert [kind if kind != "item" else ("main" if what["main"] else "page") for kind, what in cell.story] == ["out", "page", "out", "page", "main", "done"]
    assert [kind for kind, what in cell.story if what == b"between\n"] == ["out"]
    assert size_of(cell.items[0]["data"][PNG]) == (840, 600)


def test_formats(r):
    assert kinds(r.run("plot(1)", formats=["svg"])) == [[SVG]]
    cell = r.run("plot(1); plot(2); plot(3)", formats=["png", "svg", "jpeg", "pdf"])
    assert kinds(cell) == [sorted([PNG, SVG, JPEG, PDF])] * 3
    for item in cell.items:
        data = item["data"]
        assert data[SVG].startswith("<?xml") and base64.b64decode(data[JPEG])[:2] == b"\xff\xd8" and base64.b64decode(data[PDF])[:4] == b"%PDF"
    assert len({item["data"][SVG] for item in cell.items}) == 3
    assert kinds(r.run("plot(1)", formats=["gif"])) == kinds(r.run("plot(1)")) == [[PNG]]
    assert size_of(r.run("options(repr.plot.width = 3, repr.plot.height = 2, repr.plot.res = 100); plot(1)").items[0]["data"][PNG]) == (300, 200)


@pytest.mark.parametrize("code, pages", [("par(mfrow = c(1, 2)); plot(1); plot(2); plot(3)", 2), ("par(mar = c(1, 1, 1, 1))", 0), ("x <- par('usr')", 0), ("plot.new()", 1), ("pie(1:3); persp(volcano)", 2),
                                         ("f <- function() { plot(1); title('t') }; f()", 1), ("layout(matrix(1:2, 1)); plot(1); plot(2)", 1), ("plot(1); dev.off(); plot(2)", 2), ("plot(1); graphics.off()", 1),
                                         ("grid::grid.newpage(); grid::grid.rect()", 1), ("png('own.png'); plot(1); invisible(dev.off())", 0), ("plot(1); png('own.png'); plot(2); invisible(dev.off()); lines(1)", 1),
                                         ("unlink(tempdir(), recursive = TRUE); plot(1)", 1), ("pairs(iris)", 1), ("boxplot(mpg ~ cyl, mtcars)", 1), ("{ plot(1); dev.off(); plot(2); NULL }", 2)])
def test_pages(r, code, pages):
    cell = r.run(code)
    assert sum(PNG in item["data"] for item in cell.items) == pages and cell.status == "ok", (cell.messages, cell.err)


def test_a_page_is_drawn_on_in_the_next_cell(r):
    first = r.run("plot(1:3)").items
    assert len(first) == 1
    assert r.run("x <- par('usr'); x").main["text/plain"].startswith("[1]")
    second = r.run("lines(3:1)").items
    third = r.run("hist(c(1, 1, 2)); hist(c(2, 2), add = TRUE, col = 2)").items
    assert len(second) == len(third) == 1 and len({item["data"][PNG] for item in first + second + third}) == 3
    assert len(r.run("plot(4)").items) == 1


def test_figures_of_a_cell_that_fails_come_before_its_error(r):
    cell = r.run("plot(1); stop('after')")
    assert [m["type"] for m in cell.messages] == ["item", "error", "done"]
    cell = r.begin("plot(1); Sys.sleep(60)")
    time.sleep(1)
    r.interrupt()
    assert [m["type"] for m in r.finish(cell, patience=20).messages] == ["item", "error", "done"]


@pytest.mark.skipif(not has_package("ggplot2"), reason="r-cran-ggplot2 is not installed")
def test_ggplot2(r):
    cell = r.run("library(ggplot2)\np <- ggplot(mtcars, aes(wt, mpg)) + geom_point()\nprint(p)\nfor (i in 1:2) print(p + ggtitle(i))\np", formats=["png", "svg"])
    assert [(sorted(item["data"]), item["main"]) for item in cell.items] == [([PNG, SVG], False)] * 3 + [([PNG, SVG], True)]
    assert r.run("p", silent=True).items == [] and kinds(r.run("display(p); 1")) == [[PNG], ["text/plain"]]
    cell = r.run("p + aes(colour = nothing_there)")
    assert cell.status == "error" and "nothing_there" in cell.error["value"]


# ---- what cells do to the runner ----


def test_children_live_on_write_and_say_nothing_to_the_engine(r):
    cell = r.run("""child <- parallel:::mcfork(); if (inherits(child, 'masterProcess')) { display_html('child'); Sys.sleep(0.5); cat('from the child\\n'); stop('top level') }
        unlist(parallel::mclapply(1:3, function(i) { display_html(i); i^2 }, mc.cores = 3))""")
    assert text(cell) == "[1] 1 4 9" and len(cell.items) == 1
    time.sleep(1.5)
    assert "from the child\n" in r.run("1").text
    assert text(r.run("2")) == "[1] 2"


def test_a_thousand_figures_and_many_errors(r):
    for i in range(60):
        assert r.run(f"stop({i})").error["value"] == str(i)
    cell = r.run("options(repr.plot.width = 1, repr.plot.height = 1, repr.plot.res = 50); for (i in 1:200) grid::grid.newpage()", patience=120)
    assert len(cell.items) == 200


def test_output_of_c_and_of_children_keeps_its_place(r):
    cell = r.run("cat('one\\n'); system('echo two'); display_html('three'); system('echo four'); print('five'); display_html('six'); cat('seven')")
    story = [what["data"]["text/html"] if kind == "item" else what.decode() for kind, what in cell.story if kind in ("out", "item")]
    assert story == ["one\ntwo\n", "three", 'four\n[1] "five"\n', "six", "seven"]


def test_environment_and_directory(r, tmp_path):
    (tmp_path / "sub").mkdir()
    r.run("Sys.setenv(A = 'own')")
    assert r.run("cat(Sys.getenv(c('A', 'B')))", env={"A": "1", "B": "2"}).text == "1 2"
    assert r.run("cat(Sys.getenv(c('A', 'B'), 'none'))").text == "own none"
    assert r.run("cat(Sys.getenv('A', 'none'))", env={"A": None}).text == "none"
    r.run("setwd('sub')")
    assert r.run("cat(basename(getwd()))").text == "sub"
    cell = r.run("cat('ran')", cwd="/nonexistent")
    assert cell.status == "error" and "/nonexistent" in cell.error["value"] and cell.text == ""


def test_looking(r):
    r.run("frame <- data.frame(alpha = 1, beta = 2); fun <- function(first, second = 2) 1")

    def complete(code):
        answer = r.answer("complete", code=code, cursor=len(code))
        return [code[: answer["start"]] + match for match in answer["matches"]]

    assert complete("1\n\u00e4 <- frame$al") == ["1\n\u00e4 <- frame$alpha"] and "fun(first=" in complete("fun(fi")
    assert complete("stats::rnor") == ["stats::rnorm"]
    for code in ("", "(((", "'", "x$", "no::"):
        complete(code)
        r.answer("inspect", code=code, cursor=len(code), detail=0)
    inspect = lambda code, detail=0: r.answer("inspect", code=code, cursor=len(code), detail=detail)["data"].get("text/plain", "")
    assert "data.frame" in inspect("frame") and "num 1" in inspect("frame$alpha") and inspect("fun").startswith("fun <- function (first, second = 2)")
    assert "Examples:" in inspect("median", 1) and "Examples:" not in inspect("median") and "Description:" in inspect("median")
    assert inspect("system('touch made')") == "" and not (r.work / "made").exists()
    assert "Median" in r.run("?median").main["text/plain"] and r.run("ls()").main["text/plain"] == '[1] "frame" "fun"  '


def test_a_copy_keeps_its_files(r):
    r.run("x <- 1; path <- tempfile(); writeLines('kept', path)")
    copy = r.fork()
    try:
        assert text(copy.run("x <- 2; readLines(path)")) == '[1] "kept"' and text(r.run("x")) == "[1] 1"
        assert len(copy.run("plot(1)").items) == len(r.run("plot(1)").items) == 1
        cell = copy.begin("Sys.sleep(60)")
        time.sleep(0.5)
        copy.interrupt()
        assert copy.finish(cell, patience=20).status == "interrupted"
    finally:
        copy.close()
    assert text(r.run("readLines(path)")) == '[1] "kept"'


def test_a_real_analysis(r):
    r.run("set.seed(1); n <- 100000\nwrite.csv(data.frame(g = sample(letters[1:5], n, TRUE), x = runif(n), y = rnorm(n)), 'all.csv', row.names = FALSE)", patience=120)
    r.run("d <- read.csv('all.csv'); d$z <- 2 * d$x + d$y", patience=120)
    groups = r.run("aggregate(z ~ g, d, mean)", patience=120).main[DATA]
    assert groups["g"] == list("abcde") and all(0.9 < value < 1.1 for value in groups["z"])
    assert kinds(r.run("boxplot(z ~ g, d)", patience=120)) == [[PNG]]
    cell = r.run("fit <- lm(z ~ x, d); summary(fit)", patience=120)
    assert "Multiple R-squared" in cell.main["text/plain"]
    assert 1.9 < float(r.run("cat(coef(fit)[['x']])").text) < 2.1
