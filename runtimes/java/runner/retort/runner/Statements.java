// SPDX-License-Identifier: Apache-2.0
package retort.runner;

/** A look at Java's text without its strings and comments, for what JShell does not tell. */
final class Statements {
    private Statements() {
    }

    /** Behind the string, character or comment that begins there; or just the next character. */
    static int skip(String code, int at) {
        if (code.startsWith("//", at)) {
            int end = code.indexOf('\n', at);
            return end < 0 ? code.length() : end;
        } else if (code.startsWith("/*", at)) {
            int end = code.indexOf("*/", at + 2);
            return end < 0 ? code.length() : end + 2;
        } else if (code.startsWith("\"\"\"", at)) {
            return skipQuoted(code, at + 3, "\"\"\"");
        } else if (code.charAt(at) == '"' || code.charAt(at) == '\'') {
            return skipQuoted(code, at + 1, code.substring(at, at + 1));
        }
        return at + 1;
    }

    private static int skipQuoted(String code, int from, String end) {
        int at = from;
        while (at < code.length() && !code.startsWith(end, at)) {
            at += code.charAt(at) == '\\' ? 2 : 1;
        }
        return Math.min(at + end.length(), code.length());
    }

    static boolean endsWithSemicolon(String code) {
        boolean ends = false;
        for (int at = 0, next; at < code.length(); at = next) {
            next = skip(code, at);
            if (!Character.isWhitespace(code.charAt(at)) && !code.startsWith("//", at) && !code.startsWith("/*", at)) {
                ends = code.charAt(at) == ';';
            }
        }
        return ends;
    }

    /** Whether an expression assigns, as a whole: {@code a = 1}, {@code a[0] += 2}, {@code a++}. */
    static boolean assigns(String expression) {
        int depth = 0;
        for (int at = 0, next; at < expression.length(); at = next) {
            next = skip(expression, at);
            char c = next == at + 1 ? expression.charAt(at) : ' ';
            if ("([{".indexOf(c) >= 0) {
                depth++;
            } else if (")]}".indexOf(c) >= 0) {
                depth--;
            } else if (depth == 0 && (expression.startsWith("++", at) || expression.startsWith("--", at))) {
                return true;
            } else if (depth == 0 && c == '=') {
                if (expression.startsWith("==", at)) {
                    next = at + 2;
                } else if (isAssignment(expression, at)) {
                    return true;
                }
            }
        }
        return false;
    }

    private static boolean isAssignment(String expression, int at) {
        char before = at > 0 ? expression.charAt(at - 1) : ' ';
        char second = at > 1 ? expression.charAt(at - 2) : ' ';
        return before != '!' && (before != '<' && before != '>' || before == second);
    }
}
