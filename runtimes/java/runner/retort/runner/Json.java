// SPDX-License-Identifier: Apache-2.0
package retort.runner;

import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * JSON, strictly as RFC 8259 has it: objects are maps, arrays lists, numbers Long or Double, and null is null. What is written may
 * hold anything else, whose text is then written; numbers that JSON has not become null.
 */
final class Json {
    /** A text that is no JSON. */
    static final class Bad extends Exception {
        private static final long serialVersionUID = 1;

        Bad(String what, int at) {
            super(what + " at " + at);
        }
    }

    private static final int DEPTH_MAX = 1000;

    private final String text;
    private int at;
    private int depth;

    private Json(String text) {
        this.text = text;
    }

    // ---- reading ----

    static Object read(String text) throws Bad {
        Json json = new Json(text);
        Object value = json.value();
        json.blanks();
        if (json.at < text.length()) {
            throw json.bad("more after the value");
        }
        return value;
    }

    private Bad bad(String what) {
        return new Bad(what, at);
    }

    private void blanks() {
        while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
    }

    private char peek() throws Bad {
        if (at >= text.length()) {
            throw bad("the end");
        }
        return text.charAt(at);
    }

    private boolean take(char wanted) throws Bad {
        blanks();
        if (peek() != wanted) {
            return false;
        }
        at++;
        return true;
    }

    private Object value() throws Bad {
        blanks();
        switch (peek()) {
            case '{':
                return object();
            case '[':
                return array();
            case '"':
                return string();
            case 't':
                return word("true", true);
            case 'f':
                return word("false", false);
            case 'n':
                return word("null", null);
            default:
                return number();
        }
    }

    private Object word(String word, Object value) throws Bad {
        if (!text.startsWith(word, at)) {
            throw bad("no value");
        }
        at += word.length();
        return value;
    }

    private void enter() throws Bad {
        at++;
        if (++depth > DEPTH_MAX) {
            throw bad("too deep");
        }
    }

    private Map<String, Object> object() throws Bad {
        Map<String, Object> all = new LinkedHashMap<>();
        enter();
        if (!take('}')) {
            do {
                blanks();
                if (peek() != '"') {
                    throw bad("no name");
                }
                String name = string();
                if (!take(':')) {
                    throw bad("no colon");
                }
                all.put(name, value());
            } while (take(','));
            if (!take('}')) {
                throw bad("no end of the object");
            }
        }
        depth--;
        return all;
    }

    private List<Object> array() throws Bad {
        List<Object> all = new ArrayList<>();
        enter();
        if (!take(']')) {
            do {
                all.add(value());
            } while (take(','));
            if (!take(']')) {
                throw bad("no end of the array");
            }
        }
        depth--;
        return all;
    }

    private String string() throws Bad {
        int from = ++at;
        while (peek() != '"' && peek() != '\\' && peek() >= ' ') {
            at++;
        }
        if (peek() == '"') {
            return text.substring(from, at++);
        }
        StringBuilder out = new StringBuilder(text.substring(from, at));
        for (;;) {
            char c = peek();
            at++;
            if (c == '"') {
                return out.toString();
            } else if (c < ' ') {
                throw bad("a control character");
            }
            out.append(c == '\\' ? escaped() : c);
        }
    }

    private char escaped() throws Bad {
        char c = peek();
        at++;
        int known = "\"\\/bfnrt".indexOf(c);
        if (known >= 0) {
            return "\"\\/\b\f\n\r\t".charAt(known);
        }
        if (c != 'u' || at + 4 > text.length()) {
            throw bad("no such escape");
        }
        int value = 0;
        for (int end = at + 4; at < end; at++) {
            int digit = text.charAt(at) < 128 ? Character.digit(text.charAt(at), 16) : -1;
            if (digit < 0) {
                throw bad("no such escape");
            }
            value = value << 4 | digit;
        }
        return (char) value;
    }

    private int digits() throws Bad {
        int from = at;
        while (at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
            at++;
        }
        if (at == from) {
            throw bad("no digit");
        }
        return at - from;
    }

    private Number number() throws Bad {
        int from = at;
        boolean whole = true;
        if (peek() == '-') {
            at++;
        }
        int first = at;
        if (digits() > 1 && text.charAt(first) == '0') {
            throw bad("a leading zero");
        }
        if (at < text.length() && text.charAt(at) == '.') {
            at++;
            digits();
            whole = false;
        }
        if (at < text.length() && (text.charAt(at) | ' ') == 'e') {
            at++;
            if (peek() == '+' || peek() == '-') {
                at++;
            }
            digits();
            whole = false;
        }
        String number = text.substring(from, at);
        if (whole && number.length() < 19) {
            return Long.valueOf(number);
        }
        return Double.valueOf(number);
    }

    // ---- writing ----

    static String write(Object value) {
        StringBuilder out = new StringBuilder();
        write(out, value, 0);
        return out.toString();
    }

    private static void write(StringBuilder out, Object value, int depth) {
        if (depth > DEPTH_MAX) {
            throw new IllegalArgumentException("nested too deeply for JSON, or in itself");
        } else if (value == null || value instanceof Boolean) {
            out.append(value);
        } else if (value instanceof Double || value instanceof Float) {
            double number = ((Number) value).doubleValue();
            out.append(Double.isFinite(number) ? value.toString() : "null");
        } else if (value instanceof Number) {
            out.append(isNumber(value.toString()) ? value.toString() : "null");
        } else if (value instanceof Map) {
            writeObject(out, (Map<?, ?>) value, depth);
        } else if (value instanceof Record) {
            writeObject(out, components((Record) value), depth);
        } else if (value instanceof Iterable) {
            writeArray(out, (Iterable<?>) value, depth);
        } else if (value.getClass().isArray()) {
            List<Object> all = new ArrayList<>();
            for (int i = 0; i < java.lang.reflect.Array.getLength(value); i++) {
                all.add(java.lang.reflect.Array.get(value, i));
            }
            writeArray(out, all, depth);
        } else {
            quote(out, value.toString());
        }
    }

    /** Whether it is one in JSON, too: a program may have made its own Number. */
    private static boolean isNumber(String text) {
        try {
            return read(text) instanceof Number;
        } catch (Bad e) {
            return false;
        }
    }

    private static Map<String, Object> components(Record record) {
        Map<String, Object> all = new LinkedHashMap<>();
        for (RecordComponent one : record.getClass().getRecordComponents()) {
            try {
                one.getAccessor().setAccessible(true);
                all.put(one.getName(), one.getAccessor().invoke(record));
            } catch (ReflectiveOperationException | RuntimeException e) {
                throw new IllegalArgumentException(one.getName() + " of a record cannot be read", e);
            }
        }
        return all;
    }

    private static void writeObject(StringBuilder out, Map<?, ?> all, int depth) {
        String before = "{";
        for (Map.Entry<?, ?> entry : all.entrySet()) {
            out.append(before);
            quote(out, String.valueOf(entry.getKey()));
            out.append(':');
            write(out, entry.getValue(), depth + 1);
            before = ",";
        }
        out.append(all.isEmpty() ? "{}" : "}");
    }

    private static void writeArray(StringBuilder out, Iterable<?> all, int depth) {
        String before = "";
        out.append('[');
        for (Object one : all) {
            out.append(before);
            write(out, one, depth + 1);
            before = ",";
        }
        out.append(']');
    }

    private static void quote(StringBuilder out, String text) {
        out.append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c < ' ') {
                out.append("\\u00").append(Character.forDigit(c >> 4, 16)).append(Character.forDigit(c & 15, 16));
            } else {
                out.append(c); // what is half a pair becomes a question mark when the text becomes UTF-8
            }
        }
        out.append('"');
    }
}
