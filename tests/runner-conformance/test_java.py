# SPDX-License-Identifier: Apache-2.0
"""The Java runner: what JShell makes of cells, what they show, and what they may try."""

import base64
import os
import signal
import subprocess
import time

import pytest

from runner import Runner
from test_conformance import installed

if not installed("java"):
    pytest.skip("java is not installed", allow_module_level=True)


@pytest.fixture
def runner(tmp_path):
    runner = Runner("java", tmp_path)
    yield runner
    runner.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """For cells that leave nothing behind but names of their own."""
    runner = Runner("java", tmp_path_factory.mktemp("shared"))
    yield runner
    runner.close()


def shown(runner, code, **members):
    cell = runner.run(code, **members)
    assert cell.status == "ok", (code, cell.error)
    return cell.main and cell.main["text/plain"]


# ---- the language ----


@pytest.mark.parametrize(
    "code, text",
    [
        ("int a1 = 20; int b1 = a1 * 2;\na1 + b1", "60"),
        ("record P2(int x, int y) { int sum() { return x + y; } }\nnew P2(1, 2)", "P2[x=1, y=2]"),
        ("enum E3 { A, B; E3 other() { return this == A ? B : A; } }\nE3.A.other()", "B"),
        ("interface I4 { int f(); }\nclass C4 implements I4 { public int f() { return 7; } }\nnew C4().f()", "7"),
        ("sealed interface S5 permits A5 {} record A5(int v) implements S5 {}\nS5 s5 = new A5(3); s5 instanceof A5 a && a.v() == 3", "true"),
        ("static <T extends Comparable<T>> T most(List<T> all) { return Collections.max(all); }\nmost(List.of(2, 9, 4))", "9"),
        ("boolean even(int n) { return n == 0 || odd(n - 1); }\nboolean odd(int n) { return n != 0 && even(n - 1); }\neven(10)", "true"),
        ("IntStream.range(0, 5).mapToObj(i -> i * i).collect(Collectors.toList())", "[0, 1, 4, 9, 16]"),
        ("var an = new Object() { int v = 3; }; an.v", "3"),
        ('String tb = """\n  two\n  lines\n  """; tb', "two\nlines\n"),
        ("BigInteger.TWO.pow(100)", str(2**100)),
        ("import java.time.*; Duration.ofHours(2)", "PT2H"),
        ("switch (3) { case 1 -> \"one\"; default -> \"many\"; }", "many"),
        ("int sw = switch (3) { case 1 -> 1; default -> 9; }; sw", "9"),
        ("label: for (int i = 0; ; i++) { for (;;) { if (i > 3) break label; break; } }", None),
        ("1 + 1 // a comment; with a semicolon", "2"),
        ("/* first */ 3 /* then */", "3"),
        ('"a;b" + \';\'', "a;b;"),
    ],
)
def test_cells(shared, code, text):
    assert shown(shared, code) == text


@pytest.mark.parametrize(
    "code, text",
    [
        ("null", "null"),
        ("Object none = null; none", "null"),
        ("new int[][] { { 1 }, { 2, 3 } }", "int[2][] { int[1] { 1 }, int[2] { 2, 3 } }"),
        ('new String[] { "a", null }', 'String[2] { "a", null }'),
        ("'c'", "c"),
        ("Optional.empty()", "Optional.empty"),
        ("int v = 1;", None),
        ("v", "1"),
        ("v = 2;", None),
        ("v = 3", "3"),
        ("v += 4;", None),
        ("v++;", None),
        ("v++", "8"),
        ("var list = new ArrayList<Integer>(); list.add(5);", "true"),
        ("list.set(0, null);", "5"),
        ("list.set(0, null);", None),
        ("list.set(0, null)", "null"),
        ('System.out.printf("%d", 5);', None),
        ('new StringBuilder("a").append(v == 9);', "atrue"),
        ("System.out.println();", None),
        ("void nothing() { } nothing()", None),
        ("class Plain { } Plain.class", "class Plain"),
    ],
)
def test_values(shared, code, text):
    assert shown(shared, code) == text


def test_what_is_declared_again_is_another(runner):
    assert shown(runner, "int x = 1; int f() { return x; } class C { int v() { return f(); } }\nnew C().v()") == "1"
    assert shown(runner, 'String x = "now a text";\nx') == "now a text"
    assert shown(runner, "int x = 5; f()") == "5"
    assert shown(runner, "int f() { return 10 * x; } new C().v()") == "50"
    assert shown(runner, "class C { int v() { return -1; } int w() { return 2; } }\nnew C().v() + new C().w()") == "1"


def test_what_is_missing_is_told_and_may_come_later(runner):
    cell = runner.run("int twice(int n) { return times(n, 2); }")
    assert cell.status == "ok"
    assert cell.err.decode() == "method twice(int) cannot be used until method times(int,int) is declared\n"
    cell = runner.run("twice(4)")
    assert (cell.status, cell.error["name"]) == ("error", "UnresolvedReferenceException")
    assert "method times(int,int)" in cell.error["value"] and "at (cell 2:1)" in cell.error["traceback"]
    assert shown(runner, "int times(int a, int b) { return a * b; } twice(4)") == "8"


def test_a_main_class_is_a_declaration(shared):
    cell = shared.run('public class Main { public static void main(String[] args) { System.out.println("ran " + args.length); } }')
    assert (cell.status, cell.out, cell.err, cell.items) == ("ok", b"", b"", [])
    assert shared.run("Main.main(new String[2]);").text == "ran 2\n"


def test_errors_of_the_compiler_have_places(shared):
    cell = shared.run('int ok = 1;\n\tString bad = ok + missing;\n', name="first.java")
    assert cell.error["name"] == "CompilationError"
    assert cell.error["value"] == "cannot find symbol\n  symbol:   variable missing"
    assert cell.error["traceback"] == (
        "first.java:2:20: error: cannot find symbol\n\tString bad = ok + missing;\n\t                  ^^^^^^^\n  symbol:   variable missing\n1 error\n"
    )
    cell = shared.run("class Two {\n  int f() { return \"a\"; }\n  String g() { return 1; }\n}")
    assert cell.error["traceback"].count(": error: incompatible types") == 2 and cell.error["traceback"].endswith("2 errors\n")


@pytest.mark.parametrize("bad", ["int b = (1;", "class B {", '"open', "foo(bar", "/* never ends", "} int c = 1;"])
def test_half_a_program_does_not_run(shared, bad):
    cell = shared.run('System.out.println("ran");\n' + bad)
    assert (cell.status, cell.error["name"]) == ("error", "CompilationError")
    assert cell.out == b""
    assert ":2:" in cell.error["traceback"]


def test_too_deep_for_the_compiler(runner):
    deep = "(" * 500_000 + "1" + ")" * 500_000
    cell = runner.run(f"int d = {deep};")
    assert cell.status == "error", cell.done
    assert shown(runner, "1 + 1") == "2"


# ---- stack traces ----


def test_stack_traces_have_the_cells_lines(runner):
    runner.run("class Node {\n  int at(int[] a, int i) {\n    return a[i];\n  }\n}", name="node.java")
    cell = runner.run("var node = new Node();\n\nRunnable r = () ->\n    node.at(new int[1], 2);\nr.run();")
    assert cell.error["name"] == "java.lang.ArrayIndexOutOfBoundsException"
    assert cell.error["traceback"] == (
        "java.lang.ArrayIndexOutOfBoundsException: Index 2 out of bounds for length 1\n"
        "\tat Node.at(node.java:3)\n\tat lambda(cell 2:4)\n\tat (cell 2:5)\n"
    )


def test_causes_and_what_was_suppressed(runner):
    cell = runner.run(
        "class R implements AutoCloseable { public void close() throws Exception { throw new Exception(\"closing\"); } }\n"
        "class Mine extends RuntimeException { Mine(String s, Throwable t) { super(s, t); } }\n"
        "try (var r = new R()) { throw new Mine(\"outer\", new IOException(\"inner\")); }"
    )
    trace = cell.error["traceback"]
    assert (cell.error["name"], cell.error["value"]) == ("Mine", "outer")
    assert "Suppressed: java.lang.Exception: closing" in trace and "Caused by: java.io.IOException: inner" in trace
    assert "REPL" not in trace and "JShell" not in trace


def test_an_exception_may_be_anything(runner):
    for code, name in (
        ("class A extends RuntimeException { public String getMessage() { throw new A(); } }\nthrow new A();", "A"),
        ("class B extends Exception { public String toString() { return null; } }\nthrow new B();", "B"),
        ("var e = new Exception(); e.initCause(new Exception(e)); throw e;", "java.lang.Exception"),
        ("throw new ThreadDeath();", "java.lang.ThreadDeath"),
        ("throw null;", "java.lang.NullPointerException"),
    ):
        cell = runner.run(code)
        assert (cell.status, cell.error["name"]) == ("error", name), cell.error
    assert shown(runner, "1 + 1") == "2"


def test_a_value_that_cannot_say_what_it_is(runner):
    cell = runner.run('class V { public String toString() { throw new IllegalStateException("no text"); } }\nnew V()')
    assert (cell.status, cell.error["name"], cell.error["value"]) == ("error", "java.lang.IllegalStateException", "no text")
    assert "retort" not in cell.error["traceback"]
    assert shown(runner, "class N { public String toString() { return null; } }\nnew N()") == "null"


def test_threads_that_die_are_told(runner):
    cell = runner.run('var t = new Thread(() -> { throw new IllegalStateException("alone"); });\nt.start(); t.join();')
    assert cell.status == "ok"
    assert cell.err.decode() == 'Exception in thread "Thread-0" java.lang.IllegalStateException: alone\n\tat lambda(cell 1:1)\n'


# ---- what is shown ----


def test_every_kind_of_item(shared):
    cell = shared.run(
        'html("<i>h</i>"); markdown("*m*"); latex("$x^2$"); svg("<svg/>"); display("a text"); display(List.of(1, 2));\n'
        'json(Map.of("k", Arrays.asList(1, 2.5, null, "ü\\n", true))); json("[1, {\\"a\\": 2}]"); png(new byte[] { 1, 2, 3 }); jpeg(new byte[0]);\n'
        'display("application/vnd.vegalite.v5+json", Map.of("mark", "bar")); chart(Map.of("type", "line")); data(Map.of("n", new int[] { 1, 2 }));\n'
        'record Row(String name, double v) { }\njson(List.of(new Row("r", 0.5)));'
    )
    assert cell.status == "ok", cell.error
    assert [item["data"] for item in cell.items] == [
        {"text/html": "<i>h</i>"},
        {"text/markdown": "*m*"},
        {"text/latex": "$x^2$"},
        {"image/svg+xml": "<svg/>"},
        {"text/plain": "a text"},
        {"text/plain": "[1, 2]"},
        {"application/json": {"k": [1, 2.5, None, "ü\n", True]}},
        {"application/json": [1, {"a": 2}]},
        {"image/png": "AQID"},
        {"image/jpeg": ""},
        {"application/vnd.vegalite.v5+json": {"mark": "bar"}},
        {"application/vnd.retort.chart+json": {"type": "line"}},
        {"application/vnd.retort.data+json": {"n": [1, 2]}},
        {"application/json": [{"name": "r", "v": 0.5}]},
    ]


def test_images(shared):
    cell = shared.run("import java.awt.image.BufferedImage;\nvar image = new BufferedImage(20, 10, BufferedImage.TYPE_INT_RGB);\npng(image); image")
    assert [item["main"] for item in cell.items] == [False, True]
    for item in cell.items:
        assert base64.b64decode(item["data"]["image/png"]).startswith(b"\x89PNG\r\n")


def test_values_that_say_what_they_look_like(shared):
    cell = shared.run(
        'class Table implements retort.Rich { public Map<String, Object> bundle() { return Map.of("text/html", "<table>", "text/plain", "table"); } }\nnew Table()'
    )
    assert cell.main == {"text/html": "<table>", "text/plain": "table"}


@pytest.mark.parametrize("code", ['json("{")', "var self = new ArrayList<Object>(); self.add(self); json(self);", 'display("text/html", null);', "html(null);"])
def test_what_cannot_be_shown_is_the_cells_error(shared, code):
    cell = shared.run(code)
    assert cell.status == "error" and cell.items == []
    assert "retort.runner" not in cell.error["traceback"]


def test_numbers_that_are_no_json(shared):
    cell = shared.run("json(Arrays.asList(Double.NaN, 1.0 / 0, Float.MAX_VALUE, Long.MIN_VALUE, new BigDecimal(\"1E+400\")));")
    assert cell.items[0]["data"]["application/json"][:2] == [None, None]
    assert cell.items[0]["data"]["application/json"][3] == -(2**63)


def test_texts_that_are_no_unicode(shared):
    cell = shared.run('System.out.write(new byte[] { (byte) 0xff, 0, (byte) 0xfe }); System.out.flush(); "half \\ud83d a pair, \\u0000 and \\u007f"')
    assert cell.out == b"\xff\0\xfe"
    assert cell.main["text/plain"] == "half ? a pair, \0 and \x7f"


def test_an_item_that_is_too_large_is_named(runner):
    cell = runner.run('html("x".repeat(40_000_000)); "y".repeat(40_000_000)')
    assert [("text/html" if not item["main"] else "text/plain") in item["data"]["text/plain"] for item in cell.items] == [True, True]
    assert all(len(str(item)) < 1000 for item in cell.items)


def test_threads_show_in_the_cell_that_runs(runner):
    runner.run('var go = new Semaphore(0); var done = new Semaphore(0);\nnew Thread(() -> { while (true) { go.acquireUninterruptibly(); html("from a thread"); done.release(); } }).start();')
    runner.run("go.release(); done.acquire(); done.release(1);")
    cell = runner.run("done.acquire(); go.release(); done.acquire();")
    assert [item["data"] for item in cell.items] == [{"text/html": "from a thread"}]
    runner.run('new Thread(() -> { try { Thread.sleep(300); } catch (InterruptedException e) { } html("too late"); }).start();')
    time.sleep(0.6)
    assert runner.run("1").items[0]["main"]


# ---- what cells may try ----


def test_exit_is_no_end(runner):
    shown(runner, "int kept = 5;")
    for code, status in (
        ("Runtime.getRuntime().exit(-1);", 255),
        ("try { System.exit(4); } catch (Throwable t) { while (true); }", 4),
        ("new Thread(() -> System.exit(5)).start(); Thread.sleep(30_000);", 5),
        ("class X { static { System.exit(6); } } new X();", 6),
        ('class Y { public String toString() { System.exit(7); return ""; } } new Y()', 7),
    ):
        cell = runner.run(code, patience=20)
        assert (cell.status, cell.done.get("exit_code")) == ("exit", status), code
    runner.run("Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println(\"hook\")));")
    assert shown(runner, "kept") == "5"


def test_halt_is_one(tmp_path):
    runner = Runner("java", tmp_path)
    assert runner.run("Runtime.getRuntime().halt(9);").done is None
    assert runner.process.wait(20) == 9


def test_hooks_run_when_it_ends(tmp_path):
    runner = Runner("java", tmp_path)
    runner.run("Runtime.getRuntime().addShutdownHook(new Thread(() -> { try { Files.writeString(Path.of(\"hooked\"), \"\"); } catch (IOException e) { } }));")
    assert runner.close() == 0
    assert (tmp_path / "hooked").exists()


def test_a_program_that_will_not_end_ends(tmp_path):
    runner = Runner("java", tmp_path)
    runner.run("Runtime.getRuntime().addShutdownHook(new Thread(() -> { while (true); }));\nnew Thread(() -> { while (true); }).start();")
    begun = time.monotonic()
    assert runner.close() == 0
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize(
    "code",
    [
        "while (true);",
        "try { while (true); } finally { System.out.print(\"finally\"); }",
        "while (true) try { Thread.sleep(1000); } catch (InterruptedException e) { }",
        'new ProcessBuilder("sleep", "60").start().waitFor();',
        'new ProcessBuilder("sleep", "60").start().getInputStream().read();',
        "synchronized (String.class) { String.class.wait(); }",
        "class Slow { public String toString() { while (true); } }\nnew Slow()",
        "class Dull extends RuntimeException { public String getMessage() { while (true); } }\nthrow new Dull();",
        "class Init { static int v; static { if (v == 0) while (true); } }\nInit.v",
        "for (int i = 0; ; i++) { html(\"x\"); System.out.println(i); }",
        "sun.misc.Signal.handle(new sun.misc.Signal(\"INT\"), s -> { });\nThread.currentThread().getName()",
    ],
)
def test_interrupts(shared, code):
    shown(shared, "int kept = 5;")
    if "Signal" in code:
        shown(shared, code)
        code = "while (true);"
    cell = shared.begin(code)
    time.sleep(0.7)
    shared.interrupt()
    shared.finish(cell, patience=20)
    assert cell.status == "interrupted", cell.messages[-1:]
    assert cell.error["name"] == "Interrupted" and "retort" not in cell.error["traceback"]
    assert shown(shared, "kept") == "5"


def test_an_interrupt_while_it_reads(shared):
    cell = shared.begin("new Scanner(System.in).nextLine()")
    assert shared.receive(cell)["type"] == "input_request"
    shared.interrupt()
    shared.finish(cell, patience=20)
    assert cell.status == "interrupted"
    shared.send({"type": "input", "id": cell.id, "text": "too late"})
    assert shared.run("new Scanner(System.in).nextLine()", inputs=["in time"]).main["text/plain"] == "in time"


def test_interrupts_in_a_row(runner):
    shown(runner, "int kept = 5; long n = 0;")
    for i in range(20):
        cell = runner.begin("while (true) n++;")
        time.sleep(0.02 * i)
        for _ in range(1 + i % 3):
            runner.interrupt()
        while cell.done is None:  # one that came before the cell had begun is for nothing
            try:
                runner.finish(cell, patience=3)
            except AssertionError:
                runner.interrupt()
        assert cell.status == "interrupted"
        assert shown(runner, "kept") == "5"


def test_what_needs_many_stops_leaves_none_behind(runner):
    """Many Thread.stops in a row left a ThreadDeath in the JVM that never came out, and later ones were for nothing."""
    for _ in range(8):
        for code in ('new ProcessBuilder("sleep", "60").start().getInputStream().read();', "while (true);"):
            cell = runner.begin(code)
            time.sleep(0.3)
            runner.interrupt()
            runner.finish(cell, patience=20)
            assert cell.status == "interrupted"
        assert shown(runner, "1 + 1") == "2"


def test_memory_and_stack_may_be_full(runner):
    cell = runner.run("int deeper(int n) { return deeper(n + 1) + 1; }\ndeeper(0)")
    assert (cell.status, cell.error["name"]) == ("error", "java.lang.StackOverflowError")
    cell = runner.run("var all = new ArrayList<byte[]>(); while (true) all.add(new byte[1 << 20]);")
    assert (cell.status, cell.error["name"]) == ("error", "java.lang.OutOfMemoryError")
    assert shown(runner, "all.size() > 10") == "true"
    runner.run("all = null;")
    cell = runner.run("var small = new ArrayList<Object>(); while (true) small.add(new Object[10]);")
    assert (cell.status, cell.error["name"]) == ("error", "java.lang.OutOfMemoryError")
    assert runner.run("small = null;").status == "ok"
    assert shown(runner, "new byte[100 << 20].length") == str(100 << 20)


def test_streams_may_be_closed_and_replaced(runner):
    assert runner.run('try (var w = new PrintWriter(System.out)) { w.print("one "); }\nSystem.out.close(); System.err.close(); System.in.close();').text == "one "
    assert runner.run('System.out.print("two"); System.err.print("three");').text == "two"
    runner.run("var real = System.out; var mine = new ByteArrayOutputStream(); System.setOut(new PrintStream(mine));")
    assert runner.run('System.out.print("for me"); mine.toString()').main["text/plain"] == "for me"
    runner.run("System.setOut(new PrintStream(new BufferedOutputStream(real)));")
    assert runner.run('System.out.print("buffered"); html("<p>"); System.out.print("too")').text == "bufferedtoo"
    assert runner.run('System.setOut(null);').done is not None
    assert shown(runner, "System.setOut(real); 3") == "3"


def test_a_program_sees_nothing_of_the_runner(shared, tmp_path):
    assert shown(shared, "Thread.currentThread().getName()") == "main"
    assert "retort" not in shown(shared, 'var w = new StringWriter(); new Exception().printStackTrace(new PrintWriter(w)); w.toString()')
    shown(shared, "var threads = new Thread[100]; int n = Thread.currentThread().getThreadGroup().enumerate(threads);")
    assert "retort" not in shown(shared, "Arrays.asList(threads).subList(0, n)")
    children = shared.run('new ProcessBuilder("ls", "/proc/self/fd").redirectOutput(ProcessBuilder.Redirect.INHERIT).start().waitFor();').text.split()
    assert sorted(map(int, children)) == [0, 1, 2, 3]  # 3 is ls's own
    assert shared.run("import retort.runner.*;").status == "error"


def test_surroundings(runner, tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/file").write_text("in deep")
    code = (
        'List.of(new File("file").exists(), new File("file").getAbsoluteFile().exists(), Files.readString(Path.of("file")),\n'
        '    new Scanner(new File("file")).nextLine(), new String(new ProcessBuilder("cat", "file").start().getInputStream().readAllBytes()))'
    )
    assert shown(runner, code, cwd="deep") == "[true, true, in deep, in deep, in deep]"
    assert shown(runner, "System.getProperty(\"user.dir\")") == f"{tmp_path}/deep"  # where it was left
    for missing in ("no such", "file"):
        cell = runner.run("1", cwd=missing)
        assert cell.status == "error" and cell.error["name"].startswith("java.nio.file.No")
    code = 'List.of(System.getenv().containsKey("HOME"), "" + System.getenv("A"), new String(new ProcessBuilder("sh", "-c", "echo $A$HOME").start().getInputStream().readAllBytes()))'
    assert shown(runner, code, env={"A": "ä", "HOME": None}) == "[false, ä, ä\n]"
    assert shown(runner, code) == f"[true, null, {tmp_path}\n]"
    cell = runner.run("1", env={"a=b": "c"})
    assert (cell.status, cell.error["name"]) == ("error", "java.lang.IllegalArgumentException")


def test_class_path(tmp_path):
    (tmp_path / "lib/tools").mkdir(parents=True)
    (tmp_path / "lib/tools/Tool.java").write_text("package tools; public class Tool { public static int f() { return 77; } }")
    subprocess.run(["javac", "lib/tools/Tool.java"], cwd=tmp_path, check=True)
    runner = Runner("java", tmp_path, env={"CLASSPATH": "lib"})
    try:
        assert shown(runner, "tools.Tool.f()") == "77"
        assert shown(runner, "import tools.*;\nTool.f()") == "77"
    finally:
        runner.close()


def test_input_has_many_readers(runner):
    assert runner.run("int c = System.in.read(); System.out.print((char) c); new String(System.in.readNBytes(3))", inputs=["abc"]).main["text/plain"] == "bc\n"
    assert runner.run("var lines = new BufferedReader(new InputStreamReader(System.in)).lines().toList(); lines", inputs=["1", "", "3"]).main["text/plain"] == "[1, , 3]"
    assert shown(runner, "System.in.available()") == "0"
    cell = runner.run('System.out.print("name? "); var s = new Scanner(System.in).nextLine(); System.out.print(s);', inputs=["x"])
    assert [kind for kind, _ in cell.story][:3] == ["out", "input_request", "out"]


# ---- messages ----


def test_hostile_frames(tmp_path):
    for frame in (b"{", b"[]", b"\xff\xfe", b'{"type": 1}', b"[" * 100_000, b'{"type": "run"}', b'{"type": "run", "id": 0, "code": ""}', b'{"type":"run","id":1,"code":3}', b"", b'{"type":"x"} {}'):
        runner = Runner("java", tmp_path)
        runner.protocol.sendall(len(frame).to_bytes(4, "big") + frame)
        assert runner.process.wait(20) == 1, frame
        runner.ended = True
        runner.close()


def test_a_frame_that_is_too_long(tmp_path):
    runner = Runner("java", tmp_path)
    runner.protocol.sendall(b"\x7f\xff\xff\xff")
    assert runner.process.wait(20) == 1


def test_what_is_not_known_is_ignored(runner):
    runner.send({"type": "what later versions have", "id": 7, "deep": [[[[{"a": 1e9, "b": -0.5, "c": "\ud83d\ude00 \\u0000"}]]]]})
    assert shown(runner, "1 + 1", later=True) == "2"
    assert shown(runner, '"😀".length()') == "2"


def test_completion_is_counted_in_characters(shared):
    code = 'String s = "😀"; s.toUpp'
    answer = shared.answer("complete", code=code + " and more", cursor=len(code))
    assert (answer["matches"], answer["start"], answer["end"]) == (["toUpperCase("], code.index("toUpp"), len(code))
    assert "java.util.concurrent" not in str(shared.answer("complete", code="", cursor=0)["matches"])
    assert "JShell" not in str(shared.answer("complete", code="int x = ;;; )", cursor=99)["matches"])
    shown(shared, "int completable = 1;")
    assert shared.answer("complete", code="complet", cursor=7)["matches"] == ["completable"]


def test_inspection(shared):
    shown(shared, "int look(int depth) { return depth; } Map<String, Integer> counts = new HashMap<>();")
    for code, part in (("look", "int look(int depth)"), ("counts", "Map<String, Integer> counts"), ("counts.put", "put("), ("Math.max(", "max(int"), ("ArrayList", "ArrayList")):
        answer = shared.answer("inspect", code=code, cursor=len(code), detail=0)
        assert answer["found"] and part in answer["data"]["text/plain"], (code, answer)


def test_sigterm_ends_it(tmp_path):
    runner = Runner("java", tmp_path)
    runner.run("int x = 1;")
    os.kill(runner.pid, signal.SIGTERM)
    assert runner.process.wait(20) in (143, -15)
