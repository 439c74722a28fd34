# SPDX-License-Identifier: Apache-2.0
"""What Node's runner does beyond the protocol: declarations again, modules, values, errors, interrupts, and programs that spoil things."""

import base64
import json
import os
import signal
import time

import pytest

from runner import RUNTIMES, Runner, which

pytestmark = pytest.mark.skipif(not (which("node") and (RUNTIMES / "javascript/runner.node").exists()), reason="Node is not installed")


@pytest.fixture
def js(tmp_path):
    runner = Runner("javascript", tmp_path)
    yield runner
    runner.close()


def text(cell):
    assert cell.status == "ok", cell.messages
    return cell.main and cell.main["text/plain"]


def run_all(runner, *cells):
    """The text of each cell's main item, or its error's name."""
    ret = []
    for code in cells:
        cell = runner.run(code)
        ret.append(text(cell) if cell.status == "ok" else cell.error["name"])
    return ret


# ---- declarations ----


KINDS = {"let": "let n = {0}", "const": "const n = {0}", "var": "var n = {0}", "function": "function n() {{ return {0} }}", "class": "class n {{ static v = {0} }}",
         "destructured": "var {{n}} = {{n: {0}}}", "list": "let [n] = [{0}]", "loop": "for (var n = {0}; false;);", "of": "for (var n of [{0}]);",
         "async": "async function n() {{ return {0} }}", "import": "import {{n}} from './module{0}.mjs'"}


@pytest.mark.parametrize("second", KINDS)
@pytest.mark.parametrize("first", KINDS)
def test_every_kind_may_follow_every_kind(js, tmp_path, first, second):
    for i in (1, 2, 3):
        (tmp_path / f"module{i}.mjs").write_text(f"export const n = {i}")
    value = "typeof n === 'function' ? n.v ?? await n() : n"
    cells = [KINDS[first].format(1), "function reader() { return n }", value, KINDS[second].format(2), value, "reader() === n", KINDS[first].format(3), value]
    assert run_all(js, *cells) == [None, None, "1", None, "2", "true", None, "3"]


def test_closures_see_what_variables_become(js):
    assert run_all(js, "let a = 1; const f = () => a", "a = 2", "f()", "let a = 3", "f()", "var b = 1; function g() { return b }", "b = 5; g()", "let b = 6", "g()") == \
        [None, "2", "2", None, "3", None, "5", None, "6"]


def test_functions_are_hoisted_and_recursion_sees_the_variable(js):
    assert run_all(js, "early(); function early() { return 'hoisted' }", "early()", "let early = 1", "early(); function early() { return 'again' }",
                   "function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2) }\nlet calls = 0; { const plain = fib; fib = (n) => { calls++; return plain(n) } }\nfib(5); calls > 1") == \
        [None, "'hoisted'", None, None, "true"]


def test_a_constant_is_one_until_it_is_declared_again(js):
    assert run_all(js, "const c = 1", "c = 2", "c", "const c = 3; c", "c++", "function f() { c += 1 }; f()", "((c) => { c = 9; return c })(1)", "c ||= 4", "let c = 4; c = 5; c", "f(); c") == \
        [None, "TypeError", "1", "3", "TypeError", "TypeError", "9", "3", "5", "TypeError"]
    assert js.run("const k = 1;\n\n  k = 2").error["traceback"] == "TypeError: Assignment to constant variable.\n    at cell-11.js:3:10"


def test_a_declaration_that_failed_can_be_repeated(js):
    assert run_all(js, "let t = missing()", "t", "let t = 2; t") == ["ReferenceError", "ReferenceError", "2"]


def test_names_that_node_has_already(js):
    assert run_all(js, "const fs = require('fs'), crypto = require('crypto'); typeof crypto.createHash", "let fetch = 1; fetch", "const path = await import('path'); path.sep",
                   "class URL {}; new URL()", "var process2 = process; let name = 'x'; name") == ["'function'", "1", "'/'", "URL {}", "'x'"]


def test_blanks_where_functions_were_do_not_join_statements(js):
    assert run_all(js, "let j = 1\nfunction between() {}\n[2, 3].map((n) => n + j)", "between; j", "if (j) var k = 7\nelse var k = 8\nk", "let k = 1", "if (j) var k = 9\nelse var k = 10\nk") == \
        ["[ 3, 4 ]", "1", "7", None, "9"]


def test_strict_cells(js):
    assert run_all(js, "'use strict'; function s() { return this }; s()", "'use strict'; undeclared = 1", "loose = 1; loose") == [None, "ReferenceError", "1"]


# ---- values ----


@pytest.mark.parametrize("code, shown, data", [
    ("1 + 1", "2", None), ("-0", "-0", None), ("0 / 0", "NaN", None), ("10n ** 20n", "100000000000000000000n", None), ("'it''s'".replace("''", "\\'"), '"it\'s"', None), ("'a'", "'a'", None),
    ("null", "null", None), ("true", "true", None), ("Symbol('s')", "Symbol(s)", None), ("{a: 1}", "{ a: 1 }", {"a": 1}), ("({a: [1, null]})", "{ a: [ 1, null ] }", {"a": [1, None]}), ("[]", "[]", []),
    ("[1, undefined]", "[ 1, undefined ]", None), ("[NaN]", "[ NaN ]", None), ("[,1]", "[ <1 empty item>, 1 ]", None), ("new Map([[1, 2]])", "Map(1) { 1 => 2 }", None), ("(x) => x", "[Function (anonymous)]", None),
    ("class A { b = 1 }; new A()", "A { b: 1 }", None), ("Promise.resolve([5])", "[ 5 ]", [5]), ("const s = {}; s.me = s; s", "<ref *1> { me: [Circular *1] }", None),
    ("new Proxy({a: 1}, {})", "Proxy [ { a: 1 }, {} ]", None), ("const o = {a: {b: {c: {d: 1}}}}; o", "{ a: { b: { c: [Object] } } }", {"a": {"b": {"c": {"d": 1}}}}), ("x = y = 4", "4", None),
    ("new Error('value')", "Error: value\n    at cell-1.js:1:1", None), ("({toJSON() { return 1 }})", "{ toJSON: [Function: toJSON] }", None), ("({get a() { return 1 }})", "{ a: [Getter] }", None),
    ("'\\ud800'", "'\\ud800'", None), ("/r/g", "/r/g", None), ("new Date(0)", "1970-01-01T00:00:00.000Z", None), ("void 0", None, None), ("if (true) { 5 }", None, None), ("const a = 1; a;", "1", None), ("'directive'", "'directive'", None),
])
def test_the_last_expression(js, code, shown, data):
    cell = js.run(code)
    assert text(cell) == shown
    assert (cell.main or {}).get("application/json") == data


def test_a_text_is_shown_whole(js):
    assert len(text(js.run("'x'.repeat(50000)"))) == 50002


def test_values_that_cannot_be_shown(js):
    assert run_all(js, "({[Symbol.for('nodejs.util.inspect.custom')]() { throw new RangeError('no') }})", "({get [Symbol.for('Jupyter.display')]() { throw new TypeError('no') }})", "1") == ["RangeError", "TypeError", "1"]
    cell = js.begin("({[Symbol.for('nodejs.util.inspect.custom')]() { for (;;); }})")
    time.sleep(0.3)
    js.interrupt()
    assert js.finish(cell).status == "interrupted"
    assert text(js.run("2")) == "2"


def test_displays(js):
    png = base64.b64encode(b"\x89PNG bytes").decode()
    cell = js.run(f"""display.html('<p>'); display.markdown('# m'); display.latex('$x$'); display.text('t'); display.svg('<svg/>'); display.png(Buffer.from('{png}', 'base64'));
        display.png('data:image/png;base64,{png}'); display.jpeg(new Uint8Array([1, 2])); display.pdf(Buffer.from('%PDF')); display.json({{a: [1]}}); display([1], 'two');
        display.bundle({{'text/plain': 'p', 'application/vnd.vegalite.v5+json': {{mark: 'bar'}}}}, {{isolated: true}})""")
    assert [item["data"] for item in cell.items] == [
        {"text/html": "<p>"}, {"text/markdown": "# m"}, {"text/latex": "$x$"}, {"text/plain": "t"}, {"image/svg+xml": "<svg/>"}, {"image/png": png}, {"image/png": png},
        {"image/jpeg": "AQI="}, {"application/pdf": "JVBERg=="}, {"application/json": {"a": [1]}}, {"text/plain": "[ 1 ]", "application/json": [1]}, {"text/plain": "'two'"},
        {"text/plain": "p", "application/vnd.vegalite.v5+json": {"mark": "bar"}}]
    assert cell.items[-1]["metadata"] == {"isolated": True} and not any(item["main"] for item in cell.items)


def test_objects_that_know_their_bundle(js):
    js.run("class Shown { constructor(html) { this.html = html } [Symbol.for('Jupyter.display')]() { return {'text/html': this.html, 'text/plain': 'plain'} } }")
    cell = js.run("display(new Shown('<1>')); new Shown('<2>')")
    assert [(item["data"]["text/html"], item["main"]) for item in cell.items] == [("<1>", False), ("<2>", True)]
    cell = js.run("""class Later { async [Symbol.for('Jupyter.display')]() { await new Promise((done) => setTimeout(done, 20)); return {'text/html': 'later'} } }
        display(new Later()); console.log('first'); new Later()""")
    assert [(item["data"]["text/html"], item["main"]) for item in cell.items] == [("later", False), ("later", True)]
    cell = js.run("await display(new Later()); display.html('second'); display({[Symbol.for('Jupyter.display')]: () => Promise.reject(new Error('bundle'))}); 1")
    assert [item["data"].get("text/html") for item in cell.items] == ["later", "second"] and cell.error["value"] == "bundle"


def test_an_item_that_is_too_large_is_named(js):
    cell = js.run("display.png(Buffer.alloc(30 << 20)); display.html('x'.repeat(20 << 20)); 1")
    assert list(cell.items[0]["data"]) == ["text/plain"] and "image/png of 41943040 bytes" in cell.items[0]["data"]["text/plain"]
    assert len(cell.items[1]["data"]["text/html"]) == 20 << 20
    assert cell.main["text/plain"] == "1"


def test_a_hundred_thousand_displays(js):
    cell = js.run("for (let i = 0; i < 100000; i++) { if (i % 25000 === 0) console.log(i); display(i) }")
    kinds = [kind for kind, _ in cell.story]
    assert len(cell.items) == 100000 and cell.out == b"0\n25000\n50000\n75000\n"
    assert [i for i, kind in enumerate(kinds) if kind == "out"] == [0, 25001, 50002, 75003]


def test_halves_of_surrogate_pairs_and_bytes(js):
    cell = js.run("display.html('a\\ud800b\\\\ud800 \\\\\\udc00'); process.stdout.write(Buffer.from([255, 254, 10])); throw new Error('\\udfff')")
    assert cell.items[0]["data"]["text/html"] == "a\ufffdb\\ud800 \\\ufffd"
    assert cell.out == b"\xff\xfe\n" and cell.error["value"] == "\ufffd"


# ---- printing ----


def test_the_console(js):
    cell = js.run("console.log('%s is %d', 'a', 1); console.table([{a: 1}]); console.dir({a: {b: {c: {}}}}, {depth: 0}); console.group('g'); console.info('in'); console.groupEnd(); console.warn('w'); console.assert(false, 'no')")
    assert cell.text == "a is 1\n┌─────────┬───┐\n│ (index) │ a │\n├─────────┼───┤\n│ 0       │ 1 │\n└─────────┴───┘\n{ a: [Object] }\ng\n  in\n" or "│    0    │ 1 │" in cell.text
    assert cell.err == b"w\nAssertion failed: no\n"


def test_streams_keep_their_order_and_all_their_bytes(js):
    cell = js.run("""const big = 'x'.repeat(5e6); process.stdout.write(big + '\\n'); display(1); console.error('e'); require('child_process').execSync('echo child', {stdio: 'inherit'});
        require('fs').writeSync(1, 'direct\\n'); process.stdout.write('last', () => console.log('!')); process.stdout.end(); await new Promise((done) => setImmediate(done)); console.log('on')""")
    assert cell.text == "x" * 5_000_000 + "\nchild\ndirect\nlast!\non\n"
    assert [kind for kind, _ in cell.story if kind != "err"][:3] == ["out", "item", "out"]


def test_pipes_that_a_child_made_non_blocking(js):
    assert js.run("require('child_process').spawnSync(process.execPath, ['-e', 'process.stdout.write(\"c\")'], {stdio: 'inherit'}); process.stdout.write('y'.repeat(3e6))").text in ("c" + "y" * 3_000_000,)


def test_logged_things_are_not_kept(js):
    assert text(js.run("const v8 = require('v8'); v8.setFlagsFromString('--expose-gc'); const gc = require('vm').runInNewContext('gc'); const print = process.stdout.write; process.stdout.write = () => true;"
                       "for (let i = 0; i < 300; i++) console.log(new Array(1e5).fill(i)); process.stdout.write = print; gc(); process.memoryUsage().heapUsed < 60e6")) == "true"


# ---- modules ----


def test_modules(js, tmp_path):
    (tmp_path / "plain.cjs").write_text("exports.a = 1; module.exports[['b'][0]] = 2; exports.here = __filename")
    (tmp_path / "module.mjs").write_text("export default 'd'; export const n = 1, m = 2; export const url = import.meta.url")
    (tmp_path / "data.json").write_text('{"k": [1]}')
    (tmp_path / "node_modules/packed").mkdir(parents=True)
    (tmp_path / "node_modules/packed/package.json").write_text('{"name": "packed", "exports": {"import": "./i.mjs", "require": "./r.cjs"}}')
    (tmp_path / "node_modules/packed/i.mjs").write_text("export default 'imported'")
    (tmp_path / "node_modules/packed/r.cjs").write_text("module.exports = 'required'")
    assert run_all(js, "import d, {n, m as other} from './module.mjs'; [d, n, other]", "import * as all from './module.mjs'\nall.m", "import one, * as two from './module.mjs'; two.default === one",
                   "import {\n  a,\n  b,\n} from './plain.cjs'; a + b", "import './module.mjs'", "import packed from 'packed'; packed + require('packed')", "require('./data.json').k[0]", "(await import('node:path')).sep",
                   "import('./module.mjs').then((module) => module.n)", "const lazy = () => import('./module.mjs'); (await lazy()).m", "function late() { return import('./module.mjs') }; (await late()).m",
                   "import {nothing} from './module.mjs'", "import x from './absent.mjs'", "import.meta.dirname === process.cwd()", "export const e = 5; export function ef() { return e }; ef()", "__dirname === process.cwd() && fs.existsSync('data.json')") == \
        ["[ 'd', 1, 2 ]", "2", "true", "3", None, "'importedrequired'", "1", "'/'", "1", "2", "2", "SyntaxError", "Error", "true", "5", "true"]


def test_modules_follow_the_directory(js, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "m.cjs").write_text(f"module.exports = '{name}'")
    assert js.run("console.log(require('./m.cjs'), (await import('./m.cjs')).default)", cwd=str(tmp_path / "one")).text == "one one\n"
    assert js.run("process.chdir('../two'); console.log(require('./m.cjs'), (await import('./m.cjs')).default)").text == "two two\n"


# ---- errors ----


def test_a_traceback_has_the_programs_own_places(js):
    error = js.run("const a = 1;\n\nasync function deep() {\n  await null;\n  throw new TypeError('t')\n}\n  await deep()").error
    assert error["traceback"] == "TypeError: t\n    at deep (cell-1.js:5:9)\n    at async cell-1.js:7:3"
    error = js.run("import fs2 from 'fs'; import {\n join } from 'path'\nfunction later() {\n  [1].forEach(() => { throw new Error('in a callback', {cause: 1}) })\n}\n later()").error
    assert error["traceback"] == "Error: in a callback\n    at cell-2.js:4:29\n    at Array.forEach (<anonymous>)\n    at later (cell-2.js:4:7)\n    at cell-2.js:6:2 {\n  [cause]: 1\n}"
    assert js.run("later()").error["traceback"].startswith("Error: in a callback\n    at cell-2.js:4:29\n")
    assert js.run("function named() { return new Error('x').stack }; console.log(named())", name="my cell.js").text == "Error: x\n    at named (my_cell.js:1:27)\n    at my_cell.js:1:63\n"


@pytest.mark.parametrize("code, name, value, traceback", [
    ("throw 'text'", "string", "text", "Uncaught 'text'"), ("throw null", "null", "null", "Uncaught null"), ("throw {a: 1}", "object", "{ a: 1 }", "Uncaught { a: 1 }"), ("throw undefined", "undefined", "undefined", "Uncaught undefined"),
    ("fs.openSync('/absent')", "Error", "ENOENT: no such file or directory, open '/absent'", "syscall: 'open'"), ("Buffer.alloc('x')", "TypeError", 'The "size" argument must be of type number. Received type string (\'x\')', "TypeError [ERR_INVALID_ARG_TYPE]: The"),
    ("JSON.parse('{')", "SyntaxError", None, "at JSON.parse"), ("\nlet x = ;", "SyntaxError", "Unexpected token ';'", "cell-1.js:2\nlet x = ;\n        ^\n\nSyntaxError: Unexpected token ';'"),
    ("return 1", "SyntaxError", "Illegal return statement", "cell-1.js:1\nreturn 1\n^"), ("import x from 'fs'; let y = ;", "SyntaxError", "Unexpected token", "SyntaxError"), ("'unclosed", "SyntaxError", "Invalid or unexpected token", "^"),
    ("let a; let a", "SyntaxError", "Identifier 'a' has already been declared", "cell-1.js:1"), ("await Promise.reject(new RangeError('r'))", "RangeError", "r", "at cell-1.js:1:22"), ("Promise.reject(new Error('last'))", "Error", "last", "at cell-1.js:1:16"),
    ("Promise.reject(new Error('unhandled')); 5", "Error", "unhandled", "at cell-1.js:1:16"), ("setTimeout(() => { throw new Error('in a timer') }); await new Promise(() => {})", "Error", "in a timer", "at Timeout._onTimeout (cell-1.js:1:26)"),
    ("(function f() { f() })()", "RangeError", "Maximum call stack size exceeded", "at f (cell-1.js:1:"), ("class Own extends Error { name = 'Own' }; throw new Own('mine')", "Own", "mine", "Own: mine"), ("throw Object.create(null)", "object", "[Object: null prototype] {}", "Uncaught"),
    ("throw new AggregateError([new Error('one')], 'all')", "AggregateError", "all", "[errors]: ["), ("throw new Proxy({}, {get() { throw 1 }})", "object", None, "Uncaught"), ("process.nextTick(() => { throw new Error('tick') })", "Error", "tick", "cell-1.js:1:32"),
])
def test_errors(js, code, name, value, traceback):
    cell = js.run(code)
    assert cell.status == "error" and cell.main is None
    assert cell.error["name"] == name and (value is None or cell.error["value"] == value)
    assert traceback in cell.error["traceback"] and "runner" not in cell.error["traceback"] and "node:inspector" not in cell.error["traceback"]
    assert text(js.run("1")) == "1"


def test_caught_errors_show_no_frames_of_ours(js):
    cell = js.run("try { display.png('?') } catch (error) { console.log(error.stack) }; console.trace('here')")
    assert cell.text == "TypeError: image/png must be a Buffer, or base64 text\n    at cell-1.js:1:15\n"
    assert cell.err == b"Trace: here\n    at cell-1.js:1:78\n"


def test_errors_between_cells_go_to_stderr(js):
    js.run("setTimeout(() => { throw new Error('late') }, 30); setTimeout(() => Promise.reject('later'), 60); const kept = 1")
    time.sleep(0.3)
    cell = js.run("kept")
    assert text(cell) == "1" and cell.err.decode().startswith("Uncaught Error: late\n    at Timeout._onTimeout (cell-1.js:1:26)") and cell.err.endswith(b"Uncaught 'later'\n")


def test_a_program_may_handle_its_uncaught_errors(js):
    cell = js.run("process.on('uncaughtException', (error) => console.log('handled', error.message)); process.on('unhandledRejection', (error) => console.log('rejected', error)); setTimeout(() => { throw new Error('x') }); Promise.reject(1); await new Promise((done) => setTimeout(done, 50))")
    assert (cell.status, cell.text) == ("ok", "rejected 1\nhandled x\n")
    js.run("process.removeAllListeners()")
    assert js.run("Promise.reject(new Error('again'))").error["value"] == "again"


def test_a_cell_does_not_wait_for_timers(js):
    begun = time.monotonic()
    cell = js.run("console.log('now'); setTimeout(() => console.log('should not appear'), 5000); 'value'")
    assert (cell.text, text(cell)) == ("now\n", "'value'") and time.monotonic() - begun < 4


# ---- interrupts and ends ----


SPINS = {
    "plain": "while (true) {}", "in a promise": "await null; for (;;);", "in a timer": "setTimeout(() => { for (;;); }); await new Promise(() => {})", "in a tick": "process.nextTick(() => { for (;;); }); await new Promise(() => {})",
    "in a microtask": "queueMicrotask(() => { for (;;); })", "with storage": "new (require('async_hooks').AsyncLocalStorage)().run(1, async () => { await null; for (;;); }); await new Promise(() => {})",
    "in a file's callback": "fs.readFile('/etc/passwd', () => { for (;;); }); await new Promise(() => {})", "caught": "for (;;) { try { for (;;); } catch {} finally { for (;;); } }", "regular expression": "/^(a+)+$/.test('a'.repeat(40) + 'b')",
    "atomics": "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)", "nothing": "await new Promise(() => {})", "child": "child_process.execSync('sleep 30; true')", "with a listener": "process.on('SIGINT', () => {}); for (;;);",
    "input": "prompt('never answered')", "sorting": "for (;;) Array.from({length: 1e5}, () => Math.random()).sort()", "an emptied queue": "process.removeAllListeners('SIGINT'); await null; for (;;);",
}


@pytest.mark.parametrize("code", SPINS.values(), ids=SPINS.keys())
def test_interrupts(js, code):
    js.run("let state = 'kept'")
    for _ in range(2):
        cell = js.begin(code)
        time.sleep(0.4)
        begun = time.monotonic()
        js.interrupt()
        if "never answered" in code:
            assert js.receive(cell)["type"] == "input_request"
        js.finish(cell, patience=20)
        assert cell.status == "interrupted" and cell.error["name"] == "Interrupted" and time.monotonic() - begun < 5
        assert text(js.run("await new Promise((done) => setTimeout(done, 5)); await fs.promises.readFile('/dev/null'); state")) == "'kept'"


def test_a_module_that_was_interrupted_can_be_loaded_again(js, tmp_path):
    (tmp_path / "slow.cjs").write_text("exports.first = 1; while (globalThis.isSlow); exports.last = 2")
    cell = js.begin("globalThis.isSlow = true; require('./slow.cjs')")
    time.sleep(0.3)
    js.interrupt()
    assert js.finish(cell, patience=20).status == "interrupted"
    assert text(js.run("isSlow = false; require('./slow.cjs').last")) == "2"


def test_waiting_for_what_cannot_come_ends_nothing(js):
    collect = "require('v8').setFlagsFromString('--expose-gc'); const gc = require('vm').runInNewContext('gc'); for (let i = 0; i < 5; i++) { gc(); gc({type: 'minor'}); globalThis.heap = Array.from({length: 1e6}, () => ({})) }"
    for code in ("setTimeout(() => { %s; console.log('collected') }); await new Promise(() => {})" % collect, "await (async () => { await null; await new Promise(() => {}) })()", "await null; await new Promise(() => {})"):
        cell = js.begin(code)
        time.sleep(1)
        js.interrupt()
        assert js.finish(cell, patience=20).status == "interrupted"
        assert js.run(collect).status == "ok"


def test_interrupts_at_any_time(js):
    js.run("let n = 0")
    for i in range(60):
        cell = js.begin("for (const end = Date.now() + 4; Date.now() < end;) n++; await null; await new Promise((done) => setTimeout(done, 2)); n")
        time.sleep(i / 8000)
        for _ in range(1 + i % 3):
            js.interrupt()
        js.finish(cell, patience=20)
        assert cell.status in ("ok", "interrupted")
    time.sleep(0.3)
    assert text(js.run("typeof n")) == "'number'"


@pytest.mark.parametrize("code, status", [("process.exit(3)", 3), ("process.exit()", 0), ("process.exitCode = 4; process.exit()", 4), ("try { process.exit(5) } finally { console.log('never') }", 5), ("await null; process.exit(6)", 6),
                                          ("setTimeout(() => process.exit(7)); await new Promise(() => {})", 7), ("[1].map(() => process.exit(-1))", 255), ("process.exit('8')", 8)])
def test_exits(js, code, status):
    js.run("let state = 1")
    cell = js.run(code)
    assert (cell.status, cell.done["exit_code"], cell.out) == ("exit", status, b"")
    assert text(js.run("state")) == "1"


def test_an_exit_between_cells_ends_only_what_called_it(js):
    js.run("let state = 1; setTimeout(() => { process.exit(1) }, 20); setTimeout(() => { state = 2 }, 60)")
    deadline = time.monotonic() + 20
    while True:
        time.sleep(0.3)
        if text(js.run("state")) == "2" or time.monotonic() > deadline:
            break
    assert text(js.run("state")) == "2"


# ---- input ----


def test_input(js):
    cell = js.run("const a = prompt('name? '); const b = readline('secret? ', {password: true}); const c = prompt('none', 'default'); [a, b, c]", inputs=["Ünï", "s"])
    assert text(cell) == "[ 'Ünï', 's', 'default' ]"
    assert [(m["prompt"], m["password"]) for m in cell.messages if m["type"] == "input_request"] == [("name? ", False), ("secret? ", True), ("none", False)]


def test_standard_input(js):
    js.run("const rl = require('readline/promises').createInterface({input: process.stdin, output: process.stdout})")
    cell = js.run("const answer = await rl.question('q? '); answer + '!'", inputs=["yes"])
    assert text(cell) == "'yes!'" and cell.text == "q? "
    assert text(js.run("rl.close(); 1")) == "1"
    assert text(js.run("let all = ''; for await (const chunk of process.stdin) all += chunk; all", inputs=["one", "two"])) == "'one\\ntwo\\n'"
    assert text(js.run("fs.readFileSync(0, 'utf8')")) == "''"


# ---- spoiling things ----


def test_what_a_program_replaces(js):
    cells = ["console = null", "globalThis.setImmediate = globalThis.setTimeout = null", "JSON.stringify = JSON.parse = () => 1", "Array.prototype.push2 = 1; Object.prototype.extra = 1", "process.stdout.destroy()",
             "Error.prepareStackTrace = () => 'mine'", "fs.writeSync = fs.readSync = null", "process.removeAllListeners(); process.emit = () => {}", "Buffer.from = null", "delete globalThis.display; delete globalThis.process", "Error = RangeError = SyntaxError = null"]
    for code in cells:
        js.run(code)
        assert text(js.run("40 + 2")) == "42", code


def test_descriptors_are_not_the_childrens(js):
    assert js.run("require('child_process').execSync('ls -l /proc/self/fd', {stdio: ['ignore', 'inherit', 'inherit']}); 0").text.count("socket") == 0
    assert text(js.run("let failed = 0; for (const fd of [3]) { try { fs.closeSync(fd) } catch { failed++ } } failed + 1")) in ("1", "2")
    assert text(js.run("1")) == "1"


def test_closed_outputs(js):
    assert text(js.run("fs.closeSync(1); console.log('lost'); 5")) == "5"


def test_too_much_memory_ends_it_or_not_but_says_nothing_false(tmp_path):
    js = Runner("javascript", tmp_path)
    cell = js.run("const all = []; for (;;) all.push(new Array(1e6).fill(1))", patience=120)
    assert cell.done is None or cell.status == "error"
    if cell.done is None:
        assert js.process.wait(20) in (-signal.SIGABRT, -signal.SIGTRAP, -signal.SIGKILL, 133, 134)
    js.close()


def test_workers(js):
    assert js.run("const {Worker} = require('worker_threads'); const worker = new Worker('require(\"worker_threads\").parentPort.postMessage(6 * 7)', {eval: true}); console.log(await new Promise((done) => worker.once('message', done)))").text == "42\n"


def test_environment_comes_back(js):
    assert js.run("process.env.A = 'set'; console.log(process.env.A, process.env.HOME)", env={"A": "given", "HOME": None}).text == "set undefined\n"
    assert js.run("console.log(process.env.A, process.env.HOME !== undefined)").text == "undefined true\n"
    assert js.run("1", cwd="/nowhere").error["name"] == "Error"


def test_what_a_program_sees(js, tmp_path):
    assert run_all(js, "process.argv.length", "Object.keys(globalThis).filter((name) => /display|prompt|import|require/.test(name))", "require.main === undefined && typeof module", "this === globalThis", "[] instanceof Array && new Error() instanceof Error") == \
        ["1", "[]", "'object'", "true", "true"]
    assert json.loads(js.run("console.log(JSON.stringify(process.cwd()))").text) == os.path.realpath(tmp_path)


# ---- completion and inspection ----


@pytest.mark.parametrize("code, match", [("Math.flo", "Math.floor"), ("[1].ma", "[1].map"), ("'text'.toUp", "'text'.toUpperCase"), ("cou", "counter"), ("o.in", "o.inner"), ("o.inner.d", "o.inner.deep"), ("o?.inn", "o?.inner"), ("o['inner'].de", "o['inner'].deep"),
                                         ("1 + ü.ä", "1 + ü.ärger"), ("'😀'; Mat", "'😀'; Math"), ("func", "function"), ("require('chil", "require('child_process"), ("Obje", "Object"), ("new Pro", "new Promise"), ("list[0].na", "list[0].name")])
def test_completions(js, code, match):
    js.run("let counter = 1; const o = {inner: {deep: 1}, get trap() { counter++; return {} }}; const ü = {ärger: 1}; const list = [{name: 1}]")
    answer = js.answer("complete", code=code, cursor=len(code))
    assert match in [code[:answer["start"]] + one + code[answer["end"]:] for one in answer["matches"]], answer
    assert js.answer("complete", code="o.trap.x", cursor=8)["matches"] == [] and text(js.run("counter")) == "1"


@pytest.mark.parametrize("code, cursor, found, part", [("double", 3, True, "double(number, factor = 2)"), ("x + double(", 11, True, "double(number"), ("o.inner.deep", 12, True, "number\n7"), ("o.inner", 1, True, "Object\n{ inner"), ("Shape", 5, True, "class Shape extends Array"), ("absent", 2, False, ""),
                                                       ("if", 1, False, ""), ("", 0, False, "")])
def test_inspections(js, code, cursor, found, part):
    js.run("function double(number, factor = 2) { return number * factor }; const o = {inner: {deep: 7}}; class Shape extends Array { area() {} }")
    answer = js.answer("inspect", code=code, cursor=cursor, detail=0)
    assert answer["found"] is found and part in answer["data"].get("text/plain", "")
    if code == "double":
        assert "return number * factor" in js.answer("inspect", code=code, cursor=cursor, detail=1)["data"]["text/plain"]
