// SPDX-License-Identifier: Apache-2.0
package retort.runner;

import java.io.FileInputStream;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.FutureTask;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A runner that is made ahead, to be forked: {@code java OPTIONS -Dretort.park=PATH -Dretort.go=PATH -cp runner.jar:display.jar
 * retort.runner.Frozen runner.so display.jar [ROUNDS]}. JShell has its imports, and all its ways are warm. Opening the first path returns in
 * forks only; opening the second when there is a context: with the context's environment and descriptors, and with the
 * supervisor gone its own way. What a fresh JVM would have of its own is then made anew.
 */
final class Frozen {
    private static final int ROUNDS = 40;
    private static final int READY = 3; // cells that each fork rehearses, for the pages that they write to

    private Frozen() {
    }

    public static void main(String[] args) throws Throwable {
        String park = System.clearProperty("retort.park");
        String go = System.clearProperty("retort.go");
        System.load(args[0]);
        Memory.setAside();
        System.setProperty("java.class.path", args[1]);
        Engine engine = new Engine();
        // On a thread as it has them in a runner that was not made ahead: JShell's own belongs to the same group then.
        FutureTask<Session> making = new FutureTask<>(() -> make(engine, args.length > 2 ? Integer.parseInt(args[2]) : ROUNDS));
        new Thread(Thread.currentThread().getThreadGroup().getParent(), making, "retort work", Runner.STACK).start();
        Session session = making.get();
        session.awaitIndex();
        renew();
        System.gc();
        new FileInputStream(park).close();
        for (int i = 0; i < READY; i++) {
            session.rehearse(Rehearsal.CELLS[i]);
        }
        new FileInputStream(go).close();
        renew();
        Runner.start(args[1], session);
    }

    private static Session make(Engine engine, int rounds) throws Exception {
        Session session = new Session(engine);
        session.doImports();
        Look look = new Look(session);
        for (int i = 0; i < rounds; i++) {
            for (String cell : Rehearsal.CELLS) {
                session.rehearse(cell);
            }
            session.failure(new IllegalStateException());
            Json.read(Show.item(1, Show.data("x"), true));
        }
        look.complete(1, "Str", 3);
        look.inspect(1, "String.valueOf", 5);
        return session;
    }

    /** The JVM keeps the environment as it was when somebody first asked; it has changed since. */
    private static void readEnvironment() throws Throwable {
        Class<?> type = Class.forName("java.lang.ProcessEnvironment");
        Class<?> variable = Class.forName("java.lang.ProcessEnvironment$Variable");
        Class<?> value = Class.forName("java.lang.ProcessEnvironment$Value");
        MethodHandle name = Native.TRUSTED.findStatic(variable, "valueOf", MethodType.methodType(variable, byte[].class));
        MethodHandle text = Native.TRUSTED.findStatic(value, "valueOf", MethodType.methodType(value, byte[].class));
        byte[][] pairs = (byte[][]) Native.TRUSTED.findStatic(type, "environ", MethodType.methodType(byte[][].class)).invoke();
        @SuppressWarnings("unchecked")
        Map<Object, Object> kept = (Map<Object, Object>) Native.TRUSTED.findStaticGetter(type, "theEnvironment", HashMap.class).invoke();
        kept.clear();
        for (int i = pairs.length - 1; i > 0; i -= 2) {
            kept.put(name.invoke(pairs[i - 1]), text.invoke(pairs[i]));
        }
    }

    /** Who and where it is, and what it has in store of random numbers: forks have the same. */
    private static void renew() throws Throwable {
        readEnvironment();
        byte[] fresh = new byte[8];
        try (FileInputStream in = new FileInputStream("/dev/urandom")) {
            in.readNBytes(fresh, 0, fresh.length);
        }
        long seed = System.nanoTime();
        for (byte b : fresh) {
            seed = (seed << 8 | seed >>> 56) ^ b;
        }
        Class<?> local = Class.forName("java.util.concurrent.ThreadLocalRandom");
        ((AtomicLong) Native.TRUSTED.findStaticGetter(local, "seeder", AtomicLong.class).invoke()).set(seed);
        readUser();
    }

    private static void readUser() throws Exception {
        String uid = Files.getAttribute(Path.of("/proc/self"), "unix:uid").toString();
        for (String line : Files.readAllLines(Path.of("/etc/passwd"))) {
            String[] fields = line.split(":", -1);
            if (fields.length > 5 && fields[2].equals(uid)) {
                Class<?> kept = Class.forName("jdk.internal.util.StaticProperty");
                setUser(kept, "USER_NAME", "user.name", fields[0]);
                setUser(kept, "USER_HOME", "user.home", fields[5]);
                return;
            }
        }
    }

    private static void setUser(Class<?> kept, String field, String property, String value) throws ReflectiveOperationException {
        System.setProperty(property, value);
        Native.writeStatic(kept, field, value);
    }
}
