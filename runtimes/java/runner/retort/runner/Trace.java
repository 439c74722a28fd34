// SPDX-License-Identifier: Apache-2.0
package retort.runner;

import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;

/**
 * Stack traces as the JVM prints them, with cells and their lines in place of JShell's classes. Calls what exceptions define: only on the
 * thread of the cells.
 */
final class Trace {
    private static final Pattern OURS = Pattern.compile("retort[.](runner[.].*|Display)");
    private static final Pattern LAMBDA = Pattern.compile("lambda[$]do_it[$](Aux)?[$]*[0-9]+");
    private static final Pattern VERSION = Pattern.compile("@[0-9][^/(]*/"); // of a module; not always there
    private static final int TEXT_MAX = 1 << 20;

    private final UnaryOperator<StackTraceElement> places;
    private final Set<Throwable> told = Collections.newSetFromMap(new IdentityHashMap<>());
    private final StringBuilder out = new StringBuilder();

    private Trace(UnaryOperator<StackTraceElement> places) {
        this.places = places;
    }

    /** places: a frame of a cell's, with the cell as its file; null: it is none. */
    static String of(Throwable thrown, UnaryOperator<StackTraceElement> places) {
        Trace trace = new Trace(places);
        trace.tell("", "", thrown, new StackTraceElement[0]);
        return shorten(trace.out.toString());
    }

    static String frames(StackTraceElement[] frames, UnaryOperator<StackTraceElement> places) {
        Trace trace = new Trace(places);
        trace.tellFrames("", frames, new StackTraceElement[0]);
        return shorten(trace.out.toString());
    }

    static String shorten(String text) {
        return text.length() <= TEXT_MAX ? text : text.substring(0, TEXT_MAX / 2) + "\n[...]\n" + text.substring(text.length() - TEXT_MAX / 2);
    }

    private void tell(String indent, String caption, Throwable thrown, StackTraceElement[] around) {
        if (!told.add(thrown)) {
            out.append(indent).append(caption).append("[CIRCULAR REFERENCE: ").append(thrown).append("]\n");
            return;
        } else if (out.length() > 2 * TEXT_MAX) {
            return;
        }
        StackTraceElement[] frames = thrown.getStackTrace();
        out.append(indent).append(caption).append(thrown).append('\n');
        tellFrames(indent, frames, around);
        for (Throwable one : thrown.getSuppressed()) {
            tell(indent + "\t", "Suppressed: ", one, frames);
        }
        if (thrown.getCause() != null) {
            tell(indent, "Caused by: ", thrown.getCause(), frames);
        }
    }

    private void tellFrames(String indent, StackTraceElement[] frames, StackTraceElement[] around) {
        int end = frames.length - 1;
        int same = 0;
        for (int other = around.length - 1; end >= 0 && other >= 0 && frames[end].equals(around[other]); end--, other--) {
            same++;
        }
        int last = end; // below a cell there is nothing of the program's
        if (same == 0) {
            while (last >= 0 && places.apply(frames[last]) == null) {
                last--;
            }
            last = last < 0 ? end : last;
        }
        for (int i = 0; i <= last; i++) {
            StackTraceElement place = places.apply(frames[i]);
            boolean twice = i > 0 && frames[i - 1].getMethodName().equals("do_it$Aux") && frames[i].getMethodName().equals("do_it$");
            if (!twice && (place != null || !isOurs(frames, i))) {
                out.append(indent).append("\tat ").append(place == null ? VERSION.matcher(frames[i].toString()).replaceFirst("/") : say(place)).append('\n');
            }
        }
        if (same > 0) {
            out.append(indent).append("\t... ").append(same).append(" more\n");
        }
    }

    /** Of the runner, or called by it: it is no program's affair where in our code it was. */
    private boolean isOurs(StackTraceElement[] frames, int at) {
        for (int i = at; i < frames.length && places.apply(frames[i]) == null; i++) {
            if (OURS.matcher(frames[i].getClassName()).matches()) {
                return true;
            }
        }
        return false;
    }

    private static String say(StackTraceElement place) {
        String type = place.getClassName();
        String method = place.getMethodName();
        if (LAMBDA.matcher(method).matches()) {
            method = "lambda";
        } else if (method.startsWith("do_it$")) {
            method = "";
        }
        String file = place.getFileName() + (place.getLineNumber() > 0 ? ":" + place.getLineNumber() : "");
        return type + (type.isEmpty() || method.isEmpty() ? "" : ".") + method + "(" + file + ")";
    }
}
