// SPDX-License-Identifier: Apache-2.0
package retort.runner;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import jdk.jshell.MethodSnippet;
import jdk.jshell.SourceCodeAnalysis;
import jdk.jshell.SourceCodeAnalysis.Documentation;
import jdk.jshell.SourceCodeAnalysis.Suggestion;
import jdk.jshell.TypeDeclSnippet;
import jdk.jshell.VarSnippet;

/** What could stand somewhere in a cell, and what is known about what stands there. Runs nothing of a program's. */
final class Look {
    private final Session session;

    Look(Session session) {
        this.session = session;
    }

    private static Map<String, Object> message(String type, long id) {
        Map<String, Object> message = new LinkedHashMap<>();
        message.put("type", type);
        message.put("id", id);
        return message;
    }

    private static int place(String code, int cursor) {
        return code.offsetByCodePoints(0, Math.min(cursor, code.codePointCount(0, code.length())));
    }

    /** Where the statement begins that the cursor is in: what is before it JShell may not take together with it. */
    private int statement(String code) {
        int at = 0;
        for (;;) {
            SourceCodeAnalysis.CompletionInfo info = session.analysis.analyzeCompletion(code.substring(at));
            if (info.completeness() != SourceCodeAnalysis.Completeness.COMPLETE || info.remaining().isBlank()) {
                return at;
            }
            at = code.length() - info.remaining().length();
        }
    }

    // ---- completion ----

    Map<String, Object> complete(long id, String code, int cursor) {
        session.indexPackages();
        int end = place(code, cursor);
        String before = code.substring(0, end);
        Set<String> matches = new LinkedHashSet<>();
        int start = end;
        // With all before it, for what is declared there; else alone.
        for (int from : new int[] { 0, statement(before) }) {
            int[] anchor = { -1 };
            List<Suggestion> all = session.analysis.completionSuggestions(before.substring(from), end - from, anchor);
            if (!all.isEmpty()) {
                start = from + anchor[0];
                // Those of a fitting type come first.
                all.stream().filter(Suggestion::matchesType).map(Suggestion::continuation).forEach(matches::add);
                all.stream().map(Suggestion::continuation).forEach(matches::add);
                matches.removeIf(match -> match.startsWith("$JShell$") || match.startsWith("REPL"));
                break;
            }
        }
        Map<String, Object> answer = message("completions", id);
        answer.put("matches", new ArrayList<>(matches));
        answer.put("start", code.codePointCount(0, start));
        answer.put("end", code.codePointCount(0, end));
        return answer;
    }

    // ---- inspection ----

    Map<String, Object> inspect(long id, String code, int cursor) {
        int at = place(code, cursor);
        int end = at;
        while (end < code.length() && Character.isJavaIdentifierPart(code.charAt(end))) {
            end++;
        }
        int start = end;
        while (start > 0 && (Character.isJavaIdentifierPart(code.charAt(start - 1)) || code.charAt(start - 1) == '.')) {
            start--;
        }
        String name = code.substring(start, end);
        Set<String> words = new LinkedHashSet<>();
        if (!name.isEmpty()) {
            describeOwn(name, words);
            if (words.isEmpty()) {
                describe(code.substring(statement(code.substring(0, start)), end), name, words);
            }
        } else {
            documentation(code.substring(0, at), words); // in the parentheses of a call
        }
        Map<String, Object> answer = message("inspection", id);
        answer.put("found", !words.isEmpty());
        answer.put("data", words.isEmpty() ? Map.of() : Map.of("text/plain", String.join("\n", words)));
        return answer;
    }

    /** What cells have declared. */
    private void describeOwn(String name, Set<String> words) {
        session.shell.snippets().filter(snippet -> session.shell.status(snippet).isActive()).forEach(snippet -> {
            if (snippet instanceof VarSnippet && ((VarSnippet) snippet).name().equals(name)) {
                words.add(((VarSnippet) snippet).typeName() + " " + name);
            } else if (snippet instanceof MethodSnippet && ((MethodSnippet) snippet).name().equals(name)) {
                words.add(snippet.source().strip());
            } else if (snippet instanceof TypeDeclSnippet && ((TypeDeclSnippet) snippet).name().equals(name)) {
                words.add(snippet.source().strip());
            }
        });
    }

    private void describe(String statement, String name, Set<String> words) {
        // What is called is documented by its call, in all its forms.
        documentation(statement + "(", words);
        documentation("new " + name + "(", words);
        documentation(name, words);
        if (words.isEmpty()) {
            String type = session.analysis.analyzeType(name, name.length());
            if (type != null) {
                words.add(type + " " + name);
            }
        }
    }

    private void documentation(String code, Set<String> words) {
        for (Documentation one : session.analysis.documentation(code, code.length(), false)) {
            words.add(one.signature());
        }
    }
}
