// SPDX-License-Identifier: Apache-2.0

import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import javax.tools.JavaCompiler;
import javax.tools.ToolProvider;

/**
 * Keeps a JVM that can be forked: {@code java OPTIONS -Djava.system.class.loader=RetortHook -Dretort.park=PATH
 * -Dretort.go=PATH -cp .:FOLDER Warm}. The compiler and what programs use are made warm, then the process is parked
 * (opening the first path returns in a forked child only). In the child the second path tells what it is to be, and opening
 * it has set the environment (of the C library: nothing in Java can).
 *
 * <ul>
 * <li>{@code CLASS ARGUMENT...}: that class of the class path is run, as {@code java -cp .:FOLDER CLASS ARGUMENT...} does.
 * <li>{@code --javac OPTION-OR-FILE...}: the compiler runs, as {@code javac OPTION-OR-FILE...} does, and that is all.
 * <li>{@code --javac OPTION-OR-FILE... -- CLASS ARGUMENT...}: both, if the compiler finds no fault; if it does, its exit
 * code is the process's and {"step": "compile"} the report.
 * </ul>
 *
 * <p>The program runs in a thread that is like the main thread of a JVM: its name, its number, and nothing of ours below its
 * main.
 */
public final class Warm {
    private static final String SIMPLE = "public class Warmed { public static void main(String[] a) { System.out.println(1); } }";
    private static final String LARGER = String.join("\n",
            "import java.util.*; import java.util.function.*; import java.util.stream.*;",
            "public class Warmed {",
            "  record Point(int x, int y) { }",
            "  sealed interface Shape permits Square, Circle { }",
            "  record Square(double a) implements Shape { } record Circle(double r) implements Shape { }",
            "  enum Color { RED, GREEN }",
            "  interface F { int f(int x); }",
            "  static <T extends Comparable<T>> T most(List<T> all) { return all.stream().max(Comparator.naturalOrder()).get(); }",
            "  static class Node<T> implements Iterable<T> { T value; Node<T> next;",
            "    public Iterator<T> iterator() { return List.of(value).iterator(); } }",
            "  public static void main(String[] a) throws Exception {",
            "    Map<String, List<Integer>> m = new TreeMap<>();",
            "    for (int i = 0; i < 20; i++) m.computeIfAbsent(\"k\" + i % 3, k -> new ArrayList<>()).add(i);",
            "    System.out.println(m.entrySet().stream().map(e -> e.getKey() + \"=\" + e.getValue().stream()",
            "        .mapToInt(x -> x).sum()).collect(Collectors.joining(\",\")));",
            "    F f = x -> x + 1; var p = new Point(1, 2); StringBuilder b = new StringBuilder();",
            "    switch (Color.RED) { case RED -> b.append(p); default -> b.append(f.f(2)); }",
            "    Deque<Integer> q = new ArrayDeque<>(); q.push(1); PriorityQueue<Integer> pq = new PriorityQueue<>(q);",
            "    int[] n = { 3, 1, 2 }; Arrays.sort(n); long[][] g = new long[3][4]; Set<Long> s = new HashSet<>();",
            "    try { Object o = Integer.parseInt(\"x\"); } catch (NumberFormatException e) { b.append(e.getMessage()); }",
            "    System.out.printf(\"%d %5.2f %s%n\", n[0], 1.5, b); System.out.println(most(List.of(1, 2)) + String.format(\"%s\", s));",
            "    for (var x : new Node<Integer>() {{ value = 1; }}) if (x instanceof Integer i && i > 0) g[0][0] += i;",
            "    Scanner c = new Scanner(\"1 2\\nx\"); c.nextInt(); c.nextInt(); c.nextLine(); c.nextLine();",
            "    BiFunction<Integer, Integer, Integer> add = Integer::sum; Optional.of(add.apply(1, 2)).ifPresent(s0 -> { });",
            "    System.err.println(String.join(\" \", Stream.of(\"a\", \"b\").map(String::toUpperCase).toList()));",
            "  }",
            "}");

    private static JavaCompiler compiler;
    private static MethodHandle starter; // makes the main thread
    static MethodHandles.Lookup trusted;
    static MethodHandle launcher; // what finds and checks a main class, with the JVM's own words
    private static sun.misc.Unsafe unsafe;

    private Warm() {
    }

    // ---- warm ----

    /** A class loader for each round, as each program has its own classes. */
    private static final class Loader extends ClassLoader {
        private final Path folder;

        Loader(Path folder) {
            super(ClassLoader.getPlatformClassLoader());
            this.folder = folder;
        }

        @Override
        protected Class<?> findClass(String name) throws ClassNotFoundException {
            try {
                byte[] code = Files.readAllBytes(folder.resolve(name + ".class"));
                return defineClass(name, code, 0, code.length);
            } catch (IOException e) {
                throw new ClassNotFoundException(name, e);
            }
        }
    }

    private static int javac(String... args) {
        return compiler.run(null, null, null, args);
    }

    private static void compileAndRun(Path folder, String code) throws Exception {
        Path file = folder.resolve("Warmed.java");
        Files.writeString(file, code);
        if (javac("-proc:none", "-encoding", "UTF-8", "-d", folder.toString(), file.toString()) == 0) {
            new Loader(folder).loadClass("Warmed").getMethod("main", String[].class).invoke(null, (Object) new String[0]);
        }
    }

    private static void warm(int rounds) throws Exception {
        PrintStream out = System.out;
        PrintStream err = System.err;
        PrintStream nowhere = new PrintStream(OutputStream.nullOutputStream(), true);
        Path folder = Path.of(System.getProperty("java.io.tmpdir"), "warm-" + System.nanoTime());
        Files.createDirectory(folder);
        System.setOut(nowhere);
        System.setErr(nowhere);
        try {
            for (int i = 0; i < rounds; i++) {
                compileAndRun(folder, SIMPLE);
                compileAndRun(folder, LARGER);
                compileAndRun(folder, LARGER.replace("n[0]", "n.x").replace("b.append(p)", "b.append()")); // errors are told, too
            }
            new Exception("warm", new RuntimeException()).printStackTrace(new PrintWriter(new StringWriter()));
        } finally {
            System.setOut(out);
            System.setErr(err);
            try (DirectoryStream<Path> all = Files.newDirectoryStream(folder)) {
                for (Path file : all) {
                    Files.delete(file);
                }
            }
            Files.delete(folder);
        }
    }

    // ---- what else only the JVM itself touches ----

    private static void prepare() throws Throwable {
        Field field = sun.misc.Unsafe.class.getDeclaredField("theUnsafe");
        field.setAccessible(true);
        unsafe = (sun.misc.Unsafe) field.get(null);
        Field lookup = MethodHandles.Lookup.class.getDeclaredField("IMPL_LOOKUP");
        trusted = (MethodHandles.Lookup) unsafe.getObject(unsafe.staticFieldBase(lookup), unsafe.staticFieldOffset(lookup));
        launcher = trusted.findStatic(Class.forName("sun.launcher.LauncherHelper"), "checkAndLoadMain",
                MethodType.methodType(Class.class, boolean.class, int.class, String.class));
        try (InputStream code = Warm.class.getResourceAsStream("Warm$Start.class")) {
            MethodHandles.Lookup hidden = MethodHandles.lookup().defineHiddenClass(code.readAllBytes(), true);
            starter = hidden.findConstructor(hidden.lookupClass(),
                    MethodType.methodType(void.class, String[].class, boolean[].class));
        }
    }

    /** Forked children have the same numbers in store; each gets its own. */
    private static void reseed() throws Throwable {
        byte[] fresh = new byte[8];
        try (FileInputStream in = new FileInputStream("/dev/urandom")) {
            in.read(fresh);
        }
        long seed = System.nanoTime();
        for (byte b : fresh) {
            seed = (seed << 8 | seed >>> 56) ^ b;
        }
        Class<?> local = Class.forName("java.util.concurrent.ThreadLocalRandom");
        ((AtomicLong) trusted.findStaticGetter(local, "seeder", AtomicLong.class).invoke()).set(seed);
    }

    /** The JVM keeps the environment as it was when somebody first asked, which the compiler did; it has changed since. */
    private static void readEnvironment() throws Throwable {
        Class<?> type = Class.forName("java.lang.ProcessEnvironment");
        Class<?> variable = Class.forName("java.lang.ProcessEnvironment$Variable");
        Class<?> value = Class.forName("java.lang.ProcessEnvironment$Value");
        MethodHandle name = trusted.findStatic(variable, "valueOf", MethodType.methodType(variable, byte[].class));
        MethodHandle text = trusted.findStatic(value, "valueOf", MethodType.methodType(value, byte[].class));
        byte[][] pairs = (byte[][]) trusted.findStatic(type, "environ", MethodType.methodType(byte[][].class)).invoke();
        @SuppressWarnings("unchecked")
        Map<Object, Object> kept = (Map<Object, Object>) trusted.findStaticGetter(type, "theEnvironment", HashMap.class).invoke();
        kept.clear();
        for (int i = pairs.length - 1; i > 0; i -= 2) {
            kept.put(name.invoke(pairs[i - 1]), text.invoke(pairs[i]));
        }
    }

    /** Who the process belongs to: the JVM has asked when it was started, and a child is somebody else. */
    private static void readUser() throws Throwable {
        String uid = Files.getAttribute(Path.of("/proc/self"), "unix:uid").toString();
        for (String line : Files.readAllLines(Path.of("/etc/passwd"))) {
            String[] fields = line.split(":", -1);
            if (fields.length > 5 && fields[2].equals(uid)) {
                Class<?> kept = Class.forName("jdk.internal.util.StaticProperty");
                setUser(kept.getDeclaredField("USER_NAME"), "user.name", fields[0]);
                setUser(kept.getDeclaredField("USER_HOME"), "user.home", fields[5]);
                return;
            }
        }
    }

    @SuppressWarnings("deprecation")
    private static void setUser(Field kept, String property, String value) {
        System.setProperty(property, value);
        unsafe.putObject(unsafe.staticFieldBase(kept), unsafe.staticFieldOffset(kept), value);
    }

    /** What a thread's number is, and where the next unnamed one begins to count. */
    @SuppressWarnings("deprecation")
    private static void renumber(Thread main) throws Throwable {
        Thread old = Thread.currentThread();
        long at = unsafe.objectFieldOffset(Thread.class.getDeclaredField("tid"));
        long number = unsafe.getLong(old, at);
        unsafe.putLong(old, at, unsafe.getLong(main, at));
        unsafe.putLong(main, at, number);
        trusted.findStaticSetter(Thread.class, "threadInitNumber", int.class).invoke(0);
    }

    // ---- the program ----

    /**
     * The main thread, which does what the JVM's launcher does. Defined as a hidden class, whose frames are in no stack
     * trace; so all of it is in one method.
     */
    static final class Start extends Thread {
        private final String[] words;
        private final boolean[] failed;

        Start(String[] words, boolean[] failed) {
            super(null, null, "main", 0, false);
            this.words = words;
            this.failed = failed;
        }

        @Override
        public void run() {
            failed[0] = true;
            MethodHandle main = null;
            try {
                Class<?> type = (Class<?>) launcher.invoke(true, 1, words[0]);
                Class.forName(type.getName(), true, type.getClassLoader());
                main = trusted.findStatic(type, "main", MethodType.methodType(void.class, String[].class));
            } catch (Throwable thrown) { // by a static initialiser: there is no main to die yet, and no handler is asked
                tellOfInitialiser(thrown);
                return;
            }
            try {
                main.invoke(Arrays.copyOfRange(words, 1, words.length));
            } catch (Throwable thrown) {
                trim(thrown);
                Warm.<RuntimeException>pass(thrown);
            }
            failed[0] = false;
        }
    }

    @SuppressWarnings("unchecked")
    static <T extends Throwable> void pass(Throwable thrown) throws T {
        throw (T) thrown;
    }

    /** The JVM's ready-made OutOfMemoryErrors show frames that are hidden otherwise. */
    static void trim(Throwable thrown) {
        StackTraceElement[] frames = thrown.getStackTrace();
        int kept = frames.length;
        if (kept == 0 || !frames[kept - 1].getClassName().startsWith("Warm$Start")) {
            return;
        }
        for (kept--; kept > 0 && frames[kept - 1].getClassName().startsWith("java.lang.invoke.LambdaForm");) {
            kept--;
        }
        thrown.setStackTrace(Arrays.copyOf(frames, kept));
    }

    /** As the launcher does, without the frames that lie below the initialiser here and not there. */
    static void tellOfInitialiser(Throwable thrown) {
        for (Throwable at = thrown; at != null; at = at.getCause()) {
            StackTraceElement[] frames = at.getStackTrace();
            int kept = frames.length;
            while (kept > 0 && !frames[kept - 1].getMethodName().equals("forName0")) {
                kept--;
            }
            at.setStackTrace(Arrays.copyOf(frames, Math.max(0, kept - 1)));
        }
        System.err.print("Exception in thread \"main\" ");
        thrown.printStackTrace();
    }

    private static void compileOrEnd(List<String> args, boolean only) {
        int code = javac(args.toArray(new String[0]));
        if (code != 0 && !only) {
            try (OutputStream report = new FileOutputStream("/proc/self/fd/3")) {
                report.write("{\"step\": \"compile\"}".getBytes(StandardCharsets.UTF_8));
            } catch (IOException ignored) {
                // Nobody wants one.
            }
        }
        if (code != 0 || only) {
            System.exit(code);
        }
    }

    private static void become(List<String> words) throws Throwable {
        System.setProperty("sun.java.command", String.join(" ", words));
        System.clearProperty("retort.park");
        System.clearProperty("retort.go");
        boolean[] failed = { false };
        Thread old = Thread.currentThread();
        old.setName("DestroyJavaVM"); // what it is to be when main is done
        Thread main = (Thread) starter.invoke(words.toArray(new String[0]), failed);
        renumber(main);
        ((RetortHook) ClassLoader.getSystemClassLoader()).follow(main);
        trusted.findVirtual(ThreadGroup.class, "remove", MethodType.methodType(void.class, Thread.class))
                .invoke(old.getThreadGroup(), old); // so that it is not counted as one of the program's
        main.start();
        main.join();
        if (failed[0]) { // the launcher's exit code is 1 then; the words are said
            old.setUncaughtExceptionHandler((thread, thrown) -> { });
            throw new Error();
        }
    }

    /** All of a child's way to its program, once, for the method handles that are made on it. */
    private static void rehearse() throws Throwable {
        reseed();
        readEnvironment();
        readUser();
        Thread main = (Thread) starter.invoke(new String[] { "Warm", "--rehearse" }, new boolean[1]);
        main.start();
        main.join();
        renumber(Thread.currentThread());
        trusted.findVirtual(ThreadGroup.class, "remove", MethodType.methodType(void.class, Thread.class))
                .invoke(Thread.currentThread().getThreadGroup(), main); // which is in it no more
    }

    public static void main(String[] args) throws Throwable {
        if (args.length > 0 && args[0].equals("--rehearse")) {
            return;
        }
        String park = System.getProperty("retort.park");
        String go = System.getProperty("retort.go");
        compiler = ToolProvider.getSystemJavaCompiler();
        prepare();
        warm(args.length > 0 ? Integer.parseInt(args[0]) : 60);
        rehearse();
        System.gc();
        new FileInputStream(park).close(); // here the server stands; what returns is a child
        reseed();
        readUser();
        String[] strings;
        try (FileInputStream in = new FileInputStream(go)) {
            strings = new String(in.readAllBytes(), StandardCharsets.UTF_8).split("\0", -1);
        }
        List<String> words = Arrays.asList(strings).subList(1, 1 + Integer.parseInt(strings[0]));
        readEnvironment();
        if (words.get(0).equals("--javac")) {
            int end = words.indexOf("--");
            compileOrEnd(words.subList(1, end < 0 ? words.size() : end), end < 0);
            words = words.subList(end + 1, words.size());
        }
        become(words);
    }
}
