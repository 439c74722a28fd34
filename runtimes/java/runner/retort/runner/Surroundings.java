// SPDX-License-Identifier: Apache-2.0
package retort.runner;

import java.io.File;
import java.lang.invoke.MethodType;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/** What Java means to be the same for as long as the JVM lives, and cells change: environment, directory; and how it ends. */
final class Surroundings {
    private final Map<String, String> environment;

    Surroundings() throws Throwable {
        environment = environment();
    }

    /** The map behind System.getenv(), which child processes whose environment is changed are given copies of. */
    @SuppressWarnings("unchecked")
    private static Map<String, String> environment() throws Throwable {
        Class<?> type = Class.forName("java.util.Collections$UnmodifiableMap");
        return (Map<String, String>) Native.TRUSTED.findGetter(type, "m", Map.class).invoke((Object) System.getenv());
    }

    /** Sets variables (null: removes them); what they were before. */
    Map<String, String> change(Map<String, String> variables) {
        Map<String, String> before = new HashMap<>();
        variables.forEach((name, value) -> {
            if (name.isEmpty() || name.indexOf('=') >= 0 || name.indexOf('\0') >= 0 || value != null && value.indexOf('\0') >= 0) {
                throw new IllegalArgumentException("no variable can be named " + name + ", or have this value");
            }
        });
        variables.forEach((name, value) -> {
            before.put(name, environment.get(name));
            if (value == null) {
                environment.remove(name);
            } else {
                environment.put(name, value);
            }
            Native.changeVariable(name, value);
        });
        return before;
    }

    /** The process goes there, and all of Java that remembers where it is. */
    void enter(String directory) throws Exception {
        int error = Native.changeDirectory(directory);
        if (error != 0) {
            boolean there = Files.exists(Path.of(directory));
            throw there ? new NotDirectoryException(directory) : new NoSuchFileException(directory);
        }
        String now = Path.of("/proc/self/cwd").toRealPath().toString();
        System.setProperty("user.dir", now);
        remember(File.class.getDeclaredField("fs").getType(), now);
        FileSystem files = FileSystems.getDefault();
        Class<?> type = Class.forName("sun.nio.fs.UnixFileSystem");
        Native.write(files, type, "defaultDirectory", now.getBytes(StandardCharsets.UTF_8));
    }

    private static void remember(Class<?> type, String directory) throws Exception {
        try {
            Object files = Native.TRUSTED.findStaticGetter(File.class, "fs", type).invoke();
            Native.write(files, files.getClass(), "userDir", directory);
        } catch (Exception e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    /**
     * Exit goes another way: hook is asked first, on the thread that calls System.exit, and may throw ThreadDeath, which the JVM passes
     * on up to Java 19. Later ones end, with the code that the program gave.
     */
    static void onExit(Runnable hook) throws Throwable {
        if (Runtime.version().feature() >= 20) {
            return;
        }
        Class<?> shutdown = Class.forName("java.lang.Shutdown");
        Native.TRUSTED.findStatic(shutdown, "add", MethodType.methodType(void.class, int.class, boolean.class, Runnable.class))
                .invoke(0, false, hook);
    }

    /** As if it had never begun to end. */
    static void stayAlive() {
        try {
            Native.TRUSTED.findStaticSetter(Class.forName("java.lang.Shutdown"), "currentRunningHook", int.class).invoke(-1);
        } catch (Throwable e) {
            // Then programs can add no hook of their own any more.
        }
    }
}
