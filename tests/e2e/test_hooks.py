# SPDX-License-Identifier: Apache-2.0
"""The hooks of runtimes/, run with the real interpreters and without any box.

Each program is run twice: as the plain interpreter does, and with the hook and a pipe as descriptor 3. Exit code, stdout
and stderr must be the same; the report must tell what ended the program. RETORT_RUNTIMES names the runtimes directory
(the source tree's unless set).

    /usr/bin/python3 -m pytest tests/e2e/test_hooks.py
"""

import functools
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUNTIMES = Path(os.environ.get("RETORT_RUNTIMES", ROOT / "runtimes")).resolve()
PATH = "/usr/local/bin:/usr/bin:/bin"
BASE_ENV = {"PATH": PATH, "LANG": "C.UTF-8", "USER": "guest"}


def which(program):
    found = shutil.which(program, path=PATH) or next(map(str, Path("/usr/local/lib/node_modules/@esbuild").glob(f"*/bin/{program}")), None)
    if not found:
        pytest.skip(f"{program} is not installed")
    return found


def start(argv, cwd, env=None, report=None, stdin=b""):
    """Runs argv; report is what descriptor 3 shall be: None (closed), or a descriptor."""

    def place():
        if report is not None:
            os.dup2(report, 3)

    done = subprocess.run(argv, cwd=cwd, env=BASE_ENV | {"HOME": str(cwd), "TMPDIR": str(cwd)} | (env or {}), input=stdin,
                          capture_output=True, timeout=60, preexec_fn=place, close_fds=report is None)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def start_reported(argv, cwd, env=None, stdin=b""):
    """As start, and what was written to a pipe at descriptor 3."""
    reader, writer = os.pipe()
    chunks = []

    def drain():
        while chunk := os.read(reader, 65536):
            chunks.append(chunk)

    thread = threading.Thread(target=drain)
    thread.start()
    try:
        result = start(argv, cwd, env, writer, stdin)
    finally:
        os.close(writer)
        thread.join()
        os.close(reader)
    text = b"".join(chunks)
    assert len(text) <= 256 * 1024
    return result, json.loads(text) if text else None


class Language:
    def __init__(self, file, plain, hooked, env=None):
        self.file, self.plain, self.hooked, self.env = file, plain, hooked, env or {}

    def check(self, tmp_path, code, args=(), stdin=b"", file=None):
        """The report, after everything else was found to be the same as without the hook."""
        name = file or self.file
        (tmp_path / name).write_bytes(code.encode("utf-8", "surrogateescape"))
        plain = start([*self.plain, name, *args], tmp_path, stdin=stdin)
        result, report = start_reported([*self.hooked, name, *args], tmp_path, self.env, stdin)
        assert result == plain
        closed = start([*self.hooked, name, *args], tmp_path, self.env, stdin=stdin)
        assert closed == plain
        if report is not None:
            assert sorted(report) == ["name", "traceback", "value"]
        return report


# ---- Python ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def python():
    program = which("python3")
    return Language("main.py", [program, "-B"], [program, "-B"], {"PYTHONPATH": f"{RUNTIMES}/python:"})


@pytest.mark.parametrize("code, name, value, ending", [
    ("def f():\n    return {}['k']\nf()\n", "KeyError", "'k'", "KeyError: 'k'\n"),
    ("x = 1\nif x:\nprint(", "IndentationError", "expected an indented block after 'if' statement on line 2 (main.py, line 3)", ""),
    ("raise ValueError('a\"b\\\\c\\n\\u00e9\\ud800\\x00')", "ValueError", "a\"b\\c\n\u00e9\\ud800\x00", ""),
    ("try:\n    1/0\nexcept Exception as e:\n    raise RuntimeError('second') from e", "RuntimeError", "second", ""),
    ("def f(): f()\nf()", "RecursionError", "maximum recursion depth exceeded", ""),
    ("raise ExceptionGroup('g', [ValueError(1), TypeError(2)])", "ExceptionGroup", "g (2 sub-exceptions)", ""),
    ("class E(Exception):\n    def __str__(self): raise OSError\nraise E", "E", "<exception str() failed>", ""),
    ("assert False", "AssertionError", "", "AssertionError\n"),
    ("raise KeyError('x' * 1000000)", "KeyError", None, None),
    ("import sys; sys.excepthook = lambda *a: sys.__excepthook__(*a); 1/0", "ZeroDivisionError", "division by zero", ""),
])
def test_python_tells_uncaught_errors(python, tmp_path, code, name, value, ending):
    report = python.check(tmp_path, code)
    assert report["name"] == name
    if value is not None:
        assert report["value"] == value
    if ending is not None:
        assert report["traceback"].endswith(ending)
        assert "sitecustomize" not in report["traceback"] and str(RUNTIMES) not in report["traceback"]


@pytest.mark.parametrize("code", [
    "print(1)",
    "import sys; sys.exit(3)",
    "import sys; sys.exit('words')",
    "try:\n    1/0\nexcept ZeroDivisionError: pass",
    "import threading; t = threading.Thread(target=lambda: None); t.start(); t.join()",
    "import os\nif os.fork() == 0:\n    os._exit(0)\nos.wait()",
    # What a program can see is as without us.
    "import sys, os; print(sys.argv, sys.path[0] == os.getcwd(), sys.path[1:], __name__, __file__, __spec__, __builtins__)",
    "import os; print(sorted(os.environ))",
    "import sys; print(sys.excepthook is sys.__excepthook__, sys.flags, globals().keys())",
    "import traceback; traceback.print_stack()",
    "import pickle\nclass A: pass\nprint(pickle.dumps(A()), A.__module__)",
    "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int\nprint(A(1))",
    "import multiprocessing as m\ndef f(x): return x * x\n"
    "if __name__ == '__main__':\n    m.set_start_method('spawn')\n    with m.Pool(1) as p: print(p.map(f, [1, 2]))",
    "import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', 'import sys; print(sys.path[1:]); 1/0'],"
    " capture_output=True).stdout)",
    "import sys; print(sys.stdin.read())",
])
def test_python_is_as_without_us(python, tmp_path, code):
    assert python.check(tmp_path, code, ["a", "b c"], b"in\nput") is None


def test_python_forked_children_do_not_report(python, tmp_path):
    code = "import os\nif os.fork() == 0:\n    raise ValueError('child')\nos.wait()\nraise KeyError('parent')"
    assert python.check(tmp_path, code)["value"] == "'parent'"


def test_python_without_stderr(python, tmp_path):
    (tmp_path / "main.py").write_text("import sys; sys.stderr.close(); 1/0")
    (code, _, _), report = start_reported([*python.hooked, "main.py"], tmp_path, python.env)
    assert (code, report["name"]) == (1, "ZeroDivisionError")


def test_python_keyboard_interrupt(python, tmp_path):
    report = python.check(tmp_path, "import signal; signal.raise_signal(signal.SIGINT)")
    assert report["name"] == "KeyboardInterrupt"


def test_python_keeps_the_requests_own_path(python, tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "mine.py").write_text("x = 7")
    (tmp_path / "main.py").write_text("import mine, os, sys; print(mine.x, os.environ['PYTHONPATH'], sys.path[1:2])")
    own = f"{tmp_path}/lib"
    result = start([*python.hooked, "main.py"], tmp_path, {"PYTHONPATH": f"{RUNTIMES}/python:{own}"})
    assert result == (0, f"7 {own} ['{own}']\n", "")


def test_python_output_survives_a_kill(python, tmp_path):
    (tmp_path / "main.py").write_text("import os, signal; print('before'); os.kill(os.getpid(), signal.SIGKILL)")
    (code, out, _), report = start_reported([*python.hooked, "main.py"], tmp_path, python.env)
    assert (code, out, report) == (-9, "before\n", None)


def test_a_file_of_the_programs_own_is_not_written_to(python, tmp_path):
    """Descriptor 3 is closed at start, so the program's first file gets it."""
    (tmp_path / "main.py").write_text("f = open('mine', 'w'); assert f.fileno() == 3; 1/0")
    assert start([*python.hooked, "main.py"], tmp_path, python.env)[0] == 1
    assert (tmp_path / "mine").read_text() == ""


# ---- JavaScript -----------------------------------------------------------------------------------------------------


@pytest.fixture
def javascript():
    program = which("node")
    flag = "--max-old-space-size=384"
    return Language("main.js", [program, flag], [program, flag, "--require", f"{RUNTIMES}/javascript/hook.cjs"])


@pytest.mark.parametrize("code, name, value", [
    ("function f() { null.x }\nf()", "TypeError", "Cannot read properties of null (reading 'x')"),
    ("let x = ;", "SyntaxError", "Unexpected token ';'"),
    ("throw 'words'", "string", "words"),
    ("throw { a: 1 }", "object", "{ a: 1 }"),
    ("throw null", "null", "null"),
    ("throw undefined", "undefined", "undefined"),
    ("class Mine extends Error { constructor() { super('m'); this.name = 'Mine' } }\nthrow new Mine()", "Mine", "m"),
    ("Promise.reject(new RangeError('late'))", "RangeError", "late"),
    ("setTimeout(() => { throw new Error('a\\u00e9\\ud800\"') }, 1)", "Error", "a\u00e9\ufffd\""),
    ("(async () => { await 1; throw new Error('async') })()", "Error", "async"),
    ("throw new Error('x'.repeat(3e4))", "Error", None),
])
def test_javascript_tells_uncaught_errors(javascript, tmp_path, code, name, value):
    report = javascript.check(tmp_path, code)
    assert report["name"] == name
    if value is not None:
        assert report["value"] == value
    assert "hook.cjs" not in report["traceback"]


def test_an_error_in_a_javascript_worker(javascript, tmp_path):
    """Where node was when it heard of that is not always the same: what it says begins in one of two ways."""
    (tmp_path / "main.js").write_text("new (require('worker_threads').Worker)('throw new Error(\"in worker\")', { eval: true })")
    (code, out, err), report = start_reported([*javascript.hooked, "main.js"], tmp_path, javascript.env)
    assert (code, out) == (1, "") and "Error: in worker\n    at [worker eval]:1:7\n" in err and "hook.cjs" not in err
    assert (report["name"], report["value"]) == ("Error", "in worker") and "hook.cjs" not in report["traceback"]


def test_javascript_modules_too(javascript, tmp_path):
    report = javascript.check(tmp_path, "import fs from 'node:fs';\nawait 1;\nthrow new TypeError('esm')", file="main.mjs")
    assert (report["name"], report["value"]) == ("TypeError", "esm")


@pytest.mark.parametrize("code", [
    "console.log(1)",
    "process.exit(3)",
    "process.exitCode = 4",
    "try { throw 1 } catch {}",
    "process.on('uncaughtException', () => {}); process.exitCode = 5",
    "console.log(process.argv.slice(2), process.execArgv, module.id, require.main === module)",
    "const c = require('child_process').fork('-e', ['0'], { execArgv: ['-e', 'process.send(1); throw 2'], silent: true });"
    "c.on('message', (m) => console.log('got', m)); c.on('exit', (code) => console.log(code))",
    "process.stdin.on('data', (d) => process.stdout.write(d))",
])
def test_javascript_is_as_without_us(javascript, tmp_path, code):
    assert javascript.check(tmp_path, code, ["a", "b c"], b"in\nput") is None


# ---- TypeScript: the same hook, on what esbuild makes -----------------------------------------------------------------


def build_typescript(folder, name):
    return start(["/bin/sh", str(RUNTIMES / "typescript/build.sh"), which("esbuild"), name, "--bundle", "--platform=node", "--packages=external", "--format=esm", f"--outfile={name}.mjs", "--sourcemap=inline",
                  "--sources-content=false"], folder)


@pytest.mark.parametrize("code, name, value, place", [
    ("interface A { n: number }\nfunction f(a: A): never { throw new TypeError('typed') }\nf({n: 1})", "TypeError", "typed", "main.ts:2:33"),
    ("enum E { A }\nPromise.reject(new RangeError('late' as string))", "RangeError", "late", "main.ts:2:16"),
    ("await null\nthrow 'words' as any", "string", "words", ""),
])
def test_typescript_tells_uncaught_errors(javascript, tmp_path, code, name, value, place):
    (tmp_path / "main.ts").write_text(code)
    assert build_typescript(tmp_path, "main.ts") == (0, "", "")
    program, *words = javascript.plain
    typescript = Language("main.ts.mjs", [program, *words, "--enable-source-maps"], [program, *words, "--enable-source-maps", "--require", f"{RUNTIMES}/javascript/hook.cjs"])
    report = typescript.check(tmp_path, (tmp_path / "main.ts.mjs").read_text())
    assert (report["name"], report["value"]) == (name, value) and place in report["traceback"]


def test_typescript_is_built_or_says_where(tmp_path):
    (tmp_path / "main.ts").write_text("let ok = 1\nlet x: = 1\nimport './nothere'\n")
    status, stdout, stderr = build_typescript(tmp_path, "main.ts")
    assert (status, stdout) == (1, "") and stderr.startswith('main.ts:2:8: error: Unexpected "="\n')
    (tmp_path / "main.ts").write_text("let ok = 1\n\n  import './nothere'\n")
    assert build_typescript(tmp_path, "main.ts")[2].startswith('main.ts:3:10: error: Could not resolve "./nothere"\n')


# ---- Ruby -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def ruby():
    program = which("ruby")
    return Language("main.rb", [program], [program, f"-r{RUNTIMES}/ruby/hook.rb"])


@pytest.mark.parametrize("code, name, value, traceback", [
    ("def f(x)\n  1 / x\nend\nf(0)", "ZeroDivisionError", "divided by 0", "main.rb:2:in `/'\nmain.rb:2:in `f'\nmain.rb:4:in `<main>'"),
    ("puts(  ]", "SyntaxError", None, None),
    ("nope", "NameError", None, "main.rb:1:in `<main>'"),
    ("raise 'a\"b\\\\c\\n\u00e9\\xff\\0'.b", "RuntimeError", None, None),
    ("raise \"\\u00e9\\x00\\\"\"", "RuntimeError", "\u00e9\x00\"", None),
    ("def f() = f\nf", "SystemStackError", "stack level too deep", None),
    ("begin; raise 'a'; rescue; raise TypeError, 'b'; end", "TypeError", "b", None),
    ("class E < StandardError\n  def message = raise('no')\nend\nraise E", "E", "", None),
    ("raise Class.new(StandardError), 'm'", "anonymous", "m", None),
    ("raise Interrupt", "Interrupt", "Interrupt", None),
    ("throw :x", "UncaughtThrowError", "uncaught throw :x", None),
    ("Thread.report_on_exception = false\nThread.new { raise 't' }.join", "RuntimeError", "t", None),
    ("raise 'x' * 100000", "RuntimeError", None, None),
    ("at_exit { puts $!.message }\nraise IOError, 'v'", "IOError", "v", None),
])
def test_ruby_tells_uncaught_errors(ruby, tmp_path, code, name, value, traceback):
    report = ruby.check(tmp_path, code)
    assert report["name"] == name
    if value is not None:
        assert report["value"] == value
    if traceback is not None:
        assert report["traceback"] == traceback
    assert "hook.rb" not in report["traceback"]


@pytest.mark.parametrize("code", [
    "puts 1",
    "exit 3",
    "abort 'words'",
    "exit!(4)",
    "begin; raise 'x'; rescue; end",
    "at_exit { exit 7 }\nraise 'x'",
    "fork { raise 'child' }\nProcess.wait\np $?.exitstatus",
    "Thread.report_on_exception = false\nThread.new { raise 't' }.join rescue p $!",
    "p ARGV, $0, __FILE__, $LOADED_FEATURES, $LOAD_PATH, local_variables, global_variables.size, self.to_s",
    "p Object.constants.size, Kernel.private_instance_methods.size, methods.size, caller, ENV.to_h",
    "puts $stdin.read",
    "p $!, $@, $~, $_, Thread.list.size, ObjectSpace.each_object(IO).count { |io| !io.closed? }",
    "p DATA.read, __LINE__\n__END__\nx",
    "Process.kill(:TERM, $$); sleep 5",
])
def test_ruby_is_as_without_us(ruby, tmp_path, code):
    assert ruby.check(tmp_path, code, ["a", "b c"], b"in\nput") is None


# ---- PHP ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def php():
    program = which("php")
    return Language("main.php", [program, "-f"], [program, "-d", f"auto_prepend_file={RUNTIMES}/php/hook.php", "-f"])


@pytest.mark.parametrize("code, name, value, first", [
    ("<?php function f($x) { return intdiv(1, $x); }\nf(0);", "DivisionByZeroError", "Division by zero", "DivisionByZeroError: Division by zero in "),
    ("<?php echo (;", "ParseError", "syntax error, unexpected token \";\"", ""),
    ("<?php nope();", "Error", "Call to undefined function nope()", "Error: "),
    ("<?php throw new LogicException('b in c:3 in d');", "LogicException", "b in c:3 in d", None),
    ("<?php throw new Exception(\"multi\\nline\\nStack trace:\\n#0 x \u00e9 \\\"q\\\"\");", "Exception", "multi\nline\nStack trace:\n#0 x \u00e9 \"q\"", None),
    ("<?php namespace A; class E extends \\Exception {} throw new E();", "A\\E", "", None),
    ("<?php try { throw new LogicException('a'); } catch (Exception $e) { throw new RuntimeException('b', 0, $e); }", "RuntimeException", "b", "LogicException: a in "),
    ("<?php trigger_error('mine', E_USER_ERROR);", "Error", "mine", ""),
    ("<?php ini_set('memory_limit', '8M'); str_repeat('x', 1 << 27);", "Error", "Allowed memory size of 8388608 bytes exhausted (tried to allocate 134221824 bytes)", ""),
    ("<?php abstract class A { abstract function f(); } class B extends A {}", "Error", None, ""),
    ("<?php declare(strict_types=1);\nstrlen(5);", "TypeError", "strlen(): Argument #1 ($string) must be of type string, int given", None),
    ("<?php register_shutdown_function(function () { echo 'bye'; }); throw new Exception('x');", "Exception", "x", None),
    ("<?php throw new Exception(str_repeat('x', 100000));", "Exception", None, None),
])
def test_php_tells_uncaught_errors(php, tmp_path, code, name, value, first):
    report = php.check(tmp_path, code)
    assert report["name"] == name
    if value is not None:
        assert report["value"] == value
    if first is not None:
        assert report["traceback"].startswith(first) and bool(first) == bool(report["traceback"])


@pytest.mark.parametrize("code", [
    "<?php echo 1;",
    "<?php exit(3);",
    "<?php exit('words');",
    "<?php try { throw new Exception; } catch (Exception $e) { }",
    "<?php trigger_error('mine', E_USER_WARNING); echo $undefined;",
    "<?php set_exception_handler(function ($e) { echo get_class($e); }); throw new Exception;",
    "<?php set_error_handler(fn ($n, $m) => print $m); trigger_error('mine', E_USER_ERROR);",
    "<?php if (($p = pcntl_fork()) == 0) throw new Exception('child'); pcntl_wait($s); echo pcntl_wexitstatus($s);",
    "<?php var_dump(new stdClass, fn () => 1, array_keys(get_defined_vars()), $argv, $argc, $_SERVER['argv'], error_get_last());",
    "<?php var_dump(__FILE__, get_included_files()[0], $_SERVER['SCRIPT_NAME'], debug_backtrace(), get_defined_constants(true)['user'] ?? 0);",
    "<?php echo stream_get_contents(STDIN); fwrite(STDERR, 'err');",
    "#!/usr/bin/php\n<?php echo __LINE__;",
    "no <?= 'code' ?>",
    "<?php posix_kill(getmypid(), 15); sleep(5);",
])
def test_php_is_as_without_us(php, tmp_path, code):
    assert php.check(tmp_path, code, ["a", "b c"], b"in\nput") is None


# ---- R --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def r():
    return Language("main.R", [which("Rscript"), "--no-site-file"], [which("sh"), f"{RUNTIMES}/r/start.sh", which("R")],
                    {"R_PROFILE_USER": f"{RUNTIMES}/r/profile.R", "R_ENVIRON_USER": ""})


@pytest.mark.parametrize("code, name, value, traceback", [
    ("f <- function(x) stop('bad: ', x)\nf(1)", "simpleError", "bad: 1", "2: stop(\"bad: \", x)\n1: f(1)"),
    ("log('a')", "simpleError", "non-numeric argument to mathematical function", None),
    ("x +", None, None, None),
    ("nope", "simpleError", "object 'nope' not found", None),
    ("stop(structure(class = c('mine', 'error', 'condition'), list(message = 'm\u00e9\"\\\\\\n', call = NULL)))",
     "mine", "m\u00e9\"\\\n", None),
    ("options(warn = 2); as.integer('x')", "simpleError", "(converted from warning) NAs introduced by coercion", None),
    ("cat('x\\n'); library(nosuchpackage)", "packageNotFoundError", "there is no package called \u2018nosuchpackage\u2019", None),
    ("tryCatch(stop('inner'), finally = cat('finally\\n'))", "simpleError", "inner", None),
])
def test_r_tells_uncaught_errors(r, tmp_path, code, name, value, traceback):
    report = r.check(tmp_path, code)
    if name is not None:
        assert (report["name"], report["value"]) == (name, value)
    if traceback is not None:
        assert report["traceback"] == traceback


@pytest.mark.parametrize("code", [
    "1 + 1\nx <- 3\nx\ninvisible(4)",
    "quit(status = 3)",
    "try(stop('caught'), silent = TRUE)\ntryCatch(stop('a'), error = function(e) print(conditionMessage(e)))",
    "signalCondition(simpleError('asked'))",
    "warning('careful'); message('note')",
    "withCallingHandlers(withRestarts({ stop('x') }, skip = function() cat('skipped\\n')),"
    " error = function(e) invokeRestart('skip'))",
    "print(commandArgs(TRUE)); print(search()); print(ls(all.names = TRUE)); print(interactive())",
    "print(readLines(file('stdin'), warn = FALSE))",
    "summary(lm(dist ~ speed, cars))$r.squared; head(iris, 2); y ~ x",
    "cat(Sys.getenv('R_PROFILE_USER'), '\\n')",
    # R asks no calling handler when a stack is full.
    "options(expressions = 200); f <- function(n) f(n + 1)\nf(1)",
])
def test_r_is_as_without_us(r, tmp_path, code):
    assert r.check(tmp_path, code, ["a", "b c"], b"in\nput\n") is None


# ---- Java -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def java_hook(tmp_path_factory):
    """The folder with the hook's class: the runtimes directory's, or made here from its source."""
    if (RUNTIMES / "java" / "RetortHook.class").exists():
        return RUNTIMES / "java"
    made = tmp_path_factory.mktemp("java")
    done = subprocess.run([which("javac"), "-d", made, RUNTIMES / "java" / "RetortHook.java"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")  # a warning would stand in every program's messages
    return made


def check_java(tmp_path, hook, body, args=()):
    code = "public class Main { %s }" % body
    (tmp_path / "Main.java").write_text(code)
    subprocess.run([which("javac"), "-J-XX:TieredStopAtLevel=1", "-d", ".", "Main.java"], cwd=tmp_path, check=True)
    options = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-XX:-UsePerfData", "-XX:MaxRAM=536870912",
               "-XX:MaxRAMPercentage=60"]
    plain = start([which("java"), *options, "-cp", ".", "Main", *args], tmp_path)
    hooked = [which("java"), *options, "-XX:-PrintWarnings", "-Djava.system.class.loader=RetortHook", "-cp", f".:{hook}",
              "Main", *args]
    result, report = start_reported(hooked, tmp_path)
    assert result == plain
    assert start(hooked, tmp_path) == plain
    return report


MAIN = "public static void main(String[] a) throws Exception { %s }"


@pytest.mark.parametrize("body, name, value", [
    ("static void f() { throw new IllegalStateException(\"a\\\"b\\n\\u00e9\", new RuntimeException(\"why\")); }" + MAIN % "f();",
     "java.lang.IllegalStateException", "a\"b\n\u00e9"),
    (MAIN % "Object o = null; o.toString();", "java.lang.NullPointerException",
     "Cannot invoke \"Object.toString()\" because \"<local1>\" is null"),
    (MAIN % "main(a);", "java.lang.StackOverflowError", ""),
    (MAIN % "byte[][] x = new byte[9999][]; for (int i = 0;; i++) x[i] = new byte[1 << 24];", "java.lang.OutOfMemoryError",
     "Java heap space"),
    ("static class A { static int x = 1 / Integer.parseInt(\"0\"); }" + MAIN % "System.out.println(A.x);",
     "java.lang.ExceptionInInitializerError", ""),
    ("static class Mine extends Exception { }" + MAIN % "throw new Mine();", "Main$Mine", ""),
])
def test_java_tells_uncaught_errors(java_hook, tmp_path, body, name, value):
    report = check_java(tmp_path, java_hook, body)
    assert (report["name"], report["value"]) == (name, value)
    assert "RetortHook" not in report["traceback"]
    assert report["traceback"].startswith(name)


@pytest.mark.parametrize("body", [
    MAIN % "System.out.println(java.util.Arrays.toString(a) + Main.class.getClassLoader().getClass().getName());",
    MAIN % "System.exit(3);",
    MAIN % "Thread t = new Thread(() -> { throw new RuntimeException(\"other\"); }, \"w\"); t.start(); t.join();",
    MAIN % "new Exception(\"shown\").printStackTrace();",
    "static void notMain() { }",
    # The JVM tells this one itself, before there is a main to die: no handler is asked.
    "static int x = 1 / Integer.parseInt(\"0\");" + MAIN % "",
])
def test_java_is_as_without_us(java_hook, tmp_path, body):
    assert check_java(tmp_path, java_hook, body, ["a", "b c"]) is None


# ---- C++ ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def cpp_hook():
    made = RUNTIMES / "cpp" / "terminate.o"
    return made if made.exists() else RUNTIMES / "cpp" / "terminate.cc"


def check_cpp(tmp_path, hook, code, flags=()):
    (tmp_path / "main.cpp").write_text(code)
    base = [which("g++"), "-std=gnu++17", "-O1", *flags, "main.cpp"]
    subprocess.run([*base, "-o", "plain"], cwd=tmp_path, check=True)
    subprocess.run([*base, hook, "-o", "hooked"], cwd=tmp_path, check=True)
    plain = start(["./plain"], tmp_path)
    result, report = start_reported(["./hooked"], tmp_path)
    assert result == plain
    assert start(["./hooked"], tmp_path) == plain
    return report


@pytest.mark.parametrize("flags", [[], ["-static"], ["-fno-pie", "-no-pie"], ["-flto"]])
def test_cpp_tells_uncaught_errors_however_linked(cpp_hook, tmp_path, flags):
    report = check_cpp(tmp_path, cpp_hook, "#include <stdexcept>\nnamespace n { template <class T> struct mine : std::runtime_error "
                       "{ using runtime_error::runtime_error; }; }\nint main() { throw n::mine<int>(\"a\\\"b\\n\\u00e9\"); }", flags)
    assert report == {"name": "n::mine<int>", "value": "a\"b\n\u00e9", "traceback": ""}


@pytest.mark.parametrize("body, name, value", [
    ("throw 42;", "int", ""),
    ("throw \"words\";", "char const*", "words"),
    ("std::vector<int>().at(3);", "std::out_of_range", "vector::_M_range_check: __n (which is 3) >= this->size() (which is 0)"),
    ("std::thread([] { throw std::bad_alloc(); }).join();", "std::bad_alloc", "std::bad_alloc"),
    ("[]() noexcept { throw std::logic_error(\"n\"); }();", "std::logic_error", "n"),
])
def test_cpp_tells_uncaught_errors(cpp_hook, tmp_path, body, name, value):
    report = check_cpp(tmp_path, cpp_hook,
                       "#include <stdexcept>\n#include <thread>\n#include <vector>\nint main() { %s }" % body, ["-w", "-pthread"])
    assert (report["name"], report["value"]) == (name, value)


@pytest.mark.parametrize("code", [
    "#include <iostream>\nint main() { try { throw 1; } catch (int) { std::cout << 1; } return 3; }",
    "#include <cstdlib>\nint main() { std::abort(); }",
    "#include <exception>\nint main() { std::terminate(); }",
    "#include <cstdlib>\n#include <exception>\nint main() { std::set_terminate([] { std::_Exit(9); }); throw 1; }",
    "int main() { *(volatile int *)0 = 1; }",
])
def test_cpp_is_as_without_us(cpp_hook, tmp_path, code):
    assert check_cpp(tmp_path, cpp_hook, code, ["-w"]) is None


# ---- examples -------------------------------------------------------------------------------------------------------

EXAMPLES = ROOT / "examples"
CASES = json.loads((EXAMPLES / "cases.json").read_text())


@functools.lru_cache
def runner(language):
    """How to run a file, by hand: the same commands as in runtime.yaml."""
    return {
        "python": ["python3 {file}"], "javascript": ["node {file}"], "r": ["Rscript {file}"], "bash": ["bash {file}"], "ruby": ["ruby {file}"], "php": ["php {file}"],
        "typescript": ["esbuild {file} --bundle --platform=node --format=esm --log-level=warning --outfile={stem}.mjs", "node {stem}.mjs"],
        "java": ["javac -d . {file}", "java -cp . {stem}"], "c": ["gcc -std=gnu17 -O2 -Wall -Werror -o program {file} -lm", "./program"],
        "cpp": ["g++ -std=gnu++17 -O2 -Wall -Werror -o program {file}", "./program"],
    }[language]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["file"])
def test_examples_print_what_they_should(tmp_path, case):
    shutil.copy(EXAMPLES / case["file"], tmp_path)
    *before, last = (step.format(file=case["file"], stem=Path(case["file"]).stem).split() for step in runner(case["language"]))
    for step in before:
        assert start([which(step[0]), *step[1:]], tmp_path) == (0, "", "")
    program = last[0] if last[0].startswith("./") else which(last[0])
    stdin = (EXAMPLES / case["stdin"]).read_bytes() if case["stdin"] else b""
    result = start([program, *last[1:], *case["args"]], tmp_path, stdin=stdin)
    assert result == (0, (EXAMPLES / case["expected"]).read_text(), "")


def test_every_language_has_an_example():
    programs = {path.parent.name for path in RUNTIMES.glob("*/runtime.yaml") if "\nrun:" in path.read_text()}
    assert {case["language"] for case in CASES} == programs
