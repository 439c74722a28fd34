# SPDX-License-Identifier: Apache-2.0
"""TypeScript in Node's runner: types go, places stay, what makes code makes it, and files of one's own can be imported."""

import pytest

from runner import RUNTIMES, Runner
from test_conformance import installed
from test_javascript import run_all, text

pytestmark = pytest.mark.skipif(not (installed("typescript") and (RUNTIMES / "javascript/runner.node").exists()), reason="TypeScript is not installed")


@pytest.fixture
def ts(tmp_path):
    runner = Runner("typescript", tmp_path)
    yield runner
    runner.close()


def test_types_go(ts):
    assert run_all(ts, "interface Point { x: number; y?: number }\ntype Maybe<T> = T | undefined", "const p: Point = {x: 1}; p", "function first<const T extends readonly unknown[]>(of: T): T[0] { return of[0] }", "first<readonly number[]>([7, 8])",
                   "let n = p.y! as any as number; let ok = {a: 1} satisfies {a: number}; ok.a", "declare const nowhere: string; class Box<T> { private value!: T; get(): T { return this.value } }; new Box<number>()",
                   "abstract class Base { abstract area(): number }\nclass Square extends Base { side: number = 3; area(): number { return this.side ** 2 } }\nnew Square().area()",
                   "const wait = async (ms: number): Promise<void> => { await new Promise<void>((done) => setTimeout(done, ms)) }\nawait wait(1); 'waited' as const", "(p as Point).x", "{a: 1 as number}", "let q: number = 1", "const q: string = 'again'; q") == \
        [None, "{ x: 1 }", None, "7", "1", "Box { value: undefined }", "9", "'waited'", "1", "{ a: 1 }", None, "'again'"]


def test_what_makes_code(ts):
    assert run_all(ts, "enum Level { Low, High = 'high' }\nnamespace Deep { export const inner = 5 }", "[Level.Low, Level.High, Level[0], Deep.inner]", "class Named { constructor(readonly name: string, public age = 1) {} }\nnew Named('n')",
                   "const cast = <any>'x'; cast", "import os = require('os'); typeof os.cpus", "enum Level { Other = 9 }; Level.Other", "const enum Fixed { One = 1 }; Fixed.One") == \
        [None, "[ 0, 'high', 'Low', 5 ]", "Named { name: 'n', age: 1 }", "'x'", "'function'", "9", "1"]


def test_places_stay(ts):
    error = ts.run("type Long = {\n  a: number\n}\nfunction f(x: Long): never {\n    throw new Error('here')\n}\nconst y = <T,>(t: T): T => f(t as any); y<number>(1)").error
    assert error["traceback"] == "Error: here\n    at f (cell-1.ts:5:11)\n    at y (cell-1.ts:7:28)\n    at cell-1.ts:7:41"
    error = ts.run("enum E { A,\n\n B }\nclass P { constructor(private v: number) {} }\n\nfunction g(): void {\n  throw new Error('moved')\n}\ng()").error
    assert error["traceback"] == "Error: moved\n    at g (cell-2.ts:7:9)\n    at cell-2.ts:9:1"


@pytest.mark.parametrize("code, value, traceback", [
    ("let a = 1\nlet x: = 1", None, "cell-1.ts:2\nlet x: = 1\n       ^\n\nSyntaxError: Unexpected token `=`"), ("enum A { B = }", None, "cell-1.ts:1\nenum A { B = }\n"), ("const s: string = 'open", None, "cell-1.ts:1\nconst s"), ("let a: number; let a: string", "Identifier 'a' has already been declared", "SyntaxError"),
])
def test_syntax_errors(ts, code, value, traceback):
    error = ts.run(code).error
    assert error["name"] == "SyntaxError" and (value is None or error["value"] == value)
    assert traceback in error["traceback"] and "at " not in error["traceback"].splitlines()[-1][:7]
    assert text(ts.run("1 as number")) == "1"


def test_files_of_ones_own(ts, tmp_path):
    (tmp_path / "types.ts").write_text("export interface Thing { n: number }\nexport enum Kind { One = 1 }\n")
    (tmp_path / "lib.ts").write_text("import { Kind, type Thing } from './types'\nimport { sep } from 'path'\nexport const make = (n: number): Thing => ({ n })\nexport { Kind, sep }\nexport default import.meta.url\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/index.ts").write_text("export const where: string = __filename\nexport const e = (): never => { throw new Error('inside') }\n")
    assert run_all(ts, "import url, { make, Kind, Thing } from './lib'\nconst t: Thing = make(3); [t.n, Kind.One]", "url.endsWith('/lib.ts')", "import { sep } from './lib.ts'; sep", "(await import('./lib.js')).sep", "require('./lib').make(4).n", "require('./sub').where.endsWith('sub/index.ts')",
                   "import { nothing } from './absent'") == ["[ 3, 1 ]", "true", "'/'", "'/'", "4", "true", "Error"]
    (tmp_path / "lib.ts").write_text("export const make = () => 'changed'")
    assert run_all(ts, "import { make } from './lib'; make()") == ["'changed'"]
    (tmp_path / "bad.ts").write_text("export const x: = 1")
    error = ts.run("import './bad'").error
    assert error["name"] == "SyntaxError" and "bad.ts:1:16" in error["value"]


