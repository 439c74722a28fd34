// SPDX-License-Identifier: Apache-2.0
package retort.runner;

/**
 * Cells that are evaluated for nothing, so that the first of a program's finds everything loaded. As a program of its own it loads what
 * a runner does, for the list of what is kept ready in runner.jsa.
 */
final class Rehearsal {
    static final String[] CELLS = {
        "1 + 1",
        "int a = 1; String b = \"b\"; for (int i = 0; i < 2; i++) a += i; b + a",
        "record P(int x) { int f() { return x; } } int f(int x) { return x + 1; } var p = new P(f(1)); List.of(p).stream().map(P::f).toList()",
        "List<Integer> l = new ArrayList<>(); l.add(1); Map<String, Integer> m = new HashMap<>(); l.forEach(x -> m.put(\"\" + x, x));",
        "System.getenv(\"PATH\").isEmpty() ? String.format(\"%d\", 1) : new int[1]",
        "int x = y;", "throw new IllegalStateException();", "class A {",
    };

    private Rehearsal() {
    }

    public static void main(String[] args) throws Exception {
        Session session = new Session(new Engine());
        session.doImports();
        for (String cell : CELLS) {
            session.rehearse(cell);
        }
        session.failure(new IllegalStateException());
        Show.item(1, Show.data("x"), true);
        Look look = new Look(session);
        look.complete(1, "Str", 3);
        look.inspect(1, "String.valueOf", 5);
        System.exit(0);
    }
}
