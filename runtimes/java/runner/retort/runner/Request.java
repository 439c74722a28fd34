// SPDX-License-Identifier: Apache-2.0
package retort.runner;

import java.util.LinkedHashMap;
import java.util.Map;

/** The members of requests. One that must be there and is not, or is something else, makes it no message. */
final class Request {
    private static final long ID_MAX = 1L << 53;

    private Request() {
    }

    static long id(Map<String, Object> request) throws Json.Bad {
        Object id = request.get("id");
        if (!(id instanceof Long) || (Long) id < 1 || (Long) id > ID_MAX) {
            throw new Json.Bad("a request without an id", 0);
        }
        return (Long) id;
    }

    static String text(Map<String, Object> request, String name) throws Json.Bad {
        Object text = request.get(name);
        if (!(text instanceof String)) {
            throw new Json.Bad("a request without " + name, 0);
        }
        return (String) text;
    }

    static int number(Map<String, Object> request, String name) throws Json.Bad {
        Object number = request.get(name);
        if (!(number instanceof Long)) {
            throw new Json.Bad("a request without " + name, 0);
        }
        return (int) Math.max(0, Math.min((Long) number, Integer.MAX_VALUE));
    }

    /** Names and texts; null: to be removed. */
    static Map<String, String> variables(Map<String, Object> request) throws Json.Bad {
        Map<String, String> variables = new LinkedHashMap<>();
        if (request.get("env") instanceof Map) {
            for (Map.Entry<?, ?> one : ((Map<?, ?>) request.get("env")).entrySet()) {
                if (one.getValue() != null && !(one.getValue() instanceof String)) {
                    throw new Json.Bad("a variable that is no text", 0);
                }
                variables.put((String) one.getKey(), (String) one.getValue());
            }
        }
        return variables;
    }
}
