// SPDX-License-Identifier: Apache-2.0
package retort.runner;

import java.util.ArrayDeque;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import jdk.jshell.JShell;
import jdk.jshell.Snippet;

/**
 * Keeps a JShell from growing slower with each cell: it lists all classes that it ever made each time it compiles one, five times a cell.
 * Those of statements and of values without a name nobody can refer to. It reaches into JShell; where that is not as in Java 17,
 * nothing is pruned.
 */
final class Pruner {
    /** Statements that stack traces can still tell lines of. */
    private static final int KEPT = 1000;

    private final NavigableMap<String, ?> files;
    private final Map<String, ?> tracked;
    private final List<Snippet> byKey;
    private final Collection<Snippet> all;
    private final ArrayDeque<Snippet> kept = new ArrayDeque<>();

    @SuppressWarnings("unchecked")
    private Pruner(JShell shell) throws Throwable {
        files = (NavigableMap<String, ?>) get(get(get(shell, "taskFactory"), "fileManager"), "classObjects");
        tracked = (Map<String, ?>) get(get(shell, "classTracker"), "map");
        byKey = (List<Snippet>) get(get(shell, "maps"), "keyIndexToSnippet");
        all = (Collection<Snippet>) get(get(shell, "maps"), "snippets");
    }

    private static Object get(Object object, String name) throws Throwable {
        Class<?> type = object.getClass();
        return Native.TRUSTED.unreflectGetter(type.getDeclaredField(name)).invoke(object);
    }

    /** null: this JShell is another. */
    static Pruner of(JShell shell) {
        try {
            return new Pruner(shell);
        } catch (Throwable e) {
            return null;
        }
    }

    /** A snippet that nothing can refer to any more, and its class. The one that goes with it for good, or null. */
    Snippet prune(Snippet snippet, String type) {
        files.remove(type);
        tracked.remove(type);
        String inner = type + "$";
        String behind = type + "%"; // the next character
        files.subMap(inner, true, behind, false).keySet().forEach(tracked::remove);
        files.subMap(inner, true, behind, false).clear();
        byKey.set(Integer.parseInt(snippet.id()), null);
        kept.add(snippet);
        if (kept.size() <= KEPT) {
            return null;
        }
        Snippet old = kept.remove();
        all.remove(old);
        return old;
    }
}
