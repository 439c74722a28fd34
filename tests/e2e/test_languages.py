# SPDX-License-Identifier: Apache-2.0
"""Every language: what its programs may expect to work, works in a box; and how they fail is told truthfully."""
import base64
import json
import re

import pytest

from conftest import RUNTIMES

LANGUAGES = ["bash", "c", "cpp", "java", "javascript", "php", "python", "r", "ruby", "typescript"]


@pytest.fixture
def run(retort, installed_languages):
    """run(language, code or {name: text}, *words, input=) -> the outcome"""
    def run(language, code, *words, input=b""):
        if installed_languages[language]:
            pytest.skip(f"{language} is not installed: {installed_languages[language]}")
        if isinstance(code, dict):
            files = [retort.file(name, text) for name, text in code.items()]
            words = ("run", "-l", language, "--json", *words[:words.index("--")], *files, *words[words.index("--"):]) \
                if "--" in words else ("run", "-l", language, "--json", *words, *files)
        else:
            words = ("run", "-l", language, "-c", code, "--json", "-L", "wall=40s", "-L", "cpu=40s", *words)
        done = retort(*words, input=input)
        assert done.out, done
        return done.outcome
    return run


def out(outcome, status="ok"):
    """The program's stdout as bytes; the run must have ended so."""
    assert outcome["status"] == status, outcome
    text = outcome["stdout"]
    return base64.b64decode(text) if outcome.get("stdout_encoding") == "base64" else text.encode()


def c(body, *headers):
    return "".join(f"#include <{h}>\n" for h in ("stdio.h", "stdlib.h", "string.h", "unistd.h", *headers)) + \
        "int main(int argc, char **argv) { (void)argc; (void)argv;\n" + body + "\nreturn 0; }\n"


def cpp(body, *headers):
    return "".join(f"#include <{h}>\n" for h in ("iostream", "string", "vector", *headers)) + \
        "int main(int argc, char **argv) { (void)argc; (void)argv;\n" + body + "\nreturn 0; }\n"


def java(body, imports="java.util.*"):
    return f"import {imports};\nimport java.io.*;\npublic class Main {{ public static void main(String[] args) throws Exception {{\n" \
           f"{body}\n}} }}\n"


def all_of(**programs):
    programs.setdefault("typescript", programs["javascript"])
    assert sorted(programs) == LANGUAGES
    return pytest.mark.parametrize("language, code", programs.items(), ids=programs.keys())


# ---- what goes in and comes out -----------------------------------------------------------------------------------

@all_of(bash="printf 'x\\n'", c=c('puts("x");'), cpp=cpp('std::cout << "x\\n";'), java=java('System.out.println("x");'),
        javascript='console.log("x")', python='print("x")', r='cat("x\\n")', ruby='puts "x"',
        php='<?php echo "x\\n";')
def test_ok(run, language, code):
    outcome = run(language, code)
    assert out(outcome) == b"x\n"
    assert (outcome["exit_code"], outcome["signal"], outcome["language"], outcome["stderr"]) == (0, 0, language, "")
    assert outcome["version"][0].isdigit() and outcome.get("error") is None and outcome["diagnostics"] == []
    assert outcome["usage"]["cpu_ms"] > 0 and outcome["usage"]["peak_memory_bytes"] > 0
    assert [s["name"] for s in outcome["steps"]] == (["compile", "run"] if language in ("c", "cpp", "java", "typescript") else ["run"])


@all_of(bash="exit 42", c=c("exit(42);"), cpp=cpp("return 42;"), java=java("System.exit(42);"),
        javascript="process.exitCode = 42", python="import sys; sys.exit(42)", r="quit(status = 42)", ruby="exit 42",
        php="<?php exit(42);")
def test_exit_code(run, language, code):
    outcome = run(language, code)
    assert (outcome["status"], outcome["exit_code"]) == ("nonzero", 42), outcome
    assert outcome.get("error") is None


ECHO = dict(
    bash='cat; printf "%s|" "$@" "$X"', c=c('int ch; while ((ch = getchar()) != EOF) putchar(ch);\n'
    'for (int i = 1; i < argc; i++) printf("%s|", argv[i]); printf("%s|", getenv("X"));'),
    cpp=cpp('std::cout << std::cin.rdbuf(); for (int i = 1; i < argc; i++) std::cout << argv[i] << "|";\n'
            'std::cout << getenv("X") << "|";', "cstdlib"),
    java=java('System.in.transferTo(System.out); for (String a : args) System.out.print(a + "|");\n'
              'System.out.print(System.getenv("X") + "|");'),
    javascript='process.stdout.write(require("fs").readFileSync(0)); '
               'process.stdout.write([...process.argv.slice(2), process.env.X, ""].join("|"))',
    python='import os, sys\nsys.stdout.buffer.write(sys.stdin.buffer.read())\nsys.stdout.flush()\n'
           'print(*sys.argv[1:], os.environ["X"], "", sep="|", end="")',
    r='x <- file("stdin", "rb"); while (length(b <- readBin(x, "raw", 65536)) > 0) writeBin(b, pipe("cat", "wb") -> p) -> y; '
      'if (exists("p")) close(p); cat(paste0(c(commandArgs(TRUE), Sys.getenv("X")), "|"), sep = "")',
    ruby='IO.copy_stream($stdin, $stdout); $stdout.print [*ARGV, ENV["X"], ""].join("|")',
    php='<?php while (!feof(STDIN)) echo fread(STDIN, 8192); echo implode("|", [...array_slice($argv, 1), getenv("X"), ""]);')


@all_of(**ECHO)
def test_stdin_args_and_env(run, language, code):
    done = run(language, code, "--env", "X=é =x", "--", "one", "two words", "--three", "ü*", input="a line\nänd no end".encode())
    expected = "a line\nänd no end" + "one|two words|--three|ü*|é =x|"
    assert out(done).decode() == expected


@all_of(**ECHO)
def test_bytes_go_in_and_come_out(run, language, code):
    data = bytes(range(256)) * 40
    done = run(language, code, "--env", "X=1", input=data)
    assert done["stdout_encoding"] == "base64"
    assert out(done) == data + b"1|"


@all_of(bash="echo 'héllo 世界 😀'", c=c('puts("héllo 世界 😀");'), cpp=cpp('std::string é = "héllo 世界 😀"; std::cout << é << "\\n";'),
        java=java('String é = "héllo 世界 😀"; System.out.println(é);'), javascript='const é = "héllo 世界 😀"; console.log(é)',
        python='é = "héllo 世界 😀"\nprint(é)', r='é <- "héllo 世界 😀"; cat(é, "\\n", sep = ""); stopifnot(nchar(é) == 10)',
        ruby='é = "héllo 世界 😀"; puts é; raise unless é.length == 10', php='<?php $é = "héllo 世界 😀"; echo $é, "\\n";')
def test_source_and_output_are_utf8(run, language, code):
    outcome = run(language, code)
    assert out(outcome).decode() == "héllo 世界 😀\n"
    assert outcome.get("stdout_encoding", "utf-8") == "utf-8"


@all_of(bash=":", c=c(""), cpp=cpp(""), java=java(""), javascript=";", python="pass", r="invisible(1)", ruby="nil", php="<?php ;")
def test_no_output(run, language, code):
    outcome = run(language, code)
    assert out(outcome) == b"" and outcome["stderr"] == ""
    assert outcome["usage"]["output_bytes"] == 0


@all_of(bash="printf '%1048576s' x", c=c('printf("%1048576s", "x");'), cpp=cpp('std::cout << std::string(1048575, \' \') << "x";'),
        java=java('System.out.print(" ".repeat(1048575) + "x");'), javascript='process.stdout.write(" ".repeat(1048575) + "x")',
        python='print(" " * 1048575 + "x", end="")', r='cat(strrep(" ", 1048575), "x", sep = "")',
        ruby='print " " * 1048575 + "x"', php='<?php echo str_repeat(" ", 1048575) . "x";')
def test_a_megabyte_on_one_line_without_an_end(run, language, code):
    assert out(run(language, code)) == b" " * 1048575 + b"x"


@all_of(bash="yes 0123456789 | head -c 10G", c=c("char b[65536]; memset(b, 'x', sizeof b); for (long i = 0; i < 163840; i++) fwrite(b, 1, sizeof b, stdout);"),
        cpp=cpp("std::string b(65536, 'x'); for (long i = 0; i < 163840; i++) std::cout << b;"),
        java=java('byte[] b = new byte[65536]; Arrays.fill(b, (byte)\'x\'); for (long i = 0; i < 163840; i++) System.out.write(b);'),
        javascript='const b = "x".repeat(65536); for (let i = 0; i < 163840; i++) require("fs").writeSync(1, b)',
        python='b = "x" * 65536\nfor i in range(163840): print(b, end="")', r='b <- strrep("x", 65536); for (i in 1:163840) cat(b)',
        ruby='b = "x" * 65536; 163840.times { $stdout.write b }', php='<?php $b = str_repeat("x", 65536); for ($i = 0; $i < 163840; $i++) echo $b;')
def test_ten_gigabytes_of_output_are_stopped(run, language, code):
    outcome = run(language, code, "-L", "output=2M")
    assert len(out(outcome, "output_limit")) == 2 << 20
    assert outcome["truncated"] == {"stdout": True, "stderr": False}
    assert outcome["limit"]["name"] == "output_bytes" and outcome["limit"]["measured"] < 1 << 30


@all_of(bash="echo part; sleep 30", c=c('puts("part"); fflush(stdout); sleep(30);'), cpp=cpp('std::cout << "part" << std::endl; sleep(30);', "unistd.h"),
        java=java('System.out.println("part"); Thread.sleep(30000);'), javascript='console.log("part"); setTimeout(() => {}, 30000)',
        python='print("part")\nimport time\ntime.sleep(30)', r='cat("part\\n"); Sys.sleep(30)', ruby='puts "part"; $stdout.flush; sleep 30',
        php='<?php echo "part\\n"; sleep(30);')
def test_what_was_written_before_a_time_limit_is_kept(run, language, code):
    wall_ms = 5000 if language in ("java", "r") else 1500  # until they have begun
    outcome = run(language, code, "-L", f"wall={wall_ms}ms")
    assert out(outcome, "wall_limit") == b"part\n"
    assert outcome["limit"]["name"] == "wall_ms" and outcome["limit"]["measured"] >= wall_ms


# ---- uncaught errors and compilers ---------------------------------------------------------------------------------

@pytest.mark.parametrize("language, code, name, value, trace, exit_code", [
    ("python", "def f():\n    raise ValueError('nö')\nf()", "ValueError", "nö", "main.py\", line 2, in f", 1),
    ("python", "class E(Exception): pass\nraise E", "E", "", "line 2", 1),
    ("python", "1/0", "ZeroDivisionError", "division by zero", "line 1", 1),
    ("python", "x = (", "SyntaxError", "'(' was never closed (main.py, line 1)", "main.py", 1),
    ("python", "import nothere", "ModuleNotFoundError", "No module named 'nothere'", "line 1", 1),
    ("python", "def f(): f()\nf()", "RecursionError", "maximum recursion depth", "in f", 1),
    ("javascript", "function f() { throw new TypeError('nö') }\nf()", "TypeError", "nö", "main.js:1:22", 1),
    ("javascript", "Promise.reject(new RangeError('later'))", "RangeError", "later", "main.js:1:", 1),
    ("javascript", "(async () => { await 1; throw new Error('async') })()", "Error", "async", "main.js:1:", 1),
    ("javascript", "throw 'text'", "string", "text", "", 1),
    ("javascript", "let x = ;", "SyntaxError", "Unexpected token", "", 1),
    ("javascript", "require('nothere')", "Error", "Cannot find module 'nothere'", "main.js", 1),
    ("typescript", "interface A { n: number }\nfunction f(a: A): never { throw new TypeError('nö' + a.n) }\nf({n: 1})", "TypeError", "nö1", "at f (/work/main.ts:2:33)\n    at <anonymous> (/work/main.ts:3:1)", 1),
    ("typescript", "Promise.reject(new RangeError('later'))", "RangeError", "later", "main.ts:1:", 1),
    ("typescript", "await 1; throw 'text' as string", "string", "text", "", 1),
    ("typescript", "require('nothere')", "Error", "Cannot find module 'nothere'", "main.ts", 1),
    ("r", "f <- function(x) stop('nö ', x)\nf(3)", "simpleError", "nö 3", "f(3)", 1),
    ("r", "log(-1) + undefined_thing", "simpleError", "object 'undefined_thing' not found", "", 1),
    ("r", "x <- (", None, None, None, 1),
    ("java", java("throw new IllegalStateException(\"nö\");"), "java.lang.IllegalStateException", "nö", "Main.java:4", 1),
    ("java", java("Object o = null; o.hashCode();"), "java.lang.NullPointerException", "o", "Main.main", 1),
    ("java", java("int[] a = new int[1]; a[2] = 3;"), "java.lang.ArrayIndexOutOfBoundsException", "Index 2 out of bounds", "Main.main", 1),
    ("ruby", "def f\n  raise ArgumentError, 'nö'\nend\nf", "ArgumentError", "nö", "main.rb:2:in `f'", 1),
    ("ruby", "[].fetch 3", "IndexError", "index 3 outside of array bounds", "main.rb:1", 1),
    ("ruby", "x = (", "SyntaxError", "", "", 1),
    ("ruby", "require 'nothere'", "LoadError", "cannot load such file -- nothere", "main.rb:1", 1),
    ("ruby", "def f; f; end\nf", "SystemStackError", "stack level too deep", "in `f'", 1),
    ("php", "<?php\nfunction f() { throw new DomainException('nö'); }\nf();", "DomainException", "nö", "main.php(3): f()", 255),
    ("php", "<?php echo (;", "ParseError", "syntax error, unexpected token \";\"", "", 255),
    ("php", "<?php nothere();", "Error", "Call to undefined function nothere()", "{main}", 255),
    ("php", "<?php ini_set('memory_limit', '8M'); str_repeat('x', 1 << 27);", "Error", "Allowed memory size", "", 255),
    ("cpp", cpp("throw std::runtime_error(\"nö\");", "stdexcept"), "std::runtime_error", "nö", "", None),
    ("cpp", cpp("std::vector<int>().at(3);"), "std::out_of_range", "vector::_M_range_check", "", None),
    ("cpp", cpp("throw 5;"), "int", "", "", None),
])
def test_uncaught_errors_are_told(run, language, code, name, value, trace, exit_code):
    outcome = run(language, code)
    if exit_code is None:
        assert (outcome["status"], outcome["signal"]) == ("signal", 6), outcome
    else:
        assert (outcome["status"], outcome["exit_code"]) == ("nonzero", exit_code), outcome
    if name is None:
        return
    error = outcome["error"]
    assert error["name"] == name and value in error["value"] and trace in error["traceback"], error
    assert not any(ours in outcome["stderr"] for ours in ("/retort", "sitecustomize", "hook."))


@pytest.mark.parametrize("language, code", [
    ("python", "try:\n    1/0\nexcept ZeroDivisionError:\n    raise SystemExit(3)"), ("javascript", "try { x } catch { process.exit(3) }"),
    ("typescript", "try { throw 1 as any } catch (e: unknown) { process.exit(3) }"),
    ("ruby", "begin; raise 'a'; rescue; exit 3; end"), ("php", "<?php try { throw new Exception; } catch (Exception $e) { exit(3); }"),
    ("r", "tryCatch(stop('a'), error = function(e) quit(status = 3))"), ("java", java("try { throw new Exception(); } catch (Exception e) { System.exit(3); }")),
    ("cpp", cpp("try { throw 1; } catch (...) { return 3; }"))])
def test_caught_errors_are_the_programs_own_business(run, language, code):
    outcome = run(language, code)
    assert (outcome["status"], outcome["exit_code"], outcome.get("error")) == ("nonzero", 3, None), outcome


@pytest.mark.parametrize("language, code, line, column, message", [
    ("c", "int main(void) {\n        return nothere;\n}\n", 2, 16, "nothere"),
    ("c", "#include \"nothere.h\"\nint main(void) { return 0; }\n", 1, 10, "nothere.h"),
    ("c", "int main(void) { return f(); }\nint f(int) ;\nint g(", 3, 1, "expected"),
    ("cpp", "int main() {\n  std::cout << 1;\n}\n", 2, 8, "cout"),
    ("java", "public class Main {\n  public static void main(String[] a) {\n    int x = \"text\";\n  }\n}\n", 3, 13, "incompatible types"),
    ("java", "public class Main {\n  void f( {\n}\n", 2, 11, "illegal start of type"),
    ("java", "public class Main {\n  int x = 1\n}\n", 2, 12, "';' expected"),
    ("typescript", "const a: number = 1;\nlet b: = 2;\n", 2, 8, "Unexpected \"=\""),
    ("typescript", "import { x } from './nothere'; x\n", 1, 19, "Could not resolve \"./nothere\""),
    ("typescript", "const a: number = 1;\na = 2;\n", 2, 1, "constant"),
])
def test_compilers_say_where(run, language, code, line, column, message):
    outcome = run(language, code)
    assert outcome["status"] == "compile_error" and outcome["exit_code"] == 1, outcome
    found = [d for d in outcome["diagnostics"] if d["severity"].endswith("error") and message in d["message"]]
    assert found, outcome["diagnostics"]
    assert found[0]["line"] == line and (column is None or found[0]["column"] == column), found
    assert found[0]["file"].startswith(("main.", "Main."))
    assert outcome["stdout"] == "" and len(outcome["steps"]) == 1


def test_a_program_that_does_not_link(run):
    outcome = run("c", "int f(void);\nint main(void) { return f(); }\n")
    assert outcome["status"] == "compile_error"
    # In the words of whichever linker the host has: bfd, gold, mold.
    assert any(re.search("undefined (reference to [`']f'|symbol: f)", d["message"]) for d in outcome["diagnostics"]), outcome


@pytest.mark.parametrize("option", ["-static", "-static-pie", "-no-pie", "-flto", "-g3", "-pthread", "-Wl,--gc-sections", "-fopenmp"])
def test_what_gcc_links_is_linked(run, option):
    # Whatever linker is chosen: a program that gcc's usual one makes is made.
    assert out(run("c", c('printf("%s\\n", strrchr("a/b", 47));'), "--compile-arg", option)) == b"/b\n"


@pytest.mark.parametrize("header", ["bits/stdc++.h", "iostream"])
def test_headers_compiled_ahead_are_used_where_they_fit(run, header):
    if not list(RUNTIMES.glob(f"cpp/pch/{header}.gch")):
        pytest.skip("this runtimes directory was made without g++")
    code = f"#include <{header}>\nint main() {{ std::cout << NUMBER << std::endl; }}\n"
    words = ["--compile-arg", "-H", "--compile-arg", "-Winvalid-pch", "--compile-arg"]

    def headers(outcome):
        assert out(outcome) == b"7\n"
        text = outcome["steps"][0]["stderr"]
        return [line for line in text.splitlines() if line.startswith(("!", "x", "."))]

    fit = headers(run("cpp", code, *words, "-DNUMBER=7"))
    assert fit[0] == f"! /retort/cpp/pch/{header}.gch", fit
    # Other options: the header itself, and the same program.
    for other in ("-std=c++20", "-O0", "-fno-exceptions"):
        seen = headers(run("cpp", code, *words, "-DNUMBER=7", "--compile-arg", other))
        assert not any(line.startswith("! ") for line in seen), (other, seen[0])
        assert any(line.endswith(f"/{header}") and line.startswith(". ") for line in seen), other
    # Behind another header GCC takes none; and a macro that the header looks at is heeded.
    debug = "#define _GLIBCXX_DEBUG 1\n" + code.replace("std::cout", "std::vector<int> v; std::cout").replace("#include", "#include <vector>\n#include", 1)
    assert not any(line.startswith("! ") for line in headers(run("cpp", debug, *words, "-DNUMBER=7")))


# ---- several files -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("language, files", [
    ("python", {"main.py": "import helper, pack.inner\nprint(helper.x, pack.inner.y)\n", "helper.py": "x = 1\n", "pack/__init__.py": "", "pack/inner.py": "y = 2\n"}),
    ("javascript", {"main.js": "console.log(require('./helper').x, require('./pack/inner.json').y)\n", "helper.js": "exports.x = 1\n", "pack/inner.json": '{"y": 2}'}),
    ("javascript", {"main.mjs": "import {x} from './helper.mjs'\nconsole.log(x, await 2)\n", "helper.mjs": "export const x = 1\n"}),
    ("typescript", {"main.ts": "import { x } from './helper'\nimport type { T } from './pack/types'\nimport y = require('./pack/inner.json')\nconsole.log(x as T, y.y)\n", "helper.ts": "export const x: number = 1\n", "pack/types.ts": "export type T = number\n", "pack/inner.json": '{"y": 2}'}),
    ("typescript", {"main.mts": "import {x} from './helper.mjs'\nconsole.log(x, await 2)\n", "helper.mts": "export const x: number = 1\n"}),
    ("typescript", {"src/main.tsx": "const h = (name: string, props: {n: number}) => props.n; /** @jsx h */\nimport { y } from './other.js'\nconsole.log(<b n={1} />, y)\n", "src/other.ts": "export const y = 2\n"}),
    ("r", {"main.R": "source('helper.R'); source('pack/inner.R'); cat(x, y, '\\n', sep = ' ')\n", "helper.R": "x <- 1\n", "pack/inner.R": "y <- 2\n"}),
    ("ruby", {"main.rb": "require_relative 'helper'; load 'pack/inner.rb'; puts X, Y\n", "helper.rb": "X = 1\n", "pack/inner.rb": "Y = 2\n"}),
    ("php", {"main.php": "<?php require 'helper.php'; require __DIR__ . '/pack/inner.php'; echo X, ' ', Y;\n", "helper.php": "<?php const X = 1;\n", "pack/inner.php": "<?php const Y = 2;\n"}),
    ("bash", {"main.sh": ". ./helper.sh\n. pack/inner.sh\necho $x $y\n", "helper.sh": "x=1\n", "pack/inner.sh": "y=2\n"}),
    ("c", {"main.c": '#include "helper.h"\n#include <stdio.h>\nint main(void) { printf("%d %d\\n", X, f()); return 0; }\n', "helper.h": "#define X 1\nint f(void);\n", "f.c": "int f(void) { return 2; }\n"}),
    ("cpp", {"main.cpp": '#include "helper.hpp"\n#include <iostream>\nint main() { std::cout << X << " " << f() << "\\n"; }\n', "helper.hpp": "#define X 1\nint f();\n", "f.cpp": "int f() { return 2; }\n"}),
    ("java", {"Main.java": 'public class Main { public static void main(String[] a) { System.out.println(Helper.X + " " + p.Inner.y()); } }\n',
              "Helper.java": "class Helper { static final int X = 1; }\n", "p/Inner.java": "package p;\npublic class Inner { public static int y() { return 2; } }\n"}),
])
def test_several_files(run, language, files):
    assert out(run(language, files)).split() == [b"1", b"2"]


@pytest.mark.parametrize("language, name, entry, other", [
    ("python", "py", "print('entry')", "print('other')"), ("javascript", "js", "console.log('entry')", "console.log('other')"),
    ("typescript", "ts", "console.log('entry' as string)", "console.log('other')"),
    ("bash", "sh", "echo entry", "echo other"), ("r", "R", "cat('entry\\n')", "cat('other\\n')"),
    ("ruby", "rb", "puts 'entry'", "puts 'other'"), ("php", "php", "<?php echo \"entry\\n\";", "<?php echo 'other';")])
def test_an_entry_file(run, language, name, entry, other):
    assert out(run(language, {f"a.{name}": other, f"sub/b.{name}": entry}, "--entry", f"sub/b.{name}")) == b"entry\n"


JAVA_MAIN = "public static void main(String[] a) { System.out.println(\"ran\"); }"


@pytest.mark.parametrize("code", [
    f"public class Main {{ {JAVA_MAIN} }}", f"public class Other {{ {JAVA_MAIN} }}", f"class NotPublic {{ {JAVA_MAIN} }}",
    f"class A {{ }} public class B {{ {JAVA_MAIN} }} class C {{ }}", f"public final class F<T extends Comparable<T>> {{ {JAVA_MAIN} }}",
    f"// public class Wrong {{\npublic class Right {{ {JAVA_MAIN} }}", f"/* public class Wrong {{ */ public class Right {{ {JAVA_MAIN} }}",
    f"class S {{ String s = \"public class Wrong {{\"; }}\npublic class Right {{ {JAVA_MAIN} }}",
    f"package deep.down;\npublic class P {{ {JAVA_MAIN} }}", f"public enum E {{ A, B; {JAVA_MAIN} }}",
    f"public record R(int x) {{ {JAVA_MAIN} }}", f"public interface I {{ {JAVA_MAIN.replace('public ', '')} }}",
    f"public class Größe {{ {JAVA_MAIN} }}", f"@SuppressWarnings(\"x\") public\nclass\nSpread\n{{ {JAVA_MAIN} }}",
    f"class First {{ void f() {{ }} }} class Second {{ {JAVA_MAIN} }}", f"sealed interface Q permits W {{ }} final class W implements Q {{ {JAVA_MAIN} }}",
], ids=lambda code: re.sub(r"[^A-Za-z]+", "-", code)[:40])
def test_java_finds_the_class(run, code):
    assert out(run("java", code)) == b"ran\n"


def test_compiler_flags(run):
    assert out(run("c", c('printf("%d\\n", ANSWER);'), "--compile-arg", "-DANSWER=42")) == b"42\n"
    assert out(run("cpp", cpp("std::cout << __cplusplus << '\\n';"), "--compile-arg", "-std=c++20")) == b"202002\n"
    assert run("c", c("int unused;"), "--compile-arg", "-Werror")["status"] == "compile_error"


# ---- memory ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("language, code, memory, statuses", [
    ("python", "x = bytearray(500 << 20)", "64M", ["memory_limit"]),
    ("python", "x = []\nwhile True: x.append('x' * 100000 + str(len(x)))", "64M", ["memory_limit"]),
    ("javascript", "const x = []; for (;;) x.push(Buffer.alloc(1 << 20, 1))", "128M", ["memory_limit"]),
    ("javascript", "const x = []; for (;;) x.push(new Array(10000).fill(x.length))", "256M", ["memory_limit", "signal"]),
    ("java", java("List<byte[]> x = new ArrayList<>(); for (;;) x.add(new byte[1 << 20]);"), "256M", ["nonzero", "memory_limit"]),
    ("r", "x <- list(); repeat x[[length(x) + 1]] <- rnorm(1e6)", "128M", ["memory_limit"]),
    ("c", c("for (;;) { char *p = malloc(1 << 20); if (!p) return 1; memset(p, 1, 1 << 20); }"), "64M", ["memory_limit"]),
    ("cpp", cpp("std::vector<std::string> x; for (;;) x.emplace_back(1 << 20, 'x');"), "64M", ["memory_limit"]),
    ("bash", "x=x; while :; do x=$x$x; done", "64M", ["memory_limit"]),
    ("ruby", "x = []; loop { x << 'x' * (1 << 20) }", "64M", ["memory_limit"]),
    ("php", "<?php for (;;) $x[] = str_repeat('x', 1 << 20);", "64M", ["memory_limit"]),
])
def test_memory_ends_at_the_limit(run, language, code, memory, statuses):
    outcome = run(language, code, "-L", f"memory={memory}")
    assert outcome["status"] in statuses, outcome
    if outcome["status"] == "memory_limit":
        assert outcome["limit"]["name"] == "memory_bytes" and outcome["limit"]["value"] == int(memory[:-1]) << 20
    elif language == "java":
        assert outcome["error"]["name"] == "java.lang.OutOfMemoryError", outcome
    assert outcome["usage"]["peak_memory_bytes"] <= (int(memory[:-1]) << 20) * 1.1


# ---- what honest programs do ----------------------------------------------------------------------------------------

PYTHON = {
    "threads": ("from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(20) as p: print(sum(p.map(lambda i: i * i, range(100))))", "328350"),
    "pool": ("import multiprocessing as m\ndef f(i): return i * i\nif __name__ == '__main__':\n    with m.Pool(3) as p: print(sum(p.map(f, range(100))))", "328350"),
    "spawn": ("import multiprocessing as m\ndef f(q): q.put(7)\nif __name__ == '__main__':\n    x = m.get_context('spawn'); q = x.Queue(); p = x.Process(target=f, args=(q,)); p.start(); print(q.get()); p.join(); print(p.exitcode)", "7\n0"),
    "shared memory": ("from multiprocessing import shared_memory as s\nx = s.SharedMemory(create=True, size=1 << 20); x.buf[9] = 5; y = s.SharedMemory(x.name); print(y.buf[9]); y.close(); x.close(); x.unlink()", "5"),
    "semaphores": ("import multiprocessing as m\nl = m.Lock(); e = m.Event(); v = m.Value('i', 3)\nwith l: e.set(); print(v.value, e.is_set())", "3 True"),
    "subprocess": ("import subprocess as s\nprint('a'); s.run(['echo', 'child']); print(s.run('cat; exit 3', shell=True, input=b'in', capture_output=True))", "a\nchild\nCompletedProcess(args='cat; exit 3', returncode=3, stdout=b'in', stderr=b'')"),
    "temp": ("import tempfile, os\nwith tempfile.TemporaryDirectory() as d:\n    open(d + '/x', 'w').write('t'); print(d.startswith('/tmp/'), os.listdir(d))\nwith tempfile.TemporaryFile() as f: print(f.write(b'x' * 1000000))", "True ['x']\n1000000"),
    "work": ("import os\nopen('new', 'w').write('x'); os.mkdir('d'); os.rename('new', 'd/n'); os.symlink('d/n', 'l'); os.chmod('l', 0o600); print(os.getcwd(), sorted(os.listdir()), open('l').read())", "/work ['d', 'l', 'main.py'] x"),
    "loopback": ("import socket, threading\nfor family, host in ((socket.AF_INET, '127.0.0.1'), (socket.AF_INET6, '::1')):\n    s = socket.create_server((host, 0), family=family)\n    threading.Thread(target=lambda: s.accept()[0].sendall(b'hi')).start()\n    print(socket.create_connection(s.getsockname()[:2]).recv(9))", "b'hi'\nb'hi'"),
    "http": ("import http.server as h, threading, urllib.request as u\nclass H(h.SimpleHTTPRequestHandler): log_message = lambda *a: None\ns = h.HTTPServer(('localhost', 0), H)\nthreading.Thread(target=s.serve_forever, daemon=True).start()\nprint(len(u.urlopen(f'http://localhost:{s.server_port}/main.py').read()) > 50)", "True"),
    "no network": ("import socket\nfor f in (lambda: socket.create_connection(('192.0.2.1', 80), 3), lambda: socket.getaddrinfo('example.com', 80)):\n    try: f(); print('reached')\n    except OSError as e: print(type(e).__name__)", "OSError\ngaierror"),
    "asyncio": ("import asyncio\nasync def f():\n    p = await asyncio.create_subprocess_exec('echo', 'x', stdout=-1); print((await p.communicate())[0])\nasyncio.run(f())", "b'x\\n'"),
    "who": ("import os, pwd, getpass, socket, sys\nprint(getpass.getuser(), pwd.getpwuid(os.getuid()).pw_name, os.path.expanduser('~'), socket.gethostname(), sys.getfilesystemencoding(), sys.stdout.encoding)", "guest guest /work retort utf-8 utf-8"),
    "cpus": ("import os\nprint(1 <= os.cpu_count() <= 4096, len(os.sched_getaffinity(0)) == os.cpu_count(), len(os.getloadavg()))", "True True 3"),
    "time": ("import time, locale, datetime, zoneinfo\nlocale.setlocale(locale.LC_ALL, '')\nprint(time.tzname != '', datetime.datetime.now(zoneinfo.ZoneInfo('Asia/Tokyo')).tzname(), abs(time.time() - datetime.datetime.now().timestamp()) < 1)", "True JST True"),
    "sqlite": ("import sqlite3\nd = sqlite3.connect('x.db'); d.execute('create table t(a)'); d.execute('insert into t values (1)'); d.commit(); print(d.execute('select * from t').fetchall())", "[(1,)]"),
    "signals": ("import signal, os\nsignal.signal(signal.SIGALRM, lambda *a: print('alarm'))\nsignal.alarm(1); signal.pause(); signal.signal(signal.SIGUSR1, lambda *a: print('usr1')); os.kill(os.getpid(), signal.SIGUSR1)", "alarm\nusr1"),
    "mmap": ("import mmap\nm = mmap.mmap(-1, 1 << 20); m[5] = 7; print(m[5])\nopen('f', 'wb').write(b'x' * 9999)\nwith open('f', 'r+b') as f: print(len(mmap.mmap(f.fileno(), 0)))", "7\n9999"),
    "ssl": ("import ssl, hashlib, secrets, uuid, zlib, lzma, bz2\nprint(len(ssl.create_default_context().get_ca_certs()) > 0, len(secrets.token_bytes(9)), uuid.uuid4().version)", "True 9 4"),
    "fork": ("import os\np = os.fork()\nif p == 0: os._exit(7)\nprint(os.waitstatus_to_exitcode(os.waitpid(p, 0)[1]))", "7"),
    "input": ("try: input()\nexcept EOFError: print('end')", "end"),
    "argv": ("import sys, __main__\nprint(sys.argv, __name__, __main__.__file__.endswith('main.py'), sys.path[0], sys.flags.dont_write_bytecode)", "['main.py'] __main__ True /work 1"),
}


@pytest.mark.parametrize("name", PYTHON)
def test_python_programs(run, name):
    code, expected = PYTHON[name]
    outcome = run("python", code)
    assert out(outcome).decode() == expected + "\n", outcome
    assert outcome["stderr"] == ""


@pytest.mark.parametrize("module, code", [
    ("numpy", "import numpy as n\nprint(n.linalg.inv(n.eye(300) * 2)[0, 0], (n.random.rand(300, 300) @ n.random.rand(300, 300)).shape)"),
    ("pandas", "import pandas as p, io\nd = p.read_csv(io.StringIO('a,b\\n1,x\\n2,y\\n3,x\\n'))\nprint(d.groupby('b').a.sum().to_dict())"),
    ("matplotlib", "import matplotlib.pyplot as p, os\np.plot([1, 3, 2]); p.savefig('/tmp/x.png'); p.savefig('x.pdf'); print(open('/tmp/x.png', 'rb').read(4), os.path.getsize('x.pdf') > 1000)"),
])
def test_python_libraries(run, module, code):
    probe = run("python", f"import importlib.util as u; print(u.find_spec('{module}') is not None)")
    if out(probe) != b"True\n":
        pytest.skip(f"python has no {module}: apt install python3-{module}")
    outcome = run("python", code)
    expected = {"numpy": b"0.5 (300, 300)\n", "pandas": b"{'x': 4, 'y': 2}\n", "matplotlib": b"b'\\x89PNG' True\n"}
    assert out(outcome) == expected[module]
    assert outcome["stderr"] == ""


JAVASCRIPT = {
    "worker": ("const {Worker} = require('worker_threads'); new Worker('require(\"worker_threads\").parentPort.postMessage(6*7)', {eval: true}).on('message', m => console.log(m))", "42"),
    "exec": ("const c = require('child_process'); console.log(c.execSync('echo child').toString().trim(), c.spawnSync('sh', ['-c', 'exit 3']).status)", "child 3"),
    "fork": ("const c = require('child_process'); if (process.argv[2]) process.send('from child'); else c.fork(__filename, ['x']).on('message', m => console.log(m))", "from child"),
    "http": ("const h = require('http'); const s = h.createServer((q, r) => r.end('hello')).listen(0, () => h.get({port: s.address().port}, r => r.on('data', d => { console.log(d.toString()); s.close() })))", "hello"),
    "fs": ("const f = require('fs'), o = require('os'), p = require('path'); const d = f.mkdtempSync(p.join(o.tmpdir(), 'x')); f.writeFileSync(d + '/a', 'b'); console.log(d.startsWith('/tmp/'), f.readdirSync(d))", "true [ 'a' ]"),
    "os": ("const o = require('os'); console.log(o.cpus().length >= 1, o.totalmem() > 1e8, o.hostname(), o.userInfo().username, o.homedir(), o.uptime() > 0)", "true true retort guest /work true"),
    "network": ("require('dns').lookup('example.com', e => console.log(e.code)); ", "ENOTFOUND"),
    "timers": ("setImmediate(() => { console.log(1); setTimeout(() => console.log(2), 20) }); process.nextTick(() => console.log(0))", "0\n1\n2"),
    "crypto": ("const c = require('crypto'); console.log(c.createHash('sha256').update('x').digest('hex').slice(0, 8), c.randomBytes(4).length); c.pbkdf2('a', 'b', 10, 8, 'sha1', (e, k) => console.log(k.length))", "2d711642 4\n8"),
    "intl": ("console.log(new Intl.NumberFormat('de-DE').format(1234.5), new Date(0).toISOString())", "1.234,5 1970-01-01T00:00:00.000Z"),
    "argv": ("console.log(process.argv.length, process.argv[1], process.execArgv.filter(a => !a.startsWith('--max-old')), require.main === module)", "2 /work/main.js [] true"),
}


@pytest.mark.parametrize("name", JAVASCRIPT)
def test_javascript_programs(run, name):
    code, expected = JAVASCRIPT[name]
    outcome = run("javascript", code)
    assert out(outcome).decode() == expected + "\n", outcome
    assert outcome["stderr"] == ""


TYPESCRIPT = {
    "types": ("type Shape = {kind: 'circle'; r: number} | {kind: 'square'; side: number}\nconst area = (s: Shape): number => s.kind === 'circle' ? 3 * s.r ** 2 : s.side ** 2\nconsole.log(area({kind: 'circle', r: 2}), area({kind: 'square', side: 3} satisfies Shape))", "12 9"),
    "what makes code": ("enum Level { Low, High = 'h' }\nnamespace Deep { export const x = 1 }\nclass P { constructor(private readonly n: number, public m = 2) {} }\nconsole.log(Level[0], Level.High, Deep.x, new P(1))", "Low h 1 P { n: 1, m: 2 }"),
    "decorators": ("const seen: string[] = []\nfunction log(value: any, context: any) { seen.push(context.name); return value }\nclass A { @log method(): void {} }\nnew A().method(); console.log(seen)", "[ 'method' ]"),
    "generics": ("function pair<const T, U = T>(a: T, b: U): [T, U] { return [a, b] }\nabstract class Base<T> { abstract get(): T }\nclass Real extends Base<number> { get() { return 5 } }\nconsole.log(pair(1, 'a'), new Real().get()!, <any>'cast')", "[ 1, 'a' ] 5 cast"),
    "both kinds of modules": ("import * as fs from 'fs'\nimport path from 'node:path'\nconst os = require('os')\nconsole.log(fs.existsSync(__filename), path.basename(__dirname), typeof os.cpus, import.meta.url.startsWith('file:///work/'))", "true work function true"),
    "the main module": ("export function main(): void { console.log('main') }\nif (require.main === module) main()", "main"),
    "own names": ("const require = 1, module = 2, __dirname = 3, __filename = 4\nconsole.log(require + module + __dirname + __filename)", "10"),
    "await": ("const wait = (ms: number) => new Promise<void>((done) => setTimeout(done, ms))\nfor (const n of [1, 2]) { await wait(5); console.log(n) }", "1\n2"),
    "args": ("console.log(process.argv.length, process.execArgv.includes('--require'))", "2 false"),
}


@pytest.mark.parametrize("name", TYPESCRIPT)
def test_typescript_programs(run, name):
    code, expected = TYPESCRIPT[name]
    outcome = run("typescript", code)
    assert out(outcome).decode() == expected + "\n", outcome
    assert outcome["stderr"] == ""


R = {
    "data frame": ("d <- data.frame(a = 1:4, b = c('x', 'y', 'x', 'y')); print(tapply(d$a, d$b, sum)); m <- lm(a ~ b, d); cat(round(coef(m)[[2]], 3), '\\n')", "x y \n4 6 \n1 "),
    "csv": ("write.csv(data.frame(a = 1:2), 'x.csv', row.names = FALSE); print(sum(read.csv('x.csv')$a)); print(file.exists(tempdir()))", "[1] 3\n[1] TRUE"),
    "plot": ("png('/tmp/x.png'); plot(1:10); invisible(dev.off()); pdf('x.pdf'); hist(c(1, 2, 2)); invisible(dev.off()); cat(file.size('/tmp/x.png') > 500, file.size('x.pdf') > 500)", "TRUE TRUE"),
    "parallel": ("library(parallel); cat(unlist(mclapply(1:4, function(i) i^2, mc.cores = 2)), detectCores() >= 1)", "1 4 9 16 TRUE"),
    "cluster": ("library(parallel); k <- makeCluster(2); cat(parSapply(k, 1:3, function(x) x + 1)); stopCluster(k)", "2 3 4"),
    "system": ("cat(system('echo child', intern = TRUE), system2('sh', c('-c', shQuote('exit 3'))))", "child 3"),
    "time": ("cat(nchar(Sys.timezone()) > 0, is.numeric(as.numeric(Sys.time())), Sys.getenv('HOME'), l10n_info()$`UTF-8`)", "TRUE TRUE /work TRUE"),
    "stdin": ("x <- readLines(file('stdin')); cat(length(x))", "0"),
}


@pytest.mark.parametrize("name", R)
def test_r_programs(run, name):
    code, expected = R[name]
    outcome = run("r", code)
    assert out(outcome).decode().rstrip("\n") == expected.rstrip("\n"), outcome
    assert outcome["stderr"] == ""


JAVA = {
    "streams": ("System.out.println(java.util.stream.IntStream.range(0, 1000).parallel().sum());\n"
                "Map<String, Integer> m = new TreeMap<>(); for (String w : \"b a b\".split(\" \")) m.merge(w, 1, Integer::sum); System.out.println(m);", "499500\n{a=1, b=2}"),
    "threads": ("var p = java.util.concurrent.Executors.newFixedThreadPool(30); int s = 0; for (var f : p.invokeAll(Collections.nCopies(30, (java.util.concurrent.Callable<Integer>) () -> 2))) s += f.get(); p.shutdown(); System.out.println(s);", "60"),
    "process": ("System.out.print(new String(new ProcessBuilder(\"echo\", \"child\").start().getInputStream().readAllBytes()));", "child"),
    "files": ("var t = java.nio.file.Files.createTempFile(\"a\", \"b\"); java.nio.file.Files.writeString(t, \"é\"); System.out.println(t.startsWith(\"/tmp\") + java.nio.file.Files.readString(t));", "trueé"),
    "sockets": ("var s = new java.net.ServerSocket(0); var c = new java.net.Socket(\"localhost\", s.getLocalPort()); s.accept().getOutputStream().write(7); System.out.println(c.getInputStream().read());", "7"),
    "system": ("System.out.println(Runtime.getRuntime().availableProcessors() > 0); System.out.println(System.getProperty(\"user.dir\") + System.getProperty(\"user.name\") + java.nio.charset.Charset.defaultCharset()); Scanner i = new Scanner(System.in); System.out.println(i.hasNext());", "true\n/workguestUTF-8\nfalse"),
}


@pytest.mark.parametrize("name", JAVA)
def test_java_programs(run, name):
    code, expected = JAVA[name]
    outcome = run("java", java(code))
    assert out(outcome).decode() == expected + "\n", outcome
    assert outcome["stderr"] == ""


RUBY = {
    "libraries": ("require 'json'; require 'set'; require 'date'; require 'digest'; puts JSON.generate([1, {a: Set[1].to_a}]), Date.new(2024, 2, 29).next_year, Digest::SHA256.hexdigest('x')[0, 8]", '[1,{"a":[1]}]\n2025-02-28\n2d711642'),
    "threads": ("q = Queue.new; 30.times.map { |i| Thread.new { q << i } }.each(&:join); puts q.size, [1, 2].each_slice(1).to_a.inspect", "30\n[[1], [2]]"),
    "process": ("puts `echo child`; system('exit 3'); puts $?.exitstatus; puts Process.wait2(fork { exit! 5 })[1].exitstatus", "child\n3\n5"),
    "files": ("require 'tmpdir'; require 'fileutils'; Dir.mktmpdir { |d| File.write(d + '/a', 'é'); puts d.start_with?('/tmp/'), File.read(d + '/a'), Dir.children(d).inspect }", 'true\né\n["a"]'),
    "sockets": ("require 'socket'; s = TCPServer.new('127.0.0.1', 0); t = Thread.new { s.accept.puts 'hi' }; puts TCPSocket.new('127.0.0.1', s.addr[1]).gets", "hi"),
    "ractor": ("Warning[:experimental] = false; puts Ractor.new { 6 * 7 }.take, Fiber.new { 1 }.resume", "42\n1"),
    "data": ("puts DATA.read\n__END__\nat the end", "at the end"),
    "system": ("require 'etc'; puts Dir.pwd, Etc.getlogin.to_s.size < 9, Etc.nprocessors > 0, Encoding.default_external, __FILE__ == $0", "/work\ntrue\ntrue\nUTF-8\ntrue"),
    "numbers": ("srand(1); puts 2**100, 1r / 3, rand(10).between?(0, 9), [3, 1].sort.sum.fdiv(3).round(2)", "1267650600228229401496703205376\n1/3\ntrue\n1.33"),
}


@pytest.mark.parametrize("name", RUBY)
def test_ruby_programs(run, name):
    code, expected = RUBY[name]
    outcome = run("ruby", code)
    assert out(outcome).decode() == expected + "\n", outcome
    assert outcome["stderr"] == ""


PHP = {
    "json": ("echo json_encode(['a' => [1, 2.5, null]]), hash('sha256', 'x')[0], preg_replace('/b+/', 'c', 'abbb'), ucfirst('x'), PHP_EOL;", '{"a":[1,2.5,null]}2acX'),
    "objects": ("enum E: int { case A = 1; } class P { function __construct(public readonly int $x) {} } $f = fn (P $p): int => $p->x + E::A->value; echo $f(new P(2)), match (true) { default => 'm' }, PHP_EOL;", "3m"),
    "process": ("echo shell_exec('echo child'); exec('exit 3', $o, $s); echo $s; $p = pcntl_fork(); if (!$p) exit(5); pcntl_wait($st); echo pcntl_wexitstatus($st), PHP_EOL;", "child\n35"),
    "files": ("$t = tempnam(sys_get_temp_dir(), 'x'); file_put_contents($t, 'é'); echo substr($t, 0, 5), file_get_contents($t), count(scandir('.')), getcwd(), PHP_EOL;", "/tmp/é3/work"),
    "sockets": ("$s = stream_socket_server('tcp://127.0.0.1:0'); $c = stream_socket_client('tcp://' . stream_socket_get_name($s, false)); fwrite(stream_socket_accept($s), \"hi\\n\"); echo fgets($c);", "hi"),
    "generators": ("function g() { yield from [1, 2]; return 3; } foreach ($g = g() as $x) echo $x; echo $g->getReturn(), random_int(1, 1), strlen(random_bytes(4)), PHP_EOL;", "12314"),
    "time": ("date_default_timezone_set('Asia/Tokyo'); echo date('H', 0), (new DateTimeImmutable('2024-02-28'))->modify('+1 day')->format('D'), PHP_EOL;", "09Thu"),
    "system": ("echo PHP_SAPI, $argc, $argv[0], basename(__FILE__), $_SERVER['SCRIPT_NAME'] === $argv[0] ? 1 : 0, ini_get('memory_limit'), get_current_user(), PHP_EOL;", "cli1main.phpmain.php1-1guest"),
    "sorted": ("$a = ['b' => 1, 'a' => 2]; ksort($a); echo implode(',', array_keys($a)), array_sum(array_map(fn ($x) => $x ** 2, range(1, 3))), PHP_EOL;", "a,b14"),
}


@pytest.mark.parametrize("name", PHP)
def test_php_programs(run, name):
    code, expected = PHP[name]
    outcome = run("php", "<?php " + code)
    assert out(outcome).decode() == expected + "\n", outcome
    assert outcome["stderr"] == ""


NATIVE = {
    "c math": ("c", c('printf("%.3f\\n", sqrt(2) + pow(2, 0.5));', "math.h"), "2.828\n"),
    "c threads": ("c", "#include <pthread.h>\n#include <stdio.h>\nstatic void *f(void *x) { ++*(int *)x; return x; }\nint main(void) { pthread_t t[50]; int n[50] = {0}, s = 0;\n"
                  "for (int i = 0; i < 50; i++) { pthread_create(&t[i], 0, f, &n[i]); } for (int i = 0; i < 50; i++) { pthread_join(t[i], 0); s += n[i]; } printf(\"%d\\n\", s); }", "50\n"),
    "c fork": ("c", c('if (!fork()) { execlp("echo", "echo", "child", (char *)0); _exit(1); } int s; wait(&s); printf("%d\\n", s); fflush(stdout); return system("echo shell");', "sys/wait.h"), "child\n0\nshell\n"),
    "c shm": ("c", c('int f = shm_open("/x", O_RDWR | O_CREAT, 0600); sem_t s; printf("%d %d\\n", f > 0, sem_init(&s, 1, 1));', "sys/mman.h", "fcntl.h", "semaphore.h"), "1 0\n"),
    "c deep": ("c", "#include <stdio.h>\nlong f(long n) { volatile char b[1000]; b[0] = n; return n ? f(n - 1) + b[0] - b[0] + 1 : 0; }\nint main(void) { printf(\"%ld\\n\", f(7000)); }", "7000\n"),
    "c popen": ("c", c('FILE *p = popen("sort -r", "w"); fputs("a\\nb\\n", p); printf("%d\\n", pclose(p));'), "b\na\n0\n"),
    "cpp 17": ("cpp", cpp('std::map<std::string, int> m{{"a", 1}}; for (auto &[k, v] : m) std::cout << k << v; if (std::optional<int> o = 3; o) std::cout << *o; std::variant<int, std::string> w = "s"; '
                          'std::cout << std::get<std::string>(w) << std::filesystem::current_path() << "\\n";', "map", "optional", "variant", "filesystem"), 'a13s"/work"\n'),
    "cpp threads": ("cpp", cpp('std::atomic<int> n{0}; std::vector<std::thread> t; for (int i = 0; i < 50; i++) t.emplace_back([&] { n++; }); for (auto &x : t) x.join(); auto f = std::async(std::launch::async, [] { return 5; }); '
                               'std::cout << n << f.get() << (std::thread::hardware_concurrency() > 0) << "\\n";', "thread", "atomic", "future"), "5051\n"),
    "cpp regex": ("cpp", cpp('std::cout << std::regex_replace("a-b", std::regex("-"), "+") << std::random_device{}.max() / 4294967295u << "\\n";', "regex", "random"), "a+b1\n"),
}


@pytest.mark.parametrize("name", NATIVE)
def test_native_programs(run, name):
    language, code, expected = NATIVE[name]
    outcome = run(language, code)
    assert out(outcome).decode() == expected, outcome
    assert outcome["stderr"] == "" and outcome["diagnostics"] == []


BASH = {
    "pipes": ("printf 'b\\na\\nb\\n' | sort | uniq -c | awk '{print $2 $1}'; echo ${PIPESTATUS[@]}", "a1\nb2\n0 0 0 0\n"),
    "substitution": ("diff <(echo a) <(echo b) | head -1; cat <<< here; cat <<X\ndoc\nX", "1c1\nhere\ndoc\n"),
    "coproc": ("coproc cat; echo x >&${COPROC[1]}; read -r y <&${COPROC[0]}; echo $y; kill $COPROC_PID", "x\n"),
    "trap": ("trap 'echo bye' EXIT; (sleep 0.1; kill -USR1 $$) & trap 'echo usr1' USR1; wait; wait", "usr1\nbye\n"),
    "many": ("for i in $(seq 60); do (exit $((i % 2))) & done; wait; echo ok", "ok\n"),
    "tools": ("seq 3 | sed s/2/x/ | tr '\\n' , ; echo 1+1 | python3 -c 'print(eval(input()))'; tar cf - main.sh | gzip | zcat | tar tf -; date -u -d @0 +%Y; mktemp | cut -c1-5; nproc | grep -c '[0-9]'; id -un", "1,x,3,2\nmain.sh\n1970\n/tmp/\n1\nguest\n"),
    "dev": ("echo x > /dev/null; head -c 4 /dev/urandom | wc -c; head -c 4 /dev/zero | od -An -c | tr -d ' '; echo y > /dev/stderr; cat /dev/stdin < /dev/null; [ -w /dev/shm ] && echo shm; echo z | tee /dev/stdout", "4\n\\0\\0\\0\\0\nshm\nz\nz\n"),
    "self": ("ps -o pid= -p $$ >/dev/null 2>&1; ls /proc/self/fd | head -2; cat /proc/self/comm; [ $(ls /proc | grep -c '^[0-9]') -lt 10 ] && echo few", "0\n1\ncat\nfew\n"),
}


@pytest.mark.parametrize("name", BASH)
def test_bash_programs(run, name):
    code, expected = BASH[name]
    outcome = run("bash", code)
    assert out(outcome).decode() == expected, outcome


@pytest.mark.parametrize("language, code", [
    ("bash", "read -r x < /dev/stdin; echo $x > /dev/stdout; echo err > /dev/stderr"),
    ("javascript", "const f = require('fs'); f.writeFileSync('/dev/stdout', f.readFileSync('/dev/stdin')); f.appendFileSync('/dev/stderr', 'err\\n')"),
    ("python", "open('/dev/stdout', 'w').write(open('/dev/stdin').read()); open('/proc/self/fd/2', 'w').write('err\\n')"),
    ("r", "at <- function(x, m) file(paste0('/dev/', x), m, raw = TRUE); cat(readLines(at('stdin', 'r')), file = at('stdout', 'w'), sep = '\\n'); cat('err\\n', file = at('stderr', 'w'))"),
    ("ruby", "File.write('/dev/stdout', File.read('/dev/stdin')); File.open('/dev/stderr', 'w') { |f| f.puts 'err' }"),
    # PHP itself opens no link that has no name behind it, such as /dev/stdin when that is a pipe.
    ("php", "<?php file_put_contents('php://stdout', file_get_contents('php://stdin')); fwrite(fopen('php://stderr', 'w'), \"err\\n\");"),
    ("java", java('byte[] b = java.nio.file.Files.readAllBytes(java.nio.file.Path.of("/dev/stdin")); try (var o = new FileOutputStream("/dev/stdout")) { o.write(b); } try (var o = new FileWriter("/dev/stderr")) { o.write("err\\n"); }')),
    ("c", c('char b[9]; freopen("/dev/stdin", "r", stdin); fgets(b, 9, stdin); freopen("/dev/stdout", "w", stdout); fputs(b, stdout); fputs("err\\n", fopen("/dev/stderr", "w")); fflush(NULL);')),
])
@pytest.mark.parametrize("live", [True, False])
def test_standard_streams_by_name(run, language, code, live):
    outcome = run(language, code, input=b"line\n") if live else run(language, code, "--stdin-text", "line\n")
    assert out(outcome) == b"line\n"
    assert outcome["stderr"] == "err\n", outcome


def test_streams_keep_their_order_in_events(retort):
    code = "import sys, time\nfor i in range(3):\n    print(i); time.sleep(.3); print(i, file=sys.stderr); time.sleep(.3)\n"
    events = [(e["type"], e["text"]) for e in retort.python(code, "--events").events if e["type"] in ("stdout", "stderr")]
    assert events == [(stream, f"{i}\n") for i in range(3) for stream in ("stdout", "stderr")]


def test_json_of_any_output_is_json(retort):
    done = retort.bash(r"printf '\x00\x01\x7f\u2028\ud800\xff\"\\' ; printf '\xed\xa0\x80' >&2", "--json")
    outcome = json.loads(done.out.decode("utf-8"))
    assert outcome["stderr_encoding"] == "base64" and base64.b64decode(outcome["stderr"]) == b"\xed\xa0\x80"
