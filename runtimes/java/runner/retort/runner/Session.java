// SPDX-License-Identifier: Apache-2.0
package retort.runner;

import java.lang.invoke.MethodType;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import jdk.jshell.DeclarationSnippet;
import jdk.jshell.Diag;
import jdk.jshell.JShell;
import jdk.jshell.JShellException;
import jdk.jshell.MethodSnippet;
import jdk.jshell.PersistentSnippet;
import jdk.jshell.Snippet;
import jdk.jshell.SnippetEvent;
import jdk.jshell.SourceCodeAnalysis;
import jdk.jshell.TypeDeclSnippet;
import jdk.jshell.UnresolvedReferenceException;
import jdk.jshell.VarSnippet;

/** The state that cells share: a JShell; and what one cell does to it. By one thread, but for place(). */
final class Session {
    /** No value to show; null is one. */
    static final Object NOTHING = new Object();

    /** JShell's DEFAULT, and what shows things; in one snippet, which takes a tenth of the time of eleven. */
    private static final String IMPORTS = Stream.of("static retort.Defaults.*", "static retort.Display.*", "java.io.*", "java.math.*",
            "java.net.*", "java.nio.file.*", "java.util.*", "java.util.concurrent.*", "java.util.function.*", "java.util.prefs.*",
            "java.util.regex.*", "java.util.stream.*").map(name -> "import " + name + ";").collect(Collectors.joining(" "));

    /** Part of a cell that JShell takes as one. */
    private static final class Piece {
        final String source;
        final int at;

        Piece(String source, int at) {
            this.source = source;
            this.at = at;
        }
    }

    /** Where a snippet was written. */
    static final class Origin {
        final Cell cell;
        final int at;

        Origin(Cell cell, int at) {
            this.cell = cell;
            this.at = at;
        }
    }

    final Engine engine;
    final JShell shell;
    final SourceCodeAnalysis analysis;
    private final Map<String, Origin> origins = new HashMap<>(); // by a snippet's id
    private final Pruner pruner;
    private int unnamedNumber;
    private boolean indexingHeld;

    Session(Engine engine) {
        this.engine = engine;
        shell = JShell.builder().executionEngine(engine, Map.of()).tempVariableNameGenerator(() -> "$" + ++unnamedNumber).build();
        analysis = shell.sourceCodeAnalysis();
        indexingHeld = holdIndexing(true);
        pruner = Pruner.of(shell);
        try { // a program's first thread has no number 1 because JShell has one
            Native.TRUSTED.findStaticSetter(Thread.class, "threadInitNumber", int.class).invokeExact(0);
        } catch (Throwable e) {
            // Then it has.
        }
    }

    /** JShell lists all packages of the JDK for completion, in a second's work of its own thread: not before somebody wants it. */
    private boolean holdIndexing(boolean hold) {
        try {
            Native.TRUSTED.findVirtual(analysis.getClass(), hold ? "suspendIndexing" : "resumeIndexing", MethodType.methodType(void.class))
                    .invoke(analysis);
            return true;
        } catch (Throwable e) {
            return false; // then it does so at once
        }
    }

    void indexPackages() {
        if (indexingHeld) {
            indexingHeld = false;
            holdIndexing(false);
        }
    }

    /** Until that is done. */
    void awaitIndex() throws Throwable {
        ExecutorService indexer = (ExecutorService) Native.TRUSTED.findStaticGetter(analysis.getClass(), "INDEXER", ExecutorService.class).invoke();
        indexer.submit(() -> { }).get();
    }

    void doImports() {
        shell.eval(IMPORTS);
    }

    /** Of no effect but that the next time is quicker. */
    void rehearse(String code) {
        try {
            List<Snippet> made = new ArrayList<>();
            Cell cell = new Cell(0, code, "", true);
            for (Piece piece : split(cell)) {
                evaluate(cell, piece, made);
            }
            forget(made);
            made.stream().filter(one -> one instanceof PersistentSnippet && shell.status(one).isActive()).forEach(shell::drop);
        } catch (Failure e) {
            // What a rehearsal is for.
        }
        origins.clear();
        unnamedNumber = 0;
    }

    // ---- a cell ----

    /** The value of its last expression, or NOTHING. */
    Object evaluate(Cell cell) throws Failure {
        List<Piece> pieces = split(cell);
        List<Snippet> made = new ArrayList<>();
        Object value = NOTHING;
        try {
            for (Piece piece : pieces) {
                value = evaluate(cell, piece, made);
            }
        } catch (StackOverflowError e) {
            throw compilation("the code is nested too deeply for the compiler", cell.name + ": error: the code is nested too deeply for the compiler\n");
        } finally {
            forget(made);
        }
        tellUnresolved(made);
        return value;
    }

    private static Failure compilation(String value, String traceback) {
        return new Failure("error", "CompilationError", value, traceback);
    }

    /** All of it, before any of it runs: half a program is none. */
    private List<Piece> split(Cell cell) throws Failure {
        List<Piece> pieces = new ArrayList<>();
        String rest = cell.code;
        while (true) {
            int at = cell.code.length() - rest.length();
            SourceCodeAnalysis.CompletionInfo info;
            try {
                info = analysis.analyzeCompletion(rest);
            } catch (RuntimeException | Error e) {
                throw compilation("the compiler failed: " + e, cell.name + ": error: the compiler failed: " + e + "\n");
            }
            switch (info.completeness()) {
                case EMPTY:
                    return pieces;
                case DEFINITELY_INCOMPLETE:
                case UNKNOWN:
                    checkSyntax(cell, new Piece(rest, at), info.completeness() == SourceCodeAnalysis.Completeness.DEFINITELY_INCOMPLETE);
                    pieces.add(new Piece(rest, at));
                    return pieces;
                case COMPLETE:
                    pieces.add(new Piece(info.source(), at));
                    rest = info.remaining();
                    break;
                default: // but for a semicolon, or for what may but need not follow
                    pieces.add(new Piece(info.source(), at));
                    return pieces;
            }
        }
    }

    private void checkSyntax(Cell cell, Piece piece, boolean incomplete) throws Failure {
        for (Snippet snippet : analysis.sourceToSnippets(piece.source)) {
            if (snippet.kind() == Snippet.Kind.ERRONEOUS) { // so it does nothing when it is evaluated, but to say why
                evaluate(cell, piece, new ArrayList<>());
            }
        }
        if (incomplete) {
            throw compilation("reached end of file while parsing", cell.message("reached end of file while parsing", cell.code.length(), 0));
        }
    }

    private Object evaluate(Cell cell, Piece piece, List<Snippet> made) throws Failure {
        engine.outcome = null;
        Snippet last = null;
        List<SnippetEvent> events = shell.eval(piece.source);
        for (SnippetEvent event : events) {
            if (event.causeSnippet() == null) {
                last = event.snippet();
                synchronized (origins) {
                    origins.put(last.id(), new Origin(cell, piece.at));
                }
                made.add(last);
            }
        }
        for (SnippetEvent event : events) {
            if (event.causeSnippet() == null && event.status() == Snippet.Status.REJECTED) {
                reject(cell, piece, event.snippet());
            }
            check(event.exception());
        }
        return last == null || engine.outcome == null ? NOTHING : valueOf(cell, piece, last);
    }

    /** How the call ended, if there was one. */
    private void check(JShellException exception) throws Failure {
        Integer code = engine.thread.exitCode();
        if (code != null) {
            throw new Failure("exit", "", code.toString(), "");
        } else if (engine.outcome == null) {
            if (engine.thread.isInterrupted()) {
                throw interrupted();
            }
        } else if (engine.thread.isInterrupted() && (engine.outcome.thrown == null || isOfInterrupt(engine.outcome.thrown))) {
            throw interrupted();
        } else if (exception instanceof UnresolvedReferenceException) {
            DeclarationSnippet missing = ((UnresolvedReferenceException) exception).getSnippet();
            String words = "attempted to use " + describe(missing) + ", which cannot be used until " + unresolvedOf(missing) + " is declared";
            throw new Failure("error", "UnresolvedReferenceException", words,
                    "UnresolvedReferenceException: " + words + "\n" + Trace.frames(engine.outcome.thrown.getStackTrace(), new Places(this)));
        } else if (engine.outcome.thrown != null) {
            throw failure(engine.outcome.thrown);
        }
    }

    /** Something else on the thread of the cells, which belongs to the cell as well. */
    Object call(Callable<?> todo) throws Failure {
        if (engine.thread.isInterrupted()) {
            throw interrupted();
        }
        engine.outcome = engine.thread.run(todo);
        check(null);
        return engine.outcome.value;
    }

    private static boolean isOfInterrupt(Throwable thrown) {
        Throwable at = thrown;
        for (int i = 0; at != null && i < 100; i++, at = at.getCause()) {
            if (at instanceof Stop || at instanceof InterruptedException) {
                return true;
            }
        }
        return false;
    }

    private Failure interrupted() {
        return new Failure("interrupted", "Interrupted", "the cell was interrupted",
                "Interrupted: the cell was interrupted\n" + Trace.frames(engine.thread.where(), new Places(this)));
    }

    /** In the exception's own words, which are a program's: they may be anything, and may never end. */
    Failure failure(Throwable thrown) {
        String name = Places.expunge(thrown.getClass().getName());
        CellThread.Outcome words = engine.thread.run(() -> new String[] { String.valueOf(thrown.getLocalizedMessage()), Trace.of(thrown, new Places(this)) });
        if (words.thrown == null) {
            String[] all = (String[]) words.value;
            return new Failure("error", name, Trace.shorten(all[0].equals("null") && thrown.getMessage() == null ? "" : all[0]), Places.expunge(all[1]));
        } else if (engine.thread.isInterrupted()) {
            return interrupted();
        }
        return new Failure("error", name, "", name + "\n");
    }

    private Object valueOf(Cell cell, Piece piece, Snippet last) {
        if (!last.subKind().hasValue() || last.kind() == Snippet.Kind.VAR && last.subKind() != Snippet.SubKind.TEMP_VAR_EXPRESSION_SUBKIND) {
            return NOTHING;
        }
        Object value = engine.outcome.value;
        // A statement, as programs have them, has no value, or one that nobody asked for.
        boolean unasked = value == null || value == System.out || value == System.err || Statements.assigns(piece.source);
        return unasked && Statements.endsWithSemicolon(cell.code.substring(piece.at)) ? NOTHING : value;
    }

    // ---- errors of the compiler ----

    private void reject(Cell cell, Piece piece, Snippet snippet) throws Failure {
        String first = null;
        StringBuilder all = new StringBuilder();
        int n = 0;
        for (Diag diag : (Iterable<Diag>) shell.diagnostics(snippet)::iterator) {
            if (diag.isError()) {
                String words = diag.getMessage(Locale.ROOT).lines().filter(line -> !line.strip().startsWith("location:"))
                        .collect(Collectors.joining("\n"));
                first = first == null ? words : first;
                // The caret of javac's is at the position proper, which lies between start and end.
                all.append(cell.message(words, piece.at + (int) diag.getStartPosition(), piece.at + (int) diag.getEndPosition()));
                n++;
            }
        }
        if (n == 0) {
            first = "the compiler does not accept this";
            all.append(cell.message(first, piece.at, piece.at));
        }
        throw compilation(first, all.append(Math.max(1, n)).append(n > 1 ? " errors\n" : " error\n").toString());
    }

    // ---- what is not all there ----

    /** Declarations wait for what they use; what still waits when its cell has ended may be a mistake. */
    private void tellUnresolved(List<Snippet> made) {
        for (Snippet snippet : made) {
            Snippet.Status status = shell.status(snippet);
            if (status == Snippet.Status.RECOVERABLE_DEFINED || status == Snippet.Status.RECOVERABLE_NOT_DEFINED) {
                DeclarationSnippet waiting = (DeclarationSnippet) snippet;
                System.err.println(describe(waiting) + " cannot be used until " + unresolvedOf(waiting) + " is declared");
            }
        }
    }

    private static String describe(PersistentSnippet snippet) {
        if (snippet instanceof MethodSnippet) {
            return "method " + snippet.name() + "(" + ((MethodSnippet) snippet).parameterTypes() + ")";
        }
        return (snippet instanceof TypeDeclSnippet ? "class " : "variable ") + snippet.name();
    }

    private String unresolvedOf(DeclarationSnippet snippet) {
        List<String> names = shell.unresolvedDependencies(snippet).collect(Collectors.toList());
        int last = names.size() - 1;
        return last < 0 ? "what it uses" : last == 0 ? names.get(0) : String.join(", ", names.subList(0, last)) + " and " + names.get(last);
    }

    // ---- what JShell would keep ----

    /** Values without a name: each would be an import of every cell to come, and would never be let go. Statements are done with. */
    private void forget(List<Snippet> made) {
        for (Snippet one : made) {
            boolean unnamed = one.subKind() == Snippet.SubKind.TEMP_VAR_EXPRESSION_SUBKIND;
            if (!unnamed && one instanceof PersistentSnippet) {
                continue;
            }
            String type = analysis.wrapper(one).fullClassName();
            if (unnamed) {
                if (shell.status(one).isActive()) {
                    shell.drop(one);
                }
                engine.forget(type, ((VarSnippet) one).name());
            }
            Snippet gone = pruner == null ? null : pruner.prune(one, type);
            if (gone != null) {
                synchronized (origins) {
                    origins.remove(gone.id());
                }
            }
        }
    }

    Origin originOf(Snippet snippet) {
        synchronized (origins) {
            return snippet.id() == null ? null : origins.get(snippet.id());
        }
    }
}
