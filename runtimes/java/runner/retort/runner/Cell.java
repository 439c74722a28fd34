// SPDX-License-Identifier: Apache-2.0
package retort.runner;

/** One run request, and how to say where in it something is. */
final class Cell {
    final long id;
    final String code;
    final String name;
    final boolean silent;

    Cell(long id, String code, String name, boolean silent) {
        this.id = id;
        this.code = code;
        this.name = name;
        this.silent = silent;
    }

    /** The number of the line, from 1, that has the character at this place. */
    int lineOf(int at) {
        int line = 1;
        for (int i = code.indexOf('\n'); i >= 0 && i < at; i = code.indexOf('\n', i + 1)) {
            line++;
        }
        return line;
    }

    /** As javac's messages: the place, the words, the line, and what is meant in it. */
    String message(String words, int from, int to) {
        int start = Math.max(0, Math.min(from, code.length()));
        // What is missing at the end is missing after the last thing that is there.
        while (start > 0 && start >= code.length() && Character.isWhitespace(code.charAt(start - 1))) {
            start--;
        }
        int begin = code.lastIndexOf('\n', start - 1) + 1;
        int end = code.indexOf('\n', start);
        String line = code.substring(begin, end < 0 ? code.length() : end);
        int column = start - begin;
        int marks = Math.max(1, Math.min(to, begin + line.length()) - start);
        String[] all = words.split("\n", 2);
        return name + ":" + lineOf(start) + ":" + (line.codePointCount(0, column) + 1) + ": error: " + all[0] + "\n" + line + "\n"
                + line.substring(0, column).replaceAll("[^\t]", " ") + "^".repeat(marks) + "\n" + (all.length > 1 ? all[1] + "\n" : "");
    }
}
