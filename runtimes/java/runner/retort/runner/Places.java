// SPDX-License-Identifier: Apache-2.0
package retort.runner;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import jdk.jshell.Snippet;
import jdk.jshell.SourceCodeAnalysis.SnippetWrapper;

/** Where in which cell a frame of one of JShell's classes is: what is asked for one stack trace. Any thread may ask. */
final class Places implements UnaryOperator<StackTraceElement> {
    private static final String PACKAGE = "REPL.";
    private static final Pattern WRAPPER = Pattern.compile("REPL[.][$]JShell[$][0-9]+[A-Z]*[$.]?([$]JShell[$]anonymous[$](?=[$]))?");
    private static final int LINES_AROUND = 4;

    private final Session session;
    private final Map<String, List<Snippet>> byClass = new HashMap<>();
    private final Map<StackTraceElement, StackTraceElement> known = new HashMap<>();

    Places(Session session) {
        this.session = session;
    }

    /** Classes as the program named them. */
    static String expunge(String text) {
        return text.contains(PACKAGE) ? WRAPPER.matcher(text).replaceAll("") : text;
    }

    @Override
    public StackTraceElement apply(StackTraceElement frame) {
        return frame.getClassName().startsWith(PACKAGE) ? known.computeIfAbsent(frame, this::find) : null;
    }

    private StackTraceElement find(StackTraceElement frame) {
        String file = "unknown cell"; // of a class that another has replaced
        int line = 0;
        try {
            for (Snippet snippet : snippetsOf(frame.getClassName())) {
                SnippetWrapper wrapper = session.analysis.wrapper(snippet);
                Session.Origin origin = session.originOf(snippet);
                file = origin.cell.name;
                int at = sourceNear(wrapper, frame.getLineNumber());
                if (at >= 0) {
                    line = origin.cell.lineOf(origin.at + at);
                    break;
                }
            }
        } catch (RuntimeException e) {
            // The session changes under another thread's hands.
        }
        return new StackTraceElement(expunge(frame.getClassName()), frame.getMethodName(), file, line);
    }

    private List<Snippet> snippetsOf(String type) {
        if (byClass.isEmpty()) {
            session.shell.snippets().filter(snippet -> session.originOf(snippet) != null && snippet.kind() != Snippet.Kind.ERRONEOUS)
                    .forEach(snippet -> byClass.computeIfAbsent(session.analysis.wrapper(snippet).fullClassName(), name -> new ArrayList<>()).add(snippet));
        }
        String outer = type;
        while (!byClass.containsKey(outer) && outer.lastIndexOf('$') > PACKAGE.length()) {
            outer = outer.substring(0, outer.lastIndexOf('$'));
        }
        return byClass.getOrDefault(outer, List.of());
    }

    /** JShell may begin a statement on one line, and put what is the program's on the next. */
    private static int sourceNear(SnippetWrapper wrapper, int line) {
        int at = -1;
        for (int i = line; i > 0 && i < line + LINES_AROUND && at < 0; i++) {
            at = sourceOf(wrapper, i);
        }
        for (int i = line - 1; i > line - LINES_AROUND && at < 0; i--) {
            at = sourceOf(wrapper, i);
        }
        return at;
    }

    /** What of a snippet's source is in that line of the wrapper's; less than 0: nothing. */
    private static int sourceOf(SnippetWrapper wrapper, int line) {
        String wrapped = wrapper.wrapped();
        int from = 0;
        for (int i = 1; i < line && from >= 0; i++) {
            from = wrapped.indexOf('\n', from) + 1;
            if (from == 0) {
                return -1;
            }
        }
        for (int at = from; at < wrapped.length() && wrapped.charAt(at) != '\n'; at++) {
            int source = wrapper.wrappedToSourcePosition(at);
            if (source >= 0 && source < wrapper.source().length() && !Character.isWhitespace(wrapper.source().charAt(source))
                    && wrapper.sourceToWrappedPosition(source) == at) {
                return source;
            }
        }
        return -1;
    }
}
