// SPDX-License-Identifier: Apache-2.0
package retort.runner;

import java.io.File;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodType;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.HashMap;
import java.util.Map;
import jdk.jshell.spi.ExecutionControl;
import jdk.jshell.spi.ExecutionControlProvider;
import jdk.jshell.spi.ExecutionEnv;
import jdk.jshell.spi.SPIResolutionException;

/**
 * Where JShell's classes live and run: in this JVM, on the thread of the cells. It keeps what came of the last call as it is; JShell
 * itself gets no values and no exceptions, but for calls of what is not all there.
 */
final class Engine implements ExecutionControl, ExecutionControlProvider {
    private static final MethodType CELL = MethodType.methodType(Object.class);

    /** Defines a class when it is first used, so that until then it may still become another. */
    private static final class Loader extends URLClassLoader {
        private final Map<String, byte[]> code = new HashMap<>();

        Loader() {
            super(new URL[0], ClassLoader.getSystemClassLoader());
        }

        @Override
        protected Class<?> findClass(String name) throws ClassNotFoundException {
            byte[] bytes;
            synchronized (code) {
                bytes = code.remove(name);
            }
            return bytes == null ? super.findClass(name) : defineClass(name, bytes, 0, bytes.length);
        }

        void put(ClassBytecodes[] all) {
            synchronized (code) {
                for (ClassBytecodes one : all) {
                    code.put(one.name(), one.bytecodes());
                }
            }
        }

        boolean replace(ClassBytecodes[] all) {
            synchronized (code) {
                for (ClassBytecodes one : all) {
                    if (!code.containsKey(one.name())) {
                        return false;
                    }
                }
                put(all);
                return true;
            }
        }

        void add(String path) throws MalformedURLException {
            for (String one : path.split(File.pathSeparator)) {
                addURL(new File(one.isEmpty() ? "." : one).toURI().toURL());
            }
        }
    }

    private final Loader loader = new Loader();
    final CellThread thread;
    /** Of the last call; null: there was none since this was made null. */
    CellThread.Outcome outcome;

    Engine() throws Exception {
        thread = new CellThread(loader);
    }

    // ---- ExecutionControlProvider ----

    @Override
    public String name() {
        return "retort";
    }

    @Override
    public ExecutionControl generate(ExecutionEnv env, Map<String, String> parameters) {
        return this;
    }

    // ---- ExecutionControl ----

    @Override
    public void load(ClassBytecodes[] all) {
        loader.put(all);
    }

    @Override
    public void redefine(ClassBytecodes[] all) throws NotImplementedException {
        if (!loader.replace(all)) {
            throw new NotImplementedException("classes that have been used are replaced by others");
        }
    }

    @Override
    public String invoke(String type, String method) throws RunException, InternalException {
        if (thread.isInterrupted() || thread.exitCode() != null) {
            outcome = new CellThread.Outcome(null, Stop.STOP);
            throw new StoppedException();
        }
        MethodHandle cell;
        try {
            cell = Native.TRUSTED.findStatic(loader.loadClass(type), method, CELL);
        } catch (ReflectiveOperationException | LinkageError e) {
            outcome = new CellThread.Outcome(null, e);
            throw new InternalException(e.toString());
        }
        outcome = thread.run(cell);
        if (outcome.thrown instanceof OutOfMemoryError) {
            Memory.giveBack();
        }
        if (outcome.thrown instanceof SPIResolutionException) {
            throw new ResolutionException(((SPIResolutionException) outcome.thrown).id(), new StackTraceElement[0]);
        } else if (outcome.thrown != null) {
            throw new StoppedException();
        }
        return "";
    }

    @Override
    public String varValue(String type, String variable) {
        return "";
    }

    @Override
    public void addToClasspath(String path) throws InternalException {
        try {
            loader.add(path);
        } catch (MalformedURLException e) {
            throw new InternalException(e.toString());
        }
    }

    @Override
    public void stop() {
        // Not by way of JShell.
    }

    @Override
    public Object extensionCommand(String command, Object argument) throws NotImplementedException {
        throw new NotImplementedException(command);
    }

    @Override
    public void close() {
        // It lives as long as the process.
    }

    /** Lets go of the value that a variable of that class holds. */
    void forget(String type, String variable) {
        try {
            loader.loadClass(type).getDeclaredField(variable).set(null, null);
        } catch (ReflectiveOperationException | RuntimeException | LinkageError e) {
            // A number, or there was never such a class.
        }
    }
}
