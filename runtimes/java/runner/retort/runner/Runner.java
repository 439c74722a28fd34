// SPDX-License-Identifier: Apache-2.0
package retort.runner;

import java.io.BufferedOutputStream;
import java.io.File;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.charset.Charset;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Consumer;

/**
 * The runner of Java: {@code java -cp runner.jar:display.jar retort.runner.Runner runner.so display.jar}. docs/internals/runner-protocol.md is the
 * contract. One thread hears what is asked (hear), one does it (work), cells run on a third (CellThread), a fourth waits for SIGINT.
 */
public final class Runner {
    /** Of the thread that compiles: programs are nested deeply. */
    static final long STACK = 32 << 20;
    private static final int EXIT_BROKEN = 1;
    private static final long EXIT_PATIENCE_MS = 2000;

    private final Wire wire;
    private final Surroundings surroundings = new Surroundings();
    private final BlockingQueue<Map<String, Object>> requests = new LinkedBlockingQueue<>();
    private final Input input = new Input(this::askForLine);
    private final Engine engine;
    private final Object showing = new Object();
    private long current; // whose items are shown, guarded by showing; 0: nobody's
    private volatile boolean ending;
    private Session session;
    private Look look;
    private int count;

    private Runner(Session session) throws Throwable {
        wire = new Wire();
        this.session = session;
        engine = session == null ? new Engine() : session.engine;
    }

    public static void main(String[] args) throws Throwable {
        System.load(args[0]);
        start(args[1], null);
    }

    /** With a session that is there already, or null. */
    static void start(String display, Session session) throws Throwable {
        // The compiler, and programs, see what is for programs; and what a context has put there.
        String own = classPath();
        System.setProperty("java.class.path", display + (own.isEmpty() ? "" : File.pathSeparator + own));
        System.setProperty("sun.java.command", "");
        new Runner(session).start();
    }

    /** Directories with the archives that lie in them. */
    private static String classPath() {
        String own = System.getenv("CLASSPATH");
        StringBuilder all = new StringBuilder(own == null ? "" : own);
        for (String one : all.toString().split(File.pathSeparator)) {
            File[] jars = one.isEmpty() ? null : new File(one).listFiles(file -> file.getName().endsWith(".jar"));
            for (int i = 0; jars != null && i < jars.length; i++) {
                all.append(File.pathSeparator).append(jars[i]);
            }
        }
        return all.toString();
    }

    /** The rest is done by threads that no program sees among its own. */
    private void start() throws Throwable {
        ThreadGroup ours = Thread.currentThread().getThreadGroup().getParent();
        replaceStreams();
        hook();
        Surroundings.onExit(this::onExit);
        Map<String, Object> ready = message("ready");
        ready.put("protocol", 1);
        ready.put("language", "java");
        ready.put("version", System.getProperty("java.version"));
        ready.put("features", List.of("complete", "inspect", "input"));
        ready.put("mark", wire.mark);
        wire.send(ready);
        new Thread(ours, this::work, "retort work", STACK).start();
        begin(ours, this::hear, "retort hear");
        begin(ours, this::interrupt, "retort interrupt");
    }

    private static void begin(ThreadGroup group, Runnable what, String name) {
        Thread thread = new Thread(group, what, name);
        thread.setDaemon(true);
        thread.start();
    }

    // ---- the streams of programs ----

    /** As the JVM's own, but for one thing: a program that closes it closes it for all cells to come. */
    private static PrintStream stream(FileDescriptor descriptor) {
        return new PrintStream(new BufferedOutputStream(new FileOutputStream(descriptor), 8192), true, Charset.defaultCharset()) {
            @Override
            public void close() {
                flush();
            }
        };
    }

    private void replaceStreams() {
        System.setOut(stream(FileDescriptor.out));
        System.setErr(stream(FileDescriptor.err));
        System.setIn(input);
    }

    /** They may be a program's own by now. */
    private static Object flush() {
        System.out.flush();
        System.err.flush();
        return null;
    }

    private boolean askForLine() {
        long id;
        synchronized (showing) {
            id = current;
        }
        if (id == 0) {
            return false;
        }
        flush();
        Map<String, Object> request = message("input_request");
        request.put("id", id);
        request.put("prompt", "");
        request.put("password", false);
        return wire.send(request);
    }

    /** What retort.Display does; on a program's thread. */
    private void show(Object value) {
        try {
            Map<String, Object> data = Show.data(value);
            flush();
            synchronized (showing) {
                if (current != 0) {
                    wire.sendItem(Show.item(current, data, false));
                }
            }
        } catch (java.io.IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    private void hook() throws Throwable {
        Consumer<Object> shower = this::show;
        Native.TRUSTED.findStaticSetter(retort.Display.class, "shower", Consumer.class).invokeExact(shower);
        Thread.setDefaultUncaughtExceptionHandler((thread, thrown) -> {
            if (!(thrown instanceof ThreadDeath || thrown instanceof Stop)) {
                System.err.print("Exception in thread \"" + thread.getName() + "\" " + Places.expunge(Trace.of(thrown, new Places(session))));
            }
        });
    }

    // ---- hearing ----

    private static Map<String, Object> message(String type) {
        Map<String, Object> message = new LinkedHashMap<>();
        message.put("type", type);
        return message;
    }

    private void hear() {
        try {
            for (;;) {
                Map<String, Object> message = wire.receive();
                if (message == null) {
                    break;
                }
                switch ((String) message.get("type")) {
                    case "input":
                        input.answer(Boolean.TRUE.equals(message.get("eof")) ? null : Request.text(message, "text"));
                        break;
                    case "run":
                        Native.expect(Request.id(message)); // an interrupt may come at once
                        Memory.insist(() -> requests.add(message));
                        break;
                    case "shutdown":
                        end(0);
                        return;
                    default:
                        Memory.insist(() -> requests.add(message));
                }
            }
            end(0);
        } catch (Json.Bad e) {
            System.err.println("retort: " + e.getMessage());
            end(EXIT_BROKEN);
        }
    }

    private void interrupt() {
        for (;;) {
            long cell = Native.await();
            Memory.insist(() -> engine.thread.interrupt(cell));
        }
    }

    // ---- ending ----

    /** With what programs have asked to be done at the end, but not for longer than that may take. */
    private void end(int code) {
        ending = true;
        try {
            begin(Thread.currentThread().getThreadGroup(), () -> {
                try {
                    Thread.sleep(EXIT_PATIENCE_MS);
                } catch (InterruptedException e) {
                    // Now, then.
                }
                Runtime.getRuntime().halt(code);
            }, "retort end");
            Runtime.getRuntime().exit(code);
        } finally { // where there is no memory, or no thread
            Runtime.getRuntime().halt(code);
        }
    }

    /** On the thread that ends the JVM: a program, which is kept from it; or ours; or the JVM's own on SIGTERM. */
    private void onExit() {
        Integer code = ending ? null : ExitCode.ofCaller();
        if (code != null) {
            Surroundings.stayAlive();
            engine.thread.exit(code);
        }
    }

    // ---- working ----

    private void work() {
        try {
            if (session == null) {
                prepare();
            }
            look = new Look(session);
            for (;;) {
                answer(requests.take());
            }
        } catch (Throwable e) {
            try {
                e.printStackTrace();
            } finally {
                end(EXIT_BROKEN);
            }
        }
    }

    private void prepare() throws Exception {
        Memory.setAside();
        session = new Session(engine);
        if (!classPath().isEmpty()) {
            engine.addToClasspath(classPath());
        }
        session.doImports();
        for (int i = 0; i < Rehearsal.CELLS.length && requests.isEmpty(); i++) {
            session.rehearse(Rehearsal.CELLS[i]);
        }
    }

    private void answer(Map<String, Object> request) throws Json.Bad {
        switch ((String) request.get("type")) {
            case "run":
                run(request);
                break;
            case "complete":
                wire.send(look.complete(Request.id(request), Request.text(request, "code"), Request.number(request, "cursor")));
                break;
            case "inspect":
                wire.send(look.inspect(Request.id(request), Request.text(request, "code"), Request.number(request, "cursor")));
                break;
            default: // interrupt, and what later versions may have
        }
    }

    private void run(Map<String, Object> request) throws Json.Bad {
        boolean silent = Boolean.TRUE.equals(request.get("silent"));
        count += silent ? 0 : 1;
        String name = request.get("name") instanceof String ? Request.text(request, "name") : silent ? "silent cell" : "cell " + count;
        Cell cell = new Cell(Request.id(request), Request.text(request, "code"), name, silent);
        Map<String, String> variables = Request.variables(request);
        String directory = request.get("cwd") instanceof String ? Request.text(request, "cwd") : null;
        begin(cell);
        Failure failure = null;
        Map<String, Object> data = null;
        try {
            data = evaluate(cell, variables, directory);
        } catch (Failure e) {
            failure = e;
        } catch (Throwable e) { // of the compiler, or of ours: there is no memory
            Memory.giveBack();
            failure = Memory.insist(() -> session.failure(e));
        }
        end(cell, data, failure);
    }

    private void begin(Cell cell) {
        engine.thread.begin(cell.id);
        input.begin();
        synchronized (showing) {
            current = cell.id;
        }
        Memory.setAside();
    }

    /** What its last expression is shown as; null: not at all. */
    @SuppressWarnings("unchecked")
    private Map<String, Object> evaluate(Cell cell, Map<String, String> variables, String directory) throws Exception {
        Map<String, String> before = new HashMap<>();
        try {
            before = surroundings.change(variables);
            if (directory != null) {
                surroundings.enter(directory);
            }
            Object value = session.evaluate(cell);
            return cell.silent || value == Session.NOTHING ? null : (Map<String, Object>) session.call(() -> Show.data(value));
        } finally {
            surroundings.change(before);
        }
    }

    private void end(Cell cell, Map<String, Object> data, Failure failure) {
        String status = failure == null ? "ok" : failure.status;
        if (failure != null && failure.name.equals("java.lang.OutOfMemoryError")) {
            Memory.giveBack();
        }
        Memory.insist(() -> engine.thread.run(Runner::flush));
        synchronized (showing) {
            current = 0;
        }
        input.end();
        if (failure == null && data != null) {
            String item = Memory.insist(() -> Show.item(cell.id, data, true));
            Memory.insist(() -> wire.sendItem(item));
        } else if (failure != null && !status.equals("exit")) {
            Memory.insist(() -> tell(cell, failure));
        }
        Native.rest();
        engine.thread.end();
        Memory.insist(() -> {
            Map<String, Object> done = message("done");
            done.put("id", cell.id);
            done.put("status", status);
            done.put("execution_count", count);
            if (status.equals("exit")) {
                done.put("exit_code", Integer.parseInt(failure.value) & 255);
            }
            wire.send(done);
        });
    }

    private void tell(Cell cell, Failure failure) {
        Map<String, Object> error = message("error");
        error.put("id", cell.id);
        error.put("name", failure.name);
        error.put("value", failure.value);
        error.put("traceback", failure.traceback);
        wire.send(error);
    }
}
