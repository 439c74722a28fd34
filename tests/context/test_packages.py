# SPDX-License-Identifier: Apache-2.0
"""A context's own directories of packages: every language finds what lies there, before what the host has."""

import subprocess

import pytest

import library
from library import Refused
from test_r_and_bash import opened_or_skipped, text

PYTHON = {"libs/mine.py": b"x = 42\n", "libs/chunk.py": b"x = 'ours'\n"}
JAVASCRIPT = {
    "libs/common/package.json": b'{"name": "common", "main": "it.js"}',
    "libs/common/it.js": b"exports.x = 42;\n",
    "libs/modern/package.json": b'{"name": "modern", "type": "module", "main": "it.js"}',
    "libs/modern/it.js": b"export const x = 43;\n",
}
R = {"libs/mine/DESCRIPTION": b"Package: mine\nVersion: 1.2.3\n"}
FOUND = [
    ("python", PYTHON, "import mine, chunk; (mine.x, chunk.x)", "(42, 'ours')"),
    ("ipykernel", PYTHON, "import mine, chunk; (mine.x, chunk.x)", "(42, 'ours')"),
    ("xpython", PYTHON, "import mine; mine.x", "42"),
    ("javascript", JAVASCRIPT, "import {x} from 'modern'; import common from 'common'; [x, common.x, require('common').x]", "[ 43, 42, 42 ]"),
    ("typescript", JAVASCRIPT, "import {x} from 'modern'; const y: number = require('common').x; [x, y]", "[ 43, 42 ]"),
    ("r", R, "as.character(packageVersion('mine'))", '[1] "1.2.3"'),
    ("irkernel", R, "as.character(packageVersion('mine'))", "[1] \"1.2.3\""),
    ("bash", {"libs/mine": b"#!/bin/sh\necho 42\n"}, "chmod +x libs/mine; mine", "42\n"),
]


@pytest.mark.parametrize("language, files, code, shown", FOUND, ids=[one[0] for one in FOUND])
def test_packages_are_found(engine, opened, language, files, code, shown):
    context = opened(opened_or_skipped(engine, language, files=files, packages="nowhere:libs"))
    assert text(context.run(code)) == shown
    context.restart()
    assert text(context.run(code)) == shown


def test_archives_of_java_are_found(engine, opened, tmp_path):
    (tmp_path / "Mine.java").write_text("package mine; public class Mine { public static int x() { return 42; } }")
    subprocess.run(["javac", "-d", tmp_path, tmp_path / "Mine.java"], check=True)
    subprocess.run(["jar", "--create", "--file", tmp_path / "mine.jar", "-C", tmp_path, "mine"], check=True)
    for files in ({"libs/mine.jar": (tmp_path / "mine.jar").read_bytes()}, {"libs/mine/Mine.class": (tmp_path / "mine/Mine.class").read_bytes()}):
        context = opened(opened_or_skipped(engine, "java", files=files, packages="libs"))
        assert text(context.run("import mine.Mine; Mine.x()")) == "42"


def test_a_fork_is_told_too(runtimes, opened):
    engine = library.Engine(runtimes)
    try:
        engine.warm("python/context")
        context = opened(engine.open("python", files=PYTHON, packages="libs", env=["PYTHONPATH=/tmp"]))
        outcome = context.run("import mine, sys; (mine.x, sys.path[:3])")
        assert text(outcome) == "(42, ['', '/work/libs', '/tmp'])" and outcome["start"] in ("fork", "parked")
        assert context.run("!python3 -c 'import mine; print(mine.x)'")["stdout"].strip() == "42"
        assert text(context.fork().run("mine.x")) == "42"
        context.close()
    finally:
        engine.close()


@pytest.mark.parametrize("packages", ["", ":", "a" * 4097])
def test_what_is_no_directory_is_refused(engine, packages):
    with pytest.raises(Refused, match="^packages: must be directories"):
        engine.open("python", packages=packages)


def test_a_language_that_looks_nowhere_else(engine):
    with pytest.raises(Refused, match="^packages: contexts of toy look for none elsewhere"):
        engine.open("toy", packages="libs")
