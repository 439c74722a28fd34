# SPDX-License-Identifier: Apache-2.0
"""What the generic tests say in Java."""

from languages import language

language(
    "java",
    set="int x = 41;",
    get=("x + 1", "42"),
    print=('System.out.println("a line");', "a line\n"),
    print_err=('System.err.print("to stderr");', "to stderr"),
    value=('"a" + 1', "a1"),
    nothing="int y = 1;",
    comment="// only a comment\n/* and another */",
    html=('html("<b>bold</b>");', "<b>bold</b>"),
    display_between=('System.out.print("before "); html("<i>h</i>"); System.out.print("after");', ["before ", "<i>h</i>", "after"]),
    error=("int zero = 0;\n1 / zero", "java.lang.ArithmeticException", "/ by zero"),
    handled=('try { Integer.parseInt("x"); } catch (NumberFormatException e) { System.out.println("handled"); }', "handled\n"),
    syntax_error=("int a = (1;", "CompilationError"),
    sleep="Thread.sleep(60_000);",
    spin="long n = 0; while (true) n++;",
    exit=("System.exit(3);", 3),
    subprocess=('new ProcessBuilder("echo", "from a child").inheritIO().start().waitFor();', "from a child\n"),
    input=(
        'var in = new Scanner(System.in); String a = in.nextLine(), b = in.nextLine(); System.out.println(b + a);',
        ["one", "zwei ü"],
        "zwei üone\n",
    ),
    input_eof=("new BufferedReader(new InputStreamReader(System.in)).readLine()", "null"),
    env=('System.out.println(System.getenv("RETORT_TEST"));', "one two\n"),
    cwd='System.out.println(Path.of("").toAbsolutePath());',
    big=('for (int i = 0; i < 100_000; i++) System.out.println("0123456789012345678901234567890");', 100_000 * 32),
    many=("for (int i = 0; i < 10_000; i++) display(i);", 10_000),
    complete=('String s = ""; s.toUpp', 'String s = ""; s.toUpperCase('),
    inspect=("String.valueOf", "valueOf"),
    library=("import java.time.Duration;\nSystem.out.println(Duration.ofSeconds(90));", "PT1M30S\n"),
    unicode=('System.out.println("süß " + "😀".codePointCount(0, 2));', "süß 1\n"),
    stack=(
        "int outer(int n) {\n    return inner(n);\n}\nint inner(int n) {\n    return 1 / n;\n}\nouter(0);",
        ["java.lang.ArithmeticException: / by zero", "at inner(cell 1:5)", "at outer(cell 1:2)", "at (cell 1:7)"],
        ["retort", "jdk.jshell", "REPL", "do_it", "reflect", "invoke"],
    ),
)
