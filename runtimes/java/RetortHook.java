// SPDX-License-Identifier: Apache-2.0

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Tells Retort what ended a Java program.
 *
 * <p>The JVM makes one object of this class before the program ({@code -Djava.system.class.loader}), and then starts
 * the program's main class itself, so that no frame of ours is ever on a stack. The object loads nothing: it passes
 * every class on to the usual loader, and leaves a handler for uncaught exceptions behind. The handler prints what the
 * JVM prints, and if the main thread died writes {"name", "value", "traceback"} to descriptor 3. An agent would do the
 * same for thirty times the start-up cost.
 */
public final class RetortHook extends ClassLoader implements Thread.UncaughtExceptionHandler {
    private static final String REPORT = "/proc/self/fd/3";
    private static final int REPORT_FD = 3;
    /** Characters: a report is at most 256 KiB, and JSON may write one as six bytes. */
    private static final int VALUE_MAX = 16 * 1024;
    private static final int TRACEBACK_MAX = 24 * 1024;

    private volatile Thread main = Thread.currentThread();

    public RetortHook(ClassLoader usual) {
        super(usual);
        Thread.setDefaultUncaughtExceptionHandler(this);
    }

    /** In a forked JVM the program's main thread is another. */
    void follow(Thread main) {
        this.main = main;
    }

    @Override
    public void uncaughtException(Thread thread, Throwable thrown) {
        // As ThreadGroup.uncaughtException does when there is no handler.
        System.err.print("Exception in thread \"" + thread.getName() + "\" ");
        thrown.printStackTrace(System.err);
        if (thread != main) {
            return; // the program goes on without that thread
        }
        try (OutputStream out = open()) {
            out.write(report(thrown).getBytes(StandardCharsets.UTF_8));
        } catch (Throwable ignored) {
            // Whatever went wrong: the program's own story is told already.
        }
    }

    /** Opening the pipe anew needs no tricks, but the guest may not own it; then the descriptor is written to as it is. */
    private static OutputStream open() throws Exception {
        String target = Files.readSymbolicLink(Path.of(REPORT)).toString();
        if (!target.startsWith("pipe:") && !target.startsWith("socket:")) {
            throw new IOException("nobody wants a report");
        }
        try {
            return new FileOutputStream(REPORT);
        } catch (IOException denied) {
            // By name only: the compiler would warn of it in the program's own messages.
            Class<?> type = Class.forName("sun.misc.Unsafe");
            Field field = type.getDeclaredField("theUnsafe");
            field.setAccessible(true);
            Object unsafe = field.get(null);
            FileDescriptor descriptor = new FileDescriptor();
            Object offset = type.getMethod("objectFieldOffset", Field.class)
                    .invoke(unsafe, FileDescriptor.class.getDeclaredField("fd"));
            type.getMethod("putInt", Object.class, long.class, int.class)
                    .invoke(unsafe, descriptor, offset, REPORT_FD);
            return new FileOutputStream(descriptor);
        }
    }

    private static String report(Throwable thrown) {
        StringWriter trace = new StringWriter();
        thrown.printStackTrace(new PrintWriter(trace, true));
        StringBuilder json = new StringBuilder("{\"name\": ");
        quote(json, thrown.getClass().getName(), 256);
        json.append(", \"value\": ");
        quote(json, thrown.getMessage() == null ? "" : thrown.getMessage(), VALUE_MAX);
        json.append(", \"traceback\": ");
        quote(json, trace.toString(), TRACEBACK_MAX);
        return json.append('}').toString();
    }

    private static void quote(StringBuilder json, String text, int most) {
        if (text.length() > most) {
            text = text.substring(0, most / 2) + "\n[...]\n" + text.substring(text.length() - most / 2);
        }
        json.append('"');
        for (int at = 0; at < text.length(); ) {
            int point = text.codePointAt(at);
            at += Character.charCount(point);
            if (point == '"' || point == '\\') {
                json.append('\\').append((char) point);
            } else if (point < ' ') {
                json.append("\\u00").append(Character.forDigit(point >> 4, 16)).append(Character.forDigit(point & 15, 16));
            } else {
                json.appendCodePoint(point >= 0xd800 && point <= 0xdfff ? '?' : point);
            }
        }
        json.append('"');
    }
}
